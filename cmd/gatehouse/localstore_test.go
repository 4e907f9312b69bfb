package main

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse/internal/bundle"
	"gatehouse/internal/release"
	"gatehouse/internal/serverless"
	"gatehouse/policies"
)

const localDocument = `{"version":"v1","issuers":[{"issuer":"http://127.0.0.1:1/","audiences":["https://api.example.com"]}]}`

func embedded(t *testing.T) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Read(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openLocal(t *testing.T, dir, stage string) *localStore {
	t.Helper()
	l, err := openLocalStore(t.Context(), dir, stage, localDocument)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The store outlives its program; one that is another key's, stage's or place's is begun anew.
func TestTheLocalStoreAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	take := func(stage string) int64 {
		t.Helper()
		a, err := openLocal(t, dir, stage).take(t.Context(), embedded(t))
		if err != nil {
			t.Fatal(err)
		}
		return a.Sequence
	}
	if first, second := take("dev"), take("dev"); first != 1 || second != 1 {
		t.Errorf("activations %d and %d: the second start changed nothing", first, second)
	}
	if n := take("prod"); n != 1 {
		t.Errorf("another stage: activation %d, want 1", n)
	}
	if err := os.Remove(filepath.Join(dir, localKeyFile)); err != nil {
		t.Fatal(err)
	}
	if n := take("prod"); n != 1 {
		t.Errorf("another key: activation %d, want 1", n)
	}
	moved := t.TempDir()
	if err := os.Rename(filepath.Join(dir, localStoreDir), filepath.Join(moved, localStoreDir)); err != nil {
		t.Fatal(err)
	}
	dir = moved
	if n := take("prod"); n != 1 {
		t.Errorf("another place: activation %d, want 1", n)
	}
}

func TestTheLocalStoreRefusesAKeyThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	openLocal(t, dir, "dev")
	if err := os.Chmod(filepath.Join(dir, localKeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openLocalStore(t.Context(), dir, "dev", localDocument); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
}

func TestWhatTheAuthorizerIsGiven(t *testing.T) {
	service, err := serverless.Read([]byte(`
service: s
provider: {name: aws, runtime: provided.al2023}
functions:
  guard: {handler: bootstrap, environment: {GATEHOUSE_APIS: '123456789012/mine'}}
  other: {handler: bootstrap}
  orders:
    handler: bootstrap
    events:
      - http: {method: get, path: a, authorizer: {name: guard, type: request, resultTtlInSeconds: 0}}
      - http: {method: get, path: b, authorizer: {name: other, type: request, resultTtlInSeconds: 0}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	given := forAuthorizers(service, map[string]string{"GATEHOUSE_STORE": "file:x"})
	for function, want := range map[string]map[string]string{
		"guard":  {"GATEHOUSE_STORE": "file:x"},
		"other":  {"GATEHOUSE_STORE": "file:x"},
		"orders": nil,
	} {
		got := given(function)
		if function == "other" { // whatever the ids of this machine's APIs are
			want["GATEHOUSE_APIS"] = "123456789012/" + serverless.RESTAPI + ",123456789012/" + serverless.HTTPAPI + ",123456789012/" + serverless.WebSocketAPI
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s is given %v, want %v", function, got, want)
		}
	}
}

func TestWhatAFollowerOfAnotherStoreIsGiven(t *testing.T) {
	got := followed("ssm:/gatehouse/dev", []string{"HOME=/root", "AWS_ACCESS_KEY_ID=x", "GATEHOUSE_TRUST={}", "GATEHOUSE_AUTH0={}", "GATEHOUSE_STORE=file:y", "GATEHOUSE_X=y"})
	want := map[string]string{"GATEHOUSE_AUTH0": "", "GATEHOUSE_STORE": "ssm:/gatehouse/dev", "AWS_ACCESS_KEY_ID": "x", "GATEHOUSE_TRUST": "{}"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What no authorizer would start by is refused before anything listens.
func TestFollowable(t *testing.T) {
	err := followable(followed("s3:x", []string{"GATEHOUSE_REFRESH=1"}))
	for _, want := range []string{"GATEHOUSE_TRUST: missing", `GATEHOUSE_REFRESH: "1": want`, "--store: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	l := openLocal(t, t.TempDir(), "dev")
	if err := followable(followed(l.address, []string{"GATEHOUSE_TRUST=" + l.jwks})); err != nil {
		t.Error(err)
	}
}

// An edit is taken when it stands still, refused with its reason once, and taken back.
func TestEdits(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	l := openLocal(t, t.TempDir(), "dev")
	if _, err := l.take(t.Context(), embedded(t)); err != nil {
		t.Fatal(err)
	}
	e := &editor{dir: dir, active: embedded(t).Digest, take: l.take, say: (&logs{screen: &screen}).say}
	roles := filepath.Join(dir, "attributes", "roles", "data.yaml")
	original, err := os.ReadFile(roles)
	if err != nil {
		t.Fatal(err)
	}
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(roles, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says := func(looks int, want ...string) {
		t.Helper()
		screen.Reset()
		for range looks {
			e.look(t.Context())
		}
		for _, part := range want {
			if !strings.Contains(screen.String(), part) {
				t.Errorf("%q is not on the screen:\n%s", part, screen.String())
			}
		}
		if len(want) == 0 && screen.Len() > 0 {
			t.Errorf("on the screen: %s", screen.String())
		}
	}
	active := func(release int64) {
		t.Helper()
		b, err := l.read(t.Context())
		if err != nil || b.active.says.Release != release {
			t.Errorf("active is %+v, %v, want release %d", b.active, err, release)
		}
	}

	says(3)
	write(string(original) + "\nguest: [get:profile]\n")
	says(1) // it may be half of what is being written
	write(string(original) + "\nguest:\n  - get:profile\n")
	says(1)
	says(1, "are active: release 2, activation 2")
	says(2)
	active(2)
	write("customer: [")
	says(2, "policies refused; what was active goes on:\n  ", "attributes/roles/data.yaml")
	says(2)
	active(2)
	write("customer: {}\nsupport: &a []\nadmin: *a\n")
	says(2, "policies refused", "anchor")
	write(string(original))
	says(2, "are active: release 1, activation 3")
	active(1)
}

// What cannot be published is said like what does not load.
func TestAnEditThatIsNotPublished(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	said := ""
	e := &editor{dir: dir, active: "another", say: func(text string) { said += text }, take: func(context.Context, *bundle.Bundle) (release.Activation, error) {
		return release.Activation{}, errors.New("disk full")
	}}
	e.look(t.Context())
	e.look(t.Context())
	if said != "policies refused; what was active goes on:\n  disk full" {
		t.Errorf("said %q", said)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	e.watch(ended)
}

func TestReadPolicies(t *testing.T) {
	t.Chdir(t.TempDir())
	if b, watched, err := readPolicies("policies", true); err != nil || watched || b.Digest != embedded(t).Digest {
		t.Errorf("the usual directory is not there: %v, %v", watched, err)
	}
	if _, _, err := readPolicies("policies", false); err == nil || !strings.Contains(err.Error(), "policies: no such file or directory") {
		t.Errorf("a directory that was named is not there: %v", err)
	}
	if err := os.CopyFS("policies", fstest.MapFS{"a.txt": {}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readPolicies("policies", true); err == nil || !strings.Contains(err.Error(), ".manifest: missing") {
		t.Errorf("it holds no policies: %v", err)
	}
}
