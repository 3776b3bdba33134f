package kami

import (
	"context"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/pathparams"
)

// Param returns a request path parameter, or a blank string if it doesn't exist.
// For example, with the path /v2/papers/:page use kami.Param(ctx, "page") to access the :page variable.
//
// Middleware and afterware with params in their own path see those first, then the route's. A handler sees the route's
// first, then those of the scopes that cover it. With nested Muxes the inner one's come first.
// Values are decoded once: for /papers/a%2Fb the page is a/b.
func Param(ctx context.Context, name string) string {
	// optimization: most contexts belong to a route, and the param's place is known (BenchmarkServe/Params4).
	if x, ok := ctx.(*withParams); ok {
		if i := pathparams.Index(x.route.names, name); i >= 0 {
			if value := x.Known(i); value != "" {
				return value
			}
			return x.Search(i, x.route.path)
		}
	}
	value, _ := param(ctx, name)
	return value
}

// SetParam returns a context in which the path parameter has the value, whatever it was. It leaves ctx alone.
// It is for tests only.
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
			if i := pathparams.Index(layer.route.names, name); i >= 0 {
				return layer.Params.Value(i, layer.route.path), true
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
