package writer_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/store"
	"gatehouse/internal/store/writer"
	"gatehouse/test/parameterstore"
)

// twin is an empty twin and a writer to it.
func twin(t *testing.T) (*parameterstore.Server, store.Writer) {
	t.Helper()
	s := parameterstore.Start(t)
	_, w := backend{env: s.Env(), address: "ssm:" + root}.open(t)
	return s, w
}

func holds(t *testing.T, s *parameterstore.Server, key, want string) {
	t.Helper()
	if got, _ := s.Get(root + "/" + key); got != want {
		t.Errorf("%s holds %q, want %q", key, got, want)
	}
}

// Every request is exactly this: nothing but active is overwritten, the tier is never left to the account's default.
func TestWhatIsSent(t *testing.T) {
	var sent []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = append(sent, strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")+" "+string(body))
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.Close)
	_, w := backend{address: "ssm:" + root, env: []string{
		"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
	}}.open(t)
	must(t, w.Create(t.Context(), "a/1", "v"))
	must(t, w.CreateSecret(t.Context(), "a/1", "v", ""))
	must(t, w.CreateSecret(t.Context(), "a/1", "v", "alias/k"))
	must(t, w.Activate(t.Context(), "v"))
	_, err := w.List(t.Context(), "a/")
	must(t, err)
	must(t, w.Delete(t.Context(), []string{"a/2", "a/1", "a/2"}))
	for i, want := range []string{
		`PutParameter {"DataType":"text","Name":"/gatehouse/test/a/1","Overwrite":false,"Tier":"Standard","Type":"String","Value":"v"}`,
		`PutParameter {"DataType":"text","Name":"/gatehouse/test/a/1","Overwrite":false,"Tier":"Standard","Type":"SecureString","Value":"v"}`,
		`PutParameter {"DataType":"text","KeyId":"alias/k","Name":"/gatehouse/test/a/1","Overwrite":false,"Tier":"Standard","Type":"SecureString","Value":"v"}`,
		`PutParameter {"DataType":"text","Name":"/gatehouse/test/active","Overwrite":true,"Tier":"Standard","Type":"String","Value":"v"}`,
		`GetParametersByPath {"MaxResults":10,"Path":"/gatehouse/test/a","Recursive":true,"WithDecryption":true}`,
		`DeleteParameters {"Names":["/gatehouse/test/a/1","/gatehouse/test/a/2"]}`,
	} {
		if i >= len(sent) || sorted(t, sent[i]) != want {
			t.Errorf("request %d: got %q, want %s", i, sent, want)
		}
	}
}

// sorted spells a request with its members in order.
func sorted(t *testing.T, request string) string {
	t.Helper()
	operation, body, _ := strings.Cut(request, " ")
	var members map[string]any
	must(t, json.Unmarshal([]byte(body), &members))
	text, err := json.Marshal(members)
	must(t, err)
	return operation + " " + string(text)
}

func TestOpenFaults(t *testing.T) {
	complete := []string{"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}
	for name, c := range map[string]struct {
		env            []string
		address, fault string
	}{
		"address":   {complete, "ssm:x", `store "ssm:x"`},
		"region":    {complete[1:], "ssm:/x", "store ssm:/x: no AWS region"},
		"retries":   {append(complete, "AWS_MAX_ATTEMPTS=x"), "ssm:/x", "store ssm:/x: "},
		"directory": {nil, "file:", "names no directory"},
	} {
		setenv(t, c.env)
		if w, err := writer.Open(t.Context(), c.address); err == nil || w != nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, error %v, want %q", name, w, err, c.fault)
		}
	}
}

// The answer to a write gets lost, and the next attempt finds that it was done.
func TestLostWrites(t *testing.T) {
	s, w := twin(t)
	s.Fault(parameterstore.Faults{Lose: 1})
	must(t, w.Create(t.Context(), "releases/1", "one"))
	holds(t, s, "releases/1", "one")
	if calls := s.Calls(); calls["PutParameter"] != 2 || calls["GetParameter"] != 1 {
		t.Errorf("%v", calls)
	}
	s.Fault(parameterstore.Faults{Lose: 1})
	must(t, w.CreateSecret(t.Context(), "auth0/d/1", secret, parameterstore.Key))
	s.Fault(parameterstore.Faults{Lose: 1})
	must(t, w.Activate(t.Context(), "one"))
	holds(t, s, store.Active, "one")
	s.Fault(parameterstore.Faults{Lose: 1})
	must(t, w.Delete(t.Context(), []string{"releases/1", "none"}))
	holds(t, s, "releases/1", "")
	s.Fault(parameterstore.Faults{Truncate: 1})
	must(t, w.Create(t.Context(), "releases/2", "two"))
	s.Fault(parameterstore.Faults{Truncate: 1})
	if found, err := w.List(t.Context(), "releases/"); err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
}

