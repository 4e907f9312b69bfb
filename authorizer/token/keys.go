package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	maxKeys    = 64   // in one JWKS
	minModulus = 2048 // bits, RFC 7518 §3.3
	maxModulus = 8192 // bits: a larger one only makes verification slow
)

// signatureAlgorithms are the signature algorithms that an issuer can be configured with (RFC 7518 §3.1, RFC 8037 §3.1).
var signatureAlgorithms = []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"}

// kind is what kty, and crv where the type has curves, say about a key. crv means nothing to an RSA key.
type kind struct {
	algorithms []string // what it can be for, those included that nobody can configure
	members    []string // what it consists of (RFC 7518 §6.2.1, §6.3.1; RFC 8037 §2)
	size       int      // bytes of each member, exactly; 0 is any
}

var kinds = map[string]kind{
	"RSA":         {[]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, []string{"n", "e"}, 0},
	"EC P-256":    {[]string{"ES256"}, []string{"x", "y"}, 32},
	"EC P-384":    {[]string{"ES384"}, []string{"x", "y"}, 48},
	"OKP Ed25519": {[]string{"EdDSA"}, []string{"x"}, ed25519.PublicKeySize},
}

// privateMembers would make a JWK a private or symmetric key (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// key is a public key, ready to verify, and the one algorithm that it is for. It is immutable.
type key struct {
	alg      string
	public   publicKey
	verifier verifier
}

// publicKey is what the standard library's public keys have in common.
type publicKey interface{ Equal(crypto.PublicKey) bool }

// verifier checks a signature over signed with a public key; [jws.Verifier] has the same shape.
type verifier interface {
	Verify(signed, signature []byte, public any) error
}

func (k *key) same(other *key) bool { return k.alg == other.alg && k.public.Equal(other.public) }

// pss verifies PS256. The one of jwx takes a salt of any length, and RFC 7518 §3.5 wants it as long as the hash (rule 19).
type pss struct{}

