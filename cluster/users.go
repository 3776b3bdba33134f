package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// Push pushes to the clients of users, at all fronts of the type. Each front gets one message, however many users there are. missed has
// the users that no front has: all of them if the type has no front. The error names fronts that have not answered in time, or says what
// has failed.
func (s *Server) Push(ctx context.Context, frontType, route string, v any, uids ...string) (missed []string, err error) {
	body, err := encodePush(route, v)
	if err != nil {
		return nil, err
	}
	return s.users(ctx, frontType, &question{Op: opPushTo, Route: route}, body, uids)
}

// Kick closes the connections of users and ends their sessions. The clients get the reason. See Push.
func (s *Server) Kick(ctx context.Context, frontType, reason string, uids ...string) (missed []string, err error) {
	return s.users(ctx, frontType, &question{Op: opKickOf, Reason: reason}, nil, uids)
}

// encodePush returns the body of a push.
func encodePush(route string, v any) ([]byte, error) {
	if _, err := message.Path(route); err != nil {
		return nil, fmt.Errorf("cluster: pushing: %w", err)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cluster: encoding the push %q: %w", route, err)
	}
	return body, nil
}

// users asks all fronts to do something with users, and returns the users that no front has.
func (s *Server) users(ctx context.Context, frontType string, q *question, body []byte, uids []string) (missed []string, err error) {
	if len(uids) == 0 {
		return nil, nil
	}
	for _, uid := range uids {
		q.UIDs = append(q.UIDs, []byte(uid))
	}
	absent := make([]int, len(uids)) // how many fronts do not have the user
	answers := 0
	var failed error
	err = s.askAll(ctx, frontType, q, body, func(r *reply) {
		answers++
		for _, i := range r.Missed {
			if i >= 0 && i < len(absent) {
				absent[i]++
			}
		}
		failed = errors.Join(failed, r.err())
	})
	for i, uid := range uids {
		if absent[i] == answers {
			missed = append(missed, uid)
		}
	}
	return missed, errors.Join(err, failed)
}

// pooled is the Server for the Pool of a front.
type pooled struct{ s *Server }

var _ session.Cluster = pooled{}

// Claim tells all fronts of the type.
func (p pooled) Claim(ctx context.Context, c session.Claim) error {
	data, err := frame(&question{Op: opClaim, From: p.s.cfg.ID, Claim: &c}, nil)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return withCause(ctx, errors.New("cluster: claiming a user"))
	}
	return p.s.publish(p.s.names.front(p.s.cfg.Type, "all"), "", nil, data)
}

// Take asks the front that a token names for its session.
func (p pooled) Take(token string, seq uint64, subject string, adopt func(session.Moved)) bool {
	at := strings.LastIndexByte(token, '.')
	if at < 0 || token[at+1:] == p.s.cfg.ID {
		return false
	}
	r, err := p.s.askFront(p.s.base, p.s.cfg.Type, token[at+1:], &question{Op: opTake, Token: token, Seq: seq, Subject: []byte(subject)}, nil)
	if err != nil || r.Moved == nil {
		p.s.cfg.Log.Info("cluster: a client's session was not to be had from another front", "front", token[at+1:], "err", err)
		return false
	}
	moved := *r.Moved
	for _, name := range r.Groups {
		moved.Groups = append(moved.Groups, string(name))
	}
	p.s.casts.adopt(moved, r.Heard, adopt)
	return true
}
