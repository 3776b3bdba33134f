package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// fronts has the Pools of a cluster by the ids of their servers.
type fronts map[string]*session.Pool

// front is the session.Cluster of the Pool with the id. It calls the other Pools directly.
type front struct {
	all   fronts
	id    string
	claim func(session.Claim) error // if not nil, it runs first
}

func (f *front) Claim(ctx context.Context, c session.Claim) error {
	if f.claim != nil {
		if err := f.claim(c); err != nil {
			return err
		}
	}
	text, _ := json.Marshal(c)
	for id, pool := range f.all {
		var claim session.Claim
		if err := json.Unmarshal(text, &claim); err != nil {
			return err
		}
		if id != f.id {
			pool.Claimed(ctx, claim)
		}
	}
	return nil
}

func (f *front) Take(token string, seq uint64, subject string, adopt func(session.Moved)) bool {
	_, id, _ := strings.Cut(token, ".")
	pool := f.all[id]
	if pool == nil || id == f.id {
		return false
	}
	given, ok := pool.Give(token, seq, subject)
	text, err := json.Marshal(given)
	var moved session.Moved
	if !ok || err != nil || json.Unmarshal(text, &moved) != nil {
		return false
	}
	adopt(moved)
	return true
}

// clustered returns two Pools that are in one cluster, and the counts of their hooks.
func clustered() (a, b *session.Pool, ofA, ofB *hooks) {
	a, ofA = resumable()
	b, ofB = resumable()
	all := fronts{"a": a, "b": b}
	for id, pool := range all {
		pool.Join(id, &front{all: all, id: id})
	}
	return a, b, ofA, ofB
}

func closeAll(t *testing.T, pools ...*session.Pool) {
	for _, p := range pools {
		assert.NoError(t, p.Close(t.Context(), "bye"))
	}
}

// TestS02BindInACluster checks that a Bind kicks the user's older session at another front.
func TestS02BindInACluster(t *testing.T) {
	a, b, ofA, _ := clustered()
	old := bound(t, a, "ann")
	other := bound(t, a, "bob")
	s := bound(t, b, "ann")
	reason, closed := old.Closed()
	assert.True(t, closed)
	assert.Equal(t, "another session of the user has begun", reason)
	assert.Nil(t, a.ByUID("ann"))
	assert.Same(t, other.Session(), a.ByUID("bob"))
	assert.Same(t, s.Session(), b.ByUID("ann"))
	assert.Equal(t, [3]int{0, 0, 1}, ofA.counts())
	closeAll(t, a, b)
}

// TestS02TwoBindsInACluster checks that one session is left if each of two fronts binds before it hears of the other's Bind.
func TestS02TwoBindsInACluster(t *testing.T) {
	for range 50 {
		a, _ := resumable()
		b, _ := resumable()
		all := fronts{"a": a, "b": b}
		var both sync.WaitGroup
		both.Add(2)
		for id, pool := range all {
			var first sync.Once // only the first claim waits: the older session's front is told again of the newer one
			pool.Join(id, &front{all: all, id: id, claim: func(session.Claim) error {
				first.Do(func() {
					both.Done()
					both.Wait()
				})
				return nil
			}})
		}
		var binds sync.WaitGroup
		for _, pool := range all {
			c := sessiontest.Connect(pool)
			binds.Go(func() { assert.NoError(t, c.Session().Bind(t.Context(), "ann")) })
		}
		binds.Wait()
		require.Equal(t, 1, a.Len()+b.Len())
		require.True(t, (a.ByUID("ann") == nil) != (b.ByUID("ann") == nil))
		for id, pool := range all { // the next claims do not wait
			pool.Join(id, nil)
		}
		closeAll(t, a, b)
	}
}

// TestS02ClaimsThatCrossUnheard checks that a front that gets an older claim of its user sends the newer claim again.
func TestS02ClaimsThatCrossUnheard(t *testing.T) {
	a, b, _, _ := clustered()
	late := bound(t, b, "ann")
	var again []session.Claim
	b.Join("b", &front{id: "b", claim: func(c session.Claim) error { again = append(again, c); return nil }})
	b.Claimed(t.Context(), session.Claim{UID: "ann", ID: "x", Order: 1})
	_, closed := late.Closed()
	assert.False(t, closed)
	require.Len(t, again, 1)
	assert.Equal(t, late.Session().ID(), again[0].ID)
	b.Claimed(t.Context(), again[0])
	_, closed = late.Closed()
	assert.False(t, closed, "its own claim")
	closeAll(t, a, b)
}

