package issuer_test

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/internal/issuer"
)

const issuerURL = "http://127.0.0.1:8789/"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPeople(t *testing.T) {
	type shape struct {
		Person string         `json:"person"`
		Header map[string]any `json:"header"`
		Claims map[string]any `json:"claims"`
	}
	var shapes []shape
	for _, p := range issuer.People() {
		token, err := issuer.Mint(key(t), issuerURL, p.Claims(issuer.Audience, noon))
		if err != nil {
			t.Fatal(err)
		}
		header, claims := read(t, token)
		if kid, _ := header["kid"].(string); kid == "" {
			t.Errorf("%s: no kid", p.Name)
		}
		header["kid"] = "KID"
		shapes = append(shapes, shape{p.Name, header, claims})
	}
	golden(t, "people.json", indent(t, shapes))

	for _, p := range issuer.People() {
		found, err := issuer.PersonNamed(p.Name)
		if err != nil || found.Subject != p.Subject {
			t.Errorf("person %q: %+v, %v", p.Name, found, err)
		}
	}
	_, err := issuer.PersonNamed("Admin")
	if err == nil || !strings.Contains(err.Error(), `"Admin"`) || !strings.Contains(err.Error(), "customer, support, admin, suspended, outsider, machine") {
		t.Errorf("unknown person: %v", err)
	}

	people := issuer.People()
	people[0].Roles[0], people[0].Scopes[0] = "admin", "everything"
	if p := issuer.People()[0]; p.Roles[0] != "customer" || p.Scopes[0] != "openid" {
		t.Error("a caller can change the sample people")
	}
}

