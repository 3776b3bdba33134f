package compat

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestC36ChiRequestID(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		var seen journal
		see := func(where string) func(context.Context, http.ResponseWriter, *http.Request) context.Context {
			return func(ctx context.Context, _ http.ResponseWriter, r *http.Request) context.Context {
				one(t, ctx, r)
				seen.add(where + " " + middleware.GetReqID(ctx))
				return ctx
			}
		}
		ends := s.ends(t)
		s.use("/", see("earlier"))
		s.use("/", middleware.RequestID)
		s.use("/", see("later"))
		s.after("/", see("afterware"))
		s.get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			see("handler")(ctx, w, r)
			fmt.Fprint(w, middleware.GetReqID(r.Context()))
		})
		c := serve(t, s)

		for _, given := range []string{"id-1", "", "id-2"} {
			var headers []string
			if given != "" {
				headers = []string{middleware.RequestIDHeader, given}
			}
			got := c.get(t, "/", headers...)
			id := got.body
			if given != "" {
				assert.Equal(t, given, id)
			}
			assert.NotEmpty(t, id)
			assert.Equal(t, http.StatusOK, got.StatusCode)
			assert.Equal(t, id, middleware.GetReqID(receive(t, ends).ctx), "in LogHandler")
			assert.Equal(t, []string{"earlier ", "later " + id, "handler " + id, "afterware " + id}, seen.take())
		}
	})
}

// The same if nothing between it and the handler sets a value.
func TestC36ChiRequestIDLast(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		after, ends := make(chan string, 16), s.ends(t)
		s.use("/", middleware.RequestID)
		s.after("/", func(ctx context.Context) context.Context {
			after <- middleware.GetReqID(ctx)
			return ctx
		})
		c := serve(t, s)

		assert.Equal(t, http.StatusNotFound, c.get(t, "/", middleware.RequestIDHeader, "id-1").StatusCode)
		assert.Equal(t, "id-1", receive(t, after))
		assert.Equal(t, "id-1", middleware.GetReqID(receive(t, ends).ctx))
	})
}

// entries is a chi log formatter that records its entries.
type entries chan string

func (e entries) NewLogEntry(*http.Request) middleware.LogEntry { return e }

func (e entries) Write(status, bytes int, _ http.Header, _ time.Duration, _ any) {
	e <- fmt.Sprintf("%d %dB", status, bytes)
}

func (e entries) Panic(v any, stack []byte) { e <- fmt.Sprintf("panic %v", v) }

func TestC36ChiRecoverer(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		log := make(entries, 16)
		after := make(chan any, 16)
		ends := s.ends(t)
		s.noPanics(t)
		s.use("/", func(ctx context.Context) context.Context { // where Recoverer finds its log
			return context.WithValue(ctx, middleware.LogEntryCtxKey, log)
		})
		s.use("/", middleware.Recoverer)
		s.use("/middleware", func(context.Context) context.Context { panic("middleware") })
		s.after("/", func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
			one(t, ctx, r)
			after <- w.Status()
			return ctx
		})
		s.get("/middleware", func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") })
		s.get("/handler/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			panic("handler " + kami.Param(ctx, "id"))
		})
		s.get("/written", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			panic("written")
		})
		c := serve(t, s)

		for _, tt := range []struct {
			path, log string
			status    int
		}{
			{"/handler/7", "panic handler 7", 500},
			{"/middleware", "panic middleware", 500},
			{"/nothing", "", 404},
			{"/written", "panic written", 202},
		} {
			got := c.get(t, tt.path)
			assert.Equal(t, tt.status, got.StatusCode, tt.path)
			if tt.log != "" {
				assert.Equal(t, tt.log, receive(t, log))
				assert.Empty(t, got.body)
			}
			assert.Equal(t, tt.status, receive(t, after), "in afterware")
			end := receive(t, ends)
			assert.Equal(t, tt.status, end.status, "in LogHandler")
			assert.Nil(t, kami.Exception(end.ctx), "nobody but Recoverer caught it")
			empty(t, log)
			empty(t, after)
			empty(t, ends)
		}
	})
}

// Recoverer has ended before afterware runs, so kami recovers afterware's panics.
func TestC40AfterwarePanicsOutsideRecoverer(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		caught := make(chan any, 16)
		ends := s.ends(t)
		*s.panicHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			caught <- kami.Exception(ctx)
		}
		s.use("/", middleware.Recoverer)
		s.after("/", func(context.Context) context.Context { panic("afterware") })
		s.get("/", func(http.ResponseWriter, *http.Request) {})
		c := serve(t, s)

		assert.Equal(t, http.StatusInternalServerError, c.get(t, "/").StatusCode)
		assert.Equal(t, "afterware", receive(t, caught))
		end := receive(t, ends)
		assert.Equal(t, http.StatusInternalServerError, end.status)
		assert.Equal(t, "afterware", kami.Exception(end.ctx))
		empty(t, caught)
	})
}

