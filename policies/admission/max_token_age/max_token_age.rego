# METADATA
# scope: package
# title: Maximum age of a token
# description: |
#   The token must have been issued (claim `iat`, RFC 7519 section 4.1.6) at most so many seconds before the request,
#   however long it is valid. A token from the future, by clocks that differ, is young. The time is that of the
#   request, so a replay sees the same; a time that is no RFC 3339 text is an error of the built-in, and an error
#   never allows.
# custom:
#   parameters:
#     type: object
#     required: [seconds]
#     additionalProperties: false
#     properties:
#       seconds: {type: number, minimum: 1, description: the greatest age}
package admission.max_token_age

import data.gatehouse
import future.keywords.not

# METADATA
# title: The token is too old
# description: A finding for each constraint that wants a younger token, or one that says how old it is.
# custom:
#   code: token_too_old
#   disclose: true
violation contains {"constraint": name, "message": "the token is too old"} if {
	some name, parameters in gatehouse.instances.max_token_age
	not _satisfied(parameters)
}

# Values of two types compare as well, and every text is greater than every number: so the types come first.
_satisfied(parameters) if {
	is_string(input.request.time)
	is_number(input.principal.claims.iat)
	is_number(parameters.seconds)
	time.parse_rfc3339_ns(input.request.time) <= (input.principal.claims.iat + parameters.seconds) * 1000000000
}
