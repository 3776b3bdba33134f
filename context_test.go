package kami_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
)

type valueKey string

// loose is a context whose type cannot be compared: == panics.
type loose struct {
	context.Context
	id []int
}

func newLoose(ctx context.Context) context.Context { return loose{withValue(ctx), make([]int, 1)} }

// identical is a == b, also for loose contexts.
func identical(a, b context.Context) bool {
	x, isLoose := a.(loose)
	y, both := b.(loose)
	if isLoose && both {
		return &x.id[0] == &y.id[0] && identical(x.Context, y.Context)
	}
	return isLoose == both && a == b
}

// sight is called with each context of a request, and where it was seen.
type sight func(place string, ctx context.Context, r *http.Request)

func (see sight) middleware(place string) kami.Middleware {
	return func(ctx context.Context, _ http.ResponseWriter, r *http.Request) context.Context {
		see(place, ctx, r)
		return ctx
	}
}

// handler returns a handler that panics if the request says so.
func (see sight) handler(place string) kami.HandlerFunc {
	return func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
		see(place, ctx, r)
		if r.URL.RawQuery == "panic" {
			panic(place)
		}
	}
}

// register registers the middleware prior, and then a chain whose parts call see with their contexts.
func (see sight) register(s *stack, prior kami.MiddlewareType) {
	s.use("/", prior)
	s.use("/", see.middleware("static"))
	s.use("/", func(ctx context.Context, r *http.Request) context.Context { see("ctx+r", ctx, r); return ctx })
	s.use("/", func(next kami.ContextHandler) kami.ContextHandler {
		return kami.HandlerFunc(func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			see("wrap", ctx, r)
			next.ServeHTTPContext(ctx, w, r)
		})
	})
	s.use("/:kind/", see.middleware("wild"))
	s.get("/u/:id", see.handler("handler"))
	s.get("/c/:id", struct{ kami.ContextHandler }{see.handler("handler")})
	s.notFound(see.handler("handler"))
	s.methodNotAllowed(see.handler("handler"))
	s.after("/", func(ctx context.Context, r *http.Request) context.Context { see("after1", ctx, r); return nil })
	s.after("/", kami.Afterware(func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) context.Context {
		see("after2", ctx, r)
		return newLoose(ctx)
	}))
	s.after("/:kind/", see.middleware("after3"))
	s.after("/:kind/", newLoose)
	*s.panicHandler = func(ctx context.Context, _ http.ResponseWriter, r *http.Request) { see("panic", ctx, r) }
	*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) { see("log", ctx, r) }
}

var (
	places   = "static ctx+r wrap wild handler after3 after2 after1 log"
	withFail = strings.Replace(places, "handler", "handler panic", 1)
)

func withValue(ctx context.Context) context.Context {
	return context.WithValue(ctx, valueKey("prior"), 1)
}

// passing returns standard middleware that passes on the request with another context.
func passing(change func(context.Context) context.Context) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(change(r.Context())))
		})
	}
}

// priors are middleware that change the context in each way there is.
var priors = map[string]kami.MiddlewareType{
	"same":           func(ctx context.Context) context.Context { return ctx },
	"value":          withValue,
	"uncomparable":   newLoose,
	"standard":       passing(withValue),
	"standard loose": passing(newLoose),
	"limited": func(next http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ctx, end := context.WithTimeout(withValue(r.Context()), time.Hour)
			defer end()
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	},
	"clone": func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { next(w, r.Clone(withValue(r.Context()))) }
	},
	"context without request": func(next kami.ContextHandler) kami.ContextHandler {
		return kami.HandlerFunc(func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTPContext(newLoose(ctx), w, r)
		})
	},
	"two contexts": func(next kami.ContextHandler) kami.ContextHandler {
		return kami.HandlerFunc(func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTPContext(withValue(ctx), w, r.WithContext(loose{ctx, make([]int, 1)}))
		})
	},
}

// eachPrior runs a test over both kinds of stack, for each of the priors.
func eachPrior(t *testing.T, test func(t *testing.T, s *stack, name string, prior kami.MiddlewareType)) {
	for name, prior := range priors {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) { test(t, s, name, prior) })
		})
	}
}

func TestC10OneContext(t *testing.T) {
	eachPrior(t, func(t *testing.T, s *stack, name string, prior kami.MiddlewareType) {
		var ran trail
		*s.context = loose{t.Context(), make([]int, 1)}
		sight(func(place string, ctx context.Context, r *http.Request) {
			ran.add("%s", place)
			assert.True(t, identical(ctx, r.Context()), "%s: %v is not %v", place, ctx, r.Context())
			assert.Equal(t, name != "same" || strings.HasPrefix(place, "after") || place == "log",
				ctx.Value(valueKey("prior")) == 1, "%s: what %s made of it", place, name)
		}).register(s, prior)
		for _, *s.cancel = range []bool{false, true} {
			for _, target := range []string{"GET /u/7", "GET /c/7", "GET /x/7", "POST /u/7"} {
				method, path, _ := strings.Cut(target, " ")
				s.do(method, path)
				assert.Equal(t, places, ran.take(), target)
				s.do(method, path+"?panic")
				assert.Equal(t, withFail, ran.take(), target)
			}
		}
	})
}

func TestC10WithoutAnythingElse(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		calls := 0
		see := func(ctx context.Context, r *http.Request) { calls++; assert.Same(t, ctx, r.Context()) }
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) { see(ctx, r) })
		s.do("GET", "/")
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) { see(ctx, r) }
		s.do("GET", "/")
		assert.Equal(t, 3, calls)
	})
}

