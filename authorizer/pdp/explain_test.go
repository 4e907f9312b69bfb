package pdp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
)

func explainer(t *testing.T, change map[string]string) *pdp.Explainer {
	t.Helper()
	e, err := pdp.NewExplainer(t.Context(), pdp.Edition(t, change))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// customer is somebody who may read and write orders, on a weekday morning.
func customer(route string) authorizer.Input {
	in := full()
	in.Request.Route, in.Request.Params = route, map[string]string{"id": "auth0|supp"}
	in.Principal.Scopes, in.Principal.Permissions, in.Principal.Claims = []string{"openid"}, []string{}, map[string]any{}
	return in
}

func why(t *testing.T, e *pdp.Explainer, in authorizer.Input) pdp.Explanation {
	t.Helper()
	x, err := e.Explain(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	decision, err := e.Decide(t.Context(), in)
	if err != nil || fmt.Sprint(decision) != fmt.Sprint(x.Decision) {
		t.Errorf("explained %v, decided %v, %v", x.Decision, decision, err)
	}
	return x
}

// outline writes conditions one a line, indented by how deep they lie.
func outline(conditions []pdp.Condition, depth int) string {
	var b strings.Builder
	for _, c := range conditions {
		fmt.Fprintf(&b, "%s%s [", strings.Repeat("  ", depth), c.Source)
		for i, v := range c.Saw {
			if i > 0 {
				b.WriteString("; ")
			}
			fmt.Fprintf(&b, "%s=%s", v.Name, v.Value)
		}
		b.WriteString("]\n" + outline(c.Within, depth+1))
	}
	return b.String()
}

func texts(changes []pdp.Change) []string {
	var list []string
	for _, c := range changes {
		list = append(list, fmt.Sprintf("%s %t", c.Text, c.Allows))
	}
	return list
}

// lineAt gives a line of the policies.
func lineAt(t *testing.T, change map[string]string, at pdp.Place) string {
	t.Helper()
	content, err := fs.ReadFile(pdp.Edition(t, change), at.File)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	if at.Line < 1 || at.Line > len(lines) {
		t.Fatalf("%s: the file has %d lines", at, len(lines))
	}
	return strings.TrimSpace(lines[at.Line-1])
}

func TestExplainAMissingGrant(t *testing.T) {
	e := explainer(t, nil)
	x := why(t, e, customer("DELETE /orders/{id}"))
	if len(x.Grants) != 1 {
		t.Fatalf("grants %+v", x.Grants)
	}
	g := x.Grants[0]
	if g.Code != "orders.delete" || g.Title != "Delete an order" || g.Fired || !strings.HasPrefix(lineAt(t, nil, g.Place), `allow contains "orders.delete"`) {
		t.Errorf("%+v", g)
	}
	said := outline(g.Unmet, 0)
	for _, want := range []string{
		`principal.has_permission("delete:orders") []`,
		`input.principal.permissions=[]`, `permission="delete:orders"`,
		`data.attributes.roles.customer=["get:profile","read:orders","write:orders"]`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("lacks %s:\n%s", want, said)
		}
	}
	if want := []string{"permission delete:orders true", "role admin true", "role support true"}; !slices.Equal(texts(g.Remedy), want) {
		t.Errorf("remedy %q, want %q", texts(g.Remedy), want)
	}
	if got := lineAt(t, nil, g.Unmet[0].Place); got != g.Unmet[0].Source {
		t.Errorf("at %s stands %q, want %q", g.Unmet[0].Place, got, g.Unmet[0].Source)
	}
	if x.ReadsPath {
		t.Error("no rule of the route reads the path")
	}
}

func TestExplainEachGrantOfTheRoute(t *testing.T) {
	e := explainer(t, nil)
	x := why(t, e, customer("GET /users/{id}/orders"))
	if len(x.Grants) != 2 || x.Grants[0].Code != "orders.read_own" || x.Grants[1].Code != "orders.read_any" {
		t.Fatalf("%+v", x.Grants)
	}
	if got, want := outline(x.Grants[0].Unmet, 0), "input.request.params.id == input.principal.subject [input.request.params.id=\"auth0|supp\"; input.principal.subject=\"auth0|cust\"]\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := []string{"subject auth0|supp true"}; !slices.Equal(texts(x.Grants[0].Remedy), want) {
		t.Errorf("got %q", texts(x.Grants[0].Remedy))
	}
	if !x.ReadsPath {
		t.Error("the grant reads a parameter of the path")
	}
	in := customer("GET /users/{id}/orders")
	in.Request.Params["id"] = "auth0|cust"
	if x = why(t, e, in); !x.Grants[0].Fired || x.Grants[1].Fired || x.Grants[1].Remedy != nil {
		t.Errorf("%+v", x.Grants)
	}
}

