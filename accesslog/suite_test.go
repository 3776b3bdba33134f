package accesslog_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for an event before it fails.
const patience = 30 * time.Second

type logHandler = func(context.Context, mutil.WriterProxy, *http.Request)

// lines is a writer that sends each Write as one line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// next returns the next line, without its end.
func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		text, ended := strings.CutSuffix(line, "\n")
		assert.True(t, ended && !strings.Contains(text, "\n"), "one line: %q", line)
		return text
	case <-time.After(patience):
		require.FailNow(t, "waited in vain")
	}
	panic("unreachable")
}

// record has the attributes of a slog record. Numbers are float64.
type record map[string]any

// record returns the next record, without time and message, and without its duration if that is a number above zero.
func (l lines) record(t *testing.T) record {
	t.Helper()
	got := record{}
	require.NoError(t, json.Unmarshal([]byte(l.next(t)), &got))
	assert.Equal(t, "request", got["msg"])
	assert.NotEmpty(t, got["time"])
	delete(got, "msg")
	delete(got, "time")
	if duration, ok := got["duration"].(float64); ok && duration > 0 {
		delete(got, "duration")
	}
	return got
}

// done checks that there are no more lines.
func (l lines) done(t *testing.T) {
	t.Helper()
	assert.Empty(t, l, "more lines than requests")
}

// newLog returns a LogHandler and the lines that it writes.
func newLog(opts ...accesslog.Option) (logHandler, lines) {
	l := make(lines, 100)
	return accesslog.New(slog.New(slog.NewJSONHandler(l, nil)), opts...), l
}

// newCombined returns a LogHandler and the lines that it writes.
func newCombined(opts ...accesslog.Option) (logHandler, lines) {
	l := make(lines, 100)
	return accesslog.Combined(l, opts...), l
}

// request makes a request with headers, each as "Name: value".
func request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// logged calls a LogHandler for a request that has an empty answer and did not come through a Mux.
func logged(h logHandler, r *http.Request) {
	h(r.Context(), mutil.WrapWriter(httptest.NewRecorder()), r)
}

// serve serves h and returns the address.
func serve(t *testing.T, h http.Handler) string {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// talk adds the version and the headers to a request, and sends it. It returns the first line of the answer and its body, or
// "" if the connection was cut before an answer.
func talk(t *testing.T, addr, request string, headers ...string) (status, body string) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	headers = append([]string{request + " HTTP/1.1", "Host: kami.test", "Connection: close"}, headers...)
	_, err = io.WriteString(conn, strings.Join(headers, "\r\n")+"\r\n\r\n")
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	if err != nil {
		require.False(t, errors.Is(err, context.DeadlineExceeded), err)
	}
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	status, _, _ = strings.Cut(strings.TrimPrefix(head, "HTTP/1.1 "), "\r\n")
	return status, body
}

// newMux returns a Mux with a LogHandler, and with routes that answer with a body, without one, and with a given status.
func newMux(h logHandler) *kami.Mux {
	mux := kami.New()
	mux.LogHandler = h
	mux.Get("/users/:id", func(_ context.Context, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	mux.Get("/empty", func(context.Context, http.ResponseWriter, *http.Request) {})
	mux.Get("/status/:code", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		code := 0
		if err := json.Unmarshal([]byte(kami.Param(ctx, "code")), &code); err != nil {
			panic(err)
		}
		w.WriteHeader(code)
	})
	mux.Handle("CONNECT", "/", func(context.Context, http.ResponseWriter, *http.Request) {})
	return mux
}
