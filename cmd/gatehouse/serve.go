package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unicode"

	"gatehouse/authorizer"
	"gatehouse/internal/follow"
	"gatehouse/internal/gateway"
	"gatehouse/internal/issuer"
	"gatehouse/internal/serverless"
)

// serve runs the sample API on this machine: API Gateway, the real function executables, and the issuer, until ctx ends.
func serve(ctx context.Context, args []string, s stdio) error {
	f := flags("serve", "[flags]")
	config := f.String("config", "serverless.yml", "the `file` that deploys the API")
	dist := f.String("dist", "dist", "`directory` of the built functions, each in NAME/bootstrap")
	dir := f.String("keys", keyDir, "`directory` of the issuer's keys, of the logs and of the store")
	edited := f.String("policies", "policies", "`directory` of policies; an edit takes effect at once, a broken one is refused")
	address := f.String("store", "", "follow this `store`, ssm:/gatehouse/dev or file:DIR, by $GATEHOUSE_TRUST and AWS's variables, and publish nothing")
	rest := f.String("rest", restAddr, "`address` of the REST API")
	http := f.String("http", httpAddr, "`address` of the HTTP API")
	sockets := f.String("websocket", socketAddr, "`address` of the WebSocket API, if the file has one")
	tokens := f.String("issuer", issuerAddr, "`address` of the issuer")
	spa := f.String("spa", spaOrigins, "`origins` on this machine where the issuer lets a single-page application log people in, separated by commas")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn})))

	auth0, err := issuer.Start(ctx, issuer.Config{Addr: *tokens, Keys: *dir, Audience: issuer.Audience, SPA: strings.Split(*spa, ",")})
	if err != nil {
		return refused("%w%s", err, hint(err, "--issuer"))
	}
	defer auth0.Close()

	service, err := readLocal(*config, auth0.URL(), *spa)
	if err != nil {
		return err
	}
	logs := &logs{dir: *dir, screen: s.out, follows: *address != ""}
	defer logs.close()
	env, edit := followed(*address, s.env), (*editor)(nil)
	if *address != "" {
		if err := followable(env); err != nil {
			return err
		}
	} else {
		if env, edit, err = publishLocal(ctx, *dir, service.Stage, auth0.URL(), *edited, !given(f, "policies"), logs); err != nil {
			return err
		}
	}
	api, err := gateway.Start(ctx, gateway.Config{
		Service:     service,
		Bootstrap:   func(function string) string { return filepath.Join(*dist, function, "bootstrap") },
		Environment: forAuthorizers(service, env),
		Output:      logs.of,
		REST:        *rest,
		HTTP:        *http,
		WebSocket:   *sockets,
	})
	if err != nil {
		return refused("%w%s", err, hint(err, "--rest, --http and --websocket"))
	}
	defer api.Close()

	note := ""
	if *address != "" {
		note = fmt.Sprintf("\nThe authorizer follows %s, asked every %s; its Auth0 document must name %s as an issuer.", *address, cmp.Or(env["GATEHOUSE_REFRESH"], "30s"), auth0.URL())
	}
	if edit != nil {
		note = fmt.Sprintf("\nAn edit of %[1]s takes effect at once; explain and can-i read it with --policies %[1]s.", *edited)
	}
	welcome(s.out, api, auth0.URL(), *dir, *spa, note)
	var watching sync.WaitGroup
	if edit != nil {
		watching.Go(func() { edit.watch(ctx) })
	}
	<-ctx.Done()
	watching.Wait()
	stop() // a second Ctrl-C ends the program at once, and the functions with it
	fmt.Fprintln(s.out, "\nstopping")
	return errors.Join(api.Close(), auth0.Close())
}

// publishLocal publishes policies to the store of this machine, and gives the environment by which the authorizer follows it
// and, where the policies are a directory's, who looks after edits of it.
func publishLocal(ctx context.Context, dir, stage, issuerURL, edited string, usual bool, logs *logs) (map[string]string, *editor, error) {
	content, watched, err := readPolicies(edited, usual)
	if err != nil {
		return nil, nil, err
	}
	doc, err := localAuth0(issuerURL)
	if err != nil {
		return nil, nil, err
	}
	local, err := openLocalStore(ctx, dir, stage, doc)
	if err != nil {
		return nil, nil, refused("store in %s: %w", dir, err)
	}
	if _, err := local.take(ctx, content); err != nil {
		return nil, nil, err
	}
	if !watched {
		return local.environment(), nil, nil
	}
	return local.environment(), &editor{dir: edited, active: content.Digest, take: local.take, say: logs.say}, nil
}

