package mutil_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shape is the set of a writer's optional interfaces.
type shape struct {
	Flusher, Pusher, Hijacker, ReaderFrom, CloseNotifier bool
}

var (
	plain = shape{}
	flush = shape{Flusher: true}
	push  = shape{Pusher: true}
	http1 = shape{Flusher: true, Hijacker: true, ReaderFrom: true, CloseNotifier: true}
	http2 = shape{Flusher: true, Pusher: true, CloseNotifier: true}
)

func shapeOf(w http.ResponseWriter) (s shape) {
	_, s.Flusher = w.(http.Flusher)
	_, s.Pusher = w.(http.Pusher)
	_, s.Hijacker = w.(http.Hijacker)
	_, s.ReaderFrom = w.(io.ReaderFrom)
	_, s.CloseNotifier = w.(closeNotifier)
	return s
}

// assertShape asserts that w's proxy has shape s, and what all proxies have.
func assertShape(t *testing.T, s shape, w http.ResponseWriter) {
	t.Helper()
	p := mutil.WrapWriter(w)
	assert.Equal(t, s, shapeOf(p))
	assert.Implements(t, (*io.StringWriter)(nil), p)
	assert.Implements(t, (*interface{ FlushError() error })(nil), p)
	assert.Equal(t, s, shapeOf(mutil.WrapWriter(p)), "a proxy's proxy")
}

// start serves h until the test ends, over HTTP/2 if major is 2. The test fails if
// the server logs that h misuses its writer.
func start(t *testing.T, major int, h http.HandlerFunc) *httptest.Server {
	var logged bytes.Buffer
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(&logged, "", 0)
	if major == 2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() {
		srv.Close()
		assert.Empty(t, logged.String())
	})
	return srv
}

// do serves one request with h.
func do(t *testing.T, major int, h http.HandlerFunc) (*http.Response, string) {
	t.Helper()
	srv := start(t, major, h)
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	resp.Body.Close()
	srv.Close() // waits for h
	assert.Equal(t, major, resp.ProtoMajor)
	return resp, string(body)
}

func TestC43All32Shapes(t *testing.T) {
	seen := map[shape]bool{}
	for _, newWriter := range writers {
		called := &called{fake: &fake{}}
		w := newWriter(called)
		t.Run(fmt.Sprintf("%T", w), func(t *testing.T) {
			s := shapeOf(w)
			assert.False(t, seen[s], "each set once")
			seen[s] = true
			assertShape(t, s, w)

			p := mutil.WrapWriter(w)
			if p, ok := p.(http.Flusher); ok {
				p.Flush()
				assert.Equal(t, "Flush", called.method)
			}
			if p, ok := p.(io.ReaderFrom); ok {
				n, _ := p.ReadFrom(strings.NewReader("four"))
				assert.EqualValues(t, 4, n)
				assert.Equal(t, "ReadFrom", called.method)
			}
			if p, ok := p.(http.Pusher); ok {
				assert.Equal(t, http.ErrNotSupported, p.Push("/a", nil))
				assert.Equal(t, "Push /a", called.method)
			}
			if p, ok := p.(closeNotifier); ok {
				gone := p.CloseNotify()
				assert.Equal(t, "CloseNotify", called.method)
				assert.Equal(t, called.gone, gone)
			}
			if p, ok := p.(http.Hijacker); ok {
				_, _, err := p.Hijack()
				assert.NoError(t, err)
				assert.Equal(t, "Hijack", called.method)
			}
			assert.Equal(t, s.Hijacker, mutil.Hijacked(p))
		})
	}
	assert.Len(t, seen, 32)
}

func TestC43ShapesOfOthers(t *testing.T) {
	f1 := &fake1{}
	for _, tt := range []struct {
		name string
		want shape
		w    http.ResponseWriter
	}{
		{"recorder", flush, httptest.NewRecorder()},
		{"only FlushError", plain, struct {
			*fake
			*errFlusher
		}{&fake{}, &errFlusher{}}},
		{"wrapped HTTP/1", plain, wrapper{f1}},
	} {
		t.Run(tt.name, func(t *testing.T) { assertShape(t, tt.want, tt.w) })
	}
}

func TestC43ShapeHTTP1(t *testing.T) {
	do(t, 1, func(w http.ResponseWriter, _ *http.Request) { assertShape(t, http1, w) })
}

func TestC43ShapeHTTP2(t *testing.T) {
	do(t, 2, func(w http.ResponseWriter, _ *http.Request) { assertShape(t, http2, w) })
}

func TestC43ShapeTimeoutHandler(t *testing.T) {
	for _, major := range []int{1, 2} {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { assertShape(t, push, w) })
		do(t, major, http.TimeoutHandler(h, time.Minute, "").ServeHTTP)
	}
}

func TestC43ResponseController(t *testing.T) {
	for _, major := range []int{1, 2} {
		_, body := do(t, major, func(w http.ResponseWriter, _ *http.Request) {
			p := mutil.WrapWriter(w)
			rc := http.NewResponseController(p)
			assert.NoError(t, rc.SetReadDeadline(time.Time{}))
			assert.NoError(t, rc.SetWriteDeadline(time.Time{}))
			assert.NoError(t, rc.EnableFullDuplex())
			assert.NoError(t, rc.Flush())
			assert.Equal(t, 200, p.Status())
			p.WriteHeader(500)
			fmt.Fprint(p, "body")
			if major == 2 {
				_, _, err := rc.Hijack()
				assert.ErrorIs(t, err, http.ErrNotSupported)
			}
		})
		assert.Equal(t, "body", body)
	}
}

