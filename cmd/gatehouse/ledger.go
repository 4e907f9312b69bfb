package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	opa "github.com/open-policy-agent/opa/v1/version"

	"gatehouse/authorizer/token"
	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// ledger writes a store in the order that keeps it right whoever else writes, and wherever a write is the last one
// (docs/adr/0009-anti-rollback.md). The verbs of the store and `serve` all go through it.
type ledger struct {
	reader store.Reader
	writer store.Writer
	trust  release.Trust
	scope  release.Scope
}

// statement is one statement of the store, a release or an activation, and who signed it.
type statement[S any] struct {
	says       S
	payload    []byte
	signatures []release.Signature // by trusted keys, each verified
	signers    []string            // their key ids, sorted
	written    time.Time
}

// document is what stands in active: as many signatures as fit, so that functions that trust other keys of them find theirs.
func (s *statement[S]) document() (string, error) {
	doc, err := release.Assemble(s.payload, s.signatures[:min(len(s.signatures), release.MaxSignatures)])
	if err != nil {
		return "", refused("%w", err)
	}
	return string(doc), nil
}

// book is what a store holds, as far as it counts: statements of another scope, and what is none, are left out.
type book struct {
	active      *statement[release.Activation] // nil: there is none that counts
	refused     error                          // why what stands in active does not count
	document    string                         // what stands there
	releases    map[int64]*statement[release.Release]
	activations map[int64]*statement[release.Activation]
	threshold   int
}

func (b *book) complete(signers []string) bool { return len(signers) >= b.threshold }

// last is what was made active last: what stands in active, or, where that does not count, the highest claim that was
// signed by enough keys; nil where there is neither.
func (b *book) last() *release.Activation {
	if b.active != nil {
		return &b.active.says
	}
	for _, n := range slices.Backward(sorted(b.activations)) {
		if s := b.activations[n]; b.complete(s.signers) {
			return &s.says
		}
	}
	return nil
}

// read lists the statements of the store and reads what is active.
func (l *ledger) read(ctx context.Context) (*book, error) {
	b := &book{threshold: l.trust.Threshold()}
	releases, err := l.writer.List(ctx, "releases/")
	if err != nil {
		return nil, err
	}
	activations, err := l.writer.List(ctx, "activations/")
	if err != nil {
		return nil, err
	}
	b.releases = statements(l, release.KindRelease, releases, release.ParseRelease, func(r release.Release, n int64) bool {
		return r.Scope == l.scope && r.Number == n
	})
	b.activations = statements(l, release.KindActivation, activations, release.ParseActivation, func(a release.Activation, n int64) bool {
		return a.Scope == l.scope && a.Sequence == n
	})
	return b, l.readActive(ctx, b)
}

func (l *ledger) readActive(ctx context.Context, b *book) error {
	p, err := l.reader.Get(ctx, store.Active)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b.document = p.Value
	says, signers, err := l.trust.Activation([]byte(p.Value), l.scope)
	if err != nil {
		b.refused = err
		return nil
	}
	b.active = &statement[release.Activation]{says: says, signers: signers, written: p.Modified}
	return nil
}

// statements reads parameters ROOM/N and ROOM/N/signatures/KID. A signature that does not verify is none: whoever may write
// parameters may put one there.
func statements[S any](l *ledger, kind string, parameters []store.Parameter, parse func([]byte) (S, error), counts func(S, int64) bool) map[int64]*statement[S] {
	found := map[int64]*statement[S]{}
	for _, p := range parameters { // sorted by key: a statement comes before its signatures
		path := strings.Split(p.Key, "/")
		n, err := strconv.ParseInt(path[1], 10, 64)
		if err != nil {
			continue
		}
		if len(path) == 2 {
			if says, err := parse([]byte(p.Value)); err == nil && counts(says, n) {
				found[n] = &statement[S]{says: says, payload: []byte(p.Value), written: p.Modified}
			}
			continue
		}
		s := found[n]
		if s == nil || len(path) != 4 || path[2] != "signatures" {
			continue
		}
		signature, err := release.ParseSignature([]byte(p.Value))
		if err != nil {
			continue
		}
		if by, err := l.trust.Signers(kind, s.payload, []release.Signature{signature}); err == nil && len(by) == 1 && by[0] == path[3] {
			s.signatures = append(s.signatures, signature)
			s.signers = append(s.signers, by[0])
		}
	}
	return found
}

// sorted are the numbers of statements, ascending.
func sorted[V any](m map[int64]V) []int64 { return slices.Sorted(maps.Keys(m)) }

