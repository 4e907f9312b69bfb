package release

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// The one algorithm (RFC 7518 §3.4), and the length of its signatures: r and s, 32 bytes each.
const (
	algorithm     = "ES256"
	signatureSize = 64
)

// MaxSignatures is how many signatures fit beside every activation whose root needs no escapes. Beside a smaller one more
// fit; [Assemble] says when they do not.
const MaxSignatures = 7

// types are the typ of each kind's signatures (RFC 7515 §4.1.9): what is signed for one kind is not for another, even
// before its payload is read.
var types = map[string]string{KindRelease: "gatehouse-release+json", KindActivation: "gatehouse-activation+json"}

// strict takes only the URL-safe alphabet, no padding, and no unused trailing bits that are not zero (RFC 4648 §3.5, §5).
// But it skips CR and LF.
var strict = base64.RawURLEncoding.Strict()

// decodeBase64 is strict without line breaks: where some were skipped, the text is longer than its bytes need.
func decodeBase64(text string) ([]byte, bool) {
	b, err := strict.DecodeString(text)
	return b, err == nil && strict.EncodedLen(len(b)) == len(text)
}

// protect spells the one protected header that a key's signature over a statement of a kind can have.
func protect(kid, kind string) string {
	return strict.EncodeToString(fmt.Appendf(nil, `{"alg":"%s","kid":"%s","typ":"%s"}`, algorithm, kid, types[kind]))
}

// header is every member that a protected header has. None could change what is signed or by what.
type header struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

// opened is a signature whose two members were read strictly. Nobody has verified it.
type opened struct {
	kid, kind string
	raw       []byte
}

func (s Signature) open() (o opened, err error) {
	protected, ok := decodeBase64(s.Protected)
	if !ok {
		return o, errors.New("protected is not canonical base64url")
	}
	var h header
	if err := json.Unmarshal(protected, &h, json.RejectUnknownMembers(true)); err != nil {
		return o, fmt.Errorf("protected: want alg, kid and typ alone: %w", err)
	}
	if h.Alg != algorithm {
		return o, fmt.Errorf("protected: alg is %q, want %s", h.Alg, algorithm)
	}
	if thumbprint, ok := decodeBase64(h.Kid); !ok || len(thumbprint) != sha256.Size {
		return o, fmt.Errorf("protected: kid is %q, want a thumbprint of RFC 7638", h.Kid)
	}
	for kind, typ := range types {
		if typ == h.Typ {
			o.kind = kind
		}
	}
	if o.kind == "" {
		return o, fmt.Errorf("protected: typ is %q, want that of a statement", h.Typ)
	}
	o.kid = h.Kid
	if protect(o.kid, o.kind) != s.Protected {
		return o, errors.New("protected: not in its one spelling (members in order, no white space, no needless escape)")
	}
	if o.raw, ok = decodeBase64(s.Signature); !ok || len(o.raw) != signatureSize {
		return o, fmt.Errorf("signature: not %d bytes in canonical base64url", signatureSize)
	}
	return o, nil
}

// KeyID gives the id of the key that the signature names. Whether that key made it is for [Trust] to say.
func (s Signature) KeyID() (string, error) {
	o, err := s.open()
	if err != nil {
		return "", refuse(CodeMalformed, "%w", err)
	}
	return o.kid, nil
}

// ParseSignature reads {"protected":…,"signature":…}: strictly, and only as json.Marshal spells it.
func ParseSignature(doc []byte) (Signature, error) {
	var s Signature
	if len(doc) > MaxStatement {
		return Signature{}, refuse(CodeMalformed, "signature: %d bytes, at most %d", len(doc), MaxStatement)
	}
	if err := json.Unmarshal(doc, &s, json.RejectUnknownMembers(true)); err != nil {
		return Signature{}, refuse(CodeMalformed, "signature: %w", err)
	}
	if _, err := s.open(); err != nil {
		return Signature{}, refuse(CodeMalformed, "signature: %w", err)
	}
	if spelled, err := json.Marshal(s); err != nil || !bytes.Equal(spelled, doc) {
		return Signature{}, refuse(CodeMalformed, "signature: not in its one spelling (members in order, no white space, no needless escape)")
	}
	return s, nil
}

// signed is what a signature is over (RFC 7515 §5.1).
func (s Signature) signed(payload []byte) []byte {
	return strict.AppendEncode([]byte(s.Protected+"."), payload)
}

// es256 is always there: jwx has it built in.
var es256, _ = jws.NewVerifier(jwa.ES256)

// verify checks the signature over the very bytes that were read, with one key, once. jws.Verify is not asked: it would
// choose by what the header says, and hash its own re-encoding.
func (s Signature) verify(raw, payload []byte, public *ecdsa.PublicKey) error {
	return es256.Verify(s.signed(payload), raw, public)
}

