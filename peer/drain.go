package peer

import (
	"context"
	"strconv"
	"time"
)

// calm is how long a link that was told to go must receive nothing before it is closed.
const calm = 500 * time.Millisecond

// patience is how long calls are taken from a link that was told to go and does not become calm.
const patience = 4 * calm

// drain has the links of one server. They end when the server begins to stop.
//
// optimization: one goroutine for each server waits for its stop, instead of one for each link (TestP19Idle).
type drain struct {
	links map[*link]struct{}
	none  chan struct{} // closed when there is no link left
	begun bool          // the server stops
}

// watch dismisses the link when stop is closed. stop is the channel of a server, or nil.
func (n *Node) watch(stop <-chan struct{}, l *link) {
	if stop == nil {
		return
	}
	if late, all := n.isLate(stop, l); late {
		l.dismiss(n.within(all))
	}
}

// isLate has the link belong to the drain of the server. It reports whether that has begun, and how many links there are.
func (n *Node) isLate(stop <-chan struct{}, l *link) (late bool, all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.drains[stop]
	if d == nil {
		d = &drain{links: make(map[*link]struct{}), none: make(chan struct{})}
		if n.drains == nil {
			n.drains = make(map[<-chan struct{}]*drain)
		}
		n.drains[stop] = d
		n.running.Go(func() { n.await(stop, d) })
	}
	d.links[l] = struct{}{}
	return d.begun, len(d.links)
}

// unwatch ends watch. After the last link no goroutine waits for the server.
func (n *Node) unwatch(stop <-chan struct{}, l *link) {
	if stop == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.drains[stop]
	delete(d.links, l)
	if len(d.links) == 0 {
		delete(n.drains, stop)
		close(d.none)
	}
}

func (n *Node) await(stop <-chan struct{}, d *drain) {
	select {
	case <-d.none:
		return
	case <-stop:
	}
	n.mu.Lock()
	d.begun = true
	links := make([]*link, 0, len(d.links))
	for l := range d.links {
		links = append(links, l)
	}
	n.mu.Unlock()
	n.dismiss(links)
}

// dismiss tells links to go, each at a random moment within a time that is long enough for all to come back.
func (n *Node) dismiss(links []*link) {
	within := n.within(len(links))
	for _, l := range links {
		l.dismiss(within)
	}
}

// within returns how long it takes to have so many connections come back.
func (n *Node) within(links int) time.Duration {
	return time.Duration(links) * time.Second / time.Duration(n.drainRate())
}

// dismiss says goodbye, and closes the link when the time is over, nothing runs, and nothing has come for a moment.
func (l *link) dismiss(within time.Duration) {
	l.goodbye.Do(func() {
		l.dismissed.Store(true)
		_ = l.out.enqueue(appendNotification(nil, methodGoaway, func(b []byte) []byte {
			return strconv.AppendInt(append(b, `"within":`...), within.Milliseconds(), 10)
		}))
		l.spawn(func() { l.closeWhenCalm(within) })
	})
}

// closeWhenCalm closes the link after the time, when nothing runs and nothing has come for a moment. The moment begins with the end of
// the time, for a client that comes back as late as that takes its session from here, and this server may live no longer than its links.
// A client that goes on to call, as one that finds no other server to go to, is not waited for: after a while its calls are not taken any
// more, which the status of the close frame says.
func (l *link) closeWhenCalm(within time.Duration) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	enough := time.AfterFunc(within+patience, l.in.refuse)
	defer enough.Stop()
	for {
		select {
		case <-timer.C:
		case <-l.done:
			return
		}
		left, busy := l.in.closeWhenQuiet(calm)
		switch {
		case busy != nil:
			select {
			case <-busy:
			case <-l.done:
				return
			}
		case left <= 0:
			l.closeWith(closeRestart, "the server restarts")
			return
		}
		timer.Reset(max(left, 0))
	}
}

// limit ends the link when the context of its upgrade has ended, such as at the end of DrainTimeout. The contexts of handlers end
// too; they have a moment to answer.
func (l *link) limit(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.in.close()
		timer := time.NewTimer(calm / 2)
		defer timer.Stop()
		select {
		case <-l.in.idle():
		case <-timer.C:
		}
		l.closeWith(closeGoingAway, "the server stops")
	})
}

// Close says goodbye to all, waits for what runs, and closes. Connections that this Node has dialed are closed when their calls have
// been answered. At the end of ctx it closes what is left at once, and returns why ctx has ended. It leaves no connection and no
// goroutine. A handler that came by one of these connections must not call it: it would wait for itself.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.stop())
	}
	var served, dialed []*link
	for l := range n.links {
		if l.dialed {
			dialed = append(dialed, l)
		} else {
			served = append(served, l)
		}
	}
	n.mu.Unlock()
	n.dismiss(served)
	for _, l := range dialed {
		l.goodbye.Do(func() { l.spawn(func() { l.closeWhenIdle(closeGoingAway, "the client stops") }) })
	}
	gone := make(chan struct{})
	go func() {
		n.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	for _, l := range append(served, dialed...) {
		l.closeWith(closeGoingAway, "the server stops")
	}
	<-gone
	return context.Cause(ctx)
}

// closeWhenIdle closes a link when no call waits for an answer at either side.
func (l *link) closeWhenIdle(code int, reason string) {
	for _, idle := range []func() <-chan struct{}{l.calls.idle, l.in.idle} { // one after the other: pushes come before answers
		select {
		case <-idle():
		case <-l.done:
			return
		}
	}
	l.closeWith(code, reason)
}

// stop returns a channel that is closed with the Node. Its caller has the lock.
func (n *Node) stop() chan struct{} {
	if n.stopped == nil {
		n.stopped = make(chan struct{})
	}
	return n.stopped
}
