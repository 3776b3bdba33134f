package kami

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/batch"
	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/mutil"
	"github.com/guregu/kami/treemux"
)

// Mux is an independent kami router and middleware stack. The zero Mux is empty and ready to use.
//
// Its fields are settings, read when a request arrives: set them before serving. All methods may be called at any
// time, also while serving and by several goroutines at once; a request is served by what was registered when it came.
// The first one after that waits for registrations that are under way; all others wait for nothing.
// A Mux must not be copied.
type Mux struct {
	// Context is the root "god object" for this mux, from which every request's context derives.
	// Nil means context.Background().
	Context context.Context
	// Cancel will, if true, cancel the context of a request after it has finished, and when its client goes away.
	// By default only the end of Context reaches a request's context, and of DrainTimeout where that is set.
	Cancel bool
	// PanicHandler will, if set, be called on panics, with the context that the request has reached.
	// [Exception] gives it the details. One that is no type of handler is an error when serving begins.
	PanicHandler HandlerType
	// LogHandler will, if set, be called once at the very end of every request. The status that it sees is 0 if nothing
	// was sent, which the client gets as 200.
	LogHandler func(context.Context, mutil.WriterProxy, *http.Request)
	// ErrorHandler will, if set, answer all that goes wrong: errors that handlers return, in the place of [DefaultErrorHandler],
	// [ErrNotFound] unless NotFound has a handler, and [ErrMethodNotAllowed] unless MethodNotAllowed has one. Panics are for
	// PanicHandler. It has to log for itself what is to be logged, as by slog.ErrorContext(ctx, …): kami then only logs errors
	// after the response has begun or the connection was hijacked, for which it is not called.
	ErrorHandler func(context.Context, http.ResponseWriter, *http.Request, error)
	// DrainTimeout is how long a graceful stop waits for the requests in progress, from when draining begins. After it their
	// contexts end, whatever Cancel says, with http.ErrServerClosed as the cause; half a second later their connections.
	// Zero means no limit. It is read when serving begins.
	DrainTimeout time.Duration

	// optimization: what is registered changes a draft, which becomes a plan when the next request comes
	// (BenchmarkC27Register100000).
	changing sync.Mutex // held while something is registered
	draft    plan       // without what publish adds
	routes   treemux.Draft[*route]
	common   common
	live     atomic.Pointer[plan] // nil if there is something new in the draft

	joins lifetime.ByBase
}

// plan is all that is registered on a Mux at one time. It is immutable once it is live: the next one shares with it what
// they have in common.
type plan struct {
	routes     treemux.Tree[*route]
	middleware scopes[*middleware]
	afterware  scopes[*afterware]
	depth      int  // segments of the longest scope
	besides    bool // whether there is any middleware or afterware

	notFound           ContextHandler // nil for the default
	methodNotAllowed   ContextHandler // nil for the default
	unrouted           *route         // of requests that no route answers: it says whose they are
	noMethodNotAllowed bool           // set by EnableMethodNotAllowed(false)
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
	if r.ProtoMajor == 0 { // as that of a message is
		d.tell(r.Context(), r.Method, r.URL)
	}
	// optimization: a handler of kami's own type with nothing beside it needs no more than this (BenchmarkServe/Param).
	handler, plain := d.end.(HandlerFunc)
	if !plain || !d.routed() || p.besides || m.hooks().set() || m.cancels() {
		before, after := p.scopesOf(&d)
		m.serve(r.Context(), false, &d, before, after, w, r)
		return
	}
	r.Pattern = d.route.path
	x, ctx, _ := newExchange(r.Context(), m.base(), nil, &d, r)
	defer keepForm(r, &x.request)
	handler(ctx, w, &x.request)
}

// ServeHTTPContext is ServeHTTP with ctx in the place of r.Context(). It makes a Mux a handler for the routes of another.
// The end of ctx always ends the request's context, whatever Cancel says.
func (m *Mux) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	p := m.registered()
	var d decision
	d.decide(p, r.Method, r.URL)
	if r.ProtoMajor == 0 {
		d.tell(ctx, r.Method, r.URL)
	}
	before, after := p.scopesOf(&d)
	m.serve(ctx, true, &d, before, after, w, r)
}

// serve serves a request whose incoming context is in. Bound means that the end of in ends the request's context.
func (m *Mux) serve(
	in context.Context, bound bool, d *decision,
	before *chain[*middleware], after *chain[*afterware], w http.ResponseWriter, r *http.Request,
) {
	if len(after.steps) > 0 || m.hooks().set() {
		m.serveObserved(in, bound, d, before, after, w, r)
		return
	}
	// optimization: what is usual needs no way (BenchmarkServe/Value and Standard).
	handler, usual := m.usual(d, before, bound)
	_, fails := d.end.(*failing)
	if !usual || before.wraps && (fails || mayHaveForm(r)) {
		m.serveAny(in, bound, d, before, w, r)
		return
	}
	if fails {
		m.serveFailing(in, d, before, handler, w, r)
		return
	}
	// optimization: without a form there is nothing to see to after standard middleware (BenchmarkServe/Standard).
	if first := opening(before); first != nil {
		r.Pattern = d.route.path
		x, _, _ := newExchange(in, m.base(), before, d, r)
		first(w, &x.request)
		return
	}
	x, ctx, _ := newExchange(in, m.base(), before, d, nil)
	at := reached{ctx: ctx, stale: true}
	defer func() { keepForm(r, at.r) }()
	x.pass(&at, before.steps, handler, w, r)
}

