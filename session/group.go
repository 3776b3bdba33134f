package session

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Group is a set of sessions to push to. All methods may be called at any time.
type Group interface {
	// Add makes the session a member, until Remove or its end. It returns ErrClosed if it has ended. A member may be added again.
	Add(ctx context.Context, s *Session) error
	// Remove ends the membership. It is no error if a session of the Pool is no member.
	Remove(ctx context.Context, s *Session) error
	// Members returns the members, in no order.
	Members(ctx context.Context) ([]Member, error)
	// Broadcast pushes to all members, as [Session.Push] does. v is encoded once. A slow member does not delay others, and a member that
	// takes no pushes is left out.
	Broadcast(ctx context.Context, route string, v any) error
}

// Member describes a session of a group.
type Member struct {
	ID    string `json:"id"`
	UID   string `json:"uid,omitempty"`
	Front string `json:"front,omitempty"`
}

// Group returns the group with the name. The same name is always the same group. A group without members costs nothing.
func (p *Pool) Group(name string) Group { return namedGroup{p, name} }

type namedGroup struct {
	pool *Pool
	name string
}

// group is a group that has members. It changes with the lock of the Pool.
type group struct {
	pool    *Pool
	name    string
	members map[*Session]struct{}
}

func (n namedGroup) Add(_ context.Context, s *Session) error {
	if err := n.check(s); err != nil {
		return err
	}
	p := n.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	p.join(n.name, s)
	return nil
}

// check returns an error for a session that cannot be a member.
func (n namedGroup) check(s *Session) error {
	if s == nil || s.pool != n.pool {
		return fmt.Errorf("session: group %.260q: only sessions of its Pool can be members", n.name)
	}
	return nil
}

// join makes a session a member, for callers that have the lock.
func (p *Pool) join(name string, s *Session) {
	g := p.groups[name]
	if g == nil {
		g = &group{p, name, make(map[*Session]struct{}, 1)}
		p.groups[name] = g
	}
	if _, is := g.members[s]; !is {
		g.members[s] = struct{}{}
		s.groups = append(s.groups, g)
	}
}

func (n namedGroup) Remove(_ context.Context, s *Session) error {
	if err := n.check(s); err != nil {
		return err
	}
	p := n.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[n.name]
	if g == nil {
		return nil
	}
	g.remove(s)
	s.groups = slices.DeleteFunc(s.groups, func(other *group) bool { return other == g })
	return nil
}

// remove takes the session out of the group, and the group out of the Pool if it was the last one.
func (g *group) remove(s *Session) {
	delete(g.members, s)
	if len(g.members) == 0 {
		delete(g.pool.groups, g.name)
	}
}

func (n namedGroup) Members(context.Context) ([]Member, error) {
	var members []Member
	for _, s := range n.sessions() {
		members = append(members, s.member())
	}
	return members, nil
}

func (n namedGroup) Broadcast(ctx context.Context, route string, v any) error {
	m, err := encode(ctx, route, v)
	if err != nil {
		return err
	}
	for _, s := range n.sessions() {
		_ = s.send(ctx, m) // an error means that it, or its connection, ends
	}
	return nil
}

// sessions returns the present members.
func (n namedGroup) sessions() []*Session {
	n.pool.mu.RLock()
	defer n.pool.mu.RUnlock()
	g := n.pool.groups[n.name]
	if g == nil {
		return nil
	}
	return slices.AppendSeq(make([]*Session, 0, len(g.members)), maps.Keys(g.members))
}
