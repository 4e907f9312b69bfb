package follow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

func TestWhatIsActiveTakesOverWithinOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.wants(f, "v1")
		w.active(2, "v2")
		w.wants(f, "v1") // nothing is asked before it is due
		time.Sleep(refresh)
		w.wants(f, "v2")
		w.active(3, "v1")
		time.Sleep(refresh)
		w.wants(f, "v1")
		w.said("ok 1, ok 2, ok 3")
	})
}

// What records name beside the policy.
func TestAGenerationNamesItsActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(7, "v1")
		f := w.started()
		g, err := f.Current(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if g.Activation["activation"].Revision != "7" || g.Activation["auth0"].Revision != bundle.Sum([]byte(`"auth0"`)) {
			t.Errorf("named %v", g.Activation)
		}
	})
}

func TestCalls(t *testing.T) {
	big := func(n int) string { return `"` + strings.Repeat("x", 3072*n-2) + `"` } // n parts
	tests := []struct {
		name  string
		parts int // of the configuration; the bundle has one
		baked bool
		want  string // GetParameter+GetParameters
	}{
		{"baked", 1, true, "1+0"},
		{"two parts", 1, false, "1+1"},
		{"ten parts", 9, false, "1+1"},
		{"eleven parts", 10, false, "1+2"},
		{"twenty-one parts", 20, false, "1+3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.active(1, "v1", func(a *release.Activation) { a.Auth0 = w.putAuth0(big(tt.parts)) })
				f := w.started(func(c *follow.Config) {
					if tt.baked {
						c.Baked = w.copyOf()
					}
				})
				if got := w.calls(); got != tt.want {
					t.Errorf("a cold start makes %s calls, want %s", got, tt.want)
				}
				w.gets, w.batches = 0, 0
				time.Sleep(10 * refresh)
				if got := w.calls(); got != "0+0" {
					t.Errorf("an idle instance makes %s calls", got)
				}
				for range 600 { // ten refreshes of a busy one, which asks twice a second
					time.Sleep(refresh / 60)
					w.wants(f, "v1")
				}
				if got := w.calls(); got != "10+0" && got != "11+0" { // the first of them was due after the sleep
					t.Errorf("a busy instance makes %s calls in ten refreshes", got)
				}
			})
		})
	}
}

// A burst of cold starts is spread over the first refresh, and each instance then keeps its phase.
func TestThePhaseOfAnInstance(t *testing.T) {
	for spread, want := range map[float64]int{0.1: 2, 0.9: 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.active(1, "v1")
			f := w.started(func(c *follow.Config) { c.Spread = func() float64 { return spread } })
			time.Sleep(refresh / 2)
			w.wants(f, "v1")
			if w.gets != want {
				t.Errorf("spread %v: %d calls half a refresh after the start, want %d", spread, w.gets, want)
			}
		})
	}
}

func TestCompiledInAndBaked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		elsewhere := w.copyOf()
		w.drop("bundles/")
		f := w.started(func(c *follow.Config) { c.Embedded = w.policy("v1") })
		w.wants(f, "v1")

		w.drop("auth0/")
		f = w.started(func(c *follow.Config) { c.Baked = elsewhere })
		w.wants(f, "v1")

		// Baked content that is not what it is called is no content: the store is asked.
		for key := range elsewhere.values {
			elsewhere.values[key] = "AAAA"
		}
		f = w.started(func(c *follow.Config) { c.Baked = elsewhere })
		w.wants(f, "policy_unavailable")
		w.active(1, "v1")
		time.Sleep(refresh)
		w.wants(f, "v1")
	})
}

