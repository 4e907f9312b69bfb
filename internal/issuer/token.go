package issuer

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4/jwt"
)

// Claims are what one access token says, in the words of the command line.
type Claims struct {
	Subject      string         // required; "CLIENT@clients" is the client itself (rule 37)
	ClientID     string         // "" is the subject's own client for a machine, the sample application for anybody else
	Audience     string         // required: the API
	Scopes       []string       // what the application may ask for
	Permissions  []string       // what the subject has been granted; nil leaves the claim out, empty writes []
	Roles        []string       // written to RolesClaim
	Organization string         // org_id, "org_home"
	Extra        map[string]any // further claims; a name that Mint writes itself is refused
	IssuedAt     time.Time      // required
	ExpiresAt    time.Time      // required, after IssuedAt; both may be past, for a token that is no longer good
}

// reserved are the claims that Extra may not set: RFC 7519 section 4.1, and what Auth0's profiles make of a token.
var reserved = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti",
	"azp", "client_id", "gty", "scope", "permissions", "org_id", RolesClaim,
}

// Mint signs an access token in Auth0's default profile (Auth0: "Access Token Profiles"): typ JWT, the client in azp.
// issuerURL is written as it is and must end in a slash. All faults of the claims are named at once, by name and never
// by value.
func Mint(key *Key, issuerURL string, c Claims) (string, error) {
	if key == nil {
		return "", errors.New("mint token: no signing key")
	}
	document, err := c.document(issuerURL)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	token, err := jwt.Signed(key.signer).Claims(document).Serialize()
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return token, nil
}

// document gives the payload of a token: the one place where its shape is decided.
func (c Claims) document(issuerURL string) (map[string]any, error) {
	if err := c.check(issuerURL); err != nil {
		return nil, err
	}
	owner, isMachine := strings.CutSuffix(c.Subject, machineSuffix)
	client := c.ClientID
	if client == "" && isMachine {
		client = owner
	}
	if client == "" {
		client = SPAID
	}
	// Both must hold before a subject counts as a machine (rule 37): a user's name may end as a machine's does.
	isMachine = isMachine && owner == client

	d := make(map[string]any, len(c.Extra)+len(reserved))
	for name, value := range c.Extra {
		d[name] = value
	}
	d["iss"], d["sub"], d["azp"] = issuerURL, c.Subject, client
	d["iat"], d["exp"] = c.IssuedAt.Unix(), c.ExpiresAt.Unix()
	d["aud"] = c.Audience
	if userinfo := issuerURL + "userinfo"; slices.Contains(c.Scopes, "openid") && !isMachine && c.Audience != userinfo {
		// Auth0: "Get Access Tokens": with openid the token is good for the userinfo endpoint too, and aud an array.
		d["aud"] = []string{c.Audience, userinfo}
	}
	if isMachine {
		d["gty"] = "client-credentials"
	}
	if len(c.Scopes) > 0 {
		d["scope"] = strings.Join(c.Scopes, " ")
	}
	if c.Permissions != nil {
		d["permissions"] = c.Permissions
	}
	if len(c.Roles) > 0 {
		d[RolesClaim] = c.Roles
	}
	if c.Organization != "" {
		d["org_id"] = c.Organization
	}
	return d, nil
}

func (c Claims) check(issuerURL string) error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	u, err := url.Parse(issuerURL)
	fault(err != nil || u.Scheme == "" || u.Host == "" || u.RawQuery != "" || !strings.HasSuffix(issuerURL, "/"),
		"issuer %q: want a URL with a trailing slash", issuerURL)
	fault(c.Subject == "" || c.Subject == machineSuffix, "no subject")
	fault(c.Audience == "", "no audience")
	fault(c.IssuedAt.IsZero(), "no time of issue")
	fault(c.ExpiresAt.Unix() <= c.IssuedAt.Unix(), "the token would expire before it is issued")
	// A blank would make two scopes of one (RFC 6749 section 3.3), and the sample handlers read permissions likewise.
	fault(slices.ContainsFunc(c.Scopes, notOneWord), "scope: an empty name, or one with white space")
	fault(slices.ContainsFunc(c.Permissions, notOneWord), "permission: an empty name, or one with white space")
	fault(slices.Contains(c.Roles, ""), "role: an empty name")
	for _, name := range reserved {
		_, taken := c.Extra[name]
		fault(taken, "claim %q: is the issuer's own and cannot be overridden", name)
	}
	_, nameless := c.Extra[""]
	fault(nameless, "claim: an empty name")
	return errors.Join(faults...)
}

func notOneWord(s string) bool { return s == "" || strings.ContainsFunc(s, unicode.IsSpace) }
