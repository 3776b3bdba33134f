package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// setUp registers the routes for a test, with the given time between two ticks.
func setUp(t *testing.T, between time.Duration) {
	t.Helper()
	before := interval
	t.Cleanup(func() { kami.Reset(); interval = before })
	interval = between
	routes()
	assert.Empty(t, kami.Check())
}

func TestIndex(t *testing.T) {
	setUp(t, time.Hour)
	w := httptest.NewRecorder()
	kami.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Contains(t, w.Body.String(), `new EventSource("/events")`)
}

func TestTicks(t *testing.T) {
	setUp(t, time.Millisecond)
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), program.RunLimit)
	t.Cleanup(cancel)

	stream := open(ctx, t, server.URL)
	for _, id := range []string{"1", "2", "3"} {
		event := read(t, stream)
		assert.Equal(t, "tick", event["event"])
		assert.Equal(t, id, event["id"])
		_, err := time.Parse(time.RFC3339, event["data"])
		assert.NoError(t, err)
	}
}

// TestClientGoesAway has the handler return when its client has gone, long before the next tick.
func TestClientGoesAway(t *testing.T) {
	setUp(t, time.Hour)
	returned := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(returned)
		kami.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	open(ctx, t, server.URL)
	leave()
	select {
	case <-returned:
	case <-time.After(program.RunLimit):
		require.Fail(t, "the handler has not returned")
	}
}

// TestBye stops the server, and checks that the stream says so.
func TestBye(t *testing.T) {
	setUp(t, time.Hour)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), program.RunLimit)
	t.Cleanup(cancel)
	serving, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	stopped := make(chan error, 1)
	go func() { stopped <- kami.ServeContext(serving, l, nil) }()

	stream := open(ctx, t, "http://"+l.Addr().String())
	stop()
	checkBye(t, stream)
	assert.NoError(t, <-stopped)
}

// TestProgram runs the program up to the signal that stops it. The stop must not wait for the stream.
func TestProgram(t *testing.T) {
	p := program.Start(t)
	stream := open(p.Context, t, "http://"+p.Address)
	assert.Equal(t, "tick", read(t, stream)["event"])

	p.Signal(syscall.SIGTERM)
	checkBye(t, stream)
	assert.Contains(t, p.End(), "kami stopped\n")
}

// checkBye checks that the stream ends, and that its last event says so.
func checkBye(t *testing.T, stream *bufio.Reader) {
	t.Helper()
	last := read(t, stream)
	for last["event"] == "tick" { // one may have been on the way
		last = read(t, stream)
	}
	assert.Equal(t, map[string]string{"retry": "1000", "event": "bye", "data": "the server stops"}, last)
	_, err := stream.ReadByte()
	assert.Equal(t, io.EOF, err)
}

// open opens the stream of the server at the URL. It closes at the end of the context or of the test.
func open(ctx context.Context, t *testing.T, url string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: new(http.Transport)}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	return bufio.NewReader(response.Body)
}

// read reads the fields of the next event.
func read(t *testing.T, stream *bufio.Reader) map[string]string {
	t.Helper()
	event := map[string]string{}
	for {
		line, err := stream.ReadString('\n')
		require.NoError(t, err)
		if line == "\n" {
			return event
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		event[field] = value
	}
}
