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
	// OnBind is called before a session gets its UID. If it returns an error or panics, Bind returns the error, and nothing has
	// changed.
	OnBind func(ctx context.Context, s *Session, uid string) error
	// OnClose is called when a session has ended: once for each session, after the last handler of the session has returned. The session
	// is no longer in any group, and still has its UID and values. OnClose runs in the goroutine that has ended the session, such as
	// one that called Kick. A panic is logged. OnSuspend and OnResume run like this too.
	OnClose func(s *Session)
	// OnSuspend is called when the connection of a session is gone and the session waits to be resumed. OnSuspend, OnResume and OnClose
	// of one session run one after the other, in the order of the events.
	OnSuspend func(s *Session)
	// OnResume is called when a client is back. Its pushes come after the pushes that the client has missed.
	OnResume func(s *Session)
	// ResumeWithin is how long a session waits for its client after its connection is gone. With zero sessions end with their
	// connections.
	ResumeWithin time.Duration
	// Keep is how many pushes of a session are kept for a client that comes back, 300 by default. They have at most 1 MiB. Pushes
	// are kept only for clients that may come back, see [Session.Token].
	Keep int
	// Log gets errors and panics. By default it is slog.Default.
	Log *slog.Logger

	mu      sync.RWMutex // locked before a session's
	byID    map[string]*Session
	byUID   map[string]*Session
	byToken map[string]*Session
	byLink  map[Link]*Session // fresh sessions
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

// Len returns the number of sessions, including those that wait to be resumed.
func (p *Pool) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.byID)
}

// All returns the sessions at the beginning of the loop, in no order.
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

// Push pushes to users. v is encoded once. It returns the uids that have no session, or a session that takes no pushes. If it returns an
// error, which is as of [Session.Push], nothing has been pushed.
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

// Close kicks all sessions, including those that wait to be resumed, and returns the errors of their connections.
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
