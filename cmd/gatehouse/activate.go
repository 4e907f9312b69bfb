package main

import (
	"context"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
)

// activate makes a release active.
func activate(ctx context.Context, args []string, s stdio) error {
	f := flags("activate", "N --key KEY")
	d := deskFlags(f, true, "activation-report.json")
	auth0 := f.String("auth0", "", "`file` with the Auth0 configuration that becomes active with it; the first activation needs one (default: the present one)")
	notAfter := f.String("not-after", "", "break-glass: the `time` (RFC 3339) at which what is active now takes over again")
	lasts := f.Duration("for", 0, "break-glass: likewise, from now")
	flush := f.Bool("flush", false, "also empty the authorizer caches of the REST APIs in $GATEHOUSE_APIS")
	dry := f.Bool("dry-run", false, "make every check, write nothing, and say what would be active")
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	n, err := number(f.Arg(0), "release")
	if err != nil {
		return err
	}
	until, err := end(*notAfter, *lasts, time.Now())
	if err != nil {
		return err
	}
	var doc []byte
	if *auth0 != "" {
		if doc, err = input(*auth0); err != nil {
			return err
		}
	}
	l, keys, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	var config *release.Content
	if *auth0 != "" {
		c := release.Content{Digest: bundle.Sum(doc), Parts: len(bundle.Split(doc))}
		if *dry {
			err = isAuth0(c.Digest)(doc)
		} else {
			c, err = l.putAuth0(ctx, doc, l.writer.Create)
		}
		if err != nil {
			return err
		}
		config = &c
	}
	want := l.toRelease(n, config, until)
	if *lasts != 0 {
		want = l.underWay(want)
	}
	if *dry {
		_, done, err := l.plan(ctx, want, len(keys))
		if err != nil {
			return err
		}
		done.dry = !done.effect
		return d.reportActivation(s.out, l, done, nil)
	}
	return d.apply(ctx, s, l, want, keys, *flush)
}

// apply makes a change, empties caches if asked, and reports.
func (d *desk) apply(ctx context.Context, s stdio, l *ledger, c change, keys []release.Signer, flush bool) error {
	done, err := l.activate(ctx, c, keys)
	if err != nil {
		return err
	}
	var flushed []string
	var flushErr error
	if flush && done.effect {
		flushed, flushErr = flushCaches(ctx, setting(s.env, "GATEHOUSE_APIS"), l.scope.Stage)
	}
	if err := d.reportActivation(s.out, l, done, flushed); err != nil {
		return err
	}
	return flushErr
}

// end is when a break-glass activation ends; nil is never.
func end(notAfter string, lasts time.Duration, now time.Time) (*time.Time, error) {
	var until time.Time
	switch {
	case notAfter != "" && lasts != 0:
		return nil, misused("--not-after and --for say the same thing twice")
	case notAfter != "":
		var err error
		if until, err = time.Parse(time.RFC3339, notAfter); err != nil {
			return nil, misused("--not-after %q: want a time such as 2026-11-26T18:00:00Z", notAfter)
		}
	case lasts != 0:
		until = now.Add(lasts)
	default:
		return nil, nil
	}
	until = until.UTC().Truncate(time.Second)
	if !until.After(now) {
		return nil, misused("the end, %s, is past", until.Format(time.RFC3339))
	}
	return &until, nil
}

// putAuth0 stores an Auth0 configuration.
func (l *ledger) putAuth0(ctx context.Context, doc []byte, create func(ctx context.Context, key, value string) error) (release.Content, error) {
	digest := bundle.Sum(doc)
	if err := isAuth0(digest)(doc); err != nil {
		return release.Content{}, err
	}
	return l.keep(ctx, "auth0", digest, doc, create, isAuth0(digest))
}

// rollback makes active again what was so before, or a release of before.
func rollback(ctx context.Context, args []string, s stdio) error {
	f := flags("rollback", "[N] --key KEY")
	d := deskFlags(f, true, "activation-report.json")
	flush := f.Bool("flush", false, "also empty the authorizer caches of the REST APIs in $GATEHOUSE_APIS")
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	l, keys, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	if f.NArg() == 0 {
		return d.apply(ctx, s, l, l.back(), keys, *flush)
	}
	n, err := number(f.Arg(0), "release")
	if err != nil {
		return err
	}
	return d.apply(ctx, s, l, l.backTo(n), keys, *flush)
}

// candidate has a release decide beside the active one, for the log alone.
func candidate(ctx context.Context, args []string, s stdio) error {
	f := flags("candidate", "N --key KEY | --off --key KEY")
	d := deskFlags(f, true, "activation-report.json")
	off := f.Bool("off", false, "no candidate from now on")
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	n := int64(0)
	if *off == (f.NArg() == 1) {
		return misused("want the number of a release, or --off")
	}
	if !*off {
		var err error
		if n, err = number(f.Arg(0), "release"); err != nil {
			return err
		}
	}
	l, keys, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	return d.apply(ctx, s, l, l.withCandidate(n), keys, false)
}
