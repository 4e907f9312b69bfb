package serverless

import (
	"fmt"
	"reflect"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"gatehouse/authorizer"
)

const (
	restIdentity      = "method.request.header.Authorization"
	websocketIdentity = "route.request.header.Auth" // the framework's own default; not Authorization
	defaultTTL        = 300                         // seconds; REST API, where nothing is said (API reference, CreateAuthorizer)
)

// restAuthorizer reads an authorizer of a REST route: the name of a function (type token, cached for 300 s), or an
// object. Only functions of this file can be authorizers.
func (r *reader) restAuthorizer(n *yaml.Node, at string) *Authorizer {
	n = r.resolve(n)
	if n == nil {
		return nil
	}
	a := &Authorizer{Type: Token, TTL: defaultTTL * time.Second}
	var source string
	if isText(n) {
		a.Name = n.Value
	} else {
		o := r.fields(n, at, restAuthorizerKeys)
		a.Name = r.text(o["name"], at+".name")
		if t := r.text(o["type"], at+".type"); t != "" {
			a.Type = Type(strings.ToLower(t))
		}
		if a.Type != Token && a.Type != Request {
			r.fault(o["type"], "%s.type %q is not supported: want token or request", at, a.Type)
			return nil
		}
		a.TTL = r.ttl(o["resultTtlInSeconds"], at, defaultTTL)
		source = r.text(o["identitySource"], at+".identitySource")
		a.ValidationExpression = r.text(o["identityValidationExpression"], at+".identityValidationExpression")
		if a.ValidationExpression != "" && a.Type != Token {
			r.fault(o["identityValidationExpression"], "%s.identityValidationExpression applies to type token only", at)
		}
		if err := anchored(a.ValidationExpression); err != nil {
			r.fault(o["identityValidationExpression"], "%s.identityValidationExpression: %w", at, err)
		}
	}
	if source == "" && (a.Type == Token || a.TTL > 0) {
		source = restIdentity
	}
	if source != "" {
		a.IdentitySources = r.sources(n, at, "method.request.", "", strings.Split(source, ","))
	}
	if a.Type == Token && (len(a.IdentitySources) != 1 || a.IdentitySources[0].From != "header") {
		r.fault(n, "%s.identitySource: type token takes exactly one header", at)
	}
	a.Function = a.Name
	r.known(n, at, a.Function)
	return r.same(n, at, authorizer.REST, a)
}

// httpAuthorizers reads provider.httpApi.authorizers. What is not understood keeps its name with no authorizer, so that
// its users are not blamed for it a second time.
func (r *reader) httpAuthorizers(n *yaml.Node) map[string]*Authorizer {
	all := map[string]*Authorizer{}
	for _, e := range r.mapping(n, "provider.httpApi.authorizers") {
		for other := range all {
			if e.name != "" && other != "" && strings.EqualFold(other[:1], e.name[:1]) && other[1:] == e.name[1:] {
				r.fault(e.key, "provider.httpApi.authorizers: %s and %s have one name in CloudFormation, and are deployed as one", other, e.name)
			}
		}
		all[e.name] = r.httpAuthorizer(e)
	}
	return all
}

func (r *reader) httpAuthorizer(e entry) *Authorizer {
	at := "provider.httpApi.authorizers." + e.name
	o := r.fields(e.value, at, httpAuthorizerKeys)
	if t := r.required(o["type"], at+".type", e.key); t != string(Request) {
		if t != "" {
			r.fault(o["type"], "%s.type %q is not supported: want request", at, t)
		}
		return nil
	}
	a := &Authorizer{Name: e.name, Type: Request, PayloadVersion: "2.0"}
	if v := r.resolve(o["payloadVersion"]); v != nil {
		a.PayloadVersion = v.Value
		if v.ShortTag() != "!!str" || v.Value != "1.0" && v.Value != "2.0" {
			r.fault(v, "%s.payloadVersion: want '1.0' or '2.0', in quotes", at)
		}
	}
	a.SimpleResponses = r.boolean(o["enableSimpleResponses"], at+".enableSimpleResponses")
	if a.SimpleResponses && a.PayloadVersion != "2.0" {
		r.fault(o["enableSimpleResponses"], "%s.enableSimpleResponses needs payloadVersion '2.0'", at)
	}
	if s := r.resolve(o["identitySource"]); s != nil {
		a.IdentitySources = r.sources(s, at, "$request.", "$", r.texts(s, at+".identitySource"))
	}
	// No page states the default of an HTTP API. Where it could cache, this is the default of the REST API: whoever
	// relies on "not cached" has to say so.
	unset := 0
	if len(a.IdentitySources) > 0 {
		unset = defaultTTL
	}
	a.TTL = r.ttl(o["resultTtlInSeconds"], at, unset)
	if a.TTL > 0 && len(a.IdentitySources) == 0 {
		r.fault(o["resultTtlInSeconds"], "%s.resultTtlInSeconds: answers are cached by identitySource, and there is none", at)
	}
	a.Function = r.required(o["functionName"], at+".functionName", e.key)
	r.known(e.key, at, a.Function)
	return a
}

