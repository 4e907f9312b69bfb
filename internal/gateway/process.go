package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// process is one running bootstrap with its own Runtime API: the API's paths are fixed, so its address has to tell the
// processes apart.
type process struct {
	function  *Function
	cmd       *exec.Cmd
	api       *http.Server
	work      chan *invocation // taken by the process's request for work
	ready     chan struct{}    // closed at the first of them
	exited    chan struct{}    // closed when the process is gone
	initTimer *time.Timer
	resting   bool // it has answered and not asked again; belongs to function.mu

	mu       sync.Mutex
	current  *invocation
	started  bool           // it has asked for work
	initFail *FunctionError // why it never will, from itself or from the clock
	reaped   bool
}

// invocation is one event on its way through a process.
type invocation struct {
	id, trace string
	payload   []byte
	timer     *time.Timer
	done      chan outcome // holds one: the first outcome counts
}

type outcome struct {
	payload []byte
	failure *FunctionError
}

func (i *invocation) finish(o outcome) {
	select {
	case i.done <- o:
	default:
	}
}

// serve starts the Runtime API (Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes") on a free
// port and gives its address.
func (p *process) serve() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("runtime API: %w", err)
	}
	const root = "/2018-06-01/runtime"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"/invocation/next", p.next)
	mux.HandleFunc("POST "+root+"/invocation/{id}/response", p.response)
	mux.HandleFunc("POST "+root+"/invocation/{id}/error", p.failed)
	mux.HandleFunc("POST "+root+"/init/error", p.initError)
	p.api = &http.Server{Handler: notFromAPage(mux), ReadHeaderTimeout: 10 * time.Second} // no other limit: next waits as long as it takes
	go func() { _ = p.api.Serve(l) }()                                                    // ends with p.api.Close
	return l.Addr().String(), nil
}

// next gives the process its next event. Asking for it ends the one before.
func (p *process) next(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	first := !p.started
	if before := p.current; before != nil {
		before.timer.Stop()
		before.finish(outcome{failure: &FunctionError{Type: "Runtime.NoResponse", Message: "the function asked for the next event without an answer"}})
	}
	p.started, p.current = true, nil
	p.mu.Unlock()
	p.function.becameIdle(p)
	if first {
		p.initTimer.Stop()
		close(p.ready)
	}
	var i *invocation
	select {
	case i = <-p.work:
	case <-r.Context().Done():
		p.function.notIdle(p)
		return
	}
	timeout := p.function.config.Timeout
	p.mu.Lock()
	p.current = i
	i.timer = time.AfterFunc(timeout, func() {
		i.finish(outcome{failure: timedOut("Task timed out", timeout)})
		p.kill()
	})
	if p.reaped {
		i.timer.Stop()
		i.finish(outcome{failure: p.failure(i.id)})
	}
	p.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(timeout).UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", p.function.ARN())
	h.Set("Lambda-Runtime-Trace-Id", i.trace)
	_, _ = w.Write(i.payload) // a process that doesn't read it will run into its timeout
}

func timedOut(what string, limit time.Duration) *FunctionError {
	return &FunctionError{Type: "Sandbox.Timedout", Message: fmt.Sprintf("%s after %.2f seconds", what, limit.Seconds())}
}

// response takes the answer to the current event.
func (p *process) response(w http.ResponseWriter, r *http.Request) {
	i := p.finishing(w, r)
	if i == nil {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		i.finish(outcome{failure: &FunctionError{Type: "Function.ResponseSizeTooLarge", Message: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload)}})
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size")
	case err != nil:
		i.finish(outcome{failure: &FunctionError{Type: "Runtime.TruncatedResponse", Message: "the response ended early"}})
	case r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "": // a streamed answer that broke off
		i.finish(outcome{failure: &FunctionError{Type: r.Trailer.Get("Lambda-Runtime-Function-Error-Type"), Message: "the response broke off"}})
		accepted(w)
	default:
		i.finish(outcome{payload: body})
		accepted(w)
	}
	p.function.rests(p)
}

// failed takes the process's own account of why there is no answer.
func (p *process) failed(w http.ResponseWriter, r *http.Request) {
	i := p.finishing(w, r)
	if i == nil {
		return
	}
	i.finish(outcome{failure: reported(w, r)})
	accepted(w)
	p.function.rests(p)
}

// initError takes the account of a process that will never ask for work.
func (p *process) initError(w http.ResponseWriter, r *http.Request) {
	e := reported(w, r)
	p.mu.Lock()
	p.initFail = e
	p.mu.Unlock()
	accepted(w)
}

// finishing gives the current event if the request is about that one and no other. Its clock runs until the process asks
// for the next: an answer that never ends, or a process that never asks again, is ended by it.
func (p *process) finishing(w http.ResponseWriter, r *http.Request) *invocation {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.current
	if i == nil || i.id != r.PathValue("id") {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	return i
}

// reported reads an error document. One that cannot be read is still an error.
func reported(w http.ResponseWriter, r *http.Request) *FunctionError {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var doc struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
	if err != nil || json.Unmarshal(body, &doc) != nil {
		return &FunctionError{Type: "Runtime.Unknown", Message: "the function reported an error that cannot be read"}
	}
	return &FunctionError{Type: doc.Type, Message: doc.Message, Payload: body}
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message})
}

// kill ends the process and all that it started. What runs in it ends with wait.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped { // else the number may be another's by now
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// giveUp ends a process that has not asked for work in time.
func (p *process) giveUp(e *FunctionError) {
	p.mu.Lock()
	asked := p.started
	if !asked {
		p.initFail = e
	}
	p.mu.Unlock()
	if !asked {
		p.kill()
	}
}

// stillborn says why a process that is gone never asked for work; nil if it did.
func (p *process) stillborn() *FunctionError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		return nil
	}
	return p.failure("")
}

// wait stays with the process until it is gone, then tidies up after it.
func (p *process) wait(out *lines) {
	_ = p.cmd.Wait() // the state says it all
	p.initTimer.Stop()
	p.mu.Lock()
	p.reaped = true
	started := p.started
	if i := p.current; i != nil {
		i.timer.Stop()
		i.finish(outcome{failure: p.failure(i.id)})
	}
	p.mu.Unlock()
	out.flush()
	if !started {
		p.function.note("ended before it asked for work: %s", p.cmd.ProcessState)
	}
	_ = p.api.Close()
	p.function.gone(p)
	close(p.exited)
}

// failure is what an invocation gets when its process is gone. The caller holds p.mu.
func (p *process) failure(id string) *FunctionError {
	if p.initFail != nil {
		return p.initFail
	}
	return &FunctionError{Type: "Runtime.ExitError", Message: fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %s", id, p.cmd.ProcessState)}
}
