package test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/token"
	"gatehouse/internal/gateway"
)

// The tokens here were made by programs that know nothing of this house: two OpenID Connect servers from npm, and
// joserfc. They reach the built authorizer as API Gateway would bring them, and it fetches the servers' keys over HTTP.

// everyAlgorithm is what an issuer can be configured with; test/issuers has a kind of key for each.
var everyAlgorithm = []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"}

// apiAudience is the API that the tokens are for.
const apiAudience = "https://api.gatehouse.example"

// codeAllowed stands where another case has the code of its refusal.
const codeAllowed = "allowed"

var b64 = base64.RawURLEncoding

// foreignIssuer is an issuer that we did not write, running.
type foreignIssuer struct {
	*child
	state foreignState
}

// foreignState is what test/issuers/serve.mjs answers to an order.
type foreignState struct {
	Issuer  string            `json:"issuer"`
	Kids    map[string]string `json:"kids"`    // by algorithm, of the key that signs
	Fetched int               `json:"fetched"` // how often the key set was asked for
}

// order is what test/issuers/serve.mjs takes.
type order struct {
	Mint   *mint   `json:"mint,omitempty"`
	Rotate *rotate `json:"rotate,omitempty"`
	Down   *bool   `json:"down,omitempty"`
}

// mint says how an issuer makes access tokens; the zero value is its own way. A nil member is left out of the token.
type mint struct {
	Alg     string         `json:"alg,omitempty"`
	TTL     int            `json:"ttl,omitempty"` // seconds
	Header  map[string]any `json:"header,omitempty"`
	Claims  map[string]any `json:"claims,omitempty"`
	Encrypt bool           `json:"encrypt,omitempty"`
}

type rotate struct {
	Keep  bool `json:"keep"`  // the old keys stay published
	Bare  bool `json:"bare"`  // the keys are published without alg
	Again bool `json:"again"` // the new keys have the old ones' ids
}

// foreignIssuers are the scripts of test/issuers.
var foreignIssuers = []string{"oidc-provider", "oauth2-mock-server"}

func startIssuer(t *testing.T, name string) *foreignIssuer {
	t.Helper()
	f := &foreignIssuer{child: node(t, "issuers/"+name+".mjs", "NODE_NO_WARNINGS=1")}
	f.read(t, &f.state)
	return f
}

func (f *foreignIssuer) order(t *testing.T, o order) foreignState {
	t.Helper()
	f.ask(t, o, &f.state)
	return f.state
}

func (f *foreignIssuer) mint(t *testing.T, m mint) { t.Helper(); f.order(t, order{Mint: &m}) }

// fetched is how often anybody has asked for the key set until now.
func (f *foreignIssuer) fetched(t *testing.T) int { t.Helper(); return f.order(t, order{}).Fetched }

// tokens are what a token endpoint gives (RFC 6749 section 5.1; OpenID Connect Core section 3.1.3.3).
type tokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
}

func (f *foreignIssuer) tokens(t *testing.T, form url.Values) tokens {
	t.Helper()
	var out tokens
	body := f.http(t, &http.Client{Timeout: patience}, http.MethodPost, f.state.Issuer+"oauth/token", form)
	if err := json.Unmarshal(body, &out); err != nil || out.Access == "" {
		t.Fatalf("%s: token response %s: %v", f.name, body, err)
	}
	return out
}

// http wants status 200 and gives the body.
func (f *foreignIssuer) http(t *testing.T, c *http.Client, method, address string, form url.Values) []byte {
	t.Helper()
	resp, err := roundTrip(t, c, method, address, form)
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s: status %d, %v: %s", f.name, method, address, resp.StatusCode, err, body)
	}
	return body
}

func roundTrip(t *testing.T, c *http.Client, method, address string, form url.Values) (*http.Response, error) {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.Do(req)
}

// clientCredentials gives an access token that a machine gets (RFC 6749 section 4.4).
func (f *foreignIssuer) clientCredentials(t *testing.T, m mint, audience string) string {
	t.Helper()
	f.mint(t, m)
	return f.tokens(t, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"m2m"}, "client_secret": {"a-secret-of-the-test"},
		"audience": {audience}, "scope": {"read:orders"},
	}).Access
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="([^"]*)"`)
)

