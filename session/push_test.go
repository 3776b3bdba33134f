package session_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// counter counts how often it is encoded.
type counter struct{ encoded *int }

func (c counter) MarshalJSON() ([]byte, error) { *c.encoded++; return []byte("1"), nil }

func TestS04PushErrors(t *testing.T) {
	var pool session.Pool
	c := bound(t, &pool, "ann")
	s := c.Session()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	for want, push := range map[string]func() error{
		"session: pushing: message: the route is empty":                    func() error { return s.Push(t.Context(), "", 1) },
		`session: pushing: message: route "a..b": a segment is empty`:      func() error { return s.Push(t.Context(), "a..b", 1) },
		`session: encoding the push "a": json: unsupported type: chan int`: func() error { return s.Push(t.Context(), "a", make(chan int)) },
		`session: pushing "a": gone`:                                       func() error { return s.Push(ended, "a", 1) },
		`session: encoding the push "b": json: unsupported type: chan int`: func() error { return pool.Group("g").Broadcast(t.Context(), "b", make(chan int)) },
		`session: encoding the push "c": json: unsupported type: chan int`: func() error {
			missed, err := pool.Push(t.Context(), "c", make(chan int), "ann", "bob")
			assert.Empty(t, missed)
			return err
		},
	} {
		assert.EqualError(t, push(), want)
	}
	assert.Empty(t, c.Pushed())
	require.NoError(t, s.Kick(t.Context(), "out"))
	assert.ErrorIs(t, s.Push(t.Context(), "a", 1), session.ErrClosed)
}

func TestS04PoolPush(t *testing.T) {
	var pool session.Pool
	ann, bob, encoded := bound(t, &pool, "ann"), bound(t, &pool, "bob"), 0
	missed, err := pool.Push(t.Context(), "n", counter{&encoded}, "ann", "cid", "bob", "")
	require.NoError(t, err)
	assert.Equal(t, []string{"cid", ""}, missed)
	assert.Equal(t, 1, encoded)
	assert.Equal(t, []int{1}, numbers(t, ann))
	assert.Equal(t, []int{1}, numbers(t, bob))
}

// TestS04Order has many goroutines push to one session. It checks that the pushes are numbered in the order of delivery, and that the
// pushes of each goroutine are in order.
func TestS04Order(t *testing.T) {
	const pushers, each = 8, 200
	synctest.Test(t, func(t *testing.T) {
		var within atomic.Int32
		var pool session.Pool
		link := &recorder{push: func(context.Context, *message.Message) error {
			assert.EqualValues(t, 1, within.Add(1), "one at a time")
			within.Add(-1)
			return nil
		}}
		s := pool.Open(link)
		for pusher := range pushers {
			go func() {
				for i := range each {
					assert.NoError(t, s.Push(t.Context(), "n", [2]int{pusher, i}))
				}
			}()
		}
		synctest.Wait()
		bodies, seqs := link.got()
		require.Len(t, bodies, pushers*each)
		next := map[int]int{}
		for i, body := range bodies {
			var pusher, n int
			_, err := fmt.Sscanf(body, "[%d,%d]", &pusher, &n)
			require.NoError(t, err)
			require.Equal(t, next[pusher], n)
			next[pusher]++
			require.EqualValues(t, i+1, seqs[i])
		}
	})
}

// TestS04SlowLink checks that no other goroutine waits for a Link that does not return from Push.
func TestS04SlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool session.Pool
		proceed := make(chan bool)
		link := &recorder{push: func(context.Context, *message.Message) error { <-proceed; return nil }}
		slow, fast := pool.Open(link), sessiontest.Connect(&pool)
		group := pool.Group("g")
		require.NoError(t, group.Add(t.Context(), slow))
		require.NoError(t, group.Add(t.Context(), fast.Session()))
		first := make(chan error)
		go func() { first <- slow.Push(t.Context(), "n", 0) }()
		synctest.Wait()
		for i := 1; i < 4; i++ {
			require.NoError(t, group.Broadcast(t.Context(), "n", i))
		}
		assert.Equal(t, []int{1, 2, 3}, numbers(t, fast))
		require.NoError(t, slow.Kick(t.Context(), "enough"), "a session ends although its Link hangs")
		assert.Equal(t, 1, pool.Len())
		assert.Empty(t, link.closed())
		proceed <- true
		assert.NoError(t, <-first, "who has pushed first does not push for the others")
		close(proceed)
		synctest.Wait()
		bodies, seqs := link.got()
		assert.Equal(t, []string{"0", "1", "2", "3"}, bodies)
		assert.Equal(t, []uint64{1, 2, 3, 4}, seqs)
		assert.Equal(t, []string{"enough"}, link.closed(), "after what was pushed before")
	})
}

