package gatehouse.decision_test

import data.gatehouse

# Monday, in office hours wherever the shipped instance looks at the clock.
monday := "2026-11-23T10:00:00Z"

people := {
	"customer": {
		"subject": "auth0|cust",
		"roles": ["customer"],
		"scopes": ["openid"],
		"permissions": [],
		"organization": "org_home",
		"claims": {},
	},
	"support": {
		"subject": "auth0|supp",
		"roles": ["support"],
		"scopes": ["openid"],
		"permissions": [],
		"organization": "org_home",
		"claims": {},
	},
	"admin": {
		"subject": "auth0|adm",
		"roles": ["admin"],
		"scopes": ["openid"],
		"permissions": [],
		"organization": "org_home",
		"claims": {},
	},
	"suspended": {
		"subject": "auth0|susp",
		"roles": ["customer"],
		"scopes": ["openid"],
		"permissions": [],
		"organization": "org_home",
		"claims": {},
	},
	"outsider": {
		"subject": "auth0|out",
		"roles": ["customer"],
		"scopes": ["openid"],
		"permissions": [],
		"organization": "org_other",
		"claims": {},
	},
	"machine": {
		"subject": "robot@clients",
		"roles": [],
		"scopes": ["read:orders"],
		"permissions": [],
		"claims": {},
	},
}

# The rows of the sample API's table. Where whose orders they are matters, the row comes twice.
rows := {
	"profile": {"route": "GET /profile"},
	"list": {"route": "GET /orders"},
	"read": {"route": "GET /orders/{id}", "params": {"id": "42"}},
	"own": {"route": "GET /users/{id}/orders"},
	"theirs": {"route": "GET /users/{id}/orders", "params": {"id": "auth0|someone"}},
	"create": {"route": "POST /orders"},
	"delete": {"route": "DELETE /orders/{id}", "params": {"id": "42"}},
	"users": {"route": "GET /admin/users"},
}

customer_grants := {
	"profile": ["profile.read"],
	"list": ["orders.read"],
	"read": ["orders.read"],
	"own": ["orders.read_own"],
	"theirs": [],
	"create": ["orders.create"],
	"delete": [],
	"users": [],
}

support_grants := object.union(customer_grants, {
	"own": ["orders.read_any", "orders.read_own"],
	"theirs": ["orders.read_any"],
	"delete": ["orders.delete"],
})

grants := {
	"customer": customer_grants,
	"support": support_grants,
	"admin": object.union(support_grants, {"users": ["admin.users"]}),
	"suspended": customer_grants,
	"outsider": customer_grants,
	"machine": {
		"profile": [],
		"list": ["orders.read"],
		"read": ["orders.read"],
		"own": ["orders.read_own"],
		"theirs": [],
		"create": [],
		"delete": [],
		"users": [],
	},
}

suspended := {
	"constraint": "suspended",
	"template": "deny_subjects",
	"action": "deny",
	"message": "the caller is on a list of those kept out",
}

foreign := {
	"constraint": "home-organization",
	"template": "require_organization",
	"action": "deny",
	"message": "the token's organization is not admitted",
}

no_openid := {
	"constraint": "openid-scope",
	"template": "require_scope",
	"action": "dryrun",
	"message": "the token lacks a required scope",
}

one_factor := {
	"constraint": "mfa-for-deletes",
	"template": "require_mfa",
	"action": "warn",
	"message": "multi-factor authentication is required",
}

everywhere := {
	"customer": [],
	"support": [],
	"admin": [],
	"suspended": [suspended],
	"outsider": [foreign],
	"machine": [no_openid],
}

warned(row) := [one_factor] if row == "delete"

warned(row) := [] if row != "delete"

status(codes, _, route) := {"code": 403, "reason": "NotGranted", "message": sprintf("no grant for %s", [route])} if {
	codes == []
}

status(codes, person, _) := {
	"code": 403,
	"reason": "ConstraintViolated",
	"message": everywhere[person][0].message,
} if {
	codes != []
	person in {"suspended", "outsider"}
}

status(codes, person, _) := {"code": 200, "reason": "Granted", "message": ""} if {
	codes != []
	not person in {"suspended", "outsider"}
}

