package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/cluster/embed"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

type question struct {
	Name  string `json:"name"`
	Level int    `json:"level"`
}

type match struct {
	ID      string   `json:"id"`
	Players []string `json:"players"`
}

func find(_ context.Context, q question) (match, error) {
	return match{"m1", []string{q.Name, "bob"}}, nil
}

func matches() *kami.Mux {
	mux := kami.New()
	mux.Post("/room/match/find", endpoint.JSON(find))
	return mux
}

// floor returns a call that uses only NATS's Request, a goroutine for each message, and encoding/json.
func floor(b *testing.B, server *embed.Server) func(context.Context, question) (match, error) {
	there, here := connectTCP(b, server), connectTCP(b, server)
	_, err := there.QueueSubscribe("floor", "q", func(m *nats.Msg) {
		go func() {
			var q question
			if err := json.Unmarshal(m.Data, &q); err != nil {
				b.Error(err)
			}
			found, _ := find(context.Background(), q)
			body, _ := json.Marshal(found)
			if err := m.Respond(body); err != nil {
				b.Error(err)
			}
		}()
	})
	noError(b, err)
	noError(b, there.Flush())
	return func(_ context.Context, q question) (found match, err error) {
		body, err := json.Marshal(q)
		if err != nil {
			return found, err
		}
		m, err := here.Request("floor", body, patience)
		if err != nil {
			return found, err
		}
		return found, json.Unmarshal(m.Data, &found)
	}
}

// BenchmarkCall compares calls by type with the floor, in turns, over loopback TCP. x/floor is the ratio of their times.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			server := startNATS(b, embed.Options{Port: -1})
			least := floor(b, server)
			join(b, connectTCP(b, server), cluster.Config{Type: "room", Remotes: matches()})
			front := join(b, connectTCP(b, server), cluster.Config{Type: "front"})
			ours := message.Remote[question, match](front, "room.match.find")
			knows(b, front, "room", 1)
			var failed atomic.Int64
			run := func(call func(context.Context, question) (match, error), n int) time.Duration {
				var left atomic.Int64
				left.Store(int64(n))
				var all sync.WaitGroup
				start := time.Now()
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := call(context.Background(), question{"ann", 3}); err != nil {
								failed.Add(1)
							}
						}
					})
				}
				all.Wait()
				return time.Since(start)
			}
			run(least, callers)
			run(ours, callers)
			var floor, took time.Duration
			turn := max(500, 32*callers)
			for done := 0; done < b.N; done += turn {
				n := min(turn, b.N-done)
				floor += run(least, n)
				took += run(ours, n)
			}
			b.ReportMetric(float64(took)/float64(floor), "x/floor")
			b.ReportMetric(float64(took)/float64(b.N), "ns/call")
			b.ReportMetric(float64(failed.Load()), "failed")
		})
	}
}

// connectTCP returns a connection over loopback TCP.
func connectTCP(t testing.TB, s *embed.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.URL(), append(cluster.Options(), opts...)...)
	noError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func BenchmarkAllocs(b *testing.B) {
	server := startNATS(b, embed.Options{Port: -1})
	join(b, connectTCP(b, server), cluster.Config{Type: "room", Remotes: matches()})
	front := join(b, connectTCP(b, server), cluster.Config{Type: "front"})
	ours := message.Remote[question, match](front, "room.match.find")
	b.Run("floor", func(b *testing.B) {
		least := floor(b, server)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = least(context.Background(), question{"ann", 3})
		}
	})
	b.Run("cluster", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = ours(context.Background(), question{"ann", 3})
		}
	})
}

// BenchmarkBroadcast measures a broadcast to a group with 2,000 sessions on 2 fronts.
func BenchmarkBroadcast(b *testing.B) {
	server := startNATS(b, embed.Options{Port: -1})
	back := join(b, connectTCP(b, server), cluster.Config{Type: "room"})
	got := make(chan struct{}, 2000)
	for range 2 {
		pool := new(session.Pool)
		front := join(b, connectTCP(b, server), cluster.Config{Type: "front", Sessions: pool})
		for range 1000 {
			s := pool.Open(&counting{got})
			noError(b, front.Group("front", "lobby").Add(b.Context(), s))
		}
	}
	for b.Loop() {
		noError(b, back.Group("front", "lobby").Broadcast(b.Context(), "chat.said", "hi"))
		for range 2000 {
			<-got
		}
	}
}

// counting is a session.Link that sends to got for each push.
type counting struct{ got chan<- struct{} }

func (c *counting) Push(context.Context, *message.Message) error {
	c.got <- struct{}{}
	return nil
}

func (*counting) Close(context.Context, string) error { return nil }
