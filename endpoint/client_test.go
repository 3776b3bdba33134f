package endpoint_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// raw returns a server that reads a request's header, answers with the text, and closes.
func raw(text string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, text)
		}
	}
}

// silent is a server that reads and never answers.
func silent(c net.Conn) {
	defer c.Close()
	_, _ = io.Copy(io.Discard, c)
}

func TestClientAndServerAreOfOneMind(t *testing.T) {
	leakless(t, httpServer(endpoint.JSON(sum)), func(t *testing.T, n *network) {
		e := n.sumClient(t)
		for i := range 3 {
			got, err := e(context.Background(), sumRequest{1, i})
			assert.NoError(t, err)
			assert.Equal(t, sumResponse{1 + i}, got)
		}
		assert.Equal(t, int32(1), n.dialed.Load(), "the connection is used again")
	})
}

func TestErrorCrossesTransports(t *testing.T) {
	for _, tt := range []struct{ err, byJSON error }{
		{endpoint.Error(400, "a message"), endpoint.Error(400, "a message")},
		{endpoint.Error(404, ""), endpoint.Error(404, "Not Found")},
		{endpoint.Error(418, "two\nlines, and 神"), endpoint.Error(418, "two\nlines, and 神")},
		{endpoint.Error(500, strings.Repeat("x", 64<<10-1)), endpoint.Error(500, "Internal Server Error")},
		{endpoint.Error(503, "10.0.0.5 is down"), endpoint.Error(503, "Service Unavailable")},
		{endpoint.Error(599, `{"json":true}`), endpoint.Error(599, "status 599")},
	} {
		serve := func(context.Context, sumRequest) (sumResponse, error) { return sumResponse{1}, tt.err }
		for want, s := range map[error]http.Handler{
			tt.byJSON: endpoint.JSON(serve),
			tt.err:    endpoint.NewServer(serve, endpoint.DecodeJSONRequest[sumRequest], endpoint.EncodeJSONResponse[sumResponse]),
		} {
			leakless(t, httpServer(s), func(t *testing.T, n *network) {
				for range 2 {
					got, err := n.sumClient(t)(context.Background(), sumRequest{})
					assert.Equal(t, want, err)
					assert.True(t, want == err)
					assert.Zero(t, got)
				}
				assert.Equal(t, int32(1), n.dialed.Load(), "the connection is used again")
			})
		}
	}
}

func TestClientOfABadServer(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, answer string
		is           error  // if not nil, the error is this one
		contains     string // the text of the error has this
	}{
		{"closes before the header", "", io.EOF, ""},
		{"closes in the header", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", io.ErrUnexpectedEOF, ""},
		{"closes in the middle of the body", ok + "Content-Length: 100\r\n\r\n{\"Sum\":3}", io.ErrUnexpectedEOF, "endpoint: reading the answer: unexpected EOF"},
		{"closes in the middle of the chunks", ok + "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"Sum\":3}\r\n", io.ErrUnexpectedEOF, "endpoint: reading the answer: unexpected EOF"},
		{"closes in the middle of a chunk", ok + "Transfer-Encoding: chunked\r\n\r\nff\r\n{\"Sum\":3}", io.ErrUnexpectedEOF, "endpoint: reading the answer: unexpected EOF"},
		{"closes in the middle of an error", "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nno", io.ErrUnexpectedEOF, "endpoint: reading the answer with status 404: unexpected EOF"},
		{"bad chunks", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", nil, "endpoint: reading the answer: invalid byte in chunk length"},
		{"no HTTP", "SSH-2.0-OpenSSH_9.9\r\n", nil, `Post "http://sum.test/sum": net/http: HTTP/1.x transport connection broken: malformed HTTP`},
		{"no JSON", ok + "Content-Length: 6\r\n\r\n<html>", nil, "endpoint: decoding the answer as endpoint_test.sumResponse: invalid character '<'"},
		{"nothing", ok + "Content-Length: 0\r\n\r\n", nil, "endpoint: decoding the answer as endpoint_test.sumResponse: unexpected end of JSON input"},
		{"status 304", "HTTP/1.1 304 Not Modified\r\n\r\n", nil, "endpoint: the status 304 is neither an answer nor an error"},
		{"status 300", "HTTP/1.1 300 Multiple Choices\r\nContent-Length: 9\r\n\r\n{\"Sum\":3}", nil, "endpoint: the status 300 is neither an answer nor an error"},
		{"status 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", endpoint.Error(404, "none"), "none"},
		{"status 503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", endpoint.Error(503, ""), ""},
		{"redirect to nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", nil, "endpoint: the status 302 is neither an answer nor an error"},
		{"redirect without end", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /sum\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", nil, "stopped after 10 redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, buffered := range []bool{false, true} {
				leakless(t, raw(tt.answer), func(t *testing.T, n *network) {
					var finalized error
					e := n.sumClient(t, endpoint.BufferedStream(buffered),
						endpoint.ClientFinalizer(func(_ context.Context, err error) { finalized = err }))
					got, err := e(context.Background(), sumRequest{1, 2})
					require.Error(t, err)
					assert.Zero(t, got)
					if tt.is != nil {
						assert.ErrorIs(t, err, tt.is)
					}
					assert.Contains(t, err.Error(), tt.contains)
					assert.Equal(t, err, finalized)
				})
			}
		})
	}
}

