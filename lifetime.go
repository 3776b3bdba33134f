package kami

import (
	"context"

	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/lifetime"
	"github.com/guregu/kami/internal/serving"
)

// setEnd sets the end of a request's context where that is not the default: the end of the incoming request ends it too, because
// the Mux cancels or because the request is bound. It returns the function to call when the request has finished, which ends the
// context if the Mux cancels, or nil.
func (m *Mux) setEnd(x *exchange, cancel bool) (finish func()) {
	in, base := x.in, serving.Ends(x.in, x.base)
	set := &withEnd{Context: in}
	x.in = set
	switch {
	case !cancel:
		set.end = m.joins.Joins(base).With(in)
	case base.Done() == nil:
		set.end, finish = context.WithCancel(in)
	default:
		set.end, finish = lifetime.Join(in, base)
	}
	return finish
}

// withEnd is an incoming context, and the context that ends the request's, which setEnd has set.
type withEnd struct {
	context.Context
	end context.Context
}

// Ends returns the context whose end ends the request's context. By default that ends with Mux.Context, with the server's
// DrainTimeout and, for a message, with the incoming context. The server is looked up only when Done, Err or Deadline is called.
func (x *exchange) Ends() context.Context {
	if in, ok := x.in.(*withEnd); ok {
		return in.end
	}
	base := serving.Ends(x.in, x.base)
	if incoming.MessageOf(x.in) != nil {
		return x.route.mux.joins.Joins(base).With(x.in)
	}
	return base
}
