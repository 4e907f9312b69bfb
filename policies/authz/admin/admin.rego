# METADATA
# scope: package
# title: Admin API
# description: Who may look after users.
package authz.admin

import data.gatehouse.principal

# METADATA
# title: List users
# description: All users. A scope is not enough, the user must have been granted it.
# custom:
#   code: admin.users
allow contains "admin.users" if {
	input.request.route == "GET /admin/users"
	principal.has_permission("admin:users")
}
