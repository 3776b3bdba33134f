package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"
)

// replaced is the reason of a kick because the user has a newer session.
const replaced = "another session of the user has begun"

// Bind binds the session to a user, at most once: if the session has a UID, Bind returns [ErrBound]. An older session of the user is
// kicked, in the whole cluster. If that session can be resumed, it is kicked at the first message of the new connection, unless that
// message resumes it. OnBind may refuse. After the end of the session Bind returns [ErrClosed], even if OnBind has agreed. If Bind
// returns an error the session is as it was.
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
	p.log().Error("session: recovered from a panic", "in", where, "session", s.id, "uid", s.UID(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// bind gives the session its uid, in the whole cluster, and kicks older sessions.
func (p *Pool) bind(ctx context.Context, s *Session, uid string) error {
	older, err := p.assign(s, uid)
	if err != nil {
		return err
	}
	if err := p.claim(ctx, s); err != nil {
		p.kick(ctx, p.unassign(s, uid, older))
		return err
	}
	p.kick(ctx, older)
	return nil
}

// assign makes the session the uid's, and returns the sessions to kick.
func (p *Pool) assign(s *Session, uid string) (older []*Session, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, ErrClosed
	}
	s.uid, s.order = uid, p.next()
	older = p.olders(uid)
	p.byUID[uid] = s
	if n := len(older); n > 0 && s.fresh && older[n-1].mayComeBack() {
		s.spared, older = older[n-1], older[:n-1]
	}
	return older, nil
}

// unassign undoes assign if the cluster could not be told. If the uid has a newer session by now, unassign returns the older ones to kick.
func (p *Pool) unassign(s *Session, uid string, older []*Session) []*Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spared != nil {
		older = append(older, s.spared)
	}
	s.uid, s.spared = "", nil
	if current := p.byUID[uid]; current != s && current != nil {
		return older
	}
	delete(p.byUID, uid)
	for _, o := range older {
		if !o.ended {
			p.byUID[uid] = o
			break
		}
	}
	return nil
}

// olders returns the session of the uid, and the older one that it has spared.
func (p *Pool) olders(uid string) (older []*Session) {
	for s := p.byUID[uid]; s != nil && !s.ended; s = s.spared {
		older = append(older, s)
	}
	return older
}

// mayComeBack reports whether the client can resume the session. The session may still have its connection, because the end of one is often
// noticed after the client is back.
func (s *Session) mayComeBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token != "" && !s.ended
}

func (p *Pool) kick(ctx context.Context, all []*Session) {
	for _, s := range all {
		if err := s.Kick(ctx, replaced); err != nil {
			p.log().WarnContext(ctx, "session: closing the connection of an older session failed", "session", s.id, "uid", s.UID(), "err", err)
		}
	}
}

// declineResume says that the session will not resume another one. It kicks a session that this one has spared, in the whole cluster.
func (s *Session) declineResume() {
	spared, was := s.pool.endFresh(s)
	if !was {
		return
	}
	ctx := context.Background()
	if spared != nil {
		s.pool.kick(ctx, []*Session{spared})
	}
	s.pool.reclaim(ctx, s)
}

// endFresh has the session be fresh no longer, and reports whether it was. It returns the session to kick, or nil.
func (p *Pool) endFresh(s *Session) (spared *Session, was bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fresh {
		return nil, false
	}
	spared = s.spared
	delete(p.byLink, s.outbox.link)
	s.fresh, s.spared = false, nil
	return spared, true
}
