package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// front is a server with its Pool, and the mux for its clients' messages.
type front struct {
	*cluster.Server
	pool *session.Pool
	mux  *kami.Mux
}

// joinFront joins a front that forwards messages to rooms.
func joinFront(t testing.TB, server *embed.Server, pool *session.Pool) front {
	t.Helper()
	f := front{pool: pool, mux: kami.New()}
	f.mux.Cancel = true
	f.Server = join(t, connect(t, server), cluster.Config{Type: "front", Sessions: pool})
	f.mux.Post("/room/*route", cluster.Forward(f.Server, "room"))
	return f
}

// say serves a client's message on the front.
func (f front) say(c *sessiontest.Client, route, body string) *message.Reply {
	return c.Serve(f.mux, &message.Message{Route: route, Body: []byte(body)})
}

func TestD05Forward(t *testing.T) {
	server := startNATS(t, embed.Options{})
	handlers := newMux("/room/:id/echo", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		end, ok := ctx.Deadline()
		w.Header().Set("X-Answer", r.Header.Get("X-Question"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, "%s %s %s %v %v", kami.Param(ctx, "id"), body, r.RemoteAddr, ok && time.Until(end) > time.Minute, len(r.Header["Kami-X"])+len(r.Header["Nats-X"]))
	})
	handlers.Post("/room/fail", func(context.Context, http.ResponseWriter, *http.Request) error { return endpoint.Error(409, "taken") })
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: handlers, Remotes: named("/room/secret", "secret")})
	f := joinFront(t, server, nil)
	f.mux.Post("/other/*rest", cluster.Forward(f.Server, "room"))

	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	header := http.Header{"X-Question": {"why"}, "Kami-X": {"1"}, "Nats-X": {"1"}}
	reply := message.Serve(ctx, f.mux, &message.Message{Route: "room.7.echo", Body: []byte("hi"), Header: header, RemoteAddr: "1.2.3.4:5"})
	if reply.Status != http.StatusAccepted || string(reply.Body) != "7 hi 1.2.3.4:5 true 0" || reply.Header.Get("X-Answer") != "why" {
		t.Errorf("got %+v", reply)
	}
	for route, want := range map[string]int{"room.fail": 409, "room.secret": 404, "room.nothing": 404, "other.x": 404} {
		if reply := message.Serve(t.Context(), f.mux, &message.Message{Route: route}); reply.Status != want {
			t.Errorf("%s: got %d, want %d", route, reply.Status, want)
		}
	}
	// Over HTTP, the answer is the same.
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequest("POST", "/room/7/echo", strings.NewReader("hi")))
	if w.Code != http.StatusAccepted || !strings.HasPrefix(w.Body.String(), "7 hi 192.0.2.1:1234") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequest("POST", "/room/7/echo", io.LimitReader(zeros{}, endpoint.DefaultMaxBody+1)))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large: got %d", w.Code)
	}
	lonely := join(t, connect(t, server), cluster.Config{Type: "front"})
	nobody := newMux("/chat/*rest", cluster.Forward(lonely, "chat"))
	if reply := message.Serve(t.Context(), nobody, &message.Message{Route: "chat.x"}); reply.Status != 503 {
		t.Errorf("no server: got %+v", reply)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestD05TooLate checks that the status is 504 if a back end does not answer in time.
func TestD05TooLate(t *testing.T) {
	server := startNATS(t, embed.Options{})
	release := make(chan struct{})
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: newMux("/room/slow", func(context.Context, http.ResponseWriter, *http.Request) {
		<-release
	})})
	t.Cleanup(func() { close(release) })
	f := front{mux: kami.New()}
	f.Server = join(t, connect(t, server), cluster.Config{Type: "front", Timeout: 50 * time.Millisecond})
	f.mux.Post("/room/*route", cluster.Forward(f.Server, "room"))
	if reply := message.Serve(t.Context(), f.mux, &message.Message{Route: "room.slow"}); reply.Status != http.StatusGatewayTimeout {
		t.Errorf("got %d %s", reply.Status, reply.Body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if reply := message.Serve(ctx, f.mux, &message.Message{Route: "room.slow"}); reply.Status != http.StatusGatewayTimeout {
		t.Errorf("with a deadline of the caller: got %d %s", reply.Status, reply.Body)
	}
}

// TestD10ForwardsOnceMore has a routing function that chooses a server that is gone but still in its view. It checks that Forward asks
// the function again, and that the other server answers.
func TestD10ForwardsOnceMore(t *testing.T) {
	server := startNATS(t, embed.Options{})
	gone := connect(t, server)
	_, err := cluster.Join(t.Context(), gone, cluster.Config{Type: "room", ID: "a", Version: "1.0.0", Handlers: named("/room/name", "a")})
	noError(t, err)
	join(t, connect(t, server), cluster.Config{Type: "room", ID: "b", Handlers: named("/room/name", "b")})
	f := joinFront(t, server, new(session.Pool))
	knows(t, f.Server, "room", 2)
	f.AddRoute("room", func(_ context.Context, _ string, _ []byte, servers map[string]cluster.Instance) (cluster.Instance, error) {
		if a, ok := servers["a"]; ok {
			return a, nil
		}
		return servers["b"], nil
	})
	watcher := join(t, connect(t, server), cluster.Config{Type: "watcher"})
	gone.Close()
	noServer(t, watcher.To("a"), "room.name") // NATS knows that a is gone
	reply := message.Serve(t.Context(), f.mux, &message.Message{Route: "room.name"})
	if reply.Status != 200 || string(reply.Body) != "\"b\"\n" {
		t.Errorf("got %d %s", reply.Status, reply.Body)
	}
}

func TestD05Streams(t *testing.T) {
	server := startNATS(t, embed.Options{})
	count := endpoint.Stream(func(_ context.Context, n int) (iter.Seq2[int, error], error) {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}, nil
	})
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: newMux("/room/count", count)})
	f := joinFront(t, server, nil)
	got := 0
	for item, err := range message.Stream[int, int](message.Local(f.mux), "room.count")(t.Context(), 100) {
		if err != nil || item != got {
			t.Fatalf("got %d, %v, want %d", item, err, got)
		}
		got++
	}
	over := httptest.NewServer(f.mux)
	defer over.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", over.URL+"/room/count", strings.NewReader("3"))
	r.Header.Set("Accept", "application/x-ndjson")
	r.Header.Set("Content-Type", "application/json")
	response, err := over.Client().Do(r)
	noError(t, err)
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for want := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprint(want) {
			t.Errorf("got %q, want %d", lines.Text(), want)
		}
	}
}

