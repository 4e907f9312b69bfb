# METADATA
# scope: package
# title: Gatehouse
# description: |
#   Joins grants and constraints into the one decision: a grant must allow, and every constraint in scope must be
#   satisfied. Nothing here names an API, a template or a constraint, so adding one touches no line of this file.
package gatehouse

import data.gatehouse.scan
import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: Decision
# description: |
#   Always defined, for every input. Without a grant the reason is NotGranted, whatever the constraints found, as
#   authorization comes before admission; `violations` lists their findings all the same.
# entrypoint: true
decision := object.union(_metered(status), {
	"allowed": status.code == 200,
	"status": status,
	"grants": grants,
	"violations": violations,
	"warnings": sort({v.message | some v in violations; v.action == "warn"}),
	"auditAnnotations": {},
	"context": _context(status),
}) if {
	grants := sort(_grants)
	violations := sort(_violations)
	status := _status(grants, [v.message | some v in violations; not v.action in {"warn", "dryrun"}])
}

# METADATA
# title: Instances
# description: |
#   The parameters of every constraint that looks at this request: `instances[template][constraint]`. A template
#   iterates its own. An authorizer reads them out of `data.index`, which it derives from `data.constraints` when it
#   loads them; the plain opa program, which has no such index, scans `data.constraints` on each request.
instances := found if {
	found := data.index.routes[input.request.route]
} else := found if {
	found := data.index.otherwise
} else := scan.instances

# Only the two exact words spare a request: a misspelt action denies.
_status(grants, denials) := {"code": 200, "reason": "Granted", "message": ""} if {
	count(grants) > 0
	count(denials) == 0
} else := {"code": 403, "reason": "NotGranted", "message": _not_granted} if {
	count(grants) == 0
} else := {"code": 403, "reason": "ConstraintViolated", "message": denials[0]}

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
_context(status) := data.authz[_api].context if {
	status.code == 200
} else := {}

# The API key that the request counts for, where a REST API's usage plan asks the authorizer; passed on likewise.
_metered(status) := {"usageIdentifierKey": data.authz[_api].usage_identifier_key} if {
	status.code == 200
} else := {}

_violations contains v if {
	some template, _ in instances
	found := data.admission[template].violation
	is_set(found)
	some finding in found
	v := _violation(template, finding)
	not _excluded(v.constraint)
}

_violations contains v if {
	not data.index
	some v in scan.faults
}

_violation(template, finding) := v if {
	shape.fields(finding, {"constraint", "message"})
	is_string(finding.message)
	_ = instances[template][finding.constraint]
	v := {
		"constraint": finding.constraint,
		"template": template,
		"action": _action(data.constraints[finding.constraint]),
		"message": finding.message,
	}
} else := {
	"constraint": _text(finding, "constraint"),
	"template": template,
	"action": "deny",
	"message": "template: a finding must be {constraint, message}, about a constraint in scope that uses the template",
}

_action(c) := c.enforcementAction if {
	is_string(c.enforcementAction)
} else := "deny"

_text(object, field) := object[field] if {
	is_string(object[field])
} else := ""

_excluded(name) if {
	match := data.constraints[name].match
	is_array(match.excludedPrincipals)
	input.principal.subject in match.excludedPrincipals
}
