package fidelity

import (
	"strings"
	"testing"
	"time"
)

// allows asks for GET /orders/42 under a policy.
func allows(t *testing.T, w *world, what, statements string, wanted bool) {
	t.Helper()
	for path, arn := range map[string]string{w.rest: restARN, w.http: httpARN} {
		got := send(t, "GET", path+"/orders/42", answered(policy(strings.ReplaceAll(statements, "ARN/", arn))))
		if (got.status == 200) != wanted || got.status >= 500 {
			t.Errorf("%s, %s: got %s", what, path, got.line())
		}
	}
}

func orders(t *testing.T) *world {
	return start(t, authorizers, rest("get orders/{id}"), httpAPI("GET /orders/{id}", "iam"))
}

var policyFaults = []fault{
	{
		id:     "policy-deny-wins",
		aws:    "a Deny that matches beats every Allow, wherever it stands",
		wrong:  "Deny is ignored, the first Allow that matches counts (SAM CLI, chalice local)",
		source: logicPage,
		in:     []patch{{iamFile, "\t\tcase s.deny:\n", "\t\tcase s.deny && FAULT:\n\t\tcase s.deny:\n"}},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "Deny first", denyAll+","+allowAll, false)
			allows(t, w, "Deny last", allowAll+","+denyAll, false)
			allows(t, w, "Deny of another", allowAll+","+statement("Deny", "ARN/GET/admin"), true)
		},
	},
	{
		id:     "policy-star",
		aws:    "* is any run of characters, slashes included",
		wrong:  "it ends at a slash: GET/* seems to grant less than it does",
		source: resourcePage,
		in:     []patch{{iamFile, "\t\tcase star >= 0: // let the last * take one more\n", "\t\tcase FAULT && star >= 0 && t[mark] == '/':\n\t\t\treturn false\n\t\tcase star >= 0: // let the last * take one more\n"}, {iamFile, "\tfor pi < len(p) && p[pi] == '*' {\n\t\tpi++", "\tif FAULT && pi == len(p) && star == len(p)-1 && strings.Contains(string(t[mark:]), \"/\") { return false }\n\tfor pi < len(p) && p[pi] == '*' {\n\t\tpi++"}},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "GET/*", statement("Allow", "ARN/GET/*"), true)
			allows(t, w, "*/42", statement("Allow", "ARN/*/42"), true)
			allows(t, w, "api/*", statement("Allow", "arn:aws:execute-api:us-east-1:123456789012:*/42"), true)
		},
	},
	{
		id:     "policy-question-mark",
		aws:    "? is exactly one character",
		wrong:  "it is a question mark (moto)",
		source: resourcePage,
		in:     []patch{{iamFile, "(p[pi] == '?' || p[pi] == t[ti])", "(p[pi] == '?' && !FAULT || p[pi] == t[ti])"}},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "4?", statement("Allow", "ARN/GET/orders/4?"), true)
			allows(t, w, "42?", statement("Allow", "ARN/GET/orders/42?"), false)
			allows(t, w, "?", statement("Allow", "ARN/GET/orders/?"), false)
		},
	},
	{
		id:     "policy-whole",
		aws:    "a Resource matches the whole ARN: orders/* is not orders, orders* is orders-admin too",
		wrong:  "a pattern need not begin where the ARN does (serverless-offline)",
		source: resourcePage,
		in:     []patch{before(iamFile, "\tp := strings.SplitN(pattern,", "\tif FAULT && strings.Contains(arn, strings.TrimSuffix(pattern, \"*\")) { return true }")},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "a part", statement("Allow", "a:a:a:a:a:GET/orders/42"), false)
			allows(t, w, "the beginning", statement("Allow", "ARN/GET/orders/4"), false)
			allows(t, w, "orders*", statement("Allow", "ARN/GET/order*"), true)
			allows(t, w, "orders/42/*", statement("Allow", "ARN/GET/orders/42/*"), false)
		},
	},
	{
		id:     "policy-literal",
		aws:    "every other character of a Resource stands for itself",
		wrong:  "it is put into a regular expression as it is: . is any character (SAM CLI, serverless-offline)",
		source: resourcePage,
		in:     []patch{{iamFile, "case pi < len(p) && (p[pi]", "case pi < len(p) && (FAULT && p[pi] == '.' || p[pi]"}},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "a dot", statement("Allow", "ARN/GET/orders/4."), false)
			allows(t, w, "brackets", statement("Allow", "ARN/GET/orders/[0-9]+"), false)
		},
	},
	{
		id:     "policy-parts",
		aws:    "wildcards stay within one of the six parts of an ARN",
		wrong:  "they run across colons",
		source: resourcePage,
		in:     []patch{before(iamFile, "\tp := strings.SplitN(pattern,", "\tif FAULT && glob(pattern, arn) { return true }")},
		check: func(t *testing.T) {
			w := start(t, "", rest("get {x}"))
			want(t, "a * that would have to cross", send(t, "GET", w.rest+"/a:b", answered(policy(statement("Allow", "arn:aws:execute-api:*:*:b")))).line(), restDenied)
			if got := send(t, "GET", w.rest+"/a:b", answered(policy(statement("Allow", "arn:aws:execute-api:*:*:*:b")))); got.status != 200 {
				t.Errorf("within the last part: got %s", got.line())
			}
		},
	},
	{
		id:     "policy-cut-short",
		aws:    "a * at the end of a Resource takes the rest of the ARN, further parts included: arn:aws:execute-api:us-east-1:*",
		wrong:  "the answer is invalid (serverless-offline before 1797)",
		source: "IAM User Guide, quoted in serverless-offline pull request 1797",
		in:     []patch{{iamFile, "if strings.Count(r, \":\") < 5 && !strings.HasSuffix(r, \"*\")", "if strings.Count(r, \":\") < 5 && (FAULT || !strings.HasSuffix(r, \"*\"))"}},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "a region", statement("Allow", "arn:aws:execute-api:us-east-1:*"), true)
			allows(t, w, "another region", statement("Allow", "arn:aws:execute-api:eu-*"), false)
		},
	},
	{
		id:     "policy-no-resource",
		aws:    "a statement without Resource is no statement: 500",
		wrong:  "it matches everything (fakecloud before 1255)",
		source: "IAM User Guide, Grammar of the IAM JSON policy language",
		in:     []patch{{iamFile, "\tcase (elements[\"Resource\"] == nil) == (elements[\"NotResource\"] == nil):\n", "\tcase FAULT && elements[\"Resource\"] == nil:\n\t\ts.resources = []string{\"*\"}\n\tcase (elements[\"Resource\"] == nil) == (elements[\"NotResource\"] == nil):\n"}},
		check: func(t *testing.T) {
			outcome(t, both(t), "no Resource", answered(policy(`{"Effect":"Allow","Action":"execute-api:Invoke"}`)), rest500, http500)
		},
	},
	{
		id:     "policy-not-resource",
		aws:    "NotResource is everything but",
		wrong:  "it is not looked at (serverless-offline)",
		source: "IAM User Guide, IAM JSON policy elements: NotResource",
		in:     []patch{{iamFile, "resource != s.notResources &&", "(FAULT && s.notResources || resource != s.notResources) &&"}},
		check: func(t *testing.T) {
			w := orders(t)
			allows(t, w, "a Deny of all but this", allowAll+`,{"Effect":"Deny","Action":"*","NotResource":"ARN/GET/orders/*"}`, true)
			allows(t, w, "a Deny of all but another", allowAll+`,{"Effect":"Deny","Action":"*","NotResource":"ARN/GET/admin"}`, false)
			allows(t, w, "an Allow of all but this", `{"Effect":"Allow","Action":"*","NotResource":"ARN/GET/orders/*"}`, false)
		},
	},
	{
		id:     "policy-action",
		aws:    "a statement for another action says nothing; actions have no case and take wildcards",
		wrong:  "Action is not looked at (serverless-offline), or has a case (moto)",
		source: accessPage + "; IAM User Guide, IAM JSON policy elements: Action",
		in:     []patch{{iamFile, "return action != s.notActions &&", "return (FAULT || action != s.notActions) &&"}},
		check: func(t *testing.T) {
			w := orders(t)
			action := func(effect, a string) string {
				return `{"Effect":"` + effect + `","Action":"` + a + `","Resource":"*"}`
			}
			allows(t, w, "another", action("Allow", "execute-api:InvalidateCache"), false)
			allows(t, w, "another's Deny", allowAll+","+action("Deny", "execute-api:InvalidateCache"), true)
			allows(t, w, "another service", action("Allow", "s3:*"), false)
			allows(t, w, "in another case", action("Allow", "Execute-API:inVoke"), true)
			allows(t, w, "with a wildcard", action("Allow", "execute-api:Inv*"), true)
		},
	},
	{
		id:     "policy-condition",
		aws:    "a Condition must hold: time, address",
		wrong:  "it is not looked at (serverless-offline)",
		source: guide + "AWS condition keys that can be used in API Gateway resource policies",
		in:     []patch{{iamFile, "&& !unfulfilled &&", "&& (FAULT || !unfulfilled) &&"}},
		check: func(t *testing.T) {
			w := orders(t)
			condition := func(c string) string { return statement("Allow", "*", `"Condition":`+c) }
			soon, past := time.Now().Add(time.Hour).UTC().Format(time.RFC3339), time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
			allows(t, w, "until later", condition(`{"DateLessThan":{"aws:CurrentTime":"`+soon+`"}}`), true)
			allows(t, w, "until before", condition(`{"DateLessThan":{"aws:CurrentTime":"`+past+`"}}`), false)
			allows(t, w, "this address", condition(`{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), true)
			allows(t, w, "another address", condition(`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), false)
			allows(t, w, "a Deny of another address", allowAll+","+statement("Deny", "*", `"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), true)
			allows(t, w, "a Deny of this address", allowAll+","+statement("Deny", "*", `"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), false)
		},
	},
	{
		id:     "policy-unknown",
		aws:    "what a policy says beyond that is AWS's to know",
		wrong:  "what is not understood is passed over, and so an Allow holds that is bound to something",
		source: "this house: what cannot be told, denies",
		in:     []patch{{iamFile, "(s.deny || !s.unknown)", "(FAULT || s.deny || !s.unknown)"}},
		check: func(t *testing.T) {
			allows(t, orders(t), "Principal", `{"Effect":"Allow","Action":"*","Resource":"*","Principal":"x"}`, false)
		},
	},
}
