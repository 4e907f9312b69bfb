package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"strings"

	"gatehouse/internal/release"
)

// keygen makes a release key, or the trust set of several.
func keygen(ctx context.Context, args []string, s stdio) error {
	f := flags("keygen", "FILE | --public KEY...")
	public := f.Bool("public", false, "print one JWKS of the public keys of several: files of private or public keys, or kms:KEY-ID")
	if err := parse(f, args, 64, s.out); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return misused("want the file to write the new key to, or --public and keys")
	}
	if f.NArg() > 1 && !*public {
		return misused("unexpected argument %q", f.Arg(1))
	}
	var keys []*ecdsa.PublicKey
	if *public {
		for _, name := range f.Args() {
			of, err := publicKeys(ctx, name)
			var r *result
			switch {
			case errors.As(err, &r):
				return err
			case unreached(err):
				return fmt.Errorf("%s: %w", name, err)
			case err != nil:
				return refused("%s: %w", name, err)
			}
			keys = append(keys, of...)
		}
	} else {
		jwk, err := release.GenerateKey()
		if err != nil {
			return err
		}
		if err := release.WriteKey(f.Arg(0), jwk); err != nil {
			if _, statErr := os.Lstat(f.Arg(0)); statErr == nil {
				err = fmt.Errorf("%w; if it is a key, `gatehouse keygen --public %s` prints its public half", err, f.Arg(0))
			}
			return refused("%w", err)
		}
		if keys, err = release.PublicKeys(jwk); err != nil {
			return err
		}
	}
	jwks, err := release.PublicJWKS(keys...)
	if err != nil {
		return refused("%w", err)
	}
	_, err = s.out.Write(append(jwks, '\n'))
	return err
}

// publicKeys gives the public keys of a file or of KMS. Of a private one nothing but its public half is used, so that its
// mode is not asked.
func publicKeys(ctx context.Context, name string) ([]*ecdsa.PublicKey, error) {
	if strings.HasPrefix(name, "kms:") {
		key, err := openKey(ctx, name)
		if err != nil {
			return nil, err
		}
		return []*ecdsa.PublicKey{key.Public().(*ecdsa.PublicKey)}, nil
	}
	doc, err := input(name)
	if err != nil {
		return nil, err
	}
	return release.PublicKeys(doc)
}
