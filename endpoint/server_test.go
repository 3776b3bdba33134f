package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (tr *trace) after(name string) endpoint.ServerOption {
	return endpoint.ServerAfter(func(ctx context.Context, _ http.ResponseWriter) context.Context {
		tr.add("%s", name)
		return ctx
	})
}

func (tr *trace) errorHandler() endpoint.ServerOption {
	return endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { tr.add("handler:%v", err) }))
}

func (tr *trace) errorEncoder() endpoint.ServerOption {
	return endpoint.ServerErrorEncoder(func(ctx context.Context, err error, w http.ResponseWriter) {
		tr.add("errorEncoder:%v", err)
		endpoint.DefaultErrorEncoder(ctx, err, w)
	})
}

func (tr *trace) finalizer(name string) endpoint.ServerOption {
	return endpoint.ServerFinalizer(func(context.Context, int, *http.Request) { tr.add("%s", name) })
}

// staged returns a Server that adds each of its stages to the trace. The stage fails ("decode", "endpoint", "failed" or
// "encode") fails with err. A function of bends gets the context of the hook with its name, and returns the hook's context.
func staged(tr *trace, fails string, err error, bends map[string]func(context.Context) context.Context) *endpoint.Server[string, business] {
	bend := func(ctx context.Context, name string) context.Context {
		tr.add("%s", name)
		if f := bends[name]; f != nil {
			return f(ctx)
		}
		return ctx
	}
	stage := func(name string) error {
		tr.add("%s", name)
		if name == fails {
			return err
		}
		return nil
	}
	before := func(name string) endpoint.ServerOption {
		return endpoint.ServerBefore(func(ctx context.Context, _ *http.Request) context.Context { return bend(ctx, name) })
	}
	after := func(name string) endpoint.ServerOption {
		return endpoint.ServerAfter(func(ctx context.Context, _ http.ResponseWriter) context.Context { return bend(ctx, name) })
	}
	return endpoint.NewServer(
		func(context.Context, string) (b business, err error) {
			if fails == "failed" {
				b.Err = errors.New("failed fails")
			}
			return b, stage("endpoint")
		},
		func(context.Context, *http.Request) (string, error) { return "", stage("decode") },
		func(_ context.Context, w http.ResponseWriter, _ business) error {
			if err := stage("encode"); err != nil {
				return err
			}
			_, err := io.WriteString(w, "fine")
			return err
		},
		before("before1"), before("before2"), after("after1"), after("after2"),
		tr.errorHandler(), tr.errorEncoder(), tr.finalizer("finalizer1"), tr.finalizer("finalizer2"))
}

func TestServerRunsItsHooksInOrder(t *testing.T) {
	const ends = " finalizer1 finalizer2"
	cause := errors.New("banned")
	null := func(context.Context) context.Context { return nil }
	ended := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(cause)
		return ctx
	}
	type bends = map[string]func(context.Context) context.Context
	const nilContext = "endpoint: a function returned a nil context"
	for _, tt := range []struct {
		fails string
		bends bends
		steps string
		code  int
		text  string
	}{
		{"", nil, "before1 before2 decode endpoint after1 after2 encode" + ends, 200, "fine"},
		{"decode", nil, "before1 before2 decode handler:oops errorEncoder:oops" + ends, 418, "oops"},
		{"endpoint", nil, "before1 before2 decode endpoint handler:oops errorEncoder:oops" + ends, 418, "oops"},
		{"failed", nil, "before1 before2 decode endpoint after1 after2 handler:failed fails errorEncoder:failed fails" + ends, 500, "failed fails"},
		{"encode", nil, "before1 before2 decode endpoint after1 after2 encode handler:oops errorEncoder:oops" + ends, 418, "oops"},
		{"", bends{"before1": null}, "before1 handler:" + nilContext + " errorEncoder:" + nilContext + ends, 500, nilContext},
		{"", bends{"before1": ended}, "before1 handler:banned errorEncoder:banned" + ends, 500, "banned"},
		{"", bends{"before2": ended}, "before1 before2 handler:banned errorEncoder:banned" + ends, 500, "banned"},
		{"", bends{"after1": null}, "before1 before2 decode endpoint after1 handler:" + nilContext + " errorEncoder:" + nilContext + ends, 500, nilContext},
	} {
		var got trace
		code, text := answer(staged(&got, tt.fails, endpoint.Error(418, "oops"), tt.bends), request("GET", "/", ""))
		assert.Equal(t, tt.steps, got.String())
		assert.Equal(t, tt.code, code)
		assert.Equal(t, tt.text, text)
	}
}

