package gateway

import (
	"cmp"
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
// "Gateway response types"), which a deployment can change; the two spellings of "message" are AWS's own.

// message is an answer of a type of gateway response; "" is one that no deployment changes.
func (c *call) message(kind string, status int, errorType, message string) *answer {
	return c.document(kind, status, errorType, map[string]any{"message": message}, nil)
}

func (c *call) document(kind string, status int, errorType string, doc map[string]any, v *verdict) *answer {
	body, _ := json.Marshal(doc) // texts and nulls only
	a := &answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
	if errorType != "" && c.api.protocol != authorizer.HTTP {
		a.header.Set("X-Amzn-Errortype", errorType)
	}
	message, _ := cmp.Or(doc["message"], doc["Message"]).(string)
	return c.respond(kind, a, message, v)
}

func (c *call) noRoute() *answer {
	if c.api.protocol != authorizer.HTTP {
		return c.message("MISSING_AUTHENTICATION_TOKEN", http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	return c.message("", http.StatusNotFound, "", "Not Found")
}

// noStage says that there is no such stage, or no such base path of a custom domain. No page shows it; it is what AWS
// answers to https://ID.execute-api.REGION.amazonaws.com/ of a REST API.
func (c *call) noStage() *answer {
	if c.api.protocol != authorizer.HTTP || c.domain != c.api.ownDomain() {
		return c.message("", http.StatusForbidden, "ForbiddenException", "Forbidden")
	}
	return c.noRoute()
}

// badRequest says that the request cannot be read: a path that does not decode, a body that breaks off. That it is rejected
// is known of the first (live captures, as for decoded); the status is documented for neither.
func (c *call) badRequest() *answer {
	a := c.message("", http.StatusBadRequest, "BadRequestException", "Bad Request")
	a.header.Set("Connection", "close")
	return a
}

// headerTooLarge has the text that a REST API's users report; its status is documented nowhere.
func (c *call) headerTooLarge() *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusRequestHeaderFieldsTooLarge, "", "Request Header Fields Too Large")
	}
	return c.message("", http.StatusRequestHeaderFieldsTooLarge, "", fmt.Sprintf("HTTP header is larger than %d bytes.", maxHeader))
}

// unauthorized is also what an HTTP API answers to the function error "Unauthorized": AWS documents that for REST APIs
// only.
func (c *call) unauthorized() *answer {
	return c.message("UNAUTHORIZED", http.StatusUnauthorized, "UnauthorizedException", "Unauthorized")
}

// misconfigured says that the authorizer failed, in whatever way.
func (c *call) misconfigured() *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusInternalServerError, "", "Internal Server Error")
	}
	return c.document("AUTHORIZER_CONFIGURATION_ERROR", http.StatusInternalServerError, "AuthorizerConfigurationException", map[string]any{"message": nil}, nil)
}

func (c *call) denied(e effect, v *verdict) *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusForbidden, "", "Forbidden")
	}
	text := "User is not authorized to access this resource"
	if e == explicitDeny {
		text += " with an explicit deny"
	}
	return c.document("ACCESS_DENIED", http.StatusForbidden, "AccessDeniedException", map[string]any{"Message": text}, v)
}

// failed says that the handler failed or answered what the gateway cannot read (Developer Guide, "Handle Lambda errors
// in API Gateway": 502 on a REST API; "Troubleshooting HTTP API Lambda integrations": 500). A function that ran into its
// own timeout has failed too.
func (c *call) failed() *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusInternalServerError, "", "Internal Server Error")
	}
	return c.message("DEFAULT_5XX", http.StatusBadGateway, "InternalServerErrorException", "Internal server error")
}

// busy says that the handler has no concurrency left. No page states either status.
func (c *call) busy() *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusServiceUnavailable, "", "Service Unavailable")
	}
	return c.message("DEFAULT_5XX", http.StatusInternalServerError, "InternalServerErrorException", "Internal server error")
}

// tooSlow says that the integration's own limit is over (Developer Guide, "Gateway response types": INTEGRATION_TIMEOUT;
// an HTTP API says 503).
func (c *call) tooSlow() *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusServiceUnavailable, "", "Service Unavailable")
	}
	return c.message("INTEGRATION_TIMEOUT", http.StatusGatewayTimeout, "InternalServerErrorException", "Endpoint request timed out")
}

