package component

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"time"
)

// The lifecycle methods.
const (
	hookInit = iota
	hookAfterInit
	hookBeforeShutdown
	hookShutdown
	hookCount
)

var hookNames = [hookCount]string{"Init", "AfterInit", "BeforeShutdown", "Shutdown"}

// isHook reports whether a lifecycle method has the name.
func isHook(method string) bool { return slices.Contains(hookNames[:], method) }

// hook is a lifecycle method.
type hook func(context.Context) error

// hooksOf returns the lifecycle methods of v, nil for each that it does not have.
func hooksOf(v reflect.Value) (hooks [hookCount]hook, err error) {
	for i, name := range hookNames {
		method := v.MethodByName(name)
		if !method.IsValid() {
			continue
		}
		switch f := method.Interface().(type) {
		case func():
			hooks[i] = func(context.Context) error { f(); return nil }
		case func(context.Context):
			hooks[i] = func(ctx context.Context) error { f(ctx); return nil }
		case func() error:
			hooks[i] = func(context.Context) error { return f() }
		case func(context.Context) error:
			hooks[i] = f
		default:
			return hooks, fmt.Errorf("method %s is a %T: this lifecycle method takes nothing or a context.Context, and returns nothing or an error", name, f)
		}
	}
	return hooks, nil
}

// stage is a stage of a component's life.
type stage int

const (
	idle    stage = iota // Init has not succeeded yet, or Shutdown has returned
	begun                // Init has succeeded
	serving              // Start has returned
	leaving              // BeforeShutdown has returned
)

// lateHook is a lifecycle method that has outlived the context of its Start or Stop.
type lateHook struct {
	which int
	done  chan error
}

// grace is how long a Start whose context has ended waits for the Shutdowns of the components that had begun.
const grace = 500 * time.Millisecond

// Start calls Init of each component and then AfterInit of each, in the order of registration. When it returns nil, all methods
// answer. Components that have started stay as they are: another Start is for components registered since.
//
// Start stops at the first error, and calls Shutdown of the components whose Init had succeeded, in reverse. Then it returns the error,
// with the component's name, and may be called again. A panic is an error with its stack.
//
// The end of ctx is an error too. If a lifecycle method goes on after the end of ctx, Start calls Shutdown of the others within half a
// second. The next Start or Stop waits for that method, calls what is left to call, and returns the error of a BeforeShutdown or Shutdown
// that has come late. Only one Start or Stop runs at a time; others wait for their turn.
func (s *Set) Start(ctx context.Context) error {
	if err := s.takeTurn(ctx); err != nil {
		return fmt.Errorf("component: Start: %w", err)
	}
	defer func() { <-s.turn }()
	all, late, err := s.settled(ctx)
	if err != nil {
		return err
	}
	interrupted := slices.DeleteFunc(slices.Clone(all), func(c *component) bool { return c.stage == idle || c.stage == serving })
	if err := errors.Join(late, shutdown(ctx, interrupted)); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(c *component) bool { return c.stage != idle })
	for _, which := range []int{hookInit, hookAfterInit} {
		for _, c := range all {
			if err := c.run(ctx, which); err != nil {
				return undo(ctx, all, err)
			}
		}
	}
	for _, c := range all {
		c.stage = serving
		c.gate.open()
	}
	return nil
}

// undo calls Shutdown of the components that have begun, and returns the error of the Start with theirs.
func undo(ctx context.Context, all []*component, err error) error {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
	})
	defer stop()
	all = slices.DeleteFunc(all, func(c *component) bool { return c.stage != begun || c.late != nil })
	return errors.Join(err, shutdown(longer, all))
}

