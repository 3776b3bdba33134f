package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// hooks counts the calls of a Pool's hooks.
type hooks struct {
	mu                         sync.Mutex
	suspended, resumed, closed int
}

func (h *hooks) counts() [3]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return [3]int{h.suspended, h.resumed, h.closed}
}

// resumable returns a Pool whose sessions wait for a minute, and the counts of its hooks.
func resumable() (*session.Pool, *hooks) {
	h := new(hooks)
	count := func(n *int) func(*session.Session) {
		return func(*session.Session) {
			h.mu.Lock()
			defer h.mu.Unlock()
			*n++
		}
	}
	return &session.Pool{ResumeWithin: time.Minute, OnSuspend: count(&h.suspended), OnResume: count(&h.resumed), OnClose: count(&h.closed)}, h
}

// TestS06Resume checks that a client that comes back in time has its uid, values and groups, and gets the missed pushes once and in
// order.
func TestS06Resume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hooks := resumable()
		c := bound(t, pool, "ann")
		s := c.Session()
		level.Set(s, 7)
		group := pool.Group("room")
		require.NoError(t, group.Add(t.Context(), s))
		push(t, s, 1, 2)
		c.Cut()
		assert.Same(t, s, pool.ByUID("ann"))
		assert.Equal(t, 1, pool.Len())
		push(t, s, 3)
		require.NoError(t, group.Broadcast(t.Context(), "n", 4))
		missed, err := pool.Push(t.Context(), "n", 5, "ann")
		assert.Empty(t, missed)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2}, numbers(t, c))

		time.Sleep(59 * time.Second)
		require.True(t, c.Resume())
		assert.Same(t, s, c.Session())
		assert.Equal(t, 1, pool.Len())
		push(t, s, 6)
		assert.Equal(t, []int{1, 2, 3, 4, 5, 6}, numbers(t, c))
		n, _ := level.Get(s)
		assert.Equal(t, 7, n)
		assert.Equal(t, "ann", s.UID())
		members, err := group.Members(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []session.Member{{ID: s.ID(), UID: "ann"}}, members)
		assert.Equal(t, [3]int{1, 1, 0}, hooks.counts())

		time.Sleep(time.Hour) // the time limit of the pause no longer counts
		push(t, s, 7)
		assert.Equal(t, 7, numbers(t, c)[6])
		c.Cut()
		time.Sleep(time.Minute + 1)
		<-s.Done()
		assert.Equal(t, [3]int{2, 1, 1}, hooks.counts())
	})
}

func TestS06NothingPushedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := resumable()
		c := sessiontest.Connect(pool)
		s := c.Session()
		assert.True(t, c.Resume())
		push(t, s, 1)
		assert.Same(t, s, c.Session())
		assert.Equal(t, []int{1}, numbers(t, c))
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

func TestS06TwiceInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hooks := resumable()
		c := sessiontest.Connect(pool)
		s := c.Session()
		for i := range 5 {
			c.Cut()
			push(t, s, 2*i)
			require.True(t, c.Resume())
			require.True(t, c.Resume())
			push(t, s, 2*i+1)
		}
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, numbers(t, c))
		assert.Equal(t, [3]int{10, 10, 0}, hooks.counts())
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06Quiet checks that a client can resume after hours without pushes, because kept pushes do not expire.
func TestS06Quiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := resumable()
		c := sessiontest.Connect(pool)
		push(t, c.Session(), 1)
		time.Sleep(5 * time.Hour)
		c.Cut()
		push(t, c.Session(), 2)
		require.True(t, c.Resume())
		assert.Equal(t, []int{1, 2}, numbers(t, c))
		time.Sleep(5 * time.Hour)
		require.True(t, c.Resume())
		assert.Equal(t, []int{1, 2}, numbers(t, c))
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