func TestC41AbortPassesRecoverer(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		ends := s.ends(t)
		s.noPanics(t)
		s.use("/", middleware.Recoverer)
		s.get("/", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		c := serve(t, s)

		_, err := c.ask(http.MethodPost, "/")
		require.NoError(t, err, "a 405")
		receive(t, ends)
		_, err = c.ask(http.MethodGet, "/")
		assert.Error(t, err, "the connection is cut")
		end := receive(t, ends)
		assert.Equal(t, http.ErrAbortHandler, kami.Exception(end.ctx))
		assert.Zero(t, end.status)
	})
}

func TestC36ChiCompress(t *testing.T) {
	text := strings.Repeat("kami and the gods of paper ", 5000)
	overBoth(t, func(t *testing.T, s *stack) {
		after := make(chan int, 16)
		ends := s.ends(t)
		s.use("/", middleware.Compress(5))
		s.after("/", func(w mutil.WriterProxy, _ *http.Request) { after <- w.BytesWritten() })
		s.get("/:major/:minor", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kami.Param(ctx, "major")+"/"+kami.Param(ctx, "minor"))
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			fmt.Fprint(w, text)
		})
		c := serve(t, s)

		for _, tt := range []struct{ path, accept, encoding, vary string }{
			{"/text/plain", "gzip, deflate", "gzip", "Accept-Encoding"},
			{"/text/plain", "identity", "", ""},
			{"/image/png", "gzip", "", ""},
		} {
			got := c.get(t, tt.path, "Accept-Encoding", tt.accept)
			assert.Equal(t, http.StatusOK, got.StatusCode)
			assert.Equal(t, tt.encoding, got.Header.Get("Content-Encoding"), tt)
			assert.Equal(t, tt.vary, got.Header.Get("Vary"), tt)
			plain := got.body
			if tt.encoding == "gzip" {
				assert.Less(t, len(got.body), len(text)/10)
				plain = gunzip(t, got.body)
			}
			assert.True(t, plain == text, "the body of %v", tt)
			assert.Equal(t, len(got.body), receive(t, after), "afterware stands outside, where the bytes are few")
			assert.Equal(t, len(got.body), receive(t, ends).bytes)
		}
	})
}

func TestC36ChiTimeout(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		after := make(chan context.Context, 16)
		handled := make(chan error, 16)
		ends := s.ends(t)
		s.use("/slow/", middleware.Timeout(time.Millisecond))
		s.use("/fast/", middleware.Timeout(limit))
		s.use("/", set("before", "b"))
		s.use("/:speed/", set("within", "w"))
		s.after("/", func(ctx context.Context) context.Context { after <- ctx; return ctx })
		s.get("/slow/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			wait(t, ctx.Done())
			handled <- ctx.Err()
		})
		s.get("/fast/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the handler's context has no deadline")
			}
			handled <- ctx.Err()
			fmt.Fprint(w, kami.Param(ctx, "id"))
		})
		c := serve(t, s)

		for _, tt := range []struct {
			path, body string
			status     int
			err        error
		}{
			{"/slow/1", "", http.StatusGatewayTimeout, context.DeadlineExceeded},
			{"/fast/2", "2", http.StatusOK, nil},
		} {
			got := c.get(t, tt.path)
			assert.Equal(t, tt.status, got.StatusCode)
			assert.Equal(t, tt.body, got.body)
			assert.Equal(t, tt.err, receive(t, handled))
			end := receive(t, ends)
			assert.Equal(t, tt.status, end.status)
			for where, ctx := range map[string]context.Context{"afterware": receive(t, after), "LogHandler": end.ctx} {
				assert.NoError(t, ctx.Err(), "%s is outside of the timeout", where)
				assert.Equal(t, "b", ctx.Value(key("before")), where)
				assert.Equal(t, "w", ctx.Value(key("within")), where)
				assert.Equal(t, tt.path[len("/slow/"):], kami.Param(ctx, "id"), where)
			}
		}
	})
}

// Afterware's context ends with the context outside of the timeout, with the same cause.
func TestC11CauseAfterTimeout(t *testing.T) {
	errClosed := errors.New("we are closed")
	overBoth(t, func(t *testing.T, s *stack) {
		base, end := context.WithCancelCause(context.Background())
		defer end(nil)
		*s.context = base
		ends := s.ends(t)
		s.use("/", middleware.Timeout(time.Millisecond))
		s.after("/", func(ctx context.Context) context.Context {
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			assert.NoError(t, derived.Err())
			end(errClosed)
			wait(t, derived.Done())
			for _, ctx := range []context.Context{ctx, derived} {
				assert.Equal(t, context.Canceled, ctx.Err())
				assert.Equal(t, errClosed, context.Cause(ctx))
			}
			return ctx
		})
		s.get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			wait(t, ctx.Done())
			assert.Equal(t, context.DeadlineExceeded, context.Cause(ctx))
		})
		c := serve(t, s)

		assert.Equal(t, http.StatusGatewayTimeout, c.get(t, "/").StatusCode)
		assert.Equal(t, errClosed, context.Cause(receive(t, ends).ctx))
	})
}

