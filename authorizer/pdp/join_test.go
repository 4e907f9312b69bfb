package pdp

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/policies"
)

var update = flag.Bool("update", false, "write the shipped entrypoint's digest into join.go")

func loaded(t *testing.T, root fs.FS) *bundle.Loaded {
	t.Helper()
	content, err := bundle.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := content.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestEntrypointDigest: an entrypoint that changed is a reason to look at join.go, and then to write its new name there.
func TestEntrypointDigest(t *testing.T) {
	shipped := loaded(t, policies.FS).Entrypoint
	if *update {
		source, err := os.ReadFile("join.go")
		if err != nil {
			t.Fatal(err)
		}
		source = regexp.MustCompile(`(?m)^(const entrypointDigest = ").*"$`).ReplaceAll(source, []byte("${1}"+shipped+`"`))
		if err := os.WriteFile("join.go", source, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if shipped != entrypointDigest {
		t.Errorf("the shipped entrypoint is %s, and join.go does the work of %s: make it do the same, then go test ./authorizer/pdp -update", shipped, entrypointDigest)
	}
	for name, change := range map[string]map[string]string{
		"edited":         {"gatehouse/decision.rego": string(bytes.Replace(read(t, "gatehouse/decision.rego"), []byte("\ndefault _"), []byte("\n\ndefault _"), 1))},
		"a rule beside":  {"gatehouse/more.rego": "package gatehouse\n\n_violations contains {\"action\": \"deny\", \"constraint\": \"\", \"message\": \"closed\", \"template\": \"\"} if true\n"},
		"a scan of ours": {"gatehouse/scan/more.rego": "package gatehouse.scan\n\nfaults contains {} if false\n"},
	} {
		if p := loads(t, Edition(t, change)); p.plans != nil {
			t.Errorf("%s: decided by join.go", name)
		}
	}
	if p := loads(t, Edition(t, map[string]string{"gatehouse/more/more.rego": "package gatehouse.more\n\nx := 1\n"})); p.plans == nil {
		t.Error("a package that the entrypoint does not use: not decided by join.go")
	}
}

// Without an index no constraint would be in scope, and nothing would deny.
func TestNoIndexNoDecision(t *testing.T) {
	l := loaded(t, Edition(t, nil))
	if err := storage.WriteOne(t.Context(), l.Store, storage.RemoveOp, storage.MustParsePath("/index"), nil); err != nil {
		t.Fatal(err)
	}
	p, err := New(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"GET /orders", "GET /elsewhere"} {
		d, err := p.Decide(t.Context(), drawn(rand.New(rand.NewPCG(1, 1)), []string{route}, nil))
		if d.Allowed || err == nil || !strings.Contains(err.Error(), "data.index") {
			t.Errorf("%s: %+v, %v", route, d, err)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := policies.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A rule that somebody adds to the entrypoint counts.
func TestAnotherEntrypointDecides(t *testing.T) {
	p := loads(t, Edition(t, map[string]string{
		"gatehouse/more.rego": "package gatehouse\n\n_violations contains {\"action\": \"deny\", \"constraint\": \"\", \"message\": \"closed\", \"template\": \"\"} if true\n",
	}))
	in := drawn(rand.New(rand.NewPCG(1, 1)), []string{"GET /orders"}, new(authorizer.Memo))
	for range 3 {
		if d, err := p.Decide(t.Context(), in); err != nil || d.Status.Message != "closed" {
			t.Errorf("%+v, %v", d, err)
		}
	}
}

// odd gives findings of any shape, which templates could work out of data.
const odd = `# METADATA
# scope: package
# custom:
#   parameters: {type: object}
package admission.odd

import data.gatehouse

violation contains finding if {
	some name, parameters in gatehouse.instances.odd
	some finding in parameters.findings
}
`

// extras is what an API's package may add to an allowed request.
const extras = `package authz.orders

context := {"tenant": input.principal.organization} if input.request.method == "GET"

usage_identifier_key := input.principal.client_id if input.request.method == "DELETE"
`

// TestJoinIndexAndScanAgree decides three ways over constraints and requests drawn by a fixed seed: by join.go, as an
// authorizer does; by the entrypoint over data.index; and by the entrypoint without one, as the plain opa program does.
// The decisions are the same, whole.
func TestJoinIndexAndScanAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	some := func(of []string) []string {
		picked := []string{}
		for _, one := range of {
			if random.IntN(3) == 0 {
				picked = append(picked, one)
			}
		}
		return picked
	}
	routes := loaded(t, policies.FS).Routes
	subjects := []string{"auth0|cust", "auth0|susp", "robot@clients"}
	findings := []any{
		map[string]any{"constraint": "c0", "message": "m"}, map[string]any{"constraint": "c1", "message": "m"}, map[string]any{"constraint": "c2", "message": "n"},
		map[string]any{"constraint": "ghost", "message": "m"}, map[string]any{"constraint": "c0"}, map[string]any{"constraint": 1, "message": "m"},
		map[string]any{"constraint": "c1", "message": nil}, map[string]any{"constraint": "c1", "message": "m", "action": "dryrun"}, "m", nil, true, []any{"c0", "m"},
	}
	parameters := map[string]func() any{
		"require_mfa":          func() any { return map[string]any{"acr": []string{"gold"}} },
		"require_scope":        func() any { return map[string]any{"scopes": []string{"openid"}} },
		"require_organization": func() any { return map[string]any{"organizations": []string{"org_home"}} },
		"deny_subjects":        func() any { return map[string]any{"attribute": "suspended"} },
		"max_token_age":        func() any { return map[string]any{"seconds": 60} },
		"odd": func() any {
			return map[string]any{"findings": []any{findings[random.IntN(len(findings))], findings[random.IntN(len(findings))]}}
		},
	}
	templates := slices.Sorted(maps.Keys(parameters))
	seen := map[string]int{}
	for round := range 60 {
		change := map[string]string{"admission/odd/odd.rego": odd}
		if round%2 == 0 {
			change["authz/orders/extras.rego"] = extras
		}
		entries, err := policies.FS.ReadDir("constraints")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			change["constraints/"+e.Name()+"/data.yaml"] = ""
		}
		for i := range random.IntN(7) {
			template := pick(templates...)
			c := map[string]any{"template": template, "parameters": parameters[template]()}
			if random.IntN(2) == 0 {
				c["enforcementAction"] = pick("deny", "warn", "dryrun")
			}
			match := map[string]any{}
			if random.IntN(2) == 0 {
				match["routes"] = some(routes)
			}
			if random.IntN(3) == 0 {
				match["excludedPrincipals"] = some(subjects)
			}
			if len(match) > 0 || random.IntN(2) == 0 {
				c["match"] = match
			}
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			change[fmt.Sprintf("constraints/c%d/data.json", i)] = string(text)
		}
		l := loaded(t, Edition(t, change))
		p, err := New(t.Context(), l)
		if err != nil || p.plans == nil {
			t.Fatalf("round %d: %v, plans %v", round, err, p.plans)
		}
		query, err := rego.New(rego.Query("data.gatehouse.decision"), rego.Compiler(l.Compiler), rego.Store(l.Store),
			rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byRego := func(in authorizer.Input) authorizer.Decision {
			results, err := query.Eval(t.Context(), rego.EvalParsedInput(inputValue(in, principalValue(in.Principal))))
			if err != nil || len(results) != 1 {
				t.Fatalf("round %d: %v, %v", round, results, err)
			}
			document := results[0].Expressions[0].Value.(map[string]any)
			key, _ := document["usageIdentifierKey"].(string)
			delete(document, "usageIdentifierKey")
			text, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			var d authorizer.Decision
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&d); err != nil {
				t.Fatal(err)
			}
			d.UsageIdentifierKey = authorizer.APIKey(key)
			return d
		}
		var inputs []authorizer.Input
		for _, route := range append([]string{"", "GET /elsewhere"}, routes...) {
			for _, subject := range subjects {
				in := drawn(random, []string{route}, nil)
				in.Principal.Subject, in.Principal.ClientID = subject, "spa"
				in.Principal.Scopes, in.Principal.Permissions = some([]string{"openid"}), some([]string{"read:orders", "get:profile"})
				in.Principal.Claims = map[string]any{"iat": json.Number(fmt.Sprint(in.Request.Time.Add(-time.Duration(random.IntN(120)) * time.Second).Unix()))}
				inputs = append(inputs, in)
			}
		}
		indexed := make([]authorizer.Decision, len(inputs))
		for i, in := range inputs {
			d, err := p.Decide(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			d.Disclosed = nil // METADATA is not for Rego to see
			if len(d.Context) == 0 {
				d.Context = map[string]string{}
			}
			d.AuditAnnotations = map[string]string{}
			if indexed[i] = byRego(in); !reflect.DeepEqual(d, indexed[i]) || d.UsageIdentifierKey != indexed[i].UsageIdentifierKey {
				t.Fatalf("round %d: %v\nin %+v\nby join.go   %+v\nby the index %+v", round, change, in, d, indexed[i])
			}
			seen[string(d.Status.Reason)]++
			seen["key"] += len(d.UsageIdentifierKey)
			seen["tenant"] += len(d.Context["tenant"])
			seen["warnings"] += len(d.Warnings)
		}
		if err := storage.WriteOne(t.Context(), l.Store, storage.RemoveOp, storage.MustParsePath("/index"), nil); err != nil {
			t.Fatal(err)
		}
		for i, in := range inputs {
			if scanned := byRego(in); !reflect.DeepEqual(scanned, indexed[i]) {
				t.Fatalf("round %d: %v\nin %+v\nby the index %+v\nby the scan  %+v", round, change, in, indexed[i], scanned)
			}
		}
	}
	for _, what := range []string{"Granted", "ConstraintViolated", "NotGranted", "warnings", "key", "tenant"} {
		if seen[what] < 20 {
			t.Errorf("%v: too few of %s to mean anything", seen, what)
		}
	}
}