func TestClientWithoutAnAnswerEndsWithItsContext(t *testing.T) {
	cause := errors.New("the user left")
	for _, tt := range []struct {
		name string
		ctx  func() (context.Context, context.CancelFunc)
		is   []error
		wait time.Duration
	}{
		{"deadline", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Minute)
		}, []error{context.DeadlineExceeded}, time.Minute},
		{"deadline with a cause", func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(context.Background(), time.Minute, cause)
		}, []error{cause, context.DeadlineExceeded}, time.Minute},
		{"cancel", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, []error{context.Canceled}, time.Second},
		{"cancel with a cause", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			return ctx, func() { cancel(nil) }
		}, []error{cause, context.Canceled}, time.Second},
		{"ended before", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(cause)
			return ctx, func() {}
		}, []error{cause}, 0},
	} {
		for where, serve := range map[string]func(net.Conn){
			"before the header": silent,
			"in the body": func(c net.Conn) {
				defer c.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
				_, _ = io.Copy(io.Discard, c)
			},
		} {
			t.Run(tt.name+"/"+where, func(t *testing.T) {
				leakless(t, serve, func(t *testing.T, n *network) {
					ctx, cancel := tt.ctx()
					defer cancel()
					begin := time.Now()
					got, err := n.sumClient(t)(ctx, sumRequest{1, 2})
					assert.Zero(t, got)
					for _, is := range tt.is {
						assert.ErrorIs(t, err, is)
					}
					assert.Equal(t, tt.wait, time.Since(begin))
				})
			})
		}
	}
}

// The error has the cause of the context's end, even if the HTTP client does not return it.
func TestClientAddsTheCause(t *testing.T) {
	cause := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(context.Background())
	e := endpoint.NewClient("POST", target(t, "http://sum.test/"), endpoint.EncodeJSONRequest[int], endpoint.DecodeJSONResponse[int],
		endpoint.SetClient(doer(func(*http.Request) (*http.Response, error) {
			cancel(cause)
			return nil, errBroken
		}))).Endpoint()
	_, err := e(ctx, 1)
	assert.ErrorIs(t, err, cause)
	assert.ErrorIs(t, err, errBroken)
	assert.EqualError(t, err, "broken: context canceled: the user left")
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestClientFollowsRedirects(t *testing.T) {
	for code, want := range map[int]string{
		301: "GET /other ",
		302: "GET /other ",
		303: "GET /other ",
		307: "POST /other {\"A\":1,\"B\":2}\n",
		308: "POST /other {\"A\":1,\"B\":2}\n",
	} {
		var got trace
		mux := http.NewServeMux()
		mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", code) })
		mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got.add("%s %s %s", r.Method, r.URL.Path, body)
			_, _ = io.WriteString(w, `{"Sum":3}`)
		})
		leakless(t, httpServer(mux), func(t *testing.T, n *network) {
			response, err := n.sumClient(t)(context.Background(), sumRequest{1, 2})
			assert.NoError(t, err)
			assert.Equal(t, sumResponse{3}, response)
		})
		assert.Equal(t, want, got.String())
	}
}

