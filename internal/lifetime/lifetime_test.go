package lifetime_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/guregu/kami/internal/lifetime"
)

// joiners are the ways to join two contexts.
var joiners = map[string]func(a, b context.Context) context.Context{
	"Join":  func(a, b context.Context) context.Context { ctx, _ := lifetime.Join(a, b); return ctx },
	"Joins": func(a, b context.Context) context.Context { return lifetime.NewJoins(a).With(b) },
	"ByBase": func(a, b context.Context) context.Context {
		var all lifetime.ByBase
		return all.Joins(a).With(b)
	},
}

func TestJoinedContextEndsAsTheFirstOfBoth(t *testing.T) {
	for name, join := range joiners {
		for first := range 2 {
			t.Run(fmt.Sprint(name, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var both [2]context.Context
					var end [2]context.CancelCauseFunc
					for i := range both {
						both[i], end[i] = context.WithCancelCause(t.Context())
						defer end[i](nil)
					}
					ctx := join(both[0], both[1])
					child, cancel := context.WithCancel(ctx)
					defer cancel()
					assert.NoError(t, ctx.Err())

					cause := errors.New("the first")
					end[first](cause)
					assert.Equal(t, context.Canceled, ctx.Err(), "it is seen at once")
					end[1-first](errors.New("the second"))
					<-ctx.Done()
					assert.Equal(t, cause, context.Cause(ctx))
					synctest.Wait()
					assert.Equal(t, cause, context.Cause(child))
				})
			})
		}
	}
}

func TestJoinedContextHasTheEarlierDeadline(t *testing.T) {
	for name, join := range joiners {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				late, cancelLate := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancelLate()
				early, cancelEarly := context.WithTimeout(t.Context(), time.Hour)
				defer cancelEarly()
				start := time.Now()
				ctx := join(late, early)
				deadline, ok := ctx.Deadline()
				assert.True(t, ok)
				assert.Equal(t, time.Hour, deadline.Sub(start))
				<-ctx.Done()
				assert.Equal(t, time.Hour, time.Since(start))
				assert.Equal(t, context.DeadlineExceeded, ctx.Err())
			})
		})
	}
}

func TestJoinEnd(t *testing.T) {
	a, endA := context.WithCancelCause(t.Context())
	ctx, end := lifetime.Join(a, context.Background())
	end()
	assert.Equal(t, context.Canceled, context.Cause(ctx))
	endA(errors.New("too late"))
	assert.Equal(t, context.Canceled, context.Cause(ctx))
}

func TestJoinsWithContextsThatCannotEnd(t *testing.T) {
	never, can := context.Background(), t.Context()
	assert.Same(t, can, lifetime.NewJoins(never).With(can))
	assert.Same(t, can, lifetime.NewJoins(can).With(never))
	assert.Same(t, can, lifetime.NewJoins(can).With(can))
}

type key struct{}

func TestJoinsAreOneForEachOtherContext(t *testing.T) {
	base, end := context.WithCancel(t.Context())
	defer end()
	var all lifetime.ByBase
	one, other := all.Joins(base), t.Context()
	assert.Same(t, one, all.Joins(base))
	joined := one.With(other)
	assert.Same(t, joined, one.With(context.WithValue(other, key{}, "value")))
	another, endAnother := context.WithCancel(other)
	defer endAnother()
	assert.NotSame(t, joined, one.With(another))
}

// Joins drops a joined context when the other context has ended. A request that then asks for the cause gets a new joined context,
// which must know the cause at once.
func TestJoinedWithOneThatHasEnded(t *testing.T) {
	base, end := context.WithCancel(t.Context())
	defer end()
	all := lifetime.NewJoins(base)
	for range 100 {
		other, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("the other")
		cancel(cause)
		canceler, ok := all.With(other).Value(lifetime.CancelKey).(context.Context)
		assert.True(t, ok)
		assert.Equal(t, cause, context.Cause(canceler))
	}
}
