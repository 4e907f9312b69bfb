package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/store"
	"gatehouse/test/parameterstore"
)

const address = "ssm:/gatehouse/test"

func open(t *testing.T, env []string) store.Reader {
	t.Helper()
	r, err := store.OpenReader(address, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want checks an error: its kind, its words, that the store is named and the value is not.
func want(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if err == nil || kind != nil && !errors.Is(err, kind) {
		t.Fatalf("error %v, want %v", err, kind)
	}
	for _, word := range append(words, address) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("%v: has the value", err)
	}
}

func TestOpenReaderFaults(t *testing.T) {
	complete := []string{"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=hush"}
	for name, c := range map[string]struct {
		env   []string
		fault string
	}{
		"nothing":             {nil, "store " + address + ": AWS_REGION: is not set\nAWS_ACCESS_KEY_ID: is not set\nAWS_SECRET_ACCESS_KEY: is not set"},
		"complete":            {complete, ""},
		"default region":      {append([]string{"AWS_DEFAULT_REGION=us-east-1"}, complete[1:]...), ""},
		"no region":           {append([]string{"AWS_REGION=/x", "AWS_DEFAULT_REGION=us-east-1"}, complete[1:]...), `AWS_REGION="/x": is no region`},
		"default is none":     {append([]string{"AWS_REGION=", "AWS_DEFAULT_REGION=a.b"}, complete[1:]...), `AWS_DEFAULT_REGION="a.b": is no region`},
		"endpoint":            {append(complete, "AWS_ENDPOINT_URL_SSM=https://vpce.example:8443/x"), ""},
		"no endpoint":         {append(complete, "AWS_ENDPOINT_URL=ftp://x"), `AWS_ENDPOINT_URL="ftp://x": is no http or https URL`},
		"no endpoint of SSM":  {append(complete, "AWS_ENDPOINT_URL=http://x", "AWS_ENDPOINT_URL_SSM=x"), `AWS_ENDPOINT_URL_SSM="x": is no http or https URL`},
		"no host":             {append(complete, "AWS_ENDPOINT_URL=http://"), "is no http or https URL"},
		"ignored endpoint":    {append(complete, "AWS_ENDPOINT_URL=ftp://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=TRUE"), ""},
		"no flags":            {append(complete, "AWS_USE_FIPS_ENDPOINT=1", "AWS_USE_DUALSTACK_ENDPOINT=yes", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=x"), "AWS_USE_FIPS_ENDPOINT=\"1\": is neither true nor false\nAWS_USE_DUALSTACK_ENDPOINT=\"yes\": is neither true nor false\nAWS_IGNORE_CONFIGURED_ENDPOINT_URLS=\"x\": is neither"},
		"FIPS":                {append(complete, "AWS_USE_FIPS_ENDPOINT=True"), ""},
		"dual stack":          {append(complete, "AWS_USE_DUALSTACK_ENDPOINT=true"), ""},
		"FIPS and endpoint":   {append(complete, "AWS_USE_FIPS_ENDPOINT=true", "AWS_ENDPOINT_URL=http://x"), "AWS_ENDPOINT_URL: goes with neither"},
		"stack and endpoint":  {append(complete, "AWS_USE_DUALSTACK_ENDPOINT=true", "AWS_ENDPOINT_URL_SSM=http://x"), "AWS_ENDPOINT_URL_SSM: goes with neither"},
		"FIPS, ignored":       {append(complete, "AWS_USE_FIPS_ENDPOINT=true", "AWS_ENDPOINT_URL=http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"), ""},
		"a variable as named": {append(complete, "NOTHING"), ""},
	} {
		r, err := store.OpenReader(address, c.env)
		if c.fault == "" {
			if err != nil || r.Root() != "/gatehouse/test" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if r != nil {
			t.Errorf("%s: opened", name)
		}
		want(t, err, nil, c.fault)
	}
}

// service answers as a function says, which also sees the request.
func service(t *testing.T, answer http.HandlerFunc) []string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return []string{"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=hush", "AWS_SESSION_TOKEN=token"}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, text)
	}
}

func TestWhatIsSent(t *testing.T) {
	var got *http.Request
	var body string
	env := service(t, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, body = r, string(text)
		says(`{"Parameter":{"Name":"/gatehouse/test/active","Type":"String","Value":"v","LastModifiedDate":1.773934305877E9}}`)(w, r)
	})
	// The environment's proxy is not asked: it would get no connection.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	p, err := open(t, env).Get(t.Context(), "active")
	if err != nil || p != (store.Parameter{Key: "active", Value: "v", Modified: time.UnixMilli(1773934305877).UTC()}) {
		t.Fatalf("%+v %v", p, err)
	}
	if body != `{"Name":"/gatehouse/test/active","WithDecryption":true}` || got.Header.Get("X-Amz-Target") != "AmazonSSM.GetParameter" {
		t.Errorf("%s %v", body, got.Header)
	}
	if auth := got.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKIA/") || !strings.Contains(auth, "/eu-central-1/ssm/aws4_request") || got.Header.Get("X-Amz-Security-Token") != "token" {
		t.Errorf("%v", got.Header)
	}
	if !got.Close {
		t.Error("the connection is kept")
	}
}

