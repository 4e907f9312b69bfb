package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"gatehouse/authorizer"
	"gatehouse/internal/serverless"
)

// routes makes the policies' route table out of serverless.yml: every route that an authorizer guards, and the API
// package whose grants decide on it, which is named after the function.
func routes(_ context.Context, args []string, s stdio) error {
	f := flags("routes", "[--config FILE] [--write FILE | --check FILE [--json]]")
	config := f.String("config", "serverless.yml", "the `file` that deploys the API")
	write := f.String("write", "", "write the table to this `file` instead of standard output")
	check := f.String("check", "", "refuse when this `file` is not the table")
	asJSON := f.Bool("json", false, "with --check, report as JSON (docs/schema/route-check.json)")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	if *write != "" && *check != "" {
		return misused("--write and --check exclude each other")
	}
	if *asJSON && *write != "" {
		return misused("--json reports what --check found")
	}
	service, err := readService(*config, s.env)
	if err != nil {
		return err
	}
	table, err := routeTable(service)
	if err != nil {
		return refused("%s: %w", *config, err)
	}
	switch {
	case *write != "":
		return os.WriteFile(*write, table, 0o644)
	case *check != "":
		return checkRoutes(s.out, *config, *check, table, *asJSON)
	}
	_, err = s.out.Write(table)
	return err
}

// routeCheck is how a file of routes differs from the table, by route, sorted. With all three lists empty and current
// false it says the same in another spelling. With --json it is the document on standard output
// (docs/schema/route-check.json).
type routeCheck struct {
	Version string   `json:"version"`
	File    string   `json:"file"`
	Current bool     `json:"current"`
	Missing []string `json:"missing"`
	Surplus []string `json:"surplus"`
	Changed []string `json:"changed"`
}

func checkRoutes(out io.Writer, config, file string, table []byte, asJSON bool) error {
	remedy := fmt.Sprintf("run `gatehouse routes --config %s --write %s`", config, file)
	have, err := os.ReadFile(file)
	if err != nil {
		return refused("%w: %s", err, remedy)
	}
	c := routeCheck{reportVersion, file, bytes.Equal(have, table), []string{}, []string{}, []string{}}
	var is, want map[string]routeEntry
	_ = json.Unmarshal(have, &is) // what is no table lacks every route
	if err := json.Unmarshal(table, &want); err != nil {
		return err
	}
	for route, entry := range want {
		if other, ok := is[route]; !ok {
			c.Missing = append(c.Missing, route)
		} else if other != entry {
			c.Changed = append(c.Changed, route)
		}
	}
	for route := range is {
		if _, ok := want[route]; !ok {
			c.Surplus = append(c.Surplus, route)
		}
	}
	for _, list := range [][]string{c.Missing, c.Surplus, c.Changed} {
		slices.Sort(list)
	}
	if asJSON {
		if err := writeJSON(out, c); err != nil {
			return err
		}
	}
	if !c.Current {
		return refused("%s is not what %s gives: %s", file, config, remedy)
	}
	return nil
}

// readService reads the file that deploys the API. Environment variables that the file asks for and that are not set
// read as empty: no route depends on a secret of the deployment.
func readService(name string, environment []string) (*serverless.Service, error) {
	doc, err := os.ReadFile(name)
	if err != nil {
		return nil, refused("%w", err)
	}
	service, err := serverless.Read(doc, func(name string) (string, bool) {
		for _, entry := range environment {
			if k, v, _ := strings.Cut(entry, "="); k == name {
				return v, true
			}
		}
		return "", true
	})
	if err != nil {
		return nil, refused("%s: %w", name, err)
	}
	return service, nil
}

// routeEntry is one value of data.routes.
type routeEntry struct {
	API    string `json:"api"`
	Answer string `json:"answer"`
}

// guarded is a route with an authorizer and the function, and so the API package, behind it.
type guarded struct {
	event    serverless.Event
	function string
}

// mixedUpWith says whether a request of one API could be decided by the grants of another function's route in the other
// API. A TOKEN event brings a path and no route, and a REST event does not tell ANY from its own method: both are looked
// up in the one table that REST and HTTP API share.
func (s guarded) mixedUpWith(o guarded) bool {
	if s.function == o.function || s.event.Protocol == o.event.Protocol || s.event.Path == "" || o.event.Path == "" {
		return false
	}
	if a, b := s.event.Method, o.event.Method; a != b && a != "ANY" && b != "ANY" {
		return false
	}
	return overlap(authorizer.Segments(s.event.Path), authorizer.Segments(o.event.Path))
}

// overlap says whether some path binds both templates.
func overlap(a, b []string) bool {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			return false
		}
		x, y := a[i], b[i]
		if strings.HasSuffix(x, "+}") || strings.HasSuffix(y, "+}") {
			return true
		}
		if x != y && !strings.HasPrefix(x, "{") && !strings.HasPrefix(y, "{") {
			return false
		}
	}
	return true
}

func routeTable(service *serverless.Service) ([]byte, error) {
	table := map[string]routeEntry{}
	var faults []error
	var seen []guarded
	for _, fn := range service.Functions {
		for _, event := range fn.Events {
			if event.Authorizer == nil {
				continue
			}
			entry := routeEntry{API: fn.Name, Answer: "request"}
			if other, taken := table[event.Route()]; taken && other != entry {
				faults = append(faults, fmt.Errorf("route %q: served by %s and by %s: one API package decides on a route",
					event.Route(), other.API, fn.Name))
			}
			table[event.Route()] = entry
			here := guarded{event, fn.Name}
			for _, other := range seen {
				if here.mixedUpWith(other) {
					faults = append(faults, fmt.Errorf("%s route %q of %s and %s route %q of %s can take the same request: an event need not say which of the two APIs it is about",
						other.event.Protocol, other.event.Route(), other.function, event.Protocol, event.Route(), fn.Name))
				}
			}
			seen = append(seen, here)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := errors.Join(append(faults, enc.Encode(table))...)
	return b.Bytes(), err
}
