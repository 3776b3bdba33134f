package peer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// writeTimeout is how long each write may take.
const writeTimeout = 10 * time.Second

// errSlow ends a link whose other side does not read fast enough.
var errSlow = errors.New("the other side does not read what is sent")

// outbox writes to a socket. Answers and calls are written at once. Pushes and the reader's answers are queued, because they must
// not wait.
type outbox struct {
	sock  socket
	limit int         // bytes in the queue
	slow  func(error) // called, maybe more than once, when the other side does not read
	fail  func(error) // called when a write that nobody waits for has failed

	turn  chan struct{} // has room for one: the goroutine that writes
	since atomic.Int64  // when the write in progress began, in nanoseconds since epoch; 0 if there is none
	watch alarm         // of writes, set with the first one
	armed atomic.Bool
	ahead atomic.Int64 // bytes written since a frame was read
	soon  atomic.Bool  // flushSoon is about to write the waiting frames

	mu       sync.Mutex
	queue    [][]byte
	bytes    int
	flushing bool // a goroutine writes the queue, or is about to
	closed   bool
}

var epoch = time.Now()

func newOutbox(sock socket, limit int, slow, fail func(error)) *outbox {
	return &outbox{sock: sock, limit: limit, slow: slow, fail: fail, turn: make(chan struct{}, 1)}
}

// write writes a frame after the queued ones. With more the frame may wait a moment for others that are about to come.
func (o *outbox) write(frame []byte, more bool) error {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	if err := o.writeQueue(); err != nil {
		return err
	}
	return o.send(frame, more)
}

// tryWrite is write if that is not likely to wait for the other side: nothing is queued, and the other side has read most of what
// was written. It waits for its turn, until ctx ends.
func (o *outbox) tryWrite(ctx context.Context, frame []byte, more bool) (done bool, err error) {
	const likely = 16 << 10 // bytes that a connection buffers without waiting for the other side
	if len(frame)+int(o.ahead.Load()) > likely {
		return false, nil
	}
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return true, withCause(ctx, ErrNotSent)
	}
	defer func() { <-o.turn }()
	if o.queued() > 0 {
		return false, nil
	}
	return true, o.send(frame, more)
}

// send writes a frame. With more the frame may wait for others. Its caller has the turn.
func (o *outbox) send(frame []byte, more bool) error {
	o.ahead.Add(int64(len(frame)))
	err := o.timed(func() error { return o.sock.write(frame, more) })
	if more && !o.soon.Swap(true) { // after an error too: a close frame may wait with it
		go o.flushSoon()
	}
	return err
}

// flushSoon writes the waiting frames after the goroutines that are about to write have had their turn.
//
// optimization: frames that come at the same time are written together (BenchmarkCall).
func (o *outbox) flushSoon() {
	runtime.Gosched()
	o.turn <- struct{}{}
	o.soon.Store(false)
	err := o.timed(o.sock.flush)
	<-o.turn
	if err != nil {
		o.fail(err)
	}
}

// timed runs a write. look ends it if it takes too long. Its caller has the turn.
func (o *outbox) timed(write func() error) error {
	o.since.Store(int64(time.Since(epoch)) | 1)
	if !o.armed.Swap(true) {
		o.watch.set(writeTimeout, o.checkWrite)
	}
	err := write()
	o.since.Store(0)
	return err
}

// checkWrite ends the link if a write has taken too long.
//
// optimization: there is one timer for all writes, which goes off once in ten seconds (BenchmarkCall).
func (o *outbox) checkWrite() {
	o.armed.Store(false)
	since := o.since.Load()
	if since == 0 {
		return
	}
	if left := writeTimeout - (time.Since(epoch) - time.Duration(since)); left <= 0 {
		o.slow(fmt.Errorf("%w: a write has taken %v", errSlow, writeTimeout))
	} else if !o.armed.Swap(true) {
		o.watch.set(left, o.checkWrite)
	}
}

// enqueue queues frames, and never waits. It returns an error if the queue would become too long.
func (o *outbox) enqueue(frames ...[]byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	total := 0
	for _, frame := range frames {
		total += len(frame)
	}
	switch {
	case o.closed:
		return ErrClosed
	case total > o.limit:
		return fmt.Errorf("peer: a message of %d bytes is longer than PushQueue, which is %d", total, o.limit)
	case o.bytes+total > o.limit:
		err := fmt.Errorf("%w: more than PushQueue, %d bytes, wait to be written", errSlow, o.limit)
		go o.slow(err)
		return err
	}
	o.queue, o.bytes = append(o.queue, frames...), o.bytes+total
	if !o.flushing {
		o.flushing = true
		go o.flush()
	}
	return nil
}

// flush writes the queue until it is empty.
func (o *outbox) flush() {
	for {
		o.turn <- struct{}{}
		err := o.writeQueue()
		<-o.turn
		if err != nil {
			o.fail(err)
		}
		o.mu.Lock()
		if len(o.queue) == 0 || o.closed || err != nil {
			o.flushing = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// writeQueue writes what is queued now. Its caller has the turn.
func (o *outbox) writeQueue() error {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 {
			o.queue = nil
			o.mu.Unlock()
			return nil
		}
		frame := o.queue[0]
		o.queue[0], o.queue = nil, o.queue[1:]
		more := len(o.queue) > 0
		o.mu.Unlock()
		err := o.send(frame, more)
		o.mu.Lock()
		o.bytes -= len(frame)
		o.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// queued returns how many bytes wait to be written.
func (o *outbox) queued() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// close refuses further frames for the queue.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}
