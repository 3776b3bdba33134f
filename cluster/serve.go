package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// service handles the calls of one server: one goroutine takes them in the order in which they come, and workers handle them.
type service struct {
	*Server
	incoming chan *nats.Msg // of all subscriptions for calls, in the order in which they come
	workers  workers
	load     atomic.Int64  // jobs that wait or run
	cancels  string        // the subject of calls that are called off
	stop     chan struct{} // closed when no more calls come
	drained  chan struct{} // closed when all calls have been handled

	changing sync.Mutex
	running  map[string]*job   // by the subject of the answer
	sessions map[string][]*job // jobs that wait for another job of the same session
}

// job is a received call.
type job struct {
	msg      *nats.Msg
	tree     tree
	message  message.Message
	call     callContext
	ctx      context.Context  // the call's, with the client's session
	unheard  atomic.Bool      // the caller no longer waits for the answer
	client   *session.Session // nil if there is none
	session  string           // its id
	broken   error            // why the call cannot be handled
	received time.Time
}

var (
	errCalledOff = fmt.Errorf("cluster: the caller does not wait any more: %w", context.Canceled)
	errAnswered  = errors.New("cluster: the call has been answered")
)

func newService(s *Server) *service {
	v := &service{
		Server: s, incoming: make(chan *nats.Msg, max(4*(s.cfg.Concurrent+s.cfg.Queue), 4096)),
		stop: make(chan struct{}), drained: make(chan struct{}),
		running: make(map[string]*job), sessions: make(map[string][]*job),
	}
	v.cancels = s.names.cancel(s.cfg.Type)
	v.workers.run, v.workers.most = v.run, s.cfg.Concurrent
	return v
}

// takeCalls takes calls until no more come. The channel of calls is never closed, because nats.go may still send to it, for example after a
// reconnect.
func (v *service) takeCalls() {
	defer close(v.drained)
	defer v.workers.close()
	for stop := v.stop; ; {
		select {
		case m := <-v.incoming:
			v.takeOne(m)
		case <-stop:
			stop = nil
		}
		if stop == nil && len(v.incoming) == 0 {
			return
		}
	}
}

func (v *service) takeOne(m *nats.Msg) {
	if m.Subject == v.cancels {
		v.calledOff(string(m.Data))
	} else {
		v.accept(m)
	}
}

// accept gives a call to a worker, or answers that there are too many.
func (v *service) accept(m *nats.Msg) {
	if v.load.Add(1) > int64(v.cfg.Concurrent+v.cfg.Queue) {
		v.load.Add(-1)
		v.refuse(m)
		return
	}
	if j := v.newJob(m); v.enter(j) {
		v.workers.give(j)
	}
}

// refuse answers a call for which there is no room.
func (v *service) refuse(m *nats.Msg) {
	t, route := v.names.route(m.Subject)
	text := fmt.Sprintf("cluster: %d messages wait already", v.cfg.Queue)
	v.stats.count(t, "", 0, errors.New(text))
	if m.Reply == "" {
		v.cfg.Log.Warn("cluster: a notification was dropped", "route", route, "err", text)
		return
	}
	v.reply(m, errorReply(http.StatusTooManyRequests, text))
}

func (v *service) newJob(m *nats.Msg) *job {
	j := &job{msg: m, received: time.Now()}
	j.tree, j.message.Route = v.names.route(m.Subject)
	j.message.Body, j.message.Notify = m.Data, m.Reply == ""
	timeout := v.cfg.Timeout
	if len(m.Header) > 0 {
		j.message.Header = decodeHeader(m.Header)
		j.message.RemoteAddr = m.Header.Get(remoteHeader)
		if text := m.Header.Get(returnsHeader); text != "" {
			if returns, err := strconv.Atoi(text); err == nil {
				j.message.Returns = message.Returns(returns)
			}
		}
		timeout = v.timeoutOf(m, j, timeout)
		if text := m.Header.Get(sessionHeader); text != "" && j.tree == handlersTree {
			if j.client, j.broken = v.readSnapshot(text); j.broken == nil {
				j.session = j.client.ID()
			}
		}
	}
	j.ctx, j.call.base = &j.call, v.base
	if timeout > 0 {
		j.call.deadline = j.received.Add(timeout)
	}
	return j
}

