package admission.require_scope_test

import data.admission.require_scope

lacking := "the token lacks a required scope"

findings(parameters, document) := found if {
	found := require_scope.violation with input as document
		with data.constraints as {
			"c": {"template": "require_scope", "parameters": parameters},
			"another": {"template": "require_mfa", "parameters": parameters},
		}
}

test_allow_satisfied[note] if {
	some note, case in {
		"the scope": {"want": ["openid"], "have": ["openid"]},
		"among others": {"want": ["openid"], "have": ["read:orders", "openid"]},
		"all of them": {"want": ["openid", "email"], "have": ["email", "openid"]},
	}
	findings({"scopes": case.want}, {"principal": {"scopes": case.have}}) == set()
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no scopes": {"principal": {}},
		"null": {"principal": {"scopes": null}},
		"text": {"principal": {"scopes": "openid email"}},
		"object": {"principal": {"scopes": {"0": "openid", "1": "email"}}},
		"none": {"principal": {"scopes": []}},
		"one of two": {"principal": {"scopes": ["openid"]}},
		"joined": {"principal": {"scopes": ["openid email"]}},
		"permissions": {"principal": {"scopes": [], "permissions": ["openid", "email"]}},
	}
	findings({"scopes": ["openid", "email"]}, document) == {{"constraint": "c", "message": lacking}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "openid",
		"list": ["openid"],
		"misspelt": {"scope": ["openid"]},
		"text scopes": {"scopes": "openid"},
		"object scopes": {"scopes": {"a": "openid"}},
		"no scopes": {"scopes": []},
		"null scopes": {"scopes": null},
		"number": {"scopes": ["openid", 1]},
	}
	findings(parameters, {"principal": {"scopes": ["openid"]}}) == {{"constraint": "c", "message": lacking}}
}

test_deny_absent_parameters if {
	found := require_scope.violation with input as {"principal": {"scopes": ["openid"]}}
		with data.constraints as {"c": {"template": "require_scope"}}
	found == {{"constraint": "c", "message": lacking}}
}

test_deny_each_constraint_by_name if {
	found := require_scope.violation with input as {"principal": {"scopes": ["openid"]}}
		with data.constraints as {
			"satisfied": {"template": "require_scope", "parameters": {"scopes": ["openid"]}},
			"violated": {"template": "require_scope", "parameters": {"scopes": ["email"]}},
			"misused": {"template": "require_scope", "parameters": {}},
		}
	found == {{"constraint": "violated", "message": lacking}, {"constraint": "misused", "message": lacking}}
}
