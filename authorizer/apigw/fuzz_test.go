package apigw

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/authorizer"
)

// FuzzRequest holds that no event makes the Gateway panic, and that what it accepts says the same as the event's ARN:
// put together again, the request gives the ARN to the byte. Whatever it then answers, an Allow names that ARN alone.
func FuzzRequest(f *testing.F) {
	for _, name := range names {
		f.Add(sample(f, name))
	}
	f.Add([]byte(`{"type":"TOKEN","methodArn":"` + restARN + `GET/a%2Fb/../*?q#${x}"}`))
	f.Add([]byte(`{"type":"REQUEST","version":"2.0","routeArn":"` + httpARN + `dev/GET/a b","routeKey":"ANY /{p+}","rawPath":"/dev/a b"}`))
	g := gateway(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		req, err := g.Request(raw, now)
		if err != nil {
			return
		}
		var e struct {
			MethodARN string `json:"methodArn"`
			RouteARN  string `json:"routeArn"`
		}
		// encoding/json also takes names in another case; only where it finds exactly one ARN can it be the judge.
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("accepted what encoding/json does not read: %v", err)
		}
		if text := arnOf(req).String(); text != e.MethodARN && text != e.RouteARN && strings.Count(strings.ToLower(string(raw)), `arn"`) == 1 {
			t.Fatalf("request of %q from an event of %q%q", text, e.MethodARN, e.RouteARN)
		}
		if req.Protocol != authorizer.WebSocket && req.ARNPath != req.Method && !strings.HasPrefix(req.ARNPath, req.Method+"/") {
			t.Fatalf("method %q, ARN path %q", req.Method, req.ARNPath)
		}
		if req.Malformed != "" && (req.Path != nil || req.Params != nil || req.Query != nil) {
			t.Fatal("a malformed request shows its path")
		}
		for _, s := range req.Path {
			if ambiguous(s) != "" {
				t.Fatalf("path %q", req.Path)
			}
		}
		allowsOnly(t, g, req)
	})
}

// FuzzParseARN holds that parsing an ARN loses nothing, and that no wildcard can stand before the path.
func FuzzParseARN(f *testing.F) {
	f.Add(restARN + "GET/orders/42")
	f.Add(httpARN + "$default/GET/a:b//c")
	f.Add(wsARN + "$connect")
	f.Add("arn:aws-cn:execute-api:cn-north-1:123456789012:a/*/GET/")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseARN(text)
		if err != nil {
			if a != (arn{}) {
				t.Fatalf("an ARN beside the error: %+v", a)
			}
			return
		}
		if a.String() != text {
			t.Fatalf("%q became %q", text, a)
		}
		before, ok := strings.CutSuffix(text, a.path)
		if !ok || strings.ContainsAny(before, "*?{ ") || strings.Count(before, ":") != 5 {
			t.Fatalf("%q: path %q, before it %q", text, a.path, before)
		}
	})
}

// FuzzAnswer holds that whatever a request and a claim say, an Allow names the request's own ARN alone.
func FuzzAnswer(f *testing.F) {
	f.Add("aws", "eu-central-1", "123456789012", "a1", "dev", "GET/orders/42", "auth0|cust", "t", "w")
	f.Add("aws", "*", "123456789012", "a1/*", "*", "GET/*", "*", "*", "\x00")
	f.Add("aws", "eu-central-1", "123456789012", "a1", "$default", "GET/${aws:username}?", "a\nb", "sub", "\xff")
	g := gateway(f)
	f.Fuzz(func(t *testing.T, partition, region, account, api, stage, path, subject, key, warning string) {
		v := verdict(authorizer.Request{
			Partition: partition, Region: region, Account: account, API: api, Stage: stage, ARNPath: path,
		})
		v.Principal.Subject = subject
		v.Decision.Context = map[string]string{key: subject}
		v.Decision.Warnings = []string{warning}
		allowsVerdict(t, g, v)
	})
}

func allowsOnly(t *testing.T, g *Gateway, req authorizer.Request) { allowsVerdict(t, g, verdict(req)) }

func allowsVerdict(t *testing.T, g *Gateway, v authorizer.Verdict) {
	t.Helper()
	raw, err := g.Answer(v)
	if err != nil {
		return
	}
	d := readAnswer(t, raw)
	switch d.effect() {
	case "Deny":
		if len(d.Context) != 2 {
			t.Fatalf("a Deny tells more than its ids: %s", raw)
		}
	case "Allow":
		if v.Request.Malformed != "" || d.resource() != arnOf(v.Request).String() ||
			strings.ContainsAny(d.resource(), "*?") || strings.Contains(d.resource(), "${") || len(d.resource()) > 512 {
			t.Fatalf("Allow of %q for %+v", d.resource(), v.Request)
		}
	default:
		t.Fatalf("effect %q", d.effect())
	}
}

// FuzzReading mutates what stands in ARN, path, template and parameter, in events that are whole otherwise. A path that
// is accepted is the ARN's, decoded no more than once, and the parameters are what the template takes from it.
func FuzzReading(f *testing.F) {
	f.Add(uint8(0), "users/auth0%7Ccust", "/users/auth0%7Ccust", "/users/{id}", "auth0%7Ccust")
	f.Add(uint8(1), "users/auth0|cust", "/base/users/auth0|cust", "/users/{id}", "auth0|cust")
	f.Add(uint8(2), "a/b c", "/dev/a/b c", "/{proxy+}", "a/b c")
	f.Add(uint8(0), "a/%2e%2e/b", "/a/%2e%2e/b", "/{proxy+}", "a/../b")
	f.Add(uint8(2), "", "/dev/", "/", "")
	f.Add(uint8(0), "a%252Fb", "/x//a%252Fb;c", "$default", "*")
	g := gateway(f)
	f.Fuzz(func(t *testing.T, which uint8, arnPath, path, template, param string) {
		name, arn := "rest-request", restARN
		switch which % 3 {
		case 1:
			name, arn = "http-1.0", httpARN+"$default/"
		case 2:
			name, arn = "http-2.0", httpARN+"dev/"
		}
		raw := sample(t, name,
			edit{"methodArn", arn + "GET/" + arnPath}, edit{"path", path}, edit{"resource", template},
			edit{"requestContext.resourcePath", template}, edit{"requestContext.resourceId", ""},
			edit{"routeArn", nil}, edit{"rawPath", path}, edit{"routeKey", "GET " + template},
			edit{"requestContext.routeKey", nil}, edit{"pathParameters", map[string]string{"id": param}},
		)
		if name == "http-2.0" {
			raw = edited(t, raw, edit{"methodArn", nil}, edit{"routeArn", arn + "GET/" + arnPath})
		}
		req, err := g.Request(raw, now)
		if err != nil || req.Malformed != "" {
			return
		}
		named := split(arnPath)
		if len(named) != len(req.Path) {
			t.Fatalf("path %q from the ARN's %q", req.Path, arnPath)
		}
		for i, s := range req.Path {
			if s != named[i] && !unescapesTo(named[i], s) && !unescapesTo(s, named[i]) || ambiguous(s) != "" {
				t.Fatalf("path %q from the ARN's %q", req.Path, arnPath)
			}
		}
		if req.Params["id"] != param && !unescapesTo(param, req.Params["id"]) {
			t.Fatalf("parameters %v, the event says %q", req.Params, param)
		}
		allowsOnly(t, g, req)
	})
}
