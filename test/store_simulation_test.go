package test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// What a fleet is simulated with. The clock is not the machine's, and whatever is drawn has a seed: the same code gives the
// same numbers.
const (
	fleetRefresh = 30 * time.Second
	fleetCall    = 10 * time.Millisecond  // what a call takes
	fleetLoad    = 300 * time.Millisecond // what making a policy of a bundle takes, more than a request waits for
	fleetParts   = 11                     // of the bundle and the configuration: two calls
)

// fleet is many instances that all start within a second, and are asked once a second each.
type fleet struct {
	instances int
	baked     bool          // the content is in the zip
	limit     int           // calls that are served in a second; 0: all
	lasts     time.Duration // from the first start
	activates time.Duration // when another policy becomes active; 0: never
}

// simulated is what became of a fleet.
type simulated struct {
	fleet
	began time.Time

	mu        sync.Mutex
	values    map[string]string
	calls     map[string][]int // by operation, in each second
	served    []int            // in each second
	throttled int
	up        []time.Duration // when an instance first answered
	stale     []time.Duration // how long an instance answered by what was no longer active
	asked     int
	failed    int // with an error, after the instance had been up
	hasty     int // checks that came less than a refresh after the one before, the first in the phase of an instance apart
}

// second is which one it is.
func (s *simulated) second() int { return int(time.Since(s.began) / time.Second) }

// reader is an instance's store, with what its client does about throttling: three attempts, with a wait of up to a second
// (internal/store).
type reader struct {
	*simulated
	rng    *rand.Rand
	checks []time.Time
}

var errThrottled = errors.New("ThrottlingException")

func (r *reader) call(ctx context.Context, operation string) error {
	for attempt := range 3 {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(r.rng.Float64() * float64(time.Second))):
			case <-ctx.Done():
				return errThrottled
			}
		}
		if r.serve(operation) {
			time.Sleep(fleetCall)
			return nil
		}
	}
	return errThrottled
}

func (r *reader) serve(operation string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.second()
	r.calls[operation][now]++
	if r.limit > 0 && r.served[now] >= r.limit {
		r.throttled++
		return false
	}
	r.served[now]++
	return true
}

