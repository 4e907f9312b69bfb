package token

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
)

// typical is a token of about 1.2 KB with 12 permissions, and a verifier that has its key.
func typical(t testing.TB) (*Verifier, authorizer.Credentials) {
	s := newSetup()
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
	if len(token) < 1100 || len(token) > 1300 {
		t.Fatalf("a token of %d bytes is not typical", len(token))
	}
	c := s.credentials(token)
	if _, code, err := authenticate(t, v, c, t0); code != accepted {
		t.Fatal(err)
	}
	return v, c
}

// BenchmarkRaw is what no verifier can do without.
func BenchmarkRaw(b *testing.B) {
	_, c := typical(b)
	token := strings.TrimPrefix(c[0], "Bearer ")
	last := strings.LastIndex(token, ".")
	sig, err := base64.RawURLEncoding.DecodeString(token[last+1:])
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token[:last]))
	b.ReportAllocs()
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&keyA().PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	v, c := typical(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Authenticate(b.Context(), c, t0); err != nil {
			b.Fatal(err)
		}
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

// TestAllocations guards the cost of the accepted token.
func TestAllocations(t *testing.T) {
	v, c := typical(t)
	got := testing.AllocsPerRun(200, func() {
		if _, err := v.Authenticate(t.Context(), c, t0); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations", got)
	if got > maxAllocations {
		t.Errorf("%v allocations, at most %d", got, maxAllocations)
	}
}

// maxAllocations is what was measured, and no more.
const maxAllocations = 134

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
