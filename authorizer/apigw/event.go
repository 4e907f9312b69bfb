package apigw

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/authorizer"
)

// event is the union of the five events, as far as they are read. Fields of other names are ignored, since AWS says
// that it may add some ("Input to an API Gateway Lambda authorizer"). Absent, null and empty are the same.
type event struct {
	Type           string         `json:"type"`
	Version        string         `json:"version"`
	MethodARN      string         `json:"methodArn"`
	RouteARN       string         `json:"routeArn"`
	IdentitySource jsontext.Value `json:"identitySource"` // its JSON type tells payload 1.0 from 2.0; its content is not read

	AuthorizationToken string `json:"authorizationToken"` // read in a TOKEN event only

	Resource       string `json:"resource"`
	Path           string `json:"path"`
	HTTPMethod     string `json:"httpMethod"`
	RouteKey       string `json:"routeKey"`
	RawPath        string `json:"rawPath"`
	RawQueryString string `json:"rawQueryString"`

	Headers                         map[string]text   `json:"headers"`
	MultiValueHeaders               map[string][]text `json:"multiValueHeaders"`
	QueryStringParameters           map[string]text   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]text `json:"multiValueQueryStringParameters"`
	PathParameters                  map[string]text   `json:"pathParameters"`

	RequestContext struct {
		AccountID    string `json:"accountId"`
		APIID        string `json:"apiId"`
		Stage        string `json:"stage"`
		RequestID    string `json:"requestId"`
		DomainName   string `json:"domainName"`
		HTTPMethod   string `json:"httpMethod"`
		ResourceID   string `json:"resourceId"`
		ResourcePath string `json:"resourcePath"`
		RouteKey     string `json:"routeKey"`
		EventType    string `json:"eventType"`
		Identity     struct {
			SourceIP string `json:"sourceIp"`
		} `json:"identity"`
		HTTP struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
}

// text is a string inside a map. A null there would read as "", which says something else than absence.
type text string

// UnmarshalJSONFrom accepts a JSON string only.
func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if value.Kind() != '"' {
		return errors.New("want a string")
	}
	*t = text(value.String())
	return nil
}

// kind is which of the five events it is.
type kind uint8

const (
	token   kind = iota + 1 // REST API, TOKEN
	rest                    // REST API, REQUEST
	http1                   // HTTP API, payload 1.0
	http2                   // HTTP API, payload 2.0
	connect                 // WebSocket API, $connect
)

func (k kind) protocol() authorizer.Protocol {
	switch k {
	case http1, http2:
		return authorizer.HTTP
	case connect:
		return authorizer.WebSocket
	}
	return authorizer.REST
}

// The console's "Test" of an authorizer names two stages that do not exist: one in the ARN, another in the context.
const (
	consoleARNStage = "ESTestInvoke-stage"
	consoleStage    = "test-invoke-stage"
)

// defaultRoute is the HTTP API's catch-all. Payload 1.0 has it as resource too.
const defaultRoute = "$default"

// decodeEvent reads an event and tells which it is. Names are compared exactly; duplicate names and bad UTF-8 are
// errors, because two readers could take different values from them.
func decodeEvent(raw []byte) (*event, kind, error) {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, 0, decodeFault(err)
	}
	k, err := e.kind()
	return &e, k, err
}

// decodeFault says where decoding failed. The decoder's own text can quote values and names of the event.
func decodeFault(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("decode event: not strict JSON at byte %d", syntax.ByteOffset)
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("decode event: value of a wrong type at byte %d", semantic.ByteOffset)
	}
	return errors.New("decode event: not JSON")
}

