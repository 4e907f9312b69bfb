package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// whole fails unless all that is left to go back to can be gone back to.
func (s *shop) whole() {
	s.t.Helper()
	ctx := s.t.Context()
	l := s.ledger(nil)
	b, err := l.read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	policy := func(who string, c release.Content) {
		s.t.Helper()
		if err := l.check(ctx, "bundles", c, func(archive []byte) error { _, err := bundle.ReadArchive(archive); return err }); err != nil {
			s.t.Errorf("%s: %v", who, err)
		}
	}
	names := func(who string, a release.Activation) {
		s.t.Helper()
		policy(who, a.Bundle)
		if err := l.check(ctx, "auth0", a.Auth0, isAuth0(a.Auth0.Digest)); err != nil {
			s.t.Errorf("%s: %v", who, err)
		}
		for _, t := range []*release.Target{{Release: a.Release, Bundle: a.Bundle}, a.Candidate, a.Fallback} {
			if t == nil {
				continue
			}
			policy(who, t.Bundle)
			if r := b.releases[t.Release]; r == nil || !b.complete(r.signers) || r.says.Bundle != t.Bundle {
				s.t.Errorf("%s: release %d is gone", who, t.Release)
			}
		}
	}
	if b.active != nil {
		names("active", b.active.says)
	}
	for n, a := range b.activations {
		names(fmt.Sprintf("activation %d", n), a.says)
	}
	for n, r := range b.releases {
		policy(fmt.Sprintf("release %d", n), r.says.Bundle)
	}
}

// Whatever was done before, and wherever gc ends early, what is left names nothing that is gone, the newest is left, and what
// is active did not change.
func TestGCBreaksNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			s := newShop(t, 1)
			s.open()
			ctx := t.Context()
			l := s.ledger(nil)
			contents := []release.Content{s.auth0(l, 0), s.auth0(l, 1), s.auth0(l, 2)}
			s.must(l.publish(ctx, s.policies[2], s.keys[:1]))
			for range 25 {
				b, err := l.read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				have := sorted(b.releases)
				n := have[random.IntN(len(have))]
				soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
				switch random.IntN(8) {
				case 0:
					_, err = l.publish(ctx, s.policies[random.IntN(3)], s.keys[:1])
				case 1:
					_, err = l.activate(ctx, l.toRelease(n, nil, nil), s.keys)
				case 2:
					_, err = l.activate(ctx, l.toRelease(n, nil, &soon), s.keys[:1])
				case 3:
					_, err = l.activate(ctx, l.back(), s.keys)
				case 4:
					_, err = l.activate(ctx, l.withCandidate(n), s.keys)
				case 5:
					c, doc := random.IntN(3), release.Content{}
					if doc, err = l.putAuth0(ctx, s.configs[c], l.writer.Create); err == nil {
						_, err = l.activate(ctx, l.withAuth0(doc), s.keys)
					}
					if err == nil && doc != contents[c] {
						t.Errorf("configuration %d is %+v, then %+v", c, contents[c], doc)
					}
				default:
					before := s.files()
					left := 1 + random.IntN(6)
					_, err = s.ledger(func(w store.Writer) store.Writer { return killed{w, &left, random.IntN(2) == 0} }).
						gc(ctx, 1+random.IntN(3), time.Now().Add(time.Hour), false)
					if after := s.files(); after["/active.txt"] != before["/active.txt"] {
						t.Errorf("gc changed what is active")
					}
					if errors.Is(err, errKilled) {
						err = nil
					}
				}
				var refusal *result
				if err != nil && !(errors.As(err, &refusal) && refusal.code == exitRefused) {
					t.Fatal(err)
				}
				s.whole()
				s.settled()
			}
		})
	}
}

// files are the store's keys.
func (s *shop) list() []string {
	s.t.Helper()
	var keys []string
	for name := range s.files() {
		keys = append(keys, strings.TrimSuffix(strings.TrimPrefix(name, "/"), ".txt"))
	}
	slices.Sort(keys)
	return keys
}

