package gateway

import (
	"encoding/json"
	"net/http"
	"regexp"
)

// flushPath is API Gateway's own call FlushStageAuthorizersCache (API Gateway API Reference), which is not part of an API:
// on AWS it goes to apigateway.REGION.amazonaws.com. Here the REST API's address takes it, so that
// AWS_ENDPOINT_URL_API_GATEWAY=http://127.0.0.1:8787 empties the caches of this machine. It is not signed by anybody.
var flushPath = regexp.MustCompile(`^/restapis/([^/]+)/stages/([^/]+)/cache/authorizers$`)

// management answers calls that are about an API and not to it.
func (a *api) management(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := flushPath.FindStringSubmatch(r.URL.Path)
		if m == nil || r.Method != http.MethodDelete {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if m[1] != a.id || m[2] != a.stage {
			w.Header().Set("X-Amzn-Errortype", "NotFoundException")
			w.WriteHeader(http.StatusNotFound)
			message := "Invalid API identifier specified " + a.account + ":" + m[1]
			if m[1] == a.id {
				message = "Invalid stage identifier specified"
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
			return
		}
		for _, route := range a.routes {
			if route.authorizer != nil {
				route.authorizer.cache.flush()
			}
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

func (c *cache) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = nil
}
