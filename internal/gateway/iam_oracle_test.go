package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// differences are where iam-simulate is not what AWS documents. Each is drawn; the oracle is then asked a policy that says
// the same in words that it understands, and, to see whether the entry is still true, the policy itself.
var differences = map[string]string{
	"wildcard in the API id":   `takes it literally; API Gateway Developer Guide, "Control access for invoking an API": arn:aws:execute-api:*:*:*/test/*`,
	"region in another case":   `compares all parts but the last without case; IAM User Guide, "Amazon Resource Names (ARNs)" gives lower-case regions, and no page says that case is ignored`,
	"epoch time against ISO":   `takes seconds for milliseconds; IAM User Guide, "Condition operators": date/time values in ISO 8601 formats or in epoch (UNIX) time`,
	"NotIpAddress of a family": `is not fulfilled by an address of the other family, where no range is given; IAM User Guide, "Condition operators": all IP addresses except the specified`,
	"all of IPv4":              `takes /0 for /32; IAM User Guide, "Condition operators": the standard CIDR format`,
}

// features are what the questions must be about, each many times.
var features = []string{
	"* alone", "shorthand for all", "* at the end", "* across slashes", "* anywhere", "? for one", "? for none", "exact", "a dot for another character",
	"near miss", "path in another case", "region *", "another path", "* for what holds colons",
	"Resource", "NotResource", "Action", "NotAction", "action in another case", "? in an action", "one value", "list of values", "one statement", "several statements",
	"Date", "Numeric", "IpAddress", "NotIpAddress", "String", "Not", "Like", "IgnoreCase", "Bool", "Null", "IfExists", "ForAllValues", "ForAnyValue",
	"key in another case", "value without quotes", "key absent", "several conditions", "no Version", "beyond",
}

// TestEvaluateAgreesWithAnotherEvaluator asks random questions, here and of iam-simulate. Where a policy holds something
// that no page describes and that fails closed here ("beyond"), the oracle must not be the stricter one.
func TestEvaluateAgreesWithAnotherEvaluator(t *testing.T) {
	const seed, count = 20260301, 4000
	t.Logf("seed %d", seed)
	d := &draw{Rand: rand.New(rand.NewPCG(seed, 0)), seen: map[string]int{}}
	var drawn []drawnQuestion
	var questions []question
	for range count {
		q := d.question()
		drawn = append(drawn, q)
		questions = append(questions, q.theirs)
	}
	for _, q := range drawn {
		if len(q.differs) == 1 {
			questions = append(questions, q.ours)
		}
	}
	answers := simulate(t, questions)
	literally := answers[count:]
	outcomes, differing := map[string]int{}, map[string]int{}
	for i, q := range drawn {
		p, err := parsePolicy(q.ours.Policy)
		if err != nil {
			t.Fatalf("%v\n%s", err, q.ours.Policy)
		}
		got, want := effectNames[p.evaluate(q.request)], answers[i]
		outcomes[got]++
		if len(q.differs) == 1 {
			if literally[0] != want {
				differing[q.differs[0]]++
			}
			literally = literally[1:]
		}
		if got != want && !q.beyond || got == "Allowed" && want != "Allowed" {
			t.Errorf("here %s, iam-simulate %s\npolicy  %s\nasked   %s\nrequest %+v", got, want, q.ours.Policy, q.theirs.Policy, q.request)
		}
	}
	t.Logf("%d questions: %v; the oracle is known to differ: %v; features: %v", count, outcomes, differing, d.seen)
	for _, name := range effectNames {
		if outcomes[name] < count/5 {
			t.Errorf("%s: only %d of %d: not balanced", name, outcomes[name], count)
		}
	}
	for _, name := range features {
		if d.seen[name] < 50 {
			t.Errorf("%s: only %d times", name, d.seen[name])
		}
	}
	for name, source := range differences {
		if differing[name] == 0 {
			t.Errorf("%s: iam-simulate differs no more (%s): remove the entry", name, source)
		}
	}
}

