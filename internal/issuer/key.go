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

	"github.com/go-jose/go-jose/v4"
)

// KeyFile is the signing key's file in the directory given to LoadOrCreateKey: one private JWK (RFC 7517).
const KeyFile = "issuer-key.json"

const (
	keyBits    = 2048     // RFC 7518 section 3.3: at least this for RS256
	maxKeyFile = 16 << 10 // bytes; a 4096-bit key takes about 3,200
)

// Key signs the issuer's tokens with RS256.
type Key struct {
	signer jose.Signer
	public []byte
}

// LoadOrCreateKey reads dir/issuer-key.json, or makes a key and writes it there, readable by its owner only. dir is made
// when it is missing. Programs that do so at the same time end with the same key. A file that others may read, or that
// is not such a key, is an error that names it and is left as it is.
func LoadOrCreateKey(dir string) (*Key, error) {
	name := filepath.Join(dir, KeyFile)
	key, err := loadKey(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKey(dir, name); err != nil {
			return nil, fmt.Errorf("create signing key %s: %w", name, err)
		}
		key, err = loadKey(name)
	}
	if err != nil {
		return nil, fmt.Errorf("load signing key %s: %w", name, err)
	}
	return key, nil
}

// Public is the JWKS document (RFC 7517 section 5) with the public key and nothing of the private one.
func (k *Key) Public() []byte { return append([]byte(nil), k.public...) }

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

// createKey writes a new key under another name and then links it to name, which cannot replace a file: a reader sees a
// whole key or none, and of several writers the first wins. That another was first is no error.
func createKey(dir, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	content, err := encodeKey(private)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, KeyFile+".*.new") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// encodeKey gives the private JWK. Its kid is the key's thumbprint (RFC 7638), so no two keys share one.
func encodeKey(private *rsa.PrivateKey) ([]byte, error) {
	jwk := jose.JSONWebKey{Key: private, Use: "sig", Algorithm: string(jose.RS256)}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	content, err := json.MarshalIndent(jwk, "", "  ")
	return append(content, '\n'), err
}

// parseKey reads what encodeKey wrote. Its errors quote nothing: the content is secret, and a JSON error may cite it.
func parseKey(content []byte) (*Key, error) {
	var jwk jose.JSONWebKey
	if len(content) > maxKeyFile || jwk.UnmarshalJSON(content) != nil {
		return nil, errors.New("damaged: not a JWK; move it away, and a new one is made")
	}
	var faults []error
	private, ok := jwk.Key.(*rsa.PrivateKey)
	if !ok {
		faults = append(faults, errors.New("not an RSA private key"))
	} else if private.N.BitLen() < keyBits {
		faults = append(faults, fmt.Errorf("fewer than %d bits", keyBits))
	}
	for _, member := range []struct{ name, value, want string }{
		{"use", jwk.Use, "sig"},
		{"alg", jwk.Algorithm, string(jose.RS256)},
	} {
		if member.value != member.want {
			faults = append(faults, fmt.Errorf("%s is not %q", member.name, member.want))
		}
	}
	if jwk.KeyID == "" {
		faults = append(faults, errors.New("no kid"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("damaged: %w; move it away, and a new one is made", err)
	}
	// Without the certificate members that a JWK may bring: what is published is the key and its name.
	jwk = jose.JSONWebKey{Key: private, KeyID: jwk.KeyID, Use: jwk.Use, Algorithm: jwk.Algorithm}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jwk}, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}})
	if err != nil {
		return nil, err
	}
	return &Key{signer, public}, nil
}
