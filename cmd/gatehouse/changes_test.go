package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
	"gatehouse/test/moto"
)

// cupboard is a store in memory, for tests that say who comes when. It refuses what every store refuses.
type cupboard struct {
	mu     sync.Mutex
	held   map[string]store.Parameter
	active []string // what was written to active, in order
}

func (c *cupboard) get(key string) (store.Parameter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.held[key]
	return p, ok
}

// step is a call of the store. Of two calls that touch no key in common, or that both only read, the order is nobody's matter.
type step struct {
	key    string // with a slash at the end: all that is below
	writes bool
}

func (a step) commutes(b step) bool {
	if !a.writes && !b.writes {
		return true
	}
	return a.key != b.key && !(strings.HasSuffix(a.key, "/") && strings.HasPrefix(b.key, a.key)) && !(strings.HasSuffix(b.key, "/") && strings.HasPrefix(a.key, b.key))
}

// hand is one who works at a cupboard; before is asked first of every call.
type hand struct {
	*cupboard
	before func(step) error
}

var (
	_ store.Reader = hand{}
	_ store.Writer = hand{}
)

func (h hand) Root() string { return "/gatehouse/dev" }

func (h hand) Get(_ context.Context, key string) (store.Parameter, error) {
	if err := errors.Join(store.CheckKey(key), h.before(step{key, false})); err != nil {
		return store.Parameter{}, err
	}
	p, ok := h.get(key)
	if !ok {
		return p, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	}
	return p, nil
}

func (h hand) GetAll(ctx context.Context, keys []string) (map[string]string, error) {
	values := map[string]string{}
	for _, key := range keys {
		p, err := h.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		values[key] = p.Value
	}
	return values, nil
}

func (h hand) Create(_ context.Context, key, value string) error {
	if err := errors.Join(store.CheckKey(key), store.CheckValue(value), h.before(step{key, true})); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.held[key]; ok && p.Value != value {
		return fmt.Errorf("create %s: %w", key, store.ErrExists)
	} else if !ok {
		h.held[key] = store.Parameter{Key: key, Value: value, Modified: time.Now()}
	}
	return nil
}

func (h hand) CreateSecret(context.Context, string, string, string) error {
	return errors.New("has no secrets")
}

func (h hand) Activate(_ context.Context, value string) error {
	if err := errors.Join(store.CheckValue(value), h.before(step{store.Active, true})); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[store.Active] = store.Parameter{Key: store.Active, Value: value, Modified: time.Now()}
	h.active = append(h.active, value)
	return nil
}

func (h hand) List(_ context.Context, prefix string) ([]store.Parameter, error) {
	if err := h.before(step{prefix, false}); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []store.Parameter
	for _, key := range slices.Sorted(maps.Keys(h.held)) {
		if strings.HasPrefix(key, prefix) {
			found = append(found, h.held[key])
		}
	}
	return found, nil
}

func (h hand) Delete(context.Context, []string) error { panic("nothing of this deletes") }

// race is who does what at once.
type race struct {
	name      string
	threshold int
	runs      []run1
	same      bool // they want the same
	sleeps    bool // once, at any point, so much time goes by that a claim is abandoned
	sample    int  // so many orders, drawn; 0 is all of them
}

// run1 is one of them: with these keys, until it has written so often; 0 is to the end.
type run1 struct {
	want change
	keys []int
	dies int
}

// becomes makes a release active, as toRelease does, without its checks of content, which have nothing to do with who comes
// when.
func becomes(n int64) change {
	return func(_ context.Context, b *book) (release.Activation, error) {
		a := *b.last()
		a.Release, a.Bundle = n, b.releases[n].says.Bundle
		return a, nil
	}
}

// configured likewise changes the configuration.
func configured(n int) change {
	return func(_ context.Context, b *book) (release.Activation, error) {
		a := *b.last()
		a.Auth0.Digest = strings.Repeat("c", 63) + fmt.Sprint(n)
		return a, nil
	}
}

var errDied = errors.New("died")

// outcome is how one of them ended.
type outcome struct {
	done  *activated
	err   error
	after int64 // the activation that it was made from
}

// played is one order of a race, played to its end.
type played struct {
	path     []int // who, step by step
	outcomes []outcome
	cupboard *cupboard
}

