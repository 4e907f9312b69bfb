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
	"keygen": {
		`Makes a key that signs releases, in a new file that its owner alone can read, and prints the public half as a JWKS: the
functions and the verbs trust it by GATEHOUSE_TRUST. With --public it prints one JWKS of several keys, public or private,
or of KMS: the trust set where several people sign, of whom GATEHOUSE_THRESHOLD must. A file that exists is not
overwritten; --public prints the public half of the key in it.`,
		[]string{"gatehouse keygen carol.jwk", "gatehouse keygen --public alice.jwk bob.jwk"},
	},
	"publish": {
		`Stores the policies of a directory and signs them as a release. The parts are read back and loaded as the function
loads them before anything is signed. What is active does not change. A run that was cut short is finished by running it
again, and content that is a release already gets no second number.`,
		[]string{"gatehouse publish policies --key alice.jwk", "gatehouse publish policies --key alice.jwk --json"},
	},
	"sign": {
		`Adds a signature to a release, after the checks that its publisher made. One trusted key must have signed it already: the
publisher's, who knows which directory it was. It takes as many trusted keys as
GATEHOUSE_THRESHOLD says before a release can be activated.`,
		[]string{"gatehouse sign 2 --key bob.jwk"},
	},
	"activate": {
		`Makes a release what the functions decide by, each from its next look at the store on (GATEHOUSE_REFRESH), without a
deployment. The Auth0 configuration stays unless --auth0 gives another, and the first activation needs one. Where several
keys must sign, each signer runs the same command, and the last signature puts it into effect. With --for or --not-after
it is break-glass: at its end what was active before answers again, by the function's own clock, even where the store
cannot be reached. --for, run again, sets another end, later or sooner; only within a minute does it go on with what it began.
Where several sign, use --not-after: both must name the same time. What is active already is not signed again, unless more
keys are given than signed it: that is how a higher threshold gets its signatures before it is deployed. What an API
Gateway cached lives on for its TTL; --flush empties the caches of REST APIs.`,
		[]string{
			"gatehouse activate 1 --key alice.jwk",
			"gatehouse activate 2 --auth0 auth0.json --key alice.jwk --json",
			"gatehouse activate 1 --for 2h --key alice.jwk",
		},
	},
	"candidate": {
		`Has a release decide beside the active one. It never answers; where it would have decided otherwise, the function's log
says so. With --off there is none any more.`,
		[]string{"gatehouse candidate 1 --key alice.jwk", "gatehouse candidate --off --key alice.jwk"},
	},
	"rollback": {
		`Makes active again what was so before, policy and Auth0 configuration; with a number, that release with the present
configuration. It is an activation like any other, with the next number, and needs no policies but those in the store.
What was before is the newest activation below the active one that enough keys signed, that is not break-glass, and that
says something else than what answers now; the report names it, and "gatehouse status" lists them. It refuses where there
is none, and, without a number, where a newer activation is signed than stands in active. Where nothing that counts stands
in active, the last activation stands again.`,
		[]string{"gatehouse rollback --key alice.jwk", "gatehouse rollback 1 --key alice.jwk --json"},
	},
	"auth0": {
		`check reads an Auth0 configuration as the function does and asks each issuer that is not pinned for its keys: exit 1
where they cannot verify what the configuration expects, 3 where one cannot be asked. put does the same, stores it, and
makes it active with the release that is. --offline asks nobody.`,
		[]string{
			"gatehouse auth0 check auth0.json",
			"gatehouse auth0 check auth0.json --offline --json",
			"gatehouse auth0 put auth0.json --key alice.jwk",
		},
	},
	"status": {
		`Says what is active, which releases there are and who signed them, what was active before, and which activations wait
for signatures. With --policies it holds a directory against what is active; with --records it counts, in logs of the
functions, who decides by what: OLDER is what decided by something else after the active one was written, NEWER what holds
something above the store's own, which somebody put back. It needs no key. Exit 1 where nothing that counts is active or the directory is something else.`,
		[]string{
			"gatehouse status",
			"gatehouse status --policies policies --records .gatehouse/authorizer.log",
			"gatehouse status --all --json",
		},
	},
	"gc": {
		`Deletes from the store what nothing needs: all releases and activations but the last ones, contents that none of those
names, and what is no statement or no signature at all. What is active stays with everything it names, and so do the
highest activation and whatever is younger than an hour. It needs no key, but the right to delete parameters.`,
		[]string{"gatehouse gc --dry-run", "gatehouse gc --keep 3 --json"},
	},
	"bake": {
		`Writes what is active, verified, into a directory that the function's zip takes along: "gatehouse bake dist/baked &&
make package". A function that starts with it reads one parameter of the store instead of all parts, and refuses every
activation below this one. An earlier bake is replaced.`,
		[]string{"gatehouse bake dist/baked", "gatehouse bake dist/baked --json"},
	},
}
