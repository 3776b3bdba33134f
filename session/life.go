package session

import (
	"context"
	"log/slog"
	"time"
)

// Begin says that a handler is about to run for a message of the session. It is for transports, which call Returned after the handler.
// It returns false after the end of the session, and while the session moves to another front: then the handler must not run. Away from
// the front it does nothing.
func (s *Session) Begin() bool {
	if s.back != nil {
		return true
	}
	s.mu.Lock()
	ended, fresh := s.ended || s.resting != nil, s.fresh
	if !ended {
		s.running++
	}
	s.mu.Unlock()
	if fresh && !ended {
		s.declineResume()
	}
	return !ended
}

// Returned says that the handler of a message has returned. It is for transports. At a back end it logs, once, values that the handler
// has set and not committed. At the front OnClose waits for it.
func (s *Session) Returned(ctx context.Context, route string) {
	if s.back != nil {
		s.logUncommitted(ctx, route)
		return
	}
	s.mu.Lock()
	if s.running == 0 {
		s.mu.Unlock()
		return
	}
	if s.running--; s.running == 0 && s.resting != nil {
		close(s.resting)
	}
	s.closeIfDue()
	s.mu.Unlock()
	s.tell()
}

// logUncommitted logs values that are lost at the end of a message.
func (s *Session) logUncommitted(ctx context.Context, route string) {
	s.mu.Lock()
	lost := s.back.changed
	s.back.changed = nil
	s.mu.Unlock()
	for _, e := range lost {
		slog.WarnContext(ctx, "session: a value was set at a back end and not committed", "key", e.key, "route", route, "session", s.id)
	}
}

// Kick closes the connection, after the pushes that wait for it, and ends the session, which cannot be resumed. It returns the error of the
// connection's Link, and nil if the session has already ended.
func (s *Session) Kick(ctx context.Context, reason string) error {
	if s.back != nil {
		return s.back.link.Kick(ctx, reason)
	}
	s.pool.mu.Lock()
	s.mu.Lock()
	return s.end(ctx, s.outbox, reason)
}

// close closes a connection after the pushes that wait for it. If its transport has not called Resumed yet, it closes at once.
func (s *Session) close(ctx context.Context, out *outbox, reason string) error {
	if out == nil {
		return nil
	}
	s.mu.Lock()
	if out.held {
		out.held, out.queue = false, nil
	}
	out.queue = append(out.queue, delivery{ctx: ctx, reason: reason})
	return s.flush(out)
}

// Detach says that the connection of the session is gone. It is for transports, which call it once for each connection. The session ends
// or, if its client has a token, waits to be resumed. It does nothing to a session that another connection has resumed.
func (s *Session) Detach() {
	if s.back != nil {
		return
	}
	s.pool.mu.Lock()
	s.mu.Lock()
	switch {
	case s.stale > 0:
		s.stale--
	case s.token == "":
		s.outbox.clear()
		_ = s.end(context.Background(), nil, "")
		return
	case s.outbox != nil:
		s.suspend()
	}
	s.mu.Unlock()
	s.pool.mu.Unlock()
	s.tell()
}

// suspend makes the session wait for its client, for a caller that has the lock.
func (s *Session) suspend() {
	s.outbox.clear()
	s.outbox = nil
	s.pause++
	pause := s.pause
	s.timer = time.AfterFunc(s.pool.ResumeWithin, func() { s.expire(pause) })
	s.events = append(s.events, (*Pool).onSuspend)
}

// expire ends the session if it still waits in the same pause.
func (s *Session) expire(pause uint64) {
	s.pool.mu.Lock()
	s.mu.Lock()
	if s.outbox != nil || s.pause != pause {
		s.mu.Unlock()
		s.pool.mu.Unlock()
		return
	}
	_ = s.end(context.Background(), nil, "")
}

// end ends the session, unless it has ended, and closes a connection. It unlocks both locks, which the caller has locked.
func (s *Session) end(ctx context.Context, out *outbox, reason string) error {
	if s.ended {
		s.mu.Unlock()
		s.pool.mu.Unlock()
		return nil
	}
	s.leave()
	s.closeIfDue()
	s.mu.Unlock()
	s.pool.mu.Unlock()
	defer s.tell()
	return s.close(ctx, out, reason)
}

// closeIfDue notes OnClose for a session that has ended, once no handler runs.
func (s *Session) closeIfDue() {
	if s.ended && s.running == 0 && !s.dropped {
		s.events = append(s.events, (*Pool).onClose)
	}
}

// leave takes the session out of the Pool.
func (s *Session) leave() {
	p := s.pool
	s.ended = true
	delete(p.byID, s.id)
	if s.token != "" {
		delete(p.byToken, s.token)
	}
	if s.fresh {
		delete(p.byLink, s.outbox.link)
	}
	p.release(s)
	for _, g := range s.groups {
		g.remove(s)
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.done != nil {
		close(s.done)
	}
	s.fresh, s.spared, s.groups, s.outbox, s.timer, s.kept = false, nil, nil, nil, nil, kept{}
}

// release gives the uid of a session that ends back to the session that it has spared.
func (p *Pool) release(s *Session) {
	if s.uid == "" || p.byUID[s.uid] != s {
		return
	}
	delete(p.byUID, s.uid)
	if s.spared != nil && !s.spared.ended {
		p.byUID[s.uid] = s.spared
	}
}

// tell runs the hooks for the events that are still to be told, unless another goroutine does so.
func (s *Session) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.telling {
		return
	}
	s.telling = true
	for len(s.events) > 0 {
		event := s.events[0]
		s.events = s.events[1:]
		s.mu.Unlock()
		s.tellOne(event) // locks
	}
	s.telling, s.events = false, nil
}

// tellOne runs a hook, and takes the lock again. If the hook ends its goroutine by runtime.Goexit, another goroutine goes on.
func (s *Session) tellOne(event func(*Pool, *Session)) {
	returned := false
	defer func() {
		s.mu.Lock()
		if !returned {
			s.telling = false
			go s.tell()
		}
	}()
	event(s.pool, s)
	returned = true
}

func (p *Pool) onClose(s *Session)   { p.hook("OnClose", p.OnClose, s) }
func (p *Pool) onSuspend(s *Session) { p.hook("OnSuspend", p.OnSuspend, s) }
func (p *Pool) onResume(s *Session)  { p.hook("OnResume", p.OnResume, s) }

// hook runs a hook, and logs its panic.
func (p *Pool) hook(name string, hook func(*Session), s *Session) {
	if hook == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			p.logPanic(s, name, v)
		}
	}()
	hook(s)
}
