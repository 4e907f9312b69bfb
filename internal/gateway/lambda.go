package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/serverless"
)

// FunctionConfig describes one Lambda function of this machine.
type FunctionConfig struct {
	Name        string            // as deployed; AWS_LAMBDA_FUNCTION_NAME
	Bootstrap   string            // path of the executable
	Handler     string            // _HANDLER; empty: "bootstrap"
	Environment map[string]string // what the function is configured with; nothing of this process's own is passed on
	Timeout     time.Duration     // of one invocation; 0: 3 s, Lambda's default
	Memory      int               // MB, only told to the function; 0: 128, Lambda's default
	Processes   int               // how many run at once at most; 0: 4; further events wait
	Reserved    *int              // reserved concurrency: how many events at once are taken; nil: no such limit
	Region      string            // empty: "us-east-1"
	Account     string            // empty: "123456789012"
	Output      io.Writer         // standard output and error of the processes, in whole lines; nil: nowhere

	count func(metric string) // told of what happens; nil: nobody
}

// Function runs a bootstrap as Lambda does: processes are started on demand, ask the Runtime API for work, get one
// invocation at a time, and are started afresh after a crash or a timeout. It is safe for concurrent use.
type Function struct {
	config    FunctionConfig
	initLimit time.Duration
	starts    chan func() // run on the one thread that owns the processes
	ended     chan struct{}

	outputMu sync.Mutex

	mu      sync.Mutex
	idle    []*process
	alive   map[*process]bool
	changed chan struct{} // closed and replaced when a process becomes idle or ends
	running int           // events taken and not answered
	resting int           // processes that have answered and not asked again yet
	closed  bool
}

// FunctionError is an invocation that the function itself did not survive or answered with an error, or that found no
// concurrency left.
type FunctionError struct {
	Type    string          // "errorString", "Runtime.ExitError", "Sandbox.Timedout", …
	Message string          // "Task timed out after 3.00 seconds"
	Payload json.RawMessage // the whole document that the function reported; nil where it reported none
}

func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// ErrClosed says that a function was asked after its end, ErrPayload that an event is longer than Lambda takes.
var (
	ErrClosed  = errors.New("function is closed")
	ErrPayload = errors.New("event is too long")
)

// throttled is the type of the error of an event that found no concurrency left (Lambda API reference, Invoke:
// TooManyRequestsException).
const throttled = "TooManyRequestsException"

// Limits of Lambda (Developer Guide, "Lambda quotas" and "Lambda execution environment lifecycle").
const (
	maxPayload = 6 << 20
	startLimit = 10 * time.Second // and, when they are over, another try within the function's own timeout
)

// NewFunction checks the configuration, naming every fault, and starts nothing yet.
func NewFunction(c FunctionConfig) (*Function, error) {
	var faults []error
	if c.Name == "" {
		faults = append(faults, errors.New("function has no name"))
	}
	if err := executable(c.Bootstrap); err != nil {
		faults = append(faults, fmt.Errorf("function %s: %w; make build builds it", c.Name, err))
	}
	if c.Timeout < 0 || c.Memory < 0 || c.Processes < 0 || c.Reserved != nil && *c.Reserved < 0 {
		faults = append(faults, fmt.Errorf("function %s: timeout, memory, processes and reserved concurrency cannot be negative", c.Name))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	c.Bootstrap, _ = filepath.Abs(c.Bootstrap)
	setDefault(&c.Handler, "bootstrap")
	setDefault(&c.Timeout, 3*time.Second)
	setDefault(&c.Memory, 128)
	setDefault(&c.Processes, 4)
	setDefault(&c.Region, "us-east-1")
	setDefault(&c.Account, serverless.AccountID)
	setDefault(&c.Output, io.Discard)
	if c.count == nil {
		c.count = func(string) {}
	}
	f := &Function{
		config: c, initLimit: max(startLimit, c.Timeout), starts: make(chan func()), ended: make(chan struct{}),
		alive: map[*process]bool{}, changed: make(chan struct{}),
	}
	go f.own()
	return f, nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func executable(path string) error {
	if path == "" {
		return errors.New("no bootstrap")
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("bootstrap %s is not an executable file", path)
	}
	return nil
}

// own starts every process of the function on one thread that lives as long as they do: Linux signals a child's death
// wish when the *thread* that made it ends (prctl(2), PR_SET_PDEATHSIG), and Go ends idle threads as it likes.
func (f *Function) own() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(f.ended)
	for start := range f.starts {
		start()
	}
}

// Invoke sends one event and waits for its answer. What the function did wrong is a FunctionError; an error means that
// there is no telling: the executable does not start, ctx ended (the invocation itself runs on), or the function is
// closed.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, *FunctionError, error) {
	if len(payload) > maxPayload {
		return nil, nil, fmt.Errorf("invoke %s: %w: %d bytes, Lambda takes %d", f.config.Name, ErrPayload, len(payload), maxPayload)
	}
	f.config.count("gatehouse_invocations_total")
	if !f.enter() {
		f.config.count("gatehouse_throttles_total")
		return nil, &FunctionError{Type: throttled, Message: "Rate Exceeded."}, nil
	}
	answer, running, failure, err := f.invoke(ctx, payload)
	if running != nil {
		go func() { <-running.done; f.leave() }() // it has an outcome at its timeout at the latest
	} else {
		f.leave()
	}
	if failure != nil {
		f.config.count("gatehouse_function_errors_total")
	}
	return answer, failure, err
}

