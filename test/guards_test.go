package test

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the import graph of the house: each room, and what of the house it may know. Least privilege holds here
// as in IAM. A room that is not listed fails the test.
var mayImport = map[string]struct {
	rooms []string
	why   string
}{
	"authorizer":            {nil, "the request line knows the standard library only"},
	"authorizer/apigw":      {[]string{"authorizer"}, "alone knows the gateway's JSON, and nothing of tokens or Rego"},
	"authorizer/token":      {[]string{"authorizer"}, "alone knows jwx, and nothing of the gateway or Rego"},
	"authorizer/pdp":        {[]string{"authorizer", "internal/bundle"}, "alone evaluates Rego"},
	"internal/bundle":       {nil, "shared by the authorizer and admission: knows neither"},
	"internal/mutation":     {[]string{"internal/bundle"}, "runs the tests of a policy: knows nothing of requests"},
	"internal/serverless":   {[]string{"authorizer"}, "reads a file; knows routes and protocols"},
	"internal/gateway":      {[]string{"authorizer", "internal/serverless"}, "stands in for AWS: sees no policy, no token room"},
	"internal/issuer":       {nil, "stands in for Auth0: shares nothing with the verifier"},
	"internal/release":      {nil, "statements and keys: knows neither what they name nor where they are kept"},
	"internal/release/kms":  {nil, "a key that never leaves AWS: for the command line"},
	"internal/store":        {nil, "keeps texts by key, whatever they say"},
	"internal/store/writer": {[]string{"internal/store"}, "whoever reads cannot write: for the command line"},
	"internal/follow":       {[]string{"authorizer", "internal/bundle", "internal/release", "internal/store"}, "reads, verifies and swaps; what a generation is made of, others know"},
	"internal/function": {[]string{"authorizer", "authorizer/apigw", "authorizer/pdp", "authorizer/token", "internal/bundle", "internal/follow", "internal/release", "internal/store"},
		"wiring"},
	"policies":       {nil, "data and Rego"},
	"cmd/authorizer": {[]string{"authorizer", "internal/function", "policies"}, "wiring only"},
	"cmd/zip":        {nil, "packs files, whatever is in them"},
	"cmd/gatehouse": {[]string{"authorizer", "authorizer/apigw", "authorizer/pdp", "authorizer/token", "internal/bundle", "internal/follow", "internal/function", "internal/gateway", "internal/issuer",
		"internal/mutation", "internal/release", "internal/release/kms", "internal/serverless", "internal/store", "internal/store/writer", "policies"}, "the command line"},
	"handlers/caller": {nil, "handlers never see a token, nor who reads it"},
}

// onlyThere are modules and where alone they may be imported. Tests may import anything.
var onlyThere = map[string]struct{ rooms []string }{
	"github.com/lestrrat-go/jwx/v2":            {[]string{"authorizer/token", "internal/release"}},
	"github.com/aws/aws-sdk-go-v2":             {[]string{"internal/store", "internal/store/writer", "internal/release/kms", "cmd/gatehouse"}},
	"github.com/aws/smithy-go":                 {[]string{"internal/store", "internal/store/writer", "cmd/gatehouse"}},
	"github.com/lestrrat-go/jwx/v3":            {nil}, // OPA brings it; docs/adr/0004-jwx-v2.md says when it is ours
	"github.com/open-policy-agent/opa":         {[]string{"authorizer/pdp", "internal/bundle", "internal/mutation", "cmd/gatehouse"}},
	"github.com/aws/aws-lambda-go":             {[]string{"cmd/authorizer", "handlers/*"}},
	"github.com/go-json-experiment/json":       {[]string{"authorizer/apigw", "authorizer/token", "internal/bundle", "internal/gateway", "internal/issuer", "internal/release"}},
	"github.com/coder/websocket":               {[]string{"internal/gateway"}},
	"github.com/zitadel/oidc/v3":               {[]string{"internal/issuer"}},
	"github.com/go-jose/go-jose/v4":            {[]string{"internal/issuer"}},
	"go.yaml.in/yaml/v3":                       {[]string{"internal/bundle", "internal/serverless"}},
	"github.com/open-policy-agent/opa/v1/rego": {[]string{"authorizer/pdp"}},
}

func TestImportGraph(t *testing.T) {
	for file, imports := range sources(t) {
		room := filepath.ToSlash(filepath.Dir(file))
		rule, listed := mayImport[room]
		if of, ok := strings.CutPrefix(room, "handlers/"); ok && of != "caller" {
			rule.rooms, rule.why, listed = []string{"handlers/caller"}, "a handler knows its caller, and nobody else", true
		}
		if !listed {
			t.Errorf("%s: room %s is not in the import graph: list it with its reason", file, room)
			continue
		}
		for _, path := range imports {
			if of, ok := strings.CutPrefix(path, "gatehouse/"); ok {
				if !slices.Contains(rule.rooms, of) {
					t.Errorf("%s imports %s: %s", file, path, rule.why)
				}
				continue
			}
			if room == "authorizer" && strings.Contains(strings.Split(path, "/")[0], ".") {
				t.Errorf("%s imports %s: %s", file, path, rule.why)
			}
			for module, only := range onlyThere {
				if (path == module || strings.HasPrefix(path, module+"/")) && !slices.Contains(only.rooms, room) && !slices.Contains(only.rooms, filepath.Dir(room)+"/*") {
					t.Errorf("%s imports %s: only %q may", file, path, only.rooms)
				}
			}
		}
	}
}

