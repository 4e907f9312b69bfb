package main

import (
	"encoding/json"
	"testing"

	"gatehouse/handlers/caller"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	r := routes.Serve(t.Context(), caller.Request{Method: "GET", Route: "GET /admin/users"})
	body, err := json.Marshal(r.Body)
	want := `{"users":[` +
		`{"sub":"auth0|cust","name":"customer","roles":["customer"],"organization":"org_home"},` +
		`{"sub":"auth0|supp","name":"support","roles":["support"],"organization":"org_home"},` +
		`{"sub":"auth0|adm","name":"admin","roles":["admin"],"organization":"org_home"},` +
		`{"sub":"auth0|susp","name":"suspended","roles":["customer"],"organization":"org_home"},` +
		`{"sub":"auth0|out","name":"outsider","roles":["customer"],"organization":"org_other"}]}`
	if err != nil || r.Status != 200 || string(body) != want {
		t.Errorf("got %d %s, %v\nwant %s", r.Status, body, err, want)
	}
}
