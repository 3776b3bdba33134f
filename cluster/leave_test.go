package cluster_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

var calls = flag.Int("calls", 2000, "how many calls TestD08Rolling makes; the rule is about 20,000")

// TestD08Rolling makes calls while servers of the type join and leave 20 times. It checks that no call fails.
func TestD08Rolling(t *testing.T) {
	server := startNATS(t, embed.Options{})
	count := endpoint.JSON(func(_ context.Context, n int) (int, error) { return n + 1, nil })
	rolling := func() *cluster.Server {
		return join(t, connect(t, server), cluster.Config{Type: "room", Remotes: newMux("/room/count", count)})
	}
	current := rolling()
	front := join(t, connect(t, server), cluster.Config{Type: "front"})
	call := message.Remote[int, int](front, "room.count")
	var made, failed atomic.Int64
	var callers sync.WaitGroup
	restarted := make(chan struct{})
	for range 16 {
		callers.Go(func() {
			for {
				n := made.Add(1)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				got, err := call(ctx, int(n))
				cancel()
				if err != nil || got != int(n)+1 {
					failed.Add(1)
					t.Errorf("call %d: got %d, %v", n, got, err)
				}
				select {
				case <-restarted:
					if n > int64(*calls) {
						return
					}
				default:
				}
			}
		})
	}
	for i := range 20 {
		next := rolling()
		leave(t, current)
		current = next
		until(t, "its share of the calls", func() bool { return made.Load() > int64(i**calls/20) })
	}
	close(restarted)
	callers.Wait()
	t.Logf("%d calls, %d failed", made.Load(), failed.Load())
}

func TestD08LeaveAnswers(t *testing.T) {
	h := newHeld()
	server := startNATS(t, embed.Options{})
	room, err := cluster.Join(t.Context(), connect(t, server), cluster.Config{Type: "room", Version: "1.0.0", Concurrent: 1, Remotes: newMux("/room/a", h)})
	noError(t, err)
	nc := connect(t, server)
	inbox := messages(t, nc, "answers")
	const n = 10
	for range n {
		noError(t, nc.PublishRequest("kami.r.room.a", "answers", nil))
	}
	noError(t, nc.Flush())
	wait(t, h.began)
	left := make(chan error, 1)
	go func() { left <- room.Leave(context.Background()) }()
	front := join(t, connect(t, server), cluster.Config{Type: "front"})
	until(t, "the goodbye", func() bool { return len(front.Instances("room")) == 0 })
	select {
	case err := <-left:
		t.Errorf("Leave has returned %v before its handlers have", err)
	default:
	}
	close(h.answer)
	noError(t, wait(t, left))
	for range n {
		if m := wait(t, inbox); m.Header != nil {
			t.Errorf("got %v", m.Header)
		}
	}
	if _, err := room.Call(t.Context(), &message.Message{Route: "front.a"}); !errors.Is(err, cluster.ErrLeft) || !errors.Is(err, message.ErrUndelivered) {
		t.Errorf("a call after Leave: got %v", err)
	}
	noError(t, room.Leave(t.Context()))
}

func TestD08LeaveWaitsOnlySoLong(t *testing.T) {
	ended := make(chan error, 1)
	began := make(chan struct{})
	mux := newMux("/room/a", func(ctx context.Context, _ http.ResponseWriter, _ *http.Request) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
	})
	server := startNATS(t, embed.Options{})
	room, err := cluster.Join(t.Context(), connect(t, server), cluster.Config{Type: "room", Version: "1.0.0", Timeout: time.Hour, Remotes: mux})
	noError(t, err)
	go func() { _, _ = room.Call(context.Background(), &message.Message{Route: "room.a"}) }()
	wait(t, began)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := room.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	wait(t, ended)
}

