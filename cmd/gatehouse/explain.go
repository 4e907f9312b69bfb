package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/internal/function"
)

// maxLog bounds what explain reads.
const maxLog = 256 << 20

// explained is the report of explain and of can-i, and with --json the document on standard output
// (docs/schema/explanation.json).
type explained struct {
	Version    string   `json:"version"`
	Revision   string   `json:"revision"`              // of the policies that the explanation is of
	DecisionID string   `json:"decision_id,omitempty"` // of the record
	Method     string   `json:"method,omitempty"`
	Path       string   `json:"path,omitempty"`
	Route      string   `json:"route,omitempty"` // absent: the table knows none
	Subject    string   `json:"subject,omitempty"`
	Notes      []string `json:"notes,omitempty"` // what makes the explanation less than exact, or why no route takes the request

	*pdp.Explanation // absent where no policy was asked

	Recorded *authorizer.Decision `json:"recorded,omitempty"` // the record's, where it is another than the one explained
	Error    *explainedError      `json:"error,omitempty"`    // the request ended before the decision
}

// explainedError is why a request ended before it was decided.
type explainedError struct {
	authorizer.Failure
	Remedy string `json:"remedy"` // what somebody can do about it
}

// explain says why a record's or an event's request was decided as it was.
func explain(ctx context.Context, args []string, s stdio) error {
	f := flags("explain", "[FILE] [--last | --id ID] [--policies DIR] [--json] [--as PERSON | --sub SUBJECT …] < record or event")
	last := f.Bool("last", false, "pick the last record out of a log")
	id := f.String("id", "", "the `decision` to pick out of a log, by its decision_id or the beginning of it")
	dir := f.String("policies", "", "`directory` of policies instead of the embedded ones")
	asJSON := f.Bool("json", false, "print the explanation as JSON (docs/schema/explanation.json)")
	who, when := addClaimFlags(f), addTime(f)
	if err := parse(f, args, 1, s.out); err != nil {
		return err
	}
	if *last && *id != "" {
		return misused("--last and --id exclude each other")
	}
	document, err := oneDocument(s.in, f.Arg(0), *id, *last)
	if err != nil {
		return err
	}
	var kind struct {
		DecisionID string `json:"decision_id"`
	}
	_ = json.Unmarshal(document, &kind)
	switch {
	case kind.DecisionID != "":
		err = who.unused("a record says who asked, and when", append(claimFlagNames, "time")...)
	case !who.given():
		err = who.unused("want --as PERSON or --sub SUBJECT too: the event's token says who asks", claimFlagNames...)
	}
	if err != nil {
		return err
	}
	root, err := policiesIn(*dir)
	if err != nil {
		return err
	}
	policy, err := pdp.NewExplainer(ctx, root)
	if err != nil {
		return refused("%w", err)
	}
	var x explained
	if kind.DecisionID != "" {
		x, err = explainRecord(ctx, policy, document)
	} else {
		x, err = explainEvent(ctx, policy, document, who, when.now(), s.env)
	}
	if err != nil {
		return err
	}
	if err := x.print(s, *asJSON, false); err != nil {
		return err
	}
	if x.Recorded != nil {
		return refused("record %s: the policies decide otherwise than the record says", x.DecisionID)
	}
	return nil
}

