package apigw

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authorizer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

var names = []string{"rest-token", "rest-request", "http-1.0", "http-2.0", "websocket"}

func gateway(t testing.TB) *Gateway {
	t.Helper()
	g, err := New(Config{Headers: []string{"X-Tenant"}, Query: []string{"q"}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// absent as an edit's value removes the field.
type absent struct{}

// edit sets a field of an event; dots lead into objects.
type edit struct {
	path  string
	value any
}

func sample(t testing.TB, name string, edits ...edit) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return edited(t, raw, edits...)
}

func edited(t testing.TB, raw []byte, edits ...edit) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		at, keys := doc, strings.Split(e.path, ".")
		for _, key := range keys[:len(keys)-1] {
			if at[key] == nil {
				at[key] = map[string]any{}
			}
			at = at[key].(map[string]any)
		}
		last := keys[len(keys)-1]
		if _, gone := e.value.(absent); gone {
			delete(at, last)
			continue
		}
		at[last] = e.value
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustRequest(t testing.TB, raw []byte) authorizer.Request {
	t.Helper()
	req, err := gateway(t).Request(raw, now)
	if err != nil {
		t.Fatalf("Request: %v\nevent: %s", err, raw)
	}
	return req
}

// wantCode checks that an error is a 500 of this code, and that it quotes nothing of the credentials.
func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var e *authorizer.Error
	if !errors.As(err, &e) || e.Code != code || !errors.Is(err, authorizer.ErrUnavailable) {
		t.Fatalf("error = %v, want unavailable with code %s", err, code)
	}
	if strings.Contains(err.Error(), "e30") || strings.Contains(err.Error(), "umbrella") {
		t.Errorf("error quotes the event: %v", err)
	}
}

func wantRefused(t testing.TB, raw []byte, code string) {
	t.Helper()
	req, err := gateway(t).Request(raw, now)
	wantCode(t, err, code)
	if !reflect.DeepEqual(req, authorizer.Request{}) {
		t.Errorf("a refused event gives a request: %+v", req)
	}
}

// verdict allows a request for a principal that has one of everything.
func verdict(req authorizer.Request) authorizer.Verdict {
	return authorizer.Verdict{
		DecisionID: "d-1",
		Revision:   "sha256:ab",
		Request:    req,
		Principal: authorizer.Principal{
			Issuer: "https://t.eu.auth0.com/", Subject: "auth0|cust", ClientID: "spa", Organization: "org_home",
			Scopes: []string{"openid", "read:orders"}, Permissions: []string{"read:orders", "write:orders"},
			Roles: []string{"customer"}, ExpiresAt: now.Add(time.Hour),
			Claims: map[string]any{"https://gatehouse.example/secret": "not for handlers"},
		},
		Decision: authorizer.Decision{
			Allowed: true, Status: authorizer.Status{Code: 200, Reason: authorizer.Granted},
			Grants: []string{"orders.read"}, Warnings: []string{"deleting an order will need MFA"},
			Context: map[string]string{"tenant": "acme", "empty": ""},
		},
	}
}

func denied(v authorizer.Verdict) authorizer.Verdict {
	v.Decision.Allowed = false
	v.Decision.Status = authorizer.Status{Code: 403, Reason: authorizer.NotGranted, Message: "why"}
	return v
}

// document is an answer as the gateway would read it, with everything that it must not hold being an error.
type document struct {
	PrincipalID    string            `json:"principalId"`
	Context        map[string]string `json:"context"`
	PolicyDocument struct {
		Version   string
		Statement []struct {
			Action, Effect string
			Resource       []string
		}
	} `json:"policyDocument"`
}

func (d document) effect() string   { return d.PolicyDocument.Statement[0].Effect }
func (d document) resource() string { return d.PolicyDocument.Statement[0].Resource[0] }

func readAnswer(t testing.TB, raw []byte) document {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var d document
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("answer %s: %v", raw, err)
	}
	if s := d.PolicyDocument.Statement; len(s) != 1 || len(s[0].Resource) != 1 || s[0].Action != "execute-api:Invoke" ||
		d.PolicyDocument.Version != "2012-10-17" || d.PrincipalID == "" || d.Context == nil || bytes.Contains(raw, []byte("null")) {
		t.Fatalf("answer of another shape: %s", raw)
	}
	return d
}