func TestC36ChiLogger(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		out := new(buffer)
		ends := s.ends(t)
		s.use("/", middleware.RequestID)
		s.use("/", middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(out, "", 0), NoColor: true}))
		s.get("/hello/:name", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			assert.NotNil(t, middleware.GetLogEntry(r))
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, "hello, ", kami.Param(ctx, "name"))
		})
		c := serve(t, s)

		for _, tt := range []struct {
			method, path  string
			status, bytes int
		}{
			{"GET", "/hello/greg", 201, len("hello, greg")},
			{"HEAD", "/hello/greg", 201, len("hello, greg")},
			{"GET", "/nothing?q=1", 404, len("404 page not found\n")},
			{"POST", "/hello/greg", 405, len("Method Not Allowed\n")},
			{"OPTIONS", "/hello/greg", 204, 0},
			{"PUT", "/hello/greg/?q=1", 405, len("Method Not Allowed\n")},
			{"GET", "/hello/greg/?q=1", 301, len(`<a href="/hello/greg?q=1">Moved Permanently</a>.` + "\n\n")},
		} {
			got := c.do(t, tt.method, tt.path, middleware.RequestIDHeader, "id")
			assert.Equal(t, tt.status, got.StatusCode, tt)
			end := receive(t, ends)
			assert.Equal(t, tt.status, end.status, tt)
			want := fmt.Sprintf(`^\[id\] "%s %s HTTP/1\.1" from 127\.0\.0\.1:\d+ - %d %dB in \S+\n$`,
				tt.method, regexp.QuoteMeta(c.url+tt.path), tt.status, tt.bytes)
			assert.Regexp(t, want, out.String())
			if tt.method != "HEAD" {
				assert.Equal(t, tt.bytes, len(got.body), tt)
			}
		}
	})
}

// realIP is deprecated because it trusts any client. It is tested because apps still use it.
//
//lint:ignore SA1019 it is what apps use
var realIP = middleware.RealIP

func TestC36ChiRealIP(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		seen := make(chan string, 16)
		s.use("/", middleware.ClientIPFromHeader("X-Real-Ip"))
		s.use("/real/", realIP)
		s.use("/read-only/", realIP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen <- r.RemoteAddr
		})))
		s.use("/:kind/", func(_ http.ResponseWriter, r *http.Request) context.Context {
			seen <- r.RemoteAddr
			return r.Context()
		})
		s.get("/:kind/ip", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			fmt.Fprint(w, r.RemoteAddr, " ", middleware.GetClientIP(ctx))
		})
		c := serve(t, s)

		for _, tt := range []struct {
			headers  []string
			real, ip string
		}{
			{[]string{"True-Client-IP", "192.0.2.1", "X-Real-Ip", "192.0.2.2"}, "192.0.2.1", "192.0.2.2"},
			{[]string{"X-Real-Ip", "192.0.2.2"}, "192.0.2.2", "192.0.2.2"},
			{[]string{"X-Forwarded-For", "2001:db8::1, 192.0.2.3"}, "2001:db8::1", ""},
		} {
			got := c.get(t, "/real/ip", tt.headers...)
			assert.Equal(t, tt.real+" "+tt.ip, got.body)
			assert.Equal(t, tt.real, receive(t, seen), "in later middleware")

			got = c.get(t, "/read-only/ip", tt.headers...)
			assert.Equal(t, tt.real, receive(t, seen), "C37: it changes its own copy")
			assert.Regexp(t, `^127\.0\.0\.1:\d+$`, receive(t, seen), "C37: and nobody else's")
			assert.Regexp(t, `^127\.0\.0\.1:\d+ `+tt.ip+`$`, got.body)
			empty(t, seen)
		}
	})
}

func TestC36ChiThrottle(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		started, release := make(chan struct{}), make(chan struct{})
		ends := s.ends(t)
		s.use("/", middleware.Throttle(1))
		s.get("/", func(w http.ResponseWriter, r *http.Request) {
			close(started)
			wait(t, release)
			fmt.Fprint(w, "done")
		})
		c := serve(t, s)

		first := make(chan error, 1)
		go func() {
			got, err := c.ask(http.MethodGet, "/")
			if err == nil && got.body != "done" {
				err = errors.New(got.Status)
			}
			first <- err
		}()
		wait(t, started)
		got := c.get(t, "/elsewhere") // one middleware for all routes, so one limit for all
		assert.Equal(t, http.StatusTooManyRequests, got.StatusCode)
		assert.Equal(t, http.StatusTooManyRequests, receive(t, ends).status)
		close(release)
		require.NoError(t, receive(t, first))
		assert.Equal(t, http.StatusOK, receive(t, ends).status)
	})
}