// oneDocument reads the one record or event that is to be explained: the file's or standard input's only one, or of the
// records of a log the last, or that of a decision id. The other lines of a log are passed over.
func oneDocument(in io.Reader, name, id string, last bool) ([]byte, error) {
	if name != "" && name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, misused("%w", err)
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, maxLog+1))
	if err != nil {
		return nil, fmt.Errorf("read record or event: %w", err)
	}
	if len(content) > maxLog {
		return nil, misused("more than %d bytes: give one record, or a part of the log", maxLog)
	}
	if id == "" && json.Valid(content) && (!last || recordID(content) != "") {
		return content, nil
	}
	var records, exact, others [][]byte
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		switch of := recordID(line); {
		case of == "" && json.Valid(line):
			others = append(others, line)
		case of != "" && strings.HasPrefix(of, id):
			records = append(records, line)
			if of == id {
				exact = append(exact, line)
			}
		}
	}
	if len(exact) > 0 { // however another begins
		records = exact
	}
	if len(records) == 0 && id == "" && !last {
		records = others
	}
	switch {
	case len(records) == 1, len(records) > 0 && last:
		return records[len(records)-1], nil
	case len(records) == 0 && last:
		return nil, misused("no record: the log holds no decision yet")
	case len(records) == 0 && id != "":
		return nil, misused("no record with decision_id %q", id)
	case len(records) == 0:
		return nil, misused("no record and no event: want one JSON document")
	case id != "":
		return nil, misused("%d records with decision_id %q", len(records), id)
	}
	return nil, misused("%d documents: choose one with --last or --id", len(records))
}

// recordID is the decision id of a line that is a record. What another function logs of the decision is none: it has no
// path.
func recordID(line []byte) string {
	var record struct {
		DecisionID string `json:"decision_id"`
		Path       string `json:"path"`
	}
	if err := json.Unmarshal(line, &record); err != nil || record.Path == "" {
		return ""
	}
	return record.DecisionID
}

// explainRecord decides a record's input anew.
func explainRecord(ctx context.Context, policy *pdp.Explainer, document []byte) (explained, error) {
	var r authorizer.Record
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber() // claims keep every digit
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return explained{}, refused("read record: %w", err)
	}
	x := explained{Version: reportVersion, Revision: policy.Revision(), DecisionID: r.DecisionID}
	if r.Input != nil {
		x.about(*r.Input)
		if len(r.Input.Request.Path) == 0 && (r.Result == nil || r.Result.Status.Reason == authorizer.RequestMalformed) {
			x.Path = "" // a path that can be read in two ways is in no record, and "/" looks the same there
		}
	}
	switch {
	case r.Error != nil:
		x.Error = &explainedError{*r.Error, cmp.Or(remedies[r.Error.Code], "a code that this version does not know")}
		return x, nil
	case r.Result == nil || r.Input == nil:
		return explained{}, refused("record %s: neither a result with its input, nor an error", r.DecisionID)
	case r.Path != authorizer.DecisionPath:
		return explained{}, fmt.Errorf("record %s: of %s, and only records of %s can be explained", r.DecisionID, r.Path, authorizer.DecisionPath)
	case r.Input.Version != authorizer.InputVersion:
		return explained{}, fmt.Errorf("record %s: input of version %q: this explains %s", r.DecisionID, r.Input.Version, authorizer.InputVersion)
	case r.Result.Status.Reason == authorizer.RequestMalformed:
		x.malformed(*r.Result)
		return x, nil
	}
	if by := r.Bundles["gatehouse"].Revision; by != policy.Revision() {
		x.Notes = append(x.Notes, fmt.Sprintf("the record was decided by revision %s, and this explains revision %s: the answer may differ; give the policies of the record with --policies", cmp.Or(by, "unknown"), policy.Revision()))
	}
	if lacks := lacking(r, policy.ClaimsRead()); len(lacks) > 0 {
		return explained{}, fmt.Errorf("record %s: the policies read what it lacks: %s", r.DecisionID, strings.Join(lacks, ", "))
	}
	if err := x.ask(ctx, policy, *r.Input); err != nil {
		return explained{}, err
	}
	if !sameDecision(*r.Result, x.Decision) {
		x.Recorded = r.Result
	}
	return x, nil
}

