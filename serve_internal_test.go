package kami

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zenazn/goji/graceful/listener"
)

// These tests are about what happens when, in a bubble: with time, connections and a process of their own.

// pipeListener accepts the server's ends of pipes.
type pipeListener struct {
	accept chan net.Conn
	fail   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{accept: make(chan net.Conn), fail: make(chan error), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case err := <-l.fail:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// peer is the client's end of a connection.
type peer struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (l *pipeListener) dial(t *testing.T) *peer {
	client, server := net.Pipe()
	l.accept <- server
	return &peer{client, t, bufio.NewReader(client)}
}

// send sends a request with further header lines.
func (p *peer) send(path string, header ...string) {
	_, err := fmt.Fprintf(p.Conn, "GET %s HTTP/1.1\r\nHost: kami\r\n%s\r\n", path, strings.Join(append(header, ""), "\r\n"))
	require.NoError(p.t, err)
}

// answer reads an answer, and reports whether it says that the connection ends.
func (p *peer) answer(want string) (closes bool) {
	response, err := http.ReadResponse(p.r, nil)
	require.NoError(p.t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	assert.Equal(p.t, want, string(body))
	return response.Close
}

// ended waits for the end of the connection.
func (p *peer) ended() {
	rest, err := io.ReadAll(p.r)
	require.NoError(p.t, err)
	assert.Empty(p.t, string(rest))
}

// process is a process whose signals, environment and hooks are the test's. It remembers what becomes known outside.
type process struct {
	system
	t       *testing.T
	mu      sync.Mutex
	events  []string // "log: …", "systemd: …", and those of hooks
	signals chan<- os.Signal

	environment                  map[string]string
	listeners                    []*listener.T
	pre, post                    func()
	preOnce, closeOnce, postOnce once
	waited                       atomic.Bool // graceful.Wait has returned
}

// once is a sync.Once for which a bubble knows how to wait.
type once struct {
	begun atomic.Bool
	done  chan struct{}
}

func (o *once) Do(f func()) {
	if !o.begun.CompareAndSwap(false, true) {
		<-o.done
		return
	}
	defer close(o.done)
	f()
}

func newProcess(t *testing.T) *process {
	p := &process{t: t, environment: map[string]string{"NOTIFY_SOCKET": "@systemd"}, pre: func() {}, post: func() {}}
	for _, o := range []*once{&p.preOnce, &p.closeOnce, &p.postOnce} {
		o.done = make(chan struct{})
	}
	p.system = system{
		getenv:  func(name string) string { return p.environment[name] },
		getpid:  func() int { return 7 },
		getppid: func() int { return 6 },
		notify:  func(c chan<- os.Signal, which ...os.Signal) { p.signals = c; p.add("signals: %v", which) },
		forget:  func(chan<- os.Signal) {},
		ready:   func() { p.add("einhorn: ready") },
		send:    func(socket, message string) error { p.add("systemd%s: %s", socket, message); return nil },
		listens: func(int) error { return nil },
		hook: func(l net.Listener) net.Listener {
			p.listeners = append(p.listeners, l.(*listener.T))
			return l
		},
		stop:  p.gracefulShutdown,
		fatal: func(format string, args ...any) { p.add("fatal: "+format, args...) },
	}
	log.SetOutput(p)
	flags := log.Flags()
	log.SetFlags(0)
	t.Cleanup(func() { log.SetOutput(os.Stderr); log.SetFlags(flags) })
	return p
}

// gracefulShutdown does what goji's graceful.Shutdown does, which one process can do but once.
func (p *process) gracefulShutdown() {
	p.preOnce.Do(func() { p.pre() })
	p.closeOnce.Do(func() {
		for _, l := range p.listeners {
			_ = l.Close()
		}
		for _, l := range p.listeners {
			_ = l.Drain()
		}
	})
	p.postOnce.Do(func() { p.post() })
	p.waited.Store(true)
}

func (p *process) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, fmt.Sprintf(format, args...))
}

// Write remembers the first line of what is logged: the rest would be a stack.
func (p *process) Write(line []byte) (int, error) {
	first, _, _ := bytes.Cut(line, []byte("\n"))
	p.add("log: %s", first)
	return len(line), nil
}

// known returns what has become known since the last call.
func (p *process) known() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// start serves the mux as Serve does.
func (p *process) start(m *Mux) (l *pipeListener, returned chan struct{}) {
	l, returned = newPipeListener(), make(chan struct{})
	go func() {
		defer close(returned)
		p.serve(m, l, nil)
	}()
	synctest.Wait()
	return l, returned
}

func (p *process) signal(signals ...os.Signal) {
	for _, s := range signals {
		p.signals <- s
		synctest.Wait()
	}
}

// returnsAfter waits for the end and checks how long that takes.
func returnsAfter(t *testing.T, want time.Duration, returned <-chan struct{}) {
	t.Helper()
	start := time.Now()
	<-returned
	assert.Equal(t, want, time.Since(start))
}

// newServeMux has what the tests ask for. A channel releases /slow; /stream leaves when draining begins.
func newServeMux() (m *Mux, release chan struct{}) {
	m, release = New(), make(chan struct{})
	m.Get("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "root") })
	m.Get("/slow", func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "slow")
	})
	m.Get("/context", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		<-ctx.Done()
		_, _ = fmt.Fprint(w, ctx.Err(), ", ", context.Cause(ctx))
	})
	m.Get("/stream", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		_ = http.NewResponseController(w).Flush()
		if r.Header.Get("Leave") != "" {
			return
		}
		<-Draining(ctx)
		_, _ = io.WriteString(w, "bye")
	})
	return m, release
}

func TestServeTellsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.environment["EINHORN_MASTER_PID"] = "6"
		p.pre = func() { p.add("pre hook") }
		p.post = func() { p.add("post hook") }
		m, release := newServeMux()
		l, returned := p.start(m)
		assert.Equal(t, []string{"signals: " + fmt.Sprint(append([]os.Signal{os.Interrupt, syscall.SIGTERM}, upgradeSignals...)),
			"log: Starting kami on pipe", "einhorn: ready", "systemd@systemd: READY=1"}, p.known())
		slow := l.dial(t)
		slow.send("/slow")
		p.signal(syscall.SIGTERM)
		assert.Equal(t, []string{"log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1", "pre hook"}, p.known())
		time.Sleep(2 * time.Second)
		assert.Equal(t, []string{"log: kami: waiting for 1 connection"}, p.known())
		time.Sleep(time.Hour)
		assert.Empty(t, p.known(), "it is said once")
		close(release)
		assert.True(t, slow.answer("slow"), "what ends after the linger says that the connection does")
		returnsAfter(t, 0, returned)
		assert.Equal(t, []string{"post hook", "log: kami stopped"}, p.known())
	})
}

func TestServeIsReadyBeforeItAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		acked := make(chan struct{})
		p.ready = func() { <-acked }
		m, _ := newServeMux()
		l, returned := p.start(m)
		select {
		case l.accept <- nil:
			t.Error("it accepts before einhorn knows")
		default:
		}
		close(acked)
		c := l.dial(t)
		p.signal(syscall.SIGTERM)
		c.send("/")
		c.answer("root")
		<-returned
	})
}

func TestServeAcceptsDuringPreHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.pre = func() { time.Sleep(time.Minute) }
		m, _ := newServeMux()
		l, returned := p.start(m)
		p.signal(os.Interrupt)
		time.Sleep(59 * time.Second)
		c := l.dial(t)
		c.send("/")
		assert.False(t, c.answer("root"), "draining has not begun")
		time.Sleep(time.Second)
		synctest.Wait()
		c.send("/")
		assert.True(t, c.answer("root"))
		returnsAfter(t, 0, returned)
	})
}

