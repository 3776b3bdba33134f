package message_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

type key struct{}

type other struct{}

// logs makes slog's default logger write to the returned buffer until the test ends.
func logs(t *testing.T) *bytes.Buffer {
	var b bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return &b
}

func post(path string, h kami.HandlerType) *kami.Mux {
	mux := kami.New()
	mux.Post(path, h)
	return mux
}

func TestM01TheRequest(t *testing.T) {
	m := &message.Message{
		Route: "rooms.a%2Fb", Header: http.Header{"X-Id": {"1"}}, Body: []byte(`{"a":1}`), RemoteAddr: "10.0.0.1:5",
	}
	var seen *http.Request
	handler := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NoError(t, r.Body.Close())
		assert.Equal(t, `{"a":1}`, string(body))
		assert.Equal(t, "a/b", kami.Param(ctx, "id"))
		assert.Same(t, m, message.FromContext(ctx))
		r.Header.Set("X-Id", "2")
		seen = r
	}
	reply := message.Serve(t.Context(), post("/rooms/:id", handler), m)
	assert.Equal(t, &message.Reply{Status: 200, Pattern: "/rooms/:id"}, reply)
	assert.Equal(t, "POST", seen.Method)
	assert.Equal(t, "/rooms/a/b", seen.URL.Path)
	assert.Equal(t, "/rooms/a%2Fb", seen.RequestURI)
	assert.Equal(t, "/rooms/a%2Fb", seen.URL.EscapedPath())
	assert.Equal(t, "10.0.0.1:5", seen.RemoteAddr)
	assert.Equal(t, int64(7), seen.ContentLength)
	assert.Equal(t, http.Header{"X-Id": {"2"}, "Content-Type": {"application/json"}}, seen.Header)
	assert.Equal(t, http.Header{"X-Id": {"1"}}, m.Header, "the request's header is its own")
	assert.Nil(t, message.FromContext(t.Context()))
}

func TestM01WithoutABody(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.Header{}, r.Header)
		assert.Equal(t, http.NoBody, r.Body)
		assert.Zero(t, r.ContentLength)
	})
	message.Serve(t.Context(), h, &message.Message{Route: "a"})
}

func TestM01ContentTypeOfTheHeader(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Content-Type")) })
	m := &message.Message{Route: "a", Body: []byte("x"), Header: http.Header{"Content-Type": {"text/plain"}}}
	assert.Equal(t, "text/plain", string(message.Serve(t.Context(), h, m).Body))
}

// TestM01TheContext checks that each kind of handler sees the values, the deadline and the end of the message's context, whatever the
// Mux's Cancel and Context are.
func TestM01TheContext(t *testing.T) {
	base, stop := context.WithCancel(context.WithValue(context.Background(), key{}, "mux"))
	defer stop()
	plain := func(h http.HandlerFunc) http.Handler { return h }
	kinds := map[string]func(h http.HandlerFunc) http.Handler{
		"plain": plain,
		"mux":   func(h http.HandlerFunc) http.Handler { return post("/a", h) },
		"mux with a context": func(h http.HandlerFunc) http.Handler {
			mux := post("/a", h)
			mux.Context = base
			return mux
		},
		"cancelling": func(h http.HandlerFunc) http.Handler {
			mux := post("/a", h)
			mux.Cancel, mux.Context = true, base
			return mux
		},
		"nested": func(h http.HandlerFunc) http.Handler {
			outer, inner := kami.New(), post("/a", h)
			outer.Context, inner.Context = base, base
			outer.Use("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, other{}, 1) })
			outer.Mount("/", inner)
			return outer
		},
		"behind middleware": func(h http.HandlerFunc) http.Handler {
			mux := post("/a", h)
			mux.Context = base
			return plain(func(w http.ResponseWriter, r *http.Request) {
				mux.ServeHTTP(w, r.Clone(context.WithValue(r.Context(), other{}, 1)))
			})
		},
	}
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			cause := errors.New("the peer has gone")
			ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "message"))
			end := time.Now().Add(time.Hour)
			ctx, release := context.WithDeadline(ctx, end)
			defer release()
			var kept context.Context
			h := make(func(w http.ResponseWriter, r *http.Request) {
				kept = r.Context()
				assert.Equal(t, "message", kept.Value(key{}))
				got, ok := kept.Deadline()
				assert.True(t, ok && got.Equal(end), got)
				derived, stop := context.WithCancel(kept)
				defer stop()
				assert.NoError(t, kept.Err())
				cancel(cause)
				<-kept.Done()
				<-derived.Done()
				assert.ErrorIs(t, kept.Err(), context.Canceled)
				assert.Equal(t, cause, context.Cause(kept))
				w.WriteHeader(201)
			})
			assert.Equal(t, 201, message.Serve(ctx, h, &message.Message{Route: "a"}).Status)
			assert.Error(t, kept.Err())
		})
	}
}

