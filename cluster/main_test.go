package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
)

// patience is how long a test waits for an event before it fails. The event comes at once unless it is lost.
const patience = time.Minute

// startNATS starts a NATS server for the test.
func startNATS(t testing.TB, o embed.Options) *embed.Server {
	t.Helper()
	s, err := embed.Start(o)
	noError(t, err)
	t.Cleanup(s.Stop)
	return s
}

// connect returns a connection for a cluster.
func connect(t testing.TB, s *embed.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	nc, err := s.Connect(append(append(cluster.Options(), quiet), opts...)...)
	noError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// join joins a server. At the end of the test the server leaves.
func join(t testing.TB, nc *nats.Conn, cfg cluster.Config) *cluster.Server {
	t.Helper()
	if cfg.Version == "" {
		cfg.Version = "1.0.0"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := cluster.Join(context.Background(), nc, cfg)
	noError(t, err)
	t.Cleanup(func() { leave(t, s) })
	return s
}

func leave(t testing.TB, s *cluster.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	noError(t, s.Leave(ctx))
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newMux returns a mux with one route.
func newMux(path string, h kami.HandlerType) *kami.Mux {
	mux := kami.New()
	mux.Cancel = true
	mux.Post(path, h)
	return mux
}

// named returns a mux that answers one route with a name.
func named(path, name string) *kami.Mux {
	return newMux(path, endpoint.JSON(func(context.Context, struct{}) (string, error) { return name, nil }))
}

// ask calls a route that answers with a name.
func ask(t testing.TB, to message.Caller, route string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return message.Remote[struct{}, string](to, route)(ctx, struct{}{})
}

// noServer waits until a call finds no server. Earlier calls may be lost with the connection of the server that is gone.
func noServer(t testing.TB, to message.Caller, route string) {
	t.Helper()
	until(t, "ErrNoServer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := to.Call(ctx, &message.Message{Route: route})
		return errors.Is(err, cluster.ErrNoServer)
	})
}

// wait returns the next value of c, and fails the test if none comes in time.
func wait[T any](t testing.TB, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatal("it has not come in a minute")
	}
	return got
}

// until waits until is returns true.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it has not come to be in a minute: " + what)
		}
	}
}

// knows waits until a server's view has n servers of a type.
func knows(t testing.TB, s *cluster.Server, serverType string, n int) {
	t.Helper()
	until(t, "the view of all servers", func() bool { return len(s.Instances(serverType)) == n })
}

type (
	natsMsg    = nats.Msg
	natsHeader = nats.Header
)
