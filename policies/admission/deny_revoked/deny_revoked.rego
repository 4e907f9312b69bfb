# METADATA
# scope: package
# title: Deny revoked tokens
# description: |
#   The token must not have been revoked in `data.attributes`, under the name that the constraint gives. There stand
#   three objects, so that finding a token costs the same however long they are: `subjects` (by the claim `sub`: all
#   tokens of somebody) and `tokens` (by the claim `jti`, RFC 7519 section 4.1.7), whose values are remarks for
#   people, and `issued_before` (by `sub`, or "*" for everybody), whose values are RFC 3339 texts: what was issued
#   before then (claim `iat`) is revoked. A token without `iat` has a finding once `issued_before` has an entry for
#   its subject or for everybody. A token without `jti` is none of those listed, as nobody can take one off a signed
#   token; a `jti` that is no text has a finding once any is listed. An entry that is no RFC 3339 text is an error of
#   the built-in for those whom it is about; an error never allows.
# custom:
#   parameters:
#     type: object
#     required: [attribute]
#     additionalProperties: false
#     properties:
#       attribute: {type: string, format: attribute, minLength: 1, description: a name under data.attributes}
package admission.deny_revoked

import data.gatehouse
import future.keywords.not

# METADATA
# title: The token is revoked
# description: A finding for each constraint whose list revokes the token, or that cannot tell.
# custom:
#   code: token_revoked
#   disclose: true
violation contains {"constraint": name, "message": "the token has been revoked"} if {
	some name, parameters in gatehouse.instances.deny_revoked
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	revoked := data.attributes[parameters.attribute]
	is_object(revoked.subjects)
	is_object(revoked.tokens)
	is_object(revoked.issued_before)
	is_string(input.principal.subject)

	# Every value's type has a name, so a remark that is `false` or null revokes too.
	not type_name(revoked.subjects[input.principal.subject])
	not _listed(revoked.tokens)
	_issued_since(revoked.issued_before, input.principal.subject)
	_issued_since(revoked.issued_before, "*")
}

_listed(tokens) if type_name(tokens[input.principal.claims.jti])

_listed(tokens) if {
	count(tokens) > 0
	type_name(input.principal.claims.jti) != "string"
}

_issued_since(before, whom) if not type_name(before[whom])

_issued_since(before, whom) if {
	is_number(input.principal.claims.iat)
	input.principal.claims.iat * 1000000000 >= time.parse_rfc3339_ns(before[whom])
}