// read gives a token's header and claims, verified with the test key.
func read(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(key(t).Public(), &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Claims(set, &claims); err != nil {
		t.Fatal(err)
	}
	header = map[string]any{"alg": parsed.Headers[0].Algorithm, "kid": parsed.Headers[0].KeyID}
	for name, value := range parsed.Headers[0].ExtraHeaders {
		header[string(name)] = value
	}
	return header, claims
}

func TestMint(t *testing.T) {
	base := issuer.Claims{Subject: "auth0|x", Audience: issuer.Audience, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		change func(*issuer.Claims)
		want   string // claims besides iss, iat and exp
	}{
		"the least": {func(*issuer.Claims) {}, `{"sub":"auth0|x","azp":"spa","aud":"https://api.example.com"}`},
		"everything": {func(c *issuer.Claims) {
			c.ClientID, c.Organization = "app", "org_x"
			c.Scopes, c.Permissions, c.Roles = []string{"openid", "a:b"}, []string{"p", "q"}, []string{"admin"}
			c.Extra = map[string]any{"acr": "mfa", "https://t.example/n": 1 << 60, "cnf": map[string]any{"jkt": "x"}}
		}, `{"sub":"auth0|x","azp":"app","aud":["https://api.example.com","http://127.0.0.1:8789/userinfo"],"scope":"openid a:b",` +
			`"permissions":["p","q"],"https://gatehouse.example/roles":["admin"],"org_id":"org_x",` +
			`"acr":"mfa","https://t.example/n":1152921504606846976,"cnf":{"jkt":"x"}}`},
		"no permission": {func(c *issuer.Claims) { c.Permissions = []string{} }, `{"sub":"auth0|x","azp":"spa","aud":"https://api.example.com","permissions":[]}`},
		"a machine by its subject": {func(c *issuer.Claims) { c.Subject = "job@clients" },
			`{"sub":"job@clients","azp":"job","gty":"client-credentials","aud":"https://api.example.com"}`},
		"a machine with openid": {func(c *issuer.Claims) { c.Subject, c.Scopes = "job@clients", []string{"openid"} },
			`{"sub":"job@clients","azp":"job","gty":"client-credentials","aud":"https://api.example.com","scope":"openid"}`},
		"a user named like a machine": {func(c *issuer.Claims) { c.Subject, c.ClientID = "job@clients", "spa" },
			`{"sub":"job@clients","azp":"spa","aud":"https://api.example.com"}`},
		"expired": {func(c *issuer.Claims) { c.IssuedAt, c.ExpiresAt = noon.Add(-2*time.Hour), noon.Add(-time.Hour) },
			`{"sub":"auth0|x","azp":"spa","aud":"https://api.example.com"}`},
	} {
		t.Run(name, func(t *testing.T) {
			claims := base
			c.change(&claims)
			token, err := issuer.Mint(key(t), issuerURL, claims)
			if err != nil {
				t.Fatal(err)
			}
			_, got := read(t, token)
			if got["iss"] != issuerURL || got["iat"] != float64(claims.IssuedAt.Unix()) || got["exp"] != float64(claims.ExpiresAt.Unix()) {
				t.Errorf("iss %v, iat %v, exp %v", got["iss"], got["iat"], got["exp"])
			}
			delete(got, "iss")
			delete(got, "iat")
			delete(got, "exp")
			var want map[string]any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if g, w := string(indent(t, got)), string(indent(t, want)); g != w {
				t.Errorf("got %swant %s", g, w)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	base := issuer.Claims{Subject: "auth0|hidden", Audience: issuer.Audience, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		issuer string
		change func(*issuer.Claims)
		want   []string
	}{
		"nothing given":       {"", func(c *issuer.Claims) { *c = issuer.Claims{} }, []string{"issuer", "no subject", "no audience", "no time of issue", "expire before"}},
		"no slash":            {"http://127.0.0.1:8789", func(*issuer.Claims) {}, []string{"trailing slash"}},
		"no host":             {"x/", func(*issuer.Claims) {}, []string{"want a URL"}},
		"a query":             {"http://127.0.0.1/?a=/", func(*issuer.Claims) {}, []string{"want a URL"}},
		"not a URL":           {"http://%zz/", func(*issuer.Claims) {}, []string{"want a URL"}},
		"a nameless machine":  {issuerURL, func(c *issuer.Claims) { c.Subject = "@clients" }, []string{"no subject"}},
		"expiry at issue":     {issuerURL, func(c *issuer.Claims) { c.ExpiresAt = noon.Add(999 * time.Millisecond) }, []string{"expire before"}},
		"two scopes in one":   {issuerURL, func(c *issuer.Claims) { c.Scopes = []string{"a b"} }, []string{"scope"}},
		"an empty scope":      {issuerURL, func(c *issuer.Claims) { c.Scopes = []string{""} }, []string{"scope"}},
		"a tab in permission": {issuerURL, func(c *issuer.Claims) { c.Permissions = []string{"a\tb"} }, []string{"permission"}},
		"an empty role":       {issuerURL, func(c *issuer.Claims) { c.Roles = []string{""} }, []string{"role"}},
		"a nameless claim":    {issuerURL, func(c *issuer.Claims) { c.Extra = map[string]any{"": "hidden"} }, []string{"empty name"}},
		"no JSON":             {issuerURL, func(c *issuer.Claims) { c.Extra = map[string]any{"x": math.NaN()} }, []string{"mint token"}},
		"the issuer's own": {issuerURL, func(c *issuer.Claims) {
			c.Extra = map[string]any{}
			for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "client_id", "gty", "scope", "permissions", "org_id", issuer.RolesClaim} {
				c.Extra[name] = "hidden"
			}
		}, []string{`"iss"`, `"sub"`, `"aud"`, `"exp"`, `"nbf"`, `"iat"`, `"jti"`, `"azp"`, `"client_id"`, `"gty"`, `"scope"`, `"permissions"`, `"org_id"`, `"` + issuer.RolesClaim + `"`, "cannot be overridden"}},
	} {
		t.Run(name, func(t *testing.T) {
			claims := base
			c.change(&claims)
			token, err := issuer.Mint(key(t), c.issuer, claims)
			if err == nil || token != "" {
				t.Fatalf("token %q, error %v", token, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error gives a claim's value away: %v", err)
			}
		})
	}
	if _, err := issuer.Mint(nil, issuerURL, base); err == nil {
		t.Error("minted without a key")
	}
}

// The machine client can do nothing but what its one grant needs, whatever the library comes to ask of it.
func TestMachineClient(t *testing.T) {
	c := issuer.MachineClient
	if c.GetID() != "robot" || len(c.GrantTypes()) != 1 || c.GrantTypes()[0] != "client_credentials" {
		t.Errorf("client %s with grants %v", c.GetID(), c.GrantTypes())
	}
	if len(c.RedirectURIs())+len(c.PostLogoutRedirectURIs())+len(c.ResponseTypes()) != 0 || c.LoginURL("x") != "" {
		t.Error("the machine can be sent to a login")
	}
	if c.IDTokenUserinfoClaimsAssertion() || c.ClockSkew() != 0 {
		t.Error("the machine has what no machine needs")
	}
	if c.ApplicationType().String() != "web" || c.AuthMethod() == "none" || c.AccessTokenType().String() != "JWT" || c.IDTokenLifetime() != 10*time.Hour {
		t.Errorf("type %s, method %s, token %s", c.ApplicationType(), c.AuthMethod(), c.AccessTokenType())
	}
	if !c.IsScopeAllowed("read:orders") || c.IsScopeAllowed("openid") {
		t.Error("scopes allowed are not the machine's")
	}
	if c.RestrictAdditionalAccessTokenScopes()([]string{"x"}) != nil || c.RestrictAdditionalIdTokenScopes()([]string{"x"}) != nil {
		t.Error("scopes bring claims")
	}
}

// A JSON body becomes a form with the same members, or an error that quotes nothing of it.
func FuzzFormOf(f *testing.F) {
	f.Add([]byte(`{"client_id":"robot","audience":"https://api.example.com"}`))
	f.Add([]byte(`{"a":"\ud800","b":""}`))
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := issuer.FormOf(body)
		if err != nil {
			if err.Error() != "want a JSON object of strings" {
				t.Errorf("error %q", err)
			}
			return
		}
		var want map[string]string
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		again, err := url.ParseQuery(form.Encode())
		if err != nil || len(again) != len(want) {
			t.Fatalf("%d members, want %d, %v", len(again), len(want), err)
		}
		for name, value := range want {
			if len(again[name]) != 1 || again[name][0] != value {
				t.Errorf("member %q: %q, want %q", name, again[name], value)
			}
		}
	})
}
