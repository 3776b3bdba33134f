package component_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
)

// Hooked records its lifecycle methods that run in ran, and runs the functions of do in them.
type Hooked struct {
	name string
	ran  *trail
	do   map[string]func(context.Context) error
	call func(context.Context) error
}

// trail has the names of the methods that have run, in order.
type trail struct {
	changing sync.Mutex
	names    []string
}

func (tr *trail) note(name string) {
	tr.changing.Lock()
	defer tr.changing.Unlock()
	tr.names = append(tr.names, name)
}

func (tr *trail) take() string {
	tr.changing.Lock()
	defer tr.changing.Unlock()
	text := strings.Join(tr.names, " ")
	tr.names = nil
	return text
}

func (h *Hooked) run(ctx context.Context, hook string) error {
	if h.ran != nil {
		h.ran.note(h.name + "." + hook)
	}
	if do := h.do[hook]; do != nil {
		return do(ctx)
	}
	return nil
}

func (h *Hooked) Init(ctx context.Context) error           { return h.run(ctx, "Init") }
func (h *Hooked) AfterInit(ctx context.Context) error      { return h.run(ctx, "AfterInit") }
func (h *Hooked) BeforeShutdown(ctx context.Context) error { return h.run(ctx, "BeforeShutdown") }
func (h *Hooked) Shutdown(ctx context.Context) error       { return h.run(ctx, "Shutdown") }

func (h *Hooked) Call(ctx context.Context) error {
	if h.call != nil {
		return h.call(ctx)
	}
	return nil
}

// three returns a set of the components a, b and c, and a mux with them.
type three struct {
	component.Set
	mux     *kami.Mux
	ran     trail
	a, b, c Hooked
}

func newThree() *three {
	s := &three{mux: kami.New()}
	for name, h := range map[string]*Hooked{"a": &s.a, "b": &s.b, "c": &s.c} {
		*h = Hooked{name: name, ran: &s.ran, do: make(map[string]func(context.Context) error)}
	}
	for _, h := range []*Hooked{&s.a, &s.b, &s.c} {
		s.Register(s.mux.Handle, h, component.WithName(h.name))
	}
	return s
}

// status returns the status of a call of a component's method.
func (s *three) status(name string) int { return send(s.mux, name+".Call", "").Status }

const (
	startOfThree = "a.Init b.Init c.Init a.AfterInit b.AfterInit c.AfterInit"
	stopOfThree  = "c.BeforeShutdown b.BeforeShutdown a.BeforeShutdown c.Shutdown b.Shutdown a.Shutdown"
)

func TestK05Order(t *testing.T) {
	logs(t)
	s := newThree()
	assert.NoError(t, s.Stop(t.Context()), "there is nothing to stop")
	for range 2 {
		assert.Equal(t, 503, s.status("a"))
		require.NoError(t, s.Start(t.Context()))
		assert.Equal(t, startOfThree, s.ran.take())
		assert.Equal(t, 204, s.status("a"))
		require.NoError(t, s.Start(t.Context()), "all have started")
		require.NoError(t, s.Stop(t.Context()))
		assert.Equal(t, stopOfThree, s.ran.take())
		require.NoError(t, s.Stop(t.Context()), "all have stopped")
		assert.Empty(t, s.ran.take())
	}
}

// Plain has lifecycle methods without parameters and results: one that it declares, and those that it gets from a nil *Base.
type Plain struct {
	*component.Base
	ran trail
}

func (p *Plain) AfterInit()           { p.ran.note("AfterInit") }
func (p *Plain) Call(context.Context) {}

// Mixed has each form of a lifecycle method.
type Mixed struct{ Plain }

func (m *Mixed) Init()                              { m.ran.note("Init") }
func (m *Mixed) AfterInit() error                   { m.ran.note("AfterInit"); return nil }
func (m *Mixed) BeforeShutdown(ctx context.Context) { m.ran.note("BeforeShutdown") }

func TestK05Forms(t *testing.T) {
	var set component.Set
	plain, mixed, bare := new(Plain), new(Mixed), new(Adder)
	for _, c := range []any{plain, mixed, bare} {
		set.Register(kami.New().Handle, c)
	}
	require.NoError(t, set.Start(t.Context()))
	require.NoError(t, set.Stop(t.Context()))
	assert.Equal(t, "AfterInit", plain.ran.take())
	assert.Equal(t, "Init AfterInit BeforeShutdown", mixed.ran.take())
}

