package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
	"gatehouse/internal/store/writer"
)

// shop is a store with what is written to it: three policies, two configurations, two signers.
type shop struct {
	t        *testing.T
	dir      string
	address  string
	trust    release.Trust
	keys     []release.Signer
	policies []*bundle.Bundle
	configs  [][]byte
}

func newShop(t *testing.T, threshold int) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir()}
	s.address = "file:" + s.dir
	var public []*ecdsa.PublicKey
	for range 2 {
		jwk, err := release.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		key, err := release.ParseKey(jwk)
		if err != nil {
			t.Fatal(err)
		}
		s.keys, public = append(s.keys, key), append(public, key.Public().(*ecdsa.PublicKey))
	}
	jwks, err := release.PublicJWKS(public...)
	if err != nil {
		t.Fatal(err)
	}
	if s.trust, err = release.ParseTrust(jwks, threshold); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for n := range 3 {
		dir := w.policies()
		w.file("policies/authz/a/a.rego", fmt.Sprintf("package authz.a\n\nallow contains \"a%d\" if input.ok\n", n))
		b, err := bundle.Read(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		s.policies = append(s.policies, b)
		doc, _ := strings.CutPrefix(w.env[0], "GATEHOUSE_AUTH0=")
		s.configs = append(s.configs, []byte(strings.Repeat(" ", n)+doc))
	}
	return s
}

// ledger gives one of its own over the store, as each run of the program has.
func (s *shop) ledger(wrap func(store.Writer) store.Writer) *ledger {
	s.t.Helper()
	reader, err := writer.OpenReader(s.t.Context(), s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	w, err := writer.Open(s.t.Context(), s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	if wrap != nil {
		w = wrap(w)
	}
	return &ledger{reader: reader, writer: w, trust: s.trust, scope: release.Scope{Account: "123456789012", Root: reader.Root(), Stage: "dev"}}
}

// must does a step that is no part of what is tested.
func (s *shop) must(_ any, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) auth0(l *ledger, n int) release.Content {
	s.t.Helper()
	c, err := l.putAuth0(s.t.Context(), s.configs[n], l.writer.Create)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// open is the store after two releases and the activation of the first.
func (s *shop) open() {
	s.t.Helper()
	l := s.ledger(nil)
	ctx := s.t.Context()
	for _, b := range s.policies[:2] {
		s.must(l.publish(ctx, b, s.keys))
	}
	c := s.auth0(l, 0)
	s.must(l.activate(ctx, l.toRelease(1, &c, nil), s.keys))
}

// files is what is in the store, by file.
func (s *shop) files() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found[strings.TrimPrefix(name, s.dir)] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// restore puts the store back to what files gave.
func (s *shop) restore(files map[string]string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, e.Name())))
	}
	for name, content := range files {
		full := filepath.Join(s.dir, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(content), 0o600))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// settled fails unless what is active is the highest complete claim, and everything that it names is there and good.
func (s *shop) settled() release.Activation {
	s.t.Helper()
	ctx := s.t.Context()
	l := s.ledger(nil)
	b, err := l.read(ctx)
	if err != nil || b.active == nil {
		s.t.Fatal(err, b)
	}
	for n, c := range b.activations {
		if b.complete(c.signers) && n > b.active.says.Sequence {
			s.t.Errorf("activation %d is active, and %d is complete", b.active.says.Sequence, n)
		}
	}
	s.must(nil, l.check(ctx, "bundles", b.active.says.Bundle, isBundle(ctx, b.active.says.Bundle.Digest)))
	s.must(nil, l.check(ctx, "auth0", b.active.says.Auth0, isAuth0(b.active.says.Auth0.Digest)))
	return b.active.says
}

var errKilled = errors.New("killed")

// killed is a writer that ends with its n-th write: before it or, done, after it.
type killed struct {
	store.Writer
	n     *int
	after bool
}

func (k killed) die(write func() error) error {
	*k.n--
	switch {
	case *k.n > 0:
		return write()
	case *k.n == 0 && k.after:
		return errors.Join(write(), errKilled)
	}
	return errKilled
}

func (k killed) Create(ctx context.Context, key, value string) error {
	return k.die(func() error { return k.Writer.Create(ctx, key, value) })
}

func (k killed) Activate(ctx context.Context, value string) error {
	return k.die(func() error { return k.Writer.Activate(ctx, value) })
}

func (k killed) Delete(ctx context.Context, keys []string) error {
	return k.die(func() error { return k.Writer.Delete(ctx, keys) })
}

