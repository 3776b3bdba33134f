// Package mutil lets middleware see what a handler answered: WrapWriter puts a
// proxy around an http.ResponseWriter that knows the status, counts the body
// bytes and can copy the body elsewhere.
//
// A proxy has the optional interfaces of the writer it wraps, in one of the
// shapes that net/http's own writers have: none (or http.Pusher alone, for
// http.TimeoutHandler), http.Flusher, http.Flusher with http.Pusher (HTTP/2),
// or http.Flusher with http.Hijacker and io.ReaderFrom (HTTP/1). A writer of
// another shape gets the largest of these that it satisfies, HTTP/1's first.
// The deprecated http.CloseNotifier is dropped: the request's context does its
// work. What a shape leaves out is reached by http.ResponseController, through
// Unwrap.
//
// A proxy keeps no state outside itself, and nothing of it is reused.
package mutil

import (
	"io"
	"net/http"

	"github.com/zenazn/goji/web/mutil"
)

// WriterProxy is an http.ResponseWriter that knows what went through it. It is
// goji's type, so code written for goji accepts it.
//
// Status is the final status, 0 until something was sent: informational codes
// do not count, except 101, which is final. BytesWritten is the number of body
// bytes that the writer below accepted. Tee has every such byte written to its
// argument too, after the client's and ignoring errors; another call replaces
// the argument and Tee(nil) ends it. Unwrap returns the writer below.
//
// A proxy belongs to one request and, like the writer below, is not safe for
// concurrent use.
type WriterProxy = mutil.WriterProxy

// http1Shape is what net/http's HTTP/1 writer has beyond http.ResponseWriter.
type http1Shape interface {
	http.Flusher
	http.Hijacker
	io.ReaderFrom
}

// http2Shape is what net/http's HTTP/2 writer has beyond http.ResponseWriter.
type http2Shape interface {
	http.Flusher
	http.Pusher
}

// WrapWriter returns a proxy around w that has w's shape, see the package
// comment. It also has WriteString, and FlushError whatever the shape, which
// returns an error matching http.ErrNotSupported if nothing below can flush.
//
// The first final WriteHeader is passed on and later ones are ignored. A body
// or a flush without one means 200, as it does to w. Once the connection was
// hijacked through the proxy, the proxy writes nothing: the writes and
// FlushError return http.ErrHijacked. A hijack past it, on w itself, is noticed
// when w first answers http.ErrHijacked.
func WrapWriter(w http.ResponseWriter) WriterProxy { return new(Place).Wrap(w) }

// Place is room for a proxy in a value that is allocated anyway. The zero Place
// is empty; one that holds a proxy must not be copied.
//
// optimization: that spares the proxy an allocation of its own (kami's
// BenchmarkServe/Observed).
type Place struct{ largest http1Writer }

// Wrap is WrapWriter, but that the proxy is in the place. It must be called once
// only.
func (p *Place) Wrap(w http.ResponseWriter) WriterProxy {
	largest := &p.largest
	largest.ResponseWriter = w
	switch w.(type) { // all shapes are one struct with different methods
	case http1Shape:
		return largest
	case http2Shape:
		return (*http2Writer)(largest)
	case http.Flusher:
		return &largest.flushWriter
	case http.Pusher:
		return (*pushWriter)(&largest.flushWriter)
	}
	return &largest.proxy
}

// Hijacked reports whether the connection of a proxy of WrapWriter was hijacked,
// as far as the proxy has noticed. Of other proxies nothing is known.
func Hijacked(p WriterProxy) bool {
	own, ok := p.(interface{ Hijacked() bool })
	return ok && own.Hijacked()
}

// Sent returns the headers of a response for those who do not change them. It
// is p.Header(), of which net/http makes a copy while the response is on its
// way; a proxy of WrapWriter spares that.
func Sent(p WriterProxy) http.Header {
	if own, ok := p.(interface{ Sent() http.Header }); ok {
		if header := own.Sent(); header != nil {
			return header
		}
	}
	return p.Header()
}
