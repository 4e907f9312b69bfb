package release_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/release"
)

var update = flag.Bool("update", false, "rewrite golden files")

var here = release.Scope{Account: "123456789012", Root: "/gatehouse/prod", Stage: "prod"}

const maxNumber = 1<<53 - 1

func digest(digit string) string { return strings.Repeat(digit, 64) }

// code is an error's; "" is none.
func code(err error) string {
	var e *release.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return "without a code: " + err.Error()
	}
	return ""
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func someRelease() release.Release {
	return release.Release{
		Kind: release.KindRelease, Version: release.Version, Scope: here, Number: 7,
		Bundle: release.Content{Digest: digest("a"), Parts: 3}, Engine: "opa v1.22.2", Report: digest("c"),
	}
}

// someActivation has everything that one can have.
func someActivation() release.Activation {
	until := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	return release.Activation{
		Kind: release.KindActivation, Version: release.Version, Scope: here, Sequence: 12, Release: 7,
		Bundle: release.Content{Digest: digest("a"), Parts: 3}, Auth0: release.Content{Digest: digest("b"), Parts: 1},
		Candidate: &release.Target{Release: 8, Bundle: release.Content{Digest: digest("d"), Parts: 2}},
		NotAfter:  &until,
		Fallback:  &release.Target{Release: 6, Bundle: release.Content{Digest: digest("e"), Parts: 200}},
	}
}

func plainActivation() release.Activation {
	a := someActivation()
	a.Candidate, a.NotAfter, a.Fallback = nil, nil, nil
	return a
}

// largestActivation is that of the longest names and numbers.
func largestActivation() release.Activation {
	a := someActivation()
	a.Root, a.Stage = "/"+strings.Repeat("r", 899), strings.Repeat("s", 128)
	a.Sequence, a.Release, a.Candidate.Release, a.Fallback.Release = maxNumber, maxNumber, maxNumber, maxNumber
	for _, c := range []*release.Content{&a.Bundle, &a.Auth0, &a.Candidate.Bundle, &a.Fallback.Bundle} {
		c.Parts = 200
	}
	return a
}

// TestPayload shows the spelling: whoever changes it makes every signature void.
func TestPayload(t *testing.T) {
	for name, statement := range map[string]any{"release": someRelease(), "activation": someActivation(), "plain": plainActivation()} {
		payload := must(release.Payload(statement))
		golden := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(golden, payload, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := must(os.ReadFile(golden)); string(want) != string(payload) {
			t.Errorf("%s:\n%s\nwant\n%s", name, payload, want)
		}
	}
}

func TestStatementsAreReadAsTheyWereSpelled(t *testing.T) {
	least := someRelease()
	least.Number, least.Report, least.Stage, least.Engine, least.Bundle.Parts = 1, "", "$default", "o", 1
	most := someRelease()
	most.Number, most.Root, most.Engine = maxNumber, "/srv/Größe & <more>/\"q\"\\", strings.Repeat("o", 64)
	for _, r := range []release.Release{someRelease(), least, most} {
		if got, err := release.ParseRelease(must(release.Payload(r))); err != nil || got != r {
			t.Errorf("%+v\nwant %+v\n%v", got, r, err)
		}
	}
	late := someActivation()
	*late.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, a := range []release.Activation{someActivation(), plainActivation(), largestActivation(), late} {
		if got, err := release.ParseActivation(must(release.Payload(a))); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v\nwant %+v\n%v", got, a, err)
		}
	}
}

