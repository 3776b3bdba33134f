package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// Conn is a connection to another Node, or to a client that speaks JSON-RPC. It is a message.Caller: its calls run at the other
// side. A Dial with [Reconnect] has one Conn for all its connections. Any goroutine may call its methods at any time, but no call
// is answered before OnConnect has returned.
type Conn struct {
	node *Node

	mu      sync.Mutex
	link    *link         // the latest one
	ready   *link         // the link for calls; nil before the first
	links   []*link       // the links that still run something
	changed chan struct{} // closed when ready or err changes
	err     error         // why there will be no other link
	done    chan struct{}
	redial  *redialer // nil without Reconnect

	funcs callbacks
}

var errHere = errors.New("it was closed at this side")

func newConn(n *Node) *Conn {
	return &Conn{node: n, done: make(chan struct{}), changed: make(chan struct{})}
}

// Call calls a route of the other side and waits for the answer, of whatever status. The end of ctx ends the wait and cancels the
// call, not the connection. It returns an error that wraps [ErrClosed] if the connection has ended meanwhile, and one that wraps
// [ErrNotSent] if the call has not run and may be repeated. With [Reconnect] it waits for a connection first, and repeats such calls
// itself.
//
// Called by a handler with its context, it lets the next message of that connection run until the answer is there.
func (c *Conn) Call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	if ctx.Err() != nil {
		return nil, withCause(ctx, ErrNotSent)
	}
	if in := incomingOf(ctx); in != nil && in.link.conn == c && !m.Notify {
		in.link.in.leave(in)
		defer in.link.in.enter(ctx, in)
	}
	for {
		l, err := c.await(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := l.call(ctx, m)
		if err == nil || c.redial == nil || !errors.Is(err, ErrNotSent) || ctx.Err() != nil {
			return reply, err
		}
		l.moved()
	}
}

// await returns a link that has not ended, and waits for one if another is to come.
func (c *Conn) await(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		l, changed, err := c.ready, c.changed, c.err
		c.mu.Unlock()
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		case l != nil && (c.redial == nil || !l.isDone()):
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, withCause(ctx, ErrNotSent)
		}
	}
}

func (l *link) isDone() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// moved waits until a link that takes no calls is known to have ended.
func (l *link) moved() { <-l.done }

// began makes the link the one that the Conn tells of. It returns false if the Conn has been closed.
func (c *Conn) began(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = l
	c.links = append(c.links, l)
	return c.err == nil
}

// drop forgets a link on which nothing runs any more.
func (c *Conn) drop(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = slices.DeleteFunc(c.links, func(other *link) bool { return other == l })
}

// opened makes the link the one for new calls, and returns the link that they had before.
func (c *Conn) opened(l *link) (before *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.ready = c.ready, l
	c.change()
	return before
}

func (c *Conn) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// lost notes the end of a link.
func (c *Conn) lost(l *link) {
	if c.redial == nil {
		c.finish(l.err)
	}
}

// finish ends the Conn for good.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	c.change()
}

// current returns the latest link.
func (c *Conn) current() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

// Peer describes the other side, as far as it has said who it is.
func (c *Conn) Peer() Info { return c.current().peer }

// Session returns the session of the connection, in Node.Sessions.
func (c *Conn) Session() *session.Session { return c.current().session() }

// Done returns a channel that is closed when the connection has ended, and with [Reconnect] when there will be no other one.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, or nil if it has not. The error wraps [ErrClosed].
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Queued returns how many bytes wait to be written.
func (c *Conn) Queued() int { return c.current().out.queued() }

// Close closes the connection for good, after what waits to be written. Calls that are not answered end with [ErrClosed]. It ends
// the contexts of handlers and does not wait for them.
func (c *Conn) Close() error {
	c.finish(fmt.Errorf("%w: %w", ErrClosed, errHere))
	c.mu.Lock()
	links := slices.Clone(c.links)
	c.mu.Unlock()
	for _, l := range links {
		l.closeWith(closeNormal, "")
	}
	for _, l := range links {
		<-l.shut
	}
	return nil
}
