package gatehouse.decision_test

import data.gatehouse

# What the tests here decide upon, so that no edit of the live data and no further API changes their answers.
fixture := {
	"routes": {"GET /orders": {"api": "orders"}},
	"authz": {"orders": {"allow": {"orders.read"}}},
	"constraints": {},
	"admission": {},
}

# decide is the decision on a document, with the fixture's tables or those given in their place.
decide(document, tables) := decision if {
	world := {name: object.get(tables, name, table) | some name, table in fixture}
	decision := gatehouse.decision with input as document
		with data.routes as world.routes
		with data.authz as world.authz
		with data.constraints as world.constraints
		with data.admission as world.admission
}

# The fixture grants this orders.read, whatever the constraints say.
granted := {"request": {"route": "GET /orders"}, "principal": {"subject": "auth0|cust"}}

allowed(violations, warnings) := {
	"allowed": true,
	"status": {"code": 200, "reason": "Granted", "message": ""},
	"grants": ["orders.read"],
	"violations": violations,
	"warnings": warnings,
	"auditAnnotations": {},
	"context": {},
}

denied(message, violations) := {
	"allowed": false,
	"status": {"code": 403, "reason": "ConstraintViolated", "message": message},
	"grants": ["orders.read"],
	"violations": violations,
	"warnings": [],
	"auditAnnotations": {},
	"context": {},
}

not_granted(route) := {
	"allowed": false,
	"status": {"code": 403, "reason": "NotGranted", "message": sprintf("no grant for %s", [route])},
	"grants": [],
	"violations": [],
	"warnings": [],
	"auditAnnotations": {},
	"context": {},
}

# Inputs that lack something or are of another shape still get one whole decision.
test_deny_misshapen_input[note] if {
	some note, document in {
		"empty object": {},
		"null": null,
		"array": [],
		"text": "GET /orders",
		"null parts": {"request": null, "principal": null},
		"text parts": {"request": "GET /orders", "principal": "auth0|cust"},
		"no route": {"request": {}, "principal": granted.principal},
		"null route": {"request": {"route": null}, "principal": granted.principal},
		"number route": {"request": {"route": 1}, "principal": granted.principal},
		"array route": {"request": {"route": ["GET /orders"]}, "principal": granted.principal},
	}
	decision := decide(document, {})
	decision == object.union(
		not_granted(""),
		{"status": {"code": 403, "reason": "NotGranted", "message": "no grant: the request names no route"}},
	)
}

test_deny_absent_input if {
	decision := gatehouse.decision with data.constraints as {}
	decision == object.union(
		not_granted(""),
		{"status": {"code": 403, "reason": "NotGranted", "message": "no grant: the request names no route"}},
	)
}

test_deny_without_routes_or_grants[note] if {
	some note, tables in {
		"unknown route": {"routes": {}, "authz": {"orders": {"allow": {"x"}}}},
		"unknown api": {"routes": {"GET /orders": {"api": "ghost"}}, "authz": {"orders": {"allow": {"x"}}}},
		"another api": {"routes": {"GET /orders": {"api": "admin"}}, "authz": {"orders": {"allow": {"x"}}}},
		"no api": {"routes": {"GET /orders": {}}, "authz": {"orders": {"allow": {"x"}}}},
		"api of no text": {"routes": {"GET /orders": {"api": ["orders"]}}, "authz": {"orders": {"allow": {"x"}}}},
		"no allow": {"routes": {"GET /orders": {"api": "orders"}}, "authz": {"orders": {}}},
		"allow true": {"routes": {"GET /orders": {"api": "orders"}}, "authz": {"orders": {"allow": true}}},
		"allow array": {"routes": {"GET /orders": {"api": "orders"}}, "authz": {"orders": {"allow": ["x"]}}},
		"allow object": {"routes": {"GET /orders": {"api": "orders"}}, "authz": {"orders": {"allow": {"a": "x"}}}},
		"codes of no text": {
			"routes": {"GET /orders": {"api": "orders"}},
			"authz": {"orders": {"allow": {1, true, null, ["x"], {"code": "x"}}}},
		},
	}
	decide(granted, tables) == not_granted("GET /orders")
}

test_allow_only_codes_that_are_text_count if {
	decision := decide(granted, {"authz": {"orders": {"allow": {"b", 1, "a", {"x": "y"}}}}})
	decision == object.union(allowed([], []), {"grants": ["a", "b"]})
}

