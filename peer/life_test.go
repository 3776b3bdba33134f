package peer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

func TestP14(t *testing.T) {
	for _, heartbeat := range []time.Duration{0, time.Second} {
		ended := time.Duration(0)
		server := newNode(mux("/wait", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			start := time.Now()
			<-ctx.Done()
			ended = time.Since(start)
		}))
		server.Heartbeat = heartbeat
		client := newNode(nil)
		client.Heartbeat = 24 * time.Hour
		every := heartbeat
		if every == 0 {
			every = 25 * time.Second
		}
		piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
			time.Sleep(time.Hour + time.Millisecond) // with pongs it lives on
			require.NoError(t, c.Err())
			assert.Equal(t, int(time.Hour/every), p.Pings(), "pings of the server")
			require.NoError(t, message.Notify(t.Context(), c, "wait", 1))
			synctest.Wait()
			p.Deaf()
			<-c.Done()
			synctest.Wait()
			assert.Equal(t, 2*every, ended)
			assert.ErrorContains(t, c.Err(), fmt.Sprintf("nothing has been read for %v", 2*every))
		})
	}
}

// TestP14Reading checks that a connection without pongs does not end while messages come.
func TestP14Reading(t *testing.T) {
	piped(t, newNode(nil), newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		p.Deaf()
		for range 100 {
			time.Sleep(45 * time.Second)
			_, err := message.Remote[struct{}, string](c, "kami.ping")(t.Context(), struct{}{})
			require.NoError(t, err)
		}
	})
}

// calling counts the calls of several goroutines. Each goroutine calls one call after the other until stop.
type calling struct {
	all       sync.WaitGroup
	mu        sync.Mutex
	by        map[string]int
	failed    []error
	cancelled chan struct{}
}

func startCalling(t *testing.T, c *peer.Conn, callers int) *calling {
	a := &calling{by: map[string]int{}, cancelled: make(chan struct{})}
	call := message.Remote[time.Duration, string](c, "work")
	for i := range callers {
		a.all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-a.cancelled:
					return
				default:
				}
				got, err := call(t.Context(), time.Duration((n*7+i*13)%40)*time.Millisecond)
				a.mu.Lock()
				if a.by[got]++; err != nil {
					a.failed = append(a.failed, err)
				}
				a.mu.Unlock()
				time.Sleep(time.Duration((n*11+i*3)%30) * time.Millisecond)
			}
		})
	}
	return a
}

func (a *calling) stop() (by map[string]int, failed []error) {
	close(a.cancelled)
	a.all.Wait()
	return a.by, a.failed
}

// worker returns a Node whose calls are answered with name.
func worker(name string) *peer.Node {
	n := newNode(mux("/work", endpoint.JSON(func(_ context.Context, d time.Duration) (string, error) { time.Sleep(d); return name, nil })))
	n.Concurrent = 8
	return n
}

// TestP16 restarts servers while clients with Reconnect call. It checks that no call fails, and that each client leaves a server that
// stops.
func TestP16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*peer.Node{worker("0"), worker("1"), worker("2"), worker("3"), worker("4")}
		p := peer.NewPipe(servers[0])
		var conns []*peer.Conn
		var callings []*calling
		client := newNode(nil)
		for range 16 {
			c, err := client.Dial(t.Context(), "ws://pipe", peer.Reconnect(peer.Backoff{}), p.Over())
			require.NoError(t, err)
			conns, callings = append(conns, c), append(callings, startCalling(t, c, 4))
		}
		for _, next := range servers[1:] {
			time.Sleep(3 * time.Second)
			old := p.Stop
			p.Serve(next, make(chan struct{}))
			close(old)
		}
		time.Sleep(3 * time.Second)
		for _, a := range callings {
			by, failed := a.stop()
			assert.Empty(t, failed)
			assert.Len(t, by, len(servers), "%v", by)
		}
		for _, c := range conns {
			assert.NoError(t, c.Err())
			require.NoError(t, c.Close())
		}
		p.Wait() // the servers are not closed: all clients have left them
		require.NoError(t, client.Close(context.Background()))
	})
}

