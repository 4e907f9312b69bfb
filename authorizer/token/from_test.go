package token

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A verifier that succeeds another one keeps what that one knew of an issuer's keys, though the issuer is down; and believes
// no token for that.
func TestFromKeepsTheKeysAndNotTheTokens(t *testing.T) {
	i := newLoopIssuer(t)
	v1 := verifierFor(t, i.url, nil, nil)
	token := bearerOf(i.url, "a", nil)
	expects(t, v1, token, t0, accepted)
	i.fetched(t, 1)
	i.says(503, "down")

	same := verifierWith(t, i.url, Options{From: v1}, nil)
	if err := same.Warm(t.Context(), t0.Add(time.Minute)); err != nil {
		t.Errorf("warm: %v", err)
	}
	expects(t, same, token, t0.Add(time.Minute), accepted)
	i.fetched(t, 0)

	stricter := verifierWith(t, i.url, Options{From: v1}, jsonObject{"audiences": []any{"https://other.example.com"}})
	expects(t, stricter, token, t0.Add(time.Minute), CodeAudienceMismatch)
	i.fetched(t, 0)
}

// An issuer whose keys are to be got in another way is asked.
func TestFromAsksWhereTheKeysAreOthers(t *testing.T) {
	for name, changes := range map[string]jsonObject{
		"another address":     {"jwks_uri": "http://127.0.0.1:1/other"},
		"another algorithm":   {"algorithms": []any{"RS256", "ES256"}},
		"another soft age":    {"jwks_soft": "1m"},
		"another hard age":    {"jwks_hard": "23h"},
		"other keys to start": {"jwks": jsonObject{"keys": []any{jwkOf("b", keyB(), nil)}}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newLoopIssuer(t)
			v1 := verifierFor(t, i.url, nil, nil)
			token := bearerOf(i.url, "a", nil)
			expects(t, v1, token, t0, accepted)
			i.fetched(t, 1)
			i.says(503, "down")
			if _, code, _ := authenticate(t, verifierWith(t, i.url, Options{From: v1}, changes), token, t0); code == accepted {
				t.Error("the keys of before were kept")
			}
		})
	}
}

// panicking is a transport with a fault of its own.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("with a secret") }

// A panic in the goroutine that fetches keys ends the fetch, and not the process.
func TestWarmOutlivesAPanic(t *testing.T) {
	err := verifierFor(t, testIssuer, panicking{}, nil).Warm(t.Context(), t0)
	if err == nil || err.Error() != "warm issuer "+testIssuer+": the fetch did not return" || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
