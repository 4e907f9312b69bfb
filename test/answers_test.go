package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// edition gives a copy of the policies with some files changed or added.
func edition(t *testing.T, change map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../policies")); err != nil {
		t.Fatal(err)
	}
	for name, content := range change {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// asked is what one event leads to: the answer, the error in its place, and the record.
type asked struct {
	Response map[string]any
	Error    string
	Record   struct {
		Result map[string]any
		Error  struct{ Code, Message string }
		Erased []string
		Input  struct {
			Request struct {
				Query   map[string][]string
				Headers map[string][]string
			}
		}
	}
	text string // answer and record as they were written
}

func ask(t *testing.T, environment []string, event string, flags ...string) asked {
	t.Helper()
	answers, records := authorizeLines(t, environment, []string{event}, flags...)
	a := asked{text: answers[0] + "\n" + records}
	if err := json.Unmarshal([]byte(answers[0]), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(records), &a.Record); err != nil {
		t.Fatalf("%v: %s", err, records)
	}
	return a
}

func (a asked) context(name string) any {
	context, _ := a.Response["context"].(map[string]any)
	return context[name]
}

// With GATEHOUSE_RESPONSE=simple an event of payload 2.0 is answered in a word; the others are not understood.
func TestAuthorizeSimply(t *testing.T) {
	tn := newTenant(t)
	environment := []string{"GATEHOUSE_AUTH0=" + tn.auth0, "GATEHOUSE_RESPONSE=simple"}
	for person, want := range map[string]bool{"customer": true, "outsider": false} {
		for kind, event := range own(t, "Bearer "+tn.token(t, person)) {
			a := ask(t, environment, event)
			if kind != "http-2.0" {
				if a.Error != "Unavailable" || a.Record.Error.Code != "response_not_understood" {
					t.Errorf("%s: %s", kind, a.text)
				}
				continue
			}
			if a.Response["isAuthorized"] != want || len(a.Response) != 2 || a.context("decision_id") == nil || (a.context("sub") == "auth0|cust") != want {
				t.Errorf("%s: %s", person, a.text)
			}
		}
	}
}

// A denied client learns which grant it lacks, or which template keeps it out, where METADATA says that it may.
func TestAuthorizeDisclosesReasons(t *testing.T) {
	tn := newTenant(t)
	environment := []string{"GATEHOUSE_AUTH0=" + tn.auth0}
	strict := edition(t, map[string]string{"constraints/mfa-for-deletes/data.yaml": "template: require_mfa\nmatch: {routes: [\"DELETE /orders/{id}\"]}\nparameters: {acr: [gold]}\n"})
	event := func(person, method string) string {
		e := own(t, "Bearer "+tn.token(t, person))["rest-token"]
		return strings.Replace(e, "GET/orders/42", method+"/orders/42", 1)
	}
	for _, tt := range []struct {
		name, event string
		flags       []string
		reason      string
		denied      any
	}{
		{"no grant", event("customer", "DELETE"), nil, "NotGranted", "orders.delete"},
		{"only a warning", event("support", "DELETE"), nil, "Granted", nil},
		{"a constraint", event("support", "DELETE"), []string{"--policies", strict}, "ConstraintViolated", "mfa_required"},
		{"a constraint that does not say so", event("outsider", "GET"), nil, "ConstraintViolated", nil},
	} {
		a := ask(t, environment, tt.event, tt.flags...)
		disclosed, _ := a.Record.Result["disclosed"].([]any)
		if a.context("denied_by") != tt.denied || (len(disclosed) == 1) != (tt.denied != nil) || len(disclosed) == 1 && disclosed[0] != tt.denied ||
			a.Record.Result["status"].(map[string]any)["reason"] != tt.reason {
			t.Errorf("%s: %s", tt.name, a.text)
		}
	}
}

// The key that a policy meters by reaches a REST API, and no record.
func TestAuthorizeUsageKey(t *testing.T) {
	tn := newTenant(t)
	const secret = "acme-7f3a9c2e51d84b06"
	dir := edition(t, map[string]string{
		"authz/orders/metered.rego": "package authz.orders\n\nusage_identifier_key := \"" + secret + "\"\n",
	})
	for kind, event := range own(t, "Bearer "+tn.token(t, "customer")) {
		a := ask(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0}, event, "--policies", dir)
		want := 0
		if strings.HasPrefix(kind, "rest") {
			want = 1
		}
		metered := kind != "websocket" // which is no route of the orders API
		if strings.Count(a.text, secret) != want || (a.Response["usageIdentifierKey"] == secret) != (want == 1) ||
			strings.Contains(strings.Join(a.Record.Erased, " "), "/result/usageIdentifierKey") != metered {
			t.Errorf("%s: %s", kind, a.text)
		}
	}
}