func TestDrainConnections(t *testing.T) {
	for _, test := range []struct {
		name string
		use  func(t *testing.T, l *pipeListener, drain func())
		last time.Duration // from when use returns
	}{
		{"none", func(_ *testing.T, _ *pipeListener, drain func()) { drain() }, 0},
		{"silent", func(t *testing.T, l *pipeListener, drain func()) {
			l.dial(t)
			drain()
		}, linger},
		{"silent and half a header", func(t *testing.T, l *pipeListener, drain func()) {
			_, err := io.WriteString(l.dial(t), "GET / HT")
			require.NoError(t, err)
			drain()
		}, linger},
		{"accepted but unread", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			drain()
			time.Sleep(linger - time.Millisecond)
			c.send("/")
			assert.True(t, c.answer("root"))
			c.ended()
		}, 0},
		{"idle", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			c.send("/")
			assert.False(t, c.answer("root"))
			drain()
			time.Sleep(linger - time.Millisecond)
			c.send("/")
			assert.True(t, c.answer("root"))
			c.ended()
		}, 0},
		{"idle and silent to the end", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			c.send("/")
			c.answer("root")
			drain()
		}, linger},
		{"stream", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			c.send("/stream")
			synctest.Wait()
			drain()
			assert.False(t, c.answer("bye"), "its header had gone out before")
		}, linger}, // as its client may ask again
		{"event stream", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			c.send("/stream", "Accept: text/event-stream")
			synctest.Wait()
			drain()
			assert.False(t, c.answer("bye"), "its header had gone out before")
			c.ended()
		}, 0},
		{"event stream that begins late", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			drain()
			c.send("/stream", "Accept: text/event-stream")
			assert.True(t, c.answer("bye"))
			c.ended()
		}, 0},
		{"after an event stream", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			c.send("/stream", "Accept: text/event-stream", "Leave: at once")
			c.answer("")
			drain()
			c.send("/")
			assert.True(t, c.answer("root"))
			c.ended()
		}, 0},
		{"switching protocols", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			drain()
			c.send("/", "Connection: Upgrade", "Upgrade: websocket")
			assert.False(t, c.answer("root"), "the Connection header is the handler's")
			c.send("/")
			assert.True(t, c.answer("root"))
		}, 0},
		{"offering h2c", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			drain()
			c.send("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
			assert.True(t, c.answer("root"))
		}, 0},
		{"HTTP/1.0", func(t *testing.T, l *pipeListener, drain func()) {
			c := l.dial(t)
			drain()
			_, err := io.WriteString(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			require.NoError(t, err)
			assert.True(t, c.answer("root"))
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProcess(t)
				m, _ := newServeMux()
				l, returned := p.start(m)
				test.use(t, l, func() { p.signal(syscall.SIGTERM) })
				returnsAfter(t, test.last, returned)
			})
		})
	}
}

func TestStreamEndsTheDrainWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m := New()
		m.Get("/stream", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			<-Draining(ctx)
			time.Sleep(time.Minute)
		})
		l, returned := p.start(m)
		c := l.dial(t)
		c.send("/stream")
		synctest.Wait()
		p.signal(syscall.SIGTERM)
		go c.answer("")
		returnsAfter(t, time.Minute, returned)
	})
}

// kick is what a process is sent while a request is in progress: signals, with pauses between them.
type kick struct {
	signals []os.Signal
	pause   time.Duration
}

func TestOnlySIGINTAfterSIGINTForces(t *testing.T) {
	term, interrupt := syscall.SIGTERM, os.Interrupt
	upgrade := os.Signal(syscall.SIGTERM)
	if len(upgradeSignals) > 0 {
		upgrade = upgradeSignals[0]
	}
	for _, test := range []struct {
		name   string
		kick   kick
		forces bool
	}{
		{"SIGINT twice", kick{[]os.Signal{interrupt, interrupt}, 0}, true},
		{"SIGINT twice in time", kick{[]os.Signal{interrupt, interrupt}, forceWindow - 1}, true},
		{"SIGINT twice, too late", kick{[]os.Signal{interrupt, interrupt}, forceWindow}, false},
		{"SIGTERM thrice", kick{[]os.Signal{term, term, term}, 0}, false},
		{"SIGUSR2 twice", kick{[]os.Signal{upgrade, upgrade}, 0}, false},
		{"SIGUSR2, then SIGTERM and SIGINT", kick{[]os.Signal{upgrade, term, interrupt}, 0}, false},
		{"SIGTERM, then SIGINT twice", kick{[]os.Signal{term, interrupt, interrupt}, 0}, true},
	} {
		for _, hook := range []struct {
			name     string
			pre      func()
			answered time.Duration
		}{
			{"no hook", func() {}, 0},
			{"slow pre hook", func() { time.Sleep(time.Minute) }, time.Minute},
			{"panicking hook", func() { panic("hook") }, 0},
		} {
			t.Run(test.name+", "+hook.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newProcess(t)
					p.environment["EINHORN_MASTER_PID"] = "6"
					p.pre = hook.pre
					m, release := newServeMux()
					l, returned := p.start(m)
					c := l.dial(t)
					c.send("/slow")
					for i, s := range test.kick.signals {
						if i > 0 {
							time.Sleep(test.kick.pause)
						}
						p.signal(s)
					}
					if test.forces {
						returnsAfter(t, 0, returned)
						close(release)
						c.ended()
						time.Sleep(time.Hour) // for which the slow hook goes on
						return
					}
					time.Sleep(time.Hour)
					select {
					case <-returned:
						t.Error("it has not waited for the request")
					default:
					}
					close(release)
					c.answer("slow")
					<-returned
				})
			})
		}
	}
}

func TestPanickingHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.pre = func() { panic("pre") }
		p.post = func() { panic("post") }
		m, _ := newServeMux()
		l, returned := p.start(m)
		c := l.dial(t)
		p.known()
		p.signal(syscall.SIGTERM)
		c.send("/")
		assert.True(t, c.answer("root"), "the drain goes its way")
		<-returned
		assert.Equal(t, []string{"log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1",
			"log: kami: a hook of goji/graceful panicked: pre",
			"log: kami: a hook of goji/graceful panicked: post", "log: kami stopped"}, p.known())
		assert.True(t, p.waited.Load())
	})
}

func TestForcedDuringPostHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.post = func() { time.Sleep(time.Hour) }
		m, _ := newServeMux()
		_, returned := p.start(m)
		p.signal(syscall.SIGTERM)
		time.Sleep(time.Minute)
		p.signal(os.Interrupt, os.Interrupt)
		returnsAfter(t, 0, returned)
		time.Sleep(time.Hour) // for which the hook goes on
	})
}

// TestForceEndsContexts is about handlers that would go on after the end of their connections.
func TestForceEndsContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m := New()
		m.DrainTimeout = time.Hour
		cause := make(chan error, 1)
		m.Get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
		})
		l, returned := p.start(m)
		l.dial(t).send("/")
		p.signal(os.Interrupt, os.Interrupt)
		returnsAfter(t, 0, returned)
		assert.Equal(t, http.ErrServerClosed, <-cause)
	})
}

// deafListener is on a socket that another process has made a blocking one: Accept hangs until a connection comes, and Close
// until Accept has returned, which the test sees to.
type deafListener struct{ *pipeListener }

func (l deafListener) Accept() (net.Conn, error) { return <-l.accept, nil }
func (l deafListener) Close() error              { <-l.closed; return nil }

// startDeaf serves the mux as Serve does, on a deafListener.
func (p *process) startDeaf(m *Mux) (l deafListener, returned chan struct{}) {
	l, returned = deafListener{newPipeListener()}, make(chan struct{})
	go func() {
		defer close(returned)
		p.serve(m, l, nil)
	}()
	synctest.Wait()
	return l, returned
}

// release lets what hangs end: with a connection, which must not be served any more.
func (l deafListener) release(t *testing.T) {
	c := l.dial(t)
	c.ended()
	close(l.closed)
}

func TestForcedWhileAcceptHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		l, returned := p.startDeaf(New())
		p.signal(os.Interrupt, os.Interrupt)
		returnsAfter(t, 0, returned)
		l.release(t)
	})
}

func TestDrainTimeoutWhileAcceptHangs(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("with a request: ", busy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProcess(t)
				m, release := newServeMux()
				m.DrainTimeout = time.Minute
				l, returned := p.startDeaf(m)
				want := m.DrainTimeout
				var c *peer
				if busy {
					c = l.dial(t)
					c.send("/slow")
					want += linger
				}
				p.signal(syscall.SIGTERM)
				returnsAfter(t, want, returned)
				close(release)
				if busy {
					c.ended()
				}
				l.release(t)
			})
		})
	}
}

// TestLingerOfLateConnections is about a connection that Accept, which hangs, accepts long after draining has begun.
func TestLingerOfLateConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m, _ := newServeMux()
		l, returned := p.startDeaf(m)
		p.signal(syscall.SIGTERM)
		time.Sleep(time.Minute)
		late := l.dial(t)
		assert.Contains(t, strings.Join(p.known(), "\n"),
			"log: kami: Accept on pipe does not return until a connection comes, and none can be made: dial")
		time.Sleep(linger - time.Millisecond)
		late.send("/")
		assert.True(t, late.answer("root"))
		late.ended()
		returnsAfter(t, 0, returned)
		close(l.closed)
	})
}

// valueConn cannot be the key of a map.
type valueConn struct {
	net.Conn
	_ []byte
}

type valueListener struct{ *pipeListener }

func (l valueListener) Accept() (net.Conn, error) {
	c, err := l.pipeListener.Accept()
	return valueConn{Conn: c}, err
}

func TestConnectionsThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newServeMux()
		l := valueListener{newPipeListener()}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- m.ServeContext(ctx, l, nil) }()
		c := l.dial(t)
		stop()
		synctest.Wait()
		c.send("/")
		assert.True(t, c.answer("root"))
		require.NoError(t, <-served)
	})
}

