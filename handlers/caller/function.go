package caller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Handler answers one request. It may run for several at once.
type Handler func(ctx context.Context, r Request) Response

// Function is a Lambda function behind API Gateway, for lambda.Start. It always answers the gateway itself: its errors
// and its handler's panics are 500s without any detail, and lines of JSON on standard error with it.
type Function struct {
	handler Handler
	guarded bool
	origin  string // of the pages that may read what a REST API answers; "": none
	now     func() time.Time
	log     *slog.Logger
}

// Guarded gives a function for routes with Gatehouse's authorizer. The handler is called only with a complete caller
// whose token has not expired: without the authorizer's context, or with one that is not as Gatehouse writes it, the
// answer is 500, and 401 once the token has ended (a cached answer of the authorizer can outlive it).
func Guarded(h Handler) *Function { return newFunction(h, true) }

// Public gives a function for routes without an authorizer. Its requests have no caller, whatever the event says.
func Public(h Handler) *Function { return newFunction(h, false) }

// newFunction reads CORS_ORIGIN: behind a REST API the integration itself must tell browsers who may read its answers
// (API Gateway Developer Guide, "CORS for REST APIs in API Gateway"). An HTTP API does so in its place.
func newFunction(h Handler, guarded bool) *Function {
	return &Function{handler: h, guarded: guarded, origin: os.Getenv("CORS_ORIGIN"), now: time.Now, log: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
}

// Invoke answers an integration event of a REST API or of an HTTP API (payload format 2.0) in the form that it expects.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, err := readEvent(payload)
	if err != nil {
		f.log.ErrorContext(ctx, "event refused", "error", err.Error())
		return internalError("").encode(false, f.origin, nil) // both kinds of API read this form
	}
	c, err := f.caller(e)
	if errors.Is(err, errExpired) {
		f.log.WarnContext(ctx, "caller refused", "route", e.route, "decision_id", c.DecisionID, "error", err.Error())
		return refusal(Refuse(401, "token_expired", "the token has expired"), c.DecisionID).encode(e.http, f.origin, nil)
	}
	if err != nil {
		f.log.ErrorContext(ctx, "caller refused", "route", e.route, "error", err.Error())
		return internalError("").encode(e.http, f.origin, nil)
	}
	r, err := e.request(c)
	if err != nil {
		return refusal(Refuse(400, "request_malformed", err.Error()), c.DecisionID).encode(e.http, f.origin, c.Warnings)
	}
	out, err := f.run(ctx, r)
	if err != nil {
		f.log.ErrorContext(ctx, "handler failed", "route", e.route, "decision_id", c.DecisionID, "error", err.Error())
		out = internalError(c.DecisionID)
	}
	return out.encode(e.http, f.origin, c.Warnings)
}

func (f *Function) caller(e event) (Caller, error) {
	if !f.guarded {
		return Caller{}, nil
	}
	return fromContext(e.authorizer, f.now())
}

// run calls the handler and renders its answer. A panic in either is an error: aws-lambda-go would end the process for it.
func (f *Function) run(ctx context.Context, r Request) (out reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = reply{}, panicError(p)
		}
	}()
	return render(f.handler(ctx, r), r.Caller.DecisionID)
}

// panicError says where the code panicked. Its value stays out of the log, since it could quote the request, but for the
// runtime's own: those speak of types and indexes.
func panicError(p any) error {
	if e, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w\n%s", e, debug.Stack())
	}
	return fmt.Errorf("panic: %T\n%s", p, debug.Stack())
}

func internalError(decisionID string) reply {
	return refusal(Refuse(500, "internal", "internal server error"), decisionID)
}

// refusal renders a Problem. That can't fail; a reply without a status would be a 5xx at the gateway all the same.
func refusal(r Response, decisionID string) reply {
	out, _ := render(r, decisionID)
	return out
}

// Routes are the handlers of a function that has several routes, by route: "GET /orders/{id}".
type Routes map[string]Handler

// Serve is the Handler that calls the route's own. It answers 405 on a template that has other methods and 404 on any
// other: the gateway was told of a route that the function doesn't know.
func (rs Routes) Serve(ctx context.Context, r Request) Response {
	if h, ok := rs[r.Route]; ok {
		return h(ctx, r)
	}
	var allowed []string
	for route := range rs {
		if method, template, _ := strings.Cut(route, " "); r.Route == r.Method+" "+template {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return Refuse(404, "route_unknown", "no such route")
	}
	slices.Sort(allowed)
	refused := Refuse(405, "method_not_allowed", "method "+r.Method+" is not allowed here")
	refused.Headers = map[string]string{"Allow": strings.Join(allowed, ", ")}
	return refused
}
