package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"go.yaml.in/yaml/v3"

	"gatehouse/authorizer"
	"gatehouse/authorizer/apigw"
	"gatehouse/authorizer/pdp"
	"gatehouse/authorizer/token"
)

// schema is one file of docs/schema, with what it refers to in place.
type schema struct {
	document map[string]any
	text     string
}

func readSchema(t *testing.T, name string) schema {
	t.Helper()
	file := filepath.Join("..", "docs", "schema", name)
	root := readJSON(t, file)
	s := schema{document: inline(t, file, root, root, nil).(map[string]any)}
	text, err := json.Marshal(s.document)
	if err != nil {
		t.Fatal(err)
	}
	s.text = string(text)
	if value := evaluate(t, "json.verify_schema(input.schema)", map[string]any{"schema": s.text}); value[0] != true {
		t.Fatalf("%s is no schema: %v", name, value[1])
	}
	return s
}

func readJSON(t *testing.T, file string) any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// inline puts in place of each $ref what it refers to, but for one to a definition that it stands in itself. OPA's
// validator reads no other files. The definitions that at stands in are within.
func inline(t *testing.T, file string, root, at any, within []string) any {
	t.Helper()
	switch at := at.(type) {
	case map[string]any:
		if ref, ok := at["$ref"].(string); ok {
			name, pointer, _ := strings.Cut(ref, "#")
			if name != "" {
				file = filepath.Join(filepath.Dir(file), name)
				root, within = readJSON(t, file), nil
			}
			if slices.Contains(within, pointer) {
				return map[string]any{"$ref": ref}
			}
			to := root
			for _, step := range strings.Split(pointer, "/")[1:] {
				to, ok = to.(map[string]any)[step]
				if !ok {
					t.Fatalf("%s: nothing at %s", file, ref)
				}
			}
			return inline(t, file, root, to, append(slices.Clone(within), pointer))
		}
		out := map[string]any{}
		for name, v := range at {
			out[name] = inline(t, file, root, v, within)
		}
		return out
	case []any:
		out := make([]any, len(at))
		for i, v := range at {
			out[i] = inline(t, file, root, v, within)
		}
		return out
	}
	return at
}

// evaluate gives a Rego expression that is a pair.
func evaluate(t *testing.T, query string, input any) []any {
	t.Helper()
	results, err := rego.New(rego.Query(query), rego.Input(input), rego.StrictBuiltinErrors(true)).Eval(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return results[0].Expressions[0].Value.([]any)
}

// check holds a document against the schema.
func (s schema) check(t *testing.T, document string) error {
	t.Helper()
	value := evaluate(t, "json.match_schema(input.document, input.schema)", map[string]any{"document": document, "schema": s.text})
	if value[0] == true {
		return nil
	}
	return fmt.Errorf("%v", value[1])
}

// fields are the names that the schema describes at a place in it, sorted.
func (s schema) fields(t *testing.T, path ...string) []string {
	t.Helper()
	at := s.document
	for _, step := range append(path, "properties") {
		next, ok := at[step].(map[string]any)
		if !ok {
			t.Fatalf("the schema has nothing at %q", path)
		}
		at = next
	}
	return slices.Sorted(maps.Keys(at))
}

// opinion is what schema and code make of a document.
type opinion string

const (
	taken   opinion = "taken"
	refused opinion = "refused"
	beyond  opinion = "refused by the code alone" // a schema cannot say it, or other documents must be known
)

// example is a document: the full one with one text in it put in place of another, or, without an old text, a new one.
type example struct {
	name, old, new string
	want           opinion
}

// agree holds examples against the schema and against the code that reads such documents, and likewise every mistake
// that there is to make in the full document. Mistakes in lenient are refused by the code alone.
func agree(t *testing.T, s schema, full string, code func(string) error, lenient []string, examples []example) {
	t.Helper()
	for name, document := range mistakes(t, full) {
		bySchema, byCode := s.check(t, document), code(document)
		if alone := bySchema == nil && byCode != nil; alone != slices.Contains(lenient, name) || bySchema != nil && byCode == nil {
			t.Errorf("%s\nschema: %v\ncode: %v", name, bySchema, byCode)
		}
	}
	for _, e := range append([]example{{"full", "", full, taken}}, examples...) {
		document := e.in(t, full)
		bySchema, byCode := s.check(t, document), code(document)
		if (bySchema != nil) != (e.want == refused) || (byCode != nil) != (e.want != taken) {
			t.Errorf("%s: want %s\nschema: %v\ncode: %v\n%s", e.name, e.want, bySchema, byCode, document)
		}
	}
}

// in gives the example's document.
func (e example) in(t *testing.T, full string) string {
	t.Helper()
	if e.old == "" {
		return e.new
	}
	if n := strings.Count(full, e.old); n != 1 {
		t.Fatalf("%s: %d times in the full document: %s", e.name, n, e.old)
	}
	return strings.Replace(full, e.old, e.new, 1)
}

// mistakes are the documents that differ from the full one in one place, each under a name that tells it: a value of
// another type, "/a/0 = null"; a member left out, "/a without b"; or one too many, "/a with more".
func mistakes(t *testing.T, full string) map[string]string {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(full), &root); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	var walk func(path string, at any, put func(any))
	walk = func(path string, at any, put func(any)) {
		for _, v := range []any{nil, true, 7.0, "x", []any{}, map[string]any{}} {
			if reflect.TypeOf(v) != reflect.TypeOf(at) {
				put(v)
				found[path+" = "+jsonOf(t, v)] = jsonOf(t, root)
			}
		}
		put(at)
		switch at := at.(type) {
		case map[string]any:
			for name, v := range maps.Clone(at) {
				walk(path+"/"+name, v, func(v any) { at[name] = v })
				delete(at, name)
				found[path+" without "+name] = jsonOf(t, root)
				at[name] = v
			}
			at["more"] = 7.0
			found[path+" with more"] = jsonOf(t, root)
			delete(at, "more")
		case []any:
			for i, v := range at {
				walk(fmt.Sprintf("%s/%d", path, i), v, func(v any) { at[i] = v })
			}
		}
	}
	walk("", root, func(v any) { root = v })
	return found
}

