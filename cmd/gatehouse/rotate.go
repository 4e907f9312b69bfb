package main

import (
	"context"
	"fmt"

	"gatehouse/internal/issuer"
)

// rotation is what rotate prints with --json (docs/schema/rotation.json): key ids.
type rotation struct {
	Version  string `json:"version"`
	Current  string `json:"current"`            // signs from now on
	Next     string `json:"next"`               // signs after the next rotation
	Previous string `json:"previous,omitempty"` // what it signed stays good until the next rotation; absent: it is in the set no more
}

// rotate changes the local issuer's signing keys, as a tenant's administrator would. A running issuer follows.
func rotate(_ context.Context, args []string, s stdio) error {
	f := flags("rotate", "[flags]")
	revoke := f.Bool("revoke", false, "take the keys of before out of the issuer's set: a function refuses what they signed from its next fetch on")
	dir := f.String("keys", keyDir, "`directory` of the issuer's keys")
	asJSON := f.Bool("json", false, "print the key ids as JSON (docs/schema/rotation.json)")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	key, err := issuer.RotateKey(*dir, *revoke)
	if err != nil {
		return refused("%w", err)
	}
	ids := key.IDs()
	if *asJSON {
		report := rotation{Version: reportVersion, Current: ids[0], Next: ids[1]}
		if !*revoke {
			report.Previous = ids[2]
		}
		return writeJSON(s.out, report)
	}
	was := "previous  none: what was signed before is refused, by a function from its next fetch of the keys on"
	if !*revoke {
		was = "previous  " + ids[2] + "  what it signed stays good until the next rotation"
	}
	_, err = fmt.Fprintf(s.out, "current   %s  signs from now on\nnext      %s\n%s\n", ids[0], ids[1], was)
	return err
}
