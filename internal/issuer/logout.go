package issuer

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// logout ends the browser's session and leads to returnTo (Auth0: "Log Users Out of Auth0"). Refresh tokens stay good, as
// at Auth0. Without returnTo it leads to the application's first registered address, or without a client nowhere.
func (p *provider) logout(w http.ResponseWriter, r *http.Request) {
	if !parseOnce(w, r) {
		return
	}
	target, err := p.exit(r.Form.Get("client_id"), r.Form.Get("returnTo"))
	if err != nil {
		op.WriteError(w, r, err, nil)
		return
	}
	p.end(r.Header)
	http.SetCookie(w, endedCookie())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if target == "" {
		_, _ = w.Write([]byte("OK\n"))
		return
	}
	http.Redirect(w, r, target, http.StatusFound)
}

// EndSession is the same by the standard's names (OpenID Connect RP-Initiated Logout 1.0 section 2). The client is that of
// client_id or, without it, that of the ID token in id_token_hint, which may have expired.
func (p *provider) EndSession(_ context.Context, r *op.Request[oidc.EndSessionRequest]) (*op.Redirect, error) {
	client := r.Data.ClientID
	if r.Data.IdTokenHint != "" {
		key, err := p.keys.current()
		if err != nil {
			return nil, err
		}
		var hint jwt.Claims
		if key.verify(r.Data.IdTokenHint, &hint) != nil || hint.Issuer != p.url || len(hint.Audience) != 1 || client != "" && client != hint.Audience[0] {
			return nil, oidc.ErrInvalidRequest().WithDescription("id_token_hint: not an ID token of this client")
		}
		client = hint.Audience[0]
	}
	target, err := p.exit(client, r.Data.PostLogoutRedirectURI)
	if err != nil {
		return nil, err
	}
	p.end(r.Header)
	switch {
	case target == "":
		target = logoutPath
	case r.Data.State != "":
		target += "?" + url.Values{"state": {r.Data.State}}.Encode()
	}
	redirect := op.NewRedirect(target)
	redirect.Header.Set("Set-Cookie", endedCookie().String())
	redirect.Header.Set("Cache-Control", "no-store")
	return redirect, nil
}

// exit is where a logout leads: to what the client has registered, and nowhere else.
func (p *provider) exit(client, returnTo string) (string, error) {
	switch {
	case client == "" && returnTo == "":
		return "", nil
	case client != p.spa.id:
		return "", oidc.ErrInvalidRequest().WithDescription("client_id: want the client whose address this leads to")
	case returnTo == "":
		return p.spa.exits[0], nil
	case !slices.Contains(p.spa.exits, returnTo):
		// Not quoted: what is shown here must not look as if it led somewhere.
		return "", oidc.ErrInvalidRequest().WithDescription("the address to return to is not registered for this client")
	}
	return returnTo, nil
}

// end forgets the browser's session.
func (p *provider) end(header http.Header) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	p.memory.sessions.drop(cookie(header))
}
