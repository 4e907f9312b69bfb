package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/authorizer"
	"gatehouse/authorizer/token"
	"gatehouse/internal/function"
	"gatehouse/internal/issuer"
)

// claimFlags are the flags that say who asks: a sample person, or claims one by one.
type claimFlags struct {
	set *flag.FlagSet

	as, sub, client, scope, permissions, roles, org, audience, url *string
	extra                                                          map[string]any
}

func addClaimFlags(f *flag.FlagSet) *claimFlags {
	c := &claimFlags{
		set:         f,
		as:          f.String("as", "", "a sample `person`: customer, support, admin, suspended, outsider, machine"),
		sub:         f.String("sub", "", "`subject`"),
		client:      f.String("client", "", "`client` id"),
		scope:       f.String("scope", "", "scopes, separated by spaces"),
		permissions: f.String("permissions", "", "permissions, separated by spaces"),
		roles:       f.String("roles", "", "roles, separated by spaces"),
		org:         f.String("org", "", "`organization` id"),
		audience:    f.String("audience", issuer.Audience, "`audience`"),
		url:         f.String("issuer", "http://"+issuerAddr+"/", "`URL` of the issuer, with the trailing slash"),
		extra:       map[string]any{},
	}
	f.Func("claim", "a further claim, `name=value`; a value that is JSON counts as that, any other as text", func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q: want name=value", v)
		}
		c.extra[name] = claimOf(value)
		return nil
	})
	return c
}

// given says whether somebody is named.
func (c *claimFlags) given() bool { return *c.as != "" || *c.sub != "" }

// claimFlagNames are the flags that addClaimFlags adds.
var claimFlagNames = []string{"as", "sub", "client", "scope", "permissions", "roles", "org", "audience", "issuer", "claim"}

// unused refuses those flags of the names that were given: nothing would be made of them, for the reason that why gives.
func (c *claimFlags) unused(why string, names ...string) error {
	var given []string
	c.set.Visit(func(f *flag.Flag) {
		if slices.Contains(names, f.Name) {
			given = append(given, "--"+f.Name)
		}
	})
	if len(given) == 0 {
		return nil
	}
	return misused("%s: %s", strings.Join(given, ", "), why)
}

// claims are what a token issued now would say. Flags go over what the person has.
func (c *claimFlags) claims(now time.Time) (issuer.Claims, error) {
	if !c.given() {
		return issuer.Claims{}, misused("want --as PERSON or --sub SUBJECT")
	}
	claims := issuer.Claims{Audience: *c.audience}
	if *c.as != "" {
		person, err := issuer.PersonNamed(*c.as)
		if err != nil {
			return issuer.Claims{}, misused("--as: %w", err)
		}
		claims = person.Claims(*c.audience, now)
	}
	claims.Subject = cmp.Or(*c.sub, claims.Subject)
	claims.ClientID = cmp.Or(*c.client, claims.ClientID)
	claims.Organization = cmp.Or(*c.org, claims.Organization)
	c.set.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "scope":
			claims.Scopes = strings.Fields(*c.scope)
		case "permissions":
			claims.Permissions = strings.Fields(*c.permissions)
		case "roles":
			claims.Roles = strings.Fields(*c.roles)
		}
	})
	claims.Extra = c.extra
	claims.IssuedAt, claims.ExpiresAt = now, now.Add(issuer.Lifetime)
	return claims, nil
}

// principal is what the authorizer makes of a token with these claims: one is made with a key of its own, and verified.
func (c *claimFlags) principal(ctx context.Context, now time.Time) (authorizer.Principal, error) {
	claims, err := c.claims(now)
	if err != nil {
		return authorizer.Principal{}, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-key-")
	if err != nil {
		return authorizer.Principal{}, err
	}
	defer os.RemoveAll(dir)
	key, err := issuer.LoadOrCreateKey(dir)
	if err != nil {
		return authorizer.Principal{}, err
	}
	made, err := issuer.Mint(key, *c.url, claims)
	if err != nil {
		return authorizer.Principal{}, misused("%w", err)
	}
	auth0, err := json.Marshal(map[string]any{
		"version":     "v1",
		"roles_claim": issuer.RolesClaim,
		"issuers": []any{map[string]any{
			"issuer": *c.url, "audiences": []string{*c.audience}, "pinned": true, "jwks": json.RawMessage(key.Public()),
		}},
	})
	if err != nil {
		return authorizer.Principal{}, err
	}
	config, err := token.ParseConfig(auth0)
	if err != nil {
		return authorizer.Principal{}, misused("%w", err)
	}
	verifier, err := token.New(config, token.Options{})
	if err != nil {
		return authorizer.Principal{}, misused("%w", err)
	}
	return verifier.Authenticate(ctx, authorizer.Credentials{"Bearer " + made}, now)
}

// verified is who the credentials prove, as the function with these settings says.
func verified(ctx context.Context, settings function.Settings, c authorizer.Credentials, now time.Time) (authorizer.Principal, error) {
	verifier, err := settings.Verifier()
	if err != nil {
		return authorizer.Principal{}, refused("%w", err)
	}
	return verifier.Authenticate(ctx, c, now)
}

// claimOf keeps JSON as it is spelt, so that the token holds the number that was asked for and not its nearest float64.
func claimOf(value string) any {
	if json.Valid([]byte(value)) {
		return json.RawMessage(value)
	}
	return value
}

// instantFlag is a flag that gives a time; now is what it says or else the clock.
type instantFlag struct{ at time.Time }

func addTime(f *flag.FlagSet) *instantFlag {
	var i instantFlag
	f.Func("time", "decide as of this `time` (RFC 3339) instead of now", func(v string) error {
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return errors.New("want a time such as 2026-11-23T09:00:00Z")
		}
		i.at = at.UTC()
		return nil
	})
	return &i
}

func (i *instantFlag) now() time.Time {
	if i.at.IsZero() {
		return time.Now().UTC()
	}
	return i.at
}
