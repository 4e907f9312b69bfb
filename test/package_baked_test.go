package test

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What was baked goes into the authorizer's zips, and into no other.
func TestPackageBaked(t *testing.T) {
	dir, err := copied("packaged-baked")
	if err != nil {
		t.Fatal(err)
	}
	baked := map[string]string{"active.txt": "{}", "auth0/a/1.txt": "e30=", "bundles/b/1.txt": "eA==", "bundles/b/2.txt": "eQ=="}
	for name, content := range baked {
		file := filepath.Join(dir, "dist", "baked", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := made(dir, "", "zips"); err != nil {
		t.Fatal(err)
	}
	for arch := range architectures {
		for function, want := range map[string][]string{
			"authorizer": {"bootstrap", "baked/active.txt", "baked/auth0/a/1.txt", "baked/bundles/b/1.txt", "baked/bundles/b/2.txt"},
			"orders":     {"bootstrap"},
		} {
			r, err := zip.OpenReader(filepath.Join(dir, "dist", arch, function+".zip"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var got []string
			for _, f := range r.File {
				got = append(got, f.Name)
				if f.Name == "bootstrap" {
					continue
				}
				in, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(in)
				if err != nil || string(content) != baked[f.Name[len("baked/"):]] {
					t.Errorf("%s: %q: %v", f.Name, content, err)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: %q, want %q", arch, function, got, want)
			}
		}
	}
}
