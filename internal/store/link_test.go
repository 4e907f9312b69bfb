package store_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What opens a reader cannot write: the linker drops it, even where the program reflects.
func TestWhatAReaderLinks(t *testing.T) {
	program := filepath.Join(t.TempDir(), "reader")
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("go", "build", "-buildvcs=false", "-o", program, "./testdata/reader")
	symbols := run("go", "tool", "nm", program)
	const client = "github.com/aws/aws-sdk-go-v2/service/ssm.(*Client)."
	for _, method := range []string{"GetParameter", "GetParameters"} {
		if !strings.Contains(symbols, client+method+"\n") {
			t.Errorf("%s is not linked: this test looks for the wrong names", method)
		}
	}
	for line := range strings.Lines(symbols) {
		for _, word := range []string{"PutParameter", "DeleteParameter", "GetParametersByPath", "LabelParameter", "GetParameterHistory"} {
			if strings.Contains(line, client+word) {
				t.Errorf("linked: %s", strings.TrimSpace(line))
			}
		}
	}
	for pkg := range strings.Lines(run("go", "list", "-deps", ".")) {
		if strings.HasPrefix(pkg, "github.com/aws/aws-sdk-go-v2/config") || strings.HasPrefix(pkg, "gatehouse/") && pkg != "gatehouse/internal/store\n" {
			t.Errorf("imports %s", pkg)
		}
	}
}
