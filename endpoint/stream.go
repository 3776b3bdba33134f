package endpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"

	"github.com/guregu/kami/internal/accept"
	"github.com/guregu/kami/internal/incoming"
	"github.com/guregu/kami/internal/jsonbody"
)

// Stream returns a Server of a function whose response is a sequence of items. Each item is sent as JSON as soon as the sequence yields it:
// as a Server-Sent Event (text/event-stream) if the request's Accept names that type, as a line of JSON (application/x-ndjson) if not.
// The request is decoded as [JSON] does.
//
// The function's error is answered as JSON's is. An error in the sequence, an item that cannot be encoded, or the end of the context
// while the client is there, goes to the error handler. It also aborts the connection, because the response has begun: so no client
// takes half a stream for a whole one. (A client of HTTP/1.0 cannot tell.) The sequence does not run for HEAD, or if the client has gone
// before it begins: so the sequence itself should open and close what it needs.
//
// The function's context ends when the client goes away, whatever kami.Cancel says, and when the response has ended.
// A sequence without an end should also end when kami.Draining says so.
func Stream[Req, Resp any](fn func(context.Context, Req) (iter.Seq2[Resp, error], error), opts ...ServerOption) *Server[Req, iter.Seq2[Resp, error]] {
	if fn == nil {
		panic("endpoint: Stream: the function must not be nil")
	}
	s := newServer(Endpoint[Req, iter.Seq2[Resp, error]](fn), opts)
	s.decodeJSON("Stream")
	s.encode = encodeStream[Resp]
	s.response = reflect.TypeFor[Resp]()
	s.attends = true
	return s
}

// attend returns a context that also ends when the request's client has gone.
func attend(ctx context.Context, r *http.Request) (attended context.Context, end func()) {
	attended, cancel := context.WithCancelCause(ctx)
	in := incoming.Context(r.Context())
	stop := context.AfterFunc(in, func() { cancel(context.Cause(in)) })
	return attended, func() {
		stop()
		cancel(nil)
	}
}

// errGone ends a response whose client has gone. It is neither answered nor reported.
var errGone = errors.New("endpoint: the client has gone")

// encodeStream writes the items as they come. It returns an error if it could not write all of them, so that the connection is aborted.
func encodeStream[Resp any](ctx context.Context, w http.ResponseWriter, r *http.Request, items iter.Seq2[Resp, error]) error {
	if items == nil {
		return errors.New("endpoint: the function returned neither a sequence nor an error")
	}
	contentType, before, after := "application/x-ndjson", "", ""
	if weight, named := accept.Weight(r.Header, "text/event-stream"); named == accept.Exact && weight > 0 {
		contentType, before, after = "text/event-stream", "data: ", "\n"
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept")
	header.Del("Content-Length")
	w.WriteHeader(http.StatusOK)
	flush := flusher(w)
	if err := flush(); err != nil {
		return interrupted(ctx, r, err)
	}
	if r.Method == http.MethodHead {
		return nil
	}
	b := jsonbody.Get()
	defer b.Release()
	for item, err := range items {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		b.Reset()
		b.WriteString(before)
		if err := b.Encoder.Encode(item); err != nil {
			return fmt.Errorf("endpoint: encoding %T: %w", item, err)
		}
		b.WriteString(after)
		_, err := w.Write(b.Bytes())
		if err == nil {
			err = flush()
		}
		if err != nil {
			return interrupted(ctx, r, err)
		}
	}
	if ctx.Err() != nil { // the sequence may have ended because of that
		return interrupted(ctx, r, context.Cause(ctx))
	}
	return nil
}

// flusher returns a function that flushes w if w can be flushed.
func flusher(w http.ResponseWriter) func() error {
	controller := http.NewResponseController(w)
	return func() error {
		if err := controller.Flush(); !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		return nil
	}
}

// interrupted is the error of a stream that has ended early.
func interrupted(ctx context.Context, r *http.Request, err error) error {
	if ctx.Err() != nil && incoming.Gone(r.Context()) {
		return errGone
	}
	return fmt.Errorf("endpoint: the stream was interrupted: %w", err)
}
