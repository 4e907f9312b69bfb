package test

import (
	"bufio"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
	"gatehouse/policies"
	"gatehouse/test/parameterstore"
)

// Where the statements of these tests count.
const (
	storeAPI   = "123456789012/a1b2c3"
	storeRoot  = "/gatehouse/prod"
	storeStage = "prod"
)

// storeRefresh is GATEHOUSE_REFRESH of the processes here, but where a test says otherwise.
const storeRefresh = 150 * time.Millisecond

// soon is how long anything may take that must come about.
const soon = 20 * time.Second

// storeWorld is a parameter store, whoever signs for it, and what the answers of its policies are.
type storeWorld struct {
	t      *testing.T
	ssm    *parameterstore.Server
	keys   []release.Signer // trusted
	tenant tenant
	bearer string // of the customer
	auth0  release.Content

	mu    sync.Mutex
	known map[string]grants // by revision
	stand map[string]bool   // "sequence revision auth0": what may decide together
}

// atOnce runs subtests three at a time: they wait more than they compute, and t.Parallel counts processors.
func atOnce[T any](t *testing.T, tests []T, name func(T) string, run func(*testing.T, T)) {
	t.Helper()
	left := make(chan T)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			for tt := range left {
				t.Run(name(tt), func(t *testing.T) { run(t, tt) })
			}
		})
	}
	for _, tt := range tests {
		left <- tt
	}
	close(left)
	running.Wait()
}

// grants are the paths that a policy grants the customer, by its name.
type grants struct {
	name string
	open map[string]bool
}

// The two requests that tell the policies apart: each of v1 and v2 allows one of them. The others allow neither, or both.
const (
	orders  = "GET/orders"
	users   = "GET/admin/users"
	profile = "GET/profile" // and this one all of them
)

var customerMay = map[string][]string{
	"v1":   {"get:profile", "read:orders", "write:orders"},
	"v2":   {"get:profile", "admin:users", "write:orders"},
	"both": {"get:profile", "read:orders", "admin:users"},
	"none": {"get:profile"},
}

func newStoreWorld(t *testing.T, signers int) *storeWorld {
	t.Helper()
	w := &storeWorld{t: t, ssm: parameterstore.Start(t), tenant: newTenant(t), known: map[string]grants{}, stand: map[string]bool{}}
	for range signers {
		w.keys = append(w.keys, newSigner(t))
	}
	w.bearer = w.tenant.token(t, "customer")
	w.auth0 = w.put("auth0", bundle.Sum([]byte(w.tenant.auth0)), []byte(w.tenant.auth0))
	return w
}

func newSigner(t testing.TB) release.Signer {
	t.Helper()
	jwk, err := release.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := release.ParseKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *storeWorld) jwks() string {
	w.t.Helper()
	var public []*ecdsa.PublicKey
	for _, key := range w.keys {
		public = append(public, key.Public().(*ecdsa.PublicKey))
	}
	jwks, err := release.PublicJWKS(public...)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(jwks)
}

