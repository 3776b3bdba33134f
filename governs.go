package kami

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// govern decides what ends the request's context: the Mux's Context always; the incoming request's if the Mux cancels
// or if it is bound. It returns what to do when the request has finished.
func (x *exchange) govern(cancel, bound bool) (finish func()) {
	switch {
	case cancel:
		both := &joined{in: x.in, base: x.base}
		x.governs = both
		return both.end
	case bound:
		x.governs = either(x.in, x.base)
	default:
		x.governs = x.base
	}
	return func() {}
}

// either returns a context that ends when in or base does.
func either(in, base context.Context) context.Context {
	switch {
	case base.Done() == nil:
		return in
	case in.Done() == nil || in.Done() == base.Done():
		return base
	default:
		return &joined{in: in, base: base}
	}
}

// joined ends when in or base does. It holds on to neither before somebody asks, nor once nobody can ask any more.
type joined struct {
	in, base context.Context
	once     sync.Once
	ctx      context.Context
	cancel   context.CancelCauseFunc
	leave    func() bool // leaves base
}

// life returns the context that in and base both cancel.
func (j *joined) life() context.Context {
	j.once.Do(func() {
		base := j.base
		ctx, cancel := context.WithCancelCause(j.in)
		leave := context.AfterFunc(base, func() { cancel(context.Cause(base)) })
		j.ctx, j.cancel, j.leave = ctx, cancel, leave
		runtime.AddCleanup(j, func(release func()) { release() }, func() { leave(); cancel(nil) })
	})
	return j.ctx
}

// end cancels the context.
func (j *joined) end() {
	j.life()
	j.leave()
	j.cancel(nil)
}

func (j *joined) Done() <-chan struct{} { return j.life().Done() }

func (j *joined) Err() error {
	if err := j.life().Err(); err != nil {
		return err
	}
	if j.base.Err() != nil { // its AfterFunc is on the way
		j.cancel(context.Cause(j.base))
	}
	return j.ctx.Err()
}

func (j *joined) Value(key any) any { return j.life().Value(key) }

func (j *joined) Deadline() (time.Time, bool) {
	first, ok := j.in.Deadline()
	if base, has := j.base.Deadline(); has && (!ok || base.Before(first)) {
		return base, true
	}
	return first, ok
}

// cancelKey is the key by which the context package finds the context that cancels another. Answering it lets
// context.Cause see through an exchange, and contexts derive from one without a goroutine.
var cancelKey = func() any {
	p := probe{Context: context.Background()}
	context.Cause(&p)
	return p.key
}()

// probe is a context that remembers the key that it was asked for.
type probe struct {
	context.Context
	key any
}

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}
