package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// checkKeys refuses a bad list of keys, all faults at once.
func checkKeys(keys []string) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("more than %d", maxKeys)
	}
	var faults []error
	for _, key := range keys {
		faults = append(faults, CheckKey(key))
	}
	return errors.Join(faults...)
}

// distinct gives each key once, sorted.
func distinct(keys []string) []string {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// absent names what is missing, the first few of it.
func absent(a Address, missing []string) error {
	slices.Sort(missing)
	const few = 10
	names := strings.Join(missing[:min(few, len(missing))], ", ")
	if more := len(missing) - few; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("%v: get %s: %w", a, names, ErrNotFound)
}