var level = session.NewKey[int]("level")

func TestD05Session(t *testing.T) {
	server := startNATS(t, embed.Options{})
	pool := new(session.Pool)
	odd := "ann é.*>"
	pool.OnBind = func(_ context.Context, _ *session.Session, uid string) error {
		if uid == "banned" {
			return endpoint.Error(403, "banned")
		}
		return nil
	}
	handlers := kami.New()
	do := func(path string, f func(ctx context.Context, s *session.Session) error) {
		handlers.Post(path, func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
			s := session.FromContext(ctx)
			if s == nil {
				return endpoint.Error(401, "no session")
			}
			return f(ctx, s)
		})
	}
	do("/room/bind", func(ctx context.Context, s *session.Session) error {
		if err := s.Bind(ctx, "banned"); !errors.Is(err, endpoint.Error(403, "banned")) {
			return fmt.Errorf("binding who is banned: %w", err)
		}
		return s.Bind(ctx, odd)
	})
	do("/room/again", func(ctx context.Context, s *session.Session) error { return s.Bind(ctx, "bob") })
	do("/room/commit", func(ctx context.Context, s *session.Session) error {
		got, _ := level.Get(s)
		level.Set(s, got+1)
		return s.Commit(ctx)
	})
	do("/room/push", func(ctx context.Context, s *session.Session) error {
		for i := range 100 {
			if err := s.Push(ctx, "chat.said", i); err != nil {
				return err
			}
		}
		return nil
	})
	do("/room/who", func(_ context.Context, s *session.Session) error {
		got, _ := level.Get(s)
		return endpoint.Error(418, fmt.Sprintf("%q %d %s", s.UID(), got, s.ID()))
	})
	do("/room/kick", func(ctx context.Context, s *session.Session) error { return s.Kick(ctx, "enough") })
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: handlers})
	f := joinFront(t, server, pool)
	client := sessiontest.Connect(pool)
	client.Session()
	level.Set(client.Session(), 6)

	for _, step := range []struct {
		route string
		want  int
		text  string
	}{
		{"room.bind", 200, ""}, {"room.again", 409, "session: it is bound already"}, {"room.commit", 200, ""}, {"room.push", 200, ""},
		{"room.who", 418, fmt.Sprintf("%q 7 %s", odd, client.Session().ID())},
		{"room.kick", 200, ""},
	} {
		reply := f.say(client, step.route, "")
		if got := strings.TrimSpace(string(reply.Body)); reply.Status != step.want || got != step.text {
			t.Errorf("%s: got %d %q, want %d %q", step.route, reply.Status, got, step.want, step.text)
		}
	}
	if client.Session().UID() != odd || pool.ByUID(odd) != nil {
		t.Errorf("the front has the uid %q, and after the kick the user %v", client.Session().UID(), pool.ByUID(odd))
	}
	pushed, err := sessiontest.Values[int](client, "chat.said")
	noError(t, err)
	if len(pushed) != 100 || pushed[0] != 0 || pushed[99] != 99 {
		t.Errorf("got the pushes %v", pushed)
	}
	if reason, closed := client.Closed(); !closed || reason != "enough" {
		t.Errorf("closed: %v, %q", closed, reason)
	}
	if reply := message.Serve(t.Context(), f.mux, &message.Message{Route: "room.who"}); reply.Status != 401 {
		t.Errorf("without a session: got %+v", reply)
	}
}

