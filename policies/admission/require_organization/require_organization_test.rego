package admission.require_organization_test

import data.admission.require_organization

foreign := "the token's organization is not admitted"

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

# With an organization and without: parameters that are no list satisfy nobody.
test_deny_parameters[note] if {
	some case, parameters in {
		"empty": {},
		"null": null,
		"text": "org_home",
		"list": ["org_home"],
		"misspelt": {"organisations": ["org_home"]},
		"text organizations": {"organizations": "org_home"},
		"object organizations": {"organizations": {"a": "org_home"}},
		"null organizations": {"organizations": null},
	}
	some principal in [{"subject": "auth0|cust", "organization": "org_home"}, {"subject": "robot@clients"}]
	note := sprintf("%s, %s", [case, principal.subject])
	findings(parameters, {"principal": principal}) == {{"constraint": "c", "message": foreign}}
}

test_deny_empty_list if {
	document := {"principal": {"subject": "auth0|cust", "organization": "org_home"}}
	findings({"organizations": []}, document) == {{"constraint": "c", "message": foreign}}
}

test_deny_absent_parameters if {
	found := require_organization.violation with input as {"principal": {"subject": "robot@clients"}}
		with data.constraints as {"c": {"template": "require_organization"}}
	found == {{"constraint": "c", "message": foreign}}
}
