package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
)

// shownLast is how many releases and activations status shows without --all; maxLogs how many logs it reads.
const (
	shownLast = 20
	maxLogs   = 64
)

// storeStatus is what status prints with --json (docs/schema/store-status.json).
type storeStatus struct {
	Version   string             `json:"version"`
	Store     string             `json:"store"`
	Account   string             `json:"account"`
	Stage     string             `json:"stage"`
	Time      time.Time          `json:"time"`
	Threshold int                `json:"threshold"`
	Active    *activeStatus      `json:"active,omitempty"`  // absent: nothing that counts
	Refused   string             `json:"refused,omitempty"` // why what stands in active does not count
	Pending   []activationStatus `json:"pending"`           // above the active one, lowest first
	Releases  []releaseStatus    `json:"releases"`          // newest first, as the activations
	History   []activationStatus `json:"history"`           // the active one and those below it
	Drift     *driftStatus       `json:"drift,omitempty"`
	Functions []functionStatus   `json:"functions,omitempty"` // by the records, last seen first
	Problems  []string           `json:"problems"`

	allReleases, allHistory int // how many there are, shown or not
}

// activeStatus is what functions decide by.
type activeStatus struct {
	activationStatus
	Revision string `json:"revision"`       // digest of the policy that answers at this time
	Over     bool   `json:"over,omitempty"` // break-glass that has ended: the fallback answers
}

// activationStatus is one activation and who signed it.
type activationStatus struct {
	Says     release.Activation `json:"activation"`
	Signers  []string           `json:"signers"`
	Complete bool               `json:"complete"`
	Written  time.Time          `json:"written"`

	beyond bool // it takes no number
}

// releaseStatus is one release and who signed it.
type releaseStatus struct {
	Number   int64           `json:"release"`
	Bundle   release.Content `json:"bundle"`
	Engine   string          `json:"engine"`
	Signers  []string        `json:"signers"`
	Complete bool            `json:"complete"`
	Written  time.Time       `json:"written"`
	Marks    []string        `json:"marks"` // active, candidate, fallback
}

// driftStatus holds a directory against what answers.
type driftStatus struct {
	Policies string `json:"policies"` // the directory
	Digest   string `json:"digest"`
	Release  int64  `json:"release,omitempty"` // the newest with this content; absent: none
	Same     bool   `json:"same"`
}

// functionStatus is what the records say of one function under one activation. The state is current, older or newer than
// what is active, none where no activation decided, or unknown: nothing that counts is active, or the function was seen
// last before that became so.
type functionStatus struct {
	Function   string     `json:"function,omitempty"`
	Revision   string     `json:"revision,omitempty"`
	Activation int64      `json:"activation,omitempty"`
	Release    int64      `json:"release,omitempty"` // by the store
	State      string     `json:"state"`
	Decisions  int        `json:"decisions"`
	First      time.Time  `json:"first"`
	Last       time.Time  `json:"last"`
	Code       string     `json:"code,omitempty"` // of the function's last status line
	Message    string     `json:"message,omitempty"`
	Reported   *time.Time `json:"reported,omitempty"` // the time of that line
}

