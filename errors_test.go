package kami_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

// fails returns a handler that returns the error.
func fails(err error) func(context.Context, http.ResponseWriter, *http.Request) error {
	return func(context.Context, http.ResponseWriter, *http.Request) error { return err }
}

// statusError is an error with a status, and perhaps headers.
type statusError struct {
	code    int
	headers http.Header
}

func (e *statusError) Error() string        { return fmt.Sprint("error ", e.code) }
func (e *statusError) StatusCode() int      { return e.code }
func (e *statusError) Headers() http.Header { return e.headers }

// slogged collects the lines that slog.Default writes during the test, without their time.
func slogged(t *testing.T) *bytes.Buffer {
	var b bytes.Buffer
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	return &b
}

func TestErrorsOfHandlers(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		retry := http.Header{"Retry-After": {"7"}, "X-Many": {"a", "b"}}
		for i, test := range []struct {
			err        error
			code       int
			body       string
			logged     bool
			retryAfter string
		}{
			{errors.New("the password is 123"), 500, "Internal Server Error\n", true, ""},
			{&statusError{404, nil}, 404, "error 404\n", false, ""},
			{&statusError{400, nil}, 400, "error 400\n", false, ""},
			{&statusError{499, nil}, 499, "error 499\n", false, ""},
			{&statusError{503, retry}, 503, "Service Unavailable\n", true, "7"},
			{&statusError{599, nil}, 599, "status 599\n", true, ""},
			{&statusError{399, nil}, 500, "Internal Server Error\n", true, ""},
			{&statusError{200, nil}, 500, "Internal Server Error\n", true, ""},
			{&statusError{600, nil}, 500, "Internal Server Error\n", true, ""},
			{&statusError{0, nil}, 500, "Internal Server Error\n", true, ""},
			{fmt.Errorf("outer: %w", &statusError{429, retry}), 429, "outer: error 429\n", false, "7"},
			{errors.Join(errors.New("first"), &statusError{409, nil}), 409, "first\nerror 409\n", false, ""},
			{context.Canceled, 500, "Internal Server Error\n", true, ""}, // the client is there
		} {
			path := fmt.Sprint("/", i)
			s.get(path, fails(test.err))
			w := s.do("GET", path)
			assert.Equal(t, test.code, w.Code, "%v", test.err)
			assert.Equal(t, test.body, w.Body.String())
			assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			assert.Equal(t, []string{"Accept"}, w.Header()["Vary"])
			assert.Equal(t, test.retryAfter, w.Header().Get("Retry-After"))
			if test.retryAfter != "" {
				assert.Equal(t, []string{"a", "b"}, w.Header()["X-Many"])
			}
			want := ""
			if test.logged {
				want = fmt.Sprintf("level=ERROR msg=\"kami: a handler failed\" method=GET pattern=%s err=%q answer=%q\n",
					path, test.err, strings.TrimSpace(test.body))
			}
			assert.Equal(t, unquoted(want), unquoted(log.String()))
			log.Reset()
		}
	})
}

// unquoted removes the quotes that slog puts around some values.
func unquoted(text string) string { return strings.ReplaceAll(text, `"`, "") }

func TestErrorsAsProblemDetails(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		slogged(t)
		s.get("/404", fails(&statusError{404, http.Header{"Content-Type": {"image/png"}}}))
		s.get("/500", fails(errors.New("the password is 123")))
		s.get("/599", fails(&statusError{599, nil}))
		s.get("/text", fails(fmt.Errorf("\xff<\"\n%w", &statusError{400, nil})))
		ask := func(path string, accept ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", path, nil)
			r.Header["Accept"] = accept
			return s.serve(r)
		}
		for path, want := range map[string]string{
			"/404":  `{"title":"Not Found","status":404,"detail":"error 404"}`,
			"/500":  `{"title":"Internal Server Error","status":500}`,
			"/599":  `{"title":"status 599","status":599}`,
			"/text": `{"title":"Bad Request","status":400,"detail":"\ufffd\u003c\"\nerror 400"}`,
		} {
			w := ask(path, "application/json")
			body := strings.ReplaceAll(w.Body.String(), "\uFFFD", `\ufffd`) // as Go 1.26 writes it
			assert.Equal(t, want+"\n", body)
			assert.Equal(t, []string{"application/problem+json"}, w.Header()["Content-Type"])
		}
		for _, test := range []struct {
			accept  []string
			problem bool
		}{
			{nil, false},
			{[]string{""}, false},
			{[]string{"*/*"}, false},
			{[]string{"text/html, application/xhtml+xml, */*;q=0.8"}, false},
			{[]string{"application/problem+json"}, true},
			{[]string{"application/json, text/plain, */*"}, true},
			{[]string{"text/plain, application/json"}, true},
			{[]string{"text/plain, application/json;q=0.9"}, false},
			{[]string{"text/plain;q=0.5", "application/json;q=0.9"}, true},
			{[]string{"application/json;q=0"}, false},
			{[]string{"application/json;q=x"}, false},
			{[]string{"APPLICATION/JSON; charset=utf-8"}, true},
			{[]string{"/, ;, application/problem+json"}, true},
			{[]string{"application/*"}, true},
			{[]string{"application/*, text/*"}, true},
			{[]string{"application/problem+json;q=0, application/json"}, false},
			{[]string{"application/json;q=0.1, text/*"}, false},
			{[]string{"application/json;q=0.1, */*"}, false},
		} {
			w := ask("/404", test.accept...)
			assert.Equal(t, test.problem, w.Header().Get("Content-Type") == "application/problem+json", "%q", test.accept)
		}
	})
}