func TestPayloadRefuses(t *testing.T) {
	r := func(change func(*release.Release)) any { s := someRelease(); change(&s); return s }
	a := func(change func(*release.Activation)) any { s := someActivation(); change(&s); return s }
	at := func(when time.Time) any { return a(func(s *release.Activation) { s.NotAfter = &when }) }
	for name, c := range map[string]struct {
		statement any
		want      string
	}{
		"nothing":            {nil, "statement is a <nil>, want a Release or an Activation"},
		"a pointer":          {new(release.Release), "statement is a *release.Release"},
		"kind":               {r(func(s *release.Release) { s.Kind = "activation" }), `kind is "activation", want "release"`},
		"kind of activation": {a(func(s *release.Activation) { s.Kind = "release" }), `kind is "release", want "activation"`},
		"version":            {r(func(s *release.Release) { s.Version = "v2" }), `version is "v2", want "v1"`},
		"account too short":  {r(func(s *release.Release) { s.Account = "12345678901" }), `account is "12345678901", want 12 digits`},
		"account of letters": {r(func(s *release.Release) { s.Account = "12345678901x" }), "account is"},
		"account, a line":    {r(func(s *release.Release) { s.Account += "\n" }), "account is"},
		"account, other 1s":  {r(func(s *release.Release) { s.Account = strings.Repeat("١", 12) }), "account is"},
		"root empty":         {r(func(s *release.Release) { s.Root = "" }), `root is "", want an absolute path`},
		"root relative":      {r(func(s *release.Release) { s.Root = "gatehouse" }), "root is"},
		"root the root":      {r(func(s *release.Release) { s.Root = "/" }), "root is"},
		"root with a slash":  {r(func(s *release.Release) { s.Root = "/a/" }), "root is"},
		"root with ..":       {r(func(s *release.Release) { s.Root = "/a/../b" }), "root is"},
		"root with //":       {r(func(s *release.Release) { s.Root = "//a" }), "root is"},
		"root too long":      {r(func(s *release.Release) { s.Root = "/" + strings.Repeat("r", 900) }), "at most 900 bytes"},
		"root with a line":   {r(func(s *release.Release) { s.Root = "/a\nb" }), "root is"},
		"root not UTF-8":     {r(func(s *release.Release) { s.Root = "/a\xff" }), "root is"},
		"stage empty":        {r(func(s *release.Release) { s.Stage = "" }), `stage is ""`},
		"stage with a dot":   {r(func(s *release.Release) { s.Stage = "v1.2" }), `stage is "v1.2", want 1 to 128 of A-Z a-z 0-9 _ - or $default`},
		"stage too long":     {r(func(s *release.Release) { s.Stage = strings.Repeat("s", 129) }), "stage is"},
		"stage like default": {r(func(s *release.Release) { s.Stage = "$defaults" }), "stage is"},
		"number 0":           {r(func(s *release.Release) { s.Number = 0 }), "number is 0, want 1 to 9007199254740991"},
		"number too large":   {r(func(s *release.Release) { s.Number = maxNumber + 1 }), "number is 9007199254740992"},
		"digest in capitals": {r(func(s *release.Release) { s.Bundle.Digest = digest("A") }), "bundle.digest is"},
		"digest too short":   {r(func(s *release.Release) { s.Bundle.Digest = digest("a")[1:] }), "want 64 hexadecimal digits in lower case"},
		"no parts":           {r(func(s *release.Release) { s.Bundle.Parts = 0 }), "bundle.parts is 0, want 1 to 200"},
		"too many parts":     {r(func(s *release.Release) { s.Bundle.Parts = 201 }), "bundle.parts is 201"},
		"engine empty":       {r(func(s *release.Release) { s.Engine = "" }), `engine is "", want 1 to 64 printable characters of ASCII`},
		"engine too long":    {r(func(s *release.Release) { s.Engine = strings.Repeat("o", 65) }), "engine is"},
		"engine, a space":    {r(func(s *release.Release) { s.Engine = "opa " }), "engine is"},
		"engine, a line":     {r(func(s *release.Release) { s.Engine = "o\na" }), "engine is"},
		"engine not ASCII":   {r(func(s *release.Release) { s.Engine = "öpa" }), "engine is"},
		"report":             {r(func(s *release.Release) { s.Report = "x" }), `report is "x", want 64`},
		"sequence":           {a(func(s *release.Activation) { s.Sequence = -1 }), "sequence is -1"},
		"release":            {a(func(s *release.Activation) { s.Release = 0 }), "release is 0"},
		"auth0":              {a(func(s *release.Activation) { s.Auth0 = release.Content{} }), `auth0.digest is ""`},
		"candidate":          {a(func(s *release.Activation) { s.Candidate.Release = 0 }), "candidate.release is 0"},
		"candidate's bundle": {a(func(s *release.Activation) { s.Candidate.Bundle.Parts = 0 }), "candidate.bundle.parts is 0"},
		"fallback":           {a(func(s *release.Activation) { s.Fallback.Bundle.Digest = "" }), "fallback.bundle.digest is"},
		"no fallback":        {a(func(s *release.Activation) { s.Fallback = nil }), "not_after and fallback go together"},
		"no not_after":       {a(func(s *release.Activation) { s.NotAfter = nil }), "not_after and fallback go together"},
		"half a second":      {at(time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC)), "not_after is 2026-01-02T03:04:05.5Z, want whole seconds of UTC"},
		"another zone":       {at(time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))), "not_after is 2026-01-02T03:04:05+01:00"},
		"before 1970":        {at(time.Unix(-1, 0).UTC()), "not_after is 1969"},
		"after 9999":         {at(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), "not_after is 10000"},
	} {
		payload, err := release.Payload(c.statement)
		if code(err) != release.CodeMalformed || !strings.Contains(err.Error(), c.want) || payload != nil {
			t.Errorf("%s: %v, want malformed: %s", name, err, c.want)
		}
	}
	_, err := release.Payload(release.Activation{Candidate: &release.Target{}})
	for _, place := range []string{
		"kind", "version", "account", "root", "stage", "sequence", "release", "bundle.digest", "bundle.parts", "auth0.digest", "auth0.parts",
		"candidate.release", "candidate.bundle.digest", "candidate.bundle.parts",
	} {
		if !strings.Contains(err.Error(), place+" is") {
			t.Errorf("%s is not named: %v", place, err)
		}
	}
}

