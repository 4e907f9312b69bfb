package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

// The events are those of the API Gateway Developer Guide: "Input to an API Gateway Lambda authorizer", "Working with
// AWS Lambda authorizers for HTTP APIs", "Set up Lambda proxy integrations" and "Working with AWS Lambda proxy
// integrations for HTTP APIs".

// tokenEvent is all that an authorizer of type TOKEN gets.
type tokenEvent struct {
	Type               string `json:"type"`
	AuthorizationToken string `json:"authorizationToken"`
	MethodARN          string `json:"methodArn"`
}

// requestEvent is an authorizer's event of type REQUEST, for a REST API or in payload 1.0 for an HTTP API. Only the
// latter has a version, an identity source and a token.
type requestEvent struct {
	Version            string `json:"version,omitempty"`
	Type               string `json:"type"`
	MethodARN          string `json:"methodArn"`
	IdentitySource     string `json:"identitySource,omitempty"`
	AuthorizationToken string `json:"authorizationToken,omitempty"`
	requestV1
}

// proxyEvent is a handler's event, for a REST API.
type proxyEvent struct {
	requestV1
	Body            *string `json:"body"`
	IsBase64Encoded bool    `json:"isBase64Encoded"`
}

// requestV1 is what the events of payload 1.0 share.
type requestV1 struct {
	Resource                        string              `json:"resource"`
	Path                            string              `json:"path"`
	HTTPMethod                      string              `json:"httpMethod"`
	Headers                         map[string]string   `json:"headers"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters"`
	PathParameters                  map[string]string   `json:"pathParameters"`
	StageVariables                  map[string]string   `json:"stageVariables"`
	RequestContext                  contextV1           `json:"requestContext"`
}

type contextV1 struct {
	AccountID         string         `json:"accountId"`
	APIID             string         `json:"apiId"`
	Authorizer        map[string]any `json:"authorizer,omitempty"`
	DomainName        string         `json:"domainName"`
	DomainPrefix      string         `json:"domainPrefix"`
	ExtendedRequestID string         `json:"extendedRequestId"`
	HTTPMethod        string         `json:"httpMethod"`
	Identity          identityV1     `json:"identity"`
	Path              string         `json:"path"` // with the stage
	Protocol          string         `json:"protocol"`
	RequestID         string         `json:"requestId"`
	RequestTime       string         `json:"requestTime"`
	RequestTimeEpoch  int64          `json:"requestTimeEpoch"`
	ResourceID        string         `json:"resourceId"`
	ResourcePath      string         `json:"resourcePath"`
	Stage             string         `json:"stage"`
}

