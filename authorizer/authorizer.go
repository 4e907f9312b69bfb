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

// Recorder keeps the record of an invocation, and how a candidate differed. What it refuses to keep of an invocation is
// not answered.
type Recorder interface {
	Record(Record) error
	Differed(Difference) error
}

// Source holds the generation that is active and follows what becomes active.
type Source interface {
	// Held gives the generation at hand, nil where there is none yet, and begins to check it where that is due.
	Held(now time.Time) *Generation
	// Current gives the generation to answer by, complete, and waits within bounds for the check that Held began. The error
	// is Unavailable: nothing at hand may be used.
	Current(ctx context.Context, now time.Time) (*Generation, error)
}

// Generation is all that one activation made active, immutable: configuration and policy go together, so that no
// request is decided by half of each.
type Generation struct {
	Revision      string            // digest of the policy's content
	Activation    map[string]Bundle // what else the records name: the activation's sequence, the configuration's digest
	Gateway       Gateway
	Authenticator Authenticator
	Policy        Policy
	Routes        Routes     // for events that carry no route
	ClaimsRead    ClaimsRead // what records may keep of the claims
	Candidate     *Candidate // nil: none
}

// Check names everything that a generation lacks.
func (g *Generation) Check() error {
	if g == nil {
		return errors.New("authorizer: no generation")
	}
	return lacking(map[string]bool{
		"generation.authenticator": g.Authenticator == nil,
		"generation.gateway":       g.Gateway == nil,
		"generation.policy":        g.Policy == nil,
		"generation.revision":      g.Revision == "",
	})
}

func lacking(parts map[string]bool) error {
	var faults []error
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		if parts[part] {
			faults = append(faults, errors.New("authorizer: no "+part))
		}
	}
	return errors.Join(faults...)
}

// Fixed is a Source whose generation never changes.
type Fixed struct{ *Generation }

// Held gives the generation.
func (f Fixed) Held(time.Time) *Generation { return f.Generation }

// Current gives the generation.
func (f Fixed) Current(context.Context, time.Time) (*Generation, error) { return f.Generation, nil }

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
	source   Source
	recorder Recorder
	labels   map[string]string
	now      func() time.Time
	newID    func() string
	warm     atomic.Bool // an invocation has ended: what follows is no cold start
}

// Config is what an Authorizer is made of. Every field but Labels is required.
type Config struct {
	Source   Source
	Recorder Recorder
	Labels   map[string]string // set on every record
	Now      func() time.Time  // the function's clock, read once a request for all that is decided
	NewID    func() string     // decision ids
}

// New gives an Authorizer, or an error that names everything that is missing.
func New(c Config) (*Authorizer, error) {
	err := lacking(map[string]bool{
		"clock":                  c.Now == nil,
		"recorder":               c.Recorder == nil,
		"source":                 c.Source == nil,
		"source of decision ids": c.NewID == nil,
	})
	if f, ok := c.Source.(Fixed); ok {
		err = errors.Join(err, f.Check())
	}
	if err != nil {
		return nil, err
	}
	return &Authorizer{source: c.Source, recorder: c.Recorder, labels: maps.Clone(c.Labels), now: c.Now, newID: c.NewID}, nil
}

// Authorize answers one event: with a response document, or with exactly [ErrUnauthenticated] or [ErrUnavailable].
// Whatever happened is recorded before it returns; without a record there is no answer.
func (a *Authorizer) Authorize(ctx context.Context, event []byte) ([]byte, error) {
	record := a.open()
	answer, failure := a.answer(ctx, event, record)
	if failure != nil {
		e := asError(failure)
		record.Error = &Failure{Code: e.Code, Message: e.detail()}
		answer, failure = nil, e.Kind
	}
	if err := a.recorder.Record(record.close(a.now())); err != nil {
		return nil, ErrUnavailable
	}
	if a.warm.Swap(true) {
		a.observe(ctx, record)
	}
	return answer, failure
}

// answer is the request's whole way. A panic on it is an error like any other: the process lives on, the door stays shut.
func (a *Authorizer) answer(ctx context.Context, event []byte, r *draft) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, Unavailable("panic", fmt.Errorf("%T at %s", p, panicSite()))
		}
	}()
	held := a.source.Held(r.Timestamp)
	failure := a.identify(ctx, event, held, r) // while the store is asked whether held is still active
	g, err := a.source.Current(ctx, r.Timestamp)
	r.lap("timer_gatehouse_confirm_ns", a.now())
	if err != nil {
		return nil, err
	}
	if g != held {
		failure = a.identify(ctx, event, g, r) // one generation for all of a request
	}
	if failure != nil {
		return nil, failure
	}

	decision := Malformed(r.input.Request.Malformed)
	if r.input.Request.Malformed == "" {
		decision, err = g.Policy.Decide(ctx, r.input)
	}
	r.lap("timer_rego_query_eval_ns", a.now())
	if err != nil {
		return nil, err
	}
	answer, err = g.Gateway.Answer(Verdict{r.DecisionID, g.Revision, r.input.Request, r.input.Principal, decision})
	r.lap("timer_gatehouse_answer_ns", a.now())
	if err != nil {
		return nil, err
	}
	r.decided(decision)
	return answer, nil
}

// identify is the first half of the way: what is asked, and by whom.
func (a *Authorizer) identify(ctx context.Context, event []byte, g *Generation, r *draft) error {
	r.by(g)
	if g == nil {
		return nil // there is nothing to read it by: Current gives a generation, or says why there is none
	}
	req, err := g.Gateway.Request(event, r.Timestamp)
	if err != nil {
		return err
	}
	r.asked = req
	r.input = Input{Version: InputVersion, Request: g.Routes.Complete(req)}
	r.saw(r.input, g.ClaimsRead)
	r.lap("timer_gatehouse_normalise_ns", a.now())

	r.input.Principal, err = g.Authenticator.Authenticate(ctx, req.Credentials, r.Timestamp)
	r.lap("timer_gatehouse_authenticate_ns", a.now())
	if err != nil {
		return err
	}
	r.saw(r.input, g.ClaimsRead)
	return nil
}

// draft is a record that is still being filled in.
type draft struct {
	Record
	began, lapped time.Time
	generation    *Generation
	asked         Request // as it came, before the route table
	input         Input   // with all claims
}

func (a *Authorizer) open() *draft {
	began := a.now()
	return &draft{
		Record: Record{
			DecisionID: a.newID(),
			Timestamp:  began.UTC().Round(0), // wall clock only: the monotonic one stands still in a frozen function
			Labels:     a.labels,
			Path:       DecisionPath,
			Metrics:    make(map[string]int64, 6),
		},
		began: began, lapped: began,
	}
}

// by begins anew with a generation: nothing stays of what another one made of the request.
func (d *draft) by(g *Generation) {
	d.generation, d.asked, d.input = g, Request{}, Input{}
	d.Bundles, d.Input, d.Erased = map[string]Bundle{}, nil, nil
	if g == nil {
		return
	}
	maps.Copy(d.Bundles, g.Activation)
	d.Bundles["gatehouse"] = Bundle{Revision: g.Revision}
}

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
