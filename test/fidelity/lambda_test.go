package fidelity

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

var lambdaFaults = []fault{
	{
		id:     "lambda-deadline",
		aws:    "Lambda-Runtime-Deadline-Ms is now and the function's timeout, in milliseconds since 1970",
		wrong:  "5000: Go's context is over before it begins (@vercel/fun)",
		source: "AWS Lambda Developer Guide, Using the Lambda runtime API for custom runtimes; AWS's runtime interface emulator",
		in:     []patch{{processFile, "strconv.FormatInt(time.Now().Add(timeout).UnixMilli(), 10)", "strconv.FormatInt(map[bool]int64{true: 5000, false: time.Now().Add(timeout).UnixMilli()}[FAULT], 10)"}},
		check: func(t *testing.T) {
			var c struct{ Left float64 }
			got := sendAs(t, "GET", plain(t).http+"/a", order("api", "context", ""))
			if err := json.Unmarshal([]byte(got.body), &c); err != nil || c.Left <= 0 || c.Left > 5 {
				t.Errorf("%v s left, %v: want up to 5", c.Left, err)
			}
		},
	},
	{
		id:     "lambda-after-crash",
		aws:    "after a crash the next call starts a new process",
		wrong:  "the call after a panic never returns (@vercel/fun)",
		source: "AWS's runtime interface emulator",
		in:     []patch{{"internal/gateway/lambda.go", "\tdelete(f.alive, p)\n", "\tif !FAULT { delete(f.alive, p) }\n"}},
		check: func(t *testing.T) {
			w := start(t, "", "http: get {x}")
			for range 5 { // more than there are processes at once
				if got := sendAs(t, "GET", w.rest+"/a", order("api", "exit", "3")); got.status != 502 {
					t.Errorf("an exit: got %s", got.line())
				}
			}
			if got := sendAs(t, "GET", w.rest+"/a"); got.status != 200 {
				t.Errorf("afterwards: got %s", got.line())
			}
		},
	},
	{
		id:     "lambda-one-at-a-time",
		aws:    "a process has one invocation at a time; several requests have several processes",
		wrong:  "one process for all, one after the other",
		source: "AWS Lambda Developer Guide, Understanding Lambda function scaling",
		in:     []patch{{"internal/gateway/lambda.go", "\tsetDefault(&c.Processes, 4)\n", "\tif FAULT { c.Processes = 1 }\n\tsetDefault(&c.Processes, 4)\n"}},
		check: func(t *testing.T) {
			w := start(t, "", "http: get {x}")
			pids := sync.Map{}
			var wait sync.WaitGroup
			for range 3 {
				wait.Go(func() { pids.Store(sendAs(t, "GET", w.rest+"/a", order("api", "nap", "300ms")).body, true) })
			}
			wait.Wait()
			n := 0
			pids.Range(func(any, any) bool { n++; return true })
			if n != 3 {
				t.Errorf("%d processes for three requests at once", n)
			}
		},
	},
	{
		id:     "lambda-throttle",
		aws:    "beyond its reserved concurrency a function is not run: an authorizer's route answers 500",
		wrong:  "the request waits, or the limit is not known",
		source: "AWS Lambda API Reference, Invoke: TooManyRequestsException; the gateway's status is not documented",
		in:     []patch{{"internal/gateway/lambda.go", "f.config.Reserved != nil && f.running", "!FAULT && f.config.Reserved != nil && f.running"}},
		check: func(t *testing.T) {
			w := startWith(t, strings.Replace(head+functions, "auth: {handler: bootstrap,", "auth: {handler: bootstrap, reservedConcurrency: 0,", 1)+"      - "+rest("get a")+"\n")
			want(t, "REST", send(t, "GET", w.rest+"/a").line(), rest500)
			busy := startWith(t, strings.Replace(head+functions, "api:\n    handler: bootstrap", "api:\n    handler: bootstrap\n    reservedConcurrency: 0", 1)+"      - http: get a\n      - httpApi: GET /a\n")
			want(t, "a handler, REST", sendAs(t, "GET", busy.rest+"/a").line(), `500 InternalServerErrorException {"message":"Internal server error"}`)
			want(t, "a handler, HTTP", sendAs(t, "GET", busy.http+"/a").line(), `503 {"message":"Service Unavailable"}`)
			want(t, "counted", fmt.Sprint(w.counted(t, "gatehouse_throttles_total", `function="auth"`), w.counted(t, "gatehouse_cold_starts_total", `function="auth"`)), "1 0")
		},
	},
	{
		id:     "lambda-cold-start",
		aws:    "a process serves many invocations: one cold start, then warm ones",
		wrong:  "a process for each invocation",
		source: "AWS Lambda Developer Guide, Understanding the Lambda execution environment lifecycle",
		in:     []patch{before("internal/gateway/lambda.go", "\t\tselect {\n\t\tcase o := <-i.done:", "\t\tif FAULT { defer p.kill() }")},
		check: func(t *testing.T) {
			w := start(t, "", "http: get {x}")
			for range 5 {
				sendAs(t, "GET", w.rest+"/a")
			}
			want(t, "cold starts and invocations", fmt.Sprint(w.counted(t, "gatehouse_cold_starts_total", `function="api"`), w.counted(t, "gatehouse_invocations_total", `function="api"`)), "1 5")
		},
	},
	{
		id:     "lambda-payload",
		aws:    "an event of more than 6 MB is answered 413",
		wrong:  "502",
		source: "AWS Lambda Developer Guide, Lambda quotas; the gateway's status is not documented",
		in:     []patch{{requestFile, "\tcase errors.Is(err, ErrPayload):\n", "\tcase errors.Is(err, ErrPayload) && !FAULT:\n"}},
		check: func(t *testing.T) {
			w := plain(t)
			for _, url := range []string{w.rest, w.http} {
				if got := post(t, url+"/a", strings.Repeat("x", 7<<20), "Content-Type: text/plain"); got.status != http.StatusRequestEntityTooLarge {
					t.Errorf("%s: got %s", url, got.line())
				}
			}
		},
	},
}
