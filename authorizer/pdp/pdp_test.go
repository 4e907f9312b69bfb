package pdp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/policies"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

// full is an input with every field set.
func full() authorizer.Input {
	return authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{
			ID: "r-1", API: "a1b2c3", Stage: "prod", Protocol: authorizer.REST, Method: "GET", Route: "GET /orders/{id}",
			Path: []string{"orders", "42"}, Params: map[string]string{"id": "42"},
			Query: map[string][]string{"q": {"1", "2"}}, Headers: map[string][]string{"x-tenant": {"acme"}},
			SourceIP: netip.MustParseAddr("2001:db8::1"), Time: noon,
		},
		Principal: authorizer.Principal{
			Issuer: "https://t.eu.auth0.com/", Subject: "auth0|cust", ClientID: "spa", Organization: "org_home",
			Audience: []string{"https://api.example.com"}, Scopes: []string{"openid", "read:orders"}, Permissions: []string{"read:orders"},
			Roles: []string{"customer"}, Machine: false, ExpiresAt: noon.Add(time.Hour).Truncate(time.Second),
			Claims: map[string]any{
				"acr": "x", "n": json.Number("12345678901234567890.5"), "t": true, "z": nil,
				"o": map[string]any{"a": []any{json.Number("1"), "b"}},
			},
		},
	}
}

func bare() authorizer.Input {
	return authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{API: "a", Stage: "dev", Protocol: authorizer.WebSocket, Time: noon},
		Principal: authorizer.Principal{
			Issuer: "i", Subject: "s", Audience: []string{}, Scopes: []string{}, Permissions: []string{}, Roles: []string{},
			ExpiresAt: noon, Claims: map[string]any{},
		},
	}
}

