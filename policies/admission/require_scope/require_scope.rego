# METADATA
# scope: package
# title: Require scopes
# description: The token must carry every one of the scopes. A permission of the same name is not a scope.
# custom:
#   parameters:
#     type: object
#     required: [scopes]
#     additionalProperties: false
#     properties:
#       scopes: {type: array, minItems: 1, items: {type: string}}
package admission.require_scope

import data.gatehouse
import future.keywords.not

# METADATA
# title: Scopes are missing
# description: A finding for each constraint that the token's scopes do not satisfy.
violation contains {"constraint": name, "message": "the token lacks a required scope"} if {
	some name, parameters in gatehouse.instances.require_scope
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_array(parameters.scopes)
	count(parameters.scopes) > 0
	is_array(input.principal.scopes)
	every scope in parameters.scopes {
		scope in input.principal.scopes
	}
}
