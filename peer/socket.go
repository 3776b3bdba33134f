package peer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// socket has the methods of a websocket that a link needs.
type socket interface {
	// read reads a message. It is called by one goroutine at a time.
	read() (text bool, data []byte, err error)
	// write writes a text message. With more the message may wait for flush or the next one. It is called by one goroutine at a
	// time, and may wait for the other side until cut.
	write(data []byte, more bool) error
	// flush writes the waiting messages. It is not called at the same time as write.
	flush() error
	// ping sends a ping. The code that made the socket gets the answer.
	ping()
	// close sends a close frame and waits a moment for the other side's. It may be called at any time.
	close(code int, reason string)
	// cut closes the connection at once: read and write return.
	cut()
}

// Status codes of RFC 6455, section 7.4, and of IANA's registry.
const (
	closeNormal      = 1000
	closeGoingAway   = 1001
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeInvalid     = 1007
	closePolicy      = 1008
	closeTooBig      = 1009
	closeRestart     = 1012
)

// closeError is the error of a read that found the other side's close frame.
type closeError struct {
	code   int
	reason string
}

func (e *closeError) Error() string {
	text := websocket.CloseError{Code: websocket.StatusCode(e.code), Reason: e.reason}.Error()
	return "the other side has closed it: " + text
}

// errTooBig is the error of a message over the limit. The close frame has been sent.
var errTooBig = errors.New("a message is longer than MaxMessage")

// webSocket is a socket over coder/websocket.
//
// A context that ends during a call of that package closes the connection, and costs time in each call, so its calls here get
// contexts that never end. Its Close may take ten seconds; cut ends that too, because it closes the connection below.
type webSocket struct {
	conn  *websocket.Conn
	below *gather
}

var reading = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is how long a buffer may be that is used again.
const maxPooled = 64 << 10

func (s *webSocket) read() (text bool, data []byte, err error) {
	kind, r, err := s.conn.Reader(context.Background())
	if err == nil {
		// optimization: a message gets only the memory that it needs (BenchmarkCall).
		buffer := reading.Get().(*bytes.Buffer)
		buffer.Reset()
		if _, err = buffer.ReadFrom(r); err == nil {
			data = bytes.Clone(buffer.Bytes())
		}
		if buffer.Cap() <= maxPooled {
			reading.Put(buffer)
		}
	}
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		err = &closeError{int(closed.Code), closed.Reason}
	case errors.Is(err, websocket.ErrMessageTooBig):
		err = errTooBig
	}
	return kind == websocket.MessageText, data, err
}

func (s *webSocket) write(data []byte, more bool) error {
	if more {
		s.below.hold(true)
		defer s.below.hold(false)
	}
	return s.conn.Write(context.Background(), websocket.MessageText, data)
}

func (s *webSocket) flush() error { return s.below.flush() }

// ping returns with the pong, or when the pong does not come. A context that ends while the ping is written would close the
// connection.
func (s *webSocket) ping() {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	_ = s.conn.Ping(ctx)
}

func (s *webSocket) close(code int, reason string) {
	_ = s.conn.Close(websocket.StatusCode(code), reason)
}

func (s *webSocket) cut() { _ = s.below.raw.Close() }

// gather is the connection below a websocket. Messages may wait there to be written together, because the package of the websocket
// writes each by itself. That costs a system call at both sides for each.
type gather struct {
	raw io.ReadWriteCloser

	mu    sync.Mutex
	holds bool    // messages may wait
	held  *buffer // nil if nothing waits
}

// maxHeld is about how many bytes may wait.
const maxHeld = 16 << 10

func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.holds && g.held == nil {
		return g.raw.Write(p)
	}
	if g.held == nil {
		g.held = takeBuffer()
	}
	g.held.b = append(g.held.b, p...)
	if g.holds && len(g.held.b) < maxHeld {
		return len(p), nil
	}
	return len(p), g.writeHeld()
}

// hold says whether messages may wait from now on.
func (g *gather) hold(holds bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = holds
}

func (g *gather) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writeHeld()
}

func (g *gather) writeHeld() error {
	if g.held == nil {
		return nil
	}
	held := g.held
	g.held = nil
	defer held.free()
	_, err := g.raw.Write(held.b)
	return err
}

// gatheredConn is the connection of a server.
type gatheredConn struct {
	net.Conn
	gather gather
}

func (c *gatheredConn) Write(p []byte) (int, error) { return c.gather.Write(p) }

// gatheredBody is the connection of a client.
type gatheredBody struct {
	io.ReadWriteCloser
	gather gather
}

func (b *gatheredBody) Write(p []byte) (int, error) { return b.gather.Write(p) }

// hijacker notes the connection below a websocket.
type hijacker struct {
	http.ResponseWriter
	below *gather
}

// Unwrap is for http.ResponseController.
func (h *hijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack takes the connection over.
func (h *hijacker) Hijack() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	conn, rw, err = http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := rw.Flush(); err != nil { // what a middleware's writer may have kept
		_ = conn.Close()
		return nil, nil, err
	}
	gathered := &gatheredConn{Conn: conn, gather: gather{raw: conn}}
	h.below = &gathered.gather
	rw.Writer.Reset(gathered)
	return gathered, rw, nil
}

// canHijack reports whether a connection can be taken over. An HTTP/2 connection cannot.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch outer := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = outer.Unwrap()
		default:
			return false
		}
	}
}

// dialer notes the connection below a websocket that this side dials.
type dialer struct {
	http.RoundTripper
	below *gather
}

// RoundTrip makes a request.
func (d *dialer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if body, ok := response.Body.(io.ReadWriteCloser); ok {
		gathered := &gatheredBody{ReadWriteCloser: body, gather: gather{raw: body}}
		d.below, response.Body = &gathered.gather, gathered
	}
	return response, nil
}
