package test

import (
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/internal/issuer"
)

// spaOrigin is where the issuer expects the single-page application. Nothing listens there: the SDK runs in the test.
const spaOrigin = "http://127.0.0.1:8790"

// Auth0's own SDK logs a sample person in at the local issuer, renews the token in each of its ways, and logs out; the
// local gateway takes every token that it gets.
func TestAuth0SDK(t *testing.T) {
	s := serve(t)
	for _, tt := range []struct {
		person, subject, organization string
		profile                       int
	}{
		{"customer", "auth0|cust", "", 200},
		{"support", "auth0|supp", "org_home", 200},
		{"suspended", "auth0|susp", "", 403},
		{"outsider", "auth0|out", "org_other", 403},
	} {
		t.Run(tt.person, func(t *testing.T) {
			var got struct {
				Before, After, Again     string
				Callback                 string
				AppState                 map[string]string
				User                     map[string]any
				First, Refreshed, Silent string
				Cached, Authenticated    bool
				AfterLogin, AfterRefresh string
				AfterSilent              string
				Logout                   struct {
					Status int
					URL    string
				}
			}
			page := node(t, "spa/session.mjs", "ISSUER="+s.issuer, "SPA="+spaOrigin, "PERSON="+tt.person, "AUDIENCE="+issuer.Audience, "ORGANIZATION="+tt.organization)
			page.read(t, &got)
			if err := page.wait(t); err != nil {
				t.Error(err)
			}
			if got.Before != "login_required" || got.After != "login_required" || got.Authenticated {
				t.Errorf("before the login %q, after the logout %q, still logged in: %v", got.Before, got.After, got.Authenticated)
			}
			if got.Callback != spaOrigin || got.AppState["back"] != "/orders" {
				t.Errorf("came back to %q with %v", got.Callback, got.AppState)
			}
			if got.Again == "none" {
				t.Error("the same callback a second time passes")
			}
			if got.User["sub"] != tt.subject || got.User["email"] != tt.person+"@example.com" || got.User["org_id"] == "" {
				t.Errorf("user %v", got.User)
			}
			const once = "authorization_code"
			if got.AfterLogin != once || !got.Cached || got.AfterRefresh != once+" refresh_token refresh_token" || got.AfterSilent != got.AfterRefresh+" "+once {
				t.Errorf("token requests: %q, %q, %q; from the cache: %v", got.AfterLogin, got.AfterRefresh, got.AfterSilent, got.Cached)
			}
			if got.Logout.Status != 302 || got.Logout.URL != spaOrigin {
				t.Errorf("logout: %+v", got.Logout)
			}
			for name, token := range map[string]string{"first": got.First, "refreshed": got.Refreshed, "silent": got.Silent} {
				if claims := claimsOf(t, token); claims["sub"] != tt.subject || claims["azp"] != "spa" {
					t.Errorf("%s token: %v", name, claims)
				}
				for _, api := range []string{s.rest, s.http} {
					if got := call(t, "GET", api+"/profile", "Bearer "+token, ""); got.status != tt.profile {
						t.Errorf("%s token: GET %s/profile: %d, want %d: %s", name, api, got.status, tt.profile, got.content)
					}
				}
			}
		})
	}
}

// Rotated while everything runs: what was signed before stays good, what is signed from then on is good at once, since the
// next key was published all along; revoked, the keys of before are published no longer.
func TestRotateWhileRunning(t *testing.T) {
	s := serve(t)
	profile := func(token string) int { return call(t, "GET", s.http+"/profile", "Bearer "+token, "").status }
	rotate := func(flags ...string) (ids struct{ Current, Next, Previous string }) {
		t.Helper()
		out, err := exec.Command(gatehouse(t), append([]string{"rotate", "--json", "--keys", s.keys}, flags...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &ids); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	published := func() string { return call(t, "GET", s.issuer+".well-known/jwks.json", "", "").content }

	before := s.token(t, "--as", "customer")
	if got := profile(before); got != 200 {
		t.Fatalf("before: %d", got)
	}
	ids := rotate()
	after := s.token(t, "--as", "customer")
	if a, b := profile(before), profile(after); a != 200 || b != 200 {
		t.Errorf("after the rotation: %d with the token of before, %d with a new one", a, b)
	}
	for _, id := range []string{ids.Current, ids.Next, ids.Previous} {
		if id == "" || !strings.Contains(published(), id) {
			t.Errorf("key %q is not published", id)
		}
	}
	revoked := rotate("--revoke")
	if got := published(); revoked.Previous != "" || revoked.Current != ids.Next || strings.Contains(got, ids.Current) || strings.Contains(got, ids.Previous) ||
		!strings.Contains(got, revoked.Next) {
		t.Errorf("revoked to %+v, published: %s", revoked, got)
	}
}

// claimsOf reads a token's claims, unverified.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts, want a JWT", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
