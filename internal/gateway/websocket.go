package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"gatehouse/authorizer"
)

// Limits of a WebSocket API (API Gateway Developer Guide, "Quotas").
const (
	maxMessage    = 128 << 10
	idleLimit     = 10 * time.Minute
	durationLimit = 2 * time.Hour
)

// socket is one connection of a WebSocket API. What its authorizer said at $connect goes with each of its events.
type socket struct {
	id        string
	connected time.Time
	verdict   *verdict
}

// connections are what is open, to be closed with the gateway.
type connections struct {
	mu     sync.Mutex
	open   map[*websocket.Conn]context.CancelFunc
	closed bool
}

// socketEvent is an event of a WebSocket API, the authorizer's and the handlers' (Developer Guide, "Create a Lambda
// REQUEST authorizer function" for WebSocket APIs, "Set up a route using Lambda proxy"). Headers come with
// $connect and $disconnect, a query with $connect only.
type socketEvent struct {
	Type                            string              `json:"type,omitempty"`
	MethodARN                       string              `json:"methodArn,omitempty"`
	Headers                         map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders,omitempty"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters,omitempty"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	StageVariables                  *map[string]string  `json:"stageVariables,omitempty"`
	RequestContext                  socketContext       `json:"requestContext"`
	Body                            *string             `json:"body,omitempty"`
	IsBase64Encoded                 *bool               `json:"isBase64Encoded,omitempty"`
}

type socketContext struct {
	RouteKey             string         `json:"routeKey"`
	Authorizer           map[string]any `json:"authorizer,omitempty"`
	MessageID            string         `json:"messageId,omitempty"`
	DisconnectStatusCode int            `json:"disconnectStatusCode,omitempty"`
	DisconnectReason     *string        `json:"disconnectReason,omitempty"`
	EventType            string         `json:"eventType"`
	ExtendedRequestID    string         `json:"extendedRequestId"`
	RequestTime          string         `json:"requestTime"`
	MessageDirection     string         `json:"messageDirection"`
	Stage                string         `json:"stage"`
	ConnectedAt          int64          `json:"connectedAt"`
	RequestTimeEpoch     int64          `json:"requestTimeEpoch"`
	Identity             socketIdentity `json:"identity"`
	RequestID            string         `json:"requestId"`
	DomainName           string         `json:"domainName"`
	ConnectionID         string         `json:"connectionId"`
	APIID                string         `json:"apiId"`
}

type socketIdentity struct {
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent,omitempty"`
}

// connect takes a handshake: identity sources, authorizer, policy and the handler of $connect decide before there is a
// connection (Developer Guide, "Managing connected users and client apps: $connect and $disconnect routes").
func (a *api) connect(w http.ResponseWriter, r *http.Request) {
	c := a.call(r, asSent(r))
	c.socket = &socket{id: c.extended, connected: c.time}
	accepted := c.handshake(r.Context())
	if accepted.status < 200 || accepted.status > 299 {
		c.name(accepted)
		a.counters.answered(a.protocol, accepted.status)
		accepted.write(w)
		return
	}
	options := &websocket.AcceptOptions{InsecureSkipVerify: true} // of the Origin: API Gateway does not look at it
	if chosen := accepted.header.Get("Sec-Websocket-Protocol"); chosen != "" {
		options.Subprotocols = []string{chosen}
	}
	conn, err := websocket.Accept(w, r, options)
	if err != nil {
		return // it has answered
	}
	a.counters.answered(a.protocol, http.StatusSwitchingProtocols)
	conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), durationLimit)
	defer cancel()
	if !a.sockets.add(conn, cancel) {
		return
	}
	defer a.sockets.remove(conn)
	a.converse(ctx, conn, c)
}

