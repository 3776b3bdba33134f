package peer

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// queue has the calls that have come over a link, in order: running ones and waiting ones. A call that waits for its caller gives
// its place to the next one. When it goes on, it takes a place before the calls that have not begun.
type queue struct {
	places int             // how many calls run at a time now
	most   int             // and without a call that runs alone
	room   int             // calls that may wait
	held   int             // bytes of the calls that may wait; one may always wait
	pushes int             // bytes of notifications that may wait
	work   func(*incoming) // runs a call and the next ones

	mu      sync.Mutex
	taken   int         // places in use
	running []*incoming // calls that have begun, with a place or waiting for their caller
	waiting []*incoming
	calls   int              // calls that wait
	frames  int              // bytes of the frames of these calls
	bytes   int              // of the notifications that wait
	back    []*incoming      // calls that wait for a place to go on
	parked  []chan *incoming // workers without work
	used    bool             // a worker has parked since the alarm was set
	sweep   alarm
	closed  bool
	refuses bool   // see refuse
	count   uint64 // calls that have come or ended
	seen    uint64 // count at the time since
	since   time.Time
	quiet   chan struct{} // closed when nothing runs or waits; nil if nobody has asked
}

// Waiting calls hold at most this many times the largest message: a client that fills the queue costs no more memory.
const waitingMessages = 4

// place says where a call is in the queue, which guards it.
type place struct {
	has       bool // the call has one of the places
	asks      int  // how many calls to its caller it waits for
	ended     bool
	cancelled bool
	granted   chan struct{}
}

// verdict says whether a call that has come runs.
type verdict int

const (
	accepted verdict = iota
	full
	closed // no answer: the close frame has been sent
)

// add lets a call run in its turn.
func (q *queue) add(in *incoming) verdict {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed, q.refuses && !q.asks():
		return closed
	case q.taken < q.places:
		if in.alone {
			q.places = 1
		}
		q.begin(in)
	case in.id == nil && q.bytes+in.size() > q.pushes, in.id != nil && q.calls > 0 && (q.calls >= q.room || q.frames+in.frame > q.held):
		return full
	default:
		q.wait(in)
	}
	q.count++
	return accepted
}

// size is about how many bytes a notification keeps in memory: the whole frame, because its slices point there.
func (in *incoming) size() int { return int(unsafe.Sizeof(*in)) + in.frame }

func (q *queue) wait(in *incoming) {
	q.waiting = append(q.waiting, in)
	if in.id == nil {
		q.bytes += in.size()
	} else {
		q.calls++
		q.frames += in.frame
	}
}

// begin gives a call a place and starts it.
func (q *queue) begin(in *incoming) {
	q.taken++
	in.place.has = true
	q.running = append(q.running, in)
	q.start(in)
}

// start gives a call to a worker.
func (q *queue) start(in *incoming) {
	if last := len(q.parked) - 1; last >= 0 {
		worker := q.parked[last]
		q.parked = q.parked[:last]
		worker <- in
		return
	}
	go q.work(in)
}

// linger is about how long a worker waits for other work.
const linger = time.Second

// park waits for other work. It returns nil if there is none for a while.
//
// optimization: a new goroutine would have to grow its stack for each call (BenchmarkCall).
func (q *queue) park(worker chan *incoming) *incoming {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	if len(q.parked) == 0 && !q.used {
		q.sweep.set(linger, q.unpark)
	}
	q.parked, q.used = append(q.parked, worker), true
	q.mu.Unlock()
	return <-worker
}

// unpark ends the workers that have had nothing to do since it ran last.
func (q *queue) unpark() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used && !q.closed {
		q.used = false
		q.sweep.set(linger, q.unpark)
		return
	}
	q.dismiss()
}

func (q *queue) dismiss() {
	for _, worker := range q.parked {
		worker <- nil
	}
	q.parked = nil
}

// finish notes that a call has been answered. It returns the next call to run in its place, or nil.
func (q *queue) finish(in *incoming) (next *incoming) {
	q.mu.Lock()
	defer q.mu.Unlock()
	in.place.ended = true
	q.count++
	if i := slices.Index(q.running, in); i >= 0 {
		q.running = slices.Delete(q.running, i, i+1)
	}
	if in.alone {
		q.places = q.most
	}
	if in.place.has {
		next = q.givePlace()
	}
	for len(q.waiting) > 0 && q.taken < q.places {
		q.begin(q.shift())
	}
	if q.quiet != nil && len(q.running)+len(q.waiting) == 0 {
		close(q.quiet)
		q.quiet = nil
	}
	return next
}

