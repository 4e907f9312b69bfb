package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
)

var update = flag.Bool("update", false, "write docs/jwt-rules.md anew")

// The outcomes of an example that are not a code.
const (
	accepted      = ""
	configuration = "configuration" // the configuration is refused, so no verifier exists
)

// rule is one numbered rule and the examples that hold it up.
type rule struct {
	number   int
	what     string
	sources  string
	examples []example
}

// example is a change to a request that would be accepted, and what becomes of it.
type example struct {
	name       string
	want       string
	change     func(*setup)
	check      func(*testing.T, authorizer.Principal)
	algorithms []string // it makes sense for; nil is all
}

func bad(name, want string, change func(*setup)) example {
	return example{name, want, change, nil, nil}
}
func good(name string, change func(*setup)) example { return example{name, accepted, change, nil, nil} }

func proves(name string, change func(*setup), check func(*testing.T, authorizer.Principal)) example {
	return example{name, accepted, change, check, nil}
}

// only says that an example makes sense for some algorithms alone.
func only(e example, algorithms ...string) example {
	e.algorithms = algorithms
	return e
}

func forRSA(e example) example { return only(e, "RS256", "PS256") }
func forEC(e example) example  { return only(e, "ES256", "ES384") }
func forEd(e example) example  { return only(e, "EdDSA") }

// all5 configures every algorithm, and serves the issuer's own key a beside one, o, of the next algorithm.
func all5(s *setup) {
	s.issuer()["algorithms"] = signatureAlgorithms
	s.served[testIssuer+defaultJWKS] = jwksOf(jwkOf("a", s.a, nil), jwkOf("o", nextAlgorithm(s), nil))
}

func nextAlgorithm(s *setup) testKey {
	return pairs[signatureAlgorithms[(slices.Index(signatureAlgorithms, s.a.alg)+1)%len(signatureAlgorithms)]]()[0]
}

// signatures changes the signature's bytes.
func signatures(f func(s *setup, sig []byte) []byte) func(*setup) {
	return func(s *setup) {
		part(2, func(p string) string { return b64(f(s, must(strict.DecodeString(p)))) })(s)
	}
}

// halves changes r and s of an ECDSA signature, of a curve with n points.
func halves(f func(r, s, n *big.Int) (*big.Int, *big.Int)) func(*setup) {
	return signatures(func(s *setup, sig []byte) []byte {
		curve := curves[s.a.alg]
		half := len(sig) / 2
		a, b := f(new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:]), curve.Params().N)
		return rs(curve, a, b)
	})
}

// salted signs with a salt of another length.
func salted(n int) func(*setup) {
	return func(s *setup) {
		s.bend = func(token string) string {
			signed := token[:strings.LastIndex(token, ".")]
			sum := sha256.Sum256([]byte(signed))
			return signed + "." + b64(must(rsa.SignPSS(rand.Reader, s.a.rsa(), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: n})))
		}
	}
}

// One change each.
func claim(name string, v any) func(*setup) { return func(s *setup) { s.claims[name] = v } }
func noClaim(name string) func(*setup)      { return func(s *setup) { delete(s.claims, name) } }
func head(name string, v any) func(*setup)  { return func(s *setup) { s.header[name] = v } }
func noHead(name string) func(*setup)       { return func(s *setup) { delete(s.header, name) } }
func rawHead(h string) func(*setup)         { return func(s *setup) { s.rawHeader = h } }
func rawBody(p string) func(*setup)         { return func(s *setup) { s.rawPayload = p } }
func bent(f func(string) string) func(*setup) {
	return func(s *setup) { s.bend = f }
}
func values(f func(string) authorizer.Credentials) func(*setup) {
	return func(s *setup) { s.credentials = f }
}
func issuerSays(name string, v any) func(*setup) { return func(s *setup) { s.issuer()[name] = v } }
func says(name string, v any) func(*setup)       { return func(s *setup) { s.document[name] = v } }
func serves(jwks func(*setup) string) func(*setup) {
	return func(s *setup) { s.served[testIssuer+defaultJWKS] = jwks(s) }
}
func all(changes ...func(*setup)) func(*setup) {
	return func(s *setup) {
		for _, change := range changes {
			change(s)
		}
	}
}

// body is the standard payload with text spliced in at its beginning or put after its end.
func body(before, after string) func(*setup) {
	return func(s *setup) { s.rawPayload = "{" + before + strings.TrimPrefix(marshal(s.claims), "{") + after }
}
func headText(before, after string) func(*setup) {
	return func(s *setup) { s.rawHeader = "{" + before + strings.TrimPrefix(marshal(s.header), "{") + after }
}

// part changes one of the three parts of a signed token.
func part(n int, f func(string) string) func(*setup) {
	return bent(func(token string) string {
		parts := strings.Split(token, ".")
		parts[n] = f(parts[n])
		return strings.Join(parts, ".")
	})
}

func seconds(n int64) int64 { return t0.Unix() + n }

func second(issuer string) jsonObject {
	return jsonObject{"issuer": issuer, "audiences": []any{testAudience}}
}

const customDomain = "https://login.example.com/"

func twoIssuers(s *setup) {
	other := second(customDomain)
	other["algorithms"] = s.issuer()["algorithms"]
	s.document["issuers"] = append(s.document["issuers"].([]any), other)
	s.served = map[string]string{
		testIssuer + defaultJWKS:   jwksOf(jwkOf("a", s.a, nil)),
		customDomain + defaultJWKS: jwksOf(jwkOf("a", s.b, nil)),
	}
}

func rfc9068(s *setup) {
	s.issuer()["profile"] = "rfc9068"
	s.header["typ"] = "at+jwt"
	delete(s.claims, "azp")
	s.claims["client_id"], s.claims["jti"] = "c1", "j1"
}

