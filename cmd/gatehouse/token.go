package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/issuer"
)

// Where the local system lives unless a flag says otherwise.
const (
	restAddr   = "127.0.0.1:8787"
	httpAddr   = "127.0.0.1:8788"
	issuerAddr = "127.0.0.1:8789"
	keyDir     = ".gatehouse"
)

// mintToken prints a token of the local issuer and nothing else. It signs with the issuer's key file itself, so the
// issuer need not run.
func mintToken(_ context.Context, args []string, s stdio) error {
	f := flags("token", "--as PERSON | --sub SUBJECT [--scope …] [--permissions …] [--roles …] [--org …] [--claim k=v]…")
	as := f.String("as", "", "a sample `person`: customer, support, admin, suspended, outsider, machine")
	sub := f.String("sub", "", "`subject`")
	client := f.String("client", "", "`client` id")
	scope := f.String("scope", "", "scopes, separated by spaces")
	permissions := f.String("permissions", "", "permissions, separated by spaces")
	roles := f.String("roles", "", "roles, separated by spaces")
	org := f.String("org", "", "`organization` id")
	audience := f.String("audience", issuer.Audience, "`audience`")
	expires := f.Duration("expires", issuer.Lifetime, "how long from now the token is good; negative: it has expired")
	url := f.String("issuer", "http://"+issuerAddr+"/", "`URL` of the issuer, with the trailing slash")
	dir := f.String("keys", keyDir, "`directory` of the issuer's key")
	extra := map[string]any{}
	f.Func("claim", "a further claim, `name=value`; a value that is JSON counts as that, any other as text", func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q: want name=value", v)
		}
		extra[name] = claimOf(value)
		return nil
	})
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	if *as == "" && *sub == "" {
		return misused("want --as PERSON or --sub SUBJECT")
	}

	now := time.Now()
	claims := issuer.Claims{Audience: *audience}
	if *as != "" {
		person, err := issuer.PersonNamed(*as)
		if err != nil {
			return misused("--as: %w", err)
		}
		claims = person.Claims(*audience, now)
	}
	claims.Subject = cmp.Or(*sub, claims.Subject)
	claims.ClientID = cmp.Or(*client, claims.ClientID)
	claims.Organization = cmp.Or(*org, claims.Organization)
	if given["scope"] {
		claims.Scopes = strings.Fields(*scope)
	}
	if given["permissions"] {
		claims.Permissions = strings.Fields(*permissions)
	}
	if given["roles"] {
		claims.Roles = strings.Fields(*roles)
	}
	claims.Extra = extra
	claims.ExpiresAt = now.Add(*expires)
	claims.IssuedAt = now
	if *expires < time.Second {
		claims.IssuedAt = claims.ExpiresAt.Add(-time.Hour) // a token that has expired was issued before it did
	}

	_, missing := os.Stat(filepath.Join(*dir, issuer.KeyFile))
	key, err := issuer.LoadOrCreateKey(*dir)
	if err != nil {
		return err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		fmt.Fprintf(s.err, "gatehouse token: made a new key in %s; an issuer that already runs with another does not know it\n", *dir)
	}
	token, err := issuer.Mint(key, *url, claims)
	if err != nil {
		return misused("%w", err)
	}
	_, err = fmt.Fprintln(s.out, token)
	return err
}

// claimOf keeps JSON as it is spelt, so that the token holds the number that was asked for and not its nearest float64.
func claimOf(value string) any {
	if json.Valid([]byte(value)) {
		return json.RawMessage(value)
	}
	return value
}
