// Package function makes the authorizer out of its environment, as the Lambda and `gatehouse authorize` both run it.
package function

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/apigw"
	"gatehouse/authorizer/token"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
)

// Config is what the function is made of. All but Environment is required.
type Config struct {
	Environment []string     // "NAME=value"; README.md lists the names that Gatehouse reads
	Policies    fs.FS        // the embedded policies, or a directory's
	Records     io.Writer    // one line of JSON per decision
	Log         *slog.Logger // what an operator should know of the start
}

// New gives the authorizer that the environment describes. A bad setting stops the start, and all faults are named at
// once. That keys of issuers or the store cannot be had stops nothing: it is logged or reported, and each request tries
// again.
func New(ctx context.Context, c Config) (*authorizer.Authorizer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	settings, err := Read(c.Environment)
	lines := &authorizer.Lines{W: c.Records}
	build := &builder{settings: settings, log: c.Log}
	var source authorizer.Source
	if settings.store == "" {
		source, err = settings.embedded(ctx, c, build, err)
	} else {
		source, err = settings.follow(ctx, c, build, lines, err)
	}
	if err != nil {
		return nil, err
	}
	return authorizer.New(authorizer.Config{
		Source:   source,
		Recorder: recorder{lines, c.Log},
		Labels:   settings.labels,
		Now:      time.Now,
		NewID:    rand.Text,
	})
}

// embedded is the one generation of a function without a store.
func (s Settings) embedded(ctx context.Context, c Config, build *builder, settingsErr error) (authorizer.Source, error) {
	_, verifierErr := s.Verifier()
	_, gatewayErr := s.Gateway()
	content, policyErr := bundle.Read(c.Policies)
	if settingsErr != nil && s.Verifies() {
		verifierErr = nil // it lacks what the settings failed to give
	}
	if policyErr == nil && errors.Join(settingsErr, verifierErr, gatewayErr) != nil {
		_, policyErr = content.Load(ctx)
	}
	if err := errors.Join(settingsErr, verifierErr, gatewayErr, policyErr); err != nil {
		return nil, err
	}
	g, err := build.generation(ctx, content, *s.auth0)
	return authorizer.Fixed{Generation: g}, err
}

// bakedDir is where a function's zip may carry what was active when it was packed, as a file: store.
const bakedDir = "baked"