func TestErrorHandler(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		failure := errors.New("no more")
		type key struct{}
		s.use("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "value") })
		s.get("/hello/:name", fails(failure))
		s.notFound(fails(failure))
		s.methodNotAllowed(fails(failure))
		for _, wrap := range []bool{false, true} { // with afterware and LogHandler there is a proxy around the writer
			if wrap {
				s.after("/", func(context.Context) context.Context { return nil })
			}
			var got error
			*s.errorHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
				got = err
				assert.Equal(t, "value", ctx.Value(key{}))
				assert.Equal(t, ctx, r.Context())
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprint(w, r.Pattern, kami.Param(ctx, "name"))
			}
			for _, test := range []struct{ method, path, want string }{
				{"GET", "/hello/greg", "/hello/:namegreg"}, {"GET", "/", ""}, {"PUT", "/hello/greg", ""},
			} {
				got = nil
				w := s.do(test.method, test.path)
				assert.Equal(t, http.StatusTeapot, w.Code)
				assert.Equal(t, test.want, w.Body.String())
				assert.Equal(t, failure, got)
			}
			*s.errorHandler = nil
			assert.Equal(t, 500, s.do("GET", "/hello/greg").Code)
		}
		assert.Equal(t, 2, strings.Count(log.String(), "no more"))
	})
}

func TestErrorHandlerMayUseTheDefault(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		seen := 0
		*s.errorHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
			seen++
			kami.DefaultErrorHandler(ctx, w, r, err)
		}
		s.get("/", fails(&statusError{403, nil}))
		assert.Equal(t, 403, s.do("GET", "/").Code)
		assert.Equal(t, 1, seen)
	})
}

func TestNoErrorIsNoError(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) { t.Error("there is none") }
		s.get("/", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "hello")
			return err
		})
		assert.Equal(t, "hello", s.do("GET", "/").Body.String())
	})
}

// A response that the handler has sent stays unchanged.
func TestErrorAfterTheResponseHasBegun(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) { t.Error("it is too late") }
		s.get("/written", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			return errors.New("broken")
		})
		s.get("/flushed", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			_ = http.NewResponseController(w).Flush()
			return &statusError{404, nil}
		})
		w, aborted := s.aborts("GET", "/written")
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, "half", w.Body.String())
		assert.True(t, aborted)
		w, aborted = s.aborts("GET", "/flushed")
		assert.Equal(t, 200, w.Code)
		assert.True(t, aborted)
		assert.Equal(t, `level=ERROR msg="kami: a handler failed" method=GET pattern=/written err=broken answer="the response had begun"
level=ERROR msg="kami: a handler failed" method=GET pattern=/flushed err="error 404" answer="the response had begun"
`, log.String())
	})
}

func TestErrorAfterTheConnectionWasHijacked(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		done := make(chan struct{})
		s.get("/", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nmine")
			_ = conn.Close()
			return &statusError{400, nil}
		})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			s.ServeHTTP(w, r)
		}))
		defer server.Close()
		answer, err := http.Get(server.URL)
		require.NoError(t, err)
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		assert.Equal(t, "mine", string(body))
		<-done
		assert.Contains(t, log.String(), `err="error 400" answer="the connection was hijacked"`)
	})
}

