package admission.require_mfa_test

import data.admission.require_mfa

one_factor := "multi-factor authentication is required"

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

# By either claim: parameters that are no list satisfy nobody.
test_deny_parameters[note] if {
	some case, parameters in {
		"empty": {},
		"null": null,
		"text": "gold",
		"list": ["gold"],
		"misspelt": {"arc": ["gold"]},
		"text acr": {"acr": "gold"},
		"object acr": {"acr": {"a": "gold"}},
		"null acr": {"acr": null},
	}
	some claims in [{"acr": "gold"}, {"amr": ["mfa"]}]
	note := sprintf("%s, %v", [case, claims])
	findings(parameters, {"principal": {"claims": claims}}) == {{"constraint": "c", "message": one_factor}}
}

# A value that is no text is no acr, though the list holds the same.
test_deny_acr_that_is_no_text[note] if {
	some note, acr in {"null": null, "false": false, "number": 1, "list": ["gold"]}
	found := findings({"acr": [null, false, 1, ["gold"]]}, {"principal": {"claims": {"acr": acr}}})
	found == {{"constraint": "c", "message": one_factor}}
}

test_deny_empty_list if {
	found := findings({"acr": []}, {"principal": {"claims": {"acr": "gold"}}})
	found == {{"constraint": "c", "message": one_factor}}
}

test_deny_absent_parameters if {
	found := require_mfa.violation with input as {"principal": {"claims": {"amr": ["mfa"]}}}
		with data.constraints as {"c": {"template": "require_mfa"}}
	found == {{"constraint": "c", "message": one_factor}}
}
