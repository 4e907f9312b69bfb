package writer_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/internal/store"
)

// files is a new directory and both ends of it.
func files(t *testing.T) (string, store.Reader, store.Writer) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	r, w := backend{address: "file:" + dir}.open(t)
	return dir, r, w
}

func TestFiles(t *testing.T) {
	dir, _, w := files(t)
	must(t, w.Create(t.Context(), "releases/7", "{}"))
	must(t, w.Create(t.Context(), "releases/7/signatures/k", "x"))
	must(t, w.Create(t.Context(), "releases/7", "{}"))
	must(t, w.Activate(t.Context(), "a"))
	must(t, w.Activate(t.Context(), "b"))
	var got []string
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		got = append(got, fmt.Sprintf("%s %v", strings.TrimPrefix(path, dir), info.Mode()))
		return err
	}))
	want := []string{
		" drwx------", "/active.txt -rw-------", "/releases drwx------", "/releases/7 drwx------",
		"/releases/7/signatures drwx------", "/releases/7/signatures/k.txt -rw-------", "/releases/7.txt -rw-------",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a writer left that died, and what a person put there, is no key.
func TestOtherFiles(t *testing.T) {
	dir, r, w := files(t)
	must(t, w.Create(t.Context(), "releases/1", "x"))
	for name, text := range map[string]string{"releases/~HALF": "x", "README.md": "x", "releases/a b.txt": "x", "a.txt.txt": "x"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	if found, err := w.List(t.Context(), ""); err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "long.txt"), []byte(strings.Repeat(secret, 1000)), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "binary.txt"), []byte(secret+"\xff"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "empty.txt"), nil, 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "folder.txt"), 0o700))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "outside.txt")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o600))
	for key, why := range map[string]string{
		"long": "more than 4096", "binary": "no text", "empty": "is empty", "folder": "is no file", "outside": "escapes", "pipe": "is no file",
	} {
		_, getErr := r.Get(t.Context(), key)
		_, allErr := r.GetAll(t.Context(), []string{"releases/1", key})
		for _, err := range []error{getErr, allErr, w.Create(t.Context(), key, "x")} {
			refused(t, err, nil, "file:"+dir, key, why)
		}
	}
	_, err := w.List(t.Context(), "")
	refused(t, err, nil, "file:"+dir, "list")
}

func TestDirectoryFaults(t *testing.T) {
	// No user, root included, makes a directory below a file.
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, address := range []string{"file:" + file, "file:" + file + "/below"} {
		r, w := backend{address: address}.open(t)
		_, getErr := r.Get(t.Context(), "a")
		_, allErr := r.GetAll(t.Context(), []string{"a"})
		_, listErr := w.List(t.Context(), "")
		for _, err := range []error{getErr, allErr, listErr, w.Create(t.Context(), "a", "x"), w.Activate(t.Context(), "x"), w.Delete(t.Context(), []string{"a"})} {
			refused(t, err, nil, address)
		}
	}
	// A file is where a folder should be, and a folder where a file should.
	dir, _, w := files(t)
	must(t, os.MkdirAll(filepath.Join(dir, "active.txt", "x"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "releases"), nil, 0o600))
	refused(t, w.Activate(t.Context(), "x"), nil, "write active")
	refused(t, w.Create(t.Context(), "releases/1", "x"), nil, "create releases/1")
	must(t, os.MkdirAll(filepath.Join(dir, "full.txt", "x"), 0o700))
	refused(t, w.Delete(t.Context(), []string{"full"}), nil, "delete 1 keys")
	if left, err := filepath.Glob(filepath.Join(dir, "~*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// A disk that takes no more: nothing is left of the value, and the error is told.
func TestFullDisk(t *testing.T) {
	dir, r, w := files(t)
	must(t, w.Activate(t.Context(), "old"))
	var was syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: was.Max}))
	createErr, activateErr := w.Create(t.Context(), "a", strings.Repeat("x", 4096)), w.Activate(t.Context(), strings.Repeat("x", 4096))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was))
	refused(t, createErr, syscall.EFBIG, "create a")
	refused(t, activateErr, syscall.EFBIG, "write active")
	if found, err := w.List(t.Context(), ""); err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "~*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if p, err := r.Get(t.Context(), store.Active); err != nil || p.Value != "old" {
		t.Errorf("%v %v", p, err)
	}
}

// Whoever reads while another writes sees one value or the other, whole.
func TestReadWhileWriting(t *testing.T) {
	_, r, w := files(t)
	values := []string{strings.Repeat("a", 4096), strings.Repeat("b", 4096)}
	must(t, w.Activate(t.Context(), values[0]))
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			p, err := r.Get(t.Context(), store.Active)
			if err != nil || !slices.Contains(values, p.Value) {
				t.Errorf("%.20q (%d bytes), %v", p.Value, len(p.Value), err)
				return
			}
			if _, err := w.List(t.Context(), ""); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 50 {
		must(t, w.Activate(t.Context(), values[i%2]))
		key := fmt.Sprint("bundles/d/", i)
		must(t, w.Create(t.Context(), key, "x"))
		must(t, w.Delete(t.Context(), []string{key}))
	}
	close(done)
	reader.Wait()
}
