package token

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

// Wycheproof's vectors have payloads that are no claims, so they go through the layer below the claims: shape, header,
// key and signature, the same functions in the same order as in Authenticate.
func signatureLayer(raw string, jwks []byte) ([]byte, error) {
	algorithms := []string{"RS256"}
	c, err := parseCompact(raw)
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
	noRS256   = "its algorithm is not configured"
	noPayload = "an empty payload holds no claims (rule 3)"
	alphabet  = "a character outside base64url (rule 4); the label allows for decoders that skip it"
	roca      = "a ROCA key (CVE-2017-15361) shows only in the structure of its modulus; keys come from the issuer alone"
)

// wycheproofDiffers are exactly the vectors that end otherwise than their label says, by file and tcId, and why.
var wycheproofDiffers = map[string]map[int]string{
	"signature": {
		1: noRS256, 18: noRS256, 259: noPayload,
		264: noPayload, 265: noRS256, 266: noRS256, 267: noRS256,
		268: noPayload, 269: noRS256, 270: noRS256, 271: noRS256,
		272: noPayload, 273: noRS256, 274: noRS256, 275: noRS256, 287: noRS256, 288: noRS256,
		320: noPayload, 321: noRS256, 322: noRS256, 323: noRS256,
		325: noPayload, 326: noRS256, 327: noRS256, 328: noRS256,
		346: noRS256, 347: noRS256, 348: noRS256, 350: noRS256, 351: noRS256, 352: noRS256,
		357: noRS256, 358: noRS256, 359: noRS256, 372: alphabet, 373: alphabet, 376: noRS256, 377: noRS256,
		378: noRS256,
	},
	"key": {2: noRS256, 7: roca, 13: noRS256, 14: noRS256, 15: noRS256},
}

// unfitKeys are the groups whose key must be dropped whatever is signed with it: some of their vectors have an empty
// payload and would be refused before the key is looked at.
var unfitKeys = []string{
	"rsa_encryption", "ec_key_for_encryption", "keysize_too_small", "exponentOne", "wrong_algorithm", "invalid_algorithm",
	"invalid_use", "invalid_point", "wrong_curve", "wrong_kty", "HS256", "HS384", "HS512", "jws_mixedSymmetryKeyset",
	"jws_duplicate_kid", "invalid_aes_gcm_key", "invalid_aes_kw_key",
}

func TestWycheproof(t *testing.T) {
	for name, tried := range map[string]struct{ all, rs256 int }{"signature": {401, 231}, "key": {26, 5}} {
		t.Run(name, func(t *testing.T) {
			doc, err := fs.ReadFile(wycheproof.TestVectors, "json_web_"+name+"_test.json")
			if err != nil {
				t.Fatal(err)
			}
			var v vectors
			if err := json.Unmarshal(doc, &v); err != nil {
				t.Fatal(err)
			}
			all, rs256, differs := 0, 0, map[int]bool{}
			for _, g := range v.TestGroups {
				jwks := g.jwks()
				if _, err := parseKeys(jwks, []string{"RS256"}); err == nil && slices.Contains(unfitKeys, g.Comment) {
					t.Errorf("group %s: its key is taken", g.Comment)
				}
				accepted := 0
				for _, test := range g.Tests {
					raw := string(test.JWS) // a JSON serialisation
					_ = json.Unmarshal(test.JWS, &raw)
					all++
					if isRS256(raw) {
						rs256++
					}
					payload, err := signatureLayer(raw, jwks)
					if err == nil {
						accepted++
						if !isRS256(raw) || len(payload) == 0 {
							t.Errorf("tc%d: accepted, RS256 %t, payload of %d bytes", test.TcID, isRS256(raw), len(payload))
						}
					}
					if as := test.Result == "valid"; (err == nil) != as {
						differs[test.TcID] = true
						if why := wycheproofDiffers[name][test.TcID]; why == "" {
							t.Errorf("tc%d (%s, %s) is labelled %s: %v", test.TcID, g.Comment, test.Comment, test.Result, err)
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
			t.Logf("tried %d, of which RS256 %d", all, rs256)
			if all != tried.all || rs256 != tried.rs256 {
				t.Errorf("tried %d and %d, want %+v", all, rs256, tried)
			}
		})
	}
}

func isRS256(raw string) bool {
	header, _, _ := strings.Cut(raw, ".")
	b, err := strict.DecodeString(header)
	return err == nil && strings.Contains(string(b), `"RS256"`)
}
