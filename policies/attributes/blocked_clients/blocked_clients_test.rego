# Holds for whatever stands in data.yaml: over a list of another shape, deny_clients finds every application guilty.
package attributes.blocked_clients_test

import data.attributes.blocked_clients

test_blocked_clients_is_an_object_by_client_id if is_object(blocked_clients)
