package token

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/authorizer"
)

const (
	maxAudiences = 32              // entries of aud
	maxSubject   = 255             // bytes of sub (OpenID Connect Core §2)
	earliest     = -10_000_000_000 // the least NumericDate taken, in seconds: the year 1653
	latest       = 253402300799    // the greatest: 9999-12-31T23:59:59Z
)

// claims are a token's claims under their exact names, read but not yet believed.
type claims map[string]any

// text gives a claim that is a non-empty string. Absent is "", null is of the wrong type.
func (c claims) text(name string) (string, error) {
	v, ok := c[name]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return "", refuse(CodeClaimInvalid, "%s: want a string with content, have %s", name, kindOf(v))
	}
	if hasControl(s) {
		return "", refuse(CodeClaimInvalid, "%s: a control character", name)
	}
	return s, nil
}

// hasControl finds what an IAM answer, a header or a log line cannot carry unchanged.
func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// texts gives a claim that is a list of strings, each kept once. Absent is the empty list.
func (c claims) texts(name string) ([]string, error) {
	v, ok := c[name]
	if !ok {
		return []string{}, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, refuse(CodeClaimInvalid, "%s: want a list of strings, have %s", name, kindOf(v))
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok || s == "" {
			return nil, refuse(CodeClaimInvalid, "%s: want a list of strings with content", name)
		}
		if hasControl(s) {
			return nil, refuse(CodeClaimInvalid, "%s: a control character", name)
		}
		out = append(out, s)
	}
	return unique(out), nil
}

// unique keeps the first of each, in order, without capacity for more: a principal may be shared.
func unique(list []string) []string {
	seen := make(map[string]struct{}, len(list))
	return slices.Clip(slices.DeleteFunc(list, func(s string) bool {
		_, twice := seen[s]
		seen[s] = struct{}{}
		return twice
	}))
}

// date gives a claim that is a NumericDate (RFC 7519 §2), fractions rounded down; false where it is absent.
func (c claims) date(name string) (time.Time, bool, error) {
	v, ok := c[name]
	if !ok {
		return time.Time{}, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false, refuse(CodeClaimInvalid, "%s: want a number, have %s", name, kindOf(v))
	}
	f, err := n.Float64()
	if f = math.Floor(f); err != nil || f < earliest || f > latest {
		return time.Time{}, false, refuse(CodeClaimInvalid, "%s: not a time", name)
	}
	return time.Unix(int64(f), 0).UTC(), true, nil
}

// present refuses where one of the claims is absent; null is absent (rule 30).
func (c claims) present(names ...string) error {
	for _, name := range names {
		if c[name] == nil {
			return refuse(CodeClaimMissing, "%s", name)
		}
	}
	return nil
}

// audience gives aud, one string or a list of strings (RFC 7519 §4.1.3), where it names one of ours (rule 26).
func (c claims) audience(ours []string) ([]string, error) {
	if err := c.present("aud"); err != nil {
		return nil, err
	}
	var list []string
	if s, ok := c["aud"].(string); ok {
		list = []string{s}
	} else {
		var err error
		if list, err = c.texts("aud"); err != nil {
			return nil, err
		}
		if n := len(c["aud"].([]any)); n > maxAudiences {
			return nil, refuse(CodeClaimInvalid, "aud: %d entries, at most %d", n, maxAudiences)
		}
	}
	if !slices.ContainsFunc(list, func(s string) bool { return slices.Contains(ours, s) }) {
		return nil, refuse(CodeAudienceMismatch, "none of the issuer's configured audiences")
	}
	return list, nil
}

// expiry gives exp where it has not passed (rule 28).
func (c claims) expiry(now time.Time, skew time.Duration) (time.Time, error) {
	if err := c.present("exp"); err != nil {
		return time.Time{}, err
	}
	exp, _, err := c.date("exp")
	if err != nil {
		return time.Time{}, err
	}
	if !now.Before(exp.Add(skew)) {
		return time.Time{}, refuse(CodeExpired, "exp has passed")
	}
	return exp, nil
}

// times checks nbf, iat and the lifetime against an expiry that holds (rules 29, 33).
func (c claims) times(exp, now time.Time, skew, maxLifetime time.Duration) error {
	for _, name := range []string{"nbf", "iat"} {
		at, ok, err := c.date(name)
		if err != nil {
			return err
		}
		if ok && now.Add(skew).Before(at) {
			return refuse(CodeNotYetValid, "%s is in the future", name)
		}
	}
	iat, issued, _ := c.date("iat")
	if issued && !iat.Before(exp) {
		return refuse(CodeClaimInvalid, "iat: not before exp")
	}
	if maxLifetime == 0 {
		return nil
	}
	if !issued {
		return refuse(CodeClaimMissing, "iat, which max_lifetime needs")
	}
	if exp.Sub(iat) > maxLifetime {
		return refuse(CodeLifetime, "over %s", maxLifetime)
	}
	return nil
}

