package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

var update = flag.Bool("update", false, "write the golden files")

const sample = `
service: sample
provider:
  name: aws
  runtime: provided.al2023
  timeout: 30
  httpApi:
    authorizers:
      v1: {type: request, functionName: auth, payloadVersion: '1.0', resultTtlInSeconds: 0, identitySource: [$request.header.Authorization, $request.querystring.q]}
      v2: {type: request, functionName: auth, resultTtlInSeconds: 0, identitySource: $request.header.Authorization}
      anybody: {type: request, functionName: auth, resultTtlInSeconds: 0}
custom:
  token: {name: tokens, type: token, resultTtlInSeconds: 0, identityValidationExpression: '^Bearer .+$'}
  request: {name: auth, type: request, resultTtlInSeconds: 0, identitySource: 'method.request.header.Authorization'}
functions:
  auth: {handler: bootstrap, environment: {MARK: auth, AUTHORIZER: 'yes', WHO: file, FILE: 'yes'}}
  tokens: {handler: bootstrap, environment: {MARK: auth, AUTHORIZER: 'yes'}}
  unused: {handler: bootstrap, runtime: nodejs20.x}
  other:
    handler: bootstrap
    environment: {ANSWER: '{"statusCode":200,"body":"other"}'}
    events:
      - http: GET orders/special
      - http: ANY mixed
      - httpApi: GET /orders/special
      - httpApi: ANY /mixed
  api:
    handler: bootstrap
    events:
      - http: ANY open
      - http: GET /
      - http: GET mixed
      - http: POST orders/special
      - http: ANY files/{proxy+}
      - http: {method: get, path: 'orders/{id}', authorizer: "${self:custom.request}"}
      - http: {method: get, path: 'token/{id}', authorizer: "${self:custom.token}"}
      - httpApi: ANY /open
      - httpApi: GET /
      - httpApi: GET /mixed
      - httpApi: POST /orders/special
      - httpApi: ANY /files/{proxy+}
      - httpApi: {method: GET, path: '/orders/{id}', authorizer: v2}
      - httpApi: {method: GET, path: '/one/{id}', authorizer: v1}
      - httpApi: {method: GET, path: /anybody, authorizer: anybody}
`

