# METADATA
# scope: package
# title: Allow networks
# description: |
#   The caller's address must lie in one of the networks. The address is the one that the gateway saw; a request that
#   came without one (a TOKEN event has none) has a finding. What is no network in CIDR notation is refused when the
#   policy is loaded; under the plain opa program it is an error of the built-in, and an error never allows.
# custom:
#   parameters:
#     type: object
#     required: [cidrs]
#     additionalProperties: false
#     properties:
#       cidrs:
#         type: array
#         minItems: 1
#         items:
#           type: string
#           format: cidr
#           description: 203.0.113.0/24 or 2001:db8::/32; one address is /32 or /128
package admission.allow_networks

import data.gatehouse
import future.keywords.not

# METADATA
# title: The address is in none of the networks
# description: A finding for each constraint that lists no network with the caller's address.
# custom:
#   code: network_not_allowed
violation contains {"constraint": name, "message": "the caller's address is in none of the allowed networks"} if {
	some name, parameters in gatehouse.instances.allow_networks
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_string(input.request.source_ip)
	is_array(parameters.cidrs)
	some cidr in parameters.cidrs
	net.cidr_contains(cidr, input.request.source_ip)
}
