package recipes

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printer is a chi log formatter that prints only the parts that are the same in every run.
type printer struct{}

func (printer) NewLogEntry(r *http.Request) middleware.LogEntry {
	return line(fmt.Sprint(middleware.GetReqID(r.Context()), " ", r.Method, " ", r.URL.Path))
}

// line is the log entry of one request.
type line string

func (l line) Write(status, _ int, _ http.Header, _ time.Duration, _ any) {
	fmt.Println("chi:", l, status)
}

func (l line) Panic(v any, _ []byte) { fmt.Println("chi:", l, "panic:", v) }

func Example_chi() {
	formatter := printer{}

	mux := kami.New()
	mux.Use("/", middleware.RequestID)
	mux.Use("/", middleware.ClientIPFromRemoteAddr)          // behind a proxy: ClientIPFromXFF
	mux.Use("/", middleware.RequestLogger(formatter))        // or Logger, which has chi's own format
	mux.Use("/", middleware.Recoverer)                       // within the logger, so that it logs the 500
	mux.Use("/", middleware.Compress(5))                     // or gzhttp, not both
	mux.Use("/reports/", middleware.Timeout(30*time.Second)) // ends the context that handlers get

	mux.Get("/reports/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		_, timed := ctx.Deadline()
		fmt.Fprintln(w, kami.Param(ctx, "id"), middleware.GetReqID(ctx), middleware.GetClientIP(ctx), timed)
	})
	mux.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("out of paper") })
	mux.PanicHandler = func(context.Context, http.ResponseWriter, *http.Request) { fmt.Println("not reached") }
	mux.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		fmt.Printf("LogHandler: %s %q %d\n", middleware.GetReqID(ctx), r.Pattern, w.Status())
	}

	for i, path := range []string{"/reports/7", "/panic", "/nothing"} {
		show(get(mux, path, middleware.RequestIDHeader, fmt.Sprint("id-", i)))
	}
	// Output:
	// chi: id-0 GET /reports/7 200
	// LogHandler: id-0 "/reports/:id" 200
	// 200 | 7 id-0 192.0.2.1 true
	// chi: id-1 GET /panic panic: out of paper
	// chi: id-1 GET /panic 500
	// LogHandler: id-1 "/panic" 500
	// 500
	// chi: id-2 GET /nothing 404
	// LogHandler: id-2 "" 404
	// 404 | 404 page not found
}

// What reads or changes chi's routing context has none within kami, or comes too late.
func TestChiRouting(t *testing.T) {
	for _, mw := range []func(http.Handler) http.Handler{middleware.CleanPath, middleware.GetHead} {
		mux := kami.New()
		mux.Use("/", mw)
		mux.Get("/", func(http.ResponseWriter, *http.Request) {})
		assert.Panics(t, func() { ask(mux, http.MethodHead, "/", "") })
	}
	mux := kami.New()
	mux.Use("/", middleware.StripSlashes)
	mux.Get("/users", func(http.ResponseWriter, *http.Request) {})
	assert.Equal(t, http.StatusMovedPermanently, get(mux, "/users/").Code, "kami has decided on a redirect")
	assert.Equal(t, http.StatusOK, get(middleware.StripSlashes(mux), "/users/").Code, "outside it works")
}

func Example_cors() {
	signIn := func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return nil
		}
		return ctx
	}

	mux := kami.New()
	mux.Use("/api/", cors.New(cors.Options{
		AllowedOrigins: []string{"https://app.example"},
		AllowedMethods: []string{http.MethodGet, http.MethodPut},
		AllowedHeaders: []string{"Authorization"},
	}).Handler)
	mux.Use("/api/", signIn) // after cors, for a preflight has no credentials
	mux.Put("/api/things/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "put", kami.Param(ctx, "id"))
	})

	origin := []string{"Origin", "https://app.example"}
	preflight := append(origin,
		"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization")
	headers := []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods"}
	show(ask(mux, http.MethodOptions, "/api/things/7", "", preflight...), headers...)
	show(ask(mux, http.MethodPut, "/api/things/7", "", append(origin, "Authorization", "me")...), headers...)
	show(ask(mux, http.MethodPut, "/api/things/7", "", origin...), headers...)
	show(ask(mux, http.MethodOptions, "/elsewhere", "", preflight...), headers...)
	// Output:
	// 204 | Access-Control-Allow-Origin: https://app.example | Access-Control-Allow-Methods: PUT
	// 200 | Access-Control-Allow-Origin: https://app.example | put 7
	// 401 | Access-Control-Allow-Origin: https://app.example
	// 404 | 404 page not found
}

