package token

import (
	"crypto/rsa"
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

// algorithmsOf are the signature algorithms that a key of a type can be for (RFC 7518 §3.1).
var algorithmsOf = map[string][]string{"RSA": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}}

// privateMembers would make a JWK a private or symmetric key (RFC 7518 §6.3.2, §6.4.1).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// key is a public key, ready to verify, and the one algorithm that it is for.
type key struct {
	alg      string
	public   *rsa.PublicKey
	verifier jws.Verifier
}

// keySet holds an issuer's keys by key id.
type keySet map[string]key

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
	left := []error{errors.New("parse jwks: no usable key")}
	for i, entry := range entries {
		kid, k, err := parseKey(entry, algorithms)
		if err != nil {
			left = append(left, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		if other, ok := keys[kid]; ok && (other.alg != k.alg || !other.public.Equal(k.public)) {
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

// parseKey reads one JWK that is to verify signatures.
func parseKey(entry any, algorithms []string) (kid string, k key, err error) {
	members, ok := entry.(map[string]any)
	if !ok {
		return "", key{}, fmt.Errorf("is %s, want an object", kindOf(entry))
	}
	kty, _ := members["kty"].(string)
	fit, ok := algorithmsOf[kty]
	if !ok {
		return "", key{}, errors.New("kty is not supported")
	}
	for _, name := range privateMembers {
		if _, ok := members[name]; ok {
			return "", key{}, errors.New("not a public key")
		}
	}
	if use, ok := members["use"]; ok && use != "sig" {
		return "", key{}, errors.New("use is not sig")
	}
	if ops, ok := members["key_ops"]; ok {
		if list, _ := ops.([]any); !slices.Contains(list, any("verify")) {
			return "", key{}, errors.New("key_ops lacks verify")
		}
	}
	if kid, _ = members["kid"].(string); kid == "" || len(kid) > maxKid {
		return "", key{}, fmt.Errorf("want kid as a string of 1 to %d bytes", maxKid)
	}
	if k.alg, err = algorithmFor(members, fit, algorithms); err != nil {
		return "", key{}, err
	}
	if k.public, err = publicKey(members); err != nil {
		return "", key{}, err
	}
	k.verifier, err = jws.NewVerifier(jwa.SignatureAlgorithm(k.alg))
	return kid, k, err
}

// algorithmFor gives the algorithm of a JWK: its own, or, where it names none, the only configured one that fits its
// type (rule 11).
func algorithmFor(members map[string]any, fit, algorithms []string) (string, error) {
	if own, ok := members["alg"]; ok {
		alg, _ := own.(string)
		if !slices.Contains(fit, alg) {
			return "", errors.New("alg is not a signature algorithm of its kty")
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

// publicKey reads the modulus and the exponent, and no other member: whatever else a JWK carries cannot spoil it.
func publicKey(members map[string]any) (*rsa.PublicKey, error) {
	n, _ := members["n"].(string)
	e, _ := members["e"].(string)
	if b, err := strict.DecodeString(e); err != nil || len(b) > 4 {
		return nil, errors.New("e is not base64url of at most 4 bytes")
	}
	if _, err := strict.DecodeString(n); err != nil {
		return nil, errors.New("n is not base64url")
	}
	var public rsa.PublicKey
	parsed, err := jwk.ParseKey([]byte(`{"kty":"RSA","n":"` + n + `","e":"` + e + `"}`))
	if err == nil {
		err = parsed.Raw(&public)
	}
	if err != nil {
		return nil, errors.New("not an RSA key")
	}
	if bits := public.N.BitLen(); bits < minModulus || bits > maxModulus {
		return nil, fmt.Errorf("RSA modulus of %d bits, want %d to %d", bits, minModulus, maxModulus)
	}
	if public.E < 3 || public.E%2 == 0 {
		return nil, errors.New("RSA exponent is even or below 3")
	}
	return &public, nil
}
