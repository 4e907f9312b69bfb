package release_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"gatehouse/internal/release"
)

// members are a private JWK's, changed: a nil value leaves one out.
func members(jwk []byte, change map[string]any) map[string]any {
	var m map[string]any
	if err := json.Unmarshal(jwk, &m); err != nil {
		panic(err)
	}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func marshal(v any) []byte { return must(json.Marshal(v)) }

// half is the public half of a private JWK, changed.
func half(jwk []byte, change map[string]any) map[string]any {
	m := members(jwk, nil)
	delete(m, "d")
	return members(marshal(m), change)
}

func set(keys ...any) []byte { return marshal(map[string]any{"keys": append([]any{}, keys...)}) }

// TestGenerateKey holds our keys against jwx: another reader reads the same key, and gives it the same thumbprint.
func TestGenerateKey(t *testing.T) {
	doc := must(release.GenerateKey())
	var m map[string]string
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(m)); !slices.Equal(names, []string{"alg", "crv", "d", "kid", "kty", "use", "x", "y"}) {
		t.Errorf("%q", names)
	}
	foreign := must(jwk.ParseKey(doc))
	var private ecdsa.PrivateKey
	if err := foreign.Raw(&private); err != nil {
		t.Fatal(err)
	}
	key := must(release.ParseKey(doc))
	if !private.Equal(key) || m["kid"] != kid(key) || m["alg"] != "ES256" || m["use"] != "sig" {
		t.Errorf("%v", m)
	}
	bare := must(jwk.FromRaw(private.PublicKey))
	if err := jwk.AssignKeyID(bare); err != nil || bare.KeyID() != kid(key) {
		t.Errorf("thumbprint %s, want %s: %v", kid(key), bare.KeyID(), err)
	}
	if again := must(release.GenerateKey()); string(again) == string(doc) {
		t.Error("the same key twice")
	}
}

