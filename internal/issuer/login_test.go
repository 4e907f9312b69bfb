package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/issuer"
)

// A verifier of RFC 7636 and its challenge.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	digest := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// asking is a good authorization request of the SPA; changes as in grant.
func asking(changes ...string) url.Values {
	query := url.Values{
		"client_id":             {issuer.SPAID},
		"response_type":         {"code"},
		"redirect_uri":          {spa},
		"scope":                 {"openid profile email offline_access read:orders"},
		"audience":              {issuer.Audience},
		"state":                 {"a state & more="},
		"nonce":                 {"n-1"},
		"code_challenge":        {challengeOf(verifier)},
		"code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			query.Del(changes[i])
		}
	}
	return query
}

// browser has the issuer's cookie, follows no redirect by itself and runs no script.
type browser struct {
	t      *testing.T
	issuer *issuer.Issuer
	cookie *http.Cookie
}

var stay = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	if b.cookie != nil {
		r.AddCookie(&http.Cookie{Name: b.cookie.Name, Value: b.cookie.Value})
	}
	response, err := stay.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	for _, c := range response.Cookies() {
		b.cookie = c
		if c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.issuer.URL()+strings.TrimPrefix(path, "/"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

func (b *browser) authorize(changes ...string) answer {
	b.t.Helper()
	return b.get("authorize?" + asking(changes...).Encode())
}

func (b *browser) post(path string, form url.Values, header ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.issuer.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.do(r)
}

var formID = regexp.MustCompile(`name="state" value="([^"]+)"`)

// page follows the redirect to the login page and gives it with its form's id.
func (b *browser) page(to answer) (answer, string) {
	b.t.Helper()
	location := to.header.Get("Location")
	if to.status != http.StatusFound || !strings.HasPrefix(location, "/u/login?state=") {
		b.t.Fatalf("status %d, location %q, want the login page: %s", to.status, location, to.body)
	}
	page := b.get(location)
	match := formID.FindStringSubmatch(page.body)
	if page.status != http.StatusOK || match == nil {
		b.t.Fatalf("login page: %d %s", page.status, page.body)
	}
	return page, html.UnescapeString(match[1])
}

// login does all of a login and gives the parameters that reach the application.
func (b *browser) login(person string, changes ...string) url.Values {
	b.t.Helper()
	_, id := b.page(b.authorize(changes...))
	return b.callback(b.post("u/login", url.Values{"state": {id}, "person": {person}}), http.StatusSeeOther)
}

func (b *browser) callback(got answer, status int) url.Values {
	b.t.Helper()
	base, query, _ := strings.Cut(got.header.Get("Location"), "?")
	if got.status != status || base != spa {
		b.t.Fatalf("status %d, location %q: %s", got.status, got.header.Get("Location"), got.body)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		b.t.Fatal(err)
	}
	return values
}

// redeeming is a good token request for a code.
func redeeming(code string, changes ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {issuer.SPAID}, "code": {code},
		"redirect_uri": {spa}, "code_verifier": {verifier},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

func refreshing(token string, changes ...string) url.Values {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {issuer.SPAID}, "refresh_token": {token}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

type tokens struct {
	Access           string  `json:"access_token"`
	ID               string  `json:"id_token"`
	Refresh          string  `json:"refresh_token"`
	Type             string  `json:"token_type"`
	Scope            string  `json:"scope"`
	ExpiresIn        float64 `json:"expires_in"`
	Error            string  `json:"error"`
	ErrorDescription string  `json:"error_description"`
	status           int
}

func redeem(t *testing.T, i *issuer.Issuer, form url.Values) tokens {
	t.Helper()
	got := do(t, newPost(t, i, formType, form.Encode()))
	answer := tokens{status: got.status}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
		t.Fatalf("status %d, body %q: %v", got.status, got.body, err)
	}
	if c := got.header.Get("Cache-Control"); got.status == http.StatusOK && c != "no-store" {
		t.Errorf("Cache-Control %q", c)
	}
	return answer
}

func (a tokens) refused(t *testing.T, status int, code, description string) {
	t.Helper()
	if a.status != status || a.Error != code || !strings.Contains(a.ErrorDescription, description) || a.Access != "" || a.Refresh != "" || a.ID != "" {
		t.Errorf("got %d %s %q, want %d %s with %q and no token", a.status, a.Error, a.ErrorDescription, status, code, description)
	}
}

func TestLogin(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	page, id := b.page(b.authorize())
	for _, want := range []string{"stand-in for Auth0’s Universal Login", "application <strong>spa</strong> at <strong>" + spa + "</strong>",
		`value="customer"`, `value="support"`, `value="admin"`, `value="suspended"`, `value="outsider"`,
		"auth0|cust · role customer · org_home", `<html lang="en">`, `name="viewport"`, `<label for="mfa">`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{`value="machine"`, "<script", "style=", "http-equiv"} {
		if strings.Contains(page.body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self' " + spa + "; base-uri 'none'; frame-ancestors 'none'",
		"X-Frame-Options":         "DENY", "Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
		"Content-Type": "text/html; charset=utf-8",
	} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if style := b.get("u/login.css"); style.status != 200 || style.header.Get("Content-Type") != "text/css; charset=utf-8" ||
		!strings.Contains(style.body, "prefers-color-scheme: dark") || !strings.Contains(style.body, ":focus-visible") {
		t.Errorf("style: %d %q", style.status, style.header.Get("Content-Type"))
	}

	done := b.post("u/login", url.Values{"state": {id}, "person": {"customer"}, "mfa": {"on"}}, "Origin", strings.TrimSuffix(i.URL(), "/"))
	answer := b.callback(done, http.StatusSeeOther)
	if len(answer) != 2 || answer.Get("state") != "a state & more=" || len(answer.Get("code")) < 26 {
		t.Errorf("the application gets %v", answer)
	}
	if done.header.Get("Cache-Control") != "no-store" || done.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", done.header)
	}
	if c := b.cookie; c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie %+v", b.cookie)
	}

	got := redeem(t, i, redeeming(answer.Get("code")))
	if got.status != 200 || got.Type != "Bearer" || got.ExpiresIn != 86400 || got.Scope != "openid profile email offline_access" {
		t.Fatalf("%+v", got)
	}
	type shape struct {
		Access map[string]any `json:"access token"`
		ID     map[string]any `json:"ID token"`
	}
	s := shape{verified(t, i, got.Access), verified(t, i, got.ID)}
	for _, claims := range []map[string]any{s.Access, s.ID} {
		if claims["iat"] != float64(now.Unix()) {
			t.Errorf("iat %v", claims["iat"])
		}
		claims["exp"] = claims["exp"].(float64) - claims["iat"].(float64)
		delete(claims, "iat")
	}
	if s.ID["auth_time"] != float64(now.Unix()) {
		t.Errorf("auth_time %v", s.ID["auth_time"])
	}
	delete(s.ID, "auth_time")
	golden(t, "login.json", []byte(strings.ReplaceAll(string(indent(t, s)), i.URL(), "http://ISSUER/")))

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL()+"userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+got.Access)
	info := do(t, r)
	want := `{"email":"customer@example.com","email_verified":true,"name":"Customer","nickname":"customer","org_id":"org_home","sub":"auth0|cust"}`
	if info.status != 200 || strings.TrimSpace(info.body) != want {
		t.Errorf("userinfo: %d %s", info.status, info.body)
	}
}

// Everybody but the machine can log in, and their tokens say what Mint says of them.
func TestEverybodyLogsIn(t *testing.T) {
	i := run(t)
	for _, p := range issuer.People() {
		b := &browser{t: t, issuer: i}
		if p.Name == "machine" {
			_, id := b.page(b.authorize())
			if got := b.post("u/login", url.Values{"state": {id}, "person": {p.Name}}); got.status != 400 || got.header.Get("Location") != "" {
				t.Errorf("machine: %d", got.status)
			}
			continue
		}
		got := redeem(t, i, redeeming(b.login(p.Name, "scope", "openid").Get("code")))
		want, err := issuer.Mint(key(t), i.URL(), p.Claims(issuer.Audience, now))
		if err != nil {
			t.Fatal(err)
		}
		if got.Access != want || got.Refresh != "" {
			t.Errorf("%s: another token than Mint's, or a refresh token that nobody asked for", p.Name)
		}
	}
}

func TestScopesOfALogin(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	got := redeem(t, i, redeeming(b.login("admin", "scope", "phone admin:users").Get("code")))
	if claims := verified(t, i, got.Access); got.ID != "" || got.Scope != "" || claims["scope"] != nil || claims["aud"] != issuer.Audience {
		t.Errorf("%+v: %v", got, claims)
	}
	got = redeem(t, i, redeeming(b.callback(b.authorize("audience", "", "nonce", ""), http.StatusFound).Get("code")))
	if claims := verified(t, i, got.Access); claims["aud"] != i.URL()+"userinfo" {
		t.Errorf("without an audience: aud %v", claims["aud"])
	}
	if claims := verified(t, i, got.ID); claims["nonce"] != nil || claims["amr"] != nil {
		t.Errorf("ID token %v", claims)
	}
}

// What the application may hear of goes there, with its state; what comes before that is known does not.
func TestAuthorizeRefused(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	for name, c := range map[string]struct {
		changes     []string
		code        string
		description string
	}{
		"no PKCE":                 {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request", "PKCE"},
		"no challenge":            {[]string{"code_challenge", ""}, "invalid_request", "PKCE"},
		"no method":               {[]string{"code_challenge_method", ""}, "invalid_request", "PKCE"},
		"plain":                   {[]string{"code_challenge_method", "plain"}, "invalid_request", "PKCE"},
		"unknown method":          {[]string{"code_challenge_method", "S512"}, "invalid_request", "code_challenge_method"},
		"short challenge":         {[]string{"code_challenge", "abc"}, "invalid_request", "PKCE"},
		"challenge in characters": {[]string{"code_challenge", strings.Repeat("!", 43)}, "invalid_request", "PKCE"},
		"another audience":        {[]string{"audience", "https://other.example"}, "access_denied", "Service not found: https://other.example"},
		"another organization":    {[]string{"organization", "org_none"}, "invalid_request", "organization"},
		"no response type":        {[]string{"response_type", ""}, "invalid_request", "response type"},
		"no scope":                {[]string{"scope", ""}, "invalid_request", "scope"},
		"none and login":          {[]string{"prompt", "none login"}, "invalid_request", "prompt"},
		"form_post":               {[]string{"response_mode", "form_post"}, "invalid_request", "response_mode"},
		"request object":          {[]string{"request", "x.y.z"}, "request_not_supported", ""},
		"request by address":      {[]string{"request_uri", "https://x.example/"}, "request_not_supported", ""},
		"no session":              {[]string{"prompt", "none"}, "login_required", "Login required"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &browser{t: t, issuer: i}
			got := b.callback(b.authorize(c.changes...), http.StatusFound)
			if got.Get("error") != c.code || !strings.Contains(got.Get("error_description"), c.description) || got.Get("state") != "a state & more=" || got.Has("code") {
				t.Errorf("got %v, want %s with %q", got, c.code, c.description)
			}
		})
	}
	for name, query := range map[string]string{
		"unknown client":    asking("client_id", "other").Encode(),
		"the machine":       asking("client_id", issuer.MachineID).Encode(),
		"no client":         asking("client_id", "").Encode(),
		"no redirect URI":   asking("redirect_uri", "").Encode(),
		"foreign":           asking("redirect_uri", "https://evil.example/").Encode(),
		"foreign port":      asking("redirect_uri", "http://127.0.0.1:8791").Encode(),
		"longer":            asking("redirect_uri", spa+"/callback/x").Encode(),
		"with a query":      asking("redirect_uri", spa+"/?a=b").Encode(),
		"with a fragment":   asking("redirect_uri", spa+"/#a").Encode(),
		"user in front":     asking("redirect_uri", "http://127.0.0.1:8790@evil.example/").Encode(),
		"dots":              asking("redirect_uri", spa+"/callback/../x").Encode(),
		"other case":        asking("redirect_uri", strings.ToUpper(spa)).Encode(),
		"https":             asking("redirect_uri", "https://127.0.0.1:8790").Encode(),
		"two redirect URIs": asking().Encode() + "&redirect_uri=https%3A%2F%2Fevil.example",
		"two states":        asking().Encode() + "&state=x",
		"two clients":       "client_id=spa&" + asking().Encode(),
		"a bad escape":      asking().Encode() + "&x=%zz",
		"max_age in words":  asking("max_age", "old").Encode(),
		"web message away":  asking("redirect_uri", "https://evil.example", "response_mode", "web_message").Encode(),
	} {
		t.Run(name, func(t *testing.T) {
			got := b.get("authorize?" + query)
			if got.status != http.StatusBadRequest || got.header.Get("Location") != "" || strings.Contains(got.body, "<script") {
				t.Errorf("status %d, location %q: %s", got.status, got.header.Get("Location"), got.body)
			}
		})
	}
	// What asks for a token by redirect is answered in the fragment (OAuth 2.0 Multiple Response Type Encoding section 2.1).
	if got := b.authorize("response_type", "id_token token"); !strings.HasPrefix(got.header.Get("Location"), spa+"#error=unauthorized_client&") {
		t.Errorf("the implicit flow: %d %q", got.status, got.header.Get("Location"))
	}
	big := asking("scope", strings.Repeat("x ", 40_000))
	if got := b.post("authorize", big); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
		t.Errorf("an oversized request: %d", got.status)
	}
	if got := b.post("authorize", asking()); got.status != http.StatusFound || !strings.HasPrefix(got.header.Get("Location"), "/u/login?") {
		t.Errorf("by POST: %d %s", got.status, got.body) // OpenID Connect Core section 3.1.2.1
	}
}

func TestStateIsHandedBackAsItCame(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	if got := b.login("customer", "state", ""); got.Has("state") {
		t.Errorf("a state out of nothing: %v", got)
	}
	for _, state := range []string{"ü</script><!--", "a=b&code=x", "%00", " "} {
		if got := b.callback(b.authorize("state", state), http.StatusFound); got.Get("state") != state || len(got["code"]) != 1 {
			t.Errorf("%q comes back as %v", state, got)
		}
	}
}

func TestLoginFormRefused(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	_, id := b.page(b.authorize())
	good := func() url.Values { return url.Values{"state": {id}, "person": {"customer"}} }
	with := func(name, value string) url.Values { f := good(); f.Set(name, value); return f }
	twice := good()
	twice.Add("person", "admin")
	for name, c := range map[string]struct {
		form   url.Values
		header []string
		status int
	}{
		"another site":        {good(), []string{"Origin", "https://evil.example"}, 403},
		"another port":        {good(), []string{"Origin", spa}, 403},
		"an opaque origin":    {good(), []string{"Origin", "null"}, 403},
		"another name for us": {good(), []string{"Host", "evil.example"}, 403},
		"a guessed request":   {with("state", "AAAAAAAAAAAAAAAAAAAAAAAAAA"), nil, 400},
		"no request":          {with("state", ""), nil, 400},
		"nobody":              {with("person", ""), nil, 400},
		"a stranger":          {with("person", "root"), nil, 400},
		"a machine":           {with("person", "machine"), nil, 400},
		"two people":          {twice, nil, 400},
		"oversized":           {with("x", strings.Repeat("x", 70_000)), nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			b := &browser{t: t, issuer: i}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.URL()+"u/login", strings.NewReader(c.form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", formType)
			if len(c.header) > 0 {
				r.Header.Set(c.header[0], c.header[1])
				if c.header[0] == "Host" {
					r.Host = c.header[1]
				}
			}
			if got := b.do(r); got.status != c.status || got.header.Get("Location") != "" || b.cookie != nil {
				t.Errorf("status %d, want %d, location %q, cookie %v", got.status, c.status, got.header.Get("Location"), b.cookie)
			}
		})
	}
	// By its address alone the form cannot be answered: parameters of a POST count in its body.
	if got := b.post("u/login?"+good().Encode(), nil); got.status != 400 || b.cookie != nil {
		t.Errorf("parameters in the address: %d", got.status)
	}
	// None of it has used the request up; answering it does.
	b.callback(b.post("u/login", good()), http.StatusSeeOther)
	before := b.cookie.Value
	if got := b.post("u/login", good()); got.status != 400 || !strings.Contains(got.body, "This login is over") || b.cookie.Value != before {
		t.Errorf("a second time: %d %s", got.status, got.body)
	}
	if got := b.get("u/login?state=" + id); got.status != 400 || !strings.Contains(got.body, "This login is over") || strings.Contains(got.body, "<form") {
		t.Errorf("the page a second time: %d %s", got.status, got.body)
	}
	if got := b.get("u/login"); got.status != 400 {
		t.Errorf("the page without a request: %d", got.status)
	}
}

func TestCodeRefused(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	b.login("customer")
	fresh := func() string { return b.callback(b.authorize(), http.StatusFound).Get("code") }
	for name, c := range map[string]struct {
		changes     []string
		description string
	}{
		"wrong verifier":         {[]string{"code_verifier", strings.Repeat("x", 43)}, "code verifier"},
		"no verifier":            {[]string{"code_verifier", ""}, "code verifier"},
		"challenge for verifier": {[]string{"code_verifier", challengeOf(verifier)}, "code verifier"},
		"another redirect URI":   {[]string{"redirect_uri", spa + "/"}, "redirect URI"},
		"foreign redirect URI":   {[]string{"redirect_uri", "https://evil.example"}, "redirect URI"},
	} {
		t.Run(name, func(t *testing.T) {
			code := fresh()
			redeem(t, i, redeeming(code, c.changes...)).refused(t, 403, "invalid_grant", c.description)
			redeem(t, i, redeeming(code)).refused(t, 403, "invalid_grant", "Invalid authorization code") // one attempt
		})
	}
	for _, weak := range []string{"", strings.Repeat("x", 42)} {
		code := b.callback(b.authorize("code_challenge", challengeOf(weak)), http.StatusFound).Get("code")
		redeem(t, i, redeeming(code, "code_verifier", weak)).refused(t, 403, "invalid_grant", "code verifier")
	}
	redeem(t, i, redeeming("guessed")).refused(t, 403, "invalid_grant", "Invalid authorization code")
	redeem(t, i, redeeming("")).refused(t, 400, "invalid_request", "code missing")
	redeem(t, i, redeeming(fresh(), "redirect_uri", "")).refused(t, 400, "invalid_request", "redirect_uri missing")
	redeem(t, i, redeeming(fresh(), "client_id", "other")).refused(t, 401, "access_denied", "Unauthorized")
	redeem(t, i, redeeming(fresh(), "client_secret", "x")).refused(t, 401, "access_denied", "Unauthorized")
	redeem(t, i, redeeming(fresh(), "client_id", issuer.MachineID, "client_secret", issuer.MachineSecret)).refused(t, 400, "unauthorized_client", "authorization_code")
	redeem(t, i, redeeming(fresh(), "grant_type", "client_credentials")).refused(t, 400, "unauthorized_client", "client_credentials")

	code := fresh()
	first := redeem(t, i, redeeming(code))
	redeem(t, i, redeeming(code)).refused(t, 403, "invalid_grant", "Invalid authorization code")
	redeem(t, i, refreshing(first.Refresh)).refused(t, 403, "invalid_grant", "invalid refresh token") // RFC 6749 section 4.1.2
}

func TestCodeIsGoodForAMinute(t *testing.T) {
	clock := now
	i := runWith(t, config(), func() time.Time { return clock })
	b := &browser{t: t, issuer: i}
	code := b.login("customer").Get("code")
	clock = clock.Add(time.Minute)
	redeem(t, i, redeeming(code)).refused(t, 403, "invalid_grant", "Invalid authorization code")

	_, id := b.page(b.authorize("prompt", "login"))
	clock = clock.Add(10 * time.Minute)
	if got := b.post("u/login", url.Values{"state": {id}, "person": {"customer"}}); got.status != 400 {
		t.Errorf("a login form of ten minutes ago: %d", got.status)
	}
}

func TestRefreshTokenRotates(t *testing.T) {
	clock := now
	i := runWith(t, config(), func() time.Time { return clock })
	b := &browser{t: t, issuer: i}
	first := redeem(t, i, redeeming(b.login("support").Get("code")))
	clock = clock.Add(time.Hour)
	second := redeem(t, i, refreshing(first.Refresh))
	if second.status != 200 || second.Refresh == "" || second.Refresh == first.Refresh || second.Scope != first.Scope {
		t.Fatalf("%+v", second)
	}
	id := verified(t, i, second.ID)
	if id["nonce"] != nil || id["auth_time"] != float64(now.Unix()) || id["iat"] != float64(clock.Unix()) || id["sub"] != "auth0|supp" {
		t.Errorf("ID token %v", id)
	}
	third := redeem(t, i, refreshing(second.Refresh, "scope", "openid admin:users"))
	if access := verified(t, i, third.Access); third.Scope != "openid" || access["scope"] != "openid" {
		t.Errorf("narrowed to openid: %+v", third)
	}
	fourth := redeem(t, i, refreshing(third.Refresh))
	if fourth.Scope != first.Scope { // narrowing is for one token (RFC 6749 section 6)
		t.Errorf("scope %q after one narrower token, want %q", fourth.Scope, first.Scope)
	}

	other := redeem(t, i, redeeming(b.callback(b.authorize(), http.StatusFound).Get("code")))
	redeem(t, i, refreshing(second.Refresh)).refused(t, 403, "invalid_grant", "Unknown or invalid refresh token.")
	redeem(t, i, refreshing(fourth.Refresh)).refused(t, 403, "invalid_grant", "invalid refresh token") // the whole family
	if got := redeem(t, i, refreshing(other.Refresh)); got.status != 200 {
		t.Errorf("another family: %+v", got)
	}

	redeem(t, i, refreshing("guessed.token")).refused(t, 403, "invalid_grant", "invalid refresh token")
	redeem(t, i, refreshing("")).refused(t, 400, "invalid_request", "refresh_token missing")
	redeem(t, i, refreshing(other.Refresh, "client_id", issuer.MachineID, "client_secret", issuer.MachineSecret)).refused(t, 400, "unauthorized_client", "refresh_token")
	clock = clock.Add(30 * 24 * time.Hour)
	late := redeem(t, i, refreshing(other.Refresh))
	late.refused(t, 403, "invalid_grant", "invalid refresh token")
}

var posted = regexp.MustCompile(`<script nonce="([^"]+)">\(window\.opener \|\| window\.parent\)\.postMessage\(\{type: "authorization_response", response: (\{.*\})\}, ("[^"]*")\)</script>`)

// message reads the page that hands an answer on by postMessage.
func message(t *testing.T, got answer) map[string]string {
	t.Helper()
	match := posted.FindStringSubmatch(got.body)
	if got.status != http.StatusOK || match == nil || got.header.Get("Location") != "" {
		t.Fatalf("status %d, location %q: %s", got.status, got.header.Get("Location"), got.body)
	}
	var target string
	if err := json.Unmarshal([]byte(match[3]), &target); err != nil || target != spa {
		t.Errorf("posted to %s, %v", match[3], err)
	}
	if csp := got.header.Get("Content-Security-Policy"); csp != "default-src 'none'; script-src 'nonce-"+match[1]+
		"'; base-uri 'none'; form-action 'none'; frame-ancestors "+spa {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("headers %v", got.header)
	}
	var response map[string]string
	if err := json.Unmarshal([]byte(match[2]), &response); err != nil {
		t.Fatal(err)
	}
	return response
}

func TestSilentAuthentication(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	silent := []string{"prompt", "none", "response_mode", "web_message", "state", "</script><script>alert(1)</script>"}
	got := message(t, b.authorize(silent...))
	if len(got) != 3 || got["error"] != "login_required" || got["error_description"] != "Login required" || got["state"] != silent[5] {
		t.Errorf("without a session: %v", got)
	}
	b.login("customer")
	got = message(t, b.authorize(silent...))
	if len(got) != 2 || got["state"] != silent[5] {
		t.Errorf("with a session: %v", got)
	}
	if answer := redeem(t, i, redeeming(got["code"])); answer.status != 200 {
		t.Errorf("%+v", answer)
	}
	// What the library refuses reaches the frame as well, and not only what we do.
	if got := message(t, b.authorize(append(silent, "prompt", "none login")...)); got["error"] != "invalid_request" || got["state"] != silent[5] {
		t.Errorf("a bad request: %v", got)
	}
	if got := message(t, b.authorize(append(silent, "code_challenge", "")...)); got["error"] != "invalid_request" {
		t.Errorf("without PKCE: %v", got)
	}
	// A popup has a login page, and hears of the code in the same way.
	_, id := b.page(b.authorize("response_mode", "web_message", "prompt", "login"))
	if got := message(t, b.post("u/login", url.Values{"state": {id}, "person": {"admin"}})); got["code"] == "" {
		t.Errorf("a popup: %v", got)
	}
	b.cookie.Value = "guessed"
	if got := message(t, b.authorize(silent...)); got["error"] != "login_required" {
		t.Errorf("with a made-up cookie: %v", got)
	}
}

func TestWhenALoginIsAskedForAgain(t *testing.T) {
	clock := now
	i := runWith(t, config(), func() time.Time { return clock })
	b := &browser{t: t, issuer: i}
	b.login("customer")
	clock = clock.Add(time.Minute)
	for name, c := range map[string]struct {
		changes []string
		again   bool
	}{
		"nothing said":           {nil, false},
		"young enough":           {[]string{"max_age", "61"}, false},
		"too old":                {[]string{"max_age", "60"}, true},
		"no age":                 {[]string{"max_age", "0"}, true},
		"login":                  {[]string{"prompt", "login"}, true},
		"another account":        {[]string{"prompt", "select_account"}, true},
		"consent":                {[]string{"prompt", "consent"}, false},
		"its organization":       {[]string{"organization", "org_home"}, false},
		"another organization":   {[]string{"organization", "org_other"}, true},
		"a second factor":        {[]string{"acr_values", "http://schemas.openid.net/pape/policies/2007/06/multi-factor"}, true},
		"something else for acr": {[]string{"acr_values", "silver"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &browser{t: t, issuer: i, cookie: b.cookie}
			got := b.authorize(c.changes...).header.Get("Location")
			if again := strings.HasPrefix(got, "/u/login?"); again != c.again || !again && !strings.Contains(got, "?code=") {
				t.Errorf("leads to %q", got)
			}
			silently := b.callback(b.authorize(append(slices.Clone(c.changes), "prompt", "none")...), http.StatusFound)
			// prompt=none takes the place of another prompt here.
			if !slices.Contains(c.changes, "prompt") && (silently.Get("error") == "login_required") != c.again {
				t.Errorf("silently: %v", silently)
			}
		})
	}
	clock = clock.Add(24 * time.Hour)
	if got := b.authorize(); !strings.HasPrefix(got.header.Get("Location"), "/u/login?") {
		t.Errorf("a day later: %q", got.header.Get("Location"))
	}
}

func TestOrganizationAndSecondFactor(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	page, id := b.page(b.authorize("organization", "org_other", "acr_values", "http://schemas.openid.net/pape/policies/2007/06/multi-factor"))
	if strings.Contains(page.body, `value="customer"`) || !strings.Contains(page.body, `value="outsider"`) || !strings.Contains(page.body, " required ") {
		t.Errorf("the page offers others than the organization's: %s", page.body)
	}
	for name, form := range map[string]url.Values{
		"not a member": {"state": {id}, "person": {"customer"}, "mfa": {"on"}},
		"one factor":   {"state": {id}, "person": {"outsider"}},
	} {
		if got := b.post("u/login", form); got.status != 400 || b.cookie != nil {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	answer := b.callback(b.post("u/login", url.Values{"state": {id}, "person": {"outsider"}, "mfa": {"on"}}), http.StatusSeeOther)
	got := redeem(t, i, redeeming(answer.Get("code")))
	for _, token := range []string{got.Access, got.ID} {
		claims := verified(t, i, token)
		if amr, _ := claims["amr"].([]any); claims["org_id"] != "org_other" || len(amr) != 1 || amr[0] != "mfa" {
			t.Errorf("claims %v", claims)
		}
	}
}

// Another login of the same browser ends the one before.
func TestOneSessionABrowser(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	b.login("customer")
	old := *b.cookie
	b.login("admin", "prompt", "login")
	if old.Value == b.cookie.Value {
		t.Error("the session's name stays the same over a login")
	}
	if got := verified(t, i, redeem(t, i, redeeming(b.callback(b.authorize(), 302).Get("code"))).Access); got["sub"] != "auth0|adm" {
		t.Errorf("sub %v", got["sub"])
	}
	before := &browser{t: t, issuer: i, cookie: &old}
	if got := before.callback(before.authorize("prompt", "none"), 302); got.Get("error") != "login_required" {
		t.Errorf("the session of before: %v", got)
	}
}

func TestLogout(t *testing.T) {
	i := run(t)
	login := func(t *testing.T) (*browser, tokens) {
		b := &browser{t: t, issuer: i}
		return b, redeem(t, i, redeeming(b.login("customer").Get("code")))
	}
	_, hinted := login(t)
	for name, c := range map[string]struct {
		path, location string
	}{
		"to the application":          {"v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa), spa},
		"to its root":                 {"v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spaByName+"/"), spaByName + "/"},
		"to its first":                {"v2/logout?client_id=spa", spa},
		"by the standard":             {"oidc/logout?client_id=spa&state=a%26b&post_logout_redirect_uri=" + url.QueryEscape(spa), spa + "?state=a%26b"},
		"by ID token":                 {"oidc/logout?id_token_hint=" + hinted.ID + "&post_logout_redirect_uri=" + url.QueryEscape(spa), spa},
		"by both":                     {"oidc/logout?client_id=spa&id_token_hint=" + hinted.ID, spa},
		"by the standard, to nowhere": {"oidc/logout", "/v2/logout"},
	} {
		t.Run(name, func(t *testing.T) {
			b, was := login(t)
			stolen := *b.cookie
			if got := b.get(c.path); got.status != http.StatusFound || got.header.Get("Location") != c.location || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d to %q: %s", got.status, got.header.Get("Location"), got.body)
			}
			if b.cookie != nil {
				t.Error("the cookie is still there")
			}
			b.cookie = &stolen
			if got := b.callback(b.authorize("prompt", "none"), 302); got.Get("error") != "login_required" {
				t.Errorf("the session is still good: %v", got)
			}
			if got := redeem(t, i, refreshing(was.Refresh)); got.status != 200 {
				t.Errorf("the refresh token is gone with the session: %+v", got) // Auth0 keeps it
			}
		})
	}
	b, was := login(t)
	for name, path := range map[string]string{
		"foreign":         "v2/logout?client_id=spa&returnTo=https%3A%2F%2Fevil.example",
		"no scheme":       "v2/logout?client_id=spa&returnTo=%2F%2Fevil.example",
		"a script":        "v2/logout?client_id=spa&returnTo=javascript%3Aalert(1)",
		"user in front":   "v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa+"@evil.example"),
		"longer host":     "v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa+".evil.example"),
		"a path":          "v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa+"/callback"),
		"a query":         "v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa+"/?next=https://evil.example"),
		"a backslash":     "v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa+`\evil.example`),
		"no client":       "v2/logout?returnTo=" + url.QueryEscape(spa),
		"unknown client":  "v2/logout?client_id=other&returnTo=" + url.QueryEscape(spa),
		"the machine":     "v2/logout?client_id=robot",
		"twice":           "v2/logout?client_id=spa&returnTo=" + url.QueryEscape(spa) + "&returnTo=https%3A%2F%2Fevil.example",
		"a bad escape":    "v2/logout?client_id=spa&x=%zz",
		"standard":        "oidc/logout?client_id=spa&post_logout_redirect_uri=https%3A%2F%2Fevil.example",
		"access token":    "oidc/logout?id_token_hint=" + was.Access,
		"a forged hint":   "oidc/logout?id_token_hint=" + was.ID + "x",
		"no token":        "oidc/logout?id_token_hint=x",
		"another's token": "oidc/logout?client_id=robot&id_token_hint=" + was.ID,
	} {
		t.Run(name, func(t *testing.T) {
			before := b.cookie
			b := &browser{t: t, issuer: i, cookie: before}
			if got := b.get(path); got.status != http.StatusBadRequest || got.header.Get("Location") != "" || strings.Contains(got.body, "evil") {
				t.Errorf("%d to %q: %s", got.status, got.header.Get("Location"), got.body)
			}
			if b.cookie != before {
				t.Error("refused, and yet the cookie is gone")
			}
		})
	}
	if got := b.callback(b.authorize("prompt", "none"), 302); got.Get("code") == "" {
		t.Errorf("after the refusals: %v", got)
	}
	if got := b.get("v2/logout"); got.status != 200 || got.body != "OK\n" || b.cookie != nil {
		t.Errorf("without a client: %d %q", got.status, got.body)
	}
}

func TestUserInfoRefused(t *testing.T) {
	i := run(t)
	b := &browser{t: t, issuer: i}
	got := redeem(t, i, redeeming(b.login("customer").Get("code")))
	mint := func(url, audience string, at time.Time, scopes ...string) string {
		token, err := issuer.Mint(key(t), url, issuer.Claims{Subject: "auth0|x", Audience: audience, Scopes: scopes, IssuedAt: at, ExpiresAt: at.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ask := func(token string) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL()+"userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return do(t, r)
	}
	for name, token := range map[string]string{
		"an ID token":     got.ID,
		"a forged one":    got.Access[:len(got.Access)-8] + "AAAAAAAA",
		"no token":        "x",
		"for the API":     mint(i.URL(), issuer.Audience, now, "read:orders"),
		"without openid":  mint(i.URL(), i.URL()+"userinfo", now, "profile"),
		"of another":      mint("http://127.0.0.1:1/", i.URL()+"userinfo", now, "openid"),
		"expired":         mint(i.URL(), issuer.Audience, now.Add(-2*time.Hour), "openid"),
		"a refresh token": got.Refresh,
	} {
		if got := ask(token); got.status != 401 || strings.Contains(got.body, "sub") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := ask(mint(i.URL(), issuer.Audience, now, "openid", "profile")); got.status != 200 || strings.TrimSpace(got.body) != `{"sub":"auth0|x"}` {
		t.Errorf("a stranger: %d %s", got.status, got.body)
	}
	if got := get(t, i.URL()+"userinfo"); got.status != 401 {
		t.Errorf("without a token: %d %s", got.status, got.body)
	}
}

// The endpoints that a page calls can be read from the SPA's own origins, and from no other.
func TestOrigins(t *testing.T) {
	i := run(t)
	ask := func(method, path, origin string) answer {
		r, err := http.NewRequestWithContext(t.Context(), method, i.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		return do(t, r)
	}
	for _, path := range []string{"oauth/token", "userinfo", ".well-known/jwks.json", ".well-known/openid-configuration"} {
		for _, origin := range []string{spa, spaByName} {
			got := ask(http.MethodOptions, path, origin)
			if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != origin || got.header.Get("Vary") != "Origin" ||
				!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Auth0-Client") || got.header.Get("Access-Control-Allow-Methods") != "GET, POST" {
				t.Errorf("preflight of %s from %s: %d %v", path, origin, got.status, got.header)
			}
			if got := ask(http.MethodGet, path, origin); got.header.Get("Access-Control-Allow-Origin") != origin {
				t.Errorf("%s from %s: %v", path, origin, got.header)
			}
		}
		for _, origin := range []string{"https://evil.example", "http://127.0.0.1:8791", "https://127.0.0.1:8790", spa + "/", spa + ".evil.example", "null", strings.ToUpper(spa)} {
			if got := ask(http.MethodOptions, path, origin); got.status != 403 || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("preflight of %s from %s: %d %v", path, origin, got.status, got.header)
			}
			if got := ask(http.MethodGet, path, origin); got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
				t.Errorf("%s from %s: %v", path, origin, got.header)
			}
		}
	}
	for _, path := range []string{"authorize?" + asking().Encode(), "u/login", "v2/logout"} {
		got := ask(http.MethodGet, path, spa)
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s is readable by a script: %s", path, name)
			}
		}
	}
	if got := ask(http.MethodGet, "oauth/token", spa).header.Get("Access-Control-Allow-Credentials"); got != "" {
		t.Errorf("credentials are allowed: %q", got)
	}
}
