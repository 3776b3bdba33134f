package session_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// TestS02ClosingAnOldSession checks that no way to end an old session affects the newer session that has its uid.
func TestS02ClosingAnOldSession(t *testing.T) {
	var pool session.Pool
	old := bound(t, &pool, "ann")
	group := pool.Group("room")
	require.NoError(t, group.Add(t.Context(), old.Session()))
	ann := bound(t, &pool, "ann")
	reason, closed := old.Closed()
	assert.True(t, closed)
	assert.Equal(t, "another session of the user has begun", reason)
	<-old.Session().Done()
	for _, end := range []func(){
		old.Session().Detach, old.Cut, func() { _ = old.Session().Kick(t.Context(), "again") },
	} {
		end()
		assert.Same(t, ann.Session(), pool.ByUID("ann"))
		assert.Same(t, ann.Session(), pool.ByID(ann.Session().ID()))
		assert.Nil(t, pool.ByID(old.Session().ID()))
		assert.Equal(t, 1, pool.Len())
	}
	assert.Equal(t, "ann", old.Session().UID())
	members, err := group.Members(t.Context())
	assert.Empty(t, members)
	assert.NoError(t, err)
	ann.Cut()
	assert.Nil(t, pool.ByUID("ann"))
	assert.Zero(t, pool.Len())
}

func TestS02BindOnce(t *testing.T) {
	var pool session.Pool
	s := sessiontest.Connect(&pool).Session()
	assert.EqualError(t, s.Bind(t.Context(), ""), "session: binding: the uid is empty")
	assert.EqualError(t, s.Bind(t.Context(), "\xff"), `session: binding to "\xff": the uid is not UTF-8`)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	assert.EqualError(t, s.Bind(ctx, "ann"), `session: binding to "ann": gone`)
	assert.Empty(t, s.UID())
	require.NoError(t, s.Bind(t.Context(), "ann"))
	assert.Equal(t, "ann", s.UID())
	for _, uid := range []string{"ann", "bob"} {
		assert.ErrorIs(t, s.Bind(t.Context(), uid), session.ErrBound)
	}
	assert.ErrorIs(t, session.ErrBound, endpoint.Error(409, "session: it is bound already"))
	require.NoError(t, s.Kick(t.Context(), "out"))
	assert.ErrorIs(t, s.Bind(t.Context(), "ann"), session.ErrClosed)
	assert.Nil(t, pool.ByUID("bob"))
}

// TestS02TwoBindsAtOnce checks that one session is left if several are bound to one uid at once.
func TestS02TwoBindsAtOnce(t *testing.T) {
	for range 50 {
		var closed atomic.Int32
		pool := session.Pool{OnClose: func(*session.Session) { closed.Add(1) }}
		clients := make([]*sessiontest.Client, 8)
		var all sync.WaitGroup
		for i := range clients {
			clients[i] = sessiontest.Connect(&pool)
			all.Go(func() { assert.NoError(t, clients[i].Session().Bind(t.Context(), "ann")) })
		}
		all.Wait()
		require.Equal(t, 1, pool.Len())
		require.EqualValues(t, len(clients)-1, closed.Load())
		left := pool.ByUID("ann")
		for _, c := range clients {
			_, kicked := c.Closed()
			require.Equal(t, c.Session() != left, kicked)
		}
	}
}

// TestS02OneSessionBoundTwice checks that one Bind fails with ErrBound if two goroutines bind a session at once.
func TestS02OneSessionBoundTwice(t *testing.T) {
	var pool session.Pool
	for range 50 {
		s := sessiontest.Connect(&pool).Session()
		errs := make(chan error, 2)
		for _, uid := range []string{"ann", "bob"} {
			go func() { errs <- s.Bind(t.Context(), uid) }()
		}
		first, second := <-errs, <-errs
		if first == nil {
			first, second = second, first
		}
		require.ErrorIs(t, first, session.ErrBound)
		require.NoError(t, second)
		require.Same(t, s, pool.ByUID(s.UID()))
	}
}