// writing are the runs that write.
var writing = []struct {
	name      string
	threshold int
	before    func(s *shop) // beside open
	run       func(s *shop, l *ledger) (string, error)
	activates bool
}{
	{"publish", 1, nil, func(s *shop, l *ledger) (string, error) {
		return publishes(l.publish(s.t.Context(), s.policies[2], s.keys[:1]))
	}, false},
	{"publish, of two", 2, nil, func(s *shop, l *ledger) (string, error) {
		return publishes(l.publish(s.t.Context(), s.policies[2], s.keys[:1]))
	}, false},
	{"sign", 2, func(s *shop) { s.must(s.ledger(nil).publish(s.t.Context(), s.policies[2], s.keys[:1])) }, func(s *shop, l *ledger) (string, error) {
		return publishes(l.sign(s.t.Context(), 3, s.keys[1:]))
	}, false},
	{"activate", 1, nil, func(s *shop, l *ledger) (string, error) {
		return activates(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
	}, true},
	{"activate, the first of two", 2, nil, func(s *shop, l *ledger) (string, error) {
		return activates(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
	}, false},
	{"activate, the second of two", 2, func(s *shop) {
		l := s.ledger(nil)
		s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[:1]))
	}, func(s *shop, l *ledger) (string, error) {
		return activates(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys[1:]))
	}, true},
	{"activate with a configuration", 1, nil, func(s *shop, l *ledger) (string, error) {
		c, err := l.putAuth0(s.t.Context(), s.configs[1], l.writer.Create)
		if err != nil {
			return "", err
		}
		return activates(l.activate(s.t.Context(), l.toRelease(2, &c, nil), s.keys))
	}, true},
	{"auth0 put", 1, nil, func(s *shop, l *ledger) (string, error) {
		c, err := l.putAuth0(s.t.Context(), s.configs[1], l.writer.Create)
		if err != nil {
			return "", err
		}
		return activates(l.activate(s.t.Context(), l.withAuth0(c), s.keys[:1]))
	}, true},
	{"candidate", 1, nil, func(s *shop, l *ledger) (string, error) {
		return activates(l.activate(s.t.Context(), l.withCandidate(2), s.keys[:1]))
	}, true},
	{"rollback", 1, func(s *shop) {
		l := s.ledger(nil)
		s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys))
	}, func(s *shop, l *ledger) (string, error) {
		return activates(l.activate(s.t.Context(), l.back(), s.keys[:1]))
	}, true},
	{"rollback to a release", 1, func(s *shop) {
		l := s.ledger(nil)
		s.must(l.activate(s.t.Context(), l.toRelease(2, nil, nil), s.keys))
	}, func(s *shop, l *ledger) (string, error) {
		return activates(l.activate(s.t.Context(), l.backTo(1), s.keys[:1]))
	}, true},
}

func publishes(r *statement[release.Release], err error) (string, error) {
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("release %d, %s, signed by %q", r.says.Number, r.says.Bundle.Digest, r.signers), nil
}

func activates(a *activated, err error) (string, error) {
	if err != nil {
		return "", err
	}
	payload, err := release.Payload(a.says)
	return fmt.Sprintf("%s, signed by %q, active %t", payload, a.signers, a.effect), err
}

// Whatever write is a run's last one, what is active is what was so before, but after the one last write; and a second run
// ends as the first should have.
func TestKilledAtEachWrite(t *testing.T) {
	for _, c := range writing {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, c.threshold)
			s.open()
			if c.before != nil {
				c.before(s)
			}
			start := s.files()
			left := 1_000
			want, err := c.run(s, s.ledger(func(w store.Writer) store.Writer { return killed{w, &left, false} }))
			if err != nil {
				t.Fatal(err)
			}
			writes := 1_000 - left
			if t.Logf("%d writes", writes); writes != writesOf[c.name] {
				t.Errorf("%d writes, want %d: is each of them where a run may die?", writes, writesOf[c.name])
			}
			end := s.files()
			if c.activates == (end["/active.txt"] == start["/active.txt"]) {
				t.Fatalf("active: changed %t", !c.activates)
			}
			for n := 1; n <= writes; n++ {
				for _, after := range []bool{false, true} {
					s.restore(start)
					left := n
					_, err := c.run(s, s.ledger(func(w store.Writer) store.Writer { return killed{w, &left, after} }))
					done := c.activates && n == writes && after
					if !errors.Is(err, errKilled) && !(done && err == nil) {
						t.Errorf("write %d, after %t: %v", n, after, err)
					}
					if same := s.files()["/active.txt"] == start["/active.txt"]; same == done {
						t.Errorf("write %d, after %t: active is as before: %t", n, after, same)
					}
					if done && err == nil { // it was told that all is well: nobody runs it again
						s.settled()
						continue
					}
					if got, err := c.run(s, s.ledger(nil)); err != nil || got != want {
						t.Errorf("write %d, after %t, run again: %v\n%s\nwant\n%s", n, after, err, got, want)
					}
					s.settled()
				}
			}
		})
	}
}

