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
#       zone: {type: string, description: Europe/Berlin}
#       days:
#         type: array
#         minItems: 1
#         items: {enum: [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday]}
#       from: {type: string, description: 24-hour HH:MM}
#       to: {type: string, description: 24-hour HH:MM later than from; 24:00 is the end of the day}
package admission.office_hours

import data.gatehouse
import data.gatehouse.shape
import future.keywords.not

# METADATA
# title: Out of hours
# description: A finding for each constraint whose hours the request is not in.
violation contains {"constraint": name, "message": message} if {
	some name, c in gatehouse.applicable
	c.template == "office_hours"
	message := _fault(c)
}

_fault(c) := "parameters: want zone, days (Monday to Sunday), from before to (HH:MM), and nothing else" if {
	not _configured(c)
}

_fault(c) := "the request is out of office hours" if {
	_configured(c)
	not _satisfied(c.parameters)
}

_configured(c) if {
	shape.fields(c.parameters, {"zone", "days", "from", "to"})
	_zone(c.parameters.zone)
	shape.strings(c.parameters.days)
	count(c.parameters.days) > 0
	every day in c.parameters.days {
		day in {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	}
	_clock(c.parameters.from)
	_clock(c.parameters.to)
	c.parameters.from < c.parameters.to
}

# "Local" would be the machine's own zone, and the same record another answer elsewhere; "" is another word for UTC.
_zone(zone) if {
	is_string(zone)
	not zone in {"", "Local"}
}

_satisfied(parameters) if {
	is_string(input.request.time)
	ns := time.parse_rfc3339_ns(input.request.time)
	time.weekday([ns, parameters.zone]) in parameters.days
	[hour, minute, _] := time.clock([ns, parameters.zone])
	now := sprintf("%02d:%02d", [hour, minute])
	now >= parameters.from
	now < parameters.to
}

# Times of this one form compare as texts do. 24:00 is the end of the day.
_clock(text) if {
	is_string(text)
	regex.match(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`, text)
}
