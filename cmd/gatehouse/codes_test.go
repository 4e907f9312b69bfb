package main

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every code that the request line can leave in a record is explained, and nothing else is.
func TestEveryCodeIsExplained(t *testing.T) {
	code := regexp.MustCompile(`(?:Unavailable\(|Unauthenticated\(|Code: |\bCode\w+\s+= )"([a-z_]+)"`)
	found := map[string]bool{}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(name, "authorizer/") && !strings.HasPrefix(name, "internal/follow/") || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(root, name)
		for _, m := range code.FindAllSubmatch(content, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil || len(found) < 25 {
		t.Fatalf("%d codes, %v: this test looks in the wrong place", len(found), err)
	}
	for c := range found {
		if remedies[c] == "" {
			t.Errorf("code %s is not explained", c)
		}
	}
	for c := range remedies {
		if !found[c] {
			t.Errorf("code %s is explained, and nothing gives it", c)
		}
	}
}