// TestM01TheMuxsContextEndsItToo checks that the end of a Mux's Context ends the context of a message.
func TestM01TheMuxsContextEndsItToo(t *testing.T) {
	base, stop := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var kept context.Context
	mux := post("/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		kept = ctx
		assert.NotNil(t, ctx.Done())
	})
	mux.Context = base
	message.Serve(ctx, mux, &message.Message{Route: "a"})
	assert.NoError(t, kept.Err())
	stop()
	<-kept.Done()
	assert.ErrorIs(t, kept.Err(), context.Canceled)
}

// TestM01ItsOwnRequest checks that a message that is served within an HTTP request is not answered with the 499 for a client that has
// left, because the HTTP client is not the message's sender.
func TestM01ItsOwnRequest(t *testing.T) {
	log := logs(t)
	inner := post("/a", func(context.Context, http.ResponseWriter, *http.Request) error { return context.Canceled })
	outer := post("/ws", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		ctx = context.WithoutCancel(ctx) // as with a connection that has been hijacked
		w.WriteHeader(message.Serve(ctx, inner, &message.Message{Route: "a"}).Status)
	})
	gone, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(gone, "POST", "http://x/ws", nil)
	require.NoError(t, err)
	leave()
	w := &statusWriter{}
	outer.ServeHTTP(w, r)
	assert.Equal(t, 500, w.status)
	assert.Contains(t, log.String(), "context canceled")
}

type statusWriter struct{ status int }

func (w *statusWriter) Header() http.Header         { return http.Header{} }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *statusWriter) WriteHeader(code int)        { w.status = code }

func TestM02Panics(t *testing.T) {
	handlers := map[string]struct {
		h    http.HandlerFunc
		logs string
	}{
		"a panic": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Secret", "1")
			_, _ = io.WriteString(w, "secret")
			panic("secret boom")
		}, "secret boom"},
		"an abort": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "secret")
			panic(http.ErrAbortHandler)
		}, ""},
		"a nil":             {func(http.ResponseWriter, *http.Request) { panic(nil) }, "nil"}, //nolint
		"an invalid status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(7) }, "invalid WriteHeader code 7"},
	}
	for name, test := range handlers {
		t.Run(name, func(t *testing.T) {
			for _, h := range []http.Handler{test.h, post("/a/:b", test.h)} {
				log := logs(t)
				reply := message.Serve(t.Context(), h, &message.Message{Route: "a.b"})
				assert.Equal(t, 500, reply.Status)
				assert.Equal(t, "Internal Server Error\n", string(reply.Body))
				assert.Equal(t, http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}, reply.Header)
				if test.logs == "" {
					assert.Empty(t, log)
					continue
				}
				assert.Equal(t, 1, strings.Count(log.String(), "\n"), log)
				assert.Contains(t, log.String(), "route=a.b")
				assert.Contains(t, log.String(), test.logs)
				assert.Contains(t, log.String(), "serve_test.go")
			}
		})
	}
	t.Run("no handler", func(t *testing.T) {
		logs(t)
		assert.Equal(t, 500, message.Serve(t.Context(), nil, &message.Message{Route: "a"}).Status)
	})
}

func TestM02PanicHandler(t *testing.T) {
	log := logs(t)
	mux := post("/a", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.PanicHandler = func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = io.WriteString(w, kami.Exception(ctx).(string))
	}
	reply := message.Serve(t.Context(), mux, &message.Message{Route: "a"})
	assert.Equal(t, &message.Reply{Status: 503, Header: reply.Header, Body: []byte("boom"), Pattern: "/a"}, reply)
	assert.Empty(t, log)
}

