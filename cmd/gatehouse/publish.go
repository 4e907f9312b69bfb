package main

import (
	"context"
	"os"

	"gatehouse/internal/bundle"
)

// publish stores the policies of a directory as a signed release.
func publish(ctx context.Context, args []string, s stdio) error {
	f := flags("publish", "DIR --key KEY")
	d := deskFlags(f, true, "release-report.json")
	d.begins = true
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return misused("which directory of policies?")
	}
	if _, err := policiesIn(f.Arg(0)); err != nil {
		return err
	}
	content, err := bundle.Read(os.DirFS(f.Arg(0)))
	if err != nil {
		return refused("%w", err)
	}
	l, keys, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	r, err := l.publish(ctx, content, keys)
	if err != nil {
		return err
	}
	return d.reportRelease(ctx, s.out, l, r)
}

// sign adds a signature to a release, after the checks that its publisher made.
func sign(ctx context.Context, args []string, s stdio) error {
	f := flags("sign", "N --key KEY")
	d := deskFlags(f, true, "release-report.json")
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	n, err := number(f.Arg(0), "release")
	if err != nil {
		return err
	}
	l, keys, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	r, err := l.sign(ctx, n, keys)
	if err != nil {
		return err
	}
	return d.reportRelease(ctx, s.out, l, r)
}
