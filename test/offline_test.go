package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/internal/gateway"
	"gatehouse/internal/issuer"
	"gatehouse/internal/serverless"
)

// offline is serverless-offline on a file of test/offline. Its REST and HTTP APIs stand on one port, the REST API under its
// stage and the HTTP API at the root.
type offline struct {
	*child
	http, websocket string
}

func startOffline(t *testing.T, config, invoke string) offline {
	t.Helper()
	if _, err := os.Stat("../tools/node_modules/serverless-offline/package.json"); err != nil {
		t.Fatalf("the npm packages of tools/package.json are not installed: run `make tools` (%v)", err)
	}
	ports := freePorts(t, 3)
	// A service's directory has to be the working directory.
	c := start(t, "sh", []string{"-c", `cd offline && exec "$@"`, "sh", "node", "../../tools/node_modules/osls/bin/serverless.js",
		"offline", "start", "--config", config, "--host", "127.0.0.1", "--noSponsor",
		"--httpPort", ports[0], "--lambdaPort", ports[1], "--websocketPort", ports[2]},
		"HOME="+t.TempDir(), "SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off", "TZ=UTC", "INVOKE="+invoke)
	return offline{c, "http://127.0.0.1:" + ports[0], "ws://127.0.0.1:" + ports[2]}
}

// freePorts gives ports of the loopback address that nobody listens on. They lie below those that systems hand out for port
// 0, of which any may be another test's by the time somebody listens.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer l.Close() // when all are known, so that they differ
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no free ports")
	return nil
}

// ready waits until it has said each of these.
func (o offline) ready(t *testing.T, lines ...string) {
	t.Helper()
	for began := time.Now(); len(lines) > 0; {
		if strings.Contains(o.stderr.String(), lines[0]) {
			lines = lines[1:]
			continue
		}
		select {
		case <-o.exited:
			t.Fatalf("serverless-offline ended: %v", o.err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(began) > patience {
			t.Fatalf("serverless-offline has not said %q within %v", lines[0], patience)
		}
	}
}

// invoker serves Lambda's Invoke (Lambda API Reference) for every function of a service, by its deployed name. A
// function's error is a 200 with errorType, as AWS's runtime interface emulator has it.
func invoker(t *testing.T, s *serverless.Service, executable func(string) string, mend mender) string {
	t.Helper()
	functions := map[string]*gateway.Function{}
	for _, f := range s.Functions {
		name := s.Name + "-" + s.Stage + "-" + f.Name
		fn, err := gateway.NewFunction(gateway.FunctionConfig{
			Name: name, Bootstrap: executable(f.Name), Environment: f.Environment, Timeout: f.Timeout, Memory: f.Memory,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = fn.Close() })
		functions[name] = fn
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		f := functions[r.PathValue("name")]
		if err != nil || f == nil {
			http.Error(w, "no such function, or half an event", http.StatusNotFound)
			return
		}
		event, back := mend(event)
		payload, failure, err := f.Invoke(r.Context(), event)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		case failure != nil:
			_ = json.NewEncoder(w).Encode(map[string]string{"errorMessage": failure.Message, "errorType": failure.Type})
		default:
			_, _ = w.Write(back(payload))
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// probe is one request, for the APIs that have the route.
type probe struct {
	name    string
	apis    string // "rest", "http" or "rest http"
	method  string
	path    string // as it is sent, without the stage
	headers []string
	body    string
}

// observation is what there is to compare of a request: the answer, the answer's headers, and each field of the events
// that the authorizer and the handler got.
type observation map[string]string

const none = "(none)"

// observe sends a request, byte for byte as it is written down, to an API.
func observe(t *testing.T, base string, p probe) observation {
	t.Helper()
	if strings.HasPrefix(base, "ws:") {
		return observeSocket(t, base, p)
	}
	address, stage, _ := strings.Cut(strings.TrimPrefix(base, "http://"), "/")
	if stage != "" {
		stage = "/" + stage
	}
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	lines := append([]string{p.method + " " + stage + p.path + " HTTP/1.1", "Host: " + address}, p.headers...)
	if p.body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(p.body)))
	}
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+p.body); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: p.method})
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	o := observation{}
	for name, values := range res.Header {
		switch name {
		case "Date", "Content-Length", "Connection", "Keep-Alive": // of this connection, or of the body
		default:
			o["header "+name] = normal(strings.Join(values, " | "))
		}
	}
	answer := string(body)
	var event map[string]any
	if json.Unmarshal(body, &event) == nil && event["requestContext"] != nil {
		answer = "EVENT"
		o.events(event)
	}
	o["answer"] = strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, normal(answer)))
	return o
}

