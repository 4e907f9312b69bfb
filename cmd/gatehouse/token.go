package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/issuer"
)

// Where the local system lives unless a flag says otherwise.
const (
	restAddr   = "127.0.0.1:8787"
	httpAddr   = "127.0.0.1:8788"
	socketAddr = "127.0.0.1:8792"
	issuerAddr = "127.0.0.1:8789"
	spaOrigins = "http://127.0.0.1:8790,http://localhost:8790"
	keyDir     = ".gatehouse"
)

// mintToken prints a token of the local issuer and nothing else. It signs with the issuer's key file itself, so the
// issuer need not run; one that runs knows the key, since it follows the file.
func mintToken(_ context.Context, args []string, s stdio) error {
	f := flags("token", "--as PERSON | --sub SUBJECT [--scope …] [--permissions …] [--roles …] [--org …] [--claim k=v]…")
	who := addClaimFlags(f)
	expires := f.Duration("expires", issuer.Lifetime, "how long from now the token is good; negative: it has expired")
	dir := f.String("keys", keyDir, "`directory` of the issuer's keys")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	now := time.Now()
	claims, err := who.claims(now)
	if err != nil {
		return err
	}
	claims.ExpiresAt = now.Add(*expires)
	if *expires < time.Second {
		claims.IssuedAt = claims.ExpiresAt.Add(-time.Hour) // a token that has expired was issued before it did
	}

	_, missing := os.Stat(filepath.Join(*dir, issuer.KeyFile))
	key, err := issuer.LoadOrCreateKey(*dir)
	if err != nil {
		return err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		fmt.Fprintf(s.err, "gatehouse token: made new keys in %s; an issuer that runs with another --keys does not know them\n", *dir)
	}
	token, err := issuer.Mint(key, *who.url, claims)
	if err != nil {
		return misused("%w", err)
	}
	_, err = fmt.Fprintln(s.out, token)
	return err
}
