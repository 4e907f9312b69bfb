package pdp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
)

// Limits on an explanation. What is left out is the repetition, not the reason.
const (
	inquiry    = 30 * time.Second // all evaluations for the reasons together
	search     = 10 * time.Second // likewise for what would have done
	maxWays    = 4                // bindings under which one expression is shown to fail
	maxDepth   = 8                // functions that call functions
	maxChanges = 2_000            // single changes of the input that are tried
)

// Explanation is why a policy decides as it does about one input. Places are files relative to the policies' root.
type Explanation struct {
	Decision    authorizer.Decision `json:"decision"`
	Grants      []Grant             `json:"grants"`      // all that the route could have got, in the order of their places
	Constraints []Constraint        `json:"constraints"` // all that are about this request, by name
	ReadsPath   bool                `json:"reads_path"`  // a grant or a constraint reads the path or its parameters
}

// Place is a line of a file of the policies; lines count from 1.
type Place struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// String gives FILE:LINE, as editors and terminals know it.
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Grant is one rule of the API's package that is about the request's route.
type Grant struct {
	Place
	Code   string      `json:"code"`             // where a rule works it out and gave none: its source
	Title  string      `json:"title,omitempty"`  // of the rule's METADATA
	Fired  bool        `json:"fired"`            // the request got it
	Unmet  []Condition `json:"unmet,omitempty"`  // why it did not: the first condition that nothing passed
	Remedy []Change    `json:"remedy,omitempty"` // where nothing was granted: single changes of the principal, each of which gets it
}

// Constraint is one instance that is about the request.
type Constraint struct {
	Place                      // of the instance: the line that names its template
	Name       string          `json:"name"`
	Template   string          `json:"template"`
	Title      string          `json:"title,omitempty"` // of the template's METADATA
	Rule       Place           `json:"rule,omitzero"`   // of the template: the rule that found it, or the first one
	Action     string          `json:"action"`
	Parameters json.RawMessage `json:"parameters,omitempty"` // as the template gets them, if there are any
	Messages   []string        `json:"messages,omitempty"`   // what was found; none: the constraint is satisfied
	Unmet      []Condition     `json:"unmet,omitempty"`      // the conditions behind the finding
	Saw        []Value         `json:"saw,omitempty"`        // all that the template reads of the input, where it found something
	Remedy     []Change        `json:"remedy,omitempty"`     // unless it is a dry run: single changes of the principal that satisfy it
}

// Condition is an expression of a rule that does not hold for this input; or one that does, where a `not` stands before
// the rule.
type Condition struct {
	Place
	Source string      `json:"source"` // as it stands there
	Holds  bool        `json:"holds"`
	Saw    []Value     `json:"saw,omitempty"`    // what it read
	Within []Condition `json:"within,omitempty"` // it calls a rule: why each of that rule's bodies does not hold
}

// Value is something that an expression read.
type Value struct {
	Name  string          `json:"name"`            // "input.principal.permissions", or a variable of the rule
	Value json.RawMessage `json:"value,omitempty"` // none: it is absent
	Place *Place          `json:"place,omitempty"` // of a value under data
}

// Change is one change of the principal.
type Change struct {
	Text   string `json:"text"`   // "permission delete:orders"
	Allows bool   `json:"allows"` // alone it turns the whole decision
}

// Explainer decides as a Policy does, and says why. It keeps the policy's sources and evaluates many times: it belongs to
// the command line.
type Explainer struct {
	*Policy
	content  *bundle.Bundle
	loaded   *bundle.Loaded
	titles   map[Place]string  // of rules, by the place of their head
	packages map[string]string // titles of packages, "data.admission.require_mfa"
}

// NewExplainer loads the policy content under root as [Load] does, and keeps what explanations need.
func NewExplainer(ctx context.Context, root fs.FS) (*Explainer, error) {
	content, loaded, policy, err := load(ctx, root)
	if err != nil {
		return nil, err
	}
	e := &Explainer{policy, content, loaded, map[Place]string{}, map[string]string{}}
	for _, m := range loaded.Compiler.Modules {
		for _, a := range m.Annotations {
			if a.Scope == "package" {
				e.packages[m.Package.Path.String()] = a.Title
			}
		}
		for _, r := range m.Rules {
			for _, a := range r.Annotations {
				if a.Scope == "rule" {
					e.titles[placeOf(r.Location)] = a.Title
				}
			}
		}
	}
	return e, nil
}