// keep stores content under its digest, each part once, and reads it back. Where the store has the content already, in
// however many parts, that is what it is named by: another toolchain compresses otherwise.
func (l *ledger) keep(ctx context.Context, room, digest string, content []byte, create func(ctx context.Context, key, value string) error, verify func([]byte) error) (release.Content, error) {
	root := room + "/" + digest + "/"
	if had, err := l.stored(ctx, root); err != nil {
		return release.Content{}, err
	} else if c := (release.Content{Digest: digest, Parts: had}); had > 0 && l.check(ctx, room, c, verify) == nil {
		return c, nil
	}
	parts := bundle.Split(content)
	if len(parts) > bundle.MaxParts {
		return release.Content{}, refused("%d bytes make %d parts: at most %d", len(content), len(parts), bundle.MaxParts)
	}
	for i, part := range parts {
		err := create(ctx, root+strconv.Itoa(i+1), part)
		if errors.Is(err, store.ErrExists) {
			return release.Content{}, refused("%w: parts of the same content by another toolchain, or by a stranger; `gatehouse gc` removes them when they are an hour old", err)
		}
		if err != nil {
			return release.Content{}, err
		}
	}
	c := release.Content{Digest: digest, Parts: len(parts)}
	if err := l.check(ctx, room, c, verify); err != nil {
		return c, fmt.Errorf("read back %s/%s: %w", room, digest, err)
	}
	return c, nil
}

// stored counts the parts 1, 2, … that stand below a root.
func (l *ledger) stored(ctx context.Context, root string) (int, error) {
	parameters, err := l.writer.List(ctx, root)
	if err != nil {
		return 0, err
	}
	have := map[string]bool{}
	for _, p := range parameters {
		have[p.Key] = true
	}
	n := 0
	for have[root+strconv.Itoa(n+1)] {
		n++
	}
	return n, nil
}

// check reads content and verifies it.
func (l *ledger) check(ctx context.Context, room string, c release.Content, verify func([]byte) error) error {
	content, err := l.content(ctx, room, c)
	if err != nil {
		return err
	}
	return verify(content)
}

func (l *ledger) content(ctx context.Context, room string, c release.Content) ([]byte, error) {
	parts, err := l.parts(ctx, room, c)
	if err != nil {
		return nil, err
	}
	content, err := bundle.Join(parts)
	if err != nil {
		return nil, refused("%s/%s: %w", room, c.Digest, err)
	}
	return content, nil
}

func (l *ledger) parts(ctx context.Context, room string, c release.Content) ([]string, error) {
	keys := make([]string, c.Parts)
	for i := range keys {
		keys[i] = room + "/" + c.Digest + "/" + strconv.Itoa(i+1)
	}
	values, err := l.reader.GetAll(ctx, keys)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &result{exitRefused, err}
	}
	if err != nil {
		return nil, err
	}
	parts := make([]string, c.Parts)
	for i, key := range keys {
		parts[i] = values[key]
	}
	return parts, nil
}

// isBundle verifies an archive as the function will: its digest, and the load-time checks.
func isBundle(ctx context.Context, digest string) func([]byte) error {
	return func(archive []byte) error {
		b, err := bundle.ReadArchive(archive)
		if err == nil && b.Digest != digest {
			err = fmt.Errorf("its digest is %s", b.Digest)
		}
		if err == nil {
			_, err = b.Load(ctx)
		}
		if err != nil {
			return refused("bundles/%s: %w", digest, err)
		}
		return nil
	}
}

// isAuth0 verifies an Auth0 configuration as the function will.
func isAuth0(digest string) func([]byte) error {
	return func(doc []byte) error {
		var err error
		if is := bundle.Sum(doc); is != digest {
			err = fmt.Errorf("its digest is %s", is)
		} else {
			_, err = token.ParseConfig(doc)
		}
		if err != nil {
			return refused("auth0/%s: %w", digest, err)
		}
		return nil
	}
}

// publish stores a bundle, reads it back, and signs a release of it. What an earlier run left undone is done; what it did
// is not done twice.
func (l *ledger) publish(ctx context.Context, b *bundle.Bundle, keys []release.Signer) (*statement[release.Release], error) {
	if _, err := b.Load(ctx); err != nil {
		return nil, refused("%w", err)
	}
	archive, err := b.Archive()
	if err != nil {
		return nil, refused("%w", err)
	}
	content, err := l.keep(ctx, "bundles", b.Digest, archive, l.writer.Create, isBundle(ctx, b.Digest))
	if err != nil {
		return nil, err
	}
	held, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	r := release.Release{Kind: release.KindRelease, Version: release.Version, Scope: l.scope, Bundle: content, Engine: "opa v" + opa.Version}
	numbers := sorted(held.releases)
	for _, n := range slices.Backward(numbers) {
		s := held.releases[n]
		if s.says.Bundle.Digest != b.Digest {
			continue
		}
		r.Number = n
		if payload, err := release.Payload(r); held.complete(s.signers) || err == nil && bytes.Equal(payload, s.payload) {
			return s, l.signRelease(ctx, s, keys)
		}
	}
	r.Number = 1
	if len(numbers) > 0 {
		r.Number = numbers[len(numbers)-1] + 1
	}
	s := &statement[release.Release]{written: time.Now()}
	s.says, s.payload, err = claim(ctx, l, "releases/", r.Number, func(n int64) release.Release { r.Number = n; return r }, func(int64) (bool, error) { return true, nil })
	if err != nil {
		return nil, err
	}
	return s, l.signRelease(ctx, s, keys)
}

