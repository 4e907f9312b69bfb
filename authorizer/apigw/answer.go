package apigw

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"

	"gatehouse/authorizer"
)

// answer is the document that the gateway expects (AWS: "Output from an API Gateway Lambda authorizer"). No field can
// become null, which the gateway does not understand, and there is no NotResource and no Condition.
type answer struct {
	PrincipalID    string            `json:"principalId"`
	PolicyDocument policyDocument    `json:"policyDocument"`
	Context        map[string]string `json:"context"`
	UsageKey       string            `json:"usageIdentifierKey,omitempty"` // REST APIs alone
}

// simpleAnswer is the document that an HTTP API expects where its authorizer has enableSimpleResponses (AWS: "Control
// access to HTTP APIs with AWS Lambda authorizers").
type simpleAnswer struct {
	IsAuthorized bool              `json:"isAuthorized"`
	Context      map[string]string `json:"context"`
}

type policyDocument struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Action   string   `json:"Action"`
	Effect   string   `json:"Effect"`
	Resource []string `json:"Resource"`
}

// The largest answers. AWS limits those of WebSocket APIs to 8 KB ("Amazon API Gateway quotas and important notes")
// and documents no limit for the others; theirs is what a handler can still be expected to receive as context.
const (
	maxAnswerWebSocket = 8 << 10
	maxAnswer          = 64 << 10
)

// maxWarnings bounds the warnings in the context. The record keeps them all.
const maxWarnings = 16

// Answer writes the response document: an Allow of exactly this request if the decision allows it and the request has
// one reading, an explicit Deny otherwise. Explicit, because a resource policy of the API could allow what an
// authorizer leaves open (AWS: "How API Gateway resource policies affect authorization workflow"). As a simple response
// it is one word, with the same context.
//
// Errors are [authorizer.ErrUnavailable] with the code answer_invalid, principal_invalid, context_reserved,
// context_invalid, usage_key_invalid or answer_too_large.
func (g *Gateway) Answer(v authorizer.Verdict) ([]byte, error) {
	a, err := parseARN(arnOf(v.Request).String())
	if err != nil {
		return nil, authorizer.Unavailable("answer_invalid", fmt.Errorf("answer: %w", err))
	}
	if err := checkPrincipal(v.Principal); err != nil {
		return nil, authorizer.Unavailable("principal_invalid", err)
	}
	if err := checkContext(v.Decision.Context); err != nil {
		return nil, err
	}
	if err := checkDisclosed(v.Decision.Disclosed); err != nil {
		return nil, authorizer.Unavailable("context_invalid", err)
	}
	if err := checkUsageKey(v.Decision.UsageIdentifierKey); err != nil {
		return nil, authorizer.Unavailable("usage_key_invalid", err)
	}
	if g.simple && v.Request.Protocol != authorizer.HTTP {
		return nil, authorizer.Unavailable("answer_invalid", errors.New("answer: a simple response, and not to an HTTP API"))
	}

	exact := g.simple || writable(a.String()) // a simple response names nothing
	allowed := v.Decision.Allowed && v.Request.Malformed == "" && exact
	context := map[string]string{}
	put(context, "decision_id", v.DecisionID)
	put(context, "revision", v.Revision)
	if allowed {
		describe(context, v)
	} else {
		put(context, "denied_by", strings.Join(v.Decision.Disclosed, " "))
	}
	for key, value := range context {
		if hasControl(value) {
			return nil, authorizer.Unavailable("context_invalid", fmt.Errorf("answer: context %q: control character", key))
		}
	}

	// Deterministic: the same verdict gives the same bytes.
	var out []byte
	if g.simple {
		out, err = json.Marshal(simpleAnswer{IsAuthorized: allowed, Context: context}, json.Deterministic(true))
	} else {
		out, err = json.Marshal(iamAnswer(a, v, allowed, context), json.Deterministic(true))
	}
	if err != nil {
		return nil, authorizer.Unavailable("answer_invalid", errors.New("answer: a value is not UTF-8"))
	}
	limit := maxAnswer
	if v.Request.Protocol == authorizer.WebSocket {
		limit = maxAnswerWebSocket
	}
	if len(out) > limit {
		return nil, authorizer.Unavailable("answer_too_large", fmt.Errorf("answer: %d bytes, at most %d", len(out), limit))
	}
	return out, nil
}