// status says what is active, what could be, and what does not add up. It signs nothing and needs no key.
func status(ctx context.Context, args []string, s stdio) error {
	f := flags("status", "[--policies DIR] [--records FILE...]")
	d := deskFlags(f, false, "store-status.json")
	dir := f.String("policies", "", "`directory` of policies to hold against what is active")
	all := f.Bool("all", false, "all releases and activations, not the last 20")
	var logs keyList
	f.Var(&logs, "records", "`file` of a function's log: who decides by what; more files may follow")
	if err := parse(f, args, maxLogs, s.out); err != nil {
		return err
	}
	if f.NArg() > 0 && len(logs) == 0 {
		return misused("unexpected argument %q", f.Arg(0))
	}
	logs = append(logs, f.Args()...)
	var policies *bundle.Bundle
	if *dir != "" {
		root, err := policiesIn(*dir)
		if err != nil {
			return err
		}
		if policies, err = bundle.Read(root); err != nil {
			return refused("%w", err)
		}
	}
	seen := map[functionKey]*functionStatus{}
	for _, name := range logs {
		if err := readLog(name, seen); err != nil {
			return err
		}
	}
	l, _, err := d.open(ctx, s.env)
	if err != nil {
		return err
	}
	b, err := l.read(ctx)
	if err != nil {
		return err
	}
	r := l.status(b, time.Now())
	if policies != nil {
		r.drifted(*dir, policies.Digest, b)
	}
	r.functions(seen, b)
	if !*all {
		r.shorten()
	}
	if *d.json {
		err = writeJSON(s.out, r)
	} else {
		err = r.print(s.out)
	}
	switch {
	case err != nil || len(r.Problems) == 0:
		return err
	case *d.json:
		return refused("%s", strings.Join(r.Problems, "\n"))
	}
	return refused("%s, named above", plural(len(r.Problems), "problem"))
}

// status is what the statements of a store come to at a time.
func (l *ledger) status(b *book, now time.Time) *storeStatus {
	r := &storeStatus{
		Version: reportVersion, Store: l.scope.Root, Account: l.scope.Account, Stage: l.scope.Stage, Time: now.UTC(), Threshold: b.threshold,
		Pending: []activationStatus{}, Releases: []releaseStatus{}, History: []activationStatus{}, Problems: []string{},
	}
	marks := map[int64][]string{}
	sequence := int64(0)
	switch {
	case b.active != nil:
		a := b.active.says
		sequence = a.Sequence
		r.Active = &activeStatus{activationStatus: b.describe(b.active), Revision: a.Bundle.Digest}
		marks[a.Release] = append(marks[a.Release], "active")
		if a.Candidate != nil {
			marks[a.Candidate.Release] = append(marks[a.Candidate.Release], "candidate")
		}
		if a.Fallback != nil {
			marks[a.Fallback.Release] = append(marks[a.Fallback.Release], "fallback")
			if r.Active.Over = !now.Before(*a.NotAfter); r.Active.Over {
				r.Active.Revision = a.Fallback.Bundle.Digest
			}
		}
	case b.refused != nil:
		r.Refused = b.refused.Error()
		r.Problems = append(r.Problems, "what stands in active does not count: "+r.Refused)
	default:
		r.Problems = append(r.Problems, "nothing is active")
	}
	// What is below a complete one, or what stands in active though it does not count, waits for nothing.
	passed := sequence
	if stands, ok := b.stands(); ok {
		passed = max(passed, stands.Sequence)
	}
	for n, s := range b.activations {
		if b.complete(s.signers) {
			passed = max(passed, n)
		}
	}
	for _, n := range sorted(b.activations) {
		s := b.activations[n]
		if n > sequence && (b.active != nil && b.complete(s.signers) || !b.complete(s.signers) && n > passed) {
			r.Pending = append(r.Pending, b.describe(s))
			if b.complete(s.signers) {
				r.Problems = append(r.Problems, fmt.Sprintf("activation %d was signed by enough and %d stands in active: a run of activate died, or somebody put the older one back", n, sequence))
			}
			continue
		}
		if n == sequence {
			r.History = append(r.History, r.Active.activationStatus) // whatever stands in its claim's place
			continue
		}
		r.History = append(r.History, b.describe(s))
	}
	if _, kept := b.activations[sequence]; b.active != nil && !kept {
		r.History = append(r.History, r.Active.activationStatus) // its claim is gone
	}
	slices.Reverse(r.History)
	for _, n := range slices.Backward(sorted(b.releases)) {
		s := b.releases[n]
		r.Releases = append(r.Releases, releaseStatus{n, s.says.Bundle, s.says.Engine, list(s.signers), b.complete(s.signers), s.written.UTC(), list(marks[n])})
	}
	r.allReleases, r.allHistory = len(r.Releases), len(r.History)
	return r
}