// handshake is the way of a $connect. Its answer stands in the place of the upgrade, or allows it.
func (c *call) handshake(ctx context.Context) *answer {
	if c.api.headerSize(c.request) > maxHeader {
		return c.headerTooLarge()
	}
	if path := strings.TrimSuffix(sentPath(c.request), "/"); path != c.api.prefix {
		return c.noStage()
	}
	if !isHandshake(c.request) {
		return c.message("", http.StatusUpgradeRequired, "", "Upgrade Required") // documented nowhere
	}
	c.route = c.api.routes[authorizer.Connect]
	if c.route == nil { // no such route, nothing to ask
		return &answer{status: http.StatusOK, header: http.Header{}}
	}
	v, refused := c.authorized(ctx)
	if refused != nil {
		return refused
	}
	c.socket.verdict = v
	return c.handled(ctx, v)
}

// isHandshake holds a request against RFC 6455, section 4.2.1, before anybody is asked about it.
func isHandshake(r *http.Request) bool {
	has := func(name, token string) bool {
		return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values(name), ","), ","), func(t string) bool {
			return strings.EqualFold(strings.TrimSpace(t), token)
		})
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && has("Connection", "upgrade") && has("Upgrade", "websocket") &&
		r.Header.Get("Sec-Websocket-Version") == "13" && err == nil && len(key) == 16
}

// converse takes message after message until either side ends, then tells $disconnect.
func (a *api) converse(ctx context.Context, conn *websocket.Conn, c *call) {
	var end error
	for {
		read, cancel := context.WithTimeout(ctx, idleLimit)
		kind, message, err := conn.Read(read)
		cancel()
		if err != nil {
			end = err
			break
		}
		m := a.call(c.request, http.Header{})
		m.socket, m.body = c.socket, message
		if reply := m.heard(ctx, kind); reply != nil && conn.Write(ctx, websocket.MessageText, reply) != nil {
			break
		}
	}
	_ = conn.CloseNow()
	if r := a.routes["$disconnect"]; r != nil {
		d := a.call(c.request, http.Header{})
		d.socket, d.route = c.socket, r
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.integrate)
		defer cancel()
		status, reason := ending(end)
		_, _, _ = r.function.Invoke(limit, d.disconnectEvent(status, reason)) // nobody is left to be told
	}
}

// ending is what an end means: the client's own close, or a connection that broke or was idle for too long. The reason of
// the latter is API Gateway's own word; no page lists them.
func ending(err error) (int, string) {
	if e, ok := errors.AsType[websocket.CloseError](err); ok {
		return int(e.Code), e.Reason
	}
	return 1006, "Going away" // RFC 6455, section 7.4.1: no close frame came
}

// heard hands a message to its route and gives what goes back to the client; nil is nothing. The forms of the gateway's
// own replies are documented nowhere.
func (c *call) heard(ctx context.Context, kind websocket.MessageType) []byte {
	if c.route = c.api.routes[c.selected()]; c.route == nil {
		c.route = c.api.routes["$default"]
	}
	if c.route == nil {
		return c.reply("Forbidden")
	}
	limit, cancel := context.WithTimeout(ctx, c.api.integrate)
	defer cancel()
	payload, failure, err := c.route.function.Invoke(limit, c.messageEvent(kind))
	switch {
	case errors.Is(limit.Err(), context.DeadlineExceeded) && err != nil:
		return c.reply("Endpoint request timed out")
	case err != nil:
		c.route.function.note("request %s: %v", c.id, err)
		return c.reply("Internal server error")
	case failure != nil:
		c.route.function.note("request %s: handler failed: %s", c.id, failure.Type)
		return c.reply("Internal server error")
	case !c.route.answers:
		return nil
	}
	a, err := c.parseAnswer(payload)
	if err != nil {
		c.route.function.note("request %s: handler's answer: %v", c.id, err)
		return c.reply("Internal server error")
	}
	return a.body
}

