package sessiontest

import (
	"context"
	"encoding/json"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// BackEnd returns the session as a back end gets it with a forwarded message: a copy, whose Push, Bind, Kick and Commit reach the session
// itself. The error is the error of [session.Session.Snapshot].
func BackEnd(front *session.Session) (*session.Session, error) {
	snapshot, err := front.Snapshot()
	if err != nil {
		return nil, err
	}
	return session.Remote(snapshot, backLink{front}), nil
}

type backLink struct{ *session.Session }

func (l backLink) Push(ctx context.Context, m *message.Message) error {
	return l.Session.Push(ctx, m.Route, json.RawMessage(m.Body))
}

func (l backLink) Commit(_ context.Context, values map[string]json.RawMessage) error {
	return l.Apply(values)
}