// TestK05AFailedStart checks that a Start in which a lifecycle method fails stops the components that have begun, and can be repeated.
func TestK05AFailedStart(t *testing.T) {
	logs(t)
	wrong := errors.New("wrong")
	for _, test := range []struct{ failing, hook, want string }{
		{"a", "Init", "a.Init"},
		{"b", "Init", "a.Init b.Init a.Shutdown"},
		{"c", "Init", "a.Init b.Init c.Init b.Shutdown a.Shutdown"},
		{"a", "AfterInit", "a.Init b.Init c.Init a.AfterInit c.Shutdown b.Shutdown a.Shutdown"},
		{"c", "AfterInit", "a.Init b.Init c.Init a.AfterInit b.AfterInit c.AfterInit c.Shutdown b.Shutdown a.Shutdown"},
	} {
		s := newThree()
		failing := map[string]*Hooked{"a": &s.a, "b": &s.b, "c": &s.c}[test.failing]
		failing.do[test.hook] = func(context.Context) error { return wrong }
		err := s.Start(t.Context())
		assert.ErrorIs(t, err, wrong)
		assert.EqualError(t, err, "component: "+test.failing+": "+test.hook+": wrong")
		assert.Equal(t, test.want, s.ran.take())
		assert.Equal(t, 503, s.status("a"))
		require.NoError(t, s.Stop(t.Context()))
		assert.Empty(t, s.ran.take(), "all is undone")

		delete(failing.do, test.hook)
		require.NoError(t, s.Start(t.Context()))
		assert.Equal(t, startOfThree, s.ran.take())
		assert.Equal(t, 204, s.status("c"))
	}
}

// TestK05AFailedUndo checks that a failed Start returns the errors of the Shutdowns that undo it too.
func TestK05AFailedUndo(t *testing.T) {
	s := newThree()
	wrong, also := errors.New("wrong"), errors.New("also")
	s.c.do["Init"] = func(context.Context) error { return wrong }
	s.b.do["Shutdown"] = func(context.Context) error { return also }
	err := s.Start(t.Context())
	assert.ErrorIs(t, err, wrong)
	assert.ErrorIs(t, err, also)
	assert.EqualError(t, err, "component: c: Init: wrong\ncomponent: b: Shutdown: also")
	assert.Equal(t, "a.Init b.Init c.Init b.Shutdown a.Shutdown", s.ran.take())
}

func TestK05Panics(t *testing.T) {
	wrong := errors.New("wrong")
	for _, v := range []any{"text", wrong} {
		s := newThree()
		s.b.do["Init"] = func(context.Context) error { panic(v) }
		s.b.do["Shutdown"] = func(context.Context) error { panic(v) }
		err := s.Start(t.Context())
		assert.Regexp(t, fmt.Sprintf(`(?s)^component: b: Init: panic: %v\n.*component_test.*lifecycle_test.go:`, v), err.Error())
		assert.Equal(t, v == any(wrong), errors.Is(err, wrong))
		assert.Equal(t, "a.Init b.Init a.Shutdown", s.ran.take())
		delete(s.b.do, "Init")
		require.NoError(t, s.Start(t.Context()))
		assert.ErrorContains(t, s.Stop(t.Context()), "component: b: Shutdown: panic: ")
		assert.Equal(t, startOfThree+" "+stopOfThree, s.ran.take())
	}
	s := newThree()
	s.a.do["Init"] = func(context.Context) error { runtime.Goexit(); return nil }
	assert.EqualError(t, s.Start(t.Context()), "component: a: Init: it has ended its goroutine")
}

func TestK05StopJoinsErrors(t *testing.T) {
	s := newThree()
	wrong, also := errors.New("wrong"), errors.New("also")
	s.c.do["BeforeShutdown"] = func(context.Context) error { return wrong }
	s.b.do["Shutdown"] = func(context.Context) error { return also }
	require.NoError(t, s.Start(t.Context()))
	s.ran.take()
	err := s.Stop(t.Context())
	assert.EqualError(t, err, "component: c: BeforeShutdown: wrong\ncomponent: b: Shutdown: also")
	assert.ErrorIs(t, err, wrong)
	assert.ErrorIs(t, err, also)
	assert.Equal(t, stopOfThree, s.ran.take())
}

