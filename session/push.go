package session

import (
	"context"
	"fmt"
	"slices"

	"github.com/guregu/kami/message"
)

// Push sends a notification to the client, with v as JSON. The pushes of a session arrive in the order of the calls, if those
// come one after the other. Push does not wait for the client. Nil means that the push is on its way, or kept for a client that comes
// back. Push returns [ErrClosed] after the end of the session, and an error if v cannot be encoded, if the route is malformed (see
// [message.Path]), or if the connection takes no more pushes.
func (s *Session) Push(ctx context.Context, route string, v any) error {
	m, err := encode(ctx, route, v)
	if err != nil {
		return err
	}
	return s.send(ctx, m)
}

// encode makes the message of a push.
func encode(ctx context.Context, route string, v any) (*message.Message, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("session: pushing %.260q: %w", route, context.Cause(ctx))
	}
	if _, err := message.Path(route); err != nil {
		return nil, fmt.Errorf("session: pushing: %w", err)
	}
	body, err := message.JSON.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("session: encoding the push %q: %w", route, err)
	}
	return &message.Message{Route: route, Body: body, Notify: true}, nil
}

// send pushes a message.
func (s *Session) send(ctx context.Context, m *message.Message) error {
	if s.back != nil {
		return s.back.link.Push(ctx, m)
	}
	s.mu.Lock()
	out, resumable := s.outbox, s.token != ""
	switch {
	case s.ended:
		s.mu.Unlock()
		return ErrClosed
	case out != nil && out.broken != nil && !resumable:
		s.mu.Unlock()
		return fmt.Errorf("session: the connection takes no pushes: %w", out.broken)
	}
	s.pushed++
	if resumable {
		s.kept.add(m, s.pool.keep())
	}
	if out == nil || out.broken != nil {
		s.mu.Unlock()
		return nil
	}
	out.queue = append(out.queue, delivery{ctx: ctx, seq: s.pushed, message: m})
	if err := s.flush(out); err != nil && !resumable {
		return fmt.Errorf("session: pushing %q: %w", m.Route, err)
	}
	return nil
}

const (
	defaultKeep = 300
	maxKept     = 1 << 20 // bytes
)

// kept has the last pushes of a session.
type kept struct {
	messages []*message.Message
	bytes    int
}

// add keeps a push, and removes the oldest ones if there are too many.
func (k *kept) add(m *message.Message, limit int) {
	k.messages = append(k.messages, m)
	k.bytes += size(m)
	for len(k.messages) > limit || k.bytes > maxKept {
		k.bytes -= size(k.messages[0])
		k.messages[0] = nil
		k.messages = k.messages[1:]
	}
}

func size(m *message.Message) int { return len(m.Route) + len(m.Body) }

// since returns the pushes after a number, or false if it no longer has all of them.
func (k *kept) since(seq, pushed uint64) ([]*message.Message, bool) {
	if seq > pushed || pushed-seq > uint64(len(k.messages)) {
		return nil, false
	}
	return slices.Clone(k.messages[len(k.messages)-int(pushed-seq):]), true
}