// RouteKeys are the routes of the policy's table, sorted.
func (e *Explainer) RouteKeys() []string { return slices.Clone(e.loaded.Routes) }

// Explain decides and gives the reasons. The error is that of [Policy.Decide], or says what the reasons could not be
// worked out of.
func (e *Explainer) Explain(ctx context.Context, in authorizer.Input) (Explanation, error) {
	decision, err := e.Decide(ctx, in)
	if err != nil {
		return Explanation{}, err
	}
	ctx, done := context.WithTimeout(ctx, inquiry)
	defer done()
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	txn, err := e.loaded.Store.NewTransaction(ctx)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain: read data: %w", err)
	}
	defer e.loaded.Store.Abort(ctx, txn)

	q := &asking{Explainer: e, ctx: ctx, in: in, value: ast.NewTerm(inputValue(in, principalValue(in.Principal))), txn: txn, cancel: cancel, decision: decision}
	x := Explanation{Decision: decision, Grants: q.grants(), Constraints: q.constraints()}
	x.ReadsPath = q.readsPath
	roles := q.roles()
	if err := errors.Join(append(q.faults, ctx.Err())...); err != nil {
		return Explanation{}, fmt.Errorf("explain: %w", err)
	}
	q.remedies(&x, roles)
	return x, nil
}

// asking is one explanation in the making. Rules are asked body by body with the compiled policy itself: what holds here
// holds in a decision.
type asking struct {
	*Explainer
	ctx       context.Context
	in        authorizer.Input
	value     *ast.Term // the input document
	txn       storage.Transaction
	cancel    topdown.Cancel
	decision  authorizer.Decision
	readsPath bool
	faults    []error
}

// solutions are the bindings under which a body holds, at most limit of them.
func (q *asking) solutions(body ast.Body, limit int) []topdown.QueryResult {
	if len(body) == 0 {
		return []topdown.QueryResult{{}}
	}
	var found []topdown.QueryResult
	enough := errors.New("enough")
	err := topdown.NewQuery(body).
		WithCompiler(q.loaded.Compiler).
		WithStore(q.loaded.Store).
		WithTransaction(q.txn).
		WithInput(q.value).
		WithTime(q.in.Request.Time).
		WithCancel(q.cancel).
		WithInterQueryBuiltinValueCache(q.patterns).
		Iter(q.ctx, func(r topdown.QueryResult) error {
			if found = append(found, r); len(found) == limit {
				return enough
			}
			return nil
		})
	// A built-in that fails is undefined here; had it mattered, there would be no decision to explain.
	if err != nil && !errors.Is(err, enough) {
		q.faults = append(q.faults, describe(err))
	}
	return found
}

func (q *asking) holds(body ast.Body) bool { return len(q.solutions(body, 1)) > 0 }

// under is a body with variables bound.
func under(bound topdown.QueryResult, body ...*ast.Expr) ast.Body {
	all := make(ast.Body, 0, len(bound)+len(body))
	for _, v := range slices.Sorted(maps.Keys(bound)) {
		all = append(all, ast.Equality.Expr(ast.NewTerm(v), bound[v]))
	}
	return append(all, body...)
}

// eval gives the value of a reference, nil where it is undefined.
func (q *asking) eval(r ast.Ref) ast.Value {
	for _, s := range q.solutions(ast.NewBody(ast.Equality.Expr(ast.VarTerm("found"), ast.NewTerm(r))), 1) {
		return s["found"].Value
	}
	return nil
}

