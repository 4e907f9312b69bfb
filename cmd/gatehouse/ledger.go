package main

import (
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
	spoilt     []string            // ids of trusted keys in the place of whose signature something else stands
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

	noted []error // what a change found that somebody should know
	back  int64   // the activation that a change goes back to
}

func (b *book) complete(signers []string) bool { return len(signers) >= b.threshold }

// last is what was made active last: the highest claim that enough keys signed, be it in active yet or not; nil where there
// is none and what stands in active does not count.
func (b *book) last() *release.Activation {
	if s := b.above(); s != nil {
		return &s.says
	}
	if b.active != nil {
		return &b.active.says
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
		if err != nil || strconv.FormatInt(n, 10) != path[1] {
			continue // in another spelling it is another key
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
		var by []string
		signature, err := release.ParseSignature([]byte(p.Value))
		if err == nil {
			by, err = l.trust.Signers(kind, s.payload, []release.Signature{signature})
		}
		switch {
		case err == nil && len(by) == 1 && by[0] == path[3]:
			s.signatures = append(s.signatures, signature)
			s.signers = append(s.signers, by[0])
		case slices.Contains(l.trust.KeyIDs(), path[3]):
			s.spoilt = append(s.spoilt, path[3])
		}
	}
	return found
}

// sorted are the numbers of statements, ascending.
func sorted[V any](m map[int64]V) []int64 { return slices.Sorted(maps.Keys(m)) }

// keep stores content under its digest, each part once, and reads it back. Where the store has a bundle already, in however
// many parts, that is what it is named by: another toolchain compresses otherwise. A configuration is its bytes, so that
// create sees each part of it, and whether it is a secret as it should be.
func (l *ledger) keep(ctx context.Context, room, digest string, content []byte, create func(ctx context.Context, key, value string) error, verify func([]byte) error) (release.Content, error) {
	root := room + "/" + digest + "/"
	if room == "bundles" {
		had, err := l.stored(ctx, root)
		if err != nil {
			return release.Content{}, err
		}
		if c := (release.Content{Digest: digest, Parts: had}); had > 0 && l.check(ctx, room, c, verify) == nil {
			return c, nil
		}
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
	for _, n := range slices.Backward(sorted(held.releases)) {
		s := held.releases[n]
		if r.Number = n; s.says.Bundle == content && held.complete(s.signers) || s.says == r && joins(keys, s.spoilt) {
			return s, l.signRelease(ctx, s, keys)
		}
	}
	s := &statement[release.Release]{written: time.Now()}
	if s.says, s.payload, err = l.numbered(ctx, r, reach(held.releases, 0, held.complete)+1); err != nil {
		return nil, err
	}
	return s, l.signRelease(ctx, s, keys)
}

// maxSteps bounds how many taken numbers are stepped over.
const maxSteps = 100

// reach is the highest number that is taken: from, what enough keys signed, and what some did no more than maxSteps above
// that, or above one another. No run goes further in one step, so what stands above is none's: one key of several would
// take all numbers by taking the last. What nobody signed takes none. Where nothing is complete, as after the threshold
// was raised, the lowest that somebody signed is the first.
func reach[S any](held map[int64]*statement[S], from int64, complete func([]string) bool) int64 {
	for n, s := range held {
		if complete(s.signers) {
			from = max(from, n)
		}
	}
	for _, n := range sorted(held) {
		if len(held[n].signers) > 0 && (from == 0 || n <= from+maxSteps) {
			from = max(from, n)
		}
	}
	return from
}

// beyond names what stands above all that is taken, so that it takes no number.
func beyond[S any](room string, held map[int64]*statement[S], top int64) (noted []error) {
	for _, n := range sorted(held) {
		if s := held[n]; n > top && len(s.signers) > 0 {
			noted = append(noted, fmt.Errorf("%s/%d, signed by %s alone and so far above the rest, is passed over: who signed that? `gatehouse gc` removes it when it is an hour old",
				room, n, strings.Join(s.signers, ", ")))
		}
	}
	return noted
}

// numbered creates a release under the first free number from n on. Of two who want a number the store gives it to one.
func (l *ledger) numbered(ctx context.Context, r release.Release, n int64) (release.Release, []byte, error) {
	for r.Number = n; r.Number < n+maxSteps; r.Number++ {
		payload, err := release.Payload(r)
		if err != nil {
			return r, nil, refused("%w", err)
		}
		if err = l.writer.Create(ctx, "releases/"+strconv.FormatInt(r.Number, 10), string(payload)); !errors.Is(err, store.ErrExists) {
			return r, payload, err
		}
	}
	return r, nil, refused("releases/%d and the %d numbers before it are taken by what nobody signed: who writes there?", r.Number-1, maxSteps-1)
}

// signRelease adds signatures to a release, those that it lacks.
func (l *ledger) signRelease(ctx context.Context, s *statement[release.Release], keys []release.Signer) error {
	return addSignatures(ctx, l, release.KindRelease, "releases/"+strconv.FormatInt(s.says.Number, 10), s, keys)
}

// keyID is the id of a key that desk.open has let in.
func keyID(key release.Signer) string { return release.KeyID(key.Public().(*ecdsa.PublicKey)) }

func addSignatures[S any](ctx context.Context, l *ledger, kind, at string, s *statement[S], keys []release.Signer) error {
	for _, key := range keys {
		kid := keyID(key)
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
			var by []string
			if err == nil {
				by, err = l.trust.Signers(kind, s.payload, []release.Signature{signature})
			}
			if err == nil && !slices.Equal(by, []string{kid}) {
				err = errors.New("it is by another key")
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
		return nil, l.noRelease(n)
	}
	if len(s.signers) == 0 { // whoever may write parameters may have put it there, under the number that a signer was told
		return nil, refused("release %d is signed by no trusted key, so that nobody knows whose it is: `gatehouse publish DIR` signs what is in a directory", n)
	}
	if err := l.check(ctx, "bundles", s.says.Bundle, isBundle(ctx, s.says.Bundle.Digest)); err != nil {
		return nil, err
	}
	return s, l.signRelease(ctx, s, keys)
}

func (l *ledger) noRelease(n int64) error {
	return refused("no release %d of account %s (--account, GATEHOUSE_APIS), root %s (--store, GATEHOUSE_STORE) and stage %s (--stage, GATEHOUSE_STAGE): `gatehouse status` lists what there is",
		n, l.scope.Account, l.scope.Root, l.scope.Stage)
}

// released gives release n, signed by enough keys, with its content in place.
func (l *ledger) released(ctx context.Context, b *book, n int64) (release.Target, error) {
	s, ok := b.releases[n]
	if !ok {
		return release.Target{}, l.noRelease(n)
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
	back   int64               // the activation that it goes back to; 0 is none
	effect bool                // it is active now; otherwise signatures are missing
	begun  bool                // it was so before
	dry    bool                // nothing was written
	noted  error               // what was found that somebody should know: why what stood in active did not count, for one
}

// The times that keep two who activate at once apart. Whoever claims a number signs it within inTime or not at all; a claim
// that nobody signed within young, which is longer, is stepped over.
const (
	inTime = 20 * time.Second
	young  = time.Minute
)

// How often, and how long after one another, a claim above a complete one is looked at until somebody signs it.
const (
	looks = 10
	pause = 300 * time.Millisecond
)

// activate makes a change active, or adds to its signatures. Steps and their order: docs/adr/0009-anti-rollback.md.
//
// Of two who claim the same number the store gives it to one. Of two who hold different numbers, since one stepped over the
// other's claim, one at least sees the other: whoever has signed looks for higher claims before writing active, and whoever
// has claimed looks for what was signed below before signing.
func (l *ledger) activate(ctx context.Context, want change, keys []release.Signer) (*activated, error) {
	b, done, err := l.plan(ctx, want, len(keys))
	if err != nil || done.effect {
		return done, err
	}
	began := time.Now().Round(0) // the monotonic clock stands still while a machine sleeps
	s, err := l.claimed(ctx, b, done.says, keys)
	if err != nil {
		return nil, err
	}
	return done, l.carry(ctx, b, s, keys, began, done)
}

// plan says what a change comes to, and writes nothing. What is active already is in effect, unless more keys are to sign
// than did: so is made what a higher threshold asks for.
func (l *ledger) plan(ctx context.Context, want change, keys int) (*book, *activated, error) {
	b, err := l.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := want(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	a.Kind, a.Version, a.Scope, a.Sequence = release.KindActivation, release.Version, l.scope, b.top()+1
	done := &activated{statement: &statement[release.Activation]{says: a}, back: b.back}
	if b.refused != nil {
		done.noted = fmt.Errorf("what stood in active did not count: %w", b.refused)
	}
	done.noted = errors.Join(append(append([]error{done.noted}, b.noted...), beyond("activations", b.activations, b.top())...)...)
	above := b.above()
	if b.active != nil {
		done.before = &b.active.says
		if above == nil && says(b.active.says, a) && min(keys, release.MaxSignatures) <= len(b.active.signers) {
			done.statement, done.effect, done.begun = b.active, true, true
		}
	}
	if above != nil && !says(above.says, a) {
		done.noted = errors.Join(done.noted, fmt.Errorf("activation %d, of release %d, was signed and never written: this one comes after it", above.says.Sequence, above.says.Release))
	}
	return b, done, nil
}

// says says whether two activations differ in their sequence alone.
func says(a, b release.Activation) bool {
	a.Sequence = b.Sequence
	return reflect.DeepEqual(a, b)
}

// claimed gives the claim for an activation: that of a run before or of a co-signer, where nothing has come after it, or a
// new one.
func (l *ledger) claimed(ctx context.Context, b *book, a release.Activation, keys []release.Signer) (*statement[release.Activation], error) {
	fits := func(s *statement[release.Activation]) bool { return says(s.says, a) && joins(keys, s.spoilt) }
	top := b.top()
	if s := b.activations[top]; s != nil && top > b.sequence() && fits(s) {
		return s, nil
	}
	for a.Sequence = top + 1; a.Sequence <= top+maxSteps; {
		s := b.activations[a.Sequence]
		switch {
		case s == nil:
			payload, err := release.Payload(a)
			if err != nil {
				return nil, refused("%w", err)
			}
			err = l.writer.Create(ctx, "activations/"+strconv.FormatInt(a.Sequence, 10), string(payload))
			if err == nil {
				return &statement[release.Activation]{says: a, payload: payload, written: time.Now()}, nil
			}
			if !errors.Is(err, store.ErrExists) {
				return nil, err
			}
			if b, err = l.read(ctx); err != nil {
				return nil, err
			}
			if b.activations[a.Sequence] == nil { // what is no statement
				a.Sequence++
			}
		case fits(s):
			return s, nil
		case len(s.signers) > 0 || time.Since(s.written) < young:
			return nil, refused("activation %d was taken in this moment by somebody else, for release %d, signed by %s: see `gatehouse status`, and run this again in a minute if it is still wanted",
				a.Sequence, s.says.Release, orNobody(s.signers))
		default: // what nobody signed binds nobody
			a.Sequence++
		}
	}
	return nil, refused("activations/%d and the %d numbers before it are taken by what nobody signed: who writes there?", a.Sequence-1, maxSteps-1)
}

// joins says whether all keys can sign a statement: where something else stands in the place of its signature none can.
func joins(keys []release.Signer, spoilt []string) bool {
	return !slices.ContainsFunc(keys, func(key release.Signer) bool { return slices.Contains(spoilt, keyID(key)) })
}

// carry signs a claim and, where that makes it complete, writes it to active.
func (l *ledger) carry(ctx context.Context, b *book, s *statement[release.Activation], keys []release.Signer, began time.Time, done *activated) error {
	n := s.says.Sequence
	now, err := l.read(ctx)
	if err == nil {
		err = now.inTurn(b, s)
	}
	if err != nil {
		_, failed := l.settle(ctx)
		return errors.Join(err, failed)
	}
	far := now.far() // before we sign: then what stands above may come within reach
	// What is read before the claim gc may have deleted since; what a claim names it keeps.
	for room, c := range map[string]release.Content{"bundles": s.says.Bundle, "auth0": s.says.Auth0} {
		if _, err := l.content(ctx, room, c); err != nil {
			return err
		}
	}
	if time.Since(began) > inTime {
		return refused("activation %d: more than %s went by before it could be signed, and others may step over it by now: run this again", n, inTime)
	}
	if err := addSignatures(ctx, l, release.KindActivation, "activations/"+strconv.FormatInt(n, 10), s, keys); err != nil {
		return err
	}
	for look := 0; ; look++ {
		if now, err = l.read(ctx); err != nil {
			return err
		}
		mine := now.activations[n]
		if mine == nil {
			return refused("activations/%d is gone: somebody else writes there; see `gatehouse status`", n)
		}
		done.statement = mine
		above := now.live(n, far)
		switch {
		case now.sequence() > n:
			return overtaken(n, now.active)
		case above != nil && now.complete(above.signers):
			_, failed := l.settle(ctx)
			return errors.Join(overtaken(n, above), failed)
		case above == nil && !now.complete(mine.signers):
			return nil
		case above != nil && now.sequence() < n && look == looks:
			return refused("activation %d is signed, and %d was claimed over it, for release %d: run this again in a minute", n, above.says.Sequence, above.says.Release)
		}
		if above == nil || now.sequence() == n {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	if now, err = l.settle(ctx); err != nil {
		return err
	}
	if now.sequence() != n {
		return overtaken(n, now.active)
	}
	done.effect = true
	return nil
}

// sequence of what is active; 0 where nothing is.
func (b *book) sequence() int64 {
	if b.active == nil {
		return 0
	}
	return b.active.says.Sequence
}

// top is the highest number that is taken: what is active, or a claim.
func (b *book) top() int64 { return reach(b.activations, b.sequence(), b.complete) }

// far is the highest number that anybody can be about to take.
func (b *book) far() int64 { return b.top() + maxSteps }

// above gives the highest complete claim that is not in active yet: whoever signed it last did not come to write it.
func (b *book) above() *statement[release.Activation] {
	for _, n := range slices.Backward(sorted(b.activations)) {
		if s := b.activations[n]; n > b.sequence() && b.complete(s.signers) {
			return s
		}
	}
	return nil
}

// live gives the highest claim above a number, and not too far, that somebody signed or may be about to sign.
func (b *book) live(above, far int64) *statement[release.Activation] {
	for _, n := range slices.Backward(sorted(b.activations)) {
		if s := b.activations[n]; n > above && (n <= far || b.complete(s.signers)) && (len(s.signers) > 0 || time.Since(s.written) < young) {
			return s
		}
	}
	return nil
}

// inTurn says whether nothing has come between a claim and the book that it was made from. That a co-signer made it active
// meanwhile is nothing.
func (b *book) inTurn(from *book, claim *statement[release.Activation]) error {
	n := claim.says.Sequence
	if is := b.sequence(); is > from.sequence() && is >= n && !(is == n && says(b.active.says, claim.says)) {
		return overtaken(n, b.active)
	}
	for _, m := range slices.Backward(sorted(b.activations)) {
		was := from.activations[m]
		if s := b.activations[m]; m != n && m > from.sequence() && b.complete(s.signers) && !(was != nil && from.complete(was.signers)) {
			return overtaken(n, s)
		}
	}
	if s := b.live(n, b.far()); s != nil {
		return refused("activation %d was claimed over %d in this moment by somebody else, for release %d: see `gatehouse status`, and run this again in a minute if it is still wanted",
			s.says.Sequence, n, s.says.Release)
	}
	return nil
}

func overtaken(n int64, by *statement[release.Activation]) error {
	return refused("overtaken: activation %d, of release %d, was signed by %s while %d was under way: see `gatehouse status`, and run this again if it is still wanted",
		by.says.Sequence, by.says.Release, orNobody(by.signers), n)
}

func orNobody(signers []string) string { return cmp.Or(strings.Join(signers, ", "), "nobody yet") }

// settle writes the highest complete claim to active until it stands there: a slower writer may put a lower one back.
func (l *ledger) settle(ctx context.Context) (*book, error) {
	for range looks {
		b, err := l.read(ctx)
		if err != nil {
			return nil, err
		}
		above := b.above()
		if above == nil {
			return b, nil
		}
		document, err := above.document()
		if err != nil {
			return nil, err
		}
		if failed := l.writer.Activate(ctx, document); failed != nil {
			// It may have been done all the same, and the answer been lost.
			if b, err = l.read(ctx); err != nil || b.sequence() < above.says.Sequence {
				return nil, errors.Join(failed, err)
			}
		}
	}
	return nil, refused("somebody else writes active again and again: see `gatehouse status`")
}
