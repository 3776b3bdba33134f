package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/session"
)

// The questions to fronts.
const (
	opPush    = "push"    // to a session
	opBind    = "bind"    // a session
	opKick    = "kick"    // a session
	opCommit  = "commit"  // values of a session
	opAdd     = "add"     // a session to a group
	opRemove  = "remove"  // a session from a group
	opPushTo  = "pushTo"  // users
	opKickOf  = "kickOf"  // users
	opMembers = "members" // of a group
	opClaim   = "claim"   // a user
	opTake    = "take"    // a session, to another front
	opCast    = "cast"    // to a group
	opProbe   = "probe"   // whether it listens
)

// question is a question to a front. Texts that may not be UTF-8 are bytes, because JSON would change them.
type question struct {
	Op      string                     `json:"op"`
	From    string                     `json:"from"`
	Timeout time.Duration              `json:"timeout,omitempty"`
	Session string                     `json:"session,omitempty"`
	UIDs    [][]byte                   `json:"uids,omitempty"`
	Reason  string                     `json:"reason,omitempty"`
	Route   string                     `json:"route,omitempty"`
	Group   []byte                     `json:"group,omitempty"`
	Values  map[string]json.RawMessage `json:"values,omitempty"`
	Claim   *session.Claim             `json:"claim,omitempty"`
	Token   string                     `json:"token,omitempty"`
	Seq     uint64                     `json:"seq,omitempty"`
	Subject []byte                     `json:"subject,omitempty"` // who asks for the session of the Token
	Number  uint64                     `json:"number,omitempty"`  // of a broadcast, counted by its publisher
}

// reply is the answer of a front.
type reply struct {
	From    string           `json:"from"`
	Status  int              `json:"status,omitempty"` // of an error
	Text    string           `json:"text,omitempty"`
	Missed  []int            `json:"missed,omitempty"` // of the UIDs
	Members []session.Member `json:"members,omitempty"`
	Moved   *session.Moved   `json:"moved,omitempty"`
	Groups  [][]byte         `json:"groups,omitempty"` // of the session that has moved
	Heard   map[string]mark  `json:"heard,omitempty"`  // the broadcasts that the session has been given
}

// err returns the error of an answer. It is equal to the error at the front if that has a status.
func (r *reply) err() error {
	if r.Status == 0 {
		return nil
	}
	return endpoint.Error(r.Status, r.Text)
}

// frame makes one message of a question and a JSON body.
func frame(q *question, body []byte) ([]byte, error) {
	head, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("cluster: encoding a question to a front: %w", err)
	}
	data := binary.AppendUvarint(make([]byte, 0, len(head)+len(body)+binary.MaxVarintLen32), uint64(len(head)))
	return append(append(data, head...), body...), nil
}

func unframe(data []byte) (q *question, body []byte, err error) {
	length, n := binary.Uvarint(data)
	if n <= 0 || length > uint64(len(data)-n) {
		return nil, nil, errors.New("cluster: a question to a front is malformed")
	}
	head, body := data[n:n+int(length)], data[n+int(length):]
	q = new(question)
	return q, body, json.Unmarshal(head, q)
}

// subscribeFront subscribes to the questions to fronts of the type. A server without sessions answers too: that it has none.
func (s *Server) subscribeFront() error {
	s.fronted = make(chan *nats.Msg, 16384)
	s.loops.Go(s.listenFront)
	subjects := []string{s.names.front(s.cfg.Type, "all"), s.names.front(s.cfg.Type, "to."+s.cfg.ID)}
	if s.cfg.Sessions != nil {
		subjects = append(subjects, string(s.names)+"g."+s.cfg.Type+".*")
	}
	for _, subject := range subjects {
		if err := s.subscribe(subject, "", s.fronted); err != nil {
			return err
		}
	}
	return nil
}

// listenFront answers questions in the order in which they come. A question that may take long is answered in its own goroutine.
func (s *Server) listenFront() {
	for {
		select {
		case m := <-s.fronted:
			q, body, err := unframe(m.Data)
			switch {
			case err != nil:
				s.logError("reading from "+m.Subject, err)
			case q.mayWait():
				s.loops.Go(func() { s.answerFront(m, q, body) })
			default:
				s.answerFront(m, q, body)
			}
		case <-s.left:
			return
		case <-s.base.Done():
			return
		}
	}
}

// mayWait reports whether the answer runs code of the app, or waits for a client.
func (q *question) mayWait() bool {
	switch q.Op {
	case opBind, opKick, opKickOf, opClaim, opTake:
		return true
	}
	return false
}