// TestS04LinkThatFails checks that a Link that has returned an error or panicked gets no more pushes, only Close.
func TestS04LinkThatFails(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("boom") },
		"panic": func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			log, text := logs()
			pool := session.Pool{ResumeWithin: time.Hour, Log: log}
			calls := 0
			link := &recorder{push: func(context.Context, *message.Message) error { calls++; return fail() }}
			s := pool.Open(link)
			assert.ErrorContains(t, s.Push(t.Context(), "n", 1), "boom")
			assert.ErrorContains(t, s.Push(t.Context(), "n", 2), "session: the connection takes no pushes: ")
			require.NoError(t, s.Bind(t.Context(), "ann"))
			missed, err := pool.Push(t.Context(), "n", 2, "ann")
			assert.Equal(t, []string{"ann"}, missed)
			assert.NoError(t, err)
			require.NotEmpty(t, s.Token())
			seq := s.Seq()
			assert.NoError(t, s.Push(t.Context(), "n", 3), "it is kept")
			assert.Equal(t, 1, calls)
			_, missedPushes, recovered := pool.Resume(s.Token(), seq, new(recorder))
			assert.True(t, recovered)
			assert.Equal(t, []string{"3"}, texts(missedPushes))
			assert.Len(t, link.closed(), 1)
			assert.Equal(t, name == "panic", strings.Contains(text.String(), `"in":"Link"`), text)
			require.NoError(t, pool.Close(t.Context(), "bye"))
		})
	}
}

// TestS04LinkThatEndsItsGoroutine has a Link that ends the goroutine of a pusher or of the session, as t.FailNow does. It checks that
// the Link gets no more pushes, only Close, and that no goroutine waits for it.
func TestS04LinkThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hooks := resumable()
		for _, where := range []string{"push", "queue", "close"} {
			proceed := make(chan bool)
			link := new(recorder)
			link.push = func(ctx context.Context, _ *message.Message) error {
				<-proceed
				if where == "push" || where == "queue" && session.Seq(ctx) == 2 {
					runtime.Goexit()
				}
				return nil
			}
			link.close = func() {
				if where == "close" {
					runtime.Goexit()
				}
			}
			s := pool.Open(link)
			token := s.Token()
			go func() { _ = s.Push(t.Context(), "n", 1) }()
			synctest.Wait()
			push(t, s, 2, 3)
			close(proceed)
			synctest.Wait()
			if where == "close" {
				go func() { _ = s.Kick(t.Context(), "out") }()
				synctest.Wait()
				assert.Equal(t, 1, hooks.counts()[2])
				continue
			}
			push(t, s, 4)
			again := new(recorder)
			_, missed, recovered := pool.Resume(token, 0, again)
			require.True(t, recovered)
			assert.Len(t, missed, 4)
			assert.Len(t, link.closed(), 1)
			s.Resumed(again)
			push(t, s, 5)
			_, seqs := again.got()
			assert.Equal(t, []uint64{5}, seqs)
		}
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS04FailureWithMoreInTheQueue has a Link that fails while pushes and a Kick wait. It checks that the Link gets only Close.
func TestS04FailureWithMoreInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool session.Pool
		proceed := make(chan bool)
		link := &recorder{push: func(context.Context, *message.Message) error { <-proceed; return errors.New("boom") }}
		s := pool.Open(link)
		first := make(chan error)
		go func() { first <- s.Push(t.Context(), "n", 0) }()
		synctest.Wait()
		push(t, s, 1, 2)
		require.NoError(t, s.Kick(t.Context(), "out"))
		proceed <- true
		assert.EqualError(t, <-first, `session: pushing "n": boom`)
		synctest.Wait()
		bodies, _ := link.got()
		assert.Empty(t, bodies)
		assert.Equal(t, []string{"out"}, link.closed())
	})
}

type ctxKey struct{}

// TestS04ContextOfPushes checks that the context of a push that has its number has no end, but has the values of the pusher's context.
func TestS04ContextOfPushes(t *testing.T) {
	var pool session.Pool
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), ctxKey{}, "trace"), time.Hour)
	s := pool.Open(&recorder{push: func(ctx context.Context, _ *message.Message) error {
		cancel()
		assert.NoError(t, ctx.Err())
		assert.Nil(t, ctx.Done())
		_, limited := ctx.Deadline()
		assert.False(t, limited)
		assert.Equal(t, "trace", ctx.Value(ctxKey{}))
		assert.EqualValues(t, 1, session.Seq(ctx))
		return nil
	}})
	assert.NoError(t, s.Push(ctx, "n", 1))
}

