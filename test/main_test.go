// Package test holds the whole-system checks: the built programs, driven as their users drive them.
package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/authorizer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// built is the directory of the programs under test.
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "gatehouse-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var builds sync.Map // name -> func() error

// build makes one program, once a run, as the Makefile does.
func build(t testing.TB, name, pkg string, flags ...string) string {
	t.Helper()
	out := filepath.Join(built, name)
	once, _ := builds.LoadOrStore(name, sync.OnceValue(func() error {
		args := append([]string{"build", "-buildvcs=false", "-o", out}, flags...)
		c := exec.Command("go", append(args, pkg)...)
		c.Dir, c.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if message, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, message)
		}
		return nil
	}))
	if err := once.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return out
}

// bootstrap gives a function's executable, built as it is deployed.
func bootstrap(t testing.TB, function string) string {
	pkg := "./handlers/" + function
	if function == "authorizer" {
		pkg = "./cmd/authorizer"
	}
	return build(t, filepath.Join(function, "bootstrap"), pkg, "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=")
}

// gatehouse gives the command line.
func gatehouse(t testing.TB) string { return build(t, "gatehouse", "./cmd/gatehouse") }

// golden compares with testdata/NAME; -update rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// inputFields are the names that an input document with every field set has, by part.
func inputFields() map[string][]string {
	document, err := json.Marshal(authorizer.Input{
		Version: authorizer.InputVersion,
		Request: authorizer.Request{
			ID: "x", API: "x", Stage: "x", Protocol: "x", Method: "x", Route: "x", Path: []string{"x"},
			Params: map[string]string{"x": "x"}, Query: map[string][]string{"x": {}}, Headers: map[string][]string{"x": {}},
			SourceIP: netip.IPv4Unspecified(), Time: time.Now(),
		},
		Principal: authorizer.Principal{Issuer: "x", ClientID: "x", Organization: "x"},
	})
	if err != nil {
		panic(err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(document, &parts); err != nil {
		panic(err)
	}
	fields := map[string][]string{}
	for part, value := range parts {
		var object map[string]any
		if json.Unmarshal(value, &object) == nil {
			fields[part] = slices.Sorted(maps.Keys(object))
		}
	}
	return fields
}