func TestS02OnBindRefuses(t *testing.T) {
	refused := endpoint.Error(403, "banned")
	log, text := logs()
	answers := map[string]func() error{
		"error": func() error { return refused },
		"panic": func() error { panic("boom") },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			var refuse bool
			pool := session.Pool{Log: log, OnBind: func(ctx context.Context, s *session.Session, uid string) error {
				assert.Empty(t, s.UID())
				assert.Equal(t, "ann", uid)
				assert.Equal(t, "subject", session.Subject(ctx))
				assert.ErrorIs(t, s.Bind(ctx, uid), session.ErrBound, "one Bind at a time")
				if refuse {
					return answer()
				}
				return nil
			}}
			ctx := session.WithSubject(t.Context(), "subject")
			old, s := sessiontest.Connect(&pool), sessiontest.Connect(&pool).Session()
			require.NoError(t, old.Session().Bind(ctx, "ann"))
			refuse = true
			err := s.Bind(ctx, "ann")
			if name == "error" {
				assert.Equal(t, refused, err)
			} else {
				assert.EqualError(t, err, "session: OnBind panicked")
				assert.Contains(t, text.String(), `"in":"OnBind"`)
				assert.Contains(t, text.String(), `"panic":"boom"`)
			}
			assert.Empty(t, s.UID())
			assert.Same(t, old.Session(), pool.ByUID("ann"))
			_, kicked := old.Closed()
			assert.False(t, kicked)
			refuse = false
			require.NoError(t, s.Bind(ctx, "ann"), "it may be tried again")
			assert.Same(t, s, pool.ByUID("ann"))
		})
	}
}

func TestS02EndDuringOnBind(t *testing.T) {
	pool := session.Pool{OnBind: func(ctx context.Context, s *session.Session, _ string) error { return s.Kick(ctx, "out") }}
	s := sessiontest.Connect(&pool).Session()
	assert.ErrorIs(t, s.Bind(t.Context(), "ann"), session.ErrClosed)
	assert.Nil(t, pool.ByUID("ann"))
	assert.Empty(t, s.UID())
}

// TestS02OnCloseAfterTheLastHandler checks that OnClose runs after the last handler if a session ends while handlers run.
func TestS02OnCloseAfterTheLastHandler(t *testing.T) {
	level := session.NewKey[int]("level")
	ends := map[string]func(c *sessiontest.Client){
		"kick": func(c *sessiontest.Client) { _ = c.Session().Kick(context.Background(), "out") },
		"cut":  (*sessiontest.Client).Cut,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			closed := 0
			pool := session.Pool{OnClose: func(s *session.Session) {
				closed++
				got, _ := level.Get(s)
				assert.Equal(t, "ann 7", fmt.Sprint(s.UID(), " ", got))
			}}
			c := bound(t, &pool, "ann")
			s := c.Session()
			level.Set(s, 7)
			require.True(t, s.Begin())
			require.True(t, s.Begin())
			end(c)
			<-s.Done()
			assert.Zero(t, closed)
			s.Returned(t.Context(), "a")
			assert.Zero(t, closed)
			assert.False(t, s.Begin(), "no handler begins after the end")
			s.Returned(t.Context(), "a")
			assert.Equal(t, 1, closed)
			s.Returned(t.Context(), "a")
			end(c)
			s.Detach()
			assert.Equal(t, 1, closed)
		})
	}
}

func TestS02OnCloseWithoutHandlers(t *testing.T) {
	closed := 0
	pool := session.Pool{OnClose: func(*session.Session) { closed++ }}
	c := sessiontest.Connect(&pool)
	require.True(t, c.Session().Begin())
	c.Session().Returned(t.Context(), "a")
	assert.Zero(t, closed)
	c.Cut()
	assert.Equal(t, 1, closed)
}

