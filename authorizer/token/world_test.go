package token

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
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

// The test keys live as long as the test process.
var (
	keyA = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	keyB = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	weak = sync.OnceValue(func() *rsa.PrivateKey { return newKey(1024) })
)

func newKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

type jsonObject = map[string]any

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf is a public key as Auth0 serves it, with members changed or, by nil, left out.
func jwkOf(kid string, k *rsa.PrivateKey, changes jsonObject) jsonObject {
	return changed(jsonObject{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
		"n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()),
		"x5t": "abc", "x5c": []any{"not a certificate"},
	}, changes)
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

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sign makes a compact JWS of a header and a payload as they are, valid JSON or not.
func sign(k *rsa.PrivateKey, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(sig)
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
	rawHeader   string // instead of header
	rawPayload  string // instead of claims
	key         *rsa.PrivateKey
	bend        func(token string) string // after signing
	credentials func(token string) authorizer.Credentials
	now         time.Time
}

func newSetup() *setup {
	return &setup{
		document:    stdDocument(),
		served:      map[string]string{testIssuer + defaultJWKS: jwksOf(jwkOf("a", keyA(), nil), jwkOf("b", keyB(), nil))},
		header:      stdHeader(),
		claims:      stdClaims(),
		key:         keyA(),
		bend:        func(token string) string { return token },
		credentials: func(token string) authorizer.Credentials { return authorizer.Credentials{"Bearer " + token} },
		now:         t0,
	}
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
