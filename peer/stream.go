package peer

import (
	"context"
	"sync"
)

// maxWindow is how many items of a stream may be under way, even if the other side asks for more.
const maxWindow = 1 << 20

// credit is how many items of a stream may still be sent.
type credit struct {
	mu   sync.Mutex
	left int
	more chan struct{} // closed when an item may be sent; nil if the handler does not wait
}

// spend uses up one item of the credit, which must not be empty. If it is empty then, spend returns a channel that is closed when
// there is more.
func (c *credit) spend() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left > 0 {
		return nil
	}
	c.more = make(chan struct{})
	return c.more
}

func (c *credit) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = min(c.left+n, maxWindow)
	if c.more != nil && c.left > 0 {
		close(c.more)
		c.more = nil
	}
}

// stream lets the call's handler send items, window of them at first. After each item it waits until another one may be sent, so
// the handler makes no more than the window has. While it waits, it gives its place to the next call.
func (in *incoming) stream(window int) {
	in.window, in.credit.left = window, window
	in.message.Window = window
	in.message.Stream = func(item []byte) error {
		buffer := takeBuffer()
		buffer.b = appendItem(buffer.b, in.id, item)
		err := in.link.out.write(buffer.b, true)
		buffer.free()
		if err != nil {
			in.link.broken(err)
			return err
		}
		if more := in.credit.spend(); more != nil {
			return in.link.awaitMore(in, more)
		}
		return nil
	}
}

func (l *link) awaitMore(in *incoming, more <-chan struct{}) error {
	select {
	case <-more: // without the queue's lock: the caller keeps up
		return nil
	default:
	}
	l.in.leave(in)
	defer l.in.enter(&in.ctx, in)
	select {
	case <-more:
		return nil
	case <-in.ctx.Done():
		return context.Cause(&in.ctx)
	}
}
