package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/guregu/kami/message"
)

var (
	// ErrClosed is the error of a call whose connection ended before the answer came. Its handler may have run.
	ErrClosed = errors.New("peer: the connection is closed")
	// ErrNotSent is the error of a call whose handler has not run. It is safe to repeat, and wraps message.ErrUndelivered.
	ErrNotSent = fmt.Errorf("peer: the call was not sent: %w", message.ErrUndelivered)
)

// calls has the calls of this side that have not been answered.
type calls struct {
	mu      sync.Mutex
	last    uint64
	pending map[uint64]*pending
	free    []*pending
	first   func(*message.Reply) // called with the first answer, before the next frame is read; may be nil
	err     error                // why no new call is made; nil while calls are made
	quiet   chan struct{}        // closed when no call is pending; nil if idle was not called
}

// pending is a call that waits for its answer.
type pending struct {
	done  chan outcome // gets one outcome
	more  bool         // others wait too, and are likely to call again
	items chan []byte  // has room for the window of a stream; nil if the call is not one
}

// outcome is the answer to a call, or why there is none.
type outcome struct {
	reply *message.Reply
	err   error
}

var errWindow = errors.New("peer: the other side has sent more items of a stream than its window has")

// maxFree is how many answered calls are kept for reuse.
const maxFree = 16

// add makes room for the answer to a call, and for that many items of a stream.
//
// optimization: a pending is used again (BenchmarkCall). The goroutine that takes it out of the map sends its outcome or is the caller,
// so no outcome reaches the next call that uses it.
func (c *calls) add(items int) (id uint64, p *pending, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	if last := len(c.free) - 1; last >= 0 {
		p, c.free = c.free[last], c.free[:last]
	} else {
		p = &pending{done: make(chan outcome, 1)}
	}
	if items > 0 {
		p.items = make(chan []byte, items)
	}
	c.last++
	if c.pending == nil {
		c.pending = make(map[uint64]*pending)
	}
	c.pending[c.last] = p
	p.more = len(c.pending) > 1
	return c.last, p, nil
}

// recycle takes back a pending, to which no goroutine sends any more.
func (c *calls) recycle(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.items = nil
	if len(c.free) < maxFree {
		c.free = append(c.free, p)
	}
}

// remove takes a call out, or returns nil if another goroutine has.
func (c *calls) remove(id uint64) *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[id]
	if p != nil {
		delete(c.pending, id)
		c.signalIdle()
	}
	return p
}

func (c *calls) signalIdle() {
	if c.quiet != nil && len(c.pending) == 0 {
		close(c.quiet)
		c.quiet = nil
	}
}

// idle returns a channel that is closed when no call is pending.
func (c *calls) idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.quiet == nil {
		c.quiet = make(chan struct{})
	}
	quiet := c.quiet
	c.signalIdle()
	return quiet
}

// answer gives a call its answer. It drops an answer that no call waits for.
func (c *calls) answer(f *frame) {
	id, err := strconv.ParseUint(string(f.id), 10, 64)
	if err != nil {
		return
	}
	if p := c.remove(id); p != nil {
		reply := replyOf(f)
		if c.first != nil {
			c.first(reply)
			c.first = nil
		}
		p.done <- outcome{reply: reply}
	}
}

// item gives a call an item of its stream.
func (c *calls) item(id, value []byte) {
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil || value == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[n]
	if p == nil || p.items == nil {
		return
	}
	select {
	case p.items <- itemOf(value):
	default:
		delete(c.pending, n)
		c.signalIdle()
		p.done <- outcome{err: errWindow}
	}
}

// fail ends all calls with err. Later calls fail with later.
func (c *calls) fail(err, later error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = later
	for id, p := range c.pending {
		delete(c.pending, id)
		p.done <- outcome{err: err}
	}
	c.signalIdle()
}

// call makes a call over the link.
func (l *link) call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	deadline, _ := ctx.Deadline()
	if m.Notify {
		return l.notify(ctx, m, deadline)
	}
	items := 0
	if m.Stream != nil {
		items = windowOf(m)
	}
	id, p, err := l.calls.add(items)
	if err != nil {
		return nil, err
	}
	buffer := takeBuffer()
	buffer.b = appendCall(buffer.b, id, m, deadline)
	if err = l.send(ctx, buffer, p.more); err != nil {
		return l.unsent(id, p, err)
	}
	return l.await(ctx, id, p, m)
}

// notify sends a notification, which has no answer.
func (l *link) notify(ctx context.Context, m *message.Message, deadline time.Time) (*message.Reply, error) {
	if err := l.calls.failed(); err != nil {
		return nil, err
	}
	buffer := takeBuffer()
	buffer.b = appendCall(buffer.b, 0, m, deadline)
	if err := l.send(ctx, buffer, false); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, withCause(ctx, fmt.Errorf("peer: notifying %s", quote(m.Route)))
	}
	return &message.Reply{Status: http.StatusNoContent}, nil
}

