package kami_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
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

// mark is the type of context keys for the values that middleware of these tests adds.
type mark string

func leave(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, mark(name), name)
}

// left returns the names that have a mark in the context.
func left(ctx context.Context, names ...string) string {
	var all []string
	for _, name := range names {
		if ctx.Value(mark(name)) == name {
			all = append(all, name)
		}
	}
	return strings.Join(all, ",")
}

// leaves is middleware, or afterware, that adds a mark with the name to the context.
func leaves(name string) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return leave(ctx, name) }
}

// standard is standard middleware.
type standard = func(http.Handler) http.Handler

// around returns standard middleware whose handler is f, which gets the next handler.
func around(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) standard {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, next) })
	}
}

// wrap returns standard middleware that notes its begin and its end.
func (t *trail) wrap(name string) standard {
	return around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		t.add("%s(", name)
		next.ServeHTTP(w, r)
		t.add(")%s", name)
	})
}

// finish adds afterware and a LogHandler that note that they ran.
func (t *trail) finish(s *stack) {
	s.after("/", t.afterware("after"))
	*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) { t.add("log") }
}

func TestC36WrapsWhatFollows(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", ran.wrap("a"))
		s.use("/", ran.middleware("m"))
		s.use("/x", ran.wrap("b"))
		s.use("/:wild", ran.wrap("c"))
		s.use("/:wild", ran.middleware("n"))
		s.get("/x", ran.handler("handler"))
		ran.finish(s)
		s.do("GET", "/x")
		assert.Equal(t, "a( m b( c( n handler )c )b )a after log", ran.take())
		s.do("GET", "/y")
		assert.Equal(t, "a( m c( n )c )a after log", ran.take(), "404")
	})
}

func TestC36NotCallingNextHalts(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", ran.wrap("outer"))
		s.use("/", around(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusTeapot) }))
		s.use("/", ran.middleware("later"))
		s.get("/", ran.handler("handler"))
		ran.finish(s)
		assert.Equal(t, http.StatusTeapot, s.do("GET", "/").Code)
		assert.Equal(t, "outer( )outer after log", ran.take())
	})
}

func TestC36CodeAfterNextSeesAHalt(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", ran.wrap("outer"))
		s.use("/", func(context.Context) context.Context { return nil })
		s.get("/", ran.handler("handler"))
		ran.finish(s)
		s.do("GET", "/")
		assert.Equal(t, "outer( )outer after log", ran.take())
	})
}

// upper is a writer with which middleware wraps another.
type upper struct{ http.ResponseWriter }

func (w upper) Write(b []byte) (int, error) { return w.ResponseWriter.Write(bytes.ToUpper(b)) }

func TestC36TheWriterItPassesOn(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "before ") })
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(upper{w}, r) }))
		s.use("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
			_, _ = w.Write([]byte("middleware "))
			return ctx
		})
		s.get("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("handler ")) })
		s.after("/", func(w mutil.WriterProxy, _ *http.Request) { _, _ = w.Write([]byte("after")) })
		assert.Equal(t, "before MIDDLEWARE HANDLER after", s.do("GET", "/").Body.String(), "afterware is on the outer writer")
	})
}

func TestC36TheRequestItPassesOn(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		show := func(who string, r *http.Request) {
			ran.add("%s=%s %s %q", who, r.Method, r.URL.Path, r.Header.Get("X-Added")+left(r.Context(), "outer", "inner"))
		}
		s.use("/", leaves("outer"))
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			clone := r.Clone(leave(r.Context(), "inner"))
			clone.Method, clone.URL.Path = "CLONED", "/cloned"
			clone.Header.Set("X-Added", "yes ")
			next.ServeHTTP(w, clone)
			show("wrapper", r)
		}))
		s.use("/", func(ctx context.Context, r *http.Request) context.Context { show("middleware", r); return ctx })
		s.use("/", func(_ http.ResponseWriter, r *http.Request) { show("read-only", r) })
		s.get("/x", func(_ http.ResponseWriter, r *http.Request) { show("handler", r) })
		s.after("/", func(_ http.ResponseWriter, r *http.Request) { show("after", r) })
		s.do("GET", "/x")
		assert.Equal(t, `middleware=CLONED /cloned "yes outer,inner" read-only=CLONED /cloned "yes outer,inner" `+
			`handler=CLONED /cloned "yes outer,inner" wrapper=GET /x "outer" after=GET /x "outer,inner"`, ran.take())
	})
}

func TestC36WithValueOfTheRequest(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(leave(r.Context(), "wrapper")))
		}))
		s.use("/", leaves("later"))
		s.get("/:p", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s %s %s", left(ctx, "wrapper", "later"), kami.Param(ctx, "p"), r.Pattern)
			assert.Equal(t, ctx, r.Context())
		})
		assert.Equal(t, "wrapper,later x /:p", s.do("GET", "/x").Body.String())
	})
}

func TestC36ItsRecover(t *testing.T) {
	recovering := around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		defer func() { http.Error(w, fmt.Sprint("recovered ", recover()), http.StatusInternalServerError) }()
		next.ServeHTTP(w, r)
	})
	panics := func(what string) func(http.ResponseWriter, *http.Request) {
		return func(http.ResponseWriter, *http.Request) { panic(what) }
	}
	for name, register := range map[string]func(s *stack){
		"middleware": func(s *stack) { s.use("/", panics("middleware")) },
		"wrapper": func(s *stack) {
			s.use("/", around(func(http.ResponseWriter, *http.Request, http.Handler) { panic("wrapper") }))
		},
		"wildcard":  func(s *stack) { s.use("/:p", panics("wildcard")) },
		"handler":   func(s *stack) { s.get("/x", panics("handler")) },
		"not found": func(s *stack) { s.notFound(panics("not found")) },
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *stack) {
				var ran trail
				*s.panicHandler = ran.handler("PanicHandler")
				ran.finish(s)
				s.use("/", recovering)
				register(s)
				w := s.do("GET", "/x")
				assert.Equal(t, "recovered "+name+"\n", w.Body.String())
				assert.Equal(t, http.StatusInternalServerError, w.Code)
				assert.Equal(t, "after log", ran.take(), "nobody else has seen the panic")
			})
		})
	}
}

