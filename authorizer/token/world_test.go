package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512" // crypto.SHA384
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authorizer"
)

const (
	testIssuer   = "https://t.eu.auth0.com/"
	testAudience = "https://api.example.com"
	testRoles    = "https://gatehouse.example/roles"
)

// t0 is when every test happens.
var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// testKey is a key pair and the algorithm that it is for.
type testKey struct {
	alg string
	crypto.Signer
}

// The test keys live as long as the test process: two for each algorithm.
var (
	keyA = sync.OnceValue(func() testKey { return newRSA("RS256", 2048) })
	keyB = sync.OnceValue(func() testKey { return newRSA("RS256", 2048) })
	weak = sync.OnceValue(func() testKey { return newRSA("RS256", 1024) })

	pairs = map[string]func() [2]testKey{
		"RS256": func() [2]testKey { return [2]testKey{keyA(), keyB()} },
		"PS256": func() [2]testKey { return [2]testKey{{"PS256", keyA().Signer}, {"PS256", keyB().Signer}} },
		"ES256": sync.OnceValue(func() [2]testKey { return [2]testKey{newEC("ES256"), newEC("ES256")} }),
		"ES384": sync.OnceValue(func() [2]testKey { return [2]testKey{newEC("ES384"), newEC("ES384")} }),
		"EdDSA": sync.OnceValue(func() [2]testKey { return [2]testKey{newEd(), newEd()} }),
	}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newRSA(alg string, bits int) testKey {
	return testKey{alg, must(rsa.GenerateKey(rand.Reader, bits))}
}

var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384()}

func newEC(alg string) testKey {
	return testKey{alg, must(ecdsa.GenerateKey(curves[alg], rand.Reader))}
}

func newEd() testKey {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return testKey{"EdDSA", must(private, err)}
}

// rsa is the private key of RS256 and PS256.
func (k testKey) rsa() *rsa.PrivateKey { return k.Signer.(*rsa.PrivateKey) }

