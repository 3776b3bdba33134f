package main

import (
	"cmp"
	"context"
	"crypto/subtle"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/session"
)

// The values of a session.
var (
	key   = session.NewKey[string]("key")   // shows that a name is the client's own
	room  = session.NewKey[string]("room")  // where it is
	since = session.NewKey[time.Time]("at") // when it came there
)

// Room has the methods that clients call, as room.say. Its sessions are the node's.
type Room struct {
	sessions *session.Pool
	file     string

	history *history
	nudge   chan struct{} // something has been said
	stop    context.CancelFunc
	stopped chan struct{}
}

// Init opens the history, before anything is served.
func (c *Room) Init() (err error) {
	if c.history, err = openHistory(c.file); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	c.nudge, c.stop, c.stopped = make(chan struct{}, 1), stop, make(chan struct{})
	go c.follow(ctx)
	return nil
}

// Shutdown closes the history, after everything was served.
func (c *Room) Shutdown() error {
	c.stop()
	<-c.stopped
	return c.history.close()
}

type hello struct{ Name, Key string }

// Hello gives the client a name, which belongs to it as long as it is here.
func (c *Room) Hello(ctx context.Context, r *hello) error {
	s := session.FromContext(ctx)
	if err := valid("name", r.Name); err != nil {
		return err
	}
	if r.Key == "" {
		return endpoint.Error(400, "a key is missing")
	}
	if s.UID() == r.Name {
		return nil
	}
	if other := c.sessions.ByUID(r.Name); other != nil {
		if theirs, _ := key.Get(other); subtle.ConstantTimeCompare([]byte(theirs), []byte(r.Key)) == 0 {
			return endpoint.Error(409, "somebody else has this name here")
		}
	}
	key.Set(s, r.Key)
	return s.Bind(ctx, r.Name)
}

type join struct {
	Room  string
	After int64 // the last line that the client has
}

type joined struct {
	Names []string `json:"names"` // the one who has been here the longest comes first
	Lines []line   `json:"lines"`
}

// Join goes to a room, and out of the one before.
func (c *Room) Join(ctx context.Context, r *join) (*joined, error) {
	s, err := named(ctx)
	if err != nil {
		return nil, err
	}
	if err := valid("room", r.Room); err != nil {
		return nil, err
	}
	if was, _ := room.Get(s); was != r.Room {
		c.Leave(ctx)
		room.Set(s, r.Room)
		since.Set(s, time.Now())
		if err := c.group(r.Room).Add(ctx, s); err != nil {
			return nil, err
		}
		c.tellMembers(ctx, r.Room)
	}
	mine, _ := key.Get(s)
	return &joined{c.names(ctx, r.Room), c.history.since(r.Room, owner(mine), r.After)}, nil
}

// Leave goes out of the room.
func (c *Room) Leave(ctx context.Context) {
	s := session.FromContext(ctx)
	if was, ok := room.Get(s); ok {
		room.Delete(s)
		_ = c.group(was).Remove(ctx, s)
		c.tellMembers(ctx, was)
	}
}

type say struct{ To, Text, Mark string }

// Say says something to all in the room, or to one user alone. It may be called again with the same mark, by a client that does not know
// whether it was heard.
func (c *Room) Say(ctx context.Context, r *say) error {
	s, here, err := inRoom(ctx)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(r.Text)
	if text == "" || len(text) > 2000 || len(r.Mark) > 60 {
		return endpoint.Error(400, "a line has 1 to 2000 bytes, and a mark at most 60")
	}
	l := line{Room: here, From: s.UID(), To: r.To, Text: text, Mark: r.Mark}
	if r.To != "" {
		other := c.sessions.ByUID(r.To)
		if !isIn(other, here) {
			return endpoint.Error(404, "nobody here has this name")
		}
		for _, one := range []*session.Session{s, other} {
			theirs, _ := key.Get(one)
			l.For = append(l.For, owner(theirs))
		}
	}
	return c.append(l)
}

type kick struct{ Name string }