func TestS06TooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hooks := resumable()
		c := bound(t, pool, "ann")
		s := c.Session()
		c.Cut()
		time.Sleep(time.Minute + 1)
		assert.Equal(t, [3]int{1, 0, 1}, hooks.counts())
		assert.ErrorIs(t, s.Push(t.Context(), "n", 1), session.ErrClosed)
		require.False(t, c.Resume())
		assert.NotSame(t, s, c.Session())
		assert.Empty(t, c.Session().UID())
		assert.Nil(t, pool.ByUID("ann"))
		push(t, c.Session(), 2)
		assert.Equal(t, []int{2}, numbers(t, c))
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06MoreThanIsKept checks that a client cannot resume if it has missed more pushes than are kept, by number or by size.
func TestS06MoreThanIsKept(t *testing.T) {
	large := strings.Repeat("x", 300<<10)
	for name, test := range map[string]struct {
		keep      int
		value     any
		missed    int
		recovered bool
	}{
		"as many":               {3, 1, 3, true},
		"one more":              {3, 1, 4, false},
		"as many by default":    {0, 1, 300, true},
		"one more by default":   {0, 1, 301, false},
		"nearly a megabyte":     {0, large, 3, true},
		"more than that":        {0, large, 4, false},
		"one that is too large": {0, strings.Repeat("x", 1<<20), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool, hooks := resumable()
				pool.Keep = test.keep
				c := bound(t, pool, "ann")
				s := c.Session()
				c.Cut()
				for range test.missed {
					require.NoError(t, s.Push(t.Context(), "v", test.value))
				}
				require.Equal(t, test.recovered, c.Resume())
				if test.recovered {
					assert.Len(t, c.Pushed(), test.missed)
					assert.NoError(t, pool.Close(t.Context(), "bye"))
					return
				}
				<-s.Done() // the session has ended, because no client can resume it
				assert.Empty(t, c.Pushed())
				assert.Equal(t, [3]int{1, 0, 1}, hooks.counts())
				assert.Equal(t, 1, pool.Len())
				assert.NoError(t, pool.Close(t.Context(), "bye"))
			})
		})
	}
}

// TestS06MoreThanWasPushed checks that a client cannot resume with the number of a push that there was not.
func TestS06MoreThanWasPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := resumable()
		c := sessiontest.Connect(pool)
		push(t, c.Session(), 1)
		token := c.Session().Token()
		c.Cut()
		s, missed, recovered := pool.Resume(token, 2, new(recorder))
		assert.False(t, recovered)
		assert.Empty(t, missed)
		assert.NotSame(t, c.Session(), s)
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06TwoConnectionsAtOnce checks that if two connections show one token, the later one gets the session, and that the end of the
// other connection does not suspend it.
func TestS06TwoConnectionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hooks := resumable()
		s := pool.Open(new(recorder))
		token := s.Token()
		s.Detach()
		links := []*recorder{new(recorder), new(recorder)}
		for _, link := range links {
			got, _, recovered := pool.Resume(token, 0, link)
			require.True(t, recovered)
			require.Same(t, s, got)
			got.Resumed(link)
		}
		assert.Equal(t, []string{"another connection has resumed the session"}, links[0].closed())
		s.Detach() // by the first connection
		assert.Equal(t, [3]int{1, 2, 0}, hooks.counts())
		push(t, s, 1)
		bodies, _ := links[0].got()
		assert.Empty(t, bodies)
		bodies, seqs := links[1].got()
		assert.Equal(t, []string{"1"}, bodies)
		assert.Equal(t, []uint64{1}, seqs)
		s.Detach()
		assert.Equal(t, [3]int{2, 2, 0}, hooks.counts())
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
	for range 50 {
		pool, hooks := resumable()
		s := pool.Open(new(recorder))
		token := s.Token()
		push(t, s, 0)
		s.Detach()
		push(t, s, 1, 2)
		links := []*recorder{new(recorder), new(recorder)}
		var all sync.WaitGroup
		for _, link := range links {
			all.Go(func() {
				got, missed, recovered := pool.Resume(token, 1, link)
				assert.True(t, recovered)
				assert.Same(t, s, got)
				assert.Equal(t, []string{"1", "2"}, texts(missed))
				got.Resumed(link)
			})
		}
		all.Wait()
		push(t, s, 3)
		var got [2][]string
		for i, link := range links {
			got[i], _ = link.got()
		}
		require.Len(t, append(got[0], got[1]...), 1, "one of them is pushed to")
		require.Len(t, append(links[0].closed(), links[1].closed()...), 1, "and the other is closed")
		require.Equal(t, 0, hooks.counts()[2])
		require.NoError(t, pool.Close(t.Context(), "bye"))
	}
}

