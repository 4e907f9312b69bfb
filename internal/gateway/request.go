package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

// call is one request on its way through an API.
type call struct {
	api      *api
	route    *route
	request  *http.Request
	headers  http.Header // the client's, and those that the gateway adds
	sent     http.Header // the same with the names as the client wrote them
	base     string      // of a custom domain's mapping: "/v1", or empty
	domain   string      // "localrest0.execute-api.us-east-1.amazonaws.com", or the custom domain
	path     string      // without stage and base: as sent on a REST API, decoded on an HTTP API
	params   map[string]string
	query    url.Values
	body     []byte
	ip       string
	id       string
	extended string
	time     time.Time
	socket   *socket // of a WebSocket API
}

// Limits (API Gateway Developer Guide, "Quotas" and "Output from an API Gateway Lambda authorizer").
const (
	maxHeader = 10_240   // the values of all headers on a REST API; the request line and the headers on an HTTP API
	maxARN    = 1600     // of the method; a request with a longer one is answered 414
	maxBody   = 10 << 20 // of a request
)

// ServeHTTP takes a request the gateway's way, one step a line in way.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := a.call(r, asSent(r))
	answer := c.way(w)
	c.share(answer)
	c.name(answer)
	a.counters.answered(a.protocol, answer.status)
	answer.write(w)
}

// way is the whole way of a request: stage and base path, preflight, route, identity sources, cache, authorizer, policy,
// handler.
func (c *call) way(w http.ResponseWriter) *answer {
	if refused := c.located(); refused != nil {
		return refused
	}
	if answer := c.preflight(); answer != nil {
		return answer
	}
	if refused := c.routed(); refused != nil {
		return refused
	}
	ctx := context.WithoutCancel(c.request.Context()) // a client that hangs up ends nothing that has begun
	v, refused := c.authorized(ctx)
	if refused != nil {
		return refused
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, c.request.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return c.tooLarge()
	} else if err != nil {
		return c.badRequest()
	}
	c.body = body
	return c.handled(ctx, v)
}

// call reads what every answer needs.
func (a *api) call(r *http.Request, sent http.Header) *call {
	c := &call{
		api: a, request: r, headers: r.Header.Clone(), sent: sent, domain: a.ownDomain(),
		time: a.now().UTC(), id: a.newID(), extended: strings.ReplaceAll(a.newID(), "-", "")[:15] + "=",
	}
	if a.protocol != authorizer.REST { // their ids have the form of a REST API's extended ones
		c.id = c.extended
	}
	c.ip, _, _ = net.SplitHostPort(r.RemoteAddr)
	c.query = query(r.URL.RawQuery)
	c.forwarded()
	return c
}

// name puts the ids of the request on its answer.
func (c *call) name(a *answer) {
	if c.api.protocol == authorizer.HTTP {
		a.header.Set("Apigw-Requestid", c.id)
		return
	}
	a.header.Set("X-Amzn-Requestid", c.id)
	a.header.Set("X-Amz-Apigw-Id", c.extended)
}

// located finds the stage, or the base path of a custom domain, and what is left of the path.
func (c *call) located() *answer {
	a := c.api
	if a.headerSize(c.request) > maxHeader {
		return c.headerTooLarge()
	}
	sent, prefix := sentPath(c.request), a.prefix
	if mapped := a.mapped(c.request.Host); mapped != nil {
		c.domain = mapped[0].Domain
		base, found := a.longestBase(mapped, sent)
		if !found {
			return c.noStage()
		}
		c.base, prefix = base, base
	}
	path, found := strings.CutPrefix(sent, prefix)
	if path == "" {
		path = "/"
	}
	if !found || path[0] != '/' {
		return c.noStage()
	}
	if a.protocol == authorizer.HTTP {
		// Matched after decoding: no page says so, but the event's own path is the decoded one.
		if path, found = decoded(path); !found {
			return c.badRequest()
		}
	} else if strings.ContainsFunc(path, func(r rune) bool { return r > unicode.MaxASCII }) {
		return c.badRequest() // RFC 3986, section 2: a path is of ASCII characters
	}
	c.path = path
	return nil
}

// methods are those that an API can have, and that ANY stands for (API Gateway API Reference, PutMethod).
var methods = []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut}

// routed finds the route.
func (c *call) routed() *answer {
	if !slices.Contains(methods, c.request.Method) {
		return c.noRoute()
	}
	if c.route, c.params = c.api.find(c.request.Method, c.path); c.route == nil {
		return c.noRoute()
	}
	if c.route.authorizer != nil && len(c.arn()) > maxARN {
		return c.message("", http.StatusRequestURITooLong, "", "Request URI too long")
	}
	return nil
}