// sources gives the imports of each Go file of the house that is no test, by its path from the root.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := filepath.Base(name)
		if d.IsDir() {
			if base == "testdata" || base == "test" || base == "tools" || base == "node_modules" || strings.HasPrefix(base, ".") && name != "." {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		found[name] = []string{}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[name] = append(found[name], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Fatalf("only %d files found: this test looks in the wrong place", len(found))
	}
	return found
}

// unwanted are packages that cost the Lambda start-up time, size or reach, with the reason.
var unwanted = map[string]string{
	"net/rpc":                                    "the build lacks the tag lambda.norpc",
	"html/template":                              "its reflection keeps every exported method: 4 MB",
	"text/template":                              "likewise",
	"testing":                                    "a test runner has no place in the Lambda",
	"go.opentelemetry.io/otel":                   "start-up time",
	"github.com/prometheus/client_golang":        "start-up time",
	"google.golang.org/grpc":                     "start-up time",
	"github.com/dgraph-io/badger/v4":             "start-up time",
	"oras.land/oras-go/v2":                       "start-up time",
	"github.com/spf13/cobra":                     "that is the opa command line",
	"github.com/open-policy-agent/opa/v1/sdk":    "a server in a library",
	"github.com/open-policy-agent/opa/v1/tester": "the test runner belongs to the command line",
	"github.com/open-policy-agent/opa/v1/server": "a server",
	"github.com/open-policy-agent/opa/cmd":       "a command line",
	"github.com/lestrrat-go/jwx/v2/jwt":          "accepts what was never signed (docs/jwt-rules.md)",
	"gatehouse/internal/gateway":                 "stands in for AWS",
	"gatehouse/internal/store/writer":            "writes the store",
	"gatehouse/internal/release/kms":             "signs releases",
	"github.com/aws/aws-sdk-go-v2/config":        "1.9 MB for places of credentials that no function has",
	"github.com/aws/aws-sdk-go-v2/service/kms":   "signs releases",
	"github.com/aws/aws-sdk-go-v2/service/sts":   "the function has its credentials",
	"gatehouse/internal/issuer":                  "can sign tokens",
	"gatehouse/internal/admission":               "belongs to the command line",
	"gatehouse/internal/mutation":                "belongs to the command line",
	"github.com/go-jose/go-jose/v4":              "belongs to the local issuer",
	"github.com/coder/websocket":                 "belongs to the local gateway",
}

func TestWhatTheLambdaLinks(t *testing.T) {
	out, err := command("..", "go", "list", "-deps", "-tags", "lambda.norpc", "./cmd/authorizer").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	for _, pkg := range linked {
		for bad, why := range unwanted {
			// OPA keeps text/template/parse, which is harmless; nothing else below testing or the templates is linked.
			if pkg == bad || strings.HasPrefix(pkg, bad+"/") && strings.Contains(bad, ".") {
				t.Errorf("the Lambda links %s: %s", pkg, why)
			}
		}
	}
	modules, err := command("..", "go", "list", "-deps", "-tags", "lambda.norpc", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/authorizer").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(modules))
	slices.Sort(got)
	golden(t, "linked-modules.txt", []byte(strings.Join(slices.Compact(got), "\n")+"\n"))
	t.Logf("%d packages linked", len(linked))
}

// maxBinary is the budget of the stripped authorizer, in bytes.
const maxBinary = 28_000_000

func TestTheBuiltAuthorizer(t *testing.T) {
	binary, err := os.ReadFile(bootstrap(t, "authorizer"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stripped binary: %d bytes (budget %d)", len(binary), maxBinary)
	if len(binary) > maxBinary {
		t.Errorf("%d bytes, at most %d", len(binary), maxBinary)
	}
	// Function names survive stripping: the runtime needs them for stack traces. The SDK's tables name every operation.
	for _, name := range []string{"service/ssm.(*Client).PutParameter", "service/ssm.(*Client).Delete", "service/ssm.(*Client).GetParametersByPath", "html/template.", "net/rpc.", "opa/v1/tester.", "internal/admission."} {
		if bytes.Contains(binary, []byte(name)) {
			t.Errorf("the binary holds %q", name)
		}
	}
	for _, name := range []string{"gatehouse/authorizer.(*Authorizer).Authorize", "service/ssm.(*Client).GetParameters"} {
		if !bytes.Contains(binary, []byte(name)) {
			t.Errorf("the binary lacks %s: this test sees nothing", name)
		}
	}
}

// The schema that types policies and the document that they get are the same.
func TestInputSchemaIsTheInput(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
	}
	content, err := os.ReadFile("../policies/schema/input.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	for part, fields := range inputFields() {
		var described []string
		for name := range schema.Properties[part].Properties {
			described = append(described, name)
		}
		slices.Sort(described)
		if !slices.Equal(described, fields) {
			t.Errorf("input.%s: the schema has %q, the document %q", part, described, fields)
		}
	}
}

func command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir, c.Stderr = dir, os.Stderr
	return c
}
