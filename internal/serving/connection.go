package serving

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// accepted is a connection. The contexts of its requests hold it.
type accepted struct {
	by      *Server
	conn    net.Conn
	spoke   atomic.Bool   // whether a request has come
	leaving atomic.Bool   // whether the connection closes after the response
	request atomic.Uint32 // bits for the request in progress, of which HTTP/1 has only one:
}

const (
	cooperates = 1 << iota // its handler has called Draining
	hijacked
	returned // it was hijacked and the handler has returned
)

type acceptedKey struct{}

// acceptedOf returns the connection of ctx's request, or nil.
func acceptedOf(ctx context.Context) *accepted {
	a, _ := ctx.Value(acceptedKey{}).(*accepted)
	return a
}

// count counts the connections. One has spoken when a request's header, or HTTP/2's preface, has come.
func (s *Server) count(c net.Conn, state http.ConnState) {
	known, ok := s.conns.Load(c)
	if !ok {
		return // others, such as x/net/http2/h2c, tell of connections that they have hijacked
	}
	a := known.(*accepted)
	switch state {
	case http.StateNew:
		s.open.Add(1)
		if s.isDraining() {
			s.late.Store(int64(time.Since(s.began)))
		}
	case http.StateActive:
		a.spoke.Store(true)
	case http.StateIdle:
		if a.leaving.Load() {
			_ = c.Close()
		}
	case http.StateHijacked:
		s.conns.Delete(c)
		if a.request.Or(hijacked)&cooperates == 0 {
			s.leave()
		}
	case http.StateClosed:
		s.conns.Delete(c)
		s.leave()
	}
}

// leave takes one from the number of open connections.
func (s *Server) leave() {
	if s.open.Add(-1) == 0 {
		select {
		case s.quiet <- struct{}{}:
		default:
		}
	}
}

// cooperate makes a stop wait for the handler of the request in progress, also if it hijacks the connection or has done so.
func (a *accepted) cooperate() {
	if a.request.Load()&cooperates != 0 {
		return
	}
	a.by.open.Add(1) // first, so that the number never falls to 0 in between
	if a.request.Or(cooperates) != hijacked {
		a.by.leave() // the connection counts already, or the handler has returned
	}
}

// finish is called when the handler of the request in progress has returned.
func (a *accepted) finish() {
	for now := a.request.Load(); now != 0; now = a.request.Load() {
		next := uint32(0) // the next request begins without any
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
