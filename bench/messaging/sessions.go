package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
	"github.com/guregu/kami/session"
)

// measureSessions measures the memory of many connections, and broadcasts to them.
func (p *page) measureSessions() {
	if !p.wants("connections") {
		return
	}
	most := min(10_000, int(min(openFiles(), 1<<20))/2-200) // each connection has two files here
	p.printf("\n### connections\n\n| | is | at most | |\n|---|--:|--:|---|\n")
	p.verdict("memory of an idle connection at the server, more than for a bare one", (idle(newNode("server", nil))-idle(bare(nil)))/1e3, 12, "KB")
	p.verdict(fmt.Sprintf("memory of a process with both ends of %d idle connections", most), resident(most)/1e6, 600, "MB")
	queued, ratio := broadcast(2000, 1+p.turns/4)
	p.verdict("until a broadcast to 2,000 sessions is queued", queued, 20, "ms")
	p.verdict("until it has come, compared with 2,000 bare writes", ratio, 1.3, "times")
	p.verdict("99th percentile of calls while clients that do not read are pushed to, compared with no pushes", storm(1+p.turns/10), 2, "times")
}

// bare accepts websockets and answers nothing. accepted gets the connections.
func bare(accepted func(*websocket.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		if accepted != nil {
			accepted(c)
		}
		_, _, _ = c.Read(context.Background())
	})
}

// idle returns the bytes of an idle connection to the handler, both ends together.
func idle(h http.Handler) float64 {
	const n = 2000
	mux := kami.New()
	mux.Get("/", h)
	s := httptest.NewServer(mux)
	defer s.Close()
	before := inUse()
	conns := make([]*websocket.Conn, n)
	for i := range conns {
		conns[i] = dial(s.URL)
	}
	after := inUse()
	for _, c := range conns {
		_ = c.CloseNow()
	}
	return float64(after-before) / n
}

func inUse() int64 {
	for range 4 {
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// resident returns the memory of the whole process while it has both ends of n connections of kami's.
func resident(n int) float64 {
	server, client := newNode("server", nil), newNode("client", nil)
	s := httptest.NewServer(server)
	defer s.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range n / 8 {
				_, err := client.Dial(context.Background(), s.URL)
				must(err)
			}
		})
	}
	all.Wait()
	inUse()
	text, err := os.ReadFile("/proc/self/statm")
	must(err)
	var size, pages float64
	must2(fmt.Sscan(string(text), &size, &pages))
	must(client.Close(context.Background()))
	return pages * float64(os.Getpagesize())
}

// broadcast returns how many milliseconds a broadcast takes until it is queued. The ratio compares the time until it has come with the time
// of as many bare writes.
func broadcast(n, turns int) (queued, ratio float64) {
	var got atomic.Int64
	read := func(c *websocket.Conn) {
		for {
			if _, _, err := c.Read(context.Background()); err != nil {
				return
			}
			got.Add(1)
		}
	}
	node := newNode("server", nil)
	group := node.Sessions.Group("all")
	var joined sync.WaitGroup
	joined.Add(n)
	node.OnConnect = func(c *peer.Conn) { must(group.Add(context.Background(), c.Session())); joined.Done() }
	var mu sync.Mutex
	var conns []*websocket.Conn
	for _, h := range []http.Handler{node, bare(func(c *websocket.Conn) { mu.Lock(); conns = append(conns, c); mu.Unlock() })} {
		s := httptest.NewServer(h)
		defer s.CloseClientConnections()
		for range n {
			go read(dial(s.URL))
		}
	}
	joined.Wait()
	text := strings.Repeat("x", 100)
	frame := []byte(`{"jsonrpc":"2.0","method":"said","params":["` + text + `"]}`)
	come := func(send func()) float64 {
		got.Store(0)
		start := time.Now()
		send()
		for got.Load() < int64(n) {
			time.Sleep(50 * time.Microsecond)
		}
		return float64(time.Since(start))
	}
	var queues, ratios []float64
	for range turns {
		ours := come(func() {
			start := time.Now()
			must(group.Broadcast(context.Background(), "said", text))
			queues = append(queues, float64(time.Since(start))/1e6)
		})
		writes := come(func() {
			for _, c := range conns {
				must(c.Write(context.Background(), websocket.MessageText, frame))
			}
		})
		ratios = append(ratios, ours/writes)
	}
	return median(queues), median(ratios)
}

// storm compares the 99th percentile of the times of calls, while clients that do not read are pushed to, with the one without them.
func storm(turns int) float64 {
	calls := kami.New()
	calls.Post("/sum", endpoint.JSON(add))
	node := newNode("server", calls)
	deaf := make(chan *session.Session, 1)
	node.OnConnect = func(c *peer.Conn) {
		if c.Peer().Name == "deaf" {
			deaf <- c.Session()
		}
	}
	s := httptest.NewServer(node)
	defer s.CloseClientConnections()
	client := newNode("client", nil)
	var callers []call
	for range 16 {
		conn, err := client.Dial(context.Background(), s.URL)
		must(err)
		callers = append(callers, call(message.Remote[Request, Response](conn, "sum")))
	}
	var ratios []float64
	for range turns {
		without := slowest(callers)
		ctx, stop := context.WithCancel(context.Background())
		closed := make(chan int)
		go func() { closed <- pushToTheDeaf(ctx, s.URL, deaf) }()
		ratios = append(ratios, slowest(callers)/without)
		stop()
		if <-closed == 0 {
			panic("no client was pushed to until it was closed")
		}
	}
	return median(ratios)
}

// slowest returns the 99th percentile of the times of calls.
func slowest(callers []call) float64 {
	var mu sync.Mutex
	var times []float64
	var all sync.WaitGroup
	for _, c := range callers {
		all.Go(func() {
			for i := range 500 {
				start := time.Now()
				_, err := c(context.Background(), Request{i, 1})
				must(err)
				mu.Lock()
				times = append(times, float64(time.Since(start)))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return quantile(times, 0.99)
}

// pushToTheDeaf connects clients that do not read, one after the other, and pushes to each until the server closes it as a slow consumer. It
// returns how many were closed.
func pushToTheDeaf(ctx context.Context, url string, deaf <-chan *session.Session) (closed int) {
	text := strings.Repeat("x", 1000)
	for ctx.Err() == nil {
		c, _, err := websocket.Dial(context.Background(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Kami-Peer": {"deaf/1.0.0/1"}}})
		must(err)
		target := <-deaf
		for ctx.Err() == nil {
			if target.Push(ctx, "storm", text) != nil {
				closed++
				break
			}
		}
		_ = c.CloseNow()
	}
	return closed
}
