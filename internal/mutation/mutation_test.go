package mutation

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// guarded is a policy of which nothing can go unseen: a grant, a template, an instance, and tests for each.
var guarded = map[string]string{
	".manifest": `{"roots": ["authz", "admission", "constraints"], "rego_version": 1}`,
	"authz/a/a.rego": `package authz.a

allow contains "a.read" if {
	input.route in {"GET /a", "HEAD /a"}
	count([s | some s in input.scopes; startswith(s, "a:")]) > 0
	every s in input.scopes {
		s != "none"
	}
}
`,
	"authz/a/a_test.rego": `package authz.a_test

import data.authz.a

test_allow[route] if {
	some route in ["GET /a", "HEAD /a"]
	a.allow == {"a.read"} with input as {"route": route, "scopes": ["a:x", "b"]}
}

test_deny[note] if {
	some note, document in {
		"route": {"route": "PUT /a", "scopes": ["a:x"]},
		"scopes": {"route": "GET /a", "scopes": ["b"]},
		"none": {"route": "GET /a", "scopes": ["a:x", "none"]},
	}
	a.allow == set() with input as document
}
`,
	"admission/t/t.rego": `package admission.t

import future.keywords.not

violation contains {"constraint": name, "message": "no"} if {
	some name, c in data.constraints
	not input.method in c.parameters.methods
}
`,
	"admission/t/t_test.rego": `package admission.t_test

import data.admission.t

test_shipped[method] if {
	some method in ["GET", "HEAD"]
	t.violation == set() with input as {"method": method}
}

test_deny if t.violation == {{"constraint": "c", "message": "no"}} with input as {"method": "PUT"}

todo_test_later if false
`,
	"constraints/c/data.yaml": "template: t\nparameters:\n  methods:\n    - GET\n    - HEAD\n",
}

func with(changes map[string]string) fs.FS {
	files := maps.Clone(guarded)
	maps.Copy(files, changes)
	root := fstest.MapFS{}
	for name, content := range files {
		if content != "" {
			root[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		}
	}
	return root
}

func survivors(r Report) []string { return named(r.Survivors) }

func named(mutants []Mutant) []string {
	found := []string{}
	for _, m := range mutants {
		found = append(found, m.String())
	}
	return found
}

func TestSurvivors(t *testing.T) {
	in := func(name, old, new string) map[string]string {
		changed := strings.Replace(guarded[name], old, new, 1)
		if changed == guarded[name] {
			t.Fatalf("%s has no %q", name, old)
		}
		return map[string]string{name: changed}
	}
	for _, tt := range []struct {
		name    string
		change  map[string]string
		mutants int
		want    []string
	}{
		// In authz: the route, its two elements, the count, startswith, the every; what is inside it is stillborn, as
		// are all `some`. In admission: the `not`, and what is inside. In constraints: the instance and its two methods.
		{"all noticed", nil, 11, []string{}},
		{"a condition", in("authz/a/a_test.rego", `"route": {"route": "PUT /a", "scopes": ["a:x"]},`, ""), 11,
			[]string{`authz/a/a.rego:4: without input.route in {"GET /a", "HEAD /a"}`}},
		{"the inside of a comprehension, and the count", in("authz/a/a_test.rego", `"scopes": {"route": "GET /a", "scopes": ["b"]},`, ""), 11,
			[]string{
				`authz/a/a.rego:5: without count([s | some s in input.scopes; startswith(s, "a:")]) > 0`,
				`authz/a/a.rego:5: without startswith(s, "a:")`,
			}},
		{"the whole of an every", in("authz/a/a_test.rego", `"none": {"route": "GET /a", "scopes": ["a:x", "none"]},`, ""), 11,
			[]string{`authz/a/a.rego:6: without every s in input.scopes { …`}},
		{"an element of a set", in("authz/a/a_test.rego", `["GET /a", "HEAD /a"]`, `["GET /a"]`), 11,
			[]string{`authz/a/a.rego:4: without "HEAD /a" in {"GET /a", "HEAD /a"}`}},
		{"a template's condition", in("admission/t/t_test.rego", "t.violation == set() with", "t.violation with"), 11,
			[]string{
				"admission/t/t.rego:7: without not input.method in c.parameters.methods",
				"constraints/c/data.yaml:3: without GET in methods",
				"constraints/c/data.yaml:3: without HEAD in methods",
			}},
		{"an instance", in("admission/t/t_test.rego", `test_deny if t.violation == {{"constraint": "c", "message": "no"}}`, "test_deny if t.violation"), 11,
			[]string{
				"admission/t/t.rego:7: without what is inside: not input.method in c.parameters.methods",
				"constraints/c/data.yaml:1: without the constraint c",
			}},
		{"an element of an instance", in("admission/t/t_test.rego", `["GET", "HEAD"]`, `["GET"]`), 11,
			[]string{"constraints/c/data.yaml:3: without HEAD in methods"}},
		{"an element of an array", map[string]string{
			"authz/b/b.rego":      "package authz.b\n\nmore := 3\n\nallow contains \"b\" if input.n in [1, 2]\n",
			"authz/b/b_test.rego": "package authz.b_test\n\ntest_b if {\n\tdata.authz.b.allow == {\"b\"} with input as {\"n\": 1}\n\tdata.authz.b.allow == set() with input as {\"n\": 3}\n}\n",
		}, 14, []string{"authz/b/b.rego:5: without 2 in [1, 2]"}},
		{"noticed elsewhere only", map[string]string{
			"authz/b/b.rego":      "package authz.b\n\nallow contains \"b\" if input.n == 1\n",
			"authz/z/z_test.rego": "package authz.z_test\n\ntest_b if data.authz.b.allow == set() with input as {\"n\": 2}\n",
		}, 12, []string{}},
		{"noticed by an error of a built-in", map[string]string{
			"authz/b/b.rego":      "package authz.b\n\nallow contains \"b\" if {\n\tis_string(input.n)\n\tto_number(input.n) == 1\n}\n",
			"authz/b/b_test.rego": "package authz.b_test\n\ntest_b if {\n\tdata.authz.b.allow == set() with input as {\"n\": [1]}\n\tdata.authz.b.allow == set() with input as {\"n\": \"2\"}\n}\n",
		}, 13, []string{}},
		{"two tests of one name, and cases of cases", map[string]string{
			"authz/b/b.rego": "package authz.b\n\nallow contains \"b\" if input.n == input.m\n",
			"authz/b/b_test.rego": `package authz.b_test

test_b[n] if {
	some n in [1, 2]
	data.authz.b.allow == {"b"} with input as {"n": n, "m": n}
}

test_b[n] if {
	some n in [3, 4]
	data.authz.b.allow == {"b"} with input as {"n": n, "m": n}
}

test_c[n][m] if {
	some n in [1, 2]
	some m in [3, 4]
	data.authz.b.allow == set() with input as {"n": n, "m": m}
}
`,
		}, 12, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Run(t.Context(), with(tt.change))
			if err != nil {
				t.Fatal(err)
			}
			if got := survivors(r); r.Mutants != tt.mutants || !slices.Equal(got, tt.want) {
				t.Errorf("got %d mutants, survivors %q; want %d, %q", r.Mutants, got, tt.mutants, tt.want)
			}
		})
	}
}

