package pdp

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestDocumentsAreOPAsCache holds the cache against OPA's own, operation by operation, drawn by a fixed seed.
func TestDocumentsAreOPAsCache(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 0))
	steps := []*ast.Term{
		ast.StringTerm("a"), ast.StringTerm("b"), ast.IntNumberTerm(1), ast.StringTerm("1"),
		ast.MustParseTerm(`{"a": [1, 2]}`), ast.MustParseTerm(`{"a": [1, 3]}`),
	}
	ours := newDocuments()
	for round := range 200 {
		theirs := topdown.NewVirtualCache()
		scratch := make(ast.Ref, 0, 8) // used again and again, as OPA does
		depth := 0
		for step := range 100 {
			ref := append(scratch[:0], ast.DefaultRootDocument)
			for range 1 + random.IntN(3) {
				ref = append(ref, steps[random.IntN(len(steps))])
			}
			switch op := random.IntN(8); {
			case op == 0 && depth < 3:
				ours.Push()
				theirs.Push()
				depth++
			case op == 1 && depth > 0:
				ours.Pop()
				theirs.Pop()
				depth--
			case op < 4:
				if value, undefined := theirs.Get(ref); value != nil || undefined {
					break // a document is not worked out twice
				}
				var value *ast.Term
				if random.IntN(3) > 0 {
					value = ast.IntNumberTerm(step)
				}
				ours.Put(ref, value)
				theirs.Put(ref, value)
			default:
				value, undefined := ours.Get(ref)
				wantValue, wantUndefined := theirs.Get(ref)
				if undefined != wantUndefined || value != wantValue {
					t.Fatalf("round %d, step %d: %v: got %v %t, want %v %t", round, step, ref, value, undefined, wantValue, wantUndefined)
				}
			}
			if got, want := keys(ours), keys(theirs); depth == 0 && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("round %d, step %d: keys %v, want %v", round, step, got, want)
			}
		}
		ours.reset()
		if len(ours.Keys()) != 0 || len(ours.newest) != 0 || ours.begin() != 0 {
			t.Fatalf("round %d: a reset leaves %v", round, ours.Keys())
		}
	}
}

func keys(c topdown.VirtualCache) map[string]bool {
	found := map[string]bool{}
	for _, ref := range c.Keys() {
		found[ref.String()] = true
	}
	return found
}