func TestC10AfterwareReturnsAContextThatCannotBeCompared(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		see := func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
			ran.add("%v %v", ctx.Value(valueKey("prior")), identical(ctx, r.Context()))
		}
		s.use("/", newLoose)
		s.get("/", func(context.Context, http.ResponseWriter, *http.Request) {})
		for range 2 {
			s.after("/", func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
				see(ctx, w, r)
				return ctx
			})
		}
		*s.logHandler = see
		s.do("GET", "/")
		assert.Equal(t, "1 true 1 true 1 true", ran.take())
	})
}

func TestC11OrderOfValues(t *testing.T) {
	layer := func(ctx context.Context, name string, keys ...string) context.Context {
		for _, key := range keys {
			ctx = context.WithValue(ctx, valueKey(key), name)
		}
		return ctx
	}
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		prior := func(ctx context.Context) context.Context { return layer(ctx, "middleware", "m", "im", "bm", "ibm") }
		*s.context = layer(t.Context(), "base", "b", "ib", "bm", "ibm")
		sight(func(place string, ctx context.Context, r *http.Request) {
			for key, want := range map[string]any{"i": "in", "b": "base", "ib": "in", "m": "middleware",
				"im": "middleware", "bm": "middleware", "ibm": "middleware", "none": nil} {
				assert.Equal(t, want, ctx.Value(valueKey(key)), "%s: %s", place, key)
			}
			ran.add("%s", place)
		}).register(s, prior)
		for _, l := range lives {
			l.serve(s, layer(t.Context(), "in", "i", "ib", "im", "ibm"), "/u/7?panic")
			assert.Equal(t, withFail, ran.take())
		}
	})
}

func TestC11ServerContextKey(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		*s.context = context.WithValue(t.Context(), http.ServerContextKey, "never")
		seen := make(chan any, 2)
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			seen <- ctx.Value(http.ServerContextKey)
			seen <- ctx.Value(http.LocalAddrContextKey)
		})
		srv := httptest.NewServer(s)
		defer srv.Close()
		resp, err := srv.Client().Get(srv.URL)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Same(t, srv.Config, <-seen)
		assert.Equal(t, srv.Listener.Addr(), <-seen)
	})
}

// life is what decides when a request's context ends.
type life struct {
	cancel   bool // Mux.Cancel
	bound    bool // whether ServeHTTPContext serves
	observed bool // whether there is afterware
}

var lives = []life{
	{}, {cancel: true}, {bound: true}, {cancel: true, bound: true},
	{observed: true}, {cancel: true, observed: true}, {bound: true, observed: true},
	{cancel: true, bound: true, observed: true},
}

// serve serves a GET request whose incoming context is in.
func (l life) serve(s *stack, in context.Context, target string) {
	*s.cancel = l.cancel
	if l.bound {
		s.Handler.(kami.ContextHandler).ServeHTTPContext(in, httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
		return
	}
	s.serve(httptest.NewRequestWithContext(in, "GET", target, nil))
}

// eachLife runs a test in bubbles, over both kinds of stack and all lives. The function that handle points to handles all paths.
func eachLife(t *testing.T, test func(t *testing.T, s *stack, l life, handle *func(ctx context.Context))) {
	for _, l := range lives {
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				handle := new(func(context.Context))
				if l.observed {
					s.after("/", func(ctx context.Context) context.Context { return ctx })
				}
				s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { (*handle)(ctx) })
				synctest.Test(t, func(t *testing.T) { test(t, s, l, handle) })
			})
		})
	}
}

// ending says whether a context has ended, and how.
func ending(ctx context.Context) string {
	select {
	case <-ctx.Done():
		return fmt.Sprintf("done: %v, because of %v", ctx.Err(), context.Cause(ctx))
	default:
		return fmt.Sprintf("open: %v, because of %v", ctx.Err(), context.Cause(ctx))
	}
}

const open = "open: <nil>, because of <nil>"

// endings runs handlers of all lives, and ends kami.Context or the incoming request's context in them. The other one either can
// end too, or cannot. It passes to the test what the handler's context and one derived from it say then.
func endings(t *testing.T, test func(t *testing.T, l life, by, derived, got string)) {
	eachLife(t, func(t *testing.T, s *stack, l life, handle *func(context.Context)) {
		for _, by := range []string{"kami.Context", "incoming"} {
			for _, alone := range []bool{false, true} {
				base, endBase := context.WithCancelCause(context.Background())
				in, endIn := context.WithCancelCause(context.Background())
				*s.context = base
				end := endBase
				switch {
				case by == "incoming" && alone:
					*s.context = context.Background()
					fallthrough
				case by == "incoming":
					end = endIn
				case alone:
					in = context.Background()
				}
				calls := 0
				*handle = func(ctx context.Context) {
					calls++
					child, stop := context.WithCancel(ctx)
					defer stop()
					assert.Equal(t, open, ending(ctx))
					end(errors.New(by))
					synctest.Wait()
					test(t, l, by, ending(child), ending(ctx))
				}
				l.serve(s, in, "/")
				assert.Equal(t, 1, calls)
				endBase(nil)
				endIn(nil)
			}
		}
	})
}

func TestC11CauseAndDerived(t *testing.T) {
	endings(t, func(t *testing.T, _ life, by, derived, got string) {
		if got != open {
			assert.Equal(t, "done: context canceled, because of "+by, got)
		}
		assert.Equal(t, got, derived)
	})
}

func TestC12WhatEndsAContext(t *testing.T) {
	endings(t, func(t *testing.T, l life, by, _, got string) {
		want := by == "kami.Context" || l.cancel || l.bound
		assert.Equal(t, want, got != open, "%s ended: %s", by, got)
	})
}

// asked is a context that has ended, and records the keys that its Value is called with.
type asked struct {
	context.Context
	keys *[]any
}

func (a asked) Err() error { return context.Canceled }

func (a asked) Value(key any) any {
	*a.keys = append(*a.keys, key)
	return nil
}