// TestS06TheEarlierConnectionIsLate checks that Resumed of a connection has no effect if another connection has resumed the session
// since.
func TestS06TheEarlierConnectionIsLate(t *testing.T) {
	pool, _ := resumable()
	s := pool.Open(new(recorder))
	token := s.Token()
	s.Detach()
	push(t, s, 1)
	earlier, later := new(recorder), new(recorder)
	for _, link := range []*recorder{earlier, later} {
		_, missed, recovered := pool.Resume(token, 0, link)
		require.True(t, recovered)
		assert.Equal(t, []string{"1"}, texts(missed))
	}
	push(t, s, 2)
	s.Resumed(earlier)
	for _, link := range []*recorder{earlier, later} {
		bodies, _ := link.got()
		assert.Empty(t, bodies, "2 comes after the answer and 1")
	}
	s.Resumed(later)
	bodies, seqs := later.got()
	assert.Equal(t, []string{"2"}, bodies)
	assert.Equal(t, []uint64{2}, seqs)
	assert.NoError(t, pool.Close(t.Context(), "bye"))
}

// TestS06WrongTokens checks that unknown tokens and tokens of ended sessions are answered in the same way.
func TestS06WrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, hooks := resumable()
		c := bound(t, pool, "ann")
		token := c.Session().Token()
		require.NotEmpty(t, token)
		other, _ := resumable()
		gone := sessiontest.Connect(pool)
		old := gone.Session().Token()
		require.NoError(t, gone.Session().Kick(t.Context(), "out"))
		for _, wrong := range []string{"", "x", token[1:], strings.ToLower(token), token + "x", sessiontest.Connect(other).Session().Token(), old} {
			for _, seq := range []uint64{0, 1, 1 << 63} {
				link := new(recorder)
				opened := pool.Open(link)
				s, missed, recovered := pool.Resume(wrong, seq, link)
				assert.Same(t, opened, s)
				assert.Empty(t, missed)
				assert.False(t, recovered)
				assert.Empty(t, s.UID())
				assert.NotContains(t, []string{"", token, wrong}, s.Token())
				s.Resumed(link)
			}
		}
		_, closed := c.Closed()
		assert.False(t, closed)
		assert.Equal(t, [3]int{0, 0, 1}, hooks.counts())
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06WithoutToken checks that a session ends with its connection if it has no token, or if the Pool has no ResumeWithin.
func TestS06WithoutToken(t *testing.T) {
	pool, hooks := resumable()
	s := pool.Open(new(recorder))
	push(t, s, 1)
	s.Detach()
	<-s.Done()
	assert.Equal(t, [3]int{0, 0, 1}, hooks.counts())
	assert.Empty(t, s.Token())

	var without session.Pool
	c := sessiontest.Connect(&without)
	assert.Empty(t, c.Session().Token())
	old := c.Session()
	assert.False(t, c.Resume())
	<-old.Done()
	assert.Equal(t, 1, without.Len())
}

// TestS06LateToken checks that pushes are kept only after the first call of Token.
func TestS06LateToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seq, want := range map[uint64]bool{0: false, 1: false, 2: true, 3: true} {
			pool, _ := resumable()
			s := pool.Open(new(recorder))
			push(t, s, 1, 2)
			token := s.Token()
			assert.Equal(t, token, s.Token())
			push(t, s, 3)
			assert.EqualValues(t, 3, s.Seq())
			s.Detach()
			_, _, recovered := pool.Resume(token, seq, new(recorder))
			assert.Equal(t, want, recovered, seq)
			assert.NoError(t, pool.Close(t.Context(), "bye"))
		}
	})
}

