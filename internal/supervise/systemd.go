//go:build unix

package supervise

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Systemd supervises a service as systemd does one that a socket unit activates.
type Systemd struct {
	*Service
	notify *Notify
}

// NewSystemd opens the socket. It does not start the service. The service is one of Type=notify: it has started when it
// has said so; or if notify is nil one of Type=simple: it has started when it runs. Close closes notify too.
func NewSystemd(program Program, notify *Notify) (*Systemd, error) {
	service, err := newService(program)
	if err != nil {
		return nil, err
	}
	if notify != nil {
		service.closers = append(service.closers, notify)
	}
	return &Systemd{service, notify}, nil
}

// Start starts the service and waits until it has started.
func (s *Systemd) Start() error {
	path, err := exec.LookPath(s.program.Path)
	if err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	program := s.program
	program.Path = "/bin/sh" // which knows its pid, and keeps it
	program.Args = append([]string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh", path}, program.Args...)
	program.Env = append([]string{"LISTEN_FDS=1"}, program.Env...)
	program.Files = append([]*os.File{s.socket}, program.Files...)
	before := 0
	if s.notify != nil {
		program.Env = append([]string{"NOTIFY_SOCKET=" + s.notify.Name()}, program.Env...)
		before = len(s.notify.Messages())
	}
	process, err := Start(program)
	if err != nil {
		return err
	}
	if s.notify != nil && !s.notify.await(before, "READY=1", s.Limit, process.done) {
		return process.abort("has not sent READY=1")
	}
	s.process = process
	return nil
}

// Restart ends the service with SIGTERM, and when it has ended starts it again.
func (s *Systemd) Restart() error {
	if err := s.Stop(syscall.SIGTERM); err != nil {
		return err
	}
	return s.Start()
}

// Messages returns the datagrams that have come from the service, if it notifies.
func (s *Systemd) Messages() []string {
	if s.notify == nil {
		return nil
	}
	return s.notify.Messages()
}

// Notify is a socket on which services say how they are, as with sd_notify. Its name goes into NOTIFY_SOCKET.
type Notify struct {
	conn      *net.UnixConn
	directory temporary
	messages  journal
}

// ListenNotify opens a socket at a path of its own, or an abstract one, whose name begins with @ (Linux only).
func ListenNotify(abstract bool) (*Notify, error) {
	directory, err := newTemporary()
	if err != nil {
		return nil, err
	}
	name := directory.path("notify")
	if abstract {
		name = "@" + name
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, errors.Join(err, directory.Close())
	}
	n := &Notify{conn: conn, directory: directory}
	go n.collect()
	return n, nil
}

func (n *Notify) collect() {
	datagram := make([]byte, 4096)
	for {
		size, err := n.conn.Read(datagram)
		if err != nil {
			return
		}
		n.messages.message(string(datagram[:size]))
	}
}

// Name returns the name of the socket.
func (n *Notify) Name() string { return n.conn.LocalAddr().String() }

// Messages returns the datagrams that have come, in order.
func (n *Notify) Messages() []string { return n.messages.all() }

// Await waits for a datagram with the line, such as "STOPPING=1", and returns whether there is one. One that has come
// before counts.
func (n *Notify) Await(line string, limit time.Duration) bool { return n.await(0, line, limit, nil) }

func (n *Notify) await(first int, line string, limit time.Duration, end <-chan struct{}) bool {
	has := func(message string) bool { return slices.Contains(strings.Split(message, "\n"), line) }
	_, found := n.messages.await(first, has, limit, end)
	return found
}

// Close closes the socket.
func (n *Notify) Close() error {
	return errors.Join(n.conn.Close(), n.directory.Close())
}
