package session

import (
	"context"
	"crypto/rand"

	"github.com/guregu/kami/message"
)

// superseded is the reason of closing a connection because another one has resumed its session.
const superseded = "another connection has resumed the session"

// Token returns the token that a client shows to resume the session, and makes it if there is none. It is for transports, once a client has
// asked for it: from then on the session outlives its connection, and keeps its last pushes. It returns "" if the session cannot outlive
// its connection: without ResumeWithin, after the end of the session, and away from the front.
//
// In a cluster the token names the server: it ends with a dot and [Session.Front].
func (s *Session) Token() string {
	if s.back != nil || s.pool.ResumeWithin <= 0 {
		return ""
	}
	s.declineResume()
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ""
	case s.token == "":
		s.pool.addToken(s)
	}
	return s.token
}

// Suspended returns the number of sessions that wait for their clients. It is for transports between servers.
func (p *Pool) Suspended() (n int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, s := range p.byToken {
		s.mu.Lock()
		if s.outbox == nil {
			n++
		}
		s.mu.Unlock()
	}
	return n
}

// addToken makes the session's token, for callers that have both locks.
func (p *Pool) addToken(s *Session) {
	s.token = rand.Text()
	if p.name != "" {
		s.token += "." + p.name
	}
	p.byToken[s.token] = s
}

// Seq returns the number of the last push that the session's connection was given. It is for transports, which send it with the token.
// Between Resume and Resumed it does not change.
func (s *Session) Seq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// Resume returns the session of a client that is back. It is for transports, when the first message of a connection asks for it. seq is
// the number of the last push that the client has received, and missed are the pushes after it, in order.
//
// If it recovers the session, the session that Open has returned for the link ends, without OnClose, and another connection of the resumed
// session is closed. It returns recovered as false if the token belongs to no session, or to another user's, see [Link], and if the session
// no longer has all pushes after seq, which ends it. Then s is a new session: the one that Open has returned for the link, if the
// transport has called it.
//
// The session pushes nothing to the link before Resumed, and Resume waits for a push that is under way. A transport answers first, then
// sends the missed pushes, and then calls Resumed.
func (p *Pool) Resume(token string, seq uint64, link Link) (s *Session, missed []*message.Message, recovered bool) {
	if s, missed, recovered = p.recover(token, seq, link); recovered {
		return s, missed, true
	}
	if s, missed, recovered = p.fetch(token, seq, link); recovered {
		return s, missed, true
	}
	s = p.of(link, token)
	s.declineResume()
	s.hold()
	return s, nil, false
}

// of returns the session that the link has, or a new one. A connection that shows the token of its own session keeps that.
func (p *Pool) of(link Link, token string) *Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.byLink[link]; s != nil {
		return s
	}
	if s := p.byToken[token]; s != nil && s.has(link) {
		return s
	}
	return p.open(link)
}

// has reports whether the link is the session's connection.
func (s *Session) has(link Link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox != nil && s.outbox.link == link
}

// recover moves a session to the link.
func (p *Pool) recover(token string, seq uint64, link Link) (s *Session, missed []*message.Message, recovered bool) {
	s, missed, recovered = p.find(token, seq, subjectOf(link), link)
	if !recovered {
		return nil, nil, false
	}
	old := s.outbox
	s.attach(link)
	s.mu.Unlock()
	p.drop(link)
	p.mu.Unlock()
	defer s.tell()
	_ = s.close(context.Background(), old, superseded)
	return s, missed, true
}

// find returns the session of a token, with both locks locked, and the pushes that its client has missed. It ends a session that no longer
// has all of them. It does not find a session that already has the link, or another user's.
func (p *Pool) find(token string, seq uint64, subject string, link Link) (s *Session, missed []*message.Message, found bool) {
	p.mu.Lock()
	s = p.byToken[token]
	if s == nil || s.has(link) || !s.isOf(subject) {
		p.mu.Unlock()
		return nil, nil, false
	}
	s.mu.Lock()
	if missed, found = s.kept.since(seq, s.pushed); found {
		return s, missed, true
	}
	_ = s.end(context.Background(), s.outbox, superseded)
	return nil, nil, false
}

// subjectOf returns the authenticated user of the link, or "".
func subjectOf(link Link) string {
	if l, ok := link.(interface{ Subject() string }); ok {
		return l.Subject()
	}
	return ""
}

// isOf reports whether the subject may have the session. For a session without a user, or a connection without a subject, the token is
// enough.
func (s *Session) isOf(subject string) bool {
	uid := s.UID()
	return subject == "" || uid == "" || subject == uid
}

// attach gives the session a connection, which gets no pushes yet.
func (s *Session) attach(link Link) {
	if s.outbox != nil {
		s.stale++
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.outbox.clear()
	s.resting = nil
	s.outbox = &outbox{link: link, held: true}
	s.pause++
	s.given = s.pushed
	s.events = append(s.events, (*Pool).onResume)
}

// drop ends the session that Open has returned for the link.
func (p *Pool) drop(link Link) {
	s := p.byLink[link]
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = true
	s.leave()
}

// Resumed says that the transport of the link has answered and has sent the missed pushes, so that new pushes may follow. It is for
// transports, after Resume. It does nothing if another connection has resumed the session since.
func (s *Session) Resumed(link Link) {
	s.mu.Lock()
	out := s.outbox
	if out == nil || !out.held || out.link != link {
		s.mu.Unlock()
		return
	}
	out.held = false
	_ = s.flush(out)
}
