package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// preflighted is what a browser is told about an origin: status, origin, credentials, Vary.
func preflighted(t *testing.T, url, origin string) string {
	t.Helper()
	got := send(t, "OPTIONS", url, "", "Origin: "+origin, "Access-Control-Request-Method: GET")
	h := got.header
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s", got.status, h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"), h.Get("Vary")))
}

func TestOriginsOfAnHTTPAPI(t *testing.T) {
	for _, c := range []struct{ cors, origin, want string }{
		{"true", "https://a.example", "204 *"},
		{"{allowedOrigins: ['https://a.example', 'https://b.example'], allowCredentials: true}", "https://b.example", "204 https://b.example true Origin"},
		{"{allowedOrigins: ['https://a.example']}", "https://a.example.evil", "204"},
		{"{allowedOrigins: ['https://*']}", "https://a.example", "204 https://a.example  Origin"},
		{"{allowedOrigins: ['https://*']}", "http://a.example", "204"},
	} {
		g := start(t, config(t, strings.Replace(sample, "  httpApi:\n", "  httpApi:\n    cors: "+c.cors+"\n", 1)))
		if got := preflighted(t, g.HTTPURL()+"/open", c.origin); got != c.want {
			t.Errorf("%s asked by %s: got %q, want %q", c.cors, c.origin, got, c.want)
		}
	}
}

func TestOriginsOfARESTAPI(t *testing.T) {
	for _, c := range []struct{ cors, origin, want string }{
		{"true", "https://a.example", "200 *"},
		{"{origin: 'https://a.example', allowCredentials: true, cacheControl: no-store}", "https://other.example", "200 https://a.example true"},
		{"{origins: ['https://a.example', 'https://*.b.example']}", "https://x.b.example", "200 https://x.b.example"},
		{"{origins: ['https://a.example', 'https://*.b.example']}", "https://.b.example", "200 https://a.example"},
		{"{origins: ['https://a.example', 'https://*.b.example']}", "https://x.bxexample", "200 https://a.example"},
	} {
		g := start(t, config(t, sample+"      - http: {method: any, path: 'shared/{id}', cors: "+c.cors+"}\n"))
		if got := preflighted(t, g.RESTURL()+"/shared/1", c.origin); got != c.want {
			t.Errorf("%s asked by %s: got %q, want %q", c.cors, c.origin, got, c.want)
		}
		if got := preflighted(t, g.RESTURL()+"/shared/1/", c.origin); got != c.want {
			t.Errorf("%s, with a slash at the end of the path: got %q, want %q", c.cors, got, c.want)
		}
		if strings.Contains(c.cors, "no-store") {
			got := send(t, "OPTIONS", g.RESTURL()+"/shared/1", "", "Origin: x")
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Access-Control-Allow-Methods") != "OPTIONS,DELETE,GET,HEAD,PATCH,POST,PUT" {
				t.Errorf("%v", got.header)
			}
		}
	}
	// Without the method that is asked about, an OPTIONS is a request like any other, for an HTTP API.
	guarded := start(t, config(t, strings.Replace(strings.Replace(sample, "  httpApi:\n", "  httpApi:\n    cors: true\n", 1), "httpApi: {method: GET, path: '/orders/{id}'", "httpApi: {method: ANY, path: '/orders/{id}'", 1)))
	if got := send(t, "OPTIONS", guarded.HTTPURL()+"/orders/1", "", "Origin: https://a.example"); got.status != http.StatusUnauthorized {
		t.Errorf("no preflight: got %+v", got)
	}
	// A file that has an OPTIONS method of its own answers by it.
	g := start(t, config(t, sample+"      - http: {method: get, path: own, cors: true}\n      - http: OPTIONS own\n"))
	if got := send(t, "OPTIONS", g.RESTURL()+"/own", "", "X-Do: "+do("answer", `{"statusCode":299}`)); got.status != 299 {
		t.Errorf("an OPTIONS of its own: got %+v", got)
	}
	if got := send(t, "OPTIONS", g.RESTURL()+"/none", ""); got.status != http.StatusForbidden {
		t.Errorf("no route: got %+v", got)
	}
}
