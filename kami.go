// Package kami (神) is a tiny web framework that gives every handler a context it can trust.
// It is the central registration point for an application's routes, middleware and context "god object".
//
//	func greet(ctx context.Context, w http.ResponseWriter, r *http.Request) {
//		fmt.Fprintf(w, "Hello, %s!", kami.Param(ctx, "name"))
//	}
//
//	func main() {
//		kami.Use("/hello/", login)      // middleware for all paths under /hello/
//		kami.Get("/hello/:name", greet) // a handler with a parameter in the path
//		kami.Serve()                    // serve gracefully, on :8000 by default
//	}
//
// All contexts descend from [Context], the god object, and middleware builds on them. A handler's ctx is always r.Context().
//
// # Routes
//
// The segments of a route's path match like this. Static segments go before params, and params before catch-alls:
//
//	route             GET               params
//	/hello            /hello
//	/hello/:name      /hello/greg       name: greg
//	/files/*path      /files/a/b        path: a/b
//	/hello            /hello/           redirect to /hello
//	/hello/:name      /hello/a%2Fb      name: a/b
//
// See [Mux.Handle] for all rules.
//
// # Scopes
//
// Middleware is registered for scopes, which form a hierarchy along the path; afterware is its exact mirror:
//
//	order   middleware   afterware    for GET /users/7/edit
//	1       /            /users/:id/
//	2       /users/      /users/
//	3       /users/:id/  /
//
// Middleware returns the context for what follows, or nil to halt. See [Mux.Use] for all rules.
//
// # What runs
//
// [Explain] says what runs for a request, and why; [Check] finds probable mistakes. Package inspect is a page of both.
//
// # Stacks
//
// The package's functions and variables belong to one default [Mux]. [New] makes independent ones, which can be mounted
// wherever an http.Handler can be, also below a path of another Mux: see [Mux.Mount].
package kami

import (
	"context"
	"crypto/tls"
	"iter"
	"net"
	"net/http"
	"time"

	"github.com/guregu/kami/mutil"
)

// The settings of the default Mux, which the package's functions use.
// They are plain variables, read when a request arrives: set them before serving.
var (
	// Context is the root "god object" from which every request's context derives. Nil means context.Background().
	Context = context.Background()
	// Cancel will, if true, cancel the context of a request after it has finished, and when its client goes away.
	// By default a request's context ends only with [Context], or at the [DrainTimeout] of a stop.
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
	// contexts end, whatever [Cancel] says, with http.ErrServerClosed as the cause; half a second later their
	// connections. Zero means no limit. It is read when serving begins.
	DrainTimeout time.Duration
)

// std is the default Mux.
var std Mux

// Handler returns the default Mux as an http.Handler. It stays the live one through [Reset].
func Handler() http.Handler { return &std }

// Handle registers a handler for any method on the default Mux. See [Mux.Handle].
func Handle(method, path string, handler HandlerType) { std.Handle(method, path, handler) }

// Get registers a GET handler on the default Mux. See [Mux.Handle].
func Get(path string, handler HandlerType) { std.Get(path, handler) }

// Post registers a POST handler on the default Mux. See [Mux.Handle].
func Post(path string, handler HandlerType) { std.Post(path, handler) }

// Put registers a PUT handler on the default Mux. See [Mux.Handle].
func Put(path string, handler HandlerType) { std.Put(path, handler) }

// Patch registers a PATCH handler on the default Mux. See [Mux.Handle].
func Patch(path string, handler HandlerType) { std.Patch(path, handler) }

// Head registers a HEAD handler on the default Mux. See [Mux.Handle].
func Head(path string, handler HandlerType) { std.Head(path, handler) }

// Delete registers a DELETE handler on the default Mux. See [Mux.Handle].
func Delete(path string, handler HandlerType) { std.Delete(path, handler) }

// Options registers an OPTIONS handler on the default Mux. See [Mux.Handle].
func Options(path string, handler HandlerType) { std.Options(path, handler) }

// Mount hands a path, and all below it, to a handler on the default Mux. See [Mux.Mount].
func Mount(path string, handler HandlerType) { std.Mount(path, handler) }

// NotFound sets the handler for paths without a route on the default Mux. See [Mux.NotFound].
func NotFound(handler HandlerType) { std.NotFound(handler) }

// MethodNotAllowed sets the handler for methods that a path does not have on the default Mux.
// See [Mux.MethodNotAllowed].
func MethodNotAllowed(handler HandlerType) { std.MethodNotAllowed(handler) }

// EnableMethodNotAllowed turns automatic answers to such methods on or off on the default Mux.
// See [Mux.EnableMethodNotAllowed].
func EnableMethodNotAllowed(enabled bool) { std.EnableMethodNotAllowed(enabled) }

// Routes returns all routes of the default Mux. See [Mux.Routes].
func Routes() iter.Seq[Route] { return std.Routes() }

// Scopes returns all middleware and afterware of the default Mux. See [Mux.Scopes].
func Scopes() iter.Seq[Scope] { return std.Scopes() }

// Explain says what the default Mux runs for a request, and why. See [Mux.Explain].
func Explain(method, path string) (Explanation, error) { return std.Explain(method, path) }

// Check returns probable mistakes in the default Mux. See [Mux.Check].
func Check() []Finding { return std.Check() }

// Use registers middleware on the default Mux. See [Mux.Use].
func Use(path string, mw MiddlewareType) { std.Use(path, mw) }

// After registers afterware on the default Mux. See [Mux.After].
func After(path string, aw AfterwareType) { std.After(path, aw) }

// Serve serves the default Mux. See [Mux.Serve].
func Serve() { std.Serve() }

// ServeTLS serves the default Mux over TLS. See [Mux.ServeTLS].
func ServeTLS(config *tls.Config) { std.ServeTLS(config) }

// ServeListener serves the default Mux on a listener. See [Mux.ServeListener].
func ServeListener(listener net.Listener) { std.ServeListener(listener) }

// ServeContext serves the default Mux on a listener until ctx ends. See [Mux.ServeContext].
func ServeContext(ctx context.Context, listener net.Listener, server *http.Server) error {
	return std.ServeContext(ctx, listener, server)
}

// Reset empties the default Mux: it removes every route, all middleware and afterware and the handlers of [NotFound]
// and [MethodNotAllowed], and it restores [Context], [Cancel], [PanicHandler], [LogHandler], [ErrorHandler] and
// [DrainTimeout].
// It may be called while serving if those variables hold their defaults: they are plain variables.
func Reset() {
	std.reset()
	if Context != context.Background() {
		Context = context.Background()
	}
	if Cancel {
		Cancel = false
	}
	if PanicHandler != nil {
		PanicHandler = nil
	}
	if LogHandler != nil {
		LogHandler = nil
	}
	if ErrorHandler != nil {
		ErrorHandler = nil
	}
	if DrainTimeout != 0 {
		DrainTimeout = 0
	}
}
