package main

import (
	"encoding/json"
	"testing"

	"gatehouse/handlers/caller"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	r := routes.Serve(t.Context(), caller.Request{Method: "GET", Route: "GET /health"})
	body, err := json.Marshal(r.Body)
	if err != nil || r.Status != 200 || string(body) != `{"status":"ok"}` {
		t.Errorf("got %d %s, %v", r.Status, body, err)
	}
}