func TestC36APanicPassesThrough(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			defer ran.add("deferred")
			next.ServeHTTP(w, r)
			ran.add("not reached")
		}))
		s.use("/", leaves("later"))
		s.get("/", func(http.ResponseWriter, *http.Request) { panic("handler") })
		*s.panicHandler = func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
			ran.add("%v with %s", kami.Exception(ctx), left(ctx, "later"))
		}
		ran.finish(s)
		assert.Equal(t, http.StatusInternalServerError, s.do("GET", "/").Code)
		assert.Equal(t, "deferred handler with later after log", ran.take())
	})
}

func TestC36BuiltOnceForEachUse(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		built, calls := 0, 0
		counting := func(next http.Handler) http.Handler {
			built++
			mine := 0
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mine++
				calls = mine
				next.ServeHTTP(w, r)
			})
		}
		s.echoes("GET /before/:x")
		s.use("/", counting)
		assert.Equal(t, 1, built, "at once")
		s.echoes("GET /after", "POST /*rest")
		for _, target := range []string{"/before/1", "/before/2", "/after", "/none", "/before/3/"} {
			s.do("GET", target)
		}
		assert.Equal(t, 1, built, "requests and routes build nothing")
		assert.Equal(t, 5, calls, "all routes share it")
		s.use("/", counting)
		assert.Equal(t, 2, built)
	})
}

func TestC36ContextFromElsewhere(t *testing.T) {
	strangers := map[string]func(*http.Request) context.Context{
		"background": func(*http.Request) context.Context { return context.Background() },
		"values":     func(*http.Request) context.Context { return leave(context.Background(), "x") },
		"another request's": func(*http.Request) context.Context {
			return httptest.NewRequest("GET", "/", nil).Context()
		},
	}
	for name, stranger := range strangers {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *stack) {
				var ran trail
				astray := around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					next.ServeHTTP(w, r.WithContext(stranger(r)))
				})
				at, _ := here(), panicOf(func() { s.use("/x/", astray) })
				s.get("/x/:y", ran.handler("handler"))
				got := panicOf(func() { s.do("GET", "/x/y") })
				assert.Equal(t, fmt.Sprintf(`kami: middleware for "/x/" (%s) called its next handler with a context `+
					"that does not descend from the request's", at), got)
				assert.Empty(t, ran.take())
			})
		})
	}
}

func TestC36NextTwice(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(leave(r.Context(), "one")))
			next.ServeHTTP(w, r.WithContext(leave(r.Context(), "two")))
		}))
		s.use("/:id", ran.wrap("inner"))
		s.use("/:id", ran.middleware("m", "id"))
		s.get("/:p", func(_ http.ResponseWriter, r *http.Request) { ran.add("handler:%s", left(r.Context(), "one", "two")) })
		s.after("/", func(ctx context.Context) context.Context { ran.add("after:%s", left(ctx, "one", "two")); return ctx })
		s.do("GET", "/7")
		assert.Equal(t, "inner( m(id=7) handler:one )inner inner( m(id=7) handler:two )inner after:two", ran.take())
	})
}

// late is http.TimeoutHandler. Its next handler goes on in another goroutine after the time is up.
func late(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Second, "too late") }

func TestC36AnAbandonedHandlerGoesOn(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		synctest.Test(t, func(t *testing.T) {
			release, done := make(chan struct{}), make(chan string)
			var ran trail
			s.use("/", leaves("before"))
			s.use("/", late)
			s.use("/", leaves("early"))
			s.use("/", func(ctx context.Context) context.Context { <-release; return leave(ctx, "late") })
			s.use("/:id", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }))
			s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
				_, err := io.WriteString(w, "for nobody")
				seen := left(r.Context(), "before", "early", "late")
				done <- fmt.Sprintf("%s %s %v %v", seen, kami.Param(ctx, "id"), ctx.Err(), err)
			})
			s.after("/", func(ctx context.Context) context.Context {
				ran.add("after:%s:%v", left(ctx, "before", "early", "late"), ctx.Err())
				return ctx
			})
			*s.logHandler = func(ctx context.Context, w mutil.WriterProxy, _ *http.Request) {
				ran.add("log:%d:%s:%v", w.Status(), left(ctx, "before", "early", "late"), ctx.Err())
			}
			w := s.do("GET", "/7")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Equal(t, "too late", w.Body.String())
			assert.Equal(t, "after:before,early:<nil> log:503:before,early:<nil>", ran.take(), "they did not wait")
			close(release)
			assert.Equal(t, "before,early,late 7 context deadline exceeded http: Handler timeout", <-done)
		})
	})
}

// TestC36BranchesRaceWithNobody has handlers go on while the afterware and LogHandler of their requests run.
func TestC36BranchesRaceWithNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var running sync.WaitGroup
		abandon := around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			running.Go(func() { next.ServeHTTP(httptest.NewRecorder(), r) })
		})
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			abandon(next).ServeHTTP(w, r)
			if r.Header.Get("Panic") != "" {
				panic("wrapper")
			}
		}))
		s.use("/:id", func(ctx context.Context) context.Context { return leave(ctx, kami.Param(ctx, "id")) })
		s.use("/:id", abandon)
		check := func(who string, ctx context.Context, r *http.Request) {
			if want := strings.TrimPrefix(r.URL.Path, "/"); kami.Param(ctx, "id") != want || ctx != r.Context() {
				t.Errorf("%s: got %q, want %q", who, kami.Param(ctx, "id"), want)
			}
		}
		s.get("/:id", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) { check("handler", ctx, r) })
		s.after("/", func(ctx context.Context, r *http.Request) context.Context {
			check("after", ctx, r)
			return leave(ctx, "x")
		})
		*s.panicHandler = func(ctx context.Context, _ http.ResponseWriter, r *http.Request) { check("panic", ctx, r) }
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, r *http.Request) { check("log", ctx, r) }
		for i := range 200 {
			running.Go(func() {
				r := httptest.NewRequest("GET", fmt.Sprintf("/%d", i), nil)
				if i%2 == 0 {
					r.Header.Set("Panic", "yes")
				}
				s.serve(r)
			})
		}
		running.Wait()
	})
}

