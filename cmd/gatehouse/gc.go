package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// gcReport is what gc prints with --json (docs/schema/store-gc.json).
type gcReport struct {
	Version     string   `json:"version"`
	DryRun      bool     `json:"dry_run"`
	Deleted     []string `json:"deleted"` // keys; on a dry run those that would be
	Left        []string `json:"left"`    // keys that are not Gatehouse's, as far as this version knows, or of another scope
	Releases    []int64  `json:"releases"`
	Activations []int64  `json:"activations"` // what is left of both

	young int // how many of these only since they are young
}

// gc deletes what nothing needs any more.
func gc(ctx context.Context, args []string, s stdio) error {
	f := flags("gc", "[--keep N] [--dry-run]")
	d := deskFlags(f, false, "store-gc.json")
	keep := f.Int("keep", 10, "how `many` releases and activations to keep, the newest, beside what is active and what they name")
	dry := f.Bool("dry-run", false, "delete nothing, and say what would go")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	if *keep < 1 {
		return misused("--keep %d: want at least 1", *keep)
	}
	l, _, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	r, err := l.gc(ctx, *keep, time.Now().Add(-tooYoung), *dry)
	if err != nil {
		return err
	}
	if *d.json {
		return writeJSON(s.out, r)
	}
	var b strings.Builder
	for _, key := range r.Deleted {
		fmt.Fprintf(&b, "%s %s\n", map[bool]string{false: "deleted  ", true: "would go "}[*dry], key)
	}
	for _, key := range r.Left {
		why := "not Gatehouse's"
		if room, _, _ := strings.Cut(key, "/"); slices.Contains(rooms, room) {
			why = "for another account, root or stage, and signed by no key that is trusted here"
		}
		fmt.Fprintf(&b, "left      %s: %s\n", key, why)
	}
	fmt.Fprintf(&b, "kept      %s, %s", plural(len(r.Releases), "release"), plural(len(r.Activations), "activation"))
	if r.young > 0 {
		fmt.Fprintf(&b, ": %d of them beyond --keep %d, since younger than an hour", r.young, *keep)
	}
	b.WriteString("\n")
	_, err = io.WriteString(s.out, b.String())
	return err
}

// tooYoung is the age below which nothing is deleted: somebody may be about to name it.
const tooYoung = time.Hour

// rooms are what the keys of a store begin with, but for active.
var rooms = []string{"releases", "activations", "bundles", "auth0"}

// gc keeps the newest releases and activations that somebody signed, what is active and above, and all that these name.
// Statements go before the content that they name, so that what dies half-way leaves no statement without content; and
// before each content goes, the statements are read again, for somebody may have named it meanwhile.
func (l *ledger) gc(ctx context.Context, keep int, old time.Time, dry bool) (*gcReport, error) {
	b, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	if b.refused != nil {
		return nil, refused("what stands in active does not count, so that nobody can say what is needed: %w", b.refused)
	}
	all, err := l.writer.List(ctx, "")
	if err != nil {
		return nil, err
	}
	needed := b.needed(keep)
	groups := map[string][]store.Parameter{} // releases/7, bundles/<digest>
	var left []string
	for _, p := range all {
		path := strings.Split(p.Key, "/")
		if len(path) > 1 && slices.Contains(rooms, path[0]) {
			groups[path[0]+"/"+path[1]] = append(groups[path[0]+"/"+path[1]], p)
		} else if p.Key != store.Active {
			left = append(left, p.Key)
		}
	}
	var statements, contents []string
	young := 0
	others := map[string]bool{} // contents that statements of another scope name
	for name, group := range groups {
		room, _, _ := strings.Cut(name, "/")
		isOld := !slices.ContainsFunc(group, func(p store.Parameter) bool { return p.Modified.After(old) })
		switch {
		case room == "releases" || room == "activations":
			foreign, err := l.foreign(name, group, others)
			if err != nil {
				return nil, err
			}
			switch {
			case foreign:
				for _, p := range group {
					left = append(left, p.Key)
				}
			case !needed[name] && isOld:
				statements = append(statements, name)
			case !needed[name] && b.holds(name):
				young++
			}
		case (room == "bundles" || room == "auth0") && isOld:
			contents = append(contents, name)
		}
	}
	slices.Sort(left)
	slices.Sort(statements)
	slices.Sort(contents)
	r := &gcReport{Version: reportVersion, DryRun: dry, Deleted: []string{}, Left: append([]string{}, left...), Releases: []int64{}, Activations: []int64{}, young: young}
	remove := func(name string) error {
		var keys []string
		for _, p := range groups[name] {
			keys = append(keys, p.Key)
		}
		r.Deleted = append(r.Deleted, keys...)
		if dry {
			return nil
		}
		return l.writer.Delete(ctx, keys)
	}
	for _, name := range statements {
		if err := remove(name); err != nil {
			return nil, err
		}
	}
	for _, key := range l.spoilt(b, groups, old) {
		if !slices.Contains(r.Deleted, key) {
			groups[key] = []store.Parameter{{Key: key}}
			if err := remove(key); err != nil {
				return nil, err
			}
		}
	}
	going := statements
	for _, name := range contents {
		if !dry {
			going = nil // gone; what bears such a number now is another
			if b, err = l.read(ctx); err != nil {
				return nil, err
			}
		}
		if !b.names(name, going) && !others[name] {
			if err := remove(name); err != nil {
				return nil, err
			}
		}
	}
	if !dry {
		if b, err = l.read(ctx); err != nil {
			return nil, err
		}
		going = nil
	}
	for _, n := range sorted(b.releases) {
		if !slices.Contains(going, "releases/"+strconv.FormatInt(n, 10)) {
			r.Releases = append(r.Releases, n)
		}
	}
	for _, n := range sorted(b.activations) {
		if !slices.Contains(going, "activations/"+strconv.FormatInt(n, 10)) {
			r.Activations = append(r.Activations, n)
		}
	}
	return r, nil
}