func TestHostileAnswers(t *testing.T) {
	const a, b = `{"Name":"/gatehouse/test/a","Type":"String","Value":"hush"}`, `{"Name":"/gatehouse/test/b","Type":"String","Value":"hush"}`
	for name, c := range map[string]struct{ answer, fault string }{
		"nothing":              {`{}`, "says nothing of a"},
		"one missing":          {`{"Parameters":[` + a + `]}`, "says nothing of b"},
		"twice":                {`{"Parameters":[` + a + `,` + a + `]}`, "has a twice"},
		"value and invalid":    {`{"Parameters":[` + a + `],"InvalidParameters":["/gatehouse/test/a"]}`, "has a twice"},
		"not asked":            {`{"Parameters":[` + a + `,` + b + `,{"Name":"/gatehouse/test/c","Type":"String","Value":"hush"}]}`, `"c", which was not asked for`},
		"invalid, not asked":   {`{"Parameters":[` + a + `,` + b + `],"InvalidParameters":["/other/x"]}`, `"/other/x"`},
		"of another store":     {`{"Parameters":[` + a + `,{"Name":"/gatehouse/other/b","Type":"String","Value":"hush"}]}`, `"/gatehouse/other/b", which is not of this store`},
		"no name":              {`{"Parameters":[{"Type":"String","Value":"hush"}]}`, `"", which is not of this store`},
		"a list":               {`{"Parameters":[` + a + `,{"Name":"/gatehouse/test/b","Type":"StringList","Value":"hush"}]}`, `b is a "StringList"`},
		"no value":             {`{"Parameters":[` + a + `,{"Name":"/gatehouse/test/b","Type":"String"}]}`, "no value of b"},
		"no JSON":              {`<hush>`, ""},
		"too much":             {`{"Parameters":[],"x":"` + strings.Repeat("hush", 300_000) + `"}`, "too large"},
		"something else":       {`[1]`, ""},
		"values of wrong type": {`{"Parameters":[{"Name":1}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, service(t, says(c.answer)))
			got, err := r.GetAll(t.Context(), []string{"a", "b"})
			want(t, err, nil, "get 2 keys", c.fault)
			if got != nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v %v", got, err)
			}
		})
	}
	for name, c := range map[string]struct{ answer, fault string }{
		"nothing":  {`{}`, "has no parameter"},
		"null":     {`{"Parameter":null}`, "has no parameter"},
		"another":  {`{"Parameter":` + b + `}`, `the answer is "b"`},
		"a list":   {`{"Parameter":{"Name":"/gatehouse/test/a","Type":"StringList","Value":"hush"}}`, `a is a "StringList"`},
		"no value": {`{"Parameter":{"Name":"/gatehouse/test/a","Type":"String"}}`, "no value of a"},
		"too much": {`{"Parameter":{"Name":"` + strings.Repeat("hush", 300_000) + `"}}`, "too large"},
	} {
		t.Run("get "+name, func(t *testing.T) {
			got, err := open(t, service(t, says(c.answer))).Get(t.Context(), "a")
			want(t, err, nil, "get a", c.fault)
			if got != (store.Parameter{}) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v %v", got, err)
			}
		})
	}
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		t.Run(fmt.Sprint("redirect ", status), func(t *testing.T) {
			var calls atomic.Int32
			env := service(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				http.Redirect(w, r, "/elsewhere", status)
			})
			_, err := open(t, env).Get(t.Context(), "a")
			want(t, err, nil, fmt.Sprint(status))
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
		})
	}
}

// twin is a twin with n parameters bundles/d/1 and so on, and active.
func twin(t *testing.T, n int) (*parameterstore.Server, store.Reader, []string) {
	t.Helper()
	s := parameterstore.Start(t)
	s.Set("/gatehouse/test/active", "active's value")
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprint("bundles/d/", i+1))
		s.Set("/gatehouse/test/"+keys[i], fmt.Sprint("part ", i+1))
	}
	return s, open(t, s.Env()), keys
}

func calls(t *testing.T, s *parameterstore.Server, operation string, n int) {
	t.Helper()
	if got := s.Calls(); len(got) != 1 || got[operation] != n {
		t.Errorf("calls %v, want %d of %s", got, n, operation)
	}
	s.Reset()
}

// good checks that the whole lot is read, and read right.
func good(ctx context.Context, t *testing.T, r store.Reader, keys []string) {
	t.Helper()
	got, err := r.GetAll(ctx, keys)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("%d values, %v", len(got), err)
	}
	for i, key := range keys {
		if got[key] != fmt.Sprint("part ", i+1) {
			t.Errorf("%s: %q", key, got[key])
		}
	}
}

func TestCalls(t *testing.T) {
	s, r, keys := twin(t, 25)
	for n, batches := range map[int]int{1: 1, 10: 1, 11: 2, 20: 2, 25: 3} {
		good(t.Context(), t, r, keys[:n])
		calls(t, s, "GetParameters", batches)
	}
	if _, err := r.Get(t.Context(), "active"); err != nil {
		t.Error(err)
	}
	calls(t, s, "GetParameter", 1)
	_, err := r.Get(t.Context(), "none")
	want(t, err, store.ErrNotFound, "get none")
	calls(t, s, "GetParameter", 1)
	_, err = r.GetAll(t.Context(), []string{"active", "none"})
	want(t, err, store.ErrNotFound, "get none")
	calls(t, s, "GetParameters", 1)
	if _, err := r.GetAll(t.Context(), nil); err != nil || len(s.Calls()) != 0 {
		t.Errorf("%v %v", err, s.Calls())
	}
}

// The calls of one reading are made at once: all together they take one delay.
func TestCallsAreMadeAtOnce(t *testing.T) {
	s, r, keys := twin(t, 50)
	s.Fault(parameterstore.Faults{Delay: time.Second})
	began := time.Now()
	good(t.Context(), t, r, keys)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFaultsThatPass(t *testing.T) {
	for name, faults := range map[string]parameterstore.Faults{
		"throttled":  {Throttle: 2},
		"lost":       {Lose: 2},
		"truncated":  {Truncate: 2},
		"no order":   {Reorder: true},
		"a bit late": {Delay: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r, keys := twin(t, 10)
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			s.Fault(faults)
			good(ctx, t, r, keys)
			s.Fault(faults)
			if p, err := r.Get(ctx, "active"); err != nil || p.Value != "active's value" {
				t.Errorf("%+v %v", p, err)
			}
		})
	}
}

func TestFaultsThatStay(t *testing.T) {
	for name, c := range map[string]struct {
		faults   parameterstore.Faults
		attempts int
		why      string
	}{
		"throttled": {parameterstore.Faults{Throttle: parameterstore.All}, 3, "ThrottlingException"},
		"lost":      {parameterstore.Faults{Lose: parameterstore.All}, 3, "EOF"},
		"truncated": {parameterstore.Faults{Truncate: parameterstore.All}, 3, "unexpected EOF"},
		"down":      {parameterstore.Faults{Down: true}, 0, "EOF"},
		"hung":      {parameterstore.Faults{Delay: time.Minute}, 3, "Client.Timeout exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r, keys := twin(t, 3)
			s.Fault(c.faults)
			began := time.Now()
			_, err := r.Get(t.Context(), "active")
			want(t, err, nil, "get active", c.why)
			if got := s.Calls()["GetParameter"]; got != c.attempts {
				t.Errorf("%d attempts, want %d", got, c.attempts)
			}
			if took := time.Since(began); took > (3*2+2+1)*time.Second {
				t.Errorf("took %v", took)
			}
			if name != "hung" { // which takes six seconds
				_, err = r.GetAll(t.Context(), keys)
				want(t, err, nil, "get 3 keys", c.why)
			}
			s.Fault(parameterstore.Faults{})
			good(t.Context(), t, r, keys)
		})
	}
}

// The caller's deadline ends all, and the error says what the matter was before.
func TestDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		faults parameterstore.Faults
		why    string
	}{
		"delay":     {parameterstore.Faults{Delay: time.Minute}, ""},
		"throttled": {parameterstore.Faults{Throttle: parameterstore.All}, "ThrottlingException"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r, keys := twin(t, 25)
			s.Fault(c.faults)
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
				began := time.Now()
				_, getErr := r.Get(ctx, "active")
				_, allErr := r.GetAll(ctx, keys)
				cancel()
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
				want(t, getErr, nil, c.why)
				if errors.Is(getErr, store.ErrNotFound) || allErr == nil {
					t.Errorf("%v %v", getErr, allErr)
				}
			}
		})
	}
}

// One batch of three fails: the others' answers do not come alone.
func TestOneBatchFails(t *testing.T) {
	s, r, keys := twin(t, 25)
	s.Fault(parameterstore.Faults{Throttle: parameterstore.All, Rate: 0, Only: "GetParameters"})
	if got, err := r.GetAll(t.Context(), keys); err == nil || got != nil {
		t.Errorf("%v %v", got, err)
	}
	if _, err := r.Get(t.Context(), "active"); err != nil {
		t.Error(err)
	}
}

func TestRefusedConnection(t *testing.T) {
	s, r, keys := twin(t, 1)
	s.Stop()
	_, err := r.GetAll(t.Context(), keys)
	want(t, err, nil, "connection refused")
	s.Restart(t)
	good(t.Context(), t, r, keys)
}

// What stands in the store may be no String.
func TestSecureStringIsDecrypted(t *testing.T) {
	s, r, _ := twin(t, 0)
	s.SetSecret("/gatehouse/test/auth0/d/1", "hush")
	if p, err := r.Get(t.Context(), "auth0/d/1"); err != nil || p.Value != "hush" {
		t.Errorf("%v %v", p, err)
	}
	if all, err := r.GetAll(t.Context(), []string{"auth0/d/1"}); err != nil || all["auth0/d/1"] != "hush" {
		t.Errorf("%v %v", all, err)
	}
}
