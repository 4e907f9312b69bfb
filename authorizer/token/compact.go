package token

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"gatehouse/authorizer"
)

// The caps of rule 2, in bytes. API Gateway passes 10,240 bytes of request line and headers to an HTTP API (AWS: "Quotas
// for HTTP APIs"), so a longer token could not be meant.
const (
	maxToken  = 8192
	maxHeader = 1024
	maxKid    = 256
)

// bearer takes the token out of the Authorization values: exactly one value within its cap, the scheme in any case,
// exactly one space (rules 1, 2; RFC 6750 §2.1, RFC 9110 §11.1). API Gateway joins repeated headers with commas, so a comma is a second value.
func bearer(c authorizer.Credentials) (string, error) {
	if len(c) == 0 || len(c) == 1 && c[0] == "" {
		return "", refuse(CodeMissing, "no Authorization value")
	}
	if len(c) > 1 {
		return "", refuse(CodeAuthorization, "%d Authorization values, want 1", len(c))
	}
	if n := len(c[0]); n > len("Bearer ")+maxToken {
		return "", refuse(CodeTooLarge, "an Authorization value of %d bytes, at most %d", n, len("Bearer ")+maxToken)
	}
	scheme, token, ok := strings.Cut(c[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || hasAny(token, " \t,") {
		return "", refuse(CodeAuthorization, `want "Bearer", one space, and one token`)
	}
	return token, nil
}

// hasAny looks for each of a few bytes in turn, which is many times faster than strings.ContainsAny on a text this long.
func hasAny(text, few string) bool {
	for i := range len(few) {
		if strings.IndexByte(text, few[i]) >= 0 {
			return true
		}
	}
	return false
}

// compact is a token whose parts were each read strictly and once. Nothing in it is trusted before verify.
type compact struct {
	alg       string
	kid       string
	typ       string // lower case; absent is ""
	payload   []byte
	signature []byte
	signed    []byte // what the signature is over: the first two parts and the dot between, as received
}

// parseCompact takes the compact serialisation of a JWS (RFC 7515 §7.1) and no other (rules 2 to 9, 12 and 13).
func parseCompact(raw []byte) (compact, error) {
	switch dots := bytes.Count(raw, []byte(".")); {
	case dots == 4:
		return compact{}, refuse(CodeJWE, "encrypted tokens are not supported")
	case dots != 2:
		return compact{}, refuse(CodeMalformed, "%d parts, want 3", dots+1)
	}
	var decoded [3][]byte
	rest := raw
	for i, name := range []string{"header", "payload", "signature"} {
		var part []byte
		part, rest, _ = bytes.Cut(rest, []byte("."))
		b, ok := decodeBase64(part)
		if !ok || len(b) == 0 {
			return compact{}, refuse(CodeMalformed, "%s: empty or not canonical base64url", name)
		}
		decoded[i] = b
	}
	c := compact{payload: decoded[1], signature: decoded[2], signed: raw[:bytes.LastIndexByte(raw, '.')]}
	return c, c.readHeader(decoded[0])
}

// strict takes only the URL-safe alphabet, no padding, and no unused trailing bits that are not zero (RFC 4648 §3.5, §5).
// But it skips CR and LF.
var strict = base64.RawURLEncoding.Strict()

// decodeBase64 is strict without line breaks: where some were skipped, the text is longer than its bytes need (rules 4, 5).
func decodeBase64(text []byte) ([]byte, bool) {
	b, err := strict.AppendDecode(nil, text)
	return b, err == nil && strict.EncodedLen(len(b)) == len(text)
}

// headerNames is every header member that is taken (rule 9). None of them can change what the token means: no key, no
// address of a key, no extension, no compression, no nesting.
var headerNames = []string{"alg", "kid", "typ", "x5t", "x5t#S256"}

func (c *compact) readHeader(header []byte) error {
	if len(header) > maxHeader {
		return refuse(CodeTooLarge, "header: %d bytes, at most %d", len(header), maxHeader)
	}
	members, err := decodeObject(header, headerLimits)
	if err != nil {
		return refuse(CodeMalformed, "header: %w", quiet(err))
	}
	for name := range members {
		if !slices.Contains(headerNames, name) {
			return refuse(CodeHeaderNotAllowed, "header: only %s are allowed", strings.Join(headerNames, ", "))
		}
	}
	for _, name := range []string{"x5t", "x5t#S256"} {
		if v, ok := members[name]; ok {
			if _, ok := v.(string); !ok {
				return refuse(CodeHeaderNotAllowed, "header: %s is %s", name, kindOf(v))
			}
		}
	}
	var ok bool
	if c.alg, ok = members["alg"].(string); !ok {
		return refuse(CodeAlgNotAllowed, "header: alg is %s", kindOf(members["alg"]))
	}
	if c.kid, ok = members["kid"].(string); !ok || c.kid == "" || len(c.kid) > maxKid {
		return refuse(CodeKidInvalid, "header: want kid as a string of 1 to %d bytes", maxKid)
	}
	if typ, present := members["typ"]; present {
		text, ok := typ.(string)
		if !ok || text == "" {
			return refuse(CodeTypNotAllowed, "header: typ is %s", kindOf(typ))
		}
		c.typ = strings.ToLower(text)
	}
	return nil
}

// typesOf are the media types of a profile's access tokens, in lower case; "" is an absent typ (rule 14; RFC 9068 §4,
// Auth0: "Access Token Profiles").
var typesOf = map[Profile][]string{
	ProfileAuth0:   {"", "jwt", "at+jwt", "application/at+jwt"},
	ProfileRFC9068: {"at+jwt", "application/at+jwt"},
}

// allowed checks the header against an issuer's algorithms and profile (rules 10, 14).
func (c compact) allowed(algorithms []string, p Profile) error {
	if !slices.Contains(algorithms, c.alg) {
		return refuse(CodeAlgNotAllowed, "header: alg is not one of %s", strings.Join(algorithms, ", "))
	}
	if !slices.Contains(typesOf[p], c.typ) {
		return refuse(CodeTypNotAllowed, "header: typ does not name an access token of profile %s", p)
	}
	return nil
}

// verify checks the signature over the bytes that were received, with one key, once (rules 11, 18, 21). jws.Verify is not
// asked: it hashes its own re-encoding of the header, and takes one that had white space put round it after signing.
func (c compact) verify(k *key) error {
	if c.alg != k.alg {
		return refuse(CodeAlgNotAllowed, "header: alg is not the key's")
	}
	if err := k.verifier.Verify(c.signed, c.signature, k.public); err != nil {
		return refuse(CodeSignatureInvalid, "not signed by the issuer's key")
	}
	return nil
}
