package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/issuer"
)

var update = flag.Bool("update", false, "rewrite the golden files of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScripts runs the command line as its users do. Beside testscript's own commands the scripts have:
//
//	exits N PROGRAM ARG…   runs a program that must end with exit code N
//	payload FILE           writes what the token on standard output says, with its lifetime instead of its times
//	keep NAME              puts standard output into the environment
//	fill FILE              replaces ${NAME} in a file by the environment's value
//	tenant DIR             makes a key in DIR, and GATEHOUSE_AUTH0 such that it trusts $TENANT with that key alone
//	sample                 writes the sample's policies and deployment, a key with GATEHOUSE_AUTH0, and a log of two records
//	document               refuses a standard output that is not one JSON document
//	small DIR…             writes the least policies that load, in each directory others
//	store                  sets a store with its account, and makes auth0.json, whose tenant is pinned
//	stored                 makes a store of the sample, with release 2 active and release 1 before it
//	old FILE…              makes files two hours old; of a directory, all in it
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"payload": payload,
			"keep":    keep,
			"fill":    fill,
			"tenant":  tenant,

			"sample":   sample,
			"document": document,
			"small":    small,
			"store":    setStore,
			"stored":   stored,
			"old":      old,
		},
	})
}

// arguments refuses a negated command, and one with too few arguments.
func arguments(ts *testscript.TestScript, neg bool, args []string, least int) {
	if neg || len(args) < least {
		ts.Fatalf("want at least %d arguments and no negation", least)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func payload(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	parts := strings.Split(ts.ReadFile("stdout"), ".")
	if len(parts) != 3 || strings.Count(parts[2], "\n") != 1 {
		ts.Fatalf("standard output is not one token on one line")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	ts.Check(err)
	var times struct{ Iat, Exp int64 }
	ts.Check(json.Unmarshal(raw, &times))
	var claims map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	ts.Check(dec.Decode(&claims))
	delete(claims, "iat")
	delete(claims, "exp")
	claims["lifetime"] = (time.Duration(times.Exp-times.Iat) * time.Second).String()
	claims["expired"] = times.Exp <= time.Now().Unix()
	pretty, err := json.MarshalIndent(claims, "", "  ")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(pretty, '\n'), 0o600))
}

func keep(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func fill(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	filled := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(filled), 0o600))
}

func tenant(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	const url = "https://gatehouse.eu.auth0.com/"
	key, err := issuer.LoadOrCreateKey(ts.MkAbs(args[0]))
	ts.Check(err)
	doc, err := json.Marshal(map[string]any{
		"version": "v1", "roles_claim": issuer.RolesClaim,
		"issuers": []any{map[string]any{
			"issuer": url, "audiences": []string{issuer.Audience}, "pinned": true, "jwks": json.RawMessage(key.Public()),
		}},
	})
	ts.Check(err)
	ts.Setenv("TENANT", url)
	ts.Setenv("GATEHOUSE_AUTH0", string(doc))
}

// called is the outcome of run in this process.
type called struct {
	code     int
	out, err string
}

func call(t *testing.T, stdin string, env []string, args ...string) called {
	t.Helper()
	var out, faults bytes.Buffer
	code := run(t.Context(), args, stdio{in: strings.NewReader(stdin), out: &out, err: &faults, env: env})
	return called{code, out.String(), faults.String()}
}

// broken is a standard output that nobody reads any more.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestNobodyReadsTheOutput(t *testing.T) {
	world := newWorld(t)
	tests := map[string][]string{
		"token":     {"token", "--as", "customer", "--keys", world.dir},
		"authorize": {"authorize"},
		"routes":    {"routes", "--config", world.file("serverless.yml", smallService)},
		"test":      {"test", world.policies()},
		"test json": {"test", "--json", world.policies()},

		"explain":      {"explain"},
		"explain json": {"explain", "--json"},
		"can-i":        {"can-i", "GET", "/orders", "--as", "customer"},
		"can-i list":   {"can-i", "--list", "--as", "customer"},
		"can-i token":  {"can-i", "GET", "/orders", "--token", "x"},
	}
	stdin := map[string]string{"authorize": "{}\n", "explain": refusedRecord, "explain json": refusedRecord}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			var faults bytes.Buffer
			code := run(t.Context(), args, stdio{in: strings.NewReader(stdin[name]), out: broken{}, err: &faults, env: world.env})
			if code != exitUnknown || !strings.Contains(faults.String(), "broken pipe") {
				t.Errorf("exit %d, want %d: %s", code, exitUnknown, faults.String())
			}
		})
	}
}

// An event longer than Lambda would take ends the run: its line could not be told from the next.
func TestEventTooLong(t *testing.T) {
	world := newWorld(t)
	got := call(t, strings.Repeat(" ", maxEvent+1), world.env, "authorize")
	if got.code != exitRefused || got.out != "" || !strings.Contains(got.err, "event on line 1: more than 6291456 bytes") {
		t.Errorf("exit %d, out %q, err %q", got.code, got.out, got.err)
	}
}

func TestClaimOf(t *testing.T) {
	tests := map[string]any{
		"5":                       json.RawMessage("5"),
		"12345678901234567890123": json.RawMessage("12345678901234567890123"),
		"1.50":                    json.RawMessage("1.50"),
		"true":                    json.RawMessage("true"),
		"null":                    json.RawMessage("null"),
		`"5"`:                     json.RawMessage(`"5"`),
		`{"a":[1]}`:               json.RawMessage(`{"a":[1]}`),
		"":                        "",
		"text":                    "text",
		"1]":                      "1]",
		"1 2":                     "1 2",
		`{"a":1}}`:                `{"a":1}}`,
		"01":                      "01",
	}
	for value, want := range tests {
		got := claimOf(value)
		a, err := json.Marshal(got)
		b, wantErr := json.Marshal(want)
		if err != nil || wantErr != nil || !bytes.Equal(a, b) {
			t.Errorf("claimOf(%q) = %s (%T), want %s (%T)", value, a, got, b, want)
		}
	}
}