// answerFront does what a question asks for, and answers.
func (s *Server) answerFront(m *nats.Msg, q *question, body []byte) {
	timeout := q.Timeout
	if timeout <= 0 {
		timeout = s.cfg.Timeout
	}
	ctx, cancel := context.WithTimeout(s.base, timeout)
	defer cancel()
	r := &reply{From: s.cfg.ID}
	if err := s.doFront(ctx, q, body, r); err != nil {
		var coder endpoint.StatusCoder
		if errors.As(err, &coder) && coder.StatusCode() >= 400 {
			r.Status, r.Text = coder.StatusCode(), err.Error()
		} else {
			r.Status, r.Text = http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
			s.logError("a front's "+q.Op, err)
		}
	}
	if m.Reply == "" {
		return
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = s.publish(m.Reply, "", nil, data)
	}
	s.logError("answering a "+q.Op, err)
}

// doFront does what a question asks for.
func (s *Server) doFront(ctx context.Context, q *question, body []byte, r *reply) error {
	pool := s.cfg.Sessions
	if pool == nil {
		pool = new(session.Pool) // without sessions
	}
	switch q.Op {
	case opProbe:
		return nil
	case opPushTo, opKickOf:
		return s.doUsers(ctx, pool, q, body, r)
	case opMembers:
		members, err := pool.Group(string(q.Group)).Members(ctx)
		r.Members = members
		return err
	case opCast:
		return s.casts.hear(q, body, func() error {
			return pool.Group(string(q.Group)).Broadcast(ctx, q.Route, json.RawMessage(body))
		})
	case opClaim:
		return s.doClaim(ctx, pool, q)
	case opTake:
		return s.doTake(ctx, pool, q, r)
	}
	return doSession(ctx, pool, q, body)
}

// doSession does what a question about one session asks for.
func doSession(ctx context.Context, pool *session.Pool, q *question, body []byte) error {
	s := pool.ByID(q.Session)
	if s == nil {
		return session.ErrClosed
	}
	switch q.Op {
	case opPush:
		return s.Push(ctx, q.Route, json.RawMessage(body))
	case opBind:
		if len(q.UIDs) != 1 {
			return endpoint.Error(http.StatusBadRequest, "cluster: a Bind is to one user")
		}
		return s.Bind(ctx, string(q.UIDs[0]))
	case opKick:
		return s.Kick(ctx, q.Reason)
	case opCommit:
		return s.Apply(q.Values)
	case opAdd:
		return pool.Group(string(q.Group)).Add(ctx, s)
	case opRemove:
		return pool.Group(string(q.Group)).Remove(ctx, s)
	}
	return endpoint.Error(http.StatusBadRequest, fmt.Sprintf("cluster: %.80q is nothing that a front does", q.Op))
}

// doUsers pushes to users, or kicks them.
func (s *Server) doUsers(ctx context.Context, pool *session.Pool, q *question, body []byte, r *reply) (err error) {
	for i, uid := range q.UIDs {
		of := pool.ByUID(string(uid))
		if of == nil {
			r.Missed = append(r.Missed, i)
			continue
		}
		var failed error
		if q.Op == opPushTo {
			failed = of.Push(ctx, q.Route, json.RawMessage(body))
		} else {
			failed = of.Kick(ctx, q.Reason)
		}
		if errors.Is(failed, session.ErrClosed) {
			r.Missed = append(r.Missed, i)
		} else {
			err = errors.Join(err, failed)
		}
	}
	return err
}

func (s *Server) doClaim(ctx context.Context, pool *session.Pool, q *question) error {
	if q.Claim != nil && q.From != s.cfg.ID {
		pool.Claimed(ctx, *q.Claim)
	}
	return nil
}

// doTake gives a session to another front, after its handlers have returned or have taken too long.
func (s *Server) doTake(ctx context.Context, pool *session.Pool, q *question, r *reply) error {
	ctx, cancel := context.WithTimeout(ctx, late)
	defer cancel()
	pool.Rest(ctx, q.Token, string(q.Subject))
	var moved session.Moved
	var ok bool
	r.Heard = s.casts.cut(func() { moved, ok = pool.Give(q.Token, q.Seq, string(q.Subject)) })
	if !ok {
		return session.ErrClosed
	}
	for _, name := range moved.Groups {
		r.Groups = append(r.Groups, []byte(name))
	}
	moved.Groups = nil
	r.Moved = &moved
	return nil
}

// within returns how long a question may take.
func (s *Server) within(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(time.Until(end), 1)
	}
	return s.cfg.Timeout
}

// askFront asks one front.
func (s *Server) askFront(ctx context.Context, frontType, id string, q *question, body []byte) (got *reply, err error) {
	if !nameRule.MatchString(frontType) || !nameRule.MatchString(id) {
		return nil, fmt.Errorf("%w: a front of type %.80q with the id %.80q", ErrNoServer, frontType, id)
	}
	w := s.awaiting(frontType, []string{id}, func(r *reply) { got = r })
	asked, err := s.askFronts(ctx, s.names.front(frontType, "to."+id), q, body, w)
	switch {
	case err != nil:
		return nil, err
	case !asked:
		return nil, fmt.Errorf("%w: a front of type %s with the id %s", ErrNoServer, frontType, id)
	case got == nil:
		return nil, fmt.Errorf("cluster: the front %s asked for a %s: %w", id, q.Op, errLate)
	}
	return got, got.err()
}

