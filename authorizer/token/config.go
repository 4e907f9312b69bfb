package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/authorizer"
)

// Profile is the dialect of an issuer's access tokens (Auth0: "Access Token Profiles").
type Profile string

// The two profiles that Auth0 issues.
const (
	ProfileAuth0   Profile = "auth0"   // typ JWT, client in azp
	ProfileRFC9068 Profile = "rfc9068" // typ at+jwt, client in client_id; iat and jti are required
)

// ConfigVersion is the version of the Auth0 document.
const ConfigVersion = "v1"

// The values of what an Auth0 document leaves out.
const (
	defaultSkew = 5 * time.Second
	maxSkew     = 300 * time.Second
	defaultSoft = 10 * time.Minute
	defaultHard = 24 * time.Hour // Auth0's own stale-if-error
	defaultJWKS = ".well-known/jwks.json"
)

// Config is whom to believe and what of a request policies may see: the Auth0 document.
type Config struct {
	ClockSkew  time.Duration // 0 to 300 s
	Headers    []string      // lower-case names of the request headers in the input
	Query      []string      // names of the query parameters in the input
	RolesClaim string        // the claim that holds the user's roles; "" is none
	// Where a WebSocket API's $connect may carry the token besides the Authorization header: browsers cannot set that.
	TokenQuery       string // the query parameter that holds the token; "" is none
	TokenSubprotocol string // the entry of Sec-WebSocket-Protocol that the token comes next after; "" is none
	Issuers          []Issuer
}

// Issuer is one believed issuer.
type Issuer struct {
	Issuer         string // exact iss, with Auth0's slash at the end
	Audiences      []string
	Algorithms     []string // RS256, PS256, ES256, ES384 or EdDSA
	Profile        Profile
	JWKSURI        string
	JWKS           []byte        // a JWKS to start with; nil is none
	Pinned         bool          // JWKS is all: nothing is ever fetched
	RequiredClaims []string      // besides those of the profile
	Organizations  []string      // org_id values; empty admits any, and none
	MaxLifetime    time.Duration // exp - iat; 0 is no bound
	JWKSSoft       time.Duration // age from which a refresh is tried
	JWKSHard       time.Duration // age from which keys are not used
}

// ParseConfig reads an Auth0 document, sets what it leaves out, and checks the whole. The document is strict JSON; an
// unknown member, a member of the wrong type and every fault that [New] would find is named by its path, all at once.
func ParseConfig(doc []byte) (Config, error) {
	members, err := decodeObject(doc, configLimits)
	if err != nil {
		return Config{}, fmt.Errorf("parse auth0 configuration: %w", err)
	}
	var f faults
	o := object{members: members, faults: &f}
	if version := o.text("version", ""); version != ConfigVersion {
		o.fault("version", "is %q, want %q", version, ConfigVersion)
	}
	c := Config{
		ClockSkew:  o.duration("clock_skew", defaultSkew),
		Headers:    o.texts("headers", nil),
		Query:      o.texts("query", nil),
		RolesClaim: o.text("roles_claim", ""),
	}
	c.TokenQuery = o.name("token_query")
	c.TokenSubprotocol = o.name("token_subprotocol")
	o.later("public_url")
	for _, i := range o.objects("issuers") {
		c.Issuers = append(c.Issuers, i.issuer())
	}
	o.unknown()
	f.known = maps.Clone(f.named)
	if err := c.check(&f); err != nil {
		return Config{}, fmt.Errorf("parse auth0 configuration: %w", err)
	}
	return c, nil
}

func (o object) issuer() Issuer {
	i := Issuer{
		Issuer:         o.text("issuer", ""),
		Audiences:      o.texts("audiences", nil),
		Algorithms:     o.texts("algorithms", []string{"RS256"}),
		Profile:        Profile(o.text("profile", string(ProfileAuth0))),
		JWKS:           o.jwks("jwks"),
		Pinned:         o.flag("pinned"),
		RequiredClaims: o.texts("required_claims", nil),
		Organizations:  o.texts("organizations", nil),
		MaxLifetime:    o.duration("max_lifetime", 0),
		JWKSSoft:       o.duration("jwks_soft", defaultSoft),
		JWKSHard:       o.duration("jwks_hard", defaultHard),
	}
	i.JWKSURI = o.text("jwks_uri", i.Issuer+defaultJWKS)
	switch binding := o.text("sender_constraint", "none"); binding {
	case "none":
	case "dpop", "mtls":
		o.fault("sender_constraint", "%q is not supported yet", binding)
	default:
		o.fault("sender_constraint", "is %q, want none", binding)
	}
	o.unknown()
	return i
}

