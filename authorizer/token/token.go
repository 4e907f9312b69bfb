// Package token turns a bearer token into the principal that it proves: a strict reading of JWT access tokens (RFC 9068
// and Auth0's own profile) against the keys of configured issuers. It alone knows JOSE. docs/jwt-rules.md lists the
// numbered rules that comments here cite; rules_test.go walks them.
//
// Of jwx only the signature check and the reading of key material are used. Its jwt.Parse takes JSON serialisations,
// ignores crit and trusts any header; its jws.Verify hashes a re-encoding of the header; its key cache needs goroutines,
// which a frozen Lambda does not run.
package token

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/authorizer"
)

// Verifier checks tokens. It is safe for concurrent use. The zero value knows no issuer and refuses every token.
type Verifier struct {
	issuers    map[string]*issuer // by iss, byte for byte
	skew       time.Duration
	rolesClaim string
	known      cache
}

var _ authorizer.Authenticator = (*Verifier)(nil)

type issuer struct {
	Issuer
	keys *source
}

// Options are the parts of a Verifier that a test replaces.
type Options struct {
	// Transport fetches every JWKS; nil gives each issuer one of its own, without proxy and without idle connections.
	Transport http.RoundTripper
	// From is the verifier that this one succeeds: an issuer whose keys are got in the same way keeps those that are held,
	// so that an activation does not wait for the issuer, nor fail with it. Of its verified tokens nothing is kept.
	From *Verifier
}

// New gives a Verifier for a configuration, or an error that names every fault of it. Nothing is fetched yet.
func New(c Config, o Options) (*Verifier, error) {
	if err := c.check(&faults{}); err != nil {
		return nil, fmt.Errorf("token verifier: %w", err)
	}
	v := &Verifier{issuers: make(map[string]*issuer, len(c.Issuers)), skew: c.ClockSkew, rolesClaim: c.RolesClaim}
	for _, i := range c.Issuers {
		keys := o.From.keysOf(i)
		if keys == nil {
			seed, _ := i.seed() // checked above
			keys = newSource(i, seed, o.Transport)
		}
		v.issuers[i.Issuer] = &issuer{Issuer: i, keys: keys}
	}
	return v, nil
}

// keysOf gives the keys of an issuer that is configured likewise, as far as its keys go.
func (v *Verifier) keysOf(i Issuer) *source {
	if v == nil {
		return nil
	}
	had, ok := v.issuers[i.Issuer]
	if !ok || had.JWKSURI != i.JWKSURI || had.Pinned != i.Pinned || had.JWKSSoft != i.JWKSSoft || had.JWKSHard != i.JWKSHard ||
		!slices.Equal(had.Algorithms, i.Algorithms) || !bytes.Equal(had.JWKS, i.JWKS) {
		return nil
	}
	return had.keys
}

// Warm fetches the keys of every issuer that is not pinned and whose keys are not fresh, at once and for at most 3 s: what INIT can do so that the
// first request need not. The error joins what failed and is for the log; each request tries again where it must.
func (v *Verifier) Warm(ctx context.Context, now time.Time) error {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		faults []error
	)
	for name, i := range v.issuers {
		wg.Go(func() {
			err := errNotReturn
			defer func() { // in a goroutine a panic would end the process
				if p := recover(); p != nil || err != nil {
					mu.Lock()
					defer mu.Unlock()
					faults = append(faults, fmt.Errorf("warm issuer %s: %w", name, err))
				}
			}()
			err = i.keys.warm(ctx, now.Round(0))
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

// Authenticate verifies the one bearer token in the credentials as of now. The order is: shape, header, issuer, key,
// signature, claims; no claim is believed before the signature holds. A token that was verified before is not read again:
// its times and its key are. Errors are [authorizer.Error] with one of this package's codes, and the principal is then
// empty (rule 51).
//
// What a principal refers to, its lists, claims and memo, is shared by all requests that bring the same token: read it,
// do not write to it. Its lists have no spare capacity, so appending to one makes a copy.
func (v *Verifier) Authenticate(ctx context.Context, c authorizer.Credentials, now time.Time) (authorizer.Principal, error) {
	now = now.Round(0) // the monotonic clock stands still while Lambda freezes the process (rule 42)
	token, err := bearer(c)
	if err != nil {
		return authorizer.Principal{}, err
	}
	raw := []byte(token)
	id := tokenID(sha256.Sum256(raw))
	if k := v.known.get(id); k != nil {
		ok, err := k.recall(ctx, now, v.skew)
		if err != nil {
			return authorizer.Principal{}, err
		}
		if ok {
			return k.principal, nil
		}
	}
	t, err := parseCompact(raw)
	if err != nil {
		return authorizer.Principal{}, err
	}
	said, i, err := v.claims(t.payload)
	if err != nil {
		return authorizer.Principal{}, err
	}
	if err := t.allowed(i.Algorithms, i.Profile); err != nil {
		return authorizer.Principal{}, err
	}
	// Whoever wants to make us fetch must at least know an audience and that the token should still be valid.
	plausible := func() bool {
		_, aud := said.audience(i.Audiences)
		_, exp := said.expiry(now, v.skew)
		return aud == nil && exp == nil
	}
	k, err := i.keys.key(ctx, t.kid, now, plausible)
	if err != nil {
		return authorizer.Principal{}, err
	}
	if err := t.verify(k); err != nil {
		return authorizer.Principal{}, err
	}
	p, err := said.principal(i, v.rolesClaim, v.skew, now)
	if err != nil {
		return authorizer.Principal{}, err
	}
	p.Memo = new(authorizer.Memo)
	v.known.put(id, &known{p, i, t.kid, k, len(raw)})
	return p, nil
}

// claims reads a payload strictly (rules 7, 22, 23) and finds its issuer by exact match, to know whose keys to ask for
// (rules 24, 25). Nothing is fetched from an address in a token.
func (v *Verifier) claims(payload []byte) (claims, *issuer, error) {
	c, err := decodeObject(payload, claimsLimits)
	if err != nil {
		return nil, nil, refuse(CodeMalformed, "payload: %w", quiet(err))
	}
	if err := claims(c).present("iss"); err != nil {
		return nil, nil, err
	}
	name, ok := c["iss"].(string)
	if !ok {
		return nil, nil, refuse(CodeClaimInvalid, "iss: want a string, have %s", kindOf(c["iss"]))
	}
	i, ok := v.issuers[name]
	if !ok {
		return nil, nil, refuse(CodeIssuerUnknown, "iss is not a configured issuer")
	}
	return c, i, nil
}