// A banner is text that middleware writes before the handler fails.
func TestErrorAfterMiddlewareHasWritten(t *testing.T) {
	banner := func(w http.ResponseWriter) { _, _ = io.WriteString(w, "banner") }
	for name, mw := range map[string]kami.MiddlewareType{
		"read only": func(w http.ResponseWriter, _ *http.Request) { banner(w) },
		"standard": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { banner(w); next.ServeHTTP(w, r) })
		},
		"standard with a proxy": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				banner(w)
				next.ServeHTTP(mutil.WrapWriter(w), r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				log := slogged(t)
				s.use("/", mw)
				s.get("/a", fails(errors.New("broken")))
				s.methodNotAllowed(fails(errors.New("broken")))
				s.notFound(fails(errors.New("broken")))
				for _, request := range [][2]string{{"GET", "/a"}, {"PUT", "/a"}, {"GET", "/none"}} {
					w, aborted := s.aborts(request[0], request[1])
					assert.Equal(t, 200, w.Code)
					assert.Equal(t, "banner", w.Body.String())
					assert.True(t, aborted)
				}
				assert.Equal(t, 3, strings.Count(log.String(), `answer="the response had begun"`))
			})
		})
	}
}

// strange is another package's proxy, such as chi's, which does not tell that the connection was hijacked.
type strange struct{ mutil.WriterProxy }

func (s strange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(s.WriterProxy).Hijack()
}

func TestErrorAfterAHijackThroughAnotherProxy(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		s.use("/", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(strange{mutil.WrapWriter(w)}, r)
			})
		})
		*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) { t.Error("it is too late") }
		done := make(chan struct{})
		s.get("/", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				_ = conn.Close()
			}
			return errors.New("broken")
		})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			s.ServeHTTP(w, r)
		}))
		defer server.Close()
		_, err := http.Get(server.URL)
		assert.Error(t, err)
		<-done
		assert.Contains(t, log.String(), `answer="the connection was hijacked"`)
	})
}

func TestErrorHandlerThatWritesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) {}
		s.get("/", fails(errors.New("broken")))
		assert.Equal(t, 500, s.do("GET", "/").Code)
	})
}

// An error may carry the headers of an upstream's response. Some of them describe that response's body.
func TestHeadersOfErrors(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "a=1")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Length", "1000")
		})
		s.get("/", fails(&statusError{404, http.Header{
			"set-cookie": {"b=2"}, "cache-control": {"public", "max-age=1"}, "Vary": {"Origin"}, "Content-Length": {"3"},
			"Content-Encoding": {"gzip"}, "Transfer-Encoding": {"chunked"}, "Content-Type": {"image/png"},
		}}))
		header := s.do("GET", "/").Header()
		assert.Equal(t, http.Header{
			"Set-Cookie": {"a=1", "b=2"}, "Cache-Control": {"public", "max-age=1"}, "Vary": {"Origin", "Accept"},
			"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"},
		}, header)
	})
}

func TestErrorOfABodyThatIsTooLarge(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.handle("POST", "/", func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 3))
			return fmt.Errorf("reading: %w", err)
		})
		w := s.serve(httptest.NewRequest("POST", "/", strings.NewReader("more than that")))
		assert.Equal(t, 413, w.Code)
		assert.Equal(t, "reading: http: request body too large\n", w.Body.String())
	})
}

// waiting returns the answer to a request whose body does not come.
func waiting(t *testing.T, h http.Handler, kind string) (code int, text string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = kind == "HTTP/2"
	if kind == "HTTP/1.1" {
		server.Start()
	} else {
		server.StartTLS()
	}
	defer server.Close()
	body, end := io.Pipe()
	defer end.Close()
	response, err := server.Client().Post(server.URL, "application/json", body)
	require.NoError(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(got)
}

// expire has the read deadline pass, as http.Server.ReadTimeout does.
func expire(w http.ResponseWriter) error {
	return http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}

func TestErrorOfABodyThatDoesNotComeInTime(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		s.handle("POST", "/", func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
			if err := expire(w); err != nil {
				return err
			}
			_, err := io.ReadAll(r.Body)
			return fmt.Errorf("reading: %w", err)
		})
		for _, kind := range []string{"HTTP/1.1", "TLS", "HTTP/2"} {
			code, text := waiting(t, s, kind)
			assert.Equal(t, 408, code, kind)
			assert.Equal(t, "the body did not come in time\n", text, kind)
		}
		assert.Empty(t, log.String())
	})
}

