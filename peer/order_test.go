package peer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// piped runs a test in a bubble of testing/synctest, with a server and a connection to it.
func piped(t *testing.T, server, client *peer.Node, test func(t *testing.T, p *peer.Pipe, c *peer.Conn), opts ...peer.DialOption) {
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(server)
		c, err := client.Dial(t.Context(), "ws://pipe", append(opts, p.Over())...)
		require.NoError(t, err)
		synctest.Wait() // OnConnect has run at both sides
		test(t, p, c)
		require.NoError(t, c.Close())
		require.NoError(t, client.Close(context.Background()))
		require.NoError(t, server.Close(context.Background()))
		p.Wait()
	})
}

// mux returns a Mux with the routes. Each route is given as a path and a handler.
func mux(routes ...any) *kami.Mux {
	m := kami.New()
	for i := 0; i < len(routes); i += 2 {
		m.Post(routes[i].(string), routes[i+1])
	}
	return m
}

// trace is a list of events, in order.
type trace struct {
	mu     sync.Mutex
	events []string
}

func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, fmt.Sprintf(format, args...))
}

func (t *trace) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	events := t.events
	t.events = nil
	return events
}

func TestP11Order(t *testing.T) {
	for _, concurrent := range []int{0, 1, 3} {
		most, running := 0, 0
		var mu sync.Mutex
		var began []int
		server := newNode(mux("/work", endpoint.JSON(func(_ context.Context, n int) (int, error) {
			mu.Lock()
			running++
			most, began = max(most, running), append(began, n)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return n, nil
		})))
		server.Concurrent = concurrent
		piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
			var want, answered []int
			var all sync.WaitGroup
			for n := range 9 {
				want = append(want, n)
				all.Go(func() {
					got, err := message.Remote[int, int](c, "work")(t.Context(), n)
					assert.NoError(t, err)
					mu.Lock()
					answered = append(answered, got)
					mu.Unlock()
				})
				synctest.Wait()
			}
			start := time.Now()
			all.Wait()
			assert.Equal(t, max(concurrent, 1), most)
			assert.Equal(t, time.Duration(9/max(concurrent, 1))*time.Second, time.Since(start))
			if concurrent < 2 {
				assert.Equal(t, want, began)
				assert.Equal(t, want, answered)
			}
		})
	}
}

// TestP11Nested checks that calls of both sides can be nested eight deep.
func TestP11Nested(t *testing.T) {
	down := func(ctx context.Context, n int) (string, error) {
		if n == 0 {
			return "0", nil
		}
		got, err := message.Remote[int, string](peer.FromContext(ctx), "down")(ctx, n-1)
		return fmt.Sprint(n, " ", got), err
	}
	server, client := newNode(mux("/down", endpoint.JSON(down))), newNode(mux("/down", endpoint.JSON(down)))
	piped(t, server, client, func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		for range 3 {
			got, err := message.Remote[int, string](c, "down")(t.Context(), 8)
			require.NoError(t, err)
			assert.Equal(t, "8 7 6 5 4 3 2 1 0", got)
		}
	})
}

// TestP11Handover checks that the next call runs while a handler waits for its caller, and that the handler goes on when that call
// has ended.
func TestP11Handover(t *testing.T) {
	var events trace
	first := func(ctx context.Context, n int) (int, error) {
		events.add("first calls back")
		_, err := message.Remote[int, int](peer.FromContext(ctx), "back")(ctx, n)
		events.add("first goes on")
		return n, err
	}
	plain := func(_ context.Context, n int) (int, error) {
		events.add("call %d", n)
		time.Sleep(2 * time.Second)
		events.add("call %d ends", n)
		return n, nil
	}
	back := func(_ context.Context, n int) (int, error) { time.Sleep(time.Second); return n, nil }
	server, client := newNode(mux("/first", endpoint.JSON(first), "/call", endpoint.JSON(plain))), newNode(mux("/back", endpoint.JSON(back)))
	piped(t, server, client, func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		var all sync.WaitGroup
		call := func(route string, n int) {
			all.Go(func() {
				_, err := message.Remote[int, int](c, route)(t.Context(), n)
				assert.NoError(t, err)
			})
			synctest.Wait()
		}
		call("first", 1)
		call("call", 2)
		call("call", 3)
		all.Wait()
		assert.Equal(t, []string{"first calls back", "call 2", "call 2 ends", "first goes on", "call 3", "call 3 ends"}, events.take())
	})
}

