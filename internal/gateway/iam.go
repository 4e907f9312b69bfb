package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// effect is what a policy says about one request. The zero value denies.
type effect int

const (
	implicitDeny effect = iota // nothing allows it
	explicitDeny               // a statement forbids it
	allow
)

// invokeAction is what every request to an API is called (API Gateway Developer Guide, "Control access for invoking an
// API": Action format).
const invokeAction = "execute-api:Invoke"

// maxResource is the longest Resource that API Gateway takes in an authorizer's policy (API Gateway Developer Guide,
// "Output from an API Gateway Lambda authorizer").
const maxResource = 512

// iamRequest is what a policy is evaluated for. A header that the client did not send is empty.
type iamRequest struct {
	action, resource   string
	time               time.Time
	sourceIP           string
	userAgent, referer string
	secure             bool // over TLS
}

// iamRequest is this request, for a policy that may be older than it.
func (c *call) iamRequest() iamRequest {
	ip, _, _ := strings.Cut(c.ip, "%") // the zone means something to this machine only
	return iamRequest{
		action: invokeAction, resource: c.arn(), time: c.time, sourceIP: ip,
		userAgent: c.request.UserAgent(), referer: c.request.Referer(), secure: true, // API Gateway is reached over TLS only
	}
}

// policy is a policy document as an authorizer returns it.
type policy []statement

type statement struct {
	deny         bool
	actions      []string
	notActions   bool // actions are all but these
	resources    []string
	notResources bool // resources are all but these
	conditions   []condition
	unknown      bool // there is an element that isn't known here, such as Principal
}

// parsePolicy reads a policy document. Element names are compared exactly, as IAM does.
func parsePolicy(doc []byte) (policy, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(doc, &top); err != nil || top == nil {
		return nil, errors.New("policyDocument is not an object")
	}
	for name := range top {
		if name != "Version" && name != "Id" && name != "Statement" {
			return nil, fmt.Errorf("policyDocument has an unknown element %q", name)
		}
	}
	if version := string(top["Version"]); version != "" && version != `"2012-10-17"` && version != `"2008-10-17"` {
		return nil, fmt.Errorf("policyDocument.Version is %s, want 2012-10-17 or 2008-10-17", version)
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(top["Statement"], &list); err != nil {
		var one map[string]json.RawMessage
		if err := json.Unmarshal(top["Statement"], &one); err != nil {
			return nil, errors.New("policyDocument.Statement is neither an object nor a list of them")
		}
		list = []map[string]json.RawMessage{one}
	}
	var p policy
	for i, elements := range list {
		s, err := parseStatement(elements)
		if err != nil {
			return nil, fmt.Errorf("statement %d: %w", i, err)
		}
		p = append(p, s)
	}
	return p, nil
}

func parseStatement(elements map[string]json.RawMessage) (statement, error) {
	var s statement
	var faults []error
	for name, value := range elements {
		var err error
		switch name {
		case "Sid":
		case "Effect":
			var text string
			err = json.Unmarshal(value, &text)
			s.deny = text == "Deny"
			if err == nil && text != "Allow" && text != "Deny" {
				err = errors.New("neither Allow nor Deny")
			}
		case "Action":
			s.actions, err = texts(value)
		case "NotAction":
			s.notActions = true
			s.actions, err = texts(value)
		case "Resource":
			s.resources, err = texts(value)
		case "NotResource":
			s.notResources = true
			s.resources, err = texts(value)
		case "Condition":
			s.conditions, err = parseCondition(value)
		default:
			s.unknown = true
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	switch {
	case elements["Effect"] == nil:
		faults = append(faults, errors.New("no Effect"))
	case (elements["Action"] == nil) == (elements["NotAction"] == nil):
		faults = append(faults, errors.New("not exactly one of Action and NotAction"))
	case (elements["Resource"] == nil) == (elements["NotResource"] == nil):
		faults = append(faults, errors.New("not exactly one of Resource and NotResource"))
	}
	for _, a := range s.actions {
		if service, _, ok := strings.Cut(a, ":"); a != "*" && (!ok || strings.ContainsAny(service, "*?")) {
			faults = append(faults, fmt.Errorf("action %q: want * or an action of one service", a))
		}
	}
	for _, r := range s.resources {
		if len(r) > maxResource {
			faults = append(faults, fmt.Errorf("a resource of %d characters, API Gateway takes %d", len(r), maxResource))
		}
		if strings.Count(r, ":") < 5 && !strings.HasSuffix(r, "*") || strings.Contains(r, "${") {
			faults = append(faults, fmt.Errorf("resource %q: want an ARN without policy variables, or the beginning of one with * at its end", r))
		}
	}
	return s, errors.Join(faults...)
}

// texts reads one text or a list of at least one.
func texts(doc json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(doc, &one) == nil && one != "" {
		return []string{one}, nil
	}
	var list []string
	if err := json.Unmarshal(doc, &list); err != nil || len(list) == 0 || slices.Contains(list, "") {
		return nil, errors.New("neither text nor a list of texts")
	}
	return list, nil
}

// evaluate says what the policy means for one request: a Deny that matches beats every Allow (IAM User Guide, "Policy
// evaluation logic"). What it cannot evaluate fails closed: an element or a condition that isn't known here counts as
// fulfilled in a Deny and as not fulfilled in an Allow.
func (p policy) evaluate(r iamRequest) effect {
	result := implicitDeny
	for _, s := range p {
		switch {
		case !s.matches(r):
		case s.deny:
			return explicitDeny
		default:
			result = allow
		}
	}
	return result
}

// matches says whether the statement is about a request: all its elements are, and so are all its conditions.
func (s statement) matches(r iamRequest) bool {
	action := slices.ContainsFunc(s.actions, func(a string) bool { return glob(strings.ToLower(a), strings.ToLower(r.action)) })
	resource := slices.ContainsFunc(s.resources, func(pattern string) bool { return matchARN(pattern, r.resource) })
	unfulfilled := slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.fulfilled(r, s.deny) })
	return action != s.notActions && resource != s.notResources && !unfulfilled && (s.deny || !s.unknown)
}

// matchARN compares an ARN with a pattern: * and ? stand for characters within one of the six parts that colons
// separate, and the last part takes everything, slashes and further colons included (IAM User Guide, "IAM JSON policy
// elements: Resource"). A * that ends a pattern of fewer parts takes the rest, colons included.
func matchARN(pattern, arn string) bool {
	p := strings.SplitN(pattern, ":", 6)
	a := strings.SplitN(arn, ":", len(p)) // an ARN has six at least
	for i := range p {
		if !glob(p[i], a[i]) {
			return false
		}
	}
	return true
}

// glob matches a whole text: * is any run of characters, ? is one. It takes time proportional to both lengths at worst,
// whatever the pattern.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(t) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, mark = pi, ti
			pi++
		case pi < len(p) && (p[pi] == '?' || p[pi] == t[ti]):
			pi++
			ti++
		case star >= 0: // let the last * take one more
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}
