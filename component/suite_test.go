package component_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/message"
)

// started returns a mux with the methods of c, which has started.
func started(t *testing.T, c any, opts ...component.Option) *kami.Mux {
	t.Helper()
	mux, set := kami.New(), new(component.Set)
	set.Register(mux.Handle, c, opts...)
	require.NoError(t, set.Start(t.Context()))
	return mux
}

// routes returns the routes of a mux, in the form "POST /Room/Join".
func routes(mux *kami.Mux) (all []string) {
	for r := range mux.Routes() {
		all = append(all, r.Method+" "+r.Pattern)
	}
	return all
}

// post sends a body to a path, with a Content-Type unless that is "".
func post(h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// send serves a message with a body that is JSON.
func send(h http.Handler, route, body string) *message.Reply {
	return message.Serve(context.Background(), h, &message.Message{Route: route, Body: []byte(body)})
}

// refusal returns the value with which Register panics, and checks that nothing has been registered.
func refusal(t *testing.T, c any, opts ...component.Option) (text string) {
	t.Helper()
	mux, set := kami.New(), new(component.Set)
	defer func() {
		text, _ = recover().(string)
		assert.Empty(t, routes(mux))
		for m := range set.Methods() {
			assert.Fail(t, "a method is registered", m)
		}
	}()
	set.Register(mux.Handle, c, opts...)
	return ""
}

// panicOf returns the value with which a function panics.
func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// locked is a buffer that several goroutines can write to.
type locked struct {
	changing sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	return l.Buffer.Write(p)
}

// logs makes slog's default logger write to the returned buffer during the test.
func logs(t *testing.T) *locked {
	log, before := new(locked), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}
