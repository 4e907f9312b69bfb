# METADATA
# scope: package
# title: Shape
# description: What constraints and their parameters are made of. Data that security teams edit is checked, not trusted.
package gatehouse.shape

import future.keywords.not

# METADATA
# title: Strings
# description: Whether a value is an array of strings, possibly empty.
strings(value) if {
	is_array(value)
	count([element | some element in value; not is_string(element)]) == 0
}

# METADATA
# title: Fields
# description: Whether a value is an object with exactly these fields, so that a misspelt one is noticed.
fields(value, names) if {
	is_object(value)
	object.keys(value) == names
}