// storePolicy is the repository's policies, but for what a name says that the customer may do, and for some files: an empty
// one goes.
func storePolicy(t testing.TB, name string, files map[string]string) *bundle.Bundle {
	t.Helper()
	tree := fstest.MapFS{}
	err := fs.WalkDir(policies.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(policies.FS, path)
		tree[path] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	roles, err := json.Marshal(map[string][]string{"customer": customerMay[name]})
	if err != nil {
		t.Fatal(err)
	}
	delete(tree, "attributes/roles/data.yaml")
	tree["attributes/roles/data.json"] = &fstest.MapFile{Data: roles}
	for path, content := range files {
		if tree[path] = (&fstest.MapFile{Data: []byte(content)}); content == "" {
			delete(tree, path)
		}
	}
	b, err := bundle.Read(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// put stores content, and names it.
func (w *storeWorld) put(room, digest string, content []byte) release.Content {
	parts := bundle.Split(content)
	for i, part := range parts {
		w.ssm.Set(storeRoot+"/"+room+"/"+digest+"/"+strconv.Itoa(i+1), part)
	}
	return release.Content{Digest: digest, Parts: len(parts)}
}

// policy stores a variant. What it answers is checked from then on.
func (w *storeWorld) policy(name string, files map[string]string) release.Content {
	w.t.Helper()
	b := storePolicy(w.t, name, files)
	archive, err := b.Archive()
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.known[b.Digest] = grants{name, map[string]bool{
		orders:  slices.Contains(customerMay[name], "read:orders"),
		users:   slices.Contains(customerMay[name], "admin:users"),
		profile: true,
	}}
	w.mu.Unlock()
	return w.put("bundles", b.Digest, archive)
}

// statement is the activation of a policy, changed.
func (w *storeWorld) statement(sequence int64, policy release.Content, change ...func(*release.Activation)) release.Activation {
	account, _, _ := strings.Cut(storeAPI, "/")
	a := release.Activation{
		Kind: release.KindActivation, Version: release.Version, Scope: release.Scope{Account: account, Root: storeRoot, Stage: storeStage},
		Sequence: sequence, Release: sequence, Bundle: policy, Auth0: w.auth0,
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

// sign gives a statement with signatures, and takes note of what may decide by it.
func (w *storeWorld) sign(statement any, kind string, keys ...release.Signer) string {
	w.t.Helper()
	payload, err := release.Payload(statement)
	if err != nil {
		w.t.Fatal(err)
	}
	var sigs []release.Signature
	for _, key := range keys {
		s, err := release.Sign(kind, payload, key)
		if err != nil {
			w.t.Fatal(err)
		}
		sigs = append(sigs, s)
	}
	doc, err := release.Assemble(payload, sigs)
	if err != nil {
		w.t.Fatal(err)
	}
	if a, ok := statement.(release.Activation); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stand[standing(a.Sequence, a.Bundle, a.Auth0)] = true
		if a.Fallback != nil {
			w.stand[standing(a.Sequence, a.Fallback.Bundle, a.Auth0)] = true
		}
	}
	return string(doc)
}

func standing(sequence int64, policy, auth0 release.Content) string {
	return fmt.Sprint(sequence, " ", policy.Digest, " ", auth0.Digest)
}

func (w *storeWorld) signed(a release.Activation) string {
	w.t.Helper()
	return w.sign(a, release.KindActivation, w.keys...)
}

// activate writes the one key, whatever it is.
func (w *storeWorld) activate(document string) { w.ssm.Set(storeRoot+"/"+store.Active, document) }

// active makes a variant active.
func (w *storeWorld) active(sequence int64, name string, change ...func(*release.Activation)) {
	w.t.Helper()
	w.activate(w.signed(w.statement(sequence, w.policy(name, nil), change...)))
}

// instance is a bootstrap, and the Lambda Runtime API that it is served by. One goroutine asks at a time.
type instance struct {
	w       *storeWorld
	cmd     *exec.Cmd
	work    chan string
	replies chan outcome
	ended   chan struct{}
	asked   int

	mu          sync.Mutex
	records     []authorizer.Record
	statuses    []follow.Status
	differences []authorizer.Difference
	log         []string // all that was written, to either
}

// outcome is what came of one invocation: a document, or the message of an error.
type outcome struct {
	document, failure string
}

// env are the settings of a process that follows the store.
func (w *storeWorld) env() map[string]string {
	env := map[string]string{
		"GATEHOUSE_STORE": "ssm:" + storeRoot, "GATEHOUSE_STAGE": storeStage, "GATEHOUSE_TRUST": w.jwks(),
		"GATEHOUSE_THRESHOLD": strconv.Itoa(len(w.keys)), "GATEHOUSE_APIS": storeAPI,
		"GATEHOUSE_REFRESH": storeRefresh.String(), "GATEHOUSE_MAX_STALE": "1m", "LAMBDA_TASK_ROOT": w.t.TempDir(),
	}
	for _, entry := range w.ssm.Env() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

// start runs a process with these settings beside those of env; it is killed when the test ends.
func (w *storeWorld) start(settings ...string) *instance {
	w.t.Helper()
	p := &instance{w: w, work: make(chan string), replies: make(chan outcome, 1), ended: make(chan struct{})}
	api := httptest.NewServer(p.runtime())
	p.cmd = exec.Command(bootstrap(w.t, "authorizer"))
	env := w.env()
	env["AWS_LAMBDA_RUNTIME_API"] = strings.TrimPrefix(api.URL, "http://")
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		env[name] = value
	}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	logged, err := p.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(out, p.line) })
	reading.Go(func() { p.read(logged, func(string) {}) })
	go func() {
		reading.Wait()
		_ = p.cmd.Wait() // killed
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		api.CloseClientConnections()
		api.Close()
		if w.t.Failed() {
			w.t.Logf("a process wrote:\n%s", p.written())
		}
	})
	return p
}

// runtime is the Lambda Runtime API (Developer Guide, "Using the Lambda runtime API").
func (p *instance) runtime() http.Handler {
	mux := http.NewServeMux()
	const root = "/2018-06-01/runtime/"
	mux.HandleFunc("GET "+root+"invocation/next", func(rw http.ResponseWriter, r *http.Request) {
		select {
		case event := <-p.work:
			rw.Header().Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
			rw.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(soon).UnixMilli(), 10))
			_, _ = io.WriteString(rw, event)
		case <-r.Context().Done():
		}
	})
	taken := func(of func(body []byte) outcome) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // the process is gone
			}
			rw.WriteHeader(http.StatusAccepted)
			p.replies <- of(body)
		}
	}
	mux.HandleFunc("POST "+root+"invocation/{id}/response", taken(func(body []byte) outcome { return outcome{document: string(body)} }))
	mux.HandleFunc("POST "+root+"invocation/{id}/error", taken(func(body []byte) outcome {
		var e struct{ ErrorMessage string }
		if err := json.Unmarshal(body, &e); err != nil || e.ErrorMessage == "" {
			e.ErrorMessage = "an error of another shape: " + string(body)
		}
		return outcome{failure: e.ErrorMessage}
	}))
	return mux
}