// maxSteps bounds how many taken numbers are stepped over.
const maxSteps = 100

// claim creates the statement of the first free number from n on. Of two who want a number the store gives it to one; over
// decides whether the other goes on to the next.
func claim[S any](ctx context.Context, l *ledger, room string, n int64, says func(int64) S, over func(int64) (bool, error)) (S, []byte, error) {
	var none S
	for range maxSteps {
		s := says(n)
		payload, err := release.Payload(s)
		if err != nil {
			return none, nil, refused("%w", err)
		}
		err = l.writer.Create(ctx, room+strconv.FormatInt(n, 10), string(payload))
		if err == nil {
			return s, payload, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return none, nil, err
		}
		if goOn, err := over(n); !goOn || err != nil {
			return none, nil, cmp.Or(err, refused("%s%d was taken in this moment by somebody else: see `gatehouse status`", room, n))
		}
		n++
	}
	return none, nil, refused("%s%d and the %d numbers before it are taken by what is no statement: who writes there?", room, n-1, maxSteps-1)
}

// signRelease adds signatures to a release, those that it lacks.
func (l *ledger) signRelease(ctx context.Context, s *statement[release.Release], keys []release.Signer) error {
	return addSignatures(ctx, l, release.KindRelease, "releases/"+strconv.FormatInt(s.says.Number, 10), s, keys)
}

func addSignatures[S any](ctx context.Context, l *ledger, kind, at string, s *statement[S], keys []release.Signer) error {
	for _, key := range keys {
		kid := release.KeyID(key.Public().(*ecdsa.PublicKey))
		if slices.Contains(s.signers, kid) {
			continue
		}
		signature, err := release.Sign(kind, s.payload, key)
		if err != nil {
			return err
		}
		text, err := json.Marshal(signature)
		if err != nil {
			return err
		}
		err = l.writer.Create(ctx, at+"/signatures/"+kid, string(text))
		if errors.Is(err, store.ErrExists) {
			// Another run with the same key, just now; or a stranger.
			p, getErr := l.reader.Get(ctx, at+"/signatures/"+kid)
			if getErr != nil {
				return getErr
			}
			signature, err = release.ParseSignature([]byte(p.Value))
			if err == nil {
				_, err = l.trust.Signers(kind, s.payload, []release.Signature{signature})
			}
			if err != nil {
				return refused("%s/signatures/%s: holds what this key never signed: %w; `gatehouse gc` removes it when it is an hour old", at, kid, err)
			}
		}
		if err != nil {
			return err
		}
		s.signatures, s.signers = append(s.signatures, signature), append(s.signers, kid)
	}
	slices.Sort(s.signers)
	return nil
}

// sign adds signatures to release n after the same checks as its publisher made.
func (l *ledger) sign(ctx context.Context, n int64, keys []release.Signer) (*statement[release.Release], error) {
	b, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	s, ok := b.releases[n]
	if !ok {
		return nil, refused("no release %d of this account, root and stage", n)
	}
	if err := l.check(ctx, "bundles", s.says.Bundle, isBundle(ctx, s.says.Bundle.Digest)); err != nil {
		return nil, err
	}
	return s, l.signRelease(ctx, s, keys)
}

// released gives release n, signed by enough keys, with its content in place.
func (l *ledger) released(ctx context.Context, b *book, n int64) (release.Target, error) {
	s, ok := b.releases[n]
	if !ok {
		return release.Target{}, refused("no release %d of this account, root and stage", n)
	}
	if !b.complete(s.signers) {
		return release.Target{}, refused("release %d has %d of %d signatures: `gatehouse sign %d --key KEY` adds one", n, len(s.signers), b.threshold, n)
	}
	return release.Target{Release: n, Bundle: s.says.Bundle}, l.check(ctx, "bundles", s.says.Bundle, isBundle(ctx, s.says.Bundle.Digest))
}

// change says what is to be active, given what is; the sequence is not its business.
type change func(ctx context.Context, b *book) (release.Activation, error)

