package compat

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/guregu/kami"
	"github.com/klauspost/compress/gzhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// quiet is a chi log formatter that logs nothing.
type quiet struct{}

func (quiet) NewLogEntry(*http.Request) middleware.LogEntry { return quiet{} }

func (quiet) Write(int, int, http.Header, time.Duration, any) {}

func (quiet) Panic(any, []byte) {}

// protocols are the ways to start a server.
var protocols = map[string]func(*httptest.Server){
	"HTTP/1.1": (*httptest.Server).Start,
	"HTTP/2.0": func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	},
}

// The client sees the first bytes while the handler waits for it.
func TestC43Streaming(t *testing.T) {
	chi := middleware.RequestLogger(quiet{})
	for name, mw := range map[string][]kami.MiddlewareType{
		"none":              nil,
		"chi's writer":      {chi},
		"chi's compress":    {middleware.Compress(5)},
		"gzhttp":            {gzhttp.GzipHandler},
		"otelhttp":          {otelhttp.NewMiddleware("server")},
		"all on each other": {chi, otelhttp.NewMiddleware("server"), chi, middleware.Compress(5)},
	} {
		for protocol, starter := range protocols {
			for flushed, flush := range map[string]func(http.ResponseWriter) error{
				"Flusher":            func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
				"ResponseController": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
			} {
				t.Run(name+"/"+protocol+"/"+flushed, func(t *testing.T) {
					overBoth(t, func(t *testing.T, s *stack) {
						seen, ends := make(chan struct{}), s.ends(t)
						for _, mw := range mw {
							s.use("/", mw)
						}
						s.get("/", func(w http.ResponseWriter, r *http.Request) {
							assert.Equal(t, protocol, r.Proto)
							w.Header().Set("Content-Type", "text/plain")
							fmt.Fprint(w, "first")
							assert.NoError(t, flush(w))
							wait(t, seen)
							fmt.Fprint(w, "second")
						})
						c := start(t, s, starter)

						response, err := c.send("GET", "/", nil, "Accept-Encoding", "gzip")
						require.NoError(t, err)
						defer response.Body.Close()
						var body io.Reader = response.Body
						if response.Header.Get("Content-Encoding") == "gzip" {
							body, err = gzip.NewReader(body)
							require.NoError(t, err)
						} else {
							assert.NotContains(t, strings.ToLower(name), "compress")
							assert.NotEqual(t, "gzhttp", name)
						}
						first := make([]byte, len("first"))
						_, err = io.ReadFull(body, first)
						require.NoError(t, err)
						assert.Equal(t, "first", string(first))
						empty(t, ends)
						close(seen)
						rest, err := io.ReadAll(body)
						require.NoError(t, err)
						assert.Equal(t, "second", string(rest))
						assert.Equal(t, http.StatusOK, receive(t, ends).status)
					})
				})
			}
		}
	}
}

// http.TimeoutHandler cannot flush, and no writer around it claims that it can.
func TestC43TimeoutHandlerCannotFlush(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		ends := s.ends(t)
		s.use("/", middleware.RequestLogger(quiet{}))
		s.use("/", timeout(limit))
		s.use("/", middleware.RequestLogger(quiet{}))
		s.get("/", func(w http.ResponseWriter, r *http.Request) {
			_, ok := w.(http.Flusher)
			assert.False(t, ok)
			assert.ErrorIs(t, http.NewResponseController(w).Flush(), errors.ErrUnsupported)
			fmt.Fprint(w, "whole")
		})
		c := serve(t, s)

		got := c.get(t, "/")
		assert.Equal(t, "whole", got.body)
		assert.EqualValues(t, len("whole"), got.ContentLength)
		assert.Equal(t, len("whole"), receive(t, ends).bytes)
	})
}

// chi gives its writer the optional interfaces that kami's has.
func TestC43ShapesThroughChi(t *testing.T) {
	type shape struct{ flusher, hijacker, readerFrom, pusher bool }
	for protocol, want := range map[string]shape{
		"HTTP/1.1": {flusher: true, hijacker: true, readerFrom: true},
		"HTTP/2.0": {flusher: true, pusher: true},
	} {
		t.Run(protocol, func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				got, ends := make(chan shape, 1), s.ends(t)
				s.use("/", middleware.RequestLogger(quiet{}))
				s.get("/", func(w http.ResponseWriter, r *http.Request) {
					var has shape
					_, has.flusher = w.(http.Flusher)
					_, has.hijacker = w.(http.Hijacker)
					_, has.readerFrom = w.(io.ReaderFrom)
					_, has.pusher = w.(http.Pusher)
					got <- has
					assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)))
				})
				c := start(t, s, protocols[protocol])

				assert.Equal(t, http.StatusOK, c.get(t, "/").StatusCode)
				assert.Equal(t, want, receive(t, got))
				assert.Zero(t, receive(t, ends).status, "C42: nothing was written, and LogHandler writes nothing")
			})
		})
	}
}

func TestC43ReadFromThroughChi(t *testing.T) {
	text := strings.Repeat("kami and the gods of paper ", 50000)
	name := filepath.Join(t.TempDir(), "paper.txt")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	overBoth(t, func(t *testing.T, s *stack) {
		log, ends := make(entries, 16), s.ends(t)
		s.use("/", middleware.RequestLogger(log))
		s.get("/paper", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })
		c := serve(t, s)

		for _, tt := range []struct {
			header, value string
			status        int
			body          string
		}{
			{"Accept", "*/*", 200, text},
			{"Range", "bytes=5-7", 206, text[5:8]},
		} {
			got := c.get(t, "/paper", tt.header, tt.value)
			assert.Equal(t, tt.status, got.StatusCode)
			assert.True(t, got.body == tt.body)
			end := receive(t, ends)
			assert.Equal(t, tt.status, end.status)
			assert.Equal(t, len(tt.body), end.bytes)
			assert.Equal(t, fmt.Sprintf("%d %dB", tt.status, len(tt.body)), receive(t, log))
		}
	})
}

func TestC43HijackThroughChi(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (io.WriteCloser, error){
		"Hijacker": func(w http.ResponseWriter) (io.WriteCloser, error) {
			conn, _, err := w.(http.Hijacker).Hijack()
			return conn, err
		},
		"ResponseController": func(w http.ResponseWriter) (io.WriteCloser, error) {
			conn, _, err := http.NewResponseController(w).Hijack()
			return conn, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				var seen journal
				ends := s.ends(t)
				s.use("/", middleware.RequestLogger(quiet{}))
				s.use("/", otelhttp.NewMiddleware("server"))
				s.after("/", func(ctx context.Context) context.Context { seen.add("afterware"); return ctx })
				s.get("/", func(w http.ResponseWriter, r *http.Request) {
					conn, err := hijack(w)
					if !assert.NoError(t, err) {
						return
					}
					defer conn.Close()
					fmt.Fprint(conn, "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
				})
				c := serve(t, s)

				got := c.get(t, "/")
				assert.Equal(t, http.StatusTeapot, got.StatusCode)
				assert.Equal(t, "ok", got.body)
				assert.Zero(t, receive(t, ends).bytes)
				assert.Equal(t, []string{"afterware"}, seen.take())
			})
		})
	}
}
