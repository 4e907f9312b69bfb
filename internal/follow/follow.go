// Package follow keeps a running authorizer on what a store says is active. One parameter is asked for on the request
// path, beside the token's verification; what is new is fetched, verified and prepared aside, and then takes over as a
// whole. What cannot be verified or does not load is refused and said, and the last good generation stays, for as long
// as it may go unconfirmed.
//
// A check runs in a goroutine that a request begins and waits for. Where it takes longer than a request can wait, it may
// be frozen with the function and goes on in a later invocation, or is given up by the wall clock and begun anew; nothing
// runs by a timer.
package follow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// How long things may take.
const (
	// Budget is what a check may cost one request, as long as what is held may be used.
	Budget = 250 * time.Millisecond
	// patience is what a request gives a check that it cannot be answered without: nothing usable is held, or an instance
	// that slept has learnt that its policy was replaced. It is a cold start's wait, and never more than three quarters of
	// what the invocation has left.
	patience = 3 * time.Second
	// flightLimit ends a check; a later request begins another.
	flightLimit = 10 * time.Second
	// The wait after a failed check where nothing usable is held; doubles. Otherwise it is Refresh.
	firstRetry = time.Second
	lastRetry  = 8 * time.Second
	// backwards is how far a clock may run behind before what it confirmed counts for nothing.
	backwards = time.Minute
)

// Reader is what is read of a store; [store.Reader] has it.
type Reader interface {
	Get(ctx context.Context, key string) (store.Parameter, error)
	GetAll(ctx context.Context, keys []string) (map[string]string, error)
}

// Content is what an activation names, verified.
type Content struct {
	Activation release.Activation
	Policy     *bundle.Bundle
	Auth0      []byte
}

// Config is what a Follower is made of. Baked and Embedded may be nil; all else is required.
type Config struct {
	Store    Reader
	Baked    Reader         // content that came with the function's zip, by the same keys
	Embedded *bundle.Bundle // the policies that are compiled in
	Trust    release.Trust
	Accounts []string // any of which an activation may name
	Root     string
	Stage    string
	Floor    int64 // the lowest sequence that is accepted
	Refresh  time.Duration
	MaxStale time.Duration // since the last confirmation, or nothing is answered
	// Build makes a generation. It is given the same bundle or configuration again where an activation changes the other.
	Build func(ctx context.Context, c Content) (*authorizer.Generation, error)
	// Try makes a candidate.
	Try    func(ctx context.Context, b *bundle.Bundle) (*authorizer.Candidate, error)
	Labels map[string]string
	Report func(Status)
	Spread func() float64 // 0 to 1, for the phase of an instance's checks; nil: random
}

// Follower is an [authorizer.Source]. It is safe for concurrent use.
type Follower struct {
	c     Config
	state atomic.Pointer[state]

	mu       sync.Mutex
	flight   *flight   // the check under way
	due      time.Time // when the next one is
	asked    time.Time // when a request last came, or had waited
	seen     int64     // the highest sequence that was verified
	tried    int64     // the activation whose candidate was loaded last, or is being loaded
	failures int       // checks in a row
	failure  error     // of the last check
	refused  string    // a document that is refused whatever else the store holds, and why
	because  error
	answered time.Time // the check in which the store last answered
}

var _ authorizer.Source = (*Follower)(nil)

// state is one activation, loaded. It is immutable.
type state struct {
	document   string // as the store holds it
	activation release.Activation
	contents   contents
	active     *authorizer.Generation
	fallback   *authorizer.Generation // where the activation ends
	confirmed  time.Time              // when the check began that last found the document in the store
	activated  time.Time
}

// at gives the generation as of now: a break-glass activation ends by the clock, whether the store answers or not.
func (s *state) at(now time.Time) *authorizer.Generation {
	if over(s.activation, now) || s.active == nil {
		return s.fallback
	}
	return s.active
}

// over says whether a break-glass activation has ended.
func over(a release.Activation, now time.Time) bool {
	return a.NotAfter != nil && !now.Before(*a.NotAfter)
}

// within says whether the state was confirmed less than d ago.
func (s *state) within(d time.Duration, now time.Time) bool {
	age := now.Sub(s.confirmed)
	return age > -backwards && age <= d
}

// flight is one check.
type flight struct {
	began    time.Time
	cancel   context.CancelFunc
	done     chan struct{}
	slept    bool        // what began it came after a pause of more than a refresh
	waited   atomic.Bool // a request has spent its budget on it, or is about to
	replaced atomic.Bool // it slept, has learnt that what is held is no longer active, and has not got its successor
}

