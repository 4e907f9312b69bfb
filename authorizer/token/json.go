package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// limits bound what reading a document may cost: nesting, and in the whole document object members and list elements. A
// member costs the most, for its name must be compared with others.
type limits struct{ depth, members, elements int }

var (
	headerLimits = limits{depth: 4, members: 16, elements: 16}
	claimsLimits = limits{depth: 32, members: 128, elements: 512}
	jwksLimits   = limits{depth: 8, members: 4096, elements: 4096}
	configLimits = limits{depth: 12, members: 8192, elements: 8192}
)

// maxNumber is the longest number taken, in bytes, and maxExponent the largest exponent: what a policy computes with is
// bounded (RFC 7493 §2.2).
const (
	maxNumber   = 64
	maxExponent = 308
)

var (
	errNotObject = errors.New("not a JSON object")
	errTrailing  = errors.New("data after the JSON object")
	errDepth     = errors.New("nested too deep")
	errMembers   = errors.New("too many members or elements")
	errNumber    = errors.New("number too long or out of range")
)

// decodeObject reads exactly one JSON object in the strict sense of RFC 7493: valid UTF-8, no lone surrogate, no name
// twice in one object, nothing before or after but white space. Names keep their exact case. Numbers are json.Number,
// so none loses a digit (rule 34).
//
// jsontext refuses invalid UTF-8, lone surrogates and duplicate names by default; the limits are ours.
func decodeObject(doc []byte, l limits) (map[string]any, error) {
	r := reader{Decoder: jsontext.NewDecoder(bytes.NewBuffer(doc)), doc: string(doc), limits: l}
	if r.PeekKind() != '{' {
		if _, err := r.ReadToken(); err != nil {
			return nil, err
		}
		return nil, errNotObject
	}
	v, err := r.value(1)
	if err != nil {
		return nil, err
	}
	switch _, err := r.ReadToken(); {
	case err == nil:
		return nil, errTrailing
	case err != io.EOF:
		return nil, errors.Join(errTrailing, err)
	}
	return v.(map[string]any), nil
}

type reader struct {
	*jsontext.Decoder
	doc    string
	limits // what is left of them; depth stays
}

func (r *reader) value(depth int) (any, error) {
	if r.PeekKind() == '"' {
		return r.text()
	}
	t, err := r.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '{', '[':
		if depth > r.depth {
			return nil, errDepth
		}
		if t.Kind() == '{' {
			return r.object(depth)
		}
		return r.array(depth)
	case '0':
		return number(t.String())
	case 'n':
		return nil, nil
	default:
		return t.Bool(), nil
	}
}

// text reads a string or a name. One without escapes is a part of the document: most of a token is strings, and a copy of
// each would be a quarter of all that verifying it allocates.
func (r *reader) text() (string, error) {
	raw, err := r.ReadValue()
	if err != nil {
		return "", err
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		end := int(r.InputOffset())
		return r.doc[end-len(raw)+1 : end-1], nil
	}
	unquoted, err := jsontext.AppendUnquote(nil, raw)
	return string(unquoted), err
}

func (r *reader) object(depth int) (any, error) {
	m := make(map[string]any)
	for r.PeekKind() == '"' {
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if r.members--; r.members < 0 {
			return nil, errMembers
		}
		if m[name], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.ReadToken()
	return m, err
}

func (r *reader) array(depth int) (any, error) {
	list := []any{}
	for r.PeekKind() != ']' {
		if r.elements--; r.elements < 0 {
			return nil, errMembers
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.ReadToken()
	return list, err
}

// number keeps the literal. A float64 must be able to hold its magnitude: big exponents make big numbers, and those
// make slow policies.
func number(literal string) (json.Number, error) {
	if len(literal) > maxNumber {
		return "", errNumber
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(literal), "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent || n < -maxExponent {
			return "", errNumber
		}
	}
	if _, err := strconv.ParseFloat(literal, 64); err != nil {
		return "", errNumber
	}
	return json.Number(literal), nil
}

// quiet names the kind of a reading error without quoting the document: what a caller wrote does not reach a log.
func quiet(err error) error {
	for _, known := range []error{errNotObject, errTrailing, errDepth, errMembers, errNumber} {
		if errors.Is(err, known) {
			return known
		}
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return errors.New("a name occurs twice")
	}
	return errors.New("not strict JSON")
}

// kindOf names a decoded value's type for an error message.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}
