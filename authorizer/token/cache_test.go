package token

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/authorizer"
)

// principalOf authenticates what must be accepted.
func principalOf(t *testing.T, v *Verifier, c authorizer.Credentials, now time.Time) authorizer.Principal {
	t.Helper()
	p, code, err := authenticate(t, v, c, now)
	if code != accepted {
		t.Fatalf("at %s: %q (%v)", now.Sub(t0), code, err)
	}
	return p
}

func (c *cache) size() int { return len(c.young) + len(c.old) }

func TestKnownTokenIsNotReadAgain(t *testing.T) {
	for _, alg := range signatureAlgorithms {
		t.Run(alg, func(t *testing.T) {
			s := newSetupOf(alg)
			v := must(s.verifier())
			c := s.credentials(s.token())
			first, second := principalOf(t, v, c, t0), principalOf(t, v, c, t0.Add(time.Minute))
			if !reflect.DeepEqual(first, second) || first.Memo == nil || first.Memo != second.Memo {
				t.Errorf("%+v\nthen %+v", first, second)
			}
			if n := v.known.size(); n != 1 {
				t.Errorf("%d known", n)
			}
		})
	}
}

func TestKnownTokenExpires(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	c := bearerOf(i.url, "a", jsonObject{"iat": t0.Unix() - 60, "exp": t0.Unix() + 60})
	expects(t, v, c, t0, accepted)
	expects(t, v, c, t0.Add(65*time.Second-1), accepted)
	expects(t, v, c, t0.Add(65*time.Second), CodeExpired)
	expects(t, v, c, t0.Add(64*time.Second), accepted) // a request that began earlier
}

func TestKnownTokenWhenTheClockGoesBack(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	for name, c := range map[string]authorizer.Credentials{
		"iat": bearerOf(i.url, "a", jsonObject{"iat": t0.Unix() - 60}),
		"nbf": bearerOf(i.url, "a", jsonObject{"nbf": t0.Unix() - 60}),
	} {
		expects(t, v, c, t0, accepted)
		expects(t, v, c, t0.Add(-65*time.Second), accepted)
		if _, code, err := authenticate(t, v, c, t0.Add(-66*time.Second)); code != CodeNotYetValid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		expects(t, v, c, t0, accepted)
	}
}

func TestKnownTokenOfARevokedKey(t *testing.T) {
	i := newLoopIssuer(t)
	i.keys(jwkOf("a", keyA(), nil), jwkOf("b", keyB(), nil))
	v := verifierFor(t, i.url, nil, nil)
	c := bearerOf(i.url, "a", nil)
	expects(t, v, c, t0, accepted)
	i.fetched(t, 1)
	i.keys(jwkOf("b", keyB(), nil))
	expects(t, v, c, t0.Add(10*time.Minute-1), accepted)
	i.fetched(t, 0)
	expects(t, v, c, t0.Add(10*time.Minute), CodeKidUnknown) // a known token asks for new keys as a new one does
	i.fetched(t, 1)
	i.keys(jwkOf("a", keyA(), nil))
	expects(t, v, c, t0.Add(20*time.Minute), accepted)
}

func TestKnownTokenOfAReplacedKey(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, jsonObject{"algorithms": []any{"RS256", "PS256"}})
	c := bearerOf(i.url, "a", nil)
	first := principalOf(t, v, c, t0)
	i.keys(jwkOf("a", keyB(), nil))
	expects(t, v, c, t0.Add(10*time.Minute), CodeSignatureInvalid)
	i.keys(jwkOf("a", keyA(), jsonObject{"alg": "PS256"}))
	expects(t, v, c, t0.Add(20*time.Minute), CodeAlgNotAllowed)
	i.keys(jwkOf("a", keyA(), nil))
	again := principalOf(t, v, c, t0.Add(30*time.Minute))
	if again.Memo == first.Memo {
		t.Error("what was thought of the token outlived its key")
	}
	i.keys(jwkOf("a", keyA(), jsonObject{"x5t": nil}), jwkOf("b", keyB(), nil)) // the same key in another set
	if p := principalOf(t, v, c, t0.Add(40*time.Minute)); p.Memo != again.Memo {
		t.Error("a refresh of the same key forgot the token")
	}
	i.fetched(t, 5)
}

func TestKnownTokenDuringAnOutage(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	c := bearerOf(i.url, "a", nil)
	memo := principalOf(t, v, c, t0).Memo
	i.says(503, "down")
	expects(t, v, c, t0.Add(24*time.Hour-1), accepted)
	expects(t, v, c, t0.Add(24*time.Hour), CodeJWKSUnavailable)
	i.keys(jwkOf("a", keyA(), nil))
	if p := principalOf(t, v, c, t0.Add(25*time.Hour)); p.Memo != memo {
		t.Error("the outage forgot the token")
	}
}

