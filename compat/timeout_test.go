package compat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/mutil"
	"github.com/stretchr/testify/assert"
)

const tooSlow = "too slow"

// timeout is http.TimeoutHandler as middleware.
func timeout(after time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return http.TimeoutHandler(next, after, tooSlow) }
}

// clock makes the timeout happen when a test wants it.
type clock struct {
	context.Context
	out chan struct{}
}

func (c *clock) Done() <-chan struct{} { return c.out }

func (c *clock) Err() error {
	select {
	case <-c.out:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// stops returns middleware with a timeout that happens when out is closed.
func stops(out chan struct{}) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return &clock{ctx, out} }
}

func TestC36TimeoutHandlerFast(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		after := make(chan string, 16)
		ends := s.ends(t)
		s.use("/", timeout(limit))
		s.use("/", set("within", "w"))
		s.after("/", func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
			one(t, ctx, r)
			after <- fmt.Sprintln(w.Status(), w.BytesWritten(), kami.Param(ctx, "id"), ctx.Value(key("within")))
			return ctx
		})
		s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			w.Header().Set("X-Id", kami.Param(ctx, "id"))
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, ctx.Value(key("within")), r.Pattern)
		})
		s.get("/empty/:id", func(http.ResponseWriter, *http.Request) {})
		c := serve(t, s)

		got := c.get(t, "/7")
		assert.Equal(t, http.StatusCreated, got.StatusCode)
		assert.Equal(t, "7", got.Header.Get("X-Id"))
		assert.Equal(t, "w/:id", got.body)
		assert.Equal(t, "201 5 7 w\n", receive(t, after))
		end := receive(t, ends)
		assert.Equal(t, http.StatusCreated, end.status)
		assert.Equal(t, "w", end.ctx.Value(key("within")))
		assert.NoError(t, end.ctx.Err(), "TimeoutHandler's context has ended, not the request's")

		assert.Equal(t, http.StatusOK, c.get(t, "/empty/8").StatusCode)
		assert.Equal(t, http.StatusOK, receive(t, ends).status)
		assert.Equal(t, "200 0 8 w\n", receive(t, after))
	})
}

// The handler blocks until the answer has come and afterware and LogHandler have run.
func TestC36TimeoutHandlerSlow(t *testing.T) {
	for name, short := range map[string]bool{"time is short": true, "time runs out in the handler": false} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *stack) {
				out, started, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
				handled, after := make(chan string, 16), make(chan string, 16)
				ends := s.ends(t)
				s.noPanics(t)
				s.use("/", set("before", "b"))
				if short {
					s.use("/", timeout(time.Millisecond))
				} else {
					s.use("/", stops(out))
					s.use("/", timeout(limit))
				}
				s.use("/", set("within", "w"))
				s.after("/", func(ctx context.Context, w mutil.WriterProxy, r *http.Request) context.Context {
					one(t, ctx, r)
					after <- fmt.Sprintln(w.Status(), kami.Param(ctx, "id"), ctx.Value(key("before")))
					return ctx
				})
				s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
					close(started)
					wait(t, release)
					one(t, ctx, r)
					w.Header().Set("X-Late", "yes")
					w.WriteHeader(http.StatusTeapot)
					_, err := fmt.Fprint(w, "late")
					handled <- fmt.Sprintln(err, ctx.Err(), kami.Param(ctx, "id"), r.Pattern, r.URL.Path,
						ctx.Value(key("before")), ctx.Value(key("within")))
				})
				c := serve(t, s)

				if !short {
					go func() { wait(t, started); close(out) }()
				}
				got := c.get(t, "/7")
				assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
				assert.Equal(t, tooSlow, got.body)
				assert.Empty(t, got.Header.Get("X-Late"))
				assert.Equal(t, "503 7 b\n", receive(t, after))
				end := receive(t, ends)
				assert.Equal(t, http.StatusServiceUnavailable, end.status)
				assert.Equal(t, len(tooSlow), end.bytes)
				within := end.ctx.Value(key("within"))
				if !short {
					assert.Equal(t, "w", within, "what the branch had reached")
				}

				wait(t, started)
				empty(t, handled)
				close(release)
				want := fmt.Sprintln(http.ErrHandlerTimeout, context.DeadlineExceeded, "7", "/:id", "/7", "b", "w")
				assert.Equal(t, want, receive(t, handled))
				assert.Equal(t, within, end.ctx.Value(key("within")), "C13: what LogHandler kept is as it was")
				empty(t, after)
				empty(t, ends)
			})
		})
	}
}

