package peer

import (
	"fmt"
	"sync"
	"time"
)

// alarm is a timer that can be stopped for good.
type alarm struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// set runs ring after a while, in a goroutine of its own. ring is the same function each time.
func (a *alarm) set(d time.Duration, ring func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.stopped:
	case a.timer == nil:
		a.timer = time.AfterFunc(d, ring)
	default:
		a.timer.Reset(d)
	}
}

// stop ends the alarm: ring does not begin any more.
func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// heartbeat pings the other side, and ends a link from which nothing has been read for two beats. The next one comes when a ping is
// due, or when the other side has been silent for too long.
func (l *link) heartbeat() {
	every := l.node.heartbeat()
	silent := time.Since(epoch) - time.Duration(l.heard.Load())
	if silent >= 2*every {
		l.closeWith(closePolicy, fmt.Sprintf("nothing has been read for %v", 2*every))
		return
	}
	l.beat.set(min(every, 2*every-silent), l.heartbeat)
	l.sock.ping()
}

// pong notes that a ping or its answer has been read.
func (l *link) pong() { l.heard.Store(int64(time.Since(epoch))) }