// Every verb is in the usage, answers -h on standard output alone, and refuses an unknown flag on the other.
func TestVerbs(t *testing.T) {
	all := call(t, "", nil, "help").out
	for _, v := range verbs {
		if !strings.Contains(all, "\n  "+v.name+" ") {
			t.Errorf("usage lacks %s", v.name)
		}
		for _, ask := range [][]string{{v.name, "-h"}, {v.name, "--help"}, {"help", v.name}} {
			if got := call(t, "", nil, ask...); got.code != exitDone || got.err != "" ||
				!strings.HasPrefix(got.out, "usage: gatehouse "+v.name+" ") || !strings.Contains(got.out, "\n  -") ||
				!strings.Contains(got.out, manuals[v.name].about) || !strings.Contains(got.out, "\nexamples:\n  ") {
				t.Errorf("%q: %+v", ask, got)
			}
		}
		if got := call(t, "", nil, v.name, "--no-such-flag"); got.code != exitUsage || got.out != "" ||
			!strings.Contains(got.err, "-no-such-flag") || !strings.Contains(got.err, "`gatehouse help "+v.name+"`") {
			t.Errorf("%s --no-such-flag: %+v", v.name, got)
		}
		surplus := []string{v.name, "one", "two", "three"}
		if got := call(t, "", nil, surplus...); got.code != exitUsage || got.out != "" ||
			!strings.Contains(got.err, "unexpected argument") {
			t.Errorf("%q: %+v", surplus, got)
		}
	}
}

// world is a directory with what a verb needs.
type world struct {
	t   *testing.T
	dir string
	env []string
}

func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	key, err := issuer.LoadOrCreateKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	doc := `{"version":"v1","issuers":[{"issuer":"https://gatehouse.eu.auth0.com/","audiences":["https://api.example.com"],` +
		`"pinned":true,"jwks":` + string(key.Public()) + `}]}`
	return world{t, dir, []string{"GATEHOUSE_AUTH0=" + doc}}
}

func (w world) file(name, content string) string {
	w.t.Helper()
	full := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(content), 0o600)); err != nil {
		w.t.Fatal(err)
	}
	return full
}

// policies writes the least bundle that loads, with one test, and gives its directory.
func (w world) policies() string {
	w.t.Helper()
	for name, content := range smallPolicies {
		w.file("policies/"+name, content)
	}
	w.file("policies/authz/a/a_test.rego",
		"package authz.a_test\n\ntest_allow if data.authz.a.allow == {\"a\"} with input as {\"ok\": true}\n")
	return filepath.Join(w.dir, "policies")
}

const smallService = `service: small
provider: {name: aws, runtime: provided.al2023}
functions:
  api:
    handler: bootstrap
    events:
      - http: {method: get, path: a}
`

// refusedRecord is the record of a request without a token.
const refusedRecord = `{"decision_id":"d-1","timestamp":"2026-11-22T10:00:00Z","labels":{},"bundles":{"gatehouse":{"revision":"r"}},` +
	`"path":"gatehouse/decision","error":{"code":"token_missing","message":"no Authorization value"},"metrics":{"timer_server_handler_ns":1}}`

// sample fills the directory of a script with the sample: its policies and deployment, a key, settings that trust it, and
// the log of two requests.
func sample(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0)
	ts.Check(os.CopyFS(ts.MkAbs("policies"), os.DirFS(samplePolicies)))
	service, err := os.ReadFile(sampleService)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("serverless.yml"), service, 0o600))
	key, err := issuer.LoadOrCreateKey(ts.MkAbs(keyDir))
	ts.Check(err)
	url := "http://" + issuerAddr + "/"
	doc, err := json.Marshal(map[string]any{
		"version": "v1", "roles_claim": issuer.RolesClaim,
		"issuers": []any{map[string]any{
			"issuer": url, "audiences": []string{issuer.Audience}, "pinned": true, "jwks": json.RawMessage(key.Public()),
		}},
	})
	ts.Check(err)
	ts.Setenv("GATEHOUSE_AUTH0", string(doc))
	person, err := issuer.PersonNamed("customer")
	ts.Check(err)
	token, err := issuer.Mint(key, url, person.Claims(issuer.Audience, time.Now()))
	ts.Check(err)
	var out, log bytes.Buffer
	event := `{"type":"TOKEN","authorizationToken":"Bearer ` + token + `","methodArn":"arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/`
	code := run(context.Background(), []string{"authorize"}, stdio{
		in:  strings.NewReader(event + "GET/orders\"}\n" + event + "DELETE/orders/42\"}\n"),
		out: &out, err: &log, env: []string{"GATEHOUSE_AUTH0=" + string(doc)},
	})
	if code != exitDone {
		ts.Fatalf("exit %d: %s", code, log.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(filepath.Join(keyDir, "authorizer.log")), log.Bytes(), 0o600))
}

// document refuses a standard output that is not exactly one JSON document.
func document(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0)
	if out := ts.ReadFile("stdout"); !json.Valid([]byte(out)) {
		ts.Fatalf("standard output is not one JSON document: %q", out)
	}
}

// Where the sample is, from anywhere.
var (
	samplePolicies = absolute("../../policies")
	sampleService  = absolute("../../serverless.yml")
)

func absolute(name string) string {
	name, err := filepath.Abs(name)
	if err != nil {
		panic(err)
	}
	return name
}
