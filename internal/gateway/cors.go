package gateway

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

// preflight answers a browser's question before the request itself; nil where this is none, or nobody configured it. No
// authorizer is asked: a browser sends no credentials along.
func (c *call) preflight() *answer {
	switch {
	case c.api.protocol == authorizer.REST:
		return c.restPreflight()
	case !c.asksFirst():
		return nil
	}
	// An HTTP API answers by itself, whether the path has a route or not (API Gateway Developer Guide, "Configuring CORS
	// for an HTTP API").
	cors := c.api.cors
	h := http.Header{}
	if allowOrigin(h, cors, c.request.Header.Get("Origin")) {
		setList(h, "Access-Control-Allow-Methods", cors.Methods)
		setList(h, "Access-Control-Allow-Headers", cors.Headers)
		if cors.MaxAge > 0 {
			h.Set("Access-Control-Max-Age", strconv.Itoa(cors.MaxAge))
		}
	}
	return &answer{status: http.StatusNoContent, header: h}
}

// asksFirst says whether this is a preflight for an HTTP API with CORS.
func (c *call) asksFirst() bool {
	return c.api.cors != nil && c.request.Method == http.MethodOptions &&
		c.request.Header.Get("Origin") != "" && c.request.Header.Get("Access-Control-Request-Method") != ""
}

// restPreflight is the method OPTIONS with a mock integration that the framework deploys for a path with cors, unless the
// file has such a method of its own.
func (c *call) restPreflight() *answer {
	resource, _ := c.api.resource(c.path)
	cors, configured := c.api.preflights[resource]
	if c.request.Method != http.MethodOptions || !configured || c.api.routes["OPTIONS "+resource] != nil {
		return nil
	}
	h := http.Header{"Content-Type": {"application/json"}}
	h.Set("Access-Control-Allow-Origin", cors.Origins[0])
	if origin := c.request.Header.Get("Origin"); len(cors.Origins) > 1 && slices.ContainsFunc(cors.Origins, func(o string) bool { return matchesOrigin(o, origin) }) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
	methods := strings.Replace(strings.Join(cors.Methods, ","), "ANY", "DELETE,GET,HEAD,PATCH,POST,PUT", 1)
	h.Set("Access-Control-Allow-Methods", methods)
	setList(h, "Access-Control-Allow-Headers", cors.Headers)
	if cors.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if cors.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(cors.MaxAge))
	}
	if cors.CacheControl != "" {
		h.Set("Cache-Control", cors.CacheControl)
	}
	return &answer{status: http.StatusOK, header: h}
}

// matchesOrigin compares as the framework's template for several origins does: a dot is a dot, the first * is one
// character or more, and a further one repeats what stands before it.
func matchesOrigin(pattern, origin string) bool {
	x := strings.Replace(strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "*"), "*", ".+", 1)
	matched, _ := regexp.MatchString("^(?:"+x+")$", origin) // what is no expression matches nothing
	return matched
}

// share puts an HTTP API's CORS headers on an answer, its own refusals included, in the place of what the handler said
// of them (Developer Guide, same page: those from the integration are ignored).
func (c *call) share(a *answer) {
	cors := c.api.cors
	if cors == nil || c.asksFirst() {
		return
	}
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			a.header.Del(name)
		}
	}
	if origin := c.request.Header.Get("Origin"); origin != "" && allowOrigin(a.header, cors, origin) {
		setList(a.header, "Access-Control-Expose-Headers", cors.Exposed)
	}
}

// allowOrigin says whether an origin is among the configured ones, and sets what tells the browser.
func allowOrigin(h http.Header, cors *serverless.CORS, origin string) bool {
	for _, o := range cors.Origins {
		switch {
		case o == "*":
			origin = "*"
		case o == origin, strings.HasSuffix(o, "://*") && strings.HasPrefix(origin, strings.TrimSuffix(o, "*")):
		default:
			continue
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if origin != "*" {
			h.Add("Vary", "Origin")
		}
		if cors.Credentials {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		return true
	}
	return false
}

func setList(h http.Header, name string, values []string) {
	if len(values) > 0 {
		h.Set(name, strings.Join(values, ","))
	}
}
