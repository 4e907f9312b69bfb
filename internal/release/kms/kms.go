// Package kms signs statements with a key that stays in AWS KMS. The command line alone links it.
package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

const (
	algorithm  = types.SigningAlgorithmSpecEcdsaSha256
	maxMessage = 4096             // bytes (KMS: Sign). What is signed of a statement is less than the statement
	timeout    = 15 * time.Second // of an operation, with the SDK's own retries
)

// signer holds a context because crypto.Signer has none to pass: what ends it ends signing too.
type signer struct {
	ctx    context.Context
	client *kms.Client
	arn    string // what Open found: an alias may point to another key later
	public *ecdsa.PublicKey
}

// Open finds a key by its id, ARN, alias or alias ARN, in the account and region of the process's AWS configuration. Its
// key spec must be ECC_NIST_P256 and its usage SIGN_VERIFY. Signing ends with ctx.
func Open(ctx context.Context, keyID string) (crypto.MessageSigner, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("kms: configuration: %w", err)
	}
	s := signer{ctx: ctx, client: kms.NewFromConfig(cfg)}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := s.client.GetPublicKey(limited, &kms.GetPublicKeyInput{KeyId: &keyID})
	if err != nil {
		return nil, fmt.Errorf("kms: public key of %q: %w", keyID, err)
	}
	// What the key can do and the key itself are asked, not what its spec is called: some servers leave that out.
	var faults []error
	if answer.KeyUsage != types.KeyUsageTypeSignVerify {
		faults = append(faults, fmt.Errorf("its usage is %q, want %s", answer.KeyUsage, types.KeyUsageTypeSignVerify))
	}
	if !slices.Contains(answer.SigningAlgorithms, algorithm) {
		faults = append(faults, fmt.Errorf("it signs by %q, want %s, of key spec %s", answer.SigningAlgorithms, algorithm, types.KeySpecEccNistP256))
	}
	public, err := x509.ParsePKIXPublicKey(answer.PublicKey)
	if err != nil {
		faults = append(faults, fmt.Errorf("its public key is none of key spec %s: %w", types.KeySpecEccNistP256, err))
	} else if p, ok := public.(*ecdsa.PublicKey); !ok || p.Curve != elliptic.P256() {
		faults = append(faults, fmt.Errorf("its public key is a %T, want one of key spec %s", public, types.KeySpecEccNistP256))
	} else {
		s.public = p
	}
	if faults != nil {
		return nil, fmt.Errorf("kms: key %q: %w", keyID, errors.Join(faults...))
	}
	s.arn = aws.ToString(answer.KeyId)
	return s, nil
}

func (s signer) Public() crypto.PublicKey { return s.public }

// SignMessage has KMS hash a message and sign it. What it answers, in DER, is given only if it verifies. The source of
// randomness is KMS's own.
func (s signer) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(message) > maxMessage {
		return nil, fmt.Errorf("kms: sign: %d bytes, at most %d", len(message), maxMessage)
	}
	digest := sha256.Sum256(message)
	return s.sign(types.MessageTypeRaw, message, digest[:], opts)
}

// Sign likewise has KMS sign a digest.
func (s signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(types.MessageTypeDigest, digest, digest, opts)
}

func (s signer) sign(messageType types.MessageType, message, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, fmt.Errorf("kms: sign: a digest of %d bytes of %s, want one of SHA-256", len(digest), opts.HashFunc())
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	answer, err := s.client.Sign(ctx, &kms.SignInput{KeyId: &s.arn, Message: message, MessageType: messageType, SigningAlgorithm: algorithm})
	if err != nil {
		return nil, fmt.Errorf("kms: sign with %s: %w", s.arn, err)
	}
	if !ecdsa.VerifyASN1(s.public, digest, answer.Signature) {
		return nil, fmt.Errorf("kms: sign with %s: the answer is no signature of this by this key", s.arn)
	}
	return answer.Signature, nil
}
