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
import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: Scopes are missing
# description: A finding for each constraint that the token's scopes do not satisfy.
violation contains {"constraint": name, "message": message} if {
	some name, c in gatehouse.applicable
	c.template == "require_scope"
	message := _fault(c)
}

_fault(c) := "parameters: want scopes, a list of strings, and nothing else" if {
	not _configured(c)
}

_fault(c) := "the token lacks a required scope" if {
	_configured(c)
	not _satisfied(c.parameters)
}

_configured(c) if {
	shape.fields(c.parameters, {"scopes"})
	shape.strings(c.parameters.scopes)
	count(c.parameters.scopes) > 0
}

_satisfied(parameters) if {
	is_array(input.principal.scopes)
	every scope in parameters.scopes {
		scope in input.principal.scopes
	}
}
