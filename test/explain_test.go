package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runs gives the standard output and the exit code of the command line, in an environment without settings.
func runs(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	c := exec.Command(gatehouse(t), args...)
	var out, faults bytes.Buffer
	c.Env, c.Stdin, c.Stdout, c.Stderr = []string{}, strings.NewReader(stdin), &out, &faults
	var exit *exec.ExitError
	if err := c.Run(); errors.As(err, &exit) {
		if out.Len() == 0 {
			t.Logf("%q: %s", args, faults.String())
		}
		return out.String(), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), 0
}

// place is a line that an explanation names.
type place struct {
	File string
	Line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// stands says what the named line of the policies says, as their reader finds it.
func (p place) stands(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "policies", filepath.FromSlash(p.File)))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	if p.Line < 1 || p.Line > len(lines) {
		t.Fatalf("%s:%d: the file has %d lines", p.File, p.Line, len(lines))
	}
	return lines[p.Line-1]
}

// remedies are what each person lacks on a row of the sample table where nothing is granted: one of them is named.
var remedies = map[string]string{
	"GET /profile":                   "permission get:profile",
	"GET /users/auth0%7Ccust/orders": "permission read:orders:any",
	"GET /users/auth0%7Csupp/orders": "permission read:orders:any",
	"POST /orders":                   "permission write:orders",
	"DELETE /orders/42":              "permission delete:orders",
	"GET /admin/users":               "permission admin:users",
	"outsider":                       "home-organization",
	"suspended":                      "suspended",
}

// Each denial of the sample table is explained from the record that the built function wrote: by the missing grant or
// by the constraint, with file and line, and there it stands.
func TestExplainEachDenialOfTheSampleTable(t *testing.T) {
	s := serve(t)
	type denial struct{ row, person string }
	var denials []denial
	for _, row := range rows {
		for i, person := range people {
			if row.want[i] == 403 {
				call(t, row.method, s.rest+row.path, "Bearer "+s.token(t, "--as", person), row.content)
				denials = append(denials, denial{row.method + " " + row.path, person})
			}
		}
	}
	var records []string
	for _, line := range strings.Split(read(t, filepath.Join(s.keys, "authorizer.log")), "\n") {
		if strings.Contains(line, `"allowed":false`) {
			records = append(records, line)
		}
	}
	if len(records) != len(denials) || len(denials) < 15 {
		t.Fatalf("%d records of %d denials", len(records), len(denials))
	}
	printed := map[string]bool{}
	for i, d := range denials {
		t.Run(d.row+" "+d.person, func(t *testing.T) {
			x := explains(t, records[i], d.row, d.person)
			if kind := x.kind(d.person); !printed[kind] {
				printed[kind] = true
				x.printed(t, records[i], d.row, d.person)
			}
		})
	}
	if len(printed) != 3 { // no grant, and each of the two constraints that deny
		t.Errorf("the text of %v was read", printed)
	}
}

// explanation is what explain --json prints, as far as it is looked at here.
type explanation struct {
	Notes    []string
	Decision struct {
		Status struct{ Reason string }
	}
	Grants []struct {
		place
		Code  string
		Fired bool
		Unmet []struct {
			place
			Source string
		}
		Remedy []struct{ Text string }
	}
	Constraints []struct {
		place
		Name, Template string
		Rule           place
		Messages       []string
	}
}

// kind is why a person was denied, in a word.
func (x explanation) kind(person string) string {
	if x.Decision.Status.Reason == "ConstraintViolated" {
		return remedies[person]
	}
	return x.Decision.Status.Reason
}

// printed looks in the text for what the document says, which was found true.
func (x explanation) printed(t *testing.T, record, row, person string) {
	text, code := runs(t, record, "explain")
	if code != 0 || strings.Contains(text, "\x1b") {
		t.Errorf("exit %d, or colours where there is no terminal:\n%q", code, text)
	}
	var want []string
	if x.Decision.Status.Reason == "NotGranted" {
		want = append(want, remedies[row])
		for _, g := range x.Grants {
			want = append(want, g.Code, g.String(), g.Unmet[0].String())
		}
	}
	for _, c := range x.Constraints {
		if len(c.Messages) > 0 {
			want = append(want, c.Name, c.String(), c.Rule.String(), c.Messages[0])
		}
	}
	if len(want) < 4 {
		t.Errorf("nothing to look for: %q", want)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s: the text lacks %q:\n%s", person, w, text)
		}
	}
}

func explains(t *testing.T, record, row, person string) explanation {
	out, code := runs(t, record, "explain", "--json")
	var x explanation
	if err := json.Unmarshal([]byte(out), &x); err != nil || code != 0 || len(x.Notes) != 0 {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	switch x.Decision.Status.Reason {
	case "NotGranted":
		if len(x.Grants) == 0 {
			t.Fatal("no grant is named")
		}
		named := false
		for _, g := range x.Grants {
			if g.Fired || len(g.Unmet) == 0 {
				t.Fatalf("%+v", g)
			}
			if got := g.stands(t); !strings.HasPrefix(got, `allow contains "`+g.Code+`" if`) {
				t.Errorf("%s:%d: %q is not the rule of %s", g.File, g.Line, got, g.Code)
			}
			if got := strings.TrimSpace(g.Unmet[0].stands(t)); got != g.Unmet[0].Source {
				t.Errorf("%s:%d: %q is not %q", g.Unmet[0].File, g.Unmet[0].Line, got, g.Unmet[0].Source)
			}
			for _, r := range g.Remedy {
				named = named || r.Text == remedies[row]
			}
		}
		if !named {
			t.Errorf("%q is not said to help:\n%s", remedies[row], out)
		}
	case "ConstraintViolated":
		for _, c := range x.Constraints {
			if c.Name != remedies[person] {
				continue
			}
			if len(c.Messages) == 0 || c.File != "constraints/"+c.Name+"/data.yaml" || c.stands(t) != "template: "+c.Template {
				t.Errorf("%+v: %q", c, c.stands(t))
			}
			if got := c.Rule.stands(t); !strings.HasPrefix(got, "violation contains ") || !strings.HasPrefix(c.Rule.File, "admission/"+c.Template+"/") {
				t.Errorf("%+v: %q is no rule of the template", c.Rule, got)
			}
			return x
		}
		t.Errorf("%s is not named:\n%s", remedies[person], out)
	default:
		t.Errorf("reason %q", x.Decision.Status.Reason)
	}
	return x
}

// From an event, too, with the settings of the function.
func TestExplainAnEvent(t *testing.T) {
	tn := newTenant(t)
	event := fmt.Sprintf(`{"type":"TOKEN","authorizationToken":"Bearer %s","methodArn":"arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/GET/admin/users"}`, tn.token(t, "customer"))
	c := exec.Command(gatehouse(t), "explain")
	c.Env, c.Stdin = []string{"GATEHOUSE_AUTH0=" + tn.auth0}, strings.NewReader(event)
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "authz/admin/admin.rego:") || !strings.Contains(string(out), "permission admin:users") {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), tn.token(t, "customer")) {
		t.Error("the explanation holds the token")
	}
}
