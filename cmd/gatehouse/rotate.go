package main

import (
	"context"
	"fmt"

	"gatehouse/internal/issuer"
)

// rotate changes the local issuer's signing keys, as a tenant's administrator would. A running issuer follows.
func rotate(_ context.Context, args []string, s stdio) error {
	f := flags("rotate", "[flags]")
	revoke := f.Bool("revoke", false, "refuse from now on what the keys of before have signed")
	dir := f.String("keys", keyDir, "`directory` of the issuer's keys")
	asJSON := f.Bool("json", false, "print the key ids as JSON")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	key, err := issuer.RotateKey(*dir, *revoke)
	if err != nil {
		return refused("%w", err)
	}
	ids := key.IDs()
	if *asJSON {
		report := map[string]string{"current": ids[0], "next": ids[1]}
		if !*revoke {
			report["previous"] = ids[2]
		}
		return writeJSON(s.out, report)
	}
	was := "previous  none: what was signed before is refused"
	if !*revoke {
		was = "previous  " + ids[2] + "  what it signed stays good until the next rotation"
	}
	_, err = fmt.Fprintf(s.out, "current   %s  signs from now on\nnext      %s\n%s\n", ids[0], ids[1], was)
	return err
}
