package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
)

// typical is a token of about 1.2 KB with 12 permissions, and a verifier that has its key.
func typical(t testing.TB) (*Verifier, authorizer.Credentials) { return typicalOf(t, "RS256") }

func typicalOf(t testing.TB, alg string) (*Verifier, authorizer.Credentials) {
	s := newSetupOf(alg)
	var permissions []any
	for n := range 12 {
		permissions = append(permissions, fmt.Sprintf("read:resource-%02d", n))
	}
	s.claims["permissions"] = permissions
	s.claims["jti"] = strings.Repeat("j", 24)
	v, err := s.verifier()
	if err != nil {
		t.Fatal(err)
	}
	token := s.token()
	if len(token) < 850 || len(token) > 1300 {
		t.Fatalf("a token of %d bytes is not typical", len(token))
	}
	c := s.credentials(token)
	if _, code, err := authenticate(t, v, c, t0); code != accepted {
		t.Fatal(err)
	}
	return v, c
}

// BenchmarkRaw is what no verifier can do without: the standard library's own signature check.
func BenchmarkRaw(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			check := rawCheck(b, alg)
			b.ReportAllocs()
			for b.Loop() {
				check()
			}
		})
	}
}

func rawCheck(t testing.TB, alg string) func() {
	_, c := typicalOf(t, alg)
	token := strings.TrimPrefix(c[0], "Bearer ")
	last := strings.LastIndex(token, ".")
	sig := must(strict.DecodeString(token[last+1:]))
	sum := sha256.Sum256([]byte(token[:last]))
	switch public := pairs[alg]()[0].Public().(type) {
	case *rsa.PublicKey:
		return func() {
			if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig); err != nil {
				t.Fatal(err)
			}
		}
	case *ecdsa.PublicKey:
		der := must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])}))
		return func() {
			if !ecdsa.VerifyASN1(public, sum[:], der) {
				t.Fatal("not verified")
			}
		}
	}
	t.Fatal(alg)
	return nil
}

// BenchmarkAuthenticate is the whole verification of a token that is new to the verifier, and of one that is known.
func BenchmarkAuthenticate(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/known=%t", alg, known), func(b *testing.B) {
				v, c := typicalOf(b, alg)
				b.ReportAllocs()
				for b.Loop() {
					authenticateOnce(b, v, c, known)
				}
			})
		}
	}
}

// BenchmarkRatio alternates raw checks with whole verifications, so that both see the same machine, and reports the
// median verification as a multiple of the median raw check.
func BenchmarkRatio(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/known=%t", alg, known), func(b *testing.B) {
				check := rawCheck(b, alg)
				v, c := typicalOf(b, alg)
				var raw, whole []time.Duration
				for b.Loop() {
					began := time.Now()
					check()
					middle := time.Now()
					authenticateOnce(b, v, c, known)
					raw, whole = append(raw, middle.Sub(began)), append(whole, time.Since(middle))
				}
				slices.Sort(raw)
				slices.Sort(whole)
				b.ReportMetric(float64(whole[len(whole)/2])/float64(raw[len(raw)/2]), "x-raw")
			})
		}
	}
}

// authenticateOnce verifies a token again; one that is not to be known is forgotten before, and its place kept warm as
// that of a token among many is.
func authenticateOnce(t testing.TB, v *Verifier, c authorizer.Credentials, known bool) {
	if !known {
		clear(v.known.young)
	}
	if _, err := v.Authenticate(t.Context(), c, t0); err != nil {
		t.Fatal(err)
	}
}

// hostile are tokens that are to cost their sender more than us. None reaches the signature.
func hostile() map[string]string {
	h, p := marshal(stdHeader()), marshal(stdClaims())
	spread := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one, n), ",") }
	return map[string]string{
		"dots":          strings.Repeat(".", maxToken),
		"deep header":   sign(keyA(), strings.Repeat(`{"a":`, 200), p),
		"deep payload":  sign(keyA(), h, strings.Repeat("[", 5500)),
		"wide payload":  sign(keyA(), h, "{"+spread(900, `"a":1,`)+"}"),
		"many members":  sign(keyA(), h, "{"+members(600)+"}"),
		"many elements": sign(keyA(), h, `{"a":[`+spread(2800, "1,")+"]}"),
		"many objects":  sign(keyA(), h, `{"a":[`+spread(1900, "{},")+"]}"),
		"many lists":    sign(keyA(), h, `{"a":[`+spread(1900, "[],")+"]}"),
		"long string":   sign(keyA(), h, `{"a":"`+strings.Repeat("a", 5600)+`"}`),
		"escapes":       sign(keyA(), h, `{"a":"`+strings.Repeat(`\u0061`, 930)+`"}`),
		"too long":      strings.Repeat("A", 1<<20),
		"unknown kid":   sign(keyA(), marshal(changed(stdHeader(), jsonObject{"kid": "x"})), p),
	}
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

func BenchmarkHostile(b *testing.B) {
	for name, token := range hostile() {
		b.Run(name, func(b *testing.B) {
			v, _ := typical(b)
			c := authorizer.Credentials{"Bearer " + token}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Authenticate(b.Context(), c, t0); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// TestAllocations guards the cost of the accepted token, new and known.
func TestAllocations(t *testing.T) {
	for known, most := range map[bool]float64{false: maxAllocations, true: maxKnownAllocations} {
		v, c := typical(t)
		got := testing.AllocsPerRun(200, func() { authenticateOnce(t, v, c, known) })
		t.Logf("known %t: %v allocations", known, got)
		if got > most {
			t.Errorf("known %t: %v allocations, at most %v", known, got, most)
		}
	}
}

// What was measured, and no more.
const (
	maxAllocations      = 103 // with the race detector; 100 without
	maxKnownAllocations = 1   // the bytes of the token, to hash them
)

// TestHostileTokensCostLittle is rule 52's bound: a token that is refused before its signature is checked costs no more
// memory than ten times its size, and a fixed part.
func TestHostileTokensCostLittle(t *testing.T) {
	const fixed = 8 << 10
	v, _ := typical(t)
	now := t0.Add(time.Second)
	for name, token := range hostile() {
		c := authorizer.Credentials{"Bearer " + token}
		const runs = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := v.Authenticate(t.Context(), c, now); err == nil {
				t.Fatalf("%s: accepted", name)
			}
		}
		runtime.ReadMemStats(&after)
		cost := (after.TotalAlloc - before.TotalAlloc) / runs
		t.Logf("%-14s %7d bytes cost %6d", name, len(token), cost)
		if cost > uint64(10*min(len(token), maxToken)+fixed) {
			t.Errorf("%s: %d bytes cost %d", name, len(token), cost)
		}
	}
}