func (p *instance) read(from io.Reader, take func(line string)) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		take(lines.Text())
		p.mu.Unlock()
	}
}

// line sorts what is on standard output. What is none of the three is found by whoever waits for one.
func (p *instance) line(text string) {
	var kind struct {
		DecisionID string          `json:"decision_id"`
		Differs    []string        `json:"differs"`
		EMF        json.RawMessage `json:"_aws"`
	}
	err := json.Unmarshal([]byte(text), &kind)
	switch {
	case err != nil:
	case kind.EMF != nil:
		p.statuses = append(p.statuses, unmarshal[follow.Status](text))
	case kind.Differs != nil:
		p.differences = append(p.differences, unmarshal[authorizer.Difference](text))
	case kind.DecisionID != "":
		p.records = append(p.records, unmarshal[authorizer.Record](text))
	}
}

// unmarshal reads our own documents.
func unmarshal[T any](text string) T {
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	return v
}

func (p *instance) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.log[max(0, len(p.log)-40):]
	return strings.Join(last, "\n")
}

// until waits for a condition on what the process wrote.
func (p *instance) until(what string, is func() bool) {
	p.w.t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(2 * time.Millisecond) {
		p.mu.Lock()
		ok := is()
		p.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			p.w.t.Fatalf("waited %s for %s", soon, what)
		}
	}
}

// invoke sends one event to a process that may be frozen, and thaws it then where it is given a way.
func (p *instance) invoke(event string, thaw ...func()) outcome {
	p.w.t.Helper()
	timeout := time.After(soon)
	select {
	case p.work <- event:
	case <-p.ended:
		p.w.t.Fatal("the process ended")
	case <-timeout:
		p.w.t.Fatal("the process asks for no work")
	}
	for _, f := range thaw {
		f()
	}
	select {
	case r := <-p.replies:
		p.asked++
		return r
	case <-p.ended:
		p.w.t.Fatal("the process ended")
	case <-timeout:
		p.w.t.Fatal("the process does not answer")
	}
	panic("unreachable")
}

// answer is what was said to a request, and its record.
type answer struct {
	effect string // Allow, Deny, Unauthorized or Unavailable
	authorizer.Record
}

