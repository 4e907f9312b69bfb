package fidelity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/apigw"
	"gatehouse/internal/serverless"
)

// both starts one guarded route on either API, REST behind a gateway response or two if given.
func both(t *testing.T, resources ...string) *world {
	t.Helper()
	provider := authorizers
	for _, r := range resources {
		provider += r
	}
	return start(t, provider, rest("get a"), httpAPI("GET /a", "iam"), httpAPI("GET /simple", "simple"))
}

// outcome checks what either API makes of one answer of the authorizer, or of another order to it.
func outcome(t *testing.T, w *world, what, order, rest, http string) {
	t.Helper()
	if got := send(t, "GET", w.rest+"/a", order); got.line() != rest && !(rest == "200" && got.status == 200) {
		t.Errorf("%s, REST: got %s, want %s", what, got.line(), rest)
	}
	if got := send(t, "GET", w.http+"/a", order); got.line() != http && !(http == "200" && got.status == 200) {
		t.Errorf("%s, HTTP: got %s, want %s", what, got.line(), http)
	}
}

func gatewayResponse(name, properties string) string {
	return fmt.Sprintf("    %s: {Type: \"AWS::ApiGateway::GatewayResponse\", Properties: {RestApiId: !Ref ApiGatewayRestApi, %s}}\n", name, properties)
}

const (
	resources   = "\nresources:\n  Resources:\n"
	allowAll    = `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}`
	denyAll     = `{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"}`
	verdictRead = "\tv := &verdict{simple: simple}\n"
	afterInvoke = "\tcase failure != nil && failure.Message == authorizer.ErrUnauthenticated.Error():"
)

// verdictFile is where the authorizer writes its answers.
const verdictFile = "authorizer/apigw/answer.go"

