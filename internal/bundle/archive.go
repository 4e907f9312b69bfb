package bundle

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An archive is a bundle as OPA reads it: a tar, compressed with gzip, of paths relative to the root. It holds the same
// content as the directory, and in .manifest the digest as the revision. There is one spelling of the tar, to the byte;
// its headers are written and compared here, not by a library, so that a later one cannot change what is stored for years.
// How the tar is compressed is left open: another version of Go may find another way, which the digest does not see.

const (
	maxArchive  = MaxParts * partBytes
	maxManifest = 64 << 10
	maxPath     = 100 // what the name field of a header holds (POSIX.1-1988, ustar)
	block       = 512
)

// gzipHeader is the one that Archive writes (RFC 1952, section 2.3): no name, time, comment or extra field; best compression,
// made on an unknown system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"

// Archive gives the bundle as an OPA bundle, the same bytes each time.
func (b *Bundle) Archive() ([]byte, error) {
	if b.manifest == nil {
		return nil, errors.New("archive policies: .manifest: missing")
	}
	var tar []byte
	for _, f := range b.files {
		content := f.content
		if f.path == ".manifest" {
			content = b.manifest
		}
		header := header(f.path, len(content))
		tar = append(tar, header[:]...)
		tar = append(tar, content...)
		tar = append(tar, make([]byte, padding(len(content)))...)
	}
	tar = append(tar, make([]byte, 2*block)...)

	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // a level that exists
	z.Write(tar)                                            // memory takes it
	z.Close()
	if out.Len() > maxArchive {
		return nil, fmt.Errorf("archive policies: %d bytes compressed: at most %d, which are %d parts", out.Len(), maxArchive, MaxParts)
	}
	return out.Bytes(), nil
}

// ReadArchive reads what Archive wrote, and refuses all else. Whoever made the archive, it takes no more memory than the
// limits of Read: a size is judged before anything is allocated for it, and nothing is decompressed that no header
// announced.
func ReadArchive(archive []byte) (*Bundle, error) {
	b, err := contained(func() (*Bundle, error) { return readArchive(archive) })
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return b, nil
}

// contained makes an error of a library's panic: a bundle that makes one is refused like any other, and the last good
// one stays.
func contained(read func() (*Bundle, error)) (b *Bundle, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, fmt.Errorf("panic: %v", r)
		}
	}()
	return read()
}

func readArchive(archive []byte) (*Bundle, error) {
	if len(archive) > maxArchive {
		return nil, fmt.Errorf("%d bytes: at most %d", len(archive), maxArchive)
	}
	compressed := bytes.NewReader(archive)
	z, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(archive, []byte(gzipHeader)) {
		return nil, fmt.Errorf("gzip header %x: want %x, without a name, a time, a comment or an extra field", archive[:len(gzipHeader)], gzipHeader)
	}
	z.Multistream(false) // a second stream is trailing data

	var files []file
	var manifest []byte
	seen := map[string]bool{}
	last, total := "", 0
	var head [block]byte
	for {
		if _, err := io.ReadFull(z, head[:]); err != nil {
			return nil, fmt.Errorf("cut short after %q: %w", last, err)
		}
		if head == [block]byte{} {
			break
		}
		name, size, err := entry(&head)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		if name <= last {
			return nil, fmt.Errorf("%q: after %q: want each path once, in order", name, last)
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return nil, fmt.Errorf("%q: below %q, which is a file", name, dir)
			}
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("%q: more than %d files", name, maxFiles)
		}
		if name != ".manifest" {
			total += size
		}
		if total > maxBytes {
			return nil, fmt.Errorf("%q: more than %d bytes in all", name, maxBytes)
		}
		content := make([]byte, size+padding(size))
		if _, err := io.ReadFull(z, content); err != nil {
			return nil, fmt.Errorf("%q: cut short: %w", name, err)
		}
		if len(bytes.TrimLeft(content[size:], "\x00")) > 0 {
			return nil, fmt.Errorf("%q: data between it and the next entry", name)
		}
		content = content[:size:size]
		if name == ".manifest" {
			manifest = content
		}
		files = append(files, file{name, content})
		seen[name], last = true, name
	}
	if _, err := io.ReadFull(z, head[:]); err != nil {
		return nil, fmt.Errorf("cut short after %q: %w", last, err)
	}
	if head != [block]byte{} {
		return nil, fmt.Errorf("data after the end of the tar, behind %q", last)
	}
	switch n, err := io.ReadFull(z, head[:1]); { // the end of the stream is where its checksum is judged
	case n > 0:
		return nil, fmt.Errorf("data after the end of the tar, behind %q", last)
	case err != io.EOF:
		return nil, fmt.Errorf("after %q: %w", last, err)
	case compressed.Len() > 0:
		return nil, fmt.Errorf("%d bytes after the end of the gzip stream", compressed.Len())
	case manifest == nil:
		return nil, errors.New(".manifest: missing")
	}

	b, err := seal(files)
	if err != nil {
		return nil, err
	}
	var said struct {
		Revision any `json:"revision"`
	}
	json.Unmarshal(manifest, &said) // an object: seal has read it
	if said.Revision != b.Digest {
		return nil, fmt.Errorf(".manifest: revision %.64s: the digest of the content is %s", fmt.Sprint(said.Revision), b.Digest)
	}
	if !bytes.Equal(manifest, b.manifest) {
		return nil, errors.New(".manifest: not in its canonical form (RFC 8785)")
	}
	return b, nil
}

