package peer

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing/synctest"

	"github.com/guregu/kami/endpoint"
)

// Pipe is a network without sockets. Tests use it in a bubble of testing/synctest, where sockets do not work.
type Pipe struct {
	Stop chan struct{} // closed when the server that takes new connections begins to stop

	mu      sync.Mutex
	server  *Node
	base    context.Context
	refuse  error
	silent  bool
	urls    []string   // of the attempts to connect
	ends    []*pipeEnd // the ends of the servers
	Header  http.Header
	serving sync.WaitGroup
}

// NewPipe returns a Pipe whose connections go to server. If server is nil, connecting fails.
func NewPipe(server *Node) *Pipe {
	return &Pipe{server: server, Stop: make(chan struct{}), base: context.Background()}
}

// Serve makes another server take new connections. If server is nil, connecting fails.
func (p *Pipe) Serve(server *Node, stop chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server, p.Stop, p.refuse = server, stop, nil
}

// Refuse makes attempts to connect fail with a status.
func (p *Pipe) Refuse(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = endpoint.Error(status, http.StatusText(status))
}

// Silence turns on and off that attempts to connect get no answer.
func (p *Pipe) Silence(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
}

// Base sets the context of upgrades.
func (p *Pipe) Base(ctx context.Context) { p.base = ctx }

// Dials returns the number of attempts to connect.
func (p *Pipe) Dials() int { return len(p.URLs()) }

// URLs returns the URLs of the attempts to connect.
func (p *Pipe) URLs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.urls)
}

// Cut cuts all connections.
func (p *Pipe) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end.cut()
	}
}

// Pings returns how many pings the servers have sent.
func (p *Pipe) Pings() (pings int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end.mu.Lock()
		pings += end.pings
		end.mu.Unlock()
	}
	return pings
}

// Wait waits until no connection is served any more. It waits for connections that are being made too.
func (p *Pipe) Wait() {
	synctest.Wait()
	p.serving.Wait()
}

// Jam makes the servers' writes block until the connection is cut, as if the clients read nothing.
func (p *Pipe) Jam() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end.jammed.Lock()
	}
}

// Deaf makes the pings of both sides go unanswered.
func (p *Pipe) Deaf() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end.mu.Lock()
		end.deaf = true
		end.mu.Unlock()
	}
}

// Over returns the option that makes a Dial connect over p.
func (p *Pipe) Over() DialOption {
	return func(o *dialOptions) { o.open = p.open }
}

func (p *Pipe) open(ctx context.Context, url string, header http.Header, l *link) (http.Header, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.urls = append(p.urls, url)
	p.Header = header
	if p.silent {
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return nil, ctx.Err()
	}
	if p.refuse != nil {
		return nil, p.refuse
	}
	if p.server == nil || !p.server.begin() {
		return nil, io.ErrUnexpectedEOF
	}
	server, stop, base := p.server, p.Stop, p.base
	here, there := newPipeEnds()
	other := server.newLink(base)
	other.conn = newConn(server)
	other.remote, other.peer = "pipe", infoOf(header, "pipe")
	here.pong, there.pong = l.pong, other.pong
	other.use(there)
	l.use(here)
	p.ends = append(p.ends, there)
	p.serving.Go(func() {
		defer server.running.Done()
		server.serve(base, other, stop)
	})
	return http.Header{peerHeader: {server.info().header()}}, nil
}

// pipeEnd is one end of a connection.
type pipeEnd struct {
	other  *pipeEnd
	frames chan pipeFrame // frames that the other end has sent
	gone   chan struct{}  // closed when the connection is cut
	once   *sync.Once
	jammed *jam
	pong   func()

	mu     sync.Mutex
	deaf   bool
	pings  int
	closed bool // a close frame has been sent
}

// jam blocks a writer once Lock is called.
type jam struct {
	mu    sync.Mutex
	until chan struct{}
}

func (j *jam) Lock() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.until = make(chan struct{})
}

func (j *jam) get() chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.until
}

type pipeFrame struct {
	data  []byte
	close *closeError
}

func newPipeEnds() (a, b *pipeEnd) {
	gone, once := make(chan struct{}), new(sync.Once)
	a = &pipeEnd{frames: make(chan pipeFrame, 1000), gone: gone, once: once, jammed: new(jam)}
	b = &pipeEnd{frames: make(chan pipeFrame, 1000), gone: gone, once: once, jammed: new(jam)}
	a.other, b.other = b, a
	return a, b
}

func (e *pipeEnd) read() (bool, []byte, error) {
	select {
	case f := <-e.frames:
		return e.got(f)
	default:
	}
	select {
	case f := <-e.frames:
		return e.got(f)
	case <-e.gone:
		return false, nil, io.ErrUnexpectedEOF
	}
}

func (e *pipeEnd) got(f pipeFrame) (bool, []byte, error) {
	if f.close != nil {
		e.close(f.close.code, f.close.reason)
		return false, nil, f.close
	}
	return true, f.data, nil
}

func (e *pipeEnd) flush() error { return nil }

func (e *pipeEnd) write(data []byte, _ bool) error {
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return io.ErrClosedPipe
	}
	return e.put(pipeFrame{data: append([]byte(nil), data...)})
}

func (e *pipeEnd) put(f pipeFrame) error {
	if until := e.jammed.get(); until != nil {
		select {
		case <-until:
		case <-e.gone:
			return io.ErrClosedPipe
		}
	}
	select {
	case <-e.gone:
		return io.ErrClosedPipe
	default:
	}
	select {
	case e.other.frames <- f:
		return nil
	case <-e.gone:
		return io.ErrClosedPipe
	}
}

func (e *pipeEnd) ping() {
	e.mu.Lock()
	deaf := e.deaf
	e.pings++
	e.mu.Unlock()
	e.other.mu.Lock()
	deaf = deaf || e.other.deaf
	e.other.mu.Unlock()
	if !deaf {
		e.other.pong()
		e.pong()
	}
}

// close sends one close frame at most. If the other side has not sent one, close waits until the connection is cut.
func (e *pipeEnd) close(code int, reason string) {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	e.mu.Unlock()
	if !first || e.put(pipeFrame{close: &closeError{code, reason}}) != nil {
		return
	}
	e.other.mu.Lock()
	answered := e.other.closed
	e.other.mu.Unlock()
	if !answered {
		<-e.gone
	}
}

func (e *pipeEnd) cut() { e.once.Do(func() { close(e.gone) }) }
