// Package batch registers the routes of several handlers together: all of them, or none.
//
// Package component passes its handlers to a function of the user's, which may be kami.Handle, a Mux's, or one that changes the path first. A
// Mux that gets a handler of a batch does not register it at once: the batch registers all handlers at the end.
package batch

import "github.com/guregu/kami/internal/where"

// Batch is a set of registrations. It is for one goroutine at a time. The zero Batch is empty.
type Batch struct {
	Place where.Place // of the whole batch
	parts []Part
	of    map[any]Part
}

// Part is the part of one Mux.
type Part interface {
	// Register registers all of the part. If it returns an error it has registered nothing.
	Register() error
}

// Member is implemented by handlers. Batch returns the batch that the handler is being registered in, or nil.
type Member interface{ Batch() *Batch }

// Of returns the batch that a handler is being registered in, or nil.
func Of(handler any) *Batch {
	if m, ok := handler.(Member); ok {
		return m.Batch()
	}
	return nil
}

// Part returns the part of a Mux, which begin begins.
func (b *Batch) Part(mux any, begin func() Part) Part {
	if p, ok := b.of[mux]; ok {
		return p
	}
	if b.of == nil {
		b.of = make(map[any]Part)
	}
	p := begin()
	b.of[mux] = p
	b.parts = append(b.parts, p)
	return p
}

// Register registers one part after the other, up to the first error.
func (b *Batch) Register() error {
	for _, p := range b.parts {
		if err := p.Register(); err != nil {
			return err
		}
	}
	return nil
}
