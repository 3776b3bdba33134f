package kami

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/internal/pathparams"
	"github.com/guregu/kami/internal/scopes"
	"github.com/guregu/kami/internal/serving"
	"github.com/guregu/kami/internal/urlpath"
	"github.com/guregu/kami/mutil"
)

// requestContext is the context that a request begins with in a Mux, and the copy of the request that has it. It is immutable once other
// code holds it; until then only request is filled in. User code may keep both.
//
// optimization: context, params and request are one allocation. It holds only what a context that outlives its request can still be
// asked for; everything else lives on the stack, see exchange (BenchmarkServe/Param).
type requestContext struct {
	in, base context.Context // the incoming request's, and Mux.Context
	route    *route          // the Mux's unrouted if none answers
	chain    *chain          // nil unless the context may be asked for it
	request  http.Request
}

// withParams is the context of a request whose route has params.
//
// optimization: a context without params is smaller (BenchmarkServe/Static).
type withParams struct {
	requestContext
	pathparams.Params
}

// withWriter is a context with room for the proxy of the response's writer.
//
// optimization: the proxy is part of the allocation, so user code that keeps the context keeps the writer, which net/http has emptied by
// then: a kilobyte or so (BenchmarkServe/Observed).
type withWriter struct {
	withParams
	place mutil.Place
}

// withShared also holds what the goroutines of one request share, and their chain, which leads to it.
type withShared struct {
	withWriter
	chain  chain
	shared shared
}

// newContext returns a new context, as both of its types, and its params, nil if it has none. The chain may be nil. Its request
// remains to be made.
func newContext(in, base context.Context, c *chain, d *decision) (*requestContext, context.Context, *pathparams.Params) {
	if len(d.route.names) == 0 {
		x := new(requestContext)
		x.init(in, base, c, d)
		return x, x, nil
	}
	x := new(withParams)
	x.init(in, base, c, d)
	x.Path, _ = urlpath.CutSlash(d.path)
	x.Set(&d.spans, d.decode != nil)
	return &x.requestContext, x, &x.Params
}

func (x *requestContext) init(in, base context.Context, c *chain, d *decision) {
	x.in, x.base, x.route = in, base, d.route
	if c != nil && (c.Wraps || c.Request != nil) {
		x.chain = c
	}
}

// initWith is newContext for a context that is part of a larger struct.
func (x *withParams) initWith(in, base context.Context, c *chain, d *decision) (
	*requestContext, context.Context, *pathparams.Params,
) {
	x.init(in, base, c, d)
	if len(d.route.names) == 0 {
		return &x.requestContext, &x.requestContext, nil
	}
	x.Path, _ = urlpath.CutSlash(d.path)
	x.Set(&d.spans, d.decode != nil)
	return &x.requestContext, x, &x.Params
}

// Value looks among the incoming request's values first, then among those of the Mux's Context. The context
// package's own key goes to the context that ends this one (see lifetime.CancelKey).
func (x *requestContext) Value(key any) any {
	if x.mayAnswer(key) {
		if value, ok := x.answer(key, x); ok {
			return value
		}
	}
	if value := x.in.Value(key); value != nil {
		return value
	}
	return x.base.Value(key)
}

// mayAnswer reports whether the context itself may have the answer for a key.
//
// optimization: a type switch rules out almost every key (bench, Same work).
func (x *requestContext) mayAnswer(key any) bool {
	switch key.(type) {
	case incoming.Key, *middleware:
		return true
	}
	return key == lifetime.CancelKey
}

// answer returns the context's own answer for a key, and whether it has one. Self is the context, with its params if it has some.
func (x *requestContext) answer(key any, self context.Context) (value any, ok bool) {
	switch key := key.(type) {
	case incoming.Key:
		if key == incoming.Params {
			return self, true
		}
		return incoming.Exchange(x), true
	case *middleware:
		return x, x.find(key, nil) >= 0
	}
	if key == lifetime.CancelKey {
		return x.Ends().Value(key), true
	}
	return nil, false
}

// Value is requestContext's, with the same code. Only the answer for the params differs.
//
// optimization: the copy saves a call for each lookup (bench, Same work).
func (x *withParams) Value(key any) any {
	if x.mayAnswer(key) {
		if value, ok := x.answer(key, x); ok {
			return value
		}
	}
	if value := x.in.Value(key); value != nil {
		return value
	}
	return x.base.Value(key)
}