// given says whether a flag was given.
func given(f *flag.FlagSet, name string) bool {
	found := false
	f.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// hint says which flags help where an address is taken.
func hint(err error, flags string) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return " (choose another with " + flags + ")"
	}
	return ""
}

// readLocal reads the deployment's file with this machine's issuer in the place of the tenant, and the first of the
// application's origins in the place of its own.
func readLocal(name, issuerURL, spa string) (*serverless.Service, error) {
	doc, err := os.ReadFile(name)
	if err != nil {
		return nil, refused("%w", err)
	}
	auth0, err := localAuth0(issuerURL)
	if err != nil {
		return nil, err
	}
	service, err := serverless.Read(doc, func(name string) (string, bool) {
		switch name {
		case "GATEHOUSE_AUTH0":
			return auth0, true
		case "GATEHOUSE_ORIGIN":
			origin, _, _ := strings.Cut(spa, ",")
			return origin, true
		}
		return "", false
	})
	if err != nil {
		return nil, refused("%s: %w", name, err)
	}
	return service, nil
}

// localAuth0 is the Auth0 document that trusts this machine's issuer.
func localAuth0(issuerURL string) (string, error) {
	doc, err := json.Marshal(map[string]any{
		"version":     "v1",
		"roles_claim": issuer.RolesClaim,
		"issuers": []any{map[string]any{
			"issuer":     issuerURL,
			"audiences":  []string{issuer.Audience},
			"algorithms": []string{"RS256"},
			"profile":    "auth0",
		}},
	})
	return string(doc), err
}

func welcome(w io.Writer, api *gateway.Gateway, issuerURL, dir, spa, note string) {
	rest, http, socket := api.RESTURL(), api.HTTPURL(), ""
	if url := api.WebSocketURL(); url != "" {
		socket = "\n  WebSocket  " + url
	}
	token := `$(bin/gatehouse token --as customer`
	if flags := tokenFlags(issuerURL, dir); flags != "" {
		token += flags
	}
	token += ")"
	admin := strings.Replace(token, "customer", "admin", 1)
	fmt.Fprintf(w, `Gatehouse guards the sample API on this machine.

  REST API   %[1]s
  HTTP API   %[2]s%[12]s
  issuer     %[3]s

Try it from another terminal:

  curl -i %[1]s/health
  curl -i %[1]s/orders                                # 401: nobody
  curl -i %[1]s/orders -H "Authorization: Bearer %[4]s"
  curl -i -X DELETE %[2]s/orders/42 -H "Authorization: Bearer %[4]s"      # 403: not granted
  curl -i -X DELETE %[2]s/orders/42 -H "Authorization: Bearer %[5]s"   # 204, with a warning: no MFA

A single-page application logs people in with Auth0's SDK: domain %[7]s, clientId %[8]s, audience %[9]s,
from %[10]s. New signing keys: bin/gatehouse rotate%[11]s

People: customer, support, admin, suspended, outsider, machine. Decisions appear below, each with the beginning of its id; the
records are in %[6]s, and bin/gatehouse explain %[6]s --id ID says why.%[14]s Invocations, cold starts
and cache hits are counted at %[13]s. Ctrl-C ends everything.

`, rest, http, issuerURL, token, admin, filepath.Join(dir, "authorizer.log"),
		strings.TrimSuffix(issuerURL, "/"), issuer.SPAID, issuer.Audience, strings.ReplaceAll(spa, ",", " or "), keyFlag(dir), socket, api.MetricsURL(), note)
}

// tokenFlags are the flags that `gatehouse token` needs where this system is not at its usual place.
func tokenFlags(issuerURL, dir string) string {
	var b strings.Builder
	if issuerURL != "http://"+issuerAddr+"/" {
		fmt.Fprintf(&b, " --issuer %s", issuerURL)
	}
	return b.String() + keyFlag(dir)
}

func keyFlag(dir string) string {
	if dir == keyDir {
		return ""
	}
	return " --keys " + dir
}

