package cluster_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/message/messagetest"
)

// byType is a Caller that puts "t." before each route, so that a server of type t gets the message. It does not change an invalid route.
type byType struct{ to message.Caller }

func (b byType) Call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	if _, err := message.Path(m.Route); err == nil {
		below := *m
		below.Route = "t." + m.Route
		m = &below
	}
	return b.to.Call(ctx, m)
}

func suite(caller func(from, to *cluster.Server) message.Caller, wrap func(http.Handler) http.Handler) messagetest.Suite {
	return messagetest.Suite{Caller: func(t *testing.T, h http.Handler) message.Caller {
		server := startNATS(t, embed.Options{})
		to := join(t, connect(t, server), cluster.Config{Type: "t", Remotes: wrap(h)})
		from := join(t, connect(t, server), cluster.Config{Type: "from"})
		return caller(from, to)
	}}
}

func TestM07ByType(t *testing.T) {
	below := func(h http.Handler) http.Handler { return http.StripPrefix("/t", h) }
	suite(func(from, _ *cluster.Server) message.Caller { return byType{from} }, below).Run(t)
}

func TestM07To(t *testing.T) {
	same := func(h http.Handler) http.Handler { return h }
	suite(func(from, to *cluster.Server) message.Caller { return from.To(to.ID()) }, same).Run(t)
}

func TestD01Calls(t *testing.T) {
	nats := startNATS(t, embed.Options{})
	a := join(t, connect(t, nats), cluster.Config{Type: "room", Remotes: named("/room/match/find", "a")})
	b := join(t, connect(t, nats), cluster.Config{Type: "room", Remotes: named("/room/match/find", "b")})
	front := join(t, connect(t, nats), cluster.Config{Type: "front"})

	t.Run("any of the type", func(t *testing.T) {
		got := make(map[string]bool)
		until(t, "an answer of each", func() bool {
			name, err := ask(t, front, "room.match.find")
			noError(t, err)
			got[name] = true
			return len(got) == 2
		})
	})
	t.Run("that one", func(t *testing.T) {
		for range 20 {
			for s, want := range map[*cluster.Server]string{a: "a", b: "b"} {
				if got, err := ask(t, front.To(s.ID()), "room.match.find"); err != nil || got != want {
					t.Fatalf("got %q, %v, want %q", got, err, want)
				}
			}
		}
	})
	t.Run("the own type", func(t *testing.T) {
		_, err := ask(t, a, "room.match.find")
		noError(t, err)
	})
	t.Run("nobody", func(t *testing.T) {
		for name, to := range map[string]struct {
			caller message.Caller
			route  string
		}{
			"of the type": {front, "chat.say"}, "with the id": {front.To("nobody"), "room.match.find"},
			"no id": {front.To("a.b"), "room.match.find"}, "a type that is none": {front, "é.say"},
		} {
			_, err := ask(t, to.caller, to.route)
			var coder endpoint.StatusCoder
			if !errors.Is(err, cluster.ErrNoServer) || !errors.Is(err, message.ErrUndelivered) {
				t.Errorf("%s: got %v, want ErrNoServer and ErrUndelivered", name, err)
			} else if !errors.As(err, &coder) || coder.StatusCode() != 503 {
				t.Errorf("%s: %v has not the status 503", name, err)
			}
		}
	})
}

func TestD01Routes(t *testing.T) {
	mux := kami.New()
	for _, path := range []string{"/room", "/room/:id/*rest"} {
		mux.Post(path, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) })
	}
	server := startNATS(t, embed.Options{})
	s := join(t, connect(t, server), cluster.Config{Type: "room", Remotes: mux})
	long := "room.7." + strings.Repeat("x", 240)
	for route, want := range map[string]string{
		"room": "/room", "room.7.a.b": "/room/7/a/b", "room.a%2Eb.%25": "/room/a.b/%", "room.é.c%20d": "/room/é/c d",
		long: "/room/7/" + strings.Repeat("x", 240),
	} {
		for name, to := range map[string]message.Caller{"by type": s, "by id": s.To(s.ID())} {
			reply, err := to.Call(t.Context(), &message.Message{Route: route})
			if err != nil || string(reply.Body) != want {
				t.Errorf("%s: %q: got %v, %v, want %q", name, route, reply, err, want)
			}
		}
	}
	for _, route := range []string{"", ".", "room.", "room..a", "room.>", "room.*", "room. ", "room.\r\nPUB x", "$SRV.PING", "room.%", "room." + strings.Repeat("x", 300)} {
		for name, to := range map[string]message.Caller{"by type": s, "by id": s.To(s.ID()), "sticky": s.Sticky(func(context.Context) string { return "" })} {
			reply, err := to.Call(t.Context(), &message.Message{Route: route})
			if err != nil || reply.Status != 400 {
				t.Errorf("%s: %q: got %v, %v, want 400", name, route, reply, err)
			}
		}
	}
}

func TestD01Protobuf(t *testing.T) {
	mux := newMux("/room/upper", func(w http.ResponseWriter, r *http.Request) {
		in := new(wrapperspb.StringValue)
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		if err := cluster.Protobuf.Unmarshal(body, in); err != nil {
			t.Error(err)
		}
		out, err := cluster.Protobuf.Marshal(wrapperspb.String(strings.ToUpper(in.Value)))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = w.Write(out)
	})
	server := startNATS(t, embed.Options{})
	s := join(t, connect(t, server), cluster.Config{Type: "room", Remotes: mux})
	upper := message.Remote[*wrapperspb.StringValue, *wrapperspb.StringValue](s, "room.upper", message.WithCodec(cluster.Protobuf))
	for in, want := range map[string]string{"hi": "HI", "": ""} {
		if got, err := upper(t.Context(), wrapperspb.String(in)); err != nil || got.GetValue() != want {
			t.Errorf("got %v, %v, want %q", got, err, want)
		}
	}
	if _, err := message.Remote[int, *wrapperspb.StringValue](s, "room.upper", message.WithCodec(cluster.Protobuf))(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "*int is no proto.Message") {
		t.Errorf("an int as protobuf: got %v", err)
	}
	if err := cluster.Protobuf.Unmarshal([]byte{0xff}, new(wrapperspb.StringValue)); err == nil {
		t.Error("bytes that are no protobuf are no error")
	}
}

// messages subscribes to a subject on a connection without a Server.
func messages(t *testing.T, nc *nats.Conn, subject string) <-chan *nats.Msg {
	t.Helper()
	c := make(chan *nats.Msg, 1000)
	_, err := nc.ChanSubscribe(subject, c)
	noError(t, err)
	noError(t, nc.Flush())
	return c
}