func TestServerStopsAtAnEndedContextWithItsStatus(t *testing.T) {
	s := endpoint.JSON(sum, endpoint.ServerBefore(func(ctx context.Context, _ *http.Request) context.Context {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(endpoint.Error(401, "who are you?"))
		return ctx
	}))
	code, text := answer(s, request("POST", "/", "{}"))
	assert.Equal(t, 401, code)
	assert.Equal(t, "who are you?", text)
}

type key string

// with returns a function that puts a value into the context.
func with(k key, v any) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return context.WithValue(ctx, k, v) }
}

func TestServerHandsTheContextOn(t *testing.T) {
	seen := func(ctx context.Context) string {
		return fmt.Sprintf("%v %v %v", ctx.Value(key("before1")), ctx.Value(key("before2")), ctx.Value(key("after1")))
	}
	for _, tt := range []struct {
		fails string
		want  []string // the values that each function has seen
	}{
		{"", []string{"endpoint:1 2 <nil>", "encode:1 2 3", "finalizer:1 2 3"}},
		{"endpoint", []string{"endpoint:1 2 <nil>", "handler:1 2 <nil>", "errorEncoder:1 2 <nil>", "finalizer:1 2 <nil>"}},
		{"encode", []string{"endpoint:1 2 <nil>", "encode:1 2 3", "handler:1 2 3", "errorEncoder:1 2 3", "finalizer:1 2 3"}},
	} {
		var got []string
		note := func(name string, ctx context.Context) error {
			got = append(got, name+":"+seen(ctx))
			if name == tt.fails {
				return io.EOF
			}
			return nil
		}
		s := endpoint.NewServer(
			func(ctx context.Context, _ int) (int, error) { return 0, note("endpoint", ctx) },
			endpoint.NopRequestDecoder[int],
			func(ctx context.Context, _ http.ResponseWriter, _ int) error { return note("encode", ctx) },
			endpoint.ServerBefore(
				func(ctx context.Context, _ *http.Request) context.Context { return with("before1", 1)(ctx) },
				func(ctx context.Context, _ *http.Request) context.Context { return with("before2", 2)(ctx) }),
			endpoint.ServerAfter(func(ctx context.Context, _ http.ResponseWriter) context.Context { return with("after1", 3)(ctx) }),
			endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(ctx context.Context, _ error) { _ = note("handler", ctx) })),
			endpoint.ServerErrorEncoder(func(ctx context.Context, _ error, _ http.ResponseWriter) { _ = note("errorEncoder", ctx) }),
			endpoint.ServerFinalizer(func(ctx context.Context, _ int, _ *http.Request) { _ = note("finalizer", ctx) }))
		answer(s, request("GET", "/", ""))
		assert.Equal(t, tt.want, got)
	}
}

func TestFinalizerSeesStatusHeadersAndSize(t *testing.T) {
	for _, tt := range []struct {
		encode func(w http.ResponseWriter) error
		code   int
		size   int64
	}{
		{func(http.ResponseWriter) error { return nil }, 200, 0},
		{func(w http.ResponseWriter) error { w.WriteHeader(202); return nil }, 202, 0},
		{func(w http.ResponseWriter) error { _, err := io.WriteString(w, "12345"); return err }, 200, 5},
		{func(w http.ResponseWriter) error { return endpoint.Error(404, "none") }, 404, 4},
	} {
		var code int
		var header http.Header
		var size int64
		var method string
		s := endpoint.NewServer(endpoint.Nop[int, int], endpoint.NopRequestDecoder[int],
			func(_ context.Context, w http.ResponseWriter, _ int) error { return tt.encode(w) },
			endpoint.ServerAfter(endpoint.SetResponseHeader("X-Shard", "7")),
			endpoint.ServerFinalizer(func(ctx context.Context, c int, r *http.Request) {
				code, method = c, r.Method
				header = ctx.Value(endpoint.ContextKeyResponseHeaders).(http.Header)
				size = ctx.Value(endpoint.ContextKeyResponseSize).(int64)
				assert.Nil(t, ctx.Value(key("none")), "other keys are the request's")
			}))
		s.ServeHTTP(httptest.NewRecorder(), request("PUT", "/", ""))
		assert.Equal(t, tt.code, code)
		assert.Equal(t, tt.size, size)
		assert.Equal(t, "7", header.Get("X-Shard"))
		assert.Equal(t, "PUT", method)
	}
}