func TestLeaveWithoutConnection(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	room, err := cluster.Join(t.Context(), nc, cluster.Config{Type: "room", Version: "1.0.0"})
	noError(t, err)
	nc.Close()
	if err := room.Leave(t.Context()); err == nil || !strings.Contains(err.Error(), "no connection to NATS") {
		t.Errorf("got %v", err)
	}
}

func TestD10OnceMore(t *testing.T) {
	server := startNATS(t, embed.Options{})
	var ran atomic.Int32
	room := join(t, connect(t, server), cluster.Config{Type: "room", Remotes: newMux("/room/fail", endpoint.JSON(func(context.Context, struct{}) (string, error) {
		ran.Add(1)
		return "", endpoint.Error(503, "busy")
	}))})
	if _, err := ask(t, room, "room.fail"); err == nil || ran.Load() != 1 {
		t.Errorf("got %v after %d calls: what was delivered is not repeated", err, ran.Load())
	}
	// A server is gone but still in the view. A call to it reaches no server, and its repetition reaches the other server.
	other := join(t, connect(t, server), cluster.Config{Type: "other"})
	gone := connect(t, server)
	a, err := cluster.Join(t.Context(), gone, cluster.Config{Type: "b", ID: "a", Version: "1.0.0", Remotes: named("/b/name", "a")})
	noError(t, err)
	join(t, connect(t, server), cluster.Config{Type: "b", ID: "b", Remotes: named("/b/name", "b")})
	knows(t, room, "b", 2)
	knows(t, other, "b", 2)
	gone.Close()
	noServer(t, other.To("a"), "b.name") // NATS knows that a is gone, and the view of the room does not
	for _, key := range []string{"1", "2", "3", "4", "5"} {
		if got, err := ask(t, room.Sticky(func(context.Context) string { return key }), "b.name"); err != nil || got != "b" {
			t.Errorf("key %s: got %q, %v", key, got, err)
		}
	}
	_ = a.Leave(t.Context())
}

func TestD04Sticky(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	servers := make(map[string]*cluster.Server)
	for _, id := range []string{"a", "b", "c", "d"} {
		servers[id] = join(t, nc, cluster.Config{Type: "room", ID: id, Remotes: named("/room/name", id)})
	}
	front := join(t, connect(t, server), cluster.Config{Type: "front"})
	type keyed struct{}
	sticky := front.Sticky(func(ctx context.Context) string { return ctx.Value(keyed{}).(string) })
	where := func() map[string]string {
		got := make(map[string]string)
		for i := range 200 {
			key := string(rune('A' + i))
			name, err := message.Remote[struct{}, string](sticky, "room.name")(context.WithValue(t.Context(), keyed{}, key), struct{}{})
			noError(t, err)
			got[key] = name
		}
		return got
	}
	before := where()
	shares := make(map[string]int)
	for key, name := range before {
		shares[name]++
		if again := where()[key]; again != name {
			t.Fatalf("key %q went to %s, then to %s", key, name, again)
		}
		break
	}
	leave(t, servers["b"])
	knows(t, front, "room", 3)
	shares = make(map[string]int)
	for key, name := range where() {
		shares[before[key]]++
		if before[key] != "b" && before[key] != name {
			t.Errorf("key %q moved from %s to %s, though %s is there", key, before[key], name, before[key])
		}
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		if shares[id] < 20 {
			t.Errorf("%s had %d of 200 keys", id, shares[id])
		}
	}
}

func TestLeaveLeavesNothing(t *testing.T) {
	server := startNATS(t, embed.Options{})
	nc := connect(t, server)
	noError(t, nc.Flush())
	subscriptions, goroutines := nc.NumSubscriptions(), runtime.NumGoroutine()
	for range 5 {
		s := join(t, nc, cluster.Config{Type: "room", Sessions: new(session.Pool), Remotes: named("/room/name", "a")})
		_, err := ask(t, s, "room.name")
		noError(t, err)
		leave(t, s)
	}
	until(t, "the end of all subscriptions", func() bool { return nc.NumSubscriptions() == subscriptions })
	until(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
}
