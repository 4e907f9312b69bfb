# METADATA
# scope: package
# title: Deny subjects
# description: |
#   The caller must not be listed in `data.attributes`, under the name that the constraint gives. The list is an object
#   by subject, so that finding somebody costs the same however long it is; its values are remarks for people.
# custom:
#   parameters:
#     type: object
#     required: [attribute]
#     additionalProperties: false
#     properties:
#       attribute: {type: string, description: a name under data.attributes}
package admission.deny_subjects

import data.gatehouse
import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: The caller is listed
# description: A finding for each constraint whose list holds the caller, or that cannot tell.
violation contains {"constraint": name, "message": message} if {
	some name, c in gatehouse.applicable
	c.template == "deny_subjects"
	message := _fault(c)
}

_fault(c) := "parameters: want attribute, the name of an object in data.attributes, and nothing else" if {
	not _configured(c)
}

_fault(c) := "the caller is on a list of those kept out" if {
	_configured(c)
	not _satisfied(c.parameters)
}

_configured(c) if {
	shape.fields(c.parameters, {"attribute"})
	is_object(data.attributes[c.parameters.attribute])
}

_satisfied(parameters) if {
	is_string(input.principal.subject)
	not _listed(parameters.attribute, input.principal.subject)
}

# Whatever the remark: one that is `false` or null lists its subject too.
_listed(attribute, subject) if _ = data.attributes[attribute][subject]