// Each of these is refused: the last good generation stays, the cause is said, and what comes after is followed again.
func TestRefused(t *testing.T) {
	others, _ := signer(t)
	next := func(w *world, change ...func(*release.Activation)) release.Activation {
		return w.activation(6, "v2", change...)
	}
	signed := func(w *world, a release.Activation) string { return w.sign(a, release.KindActivation, w.key) }
	tests := []struct {
		code string
		do   func(w *world) string
	}{
		{"malformed", func(*world) string { return "{" }},
		{"malformed", func(*world) string { return "" }},
		{"signature_missing", func(w *world) string { return w.sign(next(w), release.KindActivation, others) }},
		{"wrong_stage", func(w *world) string { return signed(w, next(w, func(a *release.Activation) { a.Stage = "dev" })) }},
		{"wrong_root", func(w *world) string {
			return signed(w, next(w, func(a *release.Activation) { a.Root = "/gatehouse/dev" }))
		}},
		{"wrong_account", func(w *world) string {
			return signed(w, next(w, func(a *release.Activation) { a.Account = "111111111111" }))
		}},
		{"sequence_lower", func(w *world) string { return signed(w, w.activation(4, "v1")) }},
		{"sequence_reused", func(w *world) string { return signed(w, w.activation(5, "v2")) }},
		{"content_missing", func(w *world) string {
			a := next(w)
			w.drop("bundles/" + a.Bundle.Digest)
			return signed(w, a)
		}},
		{"content_missing", func(w *world) string {
			return signed(w, next(w, func(a *release.Activation) {
				a.Auth0 = w.putAuth0(`"other"`)
				w.drop("auth0/" + a.Auth0.Digest)
			}))
		}},
		{"content_mismatch", func(w *world) string {
			a := next(w)
			w.values["bundles/"+a.Bundle.Digest+"/1"] = w.values["bundles/"+w.policy("v1").Digest+"/1"]
			return signed(w, a)
		}},
		{"content_mismatch", func(w *world) string {
			a := next(w)
			w.values["bundles/"+a.Bundle.Digest+"/1"] = "AAAA"
			return signed(w, a)
		}},
		{"content_mismatch", func(w *world) string {
			return signed(w, next(w, func(a *release.Activation) {
				a.Auth0 = w.putAuth0(`"other"`)
				w.values["auth0/"+a.Auth0.Digest+"/1"] = bundle.Split([]byte(`"of a stranger"`))[0]
			}))
		}},
		{"load_failed", func(w *world) string {
			w.buildErr = errors.New("rego_compile_error")
			return signed(w, next(w))
		}},
		{"panic", func(w *world) string {
			w.panics = true
			return signed(w, next(w))
		}},
		{"activation_missing", func(w *world) string {
			w.drop(store.Active)
			return ""
		}},
		{"malformed", func(w *world) string {
			w.down = fmt.Errorf("active is a %q: %w", "StringList", store.ErrNotText)
			return w.values[store.Active]
		}},
		{"store_unavailable", func(w *world) string {
			w.down = errors.New("ThrottlingException")
			return ""
		}},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.active(5, "v1")
				f := w.started()
				document := tt.do(w)
				if document != "" || tt.code == "malformed" {
					w.activate(document)
				}
				time.Sleep(refresh)
				w.wants(f, "v1")
				w.said("ok 5, " + tt.code)
				last := w.statuses[1]
				if b := last.Bundles["gatehouse"]; b.Message == "" || b.Sequence != 5 || b.ActiveRevision != w.policy("v1").Digest {
					t.Errorf("status is %+v", b)
				}
				refused := 1
				if tt.code == "store_unavailable" {
					refused = 0
				}
				if last.ActivationRefused != refused || last.PolicyStale != 0 || last.PolicyAge != 30 {
					t.Errorf("metrics are %+v", last)
				}
				if strings.Contains(fmt.Sprint(last), "secret") {
					t.Error("the status quotes a panic")
				}

				time.Sleep(refresh)
				w.wants(f, "v1")
				w.said("ok 5, " + tt.code + ", " + tt.code)

				// Unconfirmed for longer than the bound: closed.
				time.Sleep(stale)
				w.wants(f, "policy_stale")
				if last := w.statuses[len(w.statuses)-1]; last.PolicyStale != 1 {
					t.Errorf("metrics are %+v", last)
				}

				w.set(func() { w.down, w.buildErr, w.panics = nil, nil, false })
				w.active(7, "v3")
				time.Sleep(refresh)
				w.wants(f, "v3")
			})
		})
	}
}

