package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/authorizer"
)

// loopIssuer is an issuer on the loopback interface.
type loopIssuer struct {
	url    string
	hits   atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newLoopIssuer(t *testing.T) *loopIssuer {
	i := &loopIssuer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.hits.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(server.Close)
	i.url = server.URL + "/"
	i.keys(jwkOf("a", keyA(), nil))
	return i
}

func (i *loopIssuer) does(h http.HandlerFunc) { i.answer.Store(&h) }

func (i *loopIssuer) keys(keys ...jsonObject) { i.says(200, jwksOf(keys...)) }

func (i *loopIssuer) says(status int, body string) {
	i.does(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// fetched checks how often the issuer has been asked since the last time.
func (i *loopIssuer) fetched(t *testing.T, want int32) {
	t.Helper()
	if n := i.hits.Swap(0); n != want {
		t.Errorf("%d fetches, want %d", n, want)
	}
}

// verifierFor believes one issuer. Its jitter is none.
func verifierFor(t *testing.T, issuer string, transport http.RoundTripper, changes jsonObject) *Verifier {
	t.Helper()
	return verifierWith(t, issuer, Options{Transport: transport}, changes)
}

func verifierWith(t *testing.T, issuer string, o Options, changes jsonObject) *Verifier {
	t.Helper()
	doc := stdDocument()
	doc["issuers"] = []any{changed(jsonObject{"issuer": issuer, "audiences": []any{testAudience}}, changes)}
	c, err := ParseConfig([]byte(marshal(doc)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range v.issuers {
		i.keys.spread = func() float64 { return 0.5 }
	}
	return v
}

// bearerOf is a token of an issuer that never expires in a test.
func bearerOf(issuer, kid string, changes jsonObject) authorizer.Credentials {
	key := keyA()
	if kid == "b" {
		key = keyB()
	}
	claims := changed(stdClaims(), jsonObject{"iss": issuer, "iat": t0.Unix() - 1e6, "exp": t0.Unix() + 1e8})
	header := changed(stdHeader(), jsonObject{"kid": kid})
	return authorizer.Credentials{"Bearer " + sign(key, marshal(header), marshal(changed(claims, changes)))}
}

// expects authenticates and compares the code.
func expects(t *testing.T, v *Verifier, c authorizer.Credentials, now time.Time, want string) {
	t.Helper()
	if _, code, err := authenticate(t, v, c, now); code != want {
		t.Errorf("at %s: %q (%v), want %q", now.Sub(t0), code, err, want)
	}
}

func TestFirstFetchFailsThenRecovers(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	token := bearerOf(i.url, "a", nil)

	i.says(503, "down")
	if err := v.Warm(t.Context(), t0); err == nil || !strings.Contains(err.Error(), "status 503") || !strings.Contains(err.Error(), i.url) {
		t.Errorf("warm: %v", err)
	}
	i.fetched(t, 1)
	expects(t, v, token, t0, CodeJWKSUnavailable) // tries at once: what happened in INIT does not count
	i.fetched(t, 1)
	i.keys(jwkOf("a", keyA(), nil))
	expects(t, v, token, t0.Add(999*time.Millisecond), CodeJWKSUnavailable)
	i.fetched(t, 0)
	expects(t, v, token, t0.Add(time.Second), accepted)
	i.fetched(t, 1)
}

func TestWarmIsEnough(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	if err := v.Warm(t.Context(), t0); err != nil {
		t.Fatal(err)
	}
	i.fetched(t, 1)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.fetched(t, 0)
}

func TestStaleOnError(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	token := bearerOf(i.url, "a", nil)
	expects(t, v, token, t0, accepted)
	i.fetched(t, 1)
	i.says(503, "down")
	for minute := 11; minute < 23*60; minute += 7 {
		expects(t, v, token, t0.Add(time.Duration(minute)*time.Minute), accepted)
	}
	expects(t, v, token, t0.Add(23*time.Hour), accepted)
	i.hits.Store(0)
	expects(t, v, token, t0.Add(24*time.Hour), CodeJWKSUnavailable)
	expects(t, v, token, t0.Add(25*time.Hour), CodeJWKSUnavailable)
	i.fetched(t, 2)
	i.keys(jwkOf("a", keyA(), nil))
	expects(t, v, token, t0.Add(26*time.Hour), accepted)
}

func TestBackoff(t *testing.T) {
	i := newLoopIssuer(t)
	i.says(503, "down")
	v := verifierFor(t, i.url, nil, nil)
	token := bearerOf(i.url, "a", nil)
	var tries []int
	for second := range 250 {
		expects(t, v, token, t0.Add(time.Duration(second)*time.Second), CodeJWKSUnavailable)
		if i.hits.Swap(0) == 1 {
			tries = append(tries, second)
		}
	}
	if want := []int{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}; !slices.Equal(tries, want) {
		t.Errorf("tries at %v, want %v", tries, want)
	}
	_, _, err := authenticate(t, v, token, t0.Add(250*time.Second))
	if err == nil || !strings.Contains(err.Error(), "waiting after 10 failures") || !strings.Contains(err.Error(), "status 503") {
		t.Errorf("an operator reads: %v", err)
	}
	if backoff(1000) != lastBackoff {
		t.Errorf("backoff(1000) = %s", backoff(1000))
	}
}

func TestPlannedRotationNeedsNoFetch(t *testing.T) {
	i := newLoopIssuer(t)
	i.keys(jwkOf("a", keyA(), nil), jwkOf("b", keyB(), nil)) // current and next
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	expects(t, v, bearerOf(i.url, "b", nil), t0.Add(time.Minute), accepted)
	i.fetched(t, 1)
}

func TestEmergencyRotationCostsOneFetch(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.fetched(t, 1)
	i.keys(jwkOf("b", keyB(), nil))
	expects(t, v, bearerOf(i.url, "b", nil), t0.Add(time.Minute), accepted)
	expects(t, v, bearerOf(i.url, "b", nil), t0.Add(time.Minute), accepted)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(time.Minute), CodeKidUnknown)
	i.fetched(t, 1)
}

func TestRandomKidsCannotFlood(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.fetched(t, 1)
	now := t0.Add(time.Minute)
	for n := range 1000 {
		header := changed(stdHeader(), jsonObject{"kid": fmt.Sprint("k", n)})
		payload := marshal(changed(stdClaims(), jsonObject{"iss": i.url}))
		c := authorizer.Credentials{"Bearer " + b64([]byte(marshal(header))) + "." + b64([]byte(payload)) + ".AA"}
		expects(t, v, c, now.Add(time.Duration(n)*29*time.Millisecond), CodeKidUnknown)
	}
	i.fetched(t, 1)
}

func TestImplausibleTokensCauseNoFetch(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.fetched(t, 1)
	now := t0.Add(time.Minute)
	expects(t, v, bearerOf(i.url, "x", jsonObject{"exp": t0.Unix() - 3600}), now, CodeKidUnknown)
	expects(t, v, bearerOf(i.url, "x", jsonObject{"aud": "another"}), now, CodeKidUnknown)
	c := bearerOf(i.url, "a", nil)
	c[0] = c[0][:len(c[0])-4] + "AAAA"
	expects(t, v, c, now, CodeSignatureInvalid)
	i.fetched(t, 0)
}

func TestUnknownKidIsForgottenForAWhile(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	at := func(seconds int) time.Time { return t0.Add(time.Duration(60+seconds) * time.Second) }
	i.hits.Store(0)
	expects(t, v, bearerOf(i.url, "x", nil), at(0), CodeKidUnknown)
	i.fetched(t, 1)
	expects(t, v, bearerOf(i.url, "x", nil), at(31), CodeKidUnknown)
	i.fetched(t, 0) // x itself is remembered
	expects(t, v, bearerOf(i.url, "y", nil), at(29), CodeKidUnknown)
	i.fetched(t, 0) // too soon for any
	expects(t, v, bearerOf(i.url, "y", nil), at(30), CodeKidUnknown)
	i.fetched(t, 1)
	expects(t, v, bearerOf(i.url, "x", nil), at(60), CodeKidUnknown)
	i.fetched(t, 1)

	s := v.issuers[i.url].keys
	for n := range 2 * maxMisses {
		s.miss(fmt.Sprint(n), at(n))
	}
	if _, kept := s.misses[fmt.Sprint(2*maxMisses-1)]; len(s.misses) != maxMisses || !kept {
		t.Errorf("%d ids remembered, the last: %t", len(s.misses), kept)
	}
}

func TestUnknownKidDuringAnOutageIsNotTheCallersFault(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.says(503, "down")
	expects(t, v, bearerOf(i.url, "b", nil), t0.Add(time.Minute), CodeJWKSUnavailable)
	expects(t, v, bearerOf(i.url, "b", nil), t0.Add(62*time.Second), CodeJWKSUnavailable)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(62*time.Second), accepted)
	i.fetched(t, 2)
}

func TestRevokedKeyIsRefusedAfterTheSoftAge(t *testing.T) {
	i := newLoopIssuer(t)
	i.keys(jwkOf("a", keyA(), nil), jwkOf("b", keyB(), nil))
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.keys(jwkOf("b", keyB(), nil))
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(10*time.Minute-1), accepted)
	i.fetched(t, 1)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(10*time.Minute), CodeKidUnknown)
	i.fetched(t, 1)
}

func TestSoftAndHardAgeAreConfigured(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, jsonObject{"jwks_soft": "1m", "jwks_hard": "5m"})
	at := func(d time.Duration, c authorizer.Credentials, want string, fetches int32) {
		t.Helper()
		expects(t, v, c, t0.Add(d), want)
		i.fetched(t, fetches)
	}
	c := bearerOf(i.url, "a", nil)
	at(0, c, accepted, 1)
	at(time.Minute-1, c, accepted, 0)
	at(time.Minute, c, accepted, 1)
	i.says(503, "down")
	at(6*time.Minute-1, c, accepted, 1)
	at(6*time.Minute, c, CodeJWKSUnavailable, 0) // waiting after the failure before
	i.keys(jwkOf("b", keyB(), nil))
	at(7*time.Minute, c, CodeKidUnknown, 1)
}

