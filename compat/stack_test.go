package compat

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limit is how long a test waits for anything.
const limit = 30 * time.Second

// stack is what the tests run over: a Mux, or the package's functions and variables.
type stack struct {
	http.Handler
	context      *context.Context
	handle       func(method, path string, handler kami.HandlerType)
	use          func(path string, mw kami.MiddlewareType)
	after        func(path string, aw kami.AfterwareType)
	panicHandler *kami.HandlerType
	logHandler   *func(context.Context, mutil.WriterProxy, *http.Request)
}

// overBoth runs a test over an independent Mux and over the package's default one.
func overBoth(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Helper()
	t.Run("New", func(t *testing.T) {
		m := kami.New()
		test(t, &stack{m, &m.Context, m.Handle, m.Use, m.After, &m.PanicHandler, &m.LogHandler})
	})
	t.Run("default", func(t *testing.T) {
		kami.Reset()
		t.Cleanup(kami.Reset)
		test(t, &stack{
			kami.Handler(), &kami.Context, kami.Handle, kami.Use, kami.After, &kami.PanicHandler, &kami.LogHandler,
		})
	})
}

func (s *stack) get(path string, handler kami.HandlerType) { s.handle(http.MethodGet, path, handler) }

// end has the arguments of a call of LogHandler.
type end struct {
	ctx    context.Context
	r      *http.Request
	status int
	bytes  int
}

// ends sets a LogHandler, and returns a channel of its calls.
func (s *stack) ends(t *testing.T) <-chan end {
	ends := make(chan end, 1024)
	*s.logHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		one(t, ctx, r)
		ends <- end{ctx, r, w.Status(), w.BytesWritten()}
	}
	return ends
}

// noPanics sets a PanicHandler that must not be called.
func (s *stack) noPanics(t *testing.T) {
	*s.panicHandler = func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		t.Errorf("PanicHandler called with %v", kami.Exception(ctx))
	}
}

// one checks that the handler's context is the request's (C10).
func one(t *testing.T, ctx context.Context, r *http.Request) {
	t.Helper()
	if ctx != r.Context() {
		t.Errorf("%s %s: ctx is %v, r.Context() is %v", r.Method, r.URL, ctx, r.Context())
	}
}

// client is an HTTP client that decodes nothing and follows no redirects.
type client struct {
	*http.Client
	ctx context.Context
	url string
}

// serve serves h over HTTP/1.1 until the test ends.
func serve(t *testing.T, h http.Handler) *client {
	t.Helper()
	return start(t, h, (*httptest.Server).Start)
}

func start(t *testing.T, h http.Handler, start func(*httptest.Server)) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	errs := new(buffer)
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(errs, "", 0)
	start(server)
	t.Cleanup(func() {
		server.Close()
		assert.Empty(t, errs.String(), "the server's log")
	})
	c := &client{Client: server.Client(), ctx: ctx, url: server.URL}
	c.Transport.(*http.Transport).DisableCompression = true
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// send sends a request with the headers, given as name, value and so on. It returns the answer with its body unread.
func (c *client) send(method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(c.ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return c.Do(r)
}

// answer is an answer with its body, which has been read.
type answer struct {
	*http.Response
	body string
}

func (c *client) ask(method, path string, headers ...string) (answer, error) {
	response, err := c.send(method, path, nil, headers...)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response, string(body)}, err
}

func (c *client) do(t *testing.T, method, path string, headers ...string) answer {
	t.Helper()
	got, err := c.ask(method, path, headers...)
	require.NoError(t, err)
	return got
}

func (c *client) get(t *testing.T, path string, headers ...string) answer {
	t.Helper()
	return c.do(t, http.MethodGet, path, headers...)
}

// receive returns the next value, which must come.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	select {
	case v := <-from:
		return v
	case <-ctx.Done():
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// wait waits until a channel is closed. It may be called in any goroutine.
func wait(t *testing.T, closed <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	select {
	case <-closed:
	case <-ctx.Done():
		t.Error("waited in vain")
	}
}

// empty checks that the channel is empty.
func empty[T any](t *testing.T, from <-chan T) {
	t.Helper()
	select {
	case v := <-from:
		t.Errorf("got %v too", v)
	default:
	}
}

// gunzip decodes a body.
func gunzip(t *testing.T, body string) string {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	plain, err := io.ReadAll(reader)
	require.NoError(t, err)
	return string(plain)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written since the last call.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.b.Reset()
	return b.b.String()
}

// journal records events in order.
type journal struct {
	mu   sync.Mutex
	list []string
}

func (j *journal) add(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, what)
}

// take returns the events since the last call.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.list
	j.list = nil
	return list
}

// key is the type of the tests' context keys.
type key string

// set is middleware that sets a context value.
func set(name, value string) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return context.WithValue(ctx, key(name), value) }
}
