// Package message calls the handlers of a kami.Mux by messages. A message is a request: the route "room.join" runs the handler of
// POST /room/join, with its scopes, middleware, params and hooks.
//
//	join := message.Remote[joinRequest, joined](message.Local(mux), "room.join")
//	all, err := join(ctx, joinRequest{Name: "bob"})
//
// [Remote] makes a function that returns an answer, [Stream] one that returns a sequence, and [Notify] waits for no answer. All
// call through a [Caller]: [Local] calls a handler in this process, [HTTP] a server, and other transports implement Caller. The
// error of a handler has its status: see endpoint.Error.
//
// Transports serve each message that they receive, such as a frame of a websocket, by [Serve]:
//
//	reply := message.Serve(ctx, mux, &message.Message{Route: "room.join", Body: []byte(`{"name": "bob"}`)})
//
// docs/messages.md in the repository explains all this, with package component and package session.
package message

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/internal/incoming"
)

// Message is a request to a route. Neither it nor what it refers to may change while it is served.
type Message struct {
	// Route names the handler, such as "room.join". See [Path].
	Route string
	// Header has the headers of the request. It may be nil.
	Header http.Header
	// Body is JSON unless the Header has a Content-Type.
	Body []byte
	// Notify says that the sender does not wait for an answer.
	Notify bool
	// RemoteAddr is the request's RemoteAddr: the address of the sender.
	RemoteAddr string
	// Returns says which of several answers counts.
	Returns Returns
	// Stream gets the items of an answer that streams: at each Flush, the bytes that the handler has written since the last one. It
	// is called by one goroutine at a time, and not after the call has returned. It may keep the item, and must return when the
	// call's context ends. Its error ends the handler's context. Without Stream the whole answer is in the Reply.
	Stream func(item []byte) error
	// Window is how many items a transport may have under way. The handler waits while so many are under way, until Stream has
	// returned from one. Zero means 64.
	Window int
}

// Reply is the answer to a message.
type Reply struct {
	// Status is an HTTP status, 200 by default.
	Status int
	// Header has the answer's headers as they were when it began. It may be nil.
	Header http.Header
	// Body is the part of the answer that has not been streamed.
	Body []byte
	// Pattern is the pattern of the route that the message has hit, such as "/room/:id": with nested Muxes the innermost one. It is
	// "" if no route was hit, or if the transport does not tell, as over HTTP.
	Pattern string
}

// maxErrorText is how many bytes of an answer are the text of an error.
const maxErrorText = 64 << 10

// Err returns nil if the status is below 400. Otherwise it returns an [endpoint.Error] with the status and the body's text, up to
// 64 KiB and without space around it.
func (r *Reply) Err() error {
	if r.Status < 400 {
		return nil
	}
	return endpoint.Error(r.Status, strings.TrimSpace(string(r.Body[:min(len(r.Body), maxErrorText)])))
}

// FromContext returns the message that ctx belongs to, or nil if its request is no message.
func FromContext(ctx context.Context) *Message {
	if c, ok := ctx.Value(incoming.MessageKey{}).(*call); ok {
		return c.message
	}
	return nil
}

// Caller calls handlers: of a peer, a server, a whole cluster, or a mux.
type Caller interface {
	// Call sends a message and returns the answer, whatever its status. It returns an error if there is no answer, which wraps
	// [ErrUndelivered] if no handler got the message. At the end of ctx it returns an error that wraps the cause.
	// It does not change m, and does not call m.Stream after it has returned.
	Call(ctx context.Context, m *Message) (*Reply, error)
}

// ErrUndelivered is the error of a call that no handler got, so that it is safe to repeat. The errors of transports wrap it.
var ErrUndelivered = errors.New("message: nobody was reached")

// errorReply is an error that this package answers.
func errorReply(status int, text string) *Reply {
	return &Reply{
		Status: status,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
		Body:   []byte(text + "\n"),
	}
}
