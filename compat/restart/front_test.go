//go:build unix

package restart

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/compat/rolling"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/natsserver"
	"github.com/guregu/kami/internal/supervise"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

var sessions = flag.Int("sessions", 200, "sessions that are connected to a front of a cluster")

const (
	callers = 64                     // sessions that call without an end
	dialing = 32                     // sessions that connect at the same moment, at the start
	shouts  = 250 * time.Millisecond // between two broadcasts
)

// drainRate lets all sessions come back within four seconds. If all came at once, the test would see twice as many in a second as it
// allows. With Node's default of 1,000 it could not, because there are only 2,000 sessions.
func drainRate() int { return max(*sessions/4, 1) }

// member is a client with a session, which has joined.
type member struct {
	conn *peer.Conn

	mu              sync.Mutex
	back, recovered int
	ticks, shouts   []int // the numbers of those that have come, as they came
}

func (m *member) resumed(_ *peer.Conn, recovered bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.back++
	if recovered {
		m.recovered++
	}
}

func (m *member) hear(all *[]int, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*all = append(*all, n)
}

// amiss returns how many numbers from 0 to the last are missing or came twice, and how many came after a greater one.
func amiss(heard []int) (wrong, swapped int) {
	times := make(map[int]int)
	last := -1
	for _, n := range heard {
		times[n]++
		if n < last {
			swapped++
		}
		last = max(last, n)
	}
	for n := range last + 1 {
		if times[n] != 1 {
			wrong++
		}
	}
	return wrong, swapped
}

func join(ctx context.Context, url, name string) (*member, error) {
	m, pushes := new(member), kami.New()
	pushes.Post("/tick", endpoint.JSON(func(_ context.Context, id string) (struct{}, error) {
		_, number, _ := strings.Cut(id, "-")
		n, err := strconv.Atoi(number)
		m.hear(&m.ticks, n)
		return struct{}{}, err
	}))
	pushes.Post("/shout", endpoint.JSON(func(_ context.Context, n int) (struct{}, error) {
		m.hear(&m.shouts, n)
		return struct{}{}, nil
	}))
	node := &peer.Node{Name: "client", Version: "1.0.0", Handler: pushes, OnResume: m.resumed}
	var err error
	if m.conn, err = node.Dial(ctx, url, peer.Reconnect(peer.Backoff{})); err != nil {
		return nil, err
	}
	_, err = message.Remote[string, struct{}](m.conn, "front.join")(ctx, name)
	return m, err
}

// isKnown reports whether a back end finds the name in the session, as its user and as its value.
func (m *member) isKnown(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	names, err := message.Remote[struct{}, string](m.conn, "back.names")(ctx, struct{}{})
	return err == nil && names == name+" "+name
}

func (m *member) call(ctx context.Context, id string) (string, error) {
	return message.Remote[string, string](m.conn, "back.echo")(ctx, id)
}

func (m *member) close() {} // it goes on to hear

// crowd has all members.
type crowd []*member

