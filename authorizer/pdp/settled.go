package pdp

import (
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/authorizer"
)

// remembered is what a policy made of a principal that is met again. Documents that read nothing of the input but the
// principal and the route are the same on each of its requests to that route, so they are worked out once; the table of
// routes bounds their number. It is kept with the principal, and so goes with the cached token that it came from.
type remembered struct {
	policy    *Policy // whose documents these are
	principal ast.Value
	routes    sync.Map // route -> *documents, which nobody writes to any more
}

// recall gives what is remembered of a principal, and whether it was met before. One without a memo is seen once.
func (p *Policy) recall(principal authorizer.Principal) (r *remembered, before bool) {
	if principal.Memo == nil {
		return &remembered{principal: principalValue(principal)}, false
	}
	if r, ok := principal.Memo.Load().(*remembered); ok && r.policy == p {
		return r, true
	}
	r = &remembered{policy: p, principal: principalValue(principal)}
	principal.Memo.Keep(r)
	return r, false
}

// known are the documents worked out before for a route, nil if there are none.
func (r *remembered) known(route string) *documents {
	d, _ := r.routes.Load(route)
	known, _ := d.(*documents)
	return known
}

// remember keeps those of an evaluation's documents that will be the same next time.
func (r *remembered) remember(route string, settled settledRules, d *documents) {
	known := newDocuments()
	for _, e := range d.entries {
		if settled.covers(e.ref) {
			known.Put(e.ref, e.value)
		}
	}
	r.routes.LoadOrStore(route, known)
}

// settledRules says of each rule, by the ground part of its reference, whether it reads of the input only the principal
// and the route, be it by way of other rules. What cannot be told counts as not settled.
type settledRules map[string]bool

// covers says whether a document depends on settled rules only: those it is in, and those that are in it. What a function
// gave is filed under the function's own reference and its arguments.
func (s settledRules) covers(ref ast.Ref) bool {
	if function, ok := ref[0].Value.(ast.Ref); ok {
		return s[function.String()]
	}
	found := false
	for n := 2; n <= len(ref); n++ {
		if settled, is := s[ref[:n].String()]; is {
			if !settled {
				return false
			}
			found = true
		}
	}
	return found
}

var (
	inputPrincipal = ast.MustParseRef("input.principal")
	inputRoute     = ast.MustParseRef("input.request.route")
)

func settledIn(c *ast.Compiler) settledRules {
	judged := map[*ast.Rule]bool{}
	var settled func(*ast.Rule) bool
	settled = func(rule *ast.Rule) bool {
		if known, ok := judged[rule]; ok {
			return known
		}
		judged[rule] = true // Rego has no recursion
		ok := true
		ast.WalkExprs(rule, func(e *ast.Expr) bool {
			ok = ok && len(e.With) == 0
			return !ok
		})
		ast.WalkRefs(rule, func(ref ast.Ref) bool {
			ok = ok && settledRef(c, ref, settled)
			return !ok
		})
		judged[rule] = ok
		return ok
	}
	rules := settledRules{}
	for _, m := range c.Modules {
		for _, rule := range m.Rules {
			path := rule.Ref().GroundPrefix().String()
			before, shared := rules[path]
			rules[path] = settled(rule) && (before || !shared)
		}
	}
	return rules
}

func settledRef(c *ast.Compiler, ref ast.Ref, settled func(*ast.Rule) bool) bool {
	switch {
	case ref.HasPrefix(ast.InputRootRef):
		return ref.HasPrefix(inputPrincipal) || ref.HasPrefix(inputRoute)
	case ref.HasPrefix(ast.DefaultRootRef):
		for _, rule := range c.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true}) {
			if !settled(rule) {
				return false
			}
		}
		return true
	}
	builtin, is := ast.BuiltinMap[ref.String()]
	return !is || !builtin.IsNondeterministic()
}
