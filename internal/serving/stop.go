package serving

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// linger is how long connections without a request live on when a server stops. A request that is on its way arrives within it,
// and so does one that a client sends because it has not been told yet.
const linger = 500 * time.Millisecond

// closeTimeout limits the closing of connections in the end.
const closeTimeout = 100 * time.Millisecond

// accept accepts connections until the server is told to stop, or until the listener fails: then it returns the error.
// Connections live on, and all of them have been counted when it returns.
func (s *Server) accept() error {
	accepting := make(chan error, 1)
	go func() {
		if s.server.TLSConfig != nil {
			accepting <- s.server.ServeTLS(s.listener, "", "")
			return
		}
		accepting <- s.server.Serve(s.listener)
	}()
	select {
	case failure := <-accepting:
		s.Stop()
		_ = s.listener.Close()
		if errors.Is(failure, http.ErrServerClosed) { // by others, now or before
			failure = fmt.Errorf("%w: the app has shut it down, or it has been used before; make a new http.Server", failure)
		}
		failure = fmt.Errorf("kami: serving on %s: %w", s.listener.Addr(), failure)
		if n := s.open.Load(); n > 0 {
			logTo(s.server, "%v; it stops, with %s open", failure, connections(n))
		}
		return failure
	case <-s.draining:
	}
	s.closeListener(accepting)
	return nil
}

// closeListener closes the listener and waits until nothing is accepted any more, also if Accept or Close hangs: see door. It
// makes a connection to wake Accept, again and again, because another process may accept that connection.
func (s *Server) closeListener(accepting <-chan error) {
	go s.listener.Close()
	wake := time.NewTicker(wakeInterval)
	defer wake.Stop()
	limit := s.deadline()
	for failed := false; ; {
		select {
		case <-accepting:
			return
		case <-wake.C:
			if err := s.listener.wake(); err != nil && !failed {
				failed = true
				logTo(s.server, "kami: Accept on %s does not return until a connection comes, and none can be made: %v",
					s.listener.Addr(), err)
			}
			continue
		case <-limit:
		case <-s.forced:
		}
		close(s.listener.abandoned)
		return
	}
}

// deadline returns a channel that is ready when the limit has passed. It is nil, and so never ready, if there is no limit.
func (s *Server) deadline() <-chan time.Time {
	if s.limit <= 0 {
		return nil
	}
	return time.After(time.Until(s.began.Add(s.limit)))
}

// linger waits for requests that may be on their way, then closes the connections on which none has come. It waits from when the
// last connection was accepted, which may be late if Accept has hung.
//
// An HTTP/2 handshake that ends after net/http's shutdown has begun would not be told of it, and hang (golang/go#81153). linger
// has closed the silent connections, so no handshake is left when Shutdown runs, and shutdown calls it once: a second call would
// run the functions of RegisterOnShutdown again.
func (s *Server) linger() {
	most := linger + time.Duration(s.late.Load())
	if s.limit > 0 {
		most = min(most, s.limit)
	}
	timer := time.NewTimer(time.Until(s.began.Add(most)))
	defer timer.Stop()
	for waiting := true; waiting && s.open.Load() > 0; {
		select {
		case <-s.quiet:
		case <-timer.C:
			waiting = false
		case <-s.forced:
			waiting = false
		}
	}
	s.conns.Range(func(_, known any) bool {
		if a := known.(*accepted); !a.spoke.Load() {
			_ = a.conn.Close()
		}
		return true
	})
}

// shutdown waits for the requests in progress, while net/http closes connections as they become idle. At the limit the contexts
// of requests end, and their handlers have another moment to answer.
func (s *Server) shutdown() {
	select {
	case <-s.forced:
		return // net/http's Shutdown would wait while the server pauses between two calls of Accept
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.server.Shutdown(ctx)
	}()
	defer func() { cancel(); <-done }()

	limit := s.deadline()
	report := time.NewTicker(time.Second)
	defer report.Stop()
	var reported int64
	for s.open.Load() > 0 {
		select {
		case <-s.quiet:
		case <-s.forced:
			return
		case <-limit:
			if s.requests.Err() != nil {
				return
			}
			logTo(s.server, "kami: %s still open after %s: the contexts of requests end now", connections(s.open.Load()), s.limit)
			s.end(http.ErrServerClosed)
			limit = time.After(linger)
		case <-report.C:
			if n := s.open.Load(); n > 0 && n != reported {
				logTo(s.server, "kami: waiting for %s", connections(n))
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

// close closes the connections that are left. It does not wait for clients that have stopped reading.
func (s *Server) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = s.server.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}
