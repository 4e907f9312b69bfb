package issuer

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// maxBody bounds a request's body in bytes. A token request takes a few hundred.
const maxBody = 64 << 10

// The paths that Auth0 uses (Auth0: "Authentication API").
var endpoints = op.Endpoints{
	Authorization: op.NewEndpoint("/authorize"),
	Token:         op.NewEndpoint("/oauth/token"),
	Userinfo:      op.NewEndpoint("/userinfo"),
	EndSession:    op.NewEndpoint("/oidc/logout"),
	JwksURI:       op.NewEndpoint("/.well-known/jwks.json"),
}

// Those of Auth0's paths that the library does not know.
const (
	loginPath  = "/u/login"
	stylePath  = "/u/login.css"
	logoutPath = "/v2/logout"
)

// provider is what the library asks for the answers that are ours.
type provider struct {
	op.UnimplementedServer
	url      string
	keys     *keyring
	audience string
	origins  []string // of the single-page application
	machine  client
	spa      client
	memory   *memory
	now      func() time.Time
}

var _ op.Server = (*provider)(nil)

func newProvider(url string, c Config, now func() time.Time) http.Handler {
	p := &provider{
		url:      url,
		keys:     &keyring{dir: c.Keys},
		audience: c.Audience,
		origins:  c.SPA,
		machine:  machineClient(),
		spa:      spaClient(c.SPA),
		memory:   newMemory(),
		now:      now,
	}
	// nil: the library's own CORS would cover every path, the login as well.
	library := op.RegisterServer(p, endpoints, op.WithServerCORSOptions(nil))
	mux := http.NewServeMux()
	mux.Handle("/", library)
	mux.HandleFunc(endpoints.Authorization.Relative(), func(w http.ResponseWriter, r *http.Request) { authorize(w, r, library) })
	mux.HandleFunc(endpoints.Token.Relative(), func(w http.ResponseWriter, r *http.Request) {
		if r, ok := tokenRequest(w, r); ok {
			library.ServeHTTP(w, r)
		}
	})
	mux.HandleFunc("GET "+loginPath, p.showLogin)
	mux.HandleFunc("POST "+loginPath, p.login)
	mux.HandleFunc("GET "+stylePath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(loginCSS)
	})
	mux.HandleFunc("GET "+logoutPath, p.logout)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if p.share(w, r) {
			mux.ServeHTTP(w, r)
		}
	})
}

// share lets the application's own origins, and no other, read the answers of the endpoints that a page calls (Fetch
// standard, CORS protocol). It answers a preflight itself and then gives false. No cookie goes with such a call.
func (p *provider) share(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case oidc.DiscoveryEndpoint, endpoints.Token.Relative(), endpoints.Userinfo.Relative(), endpoints.JwksURI.Relative():
	default:
		return true
	}
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	known := slices.Contains(p.origins, origin)
	if known {
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
	if r.Method != http.MethodOptions {
		return true
	}
	if !known {
		http.Error(w, "this origin is not registered", http.StatusForbidden)
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Auth0-Client") // the last is the SDK's own
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return false
}

// tokenRequest holds a token request to what the library is lenient about, and turns Auth0's JSON body into the form that
// the library reads. When it refuses, it has answered.
func tokenRequest(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	if r.Method != http.MethodPost { // RFC 6749 section 3.2
		w.Header().Set("Allow", http.MethodPost)
		op.WriteError(w, r, op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("want POST"), http.StatusMethodNotAllowed), nil)
		return nil, false
	}
	if r.URL.RawQuery != "" { // RFC 6749 section 2.3.1: addresses end up in logs
		op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("parameters belong in the body"), nil)
		return nil, false
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "application/json" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("error reading body").WithParent(err), nil)
			return nil, false
		}
		form, err := formOf(body)
		if err != nil {
			op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("%s", err), nil)
			return nil, false
		}
		r = r.Clone(r.Context())
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	}
	return r, parseOnce(w, r)
}

// parseOnce reads the parameters, each of which may be given once (RFC 6749 sections 3.1 and 3.2): the library and we
// might each read another of two. When it refuses, it has answered.
func parseOnce(w http.ResponseWriter, r *http.Request) bool {
	if err := r.ParseForm(); err != nil {
		op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("error parsing form").WithParent(err), nil)
		return false
	}
	for _, values := range r.Form {
		if len(values) > 1 {
			op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("a parameter is given more than once"), nil)
			return false
		}
	}
	return true
}

