package test

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Many clients at once, several processes behind: every single answer is the one that its request gets alone.
func TestManyClients(t *testing.T) {
	const clients, each = 50, 200
	s := serve(t)
	customer, machine := "Bearer "+s.token(t, "--as", "customer"), "Bearer "+s.token(t, "--as", "machine")
	kinds := []struct {
		method, url, authorization string
		want                       int
	}{
		{"GET", s.rest + "/orders", customer, 200},
		{"GET", s.http + "/orders/42", machine, 200},
		{"DELETE", s.rest + "/orders/42", customer, 403},
		{"GET", s.http + "/admin/users", machine, 403},
		{"GET", s.rest + "/profile", "Bearer x.y.z", 401},
		{"GET", s.http + "/orders", "", 401}, // before the authorizer
		{"GET", s.rest + "/health", "", 200}, // without one
		{"GET", s.http + "/users/auth0%7Ccust/orders", customer, 200},
	}
	pool := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer pool.CloseIdleConnections()
	var wrong, asked atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for client := range clients {
		wait.Go(func() {
			for i := range each {
				k := kinds[(client+i)%len(kinds)]
				req, err := http.NewRequestWithContext(t.Context(), k.method, k.url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if k.authorization != "" {
					req.Header.Set("Authorization", k.authorization)
					asked.Add(1)
				}
				res, err := pool.Do(req)
				if err != nil {
					wrong.Add(1)
					t.Errorf("%s %s: %v", k.method, k.url, err)
					continue
				}
				content, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if (res.StatusCode != k.want || err != nil) && wrong.Add(1) < 10 {
					t.Errorf("%s %s: got %d %.200s, %v, want %d", k.method, k.url, res.StatusCode, content, err, k.want)
				}
			}
		})
	}
	wait.Wait()
	took := time.Since(began)

	page := call(t, "GET", s.http+"/__gatehouse/metrics", "", "").content
	counted := func(metric string) int64 {
		m := regexp.MustCompile(`(?m)^` + metric + `\{function="authorizer"\} (\d+)$`).FindStringSubmatch(page)
		if m == nil {
			return 0
		}
		n, _ := strconv.ParseInt(m[1], 10, 64) // digits
		return n
	}
	processes := counted("gatehouse_cold_starts_total")
	if processes < 2 {
		t.Errorf("%d processes of the authorizer, want several", processes)
	}
	if n := counted("gatehouse_invocations_total"); n != asked.Load() {
		t.Errorf("the authorizer was asked %d times, want %d", n, asked.Load())
	}
	answers := 0
	for _, m := range regexp.MustCompile(`(?m)^gatehouse_requests_total\{.*\} (\d+)$`).FindAllStringSubmatch(page, -1) {
		n, _ := strconv.Atoi(m[1])
		answers += n
	}
	if answers != clients*each || strings.Contains(page, `status="5`) {
		t.Errorf("%d answers counted, want %d and none above 499:\n%s", answers, clients*each, page)
	}
	t.Logf("%d requests by %d clients, %d wrong, %d authorizer processes, %v", clients*each, clients, wrong.Load(), processes, took.Round(time.Millisecond))
}