// TestP11Overtaking checks that the answer to a call does not wait behind queued messages.
func TestP11Overtaking(t *testing.T) {
	var conn *peer.Conn
	release := make(chan struct{})
	client := newNode(mux("/block", func(http.ResponseWriter, *http.Request) { <-release }))
	server := newNode(mux("/hello", endpoint.JSON(func(context.Context, int) (string, error) { return "hello", nil })))
	server.OnConnect = func(c *peer.Conn) { conn = c }
	piped(t, server, client, func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		release = make(chan struct{})
		for range 5 {
			require.NoError(t, message.Notify(t.Context(), conn, "block", 1))
		}
		synctest.Wait()
		got, err := message.Remote[int, string](c, "hello")(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, "hello", got)
		close(release)
	})
}

func TestP11QueueFull(t *testing.T) {
	var release chan struct{}
	server := newNode(mux("/block", endpoint.JSON(func(_ context.Context, n int) (int, error) { <-release; return n, nil })))
	server.Queue = 3
	piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		release = make(chan struct{})
		var mu sync.Mutex
		var refused, answered []int
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				_, err := message.Remote[int, int](c, "block")(t.Context(), n)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answered = append(answered, n)
					return
				}
				assert.ErrorIs(t, err, endpoint.Error(429, "too many calls wait to be run"))
				refused = append(refused, n)
			})
			synctest.Wait()
		}
		assert.Equal(t, []int{4, 5}, refused)
		close(release)
		all.Wait()
		assert.ElementsMatch(t, []int{0, 1, 2, 3}, answered)
	})
}

