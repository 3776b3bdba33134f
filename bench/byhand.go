package main

import (
	"context"
	"net/http"
	"strings"
)

// newByHand does the work of a row with one route as kami's contract asks for it: with one context for all of a request, which
// has the params and the base value, and a copy of the request for each context that a handler or middleware sees. It has no
// routes, scopes or hooks to look for, so it is what kami can come close to.
func newByHand(j *job) http.Handler {
	route := j.routes[0]
	shape, static := route.shape, strings.Count(route.path, "/")-len(route.names)
	base := adding(context.Background(), 0)
	handler := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		e := examOf(r)
		e.read(shape.names, handmadeParam, ctx, r.Context())
		e.finish(w, ctx, r.Context())
	}
	var next http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(r.Context(), w, r) })
	for range j.standard {
		next = passOn(next)
	}
	through := func(ctx context.Context, w http.ResponseWriter, own *http.Request, r *http.Request) {
		if j.plain {
			for i := range j.values {
				ctx = adding(ctx, i+1)
			}
		}
		*own = *r.WithContext(ctx)
		if !j.plain {
			for i := range j.values {
				ctx = adding(ctx, i+1)
				own = own.WithContext(ctx)
			}
		}
		switch {
		case j.standard > 0:
			next.ServeHTTP(w, own)
		case j.observed:
			rec := &recorder{ResponseWriter: w}
			defer func() { logged(own, rec.status) }()
			handler(ctx, rec, own)
		default:
			handler(ctx, w, own)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(shape.names) == 0 {
			h := &handmade{Context: r.Context(), base: base}
			through(h, w, &h.request, r)
			return
		}
		h := &handmadeWithParams{handmade: handmade{Context: r.Context(), base: base}, path: r.URL.Path, shape: shape}
		h.find(static)
		through(h, w, &h.request, r)
	})
}

// handmade is the context of a request, and its copy.
type handmade struct {
	context.Context
	base    context.Context
	request http.Request
}

func (h *handmade) Value(key any) any {
	if value := h.Context.Value(key); value != nil {
		return value
	}
	return h.base.Value(key)
}

// handmadeWithParams is one for a route with params, which are the last segments of its path.
type handmadeWithParams struct {
	handmade
	path   string
	shape  *shape
	starts [5]uint16
}

// find finds the params behind so many static segments.
func (h *handmadeWithParams) find(static int) {
	for i := range len(h.path) {
		if h.path[i] == '/' {
			if static <= 0 {
				h.starts[-static] = uint16(i + 1)
			}
			static--
		}
	}
}

func (h *handmadeWithParams) Value(key any) any {
	if key == (paramsKey{}) {
		return h
	}
	return h.handmade.Value(key)
}

func handmadeParam(ctx context.Context, name string) string {
	h, ok := ctx.(*handmadeWithParams)
	if !ok {
		h, _ = ctx.Value(paramsKey{}).(*handmadeWithParams)
	}
	for i, own := range h.shape.names {
		if own == name {
			value, _, _ := strings.Cut(h.path[h.starts[i]:], "/")
			return value
		}
	}
	return ""
}
