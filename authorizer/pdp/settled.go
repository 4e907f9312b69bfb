package pdp

import (
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
)

// remembered is what a policy made of a principal that is met again: its form as a value, and by plan the sets that read
// nothing but it and the route. It is kept with the principal, and so goes with the cached token that it came from.
type remembered struct {
	policy    *Policy // whose sets these are
	principal ast.Value

	mu      sync.Mutex
	settled map[*plan]*ast.Array
}

// maxRemembered is how many routes a principal is remembered on: the first that it asks for. It bounds what one token can
// take of the memory, some 2 KB for each route; an API of hundreds has few that one caller uses all the time.
const maxRemembered = 8

// recall gives what is remembered of a principal. One without a memo is seen once.
func (p *Policy) recall(principal authorizer.Principal) *remembered {
	if principal.Memo == nil {
		return &remembered{policy: p, principal: principalValue(principal)}
	}
	if r, ok := principal.Memo.Load().(*remembered); ok && r.policy == p {
		return r
	}
	r := &remembered{policy: p, principal: principalValue(principal)}
	principal.Memo.Keep(r)
	return r
}

// of gives the settled sets of a plan, worked out once.
func (r *remembered) of(p *plan, q question) (*ast.Array, error) {
	r.mu.Lock()
	known := r.settled[p]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	sets, err := p.settled.of(q)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled == nil {
		r.settled = map[*plan]*ast.Array{}
	}
	if len(r.settled) < maxRemembered {
		r.settled[p] = sets
	}
	return sets, nil
}

// settledRules says of each rule whether it reads of the input only the principal and the route, be it by way of other
// rules. What cannot be told counts as not settled.
type settledRules map[*ast.Rule]bool

// on says whether all rules of a document that can hold on a route are settled. A rule that compares the route with
// another text cannot.
func (s settledRules) on(route string, rules []*ast.Rule) bool {
	for _, rule := range rules {
		if stated := bundle.StatedRoutes(rule.Body); len(stated) > 0 && !slices.Contains(stated, route) {
			continue
		}
		if !s[rule] {
			return false
		}
	}
	return true
}

var (
	inputPrincipal = ast.MustParseRef("input.principal")
	inputRoute     = ast.MustParseRef("input.request.route")
)

func settledIn(c *ast.Compiler) settledRules {
	rules := settledRules{}
	var settled func(*ast.Rule) bool
	settled = func(rule *ast.Rule) bool {
		if known, ok := rules[rule]; ok {
			return known
		}
		ok := true
		ast.WalkExprs(rule, func(e *ast.Expr) bool {
			ok = ok && len(e.With) == 0
			return !ok
		})
		ast.WalkRefs(rule, func(ref ast.Ref) bool {
			ok = ok && settledRef(c, ref, settled)
			return !ok
		})
		rules[rule] = ok
		return ok
	}
	for _, m := range c.Modules {
		for _, rule := range m.Rules {
			settled(rule)
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