func TestGC(t *testing.T) {
	s := newShop(t, 1)
	s.open()
	ctx := t.Context()
	l := s.ledger(nil)
	s.must(l.publish(ctx, s.policies[2], s.keys[:1]))
	s.must(l.activate(ctx, l.toRelease(2, nil, nil), s.keys[:1]))
	unused := s.auth0(l, 2)
	put := func(key, value string) {
		t.Helper()
		s.must(nil, l.writer.Create(ctx, key, value))
	}
	put("releases/99", "x")
	put("releases/007", "x")
	put("bundles/"+strings.Repeat("a", 64)+"/1", "x")
	put("reports/"+strings.Repeat("a", 64), "x")
	put("releases/3/signatures/"+keyID(s.keys[1]), "x")
	put("releases/3/signatures/stranger", "x")
	all := s.list()

	if r, err := l.gc(ctx, 1, time.Now().Add(-time.Hour), false); err != nil || len(r.Deleted) != 0 || !slices.Equal(s.list(), all) {
		t.Errorf("all is young: %+v, %v", r, err)
	}
	want := []string{
		"activations/1", "activations/1/signatures/" + keyID(s.keys[0]), "activations/1/signatures/" + keyID(s.keys[1]),
		"auth0/" + unused.Digest + "/1",
		"bundles/" + s.policies[0].Digest + "/1", "bundles/" + strings.Repeat("a", 64) + "/1",
		"releases/007", "releases/1", "releases/1/signatures/" + keyID(s.keys[0]), "releases/1/signatures/" + keyID(s.keys[1]),
		"releases/3/signatures/" + keyID(s.keys[1]), "releases/99",
	}
	slices.Sort(want)
	for _, dry := range []bool{true, false} {
		r, err := l.gc(ctx, 1, time.Now().Add(time.Hour), dry)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(r.Deleted)
		if !slices.Equal(r.Deleted, want) || !slices.Equal(r.Releases, []int64{2, 3}) || !slices.Equal(r.Activations, []int64{2}) {
			t.Errorf("dry %t: deleted\n%s\nwant\n%s\nleft %d and %d", dry, strings.Join(r.Deleted, "\n"), strings.Join(want, "\n"), r.Releases, r.Activations)
		}
		left := slices.DeleteFunc(slices.Clone(all), func(key string) bool { return !dry && slices.Contains(want, key) })
		if got := s.list(); !slices.Equal(got, left) {
			t.Errorf("dry %t: left\n%s\nwant\n%s", dry, strings.Join(got, "\n"), strings.Join(left, "\n"))
		}
	}
	s.whole()

	// A statement of another stage that nobody signed is left, with what it names; it stops nobody.
	b := s.read(l)
	foreign := s.auth0(l, 2)
	r, a := b.releases[2].says, b.active.says
	r.Stage, r.Number, r.Bundle.Digest = "other", 99, strings.Repeat("b", 64)
	a.Stage, a.Sequence, a.Auth0 = "other", 98, foreign
	a.Candidate = &release.Target{Release: 7, Bundle: release.Content{Digest: strings.Repeat("c", 64), Parts: 1}}
	strangers := []string{"activations/98", "bundles/" + strings.Repeat("b", 64) + "/1", "bundles/" + strings.Repeat("c", 64) + "/1", "releases/99", "releases/99/signatures/stranger"}
	for key, says := range map[string]any{"releases/99": r, "activations/98": a} {
		payload, err := release.Payload(says)
		s.must(nil, err)
		put(key, string(payload))
	}
	put("releases/99/signatures/stranger", "x")
	put(strangers[1], "x")
	put(strangers[2], "x")
	left, err := l.gc(ctx, 1, time.Now().Add(time.Hour), false)
	if err != nil || len(left.Deleted) != 0 || !slices.Equal(left.Left, []string{"activations/98", "releases/99", "releases/99/signatures/stranger", "reports/" + strings.Repeat("a", 64)}) {
		t.Errorf("%+v, %v", left, err)
	}
	for _, key := range append(strangers, "auth0/"+foreign.Digest+"/1") {
		if !slices.Contains(s.list(), key) {
			t.Errorf("%s is gone", key)
		}
	}

	// Where it cannot be told what is needed nothing goes.
	other := s.ledger(nil)
	other.scope.Stage = "prod"
	s.must(nil, os.Remove(filepath.Join(s.dir, "active.txt")))
	if _, err := other.gc(ctx, 1, time.Now().Add(time.Hour), false); err == nil || !strings.Contains(err.Error(), "stage dev, and this is for account 123456789012, root "+s.dir+", stage prod: nothing was deleted") {
		t.Errorf("another stage: %v", err)
	}
	s.must(nil, l.writer.Activate(ctx, "x"))
	if _, err := l.gc(ctx, 1, time.Now().Add(time.Hour), false); err == nil || !strings.Contains(err.Error(), "what stands in active does not count, so that nobody can say what is needed: malformed: ") {
		t.Errorf("active that does not count: %v", err)
	}
}
