package issuer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// idTokenLifetime is Auth0's default.
const idTokenLifetime = 10 * time.Hour

// minVerifier is the least length of a code verifier (RFC 7636 section 4.1): a shorter one could be guessed.
const minVerifier = 43

// CodeExchange gives tokens for an authorization code (RFC 6749 section 4.1.3). A code is good for one attempt, by its
// client, with its redirect URI and its verifier; at a second use what the first one gave ends (section 4.1.2). Refusals
// have Auth0's status and words.
func (p *provider) CodeExchange(_ context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	now := p.now()
	c, ok := p.memory.codes.get(now, r.Data.Code)
	if !ok {
		return nil, invalidGrant("Invalid authorization code")
	}
	if c.used {
		p.memory.families.drop(c.family)
		return nil, invalidGrant("Invalid authorization code")
	}
	c.used = true
	if c.grant.client != r.Client.GetID() || c.redirectURI != r.Data.RedirectURI {
		return nil, invalidGrant("The redirect URI is wrong")
	}
	challenge := &oidc.CodeChallenge{Challenge: c.challenge, Method: oidc.CodeChallengeMethodS256}
	if len(r.Data.CodeVerifier) < minVerifier || !oidc.VerifyCodeChallenge(challenge, r.Data.CodeVerifier) {
		return nil, invalidGrant("Failed to verify code verifier")
	}
	answer, err := p.issue(c.grant, c.grant.scopes, c.nonce, now)
	if err != nil {
		return nil, err
	}
	if slices.Contains(c.grant.scopes, oidc.ScopeOfflineAccess) {
		f := &family{grant: c.grant}
		c.family = p.memory.families.put(now, f)
		answer.RefreshToken = f.rotate(c.family)
	}
	return tokens(answer), nil
}

// RefreshToken gives new tokens for a refresh token, and its successor (RFC 6749 section 6; Auth0: "Refresh Token
// Rotation"). One that has been used ends all that came of the same login. The scopes may be narrowed, not widened.
func (p *provider) RefreshToken(_ context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	now := p.now()
	name, secret, _ := strings.Cut(r.Data.RefreshToken, ".")
	f, ok := p.memory.families.get(now, name)
	if !ok {
		return nil, invalidRefreshToken()
	}
	if f.grant.client != r.Client.GetID() || subtle.ConstantTimeCompare([]byte(secret), []byte(f.latest)) != 1 {
		p.memory.families.drop(name)
		return nil, invalidRefreshToken()
	}
	scopes := f.grant.scopes
	if asked := r.Data.Scopes; len(asked) > 0 {
		scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(asked, s) })
	}
	answer, err := p.issue(f.grant, scopes, "", now)
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = f.rotate(name)
	return tokens(answer), nil
}

// rotate makes the one token of the family that is good from now on.
func (f *family) rotate(name string) string {
	f.latest = rand.Text()
	return name + "." + f.latest
}

func invalidGrant(description string) error {
	return op.NewStatusError(oidc.ErrInvalidGrant().WithDescription("%s", description), http.StatusForbidden)
}

// invalidRefreshToken has the words by which the SDK knows that it may try a silent login instead.
func invalidRefreshToken() error { return invalidGrant("Unknown or invalid refresh token.") }

// issue signs an access token and, for openid, an ID token.
func (p *provider) issue(g grant, scopes []string, nonce string, now time.Time) (oidc.AccessTokenResponse, error) {
	key, err := p.keys.current()
	if err != nil {
		return oidc.AccessTokenResponse{}, err
	}
	claims := g.session.person.Claims(g.audience, now)
	claims.Scopes = scopes
	if g.session.mfa {
		claims.Extra = map[string]any{"amr": []string{"mfa"}} // at Auth0 by an Action; the ID token has it anyway
	}
	access, err := Mint(key, p.url, claims)
	if err != nil {
		return oidc.AccessTokenResponse{}, err
	}
	answer := oidc.AccessTokenResponse{AccessToken: access, Scope: scopes}
	if slices.Contains(scopes, oidc.ScopeOpenID) {
		answer.IDToken, err = jwt.Signed(key.signer).Claims(p.idToken(g, scopes, nonce, now)).Serialize()
	}
	return answer, err
}

// idToken gives the claims of an ID token (OpenID Connect Core section 2), with those that Auth0's SDK checks.
func (p *provider) idToken(g grant, scopes []string, nonce string, now time.Time) map[string]any {
	claims := g.session.person.profile(scopes)
	claims["iss"], claims["aud"], claims["sub"] = p.url, g.client, g.session.person.Subject
	claims["iat"], claims["exp"] = now.Unix(), now.Add(idTokenLifetime).Unix()
	claims["auth_time"] = g.session.at.Unix()
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if g.session.mfa {
		claims["amr"] = []string{"mfa"} // RFC 8176
		claims["acr"] = multiFactor
	}
	if len(g.session.person.Roles) > 0 {
		claims[RolesClaim] = g.session.person.Roles
	}
	return claims
}

// userinfo is the endpoint as the audience of the tokens that it takes.
func (p *provider) userinfo() string { return endpoints.Userinfo.Absolute(p.url) }

// UserInfo says of the person behind an access token what its scopes allow (OpenID Connect Core section 5.3). Any but a
// token of this issuer for this endpoint is refused with 401, without a reason.
func (p *provider) UserInfo(_ context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	key, err := p.keys.current()
	if err != nil {
		return nil, err
	}
	var registered jwt.Claims
	var scope struct {
		Scope string `json:"scope"`
	}
	if err := key.verify(r.Data.AccessToken, &registered, &scope); err != nil {
		return nil, unauthorized()
	}
	scopes := strings.Fields(scope.Scope)
	expected := jwt.Expected{Issuer: p.url, AnyAudience: jwt.Audience{p.userinfo()}, Time: p.now()}
	if registered.ValidateWithLeeway(expected, 0) != nil || !slices.Contains(scopes, oidc.ScopeOpenID) {
		return nil, unauthorized()
	}
	claims := map[string]any{}
	for _, person := range People() {
		if person.Subject == registered.Subject {
			maps.Copy(claims, person.profile(scopes))
		}
	}
	claims["sub"] = registered.Subject
	response := op.NewResponse(claims)
	response.Header.Set("Cache-Control", "no-store")
	return response, nil
}

func unauthorized() error {
	return op.NewStatusError(oidc.ErrAccessDenied().WithDescription("Unauthorized"), http.StatusUnauthorized)
}

// verify reads a token that one of the published keys has signed into each of claims. It looks at no claim.
func (k *Key) verify(token string, claims ...any) error {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	return parsed.Claims(k.set, claims...)
}