func TestM02TheEndOfAGoroutine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	reply, err := message.Local(h).Call(ctx, &message.Message{Route: "a"})
	require.NoError(t, err)
	assert.Equal(t, 500, reply.Status)
}

func TestM03TheWriter(t *testing.T) {
	tests := []struct {
		name  string
		write func(w http.ResponseWriter, c *http.ResponseController)
		want  message.Reply
	}{
		{"nothing", func(http.ResponseWriter, *http.ResponseController) {}, message.Reply{Status: 200}},
		{"only headers", func(w http.ResponseWriter, _ *http.ResponseController) { w.Header().Set("A", "1") },
			message.Reply{Status: 200, Header: http.Header{"A": {"1"}}}},
		{"the first status", func(w http.ResponseWriter, _ *http.ResponseController) {
			h := w.Header()
			h.Set("A", "1")
			w.WriteHeader(201)
			h.Set("A", "2")
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "<html>")
		}, message.Reply{Status: 201, Header: http.Header{"A": {"1"}}, Body: []byte("<html>")}},
		{"informational", func(w http.ResponseWriter, _ *http.ResponseController) {
			w.WriteHeader(103)
			w.WriteHeader(101)
			w.Header().Set("A", "1")
			w.WriteHeader(404)
		}, message.Reply{Status: 404, Header: http.Header{"A": {"1"}}}},
		{"flush", func(w http.ResponseWriter, c *http.ResponseController) {
			assert.NoError(t, c.Flush())
			w.(http.Flusher).Flush()
			w.WriteHeader(404)
			_, _ = w.Write([]byte("a"))
			_, _ = w.Write([]byte("b"))
		}, message.Reply{Status: 200, Body: []byte("ab")}},
		{"not supported", func(w http.ResponseWriter, c *http.ResponseController) {
			_, _, err := c.Hijack()
			assert.ErrorIs(t, err, http.ErrNotSupported)
			assert.ErrorIs(t, c.SetReadDeadline(time.Time{}), http.ErrNotSupported)
			assert.ErrorIs(t, c.SetWriteDeadline(time.Time{}), http.ErrNotSupported)
			assert.ErrorIs(t, c.EnableFullDuplex(), http.ErrNotSupported)
		}, message.Reply{Status: 200}},
		{"read from", func(w http.ResponseWriter, _ *http.ResponseController) {
			n, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", 5000)), 4000))
			assert.NoError(t, err)
			assert.Equal(t, int64(4000), n)
			n, err = w.(io.ReaderFrom).ReadFrom(io.MultiReader(strings.NewReader("y"), errReader{}))
			assert.EqualError(t, err, "broken")
			assert.Equal(t, int64(1), n)
		}, message.Reply{Status: 200, Body: []byte(strings.Repeat("x", 4000) + "y")}},
		{"no body", func(w http.ResponseWriter, _ *http.ResponseController) {
			w.WriteHeader(204)
			_, err := io.WriteString(w, "a")
			assert.ErrorIs(t, err, http.ErrBodyNotAllowed)
			_, err = w.Write(nil)
			assert.ErrorIs(t, err, http.ErrBodyNotAllowed)
			_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("a"))
			assert.ErrorIs(t, err, http.ErrBodyNotAllowed)
		}, message.Reply{Status: 204}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { test.write(w, http.NewResponseController(w)) })
			got := message.Serve(t.Context(), h, &message.Message{Route: "a"})
			assert.Equal(t, string(test.want.Body), string(got.Body))
			got.Body = test.want.Body
			assert.Equal(t, &test.want, got)
		})
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// writing is a reader that returns one of its texts with each Read, and also writes to w.
type writing struct {
	w     http.ResponseWriter
	texts []string
}

func (r *writing) Read(p []byte) (int, error) {
	if len(r.texts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.texts[0])
	r.texts = r.texts[1:]
	_, err := io.WriteString(r.w, "-")
	return n, err
}

func TestM03WritesWhileItReads(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, err := w.(io.ReaderFrom).ReadFrom(&writing{w, []string{"a", "b"}})
		assert.NoError(t, err)
		assert.Equal(t, int64(2), n)
	})
	body := string(message.Serve(t.Context(), h, &message.Message{Route: "a"}).Body)
	assert.Len(t, body, 4)
}

