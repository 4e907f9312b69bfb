package writer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/store"
	"gatehouse/internal/store/writer"
	"gatehouse/test/moto"
	"gatehouse/test/parameterstore"
)

// backend is one store that must do what every store does.
type backend struct {
	name    string
	env     []string
	address string
	secrets bool
	atomic  bool // of concurrent creators one wins
}

// open gives both ends of it. A writer of ssm: reads the process's own environment.
func (b backend) open(t *testing.T) (store.Reader, store.Writer) {
	t.Helper()
	setenv(t, b.env)
	r, err := store.OpenReader(b.address, b.env)
	if err != nil {
		t.Fatal(err)
	}
	w, err := writer.Open(t.Context(), b.address)
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// setenv makes these variables, and no others of AWS, the process's.
func setenv(t *testing.T, env []string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name) // t.Setenv has noted what it was
		}
	}
	for _, v := range append(slices.Clone(env), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true") {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

const root = "/gatehouse/test"

// everywhere runs a test on each store, empty.
func everywhere(t *testing.T, test func(*testing.T, backend)) {
	t.Run("file", func(t *testing.T) {
		test(t, backend{name: "file", address: "file:" + filepath.Join(t.TempDir(), "a", "store"), atomic: true})
	})
	t.Run("twin", func(t *testing.T) {
		s := parameterstore.Start(t)
		test(t, backend{name: "twin", env: s.Env(), address: "ssm:" + root, secrets: true, atomic: true})
	})
	t.Run("moto", func(t *testing.T) {
		s := startMoto(t)
		// Its threads check and write without a lock.
		test(t, backend{name: "moto", env: s.Env, address: "ssm:" + root, secrets: true})
	})
}

var motos struct {
	sync.Once
	server *moto.Server
}

// startMoto gives the one moto of this run, empty.
func startMoto(t *testing.T) *moto.Server {
	t.Helper()
	motos.Do(func() { motos.server = moto.Start(lasting{t}) })
	if motos.server == nil {
		t.Fatal("moto did not start")
	}
	motos.server.Reset(t)
	return motos.server
}

// lasting is a test whose server outlives it: TestMain ends it.
type lasting struct{ *testing.T }

var cleanups []func()

func (lasting) Cleanup(f func()) { cleanups = append(cleanups, f) }

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

// must fails the test where a step of it fails.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks an error's kind and that it says these words, and never the value.
func refused(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if err == nil || kind != nil && !errors.Is(err, kind) {
		t.Fatalf("error %v, want %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%v: has the value", err)
	}
}

const secret = "hush-hush"

func TestCreate(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		ctx := t.Context()
		before := time.Now().Add(-2 * time.Second)
		must(t, w.Create(ctx, "releases/7", "one"))
		must(t, w.Create(ctx, "releases/7/signatures/kid", "below a key that has a value"))
		must(t, w.Create(ctx, "releases/7", "one"))
		refused(t, w.Create(ctx, "releases/7", secret), store.ErrExists, b.address, "releases/7")
		p, err := r.Get(ctx, "releases/7")
		if err != nil || p.Key != "releases/7" || p.Value != "one" || p.Modified.Before(before) || p.Modified.After(time.Now().Add(2*time.Second)) {
			t.Errorf("%+v %v", p, err)
		}
		if p, err := r.Get(ctx, "releases/7/signatures/kid"); err != nil || p.Value != "below a key that has a value" {
			t.Errorf("%+v %v", p, err)
		}
		_, err = r.Get(ctx, "releases")
		refused(t, err, store.ErrNotFound, b.address, "releases")
	})
}

