package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

const chat = `
service: chat
provider: {name: aws, runtime: provided.al2023, timeout: 30}
functions:
  auth: {handler: bootstrap, environment: {MARK: auth, AUTHORIZER: 'yes'}}
  hello:
    handler: bootstrap
    environment: {MARK: hello}
    events:
      - websocket: {route: $connect, authorizer: {name: auth, identitySource: [route.request.querystring.q]}}
  talk:
    handler: bootstrap
    events:
      - websocket: {route: say, routeResponseSelectionExpression: $default}
      - websocket: quiet
  bye:
    handler: bootstrap
    events:
      - websocket: $disconnect
`

func serveSockets(t *testing.T, doc string) *Gateway {
	t.Helper()
	c := config(t, doc)
	c.WebSocket = "127.0.0.1:0"
	return start(t, c)
}

// dial opens a connection; nil, and the answer's status, where the handshake was refused.
func dial(t *testing.T, url string, options websocket.DialOptions) (*websocket.Conn, int, http.Header) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), url, &options)
	if err != nil && resp == nil {
		t.Fatal(err)
	}
	if err != nil {
		return nil, resp.StatusCode, resp.Header
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, resp.StatusCode, resp.Header
}

func reply(t *testing.T, conn *websocket.Conn, kind websocket.MessageType, message string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := conn.Write(ctx, kind, []byte(message)); err != nil {
		t.Fatal(err)
	}
	_, b, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMessages(t *testing.T) {
	g := serveSockets(t, chat)
	conn, status, _ := dial(t, g.WebSocketURL()+"/?q=1", websocket.DialOptions{})
	if conn == nil {
		t.Fatalf("refused: %d", status)
	}
	g.websocket.integrate = 300 * time.Millisecond
	say := func(what string) string { return `{"action":"say","do":"` + what + `"}` }
	for _, c := range []struct {
		name, message, want string
		kind                websocket.MessageType
	}{
		{"what the handler says", say(do("answer", `{"statusCode":200,"body":"hi"}`)), "hi", websocket.MessageText},
		{"no route", `{"action":"none"}`, `{"message":"Forbidden","connectionId":"`, websocket.MessageText},
		{"a route that is no text", `{"action":1}`, `{"message":"Forbidden"`, websocket.MessageText},
		{"a route that is not the client's to choose", `{"action":"$disconnect"}`, `{"message":"Forbidden"`, websocket.MessageText},
		{"no JSON", `say`, `{"message":"Forbidden"`, websocket.MessageText},
		{"an error", say(do("error", "x")), `{"message":"Internal server error","connectionId":"`, websocket.MessageText},
		{"an answer that is none", say(do("answer", "<")), `{"message":"Internal server error"`, websocket.MessageText},
		{"too slow", say(do("hang", "")), `{"message":"Endpoint request timed out"`, websocket.MessageText},
	} {
		if got := reply(t, conn, c.kind, c.message); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %s, want %s…", c.name, got, c.want)
		}
	}
	g.websocket.integrate = 29 * time.Second
	// A route without a route response stays silent; the next reply is another's.
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"action":"quiet"}`)); err != nil {
		t.Fatal(err)
	}
	if got := reply(t, conn, websocket.MessageText, say(do("answer", `{"statusCode":200,"body":"next"}`))); got != "next" {
		t.Errorf("after a silent one: %s", got)
	}
	var e struct {
		Body            string
		IsBase64Encoded bool
	}
	if err := json.Unmarshal([]byte(reply(t, conn, websocket.MessageBinary, `{"action":"say"}`)), &e); err != nil || !e.IsBase64Encoded || e.Body != "eyJhY3Rpb24iOiJzYXkifQ==" {
		t.Errorf("a binary message: %+v, %v", e, err)
	}

	_ = g.functions["talk"].Close()
	if got := reply(t, conn, websocket.MessageText, say("")); !strings.HasPrefix(got, `{"message":"Internal server error"`) {
		t.Errorf("without a function: %s", got)
	}

	if err := conn.Close(4000, "enough"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(counted(t, g), `gatehouse_invocations_total{function="bye"} 1`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("$disconnect was not told:\n%s", counted(t, g))
		}
	}
}

func counted(t *testing.T, g *Gateway) string {
	t.Helper()
	return send(t, "GET", g.MetricsURL(), "").body
}

func TestHandshakes(t *testing.T) {
	g := serveSockets(t, chat)
	host := strings.TrimSuffix(g.WebSocketURL(), "/dev")
	for _, c := range []struct {
		name, url string
		want      int
	}{
		{"another stage", host + "/prod?q=1", 403},
		{"no stage", host + "/?q=1", 403},
		{"below the stage", g.WebSocketURL() + "/x?q=1", 403},
		{"no identity", g.WebSocketURL(), 401},
		{"too many headers", g.WebSocketURL() + "?q=" + strings.Repeat("x", 10_240), 431},
		{"a handler that fails", g.WebSocketURL() + "?q=" + strings.Replace(do("error", "x"), "do:", "hello:", 1), 502},
		{"a handler that refuses", g.WebSocketURL() + "?q=" + strings.Replace(do("answer", `{"statusCode":403}`), "do:", "hello:", 1), 403},
	} {
		if _, got, header := dial(t, c.url, websocket.DialOptions{}); got != c.want || header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: got %d %v, want %d", c.name, got, header, c.want)
		}
	}
	chosen := "?q=" + strings.Replace(do("answer", `{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"b"}}`), "do:", "hello:", 1)
	conn, _, _ := dial(t, g.WebSocketURL()+chosen, websocket.DialOptions{Subprotocols: []string{"a", "b"}})
	if conn == nil || conn.Subprotocol() != "b" {
		t.Errorf("subprotocol: %v", conn)
	}
	plain := strings.Replace(g.WebSocketURL(), "ws:", "http:", 1)
	if got := send(t, "GET", plain, ""); got.status != http.StatusUpgradeRequired {
		t.Errorf("no upgrade: got %+v", got)
	}
	// What is no handshake asks nobody.
	key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	for _, headers := range [][]string{
		{"Upgrade: websocket", "Connection: Upgrade"}, {"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="},
		{"Upgrade: websocket", "Sec-WebSocket-Version: 13", key}, {"Connection: Upgrade", "Sec-WebSocket-Version: 13", key}, {"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 8", key},
	} {
		before := strings.Count(counted(t, g), "gatehouse_invocations_total")
		if got := send(t, "GET", plain+"?q=1", "", headers...); got.status != http.StatusUpgradeRequired {
			t.Errorf("%q: got %+v", headers, got)
		}
		if after := strings.Count(counted(t, g), "gatehouse_invocations_total"); after != before {
			t.Errorf("%q: somebody was asked", headers)
		}
	}
	if got := send(t, "GET", strings.TrimSuffix(plain, "/dev")+metricsPath, ""); !strings.Contains(got.body, `gatehouse_requests_total{api="websocket",status="401"} 1`) {
		t.Errorf("counters: %s", got.body)
	}
}

// Without a route for it a $connect has nobody to ask.
func TestNoConnectRoute(t *testing.T) {
	g := serveSockets(t, "\nservice: s\nprovider: {name: aws, runtime: provided.al2023, websocketsApiRouteSelectionExpression: $request.body.a.b}\nfunctions:\n  f: {handler: bootstrap, events: [{websocket: {route: x, routeResponseSelectionExpression: $default}}, {websocket: {route: $default, routeResponseSelectionExpression: $default}}]}\n")
	conn, status, _ := dial(t, g.WebSocketURL(), websocket.DialOptions{})
	if conn == nil {
		t.Fatalf("refused: %d", status)
	}
	for message, want := range map[string]string{`{"a":{"b":"x"}}`: "x", `{"a":"x"}`: "$default"} {
		var e socketEvent
		if err := json.Unmarshal([]byte(reply(t, conn, websocket.MessageText, message)), &e); err != nil || e.RequestContext.RouteKey != want {
			t.Errorf("%s: got %+v, %v", message, e.RequestContext, err)
		}
	}
}

func TestClosingHangsUp(t *testing.T) {
	c := config(t, chat)
	c.WebSocket = "127.0.0.1:0"
	g, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	conn, status, _ := dial(t, g.WebSocketURL()+"?q=1", websocket.DialOptions{})
	if conn == nil {
		t.Fatalf("refused: %d", status)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("still open: %v", err)
	}
	if g.websocket.sockets.add(conn, func() {}) {
		t.Error("a connection that came too late was taken in")
	}
}

func TestEndings(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		reason string
	}{
		{fmt.Errorf("read: %w", websocket.CloseError{Code: 4000, Reason: "enough"}), 4000, "enough"},
		{io.ErrUnexpectedEOF, 1006, "Going away"},
		{errors.New("x"), 1006, "Going away"},
	} {
		if status, reason := ending(c.err); status != c.status || reason != c.reason {
			t.Errorf("%v: got %d %q", c.err, status, reason)
		}
	}
}

// TestSocketEvents holds the events of a connection against a golden file.
func TestSocketEvents(t *testing.T) {
	a := newAPI(Config{Service: service(t, chat), Account: serverless.AccountID}, authorizer.WebSocket, new(counters))
	a.port = "8792"
	a.now = func() time.Time { return time.Date(2026, 11, 22, 11, 0, 0, 123e6, time.FixedZone("", 3600)) }
	a.newID = func() string { return "00000000-0000-4000-8000-000000000000" }
	if err := a.route(service(t, chat), nil); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/dev?q=1&q=2", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:54321", "127.0.0.1:8792"
	r.Header.Set("User-Agent", "test")
	c := a.call(r, r.Header.Clone())
	c.sent.Set("X-Amzn-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
	c.socket = &socket{id: "connection=", connected: c.time}
	c.route = a.routes[authorizer.Connect]
	var got strings.Builder
	show := func(what string, event []byte) {
		var v any
		if err := json.Unmarshal(event, &v); err != nil {
			t.Fatal(err)
		}
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s\n%s\n", what, b)
	}
	identity, _ := c.identity()
	show("the authorizer's", c.authorizerEvent(identity))
	c.socket.verdict = &verdict{principal: "p", context: map[string]json.RawMessage{"n": json.RawMessage("1.50")}, latency: 5 * time.Millisecond}
	show("of $connect", c.handlerEvent(c.socket.verdict))
	c.body, c.route = []byte("hi"), a.routes["say"]
	show("of a message", c.messageEvent(websocket.MessageText))
	show("of $disconnect", c.disconnectEvent(1000, ""))
	golden := filepath.Join("testdata", "events", "websocket.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v; got:\n%s\nwant:\n%s", err, got.String(), want)
	}
}
