package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/follow"
	"gatehouse/internal/release"
	"gatehouse/test/parameterstore"
)

// A minute of load while what is active changes all the time: each answer is what the old or the new activation says, of
// policy and configuration together; none is mixed, none fails.
func TestActivationsUnderLoad(t *testing.T) {
	const (
		lasts       = time.Minute
		activations = 20
		rollbacks   = 5
		clients     = 12
		pause       = 40 * time.Millisecond // 12 clients, each at most 25 requests a second
		perSecond   = 200
		refresh     = time.Second
	)
	aws := parameterstore.Start(t)
	s := &story{t: t, dist: distribution(t), dir: t.TempDir()}
	ports := freePorts(t, 3)
	s.rest, s.http, s.issuer = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2]
	if err := s.files(s.dir); err != nil {
		t.Fatal(err)
	}
	env := append(aws.Env(), "PATH="+os.Getenv("PATH"), "HOME="+s.dir, "GATEHOUSE_STORE=ssm:/gatehouse/dev", "GATEHOUSE_STAGE=dev",
		"GATEHOUSE_APIS=123456789012/a1b2c3", "GATEHOUSE_REFRESH="+refresh.String())
	run := func(args ...string) string {
		t.Helper()
		c := exec.Command(gatehouse(t), args...)
		c.Dir, c.Env = s.dir, env
		var said strings.Builder
		c.Stderr = &said
		out, err := c.Output()
		if err != nil {
			t.Fatalf("gatehouse %s: %v\n%s%s", strings.Join(args, " "), err, out, said.String())
		}
		return string(out)
	}
	env = append(env, "GATEHOUSE_TRUST="+strings.TrimSpace(run("keygen", "release.jwk")))
	run("publish", "v1", "--key", "release.jwk") // customers may not delete
	run("publish", "v2", "--key", "release.jwk") // they may
	changes := &history{}
	change := func(args ...string) {
		t.Helper()
		began := time.Now()
		var report struct {
			Activation release.Activation `json:"activation"`
		}
		out := run(append(args, "--key", "release.jwk", "--json")...)
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		changes.add(began, time.Now(), report.Activation)
	}
	change("activate", "1", "--auth0", "auth0.json")
	// A function's parameters are those of its own region.
	config := strings.Replace(read(t, "../serverless.yml"), "region: us-east-1", "region: "+parameterstore.Region, 1)
	if err := os.WriteFile(filepath.Join(s.dir, "serverless.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.begin(env, "--store", "ssm:/gatehouse/dev", "--dist", s.dist); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	ours, err := s.tokenOf("customer")
	if err != nil {
		t.Fatal(err)
	}
	others, err := s.tokenOf("customer", "--audience", "https://other.example.com")
	if err != nil {
		t.Fatal(err)
	}

	// With v1 goes the audience of ours, with v2 that of the others. Half of one and half of the other would answer 204 to
	// ours, or 403 to others.
	probes := []struct {
		token string
		want  []int
	}{{ours, []int{403, 401}}, {others, []int{401, 204}}}
	var asked, wrong atomic.Int64
	var wait sync.WaitGroup
	end := time.Now().Add(lasts)
	for client := range clients {
		wait.Go(func() {
			for n := client; time.Now().Before(end); n++ {
				p, began := probes[n%len(probes)], time.Now()
				status, err := s.askAs(p.token, "DELETE", "/orders/42", n/2)
				asked.Add(1)
				if (err != nil || !slices.Contains(p.want, status)) && wrong.Add(1) <= 5 {
					t.Errorf("probe %d: %d, %v, want one of %v", n%2, status, err, p.want)
				}
				time.Sleep(pause - time.Since(began))
			}
		})
	}
	for i := range activations + rollbacks {
		time.Sleep(time.Until(end) / time.Duration(activations+rollbacks+1-i))
		if i%5 == 4 {
			change("rollback")
			continue
		}
		next := "2"
		config := "other-audience.json"
		if changes.last().Release == 2 {
			next, config = "1", "auth0.json"
		}
		change("activate", next, "--auth0", config)
	}
	wait.Wait()
	s.end()
	if wrong.Load() > 0 {
		t.Log(s.screen())
	}

	t.Logf("%d requests in %s, %d changes of what is active, %d wrong", asked.Load(), lasts, len(changes.all)-1, wrong.Load())
	if n := asked.Load(); n < int64(perSecond*lasts.Seconds()) {
		t.Errorf("%d requests: less than %d a second", n, perSecond)
	}
	changes.holds(t, filepath.Join(s.dir, ".gatehouse", "authorizer.log"), refresh)
}

// history is what was made active, and when.
type history struct {
	all []activation
}

type activation struct {
	began, ended time.Time // of the command
	says         release.Activation
}

func (h *history) add(began, ended time.Time, a release.Activation) {
	h.all = append(h.all, activation{began, ended, a})
}

func (h *history) last() release.Activation { return h.all[len(h.all)-1].says }

// holds holds each record against the activation that it names: its very policy, its very configuration, and no earlier than
// it was made active nor later than one refresh, and what a busy machine needs, after the next one was.
func (h *history) holds(t *testing.T, log string, refresh time.Duration) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const slack = 2 * time.Second
	records, lagging, answers := 0, time.Duration(0), map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var status follow.Status
		if json.Unmarshal(lines.Bytes(), &status) == nil && status.Bundles["gatehouse"].Code != "" {
			t.Errorf("a check did not confirm: %s", lines.Bytes())
		}
		var r authorizer.Record
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.DecisionID == "" {
			continue
		}
		records++
		sequence, err := strconv.ParseInt(r.Bundles["activation"].Revision, 10, 64)
		i := slices.IndexFunc(h.all, func(a activation) bool { return a.says.Sequence == sequence })
		if err != nil || i < 0 {
			t.Fatalf("a record of no activation: %s", lines.Bytes())
		}
		a := h.all[i]
		if r.Bundles["gatehouse"].Revision != a.says.Bundle.Digest || r.Bundles["auth0"].Revision != a.says.Auth0.Digest {
			t.Fatalf("mixed: activation %d is %+v, and the record says %s", sequence, a.says, lines.Bytes())
		}
		if r.Timestamp.Before(a.began) {
			t.Errorf("activation %d answered %s before it was made", sequence, a.began.Sub(r.Timestamp))
		}
		if i+1 < len(h.all) {
			lag := r.Timestamp.Sub(h.all[i+1].ended)
			lagging = max(lagging, lag)
			if lag > refresh+slack {
				t.Errorf("activation %d answered %s after the next one was made", sequence, lag)
			}
		}
		outcome := "no result"
		if r.Result != nil {
			outcome = string(r.Result.Status.Reason)
		} else if r.Error != nil {
			outcome = r.Error.Code
		}
		answers[fmt.Sprintf("release %d: %s", a.says.Release, outcome)]++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records, %v; the last answer by an old activation came %s after the new one was made", records, answers, lagging.Round(time.Millisecond))
	for _, want := range []string{"release 1: NotGranted", "release 1: audience_mismatch", "release 2: Granted", "release 2: audience_mismatch"} {
		if answers[want] == 0 {
			t.Errorf("never: %s", want)
		}
	}
	if len(answers) != 4 {
		t.Errorf("answers %v", answers)
	}
}
