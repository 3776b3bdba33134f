package kami

import (
	"context"
	"log"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/mutil"
)

// outcome sees to what runs after a request's chain, however that ends: PanicHandler, afterware and LogHandler.
type outcome struct {
	settings
	x     *exchange
	way   way
	w     mutil.WriterProxy
	after []step[*afterware] // what is left of it; the last runs first
	stage stage

	started time.Time // zero without a LogHandler

	r        *http.Request                   // what the request has become
	view     *view                           // that r is seen with
	branched atomic.Pointer[context.Context] // r's context within standard middleware, perhaps in another goroutine

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

// run runs the exchange's chain, then what comes after it.
func (o *outcome) run() {
	if o.logHandler != nil {
		o.started = time.Now()
	}
	defer o.finish()
	o.x.run(o.way, 0, o.w, o.r, nil)
}

// finish runs what is left to run, itself deferred: if any of that panics the rest still runs. The last one lets go on
// the panic that is to go on, within the deferred calls, so that net/http prints the stack that it came from.
func (o *outcome) finish() {
	v := recover()
	if v == nil && o.stage == logged {
		o.way.release(o.r, nil)
		if o.passing {
			panic(o.passed)
		}
		return
	}
	defer o.finish()
	if o.stage < settled {
		o.stage = settled
		o.settle()
	}
	if v != nil {
		o.catch(v)
	}
	o.rest()
}

// settle takes over what the request has become within standard middleware, whose writer, and whose limits to the life
// of the context, end here.
func (o *outcome) settle() {
	if inner := o.branched.Load(); inner != nil {
		o.r = adopt(o.r, &carried{Context: o.r.Context(), values: *inner})
	}
	if n := len(o.way.steps); n > 0 {
		o.view = o.way.steps[n-1].view
	}
	if pattern := o.x.pattern(); o.r.Pattern != pattern { // a router within has set its own
		o.r = o.r.WithContext(o.r.Context())
		o.r.Pattern = pattern
	}
}

// see has the request seen with the view, which may be nil.
func (o *outcome) see(v *view) {
	if v == o.view {
		return
	}
	o.view = v
	if v == nil {
		v = routeView
	}
	o.r = v.onto(o.r)
}

// catch handles a panic.
func (o *outcome) catch(v any) {
	again := o.handling
	o.handling = false
	o.see(nil)
	o.r = adopt(o.r, context.WithValue(o.r.Context(), exceptionKey{}, v))
	if v == http.ErrAbortHandler || again || o.panicHandler == nil {
		o.pass(v)
		return
	}
	handler, err := newHandler(o.panicHandler, o.settings.current)
	if err != nil {
		log.Printf("kami: PanicHandler: %v", err)
		o.pass(v)
		return
	}
	o.handling = true
	handler.ServeHTTPContext(o.r.Context(), o.w, o.r)
	o.handling, o.handled = false, true
}

// pass has a panic go on, unless another one does.
func (o *outcome) pass(v any) {
	if !o.passing {
		o.passing, o.passed = true, v
	}
}

// rest runs the afterware that is left, answers for a handled panic if nobody has, and logs.
func (o *outcome) rest() {
	for len(o.after) > 0 {
		next := o.after[len(o.after)-1]
		o.after = o.after[:len(o.after)-1]
		o.see(next.view)
		if ctx := next.ware.run(o.r.Context(), o.w, o.r); ctx != nil {
			o.r = adopt(o.r, ctx)
		}
	}
	o.see(nil)
	if o.stage < answered {
		o.stage = answered
		if o.handled && !o.passing && o.w.Status() == 0 {
			o.w.WriteHeader(http.StatusInternalServerError)
		}
	}
	if o.stage < logged {
		o.stage = logged
		if o.logHandler != nil {
			o.logHandler(o.r.Context(), o.w, o.r)
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
	if key == cancelKey {
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
