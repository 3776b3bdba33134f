package kami

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/mutil"
	"github.com/guregu/kami/treemux"
)

// Mux is an independent kami router and middleware stack. The zero Mux is empty and ready to use.
//
// Its fields are settings, read when a request arrives: set them before serving. All methods may be called at any
// time, also while serving and by several goroutines at once; a request is served by what was registered when it came.
// A Mux must not be copied.
type Mux struct {
	// Context is the root "god object" for this mux, from which every request's context derives.
	// Nil means context.Background().
	Context context.Context
	// Cancel will, if true, cancel the context of a request after it has finished, and when its client goes away.
	// By default only the end of Context reaches a request's context, and of DrainTimeout where that is set.
	Cancel bool
	// PanicHandler will, if set, be called on panics, with the context that the request has reached.
	// [Exception] gives it the details.
	PanicHandler HandlerType
	// LogHandler will, if set, be called once at the very end of every request. The status that it sees is 0 if nothing
	// was sent, which the client gets as 200.
	LogHandler func(context.Context, mutil.WriterProxy, *http.Request)
	// ErrorHandler will, if set, answer the errors of handlers that return one, in the place of [DefaultErrorHandler]. It is
	// not called for errors after the response has begun or the connection was hijacked, which are logged.
	ErrorHandler func(context.Context, http.ResponseWriter, *http.Request, error)
	// DrainTimeout is how long a graceful stop waits for the requests in progress, from when draining begins. After it their
	// contexts end, whatever Cancel says, with http.ErrServerClosed as the cause; half a second later their connections.
	// Zero means no limit. It is read when serving begins.
	DrainTimeout time.Duration

	changing sync.Mutex // held while something is registered
	live     atomic.Pointer[plan]
	joins    joins
}

// plan is all that is registered on a Mux at one time. It is immutable: a registration makes a new one, which shares
// with the old what they have in common.
type plan struct {
	routes     treemux.Tree[*route]
	middleware scopes[*middleware]
	afterware  scopes[*afterware]

	notFound           ContextHandler // nil for the default
	methodNotAllowed   ContextHandler // nil for the default
	noMethodNotAllowed bool           // set by EnableMethodNotAllowed(false)
}

// New creates a new independent kami router and middleware stack.
// It is totally separate from the global kami.Context and middleware stack.
func New() *Mux { return new(Mux) }

// ServeHTTP handles a request: it decides on the route, then runs the middleware of the path's scopes, the handler and
// the afterware.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.serve(r.Context(), false, w, r)
}

// ServeHTTPContext is ServeHTTP with ctx in the place of r.Context(). It makes a Mux a handler for the routes of another.
// The end of ctx always ends the request's context, whatever Cancel says.
func (m *Mux) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	m.serve(ctx, true, w, r)
}

// serve serves a request whose incoming context is in. Bound means that the end of in ends the request's context.
func (m *Mux) serve(in context.Context, bound bool, w http.ResponseWriter, r *http.Request) {
	now, registered := m.settings(), m.plan()
	decided := registered.decide(r.Method, r.URL)
	x, ctx, params := newExchange(in, now.base, &decided)
	if now.cancel || bound {
		defer m.govern(x, now.cancel)()
	}
	before, after := registered.scopesOf(&decided, r.URL)
	along := way{x: x, params: params, steps: before, end: decided.end, from: r}
	along.begin()
	if now.logHandler != nil || now.panicHandler != nil || len(after) > 0 {
		observe(&now, along, ctx, w, after)
		return
	}
	if wraps(before) {
		x.rare = &rare{way: along}
	}
	if mayFail(decided.end) {
		w = mutil.WrapWriter(w)
	}
	at := reached{ctx: ctx}
	defer along.release(&at)
	along.run(0, w, &at)
}

// observe runs the chain of a request, and what is to run after it.
func observe(now *settings, along way, ctx context.Context, w http.ResponseWriter, after []step[*afterware]) {
	timed := now.logHandler != nil && incoming.Timed()
	if timed || wraps(along.steps) {
		along.x.rare = &rare{way: along, observed: true}
		if timed {
			along.x.rare.started = time.Now()
		}
	}
	o := outcome{settings: *now, reached: reached{ctx: ctx}, along: along, w: mutil.WrapWriter(w), after: after}
	o.run()
}

// settings are what a Mux is set to when a request arrives.
type settings struct {
	base         context.Context
	cancel       bool
	panicHandler HandlerType
	logHandler   func(context.Context, mutil.WriterProxy, *http.Request)
	errorHandler func(context.Context, http.ResponseWriter, *http.Request, error)
}

