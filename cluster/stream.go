package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/message"
)

// A stream's items come on the subject of its answer, and the answer ends the stream. The Reply of an item is the subject on which the
// producer hears how many items have been taken. Both sides send beats, and NATS tells each side if the other no longer listens.
const (
	itemHeader = "Kami-Item" // of an item, or of a beat
	anItem     = "1"
	aBeat      = "0"
)

const (
	defaultWindow = 64
	maxWindow     = 1 << 16
)

// missed is how many beats one end of a stream may miss before it counts as gone.
const missed = 2

var (
	errConsumerGone       = errors.New("cluster: the consumer of the stream is gone")
	errProducerGone error = &fault{503, "cluster: the producer of the stream is gone", nil}
	errWindow       error = &fault{502, "cluster: more items have come than the stream's window has", nil}
)

// incomingStream is the consumer's end of a stream.
type incomingStream struct {
	items chan []byte // with room for a whole window
	heard atomic.Int64
	acks  atomic.Pointer[string] // the subject of the producer; nil before it has begun
}

func windowOf(m *message.Message) int {
	if m.Window < 1 {
		return defaultWindow
	}
	return min(m.Window, maxWindow)
}

func newIncomingStream(m *message.Message) *incomingStream {
	return &incomingStream{items: make(chan []byte, windowOf(m))}
}

// receive takes an item or a beat, and reports whether the message is one. It does not wait.
func (i *incomingStream) receive(m *nats.Msg) (bool, error) {
	kind := m.Header.Get(itemHeader)
	if kind == "" {
		return false, nil
	}
	i.heard.Store(since())
	if i.acks.Load() == nil {
		i.acks.Store(&m.Reply)
	}
	if kind != anItem {
		return true, nil
	}
	select {
	case i.items <- m.Data:
		return true, nil
	default:
		return true, errWindow
	}
}

// consume passes the items of a stream to the consumer until the answer comes.
func (s *Server) consume(ctx context.Context, c *calling, p *pending) (*message.Reply, error) {
	beating, stop := context.WithCancel(ctx)
	defer stop()
	go s.beatBack(beating, p.stream, c.reply)
	giveUp := func(err error) (*message.Reply, error) {
		s.callOff(&c.target, c.reply)
		return nil, err
	}
	begun, taken := since(), 0
	p.timer.Reset(min(s.cfg.Timeout, s.patience()))
	for {
		select {
		case item := <-p.stream.items:
			if err := c.message.Stream(item); err != nil {
				return giveUp(err)
			}
			if taken++; 2*taken >= windowOf(c.message) {
				s.acknowledge(p.stream, c.reply, taken)
				taken = 0
			}
		case o := <-p.outcomes:
			return s.endStream(ctx, c, p, o)
		case <-p.timer.C:
			left, err := s.silence(ctx, p.stream, begun)
			if err != nil {
				return giveUp(fmt.Errorf("%w: %.260q", err, c.message.Route))
			}
			p.timer.Reset(left)
		case <-ctx.Done():
			return giveUp(withCause(ctx, fmt.Errorf("cluster: calling %.260q", c.message.Route)))
		}
	}
}

// endStream passes on the items that came before the answer, and returns the answer.
func (s *Server) endStream(ctx context.Context, c *calling, p *pending, o outcome) (*message.Reply, error) {
	for o.err == nil && len(p.stream.items) > 0 {
		if ctx.Err() != nil {
			return nil, withCause(ctx, fmt.Errorf("cluster: calling %.260q", c.message.Route))
		}
		if err := c.message.Stream(<-p.stream.items); err != nil {
			return nil, err
		}
	}
	begun := p.stream.acks.Load() != nil
	switch {
	case errors.Is(o.err, errWindow):
		s.callOff(&c.target, c.reply)
	case o.err == nil && begun && isNoResponders(o.msg):
		return nil, fmt.Errorf("%w: %.260q", errProducerGone, c.message.Route)
	}
	return s.answer(o, c)
}

// patience is how long one end of a stream may be silent.
func (s *Server) patience() time.Duration { return missed*s.beats.stream + s.beats.stream/2 }