func iamAnswer(a arn, v authorizer.Verdict, allowed bool, context map[string]string) answer {
	s := statement{Action: "execute-api:Invoke", Effect: "Deny", Resource: []string{a.String()}}
	if allowed {
		s.Effect = "Allow"
	} else if !writable(a.String()) {
		// Too wide a Deny: it takes in the request, and a result TTL of 0 keeps it from reaching any other.
		s.Resource[0] = a.all("*")
	}
	out := answer{
		PrincipalID:    v.Principal.Subject,
		PolicyDocument: policyDocument{Version: "2012-10-17", Statement: []statement{s}},
		Context:        context,
	}
	if allowed && v.Request.Protocol == authorizer.REST {
		out.UsageKey = string(v.Decision.UsageIdentifierKey)
	}
	return out
}

func arnOf(r authorizer.Request) arn {
	return arn{partition: r.Partition, region: r.Region, account: r.Account, api: r.API, stage: r.Stage, tail: r.ARNPath}
}

// checkPrincipal refuses what would change its meaning in an answer. A scope or permission that holds a space would be
// two of them to a handler.
func checkPrincipal(p authorizer.Principal) error {
	if p.Subject == "" || hasControl(p.Subject) {
		return errors.New("answer: principal without a plain subject")
	}
	spaced := func(s string) bool { return strings.ContainsFunc(s, unicode.IsSpace) }
	if slices.ContainsFunc(p.Scopes, spaced) || slices.ContainsFunc(p.Permissions, spaced) {
		return errors.New("answer: scope or permission with a space in it")
	}
	return nil
}

// reserved are the context keys that no policy may set: Gatehouse's own, then those of API Gateway. They are compared
// without regard to case, as some readers of JSON do.
var reserved = []string{
	"sub", "scope", "permissions", "client_id", "org_id", "exp", "decision_id", "revision", "warnings", "denied_by",
	"principalId", "integrationLatency", "claims",
}

// checkContext refuses reserved keys, and keys that could not be named as $context.authorizer.key.
func checkContext(context map[string]string) error {
	for key := range context {
		if slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, key) }) {
			return authorizer.Unavailable("context_reserved", fmt.Errorf("answer: context %q is reserved", key))
		}
		if !isName(key) || strings.Contains(key, "-") {
			return authorizer.Unavailable("context_invalid", errors.New("answer: context key is not of letters, digits and _"))
		}
	}
	return nil
}

// checkDisclosed refuses a code that would be two in the list that becomes denied_by, or that would not stay one JSON
// string in the template of a gateway response, which fills it in as it is.
func checkDisclosed(codes []string) error {
	for _, code := range codes {
		if code == "" || strings.ContainsFunc(code, func(r rune) bool { return !isNameRune(r) && r != '.' && r != ':' }) {
			return errors.New("answer: disclosed code is not of letters, digits, . : _ and -")
		}
	}
	return nil
}

// maxUsageKey is the longest API key (AWS: "API Gateway API key file format").
const maxUsageKey = 128

// checkUsageKey refuses what no API key can be: they are of plain characters, without a space. "" is none.
func checkUsageKey(key authorizer.APIKey) error {
	plain := !strings.ContainsFunc(string(key), func(r rune) bool { return r <= ' ' || r > '~' })
	if len(key) > maxUsageKey || !plain {
		return fmt.Errorf("answer: usageIdentifierKey: want at most %d plain characters", maxUsageKey)
	}
	return nil
}

// describe fills in what a handler may know of an allowed request: flat strings, which every API type passes on
// unchanged. What is empty is left out.
func describe(context map[string]string, v authorizer.Verdict) {
	p := v.Principal
	for key, value := range v.Decision.Context {
		put(context, key, value)
	}
	put(context, "sub", p.Subject)
	put(context, "scope", strings.Join(p.Scopes, " "))
	put(context, "permissions", strings.Join(p.Permissions, " "))
	put(context, "client_id", p.ClientID)
	put(context, "org_id", p.Organization)
	if !p.ExpiresAt.IsZero() {
		put(context, "exp", strconv.FormatInt(p.ExpiresAt.Unix(), 10))
	}
	put(context, "warnings", warningsText(v.Decision.Warnings))
}

func put(context map[string]string, key, value string) {
	if value != "" {
		context[key] = value
	}
}

// warningsText is the JSON array of the warnings, each without control characters and bounded; "" if there are none.
func warningsText(warnings []string) string {
	var kept []string
	for _, w := range warnings {
		if w = authorizer.Plain(w); w != "" && len(kept) < maxWarnings {
			kept = append(kept, w)
		}
	}
	if kept == nil {
		return ""
	}
	text, _ := json.Marshal(kept) // plain UTF-8 strings always encode
	return string(text)
}
