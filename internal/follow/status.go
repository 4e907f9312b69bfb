package follow

import (
	"errors"
	"strings"
	"time"

	"gatehouse/authorizer"
)

// Status says how the store and an instance stand to each other, in the fields of OPA's bundle status (openpolicyagent.org,
// "Status"). One is written when a generation becomes active, and for every check that does not confirm it.
type Status struct {
	Labels  map[string]string       `json:"labels"`
	Bundles map[string]BundleStatus `json:"bundles"`
	// EMF makes alarms possible without reading the line (AWS: "CloudWatch embedded metric format").
	EMF               EMF    `json:"_aws"`
	Stage             string `json:"stage"`             // the metrics' dimension
	PolicyStale       int    `json:"PolicyStale"`       // 1: nothing may be used, requests end with 500
	ActivationRefused int    `json:"ActivationRefused"` // 1: the store answered, and what is active there was refused
	PolicyAge         int64  `json:"PolicyAge"`         // seconds since the generation was last confirmed; 0 where there is none
}

// BundleStatus is the state of one bundle.
type BundleStatus struct {
	Name                     string     `json:"name"`
	ActiveRevision           string     `json:"active_revision,omitempty"`
	Sequence                 int64      `json:"sequence,omitempty"` // of the activation
	LastRequest              *time.Time `json:"last_request,omitempty"`
	LastSuccessfulRequest    *time.Time `json:"last_successful_request,omitempty"`    // the store answered
	LastSuccessfulActivation *time.Time `json:"last_successful_activation,omitempty"` // the generation became active
	Code                     string     `json:"code,omitempty"`
	Message                  string     `json:"message,omitempty"`
}

// EMF is the metadata by which CloudWatch takes the metrics out of a status line.
type EMF struct {
	Timestamp         int64       `json:"Timestamp"` // milliseconds since 1970
	CloudWatchMetrics []EMFMetric `json:"CloudWatchMetrics"`
}

// EMFMetric names members of the line.
type EMFMetric struct {
	Namespace  string              `json:"Namespace"`
	Dimensions [][]string          `json:"Dimensions"`
	Metrics    []map[string]string `json:"Metrics"`
}

// report says how a check that began at one time had ended now, by the state that is held after it.
func (f *Follower) report(s *state, began, now time.Time, failure error) {
	f.mu.Lock()
	answered := f.answered
	f.mu.Unlock()
	b := BundleStatus{Name: "gatehouse", LastRequest: &began}
	if !answered.IsZero() {
		b.LastSuccessfulRequest = &answered
	}
	status := Status{
		Labels: f.c.Labels,
		EMF: EMF{now.UnixMilli(), []EMFMetric{{
			Namespace:  "Gatehouse",
			Dimensions: [][]string{{"stage"}},
			Metrics: []map[string]string{
				{"Name": "PolicyStale", "Unit": "Count"},
				{"Name": "ActivationRefused", "Unit": "Count"},
				{"Name": "PolicyAge", "Unit": "Seconds"},
			},
		}}},
		Stage: f.c.Stage,
	}
	if s == nil || !s.within(f.c.MaxStale, now) {
		status.PolicyStale = 1
	}
	if s != nil {
		b.ActiveRevision, b.Sequence, b.LastSuccessfulActivation = s.at(now).Revision, s.activation.Sequence, &s.activated
		status.PolicyAge = int64(now.Sub(s.confirmed).Seconds())
	}
	var r *refusal
	if errors.As(failure, &r) {
		b.Code, b.Message = r.code, authorizer.Plain(strings.ReplaceAll(r.err.Error(), "\n", "; ")) // a stranger's text may be in it
		if r.code != "store_unavailable" && r.code != "candidate_refused" {
			status.ActivationRefused = 1
		}
	}
	status.Bundles = map[string]BundleStatus{"gatehouse": b}
	f.c.Report(status)
}
