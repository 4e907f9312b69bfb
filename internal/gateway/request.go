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
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/authorizer"
)

// call is one request on its way through an API.
type call struct {
	api      *api
	route    *route
	request  *http.Request
	path     string // without the stage: as sent on a REST API, decoded on an HTTP API
	params   map[string]string
	query    url.Values
	headers  http.Header // with those that the gateway adds
	body     []byte
	ip       string
	id       string
	extended string
	time     time.Time
}

// maxARN is the longest method ARN; a request with a longer one is answered 414 (API Gateway Developer Guide, "Output
// from an API Gateway Lambda authorizer").
const maxARN = 1600

// maxBody is the longest request body (API Gateway Developer Guide, "Quotas").
const maxBody = 10 << 20

// ServeHTTP takes a request the gateway's way: route, identity sources, authorizer, policy, handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, refused := a.call(r)
	w.Header().Set(a.requestIDHeader(), c.id)
	if refused != nil {
		refused.write(w)
		return
	}
	v, refused := c.authorized(r.Context())
	if refused != nil {
		refused.write(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			a.tooLarge().write(w)
		}
		return // else the client is gone
	}
	c.body = body
	c.handled(r.Context(), v).write(w)
}

func (a *api) requestIDHeader() string {
	if a.protocol == authorizer.REST {
		return "X-Amzn-Requestid"
	}
	return "Apigw-Requestid"
}

// call reads a request, or says why there is no route for it.
func (a *api) call(r *http.Request) (*call, *answer) {
	c := &call{api: a, request: r, time: a.now().UTC(), id: a.newID(), extended: strings.ReplaceAll(a.newID(), "-", "")[:15] + "="}
	c.ip, _, _ = net.SplitHostPort(r.RemoteAddr)
	if headerSize(r) > maxHeader {
		return c, a.message(http.StatusRequestHeaderFieldsTooLarge, "", "Request Header Fields Too Large")
	}
	path, ok := strings.CutPrefix(sentPath(r), a.prefix)
	if path == "" {
		path = "/"
	}
	if a.protocol == authorizer.HTTP && ok {
		// Matched after decoding: no page says so, but the event's own path is the decoded one.
		path, ok = decoded(path)
	}
	if !ok || path[0] != '/' {
		return c, a.noRoute()
	}
	c.path = path
	if c.route, c.params = a.find(r.Method, path); c.route == nil {
		return c, a.noRoute()
	}
	if c.route.authorizer != nil && len(c.arn()) > maxARN {
		return c, a.message(http.StatusRequestURITooLong, "", "Request URI too long")
	}
	c.query, _ = url.ParseQuery(r.URL.RawQuery) // pairs that cannot be read are left out
	c.headers = a.headers(r, c.ip)
	return c, nil
}

// headerSize is the length of the request line and of the headers as HTTP/1.1 writes them.
func headerSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n") + len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value) + len(": \r\n")
		}
	}
	return n
}

// sentPath is the path as the client spelt it: net/url would give back its own spelling of some.
func sentPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath()
}

func decoded(path string) (string, bool) {
	d, err := url.PathUnescape(path)
	return d, err == nil && d != "" && utf8.ValidString(d)
}

// headers are the client's with those that the gateway adds. Connection belongs to this hop only.
func (a *api) headers(r *http.Request, ip string) http.Header {
	h := r.Header.Clone()
	h.Del("Connection")
	h.Set("Host", r.Host)
	forwarded := ip
	if via := h.Values("X-Forwarded-For"); len(via) > 0 {
		forwarded = strings.Join(via, ", ") + ", " + ip
	}
	h.Set("X-Forwarded-For", forwarded)
	h.Set("X-Forwarded-Proto", "http")
	h.Set("X-Forwarded-Port", a.port)
	h.Set("X-Amzn-Trace-Id", traceID())
	return h
}

// arn names what is asked, by the actual path and never by the template: encoded as sent on a REST API, decoded on an
// HTTP API. AWS documents the encoding for neither; the assumption stands in docs/adr.
func (c *call) arn() string {
	a := c.api
	return "arn:" + partition(a.region) + ":execute-api:" + a.region + ":" + a.account + ":" + a.id + "/" + a.stage + "/" + c.request.Method + c.path
}

// identity gives the values of the identity sources in their order; false where one is absent or empty.
func (c *call) identity() ([]string, bool) {
	var values []string
	for _, s := range c.route.authorizer.IdentitySources {
		found := c.query[s.Name]
		if s.From == "header" {
			found = c.headers.Values(s.Name)
		}
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
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.api.authorize)
	defer cancel()
	payload, failure, err := g.function.Invoke(ctx, c.authorizerEvent(identity))
	switch {
	case err != nil:
		g.function.note("request %s: %v", c.id, err)
		return nil, c.api.misconfigured()
	case failure != nil && failure.Message == authorizer.ErrUnauthenticated.Error():
		return nil, c.unauthorized()
	case failure != nil:
		g.function.note("request %s: authorizer failed: %s", c.id, failure.Type)
		return nil, c.api.misconfigured()
	}
	v, err := parseVerdict(payload, c.api.protocol, g.SimpleResponses)
	if err != nil {
		g.function.note("request %s: authorizer's answer: %v", c.id, err)
		return nil, c.api.misconfigured()
	}
	v.latency = time.Since(began)
	if e := v.effect(c.iamRequest()); e != allow {
		return nil, c.denied(e, v)
	}
	return v, nil
}

// handled asks the handler and gives its answer, or the gateway's own where there is none.
func (c *call) handled(ctx context.Context, v *verdict) *answer {
	limit, cancel := context.WithTimeout(ctx, c.api.integrate)
	defer cancel()
	payload, failure, err := c.route.function.Invoke(limit, c.handlerEvent(v))
	switch {
	case errors.Is(limit.Err(), context.DeadlineExceeded) && err != nil:
		return c.api.tooSlow()
	case err != nil:
		c.route.function.note("request %s: %v", c.id, err)
		return c.api.failed()
	case failure != nil:
		c.route.function.note("request %s: handler failed: %s", c.id, failure.Type)
		return c.api.failed()
	}
	a, err := parseAnswer(payload, c.api.protocol)
	if err != nil {
		c.route.function.note("request %s: handler's answer: %v", c.id, err)
		return c.api.failed()
	}
	return a
}

// resourceID stands for the id that API Gateway gives a resource: six characters, the same for the same path.
func resourceID(path string) string {
	h := fnv.New32a()
	_, _ = io.WriteString(h, path)
	return fmt.Sprintf("%06x", h.Sum32()&0xffffff)
}
