//go:build unix

package restart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/peer"
)

// think is how long a client pauses between two calls, on average.
const think = 20 * time.Millisecond

// result has the results of the calls.
type result struct {
	mu               sync.Mutex
	answered, failed int
	again            int // calls that were sent again, for the close frame says that they have not run
	slowest          time.Duration
	failures         []string // some of them
	ids              map[string]bool
}

func (r *result) String() string {
	return fmt.Sprintf("%d failed, %d answered, %d sent again, the slowest in %v", r.failed, r.answered, r.again,
		r.slowest.Round(time.Millisecond))
}

func (r *result) add(id string, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.answered++
		r.slowest = max(r.slowest, took)
		r.ids[id] = true
		return
	}
	r.failed++
	if len(r.failures) < 10 {
		r.failures = append(r.failures, fmt.Sprintf("%s after %v: %v", id, took, err))
	}
}

// client makes calls by one connection at a time.
type client interface {
	call(ctx context.Context, id string) (answer string, err error)
	close()
}

// kind makes clients of one kind for a server.
type kind func(url string, r *result) client

// load has clients call until ctx ends. It returns when the calls that have begun have ended.
func load(ctx context.Context, clients int, url string, k kind) *result {
	r := &result{ids: make(map[string]bool)}
	var running sync.WaitGroup
	for n := range clients {
		running.Go(func() {
			c := k(url, r)
			defer c.close()
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", n, i)
				began := time.Now()
				err := once(c, id)
				r.add(id, time.Since(began), err)
				pause(ctx, think/2+rand.N(think))
			}
		})
	}
	running.Wait()
	return r
}

// once makes a call, and never repeats it.
func once(c client, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer, err := c.call(ctx, id)
	if err == nil && answer != "ok "+id {
		err = fmt.Errorf("the answer is %q", answer)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// ours is kami's own client.
type ours struct {
	conn *peer.Conn
	err  error
}

func newOurs(url string, _ *result) client {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	node := &peer.Node{Name: "client", Version: "1.0.0"}
	conn, err := node.Dial(ctx, url, peer.Reconnect(peer.Backoff{}))
	return &ours{conn, err}
}

func (c *ours) call(ctx context.Context, id string) (string, error) {
	if c.err != nil {
		return "", c.err
	}
	return message.Remote[string, string](c.conn, "echo")(ctx, id)
}

func (c *ours) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// plain is a client that knows JSON-RPC but not kami. It reconnects when its connection has ended. After status 1012 it sends the calls
// without an answer again, because they have not run.
type plain struct {
	url    string
	result *result
	socket *websocket.Conn
}

func newPlain(url string, r *result) client { return &plain{url: url, result: r} }

func (c *plain) call(ctx context.Context, id string) (string, error) {
	for {
		answer, err := c.try(ctx, id)
		if err == nil {
			return answer, nil
		}
		c.close()
		if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			return "", err
		}
		c.result.mu.Lock()
		c.result.again++
		c.result.mu.Unlock()
	}
}

func (c *plain) try(ctx context.Context, id string) (string, error) {
	if c.socket == nil {
		var err error
		if c.socket, _, err = websocket.Dial(ctx, c.url, nil); err != nil {
			return "", fmt.Errorf("dialing: %w", err)
		}
	}
	request := fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"echo","params":[%q]}`, id, id)
	writing := c.socket.Write(ctx, websocket.MessageText, []byte(request))
	for { // if writing has failed too, for reading says why
		_, data, err := c.socket.Read(ctx)
		if err != nil {
			return "", errors.Join(err, writing)
		}
		var answer struct {
			ID     any
			Result string
			Error  json.RawMessage
		}
		switch err := json.Unmarshal(data, &answer); {
		case err != nil:
			return "", err
		case answer.ID == id && answer.Error == nil:
			return answer.Result, nil
		case answer.ID != nil || !strings.Contains(string(data), "kami.goaway"):
			return "", fmt.Errorf("the server has sent %.200q", data)
		}
	}
}

func (c *plain) close() {
	if c.socket != nil {
		_ = c.socket.CloseNow()
		c.socket = nil
	}
}
