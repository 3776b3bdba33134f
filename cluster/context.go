package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// callContext is the context of a call while it is handled. It has a deadline, and ends when the caller calls it off or when it has been
// answered.
//
// optimization: most handlers never wait for its end. A context with a Done channel is made only when it is asked for (BenchmarkCall).
type callContext struct {
	base     context.Context // it has no deadline
	deadline time.Time       // zero if there is none

	making sync.Mutex
	made   atomic.Pointer[madeContext]
	over   atomic.Bool // the call has been answered
}

// madeContext is a context of package context.
type madeContext struct {
	context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
}

func (c *callContext) make() *madeContext {
	if m := c.made.Load(); m != nil {
		return m
	}
	c.making.Lock()
	defer c.making.Unlock()
	if m := c.made.Load(); m != nil {
		return m
	}
	m := &madeContext{stop: func() {}}
	m.Context, m.cancel = context.WithCancelCause(c.base)
	if !c.deadline.IsZero() {
		m.Context, m.stop = context.WithDeadline(m.Context, c.deadline)
	}
	if c.over.Load() {
		m.end(errAnswered)
	}
	c.made.Store(m)
	return m
}

// end ends the context, and releases its timer.
func (m *madeContext) end(cause error) {
	m.cancel(cause)
	m.stop()
}

func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c *callContext) Done() <-chan struct{} { return c.make().Done() }

func (c *callContext) Err() error {
	if c.made.Load() == nil && !c.over.Load() && c.base.Err() == nil && (c.deadline.IsZero() || time.Until(c.deadline) > 0) {
		return nil
	}
	return c.make().Err()
}

func (c *callContext) Value(key any) any {
	if m := c.made.Load(); m != nil {
		return m.Value(key)
	}
	return c.base.Value(key)
}

// String names the context when it is printed.
func (c *callContext) String() string { return "cluster.Context" }

// callOff ends the context while the call is handled.
func (c *callContext) callOff(cause error) { c.make().cancel(cause) }

// finish ends the context of a call that has been answered.
func (c *callContext) finish() {
	c.making.Lock()
	c.over.Store(true)
	m := c.made.Load()
	c.making.Unlock()
	if m != nil {
		m.end(errAnswered)
	}
}
