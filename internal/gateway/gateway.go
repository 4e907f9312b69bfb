// Package gateway is an API Gateway for this machine. It reads the routes of a serverless.yml, serves them as a REST API
// and as an HTTP API, and runs the real Lambda executables behind them as processes that talk to it through the Lambda
// Runtime API. What it answers, and when, follows API Gateway's documents, refusals and odd spellings included.
//
// It listens on loopback addresses only. Two things it cannot see: the case in which a client wrote a header's name
// (net/http keeps the canonical form), and whatever AWS documents nowhere; such choices are named where they are made.
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

// The ids of the two APIs of this machine, as ARNs spell them.
const (
	RESTAPI = "localrest0"
	HTTPAPI = "localhttp0"
)

// Config says what to serve. Every field but Environment, Output and Account is required.
type Config struct {
	Service     *serverless.Service
	Bootstrap   func(function string) string            // path of its executable
	Environment func(function string) map[string]string // on top of the file's
	REST, HTTP  string                                  // loopback addresses; port 0 takes a free one
	Output      func(function string) io.Writer         // standard output and error of its processes; called from several goroutines if functions share it
	Account     string                                  // 12 digits; empty: "123456789012"
}

// Gateway serves both APIs until it is closed.
type Gateway struct {
	rest, http *api
	functions  map[string]*Function
	servers    []*http.Server
	closing    sync.Once
	closed     error

	mu   sync.Mutex
	stop func() bool
}

// api is one API with its routes.
type api struct {
	protocol  authorizer.Protocol
	id        string
	stage     string
	region    string
	account   string
	prefix    string // "/dev", or empty
	url       string
	port      string
	table     authorizer.Routes
	routes    map[string]*route
	responses map[string]serverless.GatewayResponse // of a REST API, by type
	now       func() time.Time
	newID     func() string
	integrate time.Duration // how long a handler may take
	authorize time.Duration // how long an authorizer may take
}

type route struct {
	key        string // "GET /orders/{id}"
	path       string // "/orders/{id}", or "$default"
	function   *Function
	authorizer *guard
}

// guard is the authorizer of a route with what runs it.
type guard struct {
	serverless.Authorizer
	function *Function
	valid    *regexp.Regexp // nil: every value
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
		rest:      newAPI(c, authorizer.REST),
		http:      newAPI(c, authorizer.HTTP),
	}
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
		fn, err := NewFunction(c.function(f))
		faults = append(faults, err)
		g.functions[f.Name] = fn
	}
	faults = append(faults, g.rest.route(c.Service, g.functions), g.http.route(c.Service, g.functions))
	for _, a := range []struct {
		api     *api
		address string
	}{{g.rest, c.REST}, {g.http, c.HTTP}} {
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
			Handler:           local(a.api),
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			WriteTimeout:      2 * time.Minute, // an authorizer and a handler, each at its limit
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    maxHeader, // and up to 8 KB more, by net/http's way of counting
		}
		g.servers = append(g.servers, server)
		go func() { _ = server.Serve(l) }() // ends with Close
	}
	return errors.Join(faults...)
}

// maxHeader is how long the request line and the headers may be together (API Gateway Developer Guide, "Quotas").
const maxHeader = 10_240

// RESTURL is where the REST API stands, stage included: "http://127.0.0.1:8787/dev".
func (g *Gateway) RESTURL() string { return g.rest.url }

