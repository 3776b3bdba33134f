package peer

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// queue has the calls that have come by a link, in order: those that run, and those that wait. A call that waits for its caller
// gives its place to the next one, and takes a place again when it goes on, before all that have not begun.
type queue struct {
	places int             // how many run at a time now
	most   int             // and else
	room   int             // how many calls may wait
	held   int             // bytes of calls that may wait; one may always
	pushes int             // bytes of notifications that may wait
	work   func(*incoming) // runs a call and those that follow it

	mu      sync.Mutex
	taken   int         // of the places
	running []*incoming // those that have begun, whether they have a place or wait for their caller
	waiting []*incoming
	calls   int              // of those that wait
	frames  int              // bytes of their frames
	bytes   int              // of the notifications that wait
	back    []*incoming      // those that wait for a place to go on
	parked  []chan *incoming // workers without work
	used    bool             // a worker has parked since the alarm was set
	sweep   alarm
	closed  bool
	refuses bool   // see refuse
	count   uint64 // of those that have come or ended
	seen    uint64 // what count was at the time since
	since   time.Time
	quiet   chan struct{} // closed when nothing runs or waits, for whoever has asked; nil if nobody has
}

// Calls that wait hold so many times the largest message at most: a client that fills the queue costs no more.
const waitingMessages = 4

// place says where a call is in the queue, which guards it.
type place struct {
	has       bool // one of the places
	asks      int  // how many calls of its own it waits for
	ended     bool
	cancelled bool
	granted   chan struct{}
}

// verdict says what becomes of a call that has come.
type verdict int

const (
	accepted verdict = iota
	full
	closed // it is not answered: the close frame has been sent
)

// add has a call run in its turn.
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

// size is about how many bytes a notification holds: all of the frame that it came in, whatever it uses of that.
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

// begin starts a call in a place of its own.
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

// unpark has workers end that have had nothing to do since it ran last.
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

// finish says that a call has been answered. It returns the one that runs next, in its place, if there is one.
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
		next = q.pass()
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

// pass gives a place on: to a call that wants to go on, or to the next one, which it returns.
func (q *queue) pass() (next *incoming) {
	switch {
	case q.taken > q.places: // one has gone on without a place, see ask
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

// shift takes the first of those that wait.
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

// leave gives the place of a call on while it waits for its caller.
func (q *queue) leave(in *incoming) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if in.place.asks++; !in.place.has || in.place.ended {
		return
	}
	in.place.has = false
	if next := q.pass(); next != nil {
		q.start(next)
	}
}

// enter waits for a place in which the call can go on. At the end of ctx it goes on without.
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

// ask takes a place, or returns what is closed when there is one.
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
		found.ctx.cancel() // as where a client has left, which kami does not log
	}
}

// isCancelled reports whether its caller has cancelled a call.
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

// refuse has no more calls taken, except while one that runs waits for its caller, who may need them to answer.
func (q *queue) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuses = true
}

// asks reports whether a call that runs waits for its caller.
func (q *queue) asks() bool {
	return slices.ContainsFunc(q.running, func(in *incoming) bool { return in.place.asks > 0 })
}

// hasMore reports whether other calls run or wait, besides the one that asks.
func (q *queue) hasMore() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running)+len(q.waiting) > 1
}

// close has no more calls run. Those that wait never do, and neither do pushes that come again by another connection. Other
// notifications that have come still run, for nobody sends them again.
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

// rest returns how much longer it must be quiet, as far as earlier calls of rest know, and closes the queue if it has been so for long
// enough. While something runs, it returns what is closed at its end.
func (q *queue) rest(enough time.Duration) (left time.Duration, busy <-chan struct{}) {
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

// idle returns what is closed when nothing runs.
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
