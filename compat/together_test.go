package compat

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// together is a whole stack of middleware on one scope, which records what happens:
// RequestID, Logger, Recoverer, Compress, "between", TimeoutHandler, "inner".
type together struct {
	*stack
	t    *testing.T
	seen journal
	ends <-chan end
	out  chan struct{} // closed when time runs out
}

// page is long enough to be worth compressing.
var page = strings.Repeat("kami and the gods of paper ", 100)

func newTogether(t *testing.T, s *stack, scope string) *together {
	all := &together{stack: s, t: t, ends: s.ends(t), out: make(chan struct{})}
	logged := *s.logHandler
	*s.logHandler = func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		all.see("log", ctx, r)
		logged(ctx, w, r)
	}
	s.noPanics(t)
	s.use(scope, middleware.RequestID)
	s.use(scope, middleware.RequestLogger(all))
	s.use(scope, middleware.Recoverer)
	s.use(scope, middleware.Compress(5))
	s.use(scope, func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		all.see("between", ctx, r)
		return context.WithValue(&clock{ctx, all.out}, key("between"), "b")
	})
	s.use(scope, timeout(limit))
	s.use(scope, func(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
		all.see("inner", ctx, r)
		return context.WithValue(ctx, key("inner"), "i")
	})
	s.after(scope, func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
		all.see("afterware", ctx, r)
		return context.WithValue(ctx, key("afterware"), "a")
	})
	return all
}

// see records what a place in the stack sees: the request's id, the values of kami middleware, the param, and whether there is a
// deadline.
func (all *together) see(where string, ctx context.Context, r *http.Request) {
	one(all.t, ctx, r)
	saw := []string{where, middleware.GetReqID(ctx)}
	for _, name := range []string{"between", "inner", "afterware"} {
		if value, ok := ctx.Value(key(name)).(string); ok {
			saw = append(saw, value)
		}
	}
	if id := kami.Param(ctx, "id"); id != "" {
		saw = append(saw, "id="+id)
	}
	if _, ok := ctx.Deadline(); ok {
		saw = append(saw, "deadline")
	}
	all.seen.add(strings.Join(saw, " "))
}

// handler answers with the page after its param.
func (all *together) handler(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	all.see("handler", ctx, r)
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, kami.Param(ctx, "id"), page)
}

// NewLogEntry, Write and Panic make it chi's log.
func (all *together) NewLogEntry(r *http.Request) middleware.LogEntry {
	all.seen.add("logger begins " + middleware.GetReqID(r.Context()))
	return all
}

func (all *together) Write(status, bytes int, _ http.Header, _ time.Duration, _ any) {
	all.seen.add(fmt.Sprint("logger ends ", status))
}

func (all *together) Panic(v any, _ []byte) { all.seen.add(fmt.Sprint("recovered ", v)) }

// ask asks for a path with gzip. It returns the decoded answer, and what was seen.
func (all *together) ask(c *client, method, path string) (answer, []string) {
	got := c.do(all.t, method, path, middleware.RequestIDHeader, "rid", "Accept-Encoding", "gzip")
	end := receive(all.t, all.ends)
	assert.Equal(all.t, got.StatusCode, end.status, path)
	assert.Equal(all.t, len(got.body), end.bytes, path)
	if got.Header.Get("Content-Encoding") == "gzip" {
		got.body = gunzip(all.t, got.body)
	}
	return got, all.seen.take()
}

// wrapped is what is seen when the stack wraps the handlers, or whatever else, seen there; param is what follows where
// there is one.
func wrapped(status int, param string, handlers ...string) []string {
	return slices.Concat(
		[]string{"logger begins rid", "between rid" + param, "inner rid b" + param + " deadline"},
		handlers,
		[]string{fmt.Sprint("logger ends ", status), "afterware rid b i" + param, "log rid b i a" + param},
	)
}

