//go:build unix

package supervise

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// Einhorn supervises workers as einhorn does in its manual ACK mode.
type Einhorn struct {
	*Service
	// Kick is the signal by which Upgrade tells the old worker to end. It is SIGUSR2 by default, as einhorn's.
	Kick os.Signal

	control string
	acks    journal
}

// NewEinhorn opens the sockets. It starts no worker.
func NewEinhorn(program Program) (*Einhorn, error) {
	directory, err := newTemporary()
	if err != nil {
		return nil, err
	}
	control, err := net.Listen("unix", directory.path("control"))
	if err != nil {
		return nil, errors.Join(err, directory.Close())
	}
	service, err := newService(program, control, directory)
	if err != nil {
		return nil, err
	}
	e := &Einhorn{Service: service, Kick: syscall.SIGUSR2, control: control.Addr().String()}
	go e.collect(control)
	return e, nil
}

// collect adds an entry for each connection to the control socket.
func (e *Einhorn) collect(control net.Listener) {
	for {
		conn, err := control.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(e.program.grace()))
			ack, err := io.ReadAll(conn)
			if err != nil {
				ack = fmt.Appendf(ack, " (%v)", err)
			}
			e.acks.message(string(ack))
		}()
	}
}

// Acks returns all that was sent to the control socket, one entry for each connection.
func (e *Einhorn) Acks() []string { return e.acks.all() }

// Start starts a worker and waits for its ACK. If that is not exactly the ACK of a worker, or if anything else
// comes on the control socket before, it ends the worker and returns an error.
func (e *Einhorn) Start() error {
	program := e.program
	program.Files = append(slices.Clone(program.Files), e.socket)
	program.Env = append([]string{
		fmt.Sprintf("EINHORN_MASTER_PID=%d", os.Getpid()),
		"EINHORN_FD_COUNT=1",
		fmt.Sprintf("EINHORN_FD_0=%d", 2+len(program.Files)), // they begin at 3
		"EINHORN_SOCK_PATH=" + e.control,
	}, program.Env...)
	before := len(e.Acks())
	worker, err := Start(program)
	if err != nil {
		return err
	}
	ack, found := e.acks.await(before, func(string) bool { return true }, e.Limit, worker.done)
	if !found {
		return worker.abort("has sent no ACK")
	}
	if want := fmt.Sprintf("{\"command\": \"worker:ack\", \"pid\": %d}\n", worker.Pid); ack != want {
		return worker.abort(fmt.Sprintf("has sent the ACK %q instead of %q", ack, want))
	}
	e.process = worker
	return nil
}

// Upgrade starts a new worker, and when it is ready tells the old one to end and waits for that. If the new one does not
// become ready the old one stays.
func (e *Einhorn) Upgrade() error {
	old := e.process
	if err := e.Start(); err != nil {
		return err
	}
	return e.Retire(old)
}

// Retire tells a worker to end that another one has replaced, and waits for its end.
func (e *Einhorn) Retire(old *Process) error { return e.stop(old, e.Kick) }
