package test

import (
	"fmt"
	"io"
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

// The tour is a script: its console blocks, run on a fresh clone. `$ ` begins a command, ^C ends what `make run` started,
// and any other line must be in the output of the command above it. What stands in a block before its first command, below
// `make run` or below ^C is looked for on the first terminal, each line after the one before.
func TestTheTour(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tour.txtar"), []byte(tourScript(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	first := &terminal{}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", os.Getenv("HOME"))
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"} {
				value, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return fmt.Errorf("go env %s: %w", name, err)
				}
				e.Setenv(name, strings.TrimSpace(string(value)))
			}
			e.Cd = filepath.Join(e.WorkDir, "gatehouse")
			first.dir, first.env = e.Cd, e.Vars
			e.Defer(func() { _ = first.end() }) // for a script that failed before its last ^C
			return clone(e.Cd, e.Vars)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"up": first.up, "down": first.down, "said": first.says, "shows": shows},
	})
}

// clone makes a clone of the repository as it would be with all edits committed: otherwise the test would pass or fail with
// the last commit while somebody works on the next.
func clone(dir string, env []string) error {
	const script = `git init -q --bare "$0.git"
		here() { git --git-dir "$0.git" --work-tree . -c user.name=tour -c user.email=tour@example.com -c commit.gpgsign=false "$@"; }
		here add -A
		here commit -q --no-verify -m tour
		git clone -q "$0.git" "$0"`
	c := exec.Command("bash", "-e", "-c", script, dir)
	c.Dir, c.Env = "..", env
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("clone the repository: %w\n%s", err, out)
	}
	return nil
}

// tourScript makes the script. The usual addresses may be taken, so free ones stand for them.
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
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/tour.md"), -1) {
		steps := strings.Split("\n"+strings.ReplaceAll(block[1], "\\\n", ""), "\n$ ")
		for i, step := range steps {
			shown, look := step, "said"
			if i > 0 {
				var command string
				command, shown, _ = strings.Cut(step, "\n")
				commands++
				fmt.Fprintf(&files, "-- command%d.sh --\n%s\n", commands, here.Replace(command))
				switch {
				case command == "make run":
					fmt.Fprintf(&script, "up $WORK/command%d.sh\n", commands)
				case strings.HasPrefix(shown, "fail "):
					fmt.Fprintf(&script, "! exec bash $WORK/command%d.sh\n", commands)
					look = "shows"
				default:
					fmt.Fprintf(&script, "exec bash $WORK/command%d.sh\n", commands)
					look = "shows"
				}
				if strings.HasPrefix(command, "curl -i") && !strings.Contains(shown, "Warning: ") {
					script.WriteString("! stdout ^Warning:\n") // of all that is left out, this would be untrue
				}
			}
			for line := range strings.Lines(shown) {
				switch line = strings.TrimSpace(line); line {
				case "":
				case "^C":
					script.WriteString("down\n")
					look = "said"
				default:
					fmt.Fprintf(&script, "%s '%s'\n", look, strings.ReplaceAll(line, "'", "''"))
				}
			}
		}
	}
	if commands < 15 {
		t.Fatalf("only %d commands found in the tour", commands)
	}
	return script.String() + files.String()
}

// terminal is the first one, where `make run` runs.
type terminal struct {
	dir      string
	env      []string
	cmd      *exec.Cmd // nil where nothing runs
	screen   *os.File
	unread   string // of the screen: what came after the line that was found last
	patience time.Duration
}

// up starts a command that stays, in a process group of its own, so that ^C reaches all of it.
func (f *terminal) up(ts *testscript.TestScript, _ bool, args []string) {
	screen, w, err := os.Pipe()
	ts.Check(err)
	defer w.Close()
	cmd := exec.Command("bash", args[0])
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = f.dir, f.env, w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(cmd.Start())
	f.cmd, f.screen, f.patience = cmd, screen, 5*time.Minute // it builds first
}

// says waits for a line of the tour on the first terminal.
func (f *terminal) says(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(f.patience)
	for !strings.Contains(f.unread, args[0]) {
		_ = f.screen.SetReadDeadline(deadline) // a closed one says so when it is read
		b := make([]byte, 4096)
		n, err := f.screen.Read(b)
		f.unread += string(b[:n])
		if err != nil {
			ts.Fatalf("no %q on the first terminal (%v), but:\n%s", args[0], err, f.unread)
		}
	}
	_, f.unread, _ = strings.Cut(f.unread, args[0])
	f.patience = 10 * time.Second
}

// down is Ctrl-C.
func (f *terminal) down(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(f.end()) }

// end interrupts what runs and waits until nobody holds the screen; kills it where that takes too long.
func (f *terminal) end() error {
	if f.cmd == nil {
		return nil
	}
	err := syscall.Kill(-f.cmd.Process.Pid, syscall.SIGINT)
	_ = f.screen.SetReadDeadline(time.Now().Add(20 * time.Second))
	rest, lives := io.ReadAll(f.screen)
	if lives != nil {
		err = fmt.Errorf("still running after Ctrl-C: %w", lives)
		_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
	}
	f.unread += string(rest)
	_ = f.cmd.Wait() // make says that it was interrupted
	_ = f.screen.Close()
	f.cmd = nil
	return err
}

// shows wants a line of the tour in what the last command wrote.
func shows(ts *testscript.TestScript, _ bool, args []string) {
	said := strings.ReplaceAll(ts.ReadFile("stdout")+ts.ReadFile("stderr"), "\r", "")
	if !strings.Contains(said, args[0]) {
		ts.Fatalf("no %q in:\n%s", args[0], said)
	}
}
