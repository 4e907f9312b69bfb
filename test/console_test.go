package test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// console runs the commands of a document's console blocks, each begun by `$ `, one after the other in a directory: what one
// exports, the next one finds. What stands below a command must be in its output, line after line. A command may end with
// exit code 1 where that is what is shown: "denied". It gives the number of commands.
func console(t *testing.T, document, dir string, env []string, here *strings.Replacer) (commands int) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(read(t, document), -1) {
		for _, step := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, shown, _ := strings.Cut(step, "\n")
			commands++
			c := exec.Command("bash", "-c", "[ -f env ] && . ./env\n"+here.Replace(command)+"\ncode=$?; export -p > env; exit $code")
			c.Dir, c.Env = dir, env
			out, err := c.CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !(ok && exit.ExitCode() == 1 && strings.HasPrefix(shown, "denied")) {
				t.Fatalf("%s: $ %s: %v\n%s", document, command, err, out)
			}
			rest := strings.ReplaceAll(string(out), "\r", "")
			for line := range strings.Lines(shown) {
				_, after, found := strings.Cut(rest, strings.TrimSpace(line))
				if !found {
					t.Fatalf("%s: $ %s: no %q in\n%s", document, command, strings.TrimSpace(line), rest)
				}
				rest = after
			}
		}
	}
	return commands
}

// operators is a directory as the documents have it: the program, two policies and Auth0 configurations.
func operators(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	const auth0 = `{"version":"v1","issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["https://api.example.com"]}]}`
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.Symlink(gatehouse(t), filepath.Join(dir, "bin", "gatehouse")),
		policiesWith(filepath.Join(dir, "policies"), func(roles string) string { return roles }),
		policiesWith(filepath.Join(dir, "edited"), customersDelete),
		os.WriteFile(filepath.Join(dir, "auth0.json"), []byte(auth0), 0o600),
		os.WriteFile(filepath.Join(dir, "auth0-2.json"), []byte(strings.Replace(auth0, "api.example", "api2.example", 1)), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
