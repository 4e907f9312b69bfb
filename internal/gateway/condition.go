package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// condition is one operator on one key of a Condition element (IAM User Guide, "IAM JSON policy elements: Condition
// operators").
type condition struct {
	key      contextKey
	operator operator
	values   []string
	ifAbsent bool // what it is where the request lacks the key
	unknown  bool // the operator, the key, their combination or a value is none that the pages describe
}

// contextKey is what a request holds under the name of a key; false where it holds nothing.
type contextKey struct {
	kinds []kind
	value func(iamRequest) (string, bool)
}

// contextKeys are the keys that a client's request to a public API has under any kind of authorization (API Gateway
// Developer Guide, "AWS condition keys that can be used in API Gateway resource policies"), with what their values are
// compared as (IAM User Guide, "AWS global condition context keys": works with). The names have no case ("IAM JSON policy
// elements: Condition"); here they are in lower case. The clock has whole seconds, as epoch time does.
var contextKeys = map[string]contextKey{
	"aws:currenttime":     {[]kind{date}, func(r iamRequest) (string, bool) { return r.time.UTC().Format(time.RFC3339), true }},
	"aws:epochtime":       {[]kind{date, number}, func(r iamRequest) (string, bool) { return strconv.FormatInt(r.time.Unix(), 10), true }},
	"aws:referer":         {[]kind{text}, func(r iamRequest) (string, bool) { return r.referer, r.referer != "" }},
	"aws:securetransport": {[]kind{boolean}, func(r iamRequest) (string, bool) { return strconv.FormatBool(r.secure), true }},
	"aws:sourceip":        {[]kind{address}, func(r iamRequest) (string, bool) { return r.sourceIP, true }},
	"aws:useragent":       {[]kind{text}, func(r iamRequest) (string, bool) { return r.userAgent, r.userAgent != "" }},
}

// absent is what Null compares: "true" for a key that the request lacks.
func (k contextKey) absent() contextKey {
	return contextKey{[]kind{boolean}, func(r iamRequest) (string, bool) {
		_, present := k.value(r)
		return strconv.FormatBool(!present), true
	}}
}

// operator compares a request's value with one of the policy's.
type operator struct {
	kind    kind
	negated bool
	matches func(value, given string) bool
}

var operators = map[string]operator{
	"StringEquals":              {text, false, equal},
	"StringNotEquals":           {text, true, equal},
	"StringEqualsIgnoreCase":    {text, false, strings.EqualFold},
	"StringNotEqualsIgnoreCase": {text, true, strings.EqualFold},
	"StringLike":                {text, false, like},
	"StringNotLike":             {text, true, like},
	"NumericEquals":             {number, false, ordered(readNumber, 0)},
	"NumericNotEquals":          {number, true, ordered(readNumber, 0)},
	"NumericLessThan":           {number, false, ordered(readNumber, -1)},
	"NumericLessThanEquals":     {number, false, ordered(readNumber, -1, 0)},
	"NumericGreaterThan":        {number, false, ordered(readNumber, 1)},
	"NumericGreaterThanEquals":  {number, false, ordered(readNumber, 1, 0)},
	"DateEquals":                {date, false, ordered(readDate, 0)},
	"DateNotEquals":             {date, true, ordered(readDate, 0)},
	"DateLessThan":              {date, false, ordered(readDate, -1)},
	"DateLessThanEquals":        {date, false, ordered(readDate, -1, 0)},
	"DateGreaterThan":           {date, false, ordered(readDate, 1)},
	"DateGreaterThanEquals":     {date, false, ordered(readDate, 1, 0)},
	"Bool":                      {boolean, false, equal},
	"IpAddress":                 {address, false, within},
	"NotIpAddress":              {address, true, within},
}

func equal(value, given string) bool { return value == given }

func like(value, given string) bool { return glob(given, value) }

func within(value, given string) bool {
	v, _ := readAddress(value)
	g, _ := readAddress(given)
	return g.Contains(v.Addr())
}

// ordered compares what read makes of the two: the value is before (-1), at (0) or after (1) what is given.
func ordered(read func(string) (float64, bool), want ...int) func(value, given string) bool {
	return func(value, given string) bool {
		v, _ := read(value)
		g, _ := read(given)
		return slices.Contains(want, cmp.Compare(v, g))
	}
}

