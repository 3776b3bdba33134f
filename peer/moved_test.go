package peer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

// TestP21MovedDuringACall moves a client to another server, which does not know its session, while a call at the first server still
// pushes. The client must handle all pushes of both servers, because the numbers of the two sessions' pushes are not related.
func TestP21MovedDuringACall(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	servers := make([]*peer.Node, 2)
	for i := range servers {
		servers[i] = newNode(mux("/push", endpoint.JSON(func(ctx context.Context, n int) (struct{}, error) {
			if i == 0 {
				close(began)
				<-release
			}
			for v := range n {
				if err := session.FromContext(ctx).Push(ctx, "tick", 1000*i+v); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, nil
		})))
		servers[i].Sessions.ResumeWithin = time.Minute
	}
	var now atomic.Pointer[peer.Node]
	now.Store(servers[0])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
	defer server.Close()
	defer func() { _ = servers[1].Close(context.Background()) }()

	got, resumed := make(chan int, 100), make(chan bool, 10)
	client := newNode(mux("/tick", endpoint.JSON(func(_ context.Context, n int) (struct{}, error) { got <- n; return struct{}{}, nil })))
	client.OnResume = func(_ *peer.Conn, recovered bool) { resumed <- recovered }
	c := dial(t, client, server.URL, peer.Reconnect(peer.Backoff{Min: 1, Max: 1}))
	push := message.Remote[int, struct{}](c, "push")
	first := make(chan error, 1)
	go func() { _, err := push(t.Context(), 20); first <- err }()
	<-began
	now.Store(servers[1])
	closed := make(chan error, 1)
	go func() { closed <- servers[0].Close(t.Context()) }()
	require.False(t, <-resumed)
	close(release)
	require.NoError(t, <-first)
	require.NoError(t, <-closed)
	_, err := push(t.Context(), 5)
	require.NoError(t, err)
	var of [2][]int // the pushes of each server
	for range 25 {
		var n int
		select {
		case n = <-got:
		case <-time.After(30 * time.Second):
			t.Fatal(of)
		}
		of[n/1000] = append(of[n/1000], n%1000)
	}
	assert.Equal(t, []int{0, 1, 2, 3, 4}, of[1])
	assert.Len(t, of[0], 20)
	assert.IsIncreasing(t, of[0])
}
