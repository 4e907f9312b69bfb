package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the verbs that write a store report with --json is what their schemas say, with one signature of two and with both.
func TestSchemaOfTheStoreReports(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return full
	}
	alice, bob := filepath.Join(dir, "alice.jwk"), filepath.Join(dir, "bob.jwk")
	for _, key := range []string{alice, bob} {
		if out, code := runs(t, "", "keygen", key); code != 0 {
			t.Fatalf("keygen: exit %d: %s", code, out)
		}
	}
	trust, _ := runs(t, "", "keygen", "--public", alice, bob)
	flags := []string{"--store", "file:" + filepath.Join(dir, "store"), "--account", "123456789012", "--trust", file("trust.json", trust)}

	tn := newTenant(t)
	var document map[string]any
	if err := json.Unmarshal([]byte(tn.auth0), &document); err != nil {
		t.Fatal(err)
	}
	issuer := document["issuers"].([]any)[0].(map[string]any)
	jwks := issuer["jwks"]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/ok/") {
			_ = json.NewEncoder(w).Encode(jwks)
			return
		}
		_, _ = w.Write([]byte(`{"keys":[]}`))
	}))
	t.Cleanup(server.Close)
	// unpinned is a configuration whose issuer is this machine's.
	unpinned := func(name, at string, seed any) string {
		t.Helper()
		of := maps.Clone(issuer)
		delete(of, "pinned")
		delete(of, "jwks_uri")
		if delete(of, "jwks"); seed != nil {
			of["jwks"] = seed
		}
		of["issuer"] = at
		changed := maps.Clone(document)
		changed["issuers"] = []any{of}
		return file(name, jsonOf(t, changed))
	}
	stale := strings.Replace(jsonOf(t, jwks), `"kid":"`, `"kid":"gone-`, 1)
	pinned := file("auth0.json", tn.auth0)
	other := file("other.json", tn.auth0+"\n")

	reports := []struct {
		schema string
		code   int
		args   []string
		has    []string
	}{
		{"auth0-check.json", 0, []string{"auth0", "check", pinned}, []string{`"state": "pinned"`}},
		{"auth0-check.json", 0, []string{"auth0", "check", pinned, "--offline"}, []string{`"issuers": []`}},
		{"auth0-check.json", 0, []string{"auth0", "check", unpinned("ok.json", server.URL+"/ok/", json.RawMessage(stale))}, []string{`"state": "ok"`, `"warnings"`}},
		{"auth0-check.json", 1, []string{"auth0", "check", unpinned("empty.json", server.URL+"/", nil)}, []string{`"state": "unusable"`}},
		{"auth0-check.json", 3, []string{"auth0", "check", unpinned("away.json", "http://127.0.0.1:1/", nil)}, []string{`"state": "unreachable"`}},

		{"release-report.json", 0, []string{"publish", "../policies", "--key", alice, "--threshold", "2"}, []string{`"release": 1`, `"complete": false`}},
		{"release-report.json", 0, []string{"sign", "1", "--key", bob, "--threshold", "2"}, []string{`"release": 1`, `"complete": true`}},
		{"activation-report.json", 0, []string{"activate", "1", "--auth0", pinned, "--key", alice, "--threshold", "2", "--dry-run"}, []string{`"dry_run": true`, `"active": false`, `"signers": []`}},
		{"activation-report.json", 0, []string{"activate", "1", "--auth0", pinned, "--key", alice, "--threshold", "2"}, []string{`"active": false`, `"sequence": 1`}},
		{"activation-report.json", 0, []string{"activate", "1", "--auth0", pinned, "--key", bob, "--threshold", "2"}, []string{`"active": true`, `"sequence": 1`}},
		{"activation-report.json", 0, []string{"auth0", "put", other, "--key", alice}, []string{`"before"`, `"auth0"`, `"sequence": 2`}},
		{"activation-report.json", 0, []string{"rollback", "--key", alice}, []string{`"sequence": 3`}},
		{"activation-report.json", 0, []string{"candidate", "--off", "--key", alice}, []string{`"changed": []`, `"sequence": 3`}},
	}
	for _, r := range reports {
		s := readSchema(t, r.schema)
		args := append(r.args, "--json")
		if r.schema != "auth0-check.json" {
			args = append(args, flags...)
		}
		out, code := runs(t, "", args...)
		if code != r.code {
			t.Fatalf("%q: exit %d, want %d\n%s", r.args, code, r.code, out)
		}
		if err := s.check(t, out); err != nil {
			t.Errorf("%q: %v\n%s", r.args, err, out)
		}
		for _, want := range r.has {
			if !strings.Contains(out, want) {
				t.Errorf("%q: the report lacks %s\n%s", r.args, want, out)
			}
		}
		var report map[string]any
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		for _, member := range s.document["required"].([]any) {
			without := maps.Clone(report)
			delete(without, member.(string))
			if s.check(t, jsonOf(t, without)) == nil {
				t.Errorf("%q: taken without %s", r.args, member)
			}
		}
		report["more"] = 1
		if s.check(t, jsonOf(t, report)) == nil {
			t.Errorf("%q: taken with a member too many", r.args)
		}
	}
}
