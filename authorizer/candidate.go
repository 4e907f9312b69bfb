package authorizer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// observation bounds what a candidate may cost an invocation. Its evaluation takes place before the answer leaves, since a
// function is frozen once it has answered.
const observation = 50 * time.Millisecond

// Candidate is a policy that is tried on what is asked and never answers. It is evaluated after the record is written,
// never in an instance's first invocation, and no more in an instance where it once took longer than 50 ms.
type Candidate struct {
	Revision string
	Policy   Policy
	Routes   Routes

	off atomic.Bool
}

// observe lets the candidate decide what was decided, and records where it says something else.
func (a *Authorizer) observe(ctx context.Context, d *draft) {
	if d.Result == nil || d.generation.Candidate == nil || d.generation.Candidate.off.Load() {
		return
	}
	c := d.generation.Candidate
	began := a.now()
	decision, err := c.decide(ctx, d)
	took := a.now().Sub(began)
	diff := Difference{
		DecisionID: d.DecisionID,
		Timestamp:  d.Timestamp,
		Labels:     d.Labels,
		Bundles:    map[string]Bundle{"gatehouse": {Revision: d.generation.Revision}, "candidate": {Revision: c.Revision}},
		Path:       DecisionPath,
		Result:     d.Result,
		Metrics:    map[string]int64{"timer_rego_query_eval_ns": took.Nanoseconds()},
	}
	if took > observation {
		c.off.Store(true)
		err = Unavailable("candidate_overrun", fmt.Errorf("%s, at most %s: off in this instance", took, observation))
	}
	if err != nil {
		e := asError(err)
		diff.Differs, diff.Error = []string{"error"}, &Failure{Code: e.Code, Message: e.detail()}
	} else if diff.Differs = differs(*d.Result, decision); diff.Differs == nil {
		return
	} else {
		diff.Candidate = &decision
	}
	_ = a.recorder.Differed(diff) // the answer stands, whatever becomes of this
}

func (c *Candidate) decide(ctx context.Context, d *draft) (decision Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Unavailable("panic", fmt.Errorf("%T at %s", p, panicSite()))
		}
	}()
	ctx, done := context.WithTimeout(ctx, observation)
	defer done()
	in := d.input
	in.Request = c.Routes.Complete(d.asked)
	in.Principal.Memo = nil // it belongs to the active policy
	if in.Request.Malformed != "" {
		return Malformed(in.Request.Malformed), nil
	}
	return c.Policy.Decide(ctx, in)
}

// differs names the fields in which two decisions differ, as the document spells them.
func differs(active, candidate Decision) []string {
	var fields []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"allowed", active.Allowed == candidate.Allowed},
		{"status", active.Status == candidate.Status},
		{"grants", slices.Equal(active.Grants, candidate.Grants)},
		{"violations", slices.Equal(active.Violations, candidate.Violations)},
		{"warnings", slices.Equal(active.Warnings, candidate.Warnings)},
		{"auditAnnotations", maps.Equal(active.AuditAnnotations, candidate.AuditAnnotations)},
		{"context", maps.Equal(active.Context, candidate.Context)},
		{"disclosed", slices.Equal(active.Disclosed, candidate.Disclosed)},
		{"usageIdentifierKey", active.UsageIdentifierKey == candidate.UsageIdentifierKey},
	} {
		if !f.same {
			fields = append(fields, f.name)
		}
	}
	return fields
}
