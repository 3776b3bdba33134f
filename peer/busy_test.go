package peer_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// ends fails the test if a connection is still served after a minute.
func ends(t *testing.T, p *peer.Pipe) {
	gone := make(chan struct{})
	go func() {
		p.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		require.Fail(t, "the server does not end")
	}
}

// TestP16StopThenStart restarts a server as systemd does: the next server takes connections when the previous one has ended. It
// checks that a server ends although a client calls all the time, and that no call fails.
func TestP16StopThenStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(worker("0"))
		client := newNode(nil)
		c, err := client.Dial(t.Context(), "ws://pipe", peer.Reconnect(peer.Backoff{Max: time.Second}), p.Over())
		require.NoError(t, err)
		a := startCalling(t, c, 32)
		for _, name := range []string{"1", "2", "3"} {
			time.Sleep(3 * time.Second)
			old := p.Stop
			p.Serve(nil, make(chan struct{}))
			close(old)
			ends(t, p)
			p.Serve(worker(name), make(chan struct{}))
		}
		time.Sleep(3 * time.Second) // longer than the backoff
		by, failed := a.stop()
		assert.Empty(t, failed)
		assert.Len(t, by, 4)
		require.NoError(t, c.Close())
		require.NoError(t, client.Close(context.Background()))
		p.Wait()
	})
}

// TestP16Busy has a client without Reconnect whose callers call all the time. It checks that the server ends, that each call that
// ran was answered, and that the others fail with ErrNotSent.
func TestP16Busy(t *testing.T) {
	var ran, answered atomic.Int64
	server := newNode(mux("/work", endpoint.JSON(func(context.Context, struct{}) (struct{}, error) {
		ran.Add(1)
		time.Sleep(5 * time.Millisecond)
		return struct{}{}, nil
	})))
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(server)
		c, err := newNode(nil).Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		for range 16 {
			go func() {
				for {
					if _, err := message.Remote[struct{}, struct{}](c, "work")(t.Context(), struct{}{}); err != nil {
						assert.ErrorIs(t, err, peer.ErrNotSent)
						return
					}
					answered.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		close(p.Stop)
		ends(t, p)
		synctest.Wait()
		assert.NotZero(t, answered.Load())
		assert.Equal(t, ran.Load(), answered.Load())
	})
}

// TestP16BusyNested has a handler that still runs, and calls its caller, when the server no longer takes calls. It checks that the
// server still takes the calls that the caller makes to answer the handler, and no others.
func TestP16BusyNested(t *testing.T) {
	methods := mux("/outer", endpoint.JSON(func(ctx context.Context, n int) (int, error) {
		for range n {
			time.Sleep(time.Second)
			if _, err := message.Remote[int, int](peer.FromContext(ctx), "back")(ctx, 1); err != nil {
				return 0, err
			}
		}
		return n, nil
	}))
	methods.Post("/inner", endpoint.JSON(func(_ context.Context, n int) (int, error) { return n, nil }))
	back := mux("/back", endpoint.JSON(func(ctx context.Context, n int) (int, error) {
		return message.Remote[int, int](peer.FromContext(ctx), "inner")(ctx, n)
	}))
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(newNode(methods))
		c, err := newNode(back).Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		go func() {
			time.Sleep(500 * time.Millisecond)
			close(p.Stop)
			time.Sleep(5 * time.Second)
			_, err := message.Remote[int, int](c, "inner")(t.Context(), 1)
			assert.ErrorIs(t, err, peer.ErrNotSent)
		}()
		n, err := message.Remote[int, int](c, "outer")(t.Context(), 10)
		require.NoError(t, err)
		assert.Equal(t, 10, n)
		ends(t, p)
		synctest.Wait()
	})
}

// TestP16Late makes a connection while the server stops and another connection is still busy, as if it has waited to be accepted. It
// checks that the new connection is closed with 1012.
func TestP16Late(t *testing.T) {
	server := newNode(mux("/wait", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) { <-ctx.Done() }))
	synctest.Test(t, func(t *testing.T) {
		p := peer.NewPipe(server)
		busy, err := newNode(nil).Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = busy.Call(ctx, &message.Message{Route: "wait"}) }()
		synctest.Wait()
		close(p.Stop)
		synctest.Wait()
		late, err := newNode(nil).Dial(t.Context(), "ws://pipe", p.Over())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.ErrorContains(t, late.Err(), "StatusServiceRestart")
		require.NoError(t, late.Close())
		cancel()
		ends(t, p)
	})
}