// TestP16NodeClose closes a server under load, and starts another one. It checks that calls wait for it, and that none fails.
func TestP16NodeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := worker("0")
		p := peer.NewPipe(server)
		client := newNode(nil)
		c, err := client.Dial(t.Context(), "ws://pipe", peer.Reconnect(peer.Backoff{}), p.Over())
		require.NoError(t, err)
		a := startCalling(t, c, 8)
		for range 5 {
			time.Sleep(3 * time.Second)
			go func(old *peer.Node) { assert.NoError(t, old.Close(context.Background())) }(server)
			time.Sleep(time.Second)
			server = worker("1")
			p.Serve(server, make(chan struct{}))
		}
		time.Sleep(3 * time.Second)
		_, failed := a.stop()
		assert.Empty(t, failed)
		require.NoError(t, c.Close())
		p.Wait()
		require.NoError(t, client.Close(context.Background()))
	})
}

// TestP16Goaway checks that a client that ignores kami.goaway is closed with 1012, after its call has been answered.
func TestP16Goaway(t *testing.T) {
	server := worker("0")
	server.DrainRate = 1
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		start := time.Now()
		got := make(chan time.Duration, 1)
		go func() {
			_, err := message.Remote[time.Duration, string](c, "work")(t.Context(), 2*time.Second)
			assert.NoError(t, err)
			got <- time.Since(start)
		}()
		synctest.Wait()
		close(p.Stop)
		<-c.Done()
		assert.Equal(t, 2*time.Second, <-got)
		assert.Equal(t, 2500*time.Millisecond, time.Since(start)) // the goaway's within is one second, and the call ends at 2 s
		assert.ErrorContains(t, c.Err(), "StatusServiceRestart")
	})
}

// TestP16LastMoment checks that a server closes an idle connection 500 ms after the time of its goaway, because a client may begin to
// reconnect at the last moment, and needs time for it.
func TestP16LastMoment(t *testing.T) {
	server := newNode(nil)
	server.DrainRate = 1
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		synctest.Wait()
		start := time.Now()
		close(p.Stop)
		<-c.Done()
		assert.Equal(t, 1500*time.Millisecond, time.Since(start)) // the goaway's within is one second
		assert.ErrorContains(t, c.Err(), "StatusServiceRestart")
	})
}

// TestP16Frames checks the frames of kami.goaway, and the close frame.
func TestP16Frames(t *testing.T) {
	server := newNode(nil)
	r := dialRaw(t, start(t, server), nil)
	r.silence()
	closed := make(chan error, 1)
	go func() { closed <- server.Close(context.Background()) }()
	assert.Equal(t, `{"jsonrpc":"2.0","method":"kami.goaway","params":{"within":1}}`, r.receive())
	r.silence() // calls still run
	code, reason := r.closed()
	assert.Equal(t, 1012, code)
	assert.Equal(t, "the server restarts", reason)
	assert.NoError(t, <-closed)
	w, err := newNode(nil).Dial(t.Context(), "ws://127.0.0.1:1")
	assert.Nil(t, w)
	assert.Error(t, err)
}

