package apigw

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/authorizer"
)

// arn is a request as the gateway names it:
//
//	arn:{partition}:execute-api:{region}:{account}:{api}/{stage}/{VERB}[/{path}]     REST and HTTP API
//	arn:{partition}:execute-api:{region}:{account}:{api}/{stage}/$connect            WebSocket API
type arn struct {
	partition, region, account, api, stage string
	tail                                   string // all that follows the stage: verb, and path if there is one
	verb, path                             string // path without its leading slash
}

// maxResource is how long a Resource in an answer may be (AWS: "Output from an API Gateway Lambda authorizer" says 512
// characters). Bytes are counted, which is never more lenient.
const maxResource = 512

// parseARN reads an ARN. Paths hold colons and slashes, so each separator is cut only as often as the grammar has it.
// Partition, region, account, api, stage and verb are plain names afterwards: no wildcard can hide in them. The path
// can hold anything.
func parseARN(s string) (arn, error) {
	fields := strings.SplitN(s, ":", 6)
	if len(fields) != 6 || fields[0] != "arn" || fields[2] != "execute-api" {
		return arn{}, errors.New("parse arn: want arn:partition:execute-api:region:account:api/stage/verb/path")
	}
	parts := strings.SplitN(fields[5], "/", 4)
	if len(parts) < 3 {
		return arn{}, errors.New("parse arn: want api/stage/verb after the account")
	}
	a := arn{
		partition: fields[1], region: fields[3], account: fields[4], api: parts[0], stage: parts[1], verb: parts[2],
		tail: fields[5][len(parts[0])+len(parts[1])+2:],
	}
	if len(parts) == 4 {
		a.path = parts[3]
	}
	var faults []error
	want := func(ok bool, what, shape string) {
		if !ok {
			faults = append(faults, fmt.Errorf("parse arn: %s: want %s", what, shape))
		}
	}
	want(isName(a.partition), "partition", "a plain name")
	want(isName(a.region), "region", "a plain name")
	want(isAccount(a.account), "account", "12 digits")
	want(isName(a.api), "api", "a plain name")
	want(isName(a.stage) || a.stage == "$default", "stage", "a plain name or $default")
	want(a.tail == authorizer.Connect || isVerb(a.verb), "verb", "a request's own method in capitals, or $connect alone")
	if err := errors.Join(faults...); err != nil {
		return arn{}, err
	}
	return a, nil
}

// String spells the ARN exactly as it was read.
func (a arn) String() string { return a.all(a.tail) }

// all names what stands in the ARN's API and stage under tail.
func (a arn) all(tail string) string {
	return "arn:" + a.partition + ":execute-api:" + a.region + ":" + a.account + ":" + a.api + "/" + a.stage + "/" + tail
}

// writable says whether a Resource of this text stands for this one ARN only. IAM reads * and ? as wildcards and ${ as
// the start of a policy variable, and has no escape for them (AWS: "IAM JSON policy elements: Resource").
func writable(resource string) bool {
	return len(resource) <= maxResource && utf8.ValidString(resource) &&
		!strings.ContainsAny(resource, "*?") && !strings.Contains(resource, "${") && !hasControl(resource)
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func isAccount(s string) bool {
	return len(s) == 12 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// isName accepts the alphabet of stage names, which is the widest of those in an ARN (AWS: "Amazon API Gateway
// important notes"). Real names of every part are far shorter than 128.
func isName(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) })
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// isVerb refuses ANY too: routes have it, a request never does.
func isVerb(s string) bool {
	return s != "" && s != "ANY" && !strings.ContainsFunc(s, func(r rune) bool { return r < 'A' || r > 'Z' })
}
