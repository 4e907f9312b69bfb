package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a child: far more than a slow machine needs, and far less than a test run may take.
const patience = 30 * time.Second

// child is a program of another language that a test drives: questions on its standard input, a line each; answers on
// its standard output, a line each. It ends when its standard input does, so that it outlives no test run.
type child struct {
	name   string
	stdin  io.WriteCloser
	lines  chan string   // of standard output; closed at its end
	exited chan struct{} // closed when the process is gone
	err    error         // how it went; set before exited is closed
	stderr output
}

// output collects what a child writes while a test may read it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// node starts a script that needs what tools/package.json pins, in an environment of PATH, HOME and what is given. A
// script imports a package by its path, ../../tools/node_modules/NAME/..., as it does not stand under tools.
func node(t *testing.T, script string, env ...string) *child {
	t.Helper()
	if _, err := os.Stat("../tools/node_modules/.package-lock.json"); err != nil {
		t.Fatalf("the npm packages of tools/package.json are not installed: run `make tools` (%v)", err)
	}
	return start(t, "node", []string{script}, env...)
}

// start runs a program in a process group of its own and ends all of it with the test. Where the test failed, what the
// program wrote to standard error is shown.
func start(t *testing.T, program string, args []string, env ...string) *child {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // should a grandchild hold the pipes
	c := &child{name: fmt.Sprintf("%s %s", filepath.Base(program), args[0]), lines: make(chan string, 64), exited: make(chan struct{})}
	cmd.Stderr = &c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	r, w := io.Pipe()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.name, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.exited)
		w.Close()
	}()
	stop := make(chan struct{})
	go func() {
		defer close(c.lines)
		in := bufio.NewScanner(r)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			select {
			case c.lines <- in.Text():
			case <-stop:
			}
		}
		_ = r.CloseWithError(in.Err()) // a line over the bound must not leave the child blocked
	}()
	t.Cleanup(func() {
		close(stop)
		_ = c.stdin.Close()
		select {
		case <-c.exited: // its number may be another's by now
		default:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-c.exited
		}
		if t.Failed() {
			t.Logf("%s wrote to standard error:\n%s", c.name, c.stderr.String())
		}
	})
	return c
}

// line gives the next line of standard output.
func (c *child) line(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			<-c.exited
			t.Fatalf("%s: no further line, and it ended: %v\n%s", c.name, c.err, c.stderr.String())
		}
		return line
	case <-time.After(patience):
		t.Fatalf("%s: no line within %v\n%s", c.name, patience, c.stderr.String())
	}
	return ""
}

// ask writes a question as one line of JSON and reads the answer from the next line.
func (c *child) ask(t *testing.T, question, answer any) {
	t.Helper()
	line, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: ask: %v\n%s", c.name, err, c.stderr.String())
	}
	c.read(t, answer)
}

// read takes the next line as JSON.
func (c *child) read(t *testing.T, answer any) {
	t.Helper()
	line := c.line(t)
	if err := json.Unmarshal([]byte(line), answer); err != nil {
		t.Fatalf("%s: answer %.200s: %v\n%s", c.name, line, err, c.stderr.String())
	}
}

// wait ends the child's standard input and gives how it ended; nil is exit code 0.
func (c *child) wait(t *testing.T) error {
	t.Helper()
	_ = c.stdin.Close()
	select {
	case <-c.exited:
	case <-time.After(patience):
		t.Fatalf("%s: still running %v after its input ended\n%s", c.name, patience, c.stderr.String())
	}
	return c.err
}