// Deadline is the deadline of the context that ends this one.
func (x *requestContext) Deadline() (time.Time, bool) { return x.Ends().Deadline() }

// Done is closed when the context that ends this one has ended.
func (x *requestContext) Done() <-chan struct{} { return x.Ends().Done() }

// Err returns the error of the context that ends this one.
func (x *requestContext) Err() error { return x.Ends().Err() }

// Ends returns the context whose end ends the request's context. By default that is the end of Mux.Context, of the server's
// DrainTimeout and, for a message, of the incoming context. The server is looked up only when Done, Err or Deadline is called.
func (x *requestContext) Ends() context.Context {
	if in, ok := x.in.(*withEnd); ok {
		return in.end
	}
	base := serving.Ends(x.in, x.base)
	if incoming.MessageOf(x.in) != nil {
		return x.route.mux.joins.Joins(base).With(x.in)
	}
	return base
}

// setEnd sets the end of a request's context where that is not the default: the end of the incoming request ends it too, because
// the Mux cancels or because the request is bound. It returns the function to call when the request has finished, which ends the
// context if the Mux cancels, or nil.
func (m *Mux) setEnd(x *requestContext, cancel bool) (finish func()) {
	in, base := x.in, serving.Ends(x.in, x.base)
	set := &withEnd{Context: in}
	x.in = set
	switch {
	case !cancel:
		set.end = m.joins.Joins(base).With(in)
	case base.Done() == nil:
		set.end, finish = context.WithCancel(in)
	default:
		set.end, finish = lifetime.Join(in, base)
	}
	return finish
}

// withEnd is an incoming context, and the context that ends the request's, which setEnd has set.
type withEnd struct {
	context.Context
	end context.Context
}

// Incoming returns the context that the request came with, through all Muxes that it came through.
func (x *requestContext) Incoming() context.Context { return incoming.Context(x.in) }

// Started returns when the request came, if a logger asks for that.
func (x *requestContext) Started() time.Time {
	if shared := x.sharing(); shared != nil {
		return shared.started
	}
	return time.Time{}
}

// HandlerName returns the name that the handler has given itself, "" if it has none. If the route mounts a Mux, it is the name of the
// handler in that Mux for a request for the URL.
func (x *requestContext) HandlerName(method string, u *url.URL) string {
	r := x.route.innermost(incoming.MessageOf(x.in) != nil, method, u)
	name, _ := ownName(r.handler)
	return name
}

// String names the context in logs. Without it the whole request would be printed, with all headers.
func (x *requestContext) String() string {
	if x.route.path == "" {
		return "kami.Context"
	}
	return fmt.Sprintf("kami.Context(%s %s)", x.route.methods(), x.route.path)
}

// String names the context by the path that was asked for.
func (x *withParams) String() string {
	return fmt.Sprintf("kami.Context(%s %s)", x.route.methods(), x.Path)
}

// end returns the handler at the end of a chain that has standard middleware.
func (x *requestContext) end() ContextHandler {
	if shared := x.sharing(); shared != nil {
		return shared.end
	}
	return x.route.handler
}

// isPointer reports whether a context is a pointer. Comparing two values of an uncomparable type panics, so kami compares
// only pointers.
func isPointer(ctx context.Context) bool { return reflect.ValueOf(ctx).Kind() == reflect.Pointer }

// noBinding makes the route's params the first again, after a scope's.
var noBinding = new(scopes.Binding)

// scopeContext is the context of middleware and afterware whose scope has params, and the copy of the request that has it.
type scopeContext struct {
	context.Context
	*scopes.Binding
	x       *requestContext
	request http.Request
}

func (v *scopeContext) Value(key any) any {
	if key == incoming.Params {
		return v
	}
	if mw, ok := key.(*middleware); ok && v.x.find(mw, v.Binding) >= 0 {
		return v
	}
	return v.Context.Value(key)
}

// String is requestContext's.
func (v *scopeContext) String() string { return fmt.Sprintf("%v.WithScope(%q)", v.Context, v.Names) }