// shorten leaves the last ones, and of those that are pending what somebody signed, first.
func (r *storeStatus) shorten() {
	if len(r.Pending) > shownLast {
		slices.SortStableFunc(r.Pending, func(x, y activationStatus) int { return cmp.Compare(min(1, len(y.Signers)), min(1, len(x.Signers))) })
		r.Pending = r.Pending[:shownLast]
	}
	r.Releases, r.History = r.Releases[:min(shownLast, len(r.Releases))], r.History[:min(shownLast, len(r.History))]
}

func (b *book) describe(s *statement[release.Activation]) activationStatus {
	return activationStatus{s.says, list(s.signers), b.complete(s.signers), s.written.UTC(), len(s.signers) > 0 && s.says.Sequence > b.top()}
}

// list is never null in JSON.
func list(s []string) []string { return append([]string{}, s...) }

// releaseOf is the newest release of a content that enough keys signed, 0 where there is none.
func (b *book) releaseOf(digest string) int64 {
	for _, n := range slices.Backward(sorted(b.releases)) {
		if s := b.releases[n]; s.says.Bundle.Digest == digest && b.complete(s.signers) {
			return n
		}
	}
	return 0
}

// drifted holds the policies of a directory against those that answer.
func (r *storeStatus) drifted(dir, digest string, b *book) {
	r.Drift = &driftStatus{dir, digest, b.releaseOf(digest), r.Active != nil && r.Active.Revision == digest}
	if r.Drift.Same {
		return
	}
	is := "is no release"
	if r.Drift.Release > 0 {
		is = fmt.Sprintf("is release %d", r.Drift.Release)
	}
	r.Problems = append(r.Problems, fmt.Sprintf("drift: %s, bundle %s, %s and not what answers", dir, short12(digest), is))
}

// functionKey tells functions and what they decide by apart.
type functionKey struct {
	function, revision string
	activation         int64
}

// logLine is a line of a function's log: a record, a status line, or another, as its members tell.
type logLine struct {
	DecisionID string            `json:"decision_id"`
	Path       string            `json:"path"`
	Timestamp  time.Time         `json:"timestamp"`
	Labels     map[string]string `json:"labels"`
	Differs    []string          `json:"differs"`
	EMF        json.RawMessage   `json:"_aws"`
	Bundles    map[string]struct {
		Revision       string    `json:"revision"`        // of a record
		Name           string    `json:"name"`            // of a status line, as what follows
		ActiveRevision string    `json:"active_revision"` //
		Sequence       int64     `json:"sequence"`        //
		LastRequest    time.Time `json:"last_request"`    //
		Code           string    `json:"code"`            //
		Message        string    `json:"message"`         //
	} `json:"bundles"`
}