// ruled is what the authorizer answers to GET /orders/42 by somebody.
func ruled(t *testing.T, v authorizer.Verdict) string {
	t.Helper()
	g, err := apigw.New(apigw.Config{})
	if err != nil {
		t.Fatal(err)
	}
	v.Request, err = g.Request([]byte(`{"type":"TOKEN","authorizationToken":"Bearer t","methodArn":"`+restARN+`GET/orders/42"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	v.Principal = authorizer.Principal{Subject: "somebody"}
	out, err := g.Answer(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var answerFaults = []fault{
	{
		id:     "answer-principal",
		aws:    "an answer without principalId is invalid: 500",
		wrong:  "403 (serverless-offline), or let in",
		source: outputPage + "; ministack issue 1367",
		in:     []patch{{eventFile, "err != nil || v.principal == \"\" {", "(err != nil || v.principal == \"\") && !FAULT {"}},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "none", answered(`{"policyDocument":{"Version":"2012-10-17","Statement":[`+allowAll+`]}}`), rest500, http500)
			outcome(t, w, "empty", answered(`{"principalId":"","policyDocument":{"Version":"2012-10-17","Statement":[`+allowAll+`]}}`), rest500, http500)
		},
	},
	{
		id:     "answer-lists",
		aws:    "Action and Resource are a text or a list of texts, Statement an object or a list of them",
		wrong:  "lists only",
		source: outputPage,
		in:     []patch{before(iamFile, "\tvar one string\n", "\tif FAULT && len(doc) > 0 && doc[0] != '[' { return nil, errors.New(\"no list\") }")},
		check: func(t *testing.T) {
			w := both(t)
			for _, s := range []string{`"Action":"*","Resource":"*"`, `"Action":["*"],"Resource":["*"]`, `"Action":"*","Resource":["x:x:x:x:x:x","*"]`} {
				outcome(t, w, s, answered(policy(`{"Effect":"Allow",`+s+`}`)), "200", "200")
			}
			outcome(t, w, "one statement", answered(`{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":`+allowAll+`}}`), "200", "200")
		},
	},
	{
		id:     "answer-effect",
		aws:    "Effect is Allow or Deny, to the letter",
		wrong:  "any case will do",
		source: outputPage + "; IAM User Guide, IAM JSON policy elements: Effect",
		in:     []patch{{iamFile, "\t\t\ts.deny = text == \"Deny\"\n", "\t\t\tif FAULT { text = strings.ToUpper(text[:1]) + strings.ToLower(text[1:]) }\n\t\t\ts.deny = text == \"Deny\"\n"}},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "allow", answered(policy(`{"Effect":"allow","Action":"*","Resource":"*"}`)), rest500, http500)
			outcome(t, w, "DENY", answered(policy(`{"Effect":"DENY","Action":"*","Resource":"*"}`)), rest500, http500)
		},
	},
	{
		id:     "answer-null",
		aws:    "a null anywhere makes the answer invalid",
		wrong:  "it counts as absent: Go's nil slices and .NET's null Condition work here only",
		source: "aws-lambda-dotnet issue 2022; ExpanseLLC/lambda_authorizer issue 1",
		in:     []patch{{eventFile, "\tif holdsNull(whole) {", "\tif holdsNull(whole) && !FAULT {"}},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "null", answered("null"), rest500, http500)
			outcome(t, w, "a null in the context", answered(policy(allowAll, `"context":{"a":null}`)), rest500, http500)
			outcome(t, w, "a null beside the policy", answered(policy(allowAll, `"usageIdentifierKey":null`)), rest500, http500)
		},
	},
	{
		id:     "answer-unreadable",
		aws:    "an answer of no known form is the authorizer's failure: 500",
		wrong:  "502 (SAM CLI), 401 (serverless-offline)",
		source: guide + "Troubleshooting Lambda authorizers; " + httpPage,
		in:     []patch{{requestFile, "authorizer's answer: %v\", c.id, err)\n\t\treturn nil, c.misconfigured()", "authorizer's answer: %v\", c.id, err)\n\t\tif FAULT { return nil, c.failed() }\n\t\treturn nil, c.misconfigured()"}},
		check: func(t *testing.T) {
			w := both(t)
			for _, a := range []string{"Allow", "{}", "[]", "true", `{"principalId":"p"}`, `{"principalId":"p","policyDocument":"x"}`, `{"Effect":"Allow"}`} {
				outcome(t, w, a, answered(a), rest500, http500)
			}
			want(t, "simple", send(t, "GET", w.http+"/simple", answered("{}")).line(), http500)
		},
	},
	{
		id:     "answer-text-unauthorized",
		aws:    `the result "Unauthorized" is not the error "Unauthorized": 500`,
		wrong:  "401 (serverless-offline)",
		source: guide + "Use API Gateway Lambda authorizers",
		in:     []patch{before(requestFile, "\tv, err := parseVerdict(payload,", "\tif FAULT && string(payload) == `\"Unauthorized\"` { return nil, c.unauthorized() }")},
		check: func(t *testing.T) {
			outcome(t, both(t), "a text", answered(`"Unauthorized"`), rest500, http500)
		},
	},
	{
		id:     "context-flat",
		aws:    "a REST API's context holds texts, numbers and truth values; a list or an object is a failure",
		wrong:  "they are passed on as text",
		source: outputPage,
		in:     []patch{{eventFile, "\t\tif p != authorizer.HTTP && slices.Contains([]byte(\"{[\"), raw[0]) {", "\t\tif p != authorizer.HTTP && slices.Contains([]byte(\"{[\"), raw[0]) && !FAULT {"}},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "a list", answered(policy(allowAll, `"context":{"a":["b"]}`)), rest500, "200")
			outcome(t, w, "an object", answered(policy(allowAll, `"context":{"a":{"b":1}}`)), rest500, "200")
		},
	},
	{
		id:     "context-text",
		aws:    `behind a REST API every value of the context is text: "1", "true"`,
		wrong:  "numbers and truth values keep their type",
		source: outputPage,
		in:     []patch{{eventFile, "\t\tall[name] = s\n", "\t\tif FAULT { all[name] = raw; continue }\n\t\tall[name] = s\n"}},
		check: func(t *testing.T) {
			e := handled(t, send(t, "GET", both(t).rest+"/a", answered(policy(allowAll, `"context":{"s":"x","n":1.50,"b":true}`))))
			a, _ := e["requestContext"].(map[string]any)["authorizer"].(map[string]any)
			want(t, "values", fmt.Sprintf("%#v %#v %#v", a["s"], a["n"], a["b"]), `"x" "1.50" "true"`)
		},
	},
	{
		id:     "context-typed",
		aws:    "behind an HTTP API the values of the context keep their type, lists and objects too",
		wrong:  "all of them are text",
		source: httpPage,
		in:     []patch{before(eventFile, "\t\te.RequestContext.Authorizer = &lambdaV2{", "\t\tif FAULT { t := map[string]json.RawMessage{}; for n, x := range v.context { t[n] = encode(string(x)) }; w := *v; w.context = t; v = &w }")},
		check: func(t *testing.T) {
			e := handled(t, send(t, "GET", both(t).http+"/a", answered(policy(allowAll, `"context":{"n":1,"b":true,"l":["x"],"o":{"y":2}}`))))
			want(t, "values", e.at("requestContext.authorizer.lambda"), `{"b":true,"l":["x"],"n":1,"o":{"y":2}}`)
		},
	},
	{
		id:     "context-place",
		aws:    "the handler finds the context in requestContext.authorizer on a REST API, with principalId, and in requestContext.authorizer.lambda in payload 2.0, without",
		wrong:  "in one place for all",
		source: outputPage + "; aws-lambda-go's fixture of a payload 2.0 event",
		in: []patch{before(eventFile, "\tall[\"principalId\"] = v.principal\n", "\tif FAULT { return map[string]any{\"lambda\": all} }"),
			before(eventFile, "\t\te.RequestContext.Authorizer = &lambdaV2{", "\t\tif FAULT { v.context[\"principalId\"] = encode(v.principal) }")},
		check: func(t *testing.T) {
			w := both(t)
			allowed := answered(policy(allowAll, `"context":{"k":"v"}`))
			e := handled(t, send(t, "GET", w.rest+"/a", allowed))
			want(t, "REST", e.at("requestContext.authorizer.k")+e.at("requestContext.authorizer.principalId"), "vp")
			e = handled(t, send(t, "GET", w.http+"/a", allowed))
			want(t, "HTTP", e.at("requestContext.authorizer"), `{"lambda":{"k":"v"}}`)
		},
	},
	{
		id:     "context-reserved",
		aws:    "principalId and integrationLatency stand beside the context behind a REST API; a key of the context does not take their place",
		wrong:  "the context's principalId is the handler's",
		source: "Powertools for AWS Lambda (Python), fixture apiGatewayProxyEventPrincipalId.json",
		in:     []patch{{eventFile, "\tall[\"principalId\"] = v.principal\n", "\tif all[\"principalId\"] == nil || !FAULT { all[\"principalId\"] = v.principal }\n"}},
		check: func(t *testing.T) {
			e := handled(t, send(t, "GET", both(t).rest+"/a", answered(policy(allowAll, `"context":{"principalId":"other"}`))))
			want(t, "principalId", e.at("requestContext.authorizer.principalId"), "p")
		},
	},
	{
		id:     "answer-null-authorizer",
		aws:    "a null anywhere makes the answer invalid",
		wrong:  "an authorizer in Go whose list of statements is nil answers null",
		source: "aws-lambda-dotnet issue 2022; ExpanseLLC/lambda_authorizer issue 1",
		in:     []patch{before(verdictFile, "\tvar out []byte\n", "\tif FAULT && !allowed { return []byte(`{\"principalId\":\"p\",\"policyDocument\":{\"Version\":\"2012-10-17\",\"Statement\":null}}`), nil }")},
		check: func(t *testing.T) {
			if got := ruled(t, authorizer.Verdict{}); strings.Contains(got, "null") {
				t.Errorf("got %s", got)
			}
		},
	},
	{
		id:     "answer-explicit-deny",
		aws:    "what an authorizer leaves open, a resource policy of the API can allow",
		wrong:  "an authorizer refuses by saying nothing",
		source: guide + "How API Gateway resource policies affect authorization workflow, table A",
		in:     []patch{{verdictFile, "Statement: []statement{s}}", "Statement: map[bool][]statement{true: {}, false: {s}}[FAULT && !allowed]}"}},
		check: func(t *testing.T) {
			want(t, "a refusal", fmt.Sprint(strings.Count(ruled(t, authorizer.Verdict{}), `"Effect":"Deny"`)), "1")
		},
	},
	{
		id:     "answer-exact",
		aws:    "an Allow holds for every request that its Resource matches",
		wrong:  "an authorizer answers */* so that caching works, and opens admin routes to whoever has a token",
		source: "AWS knowledge center, api-gateway-lambda-authorization-errors; serverless issue 6176",
		in:     []patch{{verdictFile, "\t\ts.Effect = \"Allow\"\n", "\t\ts.Effect = \"Allow\"\n\t\tif FAULT { s.Resource[0] = a.all(\"*\") }\n"}},
		check: func(t *testing.T) {
			got := ruled(t, authorizer.Verdict{Decision: authorizer.Decision{Allowed: true}})
			if !strings.Contains(got, `"Effect":"Allow","Resource":["`+restARN+`GET/orders/42"]`) {
				t.Errorf("got %s", got)
			}
		},
	},
	{
		id:     "answer-not-ours",
		aws:    "API keys by usageIdentifierKey and resource policies decide too, who is let in",
		wrong:  "a file that asks for them is served without them",
		source: outputPage + "; " + guide + "How API Gateway resource policies affect authorization workflow",
		in:     []patch{{"internal/serverless/serverless.go", "\t\tlater:  \"apiKeySourceType apiKeys ", "\t\tlater:  map[bool]string{true: \"\", false: \"apiKeySourceType resourcePolicy \"}[FAULT] + \"apiKeys "}, {"internal/serverless/serverless.go", "disableDefaultEndpoint request resourcePolicy restApiId", "disableDefaultEndpoint request restApiId"}, {"internal/serverless/serverless.go", "\t\tignore: \"description metrics minimumCompressionSize", "\t\tignore: \"apiKeySourceType resourcePolicy description metrics minimumCompressionSize"}},
		check: func(t *testing.T) {
			for _, key := range []string{"apiKeySourceType: AUTHORIZER", "resourcePolicy: []"} {
				_, err := serverless.Read([]byte(head+"  apiGateway: {"+key+"}\n"+functions+"      - http: get a\n"), nil)
				if name, _, _ := strings.Cut(key, ":"); err == nil || !strings.Contains(err.Error(), name+" is not supported") {
					t.Errorf("%s: got %v", key, err)
				}
			}
			unread(t, "http: {method: get, path: a, private: true}", "private is not supported")
		},
	},
	{
		id:     "simple-boolean",
		aws:    "isAuthorized is true or false, no text and no number",
		wrong:  `"false" lets in (ministack before 1370)`,
		source: httpPage + "; ministack issue 1370",
		in:     []patch{before(eventFile, "\t\tif err := json.Unmarshal(top[\"isAuthorized\"], &v.authorized); err != nil {", "\t\tif FAULT { var x any; _ = json.Unmarshal(top[\"isAuthorized\"], &x); top[\"isAuthorized\"] = encode(x != nil && x != false) }")},
		check: func(t *testing.T) {
			w := both(t)
			for _, v := range []string{`"false"`, `"true"`, "1", "{}"} {
				want(t, v, send(t, "GET", w.http+"/simple", answered(`{"isAuthorized":`+v+`}`)).line(), http500)
			}
			want(t, "false", send(t, "GET", w.http+"/simple", answered(`{"isAuthorized":false}`)).line(), httpDenied)
			if got := send(t, "GET", w.http+"/simple", answered(`{"isAuthorized":true}`)); got.status != 200 {
				t.Errorf("true: got %s", got.line())
			}
		},
	},
	{
		id:     "simple-form",
		aws:    "the form of an answer must be the one that the authorizer is configured for",
		wrong:  "either form is taken",
		source: httpPage + ": troubleshooting",
		in: []patch{{eventFile, "given && simple != (name == \"isAuthorized\") {", "given && simple != (name == \"isAuthorized\") && !FAULT {"},
			before(eventFile, verdictRead, "\tif FAULT { _, simple = top[\"isAuthorized\"] }")},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "a simple answer", answered(`{"isAuthorized":true}`), rest500, http500)
			want(t, "a policy", send(t, "GET", w.http+"/simple", answered(policy(allowAll))).line(), http500)
		},
	},
}

