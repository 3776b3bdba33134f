package component

import (
	"context"
	"sync/atomic"
)

// gate lets calls run while it is open, and counts them. The zero gate is closed.
type gate struct {
	state atomic.Int64  // how many calls run, and isOpen
	idle  chan struct{} // closed when the gate is closed and the last call has ended
}

// isOpen is the bit of a gate's state that says so.
const isOpen = 1 << 62

// open opens the gate, which must be closed, with no call running.
func (g *gate) open() {
	g.idle = make(chan struct{})
	g.state.Store(isOpen)
}

// enter reports whether a call may run. The call must leave then.
func (g *gate) enter() bool {
	for {
		state := g.state.Load()
		if state&isOpen == 0 {
			return false
		}
		if g.state.CompareAndSwap(state, state+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	if g.state.Add(-1) == 0 {
		close(g.idle)
	}
}

// shut closes the gate. It may be closed already.
func (g *gate) shut() {
	if g.state.And(^isOpen) == isOpen {
		close(g.idle)
	}
}

// wait waits for the calls that still run after the gate was closed, or for the end of ctx. It reports whether they have ended.
func (g *gate) wait(ctx context.Context) bool {
	if g.idle == nil { // it was never open
		return true
	}
	select {
	case <-g.idle:
		return true
	default:
	}
	select {
	case <-g.idle:
		return true
	case <-ctx.Done():
		return false
	}
}

// running returns how many calls run.
func (g *gate) running() int64 { return g.state.Load() &^ isOpen }
