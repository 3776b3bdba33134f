package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/micro"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// Lobby is a component that records the calls of its methods.
type Lobby struct {
	mu     sync.Mutex
	events []string
}

func (l *Lobby) say(event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event)
}

func (l *Lobby) Init()           { l.say("Init") }
func (l *Lobby) AfterInit()      { l.say("AfterInit") }
func (l *Lobby) BeforeShutdown() { l.say("BeforeShutdown") }
func (l *Lobby) Shutdown()       { l.say("Shutdown") }

func (l *Lobby) Join(context.Context, *struct{}) (*struct{}, error) {
	l.say("called")
	return nil, nil
}

func TestD13Lifecycle(t *testing.T) {
	server := startNATS(t, embed.Options{})
	lobby, mux := new(Lobby), kami.New()
	var set component.Set
	set.Register(mux.Handle, lobby, component.WithName("lobby"), component.WithPrefix("room"), component.WithNameFunc(strings.ToLower))
	noError(t, set.Start(t.Context()))
	room, err := cluster.Join(t.Context(), connect(t, server), cluster.Config{
		Type: "room", Version: "1.0.0", Remotes: mux,
		OnRegister: func(i cluster.Instance) { lobby.say("registered as " + i.Type) },
	})
	noError(t, err)
	front := join(t, connect(t, server), cluster.Config{Type: "front"})
	_, err = message.Remote[struct{}, struct{}](front, "room.lobby.join")(t.Context(), struct{}{})
	noError(t, err)
	leave(t, room)
	noError(t, set.Stop(t.Context()))
	want := []string{"Init", "AfterInit", "registered as room", "called", "BeforeShutdown", "Shutdown"}
	if !slices.Equal(lobby.events, want) {
		t.Errorf("got %q, want %q", lobby.events, want)
	}
}

// stalling is a slog.Handler that blocks at each record with a given text in its message, until goOn is closed.
type stalling struct {
	slog.Handler
	on   string
	goOn chan struct{}
}

func (s stalling) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, s.on) {
		<-s.goOn
	}
	return s.Handler.Handle(ctx, r)
}

func TestD15SlowConsumer(t *testing.T) {
	said, hold := new(log), newHeld()
	stall := stalling{slog.NewTextHandler(said, nil), "a notification was dropped", make(chan struct{})}
	server := startNATS(t, embed.Options{})
	mux := newMux("/room/hold", hold)
	room := join(t, connect(t, server), cluster.Config{Type: "room", Concurrent: 1, Queue: 1, Remotes: mux, Log: slog.New(stall)})
	nc := connect(t, server)
	for range 10_000 {
		noError(t, nc.Publish("kami.r.room.hold", nil))
	}
	noError(t, nc.Flush())
	until(t, "the log line of what was lost", func() bool { return strings.Contains(said.String(), "messages have been lost") })
	var stats micro.Stats
	m, err := nc.Request("$SRV.STATS.room."+room.ID(), nil, patience)
	noError(t, err)
	noError(t, json.Unmarshal(m.Data, &stats))
	var data struct{ Dropped int }
	noError(t, json.Unmarshal(stats.Endpoints[0].Data, &data))
	if data.Dropped == 0 {
		t.Errorf("the statistics are %s", stats.Endpoints[0].Data)
	}
	close(stall.goOn)
	close(hold.answer)
	until(t, "an answer", func() bool {
		reply, err := room.Call(t.Context(), &message.Message{Route: "room.nothing"})
		return err == nil && reply.Status == 404
	})
}

func Example() {
	server, err := embed.Start(embed.Options{}) // in production: nats.Connect(url, cluster.Options()...)
	check(err)
	defer server.Stop()
	nc, err := server.Connect(cluster.Options()...)
	check(err)
	defer nc.Close()

	mux := kami.New()
	var components component.Set
	components.Register(mux.Handle, new(Match), component.WithName("match"), component.WithPrefix("room"), component.WithNameFunc(strings.ToLower))

	ctx := context.Background()
	check(components.Start(ctx)) // before the first call can come
	room, err := cluster.Join(ctx, nc, cluster.Config{Type: "room", Version: "1.0.0", Remotes: mux})
	check(err)
	defer func() {
		check(room.Leave(ctx))      // says goodbye, and answers the calls that have come
		check(components.Stop(ctx)) // nothing comes any more
	}()

	front, err := cluster.Join(ctx, nc, cluster.Config{Type: "front", Version: "1.0.0"})
	check(err)
	defer func() { check(front.Leave(ctx)) }()
	find := message.Remote[FindRequest, Found](front, "room.match.find")
	found, err := find(ctx, FindRequest{Level: 3})
	fmt.Println(found.ID, err)
	// Output: match-3 <nil>
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Match is a component of the example.
type Match struct{ component.Base }

type FindRequest struct{ Level int }

type Found struct{ ID string }

func (*Match) Find(_ context.Context, r *FindRequest) (*Found, error) {
	return &Found{fmt.Sprint("match-", r.Level)}, nil
}

// TestD13FromContext checks that FromContext returns the server that has received a handler's message.
func TestD13FromContext(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	handle := endpoint.JSON(func(ctx context.Context, _ struct{}) (string, error) { return cluster.FromContext(ctx).ID(), nil })
	for _, id := range []string{"a", "b"} {
		join(t, nc, cluster.Config{Type: "room", ID: id, Remotes: newMux("/room/name", handle)})
	}
	front := join(t, nc, cluster.Config{Type: "front"})
	for _, id := range []string{"a", "b"} {
		if got, err := ask(t, front.To(id), "room.name"); err != nil || got != id {
			t.Errorf("got %q, %v, want %q", got, err, id)
		}
	}
	if got := cluster.FromContext(t.Context()); got != nil {
		t.Errorf("outside of a handler: got %v", got)
	}
}
