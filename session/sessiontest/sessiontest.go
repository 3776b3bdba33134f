// Package sessiontest is a transport of sessions in memory, for the tests of apps. It connects clients, serves their messages with a
// handler, and returns the pushes to them:
//
//	ann, bob := sessiontest.Connect(&pool), sessiontest.Connect(&pool)
//	reply := ann.Serve(mux, &message.Message{Route: "room.7.say", Body: []byte(`{"text": "hello"}`)})
//	texts, err := sessiontest.Values[said](bob, "said") // or bob.Pushed() for all routes
//
// For typed calls, message.Remote with message.Local(mux) takes ann.Context().
package sessiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// Client is a client that has a session. All methods may be called by any goroutine.
type Client struct {
	pool       *session.Pool
	connecting sync.Mutex // Cut and Resume, one after the other

	mu      sync.Mutex
	link    *link // the last connection
	token   string
	seq     uint64 // of the last push
	pushed  []*message.Message
	read    int           // how many Next has returned
	changed chan struct{} // closed when there is something new
}

// Connect connects a client to the Pool. If the Pool has ResumeWithin, the client has a token and can Resume.
func Connect(p *session.Pool) *Client {
	c := &Client{pool: p, changed: make(chan struct{})}
	c.connect("", 0)
	return c
}

// connect makes a connection. Its first message asks for the session of the token.
func (c *Client) connect(token string, seq uint64) (recovered bool) {
	l := &link{client: c}
	opened := c.pool.Open(l)
	c.mu.Lock()
	c.link, l.session = l, opened
	c.mu.Unlock()
	s, missed, recovered := c.pool.Resume(token, seq, l)
	if !recovered {
		seq = s.Seq()
	}
	token = s.Token()
	c.mu.Lock()
	l.session, c.token, c.seq = s, token, seq+uint64(len(missed))
	c.pushed = append(c.pushed, missed...)
	c.wake()
	gone := l.gone
	c.mu.Unlock()
	s.Resumed(l)
	if gone {
		s.Detach()
	}
	return recovered
}

// wake wakes all that wait for something new, with the lock.
func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Session returns the client's session.
func (c *Client) Session() *session.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.session
}

// Context returns the context of a message of the client: it has the session.
func (c *Client) Context() context.Context {
	return session.NewContext(context.Background(), c.Session())
}

// Serve serves a message of the client with a handler, as transports do: OnClose waits for the handler, and after the end of the session the
// answer is 410.
func (c *Client) Serve(h http.Handler, m *message.Message) *message.Reply {
	ctx := c.Context()
	s := session.FromContext(ctx)
	if !s.Begin() {
		return &message.Reply{Status: http.StatusGone, Body: []byte(session.ErrClosed.Error())}
	}
	defer s.Returned(ctx, m.Route)
	return message.Serve(ctx, h, m)
}

// Pushed returns all pushes to the client, in order.
func (c *Client) Pushed() []*message.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pushed)
}

// Values returns the bodies of all pushes of a route, decoded, in order.
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

// Next returns the next push, and waits for it. It returns an error when ctx ends, or when the server has closed the connection.
func (c *Client) Next(ctx context.Context) (*message.Message, error) {
	for {
		m, changed, err := c.next()
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("sessiontest: no push has come: %w", context.Cause(ctx))
		}
	}
}

// next is Next without waiting. If there is neither a push nor an error it returns a channel to wait for.
func (c *Client) next() (m *message.Message, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.read < len(c.pushed):
		c.read++
		return c.pushed[c.read-1], nil, nil
	case c.link.closed:
		return nil, nil, fmt.Errorf("sessiontest: the connection was closed: %s", c.link.reason)
	}
	return nil, c.changed, nil
}

// Closed reports whether the server has closed the connection, and why.
func (c *Client) Closed() (reason string, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.reason, c.link.closed
}

// Cut ends the connection, like a failing network.
func (c *Client) Cut() {
	c.connecting.Lock()
	defer c.connecting.Unlock()
	c.cut()
}

func (c *Client) cut() {
	c.mu.Lock()
	gone, s := c.link.gone, c.link.session
	c.link.gone = true
	c.mu.Unlock()
	if !gone {
		s.Detach()
	}
}

// Resume connects the client again, and reports whether it has its session, with all pushes. If not, it has a new session.
func (c *Client) Resume() (recovered bool) {
	c.connecting.Lock()
	defer c.connecting.Unlock()
	c.cut()
	c.mu.Lock()
	token, seq := c.token, c.seq
	c.mu.Unlock()
	return c.connect(token, seq)
}

// link is one connection. It changes with the lock of the client.
type link struct {
	client  *Client
	session *session.Session
	gone    bool // cut, or closed
	closed  bool
	reason  string
}

var errCut = errors.New("sessiontest: the connection is cut")

func (l *link) Push(ctx context.Context, m *message.Message) error {
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.gone {
		return errCut
	}
	c.seq, c.pushed = session.Seq(ctx), append(c.pushed, m)
	c.wake()
	return nil
}

func (l *link) Close(_ context.Context, reason string) error {
	c := l.client
	c.mu.Lock()
	gone, s := l.gone, l.session
	if !gone {
		l.gone, l.closed, l.reason = true, true, reason
		c.wake()
	}
	c.mu.Unlock()
	if !gone && s != nil {
		s.Detach()
	}
	return nil
}
