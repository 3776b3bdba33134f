package kami

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/guregu/kami/treemux"
)

// Param returns a request path parameter, or a blank string if it doesn't exist.
// For example, with the path /v2/papers/:page use kami.Param(ctx, "page") to access the :page variable.
//
// Middleware and afterware with params in their own path see those first, then the route's; a handler sees the route's
// first, then those of the scopes that it lies in. Of nested Muxes the inner one's come first.
// Values are decoded once: for /papers/a%2Fb the page is a/b.
func Param(ctx context.Context, name string) string {
	value, _ := param(ctx, name)
	return value
}

// SetParam returns a context in which the path parameter has the value, whatever it was. It leaves ctx alone.
// This is intended for testing and should not be used otherwise.
func SetParam(ctx context.Context, name string, value string) context.Context {
	return &setParam{ctx, name, value}
}

// paramsKey is the context key for the nearest layer of params: a *setParam, *viewed or *exchange.
type paramsKey struct{}

type setParam struct {
	context.Context
	name, value string
}

func (p *setParam) Value(key any) any {
	if key == (paramsKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// view holds the params of a scope, for one binding.
type view struct {
	names, values []string
	again         bool // whether the scope has run before, for the path as it was routed
}

// routeView is the view of whoever sees the route's params first.
var routeView = new(view)

// viewed is a context that is seen by what runs for a scope.
type viewed struct {
	context.Context
	*view
	request http.Request
}

func (v *viewed) Value(key any) any {
	if key == (paramsKey{}) {
		return v
	}
	return v.Context.Value(key)
}

// String names the context when it is printed, which would otherwise print the request with all its headers.
func (v *viewed) String() string { return fmt.Sprintf("%v.WithScope(%q)", v.Context, v.names) }

func (v *view) param(name string) (string, bool) {
	for i, own := range v.names {
		if own == name {
			return v.values[i], true
		}
	}
	return "", false
}

// param looks a name up layer by layer. The nearest view counts first: it is of what is running. Views below it are of
// what ran before and count after the route, so they wait until the route's layer, the exchange.
func param(ctx context.Context, name string) (string, bool) {
	var earlier string
	var nearest, found = true, false
	for {
		switch layer := ctx.Value(paramsKey{}).(type) {
		case *setParam:
			if layer.name == name {
				return layer.value, true
			}
			ctx = layer.Context
		case *viewed:
			value, ok := layer.param(name)
			if ok && nearest {
				return value, true
			}
			if ok && !found && !layer.again {
				earlier, found = value, true
			}
			nearest = false
			ctx = layer.Context
		case *exchange:
			if value, ok := layer.param(name); ok {
				return value, true
			}
			if found {
				return earlier, true
			}
			if value, ok := param(layer.in, name); ok {
				return value, true
			}
			ctx, nearest = layer.base, true
		default:
			return earlier, found
		}
	}
}

// params are those of a route, in a path.
type params struct {
	route  *route              // nil for any other answer
	path   string              // as it is routed
	decode func(string) string // makes the text of a segment of it, nil if it is that
	spans  spans
}

// spans are where params are in a path.
//
// optimization: offsets of two bytes keep what is allocated for each request in a smaller size class
// (BenchmarkServe/Params4).
type spans struct {
	few  [manyParams]struct{ start, end uint16 }
	many *[]treemux.Span // all of them, if few has no room for one: for a seventh, or for offsets of a long path
}

const manyParams = 6

func compact(all []treemux.Span) (compacted spans) {
	for i, s := range all {
		if i == manyParams || s.End > math.MaxUint16 {
			many := slices.Clone(all)
			return spans{many: &many}
		}
		compacted.few[i].start, compacted.few[i].end = uint16(s.Start), uint16(s.End)
	}
	return compacted
}

// at returns where the param with that index begins and ends.
func (s *spans) at(i int) (start, end int) {
	if s.many != nil {
		return int((*s.many)[i].Start), int((*s.many)[i].End)
	}
	return int(s.few[i].start), int(s.few[i].end)
}

// param returns the route's param of that name.
func (p *params) param(name string) (string, bool) {
	if p.route == nil {
		return "", false
	}
	for i, own := range p.route.names {
		if own == name {
			return p.value(i), true
		}
	}
	return "", false
}

// value returns the route's param with that index, decoded.
func (p *params) value(i int) string {
	start, end := p.spans.at(i)
	text := p.path[start:end]
	if p.decode != nil {
		return p.decode(text)
	}
	return text
}
