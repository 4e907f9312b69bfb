package admission.deny_clients_test

import data.admission.deny_clients

listed := "the application is on a list of those kept out"

findings(parameters, attributes, document) := found if {
	found := deny_clients.violation with input as document
		with data.attributes as attributes
		with data.constraints as {
			"c": {"template": "deny_clients", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

blocked := {"old": {"a": "a remark", "b": null, "c": false, "d": {}, "auth0|cust": ""}, "empty": {}}

test_allow_satisfied[note] if {
	some note, case in {
		"another": {"attribute": "old", "principal": {"subject": "auth0|cust", "client_id": "spa"}},
		"another case": {"attribute": "old", "principal": {"subject": "auth0|cust", "client_id": "A"}},
		"a remark": {"attribute": "old", "principal": {"subject": "auth0|cust", "client_id": "a remark"}},
		"none": {"attribute": "old", "principal": {"subject": "auth0|cust"}},
		"none listed": {"attribute": "empty", "principal": {"subject": "auth0|cust", "client_id": "a"}},
	}
	findings({"attribute": case.attribute}, blocked, {"principal": case.principal}) == set()
}

# Whatever the remark beside the client.
test_deny_listed[note] if {
	some note in ["a", "b", "c", "d"]
	found := findings({"attribute": "old"}, blocked, {"principal": {"subject": "auth0|supp", "client_id": note}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no principal": {"request": {}},
		"null principal": {"principal": null},
		"empty principal": {"principal": {}},
		"null subject": {"principal": {"subject": null, "client_id": "spa"}},
		"null client": {"principal": {"subject": "auth0|cust", "client_id": null}},
		"number client": {"principal": {"subject": "auth0|cust", "client_id": 1}},
		"false client": {"principal": {"subject": "auth0|cust", "client_id": false}},
		"list of clients": {"principal": {"subject": "auth0|cust", "client_id": ["spa"]}},
	}
	findings({"attribute": "old"}, blocked, document) == {{"constraint": "c", "message": listed}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "old",
		"misspelt": {"attributes": "old"},
		"null attribute": {"attribute": null},
		"list attribute": {"attribute": ["old"]},
		"unknown attribute": {"attribute": "odl"},
	}
	found := findings(parameters, blocked, {"principal": {"subject": "auth0|cust", "client_id": "spa"}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_attribute_of_another_shape[note] if {
	some note, value in {"list": ["a"], "text": "a", "null": null, "false": false, "number": 0}
	document := {"principal": {"subject": "auth0|cust", "client_id": "spa"}}
	findings({"attribute": "old"}, {"old": value}, document) == {{"constraint": "c", "message": listed}}
}

test_deny_without_attributes if {
	found := findings({"attribute": "old"}, {}, {"principal": {"subject": "auth0|cust", "client_id": "spa"}})
	found == {{"constraint": "c", "message": listed}}
}

test_deny_absent_parameters if {
	found := deny_clients.violation with input as {"principal": {"subject": "auth0|cust", "client_id": "spa"}}
		with data.constraints as {"c": {"template": "deny_clients"}}
	found == {{"constraint": "c", "message": listed}}
}
