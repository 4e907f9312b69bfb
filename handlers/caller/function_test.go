package caller

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

var _ lambda.Handler = (*Function)(nil)

var update = flag.Bool("update", false, "rewrite the golden files")

// logged is a function whose clock stands at now and whose log is kept.
func logged(f *Function) (*Function, *bytes.Buffer) {
	log := new(bytes.Buffer)
	f.now = func() time.Time { return now }
	f.log = slog.New(slog.NewJSONHandler(log, nil))
	return f, log
}

func ok(context.Context, Request) Response { return Response{Status: 200, Body: "served"} }

// answer is what either kind of API gets, read back.
type answer struct {
	StatusCode        int
	Headers           map[string]string
	MultiValueHeaders map[string][]string
	Body              string
}

func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		t.Fatalf("body %q: %v", a.Body, err)
	}
	return p
}

func invoke(t *testing.T, f *Function, event []byte) answer {
	t.Helper()
	out, err := f.Invoke(t.Context(), event)
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("answer %s: %v", out, err)
	}
	return a
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edit changes a whole event by a function over its decoded form.
func edit(t *testing.T, event []byte, change func(e map[string]any)) []byte {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	change(e)
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sub(e map[string]any, path ...string) map[string]any {
	for _, name := range path {
		e = e[name].(map[string]any)
	}
	return e
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, path); !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s:\ngot  %s\nwant %s", path, b.Bytes(), want)
	}
}

// The same request through either kind of API is the same Request, and the Response goes back in the form of each.
func TestBothKinds(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rest", "http"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, log := logged(Guarded(func(_ context.Context, r Request) Response {
				seen, err := json.Marshal(r)
				if err != nil {
					t.Error(err)
				}
				golden(t, filepath.Join("testdata", "request.golden"), seen)
				return Response{Status: 201, Body: map[string]int{"n": 1}, Headers: map[string]string{"Location": "orders/1"}}
			}))
			out, err := f.Invoke(t.Context(), read(t, filepath.Join("testdata", kind+".json")))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", kind+".response.golden"), out)
			if log.Len() > 0 {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   string
		change func(e map[string]any)
		want   func(r Request) bool
	}{
		"REST: parameters are decoded once": {"rest", func(e map[string]any) { sub(e, "pathParameters")["id"] = "a%252Fb" },
			func(r Request) bool { return r.Params["id"] == "a%2Fb" }},
		"REST: a plus in a path is a plus": {"rest", func(e map[string]any) { sub(e, "pathParameters")["id"] = "a+b" },
			func(r Request) bool { return r.Params["id"] == "a+b" }},
		"HTTP: parameters are not decoded again": {"http", func(e map[string]any) { sub(e, "pathParameters")["id"] = "a%2Fb" },
			func(r Request) bool { return r.Params["id"] == "a%2Fb" }},
		"HTTP: a comma in a value is the client's": {"http", func(e map[string]any) { e["rawQueryString"] = "q=1,2&q=3" },
			func(r Request) bool { return slices.Equal(r.Query["q"], []string{"1,2", "3"}) }},
		"HTTP: no query": {"http", func(e map[string]any) { e["rawQueryString"] = "" },
			func(r Request) bool { return len(r.Query) == 0 }},
		"REST: null maps": {"rest", func(e map[string]any) { e["pathParameters"], e["multiValueQueryStringParameters"] = nil, nil },
			func(r Request) bool { return len(r.Params) == 0 && len(r.Query) == 0 }},
		"REST: text body": {"rest", func(e map[string]any) { e["body"] = "a=b" },
			func(r Request) bool { return string(r.Body) == "a=b" }},
		"REST: base64 body": {"rest", func(e map[string]any) {
			e["body"], e["isBase64Encoded"] = base64.StdEncoding.EncodeToString([]byte{0, 255}), true
		}, func(r Request) bool { return bytes.Equal(r.Body, []byte{0, 255}) }},
		"HTTP: base64 body": {"http", func(e map[string]any) { e["body"], e["isBase64Encoded"] = "e30=", true },
			func(r Request) bool { return string(r.Body) == "{}" }},
		"HTTP: no body": {"http", func(map[string]any) {},
			func(r Request) bool { return len(r.Body) == 0 }},
		"HTTP: a route for any method": {"http", func(e map[string]any) { e["routeKey"] = "ANY /orders" },
			func(r Request) bool { return r.Route == "GET /orders" && r.Method == "GET" }},
		"HTTP: the default route": {"http", func(e map[string]any) { e["routeKey"] = "$default" },
			func(r Request) bool { return r.Route == "$default" && r.Method == "GET" }},
		"unknown fields": {"http", func(e map[string]any) { e["new"], sub(e, "requestContext")["new"] = 1, []int{1} },
			func(r Request) bool { return r.Caller.Subject == "auth0|cust" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called := false
			f, log := logged(Guarded(func(_ context.Context, r Request) Response {
				called = true
				if !test.want(r) {
					t.Errorf("got %+v", r)
				}
				return Response{Status: 200}
			}))
			if a := invoke(t, f, edit(t, read(t, "testdata/"+test.kind+".json"), test.change)); a.StatusCode != 200 || !called {
				t.Errorf("got %+v, handler called: %v, log %s", a, called, log)
			}
		})
	}
}

