package session

import (
	"context"
	"crypto/rand"

	"github.com/guregu/kami/message"
)

// superseded is the reason for which a connection is closed whose session another one has resumed.
const superseded = "another connection has resumed the session"

// Token returns what a client shows to resume the session, and makes it if there is none. It is for transports, once a client has
// asked for it: from then on the session outlives its connection, and keeps its last pushes. It returns "" where sessions do not
// outlive their connections, which is so without ResumeWithin, after the end of the session, and away from the front.
//
// In a cluster the token names the server: it ends with a dot and [Session.Front].
func (s *Session) Token() string {
	if s.back != nil || s.pool.ResumeWithin <= 0 {
		return ""
	}
	s.settle()
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

// Suspended returns how many sessions wait for their clients. It is for transports between servers.
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

// Seq returns the number of the last push that the session's connection was given. It is for transports, which tell it with the
// token: between Resume and Resumed it stands still.
func (s *Session) Seq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// Resume returns the session of a client that is back. It is for transports, whose first message has asked for it. seq is the number
// of the last push that the client has got, and missed are those after it, in order.
//
// It returns recovered as false where the token is no session's or that of another user, see [Link], and where the session does not
// have all pushes after seq any more, which ends it. Then s is a new one: the one that Open has returned for the link, if the transport
// has called it. With recovered it is the other way round: the session that Open has returned for the link ends, without OnClose, and
// another connection that the resumed session had is closed.
//
// The session gives the link nothing before Resumed: Resume waits for a push that it is being given. A transport answers first, then
// sends what was missed, and then calls Resumed.
func (p *Pool) Resume(token string, seq uint64, link Link) (s *Session, missed []*message.Message, recovered bool) {
	if s, missed, recovered = p.recover(token, seq, link); recovered {
		return s, missed, true
	}
	if s, missed, recovered = p.fetch(token, seq, link); recovered {
		return s, missed, true
	}
	s = p.of(link, token)
	s.settle()
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

// find returns the session of a token, with both locks taken, and what its client has missed. It ends one that does not have all of
// that. A session that has the link already is not found, and neither is another user's.
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

// subjectOf returns who was authenticated by the link, or "".
func subjectOf(link Link) string {
	if l, ok := link.(interface{ Subject() string }); ok {
		return l.Subject()
	}
	return ""
}

// isOf reports whether the subject may have the session. A session without a user belongs to anybody. A connection without a
// subject needs only the token.
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

// Resumed says that the transport of the link has answered, and has sent what was missed, so that new pushes follow. It is for
// transports, after Resume. It does nothing where another connection has resumed the session meanwhile.
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