// dawdling is a writer between whose calls time goes by.
type dawdling struct{ store.Writer }

func dawdle() { time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))) }

func (d dawdling) Create(ctx context.Context, key, value string) error {
	dawdle()
	return d.Writer.Create(ctx, key, value)
}

func (d dawdling) Activate(ctx context.Context, value string) error {
	dawdle()
	return d.Writer.Activate(ctx, value)
}

func (d dawdling) List(ctx context.Context, prefix string) ([]store.Parameter, error) {
	dawdle()
	return d.Writer.List(ctx, prefix)
}

// Two activate at once, each something else: one to whom it was said that it is active is there, whoever else was at work.
func TestTwoActivators(t *testing.T) { twoActivators(t, newShop(t, 1), 60) }

func twoActivators(t *testing.T, s *shop, rounds int) {
	t.Helper()
	s.open()
	ctx := t.Context()
	s.must(s.ledger(nil).publish(ctx, s.policies[2], s.keys))
	configs := []release.Content{s.auth0(s.ledger(nil), 0), s.auth0(s.ledger(nil), 1)}
	won := [2]int{}
	for round := range rounds {
		r, c := int64(1+round%3), configs[round/2%2]
		if is := s.settled(); is.Release == r || is.Auth0 == c {
			if r, c = is.Release%3+1, configs[0]; is.Auth0 == c {
				c = configs[1]
			}
		}
		was := s.settled()
		var wg sync.WaitGroup
		var errs [2]error
		for i := range 2 {
			wg.Go(func() {
				l := s.ledger(func(w store.Writer) store.Writer { return dawdling{w} })
				want := l.toRelease(r, nil, nil)
				if i == 1 {
					want = l.withAuth0(c)
				}
				dawdle()
				_, errs[i] = l.activate(ctx, want, s.keys[i:i+1])
			})
		}
		wg.Wait()
		is := s.settled()
		for i, err := range errs {
			var refusal *result
			if err != nil && !(errors.As(err, &refusal) && refusal.code == exitRefused) {
				t.Fatalf("round %d, %d: %v", round, i, err)
			}
		}
		if errs[0] == nil {
			won[0]++
			if is.Release != r {
				t.Errorf("round %d: release %d was activated, and lost: %+v, from %+v; %v", round, r, is, was, errs[1])
			}
		}
		if errs[1] == nil {
			won[1]++
			if is.Auth0 != c {
				t.Errorf("round %d: the configuration was activated, and lost: %+v, from %+v; %v", round, is, was, errs[0])
			}
		}
		if errs[0] != nil && errs[1] != nil {
			t.Errorf("round %d: nobody won: %v; %v", round, errs[0], errs[1])
		}
	}
	if won[0] == 0 || won[1] == 0 {
		t.Errorf("of %d rounds the release won %d and the configuration %d: they never met", rounds, won[0], won[1])
	}
}

// Two who must both sign do so at once: it is one activation, and both are told that it is active, or one that the other must.
func TestTwoSigners(t *testing.T) {
	s := newShop(t, 2)
	s.open()
	for round := range 20 {
		var wg sync.WaitGroup
		var got [2]*activated
		var errs [2]error
		for i := range 2 {
			wg.Go(func() {
				l := s.ledger(func(w store.Writer) store.Writer { return dawdling{w} })
				got[i], errs[i] = l.activate(t.Context(), l.toRelease(int64(2-round%2), nil, nil), s.keys[i:i+1])
			})
		}
		wg.Wait()
		if errs[0] != nil || errs[1] != nil || !got[0].effect && !got[1].effect {
			t.Fatalf("round %d: %+v, %v; %+v, %v", round, got[0], errs[0], got[1], errs[1])
		}
		if is := s.settled(); is.Sequence != int64(2+round) || got[0].says.Sequence != is.Sequence || got[1].says.Sequence != is.Sequence {
			t.Errorf("round %d: %+v", round, is)
		}
	}
}

