package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/release"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// shelf is a store as it was read: each release a day older than the next, each activation an hour.
type shelf struct{ book }

func newShelf(threshold, releases int) *shelf {
	s := &shelf{book{threshold: threshold, releases: map[int64]*statement[release.Release]{}, activations: map[int64]*statement[release.Activation]{}}}
	for n := int64(1); n <= int64(releases); n++ {
		s.releases[n] = &statement[release.Release]{
			says:    release.Release{Number: n, Bundle: bundleOf(n), Engine: "opa v1"},
			signers: []string{"key-a", "key-b"}[:threshold], written: noon.Add(time.Duration(n-int64(releases)-1) * 24 * time.Hour),
		}
	}
	return s
}

// bundleOf is the bundle of a release.
func bundleOf(n int64) release.Content {
	return release.Content{Digest: strings.Repeat(fmt.Sprintf("%04d", n), 16), Parts: 1}
}

// claim adds an activation of a release.
func (s *shelf) claim(n, of int64, signers ...string) *statement[release.Activation] {
	auth0 := release.Content{Digest: strings.Repeat("a", 64), Parts: 1}
	s.activations[n] = &statement[release.Activation]{
		says:    release.Activation{Sequence: n, Release: of, Bundle: bundleOf(of), Auth0: auth0},
		signers: signers, written: noon.Add(time.Duration(n-30) * time.Hour),
	}
	return s.activations[n]
}

// until makes it break-glass.
func until(s *statement[release.Activation], end time.Time, fallback int64) *statement[release.Activation] {
	s.says.NotAfter, s.says.Fallback = &end, &release.Target{Release: fallback, Bundle: bundleOf(fallback)}
	return s
}

// statusLog is the log of three functions. REV1 stands for the digest of the bundle of release 1.
const statusLog = `
{"decision_id":"1","path":"gatehouse/decision","timestamp":"2026-11-26T11:59:59Z","labels":{"function":"orders"},"bundles":{"activation":{"revision":"2"},"gatehouse":{"revision":"REV2"}}}
{"decision_id":"2","path":"gatehouse/decision","timestamp":"2026-11-26T11:00:00Z","labels":{"function":"orders"},"bundles":{"activation":{"revision":"2"},"gatehouse":{"revision":"REV2"}}}
{"decision_id":"3","path":"gatehouse/decision","timestamp":"2026-11-26T11:30:00Z","labels":{"function":"profile"},"bundles":{"activation":{"revision":"1"},"gatehouse":{"revision":"REV1"}}}
{"decision_id":"4","path":"gatehouse/decision","timestamp":"2026-11-25T10:30:00Z","labels":{"function":"\u001b[31mred"},"bundles":{}}
{"labels":{"function":"profile"},"bundles":{"gatehouse":{"name":"gatehouse","active_revision":"REV1","sequence":1,"last_request":"2026-11-26T11:40:00Z","code":"content_missing","message":"bundles/2\u001b: not found"}},"_aws":{}}
{"labels":{"function":"orders"},"bundles":{"gatehouse":{"name":"gatehouse","active_revision":"REV2","sequence":2,"last_request":"2026-11-26T11:00:00Z"}},"_aws":{}}
`

// The report for people, at a fixed time: testdata/status/NAME.txt.
func TestStatusText(t *testing.T) {
	scope := release.Scope{Account: "123456789012", Root: "/gatehouse/prod", Stage: "prod"}
	for name, tt := range map[string]struct {
		shelf  func() *shelf
		policy string // the digest that a directory has
		log    bool
	}{
		"empty": {shelf: func() *shelf { return newShelf(1, 0) }},
		"candidate": {shelf: func() *shelf {
			s := newShelf(1, 3)
			s.claim(1, 1, "key-a")
			s.active = s.claim(2, 2, "key-a")
			s.active.says.Candidate = &release.Target{Release: 3, Bundle: bundleOf(3)}
			return s
		}, policy: bundleOf(2).Digest},
		"break-glass": {shelf: func() *shelf {
			s := newShelf(2, 3)
			s.releases[3].signers = s.releases[3].signers[:1]
			until(s.claim(1, 1, "key-a", "key-b"), noon.Add(-24*time.Hour), 2)
			s.claim(2, 2, "key-a")
			s.active = until(s.claim(3, 2, "key-a", "key-b"), noon.Add(90*time.Minute), 1)
			s.claim(4, 1, "key-b")
			s.claim(5, 1)
			return s
		}},
		"over": {shelf: func() *shelf {
			s := newShelf(1, 2)
			s.active = until(s.claim(7, 2, "key-a"), noon, 1)
			delete(s.activations, 7)
			return s
		}, policy: bundleOf(2).Digest},
		"put-back": {shelf: func() *shelf {
			s := newShelf(1, 2)
			s.active = s.claim(1, 1, "key-a")
			s.claim(2, 2, "key-a")
			return s
		}},
		"refused": {shelf: func() *shelf {
			s := newShelf(1, 2)
			s.refused = &release.Error{Code: "malformed", Err: os.ErrInvalid}
			s.claim(1, 1, "key-a")
			s.claim(2, 1)
			return s
		}},
		"long": {shelf: func() *shelf {
			s := newShelf(1, 23)
			for n := int64(1); n <= 22; n++ {
				s.active = s.claim(n, n, "key-a")
			}
			return s
		}, policy: strings.Repeat("f", 64)},
		"functions": {shelf: func() *shelf {
			s := newShelf(1, 2)
			s.claim(1, 1, "key-a")
			s.active = s.claim(2, 2, "key-a")
			return s
		}, log: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.shelf()
			r := (&ledger{scope: scope}).status(&s.book, noon)
			if tt.policy != "" {
				r.drifted("policies", tt.policy, &s.book)
			}
			seen := map[functionKey]*functionStatus{}
			if tt.log {
				file := filepath.Join(t.TempDir(), "log")
				text := strings.NewReplacer("REV1", bundleOf(1).Digest, "REV2", bundleOf(2).Digest).Replace(statusLog)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := readLog(file, seen); err != nil {
					t.Fatal(err)
				}
			}
			r.functions(seen, &s.book)
			r.shorten()
			var got strings.Builder
			if err := r.print(&got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "status", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", &got, want)
			}
			if err := r.print(broken{}); err == nil {
				t.Error("nobody reads it, and that is no error")
			}
		})
	}
}