func service(t *testing.T, doc string) *serverless.Service {
	t.Helper()
	s, err := serverless.Read([]byte(doc), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func config(t *testing.T, doc string) Config {
	return Config{
		Service:   service(t, doc),
		Bootstrap: func(string) string { return bootstrap },
		REST:      "127.0.0.1:0",
		HTTP:      "127.0.0.1:0",
	}
}

func start(t *testing.T, c Config) *Gateway {
	t.Helper()
	g, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

type response struct {
	status int
	header http.Header
	body   string
}

// send makes a request; headers are "Name: value".
func send(t *testing.T, method, url, body string, headers ...string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(b)}
}

// bearer is a token that tells the authorizer what to do.
func bearer(name, argument string) string {
	return "Authorization: Bearer " + strings.Replace(do(name, argument), "do:", "auth:", 1)
}

func policyFor(statements string) string {
	return `{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[` + statements + `]}}`
}

const allowAll = `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}`

// TestOutcomes walks the table of what an authorizer can answer and what the client then gets.
func TestOutcomes(t *testing.T) {
	g := start(t, config(t, sample))
	const (
		rest500 = `500 AuthorizerConfigurationException {"message":null}`
		http500 = `500  {"message":"Internal Server Error"}`
		rest401 = `401 UnauthorizedException {"message":"Unauthorized"}`
		http401 = `401  {"message":"Unauthorized"}`
		ok      = `200`
	)
	type row struct{ name, header, rest, http string }
	rows := []row{
		{"allowed", "Authorization: x", ok, ok},
		{"identity source missing", "X: y", rest401, http401},
		{"identity source empty", "Authorization: ", rest401, http401},
		{"error Unauthorized", bearer("error", "Unauthorized"), rest401, http401},
		{"error with Unauthorized in it", bearer("error", "jwt: Unauthorized"), rest500, http500},
		{"error in lower case", bearer("error", "unauthorized"), rest500, http500},
		{"another error", bearer("error", "Unavailable"), rest500, http500},
		{"panic", bearer("panic", "boom"), rest500, http500},
		{"panic Unauthorized", bearer("panic", "Unauthorized"), rest401, http401}, // the message is all that the gateway compares
		{"exit", bearer("exit", "3"), rest500, http500},
		{"no JSON", bearer("answer", "Allow"), rest500, http500},
		{"null", bearer("answer", "null"), rest500, http500},
		{"a text", bearer("answer", `"Unauthorized"`), rest500, http500},
		{"a list", bearer("answer", `[]`), rest500, http500},
		{"an empty object", bearer("answer", `{}`), rest500, http500},
		{"no principal", bearer("answer", `{"policyDocument":{"Statement":[`+allowAll+`]}}`), rest500, http500},
		{"an empty principal", bearer("answer", `{"principalId":"","policyDocument":{"Statement":[`+allowAll+`]}}`), rest500, http500},
		{"no policy", bearer("answer", `{"principalId":"p"}`), rest500, http500},
		{"a simple answer", bearer("answer", `{"isAuthorized":true}`), rest500, http500},
		{"a policy and a simple answer", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"isAuthorized":true}`), rest500, http500},
		{"an effect twice", bearer("answer", policyFor(`{"Effect":"Deny",`+allowAll[1:])), rest500, http500},
		{"a statement twice", bearer("answer", strings.Replace(policyFor(allowAll), `"Statement"`, `"Statement":[],"Statement"`, 1)), rest500, http500},
		{"a principal twice", bearer("answer", strings.Replace(policyFor(allowAll), `"principalId"`, `"principalId":"q","principalId"`, 1)), rest500, http500},
		{"a usage key", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"usageIdentifierKey":"k"}`), ok, ok},
		{"a usage key that is a number", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"usageIdentifierKey":1}`), rest500, http500},
		{"a null condition", bearer("answer", policyFor(`{"Condition":null,`+allowAll[1:])), rest500, http500},
		{"a null statement", bearer("answer", `{"principalId":"p","policyDocument":{"Statement":null}}`), rest500, http500},
		{"an unknown effect", bearer("answer", policyFor(strings.ToLower(allowAll))), rest500, http500},
		{"a null in the context", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"context":{"a":null}}`), rest500, http500},
		{"a list for a context", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"context":["a"]}`), rest500, http500},
		{"a number in the context that none can hold", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"context":{"a":1e999}}`), rest500, http500},
		{"a list in the context", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"context":{"a":["b"]}}`), rest500, ok},
		{"an object in the context", bearer("answer", policyFor(allowAll)[:len(policyFor(allowAll))-1]+`,"context":{"a":{"b":1}}}`), rest500, ok},
		{"explicit Deny", bearer("answer", policyFor(allowAll+`,{"Effect":"Deny","Action":"*","Resource":"*"}`)),
			`403 AccessDeniedException {"Message":"User is not authorized to access this resource with an explicit deny"}`, `403  {"message":"Forbidden"}`},
		{"no Allow", bearer("answer", policyFor("")),
			`403 AccessDeniedException {"Message":"User is not authorized to access this resource"}`, `403  {"message":"Forbidden"}`},
		{"Allow of another path", bearer("answer", policyFor(`{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:us-east-1:123456789012:*/*/GET/orders/{id}"}`)),
			`403 AccessDeniedException {"Message":"User is not authorized to access this resource"}`, `403  {"message":"Forbidden"}`},
		{"Allow under a condition", bearer("answer", policyFor(`{"Condition":{"DateLessThan":{"aws:CurrentTime":"2001-01-01T00:00:00Z"}},`+allowAll[1:])),
			`403 AccessDeniedException {"Message":"User is not authorized to access this resource"}`, `403  {"message":"Forbidden"}`},
	}
	for _, r := range rows {
		for _, api := range []struct{ name, url, want string }{{"REST", g.RESTURL(), r.rest}, {"HTTP", g.HTTPURL(), r.http}} {
			t.Run(r.name+"/"+api.name, func(t *testing.T) {
				got := send(t, "GET", api.url+"/orders/42", "", r.header)
				line := fmt.Sprintf("%d %s %s", got.status, got.header.Get("X-Amzn-Errortype"), got.body)
				if got.status == 200 {
					line = "200"
				}
				if line != api.want {
					t.Errorf("got  %s\nwant %s", line, api.want)
				}
				id := got.header.Get("X-Amzn-Requestid") + got.header.Get("Apigw-Requestid")
				if len(id) != 36 && !(len(id) == 16 && api.name == "HTTP") || got.header.Get("Content-Type") != "application/json" {
					t.Errorf("header %v", got.header)
				}
			})
		}
	}
}

// TestSimpleOutcomes walks the table of what an authorizer with enableSimpleResponses can answer.
func TestSimpleOutcomes(t *testing.T) {
	g := start(t, config(t, strings.Replace(sample, "v2: {", "v2: {enableSimpleResponses: true, ", 1)))
	const (
		failed = `500 {"message":"Internal Server Error"}`
		denied = `403 {"message":"Forbidden"}`
	)
	for _, r := range []struct{ name, header, want string }{
		{"allowed", bearer("answer", `{"isAuthorized":true}`), "200"},
		{"allowed with a context", bearer("answer", `{"isAuthorized":true,"context":{"a":{"b":[1]},"sub":"x"}}`), "200"},
		{"denied", bearer("answer", `{"isAuthorized":false}`), denied},
		{"denied with a context", bearer("answer", `{"isAuthorized":false,"context":{"denied_by":"x"}}`), denied},
		{"identity source missing", "X: y", `401 {"message":"Unauthorized"}`},
		{"error Unauthorized", bearer("error", "Unauthorized"), `401 {"message":"Unauthorized"}`},
		{"another error", bearer("error", "Unavailable"), failed},
		{"an empty object", bearer("answer", `{}`), failed},
		{"null", bearer("answer", `null`), failed},
		{"true alone", bearer("answer", `true`), failed},
		{"isAuthorized null", bearer("answer", `{"isAuthorized":null}`), failed},
		{"isAuthorized as text", bearer("answer", `{"isAuthorized":"true"}`), failed},
		{"isAuthorized as false text", bearer("answer", `{"isAuthorized":"false"}`), failed},
		{"isAuthorized as a number", bearer("answer", `{"isAuthorized":1}`), failed},
		{"isAuthorized as a list", bearer("answer", `{"isAuthorized":[true]}`), failed},
		{"isAuthorized in another case", bearer("answer", `{"IsAuthorized":true}`), failed},
		{"isAuthorized twice", bearer("answer", `{"isAuthorized":false,"isAuthorized":true}`), failed},
		{"a null in the context", bearer("answer", `{"isAuthorized":true,"context":{"a":null}}`), failed},
		{"a list for a context", bearer("answer", `{"isAuthorized":true,"context":[]}`), failed},
		{"a policy", bearer("answer", policyFor(allowAll)), failed},
		{"a policy beside it", bearer("answer", `{"isAuthorized":true,`+policyFor(allowAll)[1:]), failed},
		{"a principal beside it", bearer("answer", `{"isAuthorized":true,"principalId":"p"}`), failed},
	} {
		t.Run(r.name, func(t *testing.T) {
			got := send(t, "GET", g.HTTPURL()+"/orders/42", "", r.header)
			line := fmt.Sprintf("%d %s", got.status, got.body)
			if got.status == 200 {
				line = "200"
			}
			if line != r.want {
				t.Errorf("got  %s\nwant %s", line, r.want)
			}
		})
	}
	got := send(t, "GET", g.HTTPURL()+"/orders/42", "", bearer("answer", `{"isAuthorized":true,"context":{"sub":"x","n":[1.50]}}`))
	var e struct {
		RequestContext struct {
			Authorizer struct{ Lambda json.RawMessage }
		}
	}
	if err := json.Unmarshal([]byte(got.body), &e); err != nil || string(e.RequestContext.Authorizer.Lambda) != `{"n":[1.50],"sub":"x"}` {
		t.Errorf("%v: the handler got %s", err, e.RequestContext.Authorizer.Lambda)
	}
}

// What the deployment says about a REST API's own answers is what its clients get.
func TestGatewayResponses(t *testing.T) {
	const resources = `
resources:
  Resources:
    Denied:
      Type: AWS::ApiGateway::GatewayResponse
      Properties:
        RestApiId: !Ref ApiGatewayRestApi
        ResponseType: ACCESS_DENIED
        StatusCode: 404
        ResponseParameters: {gatewayresponse.header.X-Why: "'not yours'", gatewayresponse.header.Content-Type: "'application/problem+json'"}
        ResponseTemplates: {application/json: '{"by":"$context.authorizer.denied_by","n":"$context.authorizer.n","who":"$context.authorizer.principalId","id":"$context.requestId","$context":1}'}
    Unauthorized:
      Type: AWS::ApiGateway::GatewayResponse
      Properties:
        RestApiId: {Ref: ApiGatewayRestApi}
        ResponseType: UNAUTHORIZED
        ResponseParameters: {gatewayresponse.header.WWW-Authenticate: "'Bearer'"}
`
	g := start(t, config(t, sample+resources))
	refusal := policyFor(`{"Effect":"Deny","Action":"*","Resource":"*"}`)
	withContext := refusal[:len(refusal)-1] + `,"context":{"denied_by":"a b","n":1.50}}`

	got := send(t, "GET", g.RESTURL()+"/orders/42", "", bearer("answer", withContext))
	want := `{"by":"a b","n":"1.50","who":"p","id":"` + got.header.Get("X-Amzn-Requestid") + `","$context":1}`
	if got.status != 404 || got.body != want || got.header.Get("X-Why") != "not yours" || got.header.Get("Content-Type") != "application/problem+json" ||
		got.header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("got %+v, want %s", got, want)
	}
	got = send(t, "GET", g.RESTURL()+"/orders/42", "", bearer("answer", policyFor("")))
	if !strings.HasPrefix(got.body, `{"by":"","n":"","who":"p",`) || !json.Valid([]byte(got.body)) {
		t.Errorf("without a context: %s", got.body)
	}
	for _, header := range []string{"X: y", bearer("error", "Unauthorized")} { // before the authorizer is asked, and after
		got = send(t, "GET", g.RESTURL()+"/orders/42", "", header)
		if got.status != 401 || got.body != `{"message":"Unauthorized"}` || got.header.Get("Www-Authenticate") != "Bearer" {
			t.Errorf("got %+v", got)
		}
	}
	// An HTTP API has none, and what no resource speaks of stays as it is.
	got = send(t, "GET", g.HTTPURL()+"/orders/42", "", bearer("answer", withContext))
	if got.status != 403 || got.body != `{"message":"Forbidden"}` || got.header.Get("X-Why") != "" {
		t.Errorf("HTTP: %+v", got)
	}
	if got = send(t, "GET", g.HTTPURL()+"/orders/42", "", bearer("error", "Unauthorized")); got.status != 401 || got.header.Get("Www-Authenticate") != "" {
		t.Errorf("HTTP: %+v", got)
	}
	if got = send(t, "GET", g.RESTURL()+"/none", ""); got.status != 403 || got.header.Get("X-Why") != "" {
		t.Errorf("no route: %+v", got)
	}
}

func TestAuthorizerThatTimesOut(t *testing.T) {
	g := start(t, config(t, strings.Replace(sample, "auth: {", "auth: {timeout: 1, ", 1)))
	if got := send(t, "GET", g.RESTURL()+"/orders/42", "", bearer("hang", "")); got.status != 500 || got.body != `{"message":null}` {
		t.Errorf("REST: %+v", got)
	}
	g.http.authorize = 100 * time.Millisecond // the gateway's own limit comes first
	if got := send(t, "GET", g.HTTPURL()+"/orders/42", "", bearer("hang", "")); got.status != 500 || got.body != `{"message":"Internal Server Error"}` {
		t.Errorf("HTTP: %+v", got)
	}
}

func TestAuthorizerThatCannotStart(t *testing.T) {
	var out buffer
	c := config(t, sample)
	c.Environment = func(name string) map[string]string {
		if name == "auth" {
			return map[string]string{"INIT": "exit"}
		}
		return nil
	}
	c.Output = func(string) io.Writer { return &out }
	g := start(t, c)
	if got := send(t, "GET", g.RESTURL()+"/orders/42", "", "Authorization: x"); got.status != 500 {
		t.Errorf("got %+v", got)
	}
	for _, want := range []string{"no setting X\n", "function sample-dev-auth: ended before it asked for work: exit status 3\n", "authorizer failed: Runtime.ExitError\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output %q lacks %q", out.String(), want)
		}
	}
}

func TestWithoutAnIdentitySourceTheAuthorizerIsAlwaysAsked(t *testing.T) {
	g := start(t, config(t, sample))
	if got := send(t, "GET", g.HTTPURL()+"/anybody", ""); got.status != 200 {
		t.Errorf("got %+v", got)
	}
}

func TestEveryIdentitySourceIsRequired(t *testing.T) {
	g := start(t, config(t, sample))
	for url, want := range map[string]int{"/one/1?q=1": 200, "/one/1": 401, "/one/1?q=": 401, "/one/1?Q=1": 401} {
		if got := send(t, "GET", g.HTTPURL()+url, "", "Authorization: x"); got.status != want {
			t.Errorf("%s: got %+v", url, got)
		}
	}
}

func TestTokenHasToMatchAsAWhole(t *testing.T) {
	g := start(t, config(t, sample))
	for token, want := range map[string]int{"Bearer x": 200, "bearer x": 401, "x Bearer x": 401, "Bearer ": 401} {
		got := send(t, "GET", g.RESTURL()+"/token/1", "", "Authorization: "+token)
		if got.status != want {
			t.Errorf("%q: got %+v", token, got)
		}
		if want == 401 && got.body != `{"message":"Unauthorized"}` {
			t.Errorf("%q: got %s", token, got.body)
		}
	}
	g.functions["tokens"].mu.Lock()
	defer g.functions["tokens"].mu.Unlock()
	if n := len(g.functions["tokens"].alive); n != 1 {
		t.Errorf("%d processes: a token that doesn't match was shown to the function", n)
	}
}

func TestRoutes(t *testing.T) {
	g := start(t, config(t, sample))
	for _, c := range []struct{ method, path, rest, http string }{
		{"GET", "/", "/", "GET /"},
		{"GET", "/open", "/open", "ANY /open"},
		{"PURGE", "/open", "", ""},
		{"get", "/open", "", ""},
		{"PATCH", "/open", "/open", "ANY /open"},
		{"POST", "/", "", ""},
		{"GET", "/none", "", ""},
		{"GET", "/open/", "/open", ""},
		{"GET", "/open//", "", ""},
		{"GET", "//open", "", ""},
		{"GET", "/Open", "", ""},
		{"GET", "/orders/special", "other", "other"},
		{"POST", "/orders/special", "/orders/special", "POST /orders/special"},
		{"GET", "/orders/7", "/orders/{id}", "GET /orders/{id}"},
		{"POST", "/orders/7", "", ""},
		{"GET", "/orders", "", ""},
		{"GET", "/orders/", "", ""},
		{"GET", "/mixed", "/mixed", "GET /mixed"},
		{"PUT", "/mixed", "other", "other"},
		{"GET", "/files/a/b", "/files/{proxy+}", "ANY /files/{proxy+}"},
		{"GET", "/files", "", ""},
		{"DELETE", "/orders/special", "", ""}, // a REST API looks for the resource first
	} {
		for _, api := range []struct {
			url, want, missing string
			status             int
		}{
			{g.RESTURL(), c.rest, `{"message":"Missing Authentication Token"}`, 403},
			{g.HTTPURL(), c.http, `{"message":"Not Found"}`, 404},
		} {
			got := send(t, c.method, api.url+c.path, "", "Authorization: x")
			var e struct{ Resource, RouteKey string }
			_ = json.Unmarshal([]byte(got.body), &e)
			switch {
			case api.want == "" && (got.status != api.status || got.body != api.missing),
				api.want == "other" && got.body != "other",
				api.want != "" && api.want != "other" && e.Resource+e.RouteKey != api.want:
				t.Errorf("%s %s%s: got %d %s, want %q", c.method, api.url, c.path, got.status, got.body, api.want)
			}
		}
	}
}

func TestTheDefaultRouteTakesWhatIsLeft(t *testing.T) {
	g := start(t, config(t, strings.Replace(sample, "- httpApi: GET /\n", "- httpApi: '*'\n", 1)))
	for _, path := range []string{"", "/", "/none/at/all", "/orders/"} {
		got := send(t, "PUT", g.HTTPURL()+path, "")
		var e map[string]any
		if err := json.Unmarshal([]byte(got.body), &e); err != nil || e["routeKey"] != "$default" || e["pathParameters"] != nil {
			t.Errorf("%q: got %+v", path, got)
		}
	}
}

func TestPathsOutsideTheStage(t *testing.T) {
	g := start(t, config(t, sample))
	host := strings.TrimSuffix(g.RESTURL(), "/dev")
	for _, path := range []string{"/", "/open", "/prod/open", "/devopen", "/dev%2Fopen"} {
		if got := send(t, "GET", host+path, ""); got.status != 403 || got.body != `{"message":"Forbidden"}` || got.header.Get("X-Amzn-Errortype") != "ForbiddenException" {
			t.Errorf("%s: got %+v", path, got)
		}
	}
	if got := send(t, "GET", host+"/dev", ""); got.status != 200 {
		t.Errorf("the stage alone: got %+v", got)
	}
}

// raw sends bytes as they are and gives the first line of the answer.
func raw(t *testing.T, url, request string) string {
	t.Helper()
	address, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestOddRequestLines(t *testing.T) {
	g := start(t, config(t, sample))
	for _, c := range []struct{ target, rest, http string }{
		{"http://localhost/dev/open", "200 OK", "404 Not Found"},
		{"http://localhost/open", "403 Forbidden", "200 OK"},
		{"http://elsewhere/open", "403 Forbidden", "403 Forbidden"},
		{"/open%zz", "400 Bad Request", "400 Bad Request"},
		{"/open%ff", "403 Forbidden", "400 Bad Request"},
		{"/open%25zz", "403 Forbidden", "400 Bad Request"},
		{"/%6Fpen", "403 Forbidden", "200 OK"},
		{"/dev/%6Fpen", "403 Forbidden", "404 Not Found"},
	} {
		for url, want := range map[string]string{g.RESTURL(): c.rest, g.HTTPURL(): c.http} {
			if got := raw(t, url, "GET "+c.target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); got != "HTTP/1.1 "+want {
				t.Errorf("%s at %s: got %s, want %s", c.target, url, got, want)
			}
		}
	}
	if got := raw(t, g.HTTPURL(), "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 ") || strings.Contains(got, "500") {
		t.Errorf("OPTIONS *: %s", got)
	}
}

func TestLimits(t *testing.T) {
	g := start(t, config(t, sample))
	for _, c := range []struct {
		name, path, header, body string
		rest, http               int
	}{
		{"headers of 9 KB", "/open", "A: " + strings.Repeat("x", 9<<10), "", 200, 200},
		{"headers of 11 KB", "/open", "A: " + strings.Repeat("x", 11<<10), "", 431, 431},
		{"headers of 20 KB", "/open", "A: " + strings.Repeat("x", 20<<10), "", 431, 431},
		{"query of 11 KB", "/open?q=" + strings.Repeat("x", 11<<10), "A: b", "", 200, 431},
		{"ARN of 1600 bytes", "/orders/" + strings.Repeat("x", 1600-len(apiARN+"/dev/GET/orders/")), bearer("answer", policyFor(allowAll)), "", 200, 414},
		{"ARN too long to come back as a Resource", "/orders/" + strings.Repeat("x", 500), "Authorization: x", "", 500, 500},
		{"ARN of 1601 bytes", "/orders/" + strings.Repeat("x", 1601-len(apiARN+"/dev/GET/orders/")), bearer("answer", policyFor(allowAll)), "", 414, 414},
		{"body of 10 MB and a byte", "/open", "A: b", strings.Repeat("x", maxBody+1), 413, 413},
		{"body that Lambda doesn't take", "/open", "A: b", strings.Repeat("x", maxPayload), 413, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			for url, want := range map[string]int{g.RESTURL(): c.rest, g.HTTPURL(): c.http} {
				if got := send(t, "GET", url+c.path, c.body, c.header); got.status != want {
					t.Errorf("%s: got %d %.200s, want %d", url, got.status, got.body, want)
				}
			}
		})
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	g := start(t, config(t, sample))
	address := strings.TrimPrefix(g.HTTPURL(), "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nshort"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn) // until the gateway hangs up
	g.functions["api"].mu.Lock()
	defer g.functions["api"].mu.Unlock()
	if n := len(g.functions["api"].alive); n != 0 {
		t.Errorf("half a body reached the handler")
	}
}

// TestHandlerAnswers walks what a handler can answer.
func TestHandlerAnswers(t *testing.T) {
	g := start(t, config(t, sample))
	const (
		rest502 = `502 application/json {"message":"Internal server error"}`
		http500 = `500 application/json {"message":"Internal Server Error"}`
	)
	for _, c := range []struct{ name, instruction, rest, http string }{
		{"plain", do("answer", `{"statusCode":201,"body":"made"}`), "201 application/json made", "201 text/plain; charset=utf-8 made"},
		{"status as text", do("answer", `{"statusCode":"404","body":"x"}`), "404 application/json x", "404 text/plain; charset=utf-8 x"},
		{"own type", do("answer", `{"statusCode":200,"headers":{"content-type":"text/html"},"body":"x"}`), "200 text/html x", "200 text/html x"},
		{"base64", do("answer", `{"statusCode":200,"headers":{"Content-Type":"image/x"},"isBase64Encoded":true,"body":"aGk="}`), "200 image/x aGk=", "200 image/x hi"},
		{"no body", do("answer", `{"statusCode":204}`), "204 application/json ", "204 text/plain; charset=utf-8 "},
		{"bad base64", do("answer", `{"statusCode":200,"isBase64Encoded":true,"body":"*"}`), "200 application/json *", http500},
		{"no status", do("answer", `{"message":"hi"}`), rest502, `200 application/json {"message":"hi"}`},
		{"a text", do("answer", `"hi"`), rest502, "200 application/json hi"},
		{"null", do("answer", `null`), rest502, "200 application/json "},
		{"status that is none", do("answer", `{"statusCode":99}`), rest502, http500},
		{"status that is text", do("answer", `{"statusCode":"fine"}`), rest502, http500},
		{"body that is an object", do("answer", `{"statusCode":200,"body":{}}`), rest502, http500},
		{"header that is a list", do("answer", `{"statusCode":200,"headers":{"a":["b"]}}`), rest502, http500},
		{"no JSON", do("answer", `<html>`), rest502, http500},
		{"error", do("error", "Unauthorized"), rest502, http500},
		{"panic", do("panic", "boom"), rest502, http500},
		{"exit", do("exit", "1"), rest502, http500},
	} {
		for _, api := range []struct{ name, url, want string }{{"REST", g.RESTURL(), c.rest}, {"HTTP", g.HTTPURL(), c.http}} {
			t.Run(c.name+"/"+api.name, func(t *testing.T) {
				got := send(t, "GET", api.url+"/open", "", "X-Do: "+c.instruction)
				if line := fmt.Sprintf("%d %s %s", got.status, got.header.Get("Content-Type"), got.body); line != api.want {
					t.Errorf("got  %s\nwant %s", line, api.want)
				}
			})
		}
	}
}

func TestHandlerHeaders(t *testing.T) {
	g := start(t, config(t, sample))
	answer := do("answer", `{"statusCode":200,
		"headers":{"a":"1","n":5,"b":true,"Content-Length":"999","Connection":"close","www-authenticate":"Bearer","Both":"x"},
		"multiValueHeaders":{"Warning":["w1","w2"],"Both":["x","y"],"Set-Cookie":["s=1; Path=/","t=2"]},"body":"x"}`)
	for url, challenge := range map[string]string{g.RESTURL(): "X-Amzn-Remapped-Www-Authenticate", g.HTTPURL(): "Www-Authenticate"} {
		got := send(t, "GET", url+"/open", "", "X-Do: "+answer)
		for name, want := range map[string][]string{
			"A": {"1"}, "N": {"5"}, "B": {"true"}, "Warning": {"w1", "w2"}, "Both": {"x", "y"}, "Set-Cookie": {"s=1; Path=/", "t=2"}, challenge: {"Bearer"}, "Content-Length": {"1"},
		} {
			if !slices.Equal(got.header.Values(name), want) {
				t.Errorf("%s: %s is %q, want %q", url, name, got.header.Values(name), want)
			}
		}
	}
	if got := send(t, "GET", g.RESTURL()+"/open", "", "X-Do: "+answer); got.header.Get("Www-Authenticate") != "" {
		t.Error("a REST API passes no challenge on under its own name")
	}
}

// Cookies have a member of their own in an HTTP API's answer; a REST API refuses an answer with any member that it does
// not know.
func TestMembersOfAnAnswer(t *testing.T) {
	g := start(t, config(t, sample))
	for _, member := range []string{`"cookies":["s=1","t=2"]`, `"other":1`} {
		answer := "X-Do: " + do("answer", `{"statusCode":200,`+member+`,"body":"x"}`)
		if got := send(t, "GET", g.RESTURL()+"/open", "", answer); got.status != 502 {
			t.Errorf("REST, %s: got %+v", member, got)
		}
		got := send(t, "GET", g.HTTPURL()+"/open", "", answer)
		if cookies := got.header.Values("Set-Cookie"); got.body != "x" || strings.Contains(member, "cookies") != slices.Equal(cookies, []string{"s=1", "t=2"}) {
			t.Errorf("HTTP, %s: got %+v", member, got)
		}
	}
}

// Every variable that a file may name has a value here, or is known to have none on a REST API.
func TestContextVariables(t *testing.T) {
	template := ""
	for _, n := range append(slices.Clone(serverless.RequestContext), "error.message", "error.messageString", "error.responseType") {
		template += n + "=$context." + n + ";"
	}
	g := start(t, config(t, sample+`
resources:
  Resources:
    U:
      Type: AWS::ApiGateway::GatewayResponse
      Properties:
        RestApiId: !Ref ApiGatewayRestApi
        ResponseType: UNAUTHORIZED
        ResponseParameters: {gatewayresponse.header.X-H: method.request.header.X-Tenant, gatewayresponse.header.X-Q: method.request.querystring.q, gatewayresponse.header.X-C: context.stage}
        ResponseTemplates: {application/json: '`+template+`'}
`))
	got := send(t, "GET", g.RESTURL()+"/orders/42?q=1", "", "X-Tenant: acme", "User-Agent: test")
	shown := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(got.body, ";"), ";") {
		name, value, _ := strings.Cut(pair, "=")
		shown[name] = value
	}
	for name, want := range map[string]string{
		"accountId": "123456789012", "apiId": "localrest0", "domainName": "localrest0.execute-api.us-east-1.amazonaws.com", "domainPrefix": "localrest0", "httpMethod": "GET",
		"identity.sourceIp": "127.0.0.1", "identity.userAgent": "test", "path": "/dev/orders/42", "protocol": "HTTP/1.1", "requestId": got.header.Get("X-Amzn-Requestid"),
		"extendedRequestId": got.header.Get("X-Amz-Apigw-Id"), "resourcePath": "/orders/{id}", "routeKey": "", "stage": "dev",
		"error.message": "Unauthorized", "error.messageString": `"Unauthorized"`, "error.responseType": "UNAUTHORIZED",
	} {
		if shown[name] != want {
			t.Errorf("%s: got %q, want %q", name, shown[name], want)
		}
	}
	for name, value := range shown {
		if value == "" && name != "routeKey" {
			t.Errorf("%s has no value", name)
		}
	}
	if shown["requestTime"] == "" || len(shown["requestTimeEpoch"]) != 13 {
		t.Errorf("times: %q and %q", shown["requestTime"], shown["requestTimeEpoch"])
	}
	if h := got.header; h.Get("X-H") != "acme" || h.Get("X-Q") != "1" || h.Get("X-C") != "dev" {
		t.Errorf("headers: %v", h)
	}
}

// Of a header that is sent twice the last value is a REST API's identity, and all of them an HTTP API's.
func TestIdentityThatIsSentTwice(t *testing.T) {
	g := start(t, config(t, sample))
	for url, want := range map[string]string{g.RESTURL() + "/token/1": "Bearer b", g.HTTPURL() + "/one/1?q=1": "Bearer a,Bearer b,1"} {
		var e struct {
			RequestContext struct{ Authorizer map[string]any }
		}
		if err := json.Unmarshal([]byte(send(t, "GET", url, "", "Authorization: Bearer a", "Authorization: Bearer b").body), &e); err != nil {
			t.Fatal(err)
		}
		c := e.RequestContext.Authorizer
		if l, ok := c["lambda"].(map[string]any); ok {
			c = l
		}
		var seen struct{ AuthorizationToken string }
		text, _ := c["event"].(string)
		if err := json.Unmarshal([]byte(text), &seen); err != nil || seen.AuthorizationToken != want {
			t.Errorf("%s: got %q, %v, want %q", url, seen.AuthorizationToken, err, want)
		}
	}
}

// Members have a case: another spelling is none, and on an HTTP API the whole is then a body.
func TestMembersHaveACase(t *testing.T) {
	g := start(t, config(t, sample))
	const body = `{"StatusCode":403,"Body":"no"}`
	if got := send(t, "GET", g.HTTPURL()+"/open", "", "X-Do: "+do("answer", body)); got.status != 200 || got.body != body {
		t.Errorf("HTTP: got %+v", got)
	}
	if got := send(t, "GET", g.RESTURL()+"/open", "", "X-Do: "+do("answer", body)); got.status != 502 {
		t.Errorf("REST: got %+v", got)
	}
}

// A request that cannot be read is answered as one, and asks nobody.
func TestRequestsThatCannotBeRead(t *testing.T) {
	g := start(t, config(t, sample))
	for what, request := range map[string]string{
		"a body that is not chunked":  "POST %s/open HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
		"a path that does not decode": "GET %s/op%%25zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"a path of other bytes":       "GET %s/\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	} {
		for url, prefix := range map[string]string{g.RESTURL(): "/dev", g.HTTPURL(): ""} {
			want := "HTTP/1.1 400 Bad Request"
			if prefix != "" && strings.Contains(what, "decode") {
				want = "HTTP/1.1 403 Forbidden" // a REST API does not decode
			}
			if got := raw(t, url, fmt.Sprintf(request, prefix)); got != want {
				t.Errorf("%s: %s: got %s, want %s", url, what, got, want)
			}
		}
	}
	if page := counted(t, g); strings.Contains(page, "gatehouse_invocations_total{") {
		t.Errorf("somebody was asked:\n%s", page)
	}
}

// What a query holds that does not decode, or is told apart in two ways, reaches the function as it was sent.
func TestOddQueries(t *testing.T) {
	g := start(t, config(t, sample))
	for query, want := range map[string]string{"a=1;b=2&&c": "map[a:1;b=2 c:]", "a=%zz&%zz=b": "map[%zz:b a:%zz]", "a=b=c": "map[a:b=c]", "=x": "map[:x]"} {
		for _, url := range []string{g.RESTURL(), g.HTTPURL()} {
			var e struct{ QueryStringParameters map[string]string }
			if err := json.Unmarshal([]byte(send(t, "GET", url+"/open?"+query, "").body), &e); err != nil || fmt.Sprint(e.QueryStringParameters) != want {
				t.Errorf("%s?%s: got %v, %v, want %s", url, query, e.QueryStringParameters, err, want)
			}
		}
	}
}

func TestHandlerThatTakesTooLong(t *testing.T) {
	g := start(t, config(t, sample))
	g.rest.integrate, g.http.integrate = 100*time.Millisecond, 100*time.Millisecond
	for url, want := range map[string]string{g.RESTURL(): `504 {"message":"Endpoint request timed out"}`, g.HTTPURL(): `503 {"message":"Service Unavailable"}`} {
		got := send(t, "GET", url+"/open", "", "X-Do: "+do("hang", ""))
		if line := fmt.Sprintf("%d %s", got.status, got.body); line != want {
			t.Errorf("%s: got %s, want %s", url, line, want)
		}
	}
}

func TestHandlerThatRunsIntoItsOwnTimeout(t *testing.T) {
	g := start(t, config(t, strings.Replace(sample, "timeout: 30", "timeout: 1", 1)))
	for url, want := range map[string]string{g.RESTURL(): `502 {"message":"Internal server error"}`, g.HTTPURL(): `500 {"message":"Internal Server Error"}`} {
		got := send(t, "GET", url+"/open", "", "X-Do: "+do("hang", ""))
		if line := fmt.Sprintf("%d %s", got.status, got.body); line != want {
			t.Errorf("%s: got %s, want %s", url, line, want)
		}
	}
}

func TestHandlerThatCannotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := config(t, sample)
	c.Bootstrap = func(string) string { return path }
	g := start(t, c)
	if got := send(t, "GET", g.RESTURL()+"/open", ""); got.status != 502 {
		t.Errorf("got %+v", got)
	}
	if got := send(t, "GET", g.RESTURL()+"/orders/1", "", "Authorization: x"); got.status != 500 {
		t.Errorf("got %+v", got)
	}
}

func TestBodies(t *testing.T) {
	binary := config(t, strings.Replace(sample, "  timeout: 30\n", "  timeout: 30\n  apiGateway: {binaryMediaTypes: [image/*, application/pdf]}\n", 1))
	g := start(t, binary)
	for _, c := range []struct{ media, body, rest, http string }{
		{"", "", "<nil> false", "<nil> false"},
		{"", "text λ", "text λ false", "dGV4dCDOuw== true"},
		{"text/plain", "text λ", "text λ false", "text λ false"},
		{"Text/HTML; charset=utf-8", "text", "text false", "text false"},
		{"application/json", "{}", "{} false", "{} false"},
		{"application/xml", "<a/>", "<a/> false", "<a/> false"},
		{"application/javascript", "a()", "a() false", "a() false"},
		{"application/x-www-form-urlencoded", "a=b", "a=b false", "YT1i true"},
		{"application/problem+json", "{}", "{} false", "e30= true"},
		{"application/octet-stream", "\xff\x00", "\uFFFD\x00 false", "/wA= true"},
		{"text/plain", "\xff", "\uFFFD false", "\uFFFD false"},
		{"image/png", "\xff\x00", "/wA= true", "/wA= true"},
		{"APPLICATION/PDF", "text", "dGV4dA== true", "dGV4dA== true"},
		{"imagery/png", "text", "text false", "dGV4dA== true"},
	} {
		for url, want := range map[string]string{g.RESTURL(): c.rest, g.HTTPURL(): c.http} {
			headers := []string{"A: b"}
			if c.media != "" {
				headers = append(headers, "Content-Type: "+c.media)
			}
			var e map[string]any
			if err := json.Unmarshal([]byte(send(t, "POST", url+"/open", c.body, headers...).body), &e); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(e["body"], " ", e["isBase64Encoded"]); got != want {
				t.Errorf("%s: %s %q: got %s, want %s", url, c.media, c.body, got, want)
			}
		}
	}
	answer := "X-Do: " + do("answer", `{"statusCode":200,"headers":{"Content-Type":"image/png"},"isBase64Encoded":true,"body":"aGk="}`)
	for accept, want := range map[string]string{"image/png": "hi", "image/webp;q=1, text/html": "hi", "text/html, image/png": "aGk=", "*/*": "aGk="} {
		if got := send(t, "GET", g.RESTURL()+"/open", "", answer, "Accept: "+accept); got.body != want {
			t.Errorf("REST, accepting %s: got %s, want %s", accept, got.body, want)
		}
		if got := send(t, "GET", g.HTTPURL()+"/open", "", answer, "Accept: "+accept); got.body != "hi" {
			t.Errorf("HTTP, accepting %s: got %s", accept, got.body)
		}
	}
}

