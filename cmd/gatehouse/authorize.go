package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"gatehouse/authorizer"
	"gatehouse/internal/function"
	"gatehouse/policies"
)

// maxEvent bounds one event. Lambda's own limit for a synchronous payload is 6 MB.
const maxEvent = 6 << 20

// authorize answers events as the Lambda would: same settings, same code, one line in, one line out.
func authorize(ctx context.Context, args []string, s stdio) error {
	f := flags("authorize", "[--policies DIR] < events.jsonl")
	dir := f.String("policies", "", "`directory` of policies instead of the embedded ones")
	if err := parse(f, args, 0, s.out); err != nil {
		return err
	}
	root, err := policiesIn(*dir)
	if err != nil {
		return err
	}
	a, err := function.New(ctx, function.Config{
		Environment: s.env,
		Policies:    root,
		Records:     s.err,
		Log:         slog.New(slog.NewJSONHandler(s.err, nil)),
	})
	if err != nil {
		return refused("%w", err)
	}
	out := bufio.NewWriter(s.out)
	lines := bufio.NewScanner(s.in)
	lines.Buffer(nil, maxEvent)
	read := 0
	for ; lines.Scan(); read++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := writeAnswer(out, a, ctx, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return refused("event on line %d: more than %d bytes, which Lambda would not take", read+1, maxEvent)
	} else if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}

// answer is one line of output.
type answer struct {
	Response json.RawMessage `json:"response,omitempty"`
	Error    string          `json:"error,omitempty"`
}

func writeAnswer(out *bufio.Writer, a *authorizer.Authorizer, ctx context.Context, event []byte) error {
	response, failure := a.Authorize(ctx, event)
	line := answer{Response: response}
	if failure != nil {
		line = answer{Error: failure.Error()}
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := errors.Join(enc.Encode(line), out.Flush()); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// policiesIn gives a directory's policies, or the embedded ones.
func policiesIn(dir string) (fs.FS, error) {
	if dir == "" {
		return policies.FS, nil
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, misused("directory of policies: %w", err)
	} else if !info.IsDir() {
		return nil, misused("directory of policies: %s: not a directory", dir)
	}
	return os.DirFS(dir), nil
}
