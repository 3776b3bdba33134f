package kami

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/guregu/kami/internal/funcs"
	"github.com/guregu/kami/treemux"
)

// HandlerType is the type of handlers, which kami converts to [ContextHandler]. Only these types, and types defined by
// them, are accepted:
//   - types that implement ContextHandler
//   - types that implement http.Handler
//   - func(context.Context, http.ResponseWriter, *http.Request)
//   - func(context.Context, http.ResponseWriter, *http.Request) error [see ErrorHandler]
//   - func(http.ResponseWriter, *http.Request)
//
// Functions of the last kind, and http.Handlers, can also get the params with r.PathValue. Middleware uses [Param]: path values
// are set only for such a handler, and never for the params of a scope. If a handler has a method HandlerName() string,
// [Mux.Routes], [Mux.Explain], and packages inspect and accesslog use that name.
type HandlerType interface{}

// ContextHandler is like http.Handler but supports context: ctx is always r.Context().
type ContextHandler interface {
	ServeHTTPContext(context.Context, http.ResponseWriter, *http.Request)
}

// HandlerFunc is like http.HandlerFunc with context.
type HandlerFunc func(context.Context, http.ResponseWriter, *http.Request)

// ServeHTTPContext calls h.
func (h HandlerFunc) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	h(ctx, w, r)
}

// vanilla makes a handler without context a ContextHandler.
type vanilla struct{ http.Handler }

func (h *vanilla) ServeHTTPContext(_ context.Context, w http.ResponseWriter, r *http.Request) {
	h.ServeHTTP(w, r)
}

func isVanilla(h ContextHandler) bool {
	_, ok := h.(*vanilla)
	return ok
}

var errNilHandler = errors.New("the handler must not be nil")

// routed is a handler that cannot serve every route, such as a handler of package endpoint. CheckRoute returns an error for a route
// whose params it cannot use.
type routed interface{ CheckRoute(params []string) error }

// newRouted is newHandler for a route with the pattern, whose params the handler may need.
func newRouted(handler HandlerType, m *Mux, pattern treemux.Pattern) (ContextHandler, error) {
	h, err := newHandler(handler, m)
	if r, ok := handler.(routed); ok && err == nil {
		err = r.CheckRoute(pattern.Names())
	}
	return h, err
}

// newHandler converts one of the types that HandlerType lists. The Mux answers its errors.
func newHandler(handler HandlerType, m *Mux) (ContextHandler, error) {
	if funcs.IsNil(handler) {
		return nil, errNilHandler
	}
	switch h := handler.(type) {
	case ContextHandler:
		return h, nil
	case func(context.Context, http.ResponseWriter, *http.Request): // optimization: most are (BenchmarkC27Register100000)
		return HandlerFunc(h), nil
	case http.Handler:
		return &vanilla{h}, nil
	}
	if h, ok := funcs.As[HandlerFunc](handler); ok {
		return h, nil
	}
	if h, ok := funcs.As[http.HandlerFunc](handler); ok {
		return &vanilla{h}, nil
	}
	if f, ok := funcs.As[func(context.Context, http.ResponseWriter, *http.Request) error](handler); ok {
		return newFailing(f, m), nil
	}
	return nil, fmt.Errorf("%T is no type of handler; accepted are kami.ContextHandler, http.Handler, "+
		"func(context.Context, http.ResponseWriter, *http.Request), the same with an error as its result, "+
		"and func(http.ResponseWriter, *http.Request)", handler)
}