func TestD05Routing(t *testing.T) {
	server := startNATS(t, embed.Options{})
	for _, id := range []string{"a", "b"} {
		join(t, connect(t, server), cluster.Config{Type: "room", ID: id, Handlers: named("/room/name", id)})
	}
	said := new(log)
	pool := new(session.Pool)
	f := joinFront(t, server, pool)
	f.Server = join(t, connect(t, server), cluster.Config{Type: "front", Sessions: pool, Log: said.logger()})
	f.mux = newMux("/room/*rest", cluster.Forward(f.Server, "room"))
	client := sessiontest.Connect(pool)
	var route cluster.RoutingFunc
	f.AddRoute("room", func(context.Context, string, []byte, map[string]cluster.Instance) (cluster.Instance, error) {
		return cluster.Instance{}, errors.New("not this one")
	})
	f.AddRoute("room", func(ctx context.Context, r string, payload []byte, servers map[string]cluster.Instance) (cluster.Instance, error) {
		if session.FromContext(ctx) == nil || r != "room.name" || string(payload) != "{}" || len(servers) != 2 {
			t.Errorf("the routing function got %v, %q, %s, %v", session.FromContext(ctx), r, payload, servers)
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("its context has no deadline")
		}
		return route(ctx, r, payload, servers)
	})
	if !strings.Contains(said.String(), "AddRoute replaces") {
		t.Errorf("got the log %s", said)
	}
	to := func(id string) cluster.RoutingFunc {
		return func(_ context.Context, _ string, _ []byte, servers map[string]cluster.Instance) (cluster.Instance, error) {
			return servers[id], nil
		}
	}
	fails := func(err error) cluster.RoutingFunc {
		return func(context.Context, string, []byte, map[string]cluster.Instance) (cluster.Instance, error) {
			return cluster.Instance{}, err
		}
	}
	for name, c := range map[string]struct {
		f    cluster.RoutingFunc
		want int
		text string
	}{
		"a": {to("a"), 200, `"a"`}, "b": {to("b"), 200, `"b"`}, "nobody": {to("c"), 500, "Internal Server Error"},
		"an error": {fails(errors.New("full")), 503, "Service Unavailable"}, "its status": {fails(endpoint.Error(404, "no such room")), 404, "no such room"},
		"a panic": {func(context.Context, string, []byte, map[string]cluster.Instance) (cluster.Instance, error) {
			panic("boom")
		}, 500, "Internal Server Error"},
	} {
		route = c.f
		for range 3 {
			reply := f.say(client, "room.name", "{}")
			if got := strings.TrimSpace(string(reply.Body)); reply.Status != c.want || got != c.text {
				t.Errorf("%s: got %d %q, want %d %q", name, reply.Status, got, c.want, c.text)
			}
		}
	}
	f.AddRoute("room", nil)
	if reply := f.say(client, "room.name", "{}"); reply.Status != 200 {
		t.Errorf("without a routing function: got %+v", reply)
	}
}

