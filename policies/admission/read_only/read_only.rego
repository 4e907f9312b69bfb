# METADATA
# scope: package
# title: Read only
# description: |
#   Freezes writes: the method must be one of those listed. A request without a method, as is the `$connect` of a
#   WebSocket API, has a finding, since what follows on the connection may write; keep its route out with
#   `match.routes`.
# custom:
#   parameters:
#     type: object
#     required: [methods]
#     additionalProperties: false
#     properties:
#       methods:
#         type: array
#         minItems: 1
#         items: {type: string, pattern: "^[A-Z]+$", description: "GET, HEAD, OPTIONS"}
package admission.read_only

import data.gatehouse
import future.keywords.not

# METADATA
# title: Writes are frozen
# description: A finding for each constraint that does not list the request's method.
# custom:
#   code: read_only
#   disclose: true
violation contains {"constraint": name, "message": "writes are frozen for now"} if {
	some name, parameters in gatehouse.instances.read_only
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_array(parameters.methods)
	input.request.method in parameters.methods
}
