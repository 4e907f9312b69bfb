package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// names asks several times over one connection and gives how the function saw the name of each request's X-Name.
func names(t *testing.T, url string, writes ...string) []string {
	t.Helper()
	address, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var seen []string
	for _, w := range writes {
		if _, err := io.WriteString(conn, w); err != nil {
			t.Fatal(err)
		}
		for range strings.Count(w, " HTTP/1.1\r\n") {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			var e struct{ Headers map[string]string }
			if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			for name := range e.Headers {
				if strings.EqualFold(name, "x-name") {
					seen = append(seen, name)
				}
			}
		}
	}
	return seen
}

// The names of every request of a connection are its own, whatever body came before.
func TestNamesOverOneConnection(t *testing.T) {
	g := start(t, config(t, sample))
	request := func(method, name, more, body string) string {
		return method + " /dev/open HTTP/1.1\r\nHost: localhost\r\n" + name + ": v\r\n" + more + "\r\n" + body
	}
	for what, c := range map[string]struct {
		writes []string
		want   string
	}{
		"one after the other": {[]string{request("GET", "x-name", "", ""), request("GET", "X-NAME", "", ""), request("GET", "X-Name", "", "")}, "[x-name X-NAME X-Name]"},
		"with bodies between": {[]string{
			request("POST", "x-name", "Content-Length: 11\r\n", "X-NAME: v\r\n"),
			request("POST", "x-NAME", "Transfer-Encoding: chunked\r\n", "5\r\nx-a:b\r\n0\r\n\r\n"), request("GET", "X-nAME", "", ""),
		}, "[x-name x-NAME X-nAME]"},
		"a body longer than what is remembered":         {[]string{request("POST", "x-name", fmt.Sprintf("Content-Length: %d\r\n", maxRemembered*2), strings.Repeat("x", maxRemembered*2)), request("GET", "X-NAME", "", "")}, "[x-name X-NAME]"},
		"in one piece, where the second cannot be told": {[]string{request("GET", "x-name", "", "") + request("GET", "x-name", "", "")}, "[x-name X-Name]"},
	} {
		if got := fmt.Sprint(names(t, g.RESTURL(), c.writes...)); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

func FuzzRespelt(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nx-a: 1\r\nX-A: 2\r\n\r\nx-b: 3", "X-A", "1")
	f.Add("\r\nGET / HTTP/1.1\r\n:\r\n\xff: x\r\n", "X-B", "")
	f.Fuzz(func(t *testing.T, head, name, value string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = "/"
		r.Header = http.Header{http.CanonicalHeaderKey(name): {value, value + "2"}, "X-A": {"1", "2"}}
		all := 0
		for spelling, values := range respelt(r, []byte(head)) {
			all += len(values)
			if len(r.Header[http.CanonicalHeaderKey(spelling)]) == 0 {
				t.Errorf("a header that was not sent: %q", spelling)
			}
		}
		sent := 0
		for _, values := range r.Header {
			sent += len(values)
		}
		if all != sent {
			t.Errorf("%d values of %d", all, sent)
		}
	})
}