// grants are the rules of the API's package that are about the route.
func (q *asking) grants() []Grant {
	grants := []Grant{}
	api, ok := q.facts.Get(dataRef("routes", q.in.Request.Route, "api")).(ast.String)
	if !ok {
		return grants
	}
	for _, rule := range q.rules(dataRef("authz", string(api), "allow")) {
		if !q.aboutRoute(rule) {
			continue
		}
		q.note(rule)
		g := Grant{Place: placeOf(rule.Location), Code: source(rule.Head.Key.Location), Title: q.titles[placeOf(rule.Location)]}
		if code, ok := rule.Head.Key.Value.(ast.String); ok {
			g.Code = string(code)
		}
		if found := q.solutions(rule.Body, 1); len(found) > 0 {
			g.Fired = true
			if code, ok := plug(rule.Head.Key, found[0]).Value.(ast.String); ok {
				g.Code = string(code)
			}
		} else {
			g.Unmet = q.unmet(rule.Body, nil, 0)
		}
		grants = append(grants, g)
	}
	return grants
}

// aboutRoute says whether what a rule asks of the route alone holds. A rule that asks nothing is about every route.
func (q *asking) aboutRoute(rule *ast.Rule) bool {
	generated := map[ast.Var]bool{}
	var asked ast.Body
	for _, e := range rule.Body {
		onRoute, other := false, false
		ast.WalkTerms(e, func(t *ast.Term) bool {
			switch v := t.Value.(type) {
			case ast.Ref:
				if v.HasPrefix(inputRoute) {
					onRoute = true
					return true
				}
				other = other || v[0].Equal(ast.InputRootDocument) || v[0].Equal(ast.DefaultRootDocument)
			case ast.Var:
				onRoute = onRoute || generated[v]
			}
			return false
		})
		if !onRoute || other {
			continue
		}
		maps.Copy(generated, definedBy(e))
		asked = append(asked, e)
	}
	return q.holds(asked)
}

// unmet gives the first expression of a body that nothing passes, once for each of a few bindings that lead up to it. Of
// an expression that calls rules it goes on to why those do not hold.
func (q *asking) unmet(body ast.Body, bound topdown.QueryResult, depth int) []Condition {
	start := len(bound)
	whole := under(bound, body...)
	for i := start; i < len(whole); i++ {
		if q.holds(whole[:i+1]) {
			continue
		}
		shown := whole[i]
		for _, e := range whole[i:] { // what the compiler took out of an expression stands in front of it
			if shown = e; !e.Generated {
				break
			}
		}
		var found []Condition
		said := map[string]bool{}
		for _, s := range q.solutions(whole[:i], 16*maxWays) {
			c := Condition{Place: placeOf(shown.Location), Source: source(shown.Location)}
			c.Saw = q.saw(whole, shown, s)
			if shown != whole[i] {
				c.Saw = merged(c.Saw, q.saw(whole, whole[i], s))
			}
			if depth < maxDepth {
				c.Within = q.inside(whole[i], s, depth+1)
			}
			if key := fmt.Sprint(c); !said[key] && len(found) < maxWays {
				said[key] = true
				found = append(found, c)
			}
		}
		return found
	}
	return nil
}

// inside says why an expression that does not hold does not: through the rules that it calls.
func (q *asking) inside(e *ast.Expr, bound topdown.QueryResult, depth int) []Condition {
	if len(e.With) > 0 {
		return nil // it asks about another input
	}
	if body, negated := negation(e); negated {
		return q.met(body, bound, depth)
	}
	if every, ok := e.Terms.(*ast.Every); ok {
		elements := under(bound, ast.Equality.Expr(ast.VarTerm("domain"), every.Domain),
			ast.Equality.Expr(every.Value, ast.RefTerm(ast.VarTerm("domain"), every.Key)))
		for _, s := range q.solutions(elements, 16*maxWays) {
			if !q.holds(under(s, every.Body...)) {
				return q.unmet(every.Body, s, depth)
			}
		}
		return nil
	}
	var found []Condition
	for _, call := range q.calls(e, bound) {
		for _, rule := range call.rules {
			for r := rule; r != nil; r = r.Else {
				if head := call.arguments(r); q.holds(head) { // or else it is about other arguments
					found = append(found, q.unmet(append(head, r.Body...), nil, depth)...)
				}
			}
		}
	}
	return found
}