// TestS02AFrontWithAnEarlierClock checks that a Bind at a front whose clock is behind is newer than each claim that the front has seen.
func TestS02AFrontWithAnEarlierClock(t *testing.T) {
	a, b, _, _ := clustered()
	c := bound(t, a, "ann")
	future := session.Claim{UID: "ann", ID: "x", Order: math.MaxUint64 - 1000}
	for _, pool := range []*session.Pool{a, b} {
		pool.Claimed(t.Context(), future)
	}
	_, closed := c.Closed()
	assert.True(t, closed)
	var claims []session.Claim
	b.Join("b", &front{id: "b", claim: func(c session.Claim) error { claims = append(claims, c); return nil }})
	bound(t, b, "ann")
	require.Len(t, claims, 1)
	assert.Greater(t, claims[0].Order, future.Order)
	closeAll(t, a, b)
}

// TestS02ClusterThatCannotBeTold checks that a Bind that cannot tell the cluster changes nothing, whatever happens meanwhile.
func TestS02ClusterThatCannotBeTold(t *testing.T) {
	away := endpoint.Error(503, "away")
	refusing := func(pool *session.Pool, meanwhile func()) {
		pool.Join("a", &front{id: "a", claim: func(session.Claim) error {
			pool.Join("a", nil)
			meanwhile()
			return away
		}})
	}
	try := func(t *testing.T, pool *session.Pool) *session.Session {
		s := pool.Open(new(recorder))
		err := s.Bind(t.Context(), "ann")
		assert.EqualError(t, err, `session: telling the cluster of a Bind to "ann": away`)
		assert.ErrorIs(t, err, away)
		assert.Empty(t, s.UID())
		return s
	}
	t.Run("nothing else", func(t *testing.T) {
		pool, _ := resumable()
		refusing(pool, func() {})
		s := try(t, pool)
		assert.Nil(t, pool.ByUID("ann"))
		assert.NoError(t, s.Bind(t.Context(), "ann"))
		closeAll(t, pool)
	})
	t.Run("an older session", func(t *testing.T) {
		pool, _ := resumable()
		old := bound(t, pool, "ann")
		refusing(pool, func() {})
		try(t, pool)
		assert.Same(t, old.Session(), pool.ByUID("ann"))
		_, closed := old.Closed()
		assert.False(t, closed)
		closeAll(t, pool)
	})
	t.Run("an older session that waits", func(t *testing.T) {
		pool, _ := resumable()
		old := bound(t, pool, "ann")
		old.Cut()
		refusing(pool, func() {})
		s := try(t, pool)
		assert.Same(t, old.Session(), pool.ByUID("ann"))
		s.Begin()
		assert.True(t, old.Resume())
		closeAll(t, pool)
	})
	t.Run("the older session ends", func(t *testing.T) {
		pool, _ := resumable()
		old := bound(t, pool, "ann")
		refusing(pool, func() { _ = old.Session().Kick(t.Context(), "out") })
		try(t, pool)
		assert.Nil(t, pool.ByUID("ann"))
		closeAll(t, pool)
	})
	t.Run("a newer session", func(t *testing.T) {
		pool, _ := resumable()
		old := bound(t, pool, "ann")
		var newer *sessiontest.Client
		refusing(pool, func() { newer = bound(t, pool, "ann") })
		try(t, pool)
		assert.Same(t, newer.Session(), pool.ByUID("ann"))
		_, closed := old.Closed()
		assert.True(t, closed)
		closeAll(t, pool)
	})
}

