package caller

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// Request is what is asked. It has no headers: a function has no business with the token that is in them.
type Request struct {
	Method string              // "GET"
	Route  string              // method and template, "GET /orders/{id}", also where the route is declared for ANY method; or "$default"
	Params map[string]string   // of the template, decoded
	Query  map[string][]string // decoded; all values of a name, in order
	Body   []byte              // as the client sent it; empty for none
	Caller Caller              // zero for the functions of Public
}

// event is an integration event of either kind, in one form.
type event struct {
	http       bool // an HTTP API's, payload format 2.0; else a REST API's proxy event
	method     string
	route      string
	params     map[string]string // as the event has them
	query      map[string][]string
	rawQuery   string // HTTP APIs only, in place of query
	body       []byte
	authorizer map[string]any
}

// readEvent tells the two kinds apart by their version (AWS: "Create AWS Lambda proxy integrations for HTTP APIs in API
// Gateway"; a REST API's event has none). An event that is neither is not the client's fault: the deployment is wrong.
func readEvent(payload []byte) (event, error) {
	var kind struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(payload, &kind); err != nil {
		return event{}, fmt.Errorf("read event: %w", err)
	}
	switch kind.Version {
	case "":
		return readREST(payload)
	case "2.0":
		return readHTTP(payload)
	}
	return event{}, fmt.Errorf("read event: payload format %q: want a REST API's proxy event or an HTTP API's 2.0", kind.Version)
}

func readREST(payload []byte) (event, error) {
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		return event{}, fmt.Errorf("read REST API event: %w", err)
	}
	if e.HTTPMethod == "" || e.Resource == "" {
		return event{}, errors.New("read REST API event: no httpMethod or no resource")
	}
	body, err := decodeBody(e.Body, e.IsBase64Encoded)
	if err != nil {
		return event{}, fmt.Errorf("read REST API event: %w", err)
	}
	return event{
		method:     e.HTTPMethod,
		route:      e.HTTPMethod + " " + e.Resource,
		params:     e.PathParameters,
		query:      e.MultiValueQueryStringParameters,
		body:       body,
		authorizer: e.RequestContext.Authorizer,
	}, nil
}

func readHTTP(payload []byte) (event, error) {
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		return event{}, fmt.Errorf("read HTTP API event: %w", err)
	}
	method, route := e.RequestContext.HTTP.Method, e.RouteKey
	if method == "" || route == "" {
		return event{}, errors.New("read HTTP API event: no requestContext.http.method or no routeKey")
	}
	if declared, template, ok := strings.Cut(route, " "); ok {
		if declared != method && declared != "ANY" {
			return event{}, fmt.Errorf("read HTTP API event: method %q under route %q", method, route)
		}
		route = method + " " + template
	}
	body, err := decodeBody(e.Body, e.IsBase64Encoded)
	if err != nil {
		return event{}, fmt.Errorf("read HTTP API event: %w", err)
	}
	read := event{http: true, method: method, route: route, params: e.PathParameters, rawQuery: e.RawQueryString, body: body}
	if e.RequestContext.Authorizer != nil {
		read.authorizer = e.RequestContext.Authorizer.Lambda
	}
	return read, nil
}

func decodeBody(body string, encoded bool) ([]byte, error) {
	if !encoded {
		return []byte(body), nil
	}
	decoded, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	return decoded, nil
}

// request decodes what the client sent. Its errors are the client's, and fit to be shown.
func (e event) request(c Caller) (Request, error) {
	r := Request{Method: e.method, Route: e.route, Params: e.params, Query: e.query, Body: e.body, Caller: c}
	if e.http {
		// Path parameters are decoded already, and a second decoding would make "%2F" of "%252F" into "/". The query is
		// taken as it was sent: in queryStringParameters a "," may be the client's or the gateway's.
		query, err := url.ParseQuery(e.rawQuery)
		if err != nil {
			return Request{}, errors.New("the query string is not well encoded")
		}
		r.Query = query
		return r, nil
	}
	r.Params = make(map[string]string, len(e.params))
	for name, sent := range e.params {
		// A REST API hands path parameters on as they were sent, "auth0%7Ccust".
		value, err := url.PathUnescape(sent)
		if err != nil || !utf8.ValidString(value) {
			return Request{}, fmt.Errorf("path parameter %q is not well encoded", name)
		}
		r.Params[name] = value
	}
	return r, nil
}
