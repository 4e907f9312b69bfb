package function

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/pdp"
	"gatehouse/authorizer/token"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
)

// builder makes generations, each out of what it can keep of the one before: an issuer's keys, and a policy whose bundle
// is the same.
type builder struct {
	settings Settings
	log      *slog.Logger

	mu       sync.Mutex
	verifier *token.Verifier
	policies []*pdp.Policy // the last ones, the newest last
}

// maxPolicies is how many prepared policies are kept for the next activation: an active one and the fallback.
const maxPolicies = 2

// activation makes the generation of an activation.
func (b *builder) activation(ctx context.Context, c follow.Content) (*authorizer.Generation, error) {
	auth0, err := token.ParseConfig(c.Auth0)
	if err != nil {
		return nil, err
	}
	return b.generation(ctx, c.Policy, auth0)
}

// generation makes a generation. The issuers' keys are fetched, for at most 3 s, while the policy is prepared; that this
// fails is logged and no error, since the first token fetches them again.
func (b *builder) generation(ctx context.Context, content *bundle.Bundle, auth0 token.Config) (*authorizer.Generation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gateway, err := b.settings.gateway(auth0)
	if err != nil {
		return nil, err
	}
	verifier, err := token.New(auth0, token.Options{From: b.verifier})
	if err != nil {
		return nil, err
	}
	warmed := make(chan error, 1)
	go func() { warmed <- verifier.Warm(ctx, time.Now()) }()
	policy, err := b.policy(ctx, content)
	if warmErr := <-warmed; warmErr != nil {
		b.log.Warn("fetch of issuer keys failed", "error", warmErr)
	}
	if err != nil {
		return nil, err
	}
	b.verifier = verifier
	return &authorizer.Generation{
		Revision:      policy.Revision(),
		Gateway:       gateway,
		Authenticator: verifier,
		Policy:        policy,
		Routes:        policy.Routes(),
		ClaimsRead:    policy.ClaimsRead(),
	}, nil
}

// policy prepares a bundle, or finds it prepared.
func (b *builder) policy(ctx context.Context, content *bundle.Bundle) (*pdp.Policy, error) {
	for _, p := range b.policies {
		if p.Revision() == content.Digest {
			return p, nil
		}
	}
	policy, err := prepare(ctx, content)
	if err != nil {
		return nil, err
	}
	b.policies = append(b.policies, policy)
	if len(b.policies) > maxPolicies {
		b.policies = b.policies[1:]
	}
	return policy, nil
}

// candidate makes a policy that is tried and never answers.
func (b *builder) candidate(ctx context.Context, content *bundle.Bundle) (*authorizer.Candidate, error) {
	policy, err := prepare(ctx, content)
	if err != nil {
		return nil, err
	}
	return &authorizer.Candidate{Revision: policy.Revision(), Policy: policy, Routes: policy.Routes()}, nil
}

func prepare(ctx context.Context, content *bundle.Bundle) (*pdp.Policy, error) {
	loaded, err := content.Load(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := pdp.New(ctx, loaded)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", content.Digest, err)
	}
	return policy, nil
}
