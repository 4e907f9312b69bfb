package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrUnusable says that an issuer was asked, and that its keys cannot verify what the configuration expects.
var ErrUnusable = errors.New("unusable keys")

// IssuerCheck is what became of asking one issuer for its keys.
type IssuerCheck struct {
	Issuer   string   `json:"issuer"`
	State    string   `json:"state"`              // ok, pinned, unusable or unreachable
	Keys     []string `json:"keys"`               // key ids: those served, or the pinned ones; sorted
	Warnings []string `json:"warnings,omitempty"` // how the keys in the configuration differ from those served
}

// Check asks each issuer of a configuration that is not pinned for its keys, and compares them with those that the
// configuration brings. The error joins ErrUnusable faults, or else what could not be asked.
func Check(ctx context.Context, c Config, o Options, now time.Time) ([]IssuerCheck, error) {
	var checks []IssuerCheck
	var unusable, unreachable []error
	for _, i := range c.Issuers {
		seed, err := i.seed()
		if err != nil {
			return nil, fmt.Errorf("issuer %s: %w", i.Issuer, err)
		}
		check := IssuerCheck{Issuer: i.Issuer, State: "pinned", Keys: seed.ids()}
		if !i.Pinned {
			limited, cancel := context.WithTimeout(ctx, warmFetch)
			served, err := newSource(i, nil, o.Transport).fetch(limited, now, nil)
			cancel()
			switch {
			case errors.Is(err, errNoKey):
				check.State, check.Keys = "unusable", []string{}
				unusable = append(unusable, fmt.Errorf("issuer %s: %w: %w", i.Issuer, ErrUnusable, err))
			case err != nil:
				check.State, check.Keys = "unreachable", []string{}
				unreachable = append(unreachable, fmt.Errorf("issuer %s: %w", i.Issuer, err))
			default:
				check.State, check.Keys, check.Warnings = "ok", served.keys.ids(), seed.against(served.keys)
			}
		}
		checks = append(checks, check)
	}
	if len(unusable) > 0 {
		return checks, errors.Join(unusable...)
	}
	return checks, errors.Join(unreachable...)
}

// ids are the key ids of a set, sorted.
func (s keySet) ids() []string {
	ids := make([]string, 0, len(s))
	for kid := range s {
		ids = append(ids, kid)
	}
	slices.Sort(ids)
	return ids
}

// against says how a configured set differs from the served one; nothing where none is configured.
func (s keySet) against(served keySet) (warnings []string) {
	for _, kid := range s.ids() {
		switch k, ok := served[kid]; {
		case !ok:
			warnings = append(warnings, fmt.Sprintf("key %q of the configuration is served no more", kid))
		case !k.same(s[kid]):
			warnings = append(warnings, fmt.Sprintf("key %q is another one than in the configuration", kid))
		}
	}
	for _, kid := range served.ids() {
		if _, ok := s[kid]; !ok && len(s) > 0 {
			warnings = append(warnings, fmt.Sprintf("key %q is served and not in the configuration", kid))
		}
	}
	return warnings
}