// met says why what an expression negates holds all the same: what the rules that it calls read.
func (q *asking) met(body ast.Body, bound topdown.QueryResult, depth int) []Condition {
	var found []Condition
	for _, s := range q.solutions(under(bound, body...), 1) {
		for _, e := range body {
			for _, call := range q.calls(e, s) {
				for _, rule := range call.rules {
					head := call.arguments(rule)
					for _, inner := range q.solutions(append(slices.Clone(head), rule.Body...), 1) {
						for _, e := range rule.Body {
							if saw := q.saw(append(slices.Clone(head), rule.Body...), e, inner); !e.Generated && len(saw) > 0 && depth < maxDepth {
								found = append(found, Condition{Place: placeOf(e.Location), Source: source(e.Location), Holds: true, Saw: saw})
							}
						}
					}
				}
			}
		}
	}
	return found
}

// negation gives what `not` stands before.
func negation(e *ast.Expr) (ast.Body, bool) {
	if not, ok := e.Terms.(*ast.Not); ok {
		return not.Body, true
	}
	if e.Negated {
		return ast.NewBody(e.Complement()), true
	}
	return nil, false
}

// call is a use of rules in an expression.
type call struct {
	rules []*ast.Rule
	given []*ast.Term
}

// arguments are the expressions that bind a rule's parameters.
func (c call) arguments(r *ast.Rule) ast.Body {
	var body ast.Body
	for i, a := range r.Head.Args {
		if i < len(c.given) {
			body = append(body, ast.Equality.Expr(a, c.given[i]))
		}
	}
	return body
}

// calls are the functions that an expression calls, and the rules without a value that it refers to.
func (q *asking) calls(e *ast.Expr, bound topdown.QueryResult) []call {
	if e.IsCall() && !e.IsEquality() {
		if rules := q.rules(e.Operator()); len(rules) > 0 {
			given := make([]*ast.Term, 0, len(e.Operands()))
			for _, o := range e.Operands()[:min(len(e.Operands()), len(rules[0].Head.Args))] {
				given = append(given, plug(o, bound))
			}
			return []call{{rules, given}}
		}
	}
	var found []call
	ast.WalkRefs(e, func(r ast.Ref) bool {
		if r = r.ConstantPrefix(); len(r) > 1 && r[0].Equal(ast.DefaultRootDocument) {
			for n := len(r); n > 1; n-- {
				if rules := q.rules(r[:n]); len(rules) > 0 {
					if len(rules[0].Head.Args) == 0 {
						found = append(found, call{rules: rules})
					}
					break
				}
			}
		}
		return false
	})
	return found
}

// rules are those of exactly this path, in the order of their places.
func (q *asking) rules(r ast.Ref) []*ast.Rule {
	found := slices.Clone(q.loaded.Compiler.GetRulesExact(r))
	slices.SortFunc(found, func(a, b *ast.Rule) int {
		return cmp.Or(cmp.Compare(a.Location.File, b.Location.File), cmp.Compare(a.Location.Row, b.Location.Row))
	})
	return found
}

