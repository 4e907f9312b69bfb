package gateway

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// tri is what a condition comes to, for a request that has a referer and no user agent.
type tri string

const (
	yes    tri = "fulfilled"
	no     tri = "not fulfilled"
	unsure tri = "cannot be told"
)

func TestConditions(t *testing.T) {
	r := asked // at 12:00:00.5 on 1 March 2026, 1772366400, from 203.0.113.7
	r.referer = "https://example.com/a?b"
	for _, c := range []struct {
		condition string // without the outer braces
		want      tri
	}{
		{`"StringEquals":{"aws:Referer":"https://example.com/a?b"}`, yes},
		{`"StringEquals":{"aws:Referer":"https://example.com/A?b"}`, no},
		{`"StringEquals":{"aws:Referer":"https://example.com/*"}`, no}, // no wildcards but with Like
		{`"StringEquals":{"aws:Referer":["x","https://example.com/a?b"]}`, yes},
		{`"StringNotEquals":{"aws:Referer":"https://example.com/*"}`, yes},
		{`"StringNotEquals":{"aws:Referer":["x","https://example.com/a?b"]}`, no},
		{`"StringEqualsIgnoreCase":{"aws:Referer":"HTTPS://EXAMPLE.COM/A?B"}`, yes},
		{`"StringNotEqualsIgnoreCase":{"aws:Referer":"HTTPS://EXAMPLE.COM/A?B"}`, no},
		{`"StringLike":{"aws:Referer":"https://*.com/?*b"}`, yes},
		{`"StringLike":{"aws:Referer":"https://example.com"}`, no},
		{`"StringLike":{"aws:Referer":"HTTPS://*"}`, no},
		{`"StringNotLike":{"aws:Referer":["http://*","https://*"]}`, no},
		{`"StringNotLike":{"aws:Referer":["http://*","ftp://*"]}`, yes},
		{`"StringLike":{"aws:Referer":"https://example${*}"}`, unsure},
		{`"StringNotEquals":{"aws:Referer":["x","${aws:username}"]}`, unsure},

		{`"StringEquals":{"aws:UserAgent":"x"}`, no},
		{`"StringNotEquals":{"aws:UserAgent":"x"}`, yes},
		{`"StringEqualsIfExists":{"aws:UserAgent":"x"}`, yes},
		{`"StringNotEqualsIfExists":{"aws:UserAgent":"x"}`, yes},
		{`"StringEqualsIfExists":{"aws:Referer":"x"}`, no},
		{`"StringLike":{"aws:UserAgent":"*"}`, no},
		{`"Null":{"aws:UserAgent":"true"}`, yes},
		{`"Null":{"aws:UserAgent":"false"}`, no},
		{`"Null":{"aws:Referer":true}`, no},
		{`"Null":{"aws:Referer":false}`, yes},
		{`"Null":{"aws:Referer":["true","false"]}`, yes},
		{`"Null":{"aws:SourceIp":"false"}`, yes},
		{`"Null":{"aws:SourceIp":"no"}`, unsure},
		{`"NullIfExists":{"aws:UserAgent":"true"}`, unsure},

		{`"ForAllValues:StringEquals":{"aws:UserAgent":"x"}`, yes},
		{`"ForAllValues:StringEquals":{"aws:Referer":"x"}`, no},
		{`"ForAllValues:StringNotEquals":{"aws:Referer":"x"}`, yes},
		{`"ForAnyValue:StringEquals":{"aws:UserAgent":"x"}`, no},
		{`"ForAnyValue:StringNotEquals":{"aws:UserAgent":"x"}`, no},
		{`"ForAnyValue:StringLike":{"aws:Referer":"https*"}`, yes},
		{`"ForAnyValue:StringLikeIfExists":{"aws:UserAgent":"x"}`, unsure},
		{`"ForAllValues:StringLikeIfExists":{"aws:UserAgent":"x"}`, unsure},
		{`"ForAllValues:ForAnyValue:StringLike":{"aws:UserAgent":"x"}`, unsure},
		{`"ForAnyValue:Null":{"aws:UserAgent":"true"}`, unsure},
		{`"ForNoValue:StringLike":{"aws:UserAgent":"x"}`, unsure},

		{`"DateEquals":{"aws:CurrentTime":"2026-03-01T12:00:00Z"}`, yes}, // whole seconds
		{`"DateEquals":{"aws:CurrentTime":"2026-03-01T12:00:00.5Z"}`, no},
		{`"DateEquals":{"aws:CurrentTime":"2026-03-01T14:00+02:00"}`, yes},
		{`"DateEquals":{"aws:CurrentTime":"1772366400"}`, yes},
		{`"DateEquals":{"aws:CurrentTime":1772366400}`, yes},
		{`"DateEquals":{"aws:EpochTime":"2026-03-01T12:00:00Z"}`, yes},
		{`"DateNotEquals":{"aws:CurrentTime":["2026-03-01T11:59:59Z","2026-03-01T12:00:01Z"]}`, yes},
		{`"DateNotEquals":{"aws:CurrentTime":["2026-03-01T11:59:59Z","2026-03-01T12:00:00Z"]}`, no},
		{`"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:00:00Z"}`, no},
		{`"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:00:01Z"}`, yes},
		{`"DateLessThanEquals":{"aws:CurrentTime":"2026-03-01T12:00:00Z"}`, yes},
		{`"DateLessThanEquals":{"aws:CurrentTime":"2026-03-01T11:59:59Z"}`, no},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-03-01T12:00:00Z"}`, no},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-03-01"}`, yes},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-04"}`, no},
		{`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-03-01T12:00:00Z"}`, yes},
		{`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-03-01T12:00:01Z"}`, no},
		{`"DateGreaterThan":{"aws:CurrentTime":"0"}`, yes},
		{`"DateGreaterThan":{"aws:CurrentTime":"2025"}`, unsure}, // a year or epoch time
		{`"DateGreaterThan":{"aws:CurrentTime":"*"}`, unsure},
		{`"DateGreaterThan":{"aws:CurrentTime":"yesterday"}`, unsure},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-02-30"}`, unsure},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-02-01T1:00:00Z"}`, unsure},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-02-01T12:00:00"}`, unsure}, // of which zone?
		{`"DateGreaterThan":{"aws:CurrentTime":"-1"}`, unsure},

		{`"NumericEquals":{"aws:EpochTime":"1772366400"}`, yes},
		{`"NumericEquals":{"aws:EpochTime":1772366400.0}`, yes},
		{`"NumericNotEquals":{"aws:EpochTime":[1,1772366400]}`, no},
		{`"NumericLessThan":{"aws:EpochTime":"1772366400"}`, no},
		{`"NumericLessThan":{"aws:EpochTime":"1772366400.5"}`, yes},
		{`"NumericLessThanEquals":{"aws:EpochTime":"1772366400"}`, yes},
		{`"NumericGreaterThan":{"aws:EpochTime":"-1"}`, yes},
		{`"NumericGreaterThan":{"aws:EpochTime":"1772366400"}`, no},
		{`"NumericGreaterThanEquals":{"aws:EpochTime":"1772366400"}`, yes},
		{`"NumericGreaterThan":{"aws:EpochTime":"1e3"}`, unsure},
		{`"NumericGreaterThan":{"aws:EpochTime":"0x10"}`, unsure},
		{`"NumericGreaterThan":{"aws:EpochTime":"2026-03-01T12:00:00Z"}`, unsure},
		{`"NumericLessThan":{"aws:EpochTime":"` + strings.Repeat("9", 400) + `"}`, unsure},

		{`"Bool":{"aws:SecureTransport":"true"}`, yes},
		{`"Bool":{"aws:SecureTransport":true}`, yes},
		{`"Bool":{"aws:SecureTransport":"false"}`, no},
		{`"BoolIfExists":{"aws:SecureTransport":"false"}`, no},
		{`"Bool":{"aws:SecureTransport":"True"}`, unsure},

		{`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, yes},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.7"}`, yes},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.8"}`, no},
		{`"IpAddress":{"aws:SourceIp":["2001:db8::/32","203.0.113.9/30"]}`, no},
		{`"IpAddress":{"aws:SourceIp":["2001:db8::/32","203.0.113.9/28"]}`, yes},
		{`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`, yes},
		{`"IpAddress":{"aws:SourceIp":"::/0"}`, no},
		{`"NotIpAddress":{"aws:SourceIp":["198.51.100.0/24","203.0.113.0/24"]}`, no},
		{`"NotIpAddress":{"aws:SourceIp":["198.51.100.0/24","2001:db8::1"]}`, yes},
		{`"IpAddress":{"aws:SourceIp":["203.0.113.0/24","203.0.113.0/33"]}`, unsure},
		{`"NotIpAddress":{"aws:SourceIp":"203.0.113.*"}`, unsure},
		{`"IpAddress":{"aws:SourceIp":"fe80::1%eth0"}`, unsure},

		{`"Bool":{"AWS:securetransport":"true"}`, yes}, // keys have no case
		{`"bool":{"aws:SecureTransport":"true"}`, unsure},
		{`"StringEquals":{"aws:SourceIp":"203.0.113.7"}`, unsure}, // works with IP address operators
		{`"DateLessThan":{"aws:Referer":"2027-01-01"}`, unsure},
		{`"StringEquals":{"aws:username":"x"}`, unsure},
		{`"StringNotEquals":{"aws:SourceVpce":"x"}`, unsure},
		{`"Null":{"aws:username":"true"}`, unsure},
		{`"ArnLike":{"aws:SourceArn":"*"}`, unsure},
		{`"BinaryEquals":{"aws:UserAgent":"eA=="}`, unsure},
		{`"IsEqual":{"aws:UserAgent":"x"}`, unsure},

		{`"Bool":{"aws:SecureTransport":"true"},"IpAddress":{"aws:SourceIp":"203.0.113.7"}`, yes}, // operators and keys: all
		{`"Bool":{"aws:SecureTransport":"true"},"IpAddress":{"aws:SourceIp":"203.0.113.8"}`, no},
		{`"StringLike":{"aws:Referer":"https*","aws:UserAgent":"*"}`, no},
		{`"StringNotLike":{"aws:Referer":"ftp*","aws:UserAgent":"*"}`, yes},
		{`"Bool":{"aws:SecureTransport":"true"},"IsEqual":{"aws:SourceIp":"203.0.113.8"}`, unsure},
		{`"Bool":{"aws:SecureTransport":"false"},"IsEqual":{"aws:SourceIp":"203.0.113.8"}`, no},
	} {
		if got := under(t, c.condition, r); got != c.want {
			t.Errorf("%s: %s, want %s", c.condition, got, c.want)
		}
	}
}

