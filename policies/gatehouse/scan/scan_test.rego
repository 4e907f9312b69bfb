package gatehouse.scan_test

import data.gatehouse.scan

# Which instances are in scope is tested through the decision; here, what a template gets of them.
test_allow_instances if {
	instances := scan.instances with input as {"request": {"route": "GET /orders"}}
		with data.constraints as {
			"a": {"template": "t", "parameters": {"p": 1}},
			"b": {"template": "t"},
			"c": {"template": "t", "parameters": null, "match": {"routes": ["GET /orders"]}},
			"d": {"template": "u", "parameters": ["p"], "match": {"routes": []}},
			"e": {"template": "u", "match": {"routes": ["POST /orders"]}},
			"f": {"template": 1},
			"g": "t",
		}
	instances == {"t": {"a": {"p": 1}, "b": {}, "c": null}, "u": {"d": ["p"]}}
}

test_deny_faults if {
	faults := scan.faults with data.constraints as {"a": {"template": "t"}, "b": {"template": "u"}}
		with data.admission as {"t": {"violation": set()}, "u": {"violation": true}}
	faults == {{
		"constraint": "b",
		"template": "u",
		"action": "deny",
		"message": "template: missing, or its violation is not a set",
	}}
}

test_allow_fault_out_of_scope if {
	faults := scan.faults with input as {"request": {"route": "GET /orders"}}
		with data.constraints as {"a": {"template": "u", "match": {"routes": ["POST /orders"]}}}
		with data.admission as {}
	faults == set()
}