// follow is a source that keeps to a store.
func (s Settings) follow(ctx context.Context, c Config, build *builder, lines *authorizer.Lines, settingsErr error) (*follow.Follower, error) {
	reader, storeErr := store.OpenReader(s.store, c.Environment)
	if storeErr != nil {
		storeErr = fmt.Errorf("GATEHOUSE_STORE: %w", storeErr)
	}
	_, gatewayErr := s.Gateway()
	embedded, policyErr := bundle.Read(c.Policies)
	baked, floor, bakedErr := follow.Reader(nil), int64(0), error(nil)
	if settingsErr == nil && storeErr == nil {
		baked, floor, bakedErr = s.baked(ctx, reader.Root())
	}
	if err := errors.Join(settingsErr, storeErr, gatewayErr, policyErr, bakedErr); err != nil {
		return nil, err
	}
	f, err := follow.New(follow.Config{
		Store:    reader,
		Baked:    baked,
		Embedded: embedded,
		Trust:    s.trust,
		Accounts: s.accounts,
		Root:     reader.Root(),
		Stage:    s.labels["stage"],
		Floor:    max(floor, s.floor),
		Refresh:  s.refresh,
		MaxStale: s.maxStale,
		Build:    build.activation,
		Try:      build.candidate,
		Labels:   s.labels,
		Report: func(status follow.Status) {
			if err := lines.Line("status", status); err != nil {
				c.Log.Error("a status was not written", "error", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	f.Start(ctx, time.Now())
	return f, nil
}

// baked gives the content that came with the zip, nil where none did, and the sequence that it was active by.
func (s Settings) baked(ctx context.Context, root string) (follow.Reader, int64, error) {
	if s.taskRoot == "" {
		return nil, 0, nil
	}
	dir := filepath.Join(s.taskRoot, bakedDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	reader, err := store.OpenReader("file:"+dir, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("baked: %w", err)
	}
	active, err := reader.Get(ctx, store.Active)
	if err != nil {
		return nil, 0, fmt.Errorf("baked: %w", err)
	}
	for _, account := range s.accounts {
		var a release.Activation
		a, _, err = s.trust.Activation([]byte(active.Value), release.Scope{Account: account, Root: root, Stage: s.labels["stage"]})
		if err == nil {
			return reader, a.Sequence, nil
		}
	}
	return nil, 0, fmt.Errorf("baked: the activation in the zip: %w", err)
}

func (c Config) check() error {
	var faults []error
	if c.Policies == nil {
		faults = append(faults, errors.New("function: no policies"))
	}
	if c.Records == nil {
		faults = append(faults, errors.New("function: no writer of records"))
	}
	if c.Log == nil {
		faults = append(faults, errors.New("function: no log"))
	}
	return errors.Join(faults...)
}

// recorder says on the log why a record was not kept: the answer is then a bare "Unavailable", and nothing else tells.
type recorder struct {
	lines *authorizer.Lines
	log   *slog.Logger
}

func (r recorder) Record(record authorizer.Record) error {
	err := r.lines.Record(record)
	if err != nil {
		r.log.Error("the decision was not recorded, and so not answered", "error", err)
	}
	return err
}

func (r recorder) Differed(d authorizer.Difference) error {
	err := r.lines.Differed(d)
	if err != nil {
		r.log.Error("a difference was not recorded", "error", err)
	}
	return err
}

// Settings are what an environment says of the function. The zero value can read events and verify no token.
type Settings struct {
	auth0    *token.Config // nil: not set
	apis     []string
	accounts []string // of apis
	simple   bool     // GATEHOUSE_RESPONSE
	labels   map[string]string

	store             string // "": the embedded policies
	trust             release.Trust
	floor             int64
	refresh, maxStale time.Duration
	taskRoot          string
}

// Verifies says whether the environment says whose tokens are good.
func (s Settings) Verifies() bool { return s.auth0 != nil }

// Verifier is what tells who asks. Without GATEHOUSE_AUTH0 there is none.
func (s Settings) Verifier() (*token.Verifier, error) {
	if !s.Verifies() {
		return nil, errors.New("GATEHOUSE_AUTH0: missing: it must hold the Auth0 configuration document")
	}
	v, err := token.New(*s.auth0, token.Options{})
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_AUTH0: %w", err)
	}
	return v, nil
}

// Gateway is what reads the events and writes the answers.
func (s Settings) Gateway() (*apigw.Gateway, error) {
	if s.auth0 == nil {
		return s.gateway(token.Config{})
	}
	return s.gateway(*s.auth0)
}

func (s Settings) gateway(auth0 token.Config) (*apigw.Gateway, error) {
	g, err := apigw.New(apigw.Config{
		APIs: s.apis, SimpleResponses: s.simple,
		Headers: auth0.Headers, Query: auth0.Query,
		TokenQuery: auth0.TokenQuery, TokenSubprotocol: auth0.TokenSubprotocol,
	})
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_APIS: %w", err) // all else is checked with the Auth0 document
	}
	return g, nil
}

// settings are the names that are read.
var settings = []string{
	"GATEHOUSE_ANSWER", "GATEHOUSE_APIS", "GATEHOUSE_AUTH0", "GATEHOUSE_MAX_STALE", "GATEHOUSE_MIN_SEQUENCE", "GATEHOUSE_REFRESH",
	"GATEHOUSE_RESPONSE", "GATEHOUSE_STAGE", "GATEHOUSE_STORE", "GATEHOUSE_THRESHOLD", "GATEHOUSE_TRUST",
}

// ofStore are the settings that mean something with a store only. One of them without it is a deployment whose policies
// are others than somebody thinks.
var ofStore = []string{"GATEHOUSE_MAX_STALE", "GATEHOUSE_MIN_SEQUENCE", "GATEHOUSE_REFRESH", "GATEHOUSE_THRESHOLD", "GATEHOUSE_TRUST"}

// Read gives the settings of an environment, "NAME=value". All faults are named at once; that GATEHOUSE_AUTH0 is missing
// is none, since events can be read without it.
func Read(environment []string) (Settings, error) {
	var s Settings
	var faults []error
	fault := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf(name+": "+format, args...))
	}
	env := map[string]string{}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.HasPrefix(name, "GATEHOUSE_") && !slices.Contains(settings, name) {
			fault(name, "no such setting")
		}
	}
	if answer := env["GATEHOUSE_ANSWER"]; answer != "" && answer != "request" {
		fault("GATEHOUSE_ANSWER="+answer, "not supported yet")
	}

	if document := env["GATEHOUSE_AUTH0"]; document != "" {
		auth0, err := token.ParseConfig([]byte(document))
		if err != nil {
			fault("GATEHOUSE_AUTH0", "%w", err)
		}
		s.auth0 = &auth0
	}
	switch response := env["GATEHOUSE_RESPONSE"]; response {
	case "", "iam":
	case "simple":
		s.simple = true
	default:
		fault("GATEHOUSE_RESPONSE", "%q: want iam or simple", response)
	}
	if apis := env["GATEHOUSE_APIS"]; apis != "" {
		s.apis = strings.Split(apis, ",")
		for _, pair := range s.apis {
			account, _, _ := strings.Cut(pair, "/")
			s.accounts = append(s.accounts, account)
		}
		slices.Sort(s.accounts)
		s.accounts = slices.Compact(s.accounts)
	}
	s.labels = map[string]string{
		"app":   "gatehouse",
		"stage": cmp.Or(env["GATEHOUSE_STAGE"], "dev"),
	}
	for label, name := range map[string]string{
		"function": "AWS_LAMBDA_FUNCTION_NAME", "function_version": "AWS_LAMBDA_FUNCTION_VERSION", "region": "AWS_REGION",
	} {
		if value := env[name]; value != "" {
			s.labels[label] = value
		}
	}
	s.taskRoot = env["LAMBDA_TASK_ROOT"]
	if s.store = env["GATEHOUSE_STORE"]; s.store == "" {
		for _, name := range ofStore {
			if env[name] != "" {
				fault(name, "set without GATEHOUSE_STORE: the embedded policies would decide")
			}
		}
		return s, errors.Join(faults...)
	}
	s.ofStore(env, fault)
	return s, errors.Join(faults...)
}

// ofStore reads what a store needs.
func (s *Settings) ofStore(env map[string]string, fault func(name, format string, args ...any)) {
	if s.auth0 != nil {
		fault("GATEHOUSE_AUTH0", "set beside GATEHOUSE_STORE: the configuration is what the store says, and in one place")
	}
	if len(s.apis) == 0 {
		fault("GATEHOUSE_APIS", "missing: with a store it must say whose activations count, and who may ask")
	}
	threshold := number(env, "GATEHOUSE_THRESHOLD", 1, fault)
	s.floor = number(env, "GATEHOUSE_MIN_SEQUENCE", 0, fault)
	s.refresh = span(env, "GATEHOUSE_REFRESH", 30*time.Second, fault)
	s.maxStale = span(env, "GATEHOUSE_MAX_STALE", 10*time.Minute, fault)
	if s.maxStale < s.refresh {
		fault("GATEHOUSE_MAX_STALE", "%s is less than GATEHOUSE_REFRESH, %s", s.maxStale, s.refresh)
	}
	if env["GATEHOUSE_TRUST"] == "" {
		fault("GATEHOUSE_TRUST", "missing: it must hold the JWKS of the keys that sign releases")
		return
	}
	var err error
	if s.trust, err = release.ParseTrust([]byte(env["GATEHOUSE_TRUST"]), int(threshold)); err != nil {
		fault("GATEHOUSE_TRUST", "%w", err)
	}
}

func number(env map[string]string, name string, absent int64, fault func(name, format string, args ...any)) int64 {
	if env[name] == "" {
		return absent
	}
	n, err := strconv.ParseInt(env[name], 10, 32)
	if err != nil || n < 1 {
		fault(name, "%q: want a number from 1", env[name])
		return absent
	}
	return n
}

func span(env map[string]string, name string, absent time.Duration, fault func(name, format string, args ...any)) time.Duration {
	if env[name] == "" {
		return absent
	}
	d, err := time.ParseDuration(env[name])
	if err != nil || d < 100*time.Millisecond {
		fault(name, `%q: want a duration from 100ms, such as "30s" or "10m"`, env[name])
		return absent
	}
	return d
}
