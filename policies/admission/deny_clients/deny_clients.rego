# METADATA
# scope: package
# title: Deny clients
# description: |
#   The application that asked for the token must not be listed in `data.attributes`, under the name that the
#   constraint gives. As for deny_subjects, the list is an object, here by client id, and its values are remarks for
#   people. A token that names no application is none of those listed, so it passes.
# custom:
#   parameters:
#     type: object
#     required: [attribute]
#     additionalProperties: false
#     properties:
#       attribute: {type: string, format: attribute, minLength: 1, description: a name under data.attributes}
package admission.deny_clients

import data.gatehouse
import future.keywords.not

# METADATA
# title: The application is listed
# description: A finding for each constraint whose list holds the caller's application, or that cannot tell.
# custom:
#   code: client_denied
violation contains {"constraint": name, "message": "the application is on a list of those kept out"} if {
	some name, parameters in gatehouse.instances.deny_clients
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_object(data.attributes[parameters.attribute])
	is_string(input.principal.subject)
	not _kept_out(parameters.attribute)
}

# Every value's type has a name, so a remark that is `false` or null lists its client too.
_kept_out(attribute) if type_name(data.attributes[attribute][input.principal.client_id])

_kept_out(_) if type_name(input.principal.client_id) != "string"
