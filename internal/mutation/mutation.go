// Package mutation asks whether the Rego tests of a policy would notice the loss of any part of it. It makes mutants,
// copies of the policy that lack one thing each, and runs the tests on them. A mutant on which every test passes
// survives: nobody would see that thing go.
package mutation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/internal/bundle"
)

// testTimeout bounds one Rego test on one mutant. Rego ends, so it only guards against a machine that does not.
const testTimeout = time.Minute

// Mutant is a policy that lacks one thing. The zero value lacks nothing.
type Mutant struct {
	File    string `json:"file"`    // relative to the root of the policy
	Line    int    `json:"line"`    // from 1
	Without string `json:"without"` // what it lacks, as the file has it

	modules map[string]*ast.Module // in place of the policy's own
	data    map[string]any         // in place of the policy's own, if not nil
}

func (m Mutant) String() string { return fmt.Sprintf("%s:%d: without %s", m.File, m.Line, m.Without) }

// Report is the outcome of a run.
type Report struct {
	Mutants   int      `json:"mutants"`   // that compiled, and were tested
	Survivors []Mutant `json:"survivors"` // by file and line
	Stillborn []Mutant `json:"stillborn"` // likewise: those that did not compile, and so could not be tested
}

// Run makes every mutant of the policy below root and tests it. A policy whose own tests fail is an error, and so is
// one without tests, or without anything that could be left out.
func Run(ctx context.Context, root fs.FS) (Report, error) {
	p, err := load(root)
	if err != nil {
		return Report{}, fmt.Errorf("read policies: %w", err)
	}
	if err := p.countCases(ctx); err != nil {
		return Report{}, err
	}
	mutants := append(p.ruleMutants(), p.dataMutants()...)
	if len(p.folders) == 0 || len(mutants) == 0 {
		return Report{}, errors.New("no tests, or no condition and no constraint that could be left out")
	}
	return p.test(ctx, mutants)
}

// policy is what mutants are made of.
type policy struct {
	content *bundle.Bundle
	rules   map[string]*ast.Module
	tests   map[string]map[string]*ast.Module // by folder
	folders []string                          // of tests, sorted
	data    map[string]any

	mu     sync.Mutex
	killer string // the folder whose tests ended a mutant of data last
}

func load(root fs.FS) (*policy, error) {
	content, err := bundle.Read(root)
	if err != nil {
		return nil, err
	}
	hidden := func(_ string, info fs.FileInfo, depth int) bool {
		return depth > 0 && strings.HasPrefix(info.Name(), ".")
	}
	loaded, err := loader.NewFileLoader().WithFS(root).WithCapabilities(bundle.Capabilities()).Filtered([]string{"."}, hidden)
	if err != nil {
		return nil, err
	}
	p := &policy{content: content, rules: map[string]*ast.Module{}, tests: map[string]map[string]*ast.Module{}, data: loaded.Documents}
	for name, m := range loaded.ParsedModules() {
		if !strings.HasSuffix(name, "_test.rego") {
			p.rules[name] = m
			continue
		}
		folder := path.Dir(name)
		if p.tests[folder] == nil {
			p.tests[folder] = map[string]*ast.Module{}
		}
		p.tests[folder][name] = m
	}
	p.folders = slices.Sorted(maps.Keys(p.tests))
	return p, nil
}

// countCases runs the tests on the policy as it stands. Then it puts, for each test of cases (`test_x[case]`), one that
// asks whether as many cases hold as did: the tester traces a test of cases to name those that fail, which takes most of
// its time, and that some fail is all that is asked of a mutant.
func (p *policy) countCases(ctx context.Context) error {
	for _, folder := range p.folders {
		cases := map[string]int{}
		failed, err := p.fails(ctx, Mutant{}, folder, func(r *tester.Result) {
			name, _, _ := strings.Cut(r.Name, "#") // tests of one name are numbered
			cases[r.Package+"."+name] += len(r.SubResults)
		})
		if err == nil && failed != "" {
			err = fmt.Errorf("%s fails on the policy as it stands, run with the tests of its folder alone", failed)
		}
		if err != nil {
			return fmt.Errorf("test %s: %w", folder, err)
		}
		for name, m := range p.tests[folder] {
			p.tests[folder][name] = counting(m, cases)
		}
	}
	return nil
}

