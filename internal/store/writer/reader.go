package writer

import (
	"context"

	"gatehouse/internal/store"
)

// OpenReader opens a store for reading as Open does for writing: with the credentials of a person, and that person's
// patience.
func OpenReader(ctx context.Context, address string) (store.Reader, error) {
	a, err := store.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if !a.SSM {
		return store.OpenReader(address, nil)
	}
	w, err := openSSM(ctx, a)
	if err != nil {
		return nil, err
	}
	return store.Over(a, w.(parameters).client), nil
}
