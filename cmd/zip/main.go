// Command zip packs executables as Lambda takes them: DIR/bootstrap becomes DIR.zip, which holds it alone. The same bytes
// make the same zip. It prints a line of checksum and name for each, as sha256sum does.
//
// AWS's own build-lambda-zip leaves the executable writable for everybody.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	for _, executable := range os.Args[1:] {
		if err := pack(executable); err != nil {
			fmt.Fprintln(os.Stderr, "zip:", err)
			os.Exit(1)
		}
	}
}

func pack(executable string) error {
	content, err := os.ReadFile(executable)
	if err != nil {
		return err
	}
	// No time and no owner: the header says the same on every day and every machine.
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := entry.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	name := filepath.Dir(executable) + ".zip"
	if err := os.WriteFile(name, packed.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%x  %s\n", sha256.Sum256(packed.Bytes()), name)
	return nil
}
