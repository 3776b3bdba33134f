package kami

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/mutil"
	"github.com/guregu/kami/treemux"
)

// Mux is an independent kami router and middleware stack. The zero Mux is empty and ready to use.
//
// Its fields are settings, read when a request arrives: set them before serving. All methods may be called at any
// time, also while serving and by several goroutines at once. A request sees what was registered when it came.
// The first request after a registration waits for registrations that are under way; no other request waits.
// A Mux must not be copied.
type Mux struct {
	// Context is the root "god object" for this mux, from which every request's context derives.
	// Nil means context.Background().
	Context context.Context
	// Cancel will, if true, cancel the context of a request after it has finished, and when its client goes away.
	// By default a request's context ends only with Context, or at the DrainTimeout of a stop.
	Cancel bool
	// PanicHandler will, if set, be called on panics, with the context that the request has reached.
	// [Exception] gives it the details. A value that is no type of handler is an error when serving begins.
	PanicHandler HandlerType
	// LogHandler will, if set, be called once at the very end of every request. The status that it sees is 0 if nothing
	// was sent, which the client gets as 200.
	LogHandler func(context.Context, mutil.WriterProxy, *http.Request)
	// ErrorHandler will, if set, answer errors instead of [DefaultErrorHandler]: those that handlers return, [ErrNotFound] unless
	// NotFound has a handler, and [ErrMethodNotAllowed] unless MethodNotAllowed has one. Panics are for PanicHandler.
	// It must log errors itself, for example with slog.ErrorContext(ctx, …). It is not called once the response has begun or the
	// connection was hijacked: kami logs such errors.
	ErrorHandler func(context.Context, http.ResponseWriter, *http.Request, error)
	// DrainTimeout is how long a graceful stop waits for the requests in progress, from when draining begins. After it their
	// contexts end, whatever Cancel says, with http.ErrServerClosed as the cause; half a second later their connections.
	// Zero means no limit. It is read when serving begins.
	DrainTimeout time.Duration

	// optimization: a registration changes a draft, which becomes a plan when the next request comes
	// (BenchmarkC27Register100000).
	changing sync.Mutex // held while something is registered
	draft    plan       // without what publish adds
	routes   treemux.Draft[*route]
	common   common
	live     atomic.Pointer[plan] // nil if there is something new in the draft

	joins lifetime.ByBase
}

// New creates a new independent kami router and middleware stack.
// It is totally separate from the global kami.Context and middleware stack.
func New() *Mux { return new(Mux) }

// ServeHTTP handles a request: it decides on the route, then runs the middleware of the path's scopes, the handler and
// the afterware.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := m.registered()
	var d decision
	d.decide(p, r.Method, r.URL)
	if r.ProtoMajor == 0 { // only the request of a message
		d.tell(r.Context(), r.Method, r.URL)
	}
	// optimization: a HandlerFunc without middleware, afterware and hooks needs no more than this (BenchmarkServe/Param).
	handler, plain := d.end.(HandlerFunc)
	if !plain || !d.routed() || p.scoped || m.hooks().set() || m.cancels() {
		m.serve(r.Context(), false, p, &d, w, r)
		return
	}
	r.Pattern = d.route.path
	x, ctx, _ := newContext(r.Context(), m.base(), nil, &d)
	copyRequest(&x.request, r, ctx)
	defer keepForm(r, &x.request)
	handler(ctx, w, &x.request)
}

// ServeHTTPContext is ServeHTTP with ctx instead of r.Context(). It makes a Mux a handler for the routes of another.
// The end of ctx always ends the request's context, whatever Cancel says.
func (m *Mux) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	p := m.registered()
	var d decision
	d.decide(p, r.Method, r.URL)
	if r.ProtoMajor == 0 {
		d.tell(ctx, r.Method, r.URL)
	}
	m.serve(ctx, true, p, &d, w, r)
}