// tooLarge says that the body is longer than the gateway takes, or the event than Lambda takes.
func (c *call) tooLarge() *answer {
	if c.api.protocol == authorizer.HTTP {
		return c.message("", http.StatusRequestEntityTooLarge, "", "Request Entity Too Large")
	}
	return c.message("REQUEST_TOO_LARGE", http.StatusRequestEntityTooLarge, "RequestTooLargeException", "Request Too Long")
}

// respond puts what the deployment says about a REST API's gateway response of this type over the default one; where it
// says nothing, what it says about all of the class. A template is filled in as it stands, without any language in it
// (Developer Guide, "Gateway responses in API Gateway": simple variable substitution).
func (c *call) respond(kind string, a *answer, message string, v *verdict) *answer {
	r, custom := c.api.responses[kind]
	if !custom && kind != "" {
		class := "DEFAULT_4XX"
		if a.status >= 500 {
			class = "DEFAULT_5XX"
		}
		r, custom = c.api.responses[class]
	}
	if !custom {
		return a
	}
	if r.Status != 0 {
		a.status = r.Status
	}
	for name, value := range r.Headers {
		a.header.Set(name, c.parameter(value, v))
	}
	if r.Template != "" {
		a.body = []byte(contextVariable.ReplaceAllStringFunc(r.Template, func(variable string) string {
			switch name := strings.TrimPrefix(variable, "$context."); name {
			case "error.message":
				return message
			case "error.messageString":
				quoted, _ := json.Marshal(message) // a text
				return string(quoted)
			case "error.responseType":
				return kind
			default:
				return c.contextValue(name, v)
			}
		}))
	}
	return a
}

var contextVariable = regexp.MustCompile(serverless.ContextVariable)

// parameter is the value of a gateway response's header: 'text', or what the request says.
func (c *call) parameter(value string, v *verdict) string {
	if name, ok := strings.CutPrefix(value, "method.request.header."); ok {
		return c.request.Header.Get(name)
	}
	if name, ok := strings.CutPrefix(value, "method.request.querystring."); ok {
		return c.query.Get(name)
	}
	if name, ok := strings.CutPrefix(value, "context."); ok {
		return c.contextValue(name, v)
	}
	return value[1 : len(value)-1]
}

// parseAnswer reads a handler's answer: the output format of a Lambda proxy integration. On an HTTP API an answer
// without statusCode is a body of its own, answered 200 as JSON (Developer Guide, "Working with AWS Lambda proxy
// integrations for HTTP APIs"). A REST API decodes a body from base64 only where the media type that the client accepts
// first is one of the deployment's ("Content type conversions in API Gateway").
func (c *call) parseAnswer(payload []byte) (*answer, error) {
	p := c.api.protocol
	if !json.Valid(payload) {
		return nil, errors.New("not JSON")
	}
	var doc struct {
		StatusCode        json.RawMessage
		Headers           map[string]json.RawMessage
		MultiValueHeaders map[string][]string
		Cookies           []string
		Body              *string
		IsBase64Encoded   bool
	}
	var members map[string]json.RawMessage // by their exact names
	err := json.Unmarshal(payload, &members)
	for name, raw := range members {
		var fault error
		switch name {
		case "statusCode":
			doc.StatusCode = raw
		case "headers":
			fault = json.Unmarshal(raw, &doc.Headers)
		case "multiValueHeaders":
			fault = json.Unmarshal(raw, &doc.MultiValueHeaders)
		case "body":
			fault = json.Unmarshal(raw, &doc.Body)
		case "isBase64Encoded":
			fault = json.Unmarshal(raw, &doc.IsBase64Encoded)
		default:
			if p != authorizer.HTTP { // cookies too (github.com/customink/lamby, issue 78)
				return nil, fmt.Errorf("holds %q, which is no part of a proxy integration's answer", name)
			}
			if name == "cookies" {
				fault = json.Unmarshal(raw, &doc.Cookies)
			}
		}
		err = errors.Join(err, fault)
	}
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
	for _, theirs := range []string{"Connection", "Content-Length", "Transfer-Encoding"} { // the gateway's to set
		a.header.Del(theirs)
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
	if doc.IsBase64Encoded && (p != authorizer.REST || isBinary(c.api.binary, firstMedia(c.request.Header.Get("Accept")))) {
		if a.body, err = base64.StdEncoding.DecodeString(string(a.body)); err != nil {
			return nil, errors.New("body is not base64")
		}
	}
	return a, nil
}

// firstMedia is the first media type of Accept or Content-Type, without its parameters.
func firstMedia(header string) string {
	first, _, _ := strings.Cut(header, ",")
	first, _, _ = strings.Cut(first, ";")
	return strings.ToLower(strings.TrimSpace(first))
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
