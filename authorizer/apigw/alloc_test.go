//go:build !race

package apigw

import "testing"

// TestAllocations guards what reading one event and answering it costs. The bounds are the measured counts and two
// more, for maps that happen to grow: raise one only for something that is worth it.
func TestAllocations(t *testing.T) {
	for name, bound := range map[string]float64{
		"rest-token":   46,
		"rest-request": 111,
		"http-1.0":     98,
		"http-2.0":     80,
		"websocket":    83,
	} {
		g, raw := gateway(t), sample(t, name)
		v := verdict(mustRequest(t, raw))
		got := testing.AllocsPerRun(200, func() {
			req, err := g.Request(raw, now)
			if err != nil {
				t.Fatal(err)
			}
			v.Request = req
			if _, err := g.Answer(v); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %.0f allocations", name, got)
		if got > bound {
			t.Errorf("%s: %.0f allocations, at most %.0f", name, got, bound)
		}
	}
}