// wakes is who comes next where time goes by, for whoever waits.
const wakes = -1

// sleeps likewise is where so much time goes by for everybody that a claim counts as abandoned.
const sleeps = -2

// play plays a race; pick says who comes next of those who can.
func (r *race) play(t *testing.T, s *shop, start map[string]store.Parameter, pick func(n int, can []int, steps []step) int) *played {
	p := &played{outcomes: make([]outcome, len(r.runs))}
	synctest.Test(t, func(t *testing.T) {
		p.cupboard = &cupboard{held: maps.Clone(start)}
		for key, held := range p.cupboard.held {
			held.Modified = time.Now().Add(-time.Hour)
			p.cupboard.held[key] = held
		}
		type player struct {
			next atomic.Pointer[step]
			turn chan struct{}
			over atomic.Bool
		}
		players := make([]*player, len(r.runs))
		for i, does := range r.runs {
			me := &player{turn: make(chan struct{})}
			players[i] = me
			writes := 0
			h := hand{p.cupboard, func(next step) error {
				if next.key == "releases/" || strings.HasPrefix(next.key, "bundles/") || strings.HasPrefix(next.key, "auth0/") {
					return nil // nobody here writes there
				}
				if next.writes {
					if writes++; does.dies != 0 && writes > does.dies {
						return errDied
					}
				}
				me.next.Store(&next)
				<-me.turn
				return nil
			}}
			l := &ledger{reader: h, writer: h, trust: s.trust, scope: release.Scope{Account: "123456789012", Root: h.Root(), Stage: "dev"}}
			var keys []release.Signer
			for _, k := range does.keys {
				keys = append(keys, s.keys[k])
			}
			go func() {
				want := func(ctx context.Context, b *book) (release.Activation, error) {
					p.outcomes[i].after = b.last().Sequence
					return does.want(ctx, b)
				}
				p.outcomes[i].done, p.outcomes[i].err = l.activate(t.Context(), want, keys)
				me.over.Store(true)
			}()
		}
		slept := !r.sleeps
		for n := 0; ; n++ {
			synctest.Wait()
			var can []int
			var steps []step
			waits := false
			for i, me := range players {
				if next := me.next.Load(); next != nil {
					can, steps = append(can, i), append(steps, *next)
				} else if !me.over.Load() {
					waits = true
				}
			}
			if waits {
				can, steps = append(can, wakes), append(steps, step{})
			}
			if len(can) == 0 {
				return
			}
			if !slept {
				can, steps = append(can, sleeps), append(steps, step{})
			}
			who := pick(n, can, steps)
			p.path = append(p.path, who)
			switch who {
			case wakes:
				time.Sleep(pause)
				continue
			case sleeps:
				slept = true
				time.Sleep(young + time.Second)
				continue
			}
			players[who].next.Store(nil)
			players[who].turn <- struct{}{}
		}
	})
	return p
}

// node is a point of an order from which others branch off.
type node struct {
	can    []int
	steps  map[int]step
	asleep map[int]bool // who need not come next here: what then follows has been played in another order
	who    int
}

// all plays every order of a race once, but for those that differ in what commutes alone (sleep sets: Godefroid,
// "Partial-Order Methods for the Verification of Concurrent Systems", 1996, chapter 5). It gives how many it played.
func (r *race) all(t *testing.T, s *shop, start map[string]store.Parameter, check func(*played)) int {
	var path []*node
	played := 0
	for {
		p := r.play(t, s, start, func(n int, can []int, steps []step) int {
			if n < len(path) {
				return path[n].who
			}
			here := &node{can: can, steps: map[int]step{}, asleep: map[int]bool{}}
			for i, who := range can {
				here.steps[who] = steps[i]
			}
			if n > 0 {
				if last := path[n-1]; last != nil {
					for who := range last.asleep {
						if here.steps[who] == last.steps[who] && last.who != who && last.steps[who].commutes(last.steps[last.who]) {
							here.asleep[who] = true
						}
					}
				}
			}
			here.who = can[0]
			for _, who := range can {
				if !here.asleep[who] {
					here.who = who
					break
				}
			}
			path = append(path, here)
			return here.who
		})
		redundant := slices.ContainsFunc(path, func(n *node) bool { return n.asleep[n.who] })
		if !redundant {
			played++
			check(p)
		}
		// The last point at which somebody else may come next.
		for len(path) > 0 {
			last := path[len(path)-1]
			last.asleep[last.who] = true
			if i := slices.IndexFunc(last.can, func(who int) bool { return !last.asleep[who] }); i >= 0 {
				last.who = last.can[i]
				break
			}
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			return played
		}
	}
}

