package peer

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// Node is a process as its peers see it, client and server at once. It is a handler for kami: each request to it is the upgrade to
// a connection, which middleware sees like any other request. Its fields must not change once it has a connection.
type Node struct {
	Name    string // sent to the other side; it must not be empty
	Version string // sent too; a version of semver.org
	ID      string // sent too; random if it is empty

	// Handler answers the calls of the other side, such as a *kami.Mux. With nil the other side can call nothing.
	Handler http.Handler
	// Sessions has a session for each connection.
	Sessions session.Pool
	// Authenticate checks a credential. It returns a context that descends from ctx and has the identity, or an error. See package
	// auth. With nil the Node ignores credentials.
	Authenticate func(ctx context.Context, scheme, credential string) (context.Context, error)
	// Returns says which of several answers to a message counts.
	Returns message.Returns
	// Origins are the browsers' origins that may connect in addition to the host itself, such as "https://example.com", or
	// "*.example.com" for any scheme.
	Origins []string
	// Concurrent is how many calls of one connection run at a time. With 0 and 1 they run one by one, in the order they came.
	Concurrent int
	// Queue is how many calls of one connection may wait while others run, 64 by default. A call beyond that is answered with 429,
	// as is a call with which the waiting calls would hold more than four times MaxMessage.
	Queue int
	// MaxMessage is how many bytes a message may have, 1 MiB by default.
	MaxMessage int64
	// PushQueue is how many bytes may wait to be written to one connection, 1 MiB by default. A connection with more is closed.
	PushQueue int
	// DrainRate is how many connections may come back in a second after this Node has said goodbye, 1,000 by default.
	DrainRate int
	// Heartbeat is the time between pings, 25 seconds by default. A connection ends if nothing is read from it for twice as long.
	Heartbeat time.Duration
	// Compress compresses messages over 1 KB, where the other side can.
	Compress bool
	// Log gets errors and closed connections. By default it is slog.Default.
	Log *slog.Logger
	// OnConnect runs before the first message of a connection is read. So a call that it makes gets no answer before it returns.
	OnConnect func(*Conn)
	// OnFirstRequest runs before the first call or notification of a connection runs.
	OnFirstRequest func(*Conn)
	// OnDisconnect runs once, after the last handler of the connection has returned. The panic of a hook is logged.
	OnDisconnect func(*Conn)
	// OnResume runs when a Dial with Reconnect has connected again. recovered says that it gets all pushes that it has missed.
	OnResume func(c *Conn, recovered bool)

	named sync.Once
	id    string

	mu      sync.Mutex
	links   map[*link]struct{}
	drains  map[<-chan struct{}]*drain
	closed  bool
	stopped chan struct{}  // closed when closed becomes true
	running sync.WaitGroup // connections for which Close waits
}

func orDefault[T int | int64 | time.Duration](value, normal T) T {
	if value > 0 {
		return value
	}
	return normal
}

func (n *Node) concurrent() int          { return orDefault(n.Concurrent, 1) }
func (n *Node) queue() int               { return orDefault(n.Queue, 64) }
func (n *Node) maxMessage() int64        { return orDefault(n.MaxMessage, 1<<20) }
func (n *Node) pushQueue() int           { return orDefault(n.PushQueue, 1<<20) }
func (n *Node) drainRate() int           { return orDefault(n.DrainRate, 1000) }
func (n *Node) heartbeat() time.Duration { return orDefault(n.Heartbeat, 25*time.Second) }

func (n *Node) log() *slog.Logger {
	if n.Log != nil {
		return n.Log
	}
	return slog.Default()
}

// info describes the Node.
func (n *Node) info() Info {
	n.named.Do(func() {
		if n.id = n.ID; n.id == "" {
			n.id = rand.Text()
		}
	})
	return Info{Name: n.Name, Version: n.Version, ID: n.id}
}

// begin counts a connection that is being made. It returns false if the Node is closed.
func (n *Node) begin() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.running.Add(1)
	return true
}

// join adds a link. It returns false if the Node is closed.
func (n *Node) join(l *link) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	if n.links == nil {
		n.links = make(map[*link]struct{})
	}
	n.links[l] = struct{}{}
	return true
}

func (n *Node) leave(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, l)
}
