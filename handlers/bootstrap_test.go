// Package handlers_test runs the sample API's functions as Lambda does: each built as for provided.al2023 (but for this
// machine), as a process of its own in a clean environment, asked and answering through the Lambda Runtime API.
package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const sizeLimit = 10 << 20 // bytes of a stripped bootstrap; they are about 6.5 MB

// exchange is one invocation: what the function is sent and what it gives back.
type exchange struct {
	event  []byte
	answer chan []byte
}

// runtimeAPI is the Lambda Runtime API (AWS: "Using the Lambda runtime API") for one process, which has one invocation
// at a time.
func runtimeAPI(t *testing.T, exchanges <-chan exchange) *httptest.Server {
	var current exchange
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case current = <-exchanges:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
		w.Write(current.event)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/1/{outcome}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.PathValue("outcome") != "response" {
			t.Errorf("function error: %s", body)
		}
		w.WriteHeader(http.StatusAccepted)
		current.answer <- body
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// start runs a function's bootstrap until the test ends, and gives a func that invokes it.
func start(t *testing.T, function string) func(event map[string]any) map[string]any {
	t.Helper()
	for _, source := range []string{function, "caller"} {
		// go test knows the folders that a test reads, not those that its child processes read: without this a cached
		// result would outlive a change there.
		if _, err := os.ReadDir(source); err != nil {
			t.Fatal(err)
		}
	}
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", bootstrap, "./"+function)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", function, err, out)
	}
	info, err := os.Stat(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > sizeLimit {
		t.Errorf("%s is %d bytes, want at most %d", function, info.Size(), sizeLimit)
	}

	exchanges := make(chan exchange)
	server := runtimeAPI(t, exchanges)
	var output bytes.Buffer
	process := exec.Command(bootstrap)
	process.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(server.URL, "http://")}
	process.Stdout, process.Stderr = &output, &output
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	t.Cleanup(func() {
		process.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said: %s", function, &output)
		}
	})

	return func(event map[string]any) map[string]any {
		t.Helper()
		payload, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		answer := make(chan []byte, 1)
		select {
		case exchanges <- exchange{payload, answer}:
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", function, err)
		}
		var out map[string]any
		select {
		case body := <-answer:
			if err := json.Unmarshal(body, &out); err != nil {
				t.Fatalf("answer %s: %v", body, err)
			}
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", function, err)
		}
		return out
	}
}

// rest and http are integration events of a route whose path parameter, if any, is called id.
func rest(method, template, id, body string, authorizer map[string]any) map[string]any {
	context := map[string]any{"stage": "dev"}
	if authorizer != nil {
		context["authorizer"] = authorizer
	}
	return map[string]any{
		"resource": template, "httpMethod": method, "headers": map[string]string{"Authorization": "Bearer x"},
		"pathParameters": map[string]string{"id": id}, "requestContext": context, "body": body,
	}
}

func httpAPI(method, template, id, body string, authorizer map[string]any) map[string]any {
	context := map[string]any{"stage": "$default", "http": map[string]string{"method": method}}
	if authorizer != nil {
		context["authorizer"] = map[string]any{"lambda": authorizer}
	}
	return map[string]any{
		"version": "2.0", "routeKey": method + " " + template, "headers": map[string]string{"authorization": "Bearer x"},
		"pathParameters": map[string]string{"id": id}, "requestContext": context, "body": body,
	}
}

func TestBootstraps(t *testing.T) {
	t.Parallel()
	support := map[string]any{
		"sub": "auth0|supp", "org_id": "org_home", "scope": "openid", "exp": fmt.Sprint(time.Now().Add(time.Hour).Unix()),
		"decision_id": "d-1", "revision": "sha256:1234",
	}
	warned := maps.Clone(support)
	warned["warnings"] = `["deleting an order needs MFA"]`
	type call struct {
		method, template, id, body string
		context                    map[string]any
		status                     int
		want                       string // in the body
	}
	for function, calls := range map[string][]call{
		"health": {
			{"GET", "/health", "", "", nil, 200, `{"status":"ok"}`},
		},
		"profile": {
			{"GET", "/profile", "", "", support, 200, `{"sub":"auth0|supp","organization":"org_home","scopes":["openid"],"permissions":[]}`},
			{"GET", "/profile", "", "", nil, 500, `{"message":"internal server error","code":"internal"}`},
		},
		"admin": {
			{"GET", "/admin/users", "", "", support, 200, `"auth0|out"`},
			{"GET", "/admin/users", "", "", nil, 500, `"internal"`},
		},
		"orders": {
			{"GET", "/orders", "", "", support, 200, `"id":"42"`},
			{"GET", "/orders/{id}", "42", "", support, 200, `"id":"42"`},
			{"GET", "/orders/{id}", "none", "", support, 404, `{"message":"no such order","code":"order_unknown","decision_id":"d-1"}`},
			{"GET", "/users/{id}/orders", "auth0|supp", "", support, 200, `"id":"43"`},
			{"POST", "/orders", "", `{"item":"bolt","quantity":1}`, support, 201, `"owner":"auth0|supp"`},
			{"POST", "/orders", "", `{"item":"bolt"}`, support, 400, `"decision_id":"d-1"`},
			{"DELETE", "/orders/{id}", "42", "", warned, 204, ``},
			{"GET", "/orders", "", "", nil, 500, `"internal"`},
		},
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			invoke := start(t, function)
			for kind, event := range map[string]func(string, string, string, string, map[string]any) map[string]any{"REST": rest, "HTTP": httpAPI} {
				for _, c := range calls {
					out := invoke(event(c.method, c.template, c.id, c.body, c.context))
					body, _ := out["body"].(string)
					if out["statusCode"] != float64(c.status) || !strings.Contains(body, c.want) {
						t.Errorf("%s %s %s: got %v, want %d %s", kind, c.method, c.template, out, c.status, c.want)
					}
					const warning = `299 - "deleting an order needs MFA"`
					if got := fmt.Sprint(out["headers"], out["multiValueHeaders"]); strings.Contains(got, warning) != (c.context["warnings"] != nil) {
						t.Errorf("%s %s %s: got headers %s", kind, c.method, c.template, got)
					}
				}
			}
		})
	}
}
