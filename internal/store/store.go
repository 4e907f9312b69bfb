// Package store keeps releases under a root: in SSM Parameter Store ("ssm:/gatehouse/prod") or in a directory with the
// same keys ("file:DIR"). Whoever reads cannot write: the two are different types, and what opens a Writer is in
// internal/store/writer, which the Lambda does not import.
//
// In a directory the key releases/7 is the file releases/7.txt, and the key releases/7/signatures/x the file
// releases/7/signatures/x.txt: each key has its own file, and no file is in the way of a folder, since no level of a key
// may end in .txt. Other files are no keys; one whose name begins with a ~ was being written when its writer died. Keys
// that differ only in case need a file system that tells them apart.
package store

import (
	"context"
	"errors"
	"time"
)

// Active is the one key that is ever written again.
const Active = "active"

var (
	// ErrNotFound says that a key holds nothing.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a key holds something else already.
	ErrExists = errors.New("exists with another value")
	// ErrNotText says that a parameter is of a type that nobody here writes.
	ErrNotText = errors.New("not a String or a SecureString")
)

// Parameter is one key and its value.
type Parameter struct {
	Key      string // below the root, without a slash in front: "active", "bundles/<digest>/1"
	Value    string
	Modified time.Time
}

// Reader reads parameters.
type Reader interface {
	// Root names the store in statements: "/gatehouse/prod", or the directory's absolute path.
	Root() string
	// Get gives one parameter, in one call. An absent one is ErrNotFound.
	Get(ctx context.Context, key string) (Parameter, error)
	// GetAll gives the values of all keys, ten to a call, the calls at once. Absent ones are an ErrNotFound that names them.
	GetAll(ctx context.Context, keys []string) (map[string]string, error)
}

// Writer writes parameters, and lists them, which no function needs.
type Writer interface {
	// Create writes a key that holds nothing. That it holds this very value already is no error; another is ErrExists.
	Create(ctx context.Context, key, value string) error
	// CreateSecret is Create as a SecureString, encrypted with a KMS key; "" is the account's aws/ssm. A file: store has none.
	CreateSecret(ctx context.Context, key, value, kmsKey string) error
	// Activate writes the key active, whatever it holds.
	Activate(ctx context.Context, value string) error
	// List gives every parameter below a prefix ("releases/"; "" is all), sorted by key. One of a type that nobody here writes
	// is passed over: a stranger's must not be in anybody's way.
	List(ctx context.Context, prefix string) ([]Parameter, error)
	// Delete removes keys, active never. Absent ones are no error.
	Delete(ctx context.Context, keys []string) error
}
