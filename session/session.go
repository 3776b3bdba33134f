// Package session keeps what a server knows of the client of a connection: its user, values and groups. A handler gets the [Session] from
// its context, and pushes to the client or to a group:
//
//	func join(ctx context.Context, r joinRequest) (joined, error) {
//		s := session.FromContext(ctx)
//		if s == nil { // a plain HTTP request
//			return joined{}, endpoint.Error(401, "connect first")
//		}
//		room := sessions.Group("room." + r.Room)
//		if err := room.Add(ctx, s); err != nil {
//			return joined{}, err
//		}
//		return joined{}, room.Broadcast(ctx, "joined", s.UID())
//	}
//
// A [Pool], such as sessions here, has the sessions of one process. Transports open them. Package sessiontest is a transport for
// tests.
//
// A front is a server that holds connections, and has their sessions. A back end is a server that gets forwarded messages. Its
// handlers get a copy of the session, whose methods reach the front. They call [Session.Commit] after they have set values.
package session

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

var (
	// ErrBound is the error of Bind if the session has a UID, or another goroutine is binding it.
	ErrBound = endpoint.Error(409, "session: it is bound already")
	// ErrClosed is the error of a method that needs a session that has not ended.
	ErrClosed = endpoint.Error(410, "session: it has ended")
)

// Session is one client. It may outlive its connection, see [Pool.Resume]. The front, the server that holds the connection, has the session
// itself. A back end has a copy for one message, whose methods reach the front, see [Remote].
//
// All methods may be called at any time by any goroutine.
type Session struct {
	id   string
	pool *Pool    // nil away from the front
	back *backEnd // nil at the front

	// Code that needs both locks locks the Pool's first. No lock is held while a transport or code of the app runs.
	mu     sync.Mutex
	values values

	// These change only with both locks, so that either is enough to read them.
	uid    string
	order  uint64 // of its Claim
	ended  bool
	fresh  bool     // no message has come, so it may still resume another session
	spared *Session // an older session of the uid, which could be resumed when this one was bound while it was fresh
	token  string

	groups []*group // with the Pool's lock

	binding bool    // a goroutine runs Bind
	outbox  *outbox // of the connection; nil without one
	pushed  uint64  // the number of the last push
	given   uint64  // the number of the last push that a Link was given
	kept    kept
	stale   int // connections that were replaced and have not been detached
	timer   *time.Timer
	pause   uint64        // counts suspensions
	running int           // handlers
	resting chan struct{} // no handler begins, see Pool.Rest; closed when none runs
	dropped bool          // ended without OnClose
	done    chan struct{}
	events  []func(*Pool, *Session)
	telling bool // a goroutine runs the events
}

// Link is the connection of a session. A transport implements it, by a type that can be compared, such as a pointer. A Link may have a method
// Subject() string that returns the authenticated user, or "". Such a Link cannot resume another user's session.
type Link interface {
	// Push writes a notification, or queues it. It must not wait for a slow client. It is called by one goroutine at a time, in the
	// order of the numbers that Seq(ctx) returns, without a gap. After an error it is not called again. Other sessions share the
	// message, so Push must not change it. ctx has the values of the pusher's context, and does not end.
	Push(ctx context.Context, m *message.Message) error
	// Close closes the connection. The client may be told the reason. Close does not wait for the client. The transport then calls
	// Detach. ctx does not end.
	Close(ctx context.Context, reason string) error
}

// ID returns the id of the session: random letters and digits, the same at front and back ends.
func (s *Session) ID() string { return s.id }

// String returns id and UID, for logs, without the token.
func (s *Session) String() string { return "session " + s.id + " of " + strconv.Quote(s.UID()) }

// UID returns the id of the user, or "" before Bind.
func (s *Session) UID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uid
}

// Front returns the id of the server that holds the connection, or "" if it is in no cluster.
func (s *Session) Front() string {
	if s.back != nil {
		return s.back.front
	}
	return s.pool.front()
}

// Done returns a channel that is closed when the session ends. A session that waits to be resumed has not ended. Away from the
// front it is nil.
func (s *Session) Done() <-chan struct{} {
	if s.back != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.ended {
			close(s.done)
		}
	}
	return s.done
}

// member describes the session for Group.Members.
func (s *Session) member() Member { return Member{s.ID(), s.UID(), s.Front()} }
