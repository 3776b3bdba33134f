package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/guregu/kami/session"
)

// Group returns the group with the name across all fronts of a type. It consists of the groups with that name in the fronts' Pools.
// Broadcast sends one message, however many fronts and members there are. Members asks the fronts in the view. Its error names the fronts
// that have not answered in time, and comes with the members at the others.
func (s *Server) Group(frontType, name string) session.Group { return group{s, frontType, name} }

type group struct {
	s               *Server
	frontType, name string
}

func (g group) Add(ctx context.Context, of *session.Session) error { return g.change(ctx, opAdd, of) }
func (g group) Remove(ctx context.Context, of *session.Session) error {
	return g.change(ctx, opRemove, of)
}

// change changes the membership of a session, at its front.
func (g group) change(ctx context.Context, op string, of *session.Session) error {
	if of == nil {
		return errors.New("cluster: the session of a group's member must not be nil")
	}
	if pool := g.s.cfg.Sessions; pool != nil && pool.ByID(of.ID()) == of {
		if op == opAdd {
			return pool.Group(g.name).Add(ctx, of)
		}
		return pool.Group(g.name).Remove(ctx, of)
	}
	_, err := g.s.askFront(ctx, g.frontType, of.Front(), &question{Op: op, Session: of.ID(), Group: []byte(g.name)}, nil)
	return err
}

func (g group) Members(ctx context.Context) (members []session.Member, err error) {
	var failed error
	err = g.s.askAll(ctx, g.frontType, &question{Op: opMembers, Group: []byte(g.name)}, nil, func(r *reply) {
		members = append(members, r.Members...)
		failed = errors.Join(failed, r.err())
	})
	return members, errors.Join(err, failed)
}

func (g group) Broadcast(ctx context.Context, route string, v any) error {
	body, err := encodePush(route, v)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return withCause(ctx, fmt.Errorf("cluster: broadcasting %q", route))
	}
	if !nameRule.MatchString(g.frontType) {
		return nil
	}
	g.s.casting.Lock()
	defer g.s.casting.Unlock()
	g.s.cast++
	data, err := frame(&question{Op: opCast, From: g.s.cfg.ID, Route: route, Group: []byte(g.name), Number: g.s.cast}, body)
	if err != nil {
		return err
	}
	return g.s.publish(g.s.names.group(g.frontType, g.name), "", nil, data)
}
