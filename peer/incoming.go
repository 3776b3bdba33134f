package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// incoming is a call or a notification that has come.
type incoming struct {
	link    *link
	id      []byte // as in the frame; nil for a notification
	message message.Message
	params  []byte // as in the frame, for kami's own methods
	frame   int    // bytes of the frame, which it keeps in memory
	typed   bool   // it came with a Content-Type
	window  int    // of the stream that it asks for; 0 without a stream
	alone   bool   // the next ones wait until it has been answered
	seq     int64  // the number of a push; 0 if it has none
	counted bool   // it is among the pushes of the link that run
	batch   *batch // nil if it came alone

	after func() // runs when it has been answered; may be nil

	ctx    callContext
	place  place
	credit credit
}

// batch gathers the answers to the calls that came in one frame.
type batch struct {
	mu      sync.Mutex
	left    int // calls that have not been answered, plus one while the reader adds calls
	answers []byte
}

// add adds an answer, unless it is nil. After the last one it returns the frame of all.
func (b *batch) add(answer []byte) (all []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answer != nil {
		if b.answers == nil {
			b.answers = append(b.answers, '[')
		} else {
			b.answers = append(b.answers, ',')
		}
		b.answers = append(b.answers, answer...)
	}
	if b.left--; b.left > 0 || b.answers == nil {
		return nil
	}
	return append(b.answers, ']')
}

// receive takes a frame that the socket has read. Only the reader calls it.
func (l *link) receive(data []byte) {
	switch {
	case !utf8.Valid(data):
		l.closeWith(closeInvalid, "a message is not UTF-8")
	case !json.Valid(data):
		l.refuse(nil, nil, codeParse, "Parse error")
	default:
		if data = skipSpace(data); isArray(data) {
			l.receiveBatch(data)
		} else {
			l.takeOne(data, nil)
		}
	}
}

func (l *link) receiveBatch(data []byte) {
	elements := scanArray(data, maxBatch+1)
	if len(elements) == 0 || len(elements) > maxBatch {
		l.refuse(nil, nil, codeInvalid, fmt.Sprintf("Invalid Request: a batch has 1 to %d messages", maxBatch))
		return
	}
	b := &batch{left: 1}
	for _, element := range elements {
		l.takeOne(bytes.Clone(element), b) // a call that waits must not keep the whole frame in memory
	}
	l.answerBatch(b, nil)
}

// answerBatch adds an answer of the reader, and sends all if it was the last.
func (l *link) answerBatch(b *batch, answer []byte) {
	if all := b.add(answer); all != nil {
		l.queueAnswer(all)
	}
}

// queueAnswer queues an answer of the reader. An answer that can never be sent, such as a refusal with an id as long as PushQueue,
// ends the connection, because its call would wait for ever.
func (l *link) queueAnswer(answer []byte) {
	if err := l.out.enqueue(answer); err != nil && !errors.Is(err, ErrClosed) {
		l.closeWith(closePolicy, err.Error())
	}
}

// refuse answers a call that does not run. The reader calls it, so it queues the answer: a write could make the reader wait.
func (l *link) refuse(b *batch, id []byte, code int, text string) {
	answer := appendFailure(nil, id, code, text)
	if b == nil {
		l.queueAnswer(answer)
		return
	}
	b.mu.Lock()
	b.left++
	b.mu.Unlock()
	l.answerBatch(b, answer)
}

// takeOne takes a message.
func (l *link) takeOne(data []byte, b *batch) {
	if !isObject(data) {
		l.refuse(b, nil, codeInvalid, "Invalid Request: a message is an object")
		return
	}
	f := scanFrame(data)
	if f.method == nil && (f.result != nil || f.failure != nil) {
		l.calls.answer(&f)
		return
	}
	in, wrong := l.incoming(&f)
	if in != nil {
		in.frame = len(data)
	}
	switch {
	case wrong != "":
		if !isID(f.id) {
			f.id = nil
		}
		l.refuse(b, f.id, codeInvalid, "Invalid Request: "+wrong)
	case l.ownAtOnce(in):
	case in.id == nil:
		l.addOrRefuse(in)
	default:
		if in.batch = b; b != nil {
			b.mu.Lock()
			b.left++
			b.mu.Unlock()
		}
		l.addOrRefuse(in)
	}
}

func (l *link) addOrRefuse(in *incoming) {
	if l.in.add(in) != full {
		return
	}
	if in.id == nil {
		l.dropped(in)
		return
	}
	answer := appendFailure(nil, in.id, http.StatusTooManyRequests, "too many calls wait to be run")
	if in.batch != nil {
		l.answerBatch(in.batch, answer)
		return
	}
	l.queueAnswer(answer)
}