func TestConnectionsAreUsedAgainAfterAnswersWithoutAResponse(t *testing.T) {
	for _, tt := range []struct{ code, size int }{
		{404, 10}, {404, 64 << 10}, {404, 64<<10 + 1}, {500, 256 << 10}, {300, 256 << 10}, {302, 100 << 10},
	} {
		for _, chunked := range []bool{false, true} {
			answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if !chunked {
					w.Header().Set("Content-Length", fmt.Sprint(tt.size))
				}
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, strings.Repeat("x", tt.size))
			})
			leakless(t, httpServer(answers), func(t *testing.T, n *network) {
				for range 2 {
					_, err := n.sumClient(t)(context.Background(), sumRequest{})
					assert.Error(t, err)
				}
				assert.Equal(t, int32(1), n.dialed.Load(), "%+v, chunked: %v", tt, chunked)
			})
		}
	}
	for _, code := range []int{404, 300} { // at most 256 KB of a body are read
		body := strings.NewReader(strings.Repeat("x", 1<<20))
		_, err := endpoint.DecodeJSONResponse[int](t.Context(), &http.Response{StatusCode: code, Body: io.NopCloser(body)})
		assert.Error(t, err)
		assert.LessOrEqual(t, 1<<20-body.Len(), 256<<10+1)
	}
}

func TestClientThatDoesNotFollowARedirect(t *testing.T) {
	leakless(t, httpServer(http.RedirectHandler("/other", http.StatusFound)), func(t *testing.T, n *network) {
		n.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		_, err := n.sumClient(t)(context.Background(), sumRequest{})
		assert.EqualError(t, err, "endpoint: the status 302 is neither an answer nor an error")
	})
}

func TestClientRunsItsHooksInOrder(t *testing.T) {
	type bends = map[string]func(context.Context) context.Context
	cause := errors.New("banned")
	null := func(context.Context) context.Context { return nil }
	ended := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(cause)
		return ctx
	}
	const nilContext = "endpoint: a function returned a nil context"
	const response = "[-1 map[A:[b]]]"
	for _, tt := range []struct {
		fails string
		bends bends
		steps string
		err   error
	}{
		{"", nil, "encode before1 before2 do after1 after2 decode close finalizer1:<nil>" + response + " finalizer2:<nil>" + response, nil},
		{"encode", nil, "encode finalizer1:broken[<nil> <nil>] finalizer2:broken[<nil> <nil>]", errBroken},
		{"do", nil, "encode before1 before2 do finalizer1:broken[<nil> <nil>] finalizer2:broken[<nil> <nil>]", errBroken},
		{"decode", nil, "encode before1 before2 do after1 after2 decode close finalizer1:broken" + response + " finalizer2:broken" + response, errBroken},
		{"", bends{"before1": null}, "encode before1 finalizer1:" + nilContext + "[<nil> <nil>] finalizer2:" + nilContext + "[<nil> <nil>]", nil},
		{"", bends{"before2": ended}, "encode before1 before2 finalizer1:banned[<nil> <nil>] finalizer2:banned[<nil> <nil>]", cause},
		{"", bends{"after1": null}, "encode before1 before2 do after1 close finalizer1:" + nilContext + response + " finalizer2:" + nilContext + response, nil},
	} {
		for _, buffered := range []bool{false, true} {
			var got trace
			stage := func(name string) error {
				got.add("%s", name)
				if name == tt.fails {
					return errBroken
				}
				return nil
			}
			bend := func(ctx context.Context, name string) context.Context {
				got.add("%s", name)
				if f := tt.bends[name]; f != nil {
					return f(ctx)
				}
				return ctx
			}
			before := func(name string) endpoint.RequestFunc {
				return func(ctx context.Context, _ *http.Request) context.Context { return bend(ctx, name) }
			}
			after := func(name string) endpoint.ClientResponseFunc {
				return func(ctx context.Context, _ *http.Response) context.Context { return bend(ctx, name) }
			}
			finalizer := func(name string) endpoint.ClientFinalizerFunc {
				return func(ctx context.Context, err error) {
					if tt.bends["before2"] == nil {
						assert.NoError(t, ctx.Err(), "it goes on")
					}
					got.add("%s:%v[%v %v]", name, err, ctx.Value(endpoint.ContextKeyResponseSize), ctx.Value(endpoint.ContextKeyResponseHeaders))
				}
			}
			e := endpoint.NewClient("GET", target(t, "http://sum.test/"),
				func(context.Context, *http.Request, int) error { return stage("encode") },
				func(context.Context, *http.Response) (int, error) { return 7, stage("decode") },
				endpoint.ClientBefore(before("before1"), before("before2")), endpoint.ClientAfter(after("after1"), after("after2")),
				endpoint.ClientFinalizer(finalizer("finalizer1")), endpoint.ClientFinalizer(finalizer("finalizer2")),
				endpoint.BufferedStream(buffered),
				endpoint.SetClient(doer(func(*http.Request) (*http.Response, error) {
					if err := stage("do"); err != nil {
						return nil, err
					}
					return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{"A": {"b"}}, Body: closing(func() { got.add("close") })}, nil
				}))).Endpoint()
			response, err := e(context.Background(), 1)
			if tt.err != nil {
				assert.ErrorIs(t, err, tt.err)
			} else if strings.Contains(tt.steps, nilContext) {
				assert.EqualError(t, err, nilContext)
			} else {
				assert.NoError(t, err)
			}
			want := tt.steps
			if err == nil {
				assert.Equal(t, 7, response)
				if buffered {
					want = strings.Replace(want, " close", "", 1)
				}
			} else {
				assert.Zero(t, response)
			}
			assert.Equal(t, want, got.String(), "buffered: %v", buffered)
		}
	}
}

