package admission.require_mfa_test

import data.admission.require_mfa

one_factor := "multi-factor authentication is required"

misused := "parameters: want acr, a list of strings, and nothing else"

# The value that Auth0 puts into the claim when a login used a second factor.
multi := "http://schemas.openid.net/pape/policies/2007/06/multi-factor"

findings(parameters, document) := found if {
	found := require_mfa.violation with input as document
		with data.constraints as {
			"c": {"template": "require_mfa", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

test_allow_satisfied[note] if {
	some note, claims in {
		"acr": {"acr": multi},
		"another acr": {"acr": "gold"},
		"amr": {"amr": ["mfa"]},
		"amr among others": {"amr": ["pwd", "mfa"], "acr": "none"},
	}
	findings({"acr": [multi, "gold"]}, {"principal": {"claims": claims}}) == set()
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no claims": {"principal": {}},
		"null claims": {"principal": {"claims": null}},
		"text claims": {"principal": {"claims": "mfa"}},
		"empty claims": {"principal": {"claims": {}}},
		"another acr": {"principal": {"claims": {"acr": "silver"}}},
		"acr of another case": {"principal": {"claims": {"acr": "GOLD"}}},
		"null acr": {"principal": {"claims": {"acr": null}}},
		"list of acr": {"principal": {"claims": {"acr": ["gold"]}}},
		"false": {"principal": {"claims": {"acr": false, "amr": false}}},
		"true": {"principal": {"claims": {"acr": true, "amr": true}}},
		"one factor": {"principal": {"claims": {"amr": ["pwd"]}}},
		"no factor": {"principal": {"claims": {"amr": []}}},
		"amr as text": {"principal": {"claims": {"amr": "mfa"}}},
		"amr as object": {"principal": {"claims": {"amr": {"0": "mfa"}}}},
		"not among the claims": {"principal": {"acr": "gold", "amr": ["mfa"]}},
	}
	findings({"acr": ["gold"]}, document) == {{"constraint": "c", "message": one_factor}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "gold",
		"list": ["gold"],
		"misspelt": {"arc": ["gold"]},
		"more": {"acr": ["gold"], "amr": ["mfa"]},
		"text acr": {"acr": "gold"},
		"object acr": {"acr": {"a": "gold"}},
		"no acr": {"acr": []},
		"null acr": {"acr": null},
		"null among acr": {"acr": ["gold", null]},
	}
	claims := {"acr": "gold", "amr": ["mfa"]}
	findings(parameters, {"principal": {"claims": claims}}) == {{"constraint": "c", "message": misused}}
}

test_deny_absent_parameters if {
	found := require_mfa.violation with input as {"principal": {"claims": {"amr": ["mfa"]}}}
		with data.constraints as {"c": {"template": "require_mfa"}}
	found == {{"constraint": "c", "message": misused}}
}
