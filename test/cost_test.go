//go:build !race

// The race detector makes sync.Pool drop what it is given, and so every count too high.

package test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"log/slog"
	"testing"

	"gatehouse/authorizer"
	"gatehouse/internal/function"
	"gatehouse/policies"
)

// inProcess is the whole authorizer, wired as the Lambda wires it, and an event that it allows.
func inProcess(t testing.TB) (*authorizer.Authorizer, []byte) {
	t.Helper()
	tn := newTenant(t)
	a, err := function.New(t.Context(), function.Config{
		Environment: []string{"GATEHOUSE_AUTH0=" + tn.auth0},
		Policies:    policies.FS,
		Records:     io.Discard,
		Log:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, []byte(own(t, "Bearer "+tn.token(t, "customer"))["rest-request"])
}

// maxDecisionAllocs is the measured count of one whole invocation, verification, evaluation, answer and record, and a
// little room. Raise it only with the reason in the commit.
const maxDecisionAllocs = 1_850

func TestAllocationsPerDecision(t *testing.T) {
	a, event := inProcess(t)
	got := testing.AllocsPerRun(100, func() {
		if _, err := a.Authorize(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("allocations per decision, REST REQUEST event, new token: %.0f (guard %d)", got, maxDecisionAllocs)
	if got > maxDecisionAllocs {
		t.Errorf("%.0f allocations, at most %d", got, maxDecisionAllocs)
	}
}

// The two benchmarks are read against each other, from one run: the whole invocation as a multiple of the one operation
// that it cannot do without.
func BenchmarkDecision(b *testing.B) {
	a, event := inProcess(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authorize(b.Context(), event); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRawRS256Verify(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256(make([]byte, 1_000))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}
