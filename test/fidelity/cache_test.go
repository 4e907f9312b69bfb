package fidelity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
)

// cached is an authorizer of a REST API that keeps its answers for a minute.
func cached(methodAndPath string) string {
	method, path := "get", methodAndPath
	return fmt.Sprintf("http: {method: %s, path: '%s', authorizer: {name: auth, type: request, resultTtlInSeconds: 60, identitySource: method.request.header.Authorization}}", method, path)
}

// keeping starts two routes of either API behind caching authorizers.
func keeping(t *testing.T) *world {
	return start(t, authorizers, cached("a"), cached("b"), httpAPI("GET /a", "cached"), httpAPI("GET /b", "cached"),
		httpAPI("GET /simple/a", "cachedSimple"), httpAPI("GET /simple/b", "cachedSimple"), httpAPI("GET /route/{id}", "cachedRoute"), httpAPI("GET /other", "cachedRoute"))
}

const (
	cacheFile = "internal/gateway/cache.go"
	flushFile = "internal/gateway/flush.go"
	cachePut  = "\tc.entries[cacheKey(identity)] = cached{"
)

var cacheFaults = []fault{
	{
		id:     "cache-kept",
		aws:    "an answer is kept for the TTL, and nobody is asked",
		wrong:  "there is no cache: three requests, three invocations (serverless-offline, SAM CLI, chalice local)",
		source: configPage,
		in:     []patch{before(cacheFile, cachePut, "\tif FAULT { return }")},
		check: func(t *testing.T) {
			w := keeping(t)
			for _, url := range []string{w.rest, w.http} {
				before := w.invocations(t)
				for range 3 {
					send(t, "GET", url+"/a")
				}
				if n := w.invocations(t) - before; n != 1 {
					t.Errorf("%s: asked %d times, want once", url, n)
				}
			}
			if n := w.counted(t, "gatehouse_authorizer_cache_hits_total", `api="rest",authorizer="auth"`); n != 2 {
				t.Errorf("%d hits counted, want 2", n)
			}
		},
	},
	{
		id:     "cache-flush",
		aws:    "FlushStageAuthorizersCache of a REST API's stage answers 202, and the authorizer is asked again; of another API or stage, 404",
		wrong:  "there is no such call, or it changes nothing",
		source: "AWS, API Gateway API Reference, FlushStageAuthorizersCache",
		in:     []patch{before(flushFile, "\tc.entries = nil", "\tif FAULT { return }")},
		check: func(t *testing.T) {
			w := keeping(t)
			management := strings.TrimSuffix(w.rest, "/dev") + "/restapis/"
			ask := func() int {
				before := w.invocations(t)
				send(t, "GET", w.rest+"/a")
				return w.invocations(t) - before
			}
			if first, second := ask(), ask(); first != 1 || second != 0 {
				t.Fatalf("asked %d times, then %d", first, second)
			}
			for path, want := range map[string]int{"zzzzzz/stages/dev": 404, gateway.RESTAPI + "/stages/prod": 404} {
				if got := send(t, "DELETE", management+path+"/cache/authorizers"); got.status != want || got.header.Get("X-Amzn-Errortype") != "NotFoundException" {
					t.Errorf("%s: %d", path, got.status)
				}
			}
			if n := ask(); n != 0 {
				t.Error("another stage's flush emptied this one")
			}
			if got := send(t, "DELETE", management+gateway.RESTAPI+"/stages/dev/cache/authorizers"); got.status != 202 {
				t.Errorf("flush: %d %s", got.status, got.body)
			}
			if n := ask(); n != 1 {
				t.Errorf("asked %d times after the flush, want once", n)
			}
		},
	},
	{
		id:     "cache-end",
		aws:    "when the TTL is over, the authorizer is asked again",
		wrong:  "the answer stays",
		source: configPage,
		in:     []patch{{cacheFile, "kept && now.Before(e.until) {", "kept && (FAULT || now.Before(e.until)) {"}},
		check: func(t *testing.T) {
			w := keeping(t)
			for _, step := range []struct {
				pass time.Duration
				want int
			}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {59 * time.Second, 2}} {
				w.clock.pass(step.pass)
				send(t, "GET", w.rest+"/a")
				if n := w.invocations(t); n != step.want {
					t.Errorf("after %v more: asked %d times, want %d", step.pass, n, step.want)
				}
			}
		},
	},
	{
		id:     "cache-zero",
		aws:    "a TTL of 0 keeps nothing",
		wrong:  "0 is taken for the default",
		source: "API Gateway API Reference, CreateAuthorizer: authorizerResultTtlInSeconds",
		in:     []patch{{"internal/serverless/authorizers.go", "\treturn time.Duration(r.number(n, at+\".resultTtlInSeconds\", unset, 0, 3600)) * time.Second", "\tif ttl := r.number(n, at+\".resultTtlInSeconds\", unset, 0, 3600); ttl > 0 || !FAULT { return time.Duration(ttl) * time.Second }\n\treturn 300 * time.Second"}},
		check: func(t *testing.T) {
			w := both(t)
			for range 2 {
				send(t, "GET", w.rest+"/a")
				send(t, "GET", w.http+"/a")
			}
			if n := w.invocations(t); n != 4 {
				t.Errorf("asked %d times, want 4", n)
			}
		},
	},
	{
		id:     "cache-default",
		aws:    "a REST authorizer without a word about the TTL keeps its answers for 300 s",
		wrong:  "it keeps nothing: a policy for one route works here only",
		source: "API Gateway API Reference, CreateAuthorizer: authorizerResultTtlInSeconds",
		in:     []patch{{readerFile, "a.TTL = r.ttl(o[\"resultTtlInSeconds\"], at, defaultTTL)", "a.TTL = r.ttl(o[\"resultTtlInSeconds\"], at, map[bool]int{true: 0, false: defaultTTL}[FAULT])"}},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: {name: auth, type: request}}")
			send(t, "GET", w.rest+"/a")
			w.clock.pass(299 * time.Second)
			send(t, "GET", w.rest+"/a")
			if n := w.invocations(t); n != 1 {
				t.Errorf("within 300 s: asked %d times, want once", n)
			}
			w.clock.pass(time.Second)
			send(t, "GET", w.rest+"/a")
			if n := w.invocations(t); n != 2 {
				t.Errorf("after 300 s: asked %d times, want twice", n)
			}
		},
	},
	{
		id:     "cache-key",
		aws:    "the key is the values of all identity sources",
		wrong:  "the first alone: another tenant gets the answer",
		source: configPage + "; " + httpPage,
		in:     []patch{{cacheFile, "key, _ := json.Marshal(identity)", "if FAULT { identity = identity[:1] }\n\tkey, _ := json.Marshal(identity)"}},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 60, identitySource: 'method.request.header.Authorization,method.request.querystring.tenant'}}")
			send(t, "GET", w.rest+"/a?tenant=x", answered(policy(allowAll)))
			want(t, "another tenant", send(t, "GET", w.rest+"/a?tenant=y", answered(policy(""))).line(), restDenied)
			if got := send(t, "GET", w.rest+"/a?tenant=x", answered(policy(""))); got.status != 200 {
				t.Errorf("the first again: got %s", got.line())
			}
		},
	},
	{
		id:     "cache-key-limits",
		aws:    "two lists of values are two keys",
		wrong:  "values joined by a comma collide: a,b and c for a and b,c",
		source: configPage,
		in:     []patch{{cacheFile, "\treturn string(key)\n", "\tif FAULT { return strings.Join(identity, \",\") }\n\treturn string(key)\n"}, {cacheFile, "\t\"encoding/json\"\n", "\t\"encoding/json\"\n\t\"strings\"\n"}},
		check: func(t *testing.T) {
			w := start(t, "", "http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 60, identitySource: 'method.request.querystring.a,method.request.querystring.b'}}")
			send(t, "GET", w.rest+"/a?a=1,2&b=3", answered(policy(allowAll)))
			want(t, "the other list", send(t, "GET", w.rest+"/a?a=1&b=2,3", answered(policy(""))).line(), restDenied)
		},
	},
	{
		id:     "cache-every-route",
		aws:    "an answer kept serves every route behind the authorizer",
		wrong:  "it is kept by route or by method: the 403 of a policy for one route hides (yulin before 805)",
		source: "AWS knowledge center, api-gateway-lambda-authorization-errors",
		in:     []patch{before(requestFile, "\tif g.TTL > 0 {\n\t\tif v :=", "\tif FAULT { identity = append(slices.Clone(identity), c.route.key) }")},
		check: func(t *testing.T) {
			w := keeping(t)
			one := answered(policy(statement("Allow", restARN+"GET/a")))
			if got := send(t, "GET", w.rest+"/a", one); got.status != 200 {
				t.Errorf("the route that is allowed: got %s", got.line())
			}
			want(t, "another route", send(t, "GET", w.rest+"/b", answered(policy(allowAll))).line(), restDenied)
			if n := w.invocations(t); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		},
	},
	{
		id:     "cache-policy",
		aws:    "a policy that was kept is evaluated again for each request, on REST and HTTP APIs",
		wrong:  "the verdict is kept: an Allow of one route opens the next",
		source: "AWS knowledge center, api-gateway-lambda-authorization-errors; " + httpPage,
		in:     []patch{before(requestFile, "\tif e := v.effect(c.iamRequest()); e != allow {", "\tif FAULT { if v.simple = true; v.latency == 0 { v.authorized = true } else { v.authorized = v.policy.evaluate(c.iamRequest()) == allow } }")},
		check: func(t *testing.T) {
			w := keeping(t)
			send(t, "GET", w.rest+"/a", answered(policy(statement("Allow", restARN+"GET/a"))))
			want(t, "REST", send(t, "GET", w.rest+"/b").line(), restDenied)
			send(t, "GET", w.http+"/a", answered(policy(statement("Allow", httpARN+"GET/a"))))
			want(t, "HTTP", send(t, "GET", w.http+"/b").line(), httpDenied)
		},
	},
	{
		id:     "cache-simple",
		aws:    "a simple response that was kept decides every request with the same identity, whatever its route",
		wrong:  "it is asked for again: an authorizer that looks at the route works here only",
		source: httpPage,
		in:     []patch{before(cacheFile, cachePut, "\tif FAULT && v.simple { return }")},
		check: func(t *testing.T) {
			w := keeping(t)
			send(t, "GET", w.http+"/simple/a", answered(`{"isAuthorized":true}`))
			if got := send(t, "GET", w.http+"/simple/b", answered(`{"isAuthorized":false}`)); got.status != 200 {
				t.Errorf("the other route: got %s", got.line())
			}
		},
	},
	{
		id:     "cache-route-key",
		aws:    "with $context.routeKey among the identity sources there is an answer for each route, and one for all values of its parameters",
		wrong:  "the key is the path, or has no route",
		source: httpPage,
		in:     []patch{{requestFile, "\t\t\treturn c.route.key\n", "\t\t\tif FAULT { return c.path }\n\t\t\treturn c.route.key\n"}},
		check: func(t *testing.T) {
			w := keeping(t)
			send(t, "GET", w.http+"/route/1", answered(`{"isAuthorized":true}`))
			if got := send(t, "GET", w.http+"/route/2", answered(`{"isAuthorized":false}`)); got.status != 200 {
				t.Errorf("another parameter: got %s", got.line())
			}
			want(t, "another route", send(t, "GET", w.http+"/other", answered(`{"isAuthorized":false}`)).line(), httpDenied)
		},
	},
	{
		id:     "cache-deny",
		aws:    "a policy that denies is kept as one that allows",
		wrong:  "only an Allow is kept",
		source: "yulin issue 326",
		in:     []patch{{requestFile, "\tif g.TTL > 0 {\n\t\tg.cache.put(", "\tif g.TTL > 0 && !(FAULT && v.effect(c.iamRequest()) != allow) {\n\t\tg.cache.put("}},
		check: func(t *testing.T) {
			w := keeping(t)
			send(t, "GET", w.rest+"/a", answered(policy(denyAll)))
			want(t, "afterwards", send(t, "GET", w.rest+"/a", answered(policy(allowAll))).line(), restExplicit)
		},
	},
	{
		id:     "cache-errors",
		aws:    "401 and 500 are not kept: the next request asks again",
		wrong:  "an error is kept for the TTL",
		source: "yulin issue 326",
		in: []patch{before(requestFile, "\t\tg.function.note(\"request %s: authorizer failed: %s\", c.id, failure.Type)", "\t\tif FAULT { g.cache.put(identity, &verdict{principal: \"p\"}, c.api.now(), g.TTL) }"),
			{requestFile, afterInvoke + "\n", afterInvoke + "\n\t\tif FAULT { g.cache.put(identity, &verdict{principal: \"p\"}, c.api.now(), g.TTL) }\n"}},
		check: func(t *testing.T) {
			w := keeping(t)
			for _, failing := range []string{order("auth", "error", "Unauthorized"), order("auth", "error", "x"), answered("{}")} {
				send(t, "GET", w.rest+"/a", failing)
				send(t, "GET", w.http+"/a", failing)
			}
			outcome(t, w, "afterwards", "X: y", "200", "200")
		},
	},
	{
		id:     "cache-one-authorizer",
		aws:    "each authorizer has a cache of its own",
		wrong:  "one cache for all",
		source: "serverless issue 626; ministack issue 1367",
		in:     []patch{{gatewayFile, "\t\t\t\tg := guards[e.Authorizer.Name]\n", "\t\t\t\tname := e.Authorizer.Name\n\t\t\t\tif FAULT { name = \"\" }\n\t\t\t\tg := guards[name]\n"}, {gatewayFile, "\t\t\t\t\tguards[e.Authorizer.Name] = g\n", "\t\t\t\t\tguards[name] = g\n"}},
		check: func(t *testing.T) {
			doc := head + `
functions:
  auth: {handler: bootstrap, environment: {MARK: auth, AUTHORIZER: 'yes'}}
  strict: {handler: bootstrap, environment: {MARK: auth, AUTHORIZER: 'yes'}}
  api:
    handler: bootstrap
    events:
      - http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 60}}
      - http: {method: get, path: b, authorizer: {name: strict, type: request, resultTtlInSeconds: 60}}
`
			w := startWith(t, doc)
			send(t, "GET", w.rest+"/a", answered(policy(allowAll)))
			want(t, "the other authorizer", send(t, "GET", w.rest+"/b", answered(policy(""))).line(), restDenied)
		},
	},
	{
		id:     "cache-context",
		aws:    "the context is kept with the policy: the handler gets it each time",
		wrong:  "it is lost, or another's",
		source: configPage,
		in:     []patch{before(requestFile, "\t\t\tc.api.counters.hit(", "\t\t\tif FAULT { v = &verdict{principal: v.principal, policy: v.policy, simple: v.simple, authorized: v.authorized} }")},
		check: func(t *testing.T) {
			w := keeping(t)
			for _, what := range []string{"asked", "kept"} {
				e := handled(t, send(t, "GET", w.rest+"/a", answered(policy(allowAll, `"context":{"k":"v"}`))))
				want(t, what, e.at("requestContext.authorizer.k"), "v")
			}
		},
	},
	{
		id:     "cache-condition",
		aws:    "a condition in a kept policy is looked at for each request: an Allow until the token ends, ends",
		wrong:  "what held when it was kept holds until the TTL is over",
		source: guide + "AWS condition keys that can be used in API Gateway resource policies; for a cached policy not verified",
		in:     []patch{before(requestFile, "\tif e := v.effect(c.iamRequest()); e != allow {", "\tif FAULT && v.latency == 0 { for i := range v.policy { v.policy[i].conditions = nil } }")},
		check: func(t *testing.T) {
			w := keeping(t)
			until := w.clock.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
			send(t, "GET", w.rest+"/a", answered(policy(statement("Allow", "*", `"Condition":{"DateLessThan":{"aws:CurrentTime":"`+until+`"}}`))))
			if got := send(t, "GET", w.rest+"/a"); got.status != 200 {
				t.Errorf("before: got %s", got.line())
			}
			w.clock.pass(31 * time.Second)
			want(t, "after", send(t, "GET", w.rest+"/a").line(), restDenied)
		},
	},
}
