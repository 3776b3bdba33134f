package kami

import (
	"context"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// linger is how long connections without a request live on when a server stops. A request that is on its way, or that a
// client sends because it has not yet been told, comes within it.
const linger = 500 * time.Millisecond

// drain is one server from its first connection to its last. It knows how many there are and which of them have never
// sent a request, from net/http's own account of them: connections and writers are net/http's, none is wrapped.
type drain struct {
	server   *http.Server
	listener net.Listener
	timeout  time.Duration // Mux.DrainTimeout

	draining  chan struct{} // closed when it begins to stop
	forced    chan struct{} // closed when it must stop now
	over      chan struct{} // closed when it has stopped
	stopOnce  sync.Once
	forceOnce sync.Once

	open    atomic.Int64  // connections, without those that have been hijacked
	silent  sync.Map      // the net.Conns from which no request has come
	leaving sync.Map      // the net.Conns that end with their response
	quiet   chan struct{} // has room for one, and gets one when open falls to 0

	requests context.Context         // ends when the timeout has passed: what governs requests, if there is a timeout
	base     context.Context         // of the requests that come in; ends together with requests
	end      context.CancelCauseFunc // ends both
	joins    joins
}

// accepted is what the contexts of a connection's requests hold.
type accepted struct {
	by   *drain
	conn net.Conn
}

type acceptedKey struct{}

func acceptedOf(ctx context.Context) *accepted {
	a, _ := ctx.Value(acceptedKey{}).(*accepted)
	return a
}

// drainOf returns the drain that ctx's request came through, or nil.
func drainOf(ctx context.Context) *drain {
	if a := acceptedOf(ctx); a != nil {
		return a.by
	}
	return nil
}

// prepare makes the server tell the drain what happens, beside what it is set to do.
func (d *drain) prepare(l net.Listener) error {
	srv := d.server
	if err := secure(srv); err != nil {
		return fmt.Errorf("kami: serving on %s: %w", l.Addr(), err)
	}
	base := context.Background()
	if srv.BaseContext != nil {
		if base = srv.BaseContext(l); base == nil {
			return fmt.Errorf("kami: serving on %s: BaseContext returned a nil context", l.Addr())
		}
	}
	d.limit(base)
	srv.BaseContext = func(net.Listener) context.Context { return d.base }

	connContext := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if connContext != nil {
			ctx = connContext(ctx, c)
		}
		return context.WithValue(ctx, acceptedKey{}, &accepted{d, c})
	}
	connState := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if connState != nil {
			connState(c, state)
		}
		d.count(c, state)
	}
	srv.Handler = d.around(srv.Handler)
	return nil
}

// limit prepares for the end that the timeout puts to requests.
func (d *drain) limit(base context.Context) {
	requests, endRequests := context.WithCancelCause(context.Background())
	incoming, endIncoming := context.WithCancelCause(base)
	d.requests, d.base = requests, incoming
	d.end = func(cause error) { endRequests(cause); endIncoming(cause) }
}

// governs returns what ends a request that base alone would end: the timeout does as well, if there is one.
func (d *drain) governs(base context.Context) context.Context {
	if d == nil || d.timeout <= 0 {
		return base
	}
	return d.joins.either(d.requests, base)
}

// count keeps the account of connections. A connection is not silent any more once a request's header has come, or
// HTTP/2's preface.
func (d *drain) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		d.silent.Store(c, nil)
		d.open.Add(1)
	case http.StateActive:
		d.silent.Delete(c)
	case http.StateIdle:
		if _, leaves := d.leaving.LoadAndDelete(c); leaves {
			_ = c.Close()
		}
	case http.StateHijacked, http.StateClosed:
		d.silent.Delete(c)
		if d.open.Add(-1) == 0 {
			select {
			case d.quiet <- struct{}{}:
			default:
			}
		}
	}
}

