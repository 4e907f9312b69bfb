package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/test/moto"
)

// The whole of the store's life, by the built programs, over a Parameter Store that somebody else wrote.
func TestTheStory(t *testing.T) {
	aws := moto.Start(t)
	program := gatehouse(t)
	s := &story{t: t, dist: distribution(t)}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/store",
		Setup: func(e *testscript.Env) error {
			root, err := filepath.Abs("..")
			if err != nil {
				return err
			}
			for _, entry := range append(aws.Env, "AWS_ENDPOINT_URL_SSM="+aws.URL, "GATEHOUSE_STORE=ssm:/gatehouse/dev",
				"GATEHOUSE_STAGE=dev", "GATEHOUSE_APIS=123456789012/a1b2c3", "GATEHOUSE_REFRESH=1s", "REPOSITORY="+root, "DIST="+s.dist) {
				name, value, _ := strings.Cut(entry, "=")
				e.Setenv(name, value)
			}
			e.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
			ports := freePorts(t, 3)
			s.rest, s.http, s.issuer = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2]
			e.Defer(s.end)
			return s.files(e.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": s.serve, "setting": setting, "stdout-to": stdoutTo, "becomes": s.becomes, "still": s.still, "load": s.load, "unload": s.unload,
			"recorded": s.recorded, "one-process": s.oneProcess, "aws": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs("aws"), []byte(aws.CLI(t, args...)), 0o600))
				ts.Check(ts.Exec("cat", ts.MkAbs("aws")))
			},
		},
	})
}

