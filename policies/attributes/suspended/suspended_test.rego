# Holds for whoever stands in data.yaml: over a list of another shape, deny_subjects finds everybody guilty.
package attributes.suspended_test

import data.attributes.suspended

test_suspended_is_an_object_by_subject if is_object(suspended)
