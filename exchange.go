package kami

import (
	"context"
	"mime/multipart"
	"net/http"
	"reflect"
	"time"

	"github.com/guregu/kami/mutil"
)

// way is what stays the same while a request is served: the steps of its chain, the handler at their end, and how its copy is made.
// reached has what changes.
type way struct {
	x       *requestContext
	params  *params // nil if the route has none
	steps   []step[*middleware]
	end     ContextHandler
	from    *http.Request // the incoming request
	pattern string        // r.Pattern of its copies
	deep    bool          // whether the copy must be deep, because plain copies share path values
	finish  func()        // ends the context; nil if something else does
}

// reached is how far a request has come.
type reached struct {
	ctx          context.Context // what its context has become
	uncomparable bool            // whether the context is no pointer, and so may be of a type that cannot be compared
	r            *http.Request   // the copy that other code was last given; nil if none was
	stale        bool            // whether r may lack ctx
	changed      bool            // whether other code has made ctx, which may then not derive from kami's last context
	binding      *binding        // whose params ctx shows first; nil for the route's, while no scope's have come

	within *shared         // nil outside of standard middleware, and where nothing is shared
	from   int             // the step of the chain at which this run began
	began  *http.Request   // the request that this run began with
	form   *multipart.Form // the form that had been parsed before that
	handed *http.Request   // what standard middleware was given, which another goroutine may still use; nil if there was none
}

// begin begins a way, with a new context. If the writer is watched, it returns the place for its proxy. Bound is as for serve; timed
// means that the start is recorded.
func (a *way) begin(
	at *reached, m *Mux, in context.Context, bound, watch, timed bool, d *decision, c *chain[*middleware], r *http.Request,
) (place *mutil.Place) {
	a.steps, a.end, a.from = c.steps, d.end, r
	if d.routed() {
		a.deep = isVanilla(d.end) && len(d.route.names) > 0 && sharesPathValues(r)
		a.pattern = d.route.path
		if d.route.method == anyMethod { // which may mount a Mux
			a.pattern = d.route.innermost(d.message, r.Method, r.URL).path
		}
		if a.pattern != "" {
			r.Pattern = a.pattern
		}
	}
	formed := c.wraps && mayHaveForm(r)
	switch {
	case timed || c.wraps && (watch || formed || !d.routed()):
		k := new(withShared)
		k.chain, k.shared.end, k.shared.formed, place = *c, d.end, formed, &k.place
		k.chain.shared = &k.shared
		if timed {
			k.shared.started = time.Now()
		}
		a.x, at.ctx, a.params = k.initWith(in, m.base(), &k.chain, d)
	case watch:
		x := new(withWriter)
		place = &x.place
		a.x, at.ctx, a.params = x.initWith(in, m.base(), c, d)
	default:
		a.x, at.ctx, a.params = newContext(in, m.base(), c, d, nil)
	}
	at.stale = true
	if cancel := m.cancels(); bound || cancel {
		a.finish = m.setEnd(a.x, cancel)
	}
	return place
}

// run runs the chain from step i on.
func (a *way) run(i int, w http.ResponseWriter, at *reached) {
	for ; i < len(a.steps); i++ {
		s := &a.steps[i]
		if s.binding != at.binding {
			at.bind(a, s.binding)
		}
		var ctx context.Context
		switch mw := s.ware; {
		case mw.run != nil:
			ctx = mw.run(at.ctx, w, at.shown(a))
		case mw.derive != nil:
			ctx = mw.derive(at.ctx)
		default:
			a.goInto(i, w, at)
			return
		}
		if ctx == nil {
			return
		}
		at.adopt(a.x, s.ware, ctx)
		if at.within != nil && at.within.observed {
			at.within.publish(ctx)
		}
	}
	if at.binding != nil {
		at.bind(a, noBinding)
	}
	r := at.shown(a)
	a.end.ServeHTTPContext(at.ctx, w, r)
}

