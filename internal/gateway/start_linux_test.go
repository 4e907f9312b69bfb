package gateway

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A parent that is killed has no chance to tidy up; its processes have to end all the same.
func TestNoProcessOutlivesAKilledParent(t *testing.T) {
	path, _ := pipe(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "GATEWAY_TEST_PARENT="+path, "GATEWAY_TEST_BOOTSTRAP="+bootstrap)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(path, os.O_WRONLY, 0) // opens when the function reads
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := writer.WriteString("x"); errors.Is(err, syscall.EPIPE) {
			return // nobody reads any more
		}
		if time.Now().After(deadline) {
			t.Fatal("the function's process lives on")
		}
	}
}