func TestContextForTheHandler(t *testing.T) {
	g := start(t, config(t, sample))
	var rest, http struct {
		RequestContext struct{ Authorizer map[string]any }
	}
	for url, into := range map[string]any{g.RESTURL(): &rest, g.HTTPURL(): &http} {
		if err := json.Unmarshal([]byte(send(t, "GET", url+"/orders/1", "", "Authorization: x").body), into); err != nil {
			t.Fatal(err)
		}
	}
	a := rest.RequestContext.Authorizer
	if a["principalId"] != "somebody" || a["number"] != "1.5" || a["yes"] != "true" {
		t.Errorf("REST: %v", a)
	}
	if _, ok := a["integrationLatency"].(float64); !ok {
		t.Errorf("REST: %v", a)
	}
	l, _ := http.RequestContext.Authorizer["lambda"].(map[string]any)
	if l["number"] != 1.5 || l["yes"] != true || l["principalId"] != nil {
		t.Errorf("HTTP: %v", http.RequestContext.Authorizer)
	}
}

// TestEvents holds the events against golden files: one request with everything in it, for each kind of authorizer and
// of handler.
func TestEvents(t *testing.T) {
	s := service(t, sample)
	for _, c := range []struct {
		name     string
		protocol authorizer.Protocol
		target   string
	}{
		{"rest-token", authorizer.REST, "/dev/token/a%20b:c?q=1"},
		{"rest-request", authorizer.REST, "/dev/orders/a%20b?q=1&q=2&plus=a+b&coded=a%2Bb&empty="},
		{"http-1.0", authorizer.HTTP, "/one/a%20b?q=1&q=2"},
		{"http-2.0", authorizer.HTTP, "/orders/a%20b?q=1&q=2&plus=a+b&coded=a%2Bb&empty="},
		{"rest-plain", authorizer.REST, "/dev/open"},
		{"http-plain", authorizer.HTTP, "/open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAPI(Config{Service: s, Account: serverless.AccountID}, c.protocol, new(counters))
			a.port = "8787"
			a.now = func() time.Time { return time.Date(2026, 11, 22, 11, 0, 0, 123e6, time.FixedZone("", 3600)) }
			a.newID = func() string { return "00000000-0000-4000-8000-000000000000" }
			if err := a.route(s, nil); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", c.target, nil)
			r.RemoteAddr, r.Host = "127.0.0.1:54321", "127.0.0.1:8787"
			if !strings.HasSuffix(c.name, "plain") {
				for _, h := range []string{"authorization: Bearer x", "X-Tenant: one", "x-tenant: two", "User-Agent: test", "Cookie: a=1; b=2", "cookie: c=3", "X-Forwarded-For: 203.0.113.9", "Connection: x"} {
					name, value, _ := strings.Cut(h, ": ")
					r.Header.Add(name, value)
				}
			}
			call := a.call(r, r.Header.Clone())
			for _, step := range []func() *answer{call.located, call.routed} {
				if refused := step(); refused != nil {
					t.Fatalf("refused: %d %s", refused.status, refused.body)
				}
			}
			call.headers.Set("X-Amzn-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
			call.sent.Set("X-Amzn-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
			var v *verdict
			var got bytes.Buffer
			show := func(what string, event []byte) {
				fmt.Fprintf(&got, "%s\n", what)
				if err := json.Indent(&got, event, "", "  "); err != nil {
					t.Fatal(err)
				}
				got.WriteByte('\n')
			}
			if call.route.authorizer != nil {
				identity, ok := call.identity()
				if !ok {
					t.Fatal("no identity")
				}
				show("the authorizer's", call.authorizerEvent(identity))
				v = &verdict{principal: "p", context: map[string]json.RawMessage{"n": json.RawMessage("1.50"), "s": json.RawMessage(`"x"`)}, latency: 5 * time.Millisecond}
			}
			show("the handler's", call.handlerEvent(v))
			golden := filepath.Join("testdata", "events", c.name+".txt")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func TestTheAuthorizerGetsTheEventOverTheWire(t *testing.T) {
	g := start(t, config(t, sample))
	for url, want := range map[string]string{
		g.RESTURL() + "/orders/a%20b": "arn:aws:execute-api:us-east-1:123456789012:localrest0/dev/GET/orders/a%20b",
		g.RESTURL() + "/token/1":      "arn:aws:execute-api:us-east-1:123456789012:localrest0/dev/GET/token/1",
		g.HTTPURL() + "/orders/a%20b": "arn:aws:execute-api:us-east-1:123456789012:localhttp0/$default/GET/orders/a b",
		g.HTTPURL() + "/one/1?q=1":    "arn:aws:execute-api:us-east-1:123456789012:localhttp0/$default/GET/one/1",
	} {
		var e struct {
			RequestContext struct{ Authorizer map[string]any }
		}
		if err := json.Unmarshal([]byte(send(t, "GET", url, "", "Authorization: Bearer x").body), &e); err != nil {
			t.Fatal(err)
		}
		c := e.RequestContext.Authorizer
		if l, ok := c["lambda"].(map[string]any); ok {
			c = l
		}
		text, _ := c["event"].(string)
		var seen struct{ MethodARN, RouteARN string }
		if err := json.Unmarshal([]byte(text), &seen); err != nil || seen.MethodARN+seen.RouteARN != want {
			t.Errorf("%s: got %q, want %q", url, seen.MethodARN+seen.RouteARN, want)
		}
	}
}

func TestEnvironmentOfTheFileAndOnTopOfIt(t *testing.T) {
	c := config(t, strings.Replace(sample, "handler: bootstrap\n    events:\n      - http: ANY open", "handler: bootstrap\n    environment: {WHO: file, FILE: 'yes'}\n    events:\n      - http: ANY open", 1))
	c.Environment = func(name string) map[string]string { return map[string]string{"WHO": "caller of " + name} }
	g := start(t, c)
	got := send(t, "GET", g.HTTPURL()+"/open", "", "X-Do: "+do("environment", ""))
	var env []string
	if err := json.Unmarshal([]byte(got.body), &env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WHO=caller of api", "FILE=yes", "AWS_LAMBDA_FUNCTION_NAME=sample-dev-api", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024"} {
		if !slices.Contains(env, want) {
			t.Errorf("%q lacks %s", env, want)
		}
	}
}

func TestStartNamesEveryFault(t *testing.T) {
	if _, err := Start(t.Context(), Config{Account: "1"}); err == nil {
		t.Fatal("started with nothing")
	} else {
		for _, want := range []string{"start gateway: ", "no service", "no bootstrap", `account "1": want 12 digits`, `REST address "": want a loopback address`, `HTTP address ""`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v lacks %q", err, want)
			}
		}
	}
	c := config(t, `
service: s
provider:
  name: aws
  runtime: nodejs20.x
  httpApi:
    authorizers:
      simple: {type: request, functionName: f, enableSimpleResponses: true, resultTtlInSeconds: 5, identitySource: [$context.routeKey, $context.authorizer.x, $context.error.message, $context.nothing]}
functions:
  f:
    handler: x
    events:
      - httpApi: {method: GET, path: /a, authorizer: simple}
      - httpApi: {method: GET, path: /b, authorizer: simple}
      - websocket: $connect
`)
	for _, address := range []string{"0.0.0.0:8787", ":8787", "localhost:8787", "192.0.2.1:8787", "127.0.0.1", "[::]:1"} {
		c.REST = address
		if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("REST address %q: want a loopback address and a port", address)) {
			t.Errorf("%s: got %v", address, err)
		}
	}
	c.REST = "127.0.0.1:0"
	_, err := Start(t.Context(), c)
	want := `start gateway: WebSocket address "": want a loopback address and a port
function f: runtime "nodejs20.x" is not supported: want provided.al2023
http authorizer simple: identity source $context.authorizer.x has no value on this machine
http authorizer simple: identity source $context.error.message has no value on this machine
http authorizer simple: identity source $context.nothing has no value on this machine`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestStartNamesEveryMissingBootstrapAndPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := config(t, sample)
	c.HTTP = busy.Addr().String()
	c.Bootstrap = func(name string) string { return filepath.Join("dist", name, "bootstrap") }
	_, err = Start(t.Context(), c)
	if err == nil {
		t.Fatal("started")
	}
	for _, want := range []string{
		"function sample-dev-auth: bootstrap: stat dist/auth/bootstrap: no such file", "function sample-dev-api: bootstrap: ", "make build",
		"http API: address " + c.HTTP + " is in use by another program; choose another port",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "unused") {
		t.Errorf("%v\nnames a function that never runs", err)
	}
}

func TestStartRefusesAServiceThatNoFileSays(t *testing.T) {
	c := config(t, sample)
	c.Service.Functions[4].Events[5].Authorizer.ValidationExpression = "("
	c.Service.Functions[4].Events[0].Path = "{"
	if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "error parsing regexp") || !strings.Contains(err.Error(), `route "ANY {"`) {
		t.Errorf("got %v", err)
	}
}

func TestAnotherAccountAndRegion(t *testing.T) {
	c := config(t, strings.Replace(sample, "timeout: 30", "timeout: 30\n  region: us-gov-west-1\n  stage: prod", 1))
	c.Account = "111122223333"
	g := start(t, c)
	if !strings.HasSuffix(g.RESTURL(), "/prod") || strings.Contains(g.HTTPURL(), "prod") {
		t.Errorf("at %s and %s", g.RESTURL(), g.HTTPURL())
	}
	deny := bearer("answer", policyFor(`{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws-us-gov:execute-api:us-gov-west-1:111122223333:localrest0/prod/GET/orders/1"}`))
	if got := send(t, "GET", g.RESTURL()+"/orders/1", "", deny); got.status != 200 {
		t.Errorf("got %+v", got)
	}
}

func TestTheGatewayEndsWithItsContext(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	g, err := Start(ctx, config(t, sample))
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, "GET", g.HTTPURL()+"/open", "", "X-Do: "+do("pid", ""))
	pid, err := strconv.Atoi(got.body)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := g.Close(); err != nil { // waits for the one that cancel began
		t.Fatal(err)
	}
	if err := syscall.Kill(-pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process group %d: %v", pid, err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(g.HTTPURL(), "http://")); err == nil {
		t.Error("still listening")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines left:\n%s", buf[:runtime.Stack(buf, true)])
		}
	}
}
