// The authorizer Lambda: its environment and the embedded policies, wired to the Lambda runtime.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"gatehouse/authorizer"
	"gatehouse/internal/function"
	"gatehouse/policies"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	a, err := function.New(context.Background(), function.Config{
		Environment: os.Environ(),
		Policies:    policies.FS,
		Records:     os.Stdout,
		Log:         log,
	})
	if err != nil {
		log.Error("the authorizer does not start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(handler{a})
}

// handler hands the runtime's bytes through untouched: the gateway's JSON is read in one place only.
type handler struct{ *authorizer.Authorizer }

func (h handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return h.Authorize(ctx, event)
}