func mustAnswer(t testing.TB, v authorizer.Verdict) document {
	t.Helper()
	raw, err := gateway(t).Answer(v)
	if err != nil {
		t.Fatalf("Answer: %v", err)
	}
	return readAnswer(t, raw)
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Config{
		Headers: []string{"AUTHORIZATION", "Proxy-Authorization", "cookie", "x-a", "X-A", "", "x a", "x:"},
		Query:   []string{"q", "q", "", "access_token"},
		APIs:    []string{"123456789012/abc", "123456789012/abc", "12/abc", "123456789012", "123456789012/a*", "*/*"},

		TokenQuery: "q", TokenSubprotocol: "a b",
	})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`header "AUTHORIZATION": carries`, `header "Proxy-Authorization": carries`, `header "cookie": carries`,
		`header "X-A": named twice`, `header "": not`, `header "x a": not`, `header "x:": not`,
		`query parameter "q": named twice`, `query parameter "": no name`, `query parameter "access_token": carries`,
		`api "123456789012/abc": named twice`, `api "12/abc": want`, `api "123456789012": want`,
		`api "123456789012/a*": want`, `api "*/*": want`, `query parameter "q": carries the token`, `subprotocol "a b": not a name`,
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%v", len(got), len(want), err)
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], "apigw: "+want[i]) {
			t.Errorf("fault %d = %q, want %q", i, got[i], want[i])
		}
	}
}

// golden is a request with what its JSON form hides, credentials counted only.
type golden struct {
	Request     authorizer.Request
	ARN         string
	Credentials int
	Malformed   string
}

// TestGolden reads the five events of testdata/events and answers each with an Allow and with a Deny.
func TestGolden(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			req := mustRequest(t, sample(t, name))
			if !slices.Equal(req.Credentials, authorizer.Credentials{"Bearer e30.e30.c2ln"}) {
				t.Error("credentials differ from the event's")
			}
			compare(t, name+".request.json", golden{req, arnOf(req).String(), len(req.Credentials), req.Malformed})
			for suffix, v := range map[string]authorizer.Verdict{"allow": verdict(req), "deny": denied(verdict(req))} {
				raw, err := gateway(t).Answer(v)
				if err != nil {
					t.Fatal(err)
				}
				readAnswer(t, raw)
				compare(t, name+"."+suffix+".json", json.RawMessage(raw))
			}
		})
	}
}

func compare(t *testing.T, name string, got any) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s differs (go test -update rewrites it):\n%s", name, out.Bytes())
	}
}

