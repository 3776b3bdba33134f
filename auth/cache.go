package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// generation is how many verdicts a generation of the cache has at most.
const generation = 4096

// verdicts is a cache of accepted tokens, in two generations: when the young one is full it replaces the old one. A token that is in
// use moves to the young one, and so stays. The zero value is ready to use.
type verdicts struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]verdict
}

type verdict struct {
	id    *Identity // never changed
	until time.Time
}

// get returns the identity of a token that was accepted, or nil.
func (c *verdicts) get(sum [sha256.Size]byte, now time.Time) *Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.young[sum]
	if !ok {
		if v, ok = c.old[sum]; ok {
			c.add(sum, v)
		}
	}
	if !now.Before(v.until) {
		return nil
	}
	return v.id
}

// put keeps the identity of a token that was accepted.
func (c *verdicts) put(sum [sha256.Size]byte, id *Identity, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(sum, verdict{id, until})
}

func (c *verdicts) add(sum [sha256.Size]byte, v verdict) {
	if c.young == nil || len(c.young) >= generation {
		c.young, c.old = make(map[[sha256.Size]byte]verdict), c.young
	}
	c.young[sum] = v
}

// drop forgets a token.
func (c *verdicts) drop(sum [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, sum)
	delete(c.old, sum)
}
