package pdp

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/policies"
)

func init() { budget = time.Minute }

// SetBudget is for tests of the budget itself.
func SetBudget(d time.Duration) (restore func()) {
	was := budget
	budget = d
	return func() { budget = was }
}

// Edition is the policies of the house with some files changed; an empty text removes one. Nothing is revoked in it: what is
// in an incident is not for tests of the engine to know.
func Edition(t testing.TB, change map[string]string) fs.FS {
	t.Helper()
	root := fstest.MapFS{}
	err := fs.WalkDir(policies.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.rego") {
			return err
		}
		content, err := fs.ReadFile(policies.FS, name)
		root[name] = &fstest.MapFile{Data: content, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	root["attributes/revoked/data.yaml"] = &fstest.MapFile{Data: []byte("subjects: {}\ntokens: {}\nissued_before: {}\n"), Mode: 0o644}
	for name, content := range change {
		root[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		if content == "" {
			delete(root, name)
		}
	}
	return root
}
