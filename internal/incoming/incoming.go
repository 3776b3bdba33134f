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
	// Incoming returns the context that the request came with. It ends when the client goes away; by default the context that kami makes
	// of it does not.
	Incoming() context.Context
	// Started returns when the request came. It is zero unless a LogHandler or afterware runs for it, and [Time] had been
	// called.
	Started() time.Time
}

var timed atomic.Bool

// Time makes all Muxes take the time of each request for which a LogHandler or afterware runs, from now on. Reading a clock costs as much as
// finding a route, so it is done only if it is needed.
func Time() { timed.Store(true) }

// Timed reports whether Time has been called.
func Timed() bool { return timed.Load() }

// Context returns the incoming context of the request that ctx belongs to, or ctx itself if it belongs to no request of kami's.
func Context(ctx context.Context) context.Context {
	if x, ok := ctx.Value(Request).(Exchange); ok {
		return x.Incoming()
	}
	return ctx
}

// Gone reports whether the client of the request that ctx belongs to has left. The incoming context also ends at the limit of a drain,
// with another cause.
func Gone(ctx context.Context) bool { return context.Cause(Context(ctx)) == context.Canceled }

// Started returns when the request that ctx belongs to came, or zero if that is not known.
func Started(ctx context.Context) time.Time {
	if x, ok := ctx.Value(Request).(Exchange); ok {
		return x.Started()
	}
	return time.Time{}
}

// HandlerName returns the name that a handler has given itself: the handler of the request that ctx belongs to, whose method and URL these
// are. It returns "" if there is no such name.
func HandlerName(ctx context.Context, method string, u *url.URL) string {
	if x, ok := ctx.Value(Request).(interface {
		HandlerName(method string, u *url.URL) string
	}); ok {
		return x.HandlerName(method, u)
	}
	return ""
}
