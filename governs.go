package kami

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/guregu/kami/internal/incoming"
)

// govern decides what ends the request's context in addition to the Mux's Context and the limit of a drain: the incoming request,
// because the Mux cancels, which ends it when the request has finished too, or because it is bound. It returns what to do when
// the request has finished, or nil.
func (m *Mux) govern(x *exchange, cancel bool) (finish func()) {
	in, base := x.in, drainOf(x.in).governs(x.base)
	switch {
	case !cancel:
		x.in = &governed{in, m.joins.of(base).with(in)}
		return nil
	case base.Done() == nil:
		alone, end := context.WithCancel(in)
		x.in = &governed{in, alone}
		return end
	}
	both := join(in, base)
	x.in = &governed{in, both}
	return both.end
}

// governed is an incoming context for a request whose own ends otherwise than by default.
type governed struct {
	context.Context
	by context.Context
}

// ends is what ends the request's context. A request that never asks does not pay for the search of the drain, and of a message,
// whose end always ends it.
func (x *exchange) ends() context.Context {
	if in, ok := x.in.(*governed); ok {
		return in.by
	}
	base := drainOf(x.in).governs(x.base)
	if incoming.MessageOf(x.in) != nil {
		return x.route.mux.joins.of(base).with(x.in)
	}
	return base
}

// joinsByBase are the joins of a Mux. Its Context is one, but each drain that it is served by adds its limit to that.
type joinsByBase struct {
	known sync.Map // from the Done channel of a base to *joins
}

// of returns the joins of a base. When there is a new one it forgets those that have ended.
func (all *joinsByBase) of(base context.Context) *joins {
	done := base.Done()
	if known, ok := all.known.Load(done); ok {
		return known.(*joins)
	}
	all.known.Range(func(other, known any) bool {
		if known.(*joins).ended.Load() {
			all.known.Delete(other)
		}
		return true
	})
	known, _ := all.known.LoadOrStore(done, newJoins(base))
	return known.(*joins)
}

// joins are the contexts that end with a base or another context, one for each other context, whatever the number of requests.
//
// A joined context must live as long as something can end it, for code may wait for its Done channel after the request. So the
// other context holds it. The base holds it weakly, because the base may live as long as the process: a request's own context
// may never end, and is garbage after the request, together with what joins it then. Only code that has kept no more of it than
// the Done channel is not told of the base's end in that case.
type joins struct {
	base  context.Context
	ended atomic.Bool // whether the base has; another synctest bubble must not ask that itself
	known *sync.Map   // from the Done channel of the other to weak.Pointer[joined]
}

func newJoins(base context.Context) *joins {
	all := &joins{base: base, known: new(sync.Map)}
	context.AfterFunc(base, func() {
		all.ended.Store(true)
		all.known.Range(func(done, known any) bool {
			if j := known.(weak.Pointer[joined]).Value(); j != nil {
				j.endAs(base)
				j.leave()
			}
			all.known.CompareAndDelete(done, known)
			return true
		})
	})
	return all
}

// with returns the context that ends when the base or another one does.
func (all *joins) with(other context.Context) context.Context {
	done := other.Done()
	switch {
	case all.base.Done() == nil:
		return other
	case done == nil || done == all.base.Done():
		return all.base
	}
	if known, ok := all.known.Load(done); ok {
		if j := known.(weak.Pointer[joined]).Value(); j != nil {
			return j
		}
	}
	return all.add(other)
}

func (all *joins) add(other context.Context) *joined {
	j, done, known := newJoined(other, all.base), other.Done(), all.known
	j.a = lasting(other)
	held := weak.Make(j)
	j.stops[0] = context.AfterFunc(j.a, func() {
		j.endAs(j.a)
		known.CompareAndDelete(done, held)
	})
	for {
		first, loaded := known.LoadOrStore(done, held)
		if !loaded {
			// A cleanup runs in no synctest bubble, so it must neither close channels nor stop timers.
			runtime.AddCleanup(j, func(held weak.Pointer[joined]) { known.CompareAndDelete(done, held) }, held)
			return j
		}
		if first := first.(weak.Pointer[joined]).Value(); first != nil {
			j.leave()
			return first
		}
		known.CompareAndDelete(done, first)
	}
}

// lasting returns a context that ends as the given one does, without the request that this may belong to.
func lasting(ctx context.Context) context.Context {
	if x, ok := ctx.Value(incoming.Request).(*exchange); ok && x.Done() == ctx.Done() {
		if j, ok := x.ends().(*joined); ok {
			return j // which sees an end at once
		}
	}
	if canceler, ok := ctx.Value(cancelKey).(context.Context); ok && canceler.Done() == ctx.Done() {
		return canceler
	}
	return ctx
}

// joined is a context that ends when one of two others does, and as that one does.
type joined struct {
	context.Context // derives from first
	first           ending
	a, b            context.Context
	cancel          context.CancelFunc
	stops           [2]func() bool // keep the others from ending it; nil if they do not
}

func newJoined(a, b context.Context) *joined {
	j := &joined{a: a, b: b}
	for _, ctx := range []context.Context{a, b} {
		if end, has := ctx.Deadline(); has && (j.first.deadline.IsZero() || end.Before(j.first.deadline)) {
			j.first.deadline = end
		}
	}
	j.Context, j.cancel = context.WithCancel(&j.first)
	return j
}

// join joins two contexts for one request.
func join(a, b context.Context) *joined {
	j := newJoined(a, b)
	for i, other := range []context.Context{a, b} {
		if other.Done() != nil {
			j.stops[i] = context.AfterFunc(other, func() { j.endAs(other) })
		}
	}
	return j
}

// leave has the others not end the context any more.
func (j *joined) leave() {
	for _, stop := range j.stops {
		if stop != nil {
			stop()
		}
	}
}

// end cancels the context.
func (j *joined) end() {
	j.leave()
	j.cancel()
}

// endAs ends the context as another one has ended.
func (j *joined) endAs(other context.Context) {
	j.first.once.Do(func() {
		j.first.by = other
		j.first.end()
	})
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

// look ends the context if another one has ended, whose function may still be on the way.
func (j *joined) look() {
	switch {
	case j.Context.Err() != nil:
	case j.a.Err() != nil:
		j.endAs(j.a)
	case j.b.Err() != nil:
		j.endAs(j.b)
	}
}

// ending is the parent of a joined context. It gives that the error and the cause of the context that ends first, for which
// the context package has no function. A timer for the deadline would keep a joined context that nobody needs any more.
type ending struct {
	deadline time.Time // zero if there is none
	once     sync.Once
	by       context.Context // the one that has ended
	end      func()          // ends the joined context
}

// never stands for the Done channel, for which nobody waits: the context package calls AfterFunc instead.
var never = make(chan struct{})

func (e *ending) Deadline() (time.Time, bool) { return e.deadline, !e.deadline.IsZero() }
func (e *ending) Done() <-chan struct{}       { return never }
func (e *ending) Err() error                  { return e.by.Err() }

// Value is asked for the cause, and before that, when the joined context is made, for what ends this one.
func (e *ending) Value(key any) any {
	if key != cancelKey || e.by == nil {
		return nil
	}
	return e.by.Value(key)
}

// AfterFunc is what the context package calls in contexts that are not its own.
func (e *ending) AfterFunc(end func()) (stop func() bool) {
	e.end = end
	return func() bool { return false }
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