func policy(t testing.TB, root fs.FS) *pdp.Policy {
	t.Helper()
	p, err := pdp.Load(context.Background(), root)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// deciding gives policies whose entrypoint is the given Rego.
func deciding(t testing.TB, rego string) fs.FS {
	return pdp.Edition(t, map[string]string{"gatehouse/decision.rego": "package gatehouse\n\ninstances := data.index.otherwise\n\n" + rego})
}

const granted = `{"allowed": true, "status": {"code": 200, "reason": "Granted", "message": ""}, "grants": ["g"], "violations": [],
	"warnings": [], "auditAnnotations": {}, "context": {}}`

func TestDecide(t *testing.T) {
	p := policy(t, pdp.Edition(t, nil))
	customer := full()

	d, err := p.Decide(t.Context(), customer)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Allowed || d.Status.Reason != authorizer.Granted || !slices.Equal(d.Grants, []string{"orders.read"}) {
		t.Errorf("a customer reads an order: got %+v", d)
	}

	deletes := customer
	deletes.Request.Method, deletes.Request.Route = "DELETE", "DELETE /orders/{id}"
	if d, err = p.Decide(t.Context(), deletes); err != nil {
		t.Fatal(err)
	}
	if d.Allowed || d.Status != (authorizer.Status{Code: 403, Reason: authorizer.NotGranted, Message: "no grant for DELETE /orders/{id}"}) {
		t.Errorf("a customer deletes an order: got %+v", d)
	}

	support := deletes
	support.Principal.Roles, support.Principal.Claims = []string{"support"}, map[string]any{}
	if d, err = p.Decide(t.Context(), support); err != nil {
		t.Fatal(err)
	}
	if !d.Allowed || len(d.Warnings) != 1 {
		t.Errorf("support deletes an order without MFA: want allowed with a warning, got %+v", d)
	}

	stranger := customer
	stranger.Principal.Organization = "org_other"
	if d, err = p.Decide(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	if d.Allowed || d.Status.Reason != authorizer.ConstraintViolated {
		t.Errorf("another organization: got %+v", d)
	}
}

func TestUnknownRouteIsDenied(t *testing.T) {
	p := policy(t, pdp.Edition(t, nil))
	for _, route := range []string{"", "GET /nowhere", "$connect", "get /orders/{id}"} {
		in := full()
		in.Request.Route = route
		if d, err := p.Decide(t.Context(), in); err != nil || d.Allowed || d.Status.Reason != authorizer.NotGranted {
			t.Errorf("route %q: got %+v, %v", route, d, err)
		}
	}
}

// One edit of data changes the answer: no Go file knows a role.
func TestARoleIsData(t *testing.T) {
	in := full()
	in.Request.Method, in.Request.Route = "DELETE", "DELETE /orders/{id}"
	roles, err := fs.ReadFile(policies.FS, "attributes/roles/data.yaml")
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(roles), "customer:\n", "customer:\n  - delete:orders\n", 1)
	if edited == string(roles) {
		t.Fatal("the roles file has another form: mend this test")
	}
	for name, tt := range map[string]struct {
		root    fs.FS
		allowed bool
	}{
		"as shipped": {pdp.Edition(t, nil), false},
		"edited":     {pdp.Edition(t, map[string]string{"attributes/roles/data.yaml": edited}), true},
	} {
		if d, err := policy(t, tt.root).Decide(t.Context(), in); err != nil || d.Allowed != tt.allowed {
			t.Errorf("%s: got %+v, %v", name, d, err)
		}
	}
}

// The input document has one meaning: as a value in Go, as JSON in a record, as `opa eval --input` reads it.
func TestInputIsItsJSON(t *testing.T) {
	p := policy(t, deciding(t, `decision := {"allowed": false, "status": {"code": 403, "reason": "NotGranted", "message": ""},
	"grants": [], "violations": [], "warnings": [], "auditAnnotations": {}, "context": {"saw": json.marshal(input)}}`))
	for name, in := range map[string]authorizer.Input{"full": full(), "bare": bare()} {
		d, err := p.Decide(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		saw, logged := ast.MustParseTerm(d.Context["saw"]), ast.MustParseTerm(string(document))
		if saw.Value.Compare(logged.Value) != 0 {
			t.Errorf("%s: the policy saw\n%s\nand the record says\n%s", name, d.Context["saw"], document)
		}
	}
}

func TestNoDecisionButTheExactShape(t *testing.T) {
	change := func(old, new string) string { return "decision := " + strings.Replace(granted, old, new, 1) }
	tests := []struct{ name, rego, want string }{
		{"undefined", `decision := 1 if false`, "0 results"},
		{"a boolean", `decision := true`, "want an object"},
		{"a string", `decision := "true"`, "want an object"},
		{"two values", "decision := 1 if true\n\ndecision := 2 if true", "eval_conflict_error"},
		{"an unknown field", change(`"allowed": true`, `"allowed": true, "allow": true`), "not one of"},
		{"no field allowed", change(`"allowed": true, `, ``), "allowed: missing"},
		{"allowed as text", change(`"allowed": true`, `"allowed": "true"`), "allowed: string"},
		{"no grants", change(`"grants": ["g"], `, ``), "grants: missing"},
		{"grants as a set", change(`["g"]`, `{"g"}`), "grants: set"},
		{"a grant that is a number", change(`["g"]`, `[1]`), "grants: number"},
		{"no violations", change(`"violations": [],`, ``), "violations: missing"},
		{"a violation that is a text", change(`"violations": []`, `"violations": ["x"]`), "violation: string"},
		{"a violation without action", change(`"violations": []`, `"violations": [{"constraint": "c", "template": "t", "message": "m"}]`), "violation.action: missing"},
		{"status as text", change(`{"code": 200, "reason": "Granted", "message": ""}`, `"ok"`), "status: string"},
		{"a code that is no whole number", change(`200`, `200.5`), "status.code"},
		{"a code that is a text", change(`200`, `"200"`), "status.code: string"},
		{"warnings as text", change(`"warnings": []`, `"warnings": "w"`), "warnings: string"},
		{"annotations of numbers", change(`"auditAnnotations": {}`, `"auditAnnotations": {"k": 1}`), "auditAnnotations: number"},
		{"a usage key that is a number", change(`"context": {}`, `"context": {}, "usageIdentifierKey": 1`), "usageIdentifierKey: number"},
		{"a usage key that is null", change(`"context": {}`, `"context": {}, "usageIdentifierKey": null`), "usageIdentifierKey: null"},
		{"a usage key that is empty", change(`"context": {}`, `"context": {}, "usageIdentifierKey": ""`), "usageIdentifierKey: empty"},
		{"codes that it cannot know", change(`"context": {}`, `"context": {}, "disclosed": []`), "not one of"},
		{"too many grants", change(`["g"]`, `[sprintf("g%d", [i]) | some i, _ in `+thousandAndOne+`]`), "grants: 1001: at most 1000"},
		{"too many violations", change(`"violations": []`, `"violations": [{"constraint": "c", "template": "t", "action": "warn", "message": "m"} | some _ in `+thousandAndOne+`]`), "violations: 1001: at most 1000"},
		{"too many warnings", change(`"warnings": []`, `"warnings": ["w" | some _ in `+thousandAndOne+`]`), "warnings: 1001: at most 1000"},
		{"too much context", change(`"context": {}`, `"context": {sprintf("k%d", [i]): "v" | some i, _ in `+thousandAndOne+`}`), "context: 1001: at most 1000"},
		{"too many annotations", change(`"auditAnnotations": {}`, `"auditAnnotations": {sprintf("k%d", [i]): "v" | some i, _ in `+thousandAndOne+`}`), "auditAnnotations: 1001: at most 1000"},
		{"context as a list", change(`"context": {}`, `"context": []`), "context: array"},
		{"context of objects", change(`"context": {}`, `"context": {"a": {}}`), "context: object"},
		{"allowed by an action with an invisible letter", change(`"violations": []`, `"violations": [{"constraint": "c", "template": "t", "action": "warn\u200b", "message": "m"}]`), "does not follow"},
		{"an annotation's name with a control character", change(`"auditAnnotations": {}`, `"auditAnnotations": {"a\u001b": "x"}`), "auditAnnotations: a name"},
		{"allowed without a grant", change(`["g"]`, `[]`), "does not follow"},
		{"allowed against a denying violation", change(`"violations": []`, `"violations": [{"constraint": "c", "template": "t", "action": "deny", "message": "m"}]`), "does not follow"},
		{"allowed against a misspelt action", change(`"violations": []`, `"violations": [{"constraint": "c", "template": "t", "action": "Warn", "message": "m"}]`), "does not follow"},
		{"allowed with another reason", change(`"Granted"`, `"NotGranted"`), "does not follow"},
		{"allowed with another code", change(`200`, `403`), "does not follow"},
		{"denied though granted", change(`"allowed": true`, `"allowed": false`), "does not follow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy(t, deciding(t, tt.rego)).Decide(t.Context(), full())
			if !errors.Is(err, authorizer.ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want Unavailable with %q", err, tt.want)
			}
			if !reflect.DeepEqual(d, authorizer.Decision{}) {
				t.Errorf("a decision came with the error: %+v", d)
			}
		})
	}
}

// thousandAndOne is an array of so many items in Rego.
var thousandAndOne = `split("` + strings.Repeat(",", 1000) + `", ",")`

// As many as there may be.
func TestAThousandFindings(t *testing.T) {
	d, err := policy(t, deciding(t, `decision := `+strings.Replace(granted, `"violations": []`,
		`"violations": [{"constraint": "c", "template": "t", "action": "warn", "message": "m"} | some i, _ in `+thousandAndOne+`; i > 0]`, 1))).Decide(t.Context(), full())
	if err != nil || len(d.Violations) != 1000 {
		t.Errorf("%d violations, %v", len(d.Violations), err)
	}
}

func TestUsageIdentifierKey(t *testing.T) {
	d, err := policy(t, deciding(t, `decision := object.union(`+granted+`, {"usageIdentifierKey": "key-of-acme"})`)).Decide(t.Context(), full())
	if err != nil || d.UsageIdentifierKey != "key-of-acme" {
		t.Errorf("got %q, %v", string(d.UsageIdentifierKey), err)
	}
	if d, err = policy(t, deciding(t, `decision := `+granted)).Decide(t.Context(), full()); err != nil || d.UsageIdentifierKey != "" {
		t.Errorf("got %q, %v", string(d.UsageIdentifierKey), err)
	}
}

// disclosing changes the shipped policies: two more grants, and a second constraint of another template.
var disclosing = map[string]string{
	"authz/orders/more.rego": `package authz.orders

# METADATA
# custom: {code: orders.delete_own, disclose: true}
allow contains "orders.delete_own" if {
	input.request.route in {"DELETE /orders/{id}", "GET /orders"}
	input.principal.subject == "nobody"
}

# METADATA
# custom: {code: orders.secret, disclose: false}
allow contains "orders.secret" if {
	input.request.route == "DELETE /orders/{id}"
	input.principal.subject == "nobody"
}
`,
	"constraints/mfa-for-deletes/data.yaml": "template: require_mfa\nmatch: {routes: [\"DELETE /orders/{id}\"]}\nparameters: {acr: [gold]}\n",
}

// What a denied client may learn is exact: the grants of its route when it has none, the templates that deny it when it
// has one, and only those whose METADATA says so.
func TestDisclosed(t *testing.T) {
	tests := []struct {
		name   string
		change map[string]string
		route  string
		roles  []string
		reason authorizer.Reason
		want   []string
	}{
		{"allowed", nil, "GET /orders/{id}", []string{"customer"}, authorizer.Granted, nil},
		{"allowed with a warning", nil, "DELETE /orders/{id}", []string{"support"}, authorizer.Granted, nil},
		{"one grant", nil, "DELETE /orders/{id}", []string{"customer"}, authorizer.NotGranted, []string{"orders.delete"}},
		{"grants that do not say so", nil, "POST /orders", nil, authorizer.NotGranted, nil},
		{"no such route", nil, "PATCH /orders", nil, authorizer.NotGranted, nil},
		{"no route", nil, "", nil, authorizer.NotGranted, nil},
		{"two grants", disclosing, "DELETE /orders/{id}", nil, authorizer.NotGranted, []string{"orders.delete", "orders.delete_own"}},
		{"of a list of routes", disclosing, "GET /orders", nil, authorizer.NotGranted, []string{"orders.delete_own"}},
		{"a template", disclosing, "DELETE /orders/{id}", []string{"support"}, authorizer.ConstraintViolated, []string{"mfa_required"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := full()
			in.Request.Route = tt.route
			in.Principal.Roles, in.Principal.Permissions, in.Principal.Scopes = tt.roles, []string{}, []string{"openid"}
			p := policy(t, pdp.Edition(t, tt.change))
			for range 2 { // one decision's codes are not another's
				d, err := p.Decide(t.Context(), in)
				if err != nil || d.Status.Reason != tt.reason || !slices.Equal(d.Disclosed, tt.want) || (d.Disclosed == nil) != (tt.want == nil) {
					t.Fatalf("%v, %+v", err, d)
				}
				for i := range d.Disclosed {
					d.Disclosed[i] = "overwritten"
				}
			}
		})
	}
}

// A finding that only warns, or that stands beside a missing grant, is not why the request was denied.
func TestDisclosedFollowsTheReason(t *testing.T) {
	decision := func(grants, action string) string {
		reason := "ConstraintViolated"
		if grants == "[]" {
			reason = "NotGranted"
		}
		return `decision := {"allowed": false, "status": {"code": 403, "reason": "` + reason + `", "message": ""}, "grants": ` + grants + `,
	"violations": [{"constraint": "mfa-for-deletes", "template": "require_mfa", "action": "` + action + `", "message": "m"},
		{"constraint": "c", "template": "deny_subjects", "action": "deny", "message": "m"}],
	"warnings": [], "auditAnnotations": {}, "context": {}}`
	}
	for _, tt := range []struct {
		grants, action string
		want           []string
	}{
		{`["g"]`, "deny", []string{"mfa_required"}},
		{`["g"]`, "Warn", []string{"mfa_required"}}, // misspelt: it denies
		{`["g"]`, "warn", nil},
		{`["g"]`, "dryrun", nil},
		{`[]`, "deny", []string{"orders.delete"}},
	} {
		root := pdp.Edition(t, map[string]string{
			"gatehouse/decision.rego": "package gatehouse\n\ninstances := data.index.otherwise\n\n" + decision(tt.grants, tt.action),
		})
		in := full()
		in.Request.Route = "DELETE /orders/{id}"
		d, err := policy(t, root).Decide(t.Context(), in)
		if err != nil || !slices.Equal(d.Disclosed, tt.want) {
			t.Errorf("%s %s: %v, %v; want %v", tt.grants, tt.action, d.Disclosed, err, tt.want)
		}
	}
}

// OPA turns a failing built-in into "undefined" unless told otherwise, and `not` turns that into an allow.
func TestAFailingBuiltinIsAnError(t *testing.T) {
	root := deciding(t, `decision := `+granted+` if not blocked

blocked if to_number(input.principal.claims.secret) > 5`)
	in := full()
	in.Principal.Claims["secret"] = "9x-secret-value"
	d, err := policy(t, root).Decide(t.Context(), in)
	if d.Allowed || !errors.Is(err, authorizer.ErrUnavailable) {
		t.Fatalf("got %+v, %v", d, err)
	}
	if strings.Contains(err.Error(), "secret-value") {
		t.Errorf("the error quotes a claim: %v", err)
	}
	if !strings.Contains(err.Error(), "eval_builtin_error at gatehouse/decision.rego:8") {
		t.Errorf("the error does not name the place: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	root := deciding(t, `decision := `+granted+` if count([1 | some a in r; some b in r; some c in r; a != b; b != c; a == c]) == 0

r := [x | some x in split(`+"`"+strings.Repeat("a,", 2000)+"`"+`, ",")]`)
	p := policy(t, root)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	d, err := p.Decide(ctx, full())
	if d.Allowed || err == nil || !strings.HasPrefix(err.Error(), "policy_timeout") {
		t.Errorf("got %+v, %v", d, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopped after %s", took)
	}
	// The caller's own patience may be longer than the budget.
	defer pdp.SetBudget(20 * time.Millisecond)()
	if _, err = p.Decide(t.Context(), full()); err == nil || !strings.HasPrefix(err.Error(), "policy_timeout") {
		t.Errorf("no bound of its own: %v", err)
	}
}

// What a policy says to people is fit for a header, a log line and a terminal.
func TestMessagesAreBoundedAndPlain(t *testing.T) {
	long := strings.Repeat("ä", 1_000)
	d, err := policy(t, deciding(t, `decision := {"allowed": false, "status": {"code": 403, "reason": "NotGranted", "message": "a\u0007b\nc"},
	"grants": [], "violations": [{"constraint": "c", "template": "t", "action": "warn", "message": "`+long+`"}],
	"warnings": ["x\u0000`+long+`"], "auditAnnotations": {}, "context": {}}`)).Decide(t.Context(), full())
	if err != nil {
		t.Fatal(err)
	}
	if d.Status.Message != "abc" || d.Violations[0].Message != long[:512] || d.Warnings[0] != "x"+long[:510] {
		t.Errorf("got %q, %d and %d bytes", d.Status.Message, len(d.Violations[0].Message), len(d.Warnings[0]))
	}
}

// One clock: the request's.
func TestNowIsTheRequestsTime(t *testing.T) {
	root := deciding(t, `decision := object.union(`+granted+`, {"context": {"ns": sprintf("%d", [time.now_ns()])}})`)
	d, err := policy(t, root).Decide(t.Context(), full())
	if err != nil || d.Context["ns"] != fmt.Sprint(noon.UnixNano()) {
		t.Errorf("got %q, %v; want %d", d.Context["ns"], err, noon.UnixNano())
	}
}

func table(t *testing.T) string {
	t.Helper()
	text, err := policies.FS.ReadFile("routes/data.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLoadNamesTheFault(t *testing.T) {
	for want, root := range map[string]fs.FS{
		"no such rule":    pdp.Edition(t, map[string]string{"gatehouse/decision.rego": "package gatehouse\n\ninstances := data.index.otherwise\n"}),
		"want METHOD":     pdp.Edition(t, map[string]string{"routes/data.json": strings.Replace(table(t), "{", `{"orders": {"api": "orders", "answer": "request"},`, 1)}),
		"file does not":   os.DirFS("none"),
		"not a policy fi": pdp.Edition(t, map[string]string{"x.bin": "x"}),
	} {
		if _, err := pdp.Load(t.Context(), root); err == nil || !strings.Contains(err.Error(), want) {
			if want == "file does not" && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestWhatAGenerationNeeds(t *testing.T) {
	p := policy(t, pdp.Edition(t, nil))
	if len(p.Revision()) != 64 {
		t.Errorf("revision %q", p.Revision())
	}
	if got := p.ClaimsRead(); got.Computed || !slices.Equal(got.Names, []string{"acr", "amr", "iat", "jti"}) {
		t.Errorf("claims read: %+v", got)
	}
	req := p.Routes().Complete(authorizer.Request{Protocol: authorizer.REST, Method: "GET", Path: []string{"orders", "7"}})
	if req.Route != "GET /orders/{id}" || !maps.Equal(req.Params, map[string]string{"id": "7"}) {
		t.Errorf("completed to %q %v", req.Route, req.Params)
	}
}

// One prepared policy serves many at once, and each gets its own answer.
func TestConcurrent(t *testing.T) {
	p := policy(t, pdp.Edition(t, nil))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				in := full()
				if i%2 == 1 {
					in.Principal.Roles, in.Principal.Permissions, in.Principal.Scopes = []string{}, []string{}, []string{}
				}
				if d, err := p.Decide(context.Background(), in); err != nil || d.Allowed != (i%2 == 0) {
					t.Errorf("worker %d: %+v, %v", i, d, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The decision depends on the input and on nothing else: asked again, in another order of maps, it is the same.
func TestSameInputSameDecision(t *testing.T) {
	p := policy(t, pdp.Edition(t, nil))
	for range 50 {
		in := full()
		in.Request.Method, in.Request.Route = "DELETE", "DELETE /orders/{id}"
		in.Principal.Roles = []string{"support", "customer", "admin"}[rand.IntN(3):]
		first, err := p.Decide(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		in.Principal.Claims = maps.Clone(in.Principal.Claims)
		if again, err := p.Decide(t.Context(), in); err != nil || !reflect.DeepEqual(first, again) {
			t.Fatalf("first %+v, then %+v, %v", first, again, err)
		}
	}
}
