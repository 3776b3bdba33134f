package mutil

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// closeNotifier is http.CloseNotifier, which is deprecated. A proxy must still have it: httputil.ReverseProxy uses it to see whether the
// client has left if the request's context never ends.
type closeNotifier interface{ CloseNotify() <-chan bool }

// http1 has the methods of net/http's HTTP/1 writers, and of many writers around them, except http.CloseNotifier's.
type http1 interface {
	http.Flusher
	io.ReaderFrom
	http.Hijacker
}

// http2 has the methods of net/http's HTTP/2 writers.
type http2 interface {
	http.Flusher
	closeNotifier
	http.Pusher
}

// shapeOf returns the index in shapes of the shape that a proxy of w has.
func shapeOf(w http.ResponseWriter) (i int) {
	if _, ok := w.(http.Hijacker); ok {
		i |= 1
	}
	if _, ok := w.(http.Pusher); ok {
		i |= 2
	}
	if _, ok := w.(io.ReaderFrom); ok {
		i |= 4
	}
	if _, ok := w.(closeNotifier); ok {
		i |= 8
	}
	if _, ok := w.(http.Flusher); ok {
		i |= 16
	}
	return i
}

// shapes has a function for each set of optional interfaces. It returns the proxy as a value with exactly these interfaces.
//
// The types of these values are named after their interfaces: F for http.Flusher, C for http.CloseNotifier, R for
// io.ReaderFrom, P for http.Pusher and H for http.Hijacker. Each embeds the type without its first letter, and adds the
// method of that.
//
// optimization: each value is only the pointer to the proxy, which becomes an interface value without an allocation
// (BenchmarkWrapWriter).
var shapes = [...]func(p *proxy) WriterProxy{
	func(p *proxy) WriterProxy { return p },
	func(p *proxy) WriterProxy { return withH{p} },
	func(p *proxy) WriterProxy { return withP{p} },
	func(p *proxy) WriterProxy { return withPH{withH{p}} },
	func(p *proxy) WriterProxy { return withR{p} },
	func(p *proxy) WriterProxy { return withRH{withH{p}} },
	func(p *proxy) WriterProxy { return withRP{withP{p}} },
	func(p *proxy) WriterProxy { return withRPH{withPH{withH{p}}} },
	func(p *proxy) WriterProxy { return withC{p} },
	func(p *proxy) WriterProxy { return withCH{withH{p}} },
	func(p *proxy) WriterProxy { return withCP{withP{p}} },
	func(p *proxy) WriterProxy { return withCPH{withPH{withH{p}}} },
	func(p *proxy) WriterProxy { return withCR{withR{p}} },
	func(p *proxy) WriterProxy { return withCRH{withRH{withH{p}}} },
	func(p *proxy) WriterProxy { return withCRP{withRP{withP{p}}} },
	func(p *proxy) WriterProxy { return withCRPH{withRPH{withPH{withH{p}}}} },
	func(p *proxy) WriterProxy { return withF{p} },
	func(p *proxy) WriterProxy { return withFH{withH{p}} },
	func(p *proxy) WriterProxy { return withFP{withP{p}} },
	func(p *proxy) WriterProxy { return withFPH{withPH{withH{p}}} },
	func(p *proxy) WriterProxy { return withFR{withR{p}} },
	func(p *proxy) WriterProxy { return withFRH{withRH{withH{p}}} },
	func(p *proxy) WriterProxy { return withFRP{withRP{withP{p}}} },
	func(p *proxy) WriterProxy { return withFRPH{withRPH{withPH{withH{p}}}} },
	func(p *proxy) WriterProxy { return withFC{withC{p}} },
	func(p *proxy) WriterProxy { return withFCH{withCH{withH{p}}} },
	func(p *proxy) WriterProxy { return withFCP{withCP{withP{p}}} },
	func(p *proxy) WriterProxy { return withFCPH{withCPH{withPH{withH{p}}}} },
	func(p *proxy) WriterProxy { return withFCR{withCR{withR{p}}} },
	func(p *proxy) WriterProxy { return withFCRH{withCRH{withRH{withH{p}}}} },
	func(p *proxy) WriterProxy { return withFCRP{withCRP{withRP{withP{p}}}} },
	func(p *proxy) WriterProxy { return withFCRPH{withCRPH{withRPH{withPH{withH{p}}}}} },
}

type (
	withH     struct{ *proxy }
	withP     struct{ *proxy }
	withPH    struct{ withH }
	withR     struct{ *proxy }
	withRH    struct{ withH }
	withRP    struct{ withP }
	withRPH   struct{ withPH }
	withC     struct{ *proxy }
	withCH    struct{ withH }
	withCP    struct{ withP }
	withCPH   struct{ withPH }
	withCR    struct{ withR }
	withCRH   struct{ withRH }
	withCRP   struct{ withRP }
	withCRPH  struct{ withRPH }
	withF     struct{ *proxy }
	withFH    struct{ withH }
	withFP    struct{ withP }
	withFPH   struct{ withPH }
	withFR    struct{ withR }
	withFRH   struct{ withRH }
	withFRP   struct{ withRP }
	withFRPH  struct{ withRPH }
	withFC    struct{ withC }
	withFCH   struct{ withCH }
	withFCP   struct{ withCP }
	withFCPH  struct{ withCPH }
	withFCR   struct{ withCR }
	withFCRH  struct{ withCRH }
	withFCRP  struct{ withCRP }
	withFCRPH struct{ withCRPH }
)

func (w withH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w withP) Push(target string, opts *http.PushOptions) error  { return w.push(target, opts) }
func (w withPH) Push(target string, opts *http.PushOptions) error { return w.push(target, opts) }

func (w withR) ReadFrom(src io.Reader) (int64, error)   { return w.readFrom(src) }
func (w withRH) ReadFrom(src io.Reader) (int64, error)  { return w.readFrom(src) }
func (w withRP) ReadFrom(src io.Reader) (int64, error)  { return w.readFrom(src) }
func (w withRPH) ReadFrom(src io.Reader) (int64, error) { return w.readFrom(src) }

func (w withC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w withCH) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w withCP) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w withCPH) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w withCR) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w withCRH) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w withCRP) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w withCRPH) CloseNotify() <-chan bool { return w.closeNotify() }

func (w withF) Flush()     { w.flush() }
func (w withFH) Flush()    { w.flush() }
func (w withFP) Flush()    { w.flush() }
func (w withFPH) Flush()   { w.flush() }
func (w withFR) Flush()    { w.flush() }
func (w withFRH) Flush()   { w.flush() }
func (w withFRP) Flush()   { w.flush() }
func (w withFRPH) Flush()  { w.flush() }
func (w withFC) Flush()    { w.flush() }
func (w withFCH) Flush()   { w.flush() }
func (w withFCP) Flush()   { w.flush() }
func (w withFCPH) Flush()  { w.flush() }
func (w withFCR) Flush()   { w.flush() }
func (w withFCRH) Flush()  { w.flush() }
func (w withFCRP) Flush()  { w.flush() }
func (w withFCRPH) Flush() { w.flush() }