// The same, for an instance that has nothing yet: closed, until the store is right again.
func TestAColdStartWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.down = errors.New("connection refused")
		f := w.started()
		w.wants(f, "policy_unavailable")
		if w.gets != 1 {
			t.Errorf("%d calls: the second was not due", w.gets)
		}
		time.Sleep(time.Second)
		w.wants(f, "policy_unavailable")
		time.Sleep(time.Second)
		w.wants(f, "policy_unavailable") // not due: the wait doubled
		if w.gets != 2 {
			t.Errorf("%d calls, want 2", w.gets)
		}
		w.down = nil
		w.active(1, "v1")
		time.Sleep(2 * time.Second)
		w.wants(f, "v1")
		w.said("store_unavailable, store_unavailable, ok 1")
		if s := w.statuses[0]; s.PolicyStale != 1 || s.PolicyAge != 0 || s.Bundles["gatehouse"].LastSuccessfulRequest != nil {
			t.Errorf("status is %+v", s)
		}
	})
}

// A store that does not answer costs one request a refresh its budget, and the others nothing.
func TestASlowStoreCostsOneRequestItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.delay = time.Hour
		time.Sleep(refresh)
		for i := range 5 {
			began := time.Now()
			w.wants(f, "v1")
			want := time.Duration(0)
			if i == 0 {
				want = follow.Budget
			}
			if took := time.Since(began); took != want {
				t.Errorf("request %d took %s, want %s", i, took, want)
			}
		}
		time.Sleep(refresh) // the check ended at its limit
		w.wants(f, "v1")
		w.said("ok 1, store_unavailable")
		time.Sleep(time.Hour) // and everybody's is over
	})
}

// An invocation that is about to end is not given up for the store.
func TestAWaitEndsBeforeTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay = time.Hour
		f := w.follow()
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		began := time.Now()
		f.Held(began)
		if _, err := f.Current(ctx, began); err == nil {
			t.Error("answered by nothing")
		}
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("took %s", took)
		}
		time.Sleep(time.Hour)
	})
}

// What takes longer to load than a request can wait is loaded aside. A busy instance answers by what it has meanwhile; one
// that slept, and knows better, does not.
func TestASlowLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.slow = 2 * time.Second
		w.active(2, "v2")
		time.Sleep(refresh)
		began := time.Now()
		w.wants(f, "v1")
		if took := time.Since(began); took != follow.Budget {
			t.Errorf("took %s", took)
		}
		w.wants(f, "v1")
		time.Sleep(2 * time.Second)
		w.wants(f, "v2")

		w.active(3, "v3")
		time.Sleep(refresh + time.Second) // asleep
		w.wants(f, "v3")

		// Busy, for all that it takes: no request fails.
		w.slow = 9 * time.Second
		w.active(4, "v1")
		w.wants(f, "v3")
		time.Sleep(refresh)
		for range 9 {
			w.wants(f, "v3")
			time.Sleep(time.Second)
		}
		w.wants(f, "v1")

		w.slow = 5 * time.Second
		w.active(5, "v4")
		time.Sleep(5 * refresh)
		w.wants(f, "policy_replaced")
		time.Sleep(3 * time.Second)
		w.wants(f, "v4")
	})
}

// A check that was frozen with the function is not waited for: the wall clock ends it.
func TestAFrozenCheckIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.delay = 9 * time.Second
		thawed := time.Now().Add(time.Minute) // the clock of a function that slept, with timers that did not run
		f.Held(time.Now().Add(refresh))
		w.set(func() { w.delay = 0 })
		w.active(2, "v2")
		f.Held(thawed)
		if g, err := f.Current(t.Context(), thawed); err != nil || w.name(g.Revision) != "v2" {
			t.Errorf("got %v, %v", g, err)
		}
		time.Sleep(time.Minute) // the first one ends, and changes nothing
		if got := w.name(f.Held(thawed).Revision); got != "v2" {
			t.Errorf("holds %s", got)
		}
	})
}

