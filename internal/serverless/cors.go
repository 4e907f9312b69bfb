package serverless

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse/authorizer"
)

// CORS is what an API tells browsers of other origins.
type CORS struct {
	Origins      []string // "https://app.example.com", "*", or with a * in it; on a REST API the first is the default
	Headers      []string
	Methods      []string
	Exposed      []string // HTTP API only
	Credentials  bool
	MaxAge       int    // seconds; 0: not said
	CacheControl string // REST API only
}

var (
	restCORSKeys = keys{read: "origin origins headers methods allowCredentials maxAge cacheControl"}
	httpCORSKeys = keys{read: "allowedOrigins allowedHeaders allowedMethods exposedResponseHeaders allowCredentials maxAge"}

	// The headers that the framework allows where the file names none.
	corsHeaders = []string{"Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token", "X-Amz-User-Agent", "X-Amzn-Trace-Id"}
)

// restCORS reads the cors of one REST route and merges it with those of the same path, as the framework does: one method
// OPTIONS answers for all of them. Lists are joined; of single values the last one counts.
func (r *reader) restCORS(n *yaml.Node, at string, e Event) {
	n = r.resolve(n)
	if n == nil {
		return
	}
	own := CORS{Origins: []string{"*"}, Headers: corsHeaders}
	if n.Kind != yaml.MappingNode {
		if !r.boolean(n, at) {
			return
		}
	} else {
		o := r.fields(n, at, restCORSKeys)
		origins := r.texts(o["origins"], at+".origins")
		if origin := r.text(o["origin"], at+".origin"); origin != "" {
			for part := range strings.SplitSeq(origin, ",") {
				origins = append(origins, strings.TrimSpace(part))
			}
		}
		if len(origins) > 0 {
			own.Origins = origins
		}
		if headers := r.texts(o["headers"], at+".headers"); len(headers) > 0 {
			own.Headers = headers
		}
		own.Methods = r.methods(o["methods"], at+".methods")
		own.Credentials = r.boolean(o["allowCredentials"], at+".allowCredentials")
		own.MaxAge = r.number(o["maxAge"], at+".maxAge", 0, 1, 1<<31-1)
		own.CacheControl = r.text(o["cacheControl"], at+".cacheControl")
	}
	all := r.preflight[e.Path]
	all.Origins = union(own.Origins, all.Origins)
	all.Headers = union(own.Headers, all.Headers)
	all.Methods = union(own.Methods, []string{"OPTIONS", e.Method}, all.Methods)
	all.Credentials = all.Credentials || own.Credentials
	if own.MaxAge != 0 {
		all.MaxAge = own.MaxAge
	}
	if own.CacheControl != "" {
		all.CacheControl = own.CacheControl
	}
	r.preflight[e.Path] = all
}

// httpCORS reads provider.httpApi.cors. Where it names no methods, they are those of the routes.
func (r *reader) httpCORS(n *yaml.Node, functions []Function) *CORS {
	const at = "provider.httpApi.cors"
	n = r.resolve(n)
	if n == nil {
		return nil
	}
	c := &CORS{Origins: []string{"*"}, Headers: corsHeaders}
	if n.Kind != yaml.MappingNode {
		if !r.boolean(n, at) {
			return nil
		}
	} else {
		o := r.fields(n, at, httpCORSKeys)
		if origins := r.texts(o["allowedOrigins"], at+".allowedOrigins"); len(origins) > 0 {
			c.Origins = origins
		}
		if headers := r.texts(o["allowedHeaders"], at+".allowedHeaders"); len(headers) > 0 {
			c.Headers = headers
		}
		c.Methods = r.methods(o["allowedMethods"], at+".allowedMethods")
		c.Exposed = r.texts(o["exposedResponseHeaders"], at+".exposedResponseHeaders")
		c.Credentials = r.boolean(o["allowCredentials"], at+".allowCredentials")
		c.MaxAge = r.number(o["maxAge"], at+".maxAge", 0, 0, 86400)
		if c.Credentials && slices.Contains(c.Origins, "*") {
			r.fault(n, "%s: allowCredentials does not go with every origin", at)
		}
	}
	if len(c.Methods) > 0 {
		return c
	}
	c.Methods = []string{"OPTIONS"}
	for _, f := range functions {
		for _, e := range f.Events {
			switch {
			case e.Protocol != authorizer.HTTP:
			case e.Method == "ANY":
				c.Methods = union(c.Methods, slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == "ANY" }))
			case e.Method != "":
				c.Methods = union(c.Methods, []string{e.Method})
			}
		}
	}
	return c
}

func (r *reader) methods(n *yaml.Node, at string) []string {
	var all []string
	for _, m := range r.texts(n, at) {
		if m == "*" {
			all = append(all, m)
			continue
		}
		all = append(all, r.method(n, at, m))
	}
	return all
}

// union joins lists, each text once, in the order in which they come first.
func union(lists ...[]string) []string {
	var all []string
	for _, item := range slices.Concat(lists...) {
		if !slices.Contains(all, item) {
			all = append(all, item)
		}
	}
	return all
}