// TestP11QueueBytes checks that the waiting calls of a connection hold at most four times MaxMessage bytes, whatever Queue is.
func TestP11QueueBytes(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	calls := mux("/block", endpoint.JSON(func(context.Context, struct{}) (int, error) { close(began); <-release; return 0, nil }))
	calls.Post("/take", endpoint.JSON(func(_ context.Context, r struct{ Text string }) (int, error) { return len(r.Text), nil }))
	server := newNode(calls)
	server.MaxMessage = 10_000
	r := dialRaw(t, start(t, server), nil)
	r.send(`{"jsonrpc":"2.0","id":0,"method":"block","params":{}}`)
	<-began
	for id := range 6 {
		r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"take","params":{"text":"%s"}}`, id+1, strings.Repeat("x", 9_900)))
	}
	r.send(`{"jsonrpc":"2.0","id":7,"method":"take","params":{"text":"x"}}`)
	for _, id := range []int{5, 6} {
		assert.Contains(t, r.receive(), fmt.Sprintf(`"id":%d,"error":{"code":429`, id))
	}
	close(release)
	for _, want := range []string{`"id":0,"result":0`, `"id":1,"result":9900`, `"id":2,"result":9900`, `"id":3,"result":9900`, `"id":4,"result":9900`, `"id":7,"result":1`} {
		assert.Contains(t, r.receive(), want)
	}
}

// TestP13NotificationBytes checks that unknown members of waiting notifications count towards PushQueue, because they are held in
// memory too.
func TestP13NotificationBytes(t *testing.T) {
	began, release, ran := make(chan struct{}), make(chan struct{}), new(atomic.Int32)
	calls := mux("/block", endpoint.JSON(func(context.Context, struct{}) (int, error) { close(began); <-release; return 0, nil }))
	calls.Post("/note", endpoint.JSON(func(context.Context, struct{}) (int, error) { ran.Add(1); return 0, nil }))
	server := newNode(calls)
	server.PushQueue = 50_000
	r := dialRaw(t, start(t, server), nil)
	r.send(`{"jsonrpc":"2.0","id":0,"method":"block","params":{}}`)
	<-began
	for range 20 {
		r.send(`{"jsonrpc":"2.0","method":"note","params":{},"unknown":"` + strings.Repeat("x", 10_000) + `"}`)
	}
	r.send(`{"jsonrpc":"2.0","id":1,"method":"note","params":{}}`)
	assert.Contains(t, r.ask(`{"jsonrpc":"2.0","id":2}`), "-32600") // the reader answers this, after it has read all before it
	close(release)
	assert.Contains(t, r.receive(), `"id":0,"result":0`)
	assert.Contains(t, r.receive(), `"id":1,"result":0`)
	assert.Equal(t, int32(5), ran.Load()) // four of the notifications, and the call
}

// TestP11Goexit checks that a handler that ends its goroutine is answered with 500, and that the next calls run.
func TestP11Goexit(t *testing.T) {
	server := newNode(mux("/exit", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { exit() }),
		"/ok", endpoint.JSON(func(context.Context, int) (int, error) { return 1, nil })))
	piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		for range 3 {
			_, err := message.Remote[int, int](c, "exit")(t.Context(), 1)
			assert.ErrorIs(t, err, endpoint.Error(500, "Internal Server Error"))
		}
		_, err := message.Remote[int, int](c, "ok")(t.Context(), 1)
		assert.NoError(t, err)
	})
}

func TestP04Timeout(t *testing.T) {
	left := func(ctx context.Context, _ int) (string, error) {
		end, ok := ctx.Deadline()
		return fmt.Sprint(time.Until(end), ok), nil
	}
	var ended time.Duration
	slow := func(ctx context.Context, _ int) (int, error) {
		start := time.Now()
		<-ctx.Done()
		ended = time.Since(start)
		return 0, ctx.Err()
	}
	server := newNode(mux("/left", endpoint.JSON(left), "/slow", endpoint.JSON(slow)))
	piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		got, err := message.Remote[int, string](c, "left")(ctx, 1)
		require.NoError(t, err)
		assert.Equal(t, "3.1s true", got)
		_, err = message.Remote[int, int](c, "slow")(ctx, 1)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, peer.ErrNotSent)
		synctest.Wait()
		assert.Equal(t, 3*time.Second, ended) // the caller's cancellation comes before the callee's deadline
		assert.NoError(t, c.Err())
	})
}

// TestP04Cancel checks that the context of a cancelled call ends if the call runs, and that a cancelled call never runs if it waits.
func TestP04Cancel(t *testing.T) {
	var events trace
	server := newNode(mux("/wait", endpoint.JSON(func(ctx context.Context, n int) (int, error) {
		events.add("%d runs", n)
		<-ctx.Done()
		events.add("%d: %v, %v", n, ctx.Err(), context.Cause(ctx))
		return 0, nil
	})))
	piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		var all sync.WaitGroup
		call := func(n int) context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			all.Go(func() {
				_, err := message.Remote[int, int](c, "wait")(ctx, n)
				assert.ErrorIs(t, err, context.Canceled)
			})
			synctest.Wait()
			return cancel
		}
		cancel1, cancel2, cancel3 := call(1), call(2), call(3)
		cancel2()
		synctest.Wait()
		cancel1()
		synctest.Wait()
		cancel3()
		all.Wait()
		synctest.Wait()
		assert.Equal(t, []string{
			"1 runs", "1: context canceled, context canceled", "3 runs", "3: context canceled, context canceled",
		}, events.take())
	})
}

// TestP04CancelAnswered checks that a cancelled call is answered, with -32800.
func TestP04CancelAnswered(t *testing.T) {
	began := make(chan struct{}, 1)
	url := start(t, newNode(mux("/wait", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { began <- struct{}{}; <-ctx.Done() })))
	r := dialRaw(t, url, nil)
	r.send(`{"jsonrpc":"2.0","id":"a","method":"wait"}`)
	<-began
	r.send(`{"jsonrpc":"2.0","id":"b","method":"wait"}`)
	r.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"b"}}`)
	r.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"nobody's"}}`)
	r.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":[1]}`)
	r.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"a"}}`)
	assert.Equal(t, `{"jsonrpc":"2.0","id":"a","error":{"code":-32800,"message":"Request cancelled"}}`, r.receive())
	assert.Equal(t, `{"jsonrpc":"2.0","id":"b","error":{"code":-32800,"message":"Request cancelled"}}`, r.receive())
}

// TestP04Stream checks the frames of a stream.
func TestP04Stream(t *testing.T) {
	count := func(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "application/x-ndjson", r.Header.Get("Accept"))
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := range 4 {
			fmt.Fprintf(w, "{\"n\":%d}\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		_, err := w.Write(body)
		return err
	}
	r := dialRaw(t, start(t, newNode(mux("/count", count))), nil)
	item := func(n int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/item","params":{"id":"s","value":{"n":%d}}}`, n)
	}
	r.send(`{"jsonrpc":"2.0","id":"s","method":"count","params":["end"],"stream":2}`)
	assert.Equal(t, item(0), r.receive())
	assert.Equal(t, item(1), r.receive())
	r.silence() // this call runs while the stream waits for its caller
	r.send(`{"jsonrpc":"2.0","method":"$/more","params":{"id":"s","n":1}}`)
	assert.Equal(t, item(2), r.receive())
	r.send(`{"jsonrpc":"2.0","method":"$/more","params":{"id":"s","n":100}}`)
	assert.Equal(t, item(3), r.receive())
	assert.Equal(t, `{"jsonrpc":"2.0","id":"s","result":"end"}`, r.receive())

	r.send(`{"jsonrpc":"2.0","id":"s","method":"count","stream":1}`)
	assert.Equal(t, item(0), r.receive())
	r.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"s"}}`)
	assert.Equal(t, `{"jsonrpc":"2.0","id":"s","error":{"code":-32800,"message":"Request cancelled"}}`, r.receive())
	for _, stream := range []string{`0`, `-1`, `"1"`, `1.5`, `[]`} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request: stream must be a whole number above zero"}}`,
			r.ask(`{"jsonrpc":"2.0","id":1,"method":"count","stream":`+stream+`}`))
	}
	for _, timeout := range []string{`0`, `-1`, `"1"`, `1.5`} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request: timeout must be a whole number of milliseconds above zero"}}`,
			r.ask(`{"jsonrpc":"2.0","id":1,"method":"count","timeout":`+timeout+`}`))
	}
}

