package serverless

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Partition is the part of AWS that a region belongs to, as ARNs spell it.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// Variables follow the framework's guide "Variables" (v3): ${source:address, fallback}, nested to any depth that makes
// sense. A file that builds more than this is refused before it costs anything.
const (
	maxDepth = 20
	maxSteps = 10_000
	maxValue = 8 << 10 // twice what Lambda takes as an environment
)

// What stands for an account and its APIs wherever there are none. The account is the one that AWS's own documents use.
const (
	AccountID    = "123456789012"
	RESTAPI      = "localrest0"
	HTTPAPI      = "localhttp0"
	WebSocketAPI = "localwebs0"
)

// resolve gives a node with its alias followed and its variables replaced: nil for what is absent, null, or has a fault
// (which is then named). The node of a variable's value keeps its own line.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "${") || cloudFormation(n) {
		return n
	}
	if r.depth++; r.depth > maxDepth {
		r.fault(n, "variables refer to each other without end")
		r.depth--
		return nil
	}
	defer func() { r.depth-- }()
	v, err := r.expand(n.Value)
	if err != nil {
		r.fault(n, "%w", err)
		return nil
	}
	if v.Line == 0 {
		v.Line, v.Column = n.Line, n.Column
	}
	return v
}

// expand replaces the variables of a text. A text that is one variable becomes that variable's value, of any kind.
func (r *reader) expand(text string) (*yaml.Node, error) {
	var out strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		if !found {
			return scalar(out.String()), nil
		}
		end := closing(after)
		if end < 0 {
			return nil, fmt.Errorf("variable %q has no end", "${"+after)
		}
		body := after[:end]
		rest = after[end+1:]
		if strings.HasPrefix(body, "AWS::") { // CloudFormation's own: it stays
			out.WriteString("${" + body + "}")
			continue
		}
		v, err := r.variable(body)
		if err != nil {
			return nil, err
		}
		if out.Len() == 0 && rest == "" {
			return v, nil
		}
		if v.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("variable ${%s} is not text and stands within text", body)
		}
		if out.WriteString(v.Value); out.Len() > maxValue {
			return nil, fmt.Errorf("variable ${%s} grows beyond %d bytes", body, maxValue)
		}
	}
}

// closing gives the index of the brace that ends a variable whose "${" was already read, or -1.
func closing(s string) int { return outside(s, '}') }

// outside gives the first index of a character that stands in no quotes and no inner braces, or -1.
func outside(s string, want byte) int {
	depth, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == want && depth == 0:
			return i
		case c == '\'' || c == '"':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
	}
	return -1
}

// variable tries the sources of one variable from left to right.
func (r *reader) variable(body string) (*yaml.Node, error) {
	if r.steps++; r.steps > maxSteps {
		return nil, fmt.Errorf("variable ${%s}: more than %d variables", body, maxSteps)
	}
	for _, source := range sources(body) {
		v, err := r.source(strings.TrimSpace(source), body)
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, fmt.Errorf("variable ${%s} has no value and no fallback", body)
}

// sources splits a variable's body at the commas that stand in no quotes and no inner variable.
func sources(body string) []string {
	var parts []string
	for {
		i := outside(body, ',')
		if i < 0 {
			return append(parts, body)
		}
		parts, body = append(parts, body[:i]), body[i+1:]
	}
}

// source gives the value of one source: nil where it has none, so that the next one counts.
func (r *reader) source(s, body string) (*yaml.Node, error) {
	if strings.Contains(s, "${") && !quoted(s) {
		n := r.resolve(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s})
		if n == nil {
			return nil, fmt.Errorf("variable ${%s} needs a value that is not there", body)
		}
		if strings.HasPrefix(s, "${") && closing(s[2:]) == len(s)-3 || n.Kind != yaml.ScalarNode {
			return n, nil // a whole variable as a fallback
		}
		s = n.Value
	}
	if quoted(s) {
		return scalar(s[1 : len(s)-1]), nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil || s == "true" || s == "false" {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: s}, nil
	}
	kind, address, _ := strings.Cut(s, ":")
	switch {
	case kind == "self":
		return r.self(address), nil
	case kind == "env":
		if r.env != nil {
			if v, ok := r.env(address); ok {
				return scalar(v), nil
			}
		}
		return nil, nil
	case kind == "opt": // the command line of the framework, which is not ours
		return nil, nil
	case s == "sls:stage":
		return scalar(r.stage()), nil
	case s == "aws:region":
		return scalar(r.region()), nil
	case s == "aws:accountId":
		return scalar(AccountID), nil
	case s == "aws:partition":
		return scalar("aws"), nil
	}
	return nil, fmt.Errorf("variable ${%s} has a source that is not supported", body)
}

func quoted(s string) bool {
	return len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0]
}

func scalar(v string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v} }

// self looks up a dotted address in this file: keys of mappings, indices of lists.
func (r *reader) self(address string) *yaml.Node {
	n := r.resolve(r.root)
	for name := range strings.SplitSeq(address, ".") {
		if n = r.resolve(child(n, name)); n == nil {
			return nil
		}
	}
	return n
}

func child(n *yaml.Node, name string) *yaml.Node {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// stage is ${sls:stage}: provider.stage, or "dev".
func (r *reader) stage() string { return r.provider("stage", "dev") }

func (r *reader) region() string { return r.provider("region", "us-east-1") }

func (r *reader) provider(name, unset string) string {
	n := r.resolve(child(r.resolve(r.root), "provider"))
	if v := r.text(child(n, name), "provider."+name); v != "" {
		return v
	}
	return unset
}