// headerSize is what the limit counts: the values alone on a REST API, else the request line and the headers as HTTP/1.1
// writes them.
func (a *api) headerSize(r *http.Request) int {
	values, all := len(r.Host), len(r.Method)+len(r.RequestURI)+len(r.Proto)+len("  \r\n")+len("Host: \r\n")+len(r.Host)
	for name, list := range r.Header {
		for _, value := range list {
			values += len(value)
			all += len(name) + len(value) + len(": \r\n")
		}
	}
	if a.protocol == authorizer.REST {
		return values
	}
	return all
}

// sentPath is the path as the client spelt it: net/url would give back its own spelling of some.
func sentPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if _, rest, absolute := strings.Cut(path, "://"); absolute && !strings.HasPrefix(path, "/") { // RFC 9112, section 3.2.2
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	return path
}

// decoded is the path of an HTTP API. It is decoded twice, and between the two it ends at a question mark: so say live
// captures (github.com/hotsock/voker, vokerhttp/testdata/ingress-paths.json).
func decoded(path string) (string, bool) {
	once, err := url.PathUnescape(path)
	if err != nil {
		return "", false
	}
	once, _, _ = strings.Cut(once, "?")
	twice, err := url.PathUnescape(once)
	return twice, err == nil && strings.HasPrefix(twice, "/") && utf8.ValidString(twice)
}

// query reads a query string, pair by pair. What does not decode stays as it was sent; no page says what becomes of it.
func query(raw string) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		for _, part := range []*string{&name, &value} {
			if text, err := url.QueryUnescape(*part); err == nil {
				*part = text
			}
		}
		values.Add(name, value)
	}
	return values
}

// forwarded adds the headers that the gateway adds or writes anew. Connection belongs to this hop only; captured REST
// events have no Content-Length, those of HTTP APIs do.
func (c *call) forwarded() {
	via := c.ip
	if before := c.request.Header.Values("X-Forwarded-For"); len(before) > 0 {
		via = strings.Join(before, ", ") + ", " + c.ip
	}
	for name := range c.sent {
		switch http.CanonicalHeaderKey(name) {
		case "Connection", "Content-Length", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Amzn-Trace-Id":
			delete(c.sent, name)
		}
	}
	c.headers.Del("Connection")
	trace := traceID()
	for _, h := range []http.Header{c.headers, c.sent} {
		h.Set("Host", c.request.Host)
		h.Set("X-Forwarded-For", via)
		h.Set("X-Forwarded-Proto", "http")
		h.Set("X-Forwarded-Port", c.api.port)
		h.Set("X-Amzn-Trace-Id", trace)
	}
	if agent := c.request.UserAgent(); agent != "" {
		c.sent.Set("User-Agent", agent)
	}
}

// arn names what is asked, by the actual path and never by the template: encoded as sent on a REST API, decoded on an
// HTTP API. AWS documents the encoding for neither: docs/adr/0002.
func (c *call) arn() string {
	a := c.api
	arn := "arn:" + serverless.Partition(a.region) + ":execute-api:" + a.region + ":" + a.account + ":" + a.id + "/" + a.stage + "/"
	if a.protocol == authorizer.WebSocket {
		return arn + authorizer.Connect
	}
	return arn + c.request.Method + c.path
}

