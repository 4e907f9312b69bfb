package issuer_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"gatehouse/internal/issuer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// logged holds what everything under test writes to the default logger. TestMain looks through it for secrets.
var logged lockedBuffer

func TestMain(m *testing.M) {
	if dir := os.Getenv(keyDirVariable); dir != "" {
		os.Exit(printKey(dir))
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	var err error
	if testKeys, err = os.MkdirTemp("", "issuer-keys"); err != nil {
		panic(err)
	}
	if _, err = issuer.LoadOrCreateKey(testKeys); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(testKeys)
	for _, secret := range []string{issuer.MachineSecret, wrongSecret, "eyJ"} {
		if strings.Contains(logged.String(), secret) {
			os.Stderr.WriteString("the log holds a secret or the beginning of a token: " + secret + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

const wrongSecret = "wrong-secret-that-nobody-may-see"

// now is when every test's tokens are issued. It lies within a day, so that verifiers with a clock of their own agree.
var now = time.Now().Add(-time.Minute).Truncate(time.Second)

// testKeys is a directory with keys that no test changes. TestMain makes it and takes it away.
var testKeys string

func key(t testing.TB) *issuer.Key {
	t.Helper()
	k, err := issuer.LoadOrCreateKey(testKeys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	spa       = "http://127.0.0.1:8790"
	spaByName = "http://localhost:8790"
)

func config() issuer.Config {
	return issuer.Config{Addr: "127.0.0.1:0", Keys: testKeys, Audience: issuer.Audience, SPA: []string{spa, spaByName}}
}

func run(t *testing.T) *issuer.Issuer {
	t.Helper()
	return runWith(t, config(), func() time.Time { return now })
}

func runWith(t *testing.T, c issuer.Config, clock func() time.Time) *issuer.Issuer {
	t.Helper()
	i, err := issuer.StartAt(t.Context(), c, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

type answer struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func get(t *testing.T, url string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

func newPost(t *testing.T, i *issuer.Issuer, contentType, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.URL()+"oauth/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	return r
}

const formType = "application/x-www-form-urlencoded"

// grant is a good token request; each pair of changes sets a parameter, or removes it when the value is "".
func grant(changes ...string) url.Values {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {issuer.MachineID},
		"client_secret": {issuer.MachineSecret},
		"audience":      {issuer.Audience},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update rewrites it); got:\n%s", name, got)
	}
}

func indent(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestDiscovery(t *testing.T) {
	i := run(t)
	got := get(t, i.URL()+".well-known/openid-configuration")
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(got.body, i.URL(), "http://ISSUER/")), &document); err != nil {
		t.Fatal(err)
	}
	golden(t, "discovery.json", indent(t, document))
	if origin := got.header.Get("Access-Control-Allow-Origin"); origin != "" {
		t.Errorf("other origins may read it: %q", origin)
	}

	if _, err := client.Discover(t.Context(), i.URL(), http.DefaultClient); err != nil {
		t.Errorf("zitadel's client refuses the document: %v", err)
	}
	if _, err := client.Discover(t.Context(), strings.TrimSuffix(i.URL(), "/"), http.DefaultClient); err == nil {
		t.Error("the issuer passes without its trailing slash")
	}
}

func TestKeySetIsPublic(t *testing.T) {
	i := run(t)
	got := get(t, i.URL()+".well-known/jwks.json")
	if want := "max-age=15"; got.status != http.StatusOK || !strings.Contains(got.header.Get("Cache-Control"), want) {
		t.Errorf("status %d, Cache-Control %q, want 200 and %s", got.status, got.header.Get("Cache-Control"), want)
	}
	var served, own struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(got.body), &served); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(key(t).Public(), &own); err != nil {
		t.Fatal(err)
	}
	if len(served.Keys) != 2 || len(own.Keys) != 2 {
		t.Fatalf("%d keys served, %d by Public; want the current one and the next", len(served.Keys), len(own.Keys))
	}
	for n, key := range served.Keys {
		for member, value := range key {
			if !strings.Contains(" kty kid use alg n e ", " "+member+" ") {
				t.Errorf("member %q is served", member)
			}
			if own.Keys[n][member] != value {
				t.Errorf("member %q is served otherwise than Public gives it", member)
			}
		}
	}
	if k := served.Keys[0]; k["kty"] != "RSA" || k["use"] != "sig" || k["alg"] != "RS256" || k["kid"] == "" {
		t.Errorf("kty %q, use %q, alg %q, kid %q", k["kty"], k["use"], k["alg"], k["kid"])
	}
}

// verified gives the claims of a token after go-jose has verified it with the key set that is served.
func verified(t *testing.T, i *issuer.Issuer, token string) map[string]any {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(get(t, i.URL()+".well-known/jwks.json").body), &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := parsed.Claims(set, &claims); err != nil {
		t.Fatal(err)
	}
	if typ := parsed.Headers[0].ExtraHeaders["typ"]; typ != "JWT" {
		t.Errorf("typ %v, want JWT (rule 14)", typ)
	}
	return claims
}

// The three ways of Auth0 for a client to prove itself give the token that Mint gives.
func TestTokenByClientAuthentication(t *testing.T) {
	i := run(t)
	robot, err := issuer.PersonNamed("machine")
	if err != nil {
		t.Fatal(err)
	}
	want, err := issuer.Mint(key(t), i.URL(), robot.Claims(issuer.Audience, now))
	if err != nil {
		t.Fatal(err)
	}
	basic := newPost(t, i, formType, grant("client_id", "", "client_secret", "").Encode())
	basic.SetBasicAuth(issuer.MachineID, issuer.MachineSecret)
	for name, r := range map[string]*http.Request{
		"client_secret_post":  newPost(t, i, formType, grant().Encode()),
		"client_secret_basic": basic,
		"json": newPost(t, i, "application/json; charset=utf-8", `{"grant_type":"client_credentials","client_id":"`+issuer.MachineID+
			`","client_secret":"`+issuer.MachineSecret+`","audience":"`+issuer.Audience+`"}`),
	} {
		t.Run(name, func(t *testing.T) {
			got := do(t, r)
			var body map[string]any
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusOK {
				t.Fatalf("status %d, %v: %s", got.status, err, got.body)
			}
			if body["access_token"] != want {
				t.Error("the token is not the one that Mint gives for the same claims")
			}
			if body["expires_in"] != 86400.0 || body["token_type"] != "Bearer" || body["scope"] != "read:orders" || len(body) != 4 {
				t.Errorf("expires_in %v, token_type %v, scope %v, %d members", body["expires_in"], body["token_type"], body["scope"], len(body))
			}
			if c := got.header.Get("Cache-Control"); c != "no-store" {
				t.Errorf("Cache-Control %q", c)
			}
			if sub := verified(t, i, want)["sub"]; sub != "robot@clients" {
				t.Errorf("sub %v", sub)
			}
		})
	}
}

func TestTokenRequestRefused(t *testing.T) {
	i := run(t)
	form := func(changes ...string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request { return newPost(t, i, formType, grant(changes...).Encode()) }
	}
	typed := func(contentType, body string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request { return newPost(t, i, contentType, body) }
	}
	basic := func(id, secret string, changes ...string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			r := form(changes...)(t)
			r.SetBasicAuth(id, secret)
			return r
		}
	}
	long := strings.Repeat("x", 70_000)
	twice := grant()
	twice.Add("audience", "https://other.example")
	for name, c := range map[string]struct {
		request func(*testing.T) *http.Request
		status  int
		code    string
		message string // part of the description
	}{
		"wrong secret, post":     {form("client_secret", wrongSecret), 401, "access_denied", "Unauthorized"},
		"wrong secret, basic":    {basic(issuer.MachineID, wrongSecret, "client_id", "", "client_secret", ""), 401, "access_denied", "Unauthorized"},
		"wrong secret, json":     {typed("application/json", `{"grant_type":"client_credentials","client_id":"robot","client_secret":"`+wrongSecret+`"}`), 401, "access_denied", "Unauthorized"},
		"no secret":              {form("client_secret", ""), 401, "access_denied", "Unauthorized"},
		"unknown client":         {form("client_id", "spa"), 401, "access_denied", "Unauthorized"},
		"wrong secret and grant": {form("client_secret", wrongSecret, "grant_type", "refresh_token"), 401, "access_denied", "Unauthorized"},
		"no client":              {form("client_id", "", "client_secret", ""), 400, "invalid_request", "client_id"},
		"two authentications":    {basic(issuer.MachineID, issuer.MachineSecret), 400, "invalid_request", "more than one"},
		"assertion for a secret": {form("client_id", "", "client_secret", "", "client_assertion", "x", "client_assertion_type", oidc.ClientAssertionTypeJWTAssertion), 401, "access_denied", "Unauthorized"},

		"no audience":      {form("audience", ""), 403, "access_denied", "No audience"},
		"empty audience":   {typed(formType, grant("audience", "").Encode()+"&audience="), 403, "access_denied", "No audience"},
		"another audience": {form("audience", "https://other.example"), 403, "access_denied", "Service not found: https://other.example"},
		"percent audience": {form("audience", "%d%s"), 403, "access_denied", "Service not found: %d%s"},
		"client as api":    {form("audience", issuer.MachineID), 403, "access_denied", "Service not found"},
		"two audiences":    {typed(formType, twice.Encode()), 400, "invalid_request", "more than once"},

		"no grant":           {form("grant_type", ""), 400, "invalid_request", "grant_type"},
		"unknown grant":      {form("grant_type", "magic"), 400, "unsupported_grant_type", "magic"},
		"code":               {form("grant_type", "authorization_code", "code", "x"), 400, "unauthorized_client", "authorization_code"},
		"refresh":            {form("grant_type", "refresh_token", "refresh_token", "x"), 400, "unauthorized_client", "refresh_token"},
		"jwt bearer":         {form("grant_type", string(oidc.GrantTypeBearer), "assertion", "x"), 400, "unsupported_grant_type", "not supported"},
		"ungranted scope":    {form("scope", "delete:orders"), 400, "invalid_scope", "none of these"},
		"openid for machine": {form("scope", "openid"), 400, "invalid_scope", "none of these"},

		"get":                {func(t *testing.T) *http.Request { r := form()(t); r.Method = http.MethodGet; return r }, 405, "invalid_request", "POST"},
		"secret in address":  {func(t *testing.T) *http.Request { r := form()(t); r.URL.RawQuery = grant().Encode(); return r }, 400, "invalid_request", "body"},
		"bad escape":         {typed(formType, "client_secret="+wrongSecret+"%zz"), 400, "invalid_request", "parsing form"},
		"long form":          {form("scope", long), 400, "invalid_request", "parsing form"},
		"long json":          {typed("application/json", `{"scope":"`+long+`"}`), 400, "invalid_request", "reading body"},
		"unknown media type": {typed("text/plain", grant().Encode()), 400, "invalid_request", "grant_type"},
		"no media type":      {typed("", grant().Encode()), 400, "invalid_request", "grant_type"},
		"json array":         {typed("application/json", `["`+wrongSecret+`"]`), 400, "invalid_request", "JSON object"},
		"json null":          {typed("application/json", `null`), 400, "invalid_request", "JSON object"},
		"json cut short":     {typed("application/json", `{"client_secret":"`+wrongSecret), 400, "invalid_request", "JSON object"},
		"json nested":        {typed("application/json", `{"audience":["https://api.example.com"]}`), 400, "invalid_request", "JSON object"},
		"json name twice":    {typed("application/json", `{"client_id":"a","client_id":"robot"}`), 400, "invalid_request", "JSON object"},
		"json and more":      {typed("application/json", `{} {}`), 400, "invalid_request", "JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			got := do(t, c.request(t))
			var body struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
				Token       string `json:"access_token"`
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil {
				t.Fatalf("status %d, body %q: %v", got.status, got.body, err)
			}
			if got.status != c.status || body.Error != c.code || !strings.Contains(body.Description, c.message) {
				t.Errorf("got %d %s, want %d %s with %q", got.status, got.body, c.status, c.code, c.message)
			}
			if body.Token != "" || strings.Contains(got.body, wrongSecret) || strings.Contains(got.body, issuer.MachineSecret) {
				t.Errorf("the refusal holds a token or a secret: %s", got.body)
			}
		})
	}
	if !strings.Contains(logged.String(), "request error") {
		t.Error("the refusals are not in the log that TestMain searches for secrets")
	}
}

func TestScopesGranted(t *testing.T) {
	i := run(t)
	for _, asked := range []string{"", "read:orders", "read:orders delete:orders", "openid  read:orders admin:users"} {
		got := do(t, newPost(t, i, formType, grant("scope", asked).Encode()))
		var body struct {
			Token string `json:"access_token"`
			Scope string `json:"scope"`
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusOK {
			t.Fatalf("scope %q: status %d, %v: %s", asked, got.status, err, got.body)
		}
		claims := verified(t, i, body.Token)
		if body.Scope != "read:orders" || claims["scope"] != "read:orders" || claims["aud"] != issuer.Audience {
			t.Errorf("scope %q: granted %q, in the token %v for %v", asked, body.Scope, claims["scope"], claims["aud"])
		}
	}
}

// What is not here is refused in words.
func TestNotSupported(t *testing.T) {
	i := run(t)
	for _, path := range []string{"healthz", "ready"} {
		if got := get(t, i.URL()+path); got.status != http.StatusNotFound || !strings.Contains(got.body, "not implemented") {
			t.Errorf("GET %s: %d %q", path, got.status, got.body)
		}
	}
	for _, path := range []string{"", "keys", "introspect", "oauth/token/", "device_authorization", "revoke", "u/login/"} {
		if got := get(t, i.URL()+path); got.status != http.StatusNotFound {
			t.Errorf("GET /%s: %d %q, want 404", path, got.status, got.body)
		}
	}
}

// A second opinion: the library's own client asks for a token and verifies it, from nothing but the issuer's URL.
func TestZitadelClientAgrees(t *testing.T) {
	i := run(t)
	ctx := t.Context()
	party, err := rp.NewRelyingPartyOIDC(ctx, i.URL(), issuer.MachineID, issuer.MachineSecret, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := rp.ClientCredentials(ctx, party, url.Values{"audience": {issuer.Audience}})
	if err != nil {
		t.Fatal(err)
	}
	discovered, err := client.Discover(ctx, i.URL(), http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	verifier := op.NewAccessTokenVerifier(i.URL(), rp.NewRemoteKeySet(http.DefaultClient, discovered.JwksURI))
	claims, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, token.AccessToken, verifier)
	if err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "robot@clients" || claims.AuthorizedParty != "robot" || claims.Audience[0] != issuer.Audience {
		t.Errorf("claims %+v", claims)
	}

	for _, p := range issuer.People() {
		minted, err := issuer.Mint(key(t), i.URL(), p.Claims(issuer.Audience, now))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, minted, verifier); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	head, rest, _ := strings.Cut(token.AccessToken, ".")
	_, signature, _ := strings.Cut(rest, ".")
	forged := head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+i.URL()+`","sub":"auth0|adm","exp":9999999999}`)) + "." + signature
	if _, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, forged, verifier); err == nil {
		t.Error("a changed payload passes")
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ended, end := context.WithCancel(t.Context())
	end()
	good := config()
	at := func(addr string) issuer.Config { c := good; c.Addr = addr; return c }
	from := func(origins ...string) issuer.Config { c := good; c.SPA = origins; return c }
	noKeys := good
	noKeys.Keys = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(noKeys.Keys, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ctx    context.Context
		config issuer.Config
		want   []string
	}{
		"nothing given":    {t.Context(), issuer.Config{}, []string{"address", "no directory of signing keys", "no audience", "no SPA origin"}},
		"every address":    {t.Context(), at("0.0.0.0:0"), []string{"not a loopback"}},
		"every v6 address": {t.Context(), at("[::]:0"), []string{"not a loopback"}},
		"another machine":  {t.Context(), at("203.0.113.9:8789"), []string{"not a loopback"}},
		"a zone":           {t.Context(), at("[::1%lo]:0"), []string{"not a loopback"}},
		"a host name":      {t.Context(), at("localhost:8789"), []string{"want a loopback IP address"}},
		"no host":          {t.Context(), at(":8789"), []string{"want a loopback IP address"}},
		"no port":          {t.Context(), at("127.0.0.1"), []string{"want a loopback IP address"}},
		"port in use":      {t.Context(), at(taken.Addr().String()), []string{"is in use", "another port"}},
		"no keys":          {t.Context(), noKeys, []string{"load signing keys", issuer.KeyFile}},
		"bad origins": {t.Context(), from("http://127.0.0.1:8790/", "http://127.0.0.1?x", "ftp://127.0.0.1", "http://", "http://user@127.0.0.1",
			"127.0.0.1:8790", "", "null", "http://%zz", "https://spa.example", "http://127.0.0.1.evil.example", "http://10.0.0.1"), []string{
			`"http://127.0.0.1:8790/": want scheme`, `"http://127.0.0.1?x": want scheme`, `"ftp://127.0.0.1": want scheme`, `"http://": want`,
			`"http://user@127.0.0.1": want`, `"127.0.0.1:8790": want`, `"": want`, `"null": want`, `"http://%zz": want`,
			`"https://spa.example": want localhost`, `"http://127.0.0.1.evil.example": want localhost`, `"http://10.0.0.1": want localhost`}},
		"context ended": {ended, good, []string{"start issuer", "context canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := issuer.Start(c.ctx, c.config)
			if err == nil {
				_ = i.Close()
				t.Fatalf("started at %s", i.URL())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestIssuerEnds(t *testing.T) {
	good := config()
	ends := map[string]func(*issuer.Issuer, context.CancelFunc) error{
		"by Close":         func(i *issuer.Issuer, _ context.CancelFunc) error { return i.Close() },
		"by Close, twice":  func(i *issuer.Issuer, _ context.CancelFunc) error { return errors.Join(i.Close(), i.Close()) },
		"with its context": func(i *issuer.Issuer, end context.CancelFunc) error { end(); return i.Wait() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			i, err := issuer.Start(ctx, good)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(i.URL(), "http://127.0.0.1:") || !strings.HasSuffix(i.URL(), "/") {
				t.Errorf("URL %q", i.URL())
			}
			if err := end(i, cancel); err != nil {
				t.Error(err)
			}
			// Its address is free again, which is more than that it answers no longer.
			again := good
			again.Addr = strings.TrimSuffix(strings.TrimPrefix(i.URL(), "http://"), "/")
			next, err := issuer.Start(t.Context(), again)
			if err != nil {
				t.Fatal(err)
			}
			if err := next.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

type brokenListener struct{ net.Listener }

var errBroken = errors.New("broken listener")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }
func (brokenListener) Close() error              { return nil }

func TestCloseTellsWhyItHadEnded(t *testing.T) {
	i := issuer.Serve(t.Context(), brokenListener{}, "http://127.0.0.1:1/", http.NotFoundHandler())
	_ = i.Wait()
	if err := i.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close: %v, want the listener's fault", err)
	}
}

// A token that cannot be made is the server's fault, and no token.
func TestTokenFault(t *testing.T) {
	noClock := func() time.Time { return time.Time{} }
	i := runWith(t, config(), noClock)
	if got := do(t, newPost(t, i, formType, grant().Encode())); got.status != http.StatusInternalServerError || !strings.Contains(got.body, "server_error") {
		t.Errorf("%d %s, want 500 server_error", got.status, got.body)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
