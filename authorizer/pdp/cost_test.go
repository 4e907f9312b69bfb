//go:build !race

// The race detector makes sync.Pool drop what it is given, and so every count too high.

package pdp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/policies"
)

// maxAllocs is the measured count and a little room. Raise it only with the reason in the commit.
const maxAllocs = 800

func TestAllocations(t *testing.T) {
	p, in := policy(t, pdp.Edition(t, nil)), full()
	got := testing.AllocsPerRun(200, func() {
		if _, err := p.Decide(context.Background(), in); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("allocations per evaluation: %.0f (guard %d)", got, maxAllocs)
	if got > maxAllocs {
		t.Errorf("%.0f allocations, at most %d", got, maxAllocs)
	}
}

func BenchmarkDecide(b *testing.B) {
	p, in := policy(b, pdp.Edition(b, nil)), full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Decide(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// maxRememberedBytes is what one principal may take when it is met on every route, beside its own claims: several
// hundred are remembered at a time, in a function that may have 128 MB.
const maxRememberedBytes = 14 << 10

func TestMemoryOfARememberedPrincipal(t *testing.T) {
	p := policy(t, pdp.Edition(t, nil))
	keys, err := policies.FS.ReadFile("routes/data.json")
	if err != nil {
		t.Fatal(err)
	}
	var table map[string]any
	if err := json.Unmarshal(keys, &table); err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // what a pool gave up goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	met := func(who int) authorizer.Principal {
		in := full()
		in.Principal.Subject, in.Principal.Memo = fmt.Sprint("auth0|", who), new(authorizer.Memo)
		for range 2 {
			for route := range table {
				in.Request.Route = route
				if _, err := p.Decide(context.Background(), in); err != nil {
					t.Fatal(err)
				}
			}
		}
		return in.Principal
	}
	met(0)
	const many = 200
	kept, before := make([]authorizer.Principal, 0, many), heap()
	for who := range many {
		kept = append(kept, met(who))
	}
	each := (heap() - before) / many
	runtime.KeepAlive(kept)
	t.Logf("bytes of a principal remembered on every route: %d (guard %d)", each, maxRememberedBytes)
	if each > maxRememberedBytes {
		t.Errorf("%d bytes, at most %d", each, maxRememberedBytes)
	}
}