// Of two that write the active key at once the second waits.
func TestTooManyUpdates(t *testing.T) {
	s, w := twin(t)
	s.Fault(parameterstore.Faults{Writing: 100 * time.Millisecond})
	var all sync.WaitGroup
	values := []string{"a", "b", "c"}
	for _, value := range values {
		all.Go(func() {
			if err := w.Activate(t.Context(), value); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, _ := s.Get(root + "/active"); !slices.Contains(values, got) {
		t.Errorf("%q", got)
	}
	if n := s.Calls()["PutParameter"]; n <= len(values) {
		t.Errorf("%d calls: nobody waited", n)
	}
}

func TestThrottledWrites(t *testing.T) {
	s, w := twin(t)
	s.Fault(parameterstore.Faults{Throttle: 2})
	must(t, w.Create(t.Context(), "releases/1", "one"))
	s.Fault(parameterstore.Faults{Throttle: parameterstore.All})
	for op, act := range map[string]func(context.Context) error{
		"create releases/2": func(ctx context.Context) error { return w.Create(ctx, "releases/2", secret) },
		"create auth0/d/1":  func(ctx context.Context) error { return w.CreateSecret(ctx, "auth0/d/1", secret, "") },
		"write active":      func(ctx context.Context) error { return w.Activate(ctx, secret) },
		"delete 1 keys":     func(ctx context.Context) error { return w.Delete(ctx, []string{"releases/1"}) },
		"list releases/":    func(ctx context.Context) error { _, err := w.List(ctx, "releases/"); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		refused(t, act(ctx), nil, "ssm:"+root, op, "ThrottlingException")
		cancel()
	}
}

// What is there but cannot be read is not taken for our own.
func TestUnreadableExisting(t *testing.T) {
	s, w := twin(t)
	must(t, w.Create(t.Context(), "releases/1", "one"))
	s.Fault(parameterstore.Faults{Only: "GetParameter", Throttle: parameterstore.All})
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	refused(t, w.Create(ctx, "releases/1", "one"), nil, "create releases/1", "it exists, but cannot be read", "ThrottlingException")
}

func TestUnknownKMSKey(t *testing.T) {
	s, w := twin(t)
	refused(t, w.CreateSecret(t.Context(), "auth0/d/1", secret, "alias/none"), nil, "auth0/d/1", "InvalidKeyId")
	holds(t, s, "auth0/d/1", "")
}

// answers is a service that answers the calls one after the other.
func answers(t *testing.T, texts ...string) store.Writer {
	t.Helper()
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if strings.Contains(texts[0], "__type") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, texts[0])
		if len(texts) > 1 {
			texts = texts[1:]
		}
	}))
	t.Cleanup(s.Close)
	_, w := backend{address: "ssm:" + root, env: []string{
		"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
	}}.open(t)
	return w
}

func TestHostileAnswers(t *testing.T) {
	const exists = `{"__type":"ParameterAlreadyExists"}`
	for name, c := range map[string]struct {
		texts []string
		fault string
	}{
		"a message with the value":     {[]string{`{"__type":"ValidationException","message":"Value '` + secret + `' at 'value'"}`}, "ValidationException: the message is left out"},
		"access":                       {[]string{`{"__type":"AccessDeniedException","message":"not authorized to perform ssm:PutParameter"}`}, "not authorized to perform"},
		"existing, and no parameter":   {[]string{exists, `{}`}, "the answer has no parameter"},
		"existing, and a list":         {[]string{exists, `{"Parameter":{"Name":"` + root + `/a","Type":"StringList","Value":"` + secret + `"}}`}, "StringList"},
		"existing, and not found":      {[]string{exists, `{"__type":"ParameterNotFound"}`}, "it exists, but cannot be read"},
		"existing, and of other value": {[]string{exists, `{"Parameter":{"Name":"` + root + `/a","Type":"String","Value":"x"}}`}, "exists with another value"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, answers(t, c.texts...).Create(t.Context(), "a", secret), nil, "create a", c.fault)
		})
	}
	const page = `{"Parameters":[{"Name":"` + root + `/releases/1","Type":"String","Value":"old","LastModifiedDate":1}],"NextToken":"t"}`
	for name, c := range map[string]struct {
		texts []string
		fault string
	}{
		"the same token":          {[]string{page}, "do not end"},
		"of another store":        {[]string{`{"Parameters":[{"Name":"/x/releases/1","Type":"String","Value":"v"}]}`}, "not of this store"},
		"of another folder":       {[]string{`{"Parameters":[{"Name":"` + root + `/auth0/1","Type":"String","Value":"v"}]}`}, "the answer has auth0/1"},
		"an error on a late page": {[]string{page, `{"__type":"InvalidNextToken"}`}, "InvalidNextToken"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := answers(t, c.texts...).List(t.Context(), "releases/")
			refused(t, err, nil, "list releases/", c.fault)
			if found != nil {
				t.Errorf("%v", found)
			}
		})
	}
	t.Run("a list among them", func(t *testing.T) {
		list := strings.Replace(page, `{"Parameters":[`, `{"Parameters":[{"Name":"`+root+`/releases/0","Type":"StringList","Value":"a,b"},`, 1)
		found, err := answers(t, strings.Replace(list, `,"NextToken":"t"`, "", 1)).List(t.Context(), "releases/")
		if err != nil || len(found) != 1 || found[0].Key != "releases/1" {
			t.Errorf("%v %v", found, err)
		}
	})
	t.Run("twice", func(t *testing.T) {
		last := strings.NewReplacer("old", "new", ":1}", ":2}", `,"NextToken":"t"`, "").Replace(page)
		for _, order := range [][]string{{page, last}, {strings.Replace(last, "}]}", `}],"NextToken":"t"}`, 1), strings.Replace(page, `,"NextToken":"t"`, "", 1)}} {
			found, err := answers(t, order...).List(t.Context(), "releases/")
			if err != nil || len(found) != 1 || found[0].Value != "new" {
				t.Errorf("%v %v", found, err)
			}
		}
	})
}
