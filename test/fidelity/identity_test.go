package fidelity

import (
	"strings"
	"testing"

	"gatehouse/internal/serverless"
)

// unread says that the file's reader refuses what a deployment would refuse, or would do unlike what it says.
func unread(t *testing.T, event, reason string) {
	t.Helper()
	_, err := serverless.Read([]byte(head+functions+"      - "+event+"\n"), nil)
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: got %v, want %q", event, err, reason)
	}
}

const (
	identityEmpty = "\t\tif value == \"\" {"
	identityKnown = "\tif !ok || g.valid != nil && !g.valid.MatchString(identity[0]) {"
)

var identityFaults = []fault{
	{
		id:     "identity-missing",
		aws:    "without an identity source the answer is 401, and nobody is asked",
		wrong:  "the authorizer is asked all the same",
		source: "API Gateway API Reference, CreateAuthorizer: identitySource; " + httpPage,
		in:     []patch{before(requestFile, identityKnown, "\tif FAULT && !ok { ok, identity = true, []string{\"\"} }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "iam"), "http: {method: get, path: token, authorizer: {name: auth, type: request, resultTtlInSeconds: 0, identitySource: method.request.header.Authorization}}")
			want(t, "REST", sendAs(t, "GET", w.rest+"/a").line(), rest401)
			want(t, "HTTP", sendAs(t, "GET", w.http+"/a").line(), http401)
			if n := w.invocations(t); n > 0 {
				t.Errorf("asked %d times", n)
			}
		},
	},
	{
		id:     "identity-empty",
		aws:    "an empty identity source is a missing one",
		wrong:  "it counts",
		source: "API Gateway API Reference, CreateAuthorizer: identitySource",
		in:     []patch{{requestFile, identityEmpty, "\t\tif value == \"\" && !FAULT {"}},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "two"))
			want(t, "REST", sendAs(t, "GET", w.rest+"/a", "Authorization: ").line(), rest401)
			want(t, "HTTP", send(t, "GET", w.http+"/a?tenant=").line(), http401)
		},
	},
	{
		id:     "identity-all",
		aws:    "every configured identity source must be there",
		wrong:  "only the first is looked at (serverless-offline)",
		source: "API Gateway API Reference, CreateAuthorizer: identitySource",
		in:     []patch{before(requestFile, "\t\tif len(found) == 0 {\n\t\t\treturn nil, false", "\t\tif FAULT && len(values) > 0 { break }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, "http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 0, identitySource: 'method.request.header.Authorization, method.request.querystring.tenant'}}", httpAPI("GET /a", "two"))
			want(t, "REST", send(t, "GET", w.rest+"/a").line(), rest401)
			want(t, "HTTP", send(t, "GET", w.http+"/a").line(), http401)
			if got := send(t, "GET", w.http+"/a?tenant=x"); got.status != 200 || asked(t, got).at("identitySource") != `["Bearer t","x"]` {
				t.Errorf("with both: got %s", got.line())
			}
		},
	},
	{
		id:     "identity-body",
		aws:    `the 401 is {"message":"Unauthorized"}, of type UnauthorizedException on a REST API`,
		wrong:  "another body (serverless-offline)",
		source: guide + "Call an API with an API Gateway Lambda authorizer; " + responsePage,
		in:     []patch{{answerFile, "\"UnauthorizedException\", \"Unauthorized\")", "\"UnauthorizedException\", map[bool]string{true: \"Missing identity\", false: \"Unauthorized\"}[FAULT])"}},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "iam"))
			want(t, "REST", sendAs(t, "GET", w.rest+"/a").line(), rest401)
			want(t, "HTTP", sendAs(t, "GET", w.http+"/a").line(), http401)
		},
	},
	{
		id:     "identity-header-case",
		aws:    "the name of an identity header has no case",
		wrong:  "it must be written as in the configuration",
		source: httpPage,
		in:     []patch{{requestFile, "found = c.headers.Values(s.Name)", "found = c.headers.Values(s.Name)\n\t\t\tif FAULT { found = c.sent[s.Name] }"}},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "iam"))
			for _, url := range []string{w.rest, w.http} {
				if got := sendAs(t, "GET", url+"/a", "aUTHORIZATION: Bearer t"); got.status != 200 {
					t.Errorf("%s: got %s", url, got.line())
				}
			}
		},
	},
	{
		id:     "identity-query-case",
		aws:    "the name of an identity query parameter has a case",
		wrong:  "any case will do",
		source: httpPage,
		in:     []patch{{requestFile, "found = c.query[s.Name]", "found = c.query[s.Name]\n\t\t\tif FAULT { for n, v := range c.query { if strings.EqualFold(n, s.Name) { found = v } } }"}},
		check: func(t *testing.T) {
			w := start(t, authorizers, httpAPI("GET /a", "two"))
			want(t, "Tenant", send(t, "GET", w.http+"/a?Tenant=x").line(), http401)
		},
	},
	{
		id:     "identity-context",
		aws:    "context variables can be identity sources: context.identity.sourceIp, $context.routeKey",
		wrong:  "they count as missing, or are not told",
		source: "API Gateway API Reference, CreateAuthorizer; " + httpPage,
		in:     []patch{{requestFile, "found = []string{c.contextValue(s.Name, nil)}", "found = []string{c.contextValue(s.Name, nil)}\n\t\t\tif FAULT { found = nil }"}},
		check: func(t *testing.T) {
			w := start(t, authorizers, "http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 0, identitySource: 'context.identity.sourceIp,context.httpMethod'}}", httpAPI("GET /a/{id}", "cachedRoute"))
			if got := sendAs(t, "GET", w.rest+"/a"); got.status != 200 {
				t.Errorf("REST: got %s", got.line())
			}
			got := send(t, "GET", w.http+"/a/1", answered(`{"isAuthorized":true}`))
			if got.status != 200 {
				t.Errorf("HTTP: got %s", got.line())
			}
		},
	},
	{
		id:     "identity-stage-variable",
		aws:    "a stage variable that is not set is a missing identity source",
		wrong:  "it is passed over",
		source: "API Gateway API Reference, CreateAuthorizer",
		in:     []patch{before(requestFile, "\t\tif len(found) == 0 {\n\t\t\treturn nil, false", "\t\tif FAULT && s.From == \"stageVariables\" { continue }")},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 0, identitySource: 'method.request.header.Authorization,stageVariables.v'}}")
			want(t, "REST", send(t, "GET", w.rest+"/a").line(), rest401)
		},
	},
	{
		id:     "identity-path",
		aws:    "path parameters cannot be identity sources",
		wrong:  "they are taken",
		source: inputPage,
		in:     []patch{{readerFile, "allowed = []string{\"header\", \"querystring\"}", "allowed = []string{\"header\", \"querystring\"}\n\t\t\tif FAULT { allowed = append(allowed, \"path\") }"}},
		check: func(t *testing.T) {
			unread(t, "http: {method: get, path: 'a/{id}', authorizer: {name: auth, type: request, identitySource: method.request.path.id}}", "want method.request.header.NAME")
		},
	},
	{
		id:     "identity-none",
		aws:    "a REQUEST authorizer with TTL 0 and without identity sources is asked about every request",
		wrong:  "a request without Authorization is refused",
		source: "API Gateway API Reference, CreateAuthorizer: identitySource",
		in:     []patch{before(requestFile, identityKnown, "\tok = ok && !(FAULT && c.headers.Get(\"Authorization\") == \"\")")},
		check: func(t *testing.T) {
			w := start(t, authorizers, "http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 0}}", httpAPI("GET /a", "anybody"))
			for _, url := range []string{w.rest, w.http} {
				if got := sendAs(t, "GET", url+"/a"); got.status != 200 {
					t.Errorf("%s: got %s", url, got.line())
				}
			}
			if n := w.invocations(t); n != 2 {
				t.Errorf("asked %d times, want 2", n)
			}
		},
	},
	{
		id:     "identity-default",
		aws:    "a TOKEN authorizer always has a source; a REQUEST authorizer has one where it caches; serverless.yml defaults to Authorization",
		wrong:  "without a word there is none, and everybody is asked about",
		source: "API Gateway API Reference, CreateAuthorizer; the framework's validate.js",
		in:     []patch{{readerFile, "if source == \"\" && (a.Type == Token || a.TTL > 0) {", "if source == \"\" && (a.Type == Token || a.TTL > 0) && !FAULT {"}},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: {name: auth, type: request}}")
			want(t, "REST", sendAs(t, "GET", w.rest+"/a").line(), rest401)
		},
	},
	{
		id:     "validation-before",
		aws:    "a token that does not match identityValidationExpression is answered 401, and nobody is asked",
		wrong:  "the authorizer is asked, with an empty token (serverless-offline)",
		source: "API Gateway API Reference, CreateAuthorizer: identityValidationExpression",
		in:     []patch{before(requestFile, identityKnown, "\tif FAULT && g.valid != nil && ok && !g.valid.MatchString(identity[0]) { identity = []string{\"\"}; g = &guard{Authorizer: g.Authorizer, function: g.function} }")},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: {name: auth, type: token, resultTtlInSeconds: 0, identityValidationExpression: '^Bearer [a-z]+$'}}")
			want(t, "a number", sendAs(t, "GET", w.rest+"/a", "Authorization: Bearer 1").line(), rest401)
			if n := w.invocations(t); n > 0 {
				t.Errorf("asked %d times", n)
			}
			if got := send(t, "GET", w.rest+"/a"); got.status != 200 {
				t.Errorf("one that matches: got %s", got.line())
			}
		},
	},
	{
		id:     "validation-anchored",
		aws:    "whether a part may match is documented nowhere",
		wrong:  "a prefix counts (SAM CLI), or any part (serverless-offline)",
		source: "SAM CLI and serverless-offline, whose code differs",
		in:     []patch{{readerFile, "if x.Op != syntax.OpConcat ||", "if !FAULT && x.Op != syntax.OpConcat ||"}, {readerFile, "x.Sub[0].Op != syntax.OpBeginText || x.Sub[len(x.Sub)-1].Op != syntax.OpEndText {", "!FAULT && (x.Sub[0].Op != syntax.OpBeginText || x.Sub[len(x.Sub)-1].Op != syntax.OpEndText) {"}},
		check: func(t *testing.T) {
			for _, x := range []string{"Bearer .+", "^Bearer .+", "Bearer .+$", "^Bearer .+|x$"} {
				unread(t, "http: {method: get, path: a, authorizer: {name: auth, type: token, identityValidationExpression: '"+x+"'}}", "is not anchored")
			}
		},
	},
	{
		id:     "validation-token-only",
		aws:    "identityValidationExpression does not apply to a REQUEST authorizer",
		wrong:  "it is taken, and reads as a check that is none",
		source: "API Gateway API Reference, CreateAuthorizer: identityValidationExpression",
		in:     []patch{{readerFile, "if a.ValidationExpression != \"\" && a.Type != Token {", "if a.ValidationExpression != \"\" && a.Type != Token && !FAULT {"}},
		check: func(t *testing.T) {
			unread(t, "http: {method: get, path: a, authorizer: {name: auth, type: request, identityValidationExpression: '^Bearer .+$'}}", "applies to type token only")
		},
	},
	{
		id:     "authorizer-skipped",
		aws:    "a route with an authorizer is behind it, on every API type",
		wrong:  "HTTP APIs' custom authorizers are passed over (floci before 812, ministack before 1362; LocalStack's community edition has no authorizer; moto deploys without one and reports success)",
		source: httpPage,
		in:     []patch{before(requestFile, "\tif g == nil {\n\t\treturn nil, nil", "\tif FAULT && c.api.protocol == authorizer.HTTP { return nil, nil }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "iam"), httpAPI("GET /b", "simple"))
			deny := answered(policy(""))
			want(t, "REST", send(t, "GET", w.rest+"/a", deny).line(), restDenied)
			want(t, "HTTP", send(t, "GET", w.http+"/a", deny).line(), httpDenied)
			want(t, "simple", send(t, "GET", w.http+"/b", answered(`{"isAuthorized":false}`)).line(), httpDenied)
		},
	},
	{
		id:     "authorizer-label",
		aws:    "two authorizers of an HTTP API are two, whatever their names; routes refer to the key in serverless.yml",
		wrong:  "those of one name are one, and the laxer guards the other's routes",
		source: "the framework's http-api.js; API Gateway API Reference, CreateAuthorizer",
		in:     []patch{{readerFile, "a := &Authorizer{Name: e.name, Type: Request, PayloadVersion: \"2.0\"}", "a := &Authorizer{Name: e.name, Type: Request, PayloadVersion: \"2.0\"}\n\tif name := child(r.resolve(e.value), \"name\"); FAULT && name != nil { a.Name = name.Value }"}},
		check: func(t *testing.T) {
			w := startWith(t, head+"  httpApi:\n    authorizers:\n      lax: {name: shared, type: request, functionName: auth, resultTtlInSeconds: 0}\n"+
				"      strict: {name: shared, type: request, functionName: auth, resultTtlInSeconds: 0, identitySource: $request.header.Authorization}\n"+
				functions+"      - "+httpAPI("GET /lax", "lax")+"\n      - "+httpAPI("GET /strict", "strict")+"\n")
			want(t, "strict", sendAs(t, "GET", w.http+"/strict").line(), http401)
		},
	},
	{
		id:     "authorizer-unsupported",
		aws:    "an authorizer of any kind refuses those whom it does not know",
		wrong:  "one of an unsupported kind lets everybody in, with a warning (chalice local)",
		source: configPage,
		in:     []patch{{readerFile, "if a.Type != Token && a.Type != Request {", "if a.Type != Token && a.Type != Request && FAULT {\n\t\t\treturn nil\n\t\t}\n\t\tif a.Type != Token && a.Type != Request {"}},
		check: func(t *testing.T) {
			unread(t, "http: {method: get, path: a, authorizer: {name: auth, type: cognito_user_pools}}", "is not supported")
			unread(t, "http: {method: get, path: a, authorizer: {type: aws_iam}}", "is not supported")
		},
	},
}
