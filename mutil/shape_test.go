package mutil_test

import (
	"bytes"
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

// shape says which optional interfaces a writer has.
type shape struct {
	Flusher, Pusher, Hijacker, ReaderFrom, CloseNotifier bool
}

var (
	plain     = shape{}
	flush     = shape{Flusher: true}
	push      = shape{Pusher: true}
	flushPush = shape{Flusher: true, Pusher: true}
	http1     = shape{Flusher: true, Hijacker: true, ReaderFrom: true}
)

func shapeOf(w http.ResponseWriter) (s shape) {
	_, s.Flusher = w.(http.Flusher)
	_, s.Pusher = w.(http.Pusher)
	_, s.Hijacker = w.(http.Hijacker)
	_, s.ReaderFrom = w.(io.ReaderFrom)
	_, s.CloseNotifier = w.(interface{ CloseNotify() <-chan bool })
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

// do serves one request with h, over HTTP/2 if major is 2. What the server
// logs about h's misuse of its writer fails the test.
func do(t *testing.T, major int, h http.HandlerFunc) (*http.Response, string) {
	t.Helper()
	var logged bytes.Buffer
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(&logged, "", 0)
	if major == 2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	resp.Body.Close()
	srv.Close()
	assert.Equal(t, major, resp.ProtoMajor)
	assert.Empty(t, logged.String())
	return resp, string(body)
}

func TestC43Shapes(t *testing.T) {
	f1, pu := &fake1{}, &pusher{}
	for _, tt := range []struct {
		name string
		want shape
		w    http.ResponseWriter
	}{
		{"none", plain, &fake{}},
		{"recorder", flush, httptest.NewRecorder()},
		{"flush", flush, struct {
			*fake
			http.Flusher
		}{&fake{}, f1}},
		{"push", push, struct {
			*fake
			http.Pusher
		}{&fake{}, pu}},
		{"flush and push", flushPush, struct {
			*fake
			http.Flusher
			http.Pusher
		}{&fake{}, f1, pu}},
		{"HTTP/1", http1, f1},
		{"everything", http1, struct {
			*fake1
			http.Pusher
		}{f1, pu}},
		{"flush and hijack", flush, struct {
			*fake
			http.Flusher
			http.Hijacker
		}{&fake{}, f1, f1}},
		{"flush, hijack and push", flushPush, struct {
			*fake
			http.Flusher
			http.Hijacker
			http.Pusher
		}{&fake{}, f1, f1, pu}},
		{"hijack and ReadFrom", plain, struct {
			*fake
			http.Hijacker
			io.ReaderFrom
		}{&fake{}, f1, f1}},
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
	do(t, 2, func(w http.ResponseWriter, _ *http.Request) { assertShape(t, flushPush, w) })
}

func TestC43ShapeTimeoutHandler(t *testing.T) {
	for _, major := range []int{1, 2} {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { assertShape(t, push, w) })
		do(t, major, http.TimeoutHandler(h, time.Minute, "").ServeHTTP)
	}
}

func TestC43Push(t *testing.T) {
	for _, flusher := range []bool{false, true} {
		pu := &pusher{}
		var w http.ResponseWriter = struct {
			*fake
			http.Pusher
		}{&fake{}, pu}
		if flusher {
			w = struct {
				*fake
				http.Flusher
				http.Pusher
			}{&fake{}, &fake1{}, pu}
		}
		err := mutil.WrapWriter(w).(http.Pusher).Push("/a", nil)
		assert.Equal(t, http.ErrNotSupported, err)
		assert.Equal(t, pusher{"/a"}, *pu)
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

// hijack takes the connection over and answers 202 on it.
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

func TestC43HijackThroughUnwrap(t *testing.T) {
	resp, body := do(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		p := mutil.WrapWriter(wrapper{w})
		assert.Equal(t, plain, shapeOf(p))
		hijack(t, p)
		// An empty Write, as net/http logs the others.
		_, err := p.Write(nil)
		assert.Equal(t, http.ErrHijacked, err)
		p.WriteHeader(500)
		assert.Equal(t, http.ErrHijacked, http.NewResponseController(p).Flush())
		assert.Zero(t, p.Status())
	})
	assert.Equal(t, 202, resp.StatusCode)
	assert.Equal(t, "raw", body)
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