// lacking are the values, as JSON pointers, that the policies may read and the record does not hold.
func lacking(r authorizer.Record, reads authorizer.ClaimsRead) []string {
	var lacks []string
	const input, claims = "/input/", "/input/principal/claims"
	for _, pointer := range r.Masked {
		if strings.HasPrefix(pointer, input) {
			lacks = append(lacks, pointer)
		}
	}
	for _, pointer := range r.Erased {
		if !strings.HasPrefix(pointer, input) {
			continue
		}
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(strings.TrimPrefix(pointer, claims+"/"))
		if !strings.HasPrefix(pointer, claims+"/") || reads.Computed || slices.Contains(reads.Names, name) {
			lacks = append(lacks, pointer)
		}
	}
	return lacks
}

func sameDecision(a, b authorizer.Decision) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return errors.Join(err, err2) == nil && bytes.Equal(x, y)
}

// explainEvent decides an authorizer event, as the function would, or as asked by the caller that flags name.
func explainEvent(ctx context.Context, policy *pdp.Explainer, event []byte, who *claimFlags, now time.Time, env []string) (explained, error) {
	settings, err := function.Read(env)
	if err != nil {
		return explained{}, refused("%w", err)
	}
	if !settings.Verifies() && !who.given() {
		return explained{}, misused("an event needs GATEHOUSE_AUTH0 to verify its token, or --as PERSON or --sub SUBJECT to ask for it")
	}
	gateway, err := settings.Gateway()
	if err != nil {
		return explained{}, refused("%w", err)
	}
	x := explained{Version: reportVersion, Revision: policy.Revision()}
	in := authorizer.Input{Version: authorizer.InputVersion}
	in.Request, err = gateway.Request(event, now)
	if err == nil {
		in.Request = policy.Routes().Complete(in.Request)
		x.about(in)
		if who.given() {
			in.Principal, err = who.principal(ctx, now)
		} else {
			in.Principal, err = verified(ctx, settings, in.Request.Credentials, now)
		}
	}
	if err != nil {
		err = x.failed(err)
		return x, err
	}
	if err := x.ask(ctx, policy, in); err != nil {
		return x, err
	}
	_, err = gateway.Answer(authorizer.Verdict{
		DecisionID: "explained", Revision: x.Revision, Request: in.Request, Principal: in.Principal, Decision: x.Decision,
	})
	if err != nil { // and so the function ends without the decision, too
		x.Explanation, x.Notes = nil, nil
		err = x.failed(err)
	}
	return x, err
}

func (x *explained) about(in authorizer.Input) {
	x.Method, x.Route, x.Subject = in.Request.Method, in.Request.Route, in.Principal.Subject
	if in.Request.Method != "" && in.Request.Malformed == "" {
		x.Path = "/" + strings.Join(in.Request.Path, "/")
	}
}

// ask decides an input and keeps the reasons.
func (x *explained) ask(ctx context.Context, policy *pdp.Explainer, in authorizer.Input) error {
	x.about(in)
	if why := in.Request.Malformed; why != "" {
		x.malformed(authorizer.Malformed(why))
		return nil
	}
	reasons, err := policy.Explain(ctx, in)
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	x.Explanation = &reasons
	return nil
}

// malformed is the explanation of a request whose path can be read in two ways.
func (x *explained) malformed(d authorizer.Decision) {
	x.Explanation = &pdp.Explanation{Decision: d, Grants: []pdp.Grant{}, Constraints: []pdp.Constraint{}}
	x.Notes = append(x.Notes, "no policy was asked: the path can be read in two ways, and is refused to everybody")
}

// failed keeps an error of the request line as what is explained; any other is returned.
func (x *explained) failed(err error) error {
	var e *authorizer.Error
	if !errors.As(err, &e) {
		return err
	}
	x.Error = &explainedError{authorizer.Failure{Code: e.Code}, remedies[e.Code]}
	if e.Err != nil {
		x.Error.Message = e.Err.Error()
	}
	return nil
}

