package bundle

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Claims are the token claims that a policy reads: its rules are all looked at, whether a request reaches them or not.
type Claims struct {
	Names    []string // under input.principal.claims, sorted
	Computed bool     // some rule reads a claim by a computed name, or hands all of them on
}

var claimsPath = ast.MustParseRef("input.principal.claims")

// claimsRead walks the compiled rules. A reference counts by the first name behind input.principal.claims; one that ends
// before it, or goes on with anything but a constant, may read any claim.
func claimsRead(c *ast.Compiler) Claims {
	var claims Claims
	var walk func(t *ast.Term) bool
	walk = func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Ref:
			claims.add(v)
			for _, step := range v[1:] {
				ast.WalkTerms(step, walk)
			}
			return true
		case ast.Var:
			claims.Computed = claims.Computed || v.Equal(ast.InputRootDocument.Value)
		}
		return false
	}
	for _, rule := range allRules(c) {
		ast.WalkTerms(rule, walk)
		for _, step := range rule.Head.Reference { // not a part of what WalkTerms sees of a head
			ast.WalkTerms(step, walk)
		}
	}
	slices.Sort(claims.Names)
	claims.Names = slices.Compact(claims.Names)
	return claims
}

func (c *Claims) add(r ast.Ref) {
	for i, want := range claimsPath {
		switch {
		case i >= len(r), i > 0 && !isConstant(r[i]):
			c.Computed = true
			return
		case !r[i].Equal(want):
			return
		}
	}
	if len(r) == len(claimsPath) || !isConstant(r[len(claimsPath)]) {
		c.Computed = true
		return
	}
	c.Names = append(c.Names, text(r[len(claimsPath)]))
}

func isConstant(t *ast.Term) bool {
	_, ok := t.Value.(ast.String)
	return ok
}
