package test

import (
	"os"
	"strings"
	"testing"

	"gatehouse/test/moto"
)

// The runbook is a script, over a Parameter Store that somebody else wrote.
func TestTheRunbook(t *testing.T) {
	aws, dir := moto.Start(t), operators(t)
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL_SSM=" + aws.URL}, aws.Env...)
	if n := console(t, "../docs/runbook.md", dir, env, strings.NewReplacer()); n < 35 {
		t.Errorf("only %d commands found in the runbook", n)
	}
}