// enter takes one of the places that the reserved concurrency leaves.
func (f *Function) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.config.Reserved != nil && f.running >= *f.config.Reserved {
		return false
	}
	f.running++
	return true
}

func (f *Function) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
}

// invoke is Invoke, once the event has a place. An invocation that runs on after ctx has ended is given too.
func (f *Function) invoke(ctx context.Context, payload []byte) ([]byte, *invocation, *FunctionError, error) {
	for {
		p, failure, err := f.acquire(ctx)
		if failure != nil || err != nil {
			return nil, nil, failure, err
		}
		i := &invocation{id: newID(), payload: payload, trace: traceID(), done: make(chan outcome, 1)}
		select {
		case p.work <- i:
		case <-p.exited: // it died while it was idle and never saw this event
			continue
		case <-ctx.Done():
			p.kill() // it asked for work and doesn't take it
			return nil, nil, nil, fmt.Errorf("invoke %s: %w", f.config.Name, ctx.Err())
		}
		select {
		case o := <-i.done:
			return o.payload, nil, o.failure, nil
		case <-ctx.Done():
			return nil, i, nil, fmt.Errorf("invoke %s: %w", f.config.Name, ctx.Err())
		}
	}
}

// acquire gives a process that waits for work: an idle one, a new one, or the next to become idle.
func (f *Function) acquire(ctx context.Context) (*process, *FunctionError, error) {
	waited := false
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, fmt.Errorf("invoke %s: %w", f.config.Name, err)
		}
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return nil, nil, fmt.Errorf("invoke %s: %w", f.config.Name, ErrClosed)
		}
		if n := len(f.idle); n > 0 {
			p := f.idle[n-1]
			f.idle = f.idle[:n-1]
			f.mu.Unlock()
			return p, nil, nil
		}
		changed := f.changed
		if f.resting > 0 && !waited { // it will ask in no time: no cold start for want of that
			f.mu.Unlock()
			select {
			case <-changed:
			case <-time.After(restLimit):
				waited = true
			case <-ctx.Done():
			}
			continue
		}
		if len(f.alive) < f.config.Processes {
			p, err := f.start()
			f.mu.Unlock()
			if err != nil {
				return nil, nil, fmt.Errorf("invoke %s: %w", f.config.Name, err)
			}
			select {
			case <-p.ready: // and idle, unless somebody was quicker
			case <-p.exited:
				if failure := p.stillborn(); failure != nil {
					return nil, failure, nil
				}
			case <-ctx.Done():
			}
			continue
		}
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// restLimit is how long an event waits for a process that has just answered before it gets a new one.
const restLimit = 50 * time.Millisecond

// note writes a line about the function among those of its processes.
func (f *Function) note(format string, args ...any) {
	f.outputMu.Lock()
	defer f.outputMu.Unlock()
	fmt.Fprintf(f.config.Output, "function %s: %s\n", f.config.Name, fmt.Sprintf(format, args...))
}

