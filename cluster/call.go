package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/message"
)

// Call calls a route. The route's first segment is a type: any server of that type answers, this one included. The error is
// [ErrNoServer] if there is none, and [ErrDenied] if NATS does not permit the call. Call may be called at any time, by any goroutine.
// After Leave has returned the error is [ErrLeft].
func (s *Server) Call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	return s.call(ctx, &calling{message: m, tree: remotesTree})
}

// To returns the Caller of one server. Its routes are the same, such as "room.match.find".
func (s *Server) To(id string) message.Caller { return callerTo{s, id} }

type callerTo struct {
	s  *Server
	id string
}

func (c callerTo) Call(ctx context.Context, m *message.Message) (*message.Reply, error) {
	if !nameRule.MatchString(c.id) {
		return nil, fmt.Errorf("%w: %.80q is no id of one", ErrNoServer, c.id)
	}
	return c.s.call(ctx, &calling{message: m, tree: remotesTree, target: target{id: c.id}})
}

// calling is a call by this server.
type calling struct {
	message *message.Message
	tree    tree
	target
	choose  func([]*member) (*member, error) // chooses the server of the type; nil for any
	session string                           // the snapshot of the client's session
	reply   string                           // the subject of the answer
}

// target is the servers that a call may reach.
type target struct {
	serverType, id string
	members        []*member // in the view
	after          uint64    // how many changes the view had then
}

// call makes a call.
func (s *Server) call(ctx context.Context, c *calling) (*message.Reply, error) {
	m := c.message
	if ctx.Err() != nil {
		return nil, withCause(ctx, message.ErrUndelivered)
	}
	if _, err := message.Path(m.Route); err != nil {
		return errorReply(http.StatusBadRequest, err.Error()), nil
	}
	c.serverType = typeOf(m.Route)
	if err := s.find(ctx, c); err != nil {
		return nil, err
	}
	subject := s.names.call(c.tree, m.Route)
	if c.id != "" {
		subject = s.names.to(c.id, c.tree, m.Route)
	}
	header, err := encodeRequest(ctx, c)
	if err != nil {
		return nil, err
	}
	if m.Notify {
		return nil, s.publish(subject, "", header, m.Body)
	}
	return s.request(ctx, c, subject, header)
}

// askAbout is how long a server that the view does not know may take to say that it is there.
const askAbout = 100 * time.Millisecond

// find looks for the target in the view. If it is not there, find asks for it.
func (s *Server) find(ctx context.Context, c *calling) error {
	c.lookUp(&s.view)
	if len(c.members) == 0 && nameRule.MatchString(c.serverType) {
		if err := s.askFor(ctx, c.serverType, c.id); err != nil {
			return err
		}
		c.lookUp(&s.view)
	}
	if len(c.members) == 0 {
		return c.noServer()
	}
	if c.choose == nil {
		return nil
	}
	chosen, err := c.choose(c.members)
	if err != nil {
		return err
	}
	c.id, c.members = chosen.ID, []*member{chosen}
	return nil
}

// askFor asks for servers of a type, or for the server with an id. Servers that answer are then in the view.
func (s *Server) askFor(ctx context.Context, serverType, id string) error {
	subject := "$SRV.PING." + serverType
	if id != "" {
		subject += "." + id
	}
	return s.ask(ctx, subject, askAbout, askAbout, func(m *nats.Msg) bool {
		found := s.hearAnswer(m)
		return found == nil || id != "" && found.ID != id
	})
}

// lookUp looks for the target in the view.
func (t *target) lookUp(v *view) {
	t.after = v.changes.Load()
	if t.id == "" {
		t.members = v.ofType(t.serverType)
	} else if m := v.member(t.id); m != nil {
		t.serverType, t.members = m.Type, []*member{m}
	}
}

func (c *calling) noServer() error {
	if c.id != "" {
		return fmt.Errorf("%w: %q, for the route %.260q", ErrNoServer, c.id, c.message.Route)
	}
	return fmt.Errorf("%w: of type %.80q, for the route %.260q", ErrNoServer, c.serverType, c.message.Route)
}

// request publishes a call and waits for its answer.
func (s *Server) request(ctx context.Context, c *calling, subject string, header nats.Header) (*message.Reply, error) {
	var stream *incomingStream
	if c.message.Stream != nil {
		stream = newIncomingStream(c.message)
	}
	p, reply, err := s.inbox.open(subject, stream, nil)
	if err != nil {
		return nil, err
	}
	c.reply = reply
	defer s.inbox.close(p)
	if err := s.publish(subject, reply, header, c.message.Body); err != nil {
		return nil, err
	}
	if stream != nil {
		return s.consume(ctx, c, p)
	}
	return s.await(ctx, c, p)
}

// await waits for an answer.
func (s *Server) await(ctx context.Context, c *calling, p *pending) (*message.Reply, error) {
	if _, ok := ctx.Deadline(); !ok {
		p.timer.Reset(s.cfg.Timeout)
	}
	select {
	case o := <-p.outcomes:
		return s.answer(o, c)
	case <-ctx.Done():
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.callOff(&c.target, c.reply)
		}
		return nil, withCause(ctx, fmt.Errorf("cluster: calling %.260q", c.message.Route))
	case <-p.timer.C:
		s.callOff(&c.target, c.reply)
		return nil, fmt.Errorf("cluster: calling %.260q: %w: the Timeout is %v", c.message.Route, errLate, s.cfg.Timeout)
	}
}

// answer returns the answer of a call that has ended.
func (s *Server) answer(o outcome, c *calling) (*message.Reply, error) {
	switch {
	case o.err != nil:
		return nil, fmt.Errorf("%w: calling %.260q", o.err, c.message.Route)
	case isNoResponders(o.msg):
		s.view.lose(c.members, c.after)
		return nil, c.noServer()
	}
	return decodeReply(o.msg), nil
}

// callOff tells the server that its answer is no longer wanted.
func (s *Server) callOff(to *target, reply string) {
	_ = s.publish(s.names.cancel(to.serverType), "", nil, []byte(reply))
}

// publish publishes a message now, or returns an error: it is never sent later.
func (s *Server) publish(subject, reply string, header nats.Header, data []byte) error {
	if err := checkSubject(subject); err != nil {
		return err
	}
	var err error
	if header == nil && reply != "" {
		err = s.nc.PublishRequest(subject, reply, data)
	} else if header == nil {
		err = s.nc.Publish(subject, data)
	} else {
		err = s.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Header: header, Data: data})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: its body has %d bytes, and with its headers more than the %d that the server permits", errTooLarge, len(data), s.nc.MaxPayload())
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return fmt.Errorf("%w: %w", errDisconnected, err)
	}
	return fmt.Errorf("%w: %w", errBadMessage, err)
}
