package kami_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/mutil"
)

// stack is a Mux, or the package's functions and variables, for tests that run over both.
type stack struct {
	http.Handler
	global bool

	handle                     func(method, path string, handler kami.HandlerType)
	use                        func(path string, mw kami.MiddlewareType)
	after                      func(path string, aw kami.AfterwareType)
	notFound, methodNotAllowed func(kami.HandlerType)
	enableMethodNotAllowed     func(bool)
	mount                      func(path string, handler kami.HandlerType)

	context      *context.Context
	cancel       *bool
	panicHandler *kami.HandlerType
	logHandler   *func(context.Context, mutil.WriterProxy, *http.Request)
	errorHandler *func(context.Context, http.ResponseWriter, *http.Request, error)
	explaining
}

// explaining has the functions by which a stack describes itself.
type explaining struct {
	routes  func() iter.Seq[kami.Route]
	scopes  func() iter.Seq[kami.Scope]
	explain func(method, path string) (kami.Explanation, error)
	check   func() []kami.Finding
}

// newStack returns a stack of kami.New.
func newStack() *stack {
	m := kami.New()
	return &stack{m, false, m.Handle, m.Use, m.After, m.NotFound, m.MethodNotAllowed, m.EnableMethodNotAllowed, m.Mount,
		&m.Context, &m.Cancel, &m.PanicHandler, &m.LogHandler, &m.ErrorHandler, explaining{m.Routes, m.Scopes, m.Explain, m.Check}}
}

// globalStack returns the default stack. It empties it now and after the test.
func globalStack(t testing.TB) *stack {
	kami.Reset()
	t.Cleanup(kami.Reset)
	return &stack{kami.Handler(), true, kami.Handle, kami.Use, kami.After, kami.NotFound, kami.MethodNotAllowed,
		kami.EnableMethodNotAllowed, kami.Mount, &kami.Context, &kami.Cancel, &kami.PanicHandler, &kami.LogHandler,
		&kami.ErrorHandler, explaining{kami.Routes, kami.Scopes, kami.Explain, kami.Check}}
}

// each runs a test over both kinds of stack.
func each(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Run("New", func(t *testing.T) { test(t, newStack()) })
	t.Run("global", func(t *testing.T) { test(t, globalStack(t)) })
}

// everywhere runs a test over both kinds of stack, and over one whose requests are messages. It is not for tests of features that
// messages do not have: redirects, hijacks, and panics and aborts that reach the server.
func everywhere(t *testing.T, test func(t *testing.T, s *stack)) {
	each(t, test)
	t.Run("message", func(t *testing.T) {
		s := newStack()
		s.Handler = messaging{s.Handler}
		test(t, s)
	})
}

// messaging has message.Serve serve requests, with a message's context and writer. The requests keep their methods, paths and headers.
type messaging struct{ http.Handler }

func (m messaging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := func(w http.ResponseWriter, own *http.Request) {
		disguised := r.WithContext(own.Context())
		disguised.Proto, disguised.ProtoMajor, disguised.ProtoMinor = own.Proto, own.ProtoMajor, own.ProtoMinor
		defer func() { own.MultipartForm, r.Pattern = disguised.MultipartForm, disguised.Pattern }()
		m.Handler.ServeHTTP(w, disguised)
	}
	reply := message.Serve(r.Context(), http.HandlerFunc(h), &message.Message{Route: "any"})
	maps.Copy(w.Header(), reply.Header)
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body)
}

func (s *stack) get(path string, handler kami.HandlerType) { s.handle("GET", path, handler) }

// do serves a request for the target, which is spelt as in a request line.
func (s *stack) do(method, target string) *httptest.ResponseRecorder {
	return s.serve(httptest.NewRequest(method, target, nil))
}

func (s *stack) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// trail collects the names of what runs, in order. It is for one request at a time.
type trail struct{ names []string }

func (t *trail) add(format string, args ...any) {
	t.names = append(t.names, fmt.Sprintf(format, args...))
}

// take returns the names, and empties the trail.
func (t *trail) take() string {
	names := strings.Join(t.names, " ")
	t.names = nil
	return names
}

// middleware returns middleware that notes the name, with the params asked for.
func (t *trail) middleware(name string, params ...string) kami.Middleware {
	return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
		t.add("%s", name+values(ctx, params))
		return ctx
	}
}

// afterware is middleware for After.
func (t *trail) afterware(name string, params ...string) kami.Afterware {
	return func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) context.Context {
		t.add("%s", name+values(ctx, params))
		return ctx
	}
}

// handler returns a handler that notes the name, with the params asked for.
func (t *trail) handler(name string, params ...string) kami.HandlerFunc {
	return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		t.add("%s", name+values(ctx, params))
	}
}

func values(ctx context.Context, params []string) string {
	if len(params) == 0 {
		return ""
	}
	var all []string
	for _, name := range params {
		all = append(all, name+"="+kami.Param(ctx, name))
	}
	return "(" + strings.Join(all, ",") + ")"
}

// echo returns a handler that answers with the name and the params asked for.
func echo(name string, params ...string) kami.HandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, name+values(ctx, params))
	}
}

// panicOf returns the text of f's panic, or "".
func panicOf(f func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}