// authorizationCode logs a person in as a browser would, through whatever pages the issuer shows, and redeems the code
// with its PKCE verifier (RFC 6749 section 4.1, RFC 7636).
func (f *foreignIssuer) authorizationCode(t *testing.T, login string) tokens {
	t.Helper()
	const callback = "http://localhost/callback"
	f.mint(t, mint{})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	method, form := http.MethodGet, url.Values(nil)
	at := f.state.Issuer + "authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"spa"}, "redirect_uri": {callback}, "scope": {"openid read:orders"}, "audience": {apiAudience},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {b64.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	for range 12 { // two pages and their redirects are less
		resp, err := roundTrip(t, browser, method, at, form)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		method, form = http.MethodGet, nil
		switch next, err := resp.Location(); {
		case err == nil && strings.HasPrefix(next.String(), callback):
			code := next.Query().Get("code")
			if code == "" || next.Query().Get("state") != "s" {
				t.Fatalf("%s: the login ended at %s", f.name, next)
			}
			return f.tokens(t, url.Values{
				"grant_type": {"authorization_code"}, "client_id": {"spa"}, "redirect_uri": {callback}, "code": {code},
				"code_verifier": {verifier}, "audience": {apiAudience}, "scope": {"read:orders"},
			})
		case err == nil:
			at = next.String()
		default:
			action, prompt := formAction.FindSubmatch(page), formPrompt.FindSubmatch(page)
			if resp.StatusCode != http.StatusOK || action == nil || prompt == nil {
				t.Fatalf("%s: %s: status %d and no form: %s", f.name, at, resp.StatusCode, page)
			}
			method, at = http.MethodPost, html.UnescapeString(string(action[1]))
			form = url.Values{"prompt": {string(prompt[1])}, "login": {login}, "password": {"any"}}
		}
	}
	t.Fatalf("%s: the login does not end: %s", f.name, at)
	return tokens{}
}

// keys gives the issuer's public keys, as it publishes them.
func (f *foreignIssuer) keys(t *testing.T) json.RawMessage {
	t.Helper()
	return f.http(t, &http.Client{Timeout: patience}, http.MethodGet, f.state.Issuer+".well-known/jwks.json", nil)
}

