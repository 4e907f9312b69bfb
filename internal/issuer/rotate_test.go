package issuer_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/internal/issuer"
)

func rotated(t *testing.T, dir string, revoke bool) []string {
	t.Helper()
	k, err := issuer.RotateKey(dir, revoke)
	if err != nil {
		t.Fatal(err)
	}
	again, err := issuer.LoadOrCreateKey(dir)
	if err != nil || !slices.Equal(again.IDs(), k.IDs()) || string(again.Public()) != string(k.Public()) {
		t.Errorf("what is written is not what is told: %v", err)
	}
	return k.IDs()
}

func TestRotateKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	first := rotated(t, dir, false) // of keys that it has made itself
	second := rotated(t, dir, false)
	if len(second) != 3 || second[0] != first[1] || second[2] != first[0] || slices.Contains(first, second[1]) {
		t.Errorf("from %v to %v: want the next key current and the current one previous", first, second)
	}
	third := rotated(t, dir, true)
	if len(third) != 2 || third[0] != second[1] || slices.Contains(second, third[1]) {
		t.Errorf("revoked from %v to %v: want no key of before", second, third)
	}
	info, err := os.Stat(filepath.Join(dir, issuer.KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v; want one", len(entries), err)
	}
	// The previous key's file entry cannot sign: only its public half is kept.
	rotated(t, dir, false)
	var file map[string]map[string]string
	content, err := os.ReadFile(filepath.Join(dir, issuer.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &file); err != nil || file["previous"]["n"] == "" || file["previous"]["d"] != "" {
		t.Errorf("previous key: %v", err)
	}
}

// Rotations at the same time happen one after the other: none is lost.
func TestRotateKeyRace(t *testing.T) {
	dir := t.TempDir()
	if _, err := issuer.LoadOrCreateKey(dir); err != nil {
		t.Fatal(err)
	}
	ids := make([][]string, 3)
	var group sync.WaitGroup
	for n := range ids {
		group.Go(func() {
			k, err := issuer.RotateKey(dir, false)
			if err != nil {
				t.Error(err)
				return
			}
			ids[n] = k.IDs()
		})
	}
	group.Wait()
	current := map[string]bool{}
	for _, id := range ids {
		current[id[0]] = true
	}
	if len(current) != len(ids) {
		t.Errorf("%d keys became current by %d rotations", len(current), len(ids))
	}
}

func TestRotateKeyRefused(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, issuer.KeyFile)
	if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.RotateKey(dir, true); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}
	if content, err := os.ReadFile(name); err != nil || string(content) != "{}" {
		t.Errorf("the file has been changed: %q, %v", content, err)
	}
	// Whoever was killed half-way has left a part of a file under another name. It is in nobody's way.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".1.new", []byte(`{"current":`), 0o600); err != nil {
		t.Fatal(err)
	}
	rotated(t, dir, false)
}

// kid is the key that a token says it was signed with.
func kid(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// A running issuer signs with, and publishes, what stands in the key file: what it knew of before, and what another
// program has written since.
func TestRunningIssuerFollowsTheKeys(t *testing.T) {
	c := config()
	c.Keys = t.TempDir()
	i := runWith(t, c, time.Now)
	sign := func() string {
		t.Helper()
		got := redeem(t, i, grant())
		if got.status != http.StatusOK {
			t.Fatalf("%+v", got)
		}
		return got.Access
	}
	published := func() (ids []string) {
		t.Helper()
		var set struct{ Keys []struct{ Kid string } }
		if err := json.Unmarshal([]byte(get(t, i.URL()+".well-known/jwks.json").body), &set); err != nil {
			t.Fatal(err)
		}
		for _, k := range set.Keys {
			ids = append(ids, k.Kid)
		}
		return ids
	}
	before := published()
	old := sign()
	b := &browser{t: t, issuer: i}
	_, id := b.page(b.authorize())

	ids := rotated(t, c.Keys, false)
	if got := published(); !slices.Equal(got, ids) || got[0] != before[1] {
		t.Errorf("published %v, want %v", got, ids)
	}
	if got := kid(t, sign()); got != ids[0] {
		t.Errorf("signed with %s, want %s", got, ids[0])
	}
	verified(t, i, old) // by the previous key
	answer := b.callback(b.post("u/login", url.Values{"state": {id}, "person": {"customer"}}), http.StatusSeeOther)
	login := redeem(t, i, redeeming(answer.Get("code"))) // a rotation does not end a login
	if login.status != http.StatusOK || kid(t, login.ID) != ids[0] {
		t.Errorf("%+v", login)
	}

	ids = rotated(t, c.Keys, true)
	if got := published(); !slices.Equal(got, ids) {
		t.Errorf("published %v, want %v", got, ids)
	}
	userinfo := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL()+"userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return do(t, r).status
	}
	if got := userinfo(login.Access); got != http.StatusUnauthorized {
		t.Errorf("a token of a revoked key: %d", got)
	}
	again := redeem(t, i, refreshing(login.Refresh))
	if got := userinfo(again.Access); got != http.StatusOK {
		t.Errorf("a token of the current key: %d", got)
	}

	name := filepath.Join(c.Keys, issuer.KeyFile)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if got := published(); len(got) != 2 || slices.Contains(ids, got[0]) {
		t.Errorf("after the keys were deleted: %v", got)
	}

	// Keys that are no good are no keys: nothing is signed with what was there before, nothing published, nothing taken.
	code := b.callback(b.authorize(), http.StatusFound).Get("code")
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	redeem(t, i, grant()).refused(t, 500, "server_error", "")
	redeem(t, i, redeeming(code)).refused(t, 500, "server_error", "")
	redeem(t, i, refreshing(again.Refresh)).refused(t, 500, "server_error", "")
	for _, path := range []string{".well-known/jwks.json", "oidc/logout?id_token_hint=" + again.ID} {
		if got := b.get(path); got.status != 500 || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := userinfo(again.Access); got != 500 {
		t.Errorf("userinfo: %d", got)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	sign()
}
