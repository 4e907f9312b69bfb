//go:build !race

// The race detector makes sync.Pool drop what it is given, and so every count too high.

package pdp_test

import (
	"context"
	"testing"

	"gatehouse/policies"
)

// maxAllocs is the measured count and a little room. Raise it only with the reason in the commit.
const maxAllocs = 800

func TestAllocations(t *testing.T) {
	p, in := policy(t, policies.FS), full()
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
	p, in := policy(b, policies.FS), full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Decide(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}