// New gives a Follower that holds nothing yet, or an error that names everything that is missing or wrong.
func New(c Config) (*Follower, error) {
	var faults []error
	for what, missing := range map[string]bool{
		"store": c.Store == nil, "root": c.Root == "", "stage": c.Stage == "", "account": len(c.Accounts) == 0,
		"build": c.Build == nil, "try": c.Try == nil, "report": c.Report == nil, "trusted key": c.Trust.Threshold() == 0,
	} {
		if missing {
			faults = append(faults, fmt.Errorf("follow: no %s", what))
		}
	}
	if c.Refresh <= 0 || c.MaxStale < c.Refresh {
		faults = append(faults, fmt.Errorf("follow: refresh %s and max stale %s: want 0s < refresh <= max stale", c.Refresh, c.MaxStale))
	}
	if c.Spread == nil {
		c.Spread = rand.Float64
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Follower{c: c, seen: c.Floor}, nil
}

// Start makes the first check, during INIT. That it fails is reported and no error: each request tries again.
func (f *Follower) Start(ctx context.Context, now time.Time) {
	f.Held(now)
	f.mu.Lock()
	fl := f.flight
	f.mu.Unlock()
	if fl != nil {
		wait(ctx, fl, flightLimit)
	}
}

// Held gives what is held, nil before anything is, and begins a check where one is due.
func (f *Follower) Held(now time.Time) *authorizer.Generation {
	now = now.Round(0) // the monotonic clock stands still while Lambda freezes the process
	f.mu.Lock()
	slept := now.Sub(f.asked).Abs() > f.c.Refresh
	f.asked = now
	if slept || f.isDue(now) {
		f.begin(now, slept)
	}
	f.mu.Unlock()
	if s := f.state.Load(); s != nil {
		return s.at(now)
	}
	return nil
}

// isDue wants the lock held. A check that was frozen for longer than any may last is no longer under way; nor is one that
// an instance slept over, which Held knows: the answer that it waits for may be as old as its question.
func (f *Follower) isDue(now time.Time) bool {
	if f.flight != nil {
		return now.Sub(f.flight.began).Abs() > flightLimit
	}
	return !now.Before(f.due) || f.due.Sub(now) > f.c.Refresh+backwards
}

// begin wants the lock held.
func (f *Follower) begin(now time.Time, slept bool) {
	if f.flight != nil {
		f.flight.cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), flightLimit)
	fl := &flight{began: now, cancel: cancel, done: make(chan struct{}), slept: slept}
	f.flight = fl
	go f.fly(ctx, fl)
}

// Current gives the generation to answer by as of now. Errors are [authorizer.Unavailable]: policy_unavailable,
// policy_stale, and policy_replaced where an instance that slept knows that what it holds is no longer active.
func (f *Follower) Current(ctx context.Context, now time.Time) (*authorizer.Generation, error) {
	now = now.Round(0)
	f.mu.Lock()
	fl := f.flight
	f.mu.Unlock()
	began := time.Now()
	if fl != nil {
		f.await(ctx, fl, now)
	}
	f.mu.Lock()
	f.asked = now.Add(time.Since(began)) // what is decided, is as of now
	s, failure := f.state.Load(), f.failure
	f.mu.Unlock()
	switch {
	case s == nil:
		return nil, authorizer.Unavailable("policy_unavailable", orUnderWay(failure))
	case !s.within(f.c.MaxStale, now):
		return nil, authorizer.Unavailable("policy_stale", fmt.Errorf("not confirmed for %s, at most %s: %w",
			now.Sub(s.confirmed).Truncate(time.Second), f.c.MaxStale, orUnderWay(failure)))
	case fl != nil && fl.replaced.Load():
		return nil, authorizer.Unavailable("policy_replaced", fmt.Errorf("by one that is not loaded yet: %w", orUnderWay(failure)))
	}
	return s.at(now), nil
}

func orUnderWay(failure error) error {
	if failure == nil {
		return errors.New("the check is under way")
	}
	return failure
}

// await gives a check the time that this request has for it. An instance that was asked within the last refresh may answer
// by what it holds while the successor is loaded. One that slept for longer must not, once it knows.
func (f *Follower) await(ctx context.Context, fl *flight, now time.Time) {
	s := f.state.Load()
	if s == nil || !s.within(f.c.MaxStale, now) {
		wait(ctx, fl, patience)
		return
	}
	if fl.waited.CompareAndSwap(false, true) {
		wait(ctx, fl, Budget)
	}
	if fl.replaced.Load() {
		wait(ctx, fl, patience)
	}
}

// wait gives a flight at most d, and never more than three quarters of what the invocation has left.
func wait(ctx context.Context, fl *flight, d time.Duration) {
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(deadline)*3/4)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-fl.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fly makes a check and takes note of how it ended.
func (f *Follower) fly(ctx context.Context, fl *flight) {
	defer close(fl.done) // after all below: who waits for it finds what it found
	defer fl.cancel()
	began := time.Now()
	next, err := f.check(ctx, fl)
	before, ended := f.land(fl, next, err)
	if !ended {
		return
	}
	if err != nil || before == nil || before.activation.Sequence != next.activation.Sequence {
		f.report(f.state.Load(), fl.began, fl.began.Add(time.Since(began)), err)
	}
	if err == nil && before != nil {
		f.tryOut(next, fl.began) // never at a cold start
	}
}

// land ends a flight, and gives what was held before. One that was given up changes nothing: what it found may be old.
func (f *Follower) land(fl *flight, next *state, err error) (before *state, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flight != fl {
		return nil, false
	}
	f.flight = nil
	if err != nil {
		f.failures++
		f.failure = err
		if code(err) != "store_unavailable" {
			fl.replaced.Store(false) // it was refused, and the last good one stays
		}
		f.due = fl.began.Add(f.pause(fl.began))
		return f.state.Load(), true
	}
	if held := f.state.Load(); held != nil && held.activation.Sequence == next.activation.Sequence {
		next.active = held.active // with the candidate that it may have got meanwhile
	}
	before = f.state.Swap(next)
	f.failures, f.failure = 0, nil
	fl.replaced.Store(false)
	f.due = fl.began.Add(f.c.Refresh)
	if before == nil {
		// A burst of cold starts spreads over the first refresh, and stays spread.
		f.due = fl.began.Add(time.Duration(f.c.Spread() * float64(f.c.Refresh)))
	}
	return before, true
}

// pause is the wait after a failed check. It wants the lock held.
func (f *Follower) pause(now time.Time) time.Duration {
	if s := f.state.Load(); s != nil && s.within(f.c.MaxStale, now) {
		return f.c.Refresh
	}
	retry := min(firstRetry<<min(f.failures-1, 10), lastRetry)
	return min(f.c.Refresh, time.Duration(float64(retry)*(0.5+0.5*f.c.Spread())))
}