// saw is what an expression read, under the names that its reader sees: paths of input and data with the variables in
// them filled in, and the rule's own variables.
func (q *asking) saw(body ast.Body, e *ast.Expr, bound topdown.QueryResult) []Value {
	var found []Value
	add := func(v Value) { found = merged(found, []Value{v}) }
	if inner, negated := negation(e); negated {
		body = slices.Concat(body, inner)
		for _, s := range q.solutions(under(bound, inner...), 1) {
			bound = s
		}
	}
	// What the compiler took out of e is read in its place.
	taken := map[ast.Var]*ast.Expr{}
	for _, b := range body {
		for v := range definedBy(b) {
			taken[v] = b
		}
	}
	var walk func(t *ast.Term) bool
	walk = func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Ref:
			if root := v[0]; root.Equal(ast.InputRootDocument) || root.Equal(ast.DefaultRootDocument) {
				r, _ := plug(t, bound).Value.(ast.Ref)
				if len(r) > 1 && r.IsGround() && len(q.rules(r.ConstantPrefix())) == 0 {
					add(q.read(r))
				}
				return true
			}
			name, named := q.loaded.Compiler.RewrittenVars[headVar(v)]
			if whole := bound[headVar(v)]; named && whole != nil {
				tail, _ := plug(ast.NewTerm(v[1:]), bound).Value.(ast.Ref)
				written := q.written(append(ast.Ref{ast.NewTerm(name)}, v[1:]...), taken)
				if value, err := whole.Value.Find(tail); err == nil && value.IsGround() {
					add(Value{Name: written, Value: jsonOf(value)})
				} else if err != nil && tail.IsGround() {
					add(Value{Name: written, Place: q.origin(body, headVar(v), bound)})
				}
			}
			return true
		case ast.Var:
			switch from := taken[v]; {
			case from != nil && from.IsEquality():
				return walk(from.Operand(1))
			case from != nil:
				if value := bound[v]; value != nil {
					add(Value{Name: source(from.Location), Value: jsonOf(value.Value)})
				}
				return true
			}
			name, named := q.loaded.Compiler.RewrittenVars[v]
			if value := bound[v]; named && value != nil && value.IsGround() && !name.IsWildcard() {
				add(Value{Name: string(name), Value: jsonOf(value.Value)})
			}
		}
		return false
	}
	plain := *e
	plain.With = nil // what stands there is not read
	ast.WalkTerms(&plain, walk)
	return found
}

// written gives a reference in the words of its author, with what the compiler took out of it.
func (q *asking) written(r ast.Ref, taken map[ast.Var]*ast.Expr) string {
	spelt, err := ast.TransformVars(r.Copy(), func(v ast.Var) (ast.Value, error) {
		switch from := taken[v]; {
		case from != nil && from.IsEquality():
			return ast.Var(q.spelt(from.Operand(1), taken)), nil
		case from != nil:
			return ast.Var(source(from.Location)), nil
		}
		if name, named := q.loaded.Compiler.RewrittenVars[v]; named {
			return name, nil
		}
		return v, nil
	})
	if err != nil {
		return r.String()
	}
	return fmt.Sprint(spelt)
}

// spelt is a term as [asking.written] has it.
func (q *asking) spelt(t *ast.Term, taken map[ast.Var]*ast.Expr) string {
	if r, ok := t.Value.(ast.Ref); ok {
		return q.written(r, taken)
	}
	return t.String()
}

// origin is the place under data that a variable of a body was read from.
func (q *asking) origin(body ast.Body, v ast.Var, bound topdown.QueryResult) *Place {
	for _, e := range body {
		if e.IsEquality() && e.Operand(0).Equal(ast.NewTerm(v)) {
			if r, ok := plug(e.Operand(1), bound).Value.(ast.Ref); ok && r[0].Equal(ast.DefaultRootDocument) {
				return q.place(r)
			}
		}
	}
	return nil
}

// headVar is the variable that a reference begins with.
func headVar(r ast.Ref) ast.Var {
	v, _ := r[0].Value.(ast.Var)
	return v
}

// definedBy is the variable that stands for what the compiler took out of an expression, where e is such a part.
func definedBy(e *ast.Expr) map[ast.Var]bool {
	if !e.Generated {
		return nil
	}
	at := 0
	if !e.IsEquality() {
		at = len(e.Operands()) - 1
	}
	if t := e.Operand(at); t != nil {
		if v, ok := t.Value.(ast.Var); ok {
			return map[ast.Var]bool{v: true}
		}
	}
	return nil
}

// read is a path of input or data, with what stands there.
func (q *asking) read(r ast.Ref) Value {
	v := Value{Name: r.String()}
	if value := q.eval(r); value != nil {
		v.Value = jsonOf(value)
	}
	if r[0].Equal(ast.DefaultRootDocument) {
		v.Place = q.place(r)
	}
	return v
}

// place says where a path of data stands; of one that is absent, where it would.
func (q *asking) place(r ast.Ref) *Place {
	var steps []string
	for _, t := range r[1:] {
		steps = append(steps, text(t))
	}
	for ; len(steps) > 0; steps = steps[:len(steps)-1] {
		if file, line := q.content.Place(steps...); file != "" {
			return &Place{file, line}
		}
	}
	return nil
}