func newCrowd(t *testing.T, url string) crowd {
	ctx, cancel := context.WithTimeout(t.Context(), 4*limit)
	defer cancel()
	c, errs := make(crowd, *sessions), make([]error, *sessions)
	var running sync.WaitGroup
	for first := range dialing {
		running.Go(func() {
			for i := first; i < len(c); i += dialing {
				c[i], errs[i] = join(ctx, url, strconv.Itoa(i))
			}
		})
	}
	running.Wait()
	t.Cleanup(func() {
		for _, m := range c {
			if m != nil && m.conn != nil {
				_ = m.conn.Close()
			}
		}
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	return c
}

// load has some of the members call, and one have numbers broadcast, until ctx ends.
func (c crowd) load(ctx context.Context) (r *result, shouted int) {
	next := make(chan *member, len(c))
	for _, m := range c {
		next <- m
	}
	failed := make(map[int]error)
	var running sync.WaitGroup
	running.Go(func() {
		for ; ctx.Err() == nil; shouted++ {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			if _, err := message.Remote[int, struct{}](c[len(c)-1].conn, "back.shout")(ctx, shouted); err != nil {
				failed[shouted] = err
			}
			cancel()
			time.Sleep(shouts)
		}
	})
	r = load(ctx, min(callers, len(c)), "", func(string, *result) client { return <-next })
	running.Wait()
	for n, err := range failed {
		r.add(fmt.Sprint("shout ", n), 0, err)
	}
	return r, shouted
}

// outcome has the results of the crowd.
type outcome struct {
	*result
	back, lost int      // sessions that are back, and those of them that are new ones
	unknown    int      // sessions that do not have their users and values at the end
	pushes     int      // that have come
	wrong      []string // that were lost or repeated
	swapped    int      // pushes that came after a later one
	most       int      // connections in a second
	logged     []string // errors of servers, and how they have ended if not well
}

func (o *outcome) String() string {
	return fmt.Sprintf("%v; %d times a session is back, %d of them not recovered, %d without user and value at the end; %d pushes, %d lost or repeated, %d out of order; at most %d connections in a second, 2 × DrainRate is %d",
		o.result, o.back, o.lost, o.unknown, o.pushes, len(o.wrong), o.swapped, o.most, 2*drainRate())
}

// look fills in what the members have seen. It waits a while for pushes that are missing.
func (o *outcome) look(c crowd, restarts, shouted int) {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		o.back, o.lost, o.pushes, o.wrong, o.swapped = 0, 0, 0, nil, 0
		ticks := 0
		missing := false
		for i, m := range c {
			m.mu.Lock()
			o.back, o.lost = o.back+m.back, o.lost+m.back-m.recovered
			o.pushes, ticks = o.pushes+len(m.ticks)+len(m.shouts), ticks+len(m.ticks)
			for _, heard := range [][]int{m.ticks, m.shouts} {
				wrong, swapped := amiss(heard)
				o.swapped += swapped
				if wrong > 0 {
					o.wrong = append(o.wrong, fmt.Sprintf("session %d has missed %d pushes, or heard them again", i, wrong))
				}
			}
			if len(m.shouts) != shouted || m.back < restarts {
				missing = true
				o.wrong = append(o.wrong, fmt.Sprintf("session %d has heard %d shouts of %d, and is back %d times", i, len(m.shouts), shouted, m.back))
			}
			m.mu.Unlock()
		}
		if ticks != o.echoed() {
			missing = true
			o.wrong = append(o.wrong, fmt.Sprintf("%d ticks were heard of %d", ticks, o.echoed()))
		}
		if !missing || o.lost > 0 || time.Now().After(end) {
			return
		}
	}
}

// echoed returns the number of calls that have pushed a tick, if none has failed.
func (o *outcome) echoed() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answered
}

