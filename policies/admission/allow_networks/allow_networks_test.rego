package admission.allow_networks_test

import data.admission.allow_networks

elsewhere := "the caller's address is in none of the allowed networks"

findings(parameters, document) := found if {
	found := allow_networks.violation with input as document
		with data.constraints as {
			"c": {"template": "allow_networks", "parameters": parameters},
			"another": {"template": "require_scope", "parameters": parameters},
		}
}

test_allow_satisfied[note] if {
	some note, case in {
		"in it": {"cidrs": ["203.0.113.0/24"], "ip": "203.0.113.9"},
		"its first address": {"cidrs": ["203.0.113.0/24"], "ip": "203.0.113.0"},
		"its last address": {"cidrs": ["203.0.113.0/24"], "ip": "203.0.113.255"},
		"not on a byte's border": {"cidrs": ["198.51.100.64/27"], "ip": "198.51.100.95"},
		"in the second": {"cidrs": ["10.0.0.0/8", "203.0.113.0/24"], "ip": "203.0.113.9"},
		"one address": {"cidrs": ["203.0.113.9/32"], "ip": "203.0.113.9"},
		"named by another of its addresses": {"cidrs": ["203.0.113.200/24"], "ip": "203.0.113.9"},
		"IPv6": {"cidrs": ["2001:db8::/32"], "ip": "2001:db8:ffff::1"},
		"one IPv6 address": {"cidrs": ["2001:db8::1/128"], "ip": "2001:db8:0::1"},
		"IPv4 within IPv6": {"cidrs": ["203.0.113.0/24"], "ip": "::ffff:203.0.113.9"},
		"all of IPv4": {"cidrs": ["0.0.0.0/0"], "ip": "203.0.113.9"},
	}
	findings({"cidrs": case.cidrs}, {"request": {"source_ip": case.ip}}) == set()
}

test_deny_elsewhere[note] if {
	some note, case in {
		"before it": {"cidrs": ["203.0.113.0/24"], "ip": "203.0.112.255"},
		"behind it": {"cidrs": ["203.0.113.0/24"], "ip": "203.0.114.0"},
		"not on a byte's border": {"cidrs": ["198.51.100.64/27"], "ip": "198.51.100.96"},
		"in none of two": {"cidrs": ["10.0.0.0/8", "192.168.0.0/16"], "ip": "203.0.113.9"},
		"another address": {"cidrs": ["203.0.113.9/32"], "ip": "203.0.113.8"},
		"IPv6": {"cidrs": ["2001:db8::/32"], "ip": "2001:db9::1"},
		"IPv6 against all of IPv4": {"cidrs": ["0.0.0.0/0"], "ip": "2001:db8::1"},
		"IPv4 against all of IPv6": {"cidrs": ["::/0"], "ip": "203.0.113.9"},
	}
	found := findings({"cidrs": case.cidrs}, {"request": {"source_ip": case.ip}})
	found == {{"constraint": "c", "message": elsewhere}}
}

test_deny_unsatisfied[note] if {
	some note, document in {
		"empty": {},
		"no address": {"request": {}},
		"null request": {"request": null},
		"null": {"request": {"source_ip": null}},
		"number": {"request": {"source_ip": 3405803785}},
		"false": {"request": {"source_ip": false}},
		"list": {"request": {"source_ip": ["203.0.113.9"]}},
		"in a header": {"request": {"headers": {"x-forwarded-for": ["203.0.113.9"]}}},
	}
	findings({"cidrs": ["0.0.0.0/0", "::/0"]}, document) == {{"constraint": "c", "message": elsewhere}}
}

# What is no network at all is an error of the built-in.
test_deny_parameters[note] if {
	some note, parameters in {
		"empty": {},
		"null": null,
		"text": "203.0.113.0/24",
		"list": ["203.0.113.0/24"],
		"misspelt": {"cidr": ["203.0.113.0/24"]},
		"text cidrs": {"cidrs": "203.0.113.0/24"},
		"object cidrs": {"cidrs": {"a": "203.0.113.0/24"}},
		"no cidrs": {"cidrs": []},
		"null cidrs": {"cidrs": null},
	}
	found := findings(parameters, {"request": {"source_ip": "203.0.113.9"}})
	found == {{"constraint": "c", "message": elsewhere}}
}

test_deny_absent_parameters if {
	found := allow_networks.violation with input as {"request": {"source_ip": "203.0.113.9"}}
		with data.constraints as {"c": {"template": "allow_networks"}}
	found == {{"constraint": "c", "message": elsewhere}}
}
