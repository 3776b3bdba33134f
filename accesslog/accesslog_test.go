package accesslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecord(t *testing.T) {
	h, got := newLog()
	addr := serve(t, newMux(h))
	for _, tt := range []struct {
		request, answer string
		path, pattern   string // of the record; if the path is "", it is the request's path
		bytes           float64
		level           string
	}{
		{"GET /users/7", "200 OK", "", "/users/:id", 5, "INFO"},
		{"HEAD /users/7", "200 OK", "", "/users/:id", 0, "INFO"},
		{"GET /empty", "200 OK", "", "/empty", 0, "INFO"},
		{"GET /status/204", "204 No Content", "", "/status/:code", 0, "INFO"},
		{"GET /status/302", "302 Found", "", "/status/:code", 0, "INFO"},
		{"GET /status/400", "400 Bad Request", "", "/status/:code", 0, "WARN"},
		{"GET /status/499", "499 status code 499", "", "/status/:code", 0, "WARN"},
		{"GET /status/503", "503 Service Unavailable", "", "/status/:code", 0, "ERROR"},
		{"GET /status/600", "600 status code 600", "", "/status/:code", 0, "INFO"},
		{"GET /nothing", "404 Not Found", "", "", 19, "WARN"},
		{"POST /empty", "405 Method Not Allowed", "", "", 19, "WARN"},
		{"OPTIONS /empty", "204 No Content", "", "", 0, "INFO"},
		{"GET /empty/", "301 Moved Permanently", "", "", 41, "INFO"},
		{"GET /users/a%2Fb", "200 OK", "", "/users/:id", 5, "INFO"},
		{"GET /users/a%20b?q=1", "200 OK", "/users/a%20b", "/users/:id", 5, "INFO"},
		{"GET /users/%E3%81%93?", "200 OK", "/users/%E3%81%93", "/users/:id", 5, "INFO"},
		{"GET http://greg:secret@kami.test/users/7?q=1", "200 OK", "/users/7", "/users/:id", 5, "INFO"},
		{"CONNECT kami.test:443", "200 OK", "kami.test:443", "/", 0, "INFO"}, // kami routes this as /
		{"CONNECT /", "200 OK", "", "/", 0, "INFO"},
	} {
		t.Run(tt.request, func(t *testing.T) {
			answer, _ := talk(t, addr, tt.request)
			assert.Equal(t, tt.answer, answer)
			method, path, _ := strings.Cut(tt.request, " ")
			if tt.path != "" {
				path = tt.path
			}
			var status float64
			fmt.Sscan(tt.answer, &status)
			assert.Equal(t, record{"level": tt.level, "method": method, "path": path, "pattern": tt.pattern, "status": status,
				"bytes": tt.bytes, "remote": "127.0.0.1", "protocol": "HTTP/1.1"}, got.record(t))
			got.done(t)
		})
	}
}

