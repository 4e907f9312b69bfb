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

// What the README shows on a terminal happens: each command is run against a system of the test's own, and every line
// shown below it is in its output.
func TestTheREADMEIsTrue(t *testing.T) {
	readme := read(t, "../README.md")
	s := serve(t)
	dir := t.TempDir()
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.Symlink(gatehouse(t), filepath.Join(dir, "bin", "gatehouse")),
		policiesWith(filepath.Join(dir, "policies"), func(roles string) string { return roles }),
		policiesWith(filepath.Join(dir, "edited"), customersDelete),
		os.WriteFile(filepath.Join(dir, "auth0.json"), []byte(`{"version":"v1","issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["https://api.example.com"]}]}`), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer(
		"ssm:/gatehouse/prod", "file:"+filepath.Join(dir, "store"),
		"http://127.0.0.1:8787/dev", s.rest,
		"http://127.0.0.1:8788", s.http,
		"bin/gatehouse token", gatehouse(t)+" token --issuer "+s.issuer+" --keys "+s.keys,
		"bin/gatehouse can-i", gatehouse(t)+" can-i",
	)
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(readme, -1) {
		for _, step := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, shown, _ := strings.Cut(step, "\n")
			c := exec.Command("bash", "-c", `[ -f env ] && . ./env; `+here.Replace(command)+"\ncode=$?; export -p > env; exit $code")
			c.Dir = dir
			out, err := c.Output()
			if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !(ok && exit.ExitCode() == 1 && strings.HasPrefix(shown, "denied")) {
				t.Errorf("%s: %v", command, err)
			}
			for line := range strings.Lines(shown) {
				if line = strings.TrimSpace(line); line != "" && !strings.Contains(strings.ReplaceAll(string(out), "\r", ""), line) {
					t.Errorf("%s\nshows %q, and gives:\n%s", command, line, out)
				}
			}
			commands++
		}
	}
	if commands < 4 {
		t.Errorf("only %d commands found in the README", commands)
	}
}

// What the README names is there: targets of make, verbs, files.
func TestTheREADMENamesWhatIsThere(t *testing.T) {
	readme, makefile := read(t, "../README.md"), read(t, "../Makefile")
	for _, m := range regexp.MustCompile(`(?m)^make (\w+)`).FindAllStringSubmatch(readme, -1) {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
			t.Errorf("make %s: no such target", m[1])
		}
	}
	help, err := exec.Command(gatehouse(t), "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`gatehouse ([a-z0-9-]+)").FindAllStringSubmatch(readme, -1) {
		if m[1] != "help" && !strings.Contains(string(help), "\n  "+m[1]+" ") {
			t.Errorf("gatehouse %s: no such verb", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme, -1) {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Error(err)
		}
	}
	// The document under "The function's settings" starts the function.
	document := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(readme)
	if document == nil {
		t.Fatal("no Auth0 document in the README")
	}
	c := exec.Command(gatehouse(t), "authorize")
	c.Env = []string{"GATEHOUSE_AUTH0=" + strings.Replace(document[1], "https://t.eu.auth0.com/", "http://127.0.0.1:1/", 1)}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The example of docs/settings.md is let in.
func TestTheSettingsPageIsTrue(t *testing.T) {
	page := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(read(t, "../docs/settings.md"))
	if page == nil {
		t.Fatal("no example")
	}
	s := serve(t)
	script := strings.NewReplacer(
		"http://127.0.0.1:8789/", s.issuer,
		"bin/gatehouse token", gatehouse(t)+" token --issuer "+s.issuer+" --keys "+s.keys,
		"bin/gatehouse authorize", gatehouse(t)+" authorize",
	).Replace(page[1])
	out, err := exec.Command("bash", "-c", script).Output()
	if err != nil || !strings.HasPrefix(effect(t, strings.TrimSpace(string(out))), "Allow ") {
		t.Errorf("%v: %s", err, out)
	}
}
