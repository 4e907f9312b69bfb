package follow

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// refusal is why a check did not confirm or replace what is held.
type refusal struct {
	code    string
	lasting bool // the document alone is the reason: it is not worth another look
	err     error
}

func (r *refusal) Error() string { return r.code + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// code of a refusal; "" of any other error.
func code(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.code
	}
	return ""
}

func refuse(code string, err error) error { return &refusal{code: code, err: err} }

func refuseForGood(code string, err error) error { return &refusal{code, true, err} }

// check asks what is active and gives the state that follows: the same one confirmed, or its successor.
func (f *Follower) check(ctx context.Context, fl *flight) (next *state, err error) {
	defer func() {
		if p := recover(); p != nil {
			next, err = nil, refuse("panic", fmt.Errorf("%T", p))
		}
	}()
	held := f.state.Load()
	document, err := f.ask(ctx, fl)
	if err != nil {
		return nil, err
	}
	if held != nil && document == held.document {
		return confirm(held, fl), nil
	}
	f.mu.Lock()
	refused, because := f.refused, f.because
	f.mu.Unlock()
	if document == refused && because != nil {
		return nil, because
	}
	next, err = f.succeed(ctx, fl, held, document)
	var r *refusal
	if errors.As(err, &r) && r.lasting {
		f.mu.Lock()
		f.refused, f.because = document, err
		f.mu.Unlock()
	}
	return next, err
}

// ask gives the document that is active.
func (f *Follower) ask(ctx context.Context, fl *flight) (string, error) {
	p, err := f.c.Store.Get(ctx, store.Active)
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrNotText) {
		f.mu.Lock()
		f.answered = fl.began
		f.mu.Unlock()
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", refuse("activation_missing", err)
	case errors.Is(err, store.ErrNotText):
		return "", refuse("malformed", err)
	case err != nil:
		return "", refuse("store_unavailable", err)
	}
	return p.Value, nil
}

// confirm dates a state anew.
func confirm(held *state, fl *flight) *state {
	next := *held
	next.confirmed = fl.began
	return &next
}

// tryOut loads the candidate of a state aside, once: no check and no request waits for it, and whatever becomes of it
// changes nothing else. There is none beside an activation that has ended.
func (f *Follower) tryOut(s *state, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := s.activation
	if a.Candidate == nil || f.tried == a.Sequence || s.active == nil || over(a, now) {
		return
	}
	f.tried = a.Sequence
	go func() {
		candidate, err := f.candidate(context.Background(), s.contents, a.Candidate.Bundle)
		f.mu.Lock()
		held := f.state.Load()
		switch {
		case held.activation.Sequence != a.Sequence:
		case err == nil:
			with, active := *held, *held.active
			active.Candidate, with.active = candidate, &active
			f.state.Store(&with)
		case code(err) == "store_unavailable":
			f.tried = 0 // the next check tries again
		}
		f.mu.Unlock()
		if err != nil {
			f.report(held, now, now, &refusal{code: "candidate_refused", err: err})
		}
	}()
}

func (f *Follower) candidate(ctx context.Context, had contents, c release.Content) (candidate *authorizer.Candidate, err error) {
	defer func() {
		if p := recover(); p != nil {
			candidate, err = nil, fmt.Errorf("panic: %T", p)
		}
	}()
	got, err := f.fetch(ctx, had, []release.Content{c}, nil)
	if err != nil {
		return nil, err
	}
	return f.c.Try(ctx, got.bundles[c.Digest])
}

// succeed verifies and loads another activation than the one held.
func (f *Follower) succeed(ctx context.Context, fl *flight, held *state, document string) (*state, error) {
	activation, err := f.verify([]byte(document))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	seen := f.seen
	f.seen = max(f.seen, activation.Sequence)
	f.mu.Unlock()
	switch {
	case activation.Sequence < seen:
		return nil, refuse("sequence_lower", fmt.Errorf("activation %d: %d was seen or is the floor", activation.Sequence, seen))
	case held != nil && activation.Sequence == held.activation.Sequence:
		if !reflect.DeepEqual(activation, held.activation) {
			return nil, refuseForGood("sequence_reused", fmt.Errorf("activation %d: another one with this number is held", activation.Sequence))
		}
		next := confirm(held, fl) // signed by others or by more
		next.document = document
		return next, nil
	}
	fl.replaced.Store(fl.slept && held != nil)
	next, err := f.load(ctx, activation, held, fl.began)
	if err != nil {
		return nil, err
	}
	next.document, next.confirmed, next.activated = document, fl.began, fl.began
	return next, nil
}

// verify reads an activation. A function that serves APIs of several accounts accepts any of them.
func (f *Follower) verify(document []byte) (release.Activation, error) {
	var failure *release.Error
	for _, account := range f.c.Accounts {
		activation, _, err := f.c.Trust.Activation(document, release.Scope{Account: account, Root: f.c.Root, Stage: f.c.Stage})
		if err == nil {
			return activation, nil
		}
		if !errors.As(err, &failure) {
			return activation, refuseForGood("malformed", err)
		}
		if failure.Code != "wrong_account" {
			break
		}
	}
	return release.Activation{}, refuseForGood(failure.Code, failure.Err)
}