// trust is an Auth0 document that believes issuers, each with these settings. Nobody's clock is another's here: no skew.
func trust(t *testing.T, settings map[string]any, issuers ...map[string]any) string {
	t.Helper()
	var list []any
	for _, i := range issuers {
		entry := map[string]any{"audiences": []string{apiAudience}, "algorithms": everyAlgorithm}
		maps.Copy(entry, settings)
		maps.Copy(entry, i)
		list = append(list, entry)
	}
	doc, err := json.Marshal(map[string]any{"version": "v1", "clock_skew": "0s", "issuers": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func (f *foreignIssuer) trusted() map[string]any { return map[string]any{"issuer": f.state.Issuer} }

// guarded is the built authorizer, running as Lambda runs it, one invocation at a time.
type guarded struct {
	function *gateway.Function
	output   lineSink
}

// lineSink takes the output of a function, in whole lines.
type lineSink chan string

func (s lineSink) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		s <- line
	}
	return len(p), nil
}

func guard(t *testing.T, auth0 string) *guarded {
	t.Helper()
	g := &guarded{output: make(lineSink, 1024)}
	var err error
	g.function, err = gateway.NewFunction(gateway.FunctionConfig{
		Name: "authorizer", Bootstrap: bootstrap(t, "authorizer"), Timeout: 20 * time.Second, Processes: 1, Output: g.output,
		Environment: map[string]string{"GATEHOUSE_AUTH0": auth0},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.function.Close() })
	return g
}

// record gives the next record among what the function writes.
func (g *guarded) record(t *testing.T) string {
	t.Helper()
	for log := ""; ; {
		select {
		case line := <-g.output:
			if strings.Contains(line, `"decision_id"`) {
				return line
			}
			log += line
		case <-time.After(patience):
			t.Fatalf("no record within %v; the authorizer wrote %s", patience, log)
		}
	}
}

// verdict is what the authorizer made of one token.
type verdict struct {
	effect    string // Allow or Deny of the asked method, or the error that the gateway got
	code      string // codeAllowed, or the code of the refusal in the record
	principal principal
}

// principal is what a record says of the caller.
type principal struct {
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	ClientID    string   `json:"client_id"`
	Audience    []string `json:"audience"`
	Scopes      []string `json:"scopes"`
	Permissions []string `json:"permissions"`
	Machine     bool     `json:"machine"`
}

// ask sends a token for GET /orders/42, which read:orders allows, and reads the answer and its record.
func (g *guarded) ask(t *testing.T, token string) verdict {
	t.Helper()
	const method = "arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/orders/42"
	event, err := json.Marshal(map[string]string{"type": "TOKEN", "authorizationToken": "Bearer " + token, "methodArn": method})
	if err != nil {
		t.Fatal(err)
	}
	answer, failure, err := g.function.Invoke(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	var v verdict
	if failure != nil {
		v.effect = failure.Message
	} else {
		v.effect = strings.TrimSuffix(effect(t, `{"response":`+string(answer)+`}`), " "+method)
	}
	var record struct {
		Input struct {
			Principal principal `json:"principal"`
		} `json:"input"`
		Result *struct {
			Allowed bool `json:"allowed"`
			Status  struct {
				Reason string `json:"reason"`
			} `json:"status"`
		} `json:"result"`
		Error *struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	line := g.record(t)
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		t.Fatalf("record %s: %v", line, err)
	}
	switch {
	case record.Error != nil:
		v.code = record.Error.Code
	case record.Result == nil:
		t.Fatal("a record with neither result nor error")
	case record.Result.Allowed:
		v.code = codeAllowed
	default:
		v.code = record.Result.Status.Reason
	}
	v.principal = record.Input.Principal
	return v
}

// want holds a verdict against what it should be: for codeAllowed an Allow of just this principal, for jwks_unavailable
// an outage, and for every other code a 401 without a principal.
func (v verdict) want(t *testing.T, code string, p principal) {
	t.Helper()
	effect := "Unauthorized"
	switch code {
	case codeAllowed:
		effect = "Allow"
	case token.CodeJWKSUnavailable:
		effect, p = "Unavailable", principal{}
	default:
		p = principal{}
	}
	if v.effect != effect || v.code != code {
		t.Errorf("got %s (%s), want %s (%s)", v.effect, v.code, effect, code)
	}
	if !reflect.DeepEqual(v.principal, p) {
		t.Errorf("the record has the principal %+v, want %+v", v.principal, p)
	}
}

// machine is the principal of an issuer's client credentials. Auth0 spells their subject as oauth2-mock-server is made to
// here; oidc-provider follows RFC 9068 section 2.2, where the client itself is the subject and nothing tells a machine.
func (f *foreignIssuer) machine(issuer string) principal {
	p := principal{
		Issuer: f.state.Issuer, Subject: "m2m", ClientID: "m2m",
		Audience: []string{apiAudience}, Scopes: []string{"read:orders"}, Permissions: []string{"read:orders"},
	}
	if issuer == "oauth2-mock-server" {
		p.Subject, p.Machine = "m2m@clients", true
	}
	return p
}

// parts takes a compact token apart.
func parts(t *testing.T, token string) (header, claims map[string]any, signature []byte) {
	t.Helper()
	split := strings.Split(token, ".")
	if len(split) != 3 {
		t.Fatalf("a token of %d parts", len(split))
	}
	var decoded [3][]byte
	for i, part := range split {
		var err error
		if decoded[i], err = b64.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &claims)); err != nil {
		t.Fatal(err)
	}
	return header, claims, decoded[2]
}

func object(t *testing.T, v map[string]any) string {
	t.Helper()
	doc, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64.EncodeToString(doc)
}

// An edit does something to a token on its way.
type edit func(t *testing.T, token string) string

// headerWith puts another value into the header and leaves the rest, the signature too.
func headerWith(name string, value any) edit {
	return func(t *testing.T, token string) string {
		header, _, _ := parts(t, token)
		header[name] = value
		_, rest, _ := strings.Cut(token, ".")
		return object(t, header) + "." + rest
	}
}

// claimWith likewise for a claim.
func claimWith(name string, value any) edit {
	return func(t *testing.T, token string) string {
		_, claims, _ := parts(t, token)
		claims[name] = value
		split := strings.Split(token, ".")
		return split[0] + "." + object(t, claims) + "." + split[2]
	}
}

// signatureWith replaces the signature by what a function makes of it.
func signatureWith(change func(t *testing.T, signature []byte) []byte) edit {
	return func(t *testing.T, token string) string {
		_, _, signature := parts(t, token)
		return token[:strings.LastIndexByte(token, '.')+1] + b64.EncodeToString(change(t, signature))
	}
}

func flipBit(_ *testing.T, signature []byte) []byte {
	signature = bytes.Clone(signature)
	signature[len(signature)/2] ^= 1
	return signature
}

// resigned is a good RS256 signature by somebody else's key.
func resigned(t *testing.T, token string) string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := token[:strings.LastIndexByte(token, '.')]
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64.EncodeToString(signature)
}