// runPlain is run for a plain request.
//
// optimization: only the context and the request change here (BenchmarkServe/Value and Derive).
func (x *requestContext) runPlain(
	at *reached, steps []step[*middleware], handler HandlerFunc, w http.ResponseWriter, r *http.Request,
) {
	r.Pattern = x.route.path
	for i := range steps {
		var next context.Context
		switch mw := steps[i].ware; {
		case mw.derive != nil:
			next = mw.derive(at.ctx)
		case mw.run != nil:
			if at.stale {
				at.r, at.stale = x.show(at.r, at.ctx, r), false
			}
			next = mw.run(at.ctx, w, at.r)
		default:
			if i > 0 {
				at.ctx, at.stale = x.link(at.ctx, i, at.stale)
			}
			if at.stale {
				at.r = x.show(at.r, at.ctx, r)
			}
			handed := at.r
			at.r = nil // it may be left to others
			mw.standard.ServeHTTPContext(at.ctx, w, handed)
			return
		}
		if next == nil {
			return
		}
		at.adopt(x, steps[i].ware, next)
	}
	if at.stale {
		at.r, at.stale = x.show(at.r, at.ctx, r), false
	}
	handler(at.ctx, w, at.r)
}

// adopt makes the context that middleware has returned the request's. By is nil for afterware. A context that is no pointer counts as
// new.
//
// optimization: an unchanged one costs a comparison (BenchmarkServe/Observed), and the request is copied for a new one only when other
// code is to get it (BenchmarkServe/Derive).
func (at *reached) adopt(x *requestContext, by *middleware, ctx context.Context) {
	if at.uncomparable || ctx != at.ctx {
		at.replace(x, by, ctx)
	}
}

func (at *reached) replace(x *requestContext, by *middleware, ctx context.Context) {
	if by != nil && !by.descends.Load() {
		by.mustDescend(x, ctx)
	}
	at.ctx, at.uncomparable, at.stale, at.changed = ctx, !isPointer(ctx), true, true
}

// setContext makes ctx, a pointer of one of kami's types, the request's context. Stale says whether the request still has another one.
func (at *reached) setContext(ctx context.Context, stale bool) {
	at.ctx, at.uncomparable, at.stale = ctx, false, stale
}

// shown returns the request with the present context, for other code.
func (at *reached) shown(a *way) *http.Request {
	if at.stale {
		at.refresh(a)
	}
	return at.r
}

func (at *reached) refresh(a *way) {
	if at.stale = false; at.r == nil {
		at.r = a.receive(at.ctx)
	} else {
		at.r = at.r.WithContext(at.ctx)
	}
}

// receive makes the first copy of the incoming request, in the request's context.
func (a *way) receive(ctx context.Context) *http.Request {
	x := a.x
	if a.deep {
		x.request = *a.from.Clone(ctx)
	} else {
		x.request = *a.from.WithContext(ctx)
	}
	x.request.Pattern = a.pattern
	if a.params != nil && isVanilla(a.end) {
		a.setPathValues()
	}
	return &x.request
}

// show returns a request with the context: a copy of the last one or, if that is nil, of the incoming one.
func (x *requestContext) show(last *http.Request, ctx context.Context, r *http.Request) *http.Request {
	if last == nil {
		x.request = *r.WithContext(ctx)
		return &x.request
	}
	return last.WithContext(ctx)
}

// bind makes the params of the binding the first that the context shows.
func (at *reached) bind(a *way, v *binding) {
	r := at.shown(a)
	seen := &scopeContext{Context: at.ctx, binding: v, x: a.x}
	seen.request = *r.WithContext(seen)
	at.r, at.binding = &seen.request, v
	at.setContext(seen, false)
}

// sharesPathValues reports whether the request has path values. Plain copies of it share them.
func sharesPathValues(r *http.Request) bool {
	for _, field := range pathValueFields {
		if reflect.ValueOf(r).Elem().FieldByIndex(field).Len() > 0 {
			return true
		}
	}
	return len(pathValueFields) < 2
}

// pathValueFields are the fields in which net/http keeps path values, which no method lists. If another release lacks them, all
// requests count as having path values.
var pathValueFields = func() (indices [][]int) {
	for _, name := range []string{"matches", "otherValues"} {
		field, ok := reflect.TypeFor[http.Request]().FieldByName(name)
		if ok && (field.Type.Kind() == reflect.Map || field.Type.Kind() == reflect.Slice) {
			indices = append(indices, field.Index)
		}
	}
	return indices
}()

// setPathValues sets the params for handlers without context.
func (a *way) setPathValues() {
	for i, name := range a.x.route.names {
		if name.text != "" {
			a.x.request.SetPathValue(name.text, a.params.value(a.x.route, i))
		}
	}
}
