package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the README shows on a terminal happens, against a system of the test's own.
func TestTheREADMEIsTrue(t *testing.T) {
	s, dir := serve(t), operators(t)
	here := strings.NewReplacer(
		"ssm:/gatehouse/prod", "file:"+filepath.Join(dir, "store"),
		"http://127.0.0.1:8787/dev", s.rest,
		"http://127.0.0.1:8788", s.http,
		"bin/gatehouse token", "bin/gatehouse token --issuer "+s.issuer+" --keys "+s.keys,
	)
	if n := console(t, "../README.md", dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, here); n < 12 {
		t.Errorf("only %d commands found in the README", n)
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
