package release

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

func readVectors(t *testing.T, file string, v any) {
	t.Helper()
	doc, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err == nil {
		err = json.Unmarshal(doc, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWycheproofSignatures tries the vectors of ECDSA on P-256: raw ones as they come out of a statement, and those in DER
// by way of what makes raw ones of what a crypto.Signer answers.
func TestWycheproofSignatures(t *testing.T) {
	for _, c := range []struct {
		file         string
		open         func([]byte) ([]byte, error)
		valid, wrong int
	}{
		{"ecdsa_secp256r1_sha256_p1363", func(raw []byte) ([]byte, error) { return raw, nil }, 173, 89},
		{"ecdsa_secp256r1_sha256", rawSignature, 174, 310},
	} {
		var v struct {
			TestGroups []struct {
				PublicKeyPem string
				Tests        []struct {
					TcID                      int
					Comment, Result, Msg, Sig string
				}
			}
		}
		readVectors(t, c.file+"_test.json", &v)
		valid, wrong := 0, 0
		for _, g := range v.TestGroups {
			block, _ := pem.Decode([]byte(g.PublicKeyPem))
			public, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if KeyID(public.(*ecdsa.PublicKey)) == "" {
				t.Fatalf("tc%d: not on P-256", g.Tests[0].TcID)
			}
			for _, test := range g.Tests {
				msg, err1 := hex.DecodeString(test.Msg)
				sig, err2 := hex.DecodeString(test.Sig)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				raw, err := c.open(sig)
				if err == nil {
					err = es256.Verify(msg, raw, public)
				}
				if err == nil {
					valid++
				} else {
					wrong++
				}
				if as := test.Result == "valid"; as != (err == nil) {
					t.Errorf("%s tc%d (%s) is labelled %s: %v", c.file, test.TcID, test.Comment, test.Result, err)
				}
			}
		}
		if valid != c.valid || wrong != c.wrong {
			t.Errorf("%s: %d accepted and %d refused, want %d and %d", c.file, valid, wrong, c.valid, c.wrong)
		}
	}
}

// TestWycheproofForeignSignatures puts every JWS of Wycheproof in a statement's place, those that are good ones as well: no
// other application's signature counts, whatever its header is.
func TestWycheproofForeignSignatures(t *testing.T) {
	var v struct {
		TestGroups []struct {
			Tests []struct {
				TcID int
				JWS  json.RawMessage
			}
		}
	}
	readVectors(t, "json_web_signature_test.json", &v)
	tried := 0
	for _, g := range v.TestGroups {
		for _, test := range g.Tests {
			tried++
			compact := string(test.JWS) // a JSON serialisation
			_ = json.Unmarshal(test.JWS, &compact)
			parts := append(strings.Split(compact, "."), "", "")
			for _, doc := range []string{compact, `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`} {
				if _, _, err := disassemble([]byte(doc)); err == nil {
					t.Errorf("tc%d: read: %s", test.TcID, doc)
				}
			}
			if id, err := (Signature{parts[0], parts[2]}).KeyID(); err == nil {
				t.Errorf("tc%d: by %s", test.TcID, id)
			}
		}
	}
	if tried != 401 {
		t.Errorf("%d vectors, want 401", tried)
	}
}
