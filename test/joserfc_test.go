package test

import (
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer/token"
	"gatehouse/internal/issuer"
)

// interpreter is the Python that has what tools/requirements.txt pins: joserfc, the JOSE library that signs and verifies
// beside us.
const interpreter = "../tools/venv/bin/python"

// oracle is test/issuers/oracle.py, running.
type oracle struct{ *child }

func startOracle(t *testing.T) oracle {
	t.Helper()
	if _, err := os.Stat("../tools/venv/.made"); err != nil {
		t.Fatalf("the Python packages of tools/requirements.txt are not installed: run `make tools` (%v)", err)
	}
	return oracle{start(t, interpreter, []string{"issuers/oracle.py"}, "PYTHONWARNINGS=ignore")}
}

// signing is what the oracle is to sign: claims, or any text.
type signing struct {
	Alg    string         `json:"alg"`
	Kid    string         `json:"kid"`
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims,omitempty"`
	Text   string         `json:"text,omitempty"`
}

// signed is a token and the public key that verifies it.
type signed struct {
	Token string          `json:"token"`
	JWK   json.RawMessage `json:"jwk"`
}

func (o oracle) sign(t *testing.T, s signing) signed {
	t.Helper()
	var out signed
	o.ask(t, map[string]any{"sign": s}, &out)
	return out
}

// valid says whether joserfc finds that a key of the set signed the token.
func (o oracle) valid(t *testing.T, token string, jwks json.RawMessage, alg string) bool {
	t.Helper()
	var out struct {
		Valid bool
		Why   string
	}
	o.ask(t, map[string]any{"verify": map[string]any{"token": token, "jwks": jwks, "alg": alg}}, &out)
	if !out.Valid && out.Why == "" {
		t.Fatalf("%s: neither valid nor why not", o.name)
	}
	return out.Valid
}

// asDER writes an ECDSA signature as ASN.1, as TLS has it and JOSE must not (RFC 7518 section 3.4).
func asDER(t *testing.T, signature []byte) []byte {
	half := len(signature) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What joserfc signs we accept, and what is not signed so we refuse, with every algorithm.
func TestTokensMadeByJoserfc(t *testing.T) {
	const tenant = "https://joserfc.eu.auth0.com/"
	o := startOracle(t)
	claims := map[string]any{
		"iss": tenant, "sub": "auth0|cust", "aud": []string{apiAudience, tenant + "userinfo"}, "azp": "spa",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "scope": "read:orders", "permissions": []string{"read:orders"},
	}
	person := principal{
		Issuer: tenant, Subject: "auth0|cust", ClientID: "spa",
		Audience: []string{apiAudience, tenant + "userinfo"}, Scopes: []string{"read:orders"}, Permissions: []string{"read:orders"},
	}
	header := map[string]any{"typ": "JWT"}
	made, keys := map[string]string{}, []json.RawMessage{}
	for _, alg := range everyAlgorithm {
		s := o.sign(t, signing{Alg: alg, Kid: alg, Header: header, Claims: claims})
		made[alg], keys = s.Token, append(keys, s.JWK)
	}
	jwks, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	g := guard(t, trust(t, map[string]any{"pinned": true, "jwks": json.RawMessage(jwks)}, map[string]any{"issuer": tenant}))
	for _, alg := range everyAlgorithm {
		t.Run(alg, func(t *testing.T) {
			g.ask(t, made[alg]).want(t, codeAllowed, person)
			another := o.sign(t, signing{Alg: alg, Kid: "another-" + alg, Header: map[string]any{"typ": "JWT", "kid": alg}, Claims: claims})
			g.ask(t, another.Token).want(t, token.CodeSignatureInvalid, principal{})
			nested := o.sign(t, signing{Alg: alg, Kid: alg, Header: header, Text: made[alg]})
			g.ask(t, nested.Token).want(t, token.CodeMalformed, principal{})
			if strings.HasPrefix(alg, "ES") {
				g.ask(t, signatureWith(asDER)(t, made[alg])).want(t, token.CodeSignatureInvalid, principal{})
			}
			for _, other := range everyAlgorithm {
				if other != alg {
					g.ask(t, headerWith("alg", other)(t, made[alg])).want(t, token.CodeAlgNotAllowed, principal{})
					g.ask(t, headerWith("kid", other)(t, made[alg])).want(t, token.CodeAlgNotAllowed, principal{})
				}
			}
		})
	}
	if err := o.wait(t); err != nil {
		t.Errorf("%s ended with %v", o.name, err)
	}
}

// Of tokens that our own issuer and the two others sign, joserfc and we say the same: who signed what.
func TestJoserfcAgreesAboutEveryIssuer(t *testing.T) {
	o := startOracle(t)
	type source struct {
		issuer string
		tokens map[string]string // by algorithm
		jwks   json.RawMessage
	}
	sources := map[string]source{}

	const local = "http://127.0.0.1:8789/"
	dir := t.TempDir()
	minted, err := exec.Command(gatehouse(t), "token", "--keys", dir, "--issuer", local, "--sub", "auth0|cust", "--audience", apiAudience, "--permissions", "read:orders").Output()
	if err != nil {
		t.Fatalf("gatehouse token: %v", err)
	}
	key, err := issuer.LoadOrCreateKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	sources["gatehouse token"] = source{local, map[string]string{"RS256": strings.TrimSpace(string(minted))}, key.Public()}
	for _, name := range foreignIssuers {
		f := startIssuer(t, name)
		s := source{f.state.Issuer, map[string]string{}, f.keys(t)}
		for _, alg := range everyAlgorithm {
			s.tokens[alg] = f.clientCredentials(t, mint{Alg: alg}, apiAudience)
		}
		sources[name] = s
	}

	var trusted []map[string]any
	for _, s := range sources {
		trusted = append(trusted, map[string]any{"issuer": s.issuer, "pinned": true, "jwks": s.jwks})
	}
	g := guard(t, trust(t, nil, trusted...))
	edits := map[string]edit{
		"as issued":          func(_ *testing.T, token string) string { return token },
		"tampered payload":   claimWith("scope", "read:orders admin:users"),
		"tampered header":    headerWith("x5t", "AAAA"),
		"tampered signature": signatureWith(flipBit),
		"no last byte":       signatureWith(func(_ *testing.T, s []byte) []byte { return s[:len(s)-1] }),
		"a byte too many":    signatureWith(func(_ *testing.T, s []byte) []byte { return append(s, 0) }),
		"zeros":              signatureWith(func(_ *testing.T, s []byte) []byte { return make([]byte, len(s)) }),
	}
	for name, s := range sources {
		for alg, issued := range s.tokens {
			for what, change := range edits {
				t.Run(name+"/"+alg+"/"+what, func(t *testing.T) {
					changed := change(t, issued)
					want := map[bool]string{true: codeAllowed, false: token.CodeSignatureInvalid}[changed == issued]
					v := g.ask(t, changed)
					if v.code != want {
						t.Errorf("we say %s, want %s", v.code, want)
					}
					if theirs := o.valid(t, changed, s.jwks, alg); theirs != (v.code == codeAllowed) {
						t.Errorf("we say %s, joserfc says valid: %t", v.code, theirs)
					}
				})
			}
		}
	}
}