// TestThaw is a function that was frozen across a rotation: its first call asks, whatever timers would have done.
func TestThaw(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.keys(jwkOf("b", keyB(), nil))
	i.hits.Store(0)
	thawed := t0.Add(3 * time.Hour)
	expects(t, v, bearerOf(i.url, "b", nil), thawed, accepted)
	i.fetched(t, 1)
}

func TestBadAnswersKeepTheOldKeys(t *testing.T) {
	elsewhere := newLoopIssuer(t)
	elsewhere.keys(jwkOf("b", keyB(), nil))
	for name, answer := range map[string]http.HandlerFunc{
		"empty body":    func(http.ResponseWriter, *http.Request) {},
		"empty set":     write(`{"keys":[]}`),
		"null set":      write(`{"keys":null}`),
		"bare key":      write(marshal(jwkOf("b", keyB(), nil))),
		"HTML":          write("<html>busy</html>"),
		"two documents": write(jwksOf(jwkOf("b", keyB(), nil)) + "{}"),
		"weak keys":     write(jwksOf(jwkOf("b", weak(), nil))),
		"65 keys": write(jwksOf(slices.Repeat([]jsonObject{jwkOf("b", keyB(), nil)},
			maxKeys+1)...)),
		"6 MB": write(`{"keys":[],"x":"` + strings.Repeat("x", 6<<20) + `"}`),
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{"))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.url, http.StatusFound) },
		"204":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"203": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(203)
			write(jwksOf(jwkOf("b", keyB(), nil)))(w, nil)
		},
		"304":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, // to no If-None-Match
		"aborted": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			i := newLoopIssuer(t)
			v := verifierFor(t, i.url, nil, nil)
			expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
			i.does(answer)
			expects(t, v, bearerOf(i.url, "a", nil), t0.Add(time.Hour), accepted)
			expects(t, v, bearerOf(i.url, "b", nil), t0.Add(2*time.Hour), CodeJWKSUnavailable)
		})
	}
	elsewhere.fetched(t, 0)
}

