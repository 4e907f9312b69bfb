package authorizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Reason says in one word how a decision came about.
type Reason string

// The reasons of a decision and their HTTP status.
const (
	Granted            Reason = "Granted"            // 200
	NotGranted         Reason = "NotGranted"         // 403: no grant
	ConstraintViolated Reason = "ConstraintViolated" // 403: a constraint denies
	RequestMalformed   Reason = "RequestMalformed"   // 403: the path can be read in two ways
)

// Decision is what the policy says; names follow admission.k8s.io/v1 where they mean the same. The zero value denies.
type Decision struct {
	Allowed          bool              `json:"allowed"`
	Status           Status            `json:"status"`
	Grants           []string          `json:"grants"`
	Violations       []Violation       `json:"violations"`
	Warnings         []string          `json:"warnings,omitempty"`
	AuditAnnotations map[string]string `json:"auditAnnotations,omitempty"`
	Context          map[string]string `json:"context,omitempty"` // for the handler, beside the reserved names

	// Disclosed are the codes, sorted, by which a denied client may learn why: those whose METADATA says so. They are
	// worked out from the policy's METADATA and are no part of data.gatehouse.decision: the opa program does not show
	// them (ADR 5).
	Disclosed []string `json:"disclosed,omitempty"`

	// UsageIdentifierKey is the API key that a REST API meters the allowed request by; "" is none (AWS: "Output from an
	// API Gateway Lambda authorizer"). It is a credential, and no record holds it.
	UsageIdentifierKey APIKey `json:"-"`
}

// APIKey is the value of an API key. However it is printed, it prints as "[redacted]".
type APIKey string

// String hides the key.
func (APIKey) String() string { return redacted }

// GoString hides the key from %#v.
func (APIKey) GoString() string { return redacted }

// MarshalText hides the key from encoders and loggers.
func (APIKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Status is the outcome in the terms of HTTP.
type Status struct {
	Code    int    `json:"code"`
	Reason  Reason `json:"reason"`
	Message string `json:"message,omitempty"`
}

// Violation is one finding of one constraint.
type Violation struct {
	Constraint string `json:"constraint"`
	Template   string `json:"template"`
	Action     string `json:"action"` // deny, warn or dryrun; any other spelling denies
	Message    string `json:"message"`
}

// Denies says whether the finding keeps the request out. Only the two exact words spare it.
func (v Violation) Denies() bool { return v.Action != "warn" && v.Action != "dryrun" }

// maxText bounds what a policy says to people, in bytes.
const maxText = 512

// Plain makes a policy's text fit for a header, a log line and a terminal: without control and formatting characters,
// among them those that turn the direction of writing, and cut at a rune where it is longer than 512 bytes.
func Plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r // bytes that are no UTF-8 come as U+FFFD, and are written so
	}, s)
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Malformed is the decision about a request whose path can be read in two ways; why says so. No policy is asked.
func Malformed(why string) Decision {
	return Decision{
		Status:     Status{Code: 403, Reason: RequestMalformed, Message: why},
		Grants:     []string{},
		Violations: []Violation{},
	}
}