func TestHTTP2(t *testing.T) {
	h, got := newLog()
	mux := newMux(h)
	mux.Get("/panic", func(context.Context, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	srv := httptest.NewUnstartedServer(mux)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()

	resp, err := srv.Client().Get(srv.URL + "/empty")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, record{"level": "INFO", "method": "GET", "path": "/empty", "pattern": "/empty", "status": 200.0,
		"bytes": 0.0, "remote": "127.0.0.1", "protocol": "HTTP/2.0"}, got.record(t))

	_, err = srv.Client().Get(srv.URL + "/panic")
	assert.ErrorContains(t, err, "INTERNAL_ERROR", "the stream is reset")
	assert.Equal(t, record{"level": "INFO", "method": "GET", "path": "/panic", "pattern": "/panic",
		"bytes": 0.0, "remote": "127.0.0.1", "protocol": "HTTP/2.0", "panic": "net/http: abort Handler"}, got.record(t))
	got.done(t)
}

// TestPanic checks that the record of a request with a panic has the status that the client got, or none.
func TestPanic(t *testing.T) {
	type handler = func(http.ResponseWriter, *http.Request)
	nothing := func(http.ResponseWriter, *http.Request) {}
	panics := func(http.ResponseWriter, *http.Request) { panic("boom") }
	writes := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1<<16)) }
	answers := func(code int) handler { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) } }
	for name, tt := range map[string]struct {
		panicHandler kami.HandlerType
		handler      handler
		v            any
		answer       string // the client's
		status       any    // the record's
		level        string
	}{
		"goes on":             {nil, nothing, "boom", "", nil, "ERROR"},
		"handled":             {nothing, nothing, "boom", "500 Internal Server Error", 500.0, "ERROR"},
		"answered":            {answers(503), nothing, "boom", "503 Service Unavailable", 503.0, "ERROR"},
		"answered 4xx":        {answers(400), nothing, "boom", "400 Bad Request", 400.0, "WARN"},
		"answered 2xx":        {answers(202), nothing, "boom", "202 Accepted", 202.0, "ERROR"},
		"after an answer":     {nothing, answers(202), "boom", "", 202.0, "ERROR"}, // cut off, because the response could look whole
		"abort":               {nil, nothing, http.ErrAbortHandler, "", nil, "INFO"},
		"abort is no panic":   {answers(503), nothing, http.ErrAbortHandler, "", nil, "INFO"},
		"abort that is not":   {nil, nothing, fmt.Errorf("%w", http.ErrAbortHandler), "", nil, "ERROR"},
		"of PanicHandler":     {panics, nothing, "boom", "", nil, "ERROR"},
		"cut answer":          {nil, writes, "boom", "200 OK", 200.0, "ERROR"},
		"answer that is lost": {nil, answers(202), "boom", "", 202.0, "ERROR"},
		"cut by abort":        {nil, answers(404), http.ErrAbortHandler, "", 404.0, "WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			h, got := newLog()
			mux := newMux(h)
			mux.PanicHandler = tt.panicHandler
			mux.Get("/panic", func(w http.ResponseWriter, r *http.Request) { tt.handler(w, r); panic(tt.v) })
			answer, body := talk(t, serve(t, mux), "GET /panic")
			assert.Equal(t, tt.answer, answer)
			rec := got.record(t)
			assert.Equal(t, tt.status, rec["status"])
			assert.Equal(t, tt.level, rec["level"])
			assert.Equal(t, fmt.Sprint(tt.v), rec["panic"])
			assert.LessOrEqual(t, float64(len(body)), rec["bytes"].(float64)+100, "what is lost counts too")
			got.done(t)
		})
	}
}

func TestPanicValue(t *testing.T) {
	var none *bytes.Buffer
	failed := errors.New("failed")
	var got slog.Value
	h := accesslog.New(slog.New(handler(func(_ context.Context, r slog.Record) {
		r.Attrs(func(a slog.Attr) bool { got = a.Value; return a.Key != "panic" })
	})))
	for _, tt := range []struct {
		v    any
		want slog.Value
	}{
		{"text\n", slog.StringValue("text\n")},
		{42, slog.StringValue("42")},
		{[]int{1}, slog.StringValue("[1]")},
		{failed, slog.AnyValue(failed)},
		{struct{ f func() }{}, slog.StringValue("{<nil>}")},
		{none, slog.StringValue("<nil>")},
	} {
		mux := newMux(h)
		mux.PanicHandler = func(http.ResponseWriter, *http.Request) {}
		mux.Get("/panic", func(http.ResponseWriter, *http.Request) { panic(tt.v) })
		mux.ServeHTTP(httptest.NewRecorder(), request("GET", "/panic"))
		assert.True(t, tt.want.Equal(got), "want %v, got %v", tt.want, got)
	}
}

// takeOver hijacks the connection, writes the text, and closes it.
func takeOver(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text)
}

func TestHijack(t *testing.T) {
	const upgraded = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	for name, tt := range map[string]struct {
		handler func(http.ResponseWriter, *http.Request)
		answer  string
		rec     record
	}{
		"without being asked": {func(w http.ResponseWriter, _ *http.Request) { takeOver(w, upgraded) },
			"101 Switching Protocols", record{"level": "INFO"}},
		"upgrade": {func(w http.ResponseWriter, _ *http.Request) { takeOver(w, upgraded) },
			"101 Switching Protocols", record{"level": "INFO", "status": 101.0}},
		"upgrade and panics": {func(w http.ResponseWriter, _ *http.Request) { takeOver(w, upgraded); panic("boom") },
			"101 Switching Protocols", record{"level": "ERROR", "status": 101.0, "panic": "boom"}},
		"101 by WriteHeader": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101); takeOver(w, "") },
			"101 Switching Protocols", record{"level": "INFO", "status": 101.0}},
		"nothing is said": {func(w http.ResponseWriter, _ *http.Request) { takeOver(w, "") },
			"", record{"level": "INFO"}},
		"and panics": {func(w http.ResponseWriter, _ *http.Request) { takeOver(w, upgraded); panic("boom") },
			"101 Switching Protocols", record{"level": "ERROR", "panic": "boom"}},
		"and writes": {func(w http.ResponseWriter, _ *http.Request) { takeOver(w, upgraded); io.WriteString(w, "no") },
			"101 Switching Protocols", record{"level": "INFO"}},
	} {
		for _, panicHandler := range []kami.HandlerType{nil, func(http.ResponseWriter, *http.Request) {}} {
			t.Run(fmt.Sprint(name, panicHandler != nil), func(t *testing.T) {
				h, got := newLog()
				mux := newMux(h)
				mux.PanicHandler = panicHandler
				mux.Get("/hijack", tt.handler)
				var headers []string
				if strings.HasPrefix(name, "upgrade") {
					headers = append(headers, "Upgrade: websocket")
				}
				answer, _ := talk(t, serve(t, mux), "GET /hijack", headers...)
				assert.Equal(t, tt.answer, answer)
				rec := got.record(t)
				for key, value := range (record{"method": "GET", "path": "/hijack", "pattern": "/hijack", "bytes": 0.0,
					"remote": "127.0.0.1", "protocol": "HTTP/1.1"}) {
					assert.Equal(t, value, rec[key], key)
					delete(rec, key)
				}
				assert.Equal(t, tt.rec, rec)
				got.done(t)
			})
		}
	}
}

