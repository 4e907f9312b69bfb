package authorizer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const secret = "Bearer eyJ.secret.sig"

// rooms are the three rooms as fakes. Each says what it was asked.
type rooms struct {
	request    authorizer.Request
	requestErr error
	principal  authorizer.Principal
	authErr    error
	decision   authorizer.Decision
	decideErr  error
	answerErr  error
	panicIn    string
	asked      []string
	verdict    authorizer.Verdict
	input      authorizer.Input
}

func (r *rooms) step(name string) {
	r.asked = append(r.asked, name)
	if r.panicIn == name {
		panic("with " + secret)
	}
}

func (r *rooms) Request(_ []byte, now time.Time) (authorizer.Request, error) {
	r.step("request")
	r.request.Time = now
	return r.request, r.requestErr
}

func (r *rooms) Authenticate(_ context.Context, c authorizer.Credentials, _ time.Time) (authorizer.Principal, error) {
	r.step("authenticate")
	if len(c) != 1 || c[0] != secret {
		return authorizer.Principal{}, fmt.Errorf("credentials did not arrive")
	}
	return r.principal, r.authErr
}

func (r *rooms) Decide(_ context.Context, in authorizer.Input) (authorizer.Decision, error) {
	r.step("decide")
	r.input = in
	return r.decision, r.decideErr
}

func (r *rooms) Answer(v authorizer.Verdict) ([]byte, error) {
	r.step("answer")
	r.verdict = v
	if r.answerErr != nil {
		return nil, r.answerErr
	}
	return json.Marshal(map[string]bool{"allow": v.Decision.Allowed})
}

func granting() *rooms {
	return &rooms{
		request: authorizer.Request{
			ID: "r-1", API: "a1b2c3", Stage: "prod", Protocol: authorizer.REST, Method: "GET", Route: "GET /orders/{id}",
			Path: []string{"orders", "42"}, Params: map[string]string{"id": "42"}, SourceIP: netip.MustParseAddr("203.0.113.9"),
			Credentials: authorizer.Credentials{secret}, Account: "123456789012", ARNPath: "GET/orders/42",
		},
		principal: authorizer.Principal{
			Issuer: "https://t.eu.auth0.com/", Subject: "auth0|1", Audience: []string{"https://api.example.com"},
			Scopes: []string{"read:orders"}, Permissions: []string{}, Roles: []string{}, ExpiresAt: noon.Add(time.Hour),
			Claims: map[string]any{"acr": "mfa", "email": "a@example.com", "a/b~c": "x", "n": json.Number("9007199254740993")},
		},
		decision: authorizer.Decision{
			Allowed: true, Status: authorizer.Status{Code: 200, Reason: authorizer.Granted},
			Grants: []string{"orders.read"}, Violations: []authorizer.Violation{},
		},
	}
}

// clock moves on by a microsecond at each reading, and its first readings carry a monotonic part as the real one does.
func clock() func() time.Time {
	at := noon
	return func() time.Time { at = at.Add(time.Microsecond); return at.In(time.FixedZone("there", 3600)) }
}

