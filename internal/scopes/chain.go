package scopes

import (
	"cmp"
	"slices"

	"github.com/guregu/kami/internal/patterns"
	"github.com/guregu/kami/treemux"
)

// Chain returns all that runs for a path, which has at least one reading. Once means that a scope runs only once, whatever its params
// can be.
func (s *Set[T]) Chain(readings []Reading, once bool) (c *Chain[T]) {
	switch {
	case s.Depth == 0: // optimization: most apps have afterware only for "/" (BenchmarkServe/Scopes)
		return &s.Top
	case len(readings) == 1:
		c = s.composed(&readings[0])
	default:
		c = new(Chain[T])
		c.add(hits(s.static, readings, true))
	}
	if s.wild.Empty() { // optimization: most apps have none (BenchmarkServe/Scopes)
		return c
	}
	if all := hits(s.wild, readings, once); len(all) > 0 {
		// optimization: a chain of a few steps is one allocation (BenchmarkServe/WildScope).
		built := new(struct {
			Chain[T]
			few [4]Step[T]
		})
		built.Chain = Chain[T]{Steps: append(built.few[:0], c.Steps...), Wraps: c.Wraps, Wild: true}
		built.add(all)
		return &built.Chain
	}
	return c
}

// composed returns the chain of the static scopes for one reading.
//
// optimization: the deepest scope has it ready, so a request whose path has one reading builds nothing
// (BenchmarkServe/Scopes).
func (s *Set[T]) composed(r *Reading) *Chain[T] {
	deepest, ended, ok := s.static.Deepest(r.Path)
	switch {
	case !ok:
		return &s.Top
	case !ended:
		return &deepest.below
	case len(deepest.own[patterns.Below].Steps) > 0 && r.keepsOut(deepest.pattern):
		return &deepest.alone
	default:
		return &deepest.here
	}
}

// hit says that a scope covers a path, with its params bound to values.
type hit[T Ware] struct {
	scope  *scope[T]
	kind   patterns.Kind
	values []string
	again  bool // whether it covers another reading with other values
}

// hits returns the hits of all readings, the least specific scopes first, each scope only once for one binding, or once at all.
func hits[T Ware](tree treemux.Tree[*scope[T]], readings []Reading, once bool) []hit[T] {
	var all []hit[T]
	add := func(r *Reading, s *scope[T], kind patterns.Kind, spans []treemux.Span) {
		again := false
		for _, known := range all {
			if known.scope == s && known.kind == kind {
				again = true
				if once || r.has(known.values, spans) {
					return
				}
			}
		}
		all = append(all, hit[T]{s, kind, r.values(spans), again})
	}
	for i := range readings {
		r := &readings[i]
		tree.Visit(r.Path, func(s *scope[T], ended bool, spans []treemux.Span) {
			if len(s.own[patterns.Below].Steps) > 0 && !(ended && r.keepsOut(s.pattern)) {
				add(r, s, patterns.Below, spans)
			}
			if len(s.own[patterns.Exact].Steps) > 0 && ended {
				add(r, s, patterns.Exact, spans)
			}
		})
	}
	if len(readings) > 1 {
		slices.SortStableFunc(all, func(a, b hit[T]) int {
			return cmp.Or(treemux.Compare(a.scope.pattern, b.scope.pattern), cmp.Compare(a.kind, b.kind))
		})
	}
	return all
}

// add appends the steps of the hits. Steps of one hit that follow each other with the same names share a binding.
func (c *Chain[T]) add(hits []hit[T]) {
	for _, h := range hits {
		own := &h.scope.own[h.kind]
		c.Wraps = c.Wraps || own.Wraps
		var shared *Binding
		for _, s := range own.Steps {
			if s.Binding != nil && (shared == nil || !slices.Equal(shared.Names, s.Binding.Names)) {
				shared = &Binding{Names: s.Binding.Names, Values: h.values, Again: h.again}
			}
			c.Steps = append(c.Steps, Step[T]{s.Ware, shared})
		}
	}
}

// Explain returns for each step the first reading that alone brings it in.
func (s *Set[T]) Explain(steps []Step[T], readings []Reading) []*Reading {
	by := make([]*Reading, len(steps))
	for i := range readings {
		alone := s.Chain(readings[i:i+1], false).Steps
		for j, step := range steps {
			if by[j] == nil && slices.ContainsFunc(alone, step.equal) {
				by[j] = &readings[i]
			}
		}
	}
	return by
}

func (s Step[T]) equal(other Step[T]) bool {
	a, b := s.Binding, other.Binding // both are nil, or none is
	return s.Ware == other.Ware && (a == nil || slices.Equal(a.Names, b.Names) && slices.Equal(a.Values, b.Values))
}
