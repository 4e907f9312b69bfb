package kms_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/release"
	"gatehouse/internal/release/kms"
	"gatehouse/test/moto"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// environment points the SDK at a server, and at no configuration of whoever runs the tests.
func environment(t *testing.T, env ...string) {
	t.Helper()
	for _, e := range append(env, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_PROFILE=") {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	os.Unsetenv("AWS_PROFILE") // restored like the others; empty it would be a name
}

// TestStatementsSignedByKMS signs with moto's KMS, which is not ours, until short and long integers have come.
func TestStatementsSignedByKMS(t *testing.T) {
	server := moto.Start(t)
	environment(t, server.Env...)
	var made struct {
		KeyMetadata struct {
			KeyID string `json:"KeyId"`
			ARN   string `json:"Arn"`
		}
	}
	out := server.CLI(t, "kms", "create-key", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY", "--output", "json")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	server.CLI(t, "kms", "create-alias", "--alias-name", "alias/release", "--target-key-id", made.KeyMetadata.KeyID)
	var public *ecdsa.PublicKey
	for _, id := range []string{made.KeyMetadata.KeyID, made.KeyMetadata.ARN, "alias/release"} {
		key, err := kms.Open(t.Context(), id)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if public == nil {
			public = key.Public().(*ecdsa.PublicKey)
		}
		trust, err := release.ParseTrust(must(release.PublicJWKS(public)), 1)
		if err != nil {
			t.Fatal(err)
		}
		in := release.Scope{Account: "123456789012", Root: "/gatehouse/prod", Stage: "prod"}
		for n := range int64(100) {
			payload := must(release.Payload(release.Release{
				Kind: release.KindRelease, Version: release.Version, Scope: in, Number: n + 1,
				Bundle: release.Content{Digest: strings.Repeat("a", 64), Parts: 1}, Engine: "opa v1.22.2",
			}))
			s, err := release.Sign(release.KindRelease, payload, key)
			if err != nil {
				t.Fatal(err)
			}
			if _, signers, err := trust.Release(payload, []release.Signature{s}, in); err != nil || len(signers) != 1 || signers[0] != release.KeyID(public) {
				t.Fatalf("%q: %v", signers, err)
			}
		}
	}
	for spec, want := range map[string]string{
		"RSA_2048":        "its public key is a *rsa.PublicKey, want one of key spec ECC_NIST_P256",
		"ECC_NIST_P384":   `it signs by ["ECDSA_SHA_384"], want ECDSA_SHA_256, of key spec ECC_NIST_P256`,
		"ECC_SECG_P256K1": "its public key is none of key spec ECC_NIST_P256",
	} {
		out := server.CLI(t, "kms", "create-key", "--key-spec", spec, "--key-usage", "SIGN_VERIFY", "--output", "json")
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatal(err)
		}
		if _, err := kms.Open(t.Context(), made.KeyMetadata.KeyID); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
	if _, err := kms.Open(t.Context(), "alias/none"); err == nil || !strings.Contains(err.Error(), `kms: public key of "alias/none": `) || !strings.Contains(err.Error(), "NotFoundException") {
		t.Error(err)
	}
}

// fake is a KMS whose answers are given: members of GetPublicKey's, and Sign's signature; without that it refuses to sign.
func fake(t *testing.T, public map[string]any, sign func(digest []byte) []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer := public
		if r.Header.Get("X-Amz-Target") == "TrentService.Sign" {
			var asked struct {
				KeyID            string `json:"KeyId"`
				Message          []byte
				MessageType      string
				SigningAlgorithm string
			}
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.KeyID != "arn" || asked.MessageType != "DIGEST" && asked.MessageType != "RAW" || asked.SigningAlgorithm != "ECDSA_SHA_256" {
				t.Errorf("%+v, %v", asked, err)
			}
			if sign == nil {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"__type":"DisabledException","message":"it is disabled"}`))
				return
			}
			digest := asked.Message
			if asked.MessageType == "RAW" {
				sum := sha256.Sum256(asked.Message)
				digest = sum[:]
			}
			answer = map[string]any{"KeyId": "arn", "Signature": sign(digest), "SigningAlgorithm": "ECDSA_SHA_256"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	environment(t, "AWS_ENDPOINT_URL="+server.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y")
}

func answerOf(public any) map[string]any {
	return map[string]any{"KeyId": "arn", "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": []string{"ECDSA_SHA_256"}, "PublicKey": must(x509.MarshalPKIXPublicKey(public))}
}

func newKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}

func TestOpenRefuses(t *testing.T) {
	good := newKey(elliptic.P256()).Public()
	with := func(name string, value any) map[string]any {
		a := answerOf(good)
		a[name] = value
		return a
	}
	all := with("KeyUsage", "ENCRYPT_DECRYPT")
	all["SigningAlgorithms"], all["PublicKey"] = nil, must(x509.MarshalPKIXPublicKey(newKey(elliptic.P384()).Public()))
	for name, c := range map[string]struct {
		answer map[string]any
		want   []string
	}{
		"usage":      {with("KeyUsage", "KEY_AGREEMENT"), []string{`its usage is "KEY_AGREEMENT", want SIGN_VERIFY`}},
		"algorithm":  {with("SigningAlgorithms", []string{"SM2DSA"}), []string{`it signs by ["SM2DSA"], want ECDSA_SHA_256`}},
		"all":        {all, []string{`its usage is "ENCRYPT_DECRYPT"`, "it signs by []", "its public key is a *ecdsa.PublicKey, want"}},
		"nothing":    {map[string]any{}, []string{`its usage is ""`, "it signs by []", "its public key is none"}},
		"no key":     {with("PublicKey", []byte("x")), []string{`kms: key "id": its public key is none of key spec ECC_NIST_P256: `}},
		"an RSA key": {answerOf(must(rsa.GenerateKey(rand.Reader, 2048)).Public()), []string{"its public key is a *rsa.PublicKey, want"}},
	} {
		fake(t, c.answer, nil)
		key, err := kms.Open(t.Context(), "id")
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) || key != nil {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "many")
	if _, err := kms.Open(t.Context(), "id"); err == nil || !strings.Contains(err.Error(), "kms: configuration: ") {
		t.Error(err)
	}
}

// TestSign signs digests, which moto hashes once more, and messages.
func TestSign(t *testing.T) {
	private := newKey(elliptic.P256())
	fake(t, answerOf(private.Public()), func(digest []byte) []byte { return must(ecdsa.SignASN1(rand.Reader, private, digest)) })
	key, err := kms.Open(t.Context(), "id")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 4096, 4097} {
		message := make([]byte, n)
		digest := sha256.Sum256(message)
		for name, sign := range map[string]func() ([]byte, error){
			"digest":  func() ([]byte, error) { return key.Sign(rand.Reader, digest[:], crypto.SHA256) },
			"message": func() ([]byte, error) { return key.SignMessage(rand.Reader, message, crypto.SHA256) },
		} {
			sig, err := sign()
			switch {
			case name == "message" && n > 4096:
				if err == nil || !strings.Contains(err.Error(), "kms: sign: 4097 bytes, at most 4096") {
					t.Error(err)
				}
			case err != nil || !ecdsa.VerifyASN1(&private.PublicKey, digest[:], sig):
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	private := newKey(elliptic.P256())
	digest := sha256.Sum256([]byte("x"))
	for name, c := range map[string]struct {
		digest []byte
		hash   crypto.Hash
		sign   func([]byte) []byte
		want   string
	}{
		"another hash":    {digest[:], crypto.SHA384, nil, "kms: sign: a digest of 32 bytes of SHA-384, want one of SHA-256"},
		"no digest":       {digest[:31], crypto.SHA256, nil, "kms: sign: a digest of 31 bytes of SHA-256"},
		"disabled":        {digest[:], crypto.SHA256, nil, "kms: sign with arn: "},
		"another message": {digest[:], crypto.SHA256, func([]byte) []byte { return must(ecdsa.SignASN1(rand.Reader, private, make([]byte, 32))) }, "is no signature of this by this key"},
		"another key":     {digest[:], crypto.SHA256, func(d []byte) []byte { return must(ecdsa.SignASN1(rand.Reader, newKey(elliptic.P256()), d)) }, "is no signature of this by this key"},
		"raw":             {digest[:], crypto.SHA256, func([]byte) []byte { return make([]byte, 64) }, "is no signature of this by this key"},
		"nothing":         {digest[:], crypto.SHA256, func([]byte) []byte { return nil }, "is no signature of this by this key"},
	} {
		fake(t, answerOf(private.Public()), c.sign)
		key, err := kms.Open(t.Context(), "id")
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := key.Sign(rand.Reader, c.digest, c.hash); err == nil || !strings.Contains(err.Error(), c.want) || sig != nil {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestWhoeverOpenedAKeyCanStop: a KMS that does not answer is waited for no longer than the caller wants.
func TestWhoeverOpenedAKeyCanStop(t *testing.T) {
	private := newKey(elliptic.P256())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	defer close(done)
	fake(t, answerOf(private.Public()), func([]byte) []byte {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("still waiting")
		}
		return nil
	})
	key, err := kms.Open(ctx, "id")
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("x"))
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Error(err)
	}
	if _, err := kms.Open(ctx, "id"); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Error(err)
	}
}