// print writes the report. A short one is about the denial alone.
func (x *explained) print(s stdio, asJSON, short bool) error {
	if asJSON {
		return writeJSON(s.out, x)
	}
	w := page{stdio: s}
	for _, note := range x.Notes {
		w.line(0, "%s %s", s.paint(yellow, "note:"), note)
	}
	what := strings.TrimSpace(x.Method + " " + x.Path)
	if x.Route != "" && x.Route != what {
		what = strings.TrimSpace(what + " (" + x.Route + ")")
	}
	if x.Subject != "" {
		what += " by " + x.Subject
	}
	if x.Error != nil {
		w.line(0, "%s: %s", s.paint(red, "no decision"), what)
		w.line(1, "%s: %s", x.Error.Code, x.Error.Message)
		w.line(1, "%s", x.Error.Remedy)
		return w.write()
	}
	d := x.Decision
	outcome := s.paint(red, fmt.Sprintf("denied: %d %s", d.Status.Code, d.Status.Reason))
	if d.Allowed {
		outcome = s.paint(green, fmt.Sprintf("allowed: %d %s", d.Status.Code, d.Status.Reason))
	}
	w.line(0, "%s  %s", outcome, what)
	if d.Status.Message != "" && (x.Route != "" || d.Status.Reason != authorizer.NotGranted) { // without a route printGrants says it
		w.line(1, "%s", d.Status.Message)
	}
	if x.Recorded != nil {
		r, violated := x.Recorded, []string{}
		for _, v := range r.Violations {
			violated = append(violated, v.Constraint)
		}
		w.line(0, "%s", s.paint(red, fmt.Sprintf("THE RECORD SAYS OTHERWISE: allowed %t, %d %s, grants %q, violations %q",
			r.Allowed, r.Status.Code, r.Status.Reason, r.Grants, violated)))
	}
	for _, warning := range d.Warnings {
		w.line(1, "%s %s", s.paint(yellow, "warning:"), warning)
	}
	if d.Status.Reason != authorizer.RequestMalformed {
		x.printGrants(&w, short)
		x.printConstraints(&w, short)
	}
	return w.write()
}

func (x *explained) printGrants(w *page, short bool) {
	if x.Route == "" {
		if !short { // or else it is a note
			w.line(0, "no grant: no route of the table takes the request")
		}
		return
	}
	if len(x.Grants) == 0 {
		w.line(0, "no grant is about this route")
	}
	for _, g := range x.Grants {
		if g.Fired {
			w.line(0, "%s %s", w.paint(green, "granted"), spaced(w.paint(bold, g.Code), g.Title, w.at(g.Place)))
			continue
		}
		if short && x.Decision.Status.Reason != authorizer.NotGranted {
			continue
		}
		w.line(0, "%s %s", w.paint(red, "not granted"), spaced(w.paint(bold, g.Code), g.Title, w.at(g.Place)))
		w.conditions(1, g.Unmet, nil)
		w.remedy(g.Remedy, x.Decision.Allowed)
	}
}

func (x *explained) printConstraints(w *page, short bool) {
	var satisfied []string
	for _, c := range x.Constraints {
		if len(c.Messages) == 0 {
			satisfied = append(satisfied, strings.TrimSpace(c.Name+" "+w.at(c.Place)))
			continue
		}
		denies := authorizer.Violation{Action: c.Action}.Denies()
		if short && !denies {
			continue
		}
		colour := yellow
		if denies {
			colour = red
		}
		w.line(0, "%s %s (%s)%s", w.paint(colour, "violated"), w.paint(bold, c.Name), c.Action, behind("  ", spaced(strings.Join(c.Messages, "; "), w.at(c.Place))))
		if c.Template != "" {
			w.line(1, "template %s", spaced(c.Template+behind(", ", c.Title), w.at(c.Rule)))
		}
		if len(c.Parameters) > 0 {
			w.line(1, "parameters %s", c.Parameters)
		}
		w.conditions(1, c.Unmet, nil)
		for _, v := range c.Saw {
			if !reads(c.Unmet, v.Name) {
				w.line(1, "%s", shown(v))
			}
		}
		w.remedy(c.Remedy, x.Decision.Allowed)
	}
	if len(satisfied) > 0 && !short {
		w.line(0, "%s %s", w.paint(green, "satisfied"), strings.Join(satisfied, ", "))
	}
}