var rules = []rule{
	{1, "Exactly one Authorization value: `Bearer` in any case, one space, one token; never a token from a cookie, or from a query parameter that policies see", "RFC 6750 §2; RFC 9110 §11.1", []example{
		good("scheme in other case", values(func(t string) authorizer.Credentials { return authorizer.Credentials{"bEARER " + t} })),
		bad("no value", CodeMissing, values(func(string) authorizer.Credentials { return nil })),
		bad("an empty value", CodeMissing, values(func(string) authorizer.Credentials { return authorizer.Credentials{""} })),
		bad("the same value twice", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"Bearer " + t, "Bearer " + t} })),
		bad("two values joined", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"Bearer " + t + ",Bearer " + t} })),
		bad("two spaces", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"Bearer  " + t} })),
		bad("a space after", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"Bearer " + t + " "} })),
		bad("a tab between", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"Bearer\t" + t} })),
		bad("no scheme", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{t} })),
		bad("scheme alone", CodeAuthorization, values(func(string) authorizer.Credentials { return authorizer.Credentials{"Bearer "} })),
		bad("another scheme", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"DPoP " + t} })),
		bad("scheme twice", CodeAuthorization, values(func(t string) authorizer.Credentials { return authorizer.Credentials{"Bearer Bearer " + t} })),
		bad("token_query among the query parameters", configuration, all(says("token_query", "q"), says("query", []any{"q"}))),
		bad("token_subprotocol that no browser can ask for", configuration, says("token_subprotocol", "access token")),
		bad("access_token among the query parameters", configuration, says("query", []any{"access_token"})),
	}},
	{2, "A token has at most 8,192 bytes, its decoded header at most 1,024", "RFC 8725bis (denial of service)", []example{
		bad("a long token", CodeTooLarge, bent(func(t string) string { return t + strings.Repeat("A", maxToken) })),
		bad("a long header", CodeTooLarge, head("kid", strings.Repeat("k", maxHeader))),
		good("a header of just 1,024", func(s *setup) {
			headText(strings.Repeat(" ", maxHeader-len(marshal(s.header))), "")(s)
		}),
	}},
	{3, "Compact serialisation only: three non-empty parts", "RFC 7519 §1, §7.2; RFC 8725bis", []example{
		bad("JSON with one member", CodeMalformed, bent(func(t string) string { return marshal(jsonObject{"payload": t}) })),
		bad("flattened JSON serialisation", CodeAuthorization, bent(func(t string) string {
			p := strings.Split(t, ".")
			return marshal(jsonObject{"protected": p[0], "payload": p[1], "signature": p[2]})
		})),
		bad("two parts", CodeMalformed, bent(func(t string) string { return t[:strings.LastIndex(t, ".")] })),
		bad("four parts", CodeMalformed, bent(func(t string) string { return t + ".AA" })),
		bad("empty header", CodeMalformed, part(0, func(string) string { return "" })),
		bad("empty payload", CodeMalformed, part(1, func(string) string { return "" })),
		bad("empty signature", CodeMalformed, part(2, func(string) string { return "" })),
		bad("dots only", CodeMalformed, bent(func(string) string { return strings.Repeat(".", 8000) })),
	}},
	{4, "Each part holds only `A-Z a-z 0-9 - _`: no padding, no white space", "RFC 7515 §2", []example{
		bad("padding", CodeMalformed, part(0, func(p string) string { return p + "=" })),
		bad("a line feed inside", CodeMalformed, part(1, func(p string) string { return p[:4] + "\n" + p[4:] })),
		bad("a carriage return inside", CodeMalformed, part(2, func(p string) string { return p[:4] + "\r" + p[4:] })),
		bad("standard alphabet", CodeMalformed, part(2, func(p string) string { return "+/" + p[2:] })),
		bad("a NUL inside", CodeMalformed, part(1, func(p string) string { return p[:4] + "\x00" + p[4:] })),
		bad("beyond ASCII", CodeMalformed, part(1, func(p string) string { return "é" + p })),
	}},
	{5, "Strict base64url: unused bits are zero", "RFC 4648 §3.5", []example{
		only(bad("unused bits in the signature", CodeMalformed, part(2, func(p string) string { return p[:len(p)-1] + next(p[len(p)-1]) })),
			"RS256", "PS256", "ES256", "EdDSA"), // the 96 bytes of ES384 leave none
		bad("unused bits in the payload", CodeMalformed, all(body(`"p":"",`, ""), func(s *setup) {
			for len(s.rawPayload)%3 == 0 {
				s.rawPayload += " "
			}
			part(1, func(p string) string { return p[:len(p)-1] + next(p[len(p)-1]) })(s)
		})),
		bad("a part of length 1 mod 4", CodeMalformed, part(0, func(string) string { return "AAAAA" })),
	}},
	{6, "An encrypted token (five parts) is refused with a code of its own", "RFC 8725bis", []example{
		bad("five parts", CodeJWE, bent(func(t string) string { return t + ".AA.AA" })),
		bad("direct encryption: an empty second part", CodeJWE, bent(func(string) string { return "eyJ9..AA.AA.AA" })),
	}},
	{7, "No nested JWS: the payload is a JSON object, and `cty` is absent", "RFC 7519 §5.2", []example{
		bad("a token as payload", CodeMalformed, func(s *setup) { s.rawPayload = sign(s.a, marshal(s.header), marshal(s.claims)) }),
		bad("a token as JSON string", CodeMalformed, func(s *setup) {
			s.rawPayload = marshal(sign(s.a, marshal(s.header), marshal(s.claims)))
		}),
		bad("cty", CodeHeaderNotAllowed, head("cty", "JWT")),
		bad("an array", CodeMalformed, rawBody("[]")),
		bad("null", CodeMalformed, rawBody("null")),
	}},
	{8, "The header is strict JSON: one object, valid UTF-8, no name twice, nothing after it, at most 4 deep, exact case", "RFC 7515 §4; RFC 8725 §3.7; RFC 8259", []example{
		bad("alg twice", CodeMalformed, headText(`"alg":"none",`, "")),
		bad("kid twice, once escaped", CodeMalformed, headText(`"\u006bid":"b",`, "")),
		bad("a second object", CodeMalformed, headText("", "{}")),
		bad("trailing garbage", CodeMalformed, headText("", "x")),
		bad("a byte order mark", CodeMalformed, func(s *setup) { s.rawHeader = "\xef\xbb\xbf" + marshal(s.header) }),
		bad("UTF-16", CodeMalformed, rawHead("{\x00\"\x00a\x00l\x00g\x00\"\x00:\x00}\x00")),
		bad("invalid UTF-8", CodeMalformed, headText("\"typ\":\"\xff\",", "")),
		bad("overlong UTF-8", CodeMalformed, headText("\"x5t\":\"\xc0\xaf\",", "")),
		bad("a lone surrogate", CodeMalformed, headText(`"x5t":"\ud800",`, "")),
		bad("5 deep", CodeMalformed, headText(`"x5t":[[[[1]]]],`, "")),
		bad("17 members", CodeMalformed, headText(`"x5t":{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"10":1,"11":1,"12":1,"13":1,"14":1,"15":1,"16":1},`, "")),
		bad("not JSON", CodeMalformed, rawHead("alg")),
		bad("an array", CodeMalformed, rawHead("[]")),
		bad("ALG beside alg", CodeHeaderNotAllowed, head("ALG", "RS256")),
		bad("Kid for kid", CodeHeaderNotAllowed, all(noHead("kid"), head("Kid", "a"))),
	}},
	{9, "Only the header names `alg kid typ x5t x5t#S256`", "RFC 8725 §3.10", []example{
		good("all five", all(head("x5t", "abc"), head("x5t#S256", "abc"))),
		bad("x5t of a wrong type", CodeHeaderNotAllowed, head("x5t", 1)),
		bad("x5t#S256 of a wrong type", CodeHeaderNotAllowed, head("x5t#S256", nil)),
		bad("jwk", CodeHeaderNotAllowed, func(s *setup) { s.header["jwk"] = jwkOf("a", s.b, jsonObject{"x5c": nil}) }),
		bad("jku", CodeHeaderNotAllowed, head("jku", "https://evil.example/jwks.json")),
		bad("x5u", CodeHeaderNotAllowed, head("x5u", "https://evil.example/cert.pem")),
		bad("x5c", CodeHeaderNotAllowed, head("x5c", []any{"AA"})),
		bad("zip", CodeHeaderNotAllowed, head("zip", "DEF")),
		bad("enc", CodeHeaderNotAllowed, head("enc", "A256GCM")),
		bad("anything else", CodeHeaderNotAllowed, head("p2c", 1)),
	}},
	{10, "`alg` is one of the configured algorithms in exact case; `none` and HS* never", "RFC 8725 §3.1, §3.2; RFC 9068 §4", []example{
		bad("no alg", CodeAlgNotAllowed, noHead("alg")),
		bad("alg null", CodeAlgNotAllowed, head("alg", nil)),
		bad("alg in a list", CodeAlgNotAllowed, head("alg", []any{"RS256"})),
		bad("none", CodeAlgNotAllowed, head("alg", "none")),
		bad("None", CodeAlgNotAllowed, head("alg", "None")),
		bad("nOnE", CodeAlgNotAllowed, head("alg", "nOnE")),
		bad("in small letters", CodeAlgNotAllowed, func(s *setup) { s.header["alg"] = strings.ToLower(s.a.alg) }),
		bad("in capitals", CodeAlgNotAllowed, func(s *setup) { s.header["alg"] = strings.ToUpper(s.a.alg) + " " }),
		bad("HS256 (key confusion)", CodeAlgNotAllowed, head("alg", "HS256")),
		bad("RS512", CodeAlgNotAllowed, head("alg", "RS512")),
		bad("another that is supported, and not configured", CodeAlgNotAllowed, func(s *setup) { s.header["alg"] = nextAlgorithm(s).alg }),
		bad("the algorithm of another issuer", CodeAlgNotAllowed, all(twoIssuers, func(s *setup) {
			s.key = nextAlgorithm(s)
			s.document["issuers"].([]any)[1].(jsonObject)["algorithms"] = []any{s.key.alg}
			s.header["alg"] = s.key.alg
			s.served[customDomain+defaultJWKS] = jwksOf(jwkOf("a", s.key, nil))
		})),
		bad("HS256 configured", configuration, issuerSays("algorithms", []any{"HS256"})),
		bad("none configured", configuration, issuerSays("algorithms", []any{"none"})),
	}},
	{11, "`alg` is the selected key's own; a JWK without `alg` is used only where one configured algorithm fits its type and curve", "RFC 8725 §3.1", []example{
		forRSA(bad("a key for another algorithm", CodeAlgNotAllowed, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, jsonObject{"alg": "RS512"}), jwkOf("b", s.b, nil))
		}))),
		forRSA(bad("a key for the other padding", CodeAlgNotAllowed, serves(func(s *setup) string {
			other := map[string]string{"RS256": "PS256", "PS256": "RS256"}[s.a.alg]
			return jwksOf(jwkOf("a", s.a, jsonObject{"alg": other}), jwkOf("b", s.b, nil))
		}))),
		good("one of five algorithms", all5),
		bad("the key of another algorithm", CodeAlgNotAllowed, all(all5, head("kid", "o"))),
		bad("the algorithm of another key", CodeAlgNotAllowed, all(all5, func(s *setup) { s.header["alg"] = nextAlgorithm(s).alg })),
		bad("the algorithm and signature of another key", CodeAlgNotAllowed, all(all5, func(s *setup) {
			s.key = nextAlgorithm(s)
			s.header["alg"] = s.key.alg
		})),
		dropped("a key whose alg is not of its kind", func(s *setup) jsonObject {
			return jwkOf("a", pairs[map[bool]string{true: "ES256", false: "RS256"}[s.a.alg == "RS256" || s.a.alg == "PS256"]]()[0], jsonObject{"alg": s.a.alg})
		}),
		only(good("a key without alg, the only one of its kind", all(all5, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, jsonObject{"alg": nil}))
		}))), "ES256", "ES384", "EdDSA"),
		forRSA(bad("a key without alg that fits two", CodeKidUnknown, all(all5, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, jsonObject{"alg": nil}), jwkOf("b", s.b, nil))
		})))),
		good("a key without alg", serves(func(s *setup) string { return jwksOf(jwkOf("a", s.a, jsonObject{"alg": nil})) })),
		bad("a key for encryption", CodeKidUnknown, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, jsonObject{"alg": "RSA-OAEP"}), jwkOf("b", s.b, nil))
		})),
	}},
	{12, "`kid` is a string of 1 to 256 bytes, compared byte for byte and used for nothing else", "RFC 7515 §4.1.4", []example{
		bad("no kid", CodeKidInvalid, noHead("kid")),
		bad("empty", CodeKidInvalid, head("kid", "")),
		bad("a number", CodeKidInvalid, head("kid", 1)),
		bad("a list", CodeKidInvalid, head("kid", []any{"a"})),
		bad("null", CodeKidInvalid, head("kid", nil)),
		bad("257 bytes", CodeKidInvalid, head("kid", strings.Repeat("a", 257))),
		bad("other case", CodeKidUnknown, head("kid", "A")),
		bad("a path", CodeKidUnknown, head("kid", "../../../../dev/null")),
		bad("SQL", CodeKidUnknown, head("kid", "a' UNION SELECT 'k")),
		bad("a NUL after it", CodeKidUnknown, head("kid", "a\x00")),
	}},
	{13, "`crit` and `b64` are refused: no extension is understood", "RFC 7515 §4.1.11; RFC 7797 §6", []example{
		bad("crit with an unknown name", CodeHeaderNotAllowed, head("crit", []any{"exp"})),
		bad("crit empty", CodeHeaderNotAllowed, head("crit", []any{})),
		bad("crit null", CodeHeaderNotAllowed, head("crit", nil)),
		bad("b64 false with crit", CodeHeaderNotAllowed, all(head("crit", []any{"b64"}), head("b64", false))),
		bad("b64 false alone", CodeHeaderNotAllowed, head("b64", false)),
		bad("b64 true", CodeHeaderNotAllowed, head("b64", true)),
	}},
	{14, "`typ` names an access token of the profile: `auth0` JWT, absent or at+jwt; `rfc9068` at+jwt only", "RFC 9068 §4; RFC 8725 §3.11; Auth0: Access Token Profiles", []example{
		good("absent", noHead("typ")),
		good("jwt", head("typ", "jwt")),
		good("at+jwt", head("typ", "at+JWT")),
		good("application/at+jwt", head("typ", "application/at+jwt")),
		good("rfc9068 with at+jwt", rfc9068),
		good("rfc9068 with the long form", all(rfc9068, head("typ", "Application/AT+jwt"))),
		bad("rfc9068 with JWT", CodeTypNotAllowed, all(rfc9068, head("typ", "JWT"))),
		bad("rfc9068 without typ", CodeTypNotAllowed, all(rfc9068, noHead("typ"))),
		bad("dpop+jwt", CodeTypNotAllowed, head("typ", "dpop+jwt")),
		bad("logout+jwt", CodeTypNotAllowed, head("typ", "logout+jwt")),
		bad("secevent+jwt", CodeTypNotAllowed, head("typ", "secevent+jwt")),
		bad("id_token+jwt", CodeTypNotAllowed, head("typ", "id_token+jwt")),
		bad("empty", CodeTypNotAllowed, head("typ", "")),
		bad("null", CodeTypNotAllowed, head("typ", nil)),
		bad("a list", CodeTypNotAllowed, head("typ", []any{"JWT"})),
	}},
	{15, "Keys come from the configured issuer's JWKS or the pinned snapshot, never from the token", "RFC 8725 §3.10", []example{
		bad("signed by an embedded key", CodeHeaderNotAllowed, func(s *setup) {
			s.key = s.b
			s.header["kid"], s.header["jwk"] = "evil", jwkOf("evil", s.b, jsonObject{"x5c": nil})
		}),
		bad("signed by a stranger under a known kid", CodeSignatureInvalid, func(s *setup) { s.key = s.b }),
		good("pinned, with an issuer that answers nothing", func(s *setup) {
			s.issuer()["jwks"], s.issuer()["pinned"] = jsonObject{"keys": []any{jwkOf("a", s.a, nil)}}, true
			s.served = nil
		}),
		bad("pinned, with a key that only the issuer has", CodeKidUnknown, func(s *setup) {
			s.issuer()["jwks"], s.issuer()["pinned"] = jsonObject{"keys": []any{jwkOf("b", s.b, nil)}}, true
		}),
		bad("pinned without a key", configuration, issuerSays("pinned", true)),
	}},
	{16, "Unfit keys are dropped: symmetric, private, `use` not sig, `key_ops` without verify, RSA below 2048 bits, exponent even or below 3, EC point off its curve, Ed25519 point of small order, members of another length, no kid; two keys under one kid are both dropped", "RFC 8725 §3.5; RFC 7518 §3.3; RFC 7517 §4", []example{
		dropped("oct", func(s *setup) jsonObject { return jsonObject{"kty": "oct", "kid": "a", "alg": "HS256", "k": "AAAA"} }),
		dropped("private", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"d": "AAAA"}) }),
		forRSA(dropped("RSA with k", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"k": "AAAA"}) })),
		dropped("use enc", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"use": "enc"}) }),
		dropped("use of a wrong type", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"use": []any{"sig"}}) }),
		dropped("key_ops without verify", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"key_ops": []any{"encrypt"}}) }),
		dropped("key_ops of a wrong type", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"key_ops": "verify"}) }),
		forRSA(dropped("1024 bits", func(s *setup) jsonObject { return jwkOf("a", weak(), nil) })),
		forRSA(dropped("exponent 1", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"e": "AQ"}) })),
		forRSA(dropped("exponent 2", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"e": "Ag"}) })),
		forRSA(dropped("exponent of 5 bytes", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"e": "AQAAAAE"}) })),
		forRSA(dropped("a modulus of 9000 bits", func(s *setup) jsonObject {
			return jwkOf("a", s.a, jsonObject{"n": strings.Repeat("_", 1500)})
		})),
		forRSA(dropped("padded modulus", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"n": b64(s.a.rsa().N.Bytes()) + "=="}) })),
		forRSA(dropped("no modulus", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"n": nil}) })),
		forRSA(dropped("a line feed in the modulus", func(s *setup) jsonObject {
			n := b64(s.a.rsa().N.Bytes())
			return jwkOf("a", s.a, jsonObject{"n": n[:8] + "\n" + n[8:]})
		})),
		forRSA(dropped("no exponent", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"e": nil}) })),
		forEC(dropped("the other curve's name", func(s *setup) jsonObject {
			return jwkOf("a", s.a, jsonObject{"crv": map[string]string{"ES256": "P-384", "ES384": "P-256"}[s.a.alg], "alg": nil})
		})),
		forEC(dropped("a curve that is not supported", func(s *setup) jsonObject {
			k := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
			return jwkOf("a", testKey{s.a.alg, k}, nil)
		})),
		forEC(dropped("secp256k1", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"crv": "secp256k1"}) })),
		forEC(dropped("a point off the curve", func(s *setup) jsonObject {
			jwk := jwkOf("a", s.a, nil)
			jwk["x"], jwk["y"] = jwk["y"], jwk["x"]
			return jwk
		})),
		forEC(dropped("the point at infinity", func(s *setup) jsonObject {
			zero := b64(make([]byte, (curves[s.a.alg].Params().BitSize+7)/8))
			return jwkOf("a", s.a, jsonObject{"x": zero, "y": zero})
		})),
		forEC(dropped("a coordinate beyond the field", func(s *setup) jsonObject {
			return jwkOf("a", s.a, jsonObject{"x": b64(bytes.Repeat([]byte{255}, (curves[s.a.alg].Params().BitSize+7)/8))})
		})),
		forEC(dropped("a coordinate with a zero before it", func(s *setup) jsonObject {
			jwk := jwkOf("a", s.a, nil)
			jwk["x"] = b64(append([]byte{0}, must(strict.DecodeString(jwk["x"].(string)))...))
			return jwk
		})),
		forEC(dropped("a coordinate cut short", func(s *setup) jsonObject {
			jwk := jwkOf("a", s.a, nil)
			jwk["y"] = b64(must(strict.DecodeString(jwk["y"].(string)))[1:])
			return jwk
		})),
		forEC(dropped("no y", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"y": nil}) })),
		forEC(dropped("padded x", func(s *setup) jsonObject {
			jwk := jwkOf("a", s.a, nil)
			jwk["x"] = jwk["x"].(string) + "="
			return jwk
		})),
		forEC(dropped("kty RSA", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"kty": "RSA"}) })),
		forEC(dropped("kty OKP", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"kty": "OKP"}) })),
		forEd(dropped("31 bytes", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"x": b64(make([]byte, 31))}) })),
		forEd(dropped("33 bytes", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"x": b64(make([]byte, 33))}) })),
		forEd(dropped("no x", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"x": nil}) })),
		forEd(dropped("32 zeros: a point of order 4", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"x": b64(make([]byte, 32))}) })),
		forEd(dropped("the neutral point, with the sign of x", func(s *setup) jsonObject {
			return jwkOf("a", s.a, jsonObject{"x": b64(append(append([]byte{1}, make([]byte, 30)...), 0x80))})
		})),
		forEd(dropped("Ed448", func(s *setup) jsonObject {
			return jwkOf("a", s.a, jsonObject{"crv": "Ed448", "x": b64(make([]byte, 57))})
		})),
		forEd(dropped("X25519", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"crv": "X25519"}) })),
		forEd(dropped("kty EC", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"kty": "EC"}) })),
		dropped("empty kid", func(s *setup) jsonObject { return jwkOf("", s.a, nil) }),
		dropped("alg of a wrong type", func(s *setup) jsonObject { return jwkOf("a", s.a, jsonObject{"alg": 256}) }),
		good("key_ops with verify", serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, jsonObject{"use": nil, "key_ops": []any{"verify"}}))
		})),
		bad("two keys under one kid", CodeKidUnknown, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.b, nil), jwkOf("a", s.a, nil), jwkOf("b", s.b, nil))
		})),
		bad("three keys under one kid, first and last alike", CodeKidUnknown, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, nil), jwkOf("a", s.b, nil), jwkOf("a", s.a, nil), jwkOf("b", s.b, nil))
		})),
		forRSA(bad("one key for two algorithms", CodeKidUnknown, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, jsonObject{"alg": "RS512"}), jwkOf("a", s.a, nil), jwkOf("b", s.b, nil))
		}))),
		bad("two kinds of key under one kid", CodeKidUnknown, all(all5, serves(func(s *setup) string {
			return jwksOf(jwkOf("a", s.a, nil), jwkOf("a", nextAlgorithm(s), nil), jwkOf("b", s.b, nil))
		}))),
		good("one key listed twice", serves(func(s *setup) string { return jwksOf(jwkOf("a", s.a, nil), jwkOf("a", s.a, nil)) })),
	}},
	{17, "Keys of unknown type are skipped and the rest of the set is kept", "RFC 7517 §5", []example{
		good("a post-quantum key, an EC key and rubbish beside RSA keys", serves(func(s *setup) string {
			return marshal(jsonObject{"keys": []any{
				jsonObject{"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA"},
				jsonObject{"kty": "EC", "crv": "P-999", "kid": "ec", "x": "AA", "y": "AA"},
				jsonObject{"kid": "typeless"}, "a string", nil, 1, jwkOf("a", s.a, nil),
			}})
		})),
		bad("only keys of unknown type", CodeJWKSUnavailable, serves(func(s *setup) string { return jwksOf(jsonObject{"kty": "AKP", "kid": "a"}) })),
	}},
	{18, "One key, one verification: other keys are not tried", "RFC 8725 (denial of service)", []example{
		bad("signed by the issuer's other key", CodeSignatureInvalid, head("kid", "b")),
	}},
	{19, "PS256: a salt as long as the hash, 32 bytes; neither padding passes for the other", "RFC 7518 §3.5", []example{
		only(good("a salt of 32 bytes", salted(32)), "PS256"),
		only(bad("no salt", CodeSignatureInvalid, salted(0)), "PS256"),
		only(bad("a salt of 20 bytes", CodeSignatureInvalid, salted(20)), "PS256"),
		only(bad("a salt of 31 bytes", CodeSignatureInvalid, salted(31)), "PS256"),
		only(bad("a salt of 33 bytes", CodeSignatureInvalid, salted(33)), "PS256"),
		only(bad("the longest salt", CodeSignatureInvalid, salted(rsa.PSSSaltLengthAuto)), "PS256"),
		only(bad("the padding of RS256", CodeSignatureInvalid, func(s *setup) { s.key = keyA() }), "PS256"),
		only(bad("the padding of PS256", CodeSignatureInvalid, func(s *setup) { s.key = pairs["PS256"]()[0] }), "RS256"),
		forRSA(bad("a zero before the signature", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte { return append([]byte{0}, sig...) }))),
		forRSA(bad("the modulus added", CodeSignatureInvalid, signatures(func(s *setup, sig []byte) []byte {
			return new(big.Int).Add(new(big.Int).SetBytes(sig), s.a.rsa().N).Bytes()
		}))),
		forRSA(bad("zeros", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte { return make([]byte, len(sig)) }))),
		forRSA(bad("the modulus itself", CodeSignatureInvalid, signatures(func(s *setup, _ []byte) []byte { return s.a.rsa().N.Bytes() }))),
	}},
	{20, "ECDSA: r and s side by side, of the curve's length, from 1 to n-1, not DER; (r, n-s) is a token of its own. EdDSA: 64 bytes, s below the group's order", "RFC 7518 §3.4; RFC 8032 §5.1.7", []example{
		forEC(good("r and n-s, which anybody can make", halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return r, s.Sub(n, s) }))),
		forEC(bad("r = s = 0", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return new(big.Int), new(big.Int) }))),
		forEC(bad("r = 0", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return new(big.Int), s }))),
		forEC(bad("s = 0", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return r, new(big.Int) }))),
		forEC(bad("r = s = n", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return n, n }))),
		forEC(bad("r = n, s = 1", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return n, big.NewInt(1) }))),
		forEC(bad("r = s = n-1", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) {
			n = new(big.Int).Sub(n, big.NewInt(1))
			return n, n
		}))),
		forEC(bad("r = s = 1", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return big.NewInt(1), big.NewInt(1) }))),
		forEC(bad("n-r and s", CodeSignatureInvalid, halves(func(r, s, n *big.Int) (*big.Int, *big.Int) { return r.Sub(n, r), s }))),
		forEC(bad("s and r", CodeSignatureInvalid, halves(func(r, s, _ *big.Int) (*big.Int, *big.Int) { return s, r }))),
		forEC(bad("DER", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte {
			half := len(sig) / 2
			return must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])}))
		}))),
		forEC(bad("each a byte longer", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte {
			half := len(sig) / 2
			return slices.Concat([]byte{0}, sig[:half], []byte{0}, sig[half:])
		}))),
		forEC(bad("the other curve's length", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte {
			half, size := len(sig)/2, map[int]int{64: 96, 96: 64}[len(sig)]
			out := make([]byte, size)
			copy(out[max(0, size/2-half):size/2], sig[max(0, half-size/2):half])
			copy(out[size/2+max(0, size/2-half):], sig[half+max(0, half-size/2):])
			return out
		}))),
		forEd(bad("the group's order added to s", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte {
			order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
			s := slices.Clone(sig[32:])
			slices.Reverse(s)
			sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
			slices.Reverse(sum)
			return slices.Concat(sig[:32], sum)
		}))),
		forEd(bad("the neutral point and 0", CodeSignatureInvalid, signatures(func(*setup, []byte) []byte { return append([]byte{1}, make([]byte, 63)...) }))),
		forEd(bad("the highest bit of s", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte {
			sig[63] |= 0x80
			return sig
		}))),
		only(bad("zeros", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte { return make([]byte, len(sig)) })), "ES256", "ES384", "EdDSA"),
		bad("a byte short", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte { return sig[:len(sig)-1] })),
		bad("a byte long", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte { return append(sig, 0) })),
		bad("one byte", CodeSignatureInvalid, signatures(func(*setup, []byte) []byte { return []byte{0} })),
		bad("one bit changed", CodeSignatureInvalid, signatures(func(_ *setup, sig []byte) []byte {
			sig[len(sig)/3] ^= 1
			return sig
		})),
	}},
	{21, "The received bytes are verified, not a re-encoding, and before any claim is believed", "RFC 7515 §5.2", []example{
		good("white space in the header, as signed", headText(" \n", " ")),
		good("another order of members, as signed", func(s *setup) { s.rawHeader = `{"kid":"a","typ":"JWT","alg":"` + s.a.alg + `"}` }),
		bad("white space added after signing", CodeSignatureInvalid, func(s *setup) {
			part(0, func(string) string { return b64([]byte(marshal(s.header) + " ")) })(s)
		}),
		bad("white space put before after signing", CodeSignatureInvalid, func(s *setup) {
			part(0, func(string) string { return b64([]byte(" " + marshal(s.header))) })(s)
		}),
		bad("white space added to the payload after signing", CodeSignatureInvalid, part(1, func(string) string {
			return b64([]byte(marshal(stdClaims()) + " "))
		})),
		bad("another payload", CodeSignatureInvalid, part(1, func(string) string {
			c := stdClaims()
			c["sub"] = "auth0|admin"
			return b64([]byte(marshal(c)))
		})),
		bad("expired and unsigned: the signature counts", CodeSignatureInvalid, all(claim("exp", seconds(-3600)), part(2, func(string) string { return b64(make([]byte, 256)) }))),
		bad("a signature too short", CodeSignatureInvalid, part(2, func(string) string { return "AA" })),
	}},
	{22, "The claims are strict JSON like rule 8, at most 32 deep, with 128 members and 512 list elements in all; no lone surrogate, no invalid UTF-8", "RFC 7493; RFC 8725 §3.7", []example{
		bad("sub twice", CodeMalformed, body(`"sub":"auth0|admin",`, "")),
		bad("a name twice, nested", CodeMalformed, body(`"x":{"a":{"b":1,"b":2}},`, "")),
		bad("iss twice, once escaped", CodeMalformed, body(`"\u0069ss":"https://evil.example/",`, "")),
		bad("invalid UTF-8", CodeMalformed, body("\"x\":\"\xff\",", "")),
		bad("a lone surrogate", CodeMalformed, body(`"x":"\ud800",`, "")),
		bad("surrogates the wrong way round", CodeMalformed, body(`"x":"\udc00\ud800",`, "")),
		good("a surrogate pair", body(`"x":"\ud83d\ude00",`, "")),
		good("32 deep", body(`"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+",", "")),
		bad("33 deep", CodeMalformed, body(`"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+",", "")),
		bad("33 objects deep", CodeMalformed, body(`"x":`+strings.Repeat(`{"a":`, 32)+"1"+strings.Repeat("}", 32)+",", "")),
		good("512 elements", body(`"x":[`+strings.Repeat("1,", 507)+"1],", "")),
		bad("513 elements", CodeMalformed, body(`"x":[`+strings.Repeat("1,", 508)+"1],", "")),
		bad("129 members", CodeMalformed, func(s *setup) {
			m := jsonObject{}
			for i := range 129 {
				m[strconv.Itoa(i)] = 1
			}
			s.claims["x"] = m
		}),
		bad("a control character", CodeMalformed, body("\"x\":\"\n\",", "")),
		bad("NaN", CodeMalformed, body(`"x":NaN,`, "")),
		bad("a comment", CodeMalformed, body(`/**/`, "")),
		bad("a comma too many", CodeMalformed, body(`"x":[1,],`, "")),
		bad("a leading zero", CodeMalformed, body(`"x":01,`, "")),
		bad("cut off", CodeMalformed, func(s *setup) { s.rawPayload = strings.TrimSuffix(marshal(s.claims), "}") }),
		bad("cut off in a list", CodeMalformed, rawBody(`{"x":[1`)),
		bad("claim names in other case", CodeClaimMissing, all(noClaim("iss"), claim("ISS", testIssuer))),
		proves("SUB is not sub", claim("SUB", "auth0|admin"), func(t *testing.T, p authorizer.Principal) {
			if p.Subject != "auth0|1" {
				t.Errorf("subject %q", p.Subject)
			}
		}),
		proves("sub with a long s is not sub", claim("ſub", "auth0|admin"), func(t *testing.T, p authorizer.Principal) {
			if p.Subject != "auth0|1" {
				t.Errorf("subject %q", p.Subject)
			}
		}),
	}},
	{23, "Nothing comes after the claims but white space", "RFC 8259", []example{
		good("white space", body("", " \n")),
		bad("garbage", CodeMalformed, body("", "garbage")),
		bad("a second object", CodeMalformed, body("", "{}")),
		bad("a comma", CodeMalformed, body("", ",")),
		bad("a NUL", CodeMalformed, body("", "\x00")),
	}},
	{24, "`iss` is a string and equals the configured issuer byte for byte, Auth0's slash included", "RFC 9068 §4", []example{
		bad("no slash", CodeIssuerUnknown, claim("iss", strings.TrimSuffix(testIssuer, "/"))),
		bad("two slashes", CodeIssuerUnknown, claim("iss", testIssuer+"/")),
		bad("other case", CodeIssuerUnknown, claim("iss", "https://T.eu.auth0.com/")),
		bad("other scheme", CodeIssuerUnknown, claim("iss", "http://t.eu.auth0.com/")),
		bad("a homoglyph", CodeIssuerUnknown, claim("iss", "https://t.eu.аuth0.com/")),
		bad("a NUL after it", CodeIssuerUnknown, claim("iss", testIssuer+"\x00")),
		bad("a list", CodeClaimInvalid, claim("iss", []any{testIssuer})),
		bad("absent", CodeClaimMissing, noClaim("iss")),
		bad("null", CodeClaimMissing, claim("iss", nil)),
		bad("configured without its slash", configuration, issuerSays("issuer", "https://t.eu.auth0.com")),
		bad("configured without TLS", configuration, issuerSays("issuer", "http://t.eu.auth0.com/")),
	}},
	{25, "Several issuers only by static list, each with keys of its own, chosen by exact `iss`; nothing in a token is fetched", "RFC 8725 §3.8", []example{
		good("first of two", twoIssuers),
		good("second of two", all(twoIssuers, claim("iss", customDomain), func(s *setup) { s.key = s.b })),
		bad("one issuer's token in another's name", CodeSignatureInvalid, all(twoIssuers, claim("iss", customDomain))),
		bad("a stranger", CodeIssuerUnknown, all(twoIssuers, claim("iss", "https://evil.example/"), func(s *setup) {
			s.served["https://evil.example/"+defaultJWKS] = jwksOf(jwkOf("a", s.a, nil))
		})),
		bad("one issuer twice", configuration, func(s *setup) {
			s.document["issuers"] = append(s.document["issuers"].([]any), second(testIssuer))
		}),
		bad("no issuer", configuration, says("issuers", []any{})),
	}},
	{26, "`aud` is a string or a list of at most 32 strings, and one of them equals a configured audience", "RFC 7519 §4.1.3", []example{
		good("a string", claim("aud", testAudience)),
		good("32 entries", claim("aud", append(slices.Repeat([]any{"x"}, 31), testAudience))),
		bad("33 entries", CodeClaimInvalid, claim("aud", append(slices.Repeat([]any{"x"}, 32), testAudience))),
		bad("another", CodeAudienceMismatch, claim("aud", "https://other.example.com")),
		bad("a longer one", CodeAudienceMismatch, claim("aud", testAudience+"/")),
		bad("other case", CodeAudienceMismatch, claim("aud", "https://API.example.com")),
		bad("two in one string", CodeAudienceMismatch, claim("aud", testAudience+" x")),
		bad("an empty list", CodeAudienceMismatch, claim("aud", []any{})),
		bad("absent", CodeClaimMissing, noClaim("aud")),
		bad("null", CodeClaimMissing, claim("aud", nil)),
		bad("a number", CodeClaimInvalid, claim("aud", 1)),
		bad("an object", CodeClaimInvalid, claim("aud", jsonObject{testAudience: true})),
		bad("mixed types", CodeClaimInvalid, claim("aud", []any{testAudience, 1})),
		bad("nested", CodeClaimInvalid, claim("aud", []any{[]any{testAudience}})),
	}},
	{27, "The configuration has an audience for each issuer, and none that looks like a client id", "RFC 9068 §5; RFC 8725 §3.9", []example{
		bad("no list", configuration, func(s *setup) { delete(s.issuer(), "audiences") }),
		bad("an empty list", configuration, issuerSays("audiences", []any{})),
		bad("an empty audience", configuration, issuerSays("audiences", []any{""})),
		bad("a client id", configuration, issuerSays("audiences", []any{testAudience, "abcdefghijklmnopqrstuvwxyz012345"})),
		bad("an ID token", CodeAudienceMismatch, claim("aud", "abcdefghijklmnopqrstuvwxyz012345")),
	}},
	{28, "`exp` is required: a number from -1e10 to 253402300799, rounded down, and now < exp + skew", "RFC 7519 §4.1.4; RFC 9068 §2.2", []example{
		good("within the skew", claim("exp", seconds(-4))),
		bad("at the end of the skew", CodeExpired, claim("exp", seconds(-5))),
		bad("fractions are rounded down", CodeExpired, claim("exp", float64(seconds(-5))+0.75)),
		good("a fraction", claim("exp", float64(seconds(10))+0.5)),
		good("an exponent", claim("exp", json.RawMessage("1.9e9"))),
		good("the year 9999", claim("exp", latest)),
		bad("beyond it", CodeClaimInvalid, claim("exp", latest+1)),
		bad("milliseconds", CodeClaimInvalid, claim("exp", seconds(3600)*1000)),
		bad("2^63", CodeClaimInvalid, claim("exp", json.RawMessage("9223372036854775808"))),
		bad("1e300", CodeClaimInvalid, claim("exp", json.RawMessage("1e300"))),
		bad("1e400", CodeMalformed, claim("exp", json.RawMessage("1e400"))),
		bad("a very negative number", CodeClaimInvalid, claim("exp", -1e11)),
		bad("0", CodeExpired, claim("exp", 0)),
		bad("0.4", CodeExpired, claim("exp", 0.4)),
		bad("-1", CodeExpired, claim("exp", -1)),
		bad("absent", CodeClaimMissing, noClaim("exp")),
		bad("a string", CodeClaimInvalid, claim("exp", fmt.Sprint(seconds(3600)))),
		bad("RFC 3339", CodeClaimInvalid, claim("exp", "2030-01-01T00:00:00Z")),
		bad("a boolean", CodeClaimInvalid, claim("exp", true)),
		bad("a list", CodeClaimInvalid, claim("exp", []any{seconds(3600)})),
		bad("skew over 300 s", configuration, says("clock_skew", "301s")),
	}},
	{29, "`nbf` and `iat`, where present, are such numbers too, not in the future beyond the skew; iat < exp", "RFC 7519 §4.1.5, §4.1.6", []example{
		good("nbf within the skew", claim("nbf", seconds(5))),
		bad("nbf beyond the skew", CodeNotYetValid, claim("nbf", seconds(6))),
		good("a negative nbf", claim("nbf", -1)),
		bad("nbf null", CodeClaimInvalid, claim("nbf", nil)),
		bad("nbf a string", CodeClaimInvalid, claim("nbf", "0")),
		good("iat within the skew", claim("iat", seconds(5))),
		bad("iat beyond the skew", CodeNotYetValid, claim("iat", seconds(6))),
		bad("iat a boolean", CodeClaimInvalid, claim("iat", false)),
		bad("iat at exp", CodeClaimInvalid, all(claim("iat", seconds(-2)), claim("exp", seconds(-2)))),
		good("no iat", noClaim("iat")),
	}},
	{30, "`null` is not present", "RFC 7519", []example{
		bad("exp", CodeClaimMissing, claim("exp", nil)),
		bad("sub", CodeClaimMissing, claim("sub", nil)),
		bad("a required claim", CodeClaimMissing, all(issuerSays("required_claims", []any{"acr"}), claim("acr", nil))),
		bad("iat, in rfc9068", CodeClaimInvalid, all(rfc9068, claim("iat", nil))),
	}},
	{31, "`sub` is required: a non-empty string of at most 255 bytes", "RFC 9068 §2.2; OpenID Connect Core §2", []example{
		bad("absent", CodeClaimMissing, noClaim("sub")),
		bad("empty", CodeClaimInvalid, claim("sub", "")),
		bad("a number", CodeClaimInvalid, claim("sub", 1)),
		good("255 bytes", claim("sub", strings.Repeat("s", 255))),
		bad("256 bytes", CodeClaimInvalid, claim("sub", strings.Repeat("s", 256))),
		bad("control character", CodeClaimInvalid, claim("sub", "auth0|1\n2")),
	}},
	{32, "Profile `rfc9068` requires `iat`, `jti` and `client_id`, and every issuer its `required_claims`", "RFC 9068 §2.2", []example{
		good("all there", rfc9068),
		bad("no iat", CodeClaimMissing, all(rfc9068, noClaim("iat"))),
		bad("no jti", CodeClaimMissing, all(rfc9068, noClaim("jti"))),
		bad("an empty jti", CodeClaimInvalid, all(rfc9068, claim("jti", ""))),
		bad("no client_id", CodeClaimMissing, all(rfc9068, noClaim("client_id"))),
		bad("azp for client_id", CodeClaimMissing, all(rfc9068, noClaim("client_id"), claim("azp", "c1"))),
		good("a claim that the issuer requires", all(issuerSays("required_claims", []any{"acr"}), claim("acr", "x"))),
		bad("without it", CodeClaimMissing, issuerSays("required_claims", []any{"acr"})),
	}},
	{33, "Where configured, exp - iat is at most `max_lifetime`", "Envoy jwt_authn max_lifetime", []example{
		good("at it", issuerSays("max_lifetime", "3660s")),
		bad("over it", CodeLifetime, issuerSays("max_lifetime", "3659s")),
		bad("iat absent", CodeClaimMissing, all(issuerSays("max_lifetime", "2h"), noClaim("iat"))),
		bad("below zero", configuration, issuerSays("max_lifetime", "-1s")),
	}},
	{34, "Numbers reach the policy as they are written; one that no float64 can hold is refused", "RFC 7493 §2.2", []example{
		proves("2^53 + 1", body(`"n":9007199254740993,"f":1.10,`, ""), func(t *testing.T, p authorizer.Principal) {
			if p.Claims["n"] != json.Number("9007199254740993") || p.Claims["f"] != json.Number("1.10") {
				t.Errorf("n %v, f %v", p.Claims["n"], p.Claims["f"])
			}
		}),
		bad("an exponent that only costs time", CodeMalformed, body(`"n":1e999999999,`, "")),
		bad("a very small exponent", CodeMalformed, body(`"n":1E-999999999,`, "")),
		bad("beyond float64", CodeMalformed, body(`"n":17976931348623157e300,`, "")),
		bad("65 digits", CodeMalformed, body(`"n":`+strings.Repeat("1", 65)+",", "")),
	}},
	{35, "The client is `client_id` or else `azp`; two that differ are refused", "Auth0: Access Token Profiles", []example{
		proves("azp", claim("azp", "c1"), clientIs("c1")),
		proves("client_id", all(noClaim("azp"), claim("client_id", "c2")), clientIs("c2")),
		proves("both, equal", all(claim("azp", "c3"), claim("client_id", "c3")), clientIs("c3")),
		proves("neither", noClaim("azp"), clientIs("")),
		bad("both, different", CodeClaimInvalid, all(claim("azp", "c1"), claim("client_id", "c2"))),
		bad("client_id a number", CodeClaimInvalid, claim("client_id", 1)),
		bad("azp null", CodeClaimInvalid, claim("azp", nil)),
	}},
	{36, "`scope` is a string split at single spaces, `permissions` a list of strings; the two are kept apart", "RFC 6749 §3.3; RFC 8693 §4.2; Auth0: RBAC", []example{
		proves("both", all(claim("scope", "b a b"), claim("permissions", []any{"y", "x", "y"})), func(t *testing.T, p authorizer.Principal) {
			if !slices.Equal(p.Scopes, []string{"b", "a"}) || !slices.Equal(p.Permissions, []string{"y", "x"}) {
				t.Errorf("scopes %q, permissions %q", p.Scopes, p.Permissions)
			}
		}),
		proves("neither", all(noClaim("scope"), noClaim("permissions"), noClaim(testRoles)), func(t *testing.T, p authorizer.Principal) {
			if len(p.Scopes)+len(p.Permissions)+len(p.Roles) != 0 {
				t.Errorf("scopes %q, permissions %q, roles %q", p.Scopes, p.Permissions, p.Roles)
			}
		}),
		good("an empty scope", claim("scope", "")),
		bad("a list of scopes", CodeClaimInvalid, claim("scope", []any{"a"})),
		bad("scope null", CodeClaimInvalid, claim("scope", nil)),
		bad("two spaces", CodeClaimInvalid, claim("scope", "a  b")),
		bad("a tab", CodeClaimInvalid, claim("scope", "a\tb")),
		bad("permissions a string", CodeClaimInvalid, claim("permissions", "read:orders")),
		bad("permissions of mixed types", CodeClaimInvalid, claim("permissions", []any{"a", 1})),
		bad("permissions null", CodeClaimInvalid, claim("permissions", nil)),
		bad("a permission that would be two to a handler", CodeClaimInvalid, claim("permissions", []any{"read:orders delete:orders"})),
		bad("a permission with a no-break space", CodeClaimInvalid, claim("permissions", []any{"a\u00a0b"})),
		bad("a permission with a control character", CodeClaimInvalid, claim("permissions", []any{"a\u0000b"})),
		bad("roles a string", CodeClaimInvalid, claim(testRoles, "admin")),
	}},
	{37, "A machine is a `sub` of client id and `@clients`; `gty` says nothing", "Auth0: Access Token Profiles", []example{
		proves("a machine", all(claim("sub", "c1@clients"), claim("azp", "c1")), machineIs(true)),
		proves("somebody called @clients", all(claim("sub", "c2@clients"), claim("azp", "c1")), machineIs(false)),
		proves("no client", all(claim("sub", "@clients"), noClaim("azp")), machineIs(false)),
		proves("gty alone", claim("gty", "client-credentials"), machineIs(false)),
	}},
	{38, "Where organizations are configured, `org_id` is one of them; `org_name` says nothing", "Auth0: Organizations", []example{
		good("on the list", issuerSays("organizations", []any{"org_other", "org_home"})),
		bad("not on the list", CodeOrganization, issuerSays("organizations", []any{"org_other"})),
		bad("none in the token", CodeOrganization, all(issuerSays("organizations", []any{"org_home"}), noClaim("org_id"))),
		bad("org_name only", CodeOrganization, all(issuerSays("organizations", []any{"org_home"}), noClaim("org_id"), claim("org_name", "org_home"))),
		bad("a number", CodeClaimInvalid, claim("org_id", 1)),
	}},
	{39, "Custom claims keep their exact names; there is no dotted path", "Auth0: Create Custom Claims", []example{
		proves("a namespaced claim", claim("https://x.example/a.b", jsonObject{"c": "d"}), func(t *testing.T, p authorizer.Principal) {
			v, ok := p.Claims["https://x.example/a.b"].(map[string]any)
			if !ok || v["c"] != "d" {
				t.Errorf("claims %v", p.Claims)
			}
		}),
		proves("roles by exact name", all(says("roles_claim", "a.b"), claim("a", jsonObject{"b": []any{"admin"}})), func(t *testing.T, p authorizer.Principal) {
			if len(p.Roles) != 0 {
				t.Errorf("roles %q", p.Roles)
			}
		}),
	}},
	{40, "Tokens for the issuer's own APIs (userinfo, mfa, Management API) are not for ours, nor can they be configured", "Auth0: Tokens", []example{
		bad("userinfo", CodeAudienceMismatch, claim("aud", testIssuer+"userinfo")),
		bad("mfa", CodeAudienceMismatch, claim("aud", testIssuer+"mfa/")),
		bad("Management API", CodeAudienceMismatch, claim("aud", []any{testIssuer + "api/v2/"})),
		bad("Management API configured", configuration, issuerSays("audiences", []any{testIssuer + "api/v2/"})),
	}},
	{41, "A token with `cnf` is refused while nothing checks its binding", "RFC 9449 §7; RFC 8705 §3", []example{
		bad("DPoP", CodeBindingUnsupported, claim("cnf", jsonObject{"jkt": "AA"})),
		bad("mTLS", CodeBindingUnsupported, claim("cnf", jsonObject{"x5t#S256": "AA"})),
		bad("empty", CodeBindingUnsupported, claim("cnf", jsonObject{})),
		bad("null", CodeBindingUnsupported, claim("cnf", nil)),
		bad("dpop configured", configuration, issuerSays("sender_constraint", "dpop")),
		bad("mtls configured", configuration, issuerSays("sender_constraint", "mtls")),
	}},
	{42, "One reading of the wall clock per request, handed in", "freeze and thaw of Lambda", []example{
		bad("later", CodeExpired, func(s *setup) { s.now = t0.Add(3605 * time.Second) }),
		good("just before", func(s *setup) { s.now = t0.Add(3604 * time.Second) }),
		bad("earlier", CodeNotYetValid, func(s *setup) { s.now = t0.Add(-66 * time.Second) }),
	}},
	{49, "Every refusal has one stable code and echoes no token, claim or key id", "aws-powertools/powertools-lambda-python #8469", []example{
		bad("a kid that must not be echoed", CodeKidUnknown, head("kid", "kid-"+strings.Repeat("secret", 5))),
		bad("a claim that must not be echoed", CodeIssuerUnknown, claim("iss", "https://"+strings.Repeat("secret", 5)+"/")),
		bad("a name that must not be echoed", CodeMalformed, body(`"`+strings.Repeat("secret", 5)+`":1,"`+strings.Repeat("secret", 5)+`":1,`, "")),
		bad("a scope that must not be echoed", CodeClaimInvalid, claim("scope", "secret  secretsecret")),
	}},
	{50, "Keys that cannot be had are an outage, 500, and not the caller's fault", "RFC 9110 §15.6", []example{
		bad("the issuer answers 503", CodeJWKSUnavailable, func(s *setup) { s.served = nil }),
		bad("the issuer answers no JWKS", CodeJWKSUnavailable, serves(func(s *setup) string { return "<html>" })),
		bad("while it answers, an unknown kid is 401", CodeKidUnknown, head("kid", "c")),
	}},
	{51, "No part of a principal leaves with an error", "fail closed", []example{
		bad("refused by the last check", CodeOrganization, issuerSays("organizations", []any{"org_other"})),
	}},
	{52, "No input panics, or costs more than its size warrants", "RFC 8725bis (denial of service)", []example{
		bad("a deep payload", CodeMalformed, rawBody(strings.Repeat(`{"a":`, 1100))),
		bad("a deep header", CodeMalformed, rawHead(strings.Repeat("[", 1000))),
		bad("a payload of 7 KB for nobody", CodeClaimMissing, rawBody(`{"a":"`+strings.Repeat("a", 5500)+`"}`)),
	}},
}

func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

// dropped is a key that is not used although its token is signed with it, beside a key that is.
func dropped(name string, k func(s *setup) jsonObject) example {
	return bad(name, CodeKidUnknown, func(s *setup) {
		s.served[testIssuer+defaultJWKS] = jwksOf(k(s), jwkOf("b", s.b, nil))
	})
}

func clientIs(want string) func(*testing.T, authorizer.Principal) {
	return func(t *testing.T, p authorizer.Principal) {
		if p.ClientID != want {
			t.Errorf("client %q, want %q", p.ClientID, want)
		}
	}
}

func machineIs(want bool) func(*testing.T, authorizer.Principal) {
	return func(t *testing.T, p authorizer.Principal) {
		if p.Machine != want {
			t.Errorf("machine %t, want %t", p.Machine, want)
		}
	}
}

// TestRules tries every example with every algorithm that it makes sense for.
func TestRules(t *testing.T) {
	var numbers []int
	for _, r := range rules {
		numbers = append(numbers, r.number)
		t.Run(fmt.Sprintf("%02d", r.number), func(t *testing.T) {
			if r.what == "" || r.sources == "" || !slices.ContainsFunc(r.examples, func(e example) bool { return e.want != accepted || e.check != nil }) {
				t.Errorf("rule %d lacks a text, a source or an example that proves it", r.number)
			}
			for _, e := range r.examples {
				for _, alg := range e.tried() {
					t.Run(e.name+"/"+alg, func(t *testing.T) { e.run(t, alg) })
				}
			}
		})
	}
	var want []int
	for n := 1; n <= 42; n++ {
		want = append(want, n)
	}
	if want = append(want, 49, 50, 51, 52); !slices.Equal(numbers, want) {
		t.Errorf("rules %v, want %v", numbers, want)
	}
}

func (e example) tried() []string {
	if e.algorithms == nil {
		return signatureAlgorithms
	}
	return e.algorithms
}

func (e example) run(t *testing.T, alg string) {
	t.Parallel()
	s := newSetupOf(alg)
	e.change(s)
	v, err := s.verifier()
	if e.want == configuration {
		if err == nil {
			t.Error("the configuration is taken")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	p, code, err := authenticate(t, v, s.credentials(s.token()), s.now)
	if code != e.want {
		t.Fatalf("%q (%v), want %q", code, err, e.want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error echoes the token: %v", err)
	}
	if e.check != nil {
		e.check(t, p)
	}
}

// codesOf reads the codes from their source, so that none can be added without an example and an explanation.
func codesOf(t *testing.T) []string {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	if len(codes) < 10 {
		t.Fatalf("found only %q", codes)
	}
	return codes
}

func TestEveryCodeHasAnExample(t *testing.T) {
	codes := codesOf(t)
	var shown []string
	for _, r := range rules {
		for _, e := range r.examples {
			shown = append(shown, e.want)
		}
	}
	for _, code := range codes {
		if !slices.Contains(shown, code) {
			t.Errorf("no example is refused with %s", code)
		}
	}
	for _, code := range shown {
		if code != accepted && code != configuration && !slices.Contains(codes, code) {
			t.Errorf("%s is not one of the codes", code)
		}
	}
}

const rulesPage = "../../docs/jwt-rules.md"

// TestRulesPage keeps the page that the comments cite equal to the list above.
func TestRulesPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# The rules for a token

Made from the list in ` + "`authorizer/token/rules_test.go`" + ` by ` + "`go test ./authorizer/token -run TestRulesPage -update`" + `; a test
fails where the two differ. Each rule has examples there, accepted ones and ones that are refused with the codes given here;
each example is tried with every algorithm that it makes sense for: RS256, PS256, ES256, ES384 and EdDSA (Ed25519).
Rules 43 to 48, on sender constraint, are not there yet: a token that is bound to a key is refused (rule 41).

| # | rule | source | refused with | examples | tried |
| --- | --- | --- | --- | --- | --- |
`)
	for _, r := range rules {
		var with []string
		tried := 0
		for _, e := range r.examples {
			tried += len(e.tried())
			word := "`" + e.want + "`"
			if e.want == configuration {
				word = "the configuration is refused"
			}
			if e.want != accepted && !slices.Contains(with, word) {
				with = append(with, word)
			}
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %d | %d |\n", r.number, r.what, r.sources, strings.Join(with, ", "), len(r.examples), tried)
	}
	if *update {
		if err := os.WriteFile(rulesPage, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(rulesPage)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if string(page) != b.String() {
		t.Errorf("%s is stale: run with -update", rulesPage)
	}
}
