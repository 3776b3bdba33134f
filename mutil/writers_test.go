package mutil_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

type closeNotifier interface{ CloseNotify() <-chan bool }

// called is a plain writer that records which method of the optional interfaces was called last.
type called struct {
	*fake
	method string
	gone   <-chan bool
}

func (c *called) hijacks() (net.Conn, *bufio.ReadWriter, error) {
	c.method = "Hijack"
	return nil, nil, nil
}

func (c *called) pushes(target string) error {
	c.method = "Push " + target
	return http.ErrNotSupported
}

func (c *called) reads(src io.Reader) (int64, error) {
	c.method = "ReadFrom"
	return io.Copy(c.fake, src)
}

func (c *called) notifies() <-chan bool {
	c.method, c.gone = "CloseNotify", make(chan bool)
	return c.gone
}

func (c *called) flushes() { c.method = "Flush" }

// writers make a writer with each set of optional interfaces. The letters in the names of their types are the interfaces: F for
// http.Flusher, C for http.CloseNotifier, R for io.ReaderFrom, P for http.Pusher and H for http.Hijacker.
var writers = []func(w *called) http.ResponseWriter{
	func(w *called) http.ResponseWriter { return w },
	func(w *called) http.ResponseWriter { return onlyH{w} },
	func(w *called) http.ResponseWriter { return onlyP{w} },
	func(w *called) http.ResponseWriter { return onlyPH{onlyH{w}} },
	func(w *called) http.ResponseWriter { return onlyR{w} },
	func(w *called) http.ResponseWriter { return onlyRH{onlyH{w}} },
	func(w *called) http.ResponseWriter { return onlyRP{onlyP{w}} },
	func(w *called) http.ResponseWriter { return onlyRPH{onlyPH{onlyH{w}}} },
	func(w *called) http.ResponseWriter { return onlyC{w} },
	func(w *called) http.ResponseWriter { return onlyCH{onlyH{w}} },
	func(w *called) http.ResponseWriter { return onlyCP{onlyP{w}} },
	func(w *called) http.ResponseWriter { return onlyCPH{onlyPH{onlyH{w}}} },
	func(w *called) http.ResponseWriter { return onlyCR{onlyR{w}} },
	func(w *called) http.ResponseWriter { return onlyCRH{onlyRH{onlyH{w}}} },
	func(w *called) http.ResponseWriter { return onlyCRP{onlyRP{onlyP{w}}} },
	func(w *called) http.ResponseWriter { return onlyCRPH{onlyRPH{onlyPH{onlyH{w}}}} },
	func(w *called) http.ResponseWriter { return onlyF{w} },
	func(w *called) http.ResponseWriter { return onlyFH{onlyH{w}} },
	func(w *called) http.ResponseWriter { return onlyFP{onlyP{w}} },
	func(w *called) http.ResponseWriter { return onlyFPH{onlyPH{onlyH{w}}} },
	func(w *called) http.ResponseWriter { return onlyFR{onlyR{w}} },
	func(w *called) http.ResponseWriter { return onlyFRH{onlyRH{onlyH{w}}} },
	func(w *called) http.ResponseWriter { return onlyFRP{onlyRP{onlyP{w}}} },
	func(w *called) http.ResponseWriter { return onlyFRPH{onlyRPH{onlyPH{onlyH{w}}}} },
	func(w *called) http.ResponseWriter { return onlyFC{onlyC{w}} },
	func(w *called) http.ResponseWriter { return onlyFCH{onlyCH{onlyH{w}}} },
	func(w *called) http.ResponseWriter { return onlyFCP{onlyCP{onlyP{w}}} },
	func(w *called) http.ResponseWriter { return onlyFCPH{onlyCPH{onlyPH{onlyH{w}}}} },
	func(w *called) http.ResponseWriter { return onlyFCR{onlyCR{onlyR{w}}} },
	func(w *called) http.ResponseWriter { return onlyFCRH{onlyCRH{onlyRH{onlyH{w}}}} },
	func(w *called) http.ResponseWriter { return onlyFCRP{onlyCRP{onlyRP{onlyP{w}}}} },
	func(w *called) http.ResponseWriter { return onlyFCRPH{onlyCRPH{onlyRPH{onlyPH{onlyH{w}}}}} },
}

