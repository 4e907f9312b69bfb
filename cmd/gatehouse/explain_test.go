package main

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/authorizer/pdp"
)

// A long value is cut on the screen, at a rune, and an absent one is said to be.
func TestShown(t *testing.T) {
	at := pdp.Place{File: "a/data.yaml", Line: 3}
	tests := map[string]struct {
		value pdp.Value
		want  string
	}{
		"absent":  {pdp.Value{Name: "input.a"}, "input.a is absent"},
		"null":    {pdp.Value{Name: "input.a", Value: json.RawMessage("null")}, "input.a = null"},
		"a place": {pdp.Value{Name: "data.a", Value: json.RawMessage("1"), Place: &at}, "data.a = 1  a/data.yaml:3"},
		"long": {pdp.Value{Name: "x", Value: json.RawMessage(`"` + strings.Repeat("é", 200) + `"`)},
			`x = "` + strings.Repeat("é", 99) + "…"},
	}
	for note, test := range tests {
		if got := shown(test.value); got != test.want {
			t.Errorf("%s: got %q, want %q", note, got, test.want)
		}
	}
}

// What an inner condition only repeats under other names is left out on the screen.
func TestConditionsAreSaidOnce(t *testing.T) {
	value := func(name string) []pdp.Value { return []pdp.Value{{Name: name, Value: json.RawMessage(`"v"`)}} }
	var w page
	w.conditions(0, []pdp.Condition{{
		Place: pdp.Place{File: "a.rego", Line: 1}, Source: "f(x)", Saw: value("x"),
		Within: []pdp.Condition{
			{Place: pdp.Place{File: "a.rego", Line: 5}, Source: "y in ys", Saw: value("y")},
			{Place: pdp.Place{File: "a.rego", Line: 6}, Source: "z", Saw: []pdp.Value{{Name: "z"}}, Holds: true},
		},
	}}, nil)
	if got, want := w.text.String(), "fails: f(x)  a.rego:1\n  x = \"v\"\n  holds: z  a.rego:6\n    z is absent\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
