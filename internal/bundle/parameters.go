package bundle

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// checkParameters holds the parameters of each constraint against the JSON Schema that its template declares as
// custom.parameters in the METADATA of its package. Templates fail closed on parameters that they do not understand; this
// says before that which of them, and why.
func checkParameters(c *ast.Compiler, data map[string]any, fault func(string, ...any)) {
	sound := map[string]bool{} // by template, whether its schema can be used
	for name, entry := range sorted(object(data["constraints"])) {
		e := object(entry)
		template, _ := e["template"].(string)
		if !isTemplate(c, template) {
			continue
		}
		parameters := e["parameters"]
		schema, declared := parametersOf(c, template)
		if !declared {
			if parameters != nil {
				fault("constraint %q: parameters: template %q declares none in its METADATA (custom.parameters)", name, template)
			}
			continue
		}
		if _, known := sound[template]; !known {
			err := checkSchema(schema)
			if sound[template] = err == nil; err != nil {
				fault("template %q: METADATA: custom.parameters: %w", template, err)
			}
		}
		if !sound[template] {
			continue
		}
		if parameters == nil {
			parameters = map[string]any{}
		}
		mismatches, err := matchSchema(parameters, schema)
		if err != nil {
			fault("template %q: METADATA: custom.parameters is not a JSON Schema: %w", template, err)
			sound[template] = false
			continue
		}
		for _, m := range append(mismatches, misfits(parameters, schema, object(data["attributes"]), "")...) {
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

// keywords are the words of JSON Schema that a template may use. Those that refer to another schema are not among them:
// the library reads files for them, and never comes back from one that refers to itself.
var keywords = []string{
	"title", "description", "type", "enum", "const", "format",
	"properties", "required", "additionalProperties", "minProperties", "maxProperties",
	"items", "minItems", "maxItems", "uniqueItems",
	"not", "allOf", "anyOf", "oneOf",
	"pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
}

// checkSchema refuses what is no object, and every word that is not one of keywords.
func checkSchema(schema any) error {
	s, ok := schema.(map[string]any)
	if !ok {
		return fmt.Errorf("is %T, want an object", schema)
	}
	for word, value := range sorted(s) {
		if !slices.Contains(keywords, word) {
			return fmt.Errorf("%q: want one of %q", word, keywords)
		}
		switch word {
		case "properties":
			for name, below := range sorted(object(value)) {
				if err := checkSchema(below); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		case "allOf", "anyOf", "oneOf":
			several, _ := value.([]any)
			for _, one := range several {
				if err := checkSchema(one); err != nil {
					return fmt.Errorf("%s: %w", word, err)
				}
			}
		case "items", "additionalProperties", "not":
			if _, isBool := value.(bool); isBool {
				continue
			}
			if err := checkSchema(value); err != nil {
				return fmt.Errorf("%s: %w", word, err)
			}
		}
	}
	return nil
}

// matchSchema says in which ways an object does not match a JSON Schema that passed checkSchema. It is OPA's own
// json.match_schema, called from Go; a policy may not call it.
func matchSchema(document, schema any) ([]string, error) {
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

// misfits names the texts that are not of the format that their schema says, for the two formats that the library does
// not know and so lets pass: "cidr", a network (RFC 4632; RFC 4291, section 2.3), and "attribute", the name of an object
// in data.attributes.
func misfits(document, schema any, attributes map[string]any, at string) []string {
	s := object(schema)
	var wrong []string
	below := func(step string, document, schema any) {
		wrong = append(wrong, misfits(document, schema, attributes, strings.TrimPrefix(at+"."+step, "."))...)
	}
	switch v := document.(type) {
	case string:
		switch s["format"] {
		case "cidr":
			if _, err := netip.ParsePrefix(v); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %q is no network in CIDR notation", at, v))
			}
		case "attribute":
			if _, ok := attributes[v].(map[string]any); !ok {
				wrong = append(wrong, fmt.Sprintf("%s: data.attributes has no object %q%s", at, v, meant(v, attributes)))
			}
		}
	case []any:
		for i, e := range v {
			below(strconv.Itoa(i), e, s["items"])
		}
	case map[string]any:
		for name, e := range sorted(v) {
			schema, named := object(s["properties"])[name]
			if !named {
				schema = s["additionalProperties"]
			}
			below(name, e, schema)
		}
	}
	return wrong
}
