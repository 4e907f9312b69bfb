package authorizer

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Protocol is the kind of API that asks.
type Protocol string

// The three kinds of API that a Lambda authorizer can guard.
const (
	REST      Protocol = "rest"
	HTTP      Protocol = "http"
	WebSocket Protocol = "websocket"
)

// Request is what is asked, in our words. The fields with a JSON name are `input.request`, the part of the input
// document that policies read and records keep; what an event lacks is absent there, never "" (a TOKEN event has no
// source address).
type Request struct {
	ID       string              `json:"id,omitempty"`
	API      string              `json:"api"`
	Stage    string              `json:"stage"`
	Protocol Protocol            `json:"protocol"`
	Method   string              `json:"method,omitempty"` // absent for $connect
	Route    string              `json:"route,omitempty"`  // the template, "GET /orders/{id}"; absent: the table knows none
	Path     []string            `json:"path,omitempty"`   // decoded exactly once, split before that; absent for $connect and "/"
	Params   map[string]string   `json:"params,omitempty"`
	Query    map[string][]string `json:"query,omitempty"`   // only those that the configuration lists
	Headers  map[string][]string `json:"headers,omitempty"` // likewise, lower case
	SourceIP netip.Addr          `json:"source_ip,omitzero"`
	Time     time.Time           `json:"time"` // the only clock that a policy sees, UTC

	Partition   string      `json:"-"` // of the ARN: aws, aws-cn, aws-us-gov
	Region      string      `json:"-"`
	Account     string      `json:"-"`
	ARNPath     string      `json:"-"` // what follows "api/stage/" in the request's ARN, as the gateway spelt it: "GET/orders/42"
	Credentials Credentials `json:"-"`
	Malformed   string      `json:"-"` // why the path can be read in two ways; refused after authentication, before any policy
}

// Credentials are all the Authorization values that a request carries, duplicates included, still to be verified.
// However they are printed, they print as "[redacted]".
type Credentials []string

const redacted = "[redacted]"

// String hides the credentials.
func (Credentials) String() string { return redacted }

// GoString hides the credentials from %#v.
func (Credentials) GoString() string { return redacted }

// MarshalText hides the credentials from encoders and loggers.
func (Credentials) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// CarriesSecret says whether a header of this name (lower case), or a query parameter, is known to hold a credential: no
// configuration may show it to policies, whose input is recorded.
func CarriesSecret(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "cookie", "dpop", "x-api-key", "x-amz-security-token",
		"sec-websocket-protocol", // where browsers put a WebSocket's token
		"access_token", "id_token", "refresh_token", "token", "jwt", "api_key", "code", "client_secret":
		return true
	}
	return false
}

// Principal is who asks: verified claims only. Its JSON form is `input.principal`.
type Principal struct {
	Issuer       string         `json:"issuer"`
	Subject      string         `json:"subject"`
	ClientID     string         `json:"client_id,omitempty"`
	Organization string         `json:"organization,omitempty"`
	Audience     []string       `json:"audience"`
	Scopes       []string       `json:"scopes"`      // what the application may ask for
	Permissions  []string       `json:"permissions"` // what the user was granted (Auth0 RBAC); kept apart from scopes
	Roles        []string       `json:"roles"`       // from the claim that the configuration calls roles_claim
	Machine      bool           `json:"machine"`     // a client acting for itself
	ExpiresAt    time.Time      `json:"expires_at"`
	Claims       map[string]any `json:"claims"` // every verified claim under its exact name; numbers are json.Number

	Memo *Memo `json:"-"` // what was worked out of this principal before; nil for one that is seen once
}

// Memo keeps what was worked out of a principal that is met again, such as one out of the cache of verified tokens.
type Memo struct{ kept atomic.Pointer[any] }

// Load gives what was kept, nil at first.
func (m *Memo) Load() any {
	if kept := m.kept.Load(); kept != nil {
		return *kept
	}
	return nil
}

// Keep holds the first value that is given to it.
func (m *Memo) Keep(v any) { m.kept.CompareAndSwap(nil, &v) }

// Input is the whole document that a policy reads, as `input`.
type Input struct {
	Version   string    `json:"version"`
	Request   Request   `json:"request"`
	Principal Principal `json:"principal,omitzero"` // absent only in the record of a request that nobody proved to have sent
}

// InputVersion is the version of the input document.
const InputVersion = "v1"
