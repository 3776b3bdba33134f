package session_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

func TestContext(t *testing.T) {
	assert.Nil(t, session.FromContext(t.Context()))
	assert.Empty(t, session.Subject(t.Context()))
	assert.Zero(t, session.Seq(t.Context()))
	var pool session.Pool
	s := sessiontest.Connect(&pool).Session()
	assert.Same(t, s, session.FromContext(session.NewContext(t.Context(), s)))
	assert.Equal(t, "ann", session.Subject(session.WithSubject(t.Context(), "ann")))
}

func TestBasics(t *testing.T) {
	var pool session.Pool
	ann, bob := sessiontest.Connect(&pool), sessiontest.Connect(&pool)
	require.NoError(t, ann.Session().Bind(t.Context(), "ann"))
	require.ErrorIs(t, ann.Session().Bind(t.Context(), "ann"), session.ErrBound)
	assert.Same(t, ann.Session(), pool.ByUID("ann"))
	group := pool.Group("room")
	require.NoError(t, group.Add(t.Context(), ann.Session()))
	require.NoError(t, group.Add(t.Context(), bob.Session()))
	require.NoError(t, group.Broadcast(t.Context(), "chat", "hi"))
	assert.Equal(t, `"hi"`, string(ann.Pushed()[0].Body))
	require.NoError(t, bob.Session().Bind(t.Context(), "ann"))
	_, closed := ann.Closed()
	assert.True(t, closed)
	assert.ErrorIs(t, ann.Session().Push(context.Background(), "chat", json.RawMessage("1")), session.ErrClosed)
	assert.Equal(t, 1, pool.Len())
}
