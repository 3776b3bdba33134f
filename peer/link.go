package peer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// closeTimeout is how long a close frame may take to be sent and answered.
const closeTimeout = time.Second

// link is one connection, from the upgrade to the last handler. A Conn has one at a time, and for a moment two while it moves to
// another.
type link struct {
	node   *Node
	conn   *Conn
	sock   socket
	remote string // address of the other side
	peer   Info
	dialed bool
	began  time.Time

	upgrade context.Context // of the upgrade, without the identity of a later credential
	base    atomic.Pointer[context.Context]
	sess    atomic.Pointer[session.Session]
	cancel  context.CancelFunc

	in        queue
	calls     calls
	out       *outbox
	spoken    bool // a message has come; only the reader uses it
	seq       bool // pushes tell their numbers; no lock, because the session calls Push in order
	first     sync.Once
	heard     atomic.Int64 // when something was read, in nanoseconds since epoch
	beat      alarm
	goodbye   sync.Once
	dismissed atomic.Bool

	done    chan struct{} // closed when it ends
	shut    chan struct{} // closed when its socket is closed
	closing sync.Once
	mu      sync.Mutex
	err     error // why it has ended
	over    bool  // wait waits for closers; spawn starts no more
	closers sync.WaitGroup

	pushes  sync.WaitGroup // with numbers, that run
	moving  bool           // another link is being made for it
	expires time.Time      // of the credential that this side has shown
	refresh *time.Timer
}

// newLink makes a link whose messages have the values of ctx.
func (n *Node) newLink(ctx context.Context) *link {
	l := &link{node: n, done: make(chan struct{}), shut: make(chan struct{})}
	l.in.places, l.in.most, l.in.room, l.in.pushes = n.concurrent(), n.concurrent(), n.queue(), n.pushQueue()
	l.in.held = waitingMessages * int(n.maxMessage())
	l.in.work = l.work
	ctx, l.cancel = context.WithCancel(ctx)
	l.upgrade = ctx
	return l
}

// use gives the link its socket.
func (l *link) use(sock socket) {
	l.sock = sock
	l.out = newOutbox(sock, l.node.pushQueue(), l.slow, l.broken)
}

// run serves the link until it has ended: the last handler has returned, and OnDisconnect.
func (l *link) run() {
	l.open()
	l.beat.set(l.node.heartbeat(), l.heartbeat)
	l.hook("OnConnect", l.node.OnConnect)
	if l.conn.redial == nil {
		l.conn.opened(l)
	} else {
		l.spawn(l.comeBack)
	}
	l.ended(l.read())
	<-l.in.idle()
	l.wait()
	l.out.watch.stop()
	l.hook("OnDisconnect", l.node.OnDisconnect)
	l.session().Detach()
	l.conn.drop(l)
}

// spawn runs a function for which the end of the link waits. After that end it does nothing.
func (l *link) spawn(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.closers.Go(f)
	}
}

// wait waits for all that spawn has begun.
func (l *link) wait() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.closers.Wait()
}

// open begins the session.
func (l *link) open() {
	l.began = time.Now()
	l.heard.Store(int64(time.Since(epoch)))
	l.upgrade = context.WithValue(l.upgrade, connKey{}, l.conn)
	l.enter(l.node.Sessions.Open(l), l.upgrade)
	if !l.conn.began(l) {
		l.closeWith(closeNormal, "")
	}
}

// abandon ends a link that does not run.
func (l *link) abandon() {
	l.cancel()
	l.sock.cut()
}

// enter makes the messages from now on belong to the session.
func (l *link) enter(s *session.Session, ctx context.Context) {
	ctx = session.NewContext(ctx, s)
	l.sess.Store(s)
	l.base.Store(&ctx)
}

// read takes messages until there are no more, and returns why.
func (l *link) read() error {
	for {
		text, data, err := l.sock.read()
		if err != nil {
			return err
		}
		l.heard.Store(int64(time.Since(epoch)))
		l.out.ahead.Store(0)
		if !text {
			l.closeWith(closeUnsupported, "a message is not text")
			continue
		}
		l.receive(data)
	}
}

