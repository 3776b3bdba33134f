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

// The errors that an ErrorHandler gets for a request that no route answers. Both have a method StatusCode() int. The Allow header is
// already set for ErrMethodNotAllowed.
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

// erring is a handler that fails with the error, which the Mux's ErrorHandler answers.
type erring struct {
	err error
	mux *Mux
}

func (h erring) ServeHTTPContext(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	h.mux.fail(ctx, half.Telling(w), r, h.err)
}

// withoutRoute returns the handler for a request that no route answers: the registered one, or the ErrorHandler if that is set, or this
// package's own.
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

// HandleError answers an error as if a handler had returned it: with the ErrorHandler of the Mux that ctx belongs to, the innermost of
// nested Muxes, or else with [DefaultErrorHandler]. It is for handlers without an error as their result, and for middleware,
// which then returns nil to halt. It does nothing if err is nil. An ErrorHandler must not call HandleError, because that calls the
// ErrorHandler again, without end: call [DefaultErrorHandler] instead.
//
// If the response has begun, HandleError logs the error and cuts the connection, by a panic with http.ErrAbortHandler: half a
// response must not look whole. It only logs the error if the response has all of its Content-Length, or a status of 400 or more,
// or the connection was hijacked. It does not log it if the client has left in the middle of the response. HandleError knows all
// this if w, or a writer that it wraps, is a [mutil.WriterProxy], as under a LogHandler or afterware.
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

// fail answers an error. If the ErrorHandler writes nothing it writes status 500, because an empty answer would look like success.
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

// failsByLeaving reports whether the error comes from a write to a client that has left. net/http has no name for that error, but a flush
// fails with it too.
func failsByLeaving(ctx context.Context, w http.ResponseWriter, err error) bool {
	return incoming.Gone(ctx) && errors.Is(err, http.NewResponseController(w).Flush())
}

// mayFail reports whether a handler may return an error. Then the writer needs a proxy, which sees all that middleware writes: see
// half.Begun.
func mayFail(h ContextHandler) bool {
	switch answerOf(h).(type) {
	case *failing, erring:
		return true
	}
	return false
}

// DefaultErrorHandler answers the error of a handler. If the error, or one that it wraps, has a method StatusCode() int, that is the
// status, if it is from 400 to 599. Without such a method *http.MaxBytesError means 413, a body that does not come before the
// server's ReadTimeout means 408, and all other errors mean 500. A method Headers() http.Header sets headers, except those that
// describe a body.
//
// The client gets the text of an error only if the status is below 500. It is sent as application/problem+json (RFC 9457) if the
// request's Accept prefers that or application/json to text/plain, by more than */*, and as text/plain if not. Errors from 500 on
// are logged by slog.Default.
//
// If the client has left, so that the error is context.Canceled or its connection breaks, that is no failure: the status is 499,
// which only logs show.
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

// logError logs an error whose text the client does not get.
func logError(ctx context.Context, r *http.Request, err error, why string) {
	slog.ErrorContext(ctx, "kami: a handler failed", "method", r.Method, "pattern", r.Pattern, "err", err, "answer", why)
}
