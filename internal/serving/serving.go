// Package serving is the life of one server, from its first connection to its last. It knows neither a Mux nor the process.
package serving

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guregu/kami/internal/lifetime"
)

// Server is one server on one listener. It knows the open connections and which of them have never sent a request, because
// net/http tells it of each change: connections and writers are net/http's, none is wrapped.
//
// All methods but Serve may be called at any time, by several goroutines at once.
type Server struct {
	server   *http.Server
	listener *door
	limit    time.Duration // how long requests may go on when it stops; 0 or less if there is no limit

	draining  chan struct{} // closed when it begins to stop
	began     time.Time     // when that was
	forced    chan struct{} // closed when it must stop at once
	stopOnce  sync.Once
	forceOnce sync.Once

	late  atomic.Int64  // how long after it began to stop the last connection was accepted; a time.Duration
	open  atomic.Int64  // the number of connections, hijacked ones only while a handler that called Draining has them
	conns sync.Map      // from net.Conn to *accepted, without hijacked ones
	quiet chan struct{} // with room for one value, which it gets when open falls to 0

	base     context.Context         // of the requests that come in
	requests context.Context         // ends together with base at the limit; nil if there is no limit
	end      context.CancelCauseFunc // ends both
	joins    *lifetime.Joins         // join other contexts to requests; nil if there is no limit
}

// New prepares to serve on the listener with srv, or with [Defaults] if that is nil. The handler is h unless srv has one. When
// the server stops, requests may go on until the limit has passed; 0 or less means no limit. New closes the listener if it
// returns an error. [CheckListener] says whether the listener is fit.
func New(h http.Handler, limit time.Duration, l net.Listener, srv *http.Server) (*Server, error) {
	if srv == nil {
		srv = Defaults()
	}
	if srv.Handler == nil {
		srv.Handler = h
	}
	s := &Server{
		server:   srv,
		listener: newDoor(l),
		limit:    limit,
		draining: make(chan struct{}),
		forced:   make(chan struct{}),
		quiet:    make(chan struct{}, 1),
	}
	if err := s.prepare(l); err != nil {
		_ = l.Close()
		return nil, err
	}
	return s, nil
}

// Addr returns the listener's address.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve serves until the server has stopped, and returns nil, or the error of a listener that has failed. It may be called once.
//
// The order makes a stop lossless: first clients are told, then connections without a request are closed. net/http's shutdown
// comes last, because it drops requests that it reads after it has begun.
func (s *Server) Serve() error {
	failure := s.accept()
	s.linger()
	s.shutdown()
	s.close()
	return failure
}

// Stop begins a graceful stop. It does not wait for it.
func (s *Server) Stop() {
	s.stopOnce.Do(func() {
		s.began = time.Now()
		close(s.draining)
	})
}

// Force ends the server at once: first the contexts that the limit would end, then the connections.
func (s *Server) Force() {
	s.Stop()
	s.forceOnce.Do(func() {
		s.end(http.ErrServerClosed)
		close(s.forced)
	})
}

// Forced returns a channel that is closed when Force has been called.
func (s *Server) Forced() <-chan struct{} { return s.forced }

// Draining returns a channel that closes when the server that ctx's request came through begins to stop. It is nil if that is no
// [Server]. A stop waits for handlers that have called it, also when they have hijacked their connections.
func Draining(ctx context.Context) <-chan struct{} {
	a := acceptedOf(ctx)
	if a == nil {
		return nil
	}
	a.cooperate()
	return a.by.draining
}

// Ends returns a context that ends when base does, or at the limit of the server that the request with the context in came
// through. It is base itself if there is no such limit.
func Ends(in, base context.Context) context.Context {
	a := acceptedOf(in)
	if a == nil || a.by.joins == nil {
		return base
	}
	return a.by.joins.With(base)
}

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}
