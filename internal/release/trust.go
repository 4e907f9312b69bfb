package release

import (
	"crypto/ecdsa"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Trust is whose signatures count, and how many of them a statement needs. It is deployed with the function and never read
// from the store. The zero Trust trusts nobody.
type Trust struct {
	keys      map[string]*ecdsa.PublicKey // by thumbprint: a key is one signer
	threshold int
}

// ParseTrust reads a JWKS of public keys. Each has its thumbprint for a kid, so that one key under two names is not two
// signers. Every fault is named with its place, all at once.
func ParseTrust(jwks []byte, threshold int) (Trust, error) {
	var f faults
	list := readSet(jwks, false, &f)
	t := Trust{keys: map[string]*ecdsa.PublicKey{}, threshold: threshold}
	for _, k := range list {
		t.keys[KeyID(k.public)] = k.public
	}
	if len(f) == 0 && len(list) == 0 {
		f.add("keys", "want at least one")
	}
	switch {
	case threshold < 1:
		f.add("threshold", "is %d, want at least 1", threshold)
	case threshold > MaxSignatures:
		f.add("threshold", "is %d, and only %d signatures fit every statement", threshold, MaxSignatures)
	case len(f) == 0 && threshold > len(list) && len(list) == 1:
		f.add("threshold", "is %d, and there is 1 key", threshold)
	case len(f) == 0 && threshold > len(list):
		f.add("threshold", "is %d, and there are %d keys", threshold, len(list))
	}
	if err := f.err(); err != nil {
		return Trust{}, fmt.Errorf("parse trust: %w", err)
	}
	return t, nil
}

// Threshold is how many trusted keys must sign.
func (t Trust) Threshold() int { return t.threshold }

// KeyIDs are the trusted keys, sorted.
func (t Trust) KeyIDs() []string { return slices.Sorted(maps.Keys(t.keys)) }

// Activation verifies an activation with its signatures, as [Assemble] spells it, and that it counts here. It gives the
// trusted keys that signed it, sorted. Nothing in it is believed before enough signatures hold. Whether it is too old or
// too late is not asked: that depends on what was seen before, and on the time.
func (t Trust) Activation(doc []byte, in Scope) (Activation, []string, error) {
	payload, sigs, err := disassemble(doc)
	if err != nil {
		return Activation{}, nil, refuse(CodeMalformed, "activation: %w", err)
	}
	signers, err := t.enough(KindActivation, payload, sigs)
	if err != nil {
		return Activation{}, nil, err
	}
	a, err := ParseActivation(payload)
	if err == nil {
		err = a.Scope.counts(in)
	}
	if err != nil {
		return Activation{}, nil, err
	}
	return a, signers, nil
}

// Release verifies a release likewise, from its payload and its signatures.
func (t Trust) Release(payload []byte, sigs []Signature, in Scope) (Release, []string, error) {
	signers, err := t.enough(KindRelease, payload, sigs)
	if err != nil {
		return Release{}, nil, err
	}
	r, err := ParseRelease(payload)
	if err == nil {
		err = r.Scope.counts(in)
	}
	if err != nil {
		return Release{}, nil, err
	}
	return r, signers, nil
}

// Signers gives the trusted keys that signed a payload as a statement of a kind, sorted, be they enough or none. Signatures
// by other keys are passed over, so that a key can go and its old signatures stay. One that names a trusted key and was not
// made by it is an error, whatever the rest say: somebody tampered.
func (t Trust) Signers(kind string, payload []byte, sigs []Signature) ([]string, error) {
	var signers []string
	seen := map[string]bool{}
	for n, s := range sigs {
		o, err := s.open()
		switch {
		case err != nil:
			return nil, refuse(CodeMalformed, "signatures[%d]: %w", n, err)
		case o.kind != kind:
			return nil, refuse(CodeWrongKind, "signatures[%d]: by %s over %q, want %q", n, o.kid, o.kind, kind)
		case seen[o.kid]:
			return nil, refuse(CodeMalformed, "signatures[%d]: another by %s", n, o.kid)
		}
		seen[o.kid] = true
		public, trusted := t.keys[o.kid]
		if !trusted {
			continue
		}
		if err := s.verify(o.raw, payload, public); err != nil {
			return nil, refuse(CodeSignatureInvalid, "signatures[%d]: not made by %s over this payload", n, o.kid)
		}
		signers = append(signers, o.kid)
	}
	slices.Sort(signers)
	return signers, nil
}

func (t Trust) enough(kind string, payload []byte, sigs []Signature) ([]string, error) {
	signers, err := t.Signers(kind, payload, sigs)
	switch {
	case err != nil:
		return nil, err
	case len(signers) == 0:
		return nil, refuse(CodeSignatureMissing, "none of %d signatures is by a trusted key%s; trusted here: %s", len(sigs), signedBy(sigs), t.names())
	case len(signers) < t.threshold:
		return nil, refuse(CodeBelowThreshold, "%d of %d signatures by trusted keys: %s", len(signers), t.threshold, strings.Join(signers, ", "))
	}
	return signers, nil
}

// signedBy names whose signatures they claim to be.
func signedBy(sigs []Signature) string {
	var kids []string
	for _, s := range sigs {
		if kid, err := s.KeyID(); err == nil {
			kids = append(kids, kid)
		}
	}
	if len(kids) == 0 {
		return ""
	}
	return ": signed by " + strings.Join(kids, ", ")
}

func (t Trust) names() string {
	if len(t.keys) == 0 {
		return "no key"
	}
	return strings.Join(t.KeyIDs(), ", ")
}

// counts says whether a statement of this scope counts in another. All that differs is said; the code is the first.
func (s Scope) counts(in Scope) error {
	var f faults
	code := ""
	for _, c := range []struct{ name, is, want, code string }{
		{"account", s.Account, in.Account, CodeWrongAccount},
		{"root", s.Root, in.Root, CodeWrongRoot},
		{"stage", s.Stage, in.Stage, CodeWrongStage},
	} {
		if c.is != c.want {
			f.add(c.name, "is %q, want %q", c.is, c.want)
			if code == "" {
				code = c.code
			}
		}
	}
	if err := f.err(); err != nil {
		return refuse(code, "%w", err)
	}
	return nil
}
