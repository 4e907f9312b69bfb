package issuer

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOnlyThisMachineIsAnswered(t *testing.T) {
	fine := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for host, want := range map[string]int{
		"127.0.0.1:8789": 200, "localhost:8789": 200, "[::1]:8789": 200, "[::1]": 200,
		"evil.example": 403, "127.0.0.1.evil.example:8789": 403, "10.0.0.1": 403, "": 403,
	} {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Host = host
		if local(fine).ServeHTTP(w, r); w.Code != want {
			t.Errorf("under %q: got %d, want %d", host, w.Code, want)
		}
	}
}
