package issuer

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	// webMessage is the response mode of a hidden iframe or a popup: the answer goes to the page that opened it by
	// postMessage (draft-sakimura-oauth-wmrm; Auth0: "Configure Silent Authentication").
	webMessage = "web_message"
	// multiFactor in acr_values asks for a second factor (Auth0: "Step-up Authentication for Web Apps").
	multiFactor   = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
	sessionCookie = "auth0"
)

// loginScopes are what an application may ask of a person. What the person may do at the API comes from roles; asking
// for a scope of the API gives nothing, as at Auth0 where role-based access control is on and the person lacks it.
var loginScopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess}

// reply is where an authorization request's answer goes, and how.
type reply struct {
	redirectURI string // registered
	message     bool   // by postMessage, else by redirect
	state       string // the application's, handed back as it came; "" for none
}

// location is the redirect URI with an answer's parameters. A registered redirect URI has no query of its own.
func (to reply) location(parameters url.Values) string {
	if to.state != "" {
		parameters.Set("state", to.state)
	}
	return to.redirectURI + "?" + parameters.Encode()
}

// authorize has the library answer an authorization request. Where the request wants a web message, the redirect to the
// application, and no other answer, becomes one.
func authorize(w http.ResponseWriter, r *http.Request, library http.Handler) {
	if !parseOnce(w, r) {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if r.Form.Get("response_mode") != webMessage {
		library.ServeHTTP(w, r)
		return
	}
	caught := &redirectCatcher{ResponseWriter: w, prefix: r.Form.Get("redirect_uri") + "?"}
	library.ServeHTTP(caught, r)
	if caught.location != "" {
		postMessage(w, caught.location)
	}
}

// redirectCatcher keeps back a redirect to where prefix leads, and lets everything else pass.
type redirectCatcher struct {
	http.ResponseWriter
	prefix   string
	location string
}

func (c *redirectCatcher) WriteHeader(status int) {
	if location := c.Header().Get("Location"); status == http.StatusFound && strings.HasPrefix(location, c.prefix) {
		c.location = location
		c.Header().Del("Location")
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *redirectCatcher) Write(b []byte) (int, error) {
	if c.location != "" {
		return len(b), nil
	}
	return c.ResponseWriter.Write(b)
}

// VerifyAuthRequest finds the client. What it refuses is shown here: there is no application yet to send anybody back to.
func (p *provider) VerifyAuthRequest(_ context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	if r.Data.ClientID != p.spa.id {
		return nil, oidc.ErrUnauthorizedClient().WithDescription("Unknown client: %s", r.Data.ClientID)
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: p.spa}, nil
}

// Authorize answers with a code where there is a session that will do, else with the login page, or with login_required
// where none may be shown (OpenID Connect Core sections 3.1.2.1 and 3.1.2.3). The library has checked that the redirect
// URI is registered, and sends there what is refused here.
func (p *provider) Authorize(_ context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	asked := r.Data
	wanted := pending{
		reply:     reply{redirectURI: asked.RedirectURI, message: asked.ResponseMode == webMessage, state: asked.State},
		challenge: asked.CodeChallenge,
		nonce:     asked.Nonce,
		grant: grant{
			client:   r.Client.GetID(),
			audience: r.Form.Get("audience"),
			scopes:   slices.DeleteFunc(slices.Clone(asked.Scopes), func(s string) bool { return !slices.Contains(loginScopes, s) }),
		},
		wantMFA: slices.Contains(asked.ACRValues, multiFactor),
		org:     r.Form.Get("organization"),
	}
	digest, err := base64.RawURLEncoding.DecodeString(asked.CodeChallenge)
	isMember := func(person Person) bool { return person.Organization == wanted.org }
	switch {
	case asked.RequestParam != "" || r.Form.Get("request_uri") != "":
		return nil, oidc.ErrRequestNotSupported()
	case asked.ResponseMode != "" && asked.ResponseMode != oidc.ResponseModeQuery && asked.ResponseMode != webMessage:
		return nil, oidc.ErrInvalidRequest().WithDescription("response_mode: want query or web_message")
	case asked.CodeChallengeMethod != oidc.CodeChallengeMethodS256 || err != nil || len(digest) != 32:
		// RFC 9700 section 2.1.1: a public client must use PKCE, and S256 is what it must use.
		return nil, oidc.ErrInvalidRequest().WithDescription("code_challenge: want PKCE with the method S256")
	case wanted.grant.audience == "":
		wanted.grant.audience = p.userinfo() // at Auth0 a token that no API takes
	case wanted.grant.audience != p.audience:
		return nil, oidc.ErrAccessDenied().WithDescription("Service not found: %s", wanted.grant.audience)
	}
	if wanted.org != "" && !slices.ContainsFunc(People(), isMember) {
		return nil, oidc.ErrInvalidRequest().WithDescription("organization: no such organization")
	}

	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	now := p.now()
	if session, ok := p.memory.sessions.get(now, cookie(r.Header)); ok && p.suffices(session, wanted, asked, now) {
		return op.NewRedirect(p.finish(wanted, session, now)), nil
	}
	if slices.Contains(asked.Prompt, oidc.PromptNone) {
		return op.NewRedirect(wanted.reply.location(url.Values{"error": {"login_required"}, "error_description": {"Login required"}})), nil
	}
	return op.NewRedirect(loginPath + "?" + url.Values{"state": {p.memory.pending.put(now, wanted)}}.Encode()), nil
}

// suffices tells whether a session answers a request without another login. The library has turned prompt=login into a
// max_age of 0, which no session is young enough for.
func (p *provider) suffices(s session, wanted pending, asked *oidc.AuthRequest, now time.Time) bool {
	fresh := asked.MaxAge == nil || now.Sub(s.at) < time.Duration(*asked.MaxAge)*time.Second
	chosen := !slices.Contains(asked.Prompt, oidc.PromptSelectAccount)
	return fresh && chosen && (s.mfa || !wanted.wantMFA) && (wanted.org == "" || s.person.Organization == wanted.org)
}

// finish makes the code for a session and gives the answer to the application. p.memory is locked.
func (p *provider) finish(wanted pending, s session, now time.Time) string {
	g := wanted.grant
	g.session = s
	name := p.memory.codes.put(now, &code{grant: g, redirectURI: wanted.reply.redirectURI, challenge: wanted.challenge, nonce: wanted.nonce})
	return wanted.reply.location(url.Values{"code": {name}})
}

// cookie gives the session that a browser says it has.
func cookie(header http.Header) string {
	c, err := (&http.Request{Header: header}).Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

var (
	//go:embed login.html
	loginHTML string
	//go:embed login.css
	loginCSS []byte

	loginPage = template.Must(template.New("login").Parse(loginHTML))
)

// showLogin is the page that stands in for Auth0's Universal Login: it offers the sample people as buttons.
func (p *provider) showLogin(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("state")
	p.memory.mu.Lock()
	wanted, ok := p.memory.pending.get(p.now(), id)
	p.memory.mu.Unlock()
	if !ok {
		p.loginGone(w)
		return
	}
	people := slices.DeleteFunc(People(), func(person Person) bool { return !mayLogIn(person, wanted) })
	p.page(w, http.StatusOK, wanted.reply.origin(), map[string]any{
		"ID": id, "People": people, "Origin": wanted.reply.origin(), "Client": wanted.grant.client, "MFA": wanted.wantMFA,
	})
}

// mayLogIn tells whether a person can answer a request: a machine has no browser, and an organization's login is for its
// members (Auth0: "Organizations").
func mayLogIn(person Person, wanted pending) bool {
	return person.ClientID == wanted.grant.client && (wanted.org == "" || person.Organization == wanted.org)
}

// login answers the page's form: a session, and the code to the application. The form's id is known only to whom the page
// was shown, and good once: another site cannot log this browser in (Cross-site request forgery).
func (p *provider) login(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		http.Error(w, "this form belongs to another page", http.StatusForbidden)
		return
	}
	if !parseOnce(w, r) {
		return
	}
	in, err := p.enter(r.PostForm, cookie(r.Header))
	switch {
	case errors.Is(err, errLoginOver):
		p.loginGone(w)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.SetCookie(w, cookieFor(in.session))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if in.message {
		postMessage(w, in.location)
		return
	}
	http.Redirect(w, r, in.location, http.StatusSeeOther) // RFC 9700 section 4.12: not 307, which would send the form on
}

var errLoginOver = errors.New("this login is over")

// entered is what a login leads to.
type entered struct {
	session  string // for the cookie
	location string // the answer to the application
	message  bool   // by postMessage
}

// enter makes the session that the form asks for, in the place of the browser's old one.
func (p *provider) enter(form url.Values, old string) (entered, error) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	now, id, mfa := p.now(), form.Get("state"), form.Get("mfa") != ""
	wanted, ok := p.memory.pending.get(now, id)
	if !ok {
		return entered{}, errLoginOver
	}
	person, err := PersonNamed(form.Get("person"))
	if err != nil || !mayLogIn(person, wanted) || wanted.wantMFA && !mfa {
		return entered{}, errors.New("the login page offers no such login")
	}
	p.memory.pending.drop(id)
	p.memory.sessions.drop(old)
	s := session{person: person, mfa: mfa, at: now}
	return entered{p.memory.sessions.put(now, s), p.finish(wanted, s, now), wanted.reply.message}, nil
}

// cookieFor is a session's cookie. Lax, so that it comes along when an application on another site of this machine sends
// the browser here, and not with a form that another site posts. It cannot be Secure: the issuer speaks plain http.
func cookieFor(session string) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// endedCookie has the browser forget the session's cookie.
func endedCookie() *http.Cookie {
	c := cookieFor("")
	c.MaxAge = -1
	return c
}

// loginGone says that there is nothing to log in to.
func (p *provider) loginGone(w http.ResponseWriter) {
	p.page(w, http.StatusBadRequest, "", map[string]any{})
}

// page writes the login page. Its form may lead to the application: browsers hold a redirect after a form to form-action.
func (p *provider) page(w http.ResponseWriter, status int, origin string, data map[string]any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self' "+origin+
		"; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("X-Frame-Options", "DENY")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "same-origin") // with none at all the form's Origin would be "null"
	w.WriteHeader(status)
	_ = loginPage.Execute(w, data)
}

var messagePage = template.Must(template.New("message").Parse(`<!doctype html><meta charset="utf-8"><title>Logged in</title>
<script nonce="{{.Nonce}}">(window.opener || window.parent).postMessage({type: "authorization_response", response: {{.Response}}}, {{.Origin}})</script>
`))

// postMessage hands an answer to the page that opened this window or frame, when that page is of the origin that the
// redirect URI is of. location is the redirect that it replaces.
func postMessage(w http.ResponseWriter, location string) {
	base, query, _ := strings.Cut(location, "?")
	origin := reply{redirectURI: base}.origin()
	values, _ := url.ParseQuery(query) // made by Encode
	response := map[string]string{}
	for name := range values {
		response[name] = values.Get(name)
	}
	nonce := rand.Text()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src 'nonce-%s'; base-uri 'none'; form-action 'none'; frame-ancestors %s", nonce, origin))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = messagePage.Execute(w, map[string]any{"Nonce": nonce, "Response": response, "Origin": origin})
}

// origin is that of the redirect URI.
func (to reply) origin() string {
	u, err := url.Parse(to.redirectURI)
	if err != nil {
		return "null"
	}
	return u.Scheme + "://" + u.Host
}
