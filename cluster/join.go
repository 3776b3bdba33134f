package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// Server is this process as a server of the cluster. All its methods may be called at any time, by any goroutine.
type Server struct {
	nc      *nats.Conn
	cfg     Config
	self    *member
	names   subjects
	beats   beats
	inbox   inbox
	view    view
	link    link
	stats   stats
	service *service
	routing routing
	deafen  func()         // ends hearErrors
	fronted chan *nats.Msg // questions to fronts
	casts   casts

	casting sync.Mutex // broadcasts go out in the order of their numbers
	cast    uint64     // the number of the last one

	base   context.Context // of the contexts of handlers
	cancel context.CancelCauseFunc

	announcing sync.Mutex
	saidBye    bool
	linked     int64 // when the connection was made anew; 0 for the first connection
	announced  sync.Once
	heard      chan struct{} // closed when this server has heard its own announcement

	subs     subscriptions
	news     chan *nats.Msg // presences and questions
	statuses chan nats.Status
	leaving  chan struct{} // closed when Leave begins
	left     chan struct{} // closed when it has ended
	once     sync.Once
	twin     atomic.Pointer[Instance] // another server with this id
	loops    sync.WaitGroup
}

// subscriptions are the subscriptions of a Server.
type subscriptions struct {
	changing   sync.Mutex
	calls, all []*nats.Subscription // only those for calls are drained
}

func newID() string { return nuid.Next() }

// queue is the queue group of all servers of a type. NATS's services have the same.
const queue = "q"

// beats are how often servers announce themselves, and how often the ends of a stream say that they are there. A server or an end that
// misses two beats counts as gone.
type beats struct{ presence, stream time.Duration }

var defaultBeats = beats{10 * time.Second, 5 * time.Second}

// Join asks which servers there are. It waits so long for another answer, and so long in all.
const (
	gathering = 60 * time.Millisecond
	gathered  = time.Second
)

// Join makes this process a server of the cluster: it asks which servers there are, serves, and announces itself. The connection must have
// the options of [Options], and remains the caller's: several servers may share one. Join returns at the end of ctx. The contexts of
// handlers have the values of ctx.
//
// The error is [ErrDenied] if NATS does not permit a subscription that a server needs. Another server with the same ID is an error
// for the one that joins later.
func Join(ctx context.Context, nc *nats.Conn, cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if err := checkConn(nc); err != nil {
		return nil, err
	}
	s := newServer(ctx, nc, cfg)
	if err := s.join(ctx); err != nil {
		if s.twin.Load() == nil {
			_ = s.announce(bye) // to the servers that have heard of it
		}
		close(s.service.stop)
		s.end(err)
		return nil, fmt.Errorf("cluster: Join: %w", err)
	}
	if cfg.OnRegister != nil {
		cfg.OnRegister(s.self.Instance)
	}
	return s, nil
}

func newServer(ctx context.Context, nc *nats.Conn, cfg Config) *Server {
	s := &Server{nc: nc, cfg: cfg, names: subjects(cfg.Prefix + "."), beats: defaultBeats, news: make(chan *nats.Msg, 4096),
		leaving: make(chan struct{}), left: make(chan struct{}), heard: make(chan struct{})}
	s.self = newMember(cfg.instance(), time.Now().UnixNano())
	s.cast = uint64(s.self.born) // above the numbers of an earlier server with this ID
	s.inbox.prefix = nc.NewInbox() + "."
	s.base, s.cancel = base(context.WithValue(ctx, serverKey{}, s))
	s.stats.init(s)
	s.service = newService(s)
	return s
}