// Kick puts a member out. Only the one who has been in the room the longest may.
func (c *Room) Kick(ctx context.Context, r *kick) error {
	s, here, err := inRoom(ctx)
	if err != nil {
		return err
	}
	names := c.names(ctx, here)
	switch {
	case !slices.Contains(names, r.Name):
		return endpoint.Error(404, "nobody here has this name")
	case names[0] != s.UID():
		return endpoint.Error(403, "only "+names[0]+" may kick here")
	}
	return c.append(line{Room: here, From: s.UID(), To: r.Name, Kick: true})
}

func (c *Room) append(l line) error {
	l.At = time.Now()
	if err := c.history.say(l); err != nil {
		return err
	}
	select {
	case c.nudge <- struct{}{}:
	default: // it is awake
	}
	return nil
}

// follow sends new lines to the clients of this process, also lines from other processes.
func (c *Room) follow(ctx context.Context) {
	defer close(c.stopped)
	others := time.NewTicker(100 * time.Millisecond)
	defer others.Stop()
	for {
		lines, err := c.history.more()
		if err != nil {
			slog.Error("reading the history failed", "err", err)
		}
		for _, l := range lines {
			if err := c.tell(ctx, l); err != nil {
				slog.Warn("a line was not told", "err", err)
			}
		}
		select {
		case <-c.nudge:
		case <-others.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Room) tell(ctx context.Context, l line) (err error) {
	switch {
	case l.Kick:
		if s := c.sessions.ByUID(l.To); s != nil {
			_ = s.Push(ctx, "room.kicked", map[string]string{"by": l.From})
			return s.Kick(ctx, "kicked by "+l.From)
		}
	case l.To != "" && l.To != l.From:
		_, err = c.sessions.Push(ctx, "room.line", l, l.From, l.To)
	case l.To != "":
		_, err = c.sessions.Push(ctx, "room.line", l, l.From)
	default:
		err = c.group(l.Room).Broadcast(ctx, "room.line", l)
	}
	return err
}

// closed is for Pool.OnClose.
func (c *Room) closed(s *session.Session) {
	if was, ok := room.Get(s); ok {
		c.tellMembers(context.Background(), was)
	}
}

func (c *Room) tellMembers(ctx context.Context, room string) {
	there := map[string]any{"room": room, "names": c.names(ctx, room)}
	if err := c.group(room).Broadcast(ctx, "room.members", there); err != nil {
		slog.Warn("the members were not told", "room", room, "err", err)
	}
}

// names returns the names in the room, the one who has been there the longest first.
func (c *Room) names(ctx context.Context, room string) []string {
	members, _ := c.group(room).Members(ctx)
	came := make(map[string]time.Time, len(members))
	names := make([]string, 0, len(members))
	for _, m := range members {
		if s := c.sessions.ByID(m.ID); s != nil {
			came[m.UID], _ = since.Get(s)
			names = append(names, m.UID)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(came[a].Compare(came[b]), cmp.Compare(a, b)) })
	return names
}

func (c *Room) group(room string) session.Group { return c.sessions.Group("room." + room) }

// named returns the session of a client that has a name.
func named(ctx context.Context) (*session.Session, error) {
	s := session.FromContext(ctx)
	if s == nil || s.UID() == "" {
		return nil, endpoint.Error(401, "say hello first")
	}
	return s, nil
}

func isIn(s *session.Session, here string) bool {
	if s == nil {
		return false
	}
	in, _ := room.Get(s)
	return in == here
}

func inRoom(ctx context.Context) (*session.Session, string, error) {
	s, err := named(ctx)
	if err != nil {
		return nil, "", err
	}
	here, ok := room.Get(s)
	if !ok {
		return nil, "", endpoint.Error(409, "join a room first")
	}
	return s, here, nil
}

// valid checks a name or a room.
func valid(what, s string) error {
	if s == "" || len(s) > 60 || strings.TrimSpace(s) != s {
		return endpoint.Error(400, "a "+what+" has 1 to 60 bytes, without space around it")
	}
	return nil
}
