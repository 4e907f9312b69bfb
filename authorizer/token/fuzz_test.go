package token

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/authorizer"
)

// seedAll adds what the rules' examples consist of.
func seedAll(f *testing.F, part func(*setup) string) {
	for _, r := range rules {
		for _, e := range r.examples {
			s := newSetup()
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

// fuzzed is a verifier with pinned keys.
func fuzzed(f *testing.F) *Verifier {
	s := newSetup()
	s.issuer()["pinned"], s.issuer()["jwks"] = true, jsonObject{"keys": []any{jwkOf("a", keyA(), nil)}}
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
		c, err := parseCompact(token)
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
		keys, err := parseKeys([]byte(doc), []string{"RS256"})
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and %v", len(keys), err)
		}
		for kid, k := range keys {
			if kid == "" || k.public.N.BitLen() < minModulus || k.public.E < 3 || k.verifier == nil {
				t.Errorf("key %q is taken: %+v", kid, k)
			}
		}
	})
}