func TestValues(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		for name, value := range map[string]string{
			"longest":    strings.Repeat("x", 4096),
			"unicode":    strings.Repeat("\U0001F511é", 4096/6),
			"spaces":     "{ \"a\": [1,\n\t2] }",
			"characters": "<&>\"'\\/{}\u007f\u2028",
		} {
			must(t, w.Create(t.Context(), name, value))
			must(t, w.Create(t.Context(), name, value))
			if p, err := r.Get(t.Context(), name); err != nil || p.Value != value {
				t.Errorf("%s: %q %v", name, p.Value, err)
			}
			if all, err := r.GetAll(t.Context(), []string{name}); err != nil || all[name] != value {
				t.Errorf("%s: %q %v", name, all[name], err)
			}
		}
		for name, c := range map[string]struct{ value, why string }{
			"empty":      {"", "is empty"},
			"too long":   {secret + strings.Repeat("x", 4097-len(secret)), "4097 bytes"},
			"long bytes": {strings.Repeat("é", 2049), "4098 bytes"},
			"braces":     {secret + "{{x}}", "{{"},
			"no text":    {secret + "\xff", "no text"},
			"zero":       {secret + "\x00", "no text"},
		} {
			for op, err := range map[string]error{
				"create": w.Create(t.Context(), "bad", c.value), "write": w.Activate(t.Context(), c.value),
			} {
				refused(t, err, nil, b.address, op, c.why)
			}
			if b.secrets {
				refused(t, w.CreateSecret(t.Context(), "bad", c.value, ""), nil, c.why)
			}
			if found, err := w.List(t.Context(), ""); err != nil || len(found) != 4 {
				t.Fatalf("%s: %d keys, %v", name, len(found), err)
			}
		}
	})
}

func TestConcurrentCreators(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		const creators = 8
		var won atomic.Int32
		var winner atomic.Value
		var all sync.WaitGroup
		create := func(i int) {
			value := fmt.Sprint("value ", i)
			switch err := w.Create(t.Context(), "activations/1", value); {
			case err == nil:
				won.Add(1)
				winner.Store(value)
			case !errors.Is(err, store.ErrExists):
				t.Error(err)
			}
		}
		for i := range creators {
			if b.atomic {
				all.Go(func() { create(i) })
			} else {
				create(i)
			}
		}
		all.Wait()
		p, err := r.Get(t.Context(), "activations/1")
		if err != nil || won.Load() != 1 || p.Value != winner.Load() {
			t.Errorf("%d won, there is %q, the winner is %v: %v", won.Load(), p.Value, winner.Load(), err)
		}
	})
}

func TestConcurrentCreatorsOfTheSame(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		if !b.atomic {
			return
		}
		_, w := b.open(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := w.Create(t.Context(), "releases/1/signatures/x", "the same"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func TestActivate(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		_, err := r.Get(t.Context(), store.Active)
		refused(t, err, store.ErrNotFound, b.address, "active")
		for _, value := range []string{"first", "second", "second", "first"} {
			must(t, w.Activate(t.Context(), value))
			if p, err := r.Get(t.Context(), store.Active); err != nil || p.Value != value {
				t.Errorf("%+v %v", p, err)
			}
		}
	})
}

func TestGetAll(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		want := map[string]string{}
		for i := 1; i <= 25; i++ {
			key := fmt.Sprintf("bundles/d/%d", i)
			want[key] = fmt.Sprint("part ", i)
			must(t, w.Create(t.Context(), key, want[key]))
		}
		keys := slices.Sorted(maps.Keys(want))
		slices.Reverse(keys)
		for _, n := range []int{0, 1, 10, 11, 25} {
			got, err := r.GetAll(t.Context(), append(keys[:n:n], keys[:n]...))
			if err != nil || len(got) != n {
				t.Fatalf("%d: %v %v", n, got, err)
			}
			for _, key := range keys[:n] {
				if got[key] != want[key] {
					t.Errorf("%s: %q, want %q", key, got[key], want[key])
				}
			}
		}
		got, err := r.GetAll(t.Context(), append(slices.Clone(keys), "bundles/d/26", "bundles/other/1", "bundles/d"))
		refused(t, err, store.ErrNotFound, b.address+": get bundles/d, bundles/d/26, bundles/other/1: not found")
		if got != nil {
			t.Errorf("%v", got)
		}
		var many []string
		for i := range 601 {
			many = append(many, fmt.Sprint("bundles/d/", i))
		}
		_, err = r.GetAll(t.Context(), many)
		refused(t, err, nil, b.address, "more than 600")
		_, err = r.GetAll(t.Context(), many[26:126])
		refused(t, err, store.ErrNotFound, "bundles/d/100, ", " and 90 more: not found")
	})
}