test_allow_context_of_the_api if {
	decision := decide(granted, {"authz": {
		"orders": {"allow": {"orders.read"}, "context": {"tenant": "acme"}},
		"admin": {"context": {"tenant": "other"}},
	}})
	decision == object.union(allowed([], []), {"context": {"tenant": "acme"}})
}

# Not dropped: the authorizer refuses the whole decision.
test_allow_misshapen_context_stands if {
	decision := decide(granted, {"authz": {"orders": {"allow": {"orders.read"}, "context": ["acme"]}}})
	decision == {
		"allowed": true,
		"status": {"code": 200, "reason": "Granted", "message": ""},
		"grants": ["orders.read"],
		"violations": [],
		"warnings": [],
		"auditAnnotations": {},
		"context": ["acme"],
	}
}

test_allow_usage_key_of_the_api if {
	decision := decide(granted, {"authz": {
		"orders": {"allow": {"orders.read"}, "usage_identifier_key": "key-of-acme"},
		"admin": {"usage_identifier_key": "key-of-others"},
	}})
	decision == object.union(allowed([], []), {"usageIdentifierKey": "key-of-acme"})
}

test_deny_usage_key_stays_inside if {
	decision := decide(granted, {"authz": {"orders": {"allow": set(), "usage_identifier_key": "key-of-acme"}}})
	decision == not_granted("GET /orders")
}

test_deny_context_stays_inside if {
	decision := decide(granted, {"authz": {"orders": {"allow": set(), "context": {"tenant": "acme"}}}})
	decision == not_granted("GET /orders")
}

finding := {"t": {"violation": {{"constraint": "c", "message": "m"}}}}

test_deny_both_reasons_is_not_granted if {
	decision := decide(granted, {"constraints": {"c": {"template": "t"}}, "admission": finding, "authz": {}})
	decision == object.union(
		not_granted("GET /orders"),
		{"violations": [{"constraint": "c", "template": "t", "action": "deny", "message": "m"}]},
	)
}

test_allow_warn_and_dryrun if {
	decision := decide(granted, {
		"constraints": {
			"z": {"template": "t", "enforcementAction": "warn"},
			"a": {"template": "t", "enforcementAction": "warn"},
			"d": {"template": "t", "enforcementAction": "dryrun"},
		},
		"admission": {"t": {"violation": {
			{"constraint": "z", "message": "first"},
			{"constraint": "a", "message": "second"},
			{"constraint": "d", "message": "third"},
		}}},
	})
	decision == allowed(
		[
			{"constraint": "d", "template": "t", "action": "dryrun", "message": "third"},
			{"constraint": "a", "template": "t", "action": "warn", "message": "second"},
			{"constraint": "z", "template": "t", "action": "warn", "message": "first"},
		],
		["first", "second"],
	)
}

test_deny_message_is_the_first if {
	decision := decide(granted, {
		"constraints": {"a": {"template": "t"}, "b": {"template": "t"}},
		"admission": {"t": {"violation": {
			{"constraint": "b", "message": "b"},
			{"constraint": "a", "message": "second of a"},
			{"constraint": "a", "message": "first of a"},
		}}},
	})
	decision == denied("first of a", [
		{"constraint": "a", "template": "t", "action": "deny", "message": "first of a"},
		{"constraint": "a", "template": "t", "action": "deny", "message": "second of a"},
		{"constraint": "b", "template": "t", "action": "deny", "message": "b"},
	])
}

# Only the exact words warn and dryrun spare a request.
test_deny_action[note] if {
	some note, case in {
		"absent": {"constraint": {"template": "t"}, "action": "deny"},
		"deny": {"constraint": {"template": "t", "enforcementAction": "deny"}, "action": "deny"},
		"Deny": {"constraint": {"template": "t", "enforcementAction": "Deny"}, "action": "Deny"},
		"Warn": {"constraint": {"template": "t", "enforcementAction": "Warn"}, "action": "Warn"},
		"dry-run": {"constraint": {"template": "t", "enforcementAction": "dry-run"}, "action": "dry-run"},
		"empty": {"constraint": {"template": "t", "enforcementAction": ""}, "action": ""},
		"null": {"constraint": {"template": "t", "enforcementAction": null}, "action": "deny"},
		"false": {"constraint": {"template": "t", "enforcementAction": false}, "action": "deny"},
		"list": {"constraint": {"template": "t", "enforcementAction": ["warn"]}, "action": "deny"},
	}
	decision := decide(granted, {"constraints": {"c": case.constraint}, "admission": finding})
	decision == denied("m", [{"constraint": "c", "template": "t", "action": case.action, "message": "m"}])
}

