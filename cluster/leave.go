package cluster

import (
	"context"
	"errors"
	"time"
)

// patience is how long a front that leaves waits for a client to take its session to another one, since the last has done so.
const patience = 2 * time.Second

// Leave says goodbye, answers what has come, and leaves: no call is lost. A front waits before that for clients that can resume, as long
// as they come to other fronts of the type, and two seconds for the next one. At the end of ctx it stops waiting for handlers, whose
// contexts end, and returns an error. It may be called again, and while the server is called. The connection stays open.
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

// awaitClients waits until the sessions whose clients were told to go have moved. On a busy machine these come later than they were told.
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

// goodbye says goodbye, and waits until all that has come is answered.
func (s *Server) goodbye(ctx context.Context) error {
	gone := s.announce(bye)
	s.view.leave(s.cfg.ID, s.self.born)
	for _, sub := range s.subs.calls {
		_ = sub.Drain()
	}
	// What comes before the answer to this has been sent before NATS knew that the server does not listen any more.
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

// flush waits until NATS has taken what was published. Without a connection there is nothing to wait for.
func (s *Server) flush(ctx context.Context) error {
	if !s.nc.IsConnected() {
		return errDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.nc.FlushWithContext(ctx)
}

// end gives back all that the server has of the connection.
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