type identityV1 struct {
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// routeEvent is an authorizer's event in payload 2.0.
type routeEvent struct {
	Version        string   `json:"version"`
	Type           string   `json:"type"`
	RouteARN       string   `json:"routeArn"`
	IdentitySource []string `json:"identitySource,omitempty"`
	requestV2
}

// httpEvent is a handler's event in payload 2.0.
type httpEvent struct {
	Version string `json:"version"`
	requestV2
	Body            *string `json:"body,omitempty"`
	IsBase64Encoded bool    `json:"isBase64Encoded"`
}

// requestV2 is what the events of payload 2.0 share. What is empty is absent.
type requestV2 struct {
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        contextV2         `json:"requestContext"`
	PathParameters        map[string]string `json:"pathParameters,omitempty"`
}

type contextV2 struct {
	AccountID    string    `json:"accountId"`
	APIID        string    `json:"apiId"`
	Authorizer   *lambdaV2 `json:"authorizer,omitempty"`
	DomainName   string    `json:"domainName"`
	DomainPrefix string    `json:"domainPrefix"`
	HTTP         httpV2    `json:"http"`
	RequestID    string    `json:"requestId"`
	RouteKey     string    `json:"routeKey"`
	Stage        string    `json:"stage"`
	Time         string    `json:"time"`
	TimeEpoch    int64     `json:"timeEpoch"`
}

type lambdaV2 struct {
	Lambda map[string]json.RawMessage `json:"lambda"`
}

type httpV2 struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

const requestTime = "02/Jan/2006:15:04:05 -0700" // the Common Log Format's

// authorizerEvent is the event for the route's authorizer, by its configured type.
func (c *call) authorizerEvent(identity []string) []byte {
	g := c.route.authorizer
	switch {
	case c.socket != nil:
		return c.socketAuthorizerEvent()
	case g.Type == serverless.Token:
		return encode(tokenEvent{Type: "TOKEN", AuthorizationToken: identity[0], MethodARN: c.arn()})
	case g.PayloadVersion == "2.0":
		return encode(routeEvent{Version: "2.0", Type: "REQUEST", RouteARN: c.arn(), IdentitySource: identity, requestV2: c.v2()})
	}
	e := requestEvent{Type: "REQUEST", MethodARN: c.arn(), requestV1: c.v1()}
	e.PathParameters = present(e.PathParameters)
	e.StageVariables = present(e.StageVariables)
	e.QueryStringParameters = present(e.QueryStringParameters)
	e.MultiValueQueryStringParameters = present(e.MultiValueQueryStringParameters)
	if c.api.protocol == authorizer.HTTP {
		e.Version = "1.0"
		e.IdentitySource = strings.Join(identity, ",")
		e.AuthorizationToken = e.IdentitySource
	}
	return encode(e)
}

// handlerEvent is the event for the route's function, with what its authorizer passed on.
func (c *call) handlerEvent(v *verdict) []byte {
	if c.socket != nil {
		return c.connectEvent()
	}
	body, isBase64 := c.text()
	if c.api.protocol == authorizer.REST {
		e := proxyEvent{requestV1: c.v1(), Body: body, IsBase64Encoded: isBase64}
		e.RequestContext.Authorizer = v.restContext()
		return encode(e)
	}
	e := httpEvent{Version: "2.0", requestV2: c.v2(), Body: body, IsBase64Encoded: isBase64}
	if v != nil {
		e.RequestContext.Authorizer = &lambdaV2{Lambda: v.context}
	}
	return encode(e)
}

func (c *call) v1() requestV1 {
	a := c.api
	resource := resourceID(c.route.path)
	if a.protocol == authorizer.HTTP {
		resource = c.route.key // as captured events of payload 1.0 have it
	}
	return requestV1{
		Resource: c.route.path, Path: c.base + c.path, HTTPMethod: c.request.Method,
		Headers: last(c.sent), MultiValueHeaders: c.sent,
		QueryStringParameters: last(c.query), MultiValueQueryStringParameters: nonEmpty(c.query),
		PathParameters: nonEmpty(c.params),
		RequestContext: contextV1{
			AccountID: a.account, APIID: a.id, DomainName: c.domain, DomainPrefix: c.domainPrefix(),
			ExtendedRequestID: c.extended, HTTPMethod: c.request.Method,
			Identity: identityV1{SourceIP: c.ip, UserAgent: c.request.UserAgent()},
			Path:     c.fullPath(), Protocol: c.request.Proto, RequestID: c.id,
			RequestTime: c.time.Format(requestTime), RequestTimeEpoch: c.time.UnixMilli(),
			ResourceID: resource, ResourcePath: c.route.path, Stage: a.stage,
		},
	}
}

func (c *call) v2() requestV2 {
	a := c.api
	headers := map[string]string{}
	var cookies []string
	for name, values := range c.headers {
		if name == "Cookie" {
			for _, line := range values {
				for cookie := range strings.SplitSeq(line, ";") {
					cookies = append(cookies, strings.TrimSpace(cookie))
				}
			}
			continue
		}
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	query := map[string]string{}
	for name, values := range c.query {
		query[name] = strings.Join(values, ",")
	}
	return requestV2{
		RouteKey: c.route.key, RawPath: c.fullPath(), RawQueryString: c.request.URL.RawQuery,
		Cookies: cookies, Headers: headers, QueryStringParameters: query, PathParameters: c.params,
		RequestContext: contextV2{
			AccountID: a.account, APIID: a.id, DomainName: c.domain, DomainPrefix: c.domainPrefix(),
			HTTP: httpV2{
				Method: c.request.Method, Path: c.fullPath(), Protocol: c.request.Proto,
				SourceIP: c.ip, UserAgent: c.request.UserAgent(),
			},
			RequestID: c.id, RouteKey: c.route.key, Stage: a.stage,
			Time: c.time.Format(requestTime), TimeEpoch: c.time.UnixMilli(),
		},
	}
}

// text is the body as an event holds it: nothing for none, base64 for what is not text. On a REST API the deployment says
// which media types are not, and what is no UTF-8 all the same is damaged (Developer Guide, "Content type conversions in
// API Gateway"). On an HTTP API text is what says that it is: text/*, JSON, XML and JavaScript, and nothing else, forms
// included. No page lists them; they were read off a live API (github.com/ministackorg/ministack, pull request 766).
func (c *call) text() (*string, bool) {
	if len(c.body) == 0 {
		return nil, false
	}
	media := firstMedia(c.request.Header.Get("Content-Type"))
	isBase64 := !strings.HasPrefix(media, "text/") && !slices.Contains([]string{"application/json", "application/xml", "application/javascript"}, media)
	if c.api.protocol == authorizer.REST {
		isBase64 = isBinary(c.api.binary, media)
	}
	s := strings.ToValidUTF8(string(c.body), "\uFFFD")
	if isBase64 {
		s = base64.StdEncoding.EncodeToString(c.body)
	}
	return &s, isBase64
}

// isBinary says whether a media type is among the deployment's: "*/*" takes all, none included.
func isBinary(types []string, media string) bool {
	return slices.ContainsFunc(types, func(t string) bool {
		kind, all := strings.CutSuffix(strings.ToLower(t), "/*")
		return t == "*/*" || all && strings.HasPrefix(media, kind+"/") || strings.EqualFold(t, media)
	})
}

// restContext is requestContext.authorizer of a REST API: every value as text.
func (v *verdict) restContext() map[string]any {
	if v == nil {
		return nil
	}
	all := map[string]any{}
	for name, raw := range v.context {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw) // a number or a truth value, as it was written
		}
		all[name] = s
	}
	all["principalId"] = v.principal
	all["integrationLatency"] = v.latency.Milliseconds()
	return all
}

