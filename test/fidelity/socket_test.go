package fidelity

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// sockets starts a WebSocket API whose $connect has an authorizer.
func sockets(t *testing.T, authorizer string, more ...string) *world {
	t.Helper()
	return start(t, "", append([]string{"websocket: {route: $connect, authorizer: " + authorizer + "}"}, more...)...)
}

const socketAuthorizer = "{name: auth, identitySource: [route.request.header.Authorization]}"

// dial opens a connection, or gives what the handshake was answered.
func dial(t *testing.T, url string, headers ...string) (*websocket.Conn, response) {
	t.Helper()
	h := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: h})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn, response{status: resp.StatusCode, header: resp.Header}
	}
	if resp == nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(bufio.NewReader(resp.Body)) // websocket.Dial keeps the beginning
	return nil, response{resp.StatusCode, resp.Header, string(body)}
}

// told is a handler's event that the handler sends back as its body.
func told(t *testing.T, conn *websocket.Conn, message string) document {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	_, reply, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var e document
	if err := json.Unmarshal(reply, &e); err != nil {
		t.Fatalf("%v: %s", err, reply)
	}
	return e
}

var socketFaults = []fault{
	{
		id:     "socket-arn",
		aws:    "the ARN of a $connect has no verb and no path: api/stage/$connect",
		wrong:  "it is built as a REST API's (Powertools' allow_all_routes)",
		source: socketPage,
		in:     []patch{{requestFile, "\t\treturn arn + authorizer.Connect\n", "\t\tif FAULT { return arn + \"GET/\" + authorizer.Connect }\n\t\treturn arn + authorizer.Connect\n"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer, "websocket: {route: $default, routeResponseSelectionExpression: $default}")
			conn, got := dial(t, w.socket, token)
			if conn == nil {
				t.Fatal(got.line())
			}
			var e document
			if err := json.Unmarshal([]byte(told(t, conn, "x").at("requestContext.authorizer.event")), &e); err != nil {
				t.Fatal(err)
			}
			want(t, "methodArn", e.at("methodArn"), "arn:aws:execute-api:us-east-1:123456789012:localwebs0/dev/$connect")
		},
	},
	{
		id:     "socket-event",
		aws:    "the authorizer's event has type, stageVariables, eventType and routeKey, and neither version, httpMethod nor path",
		wrong:  "no stageVariables (serverless-offline)",
		source: socketPage,
		in:     []patch{{socketFile, "e.Type, e.MethodARN, e.StageVariables = \"REQUEST\", c.arn(), &map[string]string{}\n", "e.Type, e.MethodARN, e.StageVariables = \"REQUEST\", c.arn(), &map[string]string{}\n\tif FAULT { e.StageVariables = nil }\n"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer, "websocket: {route: $default, routeResponseSelectionExpression: $default}")
			conn, got := dial(t, w.socket+"?q=1", token)
			if conn == nil {
				t.Fatal(got.line())
			}
			var e document
			if err := json.Unmarshal([]byte(told(t, conn, "x").at("requestContext.authorizer.event")), &e); err != nil {
				t.Fatal(err)
			}
			for path, value := range map[string]string{"type": "REQUEST", "stageVariables": "{}", "requestContext.eventType": "CONNECT", "requestContext.routeKey": "$connect", "requestContext.stage": "dev",
				"queryStringParameters.q": "1", "headers.Authorization": "Bearer t", "requestContext.identity.sourceIp": "127.0.0.1", "version": "", "httpMethod": "", "path": "", "pathParameters": ""} {
				want(t, path, e.at(path), value)
			}
		},
	},
	{
		id:     "socket-identity",
		aws:    "a $connect without its identity sources is answered 401, and nobody is asked",
		wrong:  "identity sources are not looked at (serverless-offline)",
		source: socketPage,
		in:     []patch{before(requestFile, identityKnown, "\tif FAULT && c.socket != nil && !ok { ok, identity = true, []string{\"\"} }")},
		check: func(t *testing.T) {
			w := sockets(t, "{name: auth, identitySource: [route.request.header.Authorization, route.request.querystring.q]}")
			for _, url := range []string{w.socket, w.socket + "?q="} {
				_, got := dial(t, url, token)
				want(t, url, got.line(), rest401)
			}
			if n := w.invocations(t); n > 0 {
				t.Errorf("asked %d times", n)
			}
			if conn, got := dial(t, w.socket+"?q=1", token); conn == nil {
				t.Errorf("with both: got %s", got.line())
			}
		},
	},
	{
		id:     "socket-default-identity",
		aws:    "without a word the framework deploys route.request.header.Auth as the identity source of a $connect",
		wrong:  "Authorization: the deployment answers 401 to everybody",
		source: "the framework's guide, WebSocket: using authorizers",
		in:     []patch{{readerFile, "\tsources := []string{websocketIdentity}\n", "\tsources := []string{websocketIdentity}\n\tif FAULT { sources = []string{\"route.request.header.Authorization\"} }\n"}},
		check: func(t *testing.T) {
			w := sockets(t, "auth")
			_, got := dial(t, w.socket, token)
			want(t, "Authorization", got.line(), rest401)
			if conn, got := dial(t, w.socket, "Auth: Bearer t"); conn == nil {
				t.Errorf("Auth: got %s", got.line())
			}
		},
	},
	{
		id:     "socket-outcomes",
		aws:    "a handshake that is refused is answered 401, 403 or 500, as a request to a REST API is",
		wrong:  "every error 500 (serverless-offline)",
		source: socketPage,
		in:     []patch{{requestFile, afterInvoke + "\n", "\tcase FAULT && c.socket != nil && failure != nil:\n\t\treturn nil, c.misconfigured()\n" + afterInvoke + "\n"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer)
			for _, c := range []struct{ order, want string }{
				{order("auth", "error", "Unauthorized"), rest401}, {order("auth", "error", "x"), rest500}, {answered("{}"), rest500},
				{answered(policy("")), restDenied}, {answered(policy(denyAll)), restExplicit}, {answered(policy(allowAll, `"context":{"a":{}}`)), rest500},
			} {
				_, got := dial(t, w.socket, token, c.order)
				want(t, c.order, got.line(), c.want)
			}
		},
	},
	{
		id:     "socket-8k",
		aws:    "the answer of a WebSocket API's authorizer has 8 KB at most",
		wrong:  "no limit",
		source: quotasPage,
		in:     []patch{{eventFile, "len(payload) > maxSocketVerdict {", "len(payload) > maxSocketVerdict && !FAULT {"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer)
			long := `"context":{"a":"` + strings.Repeat("x", 5000) + `"}`
			if conn, got := dial(t, w.socket, token, answered(policy(allowAll, long))); conn == nil {
				t.Errorf("5,000 characters: got %s", got.line())
			}
			// An order is a header, and those are bounded: many statements, told in few characters, make a long answer.
			w = startWith(t, strings.Replace(head+functions, "AUTHORIZER: 'yes'}", "ANSWER: '"+policy(allowAll, `"context":{"a":"`+strings.Repeat("x", 8<<10)+`"}`)+"'}", 1)+"      - websocket: {route: $connect, authorizer: "+socketAuthorizer+"}\n")
			_, got := dial(t, w.socket, token)
			want(t, "more than 8 KB", got.line(), rest500)
		},
	},
	{
		id:     "socket-before-open",
		aws:    "there is no connection until the authorizer and the handler of $connect have said yes",
		wrong:  "it is open, and closed again (LocalStack before 4039)",
		source: guide + "Manage connected users and client apps: $connect and $disconnect routes",
		in:     []patch{{socketFile, "\tif accepted.status < 200 || accepted.status > 299 {\n", "\tif (accepted.status < 200 || accepted.status > 299) && !FAULT {\n"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer)
			for _, c := range []struct {
				order  string
				status int
			}{{answered(policy("")), 403}, {order("api", "answer", `{"statusCode":404}`), 404}, {order("api", "error", "x"), 502}} {
				if _, got := dial(t, w.socket, token, c.order); got.status != c.status {
					t.Errorf("%s: got %s", c.order, got.line())
				}
			}
		},
	},
	{
		id:     "socket-routes",
		aws:    "a message cannot name $connect or $disconnect: they are not the client's to choose",
		wrong:  "it runs their handlers",
		source: guide + "Work with routes for WebSocket APIs: predefined routes",
		in:     []patch{{socketFile, "if strings.HasPrefix(key, \"$\") {", "if strings.HasPrefix(key, \"$\") && !FAULT {"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer, "websocket: {route: $disconnect, routeResponseSelectionExpression: $default}", "websocket: {route: $default, routeResponseSelectionExpression: $default}")
			conn, got := dial(t, w.socket, token)
			if conn == nil {
				t.Fatal(got.line())
			}
			want(t, "route", told(t, conn, `{"action":"$disconnect"}`).at("requestContext.routeKey"), "$default")
		},
	},
	{
		id:     "socket-only-connect",
		aws:    "only $connect has an authorizer: it is asked once, and its context goes with every message",
		wrong:  "a file may name one elsewhere, or messages have no context",
		source: socketPage,
		in:     []patch{{socketFile, "RouteKey: key, Authorizer: c.socket.verdict.restContext(),", "RouteKey: key, Authorizer: map[bool]map[string]any{true: nil, false: c.socket.verdict.restContext()}[FAULT],"}},
		check: func(t *testing.T) {
			w := sockets(t, socketAuthorizer, "websocket: {route: $default, routeResponseSelectionExpression: $default}", "websocket: {route: move, routeResponseSelectionExpression: $default}")
			conn, got := dial(t, w.socket, token, answered(policy(allowAll, `"context":{"k":1}`)))
			if conn == nil {
				t.Fatal(got.line())
			}
			for message, key := range map[string]string{`{"action":"move"}`: "move", `{"action":"none"}`: "$default", "x": "$default"} {
				e := told(t, conn, message)
				want(t, message, e.at("requestContext.routeKey")+" "+e.at("requestContext.eventType")+" "+e.at("requestContext.authorizer.k")+" "+e.at("body"), key+" MESSAGE 1 "+message)
			}
			want(t, "asked", fmt.Sprint(w.invocations(t)), "1")
			unread(t, "websocket: {route: $default, authorizer: auth}", "only $connect can have one")
		},
	},
}