// unsigned says alg none and has an empty signature (RFC 7519 section 6).
func unsigned(t *testing.T, token string) string {
	none := headerWith("alg", "none")(t, token)
	return none[:strings.LastIndexByte(none, '.')+1]
}

// serialised writes a token in the JSON serialisations of RFC 7515 section 7.2.
func serialised(format string) edit {
	return func(_ *testing.T, token string) string {
		split := strings.Split(token, ".")
		return fmt.Sprintf(format, split[0], split[1], split[2])
	}
}

// The cases of one token each, for both issuers or for the one that can make it. Where edited is nil, the token is just
// as the issuer made and signed it.
var foreignCases = []struct {
	name     string
	only     string // the issuer that can; empty: both
	mint     mint
	audience string // asked for; empty: apiAudience
	edited   edit
	profile  token.Profile // that the issuer is configured with; empty: auth0
	want     string        // code
}{
	{name: "client credentials", want: codeAllowed},
	{name: "two audiences, ours among them", mint: mint{Claims: map[string]any{"aud": []string{"https://other.example.com", apiAudience}}}, want: codeAllowed},

	{name: "tampered payload", edited: claimWith("permissions", []string{"admin:users", "read:orders"}), want: token.CodeSignatureInvalid},
	{name: "tampered header", edited: headerWith("x5t", "AAAA"), want: token.CodeSignatureInvalid},
	{name: "tampered signature", edited: signatureWith(flipBit), want: token.CodeSignatureInvalid},
	{name: "shorter signature", edited: signatureWith(func(_ *testing.T, s []byte) []byte { return s[1:] }), want: token.CodeSignatureInvalid},
	{name: "signature of another key", edited: resigned, want: token.CodeSignatureInvalid},

	{name: "alg PS256 of an RS256 key", edited: headerWith("alg", "PS256"), want: token.CodeAlgNotAllowed},
	{name: "alg ES256 of an RS256 key", edited: headerWith("alg", "ES256"), want: token.CodeAlgNotAllowed},
	{name: "alg RS512", edited: headerWith("alg", "RS512"), want: token.CodeAlgNotAllowed},
	{name: "alg in another case", edited: headerWith("alg", "rs256"), want: token.CodeAlgNotAllowed},
	{name: "alg none, signature kept", edited: headerWith("alg", "none"), want: token.CodeAlgNotAllowed},
	{name: "alg NONE, signature kept", edited: headerWith("alg", "NONE"), want: token.CodeAlgNotAllowed},
	{name: "alg none, no signature", edited: unsigned, want: token.CodeMalformed},

	{name: "exp an hour ago", mint: mint{Claims: map[string]any{"iat": ago(2 * time.Hour), "nbf": ago(2 * time.Hour), "exp": ago(time.Hour)}}, want: token.CodeExpired},
	{name: "no exp", mint: mint{Claims: map[string]any{"exp": nil}}, want: token.CodeClaimMissing},
	{name: "exp as text", mint: mint{Claims: map[string]any{"exp": "4102444800"}}, want: token.CodeClaimInvalid},
	{name: "nbf in an hour", mint: mint{Claims: map[string]any{"nbf": ago(-time.Hour)}}, want: token.CodeNotYetValid},
	{name: "no sub", mint: mint{Claims: map[string]any{"sub": nil}}, want: token.CodeClaimMissing},
	{name: "another client in azp than in client_id", mint: mint{Claims: map[string]any{"azp": "spa", "client_id": "m2m"}}, want: token.CodeClaimInvalid},
	{name: "scope as a list", mint: mint{Claims: map[string]any{"scope": []string{"read:orders"}}}, want: token.CodeClaimInvalid},
	{name: "bound to a key", mint: mint{Claims: map[string]any{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}}, want: token.CodeBindingUnsupported},

	{name: "another audience", audience: "https://other.example.com", want: token.CodeAudienceMismatch},
	{name: "the start of the audience", audience: strings.TrimSuffix(apiAudience, "e"), want: token.CodeAudienceMismatch},
	{name: "another issuer in iss", mint: mint{Claims: map[string]any{"iss": "https://other.example.com/"}}, want: token.CodeIssuerUnknown},

	{name: "typ at+jwt", mint: mint{Header: map[string]any{"typ": "at+jwt"}}, want: codeAllowed},
	{name: "typ AT+JWT", mint: mint{Header: map[string]any{"typ": "AT+JWT"}}, want: codeAllowed},
	{name: "typ application/at+jwt", mint: mint{Header: map[string]any{"typ": "application/at+jwt"}}, want: codeAllowed},
	{name: "typ JWT", mint: mint{Header: map[string]any{"typ": "JWT"}}, want: codeAllowed},
	{name: "no typ", mint: mint{Header: map[string]any{"typ": nil}}, want: codeAllowed},
	{name: "typ dpop+jwt", mint: mint{Header: map[string]any{"typ": "dpop+jwt"}}, want: token.CodeTypNotAllowed},
	{name: "typ logout+jwt", mint: mint{Header: map[string]any{"typ": "logout+jwt"}}, want: token.CodeTypNotAllowed},
	{name: "RFC 9068 as issued", only: "oidc-provider", profile: token.ProfileRFC9068, want: codeAllowed},
	{name: "RFC 9068 asked of typ JWT", only: "oauth2-mock-server", profile: token.ProfileRFC9068, want: token.CodeTypNotAllowed},
	{name: "RFC 9068 made so", only: "oauth2-mock-server", profile: token.ProfileRFC9068, want: codeAllowed,
		mint: mint{Header: map[string]any{"typ": "at+jwt"}, Claims: map[string]any{"jti": "1", "client_id": "m2m"}}},
	{name: "RFC 9068 with typ JWT", profile: token.ProfileRFC9068, mint: mint{Header: map[string]any{"typ": "JWT"}}, want: token.CodeTypNotAllowed},
	{name: "RFC 9068 with no typ", profile: token.ProfileRFC9068, mint: mint{Header: map[string]any{"typ": nil}}, want: token.CodeTypNotAllowed},
	{name: "RFC 9068 with typ dpop+jwt", profile: token.ProfileRFC9068, mint: mint{Header: map[string]any{"typ": "dpop+jwt"}}, want: token.CodeTypNotAllowed},
	{name: "RFC 9068 without jti", profile: token.ProfileRFC9068, want: token.CodeClaimMissing,
		mint: mint{Header: map[string]any{"typ": "at+jwt"}, Claims: map[string]any{"jti": nil, "client_id": "m2m"}}},
	{name: "RFC 9068 without client_id", profile: token.ProfileRFC9068, want: token.CodeClaimMissing,
		mint: mint{Header: map[string]any{"typ": "at+jwt"}, Claims: map[string]any{"jti": "1", "client_id": nil}}},

	{name: "no kid", mint: mint{Header: map[string]any{"kid": nil}}, want: token.CodeKidInvalid},
	{name: "empty kid", mint: mint{Header: map[string]any{"kid": ""}}, want: token.CodeKidInvalid},
	{name: "kid a number", mint: mint{Header: map[string]any{"kid": 1}}, want: token.CodeKidInvalid},
	{name: "unknown kid", mint: mint{Header: map[string]any{"kid": "RS256-9"}}, want: token.CodeKidUnknown},
	{name: "kid of the issuer's PS256 key", mint: mint{Header: map[string]any{"kid": "PS256-1"}}, want: token.CodeAlgNotAllowed},
	{name: "kid in another case", mint: mint{Header: map[string]any{"kid": "rs256-1"}}, want: token.CodeKidUnknown},
	{name: "kid with a space", mint: mint{Header: map[string]any{"kid": "RS256-1 "}}, want: token.CodeKidUnknown},

	{name: "cty JWT", mint: mint{Header: map[string]any{"cty": "JWT"}}, want: token.CodeHeaderNotAllowed},
	{name: "jku", mint: mint{Header: map[string]any{"jku": "https://attacker.example.com/jwks.json"}}, want: token.CodeHeaderNotAllowed},
	{name: "flattened JSON", edited: serialised(`{"protected":"%s","payload":"%s","signature":"%s"}`), want: token.CodeAuthorization},
	{name: "general JSON", edited: serialised(`{"payload":"%[2]s","signatures":[{"protected":"%[1]s","signature":"%[3]s"}]}`), want: token.CodeAuthorization},
	{name: "JSON around a compact token", edited: serialised(`{"a":"%s.%s.%s"}`), want: token.CodeMalformed},
	{name: "signed, then encrypted", only: "oidc-provider", mint: mint{Encrypt: true}, want: token.CodeJWE},
}

