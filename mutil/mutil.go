// Package mutil lets middleware see what a handler answered: WrapWriter puts a
// proxy around an http.ResponseWriter that knows the status, counts the body
// bytes and can copy the body elsewhere.
//
// Of the optional interfaces http.Flusher, http.Hijacker, io.ReaderFrom,
// http.Pusher and http.CloseNotifier a proxy has exactly those that the wrapped
// writer has. http.ResponseController reaches everything else, through Unwrap.
//
// A proxy keeps no state outside itself, and is not reused.
package mutil

import (
	"io"
	"net/http"
	"strconv"

	"github.com/zenazn/goji/web/mutil"
)

// WriterProxy is an http.ResponseWriter that knows what went through it. It is
// goji's type, so code written for goji accepts it.
//
// Status is the final status, 0 until something was sent: informational codes
// do not count, except 101, which is final. BytesWritten is the number of body
// bytes that the writer below accepted. Tee has every such byte written to its
// argument too, after the client and ignoring errors; another call replaces
// the argument and Tee(nil) ends it. Unwrap returns the writer below. If that has
// no Hijack but an Unwrap, Unwrap returns a writer in between, so that the proxy
// sees a hijack by http.ResponseController.
//
// A proxy belongs to one request and, like the writer below, is not safe for
// concurrent use.
type WriterProxy = mutil.WriterProxy

// WrapWriter returns a proxy around w that has the optional interfaces of w, see
// the package comment. It always has WriteString and FlushError, which returns
// an error matching http.ErrNotSupported if nothing below can flush.
//
// The first final WriteHeader is passed on and later ones are ignored. A body
// or a flush without one means 200, as it does to w. The 200 counts as soon as w
// gets something to send: if the source of a ReadFrom panics, fails or ends before
// its first byte, nothing was sent. If w itself panics while it has something to
// send, the status stays, because part of it may have been sent.
//
// Once the connection was hijacked through the proxy, or by the
// http.ResponseController of a writer around it, the proxy writes nothing: the
// writes and FlushError return http.ErrHijacked. A hijack past the proxy, on w
// itself, is noticed when w first answers http.ErrHijacked.
//
// A response with all of its Content-Length gets no more: writes return
// http.ErrContentLength, as net/http's do over HTTP/1. Over HTTP/2 they would
// damage it.
func WrapWriter(w http.ResponseWriter) WriterProxy { return new(Place).Wrap(w) }

// Place is room for a proxy in a value that is allocated anyway. It is for code
// that wraps the writer of each request and counts allocations, such as kami.
// All other code calls [WrapWriter]. The zero Place is empty. A Place that holds
// a proxy must not be copied.
//
// optimization: the proxy needs no allocation of its own (kami's
// BenchmarkServe/Observed).
type Place struct{ proxy proxy }

// Wrap is WrapWriter with the proxy in the place. It must be called only once.
//
// optimization: one switch finds the shapes of net/http's writers, with one type
// assertion (BenchmarkWrapWriter).
func (p *Place) Wrap(w http.ResponseWriter) WriterProxy {
	own := &p.proxy
	own.ResponseWriter = w
	switch w.(type) {
	case interface {
		http1
		http.Pusher
	}, interface {
		http2
		io.ReaderFrom
	}, interface {
		http2
		http.Hijacker
	}: // more than usual
	case interface {
		http1
		closeNotifier
	}:
		return withFCRH{withCRH{withRH{withH{own}}}}
	case http1:
		return withFRH{withRH{withH{own}}}
	case http2:
		return withFCP{withCP{withP{own}}}
	case http.Hijacker, http.Pusher, io.ReaderFrom, closeNotifier, http.Flusher:
	default:
		return own
	}
	return shapes[shapeOf(w)](own)
}

// WrapFor is Wrap for the response to r: if that has an Upgrade header, and the
// connection is hijacked before a status was sent, the status is 101. The code
// that hijacks sends it on the connection, where the proxy cannot see it.
func (p *Place) WrapFor(w http.ResponseWriter, r *http.Request) WriterProxy {
	p.proxy.asked = r.Header
	return p.Wrap(w)
}

// Hijacked reports whether the connection of a proxy of WrapWriter was hijacked,
// as far as the proxy has noticed. It returns false for other proxies.
func Hijacked(p WriterProxy) bool {
	own, ok := p.(interface{ Hijacked() bool })
	return ok && own.Hijacked()
}

// ContentLength returns the Content-Length with which the response has begun, or
// -1 if it has none or has not begun. What a handler sets later does not count,
// but of other proxies than those of WrapWriter it is what the header says now.
func ContentLength(p WriterProxy) int64 {
	if own, ok := p.(interface{ ContentLength() int64 }); ok {
		return own.ContentLength()
	}
	if p.Status() == 0 {
		return -1
	}
	return lengthIn(p.Header())
}

// lengthIn returns the Content-Length that a header has, or -1.
func lengthIn(header http.Header) int64 {
	values := header["Content-Length"]
	if len(values) == 0 {
		return -1
	}
	length, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil {
		return -1
	}
	return int64(length)
}

// Sent returns the headers of a response for code that does not change them. It
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