// The chain goes on in its goroutine after the answer. Afterware and LogHandler see nothing of that.
func TestC36TimeoutHandlerBetweenMiddleware(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		out, release := make(chan struct{}), make(chan struct{})
		handled := make(chan string, 1)
		ends := s.ends(t)
		s.use("/", stops(out))
		s.use("/", timeout(limit))
		s.use("/", set("first", "1"))
		s.use("/", func(ctx context.Context) context.Context {
			close(out)
			wait(t, release)
			return context.WithValue(ctx, key("second"), "2")
		})
		s.use("/:id", set("third", "3"))
		s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			handled <- fmt.Sprintln(kami.Param(ctx, "id"), r.Pattern,
				ctx.Value(key("first")), ctx.Value(key("second")), ctx.Value(key("third")))
		})
		c := serve(t, s)

		got := c.get(t, "/7")
		assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		end := receive(t, ends)
		assert.Equal(t, http.StatusServiceUnavailable, end.status)
		close(release)
		assert.Equal(t, "7 /:id 1 2 3\n", receive(t, handled))
		assert.Equal(t, "1", end.ctx.Value(key("first")))
		assert.Nil(t, end.ctx.Value(key("second")))
		assert.Equal(t, "7", kami.Param(end.ctx, "id"))
		empty(t, ends)
	})
}

// The goroutine goes on while the request ends. This is for the race detector.
func TestC36TimeoutHandlerAtTheSameTime(t *testing.T) {
	const requests = 50
	overBoth(t, func(t *testing.T, s *stack) {
		handled, after := make(chan string, requests), make(chan string, requests)
		ends := s.ends(t)
		say := func(ctx context.Context) string { return fmt.Sprint(kami.Param(ctx, "id"), ctx.Value(key("first"))) }
		s.use("/", func(ctx context.Context) context.Context {
			out := make(chan struct{})
			return context.WithValue(&clock{ctx, out}, key("out"), out)
		})
		s.use("/", timeout(limit))
		s.use("/", set("first", "1"))
		s.use("/", func(ctx context.Context) context.Context {
			close(ctx.Value(key("out")).(chan struct{}))
			return context.WithValue(ctx, key("second"), "2")
		})
		s.use("/:id", set("third", "3"))
		s.after("/:id", func(ctx context.Context) context.Context {
			after <- say(ctx)
			return context.WithValue(ctx, key("after"), "a")
		})
		s.get("/:id", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Id", kami.Param(ctx, "id"))
			fmt.Fprint(w, say(ctx))
			one(t, ctx, r)
			handled <- say(ctx)
		})
		c := serve(t, s)

		for i := range requests {
			id := strconv.Itoa(i)
			got := c.get(t, "/"+id)
			switch got.StatusCode {
			case http.StatusOK:
				assert.Equal(t, id+"1", got.body)
			case http.StatusServiceUnavailable:
				assert.Equal(t, tooSlow, got.body)
			default:
				t.Error(got.Status)
			}
			assert.Equal(t, id+"1", receive(t, handled))
			assert.Equal(t, id+"1", receive(t, after))
			end := receive(t, ends)
			assert.Equal(t, got.StatusCode, end.status)
			assert.Equal(t, id+"1", say(end.ctx))
			assert.Equal(t, "a", end.ctx.Value(key("after")))
		}
	})
}

func TestC36TimeoutHandlerPanics(t *testing.T) {
	overBoth(t, func(t *testing.T, s *stack) {
		out, release := make(chan struct{}), make(chan struct{})
		caught := make(chan any, 16)
		ends := s.ends(t)
		*s.panicHandler = func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			one(t, ctx, r)
			assert.Equal(t, "7", kami.Param(ctx, "id"))
			assert.Equal(t, "w", ctx.Value(key("within")), "the context reached so far")
			caught <- kami.Exception(ctx)
		}
		s.use("/late/", stops(out))
		s.use("/late/", timeout(limit))
		s.use("/punctual/", timeout(limit))
		s.use("/:which/", set("within", "w"))
		s.get("/punctual/:id", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "this is not sent")
			panic(errors.New("in time"))
		})
		s.get("/late/:id", func(w http.ResponseWriter, r *http.Request) {
			close(out)
			wait(t, release)
			panic("too late")
		})
		c := serve(t, s)

		got := c.get(t, "/punctual/7")
		assert.Equal(t, http.StatusInternalServerError, got.StatusCode)
		assert.Empty(t, got.body)
		assert.EqualError(t, receive(t, caught).(error), "in time")
		assert.Equal(t, http.StatusInternalServerError, receive(t, ends).status)

		got = c.get(t, "/late/7")
		assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		end := receive(t, ends)
		assert.Equal(t, http.StatusServiceUnavailable, end.status)
		close(release)
		assert.Nil(t, kami.Exception(end.ctx))
		assert.Equal(t, http.StatusInternalServerError, c.get(t, "/punctual/7").StatusCode, "it goes on serving")
		receive(t, caught)
		empty(t, caught)
	})
}