// Stop calls BeforeShutdown of each component that has started, in the reverse order of registration, while all methods still answer.
// After that they answer 503. Stop waits for the calls that run, but not for goroutines that they have started, and calls Shutdown of
// each component, in reverse. It goes on after errors, and returns them joined. The components may be started again.
//
// At the end of ctx it returns the cause. Shutdown is not called while methods run. Stop may then be called again, and goes on where it
// was.
//
// Methods and lifecycle methods must not call Start or Stop, because these would wait for them.
func (s *Set) Stop(ctx context.Context) error {
	if err := s.takeTurn(ctx); err != nil {
		return fmt.Errorf("component: Stop: %w", err)
	}
	defer func() { <-s.turn }()
	all, late, err := s.settled(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(c *component) bool { return c.stage == idle })
	errs := []error{late}
	for _, c := range slices.Backward(all) {
		if c.stage != serving {
			continue
		}
		if errs = append(errs, c.run(ctx, hookBeforeShutdown)); c.stage == serving { // it has not returned
			return errors.Join(errs...)
		}
	}
	return errors.Join(append(errs, shutdown(ctx, all))...)
}

// shutdown closes the components, waits for the calls that run, and calls Shutdown of each component, in reverse. It goes on after errors,
// but not after the end of ctx.
func shutdown(ctx context.Context, all []*component) error {
	for _, c := range all {
		c.gate.shut()
	}
	for _, c := range all {
		if !c.gate.wait(ctx) {
			return fmt.Errorf("component: %s: waiting for %d calls that run: %w", c.name(), c.gate.running(), ended(ctx))
		}
	}
	var errs []error
	for _, c := range slices.Backward(all) {
		if errs = append(errs, c.run(ctx, hookShutdown)); c.stage != idle { // it has not returned
			break
		}
	}
	return errors.Join(errs...)
}

// takeTurn waits until no other Start or Stop runs.
func (s *Set) takeTurn(ctx context.Context) error {
	s.changing.Lock()
	if s.turn == nil {
		s.turn = make(chan struct{}, 1)
	}
	s.changing.Unlock()
	if ctx.Err() != nil {
		return ended(ctx)
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// settled returns all components once no lifecycle method runs that an earlier Start or Stop has left. late is the error of such a one
// that has ended a component: nobody has been told. One that has begun it is called again.
func (s *Set) settled(ctx context.Context) (all []*component, late, err error) {
	all = s.all()
	for _, c := range all {
		if c.late == nil {
			continue
		}
		which := c.late.which
		select {
		case err := <-c.late.done:
			c.returned(which, err)
			c.late = nil
			if err != nil && which >= hookBeforeShutdown {
				late = errors.Join(late, c.failed(which, err))
			}
		case <-ctx.Done():
			err := fmt.Errorf("component: %s: %s of an earlier call still runs: %w", c.name(), hookNames[which], ended(ctx))
			return nil, nil, errors.Join(late, err)
		}
	}
	return all, late, nil
}

// failed returns the error of a lifecycle method.
func (c *component) failed(which int, err error) error {
	return fmt.Errorf("component: %s: %s: %w", c.name(), hookNames[which], err)
}

// run calls a lifecycle method, if there is one, and waits for it up to the end of ctx. After that it calls none.
func (c *component) run(ctx context.Context, which int) error {
	err := ctx.Err()
	switch {
	case err != nil:
		err = ended(ctx)
	case c.hooks[which] == nil:
		c.returned(which, nil)
	default:
		err = c.call(ctx, which)
	}
	if err != nil {
		return c.failed(which, err)
	}
	return nil
}

// call is run for a method that is not nil.
func (c *component) call(ctx context.Context, which int) error {
	done := make(chan error, 1)
	go c.hooks[which].guarded(ctx, done)
	select {
	case err := <-done:
		c.returned(which, err)
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it has returned at the same time
		c.returned(which, err)
		return err
	default:
		c.late = &lateHook{which, done}
		return ended(ctx)
	}
}

// returned notes that a lifecycle method has returned.
func (c *component) returned(which int, err error) {
	switch {
	case which == hookInit && err == nil:
		c.stage = begun
	case which == hookBeforeShutdown:
		c.stage = leaving
	case which == hookShutdown:
		c.stage = idle
	}
}

// guarded calls the hook and sends its error, or the error of its panic.
func (h hook) guarded(ctx context.Context, done chan<- error) {
	err := errors.New("it has ended its goroutine")
	defer func() {
		switch v := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("panic: %w\n%s", v, debug.Stack())
		default:
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
		done <- err
	}()
	err = h(ctx)
}

// ended returns an error that wraps the error of ctx and its cause.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}
