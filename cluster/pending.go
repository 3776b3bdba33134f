package cluster

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// inbox receives the answers to all calls, with one subscription. No call's number is used twice, so no answer can be taken for the answer
// to another call.
type inbox struct {
	prefix string // of the subjects for answers, with a dot
	sub    *nats.Subscription

	changing sync.Mutex
	last     uint64
	waiting  map[uint64]*pending
	closed   error // why no more calls can wait
}

// pending is a call that waits for its answer.
type pending struct {
	number   uint64
	subject  string
	outcomes chan outcome
	timer    *time.Timer
	each     func(*nats.Msg) // takes each of several answers; it must not wait
	stream   *incomingStream
}

// outcome is how a call ends.
type outcome struct {
	msg *nats.Msg
	err error
}

// optimization: later calls reuse a call's channel and timer (BenchmarkCall).
var pendings = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &pending{outcomes: make(chan outcome, 1), timer: timer}
}}

// open begins to wait for the answer to a message on the subject, and returns the subject for the answer. A stream gets the items that
// come before the answer. If each is not nil, it gets all answers.
func (b *inbox) open(subject string, stream *incomingStream, each func(*nats.Msg)) (p *pending, reply string, err error) {
	p = pendings.Get().(*pending)
	p.subject, p.stream, p.each = subject, stream, each
	b.changing.Lock()
	defer b.changing.Unlock()
	if b.closed != nil {
		return nil, "", b.closed
	}
	b.last++
	p.number = b.last
	if b.waiting == nil {
		b.waiting = make(map[uint64]*pending)
	}
	b.waiting[p.number] = p
	return p, b.prefix + strconv.FormatUint(p.number, 36), nil
}

// close ends the waiting. The pending must not be used any more.
func (b *inbox) close(p *pending) {
	b.changing.Lock()
	delete(b.waiting, p.number)
	b.changing.Unlock()
	p.timer.Stop()
	select {
	case <-p.outcomes:
	default:
	}
	p.each, p.stream = nil, nil
	pendings.Put(p)
}

// receive hands an answer to the call that waits for it. It drops an answer that comes too late or is not ours.
func (b *inbox) receive(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, b.prefix), 36, 64)
	if err != nil {
		return
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	p := b.waiting[number]
	switch {
	case p == nil:
	case p.each != nil:
		p.each(m)
	case p.stream != nil:
		p.receive(m)
	default:
		p.end(outcome{msg: m})
	}
}

// receive takes a message of a stream.
func (p *pending) receive(m *nats.Msg) {
	taken, err := p.stream.receive(m)
	if !taken || err != nil {
		p.end(outcome{m, err})
	}
}

// end ends a call, unless it has ended.
func (p *pending) end(o outcome) {
	select {
	case p.outcomes <- o:
	default:
	}
}

// fail ends all calls, or all calls on a subject, with an error.
func (b *inbox) fail(subject string, err error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	for _, p := range b.waiting {
		if subject == "" || p.subject == subject {
			p.end(outcome{err: err})
		}
	}
}

// shut ends all calls, and makes later ones fail.
func (b *inbox) shut(err error) {
	b.changing.Lock()
	b.closed = err
	b.changing.Unlock()
	b.fail("", err)
}

// ask publishes a question to several servers and passes each answer to tell, which must not wait, until no answer has come for a while,
// tell returns false, or the time is over. It returns an error if it could not ask, or if ctx has ended.
func (s *Server) ask(ctx context.Context, subject string, silence, most time.Duration, tell func(*nats.Msg) bool) error {
	return s.askWith(ctx, subject, nil, silence, most, func(m *nats.Msg) bool { return !isNoResponders(m) && tell(m) }, nil)
}

// askWith is ask with data. NATS's own answer that no server listens is an answer too. If allGone is not nil, it reports whether all awaited
// servers have left the view. Then askWith only waits for answers that are already on their way.
func (s *Server) askWith(ctx context.Context, subject string, data []byte, silence, most time.Duration, tell func(*nats.Msg) bool, allGone func() bool) error {
	heard, enough := make(chan struct{}, 1), make(chan struct{}, 1)
	p, reply, err := s.inbox.open(subject, nil, func(m *nats.Msg) {
		wake := heard
		if !tell(m) {
			wake = enough
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer s.inbox.close(p)
	if err := s.publish(subject, reply, nil, data); err != nil {
		return err
	}
	over := time.NewTimer(most)
	defer over.Stop()
	for quiet := most; ; {
		var loss <-chan struct{}
		if allGone != nil {
			if loss = s.view.loss(); allGone() {
				loss, allGone, silence = nil, nil, min(silence, askAbout)
				quiet = silence
			}
		}
		p.timer.Reset(quiet)
		select {
		case <-loss:
		case <-enough:
			return nil
		case <-heard:
			quiet = silence
		case o := <-p.outcomes:
			return o.err // a denial, or an error of the connection
		case <-p.timer.C:
			return nil
		case <-over.C:
			return nil
		case <-ctx.Done():
			return withCause(ctx, errors.New("cluster: asking "+subject))
		}
	}
}
