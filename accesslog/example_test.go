package accesslog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"

	"github.com/guregu/kami"
	"github.com/guregu/kami/accesslog"
)

// steady leaves out what is different each time.
func steady(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "duration" {
		return slog.Attr{}
	}
	return a
}

func ExampleNew() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: steady}))

	mux := kami.New()
	mux.LogHandler = accesslog.New(logger)
	mux.PanicHandler = func(http.ResponseWriter, *http.Request) {}
	mux.Get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "b1946ac9")
		fmt.Fprintln(w, "user", kami.Param(ctx, "id"))
	})
	mux.Get("/panic", func(ctx context.Context, w http.ResponseWriter, r *http.Request) { panic("out of users") })

	for _, target := range []string{"/users/7?token=secret", "/nobody", "/panic"} {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
	}
	// Output:
	// level=INFO msg=request method=GET path=/users/7 pattern=/users/:id status=200 bytes=7 remote=192.0.2.1 protocol=HTTP/1.1 request_id=b1946ac9
	// level=WARN msg=request method=GET path=/nobody pattern="" status=404 bytes=19 remote=192.0.2.1 protocol=HTTP/1.1
	// level=ERROR msg=request method=GET path=/panic pattern=/panic status=500 bytes=0 remote=192.0.2.1 protocol=HTTP/1.1 panic="out of users"
}

func ExampleCombined() {
	var lines bytes.Buffer // or os.Stdout, or a file

	mux := kami.New()
	mux.LogHandler = accesslog.Combined(&lines)
	mux.Get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "user", kami.Param(ctx, "id"))
	})

	r := httptest.NewRequest("GET", "/users/7?token=secret", nil)
	r.Header.Set("Referer", "https://example.com/search?q=users")
	r.Header.Set("User-Agent", `"quoted"`)
	r.SetBasicAuth("greg", "secret")
	mux.ServeHTTP(httptest.NewRecorder(), r)

	before, after, _ := bytes.Cut(lines.Bytes(), []byte("[")) // the time
	_, after, _ = bytes.Cut(after, []byte("]"))
	fmt.Printf("%s[...]%s", before, after)
	// Output:
	// 192.0.2.1 - greg [...] "GET /users/7 HTTP/1.1" 200 7 "https://example.com/search" "\"quoted\""
}

func ExampleTrustXForwardedFor() {
	only := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != "remote" {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: only}))

	mux := kami.New()
	mux.LogHandler = accesslog.New(logger, accesslog.TrustXForwardedFor(netip.MustParsePrefix("10.0.0.0/8")))

	get := func(peer, forwardedFor string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", forwardedFor)
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	get("10.0.0.1:4711", "192.0.2.1")
	get("10.0.0.1:4711", "203.0.113.9, 192.0.2.1, 10.0.0.2") // the first one is only what 192.0.2.1 says
	get("10.0.0.1:4711", "203.0.113.9, unknown, 10.0.0.2")   // nobody knows who has called 10.0.0.2
	get("192.0.2.1:4711", "203.0.113.9")                     // this is no proxy of ours
	// Output:
	// remote=192.0.2.1
	// remote=192.0.2.1
	// remote=10.0.0.2
	// remote=192.0.2.1
}

func ExampleRequestID() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: steady}))

	type key struct{}
	mux := kami.New()
	mux.LogHandler = accesslog.New(logger, accesslog.WithQuery(),
		accesslog.RequestID(func(ctx context.Context, _ http.Header, _ *http.Request) string {
			id, _ := ctx.Value(key{}).(string)
			return id
		}))
	mux.Use("/", func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "b1946ac9") })
	mux.Get("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?page=2", nil))
	// Output:
	// level=INFO msg=request method=GET path=/ query="page=2" pattern=/ status=200 bytes=5 remote=192.0.2.1 protocol=HTTP/1.1 request_id=b1946ac9
}
