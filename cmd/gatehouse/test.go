package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"gatehouse/internal/bundle"
)

// testTimeout bounds one Rego test.
const testTimeout = 5 * time.Second

// test loads a directory of policies as the Lambda would, then runs its Rego tests with line coverage.
func test(ctx context.Context, args []string, s stdio) error {
	f := flags("test", "[--json] DIR", s)
	policies := f.String("policies", "", "`directory` of policies (the same as DIR)")
	asJSON := f.Bool("json", false, "print the report as JSON")
	if err := parse(f, args, 1); err != nil {
		return err
	}
	dir := cmp.Or(f.Arg(0), *policies)
	if dir == "" || f.Arg(0) != "" && *policies != "" {
		return misused("want one directory of policies")
	}
	root, err := policiesIn(dir)
	if err != nil {
		return err
	}
	if err := loads(ctx, root); err != nil {
		return refused("%w", err)
	}
	report, err := runTests(ctx, dir)
	if err != nil {
		return refused("%w", err)
	}
	if err := report.print(s.out, *asJSON); err != nil {
		return err
	}
	switch {
	case report.Passed+report.Failed == 0:
		return refused("%s: no test ran", dir)
	case report.Failed > 0:
		return refused("%s: %d of %d tests failed", dir, report.Failed, report.Passed+report.Failed)
	}
	return nil
}

// loads makes the checks that the authorizer makes before it serves.
func loads(ctx context.Context, root fs.FS) error {
	content, err := bundle.Read(root)
	if err != nil {
		return err
	}
	_, err = content.Load(ctx)
	return err
}

// testReport is the outcome of a directory's tests.
type testReport struct {
	Passed    int                 `json:"passed"`
	Failed    int                 `json:"failed"`
	Skipped   int                 `json:"skipped"`  // named todo_test_…
	Coverage  float64             `json:"coverage"` // per cent of lines
	Uncovered map[string][]string `json:"uncovered,omitempty"`
	Tests     []testOutcome       `json:"tests"`
}

type testOutcome struct {
	Name    string `json:"name"`
	Place   string `json:"place"`
	Outcome string `json:"outcome"` // pass, fail, error, skip
	Error   string `json:"error,omitempty"`
	Output  string `json:"output,omitempty"`
}

func runTests(ctx context.Context, dir string) (*testReport, error) {
	modules, store, err := tester.LoadWithParserOptions([]string{dir}, notHidden, ast.ParserOptions{
		RegoVersion:       ast.RegoV1,
		Capabilities:      bundle.Capabilities(),
		ProcessAnnotation: true,
	})
	if err != nil {
		return nil, err
	}
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	covered := cover.New()
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().
			WithCapabilities(bundle.Capabilities()).
			WithStrict(true).
			WithEnablePrintStatements(true).
			WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn))).
		SetStore(store).
		SetModules(modules).
		SetTimeout(testTimeout).
		RaiseBuiltinErrors(true).
		CapturePrintOutput(true).
		SetCoverageQueryTracer(covered).
		RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	var report testReport
	for r := range results {
		report.add(r)
	}
	slices.SortFunc(report.Tests, func(a, b testOutcome) int { return cmp.Compare(a.Name, b.Name) })
	report.cover(dir, covered, modules)
	return &report, nil
}

func notHidden(_ string, info os.FileInfo, _ int) bool {
	return strings.HasPrefix(info.Name(), ".") && info.Name() != "."
}

func (t *testReport) add(r *tester.Result) {
	o := testOutcome{
		Name:    strings.TrimPrefix(r.Package, "data.") + "." + r.Name,
		Place:   fmt.Sprintf("%s:%d", r.Location.File, r.Location.Row),
		Outcome: "pass",
		Output:  string(r.Output),
	}
	switch {
	case r.Skip:
		o.Outcome = "skip"
		t.Skipped++
	case r.Error != nil:
		o.Outcome, o.Error = "error", r.Error.Error()
		t.Failed++
	case r.Fail:
		o.Outcome = "fail"
		t.Failed++
	default:
		t.Passed++
	}
	t.Tests = append(t.Tests, o)
}

// cover keeps the lines of rules that no test reached. Tests are not counted: what they leave out of themselves is no
// gap in the policy.
func (t *testReport) cover(dir string, covered *cover.Cover, modules map[string]*ast.Module) {
	rules := maps.Clone(modules)
	maps.DeleteFunc(rules, func(name string, _ *ast.Module) bool { return strings.HasSuffix(name, "_test.rego") })
	whole := covered.Report(rules)
	hit, missed := 0, 0
	t.Uncovered = map[string][]string{}
	for name := range rules {
		file := whole.Files[name]
		if file == nil {
			continue
		}
		hit += file.CoveredLines
		missed += file.NotCoveredLines
		for _, r := range file.NotCovered {
			relative, err := filepath.Rel(dir, name)
			if err != nil {
				relative = name
			}
			t.Uncovered[relative] = append(t.Uncovered[relative], fmt.Sprintf("%d-%d", r.Start.Row, r.End.Row))
		}
	}
	if hit+missed > 0 {
		t.Coverage = 100 * float64(hit) / float64(hit+missed)
	}
}

func (t *testReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(t)
	}
	var faults []error
	line := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		faults = append(faults, err)
	}
	for _, o := range t.Tests {
		if o.Outcome == "pass" {
			continue
		}
		line("%-5s %s (%s) %s", o.Outcome, o.Name, o.Place, o.Error)
		if o.Output != "" {
			line("%s", strings.TrimRight("      "+strings.ReplaceAll(o.Output, "\n", "\n      "), " \n"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Uncovered)) {
		line("no test reaches %s: %s", name, strings.Join(t.Uncovered[name], ", "))
	}
	line("%d passed, %d failed, %d skipped; %.1f %% of the lines of rules covered", t.Passed, t.Failed, t.Skipped, t.Coverage)
	return errors.Join(faults...)
}
