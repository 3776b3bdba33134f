package peer_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/message/messagetest"
	"github.com/guregu/kami/peer"
)

// newNode returns a Node with a handler.
func newNode(h http.Handler) *peer.Node {
	return &peer.Node{Name: "test", Version: "1.2.3", Handler: h, Log: slog.New(slog.DiscardHandler)}
}

// start serves a Node over loopback until the test's end.
func start(t testing.TB, n *peer.Node) (url string) {
	server := httptest.NewServer(n)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = n.Close(ctx)
		server.Close()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// dial connects a Node to a URL until the test's end.
func dial(t testing.TB, n *peer.Node, url string, opts ...peer.DialOption) *peer.Conn {
	c, err := n.Dial(t.Context(), url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestP01Suite(t *testing.T) {
	messagetest.Suite{Caller: func(t *testing.T, h http.Handler) message.Caller {
		return dial(t, newNode(nil), start(t, newNode(h)))
	}}.Run(t)
}

// TestP01SuiteBack runs the suite in the other direction: the server calls its client.
func TestP01SuiteBack(t *testing.T) {
	messagetest.Suite{Caller: func(t *testing.T, h http.Handler) message.Caller {
		server, came := newNode(nil), make(chan *peer.Conn, 1)
		server.OnConnect = func(c *peer.Conn) { came <- c }
		dial(t, newNode(h), start(t, server))
		return <-came
	}}.Run(t)
}
