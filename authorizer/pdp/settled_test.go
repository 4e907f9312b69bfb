package pdp

import (
	"context"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/authorizer"
	"gatehouse/policies"
)

func loads(t *testing.T, root fs.FS) *Policy {
	t.Helper()
	p, err := Load(context.Background(), root)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSettled: what reads more of the input than the principal and the route, in whatever way, is worked out each time.
func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		body string
		want bool
	}{
		{`1 == 1`, true},
		{`input.principal.subject == "s"`, true},
		{`input.principal.claims[_] == "s"`, true},
		{`input["principal"].subject == "s"`, true},
		{`input.request.route == "GET /a"`, true},
		{`data.routes[input.request.route].api == "a"`, true},
		{`some x in input.principal.scopes; x == "s"`, true},
		{`data.lib.principal`, true},
		{`data.lib.said(input.principal.subject)`, true},
		{`lower(input.principal.subject) == "s"`, true},
		{`every x in input.principal.scopes { x == "s" }`, true},
		{`{x | x := input.principal.scopes[_]} == {"s"}`, true},

		{`input.request.time == "t"`, false},
		{`input.request == {}`, false},
		{`input == {}`, false},
		{`input.version == "v1"`, false},
		{`x := input; x.request.time == "t"`, false},
		{`some k; input[k].time == "t"`, false},
		{`some k; input.request[k] == "t"`, false},
		{`walk(input, [_, "t"])`, false},
		{`object.get(input, ["request", "time"], "") == "t"`, false},
		{`time.now_ns() > 0`, false},
		{`time.clock([time.now_ns(), "UTC"])[0] == 1`, false},
		{`not input.request.source_ip`, false},
		{`{x | x := input.request.params[_]} == {"s"}`, false},
		{`every x in input.request.path { x == "s" }`, false},
		{`data.routes[input.request.params.id].api == "a"`, false},
		{`data.lib.time`, false},
		{`data.lib.deep`, false},
		{`data.lib.may.one`, false},
		{`some p, _ in data.lib.may; p == "one"`, false},
		{`data.lib.may[input.principal.subject]`, false},
		{`data.lib.otherwise`, false},
		{`data.lib.said(input.request.time)`, false},
		{`data.lib.late("t")`, false},
		{`data.lib[input.principal.subject]`, false},
		{`data.lib.principal with input.principal.subject as "s"`, false},
	} {
		modules := map[string]*ast.Module{
			"lib.rego": ast.MustParseModule(`package lib

principal if input.principal.subject == "s"

said(x) if x == "s"

time if input.request.time == "t"

late(t) if input.request.time == t

deep if { some x in [1]; x > 0; _deeper }

_deeper if time

may[p] := true if some p in input.principal.permissions

may.one := true if input.request.source_ip

otherwise if { input.principal.machine } else if { input.request.time == "t" }
`),
			"r.rego": ast.MustParseModule("package r\n\nrule if { " + tt.body + " }\n\nuser if rule\n\nset contains 1 if not user\n"),
		}
		c := ast.NewCompiler()
		if c.Compile(modules); c.Failed() {
			t.Fatalf("%s: %v", tt.body, c.Errors)
		}
		settled := settledIn(c)
		for _, name := range []string{"rule", "user", "set"} {
			if got := settled.on("GET /a", c.GetRulesExact(dataRef("r", name))); got != tt.want {
				t.Errorf("%s: %s: settled %t, want %t", tt.body, name, got, tt.want)
			}
		}
	}
}

// TestSettledByRoute: what a rule of another route reads does not count.
func TestSettledByRoute(t *testing.T) {
	c := ast.NewCompiler()
	c.Compile(map[string]*ast.Module{"r.rego": ast.MustParseModule(`package r

allow contains "everywhere" if input.principal.machine

allow contains "a" if {
	input.request.route == "GET /a"
	input.request.params.id == input.principal.subject
}

allow contains "c" if {
	"GET /c" == input.request.route
	input.request.source_ip
}
`)})
	if c.Failed() {
		t.Fatal(c.Errors)
	}
	settled := settledIn(c)
	for route, want := range map[string]bool{"GET /a": false, "GET /b": true, "GET /c": false, "": true} {
		if got := settled.on(route, c.GetRulesExact(dataRef("r", "allow"))); got != want {
			t.Errorf("%q: settled %t, want %t", route, got, want)
		}
	}
}

// drawn is a request of one principal.
func drawn(random *rand.Rand, routes []string, memo *authorizer.Memo) authorizer.Input {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	at := time.Date(2026, 11, 20+random.IntN(7), random.IntN(24), 0, 0, 0, time.UTC)
	return authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{
			API: "a", Stage: "dev", Protocol: authorizer.REST, Method: pick("GET", "DELETE"), Route: routes[random.IntN(len(routes))],
			Params: map[string]string{"id": pick("auth0|cust", "auth0|other")}, Time: at,
			SourceIP: netip.MustParseAddr(pick("203.0.113.9", "10.0.0.1", "2001:db8::1")),
		},
		Principal: authorizer.Principal{
			Issuer: "https://t.example/", Subject: "auth0|cust", Organization: "org_home", Audience: []string{"a"}, Scopes: []string{"openid"},
			Permissions: []string{}, Roles: []string{"support"}, ExpiresAt: at.Add(time.Hour),
			Claims: map[string]any{"amr": []any{"pwd"}}, Memo: memo,
		},
	}
}

