package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stand is a store that the command line made, and the environment that finds it.
type stand struct {
	world
	env             []string
	alice, bob, eve string // key files; eve is not trusted
	config          string
}

func newStand(t *testing.T) stand {
	t.Helper()
	w := newWorld(t)
	s := stand{world: w}
	doc, _ := strings.CutPrefix(w.env[0], "GATEHOUSE_AUTH0=")
	s.config = w.file("auth0.json", doc)
	for name, file := range map[string]*string{"alice": &s.alice, "bob": &s.bob, "eve": &s.eve} {
		*file = filepath.Join(w.dir, name+".jwk")
		s.run(exitDone, "keygen", *file)
	}
	trust := s.run(exitDone, "keygen", "--public", s.alice, s.bob)
	s.env = []string{"GATEHOUSE_STORE=file:" + filepath.Join(w.dir, "store"), "GATEHOUSE_APIS=123456789012/a1b2c3", "GATEHOUSE_TRUST=" + trust}
	return s
}

// run gives what is on standard output.
func (s stand) run(code int, args ...string) string {
	s.t.Helper()
	got := call(s.t, "", s.env, args...)
	if got.code != code {
		s.t.Fatalf("%q: exit %d: %s%s", args, got.code, got.out, got.err)
	}
	return got.out
}

// published has two releases, of which the first is active.
func (s stand) published() string {
	s.t.Helper()
	dir := s.policies()
	s.run(exitDone, "publish", dir, "--key", s.alice)
	s.run(exitDone, "activate", "1", "--auth0", s.config, "--key", s.alice)
	s.file("policies/authz/a/a.rego", "package authz.a\n\nallow contains \"b\" if input.ok\n")
	s.run(exitDone, "publish", dir, "--key", s.alice)
	return dir
}

