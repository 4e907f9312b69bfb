package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader/filter"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// Loaded is a bundle that passed every load-time check, compiled and ready to be prepared for evaluation.
type Loaded struct {
	Digest   string
	Compiler *ast.Compiler
	Store    storage.Store
	Routes   []string // the keys of data.routes, sorted
	Claims   Claims

	Disclosed Disclosed

	Entrypoint string // digest of the packages that make the decision: gatehouse, gatehouse.scan, gatehouse.shape
}

// Entrypoint is the reference of the rule that decides.
var Entrypoint = ast.MustParseRef("data.gatehouse.decision")

// Load compiles the bundle with the allowed built-ins and checks its shape. All faults that can be seen together are
// named together.
func (b *Bundle) Load(ctx context.Context) (*Loaded, error) {
	parsed, err := b.parse()
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	compiler := ast.NewCompiler().
		WithCapabilities(Capabilities()).
		WithStrict(true).
		WithPathConflictsCheck(func(path []string) (bool, error) { return conflicts(parsed.Data, path), nil })
	if compiler.Compile(parsed.ParsedModules("")); compiler.Failed() {
		return nil, fmt.Errorf("load policies: %w", compiler.Errors)
	}
	disclosed, disclosedErr := disclosed(parsed.ParsedModules(""), compiler, object(parsed.Data["routes"]))
	if err := errors.Join(checkShape(compiler, parsed.Data), disclosedErr); err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	parsed.Data["index"] = index(parsed.Data)
	store := inmem.NewWithOpts(inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	if err := storage.Txn(ctx, store, storage.WriteParams, func(txn storage.Transaction) error {
		return store.Write(ctx, txn, storage.ReplaceOp, storage.RootPath, parsed.Data)
	}); err != nil {
		return nil, fmt.Errorf("load policies: store data: %w", err)
	}
	return &Loaded{
		Digest:   b.Digest,
		Compiler: compiler,
		Store:    store,
		Routes:   slices.Sorted(maps.Keys(object(parsed.Data["routes"]))),
		Claims:   claimsRead(compiler),

		Disclosed: disclosed,

		Entrypoint: b.entrypoint(),
	}, nil
}

// entrypoint names the rules that make the decision out of grants and findings. A rule that anybody adds to them, in
// whatever file, changes the name.
func (b *Bundle) entrypoint() string {
	var made []file
	for _, f := range b.files {
		if slices.Contains([]string{"gatehouse", "gatehouse/scan", "gatehouse/shape"}, path.Dir(f.path)) {
			made = append(made, f)
		}
	}
	return digest(made)
}

// apart refuses a data file that could add to what another one says: who reviews a folder reviews all of its data.
func (b *Bundle) apart() error {
	var faults []error
	for i, f := range b.files {
		for _, other := range b.files[i+1:] {
			if !isData(f.path) || !isData(other.path) {
				continue
			}
			above, below := path.Dir(f.path), path.Dir(other.path)
			if len(above) > len(below) {
				above, below = below, above
			}
			if above == "." || above == below || strings.HasPrefix(below, above+"/") {
				faults = append(faults, fmt.Errorf("%s and %s: both say what stands under data.%s: keep it in one file",
					f.path, other.path, strings.ReplaceAll(strings.TrimPrefix(below, "."), "/", ".")))
			}
		}
		if dir := path.Dir(f.path); isData(f.path) && (dir == "." || dir == "constraints") {
			faults = append(faults, fmt.Errorf("%s: want a folder of its own: constraints/NAME/data.yaml, attributes/NAME/data.yaml", f.path))
		}
	}
	return errors.Join(faults...)
}

func isData(name string) bool {
	base := path.Base(name)
	return base == "data.json" || base == "data.yaml"
}

// parse reads the manifest, the modules and the data with OPA's own bundle reader, so that `opa build -b` and Gatehouse
// see the same.
func (b *Bundle) parse() (*opabundle.Bundle, error) {
	manifest, ok := b.find(".manifest")
	if !ok {
		return nil, errors.New(".manifest: missing: it must give the bundle's roots")
	}
	var m struct {
		Roots       *[]string      `json:"roots"`
		RegoVersion *int           `json:"rego_version"`
		Metadata    map[string]any `json:"metadata"`
	}
	if err := json.Unmarshal(manifest, &m, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf(".manifest: %w", err)
	}
	if m.Roots == nil || m.RegoVersion == nil || *m.RegoVersion != 1 {
		return nil, errors.New(`.manifest: want "roots" and "rego_version": 1`)
	}
	if err := b.apart(); err != nil {
		return nil, err
	}
	for _, f := range b.files {
		// OPA's decoder lets the last of two equal names win; which one the author meant cannot be known.
		if (strings.HasSuffix(f.path, ".json") || f.path == ".manifest") && !jsontext.Value(f.content).IsValid() {
			return nil, fmt.Errorf("%s: not strict JSON: a syntax error or a name given twice", f.path)
		}
		if strings.HasSuffix(f.path, ".yaml") {
			if err := plainYAML(f.content); err != nil {
				return nil, fmt.Errorf("%s: %w", f.path, err)
			}
		}
	}
	parsed, err := opabundle.NewCustomReader(&files{b.files}).
		WithSizeLimitBytes(maxFileBytes).
		WithBundleName("").
		WithCapabilities(Capabilities()).
		WithProcessAnnotations(true).
		WithRegoVersion(ast.RegoV1).
		WithLazyLoadingMode(false).
		WithSkipBundleVerification(true). // signatures are checked over the whole content, before this
		Read()
	if err != nil {
		return nil, err
	}
	return &parsed, nil
}

// files hands the bundle's files to OPA's reader.
type files struct{ left []file }

func (f *files) NextFile() (*opabundle.Descriptor, error) {
	if len(f.left) == 0 {
		return nil, io.EOF
	}
	next := f.left[0]
	f.left = f.left[1:]
	return opabundle.NewDescriptor(next.path, next.path, bytes.NewReader(next.content)), nil
}

func (f *files) WithFilter(filter.LoaderFilter) opabundle.DirectoryLoader      { return f }
func (f *files) WithPathFormat(opabundle.PathFormat) opabundle.DirectoryLoader { return f }
func (f *files) WithSizeLimitBytes(int64) opabundle.DirectoryLoader            { return f }
func (f *files) WithFollowSymlinks(bool) opabundle.DirectoryLoader             { return f }

// conflicts says whether data stands where a rule is.
func conflicts(data map[string]any, path []string) bool {
	var at any = data
	for _, step := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return at != nil
		}
		at = m[step]
	}
	return at != nil
}