// observeSocket opens a connection and, where it may, has its event echoed.
func observeSocket(t *testing.T, base string, p probe) observation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	header := http.Header{}
	for _, h := range p.headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Add(name, value)
	}
	o := observation{}
	conn, res, err := websocket.Dial(ctx, base+p.path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		if res == nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		body, _ := io.ReadAll(res.Body) // the library keeps what there is of it
		o["answer"] = strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, normal(string(body))))
		return o
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	o["answer"] = "101 EVENT"
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"action":"echo"}`)); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	_, message, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	var event map[string]any
	if err := json.Unmarshal(message, &event); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	o.events(event)
	return o
}

// events takes an echoed event apart: the handler's, and in its context the authorizer's.
func (o observation) events(event map[string]any) {
	rc, _ := event["requestContext"].(map[string]any)
	passed, _ := rc["authorizer"].(map[string]any)
	if lambda, ok := passed["lambda"].(map[string]any); ok {
		passed = lambda
	}
	if text, ok := passed["event"].(string); ok {
		var authorizers any
		_ = json.Unmarshal([]byte(text), &authorizers) // what the function has read before
		o.flatten("authorizer", authorizers)
		delete(passed, "event")
	}
	o.flatten("handler", event)
}

func (o observation) flatten(path string, value any) {
	if object, ok := value.(map[string]any); ok && len(object) > 0 {
		for name, item := range object {
			o.flatten(path+"."+name, item)
		}
		return
	}
	text, _ := json.Marshal(value) // it has just been read
	o[path] = normal(string(text))
	switch name := strings.ToLower(path[strings.LastIndex(path, ".")+1:]); {
	case name == "integrationlatency" && text[0] != '"':
		o[path] = "<ms>"
	case name == "x-forwarded-port":
		o[path] = "<port>"
	}
}

// What differs from one run to the next, by nature.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:<port>"},
	{regexp.MustCompile(`\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000`), "<time>"},
	{regexp.MustCompile(`[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT\+0000 \(.*\)`), "<time in JavaScript's words>"},
	{regexp.MustCompile(`\b1[6-9]\d{11}\b`), "<ms since 1970>"},
	{regexp.MustCompile(`Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=0`), "<trace>"},
	{regexp.MustCompile(`^"?[0-9A-Za-z_-]{15}="?$`), "<id>"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "<id>"},
	{regexp.MustCompile(`^(\["|")?[A-Za-z0-9+/]{22}==("\]|")?$`), "$1<key>$2"},
}

func normal(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return text
}

// found is one field of one request in which the two gateways differ.
type found struct{ request, field, ours, theirs string }

// compare names the fields that differ. Events are compared where both let the request through.
func compare(request string, ours, theirs observation) []found {
	var all []found
	fields := maps.Clone(ours)
	maps.Copy(fields, theirs)
	value := func(o observation, field string) string {
		if v, ok := o[field]; ok {
			return v
		}
		return none
	}
	both := ours["answer"] == theirs["answer"] && strings.HasSuffix(ours["answer"], "EVENT")
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		a, b := value(ours, field), value(theirs, field)
		event := strings.HasPrefix(field, "handler.") || strings.HasPrefix(field, "authorizer.")
		if a != b && (both || !event) {
			all = append(all, found{request, field, a, b})
		}
	}
	return all
}

// do is an instruction for the function of the gateway's own tests; MARK makes the authorizers' another than the handlers'.
func do(mark, name, argument string) string {
	return mark + ":" + name + "=" + base64.RawURLEncoding.EncodeToString([]byte(argument))
}

func authorizerDoes(name, argument string) string {
	return "Authorization: Bearer " + do("auth", name, argument)
}

// authorizerHint tells the authorizer outside of what answers are kept by.
func authorizerHint(name, argument string) string { return "X-Hint: " + do("auth", name, argument) }

func handlerDoes(name, argument string) string { return "X-Do: " + do("do", name, argument) }

// statements wraps a policy's statements as an authorizer answers them; more is added to the answer.
func statements(list string, more ...string) string {
	return `{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[` + list + `]}` + strings.Join(more, "") + `}`
}

const allowAnything = `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}`

func allowResource(resource string) string {
	return statements(strings.Replace(allowAnything, `"*"`, resource, 1))
}

// probes are the requests, in their order: where answers are kept, the second of a pair depends on the first.
func probes() []probe {
	const token = "Authorization: Bearer x"
	var all []probe
	add := func(apis, name, method, path string, headers ...string) {
		all = append(all, probe{name: name, apis: apis, method: method, path: path, headers: headers})
	}
	post := func(apis, name, path, body string, headers ...string) {
		all = append(all, probe{name, apis, "POST", path, headers, body})
	}

	// Events, one request with everything in it for each kind of authorizer.
	full := []string{token, "User-Agent: probe", "Accept: text/html", "Accept: */*", "X-Tenant: one", "X-Tenant: two", "Cookie: a=1; b=2", "X-Forwarded-For: 203.0.113.9", "Connection: close"}
	const query = "?q=1&q=2&plus=a+b&coded=a%2Bb&empty=&Case=x"
	add("rest http", "event", "GET", "/request/a"+query, full...)
	add("http", "event, payload 1.0", "GET", "/one/a"+query, full...)
	add("rest", "event, TOKEN", "GET", "/token/a"+query, full...)
	add("rest http", "event, no authorizer", "GET", "/open"+query, full...)
	add("rest http", "event, fewest headers", "GET", "/open")
	add("rest http", "event, fewest headers, authorizer", "GET", "/request/a", token)
	add("http", "event, fewest headers, payload 1.0", "GET", "/one/a", token)
	add("rest http", "event, greedy path", "GET", "/below/a/b", token)
	add("rest http", "event, all methods", "PUT", "/files/a/b")
	add("rest http", "event, headers in odd cases", "GET", "/request/a", "authorization: Bearer x", "X-UPPER: 1", "x-lower: 2", "x-mixed: a", "X-Mixed: b")
	add("rest http", "event, cookies in two headers", "GET", "/request/a", token, "Cookie: a=1", "Cookie: b=2")
	add("rest http", "event, a cookie that RFC 6265 forbids", "GET", "/request/a", token, `Cookie: a={"b":1}`)
	add("rest http", "event, two Authorization headers", "GET", "/request/a", token, "Authorization: Bearer y")
	add("rest http", "event, a JWT", "GET", "/request/a", "Authorization: Bearer "+base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))+"."+
		base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"s","scope":"a b"}`))+".x")
	add("rest", "event, TOKEN, two Authorization headers", "GET", "/token/a", token, "Authorization: Bearer y")
	add("rest http", "event, query without values", "GET", "/open?a&b=&=c&&d=1=2")
	add("rest http", "event, query with a semicolon", "GET", "/open?a=1;b=2&c=3")
	add("rest http", "event, query that does not decode", "GET", "/open?a=%zz&b=%ff&c=1")
	add("rest http", "event, question mark alone", "GET", "/open?")
	post("rest http", "event, JSON body", "/request/a", `{"a":1}`, token, "Content-Type: application/json")
	post("rest http", "event, body without a type", "/open", "plain λ")
	post("rest http", "event, form body", "/open", "a=1&b=2", "Content-Type: application/x-www-form-urlencoded")
	post("rest http", "event, binary body", "/open", "\xff\x00\x01", "Content-Type: application/octet-stream")

	// Paths.
	for _, path := range []string{"a%20b", "a%2Fb", "%CE%BB", "a%252Fb", "a%3Fb", "a%25b", "%2e%2e", "a:b", "*", "a+b", "a;b", "a%2Bb"} {
		add("rest http", "path "+path, "GET", "/request/"+path, token)
	}
	add("rest http", "path a%20b/c%2Fd, greedy", "GET", "/below/a%20b/c%2Fd", token)
	add("rest http", "path with a trailing slash", "GET", "/request/a/", token)
	add("rest http", "path with a trailing slash, no authorizer", "GET", "/open/")
	add("rest http", "path with a trailing slash, greedy", "GET", "/files/a/")
	add("rest http", "path with two trailing slashes", "GET", "/open//")
	add("rest http", "path with two slashes", "GET", "//open")
	add("rest http", "path with two slashes inside", "GET", "/request//a", token)
	add("rest http", "path with dot segments", "GET", "/request/../open", token)
	add("rest http", "path in another case", "GET", "/Open")
	add("rest http", "path whose fixed part is encoded", "GET", "/%6Fpen")
	add("rest http", "path of 1700 bytes", "GET", "/request/"+strings.Repeat("x", 1700), authorizerDoes("answer", statements(allowAnything)))
	add("rest http", "headers of 11 KB", "GET", "/open", "X-Long: "+strings.Repeat("x", 11<<10))

	// Routes.
	add("rest http", "route unknown", "GET", "/none")
	add("rest http", "route unknown, with a token", "GET", "/none", token)
	add("rest http", "route without this method", "PATCH", "/request/a", token)
	add("rest http", "route of a greedy path with nothing for it", "GET", "/files")
	add("rest http", "route of a parameter with nothing for it", "GET", "/request/", token)
	add("rest http", "route, fixed before parameter", "GET", "/orders/special")
	add("rest http", "route, fixed without the method, parameter with it", "DELETE", "/orders/special")
	add("rest http", "route, method before ANY", "GET", "/mixed")
	add("rest http", "route, ANY for the other methods", "PUT", "/mixed")
	add("rest http", "HEAD on a route of ANY", "HEAD", "/open")
	add("rest http", "HEAD on a route of GET", "HEAD", "/request/a", token)
	add("rest http", "OPTIONS on a route of ANY", "OPTIONS", "/open")
	add("rest http", "OPTIONS on a route of GET", "OPTIONS", "/plain")
	add("rest http", "preflight of a route without CORS", "OPTIONS", "/plain", "Origin: https://app.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
	add("rest http", "request with an Origin, without CORS", "GET", "/open", "Origin: https://app.example")

	// Identity sources.
	add("rest http", "identity absent", "GET", "/request/a")
	add("http", "identity absent, payload 1.0", "GET", "/one/a")
	add("http", "identity absent, simple", "GET", "/simple/a")
	add("rest", "identity absent, TOKEN", "GET", "/token/a")
	add("rest http", "identity empty", "GET", "/request/a", "Authorization:")
	add("rest", "identity empty, TOKEN", "GET", "/token/a", "Authorization:")
	add("rest", "identity that the expression does not match", "GET", "/token/a", "Authorization: Basic x")
	add("rest", "identity that the expression matches in part", "GET", "/token/a", "Authorization: x Bearer y")
	add("rest http", "identity of two, the second absent", "GET", "/several", token)
	add("rest http", "identity of two, the second empty", "GET", "/several?key=", token)
	add("rest http", "identity of two, the first absent", "GET", "/several?key=1")
	add("rest http", "identity of two", "GET", "/several?key=1", token)
	add("rest http", "identity in the query", "GET", "/queried?key=1")
	add("rest http", "identity in the query, twice", "GET", "/queried?key=1&key=2")
	add("rest http", "identity in the query, absent", "GET", "/queried")
	add("rest http", "identity in the query, empty", "GET", "/queried?key=")
	add("rest http", "identity in the query, in another case", "GET", "/queried?KEY=1")
	add("rest http", "no identity source", "GET", "/anybody")

	// What an authorizer can answer.
	answers := map[string]string{
		"null": `null`, "a list": `[]`, "an empty object": `{}`, "the text Unauthorized": `"Unauthorized"`,
		"no principalId":                      `{"policyDocument":{"Version":"2012-10-17","Statement":[` + allowAnything + `]}}`,
		"empty principalId":                   strings.Replace(statements(allowAnything), `"p"`, `""`, 1),
		"principalId that is a number":        strings.Replace(statements(allowAnything), `"p"`, `7`, 1),
		"no policyDocument":                   `{"principalId":"p"}`,
		"no Statement":                        `{"principalId":"p","policyDocument":{"Version":"2012-10-17"}}`,
		"Statement null":                      `{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":null}}`,
		"simple answer where a policy is due": `{"isAuthorized":true}`,
		"context null in a value":             statements(allowAnything, `,"context":{"a":null}`),
		"context that is a text":              statements(allowAnything, `,"context":"a"`),
		"context that is a list":              statements(allowAnything, `,"context":["a"]`),
		"context with a list":                 statements(allowAnything, `,"context":{"a":["b"]}`),
		"context with an object":              statements(allowAnything, `,"context":{"a":{"b":1}}`),
		"context with text, number and truth": statements(allowAnything, `,"context":{"s":"x","n":1.5,"i":7,"t":true}`),
		"context empty":                       statements(allowAnything, `,"context":{}`),
		"context with principalId":            statements(allowAnything, `,"context":{"principalId":"other"}`),
		"usageIdentifierKey":                  statements(allowAnything, `,"usageIdentifierKey":"k"`),
		"usageIdentifierKey that is a number": statements(allowAnything, `,"usageIdentifierKey":1`),
		"Deny of everything":                  statements(`{"Effect":"Deny","Action":"*","Resource":"*"}`),
		"Allow and Deny":                      statements(allowAnything + `,{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"}`),
		"Deny and Allow":                      statements(`{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"},` + allowAnything),
		"no statement":                        statements(""),
		"Effect in lower case":                statements(strings.Replace(allowAnything, "Allow", "allow", 1)),
		"Effect unknown":                      statements(strings.Replace(allowAnything, "Allow", "Perhaps", 1)),
		"Action of another service":           statements(strings.Replace(allowAnything, "execute-api:Invoke", "s3:GetObject", 1)),
		"Action in lower case":                statements(strings.Replace(allowAnything, "execute-api:Invoke", "execute-api:invoke", 1)),
		"Action *":                            statements(strings.Replace(allowAnything, "execute-api:Invoke", "*", 1)),
		"Action InvalidateCache":              statements(strings.Replace(allowAnything, "execute-api:Invoke", "execute-api:InvalidateCache", 1)),
		"Action absent":                       statements(`{"Effect":"Allow","Resource":"*"}`),
		"Action list":                         statements(strings.Replace(allowAnything, `"execute-api:Invoke"`, `["s3:GetObject","execute-api:Invoke"]`, 1)),
		"Deny of another Action":              statements(allowAnything + `,{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}`),
		"NotAction":                           statements(`{"Effect":"Allow","NotAction":"s3:GetObject","Resource":"*"}`),
		"NotResource":                         statements(`{"Effect":"Allow","Action":"*","NotResource":"arn:aws:execute-api:*:*:other/*"}`),
		"Deny with NotResource":               statements(allowAnything + `,{"Effect":"Deny","Action":"*","NotResource":"arn:aws:execute-api:*:*:other/*"}`),
		"Condition of an Allow, not met":      statements(`{"Condition":{"DateLessThan":{"aws:CurrentTime":"2001-01-01T00:00:00Z"}},` + allowAnything[1:]),
		"Condition of an Allow, met":          statements(`{"Condition":{"DateLessThan":{"aws:CurrentTime":"2099-01-01T00:00:00Z"}},` + allowAnything[1:]),
		"Condition of a Deny, not met":        statements(allowAnything + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.1/32"}}}`),
		"Condition null":                      statements(`{"Condition":null,` + allowAnything[1:]),
		"Resource absent":                     statements(`{"Effect":"Allow","Action":"execute-api:Invoke"}`),
		"Resource list":                       allowResource(`["arn:aws:execute-api:us-east-1:1:other/*","*"]`),
		"Resource that is no ARN":             allowResource(`"orders"`),
		"Resource of 513 characters":          allowResource(`["*","arn:aws:execute-api:us-east-1:*:` + strings.Repeat("x", 490) + `"]`),
		"Resource of another partition":       allowResource(`"arn:aws-cn:execute-api:*:*:*"`),
		"Resource of another service":         allowResource(`"arn:aws:s3:*:*:*"`),
		"Resource of another region":          allowResource(`"arn:aws:execute-api:eu-west-1:*:*"`),
		"Resource of every API":               allowResource(`"arn:aws:execute-api:*:*:*"`),
		"Resource of a region":                allowResource(`"arn:aws:execute-api:us-east-1:*:*"`),
		"Resource of part of a region":        allowResource(`"arn:aws:execute-api:us-*:*:*"`),
		"Resource cut short at a region":      allowResource(`"arn:aws:execute-api:us-east-1:*"`),
		"Resource cut short at the service":   allowResource(`"arn:aws:execute-api:*"`),
		"Resource cut short at two wildcards": allowResource(`"arn:aws:execute-api:**"`),
		"Statement that is an object":         strings.NewReplacer("[", "", "]", "").Replace(statements(allowAnything)),
		"Version absent":                      strings.Replace(statements(allowAnything), `"Version":"2012-10-17",`, "", 1),
	}
	for name, answer := range answers {
		add("rest http", "answer: "+name, "GET", "/plain", authorizerDoes("answer", answer))
	}
	// Of the path alone: stage, verb and what follows.
	for name, resource := range map[string]string{
		"the end of the path":       "*/lain",
		"a dot for a character":     "*/GET/pl.in",
		"a question mark":           "*/GET/pl?in",
		"a wildcard within":         "*/GET/p*n",
		"any verb":                  "*/*/plain",
		"another verb":              "*/POST/*",
		"another case":              "*/GET/Plain",
		"a wildcard after the path": "*/GET/plain*",
		"a path below":              "*/GET/plain/*",
		"a plus sign":               "*/GET/plai+n",
		"a verb alone":              "*/GET/",
	} {
		add("rest http", "resource: "+name, "GET", "/plain", authorizerDoes("answer", allowResource(`"arn:aws:execute-api:*:*:`+resource+`"`)))
	}
	add("rest http", "resource: the actual path", "GET", "/request/42", authorizerDoes("answer", allowResource(`"arn:aws:execute-api:*:*:*/GET/request/42"`)))
	add("rest http", "resource: another path of the route", "GET", "/request/42", authorizerDoes("answer", allowResource(`"arn:aws:execute-api:*:*:*/GET/request/41"`)))
	add("rest http", "resource: the route's template", "GET", "/request/42", authorizerDoes("answer", allowResource(`"arn:aws:execute-api:*:*:*/GET/request/{id}"`)))
	add("rest http", "resource: Deny of the actual path", "GET", "/request/42", authorizerDoes("answer",
		statements(allowAnything+`,{"Effect":"Deny","Action":"*","Resource":"arn:aws:execute-api:*:*:*/GET/request/42"}`)))
	for name, answer := range map[string]string{
		"allowed": `{"isAuthorized":true}`, "denied": `{"isAuthorized":false}`, "with a context": `{"isAuthorized":true,"context":{"s":"x","n":1.5,"l":["b"],"o":{"a":1}}}`,
		"empty": `{}`, "text": `{"isAuthorized":"false"}`, "number": `{"isAuthorized":1}`, "null": `null`, "policy": statements(allowAnything),
	} {
		add("http", "simple answer: "+name, "GET", "/simple/a", authorizerDoes("answer", answer))
	}
	for _, route := range []struct{ apis, kind, path string }{{"rest http", "", "/plain"}, {"rest", ", TOKEN", "/token/a"}, {"http", ", payload 1.0", "/one/a"}, {"http", ", simple", "/simple/a"}} {
		add(route.apis, "error Unauthorized"+route.kind, "GET", route.path, authorizerDoes("error", "Unauthorized"))
		add(route.apis, "error of other words"+route.kind, "GET", route.path, authorizerDoes("error", "no keys"))
		add(route.apis, "panic"+route.kind, "GET", route.path, authorizerDoes("panic", "boom"))
		add(route.apis, "exit"+route.kind, "GET", route.path, authorizerDoes("exit", "3"))
	}
	add("rest http", "timeout", "GET", "/slow", authorizerDoes("hang", ""))

	// What a handler can answer.
	for name, answer := range map[string]string{
		"text body": `{"statusCode":201,"body":"made"}`, "status as text": `{"statusCode":"404","body":"x"}`, "own type": `{"statusCode":200,"headers":{"content-type":"text/html"},"body":"x"}`,
		"base64": `{"statusCode":200,"headers":{"Content-Type":"image/x"},"isBase64Encoded":true,"body":"aGk="}`, "no body": `{"statusCode":204}`, "empty body": `{"statusCode":200,"body":""}`,
		"no status": `{"message":"hi"}`, "a text": `"hi"`, "null": `null`, "a number": `5`, "a list": `[1]`,
		"status out of range": `{"statusCode":99}`, "status that is no number": `{"statusCode":"fine"}`, "body that is an object": `{"statusCode":200,"body":{"a":1}}`,
		"header that is a list": `{"statusCode":200,"headers":{"a":["b","c"]}}`, "header that is a number": `{"statusCode":200,"headers":{"a":5}}`,
		"several values": `{"statusCode":200,"headers":{"Warning":"w0"},"multiValueHeaders":{"Warning":["w1","w2"]},"body":"x"}`,
		"set-cookie":     `{"statusCode":200,"headers":{"Set-Cookie":"s=1; Path=/"},"body":"x"}`,
		"cookies":        `{"statusCode":200,"cookies":["s=1; Path=/","t=2"],"body":"x"}`,
		"challenge":      `{"statusCode":401,"headers":{"WWW-Authenticate":"Bearer"},"body":"x"}`,
		"CORS headers":   `{"statusCode":200,"headers":{"Access-Control-Allow-Origin":"https://app.example"},"body":"x"}`,
		"redirect":       `{"statusCode":302,"headers":{"Location":"/there"}}`,
		"Content-Length": `{"statusCode":200,"headers":{"X-A":"1","Content-Length":"1"},"body":"x"}`,
	} {
		add("rest http", "handler: "+name, "GET", "/open", handlerDoes("answer", answer))
	}
	add("rest http", "handler: error", "GET", "/open", handlerDoes("error", "no"))
	add("rest http", "handler: error with a status in its text", "GET", "/open", handlerDoes("error", "[404] no"))
	add("rest http", "handler: panic", "GET", "/open", handlerDoes("panic", "boom"))
	add("rest http", "handler: exit", "GET", "/open", handlerDoes("exit", "3"))

	// Answers that are kept: each request of a pair with the same token.
	for _, apis := range []string{"rest", "http"} {
		add(apis, "cache: policy of one request, the first", "GET", "/cached/1", "Authorization: Bearer one")
		add(apis, "cache: policy of one request, another path", "GET", "/cached/2", "Authorization: Bearer one")
		add(apis, "cache: the same request again, another query", "GET", "/cached/1?again=1", "Authorization: Bearer one")
		add(apis, "cache: Allow before Deny, the first", "GET", "/cached/1", "Authorization: Bearer two", authorizerHint("answer", statements(allowAnything)))
		add(apis, "cache: Allow before Deny, the second", "GET", "/cached/1", "Authorization: Bearer two", authorizerHint("answer", statements("")))
		add(apis, "cache: Deny before Allow, the first", "GET", "/cached/1", "Authorization: Bearer three", authorizerHint("answer", statements("")))
		add(apis, "cache: Deny before Allow, the second", "GET", "/cached/1", "Authorization: Bearer three", authorizerHint("answer", statements(allowAnything)))
		add(apis, "cache: error before Allow, the first", "GET", "/cached/1", "Authorization: Bearer four", authorizerHint("error", "Unauthorized"))
		add(apis, "cache: error before Allow, the second", "GET", "/cached/1", "Authorization: Bearer four", authorizerHint("answer", statements(allowAnything)))
	}
	add("http", "cache: simple answer, the first", "GET", "/kept/1", "Authorization: Bearer one", authorizerHint("answer", `{"isAuthorized":true}`))
	add("http", "cache: simple answer, another path", "GET", "/kept/2", "Authorization: Bearer one", authorizerHint("answer", `{"isAuthorized":false}`))

	// Pages of other origins.
	for _, origin := range []string{"https://app.example", "https://other.example"} {
		add("rest http", "preflight from "+origin, "OPTIONS", "/shared", "Origin: "+origin, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
		add("rest http", "request from "+origin, "GET", "/shared", token, "Origin: "+origin)
		add("rest http", "request from "+origin+", refused", "GET", "/shared", "Origin: "+origin)
	}

	add("ws", "event", "GET", "?a=1&a=2", token, "X-Tenant: one", "X-Tenant: two", "User-Agent: probe")
	add("ws", "event, no query", "GET", "", token, "User-Agent: probe")
	add("ws", "identity absent", "GET", "")
	add("ws", "identity empty", "GET", "", "Authorization: ")
	for name, instruction := range map[string]string{
		"error Unauthorized": authorizerDoes("error", "Unauthorized"), "error of other words": authorizerDoes("error", "no keys"),
		"the text Unauthorized": authorizerDoes("answer", `"Unauthorized"`), "no principalId": authorizerDoes("answer", `{}`),
		"Deny of everything": authorizerDoes("answer", statements(`{"Effect":"Deny","Action":"*","Resource":"*"}`)), "no statement": authorizerDoes("answer", statements("")),
		"context with a list": authorizerDoes("answer", statements(allowAnything, `,"context":{"a":["b"]}`)), "allowed": authorizerDoes("answer", statements(allowAnything)),
	} {
		add("ws", "answer: "+name, "GET", "", instruction)
	}
	add("ws", "handler: refuses", "GET", "", token, handlerDoes("answer", `{"statusCode":403,"body":"no"}`))
	add("ws", "handler: error", "GET", "", token, handlerDoes("error", "no"))
	return all
}

// unmended is the header of a request of which an event is to stay as it is, the "authorizer"'s or the "handler"'s.
const unmended = "X-Unmended"

// mender changes an event on its way to the function, and gives what changes the answer back.
type mender func(event []byte) ([]byte, func(answer []byte) []byte)

func asItIs(event []byte) ([]byte, func([]byte) []byte) {
	return event, func(answer []byte) []byte { return answer }
}

// mend makes of serverless-offline's event what Gatehouse's authorizer takes, and of its answer what serverless-offline
// takes: the two disagree about the request's ARN, and the authorizer refuses an event of which two parts disagree.
// Of a handler's event it takes out what no authorizer has passed on. Nothing is changed that is not listed as a
// difference.
func mend(event []byte) ([]byte, func([]byte) []byte) {
	var e map[string]any
	if json.Unmarshal(event, &e) != nil {
		return asItIs(event)
	}
	rc := e["requestContext"].(map[string]any)
	headers, _ := e["headers"].(map[string]any)
	leave := fmt.Sprint(headers[unmended], headers[strings.ToLower(unmended)])
	if e["type"] != "REQUEST" {
		if passed, ok := rc["authorizer"].(map[string]any); ok && !strings.Contains(leave, "handler") {
			for _, name := range []string{"claims", "scopes", "jwt"} {
				delete(passed, name)
			}
		}
		mended, _ := json.Marshal(e) // it has just been read
		return asItIs(mended)
	}
	if strings.Contains(leave, "authorizer") {
		return asItIs(event)
	}
	arn, api, path, method := "methodArn", gateway.RESTAPI, e["path"], e["httpMethod"]
	if e["version"] == "1.0" { // a REST API's
		path = strings.TrimPrefix(path.(string), "/dev")
		e["path"] = path
		delete(e, "version")
		params, _ := e["pathParameters"].(map[string]any)
		for name, value := range params {
			params[name] = url.PathEscape(value.(string))
		}
	} else {
		sent := rc["http"].(map[string]any)
		path, _ = url.PathUnescape(e["rawPath"].(string))
		arn, api, method, rc["stage"], e["rawPath"], sent["path"] = "routeArn", gateway.HTTPAPI, sent["method"], "$default", path, path
	}
	theirs := e[arn].(string)
	rc["accountId"], rc["apiId"] = serverless.AccountID, api
	e[arn] = fmt.Sprintf("arn:aws:execute-api:us-east-1:%s:%s/%s/%s%s", serverless.AccountID, api, rc["stage"], method, path)
	mended, _ := json.Marshal(e) // it has just been read
	return mended, func(answer []byte) []byte { return bytes.ReplaceAll(answer, []byte(e[arn].(string)), []byte(theirs)) }
}

// TestOffline asks both gateways the same. A difference that is not listed fails, and so does a listed one that is gone.
func TestOffline(t *testing.T) {
	var probed, sample []found
	var n, m int
	t.Run("ask", func(t *testing.T) { // returns when both have
		t.Run("probes", func(t *testing.T) {
			t.Parallel()
			probed, n = compareProbes(t)
		})
		t.Run("sample", func(t *testing.T) {
			t.Parallel()
			sample, m = compareSample(t)
		})
	})
	if t.Failed() {
		return // half of the answers say nothing
	}
	patterns := make([]*regexp.Regexp, len(differences))
	for i, d := range differences {
		patterns[i] = d.pattern()
	}
	seen := make([]bool, len(differences))
	for _, f := range append(probed, sample...) {
		line := strings.Join([]string{f.request, f.field, f.ours, f.theirs}, "\t")
		i := slices.IndexFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(line) })
		if i < 0 {
			t.Errorf("not listed: %s: %s\n\tours   %.300s\n\ttheirs %.300s", f.request, f.field, f.ours, f.theirs)
			continue
		}
		seen[i] = true
	}
	for i, d := range differences {
		if !seen[i] {
			t.Errorf("listed, and no longer there: %s", d.id)
		}
	}
	t.Logf("%d requests to each gateway, %d fields differ for %d reasons", n+m, len(probed)+len(sample), len(differences))
}

