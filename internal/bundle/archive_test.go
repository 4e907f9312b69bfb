package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/policies"
)

func readAll(t testing.TB, root fs.FS) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func archive(t testing.TB, root fs.FS) []byte {
	t.Helper()
	a, err := readAll(t, root).Archive()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// compress is gzip as Archive makes it.
func compress(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decompress(t testing.TB, archive []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// unpack reads an archive with the standard library, which knows nothing of ours.
func unpack(t testing.TB, archive []byte) fstest.MapFS {
	t.Helper()
	root := fstest.MapFS{}
	r := tar.NewReader(bytes.NewReader(decompress(t, archive)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || h.Format != tar.FormatUSTAR || h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 ||
			h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s: header %+v", h.Name, h)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		root[h.Name] = &fstest.MapFile{Data: content, Mode: 0o644}
	}
}

// packed makes a tar of headers and contents, as somebody else would.
func packed(t testing.TB, entries ...any) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		var err error
		switch e := e.(type) {
		case *tar.Header:
			err = w.WriteHeader(e)
		case string:
			_, err = io.WriteString(w, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes() // without the end: a size may be a lie
}

// plain is a header that differs from Archive's in nothing.
func plain(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
}

// spaces is what compress gives of a head and so many MB of spaces, up to its checksum. One MB is compressed: flushed,
// it can stand again and again.
func spaces(t testing.TB, head []byte, megabytes int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte) {
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	megabyte := bytes.Repeat([]byte(" "), 1<<20)
	write(append(head, megabyte...))
	first := out.Len()
	write(megabyte)
	return append(out.Bytes(), bytes.Repeat(out.Bytes()[first:], megabytes-2)...)
}

func TestArchive(t *testing.T) {
	for name, root := range map[string]fs.FS{"minimal": minimal(nil), "of the house": policies.FS} {
		b := readAll(t, root)
		a := archive(t, root)
		if again := archive(t, root); !bytes.Equal(a, again) {
			t.Errorf("%s: two archives of one content differ", name)
		}
		read, err := bundle.ReadArchive(a)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		loaded, err := read.Load(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		unpacked := unpack(t, a)
		for file := range unpacked {
			if strings.HasSuffix(file, "_test.rego") {
				t.Errorf("%s: %s is in the archive", name, file)
			}
		}
		var manifest struct{ Revision string }
		if err := json.Unmarshal(unpacked[".manifest"].Data, &manifest); err != nil {
			t.Fatal(err)
		}
		for as, digest := range map[string]string{
			"read":     read.Digest,
			"loaded":   loaded.Digest,
			"unpacked": readAll(t, unpacked).Digest,
			"revision": manifest.Revision,
		} {
			if digest != b.Digest {
				t.Errorf("%s: %s: digest %s, want %s", name, as, digest, b.Digest)
			}
		}
		if again, err := read.Archive(); err != nil || !bytes.Equal(a, again) {
			t.Errorf("%s: an archive of what was read differs: %v", name, err)
		}
	}
}

// TestManifest: how it is written does not reach the digest, and a revision that somebody else gave is replaced.
func TestManifest(t *testing.T) {
	const want = `{"metadata":{"a":1,"é":"/"},"rego_version":1,"revision":"%s","roots":[""]}`
	var first []byte
	for _, manifest := range []string{
		`{"roots":[""],"rego_version":1,"metadata":{"a":1,"é":"/"}}`,
		"{\n  \"rego_version\": 1.0,\n  \"metadata\": {\"\\u00e9\": \"\\/\", \"a\": 1e0},\n  \"roots\": [\"\"]\n}\n",
		`{"roots":[""],"rego_version":1,"metadata":{"a":1,"é":"/"},"revision":"v1"}`,
		`{"roots":[""],"rego_version":1,"metadata":{"a":1,"é":"/"},"revision":{}}`,
	} {
		root := minimal(map[string]string{".manifest": manifest})
		a := archive(t, root)
		if got, want := string(unpack(t, a)[".manifest"].Data), fmt.Sprintf(want, readAll(t, root).Digest); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if first == nil {
			first = a
		}
		if !bytes.Equal(a, first) {
			t.Errorf("%s: another archive", manifest)
		}
	}
}

// TestArchiveGolden holds the bytes of an archive. Where they differ and the tar in it is the same, this version of Go
// compresses otherwise. Nothing that is stored is touched by that: digests are over content, and any compression is read.
// Only, a content that is published again then makes other parts than those stored under its digest, and publishing has to
// take the stored ones. See that it does; then go test ./internal/bundle -update. Where the tar or the digest differs,
// archives that are stored can no longer be read: that is a mistake, not an update.
func TestArchiveGolden(t *testing.T) {
	const golden, digest = "testdata/archive.tar.gz", "a5a950c01814b4ce69fcb44cd47a508aef8aca1a525896ccfdb054e249f3c0dd"
	a := archive(t, fstest.MapFS{
		".manifest":                 {Data: []byte(`{"roots": ["a", "b"], "rego_version": 1}`)},
		"a/a.rego":                  {Data: []byte("package a\n\n" + strings.Repeat("allow contains \"x\" if input.x\n\n", 40))},
		"a/a_test.rego":             {Data: []byte("package a_test\n")},
		"b/" + longest("data.json"): {Data: bytes.Repeat([]byte(" "), 512)},
		"b/empty/data.yaml":         {Data: nil},
	})
	if *update {
		if err := os.WriteFile(golden, a, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := bundle.ReadArchive(want)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Digest != digest {
		t.Errorf("digest %s, want %s", stored.Digest, digest)
	}
	if !bytes.Equal(decompress(t, a), decompress(t, want)) {
		t.Fatal("another tar")
	}
	if !bytes.Equal(a, want) {
		t.Error("the same tar is compressed otherwise: see the comment")
	}
}

// longest gives a path of 98 bytes.
func longest(base string) string { return strings.Repeat("x", 98-1-len(base)) + "/" + base }

func TestArchiveRefuses(t *testing.T) {
	if _, err := readAll(t, fstest.MapFS{"a/a.rego": {Data: []byte("package a\n")}}).Archive(); err == nil || !strings.Contains(err.Error(), ".manifest: missing") {
		t.Errorf("got %v", err)
	}
	noise := make([]byte, bundle.MaxParts*3_072)
	rand.Read(noise)
	root := fstest.MapFS{".manifest": {Data: []byte(`{"roots": [""]}`)}, "a/a.rego": {Data: noise}}
	if _, err := readAll(t, root).Archive(); err == nil || !strings.Contains(err.Error(), "compressed: at most 614400, which are 200 parts") {
		t.Errorf("got %v", err)
	}
}

// allocated gives the bytes that a call allocates.
func allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestBombs: what OPA's own reader panics at, allocates gigabytes for, or takes.
func TestBombs(t *testing.T) {
	small := `{"a": 1}`
	entries := func(names ...string) []byte {
		var all []any
		for _, name := range names {
			all = append(all, plain(name, int64(len(small))), small)
		}
		return compress(t, packed(t, all...))
	}
	var hundred []any
	content := strings.Repeat(" ", 900<<10)
	for i := range 100 {
		hundred = append(hundred, plain(fmt.Sprintf("d%03d/data.json", i), 900<<10), content)
	}
	many := make([]string, 2_001)
	for i := range many {
		many[i] = fmt.Sprintf("d%04d/data.json", i)
	}
	huge := plain("data.json", 1<<50)
	huge.Format = tar.FormatGNU
	tests := []struct {
		name  string
		bomb  []byte
		want  string // in the error, beside the name of the entry
		entry string
		bytes uint64 // at most allocated
	}{
		{"a size of 2^50", compress(t, packed(t, huge)), "want eleven octal digits", `"data.json"`, 128 << 10},
		{"a size of 8 GB", compress(t, packed(t, plain("data.json", 8<<30-1))), "8589934591 bytes: at most 1048576", `"data.json"`, 128 << 10},
		{"200 MB of spaces", spaces(t, packed(t, plain("data.json", 200<<20)), 200), "209715200 bytes: at most 1048576", `"data.json"`, 128 << 10},
		{"200 MB of spaces of which a header announced one", spaces(t, packed(t, plain("data.json", 1<<20)), 200), `entry of type ' '`, `"    `, 2 << 20},
		{"100 files of 0.9 MB", compress(t, packed(t, hundred...)), "more than 8388608 bytes in all", `"d009/data.json"`, 10 << 20},
		{"2,001 files", entries(many...), "more than 2000 files", `"d2000/data.json"`, 3 << 20},
		{"an unknown file", entries("junk.bin"), "not policy content", `"junk.bin"`, 128 << 10},
		{"a delta", entries("patch.json"), "not policy content", `"patch.json"`, 128 << 10},
		{"WebAssembly", entries("policy.wasm"), "not policy content", `"policy.wasm"`, 128 << 10},
		{"a plan", entries("plan.json"), "not policy content", `"plan.json"`, 128 << 10},
		{"a plan, packed", entries("plan.pb"), "not policy content", `"plan.pb"`, 128 << 10},
		{"OPA's signatures", entries(".signatures.json"), "not policy content", `".signatures.json"`, 128 << 10},
		{"OPA's other manifest", entries(".manifest.pb"), "not policy content", `".manifest.pb"`, 128 << 10},
		{"a manifest below", entries("a/.manifest"), "not policy content", `"a/.manifest"`, 128 << 10},
		{"a test", entries("a/a_test.rego"), "not policy content", `"a/a_test.rego"`, 128 << 10},
		{"the schema", entries("schema/input.json"), "not policy content", `"schema/input.json"`, 128 << 10},
		{"a hidden folder", entries(".git/data.json"), "not policy content", `".git/data.json"`, 128 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b *bundle.Bundle
			var err error
			got := allocated(func() { b, err = bundle.ReadArchive(tt.bomb) })
			if err == nil || b != nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.entry) {
				t.Errorf("got %v, want an error with %q and %q", err, tt.entry, tt.want)
			}
			if got > tt.bytes {
				t.Errorf("%d bytes of archive: %d bytes allocated, at most %d wanted", len(tt.bomb), got, tt.bytes)
			}
		})
	}
	if _, err := bundle.ReadArchive(make([]byte, bundle.MaxParts*3_072+1)); err == nil || !strings.Contains(err.Error(), "614401 bytes: at most 614400") {
		t.Errorf("got %v", err)
	}
}

// TestReadArchiveRefuses: everything by which an archive can say something else to another program, or one content have
// two spellings.
func TestReadArchiveRefuses(t *testing.T) {
	good := archive(t, minimal(nil))
	body := decompress(t, good)
	sealed := string(unpack(t, good)[".manifest"].Data)
	small := `{"a": 1}`

	// head changes a header of data.json and gives it a right sum again.
	head := func(at int, text string) []byte {
		changed := packed(t, plain("data.json", int64(len(small))), small)
		copy(changed[at:], text)
		copy(changed[148:156], "        ")
		sum := 0
		for _, c := range changed[:512] {
			sum += int(c)
		}
		copy(changed[148:], fmt.Sprintf("%06o\x00", sum))
		return compress(t, changed)
	}
	files := func(names ...string) []byte {
		var all []any
		for _, name := range names {
			all = append(all, &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(small)), Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}, small)
		}
		return compress(t, packed(t, all...))
	}
	typed := func(h tar.Header) []byte {
		h.Name, h.Mode, h.ModTime = "a/data.json", 0o644, time.Unix(0, 0)
		return compress(t, packed(t, &h))
	}
	manifest := func(content string) []byte {
		all := packed(t, plain(".manifest", int64(len(content))), content)
		all = append(all, make([]byte, -len(all)&511)...)
		rest := 512 + (len(sealed)+511)&^511
		return compress(t, append(all, body[rest:]...))
	}
	gzipped := func(h gzip.Header, level int) []byte {
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		z.Header = h
		z.Write(body)
		z.Close()
		return out.Bytes()
	}
	changed := func(content []byte, at int, c byte) []byte {
		content = bytes.Clone(content)
		content[(at+len(content))%len(content)] = c
		return content
	}
	unknown := byte(255)

	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "EOF"},
		{"not gzip", body, "gzip: invalid header"},
		{"a name in the gzip header", gzipped(gzip.Header{Name: "bundle.tar", OS: unknown}, gzip.BestCompression), "gzip header 1f8b0808"},
		{"a comment in it", gzipped(gzip.Header{Comment: "c", OS: unknown}, gzip.BestCompression), "gzip header 1f8b0810"},
		{"extra data in it", gzipped(gzip.Header{Extra: []byte("x"), OS: unknown}, gzip.BestCompression), "gzip header 1f8b0804"},
		{"a time in it", gzipped(gzip.Header{ModTime: time.Unix(1, 0), OS: unknown}, gzip.BestCompression), "gzip header 1f8b080001"},
		{"another system in it", gzipped(gzip.Header{OS: 3}, gzip.BestCompression), "gzip header"},
		{"another level", gzipped(gzip.Header{OS: unknown}, gzip.BestSpeed), "gzip header"},
		{"a second gzip stream", append(bytes.Clone(good), good...), "bytes after the end of the gzip stream"},
		{"an empty second stream", append(bytes.Clone(good), compress(t, nil)...), "bytes after the end of the gzip stream"},
		{"a byte behind", append(bytes.Clone(good), 0), "1 bytes after the end of the gzip stream"},
		{"a wrong checksum", changed(good, -8, good[len(good)-8]+1), "gzip: invalid checksum"},
		{"a wrong length", changed(good, -4, good[len(good)-4]+1), "gzip: invalid checksum"},
		{"no checksum", good[:len(good)-8], `after "routes/data.json": unexpected EOF`},
		{"cut in the compressed data", good[:len(good)/2], "cut short"},
		{"a block more", compress(t, append(bytes.Clone(body), make([]byte, 512)...)), `data after the end of the tar, behind "routes/data.json"`},
		{"a byte more", compress(t, append(bytes.Clone(body), 0)), "data after the end of the tar"},
		{"a second tar", compress(t, append(bytes.Clone(body), body...)), "data after the end of the tar"},
		{"data in the last block", compress(t, changed(body, -1, 1)), "data after the end of the tar"},
		{"one block at the end", compress(t, body[:len(body)-512]), `cut short after "routes/data.json"`},
		{"half a block at the end", compress(t, body[:len(body)-1]), `cut short after "routes/data.json"`},
		{"no end", compress(t, body[:len(body)-1024]), `cut short after "routes/data.json"`},
		{"cut in a header", compress(t, body[:100]), `cut short after ""`},
		{"cut in a file", compress(t, body[:600]), `".manifest": cut short`},
		{"an empty tar", compress(t, make([]byte, 1024)), ".manifest: missing"},
		{"data behind a file", compress(t, changed(body, 512+len(sealed), 1)), `".manifest": data between it and the next entry`},

		{"an absolute path, as OPA writes it", files("/data.json"), `"/data.json": want a clean path`},
		{"a path that leaves", files("../data.json"), `"../data.json": want a clean path`},
		{"a path that leaves later", files("a/../../data.json"), "want a clean path"},
		{"a dot", files("./data.json"), "want a clean path"},
		{"two slashes", files("a//data.json"), "want a clean path"},
		{"a backslash", files(`a\data.json`), `want printable ASCII`},
		{"a control character", files("a\x1b/data.json"), `"a\x1b/data.json": a path with '\x1b'`},
		{"a path that is no ASCII", head(0, "é/data.json"), "want printable ASCII"},
		{"no path", head(0, "\x00"), `"": want a clean path`},
		{"a path in two fields", files(strings.Repeat("x", 90) + "/a/a/a/a/data.json"), `"data.json": header with another`},
		{"a path twice", files("a/data.json", "a/data.json"), `"a/data.json": after "a/data.json": want each path once`},
		{"out of order", files("b/data.json", "a/data.json"), `"a/data.json": after "b/data.json"`},
		{"a file that is a folder", files("a.rego", "a.rego-/data.json", "a.rego/b/data.json"), `"a.rego/b/data.json": below "a.rego"`},

		{"a folder", typed(tar.Header{Typeflag: tar.TypeDir}), `"a/data.json": entry of type '5'`},
		{"a hard link", typed(tar.Header{Typeflag: tar.TypeLink, Linkname: "x"}), "type '1'"},
		{"a symbolic link", typed(tar.Header{Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), "type '2'"},
		{"a character device", typed(tar.Header{Typeflag: tar.TypeChar}), "type '3'"},
		{"a block device", typed(tar.Header{Typeflag: tar.TypeBlock}), "type '4'"},
		{"a pipe", typed(tar.Header{Typeflag: tar.TypeFifo}), "type '6'"},
		{"a reserved type", head(156, "7"), "type '7'"},
		{"an old regular file", head(156, "\x00"), `type '\x00'`},
		{"a sparse file", head(156, "S"), "type 'S'"},
		{"PAX records", typed(tar.Header{Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{"a.b": "c"}}), "type 'x'"},
		{"PAX records for all", compress(t, packed(t, &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "b"}})), "type 'g'"},
		{"a long name of GNU", compress(t, packed(t, &tar.Header{Name: strings.Repeat("x", 101), Format: tar.FormatGNU})), "type 'L'"},
		{"a long link of GNU", compress(t, packed(t, &tar.Header{Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("x", 101), Format: tar.FormatGNU})), "type 'K'"},

		{"another mode", head(100, "0000755"), `"data.json": header with another mode`},
		{"a user", head(108, "0001750"), "header with another"},
		{"a user's name", head(265, "root"), "header with another"},
		{"a time", head(136, "14000000000"), "header with another"},
		{"a device", head(329, "0000001"), "header with another"},
		{"GNU's magic", head(257, "ustar  \x00"), "header with another"},
		{"data behind the name", head(20, "hidden"), "header with another"},
		{"data behind the header", head(500, "x"), "header with another"},
		{"a link's target", head(157, "x"), "header with another"},
		{"a wrong sum", compress(t, changed(body, 148, '7')), `".manifest": header with another`},
		{"a size with spaces", head(124, "         10"), "want eleven octal digits"},
		{"a negative size", head(124, "-0000000010"), "want eleven octal digits"},
		{"a size of twelve digits", head(124, "000000000010"), "want eleven octal digits"},
		{"a size of GNU", head(124, "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08"), "want eleven octal digits"},

		{"no manifest", compress(t, append(packed(t, plain("data.json", 512), strings.Repeat(" ", 512)), make([]byte, 1024)...)), ".manifest: missing"},
		{"a manifest that is no JSON", manifest("{"), ".manifest: "},
		{"a manifest that is no object", manifest("null"), ".manifest: want an object"},
		{"a manifest without a revision", manifest(`{"rego_version":1,"roots":["gatehouse","authz","admission","constraints","attributes","routes"]}`), "revision <nil>: the digest of the content is "},
		{"a manifest with another revision", manifest(strings.Replace(sealed, `"revision":"`, `"revision":"0`, 1)), ".manifest: revision 0"},
		{"a manifest with a revision that fills a log", manifest(strings.Replace(sealed, `"revision":"`, `"revision":"`+strings.Repeat("0", 60_000), 1)), ".manifest: revision " + strings.Repeat("0", 64) + ": "},
		{"a manifest that is laid out", manifest(sealed + "\n"), ".manifest: not in its canonical form"},
		{"another content", compress(t, bytes.Replace(body, []byte("orders.read"), []byte("orders.rite"), 1)), "the digest of the content is "},
	}
	for _, tt := range tests {
		if b, err := bundle.ReadArchive(tt.archive); err == nil || b != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	// What these start from is read.
	for name, archive := range map[string][]byte{"tar": compress(t, body), "manifest": manifest(sealed)} {
		if _, err := bundle.ReadArchive(archive); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Cut anywhere, an archive is refused; nothing of it is taken.
func TestReadArchiveCut(t *testing.T) {
	good := archive(t, minimal(nil))
	for n := range good {
		if _, err := bundle.ReadArchive(good[:n]); err == nil {
			t.Errorf("%d of %d bytes were read", n, len(good))
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	b, err := bundle.Contained(func() (*bundle.Bundle, error) { panic("makeslice") })
	if b != nil || err == nil || !strings.Contains(err.Error(), "panic: makeslice") {
		t.Errorf("got %v, %v", b, err)
	}
}

// TestPlainOPA: the plain program reads an archive, decides by it as by the directory, and runs tests over it.
func TestPlainOPA(t *testing.T) {
	program, err := filepath.Abs("../../bin/tools/opa")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	opa := func(args ...string) []byte {
		t.Helper()
		c := exec.Command(program, args...)
		c.Dir = dir
		var complaint bytes.Buffer
		c.Stderr = &complaint
		out, err := c.Output()
		if err != nil {
			t.Fatalf("opa %q: %v\n%s%s", args, err, out, &complaint)
		}
		return out
	}
	if err := os.CopyFS(filepath.Join(dir, "policies"), policies.FS); err != nil {
		t.Fatal(err)
	}
	a := archive(t, policies.FS)
	write("bundle.tar.gz", a)

	var inspected struct {
		Manifest   struct{ Revision string }
		Namespaces map[string][]string
	}
	if err := json.Unmarshal(opa("inspect", "--format", "json", "bundle.tar.gz"), &inspected); err != nil {
		t.Fatal(err)
	}
	if want := readAll(t, policies.FS).Digest; inspected.Manifest.Revision != want {
		t.Errorf("opa inspect: revision %q, want %s", inspected.Manifest.Revision, want)
	}
	if got := fmt.Sprint(inspected.Namespaces["data.gatehouse"]); got != "[gatehouse/decision.rego]" {
		t.Errorf("opa inspect: data.gatehouse is of %s", got)
	}

	record, err := os.ReadFile("../../authorizer/testdata/record-allowed.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Input json.RawMessage }
	if err := json.Unmarshal(record, &recorded); err != nil {
		t.Fatal(err)
	}
	write("input.json", recorded.Input)
	var decided [2][]byte
	for i, from := range []string{"bundle.tar.gz", "policies"} {
		decided[i] = opa("eval", "--format", "raw", "--bundle", from, "--input", "input.json", "data.gatehouse.decision")
	}
	if !bytes.Contains(decided[0], []byte(`"allowed":true`)) || !bytes.Equal(decided[0], decided[1]) {
		t.Errorf("opa eval: by the archive  %sby the directory %s", decided[0], decided[1])
	}

	// Tests are no content. A bundle of them, beside the archive, has roots of its own ...
	write("checks/.manifest", []byte(`{"roots": ["checks"], "rego_version": 1}`))
	write("checks/decision_test.rego", []byte("package checks\n\nimport data.gatehouse\n\ntest_nobody if not gatehouse.decision.allowed with input as {}\n"))
	if got := opa("test", "--bundle", "bundle.tar.gz", "checks"); !bytes.Contains(got, []byte("PASS: 1/1")) {
		t.Errorf("opa test: %s", got)
	}
	// ... and those of the policies stand in the folders of what they test: unpacked, the archive takes them.
	for name, f := range unpack(t, a) {
		write("unpacked/"+name, f.Data)
	}
	tests := 0
	source := os.DirFS("../../policies")
	if err := fs.WalkDir(source, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.rego") {
			return err
		}
		tests++
		content, err := fs.ReadFile(source, name)
		write("unpacked/"+name, content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := opa("test", "--bundle", "unpacked"); tests == 0 || !bytes.Contains(got, []byte("PASS: ")) || bytes.Contains(got, []byte("FAIL")) {
		t.Errorf("opa test: %d files of tests: %s", tests, got)
	}
}

// FuzzReadArchive: no bytes make it panic or take more memory than the limits; what it accepts is a whole bundle.
func FuzzReadArchive(f *testing.F) {
	good := archive(f, minimal(nil))
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(decompress(f, good))
	f.Add(packed(f, plain("data.json", 1<<33-1)))
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var out bytes.Buffer
		z.Reset(&out)
		z.Write(content)
		z.Close()
		for _, archive := range [][]byte{content, out.Bytes()} {
			var b *bundle.Bundle
			var err error
			if got := allocated(func() { b, err = bundle.ReadArchive(archive) }); got > 16<<20 {
				t.Fatalf("%d bytes allocated", got)
			}
			if err == nil {
				same(t, b)
			}
		}
	})
}

// FuzzArchive: what Read accepts is archived, read and unpacked as the same bundle.
func FuzzArchive(f *testing.F) {
	f.Add(`{"roots": [""]}`, "a/data.json", "{}")
	f.Add(`{"roots": ["\ud83d\ude00"], "revision": 1e400, "x": -0.0}`, "a b/c.rego", "package c\n")
	f.Add(`{}`, ".manifest/data.yaml", "")
	f.Fuzz(func(t *testing.T, manifest, name, content string) {
		if !fs.ValidPath(name) || name == "." || len(content) > 1<<18 {
			return // no file of a directory, or noise that no archive takes
		}
		b, err := bundle.Read(fstest.MapFS{".manifest": {Data: []byte(manifest)}, name: {Data: []byte(content)}})
		if err == nil {
			same(t, b)
		}
	})
}

// same holds that a bundle with a manifest comes out of its archive as it went in.
func same(t *testing.T, b *bundle.Bundle) {
	t.Helper()
	a, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	read, err := bundle.ReadArchive(a)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := bundle.Read(unpack(t, a))
	if err != nil {
		t.Fatal(err)
	}
	if read.Digest != b.Digest || unpacked.Digest != b.Digest {
		t.Fatalf("digest %s; archived and read %s, unpacked and read %s", b.Digest, read.Digest, unpacked.Digest)
	}
	if again, err := unpacked.Archive(); err != nil || !bytes.Equal(a, again) {
		t.Fatalf("archived again, other bytes: %v", err)
	}
}