func TestFinalizerRunsOnPanics(t *testing.T) {
	for stage, want := range map[string]int{"decode": 500, "endpoint": 500, "encode": 500, "encode after the header": 202, "errorEncoder": 500} {
		t.Run(stage, func(t *testing.T) {
			at := func(name string) {
				if name == stage {
					panic("at the " + name)
				}
			}
			var code int
			s := endpoint.NewServer(
				func(context.Context, int) (int, error) {
					at("endpoint")
					if stage == "errorEncoder" {
						return 0, io.EOF
					}
					return 0, nil
				},
				func(context.Context, *http.Request) (int, error) { at("decode"); return 0, nil },
				func(_ context.Context, w http.ResponseWriter, _ int) error {
					at("encode")
					w.WriteHeader(202)
					at("encode after the header")
					return nil
				},
				endpoint.ServerErrorEncoder(func(context.Context, error, http.ResponseWriter) { at("errorEncoder") }),
				endpoint.ServerFinalizer(func(_ context.Context, c int, _ *http.Request) { code = c }))
			assert.PanicsWithValue(t, "at the "+stage, func() { answer(s, request("GET", "/", "")) })
			assert.Equal(t, want, code)
		})
	}
}

// errBroken is an error without a status.
var errBroken = errors.New("broken")

func TestEncoderThatFailsAfterItHasBegunAbortsTheConnection(t *testing.T) {
	half := func(_ context.Context, w http.ResponseWriter, _ int) error {
		_, _ = io.WriteString(w, "half")
		return errBroken
	}
	flushed := func(ctx context.Context, w http.ResponseWriter, n int) error {
		_ = half(ctx, w, n)
		_ = http.NewResponseController(w).Flush()
		return errBroken
	}
	for name, encode := range map[string]endpoint.EncodeResponseFunc[int]{"in the buffer": half, "on the wire": flushed} {
		for mux, around := range map[string]func(h kami.ContextHandler) http.Handler{
			"net/http": func(h kami.ContextHandler) http.Handler { return h.(http.Handler) },
			"kami": func(h kami.ContextHandler) http.Handler {
				m := kami.New()
				m.PanicHandler = func(context.Context, http.ResponseWriter, *http.Request) { t.Error("no panic of the app's") }
				m.Get("/", h)
				return m
			},
		} {
			t.Run(name+"/"+mux, func(t *testing.T) {
				var reported []error
				codes := make(chan int, 1)
				s := endpoint.NewServer(endpoint.Nop[int, int], endpoint.NopRequestDecoder[int], encode,
					endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { reported = append(reported, err) })),
					endpoint.ServerErrorEncoder(func(context.Context, error, http.ResponseWriter) { t.Error("an error is answered too late") }),
					endpoint.ServerFinalizer(func(_ context.Context, code int, _ *http.Request) { codes <- code }))
				var logged bytes.Buffer
				server := httptest.NewUnstartedServer(around(s))
				server.Config.ErrorLog = log.New(&logged, "", 0)
				server.Start()
				defer server.Close()
				response, err := server.Client().Get(server.URL)
				if err == nil {
					_, err = io.ReadAll(response.Body)
					_ = response.Body.Close()
				}
				assert.Error(t, err, "the client must not take it for complete")
				assert.Equal(t, 200, next(t, codes))
				assert.Equal(t, []error{errBroken}, reported)
				server.Close()
				assert.Empty(t, logged.String(), "net/http is silent about it")
			})
		}
	}
}

