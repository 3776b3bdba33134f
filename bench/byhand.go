package main

import (
	"context"
	"net/http"
	"strings"
)

// newByHand does the work of a row as kami's contract asks for it: with one context for all of a request, which has the params
// and the base value, and a copy of the request for each context that a handler or middleware sees. It has no routes, scopes or
// hooks to look for, so it is what kami can come close to. Of several routes it takes the next one for each request, for in that
// order they come.
func newByHand(j *job) http.Handler {
	handlers := make([]http.Handler, len(j.routes))
	for i, rt := range j.routes {
		handlers[i] = newHandmade(j, rt)
	}
	if len(handlers) == 1 {
		return handlers[0]
	}
	i := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := handlers[i]
		if i++; i == len(handlers) {
			i = 0
		}
		h.ServeHTTP(w, r)
	})
}

func newHandmade(j *job, rt *route) http.Handler {
	route, base := &handmadeRoute{rt.shape, rt.places()}, context.Background()
	if j.base {
		base = adding(base, 0)
	}
	handler := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		e := examOf(r)
		if j.base {
			e.read(route.names, handmadeParam, ctx, r.Context())
		} else {
			for i, name := range route.names {
				e.param(i, handmadeParam(ctx, name))
			}
		}
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
		if len(route.names) == 0 {
			h := &handmade{Context: r.Context(), base: base}
			through(h, w, &h.request, r)
			return
		}
		h := &handmadeWithParams{handmade: handmade{Context: r.Context(), base: base}, path: r.URL.Path, route: route}
		h.find()
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

// handmadeRoute is a route with the places of its params among the segments.
type handmadeRoute struct {
	*shape
	places []int
}

func (r *route) places() []int {
	var places []int
	for i, segment := range strings.Split(r.path, "/")[1:] {
		if strings.HasPrefix(segment, ":") {
			places = append(places, i)
		}
	}
	return places
}

// handmadeWithParams is one for a route with params.
type handmadeWithParams struct {
	handmade
	path    string
	route   *handmadeRoute
	starts  [5]uint16
	lengths [5]uint8
}

// find finds the params.
func (h *handmadeWithParams) find() {
	found, segment, start := 0, 0, len("/")
	for i := start; i <= len(h.path); i++ {
		if i < len(h.path) && h.path[i] != '/' {
			continue
		}
		if segment == h.route.places[found] {
			h.starts[found], h.lengths[found] = uint16(start), uint8(i-start)
			if found++; found == len(h.route.places) {
				return
			}
		}
		segment, start = segment+1, i+len("/")
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
	for i, own := range h.route.names {
		if own == name {
			start := int(h.starts[i])
			return h.path[start : start+int(h.lengths[i])]
		}
	}
	return ""
}
