package peers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// pair has two Nodes, one of which serves, and all their sockets.
type pair struct {
	t              *testing.T
	server, client *peer.Node
	http           *httptest.Server
	transport      *http.Transport
	open           atomic.Int64 // sockets, of both sides
	mu             sync.Mutex
	sockets        []*socket
	began          chan struct{} // gets one for each call of wait
}

// socket is counted until it is closed.
type socket struct {
	*net.TCPConn
	once sync.Once
	of   *pair
}

func (s *socket) Close() error {
	s.once.Do(func() { s.of.open.Add(-1) })
	return s.TCPConn.Close()
}

func (p *pair) count(conn net.Conn) net.Conn {
	s := &socket{TCPConn: conn.(*net.TCPConn), of: p}
	p.open.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sockets = append(p.sockets, s)
	return s
}

// cut resets all sockets.
func (p *pair) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sockets {
		_ = s.SetLinger(0)
		_ = s.TCPConn.Close()
	}
	p.sockets = nil
}

type countingListener struct {
	net.Listener
	of *pair
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.of.count(conn), nil
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, began: make(chan struct{}, 100)}
	log := slog.New(slog.DiscardHandler)
	p.server = &peer.Node{
		Name: "server", Version: "1.0.0", Log: log, Authenticate: authenticate,
		Handler: p.calls(), Heartbeat: 500 * time.Millisecond, Concurrent: 4,
	}
	p.client = &peer.Node{Name: "client", Version: "1.0.0", Log: log, Handler: p.calls(), Heartbeat: 500 * time.Millisecond}
	mux := kami.New()
	mux.Get("/kite", p.server)
	mux.Get("/refused", func(context.Context, http.ResponseWriter, *http.Request) error {
		return endpoint.Error(http.StatusUnauthorized, "no")
	})
	root := http.NewServeMux()
	root.Handle("/", mux)
	root.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	p.http = httptest.NewUnstartedServer(root)
	p.http.Listener = countingListener{p.http.Listener, p}
	p.http.Start()
	p.transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return p.count(conn), nil
	}}
	return p
}

// calls returns the methods that each side calls.
func (p *pair) calls() http.Handler {
	m := kami.New()
	m.Post("/square", endpoint.JSON(func(_ context.Context, x float64) (float64, error) { return x * x, nil }))
	m.Post("/wait", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
		p.began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	m.Post("/back", endpoint.JSON(func(ctx context.Context, x float64) (float64, error) {
		return message.Remote[float64, float64](peer.FromContext(ctx), "square")(ctx, x)
	}))
	m.Post("/function", endpoint.JSON(func(ctx context.Context, f peer.Func[int]) (struct{}, error) {
		return struct{}{}, f.On(ctx)(ctx, 1)
	}))
	m.Post("/push", endpoint.JSON(push))
	m.Post("/tick", endpoint.JSON(func(context.Context, int) (struct{}, error) { return struct{}{}, nil }))
	m.Post("/count", endpoint.Stream(func(ctx context.Context, n int) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			for i := 0; i < n && yield(i, nil); i++ {
			}
		}, nil
	}))
	return m
}

func (p *pair) url(path string) string { return p.http.URL + path }

func (p *pair) dial(ctx context.Context, path string, opts ...peer.DialOption) (*peer.Conn, error) {
	return p.client.Dial(ctx, p.url(path), append(opts, peer.HTTPClient(&http.Client{Transport: p.transport}))...)
}

func (p *pair) mustDial(opts ...peer.DialOption) *peer.Conn {
	c, err := p.dial(p.t.Context(), "/kite", opts...)
	require.NoError(p.t, err)
	return c
}

// works makes calls in both directions.
func (p *pair) works(c *peer.Conn) {
	got, err := message.Remote[float64, float64](c, "back")(p.t.Context(), 4)
	require.NoError(p.t, err)
	require.Equal(p.t, 16.0, got)
}

// waiting begins a call of wait, and returns a function for its result.
func (p *pair) waiting(ctx context.Context, c *peer.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := message.Remote[struct{}, struct{}](c, "wait")(ctx, struct{}{})
		ended <- err
	}()
	<-p.began
	return ended
}

