package recipes

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/klauspost/compress/gzhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ended is what afterware and LogHandler see of requests.
type ended chan string

// watch has a mux record each request that has ended.
func watch(mux *kami.Mux) ended {
	all := make(ended, 16)
	mux.After("/", func(w mutil.WriterProxy, _ *http.Request) { all <- fmt.Sprint("afterware: ", w.Status()) })
	mux.LogHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) {
		all <- fmt.Sprintf("LogHandler: %s %d, %d bytes", r.Pattern, w.Status(), w.BytesWritten())
	}
	return all
}

// next returns the next record, which must come.
func (e ended) next(t *testing.T) string {
	t.Helper()
	select {
	case told := <-e:
		return told
	case <-time.After(limit):
		t.Fatal("nothing came")
		return ""
	}
}

func TestWebSocket(t *testing.T) {
	mux := kami.New()
	mux.Get("/echo", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		draining := kami.Draining(ctx) // a graceful stop waits for this handler from now on
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer socket.CloseNow()
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		go func() {
			select {
			case <-draining:
				_ = socket.Close(websocket.StatusGoingAway, "") // ends Read
			case <-ctx.Done():
			}
		}()
		for {
			kind, message, err := socket.Read(ctx)
			if err != nil {
				return
			}
			if err := socket.Write(ctx, kind, message); err != nil {
				return
			}
		}
	})

	ends := watch(mux)
	mux.Use("/", gzhttp.GzipHandler)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- mux.ServeContext(serving, listener, nil) }()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dial := func() *websocket.Conn {
		socket, response, err := websocket.Dial(ctx, "http://"+listener.Addr().String()+"/echo", nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
		return socket
	}

	// A client that leaves.
	socket := dial()
	for _, message := range []string{"hello", "kami"} {
		require.NoError(t, socket.Write(ctx, websocket.MessageText, []byte(message)))
		_, echo, err := socket.Read(ctx)
		require.NoError(t, err)
		assert.Equal(t, message, string(echo))
	}
	require.NoError(t, socket.CloseNow())
	assert.Equal(t, "afterware: 101", ends.next(t))
	assert.Equal(t, "LogHandler: /echo 101, 0 bytes", ends.next(t))

	// A server that stops.
	socket = dial()
	stop()
	_, _, err = socket.Read(ctx)
	assert.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err))
	require.NoError(t, <-served)
	assert.Equal(t, []string{"afterware: 101", "LogHandler: /echo 101, 0 bytes"}, []string{<-ends, <-ends}, "it has waited")

	// Handshakes that fail.
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	same := func(next http.Handler) http.Handler { return next }
	timeout := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, limit, "") }
	for _, failing := range []struct {
		status  int
		scope   func(http.Handler) http.Handler
		headers []string
	}{
		{http.StatusUpgradeRequired, same, nil},
		{http.StatusForbidden, same, append(upgrade, "Origin", "https://evil.example")},
		{http.StatusNotImplemented, timeout, upgrade},
	} {
		mux.Use("/echo", failing.scope)
		assert.Equal(t, failing.status, get(mux, "/echo", failing.headers...).Code)
		assert.Equal(t, fmt.Sprint("afterware: ", failing.status), ends.next(t))
		assert.Contains(t, ends.next(t), fmt.Sprintf("LogHandler: /echo %d", failing.status))
	}
}

func TestServerSentEvents(t *testing.T) {
	messages := make(chan string)

	mux := kami.New()
	mux.Cancel = true // so that ctx ends when the client goes away
	mux.Get("/news", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		stream := http.NewResponseController(w)
		_ = stream.SetWriteDeadline(time.Time{}) // no WriteTimeout for a stream
		for stream.Flush() == nil {
			select {
			case message := <-messages:
				fmt.Fprintf(w, "data: %s\n\n", message) // a line break would need a second data:
			case <-kami.Draining(ctx):
				return
			case <-ctx.Done():
				return
			}
		}
	})

	ends := watch(mux)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- mux.ServeContext(serving, listener, &http.Server{WriteTimeout: time.Nanosecond}) }()

	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	open := func(ctx context.Context) *bufio.Reader {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/news", nil)
		require.NoError(t, err)
		response, err := client.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		assert.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
		return bufio.NewReader(response.Body)
	}
	read := func(stream *bufio.Reader) string {
		line, err := stream.ReadString('\n')
		require.NoError(t, err)
		empty, err := stream.ReadString('\n')
		require.NoError(t, err)
		return line + empty
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()

	// A client that goes away.
	leaving, leave := context.WithCancel(ctx)
	stream := open(leaving)
	for _, message := range []string{"it rains", "it stopped"} {
		messages <- message
		assert.Equal(t, "data: "+message+"\n\n", read(stream), "before the handler has returned")
	}
	leave()
	assert.Equal(t, "afterware: 200", ends.next(t))
	sent := len("data: it rains\n\ndata: it stopped\n\n")
	assert.Equal(t, fmt.Sprintf("LogHandler: /news 200, %d bytes", sent), ends.next(t))

	// A server that stops.
	stream = open(ctx)
	stop()
	_, err = stream.ReadByte()
	assert.Error(t, err, "the stream has ended")
	assert.Equal(t, "afterware: 200", ends.next(t))
	assert.Equal(t, "LogHandler: /news 200, 0 bytes", ends.next(t))
	require.NoError(t, <-served)
}
