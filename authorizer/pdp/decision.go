package pdp

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/authorizer"
)

// maxItems bounds each list and each object of a decision: a record is one line of a log, which takes so much and no more.
const maxItems = 1_000

// readDecision reads the decision strictly: an unknown field, a missing one or another type is an error. All faults are
// named at once.
func readDecision(v ast.Value) (authorizer.Decision, error) {
	var r reader
	o := r.object("decision", v, "allowed", "status", "grants", "violations", "warnings", "auditAnnotations", "context", "usageIdentifierKey")
	d := authorizer.Decision{
		Allowed:          r.boolean("allowed", get(o, "allowed")),
		Grants:           r.strings("grants", get(o, "grants")),
		Violations:       r.violations(get(o, "violations")),
		Warnings:         r.strings("warnings", get(o, "warnings")),
		AuditAnnotations: r.texts("auditAnnotations", get(o, "auditAnnotations")),
		Context:          r.texts("context", get(o, "context")),
	}
	s := r.object("status", get(o, "status"), "code", "reason", "message")
	d.Status = authorizer.Status{
		Code:    r.integer("status.code", get(s, "code")),
		Reason:  authorizer.Reason(r.text("status.reason", get(s, "reason"))),
		Message: r.text("status.message", get(s, "message")),
	}
	if key := get(o, "usageIdentifierKey"); key != nil {
		d.UsageIdentifierKey = r.usageKey(key)
	}
	if err := errors.Join(r.faults...); err != nil {
		return authorizer.Decision{}, err
	}
	return d, nil
}

// fit makes a decision's texts fit for a record and a terminal, and refuses one whose verdict does not follow from the
// grants and violations beside it.
func fit(d authorizer.Decision) (authorizer.Decision, error) {
	for name, n := range map[string]int{"grants": len(d.Grants), "violations": len(d.Violations), "warnings": len(d.Warnings)} {
		if n > maxItems {
			return authorizer.Decision{}, fmt.Errorf("%s: %d: at most %d", name, n, maxItems)
		}
	}
	d.Status.Message = authorizer.Plain(d.Status.Message)
	for i, w := range d.Warnings {
		d.Warnings[i] = authorizer.Plain(w)
	}
	for i, v := range d.Violations {
		d.Violations[i] = authorizer.Violation{
			Constraint: authorizer.Plain(v.Constraint), Template: authorizer.Plain(v.Template), Action: v.Action, Message: authorizer.Plain(v.Message),
		}
	}
	for k, v := range d.AuditAnnotations {
		if authorizer.Plain(k) != k {
			return authorizer.Decision{}, errors.New("auditAnnotations: a name with control characters, or too long")
		}
		d.AuditAnnotations[k] = authorizer.Plain(v)
	}
	if want := verdict(d); d.Allowed != want.allowed || d.Status.Code != want.code || d.Status.Reason != want.reason {
		return authorizer.Decision{}, fmt.Errorf("decision: allowed %t, %d %s does not follow from %d grants and the violations",
			d.Allowed, d.Status.Code, d.Status.Reason, len(d.Grants))
	}
	return d, nil
}

type outcome struct {
	allowed bool
	code    int
	reason  authorizer.Reason
}

// verdict is the rule of design: at least one grant, and no violation but those that only warn or are tried out.
func verdict(d authorizer.Decision) outcome {
	if len(d.Grants) == 0 {
		return outcome{false, 403, authorizer.NotGranted}
	}
	for _, v := range d.Violations {
		if v.Denies() {
			return outcome{false, 403, authorizer.ConstraintViolated}
		}
	}
	return outcome{true, 200, authorizer.Granted}
}

// reader collects what is wrong with a value while it is read.
type reader struct{ faults []error }

func (r *reader) fault(name, want string, v ast.Value) {
	if v == nil {
		r.faults = append(r.faults, fmt.Errorf("%s: missing: want %s", name, want))
		return
	}
	r.faults = append(r.faults, fmt.Errorf("%s: %s: want %s", name, ast.ValueName(v), want))
}

func (r *reader) object(name string, v ast.Value, known ...string) ast.Object {
	o, ok := v.(ast.Object)
	if !ok {
		r.fault(name, "an object", v)
		return ast.NewObject()
	}
	fields := 0
	for _, k := range known {
		if get(o, k) != nil {
			fields++
		}
	}
	if fields != o.Len() {
		r.faults = append(r.faults, fmt.Errorf("%s: a field that is not one of %q", name, known))
	}
	return o
}

func (r *reader) boolean(name string, v ast.Value) bool {
	b, ok := v.(ast.Boolean)
	if !ok {
		r.fault(name, "a boolean", v)
	}
	return bool(b)
}

func (r *reader) integer(name string, v ast.Value) int {
	n, ok := v.(ast.Number)
	i, whole := n.Int()
	if !ok || !whole {
		r.fault(name, "a whole number", v)
	}
	return i
}

func (r *reader) text(name string, v ast.Value) string {
	s, ok := v.(ast.String)
	if !ok {
		r.fault(name, "a string", v)
	}
	return string(s)
}

func (r *reader) usageKey(v ast.Value) authorizer.APIKey {
	key := r.text("usageIdentifierKey", v)
	if v.Compare(ast.String("")) == 0 {
		r.faults = append(r.faults, errors.New("usageIdentifierKey: empty: leave it out"))
	}
	return authorizer.APIKey(key)
}

func (r *reader) strings(name string, v ast.Value) []string {
	a, ok := v.(*ast.Array)
	if !ok {
		r.fault(name, "an array of strings", v)
		return nil
	}
	items := make([]string, 0, a.Len())
	a.Foreach(func(t *ast.Term) { items = append(items, r.text(name, t.Value)) })
	return items
}

func (r *reader) texts(name string, v ast.Value) map[string]string {
	o, ok := v.(ast.Object)
	if !ok {
		r.fault(name, "an object of strings", v)
		return nil
	}
	if o.Len() == 0 {
		return nil
	}
	if o.Len() > maxItems {
		r.faults = append(r.faults, fmt.Errorf("%s: %d: at most %d", name, o.Len(), maxItems))
		return nil
	}
	m := make(map[string]string, o.Len())
	o.Foreach(func(k, v *ast.Term) { m[r.text(name, k.Value)] = r.text(name, v.Value) })
	return m
}

func (r *reader) violations(v ast.Value) []authorizer.Violation {
	a, ok := v.(*ast.Array)
	if !ok {
		r.fault("violations", "an array", v)
		return nil
	}
	found := make([]authorizer.Violation, 0, a.Len())
	a.Foreach(func(t *ast.Term) {
		o := r.object("violation", t.Value, "constraint", "template", "action", "message")
		found = append(found, authorizer.Violation{
			Constraint: r.text("violation.constraint", get(o, "constraint")),
			Template:   r.text("violation.template", get(o, "template")),
			Action:     r.text("violation.action", get(o, "action")),
			Message:    r.text("violation.message", get(o, "message")),
		})
	})
	return found
}

// get gives a field's value, nil where there is none.
func get(o ast.Object, field string) ast.Value {
	if t := o.Get(name(field)); t != nil {
		return t.Value
	}
	return nil
}
