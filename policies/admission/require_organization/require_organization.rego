# METADATA
# scope: package
# title: Require an organization
# description: |
#   A token of an organization must be of one of those listed. A token without an organization passes, so that machines
#   and users outside of organizations are not kept out.
# custom:
#   parameters:
#     type: object
#     required: [organizations]
#     additionalProperties: false
#     properties:
#       organizations: {type: array, minItems: 1, items: {type: string}}
package admission.require_organization

import data.gatehouse
import future.keywords.not

# METADATA
# title: The organization is another one
# description: A finding for each constraint that does not list the organization of the token.
violation contains {"constraint": name, "message": "the token's organization is not admitted"} if {
	some name, parameters in gatehouse.instances.require_organization
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_array(parameters.organizations)
	input.principal.organization in parameters.organizations
}

# Every value's type has a name, so where there is none there is no organization.
_satisfied(parameters) if {
	is_array(parameters.organizations)
	is_string(input.principal.subject)
	not type_name(input.principal.organization)
}