// In whatever order the calls of those who activate at once come: what is active is the highest claim that is complete; one
// at least was told that it is done, or is when it runs again as it was told to; whoever was told so is active, or was
// replaced by somebody who had seen its activation; and every claim is still there.
func TestEveryOrder(t *testing.T) {
	alone, both := []int{0}, []int{0, 1}
	races := []race{
		{name: "two releases", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(3), []int{1}, 0}}},
		{name: "one release", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(2), []int{1}, 0}}, same: true},
		{name: "one release, by one key", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(2), alone, 0}}, same: true, sample: 100},
		{name: "a release and a configuration", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {configured(1), alone, 0}}, sample: 100},
		{name: "a release, and back", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(1), []int{1}, 0}}},
		{name: "two signers", threshold: 2, runs: []run1{{becomes(2), alone, 0}, {becomes(2), []int{1}, 0}}, same: true},
		{name: "two releases, each of two signers", threshold: 2, runs: []run1{{becomes(2), both, 0}, {becomes(3), both, 0}}, sample: 150},
		{name: "two releases, and one sleeps", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(3), []int{1}, 0}}, sleeps: true, sample: 1500},
		{name: "two signers, and one sleeps", threshold: 2, runs: []run1{{becomes(2), both, 0}, {becomes(3), both, 0}}, sleeps: true, sample: 300},
		{name: "one dies with its claim", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(3), []int{1}, 0}, {configured(1), alone, 1}}, sample: 200},
		{name: "one dies with its signature", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(3), []int{1}, 0}, {configured(1), alone, 2}}, sample: 200},
		{name: "one of two signers dies", threshold: 2, runs: []run1{{becomes(2), both, 0}, {becomes(3), both, 2}}, sample: 100},
		{name: "three releases", threshold: 1, runs: []run1{{becomes(2), alone, 0}, {becomes(3), []int{1}, 0}, {configured(1), alone, 0}}, sample: 200},
	}
	for _, r := range races {
		t.Run(r.name, func(t *testing.T) {
			s := newShop(t, r.threshold)
			start := s.shelved()
			if r.sample == 0 {
				if n := r.all(t, s, start, func(p *played) { r.hold(t, s, p) }); n < 100 {
					t.Errorf("%d orders: they never met", n)
				} else {
					t.Logf("all %d orders", n)
				}
				return
			}
			draw := rand.New(rand.NewPCG(1, 2))
			for range r.sample {
				r.hold(t, s, r.play(t, s, start, func(_ int, can []int, _ []step) int { return can[draw.IntN(len(can))] }))
			}
		})
	}
}

// shelved is what a cupboard holds after three releases and the activation of the first.
func (s *shop) shelved() map[string]store.Parameter {
	s.t.Helper()
	h := hand{&cupboard{held: map[string]store.Parameter{}}, func(step) error { return nil }}
	l := &ledger{reader: h, writer: h, trust: s.trust, scope: release.Scope{Account: "123456789012", Root: h.Root(), Stage: "dev"}}
	for _, b := range s.policies {
		s.must(l.publish(s.t.Context(), b, s.keys[:s.trust.Threshold()]))
	}
	c := s.auth0(l, 0)
	s.must(nil, l.writer.Create(s.t.Context(), "auth0/"+strings.Repeat("c", 63)+"1/1", "e30="))
	s.must(l.activate(s.t.Context(), l.toRelease(1, &c, nil), s.keys[:s.trust.Threshold()]))
	// Who released what is not asked here, and takes time to verify.
	maps.DeleteFunc(h.held, func(key string, _ store.Parameter) bool {
		return strings.HasPrefix(key, "releases/") && strings.Contains(key, "/signatures/")
	})
	return h.held
}