func TestC11CancelKeyIsNotTheIncomingRequests(t *testing.T) {
	var keys []any
	context.Cause(asked{context.Background(), &keys})
	require.Len(t, keys, 1, "what the context package looks for the cause with")
	for _, path := range []string{"/", "/u/7"} {
		each(t, func(t *testing.T, s *stack) {
			handle := func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
				assert.Nil(t, ctx.Value(keys[0]), "nothing ends the request by default")
			}
			s.get("/", handle)
			s.get("/u/:id", handle)
			in, cancel := context.WithCancel(t.Context())
			defer cancel()
			assert.Equal(t, 200, s.serve(httptest.NewRequestWithContext(in, "GET", path, nil)).Code)
		})
	}
}

func TestC11CauseWhenFinished(t *testing.T) {
	eachLife(t, func(t *testing.T, s *stack, l life, handle *func(context.Context)) {
		var kept, child context.Context
		var stop context.CancelFunc
		base, end := context.WithCancelCause(context.Background())
		*s.context = base
		*handle = func(ctx context.Context) {
			kept = ctx
			child, stop = context.WithCancel(ctx)
		}
		l.serve(s, t.Context(), "/")
		defer stop()
		want := open
		if l.cancel {
			want = "done: context canceled, because of context canceled"
		}
		assert.Equal(t, want, ending(kept))
		assert.Equal(t, want, ending(child))
		end(errors.New("late"))
		synctest.Wait()
		assert.Equal(t, strings.Replace(want, open, "done: context canceled, because of late", 1), ending(kept))
	})
}

func TestC11DeadlineIsDones(t *testing.T) {
	eachLife(t, func(t *testing.T, s *stack, l life, handle *func(context.Context)) {
		for _, tt := range []struct{ in, base, byDefault, both int }{ // hours, 0 for none
			{0, 0, 0, 0}, {1, 0, 0, 1}, {0, 1, 1, 1}, {1, 2, 2, 1}, {2, 1, 1, 1},
		} {
			start := time.Now()
			limited := func(hours int) (context.Context, context.CancelFunc) {
				if hours == 0 {
					return context.WithCancel(context.Background())
				}
				return context.WithDeadline(context.Background(), start.Add(time.Duration(hours)*time.Hour))
			}
			in, endIn := limited(tt.in)
			base, endBase := limited(tt.base)
			*s.context = base
			want := tt.byDefault
			if l.cancel || l.bound {
				want = tt.both
			}
			*handle = func(ctx context.Context) {
				deadline, has := ctx.Deadline()
				assert.Equal(t, want != 0, has, "%+v", tt)
				if want == 0 {
					return
				}
				assert.Equal(t, time.Duration(want)*time.Hour, deadline.Sub(start), "%+v", tt)
				<-ctx.Done() // time in a bubble goes by while all wait
				assert.Equal(t, deadline, time.Now(), "%+v", tt)
			}
			l.serve(s, in, "/")
			endIn()
			endBase()
		}
	})
}

func TestC11DeadlineExceededIsTheError(t *testing.T) {
	const want = "done: context deadline exceeded, because of context deadline exceeded"
	eachLife(t, func(t *testing.T, s *stack, l life, handle *func(context.Context)) {
		short, end := context.WithTimeout(context.Background(), time.Second)
		defer end()
		long, endLong := context.WithCancel(context.Background())
		defer endLong()
		*handle = func(ctx context.Context) {
			<-short.Done()
			synctest.Wait()
			assert.Equal(t, want, ending(ctx))
		}
		*s.context = short
		l.serve(s, long, "/")
		if l.cancel || l.bound {
			*s.context = long
			l.serve(s, short, "/")
		}
	})
}

func TestC11DerivingCostsNoGoroutine(t *testing.T) {
	eachPrior(t, func(t *testing.T, s *stack, _ string, prior kami.MiddlewareType) {
		var ran trail
		sight(func(place string, ctx context.Context, r *http.Request) {
			ran.add("%s", place)
			least := 50 // others come and go meanwhile
			for range 5 {
				before := runtime.NumGoroutine()
				for range 50 {
					_, stop := context.WithCancel(kami.SetParam(ctx, "a", "b"))
					defer stop()
				}
				least = min(least, runtime.NumGoroutine()-before)
			}
			assert.Less(t, least, 25, place)
		}).register(s, prior)
		for _, l := range lives {
			base, endBase := context.WithCancel(t.Context())
			in, endIn := context.WithCancel(t.Context())
			*s.context = base
			l.serve(s, in, "/u/7?panic")
			assert.Equal(t, withFail, ran.take())
			endBase()
			endIn()
		}
	})
}

func TestC12TheEndIsSeenAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		for _, l := range lives {
			for range 20 { // whether or not a goroutine has run meanwhile
				base, end := context.WithCancel(t.Context())
				in, endIn := context.WithCancel(t.Context())
				*s.context = base
				calls := 0
				*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) {
					calls++
					assert.NoError(t, ctx.Err())
					end()
					assert.ErrorIs(t, ctx.Err(), context.Canceled, "%+v", l)
				}
				l.serve(s, in, "/")
				assert.Equal(t, 1, calls)
				endIn()
			}
		}
	})
}

func TestC12CancelEndsWhenFinished(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var kept []context.Context
		var ran trail
		see := sight(func(place string, ctx context.Context, _ *http.Request) {
			kept = append(kept, ctx)
			ran.add("%s", place)
			assert.NoError(t, ctx.Err(), place)
		})
		see.register(s, priors["standard"])
		s.use("/u/halt", func(context.Context) context.Context { return nil })
		for _, l := range lives {
			for _, target := range []string{"/u/7", "/u/7?panic", "/x/7", "/u/7/", "/u/halt"} {
				l.serve(s, t.Context(), target)
				assert.True(t, strings.HasSuffix(ran.take(), "log"), "it is alive to the very end")
				for _, ctx := range kept {
					assert.Equal(t, l.cancel, ctx.Err() == context.Canceled, "%s", target)
				}
				kept = nil
			}
		}
	})
}

func TestC12CancelEndsWhenAPanicGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var kept context.Context
		var throw func()
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { kept = ctx; throw() })
		for _, *s.cancel = range []bool{false, true} {
			throw = func() { panic("boom") }
			assert.Equal(t, "boom", panicOf(func() { s.do("GET", "/") }))
			assert.Equal(t, *s.cancel, kept.Err() != nil)
			throw = runtime.Goexit
			var exiting sync.WaitGroup
			exiting.Go(func() { s.do("GET", "/") })
			exiting.Wait()
			assert.Equal(t, *s.cancel, kept.Err() != nil)
		}
	})
}

func TestC12ClientGone(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		started, seen := make(chan struct{}), make(chan context.Context, 1)
		var incoming context.Context
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			started <- struct{}{}
			<-incoming.Done()
			if *s.cancel {
				<-ctx.Done()
			}
			assert.Equal(t, *s.cancel, ctx.Err() != nil)
			seen <- ctx
		})
		for _, *s.cancel = range []bool{false, true} {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				incoming = r.Context()
				s.ServeHTTP(w, r)
			}))
			ctx, leave := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			require.NoError(t, err)
			var client sync.WaitGroup
			client.Go(func() {
				_, err := srv.Client().Do(r)
				assert.ErrorIs(t, err, context.Canceled)
			})
			<-started
			leave()
			kept := <-seen
			client.Wait()
			srv.Close() // which waits for the handler
			assert.Equal(t, *s.cancel, kept.Err() == context.Canceled)
		}
	})
}

// A goroutine that waits for a context's end after its request is woken too, although it holds only the Done channel.
func TestC12TheEndIsSeenAfterTheRequest(t *testing.T) {
	for _, cancelOuter := range []bool{false, true} {
		for _, by := range []string{"kami.Context", "outer Context"} {
			t.Run(fmt.Sprintf("outer Cancel: %v, by %s", cancelOuter, by), func(t *testing.T) {
				each(t, func(t *testing.T, s *stack) {
					var waiting sync.WaitGroup
					var children []context.Context
					var stops []context.CancelFunc
					s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
						done := ctx.Done()
						waiting.Go(func() { <-done })
						child, stop := context.WithTimeout(ctx, time.Hour)
						stops = append(stops, stop)
						children = append(children, child)
					})
					synctest.Test(t, func(t *testing.T) {
						base, endBase := context.WithCancelCause(context.Background())
						outerBase, endOuter := context.WithCancelCause(context.Background())
						outer := kami.New()
						outer.Context, outer.Cancel = outerBase, cancelOuter
						outer.Get("/", s.Handler)
						*s.context = base
						for range 10 {
							(&stack{Handler: outer}).do("GET", "/")
							runtime.GC()
						}
						end := map[string]context.CancelCauseFunc{"kami.Context": endBase, "outer Context": endOuter}[by]
						end(errors.New(by))
						synctest.Wait()
						want := "done: context canceled, because of " + by
						if cancelOuter {
							want = "done: context canceled, because of context canceled"
						}
						for _, child := range children {
							assert.Equal(t, want, ending(child))
						}
						waiting.Wait()
						endBase(nil)
						endOuter(nil)
						for _, stop := range stops {
							stop()
						}
					})
				})
			})
		}
	}
}

// TestC12TheEndOfTheSameContext has an outer Mux with Cancel and an inner one share one Context.
func TestC12TheEndOfTheSameContext(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var waiting sync.WaitGroup
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			done := ctx.Done()
			waiting.Go(func() { <-done })
		})
		synctest.Test(t, func(t *testing.T) {
			base, end := context.WithCancel(context.Background())
			outer := kami.New()
			outer.Context, outer.Cancel = base, true
			outer.Get("/", s.Handler)
			*s.context = base
			for range 10 {
				(&stack{Handler: outer}).do("GET", "/")
			}
			end()
			waiting.Wait()
		})
	})
}

func TestC12TheEndIsSeenThroughTwoMuxes(t *testing.T) {
	for _, cancelOuter := range []bool{false, true} {
		each(t, func(t *testing.T, s *stack) {
			outer := kami.New()
			outer.Cancel = cancelOuter
			outer.Get("/", s.Handler)
			var ending func()
			s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
				assert.NoError(t, ctx.Err())
				ending()
				assert.ErrorIs(t, ctx.Err(), context.Canceled, "outer Cancel: %v", cancelOuter)
			})
			for range 20 { // whether or not a goroutine has run meanwhile
				outerBase, end := context.WithCancel(t.Context())
				ending = end
				base, endBase := context.WithCancel(t.Context())
				outer.Context, *s.context = outerBase, base
				(&stack{Handler: outer}).do("GET", "/")
				endBase()
				end()
			}
		})
	}
}

func TestC12TheEndReachesAllThatCameTogether(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var contexts sync.Map
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { contexts.Store(ctx, ctx.Done()) })
		synctest.Test(t, func(t *testing.T) {
			for range 50 {
				base, end := context.WithCancel(context.Background())
				in, endIn := context.WithCancel(context.Background())
				*s.context = base
				var requests sync.WaitGroup
				for range 8 {
					requests.Go(func() {
						s.Handler.(kami.ContextHandler).ServeHTTPContext(in, httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
					})
				}
				requests.Wait()
				end()
				n := 0
				contexts.Range(func(_, done any) bool {
					<-done.(<-chan struct{})
					n++
					return true
				})
				assert.Equal(t, 8, n)
				contexts.Clear()
				endIn()
			}
		})
	})
}

// collect runs the garbage collector, and the cleanups of the objects that it frees.
func collect() {
	for range 2 {
		done := make(chan struct{})
		func() { runtime.AddCleanup(&struct{ *int }{new(int)}, func(done chan struct{}) { close(done) }, done) }()
		runtime.GC()
		<-done
	}
	runtime.Gosched()
}

