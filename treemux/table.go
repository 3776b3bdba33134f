package treemux

import "slices"

const (
	crowd  = 768 // a table has at most so many children
	fanout = 256 // pages of a larger table, see pageOf
)

// table is a hash table of the static children of a node, by their names: each child is in the first free slot from its hash on. A table of
// very many children holds pages instead: nodes that only have a table of some of the children.
//
// optimization: this is faster than a Go map (BenchmarkLookup), and one more of a hundred thousand children copies only a page
// (BenchmarkInsertWide).
type table[V any] struct {
	slots   []slot[V] // a power of two
	count   int       // of children, while they are not in pages
	longest int       // no child has a longer name than this
	paged   bool      // whether the slots hold pages
	page    bool      // whether the table belongs to a page, and so has no pages
}

type slot[V any] struct {
	hash uint32
	node *node[V]
}

// hashOf is FNV-1a. The search computes the same on its way through a path.
func hashOf(name string) uint32 {
	hash := uint32(hashBegin)
	for i := range len(name) {
		hash = (hash ^ uint32(name[i])) * hashPrime
	}
	return hash
}

const hashBegin, hashPrime = 2166136261, 16777619

// pageOf returns the slot of the hash's page. The eight high bits select a page, the low ones the slot of a table.
func (t *table[V]) pageOf(hash uint32) *slot[V] { return &t.slots[hash>>24] }

// find returns the child of that name, or nil.
func (t *table[V]) find(hash uint32, name string) *node[V] {
	if t.paged {
		page := t.pageOf(hash).node
		if page == nil {
			return nil
		}
		t = page.many
	}
	for i := int(hash); ; i++ { // ends, because a slot is always free
		s := &t.slots[i&(len(t.slots)-1)]
		if s.node == nil {
			return nil
		}
		if s.hash == hash && s.node.name == name {
			return s.node
		}
	}
}

// clone returns a copy of the table. Nil stays nil.
func (t *table[V]) clone() *table[V] {
	if t == nil {
		return nil
	}
	copied := *t
	copied.slots = slices.Clone(t.slots)
	return &copied
}

// setChild makes child the child of its name, in the draft's own table.
func (d *Draft[V]) setChild(t *table[V], child *node[V]) {
	d.setSlot(t, slot[V]{hashOf(child.name), child})
}

func (d *Draft[V]) setSlot(t *table[V], added slot[V]) {
	t.longest = max(t.longest, len(added.node.name))
	if !t.paged && (t.count+1)*4 > len(t.slots)*3 {
		d.grow(t)
	}
	if !t.paged {
		t.set(added)
		return
	}
	page := t.pageOf(added.hash)
	page.node = d.own(page.node)
	if page.node.many == nil {
		page.node.many = &table[V]{page: true}
	}
	d.setSlot(page.node.many, added)
}

// set puts the child into a table that has room for it.
func (t *table[V]) set(added slot[V]) {
	for i := int(added.hash); ; i++ {
		s := &t.slots[i&(len(t.slots)-1)]
		if s.node != nil && (s.hash != added.hash || s.node.name != added.node.name) {
			continue
		}
		if s.node == nil {
			t.count++
		}
		*s = added
		return
	}
}

// grow makes the table larger, or moves its children into pages if they are too many.
func (d *Draft[V]) grow(t *table[V]) {
	before := t.slots
	size := max(4, 2*len(before))
	if t.paged = t.count >= crowd && !t.page; t.paged {
		size = fanout
	}
	t.slots, t.count = make([]slot[V], size), 0
	for _, s := range before {
		if s.node != nil {
			d.setSlot(t, s)
		}
	}
}
