// Package process serves as a process should, with the signals, supervisors, addresses and hooks that goji's users know: einhorn,
// systemd, the flag -bind and goji's graceful package.
package process

import (
	"log"
	"net"
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

	"github.com/guregu/kami/internal/serving"
)

// forceWindow is the time after a SIGINT within which another one forces the server to stop. No other signal forces, because
// supervisors repeat signals without being asked, and have SIGKILL if they mean it.
const forceWindow = 2 * time.Second

// notifyTimeout is how long a stop waits for systemd to take a message.
const notifyTimeout = 100 * time.Millisecond

// system has the functions of the process and of its supervisor that serving needs. Tests have their own.
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

// Serve serves until the process is told to stop, and returns after the hooks have run. If the listener fails it exits with
// status 1.
func Serve(server *serving.Server) { host.serve(server) }

// Fatal logs why the process cannot serve, and exits with status 1.
func Fatal(format string, args ...any) { host.fatal(format, args...) }

func (sys *system) serve(server *serving.Server) {
	s := &supervised{
		system: sys, server: server,
		over: make(chan struct{}), hooks: make(chan struct{}), finished: make(chan struct{}),
	}
	defer close(s.finished)
	s.attach()
	signals := make(chan os.Signal, 8)
	sys.notify(signals, sys.signals()...)
	defer sys.forget(signals)
	go s.watch(signals)

	log.Println("Starting kami on", server.Addr())
	sys.ready()
	sys.tell("READY=1")
	err := server.Serve()
	close(s.over)
	if err != nil {
		sys.fatal("%v", err)
		return
	}
	s.finish()
	log.Println("kami stopped")
}

// signals returns the signals that stop a server.
func (sys *system) signals() []os.Signal {
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if sys.is("EINHORN_MASTER_PID", sys.getppid()) {
		stop = append(stop, upgradeSignals...)
	}
	return stop
}

// is reports whether the value of an environment variable is the process id.
func (sys *system) is(variable string, pid int) bool {
	id, err := strconv.Atoi(sys.getenv(variable))
	return err == nil && id == pid
}

// tell tells systemd the state of the service, as sd_notify(3) does.
func (sys *system) tell(state string) {
	socket := sys.getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := sys.send(socket, state); err != nil {
		log.Printf("kami: telling systemd %s: %v", state, err)
	}
}

// sendDatagram sends a message to a Unix datagram socket. A name that begins with "@" is an abstract one.
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
// whose hooks apps use. goji gets a gate instead of the listener, and one connection, which is never idle: it closes the gate
// after the pre hooks, and waits for that connection before the post hooks.
type supervised struct {
	*system
	server   *serving.Server
	busy     net.Conn // goji's wrapper of the one connection
	begun    sync.Once
	stopping atomic.Bool
	over     chan struct{} // closed when the server has stopped
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

// watch stops the server at the first signal. It forces it at a SIGINT that comes soon after another one.
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
				s.server.Force()
			} else {
				last = now
			}
		case <-s.finished:
			return
		}
	}
}

// begin logs that the stop begins, and tells systemd.
func (s *supervised) begin() {
	s.begun.Do(func() {
		log.Println("kami received signal, gracefully stopping")
		s.tell("STOPPING=1")
	})
}

// stopWithHooks makes goji stop the server, once, and does not wait for it. A hook that panics is logged; goji goes on
// after that hook when it is called again. goji can be stopped only once: if it was stopped before, the server stops all the
// same.
func (s *supervised) stopWithHooks() {
	if !s.stopping.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer close(s.hooks)
		defer s.server.Stop()
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

// finish tells goji that the last connection has ended, and waits for the hooks, unless the server is forced to stop.
func (s *supervised) finish() {
	s.stopWithHooks()
	_ = s.busy.Close()
	select {
	case <-s.hooks:
	case <-s.server.Forced():
	}
}

// gate is the listener that goji closes to stop a server.
type gate struct{ *supervised }

func (g gate) Accept() (net.Conn, error) { return busy{supervised: g.supervised}, nil }
func (g gate) Addr() net.Addr            { return g.server.Addr() }

func (g gate) Close() error {
	g.begin()
	g.server.Stop()
	return nil
}

// busy is the connection that goji waits for, or closes to force the server to stop.
type busy struct {
	net.Conn // nil, because goji neither reads nor writes
	*supervised
}

func (b busy) Close() error {
	select {
	case <-b.over:
	default:
		b.server.Force()
		<-b.over
	}
	return nil
}
