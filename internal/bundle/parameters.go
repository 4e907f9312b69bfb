package bundle

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// checkParameters holds the parameters of each constraint against the JSON Schema that its template declares as
// custom.parameters in the METADATA of its package. Templates fail closed on parameters that they do not understand; this
// says before that which of them, and why.
func checkParameters(c *ast.Compiler, constraints map[string]any, fault func(string, ...any)) {
	for name, entry := range sorted(constraints) {
		e := object(entry)
		template, _ := e["template"].(string)
		parameters := e["parameters"]
		given := parameters != nil
		schema, declared := parametersOf(c, template)
		switch {
		case declared && !given:
			parameters = map[string]any{}
		case !declared && given:
			fault("constraint %q: parameters: template %q declares none in its METADATA (custom.parameters)", name, template)
			continue
		case !declared:
			continue
		}
		mismatches, err := matchSchema(parameters, schema)
		if err != nil {
			fault("template %q: METADATA: custom.parameters is not a JSON Schema: %w", template, err)
			continue
		}
		for _, m := range mismatches {
			fault("constraint %q: parameters: %s", name, m)
		}
	}
}

// parametersOf gives what a template's package declares.
func parametersOf(c *ast.Compiler, template string) (schema any, declared bool) {
	for _, m := range c.Modules {
		if packagePath(m) != "admission/"+template {
			continue
		}
		for _, a := range m.Annotations {
			if schema, declared := a.Custom["parameters"]; declared && a.Scope == "package" {
				return schema, true
			}
		}
	}
	return nil, false
}

// matchSchema says in which ways an object does not match a JSON Schema. It is OPA's own json.match_schema, called from
// Go; it fetches nothing that a schema refers to, and a policy may not call it.
func matchSchema(document, schema any) ([]string, error) {
	if _, ok := schema.(map[string]any); !ok {
		return nil, fmt.Errorf("is %T, want an object", schema)
	}
	var operands []*ast.Term
	for _, v := range []any{document, schema} {
		value, err := ast.InterfaceToValue(v)
		if err != nil {
			return nil, err
		}
		operands = append(operands, ast.NewTerm(value))
	}
	var mismatches []string
	match := topdown.GetBuiltin(ast.JSONMatchSchema.Name)
	err := match(topdown.BuiltinContext{Capabilities: Capabilities()}, operands, func(result *ast.Term) error {
		// [matches, [{"field": …, "desc": …}]]
		var found []struct {
			Field string `json:"field"`
			Desc  string `json:"desc"`
		}
		if err := ast.As(result.Value.(*ast.Array).Elem(1).Value, &found); err != nil {
			return err
		}
		for _, f := range found {
			mismatches = append(mismatches, f.Field+": "+f.Desc)
		}
		return nil
	})
	return mismatches, err
}
