// Package writer opens a store for writing. It is apart from internal/store so that the import graph alone says that the
// Lambda cannot write.
package writer

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/internal/store"
)

// Open opens a store for writing. An ssm: store is found as the AWS CLI finds it: environment, profile, single sign-on.
func Open(ctx context.Context, address string) (store.Writer, error) {
	a, err := store.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if a.SSM {
		return openSSM(ctx, a)
	}
	return files{a}, nil
}

// check refuses what cannot be written.
func check(key, value string) error {
	return errors.Join(store.CheckKey(key), store.CheckValue(value))
}

// checkDelete refuses a list that has a bad key, or active, before anything is deleted.
func checkDelete(keys []string) error {
	var faults []error
	for _, key := range keys {
		faults = append(faults, store.CheckKey(key))
		if key == store.Active {
			faults = append(faults, errors.New("key active: is never deleted"))
		}
	}
	return errors.Join(faults...)
}

// failed says where and what failed; never a value.
func failed(a store.Address, op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v: %s %s: %w", a, op, key, err)
}
