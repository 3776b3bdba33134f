package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/guregu/kami/examples/sum/sum"
)

// TestBothSides calls a server over the network.
func TestBothSides(t *testing.T) {
	serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Inf, 0))
	assert.Empty(t, kami.Check())
	server := httptest.NewServer(kami.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)

	for _, test := range []struct {
		args []string
		want any
		err  string
	}{
		{[]string{"sum", "1", "2"}, int64(3), ""},
		{[]string{"sum", "-1", "-9223372036854775807"}, int64(math.MinInt64), ""},
		{[]string{"sum", "1", "x"}, nil, "invalid syntax"},
		{[]string{"sum", "y", "2"}, nil, "invalid syntax"},
		{[]string{"sum", "9223372036854775807", "1"}, int64(0), sum.ErrOverflow.Error()},
		{[]string{"concat", "ka", "mi 神"}, "kami 神", ""},
		{[]string{"concat", strings.Repeat("x", sum.MaxLength), "x"}, "", sum.ErrTooLong.Error()},
		{[]string{"uppercase", "a&text=b c+d%"}, "A&TEXT=B C+D%", ""},
		{[]string{"uppercase", ""}, "", ""},
		{[]string{"sum", "1"}, nil, usage},
		{nil, nil, usage},
	} {
		got, err := call(t.Context(), server.URL, test.args)
		assert.Equal(t, test.want, got, "%q", test.args)
		if test.err == "" {
			assert.NoError(t, err, "%q", test.args)
		} else {
			assert.ErrorContains(t, err, test.err, "%q", test.args)
		}
	}
}

// TestErrors checks errors that are the same on both sides.
func TestErrors(t *testing.T) {
	serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Inf, 0))
	client := newClient(t, kami.Handler())

	_, err := client.Sum(t.Context(), sum.SumRequest{A: math.MaxInt64, B: 1})
	assert.ErrorIs(t, err, sum.ErrOverflow)
	assert.Equal(t, http.StatusUnprocessableEntity, status(err))

	_, err = client.Concat(t.Context(), sum.ConcatRequest{A: strings.Repeat("x", sum.MaxLength), B: "x"})
	assert.ErrorIs(t, err, sum.ErrTooLong)
	assert.Equal(t, http.StatusRequestEntityTooLarge, status(err))

	for _, url := range []string{"", "localhost:8000", "/sum", ":", "http://"} {
		_, err = sum.NewClient(url)
		assert.Error(t, err, "%q", url)
	}
}

// TestAnswers sends requests that the client never sends.
func TestAnswers(t *testing.T) {
	serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Inf, 0))
	for _, test := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/sum/40/2", "", 200, `{"sum":42}` + "\n"},
		{"GET", "/sum/-40/+2", "", 200, `{"sum":-38}` + "\n"},
		{"GET", "/sum/40/x", "", 400, `path "b": "x" is not an integer` + "\n"},
		{"GET", "/sum/9223372036854775808/0", "", 400, `path "a": "9223372036854775808" is out of the range of int64` + "\n"},
		{"GET", "/sum/9223372036854775807/1", "", 422, sum.ErrOverflow.Error() + "\n"},
		{"POST", "/sum", `{"a":1}`, 200, `{"sum":1}` + "\n"},
		{"POST", "/sum", `{"a":1,"b":"x"}`, 400, `field "b": a JSON string at offset 14 does not fit` + "\n"},
		{"POST", "/sum", `{"a":`, 400, `the body is not JSON at offset 5: unexpected end of JSON input` + "\n"},
		{"POST", "/sum", "", 400, "the body is empty, and should be JSON\n"},
		{"GET", "/sum", "", 405, "Method Not Allowed\n"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.Header.Set("Content-Type", "application/json")
		kami.Handler().ServeHTTP(w, r)
		assert.Equal(t, test.code, w.Code, "%s %s %s", test.method, test.path, test.body)
		assert.Equal(t, test.want, w.Body.String(), "%s %s %s", test.method, test.path, test.body)
	}
}

// TestLimit exhausts a limiter, which then lets one call go per minute.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Every(time.Minute), 2))
		served := count(kami.Handler())
		client := newClient(t, served)

		_, err := client.Sum(t.Context(), sum.SumRequest{})
		assert.NoError(t, err)
		_, err = client.Concat(t.Context(), sum.ConcatRequest{})
		assert.NoError(t, err)
		assert.Equal(t, 2, served.requests)

		_, err = client.Uppercase(t.Context(), sum.UppercaseRequest{})
		assert.Equal(t, http.StatusTooManyRequests, status(err), "all methods share the limiter")
		assert.Equal(t, 2+3, served.requests, "the client tries it three times")

		time.Sleep(time.Minute) // of the bubble
		_, err = client.Sum(t.Context(), sum.SumRequest{})
		assert.NoError(t, err)
	})
}

