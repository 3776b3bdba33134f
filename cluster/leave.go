package cluster

import (
	"context"
	"errors"
	"time"
)

// patience is how long a leaving front waits for the next client to take its session to another front.
const patience = 2 * time.Second

// Leave says goodbye, answers all calls that have come, and leaves: no call is lost. A front first waits while clients that can resume
// take their sessions to other fronts of the type: until two seconds have passed since the last one. At the end of ctx Leave stops
// waiting for handlers, whose contexts end, and returns an error. It may be called again, and while the server is called. The connection
// stays open.
func (s *Server) Leave(ctx context.Context) (err error) {
	first := false
	s.once.Do(func() {
		first = true
		s.awaitClients(ctx)
		close(s.leaving)
		err = s.goodbye(ctx)
		s.end(ErrLeft)
		close(s.left)
	})
	if first {
		return err
	}
	select {
	case <-s.left:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitClients waits until the sessions have moved whose clients were told to go. On a busy machine clients come later than they were told.
func (s *Server) awaitClients(ctx context.Context) {
	if s.cfg.Sessions == nil || len(s.view.ofType(s.cfg.Type)) < 2 {
		return
	}
	look := time.NewTicker(patience / 100)
	defer look.Stop()
	left, last := s.cfg.Sessions.Suspended(), time.Now()
	for left > 0 && time.Since(last) < patience {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		if now := s.cfg.Sessions.Suspended(); now < left {
			left, last = now, time.Now()
		}
	}
}

// goodbye says goodbye, and waits until all calls that have come are answered.
func (s *Server) goodbye(ctx context.Context) error {
	gone := s.announce(bye)
	s.view.leave(s.cfg.ID, s.self.born)
	for _, sub := range s.subs.calls {
		_ = sub.Drain()
	}
	// Messages that come before the answer were sent before NATS knew that the server no longer listens.
	flushed := s.flush(ctx)
	close(s.service.stop)
	select {
	case <-s.service.drained:
	case <-ctx.Done():
		s.cancel(errors.New("cluster: the server leaves, and has waited for its handlers long enough"))
		return withCause(ctx, errors.New("cluster: Leave: handlers still run"))
	}
	return errors.Join(gone, flushed, s.flush(ctx))
}

// flush waits until NATS has received what was published. It does not wait without a connection.
func (s *Server) flush(ctx context.Context) error {
	if !s.nc.IsConnected() {
		return errDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.nc.FlushWithContext(ctx)
}

// end ends all that runs for the server, and removes its subscriptions from the connection.
func (s *Server) end(why error) {
	s.cancel(why)
	s.deafen()
	for _, sub := range s.subs.all {
		_ = sub.Unsubscribe()
	}
	s.inbox.shut(why)
	if s.inbox.sub != nil {
		_ = s.inbox.sub.Unsubscribe()
	}
	if s.statuses != nil {
		s.nc.RemoveStatusListener(s.statuses)
	}
	s.loops.Wait()
}
