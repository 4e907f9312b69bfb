// Package authorizer is the request line of Gatehouse: what happens, in order, when API Gateway asks its Lambda
// authorizer about one request. It imports the standard library only. The rooms below it each know one technology:
// [gatehouse/authorizer/apigw] the gateway's JSON, [gatehouse/authorizer/token] JOSE, [gatehouse/authorizer/pdp] Rego.
// They know this package and not each other.
//
// Everything fails closed: the zero [Decision] denies, an error never allows, and what cannot be recorded is not
// answered.
package authorizer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// Gateway reads the authorizer events of API Gateway and writes the answers that it understands.
type Gateway interface {
	// Request normalises an event; now becomes the request's time.
	Request(event []byte, now time.Time) (Request, error)
	// Answer gives the response document for a verdict. It never holds more than the verdict allows.
	Answer(Verdict) ([]byte, error)
}

// Authenticator turns credentials into the principal that they prove. On an error the principal is empty.
type Authenticator interface {
	Authenticate(ctx context.Context, c Credentials, now time.Time) (Principal, error)
}

// Policy decides. A decision is a pure function of the input and the policy's content.
type Policy interface {
	Decide(ctx context.Context, in Input) (Decision, error)
}

// Recorder keeps the record of an invocation. What it refuses to keep is not answered.
type Recorder interface {
	Record(Record) error
}

// Generation is all that one activation made active, immutable: configuration and policy go together, so that no
// request is decided by half of each.
type Generation struct {
	Revision      string // digest of the policy's content
	Gateway       Gateway
	Authenticator Authenticator
	Policy        Policy
	Routes        Routes     // for events that carry no route
	ClaimsRead    ClaimsRead // what records may keep of the claims
}

// Verdict is what the gateway is to be told: which decision, about whom and what, by which policy.
type Verdict struct {
	DecisionID string
	Revision   string
	Request    Request
	Principal  Principal
	Decision   Decision
}

// Authorizer answers authorizer events. It is safe for concurrent use.
type Authorizer struct {
	active   atomic.Pointer[Generation]
	recorder Recorder
	labels   map[string]string
	now      func() time.Time
	newID    func() string
}

// Config is what an Authorizer is made of. Every field but Labels is required.
type Config struct {
	Generation *Generation
	Recorder   Recorder
	Labels     map[string]string // set on every record
	Now        func() time.Time  // the function's clock, read once a request for all that is decided
	NewID      func() string     // decision ids
}

// New gives an Authorizer, or an error that names everything that is missing.
func New(c Config) (*Authorizer, error) {
	var faults []error
	missing := func(is bool, what string) {
		if is {
			faults = append(faults, errors.New("authorizer: no "+what))
		}
	}
	g := c.Generation
	missing(g == nil, "generation")
	missing(g != nil && g.Revision == "", "generation.revision")
	missing(g != nil && g.Gateway == nil, "generation.gateway")
	missing(g != nil && g.Authenticator == nil, "generation.authenticator")
	missing(g != nil && g.Policy == nil, "generation.policy")
	missing(c.Recorder == nil, "recorder")
	missing(c.Now == nil, "clock")
	missing(c.NewID == nil, "source of decision ids")
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	a := &Authorizer{recorder: c.Recorder, labels: maps.Clone(c.Labels), now: c.Now, newID: c.NewID}
	a.active.Store(g)
	return a, nil
}

// Authorize answers one event: with a response document, or with exactly [ErrUnauthenticated] or [ErrUnavailable].
// Whatever happened is recorded before it returns; without a record there is no answer.
func (a *Authorizer) Authorize(ctx context.Context, event []byte) ([]byte, error) {
	record := a.open()
	answer, failure := a.answer(ctx, event, a.active.Load(), record)
	if failure != nil {
		e := asError(failure)
		record.Error = &Failure{Code: e.Code, Message: e.detail()}
		answer, failure = nil, e.Kind
	}
	if err := a.recorder.Record(record.close(a.now())); err != nil {
		return nil, ErrUnavailable
	}
	return answer, failure
}

// answer is the request's whole way. A panic on it is an error like any other: the process lives on, the door stays shut.
func (a *Authorizer) answer(ctx context.Context, event []byte, g *Generation, r *draft) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, Unavailable("panic", fmt.Errorf("%T at %s", p, panicSite()))
		}
	}()
	r.by(g)
	req, err := g.Gateway.Request(event, r.Timestamp)
	if err != nil {
		return nil, err
	}
	req = g.Routes.Complete(req)
	input := Input{Version: InputVersion, Request: req}
	r.saw(input, g.ClaimsRead)
	r.lap("timer_gatehouse_normalise_ns", a.now())

	input.Principal, err = g.Authenticator.Authenticate(ctx, req.Credentials, r.Timestamp)
	r.lap("timer_gatehouse_authenticate_ns", a.now())
	if err != nil {
		return nil, err
	}
	r.saw(input, g.ClaimsRead)

	decision := Malformed(req.Malformed)
	if req.Malformed == "" {
		decision, err = g.Policy.Decide(ctx, input)
	}
	r.lap("timer_rego_query_eval_ns", a.now())
	if err != nil {
		return nil, err
	}
	answer, err = g.Gateway.Answer(Verdict{r.DecisionID, g.Revision, req, input.Principal, decision})
	r.lap("timer_gatehouse_answer_ns", a.now())
	if err != nil {
		return nil, err
	}
	r.decided(decision)
	return answer, nil
}

// draft is a record that is still being filled in.
type draft struct {
	Record
	began, lapped time.Time
}

func (a *Authorizer) open() *draft {
	began := a.now()
	return &draft{
		Record: Record{
			DecisionID: a.newID(),
			Timestamp:  began.UTC().Round(0), // wall clock only: the monotonic one stands still in a frozen function
			Labels:     a.labels,
			Path:       DecisionPath,
			Metrics:    make(map[string]int64, 5),
		},
		began: began, lapped: began,
	}
}

func (d *draft) by(g *Generation) { d.Bundles = map[string]Bundle{"gatehouse": {Revision: g.Revision}} }

func (d *draft) lap(name string, now time.Time) {
	d.Metrics[name] = now.Sub(d.lapped).Nanoseconds()
	d.lapped = now
}

func (d *draft) saw(in Input, claims ClaimsRead) {
	in.Principal, d.Erased = claims.recorded(in.Principal)
	d.Input = &in
}

func (d *draft) decided(decision Decision) {
	d.Result = &decision
	if decision.UsageIdentifierKey != "" {
		d.Erased = append(slices.Clone(d.Erased), "/result/usageIdentifierKey")
	}
}

func (d *draft) close(now time.Time) Record {
	d.Metrics["timer_server_handler_ns"] = now.Sub(d.began).Nanoseconds()
	return d.Record
}

// panicSite names the function that panicked, without the panic's value: that could quote the request.
func panicSite() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	for {
		f, more := frames.Next()
		if f.Function != "" && f.Function != "runtime.gopanic" && f.Function != "runtime.panicmem" && f.Function != "runtime.sigpanic" {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