// givePlace gives a place to a call that wants to go on, or else to the next call, which it returns.
func (q *queue) givePlace() (next *incoming) {
	switch {
	case q.taken > q.places: // a call has gone on without a place, see enter
	case len(q.back) > 0:
		first := q.back[0]
		q.back = slices.Delete(q.back, 0, 1)
		first.place.has = true
		close(first.place.granted)
		return nil
	case len(q.waiting) > 0:
		next = q.shift()
		next.place.has = true
		q.running = append(q.running, next)
		return next
	}
	q.taken--
	return nil
}

// shift takes the first waiting call.
func (q *queue) shift() (first *incoming) {
	first = q.waiting[0]
	q.waiting[0], q.waiting = nil, q.waiting[1:]
	if first.id == nil {
		q.bytes -= first.size()
	} else {
		q.calls--
		q.frames -= first.frame
	}
	return first
}

// leave gives the place of a call to another one while it waits for its caller.
func (q *queue) leave(in *incoming) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if in.place.asks++; !in.place.has || in.place.ended {
		return
	}
	in.place.has = false
	if next := q.givePlace(); next != nil {
		q.start(next)
	}
}

// enter waits for a place in which the call can go on. At the end of ctx it goes on without a place.
func (q *queue) enter(ctx context.Context, in *incoming) {
	granted := q.ask(in)
	if granted == nil {
		return
	}
	select {
	case <-granted:
		return
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.back, in); i >= 0 {
		q.back = slices.Delete(q.back, i, i+1)
		in.place.has = true
		q.taken++
	}
}

// ask takes a place, or returns a channel that is closed when the call gets one.
func (q *queue) ask(in *incoming) (granted chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch in.place.asks--; {
	case in.place.asks > 0, in.place.ended, in.place.has:
		return nil
	case q.taken < q.places:
		q.taken++
		in.place.has = true
		return nil
	}
	in.place.granted = make(chan struct{})
	q.back = append(q.back, in)
	return in.place.granted
}

// cancel cancels the call with the id, if it has not been answered.
func (q *queue) cancel(id []byte) {
	q.mu.Lock()
	var found *incoming
	for _, calls := range [][]*incoming{q.waiting, q.running} {
		for _, in := range calls {
			if bytes.Equal(in.id, id) {
				found = in
			}
		}
	}
	if found != nil {
		found.place.cancelled = true
	}
	q.mu.Unlock()
	if found != nil {
		found.ctx.cancel() // like a client that has left, which kami does not log
	}
}

// isCancelled reports whether the caller has cancelled the call.
func (q *queue) isCancelled(in *incoming) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return in.place.cancelled
}

// find returns the call with the id that runs, or nil.
func (q *queue) find(id []byte) *incoming {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, in := range q.running {
		if bytes.Equal(in.id, id) {
			return in
		}
	}
	return nil
}

// refuse stops the queue from taking calls, except while a running call waits for its caller: the caller may need them for its
// answer.
func (q *queue) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuses = true
}

// asks reports whether a call that runs waits for its caller.
func (q *queue) asks() bool {
	return slices.ContainsFunc(q.running, func(in *incoming) bool { return in.place.asks > 0 })
}

// hasMore reports whether other calls than the asking one run or wait.
func (q *queue) hasMore() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running)+len(q.waiting) > 1
}

// close drops the waiting calls, and the waiting pushes that come again on another connection. Other waiting notifications still
// run, because nobody sends them again.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.sweep.stop()
	q.dismiss()
	waiting := q.waiting
	q.waiting, q.calls, q.frames, q.bytes = nil, 0, 0, 0
	for _, in := range waiting {
		if in.id == nil && in.seq == 0 {
			q.wait(in)
		}
	}
}

// closeWhenQuiet closes the queue if it has been quiet for long enough, counted from an earlier call. Otherwise it returns how much longer it
// must be quiet. While a call runs or waits, it returns a channel that is closed at the end.
func (q *queue) closeWhenQuiet(enough time.Duration) (left time.Duration, busy <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.running)+len(q.waiting) > 0 {
		return 0, q.whenQuiet()
	}
	if q.seen != q.count || q.since.IsZero() {
		q.seen, q.since = q.count, time.Now()
	}
	left = enough - time.Since(q.since)
	if left <= 0 {
		q.closed = true
	}
	return left, nil
}

// idle returns a channel that is closed when nothing runs or waits.
func (q *queue) idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.running)+len(q.waiting) == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	return q.whenQuiet()
}

func (q *queue) whenQuiet() <-chan struct{} {
	if q.quiet == nil {
		q.quiet = make(chan struct{})
	}
	return q.quiet
}
