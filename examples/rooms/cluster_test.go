package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/guregu/kami/internal/natsserver"
)

// farm is NATS, two connectors and three servers of rooms, each a process, and a load balancer in this process.
type farm struct {
	t                 *testing.T
	nats              *natsserver.Server
	connectors, rooms []*process
	address           string // before the connectors

	mu      sync.Mutex
	targets []string // addresses of connectors
	next    int
}

// process is a program whose log is read while it runs, because a full pipe would block it.
type process struct {
	*program.Program
	log  []byte
	read chan struct{} // closed when the log has ended
}

// end waits for the end of the process, and returns its log.
func (p *process) end() string {
	<-p.read
	p.End()
	return string(p.log)
}

func newFarm(t *testing.T) *farm {
	if testing.Short() {
		t.Skip("it builds nats-server")
	}
	f := &farm{t: t, nats: natsserver.New(t, natsserver.Build(t))}
	f.nats.Start(t)
	for range 3 {
		f.rooms = append(f.rooms, f.start("room"))
	}
	for range 2 {
		f.connectors = append(f.connectors, f.start("connector"))
	}
	f.balance()
	return f
}

// start starts a server, and waits until it listens. It has joined by then.
func (f *farm) start(serverType string) *process {
	f.t.Helper()
	p := &process{Program: program.Start(f.t, "-type", serverType, "-nats", f.nats.URL), read: make(chan struct{})}
	go func() {
		defer close(p.read)
		p.log, _ = io.ReadAll(p.Log)
	}()
	if serverType == "connector" {
		f.mu.Lock()
		f.targets = append(f.targets, p.Address)
		f.mu.Unlock()
	}
	return p
}

// balance listens for the connectors. Each connection goes to the next connector that accepts it.
func (f *farm) balance() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	f.address = l.Addr().String()
	var running sync.WaitGroup
	f.t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.carry(c) })
		}
	})
}

// carry copies the bytes of a connection.
func (f *farm) carry(c net.Conn) {
	defer func() { _ = c.Close() }()
	f.mu.Lock()
	f.next++
	targets := append(append([]string(nil), f.targets[f.next%len(f.targets):]...), f.targets[:f.next%len(f.targets)]...)
	f.mu.Unlock()
	for _, target := range targets {
		to, err := net.Dial("tcp", target)
		if err != nil {
			continue
		}
		defer func() { _ = to.Close() }()
		go func() {
			_, _ = io.Copy(to, c)
			_ = to.Close()
		}()
		_, _ = io.Copy(c, to)
		return
	}
}

// replace starts another server, and then stops the one at the index, as a deployment does.
func (f *farm) replace(servers []*process, i int, serverType string) {
	f.t.Helper()
	old := servers[i]
	servers[i] = f.start(serverType)
	signalled := time.Now()
	old.Signal(syscall.SIGTERM)
	log := old.end()
	f.t.Logf("a %s has ended %v after SIGTERM", serverType, time.Since(signalled).Round(time.Millisecond))
	assert.Contains(f.t, log, "kami stopped\n")
	assert.NotContains(f.t, log, "ERROR")
}

// crowd has clients that talk without a pause, four in each room.
type crowd struct {
	t              *testing.T
	limit          time.Duration // of a call
	clients        []*client
	said, failed   atomic.Int64
	stopped        chan struct{}
	talking        sync.WaitGroup
	mu             sync.Mutex
	spoken         map[string][]string // lines that were answered, by room
	failures       map[string]int
	mostOfOne      int // failures of one client
	unclear, wrong []string
}

const (
	clients   = 24
	perRoom   = 4
	talkPause = 2 * time.Millisecond
)

func newCrowd(t *testing.T, f *farm, limit time.Duration) *crowd {
	c := &crowd{t: t, limit: limit, stopped: make(chan struct{}), spoken: make(map[string][]string), failures: make(map[string]int)}
	for i := range clients {
		c.clients = append(c.clients, dial(t, f.address, fmt.Sprint("client ", i), fmt.Sprint("room ", i/perRoom)))
	}
	for _, one := range c.clients {
		c.talking.Go(func() { c.talk(one) })
	}
	c.work("at the start")
	return c
}

// talk has a client talk until stop.
func (c *crowd) talk(one *client) {
	for n, failed := 0, 0; ; n++ {
		select {
		case <-c.stopped:
			return
		case <-time.After(talkPause):
		}
		text := fmt.Sprint(n)
		ctx, cancel := context.WithTimeout(context.Background(), c.limit)
		got, err := one.say(ctx, say{text})
		if err == nil && n%10 == 0 {
			_, err = one.enter(ctx, enter{one.name, one.room})
		}
		cancel()
		c.mu.Lock()
		switch {
		case err != nil:
			failed++
			c.mostOfOne = max(c.mostOfOne, failed)
			c.failures[err.Error()]++
			if !isClear(err) {
				c.unclear = append(c.unclear, err.Error())
			}
		case got.From != one.name || got.Text != text:
			c.wrong = append(c.wrong, fmt.Sprintf("%s said %s, and the answer is %v", one.name, text, got))
		default:
			c.spoken[one.room] = append(c.spoken[one.room], one.name+": "+text)
		}
		c.mu.Unlock()
		if err != nil {
			c.failed.Add(1)
		} else {
			c.said.Add(1)
		}
	}
}

