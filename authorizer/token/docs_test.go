package token

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const auth0Page = "../../docs/auth0.md"

// TestTheAuth0PageIsTrue holds docs/auth0.md against the code: its documents are taken, its tables name every field that
// the documents show and every code.
func TestTheAuth0PageIsTrue(t *testing.T) {
	page := string(must(os.ReadFile(auth0Page)))
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) < 2 {
		t.Fatalf("%d documents", len(blocks))
	}
	shown := map[string]bool{}
	for n, block := range blocks {
		if _, err := ParseConfig([]byte(block[1])); err != nil {
			t.Errorf("document %d: %v", n, err)
		}
		var doc map[string]any
		if err := json.Unmarshal([]byte(block[1]), &doc); err != nil {
			t.Fatal(err)
		}
		for name := range doc {
			shown[name] = true
		}
		for _, i := range doc["issuers"].([]any) {
			for name := range i.(jsonObject) {
				shown[name] = true
			}
		}
	}

	// Every member that the code reads is shown and explained: o.text("clock_skew", …) and its like are where it reads.
	source := string(must(os.ReadFile("config.go")))
	read := map[string]bool{}
	for _, m := range regexp.MustCompile(`o\.(?:text|texts|name|flag|duration|objects|jwks)\("(\w+)"`).FindAllStringSubmatch(source, -1) {
		read[m[1]] = true
	}
	if want, got := slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(shown)); !slices.Equal(got, want) {
		t.Errorf("shown %q\nread  %q", got, want)
	}
	fields := strings.Split(page, "\n## The fields\n")[1]
	for name := range read {
		if !strings.Contains(fields, "\n| `"+name+"` |") {
			t.Errorf("%s is not explained", name)
		}
	}

	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(strings.Split(page, "\n## When a token is refused\n")[1], -1) {
		listed = append(listed, m[1])
	}
	codes := codesOf(t)
	slices.Sort(codes)
	slices.Sort(listed)
	listed = slices.DeleteFunc(listed, func(s string) bool { return s == "pinned" }) // of the last table
	if !slices.Equal(listed, codes) {
		t.Errorf("listed %q\ncodes  %q", listed, codes)
	}
	for _, m := range regexp.MustCompile("`([a-z]+_[a-z_]+)`").FindAllStringSubmatch(fields, -1) {
		if name := m[1]; !read[name] && !slices.Contains(codes, name) && !slices.Contains([]string{"deny_revoked", "deny_subjects", "org_id", "client_id"}, name) {
			t.Errorf("%s is neither a field nor a code", name)
		}
	}
}
