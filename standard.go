package kami

import (
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/scopes"
)

// Standard middleware is built once, for all requests. When it calls its next handler, kami must find out: which request, and which step
// of its chain, does this context belong to?

// locate answers that for the middleware. Direct means that ctx itself is a context of kami's. It returns nil if ctx belongs to no
// request.
func (m *middleware) locate(ctx context.Context) (x *requestContext, step int, direct bool) {
	if ctx == nil {
		return nil, 0, false
	}
	switch at := ctx.Value(m).(type) {
	case *requestContext:
		return at, at.find(m, nil), at == contextIn(ctx)
	case *scopeContext:
		return at.x, at.x.find(m, at.Binding), ctx == at
	case *linkContext:
		return at.x, at.step, false
	}
	return nil, 0, false
}

// contextIn returns the request's context if ctx itself is one, or nil.
func contextIn(ctx context.Context) *requestContext {
	if x, ok := ctx.(*withParams); ok {
		return &x.requestContext
	}
	x, _ := ctx.(*requestContext)
	return x
}

// find returns the step that is the middleware with the binding, or -1. At most one step matches, because each step of a middleware that
// runs several times for one request has another binding.
func (x *requestContext) find(m *middleware, v *scopes.Binding) int {
	if x == nil || x.chain == nil {
		return -1
	}
	steps := x.chain.Steps
	for i := range steps {
		if steps[i].Ware == m && steps[i].Binding == v {
			return i
		}
	}
	return -1
}

// enter runs the step i, which is standard middleware. The rest of the chain runs inside of it.
func (x *exchange) enter(i int, w http.ResponseWriter) {
	if x.changed {
		x.ctx, x.stale = x.own.link(x.ctx, i, x.stale)
	}
	r := x.request(x.binding)
	x.handed = r
	if shared := x.own.sharing(); shared != nil && shared.observed && x.from != nil {
		x.r = r.WithContext(x.ctx) // for what runs after the chain
	}
	x.chain.Steps[i].Ware.standard.ServeHTTPContext(x.ctx, w, r)
}

// opening returns the standard middleware that a chain to a HandlerFunc begins with, as a function that takes no context, or nil.
func opening(c *chain, d *decision) http.HandlerFunc {
	if _, plain := d.end.(HandlerFunc); !plain || !d.routed() || len(c.Steps) == 0 || c.Wild {
		return nil
	}
	return c.Steps[0].Ware.wrapper
}

// link returns a context by which standard middleware, the step i, can be located, and whether the request lacks that context. It is ctx
// itself unless other code has put a context of its own, such as another request's, in front of the request's.
func (x *requestContext) link(ctx context.Context, i int, stale bool) (context.Context, bool) {
	if found, step, _ := x.chain.Steps[i].Ware.locate(ctx); found == x && step == i {
		return ctx, stale
	}
	return &linkContext{ctx, x, i}, true
}

// linkContext links standard middleware to its step where the context alone would not.
type linkContext struct {
	context.Context
	x    *requestContext
	step int
}

// Value answers for the key of the middleware: itself.
func (l *linkContext) Value(key any) any {
	if key == l.x.chain.Steps[l.step].Ware {
		return l
	}
	return l.Context.Value(key)
}

// String is requestContext's.
func (l *linkContext) String() string {
	return fmt.Sprintf("%v.WithMiddleware(%s)", l.Context, l.x.chain.Steps[l.step].Ware)
}

// ServeHTTP is the next handler of standard middleware: it goes on with the chain of the request.
//
// optimization: the next step is found through the request's own context; no middleware costs a context and a request copy. A step
// that needs nothing else is called at once (BenchmarkServe/Standard).
func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	x := contextIn(ctx)
	if i := x.find(m, nil); i >= 0 && x.chain.Request == nil {
		if i++; i == len(x.chain.Steps) {
			if h, ok := x.route.handler.(HandlerFunc); ok {
				h(ctx, w, r)
			} else {
				x.route.handler.ServeHTTPContext(ctx, w, r)
			}
			return
		}
		if s := &x.chain.Steps[i]; s.Ware.wrapper != nil && s.Binding == nil {
			s.Ware.wrapper(w, r)
			return
		}
	}
	m.next(ctx, w, r, false)
}

// ServeHTTPContext is ServeHTTP for middleware that passes a context on.
func (m *middleware) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if isPointer(ctx) && ctx == r.Context() {
		m.ServeHTTP(w, r)
	} else {
		m.next(ctx, w, r, true)
	}
}

// next runs the chain after the middleware, with ctx and the request. Stale means that the request has another context.
func (m *middleware) next(ctx context.Context, w http.ResponseWriter, r *http.Request, stale bool) {
	x, i, direct := m.locate(ctx)
	if x == nil {
		panic(fmt.Sprintf("kami: %s called its next handler with a context that does not descend from the request's", m))
	}
	next := exchange{own: x, chain: x.chain, end: x.end(), ctx: ctx, uncomparable: !isPointer(ctx), changed: !direct, stale: stale, r: r}
	next.binding = x.chain.Steps[i].Binding
	next.publish()
	if shared := x.sharing(); shared != nil && shared.formed {
		next.runFor(i+1, w, shared)
	} else {
		next.run(i+1, w)
	}
}

// shared is what the goroutines of one request share: standard middleware may run the rest of the chain in a goroutine that nobody
// waits for (http.TimeoutHandler). It also has the time, for loggers that ask for it. Most requests have none.
type shared struct {
	end      ContextHandler
	started  time.Time // zero if nobody asks
	formed   bool      // whether the request may have a form
	observed bool      // whether something runs after the chain

	// What runs inside standard middleware tells the outside:
	changing sync.Mutex
	runs     []*innerRun                     // the runs of the chain that are under way, if there may be a form
	form     atomic.Pointer[multipart.Form]  // the form that had been parsed when the last one began
	branched atomic.Pointer[context.Context] // the present context, if something runs after the chain
}

// sharing returns what the goroutines of the request share, or nil.
func (x *requestContext) sharing() *shared {
	if x.chain == nil {
		return nil
	}
	shared, _ := x.chain.Request.(*shared)
	return shared
}

// publish tells the outside of standard middleware what the context has become.
func (x *exchange) publish() {
	if shared := x.own.sharing(); shared != nil && shared.observed {
		ctx := x.ctx
		shared.branched.Store(&ctx)
	}
}
