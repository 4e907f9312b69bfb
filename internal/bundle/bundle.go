// Package bundle reads policy content, names it by its digest, and makes the checks that every load repeats: in the
// authorizer before it serves, and in admission before a release. What it lets through has the shapes that the
// entrypoint relies on; a shape that would fail open is refused here, by name.
package bundle

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Limits on what is read. A policy is text that people write; these are far above any seen.
const (
	maxFiles     = 2_000
	maxFileBytes = 1 << 20
	maxBytes     = 8 << 20
)

// Bundle is the content of one policy: Rego modules, data and the manifest, without tests. It is immutable, and its
// digest is its name.
type Bundle struct {
	Digest string // hexadecimal SHA-256 over the sorted paths, lengths and bytes, the manifest's without its revision
	files  []file // sorted by path; the manifest in its canonical form without a revision

	manifest []byte // the same with the digest as its revision; nil where there is none
}

type file struct {
	path    string // slash-separated, relative to the root
	content []byte
}

// Read takes the policy content out of a directory: *.rego, data.json, data.yaml and .manifest. Tests, the schema,
// cases, Go and Markdown are left where they are. Anything else is refused by name: a data file under another name
// would be loaded by one program and passed over by the next. All faults are named at once.
func Read(root fs.FS) (*Bundle, error) {
	var files []file
	var faults []error
	total := 0 // without the manifest, which is longer in an archive
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		kind := kindOf(name)
		if kind == aside {
			return nil
		}
		switch {
		case kind == unknown:
			faults = append(faults, fmt.Errorf("%s: not a policy file: want *.rego, data.json, data.yaml or .manifest", name))
			return nil
		case !d.Type().IsRegular():
			faults = append(faults, fmt.Errorf("%s: not a regular file", name))
			return nil
		case len(files) == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		}
		if err := checkPath(name); err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", name, err))
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFileBytes {
			faults = append(faults, fmt.Errorf("%s: %d bytes: at most %d", name, info.Size(), maxFileBytes))
			return nil
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if name != ".manifest" {
			total += len(content)
		}
		if total > maxBytes {
			return fmt.Errorf("more than %d bytes in all", maxBytes)
		}
		files = append(files, file{name, content})
		return nil
	})
	if len(faults) > 0 && !slices.ContainsFunc(files, func(f file) bool { return f.path == ".manifest" }) {
		faults = []error{errors.New(".manifest: missing: is this the directory of the policies?")}
	}
	if err = errors.Join(append(faults, err)...); err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	slices.SortFunc(files, func(x, y file) int { return cmp.Compare(x.path, y.path) })
	b, err := seal(files)
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	return b, nil
}

type kind int

const (
	unknown kind = iota
	content
	aside
)

func kindOf(name string) kind {
	base := path.Base(name)
	switch {
	case name == ".manifest":
		return content
	case strings.HasSuffix(base, "_test.rego"),
		name == "schema/input.json",
		base == "cases.yaml",
		path.Ext(base) == ".go", path.Ext(base) == ".md":
		return aside
	case strings.HasPrefix(name, "."), strings.Contains(name, "/."):
		// An editor's, a linter's. What OPA would take for policy all the same is refused: its tests would see it.
		if base == ".manifest" || base == ".signatures.json" || path.Ext(base) == ".rego" || isData(base) {
			return unknown
		}
		return aside
	case path.Ext(base) == ".rego", base == "data.json", base == "data.yaml":
		return content
	}
	return unknown
}

func digest(files []file) string {
	h := sha256.New()
	length := func(n int) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	for _, f := range files {
		length(len(f.path))
		h.Write([]byte(f.path))
		length(len(f.content))
		h.Write(f.content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// find gives a file's content.
func (b *Bundle) find(name string) ([]byte, bool) {
	i, ok := b.search(name)
	if !ok {
		return nil, false
	}
	return bytes.Clone(b.files[i].content), true
}

func (b *Bundle) search(name string) (int, bool) {
	return slices.BinarySearchFunc(b.files, name, func(f file, n string) int { return cmp.Compare(f.path, n) })
}
