package session_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

func TestS02Groups(t *testing.T) {
	var pool, other session.Pool
	pool.Join("f1", nil)
	ann, bob := bound(t, &pool, "ann"), sessiontest.Connect(&pool)
	room := pool.Group("room")
	members, err := room.Members(t.Context())
	require.NoError(t, err)
	assert.Empty(t, members)
	require.NoError(t, room.Broadcast(t.Context(), "n", 0), "nobody is there")
	require.NoError(t, room.Remove(t.Context(), ann.Session()))
	for range 2 {
		require.NoError(t, room.Add(t.Context(), ann.Session()))
	}
	require.NoError(t, pool.Group("room").Add(t.Context(), bob.Session()))
	require.NoError(t, pool.Group("hall").Add(t.Context(), bob.Session()))
	members, err = pool.Group("room").Members(t.Context())
	require.NoError(t, err)
	assert.ElementsMatch(t, []session.Member{{ann.Session().ID(), "ann", "f1"}, {bob.Session().ID(), "", "f1"}}, members)
	require.NoError(t, room.Broadcast(t.Context(), "n", 1))
	require.NoError(t, room.Remove(t.Context(), bob.Session()))
	require.NoError(t, room.Remove(t.Context(), bob.Session()))
	require.NoError(t, room.Broadcast(t.Context(), "n", 2))
	require.NoError(t, pool.Group("hall").Broadcast(t.Context(), "n", 3))
	assert.Equal(t, []int{1, 2}, numbers(t, ann))
	assert.Equal(t, []int{1, 3}, numbers(t, bob))

	foreign := sessiontest.Connect(&other).Session()
	for _, s := range []*session.Session{nil, foreign, backEnd(t, ann.Session())} {
		const refusal = `session: group "room": only sessions of its Pool can be members`
		assert.EqualError(t, room.Add(t.Context(), s), refusal)
		assert.EqualError(t, room.Remove(t.Context(), s), refusal, "a back end's copy would stay a member without a word")
	}
	ann.Cut()
	members, err = room.Members(t.Context())
	require.NoError(t, err)
	assert.Empty(t, members)
	assert.ErrorIs(t, room.Add(t.Context(), ann.Session()), session.ErrClosed)
	members, err = pool.Group("hall").Members(t.Context())
	require.NoError(t, err)
	assert.Len(t, members, 1)
	require.NoError(t, pool.Group("hall").Remove(t.Context(), bob.Session()))
}

// counting is a Link that counts pushes.
type counting struct{ pushes int }

func (c *counting) Push(context.Context, *message.Message) error { c.pushes++; return nil }
func (c *counting) Close(context.Context, string) error          { return nil }

// TestS05Broadcast checks that a broadcast to up to 10,000 sessions encodes once, pushes once to each, and allocates at most twice for
// each.
func TestS05Broadcast(t *testing.T) {
	for _, members := range []int{1, 100, 10_000} {
		var pool session.Pool
		group := pool.Group("all")
		links := make([]counting, members)
		for i := range links {
			require.NoError(t, group.Add(t.Context(), pool.Open(&links[i])))
		}
		encoded := 0
		require.NoError(t, group.Broadcast(t.Context(), "n", counter{&encoded}))
		assert.Equal(t, 1, encoded)
		for i := range links {
			require.Equal(t, 1, links[i].pushes)
		}
		if race {
			continue
		}
		allocations := testing.AllocsPerRun(5, func() { _ = group.Broadcast(t.Context(), "n", 1) })
		t.Logf("a broadcast to %d allocates %v times", members, allocations)
		assert.LessOrEqual(t, allocations, float64(2*members+10))
	}
}

// heap returns how many bytes are in use.
func heap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestS05Memory checks the memory of 10,000 sessions in 1,000 groups, with users and values, with and without tokens: at most 1,024
// bytes each, and less than 200 bytes each when they have ended.
func TestS05Memory(t *testing.T) {
	if race {
		t.Skip("the race detector takes memory too")
	}
	const sessions, groups = 10_000, 1_000
	links := make([]counting, sessions)
	uids := make([]string, sessions)
	for i := range uids {
		uids[i] = fmt.Sprint("user-", i)
	}
	for _, within := range []time.Duration{0, time.Hour} {
		pool := session.Pool{ResumeWithin: within}
		before := heap()
		for i := range links {
			s := pool.Open(&links[i])
			_ = s.Token()
			require.NoError(t, s.Bind(t.Context(), uids[i]))
			require.NoError(t, pool.Group(fmt.Sprint("room-", i%groups)).Add(t.Context(), s))
			level.Set(s, i)
			_ = s.Done()
			s.Begin()
			s.Returned(t.Context(), "a")
		}
		each := (int64(heap()) - int64(before)) / sessions
		t.Logf("with ResumeWithin %v, a session costs %d bytes", within, each)
		assert.LessOrEqual(t, each, int64(1024))
		require.NoError(t, pool.Close(t.Context(), "bye"))
		left := (int64(heap()) - int64(before)) / sessions
		t.Logf("a session that has ended costs %d bytes", left)
		assert.Less(t, left, int64(200), "the Pool's maps keep their size")
		runtime.KeepAlive(&pool)
	}
	runtime.KeepAlive(links)
}

// TestS05EmptyGroups checks that empty groups keep no memory.
func TestS05EmptyGroups(t *testing.T) {
	if race {
		t.Skip("the race detector takes memory too")
	}
	var pool session.Pool
	s := pool.Open(new(counting))
	before := heap()
	for i := range 100_000 {
		group := pool.Group(fmt.Sprint("room-", i))
		require.NoError(t, group.Add(t.Context(), s))
		require.NoError(t, group.Remove(t.Context(), s))
	}
	grown := int64(heap()) - int64(before)
	t.Logf("100,000 empty groups cost %d bytes", grown)
	assert.Less(t, grown, int64(100_000))
	runtime.KeepAlive(s)
}

func BenchmarkBroadcast(b *testing.B) {
	var pool session.Pool
	group := pool.Group("all")
	for range 1000 {
		if err := group.Add(b.Context(), pool.Open(new(counting))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = group.Broadcast(b.Context(), "n", 1)
	}
}
