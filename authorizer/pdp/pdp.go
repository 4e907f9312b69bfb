// Package pdp is the policy decision point: it holds one prepared policy and decides by it. It alone evaluates Rego.
//
// OPA's defaults do not fail closed; this package does. A built-in that fails is an error and not "undefined", a
// decision of another shape is an error, and what Rego calls allowed is worked out a second time in Go.
package pdp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
)

// budget bounds one decision. The sample policies need well under a millisecond. Tests that are not about it give more: a
// machine that is busy with other tests can stand still for longer.
var budget = 500 * time.Millisecond

// maxPatterns bounds the compiled patterns of regex.match and glob.match that are kept. OPA's own cache of 100 entries
// thrashes with more, and the one used here has no bound unless it is given one.
const maxPatterns = 1_000

// Policy is one immutable, prepared policy. It is safe for concurrent use.
type Policy struct {
	entrypoint rego.PreparedEvalQuery
	plans      plans // nil: the entrypoint decides
	facts      facts
	patterns   cache.InterQueryValueCache
	scratch    sync.Pool // *documents
	digest     string
	routes     authorizer.Routes
	claims     authorizer.ClaimsRead
	disclose   bundle.Disclosed
}

var _ authorizer.Policy = (*Policy)(nil)

// Load reads, checks, compiles and prepares the policy content under root.
func Load(ctx context.Context, root fs.FS) (*Policy, error) {
	_, _, policy, err := load(ctx, root)
	return policy, err
}

// load gives the policy and what it is made of.
func load(ctx context.Context, root fs.FS) (*bundle.Bundle, *bundle.Loaded, *Policy, error) {
	content, err := bundle.Read(root)
	if err != nil {
		return nil, nil, nil, err
	}
	loaded, err := content.Load(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	policy, err := New(ctx, loaded)
	return content, loaded, policy, err
}

// New prepares a policy that passed the load-time checks.
func New(ctx context.Context, loaded *bundle.Loaded) (*Policy, error) {
	routes, err := authorizer.NewRoutes(loaded.Routes)
	if err != nil {
		return nil, fmt.Errorf("prepare policy: data.routes: %w", err)
	}
	entrypoint, err := prepare(ctx, loaded, ast.NewTerm(bundle.Entrypoint))
	if err != nil {
		return nil, err
	}
	data, err := storage.ReadOne(ctx, loaded.Store, storage.RootPath)
	if err != nil {
		return nil, fmt.Errorf("prepare policy: read data: %w", err)
	}
	root, ok := data.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("prepare policy: data is %T, want a value of Rego", data)
	}
	limit := maxPatterns
	return &Policy{
		entrypoint: entrypoint,
		plans:      planned(ctx, loaded, facts{root}),
		facts:      facts{root},
		patterns: cache.NewInterQueryValueCache(ctx, &cache.Config{
			InterQueryBuiltinValueCache: cache.InterQueryBuiltinValueCacheConfig{MaxNumEntries: &limit},
		}),
		scratch:  sync.Pool{New: func() any { return newDocuments() }},
		digest:   loaded.Digest,
		routes:   routes,
		claims:   authorizer.ClaimsRead(loaded.Claims),
		disclose: loaded.Disclosed,
	}, nil
}

// prepare makes a query for one term.
func prepare(ctx context.Context, loaded *bundle.Loaded, t *ast.Term) (rego.PreparedEvalQuery, error) {
	query, err := rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(t))),
		rego.Compiler(loaded.Compiler),
		rego.Store(loaded.Store),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return query, fmt.Errorf("prepare policy: %w", err)
	}
	return query, nil
}

// Revision is the digest of the policy's content.
func (p *Policy) Revision() string { return p.digest }

// Routes is the policy's route table.
func (p *Policy) Routes() authorizer.Routes { return p.routes }

// ClaimsRead are the claims that the policy's rules read.
func (p *Policy) ClaimsRead() authorizer.ClaimsRead { return p.claims }