// TestK05WhenMethodsAnswer calls the components' methods from each lifecycle method. It checks that these calls are answered with 503,
// except in BeforeShutdown.
func TestK05WhenMethodsAnswer(t *testing.T) {
	log := logs(t)
	s := newThree()
	got := make(map[string]int)
	for _, hook := range []string{"Init", "AfterInit", "BeforeShutdown", "Shutdown"} {
		s.c.do[hook] = func(context.Context) error { got[hook+" a"] = s.status("a"); return nil }
		s.a.do[hook] = func(context.Context) error { got[hook+" c"] = s.status("c"); return nil }
	}
	require.NoError(t, s.Start(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	assert.Equal(t, map[string]int{
		"Init a": 503, "Init c": 503, "AfterInit a": 503, "AfterInit c": 503,
		"BeforeShutdown a": 204, "BeforeShutdown c": 204, "Shutdown a": 503, "Shutdown c": 503,
	}, got)
	assert.Contains(t, log.String(), "component: a has not started, or stops")
	w := post(s.mux, "/a/Call", "", "")
	assert.Equal(t, 503, w.Code)
	assert.Equal(t, "Service Unavailable\n", w.Body.String())
}

// TestK05StopWaitsForCalls checks that Stop waits for a call that runs, and that new calls are answered with 503.
func TestK05StopWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs(t)
		s := newThree()
		begun, goOn := make(chan struct{}), make(chan struct{})
		s.a.call = func(context.Context) error {
			close(begun)
			<-goOn
			s.ran.note("a.Call")
			return nil
		}
		require.NoError(t, s.Start(t.Context()))
		s.ran.take()
		status := make(chan int)
		go func() { status <- s.status("a") }()
		<-begun
		stopped := make(chan error)
		go func() { stopped <- s.Stop(t.Context()) }()
		synctest.Wait()
		assert.Equal(t, "c.BeforeShutdown b.BeforeShutdown a.BeforeShutdown", s.ran.take())
		assert.Equal(t, 503, s.status("a"))
		assert.Equal(t, 503, s.status("c"), "one that is idle")
		close(goOn)
		assert.Equal(t, 204, <-status, "the call is answered")
		assert.NoError(t, <-stopped)
		assert.Equal(t, "a.Call c.Shutdown b.Shutdown a.Shutdown", s.ran.take())
	})
}

// TestK05StopIsBoundByCtx checks that a Stop returns at the end of its context while a call still runs, and that the next Stop goes on.
func TestK05StopIsBoundByCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs(t)
		s := newThree()
		begun, goOn := make(chan struct{}), make(chan struct{})
		s.b.call = func(context.Context) error {
			close(begun)
			<-goOn
			return nil
		}
		require.NoError(t, s.Start(t.Context()))
		s.ran.take()
		go s.status("b")
		<-begun
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, enough)
		defer cancel()
		err := s.Stop(ctx)
		assert.ErrorIs(t, err, enough)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "component: b: waiting for 1 calls that run: context deadline exceeded: enough")
		assert.Equal(t, "c.BeforeShutdown b.BeforeShutdown a.BeforeShutdown", s.ran.take())
		assert.Equal(t, 503, s.status("a"))
		close(goOn)
		require.NoError(t, s.Stop(t.Context()))
		assert.Equal(t, "c.Shutdown b.Shutdown a.Shutdown", s.ran.take())
		require.NoError(t, s.Start(t.Context()))
		assert.Equal(t, 204, s.status("a"))
	})
}

// TestK05StartAfterAStopThatHasGivenUp checks that a Start first finishes an earlier Stop that has not finished.
func TestK05StartAfterAStopThatHasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newThree()
		begun, goOn := make(chan struct{}), make(chan struct{})
		s.b.call = func(context.Context) error {
			begun <- struct{}{}
			<-goOn
			return nil
		}
		require.NoError(t, s.Start(t.Context()))
		go s.status("b")
		<-begun
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Error(t, s.Stop(ctx))
		s.ran.take()
		again, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorContains(t, s.Start(again), "component: b: waiting for 1 calls that run")
		close(goOn)
		synctest.Wait()
		require.NoError(t, s.Start(t.Context()))
		assert.Equal(t, "c.Shutdown b.Shutdown a.Shutdown "+startOfThree, s.ran.take())
	})
}

