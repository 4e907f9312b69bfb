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
	"slices"
	"strings"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/apigw"
	"gatehouse/authorizer/pdp"
	"gatehouse/authorizer/token"
)

// Config is what the function is made of. All but Environment is required.
type Config struct {
	Environment []string     // "NAME=value"; README.md lists the names that Gatehouse reads
	Policies    fs.FS        // the embedded policies, or a directory's
	Records     io.Writer    // one line of JSON per decision
	Log         *slog.Logger // what an operator should know of the start
}

// New gives the authorizer that the environment describes. A bad setting stops the start, and all faults are named at
// once. The issuers' keys are fetched for at most 3 s; that this fails is logged and no error.
func New(ctx context.Context, c Config) (*authorizer.Authorizer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	settings, settingsErr := Read(c.Environment)
	verifier, verifierErr := settings.Verifier()
	gateway, gatewayErr := settings.Gateway()
	policy, policyErr := pdp.Load(ctx, c.Policies)
	if settingsErr != nil && settings.Verifies() {
		verifierErr = nil // it lacks what the settings failed to give
	}
	if err := errors.Join(settingsErr, verifierErr, gatewayErr, policyErr); err != nil {
		return nil, err
	}

	if err := verifier.Warm(ctx, time.Now()); err != nil {
		// Not fatal: the keys are fetched again when the first token asks for them.
		c.Log.Warn("fetch of issuer keys at start failed", "error", err)
	}
	return authorizer.New(authorizer.Config{
		Generation: &authorizer.Generation{
			Revision:      policy.Revision(),
			Gateway:       gateway,
			Authenticator: verifier,
			Policy:        policy,
			Routes:        policy.Routes(),
			ClaimsRead:    policy.ClaimsRead(),
		},
		Recorder: recorder{&authorizer.Lines{W: c.Records}, c.Log},
		Labels:   settings.labels,
		Now:      time.Now,
		NewID:    rand.Text,
	})
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

// Settings are what an environment says of the function. The zero value can read events and verify no token.
type Settings struct {
	auth0  *token.Config // nil: not set
	apis   []string
	simple bool // GATEHOUSE_RESPONSE
	labels map[string]string
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
	c := apigw.Config{APIs: s.apis, SimpleResponses: s.simple}
	if s.auth0 != nil {
		c.Headers, c.Query = s.auth0.Headers, s.auth0.Query
		c.TokenQuery, c.TokenSubprotocol = s.auth0.TokenQuery, s.auth0.TokenSubprotocol
	}
	g, err := apigw.New(c)
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_APIS: %w", err) // all else is checked with the Auth0 document
	}
	return g, nil
}

// later are settings that this version does not act on yet, each with the one value that changes nothing.
var later = map[string]string{
	"GATEHOUSE_STORE":        "",
	"GATEHOUSE_TRUST":        "",
	"GATEHOUSE_THRESHOLD":    "",
	"GATEHOUSE_MIN_SEQUENCE": "",
	"GATEHOUSE_REFRESH":      "",
	"GATEHOUSE_MAX_STALE":    "",
	"GATEHOUSE_ANSWER":       "request",
}

// Read gives the settings of an environment, "NAME=value". All faults are named at once; that GATEHOUSE_AUTH0 is missing
// is none, since events can be read without it.
func Read(environment []string) (Settings, error) {
	var s Settings
	var faults []error
	env := map[string]string{}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	names := make([]string, 0, len(env))
	for name := range env {
		if strings.HasPrefix(name, "GATEHOUSE_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		neutral, isLater := later[name]
		switch value := env[name]; {
		case name == "GATEHOUSE_AUTH0" || name == "GATEHOUSE_STAGE" || name == "GATEHOUSE_APIS" || name == "GATEHOUSE_RESPONSE":
		case !isLater:
			faults = append(faults, fmt.Errorf("%s: no such setting", name))
		case value != "" && name == "GATEHOUSE_TRUST":
			faults = append(faults, fmt.Errorf("%s: not supported yet", name)) // its value holds key ids
		case value != "" && value != neutral:
			faults = append(faults, fmt.Errorf("%s=%s: not supported yet", name, value))
		}
	}

	if document := env["GATEHOUSE_AUTH0"]; document != "" {
		auth0, err := token.ParseConfig([]byte(document))
		if err != nil {
			faults = append(faults, fmt.Errorf("GATEHOUSE_AUTH0: %w", err))
		}
		s.auth0 = &auth0
	}
	switch response := env["GATEHOUSE_RESPONSE"]; response {
	case "", "iam":
	case "simple":
		s.simple = true
	default:
		faults = append(faults, fmt.Errorf("GATEHOUSE_RESPONSE: %q: want iam or simple", response))
	}
	if apis := env["GATEHOUSE_APIS"]; apis != "" {
		s.apis = strings.Split(apis, ",")
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
	return s, errors.Join(faults...)
}