func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

func TestTokensOfOtherIssuers(t *testing.T) {
	issuers := map[string]*foreignIssuer{}
	var both []map[string]any
	for _, name := range foreignIssuers {
		issuers[name] = startIssuer(t, name)
		both = append(both, issuers[name].trusted())
	}
	guards := map[token.Profile]*guarded{
		token.ProfileAuth0:   guard(t, trust(t, nil, both...)),
		token.ProfileRFC9068: guard(t, trust(t, map[string]any{"profile": token.ProfileRFC9068}, both...)),
	}
	strangers := guard(t, newTenant(t).auth0)

	for _, name := range foreignIssuers {
		f, other := issuers[name], issuers[foreignIssuers[0]]
		if f == other {
			other = issuers[foreignIssuers[1]]
		}
		machine := f.machine(name)
		g := guards[token.ProfileAuth0]
		for _, tt := range foreignCases {
			if tt.only != "" && tt.only != name {
				continue
			}
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				audience, g := tt.audience, g
				if audience == "" {
					audience = apiAudience
				}
				if tt.profile != "" {
					g = guards[tt.profile]
				}
				issued := f.clientCredentials(t, tt.mint, audience)
				if tt.edited != nil {
					issued = tt.edited(t, issued)
				}
				p := machine
				if list, ok := tt.mint.Claims["aud"].([]string); ok {
					p.Audience = list
				}
				g.ask(t, issued).want(t, tt.want, p)
			})
		}
		for _, alg := range everyAlgorithm {
			t.Run(name+"/"+alg, func(t *testing.T) {
				issued := f.clientCredentials(t, mint{Alg: alg}, apiAudience)
				if header, _, _ := parts(t, issued); header["alg"] != alg || header["kid"] != f.state.Kids[alg] {
					t.Fatalf("the issuer signed with %v, %v", header["alg"], header["kid"])
				}
				g.ask(t, issued).want(t, codeAllowed, machine)
				g.ask(t, signatureWith(flipBit)(t, issued)).want(t, token.CodeSignatureInvalid, principal{})
				g.ask(t, claimWith("scope", "admin:users read:orders")(t, issued)).want(t, token.CodeSignatureInvalid, principal{})
			})
		}
		t.Run(name+"/HS256 with the public key as the secret", func(t *testing.T) {
			issued := f.clientCredentials(t, mint{}, apiAudience)
			for spelling, secret := range f.secrets(t) {
				t.Run(spelling, func(t *testing.T) {
					forged := headerWith("alg", "HS256")(t, issued)
					forged = forged[:strings.LastIndexByte(forged, '.')]
					mac := hmac.New(sha256.New, secret)
					mac.Write([]byte(forged))
					g.ask(t, forged+"."+b64.EncodeToString(mac.Sum(nil))).want(t, token.CodeAlgNotAllowed, principal{})
				})
			}
		})
		t.Run(name+"/an issuer that is not configured", func(t *testing.T) {
			strangers.ask(t, f.clientCredentials(t, mint{}, apiAudience)).want(t, token.CodeIssuerUnknown, principal{})
		})
		// Both issuers name their keys alike. Whose key it is follows from iss, so a key id means nothing across issuers.
		t.Run(name+"/the other issuer's name over this one's signature", func(t *testing.T) {
			issued := f.clientCredentials(t, mint{Claims: map[string]any{"iss": other.state.Issuer}}, apiAudience)
			g.ask(t, issued).want(t, token.CodeSignatureInvalid, principal{})
		})
		t.Run(name+"/authorization code and PKCE", func(t *testing.T) {
			person := principal{
				Issuer: f.state.Issuer, Subject: "auth0|cust", ClientID: "spa",
				Audience: []string{apiAudience}, Scopes: []string{"read:orders"}, Permissions: []string{"read:orders"},
			}
			if name == "oauth2-mock-server" {
				person.Subject = "johndoe" // it has no login page and knows nobody else
			}
			issued := f.authorizationCode(t, "auth0|cust")
			g.ask(t, issued.Access).want(t, codeAllowed, person)

			_, claims, _ := parts(t, issued.ID)
			if claims["aud"] != "spa" || claims["nonce"] != "n" {
				t.Fatalf("no ID token of this login: %v", slices.Sorted(maps.Keys(claims)))
			}
			g.ask(t, issued.ID).want(t, token.CodeAudienceMismatch, principal{})
			guards[token.ProfileRFC9068].ask(t, issued.ID).want(t, token.CodeTypNotAllowed, principal{})
		})
	}

	t.Run("a token that expires", func(t *testing.T) {
		g := guards[token.ProfileAuth0]
		for _, name := range foreignIssuers {
			issued := issuers[name].clientCredentials(t, mint{TTL: 1}, apiAudience)
			until(t, func() bool {
				v := g.ask(t, issued)
				if v.code == codeAllowed {
					return false
				}
				v.want(t, token.CodeExpired, principal{})
				return true
			})
			_, claims, _ := parts(t, issued)
			if exp := time.Unix(int64(claims["exp"].(float64)), 0); time.Now().Before(exp) {
				t.Errorf("%s: refused as expired %v before exp", name, time.Until(exp))
			}
		}
	})
	for _, f := range issuers {
		if err := f.wait(t); err != nil {
			t.Errorf("%s ended with %v", f.name, err)
		}
	}
}