// A deadline of another connection, such as one to a database, is the server's error.
func TestErrorOfADeadlineOfTheServers(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		database, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer database.Close()
		s.get("/", func(context.Context, http.ResponseWriter, *http.Request) error {
			c, err := net.Dial("tcp", database.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(time.Unix(1, 0))
			_, err = c.Read(make([]byte, 1))
			return err
		})
		server := httptest.NewServer(s)
		defer server.Close()
		response, err := server.Client().Get(server.URL)
		require.NoError(t, err)
		defer response.Body.Close()
		assert.Equal(t, 500, response.StatusCode)
		assert.Contains(t, log.String(), "i/o timeout")
	})
}

// failed is an error whose methods panic on nil.
type failed struct{ code int }

func (f failed) Error() string   { return fmt.Sprint("error ", f.code) }
func (f failed) StatusCode() int { return f.code }

func TestErrorThatIsANilPointer(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		s.get("/", fails((*failed)(nil)))
		assert.Equal(t, 500, s.do("GET", "/").Code)
		assert.Contains(t, log.String(), "the error is a nil *kami_test.failed")
	})
}

// A client that leaves in the middle of its body, or resets the connection, is not a server error either.
func TestErrorOfAConnectionThatIsReset(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		begun, status := make(chan bool), make(chan int, 1)
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { status <- w.Status() }
		s.handle("POST", "/", func(_ context.Context, _ http.ResponseWriter, r *http.Request) error {
			close(begun)
			_, err := io.ReadAll(r.Body)
			return err
		})
		server := httptest.NewServer(s)
		defer server.Close()
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
		require.NoError(t, err)
		<-begun
		require.NoError(t, c.(*net.TCPConn).SetLinger(0)) // so that it is reset
		require.NoError(t, c.Close())
		assert.Equal(t, 499, <-status)
		assert.Empty(t, log.String())
	})
}

// DrainTimeout ends contexts too, but the client is still connected then.
func TestErrorAtTheLimitOfADrain(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		s.get("/", fails(context.Canceled))
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(http.ErrServerClosed)
		assert.Equal(t, 500, s.serve(httptest.NewRequest("GET", "/", nil).WithContext(ctx)).Code)
		assert.Contains(t, log.String(), "err=\"context canceled\"")
	})
}

// A client that has left is not a server error, even if the handler's context does not end by it.
func TestErrorOfAClientThatHasLeft(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		*s.cancel = false
		var status int
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { status = w.Status() }
		s.get("/", fails(fmt.Errorf("querying: %w", context.Canceled)))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.serve(httptest.NewRequest("GET", "/", nil).WithContext(ctx))
		assert.Equal(t, 499, status)
		assert.Empty(t, log.String())
	})
}

// A panic is not an error, and a PanicHandler may return an error.
func TestErrorOfAPanicHandler(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.get("/", func(context.Context, http.ResponseWriter, *http.Request) error { panic("oops") })
		*s.panicHandler = func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
			assert.Equal(t, "oops", kami.Exception(ctx))
			return &statusError{404, nil}
		}
		assert.Equal(t, 404, s.do("GET", "/").Code)
		*s.errorHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(418) }
		assert.Equal(t, 418, s.do("GET", "/").Code)
	})
}

func TestHandlersWithAnErrorAreChecked(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		type own func(context.Context, http.ResponseWriter, *http.Request) error
		s.get("/own", own(fails(&statusError{403, nil})))
		assert.Equal(t, 403, s.do("GET", "/own").Code)
		at := here()
		got := panicOf(func() { s.handle("GET", "/nil", own(nil)) })
		assert.Equal(t, refusal(`GET "/nil"`, lineAfter(at), "the handler must not be nil"), got)
	})
}

// lineAfter returns the place of the line that follows a place.
func lineAfter(place string) string {
	at := strings.LastIndex(place, ":")
	var line int
	_, _ = fmt.Sscan(place[at+1:], &line)
	return fmt.Sprint(place[:at+1], line+1)
}

