package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/natsserver"
	"github.com/guregu/kami/message"
)

// restartable has the URL of a NATS server, and functions that stop it and start it again at the same port.
type restartable struct {
	url         string
	stop, start func()
}

func embedded(t *testing.T) restartable {
	s, err := embed.Start(embed.Options{Port: -1})
	noError(t, err)
	t.Cleanup(func() { s.Stop() })
	u, err := url.Parse(s.URL())
	noError(t, err)
	port, err := strconv.Atoi(u.Port())
	noError(t, err)
	text := s.URL()
	return restartable{text, func() { s.Stop() }, func() {
		s, err = embed.Start(embed.Options{Port: port})
		noError(t, err)
	}}
}

// external builds nats-server and runs it in a separate process.
func external(t *testing.T) restartable {
	s := natsserver.New(t, natsserver.Build(t))
	s.Start(t)
	return restartable{s.URL, s.Kill, func() { s.Start(t) }}
}

// TestD09Restart restarts NATS under load. It checks that calls fail while NATS is away, that none hangs, and that calls work again
// after it.
func TestD09Restart(t *testing.T) {
	kinds := map[string]func(*testing.T) restartable{"embedded": embedded, "external": external}
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			if name == "external" && testing.Short() {
				t.Skip("it builds nats-server")
			}
			restart(t, start(t))
		})
	}
}

func restart(t *testing.T, server restartable) {
	dial := func() *nats.Conn {
		nc, err := nats.Connect(server.url, cluster.Options()...)
		noError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	count := endpoint.JSON(func(_ context.Context, n int) (int, error) { return n + 1, nil })
	join(t, dial(), cluster.Config{Type: "room", Remotes: newMux("/room/count", count)})
	front := join(t, dial(), cluster.Config{Type: "front"})
	call := message.Remote[int, int](front, "room.count")
	var n, failed, worked atomic.Int64
	stopped := make(chan struct{})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				want := int(n.Add(1))
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				got, err := call(ctx, want)
				cancel()
				switch {
				case errors.Is(err, context.DeadlineExceeded):
					t.Errorf("a call hung: %v", err)
				case err != nil:
					failed.Add(1)
					time.Sleep(time.Millisecond)
				case got != want+1:
					t.Errorf("call %d got the answer %d of another", want, got)
				default:
					worked.Add(1)
				}
				select {
				case <-stopped:
					return
				default:
				}
			}
		})
	}
	for range 2 {
		before := worked.Load()
		until(t, "calls that work", func() bool { return worked.Load() > before+100 })
		fails := failed.Load()
		server.stop()
		until(t, "calls that fail while NATS is away", func() bool { return failed.Load() > fails+10 })
		server.start()
		since, back := worked.Load(), time.Now()
		until(t, "calls that work again", func() bool { return worked.Load() > since+8 })
		t.Logf("calls work again after %v", time.Since(back).Round(time.Millisecond))
	}
	close(stopped)
	callers.Wait()
	t.Logf("%d calls, %d failed", n.Load(), failed.Load())
}

// TestMain runs the tests. In the process that TestD09Crash starts, it serves until it is killed.
func TestMain(m *testing.M) {
	if natsURL := os.Getenv("CLUSTER_TEST_CRASH"); natsURL != "" {
		crashing(natsURL)
	}
	os.Exit(m.Run())
}

// crashing serves until it is killed.
func crashing(natsURL string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	nc, err := nats.Connect(natsURL, cluster.Options()...)
	fail(err)
	mux := newMux("/room/hold", newHeld())
	mux.Post("/room/name", endpoint.JSON(func(context.Context, struct{}) (string, error) { return "child", nil }))
	_, err = cluster.Join(context.Background(), nc, cluster.Config{Type: "room", ID: "child", Version: "1.0.0", Remotes: mux})
	fail(err)
	fmt.Println("joined")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// TestD09Crash kills a server's process. It checks that the view of another server then no longer has it.
func TestD09Crash(t *testing.T) {
	server := startNATS(t, embed.Options{Port: -1})
	front := join(t, connectTCP(t, server), cluster.Config{Type: "front"})
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "CLUSTER_TEST_CRASH="+server.URL())
	in, err := child.StdinPipe()
	noError(t, err)
	defer func() { _ = in.Close() }()
	out, err := child.StdoutPipe()
	noError(t, err)
	child.Stderr = os.Stderr
	noError(t, child.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "joined\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	knows(t, front, "room", 1)
	if got, err := ask(t, front, "room.name"); err != nil || got != "child" {
		t.Fatalf("got %q, %v", got, err)
	}
	inFlight := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	go func() {
		_, err := front.Call(ctx, &message.Message{Route: "room.hold"})
		inFlight <- err
	}()
	noError(t, child.Process.Kill())
	_ = child.Wait()
	killed := time.Now()
	noServer(t, front, "room.name")
	t.Logf("the view knows after %v", time.Since(killed).Round(time.Millisecond))
	if got := front.Instances("room"); len(got) != 0 {
		t.Errorf("the view has %v", got)
	}
	if err := wait(t, inFlight); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, cluster.ErrNoServer) {
		t.Errorf("the call in flight got %v", err)
	}
}