// selected is the route that a message names, by the API's route selection expression. Those that begin with $ are the
// gateway's own to choose.
func (c *call) selected() string {
	value := json.RawMessage(c.body)
	for name := range strings.SplitSeq(c.api.selection, ".") {
		var members map[string]json.RawMessage
		if json.Unmarshal(value, &members) != nil {
			return ""
		}
		value = members[name]
	}
	var key string
	_ = json.Unmarshal(value, &key) // what is no text names no route
	if strings.HasPrefix(key, "$") {
		return ""
	}
	return key
}

func (c *call) reply(message string) []byte {
	return encode(struct {
		Message      string `json:"message"`
		ConnectionID string `json:"connectionId"`
		RequestID    string `json:"requestId"`
	}{message, c.socket.id, c.id})
}

// socketAuthorizerEvent is the event of $connect for its authorizer: no verb, no path, no body.
func (c *call) socketAuthorizerEvent() []byte {
	e := c.socketEvent(authorizer.Connect, "CONNECT")
	e.Type, e.MethodARN, e.StageVariables = "REQUEST", c.arn(), &map[string]string{}
	e.Headers, e.MultiValueHeaders = last(c.sent), c.sent
	e.QueryStringParameters, e.MultiValueQueryStringParameters = present(last(c.query)), present(map[string][]string(c.query))
	e.RequestContext.Authorizer = nil
	return encode(e)
}

// connectEvent is the event of $connect for its handler.
func (c *call) connectEvent() []byte {
	e := c.socketEvent(authorizer.Connect, "CONNECT")
	e.Headers, e.MultiValueHeaders = last(c.sent), c.sent
	e.QueryStringParameters, e.MultiValueQueryStringParameters = last(c.query), nonEmpty(c.query)
	e.IsBase64Encoded = new(bool)
	return encode(e)
}

func (c *call) messageEvent(kind websocket.MessageType) []byte {
	e := c.socketEvent(c.route.key, "MESSAGE")
	e.RequestContext.MessageID = strings.ReplaceAll(c.api.newID(), "-", "")[:15] + "="
	body, isBase64 := string(c.body), kind == websocket.MessageBinary || !utf8.Valid(c.body)
	if isBase64 {
		body = base64.StdEncoding.EncodeToString(c.body)
	}
	e.Body, e.IsBase64Encoded = &body, &isBase64
	return encode(e)
}

func (c *call) disconnectEvent(status int, reason string) []byte {
	e := c.socketEvent("$disconnect", "DISCONNECT")
	e.Headers, e.MultiValueHeaders = last(c.sent), c.sent
	e.RequestContext.DisconnectStatusCode, e.RequestContext.DisconnectReason = status, &reason
	e.IsBase64Encoded = new(bool)
	return encode(e)
}

func (c *call) socketEvent(key, kind string) socketEvent {
	return socketEvent{RequestContext: socketContext{
		RouteKey: key, Authorizer: c.socket.verdict.restContext(), EventType: kind, ExtendedRequestID: c.extended,
		RequestTime: c.time.Format(requestTime), MessageDirection: "IN", Stage: c.api.stage,
		ConnectedAt: c.socket.connected.UnixMilli(), RequestTimeEpoch: c.time.UnixMilli(),
		Identity:  socketIdentity{SourceIP: c.ip, UserAgent: c.request.UserAgent()},
		RequestID: c.id, DomainName: c.domain, ConnectionID: c.socket.id, APIID: c.api.id,
	}}
}

// add takes a connection in; false when everything is closed already.
func (s *connections) add(conn *websocket.Conn, cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.CloseNow()
		return false
	}
	if s.open == nil {
		s.open = map[*websocket.Conn]context.CancelFunc{}
	}
	s.open[conn] = cancel
	return true
}

func (s *connections) remove(conn *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

// hangUp ends every connection of the API; net/http no longer knows of them.
func (a *api) hangUp() {
	a.sockets.mu.Lock()
	defer a.sockets.mu.Unlock()
	a.sockets.closed = true
	for _, cancel := range a.sockets.open {
		cancel()
	}
}
