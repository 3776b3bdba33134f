package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/cluster"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/examples/internal/program"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// patient is how long a test waits for an event that comes at once unless it is lost.
const patient = time.Minute

// client is a client like a browser's.
type client struct {
	name, room string
	conn       *peer.Conn
	enter      func(context.Context, enter) (*members, error)
	say        func(context.Context, say) (*line, error)

	mu            sync.Mutex
	heard         []line
	back, resumed int // how often it is back, and how often with its session
}

// dial connects, and enters the room.
func dial(t *testing.T, address, name, room string) *client {
	t.Helper()
	c := &client{name: name, room: room}
	calls := kami.New() // what is pushed
	calls.Post("/room/said", endpoint.JSON(func(_ context.Context, l line) (struct{}, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.heard = append(c.heard, l)
		return struct{}{}, nil
	}))
	calls.Post("/room/entered", endpoint.JSON(func(context.Context, enter) (struct{}, error) { return struct{}{}, nil }))
	node := &peer.Node{Name: "client", Version: version, Handler: calls, OnResume: func(_ *peer.Conn, recovered bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.back++
		if recovered {
			c.resumed++
		}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	var err error
	c.conn, err = node.Dial(ctx, "ws://"+address+"/connect", peer.Reconnect(peer.Backoff{Max: time.Second}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.conn.Close() })
	c.enter = message.Remote[enter, *members](c.conn, "connector.hall.enter")
	c.say = message.Remote[say, *line](c.conn, "room.chat.say")
	_, err = c.enter(ctx, enter{name, room})
	require.NoError(t, err)
	return c
}

// lines returns what the client has heard.
func (c *client) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var texts []string
	for _, l := range c.heard {
		texts = append(texts, l.From+": "+l.Text)
	}
	return texts
}

// TestProgram runs all servers in one process, up to the signal that stops it.
func TestProgram(t *testing.T) {
	p := program.Start(t)
	response, err := http.Get("http://" + p.Address + "/")
	require.NoError(t, err)
	html, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, page, string(html))

	ann, bob, cy := dial(t, p.Address, "ann", "lobby"), dial(t, p.Address, "bob", "lobby"), dial(t, p.Address, "cy", "library")
	first, err := ann.say(t.Context(), say{"hello"})
	require.NoError(t, err)
	second, err := bob.say(t.Context(), say{"hi"})
	require.NoError(t, err)
	assert.Equal(t, first.Server, second.Server, "a room is at one server")
	for _, c := range []*client{ann, bob} {
		until(t, "all lines", func() bool { return len(c.lines()) == 2 })
		assert.Equal(t, []string{"ann: hello", "bob: hi"}, c.lines())
	}
	assert.Empty(t, cy.lines())

	_, err = ann.say(t.Context(), say{})
	assert.ErrorIs(t, err, endpoint.Error(400, "a line has 1 to 1000 bytes"))
	_, err = ann.enter(t.Context(), enter{"ann", ""})
	assert.ErrorIs(t, err, endpoint.Error(400, "a name, and a room, has 1 to 60 bytes"))
	got, err := message.Remote[struct{}, *servers](ann.conn, "connector.hall.servers")(t.Context(), struct{}{})
	require.NoError(t, err)
	assert.Len(t, got.Lines, 2)
	assert.Equal(t, int64(2), got.Lines[first.Server])

	all, err := cy.enter(t.Context(), enter{"cy", "lobby"})
	require.NoError(t, err)
	assert.Equal(t, []string{"ann", "bob", "cy"}, all.Names)
	p.Signal(os.Interrupt)
	assert.Contains(t, p.End(), "kami stopped\n")
}

// TestChoose has rooms stay where they are when another server leaves.
func TestChoose(t *testing.T) {
	servers := map[string]cluster.Instance{"a": {ID: "a"}, "b": {ID: "b"}, "c": {ID: "c"}}
	before, shares := make(map[string]string), make(map[string]int)
	for i := range 300 {
		room := fmt.Sprint("room ", i)
		before[room] = choose(room, servers).ID
		shares[before[room]]++
	}
	delete(servers, "c")
	for room, id := range before {
		if id != "c" {
			assert.Equal(t, id, choose(room, servers).ID, room)
		}
	}
	for id, share := range shares {
		assert.Greater(t, share, 50, id)
	}
}

// until waits until something is true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it has not come to be in a minute: " + what)
		}
	}
}