// TestM03LateWrites has a handler whose goroutine still writes when the message has been answered. It checks, with -race, that these
// writes fail and do not race with the receiver of the reply.
func TestM03LateWrites(t *testing.T) {
	served, done := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("A", "1")
		_, _ = io.WriteString(w, "a")
		go func() {
			defer close(done)
			for range 100 {
				w.Header().Set("A", "2")
				_, _ = io.WriteString(w, "b")
			}
			<-served
			w.WriteHeader(500)
			w.Header().Set("A", "2")
			_, err := w.Write([]byte("c"))
			assert.Error(t, err)
			_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("d"))
			assert.Error(t, err)
			assert.Error(t, http.NewResponseController(w).Flush())
			assert.Error(t, message.Answer(w, "e"))
		}()
	})
	reply := message.Serve(t.Context(), h, &message.Message{Route: "a"})
	body := string(reply.Body)
	close(served)
	for range 100 {
		reply.Header.Set("A", "3")
		_ = append(reply.Body, "xyz"...)
	}
	<-done
	assert.Equal(t, body, string(reply.Body))
	assert.Equal(t, 200, reply.Status)
	assert.Equal(t, http.Header{"A": {"3"}}, reply.Header)
}

func TestM05Routes(t *testing.T) {
	inner := kami.New()
	inner.Post("/in/:id", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) })
	mux := kami.New()
	mux.Post("/room/:id", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	mux.Get("/only/get", func(http.ResponseWriter, *http.Request) {})
	mux.Post("/slash/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path+" "+r.Pattern) })
	mux.Post("/slash/:id/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, kami.Param(ctx, "id"))
	})
	mux.Use("/halted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })
	mux.Post("/halted", func(http.ResponseWriter, *http.Request) {})
	mux.Mount("/in/", inner)
	mux.Post("/files/*path", inner)
	behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.Clone(context.WithValue(r.Context(), key{}, 1)))
	})
	std := http.NewServeMux()
	std.Handle("POST /room/{id}", mux)
	std.HandleFunc("/dir/", func(http.ResponseWriter, *http.Request) {})
	tests := []struct {
		route, pattern string
		status         int
		body           string
	}{
		{"room.7", "/room/:id", 200, "/room/7"},
		{"nowhere", "", 404, "404 page not found\n"},
		{"only.get", "", 405, "Method Not Allowed\n"},
		{"slash", "/slash/", 200, "/slash /slash/"},
		{"slash.7", "/slash/:id/", 200, "7"},
		{"halted", "/halted", 403, ""},
		{"in.7", "/in/:id", 201, ""},
		{"in", "", 404, "404 page not found\n"},
		{"in.7.8", "", 404, "404 page not found\n"},
		{"files.7", "/files/*path", 404, "404 page not found\n"}, // the outer Mux's route matches
	}
	for _, test := range tests {
		for _, h := range []http.Handler{mux, behind} {
			reply := message.Serve(t.Context(), h, &message.Message{Route: test.route})
			assert.Equal(t, test.status, reply.Status, test.route)
			assert.Equal(t, test.pattern, reply.Pattern, test.route)
			assert.Equal(t, test.body, string(reply.Body), test.route)
		}
	}
	assert.Equal(t, "/room/:id", message.Serve(t.Context(), std, &message.Message{Route: "room.7"}).Pattern)
	redirect := message.Serve(t.Context(), std, &message.Message{Route: "dir"}) // an http.ServeMux still redirects
	assert.Equal(t, "/dir/", redirect.Header.Get("Location"))
}

func TestM07TheTimeoutOfAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left time.Duration
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			end, ok := r.Context().Deadline()
			assert.True(t, ok)
			left = time.Until(end)
			<-r.Context().Done()
			w.WriteHeader(504)
		})
		m := &message.Message{Route: "a", Header: http.Header{"Kami-Timeout": {"1.5s"}}}
		assert.Equal(t, 504, message.Serve(t.Context(), post("/a", h), m).Status)
		assert.Equal(t, 1500*time.Millisecond, left)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		message.Serve(ctx, h, m)
		assert.Equal(t, time.Second, left)
	})
	for _, text := range []string{"1", "soon", "-1s", "0s", strings.Repeat("9", 1000)} {
		reply := message.Serve(t.Context(), nil, &message.Message{Route: "a", Header: http.Header{"Kami-Timeout": {text}}})
		assert.Equal(t, 400, reply.Status)
		assert.Equal(t, "message: the header Kami-Timeout is \""+text[:min(40, len(text))]+"\", and should be a duration above zero, such as 1.5s\n", string(reply.Body))
	}
}