// counting gives a copy of a module of tests, with the tests of cases replaced as countCases says.
func counting(m *ast.Module, cases map[string]int) *ast.Module {
	m = m.Copy()
	counted := map[ast.Var]bool{}
	for _, r := range slices.Clone(m.Rules) {
		of := r.Head.Reference
		name, ok := of[0].Value.(ast.Var)
		n := cases[m.Package.Path.String()+"."+string(name)]
		if !ok || len(of) != 2 || n == 0 {
			continue
		}
		renamed := "cases_of_" + name
		of[0] = ast.NewTerm(renamed)
		r.Head.SetRef(of)
		if !counted[name] {
			counted[name] = true
			count := ast.MustParseRule(fmt.Sprintf("%s if count(%s) >= %d", name, renamed, n))
			count.Module = m
			m.Rules = append(m.Rules, count)
		}
	}
	return m
}

// ruleMutants lack a condition of a rule: one expression of one body, that of a comprehension or an `every` included,
// or one element of a literal set or array.
func (p *policy) ruleMutants() []Mutant {
	var mutants []Mutant
	for name, m := range p.rules {
		said := map[string]bool{}
		for i, e := range expressions(m) {
			if e.Equal(always) {
				continue // a rule without a body has this one
			}
			without := firstLine(e.Location.Text)
			if at := fmt.Sprint(e.Location.Offset, without); said[at] {
				without = "what is inside: " + without // `not x` is an expression with the body x
			} else {
				said[at] = true
			}
			changed := m.Copy()
			*expressions(changed)[i] = *always.Copy()
			mutants = append(mutants, Mutant{
				File: name, Line: e.Location.Row, Without: without,
				modules: map[string]*ast.Module{name: changed},
			})
		}
		for i, t := range literals(m) {
			for j, element := range elements(t) {
				changed := m.Copy()
				dropElement(literals(changed)[i], j)
				mutants = append(mutants, Mutant{
					File: name, Line: element.Location.Row, Without: fmt.Sprintf("%s in %s", element, firstLine(t.Location.Text)),
					modules: map[string]*ast.Module{name: changed},
				})
			}
		}
	}
	return mutants
}

var always = ast.NewExpr(ast.BooleanTerm(true))

// expressions are those of every body, in the order of the module, which a copy has too.
func expressions(m *ast.Module) []*ast.Expr {
	var found []*ast.Expr
	ast.WalkBodies(m, func(b ast.Body) bool {
		found = append(found, b...)
		return false
	})
	return found
}

// literals are the sets and arrays of scalars, in the order of the module.
func literals(m *ast.Module) []*ast.Term {
	var found []*ast.Term
	ast.WalkTerms(m, func(t *ast.Term) bool {
		if es := elements(t); len(es) > 0 && !slices.ContainsFunc(es, func(e *ast.Term) bool { return !ast.IsScalar(e.Value) }) {
			found = append(found, t)
		}
		return false
	})
	return found
}

func elements(t *ast.Term) []*ast.Term {
	switch v := t.Value.(type) {
	case ast.Set:
		return v.Slice()
	case *ast.Array:
		var es []*ast.Term
		v.Foreach(func(e *ast.Term) { es = append(es, e) })
		return es
	}
	return nil
}

func dropElement(t *ast.Term, i int) {
	left := slices.Delete(slices.Clone(elements(t)), i, i+1)
	if _, set := t.Value.(ast.Set); set {
		t.Value = ast.NewSet(left...)
		return
	}
	t.Value = ast.NewArray(left...)
}

func firstLine(text []byte) string {
	first, _, more := strings.Cut(string(text), "\n")
	if more {
		return first + " …"
	}
	return first
}

// dataMutants lack a constraint, or one element of a list of one.
func (p *policy) dataMutants() []Mutant {
	constraints, _ := p.data["constraints"].(map[string]any)
	var mutants []Mutant
	add := func(steps []string, without string, value any) {
		file, line := p.content.Place(steps...)
		mutants = append(mutants, Mutant{File: file, Line: line, Without: without, data: replace(p.data, steps, value).(map[string]any)})
	}
	var lists func(steps []string, at any)
	lists = func(steps []string, at any) {
		switch v := at.(type) {
		case map[string]any:
			for key, below := range v {
				lists(append(slices.Clone(steps), key), below)
			}
		case []any:
			for i, element := range v {
				add(steps, fmt.Sprintf("%v in %s", element, steps[len(steps)-1]), slices.Delete(slices.Clone(v), i, i+1))
			}
		}
	}
	for name, constraint := range constraints {
		steps := []string{"constraints", name}
		add(steps, "the constraint "+name, nil)
		lists(steps, constraint)
	}
	return mutants
}

