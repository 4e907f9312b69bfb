package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/authorizer"
)

// What keys may cost. Lambda computes nothing between two invocations, so there are no timers: ages are wall-clock
// differences between the requests' own times, and a fetch happens inside a request that has a budget for it.
const (
	maxJWKS       = 150_000                // bytes of a JWKS, as in AWS's own JWT authorizer (AWS: "Quotas for HTTP APIs")
	requiredFetch = 2 * time.Second        // budget where nothing usable is held
	optionalFetch = 500 * time.Millisecond // budget where a stale set could still serve
	warmFetch     = 3 * time.Second        // budget during INIT, which ends after 10 s (AWS: "Lambda execution environment")
	leastFetch    = 20 * time.Millisecond  // with less time than this none is tried
	maxLengthened = time.Hour              // how far max-age may lengthen the soft age
	coolDown      = 30 * time.Second       // between two fetches for an unknown kid
	forget        = time.Minute            // a kid that a fresh set lacked is not asked for again before
	maxMisses     = 256                    // of those kids
	firstBackoff  = time.Second            // after a failed fetch; doubles
	lastBackoff   = time.Minute
	backwards     = time.Minute // how far behind a snapshot a request's clock may be before the clock is not believed
	jitter        = 0.15        // of the soft age, so that a fleet does not fetch in step
)

var (
	errNoTime    = errors.New("no time left to fetch")
	errNotReturn = errors.New("the fetch did not return")
)

// snapshot is one key set as it was at one time. It is immutable.
type snapshot struct {
	keys keySet
	etag string
	at   time.Time     // wall clock of the request that fetched it; zero for a seed that nobody has used yet
	soft time.Duration // the age from which a refresh is tried; 0 for a seed
}

// fresh says that no refresh is due. A clock that went backwards makes any set stale, but not the few milliseconds by
// which one of several concurrent requests may have read it before the fetch of another.
func (s *snapshot) fresh(now time.Time) bool {
	if s == nil {
		return false
	}
	age := now.Sub(s.at)
	return age > -backwards && age < s.soft
}

// usable says that the set may serve at all, fresh or stale.
func (s *snapshot) usable(now time.Time, hard time.Duration) bool {
	return s != nil && near(now, s.at, hard)
}

// near says that two wall-clock times are less than d apart, whichever comes first: a clock that jumped far back ends
// every wait.
func near(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() < d }

// source keeps one issuer's keys: its own client, its own backoff, nothing shared with another issuer. It starts no
// goroutine. The zero value holds no key.
type source struct {
	uri        string
	algorithms []string
	pinned     bool // the snapshot is all there is
	soft, hard time.Duration
	client     *http.Client
	spread     func() float64 // 0 to 1, for the jitter

	snap atomic.Pointer[snapshot]

	mu       sync.Mutex
	flight   chan struct{} // closed when the fetch that is under way has ended; nil when none is
	asked    time.Time     // when the last counted fetch was made
	failures int           // in a row
	failure  error         // the last
	misses   map[string]time.Time
}

// newSource takes a complete issuer and its seed, which may be nil.
func newSource(i Issuer, seed keySet, transport http.RoundTripper) *source {
	if transport == nil {
		transport = newTransport()
	}
	s := &source{
		uri: i.JWKSURI, algorithms: i.Algorithms, pinned: i.Pinned, soft: i.JWKSSoft, hard: i.JWKSHard,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		spread: rand.Float64,
		misses: map[string]time.Time{},
	}
	if seed != nil {
		s.snap.Store(&snapshot{keys: seed})
	}
	return s
}

// newTransport asks no proxy and keeps no connection: one fetch in ten minutes gains nothing from it, and what was idle
// while the function was frozen is often dead.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

// key gives the key with an id as of now, and fetches where the age of the held set or an unknown id asks for it and
// limits allow. A token with an unknown id must be plausible to cause a fetch. Errors: CodeKidUnknown, CodeJWKSUnavailable.
func (s *source) key(ctx context.Context, kid string, now time.Time, plausible func() bool) (*key, error) {
	snap := s.begin(now)
	if !s.pinned && !snap.fresh(now) {
		usable, budget := snap.usable(now, s.hard), requiredFetch
		if usable {
			budget = optionalFetch
		}
		if err := s.refresh(ctx, now, share(ctx, budget), snap); err != nil && !usable {
			return nil, authorizer.Unavailable(CodeJWKSUnavailable, err)
		}
		snap = s.snap.Load()
	}
	if k, ok := snap.keys[kid]; ok {
		return k, nil
	}
	if s.pinned || !plausible() {
		return nil, errKidUnknown
	}
	return s.search(ctx, kid, now, snap)
}

var errKidUnknown = refuse(CodeKidUnknown, "the issuer has no such key")

// begin gives the held set. A seed's age counts from the first request: it is stale from the start, so that the issuer
// is asked, and it serves up to the hard age while the issuer does not answer.
func (s *source) begin(now time.Time) *snapshot {
	snap := s.snap.Load()
	if snap != nil && snap.at.IsZero() {
		dated := *snap
		dated.at = now
		s.snap.CompareAndSwap(snap, &dated)
		snap = s.snap.Load()
	}
	return snap
}

// search asks the issuer for a key that the held set lacks, at most once in coolDown whatever ids are asked for, and
// at most once in forget for one id.
func (s *source) search(ctx context.Context, kid string, now time.Time, had *snapshot) (*key, error) {
	s.mu.Lock()
	missed, seen := s.misses[kid]
	wait := near(now, s.asked, coolDown) || seen && near(now, missed, forget)
	failure := s.failure
	s.mu.Unlock()
	var err error
	switch {
	case !wait:
		err = s.refresh(ctx, now, share(ctx, requiredFetch), had)
	case failure != nil:
		err = failure
	default:
		return nil, errKidUnknown
	}
	if err != nil {
		return nil, authorizer.Unavailable(CodeJWKSUnavailable, err)
	}
	if k, ok := s.snap.Load().keys[kid]; ok {
		return k, nil
	}
	s.miss(kid, now)
	return nil, errKidUnknown
}

