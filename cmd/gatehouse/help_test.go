package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Each example of the manuals works as it is printed, in a directory with the sample's policies and deployment, and those
// of the store with one that holds two releases of which the second is active.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	for name, m := range manuals {
		if name != "serve" {
			var script strings.Builder
			script.WriteString("sample\n")
			if slices.ContainsFunc(storeVerbs, func(v verb) bool { return v.name == name }) {
				script.WriteString("stored\n")
			}
			for i, example := range m.examples {
				fmt.Fprintf(&script, "exec sh example-%d.sh\n", i)
				switch {
				case strings.Contains(example, "--json"):
					script.WriteString("document\n")
				case !strings.Contains(example, "--check"): // which is silent where all is well
					script.WriteString("stdout .\n")
				}
			}
			if len(m.examples) == 0 {
				t.Errorf("%s has no example", name)
			}
			for i, example := range m.examples {
				fmt.Fprintf(&script, "-- example-%d.sh --\n%s\n", i, example)
			}
			if err := os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(script.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, v := range verbs {
		if len(manuals[v.name].examples) == 0 {
			t.Errorf("%s has no example", v.name)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"sample": sample, "document": document, "stored": stored},
	})
}

// The example of serve, until the interrupt that its user would send.
func TestExampleOfServe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "gatehouse")); err != nil { // what testscript.Main answers to
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	service, err := readLocal(filepath.Join(root, "serverless.yml"), "http://127.0.0.1:1/", spaOrigins)
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range manuals["serve"].examples {
		c := exec.CommandContext(t.Context(), "sh", "-c", "exec "+example)
		c.Dir = t.TempDir()
		if err := os.Symlink(filepath.Join(root, "serverless.yml"), filepath.Join(c.Dir, "serverless.yml")); err != nil {
			t.Fatal(err)
		}
		for _, function := range service.Functions { // nobody calls them here
			folder := filepath.Join(c.Dir, "dist", function.Name)
			if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "bootstrap"), []byte("#!/bin/sh\n"), 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		c.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		screen := bufio.NewReader(out)
		for line := ""; !strings.Contains(line, "Ctrl-C"); {
			if line, err = screen.ReadString('\n'); err != nil {
				t.Fatalf("%s: ended early: %v", example, errors.Join(err, c.Wait()))
			}
		}
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, screen)
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
}

func TestColours(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	tests := []struct {
		note string
		file *os.File
		env  []string
		want bool
	}{
		{"a file", file, nil, false},
		{"a pipe", pipe, nil, false},
		{"a closed file", closed, nil, false},
		{"a terminal", terminal, []string{"TERM=xterm"}, true},
		{"a terminal, NO_COLOR empty", terminal, []string{"NO_COLOR="}, true},
		{"a terminal, NO_COLOR", terminal, []string{"NO_COLOR=1"}, false},
		{"a terminal that is dumb", terminal, []string{"TERM=dumb"}, false},
	}
	for _, test := range tests {
		if got := coloured(test.file, test.env); got != test.want {
			t.Errorf("%s: got %t, want %t", test.note, got, test.want)
		}
	}
}

// With colours and without them a report says the same, and none of its text can bring colours of its own.
func TestColouredReport(t *testing.T) {
	args := []string{"can-i", "DELETE", "/orders/42", "--sub", "auth0|1", "--org", "org_other"}
	plain := call(t, "", nil, args...)
	var out, faults strings.Builder
	code := run(t.Context(), args, stdio{in: strings.NewReader(""), out: &out, err: &faults, colour: true})
	if plain.code != exitRefused || code != exitRefused || strings.Contains(plain.out, "\x1b") || !strings.Contains(out.String(), "\x1b[31mdenied: 403 NotGranted\x1b[0m") {
		t.Errorf("exit %d and %d\n%q\n%q", plain.code, code, plain.out, out.String())
	}
	without := strings.NewReplacer("\x1b[0m", "", "\x1b["+bold+"m", "", "\x1b["+red+"m", "", "\x1b["+green+"m", "", "\x1b["+yellow+"m", "", "\x1b["+faint+"m", "").Replace(out.String())
	if without != plain.out {
		t.Errorf("without its colours:\n%s\nplain:\n%s", without, plain.out)
	}
}

func TestNoTextReachesTheTerminalAsItIs(t *testing.T) {
	for _, colour := range []bool{false, true} {
		w := page{stdio: stdio{colour: colour}}
		w.line(1, "%s %s", w.paint(red, "no"), "a\x1b[2Jb\x1b]0;title\ac\u202ed\x1b[")
		if got := w.text.String(); strings.Count(got, "\x1b") != map[bool]int{true: 2}[colour] || strings.ContainsAny(got, "\a\u202e") {
			t.Errorf("%q", got)
		}
	}
}
