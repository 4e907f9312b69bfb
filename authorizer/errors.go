package authorizer

import "errors"

// The two ways a request ends without a decision. Their texts are what the function returns to the gateway, and all
// that it returns: API Gateway answers 401 to a function error whose message is exactly "Unauthorized" and 500 to any
// other (AWS: "Use API Gateway Lambda authorizers"). A reason cannot travel with them; it is in the record.
var (
	ErrUnauthenticated = errors.New("Unauthorized")
	ErrUnavailable     = errors.New("Unavailable")
)

// Error is why a request ended before it was decided. The zero Kind counts as ErrUnavailable: closed, and loud.
type Error struct {
	Kind error  // ErrUnauthenticated or ErrUnavailable
	Code string // stable, in snake case: what alarms and dashboards count (rule 49)
	Err  error  // the detail for an operator; never a token, a claim's value or a key id
}

// Unauthenticated says that the caller has not proven who it is: 401.
func Unauthenticated(code string, err error) error {
	return &Error{Kind: ErrUnauthenticated, Code: code, Err: err}
}

// Unavailable says that Gatehouse could not tell, through no fault of the caller: 500, and still closed.
func Unavailable(code string, err error) error {
	return &Error{Kind: ErrUnavailable, Code: code, Err: err}
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Code
	}
	return e.Code + ": " + e.detail()
}

func (e *Error) detail() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// asError reads any error as an Error: what was not classified is unavailable.
func asError(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Kind: ErrUnavailable, Code: "internal", Err: err}
	}
	if e.Kind != ErrUnauthenticated {
		return &Error{Kind: ErrUnavailable, Code: e.Code, Err: e.Err}
	}
	return e
}
