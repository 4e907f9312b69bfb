package gateway

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"gatehouse/authorizer"
)

// metricsPath is where each API shows what was counted, in the text format of Prometheus. API Gateway has no such page.
const metricsPath = "/__gatehouse/metrics"

// counters count what happens on this machine's APIs and functions. The zero value counts.
type counters struct {
	mu     sync.Mutex
	counts map[string]map[string]int // by metric, then by its labels as they are written
}

// metrics are the names, in the order of the page, with what each counts.
var metrics = [][2]string{
	{"gatehouse_requests_total", "Answers of an API by status."},
	{"gatehouse_authorizer_cache_hits_total", "Requests that an authorizer's cached answer decided."},
	{"gatehouse_authorizer_cache_misses_total", "Requests for which a caching authorizer was asked."},
	{"gatehouse_invocations_total", "Events for a function, whatever became of them."},
	{"gatehouse_function_errors_total", "Invocations that ended in an error, a crash or a timeout."},
	{"gatehouse_throttles_total", "Invocations beyond a function's reserved concurrency."},
	{"gatehouse_cold_starts_total", "Processes started for a function."},
}

func (c *counters) count(metric, labels string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]map[string]int{}
	}
	if c.counts[metric] == nil {
		c.counts[metric] = map[string]int{}
	}
	c.counts[metric][labels]++
}

func (c *counters) answered(p authorizer.Protocol, status int) {
	c.count("gatehouse_requests_total", fmt.Sprintf("api=%q,status=\"%d\"", p, status))
}

func (c *counters) hit(p authorizer.Protocol, name string) {
	c.count("gatehouse_authorizer_cache_hits_total", fmt.Sprintf("api=%q,authorizer=%q", p, name))
}

func (c *counters) miss(p authorizer.Protocol, name string) {
	c.count("gatehouse_authorizer_cache_misses_total", fmt.Sprintf("api=%q,authorizer=%q", p, name))
}

func (c *counters) function(metric, name string) {
	c.count(metric, fmt.Sprintf("function=%q", name))
}

func (c *counters) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, c.page()) // a client that reads slowly holds nobody up
}

func (c *counters) page() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, m := range metrics {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s counter\n", m[0], m[1], m[0])
		for _, labels := range slices.Sorted(maps.Keys(c.counts[m[0]])) {
			fmt.Fprintf(&b, "%s{%s} %d\n", m[0], labels, c.counts[m[0]][labels])
		}
	}
	return b.String()
}