// timeoutOf returns how long a call may take, or 0 for no limit: a stream ends with its consumer. Serve answers a timeout that is no
// duration.
func (v *service) timeoutOf(m *nats.Msg, j *job, otherwise time.Duration) time.Duration {
	text := m.Header.Get(timeoutHeader)
	if text == "" && m.Header.Get(streamHeader) != "" {
		return 0
	}
	if text == "" {
		return otherwise
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 {
		if j.message.Header == nil {
			j.message.Header = make(http.Header)
		}
		j.message.Header[timeoutHeader] = []string{text}
		return otherwise
	}
	return timeout
}

// enter notes that a call runs or waits, and reports whether it may run before others of its session have.
func (v *service) enter(j *job) bool {
	v.changing.Lock()
	defer v.changing.Unlock()
	if j.msg.Reply != "" {
		v.running[j.msg.Reply] = j
	}
	if j.session == "" {
		return true
	}
	waiting, busy := v.sessions[j.session]
	if busy {
		v.sessions[j.session] = append(waiting, j)
	} else {
		v.sessions[j.session] = nil
	}
	return !busy
}

// leave removes a call that has run, and returns the next one of its session.
func (v *service) leave(j *job) (next *job) {
	v.changing.Lock()
	defer v.changing.Unlock()
	if j.msg.Reply != "" && v.running[j.msg.Reply] == j {
		delete(v.running, j.msg.Reply)
	}
	if j.session == "" {
		return nil
	}
	if waiting := v.sessions[j.session]; len(waiting) > 0 {
		next, v.sessions[j.session] = waiting[0], waiting[1:]
	} else {
		delete(v.sessions, j.session)
	}
	return next
}

// calledOff ends the context of a call whose caller no longer waits.
func (v *service) calledOff(reply string) {
	v.changing.Lock()
	j := v.running[reply]
	v.changing.Unlock()
	if j != nil {
		j.unheard.Store(true)
		j.call.callOff(errCalledOff)
	}
}

// run handles a call, and the next one of its session after it.
func (v *service) run(j *job) {
	var reply *message.Reply
	defer func() {
		if reply == nil { // the handler has ended the goroutine
			reply = errorReply(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
		}
		v.finish(j, reply)
		v.load.Add(-1)
		if next := v.leave(j); next != nil {
			v.workers.give(next)
		}
		j.call.finish()
	}()
	if j.call.Err() != nil {
		reply = errorReply(http.StatusGatewayTimeout, "cluster: the call has waited until its end")
		return
	}
	reply = v.handle(j)
}

// handle calls the handler.
func (v *service) handle(j *job) *message.Reply {
	h := v.cfg.Remotes
	if j.tree == handlersTree {
		h = v.cfg.Handlers
	}
	if h == nil {
		return errorReply(http.StatusNotFound, "404 page not found")
	}
	if j.broken != nil {
		return errorReply(http.StatusBadRequest, j.broken.Error())
	}
	if j.client != nil {
		j.ctx = session.NewContext(j.ctx, j.client)
		defer j.client.Returned(j.ctx, j.message.Route)
	}
	if j.message.Notify || len(j.msg.Header) == 0 {
		return message.Serve(j.ctx, h, &j.message)
	}
	stream, err := v.stream(j)
	if err != nil {
		return errorReply(http.StatusServiceUnavailable, err.Error())
	}
	reply := message.Serve(j.ctx, h, &j.message)
	if stream != nil {
		reply = v.endStream(stream, reply)
	}
	return reply
}

// finish sends the answer of a call that has been handled.
func (v *service) finish(j *job, reply *message.Reply) {
	err := reply.Err()
	v.stats.count(j.tree, reply.Pattern, time.Since(j.received), err)
	switch {
	case !j.message.Notify:
		if !j.unheard.Load() {
			v.reply(j.msg, reply)
		}
	case err != nil:
		v.cfg.Log.WarnContext(j.ctx, "cluster: a notification failed", "route", j.message.Route, "status", reply.Status, "err", err)
	}
}

// reply sends an answer. If it cannot be sent, reply sends an error that says so.
func (v *service) reply(m *nats.Msg, reply *message.Reply) {
	header, err := encodeReply(reply)
	if err == nil {
		err = v.respond(m, header, reply.Body)
	}
	if err == nil {
		return
	}
	v.cfg.Log.Error("cluster: an answer could not be sent", "subject", m.Subject, "err", err)
	text := "cluster: the answer could not be sent"
	if errors.Is(err, errTooLarge) {
		text = fmt.Sprintf("cluster: the answer, of %d bytes and its headers, is larger than the %d that NATS takes", len(reply.Body), v.nc.MaxPayload())
	} else if !errors.Is(err, errBadMessage) {
		return
	}
	failed := errorReply(http.StatusInternalServerError, text)
	header, _ = encodeReply(failed)
	if err := v.respond(m, header, failed.Body); err != nil {
		v.cfg.Log.Error("cluster: nor could an error in its place", "subject", m.Subject, "err", err)
	}
}

// respond sends an answer. If the connection is away it first waits until it is back: the caller may be connected.
func (v *service) respond(m *nats.Msg, header nats.Header, body []byte) error {
	err := v.publish(m.Reply, "", header, body)
	if !errors.Is(err, errDisconnected) {
		return err
	}
	limit := time.NewTimer(v.cfg.Timeout)
	defer limit.Stop()
	for errors.Is(err, errDisconnected) && !v.nc.IsClosed() {
		back := v.link.back()
		if err = v.publish(m.Reply, "", header, body); err == nil {
			return nil
		}
		select {
		case <-back:
		case <-limit.C:
			return err
		case <-v.base.Done():
			return err
		}
	}
	return err
}