// TestP16Moved moves a session to another server after kami.goaway. It checks that a call that has not run is not answered, so that
// the client sends it to the other server.
func TestP16Moved(t *testing.T) {
	began, release, ran := make(chan struct{}), make(chan struct{}), new(atomic.Int32)
	calls := mux("/hold", endpoint.JSON(func(context.Context, struct{}) (string, error) { close(began); <-release; return "held", nil }))
	calls.Post("/run", endpoint.JSON(func(context.Context, struct{}) (string, error) { ran.Add(1); return "ran", nil }))
	server := resuming(newNode(calls))
	conns := make(chan *peer.Conn, 1)
	server.OnConnect = func(c *peer.Conn) { conns <- c }
	r := dialRaw(t, start(t, server), nil)
	r.ask(`{"jsonrpc":"2.0","id":0,"method":"kami.resume"}`)
	token := (<-conns).Session().Token()
	closed := make(chan error, 1)
	go func() { closed <- server.Close(context.Background()) }()
	assert.Contains(t, r.receive(), "kami.goaway")
	r.send(`{"jsonrpc":"2.0","id":1,"method":"hold"}`)
	<-began
	_, moved := server.Sessions.Give(token, 0, "")
	assert.True(t, moved)
	r.send(`{"jsonrpc":"2.0","id":2,"method":"run"}`)
	close(release)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"held"}`, r.receive())
	code, reason := r.closed()
	assert.Equal(t, 1012, code)
	assert.Equal(t, "the session has moved", reason)
	assert.Zero(t, ran.Load())
	assert.NoError(t, <-closed)
}

// TestP16Unanswered checks that a call without an answer fails with ErrNotSent if the close frame has the status 1012, because it has
// not run. With another status it may have run.
func TestP16Unanswered(t *testing.T) {
	for code, want := range map[websocket.StatusCode]error{1012: peer.ErrNotSent, 1001: peer.ErrClosed, 1000: peer.ErrClosed} {
		url := fake(t, func(r raw) {
			r.receive()
			_ = r.Close(code, "bye")
		})
		_, err := dial(t, newNode(nil), url).Call(t.Context(), &message.Message{Route: "a"})
		assert.ErrorIs(t, err, want)
		assert.Equal(t, code == 1012, errors.Is(err, message.ErrUndelivered))
	}
}

// TestP16Again checks that a connection with Reconnect repeats a call that a close frame with 1012 has left unanswered.
func TestP16Again(t *testing.T) {
	n := 0
	url := fake(t, func(r raw) {
		assert.Contains(t, r.receive(), `{"jsonrpc":"2.0","id":1,"method":"kami.resume","params":{"token":"","seq":0},"timeout":`)
		r.send(`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}`)
		assert.Equal(t, `{"jsonrpc":"2.0","id":2,"method":"a"}`, r.receive())
		if n++; n < 3 {
			_ = r.Close(1012, "bye")
			return
		}
		r.send(`{"jsonrpc":"2.0","id":2,"result":"third"}`)
		_, _, _ = r.Read(context.Background())
	})
	c := dial(t, newNode(nil), url, peer.Reconnect(peer.Backoff{Min: 1, Max: 1}))
	reply, err := c.Call(t.Context(), &message.Message{Route: "a"})
	require.NoError(t, err)
	assert.Equal(t, `"third"`, string(reply.Body))
}

// TestP16Limit checks that the end of the server's context ends the contexts of handlers that still run, and that their calls are
// answered.
func TestP16Limit(t *testing.T) {
	var events trace
	server := newNode(mux("/stubborn", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		<-ctx.Done()
		time.Sleep(100 * time.Millisecond)
		events.add("ends")
	}))
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(server)
		base, end := context.WithCancel(t.Context())
		p.Base(base)
		c, err := newNode(nil).Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		go func() {
			_, err := c.Call(t.Context(), &message.Message{Route: "stubborn"})
			assert.NoError(t, err) // the call is answered
			events.add("answered")
		}()
		synctest.Wait()
		close(p.Stop)
		time.Sleep(time.Minute)
		assert.NoError(t, c.Err())
		end()
		<-c.Done()
		p.Wait()
		synctest.Wait()
		assert.ErrorContains(t, c.Err(), "StatusGoingAway")
		assert.Equal(t, []string{"ends", "answered"}, events.take())
	})
}

// TestP16CloseLimit checks that Node.Close returns at the end of its context.
func TestP16CloseLimit(t *testing.T) {
	server := newNode(mux("/wait", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { <-ctx.Done() }))
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(server)
		client := newNode(nil)
		c, err := client.Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		require.NoError(t, message.Notify(t.Context(), c, "wait", 1))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.ErrorIs(t, server.Close(ctx), context.DeadlineExceeded)
		<-c.Done()
		p.Wait()
		_, err = client.Dial(t.Context(), "ws://pipe", p.Over())
		assert.Error(t, err)
		assert.NoError(t, client.Close(t.Context()))
		_, err = client.Dial(t.Context(), "ws://pipe", p.Over())
		assert.ErrorContains(t, err, "the Node is closed")
	})
}

// TestP16CloseClient checks that Close of a client waits for the answer to its call.
func TestP16CloseClient(t *testing.T) {
	server, client := worker("0"), newNode(nil)
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		done := make(chan error, 1)
		go func() {
			_, err := message.Remote[time.Duration, string](c, "work")(t.Context(), 3*time.Second)
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, client.Close(t.Context()))
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.NoError(t, <-done)
	}, peer.Reconnect(peer.Backoff{}))
}

func TestP17(t *testing.T) {
	var connects trace
	server, client := worker("0"), newNode(nil)
	client.OnConnect = func(*peer.Conn) { connects.add("connect") }
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		call := message.Remote[time.Duration, string](c, "work")
		inFlight := make(chan error, 1)
		go func() { _, err := call(t.Context(), time.Second); inFlight <- err }()
		synctest.Wait()
		p.Serve(nil, nil)
		p.Cut()
		err := <-inFlight
		assert.ErrorIs(t, err, peer.ErrClosed)
		assert.NotErrorIs(t, err, peer.ErrNotSent)

		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = call(ctx, 0)
		cancel()
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, peer.ErrNotSent)
		assert.Equal(t, time.Second, time.Since(start))

		waiting := make(chan error, 1)
		go func() { _, err := call(t.Context(), 0); waiting <- err }()
		time.Sleep(time.Hour)
		before := p.Dials()
		assert.GreaterOrEqual(t, before, 3600/30)
		assert.Less(t, before, 1000)
		p.Serve(server, make(chan struct{}))
		assert.NoError(t, <-waiting)
		assert.Equal(t, []string{"connect", "connect"}, connects.take())
		assert.NoError(t, c.Err())
		// Close ends a call that waits for a connection.
		p.Serve(nil, nil)
		p.Cut()
		synctest.Wait()
		go func() { _, err := call(t.Context(), 0); waiting <- err }()
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.ErrorIs(t, <-waiting, peer.ErrNotSent)
		p.Serve(server, make(chan struct{}))
	}, peer.Reconnect(peer.Backoff{}))
}

// TestP17Dial checks that Dial with Reconnect tries until its context ends.
func TestP17Dial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(nil)
		client := newNode(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Dial(ctx, "ws://pipe", p.Over(), peer.Reconnect(peer.Backoff{}))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Greater(t, p.Dials(), 5)
		server := newNode(nil)
		go func() { time.Sleep(time.Minute); p.Serve(server, nil) }()
		c, err := client.Dial(t.Context(), "ws://pipe", p.Over(), peer.Reconnect(peer.Backoff{}))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		p.Wait()
		require.NoError(t, client.Close(t.Context()))
	})
}

// TestP17Silent leaves attempts to connect unanswered for 10 s. It checks that the attempt ends, and that the next one connects.
func TestP17Silent(t *testing.T) {
	server := newNode(mux("/square", endpoint.JSON(func(_ context.Context, n float64) (float64, error) { return n * n, nil })))
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		p.Silence(true)
		p.Cut()
		synctest.Wait()
		time.Sleep(10 * time.Second) // during the attempt
		p.Silence(false)
		got, err := message.Remote[float64, float64](c, "square")(t.Context(), 4)
		assert.NoError(t, err)
		assert.Equal(t, 16.0, got)
	}, peer.Reconnect(peer.Backoff{}))
}

// TestP17Refused checks that Dial with Reconnect tries again after 503, but not after 401 and 403, unless Token returns another
// credential.
func TestP17Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(newNode(nil))
		client := newNode(nil)
		p.Refuse(503)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Dial(ctx, "ws://pipe", p.Over(), peer.Reconnect(peer.Backoff{}))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		for _, status := range []int{401, 403} {
			p.Refuse(status)
			before := p.Dials()
			_, err = client.Dial(t.Context(), "ws://pipe", p.Over(), peer.Reconnect(peer.Backoff{}))
			assert.ErrorIs(t, err, endpoint.Error(status, http.StatusText(status)))
			assert.Equal(t, 1, p.Dials()-before)

			tokens := 0
			token := peer.Token(func(context.Context) (string, string, time.Time, error) {
				tokens++
				return "Key", fmt.Sprint(min(tokens, 5)), time.Time{}, nil // the first five credentials differ
			})
			_, err = client.Dial(t.Context(), "ws://pipe", p.Over(), peer.Reconnect(peer.Backoff{}), token)
			assert.ErrorIs(t, err, endpoint.Error(status, http.StatusText(status)))
			assert.Equal(t, []string{"Key 5"}, p.Header["Authorization"])
		}
		require.NoError(t, client.Close(t.Context()))
	})
}

// TestP18Token checks that a new credential is shown before the last one expires.
func TestP18Token(t *testing.T) {
	var events trace
	server := newNode(nil)
	server.Authenticate = authenticator(&events)
	began, n := time.Time{}, 0
	token := peer.Token(func(context.Context) (string, string, time.Time, error) {
		n++
		return "Bearer", fmt.Sprintf("good-%d-%v", n, time.Since(began)), time.Now().Add(time.Minute), nil
	})
	synctest.Test(t, func(t *testing.T) {
		began = time.Now()
		p := peer.NewPipe(server)
		client := newNode(nil)
		c, err := client.Dial(t.Context(), "ws://pipe", p.Over(), peer.Reconnect(peer.Backoff{}), token)
		require.NoError(t, err)
		time.Sleep(150 * time.Second)
		assert.Equal(t, []string{"Bearer good-2-54s", "Bearer good-3-1m48s"}, events.take())
		require.NoError(t, c.Close())
		p.Wait()
		require.NoError(t, client.Close(t.Context()))
	})
}

// TestP16URL checks that a client follows the URL of a kami.goaway only if its credential may be shown there, by the rules of net/http
// for redirects.
func TestP16URL(t *testing.T) {
	const own = "wss://pipe.test/kite"
	for url, followed := range map[string]bool{
		"wss://pipe.test/other": true, "https://pipe.test:8443/kite": true, "wss://two.PIPE.test/kite": true,
		"wss://other.test/kite": false, "wss://otherpipe.test/kite": false, "wss://test/kite": false, "wss://pipe.test@other.test/": false,
		"ws://pipe.test/kite": false, "http://pipe.test/kite": false, "ftp://pipe.test/": false, "//other.test": false, "%": false, "": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			server, told := newNode(nil), false
			server.OnConnect = func(c *peer.Conn) {
				if !told {
					told = true
					go func() {
						assert.NoError(t, message.Notify(t.Context(), c, "kami.goaway", map[string]any{"within": 0, "url": url}))
					}()
				}
			}
			p, client := peer.NewPipe(server), newNode(nil)
			c, err := client.Dial(t.Context(), own, peer.Reconnect(peer.Backoff{}), p.Over())
			require.NoError(t, err)
			time.Sleep(time.Second)
			want := []string{own, own}
			if followed {
				want[1] = url
			}
			assert.Equal(t, want, p.URLs())
			require.NoError(t, c.Close())
			require.NoError(t, server.Close(context.Background()))
			p.Wait()
		})
	}
}

// TestP16Storm has a server that sends kami.goaway to each new connection at once. It checks that its client waits before it connects
// again.
func TestP16Storm(t *testing.T) {
	server := newNode(nil)
	server.OnConnect = func(c *peer.Conn) {
		go func() { _ = message.Notify(context.Background(), c, "kami.goaway", map[string]any{"within": 0}) }()
	}
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, _ *peer.Conn) {
		time.Sleep(time.Minute)
		assert.Less(t, p.Dials(), 1000) // the wait between two attempts is up to 250 ms
		assert.Greater(t, p.Dials(), 240)
	}, peer.Reconnect(peer.Backoff{}))
}

// TestP15Goexit checks that connections and reconnecting go on if functions of the app end their goroutines.
func TestP15Goexit(t *testing.T) {
	var log lockedBuffer
	server := newNode(mux("/square", endpoint.JSON(func(_ context.Context, n float64) (float64, error) { return n * n, nil })))
	client := newNode(nil)
	for _, n := range []*peer.Node{server, client} {
		n.Log = slog.New(slog.NewTextHandler(&log, nil))
		n.OnConnect = func(*peer.Conn) { runtime.Goexit() }
		n.OnFirstRequest, n.OnDisconnect = n.OnConnect, n.OnConnect
		n.OnResume = func(*peer.Conn, bool) { runtime.Goexit() }
	}
	server.Authenticate = func(context.Context, string, string) (context.Context, error) { runtime.Goexit(); return nil, nil }
	var tokens atomic.Int32
	token := peer.Token(func(context.Context) (string, string, time.Time, error) {
		if tokens.Add(1) < 3 {
			runtime.Goexit()
		}
		return "Bearer", "good-kim", time.Time{}, nil
	})
	piped(t, server, client, func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		for range 2 {
			got, err := message.Remote[float64, float64](c, "square")(t.Context(), 4)
			assert.NoError(t, err)
			assert.Equal(t, 16.0, got)
			tokens.Store(0)
			p.Cut()
			synctest.Wait()
		}
		reply, err := c.Call(t.Context(), &message.Message{Route: "kami.auth", Body: []byte(`{"scheme":"Bearer","credential":"x"}`)})
		require.NoError(t, err)
		assert.Equal(t, 500, reply.Status)
	}, peer.Reconnect(peer.Backoff{}), token)
	for _, hook := range []string{"OnConnect", "OnFirstRequest", "OnDisconnect", "OnResume"} {
		assert.Contains(t, log.String(), "hook="+hook+` err="it has ended its goroutine"`)
	}
	assert.Contains(t, log.String(), "Authenticate: it has ended its goroutine")
}