// TestS04NoLockIsHeld calls the methods of Session, Pool and Group from each place where code of the app or of a transport runs. If a
// lock was held there, the calls would deadlock.
func TestS04NoLockIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool session.Pool
		var s *session.Session
		visits := map[string]*atomic.Bool{}
		for _, where := range []string{"OnBind", "Link", "push", "value", "OnSuspend", "OnResume", "OnClose"} {
			visits[where] = new(atomic.Bool)
		}
		visit := func(where string) {
			if s != nil && visits[where].CompareAndSwap(false, true) { // only once, because everything leads to other visits
				everything(t, &pool, s)
			}
		}
		pool = session.Pool{
			ResumeWithin: time.Hour,
			OnBind:       func(context.Context, *session.Session, string) error { visit("OnBind"); return nil },
			OnSuspend:    func(*session.Session) { visit("OnSuspend") },
			OnResume:     func(*session.Session) { visit("OnResume") },
			OnClose:      func(*session.Session) { visit("OnClose") },
		}
		link := &recorder{push: func(context.Context, *message.Message) error { visit("Link"); return nil }}
		s = pool.Open(link)
		token := s.Token()
		for _, step := range []func(){
			func() { require.NoError(t, s.Bind(t.Context(), "ann")) },
			func() {
				require.NoError(t, s.Push(t.Context(), "n", marshaler(func() { visit("push") })))
			},
			func() {
				session.NewKey[marshaler]("m").Set(s, func() { visit("value") })
				_, err := s.Snapshot()
				require.NoError(t, err)
			},
			s.Detach,
			func() { pool.Resume(token, s.Seq(), link) },
			func() { s.Resumed(link) },
			func() { require.NoError(t, s.Kick(t.Context(), "out")) },
		} {
			step()
			synctest.Wait()
		}
		for where, visited := range visits {
			assert.True(t, visited.Load(), where)
		}
		require.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// marshaler is a function that runs when it is encoded.
type marshaler func()

func (m marshaler) MarshalJSON() ([]byte, error) { m(); return []byte("1"), nil }

func everything(t *testing.T, pool *session.Pool, s *session.Session) {
	ctx := t.Context()
	_ = fmt.Sprint(s.ID(), s.UID(), s.Front(), s.Done(), s.Token(), s.Seq())
	_ = s.Push(ctx, "n", 0)
	_ = s.Bind(ctx, "ann")
	_ = s.Commit(ctx)
	level.Set(s, 1)
	level.Get(s)
	level.Delete(s)
	_ = s.Apply(raw("a", "1"))
	if s.Begin() {
		s.Returned(ctx, "a")
	}
	other := pool.Open(new(recorder))
	_ = other.Bind(ctx, "bob")
	_ = fmt.Sprint(pool.ByID(s.ID()), pool.ByUID("ann"), pool.Len(), slices.Collect(pool.All()))
	_, _ = pool.Push(ctx, "n", 0, "ann", "bob")
	g := pool.Group("g")
	_ = g.Add(ctx, s)
	_ = g.Add(ctx, other)
	_, _ = g.Members(ctx)
	_ = g.Broadcast(ctx, "n", 0)
	_ = g.Remove(ctx, s)
	_ = other.Kick(ctx, "out")
	pool.Claimed(ctx, session.Claim{UID: "nobody", ID: "1"})
}

// TestS04Concurrency calls these methods at once, for the race detector.
func TestS04Concurrency(t *testing.T) {
	var closed atomic.Int32
	pool := session.Pool{ResumeWithin: time.Hour, OnClose: func(*session.Session) { closed.Add(1) }}
	clients := make([]*sessiontest.Client, 6)
	for i := range clients {
		clients[i] = sessiontest.Connect(&pool)
	}
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for i := range 60 {
				c := clients[(worker+i)%len(clients)]
				s := c.Session()
				switch i % 8 {
				case 0:
					c.Cut()
				case 1:
					c.Resume()
				case 2:
					_ = s.Bind(t.Context(), fmt.Sprint("uid", i%3))
				case 3:
					_ = s.Kick(t.Context(), "out")
				case 4:
					_ = pool.Group("g").Broadcast(t.Context(), "n", i)
				default:
					everything(t, &pool, s)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, pool.Close(t.Context(), "bye"))
	assert.Zero(t, pool.Len())
	members, err := pool.Group("g").Members(t.Context())
	assert.NoError(t, err)
	assert.Empty(t, members)
	assert.Positive(t, closed.Load())
}