func merged(into, more []Value) []Value {
	for _, v := range more {
		if !slices.ContainsFunc(into, func(o Value) bool { return o.Name == v.Name && string(o.Value) == string(v.Value) }) {
			into = append(into, v)
		}
	}
	return into
}

// plug puts values in the place of variables.
func plug(t *ast.Term, bound topdown.QueryResult) *ast.Term {
	plugged, err := ast.TransformVars(t.Copy(), func(v ast.Var) (ast.Value, error) {
		if value := bound[v]; value != nil {
			return value.Value, nil
		}
		return v, nil
	})
	if value, ok := plugged.(ast.Value); ok && err == nil {
		return ast.NewTerm(value)
	}
	return t
}

// source is what its author wrote at a place, on one line.
func source(at *ast.Location) string { return strings.Join(strings.Fields(string(at.Text)), " ") }

func placeOf(at *ast.Location) Place { return Place{at.File, at.Row} }

// jsonOf writes a value; sets become lists, as they do in a decision.
func jsonOf(v ast.Value) json.RawMessage {
	native, err := ast.JSON(v)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(native); err == nil {
			return text
		}
	}
	return nil
}

// constraints are the instances that look at the request, as the policy itself says in data.gatehouse.instances and but
// for those that spare the principal, and whatever else was found.
func (q *asking) constraints() []Constraint {
	found := []Constraint{}
	scope := plan{constraints: object(q.facts.Get(dataRef("constraints")))}
	object(q.eval(dataRef("gatehouse", "instances"))).Foreach(func(template, instances *ast.Term) {
		object(instances.Value).Foreach(func(name, parameters *ast.Term) {
			if !scope.excludes(text(name), q.in.Principal.Subject) {
				found = append(found, q.constraint(text(name), text(template), object(parameters.Value)))
			}
		})
	})
	for _, v := range q.decision.Violations {
		if !slices.ContainsFunc(found, func(c Constraint) bool { return c.finds(v) }) {
			found = append(found, q.constraint(v.Constraint, v.Template, ast.NewObject()))
		}
	}
	slices.SortFunc(found, func(a, b Constraint) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Template, b.Template))
	})
	return found
}

// finds says whether a violation is a finding of the constraint.
func (c Constraint) finds(v authorizer.Violation) bool {
	return v.Constraint == c.Name && v.Template == c.Template
}

func (q *asking) constraint(name, template string, parameters ast.Object) Constraint {
	c := Constraint{Name: name, Template: template, Action: "deny"}
	c.File, c.Line = q.content.Place("constraints", name, "template")
	if action, ok := q.facts.Get(dataRef("constraints", name, "enforcementAction")).(ast.String); ok {
		c.Action = string(action)
	}
	if parameters.Len() > 0 {
		c.Parameters = jsonOf(parameters)
	}
	pkg := dataRef("admission", template)
	c.Title = q.packages[pkg.String()]
	rules := q.rules(pkg.Append(ast.StringTerm("violation")))
	if len(rules) > 0 {
		c.Rule = placeOf(rules[0].Location)
	}
	for _, v := range q.decision.Violations {
		if !c.finds(v) {
			continue
		}
		if c.Messages == nil {
			c.Action = v.Action // that of the instance, unless the finding is of no proper shape
		}
		c.Messages = append(c.Messages, v.Message)
	}
	for _, rule := range rules {
		q.note(rule)
		if len(c.Messages) == 0 {
			continue
		}
		for _, s := range q.solutions(rule.Body, -1) {
			if about, ok := get(object(plug(rule.Head.Key, s).Value), "constraint").(ast.String); !ok || string(about) != name {
				continue
			}
			c.Rule = placeOf(rule.Location)
			c.Unmet = append(c.Unmet, q.behind(rule.Body, s, pkg, 0)...)
		}
		for _, r := range inputsOf(q.reach(rule)) {
			c.Saw = merged(c.Saw, []Value{q.read(r)})
		}
	}
	return c
}