// shipped gives an event file of aws-lambda-go.
func shipped(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(lambdaModule(), "events", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var lambdaModule = sync.OnceValue(func() string {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(dir))
})

// TestShippedEvents reads the four authorizer events of aws-lambda-go: two as they are, and the two that contradict
// themselves refused as they are and accepted when made consistent.
func TestShippedEvents(t *testing.T) {
	const bearer = "Bearer e30.e30.c2ln"
	v1Header := edit{"headers.Authorization", bearer}
	tests := []struct {
		file    string
		refused string // code for the file as it ships; "" if it is accepted
		edits   []edit
		want    authorizer.Request
	}{
		{
			file: "apigw-custom-auth-request.json", refused: "event_malformed", // stage "*"
			edits: []edit{
				{"methodArn", "arn:aws:execute-api:us-west-2:123456789012:ymy8tbxw7b/dev/GET/"},
				{"authorizationToken", bearer},
			},
			want: authorizer.Request{API: "ymy8tbxw7b", Stage: "dev", Protocol: authorizer.REST, Method: "GET",
				Region: "us-west-2", ARNPath: "GET/"},
		},
		{
			file:  "apigw-custom-auth-request-type-request.json",
			edits: []edit{v1Header},
			want: authorizer.Request{ID: "...", API: "s4x3opwd6i", Stage: "test", Protocol: authorizer.REST, Method: "GET",
				Route: "GET /request", Path: []string{"request"}, Region: "us-east-1", ARNPath: "GET/request"},
		},
		{
			file:  "apigw-v2-custom-authorizer-v1-request.json",
			edits: []edit{v1Header},
			want: authorizer.Request{ID: "...", API: "abcdef123", Stage: "test", Protocol: authorizer.HTTP, Method: "GET",
				Route: "GET /request", Path: []string{"request"}, Region: "us-east-1", ARNPath: "GET/request"},
		},
		{
			file: "apigw-v2-custom-authorizer-v2-request.json", refused: "event_contradicts_itself",
			edits: []edit{
				{"headers.authorization", bearer},
				{"routeArn", "arn:aws:execute-api:us-east-1:123456789012:api-id/$default/POST/my/path"},
				{"pathParameters", absent{}},
			},
			want: authorizer.Request{ID: "id", API: "api-id", Stage: "$default", Protocol: authorizer.HTTP, Method: "POST",
				Route: "$default", Path: []string{"my", "path"}, Region: "us-east-1", ARNPath: "POST/my/path"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			raw := shipped(t, tt.file)
			if tt.refused != "" {
				wantRefused(t, raw, tt.refused)
			} else if req := mustRequest(t, raw); req.Credentials != nil {
				t.Error("credentials from an event without an Authorization header")
			}
			tt.want.Time, tt.want.Account, tt.want.Partition = now, "123456789012", "aws"
			tt.want.Credentials = authorizer.Credentials{bearer}
			got := mustRequest(t, edited(t, raw, tt.edits...))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("request = %+v (%s)\nwant %+v", got, got.Malformed, tt.want)
			}
		})
	}
}

func TestAPIPinning(t *testing.T) {
	tests := []struct {
		apis []string
		want bool
	}{
		{nil, true},
		{[]string{"123456789012/other", "123456789012/r3st0001"}, true},
		{[]string{"123456789012/other"}, false},
		{[]string{"210987654321/r3st0001"}, false},
	}
	for _, tt := range tests {
		g, err := New(Config{APIs: tt.apis})
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Request(sample(t, "rest-token"), now)
		if tt.want && err != nil {
			t.Errorf("%v: %v", tt.apis, err)
		}
		if !tt.want {
			wantCode(t, err, "api_not_allowed")
		}
	}
}

func TestSourceIP(t *testing.T) {
	tests := map[string]netip.Addr{
		"203.0.113.9":         netip.MustParseAddr("203.0.113.9"),
		"2001:db8::1":         netip.MustParseAddr("2001:db8::1"),
		"::ffff:203.0.113.9":  netip.MustParseAddr("203.0.113.9"),
		"fe80::1%eth0":        {},
		"test-invoke-source":  {},
		"":                    {},
		"203.0.113.9:443":     {},
		"203.0.113.9, 10.0.0": {},
	}
	for text, want := range tests {
		for name, field := range map[string]string{
			"rest-request": "requestContext.identity.sourceIp", "http-2.0": "requestContext.http.sourceIp",
		} {
			if got := mustRequest(t, sample(t, name, edit{field, text})).SourceIP; got != want {
				t.Errorf("%s %q: %v, want %v", name, text, got, want)
			}
		}
	}
}

func TestTimeIsUTC(t *testing.T) {
	req, err := gateway(t).Request(sample(t, "rest-token"), now.In(time.FixedZone("", 3600)))
	if err != nil || req.Time != now {
		t.Errorf("time = %v, %v", req.Time, err)
	}
}

// TestNothingListedNothingSeen also holds that the zero Gateway is one that shows nothing.
func TestNothingListedNothingSeen(t *testing.T) {
	for _, name := range names {
		req, err := new(Gateway).Request(sample(t, name), now)
		if err != nil || req.Headers != nil || req.Query != nil || req.Malformed != "" {
			t.Errorf("%s: headers %v, query %v, %v %s", name, req.Headers, req.Query, err, req.Malformed)
		}
	}
}