func TestSchemaOfTheAuth0Document(t *testing.T) {
	s := readSchema(t, "auth0.json")
	tn := newTenant(t)
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(tn.key.Public(), &set); err != nil {
		t.Fatal(err)
	}
	key := string(set.Keys[0])
	var rsa struct{ N, E string }
	if err := json.Unmarshal([]byte(key), &rsa); err != nil {
		t.Fatal(err)
	}
	numbers := fmt.Sprintf(`"n":"%s","e":"%s"`, rsa.N, rsa.E)
	const other = `{"issuer":"https://other.example.com/","audiences":["a"]}`
	full := `{"version":"v1","clock_skew":"30s","headers":["x-tenant"],"query":["q"],"roles_claim":"https://gatehouse.example/roles",
		"token_query":"t","token_subprotocol":"access_token",
		"issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["https://api.example.com"],"algorithms":["RS256"],"profile":"rfc9068",
		"jwks_uri":"https://keys.example.com/jwks?all","jwks":{"keys":[` + key + `]},"pinned":true,"required_claims":["acr"],
		"organizations":["org_home"],"max_lifetime":"24h","jwks_soft":"5m","jwks_hard":"1h30m","sender_constraint":"none"}]}`

	// What the code reads stands in the full document, and so does what the schema describes: they are the same fields.
	c, err := token.ParseConfig([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []reflect.Value{reflect.ValueOf(c), reflect.ValueOf(c.Issuers[0])} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the full document lacks what becomes %s.%s", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	var document struct {
		Issuers []map[string]any `json:"issuers"`
	}
	var members map[string]any
	if err := errors.Join(json.Unmarshal([]byte(full), &members), json.Unmarshal([]byte(full), &document)); err != nil {
		t.Fatal(err)
	}
	same(t, "auth0", s.fields(t), slices.Sorted(maps.Keys(members)))
	same(t, "auth0.issuers", s.fields(t, "properties", "issuers", "items"), slices.Sorted(maps.Keys(document.Issuers[0])))

	var secrets []example
	for _, name := range []string{
		"authorization", "proxy-authorization", "cookie", "dpop", "x-api-key", "x-amz-security-token", "sec-websocket-protocol",
		"access_token", "id_token", "refresh_token", "token", "jwt", "api_key", "code", "client_secret",
	} {
		secrets = append(secrets, example{"header " + name, `"x-tenant"`, `"` + name + `"`, refused}, example{"query " + name, `"q"`, `"` + name + `"`, refused})
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		secrets = append(secrets, example{"a key with " + name, `"use":"sig"`, `"use":"sig","` + name + `":"AQAB"`, refused})
	}
	const (
		x32 = `"x":"KSexBRK64-3c_kZ4KBKLrSkDJpkZ9whgacjE32xzKDg"` // a point of P-256, Wycheproof's
		y32 = `"y":"x3h5ZOqsAOWSH7FJimD0YGdms9loUAFVjRqXTnNBUT4"`
		ec  = `{"kty":"EC","crv":"P-256","kid":"a",` + x32 + `,` + y32 + `}`
		x48 = `"x":"LaV92hCJJ2pUP5_9rAv_DZdsrXHrcoDn2b_Z_uS9svIPR_-IgnQ4l3LZjMV1ITiq"` // of P-384
		y48 = `"y":"S20FTWnc8-JexJ34cHFeNIg7GDYZfXb4rZYuePZXG7x0B7DWCR-eTYjwFCdEBhdP"`
	)
	sole := func(alg, key string) string {
		return `{"version":"v1","issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["a"],"algorithms":["` + alg + `"],"jwks":{"keys":[` + key + `]}}]}`
	}
	secrets = append(secrets, []example{
		{"sole key of P-256", "", sole("ES256", ec), taken},
		{"sole key of P-256 with its alg", "", sole("ES256", strings.Replace(ec, `"kid"`, `"alg":"ES256","kid"`, 1)), taken},
		{"sole key of P-384", "", sole("ES384", `{"kty":"EC","crv":"P-384","kid":"a",`+x48+`,`+y48+`}`), taken},
		{"sole key of Ed25519", "", sole("EdDSA", `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo"}`), taken},
		{"P-256 named P-384", "", sole("ES384", strings.Replace(ec, "P-256", "P-384", 1)), refused},
		{"P-521", "", sole("ES256", strings.Replace(ec, "P-256", "P-521", 1)), refused},
		{"P-256 for ES384", "", sole("ES384", strings.Replace(ec, `"kid"`, `"alg":"ES384","kid"`, 1)), refused},
		{"no y", "", sole("ES256", strings.Replace(ec, ","+y32, "", 1)), refused},
		{"unused bits in x", "", sole("ES256", strings.Replace(ec, `KDg"`, `KDh"`, 1)), refused},
		{"a short x", "", sole("ES256", strings.Replace(ec, `KDg"`, `KD"`, 1)), refused},
		{"Ed25519 with padding", "", sole("EdDSA", `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo="}`), refused},
		{"a point off the curve", "", sole("ES256", strings.Replace(ec, y32, `"y":"`+strings.Repeat("A", 43)+`"`, 1)), beyond},
		{"a point of small order", "", sole("EdDSA", `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"`+strings.Repeat("A", 43)+`"}`), beyond},
		{"P-256 for RS256", "", sole("RS256", ec), beyond},
	}...)
	code := func(document string) error { _, err := token.ParseConfig([]byte(document)); return err }
	agree(t, s, full, code, nil, append(secrets, []example{
		{"least", "", `{"version":"v1","issuers":[` + other + `]}`, taken},
		{"that of the other checks here", "", tn.auth0, taken},
		{"two issuers", `"issuers":[`, `"issuers":[` + other + `,`, taken},
		{"loopback", `"https://t.eu.auth0.com/"`, `"http://127.0.0.1:8789/"`, taken},
		{"loopback by name", `"https://t.eu.auth0.com/"`, `"http://localhost:8789/"`, taken},
		{"loopback of IPv6", `"https://t.eu.auth0.com/"`, `"http://[::1]:8789/"`, taken},
		{"scheme in capitals", `"https://keys.`, `"HTTPS://keys.`, taken},
		{"no keys yet", `{"keys":[` + key + `]},"pinned":true`, `{"keys":[]},"pinned":false`, taken},
		{"an unfit key beside a fit one", `"keys":[`, `"keys":[7,{"kty":"EC"},`, taken},
		{"as many keys as there may be", `"keys":[`, `"keys":[` + strings.Repeat(`{},`, 63), taken},
		{"every algorithm", `"algorithms":["RS256"]`, `"algorithms":["RS256","PS256","ES256","ES384","EdDSA"]`, taken},
		{"a subprotocol in capitals", `"access_token"`, `"Bearer.v1"`, taken},
		{"a key with the longest kid", key, `{"kty":"RSA","kid":"` + strings.Repeat("k", 256) + `",` + numbers + `}`, taken},
		{"a key that may do more", `"use":"sig"`, `"key_ops":["encrypt","verify"]`, taken},
		{"unknown members in a JWKS", `"keys":[`, `"tenant":"t","keys":[`, taken},
		{"durations in other words", `"30s"`, `"+1m1.5s2ms.5us3µs"`, taken},
		{"no skew", `"30s"`, `"0"`, taken},
		{"no roles", `"https://gatehouse.example/roles"`, `""`, taken},
		{"empty lists", `"headers":["x-tenant"],"query":["q"]`, `"headers":[],"query":[]`, taken},

		{"another version", `"v1"`, `"v2"`, refused},
		{"token_query empty", `"t"`, `""`, refused},
		{"token_subprotocol empty", `"access_token"`, `""`, refused},
		{"token_subprotocol with a comma", `"access_token"`, `"a,b"`, refused},
		{"public_url", `"version"`, `"public_url":"https://x","version"`, refused},
		{"skew without unit", `"30s"`, `"30"`, refused},
		{"skew in days", `"30s"`, `"1d"`, refused},
		{"header in capitals", `"x-tenant"`, `"X-Tenant"`, refused},
		{"header empty", `"x-tenant"`, `""`, refused},
		{"header with a space", `"x-tenant"`, `"x tenant"`, refused},
		{"header twice", `"x-tenant"`, `"x-tenant","x-tenant"`, refused},
		{"query empty", `"q"`, `""`, refused},
		{"query twice", `"q"`, `"q","q"`, refused},
		{"issuers empty", "", `{"version":"v1","issuers":[]}`, refused},
		{"issuer without slash", `auth0.com/"`, `auth0.com"`, refused},
		{"issuer without scheme", `"https://t.eu`, `"t.eu`, refused},
		{"issuer by http", `"https://t.eu`, `"http://t.eu`, refused},
		{"issuer like loopback", `"https://t.eu.auth0.com/"`, `"http://localhost.evil.example/"`, refused},
		{"issuer by ftp", `"https://t.eu`, `"ftp://t.eu`, refused},
		{"issuer with a user", `"https://t.eu`, `"https://u:p@t.eu`, refused},
		{"issuer with a query", `auth0.com/"`, `auth0.com/?a=/"`, refused},
		{"issuer with a fragment", `auth0.com/"`, `auth0.com/#/"`, refused},
		{"issuer without host", `"https://t.eu.auth0.com/"`, `"https:///"`, refused},
		{"audiences empty", `["https://api.example.com"]`, `[]`, refused},
		{"audience empty", `"https://api.example.com"`, `""`, refused},
		{"audience a client id", `"https://api.example.com"`, `"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"`, refused},
		{"algorithms empty", `"algorithms":["RS256"]`, `"algorithms":[]`, refused},
		{"algorithm twice", `"algorithms":["RS256"]`, `"algorithms":["RS256","RS256"]`, refused},
		{"algorithm HS256", `"algorithms":["RS256"]`, `"algorithms":["HS256"]`, refused},
		{"algorithm ES512", `"algorithms":["RS256"]`, `"algorithms":["RS256","ES512"]`, refused},
		{"profile", `"rfc9068"`, `"okta"`, refused},
		{"jwks_uri empty", `"https://keys.example.com/jwks?all"`, `""`, refused},
		{"jwks_uri by http", `"https://keys.`, `"http://keys.`, refused},
		{"jwks without keys", `{"keys":[` + key + `]},"pinned":true`, `{}`, refused},
		{"jwks without a fit key", key, `{"kty":"EC","kid":"a"}`, refused},
		{"a key for encryption", `"use":"sig"`, `"use":"enc"`, refused},
		{"a key that only signs", `"use":"sig"`, `"key_ops":["sign"]`, refused},
		{"key_ops a text", `"use":"sig"`, `"key_ops":"verify"`, refused},
		{"kid empty", key, `{"kty":"RSA","kid":"",` + numbers + `}`, refused},
		{"kid too long", key, `{"kty":"RSA","kid":"` + strings.Repeat("k", 257) + `",` + numbers + `}`, refused},
		{"a modulus with padding", `"n":"`, `"n":"=`, refused},
		{"an exponent with padding", `"e":"`, `"e":"=`, refused},
		{"too many keys", `"keys":[`, `"keys":[` + strings.Repeat(`{},`, 64), refused},
		{"a key for another algorithm", `"alg":"RS256"`, `"alg":"RS384"`, refused},
		{"pinned without a key", key, ``, refused},
		{"required claim empty", `"acr"`, `""`, refused},
		{"organization twice", `"org_home"`, `"org_home","org_home"`, refused},
		{"jwks_soft without number", `"5m"`, `"m"`, refused},
		{"jwks_hard empty", `"1h30m"`, `""`, refused},
		{"dpop", `"none"`, `"dpop"`, refused},
		{"mtls", `"none"`, `"mtls"`, refused},
		{"binding off", `"none"`, `"off"`, refused},

		{"skew below 0s", `"30s"`, `"-1s"`, beyond},
		{"skew over 5m", `"30s"`, `"1h"`, beyond},
		{"max_lifetime below 0s", `"24h"`, `"-24h"`, beyond},
		{"jwks_soft of 0s", `"5m"`, `"0s"`, beyond},
		{"jwks_hard below jwks_soft", `"1h30m"`, `"1m"`, beyond},
		{"a duration that no clock holds", `"24h"`, `"99999999999h"`, beyond},
		{"token_query among the query parameters", `"t"`, `"q"`, beyond},
		{"a key for an algorithm that is not configured", `"alg":"RS256"`, `"alg":"PS256"`, beyond},
		{"issuer twice", `"issuers":[`, `"issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["b"]},`, beyond},
		{"issuer that is no URL", `"https://t.eu`, `"https://%zz`, beyond},
		{"an API of the issuer itself", `"https://api.example.com"`, `"https://t.eu.auth0.com/userinfo"`, beyond},
		{"no loopback after all", `"https://t.eu.auth0.com/"`, `"http://[2001:db8::1]/"`, beyond},
		{"a weak key", key, `{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}`, beyond},
		{"a name twice", `"version"`, `"version":"v1","version"`, beyond},
		{"too deep", `"keys":[`, `"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `,"keys":[`, beyond},
	}...))
}

// policyOf loads the least policy that there is, with some files changed.
func policyOf(t *testing.T, change map[string]string) (*pdp.Policy, error) {
	t.Helper()
	files := map[string]string{
		".manifest":                `{"roots": ["gatehouse", "authz", "admission", "constraints", "routes"], "rego_version": 1}`,
		"gatehouse/decision.rego":  "package gatehouse\n\ndecision := {\"allowed\": false}\n",
		"authz/orders/orders.rego": "package authz.orders\n\nallow contains \"orders.read\"\n",
		"admission/t/t.rego":       "# METADATA\n# scope: package\n# custom:\n#   parameters: {type: object}\npackage admission.t\n\nviolation contains {\"constraint\": name, \"message\": \"no\"} if some name, _ in data.gatehouse.instances.t\n",
		"routes/data.json":         `{"GET /orders": {"api": "orders", "answer": "request"}}`,
	}
	maps.Copy(files, change)
	root := fstest.MapFS{}
	for name, content := range files {
		root[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return pdp.Load(t.Context(), root)
}

func TestSchemaOfConstraints(t *testing.T) {
	s := readSchema(t, "constraint.json")
	shipped, err := filepath.Glob("../policies/constraints/*/data.yaml")
	if err != nil || len(shipped) < 5 {
		t.Fatalf("%d shipped constraints, %v", len(shipped), err)
	}
	for _, file := range shipped {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(content, &v); err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(t, string(document)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	code := func(document string) error {
		_, err := policyOf(t, map[string]string{"constraints/c/data.yaml": document}) // JSON is YAML too
		return err
	}
	full := `{"template": "t", "enforcementAction": "deny", "match": {"routes": ["GET /orders"], "excludedPrincipals": ["auth0|1"]}, "parameters": {"p": [1]}}`
	agree(t, s, full, code, nil, []example{
		{"least", "", `{"template": "t"}`, taken},
		{"warn", `"deny"`, `"warn"`, taken},
		{"dryrun", `"deny"`, `"dryrun"`, taken},
		{"empty match", "", `{"template": "t", "match": {}}`, taken},
		{"match and parameters left blank", "", `{"template": "t", "match": null, "parameters": null}`, taken},
		{"every route", `["GET /orders"]`, `[]`, taken},

		{"action in capitals", `"deny"`, `"Deny"`, refused},

		{"a template that is not there", `"t"`, `"u"`, beyond},
		{"a route that the table lacks", `"GET /orders"`, `"GET /order"`, beyond},
	})
}

func TestSchemaOfTheRouteTable(t *testing.T) {
	s := readSchema(t, "routes.json")
	shipped, err := os.ReadFile("../policies/routes/data.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(t, string(shipped)); err != nil {
		t.Error(err)
	}
	code := func(document string) error {
		_, err := policyOf(t, map[string]string{"routes/data.json": document})
		return err
	}
	full := `{"GET /orders/{id}/items": {"api": "orders", "answer": "request"}, "$default": {"api": "orders", "answer": "request"}}`
	var examples []example
	for _, route := range []string{"GET /", "$connect", "ANY /{proxy+}", "GET /a/{b}/{c+}", "GET /{b}/{c}/d", "GET /a b"} {
		examples = append(examples, example{route, "GET /orders/{id}/items", route, taken})
	}
	for _, route := range []string{
		"", "GET", "/orders", " /orders", "GET orders", "GET  /orders", "GET /orders/", "GET //orders", "GET /{c+}/d", "GET /{}", "GET /{+}",
		"GET /{a}{b}", "GET /{a", "GET /x{a}", "GET /{a}x", "GET /{a++}", "$disconnect", "get /orders", "GET /a}", "GET /*",
	} {
		examples = append(examples, example{route, "GET /orders/{id}/items", route, refused})
	}
	agree(t, s, full, code, nil, append(examples, []example{
		{"empty", "", `{}`, refused},
		{"answer api", "", `{"GET /orders": {"api": "orders", "answer": "api"}}`, refused},

		{"an API without grants", "", `{"GET /orders": {"api": "profile", "answer": "request"}}`, beyond},
		{"a route twice", `"$default"`, `"GET /orders/{id}/items"`, beyond},
	}...))
}

// fullRecord has every field set but error, which excludes a result.
func fullRecord() authorizer.Record {
	at := time.Date(2026, 11, 22, 12, 0, 0, 1000, time.UTC)
	return authorizer.Record{
		DecisionID: "ID", Timestamp: at, Labels: map[string]string{"app": "gatehouse"},
		Bundles: map[string]authorizer.Bundle{"gatehouse": {Revision: "d1gest"}}, Path: authorizer.DecisionPath,
		Input: &authorizer.Input{
			Version: authorizer.InputVersion,
			Request: authorizer.Request{
				ID: "r-1", API: "a1b2c3", Stage: "prod", Protocol: authorizer.HTTP, Method: "GET", Route: "GET /orders/{id}",
				Path: []string{"orders", "42"}, Params: map[string]string{"id": "42"}, Query: map[string][]string{"q": {"1"}},
				Headers: map[string][]string{"x-tenant": {"acme"}}, SourceIP: netip.MustParseAddr("203.0.113.9"), Time: at,
			},
			Principal: authorizer.Principal{
				Issuer: tenantURL, Subject: "auth0|1", ClientID: "spa", Organization: "org_home", Audience: []string{"https://api.example.com"},
				Scopes: []string{"openid"}, Permissions: []string{}, Roles: []string{}, ExpiresAt: at.Add(time.Hour), Claims: map[string]any{"acr": "x"},
			},
		},
		Result: &authorizer.Decision{
			Allowed: true, Status: authorizer.Status{Code: 200, Reason: authorizer.Granted, Message: "m"}, Grants: []string{"orders.read"},
			Violations: []authorizer.Violation{{Constraint: "c", Template: "t", Action: "warn", Message: "no"}},
			Warnings:   []string{"no"}, AuditAnnotations: map[string]string{"k": "v"}, Context: map[string]string{"tenant": "acme"},
		},
		Erased: []string{"/input/principal/claims/email"}, Masked: []string{"/input/request/source_ip"},
		Metrics: map[string]int64{
			"timer_gatehouse_normalise_ns": 1, "timer_gatehouse_authenticate_ns": 2, "timer_rego_query_eval_ns": 3,
			"timer_gatehouse_answer_ns": 4, "timer_server_handler_ns": 5000,
		},
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	content, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// names are the fields of a struct as JSON has them, sorted.
func names[T any]() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func same(t *testing.T, what string, described, read []string) {
	t.Helper()
	if !slices.Equal(described, read) {
		t.Errorf("%s: the schema has %q, the code %q", what, described, read)
	}
}

func TestSchemaOfDecisions(t *testing.T) {
	s := readSchema(t, "decision.json")
	decision := append(names[authorizer.Decision](), "usageIdentifierKey") // which JSON hides
	slices.Sort(decision)
	same(t, "decision", s.fields(t), decision)
	same(t, "decision.status", s.fields(t, "properties", "status"), names[authorizer.Status]())
	same(t, "decision.violations", s.fields(t, "properties", "violations", "items"), names[authorizer.Violation]())

	record := fullRecord()
	request := record.Input.Request
	request.Partition, request.Region, request.Account, request.ARNPath = "aws", "eu-central-1", "123456789012", "GET/orders/42"
	gateway, err := apigw.New(apigw.Config{})
	if err != nil {
		t.Fatal(err)
	}
	// A policy's decision is read by the engine, and then once more when it becomes an answer.
	code := func(document string) error {
		policy, err := policyOf(t, map[string]string{"gatehouse/decision.rego": "package gatehouse\n\ndecision := " + document + "\n"})
		if err != nil {
			return err
		}
		decision, err := policy.Decide(t.Context(), *record.Input)
		if err != nil {
			return err
		}
		_, err = gateway.Answer(authorizer.Verdict{
			DecisionID: "ID", Revision: "r", Request: request, Principal: record.Input.Principal, Decision: decision,
		})
		return err
	}
	full := jsonOf(t, record.Result)
	// The policy must give what a record may leave out.
	lenient := []string{" without auditAnnotations", " without context", " without warnings", "/status without message"}
	const malformed = `{"allowed":false,"status":{"code":403,"reason":"RequestMalformed","message":"m"},"grants":[],"violations":[]}`
	agree(t, s, full, code, lenient, []example{
		{"a code of its own", `200`, `204`, refused},
		{"a reason of its own", `"Granted"`, `"granted"`, refused},
		{"a reason to come", `"Granted"`, `"NotCacheSafe"`, refused},
		{"context with a reserved name", `"tenant"`, `"sub"`, refused},
		{"context with a dash", `"tenant"`, `"the-tenant"`, refused},
		{"context with a reserved name of a Deny", `"tenant"`, `"denied_by"`, refused},
		{"a usage key", `"context"`, `"usageIdentifierKey":"Key-1.2~","context"`, taken},
		{"the longest usage key", `"context"`, `"usageIdentifierKey":"` + strings.Repeat("k", 128) + `","context"`, taken},
		{"a usage key that is too long", `"context"`, `"usageIdentifierKey":"` + strings.Repeat("k", 129) + `","context"`, refused},
		{"a usage key with a space", `"context"`, `"usageIdentifierKey":"a b","context"`, refused},
		{"a usage key with a control character", `"context"`, `"usageIdentifierKey":"a\u0007","context"`, refused},
		{"a usage key with a letter outside ASCII", `"context"`, `"usageIdentifierKey":"é","context"`, refused},
		{"an empty usage key", `"context"`, `"usageIdentifierKey":"","context"`, refused},
		{"a usage key that is null", `"context"`, `"usageIdentifierKey":null,"context"`, refused},
		{"disclosed codes of what is allowed", `"context"`, `"disclosed":["orders.delete"],"context"`, refused},
		{"as many grants as there may be", `"orders.read"`, strings.Repeat(`"g",`, 999) + `"g"`, taken},
		{"more grants", `"orders.read"`, strings.Repeat(`"g",`, 1000) + `"g"`, refused},
		{"malformed, without a word why", "", strings.Replace(malformed, `,"message":"m"`, ``, 1), refused},
		{"malformed, with warnings", "", strings.Replace(malformed, `"grants"`, `"warnings":[],"grants"`, 1), refused},
		{"malformed, with annotations", "", strings.Replace(malformed, `"grants"`, `"auditAnnotations":{},"grants"`, 1), refused},
		{"malformed, with a usage key", "", strings.Replace(malformed, `"grants"`, `"usageIdentifierKey":"k","grants"`, 1), refused},
		{"malformed, with disclosed codes", "", strings.Replace(malformed, `"grants"`, `"disclosed":["a"],"grants"`, 1), refused},
		{"malformed, with context", "", strings.Replace(malformed, `"grants"`, `"context":{},"grants"`, 1), refused},

		{"malformed, which no policy says", "", malformed, beyond},
		{"disclosed codes, which no policy gives", "", `{"allowed":false,"status":{"code":403,"reason":"NotGranted","message":"m"},"grants":[],"violations":[],
			"warnings":[],"auditAnnotations":{},"context":{},"disclosed":["orders.delete"]}`, beyond},
		{"context with a reserved name in capitals", `"tenant"`, `"SUB"`, beyond},
		{"context with a control character", `"acme"`, `"ac\nme"`, beyond},
	})

	// Every way to put a verdict together: the schema takes those that the code takes, and the authorizer's own.
	possible := 0
	for _, head := range []string{
		`"allowed":true,"status":{"code":200,"reason":"%s","message":"m"}`, `"allowed":true,"status":{"code":403,"reason":"%s","message":"m"}`,
		`"allowed":false,"status":{"code":200,"reason":"%s","message":"m"}`, `"allowed":false,"status":{"code":403,"reason":"%s","message":"m"}`,
	} {
		for _, reason := range []authorizer.Reason{authorizer.Granted, authorizer.NotGranted, authorizer.ConstraintViolated, authorizer.RequestMalformed} {
			for _, grants := range []string{``, `"g"`} {
				for _, action := range []string{"", "deny", "Warn", "warn", "dryrun"} {
					violations := fmt.Sprintf(`{"constraint":"c","template":"t","action":"%s","message":"no"}`, action)
					if action == "" {
						violations = ""
					}
					recorded := fmt.Sprintf(`{`+head+`,"grants":[%s],"violations":[%s]}`, reason, grants, violations)
					decided := strings.TrimSuffix(recorded, "}") + `,"warnings":[],"auditAnnotations":{},"context":{}}`
					byCode, bySchema, own := code(decided) == nil, s.check(t, decided) == nil, recorded == malformed
					if bySchema != byCode || (s.check(t, recorded) == nil) != (byCode || own) {
						t.Errorf("schema: %t, code: %t: %s", bySchema, byCode, decided)
					}
					if byCode {
						possible++
					}
				}
			}
		}
	}
	if possible != 3+5+2 {
		t.Errorf("%d verdicts are possible, want 3 that grant, 5 without a grant, 2 violated", possible)
	}
}

func TestSchemaOfRecords(t *testing.T) {
	s, decisions := readSchema(t, "record.json"), readSchema(t, "decision.json")
	same(t, "record", s.fields(t), names[authorizer.Record]())
	same(t, "record.input", s.fields(t, "properties", "input"), names[authorizer.Input]())
	same(t, "record.input.request", s.fields(t, "properties", "input", "properties", "request"), names[authorizer.Request]())
	same(t, "record.input.principal", s.fields(t, "properties", "input", "properties", "principal"), names[authorizer.Principal]())
	same(t, "record.error", s.fields(t, "properties", "error"), names[authorizer.Failure]())
	same(t, "record.bundles", s.fields(t, "properties", "bundles", "properties", "gatehouse"), names[authorizer.Bundle]())

	files, err := filepath.Glob("../authorizer/testdata/record-*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden records, %v", len(files), err)
	}
	decided := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(t, string(content)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var record struct {
			Result json.RawMessage `json:"result"`
		}
		if err := json.Unmarshal(content, &record); err != nil {
			t.Fatal(err)
		}
		if record.Result == nil {
			continue
		}
		decided++
		if err := decisions.check(t, string(record.Result)); err != nil {
			t.Errorf("%s: result: %v", file, err)
		}
	}
	if decided < 3 {
		t.Errorf("only %d golden records have a result", decided)
	}

	full := jsonOf(t, fullRecord())
	bare := fullRecord()
	bare.Labels, bare.Input, bare.Result, bare.Erased, bare.Masked = nil, nil, nil, nil, nil
	bare.Error = &authorizer.Failure{Code: "event_malformed", Message: "event_malformed: no type"}
	result := `"result":` + jsonOf(t, fullRecord().Result)
	denied := func(more string) string {
		return `{"allowed":false,"status":{"code":403,"reason":"NotGranted"},` + more + `"grants":[],"violations":[]}`
	}
	const failure = `"error":{"code":"token_expired","message":"token_expired"}`
	// No code of the house reads records yet: the schema is alone.
	// What a record, its request or its principal may lack, and the claims, which may be anything.
	var open []string
	for name, document := range mistakes(t, full) {
		if s.check(t, document) == nil {
			open = append(open, name)
		}
	}
	slices.Sort(open)
	if want := []string{
		" without erased", " without masked",
		"/input/principal without client_id", "/input/principal without organization",
		"/input/principal/claims with more", "/input/principal/claims without acr",
		"/input/principal/claims/acr = 7", "/input/principal/claims/acr = []", "/input/principal/claims/acr = null",
		"/input/principal/claims/acr = true", "/input/principal/claims/acr = {}",
		"/input/request without headers", "/input/request without id", "/input/request without method",
		"/input/request without params", "/input/request without path", "/input/request without query",
		"/input/request without route", "/input/request without source_ip",
		"/input/request/headers without x-tenant", "/input/request/params without id", "/input/request/query without q",
		"/labels = null", "/labels without app",
		"/metrics without timer_gatehouse_answer_ns", "/metrics without timer_gatehouse_authenticate_ns",
		"/metrics without timer_gatehouse_normalise_ns", "/metrics without timer_rego_query_eval_ns",
		"/result without auditAnnotations", "/result without context", "/result without warnings",
		"/result/auditAnnotations without k", "/result/context without tenant", "/result/status without message",
	}; !slices.Equal(open, want) {
		t.Errorf("taken with a mistake:\n%q\nwant\n%q", open, want)
	}
	for _, e := range append([]example{{"full", "", full, taken}}, []example{
		{"bare", "", jsonOf(t, bare), taken},
		{"refused", result, failure, taken},
		{"claims by computed name", `/claims/email"`, `/claims"`, taken},

		{"decision_id empty", `"ID"`, `""`, refused},
		{"timestamp a date", `"timestamp":"2026-11-22T12:00:00.000001Z"`, `"timestamp":"2026-11-22"`, refused},
		{"timestamp in no month", `"timestamp":"2026-11-22T`, `"timestamp":"2026-13-22T`, refused},
		{"timestamp of another zone", `"timestamp":"2026-11-22T12:00:00.000001Z"`, `"timestamp":"2026-11-22T13:00:00+01:00"`, refused},
		{"another path", `"gatehouse/decision"`, `"authz/allow"`, refused},
		{"an input without version", `"version":"v1",`, ``, refused},
		{"an empty revision", `"d1gest"`, `""`, refused},
		{"a result and an error", result, result + "," + failure, refused},
		{"a result that does not follow", `"allowed":true`, `"allowed":false`, refused},
		{"a reason of its own", `"Granted"`, `"Fine"`, refused},
		{"a result without input", `"input":` + jsonOf(t, fullRecord().Input) + `,`, ``, refused},
		{"an input of another version", `"v1"`, `"v2"`, refused},
		{"a token in the input", `"api"`, `"token":"x","api"`, refused},
		{"another protocol", `"protocol":"http"`, `"protocol":"grpc"`, refused},
		{"disclosed codes", result, `"result":` + denied(`"disclosed":["mfa_required","orders.delete"],`), taken},
		{"no disclosed code", result, `"result":` + denied(`"disclosed":[],`), refused},
		{"a disclosed code twice", result, `"result":` + denied(`"disclosed":["a","a"],`), refused},
		{"a disclosed code with a space", result, `"result":` + denied(`"disclosed":["a b"],`), refused},
		{"disclosed codes of what was allowed", `"grants"`, `"disclosed":["a"],"grants"`, refused},
		{"a usage key", `"grants"`, `"usageIdentifierKey":"k","grants"`, refused},
		{"a usage key left out", `"/input/principal/claims/email"`, `"/result/usageIdentifierKey"`, taken},
		{"an error in a word", result, `"error":"token_expired"`, refused},
		{"an error code in numbers", result, `"error":{"code":401,"message":"x"}`, refused},
		{"an error message in numbers", result, `"error":{"code":"x","message":401}`, refused},
		{"an error without message", result, `"error":{"code":"x"}`, taken},
		{"an error with an empty message", result, `"error":{"code":"x","message":""}`, refused},
		{"an error code in words", result, `"error":{"code":"token expired","message":"x"}`, refused},
		{"an error with more", result, `"error":{"code":"x","message":"x","token":"x"}`, refused},
		{"erased that is no pointer", `"/input/principal/claims/email"`, `"input.principal"`, refused},
		{"nothing erased", `["/input/principal/claims/email"]`, `[]`, refused},
		{"time in seconds", `5000`, `0.5`, refused},
		{"masked that is no pointer", `"/input/request/source_ip"`, `"source_ip"`, refused},
		{"nothing masked", `["/input/request/source_ip"]`, `[]`, refused},
		{"an unknown timer", `"timer_server_handler_ns"`, `"timer_x_ns":1,"timer_server_handler_ns"`, refused},
	}...) {
		if err := s.check(t, e.in(t, full)); (err != nil) != (e.want == refused) {
			t.Errorf("%s: want %s, got %v", e.name, e.want, err)
		}
	}
}

// The records that the built program writes, one for each kind of event, let in and kept out.
func TestSchemaOfTheRecordsWritten(t *testing.T) {
	s, tn := readSchema(t, "record.json"), newTenant(t)
	events := []string{`{"type":"OTHER"}`}
	for _, bearer := range []string{"Bearer " + tn.token(t, "customer"), "Bearer " + tn.token(t, "outsider"), "Bearer e30.e30.e30"} {
		events = append(events, slices.Collect(maps.Values(own(t, bearer)))...)
	}
	_, records := authorizeLines(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0}, events)
	lines := strings.Split(strings.TrimSpace(records), "\n")
	if len(lines) != len(events) {
		t.Fatalf("%d records of %d events", len(lines), len(events))
	}
	for _, line := range lines {
		if err := s.check(t, line); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
	}
}

// What explain and can-i print is what their schemas say, for every person on every route, and for what was not decided.
func TestSchemaOfExplanations(t *testing.T) {
	explanation, list := readSchema(t, "explanation.json"), readSchema(t, "access.json")
	json := func(want int, stdin string, args ...string) string {
		t.Helper()
		out, code := runs(t, stdin, append(args, "--json")...)
		if code != want {
			t.Errorf("%q: exit %d, want %d\n%s", args, code, want, out)
		}
		return out
	}
	check := func(s schema, document string) {
		t.Helper()
		if err := s.check(t, document); err != nil {
			t.Errorf("%v\n%s", err, document)
		}
	}
	for _, person := range []string{"outsider", "suspended", "support"} {
		check(list, json(0, "", "can-i", "--list", "--as", person))
	}
	check(explanation, json(1, "", "can-i", "GET", "/orders", "--as", "outsider"))
	check(explanation, json(0, "", "can-i", "DELETE", "/orders/1", "--as", "support"))
	check(explanation, json(1, "", "can-i", "DELETE", "/orders/1", "--as", "customer"))
	check(explanation, json(1, "", "can-i", "GET", "/a%2fb", "--as", "admin"))
	record := fullRecord()
	record.Masked = nil
	check(explanation, json(1, jsonOf(t, record), "explain"))
	record.Result, record.Error = nil, &authorizer.Failure{Code: "token_expired", Message: "m"}
	check(explanation, json(0, jsonOf(t, record), "explain"))
	for _, bad := range []string{
		`{}`, `{"version":"v1","revision":"r"}`, `{"error":"e"}`, `{"version":"v1","revision":"r","error":{"code":"c"}}`,
		`{"version":"v1","revision":"r","error":{"code":"c","remedy":"r"},"more":1}`,
		`{"revision":"r","error":{"code":"c","remedy":"r"}}`, `{"version":"v2","revision":"r","error":{"code":"c","remedy":"r"}}`,
	} {
		if explanation.check(t, bad) == nil {
			t.Errorf("%s: taken", bad)
		}
	}
	for _, bad := range []string{`{"revision":"r","subject":"s","routes":[]}`, `{"version":"v2","revision":"r","subject":"s","routes":[]}`} {
		if list.check(t, bad) == nil {
			t.Errorf("%s: taken", bad)
		}
	}

	// Conditions are checked however deep they lie.
	for deepest, want := range map[string]bool{
		`{"file":"a.rego","line":1,"source":"x","holds":false}`: true, `{"file":"a.rego","line":1,"source":"x"}`: false, `{}`: false,
	} {
		condition := deepest
		for range 5 {
			condition = `{"file":"a.rego","line":1,"source":"x","holds":false,"within":[` + condition + `]}`
		}
		document := `{"version":"v1","revision":"r","decision":{"allowed":false,"status":{"code":403,"reason":"NotGranted"},"grants":[],"violations":[]},
			"grants":[{"file":"a.rego","line":1,"code":"a","fired":false,"unmet":[` + condition + `]}],"constraints":[],"reads_path":false}`
		if err := explanation.check(t, document); (err == nil) != want {
			t.Errorf("%s, five deep: %v", deepest, err)
		}
	}
}

// What the other verbs report with --json is what their schemas say.
func TestSchemaOfReports(t *testing.T) {
	keys, stale := t.TempDir(), filepath.Join(t.TempDir(), "data.json")
	if err := os.WriteFile(stale, []byte(`{"GET /orders":{"api":"other","answer":"request"},"GET /ghosts":{"api":"ghosts","answer":"request"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	// A small policy, whose `some` cannot be left out alone, and tests that notice nothing of it or that fail.
	policies := func(tests string) string {
		dir := filepath.Join(t.TempDir(), "policies")
		err := os.CopyFS(dir, fstest.MapFS{
			".manifest":               {Data: []byte(`{"roots": ["gatehouse", "authz", "routes"], "rego_version": 1}`)},
			"routes/data.json":        {Data: []byte(`{"GET /a": {"api": "a", "answer": "request"}}`)},
			"gatehouse/decision.rego": {Data: []byte("package gatehouse\n\ndecision := {\"allowed\": false, \"status\": {\"code\": 403, \"reason\": \"NotGranted\", \"message\": \"\"}, \"grants\": [], \"violations\": [], \"warnings\": [], \"auditAnnotations\": {}, \"context\": {}}\n")},
			"authz/a/a.rego":          {Data: []byte("package authz.a\n\nallow contains \"a\" if {\n\tsome s in input.principal.scopes\n\ts == \"a\"\n}\n")},
			"authz/a/a_test.rego":     {Data: []byte("package authz.a_test\n\n" + tests)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	failing := policies("test_no if false\n\ntest_cases[n] if {\n\tsome n in [1, 2]\n\tn == 1\n}\n\ntodo_test_later if true\n\ntest_error if to_number(\"x\") == 1\n")
	idle := policies("test_yes if {\n\tprint(\"yes\")\n\tdata.authz.a.allow == {\"a\"} with input as {\"principal\": {\"scopes\": [\"a\"]}}\n}\n")
	reports := map[string][]struct {
		code int
		args []string
		has  []string // in the report
	}{
		"rotation.json": {
			{0, []string{"rotate", "--keys", keys}, []string{`"previous"`}},
			{0, []string{"rotate", "--keys", keys, "--revoke"}, nil},
		},
		"route-check.json": {
			{0, []string{"routes", "--config", "../serverless.yml", "--check", "../policies/routes/data.json"}, []string{`"current": true`}},
			{1, []string{"routes", "--config", "../serverless.yml", "--check", stale}, []string{`"current": false`, "GET /orders", "GET /ghosts"}},
		},
		"test-report.json": {
			{1, []string{"test", failing}, []string{`"outcome": "fail"`, `"outcome": "error"`, `"outcome": "skip"`, `"cases"`, `"uncovered"`}},
			{1, []string{"test", "--mutate", idle}, []string{`"without": "s == \"a\""`, `"without": "some s in input.principal.scopes"`, `"output"`}},
		},
	}
	for name, runsOf := range reports {
		s := readSchema(t, name)
		for _, r := range runsOf {
			out, code := runs(t, "", append(r.args, "--json")...)
			if code != r.code {
				t.Errorf("%q: exit %d, want %d\n%s", r.args, code, r.code, out)
			}
			if err := s.check(t, out); err != nil {
				t.Errorf("%q: %v\n%s", r.args, err, out)
			}
			for _, want := range r.has {
				if !strings.Contains(out, want) {
					t.Errorf("%q: the report lacks %s\n%s", r.args, want, out)
				}
			}
			var document map[string]any
			if err := json.Unmarshal([]byte(out), &document); err != nil {
				t.Fatal(err)
			}
			for _, member := range []string{"version", s.document["required"].([]any)[1].(string)} {
				without := maps.Clone(document)
				delete(without, member)
				if s.check(t, jsonOf(t, without)) == nil {
					t.Errorf("%q: taken without %s", r.args, member)
				}
			}
			document["more"] = 1
			if s.check(t, jsonOf(t, document)) == nil {
				t.Errorf("%q: taken with a member too many", r.args)
			}
		}
	}
}