func write(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestJWKSOfJust150kB(t *testing.T) {
	doc := strings.TrimSuffix(jwksOf(jwkOf("a", keyA(), nil)), "}") + `,"x":"`
	doc += strings.Repeat("x", maxJWKS-len(doc)-2) + `"}`
	i := newLoopIssuer(t)
	i.says(200, doc)
	expects(t, verifierFor(t, i.url, nil, nil), bearerOf(i.url, "a", nil), t0, accepted)
	i.says(200, doc+" ")
	expects(t, verifierFor(t, i.url, nil, nil), bearerOf(i.url, "a", nil), t0, CodeJWKSUnavailable)
}

func TestPinnedNeverFetches(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, jsonObject{"pinned": true, "jwks": jsonObject{"keys": []any{jwkOf("a", keyA(), nil)}}})
	if err := v.Warm(t.Context(), t0); err != nil {
		t.Error(err)
	}
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(1000*time.Hour), accepted)
	expects(t, v, bearerOf(i.url, "b", nil), t0, CodeKidUnknown)
	i.fetched(t, 0)
}

func TestSeedIsStaleButServes(t *testing.T) {
	i := newLoopIssuer(t)
	i.says(503, "down")
	seed := jsonObject{"jwks": jsonObject{"keys": []any{jwkOf("a", keyA(), nil)}}}
	v := verifierFor(t, i.url, nil, seed)
	if err := v.Warm(t.Context(), t0); err == nil {
		t.Error("warm hides the outage")
	}
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.fetched(t, 2)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(24*time.Hour-1), accepted)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(24*time.Hour), CodeJWKSUnavailable)

	v = verifierFor(t, i.url, nil, seed)
	i.keys(jwkOf("b", keyB(), nil))
	expects(t, v, bearerOf(i.url, "a", nil), t0, CodeKidUnknown) // the issuer answers, and has revoked it
}

