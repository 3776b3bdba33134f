package mutil

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// proxy is the plain shape and holds the state of all.
type proxy struct {
	http.ResponseWriter // the writer below

	tee      io.Writer
	status   int
	bytes    int
	hijacked bool
	sent     http.Header
}

// Status returns the final status, 0 until something was sent.
func (p *proxy) Status() int { return p.status }

// BytesWritten returns how many body bytes the writer below accepted.
func (p *proxy) BytesWritten() int { return p.bytes }

// Hijacked is what the function of that name asks.
func (p *proxy) Hijacked() bool { return p.hijacked }

// Sent is what the function of that name asks.
func (p *proxy) Sent() http.Header { return p.sent }

// Tee has w get every body byte from now on; nil ends it.
func (p *proxy) Tee(w io.Writer) { p.tee = w }

// Unwrap returns the writer below.
func (p *proxy) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader passes code on unless a final one went before.
func (p *proxy) WriteHeader(code int) {
	if p.hijacked || p.status != 0 {
		return
	}
	header := p.ResponseWriter.Header()
	// First, so that a code it panics about is not recorded.
	p.ResponseWriter.WriteHeader(code)
	if code < 100 || code > 199 || code == http.StatusSwitchingProtocols {
		p.status, p.sent = code, header
	}
}

// Write passes b on, then gives the tee what was accepted of it.
func (p *proxy) Write(b []byte) (int, error) {
	if p.hijacked {
		return 0, http.ErrHijacked
	}
	before := p.implyOK()
	n, err := p.ResponseWriter.Write(b)
	p.settle(before, n, err)
	if p.tee != nil && n > 0 {
		_, _ = p.tee.Write(b[:n])
	}
	return n, err
}

// WriteString is Write for a string; neither the writer below nor the tee has
// it copied if it has a WriteString itself.
func (p *proxy) WriteString(s string) (int, error) {
	if p.hijacked {
		return 0, http.ErrHijacked
	}
	before := p.implyOK()
	n, err := io.WriteString(p.ResponseWriter, s)
	p.settle(before, n, err)
	if p.tee != nil && n > 0 {
		_, _ = io.WriteString(p.tee, s[:n])
	}
	return n, err
}

// FlushError flushes the writer below, or the one that it unwraps to.
//
// The plain shape has it too: http.ResponseController would otherwise unwrap
// and flush past the proxy, which would not learn of the 200 that this sends.
func (p *proxy) FlushError() error {
	if p.hijacked {
		return http.ErrHijacked
	}
	before := p.implyOK()
	err := http.NewResponseController(p.ResponseWriter).Flush()
	p.settle(before, 0, err)
	return err
}

// implyOK records the 200 that a body or a flush implies and returns the status
// from before. It leaves sending it to the writer below, which may do more then
// than for a WriteHeader: httptest.ResponseRecorder detects the content type.
//
// It comes before the sending so that the status is not 0 after a panic in the
// middle of it: a second answer must not be appended to half a first one.
func (p *proxy) implyOK() (before int) {
	before = p.status
	if before == 0 {
		p.status, p.sent = http.StatusOK, p.ResponseWriter.Header()
	}
	return before
}

// settle counts n bytes, and takes an implied 200 back if err says that the
// writer below sent nothing.
func (p *proxy) settle(before, n int, err error) {
	p.bytes += n
	if err == nil || n > 0 {
		return
	}
	if errors.Is(err, http.ErrHijacked) {
		p.hijacked = true
		p.status = before
	} else if errors.Is(err, http.ErrNotSupported) {
		p.status = before
	}
}

// flushWriter is the shape with http.Flusher.
type flushWriter struct{ proxy }

// Flush is FlushError for those who do not ask for the error.
func (p *flushWriter) Flush() { _ = p.FlushError() }

// pushWriter is the shape of http.TimeoutHandler's writer.
type pushWriter struct{ proxy }

// Push is the Push of the writer below.
func (p *pushWriter) Push(target string, opts *http.PushOptions) error {
	return p.ResponseWriter.(http.Pusher).Push(target, opts)
}

// http2Writer is the shape of net/http's HTTP/2 writer.
type http2Writer struct{ flushWriter }

// Push is the Push of the writer below.
func (p *http2Writer) Push(target string, opts *http.PushOptions) error {
	return p.ResponseWriter.(http.Pusher).Push(target, opts)
}

// http1Writer is the shape of net/http's HTTP/1 writer.
type http1Writer struct{ flushWriter }

// Hijack is the Hijack of the writer below; after it the proxy writes nothing.
func (p *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := p.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil {
		p.hijacked = true
	}
	return conn, rw, err
}

// ReadFrom copies src to the client. Without a tee the writer below gets src as
// it is, so that it may use sendfile.
func (p *http1Writer) ReadFrom(src io.Reader) (int64, error) {
	if p.hijacked {
		return 0, http.ErrHijacked
	}
	if p.tee != nil {
		// Only Write is shown: io.Copy would come back here otherwise.
		return io.Copy(struct{ io.Writer }{p}, src)
	}
	before := p.implyOK()
	n, err := p.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
	p.settle(before, int(n), err)
	if n == 0 {
		// net/http sends the header with the first byte: if src had none or
		// failed before it, the handler may still answer otherwise.
		p.status = before
	}
	return n, err
}
