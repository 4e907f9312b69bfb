package moto

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstall(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		dir := t.TempDir()
		bin := fakePython(t, "exit 0")
		t.Setenv("PATH", bin)
		if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(dir, "log")
		script := "#!/bin/sh\necho \"$0 $*\" >> " + log + "\n"
		if err := os.WriteFile(filepath.Join(dir, "bin", "python"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := install(dir, serverPackage); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(log)
		if err != nil || strings.Count(string(got), "pip install") != 1 {
			t.Errorf("%s %v", got, err)
		}
	})
	t.Run("names the command that failed", func(t *testing.T) {
		t.Setenv("PATH", fakePython(t, "echo no venv here; exit 1"))
		dir := t.TempDir()
		err := install(dir, serverPackage)
		if err == nil || !strings.Contains(err.Error(), "python3 -m venv "+dir) || !strings.Contains(err.Error(), "no venv here") {
			t.Error(err)
		}
	})
}

// fakePython gives a directory with a python3 that does this.
func fakePython(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "python3"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServer(t *testing.T) {
	s := Start(t)
	s.CLI(t, "ssm", "put-parameter", "--name", "/a/b", "--value", "x", "--type", "String")
	if got := s.CLI(t, "ssm", "get-parameter", "--name", "/a/b", "--query", "Parameter.Value", "--output", "text"); got != "x\n" {
		t.Errorf("%q", got)
	}
	s.Reset(t)
	if got := s.CLI(t, "ssm", "describe-parameters", "--query", "Parameters", "--output", "json"); strings.TrimSpace(got) != "[]" {
		t.Errorf("after a reset: %q", got)
	}
}