// Nor is one that the function slept over for more than a refresh, be it ever so young: what it is about to hear may be what
// was active before.
func TestACheckThatWasSleptOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started(func(c *follow.Config) { c.Refresh = time.Second })
		w.delay = 2 * time.Second
		time.Sleep(time.Second)
		w.wants(f, "v1")
		w.set(func() { w.delay = 0 })
		w.active(2, "v2")
		thawed := time.Now().Add(1100 * time.Millisecond)
		f.Held(thawed)
		if g, err := f.Current(t.Context(), thawed); err != nil || w.name(g.Revision) != "v2" {
			t.Errorf("got %v, %v", g, err)
		}
	})
}

// What a request waits is no sleep: a refresh that is shorter than that never begins the same check anew.
func TestAWaitIsNoSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started(func(c *follow.Config) { c.Refresh = follow.Budget / 2 })
		w.delay = 2 * follow.Budget
		w.active(2, "v2")
		time.Sleep(follow.Budget / 2)
		w.wants(f, "v1")
		time.Sleep(follow.Budget / 4)
		w.wants(f, "v1")
		time.Sleep(4 * follow.Budget) // asleep
		w.set(func() { w.delay = 0 })
		w.wants(f, "v2")
		if w.gets != 3 {
			t.Errorf("%d calls", w.gets)
		}
	})
}

// A clock that jumped back confirms nothing.
func TestAClockThatRunsBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.active(2, "v2")
		before := time.Now().Add(-time.Hour)
		f.Held(before)
		if g, err := f.Current(t.Context(), before); err != nil || w.name(g.Revision) != "v2" {
			t.Errorf("got %v, %v", g, err)
		}
	})
}

func TestTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(4, "v1")
		f := w.started(func(c *follow.Config) { c.Floor = 5 })
		w.wants(f, "policy_unavailable")
		w.said("sequence_lower")
		w.active(5, "v2")
		time.Sleep(refresh)
		w.wants(f, "v2")
	})
}

// A sequence that was seen counts even where it could not be loaded: going back needs a new one.
func TestASequenceThatDidNotLoadCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		first := w.values[store.Active]
		f := w.started()
		w.buildErr = errors.New("does not compile")
		w.active(2, "v2")
		time.Sleep(refresh)
		w.wants(f, "v1")
		w.buildErr = nil
		w.activate(first)
		time.Sleep(refresh)
		w.wants(f, "v1")
		w.active(1, "v3")
		time.Sleep(refresh)
		w.wants(f, "v1")
		w.said("ok 1, load_failed, sequence_lower")
	})
}

// What is refused for what it says is not fetched and compiled again at each check.
func TestALastingRefusalIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.buildErr = errors.New("does not compile")
		w.active(2, "v2")
		for range 5 {
			time.Sleep(refresh)
			w.wants(f, "v1")
		}
		if len(w.built) != 2 || w.batches != 2 {
			t.Errorf("built %d times of %d batches", len(w.built), w.batches)
		}
		w.said("ok 1, load_failed, load_failed, load_failed, load_failed, load_failed")
	})
}

// An activation that others signed too is the same one.
func TestMoreSignatures(t *testing.T) {
	others, _ := signer(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.activate(w.sign(w.activation(1, "v1"), release.KindActivation, w.key, others))
		time.Sleep(refresh)
		w.wants(f, "v1")
		time.Sleep(refresh)
		w.wants(f, "v1")
		w.said("ok 1")
		if len(w.built) != 1 {
			t.Errorf("built %v", w.built)
		}
	})
}

func breakGlass(w *world, until time.Time) func(*release.Activation) {
	return func(a *release.Activation) {
		until = until.UTC().Truncate(time.Second)
		a.NotAfter, a.Fallback = &until, &release.Target{Release: 1, Bundle: w.putBundle("v1")}
	}
}

