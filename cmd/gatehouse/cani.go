package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"gatehouse/authorizer"
	"gatehouse/authorizer/apigw"
	"gatehouse/authorizer/pdp"
	"gatehouse/internal/function"
)

// pairs are the values of a flag that is given as name=value, any number of times.
type pairs map[string][]string

func addPairs(f *flag.FlagSet, name, usage string) pairs {
	p := pairs{}
	f.Func(name, usage, func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q: want name=value", v)
		}
		p[name] = append(p[name], value)
		return nil
	})
	return p
}

// asked is what can-i was asked beside who asks.
type asked struct {
	query, headers, params pairs
	sourceIP               netip.Addr
	now                    time.Time
}

// canI says whether a request would be allowed, or which routes somebody may use.
func canI(ctx context.Context, args []string, s stdio) error {
	f := flags("can-i", "METHOD PATH | --list, by --as PERSON | --sub SUBJECT … | --token TOKEN")
	list := f.Bool("list", false, "all routes of the policies' table")
	bearer := f.String("token", "", "a `token`, or - to read it from standard input; needs GATEHOUSE_AUTH0")
	dir := f.String("policies", "", "`directory` of policies instead of the embedded ones")
	asJSON := f.Bool("json", false, "print the answer as JSON (docs/schema/explanation.json, with --list docs/schema/access.json)")
	a := asked{
		query:   addPairs(f, "query", "a query parameter, `name=value`"),
		headers: addPairs(f, "header", "a request header, `name=value`"),
		params:  addPairs(f, "param", "with --list, what a parameter of the path is, `name=value`"),
	}
	f.TextVar(&a.sourceIP, "source-ip", netip.Addr{}, "the caller's `address`")
	who, when := addClaimFlags(f), addTime(f)
	if err := parse(f, args, 2, s.out); err != nil {
		return err
	}
	switch {
	case *list && f.NArg() > 0:
		return misused("--list asks for every route: leave out METHOD and PATH")
	case !*list && f.NArg() != 2:
		return misused("want METHOD PATH, or --list")
	case !*list && len(a.params) > 0:
		return misused("--param is for --list: PATH holds its own parameters")
	case (*bearer != "") == who.given():
		return misused("want somebody who asks: one of --as PERSON, --sub SUBJECT and --token TOKEN")
	}
	if *bearer != "" {
		if err := who.unused("the token says who asks", claimFlagNames...); err != nil {
			return err
		}
	}
	for name := range a.headers {
		if strings.ToLower(name) != name || authorizer.CarriesSecret(name) {
			return misused("--header %s: no policy sees it: want lower case, and nothing that holds a credential", name)
		}
	}
	for name := range a.query {
		if authorizer.CarriesSecret(name) {
			return misused("--query %s: no policy sees what may hold a credential", name)
		}
	}
	a.now = when.now()
	root, err := policiesIn(*dir)
	if err != nil {
		return err
	}
	policy, err := pdp.NewExplainer(ctx, root)
	if err != nil {
		return refused("%w", err)
	}
	principal, err := caller(ctx, *bearer, who, a.now, s)
	if *list && err == nil {
		return a.list(ctx, policy, principal, s, *asJSON)
	}
	if *list {
		return unproven(err)
	}
	x := explained{Version: reportVersion, Revision: policy.Revision(), Method: f.Arg(0), Path: f.Arg(1)}
	if err != nil {
		if failure := x.failed(err); failure != nil {
			return failure
		}
		if err := x.print(s, *asJSON, true); err != nil {
			return err
		}
		return unproven(err)
	}
	in, err := a.input(policy, f.Arg(0), f.Arg(1), principal)
	if err != nil {
		return err
	}
	if err := x.ask(ctx, policy, in); err != nil {
		return err
	}
	if x.Route == "" && in.Request.Malformed == "" {
		x.Notes = append(x.Notes, unrouted(in.Request, policy.RouteKeys(), *dir == ""))
	}
	if err := x.print(s, *asJSON, true); err != nil {
		return err
	}
	if !x.Decision.Allowed {
		return refused("no: %s", x.Decision.Status.Reason)
	}
	return nil
}

// unproven is the outcome for a token that proves nobody: no, or unknown where the issuer's keys could not be had.
func unproven(err error) error {
	if errors.Is(err, authorizer.ErrUnauthenticated) {
		return refused("no: %w", err)
	}
	return err
}

