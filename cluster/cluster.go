// Package cluster serves the handlers of one program on many servers, over NATS. Servers of a type share the calls of that type, and know
// the other servers:
//
//	nc, err := nats.Connect(url, cluster.Options()...)
//	server, err := cluster.Join(ctx, nc, cluster.Config{Type: "room", Version: "1.0.0", Remotes: mux})
//	defer server.Leave(ctx)
//
//	find := message.Remote[findRequest, match](server, "room.match.find")
//	found, err := find(ctx, findRequest{Level: 3})
//
// The route "room.match.find" is POST /room/match/find on the mux of any server of the type room. A call is delivered at most once. If no
// answer comes it may have run. [ErrNoServer] says that it has not.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/guregu/kami/session"
)

// Config describes the server that joins.
type Config struct {
	// Type is the kind of server, such as "room": up to 64 letters, digits, - and _. Version is a semantic version of three numbers.
	Type, Version string
	// ID is unique to this server, with the same characters. "" means a new one.
	ID string
	// Metadata says more, such as the region. A [Query] can ask for it. Keys that begin with "kami." are the package's own.
	Metadata map[string]string
	// URL is where peers reach this server; "" if they cannot.
	URL string
	// Handlers serves calls of clients, which fronts forward. Remotes serves calls of servers. Nil serves nothing.
	Handlers, Remotes http.Handler
	// Sessions has the sessions of this server's own clients, if it is a front.
	Sessions *session.Pool
	// Concurrent is how many messages are handled at a time, 256 by default. Queue is how many more may wait, 4096 by default. Any
	// further message is answered with 429 at once.
	Concurrent, Queue int
	// Timeout is for calls without a deadline, 5 seconds by default. It limits the calls of this server, and the time that its handlers
	// have for calls of others.
	Timeout time.Duration
	// Prefix begins all subjects, "kami" by default, so that several clusters can share one NATS. It has segments of letters, digits,
	// - and _ with dots between them.
	Prefix string
	// Log gets the errors, slog.Default() by default.
	Log *slog.Logger
	// OnRegister is called once, when this server is announced.
	OnRegister func(Instance)
}

// Instance is a server of the cluster. Its Metadata is shared, and must not be changed.
type Instance struct {
	ID, Type, Version, URL string
	Metadata               map[string]string
}

// EventKind says what has happened to an instance.
type EventKind int

const (
	Joined EventKind = iota + 1 // Joined: it has joined.
	Left                        // Left: it has said goodbye.
	Lost                        // Lost: it is gone without a goodbye.
)

// String returns the name of the kind.
func (k EventKind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Left:
		return "left"
	case Lost:
		return "lost"
	}
	return fmt.Sprintf("EventKind(%d)", int(k))
}

// Event says what has happened to an instance.
type Event struct {
	Kind     EventKind
	Instance Instance
}

// maxName is how many bytes a type, an id and a prefix may have.
const maxName = 64

var (
	nameRule   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	prefixRule = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// complete returns the Config with its defaults, or an error that says what is wrong.
func (c Config) complete() (Config, error) {
	c.setDefaults()
	wrong := func(format string, args ...any) (Config, error) {
		return c, fmt.Errorf("cluster: Join: "+format, args...)
	}
	switch {
	case !nameRule.MatchString(c.Type):
		return wrong("the Type %.80q must have 1 to %d letters, digits, - and _", c.Type, maxName)
	case !nameRule.MatchString(c.ID):
		return wrong("the ID %.80q must have 1 to %d letters, digits, - and _", c.ID, maxName)
	case len(c.Prefix) > maxName || !prefixRule.MatchString(c.Prefix):
		return wrong("the Prefix %.80q must have up to %d letters, digits, - and _, in segments with dots between them", c.Prefix, maxName)
	case c.Concurrent < 0 || c.Queue < 0 || c.Timeout < 0:
		return wrong("Concurrent %d, Queue %d and Timeout %v must not be negative", c.Concurrent, c.Queue, c.Timeout)
	}
	if _, err := semver.StrictNewVersion(c.Version); err != nil {
		return wrong("the Version %.80q must be a semantic version of three numbers, as 1.0.0: %w", c.Version, err)
	}
	return c, nil
}

func (c *Config) setDefaults() {
	set(&c.ID, newID)
	set(&c.Prefix, func() string { return "kami" })
	set(&c.Concurrent, func() int { return 256 })
	set(&c.Queue, func() int { return 4096 })
	set(&c.Timeout, func() time.Duration { return 5 * time.Second })
	set(&c.Log, slog.Default)
	c.Metadata = maps.Clone(c.Metadata)
}

// set sets a zero value to its default.
func set[T comparable](v *T, missing func() T) {
	if *v == *new(T) {
		*v = missing()
	}
}

// instance returns the server as others see it.
func (c *Config) instance() Instance {
	return Instance{c.ID, c.Type, c.Version, c.URL, c.Metadata}
}

// context returns the base of the contexts of handlers: the values of Join's context.
func base(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(context.WithoutCancel(ctx))
}