// hijack hijacks the connection and answers 202 on it.
func hijack(t *testing.T, w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if !assert.NoError(t, err) {
		return
	}
	defer conn.Close()
	rw.WriteString("HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\nraw")
	assert.NoError(t, rw.Flush())
}

func TestC43Hijack(t *testing.T) {
	resp, body := do(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		p := mutil.WrapWriter(w)
		hijack(t, p)
		p.WriteHeader(500)
		_, err := fmt.Fprint(p, "more")
		assert.Equal(t, http.ErrHijacked, err)
		p.(http.Flusher).Flush()
		assert.Zero(t, p.Status())
		assert.Zero(t, p.BytesWritten())
	})
	assert.Equal(t, 202, resp.StatusCode)
	assert.Equal(t, "raw", body)
}

// Hijack is called through the proxy's Unwrap. The test fails if a later write reaches net/http, because net/http logs it.
func TestC43HijackThroughUnwrap(t *testing.T) {
	for name, wrap := range map[string]func(w http.ResponseWriter) http.ResponseWriter{
		"on the proxy":          func(p http.ResponseWriter) http.ResponseWriter { return p },
		"on a writer around it": func(p http.ResponseWriter) http.ResponseWriter { return wrapper{p} },
		"on a proxy around it":  func(p http.ResponseWriter) http.ResponseWriter { return mutil.WrapWriter(wrapper{p}) },
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := do(t, 1, func(w http.ResponseWriter, _ *http.Request) {
				p := mutil.WrapWriter(wrapper{w})
				assert.Equal(t, plain, shapeOf(p))
				hijack(t, wrap(p))
				assert.True(t, mutil.Hijacked(p))
				p.WriteHeader(500)
				_, err := p.Write([]byte("more"))
				assert.Equal(t, http.ErrHijacked, err)
				assert.Equal(t, http.ErrHijacked, http.NewResponseController(p).Flush())
				assert.Zero(t, p.Status())
			})
			assert.Equal(t, 202, resp.StatusCode)
			assert.Equal(t, "raw", body)
		})
	}
}

// The writers of gzhttp and of many frameworks have Hijack but no ReadFrom.
func TestC43HijackWithoutReadFrom(t *testing.T) {
	do(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		p := mutil.WrapWriter(struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
		}{w, w.(http.Flusher), w.(http.Hijacker)})
		hijack(t, wrapper{p})
		assert.True(t, mutil.Hijacked(p))
		p.WriteHeader(500)
		assert.Zero(t, p.Status())
	})
}

func TestC43UnwrapToTheWriterBelow(t *testing.T) {
	below := wrapper{wrapper{&fake1{}}}
	p := mutil.WrapWriter(below)
	between := p.Unwrap()
	assert.Equal(t, below, between.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
	_, err := io.WriteString(between, "seen")
	assert.NoError(t, err)
	assert.Equal(t, 4, p.BytesWritten())

	_, _, err = http.NewResponseController(mutil.WrapWriter(wrapper{&fake{}})).Hijack()
	assert.ErrorIs(t, err, http.ErrNotSupported)
}

func TestC43CloseNotify(t *testing.T) {
	for _, major := range []int{1, 2} {
		gone := make(chan bool, 1)
		ctx, leave := context.WithCancel(t.Context())
		srv := start(t, major, func(w http.ResponseWriter, _ *http.Request) {
			defer close(gone)
			p, ok := mutil.WrapWriter(w).(closeNotifier)
			if leave(); ok {
				gone <- <-p.CloseNotify()
			}
		})
		r, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		require.NoError(t, err)
		_, err = srv.Client().Do(r)
		assert.ErrorIs(t, err, context.Canceled)
		assert.True(t, <-gone)
	}
}

func TestC43Informational(t *testing.T) {
	for _, major := range []int{1, 2} {
		resp, _ := do(t, major, func(w http.ResponseWriter, _ *http.Request) {
			p := mutil.WrapWriter(w)
			p.WriteHeader(http.StatusEarlyHints)
			p.WriteHeader(http.StatusEarlyHints)
			assert.Zero(t, p.Status())
			p.WriteHeader(404)
			p.WriteHeader(500)
			assert.Equal(t, 404, p.Status())
		})
		assert.Equal(t, 404, resp.StatusCode)
	}
}

func TestC43SourceFailsBeforeFirstByte(t *testing.T) {
	resp, body := do(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		p := mutil.WrapWriter(w)
		if _, err := io.Copy(p, iotest.ErrReader(io.ErrClosedPipe)); assert.Error(t, err) {
			http.Error(p, "bad gateway", http.StatusBadGateway)
		}
		assert.Equal(t, 502, p.Status())
	})
	assert.Equal(t, 502, resp.StatusCode)
	assert.Equal(t, "bad gateway\n", body)
}

func TestC43ServeFile(t *testing.T) {
	content := strings.Repeat("0123456789", 100_000)
	name := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	for _, tee := range []bool{false, true} {
		for _, major := range []int{1, 2} {
			var copied bytes.Buffer
			_, body := do(t, major, func(w http.ResponseWriter, r *http.Request) {
				p := mutil.WrapWriter(w)
				if tee {
					p.Tee(&copied)
				}
				http.ServeFile(p, r, name)
				assert.Equal(t, 200, p.Status())
				assert.Equal(t, len(content), p.BytesWritten())
			})
			assert.True(t, body == content)
			assert.Equal(t, tee, copied.String() == content)
		}
	}
}

func TestC43ContentTypeIsStillDetected(t *testing.T) {
	rec := httptest.NewRecorder()
	p := mutil.WrapWriter(rec)
	fmt.Fprint(p, "<html>")
	assert.Equal(t, "text/html; charset=utf-8", rec.Result().Header.Get("Content-Type"))
}
