package kami

import (
	"context"
	"math"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/urlpath"
)

// Param returns a request path parameter, or a blank string if it doesn't exist.
// For example, with the path /v2/papers/:page use kami.Param(ctx, "page") to access the :page variable.
//
// Middleware and afterware with params in their own path see those first, then the route's; a handler sees the route's
// first, then those of the scopes that it lies in. Of nested Muxes the inner one's come first.
// Values are decoded once: for /papers/a%2Fb the page is a/b.
func Param(ctx context.Context, name string) string {
	// optimization: most often the context is that of a route, and the place is known (BenchmarkServe/Params4).
	if x, ok := ctx.(*withParams); ok {
		if i := x.route.index(name); i >= 0 {
			if value := x.known(i); value != "" {
				return value
			}
			return x.search(x.route, i)
		}
	}
	value, _ := param(ctx, name)
	return value
}

// SetParam returns a context in which the path parameter has the value, whatever it was. It leaves ctx alone.
// This is intended for testing and should not be used otherwise.
func SetParam(ctx context.Context, name string, value string) context.Context {
	return &setParam{ctx, name, value}
}

type setParam struct {
	context.Context
	name, value string
}

func (p *setParam) Value(key any) any {
	if key == incoming.Params {
		return p
	}
	return p.Context.Value(key)
}

// param looks a name up. Middleware and afterware of a scope with params ask a scopeContext, handlers ask one with noBinding, which has no
// names, or the request's own context. What they find first counts:
//
//	looked up         by middleware    by the handler
//	set by SetParam   first            first
//	own scope         second
//	route             third            second
//	earlier scopes    fourth           third
//	outer Mux         last             last
//
// A value that SetParam has set hides only the layers below it, those that were there when it was called.
func param(ctx context.Context, name string) (string, bool) {
	var earlier string
	var nearest, found = true, false
	for {
		var x *requestContext
		switch layer := ctx.Value(incoming.Params).(type) {
		case *setParam:
			if layer.name == name {
				return layer.value, true
			}
			ctx = layer.Context
			continue
		case *scopeContext:
			value, ok := layer.Param(name)
			if ok && nearest {
				return value, true
			}
			if ok && !found && !layer.Again {
				earlier, found = value, true
			}
			ctx, nearest = layer.Context, false
			continue
		case *withParams:
			if i := layer.route.index(name); i >= 0 {
				return layer.value(layer.route, i), true
			}
			x = &layer.requestContext
		case *requestContext:
			x = layer
		}
		if x == nil || found {
			return earlier, found
		}
		if value, ok := param(x.in, name); ok {
			return value, true
		}
		ctx, nearest = x.base, true
	}
}

// params are where those of a route are in a path.
//
// optimization: few bytes for each of them keep what is allocated for each request in a smaller size class
// (BenchmarkServe/Params4).
type params struct {
	path    string    // as it is routed, without a slash at its end
	starts  [5]uint16 // where the first ones begin, and how long they are; 0 if there is no room for that
	lengths [5]uint8
	encoded bool // whether the path has escapes
}

// set sets them to those that were found in the path. Each param of a path with escapes is looked for and decoded when it is asked for.
func (p *params) set(d *decision) {
	if d.decode != nil {
		p.encoded = true
		return
	}
	for i := range min(d.spans.Len(), len(p.starts)) {
		span := d.spans.At(i)
		if length := span.End - span.Start; span.End <= math.MaxUint16 && length <= math.MaxUint8 {
			p.starts[i], p.lengths[i] = uint16(span.Start), uint8(length)
		}
	}
}

// paramName is the name of a route's param.
type paramName struct {
	mark uint16
	text string
}

// markOf returns what tells most names from each other: the last byte, and the low one of the length.
//
// optimization: so no others are compared (BenchmarkServe/Params4).
func markOf(name string) uint16 {
	if name == "" {
		return 0
	}
	return uint16(len(name))<<8 | uint16(name[len(name)-1])
}

// index returns which param of the route has the name, or -1.
//
// optimization: of one condition with both comparisons the compiler would make a value first (BenchmarkServe/Params4).
func (r *route) index(name string) int {
	mark := markOf(name)
	for i, own := range r.names {
		if own.mark != mark {
			continue
		}
		if own.text == name {
			return i
		}
	}
	return -1
}

// value returns the value of the route's param with that index, decoded.
func (p *params) value(of *route, i int) string {
	if value := p.known(i); value != "" {
		return value
	}
	return p.search(of, i)
}

// known is value for those whose place is known, else "": no value is empty.
func (p *params) known(i int) (value string) {
	if i < len(p.starts) {
		start := int(p.starts[i])
		value = p.path[start : start+int(p.lengths[i])]
	}
	return value
}

// search is value for those whose place is not known.
func (p *params) search(of *route, i int) string {
	text := skipped(p.path, of.path, i)
	if !of.rest || i < len(of.names)-1 {
		text = text[:urlpath.SegmentEnd(text)]
	}
	if p.encoded {
		return urlpath.Unescape(text)
	}
	return text
}

// skipped returns the rest of the path from that on which the param with the index stands for in the pattern.
func skipped(path, pattern string, i int) string {
	for {
		path, pattern = path[1:], pattern[1:]
		if pattern[0] == ':' || pattern[0] == '*' {
			if i == 0 {
				return path
			}
			i--
		}
		path, pattern = path[urlpath.SegmentEnd(path):], pattern[urlpath.SegmentEnd(pattern):]
	}
}
