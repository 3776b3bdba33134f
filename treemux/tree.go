// Package treemux maps the patterns of paths to values: a tree over their segments, with the routing rules of
// github.com/dimfeld/httptreemux/v5 and none of its code. It knows nothing of HTTP.
//
//	pattern, err := treemux.Parse("/users/:id")
//	tree, err = tree.With(pattern, func(string) (string, error) { return "one user", nil })
//	value, spans, ok := tree.Lookup("/users/7", nil, nil, nil)
//
// A static segment goes before a param and a param before a catch-all, and a search that ends nowhere goes back to
// the next best:
//
//	patterns               path            match
//	/users/new             /users/new      /users/new
//	/users/:id             /users/7        /users/:id        id = 7
//	/users/:id/edit        /users/new/edit /users/:id/edit   id = new
//	/users/*rest           /users/7/x/y    /users/*rest      rest = 7/x/y
package treemux

// Tree is a map from patterns to values. It is an immutable value: what adds to it returns a new tree that shares all
// but the way to what is new, so an addition costs the depth of the tree, and any number of goroutines may read any of
// them at any time. The zero Tree is empty and ready to use.
type Tree[V any] struct {
	root *node[V]
}

// node stands for all patterns that begin alike, up to one of their segments.
type node[V any] struct {
	static   children[V]
	param    *node[V]
	catchAll *node[V]
	value    V
	set      bool // whether a pattern ends here, so that value counts
}

// Span is the place of a param's text in a path: path[Start:End].
type Span struct{ Start, End int32 }

// Get returns the value at the pattern itself, and whether there is one.
func (t Tree[V]) Get(pattern Pattern) (value V, ok bool) {
	n := t.root
	for _, segment := range pattern.Segments {
		if n == nil {
			return value, false
		}
		n = n.child(segment)
	}
	if n == nil {
		return value, false
	}
	return n.value, n.set
}

// All calls yield for the values of all patterns, in no order to rely on, until it returns false.
func (t Tree[V]) All(yield func(V) bool) { t.root.all(yield) }

// With returns a tree in which the pattern has the value that edit makes of its present one (the zero V if it has
// none). The error is edit's; the tree is then returned as it was.
func (t Tree[V]) With(pattern Pattern, edit func(V) (V, error)) (Tree[V], error) {
	present, _ := t.Get(pattern)
	value, err := edit(present)
	if err != nil {
		return t, err
	}
	return Tree[V]{t.root.changed(pattern.Segments, func(n *node[V]) {
		n.value, n.set = value, true
	})}, nil
}

// Rewritten returns a tree in which the values at the pattern and below it are replaced, from the top down, by what
// rewrite makes of them. Its first argument is the nearest value above, already rewritten, or the zero V.
func (t Tree[V]) Rewritten(pattern Pattern, rewrite func(above, value V) V) Tree[V] {
	var above V
	n := t.root
	for _, segment := range pattern.Segments {
		if n != nil && n.set {
			above = n.value
		}
		if n != nil {
			n = n.child(segment)
		}
	}
	return Tree[V]{t.root.changed(pattern.Segments, func(n *node[V]) {
		*n = *n.rewritten(above, rewrite)
	})}
}

// child returns the node of the segment below n, or nil.
func (n *node[V]) child(segment Segment) *node[V] {
	switch segment.Kind {
	case Static:
		return n.static.find(segment.Text)
	case Param:
		return n.param
	default:
		return n.catchAll
	}
}

// all reports whether yield has returned true for n and all below it. A nil node has nothing.
func (n *node[V]) all(yield func(V) bool) bool {
	return n == nil || (!n.set || yield(n.value)) &&
		n.static.all(func(c *node[V]) bool { return c.all(yield) }) && n.param.all(yield) && n.catchAll.all(yield)
}

// changed returns a copy of n, of the nodes on the way down the segments, and of the last of them with the change.
func (n *node[V]) changed(segments []Segment, change func(*node[V])) *node[V] {
	copied := new(node[V])
	if n != nil {
		*copied = *n
	}
	if len(segments) == 0 {
		change(copied)
		return copied
	}
	child := copied.child(segments[0]).changed(segments[1:], change)
	switch segments[0].Kind {
	case Static:
		copied.static = copied.static.with(segments[0].Text, child)
	case Param:
		copied.param = child
	default:
		copied.catchAll = child
	}
	return copied
}

// rewritten returns a copy of n and of all below it with their values rewritten. A nil node stays nil.
func (n *node[V]) rewritten(above V, rewrite func(above, value V) V) *node[V] {
	if n == nil {
		return nil
	}
	copied := *n
	if n.set {
		copied.value = rewrite(above, n.value)
		above = copied.value
	}
	copied.static = n.static.rewritten(func(c *node[V]) *node[V] { return c.rewritten(above, rewrite) })
	copied.param = n.param.rewritten(above, rewrite)
	copied.catchAll = n.catchAll.rewritten(above, rewrite)
	return &copied
}