// hold checks what must hold at the end of any order.
func (r *race) hold(t *testing.T, s *shop, p *played) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		var told []string
		for i, o := range p.outcomes {
			text := fmt.Sprint(o.err)
			if o.err == nil {
				text = fmt.Sprintf("activation %d, active %t", o.done.says.Sequence, o.done.effect)
			}
			told = append(told, fmt.Sprintf("%d: %s", i, text))
		}
		t.Fatalf("%s\norder %v\n%s", fmt.Sprintf(format, args...), p.path, strings.Join(told, "\n"))
	}
	h := hand{p.cupboard, func(step) error { return nil }}
	l := &ledger{reader: h, writer: h, trust: s.trust, scope: release.Scope{Account: "123456789012", Root: h.Root(), Stage: "dev"}}
	b, err := l.read(t.Context())
	if err != nil || b.active == nil {
		fail("%v, %v", err, b.refused)
	}
	if above := b.above(); above != nil {
		if slices.ContainsFunc(r.runs, func(one run1) bool { return one.dies != 0 }) && r.again(t, s, p) {
			return // whoever signed it died before writing it, and the next one mended that
		}
		fail("activation %d is active, and %d complete", b.sequence(), above.says.Sequence)
	}
	done := 0
	for i, o := range p.outcomes {
		var refusal *result
		switch {
		case r.runs[i].dies != 0:
		case o.err != nil && !errors.As(o.err, &refusal):
			fail("%d: no refusal", i)
		case o.err != nil && r.same:
			fail("%d was told that it failed, and what it wanted is active", i)
		case o.err == nil && o.done.effect:
			done++
			is := b.active.says
			if says(is, o.done.says) {
				continue
			}
			if !slices.ContainsFunc(p.outcomes, func(other outcome) bool {
				return other.err == nil && other.done.effect && says(other.done.says, is) && other.after == o.done.says.Sequence
			}) {
				fail("%d was told that it is done, and release %d is active", i, is.Release)
			}
		case o.err == nil && b.threshold == 1:
			fail("%d was told nothing", i)
		}
	}
	if done == 0 && !r.again(t, s, p) {
		fail("nobody was told that it is done")
	}
	for n, c := range b.activations {
		if p, ok := p.cupboard.get(fmt.Sprint("activations/", n)); !ok || p.Value != string(c.payload) {
			fail("claim %d is gone", n)
		}
	}
}

// again says whether somebody was told to run the same again, and that it does it then.
func (r *race) again(t *testing.T, s *shop, p *played) bool {
	t.Helper()
	for i, o := range p.outcomes {
		if o.err == nil || !strings.Contains(o.err.Error(), "run this again") {
			continue
		}
		for key, held := range p.cupboard.held {
			held.Modified = time.Time{} // a while ago
			p.cupboard.held[key] = held
		}
		h := hand{p.cupboard, func(step) error { return nil }}
		l := &ledger{reader: h, writer: h, trust: s.trust, scope: release.Scope{Account: "123456789012", Root: h.Root(), Stage: "dev"}}
		var keys []release.Signer
		for _, k := range r.runs[i].keys {
			keys = append(keys, s.keys[k])
		}
		if done, err := l.activate(t.Context(), r.runs[i].want, keys); err == nil && done.effect {
			return true
		}
	}
	return false
}

