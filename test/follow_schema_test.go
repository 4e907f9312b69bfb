package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"gatehouse/authorizer"
	"gatehouse/internal/follow"
)

func TestSchemaOfStatus(t *testing.T) {
	s := readSchema(t, "status.json")
	same(t, "status", s.fields(t), names[follow.Status]())
	same(t, "status.bundles.gatehouse", s.fields(t, "properties", "bundles", "properties", "gatehouse"), names[follow.BundleStatus]())
	same(t, "status._aws", s.fields(t, "properties", "_aws"), names[follow.EMF]())
	same(t, "status._aws.CloudWatchMetrics", s.fields(t, "properties", "_aws", "properties", "CloudWatchMetrics", "items"), names[follow.EMFMetric]())
	content, err := os.ReadFile("../internal/follow/testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	document := string(content)
	if err := s.check(t, document); err != nil {
		t.Errorf("%v\n%s", err, document)
	}
	for name, change := range map[string][2]string{
		"an unknown member": {`"stage":`, `"x": 1, "stage":`},
		"an unknown code":   {`"name": "gatehouse",`, `"name": "gatehouse", "code": "other",`},
		"no labels":         {`"labels"`, `"label"`},
	} {
		if !strings.Contains(document, change[0]) || s.check(t, strings.Replace(document, change[0], change[1], 1)) == nil {
			t.Errorf("%s is let through", name)
		}
	}
}

func TestSchemaOfDifferences(t *testing.T) {
	s := readSchema(t, "difference.json")
	same(t, "difference", s.fields(t), names[authorizer.Difference]())
	decision := authorizer.Decision{Status: authorizer.Status{Code: 403, Reason: authorizer.NotGranted}, Grants: []string{}, Violations: []authorizer.Violation{}}
	granted := authorizer.Decision{Allowed: true, Status: authorizer.Status{Code: 200, Reason: authorizer.Granted}, Grants: []string{"a"}, Violations: []authorizer.Violation{}}
	d := authorizer.Difference{
		DecisionID: "ID", Path: authorizer.DecisionPath, Result: &granted, Candidate: &decision, Differs: []string{"allowed", "status", "grants"},
		Bundles: map[string]authorizer.Bundle{"gatehouse": {Revision: "a"}, "candidate": {Revision: "b"}},
		Metrics: map[string]int64{"timer_rego_query_eval_ns": 1},
	}
	check := func(want bool) {
		t.Helper()
		document, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		document = []byte(strings.Replace(string(document), `"0001-01-01T00:00:00Z"`, `"2026-11-26T00:00:00Z"`, 1))
		if err := s.check(t, string(document)); (err == nil) != want {
			t.Errorf("%v\n%s", err, document)
		}
	}
	check(true)
	d.Error = &authorizer.Failure{Code: "panic"}
	check(false) // both
	d.Candidate, d.Differs = nil, []string{"error"}
	check(true)
	d.Differs = nil
	check(false)
}