// TestKnownTokenKeepsTheBudget: a stale set is worth half a second of waiting, for a known token too.
func TestKnownTokenKeepsTheBudget(t *testing.T) {
	c := bearerOf(testIssuer, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		hung := false
		v := verifierFor(t, testIssuer, roundTrip(func(r *http.Request) (*http.Response, error) {
			if hung {
				return hang(r)
			}
			return response(200, jwksOf(jwkOf("a", keyA(), nil))), nil
		}), nil)
		expects(t, v, c, t0, accepted)
		hung = true
		for _, step := range []struct{ after, took time.Duration }{
			{9 * time.Minute, 0}, {11 * time.Minute, optionalFetch}, {11*time.Minute + firstBackoff/2, 0}, {25 * time.Hour, requiredFetch},
		} {
			want := accepted
			if step.after > 24*time.Hour {
				want = CodeJWKSUnavailable
			}
			began := time.Now()
			expects(t, v, c, t0.Add(step.after), want)
			if took := time.Since(began); took != step.took {
				t.Errorf("after %s: took %s, want %s", step.after, took, step.took)
			}
		}
	})
}

// TestKnownAndNewTokensEndAlike drives two verifiers through the same random history of an issuer and a clock; one of
// them forgets every token at once.
func TestKnownAndNewTokensEndAlike(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		var served string
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			if served == "" {
				return response(503, ""), nil
			}
			return response(200, served), nil
		})
		settings := jsonObject{"algorithms": []any{"RS256", "PS256"}, "jwks_hard": "1h"}
		remembers, forgets := verifierFor(t, testIssuer, transport, settings), verifierFor(t, testIssuer, transport, settings)
		tokens := []authorizer.Credentials{
			bearerOf(testIssuer, "a", nil), bearerOf(testIssuer, "b", nil),
			bearerOf(testIssuer, "a", jsonObject{"nbf": t0.Unix() + 1800, "exp": t0.Unix() + 7200}),
			bearerOf(testIssuer, "b", jsonObject{"iat": t0.Unix() + 900, "exp": t0.Unix() + 5400}),
		}
		sets := []string{
			"", jwksOf(jwkOf("a", keyA(), nil), jwkOf("b", keyB(), nil)), jwksOf(jwkOf("a", keyA(), nil)), jwksOf(jwkOf("a", keyB(), nil)),
			jwksOf(jwkOf("a", keyA(), jsonObject{"alg": "PS256"}), jwkOf("b", keyB(), nil)),
		}
		now := t0
		for range 60 {
			if r.IntN(4) == 0 {
				served = sets[r.IntN(len(sets))]
			}
			now = now.Add(time.Duration(r.IntN(700)-100) * time.Second)
			c := tokens[r.IntN(len(tokens))]
			forgets.known = cache{}
			_, known, err := authenticate(t, remembers, c, now)
			_, fresh, _ := authenticate(t, forgets, c, now)
			if known != fresh {
				t.Fatalf("seed %d at %s: %q (%v), and a new token %q", seed, now.Sub(t0), known, err, fresh)
			}
		}
	}
}

func TestVerifiersShareNothing(t *testing.T) {
	s := newSetup()
	one, two := must(s.verifier()), must(s.verifier())
	c := s.credentials(s.token())
	if a, b := principalOf(t, one, c, t0), principalOf(t, two, c, t0); a.Memo == b.Memo {
		t.Error("one memo for two configurations")
	}
	s.issuer()["organizations"] = []any{"org_other"}
	expects(t, must(s.verifier()), c, t0, CodeOrganization)
	expects(t, one, c, t0, accepted)
}

func TestRefusedTokensAreNotRemembered(t *testing.T) {
	v := must(newSetup().verifier())
	for _, r := range rules {
		for _, e := range r.examples {
			if e.want == accepted || e.want == configuration {
				continue
			}
			s := newSetupOf(e.tried()[0])
			e.change(s)
			if _, code, _ := authenticate(t, v, s.credentials(s.token()), s.now); code == accepted {
				v.known = cache{} // refused by the example's own configuration only
			}
			if n := v.known.size(); n != 0 {
				t.Fatalf("rule %d, %s: %d known", r.number, e.name, n)
			}
		}
	}
}