// Whoever may write parameters and holds no key has nobody sign what they did not mean.
func TestNobodySignsForStrangers(t *testing.T) {
	eve := newShop(t, 1)
	signature := func(s *shop, key release.Signer, payload string) string {
		made, err := release.Sign(release.KindRelease, []byte(payload), key)
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := json.Marshal(made)
		if err != nil {
			s.t.Fatal(err)
		}
		return string(text)
	}
	put := func(s *shop, l *ledger, key, value string) { s.must(nil, l.writer.Create(s.t.Context(), key, value)) }
	get := func(s *shop, l *ledger, key string) string {
		p, err := l.reader.Get(s.t.Context(), key)
		s.must(nil, err)
		return p.Value
	}
	tests := []struct {
		name      string
		threshold int
		before    func(s *shop, l *ledger)
		run       func(s *shop, l *ledger) (string, error)
		want      string // how it ends; beginning with a !, the refusal
	}{
		{"the stranger's signature in the place of ours", 1, func(s *shop, l *ledger) {
			put(s, l, "releases/2/signatures/"+keyID(s.keys[1]), signature(s, eve.keys[0], get(s, l, "releases/2")))
		}, func(s *shop, l *ledger) (string, error) { return publishes(l.sign(s.t.Context(), 2, s.keys[1:])) },
			"!holds what this key never signed: it is by another key; `gatehouse gc` removes it when it is an hour old"},
		{"another signer's in the place of ours", 1, func(s *shop, l *ledger) {
			put(s, l, "releases/2/signatures/"+keyID(s.keys[1]), get(s, l, "releases/2/signatures/"+keyID(s.keys[0])))
		}, func(s *shop, l *ledger) (string, error) { return publishes(l.sign(s.t.Context(), 2, s.keys[1:])) },
			"!holds what this key never signed: it is by another key; "},
		{"a signature by our key over something else", 1, func(s *shop, l *ledger) {
			put(s, l, "releases/2/signatures/"+keyID(s.keys[1]), signature(s, s.keys[1], get(s, l, "releases/1")))
		}, func(s *shop, l *ledger) (string, error) { return publishes(l.sign(s.t.Context(), 2, s.keys[1:])) },
			"!holds what this key never signed: signature_invalid: "},
		{"a release that nobody signed", 1, func(s *shop, l *ledger) {
			put(s, l, "releases/3", strings.Replace(get(s, l, "releases/2"), `"number":2`, `"number":3`, 1))
		}, func(s *shop, l *ledger) (string, error) { return publishes(l.sign(s.t.Context(), 3, s.keys[:1])) },
			"!release 3 is signed by no trusted key, so that nobody knows whose it is: `gatehouse publish DIR` signs what is in a directory"},
		{"our policies with another engine", 1, func(s *shop, l *ledger) {
			b, err := l.read(s.t.Context())
			s.must(nil, err)
			archive, err := s.policies[2].Archive()
			s.must(nil, err)
			r := b.releases[2].says
			r.Number, r.Engine = 3, "opa v0.0.1"
			r.Bundle = release.Content{Digest: s.policies[2].Digest, Parts: len(bundle.Split(archive))}
			payload, err := release.Payload(r)
			s.must(nil, err)
			put(s, l, "releases/3", string(payload))
		}, func(s *shop, l *ledger) (string, error) {
			r, err := l.publish(s.t.Context(), s.policies[2], s.keys[:1])
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("release %d by %t", r.says.Number, r.says.Engine != "opa v0.0.1"), nil
		}, "release 4 by true"},
		{"an older activation put back, and a rollback", 1, func(s *shop, l *ledger) {
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			older := get(s, l, store.Active)
			s.must(l.publish(s.t.Context(), s.policies[2], s.keys[:1]))
			s.must(l.activate(s.t.Context(), l.toRelease(3, nil, nil), s.keys[:1]))
			s.must(nil, l.writer.Activate(s.t.Context(), older))
		}, func(s *shop, l *ledger) (string, error) {
			return activates(l.activate(s.t.Context(), l.back(), s.keys[:1]))
		}, "!activation 2 stands in active, and 3, of release 3, is signed and comes after it: somebody put the older one back, or the newer was never written; see `gatehouse status`, and `gatehouse rollback N` takes release N"},
		{"an older activation put back, and an activation", 1, func(s *shop, l *ledger) {
			old := get(s, l, store.Active)
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			s.must(nil, l.writer.Activate(s.t.Context(), old))
		}, func(s *shop, l *ledger) (string, error) {
			done, err := l.activate(s.t.Context(), l.backTo(1), s.keys[:1])
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("activation %d, release %d, %t", done.says.Sequence, done.says.Release, done.effect), nil
		}, "activation 3, release 1, true"},
		{"active junk, and a rollback", 1, func(s *shop, l *ledger) {
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			s.must(nil, l.writer.Activate(s.t.Context(), "x"))
		}, func(s *shop, l *ledger) (string, error) {
			done, err := l.activate(s.t.Context(), l.back(), s.keys[:1])
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("activation %d, release %d, %t", done.says.Sequence, done.says.Release, done.effect), nil
		}, "activation 2, release 2, true"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, c.threshold)
			l := s.ledger(nil)
			for _, b := range s.policies[:2] {
				s.must(l.publish(t.Context(), b, s.keys[:1]))
			}
			config := s.auth0(l, 0)
			s.must(l.activate(t.Context(), l.toRelease(1, &config, nil), s.keys[:1]))
			c.before(s, l)
			before := s.files()
			got, err := c.run(s, l)
			want, refusal := strings.CutPrefix(c.want, "!")
			var r *result
			switch {
			case !refusal && (err != nil || got != want):
				t.Errorf("%q, %v, want %q", got, err, want)
			case refusal && (!errors.As(err, &r) || r.code != exitRefused || !strings.Contains(err.Error(), want)):
				t.Errorf("got  %q, %v\nwant %s", got, err, want)
			case refusal && !maps.Equal(s.files(), before):
				t.Error("something was written")
			}
		})
	}
}