// last gives the last value of each name, as the single-value maps have it; nil for none.
func last(all map[string][]string) map[string]string {
	var m map[string]string
	for name, values := range all {
		if m == nil {
			m = map[string]string{}
		}
		m[name] = values[len(values)-1]
	}
	return m
}

func nonEmpty[M ~map[K]V, K comparable, V any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return m
}

func present[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return M{}
	}
	return m
}

// encode writes an event. Its types hold nothing that could fail.
func encode(event any) []byte {
	b, _ := json.Marshal(event)
	return b
}

// verdict is what an authorizer answered.
type verdict struct {
	principal  string
	policy     policy
	simple     bool // a simple response: authorized stands for the policy
	authorized bool
	context    map[string]json.RawMessage
	latency    time.Duration
}

// effect is what the verdict means for a request. A simple response is about the request that was asked.
func (v *verdict) effect(r iamRequest) effect {
	switch {
	case !v.simple:
		return v.policy.evaluate(r)
	case v.authorized:
		return allow
	}
	return explicitDeny
}

// maxSocketVerdict is the longest answer of an authorizer of a WebSocket API (Developer Guide, "Quotas").
const maxSocketVerdict = 8 << 10

// parseVerdict reads an authorizer's answer (Developer Guide, "Output from an API Gateway Lambda authorizer"), which must
// have the form that the authorizer is configured for ("Working with AWS Lambda authorizers for HTTP APIs": format of a
// response, troubleshooting). A null anywhere makes AWS refuse the whole of it; of a name given twice no page says which
// counts, so neither does. On a REST API the context is flat.
func parseVerdict(payload []byte, p authorizer.Protocol, simple bool) (*verdict, error) {
	if p == authorizer.WebSocket && len(payload) > maxSocketVerdict {
		return nil, fmt.Errorf("%d bytes, a WebSocket API takes %d", len(payload), maxSocketVerdict)
	}
	if !jsontext.Value(payload).IsValid() {
		return nil, errors.New("not JSON, or a name is given twice")
	}
	var whole any
	if err := json.Unmarshal(payload, &whole); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if holdsNull(whole) {
		return nil, fmt.Errorf("holds a null")
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(payload, &top); err != nil {
		return nil, fmt.Errorf("not an object")
	}
	v := &verdict{simple: simple}
	if simple {
		if err := json.Unmarshal(top["isAuthorized"], &v.authorized); err != nil {
			return nil, errors.New("isAuthorized is not true or false")
		}
	}
	for _, name := range []string{"principalId", "policyDocument", "isAuthorized"} {
		if _, given := top[name]; given && simple != (name == "isAuthorized") {
			return nil, fmt.Errorf("has %s, while enableSimpleResponses is %t", name, simple)
		}
	}
	if raw, given := top["usageIdentifierKey"]; given && raw[0] != '"' {
		return nil, errors.New("usageIdentifierKey is not a text")
	}
	if !simple {
		if err := json.Unmarshal(top["principalId"], &v.principal); err != nil || v.principal == "" {
			return nil, fmt.Errorf("principalId is not a text with something in it")
		}
		var err error
		if v.policy, err = parsePolicy(top["policyDocument"]); err != nil {
			return nil, err
		}
	}
	if raw, ok := top["context"]; ok {
		if err := json.Unmarshal(raw, &v.context); err != nil {
			return nil, fmt.Errorf("context is not an object")
		}
	}
	for name, raw := range v.context {
		if p != authorizer.HTTP && slices.Contains([]byte("{["), raw[0]) {
			return nil, fmt.Errorf("context.%s is neither text nor a number nor a truth value", name)
		}
	}
	return v, nil
}

func holdsNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return slices.ContainsFunc(v, holdsNull)
	case map[string]any:
		for _, item := range v {
			if holdsNull(item) {
				return true
			}
		}
	}
	return false
}
