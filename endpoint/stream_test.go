package endpoint_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noStream is a function for a Stream that no test calls.
func noStream[Req any](context.Context, Req) (iter.Seq2[int, error], error) { return nil, nil }

// seq returns a sequence of the items, followed by the error if it is not nil.
func seq[T any](err error, items ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

type (
	countRequest struct {
		To int `query:"to"`
	}
	tick struct{ N int }
)

func TestStreamIsEventsOrLinesByAccept(t *testing.T) {
	const events, lines = "data: {\"N\":1}\n\ndata: {\"N\":2}\n\n", "{\"N\":1}\n{\"N\":2}\n"
	s := endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[tick, error], error) {
		return seq(nil, tick{1}, tick{2}), nil
	})
	for _, tt := range []struct {
		accept []string
		events bool
	}{
		{nil, false},
		{[]string{"*/*"}, false},
		{[]string{"application/x-ndjson"}, false},
		{[]string{"text/event-stream"}, true},
		{[]string{"TEXT/Event-Stream;charset=utf-8"}, true},
		{[]string{"text/html, text/event-stream;q=0.9"}, true},
		{[]string{"text/html", "text/event-stream"}, true},
		{[]string{"text/event-streams"}, false},
		{[]string{"text/event-stream;q=0"}, false},
		{[]string{"text/event-stream; q=0.000, */*"}, false},
		{[]string{"Text/Event-Stream"}, true},
	} {
		r := request("GET", "/", "")
		r.Header["Accept"] = tt.accept
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		contentType, body := "application/x-ndjson", lines
		if tt.events {
			contentType, body = "text/event-stream", events
		}
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, contentType, w.Header().Get("Content-Type"), "%v", tt.accept)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Equal(t, body, w.Body.String())
		assert.True(t, w.Flushed)
	}
}

// stacks are ways to serve a Server at /. They include the Mux of kami, because it does not end contexts.
var stacks = map[string]func(h kami.ContextHandler) *httptest.Server{
	"net/http": func(h kami.ContextHandler) *httptest.Server { return httptest.NewServer(h.(http.Handler)) },
	"kami": func(h kami.ContextHandler) *httptest.Server {
		m := kami.New()
		m.Get("/", h)
		return httptest.NewServer(m)
	},
	"kami with middleware": func(h kami.ContextHandler) *httptest.Server {
		m := kami.New()
		m.Use("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
			return context.WithoutCancel(ctx)
		})
		m.Use("/", func(h http.Handler) http.Handler { return h })
		m.Get("/", h)
		return httptest.NewServer(m)
	},
	"nested kami": func(h kami.ContextHandler) *httptest.Server {
		inner, outer := kami.New(), kami.New()
		inner.Get("/", h)
		outer.Get("/", inner)
		return httptest.NewServer(outer)
	},
	"HTTP/2": func(h kami.ContextHandler) *httptest.Server {
		m := kami.New()
		m.Get("/", h)
		server := httptest.NewUnstartedServer(m)
		server.EnableHTTP2 = true
		server.StartTLS()
		return server
	},
}

// open sends a request for a stream, and returns the response and a reader of its lines.
func open(ctx context.Context, t *testing.T, server *httptest.Server, query string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/"+query, nil)
	require.NoError(t, err)
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response, bufio.NewReader(response.Body)
}

func TestStreamSendsEachItemAsItComes(t *testing.T) {
	for name, start := range stacks {
		t.Run(name, func(t *testing.T) {
			items := make(chan int)
			server := start(endpoint.Stream(func(ctx context.Context, r countRequest) (iter.Seq2[tick, error], error) {
				return func(yield func(tick, error) bool) {
					for range r.To {
						select {
						case n := <-items:
							if !yield(tick{n}, nil) {
								return
							}
						case <-ctx.Done():
							return
						}
					}
				}, nil
			}))
			defer server.Close()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			response, body := open(ctx, t, server, "?to=3")
			assert.Equal(t, 200, response.StatusCode, "the header has come before any item")
			for _, want := range []string{"{\"N\":0}\n", "{\"N\":1}\n", "{\"N\":2}\n"} {
				items <- int(want[5] - '0')
				line, err := body.ReadString('\n')
				require.NoError(t, err)
				assert.Equal(t, want, line)
			}
			_, err := body.ReadByte()
			assert.Equal(t, io.EOF, err, "it is complete")
		})
	}
}