// TestP04StreamWhileCalling checks that the consumer of a stream can call the server in its loop.
func TestP04StreamWhileCalling(t *testing.T) {
	server := newNode(mux("/count", endpoint.Stream(func(context.Context, int) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			for i := 0; i < 200 && yield(i, nil); i++ {
			}
		}, nil
	}), "/double", endpoint.JSON(func(_ context.Context, n int) (int, error) { return 2 * n, nil })))
	piped(t, server, newNode(nil), func(t *testing.T, _ *peer.Pipe, c *peer.Conn) {
		sum := 0
		for n, err := range message.Stream[int, int](c, "count", message.Window(4))(t.Context(), 1) {
			require.NoError(t, err)
			double, err := message.Remote[int, int](c, "double")(t.Context(), n)
			require.NoError(t, err)
			sum += double
		}
		assert.Equal(t, 199*200, sum)
	})
}

// TestP04WindowBroken checks that a stream is cancelled if the other side sends more items than its window has.
func TestP04WindowBroken(t *testing.T) {
	cancelled := make(chan string, 1)
	block := make(chan struct{})
	url := fake(t, func(r raw) {
		r.receive()
		for range 3 {
			r.send(`{"jsonrpc":"2.0","method":"$/item","params":{"id":1,"value":1}}`)
		}
		r.send(`{"jsonrpc":"2.0","id":2,"method":"kami.ping"}`)
		for read := false; ; {
			text := r.receive()
			if strings.Contains(text, "pong") { // the items before the ping have been read
				read = true
				close(block)
			}
			if strings.Contains(text, "cancel") {
				cancelled <- text
				if !read {
					close(block)
				}
				return
			}
		}
	})
	var once sync.Once
	_, err := dial(t, newNode(nil), url).Call(t.Context(), &message.Message{Route: "a", Window: 1, Stream: func([]byte) error {
		once.Do(func() { <-block })
		return nil
	}})
	assert.ErrorContains(t, err, "more items of a stream than its window has")
	assert.Equal(t, `{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}`, <-cancelled)
}

func exit() { runtime.Goexit() }

func TestP12(t *testing.T) {
	var release chan struct{}
	server := newNode(mux("/block", endpoint.JSON(func(_ context.Context, n int) (int, error) { <-release; return n, nil })))
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		release = make(chan struct{})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				start := time.Now()
				_, err := message.Remote[int, int](c, "block")(t.Context(), 1)
				assert.ErrorIs(t, err, peer.ErrClosed)
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
				assert.NotErrorIs(t, err, peer.ErrNotSent)
				assert.Zero(t, time.Since(start))
			})
		}
		synctest.Wait()
		p.Cut()
		all.Wait()
		<-c.Done()
		assert.ErrorIs(t, c.Err(), peer.ErrClosed)
		_, err := c.Call(t.Context(), &message.Message{Route: "block"})
		assert.ErrorIs(t, err, peer.ErrNotSent)
		assert.ErrorIs(t, err, message.ErrUndelivered)
		assert.ErrorIs(t, err, peer.ErrClosed)
		assert.ErrorIs(t, message.Notify(t.Context(), c, "block", 1), peer.ErrNotSent)
		close(release)
	})
}

