// Command admin is the sample API's GET /admin/users: the sample users, with the subjects, roles and organizations that
// the local issuer gives them.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"gatehouse/handlers/caller"
)

func main() { lambda.Start(caller.Guarded(routes.Serve)) }

var routes = caller.Routes{"GET /admin/users": list}

// user is one of the sample API's people.
type user struct {
	Subject      string   `json:"sub"`
	Name         string   `json:"name"`
	Roles        []string `json:"roles"`
	Organization string   `json:"organization"`
}

// users is the body of an answer.
type users struct {
	Users []user `json:"users"`
}

func list(context.Context, caller.Request) caller.Response {
	return caller.Response{Status: 200, Body: users{[]user{
		{"auth0|cust", "customer", []string{"customer"}, "org_home"},
		{"auth0|supp", "support", []string{"support"}, "org_home"},
		{"auth0|adm", "admin", []string{"admin"}, "org_home"},
		{"auth0|susp", "suspended", []string{"customer"}, "org_home"},
		{"auth0|out", "outsider", []string{"customer"}, "org_other"},
	}}}
}
