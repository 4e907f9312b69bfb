package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// system is `gatehouse serve` as a process of its own, on free ports.
type system struct {
	rest, http, issuer string
	keys               string
	cmd                *exec.Cmd
	screen             *bufio.Reader
}

// serve starts the system and ends it with the test, by the signal that Ctrl-C sends.
func serve(t *testing.T) *system {
	t.Helper()
	s := &system{keys: filepath.Join(t.TempDir(), "gatehouse")}
	mains, err := filepath.Glob("../handlers/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("%d functions, %v", len(mains), err)
	}
	bootstrap(t, "authorizer")
	for _, main := range mains {
		bootstrap(t, filepath.Base(filepath.Dir(main)))
	}
	s.cmd = exec.Command(gatehouse(t), "serve", "--config", "../serverless.yml", "--dist", built, "--keys", s.keys,
		"--rest", "127.0.0.1:0", "--http", "127.0.0.1:0", "--issuer", "127.0.0.1:0")
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Signal(os.Interrupt)
			_ = s.cmd.Wait()
		}
	})
	s.screen = bufio.NewReader(out)
	for _, want := range []struct {
		name string
		to   *string
	}{{"REST API", &s.rest}, {"HTTP API", &s.http}, {"issuer", &s.issuer}} {
		*want.to = s.await(t, regexp.MustCompile(regexp.QuoteMeta(want.name)+`\s+(http://\S+)`))
	}
	s.await(t, regexp.MustCompile(`(Ctrl-C)`))
	go func() { _, _ = io.Copy(io.Discard, s.screen) }()
	return s
}

// await reads the screen to the first line that matches.
func (s *system) await(t *testing.T, pattern *regexp.Regexp) string {
	t.Helper()
	for {
		line, err := s.screen.ReadString('\n')
		if m := pattern.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		if err != nil {
			t.Fatalf("the system ended before it said %s: %v", pattern, err)
		}
	}
}

