package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/issuer"
	"gatehouse/internal/release"
)

// stored makes a store of the sample: two keys that are trusted, of which one must sign, the Auth0 configuration in a file,
// release 1 of the smallest policies and release 2 of the sample's, each once active, release 2 now.
func stored(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0)
	small(ts, false, []string{"small"})
	auth0, key, second := ts.MkAbs("auth0.json"), ts.MkAbs("alice.jwk"), ts.MkAbs("bob.jwk")
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
	gatehouse("publish", ts.MkAbs("small"), "--key", key)
	gatehouse("activate", "1", "--auth0", auth0, "--key", key)
	gatehouse("publish", ts.MkAbs("policies"), "--key", key)
	gatehouse("activate", "2", "--key", key)
	for name, value := range settings {
		ts.Setenv(name, value)
	}
}

// small writes the least policies that load; those of each directory say in a comment which one it is.
func small(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	for _, dir := range args {
		for name, content := range smallPolicies {
			if strings.HasSuffix(name, "a.rego") {
				content = "# " + dir + "\n" + content
			}
			file := ts.MkAbs(filepath.Join(dir, filepath.FromSlash(name)))
			ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
			ts.Check(os.WriteFile(file, []byte(content), 0o600))
		}
	}
}

// setStore sets where the store is and for which account, and writes an Auth0 configuration whose tenant is pinned.
func setStore(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0)
	tenant(ts, false, []string{"tenant"})
	ts.Check(os.WriteFile(ts.MkAbs("auth0.json"), []byte(ts.Getenv("GATEHOUSE_AUTH0")), 0o600))
	ts.Setenv("GATEHOUSE_STORE", "file:"+ts.MkAbs("store"))
	ts.Setenv("GATEHOUSE_APIS", "123456789012/a1b2c3")
}

// old makes files two hours old.
func old(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1)
	then := time.Now().Add(-2 * time.Hour)
	for _, name := range args {
		ts.Check(filepath.WalkDir(ts.MkAbs(name), func(file string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Chtimes(file, then, then)
		}))
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

// liveIssuer starts an issuer with keys of its own beside a world's, and gives its URL.
func liveIssuer(t *testing.T) (string, world) {
	t.Helper()
	i, err := issuer.Start(t.Context(), issuer.Config{Addr: "127.0.0.1:0", Keys: t.TempDir(), Audience: issuer.Audience, SPA: []string{"http://127.0.0.1:8790"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i.URL(), newWorld(t)
}

func publicOf(t *testing.T, keys []release.Signer) (public []*ecdsa.PublicKey) {
	t.Helper()
	for _, key := range keys {
		public = append(public, key.Public().(*ecdsa.PublicKey))
	}
	return public
}
