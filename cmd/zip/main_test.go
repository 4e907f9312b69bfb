package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// executable makes a directory with a bootstrap and, where they are given, baked files in it.
func executable(t *testing.T, mode fs.FileMode, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "authorizer")
	for _, name := range append([]string{"bootstrap"}, files...) {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("of "+name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "bootstrap")
}

func TestPack(t *testing.T) {
	files := []string{"baked/active.txt", "baked/auth0/a/1.txt", "baked/bundles/b/1.txt", "baked/bundles/b/10.txt", "baked/bundles/b/2.txt"}
	for _, want := range [][]string{nil, files} {
		first, second := executable(t, 0o600, want...), executable(t, 0o640, want...)
		then := time.Unix(1, 0)
		if err := os.Chtimes(second, then, then); err != nil {
			t.Fatal(err)
		}
		var sum, again bytes.Buffer
		if err := errors.Join(pack(first, &sum), pack(second, &again)); err != nil {
			t.Fatal(err)
		}
		if a, _, _ := strings.Cut(sum.String(), " "); len(a) != 64 || !strings.HasPrefix(again.String(), a) {
			t.Errorf("not the same bytes:\n%s%s", &sum, &again)
		}
		r, err := zip.OpenReader(filepath.Dir(first) + ".zip")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var names []string
		for _, f := range r.File {
			names = append(names, f.Name)
			mode := fs.FileMode(0o644)
			if f.Name == "bootstrap" {
				mode = 0o755
			}
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(in)
			if err != nil || string(content) != "of "+f.Name || f.Mode() != mode {
				t.Errorf("%s: %q, mode %v: %v", f.Name, content, f.Mode(), err)
			}
		}
		if !slices.Equal(names, append([]string{"bootstrap"}, want...)) {
			t.Errorf("%q", names)
		}
	}
}

func TestPackRefuses(t *testing.T) {
	if err := pack(filepath.Join(t.TempDir(), "bootstrap"), io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without an executable: %v", err)
	}
	link := executable(t, 0o600, "baked/active.txt")
	if err := os.Symlink("active.txt", filepath.Join(filepath.Dir(link), "baked", "link.txt")); err != nil {
		t.Fatal(err)
	}
	if err := pack(link, io.Discard); err == nil || !strings.Contains(err.Error(), "link.txt is no regular file") {
		t.Errorf("with a link: %v", err)
	}
	file := executable(t, 0o600, "baked")
	if err := pack(file, io.Discard); err == nil || !strings.Contains(err.Error(), "baked") {
		t.Errorf("with a file in the folder's place: %v", err)
	}
	taken := executable(t, 0o600)
	if err := os.Mkdir(filepath.Dir(taken)+".zip", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := pack(taken, io.Discard); err == nil {
		t.Error("a directory in the zip's place is let through")
	}
}
