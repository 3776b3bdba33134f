package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// snapshot returns the session of a context as text that travels with a message, or "" if there is none: its id, its front, the front's
// type and its user, each path-escaped, and its values as JSON if it has some, with slashes between.
func (s *Server) snapshot(ctx context.Context) (string, error) {
	of := session.FromContext(ctx)
	if of == nil {
		return "", nil
	}
	snapshot, err := of.Snapshot()
	if err != nil {
		return "", err
	}
	frontType := s.cfg.Type
	if m := s.view.member(snapshot.Front); m != nil {
		frontType = m.Type
	}
	text := url.PathEscape(snapshot.ID) + "/" + url.PathEscape(snapshot.Front) + "/" + url.PathEscape(frontType) + "/" + url.PathEscape(snapshot.UID)
	if len(snapshot.Values) == 0 {
		return text, nil
	}
	values, err := json.Marshal(snapshot.Values)
	return text + "/" + string(values), err
}

var errSnapshot = errors.New("cluster: the session of a message must be its id, front, type of that, and user, each path-escaped, and values as a JSON object")

// readSnapshot reads the text of snapshot.
func (v *service) readSnapshot(text string) (*session.Session, error) {
	fields := strings.SplitN(text, "/", 5)
	if len(fields) < 4 {
		return nil, errSnapshot
	}
	for i, field := range fields[:4] {
		var err error
		if fields[i], err = url.PathUnescape(field); err != nil {
			return nil, errSnapshot
		}
	}
	of := session.Snapshot{ID: fields[0], Front: fields[1], UID: fields[3]}
	if of.ID == "" || len(fields) == 5 && json.Unmarshal([]byte(fields[4]), &of.Values) != nil {
		return nil, errSnapshot
	}
	return session.Remote(of, &backLink{v.Server, fields[2], of.Front, of.ID}), nil
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