// until tries again, a little later each time, until it is done or patience ends.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("not done within %v", patience)
		}
	}
}

// secrets are the bytes that a verifier might take for an HMAC secret where it is told HS256 and has the RS256 key.
func (f *foreignIssuer) secrets(t *testing.T) map[string][]byte {
	t.Helper()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(f.keys(t), &set); err != nil {
		t.Fatal(err)
	}
	for _, doc := range set.Keys {
		var jwk struct{ Kid, N, E string }
		if err := json.Unmarshal(doc, &jwk); err != nil {
			t.Fatal(err)
		}
		if jwk.Kid != f.state.Kids["RS256"] {
			continue
		}
		n, err1 := b64.DecodeString(jwk.N)
		e, err2 := b64.DecodeString(jwk.E)
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		spki, err3 := x509.MarshalPKIXPublicKey(key)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		pkcs1 := x509.MarshalPKCS1PublicKey(key)
		spkiPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
		return map[string][]byte{
			"SPKI DER": spki, "SPKI PEM": spkiPEM, "SPKI PEM without the last line's end": bytes.TrimSpace(spkiPEM),
			"PKCS 1 DER": pkcs1, "PKCS 1 PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
			"JWK": doc, "modulus": n, "modulus in base64url": []byte(jwk.N), "nothing": {},
		}
	}
	t.Fatal("the key set lacks the RS256 key")
	return nil
}

