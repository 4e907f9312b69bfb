package apigw

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/authorizer"
)

// trap is something that API Gateway does, or that others got wrong about it. The section says which part of the
// gateway it belongs to: 1 is what comes in, 2 what goes out.
type trap struct{ id, section, says string }

// traps is the whole list. Each has exactly one case in trapCases under the same id.
var traps = []trap{
	{"shape-token", "1.1 shape", "a TOKEN event has no version and no routeArn"},
	{"shape-rest", "1.1 shape", "a REST REQUEST event has no version; with version 1.0 the same fields are an HTTP API's"},
	{"shape-identity-source", "1.1 shape", "identitySource is a string in payload 1.0 and a list in payload 2.0"},
	{"shape-websocket", "1.1 shape", "$connect is told by eventType and routeKey: a REST path may end in /$connect too"},
	{"shape-unknown-fields", "1.1 shape", "AWS may add fields, and an event never has the body"},
	{"shape-none", "1.1 shape", "what is not one of the five events is refused, and so is one that lacks what makes it that event"},
	{"json-strict", "1.1 shape", "names count exactly and once; bad UTF-8, lone surrogates, wrong types and trailing data are refused"},
	{"token-all-from-arn", "1.2 TOKEN", "method and path are parsed out of the ARN; there is no route, header, query or address"},
	{"token-empty", "1.2 TOKEN", "an empty authorizationToken is the same as none"},
	{"token-raw-value", "1.2 TOKEN", "authorizationToken is the raw header value, and no header may stand in for it"},
	{"rest-template", "1.3 REST", "resource is the template, path the request's, requestContext.path has the stage in front"},
	{"rest-base-path", "1.3 REST", "behind a custom domain the path begins with the base path, which the ARN lacks"},
	{"maps-null", "1.3 REST", "a map may be null, {} or absent, and all three are absence"},
	{"map-values-null", "1.3 REST", "a null inside a map is not an empty string"},
	{"http1-comma", "1.4 payload 1.0", "identitySource and authorizationToken join values with commas: the token is never read from them"},
	{"http1-route-key", "1.4 payload 1.0", "resourceId carries the route key, ANY and $default included; otherwise method and resource make the route"},
	{"http2-stage-prefix", "1.5 payload 2.0", "on a named stage rawPath begins with the stage, on $default it does not"},
	{"http2-api-domain", "1.5 payload 2.0", "the API's own domain has no base path: nothing but the stage may stand in front"},
	{"http2-optional", "1.5 payload 2.0", "cookies, query, path parameters, stage variables and identitySource may be absent or null"},
	{"http2-identity-order", "1.5 payload 2.0", "the order of identitySource is the deployment's: it is not indexed"},
	{"http2-route-key", "1.5 payload 2.0", "routeKey may be ANY or $default, and stays as it is"},
	{"websocket-no-verb", "1.6 WebSocket", "the ARN ends in $connect and has neither verb nor path"},
	{"websocket-only-connect", "1.6 WebSocket", "only $connect has an authorizer"},
	{"websocket-query-token", "1.6 WebSocket", "a token in the query string stays out of what policies and records see"},
	{"websocket-token-query", "1.6 WebSocket", "a browser cannot set Authorization: the named query parameter carries the token, exact in case, of $connect alone"},
	{"websocket-token-subprotocol", "1.6 WebSocket", "or the entry after the named one in Sec-WebSocket-Protocol, over several headers, commas and white space"},
	{"websocket-two-tokens", "1.6 WebSocket", "a token in two places is two credentials: all are told, to be refused"},
	{"websocket-token-hidden", "1.6 WebSocket", "wherever it stands, the token is in neither input nor answer"},
	{"arn-partition", "1.7 ARN", "aws-cn and aws-us-gov are copied, not replaced by aws"},
	{"arn-colon", "1.7 ARN", "a path may hold colons and slashes: they are not cut off"},
	{"arn-actual-path", "1.7 ARN", "the ARN holds the request's path, never the template"},
	{"arn-root", "1.7 ARN", "the root is one trailing slash; two, as others build it, is another path"},
	{"arn-default-stage", "1.7 ARN", "a stage may be $default, literally"},
	{"arn-wildcard-stage", "1.7 ARN", "a stage or verb with a wildcard, as in a published sample, is no request's"},
	{"arn-verb", "1.7 ARN", "the verb is the request's own, HEAD and OPTIONS included, never ANY; case counts"},
	{"arn-512", "1.7 ARN", "an ARN may have 1,600 bytes, a Resource in an answer 512"},
	{"arn-query", "1.7 ARN", "a question mark in an ARN is a wildcard, not the query"},
	{"contradiction-arn", "1.7 ARN", "account, api, stage and method stand in an event several times, and must agree"},
	{"contradiction-route", "1.7 ARN", "resource and routeKey stand there twice, and must agree"},
	{"path-decoded-once", "1.8 path", "REST paths come encoded and are decoded once; HTTP API paths come decoded and are not decoded again"},
	{"path-arn-spelling", "1.8 path", "how an ARN spells a path is not documented: either spelling agrees, and is echoed untouched"},
	{"path-split-first", "1.8 path", "a path is split before it is decoded, so an encoded slash separates nothing"},
	{"path-two-readings", "1.8 path", "encoded separators, dot segments, matrix parameters, wildcards, control bytes, bad UTF-8 and bad escapes"},
	{"path-twice-encoded", "1.8 path", "%252F is one more decoding away from a separator"},
	{"path-empty-segment", "1.8 path", "a doubled slash is read differently by others, and so is a trailing one but on a route of a REST API"},
	{"path-trailing-slash", "1.8 path", "a REST API routes /orders/ as /orders, and keeps the slash in path"},
	{"console-test", "1.7 ARN", "the console's Test of an authorizer names one stage in the ARN and another in the context"},
	{"path-truncated", "1.8 path", "HTTP APIs are reported to cut a path at %3F: the event and the ARN then differ"},
	{"path-disagrees", "1.8 path", "the event's path must end with the ARN's, segment by segment"},
	{"path-parameters", "1.8 path", "path parameters come encoded (REST) or decoded, perhaps more than once (HTTP API): they must agree with the path"},
	{"path-greedy", "1.8 path", "{proxy+} spans segments; $default binds nothing"},
	{"path-policy-variable", "1.8 path", "${ in a path would be a policy variable in a Resource"},
	{"path-never-quoted", "1.8 path", "the reason of a malformed request does not quote the path"},
	{"header-case", "1.9 headers", "REST keeps the client's spelling, so one map can hold several cases of a name; HTTP API 2.0 is lower case"},
	{"header-duplicates", "1.9 headers", "headers has the last value, multiValueHeaders all: none is counted twice, none is lost"},
	{"header-maps-differ", "1.9 headers", "where the two maps differ, both values count"},
	{"header-comma", "1.9 headers", "payload 2.0 joins duplicates with a comma: the value stays whole, for the token rules to refuse"},
	{"header-listed-only", "1.9 headers", "policies see listed headers only, never Authorization or Cookie"},
	{"header-fold", "1.9 headers", "letters outside ASCII do not fold into a header's name"},
	{"header-token", "1.9 headers", "a token that a client puts under a listed name would be recorded: the request is refused, and shows neither"},
	{"query-duplicates", "1.9 headers", "the single-value map has the last value only, payload 2.0 joins with commas: all values are given apart"},
	{"query-case", "1.9 headers", "query names count exactly"},
	{"query-undecodable", "1.9 headers", "a raw query that cannot be decoded, or is separated by semicolons, has no single reading"},
	{"cookies", "1.9 headers", "payload 2.0 moves cookies into a list; neither form is shown"},
	{"no-identity", "1.10 identity source", "without an identity source the function is asked about requests that carry no token"},
	{"answer-principal", "2.1 IAM answer", "principalId is never empty"},
	{"answer-invoke-only", "2.1 IAM answer", "only execute-api:Invoke is granted; one statement, no Condition, no NotResource"},
	{"answer-no-null", "2.1 IAM answer", "a null anywhere makes the gateway answer 500"},
	{"answer-explicit-deny", "2.1 IAM answer", "refusing is an explicit Deny: silence lets a resource policy allow"},
	{"answer-exact", "2.1 IAM answer", "an Allow names the request's own ARN, concrete stage and verb, with no wildcard"},
	{"answer-wide-deny", "2.1 IAM answer", "a Deny that cannot name its request takes in the whole stage"},
	{"context-flat", "2.2 context", "REST and WebSocket take flat values only: lists become text"},
	{"context-reserved", "2.2 context", "claims, principalId, integrationLatency and our own names are not a policy's to set, in any case"},
	{"context-keys", "2.2 context", "keys are letters, digits and _, to be reachable as $context.authorizer.key"},
	{"context-no-secrets", "2.2 context", "no token, no claim beyond the listed names"},
	{"context-deny", "2.2 context", "a Deny tells nothing but the ids of the decision and its policy"},
	{"context-denied-by", "2.2 context", "a Deny tells the disclosed codes, which a gateway response puts into a JSON text as they are"},
	{"simple-shape", "2.3 simple", "a simple response is a boolean and a context, and no policy"},
	{"simple-mode-is-config", "2.3 simple", "no event says which response is understood: in simple mode all but payload 2.0 is refused"},
	{"simple-context", "2.3 simple", "the context is the same as beside a policy, of an Allow and of a Deny"},
	{"simple-fails-closed", "2.3 simple", "what is no whole yes is isAuthorized false"},
	{"simple-no-arn", "2.3 simple", "nothing is named, so a path too long or too odd for a Resource can be answered"},
	{"usage-key", "2.7 usage key", "only a REST API, and only of an Allow, gets the key to meter by"},
	{"usage-key-plain", "2.7 usage key", "an API key has no space, no control character and at most 128 characters; no error quotes it"},
	{"context-sub", "2.6 backend", "payload 2.0 hands no principalId to the handler, so sub is in the context too"},
	{"claim-injection", "2.2 context", "a claim cannot bring a wildcard into a Resource, a second scope into scope, or a line break into anything"},
	{"errors-are-500", "2.4 outcomes", "only ErrUnauthenticated may become a 401: what this room cannot read is a 500, and quotes nothing"},
	{"size-websocket", "2.5 sizes", "a WebSocket answer has at most 8 KB"},
	{"size-resource", "2.5 sizes", "a Resource has at most 512 characters"},
}

