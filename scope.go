package kami

import (
	"net/url"
	"slices"
	"strings"

	"github.com/guregu/kami/treemux"
)

// scopes holds what is registered for scopes: middleware, or afterware, which is middleware read backwards.
// It is immutable; with returns a new one.
type scopes[T any] struct {
	static treemux.Tree[*scope[T]]
	wild   treemux.Tree[*scope[T]] // those with params
	deep   bool                    // whether there is any but "/"
}

// scope is a place in the tree of scopes: all that is registered for the path /p and for what lies below it.
type scope[T any] struct {
	pattern treemux.Pattern
	prefix  []step[T] // registered for "/p/" (or "/p/*")
	exact   []step[T] // registered for "/p"

	// Of a static scope, the whole chains with all that is above it.
	below []step[T] // for a path below it
	here  []step[T] // for the path itself
	bare  []step[T] // for the path itself, without a slash, if that is a route of its own
}

// step is one step of a chain. Its view is nil for a static scope.
type step[T any] struct {
	ware T
	view *view
}

// with returns the scopes with one more registration.
func (s scopes[T]) with(pattern treemux.Pattern, ware T) scopes[T] {
	added := step[T]{ware: ware}
	if pattern.Wild() {
		added.view = &view{names: pattern.Names()}
	}
	add := func(old *scope[T]) (*scope[T], error) {
		next := &scope[T]{pattern: pattern}
		if old != nil {
			*next = *old
		}
		if pattern.Slash || pattern.CatchAll() {
			next.prefix = append(slices.Clip(next.prefix), added)
		} else {
			next.exact = append(slices.Clip(next.exact), added)
		}
		return next, nil
	}
	s.deep = s.deep || len(pattern.Segments) > 0
	if pattern.Wild() {
		s.wild, _ = s.wild.With(pattern, add)
		return s
	}
	s.static, _ = s.static.With(pattern, add)
	s.static = s.static.Rewritten(pattern, compose[T])
	return s
}

// compose returns a static scope with its chains, given the one above it.
func compose[T any](above, s *scope[T]) *scope[T] {
	var inherited []step[T]
	if above != nil {
		inherited = above.below
	}
	composed := *s
	composed.below = slices.Concat(inherited, s.prefix)
	composed.here = slices.Concat(composed.below, s.exact)
	composed.bare = slices.Concat(inherited, s.exact)
	return &composed
}

// scopesOf finds the middleware for the exchange, and returns the afterware for it.
func (p *plan) scopesOf(x *exchange, u *url.URL) []step[Afterware] {
	if !p.middleware.deep && !p.afterware.deep {
		x.steps = p.middleware.root()
		return p.afterware.root()
	}
	var room [4]reading
	readings := p.readings(&x.decision, u, room[:0])
	x.steps = p.middleware.chain(readings, false)
	return p.afterware.chain(readings, true)
}

// root returns the chain of the scope "/", in which every path lies.
func (s *scopes[T]) root() []step[T] {
	if root, ok := s.static.Get(treemux.Pattern{}); ok {
		return root.below
	}
	return nil
}

// reading is one way in which a path can be read.
type reading struct {
	path   string
	decode func(string) string
	routes *treemux.Tree[*leaf] // whose paths may keep themselves out of a scope, nil for none
}

// readings returns all readings of a request's path, the routed one first. There is but one if the path is clean and
// has no escapes that matter.
//
// What a handler behind a catch-all makes of its rest, as a file server that cleans it, is a reading too: the path is
// then cleaned from each of the slashes before the rest on.
func (p *plan) readings(d *decision, u *url.URL, all []reading) []reading {
	routes, rest := &p.routes, 0
	if d.leaf != nil && d.leaf.catchAll {
		routes, rest = nil, d.spans[len(d.spans)-1].Start-len("/")
	}
	all = append(all, reading{d.path, d.decode, routes})
	if d.decode == nil && isClean(d.path) {
		return all
	}
	if d.decode != nil {
		all = append(all, reading{rooted(u.Path), nil, routes})
	}
	for i := range rest + 1 {
		if d.path[i] == '/' {
			path := d.path[:i] + cleanReading(d.path[i:], d.decode)
			all = append(all, reading{path, d.decode, routes})
		}
	}
	return all
}

