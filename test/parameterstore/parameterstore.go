// Package parameterstore is a twin of SSM Parameter Store for tests: it refuses what the real one refuses, and fails in the
// ways that a network and a busy account fail. What it knows is from the Systems Manager API Reference and from answers of
// the real one recorded in gocloud.dev's tests (runtimevar/awsparamstore/testdata). It serves standard parameters, and what
// Gatehouse calls.
package parameterstore

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The account that the twin knows.
const (
	Region = "eu-central-1"
	Key    = "alias/gatehouse" // the KMS key that a SecureString may have, beside the account's alias/aws/ssm

	account   = "123456789012"
	accessKey = "AKIATWIN"
	secretKey = "twin"
)

// All is for counts in Faults: not only the next few.
const All = math.MaxInt

// Faults are what goes wrong, until it is changed. The zero value is that all is well. Counts go down call by call.
type Faults struct {
	Only     string        // the operation that they befall ("GetParameters"); "" is every one
	Down     bool          // connections are closed at once
	Throttle int           // of the next so many calls, each is a ThrottlingException
	Rate     int           // more calls than so many in a second are throttled; 0 is no limit
	Lose     int           // of the next so many calls the work is done, and no answer sent
	Truncate int           // of the next so many answers the second half is missing
	Delay    time.Duration // before the work
	Writing  time.Duration // how long a write takes; another of the same name meanwhile is a TooManyUpdates
	Reorder  bool          // GetParameters answers in no order
}

// Server is the twin.
type Server struct {
	URL  string
	addr string

	mu         sync.Mutex
	http       *httptest.Server // nil while it is stopped
	parameters map[string]*parameter
	writing    map[string]bool
	calls      map[string]int
	repeated   map[string]int
	faults     Faults
	second     int64 // the second that rated counts
	rated      int
}

// Start runs a twin on a free port of this machine until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{parameters: map[string]*parameter{}, writing: map[string]bool{}, calls: map[string]int{}, repeated: map[string]int{}}
	var l net.Listener
	var err error
	for range 100 {
		// Below the ports that connections take, so that it is still free for Restart.
		if l, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(10_000+rand.IntN(20_000))); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.URL = "http://" + s.addr
	s.serve(l)
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) serve(l net.Listener) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.handle))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	s.mu.Lock()
	s.http = server
	s.mu.Unlock()
}

// Stop ends the server: connections are refused. What it holds stays.
func (s *Server) Stop() {
	s.mu.Lock()
	server := s.http
	s.http = nil
	s.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// Restart takes the same port again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(l)
}

// Env is what a client of the twin needs in its environment. Nothing of the user's own AWS configuration is read then.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL_SSM=" + s.URL, "AWS_REGION=" + Region, "AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Fault changes what goes wrong, all of it.
func (s *Server) Fault(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.rated = f, 0
}

// Calls counts the calls by operation, whatever came of them.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Repeated counts those calls among them that an SDK made again, since it got no answer or one that asks for it. The SDKs
// number their attempts (header Amz-Sdk-Request).
func (s *Server) Repeated() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.repeated)
}

// Reset counts from nothing again.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
	clear(s.repeated)
}

// Set changes a value behind everybody's back, or makes a String.
func (s *Server) Set(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(name, "String", value)
}

// SetSecret is Set for a SecureString.
func (s *Server) SetSecret(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(name, "SecureString", value)
}

// Get reads a value likewise.
func (s *Server) Get(name string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parameters[name]; p != nil {
		return p.value, true
	}
	return "", false
}

// Remove deletes one likewise.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parameters, name)
}

// fate is what befalls one call.
type fate struct {
	down, throttle, lose, truncate, reorder bool
	delay, writing                          time.Duration
}

// meet counts a call, and says what befalls it.
func (s *Server) meet(operation, attempt string) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := func() {
		s.calls[operation]++
		if attempt != "" && !strings.HasPrefix(attempt, "attempt=1;") {
			s.repeated[operation]++
		}
	}
	f := &s.faults
	if f.Only != "" && f.Only != operation {
		count()
		return fate{}
	}
	if f.Down {
		return fate{down: true}
	}
	count()
	met := fate{throttle: next(&f.Throttle), delay: f.Delay, writing: f.Writing, reorder: f.Reorder}
	if now := time.Now().Unix(); now != s.second {
		s.second, s.rated = now, 0
	}
	if s.rated++; f.Rate > 0 && s.rated > f.Rate {
		met.throttle = true
	}
	if met.throttle {
		return met
	}
	met.lose = next(&f.Lose)
	met.truncate = !met.lose && next(&f.Truncate)
	return met
}

func next(count *int) bool {
	if *count <= 0 {
		return false
	}
	if *count != All {
		*count--
	}
	return true
}

const maxRequest = 1 << 20

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	operation := operationOf(r)
	met := s.meet(operation, r.Header.Get("Amz-Sdk-Request"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest)) // unread, it would make a reset of the closing
	if err != nil || met.down {
		panic(http.ErrAbortHandler)
	}
	if met.delay > 0 {
		select {
		case <-time.After(met.delay):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	status, answer := http.StatusOK, any(nil)
	fault := authorize(r, body)
	switch serve := operations[operation]; {
	case met.throttle:
		fault = refuse("ThrottlingException", "Rate exceeded")
	case fault != nil:
	case serve == nil:
		fault = refuse("UnknownOperationException", "")
	default:
		answer, fault = serve(s, body, met)
	}
	if fault != nil {
		status, answer = http.StatusBadRequest, fault
	}
	if met.lose {
		panic(http.ErrAbortHandler)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err) // answers are our own
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if met.truncate {
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush() // or else nothing is sent at all
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(text) // whoever doesn't read it goes without
}

// exception is an error of the service. Its text has lower-case "message" as most of SSM's have.
type exception struct {
	Type    string `json:"__type"`
	Message string `json:"message,omitempty"`
}

func refuse(kind, format string, args ...any) *exception {
	return &exception{kind, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *exception {
	return refuse("ValidationException", format, args...)
}
