package authorizer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
)

// changing is a source that holds one generation, or none, and confirms another.
type changing struct {
	held, current *authorizer.Generation
	err           error
}

func (c changing) Held(time.Time) *authorizer.Generation { return c.held }

func (c changing) Current(context.Context, time.Time) (*authorizer.Generation, error) {
	return c.current, c.err
}

func generation(r *rooms, revision string) *authorizer.Generation {
	return &authorizer.Generation{
		Revision: revision, Gateway: r, Authenticator: r, Policy: r,
		Activation: map[string]authorizer.Bundle{"activation": {Revision: revision[1:]}},
	}
}

// following is an authorizer on a source, and where its lines go.
func following(t *testing.T, s authorizer.Source, now func() time.Time) (*authorizer.Authorizer, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	a, err := authorizer.New(authorizer.Config{
		Source: s, Recorder: &authorizer.Lines{W: out}, Now: now, NewID: func() string { return "ID" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, out
}

// A request is answered by one generation, whatever the one before made of it.
func TestOneGenerationForARequest(t *testing.T) {
	refusing := granting()
	refusing.authErr = authorizer.Unauthenticated("token_expired", nil)
	down := authorizer.Unavailable("policy_stale", errors.New("not confirmed"))
	v1, v2, none := generation(granting(), "v1"), generation(granting(), "v2"), (*authorizer.Generation)(nil)
	tests := []struct {
		name    string
		source  changing
		want    error
		code    string
		bundles string
	}{
		{"the same", changing{v1, v1, nil}, nil, "", `{"activation":{"revision":"1"},"gatehouse":{"revision":"v1"}}`},
		{"another", changing{v1, v2, nil}, nil, "", `{"activation":{"revision":"2"},"gatehouse":{"revision":"v2"}}`},
		{"the first", changing{none, v1, nil}, nil, "", `{"activation":{"revision":"1"},"gatehouse":{"revision":"v1"}}`},
		{"one that believes the token after one that did not", changing{generation(refusing, "v1"), v2, nil}, nil, "", `{"activation":{"revision":"2"},"gatehouse":{"revision":"v2"}}`},
		{"one that does not believe it after one that did", changing{v1, generation(refusing, "v2"), nil}, authorizer.ErrUnauthenticated, "token_expired", `{"activation":{"revision":"2"},"gatehouse":{"revision":"v2"}}`},
		{"none may be used", changing{v1, nil, down}, authorizer.ErrUnavailable, "policy_stale", `{"activation":{"revision":"1"},"gatehouse":{"revision":"v1"}}`},
		{"none may be used, and the token is bad", changing{generation(refusing, "v1"), nil, down}, authorizer.ErrUnavailable, "policy_stale", `{"activation":{"revision":"1"},"gatehouse":{"revision":"v1"}}`},
		{"there never was one", changing{none, nil, down}, authorizer.ErrUnavailable, "policy_stale", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, out := following(t, tt.source, clock())
			answer, err := a.Authorize(t.Context(), nil)
			if err != tt.want || (answer == nil) != (err != nil) {
				t.Fatalf("got %s, %v", answer, err)
			}
			var r struct {
				Bundles json.RawMessage
				Error   struct{ Code string }
			}
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if string(r.Bundles) != tt.bundles || r.Error.Code != tt.code {
				t.Errorf("recorded %s %q, want %s %q", r.Bundles, r.Error.Code, tt.bundles, tt.code)
			}
		})
	}
}

// What the first generation made of the event is not in the record of the second.
func TestNothingStaysOfTheGenerationBefore(t *testing.T) {
	unreadable := granting()
	unreadable.requestErr = authorizer.Unauthenticated("token_missing", nil)
	a, out := following(t, changing{generation(granting(), "v1"), generation(unreadable, "v2"), nil}, clock())
	if _, err := a.Authorize(t.Context(), nil); err != authorizer.ErrUnauthenticated {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "auth0|1") || strings.Contains(out.String(), "erased") {
		t.Errorf("recorded %s", out)
	}
}

// candidate is tried on one request, the second of an instance.
func tried(t *testing.T, active *rooms, c *authorizer.Candidate, now func() time.Time) (answers, lines []string) {
	t.Helper()
	g := generation(active, "v1")
	g.Candidate = c
	a, out := following(t, authorizer.Fixed{Generation: g}, now)
	for range 2 {
		answer, err := a.Authorize(t.Context(), nil)
		answers = append(answers, string(answer))
		if err != nil && err != authorizer.ErrUnauthenticated {
			t.Fatal(err)
		}
	}
	return answers, strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestACandidateSaysWhereItDiffers(t *testing.T) {
	denial := authorizer.Decision{Status: authorizer.Status{Code: 403, Reason: authorizer.NotGranted}, Grants: []string{}, Violations: []authorizer.Violation{}}
	with := func(change func(*authorizer.Decision)) authorizer.Decision {
		d := granting().decision
		change(&d)
		return d
	}
	tests := []struct {
		name      string
		candidate *rooms
		differs   string // "" is no line
		code      string
	}{
		{"the same", granting(), "", ""},
		{"nil for empty", &rooms{decision: with(func(d *authorizer.Decision) { d.Violations = nil; d.Context = map[string]string{} })}, "", ""},
		{"denies", &rooms{decision: denial}, `["allowed","status","grants"]`, ""},
		{"every other field", &rooms{decision: with(func(d *authorizer.Decision) {
			d.Violations = []authorizer.Violation{{Constraint: "c", Action: "warn"}}
			d.Warnings, d.AuditAnnotations = []string{"w"}, map[string]string{"a": "b"}
			d.Context, d.Disclosed, d.UsageIdentifierKey = map[string]string{"c": "d"}, []string{"e"}, "key"
		})}, `["violations","warnings","auditAnnotations","context","disclosed","usageIdentifierKey"]`, ""},
		{"fails", &rooms{decideErr: errors.New("eval_builtin_error")}, `["error"]`, "internal"},
		{"panics", &rooms{panicIn: "decide"}, `["error"]`, "panic"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answers, lines := tried(t, granting(), &authorizer.Candidate{Revision: "v2", Policy: tt.candidate}, clock())
			if answers[0] != `{"allow":true}` || answers[1] != answers[0] {
				t.Errorf("answered %q", answers)
			}
			if tt.differs == "" {
				if len(lines) != 2 {
					t.Errorf("%d lines, want 2: %q", len(lines), lines)
				}
				return
			}
			if len(lines) != 3 {
				t.Fatalf("%d lines, want two records and a difference: %q", len(lines), lines)
			}
			var d struct {
				DecisionID string `json:"decision_id"`
				Bundles    map[string]authorizer.Bundle
				Differs    json.RawMessage
				Result     *authorizer.Decision
				Candidate  *authorizer.Decision
				Error      struct{ Code string }
			}
			if err := json.Unmarshal([]byte(lines[2]), &d); err != nil {
				t.Fatal(err)
			}
			if string(d.Differs) != tt.differs || d.Error.Code != tt.code || (d.Candidate == nil) != (tt.code != "") || d.Result == nil || d.DecisionID != "ID" ||
				!reflect.DeepEqual(d.Bundles, map[string]authorizer.Bundle{"gatehouse": {Revision: "v1"}, "candidate": {Revision: "v2"}}) {
				t.Errorf("difference is %s", lines[2])
			}
			if strings.Contains(lines[2], secret) || strings.Contains(lines[2], `"key"`) {
				t.Errorf("a secret in %s", lines[2])
			}
		})
	}
}

// A candidate is not asked about what was not decided, and not in the first invocation of an instance.
func TestWhenACandidateIsAsked(t *testing.T) {
	unauthenticated := granting()
	unauthenticated.authErr = authorizer.Unauthenticated("token_expired", nil)
	for name, tt := range map[string]struct {
		active *rooms
		want   int
	}{"decided": {granting(), 1}, "not authenticated": {unauthenticated, 0}} {
		c := granting()
		tried(t, tt.active, &authorizer.Candidate{Revision: "v2", Policy: c}, clock())
		if len(c.asked) != tt.want {
			t.Errorf("%s: asked %d times, want %d", name, len(c.asked), tt.want)
		}
	}
}

// A path that can be read in two ways reaches no policy, a candidate as little.
func TestACandidateNeverSeesAMalformedPath(t *testing.T) {
	r, c := granting(), granting()
	r.request.Malformed = "dot segment"
	_, lines := tried(t, r, &authorizer.Candidate{Revision: "v2", Policy: c}, clock())
	if len(c.asked) != 0 || len(lines) != 2 {
		t.Errorf("asked %v: %q", c.asked, lines)
	}
}

// A candidate has its own route table, and does not share what the active policy remembers of a principal.
func TestACandidateReadsTheRequestItself(t *testing.T) {
	r, c := granting(), granting()
	r.request.Route, r.request.Params = "", nil
	r.principal.Memo = new(authorizer.Memo)
	routes, err := authorizer.NewRoutes([]string{"GET /orders/{number}"})
	if err != nil {
		t.Fatal(err)
	}
	tried(t, r, &authorizer.Candidate{Revision: "v2", Policy: c, Routes: routes}, clock())
	if r.input.Request.Route != "" || c.input.Request.Route != "GET /orders/{number}" || c.input.Request.Params["number"] != "42" {
		t.Errorf("the active policy saw %q, the candidate %+v", r.input.Request.Route, c.input.Request)
	}
	if c.input.Principal.Memo != nil || len(c.input.Principal.Claims) != 4 {
		t.Errorf("the candidate saw %+v", c.input.Principal)
	}
}

// One overrun, and the candidate is off in this instance.
func TestAnOverrunTurnsACandidateOff(t *testing.T) {
	at := noon
	now := func() time.Time { return at }
	g := generation(granting(), "v1")
	slow := &slowPolicy{rooms: granting(), at: &at}
	g.Candidate = &authorizer.Candidate{Revision: "v2", Policy: slow}
	a, out := following(t, authorizer.Fixed{Generation: g}, now)
	for range 4 {
		if _, err := a.Authorize(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(slow.asked) != 1 || len(lines) != 5 || !strings.Contains(lines[2], `"code":"candidate_overrun","message":"60ms, at most 50ms: off in this instance"`) {
		t.Errorf("asked %v:\n%s", slow.asked, out)
	}
}

type slowPolicy struct {
	*rooms
	at *time.Time
}

func (s *slowPolicy) Decide(ctx context.Context, in authorizer.Input) (authorizer.Decision, error) {
	*s.at = s.at.Add(60 * time.Millisecond)
	return s.rooms.Decide(ctx, in)
}

// That a difference cannot be written changes no answer.
func TestADifferenceThatIsNotWritten(t *testing.T) {
	g := generation(granting(), "v1")
	g.Candidate = &authorizer.Candidate{Revision: "v2", Policy: &rooms{}}
	a, err := authorizer.New(authorizer.Config{Source: authorizer.Fixed{Generation: g}, Recorder: noDifference{}, Now: clock(), NewID: func() string { return "ID" }})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if answer, err := a.Authorize(t.Context(), nil); err != nil || answer == nil {
			t.Errorf("got %s, %v", answer, err)
		}
	}
}

type noDifference struct{ broken }

func (noDifference) Record(authorizer.Record) error { return nil }
