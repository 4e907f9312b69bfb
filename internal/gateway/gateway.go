// Package gateway is an API Gateway for this machine. It reads the routes of a serverless.yml, serves them as a REST API,
// as an HTTP API and as a WebSocket API, and runs the real Lambda executables behind them as processes that talk to it
// through the Lambda Runtime API. What it answers, and when, follows API Gateway's documents, refusals and odd spellings
// included; docs/fidelity.md lists each point with its source.
//
// It listens on loopback addresses only. What AWS documents nowhere is a choice, named where it is made.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

// The ids of the APIs of this machine, as ARNs spell them.
const (
	RESTAPI      = serverless.RESTAPI
	HTTPAPI      = serverless.HTTPAPI
	WebSocketAPI = serverless.WebSocketAPI
)

// Config says what to serve. Service, Bootstrap, REST and HTTP are required.
type Config struct {
	Service     *serverless.Service
	Bootstrap   func(function string) string            // path of its executable
	Environment func(function string) map[string]string // on top of the file's
	REST, HTTP  string                                  // loopback addresses; port 0 takes a free one
	WebSocket   string                                  // likewise; required where the file has such routes, else not used
	Output      func(function string) io.Writer         // standard output and error of its processes; called from several goroutines if functions share it
	Account     string                                  // 12 digits; empty: "123456789012"
	Now         func() time.Time                        // the clock of requests and caches; nil: time.Now
}

// Gateway serves the APIs until it is closed.
type Gateway struct {
	rest, http, websocket *api
	functions             map[string]*Function
	counters              counters
	servers               []*http.Server
	closing               sync.Once
	closed                error

	mu   sync.Mutex
	stop func() bool
}

// api is one API with its routes.
type api struct {
	protocol   authorizer.Protocol
	id         string
	stage      string
	region     string
	account    string
	prefix     string // "/dev", or empty
	url        string
	port       string
	table      authorizer.Routes
	routes     map[string]*route
	responses  map[string]serverless.GatewayResponse // of a REST API, by type
	preflights map[string]serverless.CORS            // of a REST API, by path template
	cors       *serverless.CORS                      // of an HTTP API
	mappings   []serverless.Mapping                  // of every API
	binary     []string                              // media types of a REST API that are not text
	selection  string                                // of a WebSocket API: the member of a message that names its route, "action" or "a.b"
	sockets    connections
	counters   *counters
	now        func() time.Time
	newID      func() string
	integrate  time.Duration // how long a handler may take
	authorize  time.Duration // how long an authorizer may take
}

type route struct {
	key        string // "GET /orders/{id}"
	path       string // "/orders/{id}", or "$default"
	function   *Function
	authorizer *guard
	answers    bool // of a WebSocket API: what the handler answers goes back to the client
}

// guard is an authorizer of an API with what runs it. Its routes share it, and its cache.
type guard struct {
	serverless.Authorizer
	function *Function
	valid    *regexp.Regexp // nil: every value
	cache    cache
}