func line(t *testing.T, r *rooms, out *bytes.Buffer) *authorizer.Authorizer {
	t.Helper()
	a, err := authorizer.New(authorizer.Config{
		Source: authorizer.Fixed{Generation: &authorizer.Generation{
			Revision: "d1gest", Gateway: r, Authenticator: r, Policy: r,
			ClaimsRead: authorizer.ClaimsRead{Names: []string{"acr", "amr", "n"}},
		}},
		Recorder: &authorizer.Lines{W: out},
		Labels:   map[string]string{"app": "gatehouse"},
		Now:      clock(),
		NewID:    func() string { return "ID" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// golden compares with testdata/NAME; -update rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// panicLine is where a fake panics in this file, which moves with every edit.
var panicLine = regexp.MustCompile(`(\(\*rooms\)\.step:)\d+`)

func TestTheStraightLine(t *testing.T) {
	denied := authorizer.Decision{
		Status:     authorizer.Status{Code: 403, Reason: authorizer.ConstraintViolated, Message: "not <here>"},
		Grants:     []string{"orders.read"},
		Violations: []authorizer.Violation{{Constraint: "c", Template: "t", Action: "deny", Message: "not <here>"}},
	}
	tests := []struct {
		name   string
		rooms  func(*rooms)
		answer string
		err    error
		asked  string
	}{
		{"allowed", func(*rooms) {}, `{"allow":true}`, nil, "request authenticate decide answer"},
		{"denied", func(r *rooms) { r.decision = denied }, `{"allow":false}`, nil, "request authenticate decide answer"},
		{"disclosed", func(r *rooms) {
			r.decision = denied
			r.decision.Disclosed = []string{"mfa_required"}
		}, `{"allow":false}`, nil, "request authenticate decide answer"},
		{"metered", func(r *rooms) { r.decision.UsageIdentifierKey = "eyJ-is-a-secret" }, `{"allow":true}`, nil, "request authenticate decide answer"},
		{"malformed", func(r *rooms) { r.request.Malformed = "dot segment" }, `{"allow":false}`, nil, "request authenticate answer"},
		{"event", func(r *rooms) { r.requestErr = authorizer.Unavailable("event_malformed", errors.New("no type")) }, "", authorizer.ErrUnavailable, "request"},
		{"token", func(r *rooms) { r.authErr = authorizer.Unauthenticated("token_expired", nil) }, "", authorizer.ErrUnauthenticated, "request authenticate"},
		{"keys", func(r *rooms) { r.authErr = authorizer.Unavailable("jwks_unavailable", errors.New("503")) }, "", authorizer.ErrUnavailable, "request authenticate"},
		{"wrapped", func(r *rooms) { r.authErr = fmt.Errorf("t: %w", authorizer.Unauthenticated("token_expired", nil)) }, "", authorizer.ErrUnauthenticated, "request authenticate"},
		{"unclassified", func(r *rooms) { r.authErr = errors.New("who knows") }, "", authorizer.ErrUnavailable, "request authenticate"},
		{"zero-kind", func(r *rooms) { r.authErr = &authorizer.Error{Code: "odd"} }, "", authorizer.ErrUnavailable, "request authenticate"},
		{"policy", func(r *rooms) { r.decideErr = authorizer.Unavailable("policy_failed", nil) }, "", authorizer.ErrUnavailable, "request authenticate decide"},
		{"answer", func(r *rooms) { r.answerErr = authorizer.Unavailable("context_reserved", nil) }, "", authorizer.ErrUnavailable, "request authenticate decide answer"},
		{"panic-late", func(r *rooms) { r.panicIn = "answer" }, "", authorizer.ErrUnavailable, "request authenticate decide answer"},
		{"panic", func(r *rooms) { r.panicIn = "decide" }, "", authorizer.ErrUnavailable, "request authenticate decide"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, out := granting(), &bytes.Buffer{}
			tt.rooms(r)
			answer, err := line(t, r, out).Authorize(t.Context(), []byte("{}"))
			if string(answer) != tt.answer || err != tt.err {
				t.Errorf("got %q, %v; want %q, %v", answer, err, tt.answer, tt.err)
			}
			if asked := strings.Join(r.asked, " "); asked != tt.asked {
				t.Errorf("asked %q, want %q", asked, tt.asked)
			}
			if strings.Count(out.String(), "\n") != 1 {
				t.Fatalf("want one line, got %q", out)
			}
			for _, hidden := range []string{"eyJ", "a@example.com"} {
				if strings.Contains(out.String(), hidden) {
					t.Errorf("the record holds %q: %s", hidden, out)
				}
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, "record-"+tt.name+".json", panicLine.ReplaceAll(pretty.Bytes(), []byte("${1}LINE")))
		})
	}
}

func TestTheMessagesThatTheGatewayCompares(t *testing.T) {
	if authorizer.ErrUnauthenticated.Error() != "Unauthorized" || authorizer.ErrUnavailable.Error() != "Unavailable" {
		t.Error("API Gateway answers 401 to exactly \"Unauthorized\" and to nothing else")
	}
}

// An API key is a credential: it is handed to the gateway and to nobody else.
func TestAnAPIKeyDoesNotPrint(t *testing.T) {
	d := authorizer.Decision{UsageIdentifierKey: "umbrella"}
	document, err := json.Marshal(map[string]any{"decision": d, "key": d.UsageIdentifierKey})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "decision", d, "key", d.UsageIdentifierKey)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "decision", d, "key", d.UsageIdentifierKey)
	printed := fmt.Sprintf("%s %v %+v %#v %q %x %+v", d.UsageIdentifierKey, d, d, d, d.UsageIdentifierKey, d.UsageIdentifierKey, &d)
	for _, text := range []string{string(document), log.String(), printed} {
		if strings.Contains(text, "umbrella") || strings.Contains(text, "756d62") || !strings.Contains(text, "redacted") {
			t.Errorf("printed: %s", text)
		}
	}
}

func TestOneClockReadingDecides(t *testing.T) {
	r, out := granting(), &bytes.Buffer{}
	if _, err := line(t, r, out).Authorize(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := noon.Add(time.Microsecond)
	if got := r.input.Request.Time; !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("the policy's time is %v, want the first reading, in UTC: %v", got, want)
	}
}

type broken struct{}

func (broken) Record(authorizer.Record) error { return errors.New("disk full") }

func (broken) Differed(authorizer.Difference) error { return errors.New("disk full") }

func TestNoRecordNoAnswer(t *testing.T) {
	r := granting()
	a, err := authorizer.New(authorizer.Config{
		Source:   authorizer.Fixed{Generation: &authorizer.Generation{Revision: "d", Gateway: r, Authenticator: r, Policy: r}},
		Recorder: broken{}, Now: time.Now, NewID: func() string { return "ID" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := a.Authorize(t.Context(), nil); answer != nil || err != authorizer.ErrUnavailable {
		t.Errorf("got %q, %v", answer, err)
	}
	r.authErr = authorizer.Unauthenticated("token_expired", nil)
	if answer, err := a.Authorize(t.Context(), nil); answer != nil || err != authorizer.ErrUnavailable {
		t.Errorf("unrecorded 401: got %q, %v", answer, err)
	}
}

type shortWriter struct{}

func (shortWriter) Write([]byte) (int, error) { return 1, errors.New("pipe closed") }

type halfWriter struct{}

func (halfWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }

func TestLinesSaysWhatWentWrong(t *testing.T) {
	if err := (&authorizer.Lines{W: halfWriter{}}).Record(authorizer.Record{DecisionID: "ID"}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("half a line: got %v", err)
	}
	l := &authorizer.Lines{W: shortWriter{}}
	if err := l.Record(authorizer.Record{DecisionID: "ID"}); err == nil || !strings.Contains(err.Error(), "write record ID: pipe closed") {
		t.Errorf("got %v", err)
	}
	unwritable := authorizer.Record{DecisionID: "ID", Input: &authorizer.Input{Principal: authorizer.Principal{
		Claims: map[string]any{"f": func() {}},
	}}}
	if err := l.Record(unwritable); err == nil || !strings.Contains(err.Error(), "encode record ID") {
		t.Errorf("got %v", err)
	}
}

func TestAComputedPolicyRecordsNoClaim(t *testing.T) {
	r, out := granting(), &bytes.Buffer{}
	a, err := authorizer.New(authorizer.Config{
		Source: authorizer.Fixed{Generation: &authorizer.Generation{
			Revision: "d", Gateway: r, Authenticator: r, Policy: r,
			ClaimsRead: authorizer.ClaimsRead{Names: []string{"acr"}, Computed: true},
		}},
		Recorder: &authorizer.Lines{W: out}, Now: clock(), NewID: func() string { return "ID" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authorize(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"claims":{}`, `"erased":["/input/principal/claims"]`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("record lacks %s: %s", want, out)
		}
	}
	if len(r.input.Principal.Claims) != 4 {
		t.Error("the policy must still see every claim")
	}
}

func TestNewNamesAllThatIsMissing(t *testing.T) {
	_, err := authorizer.New(authorizer.Config{})
	for _, part := range []string{"no source", "no recorder", "no clock", "no source of decision ids"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %q", err, part)
		}
	}
	_, err = authorizer.New(authorizer.Config{Source: authorizer.Fixed{Generation: &authorizer.Generation{}}})
	for _, part := range []string{"generation.revision", "generation.gateway", "generation.authenticator", "generation.policy"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %q", err, part)
		}
	}
}

func TestCredentialsHide(t *testing.T) {
	c := authorizer.Credentials{secret}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "c", c, "r", authorizer.Request{Credentials: c})
	encoded, err := json.Marshal(struct{ C authorizer.Credentials }{c})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c), fmt.Sprintf("%+v", authorizer.Request{Credentials: c}),
		fmt.Sprintf("%#v", authorizer.Request{Credentials: c}), out.String(), string(encoded),
	} {
		if strings.Contains(printed, "secret") || !strings.Contains(printed, "redacted") && !strings.Contains(printed, `"r"`) {
			t.Errorf("printed as %s", printed)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "a\r\nb\x00\u0085c": "abc", "\xff": "\uFFFD", "a\u202eb\u2028c\u200bd": "abcd",
		strings.Repeat("x", 512): strings.Repeat("x", 512), strings.Repeat("x", 511) + "ä": strings.Repeat("x", 511),
	} {
		if got := authorizer.Plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestCarriesSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"authorization": true, "cookie": true, "dpop": true, "access_token": true, "sec-websocket-protocol": true,
		"x-tenant": false, "q": false, "": false,
	} {
		if authorizer.CarriesSecret(name) != want {
			t.Errorf("%q: want %t", name, want)
		}
	}
}

func TestViolationDenies(t *testing.T) {
	for action, denies := range map[string]bool{
		"deny": true, "warn": false, "dryrun": false, "": true, "Warn": true, "dry-run": true, "warn ": true, "off": true,
	} {
		if got := (authorizer.Violation{Action: action}).Denies(); got != denies {
			t.Errorf("action %q: denies %t", action, got)
		}
	}
	if (authorizer.Decision{}).Allowed {
		t.Error("the zero decision allows")
	}
}

func TestRoutes(t *testing.T) {
	table, err := authorizer.NewRoutes([]string{
		"GET /", "GET /orders", "GET /orders/{id}", "GET /orders/mine", "ANY /orders/{id}", "GET /files/{path+}",
		"ANY /files/readme", "GET /users/{id}/orders", "$connect", "POST /a/b", "GET /a/{x}",
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		method, path, route string
		params              map[string]string
	}{
		{"GET", "/", "GET /", nil},
		{"GET", "/orders", "GET /orders", nil},
		{"GET", "/orders/42", "GET /orders/{id}", map[string]string{"id": "42"}},
		{"GET", "/orders/mine", "GET /orders/mine", nil},
		{"PATCH", "/orders/42", "ANY /orders/{id}", map[string]string{"id": "42"}},
		{"PATCH", "/orders/mine", "ANY /orders/{id}", map[string]string{"id": "mine"}},
		{"GET", "/files/a/b/c", "GET /files/{path+}", map[string]string{"path": "a/b/c"}},
		{"GET", "/files/readme", "ANY /files/readme", nil},
		{"GET", "/users/auth0|1/orders", "GET /users/{id}/orders", map[string]string{"id": "auth0|1"}},
		{"GET", "/a/b", "GET /a/{x}", map[string]string{"x": "b"}},
		{"POST", "/orders", "", nil},
		{"POST", "/", "", nil},
		{"get", "/orders", "", nil},
		{"GET", "/orders/", "", nil},
		{"GET", "/orders/42/x", "", nil},
		{"GET", "/files", "", nil},
		{"GET", "/nowhere", "", nil},
	}
	for _, tt := range tests {
		got := table.Complete(authorizer.Request{Protocol: authorizer.REST, Method: tt.method, Path: authorizer.Segments(tt.path)})
		if got.Route != tt.route || !maps.Equal(got.Params, tt.params) {
			t.Errorf("%s %s: got %q %v, want %q %v", tt.method, tt.path, got.Route, got.Params, tt.route, tt.params)
		}
	}
	if got := table.Complete(authorizer.Request{Protocol: authorizer.WebSocket}); got.Route != "$connect" {
		t.Errorf("WebSocket: got %q", got.Route)
	}
	if got := (authorizer.Routes{}).Complete(authorizer.Request{Protocol: authorizer.WebSocket}); got.Route != "" {
		t.Errorf("WebSocket without the route: got %q", got.Route)
	}
	kept := table.Complete(authorizer.Request{Protocol: authorizer.HTTP, Method: "GET", Route: "GET /elsewhere", Path: []string{"orders"}})
	if kept.Route != "GET /elsewhere" {
		t.Errorf("a route that the event names was replaced by %q", kept.Route)
	}
	for route, want := range map[string]string{
		"PATCH /orders/{id}": "ANY /orders/{id}", "GET /orders/{id}": "GET /orders/{id}", "$default": "$default",
	} {
		if got := table.Complete(authorizer.Request{Protocol: authorizer.REST, Route: route}); got.Route != want {
			t.Errorf("route %q of an event: got %q, want %q", route, got.Route, want)
		}
	}
	if got := table.Complete(authorizer.Request{Protocol: authorizer.HTTP, Route: "PATCH /orders/{id}"}); got.Route != "PATCH /orders/{id}" {
		t.Errorf("an HTTP API says its route key exactly; got %q", got.Route)
	}
	if got := table.Complete(authorizer.Request{Protocol: authorizer.REST, Method: "GET", Path: []string{"orders"}, Malformed: "x"}); got.Route != "" {
		t.Errorf("a malformed request got the route %q", got.Route)
	}
	all, err := authorizer.NewRoutes([]string{"$default", "GET /x"})
	if err != nil {
		t.Fatal(err)
	}
	if got := all.Complete(authorizer.Request{Protocol: authorizer.REST, Method: "GET", Path: []string{"y"}}); got.Route != "" {
		t.Errorf("a REST API has no $default; got %q", got.Route)
	}
	for path, route := range map[string]string{"/x": "GET /x", "/y/z": "$default", "/": "$default"} {
		if got := all.Complete(authorizer.Request{Protocol: authorizer.HTTP, Method: "GET", Path: authorizer.Segments(path)}); got.Route != route {
			t.Errorf("%s: got %q, want %q", path, got.Route, route)
		}
	}
}

func TestNewRoutesNamesEveryFault(t *testing.T) {
	bad := []string{"GET", "GET orders", " /x", "GET /a//b", "GET /a/", "GET /{a+}/b", "GET /{}", "GET /{a", "GET /x{a}", "GET /{a}{b}", "GET /x}", "GET /*", "get /x", "GET /{a}/{a}", "GET /twice/{b}"}
	_, err := authorizer.NewRoutes(append([]string{"GET /fine", "GET /twice/{a}"}, bad...))
	for _, key := range bad {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", key)) {
			t.Errorf("error %v lacks %q", err, key)
		}
	}
}

func TestBind(t *testing.T) {
	tests := []struct {
		template, path string
		params         map[string]string
		ok             bool
	}{
		{"/orders/{id}", "/orders/42", map[string]string{"id": "42"}, true},
		{"/orders/{id}", "/orders", nil, false},
		{"/orders/{id}", "/orders/", nil, false},
		{"/orders", "/orders/42", nil, false},
		{"/{proxy+}", "/a/b", map[string]string{"proxy": "a/b"}, true},
		{"/{proxy+}", "/", nil, false},
		{"/", "/", map[string]string{}, true},
	}
	for _, tt := range tests {
		params, ok := authorizer.Bind(tt.template, authorizer.Segments(tt.path))
		if ok != tt.ok || !maps.Equal(params, tt.params) {
			t.Errorf("%s on %s: got %v %t", tt.template, tt.path, params, ok)
		}
	}
}
