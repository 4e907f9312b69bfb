package test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What status, gc and bake report with --json is what their schemas say, in each state that a store can be in.
func TestStoreSchemasOfStatus(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	policies := func(name string) string {
		t.Helper()
		file(name+"/.manifest", `{"roots": ["gatehouse", "authz", "routes"], "rego_version": 1}`)
		file(name+"/routes/data.json", `{"GET /a": {"api": "a", "answer": "request"}}`)
		file(name+"/gatehouse/decision.rego", "package gatehouse\n\ndecision := {\"allowed\": false, \"status\": {\"code\": 403, \"reason\": \"NotGranted\", \"message\": \"\"}, \"grants\": [], \"violations\": [], \"warnings\": [], \"auditAnnotations\": {}, \"context\": {}}\n")
		file(name+"/authz/a/a.rego", "package authz.a\n\n# "+name+"\nallow contains \"a\" if input.ok\n")
		return filepath.Join(dir, name)
	}
	env := append(os.Environ(), "GATEHOUSE_STORE=file:"+filepath.Join(dir, "store"), "GATEHOUSE_APIS=123456789012/a1b2c3", "GATEHOUSE_STAGE=prod")
	run := func(code int, args ...string) string {
		t.Helper()
		c := exec.Command(gatehouse(t), args...)
		c.Dir, c.Env = dir, env
		var faults strings.Builder
		c.Stderr = &faults
		out, err := c.Output()
		if c.ProcessState == nil || c.ProcessState.ExitCode() != code {
			t.Fatalf("%q: %v, want exit %d\n%s%s", args, err, code, out, &faults)
		}
		return string(out)
	}
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]schema{}
	for _, name := range []string{"store-status", "store-gc", "bake"} {
		schemas[name] = readSchema(t, name+".json")
	}
	// full is, by schema, all that some report had.
	full := map[string]map[string]bool{}
	report := func(name string, code int, args ...string) {
		t.Helper()
		out := run(code, append(args, "--json")...)
		s := schemas[name]
		if err := s.check(t, out); err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(out), &document); err != nil {
			t.Fatal(err)
		}
		if full[name] == nil {
			full[name] = map[string]bool{}
		}
		for member := range document {
			full[name][member] = true
		}
		for _, member := range s.document["required"].([]any) {
			without := maps.Clone(document)
			delete(without, member.(string))
			if s.check(t, jsonOf(t, without)) == nil {
				t.Errorf("%q: taken without %s", args, member)
			}
		}
		document["more"] = 1
		if s.check(t, jsonOf(t, document)) == nil {
			t.Errorf("%q: taken with a member too many", args)
		}
	}

	run(0, "keygen", "a.key")
	run(0, "keygen", "b.key")
	env = append(env, "GATEHOUSE_TRUST="+run(0, "keygen", "--public", "a.key", "b.key"))
	auth0 := file("auth0.json", `{"version":"v1","issuers":[{"issuer":"http://127.0.0.1:1/","audiences":["https://api.example.com"]}]}`)
	other := file("other.json", `{"version":"v1","issuers":[{"issuer":"http://127.0.0.1:1/","audiences":["https://other.example.com"]}]}`)
	v1, v2 := policies("v1"), policies("v2")

	report("store-status", 1, "status")
	run(0, "publish", v1, "--key", "a.key", "--threshold", "2")
	run(0, "sign", "1", "--key", "b.key", "--threshold", "2")
	run(0, "publish", v2, "--key", "a.key", "--key", "b.key")
	run(0, "activate", "1", "--auth0", auth0, "--key", "a.key", "--key", "b.key")
	run(0, "activate", "2", "--key", "a.key", "--threshold", "2") // proposed
	report("store-status", 0, "status", "--threshold", "2", "--policies", v1)
	run(0, "activate", "2", "--key", "b.key", "--threshold", "2")
	run(0, "candidate", "1", "--key", "a.key")
	run(0, "rollback", "--key", "a.key")
	run(0, "auth0", "put", other, "--offline", "--key", "a.key")
	run(0, "activate", "2", "--for", "1s", "--key", "a.key")
	time.Sleep(1100 * time.Millisecond) // until it is over
	log := file("log", `{"decision_id":"1","path":"gatehouse/decision","timestamp":"2026-11-26T11:59:59Z","labels":{"function":"orders"},"bundles":{"activation":{"revision":"2"},"gatehouse":{"revision":"r"}}}
{"decision_id":"1","path":"gatehouse/decision","timestamp":"2026-11-26T11:59:59Z","bundles":{}}
{"labels":{"function":"orders"},"bundles":{"gatehouse":{"name":"gatehouse","active_revision":"r","sequence":99,"last_request":"2026-11-26T11:40:00Z","code":"content_missing","message":"m"}},"_aws":{}}
`)
	report("store-status", 1, "status", "--policies", v2, "--records", log, "--all")
	report("bake", 0, "bake", "baked")
	report("store-gc", 0, "gc")
	old := time.Now().Add(-2 * time.Hour)
	if err := filepath.WalkDir(filepath.Join(dir, "store"), func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, old, old)
	}); err != nil {
		t.Fatal(err)
	}
	file("store/elsewhere.txt", "x")
	report("store-gc", 0, "gc", "--keep", "1", "--dry-run")
	report("store-gc", 0, "gc", "--keep", "1")
	file("store/active.txt", "x")
	report("store-status", 1, "status")

	for name, s := range schemas {
		got := slices.Sorted(maps.Keys(full[name]))
		if want := s.fields(t); !slices.Equal(got, want) {
			t.Errorf("%s: the reports had %q, the schema has %q", name, got, want)
		}
	}
	run(0, "activate", "2", "--key", "a.key")
	for name, bad := range map[string][2]string{
		"store-status": {`"problems": []`, `"problems": [""]`},
		"store-gc":     {`"left": [`, `"left": [1,`},
		"bake":         {`"files": 3`, `"files": 0`},
	} {
		args := map[string][]string{"store-status": {"status"}, "store-gc": {"gc"}, "bake": {"bake", "baked"}}[name]
		document := run(0, append(args, "--json")...)
		if changed := strings.Replace(document, bad[0], bad[1], 1); changed == document || schemas[name].check(t, changed) == nil {
			t.Errorf("%s: %s in place of %s is let through\n%s", name, bad[1], bad[0], document)
		}
	}
}
