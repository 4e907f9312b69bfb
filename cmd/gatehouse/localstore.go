package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/bundle"
	"gatehouse/internal/function"
	"gatehouse/internal/release"
	"gatehouse/internal/serverless"
	"gatehouse/internal/store"
	"gatehouse/internal/store/writer"
	"gatehouse/policies"
)

// What `serve` keeps its policies in: a store like any other, signed with a key of this machine's own.
const (
	localStoreDir = "store"
	localKeyFile  = "release-key.json"
	localRefresh  = 200 * time.Millisecond // of the function: edits take effect at once
	localPoll     = 250 * time.Millisecond // of the directory
)

// localStore is the store that `serve` publishes to.
type localStore struct {
	*ledger
	key     release.Signer
	address string
	jwks    string
	auth0   release.Content
}

// openLocalStore opens the store in a directory, with its key, and puts the Auth0 document into it. A store that is not
// this key's, or was moved, is begun anew: it holds nothing that is not made again at each start.
func openLocalStore(ctx context.Context, dir, stage, auth0 string) (*localStore, error) {
	dir, err := filepath.Abs(dir) // the functions run elsewhere
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := localKey(filepath.Join(dir, localKeyFile))
	if err != nil {
		return nil, err
	}
	jwks, err := release.PublicJWKS(key.Public().(*ecdsa.PublicKey))
	if err != nil {
		return nil, err
	}
	trust, err := release.ParseTrust(jwks, 1)
	if err != nil {
		return nil, err
	}
	l := &localStore{key: key, address: "file:" + filepath.Join(dir, localStoreDir), jwks: string(jwks), ledger: &ledger{trust: trust}}
	if l.reader, err = store.OpenReader(l.address, nil); err != nil {
		return nil, err
	}
	if l.writer, err = writer.Open(ctx, l.address); err != nil {
		return nil, err
	}
	l.scope = release.Scope{Account: serverless.AccountID, Root: l.reader.Root(), Stage: stage}
	if b, err := l.read(ctx); err != nil || b.refused != nil {
		if err := os.RemoveAll(filepath.Join(dir, localStoreDir)); err != nil {
			return nil, err
		}
	}
	l.auth0, err = l.putAuth0(ctx, []byte(auth0), l.writer.Create)
	return l, err
}

func localKey(path string) (release.Signer, error) {
	key, err := release.LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	jwk, err := release.GenerateKey()
	if err != nil {
		return nil, err
	}
	if err := release.WriteKey(path, jwk); err != nil {
		return nil, err
	}
	return release.LoadKey(path)
}

// take publishes a policy and makes it active.
func (l *localStore) take(ctx context.Context, b *bundle.Bundle) (release.Activation, error) {
	r, err := l.publish(ctx, b, []release.Signer{l.key})
	if err != nil {
		return release.Activation{}, err
	}
	a, err := l.activate(ctx, l.toRelease(r.says.Number, &l.auth0, nil), []release.Signer{l.key})
	if err != nil {
		return release.Activation{}, err
	}
	return a.says, nil
}

// environment is what the authorizer finds besides what the file gives it.
func (l *localStore) environment() map[string]string {
	return map[string]string{
		"GATEHOUSE_AUTH0":   "",
		"GATEHOUSE_STORE":   l.address,
		"GATEHOUSE_STAGE":   l.scope.Stage,
		"GATEHOUSE_TRUST":   l.jwks,
		"GATEHOUSE_REFRESH": localRefresh.String(),
	}
}

