package fidelity

import (
	"testing"
	"time"

	"gatehouse/authorizer/apigw"
)

// headerEnd is where the authorizer has gathered all values of a header.
const headerEnd = "\treturn values\n}\n\n// both gives"

var headerFaults = []fault{
	{
		id:     "header-case-rest",
		aws:    "a REST event has header names as the client wrote them: an HTTP/2 client's authorization is lower case",
		wrong:  "one canonical form: an authorizer that looks for Authorization works here only",
		source: voker,
		in:     []patch{before("internal/gateway/spelling.go", "\th, left := http.Header{}, r.Header.Clone()\n", "\tif FAULT { return r.Header.Clone() }")},
		check: func(t *testing.T) {
			w := start(t, "", rest("get a"))
			r := sendAs(t, "GET", w.rest+"/a", "authorization: Bearer t", "X-TENANT: a", "x-tenant: b")
			e, h := events(t, r)
			for _, e := range []document{e, h} {
				want(t, "headers", e.at("headers.authorization")+"|"+e.at("headers.Authorization")+"|"+e.at("headers.X-TENANT")+"|"+e.at("headers.x-tenant"), "Bearer t||a|b")
			}
		},
	},
	{
		id:     "header-added-rest",
		aws:    "the headers that API Gateway writes are in title case: Host, User-Agent, X-Forwarded-For; there is no Content-Length",
		wrong:  "lower case, or as the client wrote them",
		source: voker,
		in:     []patch{before(eventFile, v1Begin, "\tif FAULT { h := map[string][]string{}; for n, v := range c.sent { h[strings.ToLower(n)] = v }; c.sent = h }")},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).rest+"/a", "x-forwarded-for: 203.0.113.9"))
			want(t, "X-Forwarded-For", e.at("headers.X-Forwarded-For")+"|"+e.at("headers.x-forwarded-for"), "203.0.113.9, 127.0.0.1|")
			if e.at("headers.Host") == "" {
				t.Error("no Host")
			}
			e = handled(t, post(t, plain(t).rest+"/a", "body", "user-agent: test"))
			want(t, "User-Agent and Content-Length", e.at("headers.User-Agent")+"|"+e.at("headers.user-agent")+"|"+e.at("headers.Content-Length"), "test||")
		},
	},
	{
		id:     "header-case-http",
		aws:    "payload 2.0 has header names in lower case",
		wrong:  "as the client wrote them (serverless-offline's authorizer events)",
		source: payloadPage + "; " + voker,
		in:     []patch{{eventFile, "headers[strings.ToLower(name)] = ", "headers[map[bool]string{true: name, false: strings.ToLower(name)}[FAULT]] = "}},
		check: func(t *testing.T) {
			e, h := events(t, send(t, "GET", plain(t).http+"/two/1", "X-Tenant: a"))
			for _, e := range []document{e, h} {
				want(t, "headers", e.at("headers.authorization")+"|"+e.at("headers.x-tenant")+"|"+e.at("headers.X-Tenant"), "Bearer t|a|")
			}
		},
	},
	{
		id:     "header-duplicates-rest",
		aws:    "headers has the last value of a name, multiValueHeaders all",
		wrong:  "the first, or all joined",
		source: voker,
		in:     []patch{{eventFile, "m[name] = values[len(values)-1]", "m[name] = values[map[bool]int{true: 0, false: len(values) - 1}[FAULT]]"}},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).rest+"/a", "X-Probe: one", "X-Probe: two"))
			want(t, "X-Probe", e.at("headers.X-Probe")+e.at("multiValueHeaders.X-Probe"), `two["one","two"]`)
		},
	},
	{
		id:     "header-duplicates-http",
		aws:    "payload 2.0 joins the values of a name with a comma",
		wrong:  "the last one counts",
		source: payloadPage + "; " + voker,
		in:     []patch{before(eventFile, "\t\tif name == \"Cookie\" {", "\t\tif FAULT { values = values[len(values)-1:] }")},
		check: func(t *testing.T) {
			want(t, "x-probe", handled(t, sendAs(t, "GET", plain(t).http+"/a", "X-Probe: one", "X-Probe: two")).at("headers.x-probe"), "one,two")
		},
	},
	{
		id:     "header-two-credentials",
		aws:    "of two Authorization headers the cache key takes one value; which, is not documented",
		wrong:  "the authorizer verifies one of them, and the gateway keeps its answer under another",
		source: inputPage,
		in:     []patch{before("authorizer/apigw/event.go", headerEnd, "\tif FAULT && len(values) > 1 { values = values[:1] }")},
		check: func(t *testing.T) {
			g, err := apigw.New(apigw.Config{})
			if err != nil {
				t.Fatal(err)
			}
			w := start(t, "", rest("get a"))
			e := handled(t, sendAs(t, "GET", w.rest+"/a", "authorization: Bearer a", "Authorization: Bearer b"))
			r, err := g.Request([]byte(e.at("requestContext.authorizer.event")), time.Now())
			if err != nil || len(r.Credentials) != 2 {
				t.Errorf("got %d credentials, %v, want both, to be refused", len(r.Credentials), err)
			}
		},
	},
	{
		id:     "query-rest",
		aws:    "a REST event has the query decoded, + as a space, the last value in one map and all in the other",
		wrong:  "as sent, or the first value",
		source: voker,
		in:     []patch{before(eventFile, v1Begin, "\tif FAULT { for n, v := range c.query { c.query[n] = v[:1] } }")},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).rest+"/a?q=1&q=a+b%2Bc"))
			want(t, "q", e.at("queryStringParameters.q")+e.at("multiValueQueryStringParameters.q"), `a b+c["1","a b+c"]`)
		},
	},
	{
		id:     "query-http",
		aws:    "payload 2.0 joins the decoded values with a comma, and keeps rawQueryString untouched",
		wrong:  "rawQueryString is decoded, or made again",
		source: payloadPage + "; " + voker,
		in:     []patch{{eventFile, "RawQueryString: c.request.URL.RawQuery,", "RawQueryString: map[bool]string{true: c.query.Encode(), false: c.request.URL.RawQuery}[FAULT],"}},
		check: func(t *testing.T) {
			e := handled(t, sendAs(t, "GET", plain(t).http+"/a?q=1&b=&q=a+b%2Bc"))
			want(t, "q", e.at("queryStringParameters.q")+"|"+e.at("rawQueryString"), "1,a b+c|q=1&b=&q=a+b%2Bc")
		},
	},
	{
		id:     "cookies-http",
		aws:    "payload 2.0 has cookies in a list of their own, and no cookie header",
		wrong:  "there is no list (serverless-offline's authorizer events)",
		source: payloadPage + "; " + voker,
		in:     []patch{{eventFile, "if name == \"Cookie\" {", "if name == \"Cookie\" && !FAULT {"}},
		check: func(t *testing.T) {
			e, h := events(t, send(t, "GET", plain(t).http+"/two/1", "Cookie: a=1; b=2"))
			for _, e := range []document{e, h} {
				want(t, "cookies", e.at("cookies")+e.at("headers.cookie"), `["a=1","b=2"]`)
			}
		},
	},
	{
		id:     "cookies-rest",
		aws:    "a REST event has cookies in the header Cookie",
		wrong:  "they are taken out of it",
		source: voker,
		in:     []patch{before(eventFile, v1Begin, "\tif FAULT { delete(c.sent, \"Cookie\") }")},
		check: func(t *testing.T) {
			want(t, "Cookie", handled(t, sendAs(t, "GET", plain(t).rest+"/a", "Cookie: a=1; b=2")).at("headers.Cookie"), "a=1; b=2")
		},
	},
	{
		id:     "event-version-rest",
		aws:    "a REST REQUEST event has no version; 1.0 is the HTTP API's",
		wrong:  `"version":"1.0" (serverless-offline, Powertools' fixture)`,
		source: inputPage,
		in:     []patch{{eventFile, "e := requestEvent{Type: \"REQUEST\",", "e := requestEvent{Version: map[bool]string{true: \"1.0\"}[FAULT], Type: \"REQUEST\","}},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "one"))
			want(t, "REST", asked(t, send(t, "GET", w.rest+"/a")).at("version"), "")
			want(t, "HTTP", asked(t, send(t, "GET", w.http+"/a")).at("version"), "1.0")
		},
	},
	{
		id:     "event-token-fields",
		aws:    "a TOKEN event has type, authorizationToken and methodArn, and nothing else",
		wrong:  "headers, path and query as well (serverless-offline)",
		source: inputPage,
		in:     []patch{before(eventFile, "\tcase g.Type == serverless.Token:", "\tcase FAULT && g.Type == serverless.Token:\n\t\treturn encode(requestEvent{Type: \"TOKEN\", AuthorizationToken: identity[0], MethodARN: c.arn(), requestV1: c.v1()})")},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: "+tokenAuthorizer+"}")
			e := asked(t, send(t, "GET", w.rest+"/a?q=1"))
			if len(e) != 3 || e.at("type") != "TOKEN" || e.at("authorizationToken") != "Bearer t" || e.at("methodArn") != restARN+"GET/a" {
				t.Errorf("got %v", e)
			}
		},
	},
	{
		id:     "event-no-body",
		aws:    "no authorizer sees the body",
		wrong:  "payload 2.0 is said to have it (public code)",
		source: inputPage + "; " + httpPage,
		in: []patch{
			before(eventFile, "\tIdentitySource []string `json:\"identitySource,omitempty\"`\n", "\tBody string `json:\"body,omitempty\"`"),
			before(requestFile, "\tv, refused := c.authorized(ctx)", "\tif FAULT { c.body, _ = io.ReadAll(c.request.Body) }"),
			{eventFile, "IdentitySource: identity, requestV2: c.v2()})", "IdentitySource: identity, requestV2: c.v2(), Body: string(c.body)})"},
		},
		check: func(t *testing.T) {
			e, h := events(t, post(t, plain(t).http+"/any/body", "secret", token, "Content-Type: text/plain"))
			want(t, "bodies", e.at("body")+"|"+h.at("body"), "|secret")
		},
	},
}