func TestC36AllTogether(t *testing.T) {
	for _, scope := range []string{"/", "/users/", "/users/:id/", "/:kind/:id/"} {
		t.Run(strings.ReplaceAll(scope, "/", "|"), func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				all := newTogether(t, s, scope)
				s.get("/users/:id/page", all.handler)
				s.get("/users/:id/panic", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
					all.see("handler", ctx, r)
					panic("oh no")
				})
				c := serve(t, s)

				got, seen := all.ask(c, "GET", "/users/7/page")
				assert.Equal(t, http.StatusOK, got.StatusCode)
				assert.Equal(t, "gzip", got.Header.Get("Content-Encoding"))
				assert.Equal(t, "Accept-Encoding", got.Header.Get("Vary"))
				assert.Equal(t, "7"+page, got.body)
				assert.Equal(t, wrapped(200, " id=7", "handler rid b i id=7 deadline"), seen)

				got, seen = all.ask(c, "GET", "/users/8/panic")
				assert.Equal(t, http.StatusInternalServerError, got.StatusCode)
				assert.Empty(t, got.body)
				assert.Equal(t, wrapped(500, " id=8", "handler rid b i id=8 deadline", "recovered oh no"), seen)

				// Paths without a route are wrapped too. Only a scope with the param knows the param then.
				param := ""
				if strings.Contains(scope, ":id") {
					param = " id=9"
				}
				for _, tt := range []struct {
					method, path, name, value string
					status                    int
				}{
					{"GET", "/users/9/nothing", "Content-Type", "text/plain; charset=utf-8", 404},
					{"PUT", "/users/9/page", "Allow", "GET, HEAD, OPTIONS", 405},
					{"OPTIONS", "/users/9/page", "Allow", "GET, HEAD, OPTIONS", 204},
					{"GET", "/users/9/page/", "Location", "/users/9/page", 301},
					{"POST", "/users/9/./page", "Location", "/users/9/page", 307},
					{"GET", "/users/9/x/../page", "Location", "/users/9/page", 301},
				} {
					got, seen := all.ask(c, tt.method, tt.path)
					assert.Equal(t, tt.status, got.StatusCode, tt)
					assert.Equal(t, tt.value, got.Header.Get(tt.name), tt)
					assert.Equal(t, wrapped(tt.status, param), seen, tt)
				}
			})
		})
	}
}

func TestC36AllTogetherElsewhere(t *testing.T) {
	for _, scope := range []string{"/api/", "/api/:id/"} {
		t.Run(strings.ReplaceAll(scope, "/", "|"), func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				all := newTogether(t, s, scope)
				s.get("/api/:id/page", all.handler)
				s.get("/site/:id/page", all.handler)
				c := serve(t, s)

				got, seen := all.ask(c, "GET", "/api/7/page")
				assert.Equal(t, "7"+page, got.body)
				assert.Equal(t, wrapped(200, " id=7", "handler rid b i id=7 deadline"), seen)

				got, seen = all.ask(c, "GET", "/site/7/page")
				assert.Equal(t, http.StatusOK, got.StatusCode)
				assert.Empty(t, got.Header.Get("Content-Encoding"))
				assert.Equal(t, "7"+page, got.body)
				assert.Equal(t, []string{"handler  id=7", "log  id=7"}, seen)

				got, seen = all.ask(c, "GET", "/apis/7/page")
				assert.Equal(t, http.StatusNotFound, got.StatusCode)
				assert.Equal(t, []string{"log "}, seen)
			})
		})
	}
}

func TestC36AllTogetherTooSlow(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		all := newTogether(t, s, "/users/:id/")
		release, handled := make(chan struct{}), make(chan string, 1)
		s.get("/users/:id/page", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			all.handler(ctx, w, r)
			close(all.out)
			wait(t, release)
			_, err := fmt.Fprint(w, "late")
			one(t, ctx, r)
			handled <- fmt.Sprintln(kami.Param(ctx, "id"), middleware.GetReqID(ctx), ctx.Value(key("inner")), ctx.Err(), err)
		})
		c := serve(t, s)

		got, seen := all.ask(c, "GET", "/users/7/page")
		assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		assert.Equal(t, tooSlow, got.body)
		assert.Equal(t, wrapped(503, " id=7", "handler rid b i id=7 deadline"), seen)
		close(release)
		assert.Equal(t, fmt.Sprintln("7 rid i", context.DeadlineExceeded, http.ErrHandlerTimeout), receive(t, handled))
		assert.Empty(t, all.seen.take())
	})
}