// around returns the handler of all requests. While draining, responses tell their clients that the connection ends;
// net/http makes a GOAWAY of it in HTTP/2. A request to switch protocols needs the Connection header for that.
//
// An event stream that began before cannot say so any more, but its client expects no more on that connection: it comes
// back later, on another one. So nothing is lost if the connection ends at once.
func (d *drain) around(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.isDraining() && !switches(r) {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
		if d.isDraining() && r.ProtoMajor == 1 && isEventStream(w.Header()) {
			d.leaving.Store(acceptedOf(r.Context()).conn, nil)
		}
	})
}

// switches reports whether a handler may switch protocols. Clients offer h2c with any request, but no handler takes it.
func switches(r *http.Request) bool {
	to := r.Header.Get("Upgrade")
	return to != "" && !strings.EqualFold(to, "h2c")
}

func isEventStream(header http.Header) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return kind == "text/event-stream"
}

// isDraining costs a request but the loading of the channel's state.
func (d *drain) isDraining() bool {
	select {
	case <-d.draining:
		return true
	default:
		return false
	}
}

// stop begins a graceful stop.
func (d *drain) stop() { d.stopOnce.Do(func() { close(d.draining) }) }

// force ends it now: the contexts that end with the server, then the connections.
func (d *drain) force() {
	d.stop()
	d.forceOnce.Do(func() {
		d.end(http.ErrServerClosed)
		close(d.forced)
	})
}

// serve serves until it has stopped. The order is what makes it lossless: clients are told first, then connections
// without a request end, and net/http, which once it shuts down answers nothing that it has not yet read, comes last.
func (d *drain) serve() error {
	defer close(d.over)
	failure := d.accept()
	var limit <-chan time.Time
	if d.timeout > 0 {
		limit = time.After(d.timeout)
	}
	d.linger()
	d.shutdown(limit)
	_ = d.server.Close()
	return failure
}

// accept serves connections until it is told to stop, or until the listener fails: then it returns why. What it has
// accepted lives on, and is all counted.
func (d *drain) accept() error {
	accepting := make(chan error, 1)
	go func() {
		if d.server.TLSConfig != nil {
			accepting <- d.server.ServeTLS(d.listener, "", "")
			return
		}
		accepting <- d.server.Serve(d.listener)
	}()
	select {
	case failure := <-accepting:
		d.stop()
		_ = d.listener.Close()
		return fmt.Errorf("kami: serving on %s: %w", d.listener.Addr(), failure)
	case <-d.draining:
	}
	_ = d.listener.Close()
	select {
	case <-accepting:
	case <-d.forced:
	}
	return nil
}

// linger waits for requests that may be on their way, then closes the connections on which none has come.
//
// An HTTP/2 handshake that ends after net/http's shutdown has begun would not be told of it, and hang (golang/go#81153).
// As silent connections end before, there is none, so one shutdown is enough; another would run the functions of
// RegisterOnShutdown again.
func (d *drain) linger() {
	most := linger
	if d.timeout > 0 {
		most = min(most, d.timeout)
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	for waiting := true; waiting && d.open.Load() > 0; {
		select {
		case <-d.quiet:
		case <-timer.C:
			waiting = false
		case <-d.forced:
			waiting = false
		}
	}
	d.silent.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
}

// shutdown waits for the requests in progress, while net/http closes connections as they become idle. At the limit their
// contexts end, and they have another moment to answer.
func (d *drain) shutdown(limit <-chan time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.server.Shutdown(ctx)
	}()
	defer func() { cancel(); <-done }()

	report := time.NewTicker(time.Second)
	defer report.Stop()
	var reported int64
	for d.open.Load() > 0 {
		select {
		case <-d.quiet:
		case <-d.forced:
			return
		case <-limit:
			if d.requests.Err() != nil {
				return
			}
			logTo(d.server, "kami: %d connections have not ended within %s: their requests' contexts end now", d.open.Load(), d.timeout)
			d.end(http.ErrServerClosed)
			limit = time.After(linger)
		case <-report.C:
			if n := d.open.Load(); n > 0 && n != reported {
				logTo(d.server, "kami: waiting for %d connections", n)
				reported = n
			}
		}
	}
}

// onceListener is a listener that closes once, however often it is told to.
type onceListener struct {
	net.Listener
	once sync.Once
	err  error
}

func (l *onceListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
