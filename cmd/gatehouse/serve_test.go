package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authorizer"
)

func TestShort(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	clock := at.Local().Format("15:04:05")
	const head = `{"decision_id":"BCDEFGHIJKLMNOPQ","timestamp":"2026-11-22T10:00:00Z",`
	tests := []struct{ name, line, want string }{
		{"allowed", head + `"input":{"request":{"route":"GET /orders"},"principal":{"subject":"auth0|cust"}},"result":{"allowed":true,"status":{"code":200,"reason":"Granted"}}}`,
			clock + "  BCDEFGHI  GET /orders              auth0|cust       Granted"},
		{"warned", head + `"input":{"request":{"route":"DELETE /orders/{id}"},"principal":{"subject":"auth0|supp"}},"result":{"allowed":true,"status":{"code":200,"reason":"Granted"},"violations":[{"constraint":"mfa-for-deletes","action":"warn"},{"constraint":"office-hours","action":"dryrun"}]}}`,
			clock + "  BCDEFGHI  DELETE /orders/{id}      auth0|supp       Granted [warn mfa-for-deletes] [dryrun office-hours]"},
		{"no route and nobody", head + `"input":{"request":{"method":"GET","path":["orders","42"]},"principal":{}},"error":{"code":"token_missing","message":"m"}}`,
			clock + "  BCDEFGHI  GET /orders/42           nobody           token_missing"},
		{"no input", head + `"error":{"code":"event_malformed","message":"m"}}`,
			clock + "  BCDEFGHI  ?                        nobody           event_malformed"},
		{"no outcome, and a short id", `{"decision_id":"d","timestamp":"2026-11-22T10:00:00Z"}`,
			clock + "  d         ?                        nobody           no outcome"},
		{"an error goes before a result", head + `"result":{"status":{"reason":"Granted"}},"error":{"code":"internal"}}`,
			clock + "  BCDEFGHI  ?                        nobody           internal"},
		{"a difference", head + `"differs":["allowed","status"]}`, clock + "  BCDEFGHI  the candidate differs: allowed, status"},
		{"a store that is followed", `{"PolicyStale":0,"bundles":{"gatehouse":{"sequence":3,"active_revision":"0123456789abcdef"}}}`,
			"orders follows activation 3: policies 0123456789ab"},
		{"a store that is down", `{"PolicyStale":0,"bundles":{"gatehouse":{"code":"store_unavailable","message":"refused"}}}`,
			"orders: the store does not answer; what was active goes on: refused"},
		{"a store that is down for long", `{"PolicyStale":1,"bundles":{"gatehouse":{"code":"store_unavailable","message":"refused"}}}`,
			"orders: the store does not answer; nothing may be used, requests end with 500: refused"},
		{"an empty store", `{"PolicyStale":1,"bundles":{"gatehouse":{"code":"activation_missing","message":"m"}}}`,
			"orders: nothing is active in the store; nothing may be used, requests end with 500"},
		{"a stranger's", `{"PolicyStale":0,"bundles":{"gatehouse":{"code":"signature_missing","message":"m"}}}`,
			"orders: what the store says is active is refused; what was active goes on: signature_missing: m"},
		{"a candidate that does not load", `{"PolicyStale":0,"bundles":{"gatehouse":{"code":"candidate_refused","message":"m"}}}`,
			"orders: the candidate is not tried: m"},
		{"a status that is none", `{"PolicyStale":0,"bundles":"x"}`, `orders: {"PolicyStale":0,"bundles":"x"}`},
		{"text", "panic: x", "orders: panic: x"},
		{"JSON that is no record", `{"level":"WARN","msg":"m"}`, `orders: {"level":"WARN","msg":"m"}`},
		{"nothing", "", "orders: "},
		{"escapes in text", "a\x1b[2Jb\tc\u009bd", "orders: a\uFFFD[2Jb\tc\uFFFDd"},
		{"escapes in a record", head + `"input":{"request":{"method":"GET","path":["\u001b[2J"]},"principal":{"subject":"a\nb"}}}`,
			clock + "  BCDEFGHI  GET /\uFFFD[2J                a\uFFFDb              no outcome"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := short("orders", []byte(tt.line)); got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}

// The record's own types make what short reads: a field that is renamed fails here.
func TestShortReadsARecord(t *testing.T) {
	var line bytes.Buffer
	err := (&authorizer.Lines{W: &line}).Record(authorizer.Record{
		DecisionID: "d",
		Timestamp:  time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Input: &authorizer.Input{
			Request:   authorizer.Request{Route: "GET /orders"},
			Principal: authorizer.Principal{Subject: "auth0|cust"},
		},
		Result: &authorizer.Decision{
			Status:     authorizer.Status{Code: 403, Reason: authorizer.ConstraintViolated},
			Violations: []authorizer.Violation{{Constraint: "suspended", Action: "deny"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := short("authorizer", line.Bytes()); !strings.HasSuffix(got, "GET /orders              auth0|cust       ConstraintViolated [deny suspended]") {
		t.Errorf("got %q", got)
	}
}

func TestLogs(t *testing.T) {
	dir := t.TempDir()
	var screen bytes.Buffer
	l := &logs{dir: dir, screen: &screen}
	w := l.of("orders")
	if n, err := io.WriteString(w, "one\ntwo\n"); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	l.close()
	if got, want := screen.String(), "orders: one\norders: two\n"; got != want {
		t.Errorf("screen %q, want %q", got, want)
	}
	file := filepath.Join(dir, "orders.log")
	if got, err := os.ReadFile(file); err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("file %q, %v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want it readable by its owner only", info.Mode(), err)
	}

	screen.Reset()
	w = (&logs{dir: filepath.Join(dir, "none"), screen: &screen}).of("orders")
	if _, err := io.WriteString(w, "still shown\n"); err != nil {
		t.Error(err)
	}
	if got := screen.String(); !strings.HasPrefix(got, "orders: no log file: open ") || !strings.HasSuffix(got, "\norders: still shown\n") {
		t.Errorf("screen %q", got)
	}
}

const guardedService = `service: small
provider: {name: aws, runtime: provided.al2023}
functions:
  authorizer:
    handler: bootstrap
    environment: {GATEHOUSE_AUTH0: "${env:GATEHOUSE_AUTH0}"}
  api:
    handler: bootstrap
    events:
      - http: {method: get, path: a, authorizer: {name: authorizer, type: request, resultTtlInSeconds: 0}}
`

// serving starts serve with bootstraps that are never asked for anything.
func serving(t *testing.T, flags ...string) (w world, args []string) {
	t.Helper()
	w = newWorld(t)
	for _, name := range []string{"authorizer", "api"} {
		if err := os.Chmod(w.file("dist/"+name+"/bootstrap", "#!/bin/false\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	args = []string{"serve", "--config", w.file("serverless.yml", guardedService), "--dist", filepath.Join(w.dir, "dist"), "--keys", w.dir}
	return w, append(args, flags...)
}

func TestServe(t *testing.T) {
	w, args := serving(t, "--issuer", "127.0.0.1:0", "--rest", "127.0.0.1:0", "--http", "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, screen := io.Pipe()
	var faults bytes.Buffer
	var code int
	var ended sync.WaitGroup
	ended.Go(func() {
		code = run(ctx, args, stdio{out: screen, err: &faults})
		screen.Close()
	})
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ctrl-C ends everything") {
			stop()
		}
	}
	ended.Wait()
	if code != exitDone || faults.Len() > 0 {
		t.Errorf("exit %d: %s", code, faults.String())
	}
	for _, want := range []string{
		"REST API   http://127.0.0.1:", "/dev\n", "HTTP API   http://127.0.0.1:", "issuer     http://127.0.0.1:",
		"token --as customer --issuer http://127.0.0.1:", "token --as admin --issuer http://127.0.0.1:", " --keys " + w.dir + ")",
		filepath.Join(w.dir, "authorizer.log"), "\nstopping\n",
		"domain http://127.0.0.1:", "clientId spa, audience https://api.example.com", "from http://127.0.0.1:8790 or http://localhost:8790.",
		"gatehouse rotate --keys " + w.dir + "\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("lacks %q:\n%s", want, text.String())
		}
	}
}

// A port that another program holds is named, with the flag that chooses another.
func TestServeAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	tests := map[string]struct {
		flags []string
		want  string
	}{
		"issuer": {[]string{"--issuer", taken, "--rest", "127.0.0.1:0", "--http", "127.0.0.1:0"}, "choose another with --issuer"},
		"rest":   {[]string{"--issuer", "127.0.0.1:0", "--rest", taken, "--http", "127.0.0.1:0"}, "choose another"},
		"http":   {[]string{"--issuer", "127.0.0.1:0", "--rest", "127.0.0.1:0", "--http", taken}, "choose another"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, args := serving(t, tt.flags...)
			got := call(t, "", nil, args...)
			if got.code != exitRefused || got.out != "" || !strings.Contains(got.err, "in use") || !strings.Contains(got.err, tt.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestServeEndedBeforeItStarted(t *testing.T) {
	_, args := serving(t, "--issuer", "127.0.0.1:0", "--rest", "127.0.0.1:0", "--http", "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out, faults bytes.Buffer
	if code := run(ctx, args, stdio{out: &out, err: &faults}); code != exitRefused || out.Len() > 0 ||
		!strings.Contains(faults.String(), context.Canceled.Error()) {
		t.Errorf("exit %d, out %q, err %q", code, out.String(), faults.String())
	}
}

func TestTokenFlags(t *testing.T) {
	tests := []struct{ issuer, dir, want string }{
		{"http://" + issuerAddr + "/", keyDir, ""},
		{"http://127.0.0.1:1/", keyDir, " --issuer http://127.0.0.1:1/"},
		{"http://" + issuerAddr + "/", "d", " --keys d"},
		{"http://127.0.0.1:1/", "d", " --issuer http://127.0.0.1:1/ --keys d"},
	}
	for _, tt := range tests {
		if got := tokenFlags(tt.issuer, tt.dir); got != tt.want {
			t.Errorf("tokenFlags(%q, %q) = %q, want %q", tt.issuer, tt.dir, got, tt.want)
		}
	}
}
