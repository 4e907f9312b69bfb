package release_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"reflect"
	"slices"
	"testing"

	"gatehouse/internal/release"
)

// fixedKey is the same in every process: fuzzing runs several, which hand each other what they found.
func fixedKey(name string) release.Signer {
	d := sha256.Sum256([]byte(name))
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:]))
}

// FuzzActivation: whatever the store holds, what is accepted is what the keys signed. Its bytes may differ from what was
// signed by nothing but signatures that do not count, and by another s.
func FuzzActivation(f *testing.F) {
	a, b, stranger := fixedKey("a"), fixedKey("b"), fixedKey("stranger")
	one, two := trusting(1, a, b), trusting(2, a, b)
	payload := must(release.Payload(plainActivation()))
	released := must(release.Payload(someRelease()))
	byRelease := must(release.Sign(release.KindRelease, released, a))
	for _, doc := range []string{
		signed(payload, a), signed(payload, a, b), signed(payload, a, stranger), signed(payload, stranger), document(payload),
		document(released, byRelease), document(payload, byRelease), document(released, forge(header(kid(a), "activation"), released, a)),
		string(payload), "{}", "",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, _, err := (release.Trust{}).Activation(doc, here); code(err) == "" {
			t.Error("accepted, and nobody is trusted")
		}
		for _, trust := range []release.Trust{one, two} {
			got, signers, err := trust.Activation(doc, here)
			if err != nil {
				if !slices.Contains(codes, code(err)) || signers != nil || !reflect.DeepEqual(got, release.Activation{}) {
					t.Errorf("%v, by %q", err, signers)
				}
				continue
			}
			if !reflect.DeepEqual(got, plainActivation()) || len(signers) < trust.Threshold() {
				t.Errorf("%+v by %q", got, signers)
			}
			for _, id := range signers {
				if id != kid(a) && id != kid(b) {
					t.Errorf("signed by %s", id)
				}
			}
		}
	})
}

var codes = []string{
	release.CodeMalformed, release.CodeWrongKind, release.CodeWrongAccount, release.CodeWrongRoot, release.CodeWrongStage,
	release.CodeSignatureMissing, release.CodeSignatureInvalid, release.CodeBelowThreshold,
}

// FuzzParseStatement: what is read is spelled as it was.
func FuzzParseStatement(f *testing.F) {
	for _, statement := range []any{someRelease(), someActivation(), plainActivation(), largestActivation()} {
		f.Add(must(release.Payload(statement)))
	}
	f.Add([]byte(`{"kind":"activation"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := release.ParseRelease(payload)
		again(t, payload, r, err)
		a, err2 := release.ParseActivation(payload)
		again(t, payload, a, err2)
		if err == nil && err2 == nil {
			t.Error("both a release and an activation")
		}
	})
}

func again(t *testing.T, payload []byte, statement any, err error) {
	t.Helper()
	if err != nil {
		if !slices.Contains(codes, code(err)) {
			t.Error(err)
		}
		return
	}
	spelled, err := release.Payload(statement)
	if err != nil || !bytes.Equal(spelled, payload) {
		t.Errorf("%s\n%s\n%v", payload, spelled, err)
	}
}

// FuzzParseSignature: what is read has a key, and can be put in a statement, which is read again.
func FuzzParseSignature(f *testing.F) {
	a := fixedKey("a")
	payload := must(release.Payload(someRelease()))
	f.Add(marshal(must(release.Sign(release.KindRelease, payload, a))))
	f.Add([]byte(`{"protected":"e30","signature":""}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := release.ParseSignature(doc)
		if err != nil {
			return
		}
		if !bytes.Equal(marshal(s), doc) {
			t.Errorf("%s\n%s", doc, marshal(s))
		}
		if id, err := s.KeyID(); err != nil || len(id) != 43 {
			t.Errorf("%q, %v", id, err)
		}
		if _, err := release.Assemble(payload, []release.Signature{s}); err != nil {
			t.Error(err)
		}
	})
}

// FuzzKeys: what is trusted are keys on the curve under their own ids, none of them twice, and spelling them makes a set that
// is read as the same.
func FuzzKeys(f *testing.F) {
	doc, other := must(release.GenerateKey()), must(release.GenerateKey())
	for _, seed := range [][]byte{doc, marshal(half(doc, nil)), set(half(doc, nil), half(other, nil)), set(members(doc, nil)), set(half(doc, nil), half(doc, nil)), []byte(`{"keys":[]}`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		keys, err := release.PublicKeys(doc)
		trust, trustErr := release.ParseTrust(doc, 1)
		if trustErr == nil && err != nil {
			t.Errorf("trusted, and no key can be read: %v", err)
		}
		if key, err := release.ParseKey(doc); err == nil && (len(keys) != 1 || !keys[0].Equal(key.Public())) {
			t.Error("a private key, and its public half cannot be read")
		}
		if err != nil {
			return
		}
		jwks, err := release.PublicJWKS(keys...)
		if err != nil {
			t.Fatal(err)
		}
		same, err := release.ParseTrust(jwks, 1)
		if err != nil || len(same.KeyIDs()) != len(keys) || trustErr == nil && !slices.Equal(same.KeyIDs(), trust.KeyIDs()) {
			t.Errorf("%s\n%s\n%v", doc, jwks, err)
		}
	})
}