// A break-glass activation ends by the clock, warm and cold, with the store and without it.
func TestBreakGlass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		end := time.Now().Add(5 * time.Minute)
		w.active(2, "v2", breakGlass(w, end))
		time.Sleep(refresh)
		w.wants(f, "v2")
		time.Sleep(time.Until(end) - time.Second)
		w.wants(f, "v2")
		w.down = errors.New("down")
		time.Sleep(time.Second)
		w.wants(f, "v1")

		w.down = nil
		cold := w.started()
		w.wants(cold, "v1")
	})
}

// A break-glass activation whose fallback does not load is not one.
func TestBreakGlassNeedsItsFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v3")
		f := w.started()
		w.active(2, "v2", breakGlass(w, time.Now().Add(time.Hour)))
		w.drop("bundles/" + w.policy("v1").Digest)
		time.Sleep(refresh)
		w.wants(f, "v3")
		w.said("ok 1, content_missing")
	})
}

// A candidate is loaded by the first check after a cold start, never before, once; that it fails changes nothing.
func TestCandidate(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.active(1, "v1", func(a *release.Activation) { a.Candidate = &release.Target{Release: 2, Bundle: w.putBundle("v2")} })
			f := w.started()
			w.wants(f, "v1")
			if len(w.tried) != 0 || w.calls() != "1+1" {
				t.Errorf("tried %v at a cold start, by %s calls", w.tried, w.calls())
			}
			if fails {
				w.set(func() { w.buildErr = errors.New("does not compile") })
			}
			for range 3 {
				time.Sleep(refresh)
				w.wants(f, "v1")
			}
			if len(w.tried) != 1 {
				t.Errorf("tried %v", w.tried)
			}
			g, err := f.Current(t.Context(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if fails {
				w.said("ok 1, candidate_refused")
				if g.Candidate != nil {
					t.Error("a candidate that does not load is tried")
				}
				return
			}
			w.said("ok 1")
			if g.Candidate == nil || w.name(g.Candidate.Revision) != "v2" {
				t.Errorf("candidate is %+v", g.Candidate)
			}
		})
	}
}

func withCandidate(w *world) func(*release.Activation) {
	return func(a *release.Activation) { a.Candidate = &release.Target{Release: 9, Bundle: w.putBundle("v2")} }
}

// Whatever becomes of a candidate, what is active is confirmed, and nobody waits.
func TestACandidateCostsNoConfirmation(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(w *world)
		want string
	}{
		"panics":   {func(w *world) { w.panics = true }, "ok 1, candidate_refused"},
		"takes 4s": {func(w *world) { w.slow = 4 * time.Second }, "ok 1"},
		"hangs":    {func(w *world) { w.slow = 2 * stale }, "ok 1"},
		"missing":  {func(w *world) { w.drop("bundles/" + w.policy("v2").Digest) }, "ok 1, candidate_refused"},
	} {
		for _, every := range []time.Duration{refresh / 10, 2 * refresh} { // busy, and asleep between any two requests
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.active(1, "v1", withCandidate(w))
					f := w.started()
					tt.do(w)
					for began := time.Now(); time.Since(began) < 2*stale; time.Sleep(every) {
						asked := time.Now()
						w.wants(f, "v1")
						if took := time.Since(asked); took > 0 {
							t.Fatalf("a request waited %s", took)
						}
					}
					w.said(tt.want)
					if len(w.tried) > 1 {
						t.Errorf("tried %d times", len(w.tried))
					}
					for _, s := range w.statuses {
						if s.ActivationRefused != 0 {
							t.Errorf("an alarm about a candidate: %+v", s)
						}
					}
					time.Sleep(2 * stale)
				})
			})
		}
	}
}