// One key of two, and strangers without any, take no number for good, and end nobody's break-glass.
func TestNumbersOfOneKey(t *testing.T) {
	const last = 1<<53 - 1
	for name, at := range map[string][]int64{"the last": {last}, "just too far": {2 + maxSteps}, "several": {2 + maxSteps, 3 + 2*maxSteps, last}} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, 2)
			s.open()
			ctx := t.Context()
			l := s.ledger(nil)
			b, err := l.read(ctx)
			s.must(nil, err)
			for _, n := range at {
				a, r := b.active.says, b.releases[1].says
				a.Sequence, r.Number = n, n+1
				if n == last {
					r.Number = n
				}
				for key, says := range map[string]any{fmt.Sprint("activations/", n): a, fmt.Sprint("releases/", r.Number): r} {
					payload, err := release.Payload(says)
					s.must(nil, err)
					s.must(nil, l.writer.Create(ctx, key, string(payload)))
					kind := release.KindActivation
					if strings.HasPrefix(key, "releases/") {
						kind = release.KindRelease
					}
					s.must(nil, addSignatures(ctx, l, kind, key, &statement[any]{payload: payload}, s.keys[:1]))
				}
			}
			if r := s.read(l); !strings.Contains(fmt.Sprint(beyond("releases", r.releases, 2)), "so far above the rest, is passed over") {
				t.Errorf("%v", beyond("releases", r.releases, 2))
			}
			lacks := (&storeStatus{Threshold: 2}).lacks(s.read(l).describe(s.read(l).activations[at[0]]))
			if want := "signed by " + keyID(s.keys[0]) + ": so far above the rest that it is passed over"; lacks != want {
				t.Errorf("%q, want %q", lacks, want)
			}
			published, err := l.publish(ctx, s.policies[2], s.keys)
			if err != nil || published.says.Number != 3 {
				t.Fatalf("%+v, %v", published, err)
			}
			asText, out := false, strings.Builder{}
			d := &desk{json: &asText}
			if err := d.reportRelease(ctx, &out, l, published); err != nil || strings.HasPrefix(out.String(), "note      releases/") != slices.Contains(at, last) || !strings.Contains(out.String(), "\nnext      gatehouse activate 3 --key KEY\n") {
				t.Errorf("%s, %v", out.String(), err)
			}
			if err := d.reportRelease(ctx, &out, s.ledger(func(w store.Writer) store.Writer { return unlisted{w} }), published); !errors.Is(err, errDied) || !strings.HasPrefix(err.Error(), "release 3 is signed; then: ") {
				t.Errorf("%v", err)
			}
			first, err := l.activate(ctx, l.toRelease(3, nil, nil), s.keys[:1])
			if err != nil || first.effect || first.says.Sequence != 2 {
				t.Fatalf("the first: %+v, %v", first, err)
			}
			done, err := l.activate(ctx, l.toRelease(3, nil, nil), s.keys[1:])
			if err != nil || !done.effect {
				done, err = l.activate(ctx, l.toRelease(3, nil, nil), s.keys) // within reach of two of them
			}
			if err != nil || !done.effect || at[0] == last && (done.says.Sequence != 2 || !strings.Contains(fmt.Sprint(done.noted),
				fmt.Sprintf("activations/%d, signed by %s alone and so far above the rest, is passed over: who signed that? `gatehouse gc` removes it when it is an hour old", int64(last), keyID(s.keys[0])))) {
				t.Errorf("%+v, %v, noted %v", done, err, done.noted)
			}
			if r, err := l.gc(ctx, 10, time.Now().Add(time.Hour), false); err != nil || slices.Contains(r.Activations, last) || slices.Contains(r.Releases, last) || !slices.Contains(r.Activations, done.says.Sequence) {
				t.Errorf("%+v, %v", r, err)
			}
			s.settled()
		})
	}
}