func TestStreamEndsWhenItsClientGoes(t *testing.T) {
	for name, start := range stacks {
		t.Run(name, func(t *testing.T) {
			more, causes, errs, codes := make(chan bool, 1), make(chan error, 1), make(chan error, 1), make(chan int, 1)
			server := start(endpoint.Stream(func(ctx context.Context, _ struct{}) (iter.Seq2[tick, error], error) {
				return func(yield func(tick, error) bool) {
					yield(tick{1}, nil)
					<-ctx.Done()
					causes <- context.Cause(ctx)
					more <- yield(tick{2}, nil)
				}, nil
			}, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { errs <- err })),
				endpoint.ServerFinalizer(func(_ context.Context, code int, _ *http.Request) { codes <- code })))
			defer server.Close()
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			_, body := open(ctx, t, server, "")
			line, err := body.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "{\"N\":1}\n", line)
			leave()
			assert.ErrorIs(t, next(t, causes), context.Canceled)
			assert.False(t, next(t, more), "there is nobody to go on for")
			assert.Equal(t, 200, next(t, codes))
			assert.Empty(t, errs, "there is nobody to tell")
		})
	}
}

func TestStreamsContextEndsWithTheResponse(t *testing.T) {
	m := kami.New()
	var kept context.Context
	m.Get("/", endpoint.Stream(func(ctx context.Context, _ struct{}) (iter.Seq2[tick, error], error) {
		kept = ctx
		return seq(nil, tick{1}), ctx.Err()
	}, endpoint.ServerFinalizer(func(ctx context.Context, _ int, _ *http.Request) { assert.NoError(t, ctx.Err(), "not before it") })))
	code, _ := answer(m, request("GET", "/", ""))
	assert.Equal(t, 200, code)
	assert.ErrorIs(t, kept.Err(), context.Canceled)
}

func TestStreamThatFailsIsNotComplete(t *testing.T) {
	for name, start := range stacks {
		for failure, items := range map[string]iter.Seq2[any, error]{
			"broken": seq[any](errBroken, 1),
			"endpoint: encoding float64: json: unsupported value: NaN": seq[any](nil, 1, math.NaN(), 2),
		} {
			t.Run(name+"/"+failure, func(t *testing.T) {
				errs, codes := make(chan error, 1), make(chan int, 1)
				server := start(endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[any, error], error) { return items, nil },
					endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { errs <- err })),
					endpoint.ServerFinalizer(func(_ context.Context, code int, _ *http.Request) { codes <- code })))
				defer server.Close()
				_, body := open(context.Background(), t, server, "")
				got, err := io.ReadAll(body)
				assert.Error(t, err, "no client takes what it has for all")
				assert.Equal(t, "1\n", string(got))
				assert.EqualError(t, next(t, errs), failure)
				assert.Equal(t, 200, next(t, codes))
			})
		}
	}
}

// A failed stream is logged if it has no ErrorHandler, because the reason would otherwise be lost.
func TestStreamThatFailsIsLogged(t *testing.T) {
	for reported, want := range map[bool]int{false: 1, true: 0} {
		log, errs := slogged(t), 0
		var options []endpoint.ServerOption
		if reported {
			options = append(options, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(context.Context, error) { errs++ })))
		}
		m := kami.New()
		m.Get("/ticks", endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[tick, error], error) {
			return seq(errBroken, tick{1}), nil
		}, options...))
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { m.ServeHTTP(httptest.NewRecorder(), request("GET", "/ticks", "")) })
		assert.Equal(t, want, strings.Count(log.String(), `level=ERROR msg="kami: a handler failed" method=GET pattern=/ticks err=broken answer="the response had begun"`), log.String())
		assert.Equal(t, 1-want, errs)
	}
}

// If the server's context ends, the client must see that items are missing, whether the sequence stops or goes on.
func TestStreamThatIsInterruptedIsNotComplete(t *testing.T) {
	limit := errors.New("the limit has come")
	for name, heeds := range map[string]bool{"heeds": true, "goes on": false} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancelCause(context.Background())
			errs := make(chan error, 1)
			m := kami.New()
			m.Context = ctx
			m.Get("/", endpoint.Stream(func(ctx context.Context, _ struct{}) (iter.Seq2[tick, error], error) {
				return func(yield func(tick, error) bool) {
					yield(tick{1}, nil)
					<-ctx.Done()
					if !heeds {
						yield(tick{2}, nil)
					}
				}, nil
			}, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { errs <- err }))))
			server := httptest.NewServer(m)
			defer server.Close()
			_, body := open(context.Background(), t, server, "")
			_, err := body.ReadString('\n')
			require.NoError(t, err)
			end(limit)
			_, err = body.ReadString('\n')
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			err = next(t, errs)
			assert.ErrorIs(t, err, limit)
			assert.EqualError(t, err, "endpoint: the stream was interrupted: the limit has come")
		})
	}
}

func TestStreamWithAnotherContextStillEndsWhenItsClientGoes(t *testing.T) {
	ended := make(chan error, 1)
	s := endpoint.Stream(func(ctx context.Context, _ struct{}) (iter.Seq2[tick, error], error) {
		return func(func(tick, error) bool) {
			<-ctx.Done()
			ended <- context.Cause(ctx)
		}, nil
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTPContext(context.Background(), w, r)
	}))
	defer server.Close()
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	open(ctx, t, server, "")
	leave()
	assert.ErrorIs(t, next(t, ended), context.Canceled)
}

