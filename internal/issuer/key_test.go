package issuer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/issuer"
)

// keyDirVariable makes this test program another program: one that only loads or creates a key.
const keyDirVariable = "GATEHOUSE_TEST_KEY_DIR"

func printKey(dir string) int {
	k, err := issuer.LoadOrCreateKey(dir)
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		return 1
	}
	_, _ = os.Stdout.Write(k.Public())
	return 0
}

func TestKeyIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", ".gatehouse")
	first, err := issuer.LoadOrCreateKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := issuer.LoadOrCreateKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Public(), second.Public()) {
		t.Error("the second load gives another key")
	}
	for name, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, issuer.KeyFile): 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v; want one", len(entries), err)
	}
	public := first.Public()
	clear(public)
	if bytes.Equal(first.Public(), public) {
		t.Error("a caller can change the key's document")
	}

	var file map[string]map[string]string
	content, err := os.ReadFile(filepath.Join(dir, issuer.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"current", "next"} {
		if k := file[role]; k["kty"] != "RSA" || k["use"] != "sig" || k["alg"] != "RS256" || k["kid"] == "" || k["d"] == "" {
			t.Errorf("the %s key lacks a member of a private signing JWK", role)
		}
	}
	if len(file) != 2 {
		t.Errorf("%d keys, want two", len(file))
	}
}

