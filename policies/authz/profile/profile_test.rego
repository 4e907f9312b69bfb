package authz.profile_test

import data.authz.profile

test_allow_granted[note] if {
	some note, caller in {
		"scope": {"scopes": ["get:profile"]},
		"permission": {"permissions": ["get:profile"]},
		"role": {"roles": ["customer"]},
	}
	profile.allow == {"profile.read"} with input as {"request": {"route": "GET /profile"}, "principal": caller}
		with data.attributes.roles as {"customer": ["get:profile"]}
}

test_deny_not_granted[note] if {
	some note, document in {
		"empty": {},
		"nobody": {"request": {"route": "GET /profile"}},
		"nothing held": {"request": {"route": "GET /profile"}, "principal": {"scopes": ["openid"]}},
		"another route": {"request": {"route": "GET /orders"}, "principal": {"scopes": ["get:profile"]}},
		"no route": {"request": {}, "principal": {"scopes": ["get:profile"]}},
	}
	profile.allow == set() with input as document
}
