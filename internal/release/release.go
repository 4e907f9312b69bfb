// Package release is the signed statements of the store: that a bundle was released, and what is active. A statement says
// what it is for (its kind, account, root and stage), so that none passes for another, and has one spelling, so that it is
// the same bytes whoever makes or signs it.
package release

import (
	"crypto"
	"time"
)

// The kinds of statement.
const (
	KindRelease    = "release"
	KindActivation = "activation"
)

// Version is the version of the statements.
const Version = "v1"

// MaxStatement bounds a statement with its signatures, in bytes: what one standard parameter holds.
const MaxStatement = 4096

// Scope is where a statement counts, and nowhere else.
type Scope struct {
	Account string `json:"account"` // the AWS account's 12 digits
	Root    string `json:"root"`    // the store's, as store.Reader.Root gives it
	Stage   string `json:"stage"`
}

// Content names immutable content of the store: bundles/DIGEST/1 to PARTS, or auth0/DIGEST/1 to PARTS.
type Content struct {
	Digest string `json:"digest"` // hexadecimal SHA-256, lower case
	Parts  int    `json:"parts"`
}

// Target is the bundle of a release.
type Target struct {
	Release int64   `json:"release"`
	Bundle  Content `json:"bundle"`
}

// Release says that a bundle was admitted as a number by an engine.
type Release struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
	Scope
	Number int64   `json:"number"` // from 1
	Bundle Content `json:"bundle"`
	Engine string  `json:"engine"`           // "opa v1.22.2"
	Report string  `json:"report,omitempty"` // digest of the admission report
}

// Activation says what is active. It alone is what the function verifies.
type Activation struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
	Scope
	Sequence  int64      `json:"sequence"` // from 1, never lower than one seen before
	Release   int64      `json:"release"`
	Bundle    Content    `json:"bundle"`
	Auth0     Content    `json:"auth0"`
	Candidate *Target    `json:"candidate,omitempty"` // evaluated, never answers
	NotAfter  *time.Time `json:"not_after,omitempty"` // break-glass: whole seconds of UTC, then Fallback takes over
	Fallback  *Target    `json:"fallback,omitempty"`  // there with NotAfter, and only then
}

// Signature is one key's signature over a statement (RFC 7515 §7.2.1: one entry of "signatures").
type Signature struct {
	Protected string `json:"protected"` // base64url of {"alg":"ES256","kid":…,"typ":…}
	Signature string `json:"signature"` // base64url
}

// Signer signs statements: a key of a file, or one of KMS. Public gives an *ecdsa.PublicKey on P-256. One that is a
// [crypto.MessageSigner] gets the whole to sign, another its SHA-256.
type Signer = crypto.Signer
