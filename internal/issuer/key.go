package issuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/go-jose/go-jose/v4"
	jsonv2 "github.com/go-json-experiment/json"
)

// KeyFile is the file of the signing keys in the directory given to LoadOrCreateKey: a JSON object of JWKs (RFC 7517),
// the private keys "current" and "next" and, until it is revoked, the public half of "previous".
const KeyFile = "issuer-keys.json"

const (
	keyBits    = 2048     // RFC 7518 section 3.3: at least this for RS256
	maxKeyFile = 16 << 10 // bytes; three 4096-bit keys take about 8,000
)

// Key signs the issuer's tokens with RS256. It is one state of the key file: the current key, which signs, between the
// next one and the previous one, which are only published (Auth0: "Signing Keys").
type Key struct {
	held   held
	signer jose.Signer
	set    jose.JSONWebKeySet // public
	public []byte             // set as a document
}

// held is the content of the key file.
type held struct {
	Current  jose.JSONWebKey  `json:"current"`
	Next     jose.JSONWebKey  `json:"next"`
	Previous *jose.JSONWebKey `json:"previous,omitempty"` // public: it signs nothing any more
}

// LoadOrCreateKey reads dir/issuer-keys.json, or makes keys and writes them there, readable by their owner only. dir is
// made when it is missing. Programs that do so at the same time end with the same keys. A file that others may read, or
// that does not hold such keys, is an error that names it and is left as it is.
func LoadOrCreateKey(dir string) (*Key, error) {
	name := filepath.Join(dir, KeyFile)
	key, err := loadKey(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKey(dir, name); err != nil {
			return nil, fmt.Errorf("create signing keys %s: %w", name, err)
		}
		key, err = loadKey(name)
	}
	if err != nil {
		return nil, fmt.Errorf("load signing keys %s: %w", name, err)
	}
	return key, nil
}

// RotateKey makes the next key of dir the current one and a new key the next (Auth0: "Rotate Signing Keys"). What was
// current becomes the previous key, so that what it signed stays good until the next rotation; with revoke it is
// published no longer, nor is the previous one, and what they signed is refused from now on (Auth0: "Revoke Signing
// Keys"). A running issuer follows with its next answer. Killed at any moment it leaves the keys as they were or as they
// are to be; programs that rotate at the same time do so one after the other. Where
// LoadOrCreateKey would make keys or give an error, so does this.
func RotateKey(dir string, revoke bool) (*Key, error) {
	if _, err := LoadOrCreateKey(dir); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, KeyFile)
	key, err := rotateKey(dir, name, revoke)
	if err != nil {
		return nil, fmt.Errorf("rotate signing keys %s: %w", name, err)
	}
	return key, nil
}

func rotateKey(dir, name string, revoke bool) (*Key, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close() // and with it, or with the program, the lock is gone
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	key, err := loadKey(name)
	if err != nil {
		return nil, err
	}
	next, err := generate()
	if err != nil {
		return nil, err
	}
	rotated := held{Current: key.held.Next, Next: next}
	if !revoke {
		previous := key.held.Current.Public()
		rotated.Previous = &previous
	}
	if err := writeKey(dir, rotated, func(temporary string) error { return os.Rename(temporary, name) }); err != nil {
		return nil, err
	}
	return newKey(rotated)
}

// Public is the JWKS document (RFC 7517 section 5) with the public keys, the current one first, and nothing of the
// private ones.
func (k *Key) Public() []byte { return append([]byte(nil), k.public...) }

// IDs are the key ids (kid) of the keys that Public holds: the current one, the next one, and the previous one unless
// there is none.
func (k *Key) IDs() []string {
	ids := make([]string, len(k.set.Keys))
	for i, jwk := range k.set.Keys {
		ids[i] = jwk.KeyID
	}
	return ids
}

// keyring follows the key file: whoever else writes it, what signs and what is published is what stands there.
type keyring struct {
	dir string

	mu   sync.Mutex
	file os.FileInfo // of what key was read from
	key  *Key
}