// What does not compile was not tested, and is named.
func TestStillborn(t *testing.T) {
	r, err := Run(t.Context(), with(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := named(r.Stillborn), []string{
		"admission/t/t.rego:6: without some name, c in data.constraints",
		"authz/a/a.rego:5: without some s in input.scopes",
		`authz/a/a.rego:7: without s != "none"`,
	}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change map[string]string
		want   string
	}{
		{"a file that is none of a policy", map[string]string{"notes.txt": "x"}, "read policies: read policies: notes.txt"},
		{"a rule that is none", map[string]string{"authz/a/a.rego": "package"}, "read policies: "},
		{"a test that fails", map[string]string{"authz/a/more_test.rego": "package authz.a_test\n\ntest_no if false\n"},
			"test authz/a: data.authz.a_test.test_no fails on the policy as it stands"},
		{"a case that fails", map[string]string{"authz/a/more_test.rego": "package authz.a_test\n\ntest_no[n] if {\n\tsome n in [1, 2]\n\tn == 1\n}\n"},
			"test authz/a: data.authz.a_test.test_no fails on the policy as it stands"},
		{"a test that does not compile", map[string]string{"authz/a/a_test.rego": "package authz.a_test\n\ntest_no if x == 1\n"}, "var x is unsafe"},
		{"no tests", map[string]string{"authz/a/a_test.rego": "", "admission/t/t_test.rego": ""}, "no tests, or no condition"},
		{"nothing to leave out", map[string]string{"authz/a/a.rego": "", "authz/a/a_test.rego": "", "admission/t/t.rego": "", "constraints/c/data.yaml": "",
			"admission/t/t_test.rego": "package admission.t_test\n\ntest_yes if true\n"}, "no tests, or no condition"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Run(t.Context(), with(tt.change))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !reflect.DeepEqual(r, Report{}) {
				t.Errorf("got %+v, %v; want an error with %q", r, err, tt.want)
			}
		})
	}
}

// What was cut short says nothing of survivors.
func TestCutShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Run(ctx, with(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", r, err)
	}
	p, err := load(with(nil))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.test(ctx, p.ruleMutants()); err == nil || r.Mutants != 0 || len(r.Survivors) != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Neither does a test that was running.
func TestCutShortInATest(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	many := "[" + strings.Repeat("1, ", 2_000) + "1]"
	_, err := Run(ctx, with(map[string]string{"authz/a/long_test.rego": "package authz.a_test\n\nmany := " + many +
		"\n\ntest_long if count([1 | some a in many; some b in many; some c in many; a + b == c]) == 0\n"}))
	if err == nil || strings.Contains(err.Error(), "fails on the policy") {
		t.Errorf("got %v, want what cut it short", err)
	}
}

// A mutant changes nothing of the policy that it was made of.
func TestMutantsShareNothing(t *testing.T) {
	p, err := load(with(nil))
	if err != nil {
		t.Fatal(err)
	}
	before := p.rules["authz/a/a.rego"].String()
	data := map[string]any{"template": "t", "parameters": map[string]any{"methods": []any{"GET", "HEAD"}}}
	p.ruleMutants()
	p.dataMutants()
	if after := p.rules["authz/a/a.rego"].String(); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
	if got := p.data["constraints"].(map[string]any)["c"]; !reflect.DeepEqual(got, data) {
		t.Errorf("got %v, want %v", got, data)
	}
}
