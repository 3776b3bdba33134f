package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/guregu/kami/session"
)

// casts has the broadcasts to groups that a front has heard lately. All fronts hear the broadcasts of one publisher in the same order,
// which their numbers show, but not at the same time. When a session moves to another front, exactly one of the two gives it each
// broadcast: the old front says which ones it has given, and the new one continues from there.
type casts struct {
	mu     sync.Mutex // a broadcast and a move come one after the other
	since  time.Time  // this front has heard all broadcasts since then
	heard  map[string]mark
	swept  time.Time
	recent []cast
	more   chan struct{} // closed by the next broadcast; nil if nobody waits for one
}

// mark is the last broadcast of a publisher that was heard.
type mark struct {
	Number uint64        `json:"number"`
	Age    time.Duration `json:"age"` // how long ago, as it travels
	at     time.Time
}

// cast is a broadcast.
type cast struct {
	from   string
	number uint64
	group  string
	pushed session.Pushed
	at     time.Time
}

// Fronts hear a broadcast within late of each other, or it counts as lost on the way to one. A front keeps broadcasts for twice as long,
// because it may wait for a session as long as late. It keeps marks for three times as long, so that the other front has the mark of
// every broadcast that one front keeps.
const late = time.Second

// hear gives a broadcast to the members of its group, and keeps it.
func (c *casts) hear(q *question, body []byte, give func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.heard == nil {
		c.heard = make(map[string]mark)
	}
	c.heard[q.From] = mark{Number: q.Number, at: now}
	c.recent = append(c.recent, cast{q.From, q.Number, string(q.Group), session.Pushed{Route: q.Route, Body: body}, now})
	c.forget(now)
	if c.more != nil {
		close(c.more)
		c.more = nil
	}
	return give()
}

// begin says that this front hears all broadcasts from now on.
func (c *casts) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = time.Now()
}

// forget removes broadcasts and marks that are too old.
func (c *casts) forget(now time.Time) {
	for len(c.recent) > 0 && now.Sub(c.recent[0].at) > 2*late {
		c.recent[0], c.recent = cast{}, c.recent[1:]
	}
	if now.Sub(c.swept) < late {
		return
	}
	c.swept = now
	for from, m := range c.heard {
		if now.Sub(m.at) > 3*late {
			delete(c.heard, from)
		}
	}
}

// cut gives a session away between two broadcasts. It returns the marks of the broadcasts that the session has been given.
func (c *casts) cut(give func()) map[string]mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	give()
	now := time.Now()
	marks := make(map[string]mark, len(c.heard))
	for from, m := range c.heard {
		m.Age = now.Sub(m.at)
		marks[from] = m
	}
	return marks
}

// adopt takes in a session that has moved, between two broadcasts. It first waits until this front has heard all broadcasts that the old
// front has given the session. Then it gives the session those that came later.
func (c *casts) adopt(moved session.Moved, given map[string]mark, adopt func(session.Moved)) {
	enough := time.NewTimer(late)
	defer enough.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for wait := true; wait && !c.caughtUp(given); {
		if c.more == nil {
			c.more = make(chan struct{})
		}
		more := c.more
		c.mu.Unlock()
		select {
		case <-more:
		case <-enough.C:
			wait = false
		}
		c.mu.Lock()
	}
	c.forget(time.Now())
	for _, one := range c.recent {
		if one.number > given[one.from].Number && slices.Contains(moved.Groups, one.group) {
			moved.Missed = append(moved.Missed, one.pushed)
			moved.Pushed++
		}
	}
	adopt(moved)
}

// caughtUp reports whether this front has heard all broadcasts of these marks. It ignores broadcasts older than this front.
func (c *casts) caughtUp(given map[string]mark) bool {
	for from, m := range given {
		if c.heard[from].Number < m.Number && m.Age < time.Since(c.since) {
			return false
		}
	}
	return true
}
