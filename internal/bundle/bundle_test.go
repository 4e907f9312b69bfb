package bundle_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"

	"gatehouse/internal/bundle"
	"gatehouse/policies"
)

var update = flag.Bool("update", false, "rewrite capabilities.json and testdata")

// minimal is the smallest content that loads. Tests change it by files.
func minimal(change map[string]string) fs.FS {
	root := fstest.MapFS{}
	files := map[string]string{
		".manifest":                `{"roots": ["gatehouse", "authz", "admission", "constraints", "attributes", "routes"], "rego_version": 1}`,
		"gatehouse/decision.rego":  "package gatehouse\n\ndecision := {\"allowed\": false}\n",
		"authz/orders/orders.rego": "package authz.orders\n\nallow contains \"orders.read\" if input.request.method == \"GET\"\n",
		"routes/data.json":         `{"GET /orders": {"api": "orders", "answer": "request"}}`,
	}
	for name, content := range change {
		files[name] = content
	}
	for name, content := range files {
		if content != "" {
			root[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		}
	}
	return root
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: x\n", i)
	}
	return b.String()
}

const template = `package admission.t

violation contains {"constraint": name, "message": "no"} if some name, _ in data.gatehouse.instances.t
`

// constraint gives one, and its template.
func constraint(yaml string) map[string]string {
	return map[string]string{"admission/t/t.rego": template, "constraints/c/data.yaml": yaml}
}

// reading gives a constraint, and a template that iterates what is given.
func reading(what string) map[string]string {
	change := constraint("template: t\n")
	change["admission/t/t.rego"] = strings.Replace(template, "data.gatehouse.instances.t", what, 1)
	return change
}

// declaring gives a constraint and a template that declares parameters, both in YAML.
func declaring(schema, parameters string, more ...string) map[string]string {
	change := constraint("template: t\n" + parameters)
	for i := 0; i < len(more); i += 2 {
		change[more[i]] = more[i+1]
	}
	change["admission/t/t.rego"] = "# METADATA\n# scope: package\n# custom:\n#   parameters: " + schema + "\n" + template
	return change
}

