# METADATA
# scope: package
# title: Require multi-factor authentication
# description: |
#   The caller must have logged in with more than one factor: the claim `acr` is one of the listed values, or the claim
#   `amr` (RFC 8176) holds "mfa". Both claims are read by name, so a record keeps them and no others.
# custom:
#   parameters:
#     type: object
#     required: [acr]
#     additionalProperties: false
#     properties:
#       acr: {type: array, minItems: 1, items: {type: string}}
package admission.require_mfa

import data.gatehouse
import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: Only one factor was used
# description: A finding for each constraint that the login behind the token does not satisfy.
violation contains {"constraint": name, "message": message} if {
	some name, c in gatehouse.applicable
	c.template == "require_mfa"
	message := _fault(c)
}

_fault(c) := "parameters: want acr, a list of strings, and nothing else" if {
	not _configured(c)
}

_fault(c) := "multi-factor authentication is required" if {
	_configured(c)
	not _satisfied(c.parameters)
}

_configured(c) if {
	shape.fields(c.parameters, {"acr"})
	shape.strings(c.parameters.acr)
	count(c.parameters.acr) > 0
}

_satisfied(parameters) if input.principal.claims.acr in parameters.acr

_satisfied(_) if {
	is_array(input.principal.claims.amr)
	"mfa" in input.principal.claims.amr
}