// What a guarded function refuses before its handler sees it.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   string
		change func(e map[string]any)
		status int
		code   string
		id     string // decision id in the body
		log    string
	}{
		"REST: no authorizer": {"rest", func(e map[string]any) { delete(sub(e, "requestContext"), "authorizer") },
			500, "internal", "", "no authorizer context"},
		"REST: null authorizer": {"rest", func(e map[string]any) { sub(e, "requestContext")["authorizer"] = nil },
			500, "internal", "", "no authorizer context"},
		"HTTP: no authorizer": {"http", func(e map[string]any) { delete(sub(e, "requestContext"), "authorizer") },
			500, "internal", "", "no authorizer context"},
		"HTTP: a JWT authorizer's": {"http", func(e map[string]any) {
			sub(e, "requestContext")["authorizer"] = map[string]any{"jwt": map[string]any{"claims": map[string]any{"sub": "secret-sub"}}}
		}, 500, "internal", "", "no authorizer context"},
		"HTTP: the context where REST has it": {"http", func(e map[string]any) {
			sub(e, "requestContext")["authorizer"] = sub(e, "requestContext", "authorizer", "lambda")
		}, 500, "internal", "", "no authorizer context"},
		"REST: the context where HTTP has it": {"rest", func(e map[string]any) {
			sub(e, "requestContext")["authorizer"] = map[string]any{"lambda": sub(e, "requestContext", "authorizer")}
		}, 500, "internal", "", `\"lambda\": want text`},
		"REST: no subject": {"rest", func(e map[string]any) { delete(sub(e, "requestContext", "authorizer"), "sub") },
			500, "internal", "", `\"sub\": missing`},
		"HTTP: a list for text": {"http", func(e map[string]any) { sub(e, "requestContext", "authorizer", "lambda")["scope"] = []string{"a"} },
			500, "internal", "", `\"scope\": want text`},
		"REST: expired": {"rest", func(e map[string]any) { sub(e, "requestContext", "authorizer")["exp"] = "1795341299" },
			401, "token_expired", "d-1", `"decision_id":"d-1"`},
		"HTTP: expired": {"http", func(e map[string]any) { sub(e, "requestContext", "authorizer", "lambda")["exp"] = "1795341299" },
			401, "token_expired", "d-1", `"route":"GET /users/{id}/orders"`},
		"REST: bad escape in the path": {"rest", func(e map[string]any) { sub(e, "pathParameters")["id"] = "%zz" },
			400, "request_malformed", "d-1", ""},
		"REST: not UTF-8 in the path": {"rest", func(e map[string]any) { sub(e, "pathParameters")["id"] = "%ff" },
			400, "request_malformed", "d-1", ""},
		"HTTP: bad escape in the query": {"http", func(e map[string]any) { e["rawQueryString"] = "q=%zz" },
			400, "request_malformed", "d-1", ""},
		"REST: no method": {"rest", func(e map[string]any) { delete(e, "httpMethod") },
			500, "internal", "", "no httpMethod or no resource"},
		"REST: no resource": {"rest", func(e map[string]any) { delete(e, "resource") },
			500, "internal", "", "no httpMethod or no resource"},
		"REST: misshapen": {"rest", func(e map[string]any) { e["pathParameters"] = []string{"secret"} },
			500, "internal", "", "read REST API event"},
		"REST: body not base64": {"rest", func(e map[string]any) { e["body"], e["isBase64Encoded"] = "{}", true },
			500, "internal", "", "decode body"},
		"HTTP: no method": {"http", func(e map[string]any) { delete(sub(e, "requestContext"), "http") },
			500, "internal", "", "no requestContext.http.method or no routeKey"},
		"HTTP: no route": {"http", func(e map[string]any) { delete(e, "routeKey") },
			500, "internal", "", "no requestContext.http.method or no routeKey"},
		"HTTP: another method than the route's": {"http", func(e map[string]any) { sub(e, "requestContext", "http")["method"] = "DELETE" },
			500, "internal", "", `method \"DELETE\" under route`},
		"HTTP: misshapen": {"http", func(e map[string]any) { e["pathParameters"] = []string{"secret"} },
			500, "internal", "", "read HTTP API event"},
		"HTTP: body not base64": {"http", func(e map[string]any) { e["body"], e["isBase64Encoded"] = "{}", true },
			500, "internal", "", "decode body"},
		"payload format 1.0": {"rest", func(e map[string]any) { e["version"] = "1.0" },
			500, "internal", "", `payload format \"1.0\"`},
		"version not text": {"rest", func(e map[string]any) { e["version"] = 2 },
			500, "internal", "", "read event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, log := logged(Guarded(func(context.Context, Request) Response {
				t.Error("the handler was called")
				return Response{}
			}))
			a := invoke(t, f, edit(t, read(t, "testdata/"+test.kind+".json"), test.change))
			p := a.problem(t)
			if a.StatusCode != test.status || p.Code != test.code || p.DecisionID != test.id || p.Message == "" ||
				a.Headers["Content-Type"] != "application/json" {
				t.Errorf("got %+v", a)
			}
			if !strings.Contains(log.String(), test.log) || (test.log == "") != (log.Len() == 0) {
				t.Errorf("logged %q, want %q in it", log, test.log)
			}
			if said := log.String() + a.Body; strings.Contains(said, "secret") || strings.Contains(said, "auth0|cust") {
				t.Errorf("said %s", said)
			}
		})
	}
}