// TestS06AnswerFirst checks that pushes wait until the transport has answered Resume, whether it has recovered or not.
func TestS06AnswerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := resumable()
		pool.OnResume = func(s *session.Session) { push(t, s, "hello again") }
		for _, recovers := range []bool{true, false} {
			token := ""
			if recovers {
				s := pool.Open(new(recorder))
				token = s.Token()
				push(t, s, 1)
				s.Detach()
				push(t, s, 2)
			}
			link := new(recorder)
			opened := pool.Open(link)
			push(t, opened, "welcome")
			s, missed, recovered := pool.Resume(token, 1, link)
			require.Equal(t, recovers, recovered)
			seq := s.Seq()
			push(t, s, 3)
			bodies, _ := link.got()
			assert.Equal(t, []string{`"welcome"`}, bodies, "from OnConnect")
			assert.Equal(t, seq, s.Seq())
			s.Resumed(link)
			s.Resumed(link)
			push(t, s, 4)
			bodies, seqs := link.got()
			if recovers {
				assert.Equal(t, []string{"2"}, texts(missed))
				assert.EqualValues(t, 2, seq)
				assert.Equal(t, []string{`"welcome"`, `"hello again"`, "3", "4"}, bodies)
				assert.Equal(t, []uint64{1, 3, 4, 5}, seqs)
			} else {
				assert.EqualValues(t, 1, seq)
				assert.Equal(t, []string{`"welcome"`, "3", "4"}, bodies)
				assert.Equal(t, []uint64{1, 2, 3}, seqs)
			}
		}
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06AnswerAfterAPushThatIsGiven checks that Resume waits for a push that the Link is given meanwhile, so that the answer's number
// includes it.
func TestS06AnswerAfterAPushThatIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := resumable()
		proceed := make(chan bool)
		link := &recorder{push: func(context.Context, *message.Message) error { <-proceed; return nil }}
		opened := pool.Open(link)
		go func() { _ = opened.Push(t.Context(), "n", 1) }()
		synctest.Wait()
		push(t, opened, 2)
		seqs := make(chan uint64)
		go func() {
			s, _, _ := pool.Resume("", 0, link)
			seqs <- s.Seq()
		}()
		synctest.Wait()
		close(proceed)
		assert.EqualValues(t, 1, <-seqs)
		bodies, _ := link.got()
		assert.Equal(t, []string{"1"}, bodies)
		opened.Resumed(link)
		bodies, _ = link.got()
		assert.Equal(t, []string{"1", "2"}, bodies)
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06OldLinkHangs checks that a session can move from a connection whose Link hangs in a push.
func TestS06OldLinkHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := resumable()
		proceed := make(chan bool)
		old := &recorder{push: func(context.Context, *message.Message) error { <-proceed; return nil }}
		s := pool.Open(old)
		token := s.Token()
		go func() { _ = s.Push(t.Context(), "n", 1) }()
		synctest.Wait()
		push(t, s, 2)
		link := new(recorder)
		_, missed, recovered := pool.Resume(token, 0, link)
		require.True(t, recovered)
		assert.Equal(t, []string{"1", "2"}, texts(missed))
		s.Resumed(link)
		push(t, s, 3)
		bodies, _ := link.got()
		assert.Equal(t, []string{"3"}, bodies)
		close(proceed)
		synctest.Wait()
		bodies, _ = old.got()
		assert.Equal(t, []string{"1"}, bodies, "the old connection gets nothing else but its end")
		assert.Len(t, old.closed(), 1)
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
}

// TestS06KickBeforeResumed checks that a session can be kicked before Resumed, and that its Link then gets no pushes.
func TestS06KickBeforeResumed(t *testing.T) {
	pool, hooks := resumable()
	link := new(recorder)
	s, _, _ := pool.Resume("", 0, link)
	push(t, s, 1)
	require.NoError(t, s.Kick(t.Context(), "out"))
	bodies, _ := link.got()
	assert.Empty(t, bodies)
	assert.Equal(t, []string{"out"}, link.closed())
	s.Resumed(link)
	s.Detach()
	assert.Equal(t, [3]int{0, 0, 1}, hooks.counts())
	assert.NoError(t, s.Kick(t.Context(), "again"))
	assert.Len(t, link.closed(), 1)
}

