// Package fidelity holds the local gateway, and the authorizer where the point is its own, against what API Gateway does.
// Each point is a fault that somebody's emulator, library or sample has; all stand in one list, with the change that puts
// the fault into this house. A test per fault fails while its fault is in.
package fidelity

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/serverless"
)

var update = flag.Bool("update", false, "rewrite docs/fidelity.md")

// scripted is the function behind the gateway: it does what its event asks for (internal/gateway/testdata/bootstrap). A
// run with a fault in takes the one that is built already.
var scripted = os.Getenv("GATEHOUSE_SCRIPTED")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if scripted == "" {
			dir, err := os.MkdirTemp("", "fidelity-")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			scripted = filepath.Join(dir, "bootstrap")
			if out, err := exec.Command("go", "build", "-o", scripted, "../../internal/gateway/testdata/bootstrap").CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build the scripted function: %v\n%s", err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a gateway of a test's own.
type world struct {
	rest, http, socket string
	clock              *clock
}

const head = `
service: fidelity
provider:
  name: aws
  runtime: provided.al2023
  timeout: 5
`

// functions are the two that every file here has: auth, asked as an authorizer, and api, the handler.
const functions = `
functions:
  auth: {handler: bootstrap, environment: {MARK: auth, AUTHORIZER: 'yes'}}
  api:
    handler: bootstrap
    environment: {MARK: api}
    events:
`

// start serves a file: what stands in it besides name, runtime and functions, and the events of api, one a line.
func start(t *testing.T, provider string, events ...string) *world {
	t.Helper()
	return startWith(t, head+provider+functions+"      - "+strings.Join(events, "\n      - ")+"\n")
}

func startWith(t *testing.T, doc string) *world {
	t.Helper()
	service, err := serverless.Read([]byte(doc), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clock: &clock{now: time.Now()}}
	g, err := gateway.Start(t.Context(), gateway.Config{
		Service: service, Bootstrap: func(string) string { return scripted },
		REST: "127.0.0.1:0", HTTP: "127.0.0.1:0", WebSocket: "127.0.0.1:0", Now: w.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	w.rest, w.http, w.socket = g.RESTURL(), g.HTTPURL(), g.WebSocketURL()
	return w
}

// Authorizers, as the files here spell them.
const (
	restAuthorizer  = `{name: auth, type: request, resultTtlInSeconds: 0, identitySource: method.request.header.Authorization}`
	tokenAuthorizer = `{name: auth, type: token, resultTtlInSeconds: 0}`
	authorizers     = `
  httpApi:
    authorizers:
      iam: {type: request, functionName: auth, resultTtlInSeconds: 0, identitySource: [$request.header.Authorization]}
      one: {type: request, functionName: auth, resultTtlInSeconds: 0, payloadVersion: '1.0', identitySource: [$request.header.Authorization]}
      two: {type: request, functionName: auth, resultTtlInSeconds: 0, identitySource: [$request.header.Authorization, $request.querystring.tenant]}
      simple: {type: request, functionName: auth, resultTtlInSeconds: 0, enableSimpleResponses: true, identitySource: [$request.header.Authorization]}
      anybody: {type: request, functionName: auth, resultTtlInSeconds: 0}
      cached: {type: request, functionName: auth, resultTtlInSeconds: 60, identitySource: [$request.header.Authorization]}
      cachedSimple: {type: request, functionName: auth, resultTtlInSeconds: 60, enableSimpleResponses: true, identitySource: [$request.header.Authorization]}
      cachedRoute: {type: request, functionName: auth, resultTtlInSeconds: 60, enableSimpleResponses: true, identitySource: [$request.header.Authorization, $context.routeKey]}
`
)

func rest(methodAndPath string) string {
	method, path, _ := strings.Cut(methodAndPath, " ")
	return fmt.Sprintf("http: {method: %s, path: '%s', authorizer: %s}", method, path, restAuthorizer)
}

func httpAPI(methodAndPath, authorizer string) string {
	method, path, _ := strings.Cut(methodAndPath, " ")
	return fmt.Sprintf("httpApi: {method: %s, path: '%s', authorizer: %s}", method, path, authorizer)
}

type response struct {
	status int
	header http.Header
	body   string
}

// line is what a client sees first: the status, the type of the error where one is given, and the body.
func (r response) line() string {
	if kind := r.header.Get("X-Amzn-Errortype"); kind != "" {
		return fmt.Sprintf("%d %s %s", r.status, kind, r.body)
	}
	return fmt.Sprintf("%d %s", r.status, r.body)
}

// impatient bounds every request: longer than an HTTP API waits for its authorizer.
var impatient = &http.Client{
	Timeout:       15 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

const token = "Authorization: Bearer t"

// send makes a request with a token and with headers, "Name: value".
func send(t *testing.T, method, url string, headers ...string) response {
	t.Helper()
	return sendAs(t, method, url, append(headers, token)...)
}

func sendAs(t *testing.T, method, url string, headers ...string) response {
	t.Helper()
	return exchange(t, method, url, "", headers...)
}

func post(t *testing.T, url, body string, headers ...string) response {
	t.Helper()
	return exchange(t, "POST", url, body, headers...)
}

func exchange(t *testing.T, method, url, body string, headers ...string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		if name == "user-agent" {
			req.Header["User-Agent"] = []string{""} // else the client adds its own
		}
		req.Header[name] = append(req.Header[name], value) // as it is spelt
	}
	resp, err := impatient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(answer)}
}

// order is a header that tells a function what to do: "auth" or "api".
func order(who, what, argument string) string {
	return "X-" + who + ": " + who + ":" + what + "=" + base64.RawURLEncoding.EncodeToString([]byte(argument))
}

// answered orders the authorizer to answer this.
func answered(answer string) string { return order("auth", "answer", answer) }

// policy is an authorizer's answer with these statements, and further members as they are.
func policy(statements string, members ...string) string {
	return `{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[` + statements + `]}` + strings.Join(append([]string{""}, members...), ",") + `}`
}

func statement(effect, resource string, elements ...string) string {
	return `{"Effect":"` + effect + `","Action":"execute-api:Invoke","Resource":"` + resource + `"` + strings.Join(append([]string{""}, elements...), ",") + `}`
}

const (
	restARN = "arn:aws:execute-api:us-east-1:123456789012:localrest0/dev/"
	httpARN = "arn:aws:execute-api:us-east-1:123456789012:localhttp0/$default/"
)

// document is a part of an event.
type document map[string]any

// at gives the value at a path of names, as JSON; "" where there is none.
func (d document) at(path string) string {
	var v any = map[string]any(d)
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		if _, has := m[name]; !has {
			return ""
		}
		v = m[name]
	}
	if s, isText := v.(string); isText {
		return s
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// events are those that one request made: the authorizer's and the handler's.
func events(t *testing.T, r response) (authorizer, handler document) {
	t.Helper()
	if r.status != 200 {
		t.Fatalf("the request did not reach its handler: %s", r.line())
	}
	if err := json.Unmarshal([]byte(r.body), &handler); err != nil {
		t.Fatal(err)
	}
	passed := handler.at("requestContext.authorizer.event")
	if passed == "" {
		passed = handler.at("requestContext.authorizer.lambda.event")
	}
	if passed != "" {
		if err := json.Unmarshal([]byte(passed), &authorizer); err != nil {
			t.Fatal(err)
		}
	}
	return authorizer, handler
}

// asked gives the authorizer's event alone.
func asked(t *testing.T, r response) document {
	t.Helper()
	authorizer, _ := events(t, r)
	return authorizer
}

// counted reads a counter of the gateway's page.
func (w *world) counted(t *testing.T, metric, labels string) int {
	t.Helper()
	page := sendAs(t, "GET", w.http+"/__gatehouse/metrics").body
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(metric+"{"+labels+"}") + ` (\d+)$`).FindStringSubmatch(page)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // digits
	return n
}

// invocations is how often the authorizer was asked.
func (w *world) invocations(t *testing.T) int {
	t.Helper()
	return w.counted(t, "gatehouse_invocations_total", `function="auth"`)
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

// Answers of the gateway itself.
const (
	rest401      = `401 UnauthorizedException {"message":"Unauthorized"}`
	http401      = `401 {"message":"Unauthorized"}`
	rest500      = `500 AuthorizerConfigurationException {"message":null}`
	http500      = `500 {"message":"Internal Server Error"}`
	restDenied   = `403 AccessDeniedException {"Message":"User is not authorized to access this resource"}`
	restExplicit = `403 AccessDeniedException {"Message":"User is not authorized to access this resource with an explicit deny"}`
	httpDenied   = `403 {"message":"Forbidden"}`
)
