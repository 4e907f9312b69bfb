// Command zip packs executables as Lambda takes them: DIR/bootstrap becomes DIR.zip, which holds it, and DIR/baked where
// there is one (`gatehouse bake`), alone. The same bytes make the same zip. It prints a line of checksum and name for each,
// as sha256sum does.
//
// AWS's own build-lambda-zip leaves the executable writable for everybody.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

func main() {
	for _, executable := range os.Args[1:] {
		if err := pack(executable, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "zip:", err)
			os.Exit(1)
		}
	}
}

// baked is the folder in which the function looks for what was active when it was packed.
const baked = "baked"

func pack(executable string, sums io.Writer) error {
	dir := filepath.Dir(executable)
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	if err := add(w, executable, "bootstrap", 0o755); err != nil {
		return err
	}
	root := filepath.Join(dir, baked)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error { // in lexical order
		switch {
		case name == "." && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", filepath.Join(root, name), err)
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no regular file", filepath.Join(root, name))
		}
		return add(w, filepath.Join(root, name), path.Join(baked, name), 0o644)
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	name := dir + ".zip"
	if err := os.WriteFile(name, packed.Bytes(), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sums, "%x  %s\n", sha256.Sum256(packed.Bytes()), name)
	return err
}

// add has no time and no owner: the header says the same on every day and every machine.
func add(w *zip.Writer, file, name string, mode fs.FileMode) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(mode)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = entry.Write(content)
	return err
}