// authorizers are the functions that routes name as their authorizer.
func authorizers(s *serverless.Service) []string {
	var names []string
	for _, f := range s.Functions {
		for _, e := range f.Events {
			if e.Authorizer != nil {
				names = append(names, e.Authorizer.Function)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// forAuthorizers gives an environment to the authorizers, and to them alone. With a store the APIs that may ask must be
// known; a file that does not say so means those of this machine.
func forAuthorizers(s *serverless.Service, env map[string]string) func(function string) map[string]string {
	names := authorizers(s)
	apis := fmt.Sprintf("%[1]s/%[2]s,%[1]s/%[3]s,%[1]s/%[4]s", serverless.AccountID, serverless.RESTAPI, serverless.HTTPAPI, serverless.WebSocketAPI)
	return func(function string) map[string]string {
		if !slices.Contains(names, function) {
			return nil
		}
		given := map[string]string{}
		for _, f := range s.Functions {
			if f.Name == function && f.Environment["GATEHOUSE_APIS"] == "" {
				given["GATEHOUSE_APIS"] = apis
			}
		}
		for name, value := range env {
			given[name] = value
		}
		return given
	}
}

// followed is the environment by which the authorizer follows a store that somebody else writes.
func followed(address string, env []string) map[string]string {
	given := map[string]string{"GATEHOUSE_AUTH0": "", "GATEHOUSE_STORE": address}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "AWS_") || slices.Contains([]string{
			"GATEHOUSE_TRUST", "GATEHOUSE_THRESHOLD", "GATEHOUSE_MIN_SEQUENCE", "GATEHOUSE_REFRESH", "GATEHOUSE_MAX_STALE", "GATEHOUSE_STAGE",
		}, name) {
			given[name] = value
		}
	}
	return given
}

// followable refuses an environment by which no authorizer would start, before one is asked.
func followable(env map[string]string) error {
	entries := []string{"GATEHOUSE_APIS=" + serverless.AccountID + "/" + serverless.RESTAPI} // the file says, or serve does
	for name, value := range env {
		entries = append(entries, name+"="+value)
	}
	_, err := function.Read(entries)
	if _, storeErr := store.OpenReader(env["GATEHOUSE_STORE"], append(entries, "AWS_REGION=here")); storeErr != nil {
		err = errors.Join(err, fmt.Errorf("--store: %w", storeErr))
	}
	if err != nil {
		return misused("%w", err)
	}
	return nil
}

// editor follows the directory that somebody edits policies in.
type editor struct {
	dir    string
	active string // what was taken or refused last: a digest, or the text of a refusal
	seen   string // what stood there at the last look, if that was something else
	failed string // what was said last, if it was a failure: it is said once
	take   func(ctx context.Context, b *bundle.Bundle) (release.Activation, error)
	say    func(text string)
}

// readPolicies gives the policies of a directory, or the embedded ones where the usual directory is not there.
func readPolicies(dir string, usual bool) (b *bundle.Bundle, watched bool, err error) {
	if _, err := os.Stat(dir); usual && errors.Is(err, fs.ErrNotExist) {
		b, err := bundle.Read(policies.FS)
		return b, false, err
	}
	root, err := policiesIn(dir)
	if err != nil {
		return nil, false, err
	}
	if b, err = bundle.Read(root); err != nil {
		return nil, false, refused("%w", err)
	}
	return b, true, nil
}

// watch looks at the directory until ctx ends. It is what a person edits, so a few looks a second are soon enough.
func (e *editor) watch(ctx context.Context) {
	tick := time.NewTicker(localPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.look(ctx)
		}
	}
}

// look takes what stands in the directory, once it stood there at two looks: an editor may still be writing. What is
// refused is said once, and what was active goes on.
func (e *editor) look(ctx context.Context) {
	b, err := bundle.Read(os.DirFS(e.dir))
	now := ""
	if err != nil {
		now = err.Error()
	} else {
		now = b.Digest
	}
	if now == e.active {
		e.seen = ""
		return
	}
	if now != e.seen {
		e.seen = now
		return
	}
	e.active, e.seen = now, ""
	var a release.Activation
	if err == nil {
		a, err = e.take(ctx, b)
		if r := (*result)(nil); err != nil && !errors.As(err, &r) {
			e.active = "" // no refusal: it is tried again
		}
	}
	switch {
	case ctx.Err() != nil:
	case err != nil && err.Error() == e.failed:
	case err != nil:
		e.failed = err.Error()
		e.say(fmt.Sprintf("policies refused; what was active goes on:\n%s", indented(err.Error())))
	default:
		e.failed = ""
		e.say(fmt.Sprintf("policies %s are active: release %d, activation %d", short12(a.Bundle.Digest), a.Release, a.Sequence))
	}
}

func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
