package kami

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/guregu/kami/internal/funcs"
	"github.com/guregu/kami/internal/wares"
	"github.com/guregu/kami/mutil"
	"github.com/guregu/kami/treemux"
)

// Afterware is a function that will run after middleware and the request.
// Afterware takes the request context and returns a new context, but unlike middleware,
// returning nil won't halt execution of other afterware.
type Afterware func(context.Context, mutil.WriterProxy, *http.Request) context.Context

// AfterwareType represents types that kami can convert to Afterware.
// The following types, and types defined by them, are accepted:
//   - Afterware
//   - func(context.Context, mutil.WriterProxy, *http.Request) context.Context
//   - func(context.Context, mutil.WriterProxy, *http.Request), as a LogHandler is
//   - func(mutil.WriterProxy, *http.Request) context.Context
//   - func(mutil.WriterProxy, *http.Request)
//   - the types of [MiddlewareType], except those that take the next handler
type AfterwareType interface{}

// After registers afterware for a scope. Its paths are those of [Mux.Use], and it is the exact mirror of middleware:
// scopes with params run first, then the static ones, from the most specific to "/"; within a scope the last
// registered runs first. It panics with a message that says what, where and why if the path or the afterware is
// invalid.
//
// Afterware runs once for every request in its scope: after the handler, after middleware that halted, and after a
// panic. It runs outside of standard middleware, on the writer and with the values that the request has reached.
func (m *Mux) After(path string, aw AfterwareType) {
	place := caller()
	what := fmt.Sprintf("afterware for %q", path)
	pattern, err := treemux.Parse(path)
	if err != nil {
		refuse(what, place, err)
	}
	run, err := newAfterware(aw)
	if err != nil {
		refuse(what, place, err)
	}
	added := &afterware{entry{path, funcs.NameOf(aw), place}, run}
	m.mustChange(func() { m.draft.afterware = m.draft.afterware.With(pattern, added) })
}

// afterware is registered afterware.
type afterware struct {
	entry
	run Afterware
}

// Wraps is for scopes.Ware.
func (a *afterware) Wraps() bool { return false }

// newAfterware converts one of the types that AfterwareType lists.
func newAfterware(aw AfterwareType) (Afterware, error) {
	if funcs.IsNil(aw) {
		return nil, errors.New("the afterware must not be nil")
	}
	if run := wares.Afterware(aw); run != nil {
		return run, nil
	}
	return nil, fmt.Errorf("%T is no type of afterware; accepted are those of kami.AfterwareType: "+
		"func(context.Context, mutil.WriterProxy, *http.Request) context.Context, the same without a result, "+
		"func(mutil.WriterProxy, *http.Request) context.Context, func(mutil.WriterProxy, *http.Request), "+
		"and the types of middleware that do not take the next handler", aw)
}
