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

// inbox is where the answers to calls come in: one subscription for all. The numbers of calls are never used twice, so that no
// answer is taken for another call's.
type inbox struct {
	prefix string // of the subjects for answers, with a dot
	sub    *nats.Subscription

	changing sync.Mutex
	last     uint64
	waiting  map[uint64]*pending
	closed   error // why nothing can wait any more
}

// pending is a call that waits for its answer.
type pending struct {
	number   uint64
	subject  string
	outcomes chan outcome
	timer    *time.Timer
	each     func(*nats.Msg) // for what has several answers; it must not wait
	stream   *incomingStream
}

// outcome is how a call ends.
type outcome struct {
	msg *nats.Msg
	err error
}

// optimization: a call's channel and timer serve later calls as well (BenchmarkCall).
var pendings = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &pending{outcomes: make(chan outcome, 1), timer: timer}
}}

// open begins to wait for an answer to what is published on the subject, and returns the subject for the answer. A stream takes
// items before it; each takes all answers.
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

// close ends the waiting. The pending must not be used after it.
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

// receive hands an answer to the call that waits for it. Others are not ours, or come too late.
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

// receive takes what comes for a stream.
func (p *pending) receive(m *nats.Msg) {
	taken, err := p.stream.take(m)
	if !taken || err != nil {
		p.end(outcome{m, err})
	}
}

// end ends a call, unless something else has.
func (p *pending) end(o outcome) {
	select {
	case p.outcomes <- o:
	default:
	}
}

// fail ends all calls, or those on a subject, with an error.
func (b *inbox) fail(subject string, err error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	for _, p := range b.waiting {
		if subject == "" || p.subject == subject {
			p.end(outcome{err: err})
		}
	}
}

// shut ends all calls, and those that come later.
func (b *inbox) shut(err error) {
	b.changing.Lock()
	b.closed = err
	b.changing.Unlock()
	b.fail("", err)
}

// ask publishes a question to several servers and hands each answer to tell, which must not wait, until none has come for a
// while, tell returns false, or the time is over. An error says that it could not be asked, or that ctx has ended.
func (s *Server) ask(ctx context.Context, subject string, silence, most time.Duration, tell func(*nats.Msg) bool) error {
	return s.askWith(ctx, subject, nil, silence, most, func(m *nats.Msg) bool { return !isNoResponders(m) && tell(m) }, nil)
}

// askWith is ask with data. NATS's own answer, that nobody listens, is an answer too. If allGone is not nil, it reports whether all have
// left the view whose answers are waited for: then only those are waited for that are on their way.
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
			return o.err // that of a denial, or of the connection
		case <-p.timer.C:
			return nil
		case <-over.C:
			return nil
		case <-ctx.Done():
			return withCause(ctx, errors.New("cluster: asking "+subject))
		}
	}
}