// A goroutine that waits for <-ctx.Done() keeps only the channel alive.
func TestC12DoneAloneStaysOpen(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var done <-chan struct{}
		isOpen := func() bool {
			collect()
			select {
			case <-done:
				return false
			default:
				return true
			}
		}
		s.get("/", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			done = ctx.Done()
			assert.True(t, isOpen(), "during the request")
		})
		for _, l := range lives {
			base, endBase := context.WithCancel(t.Context())
			in, endIn := context.WithCancel(t.Context())
			*s.context = base
			l.serve(s, in, "/")
			assert.Equal(t, !l.cancel, isOpen(), "%+v: after the request", l)
			endBase()
			endIn()
		}
	})
}

func TestC13KeptAfterTheResponse(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var keepers sync.WaitGroup
		more := make(chan struct{})
		keep := func(where string, ctx context.Context, r *http.Request) {
			id := r.URL.Path[len("/u/"):]
			say := func() string {
				return fmt.Sprint(kami.Param(ctx, "id"), " ", kami.Param(ctx, "scope"), " ", ctx.Value(valueKey("path")),
					" ", r.Method, r.URL.Path, r.Pattern, r.PathValue("id"), r.Context() == ctx, ctx.Err())
			}
			want := say()
			assert.Contains(t, want, "GET/u/"+id+"/u/:id"+id+"true", where)
			keepers.Go(func() {
				<-more
				for range 5 {
					assert.Equal(t, want, say(), where)
				}
			})
		}
		watch := func(where string) kami.Middleware {
			return func(ctx context.Context, _ http.ResponseWriter, r *http.Request) context.Context {
				keep(where, ctx, r)
				return kami.SetParam(context.WithValue(ctx, valueKey("path"), r.URL.Path), "set", r.URL.Path)
			}
		}
		s.use("/", watch("middleware"))
		s.use("/", passing(withValue))
		s.use("/u/:scope", watch("scope"))
		s.after("/", watch("afterware"))
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) { keep("log", ctx, r) }
		s.get("/u/:id", func(_ http.ResponseWriter, r *http.Request) { keep("handler", r.Context(), r) })
		for i := range 40 {
			if i == 20 {
				close(more)
			}
			assert.Equal(t, 200, s.do("GET", fmt.Sprintf("/u/%d", i)).Code)
		}
		keepers.Wait()
	})
}

func TestC13SetParamLeavesItsParentAlone(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		say := func(ctx context.Context) { ran.add("%s/%s", kami.Param(ctx, "id"), kami.Param(ctx, "new")) }
		s.get("/:id", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
			one := kami.SetParam(ctx, "id", "one")
			two := kami.SetParam(one, "new", "two")
			three := kami.SetParam(one, "id", "three")
			for _, c := range []context.Context{ctx, r.Context(), one, two, three} {
				say(c)
			}
		})
		s.do("GET", "/7")
		assert.Equal(t, "7/ 7/ one/ one/two three/", ran.take())
	})
}

func TestC14UnknownNames(t *testing.T) {
	assert.Empty(t, kami.Param(context.Background(), "id"))
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", ran.middleware("static", "", "nope", "ID"))
		s.use("/:x", ran.middleware("wild", "", "nope"))
		s.after("/:x", ran.afterware("after", "", "nope"))
		s.get("/:id", ran.handler("handler", "", "nope"))
		s.notFound(ran.handler("404", "", "id"))
		s.do("GET", "/7")
		assert.Equal(t, "static(=,nope=,ID=) wild(=,nope=) handler(=,nope=) after(=,nope=)", ran.take())
		s.do("GET", "/7/8")
		assert.Equal(t, "static(=,nope=,ID=) 404(=,id=)", ran.take())
	})
}

// crossed registers routes and scopes that use the same names for different segments. Each notes the params, and the named one
// panics.
func crossed(s *stack, ran *trail, fail *string, params ...string) {
	note := func(name string) kami.Middleware {
		return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context {
			ran.add("%s", name+values(ctx, params))
			if *fail == name {
				panic(name)
			}
			return ctx
		}
	}
	s.use("/", note("static"))
	s.use("/:id/", note("wild"))
	s.use("/*id", note("rest"))
	s.after("/", note("afterStatic"))
	s.after("/:id/", note("afterWild"))
	s.after("/*id", note("afterRest"))
	s.get("/:kind/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) { note("handler")(ctx, w, r) })
	*s.panicHandler = func(w http.ResponseWriter, r *http.Request) { note("panic")(r.Context(), w, r) }
	*s.logHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) { note("log")(ctx, w, r) }
}

func TestC14NamesAlike(t *testing.T) {
	long := strings.Repeat("n", 256)
	each(t, func(t *testing.T, s *stack) {
		var got string
		ask := func(names ...string) kami.HandlerFunc {
			return func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
				got = ""
				for _, name := range names {
					got += kami.Param(ctx, name) + ","
				}
			}
		}
		s.get("/alike/:ab/:cb/:b", ask("ab", "cb", "b", "xb", "", "a"))
		s.handle("POST", "/alike/:cb/:ab/:x", ask("ab", "cb", "b", "x"))
		s.get("/long/:n/:n"+long+"/:"+long, ask("n", "n"+long, long, long+long))
		s.get("/unnamed/:/*", ask(""))
		for _, test := range []struct{ method, target, want string }{
			{"GET", "/alike/1/2/3", "1,2,3,,,,"},
			{"POST", "/alike/1/2/3", "2,1,,3,"},
			{"GET", "/long/1/2/3", "1,2,3,,"},
			{"GET", "/unnamed/1/2", "1,"},
		} {
			s.do(test.method, test.target)
			assert.Equal(t, test.want, got, "%s %s", test.method, test.target)
		}
	})
}

