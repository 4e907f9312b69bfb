package admission.require_organization_test

import data.admission.require_organization

foreign := "the token's organization is not admitted"

misused := "parameters: want organizations, a list of strings, and nothing else"

findings(parameters, document) := found if {
	found := require_organization.violation with input as document
		with data.constraints as {
			"c": {"template": "require_organization", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

test_allow_satisfied[note] if {
	some note, principal in {
		"listed": {"subject": "auth0|cust", "organization": "org_home"},
		"listed second": {"subject": "auth0|cust", "organization": "org_second"},
		"none": {"subject": "robot@clients"},
	}
	findings({"organizations": ["org_home", "org_second"]}, {"principal": principal}) == set()
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no principal": {"request": {}},
		"null principal": {"principal": null},
		"text principal": {"principal": "auth0|cust"},
		"empty principal": {"principal": {}},
		"null subject": {"principal": {"subject": null}},
		"another": {"principal": {"subject": "auth0|out", "organization": "org_other"}},
		"another case": {"principal": {"subject": "auth0|out", "organization": "ORG_HOME"}},
		"no text": {"principal": {"subject": "auth0|out", "organization": ""}},
		"null": {"principal": {"subject": "auth0|out", "organization": null}},
		"false": {"principal": {"subject": "auth0|out", "organization": false}},
		"list": {"principal": {"subject": "auth0|out", "organization": ["org_home"]}},
	}
	findings({"organizations": ["org_home"]}, document) == {{"constraint": "c", "message": foreign}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "org_home",
		"list": ["org_home"],
		"misspelt": {"organisations": ["org_home"]},
		"more": {"organizations": ["org_home"], "required": false},
		"text organizations": {"organizations": "org_home"},
		"object organizations": {"organizations": {"a": "org_home"}},
		"no organizations": {"organizations": []},
		"null organizations": {"organizations": null},
		"false among organizations": {"organizations": ["org_home", false]},
	}
	document := {"principal": {"subject": "auth0|cust", "organization": "org_home"}}
	findings(parameters, document) == {{"constraint": "c", "message": misused}}
}

test_deny_absent_parameters if {
	found := require_organization.violation with input as {"principal": {"subject": "robot@clients"}}
		with data.constraints as {"c": {"template": "require_organization"}}
	found == {{"constraint": "c", "message": misused}}
}