// misled is a context that looks for values in another context first.
type misled struct {
	context.Context
	first context.Context
}

func (m misled) Value(key any) any {
	if value := m.first.Value(key); value != nil {
		return value
	}
	return m.Context.Value(key)
}

// TestC36NextIsOfItsOwnRequest has middleware pass on a context whose values come from another request of the Mux.
func TestC36NextIsOfItsOwnRequest(t *testing.T) {
	each(t, func(t *testing.T, s *stack) {
		var ran trail
		var outer context.Context
		s.use("/p/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			ran.add("/p/")
			next.ServeHTTP(w, r.WithContext(misled{r.Context(), outer}))
		}))
		s.use("/p", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			ran.add("/p")
			next.ServeHTTP(w, r)
		}))
		s.get("/p", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			ran.add("handler")
			if outer == nil {
				outer = ctx
				s.ServeHTTP(w, httptest.NewRequest("GET", "/p/", nil))
			}
		})
		assert.Equal(t, 301, s.do("GET", "/p").Code)
		assert.Equal(t, "/p handler /p/ /p", ran.take())
	})
}

func TestC36WhatRunsAfterSeesTheParamsOfScopes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", func(next http.Handler) http.Handler { return next })
		s.use("/u/:scope/", func(ctx context.Context) context.Context { return ctx })
		s.get("/u/:id/x", echo(""))
		var ran trail
		s.after("/", func(ctx context.Context) context.Context { ran.add("after:%s", kami.Param(ctx, "scope")); return ctx })
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) {
			ran.add("log:%s", kami.Param(ctx, "scope"))
		}
		s.do("GET", "/u/7/x")
		assert.Equal(t, "after:7 log:7", ran.take())
	})
}

func TestC36ContextHandlers(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", func(next kami.ContextHandler) kami.ContextHandler {
			return kami.HandlerFunc(func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
				ran.add("same=%v", ctx == r.Context())
				next.ServeHTTPContext(leave(ctx, "argument"), w, r.WithContext(leave(ctx, "request")))
				ran.add("end")
			})
		})
		s.get("/:p", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
			ran.add("handler:%s:%s:%v", left(ctx, "argument", "request"), kami.Param(ctx, "p"), ctx == r.Context())
		})
		s.do("GET", "/x")
		assert.Equal(t, "same=true handler:argument:x:true end", ran.take())
	})
}

// TestC36ContextHandlersRequestFollowsTheContext has middleware pass on the context that it got, with a request that has another context.
func TestC36ContextHandlersRequestFollowsTheContext(t *testing.T) {
	astray := func(next kami.ContextHandler) kami.ContextHandler {
		return kami.HandlerFunc(func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTPContext(ctx, w, r.WithContext(leave(ctx, "request")))
		})
	}
	for name, register := range map[string]func(s *stack){
		"before the handler": func(*stack) {},
		"before another":     func(s *stack) { s.use("/", func(next http.Handler) http.Handler { return next }) },
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *stack) {
				var ran trail
				s.use("/", astray)
				register(s)
				s.get("/:p", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
					ran.add("handler:%s:%v", left(ctx, "request"), ctx == r.Context())
				})
				s.do("GET", "/x")
				assert.Equal(t, "handler::true", ran.take())
			})
		})
	}
}

// TestC36MiddlewareMustDescend has middleware return a context without the params.
func TestC36MiddlewareMustDescend(t *testing.T) {
	for name, stranger := range map[string]context.Context{"background": context.Background(), "a value of it": leave(context.Background(), "x"),
		"another request's": httptest.NewRequest("GET", "/", nil).Context(), "uncomparable": loose{context.Background(), make([]int, 1)}} {
		for _, mw := range []any{
			func(context.Context) context.Context { return stranger },
			func(context.Context, http.ResponseWriter, *http.Request) context.Context { return stranger },
		} {
			each(t, func(t *testing.T, s *stack) {
				at, _ := here(), panicOf(func() { s.use("/", mw) })
				s.use("/late/", func(next http.Handler) http.Handler { return next })
				s.get("/:p", nothing)
				for _, path := range []string{"/x", "/late/", "/x"} {
					assert.Equal(t, fmt.Sprintf(`kami: middleware for "/" (%s) returned a context that does not descend from the request's, `+
						"so its params would be lost: derive it from the one that the middleware gets", at),
						panicOf(func() { s.do("GET", path) }), name)
				}
			})
		}
	}
}

// TestC36AfterAContextFromElsewhere has middleware return a context without the request's values, after one that has them.
func TestC36AfterAContextFromElsewhere(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		asked := 0
		s.use("/", func(ctx context.Context) context.Context {
			if asked++; asked == 1 {
				return leave(ctx, "here")
			}
			return leave(context.Background(), "elsewhere")
		})
		s.use("/", func(next http.Handler) http.Handler { return next })
		s.get("/:p", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
			ran.add("handler:%s:%v", left(ctx, "elsewhere"), ctx == r.Context())
		})
		s.do("GET", "/x")
		s.do("GET", "/x")
		assert.Equal(t, "handler::true handler:elsewhere:true", ran.take())
	})
}

