# The shipped sample: what each of its people gets on each of its routes, by the roles, lists and constraints that are
# shipped, while nothing is revoked. When you change roles, people or constraints on purpose, change this table with
# them. Nothing here needs a change for further routes, roles, suspended or revoked subjects. A further constraint
# changes no row as long as it changes no answer, but then no row would notice its loss: give it a test of its own in
# this folder (docs/policies.md, "Its test").
package gatehouse.sample_test

import data.gatehouse

customer := {"subject": "auth0|cust", "roles": ["customer"], "scopes": ["openid"], "organization": "org_home"}

support := {"subject": "auth0|supp", "roles": ["support"], "scopes": ["openid"], "organization": "org_home"}

multi_factor := "http://schemas.openid.net/pape/policies/2007/06/multi-factor"

people := {
	"customer": customer,
	"support": support,
	"support with a second factor": object.union(support, {"claims": {"amr": ["mfa"]}}),
	"support with Auth0's mark of one": object.union(support, {"claims": {"acr": multi_factor}}),
	"admin": {"subject": "auth0|adm", "roles": ["admin"], "scopes": ["openid"], "organization": "org_home"},
	"suspended": {"subject": "auth0|susp", "roles": ["customer"], "scopes": ["openid"], "organization": "org_home"},
	"outsider": {"subject": "auth0|out", "roles": ["customer"], "scopes": ["openid"], "organization": "org_other"},
	"machine": {"subject": "robot@clients", "roles": [], "scopes": ["read:orders"]},
}

# A Monday, in office hours, from a known network, with a token of the same morning (1795428000 is 10:00 UTC). On
# somebody's own orders, the id in the path is the caller's subject.
plain := {"time": "2026-11-23T10:00:00Z", "source_ip": "203.0.113.9"}

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
	"support with Auth0's mark of one": support_grants,
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
	"GET /orders on a Sunday": [{"finding": "office-hours: dryrun", "except": set()}],
	"POST /orders": [{"finding": "freeze: dryrun", "except": set()}],
	"DELETE /orders/{id}": [
		{"finding": "freeze: dryrun", "except": set()},
		{
			"finding": "mfa-for-deletes: warn",
			"except": {"support with a second factor", "support with Auth0's mark of one"},
		},
	],
}

# Further constraints may find what they like, as long as the answer stays.
instances := {
	"blocked-clients",
	"freeze",
	"fresh-token",
	"home-organization",
	"known-networks",
	"mfa-for-deletes",
	"office-hours",
	"openid-scope",
	"revoked",
	"suspended",
}

table[note] := {"input": asked, "want": want} if {
	some person, principal in people
	some name, request in requests
	note := sprintf("%s: %s", [person, name])
	asked := {
		"version": "v1",
		"request": object.union_n([plain, {"method": split(name, " ")[0], "params": {"id": principal.subject}}, request]),
		"principal": object.union({"permissions": [], "claims": {"iat": 1795420800}}, principal),
	}
	granted := object.get(grants[person], name, [])
	in_request := {found.finding | some found in found_in_request[name]; not person in found.except}
	findings := object.get(found_in_person, person, set()) | in_request
	want := object.union(outcome(granted, findings), {"grants": granted, "findings": findings})
}

# Nobody is granted nothing, and every constraint that looks at the caller or the clock has its finding.
table["nobody: an empty input"] := {"input": {}, "want": {
	"allowed": false,
	"reason": "NotGranted",
	"grants": [],
	"findings": {
		"blocked-clients: dryrun",
		"freeze: dryrun",
		"fresh-token: dryrun",
		"home-organization: deny",
		"known-networks: dryrun",
		"office-hours: dryrun",
		"openid-scope: dryrun",
		"revoked: deny",
		"suspended: deny",
	},
}}

# At the edges of what is only recorded: one constraint's finding, or none, and the answer is yes all the same.
edges := {
	"office-hours": {
		"within": {{"time": time_} | some time_ in [
			"2026-11-23T07:00:00Z",
			"2026-11-24T12:00:00Z",
			"2026-11-25T12:00:00Z",
			"2026-11-26T12:00:00Z",
			"2026-11-27T16:59:59Z",
		]},
		"beyond": {{"time": time_} | some time_ in [
			"2026-11-23T06:59:59Z",
			"2026-11-27T17:00:00Z",
			"2026-11-28T12:00:00Z",
			"2026-11-29T12:00:00Z",
		]},
	},
	"known-networks": {
		"within": {{"source_ip": ip} | some ip in ["192.0.2.1", "203.0.113.1", "2001:db8::1", "127.0.0.1", "::1"]},
		"beyond": {{"source_ip": ip} | some ip in ["192.0.3.1", "203.0.114.1", "2001:db9::1", "128.0.0.1", "::2"]},
	},
	"freeze": {
		"within": {{"method": method} | some method in ["GET", "HEAD", "OPTIONS"]},
		"beyond": {{"method": method} | some method in ["POST", "PUT", "PATCH", "DELETE"]},
	},
}

at_the_edge[note] := {"input": asked, "want": want} if {
	some constraint, sides in edges
	some side, requested in sides
	some request in requested
	note := sprintf("%s: %s: %v", [constraint, side, request])
	asked := {
		"version": "v1",
		"request": object.union_n([plain, {"method": "GET", "route": "GET /orders"}, request]),
		"principal": object.union(customer, {"permissions": [], "claims": claims_at(request)}),
	}
	want := {
		"allowed": true,
		"reason": "Granted",
		"grants": ["orders.read"],
		"findings": {sprintf("%s: dryrun", [constraint]) | side == "beyond"},
	}
}

# A token of the request's own time, so that its age is found only where it is asked for.
claims_at(request) := {"iat": time.parse_rfc3339_ns(object.get(request, "time", plain.time)) / 1000000000}

at_the_edge[sprintf("a token of twelve hours and %d s", [more])] := {"input": asked, "want": want} if {
	some more in [0, 1]
	asked := {
		"version": "v1",
		"request": object.union(plain, {"method": "GET", "route": "GET /orders"}),
		"principal": object.union(customer, {"permissions": [], "claims": {"iat": (1795428000 - 43200) - more}}),
	}
	want := {
		"allowed": true,
		"reason": "Granted",
		"grants": ["orders.read"],
		"findings": {"fresh-token: dryrun" | more > 0},
	}
}

outcome(granted, findings) := {"allowed": false, "reason": "NotGranted"} if {
	granted == []
} else := {"allowed": false, "reason": "ConstraintViolated"} if {
	some finding in findings
	endswith(finding, ": deny")
} else := {"allowed": true, "reason": "Granted"}

# What is revoked in an incident, everybody's tokens perhaps, is not the sample's to know.
nothing_revoked := {"subjects": {}, "tokens": {}, "issued_before": {}}

answer(document) := {
	"allowed": decision.allowed,
	"reason": decision.status.reason,
	"grants": decision.grants,
	"findings": findings,
} if {
	decision := gatehouse.decision with input as document with data.attributes.revoked as nothing_revoked
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

test_allow_edges[note] if {
	some note, row in at_the_edge
	answer(row.input) == row.want
}
