# METADATA
# scope: package
# title: Gatehouse
# description: |
#   Joins grants and constraints into the one decision: a grant must allow, and every constraint in scope must be
#   satisfied. Nothing here names an API, a template or a constraint, so adding one touches no line of this file.
package gatehouse

import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: Decision
# description: |
#   Always defined, for every input. Without a grant the reason is NotGranted, whatever the constraints found, as
#   authorization comes before admission; `violations` lists their findings all the same.
# entrypoint: true
decision := {
	"allowed": _allowed,
	"status": _status,
	"grants": sort(_grants),
	"violations": sort(_violations),
	"warnings": sort({v.message | some v in _violations; v.action == "warn"}),
	"auditAnnotations": {},
	"context": _context,
}

# METADATA
# title: Applicable
# description: |
#   The constraints that this request must satisfy, by name. No match, or no routes in it, means every route. Templates
#   iterate this and pick the constraints that name them. A constraint is left out only by a match that is well-formed:
#   one that is misspelt or of another type applies to every route and spares nobody.
applicable[name] := c if {
	some name, c in _constraints
	not _out_of_scope(c)
	not _excluded(c)
}

default _allowed := false

_allowed if {
	count(_grants) > 0
	count(_denials) == 0
}

_status := {"code": 200, "reason": "Granted", "message": ""} if {
	_allowed
} else := {"code": 403, "reason": "NotGranted", "message": _not_granted} if {
	count(_grants) == 0
} else := {"code": 403, "reason": "ConstraintViolated", "message": sort(_denials)[0].message}

default _not_granted := "no grant: the request names no route"

_not_granted := concat(" ", ["no grant for", input.request.route]) if is_string(input.request.route)

# Only the package of the route's own API is asked: the cost does not grow with the number of APIs.
_api := data.routes[input.request.route].api

# `allow := true` is not a set, and a code that is not a string names no grant: neither counts.
_grants contains code if {
	allow := data.authz[_api].allow
	is_set(allow)
	some code in allow
	is_string(code)
}

# What an API's package adds for its handlers: an object of strings. It is passed on as it stands, since the authorizer
# refuses a decision of another shape, while dropping a value here would hide the mistake.
default _context := {}

_context := data.authz[_api].context if _allowed

# Only the two exact words spare a request: a misspelt action denies.
_denials contains v if {
	some v in _violations
	not v.action in {"warn", "dryrun"}
}

_violations contains v if {
	some template in _templates
	some finding in _findings(template)
	_about(finding, template)
	v := {
		"constraint": finding.constraint,
		"template": template,
		"action": _action(applicable[finding.constraint]),
		"message": finding.message,
	}
}

_violations contains v if {
	some template in _templates
	some finding in _findings(template)
	not _about(finding, template)
	v := {
		"constraint": _text(finding, "constraint"),
		"template": template,
		"action": "deny",
		"message": "template: a finding must be {constraint, message}, about a constraint in scope that uses the template",
	}
}

_violations contains v if {
	some name, c in applicable
	not is_set(data.admission[c.template].violation)
	v := {
		"constraint": name,
		"template": _text(c, "template"),
		"action": "deny",
		"message": "template: missing, or its violation is not a set",
	}
}

_violations contains v if {
	type_name(data.constraints) != "object"
	v := {"constraint": "", "template": "", "action": "deny", "message": "constraints: want an object, by name"}
}

_constraints := data.constraints if is_object(data.constraints)

_templates contains c.template if some c in applicable

_findings(template) := found if {
	found := data.admission[template].violation
	is_set(found)
}

_about(finding, template) if {
	shape.fields(finding, {"constraint", "message"})
	is_string(finding.message)
	applicable[finding.constraint].template == template
}

_action(c) := c.enforcementAction if {
	is_string(c.enforcementAction)
} else := "deny"

_text(object, field) := object[field] if {
	is_string(object[field])
} else := ""

_out_of_scope(c) if {
	shape.strings(c.match.routes)
	count(c.match.routes) > 0
	not input.request.route in c.match.routes
}

_excluded(c) if {
	is_array(c.match.excludedPrincipals)
	input.principal.subject in c.match.excludedPrincipals
}
