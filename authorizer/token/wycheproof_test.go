package token

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

// Wycheproof's vectors have payloads that are no claims, so they go through the layer below the claims: shape, header,
// key and signature, the same functions in the same order as in Authenticate.
// Every algorithm is configured.
func signatureLayer(raw string, jwks []byte) ([]byte, error) {
	algorithms := signatureAlgorithms
	c, err := parseCompact([]byte(raw))
	if err != nil {
		return nil, err
	}
	if err := c.allowed(algorithms, ProfileAuth0); err != nil {
		return nil, err
	}
	keys, err := parseKeys(jwks, algorithms)
	if err != nil {
		return nil, err
	}
	k, ok := keys[c.kid]
	if !ok {
		return nil, errKidUnknown
	}
	return c.payload, c.verify(k)
}

type vectors struct{ TestGroups []vectorGroup }

type vectorGroup struct {
	Comment string
	Public  json.RawMessage // a JWK or a JWKS
	Private json.RawMessage // likewise; all there is for symmetric keys
	Tests   []struct {
		TcID    int
		Comment string
		Result  string
		JWS     json.RawMessage
	}
}

func (g vectorGroup) jwks() []byte {
	k := g.Public
	if k == nil {
		k = g.Private
	}
	if strings.Contains(string(k), `"keys"`) {
		return k
	}
	return []byte(`{"keys":[` + string(k) + `]}`)
}

const (
	symmetric = "HS256, HS384 and HS512 are symmetric (rule 10)"
	unknown   = "its algorithm is not one that can be configured"
	noPayload = "an empty payload holds no claims (rule 3)"
	alphabet  = "a character outside base64url (rule 4); the label allows for decoders that skip it"
	roca      = "a ROCA key (CVE-2017-15361) shows only in the structure of its modulus; keys come from the issuer alone"
)

// wycheproofDiffers are exactly the vectors that end otherwise than their label says, by file and tcId, and why.
var wycheproofDiffers = map[string]map[int]string{
	"signature": {
		1: symmetric, 259: noPayload,
		264: noPayload, 265: unknown, 266: unknown, 267: unknown,
		268: noPayload, 269: unknown, 270: unknown, 271: unknown, 272: noPayload,
		320: noPayload, 321: unknown, 322: unknown, 323: unknown,
		325: noPayload, 326: unknown, 327: unknown, 328: unknown,
		346: unknown, 347: unknown, 348: symmetric, 350: unknown, 351: unknown, 352: symmetric,
		357: symmetric, 358: symmetric, 359: symmetric, 372: alphabet, 373: alphabet, 376: symmetric, 377: symmetric,
	},
	"key":    {2: symmetric, 7: roca, 13: symmetric, 14: symmetric, 15: symmetric},
	"crypto": {1: symmetric, 46: roca, 48: symmetric},
}

// unfitKeys are the groups whose key must be dropped whatever is signed with it: some of their vectors have an empty
// payload and would be refused before the key is looked at.
var unfitKeys = []string{
	"rsa_encryption", "ec_key_for_encryption", "keysize_too_small", "exponentOne", "wrong_algorithm", "invalid_algorithm",
	"invalid_use", "invalid_point", "wrong_curve", "wrong_kty", "HS256", "HS384", "HS512",
	"jws_duplicate_kid", "invalid_aes_gcm_key", "invalid_aes_kw_key",
}

