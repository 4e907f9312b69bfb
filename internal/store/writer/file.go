package writer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"gatehouse/internal/store"
)

// files writes a directory. What it writes is its owner's alone.
type files struct{ store.Address }

// make opens the directory, which it makes where there is none; os.Root lets no key and no symbolic link out of it.
func (f files) make() (*os.Root, error) {
	if err := os.MkdirAll(f.Root, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(f.Root)
}

func (f files) Create(ctx context.Context, key, value string) error {
	err := check(key, value)
	if err == nil {
		err = f.put(ctx, key, value, f.link)
	}
	return failed(f.Address, "create", key, err)
}

func (f files) CreateSecret(_ context.Context, key, _, _ string) error {
	return failed(f.Address, "create", key, errors.New("a file: store has no secrets"))
}

func (f files) Activate(ctx context.Context, value string) error {
	err := check(store.Active, value)
	if err == nil {
		err = f.put(ctx, store.Active, value, func(dir *os.Root, temp, _, _ string) error {
			return dir.Rename(temp, store.FileName(store.Active))
		})
	}
	return failed(f.Address, "write", store.Active, err)
}

// put writes a file beside the one that it is to be, and has it take its place whole.
func (f files) put(ctx context.Context, key, value string, place func(dir *os.Root, temp, key, value string) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	dir, err := f.make()
	if err != nil {
		return err
	}
	defer dir.Close()
	folder := path.Dir(store.FileName(key))
	if err := dir.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temp := path.Join(folder, "~"+rand.Text())
	if err := write(dir, temp, value); err != nil {
		return err
	}
	defer dir.Remove(temp) // renamed, it is gone already
	if err := place(dir, temp, key, value); err != nil {
		return err
	}
	return sync(dir, folder)
}

// link fails where the name is taken, which a renaming does not.
func (f files) link(dir *os.Root, temp, key, value string) error {
	err := dir.Link(temp, store.FileName(key))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := store.ReadFile(dir, key)
	if err == nil && there.Value != value {
		err = store.ErrExists
	}
	return err
}

// write makes a new file and puts it on the disk.
func write(dir *os.Root, name, value string) error {
	file, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = dir.Remove(name) // what matters is why
		return err
	}
	return nil
}

// sync puts a folder's names on the disk.
func sync(dir *os.Root, folder string) error {
	file, err := dir.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func (f files) List(ctx context.Context, prefix string) ([]store.Parameter, error) {
	found, err := f.list(ctx, prefix)
	return found, failed(f.Address, "list", prefix, err)
}

func (f files) list(ctx context.Context, prefix string) ([]store.Parameter, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(f.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var found []store.Parameter
	err = fs.WalkDir(dir.FS(), path.Clean(prefix), func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // no such folder, or deleted meanwhile
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		key, ok := store.FileKey(name)
		if entry.IsDir() || !ok {
			return nil
		}
		p, err := store.ReadFile(dir, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		found = append(found, p)
		return failed(f.Address, "read", key, err)
	})
	if err != nil {
		return nil, err
	}
	return byKey(found), nil
}

// byKey sorts. Files sort by their names, which is another order.
func byKey(found []store.Parameter) []store.Parameter {
	slices.SortFunc(found, func(a, b store.Parameter) int { return strings.Compare(a.Key, b.Key) })
	return found
}

// Delete leaves folders: another writer may be about to use them.
func (f files) Delete(ctx context.Context, keys []string) error {
	return failed(f.Address, "delete", fmt.Sprintf("%d keys", len(keys)), f.remove(ctx, keys))
}

func (f files) remove(ctx context.Context, keys []string) error {
	if err := checkDelete(keys); err != nil {
		return err
	}
	dir, err := os.OpenRoot(f.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, key := range keys {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := dir.Remove(store.FileName(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
