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

// ending runs PanicHandler, afterware and LogHandler after a request's chain, however that ends.
type ending struct {
	mux *Mux
	hooks
	reached
	along way // only x, from and pattern are set for a plain request
	w     mutil.WriterProxy
	after []step[*afterware] // the afterware that has not run; the last runs first
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
	running   stage = iota
	collected       // the chain has ended
	answered        // so has afterware, and a handled panic has its status
	logged
)

// serveObserved serves a request that has afterware or hooks. Its arguments are those of serve.
func (m *Mux) serveObserved(
	in context.Context, bound bool, d *decision,
	before *chain[*middleware], after *chain[*afterware], w http.ResponseWriter, r *http.Request,
) {
	var o ending
	o.mux, o.hooks, o.after = m, m.hooks(), after.steps
	timed := (o.logHandler != nil || len(o.after) > 0) && incoming.Timed()
	handler, plain := m.plain(d, before, bound)
	plain = plain && !timed && !before.wraps
	if plain { // optimization: a plain request needs less of a way (BenchmarkServe/Observed)
		x := new(withWriter)
		o.w = x.place.WrapFor(w, r)
		o.along.x, o.ctx, _ = x.initWith(in, m.base(), before, d)
		o.along.from, o.along.pattern, o.stale = r, d.route.path, true
	} else {
		o.w = o.along.begin(&o.reached, m, in, bound, true, timed, d, before, r).WrapFor(w, r)
		if chain := o.along.x.chain; chain != nil {
			chain.shared.observed = true
		}
	}
	defer o.finish()
	if plain {
		o.along.x.runPlain(&o.reached, before.steps, handler, o.w, r)
	} else {
		o.along.run(0, o.w, &o.reached)
	}
	o.stage = collected
	o.collect()
	o.conclude()
}

// finish runs what has not run. It defers itself, so that one that panics does not keep the next from running. The last call panics again
// with the first panic that goes on, inside the deferred calls, so that net/http prints the stack of that panic.
func (o *ending) finish() {
	v := recover()
	if v == nil && o.stage == logged {
		o.along.release(&o.reached)
		if o.passing {
			panic(o.passed)
		}
		return
	}
	defer o.finish()
	if o.stage < collected {
		o.stage = collected
		o.broken = half.Is(o.w, o.along.from.Method) // before PanicHandler writes to it
		o.collect()
	}
	if v != nil {
		o.catch(v)
	}
	o.conclude()
}

// collect takes the values that the context has got inside standard middleware. The inner writer and the inner deadline stay inside.
func (o *ending) collect() {
	x := o.along.x
	if x.chain != nil {
		if inner := x.chain.shared.branched.Load(); inner != nil {
			o.setContext(&afterContext{Context: o.ctx, values: *inner}, true)
			o.binding = o.along.steps[len(o.along.steps)-1].binding // the inner context shows the last scope's params first, so the next binding must be compared with that
		}
	}
	if pattern := o.along.pattern; o.r != nil && o.r.Pattern != pattern { // a router within has set its own
		o.r, o.stale = o.r.WithContext(o.ctx), false
		o.r.Pattern = pattern
	}
}

// shown returns the request for what runs next, whose scope has the binding: nil if it has no params.
//
// optimization: most often there is nothing to renew (BenchmarkServe/Observed).
func (o *ending) shown(v *binding) *http.Request {
	if o.stale || v != o.binding {
		o.renew(v)
	}
	return o.r
}

func (o *ending) renew(v *binding) {
	if v == nil && o.binding != nil {
		v = noBinding
	}
	if v != o.binding {
		o.bind(&o.along, v)
	}
	o.reached.shown(&o.along)
}

// catch handles a panic.
func (o *ending) catch(v any) {
	again := o.handling
	o.handling = false
	o.shown(nil)
	o.setContext(context.WithValue(o.ctx, exceptionKey{}, v), true)
	if v == http.ErrAbortHandler || again || o.panicHandler == nil {
		o.raise(v)
		return
	}
	handler, err := o.mux.newPanicHandler(o.panicHandler)
	if err != nil {
		log.Print(err)
		o.raise(v)
		return
	}
	o.handling = true
	r := o.shown(nil)
	handler.ServeHTTPContext(o.ctx, o.w, r)
	o.handling, o.handled = false, true
}

// newPanicHandler converts the PanicHandler that is set. Its error names the Mux by one of its routes, because nobody knows where a field
// was set.
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

// raise has a panic go on to net/http after the request, unless another one does.
func (o *ending) raise(v any) {
	if !o.passing {
		o.passing, o.passed = true, v
	}
}

// conclude runs the afterware that has not run, answers 500 or cuts the connection after a handled panic, and logs.
func (o *ending) conclude() {
	for len(o.after) > 0 {
		next := o.after[len(o.after)-1]
		o.after = o.after[:len(o.after)-1]
		r := o.shown(next.binding)
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
			o.raise(http.ErrAbortHandler)
		}
	}
	if o.stage < logged {
		o.stage = logged
		if o.logHandler != nil {
			r := o.shown(nil)
			o.logHandler(o.ctx, o.w, r)
		}
	}
}

// afterContext is the context of what runs after a chain with standard middleware. It has the values of the innermost context, and ends
// with the outer one.
type afterContext struct {
	context.Context
	values context.Context
}

func (c *afterContext) Value(key any) any {
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