func (c *calls) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// unsent ends a call that could not be sent.
func (l *link) unsent(id uint64, p *pending, err error) (*message.Reply, error) {
	if l.calls.remove(id) == nil { // the connection has ended meanwhile
		<-p.done
	}
	l.calls.recycle(p)
	return nil, err
}

// await waits for the answer to a call, and gives the items that come before it to the consumer of the stream.
func (l *link) await(ctx context.Context, id uint64, p *pending, m *message.Message) (*message.Reply, error) {
	taken := 0
	for {
		select {
		case got := <-p.done:
			return l.complete(ctx, id, p, m, got)
		case item := <-p.items:
			if err := m.Stream(item); err != nil {
				return l.giveUp(id, p, err)
			}
			if taken++; 2*taken >= windowOf(m) {
				l.more(id, taken)
				taken = 0
			}
		case <-ctx.Done():
			return l.giveUp(id, p, withCause(ctx, fmt.Errorf("peer: calling %s", quote(m.Route))))
		}
	}
}

// complete ends a call that has been answered. It gives the items that came before the answer first.
func (l *link) complete(ctx context.Context, id uint64, p *pending, m *message.Message, got outcome) (*message.Reply, error) {
	defer l.calls.recycle(p)
	for got.err == nil && len(p.items) > 0 {
		if ctx.Err() != nil {
			return nil, withCause(ctx, fmt.Errorf("peer: calling %s", quote(m.Route)))
		}
		if err := m.Stream(<-p.items); err != nil {
			return nil, err
		}
	}
	if got.err == errWindow {
		l.cancelCall(id)
	}
	return got.reply, got.err
}

// giveUp ends a call before it has been answered.
func (l *link) giveUp(id uint64, p *pending, err error) (*message.Reply, error) {
	if l.calls.remove(id) == nil {
		<-p.done // it was answered just now
	} else {
		l.cancelCall(id)
	}
	l.calls.recycle(p)
	return nil, err
}

// cancelCall tells the other side that the caller no longer waits for the answer.
func (l *link) cancelCall(id uint64) {
	_ = l.out.enqueue(appendNotification(nil, methodCancel, func(b []byte) []byte {
		return strconv.AppendUint(append(b, `"id":`...), id, 10)
	}))
}

// more lets the other side send more items.
func (l *link) more(id uint64, n int) {
	_ = l.out.enqueue(appendNotification(nil, methodMore, func(b []byte) []byte {
		b = strconv.AppendUint(append(b, `"id":`...), id, 10)
		return strconv.AppendInt(append(b, `,"n":`...), int64(n), 10)
	}))
}

// send writes the frame of a call, and frees its buffer. ctx bounds the wait. A frame whose write has begun is sent whole.
func (l *link) send(ctx context.Context, buffer *buffer, more bool) error {
	done, err := l.out.tryWrite(ctx, buffer.b, more)
	if !done {
		return l.sendLater(ctx, buffer)
	}
	buffer.free()
	return l.sent(err)
}

// sent returns the error of a call that could not be written. The error ends the link unless the caller caused it.
func (l *link) sent(err error) error {
	if err == nil || errors.Is(err, ErrNotSent) {
		return err
	}
	l.broken(err)
	return l.calls.failed()
}

// sendLater lets a goroutine write the frame, so that the caller does not wait for a connection whose other side does not read.
func (l *link) sendLater(ctx context.Context, buffer *buffer) error {
	written := make(chan error, 1)
	go func() {
		defer buffer.free()
		select {
		case l.out.turn <- struct{}{}:
		case <-ctx.Done():
			written <- withCause(ctx, ErrNotSent)
			return
		}
		defer func() { <-l.out.turn }()
		if ctx.Err() != nil {
			written <- withCause(ctx, ErrNotSent)
			return
		}
		err := l.out.writeQueue()
		if err == nil {
			err = l.out.send(buffer.b, false)
		}
		written <- err
	}()
	select {
	case err := <-written:
		return l.sent(err)
	case <-ctx.Done():
	case <-l.done:
	}
	return nil // await sees the end of ctx too; nobody knows whether the frame was sent
}

// withCause adds the context's error and its cause to an error that does not wrap them.
func withCause(ctx context.Context, err error) error {
	for _, end := range []error{ctx.Err(), context.Cause(ctx)} {
		if end != nil && !errors.Is(err, end) {
			err = fmt.Errorf("%w: %w", err, end)
		}
	}
	return err
}