// silence returns how long a producer may still be silent, or an error if it has been silent for too long.
func (s *Server) silence(ctx context.Context, i *incomingStream, asked int64) (time.Duration, error) {
	heard, limit, err := i.heard.Load(), s.patience(), errProducerGone
	if heard == 0 { // the call waits for its turn
		if _, ok := ctx.Deadline(); ok {
			return limit, nil
		}
		heard, limit = asked, s.cfg.Timeout
		err = fmt.Errorf("cluster: %w: the Timeout is %v", errLate, limit)
	}
	if left := limit - time.Duration(since()-heard); left > 0 {
		return min(left, s.patience()), nil
	}
	return 0, err
}

// acknowledge tells the producer that items have been taken. NATS answers if the producer is gone.
func (s *Server) acknowledge(i *incomingStream, reply string, n int) {
	if acks := i.acks.Load(); acks != nil && *acks != "" {
		_ = s.publish(*acks, reply, nil, strconv.AppendInt(nil, int64(n), 10))
	}
}

// beatBack tells the producer that the consumer is there.
func (s *Server) beatBack(ctx context.Context, i *incomingStream, reply string) {
	ticker := time.NewTicker(s.beats.stream)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.acknowledge(i, reply, 0)
		case <-ctx.Done():
			return
		}
	}
}

// outgoingStream is the producer's end of a stream.
type outgoingStream struct {
	j      *job
	acks   string
	p      *pending
	broken error // why an item could not be sent

	heard    atomic.Int64
	changing sync.Mutex
	left     int           // how many items may be sent
	more     chan struct{} // closed when there are more; nil if no goroutine waits
}

// stream lets the job's handler send items. It ends with the job.
func (v *service) stream(j *job) (*outgoingStream, error) {
	window, err := strconv.Atoi(j.msg.Header.Get(streamHeader))
	if err != nil || window < 1 {
		return nil, nil
	}
	o := &outgoingStream{j: j, left: min(window, maxWindow)}
	o.heard.Store(since())
	if o.p, o.acks, err = v.inbox.open("", nil, o.hear); err != nil {
		return nil, err
	}
	j.message.Window = o.left
	j.message.Stream = func(item []byte) error { return v.send(o, item) }
	v.beat(o)
	go v.keepBeating(o)
	return o, nil
}

// endStream ends a stream. It returns the handler's answer, or an error if an item could not be sent.
func (v *service) endStream(o *outgoingStream, reply *message.Reply) *message.Reply {
	v.inbox.close(o.p)
	if o.broken != nil && !errors.Is(o.broken, context.Canceled) {
		return errorReply(500, o.broken.Error())
	}
	return reply
}

// hear takes a message of the consumer. It must not wait.
func (o *outgoingStream) hear(m *nats.Msg) {
	if isNoResponders(m) {
		o.j.call.callOff(errConsumerGone)
		return
	}
	o.heard.Store(since())
	if n, err := strconv.Atoi(string(m.Data)); err == nil && n > 0 {
		o.add(min(n, maxWindow))
	}
}

func (o *outgoingStream) add(n int) {
	o.changing.Lock()
	defer o.changing.Unlock()
	o.left = min(o.left+n, maxWindow)
	if o.more != nil && o.left > 0 {
		close(o.more)
		o.more = nil
	}
}

// spend counts an item. It returns a channel that is closed when there may be another one, or nil if there may be one now.
func (o *outgoingStream) spend() <-chan struct{} {
	o.changing.Lock()
	defer o.changing.Unlock()
	if o.left--; o.left > 0 {
		return nil
	}
	o.more = make(chan struct{})
	return o.more
}

// send sends an item, and waits until the window has room for another one.
func (v *service) send(o *outgoingStream, item []byte) error {
	err := v.publish(o.j.msg.Reply, o.acks, nats.Header{itemHeader: {anItem}}, item)
	if err != nil {
		o.broken = err
		return err
	}
	more := o.spend()
	if more == nil {
		return nil
	}
	select {
	case <-more:
		return nil
	case <-o.j.call.Done():
		return context.Cause(&o.j.call)
	}
}

func (v *service) beat(o *outgoingStream) {
	_ = v.publish(o.j.msg.Reply, o.acks, nats.Header{itemHeader: {aBeat}}, nil)
}

// keepBeating tells the consumer that the producer is there, and ends the handler's context if the consumer is gone.
func (v *service) keepBeating(o *outgoingStream) {
	ticker := time.NewTicker(v.beats.stream)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if since()-o.heard.Load() > int64(v.patience()) {
				o.j.call.callOff(errConsumerGone)
				return
			}
			v.beat(o)
		case <-o.j.call.Done():
			return
		}
	}
}
