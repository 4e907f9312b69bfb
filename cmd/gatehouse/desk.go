package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"gatehouse/internal/release"
	"gatehouse/internal/release/kms"
	"gatehouse/internal/store"
	"gatehouse/internal/store/writer"
)

// desk is what the verbs of the store have in common: which store, for whom, trusted by what, signed with what. What flags
// leave out is the function's environment.
type desk struct {
	store, stage, account, trust *string
	threshold                    *int
	keys                         *keyList // nil: the verb signs nothing
	json                         *bool
	begins                       bool // the verb makes a file: store where there is none
}

// keyList is a flag that may be given several times.
type keyList []string

func (k *keyList) String() string     { return strings.Join(*k, ",") }
func (k *keyList) Set(v string) error { *k = append(*k, v); return nil }

func deskFlags(f *flag.FlagSet, signs bool, document string) *desk {
	d := &desk{
		store:     f.String("store", "", "`address` of the store, ssm:/gatehouse/prod or file:DIR (default $GATEHOUSE_STORE)"),
		stage:     f.String("stage", "", "`stage` that the statements are for (default $GATEHOUSE_STAGE, or dev)"),
		account:   f.String("account", "", "AWS account that the statements are for, 12 `digits` (default: the one of $GATEHOUSE_APIS)"),
		trust:     f.String("trust", "", "`file` with the JWKS of the keys that count (default: the JWKS in $GATEHOUSE_TRUST)"),
		threshold: f.Int("threshold", 0, "`number` of them that must sign (default $GATEHOUSE_THRESHOLD, or 1)"),
		json:      f.Bool("json", false, "print the report as JSON (docs/schema/"+document+")"),
	}
	if signs {
		d.keys = new(keyList)
		f.Var(d.keys, "key", "release `key` to sign with: a file of `gatehouse keygen`, or kms:KEY-ID; several may be given")
	}
	return d
}

// open gives the ledger and the keys. Everything that is missing or wrong is named at once, before anything is written.
func (d *desk) open(ctx context.Context, env []string) (*ledger, []release.Signer, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	address := cmp.Or(*d.store, setting(env, "GATEHOUSE_STORE"))
	if address == "" {
		fault("no store: --store or GATEHOUSE_STORE")
	} else if a, err := store.ParseAddress(address); err != nil {
		fault("%w", err)
	} else if !a.SSM && !d.begins {
		if _, err := os.Stat(a.Root); errors.Is(err, fs.ErrNotExist) {
			fault("store %s: directory %s does not exist", a, a.Root)
		}
	}
	l := &ledger{scope: release.Scope{Account: *d.account, Stage: cmp.Or(*d.stage, setting(env, "GATEHOUSE_STAGE"), "dev")}}
	if l.scope.Account == "" {
		accounts, odd := accountsOf(setting(env, "GATEHOUSE_APIS"))
		switch {
		case odd != "":
			fault("no account: --account, or GATEHOUSE_APIS, of which %q is no account/api-id", odd)
		case len(accounts) != 1:
			fault("no account: --account, or GATEHOUSE_APIS with APIs of one account (it has %d)", len(accounts))
		default:
			l.scope.Account = accounts[0]
		}
	}
	if a, err := store.ParseAddress(address); err == nil && l.scope.Account != "" {
		l.scope.Root = a.Root
		if err := l.scope.Check(); err != nil {
			fault("%w", err)
		}
	}
	jwks, err := d.trusted(env)
	if err != nil {
		fault("%w", err)
	}
	threshold := cmp.Or(*d.threshold, 1)
	if text := setting(env, "GATEHOUSE_THRESHOLD"); *d.threshold == 0 && text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			fault("GATEHOUSE_THRESHOLD: %q is no number", text)
		} else {
			threshold = n // 0 too, which the function refuses as well
		}
	}
	if jwks != nil {
		if l.trust, err = release.ParseTrust(jwks, threshold); err != nil {
			fault("%w", err)
		}
	}
	var keys []release.Signer
	var away error
	if d.keys != nil {
		keys, away = d.signers(ctx, l.trust, fault)
	}
	if len(faults) > 0 {
		return nil, nil, &result{exitUsage, errors.Join(append(faults, away)...)}
	}
	if away != nil {
		return nil, nil, away
	}
	if l.reader, err = writer.OpenReader(ctx, address); err != nil {
		return nil, nil, err
	}
	if l.writer, err = writer.Open(ctx, address); err != nil {
		return nil, nil, err
	}
	return l, keys, nil
}