// needed are the statements to keep.
func (b *book) needed(keep int) map[string]bool {
	needed := map[string]bool{}
	kept := 0
	name := func(a release.Activation) {
		needed["releases/"+strconv.FormatInt(a.Release, 10)] = true
		for _, t := range []*release.Target{a.Candidate, a.Fallback} {
			if t != nil {
				needed["releases/"+strconv.FormatInt(t.Release, 10)] = true
			}
		}
	}
	if b.active != nil {
		name(b.active.says)
	}
	// What stands so far above the rest that it takes no number is nobody's who needs it.
	taken := func(n, top int64) bool { return n <= top+maxSteps }
	last, top := int64(0), b.top()
	for n := range b.activations {
		if taken(n, top) {
			last = max(last, n)
		}
	}
	for _, n := range slices.Backward(sorted(b.activations)) {
		s := b.activations[n]
		isSigned := len(s.signers) > 0 && taken(n, top)
		if isSigned && kept < keep || n >= b.sequence() && isSigned || n == b.sequence() || n == last {
			needed["activations/"+strconv.FormatInt(n, 10)] = true
			name(s.says)
		}
		if isSigned {
			kept++
		}
	}
	kept, top = 0, reach(b.releases, 0, b.complete)
	for _, n := range slices.Backward(sorted(b.releases)) {
		if len(b.releases[n].signers) > 0 && taken(n, top) && kept < keep {
			needed["releases/"+strconv.FormatInt(n, 10)] = true
			kept++
		}
	}
	return needed
}

// names says whether a statement, but for those that go, or what is active names a content.
func (b *book) names(content string, going []string) bool {
	room, digest, _ := strings.Cut(content, "/")
	says := func(a release.Activation) bool {
		if room == "auth0" {
			return a.Auth0.Digest == digest
		}
		return a.Bundle.Digest == digest || a.Candidate != nil && a.Candidate.Bundle.Digest == digest || a.Fallback != nil && a.Fallback.Bundle.Digest == digest
	}
	if b.active != nil && says(b.active.says) {
		return true
	}
	for n, s := range b.activations {
		if says(s.says) && !slices.Contains(going, "activations/"+strconv.FormatInt(n, 10)) {
			return true
		}
	}
	for n, s := range b.releases {
		if room == "bundles" && s.says.Bundle.Digest == digest && !slices.Contains(going, "releases/"+strconv.FormatInt(n, 10)) {
			return true
		}
	}
	return false
}

// spoilt are the keys of what stands in the place of signatures.
func (l *ledger) spoilt(b *book, groups map[string][]store.Parameter, old time.Time) []string {
	var keys []string
	add := func(name string, ids []string) {
		for _, p := range groups[name] {
			if id := strings.TrimPrefix(p.Key, name+"/signatures/"); slices.Contains(ids, id) && !p.Modified.After(old) {
				keys = append(keys, p.Key)
			}
		}
	}
	for n, s := range b.releases {
		add("releases/"+strconv.FormatInt(n, 10), s.spoilt)
	}
	for n, s := range b.activations {
		add("activations/"+strconv.FormatInt(n, 10), s.spoilt)
	}
	slices.Sort(keys)
	return keys
}

// foreign says whether a group is a statement of another account, root or stage, and adds the contents that it names to
// those of others. One that a trusted key signed is refused: whoever runs gc would delete what others need. One that none
// signed may be a stranger's, and stays where it is.
func (l *ledger) foreign(name string, group []store.Parameter, others map[string]bool) (bool, error) {
	value := []byte(group[0].Value)
	var scope release.Scope
	kind := release.KindRelease
	r, err := release.ParseRelease(value)
	a, otherErr := release.ParseActivation(value)
	switch {
	case group[0].Key != name || err != nil && otherErr != nil:
		return false, nil
	case err == nil:
		scope = r.Scope
	default:
		scope, kind = a.Scope, release.KindActivation
	}
	if scope == l.scope {
		return false, nil
	}
	for _, p := range group[1:] {
		signature, err := release.ParseSignature([]byte(p.Value))
		if err != nil {
			continue
		}
		if by, err := l.trust.Signers(kind, value, []release.Signature{signature}); err == nil && len(by) > 0 {
			return false, refused("%s is for account %s, root %s, stage %s, and this is for account %s, root %s, stage %s: nothing was deleted",
				name, scope.Account, scope.Root, scope.Stage, l.scope.Account, l.scope.Root, l.scope.Stage)
		}
	}
	others["bundles/"+r.Bundle.Digest], others["bundles/"+a.Bundle.Digest], others["auth0/"+a.Auth0.Digest] = true, true, true
	for _, t := range []*release.Target{a.Candidate, a.Fallback} {
		if t != nil {
			others["bundles/"+t.Bundle.Digest] = true
		}
	}
	return true, nil
}

// holds says whether a group is a statement that was read.
func (b *book) holds(name string) bool {
	room, number, _ := strings.Cut(name, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return false
	}
	if room == "releases" {
		return b.releases[n] != nil
	}
	return b.activations[n] != nil
}