func TestStreamWithoutASequence(t *testing.T) {
	for _, tt := range []struct {
		fn   func(context.Context, struct{}) (iter.Seq2[int, error], error)
		code int
		want string
	}{
		{func(context.Context, struct{}) (iter.Seq2[int, error], error) { return nil, nil }, 500, "Internal Server Error"},
		{func(context.Context, struct{}) (iter.Seq2[int, error], error) {
			return nil, endpoint.Error(404, "none")
		}, 404, "none"},
		{func(context.Context, struct{}) (iter.Seq2[int, error], error) {
			return seq(nil, 1), endpoint.Error(404, "none")
		}, 404, "none"},
		{func(context.Context, struct{}) (iter.Seq2[int, error], error) { return seq[int](nil), nil }, 200, ""},
	} {
		code, text := answer(endpoint.Stream(tt.fn), request("GET", "/", ""))
		assert.Equal(t, tt.code, code)
		assert.Equal(t, tt.want, text)
	}
}

func TestStreamDecodesItsRequestAsJSONDoes(t *testing.T) {
	s := endpoint.Stream(func(_ context.Context, r struct {
		Names []string
		Times int `query:"times"`
	}) (iter.Seq2[string, error], error) {
		return func(yield func(string, error) bool) {
			for range r.Times {
				for _, name := range r.Names {
					if !yield(name, nil) {
						return
					}
				}
			}
		}, nil
	}, endpoint.ServerMaxBody(30))
	for _, tt := range []struct {
		target, body string
		code         int
		want         string
	}{
		{"/?times=2", `{"Names":["a","b"]}`, 200, "\"a\"\n\"b\"\n\"a\"\n\"b\""},
		{"/?times=x", `{"Names":["a","b"]}`, 400, `query "times": "x" is not an integer`},
		{"/", `{"Names":1}`, 400, `field "Names": a JSON number at offset 10 does not fit`},
		{"/", strings.Repeat(" ", 31), 413, "the body is larger than 30 bytes"},
	} {
		code, text := answer(s, request("POST", tt.target, tt.body))
		assert.Equal(t, tt.code, code)
		assert.Equal(t, tt.want, text)
	}
}

// unflushed is a writer that cannot flush, such as http.TimeoutHandler's.
type unflushed struct{ http.ResponseWriter }

func TestStreamToAWriterThatCannotFlushComesAtOnce(t *testing.T) {
	s := endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[int, error], error) { return seq(nil, 1, 2), nil })
	w := httptest.NewRecorder()
	s.ServeHTTP(unflushed{w}, request("GET", "/", ""))
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "1\n2\n", w.Body.String())
	assert.False(t, w.Flushed)
}

func TestStreamForHEADIsItsHeader(t *testing.T) {
	s := endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[int, error], error) {
		return func(func(int, error) bool) { t.Error("there is nothing to be sent") }, nil
	})
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "1000")
	s.ServeHTTP(w, request("HEAD", "/", ""))
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, http.Header{"Content-Type": {"application/x-ndjson"}, "Cache-Control": {"no-store"}, "Vary": {"Accept"}}, w.Header())
}

// breaking is a writer that fails after a number of writes or flushes.
type breaking struct {
	*httptest.ResponseRecorder
	writes, flushes int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.writes--; b.writes < 0 {
		return 0, io.ErrClosedPipe
	}
	return b.ResponseRecorder.Write(p)
}

func (b *breaking) FlushError() error {
	if b.flushes--; b.flushes < 0 {
		return io.ErrClosedPipe
	}
	return nil
}

func TestStreamEndsWhenItsConnectionBreaks(t *testing.T) {
	for _, tt := range []struct{ writes, flushes, items int }{{1, 9, 2}, {0, 9, 1}, {9, 0, 0}, {9, 1, 1}, {9, 2, 2}} {
		items := 0
		var reported error
		s := endpoint.Stream(func(context.Context, struct{}) (iter.Seq2[int, error], error) {
			return func(yield func(int, error) bool) {
				for items++; yield(items, nil); items++ {
				}
			}, nil
		}, endpoint.ServerErrorHandler(endpoint.ErrorHandlerFunc(func(_ context.Context, err error) { reported = err })))
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
			s.ServeHTTP(&breaking{httptest.NewRecorder(), tt.writes, tt.flushes}, request("GET", "/", ""))
		})
		assert.Equal(t, tt.items, items, "%+v", tt)
		assert.EqualError(t, reported, "endpoint: the stream was interrupted: io: read/write on closed pipe")
	}
}