// Sign signs the payload of a statement of a kind, which must be one: no signature is ever made over anything else. What
// the key answers is verified before it is given.
func Sign(kind string, payload []byte, key Signer) (Signature, error) {
	var err error
	switch kind {
	case KindRelease:
		_, err = ParseRelease(payload)
	case KindActivation:
		_, err = ParseActivation(payload)
	default:
		err = refuse(CodeWrongKind, "kind is %q, want %q or %q", kind, KindRelease, KindActivation)
	}
	if err != nil {
		return Signature{}, fmt.Errorf("sign: %w", err)
	}
	public, _ := key.Public().(*ecdsa.PublicKey)
	kid := KeyID(public)
	if kid == "" {
		return Signature{}, fmt.Errorf("sign: the key is a %T, want one of ECDSA on P-256", key.Public())
	}
	s := Signature{Protected: protect(kid, kind)}
	der, err := crypto.SignMessage(key, rand.Reader, s.signed(payload), crypto.SHA256)
	if err != nil {
		return Signature{}, fmt.Errorf("sign: key %s: %w", kid, err)
	}
	raw, err := rawSignature(der)
	if err == nil {
		err = s.verify(raw, payload, public)
	}
	if err != nil {
		return Signature{}, fmt.Errorf("sign: key %s: what it answered is no signature of it: %w", kid, err)
	}
	s.Signature = strict.EncodeToString(raw)
	return s, nil
}

// rawSignature makes of the two ASN.1 integers that a crypto.Signer answers (RFC 3279 §2.2.3) the two of fixed length that
// RFC 7518 §3.4 wants: in DER a small r or s is shorter, and one with its highest bit set is longer. The signer of jwx is
// not asked: an integer of more than 32 bytes makes it panic, and it takes bytes after the signature.
func rawSignature(der []byte) ([]byte, error) {
	var p struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &p); err != nil {
		return nil, err
	}
	const half = signatureSize / 2
	spelled, err := asn1.Marshal(p) // what is read may have more in it, and after it
	if err != nil || !bytes.Equal(spelled, der) || p.R.Sign() <= 0 || p.S.Sign() <= 0 || p.R.BitLen() > 8*half || p.S.BitLen() > 8*half {
		return nil, errors.New("not two positive integers of 256 bits, and nothing else")
	}
	raw := make([]byte, signatureSize)
	p.R.FillBytes(raw[:half])
	p.S.FillBytes(raw[half:])
	return raw, nil
}

// assembled is a statement with its signatures: a JWS in the general JSON serialisation (RFC 7515 §7.2.1), without
// unprotected headers.
type assembled struct {
	Payload    string      `json:"payload"` // base64url
	Signatures []Signature `json:"signatures"`
}

// Assemble puts a payload and its signatures together, sorted by key id: the same ones are the same bytes. It refuses two
// by one key, and what [MaxStatement] does not hold. It verifies nothing.
func Assemble(payload []byte, sigs []Signature) ([]byte, error) {
	if len(sigs) == 0 {
		return nil, refuse(CodeSignatureMissing, "assemble: no signatures")
	}
	doc, err := assemble(payload, sigs)
	if err != nil {
		return nil, refuse(CodeMalformed, "assemble: %w", err)
	}
	if len(doc) > MaxStatement {
		return nil, refuse(CodeMalformed, "assemble: %d bytes with %d signatures, at most %d", len(doc), len(sigs), MaxStatement)
	}
	return doc, nil
}

func assemble(payload []byte, sigs []Signature) ([]byte, error) {
	type named struct {
		kid string
		Signature
	}
	list := make([]named, len(sigs))
	for n, s := range sigs {
		o, err := s.open()
		if err != nil {
			return nil, fmt.Errorf("signatures[%d]: %w", n, err)
		}
		list[n] = named{o.kid, s}
	}
	slices.SortFunc(list, func(a, b named) int { return cmp.Compare(a.kid, b.kid) })
	doc := assembled{Payload: strict.EncodeToString(payload)}
	for n, s := range list {
		if n > 0 && s.kid == list[n-1].kid {
			return nil, fmt.Errorf("signatures: two by key %s", s.kid)
		}
		doc.Signatures = append(doc.Signatures, s.Signature)
	}
	return json.Marshal(doc)
}

// disassemble reads what [Assemble] gives and nothing else. A list without signatures is read: that is a statement, and
// nobody signed it.
func disassemble(doc []byte) (payload []byte, sigs []Signature, err error) {
	if len(doc) > MaxStatement {
		return nil, nil, fmt.Errorf("%d bytes, at most %d", len(doc), MaxStatement)
	}
	var a assembled
	if err := json.Unmarshal(doc, &a, json.RejectUnknownMembers(true)); err != nil {
		return nil, nil, err
	}
	payload, ok := decodeBase64(a.Payload)
	if !ok {
		return nil, nil, errors.New("payload is not canonical base64url")
	}
	spelled, err := assemble(payload, a.Signatures)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(spelled, doc) {
		return nil, nil, errors.New("not in its one spelling (members in order, signatures by kid, no white space, no null)")
	}
	return payload, a.Signatures, nil
}
