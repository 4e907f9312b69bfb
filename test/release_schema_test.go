package test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
)

// statementMembers are the members of statements in the order in which they are spelled, those of each kind among the others.
var statementMembers = []string{
	"kind", "version", "account", "root", "stage", "number", "sequence", "release", "digest", "parts", "bundle", "auth0", "engine", "report",
	"candidate", "not_after", "fallback",
}

// inOrder spells a document as a statement is spelled. A schema cannot speak of order and white space.
func inOrder(v any) string {
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return text(v)
	}
	names := slices.SortedFunc(maps.Keys(object), func(a, b string) int {
		return slices.Index(statementMembers, a) - slices.Index(statementMembers, b)
	})
	var members []string
	for _, name := range names {
		members = append(members, text(name)+":"+inOrder(object[name]))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// checksStatement gives what the code makes of a document, spelled in order.
func checksStatement[S any](parse func([]byte) (S, error)) func(string) error {
	return func(document string) error {
		var v any
		err := json.Unmarshal([]byte(document), &v)
		if err == nil {
			_, err = parse([]byte(inOrder(v)))
		}
		return err
	}
}

func TestSchemasOfTheStatements(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	scope := `"version":"v1","account":"123456789012","root":"/gatehouse/prod","stage":"prod",`
	bundle := `"bundle":{"digest":"` + a + `","parts":3}`
	both := []example{
		{"another kind", `"kind":"`, `"kind":"x`, refused},
		{"another version", `"v1"`, `"v2"`, refused},
		{"account of 11 digits", `"123456789012"`, `"12345678901"`, refused},
		{"account of 13 digits", `"123456789012"`, `"1234567890123"`, refused},
		{"the default stage", `"prod"`, `"$default"`, taken},
		{"the longest stage", `"prod"`, `"` + strings.Repeat("s", 128) + `"`, taken},
		{"a stage too long", `"prod"`, `"` + strings.Repeat("s", 129) + `"`, refused},
		{"no stage", `"prod"`, `""`, refused},
		{"a stage with a dot", `"prod"`, `"v1.2"`, refused},
		{"a directory", `"/gatehouse/prod"`, `"/srv/Größe 1"`, taken},
		{"the longest root", `"/gatehouse/prod"`, `"/` + strings.Repeat("r", 899) + `"`, taken},
		{"a root too long", `"/gatehouse/prod"`, `"/` + strings.Repeat("r", 900) + `"`, refused},
		{"a root too long in bytes", `"/gatehouse/prod"`, `"/` + strings.Repeat("ö", 899) + `"`, beyond},
		{"a relative root", `"/gatehouse/prod"`, `"gatehouse"`, refused},
		{"the root", `"/gatehouse/prod"`, `"/"`, refused},
		{"an empty segment", `"/gatehouse/prod"`, `"/a//b"`, beyond},
		{"a segment ..", `"/gatehouse/prod"`, `"/a/../b"`, beyond},
		{"a slash at the end", `"/gatehouse/prod"`, `"/a/"`, beyond},
		{"a line in the root", `"/gatehouse/prod"`, `"/a\nb"`, beyond},
		{"a digest in capitals", `"` + a, `"` + strings.Repeat("A", 64), refused},
		{"a digest too short", `"` + a, `"` + a[1:], refused},
		{"no parts", `"parts":3`, `"parts":0`, refused},
		{"200 parts", `"parts":3`, `"parts":200`, taken},
		{"201 parts", `"parts":3`, `"parts":201`, refused},
		{"half a part", `"parts":3`, `"parts":3.5`, refused},
	}
	t.Run("release", func(t *testing.T) {
		full := `{"kind":"release",` + scope + `"number":7,` + bundle + `,"engine":"opa v1.22.2","report":"` + b + `"}`
		s := readSchema(t, "release.json")
		sameMembers(t, s, full)
		agree(t, s, full, checksStatement(release.ParseRelease), nil, append(slices.Clone(both), []example{
			{"no report", `,"report":"` + b + `"`, ``, taken},
			{"report empty", `"report":"` + b + `"`, `"report":""`, refused},
			{"the first", `"number":7`, `"number":1`, taken},
			{"number 0", `"number":7`, `"number":0`, refused},
			{"no engine", `"opa v1.22.2"`, `""`, refused},
			{"the longest engine", `"opa v1.22.2"`, `"` + strings.Repeat("o", 64) + `"`, taken},
			{"engine too long", `"opa v1.22.2"`, `"` + strings.Repeat("o", 65) + `"`, refused},
			{"engine with a space", `"opa v1.22.2"`, `"opa "`, refused},
			{"engine beyond ASCII", `"opa v1.22.2"`, `"öpa"`, refused},
		}...))
	})
	t.Run("activation", func(t *testing.T) {
		target := func(name string, digit string) string {
			return `"` + name + `":{"release":6,"bundle":{"digest":"` + strings.Repeat(digit, 64) + `","parts":2}}`
		}
		least := `{"kind":"activation",` + scope + `"sequence":12,"release":7,` + bundle + `,"auth0":{"digest":"` + b + `","parts":1}`
		full := least + `,` + target("candidate", "c") + `,"not_after":"2026-11-27T08:00:00Z",` + target("fallback", "d") + `}`
		s := readSchema(t, "activation.json")
		sameMembers(t, s, full)
		when := func(name, when string, want opinion) example {
			return example{name, `"2026-11-27T08:00:00Z"`, `"` + when + `"`, want}
		}
		agree(t, s, full, checksStatement(release.ParseActivation), nil, append(slices.Clone(both), []example{
			{"least", "", least + `}`, taken},
			{"with a candidate", "", least + `,` + target("candidate", "c") + `}`, taken},
			{"break-glass", "", least + `,"not_after":"2026-11-27T08:00:00Z",` + target("fallback", "d") + `}`, taken},
			{"no fallback", "", least + `,"not_after":"2026-11-27T08:00:00Z"}`, refused},
			{"no not_after", "", least + `,` + target("fallback", "d") + `}`, refused},
			{"sequence 0", `"sequence":12`, `"sequence":0`, refused},
			{"the last sequence", `"sequence":12`, `"sequence":9007199254740991`, taken},
			{"sequence too large", `"sequence":12`, `"sequence":9007199254740992`, refused},
			{"release 0", `"release":7`, `"release":0`, refused},
			when("the first second", "1970-01-01T00:00:00Z", taken),
			when("the last second", "9999-12-31T23:59:59Z", taken),
			when("before 1970", "1969-12-31T23:59:59Z", refused),
			when("half a second", "2026-11-27T08:00:00.5Z", refused),
			when("another zone", "2026-11-27T08:00:00+01:00", refused),
			when("UTC otherwise", "2026-11-27T08:00:00+00:00", refused),
			when("no such day", "2026-02-30T08:00:00Z", refused),
			when("a leap second", "2016-12-31T23:59:60Z", refused),
			when("a day", "2026-11-27", refused),
		}...))
	})
}

// TestPartsOfAStatement: what the bundle package may split into is what a statement may name.
func TestPartsOfAStatement(t *testing.T) {
	for parts, want := range map[int]bool{bundle.MaxParts: true, bundle.MaxParts + 1: false} {
		_, err := release.Payload(release.Release{
			Kind: release.KindRelease, Version: release.Version, Scope: release.Scope{Account: "123456789012", Root: "/a", Stage: "s"},
			Number: 1, Bundle: release.Content{Digest: strings.Repeat("a", 64), Parts: parts}, Engine: "opa",
		})
		if (err == nil) != want {
			t.Errorf("%d parts: %v", parts, err)
		}
	}
}

// sameMembers holds what the schema describes against a document that has everything.
func sameMembers(t *testing.T, s schema, full string) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(full), &members); err != nil {
		t.Fatal(err)
	}
	same(t, "statement", s.fields(t), slices.Sorted(maps.Keys(members)))
}