// Two publish at once: the same content is one release, other content another.
func TestTwoPublishers(t *testing.T) {
	for round := range 10 {
		for name, other := range map[string]int{"the same": 1, "another": 2} {
			s := newShop(t, 1)
			var wg sync.WaitGroup
			var got [2]*statement[release.Release]
			var errs [2]error
			for i, n := range []int{1, other} {
				wg.Go(func() {
					l := s.ledger(func(w store.Writer) store.Writer { return dawdling{w} })
					got[i], errs[i] = l.publish(t.Context(), s.policies[n], s.keys[i%2:i%2+1])
				})
			}
			wg.Wait()
			if errs[0] != nil || errs[1] != nil {
				t.Fatalf("round %d, %s: %v; %v", round, name, errs[0], errs[1])
			}
			if (got[0].says.Number == got[1].says.Number) != (other == 1) {
				t.Errorf("round %d, %s: numbers %d and %d", round, name, got[0].says.Number, got[1].says.Number)
			}
		}
	}
}

// Break-glass for a while, run again within a minute, goes on with what it began. Otherwise the end is what was asked for.
func TestUnderWay(t *testing.T) {
	s := newShop(t, 2)
	s.open()
	ctx := t.Context()
	now := time.Now().UTC().Truncate(time.Second)
	until := func(d time.Duration) *time.Time { end := now.Add(d); return &end }
	l := s.ledger(nil)
	first, err := l.activate(ctx, l.underWay(l.toRelease(2, nil, until(time.Hour))), s.keys[:1])
	if err != nil || first.effect || first.says.Sequence != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, want := range []string{"signed", "again"} {
		a, err := l.activate(ctx, l.underWay(l.toRelease(2, nil, until(time.Hour+time.Minute))), s.keys[1:])
		if err != nil || !a.effect || a.says.Sequence != 2 || !a.says.NotAfter.Equal(*until(time.Hour)) || a.says.Fallback.Release != 1 {
			t.Errorf("%s: %+v, %v", want, a, err)
		}
	}
	// Later is something else, and so is sooner, and what takes over is still what had no end.
	for n, d := range []time.Duration{time.Hour + time.Minute + time.Second, time.Minute} {
		a, err := l.activate(ctx, l.underWay(l.toRelease(2, nil, until(d))), s.keys)
		if err != nil || !a.effect || a.says.Sequence != int64(3+n) || !a.says.NotAfter.Equal(*until(d)) || a.says.Fallback.Release != 1 {
			t.Errorf("%s: %+v, %v", d, a, err)
		}
	}
}