// untouched is a writer with the interfaces of HTTP/1's writer that panics for each method except Header.
type untouched struct {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
	io.ReaderFrom
}

func (untouched) Header() http.Header { return http.Header{} }

func TestChangesNothing(t *testing.T) {
	for _, newHandler := range []func(...accesslog.Option) (logHandler, lines){newLog, newCombined} {
		h, got := newHandler()
		assert.NotPanics(t, func() { h(t.Context(), mutil.WrapWriter(untouched{}), request("GET", "/")) })
		assert.Contains(t, got.next(t), "200")
	}
}

func TestDuration(t *testing.T) {
	var durations []time.Duration
	h := accesslog.New(slog.New(handler(func(_ context.Context, r slog.Record) {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "duration" {
				durations = append(durations, a.Value.Duration())
			}
			return true
		})
	})))
	mux := kami.New()
	mux.LogHandler = h
	mux.ServeHTTP(httptest.NewRecorder(), request("GET", "/"))
	require.Len(t, durations, 1)
	assert.Positive(t, durations[0])
	logged(h, request("GET", "/"))
	assert.Len(t, durations, 1, "it is not known of a request that came through no Mux")

	synctest.Test(t, func(t *testing.T) {
		durations = nil
		mux.Use("/slow", func(ctx context.Context) context.Context { time.Sleep(time.Second); return ctx })
		mux.After("/slow", func(ctx context.Context) context.Context { time.Sleep(time.Minute); return ctx })
		mux.Get("/slow", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) })
		mux.Post("/slow", func(context.Context, http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) })
		for _, method := range []string{"GET", "POST"} {
			time.Sleep(24 * time.Hour)
			mux.ServeHTTP(httptest.NewRecorder(), request(method, "/slow"))
		}
		each := time.Hour + time.Minute + time.Second
		assert.Equal(t, []time.Duration{each, each}, durations)
	})
}

// handler is a function as a slog.Handler.
type handler func(context.Context, slog.Record)

func (handler) Enabled(context.Context, slog.Level) bool { return true }
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	h(ctx, r)
	return errors.New("nobody hears of this")
}
func (h handler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h handler) WithGroup(string) slog.Handler      { return h }

