# Holds for whatever stands in data.yaml. Over a list of another shape deny_revoked finds everybody guilty, and a time
# that cannot be read is an error for those whom it is about: both are better seen here than by them.
package attributes.revoked_test

import data.attributes.revoked

test_list_is_an_object[list] if {
	some list in ["subjects", "tokens", "issued_before"]
	is_object(revoked[list])
}

# With an entry of its own, so that there is a case when nobody is listed.
test_issued_before_is_an_rfc_3339_time_with_a_zone[whom] if {
	some whom, before in object.union({"nobody": "2026-11-22T10:00:00Z"}, revoked.issued_before)
	is_number(time.parse_rfc3339_ns(before))
}