// claim is activation n, which makes release r active and is otherwise like the one that is.
func (s *shop) claim(l *ledger, n, r int64) (at string, payload []byte) {
	s.t.Helper()
	b, err := l.read(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	a := b.active.says
	a.Sequence, a.Release, a.Bundle = n, r, b.releases[r].says.Bundle
	payload, err = release.Payload(a)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("activations/%d", n), payload
}

func (s *shop) put(l *ledger, key string, value []byte) {
	s.t.Helper()
	s.must(nil, l.writer.Create(s.t.Context(), key, string(value)))
}

func (s *shop) signs(l *ledger, at string, payload []byte, key release.Signer) *statement[release.Activation] {
	s.t.Helper()
	a, err := release.ParseActivation(payload)
	done := &statement[release.Activation]{says: a, payload: payload}
	if err == nil {
		err = addSignatures(s.t.Context(), l, release.KindActivation, at, done, []release.Signer{key})
	}
	s.must(nil, err)
	return done
}

// meanwhile is a writer beside which something happens: after a key is created, or around active.
type meanwhile struct {
	store.Writer
	key           string
	after, before func()
}

func (m meanwhile) Create(ctx context.Context, key, value string) error {
	err := m.Writer.Create(ctx, key, value)
	if key == m.key {
		m.after()
	}
	return err
}

func (m meanwhile) Activate(ctx context.Context, value string) error {
	if m.key == "before active" {
		m.before()
	}
	err := m.Writer.Activate(ctx, value)
	if m.key == store.Active {
		m.after()
	}
	return err
}

// Somebody else is at work, at the worst moment of each step. Whoever is overtaken is told, and by whom.
func TestMeanwhile(t *testing.T) {
	claims := func(signed, written bool) func(*ledger, *shop) {
		return func(l *ledger, s *shop) {
			at, payload := s.claim(l, 3, 3)
			s.put(l, at, payload)
			if !signed {
				return
			}
			done := s.signs(l, at, payload, s.keys[1])
			if written {
				document, err := done.document()
				s.must(nil, errors.Join(err, l.writer.Activate(t.Context(), document)))
			}
		}
	}
	deletes := func(keys ...string) func(*ledger, *shop) {
		return func(l *ledger, s *shop) { s.must(nil, l.writer.Delete(t.Context(), keys)) }
	}
	const overtaken = "overtaken: activation 3, of release 3, was signed by KID while 2 was under way: see `gatehouse status`, and run this again if it is still wanted"
	tests := []struct {
		name, key string
		do        func(l *ledger, s *shop)
		want      string
		active    int64
	}{
		{"claimed, then another is active", "activations/2", claims(true, true), overtaken, 3},
		{"claimed, then another is signed", "activations/2", claims(true, false), overtaken, 3},
		{"claimed, then another is claimed", "activations/2", claims(false, false), "activation 3 was claimed over 2 in this moment by somebody else, for release 3: see `gatehouse status`, and run this again in a minute if it is still wanted", 1},
		{"claimed, then the policy is gone", "activations/2", func(l *ledger, s *shop) { deletes(partKey(s.policies[1].Digest, 1))(l, s) }, "/1: not found", 1},
		{"signed, then another is active", "SIGNATURE", claims(true, true), overtaken, 3},
		{"signed, then another is signed", "SIGNATURE", claims(true, false), overtaken, 3},
		{"signed, then another is claimed", "SIGNATURE", claims(false, false), "activation 2 is signed, and 3 was claimed over it, for release 3: run this again in a minute", 1},
		{"signed, then another is claimed, and signed later", "SIGNATURE", func(l *ledger, s *shop) {
			claims(false, false)(l, s)
			at, payload := s.claim(l, 3, 3)
			go func() {
				time.Sleep(pause)
				s.signs(l, at, payload, s.keys[1])
			}()
		}, overtaken, 3},
		{"signed, then the claim is gone", "SIGNATURE", deletes("activations/2"), "activations/2 is gone: somebody else writes there; see `gatehouse status`", 1},
		{"written, and another was active a moment before", "before active", claims(true, true), overtaken, 3},
		{"written, and written over again and again", store.Active, func(l *ledger, s *shop) { s.must(nil, l.writer.Activate(t.Context(), "x")) }, "somebody else writes active again and again: see `gatehouse status`", 0},
		{"all numbers are taken", "activations/2", nil, "activations/101 and the 99 numbers before it are taken by what nobody signed: who writes there?", 1},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 1)
			s.open()
			l := s.ledger(nil)
			s.must(l.publish(t.Context(), s.policies[2], s.keys[:1]))
			key := strings.Replace(c.key, "SIGNATURE", "activations/2/signatures/"+keyID(s.keys[0]), 1)
			do := func() { c.do(l, s) }
			if c.do == nil {
				for n := range maxSteps {
					s.put(l, fmt.Sprintf("activations/%d", n+2), []byte("x"))
				}
				do = func() {}
			}
			mine := s.ledger(func(w store.Writer) store.Writer { return meanwhile{w, key, do, do} })
			_, err := mine.activate(t.Context(), mine.toRelease(2, nil, nil), s.keys[:1])
			want := strings.Replace(c.want, "KID", keyID(s.keys[1]), 1)
			var refusal *result
			if !errors.As(err, &refusal) || refusal.code != exitRefused || !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			b, err := l.read(t.Context())
			if err != nil || b.sequence() != c.active {
				t.Errorf("activation %d is active, want %d; %v", b.sequence(), c.active, err)
			}
		})
	}
}