var effectNames = map[effect]string{allow: "Allowed", explicitDeny: "ExplicitlyDenied", implicitDeny: "ImplicitlyDenied"}

// question is what the oracle gets.
type question struct {
	Policy   json.RawMessage   `json:"policy"`
	Action   string            `json:"action"`
	Resource string            `json:"resource"`
	Context  map[string]string `json:"context"`
}

// simulate asks iam-simulate.
func simulate(t *testing.T, questions []question) []string {
	t.Helper()
	if _, err := os.Stat("../../tools/node_modules/.package-lock.json"); err != nil {
		t.Fatalf("the npm packages of tools/package.json are not installed: run `make tools` (%v)", err)
	}
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/simulate.mjs")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("node testdata/simulate.mjs: %v\n%s", err, failed.Stderr)
	}
	var answers []string
	if err != nil || json.Unmarshal(out, &answers) != nil || len(answers) != len(questions) {
		t.Fatalf("node testdata/simulate.mjs: %v, %d answers to %d questions: %.200s", err, len(answers), len(questions), out)
	}
	return answers
}

// draw draws questions and counts what they are about.
type draw struct {
	*rand.Rand
	seen    map[string]int
	request iamRequest
	differs []string
	beyond  bool
}

type drawnQuestion struct {
	request      iamRequest
	ours, theirs question
	differs      []string
	beyond       bool
}

// twin is a value as this package gets it and as the oracle does.
type twin struct{ ours, theirs any }

func same(v any) twin { return twin{v, v} }

func (d *draw) differing(name string, ours, theirs any) twin {
	if !slices.Contains(d.differs, name) {
		d.differs = append(d.differs, name)
	}
	return twin{ours, theirs}
}

func (d *draw) saw(name string) { d.seen[name]++ }

// in says yes once in n times.
func (d *draw) in(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d *draw, of ...T) T { return of[d.IntN(len(of))] }

const regionARN = "arn:aws:execute-api:us-east-1:123456789012:"