// TestC14FarParams has params so far into the path that their places do not fit into the compact form.
func TestC14FarParams(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var got []string
		s.get("/:a/:b/:c", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			got = []string{kami.Param(ctx, "a"), kami.Param(ctx, "b"), kami.Param(ctx, "c")}
		})
		for _, length := range []int{1, 255, 256, 65_530, 65_533, 65_534, 65_535, 65_536, 70_000} {
			far := strings.Repeat("x", length)
			s.do("GET", "/"+far+"/near/c")
			assert.Equal(t, []string{far, "near", "c"}, got, length)
		}
	})
}

func TestC14OwnNamesFirst(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		crossed(s, &ran, new(string), "id", "kind")
		s.do("GET", "/users/7")
		assert.Equal(t, "static(id=7,kind=users) rest(id=users/7,kind=users) wild(id=users,kind=users) "+
			"handler(id=7,kind=users) afterWild(id=users,kind=users) afterRest(id=users/7,kind=users) "+
			"afterStatic(id=7,kind=users) log(id=7,kind=users)", ran.take())
	})
}

func TestC14RouteFirstAfterAPanic(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		var fail string
		crossed(s, &ran, &fail, "id")
		for _, fail = range []string{"static", "rest", "wild", "handler", "afterWild", "afterRest", "afterStatic", "log"} {
			t.Run(fail, func(t *testing.T) {
				s.do("GET", "/users/7")
				got := strings.Fields(ran.take())
				assert.Subset(t, got, []string{"panic(id=7)", "afterStatic(id=7)", "log(id=7)"}, got)
			})
		}
	})
}

func TestC14HandlerSeesTheScopesThatRan(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/:section/", ran.middleware("a", "section"))
		s.use("/:section/:page", ran.middleware("b", "section", "page"))
		s.use("/*all", passing(withValue))
		s.use("/:never/x", ran.middleware("c"))
		s.after("/:ended/", ran.afterware("after"))
		s.get("/docs/intro", ran.handler("handler", "section", "page", "all", "never"))
		s.notFound(ran.handler("404", "section", "page"))
		s.do("GET", "/docs/intro")
		assert.Equal(t, "a(section=docs) b(section=docs,page=intro) "+
			"handler(section=docs,page=intro,all=docs/intro,never=) after", ran.take())
		s.do("GET", "/a/b/c")
		assert.Equal(t, "a(section=a) 404(section=a,page=) after", ran.take())
	})
}

func TestC14SetParamWins(t *testing.T) {
	set := func(ctx context.Context) context.Context { return kami.SetParam(ctx, "id", "set") }
	for name, tt := range map[string]struct {
		register func(s *stack, ran *trail)
		want     string
	}{
		"over the route": {
			func(s *stack, _ *trail) { s.use("/", set) },
			"handler(id=set) after(id=set) log(id=set)"},
		"over the route in standard middleware": {
			func(s *stack, _ *trail) { s.use("/", passing(set)) },
			"handler(id=set) after(id=set) log(id=set)"},
		"over a scope and the route": {
			func(s *stack, ran *trail) {
				s.use("/:id/", set)
				s.use("/:other/:x", ran.middleware("next", "id"))
			},
			"next(id=set) handler(id=set) after(id=set) log(id=set)"},
		"over the names of its own scope": {
			func(s *stack, ran *trail) {
				s.use("/:id/", set)
				s.use("/:id/", ran.middleware("same", "id"))
			},
			"same(id=set) handler(id=set) after(id=set) log(id=set)"},
		"over itself": {
			func(s *stack, _ *trail) {
				s.use("/", func(ctx context.Context) context.Context { return kami.SetParam(ctx, "id", "early") })
				s.use("/", set)
			},
			"handler(id=set) after(id=set) log(id=set)"},
		"not over what comes later": {
			func(s *stack, ran *trail) {
				s.use("/", set)
				s.use("/:id/", ran.middleware("scope", "id"))
			},
			"scope(id=users) handler(id=set) after(id=set) log(id=set)"},
		"in afterware": {
			func(s *stack, _ *trail) { s.after("/:id/", set) },
			"handler(id=7) after(id=set) log(id=set)"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				var ran trail
				s.get("/:kind/:id", ran.handler("handler", "id"))
				s.after("/", ran.afterware("after", "id"))
				*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) {
					ran.add("log%s", values(ctx, []string{"id"}))
				}
				tt.register(s, &ran)
				s.do("GET", "/users/7")
				assert.Equal(t, tt.want, ran.take())
			})
		})
	}
}

func TestC14NestedMuxFirst(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		outer := newStack()
		outer.use("/:scope/", ran.middleware("outerScope", "id", "scope"))
		outer.use("/", func(ctx context.Context) context.Context { return kami.SetParam(ctx, "set", "outer") })
		outer.after("/", ran.afterware("outerAfter", "id", "rest", "own"))
		s.use("/:own/:scope/", ran.middleware("scope", "id", "scope", "rest"))
		s.get("/:own/u/:id", ran.handler("handler", "id", "own", "rest", "scope", "set"))
		s.notFound(ran.handler("404", "id", "scope", "rest"))
		s.after("/", ran.afterware("after", "id"))
		for name, mounted := range map[string]kami.HandlerType{"context": s.Handler, "vanilla": s.ServeHTTP} {
			outer.get("/"+name+"/:id/*rest", mounted)
			outer.do("GET", "/"+name+"/u/7")
			assert.Equal(t, "outerScope(id=u,scope="+name+") scope(id=7,scope=u,rest=7) "+
				"handler(id=7,own="+name+",rest=7,scope=u,set=outer) after(id=7) outerAfter(id=u,rest=7,own=)", ran.take())
			outer.do("GET", "/"+name+"/x/7")
			assert.Equal(t, "outerScope(id=x,scope="+name+") scope(id=x,scope=x,rest=7) "+
				"404(id=x,scope=x,rest=7) after(id=x) outerAfter(id=x,rest=7,own=)", ran.take())
		}
	})
}

