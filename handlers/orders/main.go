// Command orders is the sample API's orders: list, read, a user's own, create and delete. Whether the caller may is
// decided before it runs: it only keeps orders.
//
// They are kept in memory, by each process for itself, so a created order lives as long as the process that made it. The
// sample orders are always there: one that is deleted is put back at once, so that every example and test can be repeated.
package main

import (
	"context"
	"strconv"

	"github.com/aws/aws-lambda-go/lambda"

	"gatehouse/handlers/caller"
)

func main() { lambda.Start(caller.Guarded(newAPI().routes().Serve)) }

type api struct{ store *store }

func newAPI() *api { return &api{newStore()} }

func (a *api) routes() caller.Routes {
	return caller.Routes{
		"GET /orders":            a.list,
		"GET /orders/{id}":       a.get,
		"GET /users/{id}/orders": a.listOf,
		"POST /orders":           a.create,
		"DELETE /orders/{id}":    a.delete,
	}
}

// orders is the body of an answer with several.
type orders struct {
	Orders []order `json:"orders"` // sample orders first, then as they were created
}

func (a *api) list(context.Context, caller.Request) caller.Response {
	return caller.Response{Status: 200, Body: orders{a.store.all()}}
}

func (a *api) listOf(_ context.Context, r caller.Request) caller.Response {
	return caller.Response{Status: 200, Body: orders{a.store.of(r.Params["id"])}}
}

func (a *api) get(_ context.Context, r caller.Request) caller.Response {
	o, ok := a.store.get(r.Params["id"])
	if !ok {
		return notFound
	}
	return caller.Response{Status: 200, Body: o}
}

func (a *api) create(_ context.Context, r caller.Request) caller.Response {
	if len(r.Body) > maxBody {
		return caller.Refuse(413, "body_too_large", "the body is longer than "+strconv.Itoa(maxBody)+" bytes")
	}
	asked, err := parseOrder(r.Body)
	if err != nil {
		return caller.Refuse(400, "order_invalid", err.Error())
	}
	o, ok := a.store.add(r.Caller.Subject, asked)
	if !ok {
		return caller.Refuse(503, "store_full", "no room for another order")
	}
	// Relative to /orders, since a REST API's stage goes in front of it.
	return caller.Response{Status: 201, Body: o, Headers: map[string]string{"Location": "orders/" + o.ID}}
}

func (a *api) delete(_ context.Context, r caller.Request) caller.Response {
	if !a.store.remove(r.Params["id"]) {
		return notFound
	}
	return caller.Response{Status: 204}
}

var notFound = caller.Refuse(404, "order_unknown", "no such order")