// serveFailing serves a usual request with a handler that may return an error, without standard middleware.
//
// optimization: it needs no way (BenchmarkServe/Error).
func (m *Mux) serveFailing(
	in context.Context, d *decision, before *chain[*middleware], handler HandlerFunc, w http.ResponseWriter, r *http.Request,
) {
	x := new(watched)
	_, ctx, _ := x.fill(in, m.base(), before, d)
	at := reached{ctx: ctx, stale: true}
	defer func() { keepForm(r, at.r) }()
	x.pass(&at, before.steps, handler, x.place.Wrap(w), r)
}

// usual returns the function that serves for the route's handler, if the request is as most are: it has a route, whose handler is
// of kami's own types, no scope with params covers it, and its context ends with Context and the drain alone.
func (m *Mux) usual(d *decision, c *chain[*middleware], bound bool) (h HandlerFunc, ok bool) {
	switch end := d.end.(type) {
	case HandlerFunc:
		h = end
	case *failing:
		h = end.serve
	}
	return h, h != nil && d.routed() && !c.wild && !bound && !m.cancels()
}

// serveAny serves any request after whose chain nothing is to run.
func (m *Mux) serveAny(
	in context.Context, bound bool, d *decision, before *chain[*middleware], w http.ResponseWriter, r *http.Request,
) {
	// optimization: no context is built for a 404 that nothing observes (BenchmarkServe/NotFound, NotAllowed and Redirect).
	if len(before.steps) == 0 && isBuiltin(d.end) {
		d.end.ServeHTTPContext(in, w, r)
		return
	}
	var along way
	var at reached
	failing := mayFail(d.end)
	place := along.begin(&at, m, in, bound, failing, false, d, before, r)
	if failing {
		w = place.Wrap(w)
	}
	defer along.release(&at)
	along.run(0, w, &at)
}

// base is the present Context. It and the settings below are the fields or, for the default Mux, the package's variables,
// which are asked for here alone.
//
// optimization: each by itself they stay in registers (BenchmarkServe/Static).
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

// hooks are what is called for requests beside what is registered.
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

// errorHandler returns what answers errors. It is DefaultErrorHandler for a nil Mux.
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

// plan returns what is registered now. That of nil is empty.
func (m *Mux) plan() *plan {
	if m == nil {
		m = New()
	}
	return m.registered()
}

func (m *Mux) registered() *plan {
	if live := m.live.Load(); live != nil {
		return live
	}
	return m.publish()
}

// publish makes a plan of the draft.
func (m *Mux) publish() *plan {
	m.changing.Lock()
	defer m.changing.Unlock()
	if live := m.live.Load(); live != nil { // another request was faster
		return live
	}
	next := m.draft
	next.routes = m.routes.Tree()
	next.middleware, next.afterware = next.middleware.ready(), next.afterware.ready()
	next.depth = max(next.middleware.depth, next.afterware.depth)
	next.unrouted = &route{mux: m}
	next.besides = next.depth > 0 || len(next.middleware.all.steps)+len(next.afterware.all.steps) > 0
	m.live.Store(&next)
	return &next
}

// change changes what is registered. If the edit fails nothing has changed.
func (m *Mux) change(edit func() error) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	if err := edit(); err != nil {
		return err
	}
	m.live.Store(nil)
	return nil
}

// mustChange is change for an edit that cannot fail.
func (m *Mux) mustChange(edit func()) { _ = m.change(func() error { edit(); return nil }) }

func (m *Mux) reset() {
	m.mustChange(func() { m.draft, m.routes, m.common = plan{}, treemux.Draft[*route]{}, common{} })
}

