# The shipped sample: what each of its people gets on each of its routes, by the roles, lists and constraints that are
# shipped. When you change roles, people or constraints on purpose, change this table with them: it is the one Rego test
# that holds the live data. Nothing here needs a change for further routes, roles, constraints or suspended subjects.
package gatehouse.sample_test

import data.gatehouse

customer := {"subject": "auth0|cust", "roles": ["customer"], "scopes": ["openid"], "organization": "org_home"}

support := {"subject": "auth0|supp", "roles": ["support"], "scopes": ["openid"], "organization": "org_home"}

people := {
	"customer": customer,
	"support": support,
	"support with a second factor": object.union(support, {"claims": {"amr": ["mfa"]}}),
	"admin": {"subject": "auth0|adm", "roles": ["admin"], "scopes": ["openid"], "organization": "org_home"},
	"suspended": {"subject": "auth0|susp", "roles": ["customer"], "scopes": ["openid"], "organization": "org_home"},
	"outsider": {"subject": "auth0|out", "roles": ["customer"], "scopes": ["openid"], "organization": "org_other"},
	"machine": {"subject": "robot@clients", "roles": [], "scopes": ["read:orders"]},
}

# A Monday, in office hours. On somebody's own orders, the id in the path is the caller's subject.
requests := {
	"GET /profile": {"route": "GET /profile"},
	"GET /orders": {"route": "GET /orders"},
	"GET /orders on a Sunday": {"route": "GET /orders", "time": "2026-11-22T10:00:00Z"},
	"GET /orders/{id}": {"route": "GET /orders/{id}", "params": {"id": "42"}},
	"GET /users/{id}/orders, own": {"route": "GET /users/{id}/orders"},
	"GET /users/{id}/orders, another's": {"route": "GET /users/{id}/orders", "params": {"id": "auth0|someone"}},
	"POST /orders": {"route": "POST /orders"},
	"DELETE /orders/{id}": {"route": "DELETE /orders/{id}", "params": {"id": "42"}},
	"GET /admin/users": {"route": "GET /admin/users"},
}

# The codes of the grants; none where a request is left out.
customer_grants := {
	"GET /profile": ["profile.read"],
	"GET /orders": ["orders.read"],
	"GET /orders on a Sunday": ["orders.read"],
	"GET /orders/{id}": ["orders.read"],
	"GET /users/{id}/orders, own": ["orders.read_own"],
	"POST /orders": ["orders.create"],
}

support_grants := object.union(customer_grants, {
	"GET /users/{id}/orders, own": ["orders.read_any", "orders.read_own"],
	"GET /users/{id}/orders, another's": ["orders.read_any"],
	"DELETE /orders/{id}": ["orders.delete"],
})

grants := {
	"customer": customer_grants,
	"support": support_grants,
	"support with a second factor": support_grants,
	"admin": object.union(support_grants, {"GET /admin/users": ["admin.users"]}),
	"suspended": customer_grants,
	"outsider": customer_grants,
	"machine": {
		"GET /orders": ["orders.read"],
		"GET /orders on a Sunday": ["orders.read"],
		"GET /orders/{id}": ["orders.read"],
		"GET /users/{id}/orders, own": ["orders.read_own"],
	},
}

# What the constraints find: about whom on every route, and on which request about everybody but those excepted.
found_in_person := {
	"suspended": {"suspended: deny"},
	"outsider": {"home-organization: deny"},
	"machine": {"openid-scope: dryrun"},
}

found_in_request := {
	"GET /orders on a Sunday": {"finding": "office-hours: dryrun", "except": set()},
	"DELETE /orders/{id}": {"finding": "mfa-for-deletes: warn", "except": {"support with a second factor"}},
}

# Further constraints may find what they like, as long as the answer stays.
instances := {"home-organization", "mfa-for-deletes", "office-hours", "openid-scope", "suspended"}

table[note] := {"input": asked, "want": want} if {
	some person, principal in people
	some name, request in requests
	note := sprintf("%s: %s", [person, name])
	asked := {
		"version": "v1",
		"request": object.union({"time": "2026-11-23T10:00:00Z", "params": {"id": principal.subject}}, request),
		"principal": object.union({"permissions": [], "claims": {}}, principal),
	}
	granted := object.get(grants[person], name, [])
	in_request := {found.finding | found := found_in_request[name]; not person in found.except}
	findings := object.get(found_in_person, person, set()) | in_request
	want := object.union(outcome(granted, findings), {"grants": granted, "findings": findings})
}

# Nobody is granted nothing, and every constraint that looks at the caller or the clock has its finding.
table["nobody: an empty input"] := {"input": {}, "want": {
	"allowed": false,
	"reason": "NotGranted",
	"grants": [],
	"findings": {"home-organization: deny", "office-hours: dryrun", "openid-scope: dryrun", "suspended: deny"},
}}

outcome(granted, findings) := {"allowed": false, "reason": "NotGranted"} if {
	granted == []
} else := {"allowed": false, "reason": "ConstraintViolated"} if {
	some finding in findings
	endswith(finding, ": deny")
} else := {"allowed": true, "reason": "Granted"}

answer(document) := {
	"allowed": decision.allowed,
	"reason": decision.status.reason,
	"grants": decision.grants,
	"findings": findings,
} if {
	decision := gatehouse.decision with input as document
	violations := [v | some v in decision.violations; v.constraint in instances]
	findings := {sprintf("%s: %s", [v.constraint, v.action]) | some v in violations}
}

allowed := {note: row | some note, row in table; row.want.allowed}

denied := {note: row | some note, row in table; not row.want.allowed}

test_allow_sample[note] if {
	some note, row in allowed
	answer(row.input) == row.want
}

test_deny_sample[note] if {
	some note, row in denied
	answer(row.input) == row.want
}