no_set := "template: missing, or its violation is not a set"

# A template that gives no set of findings denies, even where the constraint would only warn.
test_deny_template_without_findings[note] if {
	some note, admission in {
		"no such template": {},
		"empty": {"t": {}},
		"null": {"t": null},
		"boolean": {"t": {"violation": true}},
		"false": {"t": {"violation": false}},
		"text": {"t": {"violation": "m"}},
		"array": {"t": {"violation": [{"constraint": "c", "message": "m"}]}},
		"object": {"t": {"violation": {"c": "m"}}},
		"deny in its place": {"t": {"deny": {{"constraint": "c", "message": "m"}}}},
		"another template": {"T": {"violation": set()}},
	}
	decision := decide(granted, {
		"constraints": {"c": {"template": "t", "enforcementAction": "warn"}},
		"admission": admission,
	})
	decision == denied(no_set, [{"constraint": "c", "template": "t", "action": "deny", "message": no_set}])
}

misfound := concat("", [
	"template: a finding must be {constraint, message}, ",
	"about a constraint in scope that uses the template",
])

test_deny_misshapen_finding[note] if {
	some note, case in {
		"text": {"finding": "m", "constraint": ""},
		"false": {"finding": false, "constraint": ""},
		"null": {"finding": null, "constraint": ""},
		"array": {"finding": ["c", "m"], "constraint": ""},
		"empty": {"finding": {}, "constraint": ""},
		"no message": {"finding": {"constraint": "c"}, "constraint": "c"},
		"no constraint": {"finding": {"message": "m"}, "constraint": ""},
		"number constraint": {"finding": {"constraint": 1, "message": "m"}, "constraint": ""},
		"null message": {"finding": {"constraint": "c", "message": null}, "constraint": "c"},
		"more": {"finding": {"constraint": "c", "message": "m", "action": "dryrun"}, "constraint": "c"},
		"unknown constraint": {"finding": {"constraint": "ghost", "message": "m"}, "constraint": "ghost"},
		"another template's": {"finding": {"constraint": "other", "message": "m"}, "constraint": "other"},
		"out of scope": {"finding": {"constraint": "elsewhere", "message": "m"}, "constraint": "elsewhere"},
	}
	decision := decide(granted, {
		"constraints": {
			"c": {"template": "t", "enforcementAction": "dryrun"},
			"other": {"template": "u", "enforcementAction": "dryrun"},
			"elsewhere": {"template": "t", "enforcementAction": "dryrun", "match": {"routes": ["POST /orders"]}},
		},
		"admission": {"t": {"violation": {case.finding}}, "u": {"violation": set()}},
	})
	decision == denied(
		misfound,
		[{"constraint": case.constraint, "template": "t", "action": "deny", "message": misfound}],
	)
}

# What is misspelt or of another type selects less than its author meant to spare: it applies, to everybody.
test_deny_misshapen_match[note] if {
	some note, constraint in {
		"unknown field": {"template": "t", "matches": {"routes": ["POST /orders"]}},
		"null match": {"template": "t", "match": null},
		"array match": {"template": "t", "match": ["POST /orders"]},
		"unknown match": {"template": "t", "match": {"route": ["POST /orders"]}},
		"text routes": {"template": "t", "match": {"routes": "POST /orders"}},
		"null routes": {"template": "t", "match": {"routes": null}},
		"object routes": {"template": "t", "match": {"routes": {"a": "POST /orders"}}},
		"number route": {"template": "t", "match": {"routes": [1]}},
		"text excluded": {"template": "t", "match": {"excludedPrincipals": "auth0|cust"}},
		"object excluded": {"template": "t", "match": {"excludedPrincipals": {"a": "auth0|cust"}}},
		"null in excluded": {"template": "t", "match": {"excludedPrincipals": [null]}},
	}
	decision := decide(granted, {"constraints": {"c": constraint}, "admission": finding})
	decision == denied("m", [{"constraint": "c", "template": "t", "action": "deny", "message": "m"}])
}