func TestClockGoingBackIsStale(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
	i.fetched(t, 1)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(-time.Second), accepted) // a concurrent request that began earlier
	i.fetched(t, 0)
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(-time.Minute), accepted)
	i.fetched(t, 1)
	i.says(503, "down")
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(-25*time.Hour), CodeJWKSUnavailable)
	i.fetched(t, 1)
	// The backoff that was set before the jump does not outlast it.
	i.keys(jwkOf("a", keyA(), nil))
	expects(t, v, bearerOf(i.url, "a", nil), t0.Add(-50*time.Hour), accepted)
	i.fetched(t, 1)
}

func TestCacheHeaders(t *testing.T) {
	i := newLoopIssuer(t)
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"", 10 * time.Minute},
		{"public, max-age=15, stale-while-revalidate=15, stale-if-error=86400", 10 * time.Minute},
		{"no-store, max-age=0", 10 * time.Minute},
		{"public, Max-Age=1800", 30 * time.Minute},
		{"max-age=86400", time.Hour},
		{"max-age=-1", 10 * time.Minute},
		{"max-age=99999999999999999999", 10 * time.Minute},
		{"s-maxage=1800", 10 * time.Minute},
	} {
		i.does(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", c.header)
			write(jwksOf(jwkOf("a", keyA(), nil)))(w, nil)
		})
		v := verifierFor(t, i.url, nil, nil)
		expects(t, v, bearerOf(i.url, "a", nil), t0, accepted)
		i.hits.Store(0)
		expects(t, v, bearerOf(i.url, "a", nil), t0.Add(c.want-1), accepted)
		i.fetched(t, 0)
		expects(t, v, bearerOf(i.url, "a", nil), t0.Add(c.want), accepted)
		i.fetched(t, 1)
	}
}

func TestSoftAgeIsSpread(t *testing.T) {
	s := source{soft: 10 * time.Minute, hard: 11 * time.Minute}
	for spread, want := range map[float64]time.Duration{0: 510 * time.Second, 0.5: 10 * time.Minute, 1: 11 * time.Minute} {
		s.spread = func() float64 { return spread }
		if got := s.softAge(""); got != want { // 11 min 30 s is cut to the hard age
			t.Errorf("spread %v: %s, want %s", spread, got, want)
		}
	}
}

func TestNotModified(t *testing.T) {
	i := newLoopIssuer(t)
	i.does(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(304)
			return
		}
		write(jwksOf(jwkOf("a", keyA(), nil)))(w, r)
	})
	v := verifierFor(t, i.url, nil, nil)
	for minute := 0; minute < 48*60; minute += 20 { // the age starts anew with each 304, past the hard age
		expects(t, v, bearerOf(i.url, "a", nil), t0.Add(time.Duration(minute)*time.Minute), accepted)
		i.fetched(t, 1)
	}
}

// errTransport fails with each error in turn, then answers.
func errTransport(calls *int, errs ...error) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		if *calls++; *calls <= len(errs) {
			return nil, errs[*calls-1]
		}
		return response(200, jwksOf(jwkOf("a", keyA(), nil))), nil
	}
}