// TestS06MovesToAnotherFront checks that a client that comes back to another front has its session, values, groups and missed pushes
// there.
func TestS06MovesToAnotherFront(t *testing.T) {
	for _, cut := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, b, ofA, ofB := clustered()
			c := bound(t, a, "ann")
			s := c.Session()
			level.Set(s, 7)
			require.NoError(t, a.Group("room").Add(t.Context(), s))
			push(t, s, 1, 2)
			if cut {
				c.Cut()
			}
			push(t, s, 3)
			token := s.Token()
			assert.True(t, strings.HasSuffix(token, ".a"))

			link := new(recorder)
			opened := b.Open(link)
			require.NoError(t, b.Group("g").Add(t.Context(), opened))
			moved, missed, recovered := b.Resume(token, 2, link)
			require.True(t, recovered)
			assert.Equal(t, []string{"3"}, texts(missed))
			assert.EqualValues(t, 3, moved.Seq())
			push(t, moved, 4)
			moved.Resumed(link)
			push(t, moved, 5)
			bodies, seqs := link.got()
			assert.Equal(t, []string{"4", "5"}, bodies)
			assert.Equal(t, []uint64{4, 5}, seqs)
			assert.Equal(t, s.ID(), moved.ID())
			assert.Equal(t, "ann", moved.UID())
			assert.Equal(t, "b", moved.Front())
			n, _ := level.Get(moved)
			assert.Equal(t, 7, n)
			members, err := b.Group("room").Members(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []session.Member{{s.ID(), "ann", "b"}}, members)

			<-s.Done()
			<-opened.Done()
			assert.Zero(t, a.Len())
			assert.Equal(t, 1, b.Len())
			assert.Same(t, moved, b.ByUID("ann"))
			assert.ErrorIs(t, s.Push(t.Context(), "n", 0), session.ErrClosed)
			assert.Zero(t, ofA.counts()[2], "OnClose is for the other front")
			assert.Equal(t, [3]int{0, 1, 0}, ofB.counts())
			_, closed := c.Closed()
			assert.Equal(t, !cut, closed)

			moved.Detach() // the client has got only two pushes, and comes back to the same front
			_, missed, recovered = b.Resume(moved.Token(), 2, new(recorder))
			require.True(t, recovered)
			assert.Equal(t, []string{"3", "4", "5"}, texts(missed))
			closeAll(t, a, b)
			assert.Equal(t, [3]int{1, 2, 1}, ofB.counts())
		})
	}
}

// TestS06MovesOverANewerBind binds a new connection before it resumes. It checks that the session that waits at the other front does
// not end before the connection's first message.
func TestS06MovesOverANewerBind(t *testing.T) {
	for _, resumes := range []bool{true, false} {
		a, b, _, _ := clustered()
		c := bound(t, a, "ann")
		c.Cut()
		link := new(recorder)
		opened := b.Open(link)
		require.NoError(t, opened.Bind(t.Context(), "ann"))
		assert.Equal(t, 1, a.Len())
		if resumes {
			s, _, recovered := b.Resume(c.Session().Token(), 0, link)
			assert.True(t, recovered)
			assert.Same(t, s, b.ByUID("ann"))
		} else {
			opened.Begin()
			assert.Same(t, opened, b.ByUID("ann"))
		}
		assert.Zero(t, a.Len())
		assert.Equal(t, 1, b.Len())
		closeAll(t, a, b)
	}
}

// TestS06MovesToAnotherSessionOfTheUser checks that if a session moves to a front where its user has another session, the other session
// is closed, because the moved one's client has come last.
func TestS06MovesToAnotherSessionOfTheUser(t *testing.T) {
	a, b, _, _ := clustered()
	c := bound(t, a, "ann")
	b.Join("b", nil) // now b is in no cluster
	other := bound(t, b, "ann")
	b.Join("b", &front{all: fronts{"a": a, "b": b}, id: "b"})
	s, _, recovered := b.Resume(c.Session().Token(), 0, new(recorder))
	assert.True(t, recovered)
	assert.Same(t, s, b.ByUID("ann"))
	_, closed := other.Closed()
	assert.True(t, closed)
	closeAll(t, a, b)
}

func TestS06DoesNotMove(t *testing.T) {
	log, text := logs()
	for name, test := range map[string]struct {
		prepare func(a, b *session.Pool, s *session.Session)
		seq     uint64
		remains bool
	}{
		"more than is kept":          {func(*session.Pool, *session.Pool, *session.Session) {}, 1, false},
		"what cannot be encoded":     {func(_, _ *session.Pool, s *session.Session) { score.Set(s, math.NaN()) }, 0, true},
		"a front that does not wait": {func(_, b *session.Pool, _ *session.Session) { b.ResumeWithin = 0 }, 0, true},
		"a front that has left":      {func(_, b *session.Pool, _ *session.Session) { b.Join("b", &front{id: "b"}) }, 0, true},
		"a session that has ended":   {func(_, _ *session.Pool, s *session.Session) { _ = s.Kick(context.Background(), "out") }, 0, false},
		"it ends while it is encoded": {func(_, _ *session.Pool, s *session.Session) {
			session.NewKey[marshaler]("m").Set(s, func() { _ = s.Kick(context.Background(), "out") })
		}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, _, _ := clustered()
			a.Log = log
			c := sessiontest.Connect(a)
			token := c.Session().Token()
			test.prepare(a, b, c.Session())
			s, missed, recovered := b.Resume(token, test.seq, new(recorder))
			assert.False(t, recovered)
			assert.Empty(t, missed)
			assert.NotEqual(t, c.Session().ID(), s.ID())
			assert.Equal(t, test.remains, a.Len() == 1)
			closeAll(t, a, b)
		})
	}
	assert.Contains(t, text.String(), `session: encoding the value of key \"score\"`)
}

