package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

type place struct {
	X, Y int
}

var (
	level = session.NewKey[int]("level")
	at    = session.NewKey[place]("at")
	score = session.NewKey[float64]("score")
	ptr   = session.NewKey[*place]("ptr")
)

// backEnd returns the back end's session of s.
func backEnd(t *testing.T, s *session.Session) *session.Session {
	t.Helper()
	back, err := sessiontest.BackEnd(s)
	require.NoError(t, err)
	return back
}

// TestS01OneTypeForFrontAndBackEnds checks that Bind, Push, Kick and Commit of a back end's session reach the front.
func TestS01OneTypeForFrontAndBackEnds(t *testing.T) {
	var pool session.Pool
	pool.Join("front-1", nil)
	c := sessiontest.Connect(&pool)
	s := c.Session()
	level.Set(s, 7)
	assert.Equal(t, "front-1", s.Front())

	back := backEnd(t, s)
	assert.Equal(t, s.ID(), back.ID())
	assert.Equal(t, "front-1", back.Front())
	assert.Nil(t, back.Done())
	assert.Empty(t, back.Token())
	assert.True(t, back.Begin())
	got, ok := level.Get(back)
	assert.Equal(t, 7, got)
	assert.True(t, ok)

	require.NoError(t, back.Bind(t.Context(), "ann"))
	assert.Equal(t, "ann", s.UID())
	assert.Equal(t, "ann", back.UID())
	assert.ErrorIs(t, back.Bind(t.Context(), "ann"), session.ErrBound)
	assert.Equal(t, "ann", backEnd(t, s).UID())

	require.NoError(t, back.Push(t.Context(), "chat", place{1, 2}))
	assert.Equal(t, []string{`{"X":1,"Y":2}`}, texts(c.Pushed()))

	back.Detach() // has no effect at a back end
	assert.Equal(t, 1, pool.Len())
	require.NoError(t, back.Kick(t.Context(), "out"))
	reason, _ := c.Closed()
	assert.Equal(t, "out", reason)
	assert.ErrorIs(t, back.Push(t.Context(), "chat", 1), session.ErrClosed)
	level.Set(back, 8)
	assert.ErrorIs(t, back.Commit(t.Context()), session.ErrClosed)
	assert.ErrorIs(t, pool.Group("room").Add(t.Context(), s), session.ErrClosed)
}

// failing is a BackLink that returns err.
type failing struct{ err error }

func (f failing) Push(context.Context, *message.Message) error             { return f.err }
func (f failing) Bind(context.Context, string) error                       { return f.err }
func (f failing) Kick(context.Context, string) error                       { return f.err }
func (f failing) Commit(context.Context, map[string]json.RawMessage) error { return f.err }

func TestS01ErrorsOfTheBackLink(t *testing.T) {
	away := endpoint.Error(503, "away")
	back := session.Remote(session.Snapshot{ID: "1"}, failing{away})
	level.Set(back, 7)
	assert.Equal(t, away, back.Push(t.Context(), "chat", 1))
	assert.Equal(t, away, back.Bind(t.Context(), "ann"))
	assert.Equal(t, away, back.Kick(t.Context(), "out"))
	assert.Equal(t, away, back.Commit(t.Context()))
	assert.Empty(t, back.UID())
	log := defaultLog(t)
	back.Returned(t.Context(), "room.join")
	assert.Contains(t, log.String(), `"key":"level"`, "what was not sent is not committed")
}

func TestS03Values(t *testing.T) {
	var pool session.Pool
	s := sessiontest.Connect(&pool).Session()
	_, ok := level.Get(s)
	assert.False(t, ok)
	level.Delete(s)
	level.Set(s, 7)
	at.Set(s, place{1, 2})
	ptr.Set(s, nil)
	assert.NoError(t, s.Commit(t.Context()), "there is nothing to do at the front")
	for i, s := range []*session.Session{s, backEnd(t, s), backEnd(t, backEnd(t, s))} {
		n, ok := level.Get(s)
		assert.True(t, ok)
		assert.Equal(t, 7, n)
		p, ok := at.Get(s)
		assert.True(t, ok)
		assert.Equal(t, place{1, 2}, p)
		_, ok = ptr.Get(s)
		assert.Equal(t, i == 0, ok, "null is no value once it has crossed")
		_, ok = session.NewKey[string]("level").Get(s)
		assert.False(t, ok, "another type")
		f, ok := session.NewKey[float64]("level").Get(s)
		assert.True(t, ok, "another type with the same JSON")
		assert.InDelta(t, 7, f, 0)
	}
	level.Delete(s)
	_, ok = level.Get(s)
	assert.False(t, ok)
}