func TestD06BindEverywhere(t *testing.T) {
	server := startNATS(t, embed.Options{})
	pools := []*session.Pool{new(session.Pool), new(session.Pool), new(session.Pool)}
	for _, pool := range pools {
		joinFront(t, server, pool)
	}
	old, new := sessiontest.Connect(pools[0]), sessiontest.Connect(pools[1])
	noError(t, old.Session().Bind(t.Context(), "ann é"))
	noError(t, new.Session().Bind(t.Context(), "ann é"))
	until(t, "the kick of the older session", func() bool { _, closed := old.Closed(); return closed })
	if _, closed := new.Closed(); closed || pools[1].ByUID("ann é") != new.Session() {
		t.Error("the newer session was kicked")
	}

	t.Run("at the same moment", func(t *testing.T) {
		for round := range 10 {
			uid := fmt.Sprint("bob", round)
			var clients []*sessiontest.Client
			var binds sync.WaitGroup
			for _, pool := range pools {
				c := sessiontest.Connect(pool)
				clients = append(clients, c)
				binds.Go(func() { _ = c.Session().Bind(t.Context(), uid) })
			}
			binds.Wait()
			open := func() (n int) {
				for _, c := range clients {
					if _, closed := c.Closed(); !closed {
						n++
					}
				}
				return n
			}
			until(t, "exactly one session", func() bool { return open() == 1 })
			has := 0
			for _, pool := range pools {
				if pool.ByUID(uid) != nil {
					has++
				}
			}
			if has != 1 || open() != 1 {
				t.Fatalf("%d Pools have the user, and %d connections are open", has, open())
			}
		}
	})
}

func TestD07Order(t *testing.T) {
	server := startNATS(t, embed.Options{})
	var mu sync.Mutex
	got := make(map[string][]string)
	handlers := newMux("/room/say", func(ctx context.Context, _ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		id := session.FromContext(ctx).ID()
		got[id] = append(got[id], string(body))
	})
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: handlers})
	pool := new(session.Pool)
	f := joinFront(t, server, pool)
	const clients, messages = 8, 200
	var all sync.WaitGroup
	for range clients {
		c := sessiontest.Connect(pool)
		all.Go(func() {
			for i := range messages {
				c.Serve(f.mux, &message.Message{Route: "room.say", Body: fmt.Append(nil, i), Notify: true})
			}
			f.say(c, "room.say", fmt.Sprint(messages))
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(got) != clients {
		t.Errorf("%d sessions were heard", len(got))
	}
	for _, said := range got {
		for i, text := range said {
			if text != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, text)
			}
		}
		if len(said) != messages+1 {
			t.Errorf("got %d messages", len(said))
		}
	}
}