func TestHandleErrorAnswersAsTheInnermostMux(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		*s.errorHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, "outer: ", err)
		}
		inner := kami.New()
		inner.ErrorHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, "inner: ", err)
		}
		fail := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			kami.HandleError(ctx, w, r, errors.New("oops"))
		}
		halt := func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
			fail(ctx, w, r)
			return nil
		}
		inner.Get("/inner/handler", fail)
		inner.NotFound(fail)
		s.get("/inner/*rest", inner)
		s.get("/handler", fail)
		s.get("/late", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			proxy := mutil.WrapWriter(w)
			fmt.Fprint(proxy, "begun")
			fail(ctx, proxy, r)
		})
		s.get("/nil", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			kami.HandleError(ctx, w, r, nil)
		})
		s.get("/silent", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			*s.errorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) {}
			fail(ctx, w, r)
		})
		s.notFound(fail)
		s.use("/halted", halt)
		s.use("/halted/:id", halt)
		w, aborted := s.aborts("GET", "/late")
		assert.Equal(t, "begun", w.Body.String())
		assert.True(t, aborted)
		for _, test := range []struct {
			target, want string
			code         int
		}{
			{"/handler", "outer: oops", 418},
			{"/halted", "outer: oops", 418},
			{"/halted/7", "outer: oops", 418},
			{"/nowhere", "outer: oops", 418},
			{"/inner/handler", "inner: oops", 418},
			{"/inner/nowhere", "inner: oops", 418},
			{"/nil", "", 200},
			{"/silent", "", 500},
		} {
			w := s.do("GET", test.target)
			assert.Equal(t, test.code, w.Code, test.target)
			assert.Equal(t, test.want, w.Body.String(), test.target)
		}
	})
	w := httptest.NewRecorder()
	kami.HandleError(context.Background(), w, httptest.NewRequest("GET", "/", nil), errors.New("oops"))
	assert.Equal(t, 500, w.Code, "as DefaultErrorHandler")
	assert.NotContains(t, w.Body.String(), "oops")
}

// aborts serves a request as do does, and recovers http.ErrAbortHandler.
func (s *stack) aborts(method, target string) (w *httptest.ResponseRecorder, aborted bool) {
	w = httptest.NewRecorder()
	defer func() {
		v := recover()
		if aborted = v == http.ErrAbortHandler; v != nil && !aborted {
			panic(v)
		}
	}()
	s.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w, false
}

// TestC40HalfAResponseNeverLooksWhole checks with real servers that a client sees an incomplete response as broken.
func TestC40HalfAResponseNeverLooksWhole(t *testing.T) {
	write := func(length, text string, flush bool) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			_, _ = io.WriteString(w, text)
			if flush {
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
	swallow := func(next http.Handler) http.Handler { // a recoverer that does not spare http.ErrAbortHandler
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { _ = recover() }()
			next.ServeHTTP(w, r)
		})
	}
	each(t, func(t *testing.T, s *stack) {
		slogged(t)
		var logged []string
		*s.panicHandler = func(http.ResponseWriter, *http.Request) {}
		*s.logHandler = func(_ context.Context, w mutil.WriterProxy, r *http.Request) {
			logged = append(logged, fmt.Sprint(r.Pattern, " ", w.Status(), " ", w.BytesWritten()))
		}
		s.after("/", func(_ context.Context, w mutil.WriterProxy, _ *http.Request) { logged = append(logged, "after") })
		s.use("/swallowed/", swallow)
		for _, test := range []struct {
			path  string
			write func(w http.ResponseWriter)
			body  string // "" for an error
			log   string
		}{
			{"/part", write("", "half", false), "", "200 4"},
			{"/part/flushed", write("", "half", true), "", "200 4"},
			{"/part/of/length", write("8", "half", true), "", "200 4"},
			{"/swallowed/part", write("", "half", true), "", "200 4"},
			{"/whole", write("5", "whole", false), "whole", "200 5"},
			{"/whole/flushed", write("5", "whole", true), "whole", "200 5"},
			{"/status", func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }, "", "201 0"},
			{"/none", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, "204", "204 0"},
			{"/length/too/late", func(w http.ResponseWriter) { write("", "half", false)(w); w.Header().Set("Content-Length", "4") }, "", "200 4"},
			{"/length/after/flush", func(w http.ResponseWriter) { write("", "half", true)(w); w.Header().Set("Content-Length", "4") }, "", "200 4"},
			{"/length/gone", func(w http.ResponseWriter) { write("5", "whole", false)(w); w.Header().Del("Content-Length") }, "whole", "200 5"},
			{"/length/odd", write("4x", "half", false), "", "200 4"},
		} {
			s.get(test.path+"/error", func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
				test.write(w)
				return errors.New("broken")
			})
			s.get(test.path+"/panic", func(w http.ResponseWriter, _ *http.Request) {
				test.write(w)
				panic("broken")
			})
			for _, end := range []string{"/error", "/panic"} {
				if end == "/panic" && strings.HasPrefix(test.path, "/swallowed") {
					continue // where it never comes to PanicHandler
				}
				overBoth(t, s, "GET", test.path+end, func(what, body string, err error) {
					if test.body == "" {
						assert.Error(t, err, what)
					} else if assert.NoError(t, err, what) && test.body != "204" {
						assert.Equal(t, test.body, body, what)
					}
					assert.Equal(t, []string{"after", test.path + end + " " + test.log}, logged, what)
					logged = nil
				})
				if test.path != "/length/odd" { // which net/http sends as it is
					overBoth(t, s, "HEAD", test.path+end, func(what, _ string, err error) {
						assert.NoError(t, err, "HEAD %s", what)
						logged = nil
					})
				}
			}
		}
	})
}