// passedIn returns a handler that has s serve the request, and copies that request afterwards.
func passedIn(s http.Handler, to *http.Request) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() { *to = *r }()
		s.ServeHTTP(w, r)
	}
}

func TestC15PatternFromTheStart(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		for _, path := range []string{"/u/:id", "/a", "/f/*rest", "/s/"} {
			s.get(path, echo(""))
		}
		var incoming *http.Request
		var seen []string
		note := func(_ context.Context, r *http.Request) context.Context {
			seen = append(seen, r.Pattern, incoming.Pattern)
			return r.Context()
		}
		s.use("/", note)
		s.use("/", passing(withValue))
		s.use("/*x", note)
		s.after("/", note)
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) { note(ctx, r) }
		for target, want := range map[string]string{"/u/7": "/u/:id", "/a": "/a", "/f/x/y": "/f/*rest", "/s/": "/s/"} {
			for _, outer := range []string{"", "/of/the/outer/{one}"} {
				incoming = httptest.NewRequest("GET", target, nil)
				incoming.Pattern = outer
				s.serve(incoming)
				assert.Equal(t, strings.Fields(strings.Repeat(want+" ", 8)), seen, target)
				assert.Equal(t, want, incoming.Pattern)
				seen = nil
			}
		}
	})
}

func TestC15ParamsFromTheStart(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", ran.middleware("first", "id"))
		s.get("/u/:id", ran.handler("handler", "id"))
		s.do("GET", "/u/7")
		assert.Equal(t, "first(id=7) handler(id=7)", ran.take())
	})
}

func TestC15NoPatternWithoutRoute(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var seen []string
		note := sight(func(place string, _ context.Context, r *http.Request) {
			if r.Pattern != "" {
				seen = append(seen, place+": "+r.Pattern)
			}
		})
		note.register(s, priors["standard"])
		s.handle("PUT", "/u/:id", echo(""))
		for target, status := range map[string]int{"GET /x/y": 200, "POST /u/7": 200, // by handlers of ours
			"OPTIONS /u/7": 204, "GET /u/7/": 301, "PUT /u//7": 307} {
			for _, outer := range []string{"", "/of/the/outer/{one}"} {
				method, path, _ := strings.Cut(target, " ")
				r := httptest.NewRequest(method, path, nil)
				r.Pattern = outer
				assert.Equal(t, status, s.serve(r).Code, target)
				assert.Empty(t, seen, target)
				assert.Equal(t, outer, r.Pattern, target)
			}
		}
	})
}

// The same for answers without middleware.
func TestC15NoPatternWithoutRouteNorMiddleware(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.handle("PUT", "/u/:id", nothing)
		s.handle("PUT", "/static", nothing)
		for target, want := range map[string]string{"GET /x": "404 outer", "POST /u/7": "405 outer", "OPTIONS /u/7": "204 outer",
			"PUT /u/7/": "307 outer", "PUT /u/7": "200 /u/:id", "PUT /static": "200 /static"} {
			method, path, _ := strings.Cut(target, " ")
			r := httptest.NewRequest(method, path, nil)
			r.Pattern = "outer"
			code := s.serve(r).Code
			assert.Equal(t, want, fmt.Sprint(code, " ", r.Pattern), target)
		}
	})
}

// A handler for 404 or 405 has its own context and request, although no middleware runs.
func TestC15AnswersToMissesSeeTheContext(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		*s.context = context.WithValue(context.Background(), ctxKey{}, "base")
		answer := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%v %q %v", ctx.Value(ctxKey{}), r.Pattern, ctx == r.Context())
		}
		s.handle("PUT", "/u/:id", nothing)
		s.notFound(answer)
		s.methodNotAllowed(answer)
		for _, target := range []string{"/x", "/u/7"} {
			r := httptest.NewRequest("GET", target, nil)
			r.Pattern = "outer"
			assert.Equal(t, `base "" true`, s.serve(r).Body.String(), target)
			assert.Equal(t, "outer", r.Pattern, target)
		}
	})
}

func TestC15PathValue(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		note := func(_ http.ResponseWriter, r *http.Request) {
			ran.add("%s=%s,%s", r.PathValue("id"), kami.Param(r.Context(), "id"), r.PathValue("rest"))
		}
		s.get("/func/:id", note)
		s.get("/handlerfunc/:id/*rest", http.HandlerFunc(note))
		s.get("/handler/:id", struct{ http.Handler }{http.HandlerFunc(note)})
		s.get("/unnamed/*", func(w http.ResponseWriter, r *http.Request) {
			assert.Empty(t, r.PathValue(""))
			note(w, r)
		})
		for target, want := range map[string]string{
			"/func/7":                "7=7,",
			"/handlerfunc/a%2Fb/x/y": "a/b=a/b,x/y",
			"/handler/100%2525":      "100%25=100%25,",
			"/unnamed/7":             "=,", // and nothing that an empty name would find
		} {
			s.do("GET", target)
			assert.Equal(t, want, ran.take(), target)
		}
	})
}

