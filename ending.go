package kami

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/guregu/kami/internal/half"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/mutil"
)

// ending runs PanicHandler, afterware and LogHandler after a request's chain, however that ends.
type ending struct {
	exchange
	hooks
	w     mutil.WriterProxy
	after []scopes.Step[*afterware] // the afterware that has not run; the last runs first
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
	before *chain, after *scopes.Chain[*afterware], w http.ResponseWriter, r *http.Request,
) {
	var e ending
	e.hooks, e.after = m.hooks(), after.Steps
	e.chain, e.end, e.from, e.stale = before, d.end, r, true
	timed := (e.logHandler != nil || len(e.after) > 0) && incoming.Timed()
	if plain, _ := m.plain(d, before, bound); plain && !timed { // optimization: see serve (BenchmarkServe/Observed)
		c := new(withWriter)
		e.w = c.place.WrapFor(w, r)
		r.Pattern, e.pattern = d.route.path, d.route.path
		e.own, e.ctx, _ = c.initWith(in, m.base(), before, d)
	} else {
		e.w = e.begin(m, in, bound, true, timed, d, r).WrapFor(w, r)
		if c := e.own.chain; c != nil {
			e.own.sharing().observed = true
		}
	}
	defer e.conclude()
	e.run(0, e.w)
	e.stage = collected
	e.collect()
	e.runAfter()
}

// conclude runs the hooks and the afterware that have not run. It defers itself, so that a panic in one does not keep the next from
// running. The last call panics again with the first panic that goes on to net/http. That happens inside the deferred calls, so net/http
// prints the stack of that panic.
func (e *ending) conclude() {
	v := recover()
	if v == nil && e.stage == logged {
		e.release()
		if e.passing {
			panic(e.passed)
		}
		return
	}
	defer e.conclude()
	if e.stage < collected {
		e.stage = collected
		e.broken = half.Is(e.w, e.from.Method) // before PanicHandler writes to it
		e.collect()
	}
	if v != nil {
		e.catch(v)
	}
	e.runAfter()
}

// collect takes the values that the context has got inside standard middleware. The inner writer and the inner deadline stay inside.
func (e *ending) collect() {
	if c := e.own.chain; c != nil {
		if inner := e.own.sharing().branched.Load(); inner != nil {
			e.setContext(&afterContext{Context: e.ctx, values: *inner}, true)
			// The inner context shows the last scope's params first, so the next binding must be compared with that.
			e.binding = c.Steps[len(c.Steps)-1].Binding
		}
	}
	if e.r != nil && e.r.Pattern != e.pattern { // a router inside has set its own
		e.r, e.stale = e.r.WithContext(e.ctx), false
		e.r.Pattern = e.pattern
	}
}

// catch handles a panic.
func (e *ending) catch(v any) {
	again := e.handling
	e.handling = false
	e.request(nil)
	e.setContext(context.WithValue(e.ctx, exceptionKey{}, v), true)
	if v == http.ErrAbortHandler || again || e.panicHandler == nil {
		e.raise(v)
		return
	}
	handler, err := e.own.route.mux.newPanicHandler(e.panicHandler)
	if err != nil {
		log.Print(err)
		e.raise(v)
		return
	}
	e.handling = true
	r := e.request(nil)
	handler.ServeHTTPContext(e.ctx, e.w, r)
	e.handling, e.handled = false, true
}

// newPanicHandler converts the PanicHandler that is set. Its error names the Mux by one of its routes, because kami cannot know where a
// field was set.
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
func (e *ending) raise(v any) {
	if !e.passing {
		e.passing, e.passed = true, v
	}
}

// runAfter runs the afterware that has not run, answers 500 or cuts the connection after a handled panic, and logs.
func (e *ending) runAfter() {
	for len(e.after) > 0 {
		next := e.after[len(e.after)-1]
		e.after = e.after[:len(e.after)-1]
		r := e.request(next.Binding)
		if ctx := next.Ware.run(e.ctx, e.w, r); ctx != nil {
			e.adopt(nil, ctx)
		}
	}
	if e.stage < answered {
		e.stage = answered
		switch {
		case !e.handled || e.passing:
		case e.w.Status() == 0:
			e.w.WriteHeader(http.StatusInternalServerError)
		case e.broken:
			half.Cut(e.w)
			e.raise(http.ErrAbortHandler)
		}
	}
	if e.stage < logged {
		e.stage = logged
		if e.logHandler != nil {
			r := e.request(nil)
			e.logHandler(e.ctx, e.w, r)
		}
	}
}

// afterContext is the context of the code that runs after a chain with standard middleware. It has the values of the innermost context,
// and ends with the outer one.
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
