package admission.office_hours_test

import data.admission.office_hours

closed := "the request is out of office hours"

weekdays := ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]

berlin := {"zone": "Europe/Berlin", "days": weekdays, "from": "08:00", "to": "18:00"}

findings(parameters, document) := found if {
	found := office_hours.violation with input as document
		with data.constraints as {
			"c": {"template": "office_hours", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

# 2026-11-23 and 2026-07-20 are Mondays; Berlin is one hour ahead of UTC in November, two in July.
test_allow_satisfied[note] if {
	some note, case in {
		"winter, from": {"parameters": berlin, "time": "2026-11-23T07:00:00Z"},
		"winter, last second": {"parameters": berlin, "time": "2026-11-23T16:59:59.999Z"},
		"summer, from": {"parameters": berlin, "time": "2026-07-20T06:00:00Z"},
		"summer, last minute": {"parameters": berlin, "time": "2026-07-20T15:59:00Z"},
		"friday": {"parameters": berlin, "time": "2026-11-27T12:00:00Z"},
		"with an offset": {"parameters": berlin, "time": "2026-11-23T03:00:00-04:00"},
		"all day, first": {
			"parameters": {"zone": "UTC", "days": ["Sunday"], "from": "00:00", "to": "24:00"},
			"time": "2026-11-22T00:00:00Z",
		},
		"all day, last": {
			"parameters": {"zone": "UTC", "days": ["Sunday"], "from": "00:00", "to": "24:00"},
			"time": "2026-11-22T23:59:59Z",
		},
		"monday there already": {
			"parameters": {"zone": "Pacific/Auckland", "days": ["Monday"], "from": "00:00", "to": "24:00"},
			"time": "2026-11-22T12:00:00Z",
		},
	}
	findings(case.parameters, {"request": {"time": case.time}}) == set()
}

test_deny_out_of_hours[note] if {
	some note, time_ in {
		"winter, before": "2026-11-23T06:59:59Z",
		"winter, to": "2026-11-23T17:00:00Z",
		"summer, before": "2026-07-20T05:59:59Z",
		"summer, to": "2026-07-20T16:00:00Z",
		"saturday": "2026-11-21T12:00:00Z",
		"sunday": "2026-11-22T12:00:00Z",
	}
	findings(berlin, {"request": {"time": time_}}) == {{"constraint": "c", "message": closed}}
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no time": {"request": {}},
		"null request": {"request": null},
		"null": {"request": {"time": null}},
		"number": {"request": {"time": 1795428000000000000}},
		"true": {"request": {"time": true}},
		"list": {"request": {"time": ["2026-11-23T10:00:00Z"]}},
	}
	findings(berlin, document) == {{"constraint": "c", "message": closed}}
}

# At 11:00 in Berlin on a Monday. A zone that is no text, or that the database lacks, is an error of the built-in.
test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "08:00-18:00",
		"list": ["08:00", "18:00"],
		"no zone": object.remove(berlin, ["zone"]),
		"no days": object.remove(berlin, ["days"]),
		"no from": object.remove(berlin, ["from"]),
		"no to": object.remove(berlin, ["to"]),
		"misspelt": object.union(object.remove(berlin, ["zone"]), {"timezone": "Europe/Berlin"}),
		"empty zone": object.union(berlin, {"zone": ""}),
		"machine's zone": object.union(berlin, {"zone": "Local"}),
		"text days": object.union(berlin, {"days": "Monday"}),
		"object days": object.union(object.remove(berlin, ["days"]), {"days": {"a": "Monday"}}),
		"empty days": object.union(berlin, {"days": []}),
		"short day": object.union(berlin, {"days": ["Mon"]}),
		"number day": object.union(berlin, {"days": [1]}),
		"number from": object.union(berlin, {"from": 8}),
		"null from": object.union(berlin, {"from": null}),
		"list to": object.union(berlin, {"to": ["18:00"]}),
		"null to": object.union(berlin, {"to": null}),
		"short from": object.union(berlin, {"from": "8:00"}),
		"from of letters": object.union(berlin, {"from": "ab:cd"}),
		"backwards": object.union(berlin, {"from": "18:00", "to": "08:00"}),
		"no time at all": object.union(berlin, {"from": "08:00", "to": "08:00"}),
	}
	findings(parameters, {"request": {"time": "2026-11-23T10:00:00Z"}}) == {{"constraint": "c", "message": closed}}
}

test_deny_absent_parameters if {
	found := office_hours.violation with input as {"request": {"time": "2026-11-23T10:00:00Z"}}
		with data.constraints as {"c": {"template": "office_hours"}}
	found == {{"constraint": "c", "message": closed}}
}