// TestS02HooksThatFail checks that later hooks run after a hook that panics or ends its goroutine.
func TestS02HooksThatFail(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			log, text := logs()
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Int32
				hook := func(*session.Session) { told.Add(1); fail() }
				pool := session.Pool{Log: log, OnSuspend: hook, OnResume: hook, OnClose: hook, ResumeWithin: time.Minute}
				c := bound(t, &pool, "ann")
				s := c.Session()
				for i, step := range []func(){c.Cut, func() { c.Resume() }, func() { _ = s.Kick(t.Context(), "out") }} {
					go step()
					synctest.Wait()
					require.EqualValues(t, i+1, told.Load())
				}
				assert.Zero(t, pool.Len())
			})
			if name == "panic" {
				for _, hook := range []string{"OnSuspend", "OnResume", "OnClose"} {
					assert.Equal(t, 1, strings.Count(text.String(), `"in":"`+hook+`"`), text)
				}
				assert.Contains(t, text.String(), `"uid":"ann","panic":"boom","stack":"goroutine`)
			}
		})
	}
}

// TestS02HooksInOrder resumes and kicks a session while OnSuspend runs. It checks that OnResume waits for OnSuspend, and OnClose for
// OnResume.
func TestS02HooksInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		suspending, proceed := make(chan bool), make(chan bool)
		pool := session.Pool{
			ResumeWithin: time.Minute,
			OnSuspend: func(*session.Session) {
				close(suspending)
				<-proceed
				told = append(told, "suspend")
			},
			OnResume: func(*session.Session) { told = append(told, "resume") },
			OnClose:  func(*session.Session) { told = append(told, "close") },
		}
		c := sessiontest.Connect(&pool)
		s := c.Session()
		token := s.Token()
		go c.Cut()
		<-suspending
		_, _, recovered := pool.Resume(token, 0, new(recorder))
		assert.True(t, recovered)
		require.NoError(t, s.Kick(t.Context(), "out"))
		assert.Empty(t, told)
		close(proceed)
		synctest.Wait()
		assert.Equal(t, []string{"suspend", "resume", "close"}, told)
	})
}

// TestS02KickedWhileResumed checks that OnClose is the last hook if a session is kicked while its old connection is closed.
func TestS02KickedWhileResumed(t *testing.T) {
	var told []string
	pool := session.Pool{
		ResumeWithin: time.Minute,
		OnResume:     func(*session.Session) { told = append(told, "resume") },
		OnClose:      func(*session.Session) { told = append(told, "close") },
	}
	var s *session.Session
	s = pool.Open(&recorder{close: func() { assert.NoError(t, s.Kick(t.Context(), "out")) }})
	got, _, recovered := pool.Resume(s.Token(), 0, new(recorder))
	assert.True(t, recovered)
	assert.Same(t, s, got)
	<-s.Done()
	assert.Equal(t, []string{"resume", "close"}, told)
}

// TestS02ClosedBeforeOnClose checks that a connection is closed before OnClose runs, because OnClose may take long.
func TestS02ClosedBeforeOnClose(t *testing.T) {
	link, told := new(recorder), false
	pool := session.Pool{OnClose: func(*session.Session) {
		told = true
		assert.Equal(t, []string{"out"}, link.closed())
	}}
	require.NoError(t, pool.Open(link).Kick(t.Context(), "out"))
	assert.True(t, told)
}

func TestS02PoolClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		pool := session.Pool{ResumeWithin: time.Hour, OnClose: func(*session.Session) { closed++ }}
		here, away := bound(t, &pool, "ann"), bound(t, &pool, "bob")
		away.Cut()
		require.Equal(t, 2, pool.Len())
		require.NoError(t, pool.Close(t.Context(), "bye"))
		assert.Zero(t, pool.Len())
		assert.Equal(t, 2, closed)
		reason, _ := here.Closed()
		assert.Equal(t, "bye", reason)
		assert.False(t, away.Resume())
		away.Cut()
	})
}

func TestAll(t *testing.T) {
	var pool session.Pool
	for range pool.All() {
		t.Error("there is none")
	}
	assert.Nil(t, pool.ByID("x"))
	assert.Nil(t, pool.ByUID("x"))
	for _, uid := range []string{"ann", "bob", "cid"} {
		bound(t, &pool, uid)
	}
	for s := range pool.All() {
		require.NoError(t, s.Kick(t.Context(), "out"), "sessions may end in the loop")
		break
	}
	assert.Equal(t, 2, pool.Len())
	left := 0
	for range pool.All() {
		left++
	}
	assert.Equal(t, 2, left)
}