func TestLostConnectionIsRetriedOnce(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	for _, c := range []struct {
		name  string
		errs  []error
		calls int
		want  string
	}{
		{"EOF", []error{io.EOF}, 2, accepted},
		{"cut off", []error{io.ErrUnexpectedEOF}, 2, accepted},
		{"reset", []error{reset}, 2, accepted},
		{"reset twice", []error{reset, reset}, 2, CodeJWKSUnavailable},
		{"a timeout", []error{&net.OpError{Op: "dial", Err: timeout{}}}, 1, CodeJWKSUnavailable},
		{"anything else", []error{errors.New("x509: certificate is not valid")}, 1, CodeJWKSUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			v := verifierFor(t, testIssuer, errTransport(&calls, c.errs...), nil)
			expects(t, v, bearerOf(testIssuer, "a", nil), t0, c.want)
			if calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}

type timeout struct{}

func (timeout) Error() string { return "i/o timeout" }
func (timeout) Timeout() bool { return true }

// hang answers nothing until the request's context ends.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestBudgets(t *testing.T) {
	seed := jsonObject{"jwks": jsonObject{"keys": []any{jwkOf("a", keyA(), nil)}}}
	for _, c := range []struct {
		name    string
		changes jsonObject
		left    time.Duration // of the invocation
		kid     string
		want    string
		took    time.Duration
	}{
		{"nothing usable", nil, time.Hour, "a", CodeJWKSUnavailable, requiredFetch},
		{"nothing usable, a quarter of what is left", nil, 4 * time.Second, "a", CodeJWKSUnavailable, time.Second},
		{"nothing usable, no time", nil, 79 * time.Millisecond, "a", CodeJWKSUnavailable, 0},
		{"stale", seed, time.Hour, "a", accepted, optionalFetch},
		{"stale, a quarter of what is left", seed, time.Second, "a", accepted, 250 * time.Millisecond},
		{"stale, no time", seed, 79 * time.Millisecond, "a", accepted, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := bearerOf(testIssuer, c.kid, nil)
			synctest.Test(t, func(t *testing.T) {
				v := verifierFor(t, testIssuer, roundTrip(hang), c.changes)
				ctx, cancel := context.WithTimeout(t.Context(), c.left)
				defer cancel()
				began := time.Now()
				if _, code, err := authenticateIn(t, ctx, v, token, t0); code != c.want {
					t.Errorf("%q (%v), want %q", code, err, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
			})
		})
	}
}

func TestWarmHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := verifierFor(t, testIssuer, roundTrip(hang), nil)
		began := time.Now()
		if err := v.Warm(t.Context(), t0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took != warmFetch {
			t.Errorf("took %s", took)
		}
	})
}

// slow is a body that gives one byte a second.
type slow struct{ ctx context.Context }

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func TestSlowBodyKeepsTheOldKeys(t *testing.T) {
	token := bearerOf(testIssuer, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		v := verifierFor(t, testIssuer, roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(slow{r.Context()})}, nil
		}), jsonObject{"jwks": jsonObject{"keys": []any{jwkOf("a", keyA(), nil)}}})
		began := time.Now()
		expects(t, v, token, t0, accepted)
		if took := time.Since(began); took != optionalFetch {
			t.Errorf("took %s", took)
		}
	})
}

func TestHungIssuerDoesNotDelayAnother(t *testing.T) {
	tokenA, tokenB := bearerOf(testIssuer, "a", nil), bearerOf(customDomain, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		doc := stdDocument()
		doc["issuers"] = []any{second(testIssuer), second(customDomain)}
		c, err := ParseConfig([]byte(marshal(doc)))
		if err != nil {
			t.Fatal(err)
		}
		v, err := New(c, Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.String(), testIssuer) {
				return hang(r)
			}
			return response(200, jwksOf(jwkOf("a", keyA(), nil))), nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		var hung sync.WaitGroup
		hung.Go(func() { expects(t, v, tokenA, t0, CodeJWKSUnavailable) })
		synctest.Wait()
		began := time.Now()
		expects(t, v, tokenB, t0, accepted)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
		hung.Wait()
	})
}

