package peer_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

// resuming sets ResumeWithin, so that the Node's sessions outlive their connections.
func resuming(n *peer.Node) *peer.Node {
	n.Sessions.ResumeWithin = time.Minute
	return n
}

// listener returns a Node that records its pushes in pushed, and each call of OnResume in back.
func listener() (n *peer.Node, pushed *pushes, back *trace) {
	pushed, back = new(pushes), new(trace)
	n = newNode(mux("/push", endpoint.JSON(func(_ context.Context, n int) (struct{}, error) { pushed.add(n); return struct{}{}, nil })))
	n.OnResume = func(_ *peer.Conn, recovered bool) { back.add("recovered %v", recovered) }
	return n, pushed, back
}

type pushes struct {
	mu  sync.Mutex
	all []int
}

func (p *pushes) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, n)
}

func (p *pushes) take() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	return all
}

func numbers(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// TestP21 cuts a connection every 200 ms for a minute, while a push comes every few milliseconds. It checks that all pushes arrive
// once and in order.
func TestP21(t *testing.T) {
	var mu sync.Mutex
	var closed, opened int
	server := resuming(newNode(nil))
	var sess *session.Session
	server.OnConnect = func(c *peer.Conn) {
		mu.Lock()
		defer mu.Unlock()
		if opened++; sess == nil {
			sess = c.Session()
		}
	}
	server.Sessions.OnClose = func(*session.Session) { closed++ }
	client, pushed, back := listener()
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		n := 0
		end := time.Now().Add(time.Minute)
		for time.Now().Before(end) {
			cut := time.Now().Add(200 * time.Millisecond)
			for time.Now().Before(cut) {
				n++
				require.NoError(t, sess.Push(t.Context(), "push", n))
				time.Sleep(time.Duration(n%7) * time.Millisecond)
			}
			p.Cut()
		}
		time.Sleep(10 * time.Second)
		assert.Equal(t, numbers(1, n), pushed.take())
		events := back.take()
		assert.Greater(t, len(events), 100)
		for _, event := range events {
			assert.Equal(t, "recovered true", event)
		}
		assert.Equal(t, 0, closed) // the sessions that OnConnect saw were dropped
		assert.Equal(t, 1, server.Sessions.Len())
	}, peer.Reconnect(peer.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}))
	assert.Equal(t, 1, server.Sessions.Len()) // the session waits for its client
}

// TestP21Late checks that a client gets a new session if it comes back after its session has ended, or after the session has
// dropped pushes.
func TestP21Late(t *testing.T) {
	for name, away := range map[string]func(*session.Session){
		"too late": func(*session.Session) { time.Sleep(2 * time.Minute) },
		"too many": func(s *session.Session) {
			for n := range 500 {
				_ = s.Push(context.Background(), "push", n)
			}
		},
	} {
		server := resuming(newNode(nil))
		client, pushed, back := listener()
		var sess *session.Session
		server.OnConnect = func(c *peer.Conn) { sess = c.Session() }
		piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
			require.NoError(t, sess.Push(t.Context(), "push", 1))
			synctest.Wait()
			old := sess
			p.Serve(nil, nil)
			p.Cut()
			away(old)
			p.Serve(server, nil)
			time.Sleep(time.Minute)
			assert.Equal(t, []string{"recovered false"}, back.take(), name)
			require.NoError(t, sess.Push(t.Context(), "push", 2))
			synctest.Wait()
			assert.Equal(t, []int{1, 2}, pushed.take())
			select {
			case <-old.Done():
			default:
				t.Error("the old session lives on")
			}
			// The new one is resumed as well.
			current := sess
			p.Cut()
			require.NoError(t, current.Push(t.Context(), "push", 3))
			time.Sleep(time.Second)
			assert.Equal(t, []int{3}, pushed.take())
			assert.Equal(t, []string{"recovered true"}, back.take())
		}, peer.Reconnect(peer.Backoff{}))
	}
}

