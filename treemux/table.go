package treemux

import "slices"

const (
	crowd    = 1024 // so many children stay in one table, up to maxLevel
	fanout   = 256  // pages of a table of more
	maxLevel = 2
)

// table holds the static children of a node, found by the hash of their names: each in the first free slot from where its
// hash says. One of very many children holds pages instead: nodes that have but a table of some of the children.
//
// optimization: a table of its own is faster than a Go map (BenchmarkLookup), and pages are what is copied of a hundred
// thousand children for one more (BenchmarkInsertWide).
type table[V any] struct {
	slots []slot[V] // a power of two
	count int       // of children, of all that they hold
	level uint8     // of pages that the table is below
	paged bool
}

type slot[V any] struct {
	hash uint32
	node *node[V]
}

// hashOf is FNV-1a, as the search computes it on its way through a path.
func hashOf(name string) uint32 {
	hash := uint32(hashBegin)
	for i := range len(name) {
		hash = (hash ^ uint32(name[i])) * hashPrime
	}
	return hash
}

const hashBegin, hashPrime = 2166136261, 16777619

// page returns the slot of the hash's page. Low bits of it are for the slots of a table, high ones for pages.
func (t *table[V]) page(hash uint32) *slot[V] {
	return &t.slots[hash>>(24-8*t.level)%fanout]
}

// find returns the child of that name, or nil.
func (t *table[V]) find(hash uint32, name string) *node[V] {
	for t.paged {
		page := t.page(hash).node
		if page == nil {
			return nil
		}
		t = page.many
	}
	for i, tried := int(hash), 0; tried < len(t.slots); i, tried = i+1, tried+1 {
		s := &t.slots[i&(len(t.slots)-1)]
		if s.node == nil {
			return nil
		}
		if s.hash == hash && s.node.name == name {
			return s.node
		}
	}
	return nil
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

// put makes child the one of its name in the draft's own table.
func (d *Draft[V]) put(t *table[V], child *node[V]) {
	d.putHashed(t, slot[V]{hashOf(child.name), child})
}

// putHashed is put. It reports whether the child is one more.
func (d *Draft[V]) putHashed(t *table[V], added slot[V]) (more bool) {
	switch {
	case t.paged:
		page := t.page(added.hash)
		if page.node = d.own(page.node); page.node.many == nil {
			page.node.many = &table[V]{level: t.level + 1}
		}
		more = d.putHashed(page.node.many, added)
	default:
		d.makeRoom(t)
		if t.paged {
			return d.putHashed(t, added)
		}
		more = t.set(added)
	}
	if more {
		t.count++
	}
	return more
}

// set puts the child into a table that has room for it. It reports whether it is one more.
func (t *table[V]) set(added slot[V]) (more bool) {
	for i := int(added.hash); ; i++ {
		s := &t.slots[i&(len(t.slots)-1)]
		if s.node == nil || s.hash == added.hash && s.node.name == added.node.name {
			more = s.node == nil
			*s = added
			return more
		}
	}
}

// makeRoom makes the table larger if three quarters of it are in use, or has its children put into pages if they are too
// many.
func (d *Draft[V]) makeRoom(t *table[V]) {
	if (t.count+1)*4 <= len(t.slots)*3 {
		return
	}
	before := t.slots
	if t.paged = t.count >= crowd*3/4 && t.level < maxLevel; t.paged {
		t.slots, t.count = make([]slot[V], fanout), 0
	} else {
		t.slots = make([]slot[V], max(4, 2*len(before)))
	}
	for _, s := range before {
		switch {
		case s.node == nil:
		case t.paged:
			d.putHashed(t, s)
		default:
			t.set(s)
		}
	}
}
