package gateway

import (
	"encoding/json"
	"maps"
	"sync"
	"time"
)

// cache keeps what an authorizer answered, by the values of its identity sources (API Gateway Developer Guide, "Configure
// a Lambda authorizer": authorization caching). It belongs to one authorizer of one stage, and one entry serves every
// route behind that authorizer: a policy is evaluated again for each request, a simple response is not. Errors are never
// kept.
type cache struct {
	mu      sync.Mutex
	entries map[string]cached
}

type cached struct {
	verdict *verdict
	until   time.Time
}

// get gives what is kept for these values and has not run out.
func (c *cache) get(identity []string, now time.Time) *verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, kept := c.entries[cacheKey(identity)]; kept && now.Before(e.until) {
		return e.verdict
	}
	return nil
}

// maxKept bounds a cache. What is dropped for it is asked for again.
const maxKept = 10_000

// put keeps a verdict. A full cache drops what has run out, or else all.
func (c *cache) put(identity []string, v *verdict, now time.Time, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxKept {
		maps.DeleteFunc(c.entries, func(_ string, e cached) bool { return !now.Before(e.until) })
	}
	if c.entries == nil || len(c.entries) >= maxKept {
		c.entries = map[string]cached{}
	}
	c.entries[cacheKey(identity)] = cached{v, now.Add(ttl)}
}

// cacheKey tells lists apart whatever their values hold.
func cacheKey(identity []string) string {
	key, _ := json.Marshal(identity) // texts only
	return string(key)
}