// A WebSocket's token comes where the configuration says, from one place, and stays out of the record.
func TestAuthorizeWebSocketTokens(t *testing.T) {
	tn := newTenant(t)
	dir := edition(t, map[string]string{
		"routes/data.json":     strings.Replace(read(t, "../policies/routes/data.json"), "{", `{"$connect": {"api": "live", "answer": "request"},`, 1),
		"authz/live/live.rego": "package authz.live\n\nallow contains \"live.connect\" if input.request.route == \"$connect\"\n",
	})
	token := tn.token(t, "customer")
	configured := strings.Replace(tn.auth0, `"version"`, `"token_query":"tk","token_subprotocol":"gatehouse","query":["q"],"version"`, 1)
	bare := set(t, set(t, own(t, "Bearer "+token)["websocket"], nil, "headers", "Authorization"), nil, "multiValueHeaders", "Authorization")
	byQuery := set(t, set(t, bare, token, "queryStringParameters", "tk"), []string{token}, "multiValueQueryStringParameters", "tk")
	byProtocol := set(t, bare, "gatehouse, "+token, "headers", "Sec-WebSocket-Protocol")
	for _, tt := range []struct{ name, auth0, event, code string }{
		{"by header", configured, own(t, "Bearer "+token)["websocket"], ""},
		{"by query", configured, byQuery, ""},
		{"by subprotocol", configured, byProtocol, ""},
		{"by both", configured, set(t, byQuery, "gatehouse, "+token, "headers", "Sec-WebSocket-Protocol"), "authorization_malformed"},
		{"by query and header", configured, set(t, byQuery, "Bearer "+token, "headers", "Authorization"), "authorization_malformed"},
		{"nowhere", configured, bare, "token_missing"},
		{"by query, which nobody configured", tn.auth0, byQuery, "token_missing"},
		{"by subprotocol, which nobody configured", tn.auth0, byProtocol, "token_missing"},
	} {
		a := ask(t, []string{"GATEHOUSE_AUTH0=" + tt.auth0}, tt.event, "--policies", dir)
		if (a.Error != "") != (tt.code != "") || a.Record.Error.Code != tt.code || a.Error == "" && a.Record.Result["allowed"] != true {
			t.Errorf("%s: %s", tt.name, a.text)
		}
		for _, part := range strings.Split(token, ".") {
			if strings.Contains(a.text, part) {
				t.Errorf("%s: shows a part of the token: %s", tt.name, a.text)
			}
		}
		if len(a.Record.Input.Request.Query) > 1 || len(a.Record.Input.Request.Headers) > 0 {
			t.Errorf("%s: recorded %v", tt.name, a.Record.Input.Request)
		}
	}
}

// A token that a client puts under a listed name is refused, and not recorded.
func TestAuthorizeRefusesATokenInAListedHeader(t *testing.T) {
	tn := newTenant(t)
	token := tn.token(t, "customer")
	auth0 := strings.Replace(tn.auth0, `"version"`, `"headers":["x-tenant"],"version"`, 1)
	event := set(t, own(t, "Bearer "+token)["http-2.0"], token, "headers", "x-tenant")
	a := ask(t, []string{"GATEHOUSE_AUTH0=" + auth0}, event)
	if a.Record.Result["status"].(map[string]any)["reason"] != "RequestMalformed" || a.Record.Input.Request.Headers != nil || strings.Contains(a.text, strings.Split(token, ".")[1]) {
		t.Error(a.text)
	}
}
