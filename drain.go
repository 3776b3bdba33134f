package kami

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/lifetime"
)

// linger is how long connections without a request live on when a server stops. A request that is on its way, or that a
// client sends because it has not yet been told, comes within it.
const linger = 500 * time.Millisecond

// closeTimeout is how long the closing of connections may take in the end.
const closeTimeout = 100 * time.Millisecond

// drain is one server from its first connection to its last. It knows the open ones and which of them have never sent a
// request, from net/http's own account of them: connections and writers are net/http's, none is wrapped.
type drain struct {
	server   *http.Server
	listener *door
	timeout  time.Duration // Mux.DrainTimeout

	draining  chan struct{} // closed when it begins to stop, which is at:
	began     time.Time
	forced    chan struct{} // closed when it must stop now
	over      chan struct{} // closed when it has stopped
	stopOnce  sync.Once
	forceOnce sync.Once

	late  atomic.Int64  // how long after it began the last connection was accepted; a time.Duration
	open  atomic.Int64  // connections, hijacked ones only as long as a handler that cooperates has them
	conns sync.Map      // from net.Conn to *accepted, without hijacked ones
	quiet chan struct{} // has room for one, and gets one when open falls to 0

	base     context.Context         // of the requests that come in
	requests context.Context         // what ends requests, with base, when the timeout has passed; nil if there is none
	end      context.CancelCauseFunc // ends both
	governed *lifetime.Joins         // joins requests to the Contexts of Muxes; nil if there is no timeout
}

// accepted is a connection, which the contexts of its requests hold.
type accepted struct {
	by      *drain
	conn    net.Conn
	spoke   atomic.Bool // whether a request has come
	leaving atomic.Bool // whether it ends with its response
	request atomic.Uint32
}

// What accepted.request says of the request in progress, of which HTTP/1 has but one.
const (
	cooperates = 1 << iota // it has asked for Draining
	hijacked
	returned // and the handler has returned
)

var errUsed = errors.New("the http.Server has been used before: make a new one")

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
	if _, used := srv.Handler.(*entrance); used {
		return fmt.Errorf("kami: serving on %s: %w", l.Addr(), errUsed)
	}
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
	d.spareOtherProtocols()
	srv.BaseContext = func(net.Listener) context.Context { return d.base }

	connContext := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if connContext != nil {
			if ctx = connContext(ctx, c); ctx == nil {
				return nil // net/http says what is wrong with that
			}
		}
		a := &accepted{by: d, conn: c}
		d.conns.Store(c, a)
		return context.WithValue(ctx, acceptedKey{}, a)
	}
	connState := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if connState != nil {
			connState(c, state)
		}
		d.count(c, state)
	}
	srv.Handler = &entrance{d, srv.Handler}
	return nil
}

// limit prepares for the end that the timeout puts to requests. Without one, nothing of ours joins the app's contexts.
func (d *drain) limit(base context.Context) {
	d.base, d.end = base, func(error) {}
	if d.timeout <= 0 {
		return
	}
	requests, endRequests := context.WithCancelCause(context.Background())
	incoming, endIncoming := context.WithCancelCause(base)
	d.requests, d.governed, d.base = requests, lifetime.NewJoins(requests), incoming
	d.end = func(cause error) { endRequests(cause); endIncoming(cause) }
}

// limits returns what ends a request that base alone would end: the timeout does as well, if there is one.
func (d *drain) limits(base context.Context) context.Context {
	if d == nil || d.governed == nil {
		return base
	}
	return d.governed.With(base)
}

// spareOtherProtocols keeps connections with protocols that net/http hands over from being taken for silent ones: it
// reports nothing of them. Its HTTP/2 does report.
func (d *drain) spareOtherProtocols() {
	d.server.TLSNextProto = maps.Clone(d.server.TLSNextProto)
	for name, serve := range d.server.TLSNextProto {
		if name == "h2" || name == "unencrypted_http2" {
			continue
		}
		d.server.TLSNextProto[name] = func(srv *http.Server, c *tls.Conn, h http.Handler) {
			d.count(c, http.StateActive)
			serve(srv, c, h)
		}
	}
}

// count keeps the account of connections. A connection has spoken once a request's header has come, or HTTP/2's preface.
func (d *drain) count(c net.Conn, state http.ConnState) {
	known, ok := d.conns.Load(c)
	if !ok {
		return // others, as x/net/http2/h2c, tell of connections that they have hijacked
	}
	a := known.(*accepted)
	switch state {
	case http.StateNew:
		d.open.Add(1)
		if d.isDraining() {
			d.late.Store(int64(time.Since(d.began)))
		}
	case http.StateActive:
		a.spoke.Store(true)
	case http.StateIdle:
		if a.leaving.Load() {
			_ = c.Close()
		}
	case http.StateHijacked:
		d.conns.Delete(c)
		if a.request.Or(hijacked)&cooperates == 0 {
			d.leave()
		}
	case http.StateClosed:
		d.conns.Delete(c)
		d.leave()
	}
}

// leave takes one from the open connections.
func (d *drain) leave() {
	if d.open.Add(-1) == 0 {
		select {
		case d.quiet <- struct{}{}:
		default:
		}
	}
}

