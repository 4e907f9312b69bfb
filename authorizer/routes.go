package authorizer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Connect is the one route of a WebSocket API that an authorizer can guard.
const Connect = "$connect"

// Routes is the route table of a generation, for events that do not say which route they are for. The zero value
// knows no route.
type Routes struct {
	templates []template // best first
	connect   bool
	fallback  bool // $default: whatever no template takes
	known     map[string]bool
}

type template struct {
	route    string // "GET /orders/{id}"
	method   string
	segments []string
}

// NewRoutes reads route keys: "METHOD /path/{parameter}", "ANY /files/{proxy+}", "$connect" and "$default". All faults
// are named at once.
func NewRoutes(keys []string) (Routes, error) {
	r := Routes{known: make(map[string]bool, len(keys))}
	shapes := map[string]string{}
	var faults []error
	for _, key := range keys {
		r.known[key] = true
		switch {
		case key == Connect:
			r.connect = true
		case key == "$default":
			r.fallback = true
		default:
			t, err := parseTemplate(key)
			if err == nil {
				if other, taken := shapes[t.shape()]; taken {
					err = fmt.Errorf("route %q: matches the same requests as %q", key, other)
				}
				shapes[t.shape()] = key
			}
			faults = append(faults, err)
			r.templates = append(r.templates, t)
		}
	}
	slices.SortFunc(r.templates, moreSpecific)
	return r, errors.Join(faults...)
}

func parseTemplate(key string) (template, error) {
	method, path, ok := strings.Cut(key, " ")
	if !ok || method == "" || strings.ContainsFunc(method, notCapital) || !strings.HasPrefix(path, "/") {
		return template{}, fmt.Errorf("route %q: want METHOD /path, $connect or $default", key)
	}
	segments, names := Segments(path), map[string]bool{}
	for i, s := range segments {
		if s == "" || strings.ContainsAny(s, "{}*") && !parameter(s) || greedy(s) && i != len(segments)-1 {
			return template{}, fmt.Errorf("route %q: segment %q: want text, {name} or, last, {name+}", key, s)
		}
		if name := strings.Trim(s, "{+}"); parameter(s) {
			if names[name] {
				return template{}, fmt.Errorf("route %q: two parameters are called %q", key, name)
			}
			names[name] = true
		}
	}
	return template{key, method, segments}, nil
}

func notCapital(r rune) bool { return r < 'A' || r > 'Z' }

// shape is the same for templates that match the same requests, whatever their parameters are called.
func (t template) shape() string {
	shape := []string{t.method}
	for _, s := range t.segments {
		switch rank(s) {
		case 1:
			s = "{}"
		case 2:
			s = "{+}"
		}
		shape = append(shape, s)
	}
	return strings.Join(shape, "/")
}

// Segments splits a path at its slashes. The root has none; a trailing slash leaves an empty last one.
func Segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func parameter(segment string) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(segment, "{"), "}"), "+")
	return strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && name != "" && !strings.ContainsAny(name, "{}+")
}

func greedy(segment string) bool { return parameter(segment) && strings.HasSuffix(segment, "+}") }

// Bind matches a path against a template's path ("/orders/{id}") and gives its parameters; false where they differ.
func Bind(templatePath string, path []string) (map[string]string, bool) {
	return bind(Segments(templatePath), path)
}

func bind(segments, path []string) (map[string]string, bool) {
	params := map[string]string{}
	for i, s := range segments {
		if i >= len(path) {
			return nil, false
		}
		switch {
		case greedy(s):
			params[s[1:len(s)-2]] = strings.Join(path[i:], "/")
			return params, true
		case parameter(s):
			if path[i] == "" {
				return nil, false
			}
			params[s[1:len(s)-1]] = path[i]
		case s != path[i]:
			return nil, false
		}
	}
	return params, len(segments) == len(path)
}

// Complete fills in the route and the parameters of a request whose event names no route (REST TOKEN and WebSocket),
// and puts "ANY /path" for "GET /path" where that is how the table knows the route, which a REST event cannot tell. A
// route that the table lacks stays absent, and nothing is granted on it.
func (r Routes) Complete(req Request) Request {
	if req.Protocol == WebSocket {
		if r.connect {
			req.Route = Connect
		}
		return req
	}
	if req.Route != "" {
		if _, path, ok := strings.Cut(req.Route, " "); ok && req.Protocol == REST && !r.known[req.Route] && r.known["ANY "+path] {
			req.Route = "ANY " + path
		}
		return req
	}
	if req.Malformed != "" {
		return req
	}
	for _, t := range r.templates {
		if t.method != req.Method && t.method != "ANY" {
			continue
		}
		if params, ok := bind(t.segments, req.Path); ok {
			req.Route = t.route
			if len(params) > 0 {
				req.Params = params
			}
			return req
		}
	}
	if r.fallback && req.Protocol == HTTP {
		req.Route = "$default"
	}
	return req
}

// moreSpecific orders templates as API Gateway picks them: segment by segment text before a parameter before a greedy
// one, and a named method before ANY.
func moreSpecific(a, b template) int {
	for i := range min(len(a.segments), len(b.segments)) {
		if c := cmp.Compare(rank(a.segments[i]), rank(b.segments[i])); c != 0 {
			return c
		}
	}
	return cmp.Or(
		cmp.Compare(len(b.segments), len(a.segments)),
		cmp.Compare(anyLast(a.method), anyLast(b.method)),
		cmp.Compare(a.route, b.route),
	)
}

func rank(segment string) int {
	switch {
	case greedy(segment):
		return 2
	case parameter(segment):
		return 1
	}
	return 0
}

func anyLast(method string) int {
	if method == "ANY" {
		return 1
	}
	return 0
}