func TestS03Commit(t *testing.T) {
	var pool session.Pool
	s := sessiontest.Connect(&pool).Session()
	level.Set(s, 1)
	at.Set(s, place{1, 2})
	back := backEnd(t, s)
	require.NoError(t, back.Commit(t.Context()), "nothing has changed")
	level.Set(back, 2)
	at.Delete(back)
	n, _ := level.Get(s)
	assert.Equal(t, 1, n, "not committed")
	require.NoError(t, back.Commit(t.Context()))
	n, _ = level.Get(s)
	assert.Equal(t, 2, n)
	_, ok := at.Get(s)
	assert.False(t, ok)
	log := defaultLog(t)
	back.Returned(t.Context(), "room.join")
	assert.Empty(t, log)
}

// setting is a BackLink that runs code during a Commit.
type setting struct {
	session.BackLink
	meanwhile func()
}

func (l setting) Commit(context.Context, map[string]json.RawMessage) error { l.meanwhile(); return nil }

// TestS03SetDuringACommit checks that a value that is set during a Commit is not committed, and that its loss is logged.
func TestS03SetDuringACommit(t *testing.T) {
	var back *session.Session
	back = session.Remote(session.Snapshot{ID: "x"}, setting{meanwhile: func() { level.Set(back, 2) }})
	at.Set(back, place{1, 2})
	level.Set(back, 1)
	require.NoError(t, back.Commit(t.Context()))
	log := defaultLog(t)
	back.Returned(t.Context(), "room.join")
	assert.Contains(t, log.String(), `"key":"level"`)
	assert.NotContains(t, log.String(), `"key":"at"`)
}

// defaultLog makes a log the default of package slog during the test.
func defaultLog(t *testing.T) *logged {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	logger, text := logs()
	slog.SetDefault(logger)
	return text
}

func TestS03NotCommitted(t *testing.T) {
	var pool session.Pool
	front := sessiontest.Connect(&pool).Session()
	back := backEnd(t, front)
	level.Set(back, 7)
	level.Set(back, 8)
	at.Delete(back)
	log := defaultLog(t)
	for range 2 {
		back.Returned(t.Context(), "room.join")
	}
	const line = `{"level":"WARN","msg":"session: a value was set at a back end and not committed","key":"`
	rest := `","route":"room.join","session":"` + front.ID() + `"}` + "\n"
	assert.Equal(t, line+"level"+rest+line+"at"+rest, log.String())
}

func TestS03WhatCannotBeEncoded(t *testing.T) {
	var pool session.Pool
	s := sessiontest.Connect(&pool).Session()
	back := backEnd(t, s)
	level.Set(back, 7)
	score.Set(back, math.Inf(1))
	err := back.Commit(t.Context())
	assert.EqualError(t, err, `session: encoding the value of key "score": json: unsupported value: +Inf`)
	_, ok := level.Get(s)
	assert.False(t, ok, "all or none")
	_, ok = session.NewKey[int]("score").Get(back)
	assert.False(t, ok)

	score.Set(s, math.NaN())
	_, err = sessiontest.BackEnd(s)
	assert.EqualError(t, err, `session: encoding the value of key "score": json: unsupported value: NaN`)
	got, ok := score.Get(s)
	assert.True(t, ok && math.IsNaN(got), "the front has it")
}

// exploding is a value that panics when it is encoded.
type exploding struct{}

func (exploding) MarshalJSON() ([]byte, error) { panic("boom") }

