package apigw

import "testing"

func BenchmarkRequestAndAnswer(b *testing.B) {
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			g, raw := gateway(b), sample(b, name)
			b.ReportAllocs()
			for b.Loop() {
				req, err := g.Request(raw, now)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := g.Answer(verdict(req)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