// HTTPURL is where the HTTP API stands: "http://127.0.0.1:8788".
func (g *Gateway) HTTPURL() string { return g.http.url }

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
	for _, a := range []struct{ name, address string }{{"REST", c.REST}, {"HTTP", c.HTTP}} {
		host, _, err := net.SplitHostPort(a.address)
		ip := net.ParseIP(host)
		fault(err != nil || !ip.IsLoopback(), "%s address %q: want a loopback address and a port", a.name, a.address)
	}
	if c.Service == nil {
		return errors.Join(faults...)
	}
	fault(c.Service.HTTPCORS, "provider.httpApi.cors is not supported yet")
	seen := map[string]bool{}
	for _, f := range c.Service.Functions {
		if serves(c.Service, f) {
			fault(!strings.HasPrefix(f.Runtime, "provided."), "function %s: runtime %q is not supported: want provided.al2023", f.Name, f.Runtime)
		}
		for _, e := range f.Events {
			at := fmt.Sprintf("line %d: %s", e.Line, e.Route())
			fault(e.Protocol == authorizer.WebSocket, "%s: WebSocket APIs are not supported yet", at)
			fault(e.CORS, "%s: cors is not supported yet", at)
			if e.Authorizer == nil || e.Protocol == authorizer.WebSocket || seen[string(e.Protocol)+e.Authorizer.Name] {
				continue
			}
			a := e.Authorizer
			seen[string(e.Protocol)+a.Name] = true
			fault(a.TTL > 0, "%s authorizer %s: caching is not supported yet: set resultTtlInSeconds to 0", e.Protocol, a.Name)
			for _, s := range a.IdentitySources {
				fault(s.From != "header" && s.From != "querystring", "%s authorizer %s: identity source %s is not supported yet", e.Protocol, a.Name, s.Expression)
			}
		}
	}
	return errors.Join(faults...)
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

// newAPI gives an API without routes. Its limits are those of the Developer Guide, "Quotas": a REST API's integration
// has 29 s; an HTTP API's has 30 s and its authorizers 10 s. For a REST API's authorizer no page states one; it gets the
// integration's.
func newAPI(c Config, p authorizer.Protocol) *api {
	a := &api{
		protocol: p, id: RESTAPI, stage: c.Service.Stage, prefix: "/" + c.Service.Stage,
		region: c.Service.Region, account: c.Account, routes: map[string]*route{}, responses: c.Service.GatewayResponses,
		now: time.Now, newID: newID, integrate: 29 * time.Second, authorize: 29 * time.Second,
	}
	if p == authorizer.HTTP {
		a.id, a.stage, a.prefix, a.responses = HTTPAPI, "$default", "", nil // an HTTP API has no gateway responses
		a.integrate, a.authorize = 30*time.Second, 10*time.Second
	}
	return a
}

// route fills in the routes. A function that could not be made is nil here: Start fails for it.
func (a *api) route(s *serverless.Service, functions map[string]*Function) error {
	var keys []string
	var faults []error
	for _, f := range s.Functions {
		for _, e := range f.Events {
			if e.Protocol != a.protocol {
				continue
			}
			r := &route{key: e.Route(), path: e.Path, function: functions[f.Name]}
			if e.Authorizer != nil {
				r.authorizer = &guard{Authorizer: *e.Authorizer, function: functions[e.Authorizer.Function]}
				if x := e.Authorizer.ValidationExpression; x != "" {
					// Whether a part may match is documented nowhere; the whole is the stricter reading.
					var err error
					r.authorizer.valid, err = regexp.Compile("^(?:" + x + ")$")
					faults = append(faults, err)
				}
			}
			a.routes[r.key] = r
			key := r.key
			if a.protocol == authorizer.REST { // first the resource, whatever the method
				key = "ANY " + e.Path
			}
			if r.path != "$default" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	var err error
	a.table, err = authorizer.NewRoutes(keys)
	return errors.Join(append(faults, err)...)
}

// find gives the route for a method and a path, and the path's parameters. A REST API looks for the resource first and
// then for the method; an HTTP API takes the best route that has the method (Developer Guide, "Create routes for HTTP
// APIs": full match, greedy match, $default). A REST API takes "/orders/" for "/orders" where nothing greedy takes it.
func (a *api) find(method, path string) (*route, map[string]string) {
	req := a.table.Complete(authorizer.Request{Protocol: a.protocol, Method: method, Path: authorizer.Segments(path)})
	if short, slash := strings.CutSuffix(path, "/"); slash && short != "" && !strings.HasSuffix(short, "/") && req.Route == "" && a.protocol == authorizer.REST {
		return a.find(method, short)
	}
	r := a.routes[req.Route]
	if a.protocol == authorizer.REST {
		resource := strings.TrimPrefix(req.Route, "ANY ")
		if own := a.routes[method+" "+resource]; own != nil {
			r = own
		}
		return r, req.Params
	}
	if r == nil {
		r = a.routes["$default"]
	}
	return r, req.Params
}
