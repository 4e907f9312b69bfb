# METADATA
# scope: package
# title: Office hours
# description: |
#   The request must come on one of the days, at or after `from` and before `to`, by the clock of `zone`, a name of the
#   IANA time zone database (the engine brings the database with it). The time is that of the request, so a replay sees
#   the same. A zone that the database lacks, or a time that is no RFC 3339 text, is an error of the built-in and not a
#   finding; an error never allows.
# custom:
#   parameters:
#     type: object
#     required: [zone, days, from, to]
#     additionalProperties: false
#     properties:
#       zone: {type: string, minLength: 1, not: {const: Local}, description: Europe/Berlin}
#       days:
#         type: array
#         minItems: 1
#         items: {enum: [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday]}
#       from: {type: string, pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$", description: 24-hour HH:MM}
#       to:
#         type: string
#         pattern: "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
#         description: 24-hour HH:MM later than from; 24:00 is the end of the day
package admission.office_hours

import data.gatehouse
import future.keywords.not

# METADATA
# title: Out of hours
# description: A finding for each constraint whose hours the request is not in.
violation contains {"constraint": name, "message": "the request is out of office hours"} if {
	some name, parameters in gatehouse.instances.office_hours
	not _satisfied(parameters)
}

_satisfied(parameters) if {
	is_string(input.request.time)
	not parameters.zone in _nowhere
	ns := time.parse_rfc3339_ns(input.request.time)
	is_array(parameters.days)
	time.weekday([ns, parameters.zone]) in parameters.days
	is_string(parameters.from)
	is_string(parameters.to)
	now := time.format([ns, parameters.zone, "15:04"])
	now >= parameters.from
	now < parameters.to
}

# Two names that the database takes for UTC and for the zone of whatever machine it runs on.
_nowhere := {"", "Local"}