func TestHandlerGetsTheContext(t *testing.T) {
	type key struct{}
	var trace any
	var at time.Time
	mux := newMux(accesslog.New(slog.New(handler(func(ctx context.Context, r slog.Record) {
		trace, at = ctx.Value(key{}), r.Time
	}))))
	mux.Use("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "trace") })
	before := time.Now()
	mux.ServeHTTP(httptest.NewRecorder(), request("GET", "/empty"))
	assert.Equal(t, "trace", trace)
	assert.WithinRange(t, at, before, time.Now())
}

func TestLoggersAttributes(t *testing.T) {
	got := make(lines, 1)
	logger := slog.New(slog.NewJSONHandler(got, nil)).With("app", "kami").WithGroup("http")
	logged(accesslog.New(logger), request("GET", "/"))
	assert.Contains(t, got.next(t), `"app":"kami","http":{"method":"GET",`)
}

func TestDefaultLogger(t *testing.T) {
	old := slog.Default()
	defer slog.SetDefault(old)
	h := accesslog.New(nil)
	for range 2 {
		got := make(lines, 1)
		slog.SetDefault(slog.New(slog.NewTextHandler(got, nil)))
		logged(h, request("GET", "/"))
		assert.Contains(t, got.next(t), "level=INFO msg=request method=GET path=/ ")
	}
}

// levels is a slog.Handler whose enabled levels a function decides.
type levels struct {
	slog.Handler
	enabled func(context.Context, slog.Level) bool
}

func (l levels) Enabled(ctx context.Context, level slog.Level) bool { return l.enabled(ctx, level) }

func TestDisabled(t *testing.T) {
	type key struct{}
	out := make(lines, 10)
	asked := 0
	id := func(context.Context, http.Header, *http.Request) string { asked++; return "" }
	handler := levels{slog.NewJSONHandler(out, nil), func(ctx context.Context, level slog.Level) bool {
		return ctx.Value(key{}) != nil && level >= slog.LevelWarn
	}}
	mux := newMux(accesslog.New(slog.New(handler), accesslog.RequestID(id)))
	mux.Use("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) })
	for _, path := range []string{"/empty", "/status/301", "/status/404", "/empty", "/status/500"} {
		mux.ServeHTTP(httptest.NewRecorder(), request("GET", path))
	}
	assert.Equal(t, 404.0, out.record(t)["status"])
	assert.Equal(t, 500.0, out.record(t)["status"])
	out.done(t)
	assert.Equal(t, 2, asked, "nothing is computed for the others")
}

func TestQuery(t *testing.T) {
	h, got := newLog(accesslog.WithQuery())
	for target, want := range map[string]any{"/": nil, "/?": nil, "/?a=b&c=%20": "a=b&c=%20", "http://x/?a?b": "a?b"} {
		logged(h, request("GET", target))
		rec := got.record(t)
		assert.Equal(t, want, rec["query"], target)
		assert.Equal(t, "/", rec["path"], target)
	}
}

func TestRequestID(t *testing.T) {
	type key struct{}
	long := strings.Repeat("x", 126)
	custom := accesslog.RequestID(func(ctx context.Context, header http.Header, r *http.Request) string {
		return fmt.Sprint(ctx.Value(key{}), header.Get("X-Request-Id"), r.Header.Get("X-Request-Id"))
	})
	for _, tt := range []struct {
		name string
		id   string // of the response
		opts []accesslog.Option
		want any
	}{
		{"none", "", nil, nil},
		{"of the response", "b1", nil, "b1"},
		{"of the option", "b2", []accesslog.Option{custom}, "a1 b2 c3"},
		{"not wanted", "b3", []accesslog.Option{accesslog.RequestID(nil)}, nil},
		{"just right", long + "yz", nil, long + "yz"},
		{"too long", long + "yz!", nil, long + "yz"},
		{"a rune just right", long + "é", nil, long + "é"},
		{"a rune too long", long + "y" + "é", nil, long + "y"},
		{"a rune of four bytes", long + "y" + "😀", nil, long + "y"},
		{"much too long", long + strings.Repeat("😀", 10000), nil, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, got := newLog(tt.opts...)
			mux := kami.New()
			mux.LogHandler = h
			mux.Use("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
				if tt.id != "" {
					w.Header().Set("X-Request-Id", tt.id)
				}
				return context.WithValue(ctx, key{}, "a1 ")
			})
			mux.ServeHTTP(httptest.NewRecorder(), request("GET", "/", "X-Request-Id:  c3"))
			assert.Equal(t, tt.want, got.record(t)["request_id"])
		})
	}
}

func TestRequestIDThatIsNotUTF8(t *testing.T) {
	id := strings.Repeat("\x80", 200)
	out := make(lines, 1)
	h := accesslog.New(slog.New(slog.NewTextHandler(out, nil)),
		accesslog.RequestID(func(context.Context, http.Header, *http.Request) string { return id }))
	logged(h, request("GET", "/"))
	assert.Contains(t, out.next(t), ` request_id="`+strings.Repeat(`\x80`, 128)+`"`)
}

func TestConcurrently(t *testing.T) {
	const clients, requests = 8, 50
	logHandler, records := newLog(accesslog.RequestID(func(_ context.Context, _ http.Header, r *http.Request) string {
		return r.URL.Path
	}))
	combined, text := newCombined()
	mux := newMux(func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		logHandler(ctx, w, r)
		combined(ctx, w, r)
	})
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			for i := range requests {
				path := fmt.Sprintf("/users/%d-%d", c, i)
				mux.ServeHTTP(httptest.NewRecorder(), request("GET", path))
			}
		})
	}
	seen := map[any]int{}
	for range clients * requests {
		rec := records.record(t)
		assert.Equal(t, rec["path"], rec["request_id"])
		seen[rec["path"]]++
		seen[strings.Fields(text.next(t))[6]]++
	}
	running.Wait()
	records.done(t)
	text.done(t)
	assert.Len(t, seen, clients*requests)
	for path, times := range seen {
		assert.Equal(t, 2, times, path)
	}
}