// TestKnownPrincipal: whoever is met again gets the decisions of a stranger, request by request, from many at once.
func TestKnownPrincipal(t *testing.T) {
	p := loads(t, policies.FS)
	routes := append(slices.Sorted(maps.Keys(p.plans)), "GET /elsewhere")
	memo := new(authorizer.Memo)
	var group sync.WaitGroup
	for worker := range 2 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			for range 100 {
				in := drawn(random, routes, memo)
				known, err := p.Decide(context.Background(), in)
				if err != nil {
					t.Error(err)
					return
				}
				in.Principal.Memo = nil
				fresh, err := p.Decide(context.Background(), in)
				if err != nil || !reflect.DeepEqual(known, fresh) {
					t.Errorf("%s at %s from %s: known %+v, fresh %+v, %v", in.Request.Route, in.Request.Time, in.Request.SourceIP, known, fresh, err)
					return
				}
			}
		})
	}
	group.Wait()
	if kept := len(memo.Load().(*remembered).settled); kept != min(len(routes), maxRemembered) {
		t.Errorf("remembered on %d routes", kept)
	}
}

// TestRememberedDocuments: a document that rules share with one that reads the request is not what it was a request ago.
func TestRememberedDocuments(t *testing.T) {
	rules := map[string]string{
		"a rule of the same document": `may[p] := true if some p in input.principal.permissions

may["delete:orders"] := true if net.cidr_contains("10.0.0.0/8", input.request.source_ip)

allow contains "probe" if {
	input.request.route == "DELETE /orders/{id}"
	some p, _ in may
	p == "delete:orders"
}`,
		"a rule below it": `may.office := true if net.cidr_contains("10.0.0.0/8", input.request.source_ip)

may.machine := true if input.principal.machine

allow contains "probe" if {
	input.request.route == "DELETE /orders/{id}"
	may[_]
}`,
		"a function of it": `near(address) if net.cidr_contains("10.0.0.0/8", address)

allow contains "probe" if {
	input.request.route == "DELETE /orders/{id}"
	near(input.request.source_ip)
}`,
	}
	for name, rule := range rules {
		p := loads(t, Edition(t, map[string]string{"authz/orders/probe.rego": "package authz.orders\n\n" + rule + "\n"}))
		if p.plans == nil {
			t.Fatal("no plans")
		}
		in := drawn(rand.New(rand.NewPCG(1, 1)), []string{"DELETE /orders/{id}"}, new(authorizer.Memo))
		in.Principal.Roles = []string{}
		for _, address := range []string{"203.0.113.9", "10.0.0.1", "10.0.0.1", "203.0.113.9", "198.51.100.7"} {
			in.Request.SourceIP = netip.MustParseAddr(address)
			if d, err := p.Decide(t.Context(), in); err != nil || (len(d.Grants) > 0) != strings.HasPrefix(address, "10.") {
				t.Errorf("%s: from %s: grants %v, %v", name, address, d.Grants, err)
			}
		}
	}
}

// TestElsewhereIsNotRemembered: routes that the table lacks are many, and share nothing.
func TestElsewhereIsNotRemembered(t *testing.T) {
	p := loads(t, Edition(t, map[string]string{
		"admission/probe/probe.rego": `package admission.probe

import data.gatehouse

violation contains {"constraint": name, "message": input.request.route} if {
	some name, _ in gatehouse.instances.probe
}

violation contains {"constraint": name, "message": "nowhere"} if {
	some name, _ in gatehouse.instances.probe
	input.request.route == "GET /nowhere"
}
`,
		"constraints/probe/data.yaml": "template: probe\n",
	}))
	in := drawn(rand.New(rand.NewPCG(1, 1)), []string{""}, new(authorizer.Memo))
	for _, route := range []string{"GET /elsewhere", "GET /nowhere", "GET /third"} {
		in.Request.Route = route
		known, err := p.Decide(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		in := in
		in.Principal.Memo = nil
		fresh, err := p.Decide(t.Context(), in)
		if err != nil || !reflect.DeepEqual(known, fresh) {
			t.Errorf("%s: known %+v, fresh %+v, %v", route, known, fresh, err)
		}
	}
}

// A principal that comes back after the policy changed is decided by the new one.
func TestMemoOfAnotherPolicy(t *testing.T) {
	granting := func(role string) *Policy {
		return loads(t, Edition(t, map[string]string{"attributes/roles/data.yaml": role + ": [read:orders]\n"}))
	}
	in := drawn(rand.New(rand.NewPCG(1, 1)), []string{"GET /orders"}, new(authorizer.Memo))
	for _, tt := range []struct {
		policy *Policy
		want   bool
	}{{granting("support"), true}, {granting("other"), false}, {granting("support"), true}} {
		for range 3 {
			if d, err := tt.policy.Decide(t.Context(), in); err != nil || d.Allowed != tt.want {
				t.Errorf("allowed %t, %v; want %t", d.Allowed, err, tt.want)
			}
		}
	}
}