// readLog adds up the lines of a log. A line may have something in front of its JSON, as those of `aws logs tail` have.
func readLog(name string, seen map[functionKey]*functionStatus) error {
	file, err := os.Open(name)
	if err != nil {
		return misused("%w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxLog+1))
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	if len(content) > maxLog {
		return misused("%s: more than %d bytes: give a part of the log", name, maxLog)
	}
	for text := range bytes.Lines(content) {
		var line logLine
		if i := bytes.IndexByte(text, '{'); i < 0 || json.Unmarshal(text[i:], &line) != nil {
			continue
		}
		switch own := line.Bundles["gatehouse"]; {
		case line.DecisionID != "" && line.Path == authorizer.DecisionPath && line.Differs == nil:
			activation, _ := strconv.ParseInt(line.Bundles["activation"].Revision, 10, 64)
			s := seenAs(seen, functionKey{line.Labels["function"], own.Revision, activation})
			if s.Decisions++; s.Decisions == 1 || line.Timestamp.Before(s.First) {
				s.First = line.Timestamp
			}
			s.Last = latest(s.Last, line.Timestamp)
		case line.EMF != nil && own.Name == "gatehouse":
			s := seenAs(seen, functionKey{line.Labels["function"], own.ActiveRevision, own.Sequence})
			if s.Reported == nil || !own.LastRequest.Before(*s.Reported) {
				s.Reported, s.Code, s.Message = &own.LastRequest, own.Code, own.Message
			}
		}
	}
	return nil
}

func seenAs(seen map[functionKey]*functionStatus, key functionKey) *functionStatus {
	if seen[key] == nil {
		seen[key] = &functionStatus{Function: key.function, Revision: key.revision, Activation: key.activation}
	}
	return seen[key]
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// functions says of what the records tell how it stands to what is active.
func (r *storeStatus) functions(seen map[functionKey]*functionStatus, b *book) {
	for key, s := range seen {
		s.Release = b.releaseOf(key.revision)
		if s.Decisions == 0 {
			s.First, s.Last = *s.Reported, *s.Reported
		}
		switch {
		case key.activation == 0:
			s.State = "none"
		case r.Active == nil:
			s.State = "unknown"
		case key.activation > r.Active.Says.Sequence:
			s.State = "newer"
		case key.activation == r.Active.Says.Sequence:
			s.State = "current"
		case s.Last.After(r.Active.Written):
			s.State = "older"
		default: // what it decided since it did not log, or it decided nothing
			s.State = "unknown"
		}
		r.Functions = append(r.Functions, *s)
	}
	slices.SortFunc(r.Functions, func(x, y functionStatus) int {
		return cmp.Or(y.Last.Compare(x.Last), cmp.Compare(x.Function, y.Function), cmp.Compare(y.Activation, x.Activation), cmp.Compare(x.Revision, y.Revision))
	})
}

// print is for people, some of them at night: what is wrong first, then what is active, then the rest.
func (r *storeStatus) print(out io.Writer) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) {
		for i, arg := range args {
			if text, ok := arg.(string); ok {
				args[i] = printable(text)
			}
		}
		fmt.Fprintf(w, format+"\n", args...)
	}
	for _, problem := range r.Problems {
		line("WRONG\t%s", problem)
	}
	line("store\t%s, account %s, stage %s", r.Store, r.Account, r.Stage)
	if a := r.Active; a != nil {
		if a.Over {
			line("answers\trelease %d, bundle %s, auth0 %s: break-glass is over for %s", a.Says.Fallback.Release, short12(a.Revision), short12(a.Says.Auth0.Digest), span(r.Time.Sub(*a.Says.NotAfter)))
		}
		line("active\t%s, for %s", about(a.Says), span(r.Time.Sub(a.Written)))
		line("signed\t%d of %d: %s", len(a.Signers), r.Threshold, strings.Join(a.Signers, " "))
		switch {
		case a.Says.NotAfter == nil:
		case a.Over:
			line("until\t%s: over for %s, release %d answers", a.Says.NotAfter.Format(time.RFC3339), span(r.Time.Sub(*a.Says.NotAfter)), a.Says.Fallback.Release)
		default:
			line("until\t%s: %s left, then release %d", a.Says.NotAfter.Format(time.RFC3339), span(a.Says.NotAfter.Sub(r.Time)), a.Says.Fallback.Release)
		}
		if c := a.Says.Candidate; c != nil {
			line("candidate\trelease %d, bundle %s", c.Release, short12(c.Bundle.Digest))
		}
	}
	if d := r.Drift; d != nil && d.Same {
		line("drift\tnone: %s is what answers", d.Policies)
	}
	for _, p := range r.Pending {
		line("pending\t%s, %s old, %s", about(p.Says), span(r.Time.Sub(p.Written)), r.lacks(p))
	}
	w.Flush()

	heading := func(what string, shown, of int, columns string) {
		more := ""
		if shown < of {
			more = fmt.Sprintf(" (the last %d of %d: --all)", shown, of)
		}
		line("\n%s%s", what, more)
		w.Flush()
		line("  %s", columns)
	}
	if len(r.Releases) > 0 {
		heading("releases", len(r.Releases), r.allReleases, "number\tbundle\tsigned\tage\t")
		for _, s := range r.Releases {
			line("  %d\t%s\t%d of %d\t%s\t%s", s.Number, short12(s.Bundle.Digest), len(s.Signers), r.Threshold, span(r.Time.Sub(s.Written)), strings.Join(s.Marks, ", "))
		}
		w.Flush()
	}
	if len(r.History) > 0 {
		heading("activations", len(r.History), r.allHistory, "sequence\trelease\tbundle\tauth0\tsigned\tage\t")
		for _, s := range r.History {
			line("  %d\t%d\t%s\t%s\t%s\t%s\t%s", s.Says.Sequence, s.Says.Release, short12(s.Says.Bundle.Digest), short12(s.Says.Auth0.Digest),
				fmt.Sprintf("%d of %d", len(s.Signers), r.Threshold), span(r.Time.Sub(s.Written)), r.mark(s))
		}
		w.Flush()
	}
	if len(r.Functions) > 0 {
		heading("functions, by their records", 0, 0, "function\tactivation\trelease\trevision\tdecisions\tfirst\tlast\t")
		for _, s := range r.Functions {
			line("  %s\t%s\t%s\t%s\t%d\t%s\t%s\t%s", cmp.Or(s.Function, "-"), orDash(s.Activation), orDash(s.Release), cmp.Or(short12(s.Revision), "-"),
				s.Decisions, r.ago(s.First), r.ago(s.Last), map[string]string{"older": "OLDER", "newer": "NEWER", "none": "NONE"}[s.State])
		}
		w.Flush()
		for _, s := range r.Functions {
			if s.Code != "" {
				line("  %s: %s, %s: %s", cmp.Or(s.Function, "-"), r.ago(*s.Reported), s.Code, s.Message)
			}
		}
		w.Flush()
	}
	for text := range strings.Lines(b.String()) {
		if _, err := io.WriteString(out, strings.TrimRight(text, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// about says what an activation says.
func about(a release.Activation) string {
	return fmt.Sprintf("activation %d: release %d, bundle %s, auth0 %s", a.Sequence, a.Release, short12(a.Bundle.Digest), short12(a.Auth0.Digest))
}

// lacks says what an activation above the active one waits for.
func (r *storeStatus) lacks(s activationStatus) string {
	signed := "signed by no key that is trusted here"
	if len(s.Signers) > 0 {
		signed = "signed by " + strings.Join(s.Signers, " ")
	}
	if s.Complete {
		return signed + ": complete and not active"
	}
	if s.beyond {
		return signed + ": so far above the rest that it is passed over"
	}
	return fmt.Sprintf("%s: %d more must sign", signed, r.Threshold-len(s.Signers))
}

// mark says how an activation of the history stands out.
func (r *storeStatus) mark(s activationStatus) string {
	switch {
	case r.Active != nil && r.Active.Says.Sequence == s.Says.Sequence:
		return "active"
	case !s.Complete:
		return "not complete now"
	case s.Says.NotAfter != nil:
		return "break-glass"
	}
	return ""
}

func (r *storeStatus) ago(t time.Time) string { return span(r.Time.Sub(t)) + " ago" }

func orDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	if d < 0 {
		return "-" + span(-d)
	}
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for len(units) > 1 && d < units[0].of {
		units = units[1:]
	}
	text := fmt.Sprintf("%d%s", d/units[0].of, units[0].name)
	if len(units) > 1 && d%units[0].of >= units[1].of {
		text += fmt.Sprintf("%d%s", d%units[0].of/units[1].of, units[1].name)
	}
	return text
}
