package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOnlyThisMachineIsAnswered(t *testing.T) {
	fine := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for host, want := range map[string]int{
		"127.0.0.1:8787": 200, "127.0.0.1": 200, "localhost:8787": 200, "[::1]:8787": 200, "[::1]": 200, "127.1.2.3": 200,
		"evil.example": 403, "evil.example:8787": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example": 403, "10.0.0.1": 403, "": 403,
	} {
		for name, h := range map[string]http.Handler{"api": local(fine, func(string) bool { return false }), "runtime": notFromAPage(fine)} {
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			r.Host = host
			if h.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s under %q: got %d, want %d", name, host, w.Code, want)
			}
		}
	}
	for _, header := range []string{"Origin", "Sec-Fetch-Site"} {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Host = "127.0.0.1"
		r.Header.Set(header, "cross-site")
		if notFromAPage(fine).ServeHTTP(w, r); w.Code != 403 {
			t.Errorf("a page asked the Runtime API (%s): got %d", header, w.Code)
		}
	}
}