// TestEncoderThatFailsAfterAWholeResponse checks that a response is not cut off by an encoder that fails after it has written
// all of its Content-Length. An error answer without a length is cut off only by a panic.
func TestEncoderThatFailsAfterAWholeResponse(t *testing.T) {
	write := func(status int, length string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "whole")
		}
	}
	for _, tt := range []struct {
		name   string
		write  func(w http.ResponseWriter)
		panics bool
		whole  bool
	}{
		{"length, error", write(200, "5"), false, true},
		{"length, panic", write(200, "5"), true, true},
		{"short, error", write(200, "6"), false, false},
		{"short, panic", write(200, "6"), true, false},
		{"error answer, error", write(400, ""), false, true},
		{"error answer, panic", write(400, ""), true, false},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", HTTP/2: ", h2), func(t *testing.T) {
				encode := func(_ context.Context, w http.ResponseWriter, _ int) error {
					tt.write(w)
					if tt.panics {
						panic("broken")
					}
					return errBroken
				}
				m := kami.New()
				m.PanicHandler = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusInternalServerError) }
				m.Get("/", endpoint.NewServer(endpoint.Nop[int, int], endpoint.NopRequestDecoder[int], encode))
				server := httptest.NewUnstartedServer(m)
				server.EnableHTTP2 = h2
				server.StartTLS()
				defer server.Close()
				var body []byte
				response, err := server.Client().Get(server.URL)
				if err == nil {
					body, err = io.ReadAll(response.Body)
					_ = response.Body.Close()
				}
				if !tt.whole {
					assert.Error(t, err)
				} else if assert.NoError(t, err) {
					assert.Equal(t, "whole", string(body))
				}
			})
		}
	}
}

// broken is a service with an error whose text clients must not see.
func broken(context.Context, struct{}) (int, error) {
	return 0, errors.New("pq: password authentication failed, 10.0.0.5")
}

func brokenStream(context.Context, struct{}) (iter.Seq2[int, error], error) {
	_, err := broken(context.Background(), struct{}{})
	return nil, err
}

func TestErrorsOfTheServerAreLoggedAndNotTold(t *testing.T) {
	for _, s := range []kami.ContextHandler{
		endpoint.JSON(broken), endpoint.Stream(brokenStream),
		endpoint.JSON(broken, endpoint.ServerErrorEncoder(nil), endpoint.ServerErrorHandler(nil)),
	} {
		m := kami.New()
		m.Get("/", s)
		for name, h := range map[string]http.Handler{"kami": m, "net/http": s.(http.Handler)} {
			log, w := slogged(t), httptest.NewRecorder()
			h.ServeHTTP(w, request("GET", "/", "", "Accept: application/json"))
			assert.Equal(t, 500, w.Code, name)
			assert.JSONEq(t, `{"title":"Internal Server Error","status":500}`, w.Body.String())
			assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			assert.Contains(t, log.String(), `err="pq: password authentication failed, 10.0.0.5"`)
		}
	}
}

// The ErrorHandler of the innermost Mux answers the errors of JSON and Stream.
func TestErrorsAreAnsweredByTheErrorHandlerOfTheMux(t *testing.T) {
	teapot := func(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
		assert.Equal(t, r.Context(), ctx)
		w.WriteHeader(418)
		fmt.Fprintf(w, "%s: %d %v", r.Pattern, status(err), err)
	}
	inner, outer := kami.New(), kami.New()
	inner.ErrorHandler = teapot
	outer.ErrorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) { t.Error("it is the inner one's") }
	missing := func(context.Context, sumRequest) (int, error) { return 0, endpoint.Error(404, "no such thing") }
	inner.Post("/in/json", endpoint.JSON(missing))
	inner.Get("/in/stream", endpoint.Stream(brokenStream))
	inner.Post("/in/own", endpoint.JSON(missing, endpoint.ServerErrorEncoder(endpoint.DefaultErrorEncoder)))
	inner.Post("/in/server", endpoint.NewServer(missing, endpoint.DecodeJSONRequest[sumRequest], endpoint.EncodeJSONResponse[int]))
	outer.Handle("POST", "/in/*rest", inner)
	outer.Handle("GET", "/in/*rest", inner)
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/in/json", "{}", "418 /in/json: 404 no such thing"},
		{"POST", "/in/json", "{", "418 /in/json: 400 the body is not JSON at offset 1: unexpected end of JSON input"},
		{"GET", "/in/stream", "", "418 /in/stream: 0 pq: password authentication failed, 10.0.0.5"},
		{"POST", "/in/own", "{}", "404 no such thing"},
		{"POST", "/in/server", "{}", "404 no such thing"},
	} {
		code, text := answer(outer, request(tt.method, tt.path, tt.body))
		assert.Equal(t, tt.want, fmt.Sprintf("%d %s", code, text))
	}
}