// under says what a condition comes to, by an Allow under it and a Deny under it.
func under(t *testing.T, condition string, r iamRequest) tri {
	t.Helper()
	statement := `,"Action":"*","Resource":"*","Condition":{` + condition + `}}`
	var effects [2]effect
	for i, statements := range []string{`{"Effect":"Allow"` + statement, `{"Effect":"Deny"` + statement} {
		p, err := parsePolicy([]byte(`{"Statement":` + statements + `}`))
		if err != nil {
			t.Fatalf("%s: %v", condition, err)
		}
		effects[i] = p.evaluate(r)
	}
	switch effects {
	case [2]effect{allow, explicitDeny}:
		return yes
	case [2]effect{implicitDeny, implicitDeny}:
		return no
	case [2]effect{implicitDeny, explicitDeny}:
		return unsure
	}
	t.Fatalf("%s: an Allow gives %v, a Deny %v", condition, effects[0], effects[1])
	return ""
}

func TestConditionsOfIPv6(t *testing.T) {
	for _, c := range []struct {
		ip, condition string
		want          tri
	}{
		{"2001:db8::7", `"IpAddress":{"aws:SourceIp":"2001:DB8::/32"}`, yes},
		{"2001:db8::7", `"IpAddress":{"aws:SourceIp":"2001:db8:0:0:0:0:0:7"}`, yes},
		{"2001:db8::7", `"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`, no},
		{"2001:db8::7", `"NotIpAddress":{"aws:SourceIp":"203.0.113.7"}`, yes},
		{"", `"NotIpAddress":{"aws:SourceIp":"203.0.113.7"}`, unsure},
	} {
		r := asked
		r.sourceIP = c.ip
		if got := under(t, c.condition, r); got != c.want {
			t.Errorf("%s from %q: %s, want %s", c.condition, c.ip, got, c.want)
		}
	}
}

