package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"
)

// replaced is the reason for which a session is kicked whose user has another.
const replaced = "another session of the user has begun"

// Bind says who the user is, at most once: a session that has a UID returns [ErrBound]. An older session of the uid is kicked, in
// the whole cluster; one that waits to be resumed is kicked by the first message of the new connection, unless that resumes it.
// OnBind may refuse. Bind returns [ErrClosed] after the end of the session, even if OnBind has agreed meanwhile. Its errors leave the
// session as it was.
func (s *Session) Bind(ctx context.Context, uid string) error {
	switch {
	case uid == "":
		return errors.New("session: binding: the uid is empty")
	case !utf8.ValidString(uid):
		return fmt.Errorf("session: binding to %.260q: the uid is not UTF-8", uid)
	case ctx.Err() != nil:
		return fmt.Errorf("session: binding to %.260q: %w", uid, context.Cause(ctx))
	case s.back != nil:
		return s.back.bind(ctx, s, uid)
	}
	if err := s.beginBind(); err != nil {
		return err
	}
	defer s.endBind()
	if err := s.pool.admit(ctx, s, uid); err != nil {
		return err
	}
	return s.pool.bind(ctx, s, uid)
}

func (s *Session) beginBind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrClosed
	case s.uid != "" || s.binding:
		return ErrBound
	}
	s.binding = true
	return nil
}

func (s *Session) endBind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binding = false
}

// admit asks OnBind.
func (p *Pool) admit(ctx context.Context, s *Session, uid string) (err error) {
	if p.OnBind == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			p.logPanic(s, "OnBind", v)
			err = errors.New("session: OnBind panicked")
		}
	}()
	return p.OnBind(ctx, s, uid)
}

func (p *Pool) logPanic(s *Session, where string, v any) {
	p.log().Error("session: a hook panicked", "hook", where, "session", s.id, "uid", s.UID(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// bind gives the session its uid, and kicks the older sessions.
func (p *Pool) bind(ctx context.Context, s *Session, uid string) error {
	older, err := p.take(s, uid)
	if err != nil {
		return err
	}
	p.kick(ctx, older)
	return nil
}

// take makes the session the one of the uid, and returns those to kick.
func (p *Pool) take(s *Session, uid string) (older []*Session, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, ErrClosed
	}
	s.uid = uid
	older = p.olders(uid)
	p.byUID[uid] = s
	if n := len(older); n > 0 && s.fresh && older[n-1].waits() {
		s.spared, older = older[n-1], older[:n-1]
	}
	return older, nil
}

// olders returns the session of the uid, and the one that it has spared, which is older.
func (p *Pool) olders(uid string) (older []*Session) {
	for s := p.byUID[uid]; s != nil && !s.ended; s = s.spared {
		older = append(older, s)
	}
	return older
}

// waits reports whether the session waits to be resumed.
func (s *Session) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox == nil && !s.ended
}

func (p *Pool) kick(ctx context.Context, all []*Session) {
	for _, s := range all {
		if err := s.Kick(ctx, replaced); err != nil {
			p.log().WarnContext(ctx, "session: closing the connection of an older session failed", "session", s.id, "uid", s.UID(), "err", err)
		}
	}
}

// settle says that the session will not resume another one. The one that it has spared is kicked.
func (s *Session) settle() {
	p := s.pool
	p.mu.Lock()
	spared := p.settle(s)
	p.mu.Unlock()
	if spared != nil {
		p.kick(context.Background(), []*Session{spared})
	}
}

// settle is settle for callers that have the lock. It returns the session to kick, or nil.
func (p *Pool) settle(s *Session) (spared *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fresh {
		return nil
	}
	spared = s.spared
	delete(p.byLink, s.outbox.link)
	s.fresh, s.spared = false, nil
	return spared
}
