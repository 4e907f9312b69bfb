// Package caller is all that a function behind Gatehouse needs: who calls, what is asked, and how to answer. The
// authorizer has verified the token and decided; its context says who the caller is, and the token itself never gets
// here.
//
// A function is a plain func from [Request] to [Response], the same for a REST API and for an HTTP API:
//
//	lambda.Start(caller.Guarded(func(ctx context.Context, r caller.Request) caller.Response {
//		return caller.Response{Status: 200, Body: map[string]string{"hello": r.Caller.Subject}}
//	}))
package caller

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Caller is who asks, as the authorizer verified it. Only the functions of [Guarded] see one; it is then complete:
// Subject, ExpiresAt, DecisionID and Revision are always set.
type Caller struct {
	Subject      string            // "auth0|1"; of a machine its client's, "robot@clients"
	ClientID     string            // the application that asks; "" where the token names none
	Organization string            // "org_home"; "" for none
	Scopes       []string          // what the application may ask for; never nil
	Permissions  []string          // what the token says that the user was granted; never nil. What roles give is the policy's to know
	ExpiresAt    time.Time         // when the token ends, UTC, whole seconds
	DecisionID   string            // of the decision that let the request in; finds its record
	Revision     string            // digest of the policy that decided
	Warnings     []string          // the decision's; they are sent to the client without the function's help
	Context      map[string]string // the decision's own context values by name; nil for none
}

// leeway is how long after its end a token still counts: the most that the authorizer's clock_skew may be, so that this
// door never shuts on a request that the other has just let in. RFC 7519 4.1.4 allows for some minutes.
const leeway = 5 * time.Minute

// latestExpiry is the last second that has a four-digit year, as rule 28 has it.
const latestExpiry = 253402300799

var (
	errNoContext = errors.New("no authorizer context: the route has no authorizer, or not this one")
	errExpired   = errors.New("the token expired after the authorizer's answer was cached")
)

// fromContext reads the authorizer's context (AWS: "Output from an API Gateway Lambda authorizer"). Every value is text,
// as REST APIs would make of it anyway. Its errors are errNoContext, errExpired (the caller is given then, for its
// decision id), or name every fault; they never hold a value.
func fromContext(values map[string]any, now time.Time) (Caller, error) {
	if len(values) == 0 {
		return Caller{}, errNoContext
	}
	var faults []error
	texts := make(map[string]string, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "principalId" || name == "integrationLatency" { // REST APIs add these two themselves
			continue
		}
		text, ok := values[name].(string)
		if !ok {
			faults = append(faults, fmt.Errorf("%q: want text", name))
			continue
		}
		texts[name] = text
	}
	take := func(name string) string {
		text := texts[name]
		delete(texts, name)
		return text
	}
	must := func(name string) string {
		text := take(name)
		if _, there := values[name]; !there || values[name] == "" {
			faults = append(faults, fmt.Errorf("%q: missing", name))
		}
		return text
	}
	c := Caller{
		Subject:      must("sub"),
		ClientID:     take("client_id"),
		Organization: take("org_id"),
		Scopes:       words(take("scope")),
		Permissions:  words(take("permissions")),
		DecisionID:   must("decision_id"),
		Revision:     must("revision"),
	}
	if text := must("exp"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds <= 0 || seconds > latestExpiry {
			faults = append(faults, errors.New(`"exp": want seconds since 1970 in digits`))
		}
		c.ExpiresAt = time.Unix(seconds, 0).UTC()
	}
	if text := take("warnings"); text != "" {
		if err := json.Unmarshal([]byte(text), &c.Warnings); err != nil {
			faults = append(faults, errors.New(`"warnings": want a JSON array of texts`))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Caller{}, fmt.Errorf("authorizer context: %w", err)
	}
	if len(texts) > 0 {
		c.Context = texts
	}
	if !now.Before(c.ExpiresAt.Add(leeway)) {
		return c, errExpired
	}
	return c, nil
}

// words splits a list as RFC 6749 3.3 writes one: at spaces, and at no other white space.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
}
