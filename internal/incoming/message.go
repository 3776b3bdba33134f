package incoming

import (
	"context"
	"net/http"
)

// Message is a message, for which package message has made a request of no version of HTTP. Hit may be called at any time, by
// several goroutines at once.
type Message interface {
	// Hit tells the message the pattern of the route that a Mux has found, "" for none, and what answers errors there. With nested Muxes
	// the innermost one calls it last.
	Hit(pattern string, errors Failer)
}

// Failer answers errors.
type Failer interface {
	Fail(ctx context.Context, w http.ResponseWriter, r *http.Request, err error)
}

// MessageKey is the key of the [Message] that a context belongs to.
type MessageKey struct{}

// MessageOf returns the message that ctx belongs to, or nil.
func MessageOf(ctx context.Context) Message {
	m, _ := ctx.Value(MessageKey{}).(Message)
	return m
}
