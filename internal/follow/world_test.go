package follow_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

const (
	account = "123456789012"
	root    = "/gatehouse/prod"
	stage   = "prod"
	refresh = 30 * time.Second
	stale   = 10 * time.Minute
)

// world is a store in memory, whoever signs for it, and what the follower said and asked.
type world struct {
	t     *testing.T
	key   release.Signer
	trust release.Trust

	mu       sync.Mutex
	values   map[string]string
	delay    time.Duration // of every call
	slow     time.Duration // of a build
	down     error
	gets     int
	batches  int // of ten
	built    []string
	tried    []string
	statuses []follow.Status
	buildErr error
	panics   bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, values: map[string]string{}}
	w.key, w.trust = signer(t)
	return w
}

// signer is a new key, and the trust in it alone.
func signer(t *testing.T) (release.Signer, release.Trust) {
	t.Helper()
	jwk, err := release.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := release.ParseKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := release.PublicJWKS(key.Public().(*ecdsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := release.ParseTrust(jwks, 1)
	if err != nil {
		t.Fatal(err)
	}
	return key, trust
}

func (w *world) Get(ctx context.Context, key string) (store.Parameter, error) {
	values, err := w.call(ctx, []string{key}, func() { w.gets++ })
	return store.Parameter{Key: key, Value: values[key]}, err
}

func (w *world) GetAll(ctx context.Context, keys []string) (map[string]string, error) {
	return w.call(ctx, keys, func() { w.batches += (len(keys) + 9) / 10 })
}

func (w *world) call(ctx context.Context, keys []string, count func()) (map[string]string, error) {
	w.mu.Lock()
	count()
	delay, down := w.delay, w.down
	w.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if down != nil {
		return nil, down
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	got := map[string]string{}
	for _, key := range keys {
		value, ok := w.values[key]
		if !ok {
			return nil, fmt.Errorf("%s: %w", key, store.ErrNotFound)
		}
		got[key] = value
	}
	return got, nil
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// policy is a bundle that differs by its name.
func (w *world) policy(name string) *bundle.Bundle {
	w.t.Helper()
	b, err := bundle.Read(fstest.MapFS{
		".manifest":   {Data: []byte(`{"roots": ["a"], "rego_version": 1}`)},
		"a/data.json": {Data: []byte(`{"name": "` + name + `"}`)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// put stores content and names it.
func (w *world) put(room, digest string, content []byte) release.Content {
	parts := bundle.Split(content)
	w.set(func() {
		for i, part := range parts {
			w.values[room+"/"+digest+"/"+strconv.Itoa(i+1)] = part
		}
	})
	return release.Content{Digest: digest, Parts: len(parts)}
}

func (w *world) putBundle(name string) release.Content {
	w.t.Helper()
	b := w.policy(name)
	archive, err := b.Archive()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.put("bundles", b.Digest, archive)
}

func (w *world) putAuth0(doc string) release.Content {
	return w.put("auth0", bundle.Sum([]byte(doc)), []byte(doc))
}

// activation is what v1 of everything looks like, changed.
func (w *world) activation(sequence int64, policy string, change ...func(*release.Activation)) release.Activation {
	a := release.Activation{
		Kind: release.KindActivation, Version: release.Version, Scope: release.Scope{Account: account, Root: root, Stage: stage},
		Sequence: sequence, Release: sequence, Bundle: w.putBundle(policy), Auth0: w.putAuth0(`"auth0"`),
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func (w *world) sign(a any, kind string, keys ...release.Signer) string {
	w.t.Helper()
	payload, err := release.Payload(a)
	if err != nil {
		w.t.Fatal(err)
	}
	var sigs []release.Signature
	for _, key := range keys {
		s, err := release.Sign(kind, payload, key)
		if err != nil {
			w.t.Fatal(err)
		}
		sigs = append(sigs, s)
	}
	doc, err := release.Assemble(payload, sigs)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(doc)
}

// activate makes something active, whatever it is.
func (w *world) activate(document string) { w.set(func() { w.values[store.Active] = document }) }

func (w *world) active(sequence int64, policy string, change ...func(*release.Activation)) {
	w.t.Helper()
	w.activate(w.sign(w.activation(sequence, policy, change...), release.KindActivation, w.key))
}

// rooms are a gateway, an authenticator and a policy that nobody asks.
type rooms struct {
	authorizer.Gateway
	authorizer.Authenticator
	authorizer.Policy
}

func (w *world) build(ctx context.Context, c follow.Content) (*authorizer.Generation, error) {
	name, _ := json.Marshal(c.Policy.Digest[:8])
	w.mu.Lock()
	w.built = append(w.built, string(name)+string(c.Auth0))
	err, slow, panics := w.buildErr, w.slow, w.panics
	w.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if panics {
		panic("with a secret")
	}
	return &authorizer.Generation{Revision: c.Policy.Digest, Gateway: rooms{}, Authenticator: rooms{}, Policy: rooms{}}, err
}

func (w *world) try(_ context.Context, b *bundle.Bundle) (*authorizer.Candidate, error) {
	w.mu.Lock()
	w.tried = append(w.tried, b.Digest)
	err, slow, panics := w.buildErr, w.slow, w.panics
	w.mu.Unlock()
	time.Sleep(slow) // a compilation is not cancelled
	if panics {
		panic("with a secret")
	}
	return &authorizer.Candidate{Revision: b.Digest}, err
}

func (w *world) config() follow.Config {
	return follow.Config{
		Store: w, Trust: w.trust, Accounts: []string{"000000000000", account}, Root: root, Stage: stage, Refresh: refresh, MaxStale: stale,
		Build: w.build, Try: w.try, Labels: map[string]string{"app": "gatehouse"},
		Report: func(s follow.Status) { w.set(func() { w.statuses = append(w.statuses, s) }) },
		Spread: func() float64 { return 1 },
	}
}

func (w *world) follow(change ...func(*follow.Config)) *follow.Follower {
	w.t.Helper()
	c := w.config()
	for _, f := range change {
		f(&c)
	}
	f, err := follow.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// started is a follower after INIT.
func (w *world) started(change ...func(*follow.Config)) *follow.Follower {
	w.t.Helper()
	f := w.follow(change...)
	f.Start(w.t.Context(), time.Now())
	return f
}

// answers asks as a request does, and says by which policy it is answered, or why not.
func (w *world) answers(f *follow.Follower) string {
	now := time.Now()
	f.Held(now)
	g, err := f.Current(w.t.Context(), now)
	if err != nil {
		var e *authorizer.Error
		if !errors.As(err, &e) || !errors.Is(err, authorizer.ErrUnavailable) {
			w.t.Errorf("error is %v", err)
		}
		return e.Code
	}
	return w.name(g.Revision)
}

func (w *world) name(digest string) string {
	for _, name := range []string{"v1", "v2", "v3", "v4"} {
		if w.policy(name).Digest == digest {
			return name
		}
	}
	return digest
}

func (w *world) wants(f *follow.Follower, want string) {
	w.t.Helper()
	if got := w.answers(f); got != want {
		w.t.Errorf("answered by %s, want %s", got, want)
	}
}

// codes are the codes of all statuses, "ok" where there is none.
func (w *world) codes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var codes []string
	for _, s := range w.statuses {
		code := s.Bundles["gatehouse"].Code
		if code == "" {
			code = "ok " + strconv.FormatInt(s.Bundles["gatehouse"].Sequence, 10)
		}
		codes = append(codes, code)
	}
	return strings.Join(codes, ", ")
}

func (w *world) said(want string) {
	w.t.Helper()
	if got := w.codes(); got != want {
		w.t.Errorf("statuses: %s\nwant: %s", got, want)
	}
}

func (w *world) calls() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d+%d", w.gets, w.batches)
}

// copyOf is another store with the same content.
func (w *world) copyOf() *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &world{t: w.t, values: maps.Clone(w.values)}
}

func (w *world) drop(prefix string) {
	w.set(func() { maps.DeleteFunc(w.values, func(key, _ string) bool { return strings.HasPrefix(key, prefix) }) })
}

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares a document with testdata/NAME; -update rewrites it.
func golden(t *testing.T, name string, document any) {
	t.Helper()
	file := filepath.Join("testdata", name)
	got, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, append(got, '\n'), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("%s: got\n%s", file, got)
	}
}