// caller is who asks.
func caller(ctx context.Context, bearer string, who *claimFlags, now time.Time, s stdio) (authorizer.Principal, error) {
	if bearer == "" {
		return who.principal(ctx, now)
	}
	settings, err := function.Read(s.env)
	if err != nil {
		return authorizer.Principal{}, refused("%w", err)
	}
	if !settings.Verifies() {
		return authorizer.Principal{}, misused("--token needs GATEHOUSE_AUTH0, which says whose tokens are good")
	}
	if bearer == "-" {
		content, err := io.ReadAll(io.LimitReader(s.in, 1<<20))
		if err != nil {
			return authorizer.Principal{}, fmt.Errorf("read token: %w", err)
		}
		bearer = strings.TrimSpace(string(content))
	}
	return verified(ctx, settings, authorizer.Credentials{"Bearer " + bearer}, now)
}

// input is the document that a policy would see of a request. The path is read as that of a TOKEN event, and the route
// found in the table as for one.
func (a asked) input(policy *pdp.Explainer, method, target string, p authorizer.Principal) (authorizer.Input, error) {
	path, query, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return authorizer.Input{}, misused("path %q: want it to begin with a slash", path)
	}
	event, err := json.Marshal(map[string]string{
		"type": "TOKEN", "authorizationToken": "Bearer x",
		"methodArn": "arn:aws:execute-api:us-east-1:123456789012:local/dev/" + strings.ToUpper(method) + path,
	})
	if err != nil {
		return authorizer.Input{}, err
	}
	gateway, err := apigw.New(apigw.Config{})
	if err != nil {
		return authorizer.Input{}, err
	}
	request, err := gateway.Request(event, a.now)
	if err != nil {
		return authorizer.Input{}, misused("%s %s: %w", method, path, err)
	}
	more, err := url.ParseQuery(query)
	if err != nil {
		return authorizer.Input{}, misused("path %q: %w", target, err)
	}
	for name, values := range a.query {
		more[name] = append(more[name], values...)
	}
	request.Query, request.Headers, request.SourceIP = more, a.headers, a.sourceIP
	return authorizer.Input{Version: authorizer.InputVersion, Request: policy.Routes().Complete(request), Principal: p}, nil
}

// unrouted says what to make of a request that no route of the table takes.
func unrouted(r authorizer.Request, keys []string, embedded bool) string {
	note := fmt.Sprintf("no route of the table takes %s /%s: the path is without the stage, and a route without an authorizer is not in the table",
		r.Method, strings.Join(r.Path, "/"))
	meant := ""
	least := len(strings.Join(r.Path, "/"))/3 + 1
	for _, key := range keys {
		method, template, ok := strings.Cut(key, " ")
		if !ok {
			continue
		}
		if method == "ANY" {
			method = r.Method
		}
		segments := authorizer.Segments(template)
		like, distance := alike(segments, r.Path)
		if len(r.Path) > len(segments) { // the stage may stand in front, but what follows it is right then
			if like, distance = alike(segments, r.Path[1:]); distance > 0 || method != r.Method {
				like = ""
			}
		}
		distance += levenshtein.ComputeDistance(method, r.Method)
		if like != "" && distance <= least && (meant == "" || distance < least) {
			meant, least = method+" "+like, distance
		}
	}
	if meant != "" {
		note += "; did you mean " + meant + "?"
	}
	if embedded {
		note += " (the built-in policies were asked: --policies DIR asks others)"
	}
	return note
}

// alike is a path with the names of a route's template in the place of those that differ, and how far they differ; none
// for a path of another length.
func alike(template, path []string) (string, int) {
	if len(template) != len(path) {
		return "", 0
	}
	like, distance := "", 0
	for i, segment := range template {
		if strings.HasPrefix(segment, "{") {
			segment = path[i]
		}
		like += "/" + segment
		distance += levenshtein.ComputeDistance(segment, path[i])
	}
	return like, distance
}

// access is what somebody may do, and with --json the document on standard output (docs/schema/access.json).
type access struct {
	Version  string        `json:"version"`
	Revision string        `json:"revision"`
	Subject  string        `json:"subject"`
	Routes   []routeAccess `json:"routes"` // in the order of the table
}

type routeAccess struct {
	Route      string            `json:"route"`
	Allowed    bool              `json:"allowed"`
	Reason     authorizer.Reason `json:"reason"`
	Grants     []string          `json:"grants"`
	Violations []string          `json:"violations"`        // the constraints that deny
	Message    string            `json:"message,omitempty"` // why not, for people
	Depends    []string          `json:"depends,omitempty"` // parameters of the path that were not given, and that the decision may hang on
	Remedies   []string          `json:"remedies,omitempty"`
}