// TestS03AValueThatPanics checks that a panic while a value is encoded becomes an error, because transports encode values, and have no
// PanicHandler.
func TestS03AValueThatPanics(t *testing.T) {
	pool, _ := resumable()
	s := sessiontest.Connect(pool).Session()
	session.NewKey[exploding]("odd").Set(s, exploding{})
	_, err := s.Snapshot()
	assert.EqualError(t, err, `session: encoding the value of key "odd": its JSON method panicked: boom`)
	_, ok := session.NewKey[int]("odd").Get(s)
	assert.False(t, ok)
	_, given := pool.Give(s.Token(), 0, "")
	assert.False(t, given)
	assert.Same(t, s, pool.ByID(s.ID()), "it stays")
	assert.NoError(t, pool.Close(t.Context(), "bye"))
}

// TestS03EncodedOnce checks that a value that is forwarded many times is encoded once.
func TestS03EncodedOnce(t *testing.T) {
	var pool session.Pool
	s, key, counted := sessiontest.Connect(&pool).Session(), session.NewKey[counter]("c"), new(int)
	key.Set(s, counter{counted})
	for range 3 {
		_, err := s.Snapshot()
		require.NoError(t, err)
	}
	assert.Equal(t, 1, *counted)
}

func TestS03Apply(t *testing.T) {
	var pool session.Pool
	s := sessiontest.Connect(&pool).Session()
	level.Set(s, 1)
	err := s.Apply(raw("level", "2", "at", "{"))
	assert.EqualError(t, err, `session: applying the value of key "at": it is not JSON`)
	n, _ := level.Get(s)
	assert.Equal(t, 1, n, "all or none")
	require.NoError(t, s.Apply(map[string]json.RawMessage{"level": nil}))
	_, ok := level.Get(s)
	assert.False(t, ok)
}

func TestNewKey(t *testing.T) {
	assert.PanicsWithValue(t, `session: NewKey(""): the name must be UTF-8 and not empty`, func() { session.NewKey[int]("") })
	assert.PanicsWithValue(t, `session: NewKey("\xff"): the name must be UTF-8 and not empty`, func() { session.NewKey[int]("\xff") })
}

// FuzzSnapshot checks that each text that decodes as a Snapshot makes a session that can be forwarded again, with the same values.
func FuzzSnapshot(f *testing.F) {
	f.Add(`{"id":"1","uid":"ann","front":"f","values":{"level":7,"at":{"X":1}}}`, "level")
	f.Add(`{"values":{"level":null,"":[]}}`, "at")
	f.Add(`{"id":"\ud800","values":{"a":1e999}}`, "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		var snapshot session.Snapshot
		if json.Unmarshal([]byte(text), &snapshot) != nil {
			return
		}
		s := session.Remote(snapshot, failing{errors.New("no")})
		level.Get(s)
		at.Get(s)
		ptr.Get(s)
		again, err := s.Snapshot()
		require.NoError(t, err)
		require.Equal(t, snapshot.ID+snapshot.UID+snapshot.Front, again.ID+again.UID+again.Front)
		for key, value := range again.Values {
			require.Equal(t, snapshot.Values[key], value)
		}
		encoded, err := json.Marshal(again)
		require.NoError(t, err)
		var decoded session.Snapshot
		require.NoError(t, json.Unmarshal(encoded, &decoded))
		require.Equal(t, len(again.Values), len(decoded.Values))
		fuzzKey(t, s, name)
	})
}

// fuzzKey sets a value with any name, and checks that a forwarded session has it.
func fuzzKey(t *testing.T, s *session.Session, name string) {
	if name == "" || !utf8.ValidString(name) {
		require.Panics(t, func() { session.NewKey[string](name) })
		return
	}
	key := session.NewKey[string](name)
	value := strings.ToValidUTF8(name, "")
	key.Set(s, value)
	snapshot, err := s.Snapshot()
	require.NoError(t, err)
	encoded, err := json.Marshal(snapshot)
	require.NoError(t, err)
	var decoded session.Snapshot
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	got, ok := key.Get(session.Remote(decoded, failing{}))
	require.True(t, ok)
	require.Equal(t, value, got)
}
