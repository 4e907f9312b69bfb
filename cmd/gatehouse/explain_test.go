package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/internal/issuer"
)

// An event is explained by all settings of the function: what authorize records of it is what explain explains.
func TestExplainReadsAnEventAsTheFunctionDoes(t *testing.T) {
	w := newWorld(t)
	dir := w.policies()
	w.file("policies/routes/data.json", `{"$connect": {"api": "a", "answer": "request"}, "GET /a": {"api": "a", "answer": "request"}}`)
	w.file("policies/authz/a/a.rego", `package authz.a

allow contains "connect" if input.request.route == "$connect"

allow contains "tenant" if input.request.headers["x-tenant"] == ["acme"]
`)
	w.file("policies/gatehouse/decision.rego", `package gatehouse

_grants := data.authz.a.allow

_context := {"sub": "somebody else"} if {
	input.request.query.q
} else := {}

decision := {
	"allowed": true, "status": {"code": 200, "reason": "Granted", "message": ""}, "grants": sort(_grants), "violations": [],
	"warnings": [], "auditAnnotations": {}, "context": _context,
} if {
	count(_grants) > 0
} else := {
	"allowed": false, "status": {"code": 403, "reason": "NotGranted", "message": ""}, "grants": [], "violations": [],
	"warnings": [], "auditAnnotations": {}, "context": {},
}
`)
	key, err := issuer.LoadOrCreateKey(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Mint(key, "https://gatehouse.eu.auth0.com/", issuer.Claims{
		Subject: "auth0|1", Audience: issuer.Audience, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(headers, query string) string {
		return fmt.Sprintf(`{"type":"REQUEST","methodArn":"arn:aws:execute-api:eu-central-1:123456789012:wsapi00001/dev/$connect",
			"headers":{%[1]s},"multiValueHeaders":{%[2]s},"queryStringParameters":{%[3]s},"multiValueQueryStringParameters":{%[4]s},
			"requestContext":{"routeKey":"$connect","eventType":"CONNECT","stage":"dev","apiId":"wsapi00001","identity":{"sourceIp":"203.0.113.9"}}}`,
			headers, listed(headers), query, listed(query))
	}
	bearer := `"Authorization":"Bearer ` + token + `"`
	plain := `{"type":"TOKEN","authorizationToken":"Bearer ` + token + `","methodArn":"arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/dev/GET/a"}`
	tests := map[string]struct {
		event string
		auth0 string // members of the document besides
		env   []string
		want  string // error code, or reason of the decision
	}{
		"a token in Authorization":            {connect(bearer, ""), "", nil, "Granted"},
		"a token nowhere":                     {connect("", ""), "", nil, "token_missing"},
		"a token in the query":                {connect("", `"t":"`+token+`"`), `"token_query":"t",`, nil, "Granted"},
		"a token in another query parameter":  {connect("", `"t":"`+token+`"`), "", nil, "token_missing"},
		"a token among the subprotocols":      {connect(`"Sec-WebSocket-Protocol":"bearer, `+token+`"`, ""), `"token_subprotocol":"bearer",`, nil, "Granted"},
		"a token behind another subprotocol":  {connect(`"Sec-WebSocket-Protocol":"other, `+token+`"`, ""), `"token_subprotocol":"bearer",`, nil, "token_missing"},
		"this API":                            {plain, "", []string{"GATEHOUSE_APIS=123456789012/a1b2c3"}, "NotGranted"},
		"another API":                         {plain, "", []string{"GATEHOUSE_APIS=123456789012/zzzzzz"}, "api_not_allowed"},
		"simple responses to who reads none":  {plain, "", []string{"GATEHOUSE_RESPONSE=simple"}, "response_not_understood"},
		"a header that the settings list":     {connect(bearer+`,"X-Tenant":"acme"`, ""), `"headers":["x-tenant"],`, nil, "Granted"},
		"a context that no answer can carry":  {connect(bearer, `"q":"1"`), `"query":["q"],`, nil, "context_reserved"},
		"the same where no policy sees it":    {connect(bearer, `"q":"1"`), "", nil, "Granted"},
		"the last of two settings of a name":  {plain, "", []string{"GATEHOUSE_APIS=123456789012/a1b2c3", "GATEHOUSE_APIS=123456789012/zzzzzz"}, "api_not_allowed"},
		"a path that can be read in two ways": {strings.Replace(plain, "GET/a", "GET/a%2fb", 1), "", nil, "RequestMalformed"},
	}
	for note, test := range tests {
		t.Run(note, func(t *testing.T) {
			env := append([]string{strings.Replace(w.env[0], `"version"`, test.auth0+`"version"`, 1)}, test.env...)
			event := strings.Join(strings.Fields(test.event), " ")
			decided := call(t, event, env, "authorize", "--policies", dir)
			var record authorizer.Record
			if err := json.Unmarshal([]byte(decided.err), &record); err != nil {
				t.Fatalf("%v: %+v", err, decided)
			}
			said := call(t, event, env, "explain", "--policies", dir, "--json")
			var x explained
			if err := json.Unmarshal([]byte(said.out), &x); err != nil || said.code != exitDone {
				t.Fatalf("%v: %+v", err, said)
			}
			if record.Error != nil {
				if record.Error.Code != test.want || x.Error == nil || x.Error.Failure != *record.Error || x.Explanation != nil {
					t.Errorf("want %s\nrecorded %+v\nexplained %s", test.want, record.Error, said.out)
				}
				return
			}
			if string(record.Result.Status.Reason) != test.want || x.Explanation == nil || !reflect.DeepEqual(x.Decision, *record.Result) {
				t.Errorf("want %s\nrecorded %+v\nexplained %s", test.want, record.Result, said.out)
			}
		})
	}
	if got := call(t, plain, []string{"GATEHOUSE_APIS=x"}, "explain", "--as", "customer"); got.code != exitRefused || !strings.Contains(got.err, "GATEHOUSE_APIS: ") {
		t.Errorf("%+v", got)
	}
	if got := call(t, plain, []string{"GATEHOUSE_APIS=123456789012/zzzzzz"}, "explain", "--as", "customer"); got.code != exitDone || !strings.Contains(got.out, "api_not_allowed") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"explain", "--as", "customer"}, {"can-i", "GET", "/a", "--token", token}} {
		if got := call(t, plain, append(w.env, "GATEHOUSE_X=1"), args...); got.code != exitRefused || !strings.Contains(got.err, "GATEHOUSE_X: no such setting") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// listed gives each value of members, "name":"value", in a list.
func listed(members string) string {
	var values map[string]string
	_ = json.Unmarshal([]byte("{"+members+"}"), &values)
	lists := map[string][]string{}
	for name, value := range values {
		lists[name] = []string{value}
	}
	text, _ := json.Marshal(lists)
	return strings.Trim(string(text), "{}")
}

// A long value is cut on the screen, at a rune, and an absent one is said to be.
func TestShown(t *testing.T) {
	at := pdp.Place{File: "a/data.yaml", Line: 3}
	tests := map[string]struct {
		value pdp.Value
		want  string
	}{
		"absent":              {pdp.Value{Name: "input.a"}, "input.a is absent"},
		"absent from a place": {pdp.Value{Name: "a.b", Place: &at}, "a.b is absent  a/data.yaml:3"},
		"null":                {pdp.Value{Name: "input.a", Value: json.RawMessage("null")}, "input.a = null"},
		"a place":             {pdp.Value{Name: "data.a", Value: json.RawMessage("1"), Place: &at}, "data.a = 1  a/data.yaml:3"},
		"long": {pdp.Value{Name: "x", Value: json.RawMessage(`"` + strings.Repeat("é", 200) + `"`)},
			`x = "` + strings.Repeat("é", 99) + "…"},
	}
	for note, test := range tests {
		if got := shown(test.value); got != test.want {
			t.Errorf("%s: got %q, want %q", note, got, test.want)
		}
	}
}

// What an inner condition only repeats under other names is left out on the screen.
func TestConditionsAreSaidOnce(t *testing.T) {
	value := func(name string) []pdp.Value { return []pdp.Value{{Name: name, Value: json.RawMessage(`"v"`)}} }
	var w page
	w.conditions(0, []pdp.Condition{{
		Place: pdp.Place{File: "a.rego", Line: 1}, Source: "f(x)", Saw: value("x"),
		Within: []pdp.Condition{
			{Place: pdp.Place{File: "a.rego", Line: 5}, Source: "y in ys", Saw: value("y")},
			{Place: pdp.Place{File: "a.rego", Line: 6}, Source: "z", Saw: []pdp.Value{{Name: "z"}}, Holds: true},
		},
	}}, nil)
	if got, want := w.text.String(), "fails: f(x)  a.rego:1\n  x = \"v\"\n  holds: z  a.rego:6\n    z is absent\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// What has no title, or no place, leaves no gap on the screen.
func TestReportWithoutTitles(t *testing.T) {
	for _, colour := range []bool{false, true} {
		w := page{stdio: stdio{colour: colour}}
		x := explained{Route: "GET /a", Explanation: &pdp.Explanation{
			Decision: authorizer.Decision{Status: authorizer.Status{Reason: authorizer.NotGranted}},
			Grants:   []pdp.Grant{{Code: "a", Fired: true}, {Code: "b", Unmet: []pdp.Condition{{Source: "false"}}}},
			Constraints: []pdp.Constraint{
				{Name: "x", Template: "t", Action: "deny", Messages: []string{"m"}},
				{Name: "y", Action: "deny", Messages: []string{""}},
				{Name: "z"},
			},
		}}
		x.printGrants(&w, false)
		x.printConstraints(&w, false)
		got := w.text.String()
		for _, code := range []string{"0", bold, red, green, yellow, faint} {
			got = strings.ReplaceAll(got, "\x1b["+code+"m", "")
		}
		const want = "granted a\nnot granted b\n  fails: false\nviolated x (deny)  m\n  template t\nviolated y (deny)\nsatisfied z\n"
		if got != want {
			t.Errorf("colours %t: got\n%s\nwant\n%s", colour, got, want)
		}
	}
}

// Errors that the tester does not put into one text stay as they are, and no address in memory is ever shown.
func TestUnpacked(t *testing.T) {
	tests := map[string]struct{ dump, want string }{
		"one":                  {"a.rego:1: eval_builtin_error: div: divide by zero", "a.rego:1: eval_builtin_error: div: divide by zero"},
		"the same twice":       {"[{c m a.rego:1  0xc0001} {c m a.rego:1  0xc0002}]", "a.rego:1: c: m (2 times)"},
		"another cause":        {"[{c m a.rego:1  <nil>} {d {n} b.rego:2  0xc0002}]", "a.rego:1: c: m\nb.rego:2: d: {n}"},
		"a message with lines": {"[{c m\nn a.rego:1  0xc0001} {c m\nn a.rego:1  0xc0001}]", "a.rego:1: c: m\nn (2 times)"},
	}
	for note, test := range tests {
		if got := unpacked(errors.New(test.dump)); got != test.want {
			t.Errorf("%s: got %q, want %q", note, got, test.want)
		}
	}
}

// What no route takes is compared with those of the table, also without the stage in front.
func TestUnrouted(t *testing.T) {
	keys := []string{"$connect", "$default", "ANY /any/{id}", "GET /", "GET /orders", "GET /orders/{id}", "POST /orders/{id}/lines"}
	tests := map[string]struct{ method, path, want string }{
		"one letter less":        {"GET", "order", "GET /orders?"},
		"with the stage":         {"GET", "dev orders 42", "GET /orders/42?"},
		"another method":         {"PUT", "orders", "GET /orders?"},
		"a method much alike":    {"PUT", "orders 42 lines", "POST /orders/42/lines?"},
		"any method":             {"PATCH", "amy 1", "PATCH /any/1?"},
		"the root":               {"GET", "x", ""},
		"of another length":      {"GET", "orders 42 line 7", ""},
		"nothing like it at all": {"GET", "health", ""},
		"nothing":                {"PUT", "", ""},
	}
	for note, test := range tests {
		got := unrouted(authorizer.Request{Method: test.method, Path: strings.Fields(test.path)}, keys, false)
		if _, meant, _ := strings.Cut(got, "; did you mean "); meant != test.want {
			t.Errorf("%s: %s", note, got)
		}
	}
}