func TestD11Users(t *testing.T) {
	server := startNATS(t, embed.Options{})
	back := join(t, connect(t, server), cluster.Config{Type: "room"})
	pools := []*session.Pool{new(session.Pool), new(session.Pool)}
	clients := make(map[string]*sessiontest.Client)
	for i, uids := range [][]string{{"ann", "bob *"}, {"cid"}} {
		joinFront(t, server, pools[i])
		for _, uid := range uids {
			clients[uid] = sessiontest.Connect(pools[i])
			noError(t, clients[uid].Session().Bind(t.Context(), uid))
		}
	}
	join(t, connect(t, server), cluster.Config{Type: "front"}) // without sessions
	wire := messages(t, connect(t, server), "kami.u.front.>")
	missed, err := back.Push(t.Context(), "front", "chat.said", "hi", "ann", "nobody", "bob *", "cid")
	if err != nil || fmt.Sprint(missed) != "[nobody]" {
		t.Errorf("got %v, %v", missed, err)
	}
	for uid, c := range clients {
		if got, err := sessiontest.Values[string](c, "chat.said"); err != nil || fmt.Sprint(got) != "[hi]" {
			t.Errorf("%q got %v, %v", uid, got, err)
		}
	}
	missed, err = back.Kick(t.Context(), "front", "enough", "cid", "nobody")
	if err != nil || fmt.Sprint(missed) != "[nobody]" {
		t.Errorf("got %v, %v", missed, err)
	}
	if reason, closed := clients["cid"].Closed(); !closed || reason != "enough" {
		t.Errorf("closed: %v, %q", closed, reason)
	}
	until(t, "the messages", func() bool { return len(wire) >= 2 })
	if got := len(wire); got != 2 {
		t.Errorf("there were %d messages, want one for each", got)
	}
	if missed, err = back.Push(t.Context(), "nothing", "chat.said", "hi", "ann"); err != nil || fmt.Sprint(missed) != "[ann]" {
		t.Errorf("a type without a front: got %v, %v", missed, err)
	}
	if missed, err = back.Push(t.Context(), "front", "chat.said", "hi"); err != nil || missed != nil {
		t.Errorf("nobody: got %v, %v", missed, err)
	}
	if _, err = back.Push(t.Context(), "front", "a..b", "hi", "ann"); err == nil {
		t.Error("a route that is none is no error")
	}
	if _, err = back.Push(t.Context(), "front", "a", make(chan int), "ann"); err == nil {
		t.Error("what cannot be encoded is no error")
	}
}

func TestD11Groups(t *testing.T) {
	server := startNATS(t, embed.Options{})
	back := join(t, connect(t, server), cluster.Config{Type: "room"})
	pools := []*session.Pool{new(session.Pool), new(session.Pool)}
	var clients []*sessiontest.Client
	var fronts []front
	for i, pool := range pools {
		fronts = append(fronts, joinFront(t, server, pool))
		clients = append(clients, sessiontest.Connect(pool))
		noError(t, clients[i].Session().Bind(t.Context(), fmt.Sprintf("u%d é", i)))
	}
	knows(t, back, "front", 2)
	for _, name := range []string{"lobby", "", "a.b *>\r\n", "\xff", "é", strings.Repeat("x", 300)} {
		group := back.Group("front", name)
		for i, c := range clients {
			noError(t, fronts[i].Group("front", name).Add(t.Context(), c.Session()))
		}
		members, err := group.Members(t.Context())
		if err != nil || len(members) != 2 {
			t.Errorf("%q: got %v, %v", name, members, err)
		}
		for _, m := range members {
			if m.UID != "u0 é" && m.UID != "u1 é" || m.Front != fronts[0].ID() && m.Front != fronts[1].ID() || m.ID == "" {
				t.Errorf("got %+v", m)
			}
		}
		noError(t, group.Broadcast(t.Context(), "chat.said", name))
		for _, c := range clients {
			m, err := c.Next(t.Context())
			if err != nil || m.Route != "chat.said" {
				t.Errorf("%q: got %v, %v", name, m, err)
			}
		}
		noError(t, fronts[0].Group("front", name).Remove(t.Context(), clients[0].Session()))
		if members, err := group.Members(t.Context()); err != nil || len(members) != 1 {
			t.Errorf("%q: got %v, %v", name, members, err)
		}
	}
	if err := back.Group("front", strings.Repeat("\xff", 2000)).Broadcast(t.Context(), "a", 1); err == nil {
		t.Error("a name that makes too long a subject is no error")
	}
	if members, err := back.Group("nothing", "lobby").Members(t.Context()); err != nil || len(members) != 0 {
		t.Errorf("a type without a front: got %v, %v", members, err)
	}
	if err := back.Group("front", "lobby").Add(t.Context(), nil); err == nil {
		t.Error("a nil session is no error")
	}
}