// kind tells the events apart by type, version and, for WebSocket, by what only $connect has. It refuses an event that
// lacks a field without which it is not what it claims to be.
func (e *event) kind() (kind, error) {
	switch {
	case e.Type == "TOKEN" && e.Version == "":
		return token, require("TOKEN", "methodArn", e.MethodARN)
	case e.Type == "REQUEST" && e.Version == "" && (e.RequestContext.EventType != "" || e.RequestContext.RouteKey != ""):
		return connect, require("WebSocket REQUEST", "methodArn", e.MethodARN,
			"requestContext.eventType", e.RequestContext.EventType, "requestContext.routeKey", e.RequestContext.RouteKey)
	case e.Type == "REQUEST" && e.Version == "":
		return rest, require("REST REQUEST", "methodArn", e.MethodARN,
			"httpMethod", e.HTTPMethod, "resource", e.Resource, "path", e.Path)
	case e.Type == "REQUEST" && e.Version == "1.0":
		if k := e.IdentitySource.Kind(); k != '"' && k != 'n' && k != jsontext.KindInvalid {
			return 0, errors.New("event of payload 1.0: identitySource is not a string")
		}
		return http1, require("payload 1.0", "methodArn", e.MethodARN,
			"httpMethod", e.HTTPMethod, "resource", e.Resource, "path", e.Path)
	case e.Type == "REQUEST" && e.Version == "2.0":
		if k := e.IdentitySource.Kind(); k != '[' && k != 'n' && k != jsontext.KindInvalid {
			return 0, errors.New("event of payload 2.0: identitySource is not a list")
		}
		return http2, require("payload 2.0", "routeArn", e.RouteARN, "routeKey", e.RouteKey, "rawPath", e.RawPath)
	}
	return 0, errors.New("event is none of the five: type and version do not say TOKEN, or REQUEST with none, 1.0 or 2.0")
}

// require takes names and values in turn, and names all that are absent.
func require(what string, namesAndValues ...string) error {
	var absent []string
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] == "" {
			absent = append(absent, namesAndValues[i])
		}
	}
	if absent == nil {
		return nil
	}
	return fmt.Errorf("event of %s lacks %s", what, strings.Join(absent, ", "))
}

// arn is the request's ARN: agrees refuses an event that has both.
func (e *event) arn() string {
	if e.RouteARN != "" {
		return e.RouteARN
	}
	return e.MethodARN
}