func TestC15OuterPathValuesStay(t *testing.T) {
	note := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.PathValue("id"), " ", r.PathValue("tenant"), " ", r.PathValue("other"))
	}
	each(t, func(t *testing.T, s *stack) {
		s.get("/:tenant/u/:id", note)
		var outer http.Request
		mux := http.NewServeMux()
		mux.Handle("/{id}/{other}/", passedIn(s, &outer))
		for name, tt := range map[string]struct {
			handler              http.Handler
			want, id, other, ten string
		}{
			"ServeMux": {mux, "7 a u", "a", "u", ""},
			"SetPathValue": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.SetPathValue("id", "mine")
				r.SetPathValue("other", "")
				passedIn(s, &outer)(w, r)
			}), "7 a ", "mine", "", ""},
			"Pattern": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Pattern = "/its/own"
				r.SetPathValue("other", "mine")
				passedIn(s, &outer)(w, r)
			}), "7 a mine", "", "mine", ""},
			"another name alone": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.SetPathValue("other", "mine")
				passedIn(s, &outer)(w, r)
			}), "7 a mine", "", "mine", ""},
			"StripPrefix": {http.StripPrefix("/strip", mux), "7 a u", "a", "u", ""},
			"nothing":     {passedIn(s, &outer), "7 a ", "", "", ""},
		} {
			target := "/a/u/7"
			if name == "StripPrefix" {
				target = "/strip" + target
			}
			w := httptest.NewRecorder()
			tt.handler.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
			assert.Equal(t, tt.want, w.Body.String(), name)
			assert.Equal(t, []string{tt.id, tt.other, tt.ten},
				[]string{outer.PathValue("id"), outer.PathValue("other"), outer.PathValue("tenant")}, name)
			assert.Equal(t, "/:tenant/u/:id", outer.Pattern, name)
		}
	})
}

func TestC15OuterWrapperReadsThePattern(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/u/:id", func(http.ResponseWriter, *http.Request) { panic("boom") })
		var outer http.Request
		assert.Equal(t, "boom", panicOf(func() { passedIn(s, &outer)(nil, httptest.NewRequest("GET", "/u/7", nil)) }))
		assert.Equal(t, "/u/:id", outer.Pattern)
	})
}

// quiet is a writer that does nothing.
type quiet struct{}

func (quiet) Header() http.Header         { return nil }
func (quiet) Write(b []byte) (int, error) { return len(b), nil }
func (quiet) WriteHeader(int)             {}

func TestC15PathValuesAreAtTheirOwnCost(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		s.get("/static", kami.HandlerFunc(func(context.Context, http.ResponseWriter, *http.Request) {}))
		s.get("/u/:id", kami.HandlerFunc(func(context.Context, http.ResponseWriter, *http.Request) {}))
		s.get("/v/:id", func(http.ResponseWriter, *http.Request) {})
		cost := func(target, pattern string) float64 {
			r := httptest.NewRequest("GET", target, nil)
			r.Header.Set("A", "b")
			return testing.AllocsPerRun(200, func() {
				r.Pattern = pattern
				s.ServeHTTP(quiet{}, r)
			})
		}
		for _, pattern := range []string{"", "/of/the/outer/{id}"} {
			assert.Equal(t, cost("/static", ""), cost("/u/7", pattern), "with context")
			assert.Greater(t, cost("/v/7", pattern), cost("/u/7", pattern), "without: or this test sees nothing")
		}
	})
}

// TestPrintingAContextShowsNoHeaders guards logs: %v of a struct would print the headers of the request in it.
func TestPrintingAContextShowsNoHeaders(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var printed []string
		note := func(ctx context.Context) context.Context {
			printed = append(printed, fmt.Sprintf("%v %+v %s", ctx, ctx, ctx))
			return ctx
		}
		s.use("/", note)
		s.use("/", func(next http.Handler) http.Handler { return next })
		s.use("/:id/", note)
		s.use("/:id/", func(ctx context.Context) context.Context { return kami.SetParam(ctx, "a", "b") })
		s.get("/:id/x", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { note(ctx) })
		s.after("/", note)
		r := httptest.NewRequest("GET", "/7/x", nil)
		r.Header.Set("Authorization", "secret")
		s.serve(r)
		assert.Len(t, printed, 4)
		assert.Contains(t, printed[0], "kami.Context(GET /7/x)")

		foreign := newStack()
		first := true
		foreign.use("/", func(ctx context.Context) context.Context {
			if first {
				first = false
				return withValue(ctx)
			}
			return context.TODO()
		})
		foreign.use("/", func(next http.Handler) http.Handler { return next })
		foreign.use("/", note)
		foreign.get("/static", nothing)
		foreign.serve(r.Clone(t.Context()))
		foreign.serve(r.Clone(t.Context()))
		printed = append(printed[:4], printed[5:]...) // without the first one
		assert.Contains(t, printed[4], "context.TODO.WithMiddleware(middleware for \"/\" (")

		plain := newStack()
		handle := func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { note(ctx) }
		plain.get("/7/x", handle)
		plain.notFound(handle)
		plain.serve(r.Clone(t.Context()))
		assert.Contains(t, printed[5], "kami.Context(GET /7/x)")
		r.URL.Path = "/none"
		plain.serve(r.Clone(t.Context()))
		assert.Contains(t, printed[6], "kami.Context")
		for _, text := range printed {
			assert.NotContains(t, text, "secret")
		}
	})
}

// An inner router may set the Pattern of the request that it gets. Afterware and hooks still see the route's pattern.
func TestC15PatternAfterAnInnerRouter(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		each(t, func(t *testing.T, s *stack) {
			inner := http.NewServeMux()
			inner.HandleFunc("GET /old/users/{id}", nothing)
			if wrapped {
				s.use("/", func(next http.Handler) http.Handler { return next })
			}
			var seen []string
			s.after("/", func(_ mutil.WriterProxy, r *http.Request) { seen = append(seen, r.Pattern) })
			*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) {
				assert.Equal(t, ctx, r.Context())
				seen = append(seen, r.Pattern)
			}
			s.get("/old/*rest", inner)
			s.notFound(inner)
			for path, want := range map[string]string{"/old/users/7": "/old/*rest", "/old/nothing": "/old/*rest", "/none": ""} {
				seen = nil
				r := httptest.NewRequest("GET", path, nil)
				s.serve(r)
				assert.Equal(t, []string{want, want}, seen, path)
				assert.Equal(t, want, r.Pattern)
			}
		})
	}
}
