package pdp_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"

	"gatehouse/internal/bundle"
	"gatehouse/policies"
)

// TestIndexAndScanAgree decides with data.index, as an authorizer does, and without it, as the plain opa program does,
// over constraints and requests drawn by a fixed seed: the two decisions are the same, whole.
func TestIndexAndScanAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	some := func(of []string) []string {
		picked := []string{}
		for _, one := range of {
			if random.IntN(3) == 0 {
				picked = append(picked, one)
			}
		}
		return picked
	}
	base, err := bundle.Read(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := base.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	routes := loaded.Routes
	subjects := []string{"auth0|cust", "auth0|susp", "robot@clients"}
	templates := map[string]any{
		"require_mfa":          map[string]any{"acr": []string{"gold"}},
		"require_scope":        map[string]any{"scopes": []string{"openid"}},
		"require_organization": map[string]any{"organizations": []string{"org_home"}},
		"deny_subjects":        map[string]any{"attribute": "suspended"},
	}
	answers := map[string]int{}
	for round := range 60 {
		constraints := map[string]any{}
		for i := range random.IntN(9) {
			template := slices.Sorted(maps.Keys(templates))[random.IntN(len(templates))]
			c := map[string]any{"template": template, "parameters": templates[template]}
			if random.IntN(2) == 0 {
				c["enforcementAction"] = []string{"deny", "warn", "dryrun"}[random.IntN(3)]
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
			constraints[fmt.Sprintf("c%d", i)] = c
		}
		text, err := json.Marshal(constraints)
		if err != nil {
			t.Fatal(err)
		}
		change := map[string]string{}
		for name := range shipped(t) {
			change["constraints/"+name+"/data.yaml"] = ""
		}
		for name, c := range constraints {
			one, _ := json.Marshal(c)
			change["constraints/"+name+"/data.json"] = string(one)
		}
		content, err := bundle.Read(with(t, change))
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := content.Load(t.Context())
		if err != nil {
			t.Fatalf("round %d: %s: %v", round, text, err)
		}
		query, err := rego.New(rego.Query("data.gatehouse.decision"), rego.Compiler(loaded.Compiler), rego.Store(loaded.Store),
			rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		decide := func(input any) string {
			results, err := query.Eval(t.Context(), rego.EvalInput(input))
			if err != nil || len(results) != 1 {
				t.Fatalf("round %d: %s: %v results, %v", round, text, results, err)
			}
			decision, err := json.Marshal(results[0].Expressions[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			return string(decision)
		}
		var inputs []any
		for _, route := range append([]string{"", "GET /elsewhere"}, routes...) {
			for _, subject := range append([]string{""}, subjects...) {
				request, principal := map[string]any{}, map[string]any{"scopes": some([]string{"openid"}), "permissions": some([]string{"read:orders"})}
				if route != "" {
					request["route"] = route
				}
				if subject != "" {
					principal["subject"] = subject
				}
				inputs = append(inputs, map[string]any{"request": request, "principal": principal})
			}
		}
		indexed := make([]string, len(inputs))
		for i, input := range inputs {
			indexed[i] = decide(input)
		}
		if err := storage.WriteOne(t.Context(), loaded.Store, storage.RemoveOp, storage.MustParsePath("/index"), nil); err != nil {
			t.Fatal(err)
		}
		for i, input := range inputs {
			if scanned := decide(input); scanned != indexed[i] {
				t.Fatalf("round %d: %s\ninput %v\nby the index %s\nby the scan  %s", round, text, input, indexed[i], scanned)
			}
			var d struct{ Status struct{ Reason string } }
			if err := json.Unmarshal([]byte(indexed[i]), &d); err != nil {
				t.Fatal(err)
			}
			answers[d.Status.Reason]++
		}
	}
	if answers["Granted"] < 50 || answers["ConstraintViolated"] < 50 || answers["NotGranted"] < 50 {
		t.Errorf("decisions by reason: %v: too few of some to mean anything", answers)
	}
}

// shipped are the constraints of the house, by name.
func shipped(t *testing.T) map[string]bool {
	t.Helper()
	entries, err := policies.FS.ReadDir("constraints")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	return names
}