func TestExplainNoRoute(t *testing.T) {
	e := explainer(t, nil)
	for _, route := range []string{"", "GET /nowhere"} {
		if x := why(t, e, customer(route)); len(x.Grants) != 0 || x.Grants == nil || x.Constraints == nil {
			t.Errorf("%q: %+v", route, x)
		}
	}
	if keys := e.RouteKeys(); !slices.Contains(keys, "GET /orders/{id}") || !slices.IsSorted(keys) {
		t.Errorf("%q", keys)
	}
}

func constraintNamed(t *testing.T, x pdp.Explanation, name string) pdp.Constraint {
	t.Helper()
	for _, c := range x.Constraints {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no constraint %s in %+v", name, x.Constraints)
	return pdp.Constraint{}
}

func TestExplainConstraints(t *testing.T) {
	e := explainer(t, nil)
	tests := map[string]struct {
		name   string
		change func(*authorizer.Principal)
		saw    string
		remedy []string
	}{
		"another organization": {"home-organization", func(p *authorizer.Principal) { p.Organization = "org_other" },
			`input.principal.organization="org_other"; parameters.organizations=["org_home"]`,
			[]string{"organization org_home true", "no organization true"}},
		"suspended": {"suspended", func(p *authorizer.Principal) { p.Subject = "auth0|susp" },
			`data.attributes.suspended["auth0|susp"]="the sample's suspended customer"`, nil},
		"one factor": {"mfa-for-deletes", func(p *authorizer.Principal) { p.Claims = map[string]any{"amr": []any{"pwd"}} },
			`input.principal.claims.amr=["pwd"]`,
			[]string{`claim acr = "http://schemas.openid.net/pape/policies/2007/06/multi-factor" true`, `claim amr = ["mfa"] true`}},
	}
	for note, test := range tests {
		t.Run(note, func(t *testing.T) {
			in := customer("DELETE /orders/{id}")
			in.Principal.Permissions = []string{"delete:orders"}
			test.change(&in.Principal)
			c := constraintNamed(t, why(t, e, in), test.name)
			if len(c.Messages) == 0 {
				t.Fatalf("%+v: nothing found", c)
			}
			if got := lineAt(t, nil, c.Place); got != "template: "+c.Template {
				t.Errorf("at %s stands %q", c.Place, got)
			}
			if got := lineAt(t, nil, c.Rule); !strings.HasPrefix(got, "violation contains ") {
				t.Errorf("at %s stands %q", c.Rule, got)
			}
			if said := outline(c.Unmet, 0); !strings.Contains(said, test.saw) {
				t.Errorf("lacks %s:\n%s", test.saw, said)
			}
			if !slices.Equal(texts(c.Remedy), test.remedy) {
				t.Errorf("remedy %q, want %q", texts(c.Remedy), test.remedy)
			}
			if c.Title == "" || !json.Valid(c.Parameters) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// Only the instances that are about the request are explained: by the words of their match.
func TestExplainOnlyWhatIsInScope(t *testing.T) {
	e := explainer(t, map[string]string{
		"constraints/excluded/data.yaml": "template: require_scope\nmatch: {excludedPrincipals: [\"auth0|cust\"]}\nparameters: {scopes: [x]}\n",
		"constraints/empty/data.yaml":    "template: require_scope\nmatch: {routes: []}\nparameters: {scopes: [x]}\n",
	})
	names := func(route, subject string) []string {
		in := customer(route)
		in.Principal.Subject = subject
		var list []string
		x := why(t, e, in)
		for _, c := range x.Constraints {
			list = append(list, c.Name)
		}
		for _, v := range x.Decision.Violations {
			if !slices.Contains(list, v.Constraint) {
				t.Errorf("%s by %s: %s is violated and not in scope", route, subject, v.Constraint)
			}
		}
		return list
	}
	got := names("GET /orders", "auth0|cust")
	if slices.Contains(got, "excluded") || slices.Contains(got, "mfa-for-deletes") || !slices.Contains(got, "empty") || !slices.IsSorted(got) {
		t.Errorf("%q", got)
	}
	got = names("DELETE /orders/{id}", "auth0|supp")
	if !slices.Contains(got, "excluded") || !slices.Contains(got, "mfa-for-deletes") {
		t.Errorf("%q", got)
	}
}

// The forms that rules take beside those of the sample.
func TestExplainForms(t *testing.T) {
	const head = "package authz.orders\n\nimport future.keywords.not\n\n"
	tests := map[string]struct {
		rules string
		want  string // outline of the first grant
	}{
		"a literal":           {`allow contains "x" if { false }`, "false []\n"},
		"an absent value":     {`allow contains "x" if input.request.headers["x-y"][0] == "1"`, "input.request.headers[\"x-y\"][0] == \"1\" [input.request.headers[\"x-y\"][0]=]\n"},
		"a comparison":        {`allow contains "x" if count(input.principal.roles) > 3`, "count(input.principal.roles) > 3 [count(input.principal.roles)=1]\n"},
		"old not":             {`allow contains "x" if not _is("customer")` + "\n\n" + `_is(r) if r in input.principal.roles`, "not _is(\"customer\") []\n  r in input.principal.roles [r=\"customer\"; input.principal.roles=[\"customer\"]]\n"},
		"every":               {`allow contains "x" if every r in input.principal.roles { r == "admin" }`, "every r in input.principal.roles { r == \"admin\" } [input.principal.roles=[\"customer\"]]\n  r == \"admin\" [r=\"customer\"]\n"},
		"every of nothing":    {`allow contains "x" if every r in input.principal.nothing { r == "admin" }`, "every r in input.principal.nothing { r == \"admin\" } [input.principal.nothing=]\n"},
		"a rule's value":      {"allow contains \"x\" if _admin\n\n_admin if input.principal.machine\n", "_admin []\n  input.principal.machine [input.principal.machine=false]\n"},
		"else":                {"allow contains \"x\" if _level == 2\n\n_level := 2 if { input.principal.machine } else := 1 if { input.principal.subject == \"y\" }\n", "_level == 2 []\n  input.principal.machine [input.principal.machine=false]\n  input.principal.subject == \"y\" [input.principal.subject=\"auth0|cust\"]\n"},
		"with":                {"allow contains \"x\" if _admin with input.principal.machine as false\n\n_admin if input.principal.machine\n", "_admin with input.principal.machine as false []\n"},
		"some in":             {`allow contains "x" if { some r in input.principal.roles; r == "admin" }`, "r == \"admin\" [r=\"customer\"]\n"},
		"an object's field":   {"allow contains \"x\" if _f({\"a\": 1})\n\n_f(o) if o.a == 2\n", "_f({\"a\": 1}) []\n  o.a == 2 [o.a=1]\n"},
		"a constant argument": {"allow contains \"x\" if _f(\"b\")\n\n_f(\"a\") if true\n", "_f(\"b\") []\n"},
		"a computed code":     {`allow contains code if { code := input.principal.client_id; input.principal.machine }`, "input.principal.machine [input.principal.machine=false]\n"},
	}
	for note, test := range tests {
		t.Run(note, func(t *testing.T) {
			rules := strings.ReplaceAll(test.rules, " if {", "\tif {")
			e := explainer(t, map[string]string{"authz/orders/orders.rego": head + rules + "\n"})
			x := why(t, e, customer("GET /orders"))
			if len(x.Grants) != 1 || x.Grants[0].Fired {
				t.Fatalf("%+v", x.Grants)
			}
			if got := outline(x.Grants[0].Unmet, 0); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

// A rule is about a route by what it asks of the route alone, wherever in its body and in whatever way.
func TestExplainWhichRulesAreAboutTheRoute(t *testing.T) {
	e := explainer(t, map[string]string{"authz/orders/orders.rego": `package authz.orders

allow contains "last" if {
	input.principal.machine
	input.request.route == "GET /orders"
}

allow contains "among" if {
	input.request.route in {"GET /orders", "POST /orders"}
	input.principal.machine
}

allow contains "prefix" if {
	startswith(input.request.route, "GET ")
	input.principal.machine
}

allow contains "other" if {
	input.request.route == "POST /orders"
}

allow contains "every" if input.principal.machine

allow contains code if {
	input.request.route == "GET /orders"
	code := concat(".", ["x", input.request.method])
}
`})
	var codes []string
	for _, g := range why(t, e, customer("GET /orders")).Grants {
		codes = append(codes, fmt.Sprint(g.Code, " ", g.Fired))
	}
	if want := []string{"last false", "among false", "prefix false", "every false", "x.GET true"}; !slices.Equal(codes, want) {
		t.Errorf("got %q, want %q", codes, want)
	}
}

// A policy with an entrypoint of its own is explained by the instances that it gives to its templates, and a finding of no
// proper shape by what denies.
func TestExplainInstancesOfTheirOwn(t *testing.T) {
	e := explainer(t, map[string]string{
		"gatehouse/decision.rego": `package gatehouse

instances := object.union({}, {"require_scope": {"at-night": {"scopes": ["b"]}}}) if {
	input.principal.machine
} else := object.union({}, {"require_scope": {"by-day": {"scopes": ["a"]}, "spared": {}}})

decision := {
	"allowed": false, "status": {"code": 403, "reason": "ConstraintViolated", "message": "no"}, "grants": ["x"],
	"violations": [
		{"constraint": "by-day", "template": "deny_subjects", "action": "deny", "message": "no finding of its template"},
		{"constraint": "by-day", "template": "require_scope", "action": "deny", "message": "odd"},
		{"constraint": "by-day", "template": "require_scope", "action": "warn", "message": "token lacks a required scope"},
	],
	"warnings": ["token lacks a required scope"], "auditAnnotations": {}, "context": {},
}
`,
		"constraints/by-day/data.yaml":   "template: require_scope\nenforcementAction: warn\nmatch: {routes: [\"POST /orders\"]}\nparameters: {scopes: [other]}\n",
		"constraints/at-night/data.yaml": "template: require_scope\nenforcementAction: warn\nparameters: {scopes: [other]}\n",
		"constraints/spared/data.yaml":   "template: require_scope\nmatch: {excludedPrincipals: [\"auth0|cust\"]}\nparameters: {scopes: [other]}\n",
	})
	x := why(t, e, customer("GET /orders"))
	var said []string
	for _, c := range x.Constraints {
		said = append(said, fmt.Sprintf("%s %s %s:%d %s %s %q", c.Name, c.Template, c.File, c.Line, c.Action, c.Parameters, c.Messages))
	}
	want := []string{
		`by-day deny_subjects constraints/by-day/data.yaml:1 deny  ["no finding of its template"]`,
		`by-day require_scope constraints/by-day/data.yaml:1 deny {"scopes":["a"]} ["odd" "token lacks a required scope"]`,
	}
	if !slices.Equal(said, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if c := x.Constraints[1]; len(c.Unmet) == 0 || !strings.Contains(outline(c.Unmet, 0), "a") {
		t.Errorf("%+v", c)
	}
	in := customer("GET /orders")
	in.Principal.Machine, in.Principal.Subject = true, "auth0|other"
	if x = why(t, e, in); len(x.Constraints) != 3 || x.Constraints[0].Name != "at-night" || x.Constraints[0].Messages != nil {
		t.Errorf("%+v", x.Constraints)
	}
}

// A policy whose own entrypoint finds something about no instance is explained as far as it goes.
func TestExplainAForeignFinding(t *testing.T) {
	e := explainer(t, map[string]string{"gatehouse/decision.rego": `package gatehouse

instances := data.routes.none

decision := {
	"allowed": false, "status": {"code": 403, "reason": "NotGranted", "message": ""}, "grants": [],
	"violations": [{"constraint": "ghost", "template": "none", "action": "deny", "message": "boo"}],
	"warnings": [], "auditAnnotations": {}, "context": {},
}
`})
	if c := constraintNamed(t, why(t, e, customer("GET /orders")), "ghost"); c.File != "" || c.Messages[0] != "boo" {
		t.Errorf("%+v", c)
	}
}

// Templates may be built of functions, and negate in the old way.
func TestExplainTemplateForms(t *testing.T) {
	const head = `# METADATA
# scope: package
# title: Mine
# description: A template.
# custom:
#   parameters:
#     type: object
#     required: [want]
#     additionalProperties: false
#     properties:
#       want: {type: string}
package admission.mine

import data.gatehouse

`
	const instance = "template: mine\nenforcementAction: warn\nparameters: {want: gold}\n"
	tests := map[string]struct{ rules, want string }{
		"a function's value": {`violation contains {"constraint": name, "message": message} if {
	some name, parameters in gatehouse.instances.mine
	message := _fault(parameters)
}

_fault(parameters) := "no parameters" if not parameters.want

_fault(parameters) := "not gold" if {
	_configured(parameters)
	not _has(parameters.want)
}

_configured(parameters) if not parameters.want == 1

_has(level) if input.principal.claims.level == level
`, "_has(parameters.want) []\n  input.principal.claims.level == level [input.principal.claims.level=; level=\"gold\"]\n"},
		"a function that is asked": {`violation contains {"constraint": name, "message": "not gold"} if {
	some name, parameters in gatehouse.instances.mine
	_lacks(parameters.want)
}

_lacks(level) if {
	not _has(level)
}

_has(level) if input.principal.claims.level == level
`, "_has(level) [level=\"gold\"]\n  input.principal.claims.level == level [input.principal.claims.level=; level=\"gold\"]\n"},
	}
	for note, test := range tests {
		t.Run(note, func(t *testing.T) {
			e := explainer(t, map[string]string{"admission/mine/mine.rego": head + test.rules, "constraints/mine/data.yaml": instance})
			c := constraintNamed(t, why(t, e, customer("GET /orders")), "mine")
			if got := outline(c.Unmet, 0); len(c.Messages) != 1 || c.Messages[0] != "not gold" || got != test.want {
				t.Errorf("%q\ngot\n%swant\n%s", c.Messages, got, test.want)
			}
			if want := []string{`claim level = "gold" true`}; !slices.Equal(texts(c.Remedy), want) {
				t.Errorf("remedy %q, want %q", texts(c.Remedy), want)
			}
		})
	}
}

func TestExplainFails(t *testing.T) {
	e := explainer(t, map[string]string{"authz/orders/orders.rego": "package authz.orders\n\nallow contains \"x\" if time.parse_rfc3339_ns(input.principal.subject) > 0\n"})
	var fault *authorizer.Error
	if _, err := e.Explain(t.Context(), customer("GET /orders")); !errors.As(err, &fault) || fault.Code != "policy_failed" {
		t.Errorf("got %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := explainer(t, nil).Explain(ended, customer("GET /orders")); err == nil {
		t.Error("explained although nobody waits")
	}
	for note, root := range map[string]fs.FS{
		"unreadable": fstest.MapFS{"x.txt": {}},
		"unloadable": fstest.MapFS{"x.rego": {Data: []byte("package x")}},
		"bad route":  pdp.Edition(t, map[string]string{"routes/data.json": `{"nonsense": {"api": "orders", "answer": "request"}}`}),
	} {
		if _, err := pdp.NewExplainer(t.Context(), root); err == nil {
			t.Errorf("%s: loaded", note)
		}
	}
}