// The status of an error is 500 even if the ErrorHandler writes nothing.
func TestErrorHandlerThatWritesNothing(t *testing.T) {
	m := kami.New()
	m.ErrorHandler = func(context.Context, http.ResponseWriter, *http.Request, error) {}
	m.Get("/", endpoint.JSON(broken))
	code, text := answer(m, request("GET", "/", ""))
	assert.Equal(t, 500, code)
	assert.Empty(t, text)
}

// NewServer answers with the text of an error, as go-kit does.
func TestNewServerTellsErrors(t *testing.T) {
	log, w := slogged(t), httptest.NewRecorder()
	s := endpoint.NewServer(broken, endpoint.NopRequestDecoder[struct{}], endpoint.EncodeJSONResponse[int], endpoint.ServerErrorEncoder(nil))
	s.ServeHTTP(w, request("GET", "/", ""))
	assert.Equal(t, 500, w.Code)
	assert.Equal(t, "pq: password authentication failed, 10.0.0.5", w.Body.String())
	assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	assert.Empty(t, log.String())
}

// If a call to another service fails, the status is 502, and the error's text is only logged. An Error that the service has
// answered with is passed on.
func TestErrorsOfAnotherServiceAreABadGateway(t *testing.T) {
	for name, tt := range map[string]struct {
		serve     func(net.Conn)
		want, log string
	}{
		"it hangs up":    {raw(""), "502 Bad Gateway", "http://10.0.0.5/sum"},
		"no HTTP":        {raw("SSH-2.0\r\n"), "502 Bad Gateway", "malformed HTTP"},
		"no JSON":        {raw("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n10.0.0.5"), "502 Bad Gateway", "decoding the answer"},
		"too short":      {raw("HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{"), "502 Bad Gateway", "unexpected EOF"},
		"neither":        {raw("HTTP/1.1 304 Not Modified\r\n\r\n"), "502 Bad Gateway", "the status 304 is neither"},
		"an error":       {raw("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such"), "404 no such", ""},
		"a server error": {raw("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\n10.0.0.5"), "503 Service Unavailable", "10.0.0.5"},
	} {
		leakless(t, tt.serve, func(t *testing.T, n *network) {
			log := slogged(t)
			call := endpoint.NewClient("POST", target(t, "http://10.0.0.5/sum"), endpoint.EncodeJSONRequest[sumRequest],
				endpoint.DecodeJSONResponse[sumResponse], endpoint.SetClient(n.client)).Endpoint()
			s := endpoint.JSON(func(ctx context.Context, r sumRequest) (sumResponse, error) {
				response, err := call(ctx, r)
				if err != nil {
					err = fmt.Errorf("summing: %w", err)
				}
				return response, err
			})
			code, text := answer(s, request("POST", "/", "{}"))
			if tt.log == "" {
				tt.want = strings.Replace(tt.want, "404 ", "404 summing: ", 1)
				assert.Empty(t, log.String(), name)
			}
			assert.Equal(t, tt.want, fmt.Sprintf("%d %s", code, text), name)
			assert.Contains(t, log.String(), tt.log, name)
		})
	}
}

// worse is an error whose methods panic for a nil pointer.
type worse struct{ code int }

func (w worse) Error() string   { return fmt.Sprint("worse ", w.code) }
func (w worse) StatusCode() int { return w.code }

func TestErrorThatIsANilPointer(t *testing.T) {
	fails := func(context.Context, struct{}) (int, error) { return 0, (*worse)(nil) }
	for _, encoder := range []endpoint.ErrorEncoder{nil, endpoint.DefaultErrorEncoder} {
		log := slogged(t)
		s := endpoint.JSON(fails, endpoint.ServerErrorHandler(endpoint.LogErrors(nil)), endpoint.ServerErrorEncoder(encoder))
		code, _ := answer(s, request("GET", "/", ""))
		assert.Equal(t, 500, code)
		assert.Contains(t, log.String(), `level=ERROR msg="endpoint failed" err="the error is a nil *endpoint_test.worse"`)
	}
}

func TestLogErrorsSaysMethodAndRoute(t *testing.T) {
	log := slogged(t)
	m := kami.New()
	m.Delete("/things/:id", endpoint.JSON(broken, endpoint.ServerErrorHandler(endpoint.LogErrors(nil)),
		endpoint.ServerErrorEncoder(endpoint.DefaultErrorEncoder)))
	answer(m, request("DELETE", "/things/7", ""))
	assert.Contains(t, log.String(), `err="pq: password authentication failed, 10.0.0.5" method=DELETE pattern=/things/:id`)
}