var trapCases = map[string]func(*testing.T){
	"shape-token": func(t *testing.T) {
		wantRefused(t, sample(t, "rest-token", edit{"version", "1.0"}), "event_malformed")
		wantRefused(t, sample(t, "rest-token", edit{"routeArn", restARN + "GET/orders/42"}), "event_contradicts_itself")
		wantRefused(t, sample(t, "rest-token", edit{"methodArn", absent{}}), "event_malformed")
		wantRefused(t, sample(t, "rest-token", edit{"methodArn", restARN + "$connect"}), "event_contradicts_itself")
	},
	"shape-rest": func(t *testing.T) {
		raw := sample(t, "rest-request", edit{"version", "1.0"}, edit{"identitySource", "a"}, edit{"authorizationToken", "a"})
		if p := mustRequest(t, sample(t, "rest-request")).Protocol; p != authorizer.REST {
			t.Errorf("protocol = %s", p)
		}
		if p := mustRequest(t, raw).Protocol; p != authorizer.HTTP {
			t.Errorf("protocol with version 1.0 = %s", p)
		}
	},
	"shape-identity-source": func(t *testing.T) {
		for _, ok := range []any{absent{}, nil, "a,b", ""} {
			mustRequest(t, sample(t, "http-1.0", edit{"identitySource", ok}))
		}
		for _, ok := range []any{absent{}, nil, []string{}, []string{"a", "b"}} {
			mustRequest(t, sample(t, "http-2.0", edit{"identitySource", ok}))
		}
		wantRefused(t, sample(t, "http-1.0", edit{"identitySource", []string{"a"}}), "event_malformed")
		wantRefused(t, sample(t, "http-2.0", edit{"identitySource", "a"}), "event_malformed")
	},
	"shape-websocket": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request", restPath("/orders/$connect", "/orders/{id}", "$connect")...))
		if req.Protocol != authorizer.REST || req.Params["id"] != "$connect" || req.Malformed != "" {
			t.Errorf("a REST path that ends in $connect: %+v", req)
		}
		for _, field := range []string{"eventType", "routeKey"} {
			wantRefused(t, sample(t, "websocket", edit{"requestContext." + field, absent{}}), "event_malformed")
			wantRefused(t, sample(t, "rest-request", edit{"requestContext." + field, "x"}), "event_malformed")
		}
		wantRefused(t, sample(t, "rest-request", edit{"requestContext.eventType", "CONNECT"},
			edit{"requestContext.routeKey", "$connect"}), "event_contradicts_itself")
	},
	"shape-unknown-fields": func(t *testing.T) {
		for _, name := range names {
			with := mustRequest(t, sample(t, name, edit{"body", map[string]any{"a": nil}}, edit{"Version", "9"}, edit{"TYPE", 1}))
			if !reflect.DeepEqual(with, mustRequest(t, sample(t, name))) {
				t.Errorf("%s: fields that nobody knows change the request", name)
			}
		}
	},
	"shape-none": func(t *testing.T) {
		for _, raw := range []string{`{}`, `null`, `[]`, `"TOKEN"`, ``, `{"type":"token"}`, `{"type":"REQUEST"}`} {
			wantRefused(t, []byte(raw), "event_malformed")
		}
		for name, fields := range map[string][]string{
			"rest-token":   {"type", "methodArn"},
			"rest-request": {"type", "methodArn", "resource", "path", "httpMethod"},
			"http-1.0":     {"type", "methodArn", "resource", "path", "httpMethod"},
			"http-2.0":     {"type", "routeArn", "routeKey", "rawPath", "version"},
			"websocket":    {"type", "methodArn"},
		} {
			for _, field := range fields {
				wantRefused(t, sample(t, name, edit{field, absent{}}), "event_malformed")
			}
			wantRefused(t, sample(t, name, edit{"version", "3.0"}), "event_malformed")
			wantRefused(t, sample(t, name, edit{"type", "OTHER"}), "event_malformed")
		}
		_, err := gateway(t).Request(sample(t, "rest-request", edit{"path", ""}, edit{"resource", nil}), now)
		if err == nil || !strings.Contains(err.Error(), "lacks resource, path") {
			t.Errorf("not all that is lacking is named: %v", err)
		}
	},
	"json-strict": func(t *testing.T) {
		good := `{"type":"TOKEN","authorizationToken":"a","methodArn":"` + restARN + `GET/x"}`
		mustRequest(t, []byte(good))
		for _, raw := range []string{
			strings.Replace(good, `"a"`, `"a","authorizationToken":"b"`, 1), // the same name twice
			strings.Replace(good, `"a"`, "\"a\xff\"", 1),
			strings.Replace(good, `"a"`, `"\ud800"`, 1),
			strings.Replace(good, `"a"`, `1`, 1),
			strings.Replace(good, `"a"`, `["e30"]`, 1),
			strings.Replace(good, `authorizationToken":"a"`, `headers":"e30"`, 1),
			strings.Replace(good, `authorizationToken":"a"`, `headers":{"e30":{"e30":"e30"}}`, 1),
			strings.Replace(good, `authorizationToken":"a"`, `headers":{"e30":"umbrella","e30":"x"}`, 1),
			strings.Replace(good, `authorizationToken":"a"`, `headers":{"e30":"umbrella`, 1),
			strings.Replace(good, `authorizationToken":"a"`, `headers":{"e30":umbrella}`, 1),
			strings.Replace(good, `methodArn`, `MethodArn`, 1),
			good + `{}`, good[:len(good)-1], "\ufeff" + good,
		} {
			wantRefused(t, []byte(raw), "event_malformed")
		}
	},
	"token-all-from-arn": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-token", edit{"methodArn", restARN + "DELETE/users/auth0%7Ccust/a%20b"}))
		want := authorizer.Request{API: "r3st0001", Stage: "dev", Protocol: authorizer.REST, Method: "DELETE",
			Path: []string{"users", "auth0|cust", "a b"}, Time: now, Partition: "aws", Region: "eu-central-1",
			Account: "123456789012", ARNPath: "DELETE/users/auth0%7Ccust/a%20b",
			Credentials: authorizer.Credentials{"Bearer e30.e30.c2ln"}}
		if !reflect.DeepEqual(req, want) {
			t.Errorf("request = %+v\nwant %+v", req, want)
		}
	},
	"token-empty": func(t *testing.T) {
		for _, value := range []any{"", nil, absent{}} {
			if c := mustRequest(t, sample(t, "rest-token", edit{"authorizationToken", value})).Credentials; c != nil {
				t.Errorf("%d credentials", len(c))
			}
		}
	},
	"token-raw-value": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-token", edit{"authorizationToken", " bearer  a, b "},
			edit{"headers.Authorization", "Bearer other"}))
		wantCredentials(t, req, " bearer  a, b ")
	},
	"rest-template": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request"))
		if req.Route != "GET /users/{id}/orders" || !slices.Equal(req.Path, []string{"users", "auth0|cust", "orders"}) {
			t.Errorf("route %q, path %q", req.Route, req.Path)
		}
		mustRequest(t, sample(t, "rest-request", edit{"requestContext.path", "/users/auth0%7Ccust/orders"})) // as the docs have it
	},
	"rest-base-path": func(t *testing.T) {
		path := edit{"path", "/shop/v1/users/auth0%7Ccust/orders"}
		req := mustRequest(t, sample(t, "rest-request", path, edit{"requestContext.domainName", "api.example.com"}))
		if req.Malformed != "" || !slices.Equal(req.Path, []string{"users", "auth0|cust", "orders"}) {
			t.Errorf("%q, path %q", req.Malformed, req.Path)
		}
		wantMalformed(t, sample(t, "rest-request", path), disagreement)
		wantMalformed(t, sample(t, "rest-request", edit{"path", "/dev/users/auth0%7Ccust/orders"}), disagreement)
		for _, bad := range []string{"/a%2Fb", "/..", "/a;b", "/", "/%zz"} {
			path := edit{"path", bad + "/users/auth0%7Ccust/orders"}
			wantMalformed(t, sample(t, "rest-request", path, edit{"requestContext.domainName", "api.example.com"}), "")
		}
	},
	"maps-null": func(t *testing.T) {
		for _, name := range names[1:] {
			var requests []authorizer.Request
			for _, value := range []any{absent{}, nil, map[string]any{}} {
				var edits []edit
				for _, field := range []string{"headers", "multiValueHeaders", "queryStringParameters",
					"multiValueQueryStringParameters", "pathParameters", "stageVariables"} {
					edits = append(edits, edit{field, value})
				}
				req := mustRequest(t, sample(t, name, append(edits, edit{"rawQueryString", ""})...))
				if req.Malformed != "" || req.Headers != nil || req.Query != nil || req.Credentials != nil {
					t.Errorf("%s: %+v (%s)", name, req, req.Malformed)
				}
				requests = append(requests, req)
			}
			if !reflect.DeepEqual(requests[0], requests[1]) || !reflect.DeepEqual(requests[1], requests[2]) {
				t.Errorf("%s: absent, null and {} differ", name)
			}
		}
		for _, field := range []string{"requestContext", "requestContext.identity", "requestContext.http"} {
			mustRequest(t, sample(t, "rest-request", edit{field, nil}))
		}
	},
	"map-values-null": func(t *testing.T) {
		wantRefused(t, sample(t, "rest-request", edit{"headers.X", nil}), "event_malformed")
		wantRefused(t, sample(t, "rest-request", edit{"multiValueHeaders.X", []any{"a", nil}}), "event_malformed")
		wantRefused(t, sample(t, "rest-request", edit{"pathParameters.id", nil}), "event_malformed")
		mustRequest(t, sample(t, "rest-request", edit{"multiValueHeaders.X", nil}))
	},
	"http1-comma": func(t *testing.T) {
		other := []edit{{"identitySource", "Bearer other"}, {"authorizationToken", "Bearer other"}}
		wantCredentials(t, mustRequest(t, sample(t, "http-1.0", other...)), "Bearer e30.e30.c2ln")
		other = append(other, edit{"headers", nil}, edit{"multiValueHeaders", nil})
		wantCredentials(t, mustRequest(t, sample(t, "http-1.0", other...)))
	},
	"http1-route-key": func(t *testing.T) {
		for resourceID, route := range map[string]string{
			"8kq2mz": "GET /users/{id}/orders", "": "GET /users/{id}/orders", "ANY /users/{id}/orders": "ANY /users/{id}/orders",
		} {
			req := mustRequest(t, sample(t, "http-1.0", edit{"requestContext.resourceId", resourceID}))
			if req.Route != route || req.Params["id"] != "auth0|cust" || req.Malformed != "" {
				t.Errorf("resourceId %q: route %q, %q", resourceID, req.Route, req.Malformed)
			}
		}
		catchAll := []edit{{"resource", "$default"}, {"requestContext.resourcePath", "$default"}, {"pathParameters", nil}}
		for _, resourceID := range []string{"$default", ""} {
			req := mustRequest(t, sample(t, "http-1.0", append(catchAll, edit{"requestContext.resourceId", resourceID})...))
			if req.Route != "$default" || req.Params != nil || len(req.Path) != 3 || req.Malformed != "" {
				t.Errorf("resourceId %q: %+v", resourceID, req)
			}
		}
		for _, resourceID := range []string{"POST /users/{id}/orders", "GET /other", "$default", "GET  /users/{id}/orders"} {
			wantRefused(t, sample(t, "http-1.0", edit{"requestContext.resourceId", resourceID}), "event_contradicts_itself")
		}
		wantMalformed(t, sample(t, "rest-request", edit{"resource", "$default"}, edit{"requestContext.resourcePath", "$default"},
			edit{"pathParameters", nil}), "path that is not of its route")
	},
	"http2-stage-prefix": func(t *testing.T) {
		onDefault := []edit{
			{"routeArn", httpARN + "$default/GET/users/auth0|cust/orders"},
			{"requestContext.stage", "$default"}, {"rawPath", "/users/auth0|cust/orders"},
		}
		for _, raw := range [][]byte{sample(t, "http-2.0"), sample(t, "http-2.0", onDefault...)} {
			if req := mustRequest(t, raw); req.Malformed != "" || !slices.Equal(req.Path, []string{"users", "auth0|cust", "orders"}) {
				t.Errorf("%q, path %q", req.Malformed, req.Path)
			}
		}
		// A route of the stage's own name.
		req := mustRequest(t, sample(t, "http-2.0", edit{"routeArn", httpARN + "dev/GET/dev"}, edit{"rawPath", "/dev/dev"},
			edit{"routeKey", "GET /dev"}, edit{"requestContext.routeKey", "GET /dev"}, edit{"pathParameters", nil}))
		if req.Malformed != "" || !slices.Equal(req.Path, []string{"dev"}) {
			t.Errorf("%q, path %q", req.Malformed, req.Path)
		}
	},
	"http2-api-domain": func(t *testing.T) {
		for _, path := range []string{"/prod/users/auth0|cust/orders", "/base/dev/users/auth0|cust/orders", "/dev/base/users/auth0|cust/orders"} {
			wantMalformed(t, sample(t, "http-2.0", edit{"rawPath", path}), disagreement)
			for _, domain := range []any{"api.example.com", absent{}} {
				req := mustRequest(t, sample(t, "http-2.0", edit{"rawPath", path}, edit{"requestContext.domainName", domain}))
				if req.Malformed != "" || !slices.Equal(req.Path, []string{"users", "auth0|cust", "orders"}) {
					t.Errorf("%q, path %q", req.Malformed, req.Path)
				}
			}
		}
	},
	"http2-optional": func(t *testing.T) {
		for _, value := range []any{absent{}, nil} {
			var edits []edit
			for _, field := range []string{"cookies", "queryStringParameters", "pathParameters", "stageVariables",
				"identitySource", "requestContext.authentication"} {
				edits = append(edits, edit{field, value})
			}
			req := mustRequest(t, sample(t, "http-2.0", edits...))
			if !reflect.DeepEqual(req, mustRequest(t, sample(t, "http-2.0"))) {
				t.Errorf("without optional fields: %+v", req)
			}
		}
	},
	"http2-identity-order": func(t *testing.T) {
		req := mustRequest(t, sample(t, "http-2.0", edit{"identitySource", []string{"203.0.113.9", "Bearer other"}}))
		wantCredentials(t, req, "Bearer e30.e30.c2ln")
	},
	"http2-route-key": func(t *testing.T) {
		any := "ANY /users/{id}/orders"
		req := mustRequest(t, sample(t, "http-2.0", edit{"routeKey", any}, edit{"requestContext.routeKey", any}))
		if req.Route != any || req.Method != "GET" || req.Params["id"] != "auth0|cust" {
			t.Errorf("route %q, method %q, params %v", req.Route, req.Method, req.Params)
		}
		fallback := []edit{{"routeKey", "$default"}, {"requestContext.routeKey", "$default"}}
		req = mustRequest(t, sample(t, "http-2.0", append(fallback, edit{"pathParameters", nil})...))
		if req.Route != "$default" || req.Params != nil || len(req.Path) != 3 || req.Malformed != "" {
			t.Errorf("$default: %+v (%s)", req, req.Malformed)
		}
		wantMalformed(t, sample(t, "http-2.0", fallback...), "") // parameters that $default cannot have
	},
	"websocket-no-verb": func(t *testing.T) {
		req := mustRequest(t, sample(t, "websocket"))
		if req.Method != "" || req.Route != "" || req.Path != nil || req.Params != nil || req.ARNPath != "$connect" {
			t.Errorf("%+v", req)
		}
		wantRefused(t, sample(t, "websocket", edit{"methodArn", wsARN + "GET/x"}), "event_contradicts_itself")
		wantRefused(t, sample(t, "websocket", edit{"methodArn", wsARN + "$connect/x"}), "event_malformed")
		wantRefused(t, sample(t, "websocket", edit{"httpMethod", "GET"}), "event_contradicts_itself")
	},
	"websocket-only-connect": func(t *testing.T) {
		wantRefused(t, sample(t, "websocket", edit{"requestContext.eventType", "MESSAGE"}), "event_contradicts_itself")
		wantRefused(t, sample(t, "websocket", edit{"requestContext.routeKey", "$disconnect"}), "event_contradicts_itself")
		wantRefused(t, sample(t, "websocket", edit{"methodArn", wsARN + "$disconnect"}), "event_malformed")
	},
	"websocket-query-token": func(t *testing.T) {
		req := mustRequest(t, sample(t, "websocket", edit{"queryStringParameters.token", "secret"},
			edit{"multiValueQueryStringParameters.token", []string{"secret"}}))
		if !reflect.DeepEqual(req.Query, map[string][]string{"q": {"1"}}) {
			t.Errorf("query = %v", req.Query)
		}
	},
	"websocket-token-query": func(t *testing.T) {
		for _, tt := range []struct {
			single, multi any
			want          []string
		}{
			{"e30", []string{"e30"}, []string{"Bearer e30"}},
			{"e30", absent{}, []string{"Bearer e30"}},
			{absent{}, []string{"e30"}, []string{"Bearer e30"}},
			{"b", []string{"a", "b"}, []string{"Bearer a", "Bearer b"}},
			{"b", []string{"a"}, []string{"Bearer a", "Bearer b"}},
			{"", []string{""}, []string{"Bearer "}},
			{"Bearer e30", absent{}, []string{"Bearer Bearer e30"}},
			{absent{}, absent{}, nil},
		} {
			req := tokenRequest(t, sample(t, "websocket", noAuthorization("queryStringParameters.tk", tt.single,
				"multiValueQueryStringParameters.tk", tt.multi, "queryStringParameters.TK", "other")...))
			wantCredentials(t, req, tt.want...)
		}
		for _, name := range []string{"rest-request", "http-1.0", "http-2.0"} {
			edits := noAuthorization("queryStringParameters.tk", "e30", "rawQueryString", "tk=e30", "headers.Sec-WebSocket-Protocol", "gatehouse, e30")
			wantCredentials(t, tokenRequest(t, sample(t, name, append(edits, edit{"headers.authorization", absent{}})...)))
		}
		wantCredentials(t, mustRequest(t, sample(t, "websocket", noAuthorization("queryStringParameters.tk", "e30")...)))
	},
	"websocket-token-subprotocol": func(t *testing.T) {
		for _, tt := range []struct {
			lines []string
			want  []string
		}{
			{[]string{"gatehouse, e30"}, []string{"Bearer e30"}},
			{[]string{"gatehouse,e30"}, []string{"Bearer e30"}},
			{[]string{" chat \t, gatehouse\t,  e30 , v2"}, []string{"Bearer e30"}},
			{[]string{"gatehouse", "e30"}, []string{"Bearer e30"}},
			{[]string{"chat, gatehouse", "e30, v2"}, []string{"Bearer e30"}},
			{[]string{"gatehouse, a, gatehouse, b"}, []string{"Bearer a", "Bearer b"}},
			{[]string{"gatehouse, gatehouse, b"}, []string{"Bearer gatehouse", "Bearer b"}},
			{[]string{"gatehouse,, e30"}, []string{"Bearer "}},
			{[]string{"gatehouse"}, nil},
			{[]string{"e30, gatehouse"}, nil},
			{[]string{"Gatehouse, e30"}, nil},
			{[]string{"gatehouse e30"}, nil},
			{[]string{"e30"}, nil},
			{[]string{""}, nil},
		} {
			last := tt.lines[len(tt.lines)-1]
			for _, name := range []string{"Sec-WebSocket-Protocol", "sec-websocket-protocol"} {
				req := tokenRequest(t, sample(t, "websocket", noAuthorization("headers."+name, last, "multiValueHeaders."+name, tt.lines)...))
				wantCredentials(t, req, tt.want...)
			}
		}
	},
	"websocket-two-tokens": func(t *testing.T) {
		req := tokenRequest(t, sample(t, "websocket", edit{"queryStringParameters.tk", "a"}, edit{"headers.Sec-WebSocket-Protocol", "gatehouse, b"}))
		wantCredentials(t, req, "Bearer e30.e30.c2ln", "Bearer a", "Bearer b")
	},
	"websocket-token-hidden": func(t *testing.T) {
		req := tokenRequest(t, sample(t, "websocket", noAuthorization("queryStringParameters.tk", "umbrella", "headers.Sec-WebSocket-Protocol", "gatehouse, umbrella")...))
		if len(req.Credentials) != 2 || !maps.EqualFunc(req.Query, map[string][]string{"q": {"1"}}, slices.Equal) || len(req.Headers) != 1 {
			t.Errorf("%d credentials, query %v, headers %v", len(req.Credentials), req.Query, req.Headers)
		}
		for _, v := range []authorizer.Verdict{verdict(req), denied(verdict(req))} {
			raw, err := gateway(t).Answer(v)
			if err != nil || bytes.Contains(raw, []byte("umbrella")) {
				t.Errorf("%s, %v", raw, err)
			}
		}
	},
	"arn-partition": func(t *testing.T) {
		for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
			wantARN := strings.Replace(restARN, "arn:aws:", "arn:"+partition+":", 1) + "GET/x"
			req := mustRequest(t, sample(t, "rest-token", edit{"methodArn", wantARN}))
			if d := mustAnswer(t, verdict(req)); req.Partition != partition || d.resource() != wantARN {
				t.Errorf("partition %q, resource %s", req.Partition, d.resource())
			}
		}
	},
	"arn-colon": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request",
			restPath("/items/urn:isbn:1/admin:x", "/items/{id}/{sub}", "urn:isbn:1", "admin:x")...))
		if !slices.Equal(req.Path, []string{"items", "urn:isbn:1", "admin:x"}) {
			t.Errorf("path %q (%s)", req.Path, req.Malformed)
		}
		if d := mustAnswer(t, verdict(req)); d.effect() != "Allow" || d.resource() != restARN+"GET/items/urn:isbn:1/admin:x" {
			t.Errorf("%s %s", d.effect(), d.resource())
		}
	},
	"arn-actual-path": func(t *testing.T) {
		// An emulator that writes the template there names another request.
		wantMalformed(t, sample(t, "rest-request", edit{"methodArn", restARN + "GET/users/{id}/orders"}), disagreement)
		wantMalformed(t, sample(t, "http-2.0", edit{"routeArn", httpARN + "dev/GET/users/{id}/orders"}), disagreement)
	},
	"arn-root": func(t *testing.T) {
		for _, arnPath := range []string{"GET/", "GET"} {
			edits := append(restPath("/", "/"), edit{"methodArn", restARN + arnPath})
			for _, raw := range [][]byte{sample(t, "rest-request", edits...), sample(t, "rest-token", edits[len(edits)-1])} {
				req := mustRequest(t, raw)
				if req.Malformed != "" || req.Path != nil || req.ARNPath != arnPath {
					t.Errorf("%s: %+v (%s)", arnPath, req, req.Malformed)
				}
			}
		}
		for _, raw := range []string{"/dev/", "/dev", "/"} {
			req := mustRequest(t, sample(t, "http-2.0", edit{"routeArn", httpARN + "dev/GET/"}, edit{"rawPath", raw},
				edit{"routeKey", "GET /"}, edit{"requestContext.routeKey", "GET /"}, edit{"pathParameters", nil}))
			if req.Malformed != "" || req.Path != nil || req.Route != "GET /" {
				t.Errorf("%s: %+v (%s)", raw, req, req.Malformed)
			}
		}
		wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET//"}), "path with an empty segment")
		wantMalformed(t, sample(t, "rest-request", append(restPath("/", "/"), edit{"methodArn", restARN + "GET//"})...), disagreement)
		// An ARN of the root does not swallow a path of the API's own domain.
		wantMalformed(t, sample(t, "rest-request", edit{"methodArn", restARN + "GET/"}), disagreement)
	},
	"arn-default-stage": func(t *testing.T) {
		req := mustRequest(t, sample(t, "http-1.0"))
		d := mustAnswer(t, verdict(req))
		if req.Stage != "$default" || d.effect() != "Allow" || d.resource() != httpARN+"$default/GET/users/auth0|cust/orders" {
			t.Errorf("stage %q, %s %s", req.Stage, d.effect(), d.resource())
		}
	},
	"arn-wildcard-stage": func(t *testing.T) {
		base := strings.TrimSuffix(restARN, "dev/")
		for _, rest := range []string{"*/GET/", "dev/*/x", "d?v/GET/x", "*", "*/*/*"} {
			wantRefused(t, sample(t, "rest-token", edit{"methodArn", base + rest}), "event_malformed")
		}
	},
	"arn-verb": func(t *testing.T) {
		for _, verb := range []string{"HEAD", "OPTIONS", "PATCH"} {
			if req := mustRequest(t, sample(t, "rest-token", edit{"methodArn", restARN + verb + "/x"})); req.Method != verb {
				t.Errorf("method = %q", req.Method)
			}
		}
		for _, verb := range []string{"ANY", "get", "", "GET2"} {
			wantRefused(t, sample(t, "rest-token", edit{"methodArn", restARN + verb + "/x"}), "event_malformed")
		}
		wantRefused(t, sample(t, "rest-request", edit{"httpMethod", "get"}), "event_contradicts_itself")
	},
	"arn-512": func(t *testing.T) {
		long := strings.Repeat("x", 513-len(restARN+"GET/"))
		wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/" + long}), "ARN that an answer cannot name exactly")
		if req := mustRequest(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/" + long[1:]})); req.Malformed != "" {
			t.Errorf("512 bytes: %s", req.Malformed)
		}
	},
	"arn-query": func(t *testing.T) {
		wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/orders?q=1"}), "path with a wildcard")
	},
	"contradiction-arn": func(t *testing.T) {
		for name, fields := range map[string]map[string]any{
			"rest-request": {"requestContext.accountId": "210987654321", "requestContext.apiId": "other",
				"requestContext.stage": "prod", "requestContext.httpMethod": "POST", "httpMethod": "POST",
				"routeArn": restARN + "GET/users/auth0%7Ccust/orders"},
			"http-1.0": {"requestContext.accountId": "210987654321", "requestContext.apiId": "other",
				"requestContext.stage": "dev", "requestContext.httpMethod": "POST", "httpMethod": "POST",
				"routeArn": httpARN + "$default/GET/users/auth0|cust/orders"},
			"http-2.0": {"requestContext.accountId": "210987654321", "requestContext.apiId": "other",
				"requestContext.stage": "$default", "requestContext.http.method": "POST", "httpMethod": "POST",
				"routeKey": "POST /users/{id}/orders", "methodArn": httpARN + "dev/GET/users/auth0|cust/orders"},
			"websocket": {"requestContext.accountId": "210987654321", "requestContext.apiId": "other",
				"requestContext.stage": "prod", "routeArn": wsARN + "$connect"},
		} {
			for field, value := range fields {
				wantRefused(t, sample(t, name, edit{field, value}), "event_contradicts_itself")
			}
			var gone []edit
			for _, field := range []string{"accountId", "apiId", "stage", "httpMethod", "http", "resourcePath"} {
				gone = append(gone, edit{"requestContext." + field, absent{}})
			}
			mustRequest(t, sample(t, name, gone...)) // what is absent contradicts nothing
		}
		_, err := gateway(t).Request(sample(t, "rest-request", edit{"requestContext.stage", "prod"}, edit{"httpMethod", "PUT"}), now)
		if err == nil || !strings.HasSuffix(err.Error(), "requestContext.stage, httpMethod") {
			t.Errorf("not every contradiction is named: %v", err)
		}
	},
	"contradiction-route": func(t *testing.T) {
		for _, name := range []string{"rest-request", "http-1.0"} {
			wantRefused(t, sample(t, name, edit{"requestContext.resourcePath", "/orders"}), "event_contradicts_itself")
		}
		for _, key := range []string{"GET /orders", "$connect", "/orders", "$default"} {
			wantRefused(t, sample(t, "http-2.0", edit{"routeKey", key}), "event_contradicts_itself")
		}
		both := func(key string) []edit { return []edit{{"routeKey", key}, {"requestContext.routeKey", key}} }
		for _, key := range []string{"POST /users/{id}/orders", "$connect", "/orders", "get /users/{id}/orders"} {
			wantRefused(t, sample(t, "http-2.0", both(key)...), "event_contradicts_itself")
		}
		wantRefused(t, sample(t, "http-2.0", edit{"routeArn", httpARN + "dev/$connect"}, edit{"requestContext.http.method", nil}),
			"event_contradicts_itself")
	},
	"path-decoded-once": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request", restPath("/a%20b/%6Frders/100%25", "/{id}/{sub}/{n}", "a%20b", "orders", "100%25")...))
		if !slices.Equal(req.Path, []string{"a b", "orders", "100%"}) {
			t.Errorf("REST: path %q (%s)", req.Path, req.Malformed)
		}
		if !maps.Equal(req.Params, map[string]string{"id": "a b", "sub": "orders", "n": "100%"}) {
			t.Errorf("REST: params %v", req.Params)
		}
		req = mustRequest(t, sample(t, "http-2.0", httpPath("/a b/c+d/100%/50% x", "/{id}/{sub}/{n}/{m}")...))
		if !slices.Equal(req.Path, []string{"a b", "c+d", "100%", "50% x"}) {
			t.Errorf("HTTP API: path %q (%s)", req.Path, req.Malformed)
		}
	},
	"path-arn-spelling": func(t *testing.T) {
		for name, tests := range map[string]struct {
			edits     []edit
			spellings []string
		}{
			"rest-request": {restPath("/users/a%20b%7Cc", "/users/{id}", "a%20b%7Cc"), []string{"a%20b%7Cc", "a b|c"}},
			"http-2.0":     {httpPath("/users/a b|c", "/users/{id}"), []string{"a%20b%7Cc", "a b|c"}},
		} {
			for _, spelling := range tests.spellings {
				field, arn := "methodArn", restARN+"GET/users/"+spelling
				if name == "http-2.0" {
					field, arn = "routeArn", httpARN+"dev/GET/users/"+spelling
				}
				req := mustRequest(t, sample(t, name, append(tests.edits, edit{field, arn})...))
				if req.Malformed != "" || !slices.Equal(req.Path, []string{"users", "a b|c"}) || req.ARNPath != "GET/users/"+spelling {
					t.Errorf("%s %q: %+v (%s)", name, spelling, req, req.Malformed)
				}
				if d := mustAnswer(t, verdict(req)); d.effect() != "Allow" || d.resource() != arn {
					t.Errorf("%s %q: %s %s", name, spelling, d.effect(), d.resource())
				}
			}
		}
		// Twice decoded is not once.
		wantMalformed(t, sample(t, "rest-request", append(restPath("/a%2525b", "/{id}"), edit{"methodArn", restARN + "GET/a%b"})...), "")
	},
	"path-split-first": func(t *testing.T) {
		for _, escape := range []string{"%2F", "%2f", "%5C", "%5c"} {
			wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/orders/a" + escape + "b"}), "path with an encoded separator")
			wantMalformed(t, sample(t, "rest-request", restPath("/orders/a"+escape+"b", "/orders/{id}")...), "path with an encoded separator")
		}
		// Had it been decoded first, three segments would bind here.
		wantMalformed(t, sample(t, "rest-request", append(restPath("/users/a%2Forders", "/users/{id}/orders"),
			edit{"methodArn", restARN + "GET/users/a/orders"})...), "path with an encoded separator")
	},
	"path-two-readings": func(t *testing.T) {
		for _, segment := range []string{"..", ".", "%2e%2e", "%2E", ".%2e", "a;b", "a%3Bb", "*", "%2A", "a%3Fb",
			"a\\b", "%00", "%0a", "%7F", "%C2%85", "%ff", "%c0%ae", "%zz", "%", "%2", "a\u0001", "\u0085"} {
			wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/orders/" + segment}), "")
			wantMalformed(t, sample(t, "rest-request", restPath("/orders/"+segment, "/orders/{id}", segment)...), "")
		}
		for _, segment := range []string{"..", ".", "a;b", "*", "a?b", "a\\b", "\x00", "\n", "\x7f", "\u0085"} {
			wantMalformed(t, sample(t, "http-2.0", httpPath("/orders/"+segment, "/orders/{id}")...), "")
			wantMalformed(t, sample(t, "http-1.0", edit{"path", "/users/" + segment + "/orders"},
				edit{"methodArn", httpARN + "$default/GET/users/" + segment + "/orders"}, edit{"pathParameters", nil}), "")
		}
		for _, segment := range []string{"...", "..a", "a.b", "a:b@c", "a,b", "~a", "a=b&c", "ü", "日本", "$connect", "(a)", "'", "C#"} {
			if req := mustRequest(t, sample(t, "http-2.0", httpPath("/orders/"+segment, "/orders/{id}")...)); req.Malformed != "" {
				t.Errorf("%q is plain, but: %s", segment, req.Malformed)
			}
		}
		wantMalformed(t, sample(t, "rest-request", edit{"path", "users/auth0%7Ccust/orders"}), "path without a leading slash")
		wantMalformed(t, sample(t, "http-2.0", edit{"rawPath", "dev/users/auth0|cust/orders"}), "path without a leading slash")
	},
	"path-twice-encoded": func(t *testing.T) {
		for _, segment := range []string{"a%252Fb", "%252e%252e", "a%2541", "%25%32%46"} {
			wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/orders/" + segment}), "path encoded more than once")
			wantMalformed(t, sample(t, "rest-request", restPath("/orders/"+segment, "/orders/{id}")...), "path encoded more than once")
		}
		for _, segment := range []string{"a%2Fb", "%2e%2e", "%41"} {
			wantMalformed(t, sample(t, "http-2.0", httpPath("/orders/"+segment, "/orders/{id}")...), "path encoded more than once")
		}
	},
	"path-empty-segment": func(t *testing.T) {
		const why = "path with an empty segment"
		for _, path := range []string{"/orders/", "//orders", "/orders//42", "/orders/42/", "//"} {
			wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET" + path}), why)
			wantMalformed(t, sample(t, "rest-request", restPath(path, "/{proxy+}")...), why)
			wantMalformed(t, sample(t, "http-2.0", httpPath(path, "/{proxy+}")...), why)
		}
		wantMalformed(t, sample(t, "http-2.0", httpPath("/orders/", "/orders")...), why)
	},
	"path-trailing-slash": func(t *testing.T) {
		for _, arnPath := range []string{"GET/orders", "GET/orders/"} {
			req := mustRequest(t, sample(t, "rest-request", append(restPath("/orders/", "/orders"), edit{"methodArn", restARN + arnPath})...))
			if req.Malformed != "" || !slices.Equal(req.Path, []string{"orders"}) || req.ARNPath != arnPath {
				t.Errorf("%s: %s, path %q, ARN path %q", arnPath, req.Malformed, req.Path, req.ARNPath)
			}
		}
	},
	"console-test": func(t *testing.T) {
		const arn = "arn:aws:execute-api:eu-central-1:123456789012:r3st0001/ESTestInvoke-stage/"
		edits := append(restPath("/", "/"), edit{"methodArn", arn + "GET/"})
		if req := mustRequest(t, sample(t, "rest-request", append(edits, edit{"requestContext.stage", "test-invoke-stage"})...)); req.Stage != "ESTestInvoke-stage" {
			t.Errorf("stage %q", req.Stage)
		}
		for _, stage := range []string{"dev", "ESTestInvoke-stage-2"} {
			if _, err := gateway(t).Request(sample(t, "rest-request", append(edits, edit{"requestContext.stage", stage})...), now); err == nil {
				t.Errorf("stage %s agrees with another", stage)
			}
		}
	},
	"path-truncated": func(t *testing.T) {
		for _, arnPath := range []string{"GET/orders%3F/../admin", "GET/orders?x", "GET/orders%3Fx"} {
			wantMalformed(t, sample(t, "http-2.0", append(httpPath("/orders", "/orders"), edit{"routeArn", httpARN + "dev/" + arnPath})...), disagreement)
		}
		wantMalformed(t, sample(t, "http-2.0", append(httpPath("/orders/x", "/orders/{id}"), edit{"routeArn", httpARN + "dev/GET/orders"})...), disagreement)
	},
	"path-disagrees": func(t *testing.T) {
		for _, path := range []string{"/orders", "/users/auth0%7Cadm/orders", "/users/AUTH0%7Ccust/orders", "/users/auth0%7Ccust/orders/1", "/"} {
			wantMalformed(t, sample(t, "rest-request", edit{"path", path}), disagreement)
		}
		wantMalformed(t, sample(t, "rest-request", restPath("/orders/42", "/users/{id}", "42")...), "path that is not of its route")
		wantMalformed(t, sample(t, "rest-request", restPath("/orders/42", "orders/{id}", "42")...), "path that is not of its route")
		// It still says whose and what it is, so that it can be authenticated and recorded.
		req := mustRequest(t, sample(t, "rest-request", edit{"path", "/orders"}))
		wantCredentials(t, req, "Bearer e30.e30.c2ln")
		if req.Method != "GET" || req.API != "r3st0001" || req.Stage != "dev" || req.Route != "GET /users/{id}/orders" ||
			req.ID == "" || req.SourceIP != netip.MustParseAddr("203.0.113.9") || req.ARNPath == "" {
			t.Errorf("%+v", req)
		}
	},
	"path-parameters": func(t *testing.T) {
		for name, values := range map[string]map[string]bool{
			"rest-request": {"auth0%7Ccust": true, "auth0|cust": true, "auth0%257Ccust": false, "auth0|adm": false, "": false},
			"http-1.0":     {"auth0|cust": true, "auth0%7Ccust": true, "auth0|adm": false, "%zz": false},
			"http-2.0":     {"auth0|cust": true, "auth0%7Ccust": true, "auth0%257Ccust": false, "auth0": false},
		} {
			for value, ok := range values {
				raw := sample(t, name, edit{"pathParameters.id", value})
				if !ok {
					wantMalformed(t, raw, "path and path parameters that differ")
				} else if req := mustRequest(t, raw); req.Malformed != "" || req.Params["id"] != "auth0|cust" {
					t.Errorf("%s %q: %q, params %v", name, value, req.Malformed, req.Params)
				}
			}
			wantMalformed(t, sample(t, name, edit{"pathParameters.more", "x"}), "path and path parameters that differ")
			wantMalformed(t, sample(t, name, edit{"pathParameters", map[string]string{"ID": "auth0|cust"}}), "path and path parameters that differ")
		}
		wantMalformed(t, sample(t, "rest-request", restPath("/a/b", "/{id}/{sub}", "a")...), "path and path parameters that differ")
		// An HTTP API that decodes its parameters once more than its path.
		wantMalformed(t, sample(t, "http-2.0", append(httpPath("/orders/50%", "/orders/{id}"), edit{"pathParameters", map[string]string{"id": "50"}})...), "")
	},
	"path-greedy": func(t *testing.T) {
		edits := append(restPath("/capture/space%20value/x", "/capture/{proxy+}"), edit{"pathParameters", map[string]string{"proxy": "space%20value/x"}})
		req := mustRequest(t, sample(t, "rest-request", edits...))
		if req.Params["proxy"] != "space value/x" || req.Route != "GET /capture/{proxy+}" {
			t.Errorf("%+v (%s)", req, req.Malformed)
		}
	},
	"path-policy-variable": func(t *testing.T) {
		const why = "ARN that an answer cannot name exactly"
		wantMalformed(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/users/${aws:username}"}), why)
		wantMalformed(t, sample(t, "http-2.0", httpPath("/users/${aws:username}", "/users/{id}")...), why)
		wantMalformed(t, sample(t, "rest-request", append(restPath("/users/$%7Bx}", "/users/{id}"), edit{"methodArn", restARN + "GET/users/${x}"})...), why)
		d := mustAnswer(t, verdict(mustRequest(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/users/${aws:username}"}))))
		if d.effect() != "Deny" || d.resource() != restARN+"*" {
			t.Errorf("%s %s", d.effect(), d.resource())
		}
	},
	"path-never-quoted": func(t *testing.T) {
		for _, segment := range []string{"umbrella%2F", "umbrella*", "umbrella//", "umbrella;", "%zzumbrella", "umbrella\u0001"} {
			for _, raw := range [][]byte{
				sample(t, "rest-token", edit{"methodArn", restARN + "GET/" + segment}),
				sample(t, "rest-request", restPath("/"+segment, "/{id}")...),
				sample(t, "rest-request", edit{"path", "/umbrella"}),
			} {
				if req := mustRequest(t, raw); req.Malformed == "" || strings.Contains(req.Malformed, "umbrella") {
					t.Errorf("reason %q", req.Malformed)
				}
			}
		}
	},
	"header-case": func(t *testing.T) {
		for _, spelling := range []string{"authorization", "AUTHORIZATION", "aUTHORIZATION"} {
			for _, name := range []string{"rest-request", "http-1.0", "http-2.0", "websocket"} {
				req := mustRequest(t, sample(t, name, edit{"multiValueHeaders", nil},
					edit{"headers", map[string]string{spelling: "Bearer a", "X-TENANT": "t"}}))
				wantCredentials(t, req, "Bearer a")
				if !reflect.DeepEqual(req.Headers, map[string][]string{"x-tenant": {"t"}}) {
					t.Errorf("headers = %v", req.Headers)
				}
			}
		}
		// Several cases of one name are several values, always in the same order.
		for range 20 {
			req := mustRequest(t, sample(t, "rest-request",
				edit{"headers.authorization", "Bearer b"}, edit{"multiValueHeaders.authorization", []string{"Bearer b"}},
				edit{"headers.AUTHORIZATION", "Bearer c"}))
			wantCredentials(t, req, "Bearer c", "Bearer e30.e30.c2ln", "Bearer b")
		}
	},
	"header-duplicates": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request", edit{"headers.Authorization", "Bearer b"},
			edit{"multiValueHeaders.Authorization", []string{"Bearer a", "Bearer b"}}))
		wantCredentials(t, req, "Bearer a", "Bearer b")
		req = mustRequest(t, sample(t, "rest-request", edit{"headers.Authorization", "Bearer a"},
			edit{"multiValueHeaders.Authorization", []string{"Bearer a", "Bearer a"}}))
		wantCredentials(t, req, "Bearer a", "Bearer a")
		for field, value := range map[string]any{"headers.Authorization": "Bearer a", "multiValueHeaders.Authorization": []string{"Bearer a"}} {
			req = mustRequest(t, sample(t, "rest-request", edit{"headers", nil}, edit{"multiValueHeaders", nil}, edit{field, value}))
			wantCredentials(t, req, "Bearer a")
		}
		if !slices.Equal(mustRequest(t, sample(t, "rest-request")).Headers["x-tenant"], []string{"acme", "umbrella"}) {
			t.Error("a duplicate header is lost or counted twice")
		}
	},
	"header-maps-differ": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request", edit{"headers.Authorization", "Bearer b"}))
		wantCredentials(t, req, "Bearer e30.e30.c2ln", "Bearer b")
		req = mustRequest(t, sample(t, "rest-request", edit{"multiValueHeaders.Authorization", []string{}}))
		wantCredentials(t, req, "Bearer e30.e30.c2ln")
		req = mustRequest(t, sample(t, "rest-request", edit{"headers.Authorization", ""}))
		wantCredentials(t, req, "Bearer e30.e30.c2ln", "")
	},
	"header-comma": func(t *testing.T) {
		req := mustRequest(t, sample(t, "http-2.0", edit{"headers.authorization", "Bearer a,Bearer b"}))
		wantCredentials(t, req, "Bearer a,Bearer b")
	},
	"header-listed-only": func(t *testing.T) {
		for _, name := range names[1:] {
			for header := range mustRequest(t, sample(t, name)).Headers {
				if header != "x-tenant" {
					t.Errorf("%s shows %q", name, header)
				}
			}
		}
		for _, header := range []string{"Authorization", "COOKIE", "proxy-authorization"} {
			if _, err := New(Config{Headers: []string{header}}); err == nil {
				t.Errorf("header %q can be listed", header)
			}
		}
	},
	"header-fold": func(t *testing.T) {
		// U+017F folds to s and U+212A to k; neither letter is theirs.
		g, err := New(Config{Headers: []string{"x-sk"}})
		if err != nil {
			t.Fatal(err)
		}
		req, err := g.Request(sample(t, "rest-request", edit{"headers.x-\u017f\u212a", "a"}, edit{"multiValueHeaders.x-\u017fk", []string{"b"}}), now)
		if err != nil || req.Headers != nil {
			t.Errorf("headers = %v, %v", req.Headers, err)
		}
	},
	"header-token": func(t *testing.T) {
		const why = "token in a listed header or query parameter"
		const found = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
		for _, name := range []string{"rest-request", "http-1.0", "http-2.0", "websocket"} {
			for value, refused := range map[string]bool{
				found: true, "Bearer " + found: true, "x" + found: true, "a." + found: true,
				base64.RawURLEncoding.EncodeToString([]byte(`{ "alg":"RS256"}`)) + ".e30.c2ln":           true,
				base64.RawURLEncoding.EncodeToString([]byte("\r\n\t {\"alg\":\"RS256\"}")) + ".e30.c2ln": true,
				base64.RawURLEncoding.EncodeToString([]byte(`["alg"]`)) + ".e30.c2ln":                    false,
				"203.0.113.9": false, "www.example.com": false, "1.2.3-beta.4": false,
				"a=" + found + "; b": true, "eyJ..": true,
				"eyJhbGciOiJSUzI1NiJ9": false, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0": false, "a.b.c": false, "EYJ.a.b": false,
			} {
				asHeader := sample(t, name, edit{"headers", map[string]string{"x-tenant": value}}, edit{"multiValueHeaders", nil})
				asQuery := sample(t, name, edit{"queryStringParameters", map[string]string{"q": value}},
					edit{"multiValueQueryStringParameters", nil}, edit{"rawQueryString", "q=" + url.QueryEscape(value)})
				for _, raw := range [][]byte{asHeader, asQuery} {
					req := mustRequest(t, raw)
					if !refused && req.Malformed != "" {
						t.Errorf("%s: %s is refused: %s", name, value, req.Malformed)
					}
					if refused && (req.Headers != nil || req.Query != nil) {
						t.Errorf("%s: shows headers %v, query %v", name, req.Headers, req.Query)
					}
					if refused {
						wantMalformed(t, raw, why)
					}
				}
			}
			// Under names that nobody listed it is nobody's business.
			if req := mustRequest(t, sample(t, name, edit{"headers.x-other", found}, edit{"queryStringParameters.o", found})); req.Malformed != "" {
				t.Errorf("%s: %s", name, req.Malformed)
			}
		}
	},
	"query-duplicates": func(t *testing.T) {
		for name, want := range map[string][]string{
			"rest-request": {"one", "two"}, "http-1.0": {"one", "two"}, "http-2.0": {"one", "two, three"}, "websocket": {"1"},
		} {
			if q := mustRequest(t, sample(t, name)).Query; !reflect.DeepEqual(q, map[string][]string{"q": want}) {
				t.Errorf("%s: %v", name, q)
			}
		}
		q := mustRequest(t, sample(t, "http-2.0", edit{"rawQueryString", "q=a+b%2B&q&q="})).Query
		if !slices.Equal(q["q"], []string{"a b+", "", ""}) {
			t.Errorf("raw query: %q", q)
		}
	},
	"query-case": func(t *testing.T) {
		for _, edits := range [][]edit{
			{{"queryStringParameters", map[string]string{"Q": "1"}}, {"multiValueQueryStringParameters", nil}},
			{{"rawQueryString", "Q=1"}},
		} {
			name := "rest-request"
			if len(edits) == 1 {
				name = "http-2.0"
			}
			if q := mustRequest(t, sample(t, name, edits...)).Query; q != nil {
				t.Errorf("%s: %v", name, q)
			}
		}
	},
	"query-undecodable": func(t *testing.T) {
		for _, raw := range []string{"q=%zz", "admin=1;q=1", "q=%ff"} {
			wantMalformed(t, sample(t, "http-2.0", edit{"rawQueryString", raw}), "query that does not decode to UTF-8")
		}
		for _, raw := range []string{"other=%", "other=50%&q=1", "a=1;b=2&q=1"} {
			if req := mustRequest(t, sample(t, "http-2.0", edit{"rawQueryString", raw})); req.Malformed != "" {
				t.Errorf("%s: a parameter that no policy sees: %s", raw, req.Malformed)
			}
		}
		// Where no policy looks at the query, nothing hangs on its reading.
		req, err := new(Gateway).Request(sample(t, "http-2.0", edit{"rawQueryString", "q=%zz"}), now)
		if err != nil || req.Malformed != "" {
			t.Errorf("%v %s", err, req.Malformed)
		}
	},
	"cookies": func(t *testing.T) {
		req := mustRequest(t, sample(t, "http-2.0", edit{"headers.cookie", "a=1"}))
		if !reflect.DeepEqual(req, mustRequest(t, sample(t, "http-2.0"))) {
			t.Errorf("cookies change the request: %+v", req)
		}
	},
	"no-identity": func(t *testing.T) {
		for _, name := range names {
			req := mustRequest(t, sample(t, name, edit{"headers", nil}, edit{"multiValueHeaders", nil}, edit{"authorizationToken", ""}, edit{"identitySource", nil}))
			if req.Credentials != nil {
				t.Errorf("%s: %d credentials", name, len(req.Credentials))
			}
		}
	},
	"answer-principal": func(t *testing.T) {
		for _, v := range verdicts(t) {
			if d := mustAnswer(t, v); d.PrincipalID != "auth0|cust" {
				t.Errorf("principalId = %q", d.PrincipalID)
			}
			v.Principal.Subject = ""
			_, err := gateway(t).Answer(v)
			wantCode(t, err, "principal_invalid")
		}
	},
	"answer-invoke-only": func(t *testing.T) {
		for _, v := range verdicts(t) {
			mustAnswer(t, v) // refuses unknown fields, other actions and a second statement
		}
	},
	"answer-no-null": func(t *testing.T) {
		for _, v := range verdicts(t) {
			v.Decision.Context, v.Decision.Warnings, v.Principal.Scopes, v.Principal.Permissions = nil, nil, nil, nil
			v.DecisionID, v.Revision = "", ""
			if raw, err := gateway(t).Answer(v); err != nil || bytes.Contains(raw, []byte("null")) {
				t.Errorf("%s, %v", raw, err)
			}
		}
	},
	"answer-explicit-deny": func(t *testing.T) {
		for _, name := range names {
			v := denied(verdict(mustRequest(t, sample(t, name))))
			if d := mustAnswer(t, v); d.effect() != "Deny" || d.resource() != arnOf(v.Request).String() {
				t.Errorf("%s: %s %s", name, d.effect(), d.resource())
			}
		}
	},
	"answer-exact": func(t *testing.T) {
		for _, name := range names {
			raw := sample(t, name)
			d := mustAnswer(t, verdict(mustRequest(t, raw)))
			if d.effect() != "Allow" || strings.ContainsAny(d.resource(), "*?") || !bytes.Contains(raw, []byte(`Arn":"`+d.resource()+`"`)) {
				t.Errorf("%s: %s %s", name, d.effect(), d.resource())
			}
		}
	},
	"answer-wide-deny": func(t *testing.T) {
		for _, segment := range []string{"*", "a?b", "${x}", strings.Repeat("x", 600)} {
			req := mustRequest(t, sample(t, "rest-token", edit{"methodArn", restARN + "GET/" + segment}))
			if d := mustAnswer(t, verdict(req)); req.Malformed == "" || d.effect() != "Deny" || d.resource() != restARN+"*" {
				t.Errorf("%q: %s %s", segment, d.effect(), d.resource())
			}
		}
	},
	"context-flat": func(t *testing.T) {
		v := verdict(mustRequest(t, sample(t, "websocket")))
		v.Decision.Warnings = []string{"a", `b "c"`}
		want := map[string]string{"sub": "auth0|cust", "scope": "openid read:orders", "permissions": "read:orders write:orders",
			"client_id": "spa", "org_id": "org_home", "exp": "1795345200", "decision_id": "d-1", "revision": "sha256:ab",
			"warnings": `["a","b \"c\""]`, "tenant": "acme"}
		if d := mustAnswer(t, v); !maps.Equal(d.Context, want) {
			t.Errorf("context = %v\nwant %v", d.Context, want)
		}
	},
	"context-reserved": func(t *testing.T) {
		for _, key := range []string{"sub", "scope", "permissions", "client_id", "org_id", "exp", "decision_id", "revision",
			"warnings", "denied_by", "principalId", "integrationLatency", "claims", "SUB", "Scope", "principalid", "Claims"} {
			v := verdict(mustRequest(t, sample(t, "rest-request")))
			v.Decision.Context = map[string]string{key: "x"}
			_, err := gateway(t).Answer(v)
			wantCode(t, err, "context_reserved")
		}
	},
	"context-keys": func(t *testing.T) {
		for key, ok := range map[string]bool{"tenant_1": true, "T": true, "x-y": false, "": false, "a.b": false, "a b": false, "é": false, "a\n": false} {
			v := verdict(mustRequest(t, sample(t, "rest-request")))
			v.Decision.Context = map[string]string{key: "x"}
			if ok {
				mustAnswer(t, v)
				continue
			}
			_, err := gateway(t).Answer(v)
			wantCode(t, err, "context_invalid")
		}
	},
	"context-no-secrets": func(t *testing.T) {
		for _, v := range verdicts(t) {
			raw, err := gateway(t).Answer(v)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"e30", "Bearer", "secret", "not for handlers", "session=1", "orders.read", "t.eu.auth0.com"} {
				if bytes.Contains(raw, []byte(secret)) {
					t.Errorf("answer holds %q: %s", secret, raw)
				}
			}
		}
	},
	"context-deny": func(t *testing.T) {
		v := denied(verdict(mustRequest(t, sample(t, "rest-request"))))
		if d := mustAnswer(t, v); !maps.Equal(d.Context, map[string]string{"decision_id": "d-1", "revision": "sha256:ab"}) {
			t.Errorf("context = %v", d.Context)
		}
	},
	"context-denied-by": func(t *testing.T) {
		for _, name := range names {
			v := denied(verdict(mustRequest(t, sample(t, name))))
			v.Decision.Disclosed = []string{"mfa_required", "orders.delete"}
			want := map[string]string{"decision_id": "d-1", "revision": "sha256:ab", "denied_by": "mfa_required orders.delete"}
			if d := mustAnswer(t, v); d.effect() != "Deny" || !maps.Equal(d.Context, want) {
				t.Errorf("%s: %s, context = %v", name, d.effect(), d.Context)
			}
			v.Decision.Allowed = true
			if d := mustAnswer(t, v); d.Context["denied_by"] != "" {
				t.Errorf("%s: an Allow tells why it is denied: %v", name, d.Context)
			}
			for _, code := range []string{"", "a b", `a"b`, `a\`, "a\n", "é", "<b>"} {
				v.Decision.Disclosed = []string{"a", code}
				_, err := gateway(t).Answer(v)
				wantCode(t, err, "context_invalid")
			}
		}
	},
	"simple-shape": func(t *testing.T) {
		req := mustSimple(t, sample(t, "http-2.0"))
		for _, v := range []authorizer.Verdict{verdict(req), denied(verdict(req))} {
			raw, err := simpleGateway(t).Answer(v)
			if err != nil {
				t.Fatal(err)
			}
			var doc map[string]any
			if err := json.Unmarshal(raw, &doc); err != nil {
				t.Fatal(err)
			}
			_, isMap := doc["context"].(map[string]any)
			if len(doc) != 2 || doc["isAuthorized"] != v.Decision.Allowed || !isMap {
				t.Errorf("answer %s", raw)
			}
		}
	},
	"simple-mode-is-config": func(t *testing.T) {
		for _, name := range names {
			req, err := simpleGateway(t).Request(sample(t, name), now)
			if name == "http-2.0" {
				if err != nil {
					t.Error(err)
				}
				continue
			}
			wantCode(t, err, "response_not_understood")
			if !reflect.DeepEqual(req, authorizer.Request{}) {
				t.Errorf("%s: a refused event gives a request", name)
			}
			if req = mustRequest(t, sample(t, name)); req.Protocol != authorizer.HTTP {
				_, err = simpleGateway(t).Answer(verdict(req))
				wantCode(t, err, "answer_invalid")
			}
		}
	},
	"simple-context": func(t *testing.T) {
		v := verdict(mustSimple(t, sample(t, "http-2.0")))
		v.Decision.Disclosed = nil
		for range 2 {
			allowed, context := answerSimply(t, v)
			if d := mustAnswer(t, v); allowed != (d.effect() == "Allow") || !maps.Equal(context, d.Context) {
				t.Errorf("simple: %t %v, policy: %s %v", allowed, context, d.effect(), d.Context)
			}
			v = denied(v)
			v.Decision.Disclosed = []string{"orders.delete"}
		}
		v.Decision.Context = map[string]string{"sub": "x"}
		_, err := simpleGateway(t).Answer(v)
		wantCode(t, err, "context_reserved")
	},
	"simple-fails-closed": func(t *testing.T) {
		v := verdict(mustSimple(t, sample(t, "http-2.0")))
		broken := v
		broken.Request.Malformed = "path with a dot segment"
		zero := v
		zero.Decision = authorizer.Decision{}
		for _, v := range []authorizer.Verdict{broken, zero, denied(v)} {
			if allowed, context := answerSimply(t, v); allowed || len(context) != 2 {
				t.Errorf("authorized %t with %v", allowed, context)
			}
		}
		if req := mustSimple(t, sample(t, "http-2.0", httpPath("/a/../b", "/{p+}")...)); req.Malformed == "" {
			t.Error("a path with two readings has one in simple mode")
		}
	},
	"simple-no-arn": func(t *testing.T) {
		for _, segment := range []string{"${x}", strings.Repeat("x", 600)} {
			req := mustSimple(t, sample(t, "http-2.0", httpPath("/orders/"+segment, "/orders/{id}")...))
			if allowed, _ := answerSimply(t, verdict(req)); req.Malformed != "" || !allowed || req.Params["id"] != segment {
				t.Errorf("%.20q: %q, authorized %t", segment, req.Malformed, allowed)
			}
		}
	},
	"usage-key": func(t *testing.T) {
		for _, name := range names {
			for _, v := range []authorizer.Verdict{verdict(mustRequest(t, sample(t, name))), denied(verdict(mustRequest(t, sample(t, name))))} {
				v.Decision.UsageIdentifierKey = "umbrella-key-1"
				raw, err := gateway(t).Answer(v)
				if err != nil {
					t.Fatal(err)
				}
				var d struct{ UsageIdentifierKey *string }
				if err := json.Unmarshal(raw, &d); err != nil {
					t.Fatal(err)
				}
				metered := strings.HasPrefix(name, "rest") && v.Decision.Allowed
				if (d.UsageIdentifierKey != nil) != metered || metered && *d.UsageIdentifierKey != "umbrella-key-1" || bytes.Contains(raw, []byte("umbrella")) != metered {
					t.Errorf("%s, allowed %t: %s", name, v.Decision.Allowed, raw)
				}
			}
		}
	},
	"usage-key-plain": func(t *testing.T) {
		v := verdict(mustRequest(t, sample(t, "rest-request")))
		v.Decision.UsageIdentifierKey = authorizer.APIKey(strings.Repeat("k", 128))
		if _, err := gateway(t).Answer(v); err != nil {
			t.Error(err)
		}
		for _, key := range []string{"umbrella a", "umbrella\n", "umbrella\x7f", "umbrellaé", "\xffumbrella", strings.Repeat("umbrella", 17)} {
			for _, name := range names { // where it is left out too
				v := verdict(mustRequest(t, sample(t, name)))
				v.Decision.UsageIdentifierKey = authorizer.APIKey(key)
				_, err := gateway(t).Answer(v)
				wantCode(t, err, "usage_key_invalid")
			}
		}
	},
	"context-sub": func(t *testing.T) {
		if d := mustAnswer(t, verdict(mustRequest(t, sample(t, "http-2.0")))); d.Context["sub"] != d.PrincipalID {
			t.Errorf("sub = %q", d.Context["sub"])
		}
	},
	"claim-injection": func(t *testing.T) {
		req := mustRequest(t, sample(t, "rest-request"))
		v := verdict(req)
		v.Principal.Subject, v.Principal.ClientID, v.Principal.Organization = "*", "arn:aws:execute-api:*:*:*", "${aws:username}"
		v.Principal.Scopes, v.Principal.Permissions = []string{"*"}, []string{"?"}
		if d := mustAnswer(t, v); d.resource() != arnOf(req).String() || d.effect() != "Allow" {
			t.Errorf("%s %s", d.effect(), d.resource())
		}
		v = verdict(req)
		v.Principal.Permissions = []string{"read:orders admin:users"}
		_, err := gateway(t).Answer(v)
		wantCode(t, err, "principal_invalid")
		v = verdict(req)
		v.Principal.Organization = "a\r\nX-Admin: 1"
		_, err = gateway(t).Answer(v)
		wantCode(t, err, "context_invalid")
	},
	"errors-are-500": func(t *testing.T) {
		const secret = "Bearer e30.e30.c2ln"
		for _, raw := range []string{
			secret, `{"type":"` + secret + `"}`, `{"type":"REQUEST","version":"` + secret + `"}`,
			`{"type":"TOKEN","methodArn":"` + secret + `"}`, `{"type":"TOKEN","` + secret + `":1,"` + secret + `":2}`,
			`{"type":"TOKEN","methodArn":"arn:aws:execute-api:` + secret + `:1:a/` + secret + `/` + secret + `"}`,
			`{"type":"TOKEN","authorizationToken":{"a":"` + secret + `"}}`,
		} {
			wantRefused(t, []byte(raw), "event_malformed")
		}
		wantRefused(t, sample(t, "rest-request", edit{"requestContext.stage", secret}), "event_contradicts_itself")
	},
	"size-websocket": func(t *testing.T) {
		v := verdict(mustRequest(t, sample(t, "websocket")))
		v.Decision.Context = map[string]string{"t": strings.Repeat("x", 8<<10)}
		_, err := gateway(t).Answer(v)
		wantCode(t, err, "answer_too_large")
		v.Request = mustRequest(t, sample(t, "http-2.0"))
		mustAnswer(t, v)
	},
	"size-resource": func(t *testing.T) {
		base := len(httpARN + "dev/GET/orders/")
		for extra, effect := range map[int]string{512 - base: "Allow", 513 - base: "Deny"} {
			req := mustRequest(t, sample(t, "http-2.0", httpPath("/orders/"+strings.Repeat("x", extra), "/orders/{id}")...))
			if d := mustAnswer(t, verdict(req)); d.effect() != effect || len(d.resource()) > 512 {
				t.Errorf("%d more: %s of %d bytes", extra, d.effect(), len(d.resource()))
			}
		}
	},
}

// TestTraps walks the list: no trap without a case, no case without a trap.
func TestTraps(t *testing.T) {
	seen := map[string]bool{}
	for _, trap := range traps {
		if seen[trap.id] || trap.section == "" || trap.says == "" {
			t.Errorf("trap %q is listed twice, or without its section or what it says", trap.id)
		}
		seen[trap.id] = true
		check, ok := trapCases[trap.id]
		if !ok {
			t.Errorf("trap %q (%s: %s) has no case", trap.id, trap.section, trap.says)
			continue
		}
		t.Run(trap.id, check)
	}
	for id := range trapCases {
		if !seen[id] {
			t.Errorf("case %q is for no trap in the list", id)
		}
	}
}

// The ARNs of testdata/events, up to what the cases vary.
const (
	restARN = "arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/"
	httpARN = "arn:aws:execute-api:eu-central-1:123456789012:httpapi001/"
	wsARN   = "arn:aws:execute-api:eu-central-1:123456789012:wsapi00001/dev/"
)

// restPath moves rest-request to another path of another template. Values are those of its path parameters, in order.
func restPath(path, template string, values ...string) []edit {
	edits := []edit{
		{"methodArn", restARN + "GET" + path}, {"path", path}, {"resource", template},
		{"requestContext.resourcePath", template}, {"requestContext.path", "/dev" + path}, {"pathParameters", nil},
	}
	params := map[string]string{}
	for _, s := range strings.Split(template, "/") {
		if strings.HasPrefix(s, "{") && len(values) > len(params) {
			params[strings.Trim(s, "{}+")] = values[len(params)]
		}
	}
	if len(params) > 0 {
		edits = append(edits, edit{"pathParameters", params})
	}
	return edits
}

// httpPath moves http-2.0 to another path, below its stage, of another template.
func httpPath(path, template string) []edit {
	return []edit{
		{"routeArn", httpARN + "dev/GET" + path}, {"rawPath", "/dev" + path}, {"routeKey", "GET " + template},
		{"requestContext.routeKey", "GET " + template}, {"pathParameters", nil},
	}
}

// verdicts are an Allow, a Deny and a malformed one of each event.
func verdicts(t *testing.T) []authorizer.Verdict {
	var vs []authorizer.Verdict
	for _, name := range names {
		v := verdict(mustRequest(t, sample(t, name)))
		broken := v
		broken.Request.Malformed = "path with a dot segment"
		vs = append(vs, v, denied(v), broken)
	}
	return vs
}

// noAuthorization takes the Authorization header out of an event, and sets what is named by paths and values in turn.
func noAuthorization(pathsAndValues ...any) []edit {
	edits := []edit{{"headers.Authorization", absent{}}, {"multiValueHeaders.Authorization", absent{}}}
	for i := 0; i < len(pathsAndValues); i += 2 {
		edits = append(edits, edit{pathsAndValues[i].(string), pathsAndValues[i+1]})
	}
	return edits
}

// tokenRequest reads an event where tokens may also come as the query parameter tk or after the subprotocol gatehouse.
func tokenRequest(t *testing.T, raw []byte) authorizer.Request {
	t.Helper()
	g, err := New(Config{Headers: []string{"X-Tenant"}, Query: []string{"q"}, TokenQuery: "tk", TokenSubprotocol: "gatehouse"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := g.Request(raw, now)
	if err != nil {
		t.Fatalf("%v\nevent: %s", err, raw)
	}
	return req
}

func simpleGateway(t *testing.T) *Gateway {
	t.Helper()
	g, err := New(Config{Headers: []string{"X-Tenant"}, Query: []string{"q"}, SimpleResponses: true})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mustSimple(t *testing.T, raw []byte) authorizer.Request {
	t.Helper()
	req, err := simpleGateway(t).Request(raw, now)
	if err != nil {
		t.Fatalf("%v\nevent: %s", err, raw)
	}
	return req
}

func answerSimply(t *testing.T, v authorizer.Verdict) (bool, map[string]string) {
	t.Helper()
	raw, err := simpleGateway(t).Answer(v)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		IsAuthorized *bool             `json:"isAuthorized"`
		Context      map[string]string `json:"context"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil || d.IsAuthorized == nil || d.Context == nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return *d.IsAuthorized, d.Context
}

func wantCredentials(t *testing.T, req authorizer.Request, want ...string) {
	t.Helper()
	if !slices.Equal([]string(req.Credentials), want) {
		t.Errorf("credentials = %q, want %q", []string(req.Credentials), want)
	}
}

// wantMalformed checks that a request is marked, for this reason or, with "", for any, shows no path, and gets a Deny.
func wantMalformed(t *testing.T, raw []byte, why string) {
	t.Helper()
	req := mustRequest(t, raw)
	if req.Malformed == "" || why != "" && req.Malformed != why {
		t.Errorf("malformed = %q, want %q\nevent: %s", req.Malformed, why, raw)
	}
	if req.Path != nil || req.Params != nil || req.Query != nil {
		t.Errorf("a malformed request shows path %q, params %v, query %v", req.Path, req.Params, req.Query)
	}
	if d := mustAnswer(t, verdict(req)); d.effect() != "Deny" {
		t.Errorf("a malformed request gets %s", d.effect())
	}
}
