// Command profile is the sample API's GET /profile: who the caller is, as the authorizer verified it.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"gatehouse/handlers/caller"
)

func main() { lambda.Start(caller.Guarded(routes.Serve)) }

var routes = caller.Routes{"GET /profile": get}

// profile is the body of an answer.
type profile struct {
	Subject      string   `json:"sub"`
	Organization string   `json:"organization,omitempty"` // absent for a caller without one
	Scopes       []string `json:"scopes"`
	Permissions  []string `json:"permissions"` // the token's own; what roles give is the policy's to know
}

func get(_ context.Context, r caller.Request) caller.Response {
	c := r.Caller
	return caller.Response{Status: 200, Body: profile{c.Subject, c.Organization, c.Scopes, c.Permissions}}
}