// ask sends one request. Whatever the answer is, its record must give it, and name what decided it: a policy, an
// activation and a configuration that were signed together.
func (p *instance) ask(path, bearer string, thaw ...func()) answer {
	w := p.w
	w.t.Helper()
	event := fmt.Sprintf(`{"type": "TOKEN", "authorizationToken": "Bearer %s", "methodArn": "arn:aws:execute-api:%s:%s/%s/%s"}`,
		bearer, parameterstore.Region, strings.Replace(storeAPI, "/", ":", 1), storeStage, path)
	r := p.invoke(event, thaw...)
	p.until("a record", func() bool { return len(p.records) >= p.asked })
	p.mu.Lock()
	a := answer{r.failure, p.records[p.asked-1]}
	p.mu.Unlock()
	if r.failure == "" {
		a.effect, _, _ = strings.Cut(effect(w.t, `{"response":`+r.document+`}`), " ")
	}
	w.mu.Lock()
	policy, known := w.known[a.Bundles["gatehouse"].Revision]
	stands := w.stand[a.Bundles["activation"].Revision+" "+a.Bundles["gatehouse"].Revision+" "+a.Bundles["auth0"].Revision]
	w.mu.Unlock()
	if len(a.Bundles) > 0 && (!known || !stands) || len(a.Bundles) == 0 && a.effect != "Unavailable" {
		w.t.Errorf("%s: %s by what nobody signed: %v", path, a.effect, a.Bundles)
	}
	said := "a decision"
	switch {
	case a.Error != nil && a.Result != nil || a.Error == nil && a.Result == nil:
		said = "not one of a decision and an error"
	case a.Error != nil:
		// Everybody but the caller of these tests has a token that is no good; the policy's own errors are nobody's fault.
		said = map[bool]string{true: "Unavailable", false: "Unauthorized"}[strings.HasPrefix(a.Error.Code, "policy_")]
	case bearer == w.bearer:
		said = map[bool]string{true: "Allow", false: "Deny"}[policy.open[path]]
	}
	if a.effect != said {
		w.t.Errorf("%s: answered %s, recorded %s by %s: %+v %+v", path, a.effect, said, policy.name, a.Error, a.Result)
	}
	return a
}

// by asks as the customer, for the one and the other in turn, and gives the name of the policy that answered, or the
// error's code.
func (p *instance) by(thaw ...func()) string {
	p.w.t.Helper()
	return p.w.name(p.ask([]string{orders, users}[p.asked%2], p.w.bearer, thaw...))
}

func (w *storeWorld) name(a answer) string {
	if a.Error != nil {
		return a.Error.Code
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[a.Bundles["gatehouse"].Revision].name
}

// becomes asks until a policy answers. Until then, only the others do.
func (p *instance) becomes(want string, others ...string) {
	p.w.t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(10 * time.Millisecond) {
		got := p.by()
		if got == want {
			return
		}
		if !slices.Contains(others, got) {
			p.w.t.Fatalf("answered by %s while %s was to take over from %s", got, want, others)
		}
		if time.Now().After(end) {
			p.w.t.Fatalf("answered by %s after %s, want %s", got, soon, want)
		}
	}
}

// keeps asks until a new status has a code, and a few times more: one policy or error answers all of it.
func (p *instance) keeps(want, code string) follow.Status {
	p.w.t.Helper()
	p.mu.Lock()
	before := len(p.statuses)
	p.mu.Unlock()
	said := func() *follow.Status {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, s := range p.statuses[before:] {
			if code != "" && s.Bundles["gatehouse"].Code == code {
				return &s
			}
		}
		return nil
	}
	for end, left := time.Now().Add(soon), 3; left > 0; time.Sleep(10 * time.Millisecond) {
		if got := p.by(); got != want {
			p.w.t.Fatalf("answered by %s, want %s", got, want)
		}
		switch {
		case code == "" || said() != nil:
			left--
		case time.Now().After(end):
			p.w.t.Fatalf("no status has the code %s", code)
		}
	}
	if s := said(); s != nil {
		return *s
	}
	return follow.Status{}
}

// codes are those of the statuses, each once.
func (p *instance) codes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	codes := map[string]bool{}
	for _, s := range p.statuses {
		codes[s.Bundles["gatehouse"].Code] = true
	}
	return slices.Sorted(maps.Keys(codes))
}

// freeze stops the process as Lambda does, and gives the way to thaw it.
func (p *instance) freeze() (thaw func()) {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.w.t.Fatal(err)
	}
	return func() {
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			p.w.t.Error(err)
		}
	}
}

// bake lays what is active now, and all that it names, into a task root as a file: store. Its name is a setting.
func (w *storeWorld) bake(a release.Activation) (setting string) {
	w.t.Helper()
	root := w.t.TempDir()
	lay := func(key string) {
		value, ok := w.ssm.Get(storeRoot + "/" + key)
		if !ok {
			w.t.Fatalf("%s is not there", key)
		}
		file := filepath.Join(root, "baked", store.FileName(key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(value), 0o644)); err != nil {
			w.t.Fatal(err)
		}
	}
	lay(store.Active)
	for room, c := range map[string]release.Content{"bundles": a.Bundle, "auth0": a.Auth0} {
		for n := range c.Parts {
			lay(room + "/" + c.Digest + "/" + strconv.Itoa(n+1))
		}
	}
	return "LAMBDA_TASK_ROOT=" + root
}