// dropped handles a notification for which there is no room. A push that has a number comes again on another connection.
func (l *link) dropped(in *incoming) {
	if in.seq > 0 && l.conn.redial != nil {
		l.closeWith(closePolicy, "more pushes have come than can wait to be handled")
		return
	}
	l.node.log().Debug("peer: a notification was dropped, for the queue is full", "route", in.message.Route, "remote", l.remote)
}

// incoming makes a call of a frame, or says what is wrong with the frame.
func (l *link) incoming(f *frame) (in *incoming, wrong string) {
	switch {
	case string(f.version) != `"2.0"`:
		return nil, `jsonrpc must be "2.0"`
	case !isString(f.method):
		return nil, "method must be a string"
	case f.id != nil && !isID(f.id):
		return nil, "id must be a string, a number or null"
	}
	header, err := headerOf(f.headers)
	if err != nil {
		return nil, err.Error()
	}
	body, ok := bodyOf(f.params, header)
	if !ok {
		return nil, "params must be an object or an array"
	}
	in = &incoming{link: l, id: f.id, params: f.params, typed: header["Content-Type"] != nil}
	in.message = message.Message{
		Route: string(plain(f.method)), Header: header, Body: body,
		Notify: f.id == nil, RemoteAddr: l.remote, Returns: l.node.Returns,
	}
	in.ctx.in = in
	if f.id == nil {
		in.seq, _ = number(f.seq)
	}
	if f.timeout != nil {
		ms, ok := number(f.timeout)
		if !ok {
			return nil, "timeout must be a whole number of milliseconds above zero"
		}
		const most = 1 << 40 // some 35 years, which fits in a time.Duration
		in.ctx.deadline = time.Now().Add(time.Duration(min(ms, most)) * time.Millisecond)
	}
	if f.stream != nil && f.id != nil {
		window, ok := number(f.stream)
		if !ok {
			return nil, "stream must be a whole number above zero"
		}
		in.stream(int(min(window, maxWindow)))
	}
	return in, ""
}

// work runs a call, then the calls that wait for its place, and then the calls that come.
func (l *link) work(in *incoming) {
	var worker chan *incoming
	for in != nil {
		if in = l.perform(in); in == nil {
			if worker == nil {
				worker = make(chan *incoming, 1)
			}
			in = l.in.park(worker)
		}
	}
}

// perform runs a call and answers it. If the handler ends its goroutine, such as by runtime.Goexit, another goroutine runs the next
// call.
func (l *link) perform(in *incoming) (next *incoming) {
	returned := false
	defer func() {
		if !returned {
			l.answer(in, fail(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)))
		}
		in.ctx.cancel()
		next = l.in.finish(in)
		if !returned && next != nil {
			go l.work(next)
		}
	}()
	reply := l.reply(in)
	returned = true
	if reply == nil {
		l.in.refuse()
		l.spawn(func() { l.closeWhenIdle(closeRestart, "the session has moved") })
		return nil
	}
	l.answer(in, reply)
	if in.after != nil {
		in.after()
	}
	return nil
}

// reply runs the handler of a call, or one of kami's own methods. It returns nil for a call that must not be answered, so that its
// caller repeats it on another connection.
func (l *link) reply(in *incoming) *message.Reply {
	in.ctx.mu.Lock()
	in.ctx.base = l.context()
	in.ctx.mu.Unlock()
	switch {
	case in.message.Route == methodResume && in.id != nil:
		return l.resume(in)
	case l.in.isCancelled(in):
		return cancelledReply
	case !in.ctx.deadline.IsZero() && !time.Now().Before(in.ctx.deadline):
		return fail(http.StatusGatewayTimeout, "the call has waited longer than its timeout")
	}
	if r := l.conn.redial; in.seq > 0 && r != nil && !r.isNext(in) {
		return fail(http.StatusConflict, "the push has come before")
	}
	if in.counted {
		defer l.pushes.Done()
	}
	s := l.session()
	if !s.Begin() {
		if l.dismissed.Load() {
			return nil // the client is on its way to where the session is now
		}
		return fail(http.StatusGone, "the session has ended")
	}
	defer s.Returned(&in.ctx, in.message.Route)
	l.first.Do(func() { l.hook("OnFirstRequest", l.node.OnFirstRequest) })
	reply := l.serve(in)
	if l.in.isCancelled(in) {
		return cancelledReply
	}
	return reply
}