func Example_gzhttp() {
	page := strings.Repeat("kami and the gods of paper ", 1000)

	mux := kami.New()
	mux.Use("/", gzhttp.GzipHandler) // from 1 KB on; gzhttp.NewWrapper has options
	mux.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		fmt.Println("sent less than a tenth:", w.BytesWritten() < len(page)/10)
	}
	mux.Get("/page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, page) })

	w := get(mux, "/page", "Accept-Encoding", "gzip")
	fmt.Println(w.Code, w.Header().Get("Content-Encoding"), gunzip(w.Body) == page)
	w = get(mux, "/page")
	fmt.Printf("%d %q %v\n", w.Code, w.Header().Get("Content-Encoding"), w.Body.String() == page)
	// Output:
	// sent less than a tenth: true
	// 200 gzip true
	// sent less than a tenth: false
	// 200 "" true
}

// gunzip returns the decompressed text, or the error.
func gunzip(body io.Reader) string {
	reader, err := gzip.NewReader(body)
	if err != nil {
		return err.Error()
	}
	var plain bytes.Buffer
	if _, err := io.Copy(&plain, reader); err != nil {
		return err.Error()
	}
	return plain.String()
}

func Example_httprate() {
	byClient := func(r *http.Request) (string, error) {
		host, _, err := net.SplitHostPort(r.RemoteAddr) // behind a proxy this is the proxy's
		return httprate.CanonicalizeIP(host), err
	}
	mux := kami.New()
	mux.Use("/api/", httprate.LimitBy(2, time.Minute, byClient))
	mux.Get("/api/time", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "it is late") })
	mux.Get("/health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "well") })

	for _, path := range []string{"/api/time", "/api/nothing", "/api/time", "/health"} {
		show(get(mux, path), "X-Ratelimit-Remaining", "Retry-After")
	}
	// Output:
	// 200 | X-Ratelimit-Remaining: 1 | it is late
	// 404 | X-Ratelimit-Remaining: 0 | 404 page not found
	// 429 | X-Ratelimit-Remaining: 0 | Retry-After: 60 | Too Many Requests
	// 200 | well
}

func Example_sessions() {
	sessions := scs.New() // kept in memory; its other stores outlive the process
	sessions.Cookie.Secure = true
	mux := kami.New()
	mux.Use("/", sessions.LoadAndSave)
	mux.Get("/visit", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		visits := sessions.GetInt(ctx, "visits") + 1
		sessions.Put(ctx, "visits", visits)
		fmt.Fprintln(w, "visit", visits)
	})
	mux.LogHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		fmt.Println("log:", sessions.GetInt(ctx, "visits"), w.Status())
	}

	first := get(mux, "/visit")
	show(first)
	cookie := first.Result().Cookies()[0]
	fmt.Println(cookie.Name, cookie.HttpOnly, cookie.Secure, cookie.SameSite == http.SameSiteLaxMode)
	show(get(mux, "/visit", "Cookie", cookie.Name+"="+cookie.Value))
	show(get(mux, "/visit"))
	// Output:
	// log: 1 200
	// 200 | visit 1
	// session true true true
	// log: 2 200
	// 200 | visit 2
	// log: 1 200
	// 200 | visit 1
}

// The cookie is written by the first Write or WriteHeader: not by a flush before, nor after a panic or in afterware.
func TestSessionsAreSavedByWriting(t *testing.T) {
	sessions := scs.New()
	mux := kami.New()
	mux.PanicHandler = func(_ context.Context, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	mux.Use("/", sessions.LoadAndSave)
	mux.After("/after", func(ctx context.Context) context.Context {
		sessions.Put(ctx, "where", "afterware")
		return ctx
	})
	put := func(ctx context.Context) { sessions.Put(ctx, "where", "handler") }
	mux.Get("/nothing-sent", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { put(ctx) })
	mux.Get("/flushed", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		put(ctx)
		require.NoError(t, http.NewResponseController(w).Flush())
		fmt.Fprint(w, "too late")
	})
	mux.Get("/written", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		put(ctx)
		w.WriteHeader(http.StatusOK)
		require.NoError(t, http.NewResponseController(w).Flush())
	})
	mux.Get("/panic", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		put(ctx)
		panic("out of cookies")
	})
	mux.Get("/after", func(http.ResponseWriter, *http.Request) {})
	for path, saved := range map[string]bool{
		"/nothing-sent": true, "/flushed": false, "/written": true, "/panic": false, "/after": false,
	} {
		assert.Equal(t, saved, len(get(mux, path).Result().Cookies()) == 1, path)
	}
}
