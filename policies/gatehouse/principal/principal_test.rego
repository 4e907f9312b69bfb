package gatehouse.principal_test

import data.gatehouse.principal

roles := {
	"clerk": ["read:orders", "write:orders"],
	"guard": ["admin:users"],
	"text": "read:orders",
	"none": null,
	"object": {"0": "read:orders"},
}

test_allow_permission[note] if {
	some note, caller in {
		"token": {"permissions": ["write:orders", "read:orders"]},
		"role": {"permissions": [], "roles": ["clerk"]},
		"second role": {"roles": ["unknown", "guard", "clerk"]},
		"both": {"permissions": ["read:orders"], "roles": ["clerk"]},
	}
	principal.has_permission("read:orders") with input.principal as caller with data.attributes.roles as roles
	principal.has_scope_or_permission("read:orders") with input.principal as caller
		with data.attributes.roles as roles
}

test_deny_permission[note] if {
	some note, caller in {
		"empty": {},
		"null": null,
		"text": "read:orders",
		"empty lists": {"scopes": [], "permissions": [], "roles": []},
		"others": {"scopes": ["openid"], "permissions": ["read:orders:any", "read"], "roles": ["guard"]},
		"unknown role": {"roles": ["auditor"]},
		"role by another case": {"roles": ["Clerk"]},
		"permission as role": {"roles": ["read:orders"]},
		"role as permission": {"permissions": ["clerk"]},
		"text permissions": {"permissions": "read:orders"},
		"object permissions": {"permissions": {"0": "read:orders"}},
		"text roles": {"roles": "clerk"},
		"object roles": {"roles": {"0": "clerk"}},
		"misshapen roles": {"roles": ["text", "none", "object", 1, null]},
		"text scopes": {"scopes": "read:orders"},
		"object scopes": {"scopes": {"0": "read:orders"}},
	}
	not principal.has_permission("read:orders") with input.principal as caller with data.attributes.roles as roles
	not principal.has_scope_or_permission("read:orders") with input.principal as caller
		with data.attributes.roles as roles
}

# A scope says what the application may ask for, not what the user was granted.
test_deny_scope_is_no_permission if {
	caller := {"scopes": ["delete:orders"], "permissions": [], "roles": []}
	not principal.has_permission("delete:orders") with input.principal as caller
	principal.has_scope_or_permission("delete:orders") with input.principal as caller
}
