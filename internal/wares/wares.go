// Package wares converts the types of middleware and afterware that do not wrap what follows.
package wares

import (
	"context"
	"net/http"

	"github.com/guregu/kami/internal/funcs"
	"github.com/guregu/kami/internal/half"
	"github.com/guregu/kami/mutil"
)

// Middleware converts middleware. It returns nil for other types. ReadOnly means that it was a handler.
func Middleware(mw any) (run func(context.Context, http.ResponseWriter, *http.Request) context.Context, readOnly bool) {
	if f, ok := funcs.As[func(context.Context, http.ResponseWriter, *http.Request) context.Context](mw); ok {
		return f, false
	}
	if f, ok := funcs.As[func(http.ResponseWriter, *http.Request) context.Context](mw); ok {
		return func(_ context.Context, w http.ResponseWriter, r *http.Request) context.Context { return f(w, r) }, false
	}
	if f, ok := funcs.As[func(context.Context, *http.Request) context.Context](mw); ok {
		return func(ctx context.Context, _ http.ResponseWriter, r *http.Request) context.Context { return f(ctx, r) }, false
	}
	if f, ok := funcs.As[func(context.Context) context.Context](mw); ok {
		return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context { return f(ctx) }, false
	}
	if f, ok := funcs.As[http.HandlerFunc](mw); ok {
		return reading(f), true
	}
	if h, ok := mw.(http.Handler); ok {
		return reading(h), true
	}
	return nil, false
}

// reading makes read only middleware of a handler. The handler gets its own copy of the request, which it may then change as it likes.
// The middleware halts if the handler has answered with an error, as a guard does, or has hijacked the connection, on which nothing else
// can be answered.
func reading(h http.Handler) func(context.Context, http.ResponseWriter, *http.Request) context.Context {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		own := *r
		proxy := half.Telling(w)
		before, _ := half.Begun(proxy)
		hijacked := proxy.Hijacked()
		defer func() {
			if own.MultipartForm != nil && own.MultipartForm != r.MultipartForm {
				_ = own.MultipartForm.RemoveAll()
			}
		}()
		h.ServeHTTP(proxy, &own)
		if before == nil && proxy.Status() >= 400 || !hijacked && proxy.Hijacked() {
			return nil
		}
		return ctx
	}
}

// Afterware converts afterware. It returns nil for other types.
func Afterware(aw any) func(context.Context, mutil.WriterProxy, *http.Request) context.Context {
	if f, ok := funcs.As[func(context.Context, mutil.WriterProxy, *http.Request) context.Context](aw); ok {
		return f
	}
	if f, ok := funcs.As[func(context.Context, mutil.WriterProxy, *http.Request)](aw); ok {
		return func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
			f(ctx, w, r)
			return ctx
		}
	}
	if f, ok := funcs.As[func(mutil.WriterProxy, *http.Request) context.Context](aw); ok {
		return func(_ context.Context, w mutil.WriterProxy, r *http.Request) context.Context { return f(w, r) }
	}
	if f, ok := funcs.As[func(mutil.WriterProxy, *http.Request)](aw); ok {
		return func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
			f(w, r)
			return ctx
		}
	}
	if f, _ := Middleware(aw); f != nil {
		return func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context { return f(ctx, w, r) }
	}
	return nil
}
