package treemux

import (
	"math"
	"sync/atomic"
)

// Draft builds a [Tree], for one goroutine at a time. Use it to add many patterns before the Tree is needed; to add a few, use [Tree.With].
// The zero Draft is empty and ready to use. It must not be copied once it has been used.
//
// optimization: a Draft changes the nodes that it has made since it last returned a Tree in place, and copies only the others, so that
// the cost of many additions in a row depends only on what they add (BenchmarkDraft).
type Draft[V any] struct {
	root *node[V]
	id   uint32 // marks its nodes; 0 if it has none yet
}

// drafts counts the drafts, so that each has another id.
var drafts atomic.Uint64

// Draft returns a draft that begins as the tree. Changes of the draft do not change the tree.
func (t Tree[V]) Draft() Draft[V] { return Draft[V]{root: t.root} }

// Tree returns the present tree. Later changes of the draft do not change it.
func (d *Draft[V]) Tree() Tree[V] {
	d.id = 0
	return Tree[V]{d.root}
}

// Edit gives the pattern the value that edit returns for its present one (the zero V if it has none). If edit returns an error, Edit
// returns it and changes nothing.
func (d *Draft[V]) Edit(pattern Pattern, edit func(V) (V, error)) error {
	present, _ := Tree[V]{d.root}.Get(pattern)
	value, err := edit(present)
	if err != nil {
		return err
	}
	d.begin()
	n := d.to(pattern)
	n.value, n.set = value, true
	return nil
}

// rewrite is [Tree.Rewritten].
func (d *Draft[V]) rewrite(pattern Pattern, rewrite func(above, value V) V) {
	d.begin()
	var above V
	d.root = d.rewrittenAt(d.root, pattern.Segments, above, rewrite)
}

// rewrittenAt rewrites the node at the segments below n, and returns the draft's own n. Nil stays nil.
func (d *Draft[V]) rewrittenAt(n *node[V], segments []Segment, above V, rewrite func(above, value V) V) *node[V] {
	if n == nil || len(segments) == 0 {
		return d.rewritten(n, above, rewrite)
	}
	if n = d.own(n); n.set {
		above = n.value
	}
	if child := d.rewrittenAt(n.child(segments[0]), segments[1:], above, rewrite); child != nil {
		d.link(n, segments[0], child)
	}
	return n
}

// begin gives the draft an id if it has none. When all ids are used it gets one that own never matches.
func (d *Draft[V]) begin() {
	if d.id == 0 {
		d.id = uint32(min(drafts.Add(1), math.MaxUint32))
	}
}

// own returns the node if the draft has made it, and otherwise a copy that may be changed. For nil it returns a new node.
func (d *Draft[V]) own(n *node[V]) *node[V] {
	if n != nil && n.by == d.id && d.id < math.MaxUint32 {
		return n
	}
	copied := new(node[V])
	if n != nil {
		*copied = *n
		copied.many = n.many.clone()
	}
	copied.by = d.id
	return copied
}

// to returns the draft's own node of the pattern, and makes missing nodes on the way.
//
// optimization: the new nodes are one piece of memory, so a search in a large tree touches fewer pages (bench, Growth). A node that is
// replaced later stays in memory as long as another node of its piece is in use.
func (d *Draft[V]) to(pattern Pattern) *node[V] {
	d.root = d.own(d.root)
	n := d.root
	var missing []node[V]
	for i, segment := range pattern.Segments {
		child := n.child(segment)
		if child == nil {
			if missing == nil {
				missing = make([]node[V], len(pattern.Segments)-i)
			}
			child, missing = &missing[0], missing[1:]
			child.by = d.id
			d.link(n, segment, child)
		} else if own := d.own(child); own != child {
			d.link(n, segment, own)
			child = own
		}
		n = child
	}
	return n
}

// link makes child the node of the segment below the draft's own n.
func (d *Draft[V]) link(n *node[V], segment Segment, child *node[V]) {
	switch segment.Kind {
	case Static:
		child.name = segment.Text
		d.putStatic(n, child)
	case Param:
		n.param = child
	default:
		n.catchAll = child
	}
}

// putStatic makes child the static child of its name.
func (d *Draft[V]) putStatic(n, child *node[V]) {
	switch {
	case n.many != nil:
		d.setChild(n.many, child)
	case n.only == nil || n.only.name == child.name:
		n.only = child
	default:
		n.many = new(table[V])
		d.setChild(n.many, n.only)
		d.setChild(n.many, child)
		n.only = nil
	}
}

// rewritten rewrites the values of n and of all below it, and returns the draft's own n. Nil stays nil.
func (d *Draft[V]) rewritten(n *node[V], above V, rewrite func(above, value V) V) *node[V] {
	if n == nil {
		return nil
	}
	n = d.own(n)
	if n.set {
		n.value = rewrite(above, n.value)
		above = n.value
	}
	n.only = d.rewritten(n.only, above, rewrite)
	if n.many != nil {
		for i := range n.many.slots {
			n.many.slots[i].node = d.rewritten(n.many.slots[i].node, above, rewrite)
		}
	}
	n.param = d.rewritten(n.param, above, rewrite)
	n.catchAll = d.rewritten(n.catchAll, above, rewrite)
	return n
}