// closing is an empty body that calls a function when it is closed.
type closing func()

func (closing) Read([]byte) (int, error) { return 0, io.EOF }
func (c closing) Close() error           { c(); return nil }

func TestClientHandsTheContextOn(t *testing.T) {
	var got trace
	note := func(ctx context.Context, at string) {
		got.add("%s:%v%v%v", at, ctx.Value(key("caller")), ctx.Value(key("before")), ctx.Value(key("after")))
	}
	e := endpoint.NewClient("GET", target(t, "http://sum.test/"),
		func(ctx context.Context, r *http.Request, _ int) error {
			note(ctx, "encode")
			note(r.Context(), "request")
			return nil
		},
		func(ctx context.Context, _ *http.Response) (int, error) { note(ctx, "decode"); return 0, nil },
		endpoint.ClientBefore(func(ctx context.Context, _ *http.Request) context.Context { return with("before", 2)(ctx) }),
		endpoint.ClientAfter(func(ctx context.Context, _ *http.Response) context.Context { return with("after", 3)(ctx) }),
		endpoint.ClientFinalizer(func(ctx context.Context, _ error) { note(ctx, "finalizer") }),
		endpoint.SetClient(doer(func(r *http.Request) (*http.Response, error) {
			note(r.Context(), "do")
			return &http.Response{Body: http.NoBody}, nil
		}))).Endpoint()
	_, err := e(context.WithValue(context.Background(), key("caller"), 1), 0)
	assert.NoError(t, err)
	assert.Equal(t, "encode:1<nil><nil> request:1<nil><nil> do:12<nil> decode:123 finalizer:123", got.String())
}

func TestClientSendsWhatItsFunctionsSet(t *testing.T) {
	u := target(t, "http://sum.test/sum?a=b")
	var got *http.Request
	e := endpoint.NewClient("PUT", u, endpoint.EncodeJSONRequest[int], endpoint.DecodeJSONResponse[int],
		endpoint.ClientBefore(endpoint.SetRequestHeader("X-Trace", "7")),
		endpoint.SetClient(doer(func(r *http.Request) (*http.Response, error) {
			got = r
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		}))).Endpoint()
	u.Host = "changed.test" // NewClient has copied the URL
	_, err := e(context.Background(), 5)
	assert.NoError(t, err)
	body, _ := io.ReadAll(got.Body)
	assert.Equal(t, "PUT http://sum.test/sum?a=b 7 5\n", fmt.Sprintf("%s %s %s %s", got.Method, got.URL, got.Header.Get("X-Trace"), body))
}