func TestSchemaOfTheTrustSet(t *testing.T) {
	generate := func() (private, public string) {
		doc, err := release.GenerateKey()
		keys, err2 := release.PublicKeys(doc)
		set, err3 := release.PublicJWKS(keys...)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		return string(doc), strings.TrimSuffix(strings.TrimPrefix(string(set), `{"keys":[`), `]}`)
	}
	private, key := generate()
	_, other := generate()
	var m map[string]string
	if err := json.Unmarshal([]byte(key), &m); err != nil {
		t.Fatal(err)
	}
	s := readSchema(t, "trust.json")
	same(t, "trust", s.fields(t, "properties", "keys", "items"), slices.Sorted(maps.Keys(m)))
	full := `{"keys":[` + key + `]}`
	code := func(document string) error { _, err := release.ParseTrust([]byte(document), 1); return err }
	change := func(name, value string) string {
		changed := maps.Clone(m)
		if changed[name] = value; value == "" {
			delete(changed, name)
		}
		return `{"keys":[` + jsonOf(t, changed) + `]}`
	}
	agree(t, s, full, code, nil, []example{
		{"two", "", `{"keys":[` + key + `,` + other + `]}`, taken},
		{"no alg", "", change("alg", ""), taken},
		{"no use", "", change("use", ""), taken},
		{"one twice", "", `{"keys":[` + key + `,` + key + `]}`, beyond},
		{"none", "", `{"keys":[]}`, refused},
		{"65", "", `{"keys":[` + strings.Repeat(key+",", 64) + key + `]}`, refused},
		{"a private key", "", `{"keys":[` + private + `]}`, refused},
		{"a key alone", "", key, refused},
		{"a kid of another", "", change("kid", m["x"]), beyond},
		{"a kid that is a name", "", change("kid", "release"), refused},
		{"off the curve", "", change("y", strings.Repeat("A", 43)), beyond},
		{"unused bits", "", change("y", m["y"][:42]+"B"), refused},
		{"padding", "", change("y", m["y"]+"="), refused},
		{"P-384", "", change("crv", "P-384"), refused},
		{"ES384", "", change("alg", "ES384"), refused},
		{"enc", "", change("use", "enc"), refused},
		{"key_ops", "", change("key_ops", "verify"), refused},
	})
}
