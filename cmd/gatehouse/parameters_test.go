package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
	"gatehouse/test/parameterstore"
)

// inParameterStore moves a shop into a twin of Parameter Store.
func (s *shop) inParameterStore() *parameterstore.Server {
	s.t.Helper()
	twin := parameterstore.Start(s.t)
	for _, entry := range twin.Env() {
		name, value, _ := strings.Cut(entry, "=")
		s.t.Setenv(name, value)
	}
	s.address = "ssm:/gatehouse/dev"
	return twin
}

func TestTwoActivatorsInParameterStore(t *testing.T) {
	s := newShop(t, 1)
	s.inParameterStore().Fault(parameterstore.Faults{Writing: time.Millisecond})
	twoActivators(t, s, 12)
}

// An answer that gets lost changes nothing: what was written is found to be ours, and takes no second number.
func TestLostAnswers(t *testing.T) {
	s := newShop(t, 1)
	twin := s.inParameterStore()
	s.open()
	ctx := t.Context()
	l := s.ledger(nil)
	for n, want := range []struct {
		change   change
		sequence int64
	}{{l.toRelease(2, nil, nil), 2}, {l.back(), 3}, {l.withCandidate(2), 4}} {
		twin.Fault(parameterstore.Faults{Only: "PutParameter", Lose: n + 1})
		done, err := l.activate(ctx, want.change, s.keys[:1])
		if err != nil || !done.effect || done.says.Sequence != want.sequence {
			t.Errorf("%d: %+v, %v", n, done, err)
		}
		twin.Fault(parameterstore.Faults{})
		s.settled()
	}
	twin.Fault(parameterstore.Faults{Only: "PutParameter", Lose: 2})
	r, err := l.publish(ctx, s.policies[2], s.keys[:1])
	if err != nil || r.says.Number != 3 || len(r.signers) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A configuration that is to be a secret is one, or it is not taken.
func TestSecrets(t *testing.T) {
	s := newShop(t, 1)
	s.inParameterStore()
	w := newStand(t)
	env := append(w.env, "GATEHOUSE_STORE="+s.address)
	w.env = env
	w.published()
	plain := call(t, "", env, "auth0", "put", w.config, "--secure", "--key", w.alice)
	if plain.code != exitRefused || !strings.Contains(plain.err, "it is there already and is no secret") {
		t.Errorf("%+v", plain)
	}
	other := w.file("other.json", string(s.configs[1]))
	got := call(t, "", env, "auth0", "put", other, "--secure", "--kms-key", parameterstore.Key, "--offline", "--key", w.alice)
	if got.code != exitDone || !strings.Contains(got.out, "changed   auth0\n") {
		t.Errorf("%+v", got)
	}
	if got := call(t, "", env, "activate", "2", "--key", w.alice); got.code != exitDone { // which reads it
		t.Errorf("%+v", got)
	}
}

// Parts that another toolchain compressed otherwise are the same bundle, and parts that are neither are not touched.
func TestPartsOfAnotherToolchain(t *testing.T) {
	s := newShop(t, 1)
	ctx := t.Context()
	l := s.ledger(nil)
	archive, err := s.policies[0].Archive()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	tar, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var stored bytes.Buffer
	plain, _ := gzip.NewWriterLevel(&stored, gzip.NoCompression)
	_, err = plain.Write(tar)
	if err := errors.Join(err, plain.Close()); err != nil {
		t.Fatal(err)
	}
	otherwise := stored.Bytes()
	copy(otherwise, archive[:10]) // the header says nothing about how
	parts := bundle.Split(otherwise)
	if len(parts) < 2 {
		t.Fatalf("%d parts", len(parts))
	}
	for i, part := range parts {
		s.must(nil, l.writer.Create(ctx, partKey(s.policies[0].Digest, i+1), part))
	}
	r, err := l.publish(ctx, s.policies[0], s.keys)
	if want := (release.Content{Digest: s.policies[0].Digest, Parts: len(parts)}); err != nil || r.says.Bundle != want {
		t.Fatalf("%+v, want %+v, %v", r, want, err)
	}

	s.must(nil, l.writer.Create(ctx, partKey(s.policies[1].Digest, 1), parts[0]))
	_, err = l.publish(ctx, s.policies[1], s.keys)
	if !errors.Is(err, store.ErrExists) || !strings.Contains(err.Error(), "`gatehouse gc` removes them when they are an hour old") {
		t.Error(err)
	}
	if _, err := l.gc(ctx, 1, time.Now().Add(time.Hour), false); err != nil {
		t.Error(err)
	}
	if r, err := l.publish(ctx, s.policies[1], s.keys); err != nil || r.says.Number != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func partKey(digest string, n int) string {
	return "bundles/" + digest + "/" + string(rune('0'+n))
}