// miss remembers an id that a fresh set lacked; the oldest gives way.
func (s *source) miss(kid string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.misses) >= maxMisses {
		oldest := ""
		for k, at := range s.misses {
			if oldest == "" || at.Before(s.misses[oldest]) {
				oldest = k
			}
		}
		delete(s.misses, oldest)
	}
	s.misses[kid] = now
}

// share is the budget that a request can spare: never more than a quarter of the time that its invocation has left.
func share(ctx context.Context, budget time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(budget, time.Until(deadline)/4)
	}
	return budget
}

// refresh replaces the set that the caller had, or finds that it has been replaced. Of concurrent callers one fetches,
// within its own call; the others wait within their budgets. Where the fetching caller gives up because its own context
// ended, the next one takes over, and nothing counts as a failure.
func (s *source) refresh(ctx context.Context, now time.Time, budget time.Duration, had *snapshot) error {
	if budget < leastFetch || ctx.Err() != nil {
		return errNoTime
	}
	limited, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	for {
		flight, err := s.board(now, had)
		if err != nil || flight == nil {
			return err
		}
		if flight.mine {
			return s.lead(ctx, limited, now, had)
		}
		select {
		case <-flight.done:
		case <-limited.Done():
			return fmt.Errorf("wait for jwks: %w", limited.Err())
		}
	}
}

// flight is a fetch under way.
type flight struct {
	done chan struct{}
	mine bool // the caller is to make it
}

// board joins the fetch under way or starts one. No flight and no error: the set is newer than the caller's already.
func (s *source) board(now time.Time, had *snapshot) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snap.Load() != had {
		return nil, nil
	}
	if s.flight != nil {
		return &flight{done: s.flight}, nil
	}
	if s.failures > 0 && near(now, s.asked, backoff(s.failures)) {
		return nil, fmt.Errorf("waiting after %d failures: %w", s.failures, s.failure)
	}
	s.flight = make(chan struct{})
	return &flight{done: s.flight, mine: true}, nil
}

// backoff doubles from firstBackoff to lastBackoff.
func backoff(failures int) time.Duration {
	return min(firstBackoff<<min(failures-1, 10), lastBackoff)
}

// lead makes the fetch and says how it ended, even where the transport panics.
func (s *source) lead(ctx, limited context.Context, now time.Time, had *snapshot) error {
	var next *snapshot
	err := errNotReturn
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.flight)
		s.flight = nil
		switch {
		case next != nil:
			s.snap.Store(next)
			s.asked, s.failures, s.failure = now, 0, nil
		case ctx.Err() == nil || err == errNotReturn:
			s.asked, s.failures, s.failure = now, s.failures+1, err
		}
	}()
	next, err = s.fetch(limited, now, had)
	return err
}

// fetch gets the set once. Only status 200 with a usable set, or 304 for the set that we have, is a success.
func (s *source) fetch(ctx context.Context, now time.Time, had *snapshot) (*snapshot, error) {
	etag := ""
	if had != nil {
		etag = had.etag
	}
	resp, err := s.get(ctx, etag)
	if lost(err) {
		resp, err = s.get(ctx, etag)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch jwks: %w", err)
	}
	defer resp.Body.Close()
	soft := s.softAge(resp.Header.Get("Cache-Control"))
	if resp.StatusCode == http.StatusNotModified && etag != "" {
		return &snapshot{keys: had.keys, etag: etag, at: now, soft: soft}, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch jwks from %s: status %d", s.uri, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return nil, fmt.Errorf("read jwks from %s: %w", s.uri, err)
	}
	if len(body) > maxJWKS {
		return nil, fmt.Errorf("read jwks from %s: over %d bytes", s.uri, maxJWKS)
	}
	keys, err := parseKeys(body, s.algorithms)
	if err != nil {
		return nil, fmt.Errorf("jwks from %s: %w", s.uri, err)
	}
	if had != nil {
		keys.keep(had.keys)
	}
	return &snapshot{keys: keys, etag: resp.Header.Get("ETag"), at: now, soft: soft}, nil
}

func (s *source) get(ctx context.Context, etag string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	return s.client.Do(req)
}

// lost says that the connection broke, as one does that was idle while the function was frozen: worth one more try. A
// deadline is not.
func lost(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && !op.Timeout()
}

// softAge is the age from which the next refresh is tried. Auth0 sends max-age=15, which would mean a fetch on nearly
// every call of a quiet function: max-age lengthens the configured age, up to an hour, and never shortens it.
func (s *source) softAge(cacheControl string) time.Duration {
	soft := s.soft
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && strings.EqualFold(name, "max-age") {
			soft = max(soft, min(time.Duration(seconds)*time.Second, maxLengthened))
		}
	}
	return min(time.Duration(float64(soft)*(1-jitter+2*jitter*s.spread())), s.hard)
}

// warm fetches the set during INIT. A failure counts for nothing later: the first request may try at once.
func (s *source) warm(ctx context.Context, now time.Time) error {
	if s.pinned || s.snap.Load().fresh(now) {
		return nil
	}
	err := s.refresh(ctx, now, warmFetch, s.begin(now))
	if err != nil {
		s.mu.Lock()
		s.asked, s.failures, s.failure = time.Time{}, 0, nil
		s.mu.Unlock()
	}
	return err
}
