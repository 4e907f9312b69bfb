package gatehouse.shape_test

import data.gatehouse.shape

test_allow_strings if {
	{value | some value in [[], ["a"], ["a", "b"]]; shape.strings(value)} == {[], ["a"], ["a", "b"]}
}

test_deny_strings if {
	{value | some value in ["a", {"a": "b"}, {"a"}, {}, null, false, 0, [1], ["a", null]]; shape.strings(value)} == set()
}

test_allow_fields if {
	shape.fields({"a": 1, "b": false}, {"a", "b"})
	shape.fields({}, set())
}

test_deny_fields if {
	values := [{}, {"a": 1, "c": 1}, {"a": 1, "b": 1, "c": 1}, {"a": 1}, ["a", "b"], "ab", null, false]
	{value | some value in values; shape.fields(value, {"a", "b"})} == set()
}
