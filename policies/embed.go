// Package policies is what security teams edit: an OPA bundle root of Rego and data, handled as well by the plain opa
// program, and this one Go file that embeds it.
package policies

import "embed"

// FS holds the bundle root, tests included, under slash-separated paths such as "gatehouse/decision.rego". It is what
// a deployment without a store runs. The manifest is named, since go:embed leaves out names that begin with a dot.
//
//go:embed .manifest admission attributes authz constraints gatehouse routes schema
var FS embed.FS
