// Package apigw reads the five authorizer events of API Gateway and writes the answers that it understands. It alone
// knows the gateway's JSON.
//
// The ARN of a request is what the gateway evaluates the answer against, so it is the authority here: everything else
// that an event says must agree with it. Who calls the function is not trusted, since anybody with lambda:InvokeFunction
// can forge an event.
//
// Errors name fields and never quote what an event holds.
package apigw

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/authorizer"
)

// Gateway reads events and writes answers that are about one request, for a deployment whose result TTL is 0. It is
// immutable, and so safe for concurrent use. The zero value shows policies no header and no query parameter, answers
// any API, takes tokens from Authorization alone and writes IAM policies.
type Gateway struct {
	headers          []string // lower case
	query            []string
	apis             []string // "account/api"; empty: any
	simple           bool
	tokenQuery       string
	tokenSubprotocol string
}

var _ authorizer.Gateway = (*Gateway)(nil)

// Config says what policies may see of a request, and who may ask.
type Config struct {
	Headers []string // header names in any case; credentials and cookies are refused
	Query   []string // query parameter names, compared exactly
	APIs    []string // "account/api-id" pairs that may ask; empty: any

	// SimpleResponses answers {"isAuthorized": …} instead of an IAM policy. The gateway takes that for payload 2.0 alone,
	// from an authorizer with enableSimpleResponses (AWS: "Control access to HTTP APIs with AWS Lambda authorizers").
	SimpleResponses bool

	// TokenQuery and TokenSubprotocol say where else a WebSocket's $connect may carry its token, since a browser cannot
	// set Authorization there: in a query parameter of this name, or in Sec-WebSocket-Protocol, as the entry that follows
	// the one of this name. "" is nowhere.
	TokenQuery       string
	TokenSubprotocol string
}

// New gives a Gateway, or an error that names every fault of the configuration.
func New(c Config) (*Gateway, error) {
	g := &Gateway{
		query: slices.Clone(c.Query), apis: slices.Clone(c.APIs),
		simple: c.SimpleResponses, tokenQuery: c.TokenQuery, tokenSubprotocol: c.TokenSubprotocol,
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("apigw: "+format, args...)) }

	for _, name := range c.Headers {
		lower := strings.ToLower(name)
		switch {
		case !isToken(name):
			fault("header %q: not a header name (RFC 9110, section 5.1)", name)
		case authorizer.CarriesSecret(lower):
			fault("header %q: carries credentials, no policy may see it", name)
		case slices.Contains(g.headers, lower):
			fault("header %q: named twice", name)
		}
		g.headers = append(g.headers, lower)
	}
	for i, name := range c.Query {
		switch {
		case name == "":
			fault("query parameter %q: no name", name)
		case authorizer.CarriesSecret(name):
			fault("query parameter %q: carries credentials, no policy may see it", name)
		case slices.Contains(c.Query[:i], name):
			fault("query parameter %q: named twice", name)
		}
	}
	for i, pair := range c.APIs {
		account, api, _ := strings.Cut(pair, "/")
		switch {
		case !isAccount(account) || !isName(api):
			fault("api %q: want account/api-id, as in 123456789012/a1b2c3", pair)
		case slices.Contains(c.APIs[:i], pair):
			fault("api %q: named twice", pair)
		}
	}
	if c.TokenQuery != "" && slices.Contains(c.Query, c.TokenQuery) {
		fault("query parameter %q: carries the token, no policy may see it", c.TokenQuery)
	}
	if c.TokenSubprotocol != "" && !isToken(c.TokenSubprotocol) {
		fault("subprotocol %q: not a name of one (RFC 6455, section 4.1)", c.TokenSubprotocol)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return g, nil
}

// isToken accepts what HTTP calls a token (RFC 9110, section 5.6.2): header names and WebSocket subprotocols are ones.
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !isNameRune(r) && !strings.ContainsRune("!#$%&'*+.^`|~", r)
	})
}