// Handle registers a handler for the method under the path. It panics with a message that says what, where and why if
// the method, the path or the handler is invalid, or if the method has another handler for the same paths.
//
// A segment of the path that begins with a colon is a param: /hello/:name matches /hello/greg. The last one may be a
// catch-all, which matches all of a rest that is not empty: /files/*path matches /files/a/b. A slash after it makes no difference.
// Names may be left out. [Param] has their values, decoded once; an encoded slash does not split a segment. A backslash before such a
// colon or asterisk makes it ordinary text.
// A static segment goes before a param, and a param before a catch-all, wherever they lead to a handler of the method.
//
// HEAD requests are served by the GET handler where there is none for HEAD. A path that lacks nothing but its trailing
// slash, has one too many, or is not clean, is redirected to the registered one: with 301 for GET, else with 307.
// One path with a trailing slash makes that right for all methods, and catch-alls take it either way.
//
// A path is not clean if it has an empty segment or, in any spelling, a dot segment ("." or ".."). No handler ever gets one: where
// there is no route to redirect to the answer is 404.
func (m *Mux) Handle(method, path string, handler HandlerType) {
	added := &route{mux: m, method: method, path: path, place: caller()}
	if !isToken(method) {
		refuse(fmt.Sprintf("%q %q", method, path), added.place, errMethod)
	}
	pattern, err := treemux.Parse(path)
	if err == nil {
		added.handler, err = newRouted(handler, m, pattern)
	}
	if err != nil {
		refuse(fmt.Sprintf("%s %q", method, path), added.place, err)
	}
	added.rest, added.either = pattern.CatchAll(), pattern.CatchAll()
	added.slash = pattern.Slash && len(pattern.Segments) > 0
	if b := batch.Of(handler); b != nil {
		added.place = b.Place
		together := b.Part(m, func() batch.Part { return &together{mux: m} }).(*together)
		together.routes, together.patterns = append(together.routes, added), append(together.patterns, pattern)
		return
	}
	if err := m.change(func() error { return m.add(added, pattern) }); err != nil {
		panic(err.Error())
	}
}

// together is routes that are registered together, see package batch.
type together struct {
	mux      *Mux
	routes   []*route
	patterns []treemux.Pattern
}

// Register is for batch.Part.
func (t *together) Register() error { return t.mux.addAll(t.routes, t.patterns) }

// addAll adds all of the routes, or none and returns an error.
func (m *Mux) addAll(routes []*route, patterns []treemux.Pattern) error {
	return m.change(func() error {
		before := m.routes.Tree()
		for i, added := range routes {
			if err := m.add(added, patterns[i]); err != nil {
				m.routes = before.Draft()
				return err
			}
		}
		return nil
	})
}

// add adds a route. It is for change.
func (m *Mux) add(added *route, pattern treemux.Pattern) error {
	added.names = m.common.namesOf(pattern)
	return m.routes.Edit(pattern, func(r *route) (*route, error) { return r.with(added, &m.common) })
}

// Get registers a GET handler under the given path. See [Mux.Handle].
func (m *Mux) Get(path string, handler HandlerType) { m.Handle(http.MethodGet, path, handler) }

// Post registers a POST handler under the given path. See [Mux.Handle].
func (m *Mux) Post(path string, handler HandlerType) { m.Handle(http.MethodPost, path, handler) }

// Put registers a PUT handler under the given path. See [Mux.Handle].
func (m *Mux) Put(path string, handler HandlerType) { m.Handle(http.MethodPut, path, handler) }

// Patch registers a PATCH handler under the given path. See [Mux.Handle].
func (m *Mux) Patch(path string, handler HandlerType) { m.Handle(http.MethodPatch, path, handler) }

// Head registers a HEAD handler under the given path. See [Mux.Handle].
func (m *Mux) Head(path string, handler HandlerType) { m.Handle(http.MethodHead, path, handler) }

// Delete registers a DELETE handler under the given path. See [Mux.Handle].
func (m *Mux) Delete(path string, handler HandlerType) { m.Handle(http.MethodDelete, path, handler) }

// Options registers an OPTIONS handler under the given path. See [Mux.Handle].
func (m *Mux) Options(path string, handler HandlerType) { m.Handle(http.MethodOptions, path, handler) }

// NotFound sets the handler for requests that no route matches (404). Nil restores the default: the ErrorHandler answers
// [ErrNotFound], or http.NotFound if there is none. If the path is not clean, see [Mux.Handle], the handler gets a request for the
// clean one. It panics if the handler is of a type that [HandlerType] does not list.
func (m *Mux) NotFound(handler HandlerType) {
	h := m.optionalHandler("NotFound", handler)
	m.mustChange(func() { m.draft.notFound = h })
}

// MethodNotAllowed sets the handler for requests whose path has routes but none for their method (405). The Allow
// header is set before it runs. Nil restores the default: the ErrorHandler answers [ErrMethodNotAllowed], or without one the
// answer is plain text. It panics if the handler is of a type that [HandlerType] does not list.
func (m *Mux) MethodNotAllowed(handler HandlerType) {
	h := m.optionalHandler("MethodNotAllowed", handler)
	m.mustChange(func() { m.draft.methodNotAllowed = h })
}

// EnableMethodNotAllowed says whether a request whose path has routes but none for its method gets 405 (for OPTIONS:
// 204), with the methods that there are in the Allow header. It is enabled by default; disabled, the answer is 404.
func (m *Mux) EnableMethodNotAllowed(enabled bool) {
	m.mustChange(func() { m.draft.noMethodNotAllowed = !enabled })
}

// optionalHandler converts a handler that may be nil.
func (m *Mux) optionalHandler(what string, handler HandlerType) ContextHandler {
	if handler == nil {
		return nil
	}
	h, err := newRouted(handler, m, treemux.Pattern{})
	if err != nil {
		refuse(what, caller(), err)
	}
	return h
}