// overBoth asks a real server over HTTP/1 and HTTP/2. It calls look after the Mux has returned.
func overBoth(t *testing.T, s *stack, method, target string, look func(what, body string, err error)) {
	t.Helper()
	for _, h2 := range []bool{false, true} {
		done := make(chan struct{}, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { done <- struct{}{} }()
			s.ServeHTTP(w, r)
		}))
		server.EnableHTTP2 = h2
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		r, err := http.NewRequest(method, server.URL+target, nil)
		require.NoError(t, err)
		answer, err := server.Client().Do(r)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		<-done
		look(fmt.Sprint(target, ", HTTP/2: ", h2), string(body), err)
		server.Close()
	}
}

// TestC40PanicHandlerCannotMendNorBreak has a PanicHandler write after the response has begun: an incomplete response stays
// incomplete for the client, and a complete one stays complete.
func TestC40PanicHandlerCannotMendNorBreak(t *testing.T) {
	long := strings.Repeat("long", 4<<10) // more than net/http keeps back
	each(t, func(t *testing.T, s *stack) {
		for name, handler := range map[string]kami.HandlerType{
			"http.Error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", 500) },
			"write":      func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sorry") },
			"copy":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("sorry")) },
			"length": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "sorry")
			},
			"error": func(context.Context, http.ResponseWriter, *http.Request) error { return errors.New("sorry") },
		} {
			slogged(t)
			*s.panicHandler = handler
			for i, test := range []struct {
				length, text string
				whole        bool
			}{
				{"5", "hello", true}, {fmt.Sprint(len(long)), long, true},
				{"10", "hello", false}, {fmt.Sprint(len(long) + 5), long, false}, {"", "hello", false},
			} {
				path := fmt.Sprint("/", strings.ReplaceAll(name, ".", ""), i)
				s.get(path, func(w http.ResponseWriter, _ *http.Request) {
					if test.length != "" {
						w.Header().Set("Content-Length", test.length)
					}
					_, _ = io.WriteString(w, test.text)
					panic("broken")
				})
				overBoth(t, s, "GET", path, func(what, body string, err error) {
					if !test.whole {
						assert.Error(t, err, what)
					} else if assert.NoError(t, err, what) {
						assert.Equal(t, test.text, body, what)
					}
				})
			}
		}
	})
}

// TestC40AnErrorAnswerOfTheHandlersOwn has handlers answer with an error status themselves, and return the error for the log.
func TestC40AnErrorAnswerOfTheHandlersOwn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		*s.panicHandler = func(http.ResponseWriter, *http.Request) {}
		for _, test := range []struct {
			status int
			end    string
			whole  bool
		}{
			{400, "error", true}, {599, "error", true}, {399, "error", false}, {200, "error", false},
			{400, "panic", false}, {500, "panic", false},
		} {
			path := fmt.Sprintf("/%s/%d", test.end, test.status)
			s.get(path, func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, "{}")
				if test.end == "panic" {
					panic("broken")
				}
				return errors.New("for the log")
			})
			overBoth(t, s, "GET", path, func(what, body string, err error) {
				if !test.whole {
					assert.Error(t, err, what)
				} else if assert.NoError(t, err, what) {
					assert.Equal(t, "{}", body, what)
				}
				assert.Equal(t, test.end == "error", strings.Contains(log.String(), "for the log"), what)
				log.Reset()
			})
		}
	})
}

