package main

// manual is what `gatehouse help VERB` says beside the flags.
type manual struct {
	about    string
	examples []string // each a line for a shell; a test runs it as it stands
}

var manuals = map[string]manual{
	"serve": {
		`Runs the sample API on this machine until Ctrl-C: a REST API and an HTTP API in front of the real function
executables, and an Auth0-like issuer. Decisions appear on the screen; the records are in .gatehouse/authorizer.log.`,
		[]string{"gatehouse serve --rest 127.0.0.1:0 --http 127.0.0.1:0 --issuer 127.0.0.1:0"},
	},
	"token": {
		`Prints a token of the local issuer and nothing else. Who it is about is a sample person, or claims one by one; claims
go over what the person has.`,
		[]string{
			"gatehouse token --as customer",
			`gatehouse token --as support --claim 'amr=["mfa"]' --expires 5m`,
			"gatehouse token --sub 'auth0|1' --permissions 'read:orders delete:orders' --org org_home",
		},
	},
	"rotate": {
		`Changes the signing keys of the local issuer, as a tenant's administrator would; a running issuer follows. With
--revoke the issuer drops the keys of before: it refuses what they signed at once, a function from its next fetch of
the keys on, which the first token with a new key or the age of those it holds brings about (docs/auth0.md).`,
		[]string{"gatehouse rotate", "gatehouse rotate --revoke --json"},
	},
	"authorize": {
		`Answers authorizer events, one JSON a line, exactly as the Lambda would: {"response": …} or {"error": …} on standard
output, records on standard error. The settings are the function's, from the environment.`,
		[]string{
			`echo '{"type":"TOKEN","authorizationToken":"Bearer x","methodArn":"arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/GET/orders"}' | gatehouse authorize`,
		},
	},
	"routes": {
		`Makes the policies' route table out of the file that deploys the API: every route that an authorizer guards, and the
API package that decides on it. With --check it refuses a table that is no longer the file's.`,
		[]string{
			"gatehouse routes --config serverless.yml",
			"gatehouse routes --check policies/routes/data.json",
			"gatehouse routes --check policies/routes/data.json --json",
		},
	},
	"can-i": {
		`Says whether a request would be allowed, and if not, why: exit 0 yes, 1 no, 3 could not tell. Who asks is a sample
person or claims, as in "gatehouse token", or a token, which is verified as the function does with GATEHOUSE_AUTH0.
With --list, all routes of the policies' table.`,
		[]string{
			"gatehouse can-i GET /orders/42 --as customer",
			"gatehouse can-i DELETE /orders/42 --sub 'auth0|1' --permissions delete:orders --org org_home",
			`gatehouse can-i GET /profile --token "$(gatehouse token --as customer)"`,
			"gatehouse token --as machine | gatehouse can-i GET /orders --token -",
			"gatehouse can-i --list --as customer --param id='auth0|cust'",
			"gatehouse can-i --list --as support --policies policies --json",
		},
	},
	"explain": {
		`Reads one record of the function's log, or one authorizer event, and says why it was decided so: which grants and
constraints fired, with file and line; what was missing for those that did not, and the single changes that would have
allowed it. A record is decided anew by the policies at hand: exit 1 where that gives another decision, 3 where the
record lacks what they read. Of a log, --last picks the last record, and --id the one whose decision id begins so, as on
the screen of "gatehouse serve". An event is read with all settings of the function, and needs GATEHOUSE_AUTH0 or somebody
to ask for it: --as, --sub.`,
		[]string{
			"gatehouse explain --last .gatehouse/authorizer.log",
			"gatehouse explain --last --json < .gatehouse/authorizer.log",
			`echo '{"type":"TOKEN","authorizationToken":"Bearer x","methodArn":"arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/DELETE/orders/42"}' | gatehouse explain --as customer`,
		},
	},
	"test": {
		`Makes the checks that the function makes before it serves, asks for a decision on every route, and runs the Rego
tests with line coverage. It fails when no test ran. With --mutate it then leaves out each condition of a grant or a
template and each constraint, one at a time: a test must fail each time, or what was left out is named with its place.
What cannot be left out, since the rest would not compile, is counted, and named with --json.`,
		[]string{"gatehouse test policies"},
	},
}
