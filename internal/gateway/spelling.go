package gateway

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
)

// A REST API hands on the names of headers as the client wrote them, and HTTP/2 clients write lower case; net/http keeps
// one canonical form only. So the connection remembers the bytes of the head that it is reading, and the names are read
// from there.

// spellings is a connection that remembers the head of the request that comes in.
type spellings struct {
	net.Conn

	mu        sync.Mutex
	head      []byte
	forgetful bool // the head was read, the body comes
}

// maxRemembered bounds what is kept: more than a head that net/http takes. Of what is longer, such as a body that nobody
// wanted and a head after it, the end is kept.
const maxRemembered = 2 * maxRead

func (s *spellings) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.forgetful {
		s.head = append(s.head, b[:n]...)
		s.head = s.head[max(0, len(s.head)-maxRemembered):]
	}
	return n, err
}

// take gives what was read since the request before, and stops remembering.
func (s *spellings) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.head
	s.head, s.forgetful = nil, true
	return head
}

// again starts to remember, for the next request: its first byte may come as soon as this one's answer is sent.
func (s *spellings) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetful = false
}

type spelt struct{ net.Listener }

func (l spelt) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &spellings{Conn: c}, nil
}

type (
	connKey struct{} // of the context of a connection
	sentKey struct{} // of the context of a request
)

func rememberConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// spell tells the handler how the client wrote the names of the headers. Where that cannot be told (a request that came in
// one piece with the one before), they stay canonical.
func spell(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.Context().Value(connKey{}).(*spellings)
		defer s.again()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sentKey{}, respelt(r, s.take()))))
	})
}

// asSent gives the headers of a request under the names that the client wrote.
func asSent(r *http.Request) http.Header { return r.Context().Value(sentKey{}).(http.Header) }

// respelt reads names from the head, which begins at the request's own line: what stands before it belongs to the request
// before.
func respelt(r *http.Request, head []byte) http.Header {
	h, left := http.Header{}, r.Header.Clone()
	_, head, _ = bytes.Cut(head, []byte(r.Method+" "+r.RequestURI+" "+r.Proto+"\r\n"))
	for line := range bytes.Lines(head) {
		name, _, isHeader := bytes.Cut(line, []byte(":"))
		if !isHeader {
			break // the empty line after the last header
		}
		canonical := http.CanonicalHeaderKey(string(name))
		if values := left[canonical]; len(values) > 0 {
			h[string(name)] = append(h[string(name)], values[0])
			left[canonical] = values[1:]
		}
	}
	for name, values := range left { // what the head does not tell
		if len(values) > 0 {
			h[name] = append(h[name], values...)
		}
	}
	return h
}
