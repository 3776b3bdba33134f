//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/natsserver"
	"github.com/guregu/kami/message"
)

// TestD15LameDuckProcesses sends one of two nats-server processes into lame duck mode, while servers at both call each other. It checks
// that all connections move to the other process, and that calls work again. While connections move, calls may fail, but only with
// 503 or 504.
func TestD15LameDuckProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds nats-server")
	}
	binary := natsserver.Build(t)
	config := filepath.Join(t.TempDir(), "nats.conf")
	noError(t, os.WriteFile(config, []byte("lame_duck_duration: 30s\nlame_duck_grace_period: 100ms\n"), 0o600))
	routes := []string{"nats://127.0.0.1:" + natsserver.FreePort(t), "nats://127.0.0.1:" + natsserver.FreePort(t)}
	var all []*natsserver.Server
	for i, route := range routes {
		all = append(all, natsserver.New(t, binary, "-c", config, "-cluster_name", "c", "-cluster", route, "-routes", routes[1-i]))
		all[i].Start(t)
	}
	count := endpoint.JSON(func(_ context.Context, n int) (int, error) {
		time.Sleep(time.Millisecond)
		return n + 1, nil
	})
	var conns []*nats.Conn
	var fronts []*cluster.Server
	for _, at := range all {
		dial := func() *nats.Conn {
			nc, err := nats.Connect(at.URL, append(cluster.Options(), nats.DontRandomize())...)
			noError(t, err)
			t.Cleanup(nc.Close)
			until(t, "the other NATS server", func() bool { return len(nc.Servers()) > 1 })
			conns = append(conns, nc)
			return nc
		}
		join(t, dial(), cluster.Config{Type: "room", Remotes: newMux("/room/count", count)})
		fronts = append(fronts, join(t, dial(), cluster.Config{Type: "front"}))
	}
	var worked, failed atomic.Int64
	stopped := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 16 {
		call := message.Remote[int, int](fronts[i%2], "room.count")
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stopped:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				got, err := call(ctx, n)
				cancel()
				var coder endpoint.StatusCoder
				switch {
				case err == nil && got == n+1:
					worked.Add(1)
				case errors.As(err, &coder) && (coder.StatusCode() == 503 || coder.StatusCode() == 504): // the call was cut off, or lost on a connection that moves
					failed.Add(1)
					time.Sleep(time.Millisecond)
				default:
					t.Errorf("call %d: got %d, %v", n, got, err)
				}
			}
		})
	}
	more := func(what string) {
		before := worked.Load()
		until(t, what, func() bool { return worked.Load() > before+500 })
	}
	more("calls that work")
	all[0].Signal(t, syscall.SIGUSR2)
	until(t, "the move of all connections", func() bool {
		for _, nc := range conns {
			if !nc.IsConnected() || nc.ConnectedUrl() != all[1].URL {
				return false
			}
		}
		return true
	})
	before := failed.Load()
	more("calls that work after the move")
	close(stopped)
	callers.Wait()
	t.Logf("%d calls worked; %d failed while the connections moved, and %d after that", worked.Load(), before, failed.Load()-before)
}