// replace gives a copy of data with another value where the steps lead; nil is none. It shares what it leaves alone.
func replace(data any, steps []string, value any) any {
	if len(steps) == 0 {
		return value
	}
	changed := maps.Clone(data.(map[string]any))
	changed[steps[0]] = replace(changed[steps[0]], steps[1:], value)
	if len(steps) == 1 && value == nil {
		delete(changed, steps[0])
	}
	return changed
}

// test runs the tests on every mutant, as many at a time as there are processors.
func (p *policy) test(ctx context.Context, mutants []Mutant) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		report = Report{Survivors: []Mutant{}, Stillborn: []Mutant{}}
		faults []error
		mu     sync.Mutex
		wg     sync.WaitGroup
		next   = make(chan Mutant)
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for m := range next {
				end, err := p.end(ctx, m)
				mu.Lock()
				switch {
				case err != nil:
					faults = append(faults, fmt.Errorf("%s: %w", m, err))
					cancel()
				case end == survived:
					report.Survivors = append(report.Survivors, m)
					report.Mutants++
				case end == killed:
					report.Mutants++
				case end == stillborn:
					report.Stillborn = append(report.Stillborn, m)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		next <- m
	}
	close(next)
	wg.Wait()
	for _, list := range [][]Mutant{report.Survivors, report.Stillborn} {
		slices.SortFunc(list, func(a, b Mutant) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Without, b.Without))
		})
	}
	return report, errors.Join(faults...)
}

type end int

const (
	survived end = iota
	killed
	stillborn // it does not compile: what it lacks, nobody can lose unseen
)

// end runs the tests on one mutant until one fails: first those beside what was changed, which nearly always do.
func (p *policy) end(ctx context.Context, m Mutant) (end, error) {
	first := path.Dir(m.File)
	if m.data != nil {
		p.mu.Lock()
		first = p.killer
		p.mu.Unlock()
	}
	order := slices.Clone(p.folders)
	if i := slices.Index(order, first); i > 0 {
		order = slices.Insert(slices.Delete(order, i, i+1), 0, first)
	}
	for _, folder := range order {
		failed, err := p.fails(ctx, m, folder, nil)
		var uncompiled ast.Errors
		switch {
		case errors.As(err, &uncompiled):
			return stillborn, nil
		case err != nil:
			return survived, err
		case failed != "":
			if m.data != nil {
				p.mu.Lock()
				p.killer = folder
				p.mu.Unlock()
			}
			return killed, nil
		}
	}
	return survived, nil
}

// fails runs the tests of a folder on a mutant, and names one that fails; "" is none. A built-in that fails fails the
// test, as it fails a decision. Those that pass are told to passed, if it is not nil.
func (p *policy) fails(ctx context.Context, m Mutant, folder string, passed func(*tester.Result)) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	modules := maps.Clone(p.rules)
	maps.Copy(modules, m.modules)
	maps.Copy(modules, p.tests[folder])
	data := m.data
	if data == nil {
		data = p.data
	}
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return "", err
	}
	defer store.Abort(ctx, txn)
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(bundle.Capabilities()).WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn))).
		SetStore(store).
		SetModules(modules).
		SetTimeout(testTimeout).
		SetParallel(1).
		RaiseBuiltinErrors(true).
		CapturePrintOutput(false).
		RunTests(ctx, txn)
	if err != nil {
		return "", err
	}
	failed := ""
	for r := range results {
		switch {
		case r.Pass() && passed != nil:
			passed(r)
		case failed != "" || err != nil || r.Skip || r.Pass():
		case topdown.IsCancel(r.Error):
			err = r.Error
		default:
			failed = r.Package + "." + r.Name
			cancel() // the rest need not run
		}
	}
	if failed == "" && err == nil {
		err = ctx.Err()
	}
	return failed, err
}