func (d *desk) trusted(env []string) ([]byte, error) {
	if *d.trust != "" {
		return input(*d.trust)
	}
	if text := setting(env, "GATEHOUSE_TRUST"); text != "" {
		return []byte(text), nil
	}
	return nil, errors.New("no trusted keys: --trust FILE or GATEHOUSE_TRUST; `gatehouse keygen` prints them")
}

// signers loads the keys. One that is not trusted would sign for nothing. One that KMS was not reached for is no fault of
// whoever named it. A key that is named twice signs once.
func (d *desk) signers(ctx context.Context, trust release.Trust, fault func(string, ...any)) (keys []release.Signer, away error) {
	if len(*d.keys) == 0 {
		fault("no key to sign with: --key FILE or --key kms:KEY-ID")
	}
	for _, name := range *d.keys {
		key, err := openKey(ctx, name)
		if unreached(err) {
			away = errors.Join(away, fmt.Errorf("--key %s: %w", name, err))
			continue
		}
		if err != nil {
			fault("--key %s: %w", name, err)
			continue
		}
		kid := keyID(key)
		if trust.Threshold() > 0 && !slices.Contains(trust.KeyIDs(), kid) {
			fault("--key %s: key %s is not one of the trusted keys: its signature would count for nothing", name, kid)
		}
		if !slices.ContainsFunc(keys, func(other release.Signer) bool { return keyID(other) == kid }) {
			keys = append(keys, key)
		}
	}
	return keys, away
}

// unreached says whether AWS was asked and did not answer.
func unreached(err error) bool {
	_, asked := errors.AsType[*smithy.OperationError](err)
	_, answered := errors.AsType[smithy.APIError](err)
	return asked && !answered
}

// maxInput bounds a file that somebody named, in bytes: a key, a set of keys or a configuration.
const maxInput = 1 << 20