// formOf reads a flat JSON object of strings. Its error quotes nothing: the body holds a secret.
func formOf(body []byte) (url.Values, error) {
	var members map[string]string
	if jsonv2.Unmarshal(body, &members) != nil || members == nil {
		return nil, errors.New("want a JSON object of strings")
	}
	form := make(url.Values, len(members))
	for name, value := range members {
		form.Set(name, value)
	}
	return form, nil
}

// Discovery describes what there is (OpenID Connect Discovery 1.0 section 3).
func (p *provider) Discovery(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(&oidc.DiscoveryConfiguration{
		Issuer:                            p.url,
		AuthorizationEndpoint:             endpoints.Authorization.Absolute(p.url),
		TokenEndpoint:                     endpoints.Token.Absolute(p.url),
		UserinfoEndpoint:                  endpoints.Userinfo.Absolute(p.url),
		EndSessionEndpoint:                endpoints.EndSession.Absolute(p.url),
		JwksURI:                           endpoints.JwksURI.Absolute(p.url),
		ScopesSupported:                   append(slices.Clone(loginScopes), p.machine.scopes...),
		ResponseTypesSupported:            []string{string(oidc.ResponseTypeCode)},
		ResponseModesSupported:            []string{string(oidc.ResponseModeQuery), webMessage},
		GrantTypesSupported:               append(slices.Clone(p.spa.grants), p.machine.grants...),
		TokenEndpointAuthMethodsSupported: []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodNone},
		CodeChallengeMethodsSupported:     []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		ACRValuesSupported:                []string{multiFactor},
		SubjectTypesSupported:             []string{"public"},
		IDTokenSigningAlgValuesSupported:  []string{"RS256"},
	}), nil
}

// Keys serves the public keys with the caching that Auth0 asks for, so that a verifier's handling of it is exercised here.
func (p *provider) Keys(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	key, err := p.keys.current()
	if err != nil {
		return nil, err
	}
	response := op.NewResponse(json.RawMessage(key.Public()))
	response.Header.Set("Cache-Control", "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400")
	return response, nil
}

// VerifyClient knows the machine by its secret and the single-page application by having none. Like Auth0 it answers 401
// access_denied, and the same for an unknown client as for a wrong secret, where RFC 6749 section 5.2 would have
// invalid_client.
func (p *provider) VerifyClient(_ context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	if r.Data.ClientID == p.spa.id && r.Data.ClientSecret == "" && r.Data.ClientAssertion == "" {
		return p.spa, nil
	}
	id := subtle.ConstantTimeCompare([]byte(r.Data.ClientID), []byte(MachineID))
	secret := subtle.ConstantTimeCompare([]byte(r.Data.ClientSecret), []byte(MachineSecret))
	if id&secret != 1 {
		return nil, unauthorized()
	}
	return p.machine, nil
}

// ClientCredentialsExchange issues the machine's token (RFC 6749 section 4.4). The audience parameter is Auth0's and
// required: without it, or with another than the sample API's, the answer is 403 access_denied as at Auth0. Of the
// scopes asked for, those that the client has are granted; no scope asked for means all; none of them is invalid_scope.
func (p *provider) ClientCredentialsExchange(_ context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	switch audience := r.Form.Get("audience"); audience {
	case p.audience:
	case "":
		return nil, denied("No audience parameter was provided, and there is no default audience")
	default:
		return nil, denied("Service not found: %s", audience)
	}
	claims := machine().Claims(p.audience, p.now())
	asked := slices.DeleteFunc(slices.Clone(r.Data.Scope), func(s string) bool { return s == "" })
	if len(asked) > 0 {
		claims.Scopes = slices.DeleteFunc(claims.Scopes, func(s string) bool { return !slices.Contains(asked, s) })
	}
	if len(claims.Scopes) == 0 {
		return nil, oidc.ErrInvalidScope().WithDescription("the client has been granted none of these scopes")
	}
	key, err := p.keys.current()
	if err != nil {
		return nil, err
	}
	token, err := Mint(key, p.url, claims)
	if err != nil {
		return nil, err
	}
	return tokens(oidc.AccessTokenResponse{AccessToken: token, Scope: claims.Scopes}), nil
}

// tokens completes an answer of the token endpoint.
func tokens(answer oidc.AccessTokenResponse) *op.Response {
	answer.TokenType = oidc.BearerToken
	answer.ExpiresIn = uint64(Lifetime / time.Second)
	response := op.NewResponse(&answer)
	response.Header.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	return response
}

func denied(format string, args ...any) error {
	return op.NewStatusError(oidc.ErrAccessDenied().WithDescription(format, args...), http.StatusForbidden)
}
