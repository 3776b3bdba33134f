package peer

import (
	"fmt"
	"sync"
	"time"
)

// heartbeat pings the other side, and ends a link from which nothing is read. Between two pings it is a timer.
type heartbeat struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (h *heartbeat) start(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.timer = time.AfterFunc(l.node.heartbeat(), l.heartbeat)
	}
}

func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}

func (h *heartbeat) reset(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.timer.Reset(d)
	}
}

// heartbeat is one beat. The next one comes when a ping is due, or when the other side has been silent for too long.
func (l *link) heartbeat() {
	every := l.node.heartbeat()
	silent := time.Since(epoch) - time.Duration(l.heard.Load())
	if silent >= 2*every {
		l.closeWith(closePolicy, fmt.Sprintf("nothing has been read for %v", 2*every))
		return
	}
	l.beat.reset(min(every, 2*every-silent))
	l.sock.ping()
}

// pong says that something has been read which is no message.
func (l *link) pong() { l.heard.Store(int64(time.Since(epoch))) }
