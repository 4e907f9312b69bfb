package release

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxJWKS = 16 << 10 // bytes
	maxKeys = 64       // in one JWKS
	size    = 32       // bytes of x, y and d
)

// jwk is a key of ours as RFC 7517 spells it.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	D   string `json:"d,omitempty"`
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	Use string `json:"use"`
}

// The members that a key may have, and those that would make it a private or symmetric key (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
var (
	publicMembers  = []string{"kty", "crv", "x", "y", "kid", "alg", "use"}
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
)

// publicJWK gives a key's public half. ok is false where it is not a point of P-256.
func publicJWK(public *ecdsa.PublicKey) (k jwk, ok bool) {
	if public == nil || public.Curve != elliptic.P256() {
		return jwk{}, false
	}
	point, err := public.Bytes() // 4, x, y (SEC 1 §2.3.3)
	if err != nil {
		return jwk{}, false
	}
	k = jwk{Kty: "EC", Crv: "P-256", X: strict.EncodeToString(point[1 : 1+size]), Y: strict.EncodeToString(point[1+size:]), Alg: algorithm, Use: "sig"}
	// RFC 7638 §3: the required members alone, by name, without white space.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"%s","kty":"%s","x":"%s","y":"%s"}`, k.Crv, k.Kty, k.X, k.Y))
	k.Kid = strict.EncodeToString(sum[:])
	return k, true
}

// KeyID is a key's thumbprint (RFC 7638), the only id that a key has; "" where it is not on P-256.
func KeyID(public *ecdsa.PublicKey) string {
	k, _ := publicJWK(public)
	return k.Kid
}

// PublicJWKS gives a set that [ParseTrust] reads, sorted by id.
func PublicJWKS(keys ...*ecdsa.PublicKey) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{[]jwk{}}
	for n, public := range keys {
		k, ok := publicJWK(public)
		if !ok {
			return nil, fmt.Errorf("public keys: keys[%d] is not on P-256", n)
		}
		set.Keys = append(set.Keys, k)
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int { return cmp.Compare(a.Kid, b.Kid) })
	for n, k := range set.Keys {
		if n > 0 && k.Kid == set.Keys[n-1].Kid {
			return nil, fmt.Errorf("public keys: %s occurs twice", k.Kid)
		}
	}
	return json.Marshal(set)
}

// GenerateKey makes a private JWK. [WriteKey] keeps it, [ParseKey] signs with it, [PublicKeys] gives its public half.
func GenerateKey() ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	k, _ := publicJWK(&private.PublicKey)
	d, err := private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	k.D = strict.EncodeToString(d)
	return json.Marshal(k)
}

