package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// local answers only requests under a name of this machine, or one that is known: a custom domain of the API. A page of
// any site can send requests to a loopback port, and by changing what its own name resolves to it could read the answers
// (DNS rebinding); the name that it sends stays.
func local(h http.Handler, known func(host string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) && !known(r.Host) {
			http.Error(w, "this server answers under a loopback address or a custom domain of its file only", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// notFromAPage refuses what a browser sends on behalf of a page. The Runtime API hands out whole events, tokens included,
// to whoever asks.
func notFromAPage(h http.Handler) http.Handler {
	return local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			http.Error(w, "the Runtime API is not for pages", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}), func(string) bool { return false })
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}
