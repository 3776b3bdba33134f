// Package accesslog logs requests, as records of log/slog or as lines of Apache's combined format.
//
//	kami.LogHandler = accesslog.New(slog.Default())
//
// Set the function that [New] or [Combined] returns as the LogHandler of package kami or of a kami.Mux, or of several. It logs exactly once
// per request, however that ends. It is safe for concurrent use, and never changes the response.
//
// To log only the requests of a scope, register it as afterware. It then runs before the afterware of the scopes above:
//
//	kami.After("/api/", accesslog.New(slog.Default()))
//
// # What the status says
//
// It is the status that the handler has sent, and 200 if it has sent nothing, because net/http then sends that. It is missing if the
// server has sent none:
//
//   - A panic goes on to net/http, and nothing was written before it: the connection is cut without an answer. These panics go on: all
//     without a PanicHandler, panics of the PanicHandler itself, and http.ErrAbortHandler. (If a PanicHandler writes nothing, kami answers
//     500. A LogHandler logs that, but afterware does not, because it runs before.)
//   - The connection was hijacked, and only the handler knows what was sent on it. A request with an Upgrade header is still logged as 101,
//     because an upgrade sends that, by WriteHeader or on the connection.
//
// After a panic that goes on, the status that was sent before it is logged, although the client may have got nothing of that answer, or half
// of it. This package cannot see two things: a handler outside of the Mux may answer a panic, and runtime.Goexit, which also cuts
// the connection, looks like an empty answer.
//
// # What is not logged
//
// Queries may hold tokens and names, so the query of the request and the query of its Referer are logged only with [WithQuery]. The
// fragment of a Referer, and user and password in a URL, are never logged.
package accesslog

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/guregu/kami"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/mutil"
)

// Option is a setting of [New] and [Combined].
type Option func(*options)

// options are what Options set.
type options struct {
	query     bool
	requestID func(context.Context, http.Header, *http.Request) string // nil for none
	proxies   proxies
}