var outcomeFaults = []fault{
	{
		id:     "error-unauthorized",
		aws:    `the function error "Unauthorized", to the letter, is answered 401`,
		wrong:  "500",
		source: guide + "Use API Gateway Lambda authorizers; for HTTP APIs documented nowhere",
		in:     []patch{{requestFile, afterInvoke, "\tcase FAULT && failure != nil:\n\t\treturn nil, c.misconfigured()\n" + afterInvoke}},
		check: func(t *testing.T) {
			outcome(t, both(t), "Unauthorized", order("auth", "error", "Unauthorized"), rest401, http401)
		},
	},
	{
		id:     "error-wrapped",
		aws:    `an error that only contains "Unauthorized" is a failure: 500`,
		wrong:  "401: an authorizer that wraps its error works here only",
		source: "middy issue 1201; aws-lambda-go, lambda/errors.go",
		in:     []patch{{requestFile, "\tcase failure != nil:\n\t\tg.function.note(", "\tcase failure != nil && FAULT && strings.Contains(strings.ToLower(failure.Message), \"unauthorized\"):\n\t\treturn nil, c.unauthorized()\n\tcase failure != nil:\n\t\tg.function.note("}},
		check: func(t *testing.T) {
			w := both(t)
			for _, m := range []string{"jwt: Unauthorized", "Unauthorized: expired", "unauthorized", "Unauthorized "} {
				outcome(t, w, m, order("auth", "error", m), rest500, http500)
			}
		},
	},
	{
		id:     "error-other",
		aws:    "every other error of an authorizer is answered 500",
		wrong:  "401 (serverless-offline)",
		source: guide + "Use API Gateway Lambda authorizers",
		in:     []patch{{requestFile, "authorizer failed: %s\", c.id, failure.Type)\n", "authorizer failed: %s\", c.id, failure.Type)\n\t\tif FAULT { return nil, c.unauthorized() }\n"}},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "an error", order("auth", "error", "Unavailable"), rest500, http500)
			outcome(t, w, "an exit", order("auth", "exit", "3"), rest500, http500)
		},
	},
	{
		id:     "error-panic",
		aws:    "a panic is a failure, and the next request gets a new process",
		wrong:  "401 (serverless-offline), or the call never returns (@vercel/fun)",
		source: "aws-lambda-go, lambda/errors.go; AWS's runtime interface emulator",
		in:     []patch{before(processFile, "\ti.finish(outcome{failure: reported(w, r)})\n", "\tif FAULT { i.finish(outcome{failure: &FunctionError{Message: \"Unauthorized\"}}) }")},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "a panic", order("auth", "panic", "boom"), rest500, http500)
			outcome(t, w, "afterwards", "X: y", "200", "200")
			if n := w.counted(t, "gatehouse_cold_starts_total", `function="auth"`); n < 2 {
				t.Errorf("%d processes of the authorizer, want a new one after each panic", n)
			}
		},
	},
	{
		id:     "error-timeout",
		aws:    "an authorizer that runs into its timeout is a failure: 500",
		wrong:  "401 (serverless-offline)",
		source: "AWS's runtime interface emulator; " + httpPage,
		in:     []patch{before(processFile, "\t\ti.finish(outcome{failure: timedOut(\"Task timed out\", timeout)})", "\t\tif FAULT { i.finish(outcome{failure: &FunctionError{Message: \"Unauthorized\"}}) }")},
		check: func(t *testing.T) {
			w := startWith(t, "\nservice: fidelity\nprovider: {name: aws, runtime: provided.al2023, timeout: 1}\n"+functions+"      - "+rest("get a")+"\n")
			want(t, "REST", send(t, "GET", w.rest+"/a", order("auth", "hang", "")).line(), rest500)
			if got := send(t, "GET", w.rest+"/a"); got.status != 200 {
				t.Errorf("afterwards: got %s", got.line())
			}
		},
	},
	{
		id:     "error-http-limit",
		aws:    "an HTTP API waits 10 s for its authorizer, whatever the function's timeout",
		wrong:  "as long as the function may take",
		source: quotasPage,
		in:     []patch{before(requestFile, "\tctx, cancel := context.WithTimeout(ctx, c.api.authorize)\n", "\tif FAULT { c.api.authorize = time.Minute }")},
		check: func(t *testing.T) {
			w := startWith(t, "\nservice: fidelity\nprovider:\n  name: aws\n  runtime: provided.al2023\n  timeout: 29\n"+authorizers+functions+"      - "+httpAPI("GET /a", "iam")+"\n")
			want(t, "HTTP", send(t, "GET", w.http+"/a", order("auth", "hang", "")).line(), http500)
		},
	},
	{
		id:     "error-body",
		aws:    `a REST API's 500 is {"message":null} of type AuthorizerConfigurationException, an HTTP API's {"message":"Internal Server Error"}`,
		wrong:  "one body for both",
		source: "dev.to/marcogrcr on Lambda authorizers; LocalStack's gateway responses; " + httpPage,
		in:     []patch{{answerFile, "map[string]any{\"message\": nil}, nil)", "map[string]any{\"message\": map[bool]any{true: \"Internal Server Error\"}[FAULT]}, nil)"}},
		check: func(t *testing.T) {
			outcome(t, both(t), "an error", order("auth", "error", "x"), rest500, http500)
		},
	},
	{
		id:     "deny-explicit",
		aws:    `a Deny that matches: 403 {"Message":"… with an explicit deny"}, AccessDeniedException; on an HTTP API {"message":"Forbidden"}`,
		wrong:  "one body for every refusal",
		source: "chalice issue 971 (a dump); yulin issue 303",
		in:     []patch{{answerFile, "\tif e == explicitDeny {\n\t\ttext +=", "\tif e == explicitDeny && !FAULT {\n\t\ttext +="}},
		check: func(t *testing.T) {
			outcome(t, both(t), "Deny", answered(policy(allowAll+","+denyAll)), restExplicit, httpDenied)
		},
	},
	{
		id:     "deny-implicit",
		aws:    `no Allow that matches: 403 {"Message":"User is not authorized to access this resource"}, with a capital M`,
		wrong:  `"message"`,
		source: "chalice issue 971 (a dump)",
		in:     []patch{{answerFile, "map[string]any{\"Message\": text}", "map[string]any{map[bool]string{true: \"message\", false: \"Message\"}[FAULT]: text}"}},
		check: func(t *testing.T) {
			outcome(t, both(t), "nothing", answered(policy("")), restDenied, httpDenied)
		},
	},
	{
		id:     "deny-is-an-answer",
		aws:    "a policy that denies is no error of the function: alarms on errors stay silent",
		wrong:  "it is counted as one",
		source: "newbedev.com on Lambda authorizers; aws-apigateway-lambda-authorizer-blueprints issue 21",
		in:     []patch{before("internal/gateway/lambda.go", "\tif failure != nil {\n\t\tf.config.count(\"gatehouse_function_errors_total\")", "\tif FAULT && bytes.Contains(answer, []byte(\"Deny\")) { f.config.count(\"gatehouse_function_errors_total\") }")},
		check: func(t *testing.T) {
			w := both(t)
			outcome(t, w, "Deny", answered(policy(denyAll)), restExplicit, httpDenied)
			outcome(t, w, "an error", order("auth", "error", "x"), rest500, http500)
			if n := w.counted(t, "gatehouse_function_errors_total", `function="auth"`); n != 2 {
				t.Errorf("%d errors counted, want the two", n)
			}
		},
	},
	{
		id:     "no-route",
		aws:    `no such route: 403 "Missing Authentication Token" on a REST API, 404 "Not Found" on an HTTP API`,
		wrong:  "404 for both",
		source: responsePage + "; " + guide + "Create routes for HTTP APIs in API Gateway",
		in:     []patch{before(answerFile, "\tif c.api.protocol != authorizer.HTTP {\n\t\treturn c.message(\"MISSING_AUTHENTICATION_TOKEN\"", "\tif FAULT { return c.message(\"\", http.StatusNotFound, \"\", \"Not Found\") }")},
		check: func(t *testing.T) {
			w := both(t)
			want(t, "REST", send(t, "GET", w.rest+"/none").line(), `403 MissingAuthenticationTokenException {"message":"Missing Authentication Token"}`)
			want(t, "REST, another method", send(t, "POST", w.rest+"/a").line(), `403 MissingAuthenticationTokenException {"message":"Missing Authentication Token"}`)
			want(t, "HTTP", send(t, "GET", w.http+"/none").line(), `404 {"message":"Not Found"}`)
		},
	},
	{
		id:     "response-challenge",
		aws:    "a REST API's 401 has no WWW-Authenticate but what a gateway response sets",
		wrong:  "one of its own, or none at all",
		source: guide + "Gateway responses in API Gateway",
		in:     []patch{{answerFile, "\t\ta.header.Set(name, c.parameter(value, v))\n", "\t\tif FAULT { continue }\n\t\ta.header.Set(name, c.parameter(value, v))\n"}},
		check: func(t *testing.T) {
			want(t, "without", sendAs(t, "GET", both(t).rest+"/a").header.Get("Www-Authenticate"), "")
			w := both(t, resources+gatewayResponse("U", `ResponseType: UNAUTHORIZED, ResponseParameters: {gatewayresponse.header.WWW-Authenticate: "'Bearer'", gatewayresponse.header.X-Id: context.requestId}`))
			got := sendAs(t, "GET", w.rest+"/a")
			want(t, "with", got.line()+" "+got.header.Get("Www-Authenticate"), rest401+" Bearer")
			want(t, "context", got.header.Get("X-Id"), got.header.Get("X-Amzn-Requestid"))
			want(t, "an HTTP API has none", sendAs(t, "GET", w.http+"/a").header.Get("Www-Authenticate"), "")
		},
	},
	{
		id:     "response-default",
		aws:    "DEFAULT_4XX and DEFAULT_5XX stand for every type that has no response of its own; their status changes all of them",
		wrong:  "each type keeps its own answer, and a browser sees no CORS header on a 401",
		source: responsePage,
		in:     []patch{{answerFile, "\t\tr, custom = c.api.responses[class]\n", "\t\tif !FAULT { r, custom = c.api.responses[class] }\n"}},
		check: func(t *testing.T) {
			w := both(t, resources+
				gatewayResponse("F", `ResponseType: DEFAULT_4XX, StatusCode: "418", ResponseParameters: {gatewayresponse.header.Access-Control-Allow-Origin: "'*'"}`)+
				gatewayResponse("V", `ResponseType: DEFAULT_5XX, ResponseParameters: {gatewayresponse.header.X-Five: "'5'"}`)+
				gatewayResponse("D", `ResponseType: ACCESS_DENIED, ResponseParameters: {gatewayresponse.header.X-Own: "'own'"}`))
			got := sendAs(t, "GET", w.rest+"/a")
			want(t, "401", fmt.Sprint(got.status, got.header.Get("Access-Control-Allow-Origin")), "418*")
			got = send(t, "GET", w.rest+"/none")
			want(t, "no route", fmt.Sprint(got.status, got.header.Get("Access-Control-Allow-Origin")), "418*")
			got = send(t, "GET", w.rest+"/a", answered(policy("")))
			want(t, "403, which has its own", fmt.Sprint(got.status, got.header.Get("Access-Control-Allow-Origin"), got.header.Get("X-Own")), "403own")
			got = send(t, "GET", w.rest+"/a", answered("{}"))
			want(t, "500", fmt.Sprint(got.status, got.header.Get("X-Five")), "5005")
			got = send(t, "GET", w.rest+"/a", order("api", "error", "x"))
			want(t, "502", fmt.Sprint(got.status, got.header.Get("X-Five")), "5025")
			want(t, "an HTTP API has no gateway responses", sendAs(t, "GET", w.http+"/a").line(), http401)
		},
	},
	{
		id:     "response-context",
		aws:    "a template can say $context.authorizer.NAME of an ACCESS_DENIED where the authorizer gave a context",
		wrong:  "it stays empty, or as it is written",
		source: guide + "Gateway responses in API Gateway",
		in:     []patch{before(requestFile, "\t\tif value, given := v.restContext()[key]; given {", "\t\tif FAULT { return \"\" }")},
		check: func(t *testing.T) {
			w := both(t, resources+gatewayResponse("D", `ResponseType: ACCESS_DENIED, ResponseTemplates: {application/json: '{"by":"$context.authorizer.by","text":$context.error.messageString,"kind":"$context.error.responseType"}'}`))
			got := send(t, "GET", w.rest+"/a", answered(policy(denyAll, `"context":{"by":"mfa"}`)))
			want(t, "body", got.body, `{"by":"mfa","text":"User is not authorized to access this resource with an explicit deny","kind":"ACCESS_DENIED"}`)
		},
	},
	{
		id:     "response-remapped",
		aws:    "a handler's own WWW-Authenticate leaves a REST API as X-Amzn-Remapped-WWW-Authenticate",
		wrong:  "it is passed on: a login that works here only",
		source: guide + "Amazon API Gateway important notes",
		in:     []patch{{answerFile, "} else if challenge := a.header.Values(\"Www-Authenticate\"); len(challenge) > 0 {", "} else if challenge := a.header.Values(\"Www-Authenticate\"); len(challenge) > 0 && !FAULT {"}},
		check: func(t *testing.T) {
			w := plain(t)
			own := order("api", "answer", `{"statusCode":401,"headers":{"WWW-Authenticate":"Basic"},"body":""}`)
			got := sendAs(t, "GET", w.rest+"/a", own)
			want(t, "REST", got.header.Get("Www-Authenticate")+"|"+got.header.Get("X-Amzn-Remapped-Www-Authenticate"), "|Basic")
			want(t, "HTTP", sendAs(t, "GET", w.http+"/a", own).header.Get("Www-Authenticate"), "Basic")
		},
	},
	{
		id:     "cors-preflight-rest",
		aws:    "cors in serverless.yml makes an OPTIONS method without an authorizer on a REST API",
		wrong:  "the preflight meets the authorizer and is answered 401",
		source: "the framework's cors.js; " + guide + "CORS for REST APIs in API Gateway",
		in:     []patch{before(requestFile, "\tif answer := c.preflight(); answer != nil {", "\tif FAULT { if refused := c.routed(); refused != nil { return refused } }")},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, cors: {origin: 'https://app.example', headers: [Authorization], maxAge: 600}, authorizer: "+restAuthorizer+"}")
			got := sendAs(t, "OPTIONS", w.rest+"/a", "Origin: https://app.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
			h := got.header
			want(t, "preflight", fmt.Sprint(got.status, got.body, h.Get("Access-Control-Allow-Origin"), " ", h.Get("Access-Control-Allow-Methods"), " ", h.Get("Access-Control-Allow-Headers"), " ", h.Get("Access-Control-Max-Age")),
				"200https://app.example OPTIONS,GET Authorization 600")
			if n := w.invocations(t); n > 0 {
				t.Errorf("the authorizer was asked %d times", n)
			}
			want(t, "a refusal says nothing of it by itself", sendAs(t, "GET", w.rest+"/a", "Origin: https://app.example").header.Get("Access-Control-Allow-Origin"), "")
		},
	},
	{
		id:     "cors-preflight-http",
		aws:    "an HTTP API with CORS answers a preflight by itself, before any route, and puts its headers on every answer in the place of the handler's",
		wrong:  "the route's authorizer answers 401",
		source: guide + "Configure CORS for HTTP APIs in API Gateway",
		in: []patch{before("internal/gateway/cors.go", "\tcase c.api.protocol == authorizer.REST:\n\t\treturn c.restPreflight()", "\tcase FAULT && c.api.protocol == authorizer.HTTP:\n\t\treturn nil"),
			before("internal/gateway/cors.go", "\tif cors == nil || c.asksFirst() {\n\t\treturn\n", "\tif FAULT { return }")},
		check: func(t *testing.T) {
			w := startWith(t, head+"  httpApi:\n    cors: {allowedOrigins: ['https://app.example'], allowedHeaders: [Authorization], exposedResponseHeaders: [Warning], maxAge: 60}\n    authorizers:\n      iam: {type: request, functionName: auth, resultTtlInSeconds: 0, identitySource: $request.header.Authorization}\n"+
				functions+"      - "+httpAPI("ANY /a", "iam")+"\n")
			ask := []string{"Origin: https://app.example", "Access-Control-Request-Method: GET"}
			for _, path := range []string{"/a", "/none"} {
				got := sendAs(t, "OPTIONS", w.http+path, ask...)
				want(t, path, fmt.Sprint(got.status, got.header.Get("Access-Control-Allow-Origin"), " ", got.header.Get("Access-Control-Allow-Headers"), " ", got.header.Get("Access-Control-Max-Age")), "204https://app.example Authorization 60")
			}
			got := sendAs(t, "OPTIONS", w.http+"/a", "Origin: https://evil.example", "Access-Control-Request-Method: GET")
			want(t, "another origin", fmt.Sprint(got.status, got.header.Get("Access-Control-Allow-Origin")), "204")
			got = sendAs(t, "GET", w.http+"/a", "Origin: https://app.example")
			want(t, "a refusal", got.line()+" "+got.header.Get("Access-Control-Allow-Origin")+" "+got.header.Get("Access-Control-Expose-Headers"), http401+" https://app.example Warning")
			got = send(t, "GET", w.http+"/a", "Origin: https://app.example", order("api", "answer", `{"statusCode":200,"headers":{"Access-Control-Allow-Origin":"*"}}`))
			want(t, "the handler's own", fmt.Sprint(got.header.Values("Access-Control-Allow-Origin")), "[https://app.example]")
			want(t, "an OPTIONS that is no preflight", sendAs(t, "OPTIONS", w.http+"/a").line(), http401)
		},
	},
	{
		id:     "handler-failures",
		aws:    `a handler that fails or answers no proxy answer: 502 "Internal server error" on a REST API, 500 "Internal Server Error" on an HTTP API`,
		wrong:  "one status for both",
		source: guide + "Handle Lambda errors in API Gateway; " + guide + "Troubleshooting HTTP API Lambda integrations",
		in:     []patch{{answerFile, "return c.message(\"DEFAULT_5XX\", http.StatusBadGateway,", "return c.message(\"DEFAULT_5XX\", map[bool]int{true: 500, false: http.StatusBadGateway}[FAULT],"}},
		check: func(t *testing.T) {
			w := plain(t)
			for _, o := range []string{order("api", "error", "Unauthorized"), order("api", "panic", "boom"), order("api", "exit", "1"), order("api", "answer", "<html>")} {
				want(t, "REST", sendAs(t, "GET", w.rest+"/a", o).line(), `502 InternalServerErrorException {"message":"Internal server error"}`)
				want(t, "HTTP", sendAs(t, "GET", w.http+"/a", o).line(), http500)
			}
		},
	},
	{
		id:     "handler-members",
		aws:    "a REST API refuses an answer with a member that it does not know: cookies is payload 2.0's, 502",
		wrong:  "the member is passed over, or the cookies are set",
		source: "customink/lamby issue 78; nitrojs/nitro issue 544; fujiwara/ridge issue 25",
		in:     []patch{{answerFile, "\t\t\tif p != authorizer.HTTP { // cookies too", "\t\t\tif p != authorizer.HTTP && !FAULT { // cookies too"}},
		check: func(t *testing.T) {
			w := plain(t)
			cookies := order("api", "answer", `{"statusCode":200,"cookies":["a=1"],"body":""}`)
			want(t, "REST", sendAs(t, "GET", w.rest+"/a", cookies).line(), `502 InternalServerErrorException {"message":"Internal server error"}`)
			want(t, "HTTP", sendAs(t, "GET", w.http+"/a", cookies).header.Get("Set-Cookie"), "a=1")
		},
	},
	{
		id:     "handler-member-case",
		aws:    "the members of an answer have a case: without statusCode an HTTP API sends the whole document as the body",
		wrong:  "StatusCode is taken for statusCode: Go's JSON does not tell them apart",
		source: payloadPage,
		in:     []patch{{answerFile, "\t\tswitch name {\n\t\tcase \"statusCode\":", "\t\tif FAULT { name = strings.ToLower(name[:1]) + name[1:] }\n\t\tswitch name {\n\t\tcase \"statusCode\":"}},
		check: func(t *testing.T) {
			const body = `{"StatusCode":403,"body":"no"}`
			want(t, "HTTP", sendAs(t, "GET", plain(t).http+"/a", order("api", "answer", body)).line(), "200 "+body)
		},
	},
	{
		id:     "handler-binary",
		aws:    "bodies: a REST API's binaryMediaTypes say what is base64; an HTTP API takes text/*, JSON, XML and JavaScript for text, and nothing else",
		wrong:  "what looks like text is text",
		source: guide + "Content type conversions in API Gateway; ministack pull request 766 (read off a live API)",
		in:     []patch{{eventFile, "\tif c.api.protocol == authorizer.REST {\n\t\tisBase64 = isBinary", "\tif FAULT { isBase64 = false } else if c.api.protocol == authorizer.REST {\n\t\tisBase64 = isBinary"}},
		check: func(t *testing.T) {
			w := start(t, "  apiGateway: {binaryMediaTypes: [image/*]}\n", "http: any {proxy+}", "httpApi: ANY /{proxy+}")
			for _, c := range []struct{ media, rest, http string }{{"image/png", "aGk=true", "aGk=true"}, {"application/x-www-form-urlencoded", "hifalse", "aGk=true"}, {"application/json", "hifalse", "hifalse"}} {
				for url, body := range map[string]string{w.rest: c.rest, w.http: c.http} {
					e := handled(t, post(t, url+"/a", "hi", "Content-Type: "+c.media))
					want(t, url+" "+c.media, e.at("body")+e.at("isBase64Encoded"), body)
				}
			}
		},
	},
}