// identity gives the values of the identity sources in their order; false where one is absent or empty. A header's name
// has no case, a parameter's has.
func (c *call) identity() ([]string, bool) {
	var values []string
	for _, s := range c.route.authorizer.IdentitySources {
		var found []string
		switch s.From {
		case "header":
			found = c.headers.Values(s.Name)
		case "querystring":
			found = c.query[s.Name]
		case "context":
			found = []string{c.contextValue(s.Name, nil)}
		} // a stage has no variables here
		if len(found) == 0 {
			return nil, false
		}
		value := found[len(found)-1] // as in the event's single-value map
		if c.api.protocol == authorizer.HTTP {
			value = strings.Join(found, ",")
		}
		if value == "" {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// contextValue is a variable of $context: "requestId", "identity.sourceIp", "authorizer.sub". Empty where it has no
// value, as it is in a gateway response; what AWS makes of such a variable is documented nowhere.
func (c *call) contextValue(name string, v *verdict) string {
	a := c.api
	if key, ofAuthorizer := strings.CutPrefix(name, "authorizer."); ofAuthorizer {
		if value, given := v.restContext()[key]; given {
			return fmt.Sprint(value)
		}
		return ""
	}
	switch name {
	case "accountId":
		return a.account
	case "apiId":
		return a.id
	case "domainName":
		return c.domain
	case "domainPrefix":
		return c.domainPrefix()
	case "extendedRequestId":
		return c.extended
	case "httpMethod":
		return c.request.Method
	case "identity.sourceIp":
		return c.ip
	case "identity.userAgent":
		return c.request.UserAgent()
	case "path":
		return c.fullPath()
	case "protocol":
		return c.request.Proto
	case "requestId":
		return c.id
	case "requestTime":
		return c.time.Format(requestTime)
	case "requestTimeEpoch":
		return strconv.FormatInt(c.time.UnixMilli(), 10)
	case "resourcePath":
		if c.route != nil && a.protocol != authorizer.HTTP {
			return c.route.path
		}
	case "routeKey":
		if c.route != nil && a.protocol != authorizer.REST {
			return c.route.key
		}
	case "stage":
		return a.stage
	}
	return ""
}

// fullPath is the path with what stands before it: the base path of a custom domain, or else the stage.
func (c *call) fullPath() string {
	if c.base != "" || c.domain != c.api.ownDomain() {
		return c.base + c.path
	}
	return c.api.prefix + c.path
}

func (c *call) domainPrefix() string {
	prefix, _, _ := strings.Cut(c.domain, ".")
	return prefix
}

// authorized asks the route's authorizer, if it has one: its context for the handler, or the refusal.
func (c *call) authorized(ctx context.Context) (*verdict, *answer) {
	g := c.route.authorizer
	if g == nil {
		return nil, nil
	}
	identity, ok := c.identity()
	if !ok || g.valid != nil && !g.valid.MatchString(identity[0]) {
		return nil, c.unauthorized()
	}
	v, refused := c.verdict(ctx, g, identity)
	if refused != nil {
		return nil, refused
	}
	if e := v.effect(c.iamRequest()); e != allow {
		return nil, c.denied(e, v)
	}
	return v, nil
}

// verdict gives what the authorizer says of these values: what it said before, or what it says now.
func (c *call) verdict(ctx context.Context, g *guard, identity []string) (*verdict, *answer) {
	if g.TTL > 0 {
		if v := g.cache.get(identity, c.time); v != nil {
			c.api.counters.hit(c.api.protocol, g.Name)
			return v, nil
		}
		c.api.counters.miss(c.api.protocol, g.Name)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.api.authorize)
	defer cancel()
	payload, failure, err := g.function.Invoke(ctx, c.authorizerEvent(identity))
	switch {
	case err != nil:
		g.function.note("request %s: %v", c.id, err)
		return nil, c.misconfigured()
	case failure != nil && failure.Message == authorizer.ErrUnauthenticated.Error():
		return nil, c.unauthorized()
	case failure != nil:
		g.function.note("request %s: authorizer failed: %s", c.id, failure.Type)
		return nil, c.misconfigured()
	}
	v, err := parseVerdict(payload, c.api.protocol, g.SimpleResponses)
	if err != nil {
		g.function.note("request %s: authorizer's answer: %v", c.id, err)
		return nil, c.misconfigured()
	}
	if g.TTL > 0 {
		g.cache.put(identity, v, c.api.now(), g.TTL)
	}
	answered := *v // a kept answer takes no time
	answered.latency = time.Since(began)
	return &answered, nil
}

// handled asks the handler and gives its answer, or the gateway's own where there is none.
func (c *call) handled(ctx context.Context, v *verdict) *answer {
	limit, cancel := context.WithTimeout(ctx, c.api.integrate)
	defer cancel()
	payload, failure, err := c.route.function.Invoke(limit, c.handlerEvent(v))
	switch {
	case errors.Is(err, ErrPayload):
		return c.tooLarge()
	case errors.Is(limit.Err(), context.DeadlineExceeded) && err != nil:
		return c.tooSlow()
	case err != nil:
		c.route.function.note("request %s: %v", c.id, err)
		return c.failed()
	case failure != nil && failure.Type == throttled:
		return c.busy()
	case failure != nil:
		c.route.function.note("request %s: handler failed: %s", c.id, failure.Type)
		return c.failed()
	}
	a, err := c.parseAnswer(payload)
	if err != nil {
		c.route.function.note("request %s: handler's answer: %v", c.id, err)
		return c.failed()
	}
	return a
}

// resourceID stands for the id that API Gateway gives a resource: six characters, the same for the same path.
func resourceID(path string) string {
	h := fnv.New32a()
	_, _ = io.WriteString(h, path)
	return fmt.Sprintf("%06x", h.Sum32()&0xffffff)
}