func (pss) Verify(signed, signature []byte, public any) error {
	sum := sha256.Sum256(signed)
	return rsa.VerifyPSS(public.(*rsa.PublicKey), crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}

// keySet holds an issuer's keys by key id.
type keySet map[string]*key

// keep takes over the keys that an older set had already: a key stays the same pointer for as long as its issuer serves
// it without a break.
func (s keySet) keep(old keySet) {
	for kid, k := range old {
		if now, ok := s[kid]; ok && now.same(k) {
			s[kid] = k
		}
	}
}

// parseKeys reads a JWKS (RFC 7517 §5). A key that is unknown, unfit or unclear is left out and the rest kept (rules 16,
// 17); two different keys under one id are both left out. A set without a key for one of the algorithms is an error that
// says why each key was left out.
func parseKeys(doc []byte, algorithms []string) (keySet, error) {
	set, err := decodeObject(doc, jwksLimits)
	if err != nil {
		return nil, fmt.Errorf("parse jwks: %w", quiet(err))
	}
	entries, ok := set["keys"].([]any)
	if !ok {
		return nil, fmt.Errorf("parse jwks: keys is %s, want a list", kindOf(set["keys"]))
	}
	if len(entries) > maxKeys {
		return nil, fmt.Errorf("parse jwks: %d keys, at most %d", len(entries), maxKeys)
	}
	keys, twice := keySet{}, map[string]bool{}
	left := []error{errNoKey}
	for i, entry := range entries {
		kid, k, err := parseKey(entry, algorithms)
		if err != nil {
			left = append(left, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		if other, ok := keys[kid]; ok && !other.same(k) {
			left = append(left, fmt.Errorf("keys[%d]: another key has the same kid", i))
			twice[kid] = true
		}
		keys[kid] = k
	}
	usable := false
	for kid, k := range keys {
		if twice[kid] {
			delete(keys, kid)
			continue
		}
		usable = usable || slices.Contains(algorithms, k.alg)
	}
	if !usable {
		return nil, errors.Join(left...)
	}
	return keys, nil
}

var errNoKey = errors.New("parse jwks: no usable key")

// parseKey reads one JWK that is to verify signatures.
func parseKey(entry any, algorithms []string) (kid string, k *key, err error) {
	members, ok := entry.(map[string]any)
	if !ok {
		return "", nil, fmt.Errorf("is %s, want an object", kindOf(entry))
	}
	kty, _ := members["kty"].(string)
	crv, _ := members["crv"].(string)
	name := kty
	if kty != "RSA" {
		name += " " + crv
	}
	what, ok := kinds[name]
	if !ok {
		return "", nil, errors.New("kty or crv is not supported")
	}
	for _, name := range privateMembers {
		if _, ok := members[name]; ok {
			return "", nil, errors.New("not a public key")
		}
	}
	if use, ok := members["use"]; ok && use != "sig" {
		return "", nil, errors.New("use is not sig")
	}
	if ops, ok := members["key_ops"]; ok {
		if list, _ := ops.([]any); !slices.Contains(list, any("verify")) {
			return "", nil, errors.New("key_ops lacks verify")
		}
	}
	if kid, _ = members["kid"].(string); kid == "" || len(kid) > maxKid {
		return "", nil, fmt.Errorf("want kid as a string of 1 to %d bytes", maxKid)
	}
	k = &key{}
	if k.alg, err = algorithmFor(members, what.algorithms, algorithms); err != nil {
		return "", nil, err
	}
	if k.public, err = what.publicKey(kty, crv, members); err != nil {
		return "", nil, err
	}
	if k.verifier = (pss{}); k.alg != "PS256" {
		k.verifier, err = jws.NewVerifier(jwa.SignatureAlgorithm(k.alg))
	}
	return kid, k, err
}

// algorithmFor gives the algorithm of a JWK: its own, or, where it names none, the only configured one that fits its
// type (rule 11).
func algorithmFor(members map[string]any, fit, algorithms []string) (string, error) {
	if own, ok := members["alg"]; ok {
		alg, _ := own.(string)
		if !slices.Contains(fit, alg) {
			return "", errors.New("alg is not a signature algorithm of its kty and crv")
		}
		return alg, nil
	}
	var candidates []string
	for _, alg := range algorithms {
		if slices.Contains(fit, alg) {
			candidates = append(candidates, alg)
		}
	}
	if len(candidates) != 1 {
		return "", fmt.Errorf("no alg, and %d configured algorithms fit", len(candidates))
	}
	return candidates[0], nil
}

// publicKey reads the members that make the key and no other: whatever else a JWK carries cannot spoil it. jwk.ParseKey
// takes other base64, points off the curve and keys of any length, so what it is given and what it gives are checked here.
func (what kind) publicKey(kty, crv string, members map[string]any) (publicKey, error) {
	parts := map[string]string{"kty": kty, "crv": crv}
	for _, name := range what.members {
		text, _ := members[name].(string)
		b, ok := decodeBase64([]byte(text))
		switch {
		case !ok || len(b) == 0:
			return nil, fmt.Errorf("%s is not base64url", name)
		case what.size != 0 && len(b) != what.size:
			return nil, fmt.Errorf("%s has %d bytes, want %d", name, len(b), what.size)
		case name == "e" && len(b) > 4:
			return nil, fmt.Errorf("e has %d bytes, at most 4", len(b))
		}
		parts[name] = text
	}
	doc, _ := json.Marshal(parts) // strings always marshal
	var public any
	parsed, err := jwk.ParseKey(doc)
	if err == nil {
		err = parsed.Raw(&public)
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		return public, checkRSA(public)
	case *ecdsa.PublicKey:
		if _, err := public.ECDH(); err != nil {
			return nil, errors.New("the point is not on the curve")
		}
		return public, nil
	case ed25519.PublicKey:
		if hasSmallOrder(public) {
			return nil, errors.New("the point has a small order")
		}
		return public, nil
	}
	return nil, fmt.Errorf("its members make no key: %w", err)
}

func checkRSA(public *rsa.PublicKey) error {
	if bits := public.N.BitLen(); bits < minModulus || bits > maxModulus {
		return fmt.Errorf("RSA modulus of %d bits, want %d to %d", bits, minModulus, maxModulus)
	}
	if public.E < 3 || public.E%2 == 0 {
		return errors.New("RSA exponent is even or below 3")
	}
	return nil
}

// smallOrder are the y coordinates of the points of edwards25519 whose order divides 8, little-endian and in hexadecimal,
// and those that mean one of them by being reduced (RFC 8032 §5.1): under such a key anybody can sign.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// hasSmallOrder looks at y alone: the highest bit is the sign of x.
func hasSmallOrder(public ed25519.PublicKey) bool {
	y := slices.Clone(public)
	y[len(y)-1] &= 0x7f
	return slices.Contains(smallOrder, hex.EncodeToString(y))
}
