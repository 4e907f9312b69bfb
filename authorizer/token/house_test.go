package token

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForbiddenNames keeps out what would read a token in another way, try several keys, run in the background, or read
// a clock of its own.
func TestForbiddenNames(t *testing.T) {
	forbidden := map[string]string{
		"jwx/v2/jwt":                 "jwt.Parse takes unsigned claims from a JSON serialisation",
		"jwk.Cache":                  "it refreshes in goroutines, and a failed first fetch poisons it",
		"jwk.NewCache":               "likewise",
		"jwk.Fetch":                  "global goroutines, no cap on the body",
		"jwk.NewSet":                 "keys are chosen here, by id, once",
		"jws.Verify(":                "it hashes a re-encoding of the header",
		"jws.Parse":                  "one reader of the token, and that is ours",
		"WithKeySet":                 "it tries keys",
		"WithVerifyAuto":             "it fetches keys that the token names",
		"WithInferAlgorithmFromKey":  "the algorithm comes from the configuration",
		"http.DefaultClient":         "it follows redirects and has no deadline",
		"http.Get(":                  "likewise",
		"http.DefaultTransport":      "it asks the environment for a proxy",
		"time.Now(":                  "one reading of the clock a request, handed in",
		"time.NewTimer(":             "a frozen function runs no timers",
		"time.NewTicker(":            "likewise",
		"time.AfterFunc(":            "likewise",
		"time.Sleep(":                "likewise",
		"os.Getenv":                  "configuration comes as a document",
		"jsontext.AllowDuplicate":    "one token, one meaning",
		"jsontext.AllowInvalidUTF8(": "likewise",
		"json.Unmarshal(":            "it folds the case of names and takes the last of two",
		"json.NewDecoder(":           "it takes trailing data",
	}
	for name, source := range sources(t) {
		for line := range strings.SplitSeq(source, "\n") {
			code, _, _ := strings.Cut(line, "//")
			for word, why := range forbidden {
				if strings.Contains(code, word) {
					t.Errorf("%s: %s: %s", name, word, why)
				}
			}
		}
	}
}

func TestImports(t *testing.T) {
	allowed := []string{
		"gatehouse/authorizer", "github.com/go-json-experiment/json/jsontext", "github.com/lestrrat-go/jwx/v2/jwa",
		"github.com/lestrrat-go/jwx/v2/jwk", "github.com/lestrrat-go/jwx/v2/jws",
	}
	for name, source := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") || first == "gatehouse" {
				if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+path+" ") {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
	}
}

// sources are the package's files, tests left out.
func sources(t *testing.T) map[string]string {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	if len(out) < 5 {
		t.Fatalf("found only %d files", len(out))
	}
	return out
}
