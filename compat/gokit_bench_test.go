package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	kithttp "github.com/go-kit/kit/transport/http"
	"github.com/guregu/kami/endpoint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The requests and responses of the benchmarks' service.
type (
	sumRequest struct {
		A, B int
		Note string
	}
	sumResponse struct {
		Sum  int
		Note string
	}
)

func sum(_ context.Context, r sumRequest) (sumResponse, error) {
	return sumResponse{r.A + r.B, r.Note}, nil
}

// notes are the sizes of requests and responses.
var notes = map[string]string{"small": "a note", "10KB": strings.Repeat("a note, ", 10<<10/8)}

// kitServer is the service, written as in go-kit's documentation.
func kitServer(opts ...kithttp.ServerOption) http.Handler {
	return kithttp.NewServer(
		func(ctx context.Context, request any) (any, error) { return sum(ctx, request.(sumRequest)) },
		func(_ context.Context, r *http.Request) (any, error) {
			var request sumRequest
			err := json.NewDecoder(r.Body).Decode(&request)
			return request, err
		},
		kithttp.EncodeJSONResponse, opts...,
	)
}

func kamiServer(opts ...endpoint.ServerOption) http.Handler {
	return endpoint.NewServer(sum, endpoint.DecodeJSONRequest, endpoint.EncodeJSONResponse, opts...)
}

// servers are the service by go-kit and by package endpoint, with and without a finalizer.
var servers = []struct {
	name      string
	kit, kami http.Handler
}{
	{"plain", kitServer(), kamiServer()},
	{
		"finalizer",
		kitServer(kithttp.ServerFinalizer(func(context.Context, int, *http.Request) {})),
		kamiServer(endpoint.ServerFinalizer(func(context.Context, int, *http.Request) {})),
	},
}

// sink is a ResponseWriter with the methods of HTTP/1's that can be used again.
type sink struct {
	header http.Header
	code   int
	bytes.Buffer
	http.Flusher
	http.Hijacker
}

func (s *sink) Header() http.Header                       { return s.header }
func (s *sink) WriteHeader(code int)                      { s.code = code }
func (s *sink) ReadFrom(r io.Reader) (n int64, err error) { return s.Buffer.ReadFrom(r) }

// rewound is a body that can be read again.
type rewound struct{ bytes.Reader }

func (*rewound) Close() error { return nil }

// serveOnce returns a function that serves the same request each time it is called.
func serveOnce(t testing.TB, h http.Handler, note string) func() {
	text, err := json.Marshal(sumRequest{1, 2, note})
	require.NoError(t, err)
	body, w := new(rewound), &sink{header: http.Header{}}
	r := httptest.NewRequest(http.MethodPost, "/sum", nil)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Body, r.ContentLength = body, int64(len(text))
	serve := func() {
		body.Reset(text)
		w.Reset()
		clear(w.header)
		w.code = 0
		h.ServeHTTP(w, r)
	}
	serve()
	want, err := json.Marshal(sumResponse{3, note})
	require.NoError(t, err)
	require.Equal(t, string(want)+"\n", w.String())
	require.Equal(t, http.StatusOK, w.code)
	return serve
}

// kitClient is a client of the service, written as in go-kit's documentation.
func kitClient(target *url.URL, c kithttp.HTTPClient) func(sumRequest) (sumResponse, error) {
	call := kithttp.NewClient(http.MethodPost, target, kithttp.EncodeJSONRequest,
		func(_ context.Context, r *http.Response) (any, error) {
			if r.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("status %d", r.StatusCode)
			}
			var response sumResponse
			err := json.NewDecoder(r.Body).Decode(&response)
			return response, err
		},
		kithttp.SetClient(c),
	).Endpoint()
	return func(request sumRequest) (sumResponse, error) {
		response, err := call(context.Background(), request)
		if err != nil {
			return sumResponse{}, err
		}
		return response.(sumResponse), nil
	}
}

func kamiClient(target *url.URL, c endpoint.HTTPClient) func(sumRequest) (sumResponse, error) {
	call := endpoint.NewClient(http.MethodPost, target,
		endpoint.EncodeJSONRequest[sumRequest], endpoint.DecodeJSONResponse[sumResponse], endpoint.SetClient(c)).Endpoint()
	return func(request sumRequest) (sumResponse, error) { return call(context.Background(), request) }
}

// canned is an HTTPClient that reads requests, and has one answer.
type canned struct {
	response http.Response
	body     rewound
	text     []byte
}

func newCanned(t testing.TB, note string) *canned {
	text, err := json.Marshal(sumResponse{3, note})
	require.NoError(t, err)
	return &canned{text: append(text, '\n')}
}

func (c *canned) Do(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	c.body.Reset(c.text)
	c.response = http.Response{StatusCode: http.StatusOK, Body: &c.body, ContentLength: int64(len(c.text)), Request: r}
	return &c.response, nil
}

// calling returns a function that makes the same call each time it is called.
func calling(t testing.TB, call func(sumRequest) (sumResponse, error), note string) func() {
	return func() {
		response, err := call(sumRequest{1, 2, note})
		if err != nil || response.Sum != 3 || response.Note != note {
			t.Fatal(response, err)
		}
	}
}

