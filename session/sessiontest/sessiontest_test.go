package sessiontest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

func Example() {
	var sessions session.Pool
	mux := kami.New()
	mux.Post("/tell", endpoint.JSON(func(ctx context.Context, text string) (int, error) {
		for s := range sessions.All() {
			if s != session.FromContext(ctx) {
				_ = s.Push(ctx, "told", text)
			}
		}
		return sessions.Len() - 1, nil
	}))

	ann, bob := sessiontest.Connect(&sessions), sessiontest.Connect(&sessions)
	reply := message.Serve(ann.Context(), mux, &message.Message{Route: "tell", Body: []byte(`"hello"`)})
	told, err := sessiontest.Values[string](bob, "told")
	fmt.Println(reply.Status, told, err, len(ann.Pushed()))
	// Output:
	// 200 [hello] <nil> 0
}

func TestS01Next(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool session.Pool
		c := sessiontest.Connect(&pool)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			assert.NoError(t, c.Session().Push(t.Context(), "n", 1))
			assert.NoError(t, c.Session().Push(t.Context(), "n", 2))
		}()
		for _, want := range []string{"1", "2"} {
			m, err := c.Next(ctx)
			require.NoError(t, err)
			assert.Equal(t, &message.Message{Route: "n", Body: []byte(want), Notify: true}, m)
		}
		_, err := c.Next(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		go func() {
			time.Sleep(time.Second)
			assert.NoError(t, c.Session().Kick(t.Context(), "out"))
		}()
		_, err = c.Next(t.Context())
		assert.EqualError(t, err, "sessiontest: the connection was closed: out")
		reason, closed := c.Closed()
		assert.Equal(t, "out", reason)
		assert.True(t, closed)
	})
}

func TestS01Values(t *testing.T) {
	var pool session.Pool
	c := sessiontest.Connect(&pool)
	require.NoError(t, c.Session().Push(t.Context(), "n", 1))
	require.NoError(t, c.Session().Push(t.Context(), "other", "x"))
	require.NoError(t, c.Session().Push(t.Context(), "n", 2))
	values, err := sessiontest.Values[int](c, "n")
	assert.Equal(t, []int{1, 2}, values)
	assert.NoError(t, err)
	_, err = sessiontest.Values[int](c, "other")
	assert.ErrorContains(t, err, `sessiontest: decoding a push of "other": json: cannot unmarshal string`)
}

// TestS02Serve checks that OnClose waits for the handler of a client that leaves, and that no handler runs after it.
func TestS02Serve(t *testing.T) {
	var order []string
	pool := session.Pool{OnClose: func(*session.Session) { order = append(order, "close") }}
	c := sessiontest.Connect(&pool)
	leave := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Same(t, c.Session(), session.FromContext(r.Context()))
		c.Cut()
		order = append(order, "handler")
	})
	assert.Equal(t, 200, c.Serve(leave, &message.Message{Route: "leave"}).Status)
	assert.Equal(t, []string{"handler", "close"}, order)
	assert.Equal(t, endpoint.Error(410, "session: it has ended"), c.Serve(leave, &message.Message{Route: "leave"}).Err())
	assert.Len(t, order, 2)
}

func TestS04PushAfterTheCut(t *testing.T) {
	var pool session.Pool
	c := sessiontest.Connect(&pool)
	c.Cut()
	c.Cut()
	assert.ErrorIs(t, c.Session().Push(t.Context(), "n", 1), session.ErrClosed)
	assert.Empty(t, c.Pushed())
}

// TestS06HooksThatEndTheSession checks that hooks can kick the session that has just been resumed, and call methods of the Client.
func TestS06HooksThatEndTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *sessiontest.Client
		pool := session.Pool{ResumeWithin: time.Minute}
		pool.OnSuspend = func(*session.Session) { _ = c.Context(); _ = c.Pushed() }
		pool.OnResume = func(s *session.Session) { assert.NoError(t, s.Kick(t.Context(), "out")) }
		c = sessiontest.Connect(&pool)
		s := c.Session()
		assert.True(t, c.Resume())
		<-s.Done()
		reason, closed := c.Closed()
		assert.Equal(t, "out", reason)
		assert.True(t, closed)
		assert.Zero(t, pool.Len())
		assert.False(t, c.Resume())
		assert.Equal(t, 1, pool.Len())
		c.Cut()
		_, closed = c.Closed()
		assert.False(t, closed)
		time.Sleep(2 * time.Minute)
		assert.Zero(t, pool.Len())
	})
}

func TestS01BackEnd(t *testing.T) {
	var pool session.Pool
	c := sessiontest.Connect(&pool)
	key := session.NewKey[float64]("f")
	back, err := sessiontest.BackEnd(c.Session())
	require.NoError(t, err)
	key.Set(back, 1.5)
	require.NoError(t, back.Commit(t.Context()))
	f, ok := key.Get(c.Session())
	assert.True(t, ok)
	assert.InDelta(t, 1.5, f, 0)
	require.NoError(t, back.Push(t.Context(), "n", 1))
	require.NoError(t, back.Bind(t.Context(), "ann"))
	require.NoError(t, back.Kick(t.Context(), "out"))
	assert.Len(t, c.Pushed(), 1)
	key.Set(c.Session(), math.Inf(1))
	_, err = sessiontest.BackEnd(c.Session())
	assert.ErrorContains(t, err, `key "f"`)
	assert.False(t, errors.Is(err, session.ErrClosed))
}