func TestClientUsesTheDefaultClient(t *testing.T) {
	defer func(c *http.Client) { http.DefaultClient = c }(http.DefaultClient)
	http.DefaultClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("7"))}, nil
	})}
	for _, options := range [][]endpoint.ClientOption{nil, {endpoint.SetClient(nil)}} {
		got, err := endpoint.NewClient("GET", target(t, "http://sum.test/"), endpoint.EncodeJSONRequest[int], endpoint.DecodeJSONResponse[int], options...).
			Endpoint()(context.Background(), 1)
		assert.NoError(t, err)
		assert.Equal(t, 7, got)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// download returns an Endpoint whose response is the body.
func (n *network) download(t *testing.T, decode endpoint.DecodeResponseFunc[io.ReadCloser], options ...endpoint.ClientOption) endpoint.Endpoint[sumRequest, io.ReadCloser] {
	options = append(options, endpoint.SetClient(n.client), endpoint.BufferedStream(true))
	return endpoint.NewClient("POST", target(t, "http://sum.test/"), endpoint.EncodeJSONRequest[sumRequest], decode, options...).Endpoint()
}

func TestBufferedStreamLeavesTheBodyOpenUntilItIsClosed(t *testing.T) {
	gone := make(chan struct{}, 1)
	s := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	synctest.Test(t, func(t *testing.T) {
		gone = make(chan struct{}, 1)
		n := newNetwork(httpServer(s))
		var ctx context.Context
		body, err := n.download(t, func(c context.Context, r *http.Response) (io.ReadCloser, error) {
			ctx = c
			return r.Body, nil
		})(context.Background(), sumRequest{})
		require.NoError(t, err)
		line, err := bufio.NewReader(body).ReadString('\n')
		assert.NoError(t, err)
		assert.Equal(t, "first\n", line)
		synctest.Wait()
		assert.NoError(t, ctx.Err(), "the call goes on")
		assert.Equal(t, int32(1), n.open.Load())
		assert.NoError(t, body.Close())
		settle()
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
		assert.Zero(t, n.open.Load())
		<-gone
	})
}

func TestBufferedStreamEndsWithTheCallersContext(t *testing.T) {
	leakless(t, raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"), func(t *testing.T, n *network) {
		ctx, cancel := context.WithCancel(context.Background())
		body, err := n.download(t, func(_ context.Context, r *http.Response) (io.ReadCloser, error) { return r.Body, nil })(ctx, sumRequest{})
		require.NoError(t, err)
		got, err := io.ReadAll(body)
		assert.NoError(t, err)
		assert.Equal(t, "whole", string(got))
		cancel()
	})
}

func TestBufferedStreamIsClosedIfTheCallFails(t *testing.T) {
	keep := func(_ context.Context, r *http.Response) (io.ReadCloser, error) { return r.Body, nil }
	fail := func(_ context.Context, r *http.Response) (io.ReadCloser, error) { return r.Body, errBroken }
	null := endpoint.ClientAfter(func(context.Context, *http.Response) context.Context { return nil })
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	leakless(t, httpServer(endless), func(t *testing.T, n *network) {
		body, err := n.download(t, fail)(context.Background(), sumRequest{})
		assert.ErrorIs(t, err, errBroken)
		assert.Nil(t, body, "there is nothing to close")
		body, err = n.download(t, keep, null)(context.Background(), sumRequest{})
		assert.Error(t, err)
		assert.Nil(t, body)
	})
}

// If an encoder makes the request invalid, the HTTP client refuses it.
func TestClientWithABadRequest(t *testing.T) {
	leakless(t, silent, func(t *testing.T, n *network) {
		e := endpoint.NewClient("GET", target(t, "http://sum.test/"),
			func(_ context.Context, r *http.Request, _ int) error { r.URL.Scheme = "gopher"; return nil },
			endpoint.DecodeJSONResponse[int], endpoint.SetClient(n.client)).Endpoint()
		_, err := e(context.Background(), 1)
		assert.EqualError(t, err, `Get "gopher://sum.test/": unsupported protocol scheme "gopher"`)
		assert.Zero(t, n.dialed.Load())
	})
}

func TestClientWithoutAServer(t *testing.T) {
	n := &network{client: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errBroken
	}}}}
	_, err := n.sumClient(t)(context.Background(), sumRequest{})
	assert.ErrorIs(t, err, errBroken)
}

// watched is a body that records that it was closed.
type watched struct {
	io.Reader
	closed bool
}

func (w *watched) Close() error { w.closed = true; return nil }

// toSum returns an Endpoint for numbers that sends its requests with a function.
func toSum(t *testing.T, send doer, options ...endpoint.ClientOption) endpoint.Endpoint[int, int] {
	return endpoint.NewClient("POST", target(t, "http://sum.test/a"), endpoint.EncodeJSONRequest[int], endpoint.DecodeJSONResponse[int],
		append(options, endpoint.SetClient(send))...).Endpoint()
}