// page collects lines, each without control characters but for those of its colours.
type page struct {
	stdio
	text bytes.Buffer
}

func (w *page) line(depth int, format string, args ...any) {
	line := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	for i, part := range strings.Split(line, "\x1b[") {
		if colour, rest, ok := strings.Cut(part, "m"); i > 0 && ok && w.colour && isSGR(colour) {
			w.text.WriteString("\x1b[" + colour + "m" + printable(rest))
			continue
		}
		if i == 0 {
			w.text.WriteString(strings.Repeat("  ", depth))
		}
		w.text.WriteString(printable(part))
	}
	w.text.WriteByte('\n')
}

// at is a place on the screen; of none there is nothing to see.
func (w *page) at(p pdp.Place) string {
	if p == (pdp.Place{}) {
		return ""
	}
	return w.paint(faint, p.String())
}

// spaced are the columns of a line, without those that are empty.
func spaced(columns ...string) string {
	return strings.Join(slices.DeleteFunc(columns, func(c string) bool { return c == "" }), "  ")
}

// behind gives text with what stands before it, and nothing where there is no text.
func behind(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

func isSGR(s string) bool { return slices.Contains([]string{"0", bold, red, green, yellow, faint}, s) }

func (w *page) write() error {
	_, err := w.out.Write(w.text.Bytes())
	return err
}

// conditions are what does not hold, and under each what it read. One that only repeats what stood above is left out.
func (w *page) conditions(depth int, unmet []pdp.Condition, above []pdp.Value) {
	for _, c := range unmet {
		var fresh []pdp.Value
		for _, v := range c.Saw {
			if !slices.ContainsFunc(above, func(o pdp.Value) bool {
				return string(o.Value) == string(v.Value) && (v.Value != nil || o.Name == v.Name)
			}) {
				fresh = append(fresh, v)
			}
		}
		if len(fresh) == 0 && len(c.Saw) > 0 && len(c.Within) == 0 {
			continue
		}
		verdict := "fails:"
		if c.Holds {
			verdict = "holds:"
		}
		w.line(depth, "%s %s", verdict, spaced(c.Source, w.at(c.Place)))
		for _, v := range fresh {
			w.line(depth+1, "%s", shown(v))
		}
		w.conditions(depth+1, c.Within, append(slices.Clone(above), c.Saw...))
	}
}

// reads says whether some condition has shown a value.
func reads(conditions []pdp.Condition, name string) bool {
	return slices.ContainsFunc(conditions, func(c pdp.Condition) bool {
		return slices.ContainsFunc(c.Saw, func(v pdp.Value) bool { return v.Name == name }) || reads(c.Within, name)
	})
}

// maxShown bounds a value on the screen, in bytes; the document has it whole.
const maxShown = 200

func shown(v pdp.Value) string {
	value := string(v.Value)
	if len(value) > maxShown {
		value = strings.ToValidUTF8(value[:maxShown], "") + "…"
	}
	text := v.Name + " = " + value
	if v.Value == nil {
		text = v.Name + " is absent"
	}
	if v.Place != nil {
		text += "  " + v.Place.String()
	}
	return text
}

// remedy lists the single changes that would have done, those first that alone turn the whole decision.
func (w *page) remedy(changes []pdp.Change, allowed bool) {
	var enough, partly []string
	for _, c := range changes {
		if c.Allows && !allowed {
			enough = append(enough, c.Text)
		} else {
			partly = append(partly, c.Text)
		}
	}
	if len(enough) > 0 {
		w.line(1, "%s %s", w.paint(green, "any one of these would have allowed the request:"), strings.Join(enough, ", "))
	}
	if len(partly) > 0 {
		w.line(1, "%s %s", w.paint(yellow, "any one of these would have met this alone:"), strings.Join(partly, ", "))
	}
}
