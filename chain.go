package kami

import (
	"slices"

	"github.com/guregu/kami/treemux"
)

// chain is all middleware, or all afterware, that runs for a path, in order. It is immutable, and most often part of the plan.
type chain[T any] struct {
	steps  []step[T]
	wraps  bool    // whether there is standard middleware, which finds in the chain what follows it
	wild   bool    // whether there are scopes with params
	shared *shared // of one request; nil in the plan
}

func newChain[T any](steps []step[T]) chain[T] {
	all, ok := any(steps).([]step[*middleware])
	return chain[T]{steps: steps, wraps: ok && wraps(all)}
}

// step is one step of a chain. Its binding is nil for a static scope.
type step[T any] struct {
	ware    T
	binding *binding
}

// scopesOf finds the middleware and the afterware for a request.
func (p *plan) scopesOf(d *decision) (before *chain[*middleware], after *chain[*afterware]) {
	// optimization: a call less where there is no scope but "/" (BenchmarkServe/Observed)
	if before, after = p.middleware.all, p.afterware.all; p.depth > 0 {
		before, after = p.scopesBelow(d)
	}
	return before, after
}

// scopesBelow is scopesOf where there are scopes below "/".
func (p *plan) scopesBelow(d *decision) (*chain[*middleware], *chain[*afterware]) {
	if d.decode == nil && d.clean == "" {
		var only [1]reading // optimization: set in place, not copied (bench, outside a wildcard scope)
		only[0].Text, only[0].Plain, only[0].Split, only[0].listed = d.path, d.path, len(d.path), d.listed
		return p.middleware.chain(only[:], false), p.afterware.chain(only[:], true)
	}
	all := d.readings(p.depth)
	return p.middleware.chain(all, false), p.afterware.chain(all, true)
}

// chain returns all steps for a path, in order. Once means that a scope runs only once, whatever its params can be.
func (s *scopes[T]) chain(readings []reading, once bool) (c *chain[T]) {
	if len(readings) == 1 {
		c = s.composed(&readings[0])
	} else {
		all := newChain(appendSteps(nil, hits(s.static, readings, true)))
		c = &all
	}
	if s.wild.Empty() { // optimization: most apps have none (BenchmarkServe/Scopes)
		return c
	}
	if all := hits(s.wild, readings, once); len(all) > 0 {
		// optimization: a chain of a few steps is one allocation (BenchmarkServe/WildScope).
		built := new(struct {
			chain[T]
			few [4]step[T]
		})
		built.chain = newChain(appendSteps(append(built.few[:0], c.steps...), all))
		built.wild = true
		return &built.chain
	}
	return c
}

// composed returns the chain of the static scopes for one reading.
//
// optimization: the deepest scope has it ready, so a request whose path has one reading builds nothing
// (BenchmarkServe/Scopes).
func (s *scopes[T]) composed(r *reading) *chain[T] {
	deepest, ended, ok := s.static.Deepest(r.Path)
	switch {
	case !ok:
		return s.all
	case !ended:
		return &deepest.below
	case len(deepest.prefix) > 0 && r.keepsOut(deepest.pattern):
		return &deepest.alone
	default:
		return &deepest.here
	}
}

// hit says that a scope covers a path, with its params bound to values.
type hit[T any] struct {
	scope  *scope[T]
	exact  bool // whether it is the scope "/p", else "/p/"
	values []string
	again  bool // whether it covers another reading with other values
}

// hits returns the hits of all readings, the least specific scopes first, each scope only once for one binding, or once at all.
func hits[T any](tree treemux.Tree[*scope[T]], readings []reading, once bool) []hit[T] {
	var all []hit[T]
	add := func(r *reading, s *scope[T], exact bool, spans []treemux.Span) {
		again := false
		for _, known := range all {
			if known.scope == s && known.exact == exact {
				again = true
				if once || r.has(known.values, spans) {
					return
				}
			}
		}
		all = append(all, hit[T]{s, exact, r.values(spans), again})
	}
	for i := range readings {
		r := &readings[i]
		tree.Visit(r.Path, func(s *scope[T], ended bool, spans []treemux.Span) {
			if len(s.prefix) > 0 && !(ended && r.keepsOut(s.pattern)) {
				add(r, s, false, spans)
			}
			if len(s.exact) > 0 && ended {
				add(r, s, true, spans)
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

// appendSteps appends the steps of the hits to others. Steps of one hit that follow each other with the same names share a binding.
func appendSteps[T any](steps []step[T], hits []hit[T]) []step[T] {
	for _, h := range hits {
		registered := h.scope.prefix
		if h.exact {
			registered = h.scope.exact
		}
		var shared *binding
		for _, s := range registered {
			if s.binding != nil && (shared == nil || !slices.Equal(shared.names, s.binding.names)) {
				shared = &binding{names: s.binding.names, values: h.values, again: h.again}
			}
			steps = append(steps, step[T]{s.ware, shared})
		}
	}
	return steps
}
