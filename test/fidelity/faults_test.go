package fidelity

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

// fault is something that others do and API Gateway does not.
type fault struct {
	id     string
	aws    string // what API Gateway does
	wrong  string // what is done in its place, and by whom
	source string // who says what API Gateway does
	in     []patch
	check  func(t *testing.T)
}

// patch puts a fault in: one place of the house, and what stands there with it. FAULT is true while the fault is in.
type patch struct{ file, old, new string }

// faults are all of them, by the part of the gateway that they belong to.
var faults = slices.Concat(arnFaults, pathFaults, headerFaults, identityFaults, answerFaults, outcomeFaults, cacheFaults, policyFaults, lambdaFaults, socketFaults)

func TestFaults(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range faults {
		if seen[f.id] || !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(f.id) {
			t.Errorf("id %q is there twice, or is none", f.id)
		}
		seen[f.id] = true
		if f.aws == "" || f.wrong == "" || f.source == "" || f.check == nil || len(f.in) == 0 {
			t.Errorf("%s: something is missing", f.id)
			continue
		}
		t.Run(f.id, func(t *testing.T) {
			t.Parallel()
			f.check(t)
		})
	}
}

const module = "../../"

// TestEveryFaultIsCaught builds the house with every fault at once, each behind a switch, and turns on one at a time: its
// own test, and no other will do, must fail.
func TestEveryFaultIsCaught(t *testing.T) {
	binary := withFaults(t)
	run := func(id string) (string, error) {
		c := exec.CommandContext(t.Context(), binary, "-test.run", "^TestFaults$/^"+id+"$", "-test.timeout", "1m")
		c.Env = append(os.Environ(), "GATEHOUSE_FAULT="+id, "GATEHOUSE_SCRIPTED="+scripted)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := run(".*"); err != nil { // no fault has this id
		t.Fatalf("the tests fail with no fault in: %v\n%s", err, out)
	}
	var wait sync.WaitGroup
	places := make(chan struct{}, runtime.NumCPU()+1)
	for _, f := range faults {
		wait.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if out, err := run(f.id); err == nil || !strings.Contains(out, "--- FAIL: TestFaults/"+f.id+" ") {
				t.Errorf("%s: its test does not notice it (%v)\n%s", f.id, err, out)
			}
		})
	}
	wait.Wait()
	t.Logf("%d faults put in, one at a time", len(faults))
}

// withFaults builds this package's tests over the house with every fault behind its switch.
func withFaults(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	content := map[string]string{} // of each changed file
	for _, f := range faults {
		for _, p := range f.in {
			if _, read := content[p.file]; !read {
				b, err := os.ReadFile(module + p.file)
				if err != nil {
					t.Fatal(err)
				}
				content[p.file] = string(b)
			}
			if n := strings.Count(content[p.file], p.old); n != 1 {
				t.Fatalf("%s: the place in %s is there %d times, want once:\n%s", f.id, p.file, n, p.old)
			}
			content[p.file] = strings.Replace(content[p.file], p.old, regexp.MustCompile(`\bFAULT\b`).ReplaceAllString(p.new, fmt.Sprintf("faulty(%q)", f.id)), 1)
		}
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	put := func(name, text string) {
		path := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		real, err := filepath.Abs(module + name)
		if err != nil {
			t.Fatal(err)
		}
		overlay.Replace[real] = path
	}
	for name, text := range content {
		put(name, text)
		pkg := regexp.MustCompile(`(?m)^package \w+`).FindString(text)
		put(filepath.Dir(name)+"/faulty.go", pkg+"\n\nimport \"os\"\n\nfunc faulty(id string) bool { return os.Getenv(\"GATEHOUSE_FAULT\") == id }\n")
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, list, 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "faults.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build with the faults: %v\n%s", err, out)
	}
	return binary
}

// docs/fidelity.md is made of the list.
func TestTheTableIsTheList(t *testing.T) {
	const name = module + "docs/fidelity.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- made from test/fidelity by go test ./test/fidelity -update -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(string(page), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", name)
	}
	var table strings.Builder
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	table.WriteString("| id | API Gateway | others | source |\n| --- | --- | --- | --- |\n")
	for _, f := range faults {
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", f.id, cell(f.aws), cell(f.wrong), cell(f.source))
	}
	made := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(name, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if made != string(page) {
		t.Errorf("%s is not made of the list: go test ./test/fidelity -update\n%s", name, diff.Diff("docs/fidelity.md", page, "the list", []byte(made)))
	}
}

// before puts a line in front of a place that stays as it is.
func before(file, place, line string) patch { return patch{file, place, line + "\n" + place} }

// The house's files with most faults.
const (
	requestFile = "internal/gateway/request.go"
	eventFile   = "internal/gateway/event.go"
	answerFile  = "internal/gateway/answer.go"
	iamFile     = "internal/gateway/iam.go"
	gatewayFile = "internal/gateway/gateway.go"
	processFile = "internal/gateway/process.go"
	socketFile  = "internal/gateway/websocket.go"
	readerFile  = "internal/serverless/authorizers.go"
)

// Documents that many points come from.
const (
	guide        = "API Gateway Developer Guide, "
	inputPage    = guide + "Input to an API Gateway Lambda authorizer"
	outputPage   = guide + "Output from an API Gateway Lambda authorizer"
	httpPage     = guide + "Control access to HTTP APIs with AWS Lambda authorizers"
	payloadPage  = guide + "Create AWS Lambda proxy integrations for HTTP APIs"
	configPage   = guide + "Configure an API Gateway Lambda authorizer"
	accessPage   = guide + "Control access for invoking an API"
	responsePage = guide + "Gateway response types for API Gateway"
	socketPage   = guide + "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers"
	quotasPage   = guide + "Quotas"
	resourcePage = "IAM User Guide, IAM JSON policy elements: Resource"
	logicPage    = "IAM User Guide, Policy evaluation logic"
	voker        = "live captures in github.com/hotsock/voker (vokerhttp/testdata)"
	captures     = "live captures in github.com/hotsock/voker (vokerhttp/testdata/ingress-paths.json)"
)
