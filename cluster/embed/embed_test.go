package embed_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/cluster/embed"
)

func start(t *testing.T, o embed.Options) *embed.Server {
	s, err := embed.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// echo checks that a request on b is answered on a.
func echo(t *testing.T, a, b *nats.Conn) {
	t.Helper()
	sub, err := a.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	if m, err := b.Request("echo", []byte("hi"), 30e9); err != nil || string(m.Data) != "hi" {
		t.Fatalf("got %v, %v", m, err)
	}
}

func TestInProcess(t *testing.T) {
	s := start(t, embed.Options{})
	if got := s.URL(); got != "" {
		t.Errorf("a server without a port has the URL %q", got)
	}
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	echo(t, nc, nc)
}

func TestPort(t *testing.T) {
	s := start(t, embed.Options{Port: -1, StoreDir: t.TempDir()})
	outside, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	inside, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	echo(t, inside, outside)
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if s, err := embed.Start(embed.Options{Port: l.Addr().(*net.TCPAddr).Port}); err == nil {
		s.Stop()
		t.Error("a server has started on a port that is in use")
	}
	if _, err := embed.Start(embed.Options{Routes: []string{"nats://["}}); err == nil {
		t.Error("a route that is no URL is no error")
	}
	if _, err := embed.Start(embed.Options{ClusterPort: -1}); err == nil {
		t.Error("a ClusterPort without a Port is no error")
	}
}

func TestRoutes(t *testing.T) {
	port := 0
	a := start(t, embed.Options{Port: -1, ClusterName: "c", ClusterHost: "127.0.0.1", ClusterPort: -1, Configure: func(o *server.Options) { o.ServerName = "a" }})
	port = a.ClusterPort()
	b := start(t, embed.Options{Port: -1, ClusterName: "c", ClusterHost: "127.0.0.1", ClusterPort: -1, Routes: []string{"nats://127.0.0.1:" + strconv.Itoa(port)}})
	first, err := a.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	got := make(chan struct{})
	if _, err := first.Subscribe("hi", func(*nats.Msg) {
		select {
		case <-got:
		default:
			close(got)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for {
		if err := second.Publish("hi", nil); err != nil {
			t.Fatal(err)
		}
		if err := second.Flush(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
			return
		default:
		}
	}
}
