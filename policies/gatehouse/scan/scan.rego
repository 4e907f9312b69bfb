# METADATA
# scope: package
# title: Scan
# description: |
#   What an authorizer knows from its index, worked out of `data.constraints` itself: for the plain opa program.
package gatehouse.scan

import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: Instances
# description: |
#   The parameters of the constraints in scope, by template and name. A match that is misspelt or of another type
#   selects every route.
instances[template][name] := object.get(c, "parameters", {}) if {
	some name, c in _constraints
	template := c.template
	is_string(template)
	not _out_of_scope(c)
}

# METADATA
# title: Faults
# description: Violations by constraints that nothing could judge. An authorizer refuses such a policy when it loads it.
faults contains v if {
	type_name(data.constraints) != "object"
	v := {"constraint": "", "template": "", "action": "deny", "message": "constraints: want an object, by name"}
}

faults contains v if {
	some name, c in _constraints
	not _out_of_scope(c)
	not is_set(data.admission[c.template].violation)
	v := {
		"constraint": name,
		"template": _text(c, "template"),
		"action": "deny",
		"message": "template: missing, or its violation is not a set",
	}
}

_constraints := data.constraints if is_object(data.constraints)

_out_of_scope(c) if {
	shape.strings(c.match.routes)
	count(c.match.routes) > 0
	not input.request.route in c.match.routes
}

_text(object, field) := object[field] if {
	is_string(object[field])
} else := ""
