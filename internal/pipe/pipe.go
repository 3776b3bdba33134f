// Package pipe has listeners and clients that are connected by pipes, and a handler, for tests of serving in synctest bubbles.
package pipe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Listener accepts the server's ends of pipes.
type Listener struct {
	Conns  chan net.Conn // what Accept returns
	Errors chan error    // likewise
	Closed chan struct{} // closed by Close
	once   sync.Once
}

// Listen returns a new listener.
func Listen() *Listener {
	return &Listener{Conns: make(chan net.Conn), Errors: make(chan error), Closed: make(chan struct{})}
}

// Accept returns the next connection or error, or net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.Conns:
		return conn, nil
	case err := <-l.Errors:
		return nil, err
	case <-l.Closed:
		return nil, net.ErrClosed
	}
}

// Close closes the listener.
func (l *Listener) Close() error { l.once.Do(func() { close(l.Closed) }); return nil }

// Addr returns the same address for all listeners.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// Handler answers "root", and on /slow it answers "slow" when release is closed. More may be added.
func Handler() (m *http.ServeMux, release chan struct{}) {
	m, release = http.NewServeMux(), make(chan struct{})
	m.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "root") })
	m.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, "slow")
	})
	return m, release
}

// Peer is the client's end of a connection.
type Peer struct {
	net.Conn
	R *bufio.Reader // reads from the connection
	t *testing.T
}

// Dial connects, when the connection has been accepted.
func (l *Listener) Dial(t *testing.T) *Peer {
	client, server := net.Pipe()
	l.Conns <- server
	return &Peer{client, bufio.NewReader(client), t}
}

// Send sends a request with further header lines.
func (p *Peer) Send(path string, header ...string) {
	_, err := fmt.Fprintf(p.Conn, "GET %s HTTP/1.1\r\nHost: kami\r\n%s\r\n", path, strings.Join(append(header, ""), "\r\n"))
	p.must(err)
}

// Answer reads an answer, checks its body, and reports whether it says that the connection ends.
func (p *Peer) Answer(want string) (closes bool) {
	p.t.Helper()
	response, err := http.ReadResponse(p.R, nil)
	p.must(err)
	body, err := io.ReadAll(response.Body)
	p.must(err)
	if string(body) != want {
		p.t.Errorf("the body is %q; want %q", body, want)
	}
	return response.Close
}

// Ended waits for the end of the connection, before which nothing may come.
func (p *Peer) Ended() {
	p.t.Helper()
	rest, err := io.ReadAll(p.R)
	p.must(err)
	if len(rest) > 0 {
		p.t.Errorf("%q comes before the end of the connection; want nothing", rest)
	}
}

func (p *Peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// ReturnsAfter waits until the channel is closed, and checks how long that takes by the bubble's clock.
func ReturnsAfter(t *testing.T, want time.Duration, returned <-chan struct{}) {
	t.Helper()
	start := time.Now()
	<-returned
	if got := time.Since(start); got != want {
		t.Errorf("it has taken %s; want %s", got, want)
	}
}
