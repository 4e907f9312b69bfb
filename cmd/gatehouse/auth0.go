package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"gatehouse/authorizer/token"
	"gatehouse/internal/bundle"
)

// auth0 checks an Auth0 configuration, or makes it active.
func auth0(ctx context.Context, args []string, s stdio) error {
	if len(args) > 0 {
		switch args[0] {
		case "check":
			return auth0Check(ctx, args[1:], s)
		case "put":
			return auth0Put(ctx, args[1:], s)
		}
	}
	f := flags("auth0", "check FILE | put FILE --key KEY")
	deskFlags(f, true, "activation-report.json")
	auth0Flags(f)
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	return misused("want check FILE or put FILE")
}

// auth0Check admits an Auth0 configuration and writes nothing.
func auth0Check(ctx context.Context, args []string, s stdio) error {
	f := flags("auth0", "check FILE")
	offline := auth0Flags(f).offline
	asJSON := f.Bool("json", false, "print the report as JSON (docs/schema/auth0-check.json)")
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	doc, err := readAuth0(f.Arg(0))
	if err != nil {
		return err
	}
	report, err := checkAuth0(ctx, f.Arg(0), doc, *offline)
	if err != nil && report == nil {
		return err
	}
	if *asJSON {
		return errors.Join(writeJSON(s.out, report), err)
	}
	_, writeErr := s.out.Write([]byte(report.text()))
	return errors.Join(writeErr, err)
}

// auth0Put checks an Auth0 configuration, stores it, and makes it active with what is active otherwise.
func auth0Put(ctx context.Context, args []string, s stdio) error {
	f := flags("auth0", "put FILE --key KEY")
	d := deskFlags(f, true, "activation-report.json")
	d.begins = true
	o := auth0Flags(f)
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	doc, err := readAuth0(f.Arg(0))
	if err != nil {
		return err
	}
	if _, err := checkAuth0(ctx, f.Arg(0), doc, *o.offline); err != nil {
		return err
	}
	switch address := cmp.Or(*d.store, setting(s.env, "GATEHOUSE_STORE")); {
	case *o.kmsKey != "" && !*o.secure:
		return misused("--kms-key goes with --secure")
	case *o.secure && strings.HasPrefix(address, "file:"):
		return misused("--secure: a file: store has no secrets")
	}
	l, keys, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	create := l.writer.Create
	if *o.secure {
		create = func(ctx context.Context, key, value string) error {
			return l.writer.CreateSecret(ctx, key, value, *o.kmsKey)
		}
	}
	c, err := l.putAuth0(ctx, doc, create)
	if err != nil {
		return err
	}
	err = d.apply(ctx, s, l, l.withAuth0(c), keys, *o.flush)
	if errors.Is(err, errNothingActive) {
		return refused("stored as auth0/%s; nothing is active yet: `gatehouse activate N --auth0 %s` makes it so", c.Digest, f.Arg(0))
	}
	return err
}

func readAuth0(name string) ([]byte, error) {
	if name == "" {
		return nil, misused("which file?")
	}
	return input(name)
}

// auth0Report is what auth0 check prints with --json (docs/schema/auth0-check.json).
type auth0Report struct {
	Version string              `json:"version"`
	Digest  string              `json:"digest"`
	Parts   int                 `json:"parts"`
	Issuers []token.IssuerCheck `json:"issuers"`
}

func (r *auth0Report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "auth0     %s, %s\n", r.Digest, plural(r.Parts, "part"))
	for _, i := range r.Issuers {
		fmt.Fprintf(&b, "issuer    %s  %s\n", i.Issuer, i.State)
		for _, warning := range i.Warnings {
			fmt.Fprintf(&b, "warning   %s\n", warning)
		}
	}
	return b.String()
}

// checkAuth0 reads a configuration as the function does, and asks each issuer that is not pinned for its keys. Where one
// cannot be asked the report is there and the error says so: that is no refusal.
func checkAuth0(ctx context.Context, name string, doc []byte, offline bool) (*auth0Report, error) {
	c, err := token.ParseConfig(doc)
	if err != nil {
		return nil, refused("%s: %w", name, err)
	}
	r := &auth0Report{Version: reportVersion, Digest: bundle.Sum(doc), Parts: len(bundle.Split(doc)), Issuers: []token.IssuerCheck{}}
	if offline {
		return r, nil
	}
	r.Issuers, err = token.Check(ctx, c, token.Options{}, time.Now())
	switch {
	case errors.Is(err, token.ErrUnusable):
		return r, refused("%s: %w", name, err)
	case err != nil:
		return r, fmt.Errorf("%s: %w; --offline asks nobody", name, err)
	}
	return r, nil
}

type auth0Options struct {
	offline, secure, flush *bool
	kmsKey                 *string
}

func auth0Flags(f *flag.FlagSet) auth0Options {
	return auth0Options{
		offline: f.Bool("offline", false, "do not ask the issuers for their keys"),
		secure:  f.Bool("secure", false, "put: store it as a SecureString"),
		kmsKey:  f.String("kms-key", "", "put --secure: the KMS `key` that encrypts it (default: the account's aws/ssm, which everybody in it may use)"),
		flush:   f.Bool("flush", false, "put: also empty the authorizer caches of the REST APIs in $GATEHOUSE_APIS"),
	}
}