// join takes the steps of Join.
func (s *Server) join(ctx context.Context) (err error) {
	before := s.nc.LastError() // the connection keeps it
	s.hearErrors()
	if s.inbox.sub, err = s.nc.Subscribe(s.inbox.prefix+"*", s.inbox.receive); err != nil {
		return err
	}
	if err := s.subscribe(s.names.presences(), "", s.news); err != nil {
		return err
	}
	if err := s.awaitSubscribed(ctx, before); err != nil {
		return err
	}
	s.statuses = s.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	s.loops.Go(s.listen)
	go s.service.takeCalls()
	if err := s.ask(ctx, "$SRV.INFO", gathering, gathered, func(m *nats.Msg) bool { s.hearAnswer(m); return true }); err != nil {
		return err
	}
	if twin := s.twin.Load(); twin != nil {
		return twinError(twin)
	}
	if s.cfg.Sessions != nil {
		s.cfg.Sessions.Join(s.cfg.ID, pooled{s})
	}
	if err := s.serve(); err != nil {
		return err
	}
	if err := s.awaitSubscribed(ctx, before); err != nil {
		return err
	}
	s.casts.begin()
	s.view.hear(s.self)
	if err := s.announce(here); err != nil {
		return err
	}
	if err := s.hearSelf(ctx); err != nil {
		return err
	}
	s.loops.Go(s.keepAnnouncing)
	return nil
}

func twinError(twin *Instance) error {
	return fmt.Errorf("the ID %q is that of another server, of type %s: each needs its own", twin.ID, twin.Type)
}

// subscribe subscribes to a subject that is not for calls.
func (s *Server) subscribe(subject, queue string, to chan *nats.Msg) error {
	sub, err := s.nc.ChanQueueSubscribe(subject, queue, to)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	s.subs.changing.Lock()
	defer s.subs.changing.Unlock()
	s.subs.all = append(s.subs.all, sub)
	if to == s.service.incoming {
		s.subs.calls = append(s.subs.calls, sub)
	}
	return nil
}

// subscriptions returns all subscriptions except the inbox.
func (s *Server) subscriptions() []*nats.Subscription {
	s.subs.changing.Lock()
	defer s.subs.changing.Unlock()
	return slices.Clone(s.subs.all)
}

// owns reports whether the subscription belongs to this server.
func (s *Server) owns(sub *nats.Subscription) bool {
	return sub != nil && (sub == s.inbox.sub || slices.Contains(s.subscriptions(), sub))
}

// serve subscribes to everything that this server answers. It listens to calls also if it has no handlers, because a server that does not
// listen counts as lost.
func (s *Server) serve() error {
	calls := s.service.incoming
	if err := s.subscribe(s.names.cancel(s.cfg.Type), "", calls); err != nil {
		return err
	}
	for _, t := range []tree{remotesTree, handlersTree} {
		if err := s.subscribe(s.names.to(s.cfg.ID, t, ">"), "", calls); err != nil {
			return err
		}
		if err := s.subscribe(s.names.calls(t, s.cfg.Type), queue, calls); err != nil {
			return err
		}
	}
	if err := s.subscribeFront(); err != nil {
		return err
	}
	return s.subscribeQuestions()
}

// awaitSubscribed waits until NATS has processed what was sent, and returns an error if NATS has denied a subscription. NATS reports a denial on
// another goroutine: if the connection's error is not the one of before, that report is still to come.
func (s *Server) awaitSubscribed(ctx context.Context, before error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := s.nc.FlushWithContext(ctx); err != nil {
		return err
	}
	for range 50 {
		if err := s.link.denial(); err != nil {
			return err
		}
		if err := s.nc.LastError(); err == before || !errors.Is(err, nats.ErrPermissionViolation) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

type serverKey struct{}

// FromContext returns the server that a message came to, from the context of its handler, or nil if it did not come by a cluster.
// Messages may come before Join has returned.
func FromContext(ctx context.Context) *Server {
	s, _ := ctx.Value(serverKey{}).(*Server)
	return s
}

// ID returns the id of this server.
func (s *Server) ID() string { return s.cfg.ID }

// Instances returns the servers of a type in the view of this server, itself included, sorted by id.
func (s *Server) Instances(serverType string) []Instance {
	members := s.view.ofType(serverType)
	instances := make([]Instance, len(members))
	for i, m := range members {
		instances[i] = m.Instance
	}
	return instances
}