var sumURL = &url.URL{Scheme: "http", Host: "sum.example", Path: "/sum"}

// populating returns functions that populate a context, of which four values are then read.
func populating() (kit, kami func(reads bool)) {
	r := httptest.NewRequest(http.MethodPatch, "/search?q=sympatico", nil)
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Authorization", "Referer", "User-Agent", "X-Request-Id", "Accept"} {
		r.Header.Set(name, "a value of "+name)
	}
	read := func(ctx context.Context, keys ...any) {
		for _, key := range keys {
			if ctx.Value(key).(string) == "" {
				panic("an empty value")
			}
		}
	}
	kit = func(reads bool) {
		ctx := kithttp.PopulateRequestContext(context.Background(), r)
		if reads {
			read(ctx, kithttp.ContextKeyRequestMethod, kithttp.ContextKeyRequestPath,
				kithttp.ContextKeyRequestUserAgent, kithttp.ContextKeyRequestXRequestID)
		}
	}
	kami = func(reads bool) {
		ctx := endpoint.PopulateRequestContext(context.Background(), r)
		if reads {
			read(ctx, endpoint.ContextKeyRequestMethod, endpoint.ContextKeyRequestPath,
				endpoint.ContextKeyRequestUserAgent, endpoint.ContextKeyRequestXRequestID)
		}
	}
	return kit, kami
}

// slice is how long one of the two runs before the other's turn. It has several collections of garbage in it, because they are a
// part of the cost.
const slice = 20 * time.Millisecond

// bothAre runs a benchmark of both in turns, so that other work on the machine slows both alike. The fastest turn of each counts. It
// reports the nanoseconds of a run by each, and their ratio, which has a target.
func bothAre(b *testing.B, name string, kit, kami func()) {
	b.Run(name, func(b *testing.B) {
		turn := func(run func(), least *float64) {
			runs, start := 0, time.Now()
			for time.Since(start) < slice {
				for range 10 {
					run()
				}
				runs += 10
			}
			*least = min(*least, float64(time.Since(start).Nanoseconds())/float64(runs))
		}
		was, is := math.Inf(1), math.Inf(1)
		for b.Loop() {
			turn(kit, &was)
			turn(kami, &is)
		}
		b.ReportMetric(0, "ns/op") // it would be that of the turns
		b.ReportMetric(was, "kit-ns")
		b.ReportMetric(is, "kami-ns")
		b.ReportMetric(is/was, "kami/kit")
	})
}

func BenchmarkServer(b *testing.B) {
	for _, s := range servers {
		for _, size := range []string{"small", "10KB"} {
			bothAre(b, s.name+"/"+size, serveOnce(b, s.kit, notes[size]), serveOnce(b, s.kami, notes[size]))
		}
	}
}

func BenchmarkClient(b *testing.B) {
	for _, size := range []string{"small", "10KB"} {
		c := newCanned(b, notes[size])
		bothAre(b, "canned/"+size, calling(b, kitClient(sumURL, c), notes[size]), calling(b, kamiClient(sumURL, c), notes[size]))
	}
	server := httptest.NewServer(kamiServer())
	defer server.Close()
	target, err := url.Parse(server.URL)
	require.NoError(b, err)
	for _, size := range []string{"small", "10KB"} {
		bothAre(b, "loopback/"+size, calling(b, kitClient(target, server.Client()), notes[size]),
			calling(b, kamiClient(target, server.Client()), notes[size]))
	}
}

func BenchmarkPopulate(b *testing.B) {
	kit, kami := populating()
	bothAre(b, "alone", func() { kit(false) }, func() { kami(false) })
	bothAre(b, "read", func() { kit(true) }, func() { kami(true) })
}

// raced is whether the race detector is on.
var raced bool

// The targets of package endpoint: how many of go-kit's allocations it may have.
func TestGoKitAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates by itself")
	}
	check := func(t *testing.T, most float64, kit, kami func()) {
		t.Helper()
		was, is := testing.AllocsPerRun(500, kit), testing.AllocsPerRun(500, kami)
		t.Logf("go-kit %v, kami %v: %.2f", was, is, is/was)
		assert.LessOrEqual(t, is/was, most)
	}
	for size, note := range notes {
		for _, s := range servers {
			t.Run("server/"+s.name+"/"+size, func(t *testing.T) {
				check(t, 0.9, serveOnce(t, s.kit, note), serveOnce(t, s.kami, note))
			})
		}
		t.Run("client/"+size, func(t *testing.T) {
			c := newCanned(t, note)
			check(t, 0.9, calling(t, kitClient(sumURL, c), note), calling(t, kamiClient(sumURL, c), note))
		})
	}
	kit, kami := populating()
	for _, reads := range []bool{false, true} {
		t.Run(fmt.Sprint("populate/", reads), func(t *testing.T) {
			check(t, 0.3, func() { kit(reads) }, func() { kami(reads) })
		})
	}
}
