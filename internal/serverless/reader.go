package serverless

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader walks the document. Every node is resolved where it is read, so that a part that doesn't concern us may hold
// variables that nobody can resolve here.
type reader struct {
	root      *yaml.Node
	env       func(string) (string, bool)
	functions []entry
	shared    map[string]*Authorizer // provider.httpApi.authorizers
	settings  map[string]*Authorizer // the others, by protocol and name
	routes    map[string]int         // the line of each, by protocol and route
	names     map[string]string      // a path or a route, by protocol and its name in CloudFormation
	preflight map[string]CORS        // of the REST API so far, by path
	depth     int                    // of variables within variables
	steps     int                    // variables resolved so far
	faults    []located
}

type located struct {
	line int
	err  error
}

// keys are the keys of one part: read, ignored, and refused as not supported yet.
type keys struct{ read, ignore, later string }

// entry is one pair of a mapping.
type entry struct {
	name  string
	key   *yaml.Node
	value *yaml.Node
}

func (r *reader) fault(n *yaml.Node, format string, args ...any) {
	line := 1
	if n != nil {
		line = n.Line
	}
	r.faults = append(r.faults, located{line, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)})
}

// failure joins all faults by line. A part that several routes refer to is named once.
func (r *reader) failure() error {
	slices.SortStableFunc(r.faults, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.err.Error(), b.err.Error()))
	})
	var all []error
	for _, f := range slices.CompactFunc(r.faults, func(a, b located) bool { return a.err.Error() == b.err.Error() }) {
		all = append(all, f.err)
	}
	return errors.Join(all...)
}

// unmerged refuses merge keys wherever they stand: what one brings in would be deployed, and read by nobody here.
func (r *reader) unmerged(n *yaml.Node) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.ShortTag() == "!!merge" {
			r.fault(c, "merge keys are not supported: write the keys out")
		}
		r.unmerged(c)
	}
}

// mapping gives the pairs of a mapping in order; nothing for what is absent or null.
func (r *reader) mapping(n *yaml.Node, at string) []entry {
	n = r.resolve(n)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode || cloudFormation(n) {
		r.fault(n, "%s: want a mapping", at)
		return nil
	}
	var pairs []entry
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.fault(key, "%s: want text as a key", at)
			continue
		}
		if seen[key.Value] {
			r.fault(key, "%s: %q stands here twice", at, key.Value)
			continue
		}
		seen[key.Value] = true
		pairs = append(pairs, entry{key.Value, key, value})
	}
	return pairs
}

// fields gives the values of a mapping whose keys are known, by key. Values that are null count as absent.
func (r *reader) fields(n *yaml.Node, at string, k keys) map[string]*yaml.Node {
	values := map[string]*yaml.Node{}
	for _, e := range r.mapping(n, at) {
		has := func(names string) bool { return slices.Contains(strings.Fields(names), e.name) }
		switch {
		case has(k.read):
			if e.value.ShortTag() != "!!null" {
				values[e.name] = e.value
			} else if e.name == "authorizer" { // to the framework this is an open route
				r.fault(e.key, "%s.authorizer is empty: leave it out of a public route", at)
			}
		case has(k.later):
			r.fault(e.key, "%s.%s is not supported yet", at, e.name)
		case !has(k.ignore):
			r.fault(e.key, "%s: unknown key %q", at, e.name)
		}
	}
	return values
}

func (r *reader) list(n *yaml.Node, at string) []*yaml.Node {
	n = r.resolve(n)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode || cloudFormation(n) {
		r.fault(n, "%s: want a list", at)
		return nil
	}
	return n.Content
}

// texts reads one text or a list of them.
func (r *reader) texts(n *yaml.Node, at string) []string {
	if isText(n) {
		return []string{n.Value}
	}
	var all []string
	for _, item := range r.list(n, at) {
		all = append(all, r.text(item, at))
	}
	return all
}

// text reads a scalar: text, a number or a truth value as the file spells it; "" for what is absent.
func (r *reader) text(n *yaml.Node, at string) string {
	n = r.resolve(n)
	switch {
	case n == nil:
		return ""
	case cloudFormation(n):
		r.fault(n, "%s: CloudFormation's %s has no value before a deployment", at, intrinsic(n))
		return ""
	case n.Kind != yaml.ScalarNode:
		r.fault(n, "%s: want text", at)
		return ""
	}
	return n.Value
}

// required reads a text that must be there; parent is where it is missing.
func (r *reader) required(n *yaml.Node, at string, parent *yaml.Node) string {
	before := len(r.faults)
	v := r.text(n, at)
	if v == "" && len(r.faults) == before {
		r.fault(cmp.Or(n, parent), "%s is missing", at)
	}
	return v
}

func (r *reader) number(n *yaml.Node, at string, unset, low, high int) int {
	before := len(r.faults)
	v := r.text(n, at)
	if v == "" {
		if n != nil && len(r.faults) == before {
			r.fault(n, "%s: want a whole number from %d to %d", at, low, high)
		}
		return unset
	}
	i, err := strconv.Atoi(v)
	if err != nil || i < low || i > high {
		r.fault(n, "%s: want a whole number from %d to %d", at, low, high)
		return unset
	}
	return i
}

func (r *reader) boolean(n *yaml.Node, at string) bool {
	switch v := r.text(n, at); v {
	case "true":
		return true
	case "", "false":
		return false
	default:
		r.fault(n, "%s: want true or false", at)
		return false
	}
}

// deployed reads a text that may hold what CloudFormation fills in: {Ref: NAME}, {Fn::Sub: TEXT}, where the values are
// known on this machine too.
func (r *reader) deployed(n *yaml.Node, at string) string {
	n = r.resolve(n)
	if n == nil || !cloudFormation(n) {
		return r.text(n, at)
	}
	template := ""
	switch intrinsic(n) {
	case "!Ref", "Ref":
		template = "${" + referred(n) + "}"
	case "!Sub":
		template = n.Value
	case "Fn::Sub":
		template = n.Content[1].Value
	}
	if template == "" {
		return r.text(n, at)
	}
	return substitution.ReplaceAllStringFunc(template, func(variable string) string {
		switch name := variable[2 : len(variable)-1]; name {
		case "AWS::AccountId":
			return AccountID
		case "AWS::Region":
			return r.region()
		case "AWS::Partition":
			return Partition(r.region())
		case restResource:
			return RESTAPI
		case httpResource:
			return HTTPAPI
		case socketResource:
			return WebSocketAPI
		default:
			r.fault(n, "%s: CloudFormation's %s has no value before a deployment", at, variable)
			return ""
		}
	})
}

var substitution = regexp.MustCompile(`\$\{[^}]*\}`)

func isText(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str"
}

// cloudFormation says whether a node is a value that only a deployment can tell: !Sub, !GetAtt, {Ref: …}, {Fn::Join: …}.
func cloudFormation(n *yaml.Node) bool { return intrinsic(n) != "" }

func intrinsic(n *yaml.Node) string {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return n.Tag
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		if key := n.Content[0].Value; key == "Ref" || strings.HasPrefix(key, "Fn::") {
			return key
		}
	}
	return ""
}