// Decide gives the decision of data.gatehouse.decision. The error is Unavailable with the code policy_timeout or
// policy_failed.
func (p *Policy) Decide(ctx context.Context, in authorizer.Input) (authorizer.Decision, error) {
	ctx, done := context.WithTimeout(ctx, budget)
	defer done()
	decision, err := p.decide(ctx, in)
	if err == nil {
		decision, err = fit(decision)
	}
	if err != nil {
		if errors.Is(err, errCancelled) || ctx.Err() != nil {
			return authorizer.Decision{}, authorizer.Unavailable("policy_timeout", fmt.Errorf("no decision within %s", budget))
		}
		return authorizer.Decision{}, authorizer.Unavailable("policy_failed", err)
	}
	decision.Disclosed = p.disclosed(decision, in.Request.Route)
	return decision, nil
}

func (p *Policy) decide(ctx context.Context, in authorizer.Input) (authorizer.Decision, error) {
	who := p.recall(in.Principal)
	asked := question{p, ctx, inputValue(in, who.principal), in.Request.Time}
	if p.plans == nil {
		value, err := asked.of(p.entrypoint)
		if err != nil {
			return authorizer.Decision{}, err
		}
		return readDecision(value)
	}
	plan, err := p.plans.of(in.Request.Route)
	if err != nil {
		return authorizer.Decision{}, err
	}
	settled, err := who.of(plan, asked)
	if err != nil {
		return authorizer.Decision{}, err
	}
	rest, err := plan.rest.of(asked)
	if err != nil {
		return authorizer.Decision{}, err
	}
	decision := plan.join(in.Principal.Subject, in.Request.Route, settled, rest)
	if !decision.Allowed || plan.added == nil {
		return decision, nil
	}
	added, err := asked.of(*plan.added)
	if err != nil {
		return authorizer.Decision{}, err
	}
	return withAdded(decision, added)
}

// question is one input, as it is put to each query that a decision takes.
type question struct {
	policy *Policy
	ctx    context.Context
	input  ast.Value
	time   time.Time
}

// of gives the one value of a query. Undefined, or several, is an error.
func (q question) of(query rego.PreparedEvalQuery) (ast.Value, error) {
	cancel := topdown.NewCancel()
	defer context.AfterFunc(q.ctx, cancel.Cancel)()
	scratch := q.policy.scratch.Get().(*documents)
	defer func() {
		scratch.reset()
		q.policy.scratch.Put(scratch)
	}()
	results, err := query.Eval(q.ctx,
		rego.EvalParsedInput(q.input),
		rego.EvalTime(q.time),
		rego.EvalMetrics(metrics.NoOp()),
		rego.EvalExternalCancel(cancel),
		rego.EvalInterQueryBuiltinValueCache(q.policy.patterns),
		rego.EvalVirtualCache(scratch),
		rego.EvalBaseCache(q.policy.facts),
	)
	if err != nil {
		return nil, describe(err)
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, fmt.Errorf("%d results: want exactly one", len(results))
	}
	value, ok := results[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return nil, errors.New("the result is not a Rego value")
	}
	return value, nil
}

// disclosed are the codes that a denied client may learn: without a grant those of the grants of its route, with one
// those of the templates whose findings deny. They are worked out here, from METADATA that the entrypoint cannot see,
// so a decision of the opa program lacks them.
func (p *Policy) disclosed(d authorizer.Decision, route string) []string {
	var codes []string
	switch d.Status.Reason {
	case authorizer.NotGranted:
		codes = slices.Clone(p.disclose.Routes[route])
	case authorizer.ConstraintViolated:
		for _, v := range d.Violations {
			if code, ok := p.disclose.Templates[v.Template]; ok && v.Denies() {
				codes = append(codes, code)
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

var errCancelled = errors.New("cancelled")

// describe keeps the place and the kind of an evaluation error. Its text may quote the value that a built-in was given,
// which may be a claim that no record may hold.
func describe(err error) error {
	if topdown.IsCancel(err) {
		return errCancelled
	}
	var e *topdown.Error
	if !errors.As(err, &e) {
		return errors.New("evaluation error")
	}
	if e.Location == nil {
		return errors.New(e.Code)
	}
	return fmt.Errorf("%s at %s:%d", e.Code, e.Location.File, e.Location.Row)
}
