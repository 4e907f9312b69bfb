package bundle

import (
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// allowed are the built-in functions that a policy may call. Left out is whatever reaches the network, the file system,
// the environment or randomness, and whatever can run for long or grow without bound inside one call, where no deadline
// reaches it. print is compiled away; internal.test_case only serves tests. capabilities.json is this list for the plain program: `opa check --capabilities`.
var allowed = []string{
	"abs", "all", "and", "any", "array.concat", "array.flatten", "array.reverse", "array.slice", "assign",
	"base64.decode", "base64url.decode", "base64url.encode_no_pad",
	"ceil", "concat", "contains", "count", "div", "endswith", "eq", "equal", "floor",
	"glob.match", "graph.reachable", "gt", "gte", "hex.decode",
	"indexof", "internal.member_2", "internal.member_3", "internal.print", "internal.template_string", "internal.test_case", "intersection",
	"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string",
	"json.filter", "json.marshal", "json.remove", "json.unmarshal",
	"lower", "lt", "lte", "max", "min", "minus", "mul", "neq", "net.cidr_contains",
	"object.filter", "object.get", "object.keys", "object.remove", "object.subset", "object.union", "object.union_n",
	"or", "plus", "print", "product", "regex.match", "rego.metadata.chain", "rego.metadata.rule", "rem", "replace", "round",
	"semver.compare", "semver.is_valid", "sort", "split", "sprintf", "startswith", "strings.any_prefix_match",
	"strings.any_suffix_match", "strings.count", "strings.reverse", "substring", "sum",
	"time.add_date", "time.clock", "time.date", "time.diff", "time.format", "time.now_ns", "time.parse_duration_ns",
	"time.parse_rfc3339_ns", "time.weekday", "to_number", "trim", "trim_left", "trim_prefix", "trim_right", "trim_space",
	"trim_suffix", "type_name", "union", "upper", "urlquery.decode", "walk",
}

// Capabilities are what a policy may use: the allowed built-ins, every future keyword, no network host.
var Capabilities = sync.OnceValue(func() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		return !slices.Contains(allowed, b.Name)
	})
	caps.AllowNet = []string{} // nil would mean any host
	return caps
})