// TestS06OwnToken checks that a connection that shows the token of its current session keeps the session, and gets no push again.
func TestS06OwnToken(t *testing.T) {
	pool, hooks := resumable()
	link := new(recorder)
	s := pool.Open(link)
	push(t, s, 1)
	got, missed, recovered := pool.Resume(s.Token(), 0, link)
	assert.Same(t, s, got)
	assert.Empty(t, missed)
	assert.False(t, recovered)
	assert.Empty(t, link.closed())
	s.Resumed(link)
	push(t, s, 2)
	bodies, _ := link.got()
	assert.Equal(t, []string{"1", "2"}, bodies)
	assert.Equal(t, [3]int{}, hooks.counts())
	assert.NoError(t, pool.Close(t.Context(), "bye"))
}

// TestS06CutAgainAndAgain checks that a client whose connection is cut all the time gets each push once, in order.
func TestS06CutAgainAndAgain(t *testing.T) {
	const pushes = 3000
	pool, hooks := resumable()
	pool.Keep = pushes
	c := sessiontest.Connect(pool)
	s := c.Session()
	var pushers sync.WaitGroup
	pushers.Go(func() {
		for i := range pushes {
			assert.NoError(t, s.Push(t.Context(), "n", i))
		}
	})
	done := make(chan bool)
	go func() { pushers.Wait(); close(done) }()
	cuts := 0
	for pushing := true; pushing; cuts++ {
		select {
		case <-done:
			pushing = false
		default:
		}
		if cuts%2 == 0 {
			c.Cut()
		}
		require.True(t, c.Resume())
	}
	for len(c.Pushed()) < pushes { // another goroutine may still give the last pushes
		_, err := c.Next(t.Context())
		require.NoError(t, err)
	}
	for i, n := range numbers(t, c) {
		require.Equal(t, i, n)
	}
	assert.Len(t, c.Pushed(), pushes)
	t.Logf("%d cuts", cuts)
	assert.Equal(t, [3]int{cuts, cuts, 0}, hooks.counts())
	assert.NoError(t, pool.Close(t.Context(), "bye"))
}

// TestS06HandlersOfTheOldConnection checks that OnClose waits for a handler that began before its session moved to another connection.
func TestS06HandlersOfTheOldConnection(t *testing.T) {
	pool, hooks := resumable()
	c := sessiontest.Connect(pool)
	s := c.Session()
	require.True(t, s.Begin())
	require.True(t, c.Resume())
	require.NoError(t, s.Kick(t.Context(), "out"))
	assert.Equal(t, [3]int{1, 1, 0}, hooks.counts())
	s.Returned(t.Context(), "a")
	assert.Equal(t, [3]int{1, 1, 1}, hooks.counts())
}