// ended ends the link for the reader's error.
func (l *link) ended(err error) {
	if errors.Is(err, errTooBig) {
		l.closeWith(closeTooBig, err.Error())
		return
	}
	var closed *closeError
	restart := errors.As(err, &closed) && closed.code == closeRestart
	l.end(fmt.Errorf("%w: %w", ErrClosed, err), restart)
	l.closing.Do(func() { l.handshake(closeProtocol, "") })
}

// end ends the link: the contexts of handlers end, and goroutines that wait on it wake. unrun says that calls without an answer
// have not run.
func (l *link) end(err error, unrun bool) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	if l.refresh != nil {
		l.refresh.Stop()
	}
	l.mu.Unlock()
	l.in.close()
	l.out.close()
	l.beat.stop()
	later := fmt.Errorf("%w: %w", ErrNotSent, err)
	if unrun {
		err = later
	}
	l.calls.fail(err, later)
	l.cancel()
	close(l.done)
	l.conn.lost(l)
}

// broken ends the link because a write has failed.
func (l *link) broken(err error) {
	l.end(fmt.Errorf("%w: %w", ErrClosed, err), false)
	l.closing.Do(func() {
		l.sock.cut()
		close(l.shut)
	})
}

// slow ends the link because the other side does not read. It gets a close frame if it reads within a moment.
func (l *link) slow(err error) { l.closeWith(closePolicy, err.Error()) }

// closeWith closes the link with a status of RFC 6455, after what is queued. It does not wait.
func (l *link) closeWith(code int, reason string) {
	l.closing.Do(func() {
		if code != closeNormal {
			l.log(code, reason)
		}
		l.spawn(func() {
			l.end(fmt.Errorf("%w: with the status %d: %s", ErrClosed, code, reason), false)
			l.handshake(code, closeReason(reason))
		})
	})
}

// handshake sends what is queued and the close frame, unless the frame has been sent. It cuts the connection if the other side does
// not read in time.
func (l *link) handshake(code int, reason string) {
	timer := time.AfterFunc(closeTimeout, l.sock.cut)
	defer timer.Stop()
	l.out.turn <- struct{}{}
	_ = l.out.writeQueue()
	<-l.out.turn
	l.sock.close(code, reason)
	l.sock.cut()
	close(l.shut)
}

// closeReason cuts a reason to the length that a close frame allows.
func closeReason(reason string) string {
	const most = 123
	if len(reason) > most {
		reason = reason[:most]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	return strings.ToValidUTF8(reason, "?")
}

func (l *link) log(code int, reason string) {
	l.node.log().Info("peer: closing a connection", "status", code, "reason", reason, "remote", l.remote)
}

// hook runs one of the Node's hooks, and logs its panic.
func (l *link) hook(name string, hook func(*Conn)) {
	if hook == nil {
		return
	}
	if err := isolated(func() { hook(l.conn) }); err != nil {
		l.node.log().Error("peer: a hook failed", "hook", name, "err", err, "remote", l.remote)
	}
}

// isolated runs a function of the app in a goroutine of its own, because its panic or a runtime.Goexit would end the caller's
// goroutine. It returns both as errors.
func isolated(f func()) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = errGoexit
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("it panicked: %v\n%s", v, debug.Stack())
			}
		}()
		f()
		err = nil
	}()
	<-done
	return err
}

var errGoexit = errors.New("it has ended its goroutine")

// Push queues a notification. The session calls it.
func (l *link) Push(ctx context.Context, m *message.Message) error {
	return l.out.enqueue(l.pushFrame(m, session.Seq(ctx)))
}

// pushFrame makes the frame of a push.
func (l *link) pushFrame(m *message.Message, seq uint64) []byte {
	frame := make([]byte, 0, len(m.Route)+len(m.Body)+64)
	frame = append(frame, begin+`,"method":`...)
	frame = appendString(frame, m.Route)
	frame = appendParams(frame, m)
	if l.seq {
		frame = appendSeq(frame, seq)
	}
	return append(frame, '}')
}

// Subject returns the subject of the identity. The session calls it.
func (l *link) Subject() string { return session.Subject(l.context()) }

// Close closes the connection; the session calls it to kick its client. A client that was told to go leaves by itself, because it
// may have calls to answer.
func (l *link) Close(_ context.Context, reason string) error {
	if l.dismissed.Load() {
		return nil
	}
	l.closeWith(closePolicy, reason)
	return nil
}
