package accesslog_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/guregu/kami"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAfter checks that loggers as afterware of a scope log the same as LogHandlers, only for the requests in that scope.
func TestAfter(t *testing.T) {
	log, got := newLog()
	combined, lines := newCombined()
	mux := kami.New()
	mux.PanicHandler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	mux.Use("/api/guarded", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.After("/api/", log)
	mux.After("/api/", combined)
	mux.Get("/api/users/:id", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	mux.Get("/api/panic", func(http.ResponseWriter, *http.Request) { panic("out of users") })
	mux.Get("/other", func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		path string
		want record
	}{
		{"/api/users/7", record{"level": "INFO", "pattern": "/api/users/:id", "status": 200.0, "bytes": 5.0}},
		{"/api/guarded", record{"level": "WARN", "pattern": "", "status": 403.0, "bytes": 0.0}},
		{"/api/none", record{"level": "WARN", "pattern": "", "status": 404.0, "bytes": 19.0}},
		{"/api/panic", record{"level": "WARN", "pattern": "/api/panic", "status": 418.0, "bytes": 0.0, "panic": "out of users"}},
		{"/other", nil},
	} {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", test.path, nil))
		if test.want == nil {
			continue
		}
		test.want["method"], test.want["path"] = "GET", test.path
		test.want["remote"], test.want["protocol"] = "192.0.2.1", "HTTP/1.1"
		assert.Equal(t, test.want, got.record(t))
		assert.Contains(t, lines.next(t), test.path)
	}
	got.done(t)
	lines.done(t)
}

// TestAfterTakesTheTime checks that there is a duration, which [lines.record] leaves out.
func TestAfterTakesTheTime(t *testing.T) {
	log, got := newLog()
	mux := kami.New()
	mux.After("/users/:id", log)
	mux.Get("/users/:id", func(http.ResponseWriter, *http.Request) {})
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil))
	require.Contains(t, got.next(t), `"duration":`)
}