func TestList(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		_, w := b.open(t)
		if found, err := w.List(t.Context(), ""); err != nil || len(found) != 0 {
			t.Errorf("%v %v", found, err)
		}
		var want []string
		put := func(key string) {
			want = append(want, key)
			must(t, w.Create(t.Context(), key, "value of "+key))
		}
		for i := range 33 {
			put(fmt.Sprint("releases/", i))
		}
		put("releases/7/signatures/a")
		put("releases/7-")
		put("releasesx/1")
		put("releases")
		must(t, w.Activate(t.Context(), "value of active"))
		slices.Sort(want)
		for prefix, n := range map[string]int{"": 38, "releases/": 35, "releases/7/": 1, "releases/7/signatures/": 1, "none/": 0, "releases/8/": 0} {
			found, err := w.List(t.Context(), prefix)
			if err != nil || len(found) != n || !slices.IsSortedFunc(found, func(a, b store.Parameter) int { return strings.Compare(a.Key, b.Key) }) {
				t.Errorf("%q: %d keys %v, %v", prefix, len(found), found, err)
			}
			for _, p := range found {
				if !strings.HasPrefix(p.Key, prefix) || p.Value != "value of "+p.Key || p.Modified.IsZero() || !slices.Contains(want, p.Key) && p.Key != store.Active {
					t.Errorf("%q: %+v", prefix, p)
				}
			}
		}
		for _, prefix := range []string{"releases", "/", "../", "a//"} {
			_, err := w.List(t.Context(), prefix)
			refused(t, err, nil, b.address, fmt.Sprintf("%q", prefix))
		}
	})
}

func TestDelete(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		must(t, w.Delete(t.Context(), []string{"bundles/none/1"}))
		var keys []string
		for i := range 23 {
			key := fmt.Sprint("bundles/d/", i)
			keys = append(keys, key)
			must(t, w.Create(t.Context(), key, "x"))
		}
		must(t, w.Create(t.Context(), "bundles/e/1", "x"))
		must(t, w.Activate(t.Context(), "x"))
		refused(t, w.Delete(t.Context(), append([]string{"active", "../x"}, keys...)), nil, b.address, "active: is never deleted", `"../x"`)
		must(t, w.Delete(t.Context(), append(keys, "bundles/d/0", "bundles/none/1")))
		must(t, w.Delete(t.Context(), keys))
		must(t, w.Delete(t.Context(), nil))
		found, err := w.List(t.Context(), "")
		if err != nil || len(found) != 2 {
			t.Errorf("%v %v", found, err)
		}
		must(t, w.Create(t.Context(), keys[0], "another"))
		if p, err := r.Get(t.Context(), keys[0]); err != nil || p.Value != "another" {
			t.Errorf("%v %v", p, err)
		}
	})
}

func TestSecrets(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		err := w.CreateSecret(t.Context(), "auth0/d/1", secret, "")
		if !b.secrets {
			refused(t, err, nil, b.address, "auth0/d/1", "has no secrets")
			return
		}
		must(t, err)
		must(t, w.CreateSecret(t.Context(), "auth0/d/2", secret, parameterstore.Key))
		must(t, w.CreateSecret(t.Context(), "auth0/d/1", secret, ""))
		must(t, w.Create(t.Context(), "auth0/d/1", secret)) // it holds this very value
		refused(t, w.CreateSecret(t.Context(), "auth0/d/1", "another", ""), store.ErrExists, "auth0/d/1")
		must(t, w.Create(t.Context(), "auth0/d/3", secret))
		refused(t, w.CreateSecret(t.Context(), "auth0/d/3", secret, ""), store.ErrExists, "no secret")
		if p, err := r.Get(t.Context(), "auth0/d/1"); err != nil || p.Value != secret {
			t.Errorf("%v %v", p, err)
		}
		if all, err := r.GetAll(t.Context(), []string{"auth0/d/1", "auth0/d/2"}); err != nil || all["auth0/d/1"] != secret || all["auth0/d/2"] != secret {
			t.Errorf("%v %v", all, err)
		}
		if all, err := w.List(t.Context(), "auth0/"); err != nil || len(all) != 3 || all[0].Value != secret {
			t.Errorf("%v %v", all, err)
		}
	})
}

