package test

import (
	"archive/zip"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

// architectures are those of the zips, as AWS calls them and as Go does.
var architectures = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

// packaged is `make package`, done once, in a copy of what it needs.
var packaged = sync.OnceValues(func() (string, error) {
	dir, err := copied("packaged")
	if err != nil {
		return "", err
	}
	return dir, made(dir, "", "package")
})

// copied makes a copy of what packaging needs, with the tools of this tree.
func copied(name string) (string, error) {
	if _, err := os.Stat("../tools/node_modules/.package-lock.json"); err != nil {
		return "", fmt.Errorf("%w: run make tools", err)
	}
	dir := filepath.Join(built, name)
	for _, part := range []string{"authorizer", "cmd", "handlers", "internal", "policies"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS("../"+part)); err != nil {
			return "", err
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile", "serverless.yml"} {
		content, err := os.ReadFile("../" + file)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			return "", err
		}
	}
	tools, err := filepath.Abs("../tools")
	if err != nil {
		return "", err
	}
	return dir, os.Symlink(tools, filepath.Join(dir, "tools"))
}

// made runs make there, with the tools as they are, no AWS account, and no setting of ours but those given.
func made(dir, before string, targets ...string) error {
	c := exec.Command("bash", "-c", before+` exec make --old-file tools "$@"`, "make")
	c.Args = append(c.Args, targets...)
	c.Dir = dir
	for _, v := range os.Environ() {
		if !regexp.MustCompile(`^(AWS_|GATEHOUSE_|MAKE|MFLAGS)`).MatchString(v) {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: %w\n%s", strings.Join(targets, " "), err, out)
	}
	return nil
}

func packagedDir(t *testing.T) string {
	t.Helper()
	dir, err := packaged()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The zips are the same bytes from another directory, with another idea of how to build and of the time.
func TestPackageTwiceIsTheSame(t *testing.T) {
	first := packagedDir(t)
	second, err := copied("packaged-again/elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if err := made(second, "umask 077; export GOFLAGS=-gcflags=all=-N GOAMD64=v3 GOARM64=v9.0 CGO_ENABLED=1 TZ=Pacific/Auckland;", "zips"); err != nil {
		t.Fatal(err)
	}
	want, got := read(t, filepath.Join(first, "dist/SHA256SUMS")), read(t, filepath.Join(second, "dist/SHA256SUMS"))
	if got != want {
		t.Errorf("checksums differ:\n%s", diff.Diff(first, []byte(want), second, []byte(got)))
	}
	for _, sum := range []string{"arm64/authorizer.zip", "x86_64/authorizer.zip", "arm64/orders.zip"} {
		if !strings.Contains(want, sum) {
			t.Errorf("no checksum of %s:\n%s", sum, want)
		}
	}
}

// Each zip holds one executable, of the architecture whose directory it is in, built as README.md says.
func TestPackageZips(t *testing.T) {
	dir := packagedDir(t)
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for arch, goarch := range architectures {
		zips, err := filepath.Glob(filepath.Join(dir, "dist", arch, "*.zip"))
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 + len(handlers(t)); len(zips) != want {
			t.Errorf("%s: %d zips, want %d", arch, len(zips), want)
		}
		for _, name := range zips {
			r, err := zip.OpenReader(name)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if len(r.File) != 1 || r.File[0].Name != "bootstrap" || r.File[0].Mode() != 0o755 {
				t.Fatalf("%s: want bootstrap alone, a file of mode 0755", name)
			}
			in, err := r.File[0].Open()
			if err != nil {
				t.Fatal(err)
			}
			executable, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			info, err := buildinfo.Read(bytes.NewReader(executable))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			settings := map[string]string{}
			for _, s := range info.Settings {
				settings[s.Key] = s.Value
			}
			for key, want := range map[string]string{"GOOS": "linux", "GOARCH": goarch, "CGO_ENABLED": "0", "-tags": "lambda.norpc", "-trimpath": "true"} {
				if settings[key] != want {
					t.Errorf("%s: %s is %q, want %q", name, key, settings[key], want)
				}
			}
			for _, path := range []string{dir, here} {
				if bytes.Contains(executable, []byte(path)) {
					t.Errorf("%s holds the path %s", name, path)
				}
			}
		}
	}
}

func handlers(t *testing.T) []string {
	t.Helper()
	mains, err := filepath.Glob("../handlers/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no handlers: %v", err)
	}
	return mains
}

// What each packaging names anew: the time of the deployment, and the hashes of the code.
var passing = []struct{ found, written string }{
	{`[0-9]+-[0-9T:.-]+Z/`, "TIME/"},
	{`ApiGatewayDeployment[0-9]+`, "ApiGatewayDeploymentTIME"},
	{`(\w+LambdaVersion)\w{30,}`, "${1}HASH"}, // base64 of 32 bytes without its + and /, however many
	{`("CodeSha256": )"[^"]*"`, `${1}"HASH"`},
}

// written gives the template that was packaged for an architecture, in sorted order, with what passes replaced and the
// framework's Fn::Join of many lines as the one line that it stands for.
func written(t *testing.T, arch string) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(joined(map[string]any(packagedTemplate(t, arch)))); err != nil {
		t.Fatal(err)
	}
	text := out.Bytes()
	for _, p := range passing {
		text = regexp.MustCompile(p.found).ReplaceAll(text, []byte(p.written))
	}
	return text
}