func TestC36ContextHandlerFromElsewhere(t *testing.T) {
	for _, ctx := range []context.Context{nil, context.Background()} {
		each(t, func(t *testing.T, s *stack) {
			astray := func(next kami.ContextHandler) kami.ContextHandler {
				return contextHandlerOf{func(_ context.Context, w http.ResponseWriter, r *http.Request) {
					next.ServeHTTPContext(ctx, w, r)
				}}
			}
			at, _ := here(), panicOf(func() { s.use("/", astray) })
			assert.Equal(t, fmt.Sprintf(`kami: middleware for "/" (%s) called its next handler with a context `+
				"that does not descend from the request's", at), panicOf(func() { s.do("GET", "/") }))
		})
	}
}

func TestC36WildcardScopesSeeTheirParams(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/users/:user/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			ran.add("%s", "wrapper"+values(r.Context(), []string{"user", "id", "file"}))
			next.ServeHTTP(w, r)
			ran.add("%s", "end"+values(r.Context(), []string{"user"}))
		}))
		s.use("/users/*rest", ran.middleware("m", "rest", "user"))
		s.get("/users/:id/*file", ran.handler("handler", "id", "file", "user"))
		s.do("GET", "/users/7/a/b")
		assert.Equal(t, "m(rest=7/a/b,user=) wrapper(user=7,id=7,file=a/b) handler(id=7,file=a/b,user=7) end(user=7)",
			ran.take())
	})
}

func TestC36WildcardScopeBehindAStaticOne(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		tells := around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			ran.add("%s", kami.Param(r.Context(), "p"))
			next.ServeHTTP(w, r)
		})
		s.use("/", tells)
		s.use("/*p", tells)
		s.use("/:p/", tells)
		s.get("/:q/:p", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { ran.add("%s", kami.Param(ctx, "p")) })
		s.do("GET", "/a/b")
		assert.Equal(t, "b a/b a b", ran.take())
	})
}

func TestC36AfterwareSeesWhatABranchReached(t *testing.T) {
	names := []string{"before", "wrapper", "later", "inner", "last", "never"}
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		s.use("/", leaves("before"))
		s.use("/", cancelling("wrapper"))
		s.use("/", leaves("later"))
		s.use("/", cancelling("inner"))
		s.use("/", leaves("last"))
		s.use("/", func(ctx context.Context) context.Context { return nil })
		s.use("/", leaves("never"))
		show := func(who string, ctx context.Context) {
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			ran.add("%s:%s:%v,%v,%v", who, left(ctx, names...), ctx.Err(), context.Cause(ctx), derived.Err())
			_, limited := ctx.Deadline()
			assert.False(t, limited, who)
		}
		s.after("/", func(ctx context.Context) context.Context { show("after", ctx); return ctx })
		*s.logHandler = func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) { show("log", ctx) }
		s.do("GET", "/")
		all := "before,wrapper,later,inner,last"
		assert.Equal(t, fmt.Sprintf("after:%s:<nil>,<nil>,<nil> log:%[1]s:<nil>,<nil>,<nil>", all), ran.take())
	})
}

func TestC36AfterwareSeesWhatAWrapperPassedOn(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", cancelling("wrapper"))
		s.after("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) context.Context {
			_, _ = fmt.Fprint(w, left(ctx, "wrapper"))
			return ctx
		})
		s.get("/", nothing)
		assert.Equal(t, "wrapper", s.do("GET", "/").Body.String())
	})
}

// TestC36AfterwareHasTheOuterCancellation ends kami.Context after standard middleware has ended its own context.
func TestC36AfterwareHasTheOuterCancellation(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var cancel context.CancelCauseFunc
		*s.context, cancel = context.WithCancelCause(context.Background())
		s.use("/", cancelling("wrapper"))
		s.after("/", func(ctx context.Context) context.Context {
			derived, stop := context.WithCancel(ctx)
			defer stop()
			require.NoError(t, ctx.Err())
			require.NoError(t, derived.Err())
			cancel(io.EOF)
			<-ctx.Done()
			<-derived.Done()
			assert.Equal(t, io.EOF, context.Cause(ctx))
			assert.Equal(t, io.EOF, context.Cause(derived))
			return ctx
		})
		s.do("GET", "/")
		assert.Equal(t, io.EOF, context.Cause(*s.context), "the afterware ran")
	})
}

// cancelling returns standard middleware that leaves a mark, and cancels its context when it ends.
func cancelling(name string) standard {
	return around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		ctx, cancel := context.WithTimeout(leave(r.Context(), name), time.Hour)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func TestC36CancellationReachesWhatIsWrapped(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			ctx, cancel := context.WithCancelCause(r.Context())
			cancel(io.EOF)
			next.ServeHTTP(w, r.WithContext(ctx))
		}))
		s.use("/", pass)
		s.get("/", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			<-ctx.Done()
			_, _ = fmt.Fprint(w, ctx.Err(), ": ", context.Cause(ctx))
		})
		assert.Equal(t, "context canceled: EOF", s.do("GET", "/").Body.String())
	})
}

func TestC36ConcurrentRequestsShareIt(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		s.use("/:id", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(leave(r.Context(), kami.Param(r.Context(), "id"))))
		}))
		s.get("/:id", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, left(ctx, kami.Param(ctx, "id")))
		})
		var clients sync.WaitGroup
		for client := range 4 {
			clients.Go(func() {
				for n := range 100 {
					want := fmt.Sprintf("%d-%d", client, n)
					if got := s.do("GET", "/"+want).Body.String(); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
			})
		}
		clients.Wait()
	})
}