func TestBadKeys(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		for _, key := range []string{
			"", "/", "/a", "a/", "a//b", "a b", "a/../b", "..", ".", "a\\b", "é", "a:1", "~a", "a.txt", "a.txt/b", "a/b/c/d/e", strings.Repeat("k", 129), "a\x00",
		} {
			quoted := fmt.Sprintf("%q", key)
			_, getErr := r.Get(t.Context(), key)
			_, allErr := r.GetAll(t.Context(), []string{"good", key})
			for _, err := range []error{
				getErr, allErr, w.Create(t.Context(), key, "x"), w.Delete(t.Context(), []string{key}),
			} {
				refused(t, err, nil, b.address, quoted)
			}
			if b.secrets {
				refused(t, w.CreateSecret(t.Context(), key, "x", ""), nil, b.address, quoted)
			}
		}
		longest := "a.b/C_-/" + strings.Repeat("k", 120)
		must(t, w.Create(t.Context(), longest, "x"))
		if p, err := r.Get(t.Context(), longest); err != nil || p.Value != "x" {
			t.Errorf("%v %v", p, err)
		}
	})
}

func TestEndedContext(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, w := b.open(t)
		must(t, w.Create(t.Context(), "a", "x"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, getErr := r.Get(ctx, "a")
		_, allErr := r.GetAll(ctx, []string{"a"})
		_, listErr := w.List(ctx, "")
		for _, err := range []error{getErr, allErr, listErr, w.Create(ctx, "b", "x"), w.Activate(ctx, "x"), w.Delete(ctx, []string{"a"})} {
			refused(t, err, context.Canceled, b.address)
		}
		if found, err := w.List(t.Context(), ""); err != nil || len(found) != 1 {
			t.Errorf("%v %v", found, err)
		}
	})
}

func TestRoot(t *testing.T) {
	everywhere(t, func(t *testing.T, b backend) {
		r, _ := b.open(t)
		if _, want, _ := strings.Cut(b.address, ":"); r.Root() != want {
			t.Errorf("%q, want %q", r.Root(), want)
		}
	})
}

// Another client reads what was written.
func TestCLIReadsBack(t *testing.T) {
	s := startMoto(t)
	b := backend{env: s.Env, address: "ssm:" + root}
	_, w := b.open(t)
	statement := `{"kind":"activation","root":"` + root + `","text":"é \u007b"}`
	must(t, w.Activate(t.Context(), statement))
	must(t, w.Create(t.Context(), "bundles/d/1", strings.Repeat("QUJD", 1024)))
	must(t, w.CreateSecret(t.Context(), "auth0/d/1", secret, ""))
	for key, want := range map[string]string{"active": statement, "bundles/d/1": strings.Repeat("QUJD", 1024), "auth0/d/1": secret} {
		got := s.CLI(t, "ssm", "get-parameter", "--with-decryption", "--name", root+"/"+key, "--query", "Parameter.Value", "--output", "text")
		if strings.TrimSuffix(got, "\n") != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	got := s.CLI(t, "ssm", "describe-parameters", "--query", "Parameters[].[Name,Type,Tier,DataType,Version]", "--output", "text")
	want := "/gatehouse/test/active\tString\tStandard\ttext\t1\n/gatehouse/test/auth0/d/1\tSecureString\tStandard\ttext\t1\n/gatehouse/test/bundles/d/1\tString\tStandard\ttext\t1\n"
	if lines := strings.SplitAfter(got, "\n"); !slices.Equal(slices.Sorted(slices.Values(lines)), slices.Sorted(slices.Values(strings.SplitAfter(want, "\n")))) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