// checkShape holds the bundle against what the entrypoint relies on. Each refused shape passes `opa check --strict`.
func checkShape(c *ast.Compiler, data map[string]any) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if _, ok := data["index"]; ok || hasPackage(c, "index") {
		fault("data.index: a bundle may not bring it: it is derived when the bundle is loaded")
	}
	if hasPackage(c, "system") {
		fault("package system: mask and drop rules are not supported yet: records would not follow them")
	}
	for _, name := range []string{"authz", "admission"} {
		if hasModule(c, name) {
			fault("package %s: rules belong to a folder of their own below it, whose owner reviews them", name)
		}
	}
	for _, m := range c.Modules {
		if folder, pkg := path.Dir(m.Package.Location.File), packagePath(m); folder != pkg {
			fault("%s: package %s: want the package of its folder: who reviews a folder reviews its package", m.Package.Location, strings.ReplaceAll(pkg, "/", "."))
		}
	}
	for _, name := range []string{"constraints", "routes", "attributes"} {
		if hasPackage(c, name) {
			fault("package %s: data only: rules there could change what was reviewed as data", name)
		}
	}
	if len(c.GetRulesExact(Entrypoint)) == 0 {
		fault("%s: no such rule", Entrypoint)
	}

	routes := object(data["routes"])
	if len(routes) == 0 {
		fault("data.routes: empty or not an object: make it with `gatehouse routes`")
	}
	for route, entry := range sorted(routes) {
		e := object(entry)
		api, ok := e["api"].(string)
		if !ok || len(e) != 2 || e["answer"] != "request" {
			fault(`data.routes[%q]: want {"api": NAME, "answer": "request"}`, route)
			continue
		}
		if len(c.GetRulesExact(ref("authz", api, "allow"))) == 0 {
			fault("data.routes[%q]: package authz.%s has no rule allow: nobody could ever use the route", route, api)
		}
	}
	for _, rule := range allRules(c) {
		checkRule(rule, routes, fault)
	}
	reads := checkTemplates(c, fault)

	if _, ok := data["constraints"].(map[string]any); !ok && data["constraints"] != nil {
		fault("data.constraints: not an object")
	}
	for name, entry := range sorted(object(data["constraints"])) {
		checkConstraint(c, routes, reads, name, entry, fault)
	}
	checkParameters(c, data, fault)
	return errors.Join(faults...)
}