// A scope's params come first in its middleware and afterware. Elsewhere the route's come first.
func TestC14ParamsWithinStandardMiddleware(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		var seen journal
		see := func(where string) func(context.Context) context.Context {
			return func(ctx context.Context) context.Context {
				seen.add(fmt.Sprintln(where, kami.Param(ctx, "id"), kami.Param(ctx, "kind")))
				return ctx
			}
		}
		wraps := func(where string) func(http.Handler) http.Handler {
			return func(next http.Handler) http.Handler {
				return middleware.RequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					see(where)(r.Context())
					next.ServeHTTP(w, r)
				}))
			}
		}
		ends := s.ends(t)
		s.use("/", wraps("root"))
		s.use("/", timeout(limit))
		s.use("/:id/", wraps("scope"))
		s.use("/:id/", timeout(limit))
		s.use("/:kind/", see("other names"))
		s.use("/:id/", wraps("last"))
		s.get("/users/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			see("handler")(ctx)
		})
		c := serve(t, s)

		want := []string{
			"root 7 \n",
			"scope users \n",
			"other names 7 users\n",
			"last users users\n",
			"handler 7 users\n",
			"LogHandler 7 users\n",
		}
		assert.Equal(t, http.StatusOK, c.get(t, "/users/7").StatusCode)
		see("LogHandler")(receive(t, ends).ctx)
		assert.Equal(t, want, seen.take())

		s.after("/", see("afterware of root"))
		s.after("/:id/", see("afterware of scope"))
		want = slices.Insert(want, 5, "afterware of scope users users\n", "afterware of root 7 users\n")
		assert.Equal(t, http.StatusOK, c.get(t, "/users/7").StatusCode)
		see("LogHandler")(receive(t, ends).ctx)
		assert.Equal(t, want, seen.take())
	})
}

// Each request gets its own answer. This is for the race detector too.
func TestC13AllTogetherAtOnce(t *testing.T) {
	const askers, questions = 64, 4
	for _, logged := range []bool{true, false} {
		t.Run(fmt.Sprint("LogHandler ", logged), func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				all := newTogether(t, s, "/users/:id/")
				if !logged {
					*s.logHandler, *s.panicHandler = nil, nil
				}
				s.get("/users/:id/page", all.handler)
				c := serve(t, s)

				failed := make(chan error, askers)
				ask := func(id string) error {
					got, err := c.ask("GET", "/users/"+id+"/page", middleware.RequestIDHeader, "rid-"+id, "Accept-Encoding", "gzip")
					if err != nil {
						return err
					}
					if body := gunzip(t, got.body); body != id+page {
						return fmt.Errorf("%s got the body %.40q", id, body)
					}
					return nil
				}
				var wg sync.WaitGroup
				for asker := range askers {
					wg.Go(func() {
						for question := range questions {
							if err := ask(strconv.Itoa(asker*questions + question)); err != nil {
								failed <- err
								return
							}
						}
					})
				}
				wg.Wait()
				close(failed)
				for err := range failed {
					t.Error(err)
				}

				var want []string
				for i := range askers * questions {
					rid, id := fmt.Sprint(" rid-", i), fmt.Sprint(" id=", i)
					want = append(want, "logger begins"+rid, "between"+rid+id, "inner"+rid+" b"+id+" deadline",
						"handler"+rid+" b i"+id+" deadline", "logger ends 200", "afterware"+rid+" b i"+id)
					if logged {
						end := receive(t, all.ends)
						require.Equal(t, http.StatusOK, end.status)
						require.Equal(t, middleware.GetReqID(end.ctx), "rid-"+kami.Param(end.ctx, "id"))
						want = append(want, "log"+rid+" b i a"+id)
					}
				}
				seen := all.seen.take()
				slices.Sort(want)
				slices.Sort(seen)
				assert.Equal(t, want, seen)
			})
		})
	}
}