// unlisted is a store that lists nothing any more.
type unlisted struct{ store.Writer }

func (unlisted) List(context.Context, string) ([]store.Parameter, error) { return nil, errDied }

// What stands in active is read for people, whatever it is.
func TestStands(t *testing.T) {
	for _, document := range []string{"", "x", `{"payload":"%"}`, `{"payload":"e30"}`} {
		if a, ok := (&book{document: document}).stands(); ok {
			t.Errorf("%q: %+v", document, a)
		}
	}
}

func (s *shop) read(l *ledger) *book {
	s.t.Helper()
	b, err := l.read(s.t.Context())
	s.must(nil, err)
	return b
}

// What nobody signed says when no break-glass ends.
func TestNobodyEndsBreakGlass(t *testing.T) {
	s := newShop(t, 1)
	s.open()
	ctx := t.Context()
	l := s.ledger(nil)
	end, soon := time.Now().Add(time.Minute).UTC().Truncate(time.Second), time.Now().Add(3*time.Second).UTC().Truncate(time.Second)
	_, planned, err := l.plan(ctx, l.toRelease(2, nil, &end), 1)
	s.must(nil, err)
	a := planned.says
	a.NotAfter = &soon
	payload, err := release.Payload(a)
	s.must(nil, err)
	s.must(nil, l.writer.Create(ctx, "activations/2", string(payload)))
	if done, err := l.activate(ctx, l.underWay(l.toRelease(2, nil, &end)), s.keys[:1]); err == nil || !strings.Contains(err.Error(), "activation 2 was taken in this moment by somebody else") {
		t.Errorf("%+v, %v", done, err)
	}
	s.age("activations/2")
	done, err := l.activate(ctx, l.underWay(l.toRelease(2, nil, &end)), s.keys[:1])
	if err != nil || !done.effect || !done.says.NotAfter.Equal(end) || done.says.Sequence != 3 {
		t.Errorf("%+v, %v", done, err)
	}
}

// age makes a statement older than what may still be signed.
func (s *shop) age(key string) {
	s.t.Helper()
	old := time.Now().Add(-2 * young)
	s.must(nil, os.Chtimes(filepath.Join(s.dir, key+".txt"), old, old))
}

// A rollback goes by what is in force, and says which activation it goes back to.
func TestBack(t *testing.T) {
	tests := []struct {
		name    string
		before  func(s *shop, l *ledger)
		release int64
		back    int64
		noted   string
	}{
		{"after break-glass that has ended", func(s *shop, l *ledger) {
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			end := time.Now().Add(time.Second).UTC().Truncate(time.Second)
			s.must(l.activate(s.t.Context(), l.toRelease(3, nil, &end), s.keys[:1]))
			time.Sleep(time.Until(end) + 10*time.Millisecond)
		}, 1, 1, ""},
		{"from break-glass", func(s *shop, l *ledger) {
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
			s.must(l.activate(s.t.Context(), l.toRelease(3, nil, &end), s.keys[:1]))
		}, 2, 2, ""},
		{"to what was signed and never written", func(s *shop, l *ledger) {
			at, payload := s.claim(l, 2, 3)
			s.put(l, at, payload)
			s.signs(l, at, payload, s.keys[1])
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
		}, 3, 2, ""},
		{"with nothing in active", func(s *shop, l *ledger) {
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			s.must(nil, os.Remove(filepath.Join(s.dir, store.Active+".txt")))
		}, 2, 2, "nothing that counts was active: what activation 2 said, the last one, stands again; run rollback again for what was before it"},
		{"with junk in active", func(s *shop, l *ledger) {
			s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
			s.must(nil, l.writer.Activate(s.t.Context(), "x"))
		}, 2, 2, "nothing that counts was active: what activation 2 said, the last one, stands again; run rollback again for what was before it"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 1)
			s.open()
			l := s.ledger(nil)
			s.must(l.publish(t.Context(), s.policies[2], s.keys[:1]))
			c.before(s, l)
			done, err := l.activate(t.Context(), l.back(), s.keys[:1])
			if err != nil || !done.effect || done.says.Release != c.release || done.back != c.back || !strings.Contains(fmt.Sprint(done.noted), c.noted) || c.noted == "" && done.noted != nil {
				t.Errorf("%+v, %v, noted %v", done, err, done.noted)
			}
		})
	}
}