var instances = ast.MustParseRef("data.gatehouse.instances")

// checkTemplates refuses a template that iterates the instances of another, as a copied one does: its own would have no
// effect. It gives the templates that iterate their own.
func checkTemplates(c *ast.Compiler, fault func(string, ...any)) map[string]bool {
	reads := map[string]bool{}
	for _, rule := range allRules(c) {
		room, name, _ := strings.Cut(strings.TrimPrefix(path.Dir(rule.Location.File), "/"), "/")
		if room != "admission" {
			continue
		}
		ast.WalkRefs(rule, func(r ast.Ref) bool {
			switch {
			case !r.HasPrefix(instances):
			case len(r) > len(instances) && r[len(instances)].Equal(ast.StringTerm(name)):
				reads[name] = true
			default:
				fault("%s: reads %s: a template reads its own, %s.%s", rule.Location, r.GroundPrefix(), instances, name)
			}
			return false
		})
	}
	return reads
}

// checkRule refuses rules that look as if they decided and do not.
func checkRule(rule *ast.Rule, routes map[string]any, fault func(string, ...any)) {
	path := rule.Ref()
	if len(path) != 4 {
		return
	}
	room, name := text(path[1]), text(path[3])
	want := map[string]string{"authz": "allow", "admission": "violation"}[room]
	switch {
	case want == "":
	case name == want:
		if rule.Head.RuleKind() != ast.MultiValue {
			fault("%s: %s must be a set: write `%s contains … if …`", rule.Location, path, want)
		} else if room == "admission" {
			checkFinding(rule, fault)
		} else {
			checkGrant(rule, text(path[2]), routes, fault)
		}
	case name == "deny" || name == "violation" || name == "allow":
		fault("%s: %s decides nothing here: did you mean %s?", rule.Location, path, want)
	}
}

// checkGrant refuses a grant that can never be given, since nobody asks its package about the route that it states, and
// one whose METADATA calls it otherwise than it does itself.
func checkGrant(rule *ast.Rule, api string, routes map[string]any, fault func(string, ...any)) {
	for _, route := range StatedRoutes(rule.Body) {
		if of, _ := object(routes[route])["api"].(string); of == "" {
			fault("%s: %q is no route of data.routes%s", rule.Location, route, meant(route, routes))
		} else if of != api {
			fault("%s: %q is a route of the API %s, whose package alone is asked about it", rule.Location, route, of)
		}
	}
	for _, a := range rule.Annotations {
		code, given := a.Custom["code"]
		if said, ok := rule.Head.Key.Value.(ast.String); given && ok && a.Scope == "rule" && code != string(said) {
			fault("%s: METADATA says code %v, and the rule %q", rule.Location, code, string(said))
		}
	}
}