func TestD11Silent(t *testing.T) {
	server := startNATS(t, embed.Options{})
	back := join(t, connect(t, server), cluster.Config{Type: "room"})
	pool := new(session.Pool)
	f := joinFront(t, server, pool)
	client := sessiontest.Connect(pool)
	noError(t, client.Session().Bind(t.Context(), "ann"))
	noError(t, f.Group("front", "lobby").Add(t.Context(), client.Session()))
	nc := connect(t, server)
	ghost := func(linked int) {
		noError(t, nc.Publish("kami.p.front.ghost", fmt.Appendf(nil, `{"id":"ghost","type":"front","version":"1.0.0","born":1,"linked":%d,"says":"here"}`, linked)))
		noError(t, nc.Flush())
	}
	ask := func(ctx context.Context) {
		t.Helper()
		members, err := back.Group("front", "lobby").Members(ctx)
		if len(members) != 1 || err == nil || !strings.Contains(err.Error(), `["ghost"]`) {
			t.Errorf("got %v, %v", members, err)
		}
	}
	push := func(ctx context.Context) {
		t.Helper()
		missed, err := back.Push(ctx, "front", "a", 1, "ann", "bob")
		if fmt.Sprint(missed) != "[bob]" || err == nil || !strings.Contains(err.Error(), `["ghost"]`) {
			t.Errorf("got %v, %v", missed, err)
		}
	}
	// A question does not wait until the deadline for a front that does not listen. The front is then removed from the view.
	long, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for _, asks := range []func(context.Context){ask, push} {
		ghost(0)
		knows(t, back, "front", 2)
		asks(long)
		knows(t, back, "front", 1)
	}
	// A question waits until the deadline for a front that listens, unless the front says that it has reconnected.
	ghost(0)
	knows(t, back, "front", 2)
	questions := messages(t, nc, "kami.u.front.all")
	probes := messages(t, nc, "kami.u.front.to.ghost") // this subscription makes the ghost listen
	for _, asks := range []func(context.Context){ask, push} {
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		asks(short)
		cancel()
		wait(t, questions)
	}
	for linked, asks := range []func(context.Context){ask, push} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			asks(long)
		}()
		wait(t, questions)
		ghost(linked + 1)
		wait(t, done)
	}
	knows(t, back, "front", 2)

	// A question stops waiting for a front whose connection ends.
	done := make(chan struct{})
	go func() {
		defer close(done)
		ask(long)
	}()
	wait(t, questions)
	for len(probes) > 0 { // probes of the earlier questions
		<-probes
	}
	for range 2 {
		for !strings.Contains(string(wait(t, probes).Data), `"probe"`) {
		}
	}
	nc.Close()
	wait(t, done)
}

// TestD11Leaves checks that a question does not wait until the deadline for a front that leaves before it has answered.
func TestD11Leaves(t *testing.T) {
	server := startNATS(t, embed.Options{})
	joinFront(t, server, new(session.Pool))
	back := join(t, connect(t, server), cluster.Config{Type: "room"})
	nc := connect(t, server)
	asked := messages(t, nc, "kami.u.front.all")
	ghost := func(says string) {
		noError(t, nc.Publish("kami.p.front.ghost", []byte(`{"id":"ghost","type":"front","version":"1.0.0","born":1,"says":"`+says+`"}`)))
	}
	ghost("here")
	noError(t, nc.Flush())
	knows(t, back, "front", 2)
	got := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	go func() {
		_, err := back.Group("front", "lobby").Members(ctx)
		got <- err
	}()
	wait(t, asked)
	ghost("bye")
	noError(t, wait(t, got))
}

func TestD11GroupsFromBackEnds(t *testing.T) {
	server := startNATS(t, embed.Options{})
	pool := new(session.Pool)
	var back *cluster.Server
	handlers := newMux("/room/join", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
		group := back.Group("front", "lobby")
		if err := group.Add(ctx, session.FromContext(ctx)); err != nil {
			return err
		}
		return group.Broadcast(ctx, "room.joined", session.FromContext(ctx).ID())
	})
	back = join(t, connect(t, server), cluster.Config{Type: "room", Handlers: handlers})
	f := joinFront(t, server, pool)
	client := sessiontest.Connect(pool)
	if reply := f.say(client, "room.join", ""); reply.Status != 200 {
		t.Fatalf("got %+v", reply)
	}
	m, err := client.Next(t.Context())
	noError(t, err)
	if string(m.Body) != fmt.Sprintf("%q", client.Session().ID()) {
		t.Errorf("got %s", m.Body)
	}
}

