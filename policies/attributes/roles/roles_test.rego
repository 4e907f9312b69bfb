# Holds for whatever stands in data.yaml: a role of another shape would give nothing to those who have it.
package attributes.roles_test

import data.attributes.roles

test_role_is_a_list_of_permissions[role] if {
	some role, permissions in roles
	is_array(permissions)
	every permission in permissions {
		is_string(permission)
	}
}