func TestKeyID(t *testing.T) {
	for name, key := range map[string]*ecdsa.PublicKey{
		"none": nil, "zero": {}, "P-384": &must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).PublicKey, "no point": {Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)},
	} {
		if id := release.KeyID(key); id != "" {
			t.Errorf("%s: %s", name, id)
		}
		if set, err := release.PublicJWKS(public(newKey()), key); err == nil || !strings.Contains(err.Error(), "keys[1] is not on P-256") || set != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPublicKeys(t *testing.T) {
	one, two := must(release.GenerateKey()), must(release.GenerateKey())
	a, b := public(must(release.ParseKey(one))), public(must(release.ParseKey(two)))
	jwks := must(release.PublicJWKS(a, b))
	if other := must(release.PublicJWKS(b, a)); string(other) != string(jwks) || strings.Contains(string(jwks), `"d"`) {
		t.Errorf("%s\n%s", jwks, other)
	}
	for name, c := range map[string]struct {
		doc  []byte
		want []*ecdsa.PublicKey
	}{
		"private JWK": {one, []*ecdsa.PublicKey{a}},
		"public JWK":  {marshal(half(two, nil)), []*ecdsa.PublicKey{b}},
		"JWKS":        {set(half(one, nil), half(two, nil)), []*ecdsa.PublicKey{a, b}},
		"private set": {set(members(one, nil), half(two, nil)), []*ecdsa.PublicKey{a, b}},
		"least":       {marshal(half(one, map[string]any{"alg": nil, "use": nil})), []*ecdsa.PublicKey{a}},
	} {
		got, err := release.PublicKeys(c.doc)
		if err != nil || !slices.EqualFunc(got, c.want, func(a, b *ecdsa.PublicKey) bool { return a.Equal(b) }) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct{ doc, want string }{
		"no keys":     {`{"keys":[]}`, "keys want at least one"},
		"nothing":     {"", "not strict JSON"},
		"not a key":   {"{}", "kty is not EC"},
		"a wrong one": {string(set(half(one, map[string]any{"kid": "a"}))), "keys[0].kid is not the key's thumbprint"},
	} {
		if got, err := release.PublicKeys([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := release.PublicJWKS(a, b, a); err == nil || !strings.Contains(err.Error(), release.KeyID(a)+" occurs twice") {
		t.Error(err)
	}
}

func TestParseTrust(t *testing.T) {
	a, b := newKey(), newKey()
	trust := trusting(2, a, b)
	want := []string{kid(a), kid(b)}
	slices.Sort(want)
	if trust.Threshold() != 2 || !slices.Equal(trust.KeyIDs(), want) {
		t.Errorf("%d of %q", trust.Threshold(), trust.KeyIDs())
	}
	if zero := (release.Trust{}); zero.Threshold() != 0 || len(zero.KeyIDs()) != 0 {
		t.Errorf("%d of %q", zero.Threshold(), zero.KeyIDs())
	}
}

func TestParseTrustRefuses(t *testing.T) {
	doc, second := must(release.GenerateKey()), must(release.GenerateKey())
	key, other := half(doc, nil), half(second, nil)
	rsa := map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "r"}
	with := func(change map[string]any) []byte { return set(other, half(doc, change)) }
	var many []any
	for range 65 {
		many = append(many, key)
	}
	var eight []any
	for range release.MaxSignatures + 1 {
		eight = append(eight, half(must(release.GenerateKey()), nil))
	}
	for name, c := range map[string]struct {
		doc       []byte
		threshold int
		want      []string
	}{
		"nothing":           {nil, 1, []string{"not strict JSON, at byte 0"}},
		"no JSON":           {[]byte("-----BEGIN"), 1, []string{"not strict JSON, at byte 1"}},
		"a list":            {[]byte("[]"), 1, []string{"not a JSON object"}},
		"null":              {[]byte("null"), 1, []string{"not a JSON object"}},
		"one key":           {marshal(key), 1, []string{"keys want a list of JWKs, and no other member"}},
		"keys no list":      {[]byte(`{"keys":{}}`), 1, []string{"keys want a list"}},
		"more members":      {[]byte(`{"keys":[],"more":1}`), 1, []string{"no other member"}},
		"keys twice":        {[]byte(`{"keys":[],"keys":[]}`), 1, []string{"a name occurs twice in an object"}},
		"trailing":          {append(set(key), '}'), 1, []string{"not strict JSON"}},
		"too large":         {append(set(key), []byte(strings.Repeat(" ", 1<<14))...), 1, []string{"more than 16384 bytes"}},
		"deep":              {[]byte(strings.Repeat("[", 12000)), 1, []string{"not strict JSON"}},
		"no keys":           {set(), 1, []string{"keys want at least one"}},
		"too many keys":     {set(many...), 1, []string{"keys are 65, at most 64"}},
		"key no object":     {set(key, "x"), 1, []string{"keys[1] is not an object"}},
		"threshold 0":       {set(key), 0, []string{"threshold is 0, want at least 1"}},
		"threshold below 0": {set(key), -1, []string{"threshold is -1"}},
		"threshold above":   {set(key, other), 3, []string{"threshold is 3, and there are 2 keys"}},
		"threshold, size":   {set(eight...), 8, []string{"threshold is 8, and only 7 signatures fit every statement"}},
		"private":           {set(members(doc, nil)), 1, []string{"keys[0].d is part of a private key"}},
		"symmetric":         {set(map[string]any{"kty": "oct", "k": "c2VjcmV0"}), 1, []string{"keys[0].k is part of a private key", "keys[0].kty is not EC"}},
		"RSA":               {set(rsa), 1, []string{"keys[0].kty is not EC", "keys[0].crv is not P-256", "keys[0] has a member that is none of kty, crv, x, y, kid, alg, use"}},
		"key_ops":           {with(map[string]any{"key_ops": []string{"verify"}}), 1, []string{"keys[1] has a member that is none of"}},
		"x5c":               {with(map[string]any{"x5c": []string{"MII"}}), 1, []string{"keys[1] has a member that is none of"}},
		"P-384":             {with(map[string]any{"crv": "P-384"}), 1, []string{"keys[1].crv is not P-256"}},
		"alg":               {with(map[string]any{"alg": "ES384"}), 1, []string{"keys[1].alg is not ES256"}},
		"alg none":          {with(map[string]any{"alg": "none"}), 1, []string{"keys[1].alg is not ES256"}},
		"use":               {with(map[string]any{"use": "enc"}), 1, []string{"keys[1].use is not sig"}},
		"kid absent":        {with(map[string]any{"kid": nil}), 1, []string{"keys[1].kid is not the key's thumbprint, " + key["kid"].(string)}},
		"kid a name":        {with(map[string]any{"kid": "alice"}), 1, []string{"keys[1].kid is not the key's thumbprint, " + key["kid"].(string)}},
		"kid of another":    {with(map[string]any{"kid": other["kid"]}), 1, []string{"keys[1].kid is not the key's thumbprint"}},
		"kid a number":      {with(map[string]any{"kid": 1}), 1, []string{"keys[1].kid is not the key's thumbprint"}},
		"one under two ids": {set(key, half(doc, map[string]any{"kid": "b"})), 2, []string{"keys[1].kid is not", "keys[1] is the key of keys[0]: one key is one signer"}},
		"one key twice":     {set(key, other, key), 2, []string{"keys[2] is the key of keys[0]: one key is one signer"}},
		"off the curve":     {with(map[string]any{"y": key["x"]}), 1, []string{"keys[1].x and y are no point of P-256"}},
		"the point 0":       {with(map[string]any{"x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}), 1, []string{"keys[1].x and y are no point of P-256"}},
		"x too long":        {with(map[string]any{"x": "AA" + key["x"].(string)}), 1, []string{"keys[1].x is not 32 bytes in canonical base64url"}},
		"y padded":          {with(map[string]any{"y": key["y"].(string) + "="}), 1, []string{"keys[1].y is not 32 bytes"}},
		"y a number":        {with(map[string]any{"y": 1}), 1, []string{"keys[1].y is not 32 bytes"}},
		"x absent":          {with(map[string]any{"x": nil}), 1, []string{"keys[1].x is not 32 bytes"}},
		"everything":        {set("x", members(doc, map[string]any{"kty": "RSA", "kid": "a", "use": "enc"})), 0, []string{"keys[0] is not", "keys[1].d is part", "keys[1].kty is", "keys[1].use is", "keys[1].kid is", "threshold is 0"}},
	} {
		trust, err := release.ParseTrust(c.doc, c.threshold)
		if err == nil || len(trust.KeyIDs()) != 0 || trust.Threshold() != 0 {
			t.Errorf("%s: taken, %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
		if d := members(doc, nil)["d"].(string); strings.Contains(err.Error(), d) {
			t.Errorf("%s: it quotes d: %v", name, err)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	doc := must(release.GenerateKey())
	d := members(doc, nil)["d"].(string)
	with := func(change map[string]any) string { return string(marshal(members(doc, change))) }
	for name, c := range map[string]struct{ doc, want string }{
		"public":        {string(marshal(half(doc, nil))), "private key: d is missing: a public key signs nothing"},
		"a set":         {string(set(members(doc, nil))), "kty is not EC"},
		"d of another":  {with(map[string]any{"d": members(must(release.GenerateKey()), nil)["d"]}), "d does not belong to x and y"},
		"d is 0":        {with(map[string]any{"d": strings.Repeat("A", 43)}), "d does not belong to x and y"},
		"d too long":    {with(map[string]any{"d": "AA" + d}), "d is not 32 bytes"},
		"d a list":      {with(map[string]any{"d": []string{d}}), "d is not 32 bytes"},
		"kid":           {with(map[string]any{"kid": "prod"}), "kid is not the key's thumbprint"},
		"kid is d":      {with(map[string]any{"kid": d}), "kid is not the key's thumbprint"},
		"alg is d":      {with(map[string]any{"alg": d}), "alg is not ES256"},
		"a name is d":   {with(map[string]any{d: 1}), "the key has a member that is none of"},
		"y is d":        {with(map[string]any{"y": d}), "x and y are no point"},
		"RSA":           {with(map[string]any{"kty": "RSA", "p": d}), "p is part of a private key"},
		"cut":           {string(doc[:len(doc)-1]), "not strict JSON"},
		"cut in d":      {`{"d":"` + d, "not strict JSON"},
		"bare":          {d, "not strict JSON"},
		"a name twice":  {`{"` + d + `":1,"` + d + `":1}`, "a name occurs twice"},
		"PEM":           {"-----BEGIN EC PRIVATE KEY-----\n" + d, "not strict JSON"},
		"a string":      {`"` + d + `"`, "not a JSON object"},
		"not UTF-8":     {with(map[string]any{"use": "\xff"})[:1] + "\"\xff\":1}", "not strict JSON"},
		"nothing at it": {"", "not strict JSON"},
	} {
		key, err := release.ParseKey([]byte(c.doc))
		if err == nil || !strings.Contains(err.Error(), c.want) || key != nil {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		} else if strings.Contains(err.Error(), d) || strings.Contains(err.Error(), d[:8]) {
			t.Errorf("%s: it quotes d: %v", name, err)
		}
	}
}

func TestWriteKeyAndLoadKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "release.jwk")
	doc := must(release.GenerateKey())
	if err := release.WriteKey(path, doc); err != nil {
		t.Fatal(err)
	}
	if info := must(os.Stat(path)); info.Mode() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	if content := must(os.ReadFile(path)); string(content) != string(doc)+"\n" {
		t.Errorf("%q", content)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			if key, err := release.LoadKey(p); err != nil || kid(key) != kid(must(release.ParseKey(doc))) {
				t.Errorf("%s with mode %o: %v", p, mode, err)
			}
		}
	}

	err := release.WriteKey(path, must(release.GenerateKey()))
	if want := fmt.Sprintf("write key %q: it exists, and a key is never overwritten", path); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if content := must(os.ReadFile(path)); string(content) != string(doc)+"\n" {
		t.Error("overwritten")
	}
	if err := release.WriteKey(link, doc); err == nil {
		t.Error("written through a link")
	}
	if err := release.WriteKey(filepath.Join(dir, "none", "key"), doc); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	absent := filepath.Join(dir, "absent")
	if err := release.WriteKey(absent, marshal(half(doc, nil))); err == nil || !strings.Contains(err.Error(), "d is missing") {
		t.Error(err)
	}
	if _, err := os.Stat(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was written")
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	doc := must(release.GenerateKey())
	file := func(name string, content []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := file("open", doc, 0o644)
	link, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.Symlink(open, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):     "no such file",
		dir:                              "not a regular file",
		pipe:                             "not a regular file",
		"/dev/null":                      "not a regular file",
		open:                             "its mode 0644 lets others at it: chmod 600 " + open,
		link:                             "its mode 0644 lets others at it: chmod 600 " + link,
		file("group", doc, 0o640):        "its mode 0640",
		file("group writes", doc, 0o620): "chmod 600 '" + filepath.Join(dir, "group writes") + "'",
		file("it's", doc, 0o601):         `chmod 600 '` + dir + `/it'\''s'`,
		file("empty", nil, 0o600):        "private key: not strict JSON",
		file("large", make([]byte, 1<<20), 0o600):      "private key: more than 16384 bytes",
		file("public", marshal(half(doc, nil)), 0o600): "d is missing",
	} {
		if key, err := release.LoadKey(path); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "load key") || key != nil {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
