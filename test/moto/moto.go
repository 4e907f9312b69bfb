// Package moto runs moto_server for tests: AWS services on this machine that somebody else wrote. Where it is not on the
// PATH, it is installed once into a virtual environment in the user's cache directory; where that fails, so does the test.
package moto

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is installed where it is not on the PATH.
const (
	serverPackage = "moto[server]==5.2.1"
	cliPackage    = "awscli==1.45.11"
)

// patience is how long the server may take to answer at first, on a machine that runs other tests at once.
const patience = 60 * time.Second

// Server is a running moto_server.
type Server struct {
	URL string
	Env []string // what a client needs in its environment
}

// Start runs an empty server of its own, which takes half a second, on a free port until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	program := find(t, "moto_server", serverPackage)
	var output bytes.Buffer
	for range 5 { // another process may take the port first
		addr := freeAddress(t)
		_, port, _ := net.SplitHostPort(addr)
		cmd := exec.Command(program, "-H", "127.0.0.1", "-p", port)
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &output, &output, attributes()
		cmd.WaitDelay = time.Second
		if err := cmd.Start(); err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		exited := make(chan struct{})
		go func() {
			_ = cmd.Wait() // the state says it all
			close(exited)
		}()
		end := func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group: moto_server may be a script that starts another
			<-exited
		}
		s := &Server{URL: "http://" + addr, Env: []string{
			"AWS_ENDPOINT_URL=http://" + addr, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
			"AWS_ACCESS_KEY_ID=moto", "AWS_SECRET_ACCESS_KEY=moto",
			"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		}}
		if s.ready(exited) {
			t.Cleanup(end)
			return s
		}
		end()
		fmt.Fprintf(&output, "%v: %v\n", cmd, cmd.ProcessState)
	}
	t.Fatalf("moto_server does not start:\n%s", output.String())
	return nil
}

// ready waits until it answers.
func (s *Server) ready(exited <-chan struct{}) bool {
	for began := time.Now(); time.Since(began) < patience; {
		select {
		case <-exited:
			return false
		case <-time.After(50 * time.Millisecond):
		}
		if resp, err := http.Get(s.URL + "/moto-api/"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

// Reset empties it.
func (s *Server) Reset(t testing.TB) {
	t.Helper()
	resp, err := http.Post(s.URL+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("reset moto: %s: %s %v", resp.Status, body, err)
	}
}

// CLI gives what the AWS CLI prints, against this server.
func (s *Server) CLI(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(find(t, "aws", cliPackage), args...)
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	cmd.Env = append(own, s.Env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return string(out)
}

// freeAddress gives a port below those that connections take for themselves, so that it stays free for a while.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := "127.0.0.1:" + strconv.Itoa(10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// find gives a program's path: on the PATH, or in the virtual environment.
func find(t testing.TB, program, pkg string) string {
	t.Helper()
	if found, err := exec.LookPath(program); err == nil {
		return found
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("%s is not on the PATH, and there is no cache directory to install it in: %v", program, err)
	}
	dir := filepath.Join(cache, "gatehouse-moto")
	if err := install(dir, pkg); err != nil {
		t.Fatalf("%s is not on the PATH: %v", program, err)
	}
	return filepath.Join(dir, "bin", program)
}

// install makes a virtual environment with a package, unless it has been made. Test programs run side by side: one
// installs, the others wait for it.
func install(dir, pkg string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	made := filepath.Join(dir, ".made-"+strings.ReplaceAll(pkg, "/", "-"))
	if _, err := os.Stat(made); err == nil {
		return nil
	}
	for _, command := range [][]string{
		{"python3", "-m", "venv", dir},
		{filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pkg},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
		}
	}
	return os.WriteFile(made, nil, 0o644)
}
