# METADATA
# scope: package
# title: Principal
# description: |
#   What the caller may do by scope, by permission and by role. Scopes say what the application may ask for, permissions
#   what the user was granted: a grant that must not hang on the application alone asks for the permission.
package gatehouse.principal

# METADATA
# title: Has permission
# description: Whether the token, or `data.attributes.roles` for one of the token's roles, gives the permission.
has_permission(permission) if {
	is_array(input.principal.permissions)
	permission in input.principal.permissions
}

has_permission(permission) if {
	is_array(input.principal.roles)
	some role in input.principal.roles
	is_array(data.attributes.roles[role])
	permission in data.attributes.roles[role]
}

# METADATA
# title: Has scope or permission
# description: Whether the token carries the scope of this name, or the caller has the permission of this name.
has_scope_or_permission(name) if {
	is_array(input.principal.scopes)
	name in input.principal.scopes
}

has_scope_or_permission(name) if has_permission(name)
