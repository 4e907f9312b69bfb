package admission.deny_revoked_test

import data.admission.deny_revoked

gone := "the token has been revoked"

findings(parameters, attributes, document) := found if {
	found := deny_revoked.violation with input as document
		with data.attributes as attributes
		with data.constraints as {
			"c": {"template": "deny_revoked", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

nothing := {"subjects": {}, "tokens": {}, "issued_before": {}}

# 1795428000 is 2026-11-23T10:00:00Z.
lists := {
	"nothing": nothing,
	"subjects": object.union(nothing, {"subjects": {"a": "a remark", "b": null, "c": false, "d": {}}}),
	"tokens": object.union(nothing, {"tokens": {"j-a": "a remark", "j-b": null, "j-c": false, "j-d": {}}}),
	"somebody": object.union(nothing, {"issued_before": {"a": "2026-11-23T10:00:00Z"}}),
	"everybody": object.union(nothing, {"issued_before": {"*": "2026-11-23T11:00:00+01:00"}}),
	"both": object.union(nothing, {"issued_before": {"*": "2026-11-23T10:00:00Z", "a": "2026-11-23T10:15:00Z"}}),
}

token(subject, claims) := {"principal": {"subject": subject, "claims": claims}}

test_allow_satisfied[note] if {
	some note, case in {
		"nothing is revoked": {"list": "nothing", "token": token("a", {})},
		"another subject": {"list": "subjects", "token": token("e", {})},
		"a subject of another case": {"list": "subjects", "token": token("A", {})},
		"a remark": {"list": "subjects", "token": token("a remark", {})},
		"a listed token's name as subject": {"list": "tokens", "token": token("j-a", {"jti": "j-e"})},
		"a token without a name": {"list": "tokens", "token": token("a", {})},
		"a misshapen name, none listed": {"list": "nothing", "token": token("a", {"jti": 1})},
		"another token": {"list": "tokens", "token": token("a", {"jti": "j-e"})},
		"a listed subject's name as token": {"list": "subjects", "token": token("e", {"jti": "a"})},
		"somebody, in time": {"list": "somebody", "token": token("a", {"iat": 1795428000})},
		"somebody, later": {"list": "somebody", "token": token("a", {"iat": 1795428000.5})},
		"somebody else": {"list": "somebody", "token": token("b", {"iat": 1})},
		"somebody else, unknown when": {"list": "somebody", "token": token("b", {})},
		"everybody, in time": {"list": "everybody", "token": token("b", {"iat": 1795428000})},
		"both, in time": {"list": "both", "token": token("a", {"iat": 1795428900})},
		"both, somebody else": {"list": "both", "token": token("b", {"iat": 1795428000})},
	}
	findings({"attribute": case.list}, lists, case.token) == set()
}

# Whatever the remark.
test_deny_listed[note] if {
	some letter in ["a", "b", "c", "d"]
	some note, case in {
		sprintf("subject %s", [letter]): {"list": "subjects", "token": token(letter, {"jti": "j", "iat": 1795428000})},
		sprintf("token %s", [letter]): {"list": "tokens", "token": token("e", {"jti": sprintf("j-%s", [letter])})},
	}
	findings({"attribute": case.list}, lists, case.token) == {{"constraint": "c", "message": gone}}
}

test_deny_issued_before[note] if {
	some note, case in {
		"somebody": {"list": "somebody", "token": token("a", {"iat": 1795427999})},
		"a part of a second": {"list": "somebody", "token": token("a", {"iat": 1795427999.999})},
		"long ago": {"list": "somebody", "token": token("a", {"iat": 0})},
		"everybody": {"list": "everybody", "token": token("b", {"iat": 1795427999})},
		"both, since everybody's": {"list": "both", "token": token("a", {"iat": 1795428000})},
		"both, before either": {"list": "both", "token": token("a", {"iat": 1795427999})},
		"both, somebody else": {"list": "both", "token": token("b", {"iat": 1795427999})},
	}
	findings({"attribute": case.list}, lists, case.token) == {{"constraint": "c", "message": gone}}
}

# What it takes to tell is missing, or of another type.
test_deny_cannot_tell[note] if {
	some list in ["somebody", "everybody"]
	some what, claims in {
		"absent": {},
		"null": {"iat": null},
		"false": {"iat": false},
		"text": {"iat": "1795428000"},
		"list": {"iat": [1795428000]},
		"object": {"iat": {}},
	}
	note := sprintf("%s: %s", [list, what])
	findings({"attribute": list}, lists, token("a", claims)) == {{"constraint": "c", "message": gone}}
}

test_deny_misshapen_jti[note] if {
	some note, jti in {"null": null, "false": false, "number": 1, "list": ["j-a"], "object": {}}
	findings({"attribute": "tokens"}, lists, token("a", {"jti": jti})) == {{"constraint": "c", "message": gone}}
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no subject": {"principal": {}},
		"null principal": {"principal": null},
		"null subject": {"principal": {"subject": null}},
		"number subject": {"principal": {"subject": 1}},
		"false subject": {"principal": {"subject": false}},
		"list of subjects": {"principal": {"subject": ["e"]}},
	}
	findings({"attribute": "nothing"}, lists, document) == {{"constraint": "c", "message": gone}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "nothing",
		"misspelt": {"attributes": "nothing"},
		"null attribute": {"attribute": null},
		"list attribute": {"attribute": ["nothing"]},
		"unknown attribute": {"attribute": "nothng"},
	}
	findings(parameters, lists, token("e", {"jti": "j", "iat": 1})) == {{"constraint": "c", "message": gone}}
}

# A list that is missing, misspelt or of another type says nothing that could be trusted.
test_deny_lists_of_another_shape[note] if {
	some list in ["subjects", "tokens", "issued_before"]
	some shape, value in {"list": [], "text": "", "null": null, "false": false, "number": 0}
	note := sprintf("%s: %s", [list, shape])
	attributes := {"held": object.union(object.remove(nothing, [list]), {list: value})}
	findings({"attribute": "held"}, attributes, token("e", {})) == {{"constraint": "c", "message": gone}}
}

test_deny_missing_lists[note] if {
	some note in ["subjects", "tokens", "issued_before"]
	attributes := {"held": object.remove(nothing, [note])}
	findings({"attribute": "held"}, attributes, token("e", {})) == {{"constraint": "c", "message": gone}}
}

test_deny_without_attributes if {
	findings({"attribute": "nothing"}, {}, token("e", {})) == {{"constraint": "c", "message": gone}}
}

test_deny_absent_parameters if {
	found := deny_revoked.violation with input as token("e", {"jti": "j", "iat": 1})
		with data.constraints as {"c": {"template": "deny_revoked"}}
	found == {{"constraint": "c", "message": gone}}
}
