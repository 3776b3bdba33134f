package kami

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/guregu/kami/internal/funcs"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/wares"
	"github.com/guregu/kami/treemux"
)

// Middleware is a function that takes the current request context and returns a new request context.
// You can use middleware to build your context before your handler handles a request.
// As a special case, middleware that returns nil will halt middleware and handler execution
// (afterware and LogHandler will still run).
type Middleware func(context.Context, http.ResponseWriter, *http.Request) context.Context

// MiddlewareType represents types that kami can convert to Middleware.
// The following types, and types defined by them, are accepted:
//   - Middleware
//   - func(context.Context, http.ResponseWriter, *http.Request) context.Context
//   - func(http.ResponseWriter, *http.Request) context.Context
//   - func(context.Context, *http.Request) context.Context
//   - func(context.Context) context.Context
//   - func(http.Handler) http.Handler [standard middleware, see Mux.Use]
//   - func(http.Handler) http.HandlerFunc [same]
//   - func(http.HandlerFunc) http.HandlerFunc [same]
//   - func(ContextHandler) ContextHandler [same]
//   - http.Handler [read only: it keeps the context, and halts if it answers with 400 or more or hijacks the connection]
//   - func(http.ResponseWriter, *http.Request) [read only]
type MiddlewareType interface{}

// Use registers middleware for a scope of paths. The scope "/users/" covers all paths below it, and itself with or
// without the slash (unless "/users" is a route of its own). The scope "/users" covers only that path, with or without a slash.
// Scopes may have params and catch-alls as routes have: "/users/:id/" covers all paths below it, "/files/*" the same as "/files/".
//
// A guard for "/admin/" leaves a route that is registered as "/admin" open. Register the guard for both:
//
//	mux.Use("/admin/", guard)
//	mux.Use("/admin", guard) // Mux.Check reports where this is missing
//	mux.Get("/admin", overview)
//
// Use panics with a message that says what, where and why if the path or the middleware is invalid.
//
// For a request the scopes that its path lies in run like this:
//
//	order                                             for GET /users/7/edit
//	static scopes, from the least specific            /   /users/   /users/7/edit
//	scopes with params, from the least specific       /users/*   /users/:id/   /users/:id/edit
//	within a scope, in the order of registration
//
// Scopes run whether or not a route matches, and no spelling of a path gets around them. A route only serves clean paths. A
// scope runs if it covers the path as it is routed, or with its encoded slashes decoded from any segment on. For redirects, 404,
// 405 and OPTIONS it also runs if it covers the clean path. Several slashes in a row count as one. These readings of the path may
// give a scope's params different values: then the scope runs once for each, first for the routed path, whose values a handler
// sees too. Backslashes, semicolons, letter case and double encoding make different paths.
//
// Standard middleware, which takes the next handler, wraps what follows it: later middleware and the handler see its
// writer, its request and its context, and its code after next runs after them. It is called once, when it is registered. The
// handler that it returns must call its next with a context that descends from the request's.
//
// The context that middleware returns must descend from the one that it gets, which has the params. If it does not, the request
// panics. kami stops checking this once the middleware has returned a context that descends.
//
// To change the context, return or pass on another one. Never write over the request, as in *r = *r.WithContext(ctx): other code
// has that request too.
func (m *Mux) Use(path string, mw MiddlewareType) {
	place := caller()
	what := fmt.Sprintf("middleware for %q", path)
	pattern, err := treemux.Parse(path)
	if err != nil {
		refuse(what, place, err)
	}
	added, err := newMiddleware(mw, entry{path, funcs.NameOf(mw), place})
	if err != nil {
		refuse(what, place, err)
	}
	m.mustChange(func() { m.draft.middleware = m.draft.middleware.With(pattern, added) })
}

// middleware is registered middleware, in one of its forms.
type middleware struct {
	entry
	run      Middleware
	readOnly bool                                  // whether run calls a handler
	derive   func(context.Context) context.Context // instead of run, for middleware that sees nothing else
	standard ContextHandler                        // wraps the rest of the chain; instead of run
	wrapper  http.HandlerFunc                      // standard as a function, if it takes no context
	descends atomic.Bool                           // whether it has returned a context that descends from the request's
}

// Wraps is for scopes.Ware.
func (m *middleware) Wraps() bool { return m.standard != nil }

// String says what it is and where it was registered.
func (m *middleware) String() string { return fmt.Sprintf("middleware for %q (%s)", m.path, m.place) }

// mustDescend panics if a context that the middleware has returned does not descend from the request's.
//
// optimization: it checks until one does, because each check costs some percent of a request (BenchmarkServe/Value).
func (m *middleware) mustDescend(x *requestContext, ctx context.Context) {
	if own, _ := ctx.Value(incoming.Request).(*requestContext); own != x {
		panic(fmt.Sprintf("kami: %s returned a context that does not descend from the request's, so its params would be lost: "+
			"derive it from the one that the middleware gets", m))
	}
	m.descends.Store(true)
}

// newMiddleware converts one of the types that MiddlewareType lists.
func newMiddleware(mw MiddlewareType, registered entry) (*middleware, error) {
	if funcs.IsNil(mw) {
		return nil, errors.New("the middleware must not be nil")
	}
	m := &middleware{entry: registered}
	if wrap := asStandard(mw); wrap != nil {
		var err error
		m.standard, err = newHandler(wrap(m), nil)
		if err != nil { // nil is all that can be wrong about a handler of the type
			return nil, errors.New("the middleware must not return a nil handler")
		}
		switch h := m.standard.(type) {
		case *vanilla:
			m.wrapper = asFunc(h.Handler)
		case *middleware: // next itself
			m.wrapper = h.ServeHTTP
		}
		return m, nil
	}
	m.derive, _ = funcs.As[func(context.Context) context.Context](mw)
	if m.run, m.readOnly = wares.Middleware(mw); m.run == nil {
		return nil, fmt.Errorf("%T is no type of middleware; accepted are those of kami.MiddlewareType: "+
			"func(context.Context, http.ResponseWriter, *http.Request) context.Context, "+
			"func(http.ResponseWriter, *http.Request) context.Context, "+
			"func(context.Context, *http.Request) context.Context, func(context.Context) context.Context, "+
			"func(http.Handler) http.Handler, func(http.Handler) http.HandlerFunc, "+
			"func(http.HandlerFunc) http.HandlerFunc, func(kami.ContextHandler) kami.ContextHandler, "+
			"http.Handler, func(http.ResponseWriter, *http.Request)", mw)
	}
	return m, nil
}

// asFunc returns the function that serves for the handler.
//
// optimization: a function is called without its method (BenchmarkServe/Standard).
func asFunc(h http.Handler) http.HandlerFunc {
	if f, ok := h.(http.HandlerFunc); ok {
		return f
	}
	return h.ServeHTTP
}

// asStandard converts middleware that wraps what follows, which is next. It returns nil for other types.
func asStandard(mw MiddlewareType) func(next *middleware) HandlerType {
	if f, ok := funcs.As[func(http.Handler) http.Handler](mw); ok {
		return func(next *middleware) HandlerType { return f(next) }
	}
	if f, ok := funcs.As[func(http.Handler) http.HandlerFunc](mw); ok {
		return func(next *middleware) HandlerType { return f(next) }
	}
	if f, ok := funcs.As[func(http.HandlerFunc) http.HandlerFunc](mw); ok {
		return func(next *middleware) HandlerType { return f(next.ServeHTTP) }
	}
	if f, ok := funcs.As[func(ContextHandler) ContextHandler](mw); ok {
		return func(next *middleware) HandlerType { return f(next) }
	}
	return nil
}
