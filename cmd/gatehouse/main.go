// Gatehouse on the command line: run it here, ask it, test its policies.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"gatehouse/authorizer/pdp"
	"gatehouse/policies"
)

// Exit codes, for every verb.
const (
	exitDone    = 0 // it was done, or the answer is yes
	exitRefused = 1 // refused, with reasons
	exitUsage   = 2
	exitUnknown = 3 // could not tell: something that the answer needs failed
)

// verb is one word of the command line.
type verb struct {
	name    string
	summary string
	run     func(ctx context.Context, args []string, io stdio) error
}

// stdio is what a verb may talk to, and the process's environment.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	colour   bool // out is a terminal whose user wants colours
}

var verbs = slices.Concat(policyVerbs, storeVerbs)

var policyVerbs = []verb{
	{"serve", "the whole system on this machine: API Gateway, the functions, an issuer", serve},
	{"token", "a token of the local issuer", mintToken},
	{"rotate", "new signing keys for the local issuer", rotate},
	{"authorize", "authorizer events in, exactly what the Lambda answers out", authorize},
	{"routes", "the route table from serverless.yml, as policy data", routes},
	{"can-i", "whether somebody may do something, or all that they may do", canI},
	{"explain", "why a request was decided as it was", explain},
	{"test", "Rego tests with coverage", test},
}

// storeVerbs are those of the store: in the order of a release's life, then what looks after the store.
var storeVerbs = []verb{
	{"keygen", "a key that signs releases, or the set of those that count", keygen},
	{"publish", "the policies of a directory into the store, as a signed release", publish},
	{"sign", "a further signature on a release", sign},
	{"activate", "a release becomes what functions decide by", activate},
	{"candidate", "a release is tried beside the active one, and never answers", candidate},
	{"rollback", "what was active before becomes so again", rollback},
	{"status", "what is active, what was, who signed it, and who still runs something else", status},
	{"gc", "deletes what nothing in the store needs any more", gc},
	{"bake", "what is active, as files for the function's zip", bake},
	{"auth0", "an Auth0 configuration: check it, put it into the store", auth0},
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr, os.Environ(), coloured(os.Stdout, os.Environ())}))
}

func run(ctx context.Context, args []string, s stdio) int {
	if len(args) == 0 {
		usage(s.err)
		return exitUsage
	}
	switch args[0] {
	case "-h", "--help":
		usage(s.out)
		return exitDone
	case "version", "--version":
		return version(ctx, s)
	case "help":
		if len(args) == 1 {
			usage(s.out)
			return exitDone
		}
		args = []string{args[1], "--help"}
	}
	for _, v := range verbs {
		if v.name != args[0] {
			continue
		}
		out := &counted{Writer: s.out}
		s.out = out
		err := v.run(ctx, args[1:], s)
		var r *result
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitDone
		case !errors.As(err, &r):
			r = &result{exitUnknown, err}
		}
		if out.n == 0 && wantsJSON(v.name, args[1:]) {
			_ = writeJSON(out, failed{r.Error()})
		}
		name := v.name
		if name == "auth0" && len(args) > 1 && slices.Contains([]string{"check", "put"}, args[1]) {
			name += " " + args[1]
		}
		fmt.Fprintf(s.err, "gatehouse %s: %v\n", name, r.err)
		if r.code == exitUsage {
			fmt.Fprintf(s.err, "`gatehouse help %s` lists the flags\n", v.name)
		}
		return r.code
	}
	fmt.Fprintf(s.err, "gatehouse: no verb %q%s\n`gatehouse help` lists the verbs\n", args[0], meantVerb(args[0]))
	return exitUsage
}

