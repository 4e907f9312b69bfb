package function_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/function"
	"gatehouse/internal/issuer"
)

// least is the smallest bundle that loads: it allows GET /a to everybody who has a token.
var least = fstest.MapFS{
	".manifest":        {Data: []byte(`{"roots": ["gatehouse", "authz", "routes"], "rego_version": 1}`)},
	"routes/data.json": {Data: []byte(`{"GET /a": {"api": "a", "answer": "request"}}`)},
	"authz/a/a.rego":   {Data: []byte("package authz.a\n\nallow contains \"a\"\n")},
	"gatehouse/decision.rego": {Data: []byte(`package gatehouse

decision := {
	"allowed": true,
	"status": {"code": 200, "reason": "Granted", "message": ""},
	"grants": sort(data.authz.a.allow),
	"violations": [],
	"warnings": [],
	"auditAnnotations": {},
	"context": {},
}
`)},
}

// pinned is an Auth0 document whose keys stand in it, so that nothing is fetched.
func pinned(t *testing.T) string {
	t.Helper()
	key, err := issuer.LoadOrCreateKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return `{"version":"v1","issuers":[{"issuer":"https://t.eu.auth0.com/","audiences":["https://api.example.com"],"pinned":true,"jwks":` +
		string(key.Public()) + `}]}`
}

const event = `{"type":"TOKEN","authorizationToken":"Bearer x","methodArn":"arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/GET/a"}`

// started is what one event leaves behind: the record's labels and its error code.
type started struct {
	records, log bytes.Buffer
}

