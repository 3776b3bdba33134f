package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/guregu/kami/mutil"
)

// newByHand does the work of a row as kami's contract asks for it: one context for a request, with the params and the base value, a
// copy of the request for each context that a handler or middleware sees, and kami's proxy if a logger watches the writer. It has
// no routing, scopes or hooks, and does not handle panics, forms or cancellation.
//
// It has no routing for several routes either: it takes the next route for each request, because they come in that order.
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
	job
	pattern string
	context context.Context
	names   []string
	marks   []uint16     // the last byte and the length of each name, by which most names differ
	places  []int        // of the params, among the segments of the path
	chain   http.Handler // standard middleware and the handler; nil without standard middleware
}

func newHandmade(j *job, rt *route) *handmade {
	h := &handmade{job: *j, pattern: rt.path, context: context.Background(), names: rt.names}
	if j.base {
		h.context = adding(h.context, 0)
	}
	for i, segment := range strings.Split(rt.path, "/")[1:] {
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			h.places, h.marks = append(h.places, i), append(h.marks, handmadeMark(name))
		}
	}
	if j.standard > 0 {
		h.chain = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handle(r.Context(), w, r) })
	}
	for range j.standard {
		h.chain = passOn(h.chain)
	}
	return h
}

func (h *handmade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Pattern = h.pattern
	switch {
	case h.observed:
		h.observe(w, r)
	case len(h.names) > 0:
		c := new(handmadeParams)
		c.init(h, r)
		h.lead(c, w, &c.request, r)
	default:
		c := &handmadeContext{Context: h.context, in: r.Context()}
		h.lead(c, w, &c.request, r)
	}
}

// observe is ServeHTTP with afterware and a logger.
func (h *handmade) observe(w http.ResponseWriter, r *http.Request) {
	c := new(handmadeWatched)
	c.init(h, r)
	proxy := c.place.Wrap(w)
	defer func() {
		handmadeAfter(&c.handmadeParams, proxy, &c.request)
		logged(&c.request, proxy.Status())
	}()
	h.lead(&c.handmadeParams, proxy, &c.request, r)
}

// handmadeAfter is afterware that returns its context.
var handmadeAfter = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) context.Context { return ctx }

// lead runs the middleware and the handler. It copies the request to own.
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
	if h.chain != nil {
		h.chain.ServeHTTP(w, own)
	} else {
		h.handle(ctx, w, own)
	}
}

// handle is the handler.
func (h *handmade) handle(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	e := examOf(r)
	for i, name := range h.names {
		e.param(i, handmadeParam(ctx, name))
		if e.both() {
			e.param(i, handmadeParam(r.Context(), name))
		}
	}
	e.finish(w, ctx, r.Context())
}

// handmadeContext is the context of a request, and the copy of the request.
type handmadeContext struct {
	context.Context // the base
	in              context.Context
	request         http.Request
}

func (c *handmadeContext) Value(key any) any {
	if value := c.in.Value(key); value != nil {
		return value
	}
	return c.Context.Value(key)
}

// handmadeParams is a handmadeContext with params.
type handmadeParams struct {
	handmadeContext
	of      *handmade
	path    string
	starts  [5]uint16
	lengths [5]uint8
}

// handmadeWatched is a handmadeParams with a proxy for the writer.
type handmadeWatched struct {
	handmadeParams
	place mutil.Place
}

// init finds the params.
func (c *handmadeParams) init(h *handmade, r *http.Request) {
	c.Context, c.in, c.of, c.path = h.context, r.Context(), h, r.URL.Path
	found, segment, start := 0, 0, len("/")
	for i := start; i <= len(c.path) && found < len(h.places); i++ {
		if i < len(c.path) && c.path[i] != '/' {
			continue
		}
		if segment == h.places[found] {
			c.starts[found], c.lengths[found] = uint16(start), uint8(i-start)
			found++
		}
		segment, start = segment+1, i+len("/")
	}
}

func (c *handmadeParams) Value(key any) any {
	if key == (paramsKey{}) {
		return c
	}
	if value := c.in.Value(key); value != nil {
		return value
	}
	return c.Context.Value(key)
}

func handmadeParam(ctx context.Context, name string) string {
	c, ok := ctx.(*handmadeParams)
	if !ok {
		c, _ = ctx.Value(paramsKey{}).(*handmadeParams)
	}
	mark := handmadeMark(name)
	for i, own := range c.of.marks {
		if own == mark && c.of.names[i] == name {
			start := int(c.starts[i])
			return c.path[start : start+int(c.lengths[i])]
		}
	}
	return ""
}

func handmadeMark(name string) uint16 { return uint16(len(name))<<8 | uint16(name[len(name)-1]) }
