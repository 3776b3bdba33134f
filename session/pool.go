package session

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Pool has the sessions of one process. Its zero value is ready. Its fields must not change once it has a session; its methods may be
// called at any time.
type Pool struct {
	// OnBind is asked before a session gets its UID. Its error, or a panic, refuses: Bind returns the error, and nothing has
	// changed.
	OnBind func(ctx context.Context, s *Session, uid string) error
	// OnClose is told that a session has ended. It runs once for each session, after the last handler of the session has returned.
	// The session is in no group any more, and has its UID and values. The goroutine that has ended the session runs it, as a Kick
	// does. A panic is logged. This is so for OnSuspend and OnResume too.
	OnClose func(s *Session)
	// OnSuspend is told that the connection of a session is gone, and that the session waits to be resumed. It, OnResume and
	// OnClose run in the order in which these things happen to a session, one after the other.
	OnSuspend func(s *Session)
	// OnResume is told that a client is back. What it pushes comes after the pushes that the client has missed.
	OnResume func(s *Session)
	// ResumeWithin is how long a session waits for its client after its connection is gone. Zero means that sessions end with their
	// connections.
	ResumeWithin time.Duration
	// Keep is how many pushes of a session are kept for a client that comes back, 300 by default. They have 1 MiB at most. Pushes
	// are only kept for clients that may come back, see [Session.Token].
	Keep int
	// Log gets errors and panics. By default it is slog.Default.
	Log *slog.Logger

	mu      sync.RWMutex // before that of a session
	byID    map[string]*Session
	byUID   map[string]*Session
	byToken map[string]*Session
	byLink  map[Link]*Session // those that are fresh
	groups  map[string]*group
	name    string // of this server
	cluster Cluster
	clock   uint64 // the greatest order of a claim
}

// Open makes the session of a new connection. It is for transports, which then call Begin and Returned for each message, Resume if
// the client asks for it in the first one, and Detach when the connection is gone.
func (p *Pool) Open(link Link) *Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open(link)
}

// open is Open for callers that have the lock.
func (p *Pool) open(link Link) *Session {
	s := &Session{id: rand.Text(), pool: p, fresh: true, outbox: &outbox{link: link}}
	p.add(s)
	p.byLink[link] = s
	return s
}

// add makes the session one of the Pool, for callers that have the lock.
func (p *Pool) add(s *Session) {
	if p.byID == nil {
		p.byID, p.byUID, p.byToken = map[string]*Session{}, map[string]*Session{}, map[string]*Session{}
		p.byLink, p.groups = map[Link]*Session{}, map[string]*group{}
	}
	p.byID[s.id] = s
}

// ByID returns the session with the id, or nil.
func (p *Pool) ByID(id string) *Session {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byID[id]
}

// ByUID returns the session of the user, or nil.
func (p *Pool) ByUID(uid string) *Session {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byUID[uid]
}

// Len returns how many sessions there are, including those that wait to be resumed.
func (p *Pool) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.byID)
}

// All returns the sessions that there are when the loop begins, in no order.
func (p *Pool) All() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		p.mu.RLock()
		all := slices.Collect(maps.Values(p.byID))
		p.mu.RUnlock()
		for _, s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

// Push pushes to users, with v encoded once. It returns those of the uids that have no session, or one that takes no pushes. The
// error is that of [Session.Push]; then nothing has been pushed.
func (p *Pool) Push(ctx context.Context, route string, v any, uids ...string) (missed []string, err error) {
	m, err := encode(ctx, route, v)
	if err != nil {
		return nil, err
	}
	for _, uid := range uids {
		s := p.ByUID(uid)
		if s == nil || s.send(ctx, m) != nil {
			missed = append(missed, uid)
		}
	}
	return missed, nil
}

// Close kicks all sessions that there are, including those that wait to be resumed, and returns the errors of their connections.
func (p *Pool) Close(ctx context.Context, reason string) error {
	var failed []error
	for s := range p.All() {
		failed = append(failed, s.Kick(ctx, reason))
	}
	return errors.Join(failed...)
}

func (p *Pool) keep() int {
	if p.Keep > 0 {
		return p.Keep
	}
	return defaultKeep
}

func (p *Pool) front() string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.name
}

func (p *Pool) log() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.Default()
}