type (
	onlyH     struct{ *called }
	onlyP     struct{ *called }
	onlyPH    struct{ onlyH }
	onlyR     struct{ *called }
	onlyRH    struct{ onlyH }
	onlyRP    struct{ onlyP }
	onlyRPH   struct{ onlyPH }
	onlyC     struct{ *called }
	onlyCH    struct{ onlyH }
	onlyCP    struct{ onlyP }
	onlyCPH   struct{ onlyPH }
	onlyCR    struct{ onlyR }
	onlyCRH   struct{ onlyRH }
	onlyCRP   struct{ onlyRP }
	onlyCRPH  struct{ onlyRPH }
	onlyF     struct{ *called }
	onlyFH    struct{ onlyH }
	onlyFP    struct{ onlyP }
	onlyFPH   struct{ onlyPH }
	onlyFR    struct{ onlyR }
	onlyFRH   struct{ onlyRH }
	onlyFRP   struct{ onlyRP }
	onlyFRPH  struct{ onlyRPH }
	onlyFC    struct{ onlyC }
	onlyFCH   struct{ onlyCH }
	onlyFCP   struct{ onlyCP }
	onlyFCPH  struct{ onlyCPH }
	onlyFCR   struct{ onlyCR }
	onlyFCRH  struct{ onlyCRH }
	onlyFCRP  struct{ onlyCRP }
	onlyFCRPH struct{ onlyCRPH }
)

func (w onlyH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijacks() }

func (w onlyP) Push(target string, _ *http.PushOptions) error  { return w.pushes(target) }
func (w onlyPH) Push(target string, _ *http.PushOptions) error { return w.pushes(target) }

func (w onlyR) ReadFrom(src io.Reader) (int64, error)   { return w.reads(src) }
func (w onlyRH) ReadFrom(src io.Reader) (int64, error)  { return w.reads(src) }
func (w onlyRP) ReadFrom(src io.Reader) (int64, error)  { return w.reads(src) }
func (w onlyRPH) ReadFrom(src io.Reader) (int64, error) { return w.reads(src) }

func (w onlyC) CloseNotify() <-chan bool    { return w.notifies() }
func (w onlyCH) CloseNotify() <-chan bool   { return w.notifies() }
func (w onlyCP) CloseNotify() <-chan bool   { return w.notifies() }
func (w onlyCPH) CloseNotify() <-chan bool  { return w.notifies() }
func (w onlyCR) CloseNotify() <-chan bool   { return w.notifies() }
func (w onlyCRH) CloseNotify() <-chan bool  { return w.notifies() }
func (w onlyCRP) CloseNotify() <-chan bool  { return w.notifies() }
func (w onlyCRPH) CloseNotify() <-chan bool { return w.notifies() }

func (w onlyF) Flush()     { w.flushes() }
func (w onlyFH) Flush()    { w.flushes() }
func (w onlyFP) Flush()    { w.flushes() }
func (w onlyFPH) Flush()   { w.flushes() }
func (w onlyFR) Flush()    { w.flushes() }
func (w onlyFRH) Flush()   { w.flushes() }
func (w onlyFRP) Flush()   { w.flushes() }
func (w onlyFRPH) Flush()  { w.flushes() }
func (w onlyFC) Flush()    { w.flushes() }
func (w onlyFCH) Flush()   { w.flushes() }
func (w onlyFCP) Flush()   { w.flushes() }
func (w onlyFCPH) Flush()  { w.flushes() }
func (w onlyFCR) Flush()   { w.flushes() }
func (w onlyFCRH) Flush()  { w.flushes() }
func (w onlyFCRP) Flush()  { w.flushes() }
func (w onlyFCRPH) Flush() { w.flushes() }
