package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/authorizer"
)

// seedAll adds what the rules' examples consist of.
func seedAll(f *testing.F, part func(*setup) string) {
	for _, r := range rules {
		for _, e := range r.examples {
			s := newSetupOf(e.tried()[0])
			e.change(s)
			f.Add(part(s))
		}
	}
}

func partOf(n int) func(*setup) string {
	return func(s *setup) string {
		parts := strings.Split(s.token(), ".")
		if n >= len(parts) {
			return ""
		}
		b, _ := strict.DecodeString(parts[n])
		return string(b)
	}
}

// fuzzed is a verifier with pinned keys: a of RS256, and one of each algorithm under its name.
func fuzzed(f *testing.F) *Verifier {
	s := newSetup()
	keys := []any{jwkOf("a", keyA(), nil)}
	for _, alg := range signatureAlgorithms {
		keys = append(keys, jwkOf(alg, pairs[alg]()[0], nil))
	}
	s.issuer()["pinned"], s.issuer()["jwks"], s.issuer()["algorithms"] = true, jsonObject{"keys": keys}, signatureAlgorithms
	v, err := s.verifier()
	if err != nil {
		f.Fatal(err)
	}
	return v
}

func FuzzToken(f *testing.F) {
	seedAll(f, (*setup).token)
	v := fuzzed(f)
	f.Fuzz(func(t *testing.T, token string) {
		authenticate(t, v, authorizer.Credentials{"Bearer " + token}, t0)
	})
}

// FuzzHeader signs whatever header comes: what is accepted names our key and our algorithm.
func FuzzHeader(f *testing.F) {
	seedAll(f, partOf(0))
	v, payload := fuzzed(f), marshal(stdClaims())
	f.Fuzz(func(t *testing.T, header string) {
		token := sign(keyA(), header, payload)
		_, code, _ := authenticate(t, v, authorizer.Credentials{"Bearer " + token}, t0)
		c, err := parseCompact([]byte(token))
		if code == accepted && (err != nil || c.alg != "RS256" || c.kid != "a") {
			t.Errorf("accepted with alg %q, kid %q, %v", c.alg, c.kid, err)
		}
	})
}

// FuzzClaims signs whatever claims come: what is accepted is for us, unexpired and unbound.
func FuzzClaims(f *testing.F) {
	seedAll(f, partOf(1))
	v, header := fuzzed(f), marshal(stdHeader())
	f.Fuzz(func(t *testing.T, payload string) {
		p, code, _ := authenticate(t, v, authorizer.Credentials{"Bearer " + sign(keyA(), header, payload)}, t0)
		if code != accepted {
			return
		}
		if _, bound := p.Claims["cnf"]; bound || p.Issuer != testIssuer || p.Claims["iss"] != testIssuer || p.Claims["sub"] != p.Subject ||
			!t0.Before(p.ExpiresAt.Add(v.skew)) || !strings.Contains(strings.Join(p.Audience, " "), testAudience) {
			t.Errorf("accepted: %+v", p)
		}
	})
}

func FuzzConfig(f *testing.F) {
	seedAll(f, func(s *setup) string { return marshal(s.document) })
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := ParseConfig([]byte(doc))
		if err != nil {
			if c.Issuers != nil || c.Headers != nil {
				t.Error("a configuration leaves with the error")
			}
			return
		}
		if _, err := New(c, Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return response(503, ""), nil })}); err != nil {
			t.Errorf("parsed, and refused by New: %v", err)
		}
	})
}

func FuzzJWKS(f *testing.F) {
	seedAll(f, func(s *setup) string { return s.served[testIssuer+defaultJWKS] })
	f.Fuzz(func(t *testing.T, doc string) {
		keys, err := parseKeys([]byte(doc), signatureAlgorithms)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and %v", len(keys), err)
		}
		for kid, k := range keys {
			fits := false
			switch public := k.public.(type) {
			case *rsa.PublicKey:
				fits = public.N.BitLen() >= minModulus && public.E >= 3 && strings.Contains("RS256 RS384 RS512 PS256 PS384 PS512", k.alg)
			case *ecdsa.PublicKey:
				_, err := public.ECDH()
				fits = err == nil && curves[k.alg] == public.Curve
			case ed25519.PublicKey:
				fits = len(public) == ed25519.PublicKeySize && k.alg == "EdDSA"
			}
			if kid == "" || !fits || k.verifier.Verify([]byte("x"), make([]byte, 64), k.public) == nil {
				t.Errorf("key %q is taken: %+v", kid, k)
			}
		}
	})
}

// FuzzSignature puts whatever comes in the place of a signature: nothing is taken but the signature, and of ECDSA its twin.
func FuzzSignature(f *testing.F) {
	v := fuzzed(f)
	signed, good := map[string]string{}, map[string][][]byte{}
	for _, alg := range signatureAlgorithms {
		k := pairs[alg]()[0]
		header := marshal(changed(stdHeader(), jsonObject{"alg": alg, "kid": alg}))
		signed[alg] = b64([]byte(header)) + "." + b64([]byte(marshal(stdClaims())))
		sig := k.signature(signed[alg])
		good[alg] = [][]byte{sig}
		if curve := curves[alg]; curve != nil {
			half := len(sig) / 2
			r, s := new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])
			good[alg] = append(good[alg], rs(curve, r, s.Sub(curve.Params().N, s)))
		}
		for _, sig := range good[alg] {
			f.Add(alg, sig)
		}
		f.Add(alg, make([]byte, 64))
	}
	f.Fuzz(func(t *testing.T, alg string, sig []byte) {
		if signed[alg] == "" {
			return
		}
		is := slices.ContainsFunc(good[alg], func(g []byte) bool { return bytes.Equal(g, sig) })
		_, code, _ := authenticate(t, v, authorizer.Credentials{"Bearer " + signed[alg] + "." + b64(sig)}, t0)
		if (code == accepted) != is {
			t.Errorf("%s: %q for %x", alg, code, sig)
		}
	})
}