// Types defined by the accepted ones.
type (
	ownMiddleware      func(context.Context, http.ResponseWriter, *http.Request) context.Context
	ownVanilla         func(http.ResponseWriter, *http.Request) context.Context
	ownRequest         func(context.Context, *http.Request) context.Context
	ownContext         func(context.Context) context.Context
	ownStandard        func(http.Handler) http.Handler
	ownHandlerToFunc   func(http.Handler) http.HandlerFunc
	ownFuncToFunc      func(http.HandlerFunc) http.HandlerFunc
	ownContextStandard func(kami.ContextHandler) kami.ContextHandler
	ownFunc            func(http.ResponseWriter, *http.Request)
	ownContextFunc     func(context.Context, http.ResponseWriter, *http.Request)
	ownAfterware       func(context.Context, mutil.WriterProxy, *http.Request) context.Context
	ownProxyContext    func(mutil.WriterProxy, *http.Request) context.Context
	ownProxy           func(mutil.WriterProxy, *http.Request)
	ownLogger          func(context.Context, mutil.WriterProxy, *http.Request)
)

// handlerOf is an http.Handler of a struct type.
type handlerOf struct {
	f func(http.ResponseWriter, *http.Request)
}

func (h handlerOf) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.f(w, r) }

// contextHandlerOf is a ContextHandler of a struct type.
type contextHandlerOf struct {
	f func(context.Context, http.ResponseWriter, *http.Request)
}

func (h contextHandlerOf) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	h.f(ctx, w, r)
}

// wares are functions of each type that both Use and After take. They note "ware", and leave a mark if their type returns a context.
type wares struct {
	middleware func(context.Context, http.ResponseWriter, *http.Request) context.Context
	vanilla    func(http.ResponseWriter, *http.Request) context.Context
	request    func(context.Context, *http.Request) context.Context
	context    func(context.Context) context.Context
	readOnly   func(http.ResponseWriter, *http.Request)
}

func (t *trail) wares() wares {
	note := func(ctx context.Context) context.Context { t.add("ware"); return leave(ctx, "ware") }
	return wares{
		func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) context.Context { return note(ctx) },
		func(_ http.ResponseWriter, r *http.Request) context.Context { return note(r.Context()) },
		func(ctx context.Context, _ *http.Request) context.Context { return note(ctx) },
		note,
		func(_ http.ResponseWriter, r *http.Request) { *r = *r.WithContext(note(r.Context())) },
	}
}

// writers are the types that can leave a mark, readers the types that cannot.
func (w wares) writers() []any {
	return []any{kami.Middleware(w.middleware), w.middleware, ownMiddleware(w.middleware), w.vanilla, ownVanilla(w.vanilla),
		w.request, ownRequest(w.request), w.context, ownContext(w.context)}
}

func (w wares) readers() []any {
	return []any{handlerOf{w.readOnly}, &handlerOf{w.readOnly}, http.HandlerFunc(w.readOnly), w.readOnly,
		ownFunc(w.readOnly)}
}

func TestC37MiddlewareTypes(t *testing.T) {
	test := func(t *testing.T, ran *trail, mw any, seen string) {
		t.Run(fmt.Sprintf("%T", mw), func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *stack) {
				s.use("/", mw)
				s.get("/", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
					ran.add("handler:%s:%v", left(ctx, "ware"), ctx == r.Context())
				})
				s.do("GET", "/")
				assert.Equal(t, "ware handler:"+seen+":true", ran.take())
			})
		})
	}
	var ran trail
	for _, mw := range ran.wares().writers() {
		test(t, &ran, mw, "ware")
	}
	for _, mw := range ran.wares().readers() {
		test(t, &ran, mw, "")
	}
	for _, mw := range ran.wrapping() {
		test(t, &ran, mw, "ware")
	}
}

// wrapping returns middleware of each type that takes the next handler.
func (t *trail) wrapping() []any {
	std := around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		t.add("ware")
		next.ServeHTTP(w, r.WithContext(leave(r.Context(), "ware")))
	})
	toFunc := func(next http.Handler) http.HandlerFunc { return std(next).ServeHTTP }
	funcToFunc := func(next http.HandlerFunc) http.HandlerFunc { return toFunc(next) }
	withContext := func(next kami.ContextHandler) kami.ContextHandler {
		return contextHandlerOf{func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			t.add("ware")
			next.ServeHTTPContext(leave(ctx, "ware"), w, r)
		}}
	}
	return []any{std, ownStandard(std), toFunc, ownHandlerToFunc(toFunc), funcToFunc, ownFuncToFunc(funcToFunc),
		withContext, ownContextStandard(withContext)}
}

func TestC37AfterwareTypes(t *testing.T) {
	var ran trail
	note := func(ctx context.Context) context.Context { ran.add("ware"); return leave(ctx, "ware") }
	afterware := func(ctx context.Context, _ mutil.WriterProxy, _ *http.Request) context.Context { return note(ctx) }
	proxyContext := func(_ mutil.WriterProxy, r *http.Request) context.Context { return note(r.Context()) }
	proxy := func(_ mutil.WriterProxy, r *http.Request) { note(r.Context()) }
	test := func(aw any, seen string) {
		t.Run(fmt.Sprintf("%T", aw), func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *stack) {
				s.after("/", func(ctx context.Context) context.Context { ran.add("first:%s", left(ctx, "ware")); return ctx })
				s.after("/", aw)
				s.get("/", ran.handler("handler"))
				s.do("GET", "/")
				assert.Equal(t, "handler ware first:"+seen, ran.take())
			})
		})
	}
	writers := []any{kami.Afterware(afterware), afterware, ownAfterware(afterware), proxyContext,
		ownProxyContext(proxyContext)}
	for _, aw := range append(writers, ran.wares().writers()...) {
		test(aw, "ware")
	}
	logger := func(_ context.Context, w mutil.WriterProxy, r *http.Request) { proxy(w, r) }
	for _, aw := range append([]any{proxy, ownProxy(proxy), logger, ownLogger(logger)}, ran.wares().readers()...) {
		test(aw, "")
	}
}

