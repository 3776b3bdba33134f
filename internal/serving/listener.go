package serving

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync/atomic"
	"syscall"
	"time"
)

// wakeInterval is the time between two attempts of a stop to wake an Accept that hangs.
const wakeInterval = 100 * time.Millisecond

// door is the listener of a Server. It closes the listener below once, however often it is called. Its connections can be keys
// of maps, as the connections of nearly all listeners can anyway.
//
// Accept of the listener below may hang after Close, and so may Close: a socket that is shared with another process becomes a
// blocking one when that process makes it one, as programs in Go do when they pass on [net.TCPListener.File]. An Accept that
// hangs would not wake if we made it a nonblocking one again.
type door struct {
	net.Listener
	closed    atomic.Bool
	accepting atomic.Bool   // whether Accept of the listener below has not returned
	abandoned chan struct{} // closed when no goroutine waits for it any more
}

func newDoor(l net.Listener) *door { return &door{Listener: l, abandoned: make(chan struct{})} }

// Accept returns when the listener below has accepted, or when the door is abandoned.
func (l *door) Accept() (net.Conn, error) {
	if l.closed.Load() {
		return nil, net.ErrClosed
	}
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	l.accepting.Store(true)
	go func() {
		c, err := l.Listener.Accept()
		l.accepting.Store(false)
		select {
		case results <- result{c, err}:
		case <-l.abandoned:
			if err == nil {
				_ = c.Close()
			}
		}
	}()
	select {
	case r := <-results:
		if r.err == nil && !reflect.ValueOf(r.conn).Comparable() {
			r.conn = &struct{ net.Conn }{r.conn}
		}
		return r.conn, r.err
	case <-l.abandoned:
		return nil, net.ErrClosed
	}
}

// wake connects to the listener, so that an Accept that hangs returns, if no other process accepts that connection.
func (l *door) wake() error {
	if !l.accepting.Load() {
		return nil
	}
	c, err := net.DialTimeout(l.Addr().Network(), l.Addr().String(), wakeInterval)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func (l *door) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	return l.Listener.Close()
}

// CheckListener returns an error for a listener that is nil, or closed as far as it can be asked.
func CheckListener(l net.Listener) error {
	if v := reflect.ValueOf(l); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("kami: the listener to serve on must not be nil")
	}
	socket, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err == nil {
		err = raw.Control(func(uintptr) {})
	}
	if errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("kami: serving on %s: %w", l.Addr(), net.ErrClosed)
	}
	return nil
}