func TestRefusals(t *testing.T) {
	s := newStand(t)
	dir := s.published()
	open := filepath.Join(s.dir, "open.jwk")
	content, err := os.ReadFile(s.alice)
	if err == nil {
		err = os.WriteFile(open, content, 0o640)
	}
	if err == nil {
		err = os.Chmod(open, 0o640)
	}
	if err != nil {
		t.Fatal(err)
	}
	broken := s.file("broken/authz/a/a.rego", "package authz.a\n\nallow contains\n")
	broken = filepath.Dir(filepath.Dir(filepath.Dir(broken)))
	s.file("broken/.manifest", `{"roots": ["authz"], "rego_version": 1}`)
	eve := strings.TrimSpace(s.run(exitDone, "keygen", "--public", s.eve))
	kid := eve[strings.Index(eve, `"kid":"`)+7:][:43]
	unreachable := []string{"GATEHOUSE_STORE=file:" + s.config} // a file is no directory

	without := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(s.env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
	}
	tests := []struct {
		name string
		env  []string // nil: the stand's; one that has only the store is added
		args []string
		code int
		want []string
	}{
		{"all that is missing", []string{}, []string{"publish", dir}, exitUsage, []string{
			"no store: --store or GATEHOUSE_STORE", "no account: --account, or GATEHOUSE_APIS with APIs of one account (it has 0)",
			"no trusted keys: --trust FILE or GATEHOUSE_TRUST; `gatehouse keygen` prints them", "no key to sign with: --key FILE or --key kms:KEY-ID"}},
		{"two accounts", append(without("GATEHOUSE_APIS"), "GATEHOUSE_APIS=123456789012/a,210987654321/b"), []string{"status"}, exitUsage, []string{"with APIs of one account (it has 2)"}},
		{"what is no API", append(without("GATEHOUSE_APIS"), "GATEHOUSE_APIS=123456789012/a,abc"), []string{"status"}, exitUsage, []string{`GATEHOUSE_APIS, of which "abc" is no account/api-id`}},
		{"a store that is not there", append(without("GATEHOUSE_STORE"), "GATEHOUSE_STORE=file:"+filepath.Join(s.dir, "none")), []string{"candidate", "--off", "--key", s.alice}, exitUsage, []string{"/none does not exist"}},
		{"no such kind of store", append(without("GATEHOUSE_STORE"), "GATEHOUSE_STORE=s3:x"), []string{"status"}, exitUsage, []string{`store "s3:x": is neither "ssm:/NAME" nor "file:DIR"`}},
		{"a threshold that is no number", append(s.env, "GATEHOUSE_THRESHOLD=two"), []string{"status"}, exitUsage, []string{`GATEHOUSE_THRESHOLD: "two" is no number`}},
		{"a threshold that nobody reaches", nil, []string{"status", "--threshold", "3"}, exitUsage, []string{"threshold is 3, and there are 2 keys"}},
		{"no stage and no account", nil, []string{"publish", dir, "--key", s.alice, "--stage", "a/b", "--account", "12"}, exitUsage, []string{
			`account is "12", want 12 digits`, `stage is "a/b", want 1 to 128 of`}},
		{"a file without an end", nil, []string{"status", "--trust", "/dev/zero"}, exitUsage, []string{"/dev/zero: more than 1048576 bytes"}},
		{"a directory of trust", nil, []string{"status", "--trust", s.dir}, exitUsage, []string{"gatehouse status: read " + s.dir + ": is a directory"}},
		{"no such file of trust", nil, []string{"status", "--trust", "none.json"}, exitUsage, []string{"open none.json: no such file"}},
		{"a store that cannot be read", append(without("GATEHOUSE_STORE"), unreachable...), []string{"status"}, exitUnknown, []string{"not a directory"}},

		{"a key that is not trusted", nil, []string{"publish", dir, "--key", s.eve}, exitUsage, []string{"key " + kid + " is not one of the trusted keys: its signature would count for nothing"}},
		{"a key that others can read", nil, []string{"publish", dir, "--key", open}, exitUsage, []string{"its mode 0640 lets others at it: chmod 600 "}},
		{"no such key", nil, []string{"sign", "1", "--key", "none.jwk"}, exitUsage, []string{"--key none.jwk: load key: open none.jwk: no such file"}},
		{"a key file that is there", nil, []string{"keygen", s.alice}, exitRefused, []string{"it exists, and a key is never overwritten: choose another name"}},
		{"no such key to make public", nil, []string{"keygen", "--public", "none"}, exitUsage, []string{"gatehouse keygen: open none: no such file"}},
		{"one key twice", nil, []string{"keygen", "--public", s.alice, s.alice}, exitRefused, []string{"occurs twice"}},

		{"no directory", nil, []string{"publish", "--key", s.alice}, exitUsage, []string{"which directory of policies?"}},
		{"no such directory", nil, []string{"publish", "none", "--key", s.alice}, exitUsage, []string{"directory of policies: stat none: no such file"}},
		{"no policies", nil, []string{"publish", broken, "--key", s.alice}, exitRefused, []string{"a.rego:4: rego_parse_error: unexpected eof token"}},

		{"no number", nil, []string{"sign", "--key", s.alice}, exitUsage, []string{"which release? Its number is wanted"}},
		{"no such release to sign", nil, []string{"sign", "9", "--key", s.alice}, exitRefused, []string{"no release 9 of account 123456789012 (--account, GATEHOUSE_APIS), root ", "/store (--store, GATEHOUSE_STORE) and stage dev (--stage, GATEHOUSE_STAGE)"}},
		{"no such release", nil, []string{"activate", "9", "--key", s.alice}, exitRefused, []string{"no release 9 of account 123456789012 (--account, GATEHOUSE_APIS), root ", "/store (--store, GATEHOUSE_STORE) and stage dev (--stage, GATEHOUSE_STAGE)"}},
		{"no number of a release", nil, []string{"activate", "-1", "--key", s.alice}, exitUsage, []string{"-1"}},
		{"of another stage", nil, []string{"activate", "2", "--key", s.alice, "--stage", "prod"}, exitRefused, []string{"no release 2 of account 123456789012 (--account, GATEHOUSE_APIS), root ", " and stage prod (--stage, GATEHOUSE_STAGE)"}},
		{"of another account", nil, []string{"activate", "2", "--key", s.alice, "--account", "210987654321"}, exitRefused, []string{"no release 2 of account 210987654321 "}},
		{"a signature that is missing", nil, []string{"activate", "2", "--key", s.bob, "--threshold", "2"}, exitRefused, []string{"release 2 has 1 of 2 signatures: `gatehouse sign 2 --key KEY` adds one"}},
		{"no such configuration", nil, []string{"activate", "2", "--key", s.alice, "--auth0", "none.json"}, exitUsage, []string{"open none.json: no such file"}},
		{"a configuration with faults", nil, []string{"activate", "2", "--key", s.alice, "--auth0", s.alice}, exitRefused, []string{"parse auth0 configuration: ", `version is "", want "v1"`}},
		{"two ends", nil, []string{"activate", "2", "--key", s.alice, "--for", "1h", "--not-after", "2030-01-01T00:00:00Z"}, exitUsage, []string{"--not-after and --for say the same thing twice"}},
		{"an end that is no time", nil, []string{"activate", "2", "--key", s.alice, "--not-after", "tomorrow"}, exitUsage, []string{`--not-after "tomorrow": want a time such as 2026-11-26T18:00:00Z`}},
		{"an end that is past", nil, []string{"activate", "2", "--key", s.alice, "--not-after", "2020-01-01T00:00:00Z"}, exitUsage, []string{"the end, 2020-01-01T00:00:00Z, is past"}},

		{"nothing before", nil, []string{"rollback", "--key", s.alice}, exitRefused, []string{"nothing else was active before activation 1: `gatehouse status` lists the releases, and `gatehouse rollback N` takes one"}},
		{"no such release to go back to", nil, []string{"rollback", "9", "--key", s.alice}, exitRefused, []string{"no release 9 of account 123456789012 (--account, GATEHOUSE_APIS), root ", "/store (--store, GATEHOUSE_STORE) and stage dev (--stage, GATEHOUSE_STAGE)"}},
		{"a candidate and none", nil, []string{"candidate", "2", "--off", "--key", s.alice}, exitUsage, []string{"want the number of a release, or --off"}},
		{"neither a candidate nor none", nil, []string{"candidate", "--key", s.alice}, exitUsage, []string{"want the number of a release, or --off"}},
		{"what is active as a candidate", nil, []string{"candidate", "1", "--key", s.alice}, exitRefused, []string{"release 1 is what is active"}},
		{"no such candidate", nil, []string{"candidate", "9", "--key", s.alice}, exitRefused, []string{"no release 9 of account 123456789012 (--account, GATEHOUSE_APIS), root ", "/store (--store, GATEHOUSE_STORE) and stage dev (--stage, GATEHOUSE_STAGE)"}},

		{"nothing to check", nil, []string{"auth0", "check"}, exitUsage, []string{"which file?"}},
		{"no such configuration to check", nil, []string{"auth0", "check", "none.json"}, exitUsage, []string{"open none.json: no such file"}},
		{"a configuration with faults to check", nil, []string{"auth0", "check", s.alice}, exitRefused, []string{`version is "", want "v1"`}},
		{"no such configuration to put", nil, []string{"auth0", "put", "none.json", "--key", s.alice}, exitUsage, []string{"open none.json: no such file"}},
		{"a secret in files", nil, []string{"auth0", "put", s.config, "--secure", "--key", s.alice}, exitUsage, []string{"--secure: a file: store has no secrets"}},
		{"a key for what is no secret", nil, []string{"auth0", "put", s.config, "--kms-key", "k", "--key", s.alice}, exitUsage, []string{"--kms-key goes with --secure"}},
		{"neither check nor put", nil, []string{"auth0"}, exitUsage, []string{"want check FILE or put FILE"}},

		{"keep nothing", nil, []string{"gc", "--keep", "0"}, exitUsage, []string{"--keep 0: want at least 1"}},
		{"nowhere to bake", nil, []string{"bake"}, exitUsage, []string{"which directory?"}},
		{"a directory that is no bake", nil, []string{"bake", dir}, exitRefused, []string{"which no bake wrote: choose another directory"}},
		{"drift", nil, []string{"status", "--policies", dir, "--json"}, exitRefused, []string{"is release 2 and not what answers"}},
	}
	before := s.snapshot()
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			env := c.env
			if env == nil {
				env = s.env
			}
			got := call(t, "", env, c.args...)
			for _, want := range c.want {
				if !strings.Contains(got.err, want) {
					t.Errorf("%q:\n%s\nlacks\n%s", c.args, got.err, want)
				}
			}
			if got.code != c.code {
				t.Errorf("%q: exit %d, want %d: %s", c.args, got.code, c.code, got.err)
			}
			if after := s.snapshot(); after != before {
				t.Errorf("%q wrote:\n%s\nbefore\n%s", c.args, after, before)
			}
		})
	}
	fresh := append(without("GATEHOUSE_STORE"), "GATEHOUSE_STORE=file:"+t.TempDir())
	if got := call(t, "", fresh, "auth0", "put", s.config, "--key", s.alice); got.code != exitRefused || !strings.Contains(got.err, "nothing is active yet: `gatehouse activate N --auth0 "+s.config+"` makes it so") {
		t.Errorf("%+v", got)
	}
	for _, verb := range [][]string{{"rollback"}, {"candidate", "--off"}} {
		if got := call(t, "", fresh, append(verb, "--key", s.alice)...); got.code != exitRefused || !strings.Contains(got.err, "nothing is active yet") {
			t.Errorf("%q: %+v", verb, got)
		}
	}
	if got := call(t, "", fresh, "bake", filepath.Join(t.TempDir(), "baked")); got.code != exitRefused || !strings.Contains(got.err, "nothing is active yet") {
		t.Errorf("%+v", got)
	}
	s.run(exitDone, "publish", dir, "--key", s.alice, "--store", "file:"+filepath.Join(s.dir, "second"))
	if got := call(t, "", s.env, "activate", "1", "--key", s.alice, "--store", "file:"+filepath.Join(s.dir, "second")); got.code != exitRefused ||
		!strings.Contains(got.err, "nothing is active yet, so there is no Auth0 configuration to go on with: --auth0 FILE gives it") {
		t.Errorf("%+v", got)
	}
}