// httpAuthorizerUse reads an authorizer of an HTTP API route: the name of a declared one, or an object with it.
func (r *reader) httpAuthorizerUse(n *yaml.Node, at string) *Authorizer {
	n = r.resolve(n)
	if n == nil {
		return nil
	}
	name := n.Value
	if !isText(n) {
		o := r.fields(n, at, httpAuthorizerUseKeys)
		if t := r.text(o["type"], at+".type"); t != "" && t != string(Request) {
			r.fault(o["type"], "%s.type %q is not supported: want request", at, t)
			return nil
		}
		name = r.text(o["name"], at+".name")
	}
	a, declared := r.shared[name]
	if !declared {
		r.fault(n, "%s: no authorizer %q in provider.httpApi.authorizers", at, name)
	}
	return a
}

// websocketAuthorizer reads the authorizer of $connect: the name of a function, or an object with it.
func (r *reader) websocketAuthorizer(n *yaml.Node, at string) *Authorizer {
	n = r.resolve(n)
	if n == nil {
		return nil
	}
	a := &Authorizer{Name: n.Value, Type: Request}
	sources := []string{websocketIdentity}
	if !isText(n) {
		o := r.fields(n, at, websocketAuthorizerKeys)
		a.Name = r.text(o["name"], at+".name")
		if s := r.resolve(o["identitySource"]); s != nil {
			sources = r.texts(s, at+".identitySource")
		}
	}
	a.IdentitySources = r.sources(n, at, "route.request.", "", sources)
	a.Function = a.Name
	r.known(n, at, a.Function)
	return r.same(n, at, authorizer.WebSocket, a)
}

// anchored says whether an expression can only match a whole value. API Gateway does not say whether a part may match, and
// other programs that read the expression differ; anchored, it means the same to all.
func anchored(expression string) error {
	if expression == "" {
		return nil
	}
	x, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return err
	}
	if x.Op != syntax.OpConcat || x.Sub[0].Op != syntax.OpBeginText || x.Sub[len(x.Sub)-1].Op != syntax.OpEndText {
		return fmt.Errorf("%q is not anchored: want ^(...)$", expression)
	}
	return nil
}

func (r *reader) ttl(n *yaml.Node, at string, unset int) time.Duration {
	return time.Duration(r.number(n, at+".resultTtlInSeconds", unset, 0, 3600)) * time.Second
}

func (r *reader) known(n *yaml.Node, at, function string) {
	if !slices.ContainsFunc(r.functions, func(f entry) bool { return f.name == function }) {
		r.fault(n, "%s: no function %q in this file", at, function)
	}
}

// same holds an authorizer against an earlier one of its name: the framework deploys one per name and lets the last
// description win, so two that differ would leave one route with settings that nobody wrote for it.
func (r *reader) same(n *yaml.Node, at string, p authorizer.Protocol, a *Authorizer) *Authorizer {
	key := string(p) + " " + a.Name
	first, seen := r.settings[key]
	if !seen {
		r.settings[key] = a
		return a
	}
	if !reflect.DeepEqual(first, a) {
		r.fault(n, "%s: authorizer %q has other settings elsewhere in this file; one name is one authorizer", at, a.Name)
	}
	return first
}

// sources reads identity source expressions. request is the API type's prefix of what the client sends ("method.request.",
// "$request.", "route.request."), other that of what it doesn't ("", "$"). Path parameters cannot be identity sources
// (API Gateway Developer Guide, "Input to an API Gateway Lambda authorizer").
func (r *reader) sources(n *yaml.Node, at, request, other string, expressions []string) []IdentitySource {
	var all []IdentitySource
	for _, x := range expressions {
		s := IdentitySource{Expression: strings.TrimSpace(x)}
		prefix := other
		if strings.HasPrefix(s.Expression, request) {
			prefix = request
		}
		s.From, s.Name, _ = strings.Cut(strings.TrimPrefix(s.Expression, prefix), ".")
		allowed := []string{"context", "stageVariables"}
		if prefix == request {
			allowed = []string{"header", "querystring"}
		}
		if !strings.HasPrefix(s.Expression, prefix) || !slices.Contains(allowed, s.From) || s.Name == "" {
			r.fault(n, "%s.identitySource %q: want %sheader.NAME, %squerystring.NAME, %scontext.NAME or %sstageVariables.NAME", at, s.Expression, request, request, other, other)
			continue
		}
		all = append(all, s)
	}
	return all
}
