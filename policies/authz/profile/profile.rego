# METADATA
# scope: package
# title: Profile API
# description: Who may see the caller's own profile.
package authz.profile

import data.gatehouse.principal

# METADATA
# title: Read the profile
# description: The caller's own profile.
# custom:
#   code: profile.read
allow contains "profile.read" if {
	input.request.route == "GET /profile"
	principal.has_scope_or_permission("get:profile")
}
