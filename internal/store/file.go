package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// files reads a directory. It may be made after the reader, and be written to meanwhile: a file is there whole or not at all.
type files struct{ Address }

func (f files) Root() string { return f.Address.Root }

func (f files) Get(ctx context.Context, key string) (Parameter, error) {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return Parameter{}, fmt.Errorf("%v: get %s: %w", f.Address, key, err)
	}
	p, err := f.read(key)
	if err != nil {
		return Parameter{}, fmt.Errorf("%v: get %s: %w", f.Address, key, err)
	}
	return p, nil
}

func (f files) read(key string) (Parameter, error) {
	dir, err := os.OpenRoot(f.Address.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return Parameter{}, ErrNotFound
	}
	if err != nil {
		return Parameter{}, err
	}
	defer dir.Close()
	return ReadFile(dir, key)
}

// ReadFile reads the file of a key.
func ReadFile(dir *os.Root, key string) (Parameter, error) {
	file, err := dir.OpenFile(FileName(key), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe would wait for its other end
	if errors.Is(err, fs.ErrNotExist) {
		return Parameter{}, ErrNotFound
	}
	if err != nil {
		return Parameter{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Parameter{}, err
	}
	if !info.Mode().IsRegular() {
		return Parameter{}, errors.New("is no file")
	}
	value, err := io.ReadAll(io.LimitReader(file, maxValue+1))
	if err == nil {
		err = CheckValue(string(value))
	}
	return Parameter{Key: key, Value: string(value), Modified: info.ModTime()}, err
}

func (f files) GetAll(ctx context.Context, keys []string) (map[string]string, error) {
	if err := checkKeys(keys); err != nil {
		return nil, fmt.Errorf("%v: get %d keys: %w", f.Address, len(keys), err)
	}
	values := make(map[string]string, len(keys))
	var missing []string
	for _, key := range distinct(keys) {
		p, err := f.read(key)
		switch {
		case errors.Is(err, ErrNotFound):
			missing = append(missing, key)
		case err != nil:
			return nil, fmt.Errorf("%v: get %s: %w", f.Address, key, err)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%v: get %s: %w", f.Address, key, ctx.Err())
		}
		values[key] = p.Value
	}
	if len(missing) > 0 {
		return nil, absent(f.Address, missing)
	}
	return values, nil
}