// snapshot names what is in the store.
func (s stand) snapshot() string {
	s.t.Helper()
	var all []string
	for name, content := range (&shop{t: s.t, dir: filepath.Join(s.dir, "store")}).files() {
		all = append(all, name+" "+short12(content))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// What --flush asks of API Gateway, and what it says where that refuses. The activation is done in any case.
func TestFlush(t *testing.T) {
	var asked []string
	answer := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(r.URL.Path, "/restapis/http"):
			w.Header().Set("X-Amzn-ErrorType", "NotFoundException")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"message":"Invalid API identifier specified"}`))
		case answer == http.StatusForbidden:
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			w.WriteHeader(answer)
			_, _ = w.Write([]byte(`{"message":"not you"}`))
		default:
			w.WriteHeader(answer)
		}
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_API_GATEWAY": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	s := newStand(t)
	s.published()
	apis := func(list string) []string { return append(slices.Clone(s.env), "GATEHOUSE_APIS="+list) }
	got := call(t, "", apis("123456789012/rest,123456789012/http"), "activate", "2", "--flush", "--key", s.alice)
	if got.code != exitDone || !strings.Contains(got.out, "\nflushed   rest\n") || !slices.Equal(asked, []string{
		"DELETE /restapis/rest/stages/dev/cache/authorizers", "DELETE /restapis/http/stages/dev/cache/authorizers",
	}) {
		t.Errorf("%+v, asked %q", got, asked)
	}
	got = call(t, "", apis("123456789012/http"), "rollback", "--flush", "--key", s.alice)
	if got.code != exitUnknown || !strings.Contains(got.out, "active    activation 3: release 1, ") ||
		!strings.Contains(got.err, `the activation took effect; no cache was emptied: GATEHOUSE_APIS "123456789012/http" has no REST API with stage dev`) {
		t.Errorf("%+v", got)
	}
	answer = http.StatusForbidden
	got = call(t, "", apis("123456789012/rest"), "activate", "2", "--flush", "--json", "--key", s.alice)
	if got.code != exitUnknown || !strings.Contains(got.out, `"active": true`) || !strings.Contains(got.err, "the activation took effect; empty the authorizer cache of rest: ") || !strings.Contains(got.err, "not you") {
		t.Errorf("%+v", got)
	}
	asked = nil
	got = call(t, "", apis("123456789012/rest"), "activate", "1", "--flush", "--key", s.alice, "--threshold", "2")
	if got.code != exitRefused || asked != nil { // release 1 has one signature
		t.Errorf("%+v, asked %q", got, asked)
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "many")
	got = call(t, "", apis("123456789012/rest"), "rollback", "--flush", "--key", s.alice)
	if got.code != exitUnknown || !strings.Contains(got.err, "the activation took effect; no cache was emptied: ") {
		t.Errorf("%+v", got)
	}
}

// A report that nobody reads is said to be unread; what was written is written.
func TestNobodyReadsTheReport(t *testing.T) {
	s := newStand(t)
	dir := s.published()
	for _, args := range [][]string{
		{"keygen", filepath.Join(s.dir, "new.jwk")}, {"publish", dir, "--key", s.alice}, {"sign", "2", "--key", s.bob}, {"activate", "2", "--key", s.alice},
		{"candidate", "1", "--key", s.alice}, {"rollback", "--key", s.alice}, {"auth0", "check", s.config}, {"auth0", "put", s.config, "--key", s.alice},
		{"status"}, {"gc"}, {"bake", filepath.Join(s.dir, "baked")},
	} {
		for _, more := range [][]string{nil, {"--json"}} {
			if args[0] == "keygen" && more != nil {
				continue
			}
			var faults strings.Builder
			code := run(t.Context(), append(slices.Clone(args), more...), stdio{in: strings.NewReader(""), out: broken{}, err: &faults, env: s.env})
			if code != exitUnknown || !strings.Contains(faults.String(), "broken pipe") {
				t.Errorf("%q: exit %d: %s", args, code, faults.String())
			}
		}
	}
}
