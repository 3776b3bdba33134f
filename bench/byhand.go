package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/guregu/kami/mutil"
)

// newByHand does the work of a row as kami's contract asks for it: with one context for all of a request, which has the params
// and the base value, a copy of the request for each context that a handler or middleware sees, and kami's proxy of a writer that
// is watched. It has no routes, scopes or hooks to look for. Of several routes it takes the next one for each request, for in that
// order they come.
func newByHand(j *job) http.Handler {
	all := make([]*handmade, len(j.routes))
	for i, rt := range j.routes {
		all[i] = newHandmade(j, rt)
	}
	if len(all) == 1 {
		return all[0]
	}
	i := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := all[i]
		if i++; i == len(all) {
			i = 0
		}
		h.ServeHTTP(w, r)
	})
}

// handmade serves one route.
type handmade struct {
	*job
	*route
	base     context.Context
	places   []int        // of the params, among the segments of the path
	standard http.Handler // standard middleware and the handler; nil if there is none
}

func newHandmade(j *job, rt *route) *handmade {
	h := &handmade{job: j, route: rt, base: context.Background()}
	if j.base {
		h.base = adding(h.base, 0)
	}
	for i, segment := range strings.Split(rt.path, "/")[1:] {
		if strings.HasPrefix(segment, ":") {
			h.places = append(h.places, i)
		}
	}
	if j.standard > 0 {
		h.standard = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handle(r.Context(), w, r) })
	}
	for range j.standard {
		h.standard = passOn(h.standard)
	}
	return h
}

func (h *handmade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Pattern = h.path
	switch {
	case h.observed:
		x := new(handmadeWatched)
		x.init(h, r)
		proxy := x.place.Wrap(w)
		defer func() {
			handmadeAfter(&x.handmadeParams, proxy, &x.request)
			logged(&x.request, proxy.Status())
		}()
		h.lead(&x.handmadeParams, proxy, &x.request, r)
	case len(h.names) > 0:
		x := new(handmadeParams)
		x.init(h, r)
		h.lead(x, w, &x.request, r)
	default:
		x := &handmadeContext{Context: r.Context(), base: h.base}
		h.lead(x, w, &x.request, r)
	}
}

// handmadeAfter is afterware that keeps the context.
var handmadeAfter = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) context.Context { return ctx }

// lead leads a request through its middleware to the handler. Own is for the copy of it.
func (h *handmade) lead(ctx context.Context, w http.ResponseWriter, own, r *http.Request) {
	if h.plain {
		for i := range h.values {
			ctx = adding(ctx, i+1)
		}
	}
	*own = *r.WithContext(ctx)
	if !h.plain {
		for i := range h.values {
			ctx = adding(ctx, i+1)
			own = own.WithContext(ctx)
		}
	}
	if h.standard != nil {
		h.standard.ServeHTTP(w, own)
	} else {
		h.handle(ctx, w, own)
	}
}

// handle is the handler.
func (h *handmade) handle(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	e := examOf(r)
	if h.job.base {
		e.read(h.names, handmadeParam, ctx, r.Context())
	} else {
		for i, name := range h.names {
			e.param(i, handmadeParam(ctx, name))
		}
	}
	e.finish(w, ctx, r.Context())
}

// handmadeContext is the context of a request, and its copy.
type handmadeContext struct {
	context.Context
	base    context.Context
	request http.Request
}

func (c *handmadeContext) Value(key any) any {
	if value := c.Context.Value(key); value != nil {
		return value
	}
	return c.base.Value(key)
}

// handmadeParams is one with params.
type handmadeParams struct {
	handmadeContext
	of      *handmade
	path    string
	starts  [5]uint16
	lengths [5]uint8
}

// handmadeWatched is one whose writer is watched.
type handmadeWatched struct {
	handmadeParams
	place mutil.Place
}

// init finds the params.
func (c *handmadeParams) init(h *handmade, r *http.Request) {
	c.Context, c.base, c.of, c.path = r.Context(), h.base, h, r.URL.Path
	found, segment, start := 0, 0, len("/")
	for i := start; i <= len(c.path); i++ {
		if i < len(c.path) && c.path[i] != '/' {
			continue
		}
		if segment == h.places[found] {
			c.starts[found], c.lengths[found] = uint16(start), uint8(i-start)
			if found++; found == len(h.places) {
				return
			}
		}
		segment, start = segment+1, i+len("/")
	}
}

func (c *handmadeParams) Value(key any) any {
	if key == (paramsKey{}) {
		return c
	}
	if value := c.Context.Value(key); value != nil {
		return value
	}
	return c.base.Value(key)
}

func handmadeParam(ctx context.Context, name string) string {
	c, ok := ctx.(*handmadeParams)
	if !ok {
		c, _ = ctx.Value(paramsKey{}).(*handmadeParams)
	}
	for i, own := range c.of.names {
		if own == name {
			start := int(c.starts[i])
			return c.path[start : start+int(c.lengths[i])]
		}
	}
	return ""
}