// current reads the file when it is another than last time. Keys that have been deleted are made anew.
func (k *keyring) current() (*Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	file, err := os.Stat(filepath.Join(k.dir, KeyFile))
	if err == nil && k.file != nil && os.SameFile(file, k.file) && file.ModTime().Equal(k.file.ModTime()) && file.Mode() == k.file.Mode() {
		return k.key, nil
	}
	k.file = nil
	if k.key, err = LoadOrCreateKey(k.dir); err != nil {
		return nil, err
	}
	k.file = file // of before: when it has changed meanwhile, it is read again
	return k.key, nil
}

func loadKey(name string) (*Key, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("mode %04o lets others at it; if nobody has copied it, chmod 600 it, else delete it for a new one", mode)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	return parseKey(content)
}

// createKey writes new keys under another name and then links them to name, which cannot replace a file: a reader sees
// whole keys or none, and of several writers the first wins. That another was first is no error.
func createKey(dir, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	current, err := generate()
	if err != nil {
		return err
	}
	next, err := generate()
	if err != nil {
		return err
	}
	return writeKey(dir, held{Current: current, Next: next}, func(temporary string) error {
		if err := os.Link(temporary, name); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// writeKey writes a whole file in dir, readable by its owner only, and lets place give it its name.
func writeKey(dir string, keys held, place func(temporary string) error) error {
	content, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, KeyFile+".*.new") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(content, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name())
}

// generate makes a private JWK. Its kid is the key's thumbprint (RFC 7638), so no two keys share one.
func generate() (jose.JSONWebKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	jwk := jose.JSONWebKey{Key: private, Use: "sig", Algorithm: string(jose.RS256)}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return jwk, err
}

// parseKey reads what writeKey wrote. Its errors quote nothing: the content is secret, and a JSON error may cite it.
func parseKey(content []byte) (*Key, error) {
	var keys held
	if len(content) > maxKeyFile || jsonv2.Unmarshal(content, &keys, jsonv2.RejectUnknownMembers(true)) != nil {
		return nil, errors.New("damaged: not an object of JWKs; move it away, and new ones are made")
	}
	faults := []error{unfit("current", keys.Current, false), unfit("next", keys.Next, false)}
	if keys.Previous != nil {
		faults = append(faults, unfit("previous", *keys.Previous, true))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("damaged: %w; move it away, and new ones are made", err)
	}
	key, err := newKey(keys)
	if err != nil {
		return nil, err
	}
	if ids := key.IDs(); ids[0] == ids[1] || len(ids) > 2 && (ids[2] == ids[0] || ids[2] == ids[1]) {
		return nil, errors.New("damaged: two keys share a kid; move it away, and new ones are made")
	}
	return key, nil
}

// unfit names what a JWK lacks to be a signing key, or the public half of one.
func unfit(name string, jwk jose.JSONWebKey, public bool) error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(name+": "+format, args...))
		}
	}
	bits := keyBits
	switch key := jwk.Key.(type) {
	case *rsa.PrivateKey:
		bits = key.N.BitLen()
		fault(public, "not an RSA public key")
	case *rsa.PublicKey:
		bits = key.N.BitLen()
		fault(!public, "not an RSA private key")
	default:
		fault(true, "not an RSA key")
	}
	fault(bits < keyBits, "fewer than %d bits", keyBits)
	fault(jwk.Use != "sig", "use is not %q", "sig")
	fault(jwk.Algorithm != string(jose.RS256), "alg is not %q", jose.RS256)
	fault(jwk.KeyID == "", "no kid")
	return errors.Join(faults...)
}

func newKey(keys held) (*Key, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: keys.Current}, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	k := &Key{held: keys, signer: signer}
	published := []jose.JSONWebKey{keys.Current, keys.Next}
	if keys.Previous != nil {
		published = append(published, *keys.Previous)
	}
	for _, jwk := range published {
		// Without the certificate members that a JWK may bring: what is published is the key and its name.
		public := jwk.Public()
		k.set.Keys = append(k.set.Keys, jose.JSONWebKey{Key: public.Key, KeyID: jwk.KeyID, Use: jwk.Use, Algorithm: jwk.Algorithm})
	}
	k.public, err = json.Marshal(k.set)
	return k, err
}
