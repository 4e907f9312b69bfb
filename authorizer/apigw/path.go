package apigw

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/authorizer"
)

// disagreement is why a request is malformed when the event and the ARN name different paths.
const disagreement = "path and ARN that differ"

// reading gives the path of a request, decoded exactly once, and the parameters of its route; or why it has no single
// reading. The reason never quotes the path. The gateway evaluates its answer against the ARN, and the handler behind
// it reads the event's path: only where both mean the same does the request have one meaning.
func (e *event) reading(k kind, a arn) (path []string, params map[string]string, malformed string) {
	raw := e.Path
	switch k {
	case token:
		raw = "/" + a.path
	case http2:
		raw = e.RawPath
	}
	path, malformed = readPath(k.protocol(), raw, a, e.RequestContext.DomainName)
	// What a trailing slash means is known only where the route is: a greedy parameter would hold it.
	if malformed == "" && len(path) > 0 && strings.HasSuffix(raw, "/") && (k == token || strings.HasSuffix(e.template(k), "+}")) {
		malformed = "path with an empty segment"
	}
	if malformed != "" {
		return nil, nil, malformed
	}
	if k == token {
		return path, nil, ""
	}
	if template := e.template(k); template != defaultRoute || k == rest {
		var ok bool
		if params, ok = authorizer.Bind(template, path); !ok || !strings.HasPrefix(template, "/") {
			return nil, nil, "path that is not of its route"
		}
	}
	if len(e.PathParameters) > 0 && !sameParameters(e.PathParameters, params) {
		return nil, nil, "path and path parameters that differ"
	}
	if len(params) == 0 {
		params = nil
	}
	return path, params, ""
}

// readPath splits raw, decodes its segments and takes those that the ARN names. What stands in front of them is the
// stage (HTTP API) or the base path of a custom domain.
func readPath(p authorizer.Protocol, raw string, a arn, domain string) ([]string, string) {
	rooted, ok := strings.CutPrefix(raw, "/")
	if !ok {
		return nil, "path without a leading slash"
	}
	all, named := split(rooted), split(a.path)
	if p == authorizer.REST {
		// A REST API routes "/orders/" as "/orders".
		all, named = trimSlash(all), trimSlash(named)
	} else if len(named) == 0 {
		all = trimSlash(all) // the root below a stage or a base path: "/dev/"
	}
	decoded := make([]string, len(all))
	for i, s := range all {
		var err error
		if decoded[i], err = decode(p, s); err != nil {
			return nil, "path with an invalid percent escape"
		}
		if why := ambiguous(decoded[i]); why != "" {
			return nil, why
		}
	}
	before := len(all) - len(named)
	if before < 0 || !slices.EqualFunc(all[before:], named, equalOnceDecoded) {
		return nil, disagreement
	}
	// The API's own domain has no base path.
	if strings.HasPrefix(domain, a.api+".execute-api.") && before > 0 &&
		(p == authorizer.REST || before > 1 || all[0] != a.stage) {
		return nil, disagreement
	}
	if len(named) == 0 {
		return nil, ""
	}
	return decoded[before:], ""
}

// decode is the one place that knows how an API type spells a path. In the event: as sent, still encoded, by REST APIs;
// decoded by HTTP APIs. In the ARN: assumed to be the same, which AWS does not document (ADR 2). Only a TOKEN event's
// path hangs on that assumption: the other events bring a path of their own, and an ARN in either spelling agrees
// with it.
func decode(p authorizer.Protocol, segment string) (string, error) {
	if p == authorizer.REST {
		return url.PathUnescape(segment)
	}
	return segment, nil
}

// trimSlash leaves out the empty segment that a trailing slash makes.
func trimSlash(segments []string) []string {
	if n := len(segments); n > 0 && segments[n-1] == "" {
		return segments[:n-1]
	}
	return segments
}

func equalOnceDecoded(sent, named string) bool {
	if sent == named || unescapesTo(sent, named) || unescapesTo(named, sent) {
		return true
	}
	once, err := url.PathUnescape(sent) // both encoded, but not in the same way: %7c and %7C
	return err == nil && unescapesTo(named, once)
}

func unescapesTo(s, want string) bool {
	got, err := url.PathUnescape(s)
	return err == nil && got == want
}

// ambiguous says why a decoded segment could mean something else to the gateway, to a policy or to a handler: "" if it
// could not. Semicolons are refused because some frameworks cut path segments at them (matrix parameters) and others
// do not.
func ambiguous(segment string) string {
	switch {
	case segment == "":
		return "path with an empty segment"
	case segment == "." || segment == "..":
		return "path with a dot segment"
	case !utf8.ValidString(segment):
		return "path that is not UTF-8"
	}
	for i, r := range segment {
		switch {
		case r == '/' || r == '\\':
			return "path with an encoded separator"
		case r == ';':
			return "path with a matrix parameter"
		case r == '*' || r == '?':
			return "path with a wildcard"
		case unicode.IsControl(r):
			return "path with a control character"
		case r == '%' && len(segment) > i+2 && isHex(segment[i+1]) && isHex(segment[i+2]):
			return "path encoded more than once"
		}
	}
	return ""
}

func isHex(b byte) bool { return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F' }

// sameParameters holds the event's path parameters, as they are or decoded once, against those that the path binds.
func sameParameters(event map[string]text, bound map[string]string) bool {
	if len(event) != len(bound) {
		return false
	}
	for name, value := range event {
		want, ok := bound[name]
		if !ok || string(value) != want && !unescapesTo(string(value), want) {
			return false
		}
	}
	return true
}

// split cuts a path without its leading slash at every slash; the root has no segment.
func split(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
