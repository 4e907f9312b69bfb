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
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/internal/bundle"
	"gatehouse/internal/mutation"
)

// testTimeout bounds one Rego test.
const testTimeout = 30 * time.Second

// test loads a directory of policies as the Lambda would, then runs its Rego tests with line coverage.
func test(ctx context.Context, args []string, s stdio) error {
	f := flags("test", "DIR | --policies DIR [--json]")
	policies := f.String("policies", "", "`directory` of policies (the same as DIR)")
	asJSON := f.Bool("json", false, "print the report as JSON (docs/schema/test-report.json)")
	mutate := f.Bool("mutate", false, "then leave out each condition and each constraint in turn: a test must fail each time")
	if err := parse(f, args, 1, s.out); err != nil {
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
	if *mutate && report.Passed > 0 && report.Failed == 0 {
		mutated, err := mutation.Run(ctx, root)
		if err != nil {
			return refused("%w", err)
		}
		report.Mutation = &mutated
	}
	if err := report.print(s.out, *asJSON); err != nil {
		return err
	}
	switch {
	case report.Passed+report.Failed == 0:
		return refused("%s: no test ran", dir)
	case report.Failed > 0:
		return refused("%s: %d of %d tests failed", dir, report.Failed, report.Passed+report.Failed)
	case report.Mutation != nil && len(report.Mutation.Survivors) > 0:
		return refused("%s: %d of %d mutants survived", dir, len(report.Mutation.Survivors), report.Mutation.Mutants)
	}
	return nil
}

// loads makes the checks that the authorizer makes before it serves, then asks for a decision on every route: data on
// which a built-in fails, such as a misspelt time zone, would make each request an error.
func loads(ctx context.Context, root fs.FS) error {
	content, err := bundle.Read(root)
	if err != nil {
		return err
	}
	loaded, err := content.Load(ctx)
	if err != nil {
		return err
	}
	policy, err := pdp.New(ctx, loaded)
	if err != nil {
		return err
	}
	var faults []error
	said := map[string]bool{} // a constraint on every route fails on every route
	for _, route := range loaded.Routes {
		if _, err := policy.Decide(ctx, anybody(route)); err != nil && !said[err.Error()] {
			said[err.Error()] = true
			faults = append(faults, fmt.Errorf("decide %s: %w", route, err))
		}
	}
	return errors.Join(faults...)
}

// types compiles the rules against the input's schema, so that a misspelt field of the input is found and not merely
// undefined.
func types(dir string, modules map[string]*ast.Module) error {
	content, err := os.ReadFile(filepath.Join(dir, "schema", "input.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var schema any
	if err := json.Unmarshal(content, &schema); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "schema", "input.json"), err)
	}
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, schema)
	c := ast.NewCompiler().WithCapabilities(bundle.Capabilities()).WithSchemas(schemas)
	if c.Compile(modules); c.Failed() {
		return c.Errors
	}
	return nil
}

// anybody is a complete input: somebody without any right asks for a route.
func anybody(route string) authorizer.Input {
	now := time.Now().UTC()
	return authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{
			ID: "test", API: "test", Stage: "test", Protocol: authorizer.REST, Method: "GET", Route: route,
			SourceIP: netip.MustParseAddr("203.0.113.9"), Time: now,
		},
		Principal: authorizer.Principal{
			Issuer: "https://issuer.example/", Subject: "nobody", ClientID: "test", Organization: "org_test",
			Audience: []string{}, Scopes: []string{}, Permissions: []string{}, Roles: []string{},
			ExpiresAt: now.Add(time.Hour), Claims: map[string]any{},
		},
	}
}

// testReport is the outcome of a directory's tests, and with --json the document on standard output
// (docs/schema/test-report.json). The same directory gives the same document: maps and lists are sorted, no times are in
// it, and files are named as DIR was.
type testReport struct {
	Version   string              `json:"version"`
	Passed    int                 `json:"passed"`
	Failed    int                 `json:"failed"`              // outcome fail or error
	Skipped   int                 `json:"skipped"`             // named todo_test_…
	Coverage  float64             `json:"coverage"`            // per cent of the lines of rules, 0 to 100
	Uncovered map[string][]string `json:"uncovered,omitempty"` // file: its lines, "7" or "7-9"
	Tests     []testOutcome       `json:"tests"`               // by name
	Mutation  *mutation.Report    `json:"mutation,omitempty"`  // with --mutate
}

type testOutcome struct {
	Name    string   `json:"name"`             // package and rule: "authz.orders_test.test_allow_read"
	Place   string   `json:"place"`            // file and line
	Outcome string   `json:"outcome"`          // pass, fail, error or skip
	Cases   []string `json:"cases,omitempty"`  // of test_x[case]: those that failed, by name
	Error   string   `json:"error,omitempty"`  // why there is no outcome
	Output  string   `json:"output,omitempty"` // what print() wrote
}

