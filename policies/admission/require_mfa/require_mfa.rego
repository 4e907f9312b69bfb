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
import future.keywords.not

# METADATA
# title: Only one factor was used
# description: A finding for each constraint that the login behind the token does not satisfy.
# custom:
#   code: mfa_required
#   disclose: true
violation contains {"constraint": name, "message": "multi-factor authentication is required"} if {
	some name, parameters in gatehouse.instances.require_mfa
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_array(parameters.acr)
	is_string(input.principal.claims.acr)
	input.principal.claims.acr in parameters.acr
}

_satisfied(parameters) if {
	is_array(parameters.acr)
	is_array(input.principal.claims.amr)
	"mfa" in input.principal.claims.amr
}