func TestWycheproof(t *testing.T) {
	for name, want := range map[string]map[string]int{
		"signature": {"": 401, "RS256": 231, "PS256": 49, "ES256": 35},
		"key":       {"": 26, "RS256": 5, "ES256": 6},
		"crypto":    {"": 49, "RS256": 9, "ES256": 9},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := fs.ReadFile(wycheproof.TestVectors, "json_web_"+name+"_test.json")
			if err != nil {
				t.Fatal(err)
			}
			var v vectors
			if err := json.Unmarshal(doc, &v); err != nil {
				t.Fatal(err)
			}
			tried, differs := map[string]int{}, map[int]bool{}
			for _, g := range v.TestGroups {
				jwks := g.jwks()
				if _, err := parseKeys(jwks, signatureAlgorithms); err == nil && slices.Contains(unfitKeys, g.Comment) {
					t.Errorf("group %s: its key is taken", g.Comment)
				}
				accepted := 0
				for _, test := range g.Tests {
					if test.JWS == nil { // a JWE
						continue
					}
					raw := string(test.JWS) // a JSON serialisation
					_ = json.Unmarshal(test.JWS, &raw)
					alg := algorithmOf(raw)
					tried[""]++
					if alg != "" {
						tried[alg]++
					}
					payload, err := signatureLayer(raw, jwks)
					if err == nil {
						accepted++
						if alg == "" || len(payload) == 0 {
							t.Errorf("tc%d: accepted, of no algorithm of ours, or with no payload", test.TcID)
						}
					}
					if as := test.Result == "valid"; (err == nil) != as {
						differs[test.TcID] = true
						if why := wycheproofDiffers[name][test.TcID]; why == "" {
							t.Errorf("tc%d (%s, %s) is labelled %s: %v", test.TcID, g.Comment, test.Comment, test.Result, err)
						} else if err == nil && why != roca {
							t.Errorf("tc%d (%s, %s): an invalid one is accepted", test.TcID, g.Comment, test.Comment)
						}
					}
				}
				t.Logf("%-25s tried %3d accepted %d refused %d", g.Comment, len(g.Tests), accepted, len(g.Tests)-accepted)
			}
			for id, why := range wycheproofDiffers[name] {
				if !differs[id] {
					t.Errorf("tc%d ends as it is labelled, although: %s", id, why)
				}
			}
			if !maps.Equal(tried, want) {
				t.Errorf("tried %v, want %v", tried, want)
			}
		})
	}
}

// algorithmOf is the one of ours that a vector's header names; "" is none.
func algorithmOf(raw string) string {
	header, _, _ := strings.Cut(raw, ".")
	b, err := strict.DecodeString(header)
	if err != nil {
		return ""
	}
	for _, alg := range signatureAlgorithms {
		if strings.Contains(string(b), `"`+alg+`"`) {
			return alg
		}
	}
	return ""
}

// TestWycheproofSignatures tries the vectors of the algorithms themselves: Wycheproof has no JWS of ES384 or EdDSA, and
// fewer of the others. A file that is for none of our algorithms, a salt of another length say, must be refused whole.
func TestWycheproofSignatures(t *testing.T) {
	for _, c := range []struct {
		file, alg    string
		valid, wrong int // so many are accepted, and so many are not
	}{
		{"rsa_signature_2048_sha256", "RS256", 9, 250},
		{"rsa_signature_3072_sha256", "RS256", 8, 251},
		{"rsa_pss_2048_sha256_mgf1_32", "PS256", 63, 45},
		{"rsa_pss_2048_sha256_mgf1_0", "", 1, 102}, // the one is "s_len changed to 32", which is what we want
		{"rsa_pss_2048_sha256_mgf1sha1_20", "", 0, 108},
		{"ecdsa_secp256r1_sha256_p1363", "ES256", 173, 89},
		{"ecdsa_secp256r1_sha256", "", 0, 484}, // DER
		{"ecdsa_secp384r1_sha384_p1363", "ES384", 193, 87},
		{"ed25519", "EdDSA", 88, 63},
	} {
		t.Run(c.file, func(t *testing.T) {
			var v struct {
				TestGroups []struct {
					PublicKeyPem string
					Tests        []struct {
						TcID            int
						Comment, Result string
						Msg, Sig        string
					}
				}
			}
			doc := must(fs.ReadFile(wycheproof.TestVectors, c.file+"_test.json"))
			if err := json.Unmarshal(doc, &v); err != nil {
				t.Fatal(err)
			}
			alg := c.alg
			if alg == "" {
				alg = map[byte]string{'r': "PS256", 'e': "ES256"}[c.file[0]]
			}
			valid, wrong := 0, 0
			for _, g := range v.TestGroups {
				block, _ := pem.Decode([]byte(g.PublicKeyPem))
				public := must(x509.ParsePKIXPublicKey(block.Bytes))
				keys, err := parseKeys([]byte(jwksOf(jwkOfPublic("k", alg, public))), signatureAlgorithms)
				if err != nil {
					t.Fatalf("tc%d: %v", g.Tests[0].TcID, err)
				}
				for _, test := range g.Tests {
					err := keys["k"].verifier.Verify(must(hex.DecodeString(test.Msg)), must(hex.DecodeString(test.Sig)), keys["k"].public)
					if err == nil {
						valid++
					} else {
						wrong++
					}
					if as := test.Result == "valid"; c.alg != "" && as != (err == nil) {
						t.Errorf("tc%d (%s) is labelled %s: %v", test.TcID, test.Comment, test.Result, err)
					}
				}
			}
			if valid != c.valid || wrong != c.wrong {
				t.Errorf("%d accepted and %d refused, want %d and %d", valid, wrong, c.valid, c.wrong)
			}
		})
	}
}