// What strangers write above the active one does not hide what somebody signed, and what stands in the place of its claim
// is not taken for it.
func TestStatusAmongStrangers(t *testing.T) {
	s := newShelf(1, 2)
	active := s.claim(1, 1, "key-a")
	s.active = active
	s.claim(1, 2) // instead
	for n := int64(2); n < 40; n++ {
		s.claim(n, 1)
	}
	s.threshold = 2
	s.claim(40, 2, "key-b")
	r := (&ledger{}).status(&s.book, noon)
	r.shorten()
	if len(r.Pending) != shownLast || r.Pending[0].Says.Sequence != 40 || r.Pending[1].Says.Sequence != 2 {
		t.Errorf("%+v", r.Pending)
	}
	if len(r.History) != 1 || r.History[0].Says.Release != active.says.Release {
		t.Errorf("%+v", r.History)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m1s", time.Hour + 59*time.Second: "1h",
		90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 49*time.Hour + time.Minute: "2d1h", -90 * time.Second: "-1m30s",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// The issuer of this machine, asked as a tenant would be.
func TestAuth0CheckOfALiveIssuer(t *testing.T) {
	i, w := liveIssuer(t)
	name := w.file("auth0.json", `{"version":"v1","issuers":[{"issuer":"`+i+`","audiences":["https://api.example.com"]}]}`)
	if got := call(t, "", nil, "auth0", "check", name); got.code != exitDone || !strings.Contains(got.out, "issuer    "+i+"  ok\n") {
		t.Errorf("%+v", got)
	}
	wrong := w.file("wrong.json", `{"version":"v1","issuers":[{"issuer":"`+i+`","audiences":["https://api.example.com"],"algorithms":["ES384"]}]}`)
	if got := call(t, "", nil, "auth0", "check", wrong); got.code != exitRefused || !strings.Contains(got.out, "issuer    "+i+"  unusable\n") ||
		!strings.Contains(got.err, "unusable keys: jwks from "+i) {
		t.Errorf("%+v", got)
	}
	stale := w.file("stale.json", strings.Replace(strings.TrimPrefix(w.env[0], "GATEHOUSE_AUTH0="), `https://gatehouse.eu.auth0.com/`, i, 1))
	content, err := os.ReadFile(stale)
	if err != nil {
		t.Fatal(err)
	}
	stale = w.file("stale.json", strings.Replace(string(content), `"pinned":true`, `"pinned":false`, 1))
	if got := call(t, "", nil, "auth0", "check", stale); got.code != exitDone || !strings.Contains(got.out, " of the configuration is served no more\n") {
		t.Errorf("%+v", got)
	}
}

// A report that nobody reads is no success.
func TestNobodyReadsTheStore(t *testing.T) {
	s := newShop(t, 1)
	s.open()
	jwks, err := release.PublicJWKS(publicOf(t, s.keys)...)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"GATEHOUSE_STORE=" + s.address, "GATEHOUSE_TRUST=" + string(jwks), "GATEHOUSE_APIS=123456789012/a"}
	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"gc"}, {"gc", "--json"}, {"bake", filepath.Join(t.TempDir(), "baked")},
		{"bake", "--json", filepath.Join(t.TempDir(), "baked")}, {"keygen", filepath.Join(t.TempDir(), "key")},
	} {
		var faults strings.Builder
		if code := run(t.Context(), args, stdio{in: strings.NewReader(""), out: broken{}, err: &faults, env: env}); code != exitUnknown || !strings.Contains(faults.String(), "broken pipe") {
			t.Errorf("%q: exit %d: %s", args, code, faults.String())
		}
	}
	// A store that cannot be read is no answer either.
	for _, args := range [][]string{{"status"}, {"gc"}, {"bake", filepath.Join(t.TempDir(), "baked")}} {
		at := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(at, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := call(t, "", append(slices.Clone(env), "GATEHOUSE_STORE=file:"+at), args...); got.code != exitUnknown || got.out != "" || got.err == "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// A bake that fails leaves the earlier one as it was, and nothing beside it.
func TestBakeIsWholeOrNotAtAll(t *testing.T) {
	s := newShop(t, 1)
	s.open()
	l := s.ledger(nil)
	dir := filepath.Join(t.TempDir(), "dist", "baked")
	first, err := l.bake(t.Context(), dir)
	if err != nil || first.Files != 3 {
		t.Fatalf("%+v, %v", first, err)
	}
	list := func() []string {
		var names []string
		err := filepath.WalkDir(filepath.Dir(dir), func(name string, _ os.DirEntry, err error) error {
			names = append(names, name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	before := list()
	if err := write(t.Context(), dir, map[string]string{"..": "x"}, "x"); err == nil {
		t.Error("a key that is none is written")
	}
	if err := write(t.Context(), dir, map[string]string{"auth0/x/1": "x"}, ""); err == nil {
		t.Error("an active that is none is written")
	}
	if got := list(); !slices.Equal(got, before) {
		t.Errorf("%q, was %q", got, before)
	}
	if err := write(t.Context(), filepath.Join(dir, "active.txt", "x"), nil, "x"); err == nil {
		t.Error("a file in the way is let through")
	}
}