// current returns the settings themselves, for those that were looked up before.
func (s settings) current() settings { return s }

// settings returns the present settings: the fields, or the package's variables for the default Mux.
func (m *Mux) settings() settings {
	now := settings{m.Context, m.Cancel, m.PanicHandler, m.LogHandler, m.ErrorHandler}
	if m == &std {
		now = settings{Context, Cancel, PanicHandler, LogHandler, ErrorHandler}
	}
	if now.base == nil {
		now.base = context.Background()
	}
	if now.errorHandler == nil {
		now.errorHandler = DefaultErrorHandler
	}
	return now
}

// emptyPlan is the plan of a Mux with nothing registered.
var emptyPlan plan

func (m *Mux) plan() *plan {
	if m == nil {
		return &emptyPlan
	}
	if live := m.live.Load(); live != nil {
		return live
	}
	return &emptyPlan
}

// change publishes the present plan with the edit made. If the edit fails nothing has changed.
func (m *Mux) change(edit func(*plan) error) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	next := *m.plan()
	if err := edit(&next); err != nil {
		return err
	}
	m.live.Store(&next)
	return nil
}

func (m *Mux) reset() {
	m.changing.Lock()
	defer m.changing.Unlock()
	m.live.Store(nil)
}

// Handle registers a handler for the method under the path. It panics with a message that says what, where and why if
// the method, the path or the handler is invalid, or if the method has another handler for the same paths.
//
// A segment of the path that begins with a colon is a param: /hello/:name matches /hello/greg. The last one may be a
// catch-all, which matches all of a rest that is not empty: /files/*path matches /files/a/b. Their names may be left
// out. [Param] has their values, decoded once; an encoded slash does not split a segment. A backslash before such a
// colon or asterisk makes it ordinary text.
// A static segment goes before a param, and a param before a catch-all, wherever they lead to a handler of the method.
//
// HEAD requests are served by the GET handler where there is none for HEAD. A path that lacks nothing but its trailing
// slash, has one too many, or is not clean, is redirected to the registered one: with 301 for GET, else with 307.
// One path with a trailing slash makes that right for all methods, and catch-alls take it either way.
func (m *Mux) Handle(method, path string, handler HandlerType) {
	added := &route{method: method, path: path, place: caller()}
	if !isToken(method) {
		refuse(fmt.Sprintf("%q %q", method, path), added.place, errMethod)
	}
	pattern, err := treemux.Parse(path)
	if err == nil {
		added.handler, err = newHandler(handler, m.settings)
	}
	if err != nil {
		refuse(fmt.Sprintf("%s %q", method, path), added.place, err)
	}
	added.names, added.rest = pattern.Names(), pattern.CatchAll()
	err = m.change(func(p *plan) (err error) {
		p.routes, err = p.routes.With(pattern, func(r *route) (*route, error) { return r.with(added) })
		return err
	})
	if err != nil {
		panic(err.Error())
	}
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

// NotFound sets the handler for requests that no route matches (404). Nil restores the default, http.NotFound.
// It panics if the handler is of a type that [HandlerType] does not list.
func (m *Mux) NotFound(handler HandlerType) {
	h := m.optionalHandler("NotFound", handler)
	m.mustChange(func(p *plan) { p.notFound = h })
}

// MethodNotAllowed sets the handler for requests whose path has routes but none for their method (405). The Allow
// header is set before it runs. Nil restores the default. It panics if the handler is of a type that [HandlerType]
// does not list.
func (m *Mux) MethodNotAllowed(handler HandlerType) {
	h := m.optionalHandler("MethodNotAllowed", handler)
	m.mustChange(func(p *plan) { p.methodNotAllowed = h })
}

// EnableMethodNotAllowed says whether a request whose path has routes but none for its method gets 405 (for OPTIONS:
// 204), with the methods that there are in the Allow header. It is enabled by default; disabled, the answer is 404.
func (m *Mux) EnableMethodNotAllowed(enabled bool) {
	m.mustChange(func(p *plan) { p.noMethodNotAllowed = !enabled })
}

// mustChange is change for an edit that cannot fail.
func (m *Mux) mustChange(edit func(*plan)) {
	_ = m.change(func(p *plan) error { edit(p); return nil })
}

// optionalHandler converts a handler that may be nil.
func (m *Mux) optionalHandler(what string, handler HandlerType) ContextHandler {
	if handler == nil {
		return nil
	}
	h, err := newHandler(handler, m.settings)
	if err != nil {
		refuse(what, caller(), err)
	}
	return h
}
