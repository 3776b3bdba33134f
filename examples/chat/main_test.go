package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/component"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

// newChat returns a room whose history is in the file, and a function that calls its methods.
func newChat(t *testing.T, file string) (*session.Pool, *kami.Mux) {
	var pool session.Pool
	mux, set := kami.New(), new(component.Set)
	room := &Room{sessions: &pool, file: file}
	pool.OnClose = room.closed
	set.Register(mux.Handle, room, component.WithName("room"), component.WithNameFunc(strings.ToLower))
	require.NoError(t, set.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, set.Stop(context.Background())) })
	return &pool, mux
}

func call(mux *kami.Mux, c *sessiontest.Client, route, body string) *message.Reply {
	return c.Serve(mux, &message.Message{Route: route, Body: []byte(body)})
}

// TestPrivate checks that a private line is not shown to another user who takes the name later.
func TestPrivate(t *testing.T) {
	pool, mux := newChat(t, filepath.Join(t.TempDir(), "history"))
	enter := func(name, key string) (*sessiontest.Client, []line) {
		c := sessiontest.Connect(pool)
		require.Equal(t, 204, call(mux, c, "room.hello", fmt.Sprintf(`{"name": %q, "key": %q}`, name, key)).Status)
		reply := call(mux, c, "room.join", `{"room": "lobby"}`)
		var answer joined
		require.NoError(t, json.Unmarshal(reply.Body, &answer), "%s", reply.Body)
		return c, answer.Lines
	}
	assert.Equal(t, 400, call(mux, sessiontest.Connect(pool), "room.hello", `{"name": "eve"}`).Status)
	ann, _ := enter("ann", "a")
	bob, _ := enter("bob", "b")
	assert.Equal(t, 404, call(mux, ann, "room.say", `{"to": "nobody", "text": "lost"}`).Status)
	cy, _ := enter("cy", "c")
	assert.Equal(t, 204, call(mux, cy, "room.leave", "").Status)
	assert.Equal(t, 404, call(mux, ann, "room.say", `{"to": "cy", "text": "lost"}`).Status)
	require.Equal(t, 204, call(mux, ann, "room.say", `{"to": "bob", "text": "secret"}`).Status)
	require.Equal(t, 204, call(mux, ann, "room.say", `{"text": "hello"}`).Status)
	require.Eventually(t, func() bool {
		lines, err := sessiontest.Values[line](bob, "room.line")
		return err == nil && len(lines) == 2 // the secret and the other
	}, time.Minute, time.Millisecond)
	require.NoError(t, bob.Session().Kick(t.Context(), "gone"))

	_, lines := enter("bob", "c")
	assert.Len(t, lines, 1)
	assert.Equal(t, "hello", lines[0].Text)
}

// TestTwice checks that a line that was sent twice is told once.
func TestTwice(t *testing.T) {
	h, err := openHistory(filepath.Join(t.TempDir(), "history"))
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, h.say(line{Room: "lobby", From: "ann", Text: "hello", Mark: "1"}))
	}
	news, err := h.more()
	require.NoError(t, err)
	assert.Len(t, news, 1)
	require.NoError(t, h.close())
}

// TestCutShort has a crash leave half a line in the file. Later lines are whole.
func TestCutShort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	require.NoError(t, os.WriteFile(file, []byte(`{"room":"lobby","from":"ann","te`), 0o600))
	h, err := openHistory(file)
	require.NoError(t, err)
	for _, text := range []string{"one", "two"} {
		require.NoError(t, h.say(line{Room: "lobby", From: "ann", Text: text}))
	}
	_, err = h.more()
	require.NoError(t, err)
	assert.Len(t, h.since("lobby", "", 0), 2)
	require.NoError(t, h.close())
}
