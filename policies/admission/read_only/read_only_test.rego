package admission.read_only_test

import data.admission.read_only

frozen := "writes are frozen for now"

findings(parameters, document) := found if {
	found := read_only.violation with input as document
		with data.constraints as {
			"c": {"template": "read_only", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

test_allow_satisfied[note] if {
	some note in ["GET", "HEAD"]
	findings({"methods": ["GET", "HEAD"]}, {"request": {"method": note}}) == set()
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no method": {"request": {"route": "$connect"}},
		"null request": {"request": null},
		"post": {"request": {"method": "POST"}},
		"another case": {"request": {"method": "get"}},
		"a part": {"request": {"method": "GE"}},
		"with a blank": {"request": {"method": "GET "}},
		"empty text": {"request": {"method": ""}},
		"null": {"request": {"method": null}},
		"number": {"request": {"method": 0}},
		"true": {"request": {"method": true}},
		"list": {"request": {"method": ["GET"]}},
		"in the route only": {"request": {"route": "GET /orders"}},
	}
	findings({"methods": ["GET", "HEAD"]}, document) == {{"constraint": "c", "message": frozen}}
}

test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "GET",
		"list": ["GET"],
		"misspelt": {"method": ["GET"]},
		"text methods": {"methods": "GET"},
		"object methods": {"methods": {"a": "GET"}},
		"no methods": {"methods": []},
		"null methods": {"methods": null},
	}
	findings(parameters, {"request": {"method": "GET"}}) == {{"constraint": "c", "message": frozen}}
}

test_deny_absent_parameters if {
	found := read_only.violation with input as {"request": {"method": "GET"}}
		with data.constraints as {"c": {"template": "read_only"}}
	found == {{"constraint": "c", "message": frozen}}
}