// WriteKey keeps a private JWK in a new file that its owner alone can read. It never overwrites.
func WriteKey(path string, jwk []byte) error {
	if _, err := ParseKey(jwk); err != nil {
		return fmt.Errorf("write key %q: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write key %q: it exists, and a key is never overwritten: choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = f.Write(slices.Concat(jwk, []byte("\n")))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write key %q: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}

// LoadKey reads a private JWK of a file that nobody but its owner may read. No error quotes what it holds.
func LoadKey(path string) (Signer, error) {
	// A pipe without a writer would make opening wait; so opened, it is refused like whatever is no regular file. What is
	// checked is what was opened, through a link or not: no other file can take its place in between.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("load key %q: not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("load key %q: its mode %04o lets others at it: chmod 600 %s", path, mode, quote(path))
	}
	content, err := io.ReadAll(io.LimitReader(f, maxJWKS+1))
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	key, err := ParseKey(content)
	if err != nil {
		return nil, fmt.Errorf("load key %q: %w", path, err)
	}
	return key, nil
}

// quote spells a path for a shell where it needs that.
func quote(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-+@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// ParseKey reads a private JWK. No error quotes it.
func ParseKey(jwk []byte) (Signer, error) {
	var f faults
	k := key{}
	if members, err := readObject(jwk); err != nil {
		f = append(f, err)
	} else if k = readKey("", members, true, &f); len(f) == 0 && k.private == nil {
		f.add("d", "is missing: a public key signs nothing")
	}
	if err := f.err(); err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return k.private, nil
}

// PublicKeys gives the public halves of a JWK, private or public, or of a JWKS.
func PublicKeys(doc []byte) ([]*ecdsa.PublicKey, error) {
	var f faults
	list := readSet(doc, true, &f)
	if len(f) == 0 && len(list) == 0 {
		f.add("keys", "want at least one")
	}
	if err := f.err(); err != nil {
		return nil, fmt.Errorf("public keys: %w", err)
	}
	public := make([]*ecdsa.PublicKey, len(list))
	for n, k := range list {
		public[n] = k.public
	}
	return public, nil
}

// key is a JWK that was read; private is nil where it has no d.
type key struct {
	public  *ecdsa.PublicKey
	private *ecdsa.PrivateKey
}

// readSet reads a JWKS, or, where keys may be private, one JWK as well, and adds what is wrong to f. Keys that are wrong are left out.
func readSet(doc []byte, private bool, f *faults) []key {
	root, err := readObject(doc)
	if err != nil {
		*f = append(*f, err)
		return nil
	}
	if _, ok := root["keys"]; !ok && private {
		return []key{readKey("", root, private, f)}
	}
	list, ok := root["keys"].([]any)
	switch {
	case !ok || len(root) != 1:
		f.add("keys", "want a list of JWKs, and no other member")
		return nil
	case len(list) > maxKeys:
		f.add("keys", "are %d, at most %d", len(list), maxKeys)
		return nil
	}
	var keys []key
	first := map[string]int{}
	for n, v := range list {
		place := fmt.Sprintf("keys[%d]", n)
		members, ok := v.(map[string]any)
		if !ok {
			f.add(place, "is not an object")
			continue
		}
		k := readKey(place+".", members, private, f)
		if k.public == nil {
			continue
		}
		kid := KeyID(k.public)
		if other, ok := first[kid]; ok {
			f.add(place, "is the key of keys[%d]: one key is one signer", other)
			continue
		}
		first[kid] = n
		keys = append(keys, k)
	}
	return keys
}

// readObject reads strict JSON. What is wrong is said without quoting it: it may be a private key.
func readObject(doc []byte) (map[string]any, error) {
	if len(doc) > maxJWKS {
		return nil, fmt.Errorf("more than %d bytes", maxJWKS)
	}
	var root any
	err := json.Unmarshal(doc, &root)
	var syntax *jsontext.SyntacticError
	switch members, ok := root.(map[string]any); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("a name occurs twice in an object")
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("not strict JSON, at byte %d", syntax.ByteOffset)
	case err != nil || !ok:
		return nil, errors.New("not a JSON object")
	default:
		return members, nil
	}
}

// readKey reads one JWK and adds what is wrong to f, with its place and without quoting it. Its public half is nil where x
// and y make no key.
func readKey(place string, members map[string]any, private bool, f *faults) (k key) {
	for _, name := range privateMembers {
		if _, ok := members[name]; ok && !(private && name == "d") {
			f.add(place+name, "is part of a private key, which belongs nowhere but in its own file: give the public half")
		}
	}
	for name := range members {
		if !slices.Contains(publicMembers, name) && !slices.Contains(privateMembers, name) {
			f.add(cmp.Or(strings.TrimSuffix(place, "."), "the key"), "has a member that is none of %s", strings.Join(publicMembers, ", "))
			break
		}
	}
	for _, c := range []struct {
		name, want string
		required   bool
	}{{"kty", "EC", true}, {"crv", "P-256", true}, {"alg", algorithm, false}, {"use", "sig", false}} {
		if v, ok := members[c.name]; v != c.want && (ok || c.required) {
			f.add(place+c.name, "is not %s", c.want)
		}
	}
	x, xOK := coordinate(place+"x", members["x"], f)
	y, yOK := coordinate(place+"y", members["y"], f)
	if !xOK || !yOK {
		return key{}
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		f.add(place+"x", "and y are no point of P-256")
		return key{}
	}
	k.public = public
	if kid := KeyID(public); members["kid"] != kid {
		f.add(place+"kid", "is not the key's thumbprint, %s", kid)
	}
	if v, ok := members["d"]; ok && private {
		d, ok := coordinate(place+"d", v, f)
		if !ok {
			return k
		}
		k.private, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
		if err != nil || !k.private.PublicKey.Equal(public) {
			f.add(place+"d", "does not belong to x and y")
		}
	}
	return k
}

func coordinate(place string, v any, f *faults) ([]byte, bool) {
	text, _ := v.(string)
	b, ok := decodeBase64(text)
	if ok = ok && len(b) == size; !ok {
		f.add(place, "is not %d bytes in canonical base64url", size)
	}
	return b, ok
}