// activated is how a change ended.
type activated struct {
	*statement[release.Activation]
	before *release.Activation // what was active
	effect bool                // it is active now; otherwise signatures are missing
	noted  error               // why what stood in active did not count
}

// activate makes a change active, or adds to its signatures. Steps and their order: docs/adr/0009-anti-rollback.md.
func (l *ledger) activate(ctx context.Context, want change, keys []release.Signer) (*activated, error) {
	b, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	a, err := want(ctx, b)
	if err != nil {
		return nil, err
	}
	a.Kind, a.Version, a.Scope = release.KindActivation, release.Version, l.scope
	done := &activated{noted: b.refused}
	if b.active != nil {
		done.before = &b.active.says
		if a.Sequence = b.active.says.Sequence; reflect.DeepEqual(a, b.active.says) {
			done.statement, done.effect = b.active, true
			return done, nil
		}
	}
	if done.statement, err = l.claimed(ctx, b, a); err != nil {
		return nil, err
	}
	at := "activations/" + strconv.FormatInt(done.says.Sequence, 10)
	if err := addSignatures(ctx, l, release.KindActivation, at, done.statement, keys); err != nil {
		return nil, err
	}
	if !b.complete(done.signers) {
		return done, nil
	}
	done.effect = true
	return done, l.commit(ctx, done.statement)
}

// claimed gives the claim for an activation: one that says the same and is still to take effect, or a new one.
func (l *ledger) claimed(ctx context.Context, b *book, a release.Activation) (*statement[release.Activation], error) {
	same := func(s *statement[release.Activation]) bool {
		a.Sequence = s.says.Sequence
		payload, err := release.Payload(a)
		return err == nil && bytes.Equal(payload, s.payload)
	}
	var floor int64 // of what took effect or is about to
	if b.active != nil {
		floor = b.active.says.Sequence
	}
	next := floor
	for _, n := range sorted(b.activations) {
		s := b.activations[n]
		if n <= floor || len(s.signers) == 0 && !same(s) {
			continue
		}
		next = max(next, n)
		if b.complete(s.signers) && !same(s) {
			floor = n
		}
	}
	for _, n := range sorted(b.activations) {
		if n > floor && same(b.activations[n]) {
			return b.activations[n], nil
		}
	}
	s := &statement[release.Activation]{written: time.Now()}
	var err error
	s.says, s.payload, err = claim(ctx, l, "activations/", next+1, func(n int64) release.Activation { a.Sequence = n; return a }, func(n int64) (bool, error) {
		now, err := l.read(ctx)
		if err != nil {
			return false, err
		}
		taken := now.activations[n]
		return taken == nil || len(taken.signers) == 0, nil // what nobody signed binds nobody
	})
	return s, err
}

// commit makes a complete activation active: the one write that changes what functions do.
func (l *ledger) commit(ctx context.Context, s *statement[release.Activation]) error {
	document, err := s.document()
	if err != nil {
		return err
	}
	var now book
	if err := l.readActive(ctx, &now); err != nil {
		return err
	}
	if now.active != nil && now.active.says.Sequence >= s.says.Sequence && now.document != document {
		if now.active.says.Sequence == s.says.Sequence {
			return nil // a co-signer was faster
		}
		return refused("overtaken: activation %d, of release %d, took effect before %d: see `gatehouse status`, and run again if yours is still wanted",
			now.active.says.Sequence, now.active.says.Release, s.says.Sequence)
	}
	if now.document == document {
		return nil
	}
	if err := l.writer.Activate(ctx, document); err != nil {
		return err
	}
	return l.settle(ctx, s.says.Sequence)
}

// settle looks at what stands in active after a write of sequence n. A complete claim above it was written over, or is
// about to be written: it is written in any case.
func (l *ledger) settle(ctx context.Context, n int64) error {
	b, err := l.read(ctx)
	if err != nil {
		return err
	}
	top := int64(0)
	if b.active != nil {
		top = b.active.says.Sequence
	}
	var above *statement[release.Activation]
	for _, seq := range sorted(b.activations) {
		if s := b.activations[seq]; seq > max(top, n) && b.complete(s.signers) {
			above = s
		}
	}
	if above == nil {
		if top < n {
			return refused("activation %d was written, and %d stands there now: somebody else writes active; see `gatehouse status`", n, top)
		}
		return nil
	}
	document, err := above.document()
	if err != nil {
		return err
	}
	if err := l.writer.Activate(ctx, document); err != nil {
		return err
	}
	return refused("overtaken: activation %d, of release %d, was signed meanwhile and is active now: see `gatehouse status`, and run again if yours is still wanted",
		above.says.Sequence, above.says.Release)
}
