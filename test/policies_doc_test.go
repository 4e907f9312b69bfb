package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/policies"
)

// The policy author's guide is true: its files, put into a copy of the policies, load and pass; what it calls refused is
// refused with the words that it shows; its commands give what it says.
func TestThePolicyGuideIsTrue(t *testing.T) {
	page := read(t, "../docs/policies.md")
	opa, err := filepath.Abs("../bin/tools/opa")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(opa); err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	fresh := func() string {
		dir := t.TempDir()
		if err := os.CopyFS(filepath.Join(dir, "policies"), policies.FS); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	write := func(dir, file, content string) {
		name := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	named := regexp.MustCompile(`^# (policies/\S+)\n(?:# refused: (.*)\n)?`)
	guide := fresh()
	count := map[string]int{}
	for _, block := range regexp.MustCompile("(?ms)^```(rego|yaml|json|console)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		kind, text := block[1], block[2]
		switch kind {
		case "json": // more routes
			table, more := map[string]any{}, map[string]any{}
			for into, from := range map[*map[string]any]string{&table: read(t, filepath.Join(guide, "policies/routes/data.json")), &more: text} {
				if err := json.Unmarshal([]byte(from), into); err != nil {
					t.Fatal(err)
				}
			}
			for route, entry := range more {
				table[route] = entry
			}
			content, err := json.Marshal(table)
			if err != nil {
				t.Fatal(err)
			}
			write(guide, "policies/routes/data.json", string(content))
		case "console":
			for _, step := range strings.Split("\n"+text, "\n$ ")[1:] {
				command, shown, _ := strings.Cut(step, "\n")
				c := exec.Command("bash", "-c", regexp.MustCompile(`^(opa|gatehouse) `).ReplaceAllStringFunc(command, func(program string) string {
					if program == "opa " {
						return opa + " "
					}
					return gatehouse(t) + " "
				}))
				c.Dir = guide
				out, err := c.CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v\n%s", command, err, out)
				}
				for line := range strings.Lines(shown) {
					if line = strings.TrimSpace(line); !strings.Contains(string(out), line) {
						t.Errorf("%s\nshows %q, and gives:\n%s", command, line, out)
					}
				}
			}
		default:
			head := named.FindStringSubmatch(text)
			if head == nil {
				t.Errorf("a block of %s names no file:\n%s", kind, text)
				continue
			}
			file, want := head[1], head[2]
			if want == "" {
				write(guide, file, strings.TrimPrefix(text, "# "+file+"\n"))
				break
			}
			kind = "refused"
			dir := fresh()
			write(dir, file, strings.TrimPrefix(text, head[0]))
			out, err := exec.Command(gatehouse(t), "test", filepath.Join(dir, "policies")).CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%s\n%v, want it refused with %q; got:\n%s", text, err, want, out)
			}
			// Each is one that nothing else would have noticed.
			if !strings.Contains(want, "undefined function") {
				if out, err := exec.Command(opa, "check", "--strict", filepath.Join(dir, "policies")).CombinedOutput(); err != nil {
					t.Errorf("%s\nopa check --strict: %v\n%s", text, err, out)
				}
			}
		}
		count[kind]++
	}
	if count["rego"] < 6 || count["yaml"] < 10 || count["refused"] < 9 || count["console"] != 1 || count["json"] != 1 {
		t.Errorf("blocks found: %v: this test looks for another form", count)
	}
}

// The guide's constraint and its test, and nothing else, put into the policies: every part of it is held, so that
// `make check` lets through the first step of rolling it out.
func TestTheConstraintOfThePolicyGuideIsHeld(t *testing.T) {
	page, dir := read(t, "../docs/policies.md"), filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"constraints/orders-from-office/data.yaml", "gatehouse/sample/orders_from_office_test.rego"} {
		block := regexp.MustCompile("(?ms)^# policies/" + regexp.QuoteMeta(name) + "\n(.*?)^```$").FindStringSubmatch(page)
		if block == nil {
			t.Fatalf("no block of %s", name)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(block[1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(gatehouse(t), "test", "--mutate", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " mutants, 0 survived") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Every template is in the guide's table, and the instance that the table names for it is there.
func TestThePolicyGuideNamesEveryTemplate(t *testing.T) {
	page := read(t, "../docs/policies.md")
	templates, err := policies.FS.ReadDir("admission")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range templates {
		row := regexp.MustCompile("(?m)^\\| `" + e.Name() + "` \\| .* \\| `([a-z-]+)` \\|$").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("no row of the table is about template %s", e.Name())
			continue
		}
		content, err := policies.FS.ReadFile("constraints/" + row[1] + "/data.yaml")
		if err != nil || !strings.Contains(string(content), "template: "+e.Name()+"\n") {
			t.Errorf("constraint %s: want an instance of %s: %v\n%s", row[1], e.Name(), err, content)
		}
	}
}