// gate is a transport whose answers wait for the test.
type gate struct {
	calls  atomic.Int32
	answer chan *http.Response
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.calls.Add(1)
	select {
	case a := <-g.answer:
		return a, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func TestSingleFlight(t *testing.T) {
	token := bearerOf(testIssuer, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		g := &gate{answer: make(chan *http.Response)}
		v := verifierFor(t, testIssuer, g, nil)
		var callers sync.WaitGroup
		for n := range 20 {
			callers.Go(func() { expects(t, v, token, t0.Add(time.Duration(n)*time.Millisecond), accepted) })
		}
		synctest.Wait()
		g.answer <- response(200, jwksOf(jwkOf("a", keyA(), nil)))
		callers.Wait()
		if n := g.calls.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestConcurrentFailureIsCountedOnce(t *testing.T) {
	token := bearerOf(testIssuer, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		g := &gate{answer: make(chan *http.Response)}
		v := verifierFor(t, testIssuer, g, nil)
		var callers sync.WaitGroup
		for n := range 20 { // their clocks differ a little, and the first to come is not the earliest
			callers.Go(func() { expects(t, v, token, t0.Add(time.Duration(20-n)*time.Millisecond), CodeJWKSUnavailable) })
		}
		synctest.Wait()
		g.answer <- response(503, "")
		callers.Wait()
		s := v.issuers[testIssuer].keys
		if n := g.calls.Load(); n != 1 || s.failures != 1 {
			t.Errorf("%d fetches, %d failures", n, s.failures)
		}
	})
}

func TestWaitingCallerKeepsItsBudget(t *testing.T) {
	token := bearerOf(testIssuer, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		g := &gate{answer: make(chan *http.Response)}
		v := verifierFor(t, testIssuer, g, nil)
		var leader sync.WaitGroup
		leader.Go(func() { expects(t, v, token, t0, accepted) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, code, _ := authenticateIn(t, ctx, v, token, t0); code != CodeJWKSUnavailable {
			t.Errorf("%q", code)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("took %s", took)
		}
		g.answer <- response(200, jwksOf(jwkOf("a", keyA(), nil)))
		leader.Wait()
	})
}

// TestCancelledCallerHarmsNobody cancels the caller that fetches: it returns, another takes over, nothing is poisoned.
func TestCancelledCallerHarmsNobody(t *testing.T) {
	token := bearerOf(testIssuer, "a", nil)
	synctest.Test(t, func(t *testing.T) {
		g := &gate{answer: make(chan *http.Response)}
		v := verifierFor(t, testIssuer, g, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var leader, others sync.WaitGroup
		leader.Go(func() {
			if _, code, _ := authenticateIn(t, ctx, v, token, t0); code != CodeJWKSUnavailable {
				t.Errorf("%q", code)
			}
		})
		synctest.Wait()
		for range 5 {
			others.Go(func() { expects(t, v, token, t0, accepted) })
		}
		synctest.Wait()
		cancel()
		leader.Wait()
		synctest.Wait()
		g.answer <- response(200, jwksOf(jwkOf("a", keyA(), nil)))
		others.Wait()
		if n := g.calls.Load(); n != 2 {
			t.Errorf("%d fetches, want the cancelled and one more", n)
		}
		if _, code, _ := authenticateIn(t, ctx, v, token, t0.Add(time.Minute)); code != accepted {
			t.Errorf("a cancelled context with fresh keys: %q", code)
		}
		if _, code, _ := authenticateIn(t, ctx, v, token, t0.Add(48*time.Hour)); code != CodeJWKSUnavailable {
			t.Errorf("a cancelled context without usable keys: %q", code)
		}
	})
}

func TestPanickingTransportDoesNotBlock(t *testing.T) {
	v := verifierFor(t, testIssuer, roundTrip(func(*http.Request) (*http.Response, error) { panic("broken") }), nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_, _ = v.Authenticate(t.Context(), bearerOf(testIssuer, "a", nil), t0)
	}()
	_, code, err := authenticate(t, v, bearerOf(testIssuer, "a", nil), t0)
	if code != CodeJWKSUnavailable || !errors.Is(err, errNotReturn) {
		t.Errorf("%q, %v", code, err)
	}
}

func TestOwnTransport(t *testing.T) {
	tr := newTransport()
	if tr.Proxy != nil || !tr.DisableKeepAlives {
		t.Errorf("proxy %v, keep-alives off %t", tr.Proxy != nil, tr.DisableKeepAlives)
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	i := newLoopIssuer(t)
	expects(t, verifierFor(t, i.url, nil, nil), bearerOf(i.url, "a", nil), t0, accepted)
}

func TestBadURIFails(t *testing.T) {
	s := newSource(Issuer{JWKSURI: "http://\x00"}, nil, nil)
	if _, err := s.fetch(t.Context(), t0, nil); err == nil {
		t.Error("fetched from nowhere")
	}
}

func TestConcurrentUse(t *testing.T) {
	i := newLoopIssuer(t)
	v := verifierFor(t, i.url, nil, nil)
	tokens := []authorizer.Credentials{bearerOf(i.url, "a", nil), bearerOf(i.url, "x", nil)}
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for m := range 40 {
				_, code, err := authenticate(t, v, tokens[n%2], t0.Add(time.Duration(m)*time.Minute))
				if want := []string{accepted, CodeKidUnknown}[n%2]; code != want {
					t.Errorf("%q (%v), want %q", code, err, want)
				}
			}
		})
	}
	callers.Wait()
}