// close closes both Nodes, and asserts that nothing is left.
func (p *pair) close() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	assert.NoError(p.t, p.client.Close(ctx))
	assert.NoError(p.t, p.server.Sessions.Close(ctx, "the test is over"))
	assert.NoError(p.t, p.server.Close(ctx))
	p.transport.CloseIdleConnections()
	p.http.Close()
}

var again = peer.Reconnect(peer.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond})

// TestP19Leaks ends connections and attempts in many ways, orderly or not. No goroutine and no socket is left after Close.
func TestP19Leaks(t *testing.T) {
	never := peer.Reconnect(peer.Backoff{Min: time.Hour, Max: time.Hour})
	token := func(credential string, lives time.Duration) peer.DialOption {
		return peer.Token(func(context.Context) (string, string, time.Time, error) {
			return "Bearer", credential, time.Now().Add(lives), nil
		})
	}
	tests := map[string]func(t *testing.T, p *pair){
		"nothing": func(*testing.T, *pair) {},
		"calls":   func(_ *testing.T, p *pair) { p.works(p.mustDial()) },
		"a client that closes": func(t *testing.T, p *pair) {
			c := p.mustDial(again)
			p.works(c)
			require.NoError(t, c.Close())
		},
		"a server that closes": func(t *testing.T, p *pair) {
			c, other := p.mustDial(), p.mustDial(again)
			p.works(c)
			p.works(other)
			ended := make(chan error, 1)
			go func() { ended <- p.server.Close(t.Context()) }()
			<-c.Done()
			_ = other.Close() // which would try for ever
			require.NoError(t, <-ended)
		},
		"a server that cannot wait": func(t *testing.T, p *pair) {
			c := p.mustDial()
			ended := p.waiting(t.Context(), c)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, p.server.Close(ctx), context.Canceled)
			require.Error(t, <-ended)
		},
		"idle heartbeats": func(t *testing.T, p *pair) {
			c := p.mustDial()
			time.Sleep(3 * p.server.Heartbeat)
			p.works(c)
		},
		"refused upgrades": func(t *testing.T, p *pair) {
			for path, opts := range map[string][]peer.DialOption{
				"/refused": nil, "/none": nil, "/kite": {token("guess", time.Hour)}, "/kite?": {peer.Header(http.Header{"Origin": {"http://evil.example"}})},
			} {
				_, err := p.dial(t.Context(), path, opts...)
				require.Error(t, err)
				var coder endpoint.StatusCoder
				require.ErrorAs(t, err, &coder)
			}
			for _, reconnecting := range []string{"/refused", "/kite"} {
				_, err := p.dial(t.Context(), reconnecting, again, token("guess", time.Hour))
				require.Error(t, err)
			}
			response, err := (&http.Client{Transport: p.transport}).Get(p.url("/kite"))
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			require.Equal(t, http.StatusUpgradeRequired, response.StatusCode)
			require.NoError(t, p.server.Close(t.Context()))
			_, err = p.dial(t.Context(), "/kite")
			require.ErrorIs(t, err, endpoint.Error(http.StatusServiceUnavailable, "Service Unavailable"))
		},
		"no server": func(t *testing.T, p *pair) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			_ = l.Close()
			_, err = p.client.Dial(t.Context(), "ws://"+l.Addr().String())
			require.Error(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err = p.client.Dial(ctx, "ws://"+l.Addr().String(), never)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
		"a cancelled Dial": func(t *testing.T, p *pair) {
			for _, opts := range [][]peer.DialOption{nil, {again}, {never}} {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				_, err := p.dial(ctx, "/silent", opts...)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				cancel()
				_, err = p.dial(ctx, "/kite", opts...)
				require.Error(t, err)
			}
		},
		"killed sockets": func(t *testing.T, p *pair) {
			c, other := p.mustDial(), p.mustDial(again)
			p.works(other)
			ended := p.waiting(t.Context(), c)
			p.cut()
			require.ErrorIs(t, <-ended, peer.ErrClosed)
			<-c.Done()
			p.works(other)
			p.cut()
		},
		"a Dial that waits to come back": func(t *testing.T, p *pair) {
			c := p.mustDial(never)
			p.works(c)
			p.cut()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := message.Remote[float64, float64](c, "square")(ctx, 1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
		"sessions that are suspended": func(t *testing.T, p *pair) {
			p.server.Sessions.ResumeWithin = time.Hour
			p.works(p.mustDial(again))
			p.works(p.mustDial(never))
			p.cut()
		},
		"cancelled calls": func(t *testing.T, p *pair) {
			c := p.mustDial()
			ctx, cancel := context.WithCancel(t.Context())
			first, second := p.waiting(ctx, c), p.waiting(ctx, c)
			cancel()
			require.ErrorIs(t, <-first, context.Canceled)
			require.ErrorIs(t, <-second, context.Canceled)
		},
		"calls that nobody ends": func(t *testing.T, p *pair) {
			c := p.mustDial()
			ended := p.waiting(t.Context(), c)
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-ended, peer.ErrClosed)
		},
		"streams that are left": func(t *testing.T, p *pair) {
			c, other := p.mustDial(), p.mustDial()
			count := message.Stream[int, int](c, "count")
			for i, err := range count(t.Context(), 1e9) {
				require.NoError(t, err)
				if i == 100 {
					break
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			var last error
			for i, err := range count(ctx, 1e9) {
				if last = err; i == 100 {
					cancel()
				}
			}
			cancel()
			require.ErrorIs(t, last, context.Canceled)
			for i, err := range message.Stream[int, int](other, "count")(t.Context(), 1e9) {
				if last = err; i == 100 {
					p.cut()
				}
			}
			require.ErrorIs(t, last, peer.ErrClosed)
		},
		"functions": func(t *testing.T, p *pair) {
			c, ran := p.mustDial(), make(chan int, 1)
			f, release := peer.Callback(c, func(_ context.Context, n int) error { ran <- n; return nil })
			_, err := message.Remote[peer.Func[int], struct{}](c, "function")(t.Context(), f)
			require.NoError(t, err)
			require.Equal(t, 1, <-ran)
			release()
			_, _ = peer.Callback(c, func(context.Context, int) error { return nil }) // never released
		},
		"a client that does not read": func(t *testing.T, p *pair) {
			p.server.PushQueue = 1 << 10
			raw, _, err := websocket.Dial(t.Context(), p.url("/kite"), &websocket.DialOptions{HTTPClient: &http.Client{Transport: p.transport}})
			require.NoError(t, err)
			defer func() { _ = raw.CloseNow() }()
			require.NoError(t, raw.Write(t.Context(), websocket.MessageText,
				[]byte(`{"jsonrpc":"2.0","method":"push","params":{"From":0,"To":10000000}}`)))
			require.Eventually(t, func() bool { return p.server.Sessions.Len() == 0 }, limit, time.Millisecond)
		},
		"sessions that are kicked": func(t *testing.T, p *pair) {
			c := p.mustDial()
			p.works(c)
			for s := range p.server.Sessions.All() {
				require.NoError(t, s.Kick(t.Context(), "bye"))
			}
			<-c.Done()
		},
		"credentials": func(t *testing.T, p *pair) {
			asked := make(chan struct{}, 100)
			expiring := peer.Token(func(context.Context) (string, string, time.Time, error) {
				asked <- struct{}{}
				return "Bearer", "secret-of-bob", time.Now().Add(time.Second), nil
			})
			c := p.mustDial(again, expiring)
			p.works(c)
			<-asked
			<-asked // in band, before it has expired
			p.works(p.mustDial(token("secret-of-bob", time.Hour)))
			_, err := message.Remote[json.RawMessage, struct{}](c, "kami.auth")(t.Context(), json.RawMessage(`{"scheme":"Bearer","credential":"guess"}`))
			require.Error(t, err)
			_, err = p.dial(t.Context(), "/kite", peer.Token(func(context.Context) (string, string, time.Time, error) {
				return "", "", time.Time{}, errors.New("there is none")
			}))
			require.ErrorContains(t, err, "there is none")
		},
		"sessions with values": func(t *testing.T, p *pair) {
			c := p.mustDial()
			p.works(c)
			for s := range p.server.Sessions.All() {
				require.NoError(t, s.Bind(t.Context(), "bob"))
				require.NoError(t, p.server.Sessions.Group("all").Add(t.Context(), s))
			}
			require.NoError(t, p.server.Sessions.Group("all").Broadcast(t.Context(), "tick", 1))
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			p := newPair(t)
			func() {
				defer p.close()
				test(t, p)
			}()
			goleak.VerifyNone(t, before)
			assert.Zero(t, p.open.Load(), "sockets that are open")
		})
	}
}