// bare reports whether a route is registered as exactly the scope's path without its slash.
func (r *reading) bare(scope treemux.Pattern) bool {
	if r.routes == nil {
		return false
	}
	if scope.CatchAll() {
		scope.Segments = scope.Segments[:len(scope.Segments)-1]
	}
	leaf, ok := r.routes.Get(scope)
	return ok && leaf.bare
}

// chain returns all steps for a path, in order. Once means that a scope runs but once, whatever its params can be.
func (s *scopes[T]) chain(readings []reading, once bool) []step[T] {
	var static []step[T]
	if len(readings) == 1 {
		static = s.composed(&readings[0])
	} else {
		static = steps(hits(s.static, readings, true))
	}
	wild := steps(hits(s.wild, readings, once))
	if len(wild) == 0 {
		return static
	}
	return slices.Concat(static, wild)
}

// composed returns the chain of the static scopes for one reading.
//
// optimization: the deepest scope has it ready, so a request whose path has one reading builds nothing
// (BenchmarkServe/Scopes).
func (s *scopes[T]) composed(r *reading) []step[T] {
	var deepest *scope[T]
	var left string
	s.static.Visit(r.path, r.decode, nil, func(found *scope[T], rest string, _ []treemux.Span) {
		deepest, left = found, rest
	})
	switch {
	case deepest == nil:
		return nil
	case left == "" && r.bare(deepest.pattern):
		return deepest.bare
	case left == "" || left == "/":
		return deepest.here
	default:
		return deepest.below
	}
}

// hit says that a scope covers a path, with its params bound to values.
type hit[T any] struct {
	scope  *scope[T]
	exact  bool // whether it is the scope "/p", else "/p/"
	values []string
}

// hits returns the hits of all readings, the least specific scopes first, each but once for one binding (or at all).
func hits[T any](tree treemux.Tree[*scope[T]], readings []reading, once bool) []hit[T] {
	var all []hit[T]
	add := func(h hit[T]) {
		known := slices.ContainsFunc(all, func(k hit[T]) bool {
			return k.scope == h.scope && k.exact == h.exact && (once || slices.Equal(k.values, h.values))
		})
		if !known {
			all = append(all, h)
		}
	}
	for i := range readings {
		r := &readings[i]
		tree.Visit(r.path, r.decode, nil, func(s *scope[T], rest string, spans []treemux.Span) {
			values := r.values(spans)
			if len(s.prefix) > 0 && (rest != "" || !r.bare(s.pattern)) {
				add(hit[T]{s, false, values})
			}
			if len(s.exact) > 0 && (rest == "" || rest == "/") {
				add(hit[T]{s, true, values})
			}
		})
	}
	if len(readings) > 1 {
		slices.SortStableFunc(all, compareHits)
	}
	return all
}

func compareHits[T any](a, b hit[T]) int {
	if order := treemux.Compare(a.scope.pattern, b.scope.pattern); order != 0 || a.exact == b.exact {
		return order
	}
	if b.exact {
		return -1
	}
	return 1
}

func (r *reading) values(spans []treemux.Span) []string {
	var values []string
	for _, span := range spans {
		value := r.path[span.Start:span.End]
		if r.decode != nil {
			value = r.decode(value)
		}
		values = append(values, value)
	}
	return values
}

// steps returns the steps of the hits. Those that follow each other with the same names for one binding share a view.
func steps[T any](hits []hit[T]) []step[T] {
	var all []step[T]
	for _, h := range hits {
		registered := h.scope.prefix
		if h.exact {
			registered = h.scope.exact
		}
		var shared *view
		for _, s := range registered {
			if s.view != nil && (shared == nil || !slices.Equal(shared.names, s.view.names)) {
				shared = &view{names: s.view.names, values: h.values}
			}
			all = append(all, step[T]{s.ware, shared})
		}
	}
	return all
}

// rooted returns the path with a slash at its beginning.
func rooted(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}