// token asks the command line for a token, as a user would.
func (s *system) token(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(gatehouse(t), append([]string{"token", "--keys", s.keys, "--issuer", s.issuer}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

var client = &http.Client{Timeout: 20 * time.Second}

type reply struct {
	status  int
	header  http.Header
	content string
}

func call(t *testing.T, method, url, authorization, content string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// The table of the sample API: what each person gets on each row. 204 is a deletion, 201 a creation.
var (
	people = []string{"customer", "support", "admin", "suspended", "outsider", "machine"}
	rows   = []struct {
		method, path, content string
		want                  [6]int // in the order of people
	}{
		{"GET", "/health", "", [6]int{200, 200, 200, 200, 200, 200}},
		{"GET", "/profile", "", [6]int{200, 200, 200, 403, 403, 403}},
		{"GET", "/orders", "", [6]int{200, 200, 200, 403, 403, 200}},
		{"GET", "/orders/42", "", [6]int{200, 200, 200, 403, 403, 200}},
		{"GET", "/users/auth0%7Ccust/orders", "", [6]int{200, 200, 200, 403, 403, 403}},
		{"GET", "/users/auth0%7Csupp/orders", "", [6]int{403, 200, 200, 403, 403, 403}},
		{"POST", "/orders", `{"item":"lamp","quantity":1}`, [6]int{201, 201, 201, 403, 403, 403}},
		{"DELETE", "/orders/42", "", [6]int{403, 204, 204, 403, 403, 403}},
		{"GET", "/admin/users", "", [6]int{403, 403, 200, 403, 403, 403}},
	}
)

func TestTheSampleTable(t *testing.T) {
	s := serve(t)
	var matrix strings.Builder
	fmt.Fprintf(&matrix, "%-39s", "")
	for _, p := range people {
		fmt.Fprintf(&matrix, "%-11s", p)
	}
	tokens := map[string]string{}
	for _, p := range people {
		tokens[p] = "Bearer " + s.token(t, "--as", p)
	}
	bad := map[string]string{
		"none": "", "not a token": "Bearer x.y.z", "expired": "Bearer " + s.token(t, "--as", "admin", "--expires", "-1m"),
		"another audience": "Bearer " + s.token(t, "--as", "admin", "--audience", "https://other.example.com"),
		"another issuer":   "Bearer " + s.token(t, "--as", "admin", "--issuer", "http://127.0.0.1:1/"),
	}
	for _, api := range []struct{ name, url string }{{"REST", s.rest}, {"HTTP", s.http}} {
		for _, row := range rows {
			fmt.Fprintf(&matrix, "\n%-5s%-7s%-27s", api.name, row.method, row.path)
			for i, person := range people {
				got := call(t, row.method, api.url+row.path, tokens[person], row.content)
				fmt.Fprintf(&matrix, "%-11d", got.status)
				if got.status != row.want[i] {
					t.Errorf("%s %s %s by %s: got %d %s, want %d", api.name, row.method, row.path, person, got.status, got.content, row.want[i])
				}
				warned := strings.Join(got.header.Values("Warning"), ", ")
				if wantWarning := got.status == 204; wantWarning != strings.HasPrefix(warned, `299 - "`) {
					t.Errorf("%s %s %s by %s: warning %q", api.name, row.method, row.path, person, warned)
				}
			}
			if row.path == "/health" {
				continue
			}
			for name, authorization := range bad {
				if got := call(t, row.method, api.url+row.path, authorization, row.content); got.status != 401 {
					t.Errorf("%s %s %s with %s: got %d, want 401", api.name, row.method, row.path, name, got.status)
				}
			}
		}
	}
	t.Logf("what each person gets:\n%s", matrix.String())

	for _, api := range []string{s.rest, s.http} {
		for _, path := range []string{"/orders/..%2fadmin%2fusers", "/orders/%2e%2e", "/orders//42", "/orders/4*"} {
			got := call(t, "GET", api+path, tokens["admin"], "")
			if got.status < 400 || got.status == 500 {
				t.Errorf("%s%s: got %d, want a refusal", api, path, got.status)
			}
		}
	}
	if got := call(t, "GET", s.rest+"/orders/42/", tokens["admin"], ""); got.status != 200 {
		t.Errorf("a trailing slash on a REST route: got %d %s", got.status, got.content)
	}
	profile := call(t, "GET", s.http+"/profile", tokens["customer"], "")
	if !strings.Contains(profile.content, `"auth0|cust"`) {
		t.Errorf("the handler does not know its caller: %s", profile.content)
	}
}

// The issuer's own endpoint gives the machine a token that the API takes.
func TestClientCredentials(t *testing.T) {
	s := serve(t)
	answer := call(t, "POST", s.issuer+"oauth/token", "", "") // no grant
	if answer.status < 400 {
		t.Errorf("an empty token request: got %d", answer.status)
	}
	res, err := client.Post(s.issuer+"oauth/token", "application/json", strings.NewReader(`{"grant_type":"client_credentials",
		"client_id":"robot","client_secret":"robot-secret-for-this-machine","audience":"https://api.example.com"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&token); err != nil || token.Access == "" {
		t.Fatalf("%d, %v", res.StatusCode, err)
	}
	if got := call(t, "GET", s.rest+"/orders", "Bearer "+token.Access, ""); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.content)
	}
}

// Ctrl-C ends the system and every function that it started.
func TestInterruptEndsEverything(t *testing.T) {
	s := serve(t)
	if got := call(t, "GET", s.rest+"/orders", "Bearer "+s.token(t, "--as", "customer"), ""); got.status != 200 {
		t.Fatalf("got %d", got.status)
	}
	children := childrenOf(t, s.cmd.Process.Pid)
	if len(children) < 2 {
		t.Fatalf("%d function processes, want the authorizer and orders", len(children))
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = s.cmd.Process.Kill() })()
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	for _, pid := range children {
		for syscall.Kill(pid, 0) == nil {
			if ctx.Err() != nil {
				t.Fatalf("process %d lives on", pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, file := range tasks {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(content)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

func TestAPortInUseIsSaid(t *testing.T) {
	s := serve(t)
	busy := strings.TrimSuffix(strings.TrimPrefix(s.issuer, "http://"), "/")
	for flag, others := range map[string][]string{
		"--issuer": {"--rest", "127.0.0.1:0", "--http", "127.0.0.1:0"},
		"--rest":   {"--issuer", "127.0.0.1:0", "--http", "127.0.0.1:0"},
		"--http":   {"--rest", "127.0.0.1:0", "--issuer", "127.0.0.1:0"},
	} {
		args := append([]string{"serve", "--config", "../serverless.yml", "--dist", built, "--keys", s.keys, flag, busy}, others...)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, gatehouse(t), args...).CombinedOutput()
		if exit := new(exec.ExitError); !asExit(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), busy) {
			t.Errorf("%s %s: %v\n%s", flag, busy, err, out)
		}
	}
}

func asExit(err error, to **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*to = e
	return ok
}
