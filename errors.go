package kami

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/guregu/kami/internal/half"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/problem"
)

// What an ErrorHandler gets for a request that no route answers. Both have a method StatusCode() int. The Allow header is set
// before ErrMethodNotAllowed is answered.
var (
	ErrNotFound         error = unrouted{http.StatusNotFound, "no resource has this path"}
	ErrMethodNotAllowed error = unrouted{http.StatusMethodNotAllowed, "the resource does not have this method"}
)

// unrouted is the error of a request that no route answers.
type unrouted struct {
	code int
	text string
}

func (e unrouted) Error() string   { return e.text }
func (e unrouted) StatusCode() int { return e.code }

// erring has the Mux's ErrorHandler answer the error.
type erring struct {
	err error
	mux *Mux
}

func (h erring) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	h.mux.fail(ctx, half.Telling(w), r, h.err)
}

// withoutRoute returns what answers a request that no route answers: the handler that is registered for it, or the ErrorHandler if
// that is set, or this package's own answer.
func (m *Mux) withoutRoute(registered ContextHandler, err error, own *builtin) ContextHandler {
	switch {
	case registered != nil:
		return registered
	case m.ownErrorHandler() != nil:
		return erring{err, m}
	default:
		return own
	}
}

// failing makes a ContextHandler of a function that may return an error.
type failing struct {
	handle func(context.Context, http.ResponseWriter, *http.Request) error
	mux    *Mux        // answers the errors
	serve  HandlerFunc // its ServeHTTPContext
}

func newFailing(handle func(context.Context, http.ResponseWriter, *http.Request) error, m *Mux) *failing {
	h := &failing{handle: handle, mux: m}
	h.serve = h.ServeHTTPContext
	return h
}

func (h *failing) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	own := half.Telling(w)
	if err := h.handle(ctx, own, r); err != nil {
		h.mux.fail(ctx, own, r, err)
	}
}

// HandleError answers an error as the Mux does whose request ctx belongs to, the innermost one of nested Muxes, when a handler
// of its own returns that error: by its ErrorHandler or else [DefaultErrorHandler], which also answers where ctx belongs to no
// Mux. It is for handlers without an error as their result, and for middleware, which then returns nil to halt.
//
// If the response is known to have begun, the error is logged and the connection cut, by a panic with http.ErrAbortHandler: half a
// response must not look whole. The error is only logged if the response has all of its Content-Length, or a status of 400 or more,
// or the connection was hijacked. It is not logged if the client has left in the middle of the response. All this is known where w,
// or what it wraps, is a [mutil.WriterProxy], as under a LogHandler or afterware.
// A nil error is none.
func HandleError(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	var m *Mux
	if x, ok := ctx.Value(incoming.Request).(*requestContext); ok {
		m = x.route.mux
	}
	m.fail(ctx, half.Telling(w), r, err)
}

// fail answers an error. It has an answer written where the ErrorHandler writes none, which would look like success.
func (m *Mux) fail(ctx context.Context, w half.Proxy, r *http.Request, err error) {
	explained := incoming.Explain(ctx, err)
	if by, why := half.Begun(w); by != nil {
		if problem.StatusOf(explained) != incoming.StatusClientGone && !failsByLeaving(ctx, w, err) {
			logError(ctx, r, err, why)
		}
		if half.Misleads(by, r.Method) {
			half.Cut(w)
			panic(http.ErrAbortHandler)
		}
		return
	}
	m.errorHandler()(ctx, w, r, explained)
	if by, _ := half.Begun(w); by == nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// failsByLeaving reports whether the error is that of a write to a client that has left. net/http has no name for it, but a flush
// fails with the same.
func failsByLeaving(ctx context.Context, w http.ResponseWriter, err error) bool {
	return incoming.Gone(ctx) && errors.Is(err, http.NewResponseController(w).Flush())
}

// mayFail reports whether a handler is one that may return an error, for which the writer needs a proxy around all that
// middleware may write: see half.Begun.
func mayFail(h ContextHandler) bool {
	switch answerOf(h).(type) {
	case *failing, erring:
		return true
	}
	return false
}

// DefaultErrorHandler answers the error of a handler. An error, or one that it wraps, with a method StatusCode() int says
// the status if that is from 400 to 599. Without it, *http.MaxBytesError means 413, and a body that does not come before
// the server's ReadTimeout 408; all others are 500. One with a method Headers() http.Header sets headers, except those that
// describe a body.
//
// The client gets the text of an error only if its status is below 500: as application/problem+json (RFC 9457) where the
// request's Accept prefers that or application/json, by more than */*, to text/plain, and as that otherwise. Errors from
// 500 on go to slog.Default.
//
// The error context.Canceled of a request whose client has left is no failure, nor is a connection of the client's that
// breaks: the status is 499, which only logs have.
func DefaultErrorHandler(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	err = incoming.Explain(ctx, err)
	code, detail := problem.StatusOf(err), err.Error()
	if code >= 500 {
		logError(ctx, r, err, problem.Title(code))
		detail = ""
	}
	contentType, body := "text/plain; charset=utf-8", problem.Text(code, detail)
	if problem.Preferred(r.Header) {
		contentType, body = "application/problem+json", problem.Details(code, detail)
	}
	header := w.Header()
	problem.SetHeaders(header, err)
	header.Set("Content-Type", contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept")
	header.Del("Content-Length") // it was meant for another answer
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// logError logs an error of which the client does not hear all.
func logError(ctx context.Context, r *http.Request, err error, why string) {
	slog.ErrorContext(ctx, "kami: a handler failed", "method", r.Method, "pattern", r.Pattern, "err", err, "answer", why)
}