// The events that AWS ships with aws-lambda-go, as they are.
func TestShippedEvents(t *testing.T) {
	t.Parallel()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		public int    // status behind Public
		log    string // of Guarded, which serves none: none has Gatehouse's context
	}{
		"apigw-request.json":                             {200, `"clientId\": want text`},
		"apigw-restapi-openapi-request.json":             {200, `"sub\": missing`},
		"apigw-v2-request-lambda-authorizer.json":        {200, `"sub\": missing`},
		"apigw-v2-request-jwt-authorizer.json":           {200, "no authorizer context"},
		"apigw-v2-request-iam.json":                      {200, "no authorizer context"},
		"apigw-v2-request-no-authorizer.json":            {200, "no authorizer context"},
		"apigw-custom-auth-request.json":                 {500, "no httpMethod or no resource"},
		"apigw-v2-custom-authorizer-v1-request.json":     {500, `payload format \"1.0\"`},
		"apigw-custom-auth-request-type-request.json":    {200, "no authorizer context"},
		"alb-lambda-target-request-headers-only.json":    {500, "no httpMethod or no resource"},
		"lambda-urls-response.json":                      {500, "no httpMethod or no resource"},
		"apigw-v2-custom-authorizer-v2-request.json":     {200, "no authorizer context"},
		"apigw-websocket-request-disconnect.json":        {500, "no httpMethod or no resource"},
		"appsync-lambda-auth-request.json":               {500, "no httpMethod or no resource"},
		"cognito-event-userpools-preauthentication.json": {500, "payload format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := read(t, filepath.Join(strings.TrimSpace(string(dir)), "events", "testdata", name))
			f, log := logged(Guarded(func(context.Context, Request) Response {
				t.Error("the handler was called")
				return Response{}
			}))
			if a := invoke(t, f, event); a.StatusCode != 500 || !strings.Contains(log.String(), test.log) {
				t.Errorf("guarded: got %+v, logged %s", a, log)
			}
			f, log = logged(Public(ok))
			if a := invoke(t, f, event); a.StatusCode != test.public {
				t.Errorf("public: got %+v, logged %s", a, log)
			}
		})
	}
}

func TestNotJSON(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"", "null", "[]", `"x"`, "{", `{"version":`} {
		f, log := logged(Guarded(ok))
		if a := invoke(t, f, []byte(event)); a.StatusCode != 500 || a.problem(t).Code != "internal" || log.Len() == 0 {
			t.Errorf("event %q: got %+v, logged %s", event, a, log)
		}
	}
}

