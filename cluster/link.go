package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Options returns the options that a connection for a cluster needs. Add them to your own:
//
//	nc, err := nats.Connect(url, append(cluster.Options(), nats.Name("room 7"))...)
//
// With them nothing is published later than it was meant to be, the connection is never given up, and a broken connection is noticed
// within half a minute and made anew soon after NATS is back.
func Options() []nats.Option {
	return []nats.Option{
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.IgnoreAuthErrorAbort(),
	}
}

// checkConn says why a connection is not good for a cluster.
func checkConn(nc *nats.Conn) error {
	switch {
	case nc == nil:
		return errors.New("cluster: Join: the connection is nil")
	case nc.IsClosed() || nc.IsDraining():
		return fmt.Errorf("cluster: Join: the connection is %v", nc.Status())
	case nc.Opts.ReconnectBufSize != -1 || nc.Opts.MaxReconnect != -1:
		return errors.New("cluster: Join: the connection needs ReconnectBufSize(-1), so that no call runs after its caller has gone, and MaxReconnects(-1): connect with the options of cluster.Options()")
	case nc.Opts.NoEcho:
		return errors.New("cluster: Join: the connection must not have NoEcho: a server may call its own type")
	case !nc.HeadersSupported() && nc.IsConnected():
		return errors.New("cluster: Join: the NATS server supports no headers")
	}
	return nil
}

// link watches the connection.
type link struct {
	changing sync.Mutex
	returned chan struct{} // closed when the connection is back
	denied   map[string]error
}

// back returns a channel that is closed when the connection is back the next time.
func (l *link) back() <-chan struct{} {
	l.changing.Lock()
	defer l.changing.Unlock()
	if l.returned == nil {
		l.returned = make(chan struct{})
	}
	return l.returned
}

func (l *link) isBack() {
	l.changing.Lock()
	defer l.changing.Unlock()
	if l.returned != nil {
		close(l.returned)
		l.returned = nil
	}
}

// listening is held while a server puts its handler before a connection's ErrorHandler: several servers may join over one connection.
var listening sync.Mutex

// hearErrors puts a handler before the connection's ErrorHandler. The handler stays there, and does nothing more after the server has left.
func (s *Server) hearErrors() {
	listening.Lock()
	defer listening.Unlock()
	next := s.nc.ErrorHandler()
	own := new(atomic.Pointer[Server])
	own.Store(s)
	s.deafen = func() { own.Store(nil) }
	s.nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if s := own.Load(); s != nil {
			s.hearError(sub, err)
		}
		if next != nil {
			next(nc, sub, err)
		}
	})
}

// violation matches NATS's error about a denied operation, with the subject in quotes.
var violation = regexp.MustCompile(`(Publish|Subscription) to ("(?:[^"\\]|\\.)*")`)

// hearError acts on an error of the connection. NATS reports it some time after the operation that it is about.
func (s *Server) hearError(sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) && s.owns(sub) {
		s.slow(sub)
		return
	}
	found := violation.FindStringSubmatch(err.Error())
	if !errors.Is(err, nats.ErrPermissionViolation) || found == nil {
		return
	}
	subject, _ := strconv.Unquote(found[2])
	if found[1] == "Publish" {
		s.inbox.fail(subject, ErrDenied)
		return
	}
	for _, own := range []string{string(s.names), s.inbox.prefix, "$SRV."} {
		if strings.HasPrefix(subject, own) {
			s.cfg.Log.Error("cluster: NATS does not permit a subscription that a server needs", "subject", subject)
			s.link.deny(subject, fmt.Errorf("%w: subscribing to %s", ErrDenied, subject))
		}
	}
}

// deny notes that a subscription is not permitted.
func (l *link) deny(subject string, err error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	if l.denied == nil {
		l.denied = make(map[string]error)
	}
	l.denied[subject] = err
}

// denial returns an error if a subscription was not permitted.
func (l *link) denial() error {
	l.changing.Lock()
	defer l.changing.Unlock()
	for _, err := range l.denied {
		return err
	}
	return nil
}