// behind gives what a body that holds says does not: the conditions under its `not`, also in the package's own functions
// that gave it a value, or else in those that it only asks.
func (q *asking) behind(body ast.Body, bound topdown.QueryResult, pkg ast.Ref, depth int) []Condition {
	var found, asked []Condition
	for _, e := range body {
		if inner, negated := negation(e); negated {
			for _, c := range q.unmet(inner, bound, 0) {
				c.Source = strings.TrimPrefix(c.Source, "not ")
				found = append(found, c)
			}
			continue
		}
		for _, call := range q.calls(e, bound) {
			if !call.rules[0].Module.Package.Path.Equal(pkg) || depth == maxDepth {
				continue
			}
			for _, rule := range call.rules {
				whole, gave := append(call.arguments(rule), rule.Body...), len(e.Operands()) > len(rule.Head.Args)
				if gave {
					whole = append(whole, ast.Equality.Expr(rule.Head.Value, plug(e.Operand(len(rule.Head.Args)), bound)))
				}
				for _, s := range q.solutions(whole, 1) {
					if inner := q.behind(rule.Body, s, pkg, depth+1); gave {
						found = append(found, inner...)
					} else {
						asked = append(asked, inner...)
					}
				}
			}
		}
	}
	if len(found) == 0 {
		return asked
	}
	return found
}

// reach are the rules that a rule can come to within its own package and those that it calls with arguments; itself first.
func (q *asking) reach(rule *ast.Rule) []*ast.Rule {
	found := []*ast.Rule{rule}
	for i := 0; i < len(found); i++ {
		for r := found[i]; r != nil; r = r.Else {
			ast.WalkRefs(r.Body, func(ref ast.Ref) bool {
				for _, callee := range q.loaded.Compiler.GetRulesExact(ref.ConstantPrefix()) {
					own := callee.Module.Package.Path.Equal(rule.Module.Package.Path)
					if (own || len(callee.Head.Args) > 0) && !slices.Contains(found, callee) {
						found = append(found, callee)
					}
				}
				return false
			})
		}
	}
	return found
}

// inputsOf are the paths of the input that rules read, each up to where it is known before evaluation.
func inputsOf(rules []*ast.Rule) []ast.Ref {
	var found []ast.Ref
	for _, rule := range rules {
		ast.WalkRefs(rule, func(r ast.Ref) bool {
			if r = r.ConstantPrefix(); r[0].Equal(ast.InputRootDocument) && len(r) > 1 &&
				!slices.ContainsFunc(found, func(o ast.Ref) bool { return o.Equal(r) }) {
				found = append(found, r)
			}
			return false
		})
	}
	slices.SortFunc(found, func(a, b ast.Ref) int { return a.Compare(b) })
	return found
}

// note keeps whether a rule reads the path or its parameters.
func (q *asking) note(rule *ast.Rule) {
	for _, r := range inputsOf(q.reach(rule)) {
		if len(r) == 2 && r.String() == "input.request" || len(r) > 2 && (r[2].Equal(ast.StringTerm("path")) || r[2].Equal(ast.StringTerm("params"))) {
			q.readsPath = true
		}
	}
}

// remedies tries single changes of the principal with the words that the rules and parameters in question are made of.
// Each is decided anew by the whole policy, so what is listed is so; the search ends after maxChanges, or when its time is
// up. What a dry run finds keeps nobody out and is not searched for.
func (q *asking) remedies(x *Explanation, roles []string) {
	ctx, done := context.WithTimeout(q.ctx, search)
	defer done()
	left := maxChanges
	try := func(variants []variant, met func(authorizer.Decision) bool) []Change {
		var found []Change
		for _, v := range variants {
			if left--; left < 0 || ctx.Err() != nil {
				break
			}
			if d, err := q.Decide(ctx, v.in); err == nil && met(d) {
				found = append(found, Change{v.text, d.Allowed})
			}
		}
		return found
	}
	for i, g := range x.Grants {
		if x.Decision.Status.Reason == authorizer.NotGranted {
			x.Grants[i].Remedy = try(append(q.variants(q.wordsOf(g.Place), roles), q.owners()...), func(d authorizer.Decision) bool { return slices.Contains(d.Grants, g.Code) })
		}
	}
	for i, c := range x.Constraints {
		if len(c.Messages) > 0 && c.Action != "dryrun" {
			var parameters any
			_ = json.Unmarshal(c.Parameters, &parameters) // jsonOf wrote them, or nothing
			words := append(textsIn(parameters), q.wordsOf(c.Rule)...)
			x.Constraints[i].Remedy = try(q.variants(words, roles), func(d authorizer.Decision) bool {
				return !slices.ContainsFunc(d.Violations, c.finds)
			})
		}
	}
}