// TestK05LifecycleMethodsThatHang checks that Start and Stop return at the end of their context if a lifecycle method hangs, and that the
// next Stop goes on when the method has returned.
func TestK05LifecycleMethodsThatHang(t *testing.T) {
	const before = "c.BeforeShutdown b.BeforeShutdown"
	for _, test := range []struct{ hook, first, second string }{
		// The methods that run in the Start or Stop that hangs, and in the Stop after it.
		{"Init", "a.Init b.Init a.Shutdown", "b.Shutdown"},
		{"AfterInit", "a.Init b.Init c.Init a.AfterInit b.AfterInit c.Shutdown a.Shutdown", "b.Shutdown"},
		{"BeforeShutdown", startOfThree + " " + before, "a.BeforeShutdown c.Shutdown b.Shutdown a.Shutdown"},
		{"Shutdown", startOfThree + " " + before + " a.BeforeShutdown c.Shutdown b.Shutdown", "a.Shutdown"},
	} {
		t.Run(test.hook, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs(t)
				s := newThree()
				goOn := make(chan struct{})
				s.b.do[test.hook] = func(context.Context) error { <-goOn; return nil }
				limited := func(f func(context.Context) error) error {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					return f(ctx)
				}
				err := limited(s.Start)
				if err == nil {
					err = limited(s.Stop)
				}
				assert.EqualError(t, err, "component: b: "+test.hook+": context deadline exceeded")
				assert.Equal(t, test.first, s.ran.take())

				still := "component: b: " + test.hook + " of an earlier call still runs: context deadline exceeded"
				assert.EqualError(t, limited(s.Start), still)
				assert.EqualError(t, limited(s.Stop), still)
				close(goOn)
				require.NoError(t, limited(s.Stop))
				assert.Equal(t, test.second, s.ran.take())
				require.NoError(t, limited(s.Start))
				assert.Equal(t, startOfThree, s.ran.take())
			})
		})
	}
}

// TestK05ALateErrorIsTold has lifecycle methods that fail after their Start or Stop has returned. It checks that the next Start or Stop
// returns the error of a BeforeShutdown or Shutdown, and that an Init or AfterInit is only called again.
func TestK05ALateErrorIsTold(t *testing.T) {
	for hook, want := range map[string]string{
		"Init":           "",
		"AfterInit":      "",
		"BeforeShutdown": "component: b: BeforeShutdown: too late",
		"Shutdown":       "component: b: Shutdown: too late",
	} {
		for name, next := range map[string]func(*three, context.Context) error{
			"Stop":  func(s *three, ctx context.Context) error { return s.Stop(ctx) },
			"Start": func(s *three, ctx context.Context) error { return s.Start(ctx) },
		} {
			t.Run(hook+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newThree()
					goOn := make(chan struct{})
					s.b.do[hook] = func(context.Context) error { <-goOn; return errors.New("too late") }
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := s.Start(ctx)
					if err == nil {
						err = s.Stop(ctx)
					}
					require.ErrorIs(t, err, context.DeadlineExceeded)
					close(goOn)
					synctest.Wait()
					delete(s.b.do, hook)
					err = next(s, t.Context())
					if want == "" {
						assert.NoError(t, err)
					} else {
						assert.EqualError(t, err, want)
					}
					require.NoError(t, s.Start(t.Context()), "it is told once")
					assert.Equal(t, 204, s.status("a"))
				})
			})
		}
	}
}

// TestK05AnUndoThatHangs checks that a failed Start returns even if a Shutdown that undoes it hangs, and that the next Start finishes the
// undoing.
func TestK05AnUndoThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newThree()
		goOn := make(chan struct{})
		s.c.do["Init"] = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		s.b.do["Shutdown"] = func(ctx context.Context) error { <-goOn; return nil }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Start(ctx)
		assert.ErrorContains(t, err, "component: c: Init: context deadline exceeded")
		assert.ErrorContains(t, err, "component: b: Shutdown: context canceled: context deadline exceeded")
		assert.Equal(t, "a.Init b.Init c.Init b.Shutdown", s.ran.take())
		close(goOn)
		delete(s.c.do, "Init")
		require.NoError(t, s.Start(t.Context()))
		assert.Equal(t, "a.Shutdown "+startOfThree, s.ran.take(), "what was left is undone first")
	})
}

