package peer

import (
	"context"
	"sync"
	"time"
)

type connKey struct{}
type incomingKey struct{}

// FromContext returns the connection by which a message came, from the context of its handler. It returns nil if the message came
// another way.
func FromContext(ctx context.Context) *Conn {
	if in := incomingOf(ctx); in != nil {
		return in.link.conn
	}
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

func incomingOf(ctx context.Context) *incoming {
	in, _ := ctx.Value(incomingKey{}).(*incoming)
	return in
}

// callContext is the context of an incoming message: the context of its link, with the caller's deadline and cancellation.
//
// optimization: a context that can end is made only when Done, Err or a descendant asks for its end (BenchmarkCall).
type callContext struct {
	base     context.Context
	in       *incoming
	deadline time.Time // zero if the caller has set none

	mu     sync.Mutex
	ending context.Context // nil until somebody asks
	end    context.CancelFunc
	ended  bool
}

func (c *callContext) Deadline() (time.Time, bool) {
	d, ok := c.base.Deadline()
	if !c.deadline.IsZero() && (!ok || c.deadline.Before(d)) {
		return c.deadline, true
	}
	return d, ok
}

func (c *callContext) Done() <-chan struct{} { return c.made().Done() }

func (c *callContext) Err() error {
	c.mu.Lock()
	ending, ended := c.ending, c.ended
	c.mu.Unlock()
	switch {
	case ending != nil:
		return ending.Err()
	case c.base.Err() != nil:
		return c.base.Err()
	case ended:
		return context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value answers for the keys of this package. It asks the context that can end for others, because the context package looks for
// its own key there.
func (c *callContext) Value(key any) any {
	if key == (incomingKey{}) {
		return c.in
	}
	c.mu.Lock()
	ending := c.ending
	c.mu.Unlock()
	if ending != nil {
		return ending.Value(key)
	}
	return c.base.Value(key)
}

// made returns the context that can end.
func (c *callContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		if c.deadline.IsZero() {
			c.ending, c.end = context.WithCancel(c.base)
		} else {
			c.ending, c.end = context.WithDeadline(c.base, c.deadline)
		}
		if c.ended {
			c.end()
		}
	}
	return c.ending
}

// cancel ends the context: the caller has cancelled the call, or the handler has returned, as in net/http.
func (c *callContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.end != nil {
		c.end()
	}
}

// String names the context when it is printed.
func (c *callContext) String() string { return "peer.Context(" + c.in.message.Route + ")" }
