package bundle_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse/internal/bundle"
)

func TestPlace(t *testing.T) {
	b, err := bundle.Read(fstest.MapFS{
		"constraints/mfa/data.yaml":       {Data: []byte("# why\ntemplate: t\nmatch:\n  routes:\n    - GET /a\n")},
		"attributes/suspended/data.json":  {Data: []byte("{\n  \"a\": {\n    \"b\": 1\n  },\n  \"auth0|x\": \"why\"\n}\n")},
		"attributes/broken/data.yaml":     {Data: []byte("a: [")},
		"attributes/nothing/data.yaml":    {Data: []byte("")},
		"authz/orders/orders.rego":        {Data: []byte("package authz.orders\n")},
		"attributes/suspended/README.md":  {Data: []byte("a: 1\n")},
		"constraints/another/thing.rego":  {Data: []byte("package constraints.another\n")},
		"constraints/mfa2/data.yaml":      {Data: []byte("template: u\n")},
		"constraints/mfa_three/data.yaml": {Data: []byte("[1]\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		file string
		line int
	}{
		{"constraints mfa", "constraints/mfa/data.yaml", 2},
		{"constraints mfa template", "constraints/mfa/data.yaml", 2},
		{"constraints mfa match routes", "constraints/mfa/data.yaml", 4},
		{"constraints mfa match routes 0", "constraints/mfa/data.yaml", 4},
		{"constraints mfa match absent", "", 0},
		{"constraints mfa absent", "", 0},
		{"constraints mfa2 template", "constraints/mfa2/data.yaml", 1},
		{"constraints mfa_three 0", "constraints/mfa_three/data.yaml", 1},
		{"constraints", "", 0},
		{"constraints none", "", 0},
		{"attributes suspended", "attributes/suspended/data.json", 1},
		{"attributes suspended auth0|x", "attributes/suspended/data.json", 5},
		{"attributes suspended auth0|x more", "attributes/suspended/data.json", 5},
		{"attributes suspended a b", "attributes/suspended/data.json", 3},
		{"attributes broken a", "", 0},
		{"attributes nothing", "", 0},
		{"authz orders", "", 0},
	}
	for _, test := range tests {
		if file, line := b.Place(strings.Fields(test.path)...); file != test.file || line != test.line {
			t.Errorf("%s: got %s:%d, want %s:%d", test.path, file, line, test.file, test.line)
		}
	}
}
