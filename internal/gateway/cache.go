package gateway

import (
	"encoding/json"
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

// put keeps a verdict, and drops what has run out.
func (c *cache) put(identity []string, v *verdict, now time.Time, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = map[string]cached{}
	}
	for key, e := range c.entries {
		if !now.Before(e.until) {
			delete(c.entries, key)
		}
	}
	c.entries[cacheKey(identity)] = cached{v, now.Add(ttl)}
}

// cacheKey tells lists apart whatever their values hold.
func cacheKey(identity []string) string {
	key, _ := json.Marshal(identity) // texts only
	return string(key)
}
