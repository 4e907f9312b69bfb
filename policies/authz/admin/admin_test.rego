package authz.admin_test

import data.authz.admin

roles := {"support": ["delete:orders"], "admin": ["delete:orders", "admin:users"]}

test_allow_granted[note] if {
	some note, caller in {
		"permission": {"permissions": ["admin:users"]},
		"role": {"roles": ["admin"]},
	}
	admin.allow == {"admin.users"} with input as {"request": {"route": "GET /admin/users"}, "principal": caller}
		with data.attributes.roles as roles
}

test_deny_not_granted[note] if {
	some note, document in {
		"empty": {},
		"nobody": {"request": {"route": "GET /admin/users"}},
		"scope": {"request": {"route": "GET /admin/users"}, "principal": {"scopes": ["admin:users"]}},
		"support": {"request": {"route": "GET /admin/users"}, "principal": {"roles": ["support"]}},
		"another route": {"request": {"route": "GET /orders"}, "principal": {"permissions": ["admin:users"]}},
	}
	admin.allow == set() with input as document with data.attributes.roles as roles
}
