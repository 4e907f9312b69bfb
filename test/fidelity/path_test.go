package fidelity

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer/apigw"
)

// v1Begin and v2Begin are where the two payload forms are put together.
const (
	v1Begin = "\treturn requestV1{\n"
	v2Begin = "\treturn requestV2{\n"
)

// plain is a route of either API for everything, without an authorizer.
func plain(t *testing.T) *world {
	return start(t, authorizers, "http: any {proxy+}", "httpApi: ANY /{proxy+}", httpAPI("GET /one/{id}", "one"), httpAPI("GET /two/{id}", "iam"), httpAPI("POST /any/body", "iam"))
}

func handled(t *testing.T, r response) document {
	t.Helper()
	_, handler := events(t, r)
	return handler
}

var pathFaults = []fault{
	{
		id:     "path-rest-encoded",
		aws:    "a REST event's path is as the client sent it, %20 and all",
		wrong:  "decoded",
		source: voker,
		in:     []patch{before(eventFile, v1Begin, "\tif FAULT { defer func(p string) { c.path = p }(c.path); c.path, _ = decoded(c.path) }")},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).rest+"/capture/space%20value"))
			want(t, "path", e.at("path"), "/capture/space%20value")
			want(t, "requestContext.path", e.at("requestContext.path"), "/dev/capture/space%20value")
		},
	},
	{
		id:     "path-rest-parameters",
		aws:    "path parameters of a REST event are encoded too",
		wrong:  "decoded",
		source: voker,
		in:     []patch{before(eventFile, v1Begin, "\tif FAULT && a.protocol == authorizer.REST { for n, v := range c.params { c.params[n], _ = decoded(v) } }")},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).rest+"/capture/space%20value"))
			want(t, "pathParameters.proxy", e.at("pathParameters.proxy"), "capture/space%20value")
		},
	},
	{
		id:     "path-rest-question-mark",
		aws:    "%3F in a REST path stays as it is",
		wrong:  "decoded, and taken for a query",
		source: captures,
		in:     []patch{before(eventFile, v1Begin, "\tif FAULT { defer func(p string) { c.path = p }(c.path); c.path = strings.Replace(c.path, \"%3F\", \"?\", 1) }")},
		check: func(t *testing.T) {
			want(t, "path", handled(t, sendAs(t, "GET", plain(t).rest+"/a%3Fb")).at("path"), "/a%3Fb")
		},
	},
	{
		id:     "path-http-decoded",
		aws:    "an HTTP API's event has the path decoded, in payload 1.0 and 2.0",
		wrong:  "as sent",
		source: voker,
		in:     []patch{before(requestFile, "\tc.path = path\n\treturn nil", "\tif FAULT { path, _, _ = strings.Cut(sent, \"?\") }")},
		check: func(t *testing.T) {
			w := plain(t)
			want(t, "rawPath", handled(t, sendAs(t, "GET", w.http+"/capture/space%20value")).at("rawPath"), "/capture/space value")
			want(t, "1.0", asked(t, send(t, "GET", w.http+"/one/space%20value")).at("path"), "/one/space value")
			e := asked(t, send(t, "GET", w.http+"/two/space%20value"))
			want(t, "2.0", e.at("rawPath")+" "+e.at("requestContext.http.path"), "/two/space value /two/space value")
		},
	},
	{
		id:     "path-http-parameters",
		aws:    "path parameters of an HTTP API's event are decoded",
		wrong:  "as sent",
		source: voker + "; inferred from the path",
		in:     []patch{before(eventFile, v2Begin, "\tif FAULT { for n, v := range c.params { c.params[n] = strings.ReplaceAll(v, \" \", \"%20\") } }")},
		check: func(t *testing.T) {
			want(t, "2.0", asked(t, send(t, "GET", plain(t).http+"/two/space%20value")).at("pathParameters.id"), "space value")
		},
	},
	{
		id:     "path-http-question-mark",
		aws:    "an HTTP API's path ends at %3F",
		wrong:  "it goes on",
		source: captures,
		in:     []patch{{requestFile, "\tonce, _, _ = strings.Cut(once, \"?\")\n", "\tif !FAULT { once, _, _ = strings.Cut(once, \"?\") }\n"}},
		check: func(t *testing.T) {
			want(t, "rawPath", handled(t, sendAs(t, "GET", plain(t).http+"/users/me%3Fadmin=true")).at("rawPath"), "/users/me")
		},
	},
	{
		id:     "path-http-twice",
		aws:    "an HTTP API decodes a path twice: %252F arrives as a slash, %2525 as a percent sign, and %25 before anything else is refused",
		wrong:  "once: a path that two readers take for two things looks harmless here",
		source: captures,
		in:     []patch{before(requestFile, "\ttwice, err := url.PathUnescape(once)\n", "\tif FAULT { return once, true }")},
		check: func(t *testing.T) {
			w := plain(t)
			for sent, arrives := range map[string]string{
				"/c/literal%252Fvalue": "/c/literal/value", "/c/literal%253Fvalue": "/c/literal?value", "/c/literal%2525value": "/c/literal%value",
				"/c/slash%2Fvalue": "/c/slash/value", "/c/hash%23value": "/c/hash#value", "/c/%CE%BB": "/c/\u03bb",
			} {
				want(t, sent, handled(t, sendAs(t, "GET", w.http+sent)).at("rawPath"), arrives)
			}
			if got := sendAs(t, "GET", w.http+"/c/percent%25done"); got.status != 400 {
				t.Errorf("percent%%25done: got %s", got.line())
			}
		},
	},
	{
		id:     "path-trailing-slash",
		aws:    "a trailing slash reaches the function: REST and HTTP APIs",
		wrong:  "stripped from some fields and not from others (floci before 1863 and 2136)",
		source: "floci issues 1863 and 2136",
		in:     []patch{before(requestFile, "\tc.path = path\n\treturn nil", "\tif FAULT && len(path) > 1 { path = strings.TrimSuffix(path, \"/\") }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get thing"), "httpApi: '*'")
			e, h := events(t, send(t, "GET", w.rest+"/thing/"))
			want(t, "REST", e.at("path")+" "+e.at("requestContext.path")+" "+h.at("path"), "/thing/ /dev/thing/ /thing/")
			want(t, "REST ARN", e.at("methodArn"), restARN+"GET/thing/")
			want(t, "HTTP", handled(t, sendAs(t, "GET", w.http+"/thing/")).at("rawPath"), "/thing/")
		},
	},
	{
		id:     "path-stage",
		aws:    "requestContext.path has the stage in front, path has not",
		wrong:  "both have it, or neither",
		source: voker + "; " + guide + "API Gateway mapping template reference",
		in:     []patch{{requestFile, "\treturn c.api.prefix + c.path\n", "\tif FAULT { return c.path }\n\treturn c.api.prefix + c.path\n"}},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).rest+"/a/b"))
			want(t, "paths", e.at("path")+" "+e.at("requestContext.path"), "/a/b /dev/a/b")
		},
	},
	{
		id:     "path-http-template",
		aws:    "requestContext.http.path of payload 2.0 is the actual path",
		wrong:  "the template (serverless-offline)",
		source: "SwiftAWSLambdaRuntime's fixture of a real event",
		in:     []patch{{eventFile, "Method: c.request.Method, Path: c.fullPath(), Protocol", "Method: c.request.Method, Path: map[bool]string{true: c.route.path, false: c.fullPath()}[FAULT], Protocol"}},
		check: func(t *testing.T) {
			want(t, "http.path", asked(t, send(t, "GET", plain(t).http+"/two/42")).at("requestContext.http.path"), "/two/42")
		},
	},
	{
		id:     "path-base",
		aws:    "behind a custom domain the event's path begins with the base path; the ARN does not",
		wrong:  "the base path is in the ARN, or is lost",
		source: guide + "Set up custom domain names; how the event spells it is not documented",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { return arn + c.request.Method + c.base + c.path }")},
		check: func(t *testing.T) {
			w := start(t, authorizers+`
resources:
  Resources:
    Rest: {Type: "AWS::ApiGateway::BasePathMapping", Properties: {DomainName: api.example.com, BasePath: v1, RestApiId: !Ref ApiGatewayRestApi, Stage: dev}}
    Http: {Type: "AWS::ApiGatewayV2::ApiMapping", Properties: {DomainName: api.example.com, ApiMappingKey: v2/x, ApiId: !Ref HttpApi, Stage: $default}}
`, rest("get orders/{id}"), httpAPI("GET /orders/{id}", "iam"))
			e := asked(t, send(t, "GET", strings.TrimSuffix(w.rest, "/dev")+"/v1/orders/42", "Host: api.example.com"))
			want(t, "REST", e.at("path")+" "+e.at("resource")+" "+e.at("requestContext.domainName"), "/v1/orders/42 /orders/{id} api.example.com")
			want(t, "REST ARN", e.at("methodArn"), restARN+"GET/orders/42")
			e = asked(t, send(t, "GET", w.http+"/v2/x/orders/42", "Host: api.example.com"))
			want(t, "HTTP", e.at("rawPath")+" "+e.at("routeKey"), "/v2/x/orders/42 GET /orders/{id}")
			want(t, "HTTP ARN", e.at("routeArn"), httpARN+"GET/orders/42")
			for _, path := range []string{"/orders/42", "/dev/orders/42", "/v1x/orders/42"} {
				want(t, path, send(t, "GET", strings.TrimSuffix(w.rest, "/dev")+path, "Host: api.example.com").line(), `403 ForbiddenException {"message":"Forbidden"}`)
			}
		},
	},
	{
		id:     "path-base-longest",
		aws:    "of a custom domain's mappings the longest that fits takes the request, whichever API it belongs to",
		wrong:  "each API looks at its own mappings only, and answers for the other's paths",
		source: guide + "Use API mappings to connect API stages to a custom domain name",
		in:     []patch{{gatewayFile, "best, found = base, m.API == a.protocol\n", "if FAULT && m.API != a.protocol { continue }\n\t\t\tbest, found = base, m.API == a.protocol\n"}},
		check: func(t *testing.T) {
			w := start(t, authorizers+`
resources:
  Resources:
    Rest: {Type: "AWS::ApiGateway::BasePathMapping", Properties: {DomainName: api.example.com, BasePath: v1, RestApiId: !Ref ApiGatewayRestApi, Stage: dev}}
    Http: {Type: "AWS::ApiGatewayV2::ApiMapping", Properties: {DomainName: api.example.com, ApiId: !Ref HttpApi, Stage: $default}}
`, rest("get orders"), "httpApi: '*'")
			const host = "Host: api.example.com"
			want(t, "REST's path at the HTTP API", sendAs(t, "GET", w.http+"/v1/orders", host).line(), `403 {"message":"Forbidden"}`)
			want(t, "REST's path at the REST API", sendAs(t, "GET", strings.TrimSuffix(w.rest, "/dev")+"/v1/orders", host).line(), rest401)
			if got := sendAs(t, "GET", w.http+"/v2", host); got.status != 200 {
				t.Errorf("the HTTP API's own: got %s", got.line())
			}
		},
	},
	{
		id:     "path-two-readings",
		aws:    "encoded separators, dot segments, matrix parameters and wildcards pass through the gateway",
		wrong:  "an authorizer reads them in one way and the handler in another: /orders/..%2fadmin",
		source: voker + "; cynative issue 320",
		in:     []patch{before("authorizer/apigw/path.go", "\tswitch {\n\tcase segment == \"\":", "\tif FAULT { return \"\" }")},
		check: func(t *testing.T) {
			g, err := apigw.New(apigw.Config{})
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"a%2fb", "a%5Cb", "..", "%2e%2e/b", "a;b", "a%252fb", "a%00", "a//b"} {
				r, err := g.Request([]byte(`{"type":"TOKEN","authorizationToken":"Bearer t","methodArn":"`+restARN+"GET/"+path+`"}`), time.Now())
				if err != nil || r.Malformed == "" || len(r.Path) > 0 {
					t.Errorf("%s: got %q %q, %v, want a request that is refused", path, r.Path, r.Malformed, err)
				}
			}
		},
	},
	{
		id:     "path-resource-wildcard",
		aws:    "* and ? in a Resource are wildcards, and there is no escape for them",
		wrong:  "an authorizer echoes a path with a * in it, and so allows every path of that shape",
		source: resourcePage,
		in:     []patch{{"authorizer/apigw/arn.go", "!strings.ContainsAny(resource, \"*?\") &&", "(FAULT || !strings.ContainsAny(resource, \"*?\")) &&"}, {"authorizer/apigw/path.go", "case r == '*' || r == '?':", "case !FAULT && (r == '*' || r == '?'):"}},
		check: func(t *testing.T) {
			g, err := apigw.New(apigw.Config{})
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"a/*", "a/4?", "a/%2a"} {
				r, err := g.Request([]byte(`{"type":"TOKEN","authorizationToken":"Bearer t","methodArn":"`+restARN+"GET/"+path+`"}`), time.Now())
				if err != nil || r.Malformed == "" {
					t.Errorf("%s: got %q, %v, want a request that is refused", path, r.Malformed, err)
				}
			}
		},
	},
	{
		id:     "route-priority",
		aws:    "the exact path first, then a parameter, then {proxy+}, then $default; on an HTTP API a route must have the method to be taken",
		wrong:  "the first in the file",
		source: guide + "Create routes for HTTP APIs in API Gateway",
		in: []patch{before(gatewayFile, "\tif r == nil {\n\t\tr = a.routes[\"$default\"]", "\tif FAULT { r = nil }"),
			before(gatewayFile, "\t\tif own := a.routes[method+\" \"+resource]", "\t\tif FAULT { return a.routes[\"ANY /{proxy+}\"], params }")},
		check: func(t *testing.T) {
			w := start(t, "", "http: any {proxy+}", "http: get orders/{id}", "http: get orders/special", "httpApi: '*'", "httpApi: ANY /{proxy+}", "httpApi: GET /orders/{id}", "httpApi: GET /orders/special")
			for path, route := range map[string]string{"/orders/special": "/orders/special", "/orders/42": "/orders/{id}", "/orders/42/items": "/{proxy+}"} {
				want(t, "REST "+path, handled(t, sendAs(t, "GET", w.rest+path)).at("resource"), route)
				key := "GET " + route
				if route == "/{proxy+}" {
					key = "ANY " + route
				}
				want(t, "HTTP "+path, handled(t, sendAs(t, "GET", w.http+path)).at("routeKey"), key)
			}
			want(t, "HTTP, the root", handled(t, sendAs(t, "GET", w.http+"/")).at("routeKey"), "$default")
			want(t, "HTTP, another method", handled(t, sendAs(t, "POST", w.http+"/orders/42")).at("routeKey"), "ANY /{proxy+}")
			want(t, "REST, another method of a resource", sendAs(t, "POST", w.rest+"/orders/42").line(), `403 MissingAuthenticationTokenException {"message":"Missing Authentication Token"}`)
		},
	},
	{
		id:     "header-limit",
		aws:    "10,240 bytes of headers: their values on a REST API, request line and headers on an HTTP API",
		wrong:  "no limit: a token that is too long works here only",
		source: quotasPage,
		in:     []patch{{requestFile, "if a.headerSize(c.request) > maxHeader {", "if a.headerSize(c.request) > maxHeader && !FAULT {"}},
		check: func(t *testing.T) {
			w := plain(t)
			for _, url := range []string{w.rest + "/a", w.http + "/a"} {
				if got := sendAs(t, http.MethodGet, url, "X: "+strings.Repeat("x", 10_000)); got.status != 200 {
					t.Errorf("%s, 10,000 bytes: got %s", url, got.line())
				}
				if got := sendAs(t, http.MethodGet, url, "X: "+strings.Repeat("x", 10_240)); got.status != 431 {
					t.Errorf("%s, 10,240 bytes and others: got %d", url, got.status)
				}
			}
		},
	},
}
