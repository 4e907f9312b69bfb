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
#       attribute: {type: string, format: attribute, description: a name under data.attributes}
package admission.deny_subjects

import data.gatehouse
import future.keywords.not

# METADATA
# title: The caller is listed
# description: A finding for each constraint whose list holds the caller, or that cannot tell.
violation contains {"constraint": name, "message": "the caller is on a list of those kept out"} if {
	some name, parameters in gatehouse.instances.deny_subjects
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_object(data.attributes[parameters.attribute])
	is_string(input.principal.subject)

	# Every value's type has a name, so a remark that is `false` or null lists its subject too.
	not type_name(data.attributes[parameters.attribute][input.principal.subject])
}
