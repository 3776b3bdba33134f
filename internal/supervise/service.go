//go:build unix

package supervise

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// startLimit is the default of the limits that can be set.
const startLimit = 30 * time.Second

// Service is the part that both supervisors have: a program, a TCP socket on the loopback interface that outlives its processes,
// and the process that serves now. Its methods are for one goroutine at a time.
type Service struct {
	// Limit is for each step, such as a process that becomes ready, or ends after a signal. It is 30 seconds by default.
	Limit time.Duration
	// Exits has the exits of the processes that were told to end, in that order.
	Exits []Exit

	program Program
	address string
	socket  *os.File
	process *Process
	closers []io.Closer
}

// newService opens the socket. It closes the others with the service, or at once if there is none.
func newService(program Program, others ...io.Closer) (*Service, error) {
	s := &Service{Limit: startLimit, program: program, closers: others}
	if err := s.listen(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Service) listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	s.address = l.Addr().String()
	if s.socket, err = duplicate(l.(*net.TCPListener)); err == nil {
		s.closers = append(s.closers, s.socket)
	}
	return err
}

// duplicate returns the listener's socket as a file. That of its own method File becomes a blocking one each time when a
// process inherits it, and so does the socket under the processes that accept on it already.
func duplicate(l *net.TCPListener) (socket *os.File, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var duplicateErr error
	err = raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		var copied int
		if copied, duplicateErr = syscall.Dup(int(fd)); duplicateErr == nil {
			syscall.CloseOnExec(copied)
			socket = os.NewFile(uintptr(copied), l.Addr().String())
		}
	})
	return socket, errors.Join(err, duplicateErr)
}

// UseFile has the socket passed to processes as supervisors written in Go do that use [net.TCPListener.File]: each start
// makes it a blocking one, also under the processes that accept on it already.
func (s *Service) UseFile() error {
	l, err := net.FileListener(s.socket)
	if err != nil {
		return err
	}
	defer l.Close()
	if s.socket, err = l.(*net.TCPListener).File(); err == nil {
		s.closers = append(s.closers, s.socket)
	}
	return err
}

// Block makes the socket a blocking one, as a start does after UseFile.
func (s *Service) Block() { s.socket.Fd() }

// temporary is a directory that is removed when it is closed. Its path is short, because paths of sockets must be.
type temporary string

func newTemporary() (temporary, error) {
	directory, err := os.MkdirTemp("", "kami")
	return temporary(directory), err
}

func (t temporary) path(name string) string { return filepath.Join(string(t), name) }

// Close removes the directory.
func (t temporary) Close() error { return os.RemoveAll(string(t)) }

// Address returns the address of the socket, which is the same for all processes.
func (s *Service) Address() string { return s.address }

// Process returns the process that became ready last, or nil.
func (s *Service) Process() *Process { return s.process }

// Stop sends a signal to the process and waits for its end. A process that has ended before is an error.
func (s *Service) Stop(sig os.Signal) error { return s.stop(s.process, sig) }

func (s *Service) stop(p *Process, sig os.Signal) error {
	ended := p.Signal(sig)
	exit, err := p.Wait(s.Limit)
	s.Exits = append(s.Exits, exit)
	if ended != nil {
		return p.failure("ended before it was told to", exit.String())
	}
	return err
}

// Close kills the process if it still runs, and closes the socket.
func (s *Service) Close() {
	if s.process != nil {
		s.process.Close()
	}
	for _, c := range s.closers {
		_ = c.Close()
	}
}