func (r *reader) Get(ctx context.Context, key string) (store.Parameter, error) {
	r.mu.Lock()
	r.checks = append(r.checks, time.Now())
	r.mu.Unlock()
	if err := r.call(ctx, "GetParameter"); err != nil {
		return store.Parameter{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return store.Parameter{Key: key, Value: r.values[key]}, nil
}

// GetAll makes its calls one after the other, where the real one makes them at once: the count is the same.
func (r *reader) GetAll(ctx context.Context, keys []string) (map[string]string, error) {
	for range slices.Collect(slices.Chunk(keys, 10)) {
		if err := r.call(ctx, "GetParameters"); err != nil {
			return nil, err
		}
	}
	return pick(r.values, keys)
}

// packed is a store of what came with the function.
type packed map[string]string

func (packed) Get(context.Context, string) (store.Parameter, error) {
	return store.Parameter{}, store.ErrNotFound
}

func (z packed) GetAll(_ context.Context, keys []string) (map[string]string, error) {
	return pick(z, keys)
}

func pick(values map[string]string, keys []string) (map[string]string, error) {
	got := map[string]string{}
	for _, key := range keys {
		if values[key] == "" {
			return nil, store.ErrNotFound
		}
		got[key] = values[key]
	}
	return got, nil
}

// releases are what a fleet follows: the activations 1 and 2, and everything that they name.
type releases struct {
	trust     release.Trust
	documents []string
	policies  []string // digests
	content   map[string]string
}

func newReleases(t *testing.T) releases {
	t.Helper()
	key := newSigner(t)
	jwks, err := release.PublicJWKS(key.Public().(*ecdsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	r := releases{content: map[string]string{}}
	if r.trust, err = release.ParseTrust(jwks, 1); err != nil {
		t.Fatal(err)
	}
	put := func(room, digest string, content []byte) release.Content {
		parts := bundle.Split(content)
		for i, part := range parts {
			r.content[room+"/"+digest+"/"+strconv.Itoa(i+1)] = part
		}
		return release.Content{Digest: digest, Parts: len(parts)}
	}
	auth0 := []byte(strings.Repeat("a", (fleetParts-1)*3072)) // whose digest alone is looked at
	for n := range 2 {
		b, err := bundle.Read(fstest.MapFS{
			".manifest":   {Data: []byte(`{"roots": ["a"], "rego_version": 1}`)},
			"a/data.json": {Data: fmt.Appendf(nil, `{"version": %d}`, n+1)},
		})
		if err != nil {
			t.Fatal(err)
		}
		archive, err := b.Archive()
		if err != nil {
			t.Fatal(err)
		}
		w := storeWorld{t: t, keys: []release.Signer{key}, auth0: put("auth0", bundle.Sum(auth0), auth0), stand: map[string]bool{}}
		r.documents = append(r.documents, w.signed(w.statement(int64(n+1), put("bundles", b.Digest, archive))))
		r.policies = append(r.policies, b.Digest)
	}
	return r
}

// rooms are a gateway, an authenticator and a policy that nobody asks.
type rooms struct {
	authorizer.Gateway
	authorizer.Authenticator
	authorizer.Policy
}

// simulate runs a fleet of real followers, in a time of its own.
func simulate(t *testing.T, what releases, f fleet) *simulated {
	t.Helper()
	var s *simulated
	synctest.Test(t, func(t *testing.T) {
		seconds := int(f.lasts/time.Second) + 60 // a call may come after the end
		s = &simulated{fleet: f, began: time.Now(), values: map[string]string{store.Active: what.documents[0]}, served: make([]int, seconds)}
		s.calls = map[string][]int{"GetParameter": make([]int, seconds), "GetParameters": make([]int, seconds)}
		for key, value := range what.content {
			s.values[key] = value
		}
		var running sync.WaitGroup
		if f.activates > 0 {
			running.Go(func() {
				time.Sleep(f.activates)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.values[store.Active] = what.documents[1]
			})
		}
		for n := range f.instances {
			running.Go(func() { s.instance(t, what, n) })
		}
		running.Wait()
	})
	slices.Sort(s.up)
	slices.Sort(s.stale)
	return s
}

// instance is the life of one.
func (s *simulated) instance(t *testing.T, what releases, n int) {
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	r := &reader{simulated: s, rng: rng}
	account, _, _ := strings.Cut(storeAPI, "/")
	c := follow.Config{
		Store: r, Trust: what.trust, Accounts: []string{account}, Root: storeRoot, Stage: storeStage,
		Refresh: fleetRefresh, MaxStale: 10 * time.Minute, Spread: rng.Float64, Report: func(follow.Status) {},
		Build: func(_ context.Context, c follow.Content) (*authorizer.Generation, error) {
			time.Sleep(fleetLoad)
			return &authorizer.Generation{Revision: c.Policy.Digest, Gateway: rooms{}, Authenticator: rooms{}, Policy: rooms{}}, nil
		},
		Try: func(context.Context, *bundle.Bundle) (*authorizer.Candidate, error) { return nil, nil },
	}
	if s.baked {
		c.Baked = packed(what.content)
	}
	f, err := follow.New(c)
	if err != nil {
		t.Error(err)
		return
	}
	time.Sleep(time.Duration(rng.Float64() * float64(time.Second)))
	f.Start(t.Context(), time.Now())

	asked, failed, up, old := 0, 0, time.Duration(0), time.Duration(0)
	for next := time.Now(); time.Since(s.began) < s.lasts; next = next.Add(time.Second) {
		time.Sleep(time.Until(next))
		now := time.Now()
		f.Held(now)
		g, err := f.Current(t.Context(), now)
		asked++
		switch since := time.Since(s.began); {
		case err != nil && up > 0:
			failed++
		case err != nil:
		case up == 0:
			up = since
		case g.Revision == what.policies[0] && since > s.activates:
			old = since - s.activates
		}
	}
	time.Sleep(15 * time.Second) // whatever is under way ends
	hasty := 0
	r.mu.Lock()
	checks := r.checks
	r.mu.Unlock()
	for i := 2; i < len(checks); i++ {
		if checks[i].Sub(checks[i-1]) < fleetRefresh {
			hasty++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if up > 0 {
		s.up = append(s.up, up)
	}
	s.asked, s.failed, s.hasty = s.asked+asked, s.failed+failed, s.hasty+hasty
	s.stale = append(s.stale, old)
}

// rate gives the most calls in a second and the mean of them, of the seconds from one to another.
func (s *simulated) rate(operation string, from, to int) (most int, mean float64) {
	sum := 0
	for _, n := range s.calls[operation][from:to] {
		most, sum = max(most, n), sum+n
	}
	return most, float64(sum) / float64(to-from)
}

// upAfter is how many instances had answered by then.
func (s *simulated) upAfter(d time.Duration) int {
	n, _ := slices.BinarySearch(s.up, d+1)
	return n
}

// percentile of the staleness.
func (s *simulated) percentile(p float64) time.Duration {
	return s.stale[min(len(s.stale)-1, int(p*float64(len(s.stale))))]
}

// TestStoreSimulation is what 10,000 instances do to Parameter Store. Its numbers stand in docs/runbook.md.
func TestStoreSimulation(t *testing.T) {
	t.Parallel()
	const n = 10_000
	what := newReleases(t)
	var out strings.Builder
	line := func(cells ...any) {
		for _, cell := range cells {
			fmt.Fprint(&out, "| ", cell, " ")
		}
		out.WriteString("|\n")
	}

	refreshes := func(count float64) time.Duration { return time.Duration(count * float64(fleetRefresh)) }
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	s := simulate(t, what, fleet{instances: n, lasts: refreshes(3), activates: refreshes(1.5) + 1})
	baked := simulate(t, what, fleet{instances: n, baked: true, lasts: 2 * time.Second})

	fmt.Fprintf(&out, "%d instances, each asked once a second, refresh %s; a call takes %s, content has %d parts, and a policy takes %s to load.\n"+
		"All calls of an account in a Region count for one limit: 40 TPS carry %.0f busy instances.\n\n",
		n, fleetRefresh, fleetCall, fleetParts, fleetLoad, 40*fleetRefresh.Seconds())
	line("", "operation", "most in a second", "mean", "of 40 TPS", "of 10,000 TPS")
	line("---", "---", "---", "---", "---", "---")
	rate := func(what, operation string, s *simulated, from, to int) (most int, mean float64) {
		most, mean = s.rate(operation, from, to)
		line(what, "`"+operation+"`", most, fmt.Sprintf("%.1f", mean), fmt.Sprintf("%.3g times", float64(most)/40), fmt.Sprintf("%.1f %%", float64(most)/100))
		return most, mean
	}
	rate("cold starts within a second, content in the zip", "GetParameter", baked, 0, 1)
	rate("cold starts within a second, content in the store", "GetParameter", s, 0, 2)
	rate("", "GetParameters", s, 0, 2)
	most, mean := rate("every instance busy", "GetParameter", s, seconds(refreshes(1))+2, seconds(refreshes(3)))
	fetched, _ := rate("the refresh after an activation", "GetParameters", s, seconds(refreshes(1.5)), seconds(refreshes(2.5))+1)

	out.WriteString("\n")
	line("answered by what was active before, after an activation", "half of the instances", "95 %", "99 %", "all")
	line("---", "---", "---", "---", "---")
	short := func(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
	line("no longer than", short(s.percentile(0.5)), short(s.percentile(0.95)), short(s.percentile(0.99)), short(s.percentile(1)))

	// The steady state is what the refresh says, and nobody is late or hasty.
	perSecond := n / fleetRefresh.Seconds()
	if float64(most) > 1.25*perSecond || mean > 1.01*perSecond || mean < 0.99*perSecond {
		t.Errorf("%d calls in a second, %.1f in the mean: want %.1f", most, mean, perSecond)
	}
	if got := float64(fetched); got > 1.25*perSecond {
		t.Errorf("%d calls for parts in a second after an activation", fetched)
	}
	if bound := fleetRefresh + follow.Budget; s.percentile(1) > bound || s.percentile(0.5) < fleetRefresh/4 {
		t.Errorf("answers by what was not active any more for %s, and %s in the median: at most %s", s.percentile(1), s.percentile(0.5), bound)
	}
	if s.hasty > 0 || s.failed > 0 || len(s.up) != n || s.throttled > 0 {
		t.Errorf("%d hasty checks, %d failed requests of %d, %d instances up", s.hasty, s.failed, s.asked, len(s.up))
	}
	if got := total(s, "GetParameters"); got != n*2+n { // the parts of all, and then of the policy
		t.Errorf("%d calls for parts, want %d", got, 3*n)
	}
	if got := total(baked, "GetParameters"); got != 0 {
		t.Errorf("cold starts with what is in the zip made %d calls for parts", got)
	}

	// At the limit.
	out.WriteString("\n")
	line("starting within a second", "limit", "up after 1 s", "5 s", "10 s", "30 s", "60 s", "calls", "of them throttled")
	line("---", "---", "---", "---", "---", "---", "---", "---", "---")
	for _, f := range []fleet{
		{instances: 1_000, limit: 40, baked: true}, {instances: 1_000, limit: 40},
		{instances: n, limit: 40, baked: true}, {instances: n, limit: 40},
		{instances: n, limit: 10_000, baked: true}, {instances: n, limit: 10_000},
	} {
		f.lasts = time.Minute
		if f.limit == 10_000 {
			f.lasts = 10 * time.Second // all are up long before
		}
		s := simulate(t, what, f)
		cells := []any{fmt.Sprintf("%d, content in the %s", f.instances, map[bool]string{true: "zip", false: "store"}[f.baked]), fmt.Sprintf("%d TPS", f.limit)}
		for _, d := range []time.Duration{1, 5, 10, 30, 60} {
			cells = append(cells, s.upAfter(d*time.Second))
		}
		line(append(cells, total(s, "GetParameter")+total(s, "GetParameters"), s.throttled)...)
		if s.failed > 0 {
			t.Errorf("%+v: %d requests failed in instances that were up", f, s.failed)
		}
		if most := slices.Max(s.served); most > f.limit {
			t.Errorf("%+v: %d calls served in a second", f, most)
		}
		if f.limit == 10_000 && s.upAfter(5*time.Second) != n {
			t.Errorf("%+v: %d instances up after 5 s", f, s.upAfter(5*time.Second))
		}
	}
	t.Log("\n" + out.String())
	section(t, "../docs/runbook.md", "simulation", out.String())
}

func total(s *simulated, operation string) int {
	sum := 0
	for _, n := range s.calls[operation] {
		sum += n
	}
	return sum
}

// section compares a part of a page, between <!-- NAME --> and <!-- /NAME -->; -update rewrites it, and begins the page
// where there is none.
func section(t *testing.T, page, name, want string) {
	t.Helper()
	from, to := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	content, err := os.ReadFile(page)
	if *update && errors.Is(err, os.ErrNotExist) {
		content, err = []byte(from+to), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), from)
	is, after, closed := strings.Cut(rest, to)
	if !ok || !closed {
		t.Fatalf("%s: no section between %q and %q", page, from, to)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+from+want+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if is != want {
		t.Errorf("%s: the section %s is not what is simulated now; -update writes\n%s", page, name, want)
	}
}
