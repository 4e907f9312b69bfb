package token

import (
	"crypto/ed25519"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseConfigSetsWhatIsLeftOut(t *testing.T) {
	c, err := ParseConfig([]byte(`{"version":"v1","issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["https://api.example.com"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{ClockSkew: 5 * time.Second, Issuers: []Issuer{{
		Issuer: "https://t.eu.auth0.com/", Audiences: []string{"https://api.example.com"}, Algorithms: []string{"RS256"},
		Profile: ProfileAuth0, JWKSURI: "https://t.eu.auth0.com/.well-known/jwks.json",
		JWKSSoft: 10 * time.Minute, JWKSHard: 24 * time.Hour,
	}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
}

func TestParseConfigTakesEverything(t *testing.T) {
	doc := jsonObject{
		"version": "v1", "clock_skew": "0s", "headers": []any{"x-tenant", "x-b3"}, "query": []any{"q"}, "roles_claim": testRoles,
		"token_query": "access_token", "token_subprotocol": "Bearer.v1",
		"issuers": []any{
			jsonObject{
				"issuer": "http://127.0.0.1:8789/", "audiences": []any{"https://api.example.com"}, "algorithms": []any{"EdDSA", "ES384", "ES256", "PS256", "RS256"},
				"profile": "rfc9068", "jwks_uri": "http://localhost:8789/keys", "jwks": jsonObject{"keys": []any{jwkOf("a", keyA(), nil)}},
				"pinned": true, "required_claims": []any{"acr"}, "organizations": []any{"org_home"}, "max_lifetime": "24h",
				"jwks_soft": "5m", "jwks_hard": "1h", "sender_constraint": "none",
			},
			jsonObject{"issuer": "http://[::1]:1/", "audiences": []any{"a"}, "jwks": jsonObject{"keys": []any{}}, "jwks_uri": "https://keys.example/x"},
		},
	}
	c, err := ParseConfig([]byte(marshal(doc)))
	if err != nil {
		t.Fatal(err)
	}
	i := c.Issuers[0]
	if c.ClockSkew != 0 || c.RolesClaim != testRoles || len(c.Headers) != 2 || len(c.Query) != 1 || c.TokenQuery != "access_token" ||
		c.TokenSubprotocol != "Bearer.v1" || len(i.Algorithms) != 5 || i.Profile != ProfileRFC9068 ||
		i.JWKSURI != "http://localhost:8789/keys" || !i.Pinned || i.MaxLifetime != 24*time.Hour || i.JWKSSoft != 5*time.Minute ||
		i.JWKSHard != time.Hour || i.RequiredClaims[0] != "acr" || i.Organizations[0] != "org_home" || len(c.Issuers) != 2 {
		t.Errorf("%+v", c)
	}
	if _, err := New(c, Options{}); err != nil {
		t.Error(err)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	seed := func(keys ...jsonObject) jsonObject { return jsonObject{"keys": keys} }
	for name, c := range map[string]struct {
		change func(*setup)
		want   string
	}{
		"no version":            {func(s *setup) { delete(s.document, "version") }, `version is "", want "v1"`},
		"another version":       {says("version", "v2"), `version is "v2", want "v1"`},
		"unknown member":        {says("isuers", 1), "isuers is unknown"},
		"unknown inner member":  {issuerSays("audience", "x"), "issuers[0].audience is unknown"},
		"skew a number":         {says("clock_skew", 5), "clock_skew is a number, want a string"},
		"skew without unit":     {says("clock_skew", "5"), `clock_skew is not a duration such as "5s"`},
		"negative skew":         {says("clock_skew", "-1s"), "clock_skew is -1s, want 0s to 5m0s"},
		"headers a string":      {says("headers", "x"), "headers is a string, want a list of strings"},
		"a header a number":     {says("headers", []any{"x", 1}), "headers[1] is a number, want a string"},
		"a header in capitals":  {says("headers", []any{"X-Tenant"}), `headers[0] "X-Tenant" is not a header name in lower case`},
		"an empty header":       {says("headers", []any{""}), "headers[0] is empty"},
		"a header twice":        {says("headers", []any{"a", "a"}), `headers[1] "a" occurs twice`},
		"authorization":         {says("headers", []any{"authorization"}), `headers[0] "authorization" holds a secret`},
		"cookie":                {says("headers", []any{"a", "cookie"}), `headers[1] "cookie" holds a secret`},
		"proxy-authorization":   {says("headers", []any{"proxy-authorization"}), "holds a secret"},
		"an empty parameter":    {says("query", []any{""}), "query[0] is empty"},
		"access_token":          {says("query", []any{"access_token"}), `query[0] "access_token" holds a secret`},
		"roles_claim a list":    {says("roles_claim", []any{"r"}), "roles_claim is a list, want a string"},
		"token_query a number":  {says("token_query", 1), "token_query is a number, want a string"},
		"token_query empty":     {says("token_query", ""), "token_query is empty"},
		"token_query shown":     {all(says("token_query", "q"), says("query", []any{"p", "q"})), `query[1] "q" is token_query`},
		"subprotocol empty":     {says("token_subprotocol", ""), "token_subprotocol is empty"},
		"subprotocol a list":    {says("token_subprotocol", []any{"a"}), "token_subprotocol is a list, want a string"},
		"subprotocol, a space":  {says("token_subprotocol", "a b"), `token_subprotocol "a b" is not the name of a subprotocol`},
		"subprotocol, a comma":  {says("token_subprotocol", "a,b"), "is not the name of a subprotocol"},
		"subprotocol, a quote":  {says("token_subprotocol", `"a"`), "is not the name of a subprotocol"},
		"subprotocol, a colon":  {says("token_subprotocol", "a:b"), "is not the name of a subprotocol"},
		"subprotocol, no ASCII": {says("token_subprotocol", "é"), "is not the name of a subprotocol"},
		"public_url":            {says("public_url", "https://x"), "public_url is not supported yet"},
		"no issuers":            {func(s *setup) { delete(s.document, "issuers") }, "issuers want at least one"},
		"issuers an object":     {says("issuers", jsonObject{}), "issuers is an object, want a list of objects"},
		"issuers null":          {says("issuers", nil), "issuers is null, want a list of objects"},
		"an issuer a string":    {says("issuers", []any{"https://x/"}), "issuers[0] is a string, want an object"},
		"issuer absent":         {func(s *setup) { delete(s.issuer(), "issuer") }, `issuers[0].issuer "" is not an absolute URL`},
		"issuer relative":       {issuerSays("issuer", "t.eu.auth0.com/"), "is not an absolute URL"},
		"issuer opaque":         {issuerSays("issuer", "https:t/"), "is not an absolute URL"},
		"issuer broken":         {issuerSays("issuer", "https://%zz/"), "is not an absolute URL"},
		"issuer without slash":  {issuerSays("issuer", "https://t.eu.auth0.com"), "has no slash at the end: Auth0's iss is https://TENANT.REGION.auth0.com/"},
		"issuer by http":        {issuerSays("issuer", "http://t.eu.auth0.com/"), "is not https"},
		"issuer by ftp":         {issuerSays("issuer", "ftp://127.0.0.1/"), "is not https"},
		"issuer with user":      {issuerSays("issuer", "https://u:p@t.eu.auth0.com/"), "issuers[0].issuer holds a user or a password"},
		"issuer with query":     {issuerSays("issuer", "https://t.eu.auth0.com/?a=/"), "has a query or a fragment"},
		"issuer with fragment":  {issuerSays("issuer", "https://t.eu.auth0.com/#/"), "has a query or a fragment"},
		"issuer like loopback":  {issuerSays("issuer", "http://localhost.evil.example/"), "is not https"},
		"issuer twice":          {func(s *setup) { s.document["issuers"] = []any{second(testIssuer), second(testIssuer)} }, `issuers[1].issuer "https://t.eu.auth0.com/" occurs twice`},
		"jwks_uri by http":      {issuerSays("jwks_uri", "http://keys.example/"), `issuers[0].jwks_uri "http://keys.example/" is not https`},
		"jwks_uri empty":        {issuerSays("jwks_uri", ""), "issuers[0].jwks_uri"},
		"audiences absent":      {func(s *setup) { delete(s.issuer(), "audiences") }, "issuers[0].audiences want at least one"},
		"audience a client id":  {issuerSays("audiences", []any{"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"}), "issuers[0].audiences[0] \"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345\" looks like a client id"},
		"audience twice":        {issuerSays("audiences", []any{"a", "a"}), `issuers[0].audiences[1] "a" occurs twice`},
		"the issuer's own API":  {issuerSays("audiences", []any{testIssuer + "userinfo"}), "is an API of the issuer itself"},
		"algorithms empty":      {issuerSays("algorithms", []any{}), "issuers[0].algorithms want at least one"},
		"algorithm twice":       {issuerSays("algorithms", []any{"RS256", "RS256"}), `issuers[0].algorithms[1] "RS256" occurs twice`},
		"ES512":                 {issuerSays("algorithms", []any{"ES512"}), `issuers[0].algorithms[0] "ES512" is not one of RS256, PS256, ES256, ES384, EdDSA`},
		"Ed25519":               {issuerSays("algorithms", []any{"Ed25519"}), "is not one of"},
		"HS256":                 {issuerSays("algorithms", []any{"HS256"}), "is symmetric"},
		"hs512":                 {issuerSays("algorithms", []any{"hs512"}), "is symmetric"},
		"None":                  {issuerSays("algorithms", []any{"None"}), "is no signature"},
		"rs256":                 {issuerSays("algorithms", []any{"rs256"}), `"rs256" is not one of RS256, PS256`},
		"profile":               {issuerSays("profile", "okta"), `issuers[0].profile is "okta", want auth0 or rfc9068`},
		"pinned a string":       {issuerSays("pinned", "yes"), "issuers[0].pinned is a string, want a boolean"},
		"pinned without keys":   {issuerSays("pinned", true), "issuers[0].pinned wants a usable key in jwks"},
		"pinned with no key":    {all(issuerSays("pinned", true), issuerSays("jwks", seed())), "issuers[0].pinned wants a usable key in jwks"},
		"jwks a list":           {issuerSays("jwks", []any{}), "issuers[0].jwks is a list, want a JWKS"},
		"jwks without keys":     {issuerSays("jwks", jsonObject{}), "issuers[0].jwks parse jwks: keys is null, want a list"},
		"jwks with a weak key":  {issuerSays("jwks", seed(jwkOf("a", weak(), nil))), "keys[0]: RSA modulus of 1024 bits"},
		"a required claim":      {issuerSays("required_claims", []any{""}), "issuers[0].required_claims[0] is empty"},
		"an organization":       {issuerSays("organizations", []any{"o", "o"}), `issuers[0].organizations[1] "o" occurs twice`},
		"max_lifetime":          {issuerSays("max_lifetime", "-1h"), "issuers[0].max_lifetime is -1h0m0s, below 0s"},
		"soft of 0":             {issuerSays("jwks_soft", "0s"), "want 0s < jwks_soft <= jwks_hard"},
		"hard below soft":       {issuerSays("jwks_hard", "1m"), "jwks_soft is 10m0s and jwks_hard 1m0s"},
		"dpop":                  {issuerSays("sender_constraint", "dpop"), `issuers[0].sender_constraint "dpop" is not supported yet`},
		"mtls":                  {issuerSays("sender_constraint", "mtls"), "is not supported yet"},
		"sender_constraint off": {issuerSays("sender_constraint", "off"), `issuers[0].sender_constraint is "off", want none`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup()
			c.change(s)
			_, err := ParseConfig([]byte(marshal(s.document)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestParseConfigIsStrictJSON(t *testing.T) {
	good := marshal(stdDocument())
	for name, doc := range map[string]string{
		"nothing":         "",
		"a list":          "[]",
		"cut off":         good[:len(good)-1],
		"trailing data":   good + "{}",
		"a name twice":    `{"version":"v1",` + good[1:],
		"an inner twice":  strings.Replace(good, `"audiences"`, `"issuer":"https://x/","audiences"`, 1),
		"invalid UTF-8":   strings.Replace(good, "x-tenant", "x-\xff", 1),
		"a lone half":     strings.Replace(good, "x-tenant", `x-\ud800`, 1),
		"too deep":        strings.Replace(good, `"x-tenant"`, strings.Repeat("[", 20)+strings.Repeat("]", 20), 1),
		"a long number":   strings.Replace(good, `"x-tenant"`, strings.Repeat("1", 100), 1),
		"byte order mark": "\xef\xbb\xbf" + good,
	} {
		if c, err := ParseConfig([]byte(doc)); err == nil || c.Issuers != nil {
			t.Errorf("%s: taken", name)
		}
	}
	_, err := ParseConfig([]byte(`{"version":"v1","issuers":[{"issuer":"a","issuer":"b"}]}`))
	if err == nil || !strings.Contains(err.Error(), `"issuer" within "/issuers/0"`) {
		t.Errorf("the path is missing: %v", err)
	}
}

// TestParseConfigNamesEveryFaultOnce mixes faults of form and of content.
func TestParseConfigNamesEveryFaultOnce(t *testing.T) {
	_, err := ParseConfig([]byte(`{"version":1,"clock_skew":"1h","headers":["Cookie",2],"extra":true,"public_url":"x","issuers":[
		3,
		{"issuer":"https://a.example","audiences":"x","algorithms":["none"],"jwks_hard":"soon","pinned":true},
		{"issuer":4,"audiences":[]}]}`))
	want := []string{
		`parse auth0 configuration: version is a number, want a string`,
		`version is "", want "v1"`,
		`headers[1] is a number, want a string`,
		`public_url is not supported yet`,
		`issuers[0] is a number, want an object`,
		`issuers[1].audiences is a string, want a list of strings`,
		`issuers[1].jwks_hard is not a duration such as "5s" or "10m"`,
		`issuers[2].issuer is a number, want a string`,
		`extra is unknown`,
		`clock_skew is 1h0m0s, want 0s to 5m0s`,
		`headers[0] "Cookie" is not a header name in lower case`,
		`issuers[1].issuer "https://a.example" has no slash at the end: Auth0's iss is https://TENANT.REGION.auth0.com/ or https://CUSTOM.DOMAIN/`,
		`issuers[1].algorithms[0] "none" is no signature`,
		`issuers[1].pinned wants a usable key in jwks`,
		`issuers[2].audiences want at least one`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("%v\n\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestNewRefusesTheIncomplete(t *testing.T) {
	_, err := New(Config{Issuers: []Issuer{{}}}, Options{})
	if err == nil {
		t.Fatal("taken")
	}
	for _, path := range []string{".issuer ", ".audiences ", ".algorithms ", ".profile ", ".jwks_soft "} {
		if !strings.Contains(err.Error(), "issuers[0]"+path) {
			t.Errorf("%q is not named in %v", path, err)
		}
	}
	if _, err := New(Config{}, Options{}); err == nil {
		t.Error("no issuer, and taken")
	}
	_, err = New(Config{Issuers: []Issuer{{JWKS: []byte("{")}}}, Options{})
	if err == nil || !strings.Contains(err.Error(), "jwks parse jwks: not strict JSON") {
		t.Errorf("a broken JWKS: %v", err)
	}
}

func TestZeroVerifierRefuses(t *testing.T) {
	expects(t, &Verifier{}, newSetup().credentials(newSetup().token()), t0, CodeIssuerUnknown)
	if err := (&Verifier{}).Warm(t.Context(), t0); err != nil {
		t.Error(err)
	}
}

// TestKeyWithoutAlg is the rest of rule 11: type and curve together must leave one configured algorithm.
func TestKeyWithoutAlg(t *testing.T) {
	for _, c := range []struct {
		of         string
		algorithms []string
		want       string
	}{
		{"RS256", []string{"ES256", "RS256"}, ""},
		{"RS256", []string{"RS256", "PS256"}, "keys[0]: no alg, and 2 configured algorithms fit"},
		{"RS256", []string{"ES256"}, "keys[0]: no alg, and 0 configured algorithms fit"},
		{"PS256", []string{"PS256"}, ""},
		{"ES256", []string{"ES384", "ES256", "EdDSA"}, ""},
		{"ES384", signatureAlgorithms, ""},
		{"ES384", []string{"ES256"}, "keys[0]: no alg, and 0 configured algorithms fit"},
		{"EdDSA", signatureAlgorithms, ""},
		{"EdDSA", []string{"ES256"}, "keys[0]: no alg, and 0 configured algorithms fit"},
	} {
		doc := []byte(jwksOf(jwkOf("a", pairs[c.of]()[0], jsonObject{"alg": nil})))
		keys, err := parseKeys(doc, c.algorithms)
		if c.want == "" && (err != nil || keys["a"].alg != c.of) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v", c.algorithms, err)
		}
	}
}

// TestSmallOrder holds the list against its purpose: R the neutral point and s = 0 is a signature over some of any few
// messages under a key of small order, and over none under another.
func TestSmallOrder(t *testing.T) {
	forgeable := func(public ed25519.PublicKey) bool {
		forged := append([]byte{1}, make([]byte, 63)...)
		for n := range 256 {
			if ed25519.Verify(public, []byte{byte(n)}, forged) {
				return true
			}
		}
		return false
	}
	for _, y := range smallOrder {
		for _, sign := range []byte{0, 0x80} {
			public := ed25519.PublicKey(must(hex.DecodeString(y)))
			public[31] |= sign
			if !hasSmallOrder(public) {
				t.Errorf("%x: taken", public)
			}
			if sign == 0 && !forgeable(public) {
				t.Errorf("%x: on the list for nothing", public)
			}
		}
	}
	if public := newEd().Public().(ed25519.PublicKey); forgeable(public) || hasSmallOrder(public) {
		t.Errorf("%x: an ordinary key", public)
	}
}