// A policy is older than the requests it is evaluated for, where it was cached.
func TestAConditionIsAboutTheRequestsOwnTime(t *testing.T) {
	p, err := parsePolicy([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:00:01Z"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	later := asked
	later.time = asked.time.Add(time.Second)
	if first, then := p.evaluate(asked), p.evaluate(later); first != allow || then != implicitDeny {
		t.Errorf("got %v, then %v", first, then)
	}
}

func TestWhatConditionsSeeOfARequest(t *testing.T) {
	r := httptest.NewRequest("GET", "https://example.com/dev/orders/42", nil)
	r.Header.Set("User-Agent", "curl/8.5.0")
	r.Header.Set("Referer", "https://example.com/")
	c := &call{
		api:     &api{region: "us-east-1", account: "123456789012", id: "localrest0", stage: "dev"},
		request: r, path: "/orders/42", time: asked.time, ip: "fe80::1%eth0",
	}
	want := iamRequest{
		action: "execute-api:Invoke", resource: ordersARN, time: asked.time, sourceIP: "fe80::1",
		userAgent: "curl/8.5.0", referer: "https://example.com/", secure: true,
	}
	if got := c.iamRequest(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	r.TLS = nil // as on this machine; API Gateway is reached over TLS only
	if got := c.iamRequest(); !got.secure {
		t.Errorf("got %+v", got)
	}
}

// FuzzCondition holds that no condition is fulfilled in an Allow and not in a Deny, and that none is read that nothing
// stands in.
func FuzzCondition(f *testing.F) {
	f.Add(`{"Bool":{"aws:SecureTransport":"true"}}`, "", "")
	f.Add(`{"ForAllValues:StringLikeIfExists":{"AWS:Referer":["*?","${*}"]},"Null":{"aws:UserAgent":false}}`, "curl", "http://x")
	f.Add(`{"DateLessThan":{"aws:CurrentTime":["2026-03-01T12:00Z",1]},"NumericNotEquals":{"aws:EpochTime":1.5}}`, "a", "")
	f.Add(`{"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","::/0"]}}`, "", "b")
	f.Add(`{"Bool":{}}`, "", "")
	f.Fuzz(func(t *testing.T, doc, userAgent, referer string) {
		if !json.Valid([]byte(doc)) {
			return // parsePolicy has read the whole
		}
		all, err := parseCondition([]byte(strings.TrimSpace(doc)))
		if err != nil && all != nil {
			t.Fatalf("got %v and %v", all, err)
		}
		r := asked
		r.userAgent, r.referer = userAgent, referer
		for _, c := range all {
			if len(c.values) == 0 {
				t.Errorf("no values: %+v", c)
			}
			if c.fulfilled(r, false) && !c.fulfilled(r, true) {
				t.Errorf("fulfilled in an Allow only: %+v", c)
			}
		}
	})
}
