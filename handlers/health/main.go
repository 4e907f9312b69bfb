// Command health is the sample API's GET /health: that the function runs. It is public.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"gatehouse/handlers/caller"
)

func main() { lambda.Start(caller.Public(routes.Serve)) }

var routes = caller.Routes{"GET /health": get}

// health is the body of an answer.
type health struct {
	Status string `json:"status"` // "ok"
}

func get(context.Context, caller.Request) caller.Response {
	return caller.Response{Status: 200, Body: health{"ok"}}
}