// TestS06MovesWhenItsHandlersHaveReturned checks that Rest waits for a session's handlers, so that their changes move with it.
func TestS06MovesWhenItsHandlersHaveReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _, _ := clustered()
		link := new(recorder)
		s := a.Open(link)
		token := s.Token()
		assert.True(t, s.Begin())
		rested := make(chan struct{})
		go func() {
			a.Rest(t.Context(), token, "")
			close(rested)
		}()
		synctest.Wait()
		assert.False(t, s.Begin(), "another handler begins")
		select {
		case <-rested:
			t.Error("it rests while a handler runs")
		default:
		}
		require.NoError(t, s.Bind(t.Context(), "ann"))
		s.Returned(t.Context(), "login")
		<-rested
		moved, ok := a.Give(token, 0, "")
		assert.True(t, ok)
		assert.Equal(t, "ann", moved.UID)

		// Rest waits for a handler until the end of the context. If the session is then resumed here, it goes on.
		s = a.Open(new(recorder))
		token = s.Token()
		assert.True(t, s.Begin())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a.Rest(ctx, token, "")
		again := new(recorder)
		_, _, recovered := a.Resume(token, 0, again)
		assert.True(t, recovered)
		s.Resumed(again)
		assert.True(t, s.Begin())
		a.Rest(t.Context(), "unknown", "")
		for range 2 {
			s.Returned(t.Context(), "login")
		}
		closeAll(t, a)
	})
}

// TestS02FailuresAreLogged checks that a Bind logs it if closing an older session or a second claim fails.
func TestS02FailuresAreLogged(t *testing.T) {
	log, text := logs()
	pool := session.Pool{Log: log, ResumeWithin: time.Minute}
	old := pool.Open(&failingLink{})
	require.NoError(t, old.Bind(t.Context(), "ann"))
	claims := 0
	pool.Join("a", &front{id: "a", claim: func(session.Claim) error {
		if claims++; claims > 1 {
			return errors.New("away")
		}
		return nil
	}})
	s := pool.Open(new(recorder))
	require.NoError(t, s.Bind(t.Context(), "ann"))
	assert.Contains(t, text.String(), `"session: closing the connection of an older session failed","session":"`+old.ID()+`","uid":"ann","err":"no"`)
	require.True(t, s.Begin())
	assert.Contains(t, text.String(), `"session: two sessions of a user may be left","session":"`+s.ID()+`","uid":"ann","err":"session: telling the cluster of a Bind to \"ann\": away"`)
	pool.Open(&failingLink{})
	assert.EqualError(t, pool.Close(t.Context(), "bye"), "no")
}

// failingLink is a Link whose Close fails.
type failingLink struct{ recorder }

func (*failingLink) Close(context.Context, string) error { return errors.New("no") }

// identified is a Link with the subject of its authenticated client.
type identified struct {
	recorder
	subject string
}

func (l *identified) Subject() string { return l.subject }

// TestS06OtherUsers checks that a client cannot resume another user's session with its token, at the session's front and at another
// one, and that the session goes on. A client that was not authenticated needs only the token.
func TestS06OtherUsers(t *testing.T) {
	for _, test := range []struct {
		uid, subject string
		recovered    bool
	}{{"ann", "bob", false}, {"ann", "ann", true}, {"ann", "", true}, {"", "bob", true}} {
		for _, here := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				a, b, hooks, _ := clustered()
				at := a
				if !here {
					at = b
				}
				owner := new(recorder)
				s := a.Open(owner)
				token := s.Token()
				if test.uid != "" {
					require.NoError(t, s.Bind(t.Context(), test.uid))
				}
				link := &identified{subject: test.subject}
				opened := at.Open(link)
				got, _, recovered := at.Resume(token, 0, link)
				assert.Equal(t, test.recovered, recovered, "%+v", test)
				got.Resumed(link)
				if !recovered {
					assert.Same(t, opened, got)
					assert.Empty(t, owner.reasons)
					assert.True(t, s.Begin(), "the owner's handlers go on")
					s.Returned(t.Context(), "x")
					push(t, s, 1)
					synctest.Wait()
					assert.Equal(t, []string{"1"}, owner.bodies)
					assert.Equal(t, [3]int{0, 0, 0}, hooks.counts())
				}
				closeAll(t, a, b)
			})
		}
	}
}
