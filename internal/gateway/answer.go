package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

// answer is what the client gets.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that is gone gets nothing
}

// The gateway's own answers. Those of a REST API are its default gateway responses (API Gateway Developer Guide,
// "Gateway response types"); the two spellings of "message" are AWS's own.

func (a *api) message(status int, kind, message string) *answer {
	return a.document(status, kind, map[string]any{"message": message})
}

func (a *api) document(status int, kind string, doc map[string]any) *answer {
	body, _ := json.Marshal(doc) // texts and nulls only
	r := &answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
	if kind != "" && a.protocol == authorizer.REST {
		r.header.Set("X-Amzn-Errortype", kind)
	}
	return r
}

func (a *api) noRoute() *answer {
	if a.protocol == authorizer.REST {
		return a.message(http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	return a.message(http.StatusNotFound, "", "Not Found")
}

// unauthorized is also what an HTTP API answers to the function error "Unauthorized": AWS documents that for REST APIs
// only.
func (c *call) unauthorized() *answer {
	return c.respond("UNAUTHORIZED", c.api.message(http.StatusUnauthorized, "UnauthorizedException", "Unauthorized"), nil)
}

// misconfigured says that the authorizer failed, in whatever way.
func (a *api) misconfigured() *answer {
	if a.protocol == authorizer.REST {
		return a.document(http.StatusInternalServerError, "AuthorizerConfigurationException", map[string]any{"message": nil})
	}
	return a.message(http.StatusInternalServerError, "", "Internal Server Error")
}

func (c *call) denied(e effect, v *verdict) *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.api.message(http.StatusForbidden, "", "Forbidden")
	}
	text := "User is not authorized to access this resource"
	if e == explicitDeny {
		text += " with an explicit deny"
	}
	return c.respond("ACCESS_DENIED", c.api.document(http.StatusForbidden, "AccessDeniedException", map[string]any{"Message": text}), v)
}

// respond puts what the deployment says about a REST API's gateway response of this type over the default one. A
// template is filled in as it stands, without any language in it (Developer Guide, "Gateway responses in API Gateway":
// simple variable substitution). What a variable without a value becomes is documented nowhere: nothing, here.
func (c *call) respond(kind string, a *answer, v *verdict) *answer {
	r, custom := c.api.responses[kind]
	if !custom {
		return a
	}
	if r.Status != 0 {
		a.status = r.Status
	}
	for name, value := range r.Headers {
		a.header.Set(name, value)
	}
	if r.Template != "" {
		a.body = []byte(contextVariable.ReplaceAllStringFunc(r.Template, func(variable string) string {
			name := strings.TrimPrefix(variable, "$context.")
			key, ofAuthorizer := strings.CutPrefix(name, "authorizer.")
			switch {
			case ofAuthorizer && v != nil:
				if value, ok := v.restContext()[key]; ok {
					return fmt.Sprint(value)
				}
			case name == "requestId":
				return c.id
			}
			return ""
		}))
	}
	return a
}

var contextVariable = regexp.MustCompile(serverless.ContextVariable)

// failed says that the handler failed or answered what the gateway cannot read (Developer Guide, "Handle Lambda errors
// in API Gateway": 502 on a REST API; "Troubleshooting HTTP API Lambda integrations": 500). A function that ran into its
// own timeout has failed too.
func (a *api) failed() *answer {
	if a.protocol == authorizer.REST {
		return a.message(http.StatusBadGateway, "InternalServerErrorException", "Internal server error")
	}
	return a.message(http.StatusInternalServerError, "", "Internal Server Error")
}

// tooSlow says that the integration's own limit is over (Developer Guide, "Gateway response types": INTEGRATION_TIMEOUT;
// an HTTP API says 503).
func (a *api) tooSlow() *answer {
	if a.protocol == authorizer.REST {
		return a.message(http.StatusGatewayTimeout, "InternalServerErrorException", "Endpoint request timed out")
	}
	return a.message(http.StatusServiceUnavailable, "", "Service Unavailable")
}

func (a *api) tooLarge() *answer {
	if a.protocol == authorizer.REST {
		return a.message(http.StatusRequestEntityTooLarge, "RequestTooLargeException", "Request Too Long")
	}
	return a.message(http.StatusRequestEntityTooLarge, "", "Request Entity Too Large")
}

// parseAnswer reads a handler's answer: the output format of a Lambda proxy integration. On an HTTP API an answer
// without statusCode is a body of its own, answered 200 as JSON (Developer Guide, "Working with AWS Lambda proxy
// integrations for HTTP APIs").
func parseAnswer(payload []byte, p authorizer.Protocol) (*answer, error) {
	if !json.Valid(payload) {
		return nil, errors.New("not JSON")
	}
	var doc struct {
		StatusCode        json.RawMessage            `json:"statusCode"`
		Headers           map[string]json.RawMessage `json:"headers"`
		MultiValueHeaders map[string][]string        `json:"multiValueHeaders"`
		Cookies           []string                   `json:"cookies"`
		Body              *string                    `json:"body"`
		IsBase64Encoded   bool                       `json:"isBase64Encoded"`
	}
	err := json.Unmarshal(payload, &doc)
	if p == authorizer.HTTP && doc.StatusCode == nil {
		return inferred(payload), nil
	}
	if err != nil {
		return nil, errors.New("not a proxy integration's answer")
	}
	status, err := strconv.Atoi(strings.Trim(string(doc.StatusCode), `"`))
	if err != nil || status < 200 || status > 599 {
		return nil, errors.New("statusCode is not a status")
	}
	a := &answer{status: status, header: http.Header{}}
	for name, values := range doc.MultiValueHeaders {
		for _, value := range values {
			a.header.Add(name, value)
		}
	}
	for name, raw := range doc.Headers {
		value, err := scalar(raw)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		if !slices.Contains(a.header.Values(name), value) {
			a.header.Add(name, value)
		}
	}
	for _, cookie := range doc.Cookies {
		a.header.Add("Set-Cookie", cookie)
	}
	for _, own := range []string{"Connection", "Content-Length", "Transfer-Encoding"} { // the gateway's to set
		a.header.Del(own)
	}
	contentType := "application/json"
	if p == authorizer.HTTP {
		contentType = "text/plain; charset=utf-8"
	} else if challenge := a.header.Values("Www-Authenticate"); len(challenge) > 0 {
		// Developer Guide, "Amazon API Gateway important notes".
		a.header["X-Amzn-Remapped-Www-Authenticate"] = challenge
		a.header.Del("Www-Authenticate")
	}
	if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", contentType)
	}
	if doc.Body != nil {
		a.body = []byte(*doc.Body)
	}
	if doc.IsBase64Encoded {
		if a.body, err = base64.StdEncoding.DecodeString(string(a.body)); err != nil {
			return nil, errors.New("body is not base64")
		}
	}
	return a, nil
}

// inferred makes an answer of a handler's bare value.
func inferred(payload []byte) *answer {
	body := payload
	var text string
	if json.Unmarshal(payload, &text) == nil {
		body = []byte(text)
	}
	return &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

// scalar reads a header's value: text, a number or a truth value.
func scalar(raw json.RawMessage) (string, error) {
	var v any
	_ = json.Unmarshal(raw, &v) // a part of what was parsed already
	switch v := v.(type) {
	case string:
		return v, nil
	case float64, bool:
		return string(raw), nil
	}
	return "", errors.New("neither text nor a number nor a truth value")
}