func TestNilFunctionsAreRefused(t *testing.T) {
	nop, decode, encode := endpoint.Nop[int, int], endpoint.NopRequestDecoder[int], endpoint.EncodeJSONResponse[int]
	const server = "endpoint: NewServer: the endpoint, the decoder and the encoder must not be nil"
	const client = "endpoint: NewClient: the target, the encoder and the decoder must not be nil"
	u := target(t, "http://sum.test/")
	send, receive := endpoint.EncodeJSONRequest[int], endpoint.DecodeJSONResponse[int]
	for i, tt := range []struct {
		make func()
		want string
	}{
		{func() { endpoint.NewServer(nil, decode, encode) }, server},
		{func() { endpoint.NewServer[int, int](nop, nil, encode) }, server},
		{func() { endpoint.NewServer[int, int](nop, decode, nil) }, server},
		{func() { endpoint.JSON[int, int](nil) }, "endpoint: JSON: the function must not be nil"},
		{func() { endpoint.Stream[int, int](nil) }, "endpoint: Stream: the function must not be nil"},
		{func() { endpoint.JSON(nop, endpoint.ServerBefore(endpoint.PopulateRequestContext, nil)) }, "endpoint: ServerBefore: function 2 is nil"},
		{func() { endpoint.JSON(nop, endpoint.ServerAfter(nil)) }, "endpoint: ServerAfter: function 1 is nil"},
		{func() { endpoint.JSON(nop, endpoint.ServerFinalizer(nil)) }, "endpoint: ServerFinalizer: function 1 is nil"},
		{func() { endpoint.Endpoint[int, int](nop).With(nil) }, "endpoint: With: function 1 is nil"},
		{func() { endpoint.JSON(nop, endpoint.ServerAround(nil)) }, "endpoint: ServerAround: function 1 is nil"},
		{func() { endpoint.NewClient("GET", nil, send, receive) }, client},
		{func() { endpoint.NewClient[int]("GET", u, nil, receive) }, client},
		{func() { endpoint.NewClient[int, int]("GET", u, send, nil) }, client},
		{func() { endpoint.NewClient("BAD METHOD", u, send, receive) }, `endpoint: NewClient: net/http: invalid method "BAD METHOD"`},
		{func() { endpoint.NewClient("GET", u, send, receive, endpoint.SetClient((*http.Client)(nil))) }, "endpoint: SetClient: the *http.Client is nil"},
		{func() { endpoint.NewClient("GET", u, send, receive, endpoint.SetClient(doer(nil))) }, "endpoint: SetClient: the endpoint_test.doer is nil"},
		{func() { endpoint.NewClient("GET", u, send, receive, nil) }, "endpoint: NewClient: options: function 1 is nil"},
		{func() { endpoint.JSON(nop, nil) }, "endpoint: NewServer: options: function 1 is nil"},
		{
			func() { endpoint.JSON(nop, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(nil))) },
			"endpoint: ServerErrorHandler: the endpoint.ErrorHandlerFunc is nil",
		},
		{func() { endpoint.Limit(nil) }, "endpoint: Limit: nil is none"},
		{func() { endpoint.Limit((*bucket)(nil)) }, "endpoint: Limit: the *endpoint_test.bucket is nil"},
		{func() { endpoint.Wait(nil) }, "endpoint: Wait: nil is none"},
		{func() { endpoint.Breaker[any](nil) }, "endpoint: Breaker: nil is none"},
		{func() { endpoint.NewClient("GET", u, send, receive, endpoint.ClientBefore(nil)) }, "endpoint: ClientBefore: function 1 is nil"},
		{func() { endpoint.NewClient("GET", u, send, receive, endpoint.ClientAfter(nil)) }, "endpoint: ClientAfter: function 1 is nil"},
		{func() { endpoint.NewClient("GET", u, send, receive, endpoint.ClientFinalizer(nil)) }, "endpoint: ClientFinalizer: function 1 is nil"},
		{func() { endpoint.NewClient("GET", u, send, receive, endpoint.ClientAround(nil)) }, "endpoint: ClientAround: function 1 is nil"},
	} {
		assert.PanicsWithValue(t, tt.want, tt.make, "case %d", i)
	}
}