// check adds every fault of a configuration to f and joins them all.
func (c Config) check(f *faults) error {
	o := object{faults: f}
	if c.ClockSkew < 0 || c.ClockSkew > maxSkew {
		o.fault("clock_skew", "is %s, want 0s to %s", c.ClockSkew, maxSkew)
	}
	o.names("headers", c.Headers)
	for n, name := range c.Headers {
		switch {
		case authorizer.CarriesSecret(name):
			o.fault(at("headers", n), "%q holds a secret and never reaches a policy", name)
		case !headerName.MatchString(name):
			o.fault(at("headers", n), "%q is not a header name in lower case", name)
		}
	}
	o.names("query", c.Query)
	for n, name := range c.Query {
		if authorizer.CarriesSecret(name) {
			o.fault(at("query", n), "%q holds a secret and never reaches a policy", name)
		}
		if name == c.TokenQuery && name != "" {
			o.fault(at("query", n), "%q is token_query: the token never reaches a policy", name)
		}
	}
	if c.TokenSubprotocol != "" && !subprotocol.MatchString(c.TokenSubprotocol) {
		o.fault("token_subprotocol", "%q is not the name of a subprotocol", c.TokenSubprotocol)
	}
	if len(c.Issuers) == 0 {
		o.fault("issuers", "want at least one")
	}
	seen := map[string]bool{}
	for n, i := range c.Issuers {
		i.check(object{path: at("issuers", n), faults: f})
		if seen[i.Issuer] {
			o.fault(at("issuers", n)+".issuer", "%q occurs twice", i.Issuer)
		}
		seen[i.Issuer] = true
	}
	return errors.Join(f.list...)
}

var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9a-z-]+$")    // RFC 9110 §5.6.2, without capitals
	subprotocol = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // the same with them: RFC 6455 §4.1
	clientID    = regexp.MustCompile("^[0-9A-Za-z]{32}$")             // what Auth0 makes
)

func (i Issuer) check(o object) {
	o.address("issuer", i.Issuer)
	if !strings.HasSuffix(i.Issuer, "/") {
		o.fault("issuer", "%q has no slash at the end: Auth0's iss is https://TENANT.REGION.auth0.com/ or https://CUSTOM.DOMAIN/", i.Issuer)
	}
	if strings.ContainsAny(i.Issuer, "?#") {
		o.fault("issuer", "%q has a query or a fragment", i.Issuer)
	}
	if i.JWKSURI != i.Issuer+defaultJWKS {
		o.address("jwks_uri", i.JWKSURI)
	}
	if len(i.Audiences) == 0 {
		o.fault("audiences", "want at least one")
	}
	o.names("audiences", i.Audiences)
	for n, audience := range i.Audiences {
		switch {
		case clientID.MatchString(audience):
			o.fault(at("audiences", n), "%q looks like a client id: ID tokens carry that, and they are no access tokens", audience)
		case i.Issuer != "" && strings.HasPrefix(audience, i.Issuer):
			o.fault(at("audiences", n), "%q is an API of the issuer itself: its tokens are not for yours", audience)
		}
	}
	if len(i.Algorithms) == 0 {
		o.fault("algorithms", "want at least one")
	}
	o.names("algorithms", i.Algorithms)
	for n, alg := range i.Algorithms {
		if why := refusedAlgorithm(alg); why != "" {
			o.fault(at("algorithms", n), "%q %s", alg, why)
		}
	}
	if _, ok := typesOf[i.Profile]; !ok {
		o.fault("profile", "is %q, want %s or %s", i.Profile, ProfileAuth0, ProfileRFC9068)
	}
	seed, err := i.seed()
	if err != nil {
		o.fault("jwks", "%w", err)
	}
	if i.Pinned && len(seed) == 0 {
		o.fault("pinned", "wants a usable key in jwks")
	}
	o.names("required_claims", i.RequiredClaims)
	o.names("organizations", i.Organizations)
	if i.MaxLifetime < 0 {
		o.fault("max_lifetime", "is %s, below 0s", i.MaxLifetime)
	}
	if i.JWKSSoft <= 0 || i.JWKSHard < i.JWKSSoft {
		o.fault("jwks_soft", "is %s and jwks_hard %s, want 0s < jwks_soft <= jwks_hard", i.JWKSSoft, i.JWKSHard)
	}
}

// seed reads the keys to start with. No keys, or a set that is empty, is no seed.
func (i Issuer) seed() (keySet, error) {
	if i.JWKS == nil {
		return nil, nil
	}
	if set, err := decodeObject(i.JWKS, jwksLimits); err == nil {
		if keys, ok := set["keys"].([]any); ok && len(keys) == 0 {
			return nil, nil
		}
	}
	return parseKeys(i.JWKS, i.Algorithms)
}