// meantVerb suggests the verb that differs least from a misspelt one.
func meantVerb(name string) string {
	best, least := "", len(name)/3+2
	for _, v := range verbs {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), v.name); d < least {
			best, least = v.name, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// version prints what this program was built from, and the revision of its built-in policies.
func version(ctx context.Context, s stdio) int {
	policy, err := pdp.NewExplainer(ctx, policies.FS)
	if err != nil {
		fmt.Fprintf(s.err, "gatehouse version: %v\n", err)
		return exitUnknown
	}
	built := "gatehouse"
	if info, ok := debug.ReadBuildInfo(); ok {
		built += " " + cmp.Or(info.Main.Version, "(devel)") + " " + info.GoVersion
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" || setting.Key == "vcs.modified" {
				built += " " + setting.Key + "=" + setting.Value
			}
		}
	}
	fmt.Fprintf(s.out, "%s\npolicies %s\n", built, policy.Revision())
	return exitDone
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: gatehouse VERB [flags]\n")
	for _, group := range []struct {
		title string
		verbs []verb
	}{{"policies and requests", policyVerbs}, {"the store of releases", storeVerbs}} {
		fmt.Fprintf(w, "\n%s:\n", group.title)
		for _, v := range group.verbs {
			fmt.Fprintf(w, "  %-10s %s\n", v.name, v.summary)
		}
	}
	fmt.Fprint(w, "\n`gatehouse help VERB` says what a verb does, with its flags and examples; `gatehouse version`\nwhat this program and its policies are.\nexit: 0 done, 1 refused, 2 usage, 3 could not tell\n")
}

// counted counts what is written, so that a verb that reports in JSON leaves exactly one document behind.
type counted struct {
	io.Writer
	n int
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += n
	return n, err
}

// reportVersion is the version of the documents that verbs print with --json.
const reportVersion = "v1"

// failed is the document that a verb with --json leaves where it has nothing to report.
type failed struct {
	Error string `json:"error"`
}

// wantsJSON says whether a verb that has the flag was given --json, even where its flags could not be read.
func wantsJSON(name string, args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(reporting, name) && slices.ContainsFunc(args, func(a string) bool {
		return a == "--json" || a == "-json" || a == "--json=true" || a == "-json=true"
	})
}

// reporting are the verbs with --json.
var reporting = []string{"rotate", "routes", "can-i", "explain", "test",
	"publish", "sign", "activate", "candidate", "rollback", "status", "gc", "bake", "auth0"}

func writeJSON(w io.Writer, document any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

// result is an error with the exit code that it means.
type result struct {
	code int
	err  error
}

func (r *result) Error() string { return r.err.Error() }
func (r *result) Unwrap() error { return r.err }

func refused(format string, args ...any) error {
	return &result{exitRefused, fmt.Errorf(format, args...)}
}
func misused(format string, args ...any) error {
	return &result{exitUsage, fmt.Errorf(format, args...)}
}

// flags gives a verb's flag set. It is silent: parse answers -h, and run reports faults, once and never on standard
// output, which another program may be reading.
func flags(name, arguments string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {
		m := manuals[name]
		fmt.Fprintf(f.Output(), "usage: gatehouse %s %s\n\n%s\n\nflags:", name, arguments, m.about)
		out := f.Output()
		var defaults strings.Builder
		f.SetOutput(&defaults)
		f.PrintDefaults()
		f.SetOutput(out)
		fmt.Fprint(out, strings.ReplaceAll("\n"+defaults.String(), "\n  -", "\n  --"))
		fmt.Fprintf(out, "\nexamples:\n  %s\n", strings.Join(m.examples, "\n  "))
	}
	return f
}

// parse reads a verb's flags and at most most arguments, in whatever order; what follows "--" is an argument. It answers
// -h on out.
func parse(f *flag.FlagSet, args []string, most int, out io.Writer) error {
	var arguments []string
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(out)
			f.Usage()
			return err
		}
		if err != nil {
			return misused("%w", err)
		}
		read := len(args) - f.NArg()
		if f.NArg() == 0 || read > 0 && args[read-1] == "--" {
			arguments = append(arguments, f.Args()...)
			break
		}
		arguments, args = append(arguments, f.Arg(0)), args[read+1:]
	}
	if len(arguments) > most {
		return misused("unexpected argument %q", arguments[most])
	}
	return f.Parse(append([]string{"--"}, arguments...)) // for f.Arg
}
