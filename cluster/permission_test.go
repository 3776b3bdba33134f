package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// permissions returns the permissions of docs/cluster.md's table, for a server of a type with an id.
func permissions(serverType, id string, publish ...string) *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: append([]string{"kami.p." + serverType + "." + id, "kami.c.>", "$SRV.>", "_INBOX.>"}, publish...)},
		Subscribe: &server.SubjectPermission{Allow: []string{
			"kami.h." + serverType + ".>", "kami.r." + serverType + ".>", "kami.to." + id + ".h.>", "kami.to." + id + ".r.>",
			"kami.u." + serverType + ".>", "kami.g." + serverType + ".*", "kami.c." + serverType, "kami.p.>", "$SRV.>", "_INBOX.>",
		}},
	}
}

// enforcing starts a NATS server that has users with permissions.
func enforcing(t *testing.T, users map[string]*server.Permissions) *embed.Server {
	return startNATS(t, embed.Options{Configure: func(o *server.Options) {
		for name, p := range users {
			o.Users = append(o.Users, &server.User{Username: name, Password: "secret", Permissions: p})
		}
	}})
}

func TestD02Permissions(t *testing.T) {
	blind := permissions("blind", "c", "kami.r.room.>")
	blind.Publish.Allow = []string{"kami.p.>", "kami.r.room.>", "$SRV.>"}
	room := permissions("room", "b")
	deaf := permissions("room", "d")
	deaf.Subscribe.Allow = []string{"kami.p.>", "$SRV.>", "_INBOX.>", "kami.to.>", "kami.c.>", "kami.h.>"}
	nc := enforcing(t, map[string]*server.Permissions{
		"front": permissions("front", "a", "kami.h.room.>", "kami.to.*.h.>", "kami.r.blind.>"), "room": room, "blind": blind, "deaf": deaf,
	})
	heard := make(chan error, 100)
	as := func(user string) *nats.Conn {
		return connect(t, nc, nats.UserInfo(user, "secret"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { heard <- err }))
	}
	join(t, as("room"), cluster.Config{Type: "room", ID: "b", Remotes: named("/room/name", "remote"), Handlers: named("/room/name", "handler")})
	front := join(t, as("front"), cluster.Config{Type: "front", ID: "a"})

	t.Run("a denied call", func(t *testing.T) {
		for name, call := range map[string]struct {
			to    message.Caller
			route string
		}{"by type": {front, "room.name"}, "by id": {front.To("b"), "room.name"}, "a route that is quoted": {front, `room."é\u0000%00\`}} {
			_, err := call.to.Call(t.Context(), &message.Message{Route: call.route})
			var coder endpoint.StatusCoder
			if !errors.Is(err, cluster.ErrDenied) || !errors.As(err, &coder) || coder.StatusCode() != 403 {
				t.Errorf("%s: got %v, want ErrDenied with 403", name, err)
			}
			if err := wait(t, heard); !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("the connection's own ErrorHandler heard %v", err)
			}
		}
	})
	t.Run("a denied subscription", func(t *testing.T) {
		_, err := cluster.Join(t.Context(), as("deaf"), cluster.Config{Type: "room", ID: "d", Version: "1.0.0"})
		if !errors.Is(err, cluster.ErrDenied) {
			t.Errorf("got %v, want ErrDenied", err)
		}
		if err := wait(t, heard); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("the connection's own ErrorHandler heard %v", err)
		}
	})
	t.Run("an answer that is denied", func(t *testing.T) {
		join(t, as("blind"), cluster.Config{Type: "blind", ID: "c", Remotes: named("/blind/name", "c"), Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := front.Call(ctx, &message.Message{Route: "blind.name"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v: an answer that is denied looks like a timeout", err)
		}
		if err := wait(t, heard); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("the connection's own ErrorHandler heard %v", err)
		}
	})
}

func TestD02InboxPrefix(t *testing.T) {
	p := permissions("room", "a", "kami.r.room.>", "_mine.>")
	p.Publish.Allow, p.Subscribe.Allow = withoutInbox(p.Publish.Allow), append(withoutInbox(p.Subscribe.Allow), "_mine.>")
	server := enforcing(t, map[string]*server.Permissions{"room": p})
	s := join(t, connect(t, server, nats.UserInfo("room", "secret"), nats.CustomInboxPrefix("_mine")), cluster.Config{Type: "room", ID: "a", Remotes: named("/room/name", "a")})
	if got, err := ask(t, s, "room.name"); err != nil || got != "a" {
		t.Errorf("got %q, %v", got, err)
	}
}

func withoutInbox(allow []string) (kept []string) {
	for _, subject := range allow {
		if subject != "_INBOX.>" {
			kept = append(kept, subject)
		}
	}
	return kept
}

func TestD02Trees(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	s := join(t, connect(t, server), cluster.Config{Type: "room", Handlers: named("/room/name", "handler"), Remotes: named("/room/name", "remote")})
	for subject, want := range map[string]string{
		"kami.h.room.name": `"handler"`, "kami.r.room.name": `"remote"`,
		"kami.to." + s.ID() + ".h.room.name": `"handler"`, "kami.to." + s.ID() + ".r.room.name": `"remote"`,
	} {
		m, err := nc.Request(subject, []byte("{}"), patience)
		if err != nil || string(m.Data) != want+"\n" {
			t.Errorf("%s: got %v, %v, want %s", subject, m, err, want)
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	server := startNATS(t, embed.Options{})
	good := connect(t, server)
	closed := connect(t, server)
	closed.Close()
	plain, err := server.Connect()
	noError(t, err)
	t.Cleanup(plain.Close)
	ok := cluster.Config{Type: "room", Version: "1.0.0"}
	with := func(change func(*cluster.Config)) cluster.Config {
		cfg := ok
		change(&cfg)
		return cfg
	}
	for name, c := range map[string]struct {
		nc   *nats.Conn
		cfg  cluster.Config
		want string
	}{
		"nil connection":       {nil, ok, "cluster: Join: the connection is nil"},
		"closed connection":    {closed, ok, "cluster: Join: the connection is CLOSED"},
		"D15 plain connection": {plain, ok, "cluster: Join: the connection needs ReconnectBufSize(-1), so that no call runs after its caller has gone, and MaxReconnects(-1): connect with the options of cluster.Options()"},
		"no type":              {good, with(func(c *cluster.Config) { c.Type = "" }), `cluster: Join: the Type "" must have 1 to 64 letters, digits, - and _`},
		"dotted":               {good, with(func(c *cluster.Config) { c.Type = "a.b" }), `cluster: Join: the Type "a.b" must have 1 to 64 letters, digits, - and _`},
		"id":                   {good, with(func(c *cluster.Config) { c.ID = "*" }), `cluster: Join: the ID "*" must have 1 to 64 letters, digits, - and _`},
		"prefix":               {good, with(func(c *cluster.Config) { c.Prefix = "a..b" }), `cluster: Join: the Prefix "a..b" must have up to 64 letters, digits, - and _, in segments with dots between them`},
		"version":              {good, with(func(c *cluster.Config) { c.Version = "1.0" }), `cluster: Join: the Version "1.0" must be a semantic version of three numbers, as 1.0.0: `},
		"no version":           {good, with(func(c *cluster.Config) { c.Version = "" }), `cluster: Join: the Version "" must be a semantic version of three numbers, as 1.0.0: `},
		"queue":                {good, with(func(c *cluster.Config) { c.Queue = -1 }), "cluster: Join: Concurrent 256, Queue -1 and Timeout 5s must not be negative"},
	} {
		s, err := cluster.Join(context.Background(), c.nc, c.cfg)
		if err == nil {
			leave(t, s)
			t.Errorf("%s: no error", name)
		} else if got := err.Error(); len(got) < len(c.want) || got[:len(c.want)] != c.want {
			t.Errorf("%s: got %s\nwant %s", name, got, c.want)
		}
	}
	join(t, good, with(func(c *cluster.Config) { c.ID = "twin" }))
	_, err = cluster.Join(context.Background(), good, with(func(c *cluster.Config) { c.ID, c.Type = "twin", "other" }))
	if want := `cluster: Join: the ID "twin" is that of another server, of type room: each needs its own`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := cluster.Join(ended, good, ok); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: got %v", err)
	}
}

func TestJoinOfTwins(t *testing.T) {
	server := startNATS(t, embed.Options{})
	for range 5 {
		joined := make(chan *cluster.Server, 3)
		var joins sync.WaitGroup
		for range 3 {
			nc := connect(t, server)
			joins.Go(func() {
				s, err := cluster.Join(context.Background(), nc, cluster.Config{Type: "room", ID: "twin", Version: "1.0.0"})
				if err == nil {
					joined <- s
				} else if !strings.Contains(err.Error(), `the ID "twin" is that of another server`) {
					t.Error(err)
				}
			})
		}
		joins.Wait()
		if got := len(joined); got != 1 {
			t.Fatalf("%d servers have the same id", got)
		}
		leave(t, <-joined)
	}
}

// TestD02Table checks that the permissions of docs/cluster.md are enough for a front and a back end.
func TestD02Table(t *testing.T) {
	server := enforcing(t, map[string]*server.Permissions{
		"front": permissions("front", "a", "kami.h.room.>", "kami.to.*.h.>", "kami.u.front.>", "kami.g.front.*"),
		"room":  permissions("room", "b", "kami.u.front.>", "kami.g.front.*"),
	})
	var room *cluster.Server
	handlers := newMux("/room/join", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) error {
		s, group := session.FromContext(ctx), room.Group("front", "lobby *")
		if _, err := room.Push(ctx, "front", "chat.said", 1, "ann"); err != nil {
			return err
		}
		return errors.Join(s.Push(ctx, "chat.said", 2), group.Add(ctx, s), group.Broadcast(ctx, "chat.said", 3))
	})
	room = join(t, connect(t, server, nats.UserInfo("room", "secret")), cluster.Config{Type: "room", ID: "b", Handlers: handlers})
	pool := new(session.Pool)
	front := join(t, connect(t, server, nats.UserInfo("front", "secret")), cluster.Config{Type: "front", ID: "a", Sessions: pool})
	knows(t, room, "front", 1)
	client := sessiontest.Connect(pool)
	noError(t, client.Session().Bind(t.Context(), "ann"))
	mux := newMux("/room/*rest", cluster.Forward(front, "room"))
	for range 2 { // first to any server of the type, then to the one that AddRoute chooses
		reply := client.Serve(mux, &message.Message{Route: "room.join"})
		noError(t, reply.Err())
		for want := range 3 {
			m, err := client.Next(t.Context())
			if err != nil || string(m.Body) != fmt.Sprint(want+1) {
				t.Fatalf("got %v, %v, want %d", m, err, want+1)
			}
		}
		front.AddRoute("room", func(_ context.Context, _ string, _ []byte, servers map[string]cluster.Instance) (cluster.Instance, error) {
			return servers["b"], nil
		})
	}
}