func TestM10Items(t *testing.T) {
	var items []string
	late := make(chan func(), 1)
	stream := func(item []byte) error { items = append(items, string(item)); return nil }
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, []string{"application/x-ndjson"}, r.Header["Accept"])
		c := http.NewResponseController(w)
		assert.NoError(t, c.Flush())
		_, _ = io.WriteString(w, "a")
		_, _ = io.WriteString(w, "b")
		assert.NoError(t, c.Flush())
		assert.NoError(t, c.Flush())
		_, _ = io.Copy(w, strings.NewReader("c"))
		assert.NoError(t, c.Flush())
		_, _ = io.WriteString(w, "rest")
		late <- func() { assert.Error(t, c.Flush()) }
	})
	reply := message.Serve(t.Context(), h, &message.Message{Route: "a", Stream: stream})
	(<-late)()
	assert.Equal(t, []string{"ab", "c"}, items)
	assert.Equal(t, "rest", string(reply.Body))

	items = nil
	failing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		_, _ = io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "b")
	})
	reply = message.Serve(t.Context(), failing, &message.Message{Route: "a", Stream: stream})
	assert.Empty(t, items)
	assert.Equal(t, "ab", string(reply.Body))
}

func TestM10AnErrorOfStreamEndsTheContext(t *testing.T) {
	full := errors.New("full")
	calls := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		assert.NoError(t, r.Context().Err())
		_, _ = io.WriteString(w, "a")
		assert.ErrorIs(t, c.Flush(), full)
		<-r.Context().Done()
		assert.Equal(t, full, context.Cause(r.Context()))
		_, err := io.WriteString(w, "b")
		assert.ErrorIs(t, err, full)
		assert.ErrorIs(t, c.Flush(), full)
	})
	reply := message.Serve(t.Context(), post("/a", h), &message.Message{Route: "a", Stream: func([]byte) error { calls++; return full }})
	assert.Equal(t, 1, calls)
	assert.Empty(t, reply.Body)
}

// TestM05MountsWithoutRedirects checks that scopes and hooks outside of a mount see the pattern of a route that ends in a slash, if the
// message's route lacks the slash.
func TestM05MountsWithoutRedirects(t *testing.T) {
	type seen struct{ before, within, after string }
	for _, depth := range []int{1, 2} {
		for _, halts := range []bool{false, true} {
			var got seen
			mux := kami.New()
			mux.Post("/a/b/:id/", named(func(_ http.ResponseWriter, r *http.Request) { got.within = r.Pattern }))
			for _, path := range []string{"/a/b/", "/a/"}[2-depth:] {
				outer := kami.New()
				outer.Mount(path, mux)
				mux = outer
			}
			mux.Use("/", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) context.Context {
				got.before = r.Pattern
				if halts {
					return nil
				}
				return ctx
			})
			mux.After("/", func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) context.Context {
				got.after = r.Pattern
				return ctx
			})
			var records strings.Builder
			mux.LogHandler = accesslog.New(slog.New(slog.NewTextHandler(&records, nil)))

			reply := message.Serve(t.Context(), mux, &message.Message{Route: "a.b.7"})
			const pattern = "/a/b/:id/"
			want := seen{before: pattern, within: pattern, after: pattern}
			if halts {
				want.within = ""
			}
			assert.Equal(t, want, got)
			assert.Equal(t, 200, reply.Status)
			assert.Equal(t, pattern, reply.Pattern)
			assert.Contains(t, records.String(), "pattern="+pattern+" handler=Named ")

			e, err := mux.Explain("POST", "/a/b/7")
			require.NoError(t, err)
			if assert.NotNil(t, e.Message) {
				assert.Equal(t, pattern, e.Message.Pattern)
			}
		}
	}
}

// named is a handler with the name Named.
type named http.HandlerFunc

func (named) HandlerName() string { return "Named" }

func (n named) ServeHTTP(w http.ResponseWriter, r *http.Request) { n(w, r) }
