package caller

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-lambda-go/events"
)

// Response is a function's answer. The zero value is none: the client gets a 500.
type Response struct {
	Status  int               // 200 to 599
	Body    any               // encoded as JSON; nil for no body
	Headers map[string]string // beside Content-Type and Warning
}

// Problem is the body of every answer that refuses. DecisionID is filled in on the way out.
type Problem struct {
	Message    string `json:"message"`               // for people
	Code       string `json:"code"`                  // for programs: stable, in snake case
	DecisionID string `json:"decision_id,omitempty"` // of the authorizer's decision; absent from public routes
}

// Refuse gives an answer whose body is a [Problem].
func Refuse(status int, code, message string) Response {
	return Response{Status: status, Body: Problem{Message: message, Code: code}}
}

// reply is a rendered answer.
type reply struct {
	status  int
	headers map[string]string
	body    string
}

// render encodes a response. What can't be sent is an error.
func render(r Response, decisionID string) (reply, error) {
	if r.Status < 200 || r.Status > 599 {
		return reply{}, fmt.Errorf("answer with status %d: want 200 to 599", r.Status)
	}
	out := reply{status: r.Status, headers: map[string]string{}}
	maps.Copy(out.headers, r.Headers)
	if r.Body == nil {
		return out, nil
	}
	if p, ok := r.Body.(Problem); ok {
		p.DecisionID = decisionID
		r.Body = p
	}
	body, err := json.Marshal(r.Body)
	if err != nil {
		return reply{}, fmt.Errorf("encode answer: %w", err)
	}
	out.headers["Content-Type"] = "application/json"
	out.body = string(body)
	return out, nil
}

// encode writes the document that the gateway expects of a proxy integration, with one Warning value for each warning.
// An HTTP API has no multi-valued response headers; RFC 9110 5.3 lets the values be joined. Pages of origin may read what
// a REST API answers, warnings included.
func (o reply) encode(http bool, origin string, warnings []string) ([]byte, error) {
	values := warningValues(warnings)
	if !http {
		if origin != "" {
			o.headers["Access-Control-Allow-Origin"] = origin
			o.headers["Access-Control-Expose-Headers"] = "Warning"
			o.headers["Vary"] = "Origin"
		}
		r := events.APIGatewayProxyResponse{StatusCode: o.status, Headers: o.headers, Body: o.body}
		if len(values) > 0 {
			r.MultiValueHeaders = map[string][]string{"Warning": values}
		}
		return json.Marshal(r)
	}
	if len(values) > 0 {
		o.headers["Warning"] = strings.Join(values, ", ")
	}
	return json.Marshal(events.APIGatewayV2HTTPResponse{StatusCode: o.status, Headers: o.headers, Body: o.body})
}

// maxWarningBytes bounds all Warning values together: API Gateway takes 10,240 bytes of headers (AWS: "Quotas for
// configuring and running a REST API in API Gateway"), and an answer above it would be lost for a warning's sake.
// What doesn't fit is in the decision's record.
const maxWarningBytes = 8192

// warningValues writes warnings as the Kubernetes API server does: `299 - "text"`, each text once, empty ones left out.
// RFC 7234 5.5 gives the form, 299 says miscellaneous and persistent, "-" hides the agent. (RFC 9111 5.5 took the header
// out of HTTP caching; kubectl and client-go go on reading it.)
func warningValues(warnings []string) []string {
	var values []string
	size := 0
	for _, text := range warnings {
		value := `299 - "` + quotedPair.Replace(strings.Map(printable, text)) + `"`
		if text == "" || slices.Contains(values, value) {
			continue
		}
		if size += len(value) + len(", "); size > maxWarningBytes {
			break
		}
		values = append(values, value)
	}
	return values
}

var quotedPair = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// printable keeps a warning on its line: whatever its text, it stays inside its header.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}