func TestStopWithoutASignal(t *testing.T) {
	for _, forced := range []bool{false, true} {
		t.Run(fmt.Sprint("forced: ", forced), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProcess(t)
				p.pre = func() { p.add("pre hook") }
				p.post = func() { p.add("post hook") }
				m, release := newServeMux()
				l, returned := p.start(m)
				c := l.dial(t)
				c.send("/slow")
				p.known()
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					if forced { // as graceful.ShutdownNow does
						_ = p.listeners[0].Close()
						_ = p.listeners[0].DrainAll()
						return
					}
					p.gracefulShutdown()
				}()
				time.Sleep(time.Hour)
				if forced {
					<-stopped
					<-returned
					close(release)
					c.ended()
					return
				}
				assert.Equal(t, []string{"pre hook", "log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1",
					"log: kami: waiting for 1 connection"}, p.known())
				close(release)
				c.answer("slow")
				<-stopped
				<-returned
				assert.Equal(t, []string{"post hook", "log: kami stopped"}, p.known())
			})
		})
	}
}

// TestSecondStopInOneProcess is about goji, which stops but once: what is served after that still stops.
func TestSecondStopInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		for range 3 {
			m, _ := newServeMux()
			l, returned := p.start(m)
			c := l.dial(t)
			p.signal(syscall.SIGTERM)
			c.send("/")
			assert.True(t, c.answer("root"))
			<-returned
		}
	})
}

func TestSeveralServersInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		posts := 0
		p.post = func() { posts++ }
		m, release := newServeMux()
		l1, returned1 := p.start(m)
		signals1 := p.signals
		l2, returned2 := p.start(m)
		slow := l1.dial(t)
		slow.send("/slow")
		c := l2.dial(t)
		signals1 <- syscall.SIGTERM
		p.signal(syscall.SIGTERM)
		c.send("/")
		assert.True(t, c.answer("root"))
		time.Sleep(time.Hour)
		assert.Zero(t, posts, "post hooks come after the last connection of all")
		close(release)
		slow.answer("slow")
		<-returned1
		<-returned2
		assert.Equal(t, 1, posts)
	})
}

func TestC12DrainTimeoutEndsContexts(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		for _, base := range []string{"no base", "background", "cancellable"} {
			t.Run(fmt.Sprintf("Cancel: %v, %s", cancel, base), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newProcess(t)
					m, release := newServeMux()
					m.Cancel = cancel
					m.DrainTimeout = time.Minute
					switch base {
					case "background":
						m.Context = context.Background()
					case "cancellable":
						ctx, end := context.WithCancel(context.Background())
						defer end()
						m.Context = ctx
					}
					l, returned := p.start(m)
					deaf, waits := l.dial(t), l.dial(t)
					deaf.send("/slow")
					waits.send("/context")
					synctest.Wait()
					p.known()
					p.signal(syscall.SIGTERM)
					start := time.Now()
					assert.True(t, waits.answer("context canceled, http: Server closed"))
					assert.Equal(t, m.DrainTimeout, time.Since(start))
					returnsAfter(t, linger, returned)
					assert.Contains(t, p.known(), "log: kami: 2 connections still open after 1m0s: the contexts of requests end now")
					close(release)
					deaf.ended()
				})
			})
		}
	}
}

// TestC12DrainTimeoutEndsContextsThatNothingElseEnds is about a nested Mux that is given a context without the server's end.
func TestC12DrainTimeoutEndsContextsThatNothingElseEnds(t *testing.T) {
	without := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithoutCancel(ctx), func() {}
	}
	for _, cancel := range []bool{false, true} {
		for name, detach := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"without cancel": without,
			"with a cancel of its own": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, _ = without(ctx)
				return context.WithCancel(ctx)
			},
		} {
			for _, base := range []context.Context{nil, t.Context()} {
				t.Run(fmt.Sprintf("%s, Cancel: %v, Context: %v", name, cancel, base != nil), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						if base != nil {
							base = t.Context()
						}
						p := newProcess(t)
						inner, release := newServeMux()
						defer close(release)
						inner.Context, inner.Cancel = base, cancel
						m := New()
						m.DrainTimeout = time.Minute
						m.Get("/*all", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
							ctx, end := detach(ctx)
							defer end()
							inner.ServeHTTPContext(ctx, w, r)
						})
						l, returned := p.start(m)
						waits := l.dial(t)
						waits.send("/context")
						synctest.Wait()
						p.signal(syscall.SIGTERM)
						assert.True(t, waits.answer("context canceled, http: Server closed"))
						<-returned
					})
				})
			}
		}
	}
}

