package policies_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/policies"
)

// load reads the embedded bundle root as the plain opa program reads the folder.
func load(t *testing.T, annotations bool) (map[string]*ast.Module, storage.Store) {
	t.Helper()
	loaded, err := loader.NewFileLoader().WithFS(policies.FS).WithProcessAnnotation(annotations).All([]string{"."})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.ParsedModules(), inmem.NewFromObject(loaded.Documents)
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

// rules is what is left of the modules without their tests: what a deployment runs.
func rules(modules map[string]*ast.Module) map[string]*ast.Module {
	modules = maps.Clone(modules)
	maps.DeleteFunc(modules, func(name string, _ *ast.Module) bool { return isTest(name) })
	return modules
}

// fixed is the rules over data of their own, with an instance of every template: what the live data says is for the
// sample's table (gatehouse/sample) to hold.
func fixed(t *testing.T) (map[string]*ast.Module, storage.Store) {
	t.Helper()
	modules, _ := load(t, false)
	instance := func(template string, parameters map[string]any) map[string]any {
		return map[string]any{"template": template, "enforcementAction": "deny", "parameters": parameters}
	}
	return rules(modules), inmem.NewFromObject(map[string]any{
		"routes": map[string]any{
			"GET /orders":            map[string]any{"api": "orders", "answer": "request"},
			"GET /users/{id}/orders": map[string]any{"api": "orders", "answer": "request"},
		},
		"attributes": map[string]any{
			"roles":     map[string]any{"customer": []any{"read:orders"}},
			"suspended": map[string]any{"auth0|susp": "a remark"},
			"blocked":   map[string]any{"legacy": "a remark"},
			"revoked": map[string]any{
				"subjects": map[string]any{}, "tokens": map[string]any{"j-2": "a remark"},
				"issued_before": map[string]any{"*": "2026-11-23T00:00:00Z"},
			},
		},
		"constraints": map[string]any{
			"age":     instance("max_token_age", map[string]any{"seconds": 3600}),
			"clients": instance("deny_clients", map[string]any{"attribute": "blocked"}),
			"freeze":  instance("read_only", map[string]any{"methods": []any{"GET"}}),
			"hours": instance("office_hours", map[string]any{
				"zone": "Europe/Berlin", "days": []any{"Monday"}, "from": "08:00", "to": "18:00",
			}),
			"networks":     instance("allow_networks", map[string]any{"cidrs": []any{"203.0.113.0/24"}}),
			"revoked":      instance("deny_revoked", map[string]any{"attribute": "revoked"}),
			"mfa":          instance("require_mfa", map[string]any{"acr": []any{"one"}}),
			"organization": instance("require_organization", map[string]any{"organizations": []any{"org_home"}}),
			"scope":        instance("require_scope", map[string]any{"scopes": []any{"openid"}}),
			"suspended":    instance("deny_subjects", map[string]any{"attribute": "suspended"}),
		},
	})
}

func compile(modules map[string]*ast.Module) (*ast.Compiler, error) {
	c := ast.NewCompiler().WithStrict(true)
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}

// decider prepares the entrypoint as an authorizer does: annotations are not processed, and a built-in that fails is an
// error.
func decider(t *testing.T, modules map[string]*ast.Module, store storage.Store) rego.PreparedEvalQuery {
	t.Helper()
	compiler, err := compile(modules)
	if err != nil {
		t.Fatal(err)
	}
	query, err := rego.New(rego.Query("data.gatehouse.decision"), rego.Compiler(compiler), rego.Store(store),
		rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return query
}

func decide(t *testing.T, query rego.PreparedEvalQuery, input any) (authorizer.Decision, error) {
	t.Helper()
	results, err := query.Eval(t.Context(), rego.EvalInput(input))
	if err != nil {
		return authorizer.Decision{}, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return authorizer.Decision{}, fmt.Errorf("got %d results, want 1", len(results))
	}
	raw, err := json.Marshal(results[0].Expressions[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var d authorizer.Decision
	err = decoder.Decode(&d)
	return d, err
}

// input is a request that the rules allow over the fixed data without a finding; with is applied to it.
func input(with func(*authorizer.Input)) map[string]any {
	in := authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{
			ID: "r-1", API: "a1b2c3", Stage: "dev", Protocol: authorizer.REST, Method: "GET",
			Route: "GET /users/{id}/orders", Path: []string{"users", "auth0|cust", "orders"},
			Params: map[string]string{"id": "auth0|cust"}, Query: map[string][]string{"q": {"1"}},
			Headers: map[string][]string{"x-tenant": {"acme"}}, SourceIP: netip.MustParseAddr("203.0.113.9"),
			Time: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		},
		Principal: authorizer.Principal{
			Issuer: "https://t.example/", Subject: "auth0|cust", ClientID: "spa", Organization: "org_home",
			Audience: []string{"https://api.example"}, Scopes: []string{"openid"}, Permissions: []string{},
			Roles: []string{"customer"}, ExpiresAt: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC),
			Claims: map[string]any{
				"acr": "one", "amr": []string{"pwd"}, "https://gatehouse.example/tier": 1, "iat": 1795427900, "jti": "j-1",
			},
		},
	}
	if with != nil {
		with(&in)
	}
	raw, err := json.Marshal(in)
	if err != nil {
		panic(err) // strings, times and one address
	}
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		panic(err)
	}
	return document
}

func TestFSHoldsEveryFile(t *testing.T) {
	on := map[string][]byte{}
	disk := os.DirFS(".")
	err := fs.WalkDir(disk, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(name) == ".go" {
			return err
		}
		on[name], err = fs.ReadFile(disk, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(on)) {
		embedded, err := policies.FS.ReadFile(name)
		if err != nil {
			t.Errorf("%s is not embedded: name its folder in embed.go", name)
			continue
		}
		if !bytes.Equal(embedded, on[name]) {
			t.Errorf("%s: embedded content differs", name)
		}
	}
	if _, ok := on[".manifest"]; !ok {
		t.Error("no .manifest")
	}
}

// TestRego is `opa test --coverage` with a threshold of 100 %, and without a program to install. A built-in that fails
// fails the test.
func TestRego(t *testing.T) {
	modules, store := load(t, true)
	coverage := cover.New()
	txn := storage.NewTransactionOrDie(t.Context(), store)
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().SetCompiler(ast.NewCompiler().WithStrict(true)).SetStore(store).SetModules(modules).
		SetTimeout(time.Minute).RaiseBuiltinErrors(true).SetCoverageQueryTracer(coverage).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for r := range results {
		ran++
		if !r.Pass() {
			t.Errorf("%s.%s: %s\n%s", r.Package, r.Name, reason(r), failures(r))
		}
	}
	if ran < 50 {
		t.Errorf("%d tests ran, want all of them", ran)
	}
	for file, report := range coverage.Report(modules).Files {
		for _, r := range report.NotCovered {
			t.Errorf("%s:%d-%d: not covered", file, r.Start.Row, r.End.Row)
		}
	}
}

func reason(r *tester.Result) string {
	if r.Error != nil {
		return r.Error.Error()
	}
	return "fails"
}

// failures names the failing cases of a table.
func failures(r *tester.Result) string {
	var names []string
	for name, sub := range r.SubResults {
		if sub.Fail {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}

func TestFormatted(t *testing.T) {
	modules, _ := load(t, true)
	for name := range modules {
		source, err := policies.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := format.SourceWithOpts(name, source, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(source, want) {
			t.Errorf("%s: run opa fmt --write", name)
		}
		for i, line := range strings.Split(string(source), "\n") {
			if len([]rune(line)) > 120 {
				t.Errorf("%s:%d: longer than 120 columns", name, i+1)
			}
		}
	}
}

// TestTypes compiles everything against the input schema, which must notice a misspelt field and let every claim pass.
func TestTypes(t *testing.T) {
	raw, err := policies.FS.ReadFile("schema/input.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	shipped, _ := load(t, true)
	for _, tt := range []struct {
		body, fault string
	}{
		{`input.request.route == "GET /orders"`, ""},
		{`input.request.params.id == input.principal.subject`, ""},
		{`input.request.headers["x-tenant"][0] == "acme"`, ""},
		{`input.principal.claims["https://gatehouse.example/tier"] == 1`, ""},
		{`"mfa" in input.principal.claims.amr`, ""},
		{`input.request.rout == "GET /orders"`, "undefined ref"},
		{`input.principal.role == "admin"`, "undefined ref"},
		{`input.principal.subject.id == "a"`, "undefined ref"},
		{`input.principal.scopes == "openid"`, "match error"},
		{`input.token == "a"`, "undefined ref"},
	} {
		t.Run(tt.body, func(t *testing.T) {
			schemas := ast.NewSchemaSet()
			schemas.Put(ast.SchemaRootRef, schema)
			modules := maps.Clone(shipped)
			modules["probe.rego"] = ast.MustParseModule("package authz.probe\n\nallow contains \"probe\" if " + tt.body)
			c := ast.NewCompiler().WithStrict(true).WithSchemas(schemas).WithUseTypeCheckAnnotations(true)
			c.Compile(modules)
			switch {
			case tt.fault == "" && c.Failed():
				t.Error(c.Errors)
			case tt.fault != "" && (len(c.Errors) != 1 || !strings.Contains(c.Errors[0].Message, tt.fault)):
				t.Errorf("got %v, want one error with %q", c.Errors, tt.fault)
			}
		})
	}
}

// TestSchemaFitsInput holds the schema against the document that authorizer.Input becomes.
func TestSchemaFitsInput(t *testing.T) {
	_, store := load(t, false)
	query, err := rego.New(rego.Query("json.match_schema(input, data.schema)"), rego.Store(store)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set := func(section, field string, value any) map[string]any {
		document := input(nil)
		document[section].(map[string]any)[field] = value
		return document
	}
	token := input(func(in *authorizer.Input) {
		in.Request = authorizer.Request{API: "a", Stage: "dev", Protocol: authorizer.WebSocket, Time: in.Request.Time}
		in.Principal.Organization, in.Principal.ClientID = "", ""
	})
	lacking := input(nil)
	delete(lacking["principal"].(map[string]any), "roles")
	for _, tt := range []struct {
		name     string
		document map[string]any
		want     bool
	}{
		{"all fields", input(nil), true},
		{"fewest fields", token, true},
		{"unknown request field", set("request", "token", "x"), false},
		{"unknown principal field", set("principal", "token", "x"), false},
		{"unknown protocol", set("request", "protocol", "ftp"), false},
		{"null list", set("principal", "scopes", nil), false},
		{"null params value", set("request", "params", map[string]any{"id": nil}), false},
		{"lacking roles", lacking, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := query.Eval(t.Context(), rego.EvalInput(tt.document))
			if err != nil {
				t.Fatal(err)
			}
			match := results[0].Expressions[0].Value.([]any)
			if match[0] != tt.want {
				t.Errorf("got %v, want %v", match, tt.want)
			}
		})
	}
	request := input(nil)["request"].(map[string]any)
	principal := input(nil)["principal"].(map[string]any)
	if len(request) != 12 || len(principal) != 11 {
		t.Errorf("got %d and %d fields: this test fills in every one", len(request), len(principal))
	}
}

// TestMetadata: every package and every public rule says what it is, a grant's code is the one that its rule gives, a
// template describes its parameters, and `not` is the safe one. The codes stand literally in the rules, because
// rego.metadata.rule() compiles only where annotations are processed, and an authorizer does not process them.
func TestMetadata(t *testing.T) {
	modules, _ := load(t, true)
	modules = rules(modules)
	for name, m := range modules {
		pkg, annotated := "", map[*ast.Rule]*ast.Annotations{}
		for _, a := range m.Annotations {
			if a.Title == "" || a.Description == "" {
				t.Errorf("%s: %s: want title and description", name, a.Location)
			}
			if a.Scope == "package" {
				pkg = a.Title
				_, parameters := a.Custom["parameters"]
				if parameters != strings.HasPrefix(name, "admission/") {
					t.Errorf("%s: custom.parameters belongs in every template, and there only", name)
				}
			}
		}
		if pkg == "" {
			t.Errorf("%s: package has no METADATA", name)
		}
		for _, r := range m.Rules {
			for _, a := range r.Annotations {
				annotated[r] = a
			}
		}
		named := map[string]bool{}
		for _, r := range m.Rules {
			head := r.Head.Ref().String()
			if annotated[r] != nil {
				named[head] = true
			}
			if strings.HasPrefix(name, "authz/") && head == "allow" {
				grant(t, name, r, annotated[r])
			}
			if !strings.HasPrefix(head, "_") && !named[head] {
				t.Errorf("%s:%d: %s has no METADATA", name, r.Location.Row, head)
			}
		}
		if negates(m) && !slices.ContainsFunc(m.Imports, func(i *ast.Import) bool {
			return i.Path.String() == "future.keywords.not"
		}) {
			t.Errorf("%s: uses `not` without import future.keywords.not", name)
		}
	}
}

func grant(t *testing.T, name string, r *ast.Rule, a *ast.Annotations) {
	t.Helper()
	code, ok := "", false
	if a != nil {
		code, ok = a.Custom["code"].(string)
	}
	if key := r.Head.Key; !ok || key == nil || !key.Equal(ast.StringTerm(code)) {
		t.Errorf("%s:%d: got key %v and custom.code %q, want the same", name, r.Location.Row, key, code)
	}
}

func negates(m *ast.Module) bool {
	found := false
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		found = found || e.Negated
		return found
	})
	return found
}

// TestMisshapenInput puts wrong values in every place of the input: there is still one decision and no error, so that a
// mistake elsewhere ends in a refusal with its reasons.
func TestMisshapenInput(t *testing.T) {
	modules, store := fixed(t)
	query := decider(t, modules, store)
	d, err := decide(t, query, input(nil))
	if err != nil || !d.Allowed || len(d.Violations) != 0 {
		t.Fatalf("got %+v, %v: want allowed without findings", d, err)
	}
	wrong := []any{nil, true, false, json.Number("7"), "", "\x00", []any{}, []any{nil}, map[string]any{}, map[string]any{"id": nil}}
	for _, value := range wrong {
		if d, err := decide(t, query, value); err != nil || d.Allowed {
			t.Errorf("input %v: got %+v, %v", value, d, err)
		}
	}
	var places func(prefix []string, at map[string]any, visit func([]string))
	places = func(prefix []string, at map[string]any, visit func([]string)) {
		for _, key := range slices.Sorted(maps.Keys(at)) {
			here := append(slices.Clone(prefix), key)
			visit(here)
			if below, ok := at[key].(map[string]any); ok {
				places(here, below, visit)
			}
		}
	}
	needed := []string{"request", "request/route", "request/params", "request/params/id", "request/method",
		"principal", "principal/subject", "principal/claims", "principal/claims/iat"}
	places(nil, input(nil), func(place []string) {
		for _, value := range wrong {
			if _, text := value.(string); text && slices.Contains([]string{"time", "source_ip"}, place[len(place)-1]) {
				continue // TestBuiltinErrors
			}
			document := input(nil)
			at := document
			for _, key := range place[:len(place)-1] {
				at = at[key].(map[string]any)
			}
			at[place[len(place)-1]] = value
			d, err := decide(t, query, document)
			if err != nil {
				t.Errorf("%v = %v: %v", place, value, err)
			}
			if d.Allowed && slices.Contains(needed, strings.Join(place, "/")) {
				t.Errorf("%v = %v: allowed", place, value)
			}
		}
	})
}

// TestBuiltinErrors: what the templates leave to the built-ins is an error, hence no decision.
func TestBuiltinErrors(t *testing.T) {
	asked := func(field, value string) map[string]any {
		document := input(nil)
		document["request"].(map[string]any)[field] = value
		return document
	}
	for _, tt := range []struct {
		name     string
		document map[string]any
		at       string // what is written there first, if anything
		value    any
	}{
		{"a time that is none", asked("time", "yesterday"), "", nil},
		{"an address that is none", asked("source_ip", "localhost"), "", nil},
		{"an empty address", asked("source_ip", ""), "", nil},
		{"a zone that the database lacks", input(nil), "/constraints/hours/parameters/zone", "Europe/Nowhere"},
		{"a zone that is no text", input(nil), "/constraints/hours/parameters/zone", 1},
		{"an address without a length", input(nil), "/constraints/networks/parameters/cidrs", []any{"203.0.113.9"}},
		{"a network that is none", input(nil), "/constraints/networks/parameters/cidrs", []any{"203.0.113.0/33"}},
		{"a network that is no text", input(nil), "/constraints/networks/parameters/cidrs", []any{7}},
		{"a day without an hour", input(nil), "/attributes/revoked/issued_before/*", "2026-11-23"},
		{"an instant as a number", input(nil), "/attributes/revoked/issued_before/*", 1795392000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			modules, store := fixed(t)
			if tt.at != "" {
				write(t, store, tt.at, tt.value)
			}
			if d, err := decide(t, decider(t, modules, store), tt.document); !topdown.IsError(err) {
				t.Errorf("got %+v, %v: want an error of the built-in", d, err)
			}
		})
	}
}

// TestEveryTemplateOnce: the data of these tests holds an instance of every template that is there.
func TestEveryTemplateOnce(t *testing.T) {
	entries, err := policies.FS.ReadDir("admission")
	if err != nil {
		t.Fatal(err)
	}
	_, store := fixed(t)
	constraints, err := storage.ReadOne(t.Context(), store, storage.MustParsePath("/constraints"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range entries {
		want = append(want, e.Name())
	}
	for _, c := range constraints.(map[string]any) {
		got = append(got, c.(map[string]any)["template"].(string))
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestParametersAreRefused: mistakes that a template would not see by itself, or would answer with findings alone, are
// named when the policy is loaded.
func TestParametersAreRefused(t *testing.T) {
	const hours = `"zone": "Europe/Berlin", "days": ["Monday"], "from": "08:00", "to": "18:00"`
	bad := []struct{ template, parameters string }{
		{"allow_networks", `{"cidrs": ["203.0.113.9"]}`},
		{"allow_networks", `{"cidrs": ["203.0.113.0/24", "localhost/8"]}`},
		{"allow_networks", `{"cidrs": ["10.0.0.0-10.0.0.9"]}`},
		{"allow_networks", `{"cidrs": []}`},
		{"allow_networks", `{"cidrs": ["10.0.0.0/8"], "except": ["10.0.0.1"]}`},
		{"deny_clients", `{"attribute": "blocked_clients", "except": ["spa"]}`},
		{"deny_clients", `{"attribute": ""}`},
		{"deny_revoked", `{"attribute": ["revoked"]}`},
		{"deny_revoked", `{"attribute": "revoked", "subjects": {}}`},
		{"deny_subjects", `{"attribute": "suspended", "except": ["auth0|cust"]}`},
		{"max_token_age", `{"seconds": "900"}`},
		{"max_token_age", `{"seconds": 0}`},
		{"max_token_age", `{"seconds": 900, "leeway": 5}`},
		{"office_hours", `{` + strings.Replace(hours, "Europe/Berlin", "", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "Europe/Berlin", "Local", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, `"Monday"`, `"Monday", "Tusday"`, 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, `"Monday"`, ``, 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "08:00", "8:00", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "08:00", "08:00:00", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "08:00", "08.00", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "08:00", "08:60", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "18:00", "24:01", 1) + `}`},
		{"office_hours", `{` + strings.Replace(hours, "18:00", "25:00", 1) + `}`},
		{"office_hours", `{` + hours + `, "except": ["2026-12-24"]}`},
		{"read_only", `{"methods": ["get"]}`},
		{"read_only", `{"methods": ["GET"], "paths": []}`},
		{"require_mfa", `{"acr": []}`},
		{"require_mfa", `{"acr": ["gold", null]}`},
		{"require_mfa", `{"acr": ["gold"], "amr": ["mfa"]}`},
		{"require_organization", `{"organizations": ["org_home", false]}`},
		{"require_organization", `{"organizations": ["org_home"], "required": false}`},
		{"require_scope", `{"scopes": ["openid", 1]}`},
		{"require_scope", `{"scopes": ["openid"], "any": true}`},
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	for i, b := range bad {
		folder := filepath.Join(dir, "constraints", fmt.Sprintf("bad%d", i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		content := fmt.Sprintf(`{"template": %q, "parameters": %s}`, b.template, b.parameters)
		if err := os.WriteFile(filepath.Join(folder, "data.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := bundle.Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	_, err = content.Load(t.Context())
	for i, b := range bad {
		if want := fmt.Sprintf(`constraint "bad%d": parameters: `, i); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %s: want it refused with %q", b.template, b.parameters, want)
		}
	}
	for _, e := range []string{`"freeze"`, `"known-networks"`, `"revoked"`} {
		if strings.Contains(fmt.Sprint(err), "constraint "+e) {
			t.Errorf("refused too: %s", e)
		}
	}
}

func write(t *testing.T, store storage.Store, at string, value any) {
	t.Helper()
	if err := storage.WriteOne(t.Context(), store, storage.AddOp, storage.MustParsePath(at), value); err != nil {
		t.Fatal(err)
	}
}

// TestFailOpenShapes adds templates as people get them wrong. Each compiles under strict checks, and each denies.
func TestFailOpenShapes(t *testing.T) {
	const noSet = "template: missing, or its violation is not a set"
	for _, tt := range []struct {
		name, body string
		constraint map[string]any
		want       string // message; the action is deny
	}{
		{
			"boolean", `violation if true`, nil, noSet,
		},
		{
			"object", `violation["probe"] := "no" if true`, nil, noSet,
		},
		{
			"deny in place of violation", `deny contains {"constraint": "probe", "message": "no"} if true`, nil, noSet,
		},
		{
			"finding without a message", `violation contains {"constraint": "probe"} if true`, nil,
			"template: a finding must be {constraint, message}, about a constraint in scope that uses the template",
		},
		{
			"finding as text", `violation contains "no" if true`, nil,
			"template: a finding must be {constraint, message}, about a constraint in scope that uses the template",
		},
		{
			"safe not over an absent claim",
			`import future.keywords.not
			violation contains {"constraint": "probe", "message": "no"} if not lower(input.principal.claims.absent) == "yes"`,
			map[string]any{"enforcementAction": "Warn"}, "no",
		},
		{
			"match of nothing is match of everything",
			`violation contains {"constraint": "probe", "message": "no"} if "probe" in object.keys(data.gatehouse.instances.probe)`,
			map[string]any{"match": map[string]any{}}, "no",
		},
		{
			"unknown template", `violation := set()`, map[string]any{"template": "prob"}, noSet,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			modules, store := fixed(t)
			modules["probe.rego"] = ast.MustParseModule("package admission.probe\n" + tt.body)
			constraint := map[string]any{"template": "probe", "enforcementAction": "deny"}
			maps.Copy(constraint, tt.constraint)
			write(t, store, "/constraints/probe", constraint)
			d, err := decide(t, decider(t, modules, store), input(nil))
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed || d.Status.Reason != authorizer.ConstraintViolated || d.Status.Message != tt.want {
				t.Errorf("got %+v, want denied with %q", d, tt.want)
			}
		})
	}
}

// TestRoleIsData: a permission taken from a role, in the data alone, is a grant less.
func TestRoleIsData(t *testing.T) {
	modules, store := fixed(t)
	query := decider(t, modules, store)
	list := input(func(in *authorizer.Input) { in.Request.Route, in.Request.Params = "GET /orders", nil })
	if d, err := decide(t, query, list); err != nil || !d.Allowed {
		t.Fatalf("got %+v, %v: want allowed", d, err)
	}
	write(t, store, "/attributes/roles/customer", []any{"get:profile"})
	if d, err := decide(t, query, list); err != nil || d.Status.Reason != authorizer.NotGranted {
		t.Errorf("got %+v, %v: want NotGranted", d, err)
	}
}
