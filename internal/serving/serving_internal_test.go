package serving

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/internal/pipe"
)

// These tests check the order of events, in bubbles with fake time and connections.

// started is a server that serves.
type started struct {
	*Server
	returned chan struct{} // closed when it has stopped
}

// start serves the handler on the listener, with a limit for a stop.
func start(t *testing.T, h http.Handler, limit time.Duration, l net.Listener, srv *http.Server) started {
	server, err := New(h, limit, l, srv)
	require.NoError(t, err)
	s := started{server, make(chan struct{})}
	go func() {
		defer close(s.returned)
		assert.NoError(t, s.Serve())
	}()
	synctest.Wait()
	return s
}

// drain begins a graceful stop, and waits until all connections and handlers know of it.
func (s started) drain() {
	s.Stop()
	synctest.Wait()
}

// newHandler adds /stream to pipe.Handler. Its handler returns when draining begins.
func newHandler() (m *http.ServeMux, release chan struct{}) {
	m, release = pipe.Handler()
	m.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		_ = http.NewResponseController(w).Flush()
		if r.Header.Get("Leave") != "" {
			return
		}
		<-Draining(r.Context())
		_, _ = io.WriteString(w, "bye")
	})
	return m, release
}

func TestDrainConnections(t *testing.T) {
	for _, test := range []struct {
		name string
		use  func(t *testing.T, l *pipe.Listener, drain func())
		last time.Duration // from when use returns
	}{
		{"none", func(_ *testing.T, _ *pipe.Listener, drain func()) { drain() }, 0},
		{"silent", func(t *testing.T, l *pipe.Listener, drain func()) {
			l.Dial(t)
			drain()
		}, linger},
		{"silent and half a header", func(t *testing.T, l *pipe.Listener, drain func()) {
			_, err := io.WriteString(l.Dial(t), "GET / HT")
			require.NoError(t, err)
			drain()
		}, linger},
		{"accepted but unread", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			drain()
			time.Sleep(linger - time.Millisecond)
			c.Send("/")
			assert.True(t, c.Answer("root"))
			c.Ended()
		}, 0},
		{"idle", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			c.Send("/")
			assert.False(t, c.Answer("root"))
			drain()
			time.Sleep(linger - time.Millisecond)
			c.Send("/")
			assert.True(t, c.Answer("root"))
			c.Ended()
		}, 0},
		{"idle and silent to the end", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			c.Send("/")
			c.Answer("root")
			drain()
		}, linger},
		{"stream", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			c.Send("/stream")
			synctest.Wait()
			drain()
			assert.False(t, c.Answer("bye"), "its header had gone out before")
		}, linger}, // as its client may ask again
		{"event stream", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			c.Send("/stream", "Accept: text/event-stream")
			synctest.Wait()
			drain()
			assert.False(t, c.Answer("bye"), "its header had gone out before")
			c.Ended()
		}, 0},
		{"event stream that begins late", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			drain()
			c.Send("/stream", "Accept: text/event-stream")
			assert.True(t, c.Answer("bye"))
			c.Ended()
		}, 0},
		{"after an event stream", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			c.Send("/stream", "Accept: text/event-stream", "Leave: at once")
			c.Answer("")
			drain()
			c.Send("/")
			assert.True(t, c.Answer("root"))
			c.Ended()
		}, 0},
		{"switching protocols", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			drain()
			c.Send("/", "Connection: Upgrade", "Upgrade: websocket")
			assert.False(t, c.Answer("root"), "the Connection header is the handler's")
			c.Send("/")
			assert.True(t, c.Answer("root"))
		}, 0},
		{"offering h2c", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			drain()
			c.Send("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
			assert.True(t, c.Answer("root"))
		}, 0},
		{"HTTP/1.0", func(t *testing.T, l *pipe.Listener, drain func()) {
			c := l.Dial(t)
			drain()
			_, err := io.WriteString(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			require.NoError(t, err)
			assert.True(t, c.Answer("root"))
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := newHandler()
				l := pipe.Listen()
				s := start(t, m, 0, l, nil)
				test.use(t, l, s.drain)
				pipe.ReturnsAfter(t, test.last, s.returned)
			})
		})
	}
}

func TestStreamEndsTheDrainWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := http.NewServeMux()
		m.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
			<-Draining(r.Context())
			time.Sleep(time.Minute)
		})
		l := pipe.Listen()
		s := start(t, m, 0, l, nil)
		c := l.Dial(t)
		c.Send("/stream")
		synctest.Wait()
		s.drain()
		go c.Answer("")
		pipe.ReturnsAfter(t, time.Minute, s.returned)
	})
}

