package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/issuer"
)

// tenant is an issuer that runs nowhere: its keys stand in the configuration.
type tenant struct {
	key   *issuer.Key
	auth0 string // the Auth0 document that trusts it
}

const tenantURL = "https://gatehouse.eu.auth0.com/"

func newTenant(t testing.TB) tenant {
	t.Helper()
	key, err := issuer.LoadOrCreateKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	auth0, err := json.Marshal(map[string]any{
		"version": "v1", "roles_claim": issuer.RolesClaim,
		"issuers": []any{map[string]any{
			"issuer": tenantURL, "audiences": []string{issuer.Audience}, "pinned": true, "jwks": json.RawMessage(key.Public()),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tenant{key, string(auth0)}
}

// token is what the tenant would give a sample person.
func (tn tenant) token(t testing.TB, person string) string {
	t.Helper()
	p, err := issuer.PersonNamed(person)
	if err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Mint(tn.key, tenantURL, p.Claims(issuer.Audience, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// authorizeLines runs `gatehouse authorize` as a user would, in an environment with nothing but its settings.
func authorizeLines(t *testing.T, environment, events []string, flags ...string) (answers []string, records string) {
	t.Helper()
	c := exec.Command(gatehouse(t), append([]string{"authorize"}, flags...)...)
	c.Env = environment
	var lines, out, records1 bytes.Buffer
	for _, e := range events {
		if err := json.Compact(&lines, []byte(e)); err != nil {
			t.Fatal(err)
		}
		lines.WriteByte('\n')
	}
	c.Stdin, c.Stdout, c.Stderr = &lines, &out, &records1
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s", err, records1.String())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), records1.String()
}

// effect reads a line of `gatehouse authorize`: Allow or Deny with the resource, or the error.
func effect(t *testing.T, line string) string {
	t.Helper()
	var a struct {
		Response *struct {
			PolicyDocument struct {
				Statement []struct {
					Effect   string
					Resource []string
				}
			} `json:"policyDocument"`
		} `json:"response"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if a.Response == nil {
		return a.Error
	}
	if s := a.Response.PolicyDocument.Statement; len(s) == 1 && len(s[0].Resource) == 1 {
		return s[0].Effect + " " + s[0].Resource[0]
	}
	return "a policy of another shape: " + line
}

// sample gives an event that ships with aws-lambda-go.
func sample(t *testing.T, name string) string {
	t.Helper()
	dir, err := command("..", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "events", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// set replaces one member of an event, by its path; nil removes it.
func set(t *testing.T, event string, value any, path ...string) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(event), &doc); err != nil {
		t.Fatal(err)
	}
	at := doc
	for _, step := range path[:len(path)-1] {
		at = at[step].(map[string]any)
	}
	if last := path[len(path)-1]; value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestAuthorizeTheEventsOfTheLambdaLibrary(t *testing.T) {
	tn := newTenant(t)
	bearer := "Bearer " + tn.token(t, "customer")

	token := set(t, sample(t, "apigw-custom-auth-request.json"), bearer, "authorizationToken")
	rest := sample(t, "apigw-custom-auth-request-type-request.json")
	rest = set(t, rest, bearer, "headers", "Authorization")
	v1 := set(t, sample(t, "apigw-v2-custom-authorizer-v1-request.json"), bearer, "headers", "Authorization")
	v2 := set(t, sample(t, "apigw-v2-custom-authorizer-v2-request.json"), bearer, "headers", "authorization")

	tests := []struct{ name, event, want string }{
		{"TOKEN as shipped: a stage that is a wildcard", token, "Unavailable"},
		{"TOKEN made consistent, a route of the table",
			set(t, token, "arn:aws:execute-api:us-west-2:123456789012:ymy8tbxw7b/dev/GET/orders/42", "methodArn"),
			"Allow arn:aws:execute-api:us-west-2:123456789012:ymy8tbxw7b/dev/GET/orders/42"},
		{"TOKEN made consistent, no route of the table",
			set(t, token, "arn:aws:execute-api:us-west-2:123456789012:ymy8tbxw7b/dev/GET/", "methodArn"),
			"Deny arn:aws:execute-api:us-west-2:123456789012:ymy8tbxw7b/dev/GET/"},
		{"REQUEST as shipped: a route that the table lacks", rest, "Deny arn:aws:execute-api:us-east-1:123456789012:s4x3opwd6i/test/GET/request"},
		{"REQUEST without a token", set(t, rest, nil, "headers", "Authorization"), "Unauthorized"},
		{"HTTP API 1.0 as shipped: a route that the table lacks", v1, "Deny arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request"},
		{"HTTP API 1.0 without a header: identitySource is no token", set(t, v1, nil, "headers", "Authorization"), "Unauthorized"},
		{"HTTP API 2.0 as shipped: another API, stage, method and path than its own ARN's", v2, "Unavailable"},
		{"HTTP API 2.0 made consistent", consistent(t, v2), "Deny arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request"},
	}
	events := make([]string, len(tests))
	for i, tt := range tests {
		events[i] = tt.event
	}
	answers, records := authorizeLines(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0}, events)
	if len(answers) != len(tests) {
		t.Fatalf("%d answers to %d events", len(answers), len(tests))
	}
	for i, tt := range tests {
		if got := effect(t, answers[i]); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	checkRecords(t, records, len(tests), bearer)
}

// consistent mends the shipped 2.0 event: one API, one stage, one method, one path, and no parameter that no template binds.
func consistent(t *testing.T, event string) string {
	t.Helper()
	event = set(t, event, "abcdef123", "requestContext", "apiId")
	event = set(t, event, "test", "requestContext", "stage")
	event = set(t, event, "GET", "requestContext", "http", "method")
	event = set(t, event, "/test/request", "requestContext", "http", "path")
	event = set(t, event, "/test/request", "rawPath")
	return set(t, event, nil, "pathParameters")
}

// checkRecords holds the records against what they promise: one line each, OPA's fields, and no token.
func checkRecords(t *testing.T, records string, want int, bearer string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(records), "\n")
	if len(lines) != want {
		t.Errorf("%d records of %d invocations", len(lines), want)
	}
	for _, line := range lines {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, field := range []string{"decision_id", "timestamp", "labels", "bundles", "path", "metrics"} {
			if r[field] == nil {
				t.Errorf("record lacks %s: %s", field, line)
			}
		}
		if (r["result"] == nil) == (r["error"] == nil) {
			t.Errorf("record has not exactly one of result and error: %s", line)
		}
	}
	token := strings.TrimPrefix(bearer, "Bearer ")
	for i, part := range strings.Split(token, ".") {
		if strings.Contains(records, part) {
			t.Errorf("a record holds part %d of the token", i+1)
		}
	}
}

// own are the five events of this house; a token stands where theirs is a placeholder.
func own(t testing.TB, bearer string) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../authorizer/apigw/testdata/events/*.json")
	if err != nil || len(names) != 5 {
		t.Fatalf("%d own events, %v", len(names), err)
	}
	events := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		mended := strings.ReplaceAll(string(content), "Bearer e30.e30.c2ln", bearer)
		if mended == string(content) {
			t.Fatalf("%s: no place for the token", name)
		}
		events[strings.TrimSuffix(filepath.Base(name), ".json")] = mended
	}
	return events
}

func TestAuthorizeAllFiveKinds(t *testing.T) {
	tn := newTenant(t)
	want := map[string][2]string{ // by customer, by outsider
		"rest-token":   {"Allow arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/orders/42", "Deny arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/orders/42"},
		"rest-request": {"Allow arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/users/auth0%7Ccust/orders", "Deny arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/users/auth0%7Ccust/orders"},
		"http-1.0":     {"Allow arn:aws:execute-api:eu-central-1:123456789012:httpapi001/$default/GET/users/auth0|cust/orders", "Deny arn:aws:execute-api:eu-central-1:123456789012:httpapi001/$default/GET/users/auth0|cust/orders"},
		"http-2.0":     {"Allow arn:aws:execute-api:eu-central-1:123456789012:httpapi001/dev/GET/users/auth0|cust/orders", "Deny arn:aws:execute-api:eu-central-1:123456789012:httpapi001/dev/GET/users/auth0|cust/orders"},
		// The sample API has no WebSocket route, so its table knows none and nothing is granted.
		"websocket": {"Deny arn:aws:execute-api:eu-central-1:123456789012:wsapi00001/dev/$connect", "Deny arn:aws:execute-api:eu-central-1:123456789012:wsapi00001/dev/$connect"},
	}
	for i, person := range []string{"customer", "outsider"} {
		bearer := "Bearer " + tn.token(t, person)
		for kind, event := range own(t, bearer) {
			answers, records := authorizeLines(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0}, []string{event})
			if got := effect(t, answers[0]); got != want[kind][i] {
				t.Errorf("%s by %s: got %s, want %s", kind, person, got, want[kind][i])
			}
			checkRecords(t, records, 1, bearer)
		}
	}
}

// A policy whose route table knows $connect can let a WebSocket connection in: with the route and no method or path.
func TestAuthorizeAWebSocketRoute(t *testing.T) {
	tn, dir := newTenant(t), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../policies")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"routes/data.json": strings.Replace(read(t, "../policies/routes/data.json"), "{", `{"$connect": {"api": "live", "answer": "request"},`, 1),
		"authz/live/live.rego": `package authz.live

import data.gatehouse.principal

allow contains "live.connect" if {
	input.request.route == "$connect"
	principal.has_permission("read:orders")
}
`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for person, want := range map[string]string{"customer": "Allow", "machine": "Deny", "outsider": "Deny"} {
		event := own(t, "Bearer "+tn.token(t, person))["websocket"]
		answers, _ := authorizeLines(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0}, []string{event}, "--policies", dir)
		if got := effect(t, answers[0]); got != want+" arn:aws:execute-api:eu-central-1:123456789012:wsapi00001/dev/$connect" {
			t.Errorf("%s: got %s", person, got)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestAuthorizePinsTheAPI(t *testing.T) {
	tn := newTenant(t)
	event := own(t, "Bearer "+tn.token(t, "customer"))["rest-token"]
	for apis, want := range map[string]string{
		"123456789012/r3st0001":                    "Allow arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/orders/42",
		"123456789012/other":                       "Unavailable",
		"999999999999/r3st0001":                    "Unavailable",
		"123456789012/other,123456789012/r3st0001": "Allow arn:aws:execute-api:eu-central-1:123456789012:r3st0001/dev/GET/orders/42",
	} {
		answers, _ := authorizeLines(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0, "GATEHOUSE_APIS=" + apis}, []string{event})
		if got := effect(t, answers[0]); got != want {
			t.Errorf("GATEHOUSE_APIS=%s: got %s, want %s", apis, got, want)
		}
	}
}

// The authorizer as it is deployed, in an environment with nothing but its settings, through the Lambda Runtime API.
func TestTheBootstrapThroughTheRuntimeAPI(t *testing.T) {
	tn := newTenant(t)
	var out bytes.Buffer
	f, err := gateway.NewFunction(gateway.FunctionConfig{
		Name: "authorizer", Bootstrap: bootstrap(t, "authorizer"), Timeout: 10 * time.Second, Processes: 1, Output: &out,
		Environment: map[string]string{"GATEHOUSE_AUTH0": tn.auth0},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	bearer := "Bearer " + tn.token(t, "customer")
	for kind, event := range own(t, bearer) {
		if kind == "websocket" {
			continue
		}
		answer, failure, err := f.Invoke(t.Context(), []byte(event))
		if err != nil || failure != nil {
			t.Fatalf("%s: %v, %v", kind, failure, err)
		}
		if got := effect(t, `{"response":`+string(answer)+`}`); !strings.HasPrefix(got, "Allow arn:aws:execute-api:") {
			t.Errorf("%s: got %s", kind, got)
		}
	}
	token := own(t, "Bearer e30.e30.e30")["rest-token"]
	if _, failure, err := f.Invoke(t.Context(), []byte(token)); err != nil || failure == nil || failure.Message != "Unauthorized" {
		t.Errorf("a bad token: got %v, %v; want exactly Unauthorized", failure, err)
	}
	if _, failure, err := f.Invoke(t.Context(), []byte(`{"type":"OTHER"}`)); err != nil || failure == nil || failure.Message != "Unavailable" {
		t.Errorf("an event of no kind: got %v, %v; want exactly Unavailable", failure, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if strings.Contains(out.String(), strings.TrimPrefix(bearer, "Bearer ")) {
		t.Error("the token is in the output")
	}
	if n := strings.Count(out.String(), `"decision_id"`); n != 6 {
		t.Errorf("%d records of 6 invocations:\n%s", n, out.String())
	}
}

// A bad environment stops the start, and every fault is named.
func TestTheBootstrapNamesEveryFault(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want []string
	}{
		{"nothing", nil, []string{"GATEHOUSE_AUTH0: missing"}},
		{"all wrong", []string{
			"GATEHOUSE_AUTH0={}", "GATEHOUSE_STORE=ssm:/x", "GATEHOUSE_ANSWER=api", "GATEHOUSE_RESPONSE=plain",
			"GATEHOUSE_STAGES=dev", "GATEHOUSE_APIS=nonsense", "GATEHOUSE_REFRESH=30", "GATEHOUSE_THRESHOLD=2",
		}, []string{
			"GATEHOUSE_AUTH0:", "issuers", "GATEHOUSE_AUTH0: set beside GATEHOUSE_STORE", "GATEHOUSE_ANSWER=api: not supported yet",
			`GATEHOUSE_RESPONSE: \"plain\": want iam or simple`, "GATEHOUSE_STAGES: no such setting", "nonsense",
			"GATEHOUSE_TRUST: missing", `GATEHOUSE_REFRESH: \"30\": want a duration`, "AWS_REGION: is not set", "AWS_ACCESS_KEY_ID: is not set",
		}},
		{"later parts of the Auth0 document", []string{
			`GATEHOUSE_AUTH0={"version":"v1","public_url":"https://c","issuers":[{"issuer":"https://a.auth0.com/","audiences":["https://b"],"algorithms":["ES512"],"sender_constraint":"dpop"}]}`,
		}, []string{"public_url", "ES512", "sender_constraint", "not supported yet"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := exec.Command(bootstrap(t, "authorizer"))
			c.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"}, tt.env...)
			out, err := c.CombinedOutput()
			if code := c.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit %d (%v), want 1: %s", code, err, out)
			}
			for _, part := range tt.want {
				if !strings.Contains(string(out), part) {
					t.Errorf("lacks %q:\n%s", part, out)
				}
			}
		})
	}
}

// What the token says goes through the real process untouched by anything but its own rules.
func TestHostileTokensThroughTheBootstrap(t *testing.T) {
	tn, other := newTenant(t), newTenant(t)
	good := tn.token(t, "customer")
	parts := strings.Split(good, ".")
	event := func(authorization string) string {
		return set(t, own(t, "Bearer x")["rest-token"], authorization, "authorizationToken")
	}
	late, err := issuer.Mint(tn.key, tenantURL, issuer.Claims{
		Subject: "auth0|cust", Audience: issuer.Audience, IssuedAt: time.Now().Add(-2 * time.Hour), ExpiresAt: time.Now().Add(-time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := issuer.Mint(tn.key, tenantURL, issuer.Claims{
		Subject: "auth0|cust", Audience: "https://other.example.com", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	hostile := map[string]string{
		"nothing": "", "no scheme": good, "basic": "Basic " + good, "two spaces": "Bearer  " + good, "tail": "Bearer " + good + " x",
		"two": "Bearer " + good + ",Bearer " + good, "padding": "Bearer " + good + "=", "unsigned": "Bearer " + parts[0] + "." + parts[1] + ".",
		"another signature": "Bearer " + parts[0] + "." + parts[1] + "." + strings.Split(other.token(t, "customer"), ".")[2],
		"another key":       "Bearer " + other.token(t, "customer"), "expired": "Bearer " + late, "another audience": "Bearer " + elsewhere,
		"JSON": fmt.Sprintf(`Bearer {"payload":"%s","protected":"%s","signature":"%s"}`, parts[1], parts[0], parts[2]),
		"none": "Bearer eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"huge": "Bearer " + good + strings.Repeat("A", 20_000),
	}
	var names, events []string
	for name, authorization := range hostile {
		names, events = append(names, name), append(events, event(authorization))
	}
	answers, records := authorizeLines(t, []string{"GATEHOUSE_AUTH0=" + tn.auth0}, append(events, event("bearer "+good)))
	for i, name := range names {
		if got := effect(t, answers[i]); got != "Unauthorized" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got := effect(t, answers[len(names)]); !strings.HasPrefix(got, "Allow ") {
		t.Errorf("a good token, its scheme in lower case (RFC 9110 section 11.1): got %s", got)
	}
	if !regexp.MustCompile(`"code":"token_expired"`).MatchString(records) {
		t.Error("no record says token_expired")
	}
	checkRecords(t, records, len(events)+1, "Bearer "+good)
}