# Even as a dry run: what names no template is not waved through.
test_deny_constraint_without_template[note] if {
	some note, constraint in {
		"null": null,
		"text": "t",
		"false": false,
		"array": ["t"],
		"empty": {},
		"no template": {"enforcementAction": "dryrun"},
		"number template": {"template": 1, "enforcementAction": "dryrun"},
	}
	decision := decide(granted, {"constraints": {"c": constraint}, "admission": {"t": {"violation": set()}}})
	message := "template: missing, or its violation is not a set"
	decision == denied(message, [{"constraint": "c", "template": "", "action": "deny", "message": message}])
}

unnamed := {"constraint": "", "template": "", "action": "deny", "message": "constraints: want an object, by name"}

test_deny_constraints_of_another_shape[note] if {
	some note, constraints in {
		"text": "c",
		"null": null,
		"false": false,
		"number": 0,
		"empty array": [],
		"array": [{"template": "t", "enforcementAction": "dryrun"}],
	}
	decision := decide(granted, {"constraints": constraints})
	decision == denied(unnamed.message, [unnamed])
}

test_allow_no_constraints if {
	decision := decide(granted, {})
	decision == allowed([], [])
}

# What selects a request, and what does not.
test_deny_in_scope[note] if {
	some note, constraint in {
		"no match": {"template": "t"},
		"empty match": {"template": "t", "match": {}},
		"empty routes": {"template": "t", "match": {"routes": []}},
		"the route": {"template": "t", "match": {"routes": ["GET /orders"]}},
		"one of the routes": {"template": "t", "match": {"routes": ["POST /orders", "GET /orders"]}},
		"nobody excluded": {"template": "t", "match": {"excludedPrincipals": []}},
		"another excluded": {"template": "t", "match": {"excludedPrincipals": ["auth0|adm"]}},
		"everything": {"template": "t", "match": {"routes": ["GET /orders"], "excludedPrincipals": ["auth0|adm"]}},
	}
	decision := decide(granted, {"constraints": {"c": constraint}, "admission": finding})
	decision == denied("m", [{"constraint": "c", "template": "t", "action": "deny", "message": "m"}])
}

test_allow_out_of_scope[note] if {
	some note, constraint in {
		"another route": {"template": "t", "match": {"routes": ["POST /orders"]}},
		"a part of the route": {"template": "t", "match": {"routes": ["GET /orders/{id}", "GET "]}},
		"excluded": {"template": "t", "match": {"excludedPrincipals": ["auth0|cust"]}},
		"excluded on the route": {
			"template": "t",
			"match": {"routes": ["GET /orders"], "excludedPrincipals": ["auth0|cust"]},
		},
	}
	decision := decide(granted, {"constraints": {"c": constraint}, "admission": finding})
	decision == allowed([], [])
}

# An exclusion needs a subject to exclude.
test_deny_absent_subject_is_not_excluded if {
	decision := decide({"request": {"route": "GET /orders"}}, {
		"constraints": {"c": {"template": "t", "match": {"excludedPrincipals": ["auth0|cust", null]}}},
		"admission": finding,
	})
	decision == denied("m", [{"constraint": "c", "template": "t", "action": "deny", "message": "m"}])
}

# With an index, the instances are what it says, and data.constraints is not scanned.
test_allow_instances_of_the_index[note] if {
	some note, case in {
		"a route": {"route": "GET /orders", "want": {"t": {"c": {"p": 1}}}},
		"another route": {"route": "POST /orders", "want": {}},
		"an unknown route": {"route": "GET /elsewhere", "want": {"t": {"d": {}}}},
		"no route": {"route": null, "want": {"t": {"d": {}}}},
	}
	instances := gatehouse.instances with input as {"request": {"route": case.route}}
		with data.constraints as {"scanned": {"template": "t"}}
		with data.index as {
			"routes": {"GET /orders": {"t": {"c": {"p": 1}}}, "POST /orders": {}},
			"otherwise": {"t": {"d": {}}},
		}
	instances == case.want
}

# An authorizer that made an index has refused whatever a scan finds at fault.
test_allow_no_faults_with_an_index if {
	decision := gatehouse.decision with input as granted
		with data.routes as fixture.routes
		with data.authz as fixture.authz
		with data.constraints as null
		with data.index as {"routes": {"GET /orders": {}}, "otherwise": {}}
	decision == allowed([], [])
}