func TestListedButNotSent(t *testing.T) {
	g, err := New(Config{Headers: []string{"x-other"}, Query: []string{"other", "Q"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		req, err := g.Request(sample(t, name), now)
		if err != nil || req.Headers != nil || req.Query != nil {
			t.Errorf("%s: headers %v, query %v, %v", name, req.Headers, req.Query, err)
		}
	}
}

// TestConcurrentUse is for the race detector: one Gateway, many requests.
func TestConcurrentUse(t *testing.T) {
	g := gateway(t)
	var wg sync.WaitGroup
	for _, name := range names {
		raw := sample(t, name)
		wg.Go(func() {
			for range 20 {
				req, err := g.Request(raw, now)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := g.Answer(verdict(req)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Every decision that is not a whole yes is a Deny.
func TestAnswerFailsClosed(t *testing.T) {
	req := mustRequest(t, sample(t, "rest-request"))
	tests := map[string]func(*authorizer.Verdict){
		"zero decision": func(v *authorizer.Verdict) { v.Decision = authorizer.Decision{} },
		"not allowed":   func(v *authorizer.Verdict) { v.Decision.Allowed = false },
		"malformed":     func(v *authorizer.Verdict) { v.Request.Malformed = "path with a dot segment" },
		"wildcard":      func(v *authorizer.Verdict) { v.Request.ARNPath = "GET/orders/*" },
		"question mark": func(v *authorizer.Verdict) { v.Request.ARNPath = "GET/orders/?" },
		"policy variable": func(v *authorizer.Verdict) {
			v.Request.ARNPath = "GET/users/${aws:username}"
		},
		"control character": func(v *authorizer.Verdict) { v.Request.ARNPath = "GET/a\nb" },
		"not UTF-8":         func(v *authorizer.Verdict) { v.Request.ARNPath = "GET/a\xff" },
		"513 bytes": func(v *authorizer.Verdict) {
			n := len(arnOf(v.Request).all("GET/"))
			v.Request.ARNPath = "GET/" + strings.Repeat("x", 513-n)
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			v := verdict(req)
			change(&v)
			d := mustAnswer(t, v)
			if d.effect() != "Deny" {
				t.Errorf("effect = %s", d.effect())
			}
			want := map[string]string{"decision_id": "d-1", "revision": "sha256:ab"}
			if !maps.Equal(d.Context, want) {
				t.Errorf("context = %v, want %v", d.Context, want)
			}
			exact := arnOf(v.Request).String()
			if wide := arnOf(v.Request).all("*"); d.resource() != exact && (writable(exact) || d.resource() != wide) {
				t.Errorf("resource = %s", d.resource())
			}
		})
	}
}

func TestAnswerOf512Bytes(t *testing.T) {
	v := verdict(mustRequest(t, sample(t, "rest-request")))
	v.Request.ARNPath = "GET/" + strings.Repeat("x", 512-len(arnOf(v.Request).all("GET/")))
	if d := mustAnswer(t, v); d.effect() != "Allow" || len(d.resource()) != 512 {
		t.Errorf("%s of %d bytes", d.effect(), len(d.resource()))
	}
}

func TestAnswerErrors(t *testing.T) {
	tests := []struct {
		name, code string
		change     func(*authorizer.Verdict)
	}{
		{"zero verdict", "answer_invalid", func(v *authorizer.Verdict) { *v = authorizer.Verdict{} }},
		{"wildcard for a stage", "answer_invalid", func(v *authorizer.Verdict) { v.Request.Stage = "*" }},
		{"API that ends early", "answer_invalid", func(v *authorizer.Verdict) { v.Request.API = "*/x" }},
		{"no subject", "principal_invalid", func(v *authorizer.Verdict) { v.Principal.Subject = "" }},
		{"control character in the subject", "principal_invalid", func(v *authorizer.Verdict) { v.Principal.Subject = "a\x00b" }},
		{"subject that is not UTF-8", "answer_invalid", func(v *authorizer.Verdict) { v.Principal.Subject = "a\xff" }},
		{"two scopes in one", "principal_invalid", func(v *authorizer.Verdict) { v.Principal.Scopes = []string{"a b"} }},
		{"two permissions in one", "principal_invalid", func(v *authorizer.Verdict) { v.Principal.Permissions = []string{"a\u2003b"} }},
		{"control character in a claim", "context_invalid", func(v *authorizer.Verdict) { v.Principal.ClientID = "a\r\nb" }},
		{"control character in the context", "context_invalid", func(v *authorizer.Verdict) { v.Decision.Context["t"] = "a\nb" }},
		{"context that is not UTF-8", "answer_invalid", func(v *authorizer.Verdict) { v.Decision.Context["t"] = "\xff" }},
		{"context key with a dash", "context_invalid", func(v *authorizer.Verdict) { v.Decision.Context["x-tenant"] = "a" }},
		{"context key without a name", "context_invalid", func(v *authorizer.Verdict) { v.Decision.Context[""] = "a" }},
		{"context key outside ASCII", "context_invalid", func(v *authorizer.Verdict) { v.Decision.Context["größe"] = "a" }},
		{"reserved key on a Deny", "context_reserved", func(v *authorizer.Verdict) { *v = denied(*v); v.Decision.Context["sub"] = "a" }},
		{"too large", "answer_too_large", func(v *authorizer.Verdict) {
			v.Decision.Context["t"] = strings.Repeat("x", maxAnswer)
		}},
		{"too large for WebSocket", "answer_too_large", func(v *authorizer.Verdict) {
			v.Request = mustRequest(t, sample(t, "websocket"))
			v.Decision.Context["t"] = strings.Repeat("x", maxAnswerWebSocket)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := verdict(mustRequest(t, sample(t, "rest-request")))
			tt.change(&v)
			answer, err := gateway(t).Answer(v)
			wantCode(t, err, tt.code)
			if answer != nil {
				t.Errorf("an answer beside the error: %s", answer)
			}
		})
	}
}

func TestAnswerSizeBounds(t *testing.T) {
	for name, limit := range map[string]int{"rest-request": maxAnswer, "websocket": maxAnswerWebSocket} {
		v := verdict(mustRequest(t, sample(t, name)))
		v.Decision.Context = map[string]string{"t": "x"}
		raw, err := gateway(t).Answer(v)
		if err != nil {
			t.Fatal(err)
		}
		v.Decision.Context["t"] += strings.Repeat("x", limit-len(raw))
		if raw, err = gateway(t).Answer(v); err != nil || len(raw) != limit {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(raw), err, limit)
		}
		v.Decision.Context["t"] += "x"
		_, err = gateway(t).Answer(v)
		wantCode(t, err, "answer_too_large")
	}
}

// What is empty is left out, and nothing of it turns into null.
func TestAnswerOfABarePrincipal(t *testing.T) {
	d := mustAnswer(t, authorizer.Verdict{
		Request:   mustRequest(t, sample(t, "rest-token")),
		Principal: authorizer.Principal{Subject: "robot@clients"},
		Decision:  authorizer.Decision{Allowed: true},
	})
	if want := map[string]string{"sub": "robot@clients"}; d.effect() != "Allow" || !maps.Equal(d.Context, want) {
		t.Errorf("%s, context %v, want %v", d.effect(), d.Context, want)
	}
}

func TestWarnings(t *testing.T) {
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprintf("w%d", i)
	}
	manyText, _ := json.Marshal(many[:16])
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"none", nil, ""},
		{"nothing left", []string{"", "\x00\n\u0085"}, ""},
		{"stripped", []string{"a\r\nWarning: b\x7f", "\x1b[31mred"}, `["aWarning: b","[31mred"]`},
		{"quoted", []string{`say "no" \ <b>`}, `["say \"no\" \\ <b>"]`},
		{"not UTF-8", []string{"a\xffb"}, `["a` + "\ufffd" + `b"]`},
		{"sixteen", many, string(manyText)},
		{"empty ones do not count", append(make([]string, 20), "last"), `["last"]`},
		{"512 bytes", []string{strings.Repeat("x", 512)}, `["` + strings.Repeat("x", 512) + `"]`},
		{"513 bytes", []string{strings.Repeat("x", 513)}, `["` + strings.Repeat("x", 512) + `"]`},
		{"cut at a rune", []string{strings.Repeat("x", 511) + "é"}, `["` + strings.Repeat("x", 511) + `"]`},
	}
	for _, tt := range tests {
		if got := warningsText(tt.in); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestDecodeFault(t *testing.T) {
	if err := decodeFault(errors.New("e30")); err.Error() != "decode event: not JSON" {
		t.Errorf("foreign error: %v", err)
	}
}

func TestParseARN(t *testing.T) {
	const prefix = "arn:aws:execute-api:eu-central-1:123456789012:"
	good := map[string]arn{
		prefix + "a1/dev/GET":               {verb: "GET"},
		prefix + "a1/dev/GET/":              {verb: "GET"},
		prefix + "a1/dev/GET/orders":        {verb: "GET", path: "orders"},
		prefix + "a1/dev/GET/a:b/c:/d":      {verb: "GET", path: "a:b/c:/d"},
		prefix + "a1/$default/POST/x":       {verb: "POST", path: "x"},
		prefix + "a1/dev/$connect":          {verb: "$connect"},
		prefix + "a1/dev/HEAD//":            {verb: "HEAD", path: "/"},
		prefix + "a1/dev/OPTIONS/$connect":  {verb: "OPTIONS", path: "$connect"},
		prefix + "a1/dev/GET/*":             {verb: "GET", path: "*"},
		prefix + "my-api_1/my-stage_1/GET/": {verb: "GET"},
	}
	for text, want := range good {
		a, err := parseARN(text)
		if err != nil || a.verb != want.verb || a.path != want.path || a.String() != text {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
	bad := []string{
		"", "arn", "arn:aws:execute-api:eu-central-1:123456789012",
		"ARN:aws:execute-api:eu-central-1:123456789012:a1/dev/GET/x",
		"arn:aws:lambda:eu-central-1:123456789012:a1/dev/GET/x",
		"arn::execute-api:eu-central-1:123456789012:a1/dev/GET/x",
		"arn:*:execute-api:eu-central-1:123456789012:a1/dev/GET/x",
		"arn:aws:execute-api::123456789012:a1/dev/GET/x",
		"arn:aws:execute-api:*:123456789012:a1/dev/GET/x",
		"arn:aws:execute-api:eu-central-1:12345678901:a1/dev/GET/x",
		"arn:aws:execute-api:eu-central-1:1234567890123:a1/dev/GET/x",
		"arn:aws:execute-api:eu-central-1:12345678901a:a1/dev/GET/x",
		"arn:aws:execute-api:eu-central-1:*:a1/dev/GET/x",
		prefix, prefix + "a1", prefix + "a1/dev", prefix + "a1/dev/", prefix + "a1/dev//x", prefix + "/dev/GET/x",
		prefix + "a1//GET/x", prefix + "*/dev/GET/x", prefix + "a1/*/GET/", prefix + "a1/de?/GET/", prefix + "a1/dev/*/x",
		prefix + "a1/dev/get/x", prefix + "a1/dev/ANY/x", prefix + "a1/dev/$connect/", prefix + "a1/dev/$connect/x",
		prefix + "a1/dev/$disconnect", prefix + "a1/$other/GET/x", prefix + "a1/${stage}/GET/x",
		prefix + strings.Repeat("a", 129) + "/dev/GET/x", prefix + "a1/dév/GET/x",
	}
	for _, text := range bad {
		if a, err := parseARN(text); err == nil || a != (arn{}) {
			t.Errorf("%q: %+v, %v", text, a, err)
		} else if !strings.HasPrefix(err.Error(), "parse arn: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := parseARN("arn:*:execute-api:*:1:*/*/*"); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("not every fault is named: %v", err)
	}
}
