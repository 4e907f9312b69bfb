package test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/test/moto"
)

// The runbook is a script: the commands of its console blocks, each begun by `$ `, run one after the other over a Parameter
// Store that somebody else wrote, and what stands below a command must be in its output, line by line.
func TestTheRunbook(t *testing.T) {
	aws := moto.Start(t)
	dir := t.TempDir()
	const auth0 = `{"version":"v1","issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["https://api.example.com"]}]}`
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.Symlink(gatehouse(t), filepath.Join(dir, "bin", "gatehouse")),
		policiesWith(filepath.Join(dir, "policies"), func(roles string) string { return roles }),
		policiesWith(filepath.Join(dir, "policies-2"), customersDelete),
		os.WriteFile(filepath.Join(dir, "auth0.json"), []byte(auth0), 0o600),
		os.WriteFile(filepath.Join(dir, "auth0-2.json"), []byte(strings.Replace(auth0, "api.example", "api2.example", 1)), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL_SSM=" + aws.URL}, aws.Env...)
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/runbook.md"), -1) {
		for _, step := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, shown, _ := strings.Cut(strings.ReplaceAll(step, "\\\n", ""), "\n")
			commands++
			// What a command exports, the next one finds.
			c := exec.Command("bash", "-c", `[ -f env ] && . ./env; `+command+`; code=$?; export -p > env; exit $code`)
			c.Dir, c.Env = dir, env
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("$ %s: %v\n%s", command, err, out)
			}
			rest := string(out)
			for line := range strings.Lines(shown) {
				want := strings.TrimSpace(line)
				if !strings.Contains(rest, want) {
					t.Fatalf("$ %s: no %q in\n%s", command, want, out)
				}
				_, rest, _ = strings.Cut(rest, want)
			}
		}
	}
	if commands < 35 {
		t.Errorf("only %d commands found in the runbook", commands)
	}
}
