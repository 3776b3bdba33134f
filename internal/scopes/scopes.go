// Package scopes finds what runs for a path: middleware, or afterware, which is middleware read backwards. It knows nothing of
// requests and of what the wares do.
package scopes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/treemux"
)

// Ware is what is registered for a scope.
type Ware interface {
	comparable
	Wraps() bool // whether it wraps what follows it, as standard middleware does
}

// Set is all that is registered for scopes. It is immutable: With returns a new one. The zero Set is empty.
type Set[T Ware] struct {
	Top   Chain[T] // what runs for every path
	Depth int      // segments of the longest scope

	static treemux.Tree[*scope[T]]
	wild   treemux.Tree[*scope[T]] // those with params
}

// scope is a place in a tree of scopes: all that is registered for "/p" and for "/p/".
type scope[T Ware] struct {
	pattern treemux.Pattern
	own     [patterns.Kinds]Chain[T] // what is registered here

	// Of a static scope, the whole chains with all that is above it.
	below Chain[T] // for a path below it
	here  Chain[T] // for the path itself
	alone Chain[T] // for the path itself if "/p/" leaves it out
}

// Chain is what runs for a path, in order. It is immutable, and most often part of a Set.
type Chain[T Ware] struct {
	Steps []Step[T]
	Wraps bool // whether one of the wares does
	Wild  bool // whether there are scopes with params

	Request any // belongs to one request, which has a copy of the chain; nil in a Set
}

// Step is one step of a chain. Its binding is nil for a static scope.
type Step[T Ware] struct {
	Ware    T
	Binding *Binding
}

// Binding has the names and the values of a scope's params, as one reading of the path has them.
type Binding struct {
	Names, Values []string
	Again         bool // whether the scope has run before, for the path as it was routed
}

// Param returns the value of a param, and whether there is one of that name.
func (b *Binding) Param(name string) (string, bool) {
	for i, own := range b.Names {
		if own == name {
			return b.Values[i], true
		}
	}
	return "", false
}

// With returns the set with one more registration.
func (s Set[T]) With(pattern treemux.Pattern, ware T) Set[T] {
	added := Chain[T]{Steps: []Step[T]{{Ware: ware}}, Wraps: ware.Wraps()}
	if pattern.Wild() {
		added.Steps[0].Binding = &Binding{Names: pattern.Names()}
	}
	add := func(old *scope[T]) (*scope[T], error) {
		next := &scope[T]{pattern: pattern}
		if old != nil {
			*next = *old
		}
		kind := patterns.KindOf(pattern)
		next.own[kind] = join(next.own[kind], added)
		return next, nil
	}
	s.Depth = max(s.Depth, len(pattern.Segments))
	if pattern.Wild() {
		s.wild, _ = s.wild.With(pattern, add)
		return s
	}
	s.static, _ = s.static.With(pattern, add)
	s.static = s.static.Rewritten(pattern, compose[T])
	if top, ok := s.static.Get(treemux.Pattern{}); ok {
		s.Top = top.below
	}
	return s
}

// compose returns a static scope with its chains, given the one above it.
func compose[T Ware](above, s *scope[T]) *scope[T] {
	var inherited Chain[T]
	if above != nil {
		inherited = above.below
	}
	composed := *s
	composed.below = join(inherited, s.own[patterns.Below])
	composed.here = join(composed.below, s.own[patterns.Exact])
	composed.alone = join(inherited, s.own[patterns.Exact])
	return &composed
}

func join[T Ware](a, b Chain[T]) Chain[T] {
	return Chain[T]{Steps: slices.Concat(a.Steps, b.Steps), Wraps: a.Wraps || b.Wraps}
}

// All returns all wares: those of static scopes and then those with params, each scope before what lies below it.
func (s *Set[T]) All() []T {
	var all []T
	for _, tree := range []treemux.Tree[*scope[T]]{s.static, s.wild} {
		scopes := slices.SortedFunc(tree.All, func(a, b *scope[T]) int {
			return slices.CompareFunc(a.pattern.Segments, b.pattern.Segments, compareSegments)
		})
		for _, found := range scopes {
			for _, own := range found.own {
				for _, step := range own.Steps {
					all = append(all, step.Ware)
				}
			}
		}
	}
	return all
}

func compareSegments(a, b treemux.Segment) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Text, b.Text))
}