// serve runs the handler, or one of kami's own methods.
func (l *link) serve(in *incoming) *message.Reply {
	route := in.message.Route
	switch {
	case route == methodAuth && l.node.Authenticate != nil:
		return l.authenticate(in)
	case route == methodCallback:
		return l.conn.funcs.run(in)
	case isReserved(route):
		return fail(http.StatusNotFound, "Method not found")
	}
	var reply *message.Reply
	if l.node.Handler != nil {
		reply = message.Serve(&in.ctx, l.node.Handler, &in.message)
	} else {
		reply = fail(http.StatusNotFound, "404 page not found")
	}
	if reply.Pattern == "" && (reply.Status == http.StatusNotFound || reply.Status == http.StatusMethodNotAllowed) {
		if own := l.node.builtin(route); own != nil {
			return own
		}
	}
	return reply
}

// isReserved reports whether the protocol owns a method. No handler gets such a call.
func isReserved(route string) bool {
	return strings.HasPrefix(route, "rpc.") || strings.HasPrefix(route, "$/")
}

// fail makes an answer that no handler has made.
func fail(status int, text string) *message.Reply {
	return &message.Reply{Status: status, Body: []byte(text)}
}

// cancelledReply is the answer to a call that its caller has cancelled.
var cancelledReply = fail(statusClientGone, "Request cancelled")

// answer sends the answer to a call.
func (l *link) answer(in *incoming, reply *message.Reply) {
	if in.id == nil {
		l.logFailed(in, reply)
		return
	}
	buffer := takeBuffer()
	defer buffer.free()
	if reply == cancelledReply {
		buffer.b = appendFailure(buffer.b, in.id, codeCancelled, string(reply.Body))
	} else {
		buffer.b = appendReply(buffer.b, in.id, reply, in.typed)
	}
	frame := buffer.b
	if in.batch != nil {
		if frame = in.batch.add(frame); frame == nil {
			return
		}
	}
	if err := l.out.write(frame, l.in.hasMore()); err != nil {
		l.broken(err)
	}
}

// logFailed logs an error that the handler of a notification answers. It logs at a low level, because a client can cause as many as
// it likes.
func (l *link) logFailed(in *incoming, reply *message.Reply) {
	if reply.Status < 400 {
		return
	}
	log := l.node.log().Debug
	if reply.Status >= 500 {
		log = l.node.log().Warn
	}
	log("peer: a notification failed", "route", in.message.Route, "status", reply.Status, "err", reply.Err(), "remote", l.remote)
}

// buffer is room for a frame that is written at once.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 1024)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) <= maxPooled {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

// kami's own methods.
const (
	methodCancel   = "$/cancelRequest"
	methodItem     = "$/item"
	methodMore     = "$/more"
	methodCallback = "$/callback"
	methodGoaway   = "kami.goaway"
	methodResume   = "kami.resume"
	methodAuth     = "kami.auth"
	methodPing     = "kami.ping"
	methodInfo     = "kami.info"
)

// ownAtOnce runs the notifications of kami's own that must not wait, in the reader. It reports whether in was one.
func (l *link) ownAtOnce(in *incoming) bool {
	first := !l.spoken
	l.spoken = true
	route := in.message.Route
	if route == methodResume && in.id != nil {
		in.alone = first
		return false
	}
	if in.id != nil {
		return false
	}
	switch route {
	case methodCancel:
		l.in.cancel(member(in.params, "id"))
	case methodItem:
		l.calls.item(member(in.params, "id"), member(in.params, "value"))
	case methodMore:
		if n, ok := number(member(in.params, "n")); ok {
			if of := l.in.find(member(in.params, "id")); of != nil {
				of.credit.add(int(min(n, maxWindow)))
			}
		}
	case methodGoaway:
		l.goaway(in.params)
	default:
		return isReserved(route) && route != methodCallback
	}
	return true
}

// member returns a member of an object, or nil.
func member(object []byte, name string) (found []byte) {
	if isObject(object) {
		scanObject(object, func(n, value []byte) {
			if string(n) == name {
				found = value
			}
		})
	}
	return found
}

// context returns the context of the link's messages, as it is now.
func (l *link) context() context.Context { return *l.base.Load() }

func (l *link) session() *session.Session { return l.sess.Load() }

// quote quotes text of the other side, cut to 200 bytes.
func quote(s string) string { return strconv.Quote(s[:min(len(s), 200)]) }