// mostInASecond returns the largest number of times in a file that are within one second, after the beginning.
func mostInASecond(t *testing.T, file string, begin time.Time) (most int) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var times []int64
	for _, field := range strings.Fields(string(text)) {
		at, err := strconv.ParseInt(field, 10, 64)
		require.NoError(t, err)
		if at > begin.UnixNano() {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	first := 0
	for last, at := range times {
		for at-times[first] >= int64(time.Second) {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// replaceable starts a server of the cluster that can be replaced as with einhorn: the next one accepts connections on the same socket
// before this one is told to stop.
func replaceable(t *testing.T, env ...string) *supervise.Einhorn {
	program, err := os.Executable()
	require.NoError(t, err)
	s, err := supervise.NewEinhorn(supervise.Program{Path: program, Env: append(env, "GORACE=atexit_sleep_ms=0")})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.Start())
	rolling.Warm(t, s.Address())
	return s
}

// replace replaces servers at the same moment.
func (o *outcome) replace(t *testing.T, servers ...*supervise.Einhorn) {
	errs, olds := make([]error, len(servers)), make([]*supervise.Process, len(servers))
	var replacing sync.WaitGroup
	for i, s := range servers {
		olds[i] = s.Process()
		replacing.Go(func() { errs[i] = s.Upgrade() })
	}
	replacing.Wait()
	for i, s := range servers {
		require.NoError(t, errs[i])
		rolling.Warm(t, s.Address())
		exit := s.Exits[len(s.Exits)-1].String()
		if log := olds[i].Output(); strings.Contains(log, "ERROR") || exit != "exit status 0" {
			o.logged = append(o.logged, exit+"\n"+log)
		}
	}
}

// restartFronts replaces the front and the back end of a cluster under load: at the same moment, so that calls go to another back end
// while their sessions move, and then the back end alone.
func restartFronts(t *testing.T, restarts int, env ...string) *outcome {
	if testing.Short() {
		t.Skip("it builds nats-server")
	}
	n := natsserver.New(t, natsserver.Build(t))
	n.Start(t)
	file := filepath.Join(t.TempDir(), "accepted")
	env = append(env, natsVariable+"="+n.URL, rateVariable+"="+fmt.Sprint(drainRate()), acceptedVariable+"="+file)
	back := replaceable(t, append(slices.Clone(env), typeVariable+"=back")...)
	front := replaceable(t, append(slices.Clone(env), typeVariable+"=front")...)
	c := newCrowd(t, "ws://"+front.Address()+"/kite")

	begin := time.Now()
	ctx, end := context.WithCancel(t.Context())
	o, shouted := new(outcome), 0
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		o.result, shouted = c.load(ctx)
	}()
	defer func() {
		end()
		<-loaded
	}()
	for range restarts {
		o.replace(t, front, back)
		o.replace(t, back)
	}
	end()
	<-loaded
	o.look(c, restarts, shouted)
	for i, m := range c {
		if !m.isKnown(strconv.Itoa(i)) {
			o.unknown++
		}
	}
	o.most = mostInASecond(t, file, begin)
	t.Logf("%d sessions, %d restarts of the front and of the back end: %v", *sessions, restarts, o)
	return o
}

// TestFrontRestarts replaces a front with many sessions, and a back end, under load. No call fails. Each session comes back with its
// user, its value and all its pushes, each once. In no second do more sessions come back than twice the front's rate.
func TestFrontRestarts(t *testing.T) {
	o := restartFronts(t, *restarts)
	assert.Empty(t, o.logged, "errors of servers")
	assert.Zero(t, o.failed, "%s", strings.Join(o.failures, "\n"))
	assert.Greater(t, o.answered, *restarts*min(callers, *sessions))
	assert.Equal(t, *sessions**restarts, o.back, "times that a session is back")
	assert.Zero(t, o.lost, "sessions that were not recovered")
	assert.Zero(t, o.unknown, "sessions without their users and values")
	assert.Empty(t, o.wrong[:min(len(o.wrong), 10)], "pushes that were lost or repeated")
	assert.Zero(t, o.swapped, "pushes that came after later ones")
	if *sessions >= 1000 { // a busy machine that stalls for a second has what was to come in it come at once
		assert.LessOrEqual(t, o.most, 2*drainRate(), "connections in a second")
	}
}

// TestFrontRestartsWithoutGoaway is TestFrontRestarts, once, with a Node that sends no goaway. Calls and sessions are lost, and all
// clients come back at once, which shows that the test above can fail.
func TestFrontRestartsWithoutGoaway(t *testing.T) {
	o := restartFronts(t, 1, deafVariable+"=1")
	assert.NotZero(t, o.failed, "calls that have failed")
	assert.NotZero(t, o.lost, "sessions that were not recovered")
	assert.NotZero(t, o.unknown, "sessions without their users and values")
	assert.NotEmpty(t, o.wrong, "pushes that were lost")
}
