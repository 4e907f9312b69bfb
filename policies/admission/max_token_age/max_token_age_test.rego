package admission.max_token_age_test

import data.admission.max_token_age

old := "the token is too old"

findings(parameters, document) := found if {
	found := max_token_age.violation with input as document
		with data.constraints as {
			"c": {"template": "max_token_age", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

# 1795428000 is 2026-11-23T10:00:00Z.
issued(at) := {"request": {"time": "2026-11-23T10:00:00Z"}, "principal": {"claims": {"iat": at}}}

test_allow_satisfied[note] if {
	some note, iat in {
		"just now": 1795428000,
		"of the greatest age": 1795427100,
		"a part of a second younger": 1795427100.5,
		"from the future": 1795428005,
	}
	findings({"seconds": 900}, issued(iat)) == set()
}

test_allow_a_part_of_a_second if findings({"seconds": 0.5}, issued(1795427999.5)) == set()

test_allow_another_offset if {
	document := {"request": {"time": "2026-11-23T11:00:00+01:00"}, "principal": {"claims": {"iat": 1795427100}}}
	findings({"seconds": 900}, document) == set()
}

test_deny_old[note] if {
	some note, iat in {
		"a second older": 1795427099,
		"a part of a second older": 1795427099.999,
		"of long ago": 0,
		"before time": -1,
	}
	findings({"seconds": 900}, issued(iat)) == {{"constraint": "c", "message": old}}
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no iat": {"request": {"time": "2026-11-23T10:00:00Z"}, "principal": {"claims": {}}},
		"no claims": {"request": {"time": "2026-11-23T10:00:00Z"}, "principal": {}},
		"null principal": {"request": {"time": "2026-11-23T10:00:00Z"}, "principal": null},
		"null iat": issued(null),
		"text iat": issued("1795428000"),
		"false iat": issued(false),
		"list iat": issued([1795428000]),
		"no time": {"request": {}, "principal": {"claims": {"iat": 1795428000}}},
		"null time": {"request": {"time": null}, "principal": {"claims": {"iat": 1795428000}}},
		"number time": {"request": {"time": 1795428000}, "principal": {"claims": {"iat": 1795428000}}},
		"not among the claims": {"request": {"time": "2026-11-23T10:00:00Z"}, "principal": {"iat": 1795428000}},
	}
	findings({"seconds": 900}, document) == {{"constraint": "c", "message": old}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"number": 900,
		"misspelt": {"second": 900},
		"text seconds": {"seconds": "900"},
		"duration": {"seconds": "15m"},
		"null seconds": {"seconds": null},
		"true seconds": {"seconds": true},
		"list seconds": {"seconds": [900]},
		"negative seconds": {"seconds": -1},
	}
	findings(parameters, issued(1795428000)) == {{"constraint": "c", "message": old}}
}

test_deny_absent_parameters if {
	found := max_token_age.violation with input as issued(1795428000)
		with data.constraints as {"c": {"template": "max_token_age"}}
	found == {{"constraint": "c", "message": old}}
}
