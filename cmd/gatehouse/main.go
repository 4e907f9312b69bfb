// Gatehouse on the command line: run it here, ask it, test its policies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
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
}

var verbs = []verb{
	{"serve", "the whole system on this machine: API Gateway, the functions, an issuer", serve},
	{"token", "a token of the local issuer", mintToken},
	{"authorize", "authorizer events in, exactly what the Lambda answers out", authorize},
	{"routes", "the route table from serverless.yml, as policy data", routes},
	{"test", "Rego tests with coverage", test},
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr, os.Environ()}))
}

func run(ctx context.Context, args []string, s stdio) int {
	if len(args) == 0 {
		usage(s.err)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(s.out)
		return exitDone
	}
	for _, v := range verbs {
		if v.name != args[0] {
			continue
		}
		err := v.run(ctx, args[1:], s)
		var r *result
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitDone
		case !errors.As(err, &r):
			r = &result{exitUnknown, err}
		}
		fmt.Fprintf(s.err, "gatehouse %s: %v\n", v.name, r.err)
		if r.code == exitUsage {
			fmt.Fprintf(s.err, "`gatehouse %s -h` lists the flags\n", v.name)
		}
		return r.code
	}
	fmt.Fprintf(s.err, "gatehouse: no verb %q\n", args[0])
	usage(s.err)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: gatehouse VERB [flags]\n\n")
	for _, v := range verbs {
		fmt.Fprintf(w, "  %-10s %s\n", v.name, v.summary)
	}
	fmt.Fprint(w, "\n`gatehouse VERB -h` lists a verb's flags.\nexit: 0 done, 1 refused, 2 usage, 3 could not tell\n")
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
		fmt.Fprintf(f.Output(), "usage: gatehouse %s %s\n", name, arguments)
		f.PrintDefaults()
	}
	return f
}

// parse reads a verb's flags and at most most arguments. It answers -h on out.
func parse(f *flag.FlagSet, args []string, most int, out io.Writer) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(out)
		f.Usage()
		return err
	case err != nil:
		return misused("%w", err)
	case f.NArg() > most && strings.HasPrefix(f.Arg(most), "-"):
		return misused("unexpected argument %q: flags come first", f.Arg(most))
	case f.NArg() > most:
		return misused("unexpected argument %q", f.Arg(most))
	}
	return nil
}
