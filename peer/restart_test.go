package peer_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/peer"
)

// TestP16Loopback restarts real servers under load. Each server begins to listen before the previous one stops, as with einhorn and
// systemd. It checks that the servers wait for their connections, and that no call fails.
func TestP16Loopback(t *testing.T) {
	const restarts = 4
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := socket.Addr().String()
	file, err := socket.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, socket.Close())
	defer func() { _ = file.Close() }()
	serve := func() (stop func(), stopped chan error) {
		listener, err := net.FileListener(file) // another one on the same socket
		require.NoError(t, err)
		m := kami.New()
		node := worker(address)
		node.DrainRate = 100
		m.Get("/kite", node)
		ctx, cancel := context.WithCancel(t.Context())
		stopped = make(chan error, 1)
		go func() { stopped <- m.ServeContext(ctx, listener, nil) }()
		return cancel, stopped
	}
	stop, stopped := serve()
	client := newNode(nil)
	var callings []*calling
	var conns []*peer.Conn
	for range 16 {
		own := &http.Client{Transport: &http.Transport{}}
		c, err := client.Dial(t.Context(), "ws://"+address+"/kite", peer.Reconnect(peer.Backoff{Min: 10 * time.Millisecond}), peer.HTTPClient(own))
		require.NoError(t, err)
		conns, callings = append(conns, c), append(callings, startCalling(t, c, 4))
	}
	for range restarts {
		time.Sleep(200 * time.Millisecond)
		nextStop, nextStopped := serve()
		stop()
		require.NoError(t, <-stopped)
		stop, stopped = nextStop, nextStopped
	}
	calls := 0
	for _, a := range callings {
		by, failed := a.stop()
		assert.Empty(t, failed)
		for _, n := range by {
			calls += n
		}
	}
	for _, c := range conns {
		assert.NoError(t, c.Err())
	}
	t.Logf("0 of %d calls failed in %d restarts", calls, restarts)
	require.NoError(t, client.Close(t.Context()))
	stop()
	require.NoError(t, <-stopped)
}