func TestD16Resume(t *testing.T) {
	server := startNATS(t, embed.Options{})
	pools := []*session.Pool{{ResumeWithin: time.Hour}, {ResumeWithin: time.Hour}}
	var fronts []front
	for _, pool := range pools {
		fronts = append(fronts, joinFront(t, server, pool))
	}
	first := new(connection)
	pools[0].Open(first)
	old, _, _ := pools[0].Resume("", 0, first)
	token := old.Token()
	old.Resumed(first)
	noError(t, old.Bind(t.Context(), "ann"))
	level.Set(old, 7)
	noError(t, fronts[0].Group("front", "lobby").Add(t.Context(), old))
	noError(t, old.Push(t.Context(), "a", 1))
	until(t, "the first push", func() bool { return fmt.Sprint(first.bodies()) == "[1]" })
	old.Detach()
	if missed, err := fronts[1].Push(t.Context(), "front", "a", 2, "ann"); err != nil || len(missed) != 0 {
		t.Errorf("got %v, %v", missed, err)
	}
	second := new(connection)
	pools[1].Open(second)
	now, missed, recovered := pools[1].Resume(token, 1, second)
	if !recovered || len(missed) != 1 || string(missed[0].Body) != "2" {
		t.Fatalf("got %v, %v", missed, recovered)
	}
	token = now.Token()
	now.Resumed(second)
	if got, _ := level.Get(now); got != 7 || now.UID() != "ann" || now.ID() != old.ID() || now.Front() != fronts[1].ID() || pools[0].Len() != 0 {
		t.Errorf("got level %d, uid %q, front %q, and %d sessions are left", got, now.UID(), now.Front(), pools[0].Len())
	}
	noError(t, fronts[0].Group("front", "lobby").Broadcast(t.Context(), "a", 3))
	until(t, "the push to the group", func() bool { return fmt.Sprint(second.bodies()) == "[3]" })

	// Once the session's front has left, the session cannot be resumed.
	now.Detach()
	leave(t, fronts[1].Server)
	third := new(connection)
	pools[0].Open(third)
	if _, _, recovered := pools[0].Resume(token, 3, third); recovered {
		t.Error("a session of a front that has left was recovered")
	}
}

// TestD16Leave checks that Leave of a front waits until its session has moved to another front.
func TestD16Leave(t *testing.T) {
	server := startNATS(t, embed.Options{})
	pools := []*session.Pool{{ResumeWithin: time.Hour}, {ResumeWithin: time.Hour}}
	var fronts []front
	for _, pool := range pools {
		fronts = append(fronts, joinFront(t, server, pool))
	}
	until(t, "the other front", func() bool { return len(fronts[0].Instances("front")) == 2 })
	first := new(connection)
	pools[0].Open(first)
	old, _, _ := pools[0].Resume("", 0, first)
	token := old.Token()
	old.Resumed(first)
	old.Detach()
	left := make(chan error, 1)
	go func() { left <- fronts[0].Leave(context.Background()) }()
	select {
	case <-left:
		t.Fatal("the front has left with the session")
	case <-time.After(100 * time.Millisecond):
	}
	if _, _, recovered := pools[1].Resume(token, 0, new(connection)); !recovered {
		t.Error("the session is lost")
	}
	noError(t, <-left)
}