// Start checks everything, naming all faults at once, then listens. Functions start on demand. The gateway closes itself
// when ctx ends.
func Start(ctx context.Context, c Config) (*Gateway, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	setDefault(&c.Account, serverless.AccountID)
	g := &Gateway{
		functions: map[string]*Function{},
	}
	g.rest, g.http, g.websocket = newAPI(c, authorizer.REST, &g.counters), newAPI(c, authorizer.HTTP, &g.counters), newAPI(c, authorizer.WebSocket, &g.counters)
	if err := g.start(c); err != nil {
		return nil, errors.Join(fmt.Errorf("start gateway: %w", err), g.Close())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop = context.AfterFunc(ctx, func() { _ = g.Close() })
	return g, nil
}

func (g *Gateway) start(c Config) error {
	var faults []error
	for _, f := range c.Service.Functions {
		if !serves(c.Service, f) {
			continue
		}
		fc := c.function(f)
		fc.count = func(metric string) { g.counters.function(metric, f.Name) }
		fn, err := NewFunction(fc)
		faults = append(faults, err)
		g.functions[f.Name] = fn
	}
	type listener struct {
		api     *api
		address string
		handler http.Handler
	}
	served := []listener{{g.rest, c.REST, g.rest.management(g.rest)}, {g.http, c.HTTP, g.http}}
	if sockets(c.Service) {
		served = append(served, listener{g.websocket, c.WebSocket, http.HandlerFunc(g.websocket.connect)})
	}
	for _, a := range served {
		faults = append(faults, a.api.route(c.Service, g.functions))
		l, err := net.Listen("tcp", a.address)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%s API: address %s is in use by another program; choose another port: %w", a.api.protocol, a.address, err)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		a.api.url = "http://" + l.Addr().String() + a.api.prefix
		a.api.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		server := &http.Server{
			Handler:           spell(local(g.counted(a.handler), func(host string) bool { return a.api.mapped(host) != nil })),
			ConnContext:       rememberConn,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			WriteTimeout:      2 * time.Minute, // an authorizer and a handler, each at its limit
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    maxRead,

			DisableGeneralOptionsHandler: true, // "OPTIONS *" is a request like any other
		}
		g.servers = append(g.servers, server)
		go func() { _ = server.Serve(spelt{l}) }() // ends with Close
	}
	return errors.Join(faults...)
}

// maxRead is how much of a request's head is read at all: more than any API takes, so that the API itself refuses.
const maxRead = 64 << 10

// counted serves the page of counters beside an API.
func (g *Gateway) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath {
			g.counters.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// RESTURL is where the REST API stands, stage included: "http://127.0.0.1:8787/dev".
func (g *Gateway) RESTURL() string { return g.rest.url }

// HTTPURL is where the HTTP API stands: "http://127.0.0.1:8788".
func (g *Gateway) HTTPURL() string { return g.http.url }

// WebSocketURL is where the WebSocket API stands, stage included: "ws://127.0.0.1:8792/dev"; empty where the file has none.
func (g *Gateway) WebSocketURL() string { return strings.Replace(g.websocket.url, "http", "ws", 1) }

// MetricsURL is where the counters of all APIs and functions are shown, as text.
func (g *Gateway) MetricsURL() string {
	return g.http.url + metricsPath
}

// Close stops listening and ends every process. It returns when all of them are gone.
func (g *Gateway) Close() error {
	g.closing.Do(func() {
		g.mu.Lock()
		if g.stop != nil {
			g.stop()
		}
		g.mu.Unlock()
		var faults []error
		for _, s := range g.servers {
			faults = append(faults, s.Close())
		}
		g.websocket.hangUp()
		var wait sync.WaitGroup
		for _, f := range g.functions {
			if f != nil {
				wait.Go(func() { _ = f.Close() }) // has no error to give
			}
		}
		wait.Wait()
		g.closed = errors.Join(faults...)
	})
	return g.closed
}

// check names everything that is missing, and everything that the file asks for and this gateway doesn't do.
func (c Config) check() error {
	var faults []error
	fault := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Service == nil, "no service")
	fault(c.Bootstrap == nil, "no bootstrap")
	fault(c.Account != "" && !accountID.MatchString(c.Account), "account %q: want 12 digits", c.Account)
	type address struct{ name, address string }
	addresses := []address{{"REST", c.REST}, {"HTTP", c.HTTP}}
	if c.Service != nil && sockets(c.Service) {
		addresses = append(addresses, address{"WebSocket", c.WebSocket})
	}
	for _, a := range addresses {
		host, _, err := net.SplitHostPort(a.address)
		ip := net.ParseIP(host)
		fault(err != nil || !ip.IsLoopback(), "%s address %q: want a loopback address and a port", a.name, a.address)
	}
	if c.Service == nil {
		return errors.Join(faults...)
	}
	seen := map[string]bool{}
	for _, f := range c.Service.Functions {
		if serves(c.Service, f) {
			fault(!strings.HasPrefix(f.Runtime, "provided."), "function %s: runtime %q is not supported: want provided.al2023", f.Name, f.Runtime)
		}
		for _, e := range f.Events {
			if e.Authorizer == nil || seen[string(e.Protocol)+e.Authorizer.Name] {
				continue
			}
			a := e.Authorizer
			seen[string(e.Protocol)+a.Name] = true
			for _, s := range a.IdentitySources {
				fault(s.From == "context" && !slices.Contains(serverless.RequestContext, s.Name), "%s authorizer %s: identity source %s has no value on this machine", e.Protocol, a.Name, s.Expression)
			}
		}
	}
	return errors.Join(faults...)
}

// sockets says whether the file has routes of a WebSocket API.
func sockets(s *serverless.Service) bool {
	return slices.ContainsFunc(s.Functions, func(f serverless.Function) bool {
		return slices.ContainsFunc(f.Events, func(e serverless.Event) bool { return e.Protocol == authorizer.WebSocket })
	})
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// serves says whether a function has routes or is the authorizer of one; others never run here.
func serves(s *serverless.Service, f serverless.Function) bool {
	return len(f.Events) > 0 || slices.ContainsFunc(s.Functions, func(other serverless.Function) bool {
		return slices.ContainsFunc(other.Events, func(e serverless.Event) bool {
			return e.Authorizer != nil && e.Authorizer.Function == f.Name
		})
	})
}

func (c Config) function(f serverless.Function) FunctionConfig {
	fc := FunctionConfig{
		Name:        c.Service.Name + "-" + c.Service.Stage + "-" + f.Name, // as the framework names it
		Bootstrap:   c.Bootstrap(f.Name),
		Handler:     f.Handler,
		Environment: map[string]string{},
		Timeout:     f.Timeout,
		Memory:      f.Memory,
		Reserved:    f.Reserved,
		Region:      c.Service.Region,
		Account:     c.Account,
	}
	for name, value := range f.Environment {
		fc.Environment[name] = value
	}
	if c.Environment != nil {
		for name, value := range c.Environment(f.Name) {
			fc.Environment[name] = value
		}
	}
	if c.Output != nil {
		fc.Output = c.Output(f.Name)
	}
	return fc
}

// newAPI gives an API without routes. Its limits are those of the Developer Guide, "Quotas": a REST API's and a WebSocket
// API's integration has 29 s; an HTTP API's has 30 s and its authorizers 10 s. For the authorizer of the others no page
// states one; it gets the integration's.
func newAPI(c Config, p authorizer.Protocol, counts *counters) *api {
	s := c.Service
	a := &api{
		protocol: p, mappings: s.Mappings, id: RESTAPI, stage: s.Stage, prefix: "/" + s.Stage, region: s.Region, account: c.Account,
		routes: map[string]*route{}, counters: counts, now: c.Now, newID: newID, integrate: 29 * time.Second, authorize: 29 * time.Second,
	}
	if a.now == nil {
		a.now = time.Now
	}
	switch p {
	case authorizer.REST:
		a.responses, a.preflights, a.binary = s.GatewayResponses, s.Preflight, s.BinaryMediaTypes
	case authorizer.HTTP: // it has no gateway responses; the framework deploys it to the stage $default
		a.id, a.stage, a.prefix, a.cors = HTTPAPI, "$default", "", s.HTTPCORS
		a.integrate, a.authorize = 30*time.Second, 10*time.Second
	case authorizer.WebSocket:
		a.id, a.mappings = WebSocketAPI, nil
		a.selection = strings.TrimPrefix(s.RouteSelection, "$request.body.")
	}
	return a
}

// route fills in the routes. A function that could not be made is nil here: Start fails for it.
func (a *api) route(s *serverless.Service, functions map[string]*Function) error {
	var keys []string
	var faults []error
	guards := map[string]*guard{}
	for _, f := range s.Functions {
		for _, e := range f.Events {
			if e.Protocol != a.protocol {
				continue
			}
			r := &route{key: e.Route(), path: e.Path, function: functions[f.Name], answers: e.Answers}
			if e.Authorizer != nil {
				g := guards[e.Authorizer.Name]
				if g == nil {
					g = &guard{Authorizer: *e.Authorizer, function: functions[e.Authorizer.Function]}
					guards[e.Authorizer.Name] = g
					if x := e.Authorizer.ValidationExpression; x != "" {
						var err error
						g.valid, err = regexp.Compile(x) // it is anchored, or the file would not have been read
						faults = append(faults, err)
					}
				}
				r.authorizer = g
			}
			a.routes[r.key] = r
			key := r.key
			if a.protocol == authorizer.REST { // first the resource, whatever the method
				key = "ANY " + e.Path
			}
			if a.protocol != authorizer.WebSocket && r.path != "$default" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	var err error
	a.table, err = authorizer.NewRoutes(keys)
	return errors.Join(append(faults, err)...)
}

// ownDomain is the name that API Gateway gives the API.
func (a *api) ownDomain() string { return a.id + ".execute-api." + a.region + ".amazonaws.com" }

// mapped gives the mappings of a custom domain, by the name under which a request came; nil for another name.
func (a *api) mapped(host string) []serverless.Mapping {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	var all []serverless.Mapping
	for _, m := range a.mappings {
		if strings.EqualFold(m.Domain, host) {
			all = append(all, m)
		}
	}
	return all
}

// longestBase gives the longest base path that a path begins with, "" or "/v1", whole segments only (Developer Guide,
// "Working with API mappings": the longest matching path), and whether it is this API's. A domain's APIs share its paths.
func (a *api) longestBase(mappings []serverless.Mapping, path string) (string, bool) {
	best, found := "", false
	for _, m := range mappings {
		base := ""
		if m.Path != "" {
			base = "/" + m.Path
		}
		if rest, begins := strings.CutPrefix(path, base); begins && (rest == "" || rest[0] == '/') && len(base) >= len(best) {
			best, found = base, m.API == a.protocol
		}
	}
	return best, found
}

// find gives the route for a method and a path, and the path's parameters. A REST API looks for the resource first and
// then for the method; an HTTP API takes the best route that has the method (Developer Guide, "Create routes for HTTP
// APIs": full match, greedy match, $default).
func (a *api) find(method, path string) (*route, map[string]string) {
	if a.protocol == authorizer.REST {
		resource, params := a.resource(path)
		if own := a.routes[method+" "+resource]; own != nil {
			return own, params
		}
		return a.routes["ANY "+resource], params
	}
	req := a.table.Complete(authorizer.Request{Protocol: a.protocol, Method: method, Path: authorizer.Segments(path)})
	r := a.routes[req.Route]
	if r == nil {
		r = a.routes["$default"]
	}
	return r, req.Params
}

// resource gives the path template of a REST API that takes a path, whatever the method, and the path's parameters; ""
// for none. It takes "/orders/" for "/orders" where nothing greedy takes it.
func (a *api) resource(path string) (string, map[string]string) {
	req := a.table.Complete(authorizer.Request{Protocol: a.protocol, Method: "ANY", Path: authorizer.Segments(path)})
	if short, slash := strings.CutSuffix(path, "/"); slash && short != "" && !strings.HasSuffix(short, "/") && req.Route == "" {
		return a.resource(short)
	}
	return strings.TrimPrefix(req.Route, "ANY "), req.Params
}