// compareProbes has both read probes.yml.
func compareProbes(t *testing.T) (all []found, requests int) {
	doc, err := os.ReadFile("offline/probes.yml")
	if err != nil {
		t.Fatal(err)
	}
	service, err := serverless.Read(doc, func(string) (string, bool) { return "", true })
	if err != nil {
		t.Fatal(err)
	}
	for i := range service.Functions {
		service.Functions[i].Runtime = "provided.al2023"
	}
	function := build(t, "probe", "./internal/gateway/testdata/bootstrap", "-tags", "lambda.norpc")
	executable := func(string) string { return function }
	theirs := startOffline(t, "probes.yml", invoker(t, service, executable, asItIs))
	ours, err := gateway.Start(t.Context(), gateway.Config{
		Service: service, Bootstrap: executable, REST: "127.0.0.1:0", HTTP: "127.0.0.1:0", WebSocket: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs.ready(t, "Server ready: ", "[websocket] listening on ")
	bases := map[string][2]string{
		"rest": {ours.RESTURL(), theirs.http + "/" + service.Stage}, "http": {ours.HTTPURL(), theirs.http}, "ws": {ours.WebSocketURL(), theirs.websocket},
	}
	for _, p := range probes() {
		for _, api := range strings.Fields(p.apis) {
			all = append(all, compare(api+" "+p.name, observe(t, bases[api][0], p), observe(t, bases[api][1], p))...)
			requests++
		}
	}
	return all, requests
}

// compareSample sends the table of the sample API to both, the same executables behind both.
func compareSample(t *testing.T) (all []found, requests int) {
	s := serve(t)
	auth0, err := json.Marshal(map[string]any{"version": "v1", "roles_claim": issuer.RolesClaim, "issuers": []any{map[string]any{
		"issuer": s.issuer, "audiences": []string{issuer.Audience}, "algorithms": []string{"RS256"}, "profile": "auth0",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../serverless.yml")
	if err != nil {
		t.Fatal(err)
	}
	service, err := serverless.Read(doc, func(name string) (string, bool) { return string(auth0), name == "GATEHOUSE_AUTH0" })
	if err != nil {
		t.Fatal(err)
	}
	theirs := startOffline(t, "serverless.offline.yml", invoker(t, service, func(function string) string { return bootstrap(t, function) }, mend))
	credentials := map[string]string{"nobody": "", "a bad token": "Bearer x.y.z", "an expired token": "Bearer " + s.token(t, "--as", "admin", "--expires", "-1m")}
	for _, person := range people {
		credentials[person] = "Bearer " + s.token(t, "--as", person)
	}
	theirs.ready(t, "Server ready: ")
	ask := func(p probe) {
		all = append(all, compare("sample rest "+p.name, observe(t, s.rest, p), observe(t, theirs.http+"/"+service.Stage, p))...)
		all = append(all, compare("sample http "+p.name, observe(t, s.http, p), observe(t, theirs.http, p))...)
		requests += 2
	}
	for _, row := range rows {
		for who, authorization := range credentials {
			p := probe{name: row.method + " " + row.path + " by " + who, method: row.method, path: row.path, body: row.content}
			if authorization != "" {
				p.headers = append(p.headers, "Authorization: "+authorization)
			}
			if row.content != "" {
				p.headers = append(p.headers, "Content-Type: application/json")
			}
			ask(p)
		}
	}
	for _, who := range []string{"authorizer", "handler"} {
		ask(probe{name: "event of the " + who + " as it is", method: "GET", path: "/orders/42", headers: []string{"Authorization: " + credentials["admin"], unmended + ": " + who}})
	}
	return all, requests
}

// TestSecondOpinion holds the document against the list. -update rewrites it.
func TestSecondOpinion(t *testing.T) {
	ids := map[string]bool{}
	for _, d := range differences {
		if d.id == "" || ids[d.id] || d.here == "" || d.there == "" || d.source == "" {
			t.Errorf("%+v: incomplete, or its id is another's", d)
		}
		ids[d.id] = true
	}
	const file = "../docs/second-opinion.md"
	want := secondOpinion()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the list says: go test ./test -run SecondOpinion -update", file)
	}
}

func secondOpinion() string {
	var b strings.Builder
	b.WriteString(`# A second opinion on the local gateway

What Gatehouse does behind API Gateway is tried behind ` + "`internal/gateway`" + `, which follows API Gateway's documents as its authors
read them. [serverless-offline](https://github.com/dherault/serverless-offline) follows them as others do.
` + "`test/offline_test.go`" + ` sends both the same requests, byte for byte: the sample API's table of people and routes as a REST API and
as an HTTP API, and some hundreds of probes, WebSocket handshakes among them. The same executables answer behind both.
Status, body, headers and every field of the events that authorizer and handler get are compared; ids, times and ports are
not.

Every difference is below. One that is not fails the test, and so does one that is gone. *Right* is who does as AWS's
documents say, or a live capture shows; *unknown* is where neither was found. The tables are made from the test's list by
` + "`go test ./test -run SecondOpinion -update`" + `.

On the sample API both give everybody the same status on every route, once serverless-offline's events are mended
(event-contradicts, event-claims). It cannot be asked about an answer that is no JSON, since its functions are Node's; about
an HTTP API's $default route, since both its APIs share a port; or about what is written into $connect's handler's event.
`)
	for _, part := range []struct {
		title string
		sides []side
	}{
		{"Gatehouse's gateway is wrong", []side{offlines, neither}},
		{"Nobody can say", []side{unknown}},
		{"serverless-offline is wrong", []side{gatehouses}},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n", part.title)
		of := slices.DeleteFunc(slices.Clone(differences), func(d difference) bool { return !slices.Contains(part.sides, d.right) })
		if len(of) == 0 {
			b.WriteString("In nothing that is known.\n")
			continue
		}
		b.WriteString("| | Gatehouse's gateway | serverless-offline | right | source |\n| --- | --- | --- | --- | --- |\n")
		for _, d := range of {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", d.id, cell(d.here), cell(d.there), d.right, cell(d.source))
		}
	}
	return b.String()
}

// cell keeps a text from being read as Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`, "{", `\{`, "_", `\_`).Replace(text)
}

type side string

const (
	gatehouses side = "Gatehouse"
	offlines   side = "serverless-offline"
	neither    side = "neither"
	unknown    side = "unknown"
)

// difference is one way in which the two gateways differ. What is a case of it is said by regular expressions of the whole
// of a request's name, a field's name and the two values; "" is any.
type difference struct {
	id                           string
	request, field, ours, theirs string
	here, there                  string // what each does
	right                        side
	source                       string
}

func (d difference) pattern() *regexp.Regexp {
	parts := []string{d.request, d.field, d.ours, d.theirs}
	for i, part := range parts {
		if part == "" {
			part = `[^\t]*`
		}
		parts[i] = "(?:" + part + ")"
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, `\t`) + "$")
}

// What serverless-offline answers in its own words.
const (
	offline401 = `401 \{"statusCode":401,"error":"Unauthorized","message":"Unauthorized"\}`
	offline403 = `403 \{"statusCode":403,"error":"Forbidden","message":"User is not authorized to access this resource"\}`
	offline404 = `404 \{"currentRoute":.*`
	own403     = `403 \{"[Mm]essage":"(Forbidden|User is not authorized to access this resource( with an explicit deny)?)"\}`
	own404     = `(403 \{"message":"Missing Authentication Token"\}|404 \{"message":"Not Found"\})`
	own500     = `500 \{"message":(null|"Internal Server Error")\}`
	own502     = `(502 \{"message":"Internal server error"\}|500 \{"message":"Internal Server Error"\})`
)

// differences are all of them, by what they are about. Of two that could explain the same, the first does.
var differences = []difference{
	// An authorizer's refusals, failures and answers.
	{
		id: "authorizer-fails", request: `\w+ (error of other words|panic|exit|timeout).*`, field: "answer", ours: own500, theirs: offline401,
		here: "an authorizer that fails, panics, ends or takes too long: 500", there: "401, as for bad credentials", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway response types\": AUTHORIZER_FAILURE, AUTHORIZER_CONFIGURATION_ERROR; \"Working with AWS Lambda authorizers for HTTP APIs\": troubleshooting",
	},
	{
		id: "answer-text-unauthorized", request: `(rest|http) answer: the text Unauthorized`, field: "answer", ours: own500, theirs: offline401,
		here: "the result \"Unauthorized\" is no policy: 500; only the error of that text is a 401", there: "401", right: gatehouses,
		source: "API Gateway Developer Guide, \"Use API Gateway Lambda authorizers\": 401 for the error; \"Output from an API Gateway Lambda authorizer\"",
	},
	{
		id: "answer-malformed", request: `(rest|http) answer: (null|no policyDocument|no Statement|Statement null|Resource absent)|http simple answer: null`, field: "answer", ours: own500, theirs: offline401,
		here: "an answer that is no policy: 500", there: "401: its own error, caught", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway response types\": AUTHORIZER_CONFIGURATION_ERROR; \"Working with AWS Lambda authorizers for HTTP APIs\": troubleshooting",
	},
	{
		id: "principal-absent", request: `(rest|http) answer: (a list|an empty object|simple answer where a policy is due|no principalId|empty principalId)`, field: "answer", ours: own500, theirs: `403 .*"No principalId set on the Response"\}`,
		here: "no principalId: 500", there: "403", right: unknown,
		source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\", requires it and does not say what happens; no page has a 403 for an authorizer's bad answer",
	},
	{
		id: "principal-number", request: `(rest|http) answer: principalId that is a number`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "a principalId that is a number: 500", there: "allowed", right: unknown,
		source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\", shows a string",
	},
	{
		id: "usage-key-number", request: `(rest|http) answer: usageIdentifierKey that is a number`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "a usageIdentifierKey that is a number: 500", there: "allowed", right: unknown,
		source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\", shows a string",
	},
	{
		id: "simple-truthy", request: `http simple answer: (text|number)`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "isAuthorized of another type than true or false, \"false\" too: 500", there: "allowed", right: gatehouses,
		source: "API Gateway Developer Guide, \"Working with AWS Lambda authorizers for HTTP APIs\": response format, a boolean",
	},
	{
		id: "simple-form", request: `http simple answer: (empty|policy)`, field: "answer", ours: own500, theirs: offline403,
		here: "an answer of another form than the configured one: 500", there: "403", right: gatehouses,
		source: "API Gateway Developer Guide, \"Working with AWS Lambda authorizers for HTTP APIs\": troubleshooting",
	},
	{
		id: "context-form", request: `(rest|http) answer: context (that is a text|null in a value)|rest answer: context with an? (list|object)`, field: "answer|header X-Amzn-Errortype", ours: own500 + `|\(none\)`, theirs: `500 \{"statusCode":500,"error":"AuthorizerConfigurationException".*|AuthorizerConfigurationException`,
		here: "a context that may not be: 500 with API Gateway's own body", there: "500, the exception in the body, and on an HTTP API in x-amzn-ErrorType too", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway response types\": the default body has the message alone; HTTP APIs have no gateway responses",
	},
	{
		id: "context-is-a-list", request: `(rest|http) answer: context that is a list`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "a list in the place of the context: 500", there: "allowed, as {\"0\": …}", right: gatehouses,
		source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\": key-value pairs",
	},
	{
		id: "context-structured", request: `http answer: context with an? (list|object)`, field: "answer|header X-Amzn-Errortype", ours: `200 EVENT|\(none\)`, theirs: `500 .*|AuthorizerConfigurationException`,
		here: "lists and objects in an HTTP API's context are passed on", there: "500, as on a REST API", right: gatehouses,
		source: "API Gateway Developer Guide, \"Working with AWS Lambda authorizers for HTTP APIs\"",
	},
	{
		id: "context-typed", request: "http .*", field: `handler\.requestContext\.authorizer\.lambda\..*`, ours: "true|[0-9.]+", theirs: `"(true|[0-9.]+)"`,
		here: "an HTTP API keeps numbers and truth values as they are", there: "makes text of them where the answer is a policy", right: gatehouses,
		source: "API Gateway Developer Guide, \"Working with AWS Lambda authorizers for HTTP APIs\"; test fixtures of aws-lambda-go, apigw-v2-request-lambda-authorizer.json",
	},
	{
		id: "context-none", request: "http .*", field: `handler\.requestContext\.authorizer\.lambda`, ours: "null", theirs: `\{\}`,
		here: "no context: lambda is null", there: "lambda is an empty object", right: unknown, source: "documented nowhere",
	},
	{
		id: "context-claims", request: "(rest|http|sample .*) .*", field: `handler\.requestContext\.authorizer\.(claims|scopes|jwt)(\..*)?`, ours: `\(none\)`,
		here: "a handler gets what the authorizer passes on", there: "also the claims of the bearer token, decoded and not verified", right: gatehouses,
		source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\", \"Working with AWS Lambda authorizers for HTTP APIs\"; jwt is for JWT authorizers (\"Controlling access to HTTP APIs with JWT authorizers\")",
	},
	{
		id: "context-latency", field: `handler\.requestContext\.authorizer\.integrationLatency`, ours: "<ms>",
		here: "integrationLatency in milliseconds, beside the context", there: "absent; \"42\" on a WebSocket API", right: gatehouses,
		source: "API Gateway Developer Guide, \"API Gateway mapping template and access logging variable reference\": $context.authorizer.integrationLatency",
	},
	{
		id: "event-contradicts", request: "sample (rest|http) event of the authorizer as it is", field: "answer", ours: "200 .*", theirs: offline401,
		here: "Gatehouse's authorizer gets an event whose parts agree: 200", there: "account random-account-id and a template in the ARN: the authorizer refuses the event, and its error is a 401", right: gatehouses,
		source: "API Gateway Developer Guide, \"Input to an API Gateway Lambda authorizer\": ARN of the request; see arn-template, placeholders. The test mends the event for every other request to the sample API",
	},
	{
		id: "event-claims", request: "sample (rest|http) event of the handler as it is", field: "answer", ours: "200 .*", theirs: `500 \{"message":"internal server error","code":"internal"\}`,
		here: "Gatehouse's handler gets the authorizer's context: 200", there: "the claims beside it: the handler takes no context that Gatehouse has not written", right: gatehouses,
		source: "as context-claims. The test mends the event for every other request to the sample API",
	},

	// Policies.
	{
		id: "effect-case", request: `(rest|http) answer: Effect in lower case`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "\"allow\" is no effect: 500", there: "allowed", right: gatehouses, source: "IAM User Guide, \"IAM JSON policy elements: Effect\": the value is case-sensitive",
	},
	{
		id: "effect-unknown", request: `(rest|http) answer: Effect unknown`, field: "answer", ours: own500, theirs: offline403,
		here: "an effect that does not exist: 500", there: "403", right: gatehouses, source: "IAM User Guide, \"IAM JSON policy elements: Effect\"; API Gateway Developer Guide, \"Gateway response types\": AUTHORIZER_CONFIGURATION_ERROR",
	},
	{
		id: "action-absent", request: `(rest|http) answer: Action absent`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "a statement without Action: 500", there: "allowed", right: gatehouses, source: "IAM User Guide, \"Grammar of the IAM JSON policy language\"",
	},
	{
		id: "action-ignored", request: `(rest|http) answer: (Action (of another service|InvalidateCache)|Deny of another Action)`, field: "answer", ours: own403 + "|200 EVENT", theirs: "200 EVENT|" + offline403,
		here: "a statement about other actions than execute-api:Invoke neither allows nor denies", there: "Action is not read", right: gatehouses,
		source: "API Gateway Developer Guide, \"Control access for invoking an API\": Action format; IAM User Guide, \"IAM JSON policy elements: Action\"",
	},
	{
		id: "condition-ignored", request: `(rest|http) answer: Condition of .*, not met`, field: "answer", ours: own403 + "|200 EVENT", theirs: "200 EVENT|" + offline403,
		here: "a statement whose Condition does not hold neither allows nor denies", there: "Condition is not read", right: gatehouses,
		source: "IAM User Guide, \"IAM JSON policy elements: Condition\"; API Gateway Developer Guide, \"AWS condition keys that can be used in API Gateway resource policies\"",
	},
	{
		id: "condition-null", request: `(rest|http) answer: Condition null`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "a null for a Condition: 500", there: "allowed", right: gatehouses, source: "github.com/aws/aws-lambda-dotnet, issue 2022: AuthorizerConfigurationException",
	},
	{
		id: "not-resource", request: `(rest|http) answer: (Deny with )?NotResource`, field: "answer", ours: own403 + "|200 EVENT", theirs: offline401,
		here: "NotResource: all but what it names", there: "401: its own error, caught", right: gatehouses, source: "IAM User Guide, \"IAM JSON policy elements: NotResource\"",
	},
	{
		id: "statement-object", request: `(rest|http) answer: Statement that is an object`, field: "answer", ours: "200 EVENT", theirs: offline401,
		here: "one statement without the list round it", there: "401: its own error, caught", right: gatehouses, source: "IAM User Guide, \"IAM JSON policy elements: Statement\"",
	},
	{
		id: "resource-too-long", request: `(rest|http) answer: Resource of 513 characters`, field: "answer", ours: own500, theirs: "200 EVENT",
		here: "a Resource of more than 512 characters: 500", there: "allowed", right: gatehouses, source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\": 512 characters",
	},
	{
		id: "resource-no-arn", request: `(rest|http) answer: Resource that is no ARN`, field: "answer", ours: own500, theirs: offline403,
		here: "a Resource that is neither * nor an ARN: 500", there: "403", right: unknown, source: "IAM User Guide, \"IAM JSON policy elements: Resource\", wants an ARN; what API Gateway makes of another text is documented nowhere",
	},
	{
		id: "resource-part-of-region", request: `(rest|http) answer: Resource of part of a region`, field: "answer", ours: "200 EVENT", theirs: offline403,
		here: "us-* is every region that begins so", there: "region, account and API are * or exact", right: gatehouses, source: "IAM User Guide, \"IAM JSON policy elements: Resource\": wildcards within a part",
	},
	{
		id: "resource-other-partition", request: `(rest|http) answer: Resource of another (partition|service)`, field: "answer", ours: own403, theirs: offline401,
		here: "an ARN of another partition or service does not match: 403", there: "401: its own error, caught", right: gatehouses, source: "IAM User Guide, \"IAM JSON policy elements: Resource\", \"Policy evaluation logic\"",
	},
	{
		id: "resource-pattern", request: `(rest|http) resource: (the end of the path|a dot for a character|a plus sign)`, field: "answer", ours: own403, theirs: "200 EVENT",
		here: "only * and ? stand for other characters, and the whole has to match", there: "a regular expression, unescaped and open at its start: */lain allows /plain, and pl.in does", right: gatehouses,
		source: "IAM User Guide, \"IAM JSON policy elements: Resource\"",
	},
	{
		id: "resource-actual-path", request: `(rest|http) resource: (the actual path|the route's template|Deny of the actual path)`, field: "answer", ours: own403 + "|200 EVENT", theirs: offline403 + "|200 EVENT",
		here: "a policy names the path that is asked for", there: "it names the route's template: an Allow or a Deny of /request/42 does not match", right: gatehouses,
		source: "github.com/dherault/serverless-offline, issues 273, 274 and 1586, with ARNs that CloudWatch shows",
	},

	// Caching.
	{
		id: "cache", request: `(rest|http) cache: .*(another path|the second)`, field: "answer", ours: own403 + "|200 EVENT", theirs: offline403 + "|200 EVENT",
		here: "with resultTtlInSeconds 300 a second request with the same identity gets the first answer, evaluated for its own ARN", there: "the authorizer is asked each time", right: gatehouses,
		source: "API Gateway Developer Guide, \"Configure a Lambda authorizer using the API Gateway console\": authorization caching; \"Working with AWS Lambda authorizers for HTTP APIs\": caching authorizer responses",
	},
	{
		id: "cache-event", request: `(rest|http) cache: the same request again, another query`, field: `authorizer\.(rawQueryString|(multiValueQ|q)ueryStringParameters(\.again)?)`,
		here: "the context is that of the first request", there: "that of the second", right: gatehouses, source: "as cache",
	},

	// Identity sources.
	{
		id: "identity-empty", request: `(rest|http) identity (empty.*|in the query, empty)`, field: "answer", ours: `401 \{"message":"Unauthorized"\}`, theirs: "200 EVENT",
		here: "an empty identity source: 401, and the authorizer is not asked", there: "it is asked", right: gatehouses,
		source: "API Gateway API Reference, CreateAuthorizer: identitySource (\"missing, null, or empty\"); Developer Guide, \"Input to an API Gateway Lambda authorizer\"",
	},
	{
		id: "identity-expression", request: `rest identity that the expression .*`, field: "answer", ours: `401 \{"message":"Unauthorized"\}`, theirs: "200 EVENT",
		here: "a token that identityValidationExpression does not match: 401, and the authorizer is not asked", there: "it is asked, with an empty token", right: gatehouses,
		source: "API Gateway API Reference, CreateAuthorizer: identityValidationExpression",
	},
	{
		id: "identity-second", request: `(rest|http) identity of two, the second .*`, field: "answer", ours: `401 \{"message":"Unauthorized"\}`, theirs: "200 EVENT",
		here: "every identity source has to be there", there: "only the first is looked at", right: gatehouses, source: "API Gateway API Reference, CreateAuthorizer: identitySource",
	},
	{
		id: "identity-websocket", request: `ws identity (absent|empty)`, field: "answer", ours: `401 \{"message":"Unauthorized"\}`, theirs: "101 EVENT",
		here: "a WebSocket API's identity sources have to be there too", there: "they are not looked at", right: gatehouses,
		source: "API Gateway API Reference (V2), CreateAuthorizer: identitySource; Developer Guide, \"Create a Lambda REQUEST authorizer function\" for WebSocket APIs",
	},

	// The gateway's own answers.
	{
		id: "refusal-401", field: "answer", ours: `401 \{"message":"Unauthorized"\}`, theirs: `401 \{"statusCode":401,.*`,
		here: "401 {\"message\":\"Unauthorized\"}", there: "401 with statusCode, error and message, \"User is not authorized to access this resource\" where the identity is missing", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway response types\": UNAUTHORIZED",
	},
	{
		id: "refusal-configured", request: "sample rest .*", field: "answer|header (Www-Authenticate|Access-Control-Allow-Origin)", ours: `403 \{"message":"Forbidden","denied_by":.*|Bearer|http://.*`, theirs: offline403 + `|\(none\)`,
		here: "the file's gateway responses: what denied, the decision's id, WWW-Authenticate, who may read it", there: "gateway responses are not read", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway responses in API Gateway\"",
	},
	{
		id: "refusal-403", field: "answer", ours: own403, theirs: offline403,
		here: "403 {\"Message\":\"User is not authorized …\"} on a REST API, {\"message\":\"Forbidden\"} on an HTTP API", there: "403 with statusCode, error and message, the same for every refusal", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway response types\": ACCESS_DENIED; github.com/aws/chalice, issue 971: a live answer",
	},
	{
		id: "error-type", field: "header X-Amzn-Errortype", ours: "[A-Z][A-Za-z]+Exception", theirs: `\(none\)`,
		here: "a REST API's own answers have x-amzn-ErrorType", there: "they have none, but for a bad context", right: gatehouses, source: "github.com/aws/chalice, issue 971: a live answer",
	},
	{
		id: "no-route", field: "answer", ours: own404, theirs: offline404,
		here: "no such route: 403 Missing Authentication Token on a REST API, 404 Not Found on an HTTP API", there: "404 with a list of all routes", right: gatehouses,
		source: "API Gateway Developer Guide, \"Gateway response types\": MISSING_AUTHENTICATION_TOKEN; \"Create routes for HTTP APIs\"",
	},
	{
		id: "request-ids", field: "header (X-Amzn-Requestid|X-Amz-Apigw-Id|Apigw-Requestid)", theirs: `\(none\)`,
		here: "the request's ids in x-amzn-RequestId and x-amz-apigw-id, or in apigw-requestid", there: "none", right: gatehouses, source: "github.com/aws/chalice, issue 971: a live answer; apigw-requestid documented nowhere",
	},
	{
		id: "own-headers", request: "(rest|http|sample .*) .*", field: "header (Cache-Control|Accept-Ranges|Vary)", theirs: "no-cache|bytes|(Origin,)?(origin|accept-encoding|origin,accept-encoding)",
		here: "no Cache-Control, no Accept-Ranges, Vary only as CORS needs it", there: "those of its HTTP library, hapi", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": the headers are the function's; none of these is documented",
	},
	{
		id: "limit-arn", request: `(rest|http) path of 1700 bytes`, field: "answer", ours: `414 .*`, theirs: "200 EVENT",
		here: "an ARN of more than 1600 bytes: 414", there: "no limit", right: gatehouses, source: "API Gateway Developer Guide, \"Output from an API Gateway Lambda authorizer\"",
	},
	{
		id: "limit-headers", request: `(rest|http) headers of 11 KB`, field: "answer", ours: `431 .*`, theirs: "200 EVENT",
		here: "more than 10,240 bytes of headers: 431", there: "no limit below 16 KB", right: gatehouses, source: "API Gateway Developer Guide, \"Quotas\"; the status is documented nowhere",
	},

	// Routes and paths.
	{
		id: "http-trailing-slash", request: `http path with a trailing slash.*`, field: `answer|handler\..*`, ours: `404 .*|".*/"`, theirs: `200 EVENT|".*[^/]"`,
		here: "an HTTP API's /open/ is not /open, and a greedy parameter keeps the slash", there: "the slash is dropped", right: gatehouses, source: "github.com/aws-powertools/powertools-lambda-python, pull request 1609, after tests on live APIs: only REST APIs take /hello/ for /hello; github.com/storacha/w3infra, pull request 166",
	},
	{
		id: "rest-trailing-slash", request: `rest path with a trailing slash.*`, field: `(handler|authorizer)\.(path|pathParameters\.proxy|requestContext\.path)`, ours: `".*/"`, theirs: `".*[^/]"`,
		here: "the event's path has the trailing slash that was sent", there: "it is dropped", right: unknown, source: "documented nowhere; a REST API's path is otherwise as it was sent",
	},
	{
		id: "dot-segments", request: `(rest|http) path (with dot segments|%2e%2e)`, field: "answer", ours: own404 + "|200 EVENT", theirs: "200 EVENT|" + offline404,
		here: "/a/../b and %2e%2e are a path like any other", there: "they are resolved before there is a route", right: unknown, source: "documented nowhere",
	},
	{
		id: "rest-encoded-route", request: `rest path whose fixed part is encoded`, field: "answer", ours: own404, theirs: "200 EVENT",
		here: "a REST API's /%6Fpen is not /open", there: "it is", right: unknown, source: "documented nowhere; live captures of github.com/hotsock/voker have a REST API's path as it was sent",
	},
	{
		id: "http-encoded-slash", request: `http path a%2Fb`, field: "answer", ours: own404, theirs: "200 EVENT",
		here: "an HTTP API decodes %2F before it looks for a route: two segments", there: "one segment", right: unknown, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/ingress-paths.json, show the slash decoded in the event of $default; routing is documented nowhere",
	},
	{
		id: "greedy-empty", request: `(rest|http) route of a greedy path with nothing for it`, field: "answer", ours: own404, theirs: "200 EVENT",
		here: "/files/{proxy+} does not take /files", there: "it does", right: gatehouses, source: "API Gateway Developer Guide, \"Set up a proxy integration with a proxy resource\": child resources; \"Create routes for HTTP APIs\"",
	},
	{
		id: "rest-resource-first", request: `rest route, fixed without the method, parameter with it`, field: "answer", ours: own404, theirs: "200 EVENT",
		here: "a REST API finds the resource first: /orders/special without DELETE is no DELETE /orders/{id}", there: "the method decides with the path", right: gatehouses, source: "API Gateway Developer Guide, \"Setting up REST API methods in API Gateway\": a method belongs to a resource",
	},
	{
		id: "head", request: `(rest|http) HEAD on a route of GET`, field: "answer", ours: "40[34]", theirs: "200",
		here: "HEAD is a method of its own", there: "a GET route answers it", right: gatehouses, source: "API Gateway Developer Guide, \"Setting up REST API methods in API Gateway\"; \"Create routes for HTTP APIs\"",
	},
	{
		id: "options", request: `(rest|http) OPTIONS on a route of .*`, field: "answer", theirs: `404 .*"CORS error: Missing Access-Control-Request-Method header"\}`,
		here: "OPTIONS without CORS headers is a request: a route of ANY takes it", there: "404 CORS error, before any route", right: gatehouses, source: "API Gateway Developer Guide, \"Setting up REST API methods in API Gateway\": ANY; \"Create routes for HTTP APIs\"",
	},

	// CORS.
	{
		id: "cors-other-origin", request: `(rest|http) (preflight|request) from https://other\.example.*`, field: "answer|header Access-Control-.*|header Content-Type", ours: `200|https://app\.example|true|OPTIONS,GET|60|application/json|\(none\)`,
		here: "an origin that is not configured gets no CORS headers; a REST API's preflight has its one origin for all", there: "the origin is sent back as allowed, with credentials", right: gatehouses, source: "API Gateway Developer Guide, \"Configuring CORS for an HTTP API\"; Serverless Framework documentation, \"API Gateway (REST)\": cors",
	},
	{
		id: "cors-of-http-on-rest", request: `rest (preflight (from https://app\.example|of a route without CORS)|request (from https://app\.example.*|with an Origin, without CORS))`, field: "answer|header (Access-Control-.*|Content-Type)", ours: `200|403 .*|\(none\)|OPTIONS,GET|application/json`, theirs: `204|true|Authorization|GET,DELETE|https://app\.example|Warning.*|60|\(none\)`,
		here: "a REST API's preflight is its own: 200, the resource's methods; a handler's answer gets no CORS headers", there: "provider.httpApi.cors counts on both APIs, with or without cors at the event", right: gatehouses, source: "Serverless Framework documentation, \"API Gateway (REST)\": cors; \"HTTP API\": provider.httpApi.cors; API Gateway Developer Guide, \"Enabling CORS for a REST API resource\": proxy integrations",
	},
	{
		id: "cors-extra", request: `http (request (from https://app\.example.*|with an Origin, without CORS)|preflight (from https://app\.example|of a route without CORS))`, field: "header Access-Control-.*", ours: `Warning|\(none\)`,
		here: "an HTTP API's preflight answer has methods, headers and age, any other the exposed headers", there: "all of them on every answer, the exposed headers twice", right: unknown, source: "API Gateway Developer Guide, \"Configuring CORS for an HTTP API\", does not say which come with which answer; Fetch Standard, \"CORS protocol\": each means something in one of the two only",
	},
	{
		id: "cors-from-handler", request: `http handler: CORS headers|sample http .*`, field: "header Access-Control-.*", ours: `\(none\)`, theirs: `https?://.*|Warning`,
		here: "an HTTP API with CORS drops what its handler says of it", there: "it is passed on", right: gatehouses, source: "API Gateway Developer Guide, \"Configuring CORS for an HTTP API\": CORS headers from the integration are ignored",
	},
	{
		id: "cors-exposed", field: "header Access-Control-Expose-Headers", ours: `\(none\)|Warning`, theirs: "(Warning,)?WWW-Authenticate,Server-Authorization",
		here: "exposed headers are those that the file or the handler names", there: "its default ones are added, on a 404 without CORS too", right: gatehouses, source: "API Gateway Developer Guide, \"Configuring CORS for an HTTP API\"",
	},

	// Handlers' answers.
	{
		id: "handler-fails-http", request: `http handler: (error|panic|exit).*`, field: "answer", ours: own502, theirs: `200 \{"errorMessage":.*`,
		here: "a handler of an HTTP API that fails: 500", there: "200 with the error's text and stack", right: gatehouses, source: "API Gateway Developer Guide, \"Troubleshooting HTTP API Lambda integrations\"",
	},
	{
		id: "handler-fails-status", request: `rest handler: error with a status in its text`, field: "answer", ours: own502, theirs: "404",
		here: "a proxy integration's error is a 502, whatever its text", there: "\"[404]\" in the text is the status", right: gatehouses, source: "API Gateway Developer Guide, \"Handle Lambda errors in API Gateway\": selection patterns are for custom integrations",
	},
	{
		id: "handler-fails-body", request: `rest handler: (error|panic|exit|null)`, field: "answer", ours: own502, theirs: "502",
		here: "502 {\"message\":\"Internal server error\"}", there: "502 without a body", right: gatehouses, source: "API Gateway Developer Guide, \"Gateway response types\": DEFAULT_5XX",
	},
	{
		id: "handler-status", request: `(rest|http) handler: status (out of range|that is no number)`, field: "answer", ours: own502, theirs: `500 \{"statusCode":500,.*`,
		here: "a statusCode that is none: as a failed handler", there: "500 of its HTTP library", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": output format, 502",
	},
	{
		id: "handler-body-object", request: `(rest|http) handler: body that is an object`, field: "answer", ours: own502, theirs: `502 \{"errorMessage":"According to .*`,
		here: "a body that is no text: as a failed handler", there: "502 with an explanation and a stack", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": output format",
	},
	{
		id: "handler-no-status", request: `rest handler: (no status|a text|a number|a list)`, field: "answer", ours: own502, theirs: `200.*`,
		here: "a REST API's handler that answers without statusCode: 502", there: "200", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": another format is a 502",
	},
	{
		id: "handler-null-http", request: `http handler: null`, field: "answer", ours: "200", theirs: `500 .*`,
		here: "null from an HTTP API's handler: 200 without a body", there: "500 of its own error", right: unknown, source: "API Gateway Developer Guide, \"Working with AWS Lambda proxy integrations for HTTP APIs\": valid JSON without statusCode is a body, of which null is not spoken",
	},
	{
		id: "handler-header-list", request: `(rest|http) handler: header that is a list`, field: "answer|header A", ours: own502 + `|\(none\)`, theirs: "200|b,c",
		here: "a list in headers: as a failed handler", there: "its values, joined", right: unknown, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": lists belong in multiValueHeaders; what happens is not said",
	},
	{
		id: "handler-several-values", request: `(rest|http) handler: several values`, field: "header Warning",
		here: "each value of multiValueHeaders is a header line", there: "one line, with commas", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": multi-value headers",
	},
	{
		id: "handler-rest-cookies", request: `rest handler: cookies`, field: "answer", ours: `502 .*`, theirs: "200 x",
		here: "cookies are no part of a REST API's answer: 502, malformed", there: "they are passed over", right: gatehouses,
		source: "github.com/rails-lambda/lamby, issue 78, and github.com/nitrojs/nitro, issue 544: 502, Malformed Lambda proxy response; API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": the output format has no cookies",
	},
	{
		id: "handler-challenge", request: `rest handler: challenge`, field: "header (Www-Authenticate|X-Amzn-Remapped-Www-Authenticate)",
		here: "a REST API renames a handler's WWW-Authenticate", there: "it is passed on", right: gatehouses, source: "API Gateway Developer Guide, \"Amazon API Gateway important notes\"",
	},
	{
		id: "handler-base64", request: `rest handler: base64`, field: "answer", ours: "200 aGk=", theirs: "200 hi",
		here: "a REST API decodes base64 only for its binaryMediaTypes", there: "always", right: gatehouses, source: "API Gateway Developer Guide, \"Content type conversions in API Gateway\"",
	},
	{
		id: "content-type-default", request: "(sample )?http .*", field: "header Content-Type", ours: "text/plain; charset=utf-8", theirs: "application/json; charset=utf-8",
		here: "an HTTP API's answer with a statusCode and without a type is text/plain", there: "application/json", right: gatehouses, source: "github.com/fujiwara/ridge, pull request 9, and github.com/awslabs/aws-lambda-go-api-proxy, issue 116, both from live answers; the documents give a type only for answers without statusCode",
	},
	{
		id: "content-type-charset", field: "header Content-Type", ours: "(application/json|text/html)", theirs: "(application/json|text/html); charset=utf-8",
		here: "a type is what the function, or the gateway, says", there: "; charset=utf-8 is added", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\": the headers are the function's; github.com/aws/chalice, issue 971: a live answer of the gateway's own",
	},

	// WebSocket handshakes.
	{
		id: "websocket-unauthorized", request: "ws answer: error Unauthorized", field: "answer", ours: "401 .*", theirs: "500 .*",
		here: "the error Unauthorized at $connect: 401", there: "500", right: gatehouses, source: "API Gateway Developer Guide, \"Create a Lambda REQUEST authorizer function\" for WebSocket APIs",
	},
	{
		id: "websocket-text-unauthorized", request: "ws answer: the text Unauthorized", field: "answer", ours: "500 .*", theirs: "401 .*",
		here: "the result \"Unauthorized\" is no policy: 500", there: "401", right: gatehouses, source: "as answer-text-unauthorized",
	},
	{
		id: "websocket-principal-absent", request: "ws answer: no principalId", field: "answer", ours: "500 .*", theirs: "403 .*",
		here: "no principalId at $connect: 500", there: "403", right: unknown, source: "as principal-absent",
	},
	{
		id: "websocket-bodies", request: "ws .*", field: "answer", ours: `(403|500|502) .*`, theirs: `(403|500|502) .*`,
		here: "a refused handshake has the body of a gateway response, or the handler's", there: "the status in words, or the context's fault", right: unknown, source: "API Gateway Developer Guide, \"Create a Lambda REQUEST authorizer function\" for WebSocket APIs, shows the status alone",
	},

	// Events: the ARN.
	{
		id: "arn-template", field: `authorizer\.(methodArn|routeArn)`, ours: `"arn:aws:execute-api:us-east-1:123456789012:.*`,
		here: "the ARN has the path that is asked for, and an HTTP API's stage $default", there: "the route's template and {proxy*} for it, stage dev (\"local\" on a WebSocket API), account random-account-id or undefined", right: gatehouses,
		source: "github.com/dherault/serverless-offline, issues 273, 274 and 1586; SwiftAWSLambdaRuntime's fixture of a live HTTP API authorizer event",
	},

	// Events: the TOKEN event.
	{
		id: "token-first-value", request: `rest event, TOKEN, two Authorization headers`, field: `authorizer\.authorizationToken`, ours: `"Bearer y"`, theirs: `"Bearer x"`,
		here: "of two Authorization headers the last is the token", there: "the first", right: unknown, source: "live captures of github.com/hotsock/voker have the last in headers; which is the token is documented nowhere",
	},
	{
		id: "token-extra", request: `rest event, TOKEN.*`, field: `authorizer\..*`, ours: `\(none\)`,
		here: "a TOKEN event has type, authorizationToken and methodArn", there: "also all of a REQUEST event", right: gatehouses, source: "API Gateway Developer Guide, \"Input to an API Gateway Lambda authorizer\"",
	},

	// Events: what serverless-offline makes up or leaves out.
	{
		id: "rest-version", request: "rest .*", field: `authorizer\.(version|identitySource|authorizationToken)`, ours: `\(none\)`,
		here: "a REST API's REQUEST event has no version, identitySource or authorizationToken", there: "it has, as payload 1.0 of an HTTP API", right: gatehouses, source: "API Gateway Developer Guide, \"Input to an API Gateway Lambda authorizer\"; \"Working with AWS Lambda authorizers for HTTP APIs\"",
	},
	{
		id: "enhanced-context", field: `authorizer\.enhancedAuthContext`, ours: `\(none\)`, theirs: `\{\}`,
		here: "no such field", there: "enhancedAuthContext, empty", right: gatehouses, source: "API Gateway Developer Guide, \"Input to an API Gateway Lambda authorizer\"",
	},
	{
		id: "placeholders", field: `(handler|authorizer)\.requestContext\.(accountId|apiId|domainName|domainPrefix|requestId|extendedRequestId|resourceId|connectionId|messageId)`,
		ours: `"?(123456789012|local(rest|http|webs)0.*|<id>|<uuid>|[0-9a-f]{6})"?|\(none\)`, theirs: `"(random-.*|offlineContext_.*|private|localhost|<uuid>|(GET|POST) .*)"`,
		here: "ids of the forms that AWS's have: 12 digits, an API's id, its domain", there: "random-account-id, offlineContext_apiId, private, localhost, UUIDs; messageId at $connect too", right: gatehouses, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\", \"Create a Lambda REQUEST authorizer function\" for WebSocket APIs: sample events",
	},
	{
		id: "websocket-identity", request: "ws .*", field: `(handler|authorizer)\.requestContext\.identity(\..*)?`,
		here: "identity has sourceIp and userAgent", there: "the authorizer's has all fields of a REST API's, null, userAgent too; the handler's loses sourceIp and userAgent", right: gatehouses, source: "API Gateway Developer Guide, \"Create a Lambda REQUEST authorizer function\" for WebSocket APIs: sample event",
	},
	{
		id: "identity-placeholders", field: `handler\.requestContext\.identity\..*`, ours: `\(none\)`,
		here: "identity has sourceIp and userAgent, which are all that is known", there: "all the others too, as null or offlineContext_user", right: unknown, source: "API Gateway Developer Guide, \"Set up Lambda proxy integrations in API Gateway\", shows them as null; absent and null are the same to a reader",
	},
	{
		id: "identity-of-authorizer", field: `authorizer\.requestContext\.(identity|http)\.(sourceIp|userAgent)`, theirs: `\(none\)`,
		here: "the authorizer's event has sourceIp and userAgent", there: "it has neither", right: gatehouses, source: "API Gateway Developer Guide, \"Input to an API Gateway Lambda authorizer\"; \"Working with AWS Lambda authorizers for HTTP APIs\"",
	},
	{
		id: "time-form", field: `authorizer\.requestContext\.(time|requestTime)`, ours: `"<time>"`,
		here: "15/Dec/2023:20:35:03 +0000", there: "Fri Dec 15 2023 20:35:03 GMT+0000 (…)", right: gatehouses, source: "API Gateway Developer Guide, \"API Gateway mapping template and access logging variable reference\": $context.requestTime is in Common Log Format",
	},
	{
		id: "stage", field: `(handler|authorizer)\.requestContext\.stage`, ours: `"(\$default|dev)"`, theirs: `"(dev|local)"`,
		here: "an HTTP API's stage is $default, a WebSocket API's the provider's", there: "dev in an authorizer's event, local on a WebSocket API", right: gatehouses, source: "SwiftAWSLambdaRuntime's fixture and live captures of github.com/hotsock/voker: the stage of the request's own URL",
	},
	{
		id: "stage-variables", field: `(handler|authorizer)\.stageVariables`,
		here: "stageVariables is empty in the authorizer's event, absent in payload 2.0", there: "absent, and null in payload 2.0", right: unknown, source: "API Gateway Developer Guide, \"Input to an API Gateway Lambda authorizer\", shows an object; live captures of github.com/hotsock/voker show null for a handler",
	},
	{
		id: "null-or-absent", request: "(http|rest) .*", field: `(handler|authorizer)\.(body|cookies|pathParameters|(multiValueQ|q)ueryStringParameters)`, ours: `\(none\)|\{\}`, theirs: `null|\[\]`,
		here: "what is empty is absent in payload 2.0, {} in a REST API authorizer's event", there: "null, or an empty list of cookies", right: unknown, source: "API Gateway Developer Guide, sample events: {} in \"Input to an API Gateway Lambda authorizer\", absent in SwiftAWSLambdaRuntime's fixture of a live HTTP API event",
	},

	// Events: paths.
	{
		id: "path-greedy-name", field: `(handler|authorizer)\.(resource|routeKey|requestContext\.(routeKey|resourcePath))`, ours: `.*\{proxy\+\}"`, theirs: `.*\{proxy\*\}"`,
		here: "{proxy+}", there: "{proxy*}, as its HTTP library has it", right: gatehouses, source: "API Gateway Developer Guide, \"Set up a proxy integration with a proxy resource\"",
	},
	{
		id: "path-plus", request: `rest path a%2Bb`, field: `authorizer\.requestContext\.path|handler\.path`,
		here: "a REST API's path is as it was sent", there: "%2B is decoded", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv1-request.json",
	},
	{
		id: "path-stage", request: "rest .*", field: `authorizer\.path|handler\.requestContext\.(path|resourcePath)`,
		here: "a REST API's path is without the stage, requestContext.path with it, resourcePath without", there: "path with it in the authorizer's event; requestContext.path without and resourcePath with it in the handler's", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv1-request.json; API Gateway Developer Guide, \"API Gateway mapping template and access logging variable reference\"",
	},
	{
		id: "http-path-template", request: "http .*", field: `authorizer\.requestContext\.http\.path`, theirs: `".*\{.*\}"`,
		here: "requestContext.http.path is the path that is asked for", there: "the route's template", right: gatehouses, source: "SwiftAWSLambdaRuntime's fixture of a live HTTP API authorizer event",
	},
	{
		id: "http-path-twice-decoded", request: `http path (a%252Fb|a%25b)`, field: "answer", ours: `40[04] .*`, theirs: "200 EVENT",
		here: "an HTTP API's path is decoded twice: %252F is a slash, so that no route takes it, and %25 before a letter does not decode", there: "not at all", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/ingress-paths.json: /literal%252Fvalue arrives as /literal/value, and /percent%25done is rejected",
	},
	{
		id: "http-path-decoded", request: `http path .*`, field: `(handler|authorizer)\.(rawPath|requestContext\.http\.path)`,
		here: "an HTTP API's path is decoded, and ends at an encoded question mark", there: "as it was sent", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv2-request.json and ingress-paths.json",
	},
	{
		id: "http-param-question", request: `http path a%3Fb`, field: `(handler|authorizer)\.pathParameters\.id`, ours: `"a"`, theirs: `"a\?b"`,
		here: "an HTTP API's path parameter ends at an encoded question mark too", there: "it goes on", right: unknown, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/ingress-paths.json, show the path; no parameter was captured",
	},
	{
		id: "rest-params-encoded", request: `rest path .*`, field: `(handler|authorizer)\.pathParameters\.(id|proxy)`,
		here: "a REST API's path parameters are as they were sent", there: "decoded", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv1-request.json: proxy is capture/space%20value",
	},

	// Events: the query.
	{
		id: "query-repeated", request: "http .*", field: `authorizer\.(queryStringParameters\.(q|key)|rawQueryString|identitySource)`,
		here: "payload 2.0 joins repeated parameters with commas, and rawQueryString is as it was sent", there: "the last value alone, and a query made up from that and decoded; identitySource likewise", right: gatehouses, source: "API Gateway Developer Guide, \"Working with AWS Lambda proxy integrations for HTTP APIs\": duplicate query strings; live captures of github.com/hotsock/voker. That identitySource has all values of one source is documented nowhere",
	},
	{
		id: "query-raw", request: "http event, query .*", field: `handler\.rawQueryString`,
		here: "rawQueryString is as it was sent", there: "it is written anew", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv2-request.json",
	},

	// Events: headers and the body.
	{
		id: "headers-forwarded", field: `(handler|authorizer)\.(headers|multiValueHeaders)\.(X-Forwarded-.*|x-forwarded-.*|X-Amzn-Trace-Id|x-amzn-trace-id)`, theirs: `\(none\)|\[?"203\.0\.113\.9"\]?`,
		here: "X-Forwarded-For with the client's address at its end, -Port, -Proto, and X-Amzn-Trace-Id", there: "only what the client sent", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata",
	},
	{
		id: "headers-length", request: `rest .*`, field: `(handler|authorizer)\.(headers|multiValueHeaders)\.Content-Length`, ours: `\(none\)`,
		here: "a REST event has no Content-Length", there: "it has", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv1-request.json: a POST without it",
	},
	{
		id: "headers-connection", field: `(handler|authorizer)\.(headers|multiValueHeaders)\.[Cc]onnection`, ours: `\(none\)`,
		here: "Connection belongs to one hop", there: "it is passed on", right: gatehouses, source: "RFC 9110, section 7.6.1",
	},
	{
		id: "http-headers-joined", request: "http .*", field: `handler\.headers\..*`, ours: `".*,.*"`,
		here: "payload 2.0 joins repeated headers with commas", there: "the last value alone", right: gatehouses, source: "API Gateway Developer Guide, \"Working with AWS Lambda proxy integrations for HTTP APIs\"; live captures of github.com/hotsock/voker",
	},
	{
		id: "http-cookies", request: "http .*", field: `(handler\.headers\.cookie|authorizer\.(cookies|headers\.[Cc]ookie))`,
		here: "payload 2.0 has cookies in a list and no cookie header", there: "the header as well; in an authorizer's event the header alone", right: gatehouses, source: "live captures of github.com/hotsock/voker, vokerhttp/testdata/apigwv2-request.json; API Gateway Developer Guide, \"Working with AWS Lambda authorizers for HTTP APIs\"",
	},
	{
		id: "http-headers-case", request: "http .*", field: `authorizer\.headers\..*`,
		here: "payload 2.0 has header names in lower case, values joined", there: "as the client wrote them in an authorizer's event, the last value alone", right: gatehouses, source: "API Gateway Developer Guide, \"Working with AWS Lambda proxy integrations for HTTP APIs\"; SwiftAWSLambdaRuntime's fixture of a live HTTP API authorizer event",
	},
	{
		id: "cookie-syntax", request: `(rest|http) event, a cookie that RFC 6265 forbids`, field: "answer", ours: "200 EVENT", theirs: `400 .*"Invalid cookie value"\}`,
		here: "a Cookie header is passed on unread", there: "400", right: gatehouses, source: "documented nowhere; API Gateway has no gateway response for it (Developer Guide, \"Gateway response types\")",
	},
	{
		id: "body-type", request: "(rest|http) event, body without a type", field: `handler\.(headers|multiValueHeaders)\.[Cc]ontent-[Tt]ype`, ours: `\(none\)`,
		here: "a body without Content-Type stays without", there: "application/json is made up", right: unknown, source: "documented nowhere; API Gateway Developer Guide, \"Content type conversions in API Gateway\", takes application/json for a REST API's mapping templates",
	},
	{
		id: "body-base64", request: "(rest|http) event, (body without a type|form body|binary body)", field: `handler\.(body|isBase64Encoded)`,
		here: "a REST API's body is base64 for its binaryMediaTypes, an HTTP API's for all that is not text, JSON, XML or JavaScript", there: "wherever the type says binary", right: gatehouses, source: "API Gateway Developer Guide, \"Content type conversions in API Gateway\"; github.com/ministackorg/ministack, pull request 766, read off a live HTTP API",
	},
}