// joined makes a Fn::Sub of every Fn::Join.
func joined(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v["Fn::Join"] != nil {
			return map[string]any{"Fn::Sub": text(v)}
		}
		out := map[string]any{}
		for name, value := range v {
			out[name] = joined(value)
		}
		return out
	case []any:
		out := []any{}
		for _, value := range v {
			out = append(out, joined(value))
		}
		return out
	}
	return v
}

// flat writes a template as one line for each value, with its whole path, so that a difference says what it is about. What
// a deployment resolves stands without quotes.
func flat(t *testing.T, document []byte) []byte {
	t.Helper()
	var parsed any
	if err := json.Unmarshal(document, &parsed); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var write func(path string, v any)
	write = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if len(v) == 1 && (v["Ref"] != nil || v["Fn::GetAtt"] != nil || v["Fn::Sub"] != nil) {
				fmt.Fprintf(&out, "%s: %s\n", path, text(v))
				return
			}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				write(path+"."+name, v[name])
			}
			if len(v) == 0 {
				fmt.Fprintf(&out, "%s: {}\n", path)
			}
		case []any:
			for i, value := range v {
				write(fmt.Sprintf("%s[%d]", path, i), value)
			}
			if len(v) == 0 {
				fmt.Fprintf(&out, "%s: []\n", path)
			}
		default:
			fmt.Fprintf(&out, "%s: %#v\n", path, v)
		}
	}
	write("", parsed)
	return out.Bytes()
}

// What is deployed is what was reviewed: testdata/package/template.json, for arm64; x86_64 differs in its name alone.
func TestPackageTemplate(t *testing.T) {
	const golden = "testdata/package/template.json"
	got := written(t, "arm64")
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := diff.Diff(golden, flat(t, []byte(read(t, golden))), "as packaged", flat(t, got)); d != nil {
		t.Errorf("the packaged template is another (go test ./test -run Package -update accepts it):\n%s", d)
	}
	other := bytes.ReplaceAll(written(t, "x86_64"), []byte(`"x86_64"`), []byte(`"arm64"`))
	if d := diff.Diff("arm64", flat(t, got), "x86_64", flat(t, other)); d != nil {
		t.Errorf("the architectures' templates differ in more than the architecture:\n%s", d)
	}
}

// make package fails where the framework or cfn-lint finds fault.
func TestPackageRefuses(t *testing.T) {
	dir, err := copied("refused")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(packagedDir(t), "dist"), filepath.Join(dir, "zips")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "serverless.yml")
	right := strings.ReplaceAll(read(t, file), "artifact: dist/", "artifact: zips/")
	for name, test := range map[string]struct{ old, new, want string }{
		"a key that the framework does not know":       {"memorySize: 512", "memorySise: 512", "memorySise"},
		"a property that CloudFormation does not know": {"ResponseType: UNAUTHORIZED", "ResponseSort: UNAUTHORIZED", "'ResponseSort' was unexpected"},
		"a name within a text that is not substituted": {"!Sub ${AWS::AccountId}/", "${AWS::AccountId}/", "E1029"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := strings.Replace(right, test.old, test.new, 1)
			if wrong == right {
				t.Fatalf("serverless.yml has no %q", test.old)
			}
			if err := os.WriteFile(file, []byte(wrong), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := made(dir, "", "--old-file", "zips", "package"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want a failure that says %q, got: %v", test.want, err)
			}
		})
	}
}