func (a asked) list(ctx context.Context, policy *pdp.Explainer, p authorizer.Principal, s stdio, asJSON bool) error {
	doc := access{Version: reportVersion, Revision: policy.Revision(), Subject: p.Subject, Routes: []routeAccess{}}
	unknown := map[string]bool{}
	for name := range a.params {
		unknown[name] = true
	}
	for _, route := range policy.RouteKeys() {
		in, missing, err := a.routeInput(policy, route, p, unknown)
		if err != nil {
			return err
		}
		var x explained
		if err := x.ask(ctx, policy, in); err != nil {
			return fmt.Errorf("%s: %w", route, err)
		}
		r := routeAccess{
			Route: route, Allowed: x.Decision.Allowed, Reason: x.Decision.Status.Reason, Grants: x.Decision.Grants,
			Violations: []string{}, Message: x.Decision.Status.Message,
		}
		for _, v := range x.Decision.Violations {
			if v.Denies() {
				r.Violations = append(r.Violations, v.Constraint)
			}
		}
		for _, g := range x.Grants {
			for _, c := range g.Remedy {
				if name, stands := strings.CutPrefix(c.Text, "subject {"); !stands || !slices.Contains(missing, strings.TrimSuffix(name, "}")) {
					r.Remedies = append(r.Remedies, c.Text)
				}
			}
		}
		slices.Sort(r.Remedies)
		r.Remedies = slices.Compact(r.Remedies)
		if x.ReadsPath {
			r.Depends = missing
		}
		doc.Routes = append(doc.Routes, r)
	}
	for name := range unknown {
		return misused("--param %s: no route of the table has this parameter", name)
	}
	if asJSON {
		return writeJSON(s.out, doc)
	}
	w := page{stdio: s}
	for _, r := range doc.Routes {
		if r.Allowed {
			w.line(0, "%s  %-28s %s", s.paint(green, "yes"), r.Route, strings.Join(r.Grants, ", "))
		} else {
			w.line(0, "%s   %-28s %s", s.paint(red, "no"), r.Route, r.why())
		}
		for _, name := range r.Depends {
			w.line(2, "%s", s.paint(yellow, fmt.Sprintf("may depend on {%s}: give it with --param %s=VALUE", name, name)))
		}
	}
	return w.write()
}

func (r routeAccess) why() string {
	switch {
	case r.Reason == authorizer.ConstraintViolated:
		return fmt.Sprintf("%s: %s", strings.Join(r.Violations, ", "), r.Message)
	case len(r.Remedies) > 0:
		why := "not granted: it takes one of " + strings.Join(r.Remedies, ", ")
		switch len(r.Violations) {
		case 0:
			return why
		case 1:
			return why + "; and " + r.Violations[0] + " denies"
		}
		return why + "; and " + strings.Join(r.Violations, ", ") + " deny"
	}
	return cmp.Or(r.Message, string(r.Reason))
}

// routeInput is a request for a route, with what --param says or else "{name}" in the place of its parameters; those are
// the missing ones.
func (a asked) routeInput(policy *pdp.Explainer, route string, p authorizer.Principal, unknown map[string]bool) (authorizer.Input, []string, error) {
	method, template, ok := strings.Cut(route, " ")
	if !ok { // $connect, $default
		in := authorizer.Input{Version: authorizer.InputVersion, Principal: p, Request: authorizer.Request{
			API: "local", Stage: "dev", Protocol: authorizer.HTTP, Route: route,
			Query: a.query, Headers: a.headers, SourceIP: a.sourceIP, Time: a.now,
		}}
		if route == authorizer.Connect {
			in.Request.Protocol = authorizer.WebSocket
		}
		return in, nil, nil
	}
	if method == "ANY" {
		method = "GET"
	}
	var missing []string
	path := ""
	for _, segment := range authorizer.Segments(template) {
		if name, isParam := strings.CutPrefix(segment, "{"); isParam {
			name = strings.TrimRight(name, "+}")
			if values := a.params[name]; len(values) > 0 {
				segment = values[len(values)-1]
				delete(unknown, name)
			} else {
				missing = append(missing, name)
				segment = "{" + name + "}"
			}
		}
		path += "/" + url.PathEscape(segment)
	}
	in, err := a.input(policy, method, cmp.Or(path, "/"), p)
	if err == nil && in.Request.Malformed == "" && in.Request.Route != route { // ANY beside a route of the method
		in.Request.Route = route
		in.Request.Params, _ = authorizer.Bind(template, in.Request.Path)
	}
	return in, missing, err
}