sample[note] := {"input": input_, "want": want} if {
	some person, principal in people
	some row, request in rows
	note := sprintf("%s %s", [person, row])
	input_ := {
		"version": "v1",
		"request": object.union({"time": monday, "params": {"id": principal.subject}}, request),
		"principal": principal,
	}
	outcome := status(grants[person][row], person, request.route)
	want := {
		"allowed": outcome.code == 200,
		"status": outcome,
		"grants": grants[person][row],
		"violations": array.concat(everywhere[person], warned(row)),
		"warnings": [v.message | some v in warned(row)],
		"auditAnnotations": {},
		"context": {},
	}
}

allowed_sample[note] := case if {
	some note, case in sample
	case.want.allowed
}

denied_sample[note] := case if {
	some note, case in sample
	not case.want.allowed
}

test_allow_sample[note] if {
	some note, case in allowed_sample
	gatehouse.decision == case.want with input as case.input
}

test_deny_sample[note] if {
	some note, case in denied_sample
	gatehouse.decision == case.want with input as case.input
}

test_allow_sample_is_whole if {
	count(sample) == 48
	object.keys(allowed_sample) == {
		"customer profile", "customer list", "customer read", "customer own", "customer create",
		"support profile", "support list", "support read", "support own", "support theirs", "support create",
		"support delete",
		"admin profile", "admin list", "admin read", "admin own", "admin theirs", "admin create", "admin delete",
		"admin users",
		"machine list", "machine read", "machine own",
	}
}

# Every route of the table belongs to the sample, and the other way round.
test_allow_sample_has_every_route if {
	{row.route | some row in rows} == object.keys(data.routes)
}

# A misspelt route would be a constraint that never applies.
test_deny_shipped_constraints_name_known_routes if {
	every c in data.constraints {
		every route in object.get(c, ["match", "routes"], []) {
			data.routes[route]
		}
	}
}

test_allow_warning_goes_with_second_factor if {
	mfa := object.union(people.support, {"claims": {"amr": ["mfa"]}})
	gatehouse.decision == {
		"allowed": true,
		"status": {"code": 200, "reason": "Granted", "message": ""},
		"grants": ["orders.delete"],
		"violations": [],
		"warnings": [],
		"auditAnnotations": {},
		"context": {},
	} with input as {"request": {"time": monday, "route": "DELETE /orders/{id}"}, "principal": mfa}
}

test_allow_dryrun_hours_are_only_recorded if {
	gatehouse.decision == {
		"allowed": true,
		"status": {"code": 200, "reason": "Granted", "message": ""},
		"grants": ["orders.read"],
		"violations": [{
			"constraint": "office-hours",
			"template": "office_hours",
			"action": "dryrun",
			"message": "the request is out of office hours",
		}],
		"warnings": [],
		"auditAnnotations": {},
		"context": {},
	} with input as {"request": {"time": "2026-11-22T10:00:00Z", "route": "GET /orders"}, "principal": people.customer}
}

# The input of the tests below: granted orders.read, whatever the constraints say.
granted := {"request": {"time": monday, "route": "GET /orders"}, "principal": people.customer}

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
		"no route": {"request": {"time": monday}, "principal": people.admin},
		"null route": {"request": {"route": null}, "principal": people.admin},
		"number route": {"request": {"route": 1}, "principal": people.admin},
		"array route": {"request": {"route": ["GET /orders"]}, "principal": people.admin},
	}
	decision := gatehouse.decision with input as document with data.constraints as {}
	decision == object.union(
		not_granted(""),
		{"status": {"code": 403, "reason": "NotGranted", "message": "no grant: the request names no route"}},
	)
}

test_deny_empty_input_whole if {
	decision := gatehouse.decision with input as {}
	decision == {
		"allowed": false,
		"status": {"code": 403, "reason": "NotGranted", "message": "no grant: the request names no route"},
		"grants": [],
		"violations": [
			foreign,
			suspended,
			{
				"constraint": "office-hours",
				"template": "office_hours",
				"action": "dryrun",
				"message": "the request is out of office hours",
			},
			no_openid,
		],
		"warnings": [],
		"auditAnnotations": {},
		"context": {},
	}
}