func TestK05AContextThatHasEnded(t *testing.T) {
	s := newThree()
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	assert.EqualError(t, s.Start(gone), "component: Start: context canceled: gone")
	require.NoError(t, s.Start(t.Context()))
	s.ran.take()
	assert.EqualError(t, s.Stop(gone), "component: Stop: context canceled: gone")
	assert.Empty(t, s.ran.take())
	assert.Equal(t, 204, s.status("a"))
}

// TestK05AContextThatEndsBetweenTwo checks that Start calls no other lifecycle method once its context has ended.
func TestK05AContextThatEndsBetweenTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newThree()
		ctx, cancel := context.WithCancel(t.Context())
		s.b.do["Init"] = func(context.Context) error { cancel(); return nil }
		err := s.Start(ctx)
		assert.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		got := s.ran.take()
		if got != "a.Init b.Init b.Shutdown a.Shutdown" { // Start has seen the return of b.Init before the end
			assert.Equal(t, "a.Init b.Init a.Shutdown", got)
			require.NoError(t, s.Stop(t.Context()))
			assert.Equal(t, "b.Shutdown", s.ran.take())
		}
	})
}

// TestK05OneAtATime checks that a Stop waits for a Start that runs, until the end of the Stop's context.
func TestK05OneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newThree()
		goOn := make(chan struct{})
		s.b.do["Init"] = func(context.Context) error { <-goOn; return nil }
		started, stopped := make(chan error, 1), make(chan error, 1)
		go func() { started <- s.Start(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.EqualError(t, s.Stop(ctx), "component: Stop: context deadline exceeded")
		go func() { stopped <- s.Stop(t.Context()) }()
		synctest.Wait()
		assert.Equal(t, "a.Init b.Init", s.ran.take())
		close(goOn)
		assert.NoError(t, <-started)
		assert.NoError(t, <-stopped)
	})
}

// TestK05RegisteredLater checks that components that are registered after a Start are started by the next Start.
func TestK05RegisteredLater(t *testing.T) {
	logs(t)
	s := newThree()
	require.NoError(t, s.Start(t.Context()))
	s.ran.take()
	d := &Hooked{name: "d", ran: &s.ran, do: make(map[string]func(context.Context) error)}
	s.Register(s.mux.Handle, d, component.WithName("d"))
	assert.Equal(t, 204, s.status("a"))
	assert.Equal(t, 503, s.status("d"))
	d.do["AfterInit"] = func(context.Context) error { return errors.New("wrong") }
	require.Error(t, s.Start(t.Context()))
	assert.Equal(t, "d.Init d.AfterInit d.Shutdown", s.ran.take(), "the others go on")
	assert.Equal(t, 204, s.status("a"))
	delete(d.do, "AfterInit")
	require.NoError(t, s.Start(t.Context()))
	assert.Equal(t, 204, s.status("d"))
	assert.Equal(t, "d.Init d.AfterInit", s.ran.take())
	require.NoError(t, s.Stop(t.Context()))
	assert.Equal(t, "d.BeforeShutdown c.BeforeShutdown b.BeforeShutdown a.BeforeShutdown d.Shutdown c.Shutdown b.Shutdown a.Shutdown", s.ran.take())
}

// TestTogether registers, starts, stops and calls components at once, for the race detector.
func TestTogether(t *testing.T) {
	logs(t)
	s := newThree()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				switch i {
				case 0:
					assert.NoError(t, s.Start(t.Context()))
				case 1:
					assert.NoError(t, s.Stop(t.Context()))
				case 2:
					for range s.Methods() {
					}
				default:
					for _, name := range []string{"a", "b", "c"} {
						assert.Contains(t, []int{204, 503}, s.status(name))
					}
				}
			}
		})
	}
	for i := range 20 {
		all.Go(func() {
			s.Register(s.mux.Handle, &Hooked{name: "x", ran: new(trail)}, component.WithName(fmt.Sprint("x", i)))
		})
	}
	all.Wait()
	assert.NoError(t, s.Start(t.Context()))
	assert.Equal(t, 204, s.status("x7"))
	assert.NoError(t, s.Stop(t.Context()))
	assert.Equal(t, 503, s.status("x7"))
}
