package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// forwarded is a client's session as it travels with a message.
type forwarded struct {
	session.Snapshot
	FrontType string `json:"frontType"`
}

// snapshot returns the session of a context as it travels, or "" if there is none.
func (s *Server) snapshot(ctx context.Context) (string, error) {
	of := session.FromContext(ctx)
	if of == nil {
		return "", nil
	}
	snapshot, err := of.Snapshot()
	if err != nil {
		return "", err
	}
	f := forwarded{snapshot, s.cfg.Type}
	if m := s.view.member(f.Front); m != nil {
		f.FrontType = m.Type
	}
	text, err := json.Marshal(f)
	return string(text), err
}

// readSnapshot reads a session that has travelled.
func (v *service) readSnapshot(text string) (*session.Session, error) {
	var f forwarded
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return nil, fmt.Errorf("cluster: the session of a message cannot be read: %w", err)
	}
	if f.ID == "" {
		return nil, errors.New("cluster: the session of a message has no id")
	}
	return session.Remote(f.Snapshot, &backLink{v.Server, f.FrontType, f.Front, f.ID}), nil
}

// backLink is the way from this server to a session at its front.
type backLink struct {
	s                         *Server
	frontType, front, session string
}

func (l *backLink) ask(ctx context.Context, q question, body []byte) error {
	q.Session = l.session
	_, err := l.s.askFront(ctx, l.frontType, l.front, &q, body)
	return err
}

func (l *backLink) Push(ctx context.Context, m *message.Message) error {
	return l.ask(ctx, question{Op: opPush, Route: m.Route}, m.Body)
}

func (l *backLink) Bind(ctx context.Context, uid string) error {
	return l.ask(ctx, question{Op: opBind, UIDs: [][]byte{[]byte(uid)}}, nil)
}

func (l *backLink) Kick(ctx context.Context, reason string) error {
	return l.ask(ctx, question{Op: opKick, Reason: reason}, nil)
}

func (l *backLink) Commit(ctx context.Context, values map[string]json.RawMessage) error {
	return l.ask(ctx, question{Op: opCommit, Values: values}, nil)
}