// logs keeps what the functions print: all of it in DIR/FUNCTION.log, and on the screen a short line for each decision
// and the rest as it is.
type logs struct {
	dir     string
	screen  io.Writer
	follows bool // a store that somebody else writes

	mu    sync.Mutex
	files []*os.File
}

func (l *logs) of(function string) io.Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := os.OpenFile(filepath.Join(l.dir, function+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		fmt.Fprintf(l.screen, "%s: no log file: %v\n", function, err)
		return lineWriter{l, function, io.Discard}
	}
	l.files = append(l.files, file)
	return lineWriter{l, function, file}
}

// say shows a text between the lines of the functions.
func (l *logs) say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(text + "\n") {
		fmt.Fprintln(l.screen, printable(strings.TrimSuffix(line, "\n")))
	}
}

func (l *logs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		_ = f.Close()
	}
}

// lineWriter gets whole lines.
type lineWriter struct {
	logs     *logs
	function string
	file     io.Writer
}

func (w lineWriter) Write(b []byte) (int, error) {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	_, err := w.file.Write(b)
	for line := range bytes.Lines(b) {
		if bytes.Contains(line, refusal) {
			continue
		}
		// Who published says that it is in force; where somebody else did, the function does.
		if text := short(w.function, bytes.TrimSpace(line)); w.logs.follows || !strings.HasPrefix(text, w.function+" follows ") {
			fmt.Fprintln(w.logs.screen, text)
		}
	}
	return len(b), err
}

// refusal is what the Lambda library prints of each refused request. The record says the same, and why.
var refusal = []byte(`"errorType":"errorString"`)

// shortID is how much of a decision id the screen shows, in characters: 40 random bits, enough for explain --id.
const shortID = 8

// short is what the screen shows of a line: who asked what, and what became of it. A path is the caller's to choose, so
// control characters do not reach the terminal.
func short(function string, line []byte) string {
	var r struct {
		authorizer.Record
		Differs     []string `json:"differs"`     // of a difference
		PolicyStale *int     `json:"PolicyStale"` // of a status
	}
	err := json.Unmarshal(line, &r)
	switch {
	case err == nil && r.PolicyStale != nil:
		return printable(statusLine(function, line))
	case err != nil || r.DecisionID == "":
		return printable(function + ": " + string(line))
	case r.Differs != nil:
		return printable(fmt.Sprintf("%s  %-*s  the candidate differs: %s", r.Timestamp.Local().Format("15:04:05"), shortID, r.DecisionID[:min(len(r.DecisionID), shortID)], strings.Join(r.Differs, ", ")))
	}
	what, who := "?", "nobody"
	if r.Input != nil {
		what = cmp.Or(r.Input.Request.Route, r.Input.Request.Method+" /"+strings.Join(r.Input.Request.Path, "/"))
		who = cmp.Or(r.Input.Principal.Subject, who)
	}
	outcome := "no outcome"
	switch {
	case r.Error != nil:
		outcome = r.Error.Code
	case r.Result != nil:
		outcome = string(r.Result.Status.Reason)
		for _, v := range r.Result.Violations {
			outcome += fmt.Sprintf(" [%s %s]", v.Action, v.Constraint)
		}
	}
	id := r.DecisionID[:min(len(r.DecisionID), shortID)]
	return printable(fmt.Sprintf("%s  %-*s  %-24s %-16s %s", r.Timestamp.Local().Format("15:04:05"), shortID, id, what, who, outcome))
}

// statusLine says what the store and a function have to do with each other.
func statusLine(function string, line []byte) string {
	var s follow.Status
	if err := json.Unmarshal(line, &s); err != nil {
		return function + ": " + string(line)
	}
	b := s.Bundles["gatehouse"]
	state := "what was active goes on"
	if s.PolicyStale == 1 {
		state = "nothing may be used, requests end with 500"
	}
	switch b.Code {
	case "":
		return fmt.Sprintf("%s follows activation %d: policies %s", function, b.Sequence, short12(b.ActiveRevision))
	case "store_unavailable":
		return fmt.Sprintf("%s: the store does not answer; %s: %s", function, state, b.Message)
	case "activation_missing":
		return fmt.Sprintf("%s: nothing is active in the store; %s", function, state)
	case "candidate_refused":
		return fmt.Sprintf("%s: the candidate is not tried: %s", function, b.Message)
	}
	return fmt.Sprintf("%s: what the store says is active is refused; %s: %s: %s", function, state, b.Code, b.Message)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
