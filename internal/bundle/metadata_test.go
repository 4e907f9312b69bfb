package bundle_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/bundle"
	"gatehouse/policies"
)

const meta = "# METADATA\n# custom: {code: orders.delete, disclose: true}\n"

// grant gives a file of an API's grants, whose METADATA begins in line 3.
func grant(rules string) map[string]string {
	return map[string]string{
		"authz/orders/orders.rego": "package authz.orders\n\n" + rules + "\n",
		"routes/data.json": `{"GET /orders": {"api": "orders", "answer": "request"}, "POST /orders": {"api": "orders", "answer": "request"},
			"DELETE /orders/{id}": {"api": "orders", "answer": "request"}, "GET /other": {"api": "other", "answer": "request"}}`,
		"authz/other/other.rego": "package authz.other\n\nallow contains \"other\"\n",
	}
}

// finding gives the files of a template, whose METADATA begins in line 3.
func finding(rules string, more ...string) map[string]string {
	files := map[string]string{"admission/t/t.rego": "package admission.t\n\n" + rules + "\n"}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

const found = `violation contains {"constraint": name, "message": "no"} if some name, _ in data.gatehouse.instances.t`

func TestWhatTheHouseDiscloses(t *testing.T) {
	loaded, err := load(t, policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded.Disclosed.Templates["require_mfa"]; got != "mfa_required" {
		t.Errorf("require_mfa discloses %q", got)
	}
	if got := loaded.Disclosed.Routes["DELETE /orders/{id}"]; !slices.Equal(got, []string{"orders.delete"}) {
		t.Errorf("DELETE /orders/{id} discloses %q", got)
	}
	if got := loaded.Disclosed.Routes["POST /orders"]; got != nil {
		t.Errorf("POST /orders discloses %q, and nobody asked for it", got)
	}
}

func TestDisclosedRoutes(t *testing.T) {
	del := []string{"orders.delete"}
	tests := []struct {
		name, rules string
		want        map[string][]string
	}{
		{"compared", meta + `allow contains "orders.delete" if input.request.route == "DELETE /orders/{id}"`, map[string][]string{"DELETE /orders/{id}": del}},
		{"the other way round", meta + `allow contains "orders.delete" if "DELETE /orders/{id}" == input.request.route`, map[string][]string{"DELETE /orders/{id}": del}},
		{"unified", meta + `allow contains "orders.delete" if input.request.route = "DELETE /orders/{id}"`, map[string][]string{"DELETE /orders/{id}": del}},
		{"by brackets", meta + `allow contains "orders.delete" if input["request"]["route"] == "DELETE /orders/{id}"`, map[string][]string{"DELETE /orders/{id}": del}},
		{"a set", meta + `allow contains "orders.delete" if input.request.route in {"GET /orders", "POST /orders"}`, map[string][]string{"GET /orders": del, "POST /orders": del}},
		{"an array", meta + `allow contains "orders.delete" if input.request.route in ["GET /orders", "GET /orders"]`, map[string][]string{"GET /orders": del}},
		{"said twice", meta + "allow contains \"orders.delete\" if {\n\tinput.request.route in {\"GET /orders\", \"POST /orders\"}\n\tinput.request.route != \"x\"\n\tinput.request.route == \"POST /orders\"\n}",
			map[string][]string{"POST /orders": del}},
		{"beside what says nothing", meta + "allow contains \"orders.delete\" if {\n\tnot input.request.route == \"GET /orders\"\n\tinput.request.method == \"GET /orders\"\n\tinput.request.route == \"POST /orders\"\n\tsome x in [1]\n\tx > 0\n\tinput.request.id\n}",
			map[string][]string{"POST /orders": del}},
		{"a code of the METADATA alone", meta + `allow contains code if {
	input.request.route == "POST /orders"
	code := input.request.id
}`, map[string][]string{"POST /orders": del}},
		{"two rules", meta + "allow contains \"orders.delete\" if input.request.route == \"POST /orders\"\n\n" +
			"# METADATA\n# custom: {code: orders.b, disclose: true}\nallow contains \"orders.b\" if input.request.route == \"POST /orders\"",
			map[string][]string{"POST /orders": {"orders.b", "orders.delete"}}},
		{"one of two rules", meta + "allow contains \"orders.delete\" if input.request.route == \"POST /orders\"\n\n" +
			"# METADATA\n# custom: {code: orders.b}\nallow contains \"orders.b\" if input.request.route == \"POST /orders\"\n\nallow contains \"c\" if input.request.route == \"POST /orders\"",
			map[string][]string{"POST /orders": del}},
		{"false", "# METADATA\n# custom: {code: orders.b, disclose: false}\nallow contains \"orders.b\" if input.request.route == \"POST /orders\"", nil},
		{"a word in a comment", "# to disclose nothing\nallow contains \"orders.b\" if input.request.route == \"POST /orders\"", nil},
		{"METADATA of the package without it", "# METADATA\n# scope: document\n# custom: {code: x}\nallow contains \"orders.b\" if input.request.disclose == \"POST /orders\"", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loaded, err := load(t, minimal(grant(tt.rules)))
			if err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(loaded.Disclosed.Routes, tt.want, slices.Equal) || len(loaded.Disclosed.Templates) != 0 {
				t.Errorf("got %+v, want %v", loaded.Disclosed, tt.want)
			}
		})
	}
}

func TestDisclosedTemplates(t *testing.T) {
	const code = "# METADATA\n# custom: {code: no_entry, disclose: true}\n"
	for name, files := range map[string]map[string]string{
		"one rule":               finding(code + found),
		"two rules":              finding(code+found+"\n\n"+code+found, "admission/u/u.rego", "package admission.u\n\n"+strings.ReplaceAll(found, "instances.t", "instances.u")+"\n"),
		"two rules in two files": finding(code+found, "admission/t/more.rego", "package admission.t\n\n"+code+found+"\n"),
	} {
		loaded, err := load(t, minimal(files))
		if want := (bundle.Disclosed{Templates: map[string]string{"t": "no_entry"}, Routes: map[string][]string{}}); err != nil || !reflect.DeepEqual(loaded.Disclosed, want) {
			t.Errorf("%s: %v, %+v", name, err, loaded)
		}
	}
}

func TestDisclosureRefused(t *testing.T) {
	const route = `allow contains "orders.delete" if input.request.route == "POST /orders"`
	custom := func(custom string) string { return "# METADATA\n# custom: " + custom + "\n" }
	const code = "# METADATA\n# custom: {code: no_entry, disclose: true}\n"
	packaged := grant("")
	packaged["authz/orders/orders.rego"] = meta + "package authz.orders\n\nallow contains \"a\"\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a text", grant(custom(`{code: orders.delete, disclose: "true"}`) + route), "authz/orders/orders.rego:3: METADATA: disclose: want true or false"},
		{"a word", grant(custom(`{code: orders.delete, disclose: yes}`) + route), "want true or false"},
		{"null", grant(custom(`{code: orders.delete, disclose: null}`) + route), "want true or false"},
		{"a number", finding(custom(`{code: no, disclose: 1}`) + found), "admission/t/t.rego:3: METADATA: disclose: want true or false"},
		{"no code", finding(custom(`{disclose: true}`) + found), "admission/t/t.rego:5: METADATA: disclose without a code"},
		{"no code but in the head", grant(custom(`{disclose: true}`) + `allow contains input.request.id if input.request.route == "POST /orders"`), "authz/orders/orders.rego:5: METADATA: disclose without a code"},
		{"a code with a space", finding(custom(`{code: no entry, disclose: true}`) + found), `code "no entry": want at most 64`},
		{"a code with a quote", finding(custom(`{code: 'a"b', disclose: true}`) + found), `want at most 64`},
		{"a code that is too long", finding(custom(`{code: `+strings.Repeat("a", 65)+`, disclose: true}`) + found), `want at most 64`},
		{"an empty code", finding(custom(`{code: "", disclose: true}`) + found), `code ""`},
		{"a list of codes", finding(custom(`{code: [a], disclose: true}`) + found), `code "[a]"`},
		{"another code in the head", grant(meta + strings.Replace(route, "orders.delete", "orders.d", 1)), `authz/orders/orders.rego:5: METADATA: disclose: the rule has the codes ["orders.d" "orders.delete"]: want one`},
		{"two METADATA", finding(custom(`{code: a, disclose: true}`) + "\n" + custom(`{code: b}`) + found), `the rule has the codes ["a" "b"]`},
		{"two rules of a template", finding(code + found + "\n\n" + strings.Replace(code, "no_entry", "closed", 1) + found), `admission/t/t.rego:9: METADATA: code "closed": the template's other rule has "no_entry"`},
		{"one of two rules of a template", finding(code + found + "\n\n" + found), "admission/t/t.rego:5: METADATA: disclose stands at 1 of the 2 rules violation of t"},
		{"one of two files of a template", finding(code+found, "admission/t/more.rego", "package admission.t\n\n"+found+"\n"), "stands at 1 of the 2 rules"},
		{"scope package", packaged, "authz/orders/orders.rego:1: METADATA: disclose belongs to one rule, and this is of scope package"},
		{"scope document", grant("# METADATA\n# scope: document\n# custom: {code: orders.delete, disclose: true}\n" + route), "orders.rego:3: METADATA: disclose belongs to one rule, and this is of scope document"},
		{"of a helper", grant(meta + "_helper if input.request.route == \"POST /orders\"\n\nallow contains \"a\" if _helper"), "data.authz.orders._helper is neither a grant"},
		{"of the entrypoint", map[string]string{"gatehouse/decision.rego": "package gatehouse\n\n" + meta + "decision := {\"allowed\": false}\n"}, "data.gatehouse.decision is neither a grant"},
		{"no route", grant(meta + `allow contains "orders.delete"`), "authz/orders/orders.rego:5: METADATA: disclose: the grant does not state its routes"},
		{"a route by another name", grant(meta + "allow contains \"orders.delete\" if {\n\troute := input.request.route\n\troute == \"POST /orders\"\n}"), "does not state its routes"},
		{"a route that is excluded", grant(meta + `allow contains "orders.delete" if not input.request.route == "POST /orders"`), "does not state its routes"},
		{"a route of another input", grant(meta + `allow contains "orders.delete" if input.request.route == "POST /orders" with input as {}`), "does not state its routes"},
		{"routes that are computed", grant(meta + `allow contains "orders.delete" if input.request.route in {"POST /orders", input.request.id}`), "does not state its routes"},
		{"routes that are data", grant(meta + `allow contains "orders.delete" if input.request.route in data.attributes`), "does not state its routes"},
		{"another field among routes", grant(meta + `allow contains "orders.delete" if input.request.id in {"POST /orders"}`), "does not state its routes"},
		{"routes that exclude each other", grant(meta + "allow contains \"orders.delete\" if {\n\tinput.request.route == \"POST /orders\"\n\tinput.request.route == \"GET /orders\"\n}"), "does not state its routes"},
		{"a route of another API", grant(meta + `allow contains "orders.delete" if input.request.route == "GET /other"`), `"GET /other" is no route of orders in data.routes`},
		{"a route of nobody", grant(meta + `allow contains "orders.delete" if input.request.route == "POST /order"`), `"POST /order" is no route of orders`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loaded, err := load(t, minimal(tt.files))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v, want %q", loaded, err, tt.want)
			}
		})
	}
}

// METADATA that OPA itself cannot read is named with its place.
func TestMetadataThatIsNone(t *testing.T) {
	_, err := load(t, minimal(grant("# METADATA\n# custom: {disclose: true\nallow contains \"a\" if input.request.route == \"POST /orders\"")))
	if err == nil || !strings.Contains(err.Error(), "authz/orders/orders.rego:4") {
		t.Errorf("got %v", err)
	}
}