func TestSettersOfHeaders(t *testing.T) {
	r := request("GET", "/", "", "A: old")
	ctx := endpoint.SetRequestHeader("a", "new")(context.Background(), r)
	assert.Equal(t, []string{"new"}, r.Header["A"])
	assert.Equal(t, context.Background(), ctx)

	w := httptest.NewRecorder()
	endpoint.SetResponseHeader("a", "1")(context.Background(), w)
	endpoint.SetResponseHeader("A", "2")(context.Background(), w)
	endpoint.SetContentType("image/png")(context.Background(), w)
	assert.Equal(t, http.Header{"A": {"2"}, "Content-Type": {"image/png"}}, w.Header())
}

func TestSetContentTypeHoldsUnlessTheEncoderSetsOne(t *testing.T) {
	plain := func(_ context.Context, w http.ResponseWriter, s string) error {
		_, err := io.WriteString(w, s)
		return err
	}
	for want, encode := range map[string]endpoint.EncodeResponseFunc[string]{
		"image/png":                       plain,
		"application/json; charset=utf-8": endpoint.EncodeJSONResponse[string],
	} {
		w := httptest.NewRecorder()
		endpoint.NewServer(endpoint.Nop[int, string], endpoint.NopRequestDecoder[int], encode,
			endpoint.ServerAfter(endpoint.SetContentType("image/png"))).ServeHTTP(w, request("GET", "/", ""))
		assert.Equal(t, want, w.Header().Get("Content-Type"))
	}
}

func TestLogErrorsLogsToTheLoggerOrTheDefault(t *testing.T) {
	var own, std bytes.Buffer
	defer slog.SetDefault(slog.Default())
	defer log.SetOutput(log.Writer())
	defer log.SetFlags(log.Flags())
	handler := func(w io.Writer) *slog.Logger {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	}
	later := endpoint.LogErrors(nil)
	slog.SetDefault(handler(&std))
	later.Handle(context.Background(), errBroken)
	endpoint.LogErrors(handler(&own)).Handle(context.Background(), errBroken)
	const want = "level=ERROR msg=\"endpoint failed\" err=broken\n"
	assert.Equal(t, want, own.String())
	assert.Equal(t, want, std.String())
}

func TestLogErrorsTellsTheClientsErrorsFromTheServers(t *testing.T) {
	for err, want := range map[error]slog.Level{
		errBroken:               slog.LevelError,
		endpoint.Error(400, ""): slog.LevelInfo,
		endpoint.Error(499, ""): slog.LevelInfo,
		endpoint.Error(500, ""): slog.LevelError,
		coder(200):              slog.LevelError,
	} {
		for _, least := range []slog.Level{want, want + 1} {
			var got bytes.Buffer
			endpoint.LogErrors(slog.New(slog.NewTextHandler(&got, &slog.HandlerOptions{Level: least}))).Handle(context.Background(), err)
			assert.Equal(t, least == want, got.Len() > 0, "%v at %v", err, least)
		}
	}
}

func TestServerAroundRunsOnceTheRequestIsDecoded(t *testing.T) {
	var got trace
	around := func(name string, err error) endpoint.Around {
		return func(ctx context.Context, call func(context.Context) error) error {
			got.add("%s", name)
			if err != nil {
				return err
			}
			defer got.add("/%s", name)
			return call(ctx)
		}
	}
	serve := func(around ...endpoint.Around) (int, string) {
		got = trace{}
		return answer(endpoint.NewServer(
			func(context.Context, int) (int, error) { got.add("endpoint"); return 7, nil },
			func(context.Context, *http.Request) (int, error) { got.add("decode"); return 0, nil },
			endpoint.EncodeJSONResponse[int],
			endpoint.ServerAround(around...), endpoint.ServerAround(), got.after("after"), got.errorHandler()), request("GET", "/", ""))
	}
	code, text := serve(around("a", nil), around("b", nil))
	assert.Equal(t, "decode a b endpoint /b /a after", got.String())
	assert.Equal(t, 200, code)
	assert.Equal(t, "7", text)
	code, text = serve(around("a", nil), around("b", endpoint.Error(429, "too many")))
	assert.Equal(t, "decode a b /a handler:too many", got.String())
	assert.Equal(t, 429, code)
	assert.Equal(t, "too many", text)
}

