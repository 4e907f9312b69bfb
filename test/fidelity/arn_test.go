package fidelity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer/apigw"
)

// arnEnd is the last line of what makes a method's ARN.
const arnEnd = "\treturn arn + c.request.Method + c.path\n}"

// methodARN gives the ARN that the authorizer was told.
func methodARN(t *testing.T, r response) string {
	t.Helper()
	e := asked(t, r)
	return e.at("methodArn") + e.at("routeArn")
}

var arnFaults = []fault{
	{
		id:     "arn-partition",
		aws:    "the partition follows the region: aws-cn, aws-us-gov",
		wrong:  "always aws (AWS's blueprint for Go)",
		source: "AWS General Reference, Amazon Resource Names",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { return strings.Replace(arn, serverless.Partition(a.region), \"aws\", 1) + c.request.Method + c.path }")},
		check: func(t *testing.T) {
			w := start(t, "  region: cn-north-1\n", rest("get a"))
			want(t, "cn-north-1", methodARN(t, send(t, "GET", w.rest+"/a")), "arn:aws-cn:execute-api:cn-north-1:123456789012:localrest0/dev/GET/a")
		},
	},
	{
		id:     "arn-region",
		aws:    "the region is the deployment's",
		wrong:  "always us-east-1 (SAM CLI)",
		source: accessPage,
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { return strings.Replace(arn, a.region, \"us-east-1\", 1) + c.request.Method + c.path }")},
		check: func(t *testing.T) {
			w := start(t, "  region: eu-north-1\n", rest("get a"))
			want(t, "eu-north-1", methodARN(t, send(t, "GET", w.rest+"/a")), "arn:aws:execute-api:eu-north-1:123456789012:localrest0/dev/GET/a")
		},
	},
	{
		id:     "arn-account",
		aws:    "the account is 12 digits",
		wrong:  "random-account-id (serverless-offline)",
		source: accessPage,
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { return strings.Replace(arn, a.account, \"random-account-id\", 1) + c.request.Method + c.path }")},
		check: func(t *testing.T) {
			w := start(t, "", rest("get a"))
			want(t, "account", strings.Split(methodARN(t, send(t, "GET", w.rest+"/a")), ":")[4], "123456789012")
		},
	},
	{
		id:     "arn-actual-path",
		aws:    "the ARN ends in the request's path",
		wrong:  "the template, /orders/{id} (serverless-offline)",
		source: "serverless-offline issues 273 and 274, from CloudWatch; issue 1586",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { return arn + c.request.Method + c.route.path }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get orders/{id}"), httpAPI("GET /orders/{id}", "iam"))
			want(t, "REST", methodARN(t, send(t, "GET", w.rest+"/orders/42")), restARN+"GET/orders/42")
			want(t, "HTTP", methodARN(t, send(t, "GET", w.http+"/orders/42")), httpARN+"GET/orders/42")
		},
	},
	{
		id:     "arn-proxy",
		aws:    "{proxy+} never stands in an ARN",
		wrong:  "it does (serverless-offline)",
		source: "serverless-offline issue 273, from CloudWatch",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT && strings.Contains(c.route.path, \"+}\") { return arn + c.request.Method + c.route.path }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("any files/{proxy+}"), httpAPI("ANY /files/{proxy+}", "iam"))
			want(t, "REST", methodARN(t, send(t, "GET", w.rest+"/files/a/b")), restARN+"GET/files/a/b")
			want(t, "HTTP", methodARN(t, send(t, "GET", w.http+"/files/a/b")), httpARN+"GET/files/a/b")
		},
	},
	{
		id:     "arn-root",
		aws:    "the root is GET/, with one slash",
		wrong:  "GET// (chalice local)",
		source: "chalice issue 1552",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT && c.path == \"/\" { return arn + c.request.Method + \"//\" }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get /"), httpAPI("GET /", "iam"))
			for _, url := range []string{w.rest, w.rest + "/"} {
				want(t, url, methodARN(t, send(t, "GET", url)), restARN+"GET/")
			}
			want(t, "HTTP", methodARN(t, send(t, "GET", w.http)), httpARN+"GET/")
		},
	},
	{
		id:     "arn-query",
		aws:    "a query string is no part of an ARN",
		wrong:  "it was (chalice local)",
		source: "chalice issue 1474",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT && c.request.URL.RawQuery != \"\" { return arn + c.request.Method + c.path + \"?\" + c.request.URL.RawQuery }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("get a"), httpAPI("GET /a", "iam"))
			want(t, "REST", methodARN(t, send(t, "GET", w.rest+"/a?q=1")), restARN+"GET/a")
			want(t, "HTTP", methodARN(t, send(t, "GET", w.http+"/a?q=1")), httpARN+"GET/a")
		},
	},
	{
		id:     "arn-stage",
		aws:    "the stage stands in its own place, once, and is $default on an HTTP API's default stage",
		wrong:  "the stage is repeated in the path, or $default is left out (kumo)",
		source: "SwiftAWSLambdaRuntime's fixture of a real event; kumo issue 871",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { return strings.TrimSuffix(arn, a.stage+\"/\") + c.request.Method + c.path }")},
		check: func(t *testing.T) {
			w := start(t, authorizers+"  stage: live\n", rest("get a"), httpAPI("GET /a", "iam"))
			want(t, "REST", methodARN(t, send(t, "GET", w.rest+"/a")), strings.Replace(restARN, "/dev/", "/live/", 1)+"GET/a")
			want(t, "HTTP", methodARN(t, send(t, "GET", w.http+"/a")), httpARN+"GET/a")
		},
	},
	{
		id:     "arn-verb",
		aws:    "the verb is the request's own, HEAD and OPTIONS too, never ANY",
		wrong:  "the route's ANY",
		source: accessPage + "; yulin issue 303",
		in:     []patch{before(requestFile, arnEnd, "\tif FAULT { verb, _, _ := strings.Cut(c.route.key, \" \"); return arn + verb + c.path }")},
		check: func(t *testing.T) {
			w := start(t, authorizers, rest("any a"), httpAPI("ANY /a", "iam"))
			for _, verb := range []string{"GET", "OPTIONS", "PATCH"} {
				want(t, "REST", methodARN(t, send(t, verb, w.rest+"/a")), restARN+verb+"/a")
				want(t, "HTTP", methodARN(t, send(t, verb, w.http+"/a")), httpARN+verb+"/a")
			}
			if got := send(t, "HEAD", w.rest+"/a"); got.status != 200 {
				t.Errorf("HEAD: got %s", got.line())
			}
			if got := send(t, "HEAD", w.rest+"/a", answered(policy(statement("Allow", restARN+"GET/a")))); got.status != 403 {
				t.Errorf("HEAD with an Allow of GET: got %s", got.line())
			}
		},
	},
	{
		id:     "arn-verb-known",
		aws:    "a verb is one of DELETE, GET, HEAD, OPTIONS, PATCH, POST and PUT, and has a case; ANY stands for these",
		wrong:  "ANY takes post too, which a Deny of POST does not name",
		source: "API Gateway API Reference, PutMethod; " + accessPage,
		in:     []patch{{requestFile, "if !slices.Contains(methods, c.request.Method) {", "if !slices.Contains(methods, c.request.Method) && !FAULT {"}},
		check: func(t *testing.T) {
			w := start(t, "", rest("any a"))
			deny := answered(policy(statement("Allow", "*") + "," + statement("Deny", restARN+"POST/*")))
			for _, verb := range []string{"post", "FOO", "ANY"} {
				want(t, verb, send(t, verb, w.rest+"/a", deny).line(), `403 MissingAuthenticationTokenException {"message":"Missing Authentication Token"}`)
			}
			want(t, "POST", send(t, "POST", w.rest+"/a", deny).line(), restExplicit)
		},
	},
	{
		id:     "arn-case",
		aws:    "paths in ARNs have a case",
		wrong:  "they are compared without one",
		source: resourcePage,
		in:     []patch{before(iamFile, "\tp := strings.SplitN(pattern,", "\tif FAULT { pattern, arn = strings.ToLower(pattern), strings.ToLower(arn) }")},
		check: func(t *testing.T) {
			w := start(t, "", rest("get Orders"))
			want(t, "orders for Orders", send(t, "GET", w.rest+"/Orders", answered(policy(statement("Allow", restARN+"GET/orders")))).line(), restDenied)
		},
	},
	{
		id:     "arn-colon",
		aws:    "colons in a path belong to the path",
		wrong:  "the ARN is split at every colon, and the path cut off: an Allow of /a:1 lets /a:2 in (Powertools, AWS's blueprints, chalice before 1775)",
		source: "chalice issue 1775; " + resourcePage,
		in:     []patch{before(iamFile, "\tfor i := range p {\n\t\tif !glob(p[i], a[i]) {", "\tif FAULT { p, a = strings.Split(pattern, \":\")[:6], strings.Split(arn, \":\")[:6] }")},
		check: func(t *testing.T) {
			w := start(t, "", rest("get {x}"))
			only := answered(policy(statement("Allow", restARN+"GET/a:1")))
			if got := send(t, "GET", w.rest+"/a:1", only); got.status != 200 {
				t.Errorf("the one that is allowed: got %s", got.line())
			}
			want(t, "another behind the colon", send(t, "GET", w.rest+"/a:2", only).line(), restDenied)
		},
	},
	{
		id:     "arn-colon-authorizer",
		aws:    "an event's ARN holds the whole path, colons included",
		wrong:  "an authorizer that splits at every colon decides about /a and answers for it (Powertools, AWS's blueprints)",
		source: "chalice issue 1775",
		in:     []patch{before("authorizer/apigw/arn.go", "\tif len(fields) != 6 || fields[0]", "\tif FAULT && len(fields) == 6 { fields = strings.Split(s, \":\")[:6] }")},
		check: func(t *testing.T) {
			g, err := apigw.New(apigw.Config{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := g.Request([]byte(`{"type":"TOKEN","authorizationToken":"Bearer t","methodArn":"`+restARN+`GET/a:b/c:d"}`), time.Now())
			want(t, "path", fmt.Sprint(r.Path, err), "[a:b c:d] <nil>")
		},
	},
	{
		id:     "arn-1600",
		aws:    "a method ARN of more than 1,600 bytes is answered 414",
		wrong:  "no limit",
		source: outputPage,
		in:     []patch{{requestFile, "len(c.arn()) > maxARN {", "len(c.arn()) > maxARN && !FAULT {"}},
		check: func(t *testing.T) {
			w := start(t, "", rest("get {x}"))
			all := answered(policy(statement("Allow", "*")))
			fits := strings.Repeat("x", 1600-len(restARN+"GET/"))
			if got := send(t, "GET", w.rest+"/"+fits, all); got.status != 200 {
				t.Errorf("1,600 bytes: got %d", got.status)
			}
			if got := send(t, "GET", w.rest+"/"+fits+"x", all); got.status != 414 {
				t.Errorf("1,601 bytes: got %d", got.status)
			}
		},
	},
	{
		id:     "arn-512",
		aws:    "a Resource of more than 512 characters makes the answer invalid",
		wrong:  "no limit: an authorizer that echoes a long ARN works here only",
		source: outputPage + "; " + quotasPage,
		in:     []patch{{iamFile, "if len(r) > maxResource {", "if len(r) > maxResource && !FAULT {"}},
		check: func(t *testing.T) {
			w := start(t, "", rest("get {x}"))
			want(t, "an echoed ARN", send(t, "GET", w.rest+"/"+strings.Repeat("x", 512)).line(), rest500)
		},
	},
	{
		id:     "arn-512-authorizer",
		aws:    "the request itself is legal up to 1,600 bytes",
		wrong:  "an authorizer echoes the ARN as a Resource, and the client gets 500",
		source: outputPage,
		in:     []patch{{"authorizer/apigw/arn.go", "return len(resource) <= maxResource &&", "return (FAULT || len(resource) <= maxResource) &&"}},
		check: func(t *testing.T) {
			g, err := apigw.New(apigw.Config{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := g.Request([]byte(`{"type":"TOKEN","authorizationToken":"Bearer t","methodArn":"`+restARN+"GET/"+strings.Repeat("x", 512)+`"}`), time.Now())
			if err != nil || r.Malformed == "" {
				t.Errorf("got %q, %v, want a request that is refused", r.Malformed, err)
			}
		},
	},
}