// load makes generations of what an activation names. Of one that has ended only the fallback decides.
func (f *Follower) load(ctx context.Context, a release.Activation, held *state, now time.Time) (*state, error) {
	var bundles []release.Content
	if !over(a, now) {
		bundles = append(bundles, a.Bundle)
	}
	if a.Fallback != nil {
		bundles = append(bundles, a.Fallback.Bundle)
	}
	var had contents
	if held != nil {
		had = held.contents
	}
	got, err := f.fetch(ctx, had, bundles, &a.Auth0)
	if err != nil {
		return nil, err
	}
	next := &state{activation: a, contents: got}
	if !over(a, now) {
		if next.active, err = f.build(ctx, a, a.Bundle, got); err != nil {
			return nil, err
		}
	}
	if a.Fallback != nil {
		next.fallback, err = f.build(ctx, a, a.Fallback.Bundle, got)
	}
	return next, err
}

func (f *Follower) build(ctx context.Context, a release.Activation, policy release.Content, got contents) (*authorizer.Generation, error) {
	g, err := f.c.Build(ctx, Content{Activation: a, Policy: got.bundles[policy.Digest], Auth0: got.auth0[a.Auth0.Digest]})
	if err == nil {
		err = g.Check()
	}
	switch {
	case ctx.Err() != nil:
		return nil, refuse("load_timeout", ctx.Err())
	case err != nil:
		return nil, refuseForGood("load_failed", err)
	}
	named := *g
	named.Activation = map[string]authorizer.Bundle{
		"activation": {Revision: strconv.FormatInt(a.Sequence, 10)},
		"auth0":      {Revision: a.Auth0.Digest},
	}
	return &named, nil
}

// contents are verified contents by their digests.
type contents struct {
	bundles map[string]*bundle.Bundle
	auth0   map[string][]byte
}

// wanted is content that is not at hand. Its keep verifies it and keeps it.
type wanted struct {
	room string
	release.Content
	keep func(content []byte) error
}

// keys are the parameters that hold the content.
func (w wanted) keys() []string {
	keys := make([]string, w.Parts)
	for i := range keys {
		keys[i] = w.room + "/" + w.Digest + "/" + strconv.Itoa(i+1)
	}
	return keys
}

// read takes the content out of parameters.
func (w wanted) read(values map[string]string) error {
	parts := make([]string, w.Parts)
	for i, key := range w.keys() {
		parts[i] = values[key]
	}
	content, err := bundle.Join(parts)
	if err == nil {
		err = w.keep(content)
	}
	if err != nil {
		return fmt.Errorf("%s/%s: %w", w.room, w.Digest, err)
	}
	return nil
}

// fetch gets contents from where they are nearest: what is held, what is compiled in, what came with the zip, the store.
// All that the store must give is asked for at once.
func (f *Follower) fetch(ctx context.Context, had contents, bundles []release.Content, auth0 *release.Content) (contents, error) {
	got := contents{map[string]*bundle.Bundle{}, map[string][]byte{}}
	var wants []wanted
	for _, c := range bundles {
		switch {
		case had.bundles[c.Digest] != nil:
			got.bundles[c.Digest] = had.bundles[c.Digest]
		case f.c.Embedded != nil && f.c.Embedded.Digest == c.Digest:
			got.bundles[c.Digest] = f.c.Embedded
		default:
			wants = append(wants, wanted{"bundles", c, func(archive []byte) error { return got.keepBundle(c.Digest, archive) }})
		}
	}
	if auth0 != nil {
		if doc, ok := had.auth0[auth0.Digest]; ok {
			got.auth0[auth0.Digest] = doc
		} else {
			wants = append(wants, wanted{"auth0", *auth0, func(doc []byte) error { return got.keepAuth0(auth0.Digest, doc) }})
		}
	}
	wants = slices.DeleteFunc(wants, func(w wanted) bool { return f.baked(ctx, w) })
	if len(wants) == 0 {
		return got, nil
	}
	var keys []string
	for _, w := range wants {
		keys = append(keys, w.keys()...)
	}
	values, err := f.c.Store.GetAll(ctx, keys)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return got, refuse("content_missing", err)
	case err != nil:
		return got, refuse("store_unavailable", err)
	}
	for _, w := range wants {
		if err := w.read(values); err != nil {
			return got, refuse("content_mismatch", err)
		}
	}
	return got, nil
}

// baked takes content out of what came with the zip. What is not there, or not what it should be, the store has.
func (f *Follower) baked(ctx context.Context, w wanted) bool {
	if f.c.Baked == nil {
		return false
	}
	values, err := f.c.Baked.GetAll(ctx, w.keys())
	return err == nil && w.read(values) == nil
}

func (c contents) keepBundle(digest string, archive []byte) error {
	b, err := bundle.ReadArchive(archive)
	if err != nil {
		return err
	}
	if b.Digest != digest {
		return fmt.Errorf("its digest is %s", b.Digest)
	}
	c.bundles[digest] = b
	return nil
}

func (c contents) keepAuth0(digest string, doc []byte) error {
	if is := bundle.Sum(doc); is != digest {
		return fmt.Errorf("its digest is %s", is)
	}
	c.auth0[digest] = doc
	return nil
}