// agrees refuses an event in which two fields say different things, and names all that differ from the ARN or from
// their namesake. Whatever is absent contradicts nothing.
func (e *event) agrees(k kind, a arn) error {
	var wrong []string
	same := func(name, got, want string) {
		if got != "" && got != want {
			wrong = append(wrong, name)
		}
	}
	rc := &e.RequestContext
	if k == http2 {
		same("methodArn", e.MethodARN, "")
	} else {
		same("routeArn", e.RouteARN, "")
	}
	if (k == connect) != (a.verb == authorizer.Connect) {
		wrong = append(wrong, "the ARN's verb")
	}
	same("requestContext.accountId", rc.AccountID, a.account)
	same("requestContext.apiId", rc.APIID, a.api)
	if a.stage != consoleARNStage || rc.Stage != consoleStage {
		same("requestContext.stage", rc.Stage, a.stage)
	}
	same("httpMethod", e.HTTPMethod, a.verb)
	same("requestContext.httpMethod", rc.HTTPMethod, a.verb)
	same("requestContext.http.method", rc.HTTP.Method, a.verb)
	same("requestContext.resourcePath", rc.ResourcePath, e.Resource)
	switch k {
	case connect:
		same("requestContext.eventType", rc.EventType, "CONNECT")
		same("requestContext.routeKey", rc.RouteKey, authorizer.Connect)
	case http1:
		if isRouteKey(rc.ResourceID) && !routesTo(rc.ResourceID, a.verb, e.Resource) {
			wrong = append(wrong, "requestContext.resourceId")
		}
	case http2:
		same("requestContext.routeKey", rc.RouteKey, e.RouteKey)
		if !routesTo(e.RouteKey, a.verb, e.template(k)) {
			wrong = append(wrong, "routeKey")
		}
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("event: in disagreement with the rest: %s", strings.Join(wrong, ", "))
}

// isRouteKey tells the route key of an HTTP API from the opaque id of a REST resource.
func isRouteKey(s string) bool { return s == defaultRoute || strings.Contains(s, " ") }

// routesTo says whether a route key ("GET /orders/{id}", "ANY /orders", "$default") can lead a method to a template.
func routesTo(key, method, template string) bool {
	return key == defaultRoute && template == defaultRoute || key == method+" "+template || key == "ANY "+template
}

// template is the path of the route that the gateway took, "/orders/{id}" or "$default"; absent if the event has none.
func (e *event) template(k kind) string {
	if k != http2 {
		return e.Resource
	}
	if _, path, ok := strings.Cut(e.RouteKey, " "); ok {
		return path
	}
	return e.RouteKey
}

// route is the request's route as the route table has it. Payload 1.0 carries the route key as resourceId, seen in
// captured events and not documented; without it, and in a REST event, a route of all methods cannot be told from one
// of this method.
func (e *event) route(k kind) string {
	switch {
	case k == http2:
		return e.RouteKey
	case k == http1 && isRouteKey(e.RequestContext.ResourceID):
		return e.RequestContext.ResourceID
	case k == http1 && e.Resource == defaultRoute:
		return defaultRoute
	case k == http1, k == rest:
		return e.HTTPMethod + " " + e.Resource
	}
	return ""
}

// credentials are all Authorization values, and of $connect also what stands where the configuration says: all that
// were found, so that a request with two is refused (rule 1). Identity sources are never read: payload 1.0 joins them
// with commas, and their order is the deployment's.
func (g *Gateway) credentials(e *event, k kind) authorizer.Credentials {
	switch k {
	case token:
		if e.AuthorizationToken == "" {
			return nil
		}
		return authorizer.Credentials{e.AuthorizationToken}
	case connect:
		found := e.header("authorization")
		for _, value := range slices.Concat(e.queryTokens(g.tokenQuery), e.subprotocolTokens(g.tokenSubprotocol)) {
			found = append(found, "Bearer "+value)
		}
		return found
	}
	return e.header("authorization")
}

// queryTokens are the values of the query parameter that carries a token; name "" is none.
func (e *event) queryTokens(name string) []string {
	if name == "" {
		return nil
	}
	return both(e.QueryStringParameters, e.MultiValueQueryStringParameters, name)
}

// subprotocolTokens are the entries that follow each entry of this name among the subprotocols that the client asks for.
// Several headers are one list, in their order, with optional white space round its commas (RFC 6455, sections 4.1 and
// 11.3.4). An empty entry counts as one.
func (e *event) subprotocolTokens(name string) []string {
	if name == "" {
		return nil
	}
	var list, tokens []string
	for _, value := range e.header("sec-websocket-protocol") {
		for entry := range strings.SplitSeq(value, ",") {
			list = append(list, strings.Trim(entry, " \t"))
		}
	}
	for i, entry := range list {
		if entry == name && i+1 < len(list) {
			tokens = append(tokens, list[i+1])
		}
	}
	return tokens
}

// header gives every value under any spelling of a lower-case name, spellings in sorted order; nil if there is none.
// Equal length keeps letters outside ASCII from folding into it.
func (e *event) header(name string) []string {
	var spellings []string
	for s := range e.MultiValueHeaders {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			spellings = append(spellings, s)
		}
	}
	for s := range e.Headers {
		if len(s) == len(name) && strings.EqualFold(s, name) && !slices.Contains(spellings, s) {
			spellings = append(spellings, s)
		}
	}
	slices.Sort(spellings)
	var values []string
	for _, s := range spellings {
		values = append(values, both(e.Headers, e.MultiValueHeaders, s)...)
	}
	return values
}

// both gives the values of one exact name. The gateway puts all of them into the multi-value map and the last one into
// the single-value map; where the two maps differ, both are told, so that one value can't stand for another.
func both(single map[string]text, multi map[string][]text, name string) []string {
	var values []string
	for _, v := range multi[name] {
		values = append(values, string(v))
	}
	if v, ok := single[name]; ok && (len(values) == 0 || values[len(values)-1] != string(v)) {
		values = append(values, string(v))
	}
	return values
}
