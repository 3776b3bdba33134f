package session

import (
	"context"
	"encoding/json"

	"github.com/guregu/kami/message"
)

// BackLink is the connection from a back end to the front of one session. A transport implements it. At the front it calls ByID of the Pool,
// and then Push, Bind, Kick and Apply of the session.
type BackLink interface {
	// Push pushes to the client. The front can pass the body to [Session.Push], as a json.RawMessage.
	Push(ctx context.Context, m *message.Message) error
	// Bind does what [Session.Bind] does. [ErrBound], [ErrClosed] and the errors of OnBind cross as other errors of handlers do.
	Bind(ctx context.Context, uid string) error
	Kick(ctx context.Context, reason string) error
	// Commit makes the front Apply the values. Null deletes a value.
	Commit(ctx context.Context, values map[string]json.RawMessage) error
}

// Remote returns the session of a message that was forwarded to this server. It is for transports, which call it for each message, put the
// session into the context by [NewContext], and call Returned when the handler has returned.
func Remote(snapshot Snapshot, link BackLink) *Session {
	s := &Session{id: snapshot.ID, uid: snapshot.UID, back: &backEnd{link: link, front: snapshot.Front}}
	for key, text := range snapshot.Values {
		s.setLocked(key, encodedValue(text))
	}
	return s
}

// backEnd is the part of a session that only a back end has.
type backEnd struct {
	link    BackLink
	front   string
	changed values // not committed
}

func (b *backEnd) bind(ctx context.Context, s *Session, uid string) error {
	if err := s.beginBind(); err != nil {
		return err
	}
	defer s.endBind()
	if err := b.link.Bind(ctx, uid); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uid = uid
	return nil
}