// wordsOf are the texts in the rule at a place, and in the rules of its package that it comes to.
func (q *asking) wordsOf(at Place) []string {
	var words []string
	for _, m := range q.loaded.Compiler.Modules {
		for _, rule := range m.Rules {
			if placeOf(rule.Location) != at {
				continue
			}
			for _, r := range q.reach(rule) {
				ast.WalkTerms(r.Body, func(t *ast.Term) bool {
					if s, ok := t.Value.(ast.String); ok {
						words = append(words, string(s))
					}
					_, isRef := t.Value.(ast.Ref)
					return isRef
				})
			}
		}
	}
	return words
}

func textsIn(v any) []string {
	var texts []string
	switch v := v.(type) {
	case string:
		texts = append(texts, v)
	case []any:
		for _, e := range v {
			texts = append(texts, textsIn(e)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			texts = append(texts, textsIn(v[name])...)
		}
	}
	return texts
}

// roles are those that data.attributes knows.
func (q *asking) roles() []string {
	var roles []string
	for _, k := range object(q.facts.Get(dataRef("attributes", "roles"))).Keys() {
		roles = append(roles, text(k))
	}
	return roles
}

// variant is the input with one thing changed.
type variant struct {
	text string
	in   authorizer.Input
}

func (q *asking) variants(words, roles []string) []variant {
	slices.Sort(words)
	words = slices.Compact(words)
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" || w == q.in.Request.Route })
	var found []variant
	add := func(text string, change func(*authorizer.Principal)) {
		in := q.in
		change(&in.Principal)
		in.Principal.Memo = nil // it is of another principal
		found = append(found, variant{text, in})
	}
	with := func(kind string, list []string, word string, set func(*authorizer.Principal, []string)) {
		if !slices.Contains(list, word) {
			add(kind+" "+word, func(p *authorizer.Principal) { set(p, append(slices.Clone(list), word)) })
		}
	}
	p := q.in.Principal
	for _, w := range words {
		with("permission", p.Permissions, w, func(p *authorizer.Principal, l []string) { p.Permissions = l })
	}
	for _, w := range words {
		with("scope", p.Scopes, w, func(p *authorizer.Principal, l []string) { p.Scopes = l })
	}
	roles = append(slices.Clone(words), roles...)
	slices.Sort(roles)
	for _, w := range slices.Compact(roles) {
		with("role", p.Roles, w, func(p *authorizer.Principal, l []string) { p.Roles = l })
	}
	for _, w := range words {
		add("organization "+w, func(p *authorizer.Principal) { p.Organization = w })
		add("client "+w, func(p *authorizer.Principal) { p.ClientID = w })
	}
	add("no organization", func(p *authorizer.Principal) { p.Organization = "" })
	for _, name := range q.ClaimsRead().Names {
		claim := func(value any, shown string) {
			add(fmt.Sprintf("claim %s = %s", name, shown), func(p *authorizer.Principal) {
				p.Claims = maps.Clone(p.Claims)
				if p.Claims == nil {
					p.Claims = map[string]any{}
				}
				p.Claims[name] = value
			})
		}
		claim(true, "true")
		for _, w := range words {
			claim(w, fmt.Sprintf("%q", w))
			claim([]any{w}, fmt.Sprintf("[%q]", w))
		}
	}
	return found
}

// owners are the input as asked by whom a parameter of the path names: what belongs to a caller is granted to no other.
func (q *asking) owners() []variant {
	var found []variant
	for _, param := range slices.Sorted(maps.Keys(q.in.Request.Params)) {
		in := q.in
		in.Principal.Subject, in.Principal.Memo = q.in.Request.Params[param], nil
		found = append(found, variant{"subject " + in.Principal.Subject, in})
	}
	return found
}

func text(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}
