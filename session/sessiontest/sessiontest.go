// Package sessiontest is a transport of sessions in memory, for the tests of apps: it connects clients, and tells what was pushed to
// whom.
//
//	var pool session.Pool
//	ann := sessiontest.Connect(&pool)
//	message.Serve(ann.Context(), mux, &message.Message{Route: "room.join"})
//	pushed := ann.Pushed()
package sessiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// Client is a client that has a session. All methods may be called by any goroutine.
type Client struct {
	pool *session.Pool

	mu      sync.Mutex
	session *session.Session
	link    *link // of the connection; nil without one
	token   string
	seq     uint64
	pushed  []*message.Message
	read    int           // how many Next has returned
	more    chan struct{} // is closed when something happens
	reason  string
	closed  bool
}

// Connect connects a client to the Pool. If the Pool has ResumeWithin, the client gets a token and can Resume.
func Connect(p *session.Pool) *Client {
	c := &Client{pool: p, more: make(chan struct{})}
	c.connect("", 0)
	return c
}

// connect makes a connection whose first message asks for the session of the token.
func (c *Client) connect(token string, seq uint64) (recovered bool) {
	l := &link{client: c}
	c.mu.Lock()
	c.link, c.reason, c.closed = l, "", false
	c.mu.Unlock()
	c.pool.Open(l)
	s, missed, recovered := c.pool.Resume(token, seq, l)
	token = s.Token()
	c.mu.Lock()
	c.session, c.token = s, token
	if !recovered {
		seq = s.Seq()
	}
	c.seq = seq
	for _, m := range missed {
		c.seq++
		c.take(m)
	}
	c.mu.Unlock()
	s.Resumed()
	return recovered
}

// take takes a push, with the lock.
func (c *Client) take(m *message.Message) {
	c.pushed = append(c.pushed, m)
	c.wake()
}

func (c *Client) wake() {
	close(c.more)
	c.more = make(chan struct{})
}

// Session returns the client's session.
func (c *Client) Session() *session.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Context returns the context of a message of the client: one with its session.
func (c *Client) Context() context.Context {
	return session.NewContext(context.Background(), c.Session())
}

// Serve has the handler answer a message of the client, as a transport does.
func (c *Client) Serve(h http.Handler, m *message.Message) *message.Reply {
	s := c.Session()
	if !s.Begin() {
		return &message.Reply{Status: http.StatusGone, Body: []byte(session.ErrClosed.Error())}
	}
	ctx := session.NewContext(context.Background(), s)
	defer s.Returned(ctx, m.Route)
	return message.Serve(ctx, h, m)
}

// Pushed returns all that the client has been pushed, in order.
func (c *Client) Pushed() []*message.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*message.Message(nil), c.pushed...)
}

// Next returns the next push that it has not returned yet, and waits for it. It returns an error at the end of ctx, or when the
// connection has been closed.
func (c *Client) Next(ctx context.Context) (*message.Message, error) {
	for {
		c.mu.Lock()
		if c.read < len(c.pushed) {
			c.read++
			m := c.pushed[c.read-1]
			c.mu.Unlock()
			return m, nil
		}
		closed, reason, more := c.closed, c.reason, c.more
		c.mu.Unlock()
		if closed {
			return nil, fmt.Errorf("sessiontest: the connection was closed: %s", reason)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Values returns the bodies of all pushes of a route, decoded.
func Values[T any](c *Client, route string) (values []T, err error) {
	for _, m := range c.Pushed() {
		if m.Route != route {
			continue
		}
		var v T
		if err := json.Unmarshal(m.Body, &v); err != nil {
			return nil, fmt.Errorf("sessiontest: decoding a push of %q: %w", route, err)
		}
		values = append(values, v)
	}
	return values, nil
}

// Closed returns why the server has closed the connection, and whether it has.
func (c *Client) Closed() (reason string, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason, c.closed
}

// Cut ends the connection, as a network that fails does.
func (c *Client) Cut() {
	if c.cut() {
		c.Session().Detach()
	}
}

// cut reports whether there was a connection.
func (c *Client) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := c.link != nil
	c.link = nil
	return had
}

// Resume connects the client again, and reports whether it has its session with all pushes. If not, it has a new session.
func (c *Client) Resume() (recovered bool) {
	c.Cut()
	c.mu.Lock()
	token, seq := c.token, c.seq
	c.mu.Unlock()
	return c.connect(token, seq)
}

// link is one connection.
type link struct{ client *Client }

var errCut = errors.New("sessiontest: the connection is cut")

func (l *link) Push(ctx context.Context, m *message.Message) error {
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != l {
		return errCut
	}
	c.seq = session.Seq(ctx)
	c.take(m)
	return nil
}

func (l *link) Close(_ context.Context, reason string) error {
	c := l.client
	c.mu.Lock()
	had := c.link == l
	if had {
		c.link, c.reason, c.closed = nil, reason, true
		c.wake()
	}
	s := c.session
	c.mu.Unlock()
	if had {
		s.Detach()
	}
	return nil
}
