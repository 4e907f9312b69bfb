package admission.deny_subjects_test

import data.admission.deny_subjects

listed := "the caller is on a list of those kept out"

findings(parameters, attributes, document) := found if {
	found := deny_subjects.violation with input as document
		with data.attributes as attributes
		with data.constraints as {
			"c": {"template": "deny_subjects", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

on_hold := {"held": {"a": "a remark", "b": null, "c": false, "d": {}}, "empty": {}}

test_allow_satisfied[note] if {
	some note, case in {
		"another": {"attribute": "held", "subject": "auth0|cust"},
		"another case": {"attribute": "held", "subject": "A"},
		"a remark": {"attribute": "held", "subject": "a remark"},
		"nobody listed": {"attribute": "empty", "subject": "a"},
	}
	findings({"attribute": case.attribute}, on_hold, {"principal": {"subject": case.subject}}) == set()
}

# Whatever the remark beside the subject.
test_deny_listed[note] if {
	some note in ["a", "b", "c", "d"]
	found := findings({"attribute": "held"}, on_hold, {"principal": {"subject": note}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no subject": {"principal": {}},
		"null principal": {"principal": null},
		"null subject": {"principal": {"subject": null}},
		"number subject": {"principal": {"subject": 1}},
		"false subject": {"principal": {"subject": false}},
		"list of subjects": {"principal": {"subject": ["auth0|cust"]}},
	}
	findings({"attribute": "held"}, on_hold, document) == {{"constraint": "c", "message": listed}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "held",
		"misspelt": {"attributes": "held"},
		"null attribute": {"attribute": null},
		"list attribute": {"attribute": ["held"]},
		"unknown attribute": {"attribute": "suspnded"},
	}
	found := findings(parameters, on_hold, {"principal": {"subject": "auth0|cust"}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_attribute_of_another_shape[note] if {
	some note, value in {"list": ["auth0|susp"], "text": "auth0|susp", "null": null, "false": false, "number": 0}
	found := findings({"attribute": "held"}, {"held": value}, {"principal": {"subject": "auth0|cust"}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_without_attributes if {
	found := findings({"attribute": "held"}, {}, {"principal": {"subject": "auth0|cust"}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_absent_parameters if {
	found := deny_subjects.violation with input as {"principal": {"subject": "auth0|cust"}}
		with data.constraints as {"c": {"template": "deny_subjects"}}
	found == {{"constraint": "c", "message": listed}}
}