// entry reads a header, and refuses one that Archive would not have written. It gives the name in any case.
func entry(head *[block]byte) (name string, size int, err error) {
	field, _, _ := bytes.Cut(head[:maxPath], []byte{0})
	name = string(field)
	if kind := head[156]; kind != '0' {
		return name, 0, fmt.Errorf("entry of type %q: want regular files only, without extensions", kind)
	}
	if err := checkPath(name); err != nil {
		return name, 0, err
	}
	if kindOf(name) != content {
		return name, 0, errors.New("not policy content: want *.rego without tests, data.json, data.yaml or .manifest")
	}
	n, err := strconv.ParseUint(string(head[124:135]), 8, 64)
	if err != nil || head[135] != 0 {
		return name, 0, fmt.Errorf("size %q: want eleven octal digits", head[124:136])
	}
	if n > maxFileBytes {
		return name, 0, fmt.Errorf("%d bytes: at most %d", n, maxFileBytes)
	}
	if *head != header(name, int(n)) {
		return name, 0, errors.New("header with another mode, owner, time, checksum or extension than Archive writes")
	}
	return name, int(n), nil
}

// header gives the one header of a file (POSIX.1-1988, ustar).
func header(name string, size int) [block]byte {
	var h [block]byte
	copy(h[:], name)
	copy(h[100:], "0000644\x000000000\x000000000\x00") // mode, user, group
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(h[148:], "        0") // the sum is taken over spaces; type: a regular file
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00") // device, which it has none of
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00", sum))
	return h
}

// padding is what fills a file's last block.
func padding(size int) int { return -size & (block - 1) }

// checkPath refuses a path that an archive cannot hold, or that is another one to another program.
func checkPath(name string) error {
	if len(name) > maxPath {
		return fmt.Errorf("a path of %d bytes: at most %d", len(name), maxPath)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || c == '\\' {
			return fmt.Errorf("a path with %q: want printable ASCII without backslashes", c)
		}
	}
	if !fs.ValidPath(name) {
		return errors.New("want a clean path relative to the root")
	}
	return nil
}

// seal makes a bundle of sorted files. The manifest cannot hold its own digest: what counts is its canonical form without
// a revision, and the digest is the revision then.
func seal(files []file) (*Bundle, error) {
	b := &Bundle{files: files}
	at, ok := b.search(".manifest")
	if !ok {
		b.Digest = digest(files)
		return b, nil
	}
	fault := func(err error) (*Bundle, error) { return nil, fmt.Errorf(".manifest: %w", err) }
	if n := len(files[at].content); n > maxManifest {
		return fault(fmt.Errorf("%d bytes: at most %d", n, maxManifest))
	}
	bare, err := canonical(files[at].content, "")
	if err != nil {
		return fault(err)
	}
	files[at].content = bare
	b.Digest = digest(files)
	if b.manifest, err = canonical(bare, b.Digest); err == nil && len(b.manifest) > maxManifest {
		err = fmt.Errorf("%d bytes in its canonical form: at most %d", len(b.manifest), maxManifest)
	}
	if err != nil {
		return fault(err)
	}
	return b, nil
}

// canonical gives a manifest in the one form of RFC 8785, with this revision or without any.
func canonical(manifest []byte, revision string) ([]byte, error) {
	var m map[string]jsontext.Value
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("want an object")
	}
	delete(m, "revision")
	if revision != "" {
		m["revision"] = jsontext.Value(strconv.Quote(revision)) // hexadecimal digits
	}
	out, err := json.Marshal(m)
	if err == nil {
		err = (*jsontext.Value)(&out).Canonicalize()
	}
	return out, err
}