func TestC37ReadOnlyChangesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		spoil := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Ran", "in its place")
			*r = *httptest.NewRequest("DELETE", "/elsewhere", nil).WithContext(leave(r.Context(), "ware"))
		}
		replace := func(_ http.ResponseWriter, r *http.Request) {
			r.Method, r.URL, r.Header, r.Body, r.Pattern, r.Host = "DELETE", nil, nil, nil, "", ""
		}
		for _, path := range []string{"/", "/:p"} {
			s.use(path, spoil)
			s.use(path, replace)
			s.use(path, handlerOf{spoil})
		}
		s.handle("POST", "/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s %s ", r.Method, r.URL, r.Host, r.Pattern)
			_, _ = fmt.Fprintf(w, "%s %s %q", r.Header.Get("X-Sent"), body, left(ctx, "ware"))
		})
		r := httptest.NewRequest("POST", "/7?q", strings.NewReader("body"))
		r.Header.Set("X-Sent", "header")
		w := s.serve(r)
		assert.Equal(t, `POST /7?q example.com /:id header body ""`, w.Body.String())
		assert.Equal(t, "in its place", w.Header().Get("X-Ran"))
	})
}

func TestC37NilHalts(t *testing.T) {
	halt := func(context.Context) context.Context { return nil }
	for _, mw := range []any{
		kami.Middleware(func(context.Context, http.ResponseWriter, *http.Request) context.Context { return nil }),
		func(http.ResponseWriter, *http.Request) context.Context { return nil },
		func(context.Context, *http.Request) context.Context { return nil },
		halt, ownContext(halt),
	} {
		t.Run(fmt.Sprintf("%T", mw), func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *stack) {
				var ran trail
				s.use("/", mw)
				s.get("/", ran.handler("handler"))
				s.after("/", ran.afterware("first"))
				s.after("/", mw) // changes nothing there
				s.do("GET", "/")
				assert.Equal(t, "first", ran.take())
			})
		})
	}
}

// misfit is a value that cannot be registered, and its name in the message.
type misfit struct {
	ware any
	name string
}

// unsupported are types that neither Use nor After takes.
var unsupported = []misfit{
	{7, "int"},
	{"text", "string"},
	{struct{}{}, "struct {}"},
	{func() {}, "func()"},
	{func(context.Context) {}, "func(context.Context)"},
	{func(...context.Context) context.Context { return nil }, "func(...context.Context) context.Context"},
	{ownContextFunc(nothingWithContext), "kami_test.ownContextFunc"},
	{nothingWithContext, "func(context.Context, http.ResponseWriter, *http.Request)"},
	{kami.HandlerFunc(nothingWithContext), "kami.HandlerFunc"},
	{contextHandlerOf{}, "kami_test.contextHandlerOf"},
	{func(http.ResponseWriter, *http.Request) error { return nil }, "func(http.ResponseWriter, *http.Request) error"},
	{func(http.Handler) {}, "func(http.Handler)"},
	{func(h http.Handler) (http.Handler, error) { return h, nil }, "func(http.Handler) (http.Handler, error)"},
	{func(h kami.HandlerFunc) kami.HandlerFunc { return h }, "func(kami.HandlerFunc) kami.HandlerFunc"},
	{&ownStandardPointer, "*kami_test.ownStandard"},
}

var ownStandardPointer ownStandard

func nothingWithContext(context.Context, http.ResponseWriter, *http.Request) {}

func TestC37UnsupportedTypes(t *testing.T) {
	afterwareOnly := []misfit{
		{func(mutil.WriterProxy, *http.Request) {}, "func(mutil.WriterProxy, *http.Request)"},
		{func(context.Context, mutil.WriterProxy, *http.Request) {}, "func(context.Context, mutil.WriterProxy, *http.Request)"},
		{new(trail).afterware(""), "kami.Afterware"},
	}
	everywhere(t, func(t *testing.T, s *stack) {
		for _, test := range append(afterwareOnly, unsupported...) {
			at, got := here(), panicOf(func() { s.use("/a/:b", test.ware) })
			rule := test.name + " is no type of middleware; " + acceptedMiddleware
			assert.Equal(t, refusal(`middleware for "/a/:b"`, at, rule), got)
		}
		for _, test := range unsupported {
			at, got := here(), panicOf(func() { s.after("/a/:b", test.ware) })
			rule := test.name + " is no type of afterware; " + acceptedAfterware
			assert.Equal(t, refusal(`afterware for "/a/:b"`, at, rule), got)
		}
	})
}

func TestC36AfterRefusesWrappingTypes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		var ran trail
		for _, aw := range ran.wrapping() {
			at, got := here(), panicOf(func() { s.after("/", aw) })
			rule := fmt.Sprintf("%T is no type of afterware; %s", aw, acceptedAfterware)
			assert.Equal(t, refusal(`afterware for "/"`, at, rule), got)
		}
		s.do("GET", "/")
		assert.Empty(t, ran.take())
	})
}

func TestC37NilWares(t *testing.T) {
	common := []any{nil, kami.Middleware(nil), (func(context.Context) context.Context)(nil), http.HandlerFunc(nil),
		(func(http.ResponseWriter, *http.Request))(nil), http.Handler(nil), (*handlerOf)(nil), (*kami.Mux)(nil),
		ownContext(nil)}
	wrapping := []any{standard(nil), ownStandard(nil), ownFuncToFunc(nil), ownContextStandard(nil)}
	everywhere(t, func(t *testing.T, s *stack) {
		for _, mw := range append(wrapping, common...) {
			at, got := here(), panicOf(func() { s.use("/", mw) })
			assert.Equal(t, refusal(`middleware for "/"`, at, "the middleware must not be nil"), got, "%T", mw)
		}
		for _, aw := range append([]any{kami.Afterware(nil), ownProxy(nil)}, common...) {
			at, got := here(), panicOf(func() { s.after("/", aw) })
			assert.Equal(t, refusal(`afterware for "/"`, at, "the afterware must not be nil"), got, "%T", aw)
		}
		assert.Equal(t, "404", outcome(s.do("GET", "/")))
	})
}