// cooperate has a stop wait for the handler of the request in progress, also if it hijacks the connection or has done so.
func (a *accepted) cooperate() {
	if a.request.Load()&cooperates != 0 {
		return
	}
	a.by.open.Add(1) // first, so that it never falls to 0 in between
	if a.request.Or(cooperates) != hijacked {
		a.by.leave() // for it counts already, or no more
	}
}

// finish is called when the handler of the request in progress has returned.
func (a *accepted) finish() {
	for now := a.request.Load(); now != 0; now = a.request.Load() {
		next := uint32(0) // what the next request does is its own
		if now&hijacked != 0 {
			next = hijacked | returned
		}
		if !a.request.CompareAndSwap(now, next) {
			continue
		}
		if now == hijacked|cooperates {
			a.by.leave()
		}
		return
	}
}

// entrance is the handler of all requests. While draining, responses tell their clients that the connection ends; net/http
// makes a GOAWAY of it in HTTP/2. A request to switch protocols needs the Connection header for that.
//
// An event stream that began before cannot say so any more. Its connection ends with it all the same, so that servers of
// such streams stop at once: their clients come back a while later, and have seen the end of the connection by then.
type entrance struct {
	*drain
	handler http.Handler
}

func (e *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := acceptedOf(r.Context())
	if e.isDraining() && !switches(r) {
		w.Header().Set("Connection", "close")
	}
	if a != nil { // requests of other protocols than net/http's may have any context
		defer a.finish()
	}
	e.handler.ServeHTTP(w, r)
	if a != nil && e.isDraining() && r.ProtoMajor == 1 && isEventStream(w.Header()) {
		a.leaving.Store(true)
	}
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

func (d *drain) isDraining() bool {
	select {
	case <-d.draining:
		return true
	default:
		return false
	}
}

// stop begins a graceful stop.
func (d *drain) stop() {
	d.stopOnce.Do(func() {
		d.began = time.Now()
		close(d.draining)
	})
}

// force ends it now: the contexts that the timeout would end, then the connections.
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
	d.linger()
	d.shutdown()
	d.close()
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
		if errors.Is(failure, http.ErrServerClosed) { // by others, now or before
			failure = fmt.Errorf("%w: the app has shut it down, or it has been used before; make a new http.Server", failure)
		}
		failure = fmt.Errorf("kami: serving on %s: %w", d.listener.Addr(), failure)
		if n := d.open.Load(); n > 0 {
			logTo(d.server, "%v; it stops, with %s open", failure, connections(n))
		}
		return failure
	case <-d.draining:
	}
	d.closeListener(accepting)
	return nil
}

// closeListener closes the listener and waits until nothing is accepted any more, whatever hangs: see door. Another process may
// accept a connection that is to wake Accept, so one is made again and again.
func (d *drain) closeListener(accepting <-chan error) {
	go d.listener.Close()
	wake := time.NewTicker(wakeInterval)
	defer wake.Stop()
	limit := d.deadline()
	for failed := false; ; {
		select {
		case <-accepting:
			return
		case <-wake.C:
			if err := d.listener.wake(); err != nil && !failed {
				failed = true
				logTo(d.server, "kami: Accept on %s does not return until a connection comes, and none can be made: %v",
					d.listener.Addr(), err)
			}
			continue
		case <-limit:
		case <-d.forced:
		}
		close(d.listener.abandoned)
		return
	}
}

// deadline returns a channel that is ready when the timeout has passed. It is nil, and so never ready, if there is none.
func (d *drain) deadline() <-chan time.Time {
	if d.timeout <= 0 {
		return nil
	}
	return time.After(time.Until(d.began.Add(d.timeout)))
}

// linger waits for requests that may be on their way, then closes the connections on which none has come. It counts from when
// the last connection was accepted, which may be late if Accept has hung.
//
// An HTTP/2 handshake that ends after net/http's shutdown has begun would not be told of it, and hang (golang/go#81153).
// As silent connections end before, there is none, so one shutdown is enough; another would run the functions of
// RegisterOnShutdown again.
func (d *drain) linger() {
	most := linger + time.Duration(d.late.Load())
	if d.timeout > 0 {
		most = min(most, d.timeout)
	}
	timer := time.NewTimer(time.Until(d.began.Add(most)))
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
	d.conns.Range(func(_, known any) bool {
		if a := known.(*accepted); !a.spoke.Load() {
			_ = a.conn.Close()
		}
		return true
	})
}

// shutdown waits for the requests in progress, while net/http closes connections as they become idle. At the limit their
// contexts end, and they have another moment to answer.
func (d *drain) shutdown() {
	select {
	case <-d.forced:
		return // net/http's would wait for an Accept that is to be tried again
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.server.Shutdown(ctx)
	}()
	defer func() { cancel(); <-done }()

	limit := d.deadline()
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
			logTo(d.server, "kami: %s still open after %s: the contexts of requests end now", connections(d.open.Load()), d.timeout)
			d.end(http.ErrServerClosed)
			limit = time.After(linger)
		case <-report.C:
			if n := d.open.Load(); n > 0 && n != reported {
				logTo(d.server, "kami: waiting for %s", connections(n))
				reported = n
			}
		}
	}
}

func connections(n int64) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// close closes the connections that are left. It does not wait for clients that take in nothing more.
func (d *drain) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = d.server.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}
