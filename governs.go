package kami

import "context"

// govern decides what ends the request's context in addition to the Mux's Context and the limit of a drain: the incoming request,
// because the Mux cancels, which ends it when the request has finished too, or because it is bound. It returns what to do when
// the request has finished, or nil.
func (m *Mux) govern(x *exchange, cancel bool) (finish func()) {
	base := drainOf(x.in).governs(x.base)
	if !cancel {
		by, leave := either(x.in, base)
		x.in = &governed{x.in, by}
		return leave
	}
	both := join(x.in, base)
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

// either returns a context that ends when one of two others does, and what makes them let go of it, nil if they do not hold it.
// It then ends with one of them still, and knows of the other's end when it is asked.
func either(a, b context.Context) (by context.Context, leave func()) {
	switch {
	case b.Done() == nil || a.Done() == b.Done():
		return a, nil
	case a.Done() == nil:
		return b, nil
	}
	j := join(a, b)
	return j, func() { j.leave() }
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

// Done is closed when it is asked for if the other one has ended.
func (j *joined) Done() <-chan struct{} {
	j.follow()
	return j.Context.Done()
}

// Err is that of the other one if that has ended.
func (j *joined) Err() error {
	j.follow()
	return j.Context.Err()
}

// follow ends the context if the other one has ended, whose function may still be on the way, or has been called off.
func (j *joined) follow() {
	if j.Context.Err() == nil && j.other.Err() != nil {
		j.cancel(context.Cause(j.other))
	}
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