// A candidate that could not be had for want of the store is tried again; one that an activation took with it is not.
func TestACandidateIsFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1", withCandidate(w))
		f := w.started(func(c *follow.Config) { c.Store = halfDown{w} })
		time.Sleep(refresh)
		w.wants(f, "v1")
		synctest.Wait()
		w.said("ok 1, candidate_refused")
		w.slow = time.Minute
		time.Sleep(refresh)
		w.wants(f, "v1")
		synctest.Wait()
		w.set(func() { w.slow = 0 })
		w.active(2, "v3")
		time.Sleep(refresh)
		w.wants(f, "v3")
		time.Sleep(time.Minute) // the candidate of 1 is ready, and too late
		g, err := f.Current(t.Context(), time.Now())
		if err != nil || g.Candidate != nil {
			t.Errorf("got %+v, %v", g, err)
		}
	})
}

// halfDown is a store that does not give the first content asked for after a start.
type halfDown struct{ *world }

func (h halfDown) GetAll(ctx context.Context, keys []string) (map[string]string, error) {
	if h.batches == 1 {
		h.batches++
		return nil, errors.New("ThrottlingException")
	}
	return h.world.GetAll(ctx, keys)
}

// An instance that slept, and knows that what it holds was replaced, does not answer its first request by it because the
// successor could not be fetched; but it does where the successor is refused for what it is.
func TestASleeperThatKnowsBetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started(func(c *follow.Config) { c.Store = halfDown{w} })
		w.active(2, "v2")
		time.Sleep(3 * refresh)
		w.wants(f, "policy_replaced")
		w.wants(f, "v1") // it is awake now, as a busy one that cannot have the successor
		time.Sleep(refresh)
		w.wants(f, "v2")

		w.set(func() { w.buildErr = errors.New("does not compile") })
		w.active(3, "v3")
		time.Sleep(3 * refresh)
		w.wants(f, "v2")
		w.said("ok 1, store_unavailable, ok 2, load_failed")
	})
}

// An activation that has ended needs no more than its fallback.
func TestABreakGlassThatIsOverNeedsItsFallbackOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(2, "v2", breakGlass(w, time.Now().Add(-time.Minute)), withCandidate(w))
		w.drop("bundles/" + w.policy("v2").Digest)
		f := w.started()
		for range 3 {
			w.wants(f, "v1")
			time.Sleep(refresh)
		}
		w.said("ok 2")
	})
}

// A clock that ran ahead found an activation ended, and built its fallback only; set right, it finds it running. The fallback
// decides, and the candidate, which would stand beside what was never built, is left.
func TestABreakGlassUnderAClockThatRanAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		right := time.Now()
		w.active(2, "v2", breakGlass(w, right.Add(10*time.Second)), withCandidate(w))
		f := w.follow()
		f.Start(t.Context(), right.Add(2*refresh))
		for range 3 {
			w.wants(f, "v1")
			time.Sleep(refresh / 10)
		}
		synctest.Wait()
		w.said("ok 2")
	})
}

// Of many requests at once one check is made, and each is answered by a whole generation.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started()
		w.delay = 10 * time.Millisecond
		w.active(2, "v2")
		time.Sleep(refresh)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := w.answers(f); got != "v1" && got != "v2" {
					t.Errorf("answered by %s", got)
				}
			})
		}
		wg.Wait()
		if w.gets != 2 {
			t.Errorf("%d calls", w.gets)
		}
	})
}

func TestNewNamesAllThatIsMissing(t *testing.T) {
	_, err := follow.New(follow.Config{})
	for _, want := range []string{"no store", "no root", "no stage", "no account", "no build", "no try", "no report", "no trusted key", "want 0s < refresh <= max stale"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// A build that gives half a generation is refused, not served.
func TestHalfAGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		f := w.started(func(c *follow.Config) {
			c.Build = func(context.Context, follow.Content) (*authorizer.Generation, error) {
				return &authorizer.Generation{Revision: "d"}, nil
			}
		})
		w.wants(f, "policy_unavailable")
		w.said("load_failed")
	})
}

// The status is one line of JSON that CloudWatch takes its metrics from.
func TestStatusLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.active(1, "v1")
		w.started()
		golden(t, "status.json", w.statuses[0])
	})
}
