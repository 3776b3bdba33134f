package compat

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestServersLeaveNothing starts and stops servers with an idle connection, an unused one and a stream, and looks for goroutines
// that are left.
func TestServersLeaveNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	mux := kami.New()
	mux.Get("/", func(w http.ResponseWriter, r *http.Request) {})
	mux.Get("/stream", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-kami.Draining(ctx)
	})
	for i := range 50 {
		ctx, stop := context.WithCancel(context.Background())
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		server := &http.Server{BaseContext: func(net.Listener) context.Context { return ownContext{ctx} }}
		go func() { served <- mux.ServeContext(ctx, l, server) }()

		transport := new(http.Transport)
		ask(t, transport, l, "/").Close()
		stream := ask(t, transport, l, "/stream")
		if i%10 == 0 { // which takes the whole linger
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
		}
		transport.CloseIdleConnections()
		stop()
		_, err = io.Copy(io.Discard, stream)
		require.NoError(t, err)
		require.NoError(t, <-served)
		stream.Close()
		transport.CloseIdleConnections()
	}
	goleak.VerifyNone(t, before)
}

// ownContext is a context of the app's own type. The context package would watch it with a goroutine.
type ownContext struct{ context.Context }

func (c ownContext) Done() <-chan struct{} { return c.Context.Done() }

func ask(t *testing.T, transport *http.Transport, l net.Listener, path string) io.ReadCloser {
	t.Helper()
	response, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + path)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return response.Body
}