// TestS02SuspendedIsSpared binds a new connection to the uid of a session that waits. It checks that the connection's first message
// ends the waiting session, unless the message resumes it.
func TestS02SuspendedIsSpared(t *testing.T) {
	newcomer := func(t *testing.T, pool *session.Pool) (old *session.Session, s *session.Session, link *recorder) {
		c := bound(t, pool, "ann")
		c.Cut()
		link = new(recorder)
		s = pool.Open(link)
		require.NoError(t, s.Bind(t.Context(), "ann"))
		assert.Same(t, s, pool.ByUID("ann"))
		assert.Equal(t, 2, pool.Len())
		return c.Session(), s, link
	}
	t.Run("resumes", func(t *testing.T) {
		pool, hooks := resumable()
		old, s, link := newcomer(t, pool)
		got, _, recovered := pool.Resume(old.Token(), 0, link)
		assert.True(t, recovered)
		assert.Same(t, old, got)
		assert.Same(t, old, pool.ByUID("ann"))
		assert.Nil(t, pool.ByID(s.ID()))
		<-s.Done()
		s.Detach()
		assert.Equal(t, [3]int{1, 1, 0}, hooks.counts(), "no OnClose for a session that was no one")
		assert.Empty(t, link.closed())
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
	t.Run("is not known to be gone", func(t *testing.T) { // for example after a change of network
		for resumes, want := range map[bool][3]int{true: {0, 1, 0}, false: {0, 0, 1}} {
			pool, hooks := resumable()
			c, link := bound(t, pool, "ann"), new(recorder)
			old, token := c.Session(), c.Session().Token()
			s := pool.Open(link)
			require.NoError(t, s.Bind(t.Context(), "ann"))
			select {
			case <-old.Done():
				t.Fatal("its client may just be coming back")
			default:
			}
			if !resumes {
				assert.True(t, s.Begin())
				<-old.Done()
				assert.Same(t, s, pool.ByUID("ann"))
			} else if got, _, recovered := pool.Resume(token, 0, link); assert.True(t, recovered) {
				assert.Same(t, old, got)
				assert.Same(t, old, pool.ByUID("ann"))
				got.Resumed(link)
			}
			assert.Equal(t, 1, pool.Len())
			assert.Equal(t, want, hooks.counts())
			assert.NoError(t, pool.Close(t.Context(), "bye"))
		}
	})
	for name, first := range map[string]func(*session.Pool, *session.Session, *recorder){
		"a call":      func(_ *session.Pool, s *session.Session, _ *recorder) { s.Begin() },
		"a token":     func(_ *session.Pool, s *session.Session, _ *recorder) { s.Token() },
		"no token":    func(pool *session.Pool, _ *session.Session, link *recorder) { pool.Resume("", 0, link) },
		"wrong token": func(pool *session.Pool, _ *session.Session, link *recorder) { pool.Resume("x", 0, link) },
	} {
		t.Run(name, func(t *testing.T) {
			pool, hooks := resumable()
			old, s, link := newcomer(t, pool)
			first(pool, s, link)
			<-old.Done()
			assert.Same(t, s, pool.ByUID("ann"))
			assert.Equal(t, 1, pool.Len())
			assert.Equal(t, [3]int{1, 0, 1}, hooks.counts())
			assert.NoError(t, pool.Close(t.Context(), "bye"))
		})
	}
	t.Run("goes without a message", func(t *testing.T) {
		pool, hooks := resumable()
		old, s, _ := newcomer(t, pool)
		s.Detach()
		assert.Same(t, old, pool.ByUID("ann"))
		assert.Equal(t, [3]int{1, 0, 1}, hooks.counts())
		_, _, recovered := pool.Resume(old.Token(), 0, new(recorder))
		assert.True(t, recovered)
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
	t.Run("a third connection", func(t *testing.T) {
		pool, _ := resumable()
		old, s, link := newcomer(t, pool)
		third := pool.Open(new(recorder))
		require.NoError(t, third.Bind(t.Context(), "ann"))
		<-s.Done()
		assert.Equal(t, []string{"another session of the user has begun"}, link.closed())
		assert.Equal(t, 2, pool.Len(), "it spares it too")
		assert.Same(t, third, pool.ByUID("ann"))
		third.Begin()
		<-old.Done()
		assert.Equal(t, 1, pool.Len())
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
	t.Run("resumed by another", func(t *testing.T) {
		pool, _ := resumable()
		old, s, _ := newcomer(t, pool)
		_, _, recovered := pool.Resume(old.Token(), 0, new(recorder))
		assert.True(t, recovered)
		s.Begin()
		<-old.Done()
		assert.Same(t, s, pool.ByUID("ann"))
		assert.Equal(t, 1, pool.Len())
		assert.NoError(t, pool.Close(t.Context(), "bye"))
	})
	t.Run("ends meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pool, _ := resumable()
			old, s, _ := newcomer(t, pool)
			time.Sleep(time.Minute + 1)
			<-old.Done()
			assert.Same(t, s, pool.ByUID("ann"))
			s.Detach()
			assert.Nil(t, pool.ByUID("ann"))
			assert.Zero(t, pool.Len())
		})
	})
}