// signature is the raw signature over a text, as a JWS has it (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).
func (k testKey) signature(signed string) []byte {
	hash := map[string]crypto.Hash{"RS256": crypto.SHA256, "PS256": crypto.SHA256, "ES256": crypto.SHA256, "ES384": crypto.SHA384}[k.alg]
	digest := []byte(signed)
	var opts crypto.SignerOpts = hash
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	if k.alg == "PS256" {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	sig := must(k.Sign(rand.Reader, digest, opts))
	if curve := curves[k.alg]; curve != nil {
		var n struct{ R, S *big.Int }
		must(asn1.Unmarshal(sig, &n))
		return rs(curve, n.R, n.S)
	}
	return sig
}

// rs is r and s side by side, each as long as a number of the curve.
func rs(curve elliptic.Curve, r, s *big.Int) []byte {
	size := (curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out
}

type jsonObject = map[string]any

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf is a public key as Auth0 serves it, with members changed or, by nil, left out.
func jwkOf(kid string, k testKey, changes jsonObject) jsonObject {
	return changed(jwkOfPublic(kid, k.alg, k.Public()), changes)
}

func jwkOfPublic(kid, alg string, public crypto.PublicKey) jsonObject {
	jwk := jsonObject{"use": "sig", "alg": alg, "kid": kid, "x5t": "abc", "x5c": []any{"not a certificate"}}
	switch public := public.(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(public.Bytes())[1:]
		jwk["kty"], jwk["crv"] = "EC", public.Params().Name
		jwk["x"], jwk["y"] = b64(point[:len(point)/2]), b64(point[len(point)/2:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(public)
	}
	return jwk
}

func changed(m, changes jsonObject) jsonObject {
	m = maps.Clone(m)
	for name, v := range changes {
		if m[name] = v; v == nil {
			delete(m, name)
		}
	}
	return m
}

func jwksOf(keys ...jsonObject) string { return marshal(jsonObject{"keys": keys}) }

func marshal(v any) string { return string(must(json.Marshal(v))) }

// sign makes a compact JWS of a header and a payload as they are, valid JSON or not.
func sign(k testKey, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(k.signature(signed))
}

func stdClaims() jsonObject {
	return jsonObject{
		"iss": testIssuer, "sub": "auth0|1", "aud": []any{testAudience, testIssuer + "userinfo"},
		"azp": "abcdefghijklmnopqrstuvwxyz012345", "scope": "openid read:orders",
		"permissions": []any{"read:orders"}, testRoles: []any{"customer"}, "org_id": "org_home",
		"iat": t0.Unix() - 60, "exp": t0.Unix() + 3600,
	}
}

func stdHeader() jsonObject { return jsonObject{"alg": "RS256", "typ": "JWT", "kid": "a"} }

func stdDocument() jsonObject {
	return jsonObject{
		"version": "v1", "clock_skew": "5s", "headers": []any{"x-tenant"}, "query": []any{"q"}, "roles_claim": testRoles,
		"issuers": []any{jsonObject{"issuer": testIssuer, "audiences": []any{testAudience}}},
	}
}

// setup is one request to a fresh verifier: by default one that is accepted.
type setup struct {
	document    jsonObject        // the Auth0 document
	served      map[string]string // JWKS by URL; a URL that is missing answers 503
	header      jsonObject
	claims      jsonObject
	rawHeader   string                    // instead of header
	rawPayload  string                    // instead of claims
	a, b        testKey                   // the issuer's keys, under these ids
	key         testKey                   // that signs
	bend        func(token string) string // after signing
	credentials func(token string) authorizer.Credentials
	now         time.Time
}

func newSetup() *setup { return newSetupOf("RS256") }

// newSetupOf is the setup of an issuer with one algorithm.
func newSetupOf(alg string) *setup {
	pair := pairs[alg]()
	s := &setup{
		a: pair[0], b: pair[1],
		document:    stdDocument(),
		served:      map[string]string{testIssuer + defaultJWKS: jwksOf(jwkOf("a", pair[0], nil), jwkOf("b", pair[1], nil))},
		header:      stdHeader(),
		claims:      stdClaims(),
		key:         pair[0],
		bend:        func(token string) string { return token },
		credentials: func(token string) authorizer.Credentials { return authorizer.Credentials{"Bearer " + token} },
		now:         t0,
	}
	s.header["alg"], s.issuer()["algorithms"] = alg, []any{alg}
	return s
}

// issuer is the first issuer of the document.
func (s *setup) issuer() jsonObject { return s.document["issuers"].([]any)[0].(jsonObject) }

func (s *setup) token() string {
	header, payload := s.rawHeader, s.rawPayload
	if header == "" {
		header = marshal(s.header)
	}
	if payload == "" {
		payload = marshal(s.claims)
	}
	return s.bend(sign(s.key, header, payload))
}

// verifier is a verifier for the setup's document, or why there is none.
func (s *setup) verifier() (*Verifier, error) {
	c, err := ParseConfig([]byte(marshal(s.document)))
	if err != nil {
		return nil, err
	}
	return New(c, Options{Transport: serve(s.served)})
}

// roundTrip is an issuer in memory.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func serve(byURL map[string]string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if body, ok := byURL[r.URL.String()]; ok {
			return response(200, body), nil
		}
		return response(503, "not here"), nil
	}
}

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// authenticate is Authenticate, with what must hold whatever comes out of it.
func authenticate(t testing.TB, v *Verifier, c authorizer.Credentials, now time.Time) (authorizer.Principal, string, error) {
	t.Helper()
	return authenticateIn(t, t.Context(), v, c, now)
}

func authenticateIn(t testing.TB, ctx context.Context, v *Verifier, c authorizer.Credentials, now time.Time) (authorizer.Principal, string, error) {
	t.Helper()
	p, err := v.Authenticate(ctx, c, now)
	if err == nil {
		if p.Issuer == "" || p.Subject == "" || p.Audience == nil || p.Scopes == nil || p.Permissions == nil || p.Roles == nil || p.Claims == nil {
			t.Errorf("accepted with an incomplete principal: %+v", p)
		}
		return p, "", nil
	}
	if p.Subject != "" || p.Issuer != "" || p.Claims != nil || p.Audience != nil || p.Scopes != nil || p.Permissions != nil || p.Roles != nil || p.Machine {
		t.Errorf("a principal leaves with the error: %+v", p)
	}
	var e *authorizer.Error
	if !errors.As(err, &e) {
		t.Fatalf("not an authorizer.Error: %v", err)
	}
	want := authorizer.ErrUnauthenticated
	if e.Code == CodeJWKSUnavailable {
		want = authorizer.ErrUnavailable
	}
	if e.Kind != want {
		t.Errorf("%s is %v, want %v", e.Code, e.Kind, want)
	}
	for _, secret := range c {
		for part := range strings.SplitSeq(strings.TrimPrefix(secret, "Bearer "), ".") {
			if len(part) > 12 && strings.Contains(err.Error(), part) {
				t.Errorf("the error quotes the token: %v", err)
			}
		}
	}
	return p, e.Code, err
}
