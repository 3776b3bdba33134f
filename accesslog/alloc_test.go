package accesslog_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
)

// blank is a writer that discards its bytes.
type blank struct{ header http.Header }

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}

// served returns a function that serves a request with a Mux that has the LogHandler.
func served(h logHandler, r *http.Request) func() {
	mux := kami.New()
	mux.LogHandler = h
	mux.Get("/users/:id", func(_ context.Context, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
	w := &blank{http.Header{"X-Request-Id": {"b1"}}}
	return func() { mux.ServeHTTP(w, r) }
}

// TestAllocations checks that a record allocates no more than a LogHandler that logs the same attributes, made before.
func TestAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	proxies := netip.MustParsePrefix("10.0.0.0/8")
	plain := func(remote string, more ...slog.Attr) []slog.Attr {
		return append([]slog.Attr{slog.String("method", "GET"), slog.String("path", "/users/7"),
			slog.String("pattern", "/users/:id"), slog.Int("status", 200), slog.Int("bytes", 0),
			slog.Duration("duration", time.Millisecond), slog.String("remote", remote),
			slog.String("protocol", "HTTP/1.1"), slog.String("request_id", "b1")}, more...)
	}
	for _, tt := range []struct {
		name  string
		r     *http.Request
		opts  []accesslog.Option
		attrs []slog.Attr
	}{
		{"plain", request("GET", "/users/7"), nil, plain("192.0.2.1")},
		{"IPv6", from("[2001:db8::1]:80", ""), nil, plain("2001:db8::1")},
		{"query", request("GET", "/users/7?a"),
			[]accesslog.Option{accesslog.WithQuery()}, plain("192.0.2.1", slog.String("query", "a"))},
		{"X-Forwarded-For", from("10.0.0.1:80", "X-Forwarded-For", "192.0.2.1", "10.0.0.3, 10.0.0.2:80"),
			[]accesslog.Option{accesslog.TrustXForwardedFor(proxies)}, plain("192.0.2.1")},
		{"Forwarded", from("10.0.0.1:80", "Forwarded", `for="[2001:db8::1]:80";proto=https`, "by=10.0.0.3;for=10.0.0.2"),
			[]accesslog.Option{accesslog.TrustForwarded(proxies)}, plain("2001:db8::1")},
	} {
		tt.r.URL.Path = "/users/7"
		logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
		same := testing.AllocsPerRun(1000, served(func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) {
			logger.LogAttrs(ctx, slog.LevelInfo, "request", tt.attrs...)
		}, tt.r))
		got := testing.AllocsPerRun(1000, served(accesslog.New(logger, tt.opts...), tt.r))
		assert.LessOrEqual(t, got, same, tt.name)

		none := testing.AllocsPerRun(1000, served(func(context.Context, mutil.WriterProxy, *http.Request) {}, tt.r))
		got = testing.AllocsPerRun(1000, served(accesslog.New(slog.New(slog.DiscardHandler), tt.opts...), tt.r))
		assert.LessOrEqual(t, got, none, "%s, disabled", tt.name)
		got = testing.AllocsPerRun(1000, served(accesslog.Combined(io.Discard, tt.opts...), tt.r))
		assert.LessOrEqual(t, got, none+2, "%s, combined, whose target with a query is new", tt.name)
	}
}

// TestAllocationsOfNothing checks that an empty answer allocates no more than another one, although New must find out whether the
// connection was hijacked.
func TestAllocationsOfNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	h := accesslog.New(slog.New(slog.NewJSONHandler(io.Discard, nil)), accesslog.RequestID(nil))
	allocations := func(w mutil.WriterProxy) float64 {
		r := request("GET", "/")
		return testing.AllocsPerRun(1000, func() { h(r.Context(), w, r) })
	}
	sent := mutil.WrapWriter(&blank{})
	sent.WriteHeader(200)
	assert.LessOrEqual(t, allocations(mutil.WrapWriter(&blank{})), allocations(sent))
	assert.LessOrEqual(t, allocations(mutil.WrapWriter(untouched{})), allocations(sent))
}

func BenchmarkLogHandler(b *testing.B) {
	json := slog.New(slog.NewJSONHandler(io.Discard, nil))
	proxies := accesslog.TrustXForwardedFor(netip.MustParsePrefix("10.0.0.0/8"))
	for _, bb := range []struct {
		name string
		h    logHandler
	}{
		{"None", func(context.Context, mutil.WriterProxy, *http.Request) {}},
		{"Disabled", accesslog.New(slog.New(slog.DiscardHandler))},
		{"JSON", accesslog.New(json)},
		{"JSON/Proxies", accesslog.New(json, proxies)},
		{"Text", accesslog.New(slog.New(slog.NewTextHandler(io.Discard, nil)))},
		{"Combined", accesslog.Combined(io.Discard)},
		{"Combined/Proxies", accesslog.Combined(io.Discard, proxies)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := from("10.0.0.1:80", "X-Forwarded-For", "192.0.2.9, 192.0.2.1, 10.0.0.2")
			r.URL.Path = "/users/7"
			r.Header.Set("Referer", "https://example.com/search?q=kami")
			r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
			run := served(bb.h, r)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
