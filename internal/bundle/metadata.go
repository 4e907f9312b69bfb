package bundle

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Disclosed are the codes by which a denied client may learn why: those whose METADATA says `disclose: true` beside the
// code. The zero value discloses nothing.
type Disclosed struct {
	Templates map[string]string   // by template, the code of its findings
	Routes    map[string][]string // by route, the codes of the grants that name it, sorted
}

// codeText is what a code may be: clients get several in one text, separated by spaces, within a JSON string that
// nothing escapes.
var codeText = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// disclosed reads the METADATA of `allow` and `violation` rules, in modules as they were parsed: compiling rewrites the
// bodies. c has the same modules compiled.
//
// What a denied client is told must be exact, so whatever leaves that open is an error with its file and line: a grant
// that does not state its routes, or a template of which some findings are disclosed and some are not.
func disclosed(modules map[string]*ast.Module, c *ast.Compiler, routes map[string]any) (Disclosed, error) {
	d := Disclosed{Templates: map[string]string{}, Routes: map[string][]string{}}
	var faults []error
	fault := func(at *ast.Location, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: "+format, append([]any{at}, args...)...))
	}
	violations := map[string][]*ast.Location{} // rules that disclose, by template
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		module := modules[name]
		for _, a := range module.Annotations {
			if _, is := a.Custom["disclose"]; is && a.Scope != "rule" {
				fault(a.Location, "METADATA: disclose belongs to one rule, and this is of scope %s", a.Scope)
			}
		}
		for _, rule := range module.Rules {
			code, err := disclosedCode(rule)
			if code == "" || err != nil {
				faults = append(faults, err)
				continue
			}
			path := rule.Ref()
			room, name := text(path[1]), text(path[2])
			if room == "admission" {
				if other, is := d.Templates[name]; is && other != code {
					fault(rule.Location, "METADATA: code %q: the template's other rule has %q, and a finding does not say whose it is", code, other)
				}
				d.Templates[name] = code
				violations[name] = append(violations[name], rule.Location)
				continue
			}
			stated := StatedRoutes(rule.Body)
			if len(stated) == 0 {
				fault(rule.Location, `METADATA: disclose: the grant does not state its routes: write input.request.route == "…", or in {"…", "…"}`)
			}
			for _, route := range stated {
				if api := object(routes[route])["api"]; api != name {
					fault(rule.Location, "METADATA: disclose: %q is no route of %s in data.routes", route, name)
				}
				d.Routes[route] = append(d.Routes[route], code)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(violations)) {
		some := violations[name]
		if all := len(c.GetRulesExact(ref("admission", name, "violation"))); len(some) < all {
			fault(some[0], "METADATA: disclose stands at %d of the %d rules violation of %s, and a finding does not say whose it is", len(some), all, name)
		}
	}
	for _, codes := range d.Routes {
		slices.Sort(codes)
	}
	return d, errors.Join(faults...)
}

// disclosedCode is the code that a rule discloses; "" is none.
func disclosedCode(rule *ast.Rule) (string, error) {
	var codes []string
	discloses := false
	for _, a := range rule.Annotations {
		if a.Scope != "rule" {
			continue
		}
		if v, is := a.Custom["disclose"]; is {
			on, ok := v.(bool)
			if !ok {
				return "", fmt.Errorf("%s: METADATA: disclose: want true or false", a.Location)
			}
			discloses = discloses || on
		}
		if v, is := a.Custom["code"]; is {
			codes = append(codes, fmt.Sprint(v))
		}
	}
	if !discloses {
		return "", nil
	}
	path := rule.Ref()
	grant := len(path) == 4 && text(path[1]) == "authz" && text(path[3]) == "allow"
	finding := len(path) == 4 && text(path[1]) == "admission" && text(path[3]) == "violation"
	if key := rule.Head.Key; grant && key != nil {
		if said, ok := key.Value.(ast.String); ok {
			codes = append(codes, string(said))
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	switch {
	case !grant && !finding:
		return "", fmt.Errorf("%s: METADATA: disclose: %s is neither a grant (authz.NAME.allow) nor a template's violation", rule.Location, path)
	case len(codes) == 0:
		return "", fmt.Errorf("%s: METADATA: disclose without a code", rule.Location)
	case len(codes) > 1:
		return "", fmt.Errorf("%s: METADATA: disclose: the rule has the codes %q: want one", rule.Location, codes)
	case !codeText.MatchString(codes[0]):
		return "", fmt.Errorf("%s: METADATA: code %q: want at most 64 letters, digits and . : _ -", rule.Location, codes[0])
	}
	return codes[0], nil
}

var routePath = ast.MustParseRef("input.request.route")

// StatedRoutes are the routes that a body requires, where it says so in so many words: input.request.route compared with
// a text, or a member of texts. Where it says so several times, the routes that all of them admit.
func StatedRoutes(body ast.Body) []string {
	var stated []string
	said := false
	for _, expr := range body {
		routes := comparedRoutes(expr)
		if routes == nil {
			continue
		}
		if !said {
			stated, said = routes, true
			continue
		}
		stated = slices.DeleteFunc(stated, func(r string) bool { return !slices.Contains(routes, r) })
	}
	slices.Sort(stated)
	return slices.Compact(stated)
}

// comparedRoutes are the routes of one expression; nil if it is no such comparison.
func comparedRoutes(expr *ast.Expr) []string {
	operands := expr.Operands()
	if expr.Negated || len(expr.With) > 0 || !expr.IsCall() || len(operands) != 2 {
		return nil
	}
	isRoute := func(t *ast.Term) bool { return t.Value.Compare(routePath) == 0 }
	switch expr.Operator().String() {
	case "equal", "eq":
		for i, t := range operands {
			if s, ok := operands[1-i].Value.(ast.String); ok && isRoute(t) {
				return []string{string(s)}
			}
		}
	case "internal.member_2":
		if isRoute(operands[0]) {
			return constants(operands[1].Value)
		}
	}
	return nil
}

// constants are the members of a set or an array of texts; nil where one is no text, or there are none.
func constants(v ast.Value) []string {
	var members []string
	other := false
	member := func(t *ast.Term) {
		s, ok := t.Value.(ast.String)
		members, other = append(members, string(s)), other || !ok
	}
	switch v := v.(type) {
	case ast.Set:
		v.Foreach(member)
	case *ast.Array:
		v.Foreach(member)
	}
	if other {
		return nil
	}
	return members
}
