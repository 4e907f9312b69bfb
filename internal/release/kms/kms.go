// Package kms signs statements with a key that stays in AWS KMS. The command line alone links it.
package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// timeout bounds each operation, with the SDK's own retries.
const timeout = 15 * time.Second

// signer holds a context because crypto.Signer has none to pass: what ends it ends signing too.
type signer struct {
	ctx    context.Context
	client *kms.Client
	arn    string // what Open found: an alias may point to another key later
	public *ecdsa.PublicKey
}

// Open finds a key by its id, ARN, alias or alias ARN, in the account and region of the process's AWS configuration. It
// must be one of ECC_NIST_P256 for SIGN_VERIFY. Signing ends with ctx.
func Open(ctx context.Context, keyID string) (crypto.Signer, error) {
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
	var faults []error
	if answer.KeySpec != types.KeySpecEccNistP256 {
		faults = append(faults, fmt.Errorf("its key spec is %s, want %s", answer.KeySpec, types.KeySpecEccNistP256))
	}
	if answer.KeyUsage != types.KeyUsageTypeSignVerify {
		faults = append(faults, fmt.Errorf("its key usage is %s, want %s", answer.KeyUsage, types.KeyUsageTypeSignVerify))
	}
	if faults != nil {
		return nil, fmt.Errorf("kms: key %q: %w", keyID, errors.Join(faults...))
	}
	public, err := x509.ParsePKIXPublicKey(answer.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("kms: public key of %q: %w", keyID, err)
	}
	var ok bool
	if s.public, ok = public.(*ecdsa.PublicKey); !ok || s.public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("kms: public key of %q: a %T that is not on P-256", keyID, public)
	}
	s.arn = aws.ToString(answer.KeyId)
	return s, nil
}

func (s signer) Public() crypto.PublicKey { return s.public }

// Sign has KMS sign a SHA-256 digest. What it answers, in DER, is given only if it verifies. The source of randomness is
// KMS's own.
func (s signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return nil, fmt.Errorf("kms: sign: %d bytes of %s, want a digest of SHA-256", len(digest), opts.HashFunc())
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	answer, err := s.client.Sign(ctx, &kms.SignInput{
		KeyId:            &s.arn,
		Message:          digest,
		MessageType:      types.MessageTypeDigest,
		SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	if err != nil {
		return nil, fmt.Errorf("kms: sign with %s: %w", s.arn, err)
	}
	if !ecdsa.VerifyASN1(s.public, digest, answer.Signature) {
		return nil, fmt.Errorf("kms: sign with %s: the answer is no signature of the digest by this key", s.arn)
	}
	return answer.Signature, nil
}
