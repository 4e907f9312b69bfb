package token

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"gatehouse/authorizer"
)

// The bounds of one generation of remembered tokens: their number, and the bytes of their text. What a token becomes, and
// what policies keep with its principal, is some 12 times its text in memory, whatever is in it; so both generations
// take about 10 MB, of the 128 that the smallest function has. An instance serves one request at a time: a few hundred
// callers are those of minutes.
const (
	maxKnown      = 512
	maxKnownBytes = 256 << 10
)

// known is a token that was verified, and all that a second look at it needs. It is immutable, its memo apart.
type known struct {
	principal authorizer.Principal
	issuer    *issuer
	kid       string
	key       *key // that verified it
	size      int  // bytes of its text
}

// recall says whether a new token like this one would be accepted now: its times hold, and its issuer still serves the
// very key that verified it, which may mean asking the issuer. What else is checked of a new token follows from its bytes
// and from the configuration, and neither can have changed. Where keys cannot be had the error is a new token's too; where
// the answer is no, verifying again gives the code that a new token would get.
func (k *known) recall(ctx context.Context, now time.Time, skew time.Duration) (bool, error) {
	said := claims(k.principal.Claims)
	exp, err := said.expiry(now, skew)
	if err != nil || said.times(exp, now, skew, k.issuer.MaxLifetime) != nil {
		return false, nil
	}
	current, err := k.issuer.keys.key(ctx, k.kid, now, func() bool { return true })
	return current == k.key, err
}

// tokenID is the SHA-256 of a token as it was received. Nothing less names it: of one ECDSA signature (r, s) anybody can
// make another, (r, n-s), and that is another token (rule 20).
type tokenID [sha256.Size]byte

// cache remembers verified tokens in two generations: when the young one is full it becomes the old one, and the old one
// is forgotten; a token that is met again is young again. It needs no clock and no list. Only verified tokens come in, so
// whoever wants the others' out needs hundreds of good ones, and gains that theirs are verified again. The zero value is
// empty. It is safe for concurrent use.
type cache struct {
	mu         sync.Mutex
	young, old map[tokenID]*known
	bytes      int // text of the young
}

func (c *cache) get(id tokenID) *known {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.young[id]
	if !ok {
		if k, ok = c.old[id]; ok {
			c.add(id, k)
		}
	}
	return k
}

func (c *cache) put(id tokenID, k *known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(id, k)
}

// add wants the lock held.
func (c *cache) add(id tokenID, k *known) {
	if c.young == nil || len(c.young) == maxKnown || c.bytes+k.size > maxKnownBytes {
		c.young, c.old, c.bytes = make(map[tokenID]*known), c.young, 0
	}
	if _, again := c.young[id]; !again {
		c.bytes += k.size
	}
	c.young[id] = k
}