// TestBreaker has a server that fails, and then works again.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Inf, 0))
		handler := kami.Handler()
		ill := true
		served := count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ill {
				http.Error(w, "ill", http.StatusInternalServerError)
				return
			}
			handler.ServeHTTP(w, r)
		}))
		client := newClient(t, served)

		for range sum.MaxFailures {
			_, err := client.Sum(t.Context(), sum.SumRequest{})
			assert.Equal(t, endpoint.Error(http.StatusInternalServerError, "ill"), err)
		}
		assert.Equal(t, sum.MaxFailures, served.requests)

		ill = false
		for range 2 {
			_, err := client.Uppercase(t.Context(), sum.UppercaseRequest{})
			assert.ErrorIs(t, err, gobreaker.ErrOpenState, "all methods share the breaker")
			assert.Equal(t, http.StatusServiceUnavailable, status(err))
		}
		assert.Equal(t, sum.MaxFailures, served.requests, "an open breaker sends nothing")

		time.Sleep(sum.Rest + time.Nanosecond) // of the bubble
		for range 2 {
			_, err := client.Sum(t.Context(), sum.SumRequest{})
			assert.NoError(t, err)
		}
	})
}

// TestBreakerStaysClosed has callers send wrong requests, or give up.
func TestBreakerStaysClosed(t *testing.T) {
	serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Inf, 0))
	client := newClient(t, kami.Handler())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * sum.MaxFailures {
		_, err := client.Sum(t.Context(), sum.SumRequest{A: math.MaxInt64, B: 1})
		require.ErrorIs(t, err, sum.ErrOverflow)
		_, err = client.Sum(gone, sum.SumRequest{})
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err := client.Sum(t.Context(), sum.SumRequest{})
	assert.NoError(t, err)
}

// TestRetry has a server that answers the second attempt.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(t, slog.DiscardHandler, rate.NewLimiter(rate.Inf, 0))
		handler, begun := kami.Handler(), false
		served := count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !begun {
				begun = true
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			handler.ServeHTTP(w, r)
		}))
		response, err := newClient(t, served).Sum(t.Context(), sum.SumRequest{A: 1, B: 2})
		require.NoError(t, err)
		assert.Equal(t, int64(3), response.Sum, "the body is sent again")
		assert.Equal(t, 2, served.requests)
	})
}

func TestLog(t *testing.T) {
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/sum/1/2", `
level=INFO msg=called method=sum err=<nil>
level=INFO msg=answered request="GET /sum/1/2" status=200 size=10`},
		{"GET", "/sum/9223372036854775807/1", `
level=INFO msg=called method=sum err="the sum does not fit into 64 bits"
level=INFO msg=answered request="GET /sum/9223372036854775807/1" status=422 size=34`},
		{"GET", "/sum/1/x", `
level=INFO msg=answered request="GET /sum/1/x" status=400 size=32`},
		{"GET", "/uppercase?text=kami", `
level=INFO msg=called method=uppercase err="too many requests"
level=INFO msg=answered request="GET /uppercase" status=429 size=18`},
	} {
		t.Run(test.path, func(t *testing.T) {
			var log bytes.Buffer
			limiter := rate.NewLimiter(0, 1)
			serve(t, slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime}), limiter)
			if strings.Contains(test.want, "429") {
				limiter.Allow()
			}
			kami.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(test.method, test.path, nil))
			assert.Equal(t, strings.TrimPrefix(test.want, "\n")+"\n", log.String())
		})
	}
}

// withoutTime removes the parts of a log line that differ from run to run.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "took" {
		return slog.Attr{}
	}
	return a
}

// serve registers the routes for one test.
func serve(t *testing.T, log slog.Handler, limiter *rate.Limiter) {
	t.Helper()
	t.Cleanup(kami.Reset)
	routes(sum.New(), slog.New(log), limiter)
}

// newClient returns a client of the handler, without a network between them.
func newClient(t *testing.T, server http.Handler) sum.Service {
	t.Helper()
	client, err := sum.NewClient("http://sum.test", endpoint.SetClient(direct{server}))
	require.NoError(t, err)
	return client
}

// direct is an endpoint.HTTPClient that calls a handler.
type direct struct{ http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody // as a server gets it
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// counter counts the requests of a handler.
type counter struct {
	http.Handler
	requests int
}

func count(h http.Handler) *counter { return &counter{Handler: h} }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests++
	c.Handler.ServeHTTP(w, r)
}

// status is the status of an error, or 0.
func status(err error) int {
	var coder endpoint.StatusCoder
	if errors.As(err, &coder) {
		return coder.StatusCode()
	}
	return 0
}
