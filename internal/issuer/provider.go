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

// The paths that Auth0 uses (Auth0: "Authentication API"). Those without a method below are there to say that they are
// not supported yet, instead of "not found"; the discovery document does not list them.
var endpoints = op.Endpoints{
	Authorization: op.NewEndpoint("/authorize"),
	Token:         op.NewEndpoint("/oauth/token"),
	Userinfo:      op.NewEndpoint("/userinfo"),
	EndSession:    op.NewEndpoint("/v2/logout"),
	JwksURI:       op.NewEndpoint("/.well-known/jwks.json"),
}

// provider is what the library asks for the answers that are ours.
type provider struct {
	op.UnimplementedServer
	url      string
	key      *Key
	audience string
	now      func() time.Time
}

var _ op.Server = (*provider)(nil)

func newProvider(url string, key *Key, audience string, now func() time.Time) http.Handler {
	p := &provider{url: url, key: key, audience: audience, now: now}
	// nil: no other origin may read an answer. The library's default lets every origin, with credentials.
	library := op.RegisterServer(p, endpoints, op.WithServerCORSOptions(nil))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if r.URL.Path == endpoints.Token.Relative() {
			var ok bool
			if r, ok = tokenRequest(w, r); !ok {
				return
			}
		}
		library.ServeHTTP(w, r)
	})
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
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return r, true
	}
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
	return r, true
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

// Discovery describes what there is (OpenID Connect Discovery 1.0 section 3). It has no authorization endpoint and no
// response types: there is no login, and RFC 8414 section 3.2 wants an empty list left out.
func (p *provider) Discovery(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(&oidc.DiscoveryConfiguration{
		Issuer:                            p.url,
		TokenEndpoint:                     endpoints.Token.Absolute(p.url),
		JwksURI:                           endpoints.JwksURI.Absolute(p.url),
		GrantTypesSupported:               machineClient{}.GrantTypes(),
		TokenEndpointAuthMethodsSupported: []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost},
		ScopesSupported:                   machine().Scopes,
		SubjectTypesSupported:             []string{"public"},
		IDTokenSigningAlgValuesSupported:  []string{"RS256"},
	}), nil
}

// Keys serves the public key with the caching that Auth0 asks for, so that a verifier's handling of it is exercised here.
func (p *provider) Keys(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	response := op.NewResponse(json.RawMessage(p.key.Public()))
	response.Header.Set("Cache-Control", "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400")
	return response, nil
}

// VerifyClient knows one client, by its secret. Like Auth0 it answers 401 access_denied, and the same for an unknown
// client as for a wrong secret, where RFC 6749 section 5.2 would have invalid_client.
func (p *provider) VerifyClient(_ context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	id := subtle.ConstantTimeCompare([]byte(r.Data.ClientID), []byte(MachineID))
	secret := subtle.ConstantTimeCompare([]byte(r.Data.ClientSecret), []byte(MachineSecret))
	if id&secret != 1 {
		return nil, op.NewStatusError(oidc.ErrAccessDenied().WithDescription("Unauthorized"), http.StatusUnauthorized)
	}
	return machineClient{}, nil
}

// ClientCredentialsExchange issues the machine's token (RFC 6749 section 4.4). The audience parameter is Auth0's and
// required: without it, or with another than the sample API's, the answer is 403 access_denied as at Auth0. Of the
// scopes asked for, those that the client has are granted; no scope asked for means all; none of them is invalid_scope.
func (p *provider) ClientCredentialsExchange(_ context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	switch audience := r.Form["audience"]; {
	case len(audience) > 1: // RFC 6749 section 3.2
		return nil, oidc.ErrInvalidRequest().WithDescription("audience given more than once")
	case len(audience) == 0 || audience[0] == "":
		return nil, denied("No audience parameter was provided, and there is no default audience")
	case audience[0] != p.audience:
		return nil, denied("Service not found: %s", audience[0])
	}
	claims := machine().Claims(p.audience, p.now())
	asked := slices.DeleteFunc(slices.Clone(r.Data.Scope), func(s string) bool { return s == "" })
	if len(asked) > 0 {
		claims.Scopes = slices.DeleteFunc(claims.Scopes, func(s string) bool { return !slices.Contains(asked, s) })
	}
	if len(claims.Scopes) == 0 {
		return nil, oidc.ErrInvalidScope().WithDescription("the client has been granted none of these scopes")
	}
	token, err := Mint(p.key, p.url, claims)
	if err != nil {
		return nil, err
	}
	response := op.NewResponse(&oidc.AccessTokenResponse{
		AccessToken: token,
		TokenType:   oidc.BearerToken,
		ExpiresIn:   uint64(Lifetime / time.Second),
		Scope:       claims.Scopes,
	})
	response.Header.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	return response, nil
}

func denied(format string, args ...any) error {
	return op.NewStatusError(oidc.ErrAccessDenied().WithDescription(format, args...), http.StatusForbidden)
}

// machineClient is the sample machine as the library sees a client: it proves itself by secret and has one grant.
type machineClient struct{}

var _ op.Client = machineClient{}

func (machineClient) GetID() string                       { return MachineID }
func (machineClient) RedirectURIs() []string              { return nil }
func (machineClient) PostLogoutRedirectURIs() []string    { return nil }
func (machineClient) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (machineClient) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodPost }
func (machineClient) ResponseTypes() []oidc.ResponseType  { return nil }
func (machineClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}
func (machineClient) LoginURL(string) string              { return "" }
func (machineClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (machineClient) IDTokenLifetime() time.Duration      { return 0 }
func (machineClient) DevMode() bool                       { return false }
func (machineClient) IsScopeAllowed(scope string) bool {
	return slices.Contains(machine().Scopes, scope)
}
func (machineClient) IDTokenUserinfoClaimsAssertion() bool { return false }
func (machineClient) ClockSkew() time.Duration             { return 0 }
func (machineClient) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func([]string) []string { return nil }
}
func (machineClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func([]string) []string { return nil }
}
