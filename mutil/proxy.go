package mutil

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// proxy is the state of a proxy, and its plain shape.
type proxy struct {
	http.ResponseWriter // the writer below

	tee      *io.Writer // optimization: a pointer keeps kami's allocation in its size class (BenchmarkServe/Observed)
	bytes    int
	limit    int64 // one more than the Content-Length with the status, 0 if there is none or no status
	status   int32 // optimization: kami's allocation is in a smaller class (BenchmarkServe/Observed)
	hijacked bool
	sent     http.Header
	asked    http.Header // the request's, if it is known
}

// Status returns the final status, 0 until something was sent.
func (p *proxy) Status() int { return int(p.status) }

// BytesWritten returns how many body bytes the writer below accepted.
func (p *proxy) BytesWritten() int { return p.bytes }

// Hijacked is for the function of that name.
func (p *proxy) Hijacked() bool { return p.hijacked }

// ContentLength is for the function of that name.
func (p *proxy) ContentLength() int64 { return p.limit - 1 }

// Sent is for the function of that name.
func (p *proxy) Sent() http.Header { return p.sent }

// Tee writes every body byte to w too from now on; nil ends it.
func (p *proxy) Tee(w io.Writer) {
	p.tee = nil
	if w != nil {
		p.tee = &w
	}
}

// Unwrap returns the writer below. If that cannot hijack but unwraps to another writer, which may be able to, Unwrap returns a writer in
// between, so that the proxy sees a hijack by http.ResponseController.
func (p *proxy) Unwrap() http.ResponseWriter {
	if _, ok := p.ResponseWriter.(unwrapper); ok {
		if _, ok := p.ResponseWriter.(http.Hijacker); !ok {
			return between{withH{p}}
		}
	}
	return p.ResponseWriter
}

type unwrapper interface{ Unwrap() http.ResponseWriter }

// between is the writer between the proxy and the writer below. It can hijack.
type between struct{ withH }

// Unwrap returns the writer below.
func (w between) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes code on unless a final one went before. A code that does not have three digits is not recorded: the
// writer below panics about it.
func (p *proxy) WriteHeader(code int) {
	if p.hijacked || p.status != 0 {
		return
	}
	if 200 <= code && code <= 999 || code == http.StatusSwitchingProtocols {
		p.note(code, p.ResponseWriter.Header())
	}
	p.ResponseWriter.WriteHeader(code)
}

// record records the status, and what the header says with it.
func (p *proxy) record(code int) { p.note(code, p.ResponseWriter.Header()) }

// note is record with the present header. Headers that are set later are not sent.
//
// optimization: it is inlined, and searches no empty header (BenchmarkServe/Observed).
func (p *proxy) note(code int, header http.Header) {
	p.status, p.sent = int32(code), header
	if len(header) > 0 {
		p.limit = lengthIn(header) + 1
	}
}

// retract takes back a status that was not sent.
func (p *proxy) retract() { p.status, p.limit = 0, 0 }

// refuses reports whether n more bytes must not be written. refusal returns the reason.
func (p *proxy) refuses(n int) bool { return p.hijacked || n > 0 && int64(p.bytes)+1 == p.limit }

func (p *proxy) refusal() error {
	if p.hijacked {
		return http.ErrHijacked
	}
	return http.ErrContentLength
}

// Write passes b on, then gives the accepted bytes to the tee.
func (p *proxy) Write(b []byte) (int, error) {
	if p.refuses(len(b)) {
		return 0, p.refusal()
	}
	implied := p.implyOK()
	n, err := p.ResponseWriter.Write(b)
	p.count(implied, n, err)
	if p.tee != nil && n > 0 {
		_, _ = (*p.tee).Write(b[:n])
	}
	return n, err
}

// WriteString is Write for a string. The string is not copied for a writer below,
// or a tee, that has a WriteString itself.
func (p *proxy) WriteString(s string) (int, error) {
	if p.refuses(len(s)) {
		return 0, p.refusal()
	}
	implied := p.implyOK()
	n, err := io.WriteString(p.ResponseWriter, s)
	p.count(implied, n, err)
	if p.tee != nil && n > 0 {
		_, _ = io.WriteString(*p.tee, s[:n])
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
	implied := p.implyOK()
	err := http.NewResponseController(p.ResponseWriter).Flush()
	p.count(implied, 0, err)
	return err
}

// flush is FlushError without the error.
func (p *proxy) flush() { _ = p.FlushError() }

// readFrom copies src to the client. Without a tee the writer below gets a file or a connection itself, so that it may use sendfile.
func (p *proxy) readFrom(src io.Reader) (int64, error) {
	if p.hijacked {
		return 0, http.ErrHijacked
	}
	if p.tee != nil || p.refuses(1) {
		// Only Write is shown: io.Copy would come back here otherwise.
		return io.Copy(struct{ io.Writer }{p}, src)
	}
	from := p.ResponseWriter.(io.ReaderFrom)
	if p.status == 0 && !isFile(src) {
		s := &source{Reader: src, to: p}
		n, err := from.ReadFrom(s)
		p.count(s.implied, int(n), err)
		return n, err
	}
	implied := p.implyOK()
	n, err := from.ReadFrom(src)
	p.count(implied, int(n), err)
	if implied && n == 0 {
		p.retract() // the file was empty, or failed before its first byte
	}
	return n, err
}

// isFile reports whether the system itself can copy from src, or from the source of a limited src.
func isFile(src io.Reader) bool {
	if part, ok := src.(*io.LimitedReader); ok {
		src = part.R
	}
	_, ok := src.(syscall.Conn)
	return ok
}

// source is the source for the writer below if nothing was sent before. Its first byte implies 200: until then the source may panic, fail
// or end, or write another answer.
type source struct {
	io.Reader
	to      *proxy
	implied bool
}

// Read reads, and notes that something was read.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if n > 0 && s.to.implyOK() {
		s.implied = true
	}
	return n, err
}

// implyOK records the 200 that a body or a flush implies, and reports whether it did. The writer below sends the status, because it may do
// more then than for a WriteHeader: httptest.ResponseRecorder detects the content type.
//
// It is called when the writer below gets something to send, and not after that: if that writer panics in the middle of sending, a second
// answer must not follow half of the first.
func (p *proxy) implyOK() (implied bool) {
	if p.status != 0 {
		return false
	}
	p.record(http.StatusOK)
	return true
}

// count counts n bytes, and takes an implied 200 back if err says that the writer below sent nothing.
func (p *proxy) count(implied bool, n int, err error) {
	if p.bytes += n; err != nil && n <= 0 {
		p.unsent(implied, err)
	}
}

// unsent is count for a writer below that has sent nothing.
func (p *proxy) unsent(implied bool, err error) {
	refused := errors.Is(err, http.ErrHijacked)
	p.hijacked = p.hijacked || refused
	if implied && (refused || errors.Is(err, http.ErrNotSupported)) {
		p.retract()
	}
}

// hijack is the Hijack of the writer below, or of the one that it unwraps to. After it the proxy writes nothing.
func (p *proxy) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(p.ResponseWriter).Hijack()
	p.hijacked = p.hijacked || err == nil || errors.Is(err, http.ErrHijacked)
	if err == nil && p.status == 0 && len(p.asked["Upgrade"]) > 0 {
		p.record(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

// push is the Push of the writer below.
func (p *proxy) push(target string, opts *http.PushOptions) error {
	return p.ResponseWriter.(http.Pusher).Push(target, opts)
}

// closeNotify is the CloseNotify of the writer below.
func (p *proxy) closeNotify() <-chan bool { return p.ResponseWriter.(closeNotifier).CloseNotify() }