func TestKeyRace(t *testing.T) {
	const racers = 4
	dir := filepath.Join(t.TempDir(), ".gatehouse")
	var outputs [racers][]byte
	var group sync.WaitGroup
	for n := range racers {
		group.Go(func() {
			program := exec.CommandContext(t.Context(), os.Args[0])
			program.Env = append(os.Environ(), keyDirVariable+"="+dir)
			output, err := program.Output()
			if err != nil {
				t.Errorf("racer %d: %v", n, err)
			}
			outputs[n] = output
		})
	}
	group.Wait()
	for n, output := range outputs {
		if len(output) == 0 || !bytes.Equal(output, outputs[0]) {
			t.Errorf("racer %d has another key than racer 0", n)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v; want one", len(entries), err)
	}
}

func goodKeyFile(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	if _, err := issuer.LoadOrCreateKey(dir); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, issuer.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func encoded(t testing.TB, jwk jose.JSONWebKey, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func shortKey(t testing.TB) []byte {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // to be refused
	return encoded(t, jose.JSONWebKey{Key: private}, err)
}

func ellipticKey(t testing.TB) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return encoded(t, jose.JSONWebKey{Key: private, KeyID: "k", Use: "sig", Algorithm: "ES256"}, err)
}

func TestKeyFileRefused(t *testing.T) {
	good := goodKeyFile(t)
	changed := func(change func(keys map[string]map[string]string)) []byte {
		var keys map[string]map[string]string
		if err := json.Unmarshal(good, &keys); err != nil {
			t.Fatal(err)
		}
		change(keys)
		content, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	with := func(member, value string) []byte {
		return changed(func(keys map[string]map[string]string) {
			keys["current"][member] = value
			if value == "" {
				delete(keys["current"], member)
			}
		})
	}
	as := func(role string, jwk []byte) []byte {
		return changed(func(keys map[string]map[string]string) {
			keys[role] = nil
			if err := json.Unmarshal(jwk, new(map[string]string)); err != nil {
				t.Fatal(err)
			}
			members := map[string]string{}
			_ = json.Unmarshal(jwk, &members)
			keys[role] = members
		})
	}
	public, _, _ := bytes.Cut(bytes.TrimPrefix(key(t).Public(), []byte(`{"keys":[`)), []byte(`,{`))
	for name, c := range map[string]struct {
		content []byte
		mode    fs.FileMode
		want    []string
	}{
		"readable by the group": {good, 0o640, []string{"mode 0640", "chmod 600"}},
		"readable by all":       {good, 0o644, []string{"mode 0644", "chmod 600"}},
		"writable by others":    {good, 0o602, []string{"mode 0602", "chmod 600"}},
		"empty":                 {nil, 0o600, []string{"damaged", "move it away"}},
		"cut short":             {good[:len(good)/2], 0o600, []string{"damaged"}},
		"followed by text":      {append(bytes.Clone(good), "x"...), 0o600, []string{"damaged"}},
		"too long":              {append(bytes.Clone(good), strings.Repeat(" ", issuer.MaxKeyFile)...), 0o600, []string{"damaged"}},
		"of mixed keys":         {with("n", strings.Repeat("A", 341)+"B"), 0o600, []string{"damaged"}},
		"public":                {as("current", public), 0o600, []string{"current: not an RSA private key"}},
		"an elliptic curve":     {as("next", ellipticKey(t)), 0o600, []string{"next: not an RSA key", `alg is not "RS256"`}},
		"short":                 {as("next", shortKey(t)), 0o600, []string{"next: fewer than 2048 bits", "no kid", "use", "alg"}},
		"a private previous":    {as("previous", shortKey(t)), 0o600, []string{"previous: not an RSA public key"}},
		"no current":            {changed(func(keys map[string]map[string]string) { delete(keys, "current") }), 0o600, []string{"current: not an RSA key"}},
		"no next":               {changed(func(keys map[string]map[string]string) { delete(keys, "next") }), 0o600, []string{"next: not an RSA key"}},
		"one key twice":         {changed(func(keys map[string]map[string]string) { keys["next"] = keys["current"] }), 0o600, []string{"share a kid"}},
		"another role":          {changed(func(keys map[string]map[string]string) { keys["other"] = keys["next"] }), 0o600, []string{"damaged"}},
		"one JWK":               {shortKey(t), 0o600, []string{"damaged"}},
		"without a kid":         {with("kid", ""), 0o600, []string{"no kid"}},
		"for encryption":        {with("use", "enc"), 0o600, []string{`use is not "sig"`}},
		"of another algorithm":  {with("alg", "PS256"), 0o600, []string{`alg is not "RS256"`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, issuer.KeyFile)
			if err := os.WriteFile(file, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, c.mode); err != nil { // past the umask
				t.Fatal(err)
			}
			_, err := issuer.LoadOrCreateKey(dir)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range append(c.want, file) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
			var keys map[string]map[string]string
			_ = json.Unmarshal(c.content, &keys)
			for _, members := range keys {
				for _, member := range []string{"d", "p", "q", "kid"} {
					if value := members[member]; len(value) > 1 && strings.Contains(err.Error(), value) {
						t.Errorf("the error quotes member %s", member)
					}
				}
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, c.content) {
				t.Errorf("the file has been changed: %v", err)
			}
		})
	}
}

const pathMax = 4096 // Linux's PATH_MAX; where it is less, the directory itself cannot be made

func TestKeyDirectoryRefused(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	occupied := filepath.Join(dir, "occupied")
	if err := os.MkdirAll(filepath.Join(occupied, issuer.KeyFile), 0o700); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere", "deeper"), dangling); err != nil {
		t.Fatal(err)
	}
	// The key file's name just fits into a path, that of the file it is first written to does not.
	deep := filepath.Join(dir, "deep")
	for room := pathMax - len(issuer.KeyFile) - 2 - len(deep); room > 1; room = pathMax - len(issuer.KeyFile) - 2 - len(deep) {
		deep = filepath.Join(deep, strings.Repeat("d", min(room-1, 200)))
	}
	for name, want := range map[string]string{
		deep:     "create signing keys",
		plain:    "not a directory",
		occupied: "not a regular file",
		dangling: "create signing keys",
	} {
		_, err := issuer.LoadOrCreateKey(name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(name, issuer.KeyFile)) {
			t.Errorf("%s: error %v, want %q and the file's name in it", filepath.Base(name), err, want)
		}
	}
}

// Whatever passes for a key publishes nothing private.
func FuzzParseKey(f *testing.F) {
	f.Add(goodKeyFile(f))
	f.Add([]byte(`{"current":` + string(shortKey(f)) + `,"next":null,"previous":{}}`))
	f.Add([]byte(`{"kty":"RSA","d":""}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, content []byte) {
		k, err := issuer.ParseKey(content)
		if err != nil {
			return
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(k.Public(), &set); err != nil {
			t.Fatal(err)
		}
		for _, key := range set.Keys {
			for member := range key {
				if !strings.Contains(" kty kid use alg n e ", " "+member+" ") {
					t.Errorf("member %q is public", member)
				}
			}
		}
		if _, err := issuer.Mint(k, "http://127.0.0.1/", issuer.People()[0].Claims(issuer.Audience, now)); err != nil {
			t.Error(err)
		}
	})
}