// KMS that does not answer is no fault of whoever names a key of it.
func TestKMSOutOfReach(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_MAX_ATTEMPTS": "1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	s := newStand(t)
	dir := s.published()
	for _, args := range [][]string{{"publish", dir, "--key", "kms:k"}, {"keygen", "--public", "kms:k"}, {"activate", "2", "--key", s.alice, "--key", "kms:k"}} {
		if got := call(t, "", s.env, args...); got.code != exitUnknown || !strings.Contains(got.err, `kms:k: kms: public key of "k": `) {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := call(t, "", s.env, "publish", dir, "--key", "kms:k", "--key", "none.jwk"); got.code != exitUsage || !strings.Contains(got.err, "none.jwk") || !strings.Contains(got.err, "kms:k") {
		t.Errorf("%+v", got)
	}
}

// writesOf is how often each run of TestKilledAtEachWrite writes.
var writesOf = map[string]int{
	"publish": 3, "publish, of two": 3, "sign": 1, // part, release, signature
	"activate": 3, "activate, the first of two": 2, "activate, the second of two": 2, // claim, signature, active
	"activate with a configuration": 5, "auth0 put": 4, "candidate": 3, "rollback": 3, "rollback to a release": 3,
}

func TestThresholdOfNone(t *testing.T) {
	s := newStand(t)
	got := call(t, "", append(s.env, "GATEHOUSE_THRESHOLD=0"), "status")
	if got.code != exitUsage || !strings.Contains(got.err, "threshold is 0, want at least 1") {
		t.Errorf("%+v", got)
	}
}

// A key of KMS signs as one of a file does, and either counts for one of two.
func TestKeyOfKMS(t *testing.T) {
	server := moto.Start(t)
	for _, entry := range server.Env {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	s := newStand(t)
	id := strings.TrimSpace(server.CLI(t, "kms", "create-key", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY", "--query", "KeyMetadata.KeyId", "--output", "text"))
	key := "kms:" + id
	trust := s.run(exitDone, "keygen", "--public", s.alice, key)
	s.env = append(s.env, "GATEHOUSE_TRUST="+trust, "GATEHOUSE_THRESHOLD=2")
	dir := s.policies()
	for _, c := range []struct{ args, says string }{
		{"publish " + dir + " --key " + key, "signed    1 of 2: "},
		{"sign 1 --key " + s.alice, "signed    2 of 2: "},
		{"activate 1 --auth0 " + s.config + " --key " + key, "signed    1 of 2: "},
		{"activate 1 --auth0 " + s.config + " --key " + s.alice, "active    activation 1: release 1, "},
		{"candidate --off --key " + key + " --key " + s.alice, "changed   nothing\n"},
	} {
		if out := s.run(exitDone, strings.Fields(c.args)...); !strings.Contains(out, c.says) {
			t.Errorf("%s:\n%s\nlacks %s", c.args, out, c.says)
		}
	}
	got := call(t, "", s.env, "sign", "1", "--key", "kms:none")
	if got.code != exitUsage || !strings.Contains(got.err, `--key kms:none: kms: public key of "none": `) {
		t.Errorf("%+v", got)
	}
}

// A store that can no longer be reached, from whichever call on, is no refusal: the exit code is that of what is not known.
func TestStoreGoneHalfWay(t *testing.T) {
	s := newShop(t, 1)
	start := s.shelved()
	for n := 0; ; n++ {
		calls := 0
		h := hand{&cupboard{held: maps.Clone(start)}, func(step) error {
			if calls++; calls > n {
				return errDied
			}
			return nil
		}}
		l := &ledger{reader: h, writer: h, trust: s.trust, scope: release.Scope{Account: "123456789012", Root: h.Root(), Stage: "dev"}}
		_, err := l.activate(t.Context(), becomes(2), s.keys[:1])
		if err == nil {
			if n < 10 {
				t.Errorf("done after %d calls", n)
			}
			return
		}
		var r *result
		if !errors.Is(err, errDied) || errors.As(err, &r) {
			t.Errorf("from call %d on: %v", n+1, err)
		}
	}
}
