package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
	"gatehouse/internal/store/writer"
)

// bakeReport is what bake prints with --json (docs/schema/bake.json).
type bakeReport struct {
	Version    string             `json:"version"`
	Dir        string             `json:"dir"`
	Activation release.Activation `json:"activation"`
	Signers    []string           `json:"signers"`
	Files      int                `json:"files"`
}

// bake writes what is active into a directory that goes into the function's zip, so that a cold start reads one parameter.
func bake(ctx context.Context, args []string, s stdio) error {
	f := flags("bake", "DIR")
	d := deskFlags(f, false, "bake.json")
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return misused("which directory? The zips take dist/baked")
	}
	l, _, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	r, err := l.bake(ctx, f.Arg(0))
	if err != nil {
		return err
	}
	if *d.json {
		return writeJSON(s.out, r)
	}
	_, err = fmt.Fprintf(s.out, "baked     %s, %d files\nactive    %s\nfloor     a function with it refuses what is below activation %d\n",
		r.Dir, r.Files, about(r.Activation), r.Activation.Sequence)
	return err
}

// bake copies active and the content it names, all verified, into a file: store that takes a directory's place at once.
func (l *ledger) bake(ctx context.Context, dir string) (*bakeReport, error) {
	if err := replaceable(dir); err != nil {
		return nil, err
	}
	b, err := l.read(ctx)
	switch {
	case err != nil:
		return nil, err
	case b.refused != nil:
		return nil, refused("what stands in active does not count: %w", b.refused)
	case b.active == nil:
		return nil, errNothingActive
	}
	a := b.active.says
	values := map[string]string{}
	add := func(room string, c release.Content, verify func([]byte) error) error {
		parts, err := l.parts(ctx, room, c)
		if err != nil {
			return err
		}
		for i, part := range parts {
			values[room+"/"+c.Digest+"/"+strconv.Itoa(i+1)] = part
		}
		content, err := bundle.Join(parts)
		if err != nil {
			return refused("%s/%s: %w", room, c.Digest, err)
		}
		return verify(content)
	}
	bundles := []release.Content{a.Bundle}
	if a.Fallback != nil {
		bundles = append(bundles, a.Fallback.Bundle)
	}
	for _, c := range bundles {
		if err := add("bundles", c, isBundle(ctx, c.Digest)); err != nil {
			return nil, err
		}
	}
	if err := add("auth0", a.Auth0, isAuth0(a.Auth0.Digest)); err != nil {
		return nil, err
	}
	if err := write(ctx, dir, values, b.document); err != nil {
		return nil, fmt.Errorf("bake: %w", err)
	}
	return &bakeReport{reportVersion, dir, a, b.active.signers, len(values) + 1}, nil
}

// replaceable refuses a directory that holds anything but an earlier bake.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refused("%w", err)
	}
	baked := []string{store.FileName(store.Active), "auth0", "bundles"}
	for _, entry := range entries {
		if !slices.Contains(baked, entry.Name()) {
			return refused("%s holds %s, which no bake wrote: choose another directory", dir, entry.Name())
		}
	}
	if len(entries) > 0 && len(entries) != len(baked) {
		return refused("%s is no whole bake: choose another directory, or remove it", dir)
	}
	return nil
}

// write fills a new directory beside dir and puts it in dir's place: a bake is there whole or not at all.
func write(ctx context.Context, dir string, values map[string]string, active string) error {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".bake-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	w, err := writer.Open(ctx, "file:"+filepath.Join(temp, "new"))
	if err != nil {
		return err
	}
	for key, value := range values {
		if err := w.Create(ctx, key, value); err != nil {
			return err
		}
	}
	if err := w.Activate(ctx, active); err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(temp, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(filepath.Join(temp, "new"), dir)
}
