// Package lifetime makes contexts that end together with others. It knows nothing of serving.
package lifetime

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/guregu/kami/internal/incoming"
)

// ByBase has the [Joins] of each base. The zero ByBase is empty and ready to use, by several goroutines at once.
type ByBase struct {
	known sync.Map // from the Done channel of a base to *Joins
}

// Joins returns the Joins of a base. A call that adds new ones forgets those whose base has ended.
func (all *ByBase) Joins(base context.Context) *Joins {
	done := base.Done()
	if known, ok := all.known.Load(done); ok {
		return known.(*Joins)
	}
	all.known.Range(func(other, known any) bool {
		if known.(*Joins).ended.Load() {
			all.known.Delete(other)
		}
		return true
	})
	known, _ := all.known.LoadOrStore(done, NewJoins(base))
	return known.(*Joins)
}

// Joins are contexts that each end with the base or with another context. There is one for each other context, however many
// requests ask for it.
//
// Code may wait for the Done channel of a joined context after its request, so a joined context must live as long as something
// can end it. Therefore the other context holds it. The base may live as long as the process and never end, so it holds the
// joined context weakly: after the request both contexts are garbage. Code that has kept only the Done channel of such a
// request does not learn of the end of the base.
type Joins struct {
	base  context.Context
	ended atomic.Bool // whether the base has ended; to ask the base itself panics in another synctest bubble
	known *sync.Map   // from the Done channel of the other to weak.Pointer[joined]
}

// NewJoins returns the Joins of a base, which must be able to end if With is to join anything.
func NewJoins(base context.Context) *Joins {
	all := &Joins{base: base, known: new(sync.Map)}
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

// With returns the context that ends when the base or the other context does. If only one of them can end it returns that one.
func (all *Joins) With(other context.Context) context.Context {
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

func (all *Joins) add(other context.Context) *joined {
	j, done, known := newJoined(other, all.base), other.Done(), all.known
	j.a = withoutRequest(other)
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

// Ender is the context of a request in a Mux, for the key incoming.Request.
type Ender interface {
	// Ends returns the context whose end ends the request's context.
	Ends() context.Context
}

// withoutRequest returns a context that ends when the given one does and, if that is possible, does not hold the request that
// the given one belongs to. A joined context that held its own request would keep it as long as the other context lives.
func withoutRequest(ctx context.Context) context.Context {
	if x, ok := ctx.Value(incoming.Request).(Ender); ok {
		if j, ok := x.Ends().(*joined); ok && j.Done() == ctx.Done() {
			return j // unlike the canceler within it, a joined context sees at once that another one has ended
		}
	}
	if canceler, ok := ctx.Value(CancelKey).(context.Context); ok && canceler.Done() == ctx.Done() {
		return canceler
	}
	return ctx
}
