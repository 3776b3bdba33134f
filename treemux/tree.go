// Package treemux maps the patterns of paths to values: a tree over their segments, with the routing rules of
// github.com/dimfeld/httptreemux/v5 and none of its code. It knows nothing of HTTP.
//
//	pattern, err := treemux.Parse("/users/:id")
//	tree, err = tree.With(pattern, func(string) (string, error) { return "one user", nil })
//	var spans treemux.Spans
//	value, ok := tree.Lookup("/users/7", &spans, nil)
//
// A static segment goes before a param, and a param before a catch-all. If that way leads to no match, the search goes back to the next
// best:
//
//	patterns               path            match
//	/users/new             /users/new      /users/new
//	/users/:id             /users/7        /users/:id        id = 7
//	/users/:id/edit        /users/new/edit /users/:id/edit   id = new
//	/users/*rest           /users/7/x/y    /users/*rest      rest = 7/x/y
package treemux

// Tree is a map from patterns to values. It is an immutable value: adding returns a new tree that shares all nodes except those on
// the way to the new pattern, so an addition costs the depth of the tree, and any number of goroutines may read any of them at any
// time. The zero Tree is empty and ready to use. Many additions in a row are cheaper on a [Draft].
type Tree[V any] struct {
	root *node[V]
}

// node is the place of all patterns that begin alike, up to one of their segments.
type node[V any] struct {
	name     string    // of a static node
	only     *node[V]  // the static child, if there is one
	many     *table[V] // the static children, if there are more
	param    *node[V]
	catchAll *node[V]
	value    V
	set      bool   // whether a pattern ends here, so that value counts
	by       uint32 // the draft that has made the node
}

// Empty reports whether the tree has no patterns.
func (t Tree[V]) Empty() bool { return t.root == nil }

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

// All calls yield for the values of all patterns, in no particular order, until it returns false.
func (t Tree[V]) All(yield func(V) bool) { t.root.all(yield) }

// With returns a tree in which the pattern has the value that edit returns for its present one (the zero V if it has none). If edit
// returns an error, With returns it and the unchanged tree.
func (t Tree[V]) With(pattern Pattern, edit func(V) (V, error)) (Tree[V], error) {
	d := t.Draft()
	err := d.Edit(pattern, edit)
	return d.Tree(), err
}

// Rewritten returns a tree in which rewrite has replaced the values at the pattern and below it, from the top down. The first argument of
// rewrite is the nearest value above, already rewritten, or the zero V.
func (t Tree[V]) Rewritten(pattern Pattern, rewrite func(above, value V) V) Tree[V] {
	d := t.Draft()
	d.rewrite(pattern, rewrite)
	return d.Tree()
}

// child returns the node of the segment below n, or nil.
func (n *node[V]) child(segment Segment) *node[V] {
	switch segment.Kind {
	case Static:
		return n.static(segment.Text)
	case Param:
		return n.param
	default:
		return n.catchAll
	}
}

// static returns the static child of that name, or nil.
func (n *node[V]) static(name string) *node[V] {
	switch {
	case n.many != nil:
		return n.many.find(hashOf(name), name)
	case n.only != nil && n.only.name == name:
		return n.only
	default:
		return nil
	}
}

// longest returns the greatest length of a static child's name.
func (n *node[V]) longest() int {
	switch {
	case n.many != nil:
		return n.many.longest
	case n.only != nil:
		return len(n.only.name)
	default:
		return 0
	}
}

// all reports whether yield has returned true for n and all below it. A nil node has nothing.
func (n *node[V]) all(yield func(V) bool) bool {
	if n == nil {
		return true
	}
	if n.set && !yield(n.value) || !n.only.all(yield) {
		return false
	}
	if n.many != nil {
		for _, s := range n.many.slots {
			if !s.node.all(yield) {
				return false
			}
		}
	}
	return n.param.all(yield) && n.catchAll.all(yield)
}
