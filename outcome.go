package kami

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/guregu/kami/internal/half"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/mutil"
)

// outcome sees to what runs after a request's chain, however that ends: PanicHandler, afterware and LogHandler.
type outcome struct {
	mux *Mux
	hooks
	reached
	along way // of a usual request only x, from and pattern are set
	w     mutil.WriterProxy
	after []step[*afterware] // what is left of it; the last runs first
	stage stage

	broken   bool // whether a panic has ended the chain in the middle of the response
	handling bool // whether PanicHandler is running
	handled  bool // whether PanicHandler has run
	passing  bool // whether a panic goes on to net/http
	passed   any  // that panic
}

// stage is how far the end of a request has come.
type stage int

const (
	running  stage = iota
	settled        // the chain has ended
	answered       // so has afterware, and a handled panic has its status
	logged
)

// serveObserved serves a request after whose chain something is to run. The rest is as for serve.
func (m *Mux) serveObserved(
	in context.Context, bound bool, d *decision,
	before *chain[*middleware], after *chain[*afterware], w http.ResponseWriter, r *http.Request,
) {
	var o outcome
	o.mux, o.hooks, o.after = m, m.hooks(), after.steps
	timed := (o.logHandler != nil || len(o.after) > 0) && incoming.Timed()
	handler, usual := m.usual(d, before, bound)
	usual = usual && !timed && !before.wraps
	if usual { // optimization: it needs less of a way (BenchmarkServe/Observed)
		x := new(watched)
		o.w = x.place.WrapFor(w, r)
		o.along.x, o.ctx, _ = x.fill(in, m.base(), before, d)
		o.along.from, o.along.pattern, o.stale = r, d.route.path, true
	} else {
		o.w = o.along.begin(&o.reached, m, in, bound, true, timed, d, before, r).WrapFor(w, r)
		if chain := o.along.x.chain; chain != nil {
			chain.rare.observed = true
		}
	}
	defer o.finish()
	if usual {
		o.along.x.pass(&o.reached, before.steps, handler, o.w, r)
	} else {
		o.along.run(0, o.w, &o.reached)
	}
	o.stage = settled
	o.settle()
	o.rest()
}

// finish runs what is left to run, itself deferred: if any of that panics, what is left after it still runs. The last one panics again
// with the panic that is to go on, within the deferred calls, so that net/http prints the stack that it came from.
func (o *outcome) finish() {
	v := recover()
	if v == nil && o.stage == logged {
		o.along.release(&o.reached)
		if o.passing {
			panic(o.passed)
		}
		return
	}
	defer o.finish()
	if o.stage < settled {
		o.stage = settled
		o.broken = half.Is(o.w, o.along.from.Method) // before PanicHandler writes to it
		o.settle()
	}
	if v != nil {
		o.catch(v)
	}
	o.rest()
}

// settle takes the values that the context has got inside standard middleware. The inner writer and the inner deadline stay inside.
func (o *outcome) settle() {
	x := o.along.x
	if x.chain != nil {
		if inner := x.chain.rare.branched.Load(); inner != nil {
			o.put(&carried{Context: o.ctx, values: *inner}, true)
			o.view = o.along.steps[len(o.along.steps)-1].view // the inner context may show it first; the next view must be compared with it
		}
	}
	if pattern := o.along.pattern; o.r != nil && o.r.Pattern != pattern { // a router within has set its own
		o.r, o.stale = o.r.WithContext(o.ctx), false
		o.r.Pattern = pattern
	}
}

// see returns the request for what runs with the view, nil for the route's.
//
// optimization: most often there is nothing to renew (BenchmarkServe/Observed).
func (o *outcome) see(v *view) *http.Request {
	if o.stale || v != o.view {
		o.renew(v)
	}
	return o.r
}

func (o *outcome) renew(v *view) {
	if v == nil && o.view != nil {
		v = routeView
	}
	if v != o.view {
		o.look(&o.along, v)
	}
	o.reached.see(&o.along)
}

// catch handles a panic.
func (o *outcome) catch(v any) {
	again := o.handling
	o.handling = false
	o.see(nil)
	o.put(context.WithValue(o.ctx, exceptionKey{}, v), true)
	if v == http.ErrAbortHandler || again || o.panicHandler == nil {
		o.pass(v)
		return
	}
	handler, err := o.mux.newPanicHandler(o.panicHandler)
	if err != nil {
		log.Print(err)
		o.pass(v)
		return
	}
	o.handling = true
	r := o.see(nil)
	handler.ServeHTTPContext(o.ctx, o.w, r)
	o.handling, o.handled = false, true
}

// newPanicHandler converts a PanicHandler that is set. Its error says which Mux it is set for, by one of its routes: where it was set
// is not known of a field.
func (m *Mux) newPanicHandler(set HandlerType) (ContextHandler, error) {
	handler, err := newHandler(set, m)
	if err == nil {
		return handler, nil
	}
	of := "kami.PanicHandler"
	if m != &std {
		of = "PanicHandler of a Mux without routes"
		if all := m.plan().allRoutes(); len(all) > 0 {
			of = fmt.Sprintf("PanicHandler of the Mux with the route %s %s (%s)", all[0].method, all[0].path, all[0].place)
		}
	}
	return nil, fmt.Errorf("kami: %s: %w", of, err)
}

// pass has a panic go on, unless another one does.
func (o *outcome) pass(v any) {
	if !o.passing {
		o.passing, o.passed = true, v
	}
}

// rest runs the afterware that is left, answers for a handled panic if nobody has, or has the connection cut, and logs.
func (o *outcome) rest() {
	for len(o.after) > 0 {
		next := o.after[len(o.after)-1]
		o.after = o.after[:len(o.after)-1]
		r := o.see(next.view)
		if ctx := next.ware.run(o.ctx, o.w, r); ctx != nil {
			o.adopt(o.along.x, nil, ctx)
		}
	}
	if o.stage < answered {
		o.stage = answered
		switch {
		case !o.handled || o.passing:
		case o.w.Status() == 0:
			o.w.WriteHeader(http.StatusInternalServerError)
		case o.broken:
			half.Cut(o.w)
			o.pass(http.ErrAbortHandler)
		}
	}
	if o.stage < logged {
		o.stage = logged
		if o.logHandler != nil {
			r := o.see(nil)
			o.logHandler(o.ctx, o.w, r)
		}
	}
}

// carried is the context of what runs after the chain: it has the values of the one within all standard middleware and
// the life of the one outside.
type carried struct {
	context.Context
	values context.Context
}

func (c *carried) Value(key any) any {
	if key == lifetime.CancelKey {
		return c.Context.Value(key)
	}
	return c.values.Value(key)
}

type exceptionKey struct{}

// Exception gets the "v" in panic(v), the panic details. PanicHandler receives a context you can use this with, and so
// do the afterware and the LogHandler that run after a panic. It is nil for other contexts.
func Exception(ctx context.Context) interface{} {
	return ctx.Value(exceptionKey{})
}
