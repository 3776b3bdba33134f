package lifetime

import (
	"context"
	"sync"
	"time"
)

// Join returns a context that ends when one of two others does, with the error and the cause of that one, or when end is called.
// Its values are of no use. Call end when the context is no longer needed: until then the others hold it.
func Join(a, b context.Context) (ctx context.Context, end func()) {
	j := newJoined(a, b)
	for i, other := range []context.Context{a, b} {
		if other.Done() != nil {
			j.stops[i] = context.AfterFunc(other, func() { j.endAs(other) })
		}
	}
	return j, j.end
}

// joined is a context that ends when one of two others does, with the error and the cause of that one.
type joined struct {
	context.Context // derives from first
	first           ending
	a, b            context.Context
	cancel          context.CancelFunc
	stops           [2]func() bool // detach it from a and b; nil if it was not attached
}

func newJoined(a, b context.Context) *joined {
	j := &joined{a: a, b: b}
	for _, ctx := range []context.Context{a, b} {
		if end, has := ctx.Deadline(); has && (j.first.deadline.IsZero() || end.Before(j.first.deadline)) {
			j.first.deadline = end
		}
	}
	j.Context, j.cancel = context.WithCancel(&j.first)
	return j
}

// leave detaches the context from the two others, which do not end it any more.
func (j *joined) leave() {
	for _, stop := range j.stops {
		if stop != nil {
			stop()
		}
	}
}

// end cancels the context.
func (j *joined) end() {
	j.leave()
	j.cancel()
}

// endAs ends the context as the other one has ended.
func (j *joined) endAs(other context.Context) {
	j.first.once.Do(func() {
		j.first.by = other
		j.first.end()
	})
}

// Done is closed by the time it returns if one of the others has ended.
func (j *joined) Done() <-chan struct{} {
	j.catchUp()
	return j.Context.Done()
}

// Err returns the error of the first of the others that has ended.
func (j *joined) Err() error {
	j.catchUp()
	return j.Context.Err()
}

// Value answers the context package, which asks for the cause: it sees the end at once too.
func (j *joined) Value(key any) any {
	if key == CancelKey {
		j.catchUp()
	}
	return j.Context.Value(key)
}

// catchUp ends the context if one of the others has ended: its AfterFunc runs in a goroutine, which may not have come that far.
func (j *joined) catchUp() {
	switch {
	case j.Context.Err() != nil:
	case j.a.Err() != nil:
		j.endAs(j.a)
	case j.b.Err() != nil:
		j.endAs(j.b)
	}
}

// ending is the parent of a joined context. It hands down the error and the cause of the context that ends first, because the
// context package has no function that cancels with an error. The joined context has no timer for the deadline: a timer would
// keep it alive after it is no longer needed.
type ending struct {
	deadline time.Time // zero if there is none
	once     sync.Once
	by       context.Context // the one that has ended
	end      func()          // ends the joined context
}

// never is the Done channel of an ending. It never closes: the context package calls AfterFunc instead of waiting for it.
var never = make(chan struct{})

func (e *ending) Deadline() (time.Time, bool) { return e.deadline, !e.deadline.IsZero() }
func (e *ending) Done() <-chan struct{}       { return never }
func (e *ending) Err() error                  { return e.by.Err() }

// Value answers the context package, which asks for the cause at the end. It also asks when the joined context is made, and
// gets nil then.
func (e *ending) Value(key any) any {
	if key != CancelKey || e.by == nil {
		return nil
	}
	return e.by.Value(key)
}

// AfterFunc is the method by which the context package learns of the end of a context that is not its own.
func (e *ending) AfterFunc(end func()) (stop func() bool) {
	e.end = end
	return func() bool { return false }
}