func TestServeHTTPContextUsesItsContext(t *testing.T) {
	s := endpoint.JSON(func(ctx context.Context, r struct {
		ID string `path:"id"`
	}) (string, error) {
		return fmt.Sprint(ctx.Value(key("who")), " ", r.ID), nil
	})
	ctx := kami.SetParam(context.WithValue(context.Background(), key("who"), "ctx"), "id", "7")
	r := request("GET", "/", "").WithContext(context.WithValue(context.Background(), key("who"), "request"))
	w := httptest.NewRecorder()
	s.ServeHTTPContext(ctx, w, r)
	assert.Equal(t, `"ctx 7"`, strings.TrimSpace(w.Body.String()))
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	assert.Equal(t, `"request "`, strings.TrimSpace(w.Body.String()))
}

func TestServerServesManyAtOnce(t *testing.T) {
	server := httptest.NewServer(endpoint.JSON(sum, endpoint.ServerBefore(endpoint.PopulateRequestContext)))
	defer server.Close()
	e := endpoint.NewClient("POST", target(t, server.URL), endpoint.EncodeJSONRequest[sumRequest], endpoint.DecodeJSONResponse[sumResponse],
		endpoint.SetClient(server.Client())).Endpoint()
	errs := make(chan error)
	const workers, calls = 8, 20
	for w := range workers {
		go func() {
			for i := range calls {
				got, err := e(context.Background(), sumRequest{w, i})
				if err == nil && got.Sum != w+i {
					err = fmt.Errorf("%d + %d = %d", w, i, got.Sum)
				}
				errs <- err
			}
		}()
	}
	for range workers * calls {
		require.NoError(t, next(t, errs))
	}
}

// The status of an error is not 200, even if its encoder writes nothing.
func TestErrorEncoderThatWritesNothing(t *testing.T) {
	var finalized int
	s := endpoint.JSON(func(context.Context, struct{}) (int, error) { return 0, endpoint.Error(409, "taken") },
		endpoint.ServerErrorEncoder(func(context.Context, error, http.ResponseWriter) {}),
		endpoint.ServerFinalizer(func(_ context.Context, code int, _ *http.Request) { finalized = code }))
	code, text := answer(s, request("POST", "/", ""))
	assert.Equal(t, 409, code)
	assert.Empty(t, text)
	assert.Equal(t, 409, finalized)
}

// A panic after the response has begun cuts the connection, even if a PanicHandler handles the panic. So the client knows that
// the response is not whole.
func TestPanicAfterTheResponseHasBegun(t *testing.T) {
	stream := endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			yield(1, nil)
			panic("oops")
		}, nil
	})
	half := endpoint.NewServer(endpoint.Nop[struct{}, int], endpoint.NopRequestDecoder, func(_ context.Context, w http.ResponseWriter, _ int) error {
		_, _ = io.WriteString(w, "half of it")
		_ = http.NewResponseController(w).Flush()
		panic("oops")
	})
	for _, handled := range []bool{false, true} {
		mux := kami.New()
		mux.Get("/stream", stream)
		mux.Get("/half", half)
		panics := make(chan any, 1)
		if handled {
			mux.PanicHandler = func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { panics <- kami.Exception(ctx) }
		}
		for _, http2 := range []bool{false, true} {
			server := httptest.NewUnstartedServer(mux)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.EnableHTTP2 = http2
			server.StartTLS()
			for _, path := range []string{"/stream", "/half"} {
				response, err := server.Client().Get(server.URL + path)
				if err == nil {
					_, err = io.ReadAll(response.Body)
					response.Body.Close()
				}
				assert.Error(t, err, "%s, handled: %v, HTTP/2: %v", path, handled, http2)
				if handled {
					assert.Equal(t, "oops", next(t, panics))
				}
			}
			server.Close()
		}
	}
}

// The answer to an error keeps headers that middleware has set, such as Content-Encoding, but not Content-Length.
func TestErrorsKeepWhatMiddlewareHasSet(t *testing.T) {
	s := endpoint.JSON(func(context.Context, struct{}) (int, error) { return 0, endpoint.Error(404, "not there") })
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", "1000")
	s.ServeHTTP(w, request("POST", "/", ""))
	assert.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	assert.Empty(t, w.Header().Get("Content-Length"))
}
