package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gatehouse/internal/release"
)

// The changes that verbs make to what is active. Each gives the same activation for the same store, so that several
// signers sign the same bytes.

// toRelease makes a release active. The Auth0 configuration stays unless another is given, the candidate unless it is this
// release. With an end it is a break-glass activation, and what is active now takes over again then.
func (l *ledger) toRelease(n int64, auth0 *release.Content, until *time.Time) change {
	return func(ctx context.Context, b *book) (release.Activation, error) {
		var a release.Activation
		target, err := l.released(ctx, b, n)
		if err != nil {
			return a, err
		}
		a.Release, a.Bundle = target.Release, target.Bundle
		last := b.last()
		switch {
		case auth0 != nil:
			a.Auth0 = *auth0
		case last == nil:
			return a, b.nothing("so there is no Auth0 configuration to go on with: --auth0 FILE gives it")
		default:
			a.Auth0 = last.Auth0
			if err := l.check(ctx, "auth0", a.Auth0, isAuth0(a.Auth0.Digest)); err != nil {
				return a, err
			}
		}
		if last != nil && last.Candidate != nil && last.Candidate.Release != n {
			a.Candidate = last.Candidate
		}
		if until == nil {
			return a, nil
		}
		if last == nil {
			return a, b.nothing("and so nothing that could take over at the end")
		}
		a.NotAfter, a.Fallback = until, last.Fallback
		if a.Fallback == nil {
			a.Fallback = &release.Target{Release: last.Release, Bundle: last.Bundle}
		}
		return a, nil
	}
}

// underWay takes the end of an activation that says the same and that somebody began within a minute: --for, run again at
// once, goes on with what it began. Later it sets another end. What nobody signed may be a stranger's, who would choose
// the end.
func (l *ledger) underWay(c change) change {
	return func(ctx context.Context, b *book) (release.Activation, error) {
		a, err := c(ctx, b)
		if err != nil {
			return a, err
		}
		for _, s := range []*statement[release.Activation]{b.active, b.activations[b.top()], b.activations[b.top()+1]} {
			if s == nil || len(s.signers) == 0 || s.says.NotAfter == nil || !s.says.NotAfter.After(time.Now()) {
				continue
			}
			if sooner := a.NotAfter.Sub(*s.says.NotAfter); sooner < 0 || sooner > young {
				continue
			}
			begun := a
			begun.Kind, begun.Version, begun.Scope, begun.NotAfter = s.says.Kind, s.says.Version, s.says.Scope, s.says.NotAfter
			if says(s.says, begun) {
				if !begun.NotAfter.Equal(*a.NotAfter) {
					b.noted = append(b.noted, fmt.Errorf("activation %d, begun a moment ago, says the same until %s, and this goes on with that: --not-after TIME sets another end",
						s.says.Sequence, begun.NotAfter.Format(time.RFC3339)))
				}
				return begun, nil
			}
		}
		return a, nil
	}
}

// back makes active again, policy and configuration, what was so before: the newest activation below the present one that
// says something else than what is in force now, and not for a while only. The present one is what functions decide by;
// where that does not count, the last activation that was complete becomes active again. Whether what was complete was ever
// written to active no store says: the report names the activation.
func (l *ledger) back() change {
	return func(ctx context.Context, b *book) (release.Activation, error) {
		last := b.last()
		if last == nil {
			return release.Activation{}, b.nothing("")
		}
		if b.active != nil {
			last = &b.active.says
		}
		now := inForce(*last, time.Now())
		for _, n := range slices.Backward(sorted(b.activations)) {
			s := b.activations[n]
			other := n < now.Sequence && (s.says.Bundle != now.Bundle || s.says.Auth0 != now.Auth0)
			if !b.complete(s.signers) || s.says.NotAfter != nil || b.active != nil && !other {
				continue
			}
			a := release.Activation{Release: s.says.Release, Bundle: s.says.Bundle, Auth0: s.says.Auth0}
			if b.back = n; b.active == nil {
				b.noted = append(b.noted, fmt.Errorf("nothing that counts was active: what activation %d said, the last one, stands again; run rollback again for what was before it", n))
			}
			// An older activation put back would choose what is before it. Where a rollback died before its last write, it goes on.
			if above := b.above(); b.active != nil && above != nil && (above.says.Bundle != a.Bundle || above.says.Auth0 != a.Auth0) {
				return a, refused("activation %d stands in active, and %d, of release %d, is signed and comes after it: somebody put the older one back, or the newer was never written; see `gatehouse status`, and `gatehouse rollback N` takes release N",
					last.Sequence, above.says.Sequence, above.says.Release)
			}
			if err := l.check(ctx, "bundles", a.Bundle, isBundle(ctx, a.Bundle.Digest)); err != nil {
				return a, err
			}
			return a, l.check(ctx, "auth0", a.Auth0, isAuth0(a.Auth0.Digest))
		}
		return release.Activation{}, refused("nothing else was active before activation %d: `gatehouse status` lists the releases, and `gatehouse rollback N` takes one", last.Sequence)
	}
}

