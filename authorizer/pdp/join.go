package pdp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
)

// entrypointDigest names the entrypoint whose work is done here: policies/gatehouse/decision.rego and the two packages
// that it uses. A test holds it against the shipped one, and the decisions of both against each other: whoever changes
// that changes this. A policy with any other entrypoint is evaluated by its Rego.
const entrypointDigest = "c3119a220fa76ce1f69496394bf088847c34d225ae3dc55ce959cd914a7b37a5"

// plan is how the requests of one route are decided. Of the policy only the grants of the route's API and the templates
// with an instance in scope are evaluated; their sets are joined in Go, as the shipped entrypoint joins them.
type plan struct {
	constraints ast.Object // data.constraints
	instances   ast.Object // template -> constraint -> parameters, of those in scope
	settled     part       // reads only the principal and the route
	rest        part
	added       *rego.PreparedEvalQuery // what the API's package adds to an allowed request; nil is nothing
}

// part is a query for an array of sets.
type part struct {
	sets  []string // what each set is: "" the grants, else the findings of the template so called
	query rego.PreparedEvalQuery
}

// of evaluates the query. Nothing is evaluated where there is nothing to ask.
func (p part) of(q question) (*ast.Array, error) {
	if len(p.sets) == 0 {
		return ast.NewArray(), nil
	}
	value, err := q.of(p.query)
	if err != nil {
		return nil, err
	}
	sets, ok := value.(*ast.Array)
	if !ok || sets.Len() != len(p.sets) {
		return nil, errors.New("grants and findings: not the sets that were asked for")
	}
	for i, what := range p.sets {
		if _, ok := sets.Elem(i).Value.(ast.Set); !ok {
			return nil, fmt.Errorf("grants or findings %q: want a set", what)
		}
	}
	return sets, nil
}

// plans are made when they are first asked for: to prepare a query takes as long as to evaluate it, and a cold start is
// for one route.
type plans map[string]func() (*plan, error)

// planned gives the plans of a policy with the shipped entrypoint, and none for another.
func planned(ctx context.Context, loaded *bundle.Loaded, data facts) plans {
	if loaded.Entrypoint != entrypointDigest {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	settled := sync.OnceValue(func() settledRules { return settledIn(loaded.Compiler) })
	p := plans{}
	for _, route := range loaded.Routes {
		p[route] = sync.OnceValues(func() (*plan, error) {
			api, _ := data.Get(dataRef("routes", route, "api")).(ast.String)
			return newPlan(ctx, loaded, data, settled(), route, string(api), dataRef("index", "routes", route))
		})
	}
	p[elsewhere] = sync.OnceValues(func() (*plan, error) {
		return newPlan(ctx, loaded, data, settled(), elsewhere, "", dataRef("index", "otherwise"))
	})
	return p
}

// elsewhere is where requests are whose route the table lacks: nothing is granted there.
const elsewhere = ""

func (p plans) of(route string) (*plan, error) {
	if plan, ok := p[route]; ok {
		return plan()
	}
	return p[elsewhere]()
}

func newPlan(ctx context.Context, loaded *bundle.Loaded, data facts, settled settledRules, route, api string, index ast.Ref) (*plan, error) {
	instances, ok := data.Get(index).(ast.Object)
	if !ok {
		return nil, fmt.Errorf("prepare policy: %s: want an object: without it no constraint would be in scope", index)
	}
	p := &plan{constraints: object(data.Get(dataRef("constraints"))), instances: instances}
	var settledTerms, restTerms []*ast.Term
	evaluate := func(what string, set ast.Ref) {
		// Elsewhere is many routes: what was found on one does not hold on the next.
		if route != elsewhere && settled.on(route, loaded.Compiler.GetRulesExact(set)) {
			p.settled.sets, settledTerms = append(p.settled.sets, what), append(settledTerms, ast.NewTerm(set))
		} else {
			p.rest.sets, restTerms = append(p.rest.sets, what), append(restTerms, ast.NewTerm(set))
		}
	}
	if api != "" {
		evaluate("", dataRef("authz", api, "allow"))
	}
	for _, template := range p.instances.Keys() {
		name := string(template.Value.(ast.String)) // checked when the policy was loaded
		evaluate(name, dataRef("admission", name, "violation"))
	}
	var err error
	if p.settled.query, err = prepare(ctx, loaded, ast.ArrayTerm(settledTerms...)); err != nil {
		return nil, err
	}
	if p.rest.query, err = prepare(ctx, loaded, ast.ArrayTerm(restTerms...)); err != nil || api == "" {
		return p, err
	}
	var added []string
	for field, ref := range map[string]ast.Ref{
		"context": dataRef("authz", api, "context"), "usageIdentifierKey": dataRef("authz", api, "usage_identifier_key"),
	} {
		if len(loaded.Compiler.GetRules(ref)) > 0 || data.Get(ref) != nil {
			added = append(added, fmt.Sprintf("%q: [x | x := %s]", field, ref)) // undefined for some requests
		}
	}
	if len(added) > 0 {
		query, err := prepare(ctx, loaded, ast.MustParseTerm("{"+strings.Join(added, ", ")+"}"))
		p.added = &query
		return p, err
	}
	return p, nil
}

// dataRef is a reference below data.
func dataRef(path ...string) ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, step := range path {
		ref = append(ref, ast.StringTerm(step))
	}
	return ref
}