// isClear reports whether an error says that a server is away, or late.
func isClear(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var coder endpoint.StatusCoder
	return errors.As(err, &coder) && (coder.StatusCode() == 503 || coder.StatusCode() == 504)
}

// work waits until all clients say lines that are answered.
func (c *crowd) work(when string) {
	c.t.Helper()
	before := make([]int, len(c.clients))
	mine := func(i int) (n int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, l := range c.spoken[c.clients[i].room] {
			if strings.HasPrefix(l, c.clients[i].name+": ") {
				n++
			}
		}
		return n
	}
	for i := range before {
		before[i] = mine(i)
	}
	for i := range before {
		until(c.t, c.clients[i].name+" is answered "+when, func() bool { return mine(i) > before[i]+5 })
	}
}

// stop ends the talking, and logs what came of it.
func (c *crowd) stop() {
	close(c.stopped)
	c.talking.Wait()
	c.t.Logf("%d calls were answered, %d failed: %v", c.said.Load(), c.failed.Load(), c.failures)
	assert.Empty(c.t, c.unclear, "errors that do not say that a server is away")
	assert.Empty(c.t, c.wrong, "answers of other calls")
}

// unheard waits a while, and returns the lines that were answered and that a client of the room has not heard, or heard more than once.
func (c *crowd) unheard() (wrong []string) {
	c.mu.Lock()
	spoken := make(map[string][]string)
	for room, lines := range c.spoken {
		spoken[room] = slices.Clone(lines)
	}
	c.mu.Unlock()
	for end := time.Now().Add(patient / 3); ; time.Sleep(10 * time.Millisecond) {
		wrong = nil
		for _, one := range c.clients {
			times := make(map[string]int)
			for _, l := range one.lines() {
				times[l]++
			}
			for _, l := range spoken[one.room] {
				if times[l] != 1 {
					wrong = append(wrong, fmt.Sprintf("%s has heard %q %d times", one.name, l, times[l]))
				}
			}
		}
		if len(wrong) == 0 || time.Now().After(end) {
			return wrong
		}
	}
}

// TestD08Processes replaces all servers, one after the other, while clients talk. No call fails, all sessions are resumed, and no client
// misses a line or hears it twice.
func TestD08Processes(t *testing.T) {
	f := newFarm(t)
	c := newCrowd(t, f, patient)
	for i := range f.rooms {
		f.replace(f.rooms, i, "room")
		c.work("after a server of rooms was replaced")
	}
	assert.Empty(t, c.unheard())
	for i := range f.connectors {
		f.replace(f.connectors, i, "connector")
		c.work("after a connector was replaced")
	}
	c.stop()
	assert.Zero(t, c.failed.Load())
	back := 0
	for _, one := range c.clients {
		one.mu.Lock()
		assert.Equal(t, one.back, one.resumed, "%s is back, each time with its session", one.name)
		back += one.back
		one.mu.Unlock()
	}
	assert.GreaterOrEqual(t, back, clients, "clients that are back")
	t.Logf("%d times a client is back, always with its session", back)
	assert.Empty(t, c.unheard())
}

// TestD09Processes kills a server of rooms while clients talk, and then NATS.
func TestD09Processes(t *testing.T) {
	f := newFarm(t)
	c := newCrowd(t, f, 3*time.Second)
	f.rooms[0].Signal(os.Kill)
	killed := time.Now()
	c.work("after a server of rooms was killed")
	t.Logf("all are answered again %v after the kill, and %d calls have failed", time.Since(killed).Round(time.Millisecond), c.failed.Load())
	c.mu.Lock()
	assert.LessOrEqual(t, c.mostOfOne, 1, "of one client only the call in flight fails")
	c.mu.Unlock()

	fails := c.failed.Load()
	f.nats.Kill()
	until(t, "calls that fail while NATS is away", func() bool { return c.failed.Load() >= fails+clients })
	f.nats.Start(t)
	started := time.Now()
	c.work("after NATS was restarted")
	t.Logf("all are answered again %v after the start of NATS", time.Since(started).Round(time.Millisecond))
	c.stop()
	for _, one := range c.clients {
		assert.Zero(t, one.back, "clients of connectors that live stay connected")
	}
}
