package authorizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// DecisionPath is the document that decides, as OPA's decision log spells it.
const DecisionPath = "gatehouse/decision"

// Record is the one line left behind by an invocation, in the fields of OPA's decision log (openpolicyagent.org,
// "Decision Logs"). It holds what a replay needs and nothing secret: of the claims, only those that the policy reads.
type Record struct {
	DecisionID string            `json:"decision_id"`
	Timestamp  time.Time         `json:"timestamp"`
	Labels     map[string]string `json:"labels"`
	Bundles    map[string]Bundle `json:"bundles"`
	Path       string            `json:"path"`
	Input      *Input            `json:"input,omitempty"`
	Result     *Decision         `json:"result,omitempty"`
	Error      *Failure          `json:"error,omitempty"` // instead of a result: the request ended before the decision
	Erased     []string          `json:"erased,omitempty"`
	Masked     []string          `json:"masked,omitempty"`
	Metrics    map[string]int64  `json:"metrics"` // nanoseconds
}

// Bundle names the policy content that decided.
type Bundle struct {
	Revision string `json:"revision"`
}

// Difference says what a candidate made of a decided request, where that is something else. The request stands in the
// record with the same decision id.
type Difference struct {
	DecisionID string            `json:"decision_id"`
	Timestamp  time.Time         `json:"timestamp"`
	Labels     map[string]string `json:"labels"`
	Bundles    map[string]Bundle `json:"bundles"` // gatehouse and candidate
	Path       string            `json:"path"`
	Result     *Decision         `json:"result"`
	Candidate  *Decision         `json:"candidate,omitempty"`
	Error      *Failure          `json:"error,omitempty"` // instead of a candidate's decision
	Differs    []string          `json:"differs"`         // fields of the decision, or "error"
	Metrics    map[string]int64  `json:"metrics"`         // nanoseconds
}

// Failure is why there is no result.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

// ClaimsRead are the claims that a policy reads, worked out when it is loaded. The zero value reads none.
type ClaimsRead struct {
	Names    []string // exact names, sorted
	Computed bool     // some claim is read by a computed name: none is recorded, and the record cannot be replayed
}

// recorded gives the principal as a record keeps it, and JSON pointers (RFC 6901) to what was left out.
func (c ClaimsRead) recorded(p Principal) (Principal, []string) {
	if len(p.Claims) == 0 {
		return p, nil
	}
	if c.Computed {
		p.Claims = map[string]any{}
		return p, []string{"/input/principal/claims"}
	}
	kept, erased := make(map[string]any, len(c.Names)), []string(nil)
	for name, value := range p.Claims {
		if slices.Contains(c.Names, name) {
			kept[name] = value
			continue
		}
		erased = append(erased, "/input/principal/claims/"+pointerEscape.Replace(name))
	}
	slices.Sort(erased)
	p.Claims = kept
	return p, erased
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// Lines is a Recorder that writes each record as one line of JSON, in a single Write.
type Lines struct {
	W io.Writer

	mu  sync.Mutex
	buf bytes.Buffer
}

// Record writes one line. A short write is an error: a record that is not whole is no record.
func (l *Lines) Record(r Record) error { return l.Line("record "+r.DecisionID, r) }

// Differed writes one line.
func (l *Lines) Differed(d Difference) error { return l.Line("difference of "+d.DecisionID, d) }

// Line writes any document as a line between the others.
func (l *Lines) Line(what string, document any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
	enc := json.NewEncoder(&l.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		return fmt.Errorf("encode %s: %w", what, err)
	}
	n, err := l.W.Write(l.buf.Bytes())
	if err == nil && n < l.buf.Len() {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}
