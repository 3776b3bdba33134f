package session

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/guregu/kami/message"
)

// Cluster is what a Pool needs of the other fronts of a cluster. A transport between servers implements it.
type Cluster interface {
	// Claim tells the other fronts of a Bind. Each passes it to Claimed of its Pool. If Claim returns an error the Bind fails.
	Claim(ctx context.Context, c Claim) error
	// Take asks the front that the token names for its session, and passes the session to adopt: from then on the Pool broadcasts to
	// it. That front answers with Give of its Pool. subject is the authenticated user, or "". Take returns false if that front has no
	// such session or does not answer.
	Take(token string, seq uint64, subject string, adopt func(Moved)) bool
}

// Claim says that a session has been bound to a user. Of two claims the one with the greater Order is newer; if both are equal, the one with
// the greater ID.
type Claim struct {
	UID   string `json:"uid"`
	ID    string `json:"id"`
	Order uint64 `json:"order"`
	// Spare says that the session may still resume an older one, so sessions with a token must not be kicked yet. Another claim follows.
	Spare bool `json:"spare,omitempty"`
}

// Moved is a session on its way to another front.
type Moved struct {
	Snapshot
	Pushed uint64   `json:"pushed"` // the number of the last push
	Missed []Pushed `json:"missed,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Pushed is a push of a session that moves.
type Pushed struct {
	Route string          `json:"route"`
	Body  json.RawMessage `json:"body"`
}

// Join makes the Pool part of a cluster, in which this server has the id. It must be called before there are connections. It is for
// transports between servers.
func (p *Pool) Join(id string, c Cluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name, p.cluster = id, c
}

// next returns the order of a new claim, greater than the orders of all claims that the Pool has seen. It includes the time, so that a front
// that has seen no claim is not behind the others.
func (p *Pool) next() uint64 {
	p.clock = max(p.clock+1, uint64(time.Now().UnixNano()))
	return p.clock
}

// compare compares the claim with a session's.
func (c Claim) compare(s *Session) int {
	return cmp.Or(cmp.Compare(c.Order, s.order), cmp.Compare(c.ID, s.id))
}

// claim tells the other fronts of the session's uid.
func (p *Pool) claim(ctx context.Context, s *Session) error {
	p.mu.RLock()
	cluster, c := p.cluster, Claim{s.uid, s.id, s.order, s.fresh}
	p.mu.RUnlock()
	if cluster == nil || c.UID == "" {
		return nil
	}
	if err := cluster.Claim(ctx, c); err != nil {
		return fmt.Errorf("session: telling the cluster of a Bind to %q: %w", c.UID, err)
	}
	return nil
}

// Claimed acts on another front's claim: it kicks an older session of the uid. It claims a newer session again, because the other front may
// not have heard of that. It is for transports between servers.
func (p *Pool) Claimed(ctx context.Context, c Claim) {
	var older, newer []*Session
	p.mu.Lock()
	p.clock = max(p.clock, c.Order)
	for _, s := range p.olders(c.UID) {
		switch order := c.compare(s); {
		case order < 0:
			newer = append(newer, s)
		case order > 0 && !(c.Spare && s.mayComeBack()):
			older = append(older, s)
		}
	}
	p.mu.Unlock()
	p.kick(ctx, older)
	for _, s := range newer {
		p.reclaim(ctx, s)
	}
}

// reclaim tells the other fronts again, or logs that it could not.
func (p *Pool) reclaim(ctx context.Context, s *Session) {
	if err := p.claim(ctx, s); err != nil {
		p.log().WarnContext(ctx, "session: two sessions of a user may be left", "session", s.id, "uid", s.UID(), "err", err)
	}
}

// Rest lets no more handlers of a session begin, and waits for the running ones, until ctx ends. So Give gives all that they have done. It
// does nothing if Give would not give the session. It is for transports between servers.
func (p *Pool) Rest(ctx context.Context, token, subject string) {
	p.mu.RLock()
	s := p.byToken[token]
	p.mu.RUnlock()
	if s == nil || !s.isOf(subject) {
		return
	}
	s.mu.Lock()
	if s.resting == nil {
		s.resting = make(chan struct{})
		if s.running == 0 {
			close(s.resting)
		}
	}
	resting := s.resting
	s.mu.Unlock()
	select {
	case <-resting:
	case <-ctx.Done():
	}
}

// Give gives a session to another front, as Resume gives one to another connection. The session ends here without OnClose, which the other
// front calls when it ends there. Give returns false if Resume would not recover the session. It is for transports between servers.
func (p *Pool) Give(token string, seq uint64, subject string) (Moved, bool) {
	p.mu.RLock()
	s := p.byToken[token]
	p.mu.RUnlock()
	if s == nil {
		return Moved{}, false
	}
	snapshot, err := s.Snapshot() // without a lock, because it runs the values' code
	if err != nil {
		p.log().Error("session: a session cannot move to another front", "session", s.id, "uid", snapshot.UID, "err", err)
		return Moved{}, false
	}
	s, missed, ok := p.find(token, seq, subject, nil)
	if !ok {
		return Moved{}, false
	}
	moved := Moved{Snapshot: snapshot, Pushed: s.pushed}
	moved.UID = s.uid
	for _, g := range s.groups {
		moved.Groups = append(moved.Groups, g.name)
	}
	for _, m := range missed {
		moved.Missed = append(moved.Missed, Pushed{m.Route, m.Body})
	}
	s.dropped = true
	_ = s.end(context.Background(), s.outbox, superseded)
	return moved, true
}

// fetch gets a session from another front to the link.
func (p *Pool) fetch(token string, seq uint64, link Link) (s *Session, missed []*message.Message, recovered bool) {
	p.mu.RLock()
	cluster := p.cluster
	p.mu.RUnlock()
	if cluster == nil || token == "" || p.ResumeWithin <= 0 {
		return nil, nil, false
	}
	var older []*Session
	if !cluster.Take(token, seq, subjectOf(link), func(moved Moved) {
		s, older = p.adopt(moved, link)
		for _, m := range moved.Missed {
			missed = append(missed, m.message())
		}
	}) {
		return nil, nil, false
	}
	p.kick(context.Background(), older)
	p.reclaim(context.Background(), s)
	s.tell()
	return s, missed, true
}

func (m Pushed) message() *message.Message {
	return &message.Message{Route: m.Route, Body: m.Body, Notify: true}
}

// adopt makes the session that has moved here, and returns the sessions of its user that it replaces, because its client has come last.
func (p *Pool) adopt(moved Moved, link Link) (s *Session, older []*Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(link)
	s = &Session{id: moved.ID, pool: p, outbox: &outbox{link: link, held: true}, pushed: moved.Pushed, given: moved.Pushed}
	s.events = append(s.events, (*Pool).onResume)
	p.add(s)
	p.addToken(s)
	for key, text := range moved.Values {
		s.setLocked(key, encodedValue(text))
	}
	for _, m := range moved.Missed {
		s.kept.add(m.message(), p.keep())
	}
	for _, name := range moved.Groups {
		p.join(name, s)
	}
	if s.uid = moved.UID; s.uid != "" {
		s.order = p.next()
		older = p.olders(s.uid)
		p.byUID[s.uid] = s
	}
	return s, older
}
