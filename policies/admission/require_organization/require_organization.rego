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
import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: The organization is another one
# description: A finding for each constraint that does not list the organization of the token.
violation contains {"constraint": name, "message": message} if {
	some name, c in gatehouse.applicable
	c.template == "require_organization"
	message := _fault(c)
}

_fault(c) := "parameters: want organizations, a list of strings, and nothing else" if {
	not _configured(c)
}

_fault(c) := "the token's organization is not admitted" if {
	_configured(c)
	not _satisfied(c.parameters)
}

_configured(c) if {
	shape.fields(c.parameters, {"organizations"})
	shape.strings(c.parameters.organizations)
	count(c.parameters.organizations) > 0
}

_satisfied(parameters) if input.principal.organization in parameters.organizations

# Without a principal there is no token that could lack an organization.
_satisfied(_) if {
	is_string(input.principal.subject)
	not _has_organization
}

# Whatever its value: `false` and null are not the absence that passes.
_has_organization if _ = input.principal.organization
