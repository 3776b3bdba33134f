package compat

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/websocket"
	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/klauspost/compress/gzhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// echoSocket sends one message of a websocket back. The writer itself must be an http.Hijacker: the library does not use Unwrap.
func echoSocket(w http.ResponseWriter, r *http.Request) error {
	socket, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return nil // it has answered
	}
	defer socket.Close()
	kind, message, err := socket.ReadMessage()
	if err != nil {
		return err
	}
	return socket.WriteMessage(kind, message)
}

// talkTo upgrades a connection to the server and has a message echoed.
func talkTo(t *testing.T, c *client, path string) {
	t.Helper()
	address := "ws" + strings.TrimPrefix(c.url, "http") + path
	socket, response, err := websocket.DefaultDialer.DialContext(c.ctx, address, http.Header{"Accept-Encoding": {"gzip"}})
	require.NoError(t, err)
	defer socket.Close()
	assert.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.NoError(t, socket.WriteMessage(websocket.TextMessage, []byte("kami")))
	_, message, err := socket.ReadMessage()
	require.NoError(t, err)
	assert.Equal(t, "kami", string(message))
}

// An upgrade works behind compression and other packages' writers, and is a 101 for afterware and LogHandler.
func TestC43Upgrade(t *testing.T) {
	for name, mw := range map[string][]kami.MiddlewareType{
		"none":              nil,
		"gzhttp":            {gzhttp.GzipHandler},
		"chi's writer":      {middleware.RequestLogger(quiet{})},
		"chi's compress":    {middleware.Compress(5)},
		"otelhttp":          {otelhttp.NewMiddleware("server")},
		"all on each other": {middleware.RequestLogger(quiet{}), otelhttp.NewMiddleware("server"), gzhttp.GzipHandler},
	} {
		for kind, handler := range map[string]kami.HandlerType{
			"plain":          func(w http.ResponseWriter, r *http.Request) { _ = echoSocket(w, r) },
			"with an error":  func(_ context.Context, w http.ResponseWriter, r *http.Request) error { return echoSocket(w, r) },
			"behind a proxy": func(w http.ResponseWriter, r *http.Request) { _ = echoSocket(mutil.WrapWriter(w), r) },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				overBoth(t, func(t *testing.T, s *stack) {
					after, ends := make(chan int, 1), s.ends(t)
					for _, mw := range mw {
						s.use("/", mw)
					}
					s.after("/", func(w mutil.WriterProxy, _ *http.Request) { after <- w.Status() })
					s.get("/echo", handler)
					talkTo(t, serve(t, s), "/echo")
					assert.Equal(t, http.StatusSwitchingProtocols, receive(t, after))
					end := receive(t, ends)
					assert.Equal(t, http.StatusSwitchingProtocols, end.status)
					assert.Zero(t, end.bytes)
				})
			})
		}
	}
}

// proxyTo returns a reverse proxy to a server with h.
func proxyTo(t *testing.T, h http.HandlerFunc) http.Handler {
	backend := httptest.NewServer(h)
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
}

func TestC43UpgradeThroughReverseProxy(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		ends := s.ends(t)
		s.get("/*path", proxyTo(t, func(w http.ResponseWriter, r *http.Request) { assert.NoError(t, echoSocket(w, r)) }))
		talkTo(t, serve(t, s), "/echo")
		assert.Equal(t, http.StatusSwitchingProtocols, receive(t, ends).status)
	})
}

// ReverseProxy uses http.CloseNotifier, because the context of a request ends with the client's connection only if kami.Cancel
// is set.
func TestC43ReverseProxyNoticesThatItsClientHasLeft(t *testing.T) {
	for name, mw := range map[string]kami.MiddlewareType{
		"directly": func(ctx context.Context) context.Context { return ctx },
		"gzhttp":   gzhttp.GzipHandler,
	} {
		for protocol, starter := range protocols {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				overBoth(t, func(t *testing.T, s *stack) {
					ends := s.ends(t)
					asked := make(chan struct{})
					s.use("/", mw)
					s.get("/", proxyTo(t, func(_ http.ResponseWriter, r *http.Request) {
						close(asked)
						wait(t, r.Context().Done()) // the backend's connection is closed
					}))
					c := start(t, s, starter)
					var leave context.CancelFunc
					c.ctx, leave = context.WithCancel(c.ctx)
					go func() {
						wait(t, asked)
						leave()
					}()
					_, err := c.ask("GET", "/", "Accept-Encoding", "gzip")
					assert.ErrorIs(t, err, context.Canceled)
					assert.Equal(t, http.StatusBadGateway, receive(t, ends).status)
				})
			})
		}
	}
}
