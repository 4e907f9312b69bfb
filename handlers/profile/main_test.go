package main

import (
	"encoding/json"
	"testing"

	"gatehouse/handlers/caller"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		caller caller.Caller
		want   string
	}{
		"user": {
			caller.Caller{Subject: "auth0|cust", Organization: "org_home", Scopes: []string{"openid"}, Permissions: []string{"get:profile"}},
			`{"sub":"auth0|cust","organization":"org_home","scopes":["openid"],"permissions":["get:profile"]}`,
		},
		"machine": {
			caller.Caller{Subject: "robot@clients", Scopes: []string{}, Permissions: []string{}},
			`{"sub":"robot@clients","scopes":[],"permissions":[]}`,
		},
	} {
		r := routes.Serve(t.Context(), caller.Request{Method: "GET", Route: "GET /profile", Caller: test.caller})
		body, err := json.Marshal(r.Body)
		if err != nil || r.Status != 200 || string(body) != test.want {
			t.Errorf("%s: got %d %s, %v", name, r.Status, body, err)
		}
	}
}

func TestOtherRoutes(t *testing.T) {
	t.Parallel()
	if r := routes.Serve(t.Context(), caller.Request{Method: "PUT", Route: "PUT /profile"}); r.Status != 405 {
		t.Errorf("PUT: got %+v", r)
	}
	if r := routes.Serve(t.Context(), caller.Request{Method: "GET", Route: "GET /"}); r.Status != 404 {
		t.Errorf("GET /: got %+v", r)
	}
}