// meant suggests the name that differs least from one that is not there.
func meant[V any](name string, there map[string]V) string {
	best, least := "", len(name)/3+1
	for _, candidate := range slices.Sorted(maps.Keys(there)) {
		if d := levenshtein.ComputeDistance(name, candidate); d > 0 && d <= least && (best == "" || d < least) {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// checkFinding refuses a finding whose fields are known when the bundle is loaded and are not constraint and message.
// The entrypoint judges those that are only known later.
func checkFinding(rule *ast.Rule, fault func(string, ...any)) {
	switch key := rule.Head.Key.Value.(type) {
	case ast.Object:
		if key.Len() != 2 || key.Get(ast.StringTerm("constraint")) == nil || key.Get(ast.StringTerm("message")) == nil {
			fault("%s: %s: a finding is {\"constraint\": NAME, \"message\": TEXT}", rule.Location, rule.Ref())
		}
	case ast.Var, ast.Ref, ast.Call:
	default:
		fault("%s: %s: a finding is {\"constraint\": NAME, \"message\": TEXT}", rule.Location, rule.Ref())
	}
}

func checkConstraint(c *ast.Compiler, routes map[string]any, reads map[string]bool, name string, entry any, fault func(string, ...any)) {
	e, ok := entry.(map[string]any)
	if !ok {
		fault("constraint %q: not an object", name)
		return
	}
	known(e, []string{"template", "enforcementAction", "match", "parameters"}, func(field string, fields []string) {
		fault("constraint %q: unknown field %q: want %s", name, field, strings.Join(fields, ", "))
	})
	template, ok := e["template"].(string)
	switch {
	case !ok:
		fault("constraint %q: template: want the name of a folder in admission/", name)
	case !isTemplate(c, template):
		fault("constraint %q: template %q: no package admission.%s with a rule violation%s", name, template, template, meant(template, templates(c)))
	case !reads[template]:
		fault("constraint %q: template %q: no rule of it reads %s.%s: it would find nothing", name, template, instances, template)
	}
	if action, given := e["enforcementAction"]; given && action != "deny" && action != "warn" && action != "dryrun" {
		fault("constraint %q: enforcementAction %q: want deny, warn or dryrun", name, fmt.Sprint(action))
	}
	if _, ok := e["parameters"].(map[string]any); !ok && e["parameters"] != nil {
		fault("constraint %q: parameters: not an object", name)
	}
	match, ok := e["match"].(map[string]any)
	if !ok && e["match"] != nil {
		fault("constraint %q: match: not an object", name)
	}
	known(match, []string{"routes", "excludedPrincipals"}, func(field string, fields []string) {
		fault("constraint %q: match: unknown field %q: want %s", name, field, strings.Join(fields, ", "))
	})
	for _, field := range []string{"routes", "excludedPrincipals"} {
		if list, given := match[field]; given && !isStrings(list) {
			fault("constraint %q: match.%s: want a list of strings", name, field)
		}
	}
	listed, _ := match["routes"].([]any)
	for _, route := range listed {
		// A misspelt route would leave the constraint without effect.
		if key, ok := route.(string); ok && routes[key] == nil {
			fault("constraint %q: match.routes: %q is no route of data.routes%s", name, key, meant(key, routes))
		}
	}
}

func isTemplate(c *ast.Compiler, name string) bool {
	return len(c.GetRulesExact(ref("admission", name, "violation"))) > 0
}

func templates(c *ast.Compiler) map[string]bool {
	found := map[string]bool{}
	for _, m := range c.Modules {
		if name, ok := strings.CutPrefix(packagePath(m), "admission/"); ok && isTemplate(c, name) {
			found[name] = true
		}
	}
	return found
}

func known(m map[string]any, fields []string, unknown func(string, []string)) {
	for field := range sorted(m) {
		if !slices.Contains(fields, field) {
			unknown(field, fields)
		}
	}
}

func isStrings(v any) bool {
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(e any) bool { _, is := e.(string); return !is })
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// sorted ranges over a map in the order of its keys, so that faults come in the same order each time.
func sorted(m map[string]any) func(func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

func ref(path ...string) ast.Ref {
	r := ast.Ref{ast.DefaultRootDocument}
	for _, p := range path {
		r = append(r, ast.StringTerm(p))
	}
	return r
}

func text(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}

// packagePath is where a module's package would stand as a folder: "authz/orders".
func packagePath(m *ast.Module) string {
	var steps []string
	for _, t := range m.Package.Path[1:] {
		steps = append(steps, text(t))
	}
	return strings.Join(steps, "/")
}

// hasModule says whether a module is of exactly this package.
func hasModule(c *ast.Compiler, name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(c.Modules)), func(m *ast.Module) bool { return packagePath(m) == name })
}

func hasPackage(c *ast.Compiler, name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(c.Modules)), func(m *ast.Module) bool {
		return len(m.Package.Path) > 1 && text(m.Package.Path[1]) == name
	})
}

func allRules(c *ast.Compiler) []*ast.Rule {
	var rules []*ast.Rule
	for _, m := range c.Modules {
		rules = append(rules, m.Rules...)
	}
	slices.SortFunc(rules, func(a, b *ast.Rule) int {
		return cmp.Or(cmp.Compare(a.Location.File, b.Location.File), cmp.Compare(a.Location.Row, b.Location.Row))
	})
	return rules
}