func TestC36NilFromAConstructor(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		for _, mw := range []any{
			func(http.Handler) http.Handler { return nil },
			func(http.Handler) http.Handler { return (*handlerOf)(nil) },
			func(http.Handler) http.HandlerFunc { return nil },
			func(http.HandlerFunc) http.HandlerFunc { return nil },
			func(kami.ContextHandler) kami.ContextHandler { return nil },
			ownStandard(func(http.Handler) http.Handler { return nil }),
		} {
			at, got := here(), panicOf(func() { s.use("/", mw) })
			assert.Equal(t, refusal(`middleware for "/"`, at, "the middleware must not return a nil handler"), got, "%T", mw)
		}
		assert.Equal(t, "404", outcome(s.do("GET", "/")))
	})
}

func TestC36APanickingConstructor(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		assert.Equal(t, "constructor", panicOf(func() { s.use("/", func(http.Handler) http.Handler { panic("constructor") }) }))
		s.echoes("GET /")
		assert.Equal(t, "200 GET /", outcome(s.do("GET", "/")))
	})
}

// both is a handler with and without context.
type both struct {
	handlerOf
	contextHandlerOf
}

func TestC26HandlerTypes(t *testing.T) {
	var ran trail
	handler := func(w http.ResponseWriter, r *http.Request) {
		ran.add("handler")
		_, _ = fmt.Fprint(w, left(r.Context(), "middleware"), " ", kami.Param(r.Context(), "scope"))
	}
	withContext := func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, ctx, r.Context())
		handler(w, r)
	}
	never := func(http.ResponseWriter, *http.Request) { ran.add("not this one") }
	nested := kami.New()
	for _, method := range []string{"GET", "POST"} {
		nested.Handle(method, "/*rest", withContext)
	}
	for _, h := range []any{
		contextHandlerOf{withContext}, &contextHandlerOf{withContext}, kami.HandlerFunc(withContext), withContext,
		ownContextFunc(withContext), handlerOf{handler}, &handlerOf{handler}, http.HandlerFunc(handler), handler,
		ownFunc(handler), both{handlerOf{never}, contextHandlerOf{withContext}}, nested,
	} {
		t.Run(fmt.Sprintf("%T", h), func(t *testing.T) {
			everywhere(t, func(t *testing.T, s *stack) {
				s.use("/", leaves("middleware"))
				s.use("/:scope", leaves("wild"))
				s.get("/route", h)
				s.notFound(h)
				s.methodNotAllowed(h)
				for _, request := range [][2]string{{"GET", "/route"}, {"GET", "/none"}, {"POST", "/route"}} {
					w := s.do(request[0], request[1])
					assert.Equal(t, "middleware "+request[1][1:], w.Body.String(), request)
					assert.Equal(t, "handler", ran.take(), request)
				}
			})
		})
	}
}

// TestC36AbandonedRequestMayChange has handlers change their request in place while afterware runs.
func TestC36AbandonedRequestMayChange(t *testing.T) {
	everywhere(t, func(t *testing.T, s *stack) {
		began, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s.use("/", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				go func() { defer close(done); next.ServeHTTP(httptest.NewRecorder(), r) }()
				<-began
				close(release)
			})
		})
		s.use("/", func(ctx context.Context) context.Context { return leave(ctx, "branch") })
		s.after("/", func(ctx context.Context) context.Context {
			assert.Equal(t, "branch", ctx.Value(mark("branch")))
			return ctx
		})
		s.get("/", func(_ context.Context, _ http.ResponseWriter, r *http.Request) {
			close(began)
			<-release
			*r = *r.WithContext(leave(r.Context(), "late"))
		})
		s.do("GET", "/")
		<-done
	})
}

// echoHandler answers with nothing.
type echoHandler struct{}

func (echoHandler) ServeHTTP(http.ResponseWriter, *http.Request) {}

// upload posts a form whose file is larger than the memory for forms.
func upload(t *testing.T, url string) {
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	part, err := writer.CreateFormFile("file", "name")
	require.NoError(t, err)
	_, err = part.Write(make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	response, err := http.Post(url, writer.FormDataContentType(), &form)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// TestC36AbandonedWithTheSameRequest has middleware pass its request to a handler that it does not wait for. The handler changes
// that request while the middleware, afterware and hooks around it go on.
func TestC36AbandonedWithTheSameRequest(t *testing.T) {
	router := http.NewServeMux()
	router.HandleFunc("/a/{b}", func(http.ResponseWriter, *http.Request) {})
	for name, change := range map[string]http.HandlerFunc{
		"router":     router.ServeHTTP,
		"form":       func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseForm() },
		"multipart":  func(_ http.ResponseWriter, r *http.Request) { r.MultipartForm = new(multipart.Form) },
		"path value": func(_ http.ResponseWriter, r *http.Request) { r.SetPathValue("a", "b") },
	} {
		for of := range 4 {
			second, observed := of&1 != 0, of&2 != 0
			t.Run(fmt.Sprint(name, second, observed), func(t *testing.T) {
				everywhere(t, func(t *testing.T, s *stack) {
					began, done := make(chan struct{}), make(chan struct{})
					if second {
						s.use("/", func(ctx context.Context) context.Context { return ctx })
					}
					s.use("/", around(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
						go func() {
							defer close(done)
							next.ServeHTTP(httptest.NewRecorder(), r)
						}()
						<-began
					}))
					s.handle("POST", "/*path", func(_ context.Context, w http.ResponseWriter, r *http.Request) {
						close(began)
						change(w, r)
					})
					if observed {
						s.after("/", func(ctx context.Context, r *http.Request) context.Context {
							assert.Equal(t, "/*path", r.Pattern)
							return context.WithValue(ctx, ctxKey{}, 1)
						})
						*s.logHandler = func(context.Context, mutil.WriterProxy, *http.Request) {}
					}
					s.do("POST", "/a/b")
					<-done
				})
			})
		}
	}
}

