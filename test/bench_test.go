//go:build !race

// Times under the race detector say nothing.

package test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/internal/issuer"
	"gatehouse/policies"
)

// rawVerify is the one operation that a decision on a new token cannot do without.
func rawVerify(b *testing.B) func() {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256(make([]byte, 1_000))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

// against runs an operation and a yardstick in turns, so that what slows the machine slows both, and reports the median
// of their ratios. Times of their own would say more of the machine than of the code.
func against(b *testing.B, unit string, yardstick, operation func()) {
	b.Helper()
	const turns = 8
	var ratios []float64
	operation()
	for b.Loop() {
		begin := time.Now()
		for range turns {
			yardstick()
		}
		between := time.Now()
		for range turns {
			operation()
		}
		ratios = append(ratios, float64(time.Since(between))/float64(between.Sub(begin)))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], unit)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkHandler is the whole handler in process, from the bytes of a REST REQUEST event to those of the answer, with
// its record: as a multiple of one rsa.VerifyPKCS1v15.
func BenchmarkHandler(b *testing.B) {
	raw := rawVerify(b)
	for _, tt := range []struct {
		token  string
		tokens int
	}{
		{"known", 1},
		{"new", 1_500}, // more than are remembered, so that each is new whenever its turn comes
	} {
		b.Run("token="+tt.token, func(b *testing.B) {
			a, events := handling(b, tt.tokens)
			n := 0
			against(b, "x-raw-verify", raw, func() {
				if _, err := a.Authorize(b.Context(), events[n%len(events)]); err != nil {
					b.Fatal(err)
				}
				n++
			})
		})
	}
}

// BenchmarkEvaluation is the policy alone, for a customer who reads orders: as a multiple of its smallest size, first
// with more rules in the API's package, then with more constraints, of which each route has eight.
func BenchmarkEvaluation(b *testing.B) {
	at := func(root fs.FS) func() {
		p, err := pdp.Load(b.Context(), root)
		if err != nil {
			b.Fatal(err)
		}
		in := customerReads()
		return func() {
			if d, err := p.Decide(b.Context(), in); err != nil || !d.Allowed {
				b.Fatal(d, err)
			}
		}
	}
	few := at(growing(b, 10, 8))
	for _, rules := range []int{10, 100, 1_000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) { against(b, "x-10-rules", few, at(growing(b, rules, 8))) })
	}
	for _, instances := range []int{8, 50, 200} {
		b.Run(fmt.Sprintf("instances=%d", instances), func(b *testing.B) {
			against(b, "x-8-instances", few, at(growing(b, 10, instances)))
		})
	}
}

func customerReads() authorizer.Input {
	return authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{
			API: "a1b2c3", Stage: "dev", Protocol: authorizer.REST, Method: "GET", Route: "GET /orders", Path: []string{"orders"}, Time: time.Now().UTC(),
		},
		Principal: authorizer.Principal{
			Issuer: tenantURL, Subject: "auth0|cust", Organization: "org_home", Audience: []string{issuer.Audience}, Scopes: []string{"openid"},
			Permissions: []string{}, Roles: []string{"customer"}, ExpiresAt: time.Now().Add(time.Hour), Claims: map[string]any{},
		},
	}
}

// growing gives the house's policies with so many grants of the orders API, each of a route of its own, and so many
// constraints, eight to a route.
func growing(t testing.TB, rules, instances int) fs.FS {
	t.Helper()
	root := fstest.MapFS{}
	err := fs.WalkDir(policies.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.rego") || strings.HasPrefix(name, "constraints/") || name == "routes/data.json" {
			return err
		}
		content, err := fs.ReadFile(policies.FS, name)
		root[name] = &fstest.MapFile{Data: content, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var grants, routes strings.Builder
	grants.WriteString("package authz.orders\n\nimport data.gatehouse.principal\n")
	route := func(n int) string {
		if n == 0 {
			return "GET /orders"
		}
		return fmt.Sprintf("GET /orders/part-%d", n)
	}
	for n := range max(rules, (instances+7)/8) {
		fmt.Fprintf(&routes, "%q: {\"api\": \"orders\", \"answer\": \"request\"},\n", route(n))
		if n < rules {
			fmt.Fprintf(&grants, "\nallow contains \"orders.read_%d\" if {\n\tinput.request.route == %q\n\tprincipal.has_scope_or_permission(\"read:orders\")\n}\n", n, route(n))
		}
	}
	root["authz/orders/orders.rego"] = &fstest.MapFile{Data: []byte(grants.String()), Mode: 0o644}
	root["routes/data.json"] = &fstest.MapFile{Data: []byte("{" + strings.TrimSuffix(routes.String(), ",\n") + "}"), Mode: 0o644}
	for _, api := range []string{"profile", "admin"} {
		delete(root, "authz/"+api+"/"+api+".rego")
	}
	templates := []string{
		"template: require_organization\nparameters: {organizations: [org_home]}\n",
		"template: require_scope\nparameters: {scopes: [openid]}\n",
		"template: deny_subjects\nparameters: {attribute: suspended}\n",
		"template: require_mfa\nenforcementAction: dryrun\nparameters: {acr: [gold]}\n",
	}
	for n := range instances {
		root[fmt.Sprintf("constraints/c%d/data.yaml", n)] = &fstest.MapFile{
			Data: fmt.Appendf(nil, "%smatch: {routes: [%q]}\n", templates[n%len(templates)], route(n/8)), Mode: 0o644,
		}
	}
	return root
}