// client gives client_id, or azp in Auth0's own profile; two that differ are refused (rule 35).
func (c claims) client() (string, error) {
	id, err := c.text("client_id")
	if err != nil {
		return "", err
	}
	azp, err := c.text("azp")
	if err != nil {
		return "", err
	}
	if id != "" && azp != "" && id != azp {
		return "", refuse(CodeClaimInvalid, "client_id and azp differ")
	}
	if id == "" {
		id = azp
	}
	return id, nil
}

// scopes splits scope at its single spaces (rule 36; RFC 6749 §3.3, RFC 8693 §4.2).
func (c claims) scopes() ([]string, error) {
	v, ok := c["scope"]
	if !ok || v == "" {
		return []string{}, nil
	}
	s, ok := v.(string)
	if !ok {
		return nil, refuse(CodeClaimInvalid, "scope: want a string, have %s", kindOf(v))
	}
	list := strings.Split(s, " ")
	for _, scope := range list {
		if scope == "" || strings.ContainsFunc(scope, notScope) {
			return nil, refuse(CodeClaimInvalid, "scope: not scopes with single spaces between them")
		}
	}
	return unique(list), nil
}

// notScope is the complement of scope-token's characters in RFC 6749 §3.3.
func notScope(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }

// principal believes the claims, all of them or none. They carry the issuer's signature by now.
func (c claims) principal(i *issuer, rolesClaim string, skew time.Duration, now time.Time) (authorizer.Principal, error) {
	none := authorizer.Principal{}
	if _, bound := c["cnf"]; bound {
		// A bound token that anybody may present is a stolen one (rule 41; RFC 9449 §7, RFC 8705 §3).
		return none, refuse(CodeBindingUnsupported, "cnf: the binding is not checked here")
	}
	p := authorizer.Principal{Issuer: i.Issuer.Issuer, Claims: c}
	var err error
	if p.Audience, err = c.audience(i.Audiences); err != nil {
		return none, err
	}
	if p.ExpiresAt, err = c.expiry(now, skew); err != nil {
		return none, err
	}
	if err = c.times(p.ExpiresAt, now, skew, i.MaxLifetime); err != nil {
		return none, err
	}
	if err = c.present("sub"); err != nil {
		return none, err
	}
	if p.Subject, err = c.text("sub"); err != nil {
		return none, err
	}
	if len(p.Subject) > maxSubject {
		return none, refuse(CodeClaimInvalid, "sub: over %d bytes", maxSubject)
	}
	if i.Profile == ProfileRFC9068 { // RFC 9068 §2.2
		if err = c.present("iat", "jti", "client_id"); err != nil {
			return none, err
		}
		if _, err = c.text("jti"); err != nil {
			return none, err
		}
	}
	if err = c.present(i.RequiredClaims...); err != nil {
		return none, err
	}
	if p.ClientID, err = c.client(); err != nil {
		return none, err
	}
	// Auth0 puts "@clients" after the client's id where a client acts for itself. The suffix alone proves nothing: a
	// database could hold a user of that name (rule 37).
	p.Machine = p.ClientID != "" && p.Subject == p.ClientID+"@clients"
	if p.Scopes, err = c.scopes(); err != nil {
		return none, err
	}
	if p.Permissions, err = c.texts("permissions"); err != nil {
		return none, err
	}
	// Handlers get them as one text, separated by spaces: one with a space in it would be two there.
	if slices.ContainsFunc(p.Permissions, func(s string) bool { return strings.ContainsFunc(s, unicode.IsSpace) }) {
		return none, refuse(CodeClaimInvalid, "permissions: white space within a permission")
	}
	p.Roles = []string{}
	if rolesClaim != "" {
		if p.Roles, err = c.texts(rolesClaim); err != nil {
			return none, err
		}
	}
	if p.Organization, err = c.text("org_id"); err != nil {
		return none, err
	}
	if len(i.Organizations) > 0 && !slices.Contains(i.Organizations, p.Organization) {
		return none, refuse(CodeOrganization, "org_id is not on the issuer's list")
	}
	return p, nil
}
