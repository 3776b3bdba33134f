package kami

import (
	"context"
	"net/http"
	"time"

	"github.com/guregu/kami/internal/pathparams"
	"github.com/guregu/kami/internal/pathvalues"
	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/mutil"
)

// exchange is all that changes while a chain runs for one request. Inside standard middleware another exchange runs the steps that follow.
// It lives on the stack.
type exchange struct {
	own   *requestContext
	chain *chain
	end   ContextHandler // at the end of the chain

	// Of the whole chain only:
	from    *http.Request      // the incoming request
	pattern string             // r.Pattern of its copies
	params  *pathparams.Params // for their path values; nil if they get none
	finish  func()             // ends the context; nil if something else does

	// How far the request has come:
	ctx          context.Context // its present context
	r            *http.Request   // the copy that other code was last given; nil if none was
	binding      *scopes.Binding // whose params ctx shows first; nil for the route's, until a scope's have come
	stale        bool            // whether r may lack ctx
	changed      bool            // whether other code has made ctx, which may then not derive from kami's last context
	uncomparable bool            // whether ctx is no pointer, and so may be of a type that cannot be compared

	handed *http.Request // the copy that standard middleware was given, which another goroutine may still use; nil if there was none
	inner  *innerRun     // nil for the whole chain, and for requests that cannot have a form
}

// begin begins an exchange whose chain is set, with a new context. It returns the place for the writer's proxy if proxied. Bound is as
// for serve. Timed means that the start is recorded.
func (x *exchange) begin(m *Mux, in context.Context, bound, proxied, timed bool, d *decision, r *http.Request) (place *mutil.Place) {
	if d.routed() {
		x.pattern = d.route.path
		if d.route.method == anyMethod { // which may mount a Mux
			x.pattern = d.route.innermost(d.message, r.Method, r.URL).path
		}
		if x.pattern != "" {
			r.Pattern = x.pattern
		}
	}
	c, base := x.chain, m.base()
	formed := c.Wraps && mayHaveForm(r)
	switch {
	case timed || c.Wraps && (proxied || formed || !d.routed()):
		k := new(withShared)
		k.chain, k.shared.end, k.shared.formed, place = *c, d.end, formed, &k.place
		k.chain.Request = &k.shared
		if timed {
			k.shared.started = time.Now()
		}
		x.own, x.ctx, x.params = k.initWith(in, base, &k.chain, d)
	case proxied:
		k := new(withWriter)
		place = &k.place
		x.own, x.ctx, x.params = k.initWith(in, base, c, d)
	default:
		x.own, x.ctx, x.params = newContext(in, base, c, d)
	}
	if !isVanilla(d.end) {
		x.params = nil
	}
	if cancel := m.cancels(); bound || cancel {
		x.finish = m.setEnd(x.own, cancel)
	}
	return place
}

// run runs the chain from step i on.
func (x *exchange) run(i int, w http.ResponseWriter) {
	for steps := x.chain.Steps; i < len(steps); i++ {
		s := &steps[i]
		if s.Binding != x.binding {
			x.renew(s.Binding)
		}
		var next context.Context
		switch mw := s.Ware; {
		case mw.derive != nil:
			next = mw.derive(x.ctx)
		case mw.run != nil:
			if x.stale {
				x.renew(s.Binding)
			}
			next = mw.run(x.ctx, w, x.r)
		default:
			x.enter(i, w)
			return
		}
		if next == nil {
			return
		}
		x.adopt(s.Ware, next)
		if x.from == nil {
			x.publish()
		}
	}
	r := x.request(nil)
	if h, ok := x.end.(HandlerFunc); ok { // optimization: a function is called without its method (BenchmarkServe/Scopes)
		h(x.ctx, w, r)
	} else {
		x.end.ServeHTTPContext(x.ctx, w, r)
	}
}

// adopt makes the context that middleware has returned the request's. By is nil for afterware. A context that is no pointer counts as
// new.
//
// optimization: an unchanged one costs a comparison (BenchmarkServe/Observed), and the request is copied for a new one only when other
// code is to get it (BenchmarkServe/Derive).
func (x *exchange) adopt(by *middleware, ctx context.Context) {
	if x.uncomparable || ctx != x.ctx {
		x.replace(by, ctx)
	}
}

func (x *exchange) replace(by *middleware, ctx context.Context) {
	if by != nil && !by.descends.Load() {
		by.mustDescend(x.own, ctx)
	}
	x.ctx, x.uncomparable, x.stale, x.changed = ctx, !isPointer(ctx), true, true
}

// setContext makes ctx, a pointer of one of kami's types, the request's context. Stale says whether the request still has another one.
func (x *exchange) setContext(ctx context.Context, stale bool) {
	x.ctx, x.uncomparable, x.stale = ctx, false, stale
}

// request returns the request with the present context, for code whose scope has the binding: nil if it has no params.
//
// optimization: most often there is nothing to renew (BenchmarkServe/Observed).
func (x *exchange) request(v *scopes.Binding) *http.Request {
	if x.stale || v != x.binding {
		x.renew(v)
	}
	return x.r
}

// renew gives the request the present context, and makes the params of the binding the first that this shows.
func (x *exchange) renew(v *scopes.Binding) {
	if x.stale {
		switch {
		case x.r != nil:
			x.r = x.r.WithContext(x.ctx)
		case x.params != nil:
			x.r = x.copyWithValues()
		default:
			x.r = &x.own.request
			copyRequest(x.r, x.from, x.ctx)
			if x.pattern == "" {
				x.r.Pattern = ""
			}
		}
		x.stale = false
	}
	if v == nil && x.binding != nil {
		v = noBinding
	}
	if v != x.binding {
		scoped := &scopeContext{Context: x.ctx, Binding: v, x: x.own}
		copyRequest(&scoped.request, x.r, scoped)
		x.r, x.binding = &scoped.request, v
		x.setContext(scoped, false)
	}
}

// copyRequest makes dst a copy of r with the context.
//
// optimization: r is an argument of a function that is not inlined, and known not to be nil: so the compiler does not first clear the
// copy that WithContext makes (BenchmarkServe/Derive).
//
//go:noinline
func copyRequest(dst, r *http.Request, ctx context.Context) {
	_ = r.URL
	*dst = *r.WithContext(ctx)
}

// copyWithValues makes the first copy of the request, with the params as path values, for handlers without context.
func (x *exchange) copyWithValues() *http.Request {
	r := &x.own.request
	if pathvalues.Shared(x.from) {
		*r = *x.from.Clone(x.ctx)
	} else {
		copyRequest(r, x.from, x.ctx)
	}
	for i, name := range x.own.route.names {
		if name.Text != "" {
			r.SetPathValue(name.Text, x.params.Value(i, x.own.route.path))
		}
	}
	return r
}
