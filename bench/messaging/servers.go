package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
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
	"github.com/guregu/kami/session"
)

// measureCluster measures calls between servers.
func (p *page) measureCluster() {
	if !p.wants("remote calls") && !p.wants("forwarded calls") && !p.wants("broadcasts") && !p.wants("views") {
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
	fromBack := connect()
	back, err := cluster.Join(ctx, fromBack, cluster.Config{Type: "room", Version: "1.0.0", Handlers: room, Remotes: room})
	must(err)
	defer func() { must(back.Leave(ctx)) }()
	front, err := cluster.Join(ctx, connect(), cluster.Config{Type: "front", Version: "1.0.0"})
	must(err)
	defer func() { must(front.Leave(ctx)) }()
	ours := call(message.Remote[Request, Response](front, "room.sum"))
	floor := requests(connect(), connect(), "sum", nil)
	p.measureRemote(ours, floor, engine.URL())
	who := func() nats.Header {
		text, err := json.Marshal(session.Snapshot{ID: "N7DHVZK3QPMXBCYWATLRE4S5F2", Front: "front-1", UID: "ann"})
		must(err)
		return nats.Header{"Session": {string(text)}, "Remote": {"127.0.0.1:50000"}}
	}
	p.measureForwarded(front, floor, requests(connect(), connect(), "whose", who))
	p.measureBroadcasts(connect, fromBack, back)
	p.measureViews(connect(), front)
}

// measureRemote measures calls by type, and Pitaya's.
func (p *page) measureRemote(ours, floor call, url string) {
	if !p.wants("remote calls") {
		return
	}
	pitaya := startPitayas(url)
	defer pitaya.end()
	p.printf("\n%s\n", pitaya.settings())
	for _, shape := range []struct {
		callers int
		least   float64
	}{{1, 1.4}, {8, 0}, {64, 2}, {256, 0}} {
		rivals := []rival{
			{"by hand", func(n int) { makeCalls([]call{floor}, shape.callers, n) }},
			{"kami", func(n int) { makeCalls([]call{ours}, shape.callers, n) }},
			{"Pitaya v3", func(n int) { makeCalls([]call{pitaya.call}, shape.callers, n) }},
			{"Pitaya v3, by the server's id", func(n int) { makeCalls([]call{pitaya.callTo}, shape.callers, n) }},
		}
		alone := shape.callers > pitaya.room()
		if alone {
			rivals = rivals[:2]
		}
		times := p.compare(fmt.Sprintf("remote calls, %d callers", shape.callers), shape.callers, 1.25, rivals)
		switch {
		case times == nil:
		case alone:
			p.flood(pitaya, shape.callers)
		default:
			p.beside(pitaya, times[1], times[2], shape.least)
		}
	}
}

// requests makes calls with nats.go and encoding/json. A goroutine for each message answers. If who is not nil, the messages carry a session,
// and the answering side reads it.
func requests(here, there *nats.Conn, subject string, who func() nats.Header) call {
	_, err := there.QueueSubscribe(subject, "q", func(m *nats.Msg) {
		go func() {
			var request Request
			if who != nil {
				var of session.Snapshot
				must(json.Unmarshal([]byte(m.Header.Get("Session")), &of))
			}
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
		asked := &nats.Msg{Subject: subject, Data: body}
		if who != nil {
			asked.Header = who()
		}
		m, err := here.RequestMsg(asked, 5*time.Second)
		if err != nil {
			return response, err
		}
		return response, json.Unmarshal(m.Data, &response)
	}
}

// measureForwarded has a client on a websocket call a back end. By hand, floor forwards the call without a session, and whose with one.
func (p *page) measureForwarded(front *cluster.Server, floor, whose call) {
	calls := kami.New()
	calls.Post("/room/*route", cluster.Forward(front, "room"))
	node := newNode("front", calls)
	ours := httptest.NewServer(node)
	defer ours.CloseClientConnections()
	client := newNode("client", nil)
	conn, err := client.Dial(context.Background(), ours.URL)
	must(err)
	handmade := func(back call) (rival func(int), end func()) {
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
				response, err := back(context.Background(), request)
				must(err)
				result, err := json.Marshal(response)
				must(err)
				must(c.WriteObject(frame{Version: "2.0", ID: f.ID, Result: result}))
			}
		})
		byHand := (&byHand{conn: dial(theirs.URL), pending: map[uint64]chan json.RawMessage{}}).begin()
		return func(n int) { makeCalls([]call{byHand}, 1, n) }, theirs.CloseClientConnections
	}
	byHand, end := handmade(floor)
	defer end()
	withSession, end := handmade(whose)
	defer end()
	remote := call(message.Remote[Request, Response](conn, "room.sum"))
	p.compare("forwarded calls", 1, 1.3, []rival{
		{"by hand", byHand},
		{"kami", func(n int) { makeCalls([]call{remote}, 1, n) }},
		{"by hand, with the session in a header", withSession},
	})
}

