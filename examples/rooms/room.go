package main

import (
	"context"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/session"
)

// newRoom makes a back end: clients may call the methods of Room, and servers those of Stats.
func newRoom(components *component.Set, cfg *cluster.Config) {
	handlers, remotes := kami.New(), kami.New()
	cfg.Handlers, cfg.Remotes = handlers, remotes
	room := new(Room)
	components.Register(handlers.Handle, room,
		component.WithPrefix("room"), component.WithName("chat"), component.WithNameFunc(strings.ToLower))
	components.Register(remotes.Handle, &Stats{room},
		component.WithPrefix("room"), component.WithName("stats"), component.WithNameFunc(strings.ToLower),
		component.WithCodecs(cluster.Protobuf))
}

// Room is called by clients, as room.chat.say.
type Room struct {
	lines atomic.Int64 // said at this server
}

type say struct {
	Text string `json:"text"`
}

type line struct {
	From   string `json:"from"`
	Text   string `json:"text"`
	Server string `json:"server"`
}

// Say says something to all in the room of the client, whichever connectors they are at.
func (r *Room) Say(ctx context.Context, m *say) (*line, error) {
	if m.Text == "" || len(m.Text) > 1000 {
		return nil, endpoint.Error(400, "a line has 1 to 1000 bytes")
	}
	s, server := session.FromContext(ctx), cluster.FromContext(ctx)
	if s == nil {
		return nil, endpoint.Error(401, "only clients of a connector talk")
	}
	r.lines.Add(1)
	where, _ := inRoom.Get(s)
	said := &line{s.UID(), m.Text, server.ID()}
	return said, server.Group("connector", where).Broadcast(ctx, "room.said", said)
}

// Stats is called by servers, as room.stats.lines.
type Stats struct{ room *Room }

// Lines returns how many lines were said at this server.
func (s *Stats) Lines(context.Context, *emptypb.Empty) (*wrapperspb.Int64Value, error) {
	return wrapperspb.Int64(s.room.lines.Load()), nil
}
