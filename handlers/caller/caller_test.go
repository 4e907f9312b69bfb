package caller

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// whole is an authorizer context as Gatehouse writes it.
func whole() map[string]any {
	return map[string]any{
		"sub": "auth0|cust", "scope": "openid read:orders", "permissions": "read:orders:any", "client_id": "spa",
		"org_id": "org_home", "exp": "1795348800", "decision_id": "d-1", "revision": "sha256:1234",
		"warnings": `["first","second"]`, "tenant": "acme",
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	got, err := fromContext(whole(), now)
	want := Caller{
		Subject: "auth0|cust", ClientID: "spa", Organization: "org_home",
		Scopes: []string{"openid", "read:orders"}, Permissions: []string{"read:orders:any"},
		ExpiresAt:  time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		DecisionID: "d-1", Revision: "sha256:1234",
		Warnings: []string{"first", "second"}, Context: map[string]string{"tenant": "acme"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestContextOfAMachine(t *testing.T) {
	t.Parallel()
	values := whole()
	for _, name := range []string{"scope", "permissions", "client_id", "org_id", "warnings", "tenant"} {
		delete(values, name)
	}
	got, err := fromContext(values, now)
	want := Caller{
		Subject: "auth0|cust", Scopes: []string{}, Permissions: []string{}, ExpiresAt: time.Unix(1795348800, 0).UTC(),
		DecisionID: "d-1", Revision: "sha256:1234",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v\nwant %#v", got, err, want)
	}
}

func TestContextRefused(t *testing.T) {
	t.Parallel()
	with := func(name string, value any) map[string]any {
		values := whole()
		values[name] = value
		return values
	}
	for name, test := range map[string]struct {
		values map[string]any
		want   string
	}{
		"none":                     {nil, errNoContext.Error()},
		"empty":                    {map[string]any{}, errNoContext.Error()},
		"only the gateway's own":   {map[string]any{"principalId": "x", "integrationLatency": 3.0}, `"sub": missing`},
		"subject empty":            {with("sub", ""), `"sub": missing`},
		"subject a number":         {with("sub", 7.0), `"sub": want text`},
		"scope a list":             {with("scope", []any{"a"}), `"scope": want text`},
		"exp a number":             {with("exp", 1795348800.0), `"exp": want text`},
		"exp empty":                {with("exp", ""), `"exp": missing`},
		"exp not digits":           {with("exp", "tomorrow"), `"exp": want seconds`},
		"exp a fraction":           {with("exp", "1795348800.5"), `"exp": want seconds`},
		"exp zero":                 {with("exp", "0"), `"exp": want seconds`},
		"exp negative":             {with("exp", "-1"), `"exp": want seconds`},
		"exp in milliseconds":      {with("exp", "1795348800000"), `"exp": want seconds`},
		"exp beyond int64":         {with("exp", "99999999999999999999"), `"exp": want seconds`},
		"warnings text":            {with("warnings", "careful"), `"warnings": want a JSON array`},
		"warnings of numbers":      {with("warnings", "[1]"), `"warnings": want a JSON array`},
		"own value null":           {with("tenant", nil), `"tenant": want text`},
		"own value a map":          {with("tenant", map[string]any{}), `"tenant": want text`},
		"another authorizer's":     {map[string]any{"claims": map[string]any{"sub": "x"}}, `"claims": want text`},
		"revision and id missing":  {map[string]any{"sub": "x", "exp": "1795348800"}, "\"decision_id\": missing\n\"revision\": missing"},
		"a fault and already over": {with("exp", "nope"), `"exp": want seconds`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := fromContext(test.values, now)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v, want %q in it", err, test.want)
			}
			if !reflect.DeepEqual(c, Caller{}) {
				t.Errorf("got caller %+v beside an error", c)
			}
			for _, secret := range []string{"auth0|cust", "org_home", "tomorrow", "careful"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q holds a value", err)
				}
			}
		})
	}
}

func TestContextNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := fromContext(map[string]any{"scope": 1.0, "exp": "x", "warnings": "y"}, now)
	want := "authorizer context: \"scope\": want text\n\"sub\": missing\n\"decision_id\": missing\n\"revision\": missing\n" +
		"\"exp\": want seconds since 1970 in digits\n\"warnings\": want a JSON array of texts"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestContextExpired(t *testing.T) {
	t.Parallel()
	end := time.Unix(1795348800, 0)
	for name, test := range map[string]struct {
		now  time.Time
		want error
	}{
		"long before":                {end.Add(-time.Hour), nil},
		"at the end":                 {end, nil},
		"within the leeway":          {end.Add(leeway - time.Nanosecond), nil},
		"at the end of the leeway":   {end.Add(leeway), errExpired},
		"a cached answer's hour on":  {end.Add(time.Hour), errExpired},
		"in another zone's notation": {end.Add(time.Hour).In(time.FixedZone("", -12*3600)), errExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := fromContext(whole(), test.now)
			if !errors.Is(err, test.want) || c.DecisionID != "d-1" {
				t.Errorf("got %q, %v; want %v", c.DecisionID, err, test.want)
			}
		})
	}
}

func TestWordsSplitAtSpacesOnly(t *testing.T) {
	t.Parallel()
	// A permission with a no-break space or a tab in its name must not become two.
	got := words(" a  b\u00a0c d\te ")
	if want := []string{"a", "b\u00a0c", "d\te"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestContextIsNotChanged(t *testing.T) {
	t.Parallel()
	values := whole()
	if _, err := fromContext(values, now); err != nil || !maps.Equal(values, whole()) {
		t.Errorf("the event's context became %v (%v)", values, err)
	}
}