// TestTokensAreKnownByEveryByte: neither a byte more or less, nor the signature that anybody can make of another.
func TestTokensAreKnownByEveryByte(t *testing.T) {
	s := newSetupOf("ES256")
	v := must(s.verifier())
	token := s.token()
	first := principalOf(t, v, s.credentials(token), t0)

	dot := strings.LastIndex(token, ".")
	sig := must(strict.DecodeString(token[dot+1:]))
	n := curves["ES256"].Params().N
	twin := token[:dot+1] + b64(rs(curves["ES256"], new(big.Int).SetBytes(sig[:32]), new(big.Int).Sub(n, new(big.Int).SetBytes(sig[32:]))))
	if p := principalOf(t, v, s.credentials(twin), t0); p.Memo == first.Memo || v.known.size() != 2 {
		t.Errorf("the twin is taken for the token; %d known", v.known.size())
	}
	for at := range token {
		if token[at] == '.' {
			continue
		}
		other := token[:at] + next2(token[at]) + token[at+1:]
		if _, code, _ := authenticate(t, v, s.credentials(other), t0); code == accepted {
			t.Fatalf("byte %d changed, and accepted", at)
		}
	}
	if n := v.known.size(); n != 2 {
		t.Errorf("%d known", n)
	}
}

// next2 is another letter of base64url.
func next2(c byte) string {
	if c == '_' {
		return "A"
	}
	return next(c)
}

func TestCacheIsBounded(t *testing.T) {
	id := func(n int) (id tokenID) {
		binary.BigEndian.PutUint64(id[:], uint64(n))
		return id
	}
	var c cache
	if c.get(id(0)) != nil {
		t.Error("the zero cache knows a token")
	}
	often := &known{kid: "often", size: 400}
	c.put(id(0), often)
	for n := 1; n < 20*maxKnown; n++ {
		k := &known{size: 400 + n%(maxToken-400)}
		c.put(id(n), k)
		c.put(id(n), k) // two requests at once
		if c.get(id(n)) != k {
			t.Fatalf("%d is not known", n)
		}
		for name, generation := range map[string]map[tokenID]*known{"young": c.young, "old": c.old} {
			size := 0
			for _, k := range generation {
				size += k.size
			}
			if len(generation) > maxKnown || size > maxKnownBytes || name == "young" && size != c.bytes {
				t.Fatalf("after %d: %d %s, of %d bytes, counted %d", n, len(generation), name, size, c.bytes)
			}
		}
		if n%(maxKnownBytes/maxToken-1) == 0 && c.get(id(0)) != often {
			t.Fatalf("what is met often was forgotten after %d", n)
		}
	}
	if c.get(id(1)) != nil {
		t.Error("the first is still known")
	}
}

// TestEvictionCostsOnlyTime: whoever fills the cache with tokens of their own makes another's be verified again.
func TestEvictionCostsOnlyTime(t *testing.T) {
	s := newSetupOf("EdDSA")
	v := must(s.verifier())
	victim := s.credentials(s.token())
	memo := principalOf(t, v, victim, t0).Memo
	for n := range 2 * maxKnown {
		s.claims["jti"] = n
		principalOf(t, v, s.credentials(s.token()), t0)
	}
	if n := v.known.size(); n > 2*maxKnown {
		t.Errorf("%d known", n)
	}
	if p := principalOf(t, v, victim, t0); p.Memo == memo {
		t.Error("the victim was not forgotten")
	}
}

// TestSharedPrincipalIsNotSpoilt has many requests use one principal at once as the rooms do: they read it, append to its
// lists, encode it and keep what they worked out of it. The race detector looks on.
func TestSharedPrincipalIsNotSpoilt(t *testing.T) {
	s := newSetup()
	v := must(s.verifier())
	c := s.credentials(s.token())
	fresh := principalOf(t, must(s.verifier()), c, t0)
	var requests sync.WaitGroup
	for n := range 8 {
		requests.Go(func() {
			for range 50 {
				p, _, _ := authenticate(t, v, c, t0.Add(time.Duration(n)*time.Minute))
				p.Memo.Keep(n)
				if p.Memo.Load() == nil {
					t.Error("the memo forgets")
				}
				p.Scopes = append(p.Scopes, "admin")
				p.Permissions = append(p.Permissions, "admin")
				p.Roles = append(p.Roles, "admin")
				p.Audience = append(p.Audience, "admin")
				p.Subject = "auth0|admin"
				if err := json.NewEncoder(io.Discard).Encode(p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	requests.Wait()
	after := principalOf(t, v, c, t0)
	fresh.Memo, after.Memo = nil, nil
	if !reflect.DeepEqual(after, fresh) {
		t.Errorf("%+v\nwas %+v", after, fresh)
	}
	for name, list := range map[string][]string{"audience": after.Audience, "scopes": after.Scopes, "permissions": after.Permissions, "roles": after.Roles} {
		if cap(list) != len(list) {
			t.Errorf("%s: room for %d more, which two requests would share", name, cap(list)-len(list))
		}
	}
}

func TestTokenIDIsTheSHA256OfTheToken(t *testing.T) {
	s := newSetup()
	v := must(s.verifier())
	token := s.token()
	principalOf(t, v, s.credentials(token), t0)
	if v.known.get(sha256.Sum256([]byte(token))) == nil {
		t.Error("the token is known by something else")
	}
}