// TestP21Frames checks the frames of kami.resume.
func TestP21Frames(t *testing.T) {
	conns := make(chan *peer.Conn, 10)
	server := resuming(newNode(mux("/bind", endpoint.JSON(func(ctx context.Context, uid string) (struct{}, error) {
		return struct{}{}, session.FromContext(ctx).Bind(ctx, uid)
	}), "/uid", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) { return session.FromContext(ctx).UID(), nil }))))
	server.OnConnect = func(c *peer.Conn) { conns <- c }
	ended := make(chan struct{}, 10)
	server.OnDisconnect = func(*peer.Conn) { ended <- struct{}{} }
	url := start(t, server)
	r := dialRaw(t, url, nil)
	first := <-conns
	require.NoError(t, first.Session().Push(t.Context(), "push", 1))
	assert.Equal(t, `{"jsonrpc":"2.0","method":"push","params":[1]}`, r.receive()) // no number before a client calls kami.resume
	answer := r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.resume","params":{"token":"","seq":0}}`)
	s := first.Session()
	token := s.Token()
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":{"recovered":false,"token":"`+token+`","seq":1}}`, answer)
	require.NoError(t, s.Push(t.Context(), "push", 2))
	assert.Equal(t, `{"jsonrpc":"2.0","method":"push","params":[2],"seq":2}`, r.receive())
	r.ask(`{"jsonrpc":"2.0","id":1,"method":"bind","params":["kim"]}`)
	assert.Contains(t, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.resume","params":{"token":"","seq":0}}`), `"code":409`)
	_ = r.CloseNow()
	<-ended
	require.NoError(t, s.Push(t.Context(), "push", 3))
	require.NoError(t, s.Push(t.Context(), "push", 4))

	r = dialRaw(t, url, nil)
	fresh := (<-conns).Session()
	assert.Equal(t, `{"jsonrpc":"2.0","id":"a","result":{"recovered":true,"token":"`+token+`","seq":2}}`,
		r.ask(`{"jsonrpc":"2.0","id":"a","method":"kami.resume","params":{"token":"`+token+`","seq":2}}`))
	assert.Equal(t, `{"jsonrpc":"2.0","method":"push","params":[3],"seq":3}`, r.receive())
	assert.Equal(t, `{"jsonrpc":"2.0","method":"push","params":[4],"seq":4}`, r.receive())
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"kim"}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"uid"}`))
	require.NoError(t, s.Push(t.Context(), "push", 5))
	assert.Equal(t, `{"jsonrpc":"2.0","method":"push","params":[5],"seq":5}`, r.receive())
	<-fresh.Done()

	// An unknown token is answered with a new one, and ends no session.
	r2 := dialRaw(t, url, nil)
	other := (<-conns).Session()
	got := r2.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.resume","params":{"token":"WRONG","seq":7}}`)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":{"recovered":false,"token":"`+other.Token()+`","seq":0}}`, got)
	// If two connections show one token, the later one gets the session.
	r3 := dialRaw(t, url, nil)
	<-conns
	assert.Contains(t, r3.ask(`{"jsonrpc":"2.0","id":"a","method":"kami.resume","params":{"token":"`+token+`","seq":5}}`), `"recovered":true`)
	code, reason := r.closed()
	assert.Equal(t, 1008, code)
	assert.Equal(t, "another connection has resumed the session", reason)
	for _, params := range []string{`[1,2]`, `"x"`, `{"token":1}`, `{"seq":-1}`} {
		r4 := dialRaw(t, url, nil)
		<-conns
		assert.Contains(t, r4.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.resume","params":`+params+`}`), `"error"`)
		r4.silence()
	}
	r5 := dialRaw(t, url, nil)
	assert.Contains(t, r5.ask(`[{"jsonrpc":"2.0","id":1,"method":"kami.resume"}]`), `"code":409`)
}

// TestP21NoResume checks the answer to kami.resume of a server whose sessions end with their connections.
func TestP21NoResume(t *testing.T) {
	r := dialRaw(t, start(t, newNode(nil)), nil)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":{"recovered":false,"token":"","seq":0}}`, r.ask(`{"jsonrpc":"2.0","id":1,"method":"kami.resume"}`))
	r.silence()
}

// TestP22 checks that a waiting session is resumed even if OnConnect has bound the new session to the same user.
func TestP22(t *testing.T) {
	server := resuming(newNode(nil))
	var last *session.Session
	server.OnConnect = func(c *peer.Conn) {
		last = c.Session()
		_ = last.Bind(context.Background(), "kim")
	}
	client, pushed, back := listener()
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		first := last
		for n := 1; n <= 3; n++ {
			p.Cut()
			synctest.Wait() // the session waits for its client
			require.NoError(t, first.Push(t.Context(), "push", n))
			time.Sleep(time.Minute / 2)
			assert.Equal(t, []string{"recovered true"}, back.take())
			assert.Equal(t, []int{n}, pushed.take())
			assert.Same(t, first, server.Sessions.ByUID("kim"))
		}
	}, peer.Reconnect(peer.Backoff{}))
}

