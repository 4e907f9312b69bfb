package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The tour is a script: its console blocks, line by line, run on a fresh copy of the repository. `$ ` begins a command,
// ^C ends what `make run` started, and every other line must stand in the output of the command above it.
func TestTheTour(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tour.txtar"), []byte(tourScript(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	first := &terminal{}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"HOME", "GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS", "GOPROXY", "GOSUMDB"} {
				if value, err := exec.Command("go", "env", name).Output(); err == nil && name != "HOME" {
					e.Setenv(name, strings.TrimSpace(string(value)))
				}
			}
			e.Setenv("HOME", os.Getenv("HOME"))
			return fresh(e.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"up": first.up, "down": first.down, "said": first.shows, "shows": shows},
	})
}

// fresh copies what a clone would have, edits that are not committed included, and makes a repository of it.
func fresh(dir string) error {
	const copying = `cd .. && git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
		tar --null -T - -cf - | tar -xf - -C "$0" && cd "$0" && git init -q && git add -A && git -c user.name=t -c user.email=t@example.com -c commit.gpgsign=false commit -qm tour`
	if out, err := exec.Command("bash", "-o", "pipefail", "-c", copying, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the repository: %w\n%s", err, out)
	}
	return nil
}

// tourScript makes the script. Addresses are replaced by free ones, and told to those who have to know.
func tourScript(t *testing.T) string {
	t.Helper()
	ports := freePorts(t, 3)
	rest, http, issuer := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2]
	here := strings.NewReplacer(
		"make run", fmt.Sprintf("make run ARGS='--rest %s --http %s --issuer %s'", rest, http, issuer),
		"bin/gatehouse token ", "bin/gatehouse token --issuer http://"+issuer+"/ ",
		"127.0.0.1:8787", rest, "127.0.0.1:8788", http, "127.0.0.1:8789", issuer,
	)
	var script, files strings.Builder
	commands, checked := 0, "" // checked: the command that looks for what is shown
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/tour.md"), -1) {
		lines := strings.Split(block[1], "\n")
		for i, line := range lines[:len(lines)-1] {
			command, isCommand := strings.CutPrefix(line, "$ ")
			switch {
			case line == "":
			case line == "^C":
				script.WriteString("down\n")
				checked = "said"
			case isCommand:
				commands++
				fmt.Fprintf(&files, "-- command%d.sh --\n%s\n", commands, here.Replace(command))
				if next := lines[i+1]; next != "" && !strings.HasPrefix(next, "$ ") {
					files.WriteString("true # a refusal has an exit code; what is shown tells whether it is right\n")
				}
				if strings.HasPrefix(command, "make run") {
					fmt.Fprintf(&script, "up command%d.sh\n", commands)
					checked = "said"
				} else {
					fmt.Fprintf(&script, "exec bash command%d.sh\n", commands)
					checked = "shows"
				}
			default:
				fmt.Fprintf(&script, "%s '%s'\n", checked, strings.ReplaceAll(strings.TrimSpace(line), "'", "''"))
			}
		}
	}
	if commands < 15 {
		t.Fatalf("only %d commands found in the tour", commands)
	}
	return script.String() + files.String()
}

// terminal is the first one, where `make run` runs: in a process group of its own, so that ^C reaches all of it.
type terminal struct {
	cmd  *exec.Cmd
	said output
}

// up starts a command that stays, and waits until it is ready.
func (f *terminal) up(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command("bash", args[0])
	cmd.Dir = ts.Getenv("WORK")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = &f.said, &f.said
	before := len(f.said.String())
	ts.Check(cmd.Start())
	f.cmd = cmd
	ts.Defer(func() {
		if f.cmd == cmd {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_ = cmd.Wait()
		}
	})
	for began := time.Now(); !strings.Contains(f.said.String()[before:], "Ctrl-C ends everything"); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 5*time.Minute { // it builds first
			ts.Fatalf("not ready:\n%s", f.said.String())
		}
	}
}

// down is Ctrl-C.
func (f *terminal) down(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(syscall.Kill(-f.cmd.Process.Pid, syscall.SIGINT))
	_ = f.cmd.Wait() // make says that it was interrupted
	f.cmd = nil
}

// shows wants a line of the tour on the first terminal.
func (f *terminal) shows(ts *testscript.TestScript, _ bool, args []string) {
	if said := f.said.String(); !strings.Contains(said, args[0]) {
		ts.Fatalf("no %q on the first terminal:\n%s", args[0], said)
	}
}

// shows wants a line of the tour in what the last command wrote.
func shows(ts *testscript.TestScript, _ bool, args []string) {
	said := strings.ReplaceAll(ts.ReadFile("stdout")+ts.ReadFile("stderr"), "\r", "")
	if !strings.Contains(said, args[0]) {
		ts.Fatalf("no %q in:\n%s", args[0], said)
	}
}
