package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// stored makes a store of the sample: two keys that are trusted, of which one must sign, the Auth0 configuration in a file,
// release 1 of the smallest policies and release 2 of the sample's, each once active, release 2 now.
func stored(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0)
	small := ts.MkAbs("small")
	for name, content := range smallPolicies {
		file := filepath.Join(small, filepath.FromSlash(name))
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
		ts.Check(os.WriteFile(file, []byte(content), 0o600))
	}
	auth0, key, second := ts.MkAbs("auth0.json"), ts.MkAbs("release.key"), ts.MkAbs("second.key")
	ts.Check(os.WriteFile(auth0, []byte(ts.Getenv("GATEHOUSE_AUTH0")), 0o600))
	settings := map[string]string{"GATEHOUSE_STORE": "file:" + ts.MkAbs("store"), "GATEHOUSE_APIS": "123456789012/a1b2c3"}
	gatehouse := func(args ...string) string {
		var env []string
		for name, value := range settings {
			env = append(env, name+"="+value)
		}
		var out, faults bytes.Buffer
		if code := run(context.Background(), args, stdio{in: strings.NewReader(""), out: &out, err: &faults, env: env}); code != exitDone {
			ts.Fatalf("gatehouse %q: exit %d: %s", args, code, faults.String())
		}
		return out.String()
	}
	gatehouse("keygen", key)
	gatehouse("keygen", second)
	settings["GATEHOUSE_TRUST"] = gatehouse("keygen", "--public", key, second)
	gatehouse("publish", small, "--key", key)
	gatehouse("activate", "1", "--auth0", auth0, "--key", key)
	gatehouse("publish", ts.MkAbs("policies"), "--key", key)
	gatehouse("activate", "2", "--key", key)
	for name, value := range settings {
		ts.Setenv(name, value)
	}
}

// smallPolicies is the least bundle that loads.
var smallPolicies = map[string]string{
	".manifest":        `{"roots": ["gatehouse", "authz", "routes"], "rego_version": 1}`,
	"routes/data.json": `{"GET /a": {"api": "a", "answer": "request"}}`,
	"authz/a/a.rego":   "package authz.a\n\nallow contains \"a\" if input.ok\n",
	"gatehouse/decision.rego": `package gatehouse

decision := {
	"allowed": false, "status": {"code": 403, "reason": "NotGranted", "message": ""}, "grants": [], "violations": [],
	"warnings": [], "auditAnnotations": {}, "context": {},
}
`,
}