// TestErrorOfAClientThatHasLeftAStream has handlers return an error because their client has left.
func TestErrorOfAClientThatHasLeftAStream(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		log := slogged(t)
		*s.cancel = true
		for path, end := range map[string]func(ctx context.Context, w http.ResponseWriter) error{
			"/waits": func(ctx context.Context, _ http.ResponseWriter) error { <-ctx.Done(); return ctx.Err() },
			"/writes": func(ctx context.Context, w http.ResponseWriter) error {
				<-ctx.Done()
				for {
					if _, err := io.WriteString(w, strings.Repeat("more", 4<<10)); err != nil {
						return fmt.Errorf("streaming: %w", err)
					}
				}
			},
		} {
			s.get(path, func(ctx context.Context, w http.ResponseWriter, _ *http.Request) error {
				_, _ = io.WriteString(w, "begun")
				_ = http.NewResponseController(w).Flush()
				return end(ctx, w)
			})
			for _, h2 := range []bool{false, true} {
				aborted := make(chan any, 1)
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() { aborted <- recover() }()
					s.ServeHTTP(w, r)
				}))
				server.EnableHTTP2 = h2
				server.StartTLS()
				answer, err := server.Client().Get(server.URL + path)
				require.NoError(t, err)
				answer.Body.Close()
				assert.Equal(t, http.ErrAbortHandler, <-aborted)
				server.Close()
				assert.Empty(t, log.String(), "%s, HTTP/2: %t", path, h2)
				log.Reset()
			}
		}
	})
}

// TestC37ReadOnlyMiddlewareThatHijacksHalts has guards hijack the connection and answer on it.
func TestC37ReadOnlyMiddlewareThatHijacksHalts(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		ran := false
		s.use("/", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n")
				_ = c.Close()
			}
		})
		s.get("/", func(http.ResponseWriter, *http.Request) { ran = true })
		for _, observed := range []bool{false, true} {
			if observed {
				*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) {}
			}
			done := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				s.ServeHTTP(w, r)
			}))
			answer, err := http.Get(server.URL)
			require.NoError(t, err)
			answer.Body.Close()
			<-done
			server.Close()
			assert.Equal(t, 403, answer.StatusCode)
			assert.False(t, ran, "observed: %t", observed)
		}
	})
}

// TestC40WhatComesAfterAWholeResponse has afterware panic after a complete response, which stays as the handler wrote it.
func TestC40WhatComesAfterAWholeResponse(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		*s.panicHandler = func(http.ResponseWriter, *http.Request) {}
		s.after("/", func(context.Context) context.Context { panic("afterware") })
		s.get("/", echo("whole"))
		w, aborted := s.aborts("GET", "/")
		assert.Equal(t, "whole", w.Body.String())
		assert.False(t, aborted)
	})
}

// TestC37ReadOnlyMiddlewareThatRefusesHalts has guards that are handlers answer the request.
func TestC37ReadOnlyMiddlewareThatRefusesHalts(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		for _, observed := range []bool{false, true} {
			if observed {
				*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) {}
			}
			for status, halts := range map[int]bool{0: false, 200: false, 399: false, 400: true, 401: true, 503: true} {
				path := fmt.Sprintf("/%t/%d", observed, status)
				guard := func(w http.ResponseWriter, _ *http.Request) {
					if status != 0 {
						w.WriteHeader(status)
						_, _ = io.WriteString(w, "guard ")
					}
				}
				s.use(path, guard)
				s.use(path, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "next ") }))
				s.after(path, guard)
				s.get(path, echo("SECRET"))
				body := s.do("GET", path).Body.String()
				assert.Equal(t, halts, !strings.Contains(body, "SECRET"), "%d: %s", status, body)
				assert.Equal(t, halts, !strings.Contains(body, "next"), "%d: %s", status, body)
			}
		}
	})
}

// TestErrorHandlerLearnsTheStatus checks errors that the client causes and that have no status.
func TestErrorHandlerLearnsTheStatus(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		*s.errorHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request, err error) {
			var coder interface{ StatusCode() int }
			if assert.ErrorAs(t, err, &coder) {
				w.WriteHeader(coder.StatusCode())
			}
		}
		s.handle("POST", "/", func(_ context.Context, w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 3))
			return fmt.Errorf("reading: %w", err)
		})
		w := s.serve(httptest.NewRequest("POST", "/", strings.NewReader("four")))
		assert.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	})
}
