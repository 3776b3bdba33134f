package kami

import (
	"fmt"
	"net/http"

	"github.com/guregu/kami/internal/batch"
	"github.com/guregu/kami/internal/requestline"
	"github.com/guregu/kami/treemux"
)

// Handle registers a handler for the method under the path. It panics with a message that says what, where and why if
// the method, the path or the handler is invalid, or if the method has another handler for the same paths.
//
// A segment of the path that begins with a colon is a param: /hello/:name matches /hello/greg. The last one may be a
// catch-all, which matches the rest of the path if that is not empty: /files/*path matches /files/a/b. A slash after it makes no
// difference.
// Names may be left out. [Param] has their values, decoded once; an encoded slash does not split a segment. A backslash before such a
// colon or asterisk makes it ordinary text.
// A static segment goes before a param, and a param before a catch-all, wherever they lead to a handler of the method.
//
// The GET handler serves HEAD requests if there is no handler for HEAD. A path that only lacks its trailing slash, or has one too
// many, or is not clean, is redirected to the registered one: with 301 for GET, with 307 for other methods.
// If one method's path has a trailing slash, that counts for all methods. Catch-alls take paths with and without one.
//
// A path is not clean if it has an empty segment or, in any spelling, a dot segment ("." or ".."). No handler ever gets such a path: if
// there is no route to redirect to, the answer is 404.
func (m *Mux) Handle(method, path string, handler HandlerType) {
	added := &route{mux: m, method: method, path: path, place: caller()}
	if err := requestline.CheckMethod(method); err != nil {
		refuse(fmt.Sprintf("%q %q", method, path), added.place, err)
	}
	pattern, err := treemux.Parse(path)
	if err == nil {
		added.handler, err = newRouted(handler, m, pattern)
	}
	if err != nil {
		refuse(fmt.Sprintf("%s %q", method, path), added.place, err)
	}
	added.either = pattern.CatchAll()
	added.slash = pattern.Slash && len(pattern.Segments) > 0
	if b := batch.Of(handler); b != nil {
		added.place = b.Place
		together := b.Part(m, func() batch.Part { return &together{mux: m} }).(*together)
		together.routes, together.patterns = append(together.routes, added), append(together.patterns, pattern)
		return
	}
	if err := m.change(func() error { return m.add(added, pattern) }); err != nil {
		panic(err.Error())
	}
}

// together is routes that are registered together, see package batch.
type together struct {
	mux      *Mux
	routes   []*route
	patterns []treemux.Pattern
}

// Register is for batch.Part.
func (t *together) Register() error { return t.mux.addAll(t.routes, t.patterns) }

// addAll adds all of the routes, or none and returns an error.
func (m *Mux) addAll(routes []*route, patterns []treemux.Pattern) error {
	return m.change(func() error {
		before := m.routes.Tree()
		for i, added := range routes {
			if err := m.add(added, patterns[i]); err != nil {
				m.routes = before.Draft()
				return err
			}
		}
		return nil
	})
}

// add adds a route. It is for change.
func (m *Mux) add(added *route, pattern treemux.Pattern) error {
	added.names = m.common.names.Of(pattern)
	return m.routes.Edit(pattern, func(r *route) (*route, error) { return r.with(added, &m.common) })
}

// Get registers a GET handler under the given path. See [Mux.Handle].
func (m *Mux) Get(path string, handler HandlerType) { m.Handle(http.MethodGet, path, handler) }

// Post registers a POST handler under the given path. See [Mux.Handle].
func (m *Mux) Post(path string, handler HandlerType) { m.Handle(http.MethodPost, path, handler) }

// Put registers a PUT handler under the given path. See [Mux.Handle].
func (m *Mux) Put(path string, handler HandlerType) { m.Handle(http.MethodPut, path, handler) }

// Patch registers a PATCH handler under the given path. See [Mux.Handle].
func (m *Mux) Patch(path string, handler HandlerType) { m.Handle(http.MethodPatch, path, handler) }

// Head registers a HEAD handler under the given path. See [Mux.Handle].
func (m *Mux) Head(path string, handler HandlerType) { m.Handle(http.MethodHead, path, handler) }

// Delete registers a DELETE handler under the given path. See [Mux.Handle].
func (m *Mux) Delete(path string, handler HandlerType) { m.Handle(http.MethodDelete, path, handler) }

// Options registers an OPTIONS handler under the given path. See [Mux.Handle].
func (m *Mux) Options(path string, handler HandlerType) { m.Handle(http.MethodOptions, path, handler) }

// NotFound sets the handler for requests that no route matches (404). Nil restores the default: the ErrorHandler answers
// [ErrNotFound], or http.NotFound if there is none. If the path is not clean, see [Mux.Handle], the handler gets a request for the
// clean one. It panics if the handler is of a type that [HandlerType] does not list.
func (m *Mux) NotFound(handler HandlerType) {
	h := m.optionalHandler("NotFound", handler)
	m.mustChange(func() { m.draft.notFound = h })
}

// MethodNotAllowed sets the handler for requests whose path has routes but none for their method (405). The Allow
// header is set before it runs. Nil restores the default: the ErrorHandler answers [ErrMethodNotAllowed], or without one the
// answer is plain text. It panics if the handler is of a type that [HandlerType] does not list.
func (m *Mux) MethodNotAllowed(handler HandlerType) {
	h := m.optionalHandler("MethodNotAllowed", handler)
	m.mustChange(func() { m.draft.methodNotAllowed = h })
}

// EnableMethodNotAllowed says whether a request whose path has routes but none for its method gets 405 (for OPTIONS:
// 204), with the methods that there are in the Allow header. It is enabled by default; disabled, the answer is 404.
func (m *Mux) EnableMethodNotAllowed(enabled bool) {
	m.mustChange(func() { m.draft.noMethodNotAllowed = !enabled })
}

// optionalHandler converts a handler that may be nil.
func (m *Mux) optionalHandler(what string, handler HandlerType) ContextHandler {
	if handler == nil {
		return nil
	}
	h, err := newRouted(handler, m, treemux.Pattern{})
	if err != nil {
		refuse(what, caller(), err)
	}
	return h
}
