package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// measureCluster measures calls between servers.
func (p *page) measureCluster() {
	if !p.wants("remote calls") && !p.wants("forwarded calls") && !p.wants("broadcasts") {
		return
	}
	engine, err := embed.Start(embed.Options{Port: -1})
	must(err)
	defer engine.Stop()
	ctx := context.Background()
	connect := func() *nats.Conn {
		nc, err := nats.Connect(engine.URL(), cluster.Options()...)
		must(err)
		return nc
	}
	room := kami.New()
	room.Post("/room/sum", endpoint.JSON(add))
	back, err := cluster.Join(ctx, connect(), cluster.Config{Type: "room", Version: "1.0.0", Handlers: room, Remotes: room})
	must(err)
	defer func() { must(back.Leave(ctx)) }()
	front, err := cluster.Join(ctx, connect(), cluster.Config{Type: "front", Version: "1.0.0"})
	must(err)
	defer func() { must(front.Leave(ctx)) }()
	ours := call(message.Remote[Request, Response](front, "room.sum"))
	floor := requests(connect(), connect())
	for _, callers := range []int{1, 8, 64, 256} {
		p.compare(fmt.Sprintf("remote calls, %d callers", callers), callers, 1.25, []rival{
			{"by hand", func(n int) { makeCalls([]call{floor}, callers, n) }},
			{"kami", func(n int) { makeCalls([]call{ours}, callers, n) }},
		})
	}
	p.measureForwarded(front, floor)
	p.measureBroadcasts(connect, back)
}

// requests makes calls with nats.go and encoding/json, which a goroutine for each message answers.
func requests(here, there *nats.Conn) call {
	_, err := there.QueueSubscribe("sum", "q", func(m *nats.Msg) {
		go func() {
			var request Request
			must(json.Unmarshal(m.Data, &request))
			body, err := json.Marshal(Response{request.A + request.B})
			must(err)
			must(m.Respond(body))
		}()
	})
	must(err)
	must(there.Flush())
	return func(_ context.Context, request Request) (response Response, err error) {
		body, err := json.Marshal(request)
		if err != nil {
			return response, err
		}
		m, err := here.Request("sum", body, 5*time.Second)
		if err != nil {
			return response, err
		}
		return response, json.Unmarshal(m.Data, &response)
	}
}

// measureForwarded has a client on a websocket call a back end.
func (p *page) measureForwarded(front *cluster.Server, floor call) {
	calls := kami.New()
	calls.Post("/room/*route", cluster.Forward(front, "room"))
	node := newNode("front", calls)
	ours := httptest.NewServer(node)
	defer ours.CloseClientConnections()
	client := newNode("client", nil)
	conn, err := client.Dial(context.Background(), ours.URL)
	must(err)
	theirs := serveSockets(func(c *socket) {
		for {
			data, err := c.Recv()
			if err != nil {
				return
			}
			var f frame
			var request Request
			must(json.Unmarshal(data, &f))
			must(json.Unmarshal(f.Params, &request))
			response, err := floor(context.Background(), request)
			must(err)
			result, err := json.Marshal(response)
			must(err)
			must(c.WriteObject(frame{Version: "2.0", ID: f.ID, Result: result}))
		}
	})
	defer theirs.CloseClientConnections()
	byHand := (&byHand{conn: dial(theirs.URL), pending: map[uint64]chan json.RawMessage{}}).begin()
	remote := call(message.Remote[Request, Response](conn, "room.sum"))
	p.compare("forwarded calls", 1, 1.3, []rival{
		{"by hand", func(n int) { makeCalls([]call{byHand}, 1, n) }},
		{"kami", func(n int) { makeCalls([]call{remote}, 1, n) }},
	})
}

// measureBroadcasts has a back end tell the 2,000 sessions of two fronts.
func (p *page) measureBroadcasts(connect func() *nats.Conn, back *cluster.Server) {
	if !p.wants("broadcasts") {
		return
	}
	const sessions = 2000
	var got atomic.Int64
	for range 2 {
		node := newNode("gate", nil)
		gate, err := cluster.Join(context.Background(), connect(), cluster.Config{Type: "gate", Version: "1.0.0", Sessions: &node.Sessions})
		must(err)
		node.OnConnect = func(c *peer.Conn) {
			must(gate.Group("gate", "all").Add(context.Background(), c.Session()))
			got.Add(1)
		}
		s := httptest.NewServer(http.Handler(node))
		defer func() { s.CloseClientConnections(); must(gate.Leave(context.Background())) }()
		for range sessions / 2 {
			c := dial(s.URL)
			go func() {
				for {
					if _, _, err := c.Read(context.Background()); err != nil {
						return
					}
					got.Add(1)
				}
			}()
		}
	}
	wait := func() {
		for got.Load() < sessions {
			time.Sleep(50 * time.Microsecond)
		}
	}
	wait()
	var times []float64
	for range 1 + p.turns/4 {
		got.Store(0)
		start := time.Now()
		must(back.Group("gate", "all").Broadcast(context.Background(), "said", "hello"))
		wait()
		times = append(times, float64(time.Since(start))/1e6)
	}
	p.printf("\n### broadcasts\n\n| | is | at most | |\n|---|--:|--:|---|\n")
	p.verdict("a broadcast to 2,000 sessions on 2 fronts has come in", median(times), 100, "ms")
}