// TestFilesOfFormsAreRemoved checks that the files of forms are removed as in net/http, although handlers see copies of its request.
func TestFilesOfFormsAreRemoved(t *testing.T) {
	var files string
	parse := func(r *http.Request) {
		require.NoError(t, r.ParseMultipartForm(1))
		there, err := os.ReadDir(files)
		require.NoError(t, err)
		require.Len(t, there, 1)
	}
	parseEarly := func(ctx context.Context, r *http.Request) context.Context { parse(r); return ctx }
	handler := func(_ context.Context, _ http.ResponseWriter, r *http.Request) { parse(r) }
	value := func(ctx context.Context) context.Context { return context.WithValue(ctx, ctxKey{}, 1) }
	standard := func(next http.Handler) http.Handler { return next }
	for name, register := range map[string]func(s *stack){
		"handler":    func(s *stack) { s.handle("POST", "/", handler) },
		"copies":     func(s *stack) { s.use("/", value); s.handle("POST", "/", handler) },
		"branch":     func(s *stack) { s.use("/", standard); s.handle("POST", "/", handler) },
		"middleware": func(s *stack) { s.use("/", parseEarly); s.use("/", value); s.handle("POST", "/", echo("")) },
		"before a branch": func(s *stack) {
			s.use("/", parseEarly)
			s.use("/", standard)
			s.handle("POST", "/", func(_ context.Context, _ http.ResponseWriter, r *http.Request) { parse(r) })
			s.after("/", func(ctx context.Context, r *http.Request) context.Context { parse(r); return ctx })
		},
		"in a branch, before another": func(s *stack) {
			s.use("/", standard)
			s.use("/", parseEarly)
			s.use("/", standard)
			s.handle("POST", "/", handler)
		},
		"before a branch that halts": func(s *stack) {
			s.use("/", parseEarly)
			s.use("/", func(http.Handler) http.Handler { return echoHandler{} })
		},
		"standard that halts": func(s *stack) {
			s.use("/", func(http.Handler) http.Handler {
				return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { parse(r) })
			})
		},
		"read only": func(s *stack) {
			s.use("/", func(_ http.ResponseWriter, r *http.Request) { parse(r) })
			s.handle("POST", "/", echo(""))
		},
		"afterware": func(s *stack) {
			s.use("/", func(context.Context) context.Context { return nil })
			s.after("/", func(ctx context.Context, r *http.Request) context.Context { parse(r); return ctx })
		},
		"panic": func(s *stack) {
			*s.panicHandler = echo("caught")
			s.handle("POST", "/", func(_ context.Context, _ http.ResponseWriter, r *http.Request) { parse(r); panic("boom") })
		},
		"panic in a branch": func(s *stack) {
			s.use("/", func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() { assert.Equal(t, "boom", recover()) }()
					next.ServeHTTP(w, r)
				})
			})
			s.handle("POST", "/", func(_ context.Context, _ http.ResponseWriter, r *http.Request) { parse(r); panic("boom") })
		},
		"halt": func(s *stack) {
			s.use("/", func(_ context.Context, r *http.Request) context.Context { parse(r); return nil })
		},
		"standard, before next": func(s *stack) {
			s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				parse(r)
				next.ServeHTTP(w, r)
				parse(r)
			}))
			s.use("/", value)
			s.handle("POST", "/", handler)
		},
		"standard, after next": func(s *stack) {
			s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(w, r)
				parse(r)
			}))
			s.handle("POST", "/", echo(""))
		},
		"before a branch with a clone": func(s *stack) {
			s.use("/", parseEarly)
			s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(w, r.Clone(r.Context()))
				parse(r)
			}))
			s.handle("POST", "/", handler)
			s.after("/", func(ctx context.Context, r *http.Request) context.Context { parse(r); return ctx })
		},
		"afterware after a branch": func(s *stack) {
			s.use("/", standard)
			s.handle("POST", "/", echo(""))
			s.after("/*x", func(ctx context.Context, r *http.Request) context.Context { parse(r); return ctx })
		},
		"panic handler after a branch": func(s *stack) {
			s.use("/", standard)
			s.handle("POST", "/", func(context.Context, http.ResponseWriter, *http.Request) { panic("boom") })
			*s.panicHandler = func(w http.ResponseWriter, r *http.Request) { parse(r); w.WriteHeader(http.StatusOK) }
		},
		"after a timeout within": func(s *stack) {
			began, release := make(chan struct{}), make(chan struct{})
			t.Cleanup(func() { close(release) })
			s.use("/", around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(w, r)
				parse(r)
			}))
			s.use("/", around(func(_ http.ResponseWriter, r *http.Request, next http.Handler) { // as http.TimeoutHandler goes on
				go next.ServeHTTP(httptest.NewRecorder(), r.WithContext(r.Context()))
				<-began
			}))
			s.handle("POST", "/", func(_ context.Context, _ http.ResponseWriter, r *http.Request) {
				close(began)
				<-release
				_ = r.ParseMultipartForm(1)
			})
		},
		"nested": func(s *stack) {
			inner := kami.New()
			inner.Post("/", handler)
			s.use("/", value)
			s.handle("POST", "/", inner)
		},
	} {
		for _, known := range []bool{true, false} { // net/http/fcgi says 0 of lengths that it does not know
			t.Run(fmt.Sprintf("%s, length known: %v", name, known), func(t *testing.T) {
				everywhere(t, func(t *testing.T, s *stack) {
					files = t.TempDir()
					t.Setenv("TMPDIR", files)
					register(s)
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if !known {
							r.ContentLength = 0
						}
						s.ServeHTTP(w, r)
					}))
					upload(t, server.URL)
					server.Close() // which waits for the request's end
					left, err := os.ReadDir(files)
					require.NoError(t, err)
					assert.Empty(t, left)
				})
			})
		}
	}
}