// start makes a process. The caller holds f.mu.
func (f *Function) start() (*process, error) {
	p := &process{function: f, work: make(chan *invocation), ready: make(chan struct{}), exited: make(chan struct{})}
	address, err := p.serve()
	if err != nil {
		return nil, err
	}
	out := &lines{function: f}
	p.cmd = exec.Command(f.config.Bootstrap)
	p.cmd.Dir = filepath.Dir(f.config.Bootstrap)
	p.cmd.Env = f.environment(address)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = attributes()
	p.cmd.WaitDelay = time.Second // a grandchild may hold the pipes open
	started := make(chan error)
	p.mu.Lock() // its first request waits until all of this is set
	defer p.mu.Unlock()
	f.starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		_ = p.api.Close()
		return nil, fmt.Errorf("start bootstrap: %w", err)
	}
	f.alive[p] = true
	f.config.count("gatehouse_cold_starts_total")
	p.initTimer = time.AfterFunc(f.initLimit, func() { p.giveUp(timedOut("Init phase timed out", f.initLimit)) })
	go p.wait(out)
	return p, nil
}

// environment is what a function finds on Lambda (Developer Guide, "Using Lambda environment variables": defined
// runtime environment variables), and nothing of this process's own. What it may set itself stands before what it may not.
func (f *Function) environment(address string) []string {
	c := f.config
	env := []string{"LANG=en_US.UTF-8", "PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin"}
	for name, value := range c.Environment {
		env = append(env, name+"="+value)
	}
	slices.Sort(env[2:])
	return append(env,
		"TZ=:UTC",
		"_HANDLER="+c.Handler,
		"LAMBDA_TASK_ROOT="+filepath.Dir(c.Bootstrap),
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"AWS_REGION="+c.Region,
		"AWS_DEFAULT_REGION="+c.Region,
		"AWS_LAMBDA_FUNCTION_NAME="+c.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(c.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/"+c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_RUNTIME_API="+address,
	)
}

// ARN is the function's own.
func (f *Function) ARN() string {
	return "arn:" + serverless.Partition(f.config.Region) + ":lambda:" + f.config.Region + ":" + f.config.Account + ":function:" + f.config.Name
}

// Close kills every process and waits until all are gone. Invocations that still run end with a FunctionError.
func (f *Function) Close() error {
	f.mu.Lock()
	already := f.closed
	f.closed = true
	running := make([]*process, 0, len(f.alive))
	for p := range f.alive {
		running = append(running, p)
	}
	f.broadcast()
	f.mu.Unlock()
	for _, p := range running {
		p.kill()
	}
	for _, p := range running {
		<-p.exited
	}
	if !already {
		close(f.starts)
	}
	<-f.ended
	return nil
}

// broadcast wakes everybody who waits for a process. The caller holds f.mu.
func (f *Function) broadcast() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// rests says that a process has answered; rested, that it has asked again or is gone.
func (f *Function) rests(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alive[p] && !p.resting {
		p.resting = true
		f.resting++
	}
}

// rested is called with f.mu held.
func (f *Function) rested(p *process) {
	if p.resting {
		p.resting = false
		f.resting--
	}
}

func (f *Function) becameIdle(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rested(p)
	if f.alive[p] {
		f.idle = append(f.idle, p)
		f.broadcast()
	}
}

func (f *Function) notIdle(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = slices.DeleteFunc(f.idle, func(other *process) bool { return other == p })
}

func (f *Function) gone(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.alive, p)
	f.rested(p)
	f.idle = slices.DeleteFunc(f.idle, func(other *process) bool { return other == p })
	f.broadcast()
}

// maxLine is how much of a line is waited for, in bytes; a longer one is cut.
const maxLine = 1 << 20

// lines hands the output of one process on in whole lines, so that those of two processes never mix.
type lines struct {
	function *Function
	rest     []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	if len(l.rest) > maxLine {
		l.flush()
		l.rest = nil
	} else if end := bytes.LastIndexByte(l.rest, '\n'); end >= 0 {
		l.put(l.rest[:end+1])
		l.rest = append(l.rest[:0], l.rest[end+1:]...)
	}
	return len(b), nil
}

// flush hands on what the process left without a line's end.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.put(append(l.rest, '\n'))
	}
}

func (l *lines) put(b []byte) {
	l.function.outputMu.Lock()
	defer l.function.outputMu.Unlock()
	_, _ = l.function.config.Output.Write(b) // the function's work does not depend on who reads along
}

// newID gives a version 4 UUID (RFC 9562, section 5.4), as Lambda's and API Gateway's request ids are.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// traceID gives an X-Ray trace header (X-Ray Developer Guide, "Tracing header") that nobody samples.
func traceID() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("Root=1-%08x-%s;Sampled=0", time.Now().Unix(), hex.EncodeToString(b[:]))
}
