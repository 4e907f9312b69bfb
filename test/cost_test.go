//go:build !race

// The race detector makes sync.Pool drop what it is given, and so every count too high.

package test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/function"
	"gatehouse/internal/issuer"
	"gatehouse/policies"
)

// handling is the whole authorizer, wired as the Lambda wires it, and events that it allows, each with a token of its
// own.
func handling(t testing.TB, tokens int) (*authorizer.Authorizer, [][]byte) {
	t.Helper()
	tn := newTenant(t)
	person, err := issuer.PersonNamed("customer")
	if err != nil {
		t.Fatal(err)
	}
	var events [][]byte
	for n := range tokens {
		claims := person.Claims(issuer.Audience, time.Now())
		claims.Extra = map[string]any{"n": n}
		token, err := issuer.Mint(tn.key, tenantURL, claims)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, []byte(own(t, "Bearer "+token)["rest-request"]))
	}
	return tn.authorizer(t), events
}

func (tn tenant) authorizer(t testing.TB) *authorizer.Authorizer {
	t.Helper()
	a, err := function.New(t.Context(), function.Config{
		Environment: []string{"GATEHOUSE_AUTH0=" + tn.auth0},
		Policies:    policies.FS,
		Records:     io.Discard,
		Log:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The measured counts of one whole invocation, verification, evaluation, answer and record, for a token that was met
// before and for one that was not, and a little room. Raise them only with the reason in the commit.
const (
	maxKnownAllocs = 560
	maxNewAllocs   = 1_060
)

func TestAllocationsPerDecision(t *testing.T) {
	const runs = 100
	a, events := handling(t, runs+1)
	for _, tt := range []struct {
		token  string
		guard  float64
		events [][]byte
	}{
		{"new", maxNewAllocs, events},
		{"known", maxKnownAllocs, events[runs:]},
	} {
		n := 0
		got := testing.AllocsPerRun(runs, func() {
			if _, err := a.Authorize(t.Context(), tt.events[n%len(tt.events)]); err != nil {
				t.Fatal(err)
			}
			n++
		})
		t.Logf("allocations per decision, REST REQUEST event, %s token: %.0f (guard %.0f)", tt.token, got, tt.guard)
		if got > tt.guard {
			t.Errorf("%s token: %.0f allocations, at most %.0f", tt.token, got, tt.guard)
		}
	}
}
