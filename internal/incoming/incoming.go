// Package incoming finds what kami knows of a request from its context, for kami's other packages.
package incoming

import (
	"context"
	"net/url"
	"sync/atomic"
	"time"
)

// Key is the type of the keys that kami's contexts answer themselves.
type Key int

const (
	Request Key = iota // the [Exchange] that a context belongs to
	Params             // its nearest layer of params, which is kami's own
)

// Exchange is one request on its way through a Mux.
type Exchange interface {
	// Incoming returns the context that the request came with, which ends when its client goes away, while that which kami
	// makes of it by default does not.
	Incoming() context.Context
	// Started returns when the request came. It is zero unless a LogHandler or afterware runs for it, and [Time] had been
	// called.
	Started() time.Time
}

var timed atomic.Bool

// Time has all Muxes take the time of each request for which a LogHandler or afterware runs, from now on. To look at a clock
// costs as much as to look for a route, and so it is for those who need it.
func Time() { timed.Store(true) }

// Timed reports whether Time has been called.
func Timed() bool { return timed.Load() }

// Context returns the context that the request came with whose context ctx is or derives from: ctx itself if that is none
// of kami's.
func Context(ctx context.Context) context.Context {
	if x, ok := ctx.Value(Request).(Exchange); ok {
		return x.Incoming()
	}
	return ctx
}

// Gone reports whether the client of the request has left whose context ctx is or derives from. At the limit of a drain
// the server ends that context too, and says so.
func Gone(ctx context.Context) bool { return context.Cause(Context(ctx)) == context.Canceled }

// Started returns when the request came whose context ctx is or derives from, or zero if that is not known.
func Started(ctx context.Context) time.Time {
	if x, ok := ctx.Value(Request).(Exchange); ok {
		return x.Started()
	}
	return time.Time{}
}

// HandlerName returns the name that the handler has given itself which answers a request for the URL, that of the request whose
// context ctx is or derives from. It is "" where there is no such handler.
func HandlerName(ctx context.Context, method string, u *url.URL) string {
	if x, ok := ctx.Value(Request).(interface {
		HandlerName(method string, u *url.URL) string
	}); ok {
		return x.HandlerName(method, u)
	}
	return ""
}