// TestP22Order checks that pushes that come while a session is resumed are handled after the missed ones, in order.
func TestP22Order(t *testing.T) {
	server := resuming(newNode(nil))
	var first *session.Session
	server.OnConnect = func(c *peer.Conn) {
		if first == nil {
			first = c.Session()
		}
	}
	client, pushed, _ := listener()
	client.Queue = 1000
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		n, stop, stopped := 0, make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
				}
				n++
				assert.NoError(t, first.Push(t.Context(), "push", n))
				time.Sleep(100 * time.Microsecond)
			}
		}()
		for range 50 {
			time.Sleep(20 * time.Millisecond)
			p.Cut()
		}
		time.Sleep(time.Second)
		close(stop)
		<-stopped
		synctest.Wait()
		assert.Equal(t, numbers(1, n), pushed.take())
	}, peer.Reconnect(peer.Backoff{Min: time.Millisecond, Max: time.Millisecond}))
}

// TestP18Resume checks that a client gets a new session if it shows the token of another user's session, and that this user's
// connection goes on.
func TestP18Resume(t *testing.T) {
	var events trace
	server := resuming(newNode(mux("/uid", endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) {
		return session.FromContext(ctx).UID(), nil
	}))))
	server.Authenticate = authenticator(&events)
	conns := make(chan *peer.Conn, 1)
	server.OnConnect = func(c *peer.Conn) {
		select {
		case conns <- c:
		default:
		}
	}
	url := start(t, server)
	as := func(user string) raw { return dialRaw(t, url, http.Header{"Authorization": {"Bearer good-" + user}}) }
	const uid = `{"jsonrpc":"2.0","id":1,"method":"uid"}`
	owner := as("kim")
	owner.ask(`{"jsonrpc":"2.0","id":0,"method":"kami.resume"}`)
	s := (<-conns).Session()
	require.NoError(t, s.Bind(t.Context(), "kim"))
	resume := fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"kami.resume","params":{"token":%q,"seq":0}}`, s.Token())
	other := as("lee")
	assert.Contains(t, other.ask(resume), `"recovered":false`)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":""}`, other.ask(uid))
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"kim"}`, owner.ask(uid))
	_ = owner.CloseNow()
	require.NoError(t, s.Push(t.Context(), "secret", 1))
	again := as("kim")
	assert.Contains(t, again.ask(resume), `"recovered":true`)
	assert.Equal(t, `{"jsonrpc":"2.0","method":"secret","params":[1],"seq":1}`, again.receive())
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"kim"}`, again.ask(uid))
	other.silence()
}

// TestP21AtOnce checks that if many connections show the same token at the same moment, one gets the session and the others are
// closed.
func TestP21AtOnce(t *testing.T) {
	server := resuming(newNode(nil))
	conns := make(chan *peer.Conn, 100)
	server.OnConnect = func(c *peer.Conn) { conns <- c }
	url := start(t, server)
	first := dialRaw(t, url, nil)
	first.ask(`{"jsonrpc":"2.0","id":0,"method":"kami.resume"}`)
	s := (<-conns).Session()
	resume := fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"kami.resume","params":{"token":%q,"seq":0}}`, s.Token())
	ends := make(chan int)
	for range 20 {
		r := dialRaw(t, url, nil)
		go func() {
			if r.Write(context.Background(), websocket.MessageText, []byte(resume)) == nil {
				code, _ := r.closed()
				ends <- code
			}
		}()
	}
	for range 19 {
		assert.Equal(t, 1008, <-ends)
	}
	assert.Equal(t, 1, server.Sessions.Len())
	require.NoError(t, s.Kick(t.Context(), "enough"))
	assert.Equal(t, 1008, <-ends)
}

// TestP21Moving checks that a client that moves to another connection while it handles a push handles the next push after it.
func TestP21Moving(t *testing.T) {
	server := resuming(newNode(nil))
	conns := make(chan *peer.Conn, 2)
	server.OnConnect = func(c *peer.Conn) { conns <- c }
	var events trace
	client := newNode(mux("/push", endpoint.JSON(func(_ context.Context, n int) (struct{}, error) {
		events.add("%d begins", n)
		time.Sleep(time.Minute)
		events.add("%d ends", n)
		return struct{}{}, nil
	})))
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		time.Sleep(time.Minute)
		before := <-conns
		s := before.Session()
		require.NoError(t, s.Push(t.Context(), "push", 1))
		synctest.Wait()
		require.NoError(t, message.Notify(t.Context(), before, "kami.goaway", struct{}{}))
		synctest.Wait()
		require.NoError(t, s.Push(t.Context(), "push", 2))
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"1 begins", "1 ends", "2 begins", "2 ends"}, events.take())
	}, peer.Reconnect(peer.Backoff{}))
}