// refusedAlgorithm says why an algorithm cannot be configured; "" is that it can.
func refusedAlgorithm(alg string) string {
	switch upper := strings.ToUpper(alg); {
	case slices.Contains(signatureAlgorithms, alg):
		return ""
	case upper == "NONE":
		return "is no signature"
	case strings.HasPrefix(upper, "HS"):
		return "is symmetric: whoever can verify could sign"
	}
	return "is not one of " + strings.Join(signatureAlgorithms, ", ")
}

// object reads the members of one JSON object, taking each out, and collects faults under their paths.
type object struct {
	path    string
	members map[string]any
	faults  *faults
}

// faults are what is wrong with a configuration. One whose path could not even be read is not checked again.
type faults struct {
	list  []error
	named map[string]bool // paths with a fault
	known map[string]bool // paths to say nothing more about
}

func at(name string, n int) string { return name + "[" + strconv.Itoa(n) + "]" }

func (o object) fault(name, format string, args ...any) {
	if o.path != "" {
		name = o.path + "." + name
	}
	for known := range o.faults.known {
		if name == known || strings.HasPrefix(name, known+".") {
			return
		}
	}
	if o.faults.named == nil {
		o.faults.named = map[string]bool{}
	}
	o.faults.named[name] = true
	o.faults.list = append(o.faults.list, fmt.Errorf("%s "+format, append([]any{name}, args...)...))
}

func (o object) take(name string) (any, bool) {
	v, ok := o.members[name]
	delete(o.members, name)
	return v, ok
}

func (o object) text(name, absent string) string {
	v, ok := o.take(name)
	if !ok {
		return absent
	}
	s, ok := v.(string)
	if !ok {
		o.fault(name, "is %s, want a string", kindOf(v))
	}
	return s
}

// name is a text that, where it is there, is not empty.
func (o object) name(name string) string {
	if o.members[name] == "" {
		o.fault(name, "is empty")
	}
	return o.text(name, "")
}

func (o object) texts(name string, absent []string) []string {
	v, ok := o.take(name)
	if !ok {
		return absent
	}
	list, ok := v.([]any)
	if !ok {
		o.fault(name, "is %s, want a list of strings", kindOf(v))
	}
	out := make([]string, 0, len(list))
	for n, e := range list {
		s, ok := e.(string)
		if !ok {
			o.fault(at(name, n), "is %s, want a string", kindOf(e))
		}
		out = append(out, s)
	}
	return out
}

func (o object) flag(name string) bool {
	v, ok := o.take(name)
	b, isBool := v.(bool)
	if ok && !isBool {
		o.fault(name, "is %s, want a boolean", kindOf(v))
	}
	return b
}

func (o object) duration(name string, absent time.Duration) time.Duration {
	d, err := time.ParseDuration(o.text(name, absent.String()))
	if err != nil {
		o.fault(name, `is not a duration such as "5s" or "10m"`)
		return absent
	}
	return d
}

func (o object) objects(name string) []object {
	v, ok := o.take(name)
	list, isList := v.([]any)
	if ok && !isList {
		o.fault(name, "is %s, want a list of objects", kindOf(v))
	}
	var out []object
	for n, e := range list {
		members, ok := e.(map[string]any)
		if !ok {
			o.fault(at(name, n), "is %s, want an object", kindOf(e))
		}
		out = append(out, object{path: at(name, n), members: members, faults: o.faults})
	}
	return out
}

// jwks gives a member that is a JWKS as a document of its own.
func (o object) jwks(name string) []byte {
	v, ok := o.take(name)
	if !ok {
		return nil
	}
	doc, err := json.Marshal(v)
	if _, isObject := v.(map[string]any); !isObject || err != nil {
		o.fault(name, "is %s, want a JWKS", kindOf(v))
	}
	return doc
}

// later refuses members that have a meaning, but not yet.
func (o object) later(names ...string) {
	for _, name := range names {
		if _, ok := o.take(name); ok {
			o.fault(name, "is not supported yet")
		}
	}
}

// unknown refuses every member that nobody took.
func (o object) unknown() {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		o.fault(name, "is unknown")
	}
}

// names refuses what is empty or there twice.
func (o object) names(name string, list []string) {
	for n, s := range list {
		if s == "" {
			o.fault(at(name, n), "is empty")
		}
		if slices.Contains(list[:n], s) {
			o.fault(at(name, n), "%q occurs twice", s)
		}
	}
}

// address wants an absolute https URL; plain http is for hosts that no network lies between.
func (o object) address(name, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		o.fault(name, "%q is not an absolute URL", address)
	case u.User != nil:
		o.fault(name, "holds a user or a password")
	case u.Scheme == "http" && !loopback(u.Hostname()) || u.Scheme != "http" && u.Scheme != "https":
		o.fault(name, "%q is not https", address)
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
