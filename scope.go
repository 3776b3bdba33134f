package kami

import (
	"slices"

	"github.com/guregu/kami/treemux"
)

// scopes holds what is registered for scopes: middleware, or afterware, which is middleware read backwards.
// It is immutable; with returns a new one.
type scopes[T any] struct {
	static treemux.Tree[*scope[T]]
	wild   treemux.Tree[*scope[T]] // those with params
	depth  int                     // segments of the longest scope
	all    *chain[T]               // that of the scope "/"; nil in a draft if there is none
}

// scope is a place in a tree of scopes: all that is registered for the path /p and for what lies below it.
type scope[T any] struct {
	pattern treemux.Pattern
	prefix  []step[T] // registered for "/p/" (or "/p/*")
	exact   []step[T] // registered for "/p"

	// Of a static scope, the whole chains with all that is above it.
	below chain[T] // for a path below it
	here  chain[T] // for the path itself
	alone chain[T] // for the path itself if that keeps out of "/p/"
}

// with returns the scopes with one more registration.
func (s scopes[T]) with(pattern treemux.Pattern, ware T) scopes[T] {
	added := step[T]{ware: ware}
	if pattern.Wild() {
		added.binding = &binding{names: pattern.Names()}
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
	s.depth = max(s.depth, len(pattern.Segments))
	if pattern.Wild() {
		s.wild, _ = s.wild.With(pattern, add)
		return s
	}
	s.static, _ = s.static.With(pattern, add)
	s.static = s.static.Rewritten(pattern, compose[T])
	if top, ok := s.static.Get(treemux.Pattern{}); ok {
		s.all = &top.below
	}
	return s
}

// ready returns the scopes as they are in a plan.
func (s scopes[T]) ready() scopes[T] {
	if s.all == nil {
		s.all = new(chain[T])
	}
	return s
}

// compose returns a static scope with its chains, given the one above it.
func compose[T any](above, s *scope[T]) *scope[T] {
	var inherited []step[T]
	if above != nil {
		inherited = above.below.steps
	}
	composed := *s
	composed.below = newChain(slices.Concat(inherited, s.prefix))
	composed.here = newChain(slices.Concat(inherited, s.prefix, s.exact))
	composed.alone = newChain(slices.Concat(inherited, s.exact))
	return &composed
}