// TestP12Context checks that the end of a caller's context does not end the connection, even while the other side reads nothing.
func TestP12Context(t *testing.T) {
	var conn *peer.Conn
	server := newNode(nil)
	server.OnConnect = func(c *peer.Conn) { conn = c }
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		p.Jam()
		long := &message.Message{Route: "a", Body: []byte(`"` + fmt.Sprintf("%0100000d", 1) + `"`)}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := conn.Call(ctx, long)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, time.Second, time.Since(start))
			})
		}
		all.Wait()
		assert.NoError(t, conn.Err())
		start := time.Now()
		<-conn.Done() // after ten seconds without progress
		assert.InDelta(t, 9*time.Second, time.Since(start), float64(time.Millisecond))
		assert.ErrorContains(t, conn.Err(), "a write has taken 10s")
	})
}

func TestP13SlowConsumer(t *testing.T) {
	conns := make(chan *peer.Conn, 2)
	server := newNode(nil)
	server.PushQueue = 10_000
	server.OnConnect = func(c *peer.Conn) { conns <- c }
	got := make(chan string, 1000)
	listener := newNode(mux("/news", endpoint.JSON(func(_ context.Context, s string) (struct{}, error) { got <- s; return struct{}{}, nil })))
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, _ *peer.Conn) {
		slow := <-conns
		p.Jam()
		good, err := listener.Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		fast := <-conns
		group := server.Sessions.Group("all")
		require.NoError(t, group.Add(t.Context(), slow.Session()))
		require.NoError(t, group.Add(t.Context(), fast.Session()))
		news := fmt.Sprintf("%01000d", 1)
		for n := range 20 {
			start := time.Now()
			require.NoError(t, group.Broadcast(t.Context(), "news", news))
			assert.Zero(t, time.Since(start))
			if n == 3 {
				assert.Greater(t, slow.Queued(), 3000)
				assert.LessOrEqual(t, slow.Queued(), 10_000)
			}
			synctest.Wait()
		}
		<-slow.Done()
		assert.ErrorContains(t, slow.Err(), "with the status 1008: the other side does not read what is sent: more than PushQueue, 10000 bytes")
		assert.NoError(t, fast.Err())
		for range 20 {
			assert.Equal(t, news, <-got)
		}
		require.NoError(t, good.Close())
		require.NoError(t, listener.Close(context.Background()))
	})
}

func TestP15Hooks(t *testing.T) {
	var events trace
	server := newNode(mux("/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		events.add("handler begins")
		<-ctx.Done()
		time.Sleep(time.Second)
		events.add("handler ends: %v", context.Cause(ctx) == context.Canceled)
	}))
	hook := func(name string) func(*peer.Conn) {
		return func(c *peer.Conn) {
			events.add("%s %v %s", name, c.Session() != nil && server.Sessions.ByID(c.Session().ID()) == c.Session(), c.Peer().Name)
			panic("which is logged")
		}
	}
	server.OnConnect, server.OnFirstRequest, server.OnDisconnect = hook("connect"), hook("first"), hook("disconnect")
	piped(t, server, newNode(nil), func(t *testing.T, p *peer.Pipe, c *peer.Conn) {
		synctest.Wait()
		assert.Equal(t, []string{"connect true test"}, events.take())
		assert.Equal(t, 1, server.Sessions.Len())
		require.NoError(t, message.Notify(t.Context(), c, "nowhere", 1))
		require.NoError(t, message.Notify(t.Context(), c, "a", 1))
		synctest.Wait()
		assert.Equal(t, []string{"first true test", "handler begins"}, events.take())
		require.NoError(t, c.Close())
		p.Wait()
		assert.Equal(t, []string{"handler ends: true", "disconnect true test"}, events.take())
		assert.Equal(t, 0, server.Sessions.Len())
	})
}

// TestP01IdsApart checks that the ids of a server's calls are above 1<<32. Clients number their calls from 0 on, and some clients take
// any message with the id of a call for its answer.
func TestP01IdsApart(t *testing.T) {
	n := newNode(nil)
	n.OnConnect = func(c *peer.Conn) { go func() { _, _ = c.Call(t.Context(), &message.Message{Route: "a"}) }() }
	var frame struct{ ID uint64 }
	require.NoError(t, json.Unmarshal([]byte(dialRaw(t, start(t, n), nil).receive()), &frame))
	assert.Greater(t, frame.ID, uint64(1<<32))
	assert.Less(t, frame.ID, uint64(1<<53), "it must be a number of JavaScript's")
}
