package kami

import (
	"context"
	"sync"
)

// govern decides what ends the request's context beside the Mux's Context, and so the limit of a drain: the incoming
// request, because the Mux cancels, which ends it when the request has finished too, or because it is bound. It returns
// what to do when the request has finished, or nil.
func (m *Mux) govern(x *exchange, cancel bool) (finish func()) {
	if !cancel {
		x.in = &governed{x.in, m.joins.either(x.in, x.base)}
		return nil
	}
	both := join(x.in, x.base)
	x.in = &governed{x.in, both}
	return both.end
}

// governed is an incoming context for a request whose own ends otherwise than by default.
type governed struct {
	context.Context
	by context.Context
}

// ends is what ends the request's context. Who never asks does not pay for the search of the drain.
func (x *exchange) ends() context.Context {
	if in, ok := x.in.(*governed); ok {
		return in.by
	}
	return drainOf(x.in).governs(x.base)
}

// pair tells contexts that end together from others.
type pair struct{ in, base <-chan struct{} }

// joins are the contexts that outlive their requests and have been joined.
type joins struct {
	known sync.Map // from pair to *joined
}

// either returns a context that ends when in or base does. Two that outlive their requests, as the Contexts of two
// nested Muxes, it joins once for all requests, for neither lets go of what has joined it before one of them ends.
func (all *joins) either(in, base context.Context) context.Context {
	both := pair{in.Done(), base.Done()}
	switch {
	case both.base == nil:
		return in
	case both.in == nil || both.in == both.base:
		return base
	}
	if known, ok := all.known.Load(both); ok && in.Err() == nil {
		return known.(*joined)
	}
	if _, ends := in.Deadline(); !ends {
		if canceler, ok := in.Value(cancelKey).(context.Context); ok && canceler.Done() == both.in {
			in = canceler // which does not hold the request that in belongs to
		}
	}
	j := join(in, base)
	all.known.Store(both, j)
	context.AfterFunc(j.Context, func() {
		j.leave()
		all.known.CompareAndDelete(both, j)
	})
	return j
}

// joined is a context that ends when one of two others does, and as that one does.
type joined struct {
	context.Context // derives from one of them
	other           context.Context
	cancel          context.CancelCauseFunc // what the other one does
	leave           func() bool             // keeps the other one from it
}

// join joins two contexts. It derives from the first to reach its deadline, so that the error is right.
func join(a, b context.Context) *joined {
	if end, has := b.Deadline(); has {
		if first, hasToo := a.Deadline(); !hasToo || end.Before(first) {
			a, b = b, a
		}
	}
	ctx, cancel := context.WithCancelCause(a)
	leave := func() bool { return true }
	if b.Done() != nil {
		leave = context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	}
	return &joined{ctx, b, cancel, leave}
}

// end cancels the context.
func (j *joined) end() {
	j.leave()
	j.cancel(nil)
}

// Err ends the context if the other one has ended, whose function may still be on the way.
func (j *joined) Err() error {
	if j.Context.Err() == nil && j.other.Err() != nil {
		j.cancel(context.Cause(j.other))
	}
	return j.Context.Err()
}

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