// newOptions returns the options of a new logger. It makes kami take the time of each request.
func newOptions(opts []Option) options {
	incoming.Time()
	o := options{requestID: responseID}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithQuery logs queries. [New] logs the request's query as the attribute "query", unless it is empty. [Combined] logs the queries of the
// request and of its Referer.
func WithQuery() Option { return func(o *options) { o.query = true } }

// RequestID sets the function that returns the id of a request for [New]; Combined has no ids. It gets the arguments of LogHandler, but
// instead of the writer the headers of the response, which it must not change. Many goroutines call it at once, and only for requests
// that are logged. An empty id is left out. A long id is cut to at most 128 bytes, at the end of a rune.
//
// Without this option the id is the X-Request-Id of the response. RequestID(nil) logs none.
func RequestID(find func(context.Context, http.Header, *http.Request) string) Option {
	return func(o *options) { o.requestID = find }
}

func responseID(_ context.Context, header http.Header, _ *http.Request) string {
	return header.Get("X-Request-Id")
}

// maxRequestID is how many bytes an id has at most.
const maxRequestID = 128

// cutID cuts a long id where a rune begins. Text that is not UTF-8 may have no such place nearby.
func cutID(id string) string {
	if len(id) <= maxRequestID {
		return id
	}
	for i := maxRequestID; i > maxRequestID-utf8.UTFMax; i-- {
		if utf8.RuneStart(id[i]) {
			return id[:i]
		}
	}
	return id[:maxRequestID]
}

// New returns a LogHandler that logs to the logger, or if that is nil to slog.Default at the time of each request. A request is a
// record with the message "request" and these attributes:
//
//	method      GET
//	path        /users/a%2Fb, as it was sent (or as http.StripPrefix has left it), without the query; host and port of a CONNECT without a path
//	query       the query, only with WithQuery and if it is not empty
//	pattern     /users/:id, the path of the route; empty if there was none, for example for a 404
//	handler     (*Room).Join, the result of the handler's method HandlerName; missing if it has none
//	status      200; missing if the server has sent none, see the package
//	bytes       of the body that were accepted from the handler; 0 for HEAD, whose body is not sent
//	duration    from when the Mux got the request; missing if the context is not a kami.Mux's
//	remote      the client's IP address, without port or zone; see TrustXForwardedFor and TrustForwarded
//	protocol    HTTP/1.1
//	request_id  see RequestID; missing if it is empty
//	panic       the value of the last panic, as text unless it is an error; missing if there was none
//
// The level is Error for a status of 5xx, Warn for 4xx, and Info for all others. A panic with another status, or none,
// is an Error too, except for http.ErrAbortHandler. The logger's handler gets the request's context. If the
// level is disabled nothing is computed.
func New(logger *slog.Logger, opts ...Option) func(context.Context, mutil.WriterProxy, *http.Request) {
	o := newOptions(opts)
	return func(ctx context.Context, w mutil.WriterProxy, r *http.Request) {
		to := logger
		if to == nil {
			to = slog.Default()
		}
		o.record(ctx, to.Handler(), w, r)
	}
}

// record passes the record of a request to the handler.
//
// optimization: all attributes are added at once, so that the record grows once (TestAllocations).
func (o *options) record(ctx context.Context, to slog.Handler, w mutil.WriterProxy, r *http.Request) {
	exception := kami.Exception(ctx)
	status := statusOf(w, exception)
	level := levelOf(status, exception)
	if !to.Enabled(ctx, level) {
		return
	}
	now := time.Now()
	var room [12]slog.Attr
	attrs := append(room[:0], slog.String("method", r.Method), slog.String("path", pathOf(r)))
	if o.query && r.URL.RawQuery != "" {
		attrs = append(attrs, slog.String("query", r.URL.RawQuery))
	}
	attrs = append(attrs, slog.String("pattern", r.Pattern))
	if name := incoming.HandlerName(ctx, r.Method, r.URL); name != "" {
		attrs = append(attrs, slog.String("handler", name))
	}
	if status != 0 {
		attrs = append(attrs, slog.Int("status", status))
	}
	attrs = append(attrs, slog.Int("bytes", bytesOf(w, r)))
	if started := incoming.Started(ctx); !started.IsZero() {
		attrs = append(attrs, slog.Duration("duration", now.Sub(started)))
	}
	attrs = append(attrs, slog.String("remote", o.proxies.client(r)), slog.String("protocol", r.Proto))
	if o.requestID != nil {
		if id := cutID(o.requestID(ctx, mutil.Sent(w), r)); id != "" {
			attrs = append(attrs, slog.String("request_id", id))
		}
	}
	if exception != nil {
		attrs = append(attrs, slog.Attr{Key: "panic", Value: panicValue(exception)})
	}
	record := slog.NewRecord(now, level, "request", 0) // 0: no line of the program logs it
	record.AddAttrs(attrs...)
	_ = to.Handle(ctx, record)
}

// panicValue returns the value to log for a panic. Handlers may know errors. Every other value becomes the text that net/http prints,
// because a handler may not be able to encode it, or other code may still change it.
func panicValue(v any) slog.Value {
	if err, ok := v.(error); ok {
		return slog.AnyValue(err)
	}
	return slog.StringValue(fmt.Sprint(v))
}

// pathOf returns the path as it was sent, or the host and port of a CONNECT without one.
func pathOf(r *http.Request) string {
	if path := r.URL.EscapedPath(); path != "" || r.Method != http.MethodConnect {
		return path
	}
	return r.URL.Host
}

// statusOf returns the status that was sent, or 0 if the server has sent none. A panic without a status goes on: kami
// answers the others before it logs.
func statusOf(w mutil.WriterProxy, exception any) int {
	if status := w.Status(); status != 0 {
		return status
	}
	if exception != nil || mutil.Hijacked(w) {
		return 0
	}
	return http.StatusOK
}

// bytesOf returns the size of the response's body.
func bytesOf(w mutil.WriterProxy, r *http.Request) int {
	if r.Method == http.MethodHead {
		return 0
	}
	return w.BytesWritten()
}

// levelOf returns the level for a status and a panic.
func levelOf(status int, exception any) slog.Level {
	switch {
	case status/100 == 5:
		return slog.LevelError
	case status/100 == 4:
		return slog.LevelWarn
	case exception != nil && exception != any(http.ErrAbortHandler):
		return slog.LevelError
	}
	return slog.LevelInfo
}