test_deny_absent_input if {
	gatehouse.decision.allowed == false
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {}
		with data.routes as tables.routes
		with data.authz as tables.authz
	decision == not_granted("GET /orders")
}

test_allow_only_codes_that_are_text_count if {
	decision := gatehouse.decision with input as granted
		with data.constraints as {}
		with data.authz as {"orders": {"allow": {"b", 1, "a", {"x": "y"}}}}
	decision == object.union(allowed([], []), {"grants": ["a", "b"]})
}

test_allow_context_of_the_api if {
	decision := gatehouse.decision with input as granted
		with data.constraints as {}
		with data.authz as {
			"orders": {"allow": {"orders.read"}, "context": {"tenant": "acme"}},
			"admin": {"context": {"tenant": "other"}},
		}
	decision == object.union(allowed([], []), {"context": {"tenant": "acme"}})
}

# Not dropped: the authorizer refuses the whole decision.
test_allow_misshapen_context_stands if {
	decision := gatehouse.decision with input as granted
		with data.constraints as {}
		with data.authz as {"orders": {"allow": {"orders.read"}, "context": ["acme"]}}
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

test_deny_context_stays_inside if {
	decision := gatehouse.decision with input as granted
		with data.constraints as {}
		with data.authz as {"orders": {"allow": set(), "context": {"tenant": "acme"}}}
	decision == not_granted("GET /orders")
}

test_deny_both_reasons_is_not_granted if {
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": {"template": "t"}}
		with data.admission as {"t": {"violation": {{"constraint": "c", "message": "m"}}}}
		with data.authz as {}
	decision == object.union(
		not_granted("GET /orders"),
		{"violations": [{"constraint": "c", "template": "t", "action": "deny", "message": "m"}]},
	)
}

finding := {"t": {"violation": {{"constraint": "c", "message": "m"}}}}

test_allow_warn_and_dryrun if {
	decision := gatehouse.decision with input as granted
		with data.constraints as {
			"z": {"template": "t", "enforcementAction": "warn"},
			"a": {"template": "t", "enforcementAction": "warn"},
			"d": {"template": "t", "enforcementAction": "dryrun"},
		}
		with data.admission as {"t": {"violation": {
			{"constraint": "z", "message": "first"},
			{"constraint": "a", "message": "second"},
			{"constraint": "d", "message": "third"},
		}}}
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"a": {"template": "t"}, "b": {"template": "t"}}
		with data.admission as {"t": {"violation": {
			{"constraint": "b", "message": "b"},
			{"constraint": "a", "message": "second of a"},
			{"constraint": "a", "message": "first of a"},
		}}}
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": case.constraint}
		with data.admission as finding
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": {"template": "t", "enforcementAction": "warn"}}
		with data.admission as admission
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {
			"c": {"template": "t", "enforcementAction": "dryrun"},
			"other": {"template": "u", "enforcementAction": "dryrun"},
			"elsewhere": {"template": "t", "enforcementAction": "dryrun", "match": {"routes": ["POST /orders"]}},
		}
		with data.admission as {"t": {"violation": {case.finding}}, "u": {"violation": set()}}
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": constraint}
		with data.admission as {"t": {"violation": {{"constraint": "c", "message": "m"}}}}
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": constraint}
		with data.admission as {"t": {"violation": set()}}
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
	decision := gatehouse.decision with input as granted with data.constraints as constraints
	decision == denied(unnamed.message, [unnamed])
}

test_allow_no_constraints if {
	decision := gatehouse.decision with input as granted with data.constraints as {}
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": constraint}
		with data.admission as finding
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
	decision := gatehouse.decision with input as granted
		with data.constraints as {"c": constraint}
		with data.admission as finding
	decision == allowed([], [])
}

# An exclusion needs a subject to exclude.
test_deny_absent_subject_is_not_excluded if {
	applicable := gatehouse.applicable with input as {"request": {"route": "GET /orders"}}
		with data.constraints as {"c": {"template": "t", "match": {"excludedPrincipals": ["auth0|cust"]}}}
	applicable == {"c": {"template": "t", "match": {"excludedPrincipals": ["auth0|cust"]}}}
}