// TestForceEndsContexts has handlers that would go on after the end of their connections.
func TestForceEndsContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, causes := pipe.Listen(), make(chan error, 2)
		s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, ctx := range []context.Context{r.Context(), Ends(r.Context(), context.Background())} {
				<-ctx.Done()
				causes <- context.Cause(ctx)
			}
		}), time.Hour, l, nil)
		l.Dial(t).Send("/")
		s.drain()
		s.Force()
		pipe.ReturnsAfter(t, 0, s.returned)
		<-s.Forced()
		assert.Equal(t, http.ErrServerClosed, <-causes)
		assert.Equal(t, http.ErrServerClosed, <-causes)
	})
}

// deafListener behaves like a listener on a socket in blocking mode: Accept hangs until a connection comes, and Close hangs until
// Accept has returned. The test releases them.
type deafListener struct{ *pipe.Listener }

func (l deafListener) Accept() (net.Conn, error) { return <-l.Conns, nil }
func (l deafListener) Close() error              { <-l.Closed; return nil }

// release ends Accept with a connection, which must not be served any more.
func (l deafListener) release(t *testing.T) {
	c := l.Dial(t)
	c.Ended()
	close(l.Closed)
}

func TestForcedWhileAcceptHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := deafListener{pipe.Listen()}
		s := start(t, http.NotFoundHandler(), 0, l, nil)
		s.drain()
		s.Force()
		pipe.ReturnsAfter(t, 0, s.returned)
		l.release(t)
	})
}

func TestDrainTimeoutWhileAcceptHangs(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("with a request: ", busy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, release := newHandler()
				l := deafListener{pipe.Listen()}
				s := start(t, m, time.Minute, l, nil)
				want := time.Minute
				var c *pipe.Peer
				if busy {
					c = l.Dial(t)
					c.Send("/slow")
					want += linger
				}
				s.drain()
				pipe.ReturnsAfter(t, want, s.returned)
				close(release)
				if busy {
					c.Ended()
				}
				l.release(t)
			})
		})
	}
}

// TestLingerOfLateConnections has a hanging Accept accept a connection long after draining has begun.
func TestLingerOfLateConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newHandler()
		l := deafListener{pipe.Listen()}
		var logged bytes.Buffer
		srv := Defaults()
		srv.ErrorLog = log.New(&logged, "", 0)
		s := start(t, m, 0, l, srv)
		s.drain()
		time.Sleep(time.Minute)
		late := l.Dial(t)
		synctest.Wait()
		assert.Contains(t, logged.String(),
			"kami: Accept on pipe does not return until a connection comes, and none can be made: dial")
		time.Sleep(linger - time.Millisecond)
		late.Send("/")
		assert.True(t, late.Answer("root"))
		late.Ended()
		pipe.ReturnsAfter(t, 0, s.returned)
		close(l.Closed)
	})
}

// valueConn cannot be the key of a map.
type valueConn struct {
	net.Conn
	_ []byte
}

type valueListener struct{ *pipe.Listener }

func (l valueListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return valueConn{Conn: c}, err
}

func TestConnectionsThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newHandler()
		l := valueListener{pipe.Listen()}
		s := start(t, m, 0, l, nil)
		c := l.Dial(t)
		s.drain()
		c.Send("/")
		assert.True(t, c.Answer("root"))
		<-s.returned
	})
}

func TestShortDrainTimeoutEndsTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newHandler()
		l := pipe.Listen()
		s := start(t, m, linger/10, l, nil)
		l.Dial(t)
		s.drain()
		pipe.ReturnsAfter(t, linger/10, s.returned)
	})
}

// TestRegisterOnShutdownOnce checks that functions run once, because they may close a channel.
func TestRegisterOnShutdownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe.Listen()
		m, release := newHandler()
		calls := make(chan struct{}, 8)
		srv := &http.Server{}
		srv.RegisterOnShutdown(func() { calls <- struct{}{} })
		s := start(t, m, 0, l, srv)
		c := l.Dial(t)
		c.Send("/slow")
		s.Stop()
		time.Sleep(time.Minute)
		close(release)
		c.Answer("slow")
		<-s.returned
		assert.Len(t, calls, 1)
	})
}

func TestDefaultTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, release := newHandler()
		l := pipe.Listen()
		s := start(t, m, 0, l, nil)
		var slow [500]*pipe.Peer
		for i := range slow {
			slow[i] = l.Dial(t)
			_, err := io.WriteString(slow[i], "GET / HTTP/1.1\r\nHost: ")
			require.NoError(t, err)
		}
		idle, busy := l.Dial(t), l.Dial(t)
		busy.Send("/slow")
		idle.Send("/")
		idle.Answer("root")
		start := time.Now()
		for _, c := range slow {
			c.Ended()
		}
		assert.Equal(t, headerTimeout, time.Since(start))
		idle.Ended()
		assert.Equal(t, idleTimeout, time.Since(start))
		time.Sleep(24 * time.Hour)
		close(release)
		assert.False(t, busy.Answer("slow"), "a response may take any time")
		s.drain()
		<-s.returned
	})
}
