package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// bootstrap is testdata/bootstrap, built once.
var bootstrap string

func TestMain(m *testing.M) {
	if path := os.Getenv("GATEWAY_TEST_PARENT"); path != "" {
		parent(path)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gateway")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bootstrap = filepath.Join(dir, "bootstrap")
		if out, err := exec.Command("go", "build", "-o", bootstrap, "./testdata/bootstrap").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the test function: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// parent is what this program does as the child of a test: it keeps a function busy until it is killed.
func parent(pipe string) {
	f, err := NewFunction(FunctionConfig{Name: "f", Bootstrap: os.Getenv("GATEWAY_TEST_BOOTSTRAP"), Timeout: time.Minute})
	if err != nil {
		panic(err)
	}
	_, failure, err := f.Invoke(context.Background(), event("wait", pipe))
	panic(fmt.Sprint("the function ended: ", failure, err))
}

// buffer is a writer that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// do is an instruction to the test function.
func do(name, argument string) string {
	return "do:" + name + "=" + base64.RawURLEncoding.EncodeToString([]byte(argument))
}

func event(name, argument string) []byte { return []byte(strconv.Quote(do(name, argument))) }

func function(t *testing.T, c FunctionConfig) *Function {
	t.Helper()
	setDefault(&c.Name, "f")
	setDefault(&c.Bootstrap, bootstrap)
	setDefault(&c.Timeout, 30*time.Second) // generous: the machine may be busy
	f, err := NewFunction(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func (f *Function) must(t *testing.T, payload []byte) string {
	t.Helper()
	answer, failure, err := f.Invoke(t.Context(), payload)
	if failure != nil || err != nil {
		t.Fatalf("got %v, %v", failure, err)
	}
	return string(answer)
}

func (f *Function) fails(t *testing.T, payload []byte) *FunctionError {
	t.Helper()
	answer, failure, err := f.Invoke(t.Context(), payload)
	if failure == nil || err != nil || answer != nil {
		t.Fatalf("got %s, %v, %v; want a function error", answer, failure, err)
	}
	return failure
}

func TestInvokeAnswers(t *testing.T) {
	f := function(t, FunctionConfig{})
	if got := f.must(t, event("answer", `{"a":1}`)); got != `{"a":1}` {
		t.Errorf("got %s", got)
	}
}

func TestOneProcessServesInvocationAfterInvocation(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	if first, second := f.must(t, event("pid", "")), f.must(t, event("pid", "")); first != second {
		t.Errorf("processes %s and %s", first, second)
	}
}

func TestInvocationCarriesWhatLambdaSays(t *testing.T) {
	f := function(t, FunctionConfig{Region: "cn-north-1", Account: "111122223333", Timeout: time.Minute})
	var got struct {
		ID, ARN, Trace string
		Left           float64
	}
	if err := json.Unmarshal([]byte(f.must(t, event("context", ""))), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.ID) != 36 || got.ARN != "arn:aws-cn:lambda:cn-north-1:111122223333:function:f" || !strings.HasPrefix(got.Trace, "Root=1-") || got.Left > 60 || got.Left < 30 {
		t.Errorf("got %+v", got)
	}
}

func TestEnvironmentIsLambdasAndNotOurs(t *testing.T) {
	t.Setenv("GATEWAY_TEST_SECRET", "ours")
	f := function(t, FunctionConfig{Environment: map[string]string{"B": "2", "A": "1", "PATH": "/own", "AWS_REGION": "not to be set"}, Memory: 512, Handler: "main"})
	var got []string
	if err := json.Unmarshal([]byte(f.must(t, event("environment", ""))), &got); err != nil {
		t.Fatal(err)
	}
	api := ""
	got = slices.DeleteFunc(got, func(v string) bool {
		if strings.HasPrefix(v, "AWS_LAMBDA_RUNTIME_API=127.0.0.1:") {
			api = v
		}
		return v == api || strings.HasPrefix(v, "_X_AMZN_TRACE_ID=") // set by aws-lambda-go for the invocation
	})
	slices.Sort(got)
	want := []string{
		"A=1", "AWS_DEFAULT_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_LAMBDA_FUNCTION_NAME=f",
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f",
		"AWS_LAMBDA_LOG_STREAM_NAME=local", "AWS_REGION=us-east-1", "B=2", "LAMBDA_RUNTIME_DIR=/var/runtime",
		"LAMBDA_TASK_ROOT=" + filepath.Dir(bootstrap), "LANG=en_US.UTF-8", "PATH=/own", "TZ=:UTC", "_HANDLER=main",
	}
	if api == "" || !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The table of what Lambda's own emulator does.

func TestHandlerError(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	before := f.must(t, event("pid", ""))
	got := f.fails(t, event("error", "Unauthorized"))
	if got.Message != "Unauthorized" || got.Type != "errorString" || string(got.Payload) != `{"errorMessage":"Unauthorized","errorType":"errorString"}` {
		t.Errorf("got %+v %s", got, got.Payload)
	}
	if got.Error() != "errorString: Unauthorized" {
		t.Errorf("got %q", got.Error())
	}
	if after := f.must(t, event("pid", "")); after != before {
		t.Error("an error ended the process")
	}
}

func TestPanicRestartsTheProcess(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	before := f.must(t, event("pid", ""))
	got := f.fails(t, event("panic", "boom"))
	if got.Message != "boom" || got.Type != "string" || !strings.Contains(string(got.Payload), "stackTrace") {
		t.Errorf("got %+v", got)
	}
	if after := f.must(t, event("pid", "")); after == before {
		t.Error("the process lives on")
	}
}

func TestExitRestartsTheProcess(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	got := f.fails(t, event("exit", "3"))
	if got.Type != "Runtime.ExitError" || !strings.HasSuffix(got.Message, "Error: Runtime exited with error: exit status 3") || !strings.HasPrefix(got.Message, "RequestId: ") {
		t.Errorf("got %+v", got)
	}
	f.must(t, event("pid", ""))
}

func TestTimeoutKillsTheProcess(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1, Timeout: 300 * time.Millisecond})
	got := f.fails(t, event("hang", ""))
	if got.Type != "Sandbox.Timedout" || got.Message != "Task timed out after 0.30 seconds" {
		t.Errorf("got %+v", got)
	}
	f.config.Timeout = 30 * time.Second
	f.must(t, event("pid", ""))
}

// An answer that never ends runs into the timeout, and so does a process that answers and never asks again: neither keeps
// its place.
func TestAnswersThatHoldTheirProcess(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1, Timeout: time.Second})
	if got := f.fails(t, event("stall", "")); got.Type != "Sandbox.Timedout" {
		t.Errorf("got %+v", got)
	}
	before := f.must(t, event("pid", ""))
	if got := f.must(t, event("linger", "")); got != `"answered"` {
		t.Errorf("got %s", got)
	}
	if after := f.must(t, event("pid", "")); after == before {
		t.Error("the process that never asked again answered")
	}
}

// A place of the reserved concurrency is taken for as long as the function runs, whoever still waits for it.
func TestReservedConcurrency(t *testing.T) {
	f := function(t, FunctionConfig{Reserved: new(1)})
	f.must(t, event("pid", ""))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := f.Invoke(ctx, event("nap", "1500ms")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if got := f.fails(t, event("pid", "")); got.Type != throttled || got.Message != "Rate Exceeded." {
		t.Errorf("got %+v", got)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, failure, err := f.Invoke(t.Context(), event("pid", ""))
		if failure == nil && err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never free again: %v, %v", failure, err)
		}
	}
}

func TestALineWithoutAnEndIsCut(t *testing.T) {
	var out buffer
	l := &lines{function: &Function{config: FunctionConfig{Output: &out}}}
	for range 3 {
		_, _ = l.Write([]byte(strings.Repeat("x", maxLine/2+1)))
	}
	if len(l.rest) > maxLine || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%d bytes kept, %d lines written", len(l.rest), strings.Count(out.String(), "\n"))
	}
}