func TestD15Disconnected(t *testing.T) {
	server := embedded(t)
	ran := new(atomic.Int32)
	dial := func() *nats.Conn {
		nc, err := nats.Connect(server.url, cluster.Options()...)
		noError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	mux := newMux("/room/a", endpoint.JSON(func(context.Context, struct{}) (string, error) {
		ran.Add(1)
		return "a", nil
	}))
	hold := newHeld()
	mux.Post("/room/hold", hold)
	nc := dial()
	room := join(t, nc, cluster.Config{Type: "room", Remotes: mux, Timeout: time.Hour})
	inFlight := make(chan error, 1)
	go func() {
		_, err := room.Call(context.Background(), &message.Message{Route: "room.hold"})
		inFlight <- err
	}()
	wait(t, hold.began)
	server.stop()
	if err := wait(t, inFlight); err == nil || errors.Is(err, message.ErrUndelivered) {
		t.Errorf("a call in flight: got %v, which must not say that nobody was reached", err)
	}
	until(t, "the end of the connection", func() bool { return !nc.IsConnected() })
	_, err := ask(t, room, "room.a")
	var coder endpoint.StatusCoder
	if !errors.Is(err, message.ErrUndelivered) || !errors.As(err, &coder) || coder.StatusCode() != 503 {
		t.Errorf("a call without a connection: got %v", err)
	}
	server.start()
	until(t, "calls that work again", func() bool { _, err := ask(t, room, "room.a"); return err == nil })
	if got := ran.Load(); got != 1 {
		t.Errorf("the handler ran %d times: a call of before the reconnect ran after it", got)
	}
	close(hold.answer)
}

func TestD15LameDuck(t *testing.T) {
	lame := func(o *server.Options) {
		o.LameDuckDuration, o.LameDuckGracePeriod = 2*time.Second, 10*time.Millisecond
	}
	a := startNATS(t, embed.Options{Port: -1, ClusterName: "c", ClusterHost: "127.0.0.1", ClusterPort: -1, Configure: lame})
	b := startNATS(t, embed.Options{Port: -1, ClusterName: "c", ClusterHost: "127.0.0.1", ClusterPort: -1, Routes: []string{"nats://127.0.0.1:" + strconv.Itoa(a.ClusterPort())}})
	hold := newHeld()
	nc, err := nats.Connect(a.URL(), append(cluster.Options(), nats.DontRandomize())...)
	noError(t, err)
	t.Cleanup(nc.Close)
	until(t, "the other NATS server", func() bool { return len(nc.Servers()) > 1 })
	room := join(t, nc, cluster.Config{Type: "room", Remotes: newMux("/room/hold", hold), Timeout: patience})
	front := join(t, connectTCP(t, b), cluster.Config{Type: "front", Timeout: patience})
	knows(t, front, "room", 1)
	answered := make(chan error, 1)
	go func() {
		reply, err := front.Call(context.Background(), &message.Message{Route: "room.hold"})
		if err == nil {
			err = reply.Err()
		}
		answered <- err
	}()
	wait(t, hold.began)
	go a.LameDuck()
	until(t, "the move to the other server", func() bool { return nc.IsConnected() && nc.ConnectedUrl() != a.URL() })
	close(hold.answer)
	noError(t, wait(t, answered))
	until(t, "the view", func() bool { return len(front.Instances("room")) == 1 })
	_ = room
}
