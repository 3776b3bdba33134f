package kami_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

// blank is a writer that does nothing, so that only kami is measured.
type blank struct{ header http.Header }

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}

// WriteString exists because net/http's writers have it.
func (b *blank) WriteString(s string) (int, error) { return len(s), nil }

type ctxKey struct{}

// work is a request, what is registered for it, and the allocations that serving it may make.
var work = []struct {
	name, target string
	register     func(s *stack)
	allocations  float64
}{
	{"Static", "/users", func(s *stack) { s.get("/users", echoNothing) }, 1},
	{"Param", "/users/7", func(s *stack) { s.get("/users/:id", echoNothing) }, 1},
	{"Params4", "/a/b/c/d", func(s *stack) { s.get("/:a/:b/:c/:d", readABCD) }, 1},
	{"Params7", "/a/b/c/d/e/f/g", func(s *stack) { s.get("/:a/:b/:c/:d/:e/:f/:g", echoNothing) }, 1},
	{"CatchAll", "/files/a/b/c", func(s *stack) { s.get("/files/*path", echoNothing) }, 1},
	{"Scopes", "/users/7", func(s *stack) { // middleware that keeps the context, in the scopes of the path
		pass := func(ctx context.Context) context.Context { return ctx }
		s.use("/", pass)
		s.use("/users/", pass)
		s.use("/users/7", pass)
		s.use("/other/", pass)
		s.get("/users/:id", echoNothing)
	}, 1},
	{"Value", "/users/7", func(s *stack) { // a new context, and the request that has it
		s.use("/", func(ctx context.Context, _ *http.Request) context.Context {
			return context.WithValue(ctx, ctxKey{}, s)
		})
		s.get("/users/:id", echoNothing)
	}, 3},
	{"Derive", "/users/7", func(s *stack) { // contexts; the request is copied once, after them
		derive := func(ctx context.Context) context.Context { return context.WithValue(ctx, ctxKey{}, s) }
		s.use("/", derive)
		s.use("/users/", derive)
		s.use("/users/7", derive)
		s.get("/users/:id", echoNothing)
	}, 4},
	{"Error", "/users/7", func(s *stack) { // the proxy of a handler that may fail is part of the context's allocation
		s.get("/users/:id", func(context.Context, http.ResponseWriter, *http.Request) error { return nil })
	}, 1},
	{"Standard", "/users/7", func(s *stack) { // what is next is found in the chain, which is the plan's
		pass := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
		}
		s.use("/", pass)
		s.use("/users/", pass)
		s.use("/users/7", pass)
		s.get("/users/:id", echoNothing)
	}, 1},
	{"WildScope", "/users/7/edit", func(s *stack) {
		s.use("/users/:id/", func(ctx context.Context) context.Context { return ctx })
		s.get("/users/:id/edit", echoNothing)
	}, 8},
	{"WildScopeOddContext", "/users/7/edit", func(s *stack) { // no request is copied for a context that comes back as it was
		s.use("/", func(ctx context.Context) context.Context { return loose{ctx, nil} })
		s.use("/users/:id/", func(ctx context.Context) context.Context { return ctx })
		s.get("/users/:id/edit", echoNothing)
	}, 9},
	{"OutsideWildScope", "/books/7", func(s *stack) {
		s.use("/", func(ctx context.Context) context.Context { return ctx })
		s.use("/users/:id/", func(ctx context.Context) context.Context { return ctx })
		s.get("/books/:id", echoNothing)
	}, 1},
	{"Observed", "/users/7", func(s *stack) { // the proxy of the writer is part of the context's allocation
		*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) {}
		*s.panicHandler = echoNothing
		s.after("/", func(ctx context.Context) context.Context { return ctx })
		s.get("/users/:id", echoNothing)
	}, 1},
	{"NotFound", "/books/7", func(s *stack) { s.get("/users/:id", echoNothing) }, 3},
	{"NotAllowed", "/users/7", func(s *stack) { s.handle("POST", "/users/:id", echoNothing) }, 5},
	{"Redirect", "/users/7/", func(s *stack) { s.get("/users/:id", echoNothing) }, 2}, // without a body, for the header has a type
}

func readABCD(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
	for _, name := range [...]string{"a", "b", "c", "d"} {
		kami.Param(ctx, name)
	}
}

func echoNothing(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { kami.Param(ctx, "id") }

func TestAllocations(t *testing.T) {
	for _, test := range work {
		each(t, func(t *testing.T, s *stack) {
			test.register(s)
			w, r := &blank{http.Header{}}, httptest.NewRequest("GET", test.target, nil)
			assert.Equal(t, test.allocations, testing.AllocsPerRun(100, func() { s.ServeHTTP(w, r) }), test.name)
		})
	}
}

func BenchmarkServe(b *testing.B) {
	for _, bench := range work {
		b.Run(bench.name, func(b *testing.B) {
			s := newStack()
			bench.register(s)
			w, r := &blank{http.Header{}}, httptest.NewRequest("GET", bench.target, nil)
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(w, r)
			}
		})
	}
}