func TestHTTPClientThatReturnsNothing(t *testing.T) {
	for _, response := range []*http.Response{nil, {StatusCode: 200}} {
		var finalized error
		finalizer := endpoint.ClientFinalizer(func(_ context.Context, err error) { finalized = err })
		_, err := toSum(t, func(*http.Request) (*http.Response, error) { return response, nil }, finalizer)(context.Background(), 1)
		assert.EqualError(t, err, "endpoint: the endpoint_test.doer returned neither an error nor a response with a body")
		assert.Equal(t, err, finalized)

		_, err = toSum(t, func(*http.Request) (*http.Response, error) { return response, errBroken }, finalizer)(context.Background(), 1)
		assert.ErrorIs(t, err, errBroken)
		assert.Equal(t, err, finalized)
	}
}

// A change to the request of one call does not affect other calls.
func TestCallsShareNothing(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]int)
	e := endpoint.NewClient("POST", target(t, "http://sum.test/a"),
		func(ctx context.Context, r *http.Request, n int) error {
			r.URL.Path += fmt.Sprint("/", n)
			return endpoint.EncodeJSONRequest(ctx, r, n)
		},
		endpoint.DecodeJSONResponse[int],
		endpoint.ClientBefore(func(ctx context.Context, r *http.Request) context.Context {
			r.Header.Add("X-Path", r.URL.Path)
			return ctx
		}),
		endpoint.SetClient(doer(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			seen[fmt.Sprint(r.URL.Path, r.Header["X-Path"])]++
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("1"))}, nil
		}))).Endpoint()
	const calls = 20
	var all sync.WaitGroup
	want := make(map[string]int)
	for i := range calls {
		want[fmt.Sprintf("/a/%d[/a/%d]", i, i)] = 1
		all.Go(func() { _, _ = e(context.Background(), i) })
	}
	all.Wait()
	assert.Equal(t, want, seen)
}

func TestRequestsThatAreNotSentAreClosed(t *testing.T) {
	for _, stop := range []endpoint.RequestFunc{
		func(context.Context, *http.Request) context.Context { return nil },
		func(ctx context.Context, _ *http.Request) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx
		},
		nil,
	} {
		body := new(watched)
		options := []endpoint.ClientOption{endpoint.ClientBefore(stop)}
		if stop == nil {
			options = nil
		}
		e := endpoint.NewClient("POST", target(t, "http://sum.test/"),
			func(_ context.Context, r *http.Request, _ int) error {
				r.Body = body
				if stop == nil {
					return errBroken
				}
				return nil
			},
			endpoint.DecodeJSONResponse[int], options...).Endpoint()
		_, err := e(context.Background(), 1)
		assert.Error(t, err)
		assert.True(t, body.closed)
	}
}

// The original body is closed, even if ClientAfter has replaced it.
func TestClientClosesTheBodyThatCame(t *testing.T) {
	body := &watched{Reader: strings.NewReader("1" + strings.Repeat(" ", 1000))}
	e := toSum(t, func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200, Body: body}, nil },
		endpoint.ClientAfter(func(ctx context.Context, r *http.Response) context.Context {
			r.Body = io.NopCloser(io.LimitReader(r.Body, 100))
			return ctx
		}))
	n, err := e(context.Background(), 1)
	assert.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.True(t, body.closed)
}

func TestBufferedStreamThatTheDecoderCloses(t *testing.T) {
	missing := endpoint.Error(404, "not there")
	e := endpoint.NewClient("POST", target(t, "http://sum.test/"), endpoint.EncodeJSONRequest[int],
		func(_ context.Context, r *http.Response) (int, error) {
			defer r.Body.Close()
			return 0, missing
		},
		endpoint.BufferedStream(true),
		endpoint.SetClient(doer(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: new(watched)}, nil
		}))).Endpoint()
	_, err := e(context.Background(), 1)
	assert.Equal(t, missing, err, "nobody has cancelled anything")
}

func TestClientFinalizerKnowsOfAPanic(t *testing.T) {
	var finalized error
	e := toSum(t, func(*http.Request) (*http.Response, error) { panic("oops") },
		endpoint.ClientFinalizer(func(_ context.Context, err error) { finalized = err }))
	assert.PanicsWithValue(t, "oops", func() { _, _ = e(context.Background(), 1) })
	assert.EqualError(t, finalized, "endpoint: the call panicked")
}
