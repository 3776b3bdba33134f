package session

import (
	"context"
	"fmt"
	"time"

	"github.com/guregu/kami/message"
)

// outbox has the pushes that wait for one connection, in order. One goroutine at a time gives it to the Link, without a lock. Its
// fields change with the session's lock.
type outbox struct {
	link   Link
	queue  []delivery
	first  [1]delivery   // optimization: room for a queue of one, because most have one (BenchmarkBroadcast)
	busy   bool          // a goroutine gives deliveries to the Link
	held   bool          // a transport resumes the session, and will call Resumed
	broken error         // the Link's error, after which it only gets Close
	idle   chan struct{} // closed when busy ends; nil if no goroutine waits for that
}

// delivery is a push, or the end of the connection.
type delivery struct {
	ctx     context.Context
	seq     uint64
	message *message.Message // nil for the end
	reason  string
}

// deliver gives the Link a delivery. A panic is logged, and becomes an error. If the Link ends its goroutine by runtime.Goexit, another
// goroutine goes on.
func (s *Session) deliver(d delivery, out *outbox) (err error) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			s.pool.logPanic(s, "Link", v)
			err = fmt.Errorf("session: the %T panicked: %v", out.link, v)
		} else if !returned {
			go s.goOn(out, fmt.Errorf("session: the %T has ended its goroutine", out.link))
		}
	}()
	if d.message == nil {
		err = out.link.Close(context.WithoutCancel(d.ctx), d.reason)
	} else {
		err = out.link.Push(pushContext{d.ctx, d.seq}, d.message)
	}
	returned = true
	return err
}

// goOn gives in a goroutine of its own, after what has broken the Link, if anything has.
func (s *Session) goOn(out *outbox, broken error) {
	s.mu.Lock()
	if broken != nil {
		out.fail(broken)
	}
	_ = s.give(out)
}

// pushContext is the context of a push. The end of the pusher's context does not end it, because the push already has its number.
type pushContext struct {
	values context.Context
	seq    uint64
}

func (pushContext) Deadline() (at time.Time, ok bool) { return }
func (pushContext) Done() <-chan struct{}             { return nil }
func (pushContext) Err() error                        { return nil }

func (c pushContext) Value(key any) any {
	if key == (seqKey{}) {
		return c.seq
	}
	return c.values.Value(key)
}

// flush gives the Link the deliveries that are in the queue now, unless another goroutine does so. Deliveries that are queued while it runs
// are left to another goroutine, so that no pusher works for all others. It returns the error of the last delivery, which is the
// caller's own. It unlocks the session.
func (s *Session) flush(out *outbox) error {
	if out.busy {
		s.mu.Unlock()
		return nil
	}
	out.busy = true
	return s.give(out)
}

// give is flush for the goroutine that has made the outbox busy.
func (s *Session) give(out *outbox) (err error) {
	for n := len(out.queue); n > 0 && len(out.queue) > 0 && !out.held; n-- {
		next := out.queue[0]
		out.queue = out.queue[1:]
		s.given = max(s.given, next.seq)
		s.mu.Unlock()
		err = s.deliver(next, out)
		s.mu.Lock()
		if err != nil && next.message != nil {
			out.fail(err)
		}
	}
	if len(out.queue) > 0 && !out.held {
		go s.goOn(out, nil)
	} else {
		out.endGiving()
	}
	s.mu.Unlock()
	return err
}

// endGiving ends the giving of deliveries to the link.
func (o *outbox) endGiving() {
	o.busy = false
	if len(o.queue) == 0 {
		o.first[0] = delivery{}
		o.queue = o.first[:0] // a quiet session keeps no memory for a longer queue
	}
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
}

// fail removes all deliveries except the end of the connection.
func (o *outbox) fail(err error) {
	o.broken = err
	for len(o.queue) > 0 && o.queue[0].message != nil {
		o.queue = o.queue[1:]
	}
}

// clear empties the queue of a connection that the session no longer has. A goroutine that gives stops.
func (o *outbox) clear() {
	if o != nil {
		o.queue = nil
	}
}

// hold stops deliveries to the Link, and waits for one that is under way.
func (s *Session) hold() {
	s.mu.Lock()
	out := s.outbox
	if out != nil {
		out.held = true
	}
	if out == nil || !out.busy {
		s.mu.Unlock()
		return
	}
	if out.idle == nil {
		out.idle = make(chan struct{})
	}
	idle := out.idle
	s.mu.Unlock()
	<-idle
}