// TestC12DrainTimeoutIsSeenAfterTheRequest is about code that waits for the end of a request's context after its response.
func TestC12DrainTimeoutIsSeenAfterTheRequest(t *testing.T) {
	for _, bound := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newProcess(t)
			m, release := newServeMux()
			defer close(release)
			base, end := context.WithCancel(context.Background())
			defer end()
			m.Context, m.DrainTimeout = base, time.Minute
			var waiting sync.WaitGroup
			inner := New()
			inner.Context = base
			inner.Get("/wait", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
				done := ctx.Done()
				waiting.Go(func() { <-done })
			})
			m.Get("/wait", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
				if !bound {
					ctx = context.WithoutCancel(ctx)
				}
				inner.ServeHTTPContext(ctx, w, r)
			})
			l, returned := p.start(m)
			waits := l.dial(t)
			waits.send("/wait")
			waits.answer("")
			runtime.GC()
			waits.send("/context")
			synctest.Wait()
			p.signal(syscall.SIGTERM)
			assert.True(t, waits.answer("context canceled, http: Server closed"))
			waiting.Wait()
			<-returned
		})
	}
}

// TestC12ContextsDoNotEndByDraining is about contexts without a limit, and such as outlive a stop.
func TestC12ContextsDoNotEndByDraining(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			p := newProcess(t)
			m := New()
			m.DrainTimeout = timeout
			var got context.Context
			m.Get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) { got = ctx })
			l, returned := p.start(m)
			c := l.dial(t)
			c.send("/")
			c.answer("")
			p.signal(syscall.SIGTERM)
			<-returned
			assert.NoError(t, got.Err())
			assert.Equal(t, timeout <= 0, got.Done() == nil)
			_, ends := got.Deadline()
			assert.False(t, ends)
		})
	}
}

func TestShortDrainTimeoutEndsTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m, _ := newServeMux()
		m.DrainTimeout = linger / 10
		l, returned := p.start(m)
		l.dial(t)
		p.signal(syscall.SIGTERM)
		returnsAfter(t, linger/10, returned)
	})
}

func TestDraining(t *testing.T) {
	assert.Nil(t, Draining(context.Background()), "no request of a server of ours")
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		outer, inner := New(), New()
		outer.Handle("GET", "/*rest", inner)
		inner.Get("/", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, Draining(ctx), Draining(r.Context()))
			select {
			case <-Draining(ctx):
				_, _ = io.WriteString(w, "draining")
			default:
				_, _ = io.WriteString(w, "serving")
			}
		})
		outer.Get("/", inner)
		l, returned := p.start(outer)
		c := l.dial(t)
		c.send("/")
		c.answer("serving")
		p.signal(syscall.SIGTERM)
		c.send("/")
		c.answer("draining")
		<-returned
	})
}

// TestV01HijackedConnections is about handlers that hijack: those that have asked for Draining are waited for.
func TestV01HijackedConnections(t *testing.T) {
	hijack := func(w http.ResponseWriter) net.Conn {
		conn, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n")
		require.NoError(t, err)
		return conn
	}
	leave := make(chan struct{})
	m := New()
	for path, handler := range map[string]HandlerFunc{
		"/before": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			draining := Draining(ctx)
			defer hijack(w).Close()
			<-draining
			<-leave
		},
		"/after": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			defer hijack(w).Close()
			for range 2 {
				<-Draining(ctx)
			}
			<-leave
		},
		"/elsewhere": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			defer hijack(w).Close()
			go Draining(ctx)
			<-leave
		},
		"/panic": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			defer hijack(w).Close()
			<-Draining(ctx)
			<-leave
			panic(http.ErrAbortHandler)
		},
		"/never": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			defer hijack(w).Close()
			<-leave
		},
		"/returned": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			conn := hijack(w)
			Draining(ctx)
			go func() {
				defer conn.Close()
				<-leave
			}()
		},
		"/too late": func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			conn := hijack(w)
			go func() {
				defer conn.Close()
				time.Sleep(time.Second)
				<-Draining(ctx)
				<-leave
			}()
		},
	} {
		m.Get(strings.ReplaceAll(path, " ", "-"), handler)
	}
	m.Get("/asks", func(ctx context.Context, w http.ResponseWriter, r *http.Request) { Draining(ctx) })

	for _, test := range []struct {
		path  string
		asks  bool // whether a request before has asked
		waits bool
	}{
		{"/before", false, true},
		{"/before", true, true},
		{"/after", false, true},
		{"/after", true, true},
		{"/elsewhere", false, true},
		{"/panic", false, true},
		{"/never", false, false},
		{"/never", true, false},
		{"/returned", false, false},
		{"/too-late", false, false},
	} {
		for _, timeout := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(test, timeout), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					leave = make(chan struct{})
					p := newProcess(t)
					p.post = func() { p.add("post hook") }
					m.DrainTimeout = timeout
					l, returned := p.start(m)
					c := l.dial(t)
					if test.asks {
						c.send("/asks")
						c.answer("")
					}
					c.send(test.path)
					_, err := http.ReadResponse(c.r, nil)
					require.NoError(t, err)
					time.Sleep(time.Minute)
					p.known()
					p.signal(syscall.SIGTERM)
					switch {
					case !test.waits:
						returnsAfter(t, 0, returned)
						close(leave)
					case timeout > 0:
						returnsAfter(t, timeout+linger, returned)
						close(leave)
					default:
						time.Sleep(time.Hour)
						assert.Equal(t, []string{"log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1",
							"log: kami: waiting for 1 connection"}, p.known())
						close(leave)
						returnsAfter(t, 0, returned)
						assert.Equal(t, []string{"post hook", "log: kami stopped"}, p.known())
					}
					_, err = io.ReadAll(c.r)
					require.NoError(t, err)
				})
			})
		}
	}
}

func TestListenerFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m, release := newServeMux()
		l, returned := p.start(m)
		c := l.dial(t)
		c.send("/slow")
		synctest.Wait()
		p.known()
		l.fail <- errors.New("out of luck")
		assert.Equal(t, []string{"log: kami: serving on pipe: out of luck; it stops, with 1 connection open"}, p.known())
		time.Sleep(time.Hour)
		close(release)
		assert.True(t, c.answer("slow"), "what has been accepted is served")
		<-returned
		assert.Equal(t, []string{"log: kami: waiting for 1 connection", "fatal: kami: serving on pipe: out of luck"}, p.known())
		<-l.closed
	})
}

func TestServeContextChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		m, _ := newServeMux()
		var states []http.ConnState
		var logged bytes.Buffer
		type key string
		m.Get("/values", func(ctx context.Context, w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, ctx.Value(key("base")), ctx.Value(key("conn")), w.Header().Get("Wrapped"))
		})
		srv := &http.Server{
			ErrorLog: log.New(&logged, "", 0),
			BaseContext: func(got net.Listener) context.Context {
				assert.Equal(t, l, got)
				return context.WithValue(t.Context(), key("base"), "b")
			},
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key("conn"), "c") },
			ConnState:   func(_ net.Conn, s http.ConnState) { states = append(states, s) },
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Wrapped", "w")
				m.ServeHTTP(w, r)
			}),
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- m.ServeContext(ctx, l, srv) }()
		c := l.dial(t)
		c.send("/values")
		c.answer("bcw")
		stop()
		synctest.Wait()
		c.send("/values")
		assert.True(t, c.answer("bcw"))
		require.NoError(t, <-served)
		assert.Equal(t, []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed}, states)
	})
}

func TestServeContextEndedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		require.NoError(t, New().ServeContext(ctx, l, nil))
		<-l.closed
	})
}

// TestRegisterOnShutdownOnce is about functions that close a channel, say.
func TestRegisterOnShutdownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		m, release := newServeMux()
		calls := make(chan struct{}, 8)
		srv := &http.Server{}
		srv.RegisterOnShutdown(func() { calls <- struct{}{} })
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- m.ServeContext(ctx, l, srv) }()
		c := l.dial(t)
		c.send("/slow")
		stop()
		time.Sleep(time.Minute)
		close(release)
		c.answer("slow")
		require.NoError(t, <-served)
		assert.Len(t, calls, 1)
	})
}

func TestDefaultTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m, release := newServeMux()
		l, returned := p.start(m)
		var slow [500]*peer
		for i := range slow {
			slow[i] = l.dial(t)
			_, err := io.WriteString(slow[i], "GET / HTTP/1.1\r\nHost: ")
			require.NoError(t, err)
		}
		idle, busy := l.dial(t), l.dial(t)
		busy.send("/slow")
		idle.send("/")
		idle.answer("root")
		start := time.Now()
		for _, c := range slow {
			c.ended()
		}
		assert.Equal(t, headerTimeout, time.Since(start))
		idle.ended()
		assert.Equal(t, idleTimeout, time.Since(start))
		time.Sleep(24 * time.Hour)
		close(release)
		assert.False(t, busy.answer("slow"), "a response may take any time")
		p.signal(syscall.SIGTERM)
		<-returned
	})
}

func TestSystemdTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.system.send = func(string, string) error { return errors.New("nobody there") }
		m, _ := newServeMux()
		_, returned := p.start(m)
		assert.Contains(t, p.known(), "log: kami: telling systemd READY=1: nobody there")
		p.signal(syscall.SIGTERM)
		<-returned
	})
}

func TestCheckBind(t *testing.T) {
	notOpen := errors.New("it is not open")
	for _, test := range []struct {
		address     string
		environment string
		want        string
	}{
		{":8000", "", ""},
		{"127.0.0.1:http", "", ""},
		{"[::1]:0", "", ""},
		{"/run/kami.sock", "", ""},
		{"./kami.sock", "", ""},
		{"fd@3", "", ""},
		{"fd@0", "", ""},
		{"einhorn@0", "EINHORN_MASTER_PID=6 EINHORN_FD_COUNT=1 EINHORN_FD_0=5", ""},
		{"fd@3", "LISTEN_PID=7 LISTEN_FDS=1", ""},
		{":8000", "LISTEN_PID=8 LISTEN_FDS=x", ""},
		{":8000", "EINHORN_MASTER_PID=1 EINHORN_FD_COUNT=x", ""},

		{"", "", "it must be a TCP address"},
		{"8000", "", "it must be a TCP address"},
		{"kami.sock", "", "it must be a TCP address"},
		{"unix:/x", "", "a Unix socket is its path alone"},
		{":nowhere", "", "unknown port"},
		{"1:2:3", "", "too many colons"},
		{":70000", "", "invalid port"},
		{"fd@", "", "a descriptor is a number from 0 on"},
		{"fd@-1", "", "a descriptor is a number from 0 on"},
		{"fd@x", "", "a descriptor is a number from 0 on"},
		{"fd@99999999999", "", "a descriptor is a number from 0 on"},
		{"fd@9", "", "descriptor 9 was not passed to this process as a listening socket: it is not open"},
		{"einhorn@0", "", "does not run under einhorn"},
		{"einhorn@0", "EINHORN_MASTER_PID=1", "does not run under einhorn"},
		{"einhorn@-1", "EINHORN_MASTER_PID=6 EINHORN_FD_COUNT=1", "the number of one of einhorn's sockets"},
		{"einhorn@0", "EINHORN_MASTER_PID=6 EINHORN_FD_COUNT=1 EINHORN_FD_0=-1", `EINHORN_FD_0="-1": a descriptor is a number`},
		{"einhorn@1", "EINHORN_MASTER_PID=6 EINHORN_FD_COUNT=1 EINHORN_FD_0=5", `EINHORN_FD_1="": a descriptor is a number`},
		{":8000", "EINHORN_MASTER_PID=6", `EINHORN_FD_COUNT="" is not a number of sockets`},
		{":8000", "EINHORN_MASTER_PID=6 EINHORN_FD_COUNT=one", `EINHORN_FD_COUNT="one" is not a number of sockets`},
		{":8000", "LISTEN_PID=7 LISTEN_FDS=", `LISTEN_FDS="" is not a number of sockets`},
		{":8000", "LISTEN_PID=7 LISTEN_FDS=-1", `LISTEN_FDS="-1" is not a number of sockets`},
	} {
		t.Run(test.address+" "+test.environment, func(t *testing.T) {
			p := newProcess(t)
			p.listens = func(fd int) error {
				if fd == 9 {
					return notOpen
				}
				return nil
			}
			for _, variable := range strings.Fields(test.environment) {
				name, value, _ := strings.Cut(variable, "=")
				p.environment[name] = value
			}
			err := p.checkBind(test.address)
			if test.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestMoreSocketsThanAreServed(t *testing.T) {
	for _, test := range []struct{ address, passed, want string }{
		{"fd@3", "3", "log: kami: systemd has passed 3 sockets, of which only the first is served"},
		{"fd@3", "1", ""},
		{":8000", "3", ""},
	} {
		p := newProcess(t)
		p.bind = func() net.Listener { return newPipeListener() }
		p.environment["LISTEN_PID"] = strconv.Itoa(p.getpid())
		p.environment["LISTEN_FDS"] = test.passed
		old := flag.Lookup("bind").Value.String()
		require.NoError(t, flag.Set("bind", test.address))
		assert.NotNil(t, p.listen())
		require.NoError(t, flag.Set("bind", old))
		assert.Equal(t, test.want, strings.Join(p.events, "\n"))
	}
}
