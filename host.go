package kami

import (
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zenazn/goji/bind"
	"github.com/zenazn/goji/graceful"
	"github.com/zenazn/goji/graceful/listener"
)

// forceWindow is how soon after a SIGINT another one forces. No other signal does: supervisors repeat them by
// themselves, and have SIGKILL if they mean it.
const forceWindow = 2 * time.Second

// notifyTimeout is for systemd to take a message. A stop does not wait any longer for it.
const notifyTimeout = 100 * time.Millisecond

// system is what serving needs of the process that it runs in, and of who supervises that. Tests have their own.
type system struct {
	getenv  func(string) string
	getpid  func() int
	getppid func() int
	notify  func(chan<- os.Signal, ...os.Signal) // as signal.Notify
	forget  func(chan<- os.Signal)               // as signal.Stop
	bind    func() net.Listener                  // listens where the flag says
	ready   func()                               // tells einhorn
	send    func(socket, message string) error   // sends a datagram
	listens func(descriptor int) error           // says why a descriptor is not a listening socket
	hook    func(net.Listener) net.Listener      // as graceful.WrapListener
	stop    func()                               // as graceful.Shutdown
	fatal   func(format string, args ...any)     // logs and exits with status 1
}

// host is the system of this process.
var host = system{
	getenv:  os.Getenv,
	getpid:  os.Getpid,
	getppid: os.Getppid,
	notify:  signal.Notify,
	forget:  signal.Stop,
	bind:    bind.Default,
	ready:   bind.Ready,
	send:    sendDatagram,
	listens: checkDescriptor,
	hook:    graceful.WrapListener,
	stop:    graceful.Shutdown,
	fatal:   log.Fatalf,
}

// listenAndServe serves the mux where the flag says.
func (sys *system) listenAndServe(m *Mux, srv *http.Server) {
	if err := m.checkPanicHandler(); err != nil {
		sys.fatal("%v", err)
		return
	}
	sys.serve(m, sys.listen(), srv)
}

// serve serves the mux until the process is told to stop.
func (sys *system) serve(m *Mux, l net.Listener, srv *http.Server) {
	d, err := m.newDrain(l, srv)
	if err != nil {
		sys.fatal("%v", err)
		return
	}
	s := &supervised{system: sys, drain: d, hooks: make(chan struct{}), finished: make(chan struct{})}
	defer close(s.finished)
	s.attach()
	signals := make(chan os.Signal, 8)
	sys.notify(signals, sys.signals()...)
	defer sys.forget(signals)
	go s.watch(signals)

	log.Println("Starting kami on", l.Addr())
	sys.ready()
	sys.tell("READY=1")
	if err := d.serve(); err != nil {
		sys.fatal("%v", err)
		return
	}
	s.finish()
	log.Println("kami stopped")
}

// signals are those that stop a server.
func (sys *system) signals() []os.Signal {
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if sys.is("EINHORN_MASTER_PID", sys.getppid()) {
		stop = append(stop, upgradeSignals...)
	}
	return stop
}

// is reports whether a variable of the environment holds the process id.
func (sys *system) is(variable string, pid int) bool {
	id, err := strconv.Atoi(sys.getenv(variable))
	return err == nil && id == pid
}

// tell tells systemd what state the service is in, as sd_notify(3) does.
func (sys *system) tell(state string) {
	socket := sys.getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := sys.send(socket, state); err != nil {
		log.Printf("kami: telling systemd %s: %v", state, err)
	}
}

// sendDatagram sends a message to a Unix datagram socket, whose name may be an abstract one that begins with "@".
func sendDatagram(socket, message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// supervised is a server that stops when the process is told to, by a signal or by a call of goji's graceful package,
// whose hooks apps use. goji is given a gate in the place of the listener, and one connection, which is never idle: it
// closes the gate after the pre hooks, and waits for that connection before the post hooks.
type supervised struct {
	*system
	drain    *drain
	busy     net.Conn // as goji knows it
	begun    sync.Once
	stopping atomic.Bool
	hooks    chan struct{} // closed when the hooks have run
	finished chan struct{} // closed when nothing is left to force
}

// attach makes the server known to goji.
func (s *supervised) attach() {
	t := listener.Wrap(gate{s}, listener.Manual)
	s.busy, _ = t.Accept()
	_ = listener.MarkInUse(s.busy)
	s.hook(t)
}

// watch stops the server at the first signal. It forces it at a SIGINT that comes soon after another.
func (s *supervised) watch(signals <-chan os.Signal) {
	var last time.Time
	for {
		select {
		case sig := <-signals:
			s.begin()
			s.stopWithHooks()
			if sig != os.Interrupt {
				continue
			}
			if now := time.Now(); !last.IsZero() && now.Sub(last) < forceWindow {
				s.drain.force()
			} else {
				last = now
			}
		case <-s.finished:
			return
		}
	}
}

// begin says that the stop begins.
func (s *supervised) begin() {
	s.begun.Do(func() {
		log.Println("kami received signal, gracefully stopping")
		s.tell("STOPPING=1")
	})
}

// stopWithHooks has goji stop the server, once, and does not wait for it. A hook that panics is logged; goji goes on
// behind it when it is called again. If goji was stopped before, which it can be only once, the drain begins all the
// same.
func (s *supervised) stopWithHooks() {
	if !s.stopping.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer close(s.hooks)
		defer s.drain.stop()
		for attempt := 0; attempt < 3 && !s.tryStop(); attempt++ { // a pre hook may panic, and a post hook
		}
	}()
}

// tryStop calls goji's Shutdown, and reports whether it has returned.
func (s *supervised) tryStop() (returned bool) {
	defer func() {
		if v := recover(); v != nil {
			log.Printf("kami: a hook of goji/graceful panicked: %v\n%s", v, debug.Stack())
		}
	}()
	s.stop()
	return true
}

// finish tells goji that the last connection has ended, and waits for the hooks. Who forces does not wait for them.
func (s *supervised) finish() {
	s.stopWithHooks()
	_ = s.busy.Close()
	select {
	case <-s.hooks:
	case <-s.drain.forced:
	}
}

// gate is the listener that goji closes to stop a server.
type gate struct{ *supervised }

func (g gate) Accept() (net.Conn, error) { return busy{drain: g.drain}, nil }
func (g gate) Addr() net.Addr            { return g.drain.listener.Addr() }

func (g gate) Close() error {
	g.begin()
	g.drain.stop()
	return nil
}

// busy is the connection that goji waits for, or closes to force the server to stop.
type busy struct {
	net.Conn // nil: nobody reads or writes
	drain    *drain
}

func (b busy) Close() error {
	select {
	case <-b.drain.over:
	default:
		b.drain.force()
		<-b.drain.over
	}
	return nil
}