// parseCondition reads a Condition element: operators, under each of them keys, under each of those a value or a list
// (IAM User Guide, "Grammar of the IAM JSON policy language"). What has this form and yet isn't known is no error.
func parseCondition(doc json.RawMessage) ([]condition, error) {
	var block map[string]map[string]json.RawMessage
	if err := json.Unmarshal(doc, &block); err != nil || block == nil {
		return nil, errors.New("not operators with keys")
	}
	var all []condition
	for name, keys := range block {
		if len(keys) == 0 {
			return nil, fmt.Errorf("%s: no key", name)
		}
		for key, list := range keys {
			values, err := scalars(list)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, key, err)
			}
			all = append(all, newCondition(name, key, values))
		}
	}
	return all, nil
}

// newCondition knows what a missing key means: a negated operator is fulfilled, another is not, IfExists is (IAM User
// Guide, "IAM JSON policy elements: Condition operators"); ForAllValues is and ForAnyValue is not ("Set operators for
// multivalued context keys"), and both change nothing else for keys of one value, as all here are. What IfExists means
// with one of these stands nowhere. Policy variables aren't known here.
func newCondition(name, key string, values []string) condition {
	k, knownKey := contextKeys[strings.ToLower(key)]
	if name == "Null" {
		k, name = k.absent(), "Bool"
	}
	base, all := strings.CutPrefix(name, "ForAllValues:")
	base, some := strings.CutPrefix(base, "ForAnyValue:")
	base, ifExists := strings.CutSuffix(base, "IfExists")
	o, knownOperator := operators[base]
	return condition{
		key: k, operator: o, values: values, ifAbsent: all || ifExists || o.negated && !some,
		unknown: !knownKey || !knownOperator || !slices.Contains(k.kinds, o.kind) || some && (all || ifExists) || all && ifExists ||
			slices.ContainsFunc(values, func(v string) bool { return !o.kind.holds(v) || strings.Contains(v, "${") }),
	}
}

// fulfilled says whether a request meets the condition; unsure is the answer where that cannot be told. One of the values
// suffices, and a negated operator wants none to match (IAM User Guide, "Conditions with multiple context keys or
// values").
func (c condition) fulfilled(r iamRequest, unsure bool) bool {
	if c.unknown {
		return unsure
	}
	value, present := c.key.value(r)
	switch {
	case !present:
		return c.ifAbsent
	case !c.operator.kind.holds(value):
		return unsure
	}
	return slices.ContainsFunc(c.values, func(given string) bool { return c.operator.matches(value, given) }) != c.operator.negated
}

// scalars reads one value or a list of at least one. Quotes are optional for numbers and truth values (IAM User Guide,
// "Grammar of the IAM JSON policy language").
func scalars(doc json.RawMessage) ([]string, error) {
	list := []json.RawMessage{doc}
	if doc[0] == '[' {
		_ = json.Unmarshal(doc, &list) // it is part of a document that was read
	}
	var all []string
	for _, raw := range list {
		s := string(raw)
		if strings.Contains("{[n", s[:1]) || raw[0] == '"' && json.Unmarshal(raw, &s) != nil {
			return nil, fmt.Errorf("%s is no value", raw)
		}
		all = append(all, s)
	}
	if all == nil {
		return nil, errors.New("no value")
	}
	return all, nil
}

// kind is what a value is compared as.
type kind int

const (
	text kind = iota
	number
	date
	boolean
	address
)

// holds says whether a value is one of this kind.
func (k kind) holds(value string) bool {
	ok := true
	switch k {
	case number:
		_, ok = readNumber(value)
	case date:
		_, ok = readDate(value)
	case boolean:
		ok = value == "true" || value == "false"
	case address:
		_, ok = readAddress(value)
	}
	return ok
}

var (
	decimal = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
	epoch   = regexp.MustCompile(`^\d+$`)
	w3c     = regexp.MustCompile(`^\d{4}-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?)?$`)
)

// readNumber reads an integer or a decimal.
func readNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && decimal.MatchString(s)
}

// readDate gives the seconds since 1970 of a date in a W3C form or in epoch time. Four digits alone would be a year in
// the one and seconds in the other: no date.
func readDate(s string) (float64, bool) {
	if epoch.MatchString(s) && len(s) != 4 {
		return readNumber(s)
	}
	if !w3c.MatchString(s) {
		return 0, false
	}
	for _, layout := range []string{"2006-01", time.DateOnly, "2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true
		}
	}
	return 0, false
}

// readAddress reads a range in CIDR notation, or one address as the range of it alone.
func readAddress(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen()), err == nil && a.Zone() == ""
}