func (s *started) ask(t *testing.T, environment []string) (labels map[string]string, code string) {
	t.Helper()
	a, err := function.New(t.Context(), function.Config{
		Environment: environment,
		Policies:    least,
		Records:     &s.records,
		Log:         slog.New(slog.NewJSONHandler(&s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := a.Authorize(t.Context(), []byte(event)); err == nil {
		t.Fatalf("a token that is none was answered: %s", answer)
	}
	var r struct {
		Labels map[string]string
		Error  struct{ Code string }
	}
	if err := json.Unmarshal(s.records.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, s.records.String())
	}
	return r.Labels, r.Error.Code
}

func TestNewLabels(t *testing.T) {
	auth0 := "GATEHOUSE_AUTH0=" + pinned(t)
	tests := []struct {
		name string
		env  []string
		want map[string]string
	}{
		{"default", []string{auth0}, map[string]string{"app": "gatehouse", "stage": "dev"}},
		{"empty is not set", []string{auth0, "GATEHOUSE_STAGE=", "AWS_REGION="}, map[string]string{"app": "gatehouse", "stage": "dev"}},
		{"all", []string{auth0, "GATEHOUSE_STAGE=prod", "AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=7", "AWS_REGION=eu-west-1"},
			map[string]string{"app": "gatehouse", "stage": "prod", "function": "f", "function_version": "7", "region": "eu-west-1"}},
		{"the last of two wins", []string{auth0, "GATEHOUSE_STAGE=a", "GATEHOUSE_STAGE=b"}, map[string]string{"app": "gatehouse", "stage": "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s started
			got, code := s.ask(t, tt.env)
			if len(got) != len(tt.want) {
				t.Errorf("labels %v, want %v", got, tt.want)
			}
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("label %s = %q, want %q", name, got[name], want)
				}
			}
			if code != "token_malformed" {
				t.Errorf("code %q", code)
			}
			if s.log.Len() > 0 {
				t.Errorf("logged: %s", s.log.String())
			}
		})
	}
}

// A setting of later versions is accepted where it asks for what this version does anyway.
func TestNewAcceptsNeutralSettings(t *testing.T) {
	var s started
	s.ask(t, []string{
		"GATEHOUSE_AUTH0=" + pinned(t), "GATEHOUSE_ANSWER=request", "GATEHOUSE_RESPONSE=iam", "GATEHOUSE_STORE=", "GATEHOUSE_TRUST=",
		"GATEHOUSE_THRESHOLD=", "GATEHOUSE_MIN_SEQUENCE=", "GATEHOUSE_REFRESH=", "GATEHOUSE_MAX_STALE=", "GATEHOUSE_APIS=",
		"gatehouse_lower=1", "OTHER=1", "NOVALUE",
	})
}

// With GATEHOUSE_RESPONSE=simple only events of payload 2.0 are answered.
func TestNewChoosesTheResponse(t *testing.T) {
	auth0 := "GATEHOUSE_AUTH0=" + pinned(t)
	for response, want := range map[string]string{"": "token_malformed", "iam": "token_malformed", "simple": "response_not_understood"} {
		var s started
		if _, code := s.ask(t, []string{auth0, "GATEHOUSE_RESPONSE=" + response}); code != want {
			t.Errorf("%q: code %q, want %q", response, code, want)
		}
	}
}

// Only the accounts and APIs of the list may ask.
func TestNewPinsAPIs(t *testing.T) {
	auth0 := "GATEHOUSE_AUTH0=" + pinned(t)
	for apis, want := range map[string]string{
		"123456789012/a1b2c3":                     "token_malformed",
		"123456789012/zzzzzz,123456789012/a1b2c3": "token_malformed",
		"123456789012/zzzzzz":                     "api_not_allowed",
	} {
		var s started
		if _, code := s.ask(t, []string{auth0, "GATEHOUSE_APIS=" + apis}); code != want {
			t.Errorf("%s: code %q, want %q", apis, code, want)
		}
	}
}

// Events can be read by an environment that says nothing of tokens; nobody is verified by it.
func TestReadWithoutAuth0(t *testing.T) {
	s, err := function.Read([]string{"GATEHOUSE_APIS=123456789012/zzzzzz", "GATEHOUSE_AUTH0="})
	if err != nil || s.Verifies() {
		t.Fatalf("%+v, %v", s, err)
	}
	gateway, err := s.Gateway()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Request([]byte(event), time.Now()); err == nil || !strings.HasPrefix(err.Error(), "api_not_allowed") {
		t.Errorf("got %v", err)
	}
	if v, err := s.Verifier(); v != nil || err == nil || !strings.HasPrefix(err.Error(), "GATEHOUSE_AUTH0: missing: ") {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := (function.Settings{}).Gateway(); err != nil {
		t.Error(err)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	good := "GATEHOUSE_AUTH0=" + pinned(t)
	tests := []struct {
		name     string
		env      []string
		policies fs.FS
		want     []string // lines or their beginnings, in order
		not      string
	}{
		{"nothing", nil, least, []string{"GATEHOUSE_AUTH0: missing"}, "issuers"},
		{"nothing, and a fault", []string{"GATEHOUSE_RESPONSE=x"}, least, []string{`GATEHOUSE_RESPONSE: "x": want`, "GATEHOUSE_AUTH0: missing"}, ""},
		{"unknown", []string{good, "GATEHOUSE_STAGES=value-of-it"}, least, []string{"GATEHOUSE_STAGES: no such setting"}, "value-of-it"},
		{"all at once, by name", []string{
			"GATEHOUSE_Z=1", "GATEHOUSE_AUTH0={}", "GATEHOUSE_APIS=one, two", "GATEHOUSE_A=1", "GATEHOUSE_ANSWER=route",
		}, fstest.MapFS{}, []string{
			"GATEHOUSE_A: no such setting", "GATEHOUSE_Z: no such setting", "GATEHOUSE_ANSWER=route: not supported yet",
			"GATEHOUSE_AUTH0: parse auth0 configuration: version", "issuers", `GATEHOUSE_APIS: apigw: api "one"`, `apigw: api " two"`,
			"load policies: .manifest: missing",
		}, ""},
		{"of a store, without one", []string{
			good, "GATEHOUSE_TRUST=" + `{"keys":[{"kid":"release-key"}]}`, "GATEHOUSE_THRESHOLD=2", "GATEHOUSE_MIN_SEQUENCE=1",
			"GATEHOUSE_REFRESH=30s", "GATEHOUSE_MAX_STALE=10m", "GATEHOUSE_ANSWER=api",
		}, least, []string{
			"GATEHOUSE_ANSWER=api: not supported yet", "GATEHOUSE_MAX_STALE: set without GATEHOUSE_STORE", "GATEHOUSE_MIN_SEQUENCE: set without",
			"GATEHOUSE_REFRESH: set without", "GATEHOUSE_THRESHOLD: set without", "GATEHOUSE_TRUST: set without",
		}, "release-key"},
		{"a store, and nothing else", []string{"GATEHOUSE_STORE=file:/nowhere"}, least, []string{
			"GATEHOUSE_APIS: missing: with a store", "GATEHOUSE_TRUST: missing",
		}, ""},
		{"a store, and all of it wrong", []string{
			good, "GATEHOUSE_STORE=s3:x", `GATEHOUSE_TRUST={"keys":[{"kid":"release-key"}]}`, "GATEHOUSE_THRESHOLD=two", "GATEHOUSE_MIN_SEQUENCE=0",
			"GATEHOUSE_REFRESH=30", "GATEHOUSE_MAX_STALE=10s", "GATEHOUSE_APIS=one",
		}, fstest.MapFS{}, []string{
			"GATEHOUSE_AUTH0: set beside GATEHOUSE_STORE", `GATEHOUSE_THRESHOLD: "two": want a number from 1`, `GATEHOUSE_MIN_SEQUENCE: "0": want`,
			`GATEHOUSE_REFRESH: "30": want a duration`, "GATEHOUSE_MAX_STALE: 10s is less than GATEHOUSE_REFRESH, 30s",
			"GATEHOUSE_TRUST: ", "keys[0]", "keys[0]", "keys[0]", "GATEHOUSE_STORE: ", `GATEHOUSE_APIS: apigw: api "one"`,
		}, "release-key"},
		{"another response", []string{good, "GATEHOUSE_RESPONSE=Simple"}, least, []string{`GATEHOUSE_RESPONSE: "Simple": want iam or simple`}, ""},
		{"a document that is not JSON", []string{"GATEHOUSE_AUTH0=secret-of-somebody"}, least, []string{"GATEHOUSE_AUTH0: parse auth0 configuration"}, "somebody"},
		{"policies that do not load", []string{good}, fstest.MapFS{".manifest": {}, "a.txt": {}}, []string{"read policies: a.txt: not a policy file"}, "GATEHOUSE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := function.New(t.Context(), function.Config{
				Environment: tt.env, Policies: tt.policies, Records: io.Discard, Log: slog.New(slog.DiscardHandler),
			})
			if err == nil || a != nil {
				t.Fatalf("started: %v, %v", a, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("fault %d is %q, want %q", i+1, lines[i], want)
				}
			}
			if tt.not != "" && strings.Contains(err.Error(), tt.not) {
				t.Errorf("%q in %v", tt.not, err)
			}
		})
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	_, err := function.New(t.Context(), function.Config{Environment: []string{"GATEHOUSE_AUTH0=" + pinned(t)}})
	if err == nil {
		t.Fatal("started")
	}
	if got, want := err.Error(), "function: no policies\nfunction: no writer of records\nfunction: no log"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An issuer that is down while the function starts is a line in the log. Without its keys no token is believed.
func TestNewStartsWithoutItsIssuer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + l.Addr().String() + "/"
	if err := l.Close(); err != nil { // nobody listens there now
		t.Fatal(err)
	}
	var s started
	_, code := s.ask(t, []string{`GATEHOUSE_AUTH0={"version":"v1","issuers":[{"issuer":"` + down + `","audiences":["https://api.example.com"]}]}`})
	if code != "token_malformed" {
		t.Errorf("code %q", code)
	}
	var line struct{ Level, Msg, Error string }
	if err := json.Unmarshal(s.log.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, s.log.String())
	}
	if line.Level != "WARN" || line.Msg != "fetch of issuer keys failed" || !strings.Contains(line.Error, "warm issuer "+down) {
		t.Errorf("logged %s", s.log.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Without a record there is no answer, and only the log can say why.
func TestAnUnwrittenRecordIsLogged(t *testing.T) {
	var log bytes.Buffer
	a, err := function.New(t.Context(), function.Config{
		Environment: []string{"GATEHOUSE_AUTH0=" + pinned(t)}, Policies: least,
		Records: brokenPipe{}, Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := a.Authorize(t.Context(), []byte(event)); answer != nil || err == nil || err.Error() != "Unavailable" {
		t.Errorf("got %q, %v", answer, err)
	}
	if !strings.Contains(log.String(), "not recorded") || !strings.Contains(log.String(), io.ErrClosedPipe.Error()) {
		t.Errorf("the log says %q", log.String())
	}
}
