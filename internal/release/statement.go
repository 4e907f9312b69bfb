package release

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// The codes of an [Error].
const (
	CodeMalformed        = "malformed"         // not a statement, or not in its one spelling
	CodeWrongKind        = "wrong_kind"        // a statement, but of another kind
	CodeWrongAccount     = "wrong_account"     // signed, but for elsewhere
	CodeWrongRoot        = "wrong_root"        //
	CodeWrongStage       = "wrong_stage"       //
	CodeSignatureMissing = "signature_missing" // no signature by a trusted key
	CodeSignatureInvalid = "signature_invalid" // one that names a trusted key, which did not make it
	CodeBelowThreshold   = "below_threshold"   // fewer signatures by trusted keys than must be
)

// Error says why a statement is refused.
type Error struct {
	Code string
	Err  error
}

func (e *Error) Error() string { return e.Code + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

func refuse(code, format string, args ...any) error {
	return &Error{code, fmt.Errorf(format, args...)}
}

const (
	maxRoot   = 900       // bytes; a parameter's whole name may have 1,011 (SSM: "Creating parameter names")
	maxParts  = 200       // of one content, as bundle.MaxParts, which is not asked: this package knows statements alone
	maxNumber = 1<<53 - 1 // what every reader of JSON counts exactly (RFC 7493 §2.2)
	maxEngine = 64        // bytes
)

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	stageForm   = regexp.MustCompile(`^([A-Za-z0-9_-]{1,128}|\$default)$`) // API Gateway: CreateStage
	digestForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	engineForm  = regexp.MustCompile(fmt.Sprintf(`^[!-~]([ -~]{0,%d}[!-~])?$`, maxEngine-2))
)

// ParseRelease reads the payload of a release: strictly, every field checked, and only in the spelling of [Payload]. That
// somebody signed it is for [Trust.Release] to say.
func ParseRelease(payload []byte) (Release, error) { return parse[Release](KindRelease, payload) }

// ParseActivation reads the payload of an activation likewise; [Trust.Activation] says who signed it.
func ParseActivation(payload []byte) (Activation, error) {
	return parse[Activation](KindActivation, payload)
}

func parse[S Release | Activation](kind string, payload []byte) (S, error) {
	var s, none S
	if len(payload) > MaxStatement {
		return none, refuse(CodeMalformed, "payload: %d bytes, at most %d", len(payload), MaxStatement)
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		return none, refuse(CodeMalformed, "payload: %w", err)
	}
	if head.Kind != kind {
		return none, refuse(CodeWrongKind, "payload: kind is %q, want %q", head.Kind, kind)
	}
	if err := json.Unmarshal(payload, &s, json.RejectUnknownMembers(true)); err != nil {
		return none, refuse(CodeMalformed, "payload: %w", err)
	}
	spelled, err := Payload(s)
	if err != nil {
		return none, err
	}
	if !bytes.Equal(spelled, payload) {
		return none, refuse(CodeMalformed, "payload: not in its one spelling (members in order, no white space, no null, no needless escape)")
	}
	return s, nil
}

// Payload spells a [Release] or an [Activation]. A statement has this one spelling and no other is read, so the same
// statement is the same bytes, whoever signs it and whenever.
func Payload(statement any) ([]byte, error) {
	var f faults
	switch s := statement.(type) {
	case Release:
		f.head(s.Kind, KindRelease, s.Version, s.Scope)
		f.number("number", s.Number)
		f.content("bundle", s.Bundle)
		if !engineForm.MatchString(s.Engine) {
			f.add("engine", "is %q, want 1 to %d printable characters of ASCII", s.Engine, maxEngine)
		}
		if s.Report != "" {
			f.digest("report", s.Report)
		}
	case Activation:
		f.head(s.Kind, KindActivation, s.Version, s.Scope)
		f.number("sequence", s.Sequence)
		f.number("release", s.Release)
		f.content("bundle", s.Bundle)
		f.content("auth0", s.Auth0)
		f.target("candidate", s.Candidate)
		f.notAfter(s.NotAfter)
		f.target("fallback", s.Fallback)
		if (s.NotAfter == nil) != (s.Fallback == nil) {
			f.add("not_after", "and fallback go together, and one is missing")
		}
	default:
		f.add("statement", "is a %T, want a Release or an Activation", statement)
	}
	if err := f.err(); err != nil {
		return nil, refuse(CodeMalformed, "%w", err)
	}
	return json.Marshal(statement)
}

// faults are what is wrong, each with its place.
type faults []error

func (f *faults) add(place, format string, args ...any) {
	*f = append(*f, fmt.Errorf(place+" "+format, args...))
}

func (f faults) err() error { return errors.Join(f...) }

func (f *faults) head(kind, want, version string, s Scope) {
	if kind != want {
		f.add("kind", "is %q, want %q", kind, want)
	}
	if version != Version {
		f.add("version", "is %q, want %q", version, Version)
	}
	f.scope(s)
}

// Check names what is wrong with a scope, so that nothing is written before a statement of it would be refused.
func (s Scope) Check() error {
	var f faults
	f.scope(s)
	return f.err()
}

func (f *faults) scope(s Scope) {
	if !accountForm.MatchString(s.Account) {
		f.add("account", "is %q, want 12 digits", s.Account)
	}
	if !isRoot(s.Root) {
		f.add("root", "is %q, want an absolute path of at most %d bytes, without . or .. or a slash at the end", s.Root, maxRoot)
	}
	if !stageForm.MatchString(s.Stage) {
		f.add("stage", "is %q, want 1 to 128 of A-Z a-z 0-9 _ - or $default", s.Stage)
	}
}

// isRoot takes what SSM names a path, and the absolute path of a directory.
func isRoot(root string) bool {
	return len(root) > 1 && len(root) <= maxRoot && root[0] == '/' && path.Clean(root) == root && utf8.ValidString(root) &&
		!strings.ContainsFunc(root, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (f *faults) number(place string, n int64) {
	if n < 1 || n > maxNumber {
		f.add(place, "is %d, want 1 to %d", n, int64(maxNumber))
	}
}

func (f *faults) digest(place, digest string) {
	if !digestForm.MatchString(digest) {
		f.add(place, "is %q, want 64 hexadecimal digits in lower case", digest)
	}
}

func (f *faults) content(place string, c Content) {
	f.digest(place+".digest", c.Digest)
	if c.Parts < 1 || c.Parts > maxParts {
		f.add(place+".parts", "is %d, want 1 to %d", c.Parts, maxParts)
	}
}

func (f *faults) target(place string, t *Target) {
	if t != nil {
		f.number(place+".release", t.Release)
		f.content(place+".bundle", t.Bundle)
	}
}

// notAfter takes years of four digits, as RFC 3339 §1 has them, and none before there were clocks of this kind.
func (f *faults) notAfter(t *time.Time) {
	if t != nil && (t.Nanosecond() != 0 || t.Location() != time.UTC || t.Unix() < 0 || t.Year() > 9999) {
		f.add("not_after", "is %s, want whole seconds of UTC from 1970 to 9999", t.Format(time.RFC3339Nano))
	}
}