// What somebody did to the store, and what a change makes of it.
func TestWhatStrangersLeave(t *testing.T) {
	age := func(s *shop, key string) {
		t.Helper()
		old := time.Now().Add(-2 * young)
		if err := os.Chtimes(filepath.Join(s.dir, key+".txt"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name     string
		before   func(l *ledger, s *shop)
		sequence int64 // of the activation of release 2
		noted    string
		want     string // the refusal
	}{
		{"nothing", nil, 2, "", ""},
		{"a claim of nobody, just now", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 2, 1)
			s.put(l, at, payload)
		}, 0, "", "activation 2 was taken in this moment by somebody else, for release 1, signed by nobody yet: see `gatehouse status`, and run this again in a minute if it is still wanted"},
		{"a claim of nobody, a while ago", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 2, 1)
			s.put(l, at, payload)
			age(s, at)
		}, 3, "", ""},
		{"a claim of the same by nobody, a while ago", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 2, 2)
			s.put(l, at, payload)
			age(s, at)
		}, 2, "", ""},
		{"no statement", func(l *ledger, s *shop) { s.put(l, "activations/2", []byte("x")) }, 3, "", ""},
		{"a number that would be the last", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 1<<53-1, 1)
			s.put(l, at, payload)
			age(s, at)
		}, 2, "", ""},
		{"something in the place of the signature", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 2, 2)
			s.put(l, at, payload)
			s.put(l, at+"/signatures/"+keyID(s.keys[0]), []byte("x"))
			age(s, at)
		}, 3, "", ""},
		{"a claim that was signed and never written", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 2, 3)
			s.put(l, at, payload)
			s.signs(l, at, payload, s.keys[1])
		}, 3, "activation 2, of release 3, was signed and never written: this one comes after it", ""},
		{"our own claim that was signed and never written", func(l *ledger, s *shop) {
			at, payload := s.claim(l, 2, 2)
			s.put(l, at, payload)
			s.signs(l, at, payload, s.keys[1])
		}, 2, "", ""},
		{"active overwritten", func(l *ledger, s *shop) {
			if err := l.writer.Activate(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
		}, 2, "malformed: ", ""},
		{"a part is gone", func(l *ledger, s *shop) {
			if err := l.writer.Delete(t.Context(), []string{"bundles/" + s.policies[1].Digest + "/1"}); err != nil {
				t.Fatal(err)
			}
		}, 0, "", "/1: not found"},
		{"a part is another", func(l *ledger, s *shop) {
			name := filepath.Join(s.dir, "bundles", s.policies[1].Digest, "1.txt")
			other, err := os.ReadFile(filepath.Join(s.dir, "bundles", s.policies[0].Digest, "1.txt"))
			if err == nil {
				err = os.WriteFile(name, other, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, 0, "", "its digest is "},
		{"the configuration is gone", func(l *ledger, s *shop) {
			if err := l.writer.Delete(t.Context(), []string{"auth0/" + bundle.Sum(s.configs[0]) + "/1"}); err != nil {
				t.Fatal(err)
			}
		}, 0, "", "/1: not found"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, 1)
			s.open()
			l := s.ledger(nil)
			s.must(l.publish(t.Context(), s.policies[2], s.keys[:1]))
			start := s.files()["/active.txt"]
			if c.before != nil {
				c.before(l, s)
			}
			done, err := l.activate(t.Context(), l.toRelease(2, nil, nil), s.keys[:1])
			if c.want != "" {
				var refusal *result
				if !errors.As(err, &refusal) || refusal.code != exitRefused || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				if s.files()["/active.txt"] != start {
					t.Error("active has changed")
				}
				return
			}
			if err != nil || !done.effect || done.says.Sequence != c.sequence || done.says.Release != 2 {
				t.Fatalf("%+v, %v", done, err)
			}
			noted := fmt.Sprint(done.noted)
			if c.noted == "" && done.noted != nil || !strings.Contains(noted, c.noted) {
				t.Errorf("noted %v, want %q", done.noted, c.noted)
			}
			s.settled()
		})
	}
}

// Which number is the highest that is taken, of a threshold of two. Of each the number of its signatures is given.
func TestReach(t *testing.T) {
	for _, c := range []struct {
		name string
		from int64
		held map[int64]int
		want int64
	}{
		{"nothing", 0, nil, 0},
		{"what is active", 7, map[int64]int{5: 2}, 7},
		{"of nobody", 0, map[int64]int{1: 0}, 0},
		{"the second signer is missing", 0, map[int64]int{1: 2, 2: 1}, 2},
		{"as far as a run steps", 0, map[int64]int{1: 2, 101: 1}, 101},
		{"further", 0, map[int64]int{1: 2, 102: 1}, 1},
		{"further, and complete", 0, map[int64]int{1: 2, 102: 2, 150: 1}, 150},
		{"one above another", 0, map[int64]int{1: 2, 101: 1, 201: 1, 302: 1}, 201},
		{"the threshold was raised, and gc had been there", 0, map[int64]int{491: 1, 492: 1, 500: 1, 1<<53 - 1: 1}, 500},
		{"the threshold was raised, and one had enough before", 0, map[int64]int{3: 2, 50: 1, 140: 1, 230: 1}, 230},
	} {
		held := map[int64]*statement[release.Activation]{}
		for n, signed := range c.held {
			held[n] = &statement[release.Activation]{signers: make([]string, signed)}
		}
		if got := reach(held, c.from, (&book{threshold: 2}).complete); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
