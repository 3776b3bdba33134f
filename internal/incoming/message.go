package incoming

import (
	"context"
	"net/http"
)

// Message is a message, for which package message has made a request of no version of HTTP. Hit may be called at any time, by
// several goroutines at once.
type Message interface {
	// Hit tells the message which route a Mux has found for it, "" for none, and what answers errors there. Of nested Muxes the
	// last one to tell is the innermost.
	Hit(pattern string, errors Failer)
}

// Failer answers errors.
type Failer interface {
	Fail(ctx context.Context, w http.ResponseWriter, r *http.Request, err error)
}

// MessageKey is the key of the [Message] that a context belongs to.
type MessageKey struct{}

// MessageOf returns the message whose context ctx is or derives from, or nil.
func MessageOf(ctx context.Context) Message {
	m, _ := ctx.Value(MessageKey{}).(Message)
	return m
}