// Request normalises an event. Its errors are [authorizer.ErrUnavailable] with the code event_malformed (not one of
// the five events), event_contradicts_itself, api_not_allowed or response_not_understood (simple responses are for
// payload 2.0 alone). A path that can be read in two ways is not an error: it makes the request Malformed, which then
// carries neither path nor parameters. Nor is a token in a listed header or query parameter, which then are not shown.
func (g *Gateway) Request(raw []byte, now time.Time) (authorizer.Request, error) {
	e, k, err := decodeEvent(raw)
	if err != nil {
		return authorizer.Request{}, authorizer.Unavailable("event_malformed", err)
	}
	a, err := parseARN(e.arn())
	if err != nil {
		return authorizer.Request{}, authorizer.Unavailable("event_malformed", err)
	}
	if len(g.apis) > 0 && !slices.Contains(g.apis, a.account+"/"+a.api) {
		return authorizer.Request{}, authorizer.Unavailable("api_not_allowed",
			fmt.Errorf("account %s, api %s is not one of those that may ask", a.account, a.api))
	}
	if err := e.agrees(k, a); err != nil {
		return authorizer.Request{}, authorizer.Unavailable("event_contradicts_itself", err)
	}
	if g.simple && k != http2 {
		return authorizer.Request{}, authorizer.Unavailable("response_not_understood",
			errors.New("event is not of payload 2.0: the gateway would not understand a simple response to it"))
	}

	req := authorizer.Request{
		ID:          e.RequestContext.RequestID,
		API:         a.api,
		Stage:       a.stage,
		Protocol:    k.protocol(),
		Route:       e.route(k),
		SourceIP:    sourceIP(e),
		Time:        now.UTC(),
		Partition:   a.partition,
		Region:      a.region,
		Account:     a.account,
		ARNPath:     a.tail,
		Credentials: g.credentials(e, k),
		Headers:     g.seenHeaders(e),
	}
	if k != connect {
		req.Method = a.verb
		req.Path, req.Params, req.Malformed = e.reading(k, a)
	}
	query, ok := g.seenQuery(e, k)
	req.Query = query
	if req.Malformed == "" && !ok {
		req.Malformed = "query that does not decode to UTF-8"
	}
	if req.Malformed == "" && !g.simple && !writable(a.String()) {
		req.Malformed = "ARN that an answer cannot name exactly"
	}
	if holdsToken(req.Headers) || holdsToken(req.Query) {
		req.Malformed, req.Headers = "token in a listed header or query parameter", nil
	}
	if req.Malformed != "" {
		req.Path, req.Params, req.Query = nil, nil, nil
	}
	return req, nil
}

// holdsToken says whether policies, and with them the records, would be shown a token under a harmless name.
func holdsToken(seen map[string][]string) bool {
	for _, values := range seen {
		if slices.ContainsFunc(values, carriesJWS) {
			return true
		}
	}
	return false
}

// carriesJWS looks for a compact JWS (RFC 7515, section 3.1), of whatever content, wherever it stands in a text: three
// parts, of which the first is the base64url of a JSON object. Most begin with eyJ; one whose JSON has white space does not.
func carriesJWS(text string) bool {
	if strings.Count(text, ".") < 2 {
		return false
	}
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isNameRune(r) && r != '.' }) {
		parts := strings.Split(run, ".")
		for i := 0; i+2 < len(parts); i++ {
			header, _ := base64.RawURLEncoding.DecodeString(parts[i]) // as far as it goes
			if strings.Contains(parts[i], "eyJ") || bytes.HasPrefix(bytes.TrimLeft(header, " \t\r\n"), []byte("{")) {
				return true
			}
		}
	}
	return false
}

// sourceIP is the caller's address, absent where the event has none that can be read. An IPv4 address has one form
// only, so that a policy's IPv4 ranges find it.
func sourceIP(e *event) netip.Addr {
	text := e.RequestContext.Identity.SourceIP
	if text == "" {
		text = e.RequestContext.HTTP.SourceIP
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func (g *Gateway) seenHeaders(e *event) map[string][]string {
	var seen map[string][]string
	for _, name := range g.headers {
		if values := e.header(name); values != nil {
			if seen == nil {
				seen = make(map[string][]string, len(g.headers))
			}
			seen[name] = values
		}
	}
	return seen
}

// parseQuery reads the listed parameters out of a raw query; false where one of them does not decode. What else stands in
// the query is nobody's business here, but for a pair with a raw semicolon, at which some readers separate parameters
// (net/url, ParseQuery): it is refused if a listed name comes behind one.
func (g *Gateway) parseQuery(raw string) (url.Values, bool) {
	parsed := url.Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		for part := range strings.SplitSeq(pair, ";") {
			key, value, _ := strings.Cut(part, "=")
			name, err := url.QueryUnescape(key)
			if err != nil || !slices.Contains(g.query, name) {
				continue
			}
			text, err := url.QueryUnescape(value)
			if err != nil || part != pair {
				return nil, false
			}
			parsed[name] = append(parsed[name], text)
		}
	}
	return parsed, true
}

// seenQuery gives the listed query parameters; false if the query cannot be decoded. Payload 2.0 joins the values of a
// parameter with commas in its map, and so cannot be taken apart: the raw query is read there.
func (g *Gateway) seenQuery(e *event, k kind) (map[string][]string, bool) {
	if len(g.query) == 0 {
		return nil, true
	}
	var parsed url.Values
	if k == http2 {
		var ok bool
		if parsed, ok = g.parseQuery(e.RawQueryString); !ok {
			return nil, false
		}
	}
	var seen map[string][]string
	for _, name := range g.query {
		values := parsed[name]
		if k != http2 {
			values = both(e.QueryStringParameters, e.MultiValueQueryStringParameters, name)
		}
		if values == nil {
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return nil, false
		}
		if seen == nil {
			seen = make(map[string][]string, len(g.query))
		}
		seen[name] = values
	}
	return seen, true
}
