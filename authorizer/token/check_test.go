package token

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// checkedConfig is a configuration of these issuers.
func checkedConfig(t *testing.T, issuers ...jsonObject) Config {
	t.Helper()
	doc := stdDocument()
	list := make([]any, len(issuers))
	for n, issuer := range issuers {
		list[n] = changed(jsonObject{"audiences": []any{testAudience}}, issuer)
	}
	doc["issuers"] = list
	c, err := ParseConfig([]byte(marshal(doc)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheck(t *testing.T) {
	const one, two = "https://one.eu.auth0.com/", "https://two.eu.auth0.com/"
	a, b := jwkOf("a", keyA(), nil), jwkOf("b", keyB(), nil)
	set := func(keys ...jsonObject) jsonObject { return jsonObject{"keys": append([]jsonObject{}, keys...)} }
	ok := func(issuer string, keys ...string) IssuerCheck {
		return IssuerCheck{Issuer: issuer, State: "ok", Keys: keys}
	}
	for name, tt := range map[string]struct {
		issuers  []jsonObject
		served   map[string]string // JWKS by issuer; one that is not there answers 503
		want     []IssuerCheck
		faults   []string
		unusable bool
	}{
		"keys that are served": {
			issuers: []jsonObject{{"issuer": one}, {"issuer": two, "jwks": set()}},
			served:  map[string]string{one: jwksOf(b, a), two: jwksOf(b)},
			want:    []IssuerCheck{ok(one, "a", "b"), ok(two, "b")},
		},
		"the keys of the configuration": {
			issuers: []jsonObject{{"issuer": one, "jwks": set(a, b)}},
			served:  map[string]string{one: jwksOf(b, a)},
			want:    []IssuerCheck{ok(one, "a", "b")},
		},
		"pinned, and nobody is asked": {
			issuers: []jsonObject{{"issuer": one, "pinned": true, "jwks": set(b, a)}},
			want:    []IssuerCheck{{Issuer: one, State: "pinned", Keys: []string{"a", "b"}}},
		},
		"other keys than in the configuration": {
			issuers: []jsonObject{{"issuer": one, "jwks": set(a, jwkOf("gone", keyB(), nil))}},
			served:  map[string]string{one: jwksOf(jwkOf("a", keyB(), nil), b)},
			want: []IssuerCheck{{Issuer: one, State: "ok", Keys: []string{"a", "b"}, Warnings: []string{
				`key "a" is another one than in the configuration`,
				`key "gone" of the configuration is served no more`,
				`key "b" is served and not in the configuration`,
			}}},
		},
		"no usable key": {
			issuers:  []jsonObject{{"issuer": one}, {"issuer": two}},
			served:   map[string]string{one: jwksOf(jwkOf("a", weak(), nil)), two: jwksOf(a)},
			want:     []IssuerCheck{{Issuer: one, State: "unusable", Keys: []string{}}, ok(two, "a")},
			faults:   []string{"issuer " + one + ": unusable keys: ", "no usable key"},
			unusable: true,
		},
		"keys for another algorithm": {
			issuers:  []jsonObject{{"issuer": one, "algorithms": []any{"ES256"}}},
			served:   map[string]string{one: jwksOf(a)},
			want:     []IssuerCheck{{Issuer: one, State: "unusable", Keys: []string{}}},
			faults:   []string{"issuer " + one + ": unusable keys: "},
			unusable: true,
		},
		"unreachable": {
			issuers: []jsonObject{{"issuer": one, "jwks": set(a)}, {"issuer": two}},
			want:    []IssuerCheck{{Issuer: one, State: "unreachable", Keys: []string{}}, {Issuer: two, State: "unreachable", Keys: []string{}}},
			faults:  []string{"issuer " + one + ": ", "status 503", "issuer " + two + ": "},
		},
		"unreachable and unusable": { // what is known counts
			issuers:  []jsonObject{{"issuer": one}, {"issuer": two}},
			served:   map[string]string{two: `{"keys":[]}`},
			want:     []IssuerCheck{{Issuer: one, State: "unreachable", Keys: []string{}}, {Issuer: two, State: "unusable", Keys: []string{}}},
			faults:   []string{"issuer " + two + ": unusable keys: "},
			unusable: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			byURL := map[string]string{}
			for issuer, keys := range tt.served {
				byURL[issuer+".well-known/jwks.json"] = keys
			}
			got, err := Check(t.Context(), checkedConfig(t, tt.issuers...), Options{Transport: serve(byURL)}, t0)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if (err != nil) != (tt.faults != nil) || errors.Is(err, ErrUnusable) != tt.unusable {
				t.Fatalf("%v", err)
			}
			for _, fault := range tt.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("%v\nlacks %q", err, fault)
				}
			}
		})
	}
}

// A seed that does not parse is told, though no configuration that was read has one.
func TestCheckOfABadSeed(t *testing.T) {
	c := Config{Issuers: []Issuer{{Issuer: testIssuer, JWKS: []byte(`{"keys":[{}]}`), Algorithms: []string{"RS256"}}}}
	nobody := roundTrip(func(*http.Request) (*http.Response, error) { panic("asked") })
	if got, err := Check(t.Context(), c, Options{Transport: nobody}, t0); err == nil || got != nil || !strings.Contains(err.Error(), "issuer "+testIssuer) {
		t.Errorf("%+v, %v", got, err)
	}
}