var paths = []string{
	"/", "/orders", "/orders/", "/orders/4", "/orders/42", "/orders/42/items", "/orders-admin", "/Orders/42", "/orders/a:b:c", "/orders/a:b:c", "/orders/(42)",
	"/admin/orders/42", "/a.b", "/aXb", "/été",
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (d *draw) question() drawnQuestion {
	d.differs, d.beyond = nil, false
	d.request = iamRequest{
		action:    pick(d, invokeAction, invokeAction, invokeAction, "execute-api:InvalidateCache"),
		resource:  regionARN + pick(d, "localrest0/dev/", "localrest0/prod/", "localhttp0/$default/") + pick(d, "GET", "POST") + pick(d, paths...),
		time:      noon.Add(time.Duration(d.IntN(3)) * time.Hour),
		sourceIP:  pick(d, "203.0.113.7", "203.0.113.77", "198.51.100.1", "2001:db8::7"),
		userAgent: pick(d, "", "curl/8.5.0", "CURL/8.5.0", "Mozilla/5.0 (X11; rv:1)"),
		referer:   pick(d, "", "https://example.com/a?b", "https://example.com/"),
		secure:    d.in(2),
	}
	r := d.request
	context := map[string]string{
		"aws:CurrentTime": r.time.Format(time.RFC3339), "aws:EpochTime": strconv.FormatInt(r.time.Unix(), 10),
		"aws:SourceIp": r.sourceIP, "aws:SecureTransport": strconv.FormatBool(r.secure),
	}
	if r.userAgent != "" {
		context["aws:UserAgent"] = r.userAgent
	}
	if r.referer != "" {
		context["aws:Referer"] = r.referer
	}
	ours, theirs := map[string]any{"Id": "x"}, map[string]any{}
	if version := pick(d, "", "2008-10-17", "2012-10-17"); version != "" {
		ours["Version"], theirs["Version"] = version, version
	} else {
		d.saw("no Version")
	}
	statements := d.list(1+d.IntN(4), "one statement", "several statements", d.statement)
	ours["Statement"], theirs["Statement"] = statements.ours, statements.theirs
	ask := func(policy any) question {
		doc, _ := json.Marshal(policy) // maps, lists and texts
		return question{doc, r.action, r.resource, context}
	}
	return drawnQuestion{r, ask(ours), ask(theirs), d.differs, d.beyond}
}

// list draws n values; one of them stands alone or in a list. What is a list for the oracle is more than one there.
func (d *draw) list(n int, one, several string, value func() twin) twin {
	var ours, theirs []any
	for range n {
		v := value()
		ours = append(ours, v.ours)
		if more, ok := v.theirs.([]any); ok {
			theirs = append(theirs, more...)
			continue
		}
		theirs = append(theirs, v.theirs)
	}
	if n == 1 && d.in(2) {
		d.saw(one)
		return twin{ours[0], theirs}
	}
	d.saw(several)
	return twin{ours, theirs}
}

func (d *draw) values(value func() twin) twin {
	return d.list(pick(d, 1, 1, 2, 3), "one value", "list of values", value)
}

func (d *draw) statement() twin {
	ours, theirs := map[string]any{}, map[string]any{}
	set := func(name string, v twin) { ours[name], theirs[name] = v.ours, v.theirs }
	set("Effect", same(pick(d, "Allow", "Allow", "Deny")))
	if d.in(2) {
		set("Sid", same("s"))
	}
	element := pick(d, "Action", "Action", "Action", "NotAction")
	d.saw(element)
	set(element, d.values(func() twin { return same(d.action(element)) }))
	element = pick(d, "Resource", "Resource", "Resource", "Resource", "NotResource")
	d.saw(element)
	set(element, d.values(d.resource))
	if d.in(2) {
		set("Condition", d.condition())
	}
	return twin{ours, theirs}
}

func (d *draw) action(element string) string {
	if element == "NotAction" {
		return pick(d, "s3:*", "iam:GetUser", "execute-api:InvalidateCache", "execute-api:invalidate*", invokeAction)
	}
	a := pick(d, invokeAction, invokeAction, "execute-api:*", "*", "Execute-API:INVOKE", "execute-api:Inv?ke", "execute-api:*Cache", "s3:*", "execute-api:Inv")
	if strings.Contains(a, "INVOKE") {
		d.saw("action in another case")
	}
	if strings.Contains(a, "?") {
		d.saw("? in an action")
	}
	return a
}

// resource draws a pattern near the request's own ARN.
func (d *draw) resource() twin {
	rest := strings.TrimPrefix(d.request.resource, regionARN)
	api, rest, _ := strings.Cut(rest, "/")
	parts := strings.SplitN(rest, "/", 3) // stage, method, path
	to := regionARN + api + "/"
	runes := []rune(rest)
	i := d.IntN(len(runes))
	before, after := string(runes[:i]), string(runes[i+1:])
	name, pattern := "", ""
	switch d.IntN(21) {
	case 0:
		own, some := "another", pick(d, "*", "local*", "local?ttp0")
		if some != "local?ttp0" || api == "localhttp0" {
			own = api
		}
		return d.differing("wildcard in the API id", regionARN+some+"/"+rest, regionARN+own+"/"+rest)
	case 1:
		return d.differing("region in another case", strings.Replace(d.request.resource, "us-east-1", "US-EAST-1", 1), "arn:aws:execute-api:eu-north-1:*:*")
	case 2:
		name, pattern = "* alone", "*"
	case 3:
		name, pattern = "shorthand for all", pick(d, "arn:aws:execute-api:*:*:*", "arn:aws:execute-api:us-east-1:*:*", "arn:aws:execute-api:eu-north-1:*:*")
	case 4, 5:
		name, pattern = "* at the end", to+before+"*"
	case 6, 7:
		name, pattern = "* across slashes", to+parts[0]+"/*"+pick(d, "2", "/42", "s", "/items", "*")
	case 8:
		name, pattern = "* anywhere", to+before+"*"+string(runes[i+d.IntN(len(runes)-i):])
	case 9:
		name, pattern = "? for one", to+before+"?"+after
	case 10:
		name, pattern = "? for none", d.request.resource+"?"
	case 11:
		name, pattern = "a dot for another character", to+before+"."+after
	case 12:
		name, pattern = "near miss", pick(d, d.request.resource+"/", d.request.resource+"-admin", strings.TrimSuffix(d.request.resource, "/"), to+string(runes[:len(runes)-1]))
	case 13:
		name, pattern = "path in another case", to+parts[0]+"/"+parts[1]+"/"+pick(d, strings.ToUpper(parts[2]), strings.ToLower(parts[2]))
	case 14:
		name, pattern = "region *", strings.Replace(d.request.resource, "us-east-1", pick(d, "*", "us-*-?", "eu-*"), 1)
	case 15:
		name, pattern = "another path", to+parts[0]+"/"+parts[1]+pick(d, paths...)
	case 16:
		name, pattern = "* for what holds colons", "arn:aws:execute-api:*:b:c"
	default:
		name, pattern = "exact", d.request.resource
	}
	d.saw(name)
	return same(pattern)
}

func (d *draw) condition() twin {
	ours, theirs := map[string]any{}, map[string]any{}
	n := pick(d, 1, 1, 1, 2, 3)
	if n > 1 {
		d.saw("several conditions")
	}
	for range n {
		operator, key, values := d.test()
		if d.in(5) {
			key = strings.ToUpper(key)
			d.saw("key in another case")
		}
		for _, side := range []struct {
			block map[string]any
			value any
		}{{ours, values.ours}, {theirs, values.theirs}} {
			keys, _ := side.block[operator].(map[string]any)
			if keys == nil {
				keys = map[string]any{}
			}
			keys[key] = side.value
			side.block[operator] = keys
		}
	}
	return twin{ours, theirs}
}

// test draws an operator on a key.
func (d *draw) test() (operator, key string, values twin) {
	if d.in(40) {
		return d.odd()
	}
	truth := func() twin {
		v := pick[any](d, "true", "false", true, false)
		if _, quoted := v.(string); !quoted {
			d.saw("value without quotes")
		}
		return same(v)
	}
	order := pick(d, "Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
	value := truth
	switch d.IntN(7) {
	case 0:
		operator, key = "Date", pick(d, "aws:CurrentTime", "aws:EpochTime")
		value = func() twin { return d.date(key) }
	case 1:
		operator, key, value = "Numeric", "aws:EpochTime", d.number
	case 2:
		operator, key = pick(d, "IpAddress", "NotIpAddress"), "aws:SourceIp"
		value = func() twin { return d.address(operator) }
	case 3, 4:
		operator, key = "String", pick(d, "aws:UserAgent", "aws:Referer")
		order = pick(d, "", "Not") + pick(d, "Equals", "EqualsIgnoreCase", "Like")
		value = func() twin { return d.text(key) }
	case 5:
		operator, key = "Bool", "aws:SecureTransport"
	default:
		d.saw("Null")
		return "Null", pick(d, "aws:UserAgent", "aws:Referer", "aws:Referer", "aws:SourceIp"), d.values(truth)
	}
	d.saw(operator)
	values = d.values(value)
	if slices.Contains([]string{"Date", "Numeric", "String"}, operator) {
		operator += order
	}
	for _, name := range []string{"Not", "Like", "IgnoreCase"} {
		if strings.Contains(operator, name) {
			d.saw(name)
		}
	}
	if key == "aws:UserAgent" && d.request.userAgent == "" || key == "aws:Referer" && d.request.referer == "" {
		d.saw("key absent")
	}
	switch d.IntN(8) {
	case 0, 1:
		d.saw("IfExists")
		operator += "IfExists"
	case 2:
		set := pick(d, "ForAllValues", "ForAnyValue")
		d.saw(set)
		operator = set + ":" + operator
	}
	return operator, key, values
}

// odd draws what no page describes.
func (d *draw) odd() (operator, key string, values twin) {
	d.saw("beyond")
	d.beyond = true
	c := pick(d,
		[3]any{"StringEquals", "aws:username", "x"},
		[3]any{"StringNotEquals", "aws:SourceVpce", "x"},
		[3]any{"StringEquals", "aws:SourceIp", "203.0.113.7"},
		[3]any{"stringnotequals", "aws:UserAgent", "curl/8.5.0"},
		[3]any{"StringLike", "aws:UserAgent", "c${*}*"},
		[3]any{"StringNotLike", "aws:UserAgent", "${aws:username}"},
		[3]any{"ForAllValues:StringLikeIfExists", "aws:Referer", "https*"},
		[3]any{"NullIfExists", "aws:Referer", "true"},
		[3]any{"IpAddress", "aws:SourceIp", []string{"203.0.113.0/24", "any"}},
		[3]any{"NotIpAddress", "aws:SourceIp", "203.0.113.0/33"},
		[3]any{"DateLessThan", "aws:CurrentTime", "March 2, 2026"},
		[3]any{"DateGreaterThan", "aws:EpochTime", "2025"},
		[3]any{"NumericLessThan", "aws:EpochTime", "9999999999 or so"},
		[3]any{"Bool", "aws:SecureTransport", []string{"TRUE", "FALSE"}},
	)
	return c[0].(string), c[1].(string), same(c[2])
}

func (d *draw) date(key string) twin {
	at := d.request.time.Add(pick(d, -24*time.Hour, -time.Second, 0, 0, time.Second, 24*time.Hour))
	iso, epoch := at.Format(time.RFC3339), strconv.FormatInt(at.Unix(), 10)
	switch {
	case key == "aws:EpochTime" && d.in(3):
		return d.differing("epoch time against ISO", iso, epoch)
	case key == "aws:EpochTime":
		return same(epoch)
	case d.in(6):
		return d.differing("epoch time against ISO", epoch, iso)
	}
	return same(at.In(pick(d, time.UTC, time.FixedZone("", 2*60*60))).Format(pick(d, time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01")))
}

func (d *draw) number() twin {
	n := d.request.time.Unix() + pick[int64](d, -3600, -1, 0, 0, 1, 3600)
	if d.in(3) {
		d.saw("value without quotes")
		return same(n)
	}
	return same(strconv.FormatInt(n, 10) + pick(d, "", ".0", ".5"))
}

func (d *draw) address(operator string) twin {
	v := pick(d, "203.0.113.0/24", "203.0.113.64/26", "203.0.113.99/25", "203.0.113.7", "198.51.100.1", "0.0.0.0/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8::7", "::/0")
	v6, ofV6 := strings.Contains(v, ":"), strings.Contains(d.request.sourceIP, ":")
	switch {
	case v == "0.0.0.0/0":
		return d.differing("all of IPv4", v, []any{"0.0.0.0/1", "128.0.0.0/1"})
	case operator == "NotIpAddress" && v6 != ofV6 && !strings.Contains(v, "/"):
		return d.differing("NotIpAddress of a family", v, v+map[bool]string{true: "/128", false: "/32"}[v6])
	}
	return same(v)
}

// text draws a pattern near the request's own value.
func (d *draw) text(key string) twin {
	own := d.request.userAgent
	if key == "aws:Referer" {
		own = d.request.referer
	}
	if own == "" {
		own = "curl/8.5.0"
	}
	i := d.IntN(len(own))
	return same(pick(d, own, own, strings.ToUpper(own), strings.ToLower(own), "*", own+"*", own+"?", own[:i]+"*", own[:i]+"?"+own[i+1:], own[:i]+"."+own[i+1:], "other"))
}