func TestStartThatExits(t *testing.T) {
	var out buffer
	f := function(t, FunctionConfig{Environment: map[string]string{"INIT": "exit"}, Output: &out})
	for range 2 {
		if got := f.fails(t, event("pid", "")); got.Type != "Runtime.ExitError" || !strings.HasSuffix(got.Message, "exit status 3") {
			t.Errorf("got %+v", got)
		}
	}
	once := "starting\nno setting X\nfunction f: ended before it asked for work: exit status 3\n"
	if out.String() != once+once {
		t.Errorf("output %q", out.String())
	}
}

func TestStartThatReportsItsError(t *testing.T) {
	f := function(t, FunctionConfig{Environment: map[string]string{"INIT": "error"}})
	if got := f.fails(t, event("pid", "")); got.Type != "Init.Bad" || got.Message != "no setting X" {
		t.Errorf("got %+v", got)
	}
}

func TestStartThatNeverAsksForWork(t *testing.T) {
	var out buffer
	f := function(t, FunctionConfig{Environment: map[string]string{"INIT": "hang"}, Output: &out})
	f.initLimit = 300 * time.Millisecond
	if got := f.fails(t, event("pid", "")); got.Type != "Sandbox.Timedout" || got.Message != "Init phase timed out after 0.30 seconds" {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(out.String(), "ended before it asked for work: signal: killed") {
		t.Errorf("output %q", out.String())
	}
}

func TestCallerWhoLeavesDuringTheStart(t *testing.T) {
	f := function(t, FunctionConfig{Environment: map[string]string{"INIT": "hang"}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := f.Invoke(ctx, event("pid", "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestExecutableThatDoesNotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	f := function(t, FunctionConfig{Bootstrap: path})
	if _, failure, err := f.Invoke(t.Context(), event("pid", "")); failure != nil || err == nil || !strings.Contains(err.Error(), "invoke f: start bootstrap: ") {
		t.Errorf("got %v, %v", failure, err)
	}
}

func TestAnswersThatAreTooLargeOrBreakOff(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	if got := f.must(t, event("large", strconv.Itoa(maxPayload))); len(got) != maxPayload {
		t.Errorf("got %d bytes", len(got))
	}
	if got := f.fails(t, event("large", strconv.Itoa(maxPayload+1))); got.Type != "Function.ResponseSizeTooLarge" {
		t.Errorf("got %+v", got)
	}
	if got := f.fails(t, event("broken", "")); got.Type != "errorString" || got.Message != "the response broke off" {
		t.Errorf("got %+v", got)
	}
	if got := f.fails(t, event("garbled", "")); got.Type != "Runtime.Unknown" {
		t.Errorf("got %+v", got)
	}
	if _, _, err := f.Invoke(t.Context(), make([]byte, maxPayload+1)); err == nil || !strings.Contains(err.Error(), "Lambda takes 6291456") {
		t.Errorf("got %v", err)
	}
}

func TestRuntimeAPIRefusesWhatIsNotAsked(t *testing.T) {
	f := function(t, FunctionConfig{})
	if got := f.must(t, event("misuse", "")); got != "[400,400,404]" {
		t.Errorf("got %s", got)
	}
}

func TestOutputComesInWholeLines(t *testing.T) {
	var out buffer
	f := function(t, FunctionConfig{Output: &out})
	f.must(t, event("print", "one\ntwo"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "starting\none\ntwo\n" {
		t.Errorf("got %q", out.String())
	}
}

// pipe gives a named pipe; who reads it waits until release is called.
func pipe(t *testing.T) (path string, release func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		if err := os.WriteFile(path, []byte(`"released"`), 0); err != nil {
			t.Error(err)
		}
	}
}

func TestInvocationsRunSideBySideUpToTheLimit(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 2})
	var wait sync.WaitGroup
	var releases []func()
	for range 3 {
		path, release := pipe(t)
		releases = append(releases, release)
		wait.Go(func() {
			if got := f.must(t, event("wait", path)); got != `"released"` {
				t.Errorf("got %s", got)
			}
		})
	}
	for _, release := range releases {
		wait.Go(release) // blocks until its invocation reads: the third only after another has ended
	}
	wait.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.alive) != 2 {
		t.Errorf("%d processes", len(f.alive))
	}
}

func TestCallerWhoLeaves(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	f.must(t, event("pid", ""))
	path, _ := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := f.Invoke(ctx, event("wait", path))
		left <- err
	}()
	writer, err := os.OpenFile(path, os.O_WRONLY, 0) // opens when the function reads
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The invocation runs on and keeps the one process busy.
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := f.Invoke(ctx, event("pid", "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = writer.Close()
	f.must(t, event("pid", ""))
}

func TestProcessThatDiesWhileIdle(t *testing.T) {
	f := function(t, FunctionConfig{Processes: 1})
	pid, err := strconv.Atoi(f.must(t, event("pid", "")))
	if err != nil {
		t.Fatal(err)
	}
	var dead *process
	f.mu.Lock()
	for p := range f.alive {
		dead = p
	}
	f.mu.Unlock()
	dead.kill()
	<-dead.exited
	dead.kill() // of somebody else by now, perhaps: does nothing
	f.mu.Lock()
	f.idle = append(f.idle, dead) // as if it had just died
	f.mu.Unlock()
	if got := f.must(t, event("pid", "")); got == strconv.Itoa(pid) {
		t.Error("a dead process answered")
	}
}

func TestNoProcessOutlivesItsFunction(t *testing.T) {
	before := runtime.NumGoroutine()
	f := function(t, FunctionConfig{Processes: 2})
	pid, err := strconv.Atoi(f.must(t, event("pid", "")))
	if err != nil {
		t.Fatal(err)
	}
	if pgid, err := syscall.Getpgid(pid); err != nil || pgid != pid {
		t.Fatalf("process group %d of %d, %v", pgid, pid, err)
	}
	path, _ := pipe(t)
	ended := make(chan *FunctionError)
	go func() {
		_, failure, _ := f.Invoke(context.Background(), event("wait", path))
		ended <- failure
	}()
	writer, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if failure := <-ended; failure == nil || failure.Type != "Runtime.ExitError" || !strings.HasSuffix(failure.Message, "signal: killed") {
		t.Errorf("got %v", failure)
	}
	if err := syscall.Kill(-pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process group %d: %v", pid, err)
	}
	if _, _, err := f.Invoke(t.Context(), event("pid", "")); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines left:\n%s", buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestProcessThatAsksForWorkAndDoesNotTakeIt(t *testing.T) {
	f := function(t, FunctionConfig{})
	stuck := &process{function: f, work: make(chan *invocation), exited: make(chan struct{}), reaped: true}
	f.idle = []*process{stuck}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := f.Invoke(ctx, event("pid", "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, _, err := f.Invoke(ctx, event("pid", "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestProcessThatDiesWhileItGetsItsEvent(t *testing.T) {
	f := function(t, FunctionConfig{})
	dead := &process{function: f, cmd: &exec.Cmd{}, work: make(chan *invocation), ready: make(chan struct{}), started: true, reaped: true}
	if dead.stillborn() != nil {
		t.Error("it had asked for work")
	}
	i := &invocation{id: "i", done: make(chan outcome, 1)}
	go func() { dead.work <- i }()
	dead.next(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if o := <-i.done; o.failure == nil || o.failure.Type != "Runtime.ExitError" {
		t.Errorf("got %+v", o)
	}
}

func TestAnswerThatEndsEarly(t *testing.T) {
	i := &invocation{id: "i", done: make(chan outcome, 1), timer: time.NewTimer(time.Hour)}
	p := &process{function: &Function{}, current: i}
	r := httptest.NewRequest("POST", "/", iotest.ErrReader(io.ErrUnexpectedEOF))
	r.SetPathValue("id", "i")
	p.response(httptest.NewRecorder(), r)
	if o := <-i.done; o.failure == nil || o.failure.Type != "Runtime.TruncatedResponse" {
		t.Errorf("got %+v", o)
	}
}

func TestNewFunctionNamesEveryFault(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config FunctionConfig
		want   []string
	}{
		{FunctionConfig{}, []string{"function has no name", "no bootstrap", "make build"}},
		{FunctionConfig{Name: "f", Bootstrap: filepath.Join(dir, "none")}, []string{"function f: bootstrap: stat ", "make build"}},
		{FunctionConfig{Name: "f", Bootstrap: dir}, []string{"is not an executable file"}},
		{FunctionConfig{Name: "f", Bootstrap: plain}, []string{"is not an executable file"}},
		{FunctionConfig{Name: "f", Bootstrap: bootstrap, Timeout: -1}, []string{"cannot be negative"}},
		{FunctionConfig{Name: "f", Bootstrap: bootstrap, Reserved: new(-1)}, []string{"reserved concurrency cannot be negative"}},
	} {
		f, err := NewFunction(c.config)
		for _, want := range c.want {
			if f != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: got %v, want %q", c.config, err, want)
			}
		}
	}
}
