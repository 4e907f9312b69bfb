package issuer

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is an application as the library sees one.
type client struct {
	id        string
	method    oidc.AuthMethod
	grants    []oidc.GrantType
	responses []oidc.ResponseType
	callbacks []string // redirect URIs, each matched exactly (RFC 9700 section 2.1)
	exits     []string // where a logout may lead, matched likewise
	scopes    []string // of the API
}

var _ op.Client = client{}

// machineClient is the sample machine: it proves itself by secret and has one grant.
func machineClient() client {
	return client{
		id:     MachineID,
		method: oidc.AuthMethodPost,
		grants: []oidc.GrantType{oidc.GrantTypeClientCredentials},
		scopes: machine().Scopes,
	}
}

// spaClient is the sample single-page application. It is public: instead of a secret it has PKCE, and refresh tokens that
// rotate. No scope of the API is its to grant: what a person may do, the person's roles say.
func spaClient(origins []string) client {
	c := client{
		id:        SPAID,
		method:    oidc.AuthMethodNone,
		grants:    []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken},
		responses: []oidc.ResponseType{oidc.ResponseTypeCode},
	}
	for _, origin := range origins {
		c.callbacks = append(c.callbacks, origin, origin+"/", origin+"/callback")
		c.exits = append(c.exits, origin, origin+"/")
	}
	return c
}

// originFault tells why a single-page application cannot live at s. It must be on this machine, as the issuer is: a site
// elsewhere could use the sample people's logins.
func originFault(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || s != u.Scheme+"://"+u.Host || u.Hostname() == "" {
		return fmt.Errorf("SPA origin %q: want scheme, host and port only, like http://127.0.0.1:8790", s)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return fmt.Errorf("SPA origin %q: want localhost or a loopback address", s)
	}
	return nil
}

func originFaults(origins []string) error {
	if len(origins) == 0 {
		return errors.New("no SPA origin")
	}
	var faults []error
	for _, s := range origins {
		faults = append(faults, originFault(s))
	}
	return errors.Join(faults...)
}

func (c client) GetID() string                        { return c.id }
func (c client) RedirectURIs() []string               { return c.callbacks }
func (c client) PostLogoutRedirectURIs() []string     { return c.exits }
func (c client) ApplicationType() op.ApplicationType  { return op.ApplicationTypeWeb }
func (c client) AuthMethod() oidc.AuthMethod          { return c.method }
func (c client) ResponseTypes() []oidc.ResponseType   { return c.responses }
func (c client) GrantTypes() []oidc.GrantType         { return c.grants }
func (c client) LoginURL(string) string               { return "" } // Authorize redirects to the login page itself
func (c client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (c client) IDTokenLifetime() time.Duration       { return idTokenLifetime }
func (c client) DevMode() bool                        { return true } // redirect URIs on this machine are plain http
func (c client) IsScopeAllowed(scope string) bool     { return slices.Contains(c.scopes, scope) }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return false }
func (c client) ClockSkew() time.Duration             { return 0 }
func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func([]string) []string { return nil }
}
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func([]string) []string { return nil }
}
