package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for an event before it fails.
const patience = 30 * time.Second

// sum adds two numbers. Most tests use it as their service.
type (
	sumRequest  struct{ A, B int }
	sumResponse struct{ Sum int }
)

func sum(_ context.Context, r sumRequest) (sumResponse, error) {
	return sumResponse{r.A + r.B}, nil
}

// request makes a request with headers, each as "Name: value". If the body is "", the request has none. The Content-Type of a
// body is JSON unless a header sets another.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	if body != "" {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if body != "" && r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// answer serves a request and returns the status and the text of the answer.
func answer(h http.Handler, r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n")
}

// next receives from c, and fails the test if nothing comes in time.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain")
	}
	panic("unreachable")
}

// target parses a URL.
func target(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}

// trace is a list of steps, in order.
type trace struct {
	mu    sync.Mutex
	steps []string
}

func (tr *trace) add(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.steps = append(tr.steps, fmt.Sprintf(format, args...))
}

func (tr *trace) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.steps, " ")
}

// network is a network of pipes in a synctest bubble. It counts the client's open and dialed connections.
type network struct {
	open, dialed atomic.Int32
	serve        func(net.Conn) // runs the server's side of a connection
	client       *http.Client
}

// newNetwork returns a network that runs serve for each connection.
func newNetwork(serve func(net.Conn)) *network {
	n := &network{serve: serve}
	n.client = &http.Client{Transport: &http.Transport{DialContext: n.dial}}
	return n
}

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	n.open.Add(1)
	n.dialed.Add(1)
	go n.serve(server)
	return &counted{Conn: client, n: n}, nil
}

// counted is a connection that decrements the network's open count when it is closed.
type counted struct {
	net.Conn
	n    *network
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.n.open.Add(-1) })
	return c.Conn.Close()
}

// httpServer returns a function that serves a connection as HTTP.
func httpServer(h http.Handler) func(net.Conn) {
	return func(c net.Conn) {
		l := &single{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conns <- c
		server := &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				l.Close()
			}
		}}
		_ = server.Serve(l)
	}
}

// single is a listener that accepts one connection.
type single struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *single) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// leakless runs a test with a network in a bubble. It fails if the client has a connection in use at the end. The bubble
// fails if a goroutine is left.
func leakless(t *testing.T, serve func(net.Conn), test func(t *testing.T, n *network)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(serve)
		test(t, n)
		settle()
		n.client.CloseIdleConnections()
		synctest.Wait()
		assert.Zero(t, n.open.Load(), "connections in use")
	})
}

// settle waits, in a bubble, until all goroutines wait. It sleeps because net/http from Go 1.27 on reads the rest of a closed
// body for up to 50 ms, so that the connection can be used again.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// sumClient returns an Endpoint that calls over the network.
func (n *network) sumClient(t testing.TB, options ...endpoint.ClientOption) endpoint.Endpoint[sumRequest, sumResponse] {
	options = append([]endpoint.ClientOption{endpoint.SetClient(n.client)}, options...)
	return endpoint.NewClient("POST", target(t, "http://sum.test/sum"),
		endpoint.EncodeJSONRequest[sumRequest], endpoint.DecodeJSONResponse[sumResponse], options...).Endpoint()
}

// status returns the status of an error, or 0 if it has none.
func status(err error) int {
	var coder endpoint.StatusCoder
	if errors.As(err, &coder) {
		return coder.StatusCode()
	}
	return 0
}

// slogged makes slog's default logger write to the returned buffer during the test.
func slogged(t *testing.T) fmt.Stringer {
	t.Helper()
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	log := new(syncBuffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	return log
}

// syncBuffer is a buffer that goroutines can share.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
