package kami

import (
	"context"
	"sync"
	"time"
)

// govern decides what ends the request's context: the Mux's Context always; the incoming request's if the Mux cancels
// or if it is bound. It returns what to do when the request has finished.
func (m *Mux) govern(x *exchange, cancel, bound bool) (finish func()) {
	switch {
	case cancel:
		both := &joined{in: x.in, base: x.base}
		x.governs = both
		return both.end
	case bound:
		x.governs = m.either(x.in, x.base)
	default:
		x.governs = x.base
	}
	return func() {}
}

// either returns a context that ends when in or base does. Of two that outlive their requests, as the Contexts of two
// nested Muxes, it joins but one pair for all requests: each would hold on to what it joins until one of those ends.
func (m *Mux) either(in, base context.Context) context.Context {
	switch {
	case base.Done() == nil:
		return in
	case in.Done() == nil || in.Done() == base.Done():
		return base
	}
	last := m.nested.Load()
	if last == nil || last.in.Done() != in.Done() || last.base.Done() != base.Done() || last.in.Err() != nil {
		last = &joined{in: in, base: base}
		m.nested.Store(last)
	}
	return last
}

// joined ends when in or base does, and as that one does. It holds on to neither before somebody asks.
type joined struct {
	in, base context.Context
	once     sync.Once
	ctx      context.Context // derives from the first to reach its deadline, so that its error says so
	other    context.Context // cancels ctx
	cancel   context.CancelCauseFunc
	leave    func() bool // leaves other
}

// life returns the context that in and base both end.
func (j *joined) life() context.Context {
	j.once.Do(func() {
		first, other := j.in, j.base
		if j.baseFirst() {
			first, other = j.base, j.in
		}
		ctx, cancel := context.WithCancelCause(first)
		leave := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
		j.ctx, j.other, j.cancel, j.leave = ctx, other, cancel, leave
	})
	return j.ctx
}

// baseFirst reports whether base has a deadline, and in none before it.
func (j *joined) baseFirst() bool {
	base, has := j.base.Deadline()
	in, hasToo := j.in.Deadline()
	return has && (!hasToo || base.Before(in))
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
	if j.other.Err() != nil { // its AfterFunc is on the way
		j.cancel(context.Cause(j.other))
	}
	return j.ctx.Err()
}

func (j *joined) Value(key any) any { return j.life().Value(key) }

func (j *joined) Deadline() (time.Time, bool) { return j.life().Deadline() }

// cancelKey is the key by which the context package finds the context that cancels another. Answering it lets
// context.Cause see through an exchange, and contexts derive from one without a goroutine.
var cancelKey = func() any {
	p := probe{Context: context.Background()}
	context.Cause(&p)
	return p.key
}()

// probe is a context that has ended, for whose end context.Cause looks, and remembers the key that it was asked for.
type probe struct {
	context.Context
	key any
}

func (p *probe) Err() error { return context.Canceled }

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}
