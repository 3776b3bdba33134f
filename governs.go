package kami

import (
	"context"
	"time"
)

// govern decides what ends the request's context in addition to the Mux's Context and the limit of a drain: the incoming request,
// because the Mux cancels, which ends it when the request has finished too, or because it is bound. It returns what to do when
// the request has finished, or nil.
func (m *Mux) govern(x *exchange, cancel bool) (finish func()) {
	in, base := x.in, drainOf(x.in).governs(x.base)
	switch {
	case cancel:
		both := join(in, base)
		x.in = &governed{in, both}
		return both.end
	case base.Done() == nil || in.Done() == base.Done():
		x.in = &governed{in, in}
	case in.Done() == nil:
		x.in = &governed{in, base}
	default:
		either := follow(in, base)
		x.in = &governed{in, either}
		return either.leave
	}
	return nil
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

// joined is a context that ends when one of others does, and as that one does.
type joined struct {
	context.Context
	others []context.Context
	stops  []func() bool           // keep the others from ending it
	cancel context.CancelCauseFunc // what the others do
}

// join joins two contexts. It derives from the first to reach its deadline, so that the error is right.
func join(a, b context.Context) *joined {
	if end, has := b.Deadline(); has {
		if first, hasToo := a.Deadline(); !hasToo || end.Before(first) {
			a, b = b, a
		}
	}
	return joinTo(a, b)
}

// follow joins two contexts that may outlive the request, and derives from neither: once it has left them they do not hold it.
// It then knows of their end when it is asked.
func follow(a, b context.Context) *joined {
	end, has := a.Deadline()
	if other, hasToo := b.Deadline(); hasToo && (!has || other.Before(end)) {
		end, has = other, true
	}
	if !has {
		return joinTo(context.Background(), a, b)
	}
	parent, stop := context.WithDeadline(context.Background(), end)
	j := joinTo(parent, a, b)
	context.AfterFunc(j.Context, stop)
	return j
}

func joinTo(parent context.Context, others ...context.Context) *joined {
	ctx, cancel := context.WithCancelCause(parent)
	j := &joined{Context: ctx, others: others, cancel: cancel}
	for _, other := range others {
		if other.Done() != nil {
			j.stops = append(j.stops, context.AfterFunc(other, func() { j.endWith(other) }))
		}
	}
	return j
}

// leave has the others not end the context any more.
func (j *joined) leave() {
	for _, stop := range j.stops {
		stop()
	}
}

// end cancels the context.
func (j *joined) end() {
	j.leave()
	j.cancel(nil)
}

// endWith ends the context, unless its own deadline does at this moment, for an error that says so.
func (j *joined) endWith(other context.Context) {
	if end, has := j.Context.Deadline(); has && !time.Now().Before(end) {
		return
	}
	j.cancel(context.Cause(other))
}

// Done is closed when it is asked for if another one has ended.
func (j *joined) Done() <-chan struct{} {
	j.look()
	return j.Context.Done()
}

// Err is that of another one if that has ended.
func (j *joined) Err() error {
	j.look()
	return j.Context.Err()
}

// look ends the context if another one has ended, whose function may still be on the way, or has been called off.
func (j *joined) look() {
	for _, other := range j.others {
		if other.Err() != nil && j.Context.Err() == nil {
			j.endWith(other)
		}
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
