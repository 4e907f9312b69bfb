package gateway

import (
	"cmp"
	"strings"
	"testing"
	"time"
)

const (
	ordersARN = "arn:aws:execute-api:us-east-1:123456789012:localrest0/dev/GET/orders/42"
	apiARN    = "arn:aws:execute-api:us-east-1:123456789012:localrest0"
)

// asked is a request of a client without a user agent and a referer.
var asked = iamRequest{
	action: invokeAction, resource: ordersARN,
	time: time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC), sourceIP: "203.0.113.7", secure: true,
}

func TestEvaluate(t *testing.T) {
	const (
		allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`
		denyAll  = `{"Effect":"Deny","Action":"*","Resource":"*"}`
	)
	one := func(effect, action, resource string) string {
		return `{"Effect":"` + effect + `","Action":` + action + `,"Resource":` + resource + `}`
	}
	on := func(resource string) string { return one("Allow", `"execute-api:Invoke"`, `"`+resource+`"`) }
	for _, c := range []struct {
		name       string
		statements string // without the brackets of the list
		want       effect
	}{
		{"nothing", "", implicitDeny},
		{"exact", on(ordersARN), allow},
		{"another path", on(apiARN + "/dev/GET/orders/43"), implicitDeny},
		{"a prefix", on(apiARN + "/dev/GET/orders"), implicitDeny},
		{"longer", on(ordersARN + "/x"), implicitDeny},
		{"another method", on(apiARN + "/dev/POST/orders/42"), implicitDeny},
		{"another stage", on(apiARN + "/prod/GET/orders/42"), implicitDeny},
		{"another API", on("arn:aws:execute-api:us-east-1:123456789012:localhttp0/dev/GET/orders/42"), implicitDeny},
		{"paths have a case", on(apiARN + "/dev/GET/Orders/42"), implicitDeny},
		{"* alone", on("*"), allow},
		{"* in a path", on(apiARN + "/dev/GET/orders/*"), allow},
		{"* for nothing", on(ordersARN + "*"), allow},
		{"* crosses slashes", on(apiARN + "/dev/*/42"), allow},
		{"* before the slash", on(apiARN + "/*"), allow},
		{"* that needs a slash", on(apiARN + "/dev/GET/orders/42/*"), implicitDeny},
		{"* twice, back and forth", on(apiARN + "/*/*/o*s/*2"), allow},
		{"* that ends too early", on(apiARN + "/dev/GET/*/4"), implicitDeny},
		{"shorthand for all", on("arn:aws:execute-api:*:*:*"), allow},
		{"* that cuts an ARN short", on("arn:aws:execute-api:us-east-1:*"), allow},
		{"* that cuts it shorter", on("arn:aws:ex*"), allow},
		{"* that cuts another short", on("arn:aws:execute-api:eu-*"), implicitDeny},
		{"? is one character", on(apiARN + "/dev/GET/orders/4?"), allow},
		{"? is not none", on(ordersARN + "?"), implicitDeny},
		{"? is not two", on(apiARN + "/dev/GET/orders/?"), implicitDeny},
		{"list of resources", one("Allow", `"execute-api:Invoke"`, `["`+apiARN+`/x","`+ordersARN+`"]`), allow},
		{"list of actions", one("Allow", `["execute-api:InvalidateCache","execute-api:Invoke"]`, `"*"`), allow},
		{"actions have no case", one("Allow", `"EXECUTE-API:invoke"`, `"*"`), allow},
		{"action with *", one("Allow", `"execute-api:*"`, `"*"`), allow},
		{"action with * within", one("Allow", `"execute-api:Inv?k*"`, `"*"`), allow},
		{"another action", one("Allow", `"execute-api:InvalidateCache"`, `"*"`), implicitDeny},
		{"another service", one("Allow", `"s3:*"`, `"*"`), implicitDeny},

		{"Deny after Allow", allowAll + "," + denyAll, explicitDeny},
		{"Deny before Allow", denyAll + "," + allowAll, explicitDeny},
		{"Deny alone", denyAll, explicitDeny},
		{"Deny of another path", allowAll + "," + one("Deny", `"*"`, `"`+apiARN+`/dev/GET/admin"`), allow},
		{"Deny of another action", allowAll + "," + one("Deny", `"s3:*"`, `"*"`), allow},
		{"Sid says nothing", `{"Sid":"x",` + allowAll[1:], allow},

		{"Allow with NotResource", `{"Effect":"Allow","Action":"*","NotResource":"` + apiARN + `/dev/GET/admin"}`, allow},
		{"Allow with NotResource of this", `{"Effect":"Allow","Action":"*","NotResource":["x:x:x:x:x:x","` + apiARN + `/dev/GET/*"]}`, implicitDeny},
		{"Deny with NotResource", allowAll + `,{"Effect":"Deny","Action":"*","NotResource":"` + apiARN + `/dev/GET/admin"}`, explicitDeny},
		{"Deny with NotResource of this", allowAll + `,{"Effect":"Deny","Action":"*","NotResource":"` + ordersARN + `"}`, allow},

		{"Allow with NotAction", `{"Effect":"Allow","NotAction":["s3:*","execute-api:InvalidateCache"],"Resource":"*"}`, allow},
		{"Allow with NotAction of this", `{"Effect":"Allow","NotAction":["s3:*","execute-api:*"],"Resource":"*"}`, implicitDeny},
		{"Deny with NotAction", allowAll + `,{"Effect":"Deny","NotAction":"s3:*","Resource":"*"}`, explicitDeny},
		{"Deny with NotAction of this", allowAll + `,{"Effect":"Deny","NotAction":"Execute-API:INVOKE","Resource":"*"}`, allow},
		{"Allow with NotAction of another path", `{"Effect":"Allow","NotAction":"s3:*","Resource":"` + apiARN + `/dev/GET/admin"}`, implicitDeny},

		{"Allow under a condition", `{"Condition":{"Bool":{"aws:SecureTransport":"true"}},` + allowAll[1:], allow},
		{"Allow under another condition", `{"Condition":{"Bool":{"aws:SecureTransport":"false"}},` + allowAll[1:], implicitDeny},
		{"Deny under a condition", allowAll + `,{"Condition":{"Bool":{"aws:SecureTransport":"true"}},` + denyAll[1:], explicitDeny},
		{"Deny under another condition", allowAll + `,{"Condition":{"Bool":{"aws:SecureTransport":"false"}},` + denyAll[1:], allow},
		{"Allow under no condition", `{"Condition":{},` + allowAll[1:], allow},
		{"Deny of another path under no condition", allowAll + `,{"Condition":{},` + one("Deny", `"*"`, `"`+apiARN+`/x"`)[1:], allow},
		{"Allow with an unknown element", `{"Principal":"*",` + allowAll[1:], implicitDeny},
		{"Deny with an unknown element", allowAll + `,{"Principal":"*",` + denyAll[1:], explicitDeny},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := parsePolicy([]byte(`{"Version":"2012-10-17","Id":"x","Statement":[` + c.statements + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.evaluate(asked); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestWhatAWSDocuments evaluates the examples of AWS's own pages; buckets and services became paths of an API.
func TestWhatAWSDocuments(t *testing.T) {
	const (
		invoking     = `API Gateway Developer Guide, "Control access for invoking an API"`
		output       = `API Gateway Developer Guide, "Output from an API Gateway Lambda authorizer"`
		examples     = `API Gateway Developer Guide, "API Gateway resource policy examples"`
		logic        = `IAM User Guide, "Policy evaluation logic"`
		action       = `IAM User Guide, "IAM JSON policy elements: Action"`
		notAction    = `IAM User Guide, "IAM JSON policy elements: NotAction"`
		notResource  = `IAM User Guide, "IAM JSON policy elements: NotResource"`
		element      = `IAM User Guide, "IAM JSON policy elements: Condition"`
		operators    = `IAM User Guide, "IAM JSON policy elements: Condition operators"`
		several      = `IAM User Guide, "Conditions with multiple context keys or values"`
		dates        = `IAM User Guide, "AWS: Allows access based on date and time"`
		sourceIP     = `IAM User Guide, "AWS: Denies access to AWS based on the source IP"`
		wholeService = `{"Effect":"Allow","Action":"execute-api:*","Resource":"*"},`

		pets = `{"Effect":"Allow","Action":["execute-api:Invoke"],"Resource":["arn:aws:execute-api:us-east-1:123456789012:api-id/*/GET/pets"]},
			{"Effect":"Deny","Action":["execute-api:Invoke"],"Resource":["arn:aws:execute-api:us-east-1:123456789012:api-id/*/POST/pets"]}`
		blocked = wholeService + `{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:api-id/*","Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","198.51.100.0/24"]}}}`
		outside = wholeService + `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]}}}`
		in2017  = `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2017-07-01T00:00:00Z"},"DateLessThan":{"aws:CurrentTime":"2017-12-31T23:59:59Z"}}}`
		payroll = `{"Effect":"Deny","Action":"execute-api:*","NotResource":["arn:aws:execute-api:us-east-1:123456789012:api-id/dev/GET/payroll","arn:aws:execute-api:us-east-1:123456789012:api-id/dev/GET/payroll/*"]}`
		both    = `{"Effect":"Allow","Action":"execute-api:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:DB8:1234:5678::/64"]}}}`
		secure  = wholeService + `{"Sid":"BooleanExample","Action":"execute-api:*","Effect":"Deny","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	)
	on := func(resource string) string {
		return `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"` + resource + `"}`
	}
	at := func(text string) time.Time {
		t, _ := time.Parse(time.RFC3339, text)
		return t
	}
	for _, c := range []struct {
		page       string
		statements string
		request    iamRequest // resource is what follows the account; it is an Invoke from 203.0.113.7
		want       effect
	}{
		{invoking, pets, iamRequest{resource: "api-id/dev/GET/pets"}, allow},
		{invoking, pets, iamRequest{resource: "api-id/dev/POST/pets"}, explicitDeny},
		{invoking, pets, iamRequest{resource: "api-id/dev/DELETE/pets"}, implicitDeny},
		{invoking, on("arn:aws:execute-api:us-east-1:123456789012:api-id/*/GET/pets/a1b2"), iamRequest{resource: "api-id/dev/GET/pets/a1b2"}, allow},
		{invoking, on("arn:aws:execute-api:us-east-1:123456789012:api-id/*/GET/pets/a1b2"), iamRequest{resource: "api-id/dev/GET/pets/a1b3"}, implicitDeny},
		{invoking, on("arn:aws:execute-api:*:*:*/test/*"), iamRequest{resource: "api-id/test/GET/pets"}, allow},
		{invoking, on("arn:aws:execute-api:*:*:*/test/*"), iamRequest{resource: "api-id/prod/GET/pets"}, implicitDeny},
		{invoking, on("arn:aws:execute-api:*:*:*"), iamRequest{resource: "api-id/prod/GET/pets"}, allow},
		{invoking, on("arn:aws:execute-api:us-east-1:*:*"), iamRequest{resource: "api-id/prod/GET/pets"}, allow},
		{invoking, on("arn:aws:execute-api:us-east-1:*:api-id/*"), iamRequest{resource: "api-id/prod/GET/pets"}, allow},
		{invoking, on("arn:aws:execute-api:us-east-1:*:api-id/*"), iamRequest{resource: "api-id2/prod/GET/pets"}, implicitDeny},
		{invoking, on("arn:aws:execute-api:us-east-1:*:api-id/test/*"), iamRequest{resource: "api-id/test/GET/pets"}, allow},
		{invoking, on("arn:aws:execute-api:us-east-1:*:api-id/test/*/mydemoresource/*"), iamRequest{resource: "api-id/test/PUT/mydemoresource/a/b"}, allow},
		{invoking, on("arn:aws:execute-api:us-east-1:*:api-id/test/GET/mydemoresource/*"), iamRequest{resource: "api-id/test/PUT/mydemoresource/a"}, implicitDeny},
		{output, on("arn:aws:execute-api:us-east-1:123456789012:api-id/test/GET/pets"), iamRequest{resource: "api-id/test/GET/pets"}, allow},
		{output, `{"Action":"execute-api:Invoke","Effect":"Deny","Resource":"arn:aws:execute-api:us-east-1:123456789012:api-id/test/GET/pets"}`, iamRequest{resource: "api-id/test/GET/pets"}, explicitDeny},
		{examples, blocked, iamRequest{resource: "api-id/dev/GET/pets", sourceIP: "198.51.100.255"}, explicitDeny},
		{examples, blocked, iamRequest{resource: "api-id/dev/GET/pets", sourceIP: "198.51.101.0"}, allow},
		{sourceIP, outside, iamRequest{sourceIP: "198.51.100.1"}, explicitDeny},
		{sourceIP, outside, iamRequest{sourceIP: "192.0.2.1"}, allow},
		{sourceIP, outside, iamRequest{sourceIP: "203.0.113.255"}, allow},
		{dates, in2017, iamRequest{time: at("2017-07-01T00:00:00Z")}, implicitDeny},
		{dates, in2017, iamRequest{time: at("2017-07-01T00:00:01Z")}, allow},
		{dates, in2017, iamRequest{time: at("2017-12-31T23:59:59Z")}, implicitDeny},
		{logic, "", iamRequest{}, implicitDeny},
		{logic, wholeService + `{"Effect":"Deny","Action":"*","Resource":"*"}`, iamRequest{}, explicitDeny},
		{logic, `{"Effect":"Deny","Action":"*","Resource":"*"},` + on("*"), iamRequest{}, explicitDeny},
		{action, `{"Effect":"Allow","Action":"Execute-Api:invoke","Resource":"*"}`, iamRequest{}, allow},
		{action, `{"Effect":"Allow","Action":["s3:*","execute-api:*nvo*"],"Resource":"*"}`, iamRequest{}, allow},
		{notAction, `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, iamRequest{}, allow},
		{notAction, wholeService + `{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}`, iamRequest{}, explicitDeny},
		{notAction, `{"Effect":"Deny","NotAction":"execute-api:*","Resource":"*"}`, iamRequest{}, implicitDeny},
		{notResource, payroll, iamRequest{resource: "api-id/dev/GET/orders"}, explicitDeny},
		{notResource, wholeService + payroll, iamRequest{resource: "api-id/dev/GET/payroll/7"}, allow},
		{notResource, payroll, iamRequest{resource: "api-id/dev/GET/payroll"}, implicitDeny},
		{element, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIP":"203.0.113.7","AWS:SourceIp":"203.0.113.0/28"}}}`, iamRequest{}, allow},
		{operators, both, iamRequest{}, allow},
		{operators, both, iamRequest{sourceIP: "2001:db8:1234:5678::9"}, allow},
		{operators, both, iamRequest{sourceIP: "2001:db8:1234:5679::9"}, implicitDeny},
		{operators, secure, iamRequest{}, explicitDeny},
		{operators, secure, iamRequest{secure: true}, allow},
		{operators, wholeService + `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:UserAgent":"x"}}}`, iamRequest{}, explicitDeny},
		{several, wholeService + `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:UserAgent":["x","y"]}}}`, iamRequest{userAgent: "y"}, allow},
		{several, wholeService + `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:UserAgent":["x","y"]}}}`, iamRequest{userAgent: "z"}, explicitDeny},
	} {
		p, err := parsePolicy([]byte(`{"Version":"2012-10-17","Statement":[` + strings.TrimSuffix(c.statements, ",") + `]}`))
		if err != nil {
			t.Fatalf("%s: %v", c.page, err)
		}
		r := c.request
		r.action, r.resource, r.sourceIP = invokeAction, "arn:aws:execute-api:us-east-1:123456789012:"+cmp.Or(r.resource, "api-id/dev/GET/"), cmp.Or(r.sourceIP, "203.0.113.7")
		if got := p.evaluate(r); got != c.want {
			t.Errorf("%s: %s of %+v: %v, want %v", c.page, c.statements, c.request, got, c.want)
		}
	}
}

func TestAStatementNeedNoList(t *testing.T) {
	p, err := parsePolicy([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if err != nil || p.evaluate(asked) != allow {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestAColonInThePathIsPartOfIt(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          effect
	}{
		{apiARN + "/dev/GET/a:*", "a:b:c", allow},
		{apiARN + "/dev/GET/a:*", "a", implicitDeny},
		{apiARN + "/*:c", "a:b:c", allow},
		{"arn:aws:execute-api:*:b:c", "a:b:c", implicitDeny}, // * would have to take region, account and more
	} {
		p, err := parsePolicy([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"` + c.pattern + `"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.evaluate(iamRequest{action: invokeAction, resource: apiARN + "/dev/GET/" + c.path}); got != c.want {
			t.Errorf("%s on %s: %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
}

func TestMalformedPolicies(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{``, "policyDocument is not an object"},
		{`null`, "policyDocument is not an object"},
		{`"text"`, "policyDocument is not an object"},
		{`{}`, "policyDocument.Statement is neither"},
		{`{"Statement":"x"}`, "policyDocument.Statement is neither"},
		{`{"statement":[]}`, `unknown element "statement"`},
		{`{"Statement":[{}]}`, "statement 0: no Effect"},
		{`{"Statement":[{"effect":"Allow","Action":"*","Resource":"*"}]}`, "no Effect"},
		{`{"Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}`, "Effect: neither Allow nor Deny"},
		{`{"Statement":[{"Effect":1,"Action":"*","Resource":"*"}]}`, "Effect: json: "},
		{`{"Statement":[{"Effect":"Allow","Resource":"*"}]}`, "not exactly one of Action and NotAction"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}]}`, "not exactly one of Action and NotAction"},
		{`{"Statement":[{"Effect":"Allow","NotAction":"","Resource":"*"}]}`, "NotAction: neither text nor"},
		{`{"Statement":[{"Effect":"Allow","Action":"Invoke","Resource":"*"}]}`, `action "Invoke": want * or`},
		{`{"Statement":[{"Effect":"Allow","Action":"e*:Invoke","Resource":"*"}]}`, `action "e*:Invoke": want * or`},
		{`{"Statement":[{"Effect":"Allow","NotAction":["s3:*","**"],"Resource":"*"}]}`, `action "**": want * or`},
		{`{"Version":"2025-01-01","Statement":[]}`, `policyDocument.Version is "2025-01-01"`},
		{`{"Version":20121017,"Statement":[]}`, "policyDocument.Version is 20121017"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":null}]}`, "Condition: not operators with keys"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":[]}]}`, "Condition: not operators with keys"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":"true"}}]}`, "Condition: not operators with keys"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{}}}]}`, "Condition: Bool: no key"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":null}}]}`, "Condition: Bool: no key"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"k":[]}}}]}`, "Condition: Bool: k: no value"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"k":null}}}]}`, "Condition: Bool: k: null is no value"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"k":["a",["b"]]}}}]}`, `Condition: Bool: k: ["b"] is no value`},
		{`{"Statement":[{"Effect":"Allow","Action":[],"Resource":"*"}]}`, "Action: neither text nor"},
		{`{"Statement":[{"Effect":"Allow","Action":null,"Resource":"*"}]}`, "Action: neither text nor"},
		{`{"Statement":[{"Effect":"Allow","Action":[null],"Resource":"*"}]}`, "Action: neither text nor"},
		{`{"Statement":[{"Effect":"Allow","Action":"*"}]}`, "not exactly one of Resource and NotResource"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}]}`, "not exactly one of"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","NotResource":{}}]}`, "NotResource: neither text nor"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:execute-api:x"}]}`, "want an ARN"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"` + apiARN + `/${aws:username}"}]}`, "want an ARN without policy variables"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"` + apiARN + strings.Repeat("/", 460) + `"}]}`, "API Gateway takes 512"},
	} {
		if p, err := parsePolicy([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) || p != nil {
			t.Errorf("%s: got %v, %v, want %q", c.doc, p, err, c.want)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*/*", "/")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 40 || len(text) > 40 {
			return
		}
		if got, want := glob(pattern, text), slowGlob([]rune(pattern), []rune(text)); got != want {
			t.Errorf("%q on %q: %v", pattern, text, got)
		}
	})
}

// slowGlob says the same in the plainest way.
func slowGlob(p, t []rune) bool {
	row := make([]bool, len(t)+1)
	row[0] = true
	for _, c := range p {
		next := make([]bool, len(t)+1)
		next[0] = c == '*' && row[0]
		for i := range t {
			next[i+1] = c == '*' && (row[i+1] || next[i]) || c != '*' && (c == '?' || c == t[i]) && row[i]
		}
		row = next
	}
	return row[len(t)]
}

func FuzzParseVerdict(f *testing.F) {
	f.Add(`{"principalId":"p","policyDocument":{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]},"context":{"a":1}}`)
	f.Add(`{"principalId":"p","policyDocument":{"Statement":{"Effect":"Deny","NotAction":"x","NotResource":["` + apiARN + `"]}}}`)
	f.Add(`{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",
		"Condition":{"Null":{"aws:Referer":true},"ForAllValues:NumericLessThan":{"aws:EpochTime":[1,2.5]}}}}}`)
	f.Add(`{"isAuthorized":true,"context":{"a":[{}]}}`)
	f.Add(`{"isAuthorized":false,"isAuthorized":"true"}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, payload string) {
		v, err := parseVerdict([]byte(payload), "rest", false)
		if (v == nil) == (err == nil) {
			t.Fatalf("got %v and %v", v, err)
		}
		s, simpleErr := parseVerdict([]byte(payload), "http", true)
		if (s == nil) == (simpleErr == nil) || s != nil && v != nil {
			t.Fatalf("as a simple response %v and %v, as a policy %v and %v", s, simpleErr, v, err)
		}
		if s != nil && s.effect(asked) == allow && !strings.Contains(payload, "true") {
			t.Errorf("allowed by %s", payload)
		}
		if err == nil {
			v.policy.evaluate(asked)
			if v.principal == "" || v.restContext()["principalId"] != v.principal {
				t.Errorf("got %+v", v)
			}
		}
	})
}
