package fidelity

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running gives the scripted functions that this process has started, by the mark in their environment.
func running(t *testing.T, mark string) []int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no list of children: %v", err)
	}
	var found []int
	for _, file := range tasks {
		children, _ := os.ReadFile(file) // a thread may be gone
		for _, field := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // the process may be gone
			if strings.Contains(string(environment), "KILL="+mark+"\x00") {
				found = append(found, pid)
			}
		}
	}
	return found
}

// A process that dies in the middle of a request gives that request what AWS gives it, and the next one a new process.
func TestKilledMidRequest(t *testing.T) {
	doc := strings.NewReplacer("AUTHORIZER: 'yes'}", "AUTHORIZER: 'yes', KILL: auth}", "{MARK: api}", "{MARK: api, KILL: api}").Replace(head + authorizers + functions)
	w := startWith(t, doc+"      - "+rest("get a")+"\n      - "+httpAPI("GET /a", "iam")+"\n")
	for _, c := range []struct{ who, url, want string }{
		{"auth", w.rest, rest500},
		{"auth", w.http, http500},
		{"api", w.rest, `502 InternalServerErrorException {"message":"Internal server error"}`},
		{"api", w.http, http500},
	} {
		send(t, "GET", c.url+"/a") // so that both have a process
		invocations := fmt.Sprintf("function=%q", c.who)
		before := w.counted(t, "gatehouse_invocations_total", invocations)
		answer := make(chan response, 1)
		go func() {
			defer close(answer)
			answer <- send(t, "GET", c.url+"/a", order(c.who, "nap", "4s"))
		}()
		for deadline := time.Now().Add(20 * time.Second); w.counted(t, "gatehouse_invocations_total", invocations) == before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: nobody was asked", c.who)
			}
		}
		time.Sleep(200 * time.Millisecond) // from the gateway to the function
		began := time.Now()
		for _, pid := range running(t, c.who) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		want(t, c.who+" killed at "+c.url, (<-answer).line(), c.want)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: answered %v after its end", c.who, took)
		}
		if got := send(t, "GET", c.url+"/a"); got.status != 200 {
			t.Errorf("%s at %s, the next request: got %s", c.who, c.url, got.line())
		}
	}
}