// serve serves a request whose incoming context is in. Bound means that the end of in ends the request's context. It has two short ways,
// then the way of all other requests: begin, run, release.
func (m *Mux) serve(in context.Context, bound bool, p *plan, d *decision, w http.ResponseWriter, r *http.Request) {
	before, after := p.scopesOf(d)
	if len(after.Steps) > 0 || m.hooks().set() {
		m.serveObserved(in, bound, d, before, after, w, r)
		return
	}
	// optimization: no context is built for a 404 that nothing observes (BenchmarkServe/NotFound, NotAllowed and Redirect).
	if !d.routed() && len(before.Steps) == 0 && isBuiltin(d.end) {
		d.end.ServeHTTPContext(in, w, r)
		return
	}
	// optimization: without a form nothing is left to do after standard middleware (BenchmarkServe/Standard).
	if first := opening(before, d); first != nil && !bound && !m.cancels() && !mayHaveForm(r) {
		r.Pattern = d.route.path
		x, ctx, _ := newContext(in, m.base(), before, d)
		copyRequest(&x.request, r, ctx)
		first(w, &x.request)
		return
	}
	var x exchange
	x.chain, x.end, x.from, x.stale = before, d.end, r, true
	plain, fails := m.plain(d, before, bound)
	switch {
	case !plain:
		fails = mayFail(d.end)
		place := x.begin(m, in, bound, fails, false, d, r)
		if fails {
			w = place.Wrap(w)
		}
	case fails: // optimization: most requests need no more than this case or the next (BenchmarkServe/Error and Scopes)
		c := new(withWriter)
		w = c.place.Wrap(w)
		r.Pattern, x.pattern = d.route.path, d.route.path
		x.own, x.ctx, _ = c.initWith(in, m.base(), before, d)
	default:
		r.Pattern, x.pattern = d.route.path, d.route.path
		x.own, x.ctx, _ = newContext(in, m.base(), before, d)
	}
	defer func() {
		if x.handed == nil && x.finish == nil { // optimization: most often this is all (BenchmarkServe/Scopes)
			keepForm(r, x.r)
		} else {
			x.release()
		}
	}()
	x.run(0, w)
}

// plain reports whether a request needs no more than a context: a route with a handler of one of kami's own types answers it, without
// standard middleware, and only Context and the drain end its context. It also reports whether the handler may return an error.
func (m *Mux) plain(d *decision, c *chain, bound bool) (plain, fails bool) {
	_, plain = d.end.(HandlerFunc)
	_, fails = d.end.(*failing)
	return (plain || fails) && d.routed() && !c.Wraps && !bound && !m.cancels(), fails
}

// base returns the present Context. This function and those below return the fields or, for the default Mux, the package's variables.
// Nothing else reads them.
//
// optimization: one function for each setting keeps them in registers (BenchmarkServe/Static).
func (m *Mux) base() context.Context {
	base := m.Context
	if m == &std {
		base = Context
	}
	if base == nil {
		return context.Background()
	}
	return base
}

func (m *Mux) cancels() bool {
	if m == &std {
		return Cancel
	}
	return m.Cancel
}

// hooks are the handlers that are set, in addition to those that are registered.
type hooks struct {
	panicHandler HandlerType
	logHandler   func(context.Context, mutil.WriterProxy, *http.Request)
}

func (h hooks) set() bool { return h.panicHandler != nil || h.logHandler != nil }

func (m *Mux) hooks() hooks {
	if m == &std {
		return hooks{PanicHandler, LogHandler}
	}
	return hooks{m.PanicHandler, m.LogHandler}
}

// errorHandler returns the function that answers errors. It is DefaultErrorHandler for a nil Mux.
func (m *Mux) errorHandler() func(context.Context, http.ResponseWriter, *http.Request, error) {
	if m != nil {
		if own := m.ownErrorHandler(); own != nil {
			return own
		}
	}
	return DefaultErrorHandler
}

// ownErrorHandler returns the ErrorHandler that is set, or nil.
func (m *Mux) ownErrorHandler() func(context.Context, http.ResponseWriter, *http.Request, error) {
	if m == &std {
		return ErrorHandler
	}
	return m.ErrorHandler
}
