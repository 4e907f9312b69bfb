# METADATA
# scope: package
# title: Orders API
# description: |
#   Who may list, read, create and delete orders. Each rule compares the route with `==`, so the engine finds the rules
#   of a route by index, however many there are.
package authz.orders

import data.gatehouse.principal

# METADATA
# title: List orders
# description: All orders.
# custom:
#   code: orders.read
allow contains "orders.read" if {
	input.request.route == "GET /orders"
	principal.has_scope_or_permission("read:orders")
}

# METADATA
# title: Read an order
# description: One order, by its id.
# custom:
#   code: orders.read
allow contains "orders.read" if {
	input.request.route == "GET /orders/{id}"
	principal.has_scope_or_permission("read:orders")
}

# METADATA
# title: List the caller's own orders
# description: The id in the path is the caller's subject; nothing else is needed.
# custom:
#   code: orders.read_own
allow contains "orders.read_own" if {
	input.request.route == "GET /users/{id}/orders"
	is_string(input.principal.subject)
	input.request.params.id == input.principal.subject
}

# METADATA
# title: List anybody's orders
# description: The orders of any user.
# custom:
#   code: orders.read_any
allow contains "orders.read_any" if {
	input.request.route == "GET /users/{id}/orders"
	principal.has_permission("read:orders:any")
}

# METADATA
# title: Create an order
# description: A new order of the caller.
# custom:
#   code: orders.create
allow contains "orders.create" if {
	input.request.route == "POST /orders"
	principal.has_scope_or_permission("write:orders")
}

# METADATA
# title: Delete an order
# description: A scope is not enough, the user must have been granted it.
# custom:
#   code: orders.delete
#   disclose: true
allow contains "orders.delete" if {
	input.request.route == "DELETE /orders/{id}"
	principal.has_permission("delete:orders")
}
