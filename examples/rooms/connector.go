package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

//go:embed page.html
var page string

// inRoom is the room of a session. It travels with each message.
var inRoom = session.NewKey[string]("room")

// newConnector makes a front: the page, and the websocket that it calls by. What it returns is called with the server that has joined.
func newConnector(components *component.Set, cfg *cluster.Config) (joined func(*cluster.Server)) {
	calls := kami.New() // for calls of clients
	node := &peer.Node{Name: "connector", Version: version, Handler: calls}
	node.Sessions.ResumeWithin = time.Minute
	cfg.Sessions = &node.Sessions
	c := new(Connector)
	components.Register(calls.Handle, c,
		component.WithPrefix("connector"), component.WithName("hall"), component.WithNameFunc(strings.ToLower))
	return func(server *cluster.Server) {
		c.server = server
		server.AddRoute("room", route)
		calls.Post("/room/*route", cluster.Forward(server, "room"))
		kami.Get("/connect", node)
		kami.Get("/kami.js", peer.Client())
		kami.Get("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(page))
		})
	}
}

// route has each room at one server, so that all hear its lines in the same order.
func route(ctx context.Context, _ string, _ []byte, servers map[string]cluster.Instance) (cluster.Instance, error) {
	room, ok := inRoom.Get(session.FromContext(ctx))
	if !ok {
		return cluster.Instance{}, endpoint.Error(409, "enter a room first")
	}
	return choose(room, servers), nil
}

// choose returns the server of a room. It is the same at all connectors, and a server that comes or goes moves only its share of the
// rooms (rendezvous hashing).
func choose(room string, servers map[string]cluster.Instance) (best cluster.Instance) {
	var highest []byte
	for id, server := range servers {
		if weight := sha256.Sum256([]byte(room + "/" + id)); bytes.Compare(weight[:], highest) > 0 {
			best, highest = server, weight[:]
		}
	}
	return best
}

// Connector is called by clients, as connector.hall.enter.
type Connector struct{ server *cluster.Server }

type enter struct {
	Name string `json:"name"`
	Room string `json:"room"`
}

type members struct {
	Names []string `json:"names"`
}

// Enter gives the client a name, and goes to a room. The client that had the name before is kicked, at any connector.
func (c *Connector) Enter(ctx context.Context, r *enter) (*members, error) {
	for _, s := range []string{r.Name, r.Room} {
		if s == "" || len(s) > 60 {
			return nil, endpoint.Error(400, "a name, and a room, has 1 to 60 bytes")
		}
	}
	s := session.FromContext(ctx)
	if s == nil {
		return nil, endpoint.Error(401, "connect first")
	}
	if s.UID() != r.Name {
		if err := s.Bind(ctx, r.Name); err != nil {
			return nil, err
		}
	}
	if before, ok := inRoom.Get(s); ok && before != r.Room {
		if err := c.server.Group("connector", before).Remove(ctx, s); err != nil {
			return nil, err
		}
	}
	inRoom.Set(s, r.Room)
	room := c.server.Group("connector", r.Room)
	if err := room.Add(ctx, s); err != nil {
		return nil, err
	}
	if err := room.Broadcast(ctx, "room.entered", r); err != nil {
		return nil, err
	}
	all, err := room.Members(ctx)
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.UID
	}
	slices.Sort(names)
	return &members{names}, err
}

type servers struct {
	Lines map[string]int64 `json:"lines"` // by id
}

// Servers returns how many lines each server of rooms has had. It asks them in Protocol Buffers.
func (c *Connector) Servers(ctx context.Context) (*servers, error) {
	lines := make(map[string]int64)
	for _, server := range c.server.Instances("room") {
		ask := message.Remote[*emptypb.Empty, *wrapperspb.Int64Value](
			c.server.To(server.ID), "room.stats.lines", message.WithCodec(cluster.Protobuf))
		n, err := ask(ctx, &emptypb.Empty{})
		if err != nil {
			return nil, err
		}
		lines[server.ID] = n.GetValue()
	}
	return &servers{lines}, nil
}