func TestPublicHasNoCaller(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rest", "http"} {
		f, _ := logged(Public(func(_ context.Context, r Request) Response {
			if r.Caller.Subject != "" || r.Caller.DecisionID != "" {
				t.Errorf("%s: got caller %+v", kind, r.Caller)
			}
			return Refuse(404, "gone", "nothing here")
		}))
		a := invoke(t, f, read(t, "testdata/"+kind+".json"))
		if a.StatusCode != 404 || a.Body != `{"message":"nothing here","code":"gone"}` ||
			a.Headers["Warning"] != "" || a.MultiValueHeaders["Warning"] != nil {
			t.Errorf("%s: got %+v", kind, a)
		}
	}
}

type panicsWhenEncoded struct{}

func (panicsWhenEncoded) MarshalJSON() ([]byte, error) { panic("secret") }

// Whatever a handler does wrong is a 500 without detail, with the decision's id and its warnings, and one line of log.
func TestHandlerFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler Handler
		log     []string
	}{
		"panic with text":    {func(context.Context, Request) Response { panic("secret") }, []string{"panic: string", "function_test.go"}},
		"panic with error":   {func(context.Context, Request) Response { panic(errors.New("secret")) }, []string{"panic: *errors.errorString"}},
		"panic with nil":     {func(context.Context, Request) Response { panic(nil) }, []string{"panic: panic called with nil argument"}},
		"index out of range": {func(_ context.Context, r Request) Response { _ = r.Body[7]; return Response{} }, []string{"index out of range [7]"}},
		"panic in encoding":  {func(context.Context, Request) Response { return Response{Status: 200, Body: panicsWhenEncoded{}} }, []string{"panic: string"}},
		"no answer":          {func(context.Context, Request) Response { return Response{} }, []string{"answer with status 0"}},
		"interim answer":     {func(context.Context, Request) Response { return Response{Status: 199} }, []string{"answer with status 199"}},
		"status too high":    {func(context.Context, Request) Response { return Response{Status: 600} }, []string{"answer with status 600"}},
		"body not JSON": {func(context.Context, Request) Response { return Response{Status: 200, Body: make(chan int)} },
			[]string{"encode answer: json: unsupported type: chan int"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, log := logged(Guarded(test.handler))
			a := invoke(t, f, read(t, "testdata/rest.json"))
			want := answer{500, map[string]string{"Content-Type": "application/json"}, a.MultiValueHeaders,
				`{"message":"internal server error","code":"internal","decision_id":"d-1"}`}
			if a.StatusCode != want.StatusCode || a.Body != want.Body || !maps.Equal(a.Headers, want.Headers) ||
				len(a.MultiValueHeaders["Warning"]) != 2 {
				t.Errorf("got %+v", a)
			}
			for _, want := range append(test.log, `"decision_id":"d-1"`, `"route":"GET /users/{id}/orders"`, `"msg":"handler failed"`) {
				if !strings.Contains(log.String(), want) {
					t.Errorf("log %s lacks %s", log, want)
				}
			}
			if strings.Contains(log.String(), "secret") || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func TestWarningValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4000)
	for name, test := range map[string]struct{ warnings, want []string }{
		"none":                 {nil, nil},
		"one":                  {[]string{"deleting an order needs MFA"}, []string{`299 - "deleting an order needs MFA"`}},
		"quotes":               {[]string{`say "hi" \ bye`}, []string{`299 - "say \"hi\" \\ bye"`}},
		"not ASCII":            {[]string{"größer"}, []string{`299 - "größer"`}},
		"each once":            {[]string{"a", "b", "a"}, []string{`299 - "a"`, `299 - "b"`}},
		"empty ones":           {[]string{"", "a", ""}, []string{`299 - "a"`}},
		"no header of its own": {[]string{"a\r\nSet-Cookie: b=c\x00\u0085"}, []string{`299 - "a  Set-Cookie: b=c  "`}},
		"too much":             {[]string{long, long + "y", "later"}, []string{`299 - "` + long + `"`, `299 - "` + long + `y"`, `299 - "later"`}},
		"far too much":         {[]string{long, long + "y", long + "z", "later"}, []string{`299 - "` + long + `"`, `299 - "` + long + `y"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := warningValues(test.warnings); !slices.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestHandlersHeadersStayItsOwn(t *testing.T) {
	t.Parallel()
	shared := map[string]string{"X-Shared": "1"}
	f, _ := logged(Guarded(func(context.Context, Request) Response { return Response{Status: 204, Headers: shared} }))
	a := invoke(t, f, read(t, "testdata/http.json"))
	if a.StatusCode != 204 || a.Body != "" || a.Headers["X-Shared"] != "1" || a.Headers["Content-Type"] != "" ||
		a.Headers["Warning"] != `299 - "deleting an order needs MFA", 299 - "say \"hello\""` {
		t.Errorf("got %+v", a)
	}
	if len(shared) != 1 {
		t.Errorf("the handler's map became %v", shared)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	named := func(name string) Handler {
		return func(context.Context, Request) Response { return Response{Status: 200, Body: name} }
	}
	routes := Routes{"GET /orders": named("list"), "POST /orders": named("create"), "GET /orders/{id}": named("get")}
	for _, test := range []struct {
		method, route string
		status        int
		want, allow   string
	}{
		{"GET", "GET /orders", 200, "list", ""},
		{"POST", "POST /orders", 200, "create", ""},
		{"GET", "GET /orders/{id}", 200, "get", ""},
		{"PATCH", "PATCH /orders", 405, "method_not_allowed", "GET, POST"},
		{"POST", "POST /orders/{id}", 405, "method_not_allowed", "GET"},
		{"GET", "GET /elsewhere", 404, "route_unknown", ""},
		{"GET", "$default", 404, "route_unknown", ""},
		{"", "", 404, "route_unknown", ""},
	} {
		r := routes.Serve(t.Context(), Request{Method: test.method, Route: test.route})
		said := fmt.Sprint(r.Body)
		if p, ok := r.Body.(Problem); ok {
			said = p.Code
		}
		if r.Status != test.status || said != test.want || r.Headers["Allow"] != test.allow {
			t.Errorf("%s: got %+v", test.route, r)
		}
	}
}

// A function of a Lambda Managed Instance answers several requests at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	f, _ := logged(Guarded(func(_ context.Context, r Request) Response { return Response{Status: 200, Body: r.Params["id"]} }))
	event := read(t, "testdata/rest.json")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := fmt.Sprint("u", i)
			a := invoke(t, f, edit(t, event, func(e map[string]any) { sub(e, "pathParameters")["id"] = id }))
			if a.Body != `"`+id+`"` {
				t.Errorf("got %s for %s", a.Body, id)
			}
		})
	}
	wg.Wait()
}

// FuzzInvoke holds for any event: an answer that the gateway can read, and the handler never without a whole caller.
func FuzzInvoke(f *testing.F) {
	for _, name := range []string{"rest.json", "http.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"httpMethod":"GET","resource":"/","requestContext":{"authorizer":{"sub":"a","exp":"1795348800","decision_id":"d","revision":"r"}}}`))
	f.Add([]byte(`{"version":"2.0","routeKey":"$default","rawQueryString":"%","requestContext":{"http":{"method":"GET"}}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		called := false
		fn, _ := logged(Guarded(func(_ context.Context, r Request) Response {
			called = true
			c := r.Caller
			if c.Subject == "" || c.DecisionID == "" || c.Revision == "" || c.Scopes == nil || c.Permissions == nil ||
				!now.Before(c.ExpiresAt.Add(leeway)) || r.Method == "" || r.Route == "" {
				t.Errorf("handler called with %+v", r)
			}
			return Response{Status: 200}
		}))
		out, err := fn.Invoke(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		var a events.APIGatewayProxyResponse
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatalf("answer %s: %v", out, err)
		}
		if called != (a.StatusCode == 200) {
			t.Errorf("handler called: %v, status %d", called, a.StatusCode)
		}
		for _, w := range append(a.MultiValueHeaders["Warning"], a.Headers["Warning"]) {
			if strings.ContainsAny(w, "\r\n\x00") {
				t.Errorf("warning %q", w)
			}
		}
	})
}

// A page of the configured origin can read what a REST API answers, refusals included; an HTTP API says so by itself.
func TestPagesMayRead(t *testing.T) {
	t.Setenv("CORS_ORIGIN", "https://app.example")
	f, _ := logged(Guarded(ok))
	unguarded := edit(t, read(t, "testdata/rest.json"), func(e map[string]any) { delete(e["requestContext"].(map[string]any), "authorizer") })
	for what, event := range map[string][]byte{"an answer": read(t, "testdata/rest.json"), "a refusal": unguarded, "no event": []byte("{}")} {
		h := invoke(t, f, event).Headers
		if h["Access-Control-Allow-Origin"] != "https://app.example" || h["Access-Control-Expose-Headers"] != "Warning" || h["Vary"] != "Origin" {
			t.Errorf("%s: %v", what, h)
		}
	}
	if h := invoke(t, f, read(t, "testdata/http.json")).Headers; h["Access-Control-Allow-Origin"] != "" || h["Vary"] != "" {
		t.Errorf("HTTP API: %v", h)
	}
}