func object(v ast.Value) ast.Object {
	if o, ok := v.(ast.Object); ok {
		return o
	}
	return ast.NewObject()
}

// join is what the entrypoint does with the grants and the findings. Each set is where its part says.
func (p *plan) join(subject, route string, settled, rest *ast.Array) authorizer.Decision {
	d := authorizer.Decision{Grants: []string{}, Violations: []authorizer.Violation{}, Warnings: []string{}}
	for _, of := range []struct {
		part   part
		values *ast.Array
	}{{p.settled, settled}, {p.rest, rest}} {
		for i, what := range of.part.sets {
			of.values.Elem(i).Value.(ast.Set).Foreach(func(t *ast.Term) {
				if what != "" {
					if v := p.violation(what, t.Value); !p.excludes(v.Constraint, subject) {
						d.Violations = append(d.Violations, v)
					}
				} else if code, ok := t.Value.(ast.String); ok {
					d.Grants = append(d.Grants, string(code))
				}
			})
		}
	}
	slices.Sort(d.Grants)
	slices.SortFunc(d.Violations, func(a, b authorizer.Violation) int { // as Rego sorts objects
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Constraint, b.Constraint), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Template, b.Template))
	})
	d.Violations = slices.Compact(d.Violations)
	for _, v := range d.Violations {
		if v.Action == "warn" {
			d.Warnings = append(d.Warnings, v.Message)
		}
	}
	slices.Sort(d.Warnings)
	d.Warnings = slices.Compact(d.Warnings)

	denial := slices.IndexFunc(d.Violations, authorizer.Violation.Denies)
	switch {
	case len(d.Grants) == 0 && route == "":
		d.Status = authorizer.Status{Code: 403, Reason: authorizer.NotGranted, Message: "no grant: the request names no route"}
	case len(d.Grants) == 0:
		d.Status = authorizer.Status{Code: 403, Reason: authorizer.NotGranted, Message: "no grant for " + route}
	case denial >= 0:
		d.Status = authorizer.Status{Code: 403, Reason: authorizer.ConstraintViolated, Message: d.Violations[denial].Message}
	default:
		d.Allowed, d.Status = true, authorizer.Status{Code: 200, Reason: authorizer.Granted}
	}
	return d
}

// violation reads a finding of a template. One of another shape denies, whatever its constraint's action.
func (p *plan) violation(template string, finding ast.Value) authorizer.Violation {
	o := object(finding)
	text := func(field string) (string, bool) {
		s, ok := get(o, field).(ast.String)
		return string(s), ok
	}
	constraint, isConstraint := text("constraint")
	message, isMessage := text("message")
	mine := object(get(p.instances, template))
	if o.Len() != 2 || !isConstraint || !isMessage || get(mine, constraint) == nil {
		return authorizer.Violation{
			Constraint: constraint, Template: template, Action: "deny",
			Message: "template: a finding must be {constraint, message}, about a constraint in scope that uses the template",
		}
	}
	action := "deny"
	if given, ok := get(object(get(p.constraints, constraint)), "enforcementAction").(ast.String); ok {
		action = string(given)
	}
	return authorizer.Violation{Constraint: constraint, Template: template, Action: action, Message: message}
}

// excludes says whether a constraint's match spares a subject.
func (p *plan) excludes(constraint, subject string) bool {
	match := object(get(object(get(p.constraints, constraint)), "match"))
	spared, ok := get(match, "excludedPrincipals").(*ast.Array)
	return ok && spared.Until(func(t *ast.Term) bool { return t.Value.Compare(ast.String(subject)) == 0 })
}

// withAdded gives an allowed decision what the API's package adds for its handlers and for metering.
func withAdded(d authorizer.Decision, added ast.Value) (authorizer.Decision, error) {
	var r reader
	one := func(field string) ast.Value {
		values, ok := get(object(added), field).(*ast.Array)
		if !ok || values.Len() == 0 {
			return nil
		}
		return values.Elem(0).Value
	}
	if context := one("context"); context != nil {
		d.Context = r.texts("context", context)
	}
	if key := one("usageIdentifierKey"); key != nil {
		d.UsageIdentifierKey = r.usageKey(key)
	}
	return d, errors.Join(r.faults...)
}