// TestIndex: what is derived at load, for each route and for none of them.
func TestIndex(t *testing.T) {
	change := declaring("{type: object}", "parameters: {p: 1}\n")
	change["routes/data.json"] = `{"GET /orders": {"api": "orders", "answer": "request"}, "POST /orders": {"api": "orders", "answer": "request"}}`
	change["constraints/d/data.yaml"] = "template: t\nmatch: {routes: [GET /orders]}\n"
	change["constraints/e/data.yaml"] = "template: t\nmatch: {routes: []}\nenforcementAction: dryrun\n"
	loaded, err := load(t, minimal(change))
	if err != nil {
		t.Fatal(err)
	}
	got, err := storage.ReadOne(t.Context(), loaded.Store, storage.MustParsePath("/index"))
	if err != nil {
		t.Fatal(err)
	}
	everywhere := `{"t": {"c": {"p": 1}, "e": {}}}`
	want := ast.MustParseTerm(`{"routes": {"GET /orders": {"t": {"c": {"p": 1}, "d": {}, "e": {}}}, "POST /orders": ` + everywhere +
		`}, "otherwise": ` + everywhere + `}`).Value
	if got.(ast.Value).Compare(want) != 0 {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func load(t *testing.T, root fs.FS) (*bundle.Loaded, error) {
	t.Helper()
	b, err := bundle.Read(root)
	if err != nil {
		return nil, err
	}
	return b.Load(t.Context())
}

// A further API or template may bring routes and read claims; those of the sample must be among them.
func TestThePoliciesOfTheHouseLoad(t *testing.T) {
	loaded, err := load(t, policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	sample := []string{
		"DELETE /orders/{id}", "GET /admin/users", "GET /orders", "GET /orders/{id}", "GET /profile",
		"GET /users/{id}/orders", "POST /orders",
	}
	for _, route := range sample {
		if !slices.Contains(loaded.Routes, route) {
			t.Errorf("routes: got %q, want %q among them", loaded.Routes, route)
		}
	}
	names := loaded.Claims.Names
	if loaded.Claims.Computed || !slices.Contains(names, "acr") || !slices.Contains(names, "amr") {
		t.Errorf("claims read: got %q, computed %t; want acr and amr among them, all by name", names, loaded.Claims.Computed)
	}
}

func TestEmbeddedAndOnDiskAreTheSameBundle(t *testing.T) {
	embedded, err := bundle.Read(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	onDisk, err := bundle.Read(os.DirFS("../../policies"))
	if err != nil {
		t.Fatal(err)
	}
	if embedded.Digest != onDisk.Digest {
		t.Errorf("embedded %s, on disk %s", embedded.Digest, onDisk.Digest)
	}
}

func TestDigest(t *testing.T) {
	digest := func(change map[string]string) string {
		b, err := bundle.Read(minimal(change))
		if err != nil {
			t.Fatal(err)
		}
		return b.Digest
	}
	base := digest(nil)
	if len(base) != 64 {
		t.Errorf("digest %q: want 64 hexadecimal digits", base)
	}
	for name, change := range map[string]map[string]string{
		"test":     {"authz/orders/orders_test.rego": "package authz.orders_test\n"},
		"schema":   {"schema/input.json": "{}"},
		"cases":    {"cases.yaml": "cases: []\n"},
		"go":       {"embed.go": "package policies\n"},
		"markdown": {"README.md": "#\n"},
		"editor":   {"authz/.orders.rego.swp": "x"},
		"linter":   {".regal/config.yaml": "rules: {}\n"},
	} {
		if got := digest(change); got != base {
			t.Errorf("%s: a file that no decision depends on changed the digest", name)
		}
	}
	for name, change := range map[string]map[string]string{
		"rego":     {"authz/orders/orders.rego": "package authz.orders\n\nallow contains \"orders.write\"\n"},
		"data":     {"attributes/x/data.yaml": "a: 1\n"},
		"manifest": {".manifest": `{"roots": [""], "rego_version": 1}`},
		"moved":    {"authz/orders/orders.rego": "", "authz/orders/moved.rego": "package authz.orders\n\nallow contains \"orders.read\" if input.request.method == \"GET\"\n"},
	} {
		if got := digest(change); got == base {
			t.Errorf("%s: another content has the same digest", name)
		}
	}
}

// Each of these passes OPA's own loader or its strict check, and would fail open, or might.
func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		change map[string]string
		want   []string // parts of the error
	}{
		{"unknown data file", map[string]string{"constraints/c/mfa.yaml": "template: t\n"}, []string{"constraints/c/mfa.yaml", "not a policy file"}},
		{"data.yml, which OPA reads and we would not", map[string]string{"constraints/c/data.yml": "template: t\n"}, []string{"constraints/c/data.yml"}},
		{"a long path", map[string]string{"attributes/" + strings.Repeat("x", 80) + "/data.yaml": "a: 1\n"}, []string{"101 bytes: at most 100"}},
		{"a path that is no ASCII", map[string]string{"attributes/é/data.yaml": "a: 1\n"}, []string{"attributes/é/data.yaml", "printable ASCII"}},
		{"two unknown files, both named", map[string]string{"a.wasm": "x", "b.txt": "x"}, []string{"a.wasm", "b.txt"}},
		{"delta patch", map[string]string{"patch.json": "{}"}, []string{"patch.json"}},
		{"inner manifest", map[string]string{"authz/.manifest": "{}"}, []string{"authz/.manifest"}},
		{"signature file", map[string]string{".signatures.json": "{}"}, []string{".signatures.json"}},
		{"huge file", map[string]string{"attributes/data.yaml": strings.Repeat("#", 1<<20+1)}, []string{"attributes/data.yaml", "1048577 bytes"}},
		{"no manifest", map[string]string{".manifest": ""}, []string{".manifest: missing"}},
		{"broken manifest", map[string]string{".manifest": "{"}, []string{".manifest"}},
		{"manifest with a name given twice", map[string]string{".manifest": `{"roots": [""], "rego_version": 1, "roots": ["x"]}`}, []string{".manifest", "duplicate"}},
		{"manifest that is no object", map[string]string{".manifest": "null"}, []string{".manifest: want an object"}},
		{"huge manifest", map[string]string{".manifest": `{"roots": [""]}` + strings.Repeat(" ", 1<<16)}, []string{".manifest: 65551 bytes: at most 65536"}},
		{"manifest whose numbers are long", map[string]string{".manifest": `{"metadata": [` + strings.Repeat("1e20,", 10_000) + "0]}"}, []string{".manifest", "in its canonical form: at most 65536"}},
		{"manifest without roots", map[string]string{".manifest": `{"rego_version": 1}`}, []string{"roots"}},
		{"manifest of Rego v0", map[string]string{".manifest": `{"roots": [""], "rego_version": 0}`}, []string{"rego_version"}},
		{"manifest with wasm", map[string]string{".manifest": `{"roots": [""], "rego_version": 1, "wasm": []}`}, []string{"wasm"}},
		{"outside the roots", map[string]string{"other/x.rego": "package other\n\nx := 1\n"}, []string{"other"}},
		{"name given twice", map[string]string{"routes/data.json": `{"GET /orders": {"api": "orders", "answer": "request"}, "GET /orders": {"api": "x", "answer": "request"}}`}, []string{"routes/data.json", "twice"}},
		{"Rego that does not parse", map[string]string{"authz/orders/orders.rego": "package authz.orders\n\nallow contains if\n"}, []string{"orders.rego"}},
		{"Rego that does not compile", map[string]string{"authz/orders/orders.rego": "package authz.orders\n\nallow contains x if true\n"}, []string{"orders.rego", "unsafe"}},
		{"http.send", map[string]string{"authz/orders/orders.rego": "package authz.orders\n\nallow contains \"x\" if http.send({\"url\": \"http://127.0.0.1\", \"method\": \"get\"})\n"}, []string{"http.send"}},
		{"http.send through with", map[string]string{"authz/orders/orders.rego": "package authz.orders\n\nallow contains \"x\" if count({}) == 1 with count as http.send\n"}, []string{"orders.rego:3", "http"}},
		{"a rule where data is", map[string]string{"attributes/data.yaml": "roles: {}\n", "attributes/x.rego": "package attributes\n\nroles := 1\n"}, []string{"attributes"}},
		{"data.index", map[string]string{".manifest": `{"roots": [""], "rego_version": 1}`, "index/data.yaml": "a: 1\n"}, []string{"data.index"}},
		{"package index", map[string]string{".manifest": `{"roots": [""], "rego_version": 1}`, "index/index.rego": "package index\n\na := 1\n"}, []string{"data.index"}},
		{"rules among constraints", map[string]string{"constraints/c.rego": "package constraints\n\nc := {\"template\": \"t\"}\n"}, []string{"package constraints", "data only"}},
		{"no entrypoint", map[string]string{"gatehouse/decision.rego": "package gatehouse\n\ndecisions := 1\n"}, []string{"data.gatehouse.decision: no such rule"}},
		{"no routes", map[string]string{"routes/data.json": ""}, []string{"data.routes", "gatehouse routes"}},
		{"route without api", map[string]string{"routes/data.json": `{"GET /orders": {"answer": "request"}}`}, []string{`data.routes["GET /orders"]`}},
		{"route with another answer", map[string]string{"routes/data.json": `{"GET /orders": {"api": "orders", "answer": "api"}}`}, []string{`"answer": "request"`}},
		{"route of an unknown API", map[string]string{"routes/data.json": `{"GET /x": {"api": "x", "answer": "request"}}`}, []string{"authz.x", "nobody"}},
		{"allow as a boolean", map[string]string{"authz/orders/orders.rego": "package authz.orders\n\nallow if input.request.method == \"GET\"\n"}, []string{"must be a set", "orders.rego:3"}},
		{"deny among grants", map[string]string{"authz/orders/more.rego": "package authz.orders\n\ndeny contains \"x\" if true\n"}, []string{"decides nothing", "did you mean allow"}},
		{"violation if true", map[string]string{"admission/t/t.rego": "package admission.t\n\nviolation if true\n"}, []string{"must be a set"}},
		{"deny in place of violation", map[string]string{"admission/t/t.rego": "package admission.t\n\ndeny contains \"x\" if true\n"}, []string{"did you mean violation"}},
		{"finding that is a text", map[string]string{"admission/t/t.rego": "package admission.t\n\nviolation contains \"no\" if true\n"}, []string{"a finding is"}},
		{"finding without a constraint", map[string]string{"admission/t/t.rego": "package admission.t\n\nviolation contains {\"message\": \"no\"} if true\n"}, []string{"a finding is"}},
		{"finding with more", map[string]string{"admission/t/t.rego": "package admission.t\n\nviolation contains {\"constraint\": \"c\", \"message\": \"no\", \"action\": \"warn\"} if true\n"}, []string{"a finding is"}},
		{"package of another folder", map[string]string{"authz/orders/more.rego": "package gatehouse\n\n_grants contains \"injected\" if true\n"}, []string{"authz/orders/more.rego", "package gatehouse", "its folder"}},
		{"mask rules that nobody follows", map[string]string{".manifest": `{"roots": [""], "rego_version": 1}`, "system/log/mask.rego": "package system.log\n\nmask contains \"/input/principal/subject\"\n"}, []string{"package system", "not supported yet"}},
		{"YAML name given twice", constraint("template: t\nenforcementAction: deny\nenforcementAction: dryrun\n"), []string{"constraints/c/data.yaml", "already defined"}},
		{"YAML name given twice, deeper", constraint("template: t\nmatch: {routes: [GET /orders], routes: []}\n"), []string{"constraints/c/data.yaml", "already defined"}},
		{"second YAML document", constraint("template: t\n---\nenforcementAction: warn\n"), []string{"constraints/c/data.yaml", "more than one YAML document"}},
		{"second YAML document that is broken", constraint("template: t\n---\n{\n"), []string{"more than one YAML document"}},
		{"YAML alias as a name", constraint("template: t\n&mode enforcementAction: deny\n*mode : dryrun\n"), []string{"line 3", "want text"}},
		{"YAML alias as a value", constraint("template: &t t\nparameters: {a: *t}\n"), []string{"line 1", "anchors"}},
		{"YAML alias bomb", map[string]string{"attributes/x/data.yaml": "a: &a " + strings.Repeat("x", 20_000) + "\nb: [" + strings.Repeat("*a,", 10_000) + "]\n"}, []string{"anchors"}},
		{"YAML merge key", constraint("template: t\n<<: {enforcementAction: dryrun}\n"), []string{"line 2", "want text"}},
		{"YAML tag", constraint("template: t\nenforcementAction: deny\n!!binary ZW5mb3JjZW1lbnRBY3Rpb24=: dryrun\n"), []string{"line 3", "want text"}},
		{"YAML tag on a value", constraint("template: !!str t\n"), []string{"line 1", "tags"}},
		{"YAML numbers as names", map[string]string{"attributes/x/data.yaml": "1: a\n0x1: b\n"}, []string{"line 1", "want text"}},
		{"YAML of very many names", map[string]string{"attributes/x/data.yaml": manyKeys(4_001)}, []string{"4001 keys", "use data.json"}},
		{"YAML nested very deep", map[string]string{"attributes/x/data.yaml": "a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\n"}, []string{"nested deeper"}},
		{"YAML line that hides in a comment", constraint("template: t\n# reviewed\u2028enforcementAction: dryrun\n"), []string{"line 2", "u2028"}},
		{"YAML line after a carriage return", constraint("template: t\n# reviewed\renforcementAction: dryrun\n"), []string{"line 2"}},
		{"YAML that is not UTF-8", constraint("template: \xff\n"), []string{"not UTF-8"}},
		{"data that adds to a constraint from above", map[string]string{"admission/t/t.rego": template, "constraints/c/data.yaml": "template: t\n", "constraints/data.json": `{"c": {"match": {"excludedPrincipals": ["x"]}}}`}, []string{"constraints/c/data.yaml and constraints/data.json"}},
		{"data that adds to a constraint from below", map[string]string{"admission/t/t.rego": template, "constraints/c/data.yaml": "template: t\n", "constraints/c/match/data.json": `{"excludedPrincipals": ["x"]}`}, []string{"constraints/c/data.yaml and constraints/c/match/data.json"}},
		{"two data files in one folder", map[string]string{"attributes/x/data.json": "{}", "attributes/x/data.yaml": "a: 1\n"}, []string{"attributes/x/data.json and attributes/x/data.yaml"}},
		{"data at the root", map[string]string{"data.json": "{}"}, []string{"data.json", "folder of its own"}},
		{"a package above the APIs", map[string]string{"authz/all.rego": "package authz\n\norders.allow contains \"evil\" if true\n"}, []string{"package authz", "folder of their own"}},
		{"policy in a hidden folder", map[string]string{"authz/orders/.h/h.rego": "package x\n"}, []string{"authz/orders/.h/h.rego"}},
		{"policy in a hidden file", map[string]string{"authz/orders/.h.rego": "package x\n"}, []string{"authz/orders/.h.rego"}},
		{"manifest with a name in capitals", map[string]string{".manifest": `{"roots": ["zzz"], "Roots": [""], "rego_version": 1}`}, []string{".manifest", "Roots"}},
		{"YAML without content", constraint("# nothing\n"), []string{"constraints/c/data.yaml", "no YAML document"}},
		{"broken YAML", constraint("template: [\n"), []string{"constraints/c/data.yaml"}},
		{"constraints are a list", map[string]string{"constraints/data.yaml": "[]\n"}, []string{"constraints"}},
		{"constraint is a text", map[string]string{"constraints/c/data.json": `"x"`}, []string{`constraint "c": not an object`}},
		{"unknown template", constraint("template: u\n"), []string{`constraint "c": template "u"`}},
		{"misspelt template", constraint("template: tt\n"), []string{`constraint "c": template "tt": no package admission.tt with a rule violation: did you mean "t"?`}},
		{"misspelt field", constraint("template: t\nenforcmentAction: deny\n"), []string{`unknown field "enforcmentAction": want template, enforcementAction, match, parameters`}},
		{"copied template", reading("data.gatehouse.instances.other"), []string{"admission/t/t.rego:3: reads data.gatehouse.instances.other: a template reads its own, data.gatehouse.instances.t", `constraint "c": template "t": no rule of it reads`}},
		{"template of all instances", reading("data.gatehouse.instances"), []string{"reads data.gatehouse.instances: a template reads its own"}},
		{"template by a computed name", reading("data.gatehouse.instances[input.request.method]"), []string{"reads data.gatehouse.instances: a template reads its own"}},
		{"template without instances", reading("data.constraints"), []string{`constraint "c": template "t": no rule of it reads data.gatehouse.instances.t: it would find nothing`}},
		{"attribute that is not there", declaring("{properties: {attribute: {type: string, format: attribute}}}", "parameters: {attribute: suspendd}\n", "attributes/suspended/data.yaml", "a: b\n"), []string{`parameters: attribute: data.attributes has no object "suspendd": did you mean "suspended"?`}},
		{"attribute that is a list", declaring("{properties: {attribute: {type: string, format: attribute}}}", "parameters: {attribute: suspended}\n", "attributes/x/data.json", `{"suspended": []}`), []string{`data.attributes has no object "suspended"`}},
		{"grant of no route", map[string]string{"authz/orders/more.rego": "package authz.orders\n\nallow contains \"x\" if input.request.route == \"GET /order\"\n"}, []string{`authz/orders/more.rego:3: "GET /order" is no route of data.routes: did you mean "GET /orders"?`}},
		{"grant of no route, nor like one", map[string]string{"authz/orders/more.rego": "package authz.orders\n\nallow contains \"x\" if input.request.route == \"DELETE /everything\"\n"}, []string{`"DELETE /everything" is no route of data.routes`}},
		{"grant of another API's route", map[string]string{"authz/admin/admin.rego": "package authz.admin\n\nallow contains \"x\" if input.request.route == \"GET /orders\"\n"}, []string{`authz/admin/admin.rego:3: "GET /orders" is a route of the API orders`}},
		{"grant called otherwise", map[string]string{"authz/orders/more.rego": "package authz.orders\n\n# METADATA\n# custom:\n#   code: orders.b\nallow contains \"orders.a\" if input.request.route == \"GET /orders\"\n"}, []string{`METADATA says code orders.b, and the rule "orders.a"`}},
		{"another directory", map[string]string{".manifest": "", "a.txt": "x", "b.bin": "x"}, []string{".manifest: missing: is this the directory of the policies?"}},
		{"no template", constraint("parameters: {}\n"), []string{"want the name of a folder"}},
		{"action in capitals", constraint("template: t\nenforcementAction: Deny\n"), []string{"Deny", "want deny, warn or dryrun"}},
		{"misspelt match", constraint("template: t\nmatches: {}\n"), []string{`unknown field "matches"`}},
		{"match is a list", constraint("template: t\nmatch: []\n"), []string{"match: not an object"}},
		{"misspelt routes", constraint("template: t\nmatch: {route: []}\n"), []string{`unknown field "route"`}},
		{"routes is a text", constraint("template: t\nmatch: {routes: GET /orders}\n"), []string{"match.routes"}},
		{"a route that the table lacks", constraint("template: t\nmatch: {routes: [GET /order]}\n"), []string{`"GET /order" is no route`}},
		{"excluded principals of numbers", constraint("template: t\nmatch: {excludedPrincipals: [1]}\n"), []string{"match.excludedPrincipals"}},
		{"parameters that nobody declares", constraint("template: t\nparameters: {a: 1}\n"), []string{`constraint "c": parameters: template "t" declares none`}},
		{"parameters of another type", declaring("{type: object, properties: {a: {type: string}}}", "parameters: {a: 1}\n"), []string{`constraint "c": parameters: a: Invalid type`}},
		{"parameters misspelt", declaring("{type: object, required: [a], additionalProperties: false}", "parameters: {b: 1}\n"), []string{"a is required", "b is not allowed"}},
		{"parameters left out", declaring("{type: object, required: [a]}", ""), []string{`constraint "c": parameters`, "a is required"}},
		{"parameters declared as a text", declaring("object", "parameters: {a: 1}\n"), []string{`template "t": METADATA: custom.parameters`, "want an object"}},
		{"parameters declared by no schema", declaring("{type: 1}", "parameters: {a: 1}\n"), []string{`template "t": METADATA: custom.parameters is not a JSON Schema`}},
		{"parameters declared elsewhere", declaring(`{$ref: "http://127.0.0.1:1/schema.json"}`, "parameters: {a: 1}\n"), []string{`template "t": METADATA: custom.parameters: "$ref"`}},
		{"parameters declared in a file", declaring(`{$ref: "file:///etc/hostname"}`, "parameters: {a: 1}\n"), []string{`custom.parameters: "$ref"`}},
		{"parameters declared by themselves", declaring(`{type: object, properties: {a: {items: {$ref: "#"}}}}`, "parameters: {a: 1}\n"), []string{`custom.parameters: a: items: "$ref"`}},
		{"parameters declared by themselves, in a list", declaring(`{anyOf: [{type: object}, {$ref: "#"}]}`, "parameters: {a: 1}\n"), []string{`custom.parameters: anyOf: "$ref"`}},
		{"parameters declared by themselves, denied", declaring(`{not: {$ref: "#"}}`, "parameters: {a: 1}\n"), []string{`custom.parameters: not: "$ref"`}},
		{"parameters declared with an address", declaring(`{$id: "file:///tmp/", additionalProperties: {type: string}}`, "parameters: {a: 1}\n"), []string{`custom.parameters: "$id"`}},
		{"parameters declared by a number", declaring(`{additionalProperties: 1}`, "parameters: {a: 1}\n"), []string{`custom.parameters: additionalProperties: is`, "want an object"}},
		{"parameter that is no network", declaring(`{properties: {nets: {type: array, items: {type: string, format: cidr}}}}`, "parameters: {nets: [10.0.0.0/8, 300.0.0.0/8]}\n"), []string{`constraint "c": parameters: nets.1: "300.0.0.0/8" is no network`}},
		{"further parameter that is no network", declaring(`{additionalProperties: {type: string, format: cidr}}`, "parameters: {a: 10.0.0.0}\n"), []string{`parameters: a: "10.0.0.0" is no network`}},
		{"parameters is a list", constraint("template: t\nparameters: []\n"), []string{"parameters: not an object"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, minimal(tt.change))
			if err == nil {
				t.Fatal("loaded")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
		})
	}
}

func TestFaultsAreNamedTogether(t *testing.T) {
	_, err := load(t, minimal(map[string]string{
		"gatehouse/decision.rego":  "package gatehouse\n\nx := 1\n",
		"constraints/a/data.yaml":  "template: none\n",
		"constraints/b/data.yaml":  "enforcementAction: warn\n",
		"authz/orders/orders.rego": "package authz.orders\n\nallow if true\n",
	}))
	for _, part := range []string{"data.gatehouse.decision", `constraint "a"`, `constraint "b"`, "must be a set"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %q", err, part)
		}
	}
}

func TestReadRefusesTooMuch(t *testing.T) {
	many := fstest.MapFS{}
	for i := range 2001 {
		many[fmt.Sprintf("attributes/%d/data.yaml", i)] = &fstest.MapFile{Data: []byte("a: 1\n"), Mode: 0o644}
	}
	large := fstest.MapFS{}
	for i := range 9 {
		large[filepath.Join(strings.Repeat("x", i+1), "data.yaml")] = &fstest.MapFile{Data: bytes.Repeat([]byte("#"), 1<<20), Mode: 0o644}
	}
	link := fstest.MapFS{".manifest": &fstest.MapFile{Data: []byte("{}")}, "data.yaml": &fstest.MapFile{Data: []byte("elsewhere"), Mode: fs.ModeSymlink}}
	for want, root := range map[string]fs.FS{"2000 files": many, "8388608 bytes": large, "not a regular file": link} {
		if _, err := bundle.Read(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if _, err := bundle.Read(os.DirFS(filepath.Join(t.TempDir(), "none"))); err == nil {
		t.Error("a directory that is not there was read")
	}
}

func TestClaimsRead(t *testing.T) {
	tests := []struct {
		name, rule string
		names      []string
		computed   bool
	}{
		{"none", `allow contains "x" if input.request.method == "GET"`, nil, false},
		{"by name", `allow contains "x" if input.principal.claims.acr == "x"`, []string{"acr"}, false},
		{"deeper", `allow contains "x" if input.principal.claims.a.b[0] == "x"`, []string{"a"}, false},
		{"a URL as a name", `allow contains "x" if "r" in input.principal.claims["https://x.example/r"]`, []string{"https://x.example/r"}, false},
		{"in brackets of another reference", `allow contains "x" if data.attributes.roles[input.principal.claims.acr]`, []string{"acr"}, false},
		{"twice", `allow contains "x" if input.principal.claims.acr == input.principal.claims.acr`, []string{"acr"}, false},
		{"in else", `allow contains "x" if f(1)` + "\n\nf(_) := 1 if false\n\nelse := 2 if input.principal.claims.e", []string{"e"}, false},
		{"in a comprehension", `allow contains "x" if count([c | c := input.principal.claims.acr]) == 1`, []string{"acr"}, false},
		{"in a head", `allow contains input.principal.claims.acr if true`, []string{"acr"}, false},
		{"in the reference of a head", `allow contains "x" if m` + "\n\nm[input.principal.claims.acr].x := 1 if true", []string{"acr"}, false},
		{"in an every", `allow contains "x" if every v in [1] { input.principal.claims.e == v }`, []string{"e"}, false},
		{"computed", `allow contains "x" if input.principal.claims[input.request.method]`, nil, true},
		{"iterated", `allow contains "x" if { some k, _ in input.principal.claims; k == "x" }`, nil, true},
		{"handed on", `allow contains "x" if object.get(input.principal.claims, "acr", "") == "x"`, nil, true},
		{"principal handed on", `allow contains "x" if count(input.principal) == 1`, nil, true},
		{"input handed on", `allow contains "x" if count(input) == 1`, nil, true},
		{"input by a variable", `allow contains "x" if input[_].claims`, nil, true},
		{"as a local", `allow contains "x" if { c := input.principal.claims; c.acr }`, nil, true},
		{"replaced", `allow contains "x" if data.gatehouse.decision with input as {}`, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loaded, err := load(t, minimal(map[string]string{
				"authz/orders/orders.rego": "package authz.orders\n\n" + tt.rule + "\n",
			}))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(loaded.Claims.Names, tt.names) || loaded.Claims.Computed != tt.computed {
				t.Errorf("got %q, computed %t", loaded.Claims.Names, loaded.Claims.Computed)
			}
		})
	}
}

// The list in Go decides; the file says the same to the plain program.
func TestCapabilities(t *testing.T) {
	caps := bundle.Capabilities()
	for _, b := range caps.Builtins {
		if b.IsNondeterministic() && b.Name != "time.now_ns" {
			t.Errorf("%s is allowed and not deterministic", b.Name)
		}
	}
	for _, name := range []string{
		"http.send", "net.lookup_ip_addr", "net.cidr_expand", "opa.runtime", "rand.intn", "uuid.rfc4122", "numbers.range",
		"numbers.range_step", "bits.lsh", "format_int", "io.jwt.decode_verify", "rego.parse_module", "json.match_schema",
		"crypto.x509.parse_certificates", "graphql.parse", "providers.aws.sign_req", "trace",
	} {
		if slices.ContainsFunc(caps.Builtins, func(b *ast.Builtin) bool { return b.Name == name }) {
			t.Errorf("%s is allowed", name)
		}
	}
	if caps.AllowNet == nil || len(caps.AllowNet) != 0 {
		t.Errorf("allow_net: %v: want an empty list, as none would mean any host", caps.AllowNet)
	}
	want, err := json.MarshalIndent(caps, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("capabilities.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("capabilities.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("capabilities.json is not what the list gives: go test ./internal/bundle -update")
	}
}

// FuzzLoad: whatever a file holds, loading ends without a panic, and what loads has an entrypoint.
func FuzzLoad(f *testing.F) {
	f.Add("authz/orders/orders.rego", "package authz.orders\n\nallow contains \"x\"\n")
	f.Add("constraints/c/data.yaml", "template: t\nmatch: {routes: [GET /orders]}\n")
	f.Add("routes/data.json", `{"GET /orders": {"api": "orders", "answer": "request"}}`)
	f.Add(".manifest", `{"roots": [""], "rego_version": 1}`)
	f.Fuzz(func(t *testing.T, name, content string) {
		if !fs.ValidPath(name) || name == "." || len(content) > 2_000 {
			return
		}
		loaded, err := load(t, minimal(map[string]string{"admission/t/t.rego": template, name: content}))
		if err == nil && len(loaded.Compiler.GetRulesExact(bundle.Entrypoint)) == 0 {
			t.Error("loaded without an entrypoint")
		}
	})
}