// respelled are payloads that say what a statement says, and that are none.
func respelled(t *testing.T, payload string) map[string]string {
	t.Helper()
	var indented []byte
	var members map[string]any
	if err := json.Unmarshal([]byte(payload), &members); err != nil {
		t.Fatal(err)
	}
	indented = must(json.MarshalIndent(members, "", "  "))
	replaced := func(old, new string) string {
		if strings.Count(payload, old) != 1 {
			t.Fatalf("%s: not once in %s", old, payload)
		}
		return strings.Replace(payload, old, new, 1)
	}
	return map[string]string{
		"space before":       " " + payload,
		"a line after":       payload + "\n",
		"space within":       replaced(`,"account"`, `, "account"`),
		"other order":        string(must(json.Marshal(members))),
		"indented":           string(indented),
		"escape":             replaced(`"v1"`, `"\u00761"`),
		"escaped slash":      replaced(`"/gatehouse/prod"`, `"\/gatehouse\/prod"`),
		"escaped name":       replaced(`"root"`, `"r\u006fot"`),
		"number with point":  replaced(`"parts":3`, `"parts":3.0`),
		"number with e":      replaced(`"parts":3`, `"parts":3e0`),
		"number with 0":      replaced(`"parts":3`, `"parts":03`),
		"number with +":      replaced(`"parts":3`, `"parts":+3`),
		"number a string":    replaced(`"parts":3`, `"parts":"3"`),
		"number half":        replaced(`"parts":3`, `"parts":3.5`),
		"number huge":        replaced(`"parts":3`, `"parts":3e99`),
		"name in capitals":   replaced(`"root"`, `"Root"`),
		"name twice":         replaced(`"stage":"prod"`, `"stage":"dev","stage":"prod"`),
		"inner name twice":   replaced(`"parts":3`, `"parts":4,"parts":3`),
		"unknown member":     replaced(`"version"`, `"more":1,"version"`),
		"unknown inner":      replaced(`"parts":3`, `"parts":3,"more":1`),
		"a null member":      replaced(`"version"`, `"candidate":null,"version"`),
		"account a number":   replaced(`"123456789012"`, `123456789012`),
		"a member too few":   replaced(`"version":"v1",`, ``),
		"null":               "null",
		"a list":             "[" + payload + "]",
		"nothing":            "",
		"two":                payload + payload,
		"cut":                payload[:len(payload)-1],
		"byte order mark":    "\ufeff" + payload,
		"not UTF-8":          replaced(`"prod"`, "\"prod\xff\""),
		"a lone surrogate":   replaced(`"prod"`, `"prod\ud800"`),
		"deep":               strings.Repeat("[", 4000),
		"too large":          payload + strings.Repeat(" ", release.MaxStatement),
		"kind in other case": replaced(`"kind":`, `"Kind":`),
	}
}

func TestParseRefusesOtherSpellings(t *testing.T) {
	for name, payload := range respelled(t, string(must(release.Payload(someRelease())))) {
		want := release.CodeMalformed
		if name == "kind in other case" {
			want = release.CodeWrongKind // there is none
		}
		if name == "null" {
			want = release.CodeWrongKind
		}
		if r, err := release.ParseRelease([]byte(payload)); code(err) != want || r != (release.Release{}) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	activation := string(must(release.Payload(someActivation())))
	for _, when := range []string{"2026-11-27T08:00:00+00:00", "2026-11-27T08:00:00.000Z", "2026-11-27T09:00:00+01:00", "2026-11-27 08:00:00Z", "2026-11-27t08:00:00z", ""} {
		other := strings.Replace(activation, "2026-11-27T08:00:00Z", when, 1)
		if _, err := release.ParseActivation([]byte(other)); code(err) != release.CodeMalformed || other == activation {
			t.Errorf("%s: %v", when, err)
		}
	}
	if _, err := release.ParseActivation([]byte("{")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	_, err := release.ParseActivation([]byte(must(release.Payload(someRelease()))))
	if code(err) != release.CodeWrongKind || !strings.Contains(err.Error(), `kind is "release", want "activation"`) {
		t.Error(err)
	}
}