// measureBroadcasts has a back end broadcast to the 2,000 sessions of two fronts.
func (p *page) measureBroadcasts(connect func() *nats.Conn, fromBack *nats.Conn, back *cluster.Server) {
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
	before := fromBack.Stats().OutMsgs
	turns := 1 + p.turns/4
	for range turns {
		got.Store(0)
		start := time.Now()
		must(back.Group("gate", "all").Broadcast(context.Background(), "said", "hello"))
		wait()
		times = append(times, float64(time.Since(start))/1e6)
	}
	published := float64(fromBack.Stats().OutMsgs-before) / float64(turns)
	p.printf("\n### broadcasts\n\n| | is | at most | |\n|---|--:|--:|---|\n")
	p.verdict("a broadcast to 2,000 sessions on 2 fronts has come in", median(times), 100, "ms")
	p.verdict("and its publisher has published", published, 2, "messages")
}

// measureViews has a server hear of 1,000 others, which only announce themselves, and find them. The time of a join or a leave includes
// NATS's.
func (p *page) measureViews(nc *nats.Conn, s *cluster.Server) {
	if !p.wants("views") {
		return
	}
	const servers, changes = 1000, 1000
	announce := func(i, born int, says string) {
		data := fmt.Sprintf(`{"id":"%d","type":"sim","version":"1.%d.0","metadata":{"region":"eu"},"born":%d,"says":%q}`, i, i%5, born, says)
		must(nc.Publish(fmt.Sprintf("kami.p.sim.%d", i), []byte(data)))
	}
	for i := range servers {
		announce(i, 1, "here")
	}
	for len(s.Instances("sim")) < servers {
		time.Sleep(time.Millisecond)
	}
	next, stop := iter.Pull2(s.Watch(context.Background(), cluster.Query{Type: "sim", ID: fmt.Sprint(servers)}))
	defer stop()
	turns := 1 + p.turns/4
	var changing, finding []float64
	for turn := range turns {
		start := time.Now()
		go func() {
			for i := range changes / 2 {
				born := 1 + turn*changes + i
				announce(servers, born, "here")
				announce(servers, born, "bye")
			}
		}()
		for range changes {
			_, err, _ := next()
			must(err)
		}
		changing = append(changing, float64(time.Since(start))/1e3/changes)
		start = time.Now()
		for range 100 {
			found, err := s.Find(context.Background(), cluster.Query{Type: "sim", Version: ">= 1.2", Metadata: map[string]string{"region": "eu"}})
			must(err)
			if len(found) != servers*3/5 {
				panic(fmt.Sprint("found ", len(found)))
			}
		}
		finding = append(finding, float64(time.Since(start))/1e3/100)
	}
	for i := range servers {
		announce(i, 1, "bye")
	}
	p.printf("\n### views of 1,000 servers\n\n| | is | at most | |\n|---|--:|--:|---|\n")
	p.verdict("a join or a leave, until a Watch has it", median(changing), 50, "µs")
	p.verdict("Find of 600, by version and metadata", median(finding), 100, "µs")
}
