package process

import (
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

	"github.com/guregu/kami/internal/pipe"
	"github.com/guregu/kami/internal/serving"
)

// These tests check the order of events, in bubbles with fake time, connections and process.

// process is a process with the test's signals, environment and hooks. It records what can be seen from outside.
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

// once is a sync.Once on which a goroutine of a bubble can wait.
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

// gracefulShutdown does what goji's graceful.Shutdown does, which one process can do only once.
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

// Write records the first line of a log record. The others would be a stack.
func (p *process) Write(line []byte) (int, error) {
	first, _, _ := bytes.Cut(line, []byte("\n"))
	p.add("log: %s", first)
	return len(line), nil
}

// known returns what was recorded since the last call.
func (p *process) known() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// start serves the handler as kami's Serve does, with a limit for a stop.
func (p *process) start(h http.Handler, limit time.Duration) (l *pipe.Listener, returned chan struct{}) {
	l, returned = pipe.Listen(), make(chan struct{})
	server, err := serving.New(h, limit, l, nil)
	require.NoError(p.t, err)
	go func() {
		defer close(returned)
		p.serve(server)
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

func TestServeTellsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.environment["EINHORN_MASTER_PID"] = "6"
		p.pre = func() { p.add("pre hook") }
		p.post = func() { p.add("post hook") }
		m, release := pipe.Handler()
		l, returned := p.start(m, 0)
		assert.Equal(t, []string{"signals: " + fmt.Sprint(append([]os.Signal{os.Interrupt, syscall.SIGTERM}, upgradeSignals...)),
			"log: Starting kami on pipe", "einhorn: ready", "systemd@systemd: READY=1"}, p.known())
		slow := l.Dial(t)
		slow.Send("/slow")
		p.signal(syscall.SIGTERM)
		assert.Equal(t, []string{"log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1", "pre hook"}, p.known())
		time.Sleep(2 * time.Second)
		assert.Equal(t, []string{"log: kami: waiting for 1 connection"}, p.known())
		time.Sleep(time.Hour)
		assert.Empty(t, p.known(), "it is said once")
		close(release)
		assert.True(t, slow.Answer("slow"), "what ends after the linger says that the connection does")
		pipe.ReturnsAfter(t, 0, returned)
		assert.Equal(t, []string{"post hook", "log: kami stopped"}, p.known())
	})
}

func TestServeIsReadyBeforeItAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		acked := make(chan struct{})
		p.ready = func() { <-acked }
		m, _ := pipe.Handler()
		l, returned := p.start(m, 0)
		select {
		case l.Conns <- nil:
			t.Error("it accepts before einhorn knows")
		default:
		}
		close(acked)
		c := l.Dial(t)
		p.signal(syscall.SIGTERM)
		c.Send("/")
		c.Answer("root")
		<-returned
	})
}

func TestServeAcceptsDuringPreHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.pre = func() { time.Sleep(time.Minute) }
		m, _ := pipe.Handler()
		l, returned := p.start(m, 0)
		p.signal(os.Interrupt)
		time.Sleep(59 * time.Second)
		c := l.Dial(t)
		c.Send("/")
		assert.False(t, c.Answer("root"), "draining has not begun")
		time.Sleep(time.Second)
		synctest.Wait()
		c.Send("/")
		assert.True(t, c.Answer("root"))
		pipe.ReturnsAfter(t, 0, returned)
	})
}

// kick is the signals that a process gets while a request is in progress, with pauses between them.
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
					m, release := pipe.Handler()
					l, returned := p.start(m, 0)
					c := l.Dial(t)
					c.Send("/slow")
					for i, s := range test.kick.signals {
						if i > 0 {
							time.Sleep(test.kick.pause)
						}
						p.signal(s)
					}
					if test.forces {
						pipe.ReturnsAfter(t, 0, returned)
						close(release)
						c.Ended()
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
					c.Answer("slow")
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
		m, _ := pipe.Handler()
		l, returned := p.start(m, 0)
		c := l.Dial(t)
		p.known()
		p.signal(syscall.SIGTERM)
		c.Send("/")
		assert.True(t, c.Answer("root"), "the drain goes its way")
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
		m, _ := pipe.Handler()
		_, returned := p.start(m, 0)
		p.signal(syscall.SIGTERM)
		time.Sleep(time.Minute)
		p.signal(os.Interrupt, os.Interrupt)
		pipe.ReturnsAfter(t, 0, returned)
		time.Sleep(time.Hour) // for which the hook goes on
	})
}

func TestStopWithoutASignal(t *testing.T) {
	for _, forced := range []bool{false, true} {
		t.Run(fmt.Sprint("forced: ", forced), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProcess(t)
				p.pre = func() { p.add("pre hook") }
				p.post = func() { p.add("post hook") }
				m, release := pipe.Handler()
				l, returned := p.start(m, 0)
				c := l.Dial(t)
				c.Send("/slow")
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
					c.Ended()
					return
				}
				assert.Equal(t, []string{"pre hook", "log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1",
					"log: kami: waiting for 1 connection"}, p.known())
				close(release)
				c.Answer("slow")
				<-stopped
				<-returned
				assert.Equal(t, []string{"post hook", "log: kami stopped"}, p.known())
			})
		})
	}
}

// TestSecondStopInOneProcess serves again after goji has stopped. goji stops only once, but the second server must stop too.
func TestSecondStopInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		for range 3 {
			m, _ := pipe.Handler()
			l, returned := p.start(m, 0)
			c := l.Dial(t)
			p.signal(syscall.SIGTERM)
			c.Send("/")
			assert.True(t, c.Answer("root"))
			<-returned
		}
	})
}

func TestSeveralServersInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		posts := 0
		p.post = func() { posts++ }
		m, release := pipe.Handler()
		l1, returned1 := p.start(m, 0)
		signals1 := p.signals
		l2, returned2 := p.start(m, 0)
		slow := l1.Dial(t)
		slow.Send("/slow")
		c := l2.Dial(t)
		signals1 <- syscall.SIGTERM
		p.signal(syscall.SIGTERM)
		c.Send("/")
		assert.True(t, c.Answer("root"))
		time.Sleep(time.Hour)
		assert.Zero(t, posts, "post hooks come after the last connection of all")
		close(release)
		slow.Answer("slow")
		<-returned1
		<-returned2
		assert.Equal(t, 1, posts)
	})
}

// TestV01HijackedConnections has handlers hijack. The stop waits for the handlers that have called Draining.
func TestV01HijackedConnections(t *testing.T) {
	hijack := func(w http.ResponseWriter) net.Conn {
		conn, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n")
		require.NoError(t, err)
		return conn
	}
	leave := make(chan struct{})
	m := http.NewServeMux()
	for path, handler := range map[string]func(context.Context, http.ResponseWriter){
		"/before": func(ctx context.Context, w http.ResponseWriter) {
			draining := serving.Draining(ctx)
			defer hijack(w).Close()
			<-draining
			<-leave
		},
		"/after": func(ctx context.Context, w http.ResponseWriter) {
			defer hijack(w).Close()
			for range 2 {
				<-serving.Draining(ctx)
			}
			<-leave
		},
		"/elsewhere": func(ctx context.Context, w http.ResponseWriter) {
			defer hijack(w).Close()
			go serving.Draining(ctx)
			<-leave
		},
		"/panic": func(ctx context.Context, w http.ResponseWriter) {
			defer hijack(w).Close()
			<-serving.Draining(ctx)
			<-leave
			panic(http.ErrAbortHandler)
		},
		"/never": func(ctx context.Context, w http.ResponseWriter) {
			defer hijack(w).Close()
			<-leave
		},
		"/returned": func(ctx context.Context, w http.ResponseWriter) {
			conn := hijack(w)
			serving.Draining(ctx)
			go func() {
				defer conn.Close()
				<-leave
			}()
		},
		"/too late": func(ctx context.Context, w http.ResponseWriter) {
			conn := hijack(w)
			go func() {
				defer conn.Close()
				time.Sleep(time.Second)
				<-serving.Draining(ctx)
				<-leave
			}()
		},
	} {
		m.HandleFunc(strings.ReplaceAll(path, " ", "-"), func(w http.ResponseWriter, r *http.Request) { handler(r.Context(), w) })
	}
	m.HandleFunc("/asks", func(_ http.ResponseWriter, r *http.Request) { serving.Draining(r.Context()) })

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
					l, returned := p.start(m, timeout)
					c := l.Dial(t)
					if test.asks {
						c.Send("/asks")
						c.Answer("")
					}
					c.Send(test.path)
					_, err := http.ReadResponse(c.R, nil)
					require.NoError(t, err)
					time.Sleep(time.Minute)
					p.known()
					p.signal(syscall.SIGTERM)
					switch {
					case !test.waits:
						pipe.ReturnsAfter(t, 0, returned)
						close(leave)
					case timeout > 0:
						pipe.ReturnsAfter(t, timeout+500*time.Millisecond, returned)
						close(leave)
					default:
						time.Sleep(time.Hour)
						assert.Equal(t, []string{"log: kami received signal, gracefully stopping", "systemd@systemd: STOPPING=1",
							"log: kami: waiting for 1 connection"}, p.known())
						close(leave)
						pipe.ReturnsAfter(t, 0, returned)
						assert.Equal(t, []string{"post hook", "log: kami stopped"}, p.known())
					}
					_, err = io.ReadAll(c.R)
					require.NoError(t, err)
				})
			})
		}
	}
}

func TestListenerFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		m, release := pipe.Handler()
		l, returned := p.start(m, 0)
		c := l.Dial(t)
		c.Send("/slow")
		synctest.Wait()
		p.known()
		l.Errors <- errors.New("out of luck")
		assert.Equal(t, []string{"log: kami: serving on pipe: out of luck; it stops, with 1 connection open"}, p.known())
		time.Sleep(time.Hour)
		close(release)
		assert.True(t, c.Answer("slow"), "what has been accepted is served")
		<-returned
		assert.Equal(t, []string{"log: kami: waiting for 1 connection", "fatal: kami: serving on pipe: out of luck"}, p.known())
		<-l.Closed
	})
}

func TestSystemdTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t)
		p.system.send = func(string, string) error { return errors.New("nobody there") }
		m, _ := pipe.Handler()
		_, returned := p.start(m, 0)
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
		p.bind = func() net.Listener { return pipe.Listen() }
		p.environment["LISTEN_PID"] = strconv.Itoa(p.getpid())
		p.environment["LISTEN_FDS"] = test.passed
		old := flag.Lookup("bind").Value.String()
		require.NoError(t, flag.Set("bind", test.address))
		assert.NotNil(t, p.listen())
		require.NoError(t, flag.Set("bind", old))
		assert.Equal(t, test.want, strings.Join(p.events, "\n"))
	}
}
