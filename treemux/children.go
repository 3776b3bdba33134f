package treemux

import (
	"hash/maphash"
	"slices"
)

const (
	crowd     = 8 // children stay a plain list up to this many
	hashBits  = 4 // bits of a name's hash that one level of the trie spends
	hashWidth = 1 << hashBits
)

var seed = maphash.MakeSeed()

// children are the static children of a node, found by name: a list while they are few, after that a trie over the
// names' hashes. Like all of a tree it is never changed: with returns a copy that shares what is the same.
//
// optimization: a node with a hundred thousand children is copied in a few small pieces (BenchmarkInsertWide),
// which one big table or a sorted list could not offer.
type children[V any] struct {
	list []child[V]
	trie *[hashWidth]*children[V]
}

type child[V any] struct {
	name string
	node *node[V]
}

// find returns the child of that name, or nil.
func (c *children[V]) find(name string) *node[V] {
	if c.trie != nil {
		hash := maphash.String(seed, name)
		for ; c.trie != nil; hash >>= hashBits {
			if c = c.trie[hash%hashWidth]; c == nil {
				return nil
			}
		}
	}
	for i := range c.list {
		if c.list[i].name == name {
			return c.list[i].node
		}
	}
	return nil
}

// with returns the children with n as the child of that name.
func (c children[V]) with(name string, n *node[V]) children[V] {
	return c.insert(child[V]{name, n}, 0)
}

// insert is with, for the children whose hashes have lost their first depth bits on the way here.
func (c children[V]) insert(added child[V], depth int) children[V] {
	if c.trie != nil {
		trie := *c.trie
		slot := &trie[maphash.String(seed, added.name)>>depth%hashWidth]
		var below children[V]
		if *slot != nil {
			below = **slot
		}
		below = below.insert(added, depth+hashBits)
		*slot = &below
		return children[V]{trie: &trie}
	}
	for i := range c.list {
		if c.list[i].name == added.name {
			list := slices.Clone(c.list)
			list[i] = added
			return children[V]{list: list}
		}
	}
	if len(c.list) < crowd || depth >= 64 { // a hash has 64 bits to tell names apart
		return children[V]{list: append(slices.Clip(c.list), added)}
	}
	split := children[V]{trie: new([hashWidth]*children[V])}
	for _, known := range c.list {
		split = split.insert(known, depth)
	}
	return split.insert(added, depth)
}

// all reports whether yield has returned true for each of the children.
func (c *children[V]) all(yield func(*node[V]) bool) bool {
	if c.trie != nil {
		for _, below := range c.trie {
			if below != nil && !below.all(yield) {
				return false
			}
		}
	}
	for i := range c.list {
		if !yield(c.list[i].node) {
			return false
		}
	}
	return true
}

// rewritten returns the children with each node replaced by what rewrite makes of it.
func (c children[V]) rewritten(rewrite func(*node[V]) *node[V]) children[V] {
	if c.trie != nil {
		trie := *c.trie
		for i, below := range trie {
			if below != nil {
				copied := below.rewritten(rewrite)
				trie[i] = &copied
			}
		}
		return children[V]{trie: &trie}
	}
	list := slices.Clone(c.list)
	for i := range list {
		list[i].node = rewrite(list[i].node)
	}
	return children[V]{list: list}
}
