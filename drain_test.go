package kami_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/pipe"
)

// These tests check the order of events, in bubbles with fake time and connections.

// bubbled is a Mux that serves in a bubble.
type bubbled struct {
	*pipe.Listener
	stop     func() // begins a graceful stop, and waits until all have been told
	returned chan struct{}
	logged   bytes.Buffer
}

// serveInBubble serves the mux.
func serveInBubble(t *testing.T, m *kami.Mux) *bubbled {
	ctx, cancel := context.WithCancel(context.Background())
	b := &bubbled{Listener: pipe.Listen(), returned: make(chan struct{}), stop: func() { cancel(); synctest.Wait() }}
	go func() {
		defer close(b.returned)
		assert.NoError(t, m.ServeContext(ctx, b, &http.Server{ErrorLog: log.New(&b.logged, "", 0)}))
	}()
	synctest.Wait()
	return b
}

// newServedMux has the routes that the tests ask for. A channel releases /slow.
func newServedMux() (m *kami.Mux, release chan struct{}) {
	m, release = kami.New(), make(chan struct{})
	m.Get("/slow", func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "slow")
	})
	m.Get("/context", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		<-ctx.Done()
		_, _ = fmt.Fprint(w, ctx.Err(), ", ", context.Cause(ctx))
	})
	return m, release
}

func TestC12DrainTimeoutEndsContexts(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		for _, base := range []string{"no base", "background", "cancellable"} {
			t.Run(fmt.Sprintf("Cancel: %v, %s", cancel, base), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, release := newServedMux()
					m.Cancel = cancel
					m.DrainTimeout = time.Minute
					switch base {
					case "background":
						m.Context = context.Background()
					case "cancellable":
						ctx, end := context.WithCancel(context.Background())
						defer end()
						m.Context = ctx
					}
					l := serveInBubble(t, m)
					deaf, waits := l.Dial(t), l.Dial(t)
					deaf.Send("/slow")
					waits.Send("/context")
					synctest.Wait()
					l.stop()
					start := time.Now()
					assert.True(t, waits.Answer("context canceled, http: Server closed"))
					assert.Equal(t, m.DrainTimeout, time.Since(start))
					pipe.ReturnsAfter(t, 500*time.Millisecond, l.returned)
					assert.Contains(t, l.logged.String(), "kami: 2 connections still open after 1m0s: the contexts of requests end now\n")
					close(release)
					deaf.Ended()
				})
			})
		}
	}
}

// TestC12DrainTimeoutEndsContextsThatNothingElseEnds gives a nested Mux a context that does not end with the server.
func TestC12DrainTimeoutEndsContextsThatNothingElseEnds(t *testing.T) {
	without := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithoutCancel(ctx), func() {}
	}
	for _, cancel := range []bool{false, true} {
		for name, detach := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"without cancel": without,
			"with a cancel of its own": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, _ = without(ctx)
				return context.WithCancel(ctx)
			},
		} {
			for _, base := range []context.Context{nil, t.Context()} {
				t.Run(fmt.Sprintf("%s, Cancel: %v, Context: %v", name, cancel, base != nil), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						if base != nil {
							base = t.Context()
						}
						inner, release := newServedMux()
						defer close(release)
						inner.Context, inner.Cancel = base, cancel
						m := kami.New()
						m.DrainTimeout = time.Minute
						m.Get("/*all", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
							ctx, end := detach(ctx)
							defer end()
							inner.ServeHTTPContext(ctx, w, r)
						})
						l := serveInBubble(t, m)
						waits := l.Dial(t)
						waits.Send("/context")
						synctest.Wait()
						l.stop()
						assert.True(t, waits.Answer("context canceled, http: Server closed"))
						<-l.returned
					})
				})
			}
		}
	}
}

// TestC12DrainTimeoutIsSeenAfterTheRequest has code wait for the end of a request's context after the response.
func TestC12DrainTimeoutIsSeenAfterTheRequest(t *testing.T) {
	for _, bound := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, release := newServedMux()
			defer close(release)
			base, end := context.WithCancel(context.Background())
			defer end()
			m.Context, m.DrainTimeout = base, time.Minute
			var waiting sync.WaitGroup
			inner := kami.New()
			inner.Context = base
			inner.Get("/wait", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
				done := ctx.Done()
				waiting.Go(func() { <-done })
			})
			m.Get("/wait", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
				if !bound {
					ctx = context.WithoutCancel(ctx)
				}
				inner.ServeHTTPContext(ctx, w, r)
			})
			l := serveInBubble(t, m)
			waits := l.Dial(t)
			waits.Send("/wait")
			waits.Answer("")
			runtime.GC()
			waits.Send("/context")
			synctest.Wait()
			l.stop()
			assert.True(t, waits.Answer("context canceled, http: Server closed"))
			waiting.Wait()
			<-l.returned
		})
	}
}

// TestC12ContextsDoNotEndByDraining checks contexts without a limit, and contexts that outlive a stop.
func TestC12ContextsDoNotEndByDraining(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			m := kami.New()
			m.DrainTimeout = timeout
			var got context.Context
			m.Get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) { got = ctx })
			l := serveInBubble(t, m)
			c := l.Dial(t)
			c.Send("/")
			c.Answer("")
			l.stop()
			<-l.returned
			assert.NoError(t, got.Err())
			assert.Equal(t, timeout <= 0, got.Done() == nil)
			_, ends := got.Deadline()
			assert.False(t, ends)
		})
	}
}

func TestDraining(t *testing.T) {
	assert.Nil(t, kami.Draining(context.Background()), "no request of a server of ours")
	synctest.Test(t, func(t *testing.T) {
		outer, inner := kami.New(), kami.New()
		outer.Handle("GET", "/*rest", inner)
		inner.Get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, kami.Draining(ctx), kami.Draining(r.Context()))
			select {
			case <-kami.Draining(ctx):
				_, _ = io.WriteString(w, "draining")
			default:
				_, _ = io.WriteString(w, "serving")
			}
		})
		outer.Get("/", inner)
		l := serveInBubble(t, outer)
		c := l.Dial(t)
		c.Send("/")
		c.Answer("serving")
		l.stop()
		c.Send("/")
		c.Answer("draining")
		<-l.returned
	})
}

func TestServeContextChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe.Listen()
		m, _ := newServedMux()
		var states []http.ConnState
		var logged bytes.Buffer
		type key string
		m.Get("/values", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, ctx.Value(key("base")), ctx.Value(key("conn")), w.Header().Get("Wrapped"))
		})
		srv := &http.Server{
			ErrorLog: log.New(&logged, "", 0),
			BaseContext: func(got net.Listener) context.Context {
				assert.Equal(t, l, got)
				return context.WithValue(t.Context(), key("base"), "b")
			},
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key("conn"), "c") },
			ConnState:   func(_ net.Conn, s http.ConnState) { states = append(states, s) },
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Wrapped", "w")
				m.ServeHTTP(w, r)
			}),
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- m.ServeContext(ctx, l, srv) }()
		c := l.Dial(t)
		c.Send("/values")
		c.Answer("bcw")
		stop()
		synctest.Wait()
		c.Send("/values")
		assert.True(t, c.Answer("bcw"))
		require.NoError(t, <-served)
		assert.Equal(t, []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed}, states)
	})
}

func TestServeContextEndedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe.Listen()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		require.NoError(t, kami.New().ServeContext(ctx, l, nil))
		<-l.Closed
	})
}