// askAll asks all fronts of a type, and passes each answer to hear. The error names the fronts that have not answered in time. It does
// nothing if there is no front.
func (s *Server) askAll(ctx context.Context, frontType string, q *question, body []byte, hear func(*reply)) error {
	if !nameRule.MatchString(frontType) {
		return nil
	}
	if len(s.view.ofType(frontType)) == 0 {
		if err := s.askFor(ctx, frontType, ""); err != nil {
			return err
		}
	}
	var ids []string
	for _, m := range s.view.ofType(frontType) {
		ids = append(ids, m.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	w := s.awaiting(frontType, ids, hear)
	w.known = true
	_, err := s.askFronts(ctx, s.names.front(frontType, "all"), q, body, w)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if silent := w.silent(); len(silent) > 0 {
		return fmt.Errorf("cluster: fronts of type %s asked for a %s: %w: %q", frontType, q.Op, errLate, silent)
	}
	return nil
}

// askFronts asks fronts, and waits for their answers until the time is over or no more answers can come. It returns false if no front
// listens.
func (s *Server) askFronts(ctx context.Context, subject string, q *question, body []byte, w *awaited) (asked bool, err error) {
	q.From, q.Timeout = s.cfg.ID, s.within(ctx)
	data, err := frame(q, body)
	if err != nil {
		return false, err
	}
	asked = true
	done := make(chan struct{})
	defer close(done)
	defer time.AfterFunc(askAbout, func() { w.probe(done) }).Stop()
	err = s.askWith(ctx, subject, data, q.Timeout, q.Timeout, func(m *nats.Msg) bool {
		if isNoResponders(m) {
			asked = false
			return false
		}
		r := new(reply)
		return json.Unmarshal(m.Data, r) != nil || w.answered(r)
	}, w.over)
	return asked, err
}

// awaited is the fronts whose answers askFronts waits for.
type awaited struct {
	s         *Server
	frontType string
	hear      func(*reply)
	after     uint64 // how many changes the view had when they were asked
	known     bool   // they are in the view; a front that leaves it is no longer awaited

	mu  sync.Mutex
	ids map[string]bool // of the fronts that have not answered; true for one that does not listen
}

func (s *Server) awaiting(frontType string, ids []string, hear func(*reply)) *awaited {
	w := &awaited{s: s, frontType: frontType, hear: hear, after: s.view.changes.Load(), ids: make(map[string]bool)}
	for _, id := range ids {
		w.ids[id] = false
	}
	return w
}

// answered takes an answer, and reports whether others are still awaited.
func (w *awaited) answered(r *reply) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, waits := w.ids[r.From]; waits {
		delete(w.ids, r.From)
		w.hear(r)
	}
	return len(w.ids) > 0
}

// over reports whether only answers that are already on their way can come: each front that has not answered has left, does not listen, or
// has connected to NATS anew and so may not have heard the question.
func (w *awaited) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, deaf := range w.ids {
		m := w.s.view.member(id)
		if !deaf && !w.hasLeft(m) && !(m != nil && m.back.Load() > w.after) {
			return false
		}
	}
	return true
}

func (w *awaited) hasLeft(m *member) bool { return m == nil && w.known }

// silent returns the fronts that have neither answered nor left.
func (w *awaited) silent() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, deaf := range w.ids {
		if deaf || !w.hasLeft(w.s.view.member(id)) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// probe asks the fronts that have not answered whether they listen at all, every second until done. NATS answers for a front that has
// crashed or has lost its connection.
func (w *awaited) probe(done <-chan struct{}) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		w.probeOnce()
		select {
		case <-done:
			return
		case <-again.C:
		}
	}
}

func (w *awaited) probeOnce() {
	w.mu.Lock()
	ids := slices.Collect(maps.Keys(w.ids))
	w.mu.Unlock()
	for _, id := range ids {
		data, err := frame(&question{Op: opProbe, From: w.s.cfg.ID}, nil)
		if err != nil {
			return
		}
		_ = w.s.askWith(w.s.base, w.s.names.front(w.frontType, "to."+id), data, askAbout, askAbout, func(m *nats.Msg) bool {
			if isNoResponders(m) {
				w.isDeaf(id)
			}
			return false
		}, nil)
	}
}

// isDeaf notes that a front does not listen. The front is out of the view until it announces itself again.
func (w *awaited) isDeaf(id string) {
	m := w.s.view.member(id)
	if w.hasLeft(m) {
		return
	}
	w.mu.Lock()
	if _, waits := w.ids[id]; waits {
		w.ids[id] = true
	}
	w.mu.Unlock()
	var members []*member
	if m != nil {
		members = append(members, m)
	}
	w.s.view.lose(members, w.after)
}
