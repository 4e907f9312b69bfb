package authz.orders_test

import data.authz.orders

routes := {
	"GET /orders": {"permission": "read:orders", "scope": true, "code": "orders.read"},
	"GET /orders/{id}": {"permission": "read:orders", "scope": true, "code": "orders.read"},
	"GET /users/{id}/orders": {"permission": "read:orders:any", "scope": false, "code": "orders.read_any"},
	"POST /orders": {"permission": "write:orders", "scope": true, "code": "orders.create"},
	"DELETE /orders/{id}": {"permission": "delete:orders", "scope": false, "code": "orders.delete"},
}

permissions := {"read:orders", "read:orders:any", "write:orders", "delete:orders", "admin:users", "get:profile"}

# Each permission, alone, opens its routes and no other.
test_allow_permission[note] if {
	some route, want in routes
	some permission in permissions
	note := sprintf("%s with %s", [route, permission])
	caller := {"subject": "auth0|cust", "permissions": [permission]}
	allow := orders.allow with input as {"request": {"route": route, "params": {"id": "42"}}, "principal": caller}
	allow == {want.code | permission == want.permission}
}

test_allow_scope[note] if {
	some route, want in routes
	some scope in permissions
	note := sprintf("%s with %s", [route, scope])
	caller := {"subject": "auth0|cust", "scopes": [scope]}
	allow := orders.allow with input as {"request": {"route": route, "params": {"id": "42"}}, "principal": caller}
	allow == {want.code | want.scope; scope == want.permission}
}

test_allow_own_orders if {
	orders.allow == {"orders.read_own"} with input as {
		"request": {"route": "GET /users/{id}/orders", "params": {"id": "auth0|cust"}},
		"principal": {"subject": "auth0|cust"},
	}
}

test_deny_own_orders[note] if {
	some note, case in {
		"another's": {"params": {"id": "auth0|supp"}, "principal": {"subject": "auth0|cust"}},
		"another case": {"params": {"id": "AUTH0|cust"}, "principal": {"subject": "auth0|cust"}},
		"a part": {"params": {"id": "auth0"}, "principal": {"subject": "auth0|cust"}},
		"no params": {"params": {}, "principal": {"subject": "auth0|cust"}},
		"no subject": {"params": {"id": "auth0|cust"}, "principal": {}},
		"null": {"params": {"id": null}, "principal": {"subject": null}},
		"number": {"params": {"id": 1}, "principal": {"subject": 1}},
		"scope": {"params": {"id": "auth0|supp"}, "principal": {"subject": "a", "scopes": ["read:orders:any"]}},
	}
	orders.allow == set() with input as {
		"request": {"route": "GET /users/{id}/orders", "params": case.params},
		"principal": case.principal,
	}
}

test_deny_elsewhere[note] if {
	some note, request in {
		"no route": {},
		"another": {"route": "GET /profile"},
		"unknown": {"route": "PUT /orders/{id}"},
		"a path": {"route": "GET /orders/42"},
		"null": {"route": null},
	}
	orders.allow == set() with input as {
		"request": object.union(request, {"params": {"id": "auth0|cust"}}),
		"principal": {"subject": "auth0|cust", "permissions": [permission | some permission in permissions]},
	}
}