func runTests(ctx context.Context, dir string) (*testReport, error) {
	modules, store, err := tester.LoadWithParserOptions([]string{dir}, hidden, ast.ParserOptions{
		RegoVersion:       ast.RegoV1,
		Capabilities:      bundle.Capabilities(),
		ProcessAnnotation: true,
	})
	if err != nil {
		return nil, err
	}
	if err := types(dir, rulesOf(modules)); err != nil {
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
	report := testReport{Version: reportVersion, Tests: []testOutcome{}}
	for r := range results {
		report.add(r)
	}
	slices.SortFunc(report.Tests, func(a, b testOutcome) int { return cmp.Compare(a.Name, b.Name) })
	report.cover(covered, modules)
	return &report, nil
}

// hidden leaves out what begins with a dot, below the directory itself.
func hidden(_ string, info os.FileInfo, depth int) bool {
	return depth > 0 && strings.HasPrefix(info.Name(), ".")
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
		o.Outcome, o.Error = "error", unpacked(r.Error)
		t.Failed++
	case r.Fail:
		o.Outcome, o.Cases = "fail", failedCases(r.SubResults)
		t.Failed++
	default:
		t.Passed++
	}
	t.Tests = append(t.Tests, o)
}

// dumped is one of several errors of built-ins, as the tester of OPA prints them: the fields of a topdown.Error.
var dumped = regexp.MustCompile(`(?s)\{(\w+) (.*?) (\S+:\d+) +(?:0x[0-9a-f]+|<nil>)\}`)

// unpacked is why a test has no outcome, each reason once: "FILE:LINE: code: message (2 times)". A test with cases fails
// at the same place in each.
func unpacked(err error) string {
	times := map[string]int{}
	var reasons []string
	for _, e := range dumped.FindAllStringSubmatch(err.Error(), -1) {
		reason := fmt.Sprintf("%s: %s: %s", e[3], e[1], e[2])
		if times[reason]++; times[reason] == 1 {
			reasons = append(reasons, reason)
		}
	}
	if len(reasons) == 0 {
		return err.Error()
	}
	for i, reason := range reasons {
		if n := times[reason]; n > 1 {
			reasons[i] = fmt.Sprintf("%s (%d times)", reason, n)
		}
	}
	return strings.Join(reasons, "\n")
}

// failedCases names the failed cases of a test; a case within a case is "outer/inner".
func failedCases(cases tester.SubResultMap) []string {
	var failed []string
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		if !c.Fail {
			continue
		}
		if len(c.SubResults) == 0 {
			failed = append(failed, name)
		}
		for _, inner := range failedCases(c.SubResults) {
			failed = append(failed, name+"/"+inner)
		}
	}
	return failed
}

// cover keeps the lines of rules that no test reached. Tests are not counted: what they leave out of themselves is no
// gap in the policy.
func (t *testReport) cover(covered *cover.Cover, modules map[string]*ast.Module) {
	rules := rulesOf(modules)
	whole := covered.Report(rules)
	hit, missed := 0, 0
	t.Uncovered = map[string][]string{}
	for name := range rules {
		file := whole.Files[name]
		hit += file.CoveredLines
		missed += file.NotCoveredLines
		var lines []string
		for _, r := range file.NotCovered {
			at := strconv.Itoa(r.Start.Row)
			if r.End.Row > r.Start.Row {
				at += "-" + strconv.Itoa(r.End.Row)
			}
			lines = append(lines, at)
		}
		if len(lines) > 0 {
			t.Uncovered[name] = slices.Compact(lines) // a rule and its body may begin on one line
		}
	}
	if hit+missed > 0 {
		t.Coverage = 100 * float64(hit) / float64(hit+missed)
	}
}

// rulesOf leaves the tests out.
func rulesOf(modules map[string]*ast.Module) map[string]*ast.Module {
	rules := maps.Clone(modules)
	maps.DeleteFunc(rules, func(name string, _ *ast.Module) bool { return strings.HasSuffix(name, "_test.rego") })
	return rules
}

func (t *testReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, t)
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
		line("%s", strings.TrimSpace(fmt.Sprintf("%-5s %s (%s) %s", o.Outcome, o.Name, o.Place, strings.ReplaceAll(o.Error, "\n", "\n      "))))
		for _, c := range o.Cases {
			line("      case %s", c)
		}
		if o.Output != "" {
			line("%s", strings.TrimRight("      "+strings.ReplaceAll(o.Output, "\n", "\n      "), " \n"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Uncovered)) {
		line("no test reaches %s: %s", name, strings.Join(t.Uncovered[name], ", "))
	}
	line("%d passed, %d failed, %d skipped; %.1f %% of the lines of rules covered", t.Passed, t.Failed, t.Skipped, t.Coverage)
	if t.Mutation != nil {
		for _, m := range t.Mutation.Survivors {
			line("no test fails at %s", m)
		}
		line("%d mutants, %d survived; %d could not be left out", t.Mutation.Mutants, len(t.Mutation.Survivors), len(t.Mutation.Stillborn))
	}
	return errors.Join(faults...)
}