// inForce is an activation without an end that has passed: what then took over stands in its place.
func inForce(a release.Activation, now time.Time) release.Activation {
	if a.NotAfter != nil && !a.NotAfter.After(now) {
		a.Release, a.Bundle, a.NotAfter, a.Fallback = a.Fallback.Release, a.Fallback.Bundle, nil, nil
	}
	if a.Candidate != nil && a.Candidate.Bundle == a.Bundle {
		a.Candidate = nil
	}
	return a
}

// backTo makes a release active again with the present configuration, without candidate and without end.
func (l *ledger) backTo(n int64) change {
	return func(ctx context.Context, b *book) (release.Activation, error) {
		a, err := l.toRelease(n, nil, nil)(ctx, b)
		a.Candidate = nil
		return a, err
	}
}

// withCandidate changes the candidate alone; 0 is none.
func (l *ledger) withCandidate(n int64) change {
	return func(ctx context.Context, b *book) (release.Activation, error) {
		last := b.last()
		if last == nil {
			return release.Activation{}, b.nothing("and so nothing that a candidate could be held against")
		}
		a := inForce(*last, time.Now())
		if a.Candidate = nil; n == 0 {
			return a, nil
		}
		target, err := l.released(ctx, b, n)
		if err == nil && target.Bundle == a.Bundle {
			err = refused("release %d is what is active", n)
		}
		a.Candidate = &target
		return a, err
	}
}

// withAuth0 changes the Auth0 configuration alone.
func (l *ledger) withAuth0(c release.Content) change {
	return func(ctx context.Context, b *book) (release.Activation, error) {
		last := b.last()
		if last == nil {
			return release.Activation{}, b.nothing("")
		}
		a := inForce(*last, time.Now())
		a.Auth0 = c
		return a, l.check(ctx, "auth0", c, isAuth0(c.Digest))
	}
}

var errNothingActive = refused("nothing is active yet: `gatehouse activate N --auth0 FILE` is first")

// nothing says that there is nothing active to go on from, what follows from that, and, where something stands there that
// does not count, why it does not.
func (b *book) nothing(follows string) error {
	if b.refused == nil {
		if follows == "" {
			return errNothingActive
		}
		return refused("nothing is active yet, %s", follows)
	}
	what, r := "what stands in active", (*release.Error)(nil)
	stands, ok := b.stands()
	if ok {
		what = fmt.Sprintf("activation %d, of release %d, stands in active and", stands.Sequence, stands.Release)
	}
	if follows != "" {
		follows = ", " + follows
	}
	if ok && errors.As(b.refused, &r) && r.Code == release.CodeBelowThreshold {
		follows += fmt.Sprintf("; for more signatures on what stands there run `GATEHOUSE_THRESHOLD=1 gatehouse sign %[1]d --key B`, then `GATEHOUSE_THRESHOLD=1 gatehouse activate %[1]d --key A --key B`",
			stands.Release)
	}
	return refused("%s does not count: %w%s", what, b.refused, follows)
}

// stands reads what is in active, whether it counts or not: for people alone.
func (b *book) stands() (release.Activation, bool) {
	var doc struct {
		Payload string `json:"payload"`
	}
	if json.Unmarshal([]byte(b.document), &doc) != nil {
		return release.Activation{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(doc.Payload)
	if err != nil {
		return release.Activation{}, false
	}
	a, err := release.ParseActivation(payload)
	return a, err == nil
}

// changed names what differs between two activations, for people; nil is nothing before.
func changed(before *release.Activation, now release.Activation) []string {
	var was release.Activation
	if before != nil {
		was = *before
	}
	var names []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"policy", was.Bundle == now.Bundle},
		{"auth0", was.Auth0 == now.Auth0},
		{"candidate", reflect.DeepEqual(was.Candidate, now.Candidate)},
		{"end", reflect.DeepEqual(was.NotAfter, now.NotAfter)},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}