// distribution is a directory of built functions as `make build` leaves it.
func distribution(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, function := range []string{"authorizer", "admin", "health", "orders", "profile"} {
		if err := os.MkdirAll(filepath.Join(dir, function), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(bootstrap(t, function), filepath.Join(dir, function, "bootstrap")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// policiesWith is a copy of the repository's policies in which a role has other permissions.
func policiesWith(dir string, change func(roles string) string) error {
	if err := os.CopyFS(dir, os.DirFS("../policies")); err != nil {
		return err
	}
	roles := filepath.Join(dir, "attributes", "roles", "data.yaml")
	content, err := os.ReadFile(roles)
	if err != nil {
		return err
	}
	return os.WriteFile(roles, []byte(change(string(content))), 0o644)
}

// customersDelete gives customers a permission that they lack.
func customersDelete(roles string) string {
	return strings.Replace(roles, "  - write:orders\n", "  - write:orders\n  - delete:orders\n", 1)
}

// story is what its script has going.
type story struct {
	t                        *testing.T
	dist, rest, http, issuer string
	dir                      string
	server                   *exec.Cmd
	token                    string
	stop                     context.CancelFunc
	loading                  sync.WaitGroup
	asked, wrong             atomic.Int64
	said                     atomic.Pointer[string]
}

// files are two versions of the policies and two of the Auth0 configuration.
func (s *story) files(dir string) error {
	s.dir = dir
	if err := policiesWith(filepath.Join(dir, "v1"), func(roles string) string { return roles }); err != nil {
		return err
	}
	if err := policiesWith(filepath.Join(dir, "v2"), customersDelete); err != nil {
		return err
	}
	for name, audience := range map[string]string{"auth0.json": "https://api.example.com", "other-audience.json": "https://other.example.com"} {
		doc := fmt.Sprintf(`{"version":"v1","roles_claim":"https://gatehouse.example/roles","issuers":[{"issuer":"http://%s/","audiences":[%q]}]}`, s.issuer, audience)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(doc), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the program, and waits until it serves.
func (s *story) serve(ts *testscript.TestScript, _ bool, args []string) {
	var env []string
	for _, name := range []string{"PATH", "HOME", "AWS_ENDPOINT_URL_SSM", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GATEHOUSE_TRUST", "GATEHOUSE_THRESHOLD", "GATEHOUSE_REFRESH"} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	ts.Check(s.begin(env, args...))
	var err error
	s.token, err = s.tokenOf("customer")
	ts.Check(err)
}

// begin starts the program in the story's directory.
func (s *story) begin(env []string, args ...string) error {
	c := exec.Command(gatehouse(s.t), append([]string{"serve", "--rest", s.rest, "--http", s.http, "--issuer", s.issuer}, args...)...)
	c.Dir, c.Env, c.SysProcAttr = s.dir, env, &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(s.dir, "serve.out"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	s.server = c
	return eventually("the APIs", func() (bool, string) {
		res, err := http.Get("http://" + s.http + "/health")
		if err != nil {
			return false, err.Error() + "\n" + s.screen()
		}
		defer res.Body.Close()
		return res.StatusCode == 200, res.Status + "\n" + s.screen()
	})
}

// tokenOf is a token of the local issuer.
func (s *story) tokenOf(person string, flags ...string) (string, error) {
	args := append([]string{"token", "--as", person, "--issuer", "http://" + s.issuer + "/", "--keys", filepath.Join(s.dir, ".gatehouse")}, flags...)
	out, err := exec.Command(gatehouse(s.t), args...).Output()
	return strings.TrimSpace(string(out)), err
}

func (s *story) screen() string {
	content, _ := os.ReadFile(filepath.Join(s.dir, "serve.out"))
	return string(content)
}

func (s *story) end() {
	s.halt()
	if s.server != nil {
		_ = syscall.Kill(-s.server.Process.Pid, syscall.SIGINT)
		_ = s.server.Wait()
		s.server = nil
	}
}

func (s *story) wait(ts *testscript.TestScript, what string, ok func() (bool, string)) {
	ts.Check(eventually(what, ok))
}

// eventually waits for something to be so, for at most 20 s.
func eventually(what string, ok func() (bool, string)) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		good, now := ok()
		if good {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: still %s", what, now)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ask sends one request as the customer, to either API in turn.
func (s *story) ask(method, path string, n int) (int, error) {
	return s.askAs(s.token, method, path, n)
}

func (s *story) askAs(token, method, path string, n int) (int, error) {
	url := "http://" + s.http + path
	if n%2 == 1 {
		url = "http://" + s.rest + "/dev" + path
	}
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// becomes wants another status of both APIs, and soon of every process behind them: each has its own refresh.
func (s *story) becomes(ts *testscript.TestScript, _ bool, args []string) {
	const all = 60 // in a row, 20 ms apart: longer than one refresh
	for n, same := 0, 0; same < all; n++ {
		s.wait(ts, strings.Join(args, " "), func() (bool, string) {
			status, err := s.ask(args[0], args[1], n)
			if same++; err != nil || fmt.Sprint(status) != args[2] {
				same = 0
			}
			return same > 0, fmt.Sprint(status, err)
		})
		time.Sleep(20 * time.Millisecond)
	}
}

// still wants a status that stays for longer than a refresh.
func (s *story) still(ts *testscript.TestScript, _ bool, args []string) {
	for until := time.Now().Add(1500 * time.Millisecond); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if status, err := s.ask(args[0], args[1], 0); err != nil || fmt.Sprint(status) != args[2] {
			ts.Fatalf("%s %s: %d, %v, want %s", args[0], args[1], status, err, args[2])
		}
	}
}

// load asks all the time; every answer must be one of a few.
func (s *story) load(_ *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.loading.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			status, err := s.ask(args[0], args[1], n)
			s.asked.Add(1)
			if err != nil || !slices.Contains(args[2:], fmt.Sprint(status)) {
				what := fmt.Sprintf("%d %v at %s", status, err, time.Now().Format("15:04:05.000"))
				s.said.Store(&what)
				s.wrong.Add(1)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func (s *story) unload(ts *testscript.TestScript, _ bool, _ []string) {
	s.halt()
	if s.wrong.Load() > 0 || s.asked.Load() < 200 {
		last := ""
		if said := s.said.Load(); said != nil {
			last = *said
		}
		ts.Fatalf("of %d requests %d failed, the last with %s\n%s", s.asked.Load(), s.wrong.Load(), last, s.screen())
	}
	ts.Logf("%d requests, none failed", s.asked.Load())
}

func (s *story) halt() {
	if s.stop != nil {
		s.stop()
		s.loading.Wait()
		s.stop = nil
	}
}

// recorded waits for a line in the authorizer's log.
func (s *story) recorded(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	s.wait(ts, args[0], func() (bool, string) {
		content, err := os.ReadFile(filepath.Join(s.dir, ".gatehouse", "authorizer.log"))
		return err == nil && want.Match(content), "not there"
	})
}

// oneProcess wants that nothing was restarted: as many cold starts as there were at once.
func (s *story) oneProcess(ts *testscript.TestScript, _ bool, _ []string) {
	res, err := http.Get("http://" + s.http + "/__gatehouse/metrics")
	ts.Check(err)
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	ts.Check(err)
	starts := regexp.MustCompile(`gatehouse_cold_starts_total\{function="authorizer"\} (\d+)`).FindSubmatch(content)
	errs := regexp.MustCompile(`gatehouse_function_errors_total\{function="authorizer"\} (\d+)`).FindSubmatch(content)
	// Two clients at once, so at most two processes. The errors are the 401 of a token for another audience.
	if starts == nil || string(starts[1]) > "2" {
		ts.Fatalf("cold starts %s, errors %s", starts, errs)
	}
}

// setting takes a variable from a file.
func setting(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// stdoutTo runs a program and keeps what it prints in a file.
func stdoutTo(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile("stdout")), 0o600))
}