// The verifier itself, with the real key set over HTTP and a clock that the test moves.
func verifierOf(t *testing.T, auth0 string) *token.Verifier {
	t.Helper()
	c, err := token.ParseConfig([]byte(auth0))
	if err != nil {
		t.Fatal(err)
	}
	v, err := token.New(c, token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// verify gives the code of a refusal, or codeAllowed.
func verify(t *testing.T, v *token.Verifier, issued string, now time.Time) string {
	t.Helper()
	_, err := v.Authenticate(t.Context(), authorizer.Credentials{"Bearer " + issued}, now)
	if err == nil {
		return codeAllowed
	}
	var refusal *authorizer.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("an error of another type: %v", err)
	}
	return refusal.Code
}

// Keys change while the authorizer runs.
func TestOtherIssuersRotateTheirKeys(t *testing.T) {
	for _, name := range foreignIssuers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startIssuer(t, name)
			machine := f.machine(name)
			days := mint{TTL: 3 * 24 * 3600}
			old := f.clientCredentials(t, days, apiAudience)

			// The settings' own ages, and a soft age that a test can wait for.
			slow := guard(t, trust(t, nil, f.trusted()))
			quick := guard(t, trust(t, map[string]any{"jwks_soft": "1s"}, f.trusted()))
			moved := verifierOf(t, trust(t, nil, f.trusted()))
			for _, g := range []*guarded{slow, quick} {
				g.ask(t, old).want(t, codeAllowed, machine)
			}
			start := time.Now()
			if code := verify(t, moved, old, start); code != codeAllowed {
				t.Fatalf("got %s", code)
			}

			f.order(t, order{Rotate: &rotate{Keep: true}})
			next := f.clientCredentials(t, days, apiAudience)
			t.Run("a new key", func(t *testing.T) {
				before := f.fetched(t)
				slow.ask(t, next).want(t, token.CodeKidUnknown, principal{}) // it has fetched at its start: the cool-down holds
				slow.ask(t, old).want(t, codeAllowed, machine)
				if code := verify(t, moved, next, start.Add(29*time.Second)); code != token.CodeKidUnknown {
					t.Errorf("within the cool-down: got %s", code)
				}
				if n := f.fetched(t) - before; n != 0 {
					t.Errorf("%d fetches within the cool-down", n)
				}
				for range 3 {
					if code := verify(t, moved, next, start.Add(31*time.Second)); code != codeAllowed {
						t.Errorf("after the cool-down: got %s", code)
					}
				}
				unknown := headerWith("kid", "RS256-9")(t, next)
				if code := verify(t, moved, unknown, start.Add(32*time.Second)); code != token.CodeKidUnknown {
					t.Errorf("an id that nobody has: got %s", code)
				}
				if n := f.fetched(t) - before; n != 1 {
					t.Errorf("%d fetches for one new key and one that does not exist, want 1", n)
				}
			})
			t.Run("a new key after the soft age", func(t *testing.T) {
				before, began := f.fetched(t), time.Now()
				until(t, func() bool {
					v := quick.ask(t, next)
					if v.code == token.CodeKidUnknown {
						return false
					}
					v.want(t, codeAllowed, machine)
					return true
				})
				quick.ask(t, old).want(t, codeAllowed, machine) // rotated, not revoked
				least := 850 * time.Millisecond                 // the soft age and its jitter
				if n, most := f.fetched(t)-before, 1+int(time.Since(began)/least); n < 1 || n > most {
					t.Errorf("%d fetches in %v, want 1 to %d", n, time.Since(began), most)
				}
			})

			f.order(t, order{Rotate: &rotate{}})
			last := f.clientCredentials(t, days, apiAudience)
			t.Run("revoked keys", func(t *testing.T) {
				slow.ask(t, old).want(t, codeAllowed, machine) // until its soft age: what jwks_soft trades
				until(t, func() bool {
					v := quick.ask(t, old)
					if v.code == codeAllowed {
						return false
					}
					v.want(t, token.CodeKidUnknown, principal{})
					return true
				})
				quick.ask(t, next).want(t, token.CodeKidUnknown, principal{})
				quick.ask(t, last).want(t, codeAllowed, machine)
			})
			t.Run("an issuer that is down", func(t *testing.T) {
				held := start.Add(20 * time.Minute) // past the soft age: the revocation is seen, and the keys are as old as that
				if code := verify(t, moved, last, held); code != codeAllowed {
					t.Fatalf("got %s", code)
				}
				down, up := true, false
				f.order(t, order{Down: &down})
				if code := verify(t, moved, last, held.Add(23*time.Hour)); code != codeAllowed {
					t.Errorf("within the hard age: got %s", code)
				}
				if code := verify(t, moved, last, held.Add(25*time.Hour)); code != token.CodeJWKSUnavailable {
					t.Errorf("after the hard age: got %s", code)
				}
				guard(t, trust(t, nil, f.trusted())).ask(t, last).want(t, token.CodeJWKSUnavailable, principal{})
				f.order(t, order{Down: &up})
				quick.ask(t, last).want(t, codeAllowed, machine)
			})

			f.order(t, order{Rotate: &rotate{Again: true}})
			t.Run("another key under the same id", func(t *testing.T) {
				before, later := f.fetched(t), start.Add(48*time.Hour)
				if code := verify(t, moved, last, later); code != token.CodeSignatureInvalid {
					t.Errorf("a token of the key before, verified once already: got %s", code)
				}
				if code := verify(t, moved, f.clientCredentials(t, days, apiAudience), later); code != codeAllowed {
					t.Errorf("a token of the new key: got %s", code)
				}
				if n := f.fetched(t) - before; n != 1 {
					t.Errorf("%d fetches, want 1 for the age and none for a bad signature", n)
				}
			})

			f.order(t, order{Rotate: &rotate{Bare: true}})
			t.Run("keys that do not say their algorithm", func(t *testing.T) {
				bare := f.clientCredentials(t, mint{}, apiAudience)
				for want, algorithms := range map[string][]string{
					codeAllowed: {"RS256"}, token.CodeKidUnknown: everyAlgorithm, token.CodeAlgNotAllowed: {"PS256", "ES256"},
				} {
					v := verifierOf(t, trust(t, map[string]any{"algorithms": algorithms}, f.trusted()))
					if code := verify(t, v, bare, time.Now()); code != want {
						t.Errorf("configured with %v: got %s, want %s", algorithms, code, want)
					}
				}
			})
		})
	}
}