// TestD16Broadcasts moves a session between two fronts while two servers broadcast. It checks that the session gets each broadcast
// once, and each server's broadcasts in their order.
func TestD16Broadcasts(t *testing.T) {
	server := startNATS(t, embed.Options{})
	pools := []*session.Pool{{ResumeWithin: time.Hour, Keep: 1e6}, {ResumeWithin: time.Hour, Keep: 1e6}}
	var fronts []front
	for _, pool := range pools {
		fronts = append(fronts, joinFront(t, server, pool))
	}
	at := new(connection)
	pools[0].Open(at)
	s, _, _ := pools[0].Resume("", 0, at)
	token := s.Token()
	s.Resumed(at)
	noError(t, fronts[0].Group("front", "lobby").Add(t.Context(), s))

	moved := make(chan struct{})
	var broadcasting sync.WaitGroup
	sent := make([]int, 2)
	for from := range sent {
		lobby := join(t, connect(t, server), cluster.Config{Type: "room"}).Group("front", "lobby")
		broadcasting.Go(func() {
			for {
				select {
				case <-moved:
					return
				case <-time.After(100 * time.Microsecond):
				}
				if err := lobby.Broadcast(t.Context(), "a", 1000000*from+sent[from]); err != nil {
					t.Error(err)
					return
				}
				sent[from]++
			}
		})
	}
	var got []string
	for i := range 300 {
		until(t, "broadcasts", func() bool { return len(at.bodies()) > 0 })
		got = append(got, at.bodies()...) // pushes after these are in missed
		next, pool := new(connection), pools[(i+1)%2]
		pool.Open(next)
		now, missed, recovered := pool.Resume(token, uint64(len(got)), next)
		if !recovered {
			t.Fatal("the session was not recovered")
		}
		for _, m := range missed {
			got = append(got, string(m.Body))
		}
		token = now.Token()
		now.Resumed(next)
		at = next
	}
	close(moved)
	broadcasting.Wait()
	until(t, "all broadcasts", func() bool { return len(got)+len(at.bodies()) >= sent[0]+sent[1] })
	next := make([]int, 2)
	for _, body := range append(got, at.bodies()...) {
		n, err := strconv.Atoi(body)
		noError(t, err)
		from, n := n/1000000, n%1000000
		if n != next[from] {
			t.Errorf("of server %d: got %d, want %d", from, n, next[from])
		}
		next[from] = n + 1
	}
	t.Logf("%d and %d broadcasts", sent[0], sent[1])
}

// connection is a session.Link that records the bodies of pushes.
type connection struct {
	mu     sync.Mutex
	pushed []string
}

func (c *connection) Push(_ context.Context, m *message.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushed = append(c.pushed, string(m.Body))
	return nil
}

func (c *connection) Close(context.Context, string) error { return nil }

func (c *connection) bodies() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pushed
}

func TestD14Snapshots(t *testing.T) {
	server := startNATS(t, embed.Options{})
	ran := make(chan struct{}, 100)
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: newMux("/room/a", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		ran <- struct{}{}
		s := session.FromContext(ctx)
		for _, err := range []error{s.Push(ctx, "a.b", 1), s.Bind(ctx, "x"), s.Kick(ctx, "x")} {
			if err == nil {
				t.Error("a session of no front has done something")
			}
		}
	})})
	nc := connect(t, server)
	for text, want := range map[string]string{
		"nonsense": "400", "a/b/c": "400", "/b/c/d": "400", "a/%/c/d": "400", "a/b/c/d/": "400", "a/b/c/d/[]": "400", `a/b/c/d/{"x"}`: "400",
		"a///": "", "a/*/>/": "", `a/x/y//{"level":"z"}`: "",
	} {
		m := &natsMsg{Subject: "kami.h.room.a", Header: natsHeader{"Kami-Session": {text}}}
		answer, err := nc.RequestMsg(m, patience)
		noError(t, err)
		if got := answer.Header.Get("Nats-Service-Error-Code"); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	if len(ran) != 3 {
		t.Errorf("the handler ran %d times", len(ran))
	}
}

// TestD05Sessions checks that forwarded messages have the session's user and values, whatever characters those have.
func TestD05Sessions(t *testing.T) {
	server := startNATS(t, embed.Options{})
	title := session.NewKey[string]("title/1")
	join(t, connect(t, server), cluster.Config{Type: "room", Handlers: newMux("/room/who", func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		s := session.FromContext(ctx)
		value, _ := title.Get(s)
		_, _ = fmt.Fprintf(w, "%x %q", s.UID(), value)
	})})
	f := joinFront(t, server, new(session.Pool))
	knows(t, f.Server, "room", 1)
	for _, uid := range []string{"", "ann", "\u202e", "a/b", "%2F", "é\r\n", " ", "+"} {
		for _, value := range []string{"", "a/b\n{}"} {
			c := sessiontest.Connect(f.pool)
			if uid != "" {
				noError(t, c.Session().Bind(t.Context(), uid))
			}
			if value != "" {
				title.Set(c.Session(), value)
			}
			reply := f.say(c, "room.who", "")
			if want := fmt.Sprintf("%x %q", uid, value); string(reply.Body) != want {
				t.Errorf("got %s, want %s", reply.Body, want)
			}
			noError(t, c.Session().Kick(t.Context(), "enough"))
		}
	}
}