// input reads a file that somebody named, or what a shell put in its place.
func input(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, misused("%w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxInput+1))
	if err != nil {
		return nil, misused("%w", err)
	}
	if len(content) > maxInput {
		return nil, misused("%s: more than %d bytes", name, maxInput)
	}
	return content, nil
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// openKey opens a key of a file or of KMS.
func openKey(ctx context.Context, name string) (release.Signer, error) {
	if id, ok := strings.CutPrefix(name, "kms:"); ok {
		return kms.Open(ctx, id)
	}
	return release.LoadKey(name)
}

// setting is a variable of an environment; the last of several counts.
func setting(env []string, name string) string {
	for _, entry := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// accountsOf gives the accounts of "account/api-id" pairs, and the first that is no pair.
func accountsOf(apis string) (accounts []string, odd string) {
	if apis == "" {
		return nil, ""
	}
	for pair := range strings.SplitSeq(apis, ",") {
		account, _, ok := strings.Cut(pair, "/")
		if !ok {
			return nil, pair
		}
		accounts = append(accounts, account)
	}
	slices.Sort(accounts)
	return slices.Compact(accounts), ""
}

// number reads the argument of a verb that is a release's number.
func number(text, what string) (int64, error) {
	if text == "" {
		return 0, misused("which %s? Its number is wanted", what)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, misused("%q: want the number of a %s", text, what)
	}
	return n, nil
}

// releaseReport is what publish and sign print with --json (docs/schema/release-report.json).
type releaseReport struct {
	Version   string          `json:"version"`
	Release   int64           `json:"release"`
	Bundle    release.Content `json:"bundle"`
	Engine    string          `json:"engine"`
	Signers   []string        `json:"signers"`
	Threshold int             `json:"threshold"`
	Complete  bool            `json:"complete"`        // enough signatures: it can be activated
	Noted     string          `json:"noted,omitempty"` // what was found that somebody should know
}

// reportRelease says what was signed, and what comes next of it as the store is now.
func (d *desk) reportRelease(ctx context.Context, w io.Writer, l *ledger, s *statement[release.Release]) error {
	b, err := l.read(ctx)
	if err != nil {
		return fmt.Errorf("release %d is signed; then: %w", s.says.Number, err)
	}
	r := releaseReport{reportVersion, s.says.Number, s.says.Bundle, s.says.Engine, s.signers, l.trust.Threshold(), b.complete(s.signers), ""}
	noted := beyond("releases", b.releases, reach(b.releases, 0, b.complete))
	if len(noted) > 0 {
		r.Noted = errors.Join(noted...).Error()
	}
	if *d.json {
		return writeJSON(w, r)
	}
	next := fmt.Sprintf("gatehouse activate %d --key KEY", r.Release)
	switch {
	case !r.Complete:
		next = fmt.Sprintf("another signer runs `gatehouse sign %d --key KEY`", r.Release)
	case b.active != nil && inForce(b.active.says, time.Now()).Bundle == s.says.Bundle:
		next = "nothing: it is active already"
	case b.last() == nil:
		next = fmt.Sprintf("gatehouse activate %d --auth0 FILE --key KEY", r.Release)
	}
	_, err = fmt.Fprintf(w, "%srelease   %d\nbundle    %s, %s\nsigned    %d of %d: %s\nnext      %s\n",
		notes(r.Noted), r.Release, r.Bundle.Digest, plural(r.Bundle.Parts, "part"), len(r.Signers), r.Threshold, strings.Join(r.Signers, " "), next)
	return err
}

// notes are what was found, a line each.
func notes(noted string) string {
	var b strings.Builder
	for line := range strings.Lines(noted) {
		fmt.Fprintf(&b, "note      %s\n", strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}

// activationReport is what activate, rollback, candidate and auth0 put print with --json (docs/schema/activation-report.json).
type activationReport struct {
	Version   string              `json:"version"`
	Active    bool                `json:"active"`            // it took effect; otherwise signatures are missing
	DryRun    bool                `json:"dry_run,omitempty"` // or nothing was written
	Says      release.Activation  `json:"activation"`
	Before    *release.Activation `json:"before,omitempty"`
	Back      int64               `json:"back,omitempty"` // of a rollback: the activation that said this first
	Changed   []string            `json:"changed"`
	Signers   []string            `json:"signers"`
	Threshold int                 `json:"threshold"`
	Noted     string              `json:"noted,omitempty"` // what was found that somebody should know
	Flushed   []string            `json:"flushed,omitempty"`
}

func (d *desk) reportActivation(w io.Writer, l *ledger, a *activated, flushed []string) error {
	r := activationReport{
		Version: reportVersion, Active: a.effect, DryRun: a.dry, Says: a.says, Before: a.before, Back: a.back, Changed: changed(a.before, a.says), Signers: append([]string{}, a.signers...),
		Threshold: l.trust.Threshold(), Flushed: flushed,
	}
	if a.noted != nil {
		r.Noted = a.noted.Error()
	}
	if r.Changed == nil {
		r.Changed = []string{}
	}
	if a.begun {
		r.Before = nil
	}
	if *d.json {
		return writeJSON(w, r)
	}
	var b strings.Builder
	b.WriteString(notes(r.Noted))
	state := "active   "
	switch {
	case a.begun:
		state = "active    already,"
	case r.DryRun:
		state = "would be "
	case !r.Active:
		state = "proposed "
	}
	fmt.Fprintf(&b, "%s activation %d: release %d, bundle %s, auth0 %s\n", state, r.Says.Sequence, r.Says.Release, short12(r.Says.Bundle.Digest), short12(r.Says.Auth0.Digest))
	if r.Says.NotAfter != nil {
		fmt.Fprintf(&b, "until     %s, then release %d\n", r.Says.NotAfter.Format(time.RFC3339), r.Says.Fallback.Release)
	}
	if r.Says.Candidate != nil {
		fmt.Fprintf(&b, "candidate release %d\n", r.Says.Candidate.Release)
	}
	if r.Back != 0 && !a.begun {
		fmt.Fprintf(&b, "back      to activation %d\n", r.Back)
	}
	if r.Before != nil {
		fmt.Fprintf(&b, "before    activation %d: release %d, bundle %s, auth0 %s\n", r.Before.Sequence, r.Before.Release, short12(r.Before.Bundle.Digest), short12(r.Before.Auth0.Digest))
	}
	if len(r.Changed) == 0 {
		fmt.Fprintf(&b, "changed   nothing\n")
	} else {
		fmt.Fprintf(&b, "changed   %s\n", strings.Join(r.Changed, ", "))
	}
	if r.DryRun {
		fmt.Fprintf(&b, "next      the same without --dry-run; nothing was written\n")
	} else {
		fmt.Fprintf(&b, "signed    %d of %d: %s\n", len(r.Signers), r.Threshold, strings.Join(r.Signers, " "))
	}
	switch {
	case r.DryRun || r.Active:
	case r.Says.NotAfter != nil:
		fmt.Fprintf(&b, "next      another signer runs the same command with another --key and --not-after %s; nothing has changed yet\n", r.Says.NotAfter.Format(time.RFC3339))
	default:
		fmt.Fprintf(&b, "next      another signer runs the same command with another --key; nothing has changed yet\n")
	}
	for _, api := range flushed {
		fmt.Fprintf(&b, "flushed   %s\n", api)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// short12 is the beginning of a digest, for people.
func short12(digest string) string { return digest[:min(12, len(digest))] }
